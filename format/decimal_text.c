// SPDX-License-Identifier: Apache-2.0
//
// Digits are produced from the back of a buffer; a 128-bit mantissa is cut into parts of 18 digits
// first, because dividing 128-bit numbers digit by digit costs ten times as much.
#include "format/decimal_text.h"

#include "format/ensure.h"
#include <string.h>

enum { PART_DIGITS = 18, DIGITS_MAX = 39 };

static const uint64_t part_value = 1000000000000000000u; // 10^18

// The last `digits` digits of `value` end at `end`; returns their begin. Zero has no digits.
static char *decimal_text_digits(char *end, uint64_t value, int digits)
{
    for (int i = 0; digits ? i < digits : value != 0; i++) {
        *--end = (char)('0' + value % 10);
        value /= 10;
    }
    return end;
}

static char *decimal_text_magnitude(char *end, unsigned __int128 magnitude)
{
    while (magnitude >= part_value) {
        end = decimal_text_digits(end, (uint64_t)(magnitude % part_value), PART_DIGITS);
        magnitude /= part_value;
    }
    return decimal_text_digits(end, (uint64_t)magnitude, 0);
}

size_t decimal_text_format(char out[DECIMAL_TEXT_BYTES_MAX], __int128 mantissa, uint8_t scale)
{
    ensure(scale <= DECIMAL_TEXT_SCALE_MAX);
    const bool negative = mantissa < 0;
    const unsigned __int128 magnitude =
        negative ? (unsigned __int128)0 - (unsigned __int128)mantissa : (unsigned __int128)mantissa;
    char digits[DIGITS_MAX + DECIMAL_TEXT_SCALE_MAX + 1];
    char *end = digits + sizeof digits;
    char *begin = decimal_text_magnitude(end, magnitude);
    while (end - begin < scale + 1) *--begin = '0'; // "0.00…": one digit before the point
    char *point = end - scale;
    while (end > point && end[-1] == '0') end--;

    char *next = out;
    if (negative) *next++ = '-';
    memcpy(next, begin, (size_t)(point - begin));
    next += point - begin;
    if (end > point) {
        *next++ = '.';
        memcpy(next, point, (size_t)(end - point));
        next += end - point;
    }
    *next = 0;
    ensure(next - out < DECIMAL_TEXT_BYTES_MAX);
    return (size_t)(next - out);
}

static unsigned __int128 decimal_text_power(uint8_t exponent)
{
    static const uint64_t power[] = {
        1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
        100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000,
        10000000000000000, 100000000000000000, 1000000000000000000, 10000000000000000000u,
    };
    ensure(exponent <= DECIMAL_TEXT_SCALE_MAX); // 10^38 < 2^127
    if (exponent < 20) return power[exponent];
    return (unsigned __int128)power[19] * power[exponent - 19];
}

bool decimal_text_rescale(__int128 mantissa, uint8_t scale, uint8_t target, uint8_t digits_max,
                          __int128 *out)
{
    ensure(scale <= DECIMAL_TEXT_SCALE_MAX && target <= DECIMAL_TEXT_SCALE_MAX);
    ensure(digits_max >= 1 && digits_max <= DECIMAL_TEXT_SCALE_MAX);
    const __int128 limit = (__int128)decimal_text_power(digits_max); // magnitudes below it fit
    __int128 result;
    if (target < scale) {
        const __int128 divisor = (__int128)decimal_text_power((uint8_t)(scale - target));
        if (mantissa % divisor != 0) return false;
        result = mantissa / divisor;
    } else {
        const __int128 factor = (__int128)decimal_text_power((uint8_t)(target - scale));
        if (__builtin_mul_overflow(mantissa, factor, &result)) return false;
    }
    if (result >= limit || result <= -limit) return false;
    *out = result;
    return true;
}
