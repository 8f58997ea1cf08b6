// SPDX-License-Identifier: Apache-2.0
//
// delta_json: the JSON of a Delta log, read value by value and written piece by piece.
//
// Reading. A cursor over text; each function takes one value and moves behind it. What is not JSON,
// or not of the kind asked for, makes the cursor `bad`: every later call then does nothing and
// gives nothing, so callers look once, at the end. Values nobody asks for are skipped, to a depth
// of DELTA_JSON_DEPTH_MAX.
//
//     struct delta_json json = delta_json_of(text, size);
//     delta_json_open(&json, '{');
//     while (delta_json_key(&json, key, sizeof key))
//         if (strcmp(key, "size") == 0)
//             size = delta_json_integer(&json);
//         else
//             delta_json_skip(&json);
//
// Writing. A buffer that grows; when memory ends it is `failed` and stays as it is.
//
// Ownership: text read is the caller's; delta_text_free() frees what was written. Threading: none.
// Source: RFC 8259.
#ifndef RINGTAPE_FORMAT_DELTA_JSON_H
#define RINGTAPE_FORMAT_DELTA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DELTA_JSON_DEPTH_MAX = 64 };

struct delta_json {
    const char *at;
    const char *end;
    bool bad;
    bool first; // of the object or array opened last: no comma before the next
};

struct delta_json delta_json_of(const char *text, size_t size);
// Takes '{' or '['.
void delta_json_open(struct delta_json *json, char bracket);
// The next key of the object, cut to `room`; false: '}' was taken, or bad.
bool delta_json_key(struct delta_json *json, char *key, size_t room);
// True: another element of the array is next; false: ']' was taken, or bad.
bool delta_json_element(struct delta_json *json);

// A text, unescaped and ended by zero; bad if it does not fit or holds a zero. Returns its size.
size_t delta_json_text(struct delta_json *json, char *out, size_t room);
int64_t delta_json_integer(struct delta_json *json);
bool delta_json_boolean(struct delta_json *json);
// True, and taken, if the next value is null.
bool delta_json_null(struct delta_json *json);
void delta_json_skip(struct delta_json *json);
// All is taken, and was good.
bool delta_json_ended(struct delta_json *json);
// The bytes of the next value as they are.
const char *delta_json_raw(struct delta_json *json, size_t *size);

struct delta_text {
    char *bytes; // ended by zero once something was written
    size_t size;
    size_t room;
    bool failed;
};

void delta_text_free(struct delta_text *text);
void delta_text_bytes(struct delta_text *text, const void *bytes, size_t size);
__attribute__((format(printf, 2, 3))) void delta_text_print(struct delta_text *text,
                                                            const char *format, ...);
// In quotes and escaped; `value` is UTF-8.
void delta_text_quote(struct delta_text *text, const char *value);
void delta_text_quote_bytes(struct delta_text *text, const void *value, size_t size);

#endif
