// SPDX-License-Identifier: GPL-3.0-or-later
//
// Log lines: exact text, what peers say, cut lines, levels by room, how many go out, a reader that
// does not read; and the table of messages in docs/operating.md, both ways.
#include "base/log.h"
#include "base/log_text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { LINES_BYTES = 1 << 20 };
static char lines[LINES_BYTES];
static struct log_limiter limiter;
static struct log log_of_test;
static int ends[2];

// What was written to the pipe since the last call.
static const char *written(void)
{
    ssize_t size = read(ends[0], lines, sizeof lines - 1);
    lines[size > 0 ? size : 0] = '\0';
    return lines;
}

static void start(struct log_limiter *with)
{
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    (void)unsetenv("JOURNAL_STREAM");
    log_init(&log_of_test, ends[1], LOG_LEVEL_INFO, with);
}

#define SAY(message, time, ...) log_write(&log_of_test, message, time, __VA_ARGS__)

Test(log, a_line_is_utf8_whatever_a_peer_sends)
{
    start(NULL);
    SAY(LOG_FEED_REMOVED, 0, "cause=\"%s\" cut=\"%.*s\"",
        "\xea\xb0\x80 \x9b"
        "2J \xc2\x9b"
        "2J \xc0\xaf \xed\xa0\x80 \xf0\x9f\x98\x80 \xff \xc2",
        4,
        "\xea\xb0\x80\xea\xb0\x80");
    cr_assert_str_eq(written(), "time=1970-01-01T00:00:00.000000Z level=info room=feed "
                                "msg=\"feed removed\" cause=\"\xea\xb0\x80 ?2J ??2J ?? ??? "
                                "\xf0\x9f\x98\x80 ? ?\" cut=\"\xea\xb0\x80?\"\n");
}

Test(log, lines_are_exact_and_cannot_be_forged)
{
    start(NULL);
    SAY(LOG_LINK_UP, 1767225599123456789, "link=%d name=\"%s\"", 3, "x y");
    cr_assert_str_eq(written(), "time=2025-12-31T23:59:59.123456Z level=info room=link "
                                "msg=\"link up\" link=3 name=\"x y\"\n");
    SAY(LOG_FEED_REMOVED, 0, "cause=\"%s\" exchange=%s", "a\n1970\x1b[0m\x7f \"b\" c\\",
        "x level=\"info");
    cr_assert_str_eq(written(), "time=1970-01-01T00:00:00.000000Z level=info room=feed "
                                "msg=\"feed removed\" cause=\"a?1970?[0m? \\\"b\\\" c\\\\\" "
                                "exchange=x?level??info\n");
    SAY(LOG_SEALER_LATE, 0, "%s", "x");
    cr_assert_str_eq(written(), "time=1970-01-01T00:00:00.000000Z level=warning room=control "
                                "msg=\"the sealer did not end in time\" x "
                                "remedy=\"nothing: its step is done again at the next start\"\n");
    SAY(LOG_LINK_STATE, 0, "a=1");
    log_of_test.journal = true;
    SAY(LOG_RUNS, 0, "a=1");
    cr_assert_str_eq(written(), "<6>room=control msg=\"ringtaped runs\" a=1\n");
}

__attribute__((format(printf, 1, 2))) static const char *pairs(const char *format, ...)
{
    static char out[256];
    va_list arguments;
    va_start(arguments, format);
    size_t size = log_text_pairs(out, 60, format, arguments);
    va_end(arguments);
    cr_assert(size <= 60);
    out[size] = '\0';
    return out;
}

Test(log, pairs_are_formatted_like_printf)
{
    cr_assert_str_eq(pairs("a=%d b=%u c=%lld d=%08llx e=%%", -5, 7u, -1ll, 0xabcdull),
                     "a=-5 b=7 c=-1 d=0000abcd e=%");
    cr_assert_str_eq(pairs("s=%.3s t=%.*s c=%c", "abcdef", 2, "xyz", 'q'), "s=abc t=xy c=q");
    cr_assert_str_eq(pairs("z=%zu l=%lu i=%li", (size_t)1 << 40, 2ul, -3l),
                     "z=1099511627776 l=2 i=-3");
    cr_assert_str_eq(pairs("u=%u x=%x", 4294967295u, 0xffffffffu), "u=4294967295 x=ffffffff");
}

