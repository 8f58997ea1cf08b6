// SPDX-License-Identifier: GPL-3.0-or-later
//
// Numbers are made digit by digit from integers: nothing here is ever a floating-point number.
#include "tools/exchange_sim_text.h"

#include <string.h>

#include "format/ensure.h"

struct exchange_sim_text exchange_sim_text(void *memory, uint32_t size)
{
    ensure(memory != NULL);
    char *const start = memory;
    return (struct exchange_sim_text){.start = start, .at = start, .end = start + size};
}

uint32_t exchange_sim_text_size(const struct exchange_sim_text *text)
{
    ensure(text->at >= text->start && text->at <= text->end);
    return (uint32_t)(text->at - text->start);
}

void exchange_sim_text_bytes(struct exchange_sim_text *text, const void *bytes, uint32_t size)
{
    if (text->full || (uint32_t)(text->end - text->at) < size) {
        text->full = true;
        return;
    }
    memcpy(text->at, bytes, size);
    text->at += size;
}

void exchange_sim_text_string(struct exchange_sim_text *text, const char *string)
{
    exchange_sim_text_bytes(text, string, (uint32_t)strlen(string));
}

void exchange_sim_text_padded(struct exchange_sim_text *text, int64_t value, int digits)
{
    char buffer[20];
    ensure(value >= 0);
    ensure(digits > 0 && digits <= (int)sizeof buffer);
    // Two at a time: a division takes longer than all the rest.
    uint64_t left = (uint64_t)value;
    int i = digits;
    for (; i >= 2; i -= 2) {
        uint64_t const pair = left % 100;
        left /= 100;
        buffer[i - 1] = (char)('0' + pair % 10);
        buffer[i - 2] = (char)('0' + pair / 10);
    }
    if (i == 1)
        buffer[0] = (char)('0' + left % 10);
    exchange_sim_text_bytes(text, buffer, (uint32_t)digits);
}

static const int64_t powers[] = {1,
                                 10,
                                 100,
                                 1000,
                                 10000,
                                 100000,
                                 1000000,
                                 10000000,
                                 100000000,
                                 1000000000,
                                 10000000000,
                                 100000000000,
                                 1000000000000,
                                 10000000000000,
                                 100000000000000,
                                 1000000000000000,
                                 10000000000000000,
                                 100000000000000000,
                                 1000000000000000000};
enum { POWERS = sizeof powers / sizeof powers[0] };

static int decimal_digits(int64_t value)
{
    int digits = 1;
    while (digits < POWERS && value >= powers[digits])
        digits++;
    return digits;
}

void exchange_sim_text_integer(struct exchange_sim_text *text, int64_t value)
{
    ensure(value != INT64_MIN);
    if (value < 0) {
        EXCHANGE_SIM_TEXT(text, "-");
        value = -value;
    }
    exchange_sim_text_padded(text, value, decimal_digits(value));
}

static int64_t power_of_ten(int exponent)
{
    ensure(exponent >= 0 && exponent < POWERS);
    return powers[exponent];
}

static void text_fraction(struct exchange_sim_text *text, int64_t fraction, int scale, int places)
{
    ensure(scale >= 0 && places >= scale);
    if (places == 0)
        return;
    EXCHANGE_SIM_TEXT(text, ".");
    if (scale > 0)
        exchange_sim_text_padded(text, fraction, scale);
    static const char zeros[] = "0000000000000000000";
    ensure(places - scale < (int)sizeof zeros);
    exchange_sim_text_bytes(text, zeros, (uint32_t)(places - scale));
}

void exchange_sim_text_decimal(struct exchange_sim_text *text, int64_t mantissa, int scale,
                               int places)
{
    if (mantissa < 0) {
        EXCHANGE_SIM_TEXT(text, "-");
        mantissa = -mantissa;
    }
    int64_t const power = power_of_ten(scale);
    exchange_sim_text_integer(text, mantissa / power);
    text_fraction(text, mantissa % power, scale, places);
}

// Apart from the one above, because dividing 128 bits takes ten times as long.
void exchange_sim_text_wide(struct exchange_sim_text *text, __int128 mantissa, int scale,
                            int places)
{
    ensure(mantissa >= 0);
    int64_t const power = power_of_ten(scale);
    exchange_sim_text_integer(text, (int64_t)(mantissa / power));
    text_fraction(text, (int64_t)(mantissa % power), scale, places);
}

