// SPDX-License-Identifier: GPL-3.0-or-later
//
// HTTP/1.1: messages and errors by table, each at every split of the stream, and the writers.
#include "protocol/http.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

// What a stream gives: results joined as text, e.g. "200 <body> done".
struct trace {
    char text[4096];
    size_t size;
    uint32_t rest; // bytes not consumed
};

static void trace_add(struct trace *trace, const char *text, size_t size)
{
    cr_assert(trace->size + size < sizeof trace->text);
    memcpy(trace->text + trace->size, text, size);
    trace->size += size;
    trace->text[trace->size] = '\0';
}

static void trace_head(struct trace *trace, const struct http_parser *parser)
{
    char line[64];
    (void)snprintf(line, sizeof line, "%u ", parser->status);
    if (parser->kind == HTTP_RESPONSE)
        trace_add(trace, line, strlen(line));
    else
        trace_add(trace, parser->target.text, parser->target.size);
    if (parser->kind == HTTP_REQUEST)
        trace_add(trace, " ", 1);
}

// Runs the parser over one piece; true when the message is over.
static bool trace_piece(struct trace *trace, struct http_parser *parser, const char *at,
                        const char *end)
{
    for (;;) {
        struct http_slice body;
        enum http_result result = http_parse(parser, &at, end, &body);
        trace->rest = (uint32_t)(end - at);
        if (result == HTTP_MORE)
            return false;
        if (result == HTTP_HEAD)
            trace_head(trace, parser);
        else if (result == HTTP_BODY)
            trace_add(trace, body.text, body.size);
        else if (result == HTTP_DONE)
            trace_add(trace, " done", 5);
        else
            trace_add(trace, http_result_text(result), strlen(http_result_text(result)));
        if (result == HTTP_DONE || http_failed(result))
            return true;
    }
}

static void trace_end(struct trace *trace, struct http_parser *parser)
{
    enum http_result result = http_parse_end(parser);
    const char *text = result == HTTP_DONE ? " end" : http_result_text(result);
    trace_add(trace, text, strlen(text));
}

static struct trace run_split(enum http_kind kind, bool no_body, const char *wire, size_t cut)
{
    char head[512];
    struct http_parser parser;
    http_parser_init(&parser, kind, head, sizeof head);
    if (no_body)
        http_parser_expect_no_body(&parser);
    struct trace trace = {0};
    size_t size = strlen(wire);
    if (!trace_piece(&trace, &parser, wire, wire + cut)) {
        if (!trace_piece(&trace, &parser, wire + cut, wire + size))
            trace_end(&trace, &parser);
    } else {
        trace.rest += (uint32_t)(size - cut);
    }
    return trace;
}

static struct trace run_bytes(enum http_kind kind, bool no_body, const char *wire)
{
    char head[512];
    struct http_parser parser;
    http_parser_init(&parser, kind, head, sizeof head);
    if (no_body)
        http_parser_expect_no_body(&parser);
    struct trace trace = {0};
    size_t size = strlen(wire);
    for (size_t i = 0; i < size; i++)
        if (trace_piece(&trace, &parser, wire + i, wire + i + 1)) {
            trace.rest += (uint32_t)(size - i - 1);
            return trace;
        }
    trace_end(&trace, &parser);
    return trace;
}

struct wire_case {
    const char *wire;
    const char *trace;
    uint32_t rest;
    bool no_body;
};

#define OK200 "HTTP/1.1 200 OK\r\n"
#define BAD_LENGTH "http: malformed or contradictory Content-Length"
#define BAD_CODING "http: unsupported Transfer-Encoding"
#define CHUNKED OK200 "Transfer-Encoding: chunked\r\n\r\n"

