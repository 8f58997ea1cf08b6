// SPDX-License-Identifier: GPL-3.0-or-later
//
// ws_echo_endpoint: an end of a WebSocket connection that sends back what it is sent (RFC 6455):
// text and binary as they came, a ping's payload in a pong, a close code in a close frame; what is
// forbidden is answered by the close code that says why, and nothing after that. Framing is that of
// protocol/websocket.h alone; here is only what an echo is.
//
//     OPEN --close frame--> CLOSED     both: the answer is the last of the output
//       \----error--------> FAILED
//
// Pure: bytes in, bytes out; handshake and transport are the caller's. Shared by the conformance
// cases (tests/websocket_conformance_test.c) and by the program that other suites talk to
// (tests/peers/ws_echo.c).
//
// Ownership: memory grows by malloc() as messages need it; the caller ends it by
// ws_echo_endpoint_close(). Threading: one owner at a time. Bounds: a message above the limit is
// refused with 1009; output above WS_ECHO_OUTPUT_MAX, of a peer that sends and does not read,
// fails the connection.
#ifndef RINGTAPE_TESTS_WS_ECHO_ENDPOINT_H
#define RINGTAPE_TESTS_WS_ECHO_ENDPOINT_H

#include "protocol/websocket.h"

#define WS_ECHO_OUTPUT_MAX ((size_t)256 << 20)

// Fills in mask keys; section 5.3 wants them unpredictable.
typedef void ws_echo_random(void *context, void *bytes, size_t size);

struct ws_echo_options {
    enum websocket_role role;
    uint32_t message_size_max; // as websocket_init()
    uint32_t fragment_size;    // of echoes: more becomes several frames; 0: always one
    ws_echo_random *random;    // client
    void *random_context;
};

struct ws_echo_endpoint {
    struct ws_echo_options options;
    struct websocket websocket;
    uint8_t *message;
    uint8_t *output;
    size_t output_capacity;
    size_t output_begin; // of what is not yet taken
    size_t output_end;
    bool over;                    // the close frame is in the output
    bool overrun;                 // the output was full: nothing can be said any more
    enum websocket_result failure; // WEBSOCKET_MORE: none
    uint16_t close_code;          // that was sent, once over; 1005: none
    uint64_t messages;            // that were sent back
    uint64_t payload_bytes;
};

// False where there is no memory.
bool ws_echo_endpoint_open(struct ws_echo_endpoint *echo, const struct ws_echo_options *options);
void ws_echo_endpoint_close(struct ws_echo_endpoint *echo);

// Received bytes; a server unmasks them in place, and WEBSOCKET_PADDING bytes after them must be
// readable. Once it is over they are dropped.
void ws_echo_endpoint_feed(struct ws_echo_endpoint *echo, uint8_t *bytes, size_t size);

// Says goodbye first. Not when it is over.
void ws_echo_endpoint_goodbye(struct ws_echo_endpoint *echo, uint16_t code);

// What is to be sent, valid until the next feed.
const uint8_t *ws_echo_endpoint_output(const struct ws_echo_endpoint *echo, size_t *size);
void ws_echo_endpoint_taken(struct ws_echo_endpoint *echo, size_t size);

#endif
