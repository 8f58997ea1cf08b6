// SPDX-License-Identifier: Apache-2.0
//
// Strict where it matters (brackets, commas, escapes, the range of integers), so that a log that
// was cut or damaged is seen; what lies inside skipped values is checked for shape alone.
#include "format/delta_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

// ---- reading ----

struct delta_json delta_json_of(const char *text, size_t size)
{
    ensure(text != NULL || size == 0);
    return (struct delta_json){.at = text, .end = text + size, .first = true};
}

static bool fail(struct delta_json *json)
{
    json->bad = true;
    return false;
}

// The next byte that is no white space, 0 at the end.
static char peek(struct delta_json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r'))
        json->at++;
    return json->bad || json->at == json->end ? 0 : *json->at;
}

static bool take(struct delta_json *json, char wanted)
{
    if (peek(json) != wanted) return fail(json);
    json->at++;
    return true;
}

void delta_json_open(struct delta_json *json, char bracket)
{
    ensure(bracket == '{' || bracket == '[');
    if (take(json, bracket)) json->first = true;
}

// False: the closing bracket was taken. True: behind the comma, if one is due.
static bool next_member(struct delta_json *json, char closing)
{
    if (json->bad) return false;
    if (peek(json) == closing) {
        json->at++;
        json->first = false;
        return false;
    }
    if (!json->first && !take(json, ',')) return false;
    json->first = false;
    return peek(json) != 0 ? true : fail(json);
}

bool delta_json_element(struct delta_json *json)
{
    return next_member(json, ']');
}

// Four hexadecimal digits, or -1.
static int32_t hex4(struct delta_json *json)
{
    int32_t value = 0;
    if (json->end - json->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char digit = *json->at++;
        const int32_t number = digit >= '0' && digit <= '9'   ? digit - '0'
                               : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                               : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                              : -1;
        if (number < 0) return -1;
        value = value << 4 | number;
    }
    return value;
}

// Behind "\u": a code point, surrogates joined; 0: not one that a text here may hold.
static uint32_t code_point(struct delta_json *json)
{
    const int32_t high = hex4(json);
    if (high < 0xd800 || high > 0xdfff) return high > 0 ? (uint32_t)high : 0;
    if (high > 0xdbff || json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u')
        return 0;
    json->at += 2;
    const int32_t low = hex4(json);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

static size_t spell_utf8(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[size] | code);
    return size;
}

// Behind a backslash: the bytes it stands for.
static size_t take_escape(struct delta_json *json, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char kind = json->at < json->end ? *json->at++ : 0;
    const char *found = kind != 0 ? strchr(from, kind) : NULL;
    if (found != NULL) {
        out[0] = to[found - from];
        return 1;
    }
    const uint32_t code = kind == 'u' ? code_point(json) : 0;
    if (code == 0) {
        (void)fail(json);
        return 0;
    }
    return spell_utf8(code, out);
}

// Any text; what does not fit into `room` is counted and not written.
static size_t take_text(struct delta_json *json, char *out, size_t room)
{
    size_t size = 0;
    if (!take(json, '"')) return 0;
    while (json->at < json->end && *json->at != '"' && !json->bad) {
        char bytes[4] = {*json->at++};
        size_t count = 1;
        if ((uint8_t)bytes[0] < 0x20) (void)fail(json);
        if (bytes[0] == '\\') count = take_escape(json, bytes);
        for (size_t i = 0; i < count; i++, size++)
            if (size < room) out[size] = bytes[i];
    }
    (void)take(json, '"');
    return json->bad ? 0 : size;
}

size_t delta_json_text(struct delta_json *json, char *out, size_t room)
{
    ensure(room > 0);
    const size_t size = take_text(json, out, room - 1);
    if (size >= room) (void)fail(json);
    out[json->bad ? 0 : size] = 0;
    return json->bad ? 0 : size;
}

bool delta_json_key(struct delta_json *json, char *key, size_t room)
{
    ensure(room > 1);
    key[0] = 0;
    if (!next_member(json, '}')) return false;
    const size_t size = take_text(json, key, room - 1);
    key[size < room ? size : room - 1] = 0;
    if (!take(json, ':')) key[0] = 0;
    return !json->bad;
}

int64_t delta_json_integer(struct delta_json *json)
{
    int64_t value = 0;
    const bool negative = peek(json) == '-';
    if (negative) json->at++;
    const char *start = json->at;
    for (; json->at < json->end && *json->at >= '0' && *json->at <= '9'; json->at++) {
        const int digit = *json->at - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) // downwards: the least one fits, too
            (void)fail(json);
    }
    if (json->at == start || (!negative && value == INT64_MIN)) (void)fail(json);
    return json->bad ? 0 : negative ? value : -value;
}

