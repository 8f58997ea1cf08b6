// SPDX-License-Identifier: GPL-3.0-or-later
//
// parse_numbers: number text -> exact integers, for JSON libraries that have no decimals: what a
// careful user of theirs would write, eight digits behind the point at once. At least eight bytes
// behind the number are readable. From C and C++.
#ifndef RINGTAPE_BENCH_PARSE_NUMBERS_H
#define RINGTAPE_BENCH_PARSE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool numbers_eight(const char *at, uint64_t *value)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    const uint64_t high = 0xf0f0f0f0f0f0f0f0u, carried = word + 0x0606060606060606u;
    if (((word & high) | (carried & high) >> 4) != 0x3333333333333333u) return false;
    word = (word & 0x0f0f0f0f0f0f0f0fu) * 2561 >> 8;
    word = (word & 0x00ff00ff00ff00ffu) * 6553601 >> 16;
    *value = (word & 0x0000ffff0000ffffu) * 42949672960001u >> 32;
    return true;
}

static inline uint64_t numbers_digits(const char **at)
{
    uint64_t value = 0;
    while ((unsigned)(**at - '0') < 10) value = value * 10 + (uint64_t)(*(*at)++ - '0');
    return value;
}

// E-notation: Upbit writes 9.9E-7.
static inline bool numbers_exponent(const char *at, int64_t *mantissa, int32_t *scale)
{
    const bool minus = *at == '-';
    if (*at == '-' || *at == '+') at++;
    const int32_t exponent = (int32_t)numbers_digits(&at);
    *scale += minus ? exponent : -exponent;
    for (; *scale < 0; (*scale)++)
        if (__builtin_mul_overflow(*mantissa, (int64_t)10, mantissa)) return false;
    return *scale <= 18;
}

static inline bool numbers_decimal(const char *at, int64_t *mantissa, uint8_t *scale)
{
    const bool minus = *at == '-';
    if (minus) at++;
    const char *begin = at;
    uint64_t value = numbers_digits(&at);
    int32_t places = 0;
    if (*at == '.') {
        uint64_t eight;
        const char *point = ++at;
        if (numbers_eight(at, &eight)) {
            value = value * 100000000 + eight;
            at += 8;
        }
        while ((unsigned)(*at - '0') < 10) value = value * 10 + (uint64_t)(*at++ - '0');
        places = (int32_t)(at - point);
    }
    if (at - begin > 19 || at == begin) return false; // what does not surely fit an int64
    *mantissa = minus ? -(int64_t)value : (int64_t)value;
    if ((*at == 'E' || *at == 'e') && !numbers_exponent(at + 1, mantissa, &places)) return false;
    *scale = (uint8_t)places;
    return true;
}

// Milliseconds or microseconds, by their size, to nanoseconds.
static inline int64_t numbers_time_ns(uint64_t time)
{
    return (int64_t)(time < 100000000000000 ? time * 1000000 : time * 1000);
}

#endif
