// SPDX-License-Identifier: GPL-3.0-or-later
//
// The daemon's sealer on a loop of its own, run until it has nothing left to do.
#include "control/seal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/limits.h"
#include "base/log.h"
#include "control/control_export.h"
#include "format/ensure.h"
#include "keep/sealer.h"
#include "publish/mirror_guard.h"

enum { SEAL_FAILURES_MAX = 3 }; // attempts at one thing, a second apart

static void sealer_stopped(void *context)
{
    *(bool *)context = true;
}

static void report(const struct sealer_counters *counters)
{
    (void)printf("sealed %" PRIu64 " tapes, %" PRIu64 " rows; %" PRIu64 " merges; %" PRIu64
                 " segments written\n",
                 counters->tapes, counters->rows, counters->merges, counters->segments);
    if (counters->tapes_damaged > 0)
        (void)fprintf(stderr, "ringtaped: %" PRIu64 " damaged tapes are in quarantine/\n",
                      counters->tapes_damaged);
    if (counters->tapes_kept > 0)
        (void)printf("%" PRIu32 " sealed tapes stay until they are mirrored; their segments are "
                     "not merged\n",
                     counters->tapes_kept);
}

static bool run_until_idle(struct io *io, struct sealer *sealer)
{
    for (;;) {
        struct sealer_counters counters = sealer_counters(sealer);
        if (counters.idle)
            return true;
        if (counters.failures >= SEAL_FAILURES_MAX)
            return false;
        io_run(io, LIMIT_SECOND_NS);
    }
}

static int seal_open_store(struct io *io, struct keep_store *store, bool merge)
{
    struct sealer *sealer;
    if (sealer_open(&sealer, io, store) < 0) {
        (void)fputs("ringtaped: not enough memory\n", stderr);
        return EX_OSERR;
    }
    if (merge)
        sealer_merge_all(sealer);
    else
        sealer_merge_nothing(sealer);
    bool good = run_until_idle(io, sealer);
    bool stopped = false;
    sealer_stop(sealer, sealer_stopped, &stopped);
    while (!stopped)
        io_run(io, LIMIT_SECOND_NS);
    struct sealer_counters counters = sealer_counters(sealer);
    sealer_close(sealer);
    if (merge)
        report(&counters);
    return good && counters.tapes_damaged == 0 ? 0 : EX_IOERR;
}

// As the running daemon: what mirror and exports still need stays as it is.
static int seal_guarded(struct io *io, struct keep_store *store, bool merge)
{
    struct mirror_guard *guard;
    struct control_export export = {0};
    struct io_message message = {{0}};
    int error = mirror_guard_open(&guard, io, store, &message);
    if (error < 0) {
        (void)fprintf(stderr, "ringtaped: %s\n",
                      message.text[0] != '\0' ? message.text : strerror(-error));
        return EX_CANTCREAT;
    }
    if (guard != NULL) {
        const struct retention_guard retention = mirror_guard_retention(guard);
        keep_store_add_guard(store, &retention);
    }
    control_export_open(&export, store, keep_store_log(store), io_utc_ns(io));
    int code = seal_open_store(io, store, merge);
    mirror_guard_close(guard);
    return code;
}

static int seal(const char *path, bool merge)
{
    ensure(path);
    struct io *io;
    struct io_message message = {{0}};
    struct io_options options = {.name = "seal"};
    if (io_open_loop(&io, &options, &message) < 0) {
        (void)fprintf(stderr, "ringtaped: %s\n", message.text);
        return EX_UNAVAILABLE;
    }
    struct log log;
    log_init(&log, 2, LOG_LEVEL_WARNING, NULL);
    struct keep_store *store;
    int code = EX_CANTCREAT;
    if (io_file_size(io, path) < 0)
        (void)fprintf(stderr, "ringtaped: %s: no store there\n", path);
    else if (keep_store_open(&store, io, path, &message) < 0)
        (void)fprintf(stderr, "ringtaped: %s\n", message.text);
    else {
        keep_store_set_log(store, &log);
        code = seal_guarded(io, store, merge);
        keep_store_close(store);
    }
    io_close_loop(io);
    return code;
}

int seal_store(const char *path)
{
    return seal(path, true);
}

int seal_take_in(const char *path)
{
    return seal(path, false);
}
