// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/peers/ws_echo_connection.h"

#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

#define MILLISECOND_NS ((int64_t)1000000)

enum {
    // Of a server that has failed a connection, and of a client that waits for its server to close.
    LINGER_SERVER_MS = 100,
    LINGER_CLIENT_MS = 2000,
    // Kept free in the output of TLS for what it says by itself.
    TLS_RESERVE_BYTES = 1024,
};

static void pump(struct ws_echo_connection *c);

// ---- end ----

static void report(const struct ws_echo_connection *c)
{
    const struct ws_echo_endpoint *echo = &c->echo;
    const char *failure = c->failure[0] != '\0' ? c->failure : NULL;
    if (failure == NULL && echo->overrun)
        failure = "the peer does not read what it is sent";
    if (failure == NULL && websocket_failed(echo->failure))
        failure = websocket_result_text(echo->failure);
    (void)printf("{\"connection\": %u, \"messages\": %llu, \"payload_bytes\": %llu, "
                 "\"close_code\": %d, \"failure\": ",
                 c->number, (unsigned long long)echo->messages,
                 (unsigned long long)echo->payload_bytes, echo->over ? echo->close_code : -1);
    // The texts have neither quotes nor backslashes.
    (void)printf(failure == NULL ? "null}\n" : "\"%s\"}\n", failure);
    (void)fflush(stdout);
}

static void closed_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct ws_echo_connection *c = io_owner(op, struct ws_echo_connection, close);
    ensure(c->state == WS_ECHO_CLOSING);
    report(c);
    tls_destroy(c->tls);
    ws_echo_endpoint_close(&c->echo);
    c->state = WS_ECHO_FREE;
}

static void settle(struct ws_echo_connection *c)
{
    if (c->state == WS_ECHO_CLOSING && io_idle(&c->receive) && io_idle(&c->send) &&
        io_idle(&c->timer) && io_idle(&c->close))
        io_close(c->shared->io, &c->close, c->handle, closed_done);
}

// `failure` NULL: none that is not noted yet.
static void shut(struct ws_echo_connection *c, const char *failure)
{
    struct io *io = c->shared->io;
    if (c->state == WS_ECHO_CLOSING)
        return;
    if (failure != NULL)
        (void)snprintf(c->failure, sizeof c->failure, "%s", failure);
    c->state = WS_ECHO_CLOSING;
    io_cancel(io, &c->receive);
    io_cancel(io, &c->send);
    io_cancel(io, &c->timer);
    settle(c);
}

static void timer_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct ws_echo_connection *c = io_owner(op, struct ws_echo_connection, timer);
    if (c->state == WS_ECHO_CLOSING)
        settle(c);
    else
        shut(c, NULL);
}

static void linger(struct ws_echo_connection *c)
{
    bool server = c->shared->role == WEBSOCKET_SERVER;
    if (c->state == WS_ECHO_LINGERING)
        return;
    c->state = WS_ECHO_LINGERING;
    io_timeout(c->shared->io, &c->timer,
               (server ? LINGER_SERVER_MS : LINGER_CLIENT_MS) * MILLISECOND_NS, timer_done);
}

// ---- output ----

static void sent_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct ws_echo_connection *c = io_owner(op, struct ws_echo_connection, send);
    if (c->state == WS_ECHO_CLOSING) {
        settle(c);
    } else if (op->result < 0) {
        shut(c, c->echo.over ? NULL : "the connection broke while sending");
    } else {
        tls_output_taken(c->tls, (uint32_t)op->result);
        pump(c);
    }
}

static void flush(struct ws_echo_connection *c)
{
    const uint8_t *data;
    uint32_t size;
    tls_output(c->tls, &data, &size);
    if (size > 0 && io_idle(&c->send))
        io_send(c->shared->io, &c->send, c->handle, data, size, sent_done);
}

