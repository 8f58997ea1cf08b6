// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_hold: the store as a backfill holds it. The sealer alone writes the catalogue:
// that of a running daemon, else of `ringtaped --take-in STORE`, started here for a moment. Nothing
// but STORE/incoming is written to (src/keep/keep_incoming.h, docs/backfill.md).
//
// Threading: main thread. Errors are told on standard error.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_HOLD_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_HOLD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "format/store.h"
#include "tools/ringtape_files.h"

enum { BACKFILL_EXIT_STOPPED = 130 }; // by Ctrl-C

struct backfill_hold {
    struct store *store;
    char incoming[RINGTAPE_PATH_BYTES_MAX];
    int lock; // -1: not held
    uint32_t number_next, number_end; // given to us
    uint64_t life; // the recorder's when it was looked up what the store has
    const volatile sig_atomic_t *stop; // Ctrl-C; given before the opening, or NULL
    bool stale;    // it was started anew: what was handed over since then has to be made again
};

// Has `ringtaped` make a store in the folder `path`, where nothing is yet. 0 or RINGTAPE_EXIT_IO.
int backfill_hold_make(const char *path);
// Takes incoming/lock, has leftover handovers taken in, removes files that belong to none. 0 or
// RINGTAPE_EXIT_IO.
int backfill_hold_open(struct backfill_hold *hold, struct store *store);
// Waits until everything handed over is taken in. Numbers that were not used are gone; there are
// enough. Waits end soon after Ctrl-C, then with BACKFILL_EXIT_STOPPED instead of the error.
int backfill_hold_close(struct backfill_hold *hold);
// A number for a segment. 0 or RINGTAPE_EXIT_IO.
int backfill_hold_number(struct backfill_hold *hold, uint32_t *number);
// Has every handover taken in, then reads the catalogue again. 0 or RINGTAPE_EXIT_IO; also where
// one was refused. hold->stale tells that some were made for nothing.
int backfill_hold_settle(struct backfill_hold *hold);
// Reads the catalogue again. 0 or RINGTAPE_EXIT_IO.
int backfill_hold_refresh(struct backfill_hold *hold);
// Does a daemon run?
bool backfill_hold_daemon(const struct backfill_hold *hold);
// "STORE/incoming/NAME".
void backfill_hold_path(const struct backfill_hold *hold, const char *name,
                        char out[RINGTAPE_PATH_BYTES_MAX]);
// fsync of the folder. 0 or negative errno.
int backfill_hold_sync(const struct backfill_hold *hold);

#endif