Test(log, a_cut_falls_within_a_value)
{
    char much[200];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    cr_assert_eq(strlen(pairs("text=\"%s\" more=\"%s\"", much, "y")), 60);
    cr_assert_str_eq(pairs("text=\"%s\"", much) + 58, "x\"");
    much[52] = '"'; // the escaped quote does not fit: neither half of it is there
    much[51] = '\\';
    cr_assert_str_eq(pairs("text=\"%s\"", much) + 56, "x\\\\\"");
    much[51] = 'x';
    memcpy(much + 51, "\xe2\x82\xac", 3); // a euro sign in two halves
    cr_assert_str_eq(pairs("text=\"%s\"", much) + 56, "x\"");
}

Test(log, long_lines_keep_their_remedy)
{
    static char much[8000];
    start(NULL);
    memset(much, 'x', sizeof much - 1);
    SAY(LOG_LINK_DOWN, 0, "cause=\"%s\" state=%s", much, "live");
    const size_t size = strlen(written());
    cr_assert_eq(size, LOG_LINE_BYTES_MAX);
    cr_assert(strstr(lines, "x\" remedy=\"nothing if") != NULL, "%s", lines + size - 120);
    cr_assert_str_eq(lines + size - 2, "\"\n");
    log_of_test.file = -1;
    SAY(LOG_LINK_DOWN, 0, "a=1");
}

Test(log, levels_have_names_and_rooms_have_levels)
{
    struct log_levels levels = {.all = LOG_LEVEL_ERROR,
                                .room = {[LOG_ROOM_LINK] = LOG_LEVEL_DEBUG}};
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
        cr_assert_eq(log_level_by_name(log_level_name((enum log_level)level)), level);
    cr_assert_eq(log_level_by_name("loud"), -1);
    cr_assert_eq(log_level_by_name(""), -1);
    start(NULL);
    log_set_levels(&log_of_test, &levels);
    SAY(LOG_RUNS, 0, "a=1");
    SAY(LOG_SEALER_LATE, 0, "a=1");
    cr_assert_str_eq(written(), "");
    SAY(LOG_LINK_STATE, 0, "a=1");
    cr_assert(strstr(written(), "level=debug room=link") != NULL);
    SAY(LOG_ENDS_SHORT, 0, "a=1");
    cr_assert(strstr(written(), "level=error") != NULL);
}

static uint32_t count_of(const char *wanted)
{
    uint32_t count = 0;
    for (const char *at = lines; (at = strstr(at, wanted)) != NULL; at++) count++;
    return count;
}

Test(log, what_comes_too_often_is_counted_and_told)
{
    const int64_t second_ns = 1000000000;
    start(&limiter);
    for (int i = 0; i < LOG_BURST + 7; i++) SAY(LOG_LINK_DOWN, second_ns + i, "link=%d", i);
    SAY(LOG_LINK_UP, second_ns, "link=1"); // another message has a count of its own
    (void)written();
    cr_assert_eq(count_of("link down"), LOG_BURST);
    cr_assert_eq(count_of("link up"), 1);
    log_flush(&log_of_test, 60 * second_ns, false);
    cr_assert_str_eq(written(), ""); // the window is not over
    log_flush(&log_of_test, 61 * second_ns, false);
    cr_assert(strstr(written(), "msg=\"link down\" repeated=7 remedy=") != NULL, "%s", lines);
    log_flush(&log_of_test, 300 * second_ns, true);
    cr_assert_str_eq(written(), "");
    // Without a flush between, the next line of that message brings the count along.
    for (int i = 0; i < LOG_BURST + 3; i++) SAY(LOG_LINK_DOWN, 400 * second_ns, "link=%d", i);
    SAY(LOG_LINK_DOWN, 460 * second_ns, "link=99");
    (void)written();
    cr_assert(strstr(lines, "repeated=3 ") != NULL);
    cr_assert(strstr(lines, "repeated=3 ") < strstr(lines, "link=99"));
    // The clock steps back, the end comes: nothing stays untold.
    for (int i = 0; i < LOG_BURST + 2; i++) SAY(LOG_LINK_DOWN, second_ns, "link=%d", i);
    log_flush(&log_of_test, second_ns, true);
    (void)written();
    cr_assert(strstr(lines, "repeated=2 ") != NULL, "%s", lines);
    cr_assert_eq(count_of("link="), LOG_BURST);
}

