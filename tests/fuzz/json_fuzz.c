// SPDX-License-Identifier: GPL-3.0-or-later
//
// Properties: the strict parser never reads outside the text; every value inside an accepted
// document is itself an accepted document of the same type; and whatever a cursor helper takes, the
// strict parser takes with the same meaning.
#include "format/ensure.h"
#include "protocol/json.h"
#include "protocol/utf8.h"
#include <stddef.h>
#include <stdlib.h>

#define TEXT_SIZE_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const struct json_value *value)
{
    char decoded[TEXT_SIZE_MAX];
    uint32_t size = 0;
    ensure(json_string_decode(value, decoded, sizeof decoded, &size) == JSON_OK);
    ensure(utf8_valid((const uint8_t *)decoded, size));
    struct json_slice raw;
    if (json_string_raw(value, &raw) == JSON_OK)
        ensure(raw.size == size && memcmp(raw.text, decoded, size) == 0);
}

static void check_value(const struct json_value *value, uint32_t depth);

static void check_inside(const struct json_value *value, uint32_t depth)
{
    struct json_walk walk;
    struct json_value key;
    struct json_value child;
    if (json_walk_array(value, &walk) == JSON_OK)
        while (json_walk_element(&walk, &child))
            check_value(&child, depth + 1);
    if (json_walk_object(value, &walk) == JSON_OK)
        while (json_walk_member(&walk, &key, &child)) {
            check_string(&key);
            check_value(&child, depth + 1);
        }
}

static void check_value(const struct json_value *value, uint32_t depth)
{
    ensure(depth <= JSON_DEPTH_MAX);
    struct json_value again;
    ensure(json_parse(value->text, value->size, &again, NULL) == JSON_OK);
    ensure(again.type == value->type && again.text == value->text && again.size == value->size);
    if (value->type == JSON_STRING)
        check_string(value);
    check_inside(value, depth);
}

// What a helper took from `from` on is one strict value.
static struct json_value strict(const char *from, const struct json_cursor *to)
{
    struct json_value value;
    ensure(json_parse(from, (uint32_t)(to->at - from), &value, NULL) == JSON_OK);
    return value;
}

static void check_cursor(const struct json_cursor *start)
{
    struct json_cursor cursor = *start;
    struct json_slice slice;
    int64_t fast;
    int64_t slow = 0;
    uint8_t scale;
    uint8_t scale_slow = 0;
    bool boolean;
    if (json_cursor_string(&cursor, &slice))
        ensure(strict(start->at, &cursor).type == JSON_STRING);
    cursor = *start;
    if (json_cursor_integer(&cursor, &fast)) {
        struct json_value value = strict(start->at, &cursor);
        ensure(json_integer(&value, &slow) == JSON_OK && slow == fast);
    }
    cursor = *start;
    if (json_cursor_decimal(&cursor, &fast, &scale) ||
        json_cursor_decimal_string(&cursor, &fast, &scale)) {
        struct json_value value = strict(start->at, &cursor);
        ensure(json_decimal(&value, &slow, &scale_slow, NULL) == JSON_OK);
        ensure(slow == fast && scale == scale_slow);
    }
    cursor = *start;
    if (json_cursor_boolean(&cursor, &boolean))
        ensure(strict(start->at, &cursor).type == JSON_BOOLEAN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_SIZE_MAX)
        return 0;
    struct json_value root;
    if (json_parse((const char *)data, (uint32_t)size, &root, NULL) == JSON_OK)
        check_value(&root, 0);
    if (!utf8_valid(data, size))
        return 0;
    static char padded[TEXT_SIZE_MAX + JSON_PADDING];
    memset(padded, '"', sizeof padded);
    if (size > 0)
        memcpy(padded, data, size);
    for (uint32_t at = 0; at < size && at < 256; at++) {
        struct json_cursor cursor = json_cursor(padded + at, (uint32_t)size - at);
        check_cursor(&cursor);
    }
    return 0;
}