static const struct wire_case response_table[] = {
    {OK200 "Content-Length: 5\r\n\r\nhello", "200 hello done", 0, false},
    {OK200 "content-length:5\r\n\r\nhelloHTTP", "200 hello done", 4, false},
    {OK200 "Content-Length: 0\r\n\r\n", "200  done", 0, false},
    {OK200 "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "200 hello done", 0, false},
    {OK200 "\r\nuntil the end", "200 until the end end", 0, false},
    {"HTTP/1.0 200\r\n\r\nx", "200 x end", 0, false},
    {"HTTP/1.1 429 \r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}", "429 {} done", 0, false},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", "204  done", 0, false},
    {"HTTP/1.1 304 Not Modified\r\n\r\n", "304  done", 0, false},
    {OK200 "Content-Length: 5\r\n\r\n", "200  done", 0, true},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81", "101  done", 1, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK200
     "Content-Length: 1\r\n\r\na",
     "200 a done", 0, false},
    {CHUNKED "5\r\nhello\r\n0\r\n\r\n", "200 hello done", 0, false},
    {CHUNKED "5;a=\"b\"\r\nhello\r\n00A \r\n, world123\r\n0\r\nX-T: 1\r\nY:\r\n\r\nnext",
     "200 hello, world123 done", 4, false},
    {CHUNKED "0\r\n\r\n", "200  done", 0, false},
    {OK200 "transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", "200 a done", 0, false},
    {OK200 "X: \t a b \t\r\nE:\r\nContent-Length: 1\r\n\r\na", "200 a done", 0, false},
    // Refused.
    {"SSH-2.0-OpenSSH_9\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"HTTP/2 200\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"HTTP/1.2 200 OK\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"HTTP/1.1 20 OK\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"HTTP/1.1 2000\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"HTTP/1.1 099 X\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"HTTP/1.1 200 OK\nX: 1\n\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {OK200 "X: 1\n\r\n", "http: malformed header field", 0, false},
    {OK200 "X : 1\r\n\r\n", "http: malformed header field", 0, false},
    {OK200 ": 1\r\n\r\n", "http: malformed header field", 0, false},
    {OK200 "no colon\r\n\r\n", "http: malformed header field", 0, false},
    {OK200 "X: 1\r\n folded\r\n\r\n", "http: malformed header field", 0, false},
    {OK200 "X: a\rb\r\n\r\n", "http: malformed header field", 0, false},
    {OK200 "X: a\x01\r\n\r\n", "http: malformed header field", 0, false},
    {OK200 "Content-Length: -1\r\n\r\n", BAD_LENGTH, 0, false},
    {OK200 "Content-Length: +1\r\n\r\n", BAD_LENGTH, 0, false},
    {OK200 "Content-Length: 5, 5\r\n\r\n", BAD_LENGTH, 0,
     false},
    {OK200 "Content-Length:\r\n\r\n", BAD_LENGTH, 0, false},
    {OK200 "Content-Length: 9999999999999999999\r\n\r\n",
     BAD_LENGTH, 0, false},
    {OK200 "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
     BAD_LENGTH, 0, false},
    {OK200 "Transfer-Encoding: gzip, chunked\r\n\r\n", BAD_CODING, 0,
     false},
    {OK200 "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
     BAD_CODING, 0, false},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", BAD_CODING, 0,
     false},
    {CHUNKED "\r\n", "200 http: malformed chunk", 0, false},
    {CHUNKED "g\r\n", "200 http: malformed chunk", 0, false},
    {CHUNKED "-1\r\n", "200 http: malformed chunk", 0, false},
    {CHUNKED "1\na", "200 http: malformed chunk", 0, false},
    {CHUNKED "1\r\nab", "200 ahttp: malformed chunk", 0, false},
    {CHUNKED "10000000000000000\r\n", "200 http: malformed chunk", 0, false},
    {CHUNKED "1;\x01\r\n", "200 http: malformed chunk", 0, false},
    {CHUNKED "0\r\n\r!", "200 http: malformed chunk", 0, false},
    {CHUNKED "5\r\nhel", "200 helhttp: connection closed inside a message", 0, false},
    {CHUNKED "0\r\n", "200 http: connection closed inside a message", 0, false},
    {OK200 "Content-Length: 5\r\n\r\nhell", "200 hellhttp: connection closed inside a message", 0,
     false},
    {OK200 "X: 1", "http: connection closed inside a message", 0, false},
    {"", "http: connection closed inside a message", 0, false},
};

static const struct wire_case request_table[] = {
    {"GET /ws?x=1 HTTP/1.1\r\nHost: h\r\n\r\n\x01", "/ws?x=1  done", 1, false},
    {"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", "/ ab done", 0, false},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "/ a done",
     0, false},
    {"GET  / HTTP/1.1\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"GET /\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"GET / HTTP/1.1 \r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"GET / a HTTP/1.1\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {" / HTTP/1.1\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
    {"GET / HTTP/3.1\r\n\r\n", "http: the peer does not speak HTTP/1.1", 0, false},
};

static void check_table(enum http_kind kind, const struct wire_case *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct wire_case *row = &table[i];
        bool failing = strstr(row->trace, "http:") != NULL;
        for (size_t cut = 0; cut <= strlen(row->wire); cut++) {
            struct trace trace = run_split(kind, row->no_body, row->wire, cut);
            cr_assert_str_eq(trace.text, row->trace, "row %zu '%s' cut %zu", i, row->wire, cut);
            cr_assert(failing || trace.rest == row->rest, "row %zu cut %zu: %u", i, cut,
                      trace.rest);
        }
        struct trace trace = run_bytes(kind, row->no_body, row->wire);
        cr_assert_str_eq(trace.text, row->trace, "row %zu by bytes", i);
    }
}

