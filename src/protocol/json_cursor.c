// SPDX-License-Identifier: GPL-3.0-or-later
//
// The fast forward cursor. Each helper works on copies and moves the cursor only when it succeeds.
// Loads of 32 bytes begin before the end of the text, so they stay within JSON_PADDING behind it;
// whatever they show beyond the end is discarded.
#include "protocol/json.h"

#include "format/ensure.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif

_Static_assert(JSON_PADDING >= DECIMAL_PADDED_SIZE, "numbers are read with the text's padding");

// The first quote, backslash or control character from `at` on; `end` if there is none.
#ifdef __AVX2__
static const char *string_stop(const char *at, const char *end)
{
    const __m256i quote = _mm256_set1_epi8('"');
    const __m256i backslash = _mm256_set1_epi8('\\');
    const __m256i control = _mm256_set1_epi8(0x1f);
    for (; at < end; at += 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i_u *)at);
        __m256i found = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote),
                                        _mm256_cmpeq_epi8(bytes, backslash));
        // Unsigned: the minimum with 0x1f is the byte itself only for control characters.
        found = _mm256_or_si256(found,
                                _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, control), bytes));
        uint32_t mask = (uint32_t)_mm256_movemask_epi8(found);
        if (mask != 0) {
            at += __builtin_ctz(mask);
            return at < end ? at : end;
        }
    }
    return end;
}
#else
static const char *string_stop(const char *at, const char *end)
{
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
        at++;
    return at;
}
#endif

bool json_cursor_string(struct json_cursor *cursor, struct json_slice *content)
{
    ensure(cursor->at <= cursor->end);
    if (json_cursor_peek(cursor) != '"')
        return false;
    const char *begin = cursor->at + 1;
    const char *stop = string_stop(begin, cursor->end);
    if (stop == cursor->end || *stop != '"')
        return false;
    *content = (struct json_slice){begin, (uint32_t)(stop - begin)};
    cursor->at = stop + 1;
    return true;
}

static bool number_character(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

bool json_cursor_number(struct json_cursor *cursor, struct json_slice *text)
{
    const char *at = cursor->at;
    while (at < cursor->end && number_character(*at))
        at++;
    if (at == cursor->at)
        return false;
    *text = (struct json_slice){cursor->at, (uint32_t)(at - cursor->at)};
    cursor->at = at;
    return true;
}

bool json_cursor_integer(struct json_cursor *cursor, int64_t *value)
{
    ensure(cursor->at <= cursor->end);
    int64_t mantissa;
    uint8_t scale;
    uint32_t left = (uint32_t)(cursor->end - cursor->at);
    uint32_t taken = decimal_take_padded(cursor->at, left, &mantissa, &scale);
    if (taken > 0) {
        if (scale != 0)
            return false;
        cursor->at += taken;
        *value = mantissa;
        return true;
    }
    // 19 digits: rare, still exact. Anything but sign and digits is no integer in spelling.
    struct json_cursor copy = *cursor;
    struct json_slice text;
    if (!json_cursor_number(&copy, &text))
        return false;
    for (uint32_t i = 1; i < text.size; i++)
        if (text.text[i] < '0' || text.text[i] > '9')
            return false;
    if (decimal_parse_reference(text.text, text.size, &mantissa, &scale) != DECIMAL_OK)
        return false;
    *value = mantissa;
    *cursor = copy;
    return true;
}

bool json_cursor_boolean(struct json_cursor *cursor, bool *value)
{
    bool truth = JSON_EXPECT(cursor, "true");
    if (!truth && !JSON_EXPECT(cursor, "false"))
        return false;
    *value = truth;
    return true;
}

// Exponents and long numbers.
static bool decimal_slow(struct json_cursor *cursor, int64_t *mantissa, uint8_t *scale)
{
    struct json_cursor copy = *cursor;
    struct json_slice text;
    if (!json_cursor_number(&copy, &text))
        return false;
    if (decimal_parse_reference(text.text, text.size, mantissa, scale) != DECIMAL_OK)
        return false;
    *cursor = copy;
    return true;
}

bool json_cursor_decimal(struct json_cursor *cursor, int64_t *mantissa, uint8_t *scale)
{
    ensure(cursor->at <= cursor->end);
    uint32_t left = (uint32_t)(cursor->end - cursor->at);
    uint32_t taken = decimal_take_padded(cursor->at, left, mantissa, scale);
    cursor->at += taken;
    return taken > 0 || decimal_slow(cursor, mantissa, scale);
}

bool json_cursor_decimal_string(struct json_cursor *cursor, int64_t *mantissa, uint8_t *scale)
{
    ensure(cursor->at <= cursor->end);
    if (json_cursor_peek(cursor) != '"')
        return false;
    struct json_cursor copy = {cursor->at + 1, cursor->end};
    int64_t value;
    uint8_t places;
    if (!json_cursor_decimal(&copy, &value, &places) || json_cursor_peek(&copy) != '"')
        return false;
    *mantissa = value;
    *scale = places;
    cursor->at = copy.at + 1;
    return true;
}