// From the endpoint into TLS, as much as fits. False where that failed.
static bool encrypt(struct ws_echo_connection *c)
{
    size_t size;
    const uint8_t *data = ws_echo_endpoint_output(&c->echo, &size);
    while (size > 0 && tls_output_space(c->tls) > TLS_RECORD_SIZE_MAX + TLS_RESERVE_BYTES) {
        uint32_t piece = size < TLS_RECORD_SIZE_MAX ? (uint32_t)size : TLS_RECORD_SIZE_MAX;
        if (tls_write(c->tls, data, piece) != (int32_t)piece)
            return false;
        ws_echo_endpoint_taken(&c->echo, piece);
        data = ws_echo_endpoint_output(&c->echo, &size);
    }
    return true;
}

// All that was to be said is in the output of TLS.
static void say_goodbye(struct ws_echo_connection *c)
{
    if (c->shared->role == WEBSOCKET_SERVER && !c->goodbye) {
        c->goodbye = true;
        tls_close(c->tls);
    }
    flush(c);
    if (!io_idle(&c->send))
        return;
    if (c->shared->role == WEBSOCKET_SERVER && !websocket_failed(c->echo.failure) && c->peer_closed)
        shut(c, NULL);
    else
        linger(c);
}

static void pump(struct ws_echo_connection *c)
{
    size_t left = 0;
    if (c->state == WS_ECHO_CLOSING || c->state == WS_ECHO_LINGERING)
        return;
    if (c->state == WS_ECHO_OPEN && !encrypt(c)) {
        shut(c, tls_failure(c->tls)->text);
        return;
    }
    (void)ws_echo_endpoint_output(&c->echo, &left);
    if (c->echo.over && left == 0)
        say_goodbye(c);
    else
        flush(c);
}

// ---- upgrade ----

static void write_head(struct ws_echo_connection *c, const char *text, uint32_t size)
{
    ensure(size > 0);
    if (tls_write(c->tls, (const uint8_t *)text, size) != (int32_t)size)
        shut(c, "the handshake does not fit the output");
}

static void request(struct ws_echo_connection *c)
{
    char text[4096];
    uint8_t random[16];
    if (c->requested || c->shared->role == WEBSOCKET_SERVER || !tls_established(c->tls))
        return;
    c->requested = true;
    io_random(c->shared->io, random, sizeof random);
    websocket_key(random, c->key);
    uint32_t size = websocket_request_format(c->shared->authority, c->shared->target, c->key, NULL,
                                             0, text, sizeof text);
    if (size > 0)
        write_head(c, text, size);
    else
        shut(c, "the request does not fit");
}

static void refuse(struct ws_echo_connection *c, const char *why)
{
    char text[512];
    struct http_response refusal = {.status = 400, .close = true};
    if (c->shared->role == WEBSOCKET_CLIENT) {
        shut(c, why);
        return;
    }
    (void)snprintf(c->failure, sizeof c->failure, "%s", why);
    write_head(c, text, http_response_format(&refusal, text, sizeof text));
    flush(c);
    linger(c);
}

// The head of the other side is known.
static void judge_head(struct ws_echo_connection *c)
{
    char text[512];
    bool server = c->shared->role == WEBSOCKET_SERVER;
    enum websocket_handshake result = server ? websocket_request_check(&c->http, c->key)
                                             : websocket_reply_check(&c->http, c->key);
    if (result != WEBSOCKET_HANDSHAKE_OK) {
        refuse(c, websocket_handshake_text(result));
        return;
    }
    c->upgraded = true;
    if (server)
        write_head(c, text, websocket_reply_format(c->key, text, sizeof text));
    if (c->state == WS_ECHO_UPGRADING)
        c->state = WS_ECHO_OPEN;
}