// Until nothing more fits, nothing is waited for; then as many are told as were lost.
static void fill_and_drain(int writer, int reader)
{
    static const enum log_message many[] = {LOG_LINK_UP, LOG_FEED_ADDED, LOG_DATA_DELETED};
    static char much[1500];
    uint64_t sent = 0;
    memset(much, 'x', sizeof much - 1);
    log_init(&log_of_test, writer, LOG_LEVEL_INFO, &limiter);
    for (int64_t t = 0; limiter.lost < 5; t += LOG_WINDOW_NS) {
        for (int i = 0; i < LOG_BURST; i++, sent++) SAY(many[sent % 3], t, "text=%s", much);
    }
    const uint64_t lost = limiter.lost;
    uint64_t got = 0;
    cr_assert(lost >= 5 && sent > lost);
    for (ssize_t size; (size = read(reader, lines, sizeof lines - 1)) > 0;) {
        for (ssize_t i = 0; i < size; i++) got += lines[i] == '\n';
    }
    cr_assert_eq(got, sent - lost);
    log_flush(&log_of_test, INT64_MAX, true);
    ssize_t size = read(reader, lines, sizeof lines - 1);
    cr_assert_gt(size, 0);
    lines[size] = '\0';
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, " lines=%llu ", (unsigned long long)lost);
    cr_assert(strstr(lines, "log lines were lost") && strstr(lines, wanted), "%s", lines);
    cr_assert_eq(limiter.lost, 0);
}

static bool pipes_need_not_wait(void)
{
    struct utsname name;
    char *rest;
    cr_assert_eq(uname(&name), 0);
    const long major = strtol(name.release, &rest, 10);
    return major > 6 || (major == 6 && strtol(rest + 1, NULL, 10) >= 4);
}

Test(log, a_reader_that_does_not_read_is_not_waited_for)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0); // the reader alone
    fill_and_drain(pair[1], pair[0]);
    if (!pipes_need_not_wait()) {
        cr_log_warn("before Linux 6.4 a write to a pipe cannot be told not to wait: not tried");
        return;
    }
    cr_assert_eq(pipe(pair), 0);
    cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    fill_and_drain(pair[1], pair[0]);
}

// "| message | level, room | remedy |": each in the page, and as many rows as there are messages.
Test(log, the_page_has_every_message)
{
    static char page[1 << 17];
    FILE *file = fopen("docs/operating.md", "rb");
    cr_assert_not_null(file);
    size_t size = fread(page, 1, sizeof page - 1, file);
    (void)fclose(file);
    cr_assert_gt(size, 0);
    for (int i = 0; i < LOG_MESSAGE_COUNT; i++) {
        const enum log_message message = (enum log_message)i;
        const char *remedy = log_message_remedy(message);
        const bool told = log_message_level(message) >= LOG_LEVEL_INFO;
        char row[512];
        cr_assert_eq(told, remedy[0] == '\0', "%s", log_message_text(message));
        (void)snprintf(row, sizeof row, "\n| %s | %s, %s | %s |\n", log_message_text(message),
                       log_level_name(log_message_level(message)),
                       log_room_name(log_message_room(message)), told ? "-" : remedy);
        cr_assert(strstr(page, row) != NULL, "docs/operating.md lacks%s", row);
    }
    const char *table = strstr(page, "\n| message | level, room | what to do |\n|---|---|---|\n");
    cr_assert_not_null(table);
    int rows = -2;
    for (const char *at = table + 1; *at == '|'; at = strchr(at, '\n') + 1) rows++;
    cr_assert_eq(rows, LOG_MESSAGE_COUNT, "%d rows, %d messages", rows, (int)LOG_MESSAGE_COUNT);
}
