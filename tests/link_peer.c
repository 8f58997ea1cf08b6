// SPDX-License-Identifier: GPL-3.0-or-later
//
// link_peer: see link_peer.h.
#include "link_peer.h"

#include "base/limits.h"
#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void peer_received(struct io *io, struct io_op *op);
static void peer_ticked(struct io *io, struct io_op *op);

// ---- out ----

static void peer_settle(struct peer_connection *connection);

static void peer_sent(struct io *io, struct io_op *op);

static void peer_pump(struct peer_connection *connection)
{
    uint32_t left = connection->out_size - connection->out_taken;
    if (left == 0 || connection->closing || !io_idle(&connection->send)) return;
    io_send(connection->peer->io, &connection->send, connection->handle,
            connection->out + connection->out_taken, left, peer_sent);
}

static void peer_hang_up(struct peer_connection *connection)
{
    connection->closing = true;
    io_cancel(connection->peer->io, &connection->receive);
    io_cancel(connection->peer->io, &connection->send);
    io_cancel(connection->peer->io, &connection->timer);
    peer_settle(connection);
}

static void peer_sent(struct io *io, struct io_op *op)
{
    (void)io;
    struct peer_connection *connection = io_owner(op, struct peer_connection, send);
    if (op->result > 0) connection->out_taken += (uint32_t)op->result;
    if (connection->out_taken == connection->out_size) {
        connection->out_taken = 0;
        connection->out_size = 0;
    }
    if (connection->closing)
        peer_settle(connection);
    else if (op->result < 0)
        peer_hang_up(connection);
    else
        peer_pump(connection);
}

static void peer_push(struct peer_connection *connection, const void *bytes, uint32_t size)
{
    if (PEER_OUT_BYTES - connection->out_size < size) return; // the client does not read
    memcpy(connection->out + connection->out_size, bytes, size);
    connection->out_size += size;
    peer_pump(connection);
}

static void peer_frame(struct peer_connection *connection, enum websocket_opcode opcode, bool final,
                       const char *text, uint32_t size)
{
    uint8_t header[WEBSOCKET_HEADER_SIZE_MAX];
    uint32_t header_size = websocket_encode_header(header, opcode, final, size, NULL);
    peer_push(connection, header, header_size);
    peer_push(connection, text, size);
}

static void peer_text(struct peer_connection *connection, const char *text)
{
    peer_frame(connection, WEBSOCKET_TEXT, true, text, (uint32_t)strlen(text));
}

static void peer_closed(struct io *io, struct io_op *op)
{
    (void)io;
    (void)op; // its place is free now
}

static void peer_settle(struct peer_connection *connection)
{
    if (!io_idle(&connection->receive) || !io_idle(&connection->send) ||
        !io_idle(&connection->timer) || !io_idle(&connection->close) || connection->handle < 0)
        return;
    int handle = connection->handle;
    connection->handle = -1;
    io_close(connection->peer->io, &connection->close, handle, peer_closed);
}

// ---- misbehaviour ----

static void peer_trade_text(struct peer *peer, char *out, size_t out_size)
{
    peer->trade++;
    (void)snprintf(out, out_size,
                   "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1767225600000001,"
                   "\"s\":\"BTCUSDT\",\"t\":%llu,\"p\":\"42000.10000000\",\"q\":\"0.00200000\","
                   "\"T\":1767225600000000,\"m\":true,\"M\":true}}",
                   (unsigned long long)peer->trade);
}

static void peer_fragments(struct peer_connection *connection)
{
    char text[256];
    peer_trade_text(connection->peer, text, sizeof text);
    uint32_t size = (uint32_t)strlen(text);
    peer_frame(connection, WEBSOCKET_TEXT, false, text, 10);
    peer_frame(connection, WEBSOCKET_PING, true, "between", 7);
    peer_frame(connection, WEBSOCKET_CONTINUATION, false, text + 10, 1);
    peer_frame(connection, WEBSOCKET_CONTINUATION, true, text + 11, size - 11);
}

