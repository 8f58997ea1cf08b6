// SPDX-License-Identifier: GPL-3.0-or-later
//
// scan_numbers: the numbers of messages, two at a time.
//
// A cell is the text of a number whose ends are known. Two cells are brought into the halves of one
// 32-byte register, their digits moved to its ends and the points left out by a shuffle, and both
// multiplied out by three multiplications for all digits. There is no branch on how many digits
// there are: that is nothing to predict.
//
// What is unusual (above sixteen characters, exponents, signs) goes the general way of json.h, with
// the same result. Without AVX2 all does.
#ifndef RINGTAPE_EXCHANGE_SCAN_NUMBERS_H
#define RINGTAPE_EXCHANGE_SCAN_NUMBERS_H

#include "exchange/scan.h"

enum { SCAN_CELL_BYTES_MAX = 32 }; // of a number; longer ones are left to the strict reader

struct scan_cell {
    const char *at;  // SCAN_CELL_BYTES_MAX bytes are readable, wherever the end
    const char *end; // not taken; before `at` where the message is none
};

SCAN_INLINE size_t scan_size(struct scan_cell cell)
{
    return (size_t)(cell.end - cell.at);
}

struct scan_decimals {
    int64_t mantissa[2];
    uint8_t scale[2];
};

#ifdef __AVX2__

// Windows into these tables: what to load begins at an offset that is a count.

// From scan_moves + digits on: the index of each byte's source where so many digits move to the end
// of sixteen bytes. 0x80 and more give zero.
static const uint8_t scan_moves[32] = {
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
};
// From scan_steps + places on: -1 for the last bytes, whose source is behind the point.
static const int8_t scan_steps[32] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};
// From scan_own + digits before the point on: -1 for those of the last sixteen bytes that are of a
// number with a point and eight places.
static const int8_t scan_own[24] = {
    0,  0,  0,  0,  0,  0,  0,  -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};
// The least mantissa of so many digits before the point and eight behind it: below it the first is
// 0. Eight digits do not fit in sixteen bytes: whatever is read then is below.
static const int64_t scan_least_eighths[9] = {
    0, 0, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000,
    INT64_MAX,
};
// The least integer of so many digits.
static const int64_t scan_least[17] = {
    0, 0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
    100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000,
};

SCAN_INLINE __m128i scan_half(const void *at)
{
    return _mm_loadu_si128((const __m128i_u *)at);
}

SCAN_INLINE __m256i scan_both(const void *low, const void *high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(scan_half(low)), scan_half(high), 1);
}

SCAN_INLINE __m256i scan_twice(const void *at)
{
    return _mm256_broadcastsi128_si256(scan_half(at));
}

// Two times sixteen digits (values, not characters) to two numbers.
SCAN_INLINE __m256i scan_sixteens(__m256i digits)
{
    const __m256i tens = _mm256_set1_epi16(1 << 8 | 10);
    const __m256i hundreds = _mm256_set1_epi32(1 << 16 | 100);
    const __m256i ten_thousands = _mm256_set1_epi32(1 << 16 | 10000);
    const __m256i twos = _mm256_maddubs_epi16(digits, tens);
    const __m256i fours = _mm256_madd_epi16(twos, hundreds);
    const __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), ten_thousands);
    return _mm256_add_epi64(_mm256_mul_epu32(eights, _mm256_set1_epi64x(100000000)),
                            _mm256_srli_epi64(eights, 32));
}

SCAN_INLINE bool scan_all_digits(__m256i digits)
{
    const __m256i above = _mm256_subs_epu8(digits, _mm256_set1_epi8(9));
    return _mm256_testz_si256(above, above) != 0;
}

SCAN_INLINE int64_t scan_low(__m256i values)
{
    return _mm_cvtsi128_si64(_mm256_castsi256_si128(values));
}

SCAN_INLINE int64_t scan_high(__m256i values)
{
    return _mm_cvtsi128_si64(_mm256_extracti128_si256(values, 1));
}

