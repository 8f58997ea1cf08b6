// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_publish: the files of one partition appear together and replace those before, so that an
// export run again never doubles rows.
//
//     DIR/.ringtape-staging/                             files being written
//     DIR/exchange=E/channel=C/date=D/ringtape-STORE-KEY-1of2.parquet, …-2of2.parquet
//
// STORE is the begin of the store's identity, KEY a hash of everything the content depends on. A
// complete set of the same key means: up to date. Otherwise all parts are written and synced in
// staging, then older files of the same store are removed, then the parts are renamed into place. A
// crash in between leaves too few rows, never too many, and the next run completes it.
//
// A set that lacks rows (damage, values that do not fit) is named …-partial.parquet and never
// counts as up to date. Threading: one export per DIR at a time, held by a lock on it.
#ifndef RINGTAPE_TOOLS_RINGTAPE_PUBLISH_H
#define RINGTAPE_TOOLS_RINGTAPE_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    RINGTAPE_PUBLISH_PATH_BYTES = 4096,
    RINGTAPE_PUBLISH_PARTS_MAX = 65536,
    RINGTAPE_PUBLISH_STORE_DIGITS = 8,
};

struct ringtape_publish {
    const char *directory;
    int lock; // descriptor of the directory
};

// Creates the directory and its staging, takes the lock, removes what a crash left in staging. 0 or
// an exit code; the reason has been told.
int ringtape_publish_open(struct ringtape_publish *publish, const char *directory);
void ringtape_publish_close(struct ringtape_publish *publish);
// Is the name still that of the folder which is locked? Else it was moved, removed or replaced, and
// nothing may be written under it. 0 or an exit code, told.
int ringtape_publish_check(const struct ringtape_publish *publish);

struct ringtape_partition {
    const struct ringtape_publish *publish;
    char path[RINGTAPE_PUBLISH_PATH_BYTES]; // of its folder, below the directory
    char store[RINGTAPE_PUBLISH_STORE_DIGITS + 1];
    uint64_t key;
    uint32_t parts; // staged
    int file;       // of the part being written, -1: none
    uint64_t bytes; // of all parts
};

// Exchange names that would not do as a folder are escaped (%2F).
void ringtape_partition_init(struct ringtape_partition *partition,
                             const struct ringtape_publish *publish, const char *exchange,
                             const char *channel, const char *date, const char *store_identity,
                             uint64_t key);
// True if the complete set is there already.
bool ringtape_partition_is_current(const struct ringtape_partition *partition);
// All return 0 or negative errno.
int ringtape_partition_begin(struct ringtape_partition *partition); // the next part
int ringtape_partition_write(struct ringtape_partition *partition, const void *bytes, size_t size);
int ringtape_partition_end(struct ringtape_partition *partition); // syncs the part
// Where part `part` lies until it is published.
void ringtape_partition_staged(const struct ringtape_partition *partition, uint32_t part,
                               char path[RINGTAPE_PUBLISH_PATH_BYTES]);
// Replaces what was there by the staged parts. `partial`: rows are missing.
int ringtape_partition_publish(struct ringtape_partition *partition, bool partial);
// Removes the staged parts.
void ringtape_partition_abandon(struct ringtape_partition *partition);

#endif
