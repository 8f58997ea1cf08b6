// SPDX-License-Identifier: GPL-3.0-or-later
//
// wide: 128-bit integers with a decimal scale: sums and ratios of prices and quantities, exact.
// Nothing here rounds but wide_ratio(), half to even. Pure.
#ifndef RINGTAPE_DERIVE_WIDE_H
#define RINGTAPE_DERIVE_WIDE_H

#include <stdbool.h>
#include <stdint.h>

typedef __int128 wide;

enum { WIDE_DIGITS = 38 }; // 10^38 is the largest power that fits

// 10^exponent; exponent 0 ... WIDE_DIGITS.
wide wide_power(uint32_t exponent);
// *value *= 10^exponent; false and unchanged where it does not fit.
bool wide_raise(wide *value, uint32_t exponent);

// A value >= 0 as one or two decimals of 64 bits: mantissa/10^scale + rest/10^rest_scale.
struct wide_parts {
    int64_t mantissa;
    int64_t rest; // 0: there is none
    uint8_t scale;
    uint8_t rest_scale;
};
// The first part has as many digits as fit. False: more digits than both hold, or more than 18
// decimals that are not 0.
bool wide_split(wide value, uint32_t scale, struct wide_parts *parts);

// numerator/10^numerator_scale : denominator/10^denominator_scale, rounded half to even at
// `decimals`, as an integer of that scale. Both >= 0, the denominator > 0 and < 2^120. False: it
// does not fit.
bool wide_ratio(wide numerator, uint32_t numerator_scale, wide denominator,
                uint32_t denominator_scale, uint32_t decimals, wide *ratio);

#endif
