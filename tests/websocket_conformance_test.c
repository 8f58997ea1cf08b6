// SPDX-License-Identifier: GPL-3.0-or-later
//
// The cases of websocket_cases.h put to an echoing endpoint made of the production parser and
// encoder, as client and as server, with the stream cut in every way. What comes back is read by a
// small decoder of its own, so that a mistake of the encoder cannot hide behind the same mistake
// of the parser.
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "tests/protocol_random.h"
#include "tests/websocket_cases.h"
#include "tests/ws_echo_endpoint.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
    NORMAL = 1000,
    NO_CODE = 1005,
    // Streams up to this are also cut at every place, larger ones here and there.
    CUT_EVERYWHERE_MAX = 400,
    BYTEWISE_MAX = 1 << 17,
    LARGE = 1 << 20, // where one cut at random is enough
    RANDOM_CUTS = 3,
};

struct bytes {
    uint8_t *at;
    size_t size;
    size_t capacity;
};

static void bytes_room(struct bytes *bytes, size_t size)
{
    size_t need = bytes->size + size + WEBSOCKET_PADDING;
    if (need <= bytes->capacity)
        return;
    bytes->capacity = 2 * need;
    bytes->at = realloc(bytes->at, bytes->capacity);
    cr_assert_not_null(bytes->at);
}

static void bytes_add(struct bytes *bytes, const void *more, size_t size)
{
    bytes_room(bytes, size);
    if (size > 0)
        memcpy(bytes->at + bytes->size, more, size);
    bytes->size += size;
}

static const uint8_t mask_key[4] = {0x37, 0xfa, 0x21, 0x3d};

static void frame_add(struct bytes *wire, bool masked, uint8_t first, const uint8_t *payload,
                      size_t size)
{
    uint8_t header[14] = {first};
    size_t used = 2;
    header[1] = (uint8_t)(size < 126 ? size : size <= UINT16_MAX ? 126 : 127);
    for (int shift = size < 126 ? -8 : size <= UINT16_MAX ? 8 : 56; shift >= 0; shift -= 8)
        header[used++] = (uint8_t)(size >> shift);
    if (masked) {
        header[1] |= 0x80;
        memcpy(header + used, mask_key, 4);
        used += 4;
    }
    bytes_add(wire, header, used);
    bytes_add(wire, payload, size);
    uint8_t *at = wire->at + wire->size - size;
    for (size_t i = 0; masked && i < size; i++) at[i] ^= mask_key[i & 3];
}

static void payload_fill(struct bytes *payload, const struct websocket_case_frame *frame)
{
    payload->size = 0;
    bytes_room(payload, frame->size);
    for (uint32_t at = 0; frame->pattern_size > 1 && at < frame->size; at++)
        payload->at[at] = (uint8_t)frame->payload[at % frame->pattern_size];
    if (frame->pattern_size == 1)
        memset(payload->at, frame->payload[0], frame->size);
    payload->size = frame->size;
}

// The frame, or the fragments it is cut into.
static void sent_add(struct bytes *wire, bool masked, const struct websocket_case *row,
                     const struct websocket_case_frame *frame)
{
    static struct bytes payload;
    payload_fill(&payload, frame);
    if (row->fragment == 0 || frame->size <= row->fragment) {
        frame_add(wire, masked, frame->first, payload.at, frame->size);
        return;
    }
    for (uint32_t at = 0; at < frame->size; at += row->fragment) {
        bool last = frame->size - at <= row->fragment;
        uint8_t first = (uint8_t)((at == 0 ? frame->first & 0x0f : 0) | (last ? 0x80 : 0));
        frame_add(wire, masked, first, payload.at + at, last ? frame->size - at : row->fragment);
    }
}

static void wire_make(struct bytes *wire, bool masked, const struct websocket_case *row)
{
    wire->size = 0;
    for (uint32_t n = 0; n < (row->repeat > 0 ? row->repeat : 1); n++)
        for (const struct websocket_case_frame *f = row->sent; f->payload != NULL; f++)
            sent_add(wire, masked, row, f);
    if (row->close == 0)
        frame_add(wire, masked, CLOSE, (const uint8_t *)"\x03\xe8", 2);
}

