// SPDX-License-Identifier: GPL-3.0-or-later
//
// log: see log.h. Contract: a line is complete or absent, never interleaved with another one,
// valid logfmt behind its <N>, and at most LOG_LINE_BYTES_MAX bytes; one that is absent is counted
// in a later one. The lock is held for counting alone, never while writing.
#include "base/log.h"

#include "base/log_text.h"
#include "format/ensure.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *const log_names[] = {"", "error", "warning", "info", "debug"};
static const char log_priorities[] = {'0', '3', '4', '6', '7'}; // as sd-daemon(3) wants them
static const char *const log_rooms[LOG_ROOM_COUNT] = {
    [LOG_ROOM_CONTROL] = "control", [LOG_ROOM_FEED] = "feed",     [LOG_ROOM_LINK] = "link",
    [LOG_ROOM_REPAIR] = "repair",   [LOG_ROOM_STORE] = "store",   [LOG_ROOM_KAFKA] = "kafka",
    [LOG_ROOM_ALERTS] = "alerts",   [LOG_ROOM_REPORTS] = "reports",
};

static const struct {
    const char *text;
    const char *remedy;
    enum log_level level;
    enum log_room room;
} log_catalogue[LOG_MESSAGE_COUNT] = {
#define LOG_MESSAGE_ENTRY(name, its_room, its_level, its_text, its_remedy)                         \
    {its_text, its_remedy, LOG_LEVEL_##its_level, LOG_ROOM_##its_room},
    LOG_MESSAGES(LOG_MESSAGE_ENTRY)
#undef LOG_MESSAGE_ENTRY
};

// ---- names ----

const char *log_level_name(enum log_level level)
{
    ensure(level <= LOG_LEVEL_DEBUG);
    return log_names[level];
}

int log_level_by_name(const char *name)
{
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        if (strcmp(name, log_names[level]) == 0) return level;
    }
    return -1;
}

const char *log_room_name(enum log_room room)
{
    ensure(room < LOG_ROOM_COUNT);
    return log_rooms[room];
}

const char *log_message_text(enum log_message message)
{
    ensure(message < LOG_MESSAGE_COUNT);
    return log_catalogue[message].text;
}

const char *log_message_remedy(enum log_message message)
{
    ensure(message < LOG_MESSAGE_COUNT);
    return log_catalogue[message].remedy;
}

enum log_level log_message_level(enum log_message message)
{
    ensure(message < LOG_MESSAGE_COUNT);
    return log_catalogue[message].level;
}

enum log_room log_message_room(enum log_message message)
{
    ensure(message < LOG_MESSAGE_COUNT);
    return log_catalogue[message].room;
}

void log_time_format(int64_t utc_ns, char out[LOG_TIME_BYTES])
{
    ensure(utc_ns >= 0);
    time_t seconds = (time_t)(utc_ns / 1000000000);
    struct tm date;
    (void)gmtime_r(&seconds, &date);
    size_t size = strftime(out, LOG_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &date);
    int rest = snprintf(out + size, LOG_TIME_BYTES - size, ".%06uZ",
                        (unsigned)(utc_ns % 1000000000 / 1000));
    ensure(rest == 8);
}

// ---- where it goes ----

// JOURNAL_STREAM names the stream by device and inode (systemd.exec(5)): children inherit the
// variable, and a terminal or a file instead of the stream.
static bool log_is_journal(const struct stat *status)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[48];
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status->st_dev,
                   (uintmax_t)status->st_ino);
    return stream != NULL && strcmp(stream, own) == 0;
}

void log_init(struct log *log, int file, enum log_level level, struct log_limiter *limiter)
{
    struct stat status;
    ensure(level != LOG_LEVEL_NONE);
    *log = (struct log){.file = file, .levels = {.all = level}, .limiter = limiter};
    if (file >= 0 && fstat(file, &status) == 0) {
        log->journal = log_is_journal(&status);
        log->sink = S_ISSOCK(status.st_mode)   ? LOG_SINK_SOCKET
                    : S_ISFIFO(status.st_mode) ? LOG_SINK_PIPE
                                               : LOG_SINK_FILE;
    }
    if (limiter == NULL) return;
    memset(limiter, 0, sizeof *limiter);
    const int error = pthread_mutex_init(&limiter->lock, NULL);
    ensure(error == 0);
}

void log_set_levels(struct log *log, const struct log_levels *levels)
{
    ensure(levels->all != LOG_LEVEL_NONE);
    __atomic_store_n(&log->levels.all, levels->all, __ATOMIC_RELAXED);
    for (int room = 0; room < LOG_ROOM_COUNT; room++)
        __atomic_store_n(&log->levels.room[room], levels->room[room], __ATOMIC_RELAXED);
}

static bool log_wanted(const struct log *log, enum log_message message)
{
    const enum log_room room = log_message_room(message);
    enum log_level most = __atomic_load_n(&log->levels.room[room], __ATOMIC_RELAXED);
    if (most == LOG_LEVEL_NONE) most = __atomic_load_n(&log->levels.all, __ATOMIC_RELAXED);
    return log->file >= 0 && log_message_level(message) <= most;
}