static bool take_word(struct delta_json *json, const char *word)
{
    const size_t size = strlen(word);
    (void)peek(json);
    if (json->bad || (size_t)(json->end - json->at) < size || memcmp(json->at, word, size) != 0)
        return false;
    json->at += size;
    return true;
}

bool delta_json_boolean(struct delta_json *json)
{
    if (take_word(json, "true")) return true;
    if (!take_word(json, "false")) (void)fail(json);
    return false;
}

bool delta_json_null(struct delta_json *json)
{
    return take_word(json, "null");
}

static void skip_number(struct delta_json *json)
{
    const char *start = json->at;
    while (json->at < json->end && *json->at != 0 && strchr("+-.0123456789eE", *json->at) != NULL)
        json->at++;
    if (json->at == start) (void)fail(json);
}

// A text, number or word.
static void skip_leaf(struct delta_json *json)
{
    const char next = peek(json);
    if (next == '"')
        (void)take_text(json, NULL, 0);
    else if (next == 't' || next == 'f')
        (void)delta_json_boolean(json);
    else if (next != 'n' || !delta_json_null(json))
        skip_number(json);
}

void delta_json_skip(struct delta_json *json)
{
    char closing[DELTA_JSON_DEPTH_MAX];
    int depth = 0;
    do {
        const char next = peek(json);
        if (next == '{' || next == '[') {
            if (depth == DELTA_JSON_DEPTH_MAX) (void)fail(json);
            delta_json_open(json, next);
            if (!json->bad) closing[depth++] = next == '{' ? '}' : ']';
        } else {
            skip_leaf(json);
        }
        // To the next value, out of whatever ends here.
        while (depth > 0 && !json->bad) {
            if (!next_member(json, closing[depth - 1])) {
                depth--;
                continue;
            }
            if (closing[depth - 1] == '}') (void)take_text(json, NULL, 0);
            if (closing[depth - 1] == '}') (void)take(json, ':');
            break;
        }
    } while (depth > 0 && !json->bad);
}

const char *delta_json_raw(struct delta_json *json, size_t *size)
{
    (void)peek(json);
    const char *start = json->at;
    delta_json_skip(json);
    *size = json->bad ? 0 : (size_t)(json->at - start);
    return start;
}

bool delta_json_ended(struct delta_json *json)
{
    return peek(json) == 0 && !json->bad && json->at == json->end;
}

// ---- writing ----

void delta_text_free(struct delta_text *text)
{
    free(text->bytes);
    *text = (struct delta_text){0};
}

static bool has_room(struct delta_text *text, size_t size)
{
    if (text->failed || size < text->room - text->size) return !text->failed;
    size_t room = text->room < 4096 ? 4096 : text->room;
    while (room - text->size <= size) room *= 2;
    char *grown = realloc(text->bytes, room);
    text->failed = grown == NULL;
    if (grown == NULL) return false;
    text->bytes = grown;
    text->room = room;
    return true;
}

void delta_text_bytes(struct delta_text *text, const void *bytes, size_t size)
{
    if (!has_room(text, size)) return;
    if (size > 0) memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = 0;
}

void delta_text_print(struct delta_text *text, const char *format, ...)
{
    char bytes[512];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(bytes, sizeof bytes, format, arguments);
    va_end(arguments);
    ensure(size >= 0 && (size_t)size < sizeof bytes); // longer values go in by the others
    delta_text_bytes(text, bytes, (size_t)size);
}

void delta_text_quote_bytes(struct delta_text *text, const void *value, size_t size)
{
    const char *bytes = value;
    size_t from = 0;
    delta_text_bytes(text, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = (uint8_t)bytes[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        delta_text_bytes(text, bytes + from, i - from);
        from = i + 1;
        if (byte < 0x20)
            delta_text_print(text, "\\u%04x", byte);
        else
            delta_text_print(text, "\\%c", byte);
    }
    delta_text_bytes(text, bytes + from, size - from);
    delta_text_bytes(text, "\"", 1);
}

void delta_text_quote(struct delta_text *text, const char *value)
{
    delta_text_quote_bytes(text, value, strlen(value));
}