// ---- what comes back ----

struct answer_reader {
    const char *source;
    uint8_t *at;
    uint8_t *end;
    bool masked;
};

// One frame, by the letter of section 5.2; unmasked in place.
static uint8_t *answer_next(struct answer_reader *reader, uint8_t *first, size_t *size)
{
    uint8_t *at = reader->at;
    const char *source = reader->source;
    cr_assert_geq(reader->end - at, 2, "%s: the answer ends too early", source);
    *first = at[0];
    cr_assert_eq((at[1] & 0x80) != 0, reader->masked, "%s: mask", source);
    size_t code = at[1] & 0x7f;
    size_t more = code == 126 ? 2 : code == 127 ? 8 : 0;
    *size = more > 0 ? 0 : code;
    at += 2;
    for (size_t i = 0; i < more; i++) *size = *size << 8 | *at++;
    size_t least = *size < 126 ? 0 : *size <= UINT16_MAX ? 2 : 8;
    cr_assert_eq(more, least, "%s: not the shortest form of %zu", source, *size);
    const uint8_t *key = at;
    if (reader->masked)
        at += 4;
    cr_assert_geq(reader->end - at, (ptrdiff_t)*size, "%s: a frame is cut off", source);
    for (size_t i = 0; reader->masked && i < *size; i++) at[i] ^= key[i & 3];
    reader->at = at + *size;
    return at;
}

static void answer_check(struct answer_reader *reader, const struct websocket_case *row)
{
    static struct bytes payload;
    uint8_t first;
    size_t size;
    for (uint32_t n = 0; n < (row->repeat > 0 ? row->repeat : 1); n++)
        for (const struct websocket_case_frame *f = row->answer; f->payload != NULL; f++) {
            const uint8_t *at = answer_next(reader, &first, &size);
            payload_fill(&payload, f);
            cr_assert_eq(first, f->first, "%s: %02x came for %02x", row->source, first, f->first);
            cr_assert_eq(size, f->size, "%s: %zu bytes", row->source, size);
            cr_assert(size == 0 || memcmp(at, payload.at, size) == 0, "%s: payload", row->source);
        }
    const uint8_t *at = answer_next(reader, &first, &size);
    uint16_t want = row->close > 0 ? row->close : NORMAL;
    uint16_t code = size >= 2 ? (uint16_t)(at[0] << 8 | at[1]) : NO_CODE;
    cr_assert_eq(first, CLOSE, "%s: %02x came for a close frame", row->source, first);
    cr_assert(size != 1 && size <= 125, "%s: close frame of %zu bytes", row->source, size);
    cr_assert_eq(code, want, "%s: code %u came for %u", row->source, code, want);
    cr_assert_eq(reader->at, reader->end, "%s: bytes after the close frame", row->source);
}

// ---- an endpoint that is asked ----

static void key_next(void *context, void *bytes, size_t size)
{
    uint64_t key = random_next(context);
    cr_assert_leq(size, sizeof key);
    memcpy(bytes, &key, size);
}

static struct ws_echo_endpoint *endpoint(enum websocket_role role)
{
    static struct protocol_random random = {7};
    static struct ws_echo_endpoint echo;
    struct ws_echo_options options = {.role = role,
                                      .message_size_max = WEBSOCKET_CASE_MESSAGE_MAX,
                                      .random = key_next,
                                      .random_context = &random};
    if (echo.message != NULL)
        ws_echo_endpoint_close(&echo);
    cr_assert(ws_echo_endpoint_open(&echo, &options));
    return &echo;
}

// In memory that ends where it should not be read beyond.
static void feed(struct ws_echo_endpoint *echo, const uint8_t *wire, size_t size)
{
    uint8_t *copy = malloc(size + WEBSOCKET_PADDING);
    cr_assert_not_null(copy);
    memcpy(copy, wire, size);
    memset(copy + size, 0xa5, WEBSOCKET_PADDING);
    ws_echo_endpoint_feed(echo, copy, size);
    free(copy);
}