// False: nobody took it. A recorder waits for no reader of its log; where the kernel cannot be told
// so (pipes before Linux 6.4) it does.
static bool log_put(const struct log *log, const char *line, size_t size)
{
    ssize_t written = -1;
    errno = EOPNOTSUPP;
    if (log->sink == LOG_SINK_SOCKET)
        written = send(log->file, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (log->sink == LOG_SINK_PIPE) {
        const struct iovec piece = {(void *)(uintptr_t)line, size};
        written = pwritev2(log->file, &piece, 1, -1, RWF_NOWAIT);
    }
    if (written < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
        written = write(log->file, line, size);
    return written == (ssize_t)size;
}

// ---- lines ----

static size_t log_cut(int wanted, size_t room)
{
    ensure(wanted >= 0);
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

static size_t log_prefix(const struct log *log, enum log_message message, int64_t utc_ns,
                         char *line)
{
    const enum log_level level = log_message_level(message);
    const char *room = log_room_name(log_message_room(message));
    const char *text = log_message_text(message);
    char time[LOG_TIME_BYTES];
    if (log->journal)
        return log_cut(snprintf(line, LOG_LINE_BYTES_MAX, "<%c>room=%s msg=\"%s\"",
                                log_priorities[level], room, text),
                       LOG_LINE_BYTES_MAX);
    log_time_format(utc_ns, time);
    return log_cut(snprintf(line, LOG_LINE_BYTES_MAX, "time=%s level=%s room=%s msg=\"%s\"", time,
                            log_level_name(level), room, text),
                   LOG_LINE_BYTES_MAX);
}

static void log_line(const struct log *log, enum log_message message, int64_t utc_ns,
                     const char *format, va_list arguments)
{
    static const char key[] = " remedy=\"";
    char line[LOG_LINE_BYTES_MAX];
    const char *remedy = log_message_remedy(message);
    const size_t tail = remedy[0] == '\0' ? 1 : strlen(key) + strlen(remedy) + 2;
    size_t size = log_prefix(log, message, utc_ns, line);
    ensure(size + tail < sizeof line);
    if (format[0] != '\0') {
        line[size++] = ' ';
        size += log_text_pairs(line + size, sizeof line - tail - size, format, arguments);
    }
    if (remedy[0] != '\0')
        size += log_cut(snprintf(line + size, sizeof line - size, "%s%s\"", key, remedy),
                        sizeof line - size);
    ensure(size < sizeof line);
    line[size++] = '\n';
    if (log_put(log, line, size) || log->limiter == NULL) return;
    (void)pthread_mutex_lock(&log->limiter->lock);
    log->limiter->lost++;
    (void)pthread_mutex_unlock(&log->limiter->lock);
}

__attribute__((format(printf, 4, 5))) static void log_now(const struct log *log,
                                                          enum log_message message, int64_t utc_ns,
                                                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(log, message, utc_ns, format, arguments);
    va_end(arguments);
}

// ---- how many ----

static bool window_over(int64_t start_ns, int64_t utc_ns)
{
    return utc_ns < start_ns || utc_ns - start_ns >= LOG_WINDOW_NS; // the clock may step back
}

// True: this line goes out.
static bool log_admits(struct log_limiter *limiter, enum log_message message, int64_t utc_ns)
{
    bool admitted = true;
    (void)pthread_mutex_lock(&limiter->lock);
    if (limiter->message[message].count == 0 ||
        (limiter->message[message].left_out == 0 &&
         window_over(limiter->message[message].start_ns, utc_ns))) {
        limiter->message[message].start_ns = utc_ns;
        limiter->message[message].count = 0;
    }
    if (limiter->message[message].count >= LOG_BURST) {
        limiter->message[message].left_out++;
        admitted = false;
    } else {
        limiter->message[message].count++;
    }
    (void)pthread_mutex_unlock(&limiter->lock);
    return admitted;
}

// Takes what was left out of a message whose window is over; 0: nothing.
static uint64_t log_take_repeated(struct log_limiter *limiter, enum log_message message,
                                  int64_t utc_ns, bool all)
{
    uint64_t repeated = 0;
    (void)pthread_mutex_lock(&limiter->lock);
    if (limiter->message[message].left_out > 0 &&
        (all || window_over(limiter->message[message].start_ns, utc_ns))) {
        repeated = limiter->message[message].left_out;
        limiter->message[message].left_out = 0;
        limiter->message[message].count = 0;
    }
    (void)pthread_mutex_unlock(&limiter->lock);
    return repeated;
}

// A line more tells of lines lost; lost itself, it is counted with them.
static void log_tell_lost(const struct log *log, int64_t utc_ns)
{
    (void)pthread_mutex_lock(&log->limiter->lock);
    const uint64_t lost = log->limiter->lost;
    log->limiter->lost = 0;
    (void)pthread_mutex_unlock(&log->limiter->lock);
    if (lost == 0) return;
    log_now(log, LOG_LINES_LOST, utc_ns, "lines=%" PRIu64, lost);
    (void)pthread_mutex_lock(&log->limiter->lock);
    if (log->limiter->lost > 0) log->limiter->lost += lost - 1; // it did not get through either
    (void)pthread_mutex_unlock(&log->limiter->lock);
}

void log_flush(const struct log *log, int64_t utc_ns, bool all)
{
    if (log->limiter == NULL || log->file < 0) return;
    log_tell_lost(log, utc_ns);
    for (int i = 0; i < LOG_MESSAGE_COUNT; i++) {
        const enum log_message message = (enum log_message)i;
        const uint64_t repeated = log_take_repeated(log->limiter, message, utc_ns, all);
        if (repeated > 0) log_now(log, message, utc_ns, "repeated=%" PRIu64, repeated);
    }
}

void log_write(const struct log *log, enum log_message message, int64_t utc_ns,
               const char *format, ...)
{
    va_list arguments;
    if (!log_wanted(log, message)) return;
    if (log->limiter != NULL) {
        const uint64_t repeated = log_take_repeated(log->limiter, message, utc_ns, false);
        if (repeated > 0) log_now(log, message, utc_ns, "repeated=%" PRIu64, repeated);
        if (!log_admits(log->limiter, message, utc_ns)) return;
        log_tell_lost(log, utc_ns);
    }
    va_start(arguments, format);
    log_line(log, message, utc_ns, format, arguments);
    va_end(arguments);
}