// Where a number's point is.
struct scan_layout {
    size_t digits; // all of them
    size_t places; // behind the point
    bool wrong;    // a leading zero, or no digit before the point
};

// `points`: bit i, there is a point at byte i; what lies behind the cell does not matter.
SCAN_INLINE struct scan_layout scan_layout(struct scan_cell cell, uint32_t points)
{
    const size_t size = scan_size(cell);
    const size_t whole = (size_t)__builtin_ctz(points | 1u << size);
    const size_t rest = size - whole; // with the point
    // A point at the end stays where it is, and is found to be no digit.
    const bool point = rest > 1;
    return (struct scan_layout){
        .digits = size - point,
        .places = point ? rest - 1 : 0,
        .wrong = (*cell.at <= '0') & (whole != 1),
    };
}

#endif // __AVX2__

// The general way: long numbers, exponents, refusals.
static inline bool scan_decimal_slowly(struct scan_cell cell, int64_t *mantissa, uint8_t *scale)
{
    struct json_cursor cursor = {cell.at, cell.end};
    if (scan_size(cell) - 1 >= SCAN_CELL_BYTES_MAX)
        return false;
    if (scan_decimal(&cursor, mantissa, scale) && json_cursor_done(&cursor))
        return true;
    cursor.at = cell.at;
    return json_cursor_decimal(&cursor, mantissa, scale) && json_cursor_done(&cursor);
}

static __attribute__((noinline)) bool scan_decimals_slowly(struct scan_cell a, struct scan_cell b,
                                                           struct scan_decimals *two)
{
    return scan_decimal_slowly(a, &two->mantissa[0], &two->scale[0]) &&
           scan_decimal_slowly(b, &two->mantissa[1], &two->scale[1]);
}

// Field by field: what has an address does not stay in registers.
SCAN_INLINE bool scan_two_aside(struct scan_cell a, struct scan_cell b, struct scan_decimals *two)
{
    struct scan_decimals slow;
    if (!scan_decimals_slowly(a, b, &slow))
        return false;
    two->mantissa[0] = slow.mantissa[0];
    two->mantissa[1] = slow.mantissa[1];
    two->scale[0] = slow.scale[0];
    two->scale[1] = slow.scale[1];
    return true;
}

// -1 where it is none.
static __attribute__((noinline)) int64_t scan_integer_slowly(struct scan_cell cell)
{
    struct json_cursor cursor = {cell.at, cell.end};
    int64_t integer;
    if (scan_size(cell) - 1 >= SCAN_CELL_BYTES_MAX || !scan_integer(&cursor, &integer) ||
        !json_cursor_done(&cursor))
        return -1;
    return integer;
}

// Two decimals at once.
SCAN_INLINE bool scan_two_decimals(struct scan_cell a, struct scan_cell b,
                                   struct scan_decimals *two)
{
#ifdef __AVX2__
    if (__builtin_expect(((scan_size(a) - 1) | (scan_size(b) - 1)) < 16, 1)) {
        const __m256i text = scan_both(a.at, b.at);
        const uint32_t points =
            (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('.')));
        const struct scan_layout of_a = scan_layout(a, points);
        const struct scan_layout of_b = scan_layout(b, points >> 16);
        const __m256i moves =
            _mm256_sub_epi8(scan_both(scan_moves + of_a.digits, scan_moves + of_b.digits),
                            scan_both(scan_steps + of_a.places, scan_steps + of_b.places));
        const __m256i digits =
            _mm256_shuffle_epi8(_mm256_sub_epi8(text, _mm256_set1_epi8('0')), moves);
        const __m256i values = scan_sixteens(digits);
        two->mantissa[0] = scan_low(values);
        two->mantissa[1] = scan_high(values);
        two->scale[0] = (uint8_t)of_a.places;
        two->scale[1] = (uint8_t)of_b.places;
        if (__builtin_expect(scan_all_digits(digits), 1) && !(of_a.wrong | of_b.wrong))
            return true;
    }
