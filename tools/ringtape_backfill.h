// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill: one run of `ringtape backfill`, as its files share it: the command line and
// the checks before anything is done (ringtape_backfill.c), files of archives
// (ringtape_backfill_files.c), what is printed (ringtape_backfill_show.c).
//
// Threading: main thread; the handler of SIGINT and SIGTERM sets `stop`.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_H

#include "tools/ringtape_backfill_convert.h"
#include "tools/ringtape_backfill_plan.h"
#include "tools/ringtape_backfill_rest.h"
#include "tools/ringtape_backfill_source.h"
#include "tools/ringtape_options.h"
#include "tools/ringtape_progress.h"

enum { BACKFILL_LABEL_BYTES = 128 };

struct backfill {
    // ---- asked for ----
    const char *store_path;
    const char *exchange; // "binance"
    const char *source;   // "bulk", "rest", a folder
    const char *base_url;
    const char *list_url; // the host that lists symbols
    const char *ca_file;
    const char *interval;
    struct ringtape_option_list symbols;
    enum channel channel;
    bool usdm, upbit;
    int32_t day_from, day_to;
    int64_t to_ns; // as given: by REST a day may end before it is over
    bool dry_run, json;
    // ---- the run ----
    struct store *store;
    struct backfill_hold hold;
    struct backfill_known known;
    struct backfill_plan plan;
    struct backfill_source *from; // of archives, or NULL
    uint64_t requests;
    char **there_symbols; // that a folder has, or the exchange lists, where all were asked for
    uint32_t there_symbol_count;
    struct backfill_spans theirs, handed; // of the key at work
    char symbol[BACKFILL_SYMBOL_BYTES_MAX + 1]; // of that key; "": none yet
    uint32_t at; // item at work
    bool daemon;
    int64_t start_ns; // monotonic
    uint64_t rows_read;
    struct ringtape_progress progress;
    char label[BACKFILL_LABEL_BYTES];
    volatile sig_atomic_t *stop;
};

enum backfill_venue backfill_venue_of(const struct backfill *run);
// Which files. An exit code.
int backfill_make_plan(struct backfill *run);
// All items of the plan, one after the other. An exit code.
int backfill_files(struct backfill *run);
// One after the other by REST, a day an item.
int backfill_days(struct backfill *run);
// For both: the plan gone through by `items`, again where a recorder was started meanwhile.
int backfill_passes(struct backfill *run, int (*items)(struct backfill *run));
// The key of an item becomes the one at work: run->symbol, theirs, handed.
int backfill_begin_key(struct backfill *run, const struct backfill_item *item);
struct backfill_key backfill_key_of(const struct backfill *run, const char *symbol);
void backfill_full_symbol(const struct backfill *run, const struct backfill_item *item,
                          char out[BACKFILL_SYMBOL_BYTES_MAX + 1]);
// What came of it. An exit code.
int backfill_take_result(struct backfill *run, struct backfill_item *item,
                         const struct backfill_job *job, enum backfill_result result);
// Keeps the bar alive: `taken` bytes of the item at work.
void backfill_show_progress(struct backfill *run, uint64_t taken);
// What was, or (dry run) would be done. An exit code, at least `exit_code`.
int backfill_show(struct backfill *run, int exit_code);

#endif
