// SPDX-License-Identifier: GPL-3.0-or-later
//
// The opening handshake: SHA-1, key and accept of RFC 6455, and every reason to refuse.
#include "protocol/sha1.h"
#include "protocol/websocket.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

// The example of RFC 6455 section 1.3.
static const char key_example[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char accept_example[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static void digest_text(const char *text, char hex[2 * SHA1_SIZE + 1])
{
    uint8_t digest[SHA1_SIZE];
    sha1((const uint8_t *)text, strlen(text), digest);
    for (int i = 0; i < SHA1_SIZE; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

Test(websocket_handshake, sha1_of_the_standards_examples)
{
    char hex[2 * SHA1_SIZE + 1];
    digest_text("", hex);
    cr_assert_str_eq(hex, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    digest_text("abc", hex);
    cr_assert_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    digest_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", hex);
    cr_assert_str_eq(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

Test(websocket_handshake, key_and_accept_of_the_standards_example)
{
    char key[WEBSOCKET_KEY_SIZE];
    char accept[WEBSOCKET_ACCEPT_SIZE];
    websocket_key((const uint8_t *)"the sample nonce", key);
    cr_assert_arr_eq(key, key_example, sizeof key);
    websocket_accept(key_example, accept);
    cr_assert_arr_eq(accept, accept_example, sizeof accept);
}

static void parse_whole(struct http_parser *parser, enum http_kind kind, char *head,
                        uint32_t capacity, const char *wire, size_t size)
{
    http_parser_init(parser, kind, head, capacity);
    const char *at = wire;
    struct http_slice body;
    cr_assert_eq(http_parse(parser, &at, wire + size, &body), HTTP_HEAD, "%s", wire);
}

Test(websocket_handshake, both_sides_agree)
{
    char wire[1024];
    char head[1024];
    static const char *const extra[] = {"X-Note: a"};
    uint32_t size = websocket_request_format("127.0.0.1:8443", "/stream?streams=a@trade/b@depth",
                                             key_example, extra, 1, wire, sizeof wire);
    cr_assert_gt(size, 0);
    struct http_parser parser;
    parse_whole(&parser, HTTP_REQUEST, head, sizeof head, wire, size);
    struct http_slice value;
    cr_assert_not(http_field_find(&parser, "Origin", &value));
    cr_assert_not(http_field_find(&parser, "Sec-WebSocket-Extensions", &value));
    cr_assert(http_field_find(&parser, "X-Note", &value));
    char key[WEBSOCKET_KEY_SIZE];
    cr_assert_eq(websocket_request_check(&parser, key), WEBSOCKET_HANDSHAKE_OK);
    cr_assert_arr_eq(key, key_example, sizeof key);

    size = websocket_reply_format(key, wire, sizeof wire);
    cr_assert_gt(size, 0);
    parse_whole(&parser, HTTP_RESPONSE, head, sizeof head, wire, size);
    cr_assert(parser.upgraded);
    cr_assert_eq(websocket_reply_check(&parser, key_example), WEBSOCKET_HANDSHAKE_OK);
    cr_assert_eq(websocket_reply_check(&parser, "AAAAAAAAAAAAAAAAAAAAAA=="),
                 WEBSOCKET_HANDSHAKE_ACCEPT);
}

#define REPLY "HTTP/1.1 101 Switching Protocols\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

Test(websocket_handshake, replies_are_judged)
{
    static const struct {
        const char *wire;
        enum websocket_handshake result;
    } table[] = {
        {REPLY "upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n" ACCEPT "\r\n",
         WEBSOCKET_HANDSHAKE_OK},
        {REPLY "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions:\r\n" ACCEPT
               "\r\n",
         WEBSOCKET_HANDSHAKE_OK},
        {"HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
         WEBSOCKET_HANDSHAKE_STATUS},
        {"HTTP/1.1 403 Forbidden\r\n\r\n", WEBSOCKET_HANDSHAKE_STATUS},
        {REPLY "Connection: Upgrade\r\n" ACCEPT "\r\n", WEBSOCKET_HANDSHAKE_UPGRADE},
        {REPLY "Upgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
         WEBSOCKET_HANDSHAKE_UPGRADE},
        {REPLY "Upgrade: websocket\r\n" ACCEPT "\r\n", WEBSOCKET_HANDSHAKE_CONNECTION},
        {REPLY "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", WEBSOCKET_HANDSHAKE_ACCEPT},
        {REPLY "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
         WEBSOCKET_HANDSHAKE_ACCEPT},
        {REPLY "Upgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT
               "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         WEBSOCKET_HANDSHAKE_EXTENSION},
        {REPLY "Upgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT
               "Sec-WebSocket-Protocol: chat\r\n\r\n",
         WEBSOCKET_HANDSHAKE_EXTENSION},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char head[1024];
        struct http_parser parser;
        parse_whole(&parser, HTTP_RESPONSE, head, sizeof head, table[i].wire,
                    strlen(table[i].wire));
        enum websocket_handshake result = websocket_reply_check(&parser, key_example);
        cr_assert_eq(result, table[i].result, "%zu: %s", i, websocket_handshake_text(result));
    }
}

#define UPGRADE "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

Test(websocket_handshake, requests_are_judged)
{
    static const struct {
        const char *wire;
        enum websocket_handshake result;
    } table[] = {
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION KEY "\r\n", WEBSOCKET_HANDSHAKE_OK},
        {"POST / HTTP/1.1\r\n" UPGRADE VERSION KEY "\r\n", WEBSOCKET_HANDSHAKE_STATUS},
        {"GET / HTTP/1.0\r\n" UPGRADE VERSION KEY "\r\n", WEBSOCKET_HANDSHAKE_STATUS},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", WEBSOCKET_HANDSHAKE_UPGRADE},
        {"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", WEBSOCKET_HANDSHAKE_CONNECTION},
        {"GET / HTTP/1.1\r\n" UPGRADE KEY "\r\n", WEBSOCKET_HANDSHAKE_VERSION},
        {"GET / HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY "\r\n",
         WEBSOCKET_HANDSHAKE_VERSION},
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION "\r\n", WEBSOCKET_HANDSHAKE_KEY},
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: short==\r\n\r\n",
         WEBSOCKET_HANDSHAKE_KEY},
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n\r\n",
         WEBSOCKET_HANDSHAKE_KEY},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char head[1024];
        char key[WEBSOCKET_KEY_SIZE];
        struct http_parser parser;
        parse_whole(&parser, HTTP_REQUEST, head, sizeof head, table[i].wire,
                    strlen(table[i].wire));
        enum websocket_handshake result = websocket_request_check(&parser, key);
        cr_assert_eq(result, table[i].result, "%zu: %s", i, websocket_handshake_text(result));
    }
}

Test(websocket_handshake, what_does_not_fit_or_is_not_clean_is_refused)
{
    char wire[512];
    uint32_t size = websocket_request_format("h", "/", key_example, NULL, 0, wire, sizeof wire);
    cr_assert_gt(size, 0);
    cr_assert_eq(websocket_request_format("h", "/", key_example, NULL, 0, wire, size - 1), 0);
    cr_assert_eq(websocket_request_format("h\r\nX: y", "/", key_example, NULL, 0, wire, 512), 0);
    cr_assert_eq(websocket_reply_format(key_example, wire, 64), 0);
}