Test(http, responses_at_every_split)
{
    check_table(HTTP_RESPONSE, response_table, COUNT(response_table));
}

Test(http, requests_at_every_split)
{
    check_table(HTTP_REQUEST, request_table, COUNT(request_table));
}

static enum http_result parse_head(struct http_parser *parser, char *head, uint32_t capacity,
                                   const char *wire)
{
    http_parser_init(parser, HTTP_RESPONSE, head, capacity);
    struct http_slice body;
    return http_parse(parser, &wire, wire + strlen(wire), &body);
}

Test(http, fields_are_found_whatever_their_case)
{
    char head[1024];
    struct http_parser parser;
    cr_assert_eq(parse_head(&parser, head, sizeof head,
                            OK200 "X-MBX-USED-WEIGHT-1M: 42\r\nremaining-req:  group=a; sec=9 \r\n"
                                  "Connection: keep-alive,  Upgrade\r\nConnection: x\r\n\r\n"),
                 HTTP_HEAD);
    struct http_slice value;
    cr_assert(http_field_find(&parser, "x-mbx-used-weight-1m", &value));
    cr_assert(value.size == 2 && memcmp(value.text, "42", 2) == 0);
    cr_assert(http_field_find(&parser, "Remaining-Req", &value));
    cr_assert(value.size == 14 && memcmp(value.text, "group=a; sec=9", 14) == 0);
    cr_assert_not(http_field_find(&parser, "Remaining", &value));
    cr_assert(http_field_has_token(&parser, "connection", "upgrade"));
    cr_assert(http_field_has_token(&parser, "connection", "X"));
    cr_assert_not(http_field_has_token(&parser, "connection", "keep"));
}

