// SPDX-License-Identifier: GPL-3.0-or-later
//
// Output. Frames are joined in `staged` and go from there, encrypted, into the output of `tls`,
// whence one send at a time takes them. Without packing, each frame is one record. A reserve of the
// output stays free for what the protocol itself has to say (handshake, pongs, close).
#include "tools/exchange_sim_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

enum {
    OUTPUT_RESERVE = 65536,
    RECORD_OVERHEAD = 64,
    STAGED_SIZE = EXCHANGE_SIM_REPLY_MAX + MARKET_EVENT_SIZE_MAX * 4,
    STREAMS_MAX = 4096, // of one connection; Binance allows 1,024
};

// ---- end ----

static void closed_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct exchange_sim_connection *c = io_owner(op, struct exchange_sim_connection, close);
    ensure(c->state == EXCHANGE_SIM_CLOSING);
    c->state = EXCHANGE_SIM_FREE;
}

// Goes on with closing once both operations have ended.
static void connection_settle(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_CLOSING && io_idle(&c->receive) && io_idle(&c->send) &&
        io_idle(&c->close))
        io_close(c->server->io, &c->close, c->handle, closed_done);
}

void exchange_sim_connection_shut(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_CLOSING || c->state == EXCHANGE_SIM_FREE)
        return;
    exchange_sim_connection_unsubscribe_all(c);
    c->state = EXCHANGE_SIM_CLOSING;
    free(c->body);
    c->body = NULL;
    if (!io_idle(&c->receive))
        io_cancel(c->server->io, &c->receive);
    if (!io_idle(&c->send))
        io_cancel(c->server->io, &c->send);
    connection_settle(c);
}

static void connection_drain(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_CLOSING || c->state == EXCHANGE_SIM_DRAINING)
        return;
    exchange_sim_connection_unsubscribe_all(c);
    c->state = EXCHANGE_SIM_DRAINING;
    c->closing_ns = c->server->now_ns;
}

// ---- output ----

// Encrypts bytes of any size; they must fit the output.
static void output_write(struct exchange_sim_connection *c, const uint8_t *bytes, uint32_t size)
{
    while (size > 0) {
        uint32_t const part = size < TLS_RECORD_SIZE_MAX ? size : TLS_RECORD_SIZE_MAX;
        if (tls_write(c->tls, bytes, part) != (int32_t)part) {
            c->server->counters.failed++;
            connection_drain(c);
            return;
        }
        bytes += part;
        size -= part;
    }
}

static void staged_write(struct exchange_sim_connection *c)
{
    uint32_t const size = c->staged_size;
    c->staged_size = 0;
    output_write(c, c->staged, size);
}

// As much of the REST body as there is room for; in chunks where it was promised so.
static void body_write(struct exchange_sim_connection *c)
{
    while (c->body != NULL && tls_output_space(c->tls) > OUTPUT_RESERVE) {
        uint32_t const left = c->body_size - c->body_sent;
        uint32_t const part = left < TLS_RECORD_SIZE_MAX / 2 ? left : TLS_RECORD_SIZE_MAX / 2;
        char frame[16];
        if (c->body_chunked) {
            int const size = snprintf(frame, sizeof frame, "%x\r\n", part);
            output_write(c, (const uint8_t *)frame, (uint32_t)size);
        }
        output_write(c, (const uint8_t *)c->body + c->body_sent, part);
        if (c->body_chunked)
            output_write(c, (const uint8_t *)"\r\n", 2);
        c->body_sent += part;
        if (c->body_sent < c->body_size)
            continue;
        if (c->body_chunked)
            output_write(c, (const uint8_t *)"0\r\n\r\n", 5);
        free(c->body);
        c->body = NULL;
    }
}

