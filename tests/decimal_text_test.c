// SPDX-License-Identifier: GPL-3.0-or-later
//
// Decimals outside: canonical text over all widths, and rescaling that is exact or refused.
#include "format/decimal_text.h"

#include <criterion/criterion.h>
#include <string.h>

struct format_case {
    __int128 mantissa;
    uint8_t scale;
    const char *text;
};

#define TEN18 ((__int128)1000000000000000000)

static const struct format_case format_table[] = {
    {0, 0, "0"},
    {0, 18, "0"},
    {7, 0, "7"},
    {-7, 0, "-7"},
    {1270, 1, "127"},
    {1270, 3, "1.27"},
    {1000, 0, "1000"},
    {-12, 8, "-0.00000012"},
    {1, 18, "0.000000000000000001"},
    {6173763000000, 8, "61737.63"},
    {4611686041400000000, 8, "46116860414"},
    {INT64_MAX, 0, "9223372036854775807"},
    {INT64_MIN, 0, "-9223372036854775808"},
    {INT64_MIN, 18, "-9.223372036854775808"},
    {TEN18, 0, "1000000000000000000"},
    {TEN18 * TEN18, 18, "1000000000000000000"},
    {TEN18 * TEN18 * 100 - 1, 0, "99999999999999999999999999999999999999"},
    {-(TEN18 * TEN18 * 100 - 1), 38, "-0.99999999999999999999999999999999999999"},
    {TEN18 * 5 + 3, 38, "0.00000000000000000005000000000000000003"},
};

Test(decimal_text, text_is_exact_and_canonical)
{
    for (size_t i = 0; i < sizeof format_table / sizeof format_table[0]; i++) {
        const struct format_case *c = &format_table[i];
        char text[DECIMAL_TEXT_BYTES_MAX];
        const size_t size = decimal_text_format(text, c->mantissa, c->scale);
        cr_expect_str_eq(text, c->text);
        cr_expect_eq(size, strlen(c->text), "%s", c->text);
    }
}

Test(decimal_text, the_widest_values_fit_the_buffer)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    const __int128 least = (__int128)((unsigned __int128)1 << 127);
    for (uint8_t scale = 0; scale <= DECIMAL_TEXT_SCALE_MAX; scale++) {
        cr_expect_lt(decimal_text_format(text, least, scale), DECIMAL_TEXT_BYTES_MAX);
        cr_expect_eq(text[0], '-');
        cr_expect_lt(decimal_text_format(text, -1, scale), DECIMAL_TEXT_BYTES_MAX);
    }
}

struct rescale_case {
    __int128 mantissa;
    uint8_t scale, target, digits_max;
    bool fits;
    __int128 result;
};

static const struct rescale_case rescale_table[] = {
    {127, 0, 8, 18, true, 12700000000},
    {0, 18, 0, 1, true, 0},
    {1270, 3, 2, 18, true, 127},
    {1271, 3, 2, 18, false, 0},
    {-1270, 3, 2, 18, true, -127},
    {9999999999, 0, 8, 18, true, 999999999900000000},
    {10000000000, 0, 8, 18, false, 0},
    {-10000000000, 0, 8, 18, false, 0},
    {INT64_MAX, 0, 16, 38, true, (__int128)INT64_MAX * 10000000000000000},
    {INT64_MAX, 0, 20, 38, false, 0},
    {INT64_MAX, 0, 38, 38, false, 0},
    {INT64_MIN, 18, 18, 38, true, INT64_MIN},
    {1, 18, 16, 38, false, 0},
    {100, 18, 16, 38, true, 1},
};

Test(decimal_text, rescaling_is_exact_or_refused)
{
    for (size_t i = 0; i < sizeof rescale_table / sizeof rescale_table[0]; i++) {
        const struct rescale_case *c = &rescale_table[i];
        __int128 result = 4711;
        const bool fits =
            decimal_text_rescale(c->mantissa, c->scale, c->target, c->digits_max, &result);
        cr_expect_eq(fits, c->fits, "case %zu", i);
        cr_expect(result == (c->fits ? c->result : 4711), "case %zu", i);
    }
}
