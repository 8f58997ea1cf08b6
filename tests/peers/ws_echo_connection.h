// SPDX-License-Identifier: GPL-3.0-or-later
//
// ws_echo_connection: one connection of ws_echo over io.h: TCP, TLS where wanted, HTTP upgrade,
// then tests/ws_echo_endpoint.h. Both roles.
//
//     FREE --begin--> UPGRADING --101--> OPEN --close frame in the output--> LINGERING
//       ^                 | any failure         | peer gone                      | sent, and peer
//       \----------------CLOSING <--------------+--------------------------------/ gone or in time
//
// LINGERING: what was said must arrive before the connection goes, so what still comes is read and
// dropped; a server whose peer closed first ends as soon as all is sent (RFC 6455, 7.1.1).
//
// Threading: one loop. Bounds: of the endpoint; a handshake of WS_ECHO_HEAD_BYTES.
#ifndef RINGTAPE_TESTS_PEERS_WS_ECHO_CONNECTION_H
#define RINGTAPE_TESTS_PEERS_WS_ECHO_CONNECTION_H

#include "io/io.h"
#include "protocol/http.h"
#include "protocol/tls.h"
#include "protocol/websocket.h"
#include "tests/ws_echo_endpoint.h"

enum {
    WS_ECHO_HEAD_BYTES = HTTP_HEAD_SIZE,
    WS_ECHO_TLS_OUTPUT_BYTES = 1 << 20,
};

enum ws_echo_state {
    WS_ECHO_FREE,
    WS_ECHO_UPGRADING,
    WS_ECHO_OPEN,
    WS_ECHO_LINGERING,
    WS_ECHO_CLOSING,
};

// What all connections of a program have in common.
struct ws_echo_shared {
    struct io *io;
    struct tls_context *tls; // NULL: plain
    enum websocket_role role;
    uint32_t message_size_max;
    uint32_t fragment_size;
    // Client: where it goes.
    const char *host;
    const char *authority;
    const char *target; // path and query
    uint32_t connections; // so far
};

struct ws_echo_connection {
    struct ws_echo_shared *shared;
    enum ws_echo_state state;
    uint32_t number;
    int handle;
    struct io_op receive;
    struct io_op send;
    struct io_op timer; // of LINGERING
    struct io_op close;
    struct tls *tls;
    struct http_parser http;
    struct ws_echo_endpoint echo;
    bool requested;      // client
    bool upgraded;
    bool peer_closed;    // its close frame came
    bool goodbye;        // close_notify is in the output
    char failure[TLS_FAILURE_SIZE]; // of handshake or transport; "": none
    char key[WEBSOCKET_KEY_SIZE];
    char head[WS_ECHO_HEAD_BYTES];
    uint8_t plain[TLS_RECORD_SIZE_MAX + WEBSOCKET_PADDING];
};

// On a connected handle. False where there is no memory.
bool ws_echo_connection_begin(struct ws_echo_connection *c, struct ws_echo_shared *shared,
                              int handle);
// Ends it at once; or, where it is open, by a close frame of code 1001.
void ws_echo_connection_leave(struct ws_echo_connection *c);

#endif
