// SPDX-License-Identifier: GPL-3.0-or-later
//
// log: one line per happening for the person who operates the daemon, in logfmt:
//
//     time=2026-01-31T23:59:59.123456Z level=warning room=link msg="link down" link=3 remedy="..."
//
// What can be said stands in log_messages.h: room, level, text and remedy of each message; a call
// adds the pairs. The time is given by the caller (a loop's clock), so that simulated runs log
// simulated time. Under systemd (JOURNAL_STREAM is it) time and level are left to the journal: the
// line begins with its <N> prefix.
//
// A line is valid whatever a peer said: in quoted values '"' and '\' are escaped, elsewhere blanks,
// quotes and '=' become '?', as control characters and bytes that are not UTF-8 do everywhere. What
// does not fit is cut within its value, so that quotes close and the remedy stands.
//
// Of each message at most LOG_BURST lines go out in LOG_WINDOW_NS; those left out are told by one
// line with repeated=N when the window is over. A reader that does not read (a full pipe or socket)
// is not waited for: the lines it missed are counted and told by the next one that gets through.
//
// Bounds: a line is cut at LOG_LINE_BYTES_MAX. Threading: any thread may log, set levels or flush;
// every line is one system call, so lines of several threads do not mix. Not for the hot path.
#ifndef RINGTAPE_BASE_LOG_H
#define RINGTAPE_BASE_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_messages.h"

enum {
    LOG_LINE_BYTES_MAX = 2048, // below PIPE_BUF: whole or not at all
    LOG_TIME_BYTES = 28, // "2026-01-31T23:59:59.123456Z" and the terminating zero
    LOG_BURST = 20,
};
static const int64_t LOG_WINDOW_NS = 60ll * 1000000000;

// NONE: not given.
enum log_level {
    LOG_LEVEL_NONE,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

enum log_room {
    LOG_ROOM_CONTROL, // the daemon's life, configuration, signals
    LOG_ROOM_FEED,    // what is recorded
    LOG_ROOM_LINK,    // connections, clocks
    LOG_ROOM_REPAIR,  // coverage, holes, REST
    LOG_ROOM_STORE,   // tapes, segments, disk, days
    LOG_ROOM_KAFKA,
    LOG_ROOM_ALERTS,  // their delivery
    LOG_ROOM_REPORTS,
    LOG_ROOM_COUNT,
};

struct log_levels {
    enum log_level all;
    enum log_level room[LOG_ROOM_COUNT]; // NONE: as `all`
};

// How often each message was written lately; memory of the log's owner, zero at first.
struct log_limiter {
    pthread_mutex_t lock;
    struct {
        int64_t start_ns;
        uint32_t count;
        uint64_t left_out;
    } message[LOG_MESSAGE_COUNT];
    uint64_t lost; // lines that could not be written since the last one that could
};

enum log_sink { LOG_SINK_FILE, LOG_SINK_PIPE, LOG_SINK_SOCKET };

struct log {
    int file; // descriptor; -1: nothing is written
    enum log_sink sink;
    bool journal;
    struct log_levels levels;
    struct log_limiter *limiter; // NULL: every line goes out
};

// Lines go to `file`; `journal` if JOURNAL_STREAM names it. `limiter` may be NULL.
void log_init(struct log *log, int file, enum log_level level, struct log_limiter *limiter);

void log_set_levels(struct log *log, const struct log_levels *levels);

// `format` gives the pairs: "link=%u cause=\"%s\"".
__attribute__((format(printf, 4, 5))) void log_write(const struct log *log,
                                                     enum log_message message, int64_t utc_ns,
                                                     const char *format, ...);
// Tells what was left out in windows that are over; with `all` in those that are not, too.
void log_flush(const struct log *log, int64_t utc_ns, bool all);

// RFC 3339 with microseconds. Years 1970 ... 2262, all that int64 nanoseconds reach.
void log_time_format(int64_t utc_ns, char out[LOG_TIME_BYTES]);

// Name of a level and back; -1 if there is none of that name.
const char *log_level_name(enum log_level level);
int log_level_by_name(const char *name);
const char *log_room_name(enum log_room room);

const char *log_message_text(enum log_message message);
const char *log_message_remedy(enum log_message message);
enum log_level log_message_level(enum log_message message);
enum log_room log_message_room(enum log_message message);

#endif
