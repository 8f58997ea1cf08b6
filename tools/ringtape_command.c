// SPDX-License-Identifier: GPL-3.0-or-later
//
// Errors go to standard error as one line each; standard output carries results only.
#include "tools/ringtape_command.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int ringtape_fail(const char *format, ...)
{
    va_list arguments;
    (void)fflush(stdout);
    (void)fputs("ringtape: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return RINGTAPE_EXIT_IO;
}

const char *ringtape_error_text(int error)
{
    ensure(error < 0);
    switch (-error) {
    case EBADMSG: return "it is damaged";
    case EPROTONOSUPPORT: return "it was written by a newer version of ringtape";
    default: return strerror(-error);
    }
}

int ringtape_finish_output(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return exit_code;
    if (errno == EPIPE) return exit_code;
    return ringtape_fail("standard output: %s", strerror(errno));
}

static int64_t ringtape_clock_ns(clockid_t clock)
{
    struct timespec time;
    const int failed = clock_gettime(clock, &time);
    ensure(failed == 0);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t ringtape_now_ns(void)
{
    return ringtape_clock_ns(CLOCK_REALTIME);
}

int64_t ringtape_monotonic_ns(void)
{
    return ringtape_clock_ns(CLOCK_MONOTONIC);
}
