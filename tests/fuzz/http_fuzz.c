// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: a stream gives the same heads, body bytes and end wherever it is cut, for responses and
// requests. The first byte chooses kind and cut.
#include "format/ensure.h"
#include "protocol/http.h"
#include <stddef.h>
#include <string.h>

struct outcome {
    uint64_t hash; // of the body's bytes
    uint64_t body_size;
    uint32_t heads;
    uint32_t fields;
    enum http_result result;
    uint32_t retry_after;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_body(struct outcome *outcome, struct http_slice body)
{
    for (uint32_t i = 0; i < body.size; i++)
        outcome->hash = (outcome->hash ^ (unsigned char)body.text[i]) * 0x100000001b3u;
    outcome->body_size += body.size;
}

static bool run_piece(struct outcome *outcome, struct http_parser *parser, const char *at,
                      const char *end)
{
    for (;;) {
        struct http_slice body = {0};
        outcome->result = http_parse(parser, &at, end, &body);
        ensure(at <= end);
        if (outcome->result == HTTP_HEAD) {
            outcome->heads++;
            outcome->fields = parser->fields_count;
            (void)http_retry_after(parser, &outcome->retry_after);
            (void)http_field_has_token(parser, "Connection", "upgrade");
        }
        if (outcome->result == HTTP_BODY)
            take_body(outcome, body);
        if (outcome->result == HTTP_MORE)
            return false;
        if (outcome->result == HTTP_DONE || http_failed(outcome->result))
            return true;
    }
}

static struct outcome run(enum http_kind kind, const char *wire, size_t size, size_t step)
{
    static char head[2048];
    struct http_parser parser;
    struct outcome outcome = {.hash = 0xcbf29ce484222325u};
    http_parser_init(&parser, kind, head, sizeof head);
    for (size_t at = 0; at < size; at += step)
        if (run_piece(&outcome, &parser, wire + at, wire + (size - at < step ? size : at + step)))
            return outcome;
    outcome.result = http_parse_end(&parser);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 16384)
        return 0;
    enum http_kind kind = data[0] & 1 ? HTTP_REQUEST : HTTP_RESPONSE;
    const char *wire = (const char *)data + 1;
    size_t step = 1 + (data[0] >> 1);
    struct outcome whole = run(kind, wire, size - 1, size - 1);
    struct outcome pieces = run(kind, wire, size - 1, step);
    ensure(whole.result == pieces.result && whole.heads == pieces.heads);
    ensure(whole.hash == pieces.hash && whole.body_size == pieces.body_size);
    ensure(whole.fields == pieces.fields && whole.retry_after == pieces.retry_after);
    return 0;
}
