// SPDX-License-Identifier: GPL-3.0-or-later
//
// HTTP/1.1 (RFC 9110, RFC 9112): build requests and responses, parse both incrementally.
//
// The parser works on any split of the stream. The head (start line and fields) is gathered in the
// caller's memory, so that fields can be looked up; the body is never copied: it is handed out as
// slices of the input. Bytes after the message (the next response, WebSocket frames after a 101)
// stay in the input. No allocation, no clock; one owner at a time.
//
// Not done: compression (requests say `Accept-Encoding: identity`), pipelining by this client,
// trailers
// (checked and dropped), obsolete line folding and bare LF (refused).
#ifndef RINGTAPE_PROTOCOL_HTTP_H
#define RINGTAPE_PROTOCOL_HTTP_H

#include <stdbool.h>
#include <stdint.h>

// A sensible size for the head's memory; heads beyond the caller's memory are refused.
#define HTTP_HEAD_SIZE 16384
#define HTTP_FIELDS_MAX 96
// Trailer section and chunk extensions, together per message.
#define HTTP_CHUNK_OVERHEAD_MAX 8192

struct http_slice {
    const char *text;
    uint32_t size;
};

enum http_kind { HTTP_RESPONSE, HTTP_REQUEST };

enum http_result {
    HTTP_MORE = 0, // the input is used up, feed more
    HTTP_HEAD,     // start line and fields are known (once per message)
    HTTP_BODY,     // a slice of the body
    HTTP_DONE,     // the message is complete; http_parser_reset() before the next
    // Errors, all final: the connection is of no further use.
    HTTP_ERROR_START_LINE = -1,    // not HTTP/1.0 or HTTP/1.1, or malformed
    HTTP_ERROR_FIELD = -2,         // malformed field line, folding, bare LF, control character
    HTTP_ERROR_FIELDS_TOO_MANY = -3,
    HTTP_ERROR_HEAD_TOO_LARGE = -4,
    HTTP_ERROR_LENGTH = -5,        // contradictory or malformed Content-Length
    HTTP_ERROR_TRANSFER_CODING = -6, // not plain chunked, or chunked together with Content-Length
    HTTP_ERROR_CHUNK = -7,         // malformed chunk, or too much chunk overhead
    HTTP_ERROR_TRUNCATED = -8,     // the connection closed inside the message
};

struct http_field {
    uint16_t name_offset;
    uint16_t name_size;
    uint16_t value_offset;
    uint16_t value_size;
};

// Embedded by its owner; read the documented members, write none.
struct http_parser {
    // Valid from HTTP_HEAD until the reset.
    uint16_t status;         // response: 100..599
    struct http_slice method; // request
    struct http_slice target; // request: "/ws/btcusdt@trade?timeUnit=MICROSECOND"
    struct http_slice reason; // response: may be empty
    bool keep_alive;          // the connection may carry another message
    bool upgraded;            // response 101: what follows is another protocol
    bool length_known;        // Content-Length was given
    uint64_t content_length;

    // Private.
    enum http_kind kind;
    uint8_t state;
    bool head_only; // the answer to a HEAD request: no body whatever the fields say
    bool version_1_0;
    bool chunked;
    char *head;
    uint32_t head_capacity;
    uint32_t head_size;
    uint32_t line_offset;
    uint32_t overhead; // chunk extensions and trailers so far
    uint64_t left;     // bytes left of body or chunk
    uint32_t fields_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

// `head`: memory for the head, 256..65535 bytes, owned by the caller, used until the last message.
void http_parser_init(struct http_parser *parser, enum http_kind kind, char *head,
                      uint32_t head_capacity);

// Makes ready for the next message on the same or another connection.
void http_parser_reset(struct http_parser *parser);

// Before the answer to a HEAD request.
void http_parser_expect_no_body(struct http_parser *parser);

// Advances *at towards `end` up to the next result. Interim responses (1xx other than 101) are
// passed over silently. `body` is set for HTTP_BODY only and points into the input.
enum http_result http_parse(struct http_parser *parser, const char **at, const char *end,
                            struct http_slice *body);

// The peer has closed the connection: HTTP_DONE if that ends the message, else
// HTTP_ERROR_TRUNCATED.
enum http_result http_parse_end(struct http_parser *parser);

// The value of the first field of that name (case-insensitive), white space trimmed.
bool http_field_find(const struct http_parser *parser, const char *name, struct http_slice *value);

// True if the comma-separated values of all fields of that name contain the token
// (case-insensitive):
// ("Connection", "upgrade").
bool http_field_has_token(const struct http_parser *parser, const char *name, const char *token);

// Retry-After in seconds: a number, or a date taken relative to the response's own Date field (no
// clock needed; 0 if it lies before). At most LIMIT_BAN_S: who is told to come back in thirty years
// would be lost for good. False if absent or malformed.
bool http_retry_after(const struct http_parser *parser, uint32_t *seconds);

// A request. Text members must be free of control characters (checked).
struct http_request {
    const char *method;       // "GET"
    const char *host;         // "api.binance.com" or "127.0.0.1:8443"
    const char *target;       // begins with '/'
    const char *const *extra; // "Name: value" strings, or NULL
    uint32_t extra_count;
    bool close;               // Connection: close
};

// Writes head and empty body; returns the size, or 0 if it does not fit or a member is not clean.
uint32_t http_request_format(const struct http_request *request, char *target,
                             uint32_t target_size);

struct http_response {
    uint16_t status;
    const char *content_type; // NULL: none
    const char *const *extra;
    uint32_t extra_count;
    uint64_t content_length;
    bool chunked; // instead of the content length; the caller frames the chunks
    bool close;
};

// Writes the head only; returns the size, or 0 if it does not fit or a member is not clean.
uint32_t http_response_format(const struct http_response *response, char *target,
                              uint32_t target_size);

// "Not Found"; "" for what has no name here.
const char *http_status_text(uint16_t status);
// True for a negative result.
static inline bool http_failed(enum http_result result)
{
    return (int)result < 0;
}
const char *http_result_text(enum http_result result);

#endif