static void text_exponent(struct exchange_sim_text *text, int64_t mantissa, int scale)
{
    int const digits = decimal_digits(mantissa);
    exchange_sim_text_decimal(text, mantissa, digits - 1, digits == 1 ? 1 : digits - 1);
    EXCHANGE_SIM_TEXT(text, "E");
    exchange_sim_text_integer(text, digits - 1 - scale);
}

void exchange_sim_text_double(struct exchange_sim_text *text, int64_t mantissa, int scale)
{
    if (mantissa < 0) {
        EXCHANGE_SIM_TEXT(text, "-");
        mantissa = -mantissa;
    }
    for (; scale > 0 && mantissa % 10 == 0; scale--)
        mantissa /= 10;
    if (mantissa != 0 && scale >= 4 && mantissa < power_of_ten(scale - 3))
        text_exponent(text, mantissa, scale);
    else
        exchange_sim_text_decimal(text, mantissa, scale, scale == 0 ? 1 : scale);
}

void exchange_sim_text_quoted(struct exchange_sim_text *text, const char *bytes, uint32_t size)
{
    static const char hex[] = "0123456789abcdef";
    EXCHANGE_SIM_TEXT(text, "\"");
    for (uint32_t i = 0; i < size; i++) {
        unsigned char const c = (unsigned char)bytes[i];
        if (c < 0x20) {
            char const escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            exchange_sim_text_bytes(text, escape, sizeof escape);
            continue;
        }
        if (c == '"' || c == '\\')
            EXCHANGE_SIM_TEXT(text, "\\");
        exchange_sim_text_bytes(text, bytes + i, 1);
    }
    EXCHANGE_SIM_TEXT(text, "\"");
}

// Days to date: Howard Hinnant's civil_from_days, for years after 1970.
struct exchange_sim_calendar exchange_sim_text_calendar(int64_t us)
{
    ensure(us >= 0);
    int64_t const days = us / 86400000000 + 719468;
    int64_t const era = days / 146097;
    int64_t const doe = days - era * 146097;
    int64_t const yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t const doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t const mp = (5 * doy + 2) / 153;
    int const month = (int)(mp < 10 ? mp + 3 : mp - 9);
    return (struct exchange_sim_calendar){
        .year = (int)(yoe + era * 400 + (month <= 2 ? 1 : 0)),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .second = (int)(us / 1000000 % 86400),
    };
}

void exchange_sim_text_date(struct exchange_sim_text *text,
                            const struct exchange_sim_calendar *calendar, const char *separator)
{
    exchange_sim_text_padded(text, calendar->year, 4);
    exchange_sim_text_string(text, separator);
    exchange_sim_text_padded(text, calendar->month, 2);
    exchange_sim_text_string(text, separator);
    exchange_sim_text_padded(text, calendar->day, 2);
}

void exchange_sim_text_clock(struct exchange_sim_text *text,
                             const struct exchange_sim_calendar *calendar, const char *separator)
{
    exchange_sim_text_padded(text, calendar->second / 3600, 2);
    exchange_sim_text_string(text, separator);
    exchange_sim_text_padded(text, calendar->second / 60 % 60, 2);
    exchange_sim_text_string(text, separator);
    exchange_sim_text_padded(text, calendar->second % 60, 2);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

uint32_t exchange_sim_text_url_decode(char *text, uint32_t size)
{
    uint32_t target = 0;
    for (uint32_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < size && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        text[target++] = c;
    }
    ensure(target <= size);
    return target;
}

bool exchange_sim_text_query(const char *query, uint32_t query_size, const char *name, char *value,
                             uint32_t value_size)
{
    size_t const name_size = strlen(name);
    const char *at = query;
    const char *const end = query + query_size;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        if ((size_t)(stop - at) > name_size && memcmp(at, name, name_size) == 0 &&
            at[name_size] == '=') {
            uint32_t size = (uint32_t)((size_t)(stop - at) - name_size - 1);
            if (size >= value_size)
                return false;
            memcpy(value, at + name_size + 1, size);
            size = exchange_sim_text_url_decode(value, size);
            value[size] = '\0';
            return true;
        }
        at = stop + 1;
    }
    return false;
}

int64_t exchange_sim_text_number(const char *text, int64_t fallback)
{
    int64_t value = 0;
    if (*text == '\0')
        return fallback;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > INT64_MAX / 10 - 10)
            return fallback;
        value = value * 10 + (*text - '0');
    }
    return value;
}
