// SPDX-License-Identifier: GPL-3.0-or-later
//
// Decimals: the grammar, the chosen scale, every error, and agreement of the three parsers.
#include "protocol/decimal.h"

#include "protocol_random.h"
#include <criterion/criterion.h>
#include <string.h>

struct accepted {
    const char *text;
    int64_t mantissa;
    uint8_t scale;
};

static const struct accepted accepted_table[] = {
    {"0", 0, 0},
    {"-0", 0, 0},
    {"7", 7, 0},
    {"-7", -7, 0},
    {"10", 10, 0},
    {"0.0", 0, 1},
    {"0.00000000", 0, 8},
    {"127.0", 1270, 1},
    {"123.00000000", 12300000000, 8},
    {"61737.63000000", 6173763000000, 8},
    {"0.35130000", 35130000, 8},
    {"-0.00000012", -12, 8},
    {"12345678", 12345678, 0},
    {"123456789", 123456789, 0},
    {"1234567890123456", 1234567890123456, 0},
    {"12345678.12345678", 1234567812345678, 8},
    {"46116860414.00000000", 4611686041400000000, 8},
    {"123456789012345678", 123456789012345678, 0},
    {"0.12345678901234567", 12345678901234567, 17},
    {"9.9E-7", 99, 8},
    {"6E-8", 6, 8},
    {"6e-8", 6, 8},
    {"1.5E3", 1500, 0},
    {"1.5e+3", 1500, 0},
    {"1.5000E3", 15000, 1},
    {"1E18", 1000000000000000000, 0},
    {"1E0", 1, 0},
    {"1E-0", 1, 0},
    {"1.0345E8", 103450000, 0},
    {"0E400", 0, 0},
    {"0e-400", 0, 0},
    {"0.0e-5", 0, 6},
    {"-0.0E99999999999", 0, 0},
    {"1E-18", 1, 18},
    {"9223372036854775807", INT64_MAX, 0},
    {"-9223372036854775807", -INT64_MAX, 0},
    {"922337203685477.5807", INT64_MAX, 4},
    // As spelled these do not fit; without the zeros after the point they do.
    {"9223372036854775807.0", INT64_MAX, 0},
    {"9223372036854775807.000000000000000000000000", INT64_MAX, 0},
    {"100000000000.00000000", 100000000000, 0},
    {"100000000000.50000000", 1000000000005, 1},
    {"1.0000000000000000000", 1, 0},
    {"1.0E-18", 1, 18},
    {"10E-19", 1, 18},
    {"0.0000000000000000000000000", 0, 0},
    {"1000000000000000000000000E-24", 1, 0},
    {"0.000000000000000000000001E24", 1, 0},
};

struct refused {
    const char *text;
    enum decimal_error error;
};