static void peer_misbehave(struct peer_connection *connection)
{
    static const uint8_t masked[] = {0x81, 0x81, 1, 2, 3, 4, 'x'};
    static const uint8_t reserved[] = {0xc1, 0x01, 'x'};
    static const uint8_t bad_text[] = {0x81, 0x02, 0xc0, 0xaf};
    static const uint8_t too_large[] = {0x81, 127, 0, 0, 0, 0, 0, 0x20, 0, 0, 'x'};
    static const uint8_t bad_close[] = {0x88, 0x02, 0x03, 0xed}; // 1005
    static const uint8_t closes[] = {0x88, 0x05, 0x03, 0xe9, 'b', 'y', 'e'};
    connection->misbehaved = true;
    switch (connection->peer->mode) {
    case PEER_MASKED: peer_push(connection, masked, sizeof masked); return;
    case PEER_RESERVED_BITS: peer_push(connection, reserved, sizeof reserved); return;
    case PEER_BAD_TEXT: peer_push(connection, bad_text, sizeof bad_text); return;
    case PEER_TOO_LARGE: peer_push(connection, too_large, sizeof too_large); return;
    case PEER_BAD_CLOSE: peer_push(connection, bad_close, sizeof bad_close); return;
    case PEER_CLOSES: peer_push(connection, closes, sizeof closes); return;
    case PEER_CUTS: peer_hang_up(connection); return;
    case PEER_SHUTDOWN:
        peer_text(connection, "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\","
                              "\"E\":1770123456789}}");
        return;
    case PEER_NONSENSE:
        peer_text(connection, "{\"stream\":\"btcusdt@trade\",\"data\":{[[[");
        return;
    case PEER_ABSURD:
        peer_text(connection, "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1e400,"
                              "\"s\":\"BTCUSDT\",\"t\":1,\"p\":"
                              "\"1234567890123456789012345678901234567890\",\"q\":\"1e400\","
                              "\"T\":1,\"m\":true,\"M\":true}}");
        return;
    case PEER_UNKNOWN_SYMBOL:
        peer_text(connection, "{\"stream\":\"nobody@trade\",\"data\":{\"e\":\"trade\",\"E\":1,"
                              "\"s\":\"NOBODY\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true,"
                              "\"M\":true}}");
        return;
    case PEER_FRAGMENTS: peer_fragments(connection); return;
    default: return;
    }
}

// ---- a life ----

static void peer_ticked(struct io *io, struct io_op *op)
{
    struct peer_connection *connection = io_owner(op, struct peer_connection, timer);
    struct peer *peer = connection->peer;
    if (connection->closing || op->result != 0) {
        if (connection->closing) peer_settle(connection);
        return;
    }
    char text[256];
    bool silent = peer->mode == PEER_SILENT && connection->sent >= 5;
    silent |= connection->unsubscribed;
    if (!silent) {
        peer_trade_text(peer, text, sizeof text);
        peer_text(connection, text);
        connection->sent++;
    }
    if (connection->sent == 5 && !connection->misbehaved) peer_misbehave(connection);
    if (connection->closing) return;
    if (peer->mode == PEER_PINGS) peer_frame(connection, WEBSOCKET_PING, true, "now", 3);
    io_timeout(io, &connection->timer,
               (peer->mode == PEER_PINGS ? 10 : 100) * LIMIT_MILLISECOND_NS, peer_ticked);
}

static uint32_t peer_count(const uint8_t *text, uint32_t size, char wanted)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < size; i++) count += text[i] == wanted;
    return count;
}

