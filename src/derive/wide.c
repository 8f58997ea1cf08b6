// SPDX-License-Identifier: GPL-3.0-or-later
//
// wide: see wide.h. Contract: what does not fit is refused, never cut.
#include "derive/wide.h"

#include "format/ensure.h"
#include "format/event.h"

wide wide_power(uint32_t exponent)
{
    static const int64_t powers[] = {
        1ll, 10ll, 100ll, 1000ll, 10000ll, 100000ll, 1000000ll, 10000000ll, 100000000ll,
        1000000000ll, 10000000000ll, 100000000000ll, 1000000000000ll, 10000000000000ll,
        100000000000000ll, 1000000000000000ll, 10000000000000000ll, 100000000000000000ll,
        1000000000000000000ll};
    ensure(exponent <= WIDE_DIGITS);
    if (exponent <= 18) return powers[exponent];
    if (exponent <= 36) return (wide)powers[18] * powers[exponent - 18];
    return (wide)powers[18] * powers[18] * powers[exponent - 36];
}

bool wide_raise(wide *value, uint32_t exponent)
{
    wide raised;
    if (*value == 0 || exponent == 0) return true;
    if (exponent > WIDE_DIGITS ||
        __builtin_mul_overflow(*value, wide_power(exponent), &raised))
        return false;
    *value = raised;
    return true;
}

bool wide_split(wide value, uint32_t scale, struct wide_parts *parts)
{
    ensure(value >= 0);
    while (scale > 0 && value % 10 == 0) {
        value /= 10;
        scale--;
    }
    uint32_t cut = 0;
    wide most = value;
    while (most > INT64_MAX || scale - cut > DECIMAL_SCALE_MAX) {
        if (cut == scale) return false;
        most /= 10;
        cut++;
    }
    const wide rest = value - most * wide_power(cut);
    if (rest > INT64_MAX || (rest != 0 && scale > DECIMAL_SCALE_MAX)) return false;
    *parts = (struct wide_parts){.mantissa = (int64_t)most,
                                 .rest = (int64_t)rest,
                                 .scale = (uint8_t)(scale - cut),
                                 .rest_scale = rest != 0 ? (uint8_t)scale : 0};
    return true;
}

// *whole becomes 10 * *whole + the next digit of remainder/denominator.
static bool ratio_digit(wide *whole, wide *remainder, wide denominator)
{
    *remainder *= 10; // < 10 * 2^120
    const wide digit = *remainder / denominator;
    *remainder %= denominator;
    return !__builtin_mul_overflow(*whole, (wide)10, whole) &&
           !__builtin_add_overflow(*whole, digit, whole);
}

bool wide_ratio(wide numerator, uint32_t numerator_scale, wide denominator,
                uint32_t denominator_scale, uint32_t decimals, wide *ratio)
{
    ensure(numerator >= 0 && denominator > 0);
    if (denominator >> 120 != 0) return false;
    int32_t digits = (int32_t)(decimals + denominator_scale) - (int32_t)numerator_scale;
    for (; digits < 0; digits++) {
        if (!wide_raise(&denominator, 1) || denominator >> 120 != 0) return false;
    }
    wide whole = numerator / denominator;
    wide remainder = numerator % denominator;
    for (; digits > 0; digits--) {
        if (!ratio_digit(&whole, &remainder, denominator)) return false;
    }
    const wide twice = 2 * remainder;
    if (twice > denominator || (twice == denominator && whole % 2 != 0)) whole++;
    *ratio = whole;
    return true;
}
