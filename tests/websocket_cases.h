// SPDX-License-Identifier: GPL-3.0-or-later
//
// websocket_cases: what a peer may send to an endpoint that echoes, and what must come back: the
// behaviour that the public Autobahn test suite asks for in its groups 1 to 7, 9 and 10, in our own
// words, with the number of the public case as source; and, as "own", what it does not ask.
//
// Frames are written here as a client's and a server's are alike: opcode and bits, payload. Who
// runs a case (websocket_conformance_test.c) masks them where the endpoint is a server.
//
// Sources: RFC 6455 sections 5 and 7; RFC 3629 for UTF-8.
#ifndef RINGTAPE_TESTS_WEBSOCKET_CASES_H
#define RINGTAPE_TESTS_WEBSOCKET_CASES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WEBSOCKET_CASE_SENT_MAX = 10,
    WEBSOCKET_CASE_ANSWERS_MAX = 10,
    // Of the endpoint that is asked; the largest message of the table.
    WEBSOCKET_CASE_MESSAGE_MAX = 16 << 20,
};

// First byte of a frame: FIN and opcode.
enum {
    TEXT = 0x81,
    BINARY = 0x82,
    CLOSE = 0x88,
    PING = 0x89,
    PONG = 0x8a,
    END = 0x80,        // last continuation
    OPEN_TEXT = 0x01,  // and more follows
    OPEN_BINARY = 0x02,
    MIDDLE = 0x00,
};

struct websocket_case_frame {
    uint8_t first;
    const char *payload;   // NULL: the list ends here
    uint32_t pattern_size; // of `payload`, which is repeated until there are `size` bytes
    uint32_t size;
};

#define FRAME(first, text) {(first), (text), sizeof(text) - 1, sizeof(text) - 1}
#define FILLED(first, pattern, size) {(first), (pattern), sizeof(pattern) - 1, (size)}

struct websocket_case {
    const char *source; // "2.5"
    const char *what;
    struct websocket_case_frame sent[WEBSOCKET_CASE_SENT_MAX + 1];
    struct websocket_case_frame answer[WEBSOCKET_CASE_ANSWERS_MAX + 1];
    uint16_t close;    // code of the close frame that ends it; 0: the peer closes with 1000 at the
                       // end and gets that back; 1005: a close frame without a code
    bool failed;       // it is the endpoint that ends it, since what came is forbidden
    uint32_t repeat;   // all of `sent`, and of `answer`, so many times; 0: once
    uint32_t fragment; // messages of `sent` are cut into frames of this size; 0: they are not
    uint32_t chop;     // bytes that arrive at once, beside the ways in which every case is cut; 0
    // Fail-fast: frame of `sent` and bytes of its payload that must have come, and suffice.
    uint32_t fails_frame;
    uint32_t fails_bytes; // 0: not asked
};

struct websocket_case_group {
    const char *name;
    const struct websocket_case *cases;
    uint32_t count;
};

enum websocket_case_group_name {
    WEBSOCKET_CASES_FRAMING,
    WEBSOCKET_CASES_PING,
    WEBSOCKET_CASES_RESERVED,
    WEBSOCKET_CASES_OPCODE,
    WEBSOCKET_CASES_FRAGMENT,
    WEBSOCKET_CASES_UTF8,
    WEBSOCKET_CASES_CLOSE,
    WEBSOCKET_CASES_SIZE,
    WEBSOCKET_CASES_GROUPS,
};
struct websocket_case_group websocket_cases(enum websocket_case_group_name name);
struct websocket_case_group websocket_cases_closing(void);
struct websocket_case_group websocket_cases_sizes(void);

// One text, whole in one frame: valid and echoed, or refused with 1007. Groups 6.5 to 6.23.
struct websocket_text_case {
    const char *source; // of the first; the others of the line count up
    const char *what;
    bool valid;
    uint32_t count;
    const char *const *texts; // hexadecimal
};
const struct websocket_text_case *websocket_text_cases(uint32_t *count);

#endif