struct cut {
    size_t first; // a piece of this size, then ...
    size_t step;  // ... pieces of this; 0: at random, from `random` on
    struct protocol_random random;
};

static void ask(enum websocket_role role, const struct websocket_case *row,
                const struct bytes *wire, struct cut cut)
{
    struct ws_echo_endpoint *echo = endpoint(role);
    size_t at = 0;
    for (size_t piece = cut.first; at < wire->size; at += piece, piece = cut.step) {
        if (piece == 0)
            piece = 1 + random_below(&cut.random, (uint32_t)wire->size);
        if (piece > wire->size - at)
            piece = wire->size - at;
        feed(echo, wire->at + at, piece);
    }
    size_t size;
    uint8_t *output = (uint8_t *)(uintptr_t)ws_echo_endpoint_output(echo, &size);
    struct answer_reader reader = {row->source, output, output + size, role == WEBSOCKET_CLIENT};
    answer_check(&reader, row);
    cr_assert(echo->over && !echo->overrun);
    cr_assert_eq(websocket_failed(echo->failure), row->failed, "%s", row->source);
}

static void ask_in_every_way(enum websocket_role role, const struct websocket_case *row)
{
    static struct bytes wire;
    wire_make(&wire, role == WEBSOCKET_SERVER, row);
    if (row->chop > 0) {
        ask(role, row, &wire, (struct cut){row->chop, row->chop, {0}});
        if (wire.size > CUT_EVERYWHERE_MAX)
            return;
    }
    ask(role, row, &wire, (struct cut){wire.size, wire.size, {0}});
    if (wire.size <= CUT_EVERYWHERE_MAX)
        for (size_t first = 1; first < wire.size; first++)
            ask(role, row, &wire, (struct cut){first, wire.size, {0}});
    if (wire.size <= BYTEWISE_MAX)
        ask(role, row, &wire, (struct cut){1, 1, {0}});
    for (uint64_t seed = wire.size > LARGE ? RANDOM_CUTS - 1 : 0; seed < RANDOM_CUTS; seed++)
        ask(role, row, &wire, (struct cut){0, 0, {seed}});
}

// The failure is known with that byte of that frame, and not before.
static void fails_fast(enum websocket_role role, const struct websocket_case *row)
{
    struct bytes wire = {0};
    size_t header = 2 + (role == WEBSOCKET_SERVER ? 4 : 0); // all payloads are short
    for (uint32_t i = 0; i < row->fails_frame; i++)
        sent_add(&wire, role == WEBSOCKET_SERVER, row, &row->sent[i]);
    size_t place = wire.size + header + row->fails_bytes;
    sent_add(&wire, role == WEBSOCKET_SERVER, row, &row->sent[row->fails_frame]);
    cr_assert_leq(place, wire.size);
    struct ws_echo_endpoint *echo = endpoint(role);
    feed(echo, wire.at, place - 1);
    cr_assert(!echo->over, "%s: failed before it had to", row->source);
    feed(echo, wire.at + place - 1, 1);
    cr_assert(echo->over, "%s: not failed in time", row->source);
    free(wire.at);
}

static void group(enum websocket_case_group_name name)
{
    struct websocket_case_group cases = websocket_cases(name);
    cr_assert_gt(cases.count, 0);
    for (uint32_t i = 0; i < cases.count; i++)
        for (int role = WEBSOCKET_CLIENT; role <= WEBSOCKET_SERVER; role++) {
            ask_in_every_way((enum websocket_role)role, &cases.cases[i]);
            if (cases.cases[i].fails_bytes > 0)
                fails_fast((enum websocket_role)role, &cases.cases[i]);
        }
}

Test(websocket_conformance, framing)
{
    group(WEBSOCKET_CASES_FRAMING);
}

Test(websocket_conformance, pings_and_pongs)
{
    group(WEBSOCKET_CASES_PING);
}

Test(websocket_conformance, reserved_bits)
{
    group(WEBSOCKET_CASES_RESERVED);
}

Test(websocket_conformance, opcodes)
{
    group(WEBSOCKET_CASES_OPCODE);
}

