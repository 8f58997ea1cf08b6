// SPDX-License-Identifier: GPL-3.0-or-later
//
// The opening handshake (RFC 6455 section 4), both sides.
#include "protocol/websocket.h"

#include "format/ensure.h"
#include "protocol/sha1.h"
#include <string.h>

// Section 1.3.
static const char accept_suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Writes (size + 2) / 3 * 4 characters (RFC 4648 section 4).
static void base64(const uint8_t *data, uint32_t size, char *target)
{
    ensure(size > 0);
    for (uint32_t i = 0; i < size; i += 3) {
        uint32_t left = size - i;
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)data[i + 2] : 0;
        *target++ = base64_alphabet[bits >> 18];
        *target++ = base64_alphabet[bits >> 12 & 63];
        *target++ = left > 1 ? base64_alphabet[bits >> 6 & 63] : '=';
        *target++ = left > 2 ? base64_alphabet[bits & 63] : '=';
    }
}

void websocket_key(const uint8_t random[16], char key[WEBSOCKET_KEY_SIZE])
{
    ensure(random != NULL && key != NULL);
    base64(random, 16, key);
}

void websocket_accept(const char key[WEBSOCKET_KEY_SIZE], char accept[WEBSOCKET_ACCEPT_SIZE])
{
    uint8_t text[WEBSOCKET_KEY_SIZE + sizeof accept_suffix - 1];
    uint8_t digest[SHA1_SIZE];
    memcpy(text, key, WEBSOCKET_KEY_SIZE);
    memcpy(text + WEBSOCKET_KEY_SIZE, accept_suffix, sizeof accept_suffix - 1);
    sha1(text, sizeof text, digest);
    base64(digest, sizeof digest, accept);
}

uint32_t websocket_request_format(const char *host, const char *target_path,
                                  const char key[WEBSOCKET_KEY_SIZE], const char *const *extra,
                                  uint32_t extra_count, char *target, uint32_t target_size)
{
    ensure(extra_count <= WEBSOCKET_EXTRA_MAX);
    char key_line[] = "Sec-WebSocket-Key: ........................";
    memcpy(key_line + sizeof key_line - 1 - WEBSOCKET_KEY_SIZE, key, WEBSOCKET_KEY_SIZE);
    const char *lines[4 + WEBSOCKET_EXTRA_MAX] = {"Upgrade: websocket", "Connection: Upgrade",
                                                  key_line, "Sec-WebSocket-Version: 13"};
    for (uint32_t i = 0; i < extra_count; i++)
        lines[4 + i] = extra[i];
    struct http_request request = {.method = "GET",
                                   .host = host,
                                   .target = target_path,
                                   .extra = lines,
                                   .extra_count = 4 + extra_count};
    return http_request_format(&request, target, target_size);
}

static bool slice_equals(struct http_slice slice, const char *text, size_t size)
{
    return slice.size == size && memcmp(slice.text, text, size) == 0;
}

// Section 4.1, the client's checks 1 to 6.
enum websocket_handshake websocket_reply_check(const struct http_parser *response,
                                               const char key[WEBSOCKET_KEY_SIZE])
{
    ensure(response->kind == HTTP_RESPONSE && response->status != 0);
    struct http_slice value;
    char accept[WEBSOCKET_ACCEPT_SIZE];
    if (response->status != 101)
        return WEBSOCKET_HANDSHAKE_STATUS;
    if (!http_field_has_token(response, "Upgrade", "websocket"))
        return WEBSOCKET_HANDSHAKE_UPGRADE;
    if (!http_field_has_token(response, "Connection", "Upgrade"))
        return WEBSOCKET_HANDSHAKE_CONNECTION;
    websocket_accept(key, accept);
    if (!http_field_find(response, "Sec-WebSocket-Accept", &value) ||
        !slice_equals(value, accept, sizeof accept))
        return WEBSOCKET_HANDSHAKE_ACCEPT;
    if ((http_field_find(response, "Sec-WebSocket-Extensions", &value) && value.size > 0) ||
        (http_field_find(response, "Sec-WebSocket-Protocol", &value) && value.size > 0))
        return WEBSOCKET_HANDSHAKE_EXTENSION;
    return WEBSOCKET_HANDSHAKE_OK;
}

// The base64 form of 16 bytes: 22 characters of the alphabet, then "==".
static bool key_is_valid(struct http_slice key)
{
    if (key.size != WEBSOCKET_KEY_SIZE || memcmp(key.text + 22, "==", 2) != 0)
        return false;
    for (uint32_t i = 0; i < 22; i++)
        if (memchr(base64_alphabet, key.text[i], sizeof base64_alphabet - 1) == NULL)
            return false;
    return true;
}

// Section 4.2.1.
enum websocket_handshake websocket_request_check(const struct http_parser *request,
                                                 char key[WEBSOCKET_KEY_SIZE])
{
    ensure(request->kind == HTTP_REQUEST && request->method.size > 0);
    struct http_slice value;
    if (!slice_equals(request->method, "GET", 3) || request->version_1_0)
        return WEBSOCKET_HANDSHAKE_STATUS;
    if (!http_field_has_token(request, "Upgrade", "websocket"))
        return WEBSOCKET_HANDSHAKE_UPGRADE;
    if (!http_field_has_token(request, "Connection", "Upgrade"))
        return WEBSOCKET_HANDSHAKE_CONNECTION;
    if (!http_field_find(request, "Sec-WebSocket-Version", &value) ||
        !slice_equals(value, "13", 2))
        return WEBSOCKET_HANDSHAKE_VERSION;
    if (!http_field_find(request, "Sec-WebSocket-Key", &value) || !key_is_valid(value))
        return WEBSOCKET_HANDSHAKE_KEY;
    memcpy(key, value.text, WEBSOCKET_KEY_SIZE);
    return WEBSOCKET_HANDSHAKE_OK;
}

uint32_t websocket_reply_format(const char key[WEBSOCKET_KEY_SIZE], char *target,
                                uint32_t target_size)
{
    char accept_line[] = "Sec-WebSocket-Accept: ............................";
    websocket_accept(key, accept_line + sizeof accept_line - 1 - WEBSOCKET_ACCEPT_SIZE);
    const char *const lines[] = {"Upgrade: websocket", "Connection: Upgrade", accept_line};
    struct http_response response = {.status = 101, .extra = lines, .extra_count = 3};
    ensure(accept_line[sizeof accept_line - 1] == '\0');
    return http_response_format(&response, target, target_size);
}

const char *websocket_handshake_text(enum websocket_handshake result)
{
    switch (result) {
    case WEBSOCKET_HANDSHAKE_OK:
        return "websocket: upgraded";
    case WEBSOCKET_HANDSHAKE_STATUS:
        return "websocket: the server answered without upgrading";
    case WEBSOCKET_HANDSHAKE_UPGRADE:
        return "websocket: 'Upgrade: websocket' is missing";
    case WEBSOCKET_HANDSHAKE_CONNECTION:
        return "websocket: 'Connection: Upgrade' is missing";
    case WEBSOCKET_HANDSHAKE_ACCEPT:
        return "websocket: Sec-WebSocket-Accept is missing or wrong";
    case WEBSOCKET_HANDSHAKE_EXTENSION:
        return "websocket: extension or subprotocol that was not offered";
    case WEBSOCKET_HANDSHAKE_VERSION:
        return "websocket: Sec-WebSocket-Version is not 13";
    case WEBSOCKET_HANDSHAKE_KEY:
        return "websocket: Sec-WebSocket-Key is missing or malformed";
    }
    ensure(!"a websocket_handshake");
    return "";
}
