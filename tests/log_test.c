// SPDX-License-Identifier: GPL-3.0-or-later
//
// Log lines and URLs: exact text, forged lines, cut lines, levels; every part of a URL and what is
// wrong with it.
#include "base/log.h"
#include "base/url.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char line[4096];

// What log_write() wrote to a pipe.
static const char *written(int pipe_end)
{
    ssize_t size = read(pipe_end, line, sizeof line - 1);
    line[size > 0 ? size : 0] = '\0';
    return line;
}

Test(log, lines_are_exact_and_cannot_be_forged)
{
    int ends[2];
    struct log log;
    cr_assert_eq(pipe(ends), 0);
    (void)unsetenv("JOURNAL_STREAM");
    log_init(&log, ends[1], LOG_LEVEL_INFO);
    log_write(&log, LOG_LEVEL_INFO, 1767225599123456789, "link up", "link=%d name=\"%s\"", 3,
              "x y");
    cr_assert_str_eq(written(ends[0]),
                     "2025-12-31T23:59:59.123456Z info link up link=3 name=\"x y\"\n");
    log_write(&log, LOG_LEVEL_ERROR, 0, "evil", "cause=\"%s\"", "a\n1970 info forged\x1b[0m\x7f");
    cr_assert_str_eq(written(ends[0]), "1970-01-01T00:00:00.000000Z error evil cause=\"a?1970 info "
                                       "forged?[0m?\"\n");
    log_write(&log, LOG_LEVEL_WARNING, 0, "bare", "%s", "x");
    cr_assert_str_eq(written(ends[0]), "1970-01-01T00:00:00.000000Z warning bare x\n");
    log_write(&log, LOG_LEVEL_DEBUG, 0, "not wanted", "a=1");
    log.journal = true;
    log_write(&log, LOG_LEVEL_WARNING, 0, "journal", "a=1");
    cr_assert_str_eq(written(ends[0]), "<4>journal a=1\n");
}

Test(log, long_lines_are_cut_whole)
{
    static char much[8000];
    int ends[2];
    struct log log;
    cr_assert_eq(pipe(ends), 0);
    log_init(&log, ends[1], LOG_LEVEL_INFO);
    memset(much, 'x', sizeof much - 1);
    log_write(&log, LOG_LEVEL_INFO, 0, "much", "text=%s", much);
    cr_assert(strlen(written(ends[0])) <= LOG_LINE_BYTES_MAX);
    cr_assert_eq(line[strlen(line) - 1], '\n');
    log_write(&log, LOG_LEVEL_INFO, 0, much, "text=%s", much);
    cr_assert(strlen(written(ends[0])) <= LOG_LINE_BYTES_MAX);
    log.file = -1;
    log_write(&log, LOG_LEVEL_INFO, 0, "nowhere", "a=1");
}

Test(log, levels_have_names)
{
    for (int level = 0; level <= LOG_LEVEL_DEBUG; level++)
        cr_assert_eq(log_level_by_name(log_level_name((enum log_level)level)), level);
    cr_assert_eq(log_level_by_name("loud"), -1);
}

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