Test(websocket_conformance, fragmentation)
{
    group(WEBSOCKET_CASES_FRAGMENT);
}

Test(websocket_conformance, text_across_frames)
{
    group(WEBSOCKET_CASES_UTF8);
}

Test(websocket_conformance, closing)
{
    group(WEBSOCKET_CASES_CLOSE);
}

Test(websocket_conformance, sizes)
{
    group(WEBSOCKET_CASES_SIZE);
}

static uint32_t from_hexadecimal(const char *text, char *bytes)
{
    uint32_t size = 0;
    for (; text[2 * size] != '\0'; size++) {
        char pair[3] = {text[2 * size], text[2 * size + 1], '\0'};
        bytes[size] = (char)strtoul(pair, NULL, 16);
    }
    return size;
}

Test(websocket_conformance, texts_are_utf8_or_refused)
{
    uint32_t count, asked = 0;
    const struct websocket_text_case *texts = websocket_text_cases(&count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < texts[i].count; k++, asked++) {
            char bytes[256];
            uint32_t size = from_hexadecimal(texts[i].texts[k], bytes);
            struct websocket_case row = {
                .source = texts[i].source,
                .sent = {{TEXT, bytes, size, size}},
                .close = texts[i].valid ? 0 : 1007,
                .failed = !texts[i].valid,
            };
            if (texts[i].valid)
                row.answer[0] = row.sent[0];
            for (int role = WEBSOCKET_CLIENT; role <= WEBSOCKET_SERVER; role++) {
                ask_in_every_way((enum websocket_role)role, &row);
                row.fragment = 1;
                ask_in_every_way((enum websocket_role)role, &row);
                row.fragment = 0;
            }
        }
    cr_assert_eq(asked, 132, "%u texts", asked);
}

Test(websocket_conformance, every_public_case_is_there)
{
    // Of 1 to 7, 9 and 10; 6.5 to 6.23 are the texts.
    static const uint32_t want[] = {16, 11, 7, 10, 20, 13, 37, 55};
    for (int g = 0; g < WEBSOCKET_CASES_GROUPS; g++) {
        struct websocket_case_group cases = websocket_cases((enum websocket_case_group_name)g);
        uint32_t count = 0;
        for (uint32_t i = 0; i < cases.count; i++)
            count += strcmp(cases.cases[i].source, "own") != 0;
        cr_assert_eq(count, want[g], "%s: %u", cases.name, count);
    }
}

Test(websocket_conformance, a_limit_holds_for_one_frame_and_for_many)
{
    // RFC 6455 section 7.4.1: 1009 where a message is too big to process.
    enum { LIMIT = 1000 };
    static const struct websocket_case rows[] = {
        {"limit", "as large as allowed", .sent = {FILLED(BINARY, "x", LIMIT)},
         .answer = {FILLED(BINARY, "x", LIMIT)}},
        {"limit", "one more", .sent = {FILLED(BINARY, "x", LIMIT + 1)}, .close = 1009,
         .failed = true},
        {"limit", "one more in fragments", .sent = {FILLED(TEXT, "x", LIMIT + 1)}, .close = 1009,
         .failed = true, .fragment = 77},
        {"limit", "far more", .sent = {FILLED(BINARY, "x", 1 << 17)}, .close = 1009,
         .failed = true},
    };
    for (size_t i = 0; i < COUNT(rows) * 2; i++) {
        struct bytes wire = {0};
        static struct protocol_random random = {3};
        enum websocket_role role = i & 1 ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT;
        struct ws_echo_options options = {role, LIMIT, 0, key_next, &random};
        struct ws_echo_endpoint echo;
        cr_assert(ws_echo_endpoint_open(&echo, &options));
        wire_make(&wire, role == WEBSOCKET_SERVER, &rows[i / 2]);
        feed(&echo, wire.at, wire.size);
        struct answer_reader reader = {rows[i / 2].what, echo.output,
                                       echo.output + echo.output_end, role == WEBSOCKET_CLIENT};
        answer_check(&reader, &rows[i / 2]);
        ws_echo_endpoint_close(&echo);
        free(wire.at);
    }
}
