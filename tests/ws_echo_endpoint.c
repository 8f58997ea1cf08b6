// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/ws_echo_endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

enum { OUTPUT_CAPACITY_FIRST = 1 << 12 };

bool ws_echo_endpoint_open(struct ws_echo_endpoint *echo, const struct ws_echo_options *options)
{
    ensure(options->role == WEBSOCKET_SERVER || options->random != NULL);
    *echo = (struct ws_echo_endpoint){.options = *options};
    echo->message = malloc((size_t)options->message_size_max + WEBSOCKET_PADDING);
    if (echo->message == NULL)
        return false;
    websocket_init(&echo->websocket, options->role, echo->message, options->message_size_max);
    return true;
}

void ws_echo_endpoint_close(struct ws_echo_endpoint *echo)
{
    ensure(echo->output_begin <= echo->output_end);
    free(echo->message);
    free(echo->output);
    *echo = (struct ws_echo_endpoint){0};
}

// Room for `size` bytes behind the output; NULL where it would be too much.
static uint8_t *output_room(struct ws_echo_endpoint *echo, size_t size)
{
    size_t used = echo->output_end - echo->output_begin;
    if (echo->output_begin > 0 && echo->output_end + size > echo->output_capacity) {
        memmove(echo->output, echo->output + echo->output_begin, used);
        echo->output_begin = 0;
        echo->output_end = used;
    }
    size_t capacity = echo->output_capacity > 0 ? echo->output_capacity : OUTPUT_CAPACITY_FIRST;
    while (capacity < used + size) capacity *= 2;
    if (capacity > WS_ECHO_OUTPUT_MAX)
        return NULL;
    if (capacity > echo->output_capacity) {
        uint8_t *larger = realloc(echo->output, capacity);
        if (larger == NULL)
            return NULL;
        echo->output = larger;
        echo->output_capacity = capacity;
    }
    return echo->output + echo->output_end;
}

// The mask of the next frame; NULL for a server.
static const uint8_t *next_mask(struct ws_echo_endpoint *echo, uint8_t mask[4])
{
    if (echo->options.role == WEBSOCKET_SERVER)
        return NULL;
    echo->options.random(echo->options.random_context, mask, 4);
    return mask;
}

static void put_frame(struct ws_echo_endpoint *echo, enum websocket_opcode opcode, bool final,
                      const uint8_t *payload, uint32_t size)
{
    uint8_t key[4];
    const uint8_t *mask = next_mask(echo, key);
    uint8_t *target = output_room(echo, websocket_frame_size(size, mask != NULL));
    if (target == NULL) {
        echo->overrun = echo->over = true;
        return;
    }
    uint32_t header = websocket_encode_header(target, opcode, final, size, mask);
    if (size > 0)
        memcpy(target + header, payload, size);
    if (mask != NULL)
        websocket_mask(target + header, size, mask, 0);
    echo->output_end += header + size;
    ensure(echo->output_end <= echo->output_capacity);
}

static void put_message(struct ws_echo_endpoint *echo, const struct websocket_event *event)
{
    uint32_t piece_max = echo->options.fragment_size > 0 ? echo->options.fragment_size : UINT32_MAX;
    enum websocket_opcode opcode = event->opcode;
    uint32_t at = 0;
    do {
        uint32_t left = event->size - at;
        uint32_t piece = left < piece_max ? left : piece_max;
        put_frame(echo, opcode, piece == left, event->data + at, piece);
        opcode = WEBSOCKET_CONTINUATION;
        at += piece;
    } while (at < event->size && !echo->over);
    echo->messages++;
    echo->payload_bytes += event->size;
}

static void put_close(struct ws_echo_endpoint *echo, uint16_t code, const char *reason)
{
    uint8_t key[4];
    enum { CLOSE_FRAME_MAX = WEBSOCKET_HEADER_SIZE_MAX + WEBSOCKET_CONTROL_SIZE_MAX };
    ensure(!echo->over);
    echo->over = true;
    echo->close_code = code;
    uint8_t *target = output_room(echo, CLOSE_FRAME_MAX);
    if (target == NULL) {
        echo->overrun = true;
        return;
    }
    uint32_t size =
        websocket_encode_close(target, CLOSE_FRAME_MAX, code, reason, next_mask(echo, key));
    ensure(size > 0);
    echo->output_end += size;
}

void ws_echo_endpoint_goodbye(struct ws_echo_endpoint *echo, uint16_t code)
{
    put_close(echo, code, NULL);
}

static void answer(struct ws_echo_endpoint *echo, const struct websocket_event *event)
{
    switch (event->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        put_message(echo, event);
        return;
    case WEBSOCKET_PING:
        put_frame(echo, WEBSOCKET_PONG, true, event->data, event->size);
        return;
    case WEBSOCKET_PONG:
        return;
    case WEBSOCKET_CLOSE:
        put_close(echo, event->close_code, NULL);
        return;
    case WEBSOCKET_CONTINUATION:
        ensure(!"an event is a whole message");
    }
}

void ws_echo_endpoint_feed(struct ws_echo_endpoint *echo, uint8_t *bytes, size_t size)
{
    uint8_t *at = bytes;
    ensure(echo->message != NULL);
    while (!echo->over) {
        struct websocket_event event;
        enum websocket_result result =
            websocket_next(&echo->websocket, &at, bytes + size, &event);
        if (result == WEBSOCKET_MORE)
            return;
        if (websocket_failed(result)) {
            echo->failure = result;
            put_close(echo, websocket_error_close_code(result), websocket_result_text(result));
            return;
        }
        answer(echo, &event);
    }
}

const uint8_t *ws_echo_endpoint_output(const struct ws_echo_endpoint *echo, size_t *size)
{
    ensure(echo->output_begin <= echo->output_end);
    *size = echo->output_end - echo->output_begin;
    return *size > 0 ? echo->output + echo->output_begin : NULL;
}

void ws_echo_endpoint_taken(struct ws_echo_endpoint *echo, size_t size)
{
    ensure(size <= echo->output_end - echo->output_begin);
    echo->output_begin += size;
    if (echo->output_begin == echo->output_end)
        echo->output_begin = echo->output_end = 0;
}
