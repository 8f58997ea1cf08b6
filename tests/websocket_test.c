// SPDX-License-Identifier: GPL-3.0-or-later
//
// WebSocket frames, in the order of the Autobahn suite's groups (1 framing, 2 ping, 3 reserved
// bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 close, 9 limits): each stream is parsed whole, at
// every split, byte by byte, and in the server's role masked, and must give the same events.
#include "protocol/websocket.h"

#include "protocol_random.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MESSAGE_SIZE_MAX 200
#define WIRE(text) text, sizeof(text) - 1

struct trace {
    char text[2048];
    size_t size;
};

static void trace_add(struct trace *trace, const void *text, size_t size)
{
    cr_assert(trace->size + size < sizeof trace->text);
    memcpy(trace->text + trace->size, text, size);
    trace->size += size;
    trace->text[trace->size] = '\0';
}

// "T:hello|", "C1000:bye|"
static void trace_event(struct trace *trace, const struct websocket_event *event)
{
    static const char names[] = "?TB?????CPO?????";
    char prefix[16];
    if (event->opcode == WEBSOCKET_CLOSE)
        (void)snprintf(prefix, sizeof prefix, "C%u:", event->close_code);
    else
        (void)snprintf(prefix, sizeof prefix, "%c:", names[event->opcode]);
    trace_add(trace, prefix, strlen(prefix));
    trace_add(trace, event->data, event->size);
    trace_add(trace, "|", 1);
}

// Parses one piece, copied so that its end is the end of an allocation (plus the padding promised).
static bool trace_piece(struct trace *trace, struct websocket *websocket, const uint8_t *wire,
                        size_t size)
{
    uint8_t *copy = malloc(size + WEBSOCKET_PADDING);
    memcpy(copy, wire, size);
    memset(copy + size, 0xff, WEBSOCKET_PADDING);
    uint8_t *at = copy;
    enum websocket_result result;
    struct websocket_event event;
    while ((result = websocket_next(websocket, &at, copy + size, &event)) == WEBSOCKET_EVENT)
        trace_event(trace, &event);
    cr_assert(websocket_failed(result) || at == copy + size);
    if (websocket_failed(result))
        trace_add(trace, websocket_result_text(result), strlen(websocket_result_text(result)));
    free(copy);
    return !websocket_failed(result);
}

static struct trace run(enum websocket_role role, const uint8_t *wire, size_t size, size_t cut,
                        size_t step)
{
    static uint8_t message[MESSAGE_SIZE_MAX + WEBSOCKET_PADDING];
    struct websocket websocket;
    struct trace trace = {0};
    websocket_init(&websocket, role, message, MESSAGE_SIZE_MAX);
    size_t at = 0;
    if (cut > 0 && !trace_piece(&trace, &websocket, wire, cut))
        return trace;
    for (at = cut; at < size; at += step)
        if (!trace_piece(&trace, &websocket, wire + at, size - at < step ? size - at : step))
            break;
    return trace;
}

// The same stream with every frame masked: headers are read leniently, as they may be wrong.
static size_t mask_stream(const uint8_t *wire, size_t size, uint8_t *target)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        size_t code = size - at > 1 ? wire[at + 1] & 0x7f : 0;
        size_t header = 2 + (code == 126 ? 2u : code == 127 ? 8u : 0u);
        if (header > size - at)
            header = size - at;
        size_t payload = code;
        if (code >= 126)
            for (size_t i = payload = 0; i + 2 < header; i++)
                payload = payload << 8 | wire[at + 2 + i];
        if (payload > size - at - header)
            payload = size - at - header;
        memcpy(target + used, wire + at, header);
        if (header > 1)
            target[used + 1] |= 0x80;
        used += header;
        if (header >= 2) {
            memcpy(target + used, mask, 4);
            used += 4;
        }
        memcpy(target + used, wire + at + header, payload);
        websocket_mask(target + used, payload, mask, 0);
        used += payload;
        at += header + payload;
    }
    return used;
}

