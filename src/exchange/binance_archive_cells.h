// SPDX-License-Identifier: GPL-3.0-or-later
//
// binance_archive_cells: cells of a line whose commas are found first, 64 bytes at a time, so that
// no cell waits for the end of the one before it. Only the usual forms, at most 16 characters: what
// is refused here is looked at again by the general way, which decides.
//
// x86-64 with AVX2; elsewhere there is only the general way.
#ifndef RINGTAPE_EXCHANGE_BINANCE_ARCHIVE_CELLS_H
#define RINGTAPE_EXCHANGE_BINANCE_ARCHIVE_CELLS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>

enum { CELL_BYTES_MAX = 16 };

// Bit n: byte n of the 64 at `line` is a comma.
static inline uint64_t cells_commas(const char *line)
{
    const __m256i comma = _mm256_set1_epi8(',');
    __m256i low = _mm256_loadu_si256((const __m256i_u *)line);
    __m256i high = _mm256_loadu_si256((const __m256i_u *)(line + 32));
    uint32_t first = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, comma));
    uint32_t second = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, comma));
    return (uint64_t)second << 32 | first;
}

// 16 bytes, each 0..9, the first the most significant.
static inline int64_t cell_sum(__m128i digits)
{
    __m128i pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a));        // 10, 1
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064));        // 100, 1
    __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours),
                                    _mm_set1_epi32(0x00012710));              // 10000, 1
    uint64_t halves = (uint64_t)_mm_cvtsi128_si64(eights);
    return (int64_t)((halves & UINT32_MAX) * 100000000u + (halves >> 32));
}

// The lanes as digits; *others: the bits of those in `mask` that are none.
static inline __m128i cell_digits(__m128i bytes, uint32_t mask, uint32_t *others)
{
    __m128i digits = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    __m128i good = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    *others = ~(uint32_t)_mm_movemask_epi8(good) & mask;
    return digits;
}

// Digits with a point among them or without one, `size` characters. False: another form.
static inline bool cell_decimal(const char *at, uint32_t size, int64_t *value, uint8_t *scale)
{
    const __m128i lanes = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const uint32_t mask = size <= CELL_BYTES_MAX ? (1u << size) - 1 : 0;
    __m128i bytes = _mm_loadu_si128((const __m128i_u *)at);
    uint32_t others;
    __m128i digits = cell_digits(bytes, mask, &others);
    uint32_t point = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.'))) & mask;
    uint32_t whole = (uint32_t)__builtin_ctz(others | (mask + 1));
    uint32_t places = size - whole - (others != 0);
    // Lane n takes digit n - (16 - count): to the right, the point left out, zeros before.
    uint32_t count = size - (others != 0);
    __m128i source = _mm_add_epi8(lanes, _mm_set1_epi8((char)(count - CELL_BYTES_MAX)));
    source = _mm_sub_epi8(source, _mm_cmpgt_epi8(source, _mm_set1_epi8((char)(whole - 1))));
    *value = cell_sum(_mm_shuffle_epi8(digits, source));
    *scale = (uint8_t)places;
    unsigned bad = (mask == 0) | (others != point) | ((others & (others - 1)) != 0) |
                   (whole == 0) | ((others != 0) & (places == 0)) | ((*at == '0') & (whole > 1));
    return bad == 0;
}

// `size` digits.
static inline bool cell_integer(const char *at, uint32_t size, int64_t *value)
{
    const __m128i lanes = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const uint32_t mask = size <= CELL_BYTES_MAX ? (1u << size) - 1 : 0;
    __m128i bytes = _mm_loadu_si128((const __m128i_u *)at);
    uint32_t others;
    __m128i digits = cell_digits(bytes, mask, &others);
    __m128i source = _mm_add_epi8(lanes, _mm_set1_epi8((char)(size - CELL_BYTES_MAX)));
    *value = cell_sum(_mm_shuffle_epi8(digits, source));
    return mask != 0 && others == 0 && (*at != '0' || size == 1);
}

// "True" or "true", "False" or "false"; how many bytes, of other bytes anything.
static inline uint32_t cell_boolean(const char *at, bool *value, unsigned *bad)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    word |= 0x2020202020202020;
    bool yes = (uint32_t)word == 0x65757274;              // "true", little-endian
    bool no = (word & 0xffffffffffu) == 0x65736c6166;     // "false"
    *value = yes;
    *bad |= !(yes | no);
    return 5 - yes;
}
#endif

#endif