static void send_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct exchange_sim_connection *c = io_owner(op, struct exchange_sim_connection, send);
    if (c->state == EXCHANGE_SIM_CLOSING) {
        connection_settle(c);
        return;
    }
    if (op->result < 0) {
        exchange_sim_connection_shut(c);
        return;
    }
    tls_output_taken(c->tls, (uint32_t)op->result);
    exchange_sim_connection_flush(c);
}

void exchange_sim_connection_flush(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_FREE || c->state == EXCHANGE_SIM_CLOSING)
        return;
    if (c->staged_size > 0)
        staged_write(c);
    body_write(c);
    if (!io_idle(&c->send))
        return;
    const uint8_t *data;
    uint32_t size;
    tls_output(c->tls, &data, &size);
    if (size == 0 && c->state == EXCHANGE_SIM_DRAINING && c->body == NULL && !c->farewell) {
        c->farewell = true;
        tls_close(c->tls);
        tls_output(c->tls, &data, &size);
    }
    if (size > 0)
        io_send(c->server->io, &c->send, c->handle, data, size, send_done);
    else if (c->state == EXCHANGE_SIM_DRAINING && c->body == NULL)
        exchange_sim_connection_shut(c);
}

bool exchange_sim_connection_ready(struct exchange_sim_connection *c, uint32_t size)
{
    if (c->state != EXCHANGE_SIM_STREAMING)
        return true; // it is leaving: takes everything, sends nothing
    uint32_t const staged = c->staged_size + size * 3 + 1024;
    uint32_t const records = staged / TLS_RECORD_SIZE_MAX + 2;
    return tls_output_space(c->tls) > OUTPUT_RESERVE + staged + records * RECORD_OVERHEAD;
}

void exchange_sim_connection_event(struct exchange_sim_connection *c, const char *name,
                                   const uint8_t *payload, uint32_t size)
{
    if (c->state != EXCHANGE_SIM_STREAMING)
        return;
    if (c->exchange == EXCHANGE_SIM_UPBIT)
        exchange_sim_upbit_event(c, name, payload, size);
    else
        exchange_sim_binance_event(c, name, payload, size);
}

void exchange_sim_connection_frame(struct exchange_sim_connection *c, enum websocket_opcode opcode,
                                   const struct exchange_sim_part *parts, uint32_t count)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += parts[i].size;
    uint32_t const whole = websocket_frame_size(size, false);
    ensure(whole <= STAGED_SIZE);
    if (c->staged_size + whole > TLS_RECORD_SIZE_MAX)
        staged_write(c);
    uint8_t *at = c->staged + c->staged_size;
    at += websocket_encode_header(at, opcode, true, size, NULL);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(at, parts[i].bytes, parts[i].size);
        at += parts[i].size;
    }
    ensure(at == c->staged + c->staged_size + whole);
    c->staged_size += whole;
    if (!c->server->options.packed)
        staged_write(c);
}

void exchange_sim_connection_close(struct exchange_sim_connection *c, uint16_t code,
                                   const char *reason)
{
    uint8_t frame[WEBSOCKET_CONTROL_SIZE_MAX + WEBSOCKET_HEADER_SIZE_MAX];
    if (c->state != EXCHANGE_SIM_STREAMING)
        return;
    uint32_t const size = websocket_encode_close(frame, sizeof frame, code, reason, NULL);
    ensure(size > 0);
    if (c->staged_size > 0)
        staged_write(c);
    output_write(c, frame, size);
    connection_drain(c);
}

void exchange_sim_connection_reply(struct exchange_sim_connection *c, uint16_t status,
                                   const char *body, uint32_t body_size, const char *const *extra,
                                   uint32_t extra_count)
{
    char head[2048];
    ensure(c->body == NULL);
    struct http_response const response = {
        .status = status,
        .content_type = "application/json;charset=UTF-8",
        .extra = extra,
        .extra_count = extra_count,
        .content_length = body_size,
        .chunked = body_size > EXCHANGE_SIM_REPLY_MAX,
    };
    uint32_t const size = http_response_format(&response, head, sizeof head);
    ensure(size > 0);
    output_write(c, (const uint8_t *)head, size);
    c->server->counters.rest++;
    if (body_size == 0)
        return;
    c->body = malloc(body_size);
    if (c->body == NULL) {
        connection_drain(c);
        return;
    }
    memcpy(c->body, body, body_size);
    c->body_size = body_size;
    c->body_sent = 0;
    c->body_chunked = response.chunked;
}

