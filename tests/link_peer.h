// SPDX-License-Identifier: GPL-3.0-or-later
//
// link_peer: a small exchange in the simulated world for tests of links: one plain WebSocket
// server that answers subscriptions and sends trades, or misbehaves in one of many ways. Test
// code: bounds are ensured, not handled.
#ifndef RINGTAPE_TESTS_LINK_PEER_H
#define RINGTAPE_TESTS_LINK_PEER_H

#include "io/io.h"
#include "protocol/http.h"
#include "protocol/websocket.h"

enum peer_mode {
    PEER_GOOD,
    // before the connection stands
    PEER_MUTE,       // accepts and says nothing
    PEER_HANGS_UP,   // accepts and closes
    PEER_NOT_HTTP,
    PEER_FORBIDDEN,  // 403
    PEER_TOO_MANY,   // 429, Retry-After: 30
    PEER_BAD_ACCEPT, // a wrong Sec-WebSocket-Accept
    PEER_EXTENSION,  // an extension nobody offered
    PEER_HUGE_HEAD,  // fields without end
    // after it: once, with the subscription or with the fifth trade
    PEER_REFUSES,
    PEER_MASKED,
    PEER_RESERVED_BITS,
    PEER_BAD_TEXT,   // not UTF-8
    PEER_TOO_LARGE,  // announces 2 MiB
    PEER_BAD_CLOSE,  // close frame with a forbidden code
    PEER_CLOSES,     // 1001
    PEER_CUTS,       // closes the socket
    PEER_SILENT,     // never says anything again
    PEER_SHUTDOWN,   // serverShutdown
    PEER_NONSENSE,   // not JSON
    PEER_ABSURD,     // numbers that fit nowhere
    PEER_UNKNOWN_SYMBOL,
    PEER_FRAGMENTS,  // a trade in pieces with a ping between
    PEER_PINGS,      // a hundred pings a second
    // with the first request that takes streams back
    PEER_LEFT_CUTS,    // closes the socket
    PEER_LEFT_REFUSES, // answers with an error
    PEER_LEFT_SILENT,  // answers neither it nor the close frame
    PEER_MODES,
};

enum {
    PEER_CONNECTIONS = 16,
    PEER_OUT_BYTES = 1 << 20,
    PEER_MESSAGE_BYTES = 1 << 17,
    PEER_MESSAGES_MAX = 4096,
};

struct peer;

struct peer_connection {
    struct peer *peer;
    struct io_op receive;
    struct io_op send;
    struct io_op close;
    struct io_op timer;
    int handle; // -1: free
    bool upgraded;
    bool subscribed;
    bool unsubscribed; // from all: no more trades
    bool closing;
    bool misbehaved;
    uint32_t sent; // trades
    uint32_t streams; // subscribed to
    struct http_parser http;
    struct websocket websocket;
    char head[HTTP_HEAD_SIZE];
    uint8_t message[PEER_MESSAGE_BYTES + WEBSOCKET_PADDING];
    uint8_t *out;
    uint32_t out_size;
    uint32_t out_taken;
};

struct peer {
    struct io *io;
    enum peer_mode mode;
    uint16_t port;
    int listener;
    struct io_op accept;
    uint64_t trade; // id of the last one made, over all connections
    uint64_t connections;
    uint64_t requests; // subscriptions
    uint64_t streams;  // in them
    uint64_t unsubscriptions;
    uint64_t unsubscribed; // streams in them
    uint64_t pongs;
    uint64_t closes;   // close frames received
    uint32_t message_count;
    int64_t message_ns[PEER_MESSAGES_MAX]; // when a client message arrived, monotonic
    struct peer_connection connection[PEER_CONNECTIONS];
};

// Allocates and listens on its own loop.
struct peer *peer_create(struct io *io);
// After the world is destroyed.
void peer_destroy(struct peer *peer);

#endif
