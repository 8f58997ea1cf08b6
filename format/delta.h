// SPDX-License-Identifier: Apache-2.0
//
// delta: a Delta table that ringtape writes: what it holds now, and the next commit.
//
//     TABLE/_delta_log/00000000000000000017.json                 a commit, one action a line
//     TABLE/_delta_log/00000000000000000020.checkpoint.parquet   everything up to there
//     TABLE/_delta_log/_last_checkpoint
//
// Reading. delta_open() takes the newest checkpoint of its own kind and the commits behind it.
// Whoever else committed to the table is heard too, as long as the protocol stays reader 1, writer
// 2 without column mapping. A checkpoint that somebody else wrote is passed over for an older one.
//
// Writing. A commit is built as text, action by action (delta_put_*), and made visible by
// delta_commit(). Protocol: put if absent (delta_disk.h). On a lost race the new commits are read
// and what the commit depends on is looked at again: its txn, and the files it removes.
//
//     struct delta *delta;
//     if (delta_open(&delta, &delta_disk_host, "lake/trade", &message) == 0) {
//         struct delta_commit commit = {0};
//         delta_put_txn(&commit, "app", 42, now_ms);
//         delta_put_add(&commit, &file);
//         error = delta_commit(delta, &commit, &message);
//         delta_commit_free(&commit);
//         delta_close(delta);
//     }
//
// Ownership: everything that is returned belongs to the struct delta until the next delta_commit()
// or delta_close(). Threading: one owner. Memory: the log's text, about a kilobyte a file.
// Errors: negative errno, with one line in `message`:
//     -EBADMSG          the log is damaged or cut
//     -EPROTONOSUPPORT  it asks for more than this library can
//     -ECANCELED        a commit: somebody else came first and it does not hold any more
// Source: delta-io/delta, PROTOCOL.md.
#ifndef RINGTAPE_FORMAT_DELTA_H
#define RINGTAPE_FORMAT_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/delta_disk.h"
#include "format/delta_json.h"

enum {
    DELTA_READER_VERSION = 1,
    DELTA_WRITER_VERSION = 2,
    DELTA_CHECKPOINT_EVERY = 10,   // commits
    DELTA_RACES_MAX = 100,         // lost one after the other
    DELTA_MESSAGE_BYTES = 1024,
    DELTA_PARTITION_BYTES = 280,   // a partition value: longer than any exchange name
    DELTA_APP_BYTES = 128,         // of a txn
    DELTA_CONFIGURATION_MAX = 32,  // pairs; further ones are not seen
};

struct delta_message {
    char text[DELTA_MESSAGE_BYTES];
};

// A file of the table, or one that was (`live` false, until vacuum).
struct delta_file {
    const char *path;      // below the table, as on disk (not URI-encoded)
    const char *exchange;  // partition values; "" where there is none
    const char *date;
    const char *store;     // hex identity of the store its rows are of; "": not written by ringtape
    int64_t tape_from;     // its rows are of tapes (tape_from, tape_to]
    int64_t tape_to;
    int64_t bytes;
    int64_t rows;          // -1: not told
    int64_t time_ms;       // live: modification; else deletion
    bool live;
    const char *action;    // the add or remove as it stands in the log
    size_t action_size;
};

struct delta;

// 0 also where there is no table yet: delta_version() is -1. The folder need not be there.
int delta_open(struct delta **delta, const struct delta_disk *disk, const char *path,
               struct delta_message *message);
void delta_close(struct delta *delta);

int64_t delta_version(const struct delta *delta);
// Of metaData; NULL: not there.
const char *delta_configuration(const struct delta *delta, const char *key);
// Key and value of pair number `at`; false: there are not so many.
bool delta_configuration_at(const struct delta *delta, uint32_t at, const char *pair[2]);
const char *delta_schema(const struct delta *delta); // schemaString
const char *delta_id(const struct delta *delta);
const char *delta_partition_columns(const struct delta *delta); // "exchange,date"
// Version of the application's last transaction, -1: none.
int64_t delta_txn(const struct delta *delta, const char *app);
// All files, live or not, in the order of their first action.
const struct delta_file *delta_files(const struct delta *delta, uint32_t *count);
// The one of that path below the table, NULL: the table never had it, or has forgotten it.
const struct delta_file *delta_file_at(struct delta *delta, const char *path);

// ---- the next commit ----

struct delta_commit {
    struct delta_text text; // free with delta_commit_free()
    char app[DELTA_APP_BYTES]; // of the first txn put: what it was before must still hold
    bool has_app;
    bool has_metadata;
};

struct delta_metadata {
    const char *id;
    const char *name;
    const char *schema; // schemaString
    const char *const *partition_columns; // NULL-terminated
    const char *const (*configuration)[2]; // {NULL, NULL} at the end
    int64_t created_ms;
};

struct delta_add {
    const char *path; // as on disk; encoded here
    const char *exchange;
    const char *date;
    const char *store;
    int64_t tape_from;
    int64_t tape_to;
    int64_t bytes;
    int64_t time_ms;
    bool data_change;
    const char *stats; // JSON
};

struct delta_info {
    const char *operation; // "WRITE"
    const char *mode;      // "Append"
    const char *engine;    // "ringtape/1.2.3"
    bool blind_append;
    int64_t time_ms;
};

void delta_commit_free(struct delta_commit *commit);
void delta_put_info(struct delta_commit *commit, const struct delta_info *info);
void delta_put_protocol(struct delta_commit *commit);
void delta_put_metadata(struct delta_commit *commit, const struct delta_metadata *metadata);
void delta_put_txn(struct delta_commit *commit, const char *app, int64_t version, int64_t time_ms);
void delta_put_add(struct delta_commit *commit, const struct delta_add *add);
void delta_put_remove(struct delta_commit *commit, const struct delta_file *file, int64_t time_ms,
                      bool data_change);
// 0: it is durable and visible, and `delta` holds it.
int delta_commit(struct delta *delta, const struct delta_commit *commit,
                 struct delta_message *message);

// Writes a checkpoint if DELTA_CHECKPOINT_EVERY commits passed since the last; then commits and
// checkpoints whose last change is `keep_ms` before `now_ms` or longer are deleted from the log, as
// far as a newer checkpoint holds them, and removed files older than that are forgotten. A table is
// whole without any of it.
int delta_checkpoint(struct delta *delta, int64_t now_ms, int64_t keep_ms, const char *created_by,
                     struct delta_message *message);

// "a b" → "a%20b": what may not stand in a path of the log. Cut paths are a bug: `out` has
// DELTA_PATH_BYTES_MAX bytes.
void delta_encode_path(const char *path, char *out);

#endif