static void peer_reply(struct peer_connection *connection, const struct websocket_event *event,
                       bool refused)
{
    char reply[96];
    uint32_t at = event->size;
    while (at > 0 && event->data[at - 1] != ':') at--; // ..."id":N}
    if (refused)
        (void)snprintf(reply, sizeof reply, "{\"code\":2,\"msg\":\"Invalid request\",\"id\":%.*s",
                       (int)(event->size - at), (const char *)event->data + at);
    else
        (void)snprintf(reply, sizeof reply, "{\"result\":null,\"id\":%.*s",
                       (int)(event->size - at), (const char *)event->data + at);
    peer_text(connection, reply);
}

static void peer_subscribed(struct peer_connection *connection, const struct websocket_event *event)
{
    struct peer *peer = connection->peer;
    uint32_t streams = peer_count(event->data, event->size, '@');
    peer->requests++;
    peer->streams += streams;
    connection->streams += streams;
    peer_reply(connection, event, peer->mode == PEER_REFUSES);
    if (!connection->subscribed) io_timeout(peer->io, &connection->timer, 0, peer_ticked);
    connection->subscribed = true;
}

static void peer_left(struct peer_connection *connection, const struct websocket_event *event)
{
    struct peer *peer = connection->peer;
    uint32_t streams = peer_count(event->data, event->size, '@');
    ensure(streams > 0 && streams <= connection->streams); // only what was subscribed to
    peer->unsubscriptions++;
    peer->unsubscribed += streams;
    connection->streams -= streams;
    connection->unsubscribed = connection->streams == 0;
    if (peer->mode == PEER_LEFT_CUTS)
        peer_hang_up(connection);
    else if (peer->mode != PEER_LEFT_SILENT)
        peer_reply(connection, event, peer->mode == PEER_LEFT_REFUSES);
}

static void peer_asked(struct peer_connection *connection, const struct websocket_event *event)
{
    static const char left[] = "{\"method\":\"UNSUBSCRIBE\",";
    bool leaves = event->size > sizeof left && memcmp(event->data, left, sizeof left - 1) == 0;
    if (leaves)
        peer_left(connection, event);
    else
        peer_subscribed(connection, event);
}

static void peer_event(struct peer_connection *connection, const struct websocket_event *event)
{
    struct peer *peer = connection->peer;
    if (peer->message_count < PEER_MESSAGES_MAX && event->opcode != WEBSOCKET_CLOSE)
        peer->message_ns[peer->message_count++] = io_monotonic_ns(peer->io);
    if (event->opcode == WEBSOCKET_TEXT) peer_asked(connection, event);
    if (event->opcode == WEBSOCKET_PONG) peer->pongs++;
    if (event->opcode != WEBSOCKET_CLOSE) return;
    peer->closes++;
    if (peer->mode != PEER_LEFT_SILENT) peer_hang_up(connection);
}

static void peer_upgrade(struct peer_connection *connection)
{
    char key[WEBSOCKET_KEY_SIZE];
    char reply[512];
    enum peer_mode mode = connection->peer->mode;
    enum websocket_handshake judged = websocket_request_check(&connection->http, key);
    ensure(judged == WEBSOCKET_HANDSHAKE_OK);
    if (mode == PEER_BAD_ACCEPT) key[0] = key[0] == 'A' ? 'B' : 'A';
    uint32_t size = websocket_reply_format(key, reply, sizeof reply - 64);
    ensure(size > 2);
    if (mode == PEER_EXTENSION)
        size += (uint32_t)snprintf(reply + size - 2, 66, "%s\r\n\r\n",
                                   "Sec-WebSocket-Extensions: permessage-deflate") -
                2;
    connection->upgraded = true;
    peer_push(connection, reply, size);
}

