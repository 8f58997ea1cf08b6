// SPDX-License-Identifier: GPL-3.0-or-later
//
// JSON in two speeds.
//
// (a) struct json_cursor: a forward cursor for scanners that know the message they expect. A helper
//     takes one thing at the cursor and returns true, or returns false with the cursor where it
//     was: the scanner then gives the whole message to (b). The cursor skips no white space and
//     accepts no escape; what it does accept means the same as under (b), given that the bytes are
//     valid UTF-8 (the WebSocket layer has checked text; binary messages: utf8_valid()).
// (b) json_parse(): the strict validator of RFC 8259 over a whole document (grammar, UTF-8,
// surrogate
//     pairs, depth), and walkers over what it accepted. For unexpected messages, REST replies of
//     several MB, and tests.
//
// Owns nothing, allocates nothing: every slice points into the caller's text. Pure functions, any
// thread.
#ifndef RINGTAPE_PROTOCOL_JSON_H
#define RINGTAPE_PROTOCOL_JSON_H

#include "protocol/decimal.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// Readable bytes (of any content) that must follow the text under a cursor. (b) needs none.
#define JSON_PADDING 64
// Arrays and objects inside each other; deeper documents are refused.
#define JSON_DEPTH_MAX 64

struct json_slice {
    const char *text;
    uint32_t size;
};

// ---- (a) the cursor -----------------------------------------------------------------------------

struct json_cursor {
    const char *at;
    const char *end; // JSON_PADDING readable bytes follow
};

static inline struct json_cursor json_cursor(const char *text, uint32_t size)
{
    return (struct json_cursor){text, text + size};
}

static inline bool json_cursor_done(const struct json_cursor *cursor)
{
    return cursor->at == cursor->end;
}

// The bytes of a literal, as they stand: JSON_EXPECT(&cursor, "{\"e\":\"trade\",\"E\":"). At most
// JSON_PADDING bytes.
#define JSON_EXPECT(cursor, literal) json_cursor_expect((cursor), (literal), sizeof(literal) - 1)

static inline uint64_t json_word(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

// In words of eight, the last one overlapping: with a constant literal all of it is folded, where
// compilers call memcmp() for longer ones.
static inline __attribute__((always_inline)) bool json_cursor_expect(struct json_cursor *cursor,
                                                                     const char *literal,
                                                                     size_t size)
{
    // Padding keeps the loads inside the buffer; the last test keeps the match inside the text.
    const char *at = cursor->at;
    uint64_t differ = 0;
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8)
            differ |= json_word(at + i) ^ json_word(literal + i);
        differ |= json_word(at + size - 8) ^ json_word(literal + size - 8);
    } else {
        for (size_t i = 0; i < size; i++)
            differ |= (uint64_t)(uint8_t)(at[i] ^ literal[i]);
    }
    if (differ != 0 || (size_t)(cursor->end - at) < size)
        return false;
    cursor->at = at + size;
    return true;
}

// One character, without moving: 0 at the end.
static inline char json_cursor_peek(const struct json_cursor *cursor)
{
    return cursor->at < cursor->end ? *cursor->at : '\0';
}

// A string in quotes, without escapes and control characters: its content. Not decoded, not
// empty-checked.
bool json_cursor_string(struct json_cursor *cursor, struct json_slice *content);

// An integer (JSON grammar without fraction and exponent) within int64.
bool json_cursor_integer(struct json_cursor *cursor, int64_t *value);

// true or false.
bool json_cursor_boolean(struct json_cursor *cursor, bool *value);

// A number as decimal: 0.35130000, 9.9E-7. False also where it does not fit (see decimal.h), so
// that the strict way names the error.
bool json_cursor_decimal(struct json_cursor *cursor, int64_t *mantissa, uint8_t *scale);

// The same in quotes: "0.35130000".
bool json_cursor_decimal_string(struct json_cursor *cursor, int64_t *mantissa, uint8_t *scale);

// The characters of a number, for an own conversion; not validated beyond its alphabet.
bool json_cursor_number(struct json_cursor *cursor, struct json_slice *text);

// Steps over one value of any type, with escapes and white space inside it; as strict as
// json_parse(), and as slow. `raw`, if not NULL, receives the value's bytes.
bool json_cursor_skip(struct json_cursor *cursor, struct json_slice *raw);

// ---- (b) strict ---------------------------------------------------------------------------------

enum json_error {
    JSON_OK = 0,
    JSON_EMPTY,           // nothing but white space
    JSON_SYNTAX,          // not the grammar of RFC 8259
    JSON_TRUNCATED,       // valid so far, ends early
    JSON_TRAILING,        // something follows the document
    JSON_TOO_DEEP,        // above JSON_DEPTH_MAX
    JSON_UTF8,            // a string is not UTF-8
    JSON_ESCAPE,          // unknown escape, or a lone surrogate
    JSON_CONTROL,         // control character inside a string
    JSON_WRONG_TYPE,      // the value is of another type than asked for
    JSON_NOT_FOUND,       // no member of that name
    JSON_DUPLICATE,       // two members of that name
    JSON_NO_SPACE,        // the decoded string does not fit the caller's buffer
    JSON_NUMBER,          // the number does not fit what was asked for
};

enum json_type {
    JSON_NULL = 1,
    JSON_BOOLEAN,
    JSON_NUMBER_TEXT,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

// A value inside a document that json_parse() accepted: its bytes, without white space around;
// strings with their quotes.
struct json_value {
    const char *text;
    uint32_t size;
    enum json_type type;
};

// Validates the whole text and returns its root. `error_offset` (may be NULL) receives the byte the
// error is at. On an error the root is untouched.
enum json_error json_parse(const char *text, uint32_t size, struct json_value *root,
                           uint32_t *error_offset);

// Walks the members of an object or the elements of an array. Every walk passes over the bytes of
// the value once, so a document of depth d costs d passes.
//     struct json_walk walk;
//     if ((error = json_walk_object(&object, &walk)) != JSON_OK) ...
//     while (json_walk_member(&walk, &key, &value)) ...
struct json_walk {
    const char *at;
    const char *end;
};
enum json_error json_walk_object(const struct json_value *object, struct json_walk *walk);
enum json_error json_walk_array(const struct json_value *array, struct json_walk *walk);
bool json_walk_member(struct json_walk *walk, struct json_value *key, struct json_value *value);
bool json_walk_element(struct json_walk *walk, struct json_value *element);

// The member of that name (compared decoded). JSON_NOT_FOUND, JSON_DUPLICATE, JSON_WRONG_TYPE.
enum json_error json_find(const struct json_value *object, const char *name,
                          struct json_value *value);

// True if the value is a string whose decoded content equals `content`.
bool json_string_equals(const struct json_value *value, const char *content);

// The content of a string with its escapes decoded to UTF-8, not terminated; never longer than the
// value's own size. JSON_NO_SPACE leaves the target undefined and the size untouched.
enum json_error json_string_decode(const struct json_value *value, char *target,
                                   uint32_t target_size, uint32_t *size);

// The content between the quotes if it holds no escape: no copy. JSON_ESCAPE if it does.
enum json_error json_string_raw(const struct json_value *value, struct json_slice *content);

// Numbers. The decimal may also stand in a string; `reason` (may be NULL) says why it was refused.
enum json_error json_integer(const struct json_value *value, int64_t *integer);
enum json_error json_decimal(const struct json_value *value, int64_t *mantissa, uint8_t *scale,
                             enum decimal_error *reason);
enum json_error json_boolean(const struct json_value *value, bool *boolean);

const char *json_error_text(enum json_error error);

#endif
