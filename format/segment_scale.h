// SPDX-License-Identifier: Apache-2.0
//
// segment_scale: the smallest scale that holds all decimals of a column exactly, found one by one.
#ifndef RINGTAPE_FORMAT_SEGMENT_SCALE_H
#define RINGTAPE_FORMAT_SEGMENT_SCALE_H

#include <stdbool.h>
#include <stdint.h>

struct scale_track {
    uint8_t scale;
    uint64_t magnitude; // largest |mantissa| at this scale
};

static const uint64_t scale_powers[19] = {
    1ull,
    10ull,
    100ull,
    1000ull,
    10000ull,
    100000ull,
    1000000ull,
    10000000ull,
    100000000ull,
    1000000000ull,
    10000000000ull,
    100000000000ull,
    1000000000000ull,
    10000000000000ull,
    100000000000000ull,
    1000000000000000ull,
    10000000000000000ull,
    100000000000000000ull,
    1000000000000000000ull,
};

// False: the value cannot share a scale with those before; the track is unchanged. A magnitude of
// 2^63 (INT64_MIN) fits only where nothing has to be multiplied.
static inline bool scale_add(struct scale_track *track, int64_t mantissa, uint8_t scale)
{
    uint64_t magnitude = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    if (magnitude == 0)
        return true;
    while (scale > track->scale && magnitude % 10 == 0) {
        magnitude /= 10;
        scale--;
    }
    struct scale_track next = *track;
    if (scale > track->scale) {
        uint64_t factor = scale_powers[scale - track->scale];
        if (next.magnitude > INT64_MAX / factor)
            return false;
        next.magnitude *= factor;
        next.scale = scale;
    } else if (scale < track->scale) {
        uint64_t factor = scale_powers[track->scale - scale];
        if (magnitude > INT64_MAX / factor)
            return false;
        magnitude *= factor;
    }
    if (magnitude > next.magnitude)
        next.magnitude = magnitude;
    *track = next;
    return true;
}

// The same value at another scale; scale_add() has said that it is exact.
static inline int64_t scale_move(int64_t mantissa, uint8_t from, uint8_t to)
{
    if (from == to || mantissa == 0)
        return mantissa;
    if (from < to)
        return (int64_t)((uint64_t)mantissa * scale_powers[to - from]);
    return mantissa / (int64_t)scale_powers[from - to];
}

// Division by a power of ten where there is no remainder: a shift and a product with the inverse of
// the power of five modulo 2^64 instead of 10 to 18 cycles for each value.
struct scale_divisor {
    unsigned shift;
    uint64_t inverse;
    uint64_t power;
};

static inline struct scale_divisor scale_divisor_of(unsigned places)
{
    uint64_t five = scale_powers[places] >> places;
    uint64_t inverse = five;
    for (int turn = 0; turn < 5; turn++) // Newton: twice as many bits are right each time
        inverse *= 2 - five * inverse;
    return (struct scale_divisor){places, inverse, scale_powers[places]};
}

static inline int64_t scale_divide(const struct scale_divisor *divisor, int64_t value)
{
    return (int64_t)((uint64_t)(value >> divisor->shift) * divisor->inverse);
}

// Is there no remainder? Then *quotient is the value divided.
static inline bool scale_divides(const struct scale_divisor *divisor, int64_t value,
                                 int64_t *quotient)
{
    int64_t most = (int64_t)(INT64_MAX / divisor->power);
    *quotient = scale_divide(divisor, value);
    return *quotient <= most && *quotient >= -most &&
           (uint64_t)*quotient * divisor->power == (uint64_t)value;
}

#endif