static uint8_t *take_head(struct ws_echo_connection *c, uint8_t *bytes, size_t size)
{
    const char *at = (const char *)bytes;
    const char *end = at + size;
    struct http_slice body;
    while (c->state == WS_ECHO_UPGRADING) {
        enum http_result result = http_parse(&c->http, &at, end, &body);
        if (result == HTTP_MORE)
            break;
        if (http_failed(result))
            shut(c, http_result_text(result));
        else if (result == HTTP_HEAD && c->shared->role == WEBSOCKET_CLIENT)
            judge_head(c);
        else if (result == HTTP_DONE)
            judge_head(c);
    }
    return bytes + (at - (const char *)bytes);
}

// ---- input ----

static void take_plain(struct ws_echo_connection *c, uint8_t *bytes, size_t size)
{
    uint8_t *at = c->state == WS_ECHO_UPGRADING ? take_head(c, bytes, size) : bytes;
    if (c->state != WS_ECHO_OPEN || c->echo.over)
        return; // what comes behind the end is dropped
    ws_echo_endpoint_feed(&c->echo, at, (size_t)(bytes + size - at));
    c->peer_closed = websocket_closed(&c->echo.websocket);
}

// False where the connection is over.
static bool decrypt(struct ws_echo_connection *c, const uint8_t *data, size_t size)
{
    tls_feed(c->tls, data, size);
    while (c->state != WS_ECHO_CLOSING) {
        int32_t result = tls_read(c->tls, c->plain, TLS_RECORD_SIZE_MAX);
        request(c);
        if (result == TLS_WANT_INPUT)
            return true;
        if (result < 0) {
            flush(c);
            shut(c, c->echo.over || result == TLS_CLOSED ? NULL : tls_failure(c->tls)->text);
            return false;
        }
        take_plain(c, c->plain, (size_t)result);
    }
    return false;
}

static void received_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct ws_echo_connection *c = io_owner(op, struct ws_echo_connection, receive);
    if (c->state == WS_ECHO_CLOSING) {
        settle(c);
    } else if (op->result <= 0) {
        bool early = !c->echo.over;
        shut(c, !early ? NULL : c->upgraded ? "the peer has gone without a close frame"
                                            : "the peer has gone before the upgrade");
    } else if (decrypt(c, op->data, (size_t)op->result)) {
        pump(c);
    }
}

// ---- life ----

static void mask_next(void *context, void *bytes, size_t size)
{
    io_random(context, bytes, size);
}

bool ws_echo_connection_begin(struct ws_echo_connection *c, struct ws_echo_shared *shared,
                              int handle)
{
    bool client = shared->role == WEBSOCKET_CLIENT;
    struct ws_echo_options options = {shared->role, shared->message_size_max, shared->fragment_size,
                                      mask_next, shared->io};
    ensure(c->state == WS_ECHO_FREE && handle >= 0);
    *c = (struct ws_echo_connection){
        .shared = shared, .handle = handle, .number = ++shared->connections};
    c->tls = tls_create(shared->tls, WS_ECHO_TLS_OUTPUT_BYTES);
    if (c->tls == NULL || !ws_echo_endpoint_open(&c->echo, &options))
        return false;
    c->state = WS_ECHO_UPGRADING;
    http_parser_init(&c->http, client ? HTTP_RESPONSE : HTTP_REQUEST, c->head, sizeof c->head);
    io_receive(shared->io, &c->receive, handle, received_done);
    if (tls_start(c->tls, client ? shared->host : NULL) != 0) {
        shut(c, tls_failure(c->tls)->text);
        return true;
    }
    request(c);
    flush(c);
    return true;
}

void ws_echo_connection_leave(struct ws_echo_connection *c)
{
    if (c->state == WS_ECHO_FREE || c->state == WS_ECHO_CLOSING)
        return;
    if (c->state == WS_ECHO_OPEN && !c->echo.over) {
        ws_echo_endpoint_goodbye(&c->echo, 1001);
        pump(c);
    } else if (c->state == WS_ECHO_UPGRADING) {
        shut(c, "stopped");
    }
}
