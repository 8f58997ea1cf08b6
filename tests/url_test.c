// SPDX-License-Identifier: GPL-3.0-or-later
//
// URLs: every part, and what is wrong with it.
#include "base/url.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *text;
    bool websocket;
    const char *wrong; // part of the message; NULL: good
    bool tls;
    const char *host;
    uint16_t port;
    const char *path;
    const char *authority;
} urls[] = {
    {"wss://stream.binance.com:9443", true, NULL, true, "stream.binance.com", 9443, "",
     "stream.binance.com:9443"},
    {"wss://api.upbit.com/websocket/v1", true, NULL, true, "api.upbit.com", 443, "/websocket/v1",
     "api.upbit.com"},
    {"ws://127.0.0.1:80/", true, NULL, false, "127.0.0.1", 80, "", "127.0.0.1"},
    {"ws://[::1]", true, NULL, false, "::1", 80, "", "[::1]"},
    {"wss://[fe80::1]:8443//", true, NULL, true, "fe80::1", 8443, "", "[fe80::1]:8443"},
    {"https://h/a/b/", false, NULL, true, "h", 443, "/a/b", "h"},
    {"http://h", true, "wss:// or ws://", 0, 0, 0, 0, 0},
    {"wss://h", false, "https:// or http://", 0, 0, 0, 0, 0},
    {"h", true, "wss:// or ws://", 0, 0, 0, 0, 0},
    {"wss://", true, "host name", 0, 0, 0, 0, 0},
    {"wss://:80", true, "host name", 0, 0, 0, 0, 0},
    {"wss://h:", true, "port from 1", 0, 0, 0, 0, 0},
    {"wss://h:0", true, "port from 1", 0, 0, 0, 0, 0},
    {"wss://h:65536", true, "port from 1", 0, 0, 0, 0, 0},
    {"wss://h:1x", true, "port from 1", 0, 0, 0, 0, 0},
    {"wss://h:+1", true, "port from 1", 0, 0, 0, 0, 0},
    {"wss://[::1", true, "']'", 0, 0, 0, 0, 0},
    {"wss://[::1]x", true, "':'", 0, 0, 0, 0, 0},
    {"wss://u@h", true, "'@'", 0, 0, 0, 0, 0},
    {"wss://h /x", true, "spaces", 0, 0, 0, 0, 0},
    {"wss://h/x?y", true, "'?'", 0, 0, 0, 0, 0},
    {"wss://h\r\nX: y", true, "spaces", 0, 0, 0, 0, 0},
};

Test(url, parts_and_mistakes)
{
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct url url;
        const char *wrong = url_parse(urls[i].text, urls[i].websocket, &url);
        if (urls[i].wrong != NULL) {
            cr_assert(wrong != NULL && strstr(wrong, urls[i].wrong) != NULL, "%s: %s",
                      urls[i].text, wrong == NULL ? "accepted" : wrong);
            continue;
        }
        cr_assert_null(wrong, "%s: %s", urls[i].text, wrong);
        cr_assert_eq(url.tls, urls[i].tls);
        cr_assert_eq(url.port, urls[i].port);
        cr_assert_str_eq(url.host, urls[i].host);
        cr_assert_str_eq(url.path, urls[i].path);
        cr_assert_str_eq(url.authority, urls[i].authority);
    }
}

Test(url, overlong_parts_are_refused)
{
    char text[600];
    struct url url;
    memset(text, 'h', sizeof text);
    memcpy(text, "wss://", 6);
    text[6 + URL_HOST_BYTES_MAX] = '\0';
    cr_assert_null(url_parse(text, true, &url));
    text[6 + URL_HOST_BYTES_MAX] = 'h';
    text[7 + URL_HOST_BYTES_MAX] = '\0';
    cr_assert_not_null(url_parse(text, true, &url));
    memset(text + 6, 'p', sizeof text - 6);
    text[7] = '/';
    text[7 + URL_PATH_BYTES_MAX] = '\0';
    cr_assert_null(url_parse(text, true, &url));
    text[7 + URL_PATH_BYTES_MAX] = 'p';
    text[8 + URL_PATH_BYTES_MAX] = '\0';
    cr_assert_not_null(url_parse(text, true, &url));
}