Test(http, retry_after_as_seconds_and_as_date)
{
    static const struct {
        const char *fields;
        bool found;
        uint32_t seconds;
    } table[] = {
        {"Retry-After: 120\r\n", true, 120},
        {"Retry-After: 0\r\n", true, 0},
        {"Retry-After: 259200\r\n", true, 259200},
        {"Retry-After: 999999999\r\n", true, 259200},
        {"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
         true, 259200},
        {"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:51:38 GMT\r\n",
         true, 121},
        {"Date: Thu, 29 Feb 2024 23:59:59 GMT\r\nRetry-After: Fri, 01 Mar 2024 00:00:01 GMT\r\n",
         true, 2},
        {"Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Sat, 01 Jan 2000 00:00:00 GMT\r\n",
         true, 60},
        {"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:00:00 GMT\r\n",
         true, 0},
        {"Retry-After: Sun, 06 Nov 1994 08:51:38 GMT\r\n", false, 0},
        {"Date: x\r\nRetry-After: Sun, 06 Nov 1994 08:51:38 GMT\r\n", false, 0},
        {"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 25:51:38 GMT\r\n",
         false, 0},
        {"Retry-After: -1\r\n", false, 0},
        {"Retry-After: 1.5\r\n", false, 0},
        {"Retry-After:\r\n", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char wire[512];
        char head[512];
        struct http_parser parser;
        (void)snprintf(wire, sizeof wire, OK200 "%s\r\n", table[i].fields);
        cr_assert_eq(parse_head(&parser, head, sizeof head, wire), HTTP_HEAD);
        uint32_t seconds = 0;
        cr_assert_eq(http_retry_after(&parser, &seconds), table[i].found, "%s", table[i].fields);
        cr_assert_eq(seconds, table[i].seconds, "%s: %u", table[i].fields, seconds);
    }
}

Test(http, keep_alive_follows_version_and_field)
{
    static const struct {
        const char *wire;
        bool keep_alive;
    } table[] = {
        {OK200 "Content-Length: 1\r\n\r\n", true},
        {OK200 "Content-Length: 1\r\nConnection: Close\r\n\r\n", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", true},
        {OK200 "\r\n", false},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char head[512];
        struct http_parser parser;
        cr_assert_eq(parse_head(&parser, head, sizeof head, table[i].wire), HTTP_HEAD);
        cr_assert_eq(parser.keep_alive, table[i].keep_alive, "%zu", i);
    }
}

Test(http, limits_are_errors)
{
    char wire[8192] = OK200;
    char head[4096];
    struct http_parser parser;
    size_t size = strlen(wire);
    for (int i = 0; i <= HTTP_FIELDS_MAX; i++, size += 6)
        memcpy(wire + size, "A: 1\r\n", 6);
    memcpy(wire + size, "\r\n", 3);
    cr_assert_eq(parse_head(&parser, head, sizeof head, wire), HTTP_ERROR_FIELDS_TOO_MANY);
    cr_assert_eq(parse_head(&parser, head, 256, wire), HTTP_ERROR_HEAD_TOO_LARGE);
    const char *at = wire;
    struct http_slice body;
    cr_assert_eq(http_parse(&parser, &at, wire + 1, &body), HTTP_ERROR_HEAD_TOO_LARGE, "final");
    cr_assert_eq(http_parse_end(&parser), HTTP_ERROR_HEAD_TOO_LARGE);
}

Test(http, chunk_overhead_is_bounded)
{
    static char wire[3 * HTTP_CHUNK_OVERHEAD_MAX];
    static const char *const starts[] = {"1;", "0\r\nX: "};
    for (size_t i = 0; i < COUNT(starts); i++) {
        (void)snprintf(wire, sizeof wire, "%s%s", CHUNKED, starts[i]);
        size_t size = strlen(wire);
        memset(wire + size, 'x', 2 * HTTP_CHUNK_OVERHEAD_MAX);
        char head[512];
        struct http_parser parser;
        http_parser_init(&parser, HTTP_RESPONSE, head, sizeof head);
        const char *at = wire;
        struct http_slice body;
        cr_assert_eq(http_parse(&parser, &at, wire + sizeof wire - 1, &body), HTTP_HEAD);
        cr_assert_eq(http_parse(&parser, &at, wire + sizeof wire - 1, &body), HTTP_ERROR_CHUNK);
        cr_assert_lt(at - wire, (ptrdiff_t)(HTTP_CHUNK_OVERHEAD_MAX + 256));
    }
}

Test(http, a_request_is_written_and_parsed_back)
{
    static const char *const extra[] = {"X-MBX-TIME-UNIT: MICROSECOND"};
    struct http_request request = {.method = "GET",
                                   .host = "api.binance.com:443",
                                   .target = "/api/v3/depth?symbol=BTCUSDT&limit=5000",
                                   .extra = extra,
                                   .extra_count = 1,
                                   .close = true};
    char wire[512];
    char head[512];
    uint32_t size = http_request_format(&request, wire, sizeof wire);
    cr_assert_gt(size, 0);
    struct http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST, head, sizeof head);
    const char *at = wire;
    struct http_slice value;
    cr_assert_eq(http_parse(&parser, &at, wire + size, &value), HTTP_HEAD);
    cr_assert_eq(parser.target.size, strlen(request.target));
    cr_assert(http_field_find(&parser, "Host", &value) && value.size == 19);
    cr_assert(http_field_find(&parser, "X-MBX-TIME-UNIT", &value) && value.size == 11);
    cr_assert_not(parser.keep_alive);
    cr_assert_not(http_field_find(&parser, "Origin", &value));
    cr_assert_eq(http_parse(&parser, &at, wire + size, &value), HTTP_DONE);
    for (uint32_t less = 0; less < size; less++)
        cr_assert_eq(http_request_format(&request, wire, less), 0);
}

Test(http, members_with_control_characters_are_refused)
{
    static const char *const bad_extra[] = {"A: b\r\nInjected: 1"};
    static const char *const no_colon[] = {"A b"};
    const struct http_request table[] = {
        {.method = "GET", .host = "h\r\nX: 1", .target = "/"},
        {.method = "GET", .host = "h", .target = "/ HTTP/1.1\r\n"},
        {.method = "GET", .host = "h", .target = "/a b"},
        {.method = "GET", .host = "h", .target = "relative"},
        {.method = "GET", .host = "", .target = "/"},
        {.method = "GE T", .host = "h", .target = "/"},
        {.method = "GET", .host = "h", .target = "/", .extra = bad_extra, .extra_count = 1},
        {.method = "GET", .host = "h", .target = "/", .extra = no_colon, .extra_count = 1},
    };
    char wire[512];
    for (size_t i = 0; i < COUNT(table); i++)
        cr_assert_eq(http_request_format(&table[i], wire, sizeof wire), 0, "%zu", i);
}

Test(http, a_response_is_written_and_parsed_back)
{
    struct http_response response = {.status = 429,
                                     .content_type = "application/json",
                                     .extra = (const char *const[]){"Retry-After: 3"},
                                     .extra_count = 1,
                                     .content_length = 7};
    char wire[512];
    char head[512];
    uint32_t size = http_response_format(&response, wire, sizeof wire);
    cr_assert_gt(size, 0);
    wire[size] = '\0';
    struct http_parser parser;
    cr_assert_eq(parse_head(&parser, head, sizeof head, wire), HTTP_HEAD);
    uint32_t seconds = 0;
    cr_assert(http_retry_after(&parser, &seconds) && seconds == 3);
    cr_assert(parser.status == 429 && parser.length_known && parser.content_length == 7);
    cr_assert_eq(http_response_format(&response, wire, size - 1), 0);
}