#endif
    return scan_two_aside(a, b, two);
}

// The same for decimals that mostly have eight places and at most sixteen characters, as those of
// Binance spot: where the point is need not be found. Sixteen bytes before either's end are
// readable.
SCAN_INLINE bool scan_two_eighths(struct scan_cell a, struct scan_cell b,
                                  struct scan_decimals *two)
{
#ifdef __AVX2__
    const size_t whole_a = scan_size(a) - 9, whole_b = scan_size(b) - 9; // before the point
    if (__builtin_expect(((whole_a - 1) | (whole_b - 1)) < 8, 1)) {
        static const uint8_t most[16] = {9, 9, 9, 9, 9, 9, 9, 0, 9, 9, 9, 9, 9, 9, 9, 9};
        static const uint8_t moves[16] = {0x80, 0, 1,  2,  3,  4,  5,  6,
                                          8,    9, 10, 11, 12, 13, 14, 15};
        const __m256i own = scan_both(scan_own + whole_a, scan_own + whole_b);
        const __m256i text = scan_both(a.end - 16, b.end - 16);
        // Values of digits, and 0 for the point; anything else is more than that.
        const __m256i bytes =
            _mm256_and_si256(_mm256_sub_epi8(text, scan_twice("0000000.00000000")), own);
        const __m256i above = _mm256_subs_epu8(bytes, scan_twice(most));
        const __m256i values = scan_sixteens(_mm256_shuffle_epi8(bytes, scan_twice(moves)));
        const int64_t mantissa_a = scan_low(values), mantissa_b = scan_high(values);
        *two = (struct scan_decimals){{mantissa_a, mantissa_b}, {8, 8}};
        if (__builtin_expect(_mm256_testz_si256(above, above), 1) &&
            mantissa_a >= scan_least_eighths[whole_a] && mantissa_b >= scan_least_eighths[whole_b])
            return true;
    }
#endif
    return scan_two_aside(a, b, two);
}

// Two non-negative integers at once.
SCAN_INLINE bool scan_two_integers(struct scan_cell a, struct scan_cell b, int64_t two[2])
{
#ifdef __AVX2__
    if (__builtin_expect(((scan_size(a) - 1) | (scan_size(b) - 1)) < 16, 1)) {
        const __m256i text = _mm256_sub_epi8(scan_both(a.at, b.at), _mm256_set1_epi8('0'));
        const size_t digits_a = scan_size(a), digits_b = scan_size(b);
        const __m256i digits =
            _mm256_shuffle_epi8(text, scan_both(scan_moves + digits_a, scan_moves + digits_b));
        const __m256i values = scan_sixteens(digits);
        two[0] = scan_low(values);
        two[1] = scan_high(values);
        if (__builtin_expect(scan_all_digits(digits), 1) && two[0] >= scan_least[digits_a] &&
            two[1] >= scan_least[digits_b])
            return true;
    }
#endif
    two[0] = scan_integer_slowly(a);
    two[1] = scan_integer_slowly(b);
    return (two[0] | two[1]) >= 0;
}

// A non-negative integer.
SCAN_INLINE bool scan_one_integer(struct scan_cell cell, int64_t *integer)
{
#ifdef __AVX2__
    if (__builtin_expect(scan_size(cell) - 1 < 16, 1)) {
        const __m128i text = _mm_sub_epi8(scan_half(cell.at), _mm_set1_epi8('0'));
        const __m128i moves = scan_half(scan_moves + scan_size(cell));
        const __m256i digits = _mm256_zextsi128_si256(_mm_shuffle_epi8(text, moves));
        *integer = scan_low(scan_sixteens(digits));
        if (__builtin_expect(scan_all_digits(digits), 1) && *integer >= scan_least[scan_size(cell)])
            return true;
    }
#endif
    *integer = scan_integer_slowly(cell);
    return *integer >= 0;
}

#endif
