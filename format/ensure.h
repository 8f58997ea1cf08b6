// SPDX-License-Identifier: Apache-2.0
//
// ensure(): the assertion that stays on in release builds.
//
// A bug in the library ends the process at the line that noticed it, before wrong data can reach
// the store; recovery at the next start is the tested path anyway. Whatever the outside world can
// cause (network, disk, exchange, configuration) is never an ensure() but a returned error code.
#ifndef RINGTAPE_FORMAT_ENSURE_H
#define RINGTAPE_FORMAT_ENSURE_H

#include <stdio.h>
#include <stdlib.h>

// Prints the failed condition and aborts. Out of line of the caller's hot path: cold.
__attribute__((noreturn, cold, unused)) static void ensure_failed(const char *condition,
                                                                  const char *file, int line)
{
    (void)fprintf(stderr, "ringtape: bug: %s:%d: ensure(%s) failed\n", file, line, condition);
    abort();
}

#define ensure(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            ensure_failed(#condition, __FILE__, __LINE__);                                         \
    } while (0)

#endif
