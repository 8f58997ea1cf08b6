// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_delta: rows of a store → Delta tables, DIR/<channel>, each row once.
//
//     a day of a channel → plan (ringtape_delta_plan.h) → files (ringtape_export_day.h), taken
//     into the table's folder (ringtape_delta_sink.c) → one commit with adds, removes and the txns
//     that say what the table has now (ringtape_delta_commit.c)
//
// A crash anywhere leaves the table as it was, or as it is after the commit; files nobody refers to
// are for `ringtape vacuum`.
//
// Ownership: the export is the caller's. Threading: main thread. Memory: that of an export, and the
// logs of one table.
#ifndef RINGTAPE_TOOLS_RINGTAPE_DELTA_H
#define RINGTAPE_TOOLS_RINGTAPE_DELTA_H

#include <stdbool.h>
#include <stdint.h>

#include "format/delta.h"
#include "tools/ringtape_delta_plan.h"
#include "tools/ringtape_export_day.h"

enum {
    RINGTAPE_DELTA_FILES_MAX = 4096,    // of one commit
    RINGTAPE_DELTA_EXCHANGE_BYTES = 256,
    RINGTAPE_DELTA_COMPACT_FILES = 32,  // of a partition: more are compacted by --follow
    RINGTAPE_DELTA_ENGINE_BYTES = 64,
    RINGTAPE_DELTA_UNCOMPACTABLE_MAX = 64,
    RINGTAPE_DELTA_TARGET_BYTES = 256 << 20, // of a file
};
#define RINGTAPE_DELTA_KEEP_MS (7ll * 86400 * 1000) // history of a table, in its log

struct ringtape_delta_taken { // a file in its place, not committed yet
    char *path; // below the table
    char *stats;
    char exchange[RINGTAPE_DELTA_EXCHANGE_BYTES];
    int64_t bytes;
    int64_t rows;
};

struct ringtape_delta {
    struct ringtape_export *export; // query: channels alone
    struct ringtape_export_sink sink;
    struct ringtape_json json;
    bool lines; // JSON: an object a commit, at once
    bool announced; // tapes and days that wait were told
    bool again;     // the day `again_day` is written again, whatever the table has
    int32_t again_day;
    int64_t done[CHANNEL_COUNT]; // up to which frontier a channel is exported as a whole
    // Days whose table and store disagree: told once. The newest ones; of one more the oldest is
    // forgotten, and told again.
    struct ringtape_delta_uncompactable {
        enum channel channel;
        int32_t day;
    } uncompactable[RINGTAPE_DELTA_UNCOMPACTABLE_MAX];
    uint32_t uncompactable_count; // ever
    // ---- of the last ringtape_delta_export() ----
    int64_t frontier;   // when it began
    uint32_t behind;    // bit c: not all of the channel could be exported
    uint32_t changed;   // bit c: something was committed
    int32_t day_oldest; // of these commits
    // ---- of the table in hand ----
    enum channel channel;
    struct delta *table;
    char path[RINGTAPE_PUBLISH_PATH_BYTES];
    // ---- of the day in hand ----
    int32_t day;
    char date[11];
    struct ringtape_delta_plan plan;
    const char *only; // exchange; NULL: all
    struct delta_text schema; // of the files taken
    uint32_t columns_added;
    struct ringtape_delta_taken taken[RINGTAPE_DELTA_FILES_MAX];
    uint32_t taken_count;
    // ---- counted ----
    uint64_t commits, rows, bytes, files, removed, compactions;
    uint64_t waiting; // days
    uint64_t lost;    // days whose rows can no longer be told apart
    int64_t commit_ns_max;
};

// Locks the folder of the tables. 0 or an exit code; the reason has been told.
int ringtape_delta_open(struct ringtape_delta *delta, struct ringtape_export *export);
void ringtape_delta_close(struct ringtape_delta *delta);
// Brings all tables up to what is sealed as of the last store_refresh(), oldest day first, and
// tells the store's daemon. `stop` (may be NULL) is asked between days. 0 or an exit code.
int ringtape_delta_export(struct ringtape_delta *delta, bool (*stop)(void));
// Partitions with more than `files_max` files become few, sorted ones: `whole`: the whole
// partition; else as far as it pays. Of these channels and days alone.
struct ringtape_delta_scope {
    uint32_t channels; // bit c
    int32_t day_from;
    int32_t day_to;
};
int ringtape_delta_compact(struct ringtape_delta *delta, uint32_t files_max, bool whole,
                           const struct ringtape_delta_scope *scope, bool (*stop)(void));
// What was done, as a line or the end of a JSON object; the exit code, given that of the run.
int ringtape_delta_sum(struct ringtape_delta *delta, int exit_code);

// Asks the store's daemon, if there is one that can be asked, to seal, waits for it at most half a
// minute, and refreshes the store. What is not sealed by then comes with a later export. 0 or
// negative errno.
int ringtape_delta_seal(struct store *store, bool (*stop)(void));

// ---- ringtape_delta_sink.c ----

void ringtape_delta_sink_init(struct ringtape_delta *delta);
// Removes files taken and not committed.
void ringtape_delta_discard(struct ringtape_delta *delta);
// They are committed.
void ringtape_delta_settle(struct ringtape_delta *delta);

// ---- ringtape_delta_commit.c ----

// The table of a channel, if it is one of ours or none at all. 0 or an exit code, told.
int ringtape_delta_open_table(struct ringtape_delta *delta, enum channel channel);
// What the table knows of a day.
void ringtape_delta_known(const struct ringtape_delta *delta, int32_t day, int64_t *tape,
                          int64_t *messages);
// 0; -ECANCELED: somebody else came first; others: told.
int ringtape_delta_commit_day(struct ringtape_delta *delta);

// ---- ringtape_delta_state.c ----

// STORE/export/…: tells the daemon how far the tables are (format/export_state.h).
void ringtape_delta_tell_daemon(struct ringtape_delta *delta);

#endif
