// SPDX-License-Identifier: GPL-3.0-or-later
//
// WebSocket (RFC 6455) over caller memory, both roles.
//
// Parser: any split of the stream. Each call takes bytes from the input and returns one event, or
// WEBSOCKET_MORE with the whole input consumed: the caller never keeps a rest. A message that is
// one frame and lies whole in the input is handed out in place; everything else is gathered in the
// caller's message memory. Text is checked as UTF-8 while it arrives (fail-fast). Control frames
// between fragments are events of their own. An error is final.
//
// Encoder: frames with a mask key given by the caller (section 5.3 wants it unpredictable).
// Handshake: request, check of the reply, and the server's side. No extension is ever offered or
// accepted, so all reserved bits are errors.
//
// Owns nothing, allocates nothing, no clock; one owner at a time.
#ifndef RINGTAPE_PROTOCOL_WEBSOCKET_H
#define RINGTAPE_PROTOCOL_WEBSOCKET_H

#include "protocol/http.h"
#include "protocol/utf8.h"
#include <stdbool.h>
#include <stdint.h>

// Bytes that must be readable after the input and after the message memory: the JSON cursor reads
// past the end of a message (their content does not matter).
#define WEBSOCKET_PADDING 64
#define WEBSOCKET_CONTROL_SIZE_MAX 125
#define WEBSOCKET_HEADER_SIZE_MAX 14
#define WEBSOCKET_KEY_SIZE 24
#define WEBSOCKET_ACCEPT_SIZE 28
// Header lines a caller can add to the request.
#define WEBSOCKET_EXTRA_MAX 8
// Messages above 2^31 are beyond this module, whatever the memory.
#define WEBSOCKET_MESSAGE_SIZE_LIMIT 0x7fffffffu

enum websocket_role {
    WEBSOCKET_CLIENT, // receives unmasked, sends masked
    WEBSOCKET_SERVER, // receives masked, sends unmasked
};

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0x0,
    WEBSOCKET_TEXT = 0x1,
    WEBSOCKET_BINARY = 0x2,
    WEBSOCKET_CLOSE = 0x8,
    WEBSOCKET_PING = 0x9,
    WEBSOCKET_PONG = 0xa,
};

enum websocket_result {
    WEBSOCKET_MORE = 0, // the input is consumed
    WEBSOCKET_EVENT,    // the event is set
    // Errors: send websocket_error_close_code(), close the connection.
    WEBSOCKET_ERROR_RESERVED_BITS = -1,
    WEBSOCKET_ERROR_OPCODE = -2,
    WEBSOCKET_ERROR_MASK_MISSING = -3,       // server role
    WEBSOCKET_ERROR_MASK_UNEXPECTED = -4,    // client role
    WEBSOCKET_ERROR_LENGTH = -5,             // not in its shortest form, or above 2^63
    WEBSOCKET_ERROR_TOO_LARGE = -6,          // the message exceeds the caller's limit
    WEBSOCKET_ERROR_CONTROL_SIZE = -7,       // control frame above 125 bytes
    WEBSOCKET_ERROR_CONTROL_FRAGMENTED = -8,
    WEBSOCKET_ERROR_CONTINUATION = -9,       // continuation without a beginning
    WEBSOCKET_ERROR_INTERLEAVED = -10,       // a new message inside a fragmented one
    WEBSOCKET_ERROR_UTF8 = -11,
    WEBSOCKET_ERROR_CLOSE_PAYLOAD = -12,     // one byte
    WEBSOCKET_ERROR_CLOSE_CODE = -13,        // a code that must not be on the wire
};

// Valid until the next call with the same parser.
struct websocket_event {
    enum websocket_opcode opcode; // TEXT, BINARY, PING, PONG or CLOSE
    const uint8_t *data;          // CLOSE: the reason. WEBSOCKET_PADDING readable bytes follow
    uint32_t size;
    uint16_t close_code; // CLOSE only; 1005 if the peer gave none
};

// Embedded by its owner; every member is private.
struct websocket {
    uint8_t *message; // the caller's memory
    uint32_t message_size_max;
    uint32_t message_size; // gathered so far
    enum websocket_role role;
    uint8_t state;
    uint8_t opcode;         // of the frame in progress
    uint8_t message_opcode; // of the message in progress; 0: none
    bool final;
    uint8_t header_size; // bytes in header[]
    uint8_t header[WEBSOCKET_HEADER_SIZE_MAX];
    uint8_t mask[4];
    uint32_t mask_phase;
    uint64_t frame_left;
    struct utf8_state utf8;
    enum websocket_result failure;
    uint32_t control_size;
    uint8_t control[WEBSOCKET_CONTROL_SIZE_MAX + WEBSOCKET_PADDING];
};