// ---- subscriptions ----

bool exchange_sim_connection_subscribe(struct exchange_sim_connection *c, const char *name,
                                       uint32_t name_size)
{
    uint32_t const stream = exchange_sim_hub_stream(c->server->hub, c->exchange, name, name_size);
    if (stream == EXCHANGE_SIM_STREAM_NONE || c->stream_count == STREAMS_MAX)
        return false;
    if (!exchange_sim_hub_subscribe(c->server->hub, stream, c, name, name_size))
        return false;
    c->streams[c->stream_count++] = stream;
    return true;
}

bool exchange_sim_connection_unsubscribe(struct exchange_sim_connection *c, const char *name,
                                         uint32_t name_size)
{
    uint32_t const stream = exchange_sim_hub_stream(c->server->hub, c->exchange, name, name_size);
    if (stream == EXCHANGE_SIM_STREAM_NONE ||
        !exchange_sim_hub_unsubscribe(c->server->hub, stream, c))
        return false;
    for (uint32_t i = 0; i < c->stream_count; i++)
        if (c->streams[i] == stream) {
            memmove(c->streams + i, c->streams + i + 1,
                    (c->stream_count - i - 1) * sizeof *c->streams);
            c->stream_count--;
            return true;
        }
    ensure(false);
    return false;
}

void exchange_sim_connection_unsubscribe_all(struct exchange_sim_connection *c)
{
    for (uint32_t i = 0; i < c->stream_count; i++)
        ensure(exchange_sim_hub_unsubscribe(c->server->hub, c->streams[i], c));
    c->stream_count = 0;
}

// ---- input ----

// True where more than `most` messages came within `window_ns`, this one included.
static bool rate_exceeded(const struct exchange_sim_connection *c, uint32_t most, int64_t window_ns)
{
    ensure(most < EXCHANGE_SIM_RATES_MAX);
    if (c->message_count <= most)
        return false;
    uint32_t const before = (c->message_count - 1 - most) % EXCHANGE_SIM_RATES_MAX;
    return c->server->now_ns - c->message_ns[before] < window_ns;
}

// Every frame of the client counts. False where it was one too many.
static bool message_allowed(struct exchange_sim_connection *c)
{
    c->heard_ns = c->server->now_ns;
    c->message_ns[c->message_count++ % EXCHANGE_SIM_RATES_MAX] = c->server->now_ns;
    if (!c->server->options.limits)
        return true;
    bool const minute =
        c->exchange == EXCHANGE_SIM_UPBIT && rate_exceeded(c, 100, 60 * (int64_t)1000000000);
    if (!minute && !rate_exceeded(c, 5, 1000000000))
        return true;
    c->server->counters.limit_closes++;
    exchange_sim_connection_close(c, 1008, "Too many requests");
    return false;
}

static void pong_arrived(struct exchange_sim_connection *c)
{
    c->server->counters.pongs++;
    c->ping_open_ns = 0;
}

static void connection_message(struct exchange_sim_connection *c,
                               const struct websocket_event *event)
{
    if (event->opcode == WEBSOCKET_CLOSE) {
        exchange_sim_connection_close(c, event->close_code, "");
        return;
    }
    if (!message_allowed(c))
        return;
    struct exchange_sim_part const echo = {event->data, event->size};
    switch (event->opcode) {
    case WEBSOCKET_PING:
        exchange_sim_connection_frame(c, WEBSOCKET_PONG, &echo, 1);
        break;
    case WEBSOCKET_PONG:
        pong_arrived(c);
        break;
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        if (c->exchange == EXCHANGE_SIM_UPBIT)
            exchange_sim_upbit_message(c, event->data, event->size);
        else
            exchange_sim_binance_message(c, event->data, event->size);
        break;
    case WEBSOCKET_CONTINUATION:
    case WEBSOCKET_CLOSE:
        ensure(false);
    }
}

