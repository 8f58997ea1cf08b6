// SPDX-License-Identifier: GPL-3.0-or-later
//
// log: see log.h. Contract: a line is complete or absent, never interleaved with another one,
// holds no control character but its final newline, and is at most LOG_LINE_BYTES_MAX bytes.
#include "base/log.h"

#include "format/ensure.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const log_names[] = {"error", "warning", "info", "debug"};
static const char log_priorities[] = {'3', '4', '6', '7'}; // syslog(3), as sd-daemon(3) wants them

void log_init(struct log *log, int file, enum log_level level)
{
    ensure(level <= LOG_LEVEL_DEBUG);
    log->file = file;
    log->level = level;
    log->journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(struct log *log, enum log_level level)
{
    ensure(level <= LOG_LEVEL_DEBUG);
    __atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
}

const char *log_level_name(enum log_level level)
{
    ensure(level <= LOG_LEVEL_DEBUG);
    return log_names[level];
}

int log_level_by_name(const char *name)
{
    for (int level = 0; level <= LOG_LEVEL_DEBUG; level++) {
        if (strcmp(name, log_names[level]) == 0) return level;
    }
    return -1;
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

static int log_prefix(const struct log *log, enum log_level level, int64_t utc_ns,
                      const char *message, char *line)
{
    if (log->journal)
        return snprintf(line, LOG_LINE_BYTES_MAX, "<%c>%s", log_priorities[level], message);
    char time[LOG_TIME_BYTES];
    log_time_format(utc_ns, time);
    return snprintf(line, LOG_LINE_BYTES_MAX, "%s %s %s", time, log_names[level], message);
}

// Bytes above 0x7f pass: symbols may be UTF-8.
static void log_clean(char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
    }
}

static size_t log_cut(int wanted, size_t room)
{
    ensure(wanted >= 0);
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

void log_write(const struct log *log, enum log_level level, int64_t utc_ns, const char *message,
               const char *format, ...)
{
    ensure(level <= LOG_LEVEL_DEBUG);
    if (level > __atomic_load_n(&log->level, __ATOMIC_RELAXED) || log->file < 0) return;
    char line[LOG_LINE_BYTES_MAX];
    size_t room = sizeof line - 1; // for the newline
    size_t size = log_cut(log_prefix(log, level, utc_ns, message, line), room);
    if (format[0] != '\0' && size + 2 < room) {
        line[size++] = ' ';
        va_list arguments;
        va_start(arguments, format);
        size += log_cut(vsnprintf(line + size, room - size, format, arguments), room - size);
        va_end(arguments);
    }
    log_clean(line, size);
    line[size++] = '\n';
    ensure(size <= sizeof line);
    // A closed or full standard error must not stop a recorder: the line is lost, nothing else.
    ssize_t written = write(log->file, line, size);
    (void)written;
}