// `message`: message_size_max + WEBSOCKET_PADDING bytes owned by the caller; message_size_max is
// also the limit of a message that is handed out in place. 125..WEBSOCKET_MESSAGE_SIZE_LIMIT.
void websocket_init(struct websocket *websocket, enum websocket_role role, uint8_t *message,
                    uint32_t message_size_max);

// For a new connection, memory and role kept.
void websocket_reset(struct websocket *websocket);

// Takes bytes from *at (advanced) up to `end`. The input must stay untouched until the event has
// been used, and WEBSOCKET_PADDING bytes after `end` must be readable. A server unmasks in place.
// After a CLOSE event all further input is dropped, as section 1.4 wants.
enum websocket_result websocket_next(struct websocket *websocket, uint8_t **at, uint8_t *end,
                                     struct websocket_event *event);

// True after a CLOSE event.
bool websocket_closed(const struct websocket *websocket);

static inline bool websocket_failed(enum websocket_result result)
{
    return (int)result < 0;
}
const char *websocket_result_text(enum websocket_result result);
// 1002, 1007 or 1009: what to tell the peer.
uint16_t websocket_error_close_code(enum websocket_result error);
// True for a code that may stand in a close frame (section 7.4).
bool websocket_close_code_valid(uint16_t code);

// ---- encoder ------------------------------------------------------------------------------------

// Size of a whole frame. `masked`: the client role.
uint32_t websocket_frame_size(uint32_t payload_size, bool masked);

// The header only, at most WEBSOCKET_HEADER_SIZE_MAX bytes; returns its size. `mask` is NULL for a
// server; with a mask the caller masks the payload by websocket_mask().
uint32_t websocket_encode_header(uint8_t *target, enum websocket_opcode opcode, bool final,
                                 uint32_t payload_size, const uint8_t mask[4]);

// A whole frame; returns its size, or 0 if it does not fit the target. The payload may not overlap
// the target. Control payloads have at most 125 bytes.
uint32_t websocket_encode(uint8_t *target, uint32_t target_size, enum websocket_opcode opcode,
                          const uint8_t *payload, uint32_t payload_size, const uint8_t mask[4]);

// A close frame; code 1005 stands for "none": an empty payload. The reason is cut at 123 bytes, at
// a character boundary.
uint32_t websocket_encode_close(uint8_t *target, uint32_t target_size, uint16_t code,
                                const char *reason, const uint8_t mask[4]);

// Xors `size` bytes; `phase` is the offset of the first of them in the payload. Its own inverse.
void websocket_mask(uint8_t *data, size_t size, const uint8_t mask[4], uint32_t phase);

// ---- handshake ----------------------------------------------------------------------------------

// The 16 random bytes as Sec-WebSocket-Key; not terminated.
void websocket_key(const uint8_t random[16], char key[WEBSOCKET_KEY_SIZE]);
// The answer to a key; not terminated.
void websocket_accept(const char key[WEBSOCKET_KEY_SIZE], char accept[WEBSOCKET_ACCEPT_SIZE]);

// The client's request: no Origin, no extension. `extra`: "Name: value" strings. Returns the size,
// or 0 if it does not fit or a member is not clean.
uint32_t websocket_request_format(const char *host, const char *target_path,
                                  const char key[WEBSOCKET_KEY_SIZE], const char *const *extra,
                                  uint32_t extra_count, char *target, uint32_t target_size);

enum websocket_handshake {
    WEBSOCKET_HANDSHAKE_OK = 0,
    WEBSOCKET_HANDSHAKE_STATUS,    // client: not 101 (see parser->status); server: not GET
    WEBSOCKET_HANDSHAKE_UPGRADE,   // `Upgrade: websocket` is missing
    WEBSOCKET_HANDSHAKE_CONNECTION, // `Connection: Upgrade` is missing
    WEBSOCKET_HANDSHAKE_ACCEPT,    // the accept value is missing or wrong
    WEBSOCKET_HANDSHAKE_EXTENSION, // the server uses an extension or subprotocol nobody offered
    WEBSOCKET_HANDSHAKE_VERSION,   // server: Sec-WebSocket-Version is not 13
    WEBSOCKET_HANDSHAKE_KEY,       // server: Sec-WebSocket-Key is missing or malformed
};
const char *websocket_handshake_text(enum websocket_handshake result);

// Client: judges the response head (after HTTP_HEAD).
enum websocket_handshake websocket_reply_check(const struct http_parser *response,
                                               const char key[WEBSOCKET_KEY_SIZE]);

// Server: judges the request head and copies its key.
enum websocket_handshake websocket_request_check(const struct http_parser *request,
                                                 char key[WEBSOCKET_KEY_SIZE]);

// Server: the 101 reply. Returns the size, or 0 if it does not fit.
uint32_t websocket_reply_format(const char key[WEBSOCKET_KEY_SIZE], char *target,
                                uint32_t target_size);

#endif