static void input_frames(struct exchange_sim_connection *c, uint8_t *at, uint8_t *end)
{
    while (c->state == EXCHANGE_SIM_STREAMING) {
        struct websocket_event event;
        enum websocket_result const result = websocket_next(&c->websocket, &at, end, &event);
        if (result == WEBSOCKET_MORE)
            return;
        if (websocket_failed(result)) {
            c->server->counters.failed++;
            exchange_sim_connection_close(c, websocket_error_close_code(result),
                                          websocket_result_text(result));
            return;
        }
        connection_message(c, &event);
    }
}

static void connection_upgrade(struct exchange_sim_connection *c)
{
    char key[WEBSOCKET_KEY_SIZE];
    char reply[512];
    enum websocket_handshake const result = websocket_request_check(&c->http, key);
    if (result != WEBSOCKET_HANDSHAKE_OK) {
        const char *why = websocket_handshake_text(result);
        exchange_sim_connection_reply(c, 400, why, (uint32_t)strlen(why), NULL, 0);
        return;
    }
    uint32_t const size = websocket_reply_format(key, reply, sizeof reply);
    ensure(size > 0);
    output_write(c, (const uint8_t *)reply, size);
    if (c->state != EXCHANGE_SIM_REQUEST)
        return;
    c->server->counters.upgrades++;
    c->state = EXCHANGE_SIM_STREAMING;
    c->ping_ns = c->server->now_ns;
    if (c->exchange != EXCHANGE_SIM_UPBIT)
        exchange_sim_binance_upgraded(c, c->http.target.text, c->http.target.size);
}

static bool websocket_path(const struct exchange_sim_connection *c, const char *path, uint32_t size)
{
    static const char upbit[] = "/websocket/v1";
    if (c->exchange == EXCHANGE_SIM_UPBIT)
        return size == sizeof upbit - 1 && memcmp(path, upbit, size) == 0;
    return exchange_sim_binance_path(path, size);
}

// Upbit punishes an Origin header: one request per 10 s.
static bool origin_allowed(struct exchange_sim_connection *c)
{
    struct http_slice origin;
    static int64_t last_ns; // all clients on loopback are one address
    if (c->exchange != EXCHANGE_SIM_UPBIT || !c->server->options.limits ||
        !http_field_find(&c->http, "Origin", &origin))
        return true;
    bool const allowed = last_ns == 0 || c->server->now_ns - last_ns >= 10 * (int64_t)1000000000;
    if (allowed)
        last_ns = c->server->now_ns;
    return allowed;
}

static void connection_request(struct exchange_sim_connection *c)
{
    const struct http_slice *target = &c->http.target;
    const char *query = memchr(target->text, '?', target->size);
    uint32_t const size = query == NULL ? target->size : (uint32_t)(query - target->text);
    if (!origin_allowed(c)) {
        c->server->counters.refused++;
        exchange_sim_connection_reply(c, 429, "{}", 2, NULL, 0);
    } else if (websocket_path(c, target->text, size)) {
        connection_upgrade(c);
    } else {
        exchange_sim_rest_request(c, target->text, target->size);
    }
}

