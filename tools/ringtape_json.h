// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_json: JSON to a stream, commas and escapes by itself. Keys are given by the caller,
// unescaped, as program constants.
//
// In arrays of scalars and objects alike, NULL stands for the key.
#ifndef RINGTAPE_TOOLS_RINGTAPE_JSON_H
#define RINGTAPE_TOOLS_RINGTAPE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { RINGTAPE_JSON_DEPTH_MAX = 16 };

struct ringtape_json {
    FILE *out;
    uint32_t depth;
    bool filled[RINGTAPE_JSON_DEPTH_MAX]; // a comma is due, by depth
};

void ringtape_json_start(struct ringtape_json *json, FILE *out);
// One line of output ends; the writer is as new.
void ringtape_json_line(struct ringtape_json *json);

void ringtape_json_object(struct ringtape_json *json, const char *key);
void ringtape_json_object_end(struct ringtape_json *json);
void ringtape_json_array(struct ringtape_json *json, const char *key);
void ringtape_json_array_end(struct ringtape_json *json);

void ringtape_json_text(struct ringtape_json *json, const char *key, const char *text);
// Bytes that are not UTF-8 are written as hexadecimal digits under the key with "_hex" behind it.
void ringtape_json_bytes(struct ringtape_json *json, const char *key, const void *bytes,
                         size_t size);
void ringtape_json_integer(struct ringtape_json *json, const char *key, int64_t value);
void ringtape_json_count(struct ringtape_json *json, const char *key, uint64_t value);
// With so many digits that it reads back as the same double; finite.
void ringtape_json_double(struct ringtape_json *json, const char *key, double value);
void ringtape_json_bool(struct ringtape_json *json, const char *key, bool value);
void ringtape_json_null(struct ringtape_json *json, const char *key);
// RFC 3339 with nanoseconds, as a string.
void ringtape_json_time(struct ringtape_json *json, const char *key, int64_t time_ns);

#endif
