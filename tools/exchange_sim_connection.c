// SPDX-License-Identifier: GPL-3.0-or-later
//
// One connection: its subscriptions, what it is sent by its client, how it begins and ends.
// Output is in exchange_sim_output.c.
#include "tools/exchange_sim_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_hooks.h"
#include "tools/exchange_sim_output.h"

enum {
    STREAMS_MAX = 4096, // of one connection; Binance allows 1,024
    CUT_RECORD_SIZE = 100,
};

// ---- end ----

static void closed_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct exchange_sim_connection *c = io_owner(op, struct exchange_sim_connection, close);
    ensure(c->state == EXCHANGE_SIM_CLOSING);
    c->state = EXCHANGE_SIM_FREE;
}

void exchange_sim_connection_settle(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_CLOSING && io_idle(&c->receive) && io_idle(&c->send) &&
        io_idle(&c->close))
        io_close(c->server->io, &c->close, c->handle, closed_done);
}

// No event comes any more.
static void connection_leave(struct exchange_sim_connection *c)
{
    if (c->server->hooks != NULL)
        c->server->hooks->closed(c);
    exchange_sim_connection_unsubscribe_all(c);
}

void exchange_sim_connection_shut(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_CLOSING || c->state == EXCHANGE_SIM_FREE)
        return;
    connection_leave(c);
    c->state = EXCHANGE_SIM_CLOSING;
    exchange_sim_output_drop(c);
    if (!io_idle(&c->receive))
        io_cancel(c->server->io, &c->receive);
    if (!io_idle(&c->send))
        io_cancel(c->server->io, &c->send);
    exchange_sim_connection_settle(c);
}

void exchange_sim_connection_drain(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_CLOSING || c->state == EXCHANGE_SIM_DRAINING)
        return;
    connection_leave(c);
    c->state = EXCHANGE_SIM_DRAINING;
    c->closing_ns =
        c->server->now_ns < c->quiet_until_ns ? c->quiet_until_ns : c->server->now_ns;
}

void exchange_sim_connection_cut(struct exchange_sim_connection *c, bool reset)
{
    uint8_t frame[CUT_RECORD_SIZE + WEBSOCKET_HEADER_SIZE_MAX] = {0};
    const uint8_t *data;
    uint32_t size;
    ensure(c->state == EXCHANGE_SIM_STREAMING);
    uint32_t const header =
        websocket_encode_header(frame, WEBSOCKET_PING, true, CUT_RECORD_SIZE, NULL);
    connection_leave(c);
    c->state = EXCHANGE_SIM_DRAINING;
    c->closing_ns = c->server->now_ns;
    c->farewell = true;
    exchange_sim_output_drop(c);
    // A record of its own, of which the end is missing: what is being sent lies before it.
    exchange_sim_connection_write(c, frame, header + CUT_RECORD_SIZE);
    tls_output(c->tls, &data, &size);
    ensure(size > CUT_RECORD_SIZE / 2);
    c->cut_left = size - 1 - (uint32_t)(c->ordinal % (CUT_RECORD_SIZE / 2));
    c->cut_reset = reset;
    exchange_sim_connection_flush(c);
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
    if (c->link != NULL)
        c->server->hooks->forget(c->link, stream);
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
    for (uint32_t i = 0; i < c->stream_count; i++) {
        ensure(exchange_sim_hub_unsubscribe(c->server->hub, c->streams[i], c));
        if (c->link != NULL)
            c->server->hooks->forget(c->link, c->streams[i]);
    }
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
    uint32_t const second = c->server->options.limit[c->exchange].messages;
    if (!minute && (second == 0 || !rate_exceeded(c, second, 1000000000)))
        return true;
    c->server->counters.limit_closes++;
    c->ended_by = "limit";
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

// From the upgrade on faults may hit it.
static void connection_opened(struct exchange_sim_connection *c)
{
    c->ordinal = ++c->server->ordinals[c->exchange];
    exchange_sim_server_life(c);
    if (c->server->hooks != NULL)
        c->server->hooks->opened(c);
}

static void connection_upgrade(struct exchange_sim_connection *c)
{
    char key[WEBSOCKET_KEY_SIZE];
    char reply[512];
    if (!exchange_sim_server_connect_allowed(c->server, c->exchange)) {
        c->server->counters.refused++;
        exchange_sim_connection_reply(c, 429, "{}", 2, NULL, 0);
        return;
    }
    enum websocket_handshake const result = websocket_request_check(&c->http, key);
    if (result != WEBSOCKET_HANDSHAKE_OK) {
        const char *why = websocket_handshake_text(result);
        exchange_sim_connection_reply(c, 400, why, (uint32_t)strlen(why), NULL, 0);
        return;
    }
    uint32_t const size = websocket_reply_format(key, reply, sizeof reply);
    ensure(size > 0);
    exchange_sim_connection_write(c, (const uint8_t *)reply, size);
    if (c->state != EXCHANGE_SIM_REQUEST)
        return;
    c->server->counters.upgrades++;
    c->state = EXCHANGE_SIM_STREAMING;
    c->ping_ns = c->server->now_ns;
    connection_opened(c);
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
        c->server->answer(c, target->text, target->size);
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
            exchange_sim_connection_drain(c);
        } else if (result == HTTP_DONE) {
            connection_request(c);
            if (c->state == EXCHANGE_SIM_REQUEST && !c->http.keep_alive)
                exchange_sim_connection_drain(c);
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
        exchange_sim_connection_settle(c);
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
    c->staged = malloc(EXCHANGE_SIM_STAGED_SIZE);
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
    c->quiet_until_ns = 0;
    c->ordinal = 0;
    c->ended_by = "client";
    c->muted = c->slowed = c->cut_reset = c->overrun = c->broken = c->left = false;
    c->cut_left = c->slow_left = 0;
    c->crowded_ns = 0;
    ensure(c->link == NULL && c->backlog.size == 0);
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