static void input_request(struct exchange_sim_connection *c, uint8_t *at, uint8_t *end)
{
    const char *text = (const char *)at;
    const char *const last = (const char *)end;
    while (c->state == EXCHANGE_SIM_REQUEST) {
        struct http_slice body;
        enum http_result const result = http_parse(&c->http, &text, last, &body);
        if (result == HTTP_MORE)
            return;
        if (http_failed(result) || (result == HTTP_DONE && c->body != NULL)) {
            c->server->counters.failed++;
            connection_drain(c);
        } else if (result == HTTP_DONE) {
            connection_request(c);
            if (c->state == EXCHANGE_SIM_REQUEST && !c->http.keep_alive)
                connection_drain(c);
            http_parser_reset(&c->http);
        }
    }
    if (c->state == EXCHANGE_SIM_STREAMING && text < last)
        input_frames(c, at + (text - (const char *)at), end);
}

static void connection_input(struct exchange_sim_connection *c, uint8_t *bytes, uint32_t size)
{
    if (c->state == EXCHANGE_SIM_REQUEST)
        input_request(c, bytes, bytes + size);
    else if (c->state == EXCHANGE_SIM_STREAMING)
        input_frames(c, bytes, bytes + size);
}

// Decrypts what has arrived. False where the connection is over.
static bool connection_received(struct exchange_sim_connection *c, const uint8_t *data, size_t size)
{
    tls_feed(c->tls, data, size);
    for (;;) {
        int32_t const result = tls_read(c->tls, c->server->plain, TLS_RECORD_SIZE_MAX);
        if (result == TLS_WANT_INPUT)
            return true;
        if (result < 0) {
            c->server->counters.failed += result != TLS_CLOSED;
            return false;
        }
        connection_input(c, c->server->plain, (uint32_t)result);
    }
}

static void receive_done(struct io *io, struct io_op *op)
{
    struct exchange_sim_connection *c = io_owner(op, struct exchange_sim_connection, receive);
    c->server->now_ns = io_monotonic_ns(io);
    if (c->state == EXCHANGE_SIM_CLOSING) {
        connection_settle(c);
        return;
    }
    if (op->result <= 0 || !connection_received(c, op->data, (size_t)op->result)) {
        exchange_sim_connection_flush(c); // an alert may be worth sending
        exchange_sim_connection_shut(c);
        return;
    }
    exchange_sim_connection_flush(c);
}

// ---- life ----

bool exchange_sim_connection_allocate(struct exchange_sim_connection *c)
{
    if (c->tls != NULL)
        return true;
    c->tls = tls_create(c->server->options.tls, EXCHANGE_SIM_OUTPUT_BYTES);
    c->http_head = malloc(HTTP_HEAD_SIZE * 3);
    c->message = malloc(EXCHANGE_SIM_MESSAGE_SIZE_MAX + WEBSOCKET_PADDING);
    c->staged = malloc(STAGED_SIZE);
    c->streams = malloc(STREAMS_MAX * sizeof *c->streams);
    return c->tls != NULL && c->http_head != NULL && c->message != NULL && c->staged != NULL &&
           c->streams != NULL;
}

void exchange_sim_connection_start(struct exchange_sim_connection *c,
                                   const struct exchange_sim_listener *listener, int handle)
{
    int64_t const now_ns = listener->server->now_ns;
    c->state = EXCHANGE_SIM_REQUEST;
    c->exchange = listener->exchange;
    c->handle = handle;
    c->staged_size = 0;
    c->stream_count = 0;
    c->opened_ns = c->heard_ns = c->ping_ns = now_ns;
    c->ping_open_ns = c->alive_ns = c->closing_ns = 0;
    c->message_count = 0;
    c->shutdown_told = false;
    c->farewell = false;
    c->combined = false;
    c->microseconds = false;
    c->format = EXCHANGE_SIM_DEFAULT;
    http_parser_init(&c->http, HTTP_REQUEST, c->http_head, HTTP_HEAD_SIZE * 3);
    websocket_init(&c->websocket, WEBSOCKET_SERVER, c->message, EXCHANGE_SIM_MESSAGE_SIZE_MAX);
    if (tls_start(c->tls, NULL) != 0) {
        exchange_sim_connection_shut(c);
        return;
    }
    io_receive(c->server->io, &c->receive, handle, receive_done);
}
