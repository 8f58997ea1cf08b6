// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: a stream gives the same events and the same error wherever it is cut, in both roles,
// and every text is valid UTF-8; what came out of it, encoded as the other side would answer, reads
// as the same events there. The first two bytes choose role and cut.
#include "format/ensure.h"
#include "protocol/websocket.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_SIZE_MAX 4096
#define INPUT_SIZE_MAX 8192

// What came, encoded again for the other role.
static struct {
    uint8_t wire[INPUT_SIZE_MAX * 8]; // a frame of 2 bytes may become one of 6
    uint32_t size;
    bool masked;
} again;

struct outcome {
    uint64_t hash; // of all events
    uint32_t events;
    enum websocket_result result;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mix(struct outcome *outcome, uint64_t value)
{
    outcome->hash = (outcome->hash ^ value) * 0x100000001b3u;
}

static void encode_again(const struct websocket_event *event)
{
    static const uint8_t mask[4] = {0x9d, 0x01, 0xff, 0x6e};
    const uint8_t *key = again.masked ? mask : NULL;
    uint8_t payload[WEBSOCKET_CONTROL_SIZE_MAX];
    const uint8_t *data = event->data;
    uint32_t size = event->size;
    if (event->opcode == WEBSOCKET_CLOSE && event->close_code != 1005) {
        ensure(size + 2 <= sizeof payload);
        payload[0] = (uint8_t)(event->close_code >> 8);
        payload[1] = (uint8_t)event->close_code;
        memcpy(payload + 2, data, size);
        data = payload;
        size += 2;
    }
    uint32_t frame = websocket_encode(again.wire + again.size, sizeof again.wire - again.size,
                                      event->opcode, data, size, key);
    ensure(frame == websocket_frame_size(size, again.masked));
    again.size += frame;
}

static void take_event(struct outcome *outcome, const struct websocket_event *event)
{
    outcome->events++;
    mix(outcome, event->opcode);
    mix(outcome, event->size);
    mix(outcome, event->close_code);
    for (uint32_t i = 0; i < event->size; i++)
        mix(outcome, event->data[i]);
    if (event->opcode == WEBSOCKET_TEXT || event->opcode == WEBSOCKET_CLOSE)
        ensure(utf8_valid(event->data, event->size));
}

static struct outcome run(enum websocket_role role, const uint8_t *data, size_t size, size_t step,
                          bool encode)
{
    static uint8_t message[MESSAGE_SIZE_MAX + WEBSOCKET_PADDING];
    static uint8_t input[INPUT_SIZE_MAX + WEBSOCKET_PADDING];
    struct websocket websocket;
    struct websocket_event event;
    struct outcome outcome = {0};
    websocket_init(&websocket, role, message, MESSAGE_SIZE_MAX);
    for (size_t at = 0; at < size; at += step) {
        size_t piece = size - at < step ? size - at : step;
        memcpy(input, data + at, piece);
        uint8_t *position = input;
        uint8_t *end = input + piece;
        while ((outcome.result = websocket_next(&websocket, &position, end, &event)) ==
               WEBSOCKET_EVENT) {
            take_event(&outcome, &event);
            if (encode)
                encode_again(&event);
        }
        if (websocket_failed(outcome.result))
            break;
        ensure(position == end);
    }
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > INPUT_SIZE_MAX)
        return 0;
    enum websocket_role role = data[0] & 1 ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT;
    size_t step = 1 + data[1];
    struct outcome whole = run(role, data + 2, size - 2, size, false);
    struct outcome pieces = run(role, data + 2, size - 2, step, false);
    again.masked = role == WEBSOCKET_CLIENT;
    again.size = 0;
    struct outcome bytes = run(role, data + 2, size - 2, 1, true);
    ensure(whole.result == pieces.result && whole.result == bytes.result);
    ensure(whole.events == pieces.events && whole.events == bytes.events);
    ensure(whole.hash == pieces.hash && whole.hash == bytes.hash);
    enum websocket_role other = role == WEBSOCKET_CLIENT ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT;
    struct outcome back = run(other, again.wire, again.size, step * 32, false);
    ensure(back.result == WEBSOCKET_MORE);
    ensure(back.events == whole.events && back.hash == whole.hash);
    return 0;
}
