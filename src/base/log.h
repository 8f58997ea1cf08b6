// SPDX-License-Identifier: GPL-3.0-or-later
//
// log: one line per happening for the person who operates the daemon.
//
//     2026-01-31T23:59:59.123456Z warning link down link=3 exchange=binance cause="..."
//
// The time is given by the caller (a loop's clock), so that simulated runs log simulated time.
// Under systemd (JOURNAL_STREAM is set) the time is left to the journal and the level becomes its
// <N> prefix. Control characters are replaced, so a peer's words cannot forge lines.
//
// Bounds: a line is cut at LOG_LINE_BYTES_MAX. Threading: any thread may log or set
// the level; every line is one write(2), so lines of several threads do not mix.
#ifndef RINGTAPE_BASE_LOG_H
#define RINGTAPE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_LINE_BYTES_MAX = 2048,
    LOG_TIME_BYTES = 28, // "2026-01-31T23:59:59.123456Z" and the terminating zero
};

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
    int file;             // descriptor; -1: nothing is written
    enum log_level level; // lines above it are dropped
    bool journal;
};

// Lines go to `file`; `journal` by the environment variable JOURNAL_STREAM.
void log_init(struct log *log, int file, enum log_level level);

void log_set_level(struct log *log, enum log_level level);

// "message key=value key="two words"": `format` gives the pairs.
__attribute__((format(printf, 5, 6))) void log_write(const struct log *log, enum log_level level,
                                                     int64_t utc_ns, const char *message,
                                                     const char *format, ...);

// RFC 3339 with microseconds. Years 1970 ... 2262, all that int64 nanoseconds reach.
void log_time_format(int64_t utc_ns, char out[LOG_TIME_BYTES]);

// Name of a level and back; -1 if there is none of that name.
const char *log_level_name(enum log_level level);
int log_level_by_name(const char *name);

#endif
