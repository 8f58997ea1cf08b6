// SPDX-License-Identifier: GPL-3.0-or-later
//
// A round fails or not as a whole; a few failures one after the other end it, so that whoever
// started it sees them.
#include "tools/ringtape_follow.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"

enum {
    POLL_NS = 50000000,
    FAILURES_MAX = 5, // rounds one after the other that failed
    COMPACT_DAYS = 2, // today and yesterday may be compacted as they grow; older days whole
};
#define LATE_FILES 8 // of a day that is over: repairs
#define COMPACT_AGAIN_NS (600ll * 1000000000) // after one that failed, as for want of room

static volatile sig_atomic_t ending;

static void on_signal(int number)
{
    (void)number;
    ending = 1;
}

static bool must_end(void)
{
    return ending != 0;
}

static void listen(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    ensure(sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0);
}

// Sleeps until then, or until it must end.
static void sleep_until(int64_t end_ns)
{
    while (!must_end()) {
        const int64_t left_ns = end_ns - ringtape_monotonic_ns();
        if (left_ns <= 0) return;
        const int64_t part_ns = left_ns < POLL_NS ? left_ns : POLL_NS;
        const struct timespec pause = {.tv_nsec = part_ns};
        (void)nanosleep(&pause, NULL);
    }
}

// ---- a round ----

static int compact(struct ringtape_delta *delta, uint32_t files)
{
    const int32_t growing = catalogue_day_of(ringtape_now_ns()) - COMPACT_DAYS + 1;
    const struct ringtape_delta_scope fresh = {delta->changed, growing, INT32_MAX};
    const struct ringtape_delta_scope late = {delta->changed, delta->day_oldest, growing - 1};
    const int exit_code = ringtape_delta_compact(delta, files, false, &fresh, must_end);
    if (exit_code == RINGTAPE_EXIT_IO || must_end() || late.day_from > late.day_to)
        return exit_code;
    return ringtape_delta_compact(delta, files < LATE_FILES ? files : LATE_FILES, true, &late,
                                  must_end);
}

// `compact_after_ns`: not before; a compaction that fails ends no export.
static int round_once(struct ringtape_delta *delta, uint32_t compact_files,
                      int64_t *compact_after_ns)
{
    const int error = ringtape_delta_seal(delta->export->store, must_end);
    if (error != 0)
        return ringtape_fail("%s: %s", delta->export->query.store, ringtape_error_text(error));
    if (must_end()) return RINGTAPE_EXIT_OK;
    int exit_code = ringtape_delta_export(delta, must_end);
    delta->announced = true; // what stays as it is is told once
    if (exit_code == RINGTAPE_EXIT_OK && !must_end() &&
        ringtape_monotonic_ns() >= *compact_after_ns &&
        compact(delta, compact_files) == RINGTAPE_EXIT_IO)
        *compact_after_ns = ringtape_monotonic_ns() + COMPACT_AGAIN_NS;
    return exit_code == RINGTAPE_EXIT_FOUND ? RINGTAPE_EXIT_OK : exit_code;
}

int ringtape_follow(struct ringtape_delta *delta, int64_t every_ns, uint32_t compact_files)
{
    int exit_code = RINGTAPE_EXIT_OK;
    int failures = 0;
    int64_t compact_after_ns = 0;
    ensure(every_ns > 0 && compact_files > 0);
    listen();
    while (!must_end() && failures < FAILURES_MAX) {
        const int64_t start_ns = ringtape_monotonic_ns();
        exit_code = round_once(delta, compact_files, &compact_after_ns);
        failures = exit_code == RINGTAPE_EXIT_OK ? 0 : failures + 1;
        if (failures == FAILURES_MAX) break;
        sleep_until(start_ns + every_ns);
    }
    return exit_code;
}
