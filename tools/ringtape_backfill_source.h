// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_source: where zips come from: a folder, or a host over HTTP. Each file is asked
// for in two steps, its checksum first: what was filled in before is not downloaded.
//
// Over HTTP up to BACKFILL_DOWNLOADS transfers run at once, ahead of what is being converted; they
// go on while backfill_source_pump() is called. A download that is cut off goes on where it ended
// (Range), in this run or the next; 429, 5xx and broken connections are tried again after growing
// pauses, as Retry-After says where it does. What arrives whole and has another SHA-256 is fetched
// once more, then refused.
//
// Threading: main thread. Errors are told on standard error.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_SOURCE_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_SOURCE_H

#include <signal.h>

#include "tools/ringtape_backfill_plan.h"
#include "tools/ringtape_files.h"

enum {
    BACKFILL_DOWNLOADS = 4,
    BACKFILL_AHEAD = 12, // files that wait to be converted
    BACKFILL_TRIES = 6,  // of a request, with pauses of 1, 2, 4 … s
};

struct backfill_source;
struct backfill_source_options {
    const char *place;     // a folder, or "https://…"
    const char *downloads; // a folder for what is fetched, made if missing
    const char *ca_file;   // or NULL
    struct backfill_plan *plan;
    const volatile sig_atomic_t *stop;
    // Was the file with this checksum filled in before?
    bool (*is_there)(void *context, const struct backfill_item *item);
    void (*waiting)(void *context); // called now and then; or NULL
    void *context;
    bool dry_run;          // zips are not fetched, only their sizes asked for
};
// What `options` points to must stay. NULL: told.
struct backfill_source *backfill_source_open(const struct backfill_source_options *options);
void backfill_source_close(struct backfill_source *source);

// Does what can be done now, without waiting.
void backfill_source_pump(struct backfill_source *source);
// Waits until item `at` is KNOWN, THERE, MISSING or REFUSED. 0, RINGTAPE_EXIT_IO, or 130: stopped.
int backfill_source_checksum(struct backfill_source *source, uint32_t at);
// Waits until item `at`, which is KNOWN, is READY or REFUSED; `path` gets where it lies.
int backfill_source_zip(struct backfill_source *source, uint32_t at,
                        char path[RINGTAPE_PATH_BYTES_MAX]);
// The item was converted: a download is deleted.
void backfill_source_done(struct backfill_source *source, uint32_t at);
// Item `at` was split: those behind it are `by` places further on.
void backfill_source_moved(struct backfill_source *source, uint32_t at, uint32_t by);
uint64_t backfill_source_requests(const struct backfill_source *source);
// Symbols that a folder has, for free(), each one too.
char **backfill_source_symbols(struct backfill_source *source, uint32_t *count);

__attribute__((format(printf, 2, 3))) void backfill_item_refuse(struct backfill_item *item,
                                                                const char *format, ...);

#endif