static void peer_request(struct peer_connection *connection)
{
    static const char forbidden[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    static const char too_many[] =
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n";
    static const char not_http[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n";
    switch (connection->peer->mode) {
    case PEER_NOT_HTTP: peer_push(connection, not_http, sizeof not_http - 1); return;
    case PEER_FORBIDDEN: peer_push(connection, forbidden, sizeof forbidden - 1); return;
    case PEER_TOO_MANY: peer_push(connection, too_many, sizeof too_many - 1); return;
    case PEER_HUGE_HEAD:
        peer_push(connection, "HTTP/1.1 101 Switching Protocols\r\n", 34);
        for (int i = 0; i < 2000; i++) peer_push(connection, "X-Field: 0123456789\r\n", 21);
        return;
    default: peer_upgrade(connection);
    }
}

static void peer_head(struct peer_connection *connection, const char *at, const char *end)
{
    struct http_slice body;
    enum http_result result = http_parse(&connection->http, &at, end, &body);
    ensure(!http_failed(result));
    if (result == HTTP_HEAD) peer_request(connection);
}

static void peer_frames(struct peer_connection *connection, uint8_t *at, uint8_t *end)
{
    struct websocket_event event;
    while (!connection->closing) {
        enum websocket_result result = websocket_next(&connection->websocket, &at, end, &event);
        ensure(!websocket_failed(result)); // the client keeps to the protocol
        if (result == WEBSOCKET_MORE) return;
        peer_event(connection, &event);
    }
}

static void peer_received(struct io *io, struct io_op *op)
{
    (void)io;
    struct peer_connection *connection = io_owner(op, struct peer_connection, receive);
    static uint8_t copy[65536 + WEBSOCKET_PADDING]; // a server unmasks in place
    if (connection->closing) {
        peer_settle(connection);
    } else if (op->result <= 0) {
        peer_hang_up(connection);
    } else {
        uint32_t size = (uint32_t)op->result;
        ensure(size <= 65536);
        memcpy(copy, op->data, size);
        if (connection->upgraded)
            peer_frames(connection, copy, copy + size);
        else if (connection->peer->mode != PEER_MUTE)
            peer_head(connection, (const char *)copy, (const char *)copy + size);
    }
}

static struct peer_connection *peer_free(struct peer *peer)
{
    for (int i = 0; i < PEER_CONNECTIONS; i++) {
        struct peer_connection *connection = &peer->connection[i];
        if (connection->handle < 0 && io_idle(&connection->close)) return connection;
    }
    return NULL;
}

static void peer_accepted(struct io *io, struct io_op *op)
{
    struct peer *peer = io_owner(op, struct peer, accept);
    if (op->result < 0) return;
    struct peer_connection *connection = peer_free(peer);
    ensure(connection != NULL);
    uint8_t *out = connection->out;
    memset(connection, 0, sizeof *connection);
    connection->out = out;
    connection->peer = peer;
    connection->handle = (int)op->result;
    peer->connections++;
    http_parser_init(&connection->http, HTTP_REQUEST, connection->head, HTTP_HEAD_SIZE);
    websocket_init(&connection->websocket, WEBSOCKET_SERVER, connection->message,
                   PEER_MESSAGE_BYTES);
    if (peer->mode == PEER_HANGS_UP) {
        peer_hang_up(connection);
        return;
    }
    io_receive(io, &connection->receive, connection->handle, peer_received);
}

struct peer *peer_create(struct io *io)
{
    struct peer *peer = calloc(1, sizeof *peer);
    ensure(peer != NULL);
    struct io_address address = {.bytes = {0}}; // whatever address it is called by
    peer->io = io;
    peer->listener = io_listen(io, &address, &peer->port);
    ensure(peer->listener >= 0);
    for (int i = 0; i < PEER_CONNECTIONS; i++) {
        peer->connection[i].handle = -1;
        peer->connection[i].out = malloc(PEER_OUT_BYTES);
        ensure(peer->connection[i].out != NULL);
    }
    io_accept(io, &peer->accept, peer->listener, peer_accepted);
    return peer;
}

void peer_destroy(struct peer *peer)
{
    for (int i = 0; i < PEER_CONNECTIONS; i++) free(peer->connection[i].out);
    free(peer);
}
