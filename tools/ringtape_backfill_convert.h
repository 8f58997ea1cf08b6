// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_convert: one file of an archive → what the store does not have of it, handed
// over as a whole.
//
// Memory: 256 KiB of CSV, 8,192 rows, an open segment writer. Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_CONVERT_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_CONVERT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/ringtape_backfill_output.h"
#include "tools/ringtape_backfill_stored.h"

enum backfill_result {
    BACKFILL_DONE = 0,
    BACKFILL_REFUSED, // the file is not what it should be; `message`
    BACKFILL_FAILED,  // store or disk; told
    BACKFILL_STOPPED, // *stop
};

enum { BACKFILL_MESSAGE_BYTES = 512 };

struct backfill_job {
    struct backfill_hold *hold;
    struct backfill_key key;
    bool usdm;
    const char *path;   // of the zip
    const char *name;   // "BTCUSDT-trades-2026-08-01", as of the CSV inside
    const char *detail; // of the status rows
    int64_t from_ns, to_ns; // the period of the file
    const struct backfill_spans *theirs; // left to a running daemon
    struct backfill_spans *handed; // of this key, handed over by this run: is stored, and added to
    bool partly; // the period is not over, or not all of it is asked for: another run looks again
    const volatile sig_atomic_t *stop;
    void (*progress)(void *context, uint64_t taken); // bytes of the zip, now and then; or NULL
    void *context;
    // ---- results ----
    uint64_t rows_read, rows_stored, rows_known, rows_left;
    uint64_t gaps;  // within the file
    uint64_t bytes; // of segments
    char message[BACKFILL_MESSAGE_BYTES];
};

enum backfill_result backfill_convert(struct backfill_job *job);

// ---- for other sources: rows in the order of their positions ----

struct backfill_sieve;
struct backfill_sieve *backfill_sieve_open(struct backfill_job *job); // NULL: told
// Takes all rows. BACKFILL_DONE, FAILED or REFUSED.
enum backfill_result backfill_sieve_take(struct backfill_sieve *sieve, const struct rows *rows);
// Hands over what was taken (commit), or forgets it; and closes.
enum backfill_result backfill_sieve_close(struct backfill_sieve *sieve, bool commit);

#endif