static void check(size_t row, const uint8_t *wire, size_t size, const char *expected)
{
    for (size_t cut = 0; cut <= size; cut++) {
        struct trace trace = run(WEBSOCKET_CLIENT, wire, size, cut, size + 1);
        cr_assert_str_eq(trace.text, expected, "row %zu cut %zu: %s", row, cut, trace.text);
    }
    struct trace bytes = run(WEBSOCKET_CLIENT, wire, size, 0, 1);
    cr_assert_str_eq(bytes.text, expected, "row %zu by bytes: %s", row, bytes.text);
    uint8_t masked[2048];
    size_t masked_size = mask_stream(wire, size, masked);
    for (size_t step = 1; step <= masked_size; step++) {
        struct trace trace = run(WEBSOCKET_SERVER, masked, masked_size, 0, step);
        cr_assert_str_eq(trace.text, expected, "row %zu server step %zu: %s", row, step,
                         trace.text);
    }
}

struct stream_case {
    const char *wire;
    size_t size;
    const char *trace;
};

#define E_RESERVED "websocket: reserved bits are set"
#define E_OPCODE "websocket: reserved opcode"
#define E_LENGTH "websocket: malformed frame length"
#define E_LARGE "websocket: message above the size limit"
#define E_CONTROL_SIZE "websocket: control frame above 125 bytes"
#define E_CONTROL_FRAGMENT "websocket: fragmented control frame"
#define E_CONTINUATION "websocket: continuation without a beginning"
#define E_INTERLEAVED "websocket: new message inside a fragmented one"
#define E_UTF8 "websocket: text is not UTF-8"
#define E_CLOSE_PAYLOAD "websocket: close frame of one byte"
#define E_CLOSE_CODE "websocket: close code that must not be sent"
#define KOSME "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
#define BYTES_25 "0123456789abcdefghijklmno"
#define BYTES_125 BYTES_25 BYTES_25 BYTES_25 BYTES_25 BYTES_25

