// SPDX-License-Identifier: Apache-2.0
//
// delta_inside: what delta.c, delta_read.c, delta_commit.c and delta_checkpoint.c share.
#ifndef RINGTAPE_FORMAT_DELTA_INSIDE_H
#define RINGTAPE_FORMAT_DELTA_INSIDE_H

#include "format/delta.h"

enum {
    DELTA_KEY_BYTES = 128,
    DELTA_ARENA_BLOCK_BYTES = 1 << 16,
};

struct delta_txn {
    const char *app;
    int64_t version;
    int64_t time_ms;
};

struct delta_block { // of the arena
    struct delta_block *next;
    size_t size;
    size_t room;
    char bytes[];
};

struct delta {
    struct delta_disk disk;
    char path[DELTA_PATH_BYTES_MAX];
    int64_t version;            // -1: no table
    int64_t checkpoint_version; // of the newest checkpoint of ours, -1: none
    int64_t version_told;       // by _last_checkpoint: there are at least so many
    int reader_version;         // 0: no protocol action as yet
    int writer_version;
    const char *features;       // the first table feature asked for, NULL: none
    bool column_mapping;
    const char *id; // NULL: no metaData as yet
    const char *schema;
    const char *partition_columns;
    const char *metadata; // the action
    size_t metadata_size;
    const char *configuration[DELTA_CONFIGURATION_MAX][2];
    uint32_t configuration_count;
    struct delta_txn *txns;
    uint32_t txn_count, txn_room;
    struct delta_file *files;
    uint32_t file_count, file_room;
    uint32_t *places; // open addressing: number of a file + 1 by hash of its path
    uint32_t place_count; // a power of two
    struct delta_block *arena;
    struct delta_message *message; // of the call under way
};

// Writes the reason, if somebody wants it; returns `error`.
__attribute__((format(printf, 3, 4))) int delta_fail(struct delta *delta, int error,
                                                     const char *format, ...);

// ---- memory; NULL: none left ----

char *delta_keep(struct delta *delta, const void *bytes, size_t size); // copied, ended by zero

// ---- delta_read.c ----

// Takes one file of the log, line by line; `bytes` are copied as far as they are needed. `name` is
// for the message.
int delta_take_lines(struct delta *delta, const char *bytes, size_t size, const char *name);
// Can this library go on with what the table asks for?
int delta_check(struct delta *delta);
// Forgets everything that lines brought.
void delta_forget(struct delta *delta);
struct delta_file *delta_find_file(struct delta *delta, const char *path);

// ---- delta_checkpoint.c ----

// The state in a checkpoint of ours, as lines to be freed. -ENOENT: not one of ours, or not there.
int delta_checkpoint_load(struct delta *delta, int64_t version, char **lines, size_t *size);

// ---- paths ----

// TABLE/_delta_log/<20 digits><ending>; `out` has DELTA_PATH_BYTES_MAX bytes.
void delta_log_path(const struct delta *delta, int64_t version, const char *ending, char *out);
void delta_log_name(const struct delta *delta, const char *name, char *out);
// Reads commits behind the present version. 0 or negative errno.
int delta_catch_up(struct delta *delta);

#endif