static const struct refused refused_table[] = {
    {"", DECIMAL_EMPTY},
    {"-", DECIMAL_MALFORMED},
    {"+1", DECIMAL_MALFORMED},
    {"1.", DECIMAL_MALFORMED},
    {".5", DECIMAL_MALFORMED},
    {"-.5", DECIMAL_MALFORMED},
    {"01", DECIMAL_MALFORMED},
    {"-01", DECIMAL_MALFORMED},
    {"00", DECIMAL_MALFORMED},
    {"00.5", DECIMAL_MALFORMED},
    {"1..2", DECIMAL_MALFORMED},
    {"1.2.3", DECIMAL_MALFORMED},
    {"--1", DECIMAL_MALFORMED},
    {"1-", DECIMAL_MALFORMED},
    {"1e", DECIMAL_MALFORMED},
    {"1e+", DECIMAL_MALFORMED},
    {"1e1.5", DECIMAL_MALFORMED},
    {"e5", DECIMAL_MALFORMED},
    {"1 ", DECIMAL_MALFORMED},
    {" 1", DECIMAL_MALFORMED},
    {"1,5", DECIMAL_MALFORMED},
    {"0x10", DECIMAL_MALFORMED},
    {"NaN", DECIMAL_MALFORMED},
    {"Infinity", DECIMAL_MALFORMED},
    {"1\xff", DECIMAL_MALFORMED},
    {"12345678\xba", DECIMAL_MALFORMED},
    {"1e400", DECIMAL_TOO_LARGE},
    {"1E19", DECIMAL_TOO_LARGE},
    {"9223372036854775808", DECIMAL_TOO_LARGE},
    {"-9223372036854775808", DECIMAL_TOO_LARGE},
    {"1234567890123456789012345678901234567890", DECIMAL_TOO_LARGE},
    {"0.1234567890123456789012345678901234567890", DECIMAL_TOO_LARGE},
    {"10000000000000000000", DECIMAL_TOO_LARGE},
    {"1e99999999999999999999", DECIMAL_TOO_LARGE},
    {"1E-19", DECIMAL_TOO_PRECISE},
    {"1e-400", DECIMAL_TOO_PRECISE},
    {"0.0000000000000000001", DECIMAL_TOO_PRECISE},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

// All three parsers on one text, with digits behind it where reading too far would show.
static enum decimal_error parse_all(const char *text, uint32_t size, int64_t *mantissa,
                                    uint8_t *scale)
{
    char padded[DECIMAL_TEXT_SIZE_MAX + 8 + DECIMAL_PADDED_SIZE];
    cr_assert(size + DECIMAL_PADDED_SIZE <= sizeof padded);
    memset(padded, '3', sizeof padded);
    memcpy(padded, text, size);
    int64_t mantissas[3] = {42, 42, 42};
    uint8_t scales[3] = {99, 99, 99};
    enum decimal_error errors[3] = {
        decimal_parse_reference(text, size, &mantissas[0], &scales[0]),
        decimal_parse(text, size, &mantissas[1], &scales[1]),
        decimal_parse_padded(padded, size, &mantissas[2], &scales[2]),
    };
    for (int i = 1; i < 3; i++) {
        cr_assert_eq(errors[i], errors[0], "'%.*s' parser %d", (int)size, text, i);
        cr_assert_eq(mantissas[i], mantissas[0], "'%.*s' parser %d", (int)size, text, i);
        cr_assert_eq(scales[i], scales[0], "'%.*s' parser %d", (int)size, text, i);
    }
    *mantissa = mantissas[0];
    *scale = scales[0];
    return errors[0];
}

Test(decimal, accepted_texts_have_the_exact_value)
{
    for (size_t i = 0; i < COUNT(accepted_table); i++) {
        const struct accepted *row = &accepted_table[i];
        int64_t mantissa;
        uint8_t scale;
        enum decimal_error error =
            parse_all(row->text, (uint32_t)strlen(row->text), &mantissa, &scale);
        cr_assert_eq(error, DECIMAL_OK, "%s: %s", row->text, decimal_error_text(error));
        cr_assert_eq(mantissa, row->mantissa, "%s: %lld", row->text, (long long)mantissa);
        cr_assert_eq(scale, row->scale, "%s: %u", row->text, scale);
    }
}

Test(decimal, refused_texts_have_named_errors_and_leave_the_outputs)
{
    for (size_t i = 0; i < COUNT(refused_table); i++) {
        const struct refused *row = &refused_table[i];
        int64_t mantissa;
        uint8_t scale;
        enum decimal_error error =
            parse_all(row->text, (uint32_t)strlen(row->text), &mantissa, &scale);
        cr_assert_eq(error, row->error, "'%s': %s", row->text, decimal_error_text(error));
        cr_assert_eq(mantissa, 42);
        cr_assert_eq(scale, 99);
    }
}

Test(decimal, texts_beyond_the_limit_are_refused)
{
    char text[DECIMAL_TEXT_SIZE_MAX + 1];
    memset(text, '0', sizeof text);
    text[1] = '.';
    int64_t mantissa;
    uint8_t scale;
    cr_assert_eq(parse_all(text, DECIMAL_TEXT_SIZE_MAX, &mantissa, &scale), DECIMAL_OK);
    cr_assert_eq(parse_all(text, sizeof text, &mantissa, &scale), DECIMAL_TOO_LONG);
}

// Texts near the grammar: mostly digits, now and then a point, sign or exponent.
static uint32_t random_text(struct protocol_random *random, char *text)
{
    static const char rare[] = "..--eE+x \xff/:";
    uint32_t size = random_below(random, random_below(random, 8) == 0 ? 48 : 22);
    for (uint32_t i = 0; i < size; i++)
        text[i] = random_below(random, 10) < 8 ? (char)('0' + random_below(random, 10))
                                               : rare[random_below(random, sizeof rare - 1)];
    return size;
}

Test(decimal, parsers_agree_on_random_texts)
{
    struct protocol_random random = random_start("decimal/parsers_agree");
    uint32_t taken = 0;
    for (int i = 0; i < 400000; i++) {
        char text[64];
        uint32_t size = random_text(&random, text);
        int64_t mantissa;
        uint8_t scale;
        taken += parse_all(text, size, &mantissa, &scale) == DECIMAL_OK;
    }
    cr_assert_gt(taken, 10000, "the generator must hit valid texts too");
}

Test(decimal, what_is_formatted_is_parsed_back)
{
    struct protocol_random random = random_start("decimal/formatted");
    for (int i = 0; i < 200000; i++) {
        int64_t mantissa = (int64_t)(random_next(&random) >> random_below(&random, 64));
        if (mantissa < -INT64_MAX)
            continue;
        uint8_t scale = (uint8_t)random_below(&random, DECIMAL_SCALE_MAX + 1);
        char text[DECIMAL_FORMAT_SIZE_MAX];
        uint32_t size = decimal_format(mantissa, scale, text);
        int64_t mantissa_back;
        uint8_t scale_back;
        cr_assert_eq(parse_all(text, size, &mantissa_back, &scale_back), DECIMAL_OK, "%.*s",
                     (int)size, text);
        cr_assert_eq(mantissa_back, mantissa);
        cr_assert_eq(scale_back, scale);
    }
}

Test(decimal, format_has_no_exponent_and_keeps_the_places)
{
    static const struct accepted table[] = {
        {"0", 0, 0},           {"0.00000000", 0, 8},
        {"-0.00000012", -12, 8}, {"-9223372036854775807", -INT64_MAX, 0},
        {"127.0", 1270, 1},    {"9.223372036854775807", INT64_MAX, 18},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[DECIMAL_FORMAT_SIZE_MAX];
        uint32_t size = decimal_format(table[i].mantissa, table[i].scale, text);
        cr_assert_eq(size, strlen(table[i].text));
        cr_assert_arr_eq(text, table[i].text, size);
    }
}

Test(decimal, take_stops_at_the_delimiter_and_only_there)
{
    static const struct {
        const char *text;
        uint32_t taken;
    } table[] = {
        {"1.5\"", 3}, {"0,", 1},     {"-12]", 3},   {"1.5e3,", 0}, {"1.5.5,", 0},
        {"01,", 0},   {"1.,", 0},    {".5,", 0},    {"1-2,", 0},   {"\"", 0},
        {"-,", 0},    {"123456789012345678}", 18},  {"1234567890123456789}", 0},
        {"1234567890.1234567890123456789,", 0},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char padded[64 + DECIMAL_PADDED_SIZE];
        memset(padded, '3', sizeof padded);
        uint32_t size = (uint32_t)strlen(table[i].text);
        memcpy(padded, table[i].text, size);
        int64_t mantissa;
        uint8_t scale;
        cr_assert_eq(decimal_take_padded(padded, size, &mantissa, &scale), table[i].taken, "%s",
                     table[i].text);
    }
}

Test(decimal, every_error_has_a_text)
{
    for (int error = DECIMAL_OK; error <= DECIMAL_TOO_PRECISE; error++)
        cr_assert_gt(strlen(decimal_error_text((enum decimal_error)error)), 9);
}