static const struct stream_case stream_table[] = {
    // 1: framing.
    {WIRE("\x81\x00"), "T:|"},
    {WIRE("\x82\x00"), "B:|"},
    {WIRE("\x81\x05hello"), "T:hello|"},
    {WIRE("\x82\x05\xfe\xff\x01yz"), "B:\xfe\xff\x01yz|"},
    {WIRE("\x81\x7d" BYTES_125), "T:" BYTES_125 "|"},
    {WIRE("\x81\x7e\x00\x7e" BYTES_125 "x"), "T:" BYTES_125 "x|"},
    {WIRE("\x82\x7e\x00\xc8" BYTES_125 BYTES_25 BYTES_25 BYTES_25),
     "B:" BYTES_125 BYTES_25 BYTES_25 BYTES_25 "|"},
    {WIRE("\x81\x01"
          "a\x82\x01"
          "b\x81\x01"
          "c"),
     "T:a|B:b|T:c|"},
    {WIRE("\x81\x7e\x00\x05hello"), E_LENGTH},
    {WIRE("\x81\x7e\x00\x7d" BYTES_125), E_LENGTH},
    {WIRE("\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), E_LENGTH},
    {WIRE("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), E_LENGTH},
    // 2: ping and pong.
    {WIRE("\x89\x00"), "P:|"},
    {WIRE("\x89\x05hello"), "P:hello|"},
    {WIRE("\x89\x04\x01\xff\xfe\xfd"), "P:\x01\xff\xfe\xfd|"},
    {WIRE("\x89\x7d" BYTES_125), "P:" BYTES_125 "|"},
    {WIRE("\x89\x7e\x00\x7e"), E_CONTROL_SIZE},
    {WIRE("\x8a\x00"), "O:|"},
    {WIRE("\x8a\x03xyz\x89\x01p"), "O:xyz|P:p|"},
    // 3: reserved bits.
    {WIRE("\xc1\x05hello"), E_RESERVED},
    {WIRE("\xa1\x05hello"), E_RESERVED},
    {WIRE("\x81\x02ok\x91\x05hello"), "T:ok|" E_RESERVED},
    {WIRE("\xd9\x00"), E_RESERVED},
    {WIRE("\xf8\x00"), E_RESERVED},
    // 4: reserved opcodes.
    {WIRE("\x83\x00"), E_OPCODE},
    {WIRE("\x84\x05hello"), E_OPCODE},
    {WIRE("\x85\x00"), E_OPCODE},
    {WIRE("\x81\x01x\x86\x00"), "T:x|" E_OPCODE},
    {WIRE("\x87\x00"), E_OPCODE},
    {WIRE("\x8b\x00"), E_OPCODE},
    {WIRE("\x8c\x01x"), E_OPCODE},
    {WIRE("\x8d\x00"), E_OPCODE},
    {WIRE("\x8e\x00"), E_OPCODE},
    {WIRE("\x8f\x00"), E_OPCODE},
    // 5: fragmentation.
    {WIRE("\x09\x01x"), E_CONTROL_FRAGMENT},
    {WIRE("\x0a\x00"), E_CONTROL_FRAGMENT},
    {WIRE("\x08\x00"), E_CONTROL_FRAGMENT},
    {WIRE("\x01\x02he\x80\x03llo"), "T:hello|"},
    {WIRE("\x02\x02he\x00\x01l\x80\x02lo"), "B:hello|"},
    {WIRE("\x01\x02he\x89\x04ping\x80\x03llo\x89\x01p"), "P:ping|T:hello|P:p|"},
    {WIRE("\x01\x00\x00\x00\x80\x00"), "T:|"},
    {WIRE("\x01\x00\x80\x05hello"), "T:hello|"},
    {WIRE("\x01\x05hello\x80\x00\x81\x02ok"), "T:hello|T:ok|"},
    {WIRE("\x80\x05hello"), E_CONTINUATION},
    {WIRE("\x00\x05hello"), E_CONTINUATION},
    {WIRE("\x81\x01x\x80\x01y"), "T:x|" E_CONTINUATION},
    {WIRE("\x01\x02he\x81\x03llo"), E_INTERLEAVED},
    {WIRE("\x01\x02he\x02\x03llo"), E_INTERLEAVED},
    // 6: UTF-8, also across fragments, fail-fast in the middle of a frame.
    {WIRE("\x81\x0b" KOSME), "T:" KOSME "|"},
    {WIRE("\x01\x01\xce\x00\x01\xba\x80\x03\xe1\xbd\xb9"), "T:\xce\xba\xe1\xbd\xb9|"},
    {WIRE("\x81\x04\xf4\x8f\xbf\xbf"), "T:\xf4\x8f\xbf\xbf|"},
    {WIRE("\x81\x04\xf4\x90\x80\x80"), E_UTF8},
    {WIRE("\x81\x03\xed\xa0\x80"), E_UTF8},
    {WIRE("\x81\x02\xc0\xaf"), E_UTF8},
    {WIRE("\x81\x01\xff"), E_UTF8},
    {WIRE("\x81\x02\xce\xba\x81\x01\xce"), "T:\xce\xba|" E_UTF8},
    {WIRE("\x01\x01\xce\x80\x00"), E_UTF8},
    {WIRE("\x01\x01\xce\x80\x01z"), E_UTF8},
    {WIRE("\x01\x02ok\x00\x7d\xff"), E_UTF8},
    {WIRE("\x82\x02\xc0\xaf"), "B:\xc0\xaf|"},
    {WIRE("\x02\x01\xce\x80\x01z"), "B:\xcez|"},
    // 7: close.
    {WIRE("\x88\x00"), "C1005:|"},
    {WIRE("\x88\x02\x03\xe8"), "C1000:|"},
    {WIRE("\x88\x05\x03\xe8"
          "bye"),
     "C1000:bye|"},
    {WIRE("\x88\x02\x03\xe8\x89\x01x\x88\x02\x03\xe8"), "C1000:|"},
    {WIRE("\x01\x02he\x88\x02\x03\xe8"), "C1000:|"},
    {WIRE("\x88\x02\x03\xe8\xff\xff\xff"), "C1000:|"},
    {WIRE("\x88\x01\x03"), E_CLOSE_PAYLOAD},
    {WIRE("\x88\x7e\x00\x7e"), E_CONTROL_SIZE},
    {WIRE("\x88\x7d\x03\xe8" BYTES_25 BYTES_25 BYTES_25 BYTES_25 "01234567890123456789012"),
     "C1000:" BYTES_25 BYTES_25 BYTES_25 BYTES_25 "01234567890123456789012|"},
    {WIRE("\x88\x04\x03\xe8\xc0\xaf"), E_UTF8},
    {WIRE("\x88\x03\x03\xe8\xce"), E_UTF8},
    // 9: limits.
    {WIRE("\x82\x7e\x00\xc9"), E_LARGE},
    {WIRE("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), E_LARGE},
    {WIRE("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), E_LARGE},
    {WIRE("\x02\x7d" BYTES_125 "\x80\x4c"), E_LARGE},
    {WIRE("\x02\x7d" BYTES_125 "\x80\x4b" BYTES_25 BYTES_25 BYTES_25),
     "B:" BYTES_125 BYTES_25 BYTES_25 BYTES_25 "|"},
};

Test(websocket, streams_at_every_split_in_both_roles)
{
    for (size_t i = 0; i < COUNT(stream_table); i++) {
        const struct stream_case *row = &stream_table[i];
        check(i, (const uint8_t *)row->wire, row->size, row->trace);
    }
}

Test(websocket, invalid_text_is_refused_at_the_first_impossible_byte)
{
    // Autobahn 6.4: the frame promises more, the text is already lost.
    static const uint8_t wire[] = "\x81\x15" KOSME "\xf4\x90";
    uint8_t message[MESSAGE_SIZE_MAX + WEBSOCKET_PADDING];
    struct websocket websocket;
    struct trace trace = {0};
    websocket_init(&websocket, WEBSOCKET_CLIENT, message, MESSAGE_SIZE_MAX);
    cr_assert(trace_piece(&trace, &websocket, wire, sizeof wire - 2), "f4 may still begin");
    cr_assert_not(trace_piece(&trace, &websocket, wire + sizeof wire - 2, 1));
    cr_assert_str_eq(trace.text, E_UTF8);
    cr_assert_not(trace_piece(&trace, &websocket, wire, 1), "an error is final");
}

Test(websocket, close_codes_follow_the_registry)
{
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        bool valid = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                     (code >= 3000 && code <= 4999);
        cr_assert_eq(websocket_close_code_valid((uint16_t)code), valid, "%u", code);
    }
    static const uint16_t bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t wire[4] = {0x88, 2, (uint8_t)(bad[i] >> 8), (uint8_t)bad[i]};
        check(i, wire, sizeof wire, E_CLOSE_CODE);
    }
}

Test(websocket, the_mask_must_fit_the_role)
{
    uint8_t message[MESSAGE_SIZE_MAX + WEBSOCKET_PADDING];
    struct websocket websocket;
    struct trace trace = {0};
    websocket_init(&websocket, WEBSOCKET_CLIENT, message, MESSAGE_SIZE_MAX);
    cr_assert_not(trace_piece(&trace, &websocket, (const uint8_t *)"\x81\x81mmmmx", 7));
    cr_assert_str_eq(trace.text, "websocket: the server's frame is masked");
    websocket_init(&websocket, WEBSOCKET_SERVER, message, MESSAGE_SIZE_MAX);
    trace = (struct trace){0};
    cr_assert_not(trace_piece(&trace, &websocket, (const uint8_t *)"\x81\x01x", 3));
    cr_assert_str_eq(trace.text, "websocket: the client's frame is not masked");
}

Test(websocket, a_whole_message_is_handed_out_in_place)
{
    uint8_t message[MESSAGE_SIZE_MAX + WEBSOCKET_PADDING];
    uint8_t wire[64 + WEBSOCKET_PADDING] = "\x81\x05hello\x01\x02he\x80\x03llo";
    struct websocket websocket;
    struct websocket_event event;
    websocket_init(&websocket, WEBSOCKET_CLIENT, message, MESSAGE_SIZE_MAX);
    uint8_t *at = wire;
    cr_assert_eq(websocket_next(&websocket, &at, wire + 16, &event), WEBSOCKET_EVENT);
    cr_assert_eq(event.data, wire + 2);
    cr_assert_eq(websocket_next(&websocket, &at, wire + 16, &event), WEBSOCKET_EVENT);
    cr_assert_eq(event.data, message);
    cr_assert_eq(event.size, 5);
}

Test(websocket, after_close_everything_is_dropped_and_a_reset_begins_anew)
{
    uint8_t message[MESSAGE_SIZE_MAX + WEBSOCKET_PADDING];
    struct websocket websocket;
    struct trace trace = {0};
    websocket_init(&websocket, WEBSOCKET_CLIENT, message, MESSAGE_SIZE_MAX);
    cr_assert_not(websocket_closed(&websocket));
    cr_assert(trace_piece(&trace, &websocket, (const uint8_t *)"\x88\x00\x81\x01x", 5));
    cr_assert(websocket_closed(&websocket));
    cr_assert(trace_piece(&trace, &websocket, (const uint8_t *)"\xff\xff", 2));
    websocket_reset(&websocket);
    cr_assert_not(websocket_closed(&websocket));
    cr_assert(trace_piece(&trace, &websocket, (const uint8_t *)"\x81\x01x", 3));
    cr_assert_str_eq(trace.text, "C1005:|T:x|");
}

Test(websocket, what_is_encoded_is_parsed_back)
{
    struct protocol_random random = random_start("websocket/encoded");
    static const uint32_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 70000};
    uint32_t capacity = 70000;
    uint8_t *payload = malloc(capacity);
    uint8_t *wire = malloc(capacity + WEBSOCKET_HEADER_SIZE_MAX + WEBSOCKET_PADDING);
    uint8_t *message = malloc(capacity + WEBSOCKET_PADDING);
    for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
        bool masked = i & 1;
        uint32_t size = sizes[i / 2];
        uint8_t mask[4];
        for (uint32_t n = 0; n < size; n++)
            payload[n] = (uint8_t)random_next(&random);
        for (int n = 0; n < 4; n++)
            mask[n] = (uint8_t)random_next(&random);
        uint32_t frame = websocket_frame_size(size, masked);
        const uint8_t *key = masked ? mask : NULL;
        cr_assert_eq(websocket_encode(wire, frame - 1, WEBSOCKET_BINARY, payload, size, key), 0);
        cr_assert_eq(websocket_encode(wire, frame, WEBSOCKET_BINARY, payload, size, key), frame);
        struct websocket websocket;
        struct websocket_event event;
        websocket_init(&websocket, masked ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT, message, capacity);
        // In three pieces at random.
        uint32_t cut = random_below(&random, frame + 1);
        uint8_t *at = wire;
        enum websocket_result result = websocket_next(&websocket, &at, wire + cut, &event);
        if (result == WEBSOCKET_MORE)
            result = websocket_next(&websocket, &at, wire + frame, &event);
        cr_assert_eq(result, WEBSOCKET_EVENT);
        cr_assert_eq(event.size, size);
        cr_assert(size == 0 || memcmp(event.data, payload, size) == 0);
    }
    free(payload);
    free(wire);
    free(message);
}

Test(websocket, masks_at_every_phase_and_size)
{
    static const uint8_t mask[4] = {1, 2, 4, 8};
    for (uint32_t phase = 0; phase < 9; phase++)
        for (size_t size = 0; size < 40; size++) {
            uint8_t data[40] = {0};
            websocket_mask(data, size, mask, phase);
            for (size_t i = 0; i < sizeof data; i++)
                cr_assert_eq(data[i], i < size ? mask[(phase + i) & 3] : 0);
        }
}

Test(websocket, close_frames_are_encoded_within_their_limit)
{
    uint8_t wire[WEBSOCKET_CONTROL_SIZE_MAX + WEBSOCKET_HEADER_SIZE_MAX];
    cr_assert_eq(websocket_encode_close(wire, sizeof wire, 1005, "unused", NULL), 2);
    cr_assert_arr_eq(wire, "\x88\x00", 2);
    cr_assert_eq(websocket_encode_close(wire, sizeof wire, 1000, NULL, NULL), 4);
    cr_assert_arr_eq(wire, "\x88\x02\x03\xe8", 4);
    cr_assert_eq(websocket_encode_close(wire, 8, 1001, "bye", NULL), 7);
    cr_assert_eq(websocket_encode_close(wire, 6, 1001, "bye", NULL), 0);
    char reason[200] = "";
    for (int i = 0; i < 60; i++)
        memcpy(reason + 3 * i, "\xed\x95\x9c", 3);
    // 123 bytes would cut nothing here (41 characters); one byte more in front cuts a character.
    cr_assert_eq(websocket_encode_close(wire, sizeof wire, 1000, reason, NULL), 2 + 2 + 123);
    reason[0] = 'x';
    memcpy(reason + 1, "\xed\x95\x9c\xed\x95\x9c", 6);
    memmove(reason + 7, reason + 9, strlen(reason + 9) + 1);
    cr_assert_eq(websocket_encode_close(wire, sizeof wire, 1000, reason, NULL), 2 + 2 + 121);
}

Test(websocket, every_result_has_a_text_and_a_close_code)
{
    for (int result = WEBSOCKET_ERROR_CLOSE_CODE; result <= WEBSOCKET_EVENT; result++) {
        cr_assert_gt(strlen(websocket_result_text((enum websocket_result)result)), 11);
        if (result >= 0)
            continue;
        uint16_t expected = result == WEBSOCKET_ERROR_UTF8        ? 1007
                            : result == WEBSOCKET_ERROR_TOO_LARGE ? 1009
                                                                  : 1002;
        cr_assert_eq(websocket_error_close_code((enum websocket_result)result), expected);
    }
}
