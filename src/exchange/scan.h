// SPDX-License-Identifier: GPL-3.0-or-later
//
// scan: the pieces of the schema-specific scanners. Each takes one thing at the cursor and returns
// true, or returns false; the scanner then hands the whole message to the strict reader, so nothing
// here names an error, and anything unusual (signs, exponents, escapes, long numbers) is refused.
//
// What is accepted means exactly what strict.h makes of it. No piece leaves the cursor beyond the
// end, and none reads more than DIALECT_FRAME_PADDING bytes behind it. All inline: this is the hot
// path.
#ifndef RINGTAPE_EXCHANGE_SCAN_H
#define RINGTAPE_EXCHANGE_SCAN_H

#include "exchange/strict.h"

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

SCAN_INLINE uint32_t scan_half(const char *at)
{
    uint32_t half;
    __builtin_memcpy(&half, at, sizeof half);
    return half;
}

// A literal of at most DIALECT_FRAME_PADDING bytes. Written out in words: with a constant size all
// of it is folded, where compilers call memcmp() for the longer ones.
#define SCAN_EXPECT(cursor, literal) scan_expect((cursor), "" literal, sizeof(literal) - 1)

SCAN_INLINE bool scan_expect(struct json_cursor *cursor,
                                                              const char *literal, size_t size)
{
    const char *at = cursor->at;
    uint64_t differ = 0;
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8)
            differ |= scan_word(at + i) ^ scan_word(literal + i);
        differ |= scan_word(at + size - 8) ^ scan_word(literal + size - 8);
    } else if (size >= 4) {
        differ = scan_half(at) ^ scan_half(literal);
        differ |= scan_half(at + size - 4) ^ scan_half(literal + size - 4);
    } else {
        for (size_t i = 0; i < size; i++)
            differ |= (uint64_t)(uint8_t)(at[i] ^ literal[i]);
    }
    if (differ != 0 || (size_t)(cursor->end - at) < size)
        return false;
    cursor->at = at + size;
    return true;
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

// Sixteen digits are microseconds, thirteen milliseconds of our age: both of fixed length. Any
// other count goes the general way.
SCAN_INLINE bool scan_time(struct json_cursor *cursor, int64_t *time_ns)
{
    enum { MICROSECONDS_DIGITS = 16, MILLISECONDS_DIGITS = 13 };
    const uint64_t head = scan_word(cursor->at), tail = scan_word(cursor->at + 8);
    const uint64_t wrong = scan_not_digits(tail);
    int64_t number;
    if (scan_not_digits(head) == 0 && *cursor->at != '0') {
        const uint64_t first = scan_eight(head);
        if (wrong == 0 && cursor->end - cursor->at >= MICROSECONDS_DIGITS) {
            cursor->at += MICROSECONDS_DIGITS;
            return strict_time_ns((int64_t)(first * 100000000 + scan_eight(tail)), time_ns);
        }
        if (wrong << 24 == 0 && wrong != 0 && cursor->end - cursor->at >= MILLISECONDS_DIGITS &&
            (cursor->at[13] < '0' || cursor->at[13] > '9')) {
            cursor->at += MILLISECONDS_DIGITS;
            const uint64_t last = scan_eight(tail << 24 | 0x30 * SCAN_ONES >> 40);
            return strict_time_ns((int64_t)(first * 100000 + last), time_ns);
        }
    }
    return scan_integer(cursor, &number) && strict_time_ns(number, time_ns);
}

// A non-negative number of at most sixteen digits before the point and as many after, 18 together,
// followed by `close`, which is not taken.
SCAN_INLINE bool scan_decimal(struct json_cursor *cursor,
                                                               char close, int64_t *mantissa,
                                                               uint8_t *scale)
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
        if (places == 8 && at[8] != close)
            places += scan_digits(at + 8, &value);
        if (places == 0)
            return false;
        at += places;
    }
    if (*at != close || whole + places > 18 || at >= cursor->end)
        return false;
    *mantissa = (int64_t)value;
    *scale = (uint8_t)places;
    cursor->at = at;
    return true;
}

// Column setters on top.
SCAN_INLINE bool scan_integer_column(struct json_cursor *cursor, struct event *event, int column)
{
    int64_t value;
    if (!scan_integer(cursor, &value))
        return false;
    event_set(event, column, value);
    return true;
}

SCAN_INLINE bool scan_time_column(struct json_cursor *cursor, struct event *event, int column)
{
    int64_t value;
    if (!scan_time(cursor, &value))
        return false;
    event_set(event, column, value);
    return true;
}

SCAN_INLINE bool scan_decimal_column(struct json_cursor *cursor, char close, struct event *event,
                                       int column)
{
    int64_t mantissa;
    uint8_t scale;
    if (!scan_decimal(cursor, close, &mantissa, &scale))
        return false;
    event_set_decimal(event, column, mantissa, scale);
    return true;
}

// true or false, not followed by more of a word: that shows at the next literal.
SCAN_INLINE bool scan_boolean(struct json_cursor *cursor, bool *value)
{
    *value = *cursor->at == 't';
    return *value ? SCAN_EXPECT(cursor, "true") : SCAN_EXPECT(cursor, "false");
}

// The bytes up to the next `stop`, of which there are 1 ... 24; `stop` is not taken.
SCAN_INLINE bool scan_until(struct json_cursor *cursor, char stop, struct json_slice *text)
{
    const char *begin = cursor->at;
    for (uint32_t i = 0; i < 32; i += 8) {
        const uint64_t word = scan_word(begin + i) ^ (uint8_t)stop * SCAN_ONES;
        const uint64_t found = (word - SCAN_ONES) & ~word & SCAN_HIGHS;
        if (found == 0)
            continue;
        const uint32_t size = i + (uint32_t)__builtin_ctzll(found) / 8;
        if (size == 0 || size > 24 || begin + size >= cursor->end)
            return false;
        *text = (struct json_slice){begin, size};
        cursor->at = begin + size;
        return true;
    }
    return false;
}

// A word of capital letters and underscores up to its quote, not taken.
SCAN_INLINE bool scan_capitals(struct json_cursor *cursor, struct json_slice *text)
{
    if (!scan_until(cursor, '"', text))
        return false;
    for (uint32_t i = 0; i < text->size; i++)
        if ((text->text[i] < 'A' || text->text[i] > 'Z') && text->text[i] != '_')
            return false;
    return true;
}

// A string up to its quote, not taken, that is the name of a symbol.
SCAN_INLINE bool scan_symbol(struct json_cursor *cursor, const struct dialect_context *context,
                               struct json_slice *name, uint32_t *symbol)
{
    if (!scan_until(cursor, '"', name))
        return false;
    *symbol = symbols_find(context->symbols, context->exchange, name->text, name->size);
    return *symbol != SYMBOL_NONE;
}

#endif
