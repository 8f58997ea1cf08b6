// SPDX-License-Identifier: GPL-3.0-or-later
//
// Writing frames (RFC 6455 section 5.2), masks (5.3), and the names of results.
#include "protocol/websocket.h"

#include "format/ensure.h"
#include <string.h>

#define FINAL_BIT 0x80
#define MASK_BIT 0x80
#define CONTROL_BIT 0x08
#define CLOSE_CODE_NONE 1005

void websocket_mask(uint8_t *data, size_t size, const uint8_t mask[4], uint32_t phase)
{
    uint8_t rotated[8];
    for (uint32_t i = 0; i < 8; i++)
        rotated[i] = mask[(phase + i) & 3];
    uint64_t wide;
    memcpy(&wide, rotated, sizeof wide);
    size_t at = 0;
    for (; size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        word ^= wide;
        memcpy(data + at, &word, sizeof word);
    }
    for (; at < size; at++)
        data[at] ^= rotated[at & 7];
}

static uint32_t header_size(uint32_t payload_size, bool masked)
{
    uint32_t extended = payload_size < 126 ? 0 : payload_size <= UINT16_MAX ? 2 : 8;
    return 2 + extended + (masked ? 4 : 0);
}

uint32_t websocket_frame_size(uint32_t payload_size, bool masked)
{
    ensure(payload_size <= WEBSOCKET_MESSAGE_SIZE_LIMIT);
    return header_size(payload_size, masked) + payload_size;
}

uint32_t websocket_encode_header(uint8_t *target, enum websocket_opcode opcode, bool final,
                                 uint32_t payload_size, const uint8_t mask[4])
{
    ensure(payload_size <= WEBSOCKET_MESSAGE_SIZE_LIMIT);
    ensure(!(opcode & CONTROL_BIT) || (final && payload_size <= WEBSOCKET_CONTROL_SIZE_MAX));
    uint32_t bytes = payload_size < 126 ? 0 : payload_size <= UINT16_MAX ? 2 : 8;
    uint32_t code = bytes == 0 ? payload_size : bytes == 2 ? 126 : 127;
    target[0] = (uint8_t)(opcode | (final ? FINAL_BIT : 0));
    target[1] = (uint8_t)(code | (mask != NULL ? MASK_BIT : 0));
    for (uint32_t i = 0; i < bytes; i++)
        target[2 + i] = (uint8_t)((uint64_t)payload_size >> 8 * (bytes - 1 - i));
    if (mask != NULL)
        memcpy(target + 2 + bytes, mask, 4);
    ensure(header_size(payload_size, mask != NULL) <= WEBSOCKET_HEADER_SIZE_MAX);
    return header_size(payload_size, mask != NULL);
}

uint32_t websocket_encode(uint8_t *target, uint32_t target_size, enum websocket_opcode opcode,
                          const uint8_t *payload, uint32_t payload_size, const uint8_t mask[4])
{
    uint32_t size = websocket_frame_size(payload_size, mask != NULL);
    if (size > target_size)
        return 0;
    uint32_t header = websocket_encode_header(target, opcode, true, payload_size, mask);
    ensure(header + payload_size == size);
    if (payload_size > 0)
        memcpy(target + header, payload, payload_size);
    if (mask != NULL)
        websocket_mask(target + header, payload_size, mask, 0);
    return size;
}

uint32_t websocket_encode_close(uint8_t *target, uint32_t target_size, uint16_t code,
                                const char *reason, const uint8_t mask[4])
{
    uint8_t payload[WEBSOCKET_CONTROL_SIZE_MAX] = {0};
    if (code == CLOSE_CODE_NONE)
        return websocket_encode(target, target_size, WEBSOCKET_CLOSE, payload, 0, mask);
    ensure(websocket_close_code_valid(code));
    size_t size = reason != NULL ? strlen(reason) : 0;
    if (size > sizeof payload - 2) {
        size = sizeof payload - 2;
        // Not inside a character: back to a byte that begins one.
        while (size > 0 && ((uint8_t)reason[size] & 0xc0) == 0x80)
            size--;
    }
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    if (size > 0)
        memcpy(payload + 2, reason, size);
    return websocket_encode(target, target_size, WEBSOCKET_CLOSE, payload, (uint32_t)size + 2,
                            mask);
}

uint16_t websocket_error_close_code(enum websocket_result error)
{
    ensure(websocket_failed(error));
    if (error == WEBSOCKET_ERROR_UTF8)
        return 1007;
    return error == WEBSOCKET_ERROR_TOO_LARGE ? 1009 : 1002;
}

const char *websocket_result_text(enum websocket_result result)
{
    switch (result) {
    case WEBSOCKET_MORE:
        return "websocket: needs more input";
    case WEBSOCKET_EVENT:
        return "websocket: event";
    case WEBSOCKET_ERROR_RESERVED_BITS:
        return "websocket: reserved bits are set";
    case WEBSOCKET_ERROR_OPCODE:
        return "websocket: reserved opcode";
    case WEBSOCKET_ERROR_MASK_MISSING:
        return "websocket: the client's frame is not masked";
    case WEBSOCKET_ERROR_MASK_UNEXPECTED:
        return "websocket: the server's frame is masked";
    case WEBSOCKET_ERROR_LENGTH:
        return "websocket: malformed frame length";
    case WEBSOCKET_ERROR_TOO_LARGE:
        return "websocket: message above the size limit";
    case WEBSOCKET_ERROR_CONTROL_SIZE:
        return "websocket: control frame above 125 bytes";
    case WEBSOCKET_ERROR_CONTROL_FRAGMENTED:
        return "websocket: fragmented control frame";
    case WEBSOCKET_ERROR_CONTINUATION:
        return "websocket: continuation without a beginning";
    case WEBSOCKET_ERROR_INTERLEAVED:
        return "websocket: new message inside a fragmented one";
    case WEBSOCKET_ERROR_UTF8:
        return "websocket: text is not UTF-8";
    case WEBSOCKET_ERROR_CLOSE_PAYLOAD:
        return "websocket: close frame of one byte";
    case WEBSOCKET_ERROR_CLOSE_CODE:
        return "websocket: close code that must not be sent";
    }
    ensure(!"a websocket_result");
    return "";
}
