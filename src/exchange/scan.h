// SPDX-License-Identifier: GPL-3.0-or-later
//
// scan: what the schema-specific scanners are made of, here by words of eight bytes; scan_cells.h
// and scan_numbers.h go on from it. Each piece takes one thing and returns true, or returns false;
// the scanner then hands the whole message to the strict reader, so nothing here names an error,
// and anything may be refused.
//
// What is accepted means exactly what strict.h makes of it. No piece reads more than
// DIALECT_FRAME_PADDING bytes behind a message. All inline: this is the hot path.
#ifndef RINGTAPE_EXCHANGE_SCAN_H
#define RINGTAPE_EXCHANGE_SCAN_H

#include "exchange/strict.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif

// Inlined by order: left to themselves, compilers call the larger ones, and a quarter of the time
// goes into saving registers.
#define SCAN_INLINE static inline __attribute__((always_inline))

#define SCAN_ONES 0x0101010101010101ull
#define SCAN_HIGHS 0x8080808080808080ull

SCAN_INLINE uint64_t scan_word(const char *at)
{
    uint64_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

// Where the lowest bit is; 64 without any. With BMI one instruction.
SCAN_INLINE uint32_t scan_lowest(uint64_t bits)
{
    return bits == 0 ? 64 : (uint32_t)__builtin_ctzll(bits);
}

// Not 0 where the bytes at `at` are another literal. Written out in words: with a constant size all
// of it is folded, where compilers call memcmp(). For a shorter one eight bytes are read.
#define SCAN_DIFFER(at, literal) scan_differ((at), "" literal, sizeof(literal) - 1)

SCAN_INLINE uint64_t scan_differ(const char *at, const char *literal, size_t size)
{
    uint64_t differ = 0, head = 0;
    if (size < 8) {
        __builtin_memcpy(&head, literal, size);
        return (scan_word(at) ^ head) << (64 - 8 * size);
    }
    for (size_t i = 0; i + 8 < size; i += 8)
        differ |= scan_word(at + i) ^ scan_word(literal + i);
    return differ | (scan_word(at + size - 8) ^ scan_word(literal + size - 8));
}

// Zero in each byte that is '0' ... '9', as long as all bytes before it are.
SCAN_INLINE uint64_t scan_not_digits(uint64_t word)
{
    // A digit's high nibble is 3, and stays so when 6 is added.
    const uint64_t high = word & 0xf0 * SCAN_ONES;
    const uint64_t high_plus = (word + 0x06 * SCAN_ONES) & 0xf0 * SCAN_ONES;
    return (high | high_plus >> 4) ^ 0x33 * SCAN_ONES;
}

// The value of eight ASCII digits, first digit in the lowest byte.
SCAN_INLINE uint64_t scan_eight(uint64_t word)
{
    word -= 0x30 * SCAN_ONES;
    word = word * 10 + (word >> 8);
    return ((word & 0x000000ff000000ffull) * 0x000f424000000064ull +
            (word >> 16 & 0x000000ff000000ffull) * 0x0000271000000001ull) >>
           32;
}

static const uint64_t scan_power_of_ten[9] = {1,      10,      100,      1000,     10000,
                                              100000, 1000000, 10000000, 100000000};

// Up to eight digits at `at`: their count; *value becomes *value * 10^count + digits.
//
// What limits a scanner is the chain from one token's length to the next token's address. So eight
// digits are a branch of their own: where it is predicted, the chain is cut.
SCAN_INLINE uint32_t scan_digits(const char *at, uint64_t *value)
{
    const uint64_t word = scan_word(at);
    const uint64_t wrong = scan_not_digits(word);
    if (__builtin_expect(wrong == 0, 1)) {
        *value = *value * 100000000 + scan_eight(word);
        return 8;
    }
    const uint32_t count = (uint32_t)__builtin_ctzll(wrong) / 8;
    if (count == 0)
        return 0;
    // Shifted up, the digits end where eight would; what moves in below counts as zeros.
    const uint64_t digits = word << (64 - 8 * count) | 0x30 * SCAN_ONES >> (8 * count);
    *value = *value * scan_power_of_ten[count] + scan_eight(digits);
    return count;
}

// A non-negative integer of at most 18 digits, without leading zero. What follows it shows at the
// next literal.
SCAN_INLINE bool scan_integer(struct json_cursor *cursor, int64_t *integer)
{
    const char *at = cursor->at;
    uint64_t value = 0;
    uint32_t count = scan_digits(at, &value);
    if (count == 8) {
        count += scan_digits(at + 8, &value);
        if (count == 16)
            count += scan_digits(at + 16, &value);
    }
    at += count;
    if (count == 0 || count > 18 || at > cursor->end || (*cursor->at == '0' && count > 1))
        return false;
    *integer = (int64_t)value;
    cursor->at = at;
    return true;
}

// A non-negative number of at most sixteen digits before the point and as many after, 18 together.
// What follows it shows at the next literal.
SCAN_INLINE bool scan_decimal(struct json_cursor *cursor, int64_t *mantissa, uint8_t *scale)
{
    const char *at = cursor->at;
    uint64_t value = 0;
    uint32_t whole = scan_digits(at, &value);
    uint32_t places = 0;
    if (whole == 8)
        whole += scan_digits(at + 8, &value);
    // Not &&: whether a quantity begins with 0 is no thing to predict.
    if ((whole == 0) | ((whole > 1) & (*at == '0')))
        return false;
    at += whole;
    if (*at == '.') {
        places = scan_digits(++at, &value);
        if (places == 8)
            places += scan_digits(at + 8, &value);
        if (places == 0)
            return false;
        at += places;
    }
    if (whole + places > 18 || at > cursor->end)
        return false;
    *mantissa = (int64_t)value;
    *scale = (uint8_t)places;
    cursor->at = at;
    return true;
}

enum { SCAN_NAME_BYTES_MAX = 24 };

// How many bytes stand before the next `stop`: at most 32.
SCAN_INLINE uint32_t scan_find(const char *at, char stop)
{
#ifdef __AVX2__
    const __m256i same = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i_u *)at),
                                           _mm256_set1_epi8(stop));
    return (uint32_t)scan_lowest((uint32_t)_mm256_movemask_epi8(same) | 1ull << 32);
#else
    for (uint32_t i = 0; i < 32; i += 8) {
        const uint64_t word = scan_word(at + i) ^ (uint8_t)stop * SCAN_ONES;
        const uint64_t found = (word - SCAN_ONES) & ~word & SCAN_HIGHS;
        if (found != 0)
            return i + (uint32_t)__builtin_ctzll(found) / 8;
    }
    return 32;
#endif
}

#endif
