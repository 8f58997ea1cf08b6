// SPDX-License-Identifier: GPL-3.0-or-later
//
// Digits are made in pairs: a division by 100 costs as much as one by 10.
#include "tools/replay_text.h"

#include "format/ensure.h"
#include "tools/exchange_sim_text.h"

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                            "34353637383940414243444546474849505152535455565758596061626364656667"
                            "6869707172737475767778798081828384858687888990919293949596979899";

static const int64_t powers[DECIMAL_SCALE_MAX + 1] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
    100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000,
    10000000000000000, 100000000000000000, 1000000000000000000};

char *replay_padded(char *at, uint64_t value, uint32_t digits)
{
    uint32_t i = digits;
    for (; i >= 2; i -= 2) {
        memcpy(at + i - 2, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (i == 1) at[0] = (char)('0' + value % 10);
    return at + digits;
}

char *replay_decimal(char *at, int64_t mantissa, uint8_t scale, uint8_t places)
{
    ensure(scale <= DECIMAL_SCALE_MAX && places <= DECIMAL_SCALE_MAX);
    uint64_t value = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    if (mantissa < 0) *at++ = '-';
    // Blocks share a scale: the zeros it brought are not the exchange's.
    for (; scale > places && value % 10 == 0; scale--) value /= 10;
    const uint64_t power = (uint64_t)powers[scale];
    const uint64_t whole = value / power;
    at = message_integer(at, (int64_t)whole);
    if (scale == 0 && places == 0) return at;
    *at++ = '.';
    at = replay_padded(at, value - whole * power, scale);
    for (; scale < places; scale++) *at++ = '0';
    return at;
}

char *replay_date(char *at, int64_t time_ns, const char *separator)
{
    const struct exchange_sim_calendar day = exchange_sim_text_calendar(time_ns / 1000);
    const size_t size = strlen(separator);
    at = replay_padded(at, (uint64_t)day.year, 4);
    at = replay_put(at, separator, size);
    at = replay_padded(at, (uint64_t)day.month, 2);
    at = replay_put(at, separator, size);
    return replay_padded(at, (uint64_t)day.day, 2);
}

char *replay_clock(char *at, int64_t time_ns, const char *separator)
{
    const struct exchange_sim_calendar day = exchange_sim_text_calendar(time_ns / 1000);
    const size_t size = strlen(separator);
    at = replay_padded(at, (uint64_t)(day.second / 3600), 2);
    at = replay_put(at, separator, size);
    at = replay_padded(at, (uint64_t)(day.second / 60 % 60), 2);
    at = replay_put(at, separator, size);
    return replay_padded(at, (uint64_t)(day.second % 60), 2);
}

bool replay_difference(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale, int64_t *mantissa,
                       uint8_t *scale)
{
    ensure(a_scale <= DECIMAL_SCALE_MAX && b_scale <= DECIMAL_SCALE_MAX);
    *scale = a_scale > b_scale ? a_scale : b_scale;
    const __int128 difference = (__int128)a * powers[*scale - a_scale] -
                                (__int128)b * powers[*scale - b_scale];
    if (difference > INT64_MAX || difference < -INT64_MAX) return false;
    *mantissa = (int64_t)difference;
    return true;
}
