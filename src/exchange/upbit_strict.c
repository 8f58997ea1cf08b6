// SPDX-License-Identifier: GPL-3.0-or-later
//
// The strict reader of Upbit frames: objects (DEFAULT, SIMPLE) and arrays of them (JSON_LIST,
// SIMPLE_LIST). Which spelling of the keys a message uses shows at "type" or "ty".
//
//     frame -> one message, or the elements of the array one after the other
//     message -> type -> table -> strict_read(); a raw row quotes its message alone
//
// Source: docs.upbit.com/kr/reference/websocket-guide.
#include <string.h>

#include "exchange/upbit.h"
#include "format/ensure.h"

static const struct strict_message *message_type(struct dialect_frame *frame,
                                               const struct json_value *object, bool *keys_short)
{
    struct json_value name;
    enum json_error error = json_find(object, "type", &name);
    *keys_short = error == JSON_NOT_FOUND;
    if (*keys_short)
        error = json_find(object, "ty", &name);
    if (error == JSON_NOT_FOUND) {
        strict_raw(frame, RAW_UNKNOWN_TYPE, "no type", "", 0);
        return NULL;
    }
    if (error == JSON_DUPLICATE) {
        strict_raw(frame, RAW_DUPLICATE_KEY, "type", "", 0);
        return NULL;
    }
    struct json_slice text;
    if (error != JSON_OK || json_string_raw(&name, &text) != JSON_OK) {
        strict_raw(frame, RAW_WRONG_TYPE, "type", "", 0);
        return NULL;
    }
    for (uint32_t i = 0; upbit_messages[i] != NULL; i++)
        if (json_string_equals(&name, upbit_messages[i]->type))
            return upbit_messages[i];
    strict_raw(frame, RAW_UNKNOWN_TYPE, "type", text.text, text.size);
    return NULL;
}

static bool read_message(struct dialect_frame *frame, const struct json_value *message,
                         struct event *event)
{
    struct strict_reading reading;
    bool keys_short;
    ensure(frame->pending_at == frame->pending_count);
    frame->pending_at = 0;
    frame->pending_count = 0;
    frame->scratch_size = 0;
    frame->message_symbol = SYMBOL_NONE;
    if (message->type != JSON_OBJECT) {
        strict_raw(frame, RAW_UNKNOWN_TYPE, "no object", "", 0);
        return false;
    }
    const struct strict_message *type = message_type(frame, message, &keys_short);
    return type != NULL && strict_read(&reading, frame, type, keys_short, message, event);
}

bool upbit_strict(struct dialect_frame *frame, struct event *event)
{
    struct json_value value;
    struct json_walk walk;
    ensure(frame->kind == DIALECT_FRAME_EVENTS);
    if (frame->step == 0) {
        frame->step = 1;
        if (!strict_parse(frame, &value))
            return false;
        if (json_walk_array(&value, &walk) != JSON_OK)
            return read_message(frame, &value, event);
    } else if (frame->walk_at != NULL) {
        walk = (struct json_walk){frame->walk_at, frame->walk_end};
    } else {
        return false;
    }
    frame->walk_at = NULL;
    if (!json_walk_element(&walk, &value))
        return false;
    frame->walk_at = walk.at;
    frame->walk_end = walk.end;
    frame->message = (struct event_text){(const uint8_t *)value.text, value.size};
    return read_message(frame, &value, event);
}

// ---- what a frame is ----

static bool starts_with(const struct dialect_frame *frame, const char *text)
{
    const uint32_t size = (uint32_t)strlen(text);
    return frame->size > size && memcmp(frame->bytes, text, size) == 0;
}

static struct event_text words_of(const struct json_value *value)
{
    struct json_slice text = {value->text, value->size};
    if (value->type == JSON_STRING)
        (void)json_string_raw(value, &text);
    return (struct event_text){(const uint8_t *)text.text, text.size};
}

// Not inlined: the usual frame needs no room on the stack.
static __attribute__((noinline)) void begin_unusual(struct dialect_frame *frame)
{
    struct json_value root, value;
    if (json_parse((const char *)frame->bytes, frame->size, &root, NULL) != JSON_OK ||
        root.type != JSON_OBJECT || json_find(&root, "type", &value) != JSON_NOT_FOUND ||
        json_find(&root, "ty", &value) != JSON_NOT_FOUND)
        return;
    if (json_find(&root, "status", &value) == JSON_OK && json_string_equals(&value, "UP")) {
        frame->kind = DIALECT_FRAME_ALIVE;
        return;
    }
    if (json_find(&root, "error", &value) == JSON_OK) {
        frame->reply_failed = true;
    } else if (json_find(&root, "result", &value) != JSON_OK &&
               json_find(&root, "rslt", &value) != JSON_OK) {
        return;
    }
    frame->kind = DIALECT_FRAME_REPLY;
    frame->reply = words_of(&value);
}

void upbit_begin(struct dialect_frame *frame)
{
    frame->kind = DIALECT_FRAME_EVENTS;
    if (!starts_with(frame, "{\"ty") && !starts_with(frame, "["))
        begin_unusual(frame);
}
