// SPDX-License-Identifier: GPL-3.0-or-later
//
// statistics_file: writes statistics pages to STORE/run/statistics (format/statistics_page.h). A
// state machine over its own loop.
//
// The file is made anew under a temporary name and renamed once a page is in it, so a reader never
// meets half a file; then its two slots are written in turn. Nothing is synced: what matters is
// what other processes see. Whoever has the figures writes them to memory; only this loop waits for
// the disk, so a disk that stands still makes the page old and nothing else.
//
// A failure (no room, read-only) is counted and told to the log once; the file is tried again every
// STATISTICS_FILE_RETRY_NS. One that somebody deleted is made anew.
//
// Memory: one page, in statistics_file_open(). Threading: the loop's thread.
#ifndef RINGTAPE_KEEP_STATISTICS_FILE_H
#define RINGTAPE_KEEP_STATISTICS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/log.h"
#include "format/statistics_page.h"
#include "io/io.h"
#include "keep/keep_store.h"

#define STATISTICS_FILE_RETRY_NS (10 * LIMIT_SECOND_NS)
enum { STATISTICS_FILE_LOOK = 16 }; // pages between two looks whether the file is still there

enum statistics_file_state {
    STATISTICS_FILE_NONE,
    STATISTICS_FILE_MKDIR,
    STATISTICS_FILE_OPENING,
    STATISTICS_FILE_ALLOCATING,
    STATISTICS_FILE_FIRST,
    STATISTICS_FILE_RENAMING,
    STATISTICS_FILE_READY,
    STATISTICS_FILE_WRITING,
    STATISTICS_FILE_CLOSING,
};

struct statistics_file {
    struct io *io;
    const struct log *log; // may be NULL
    uint32_t shards;
    enum statistics_file_state state;
    int handle; // -1: none
    bool stopping;
    bool told;
    int error;            // of the last failure; 0: none since
    int64_t retry_ns;     // monotonic
    uint64_t sequence;
    uint32_t slot; // of the next write
    struct statistics_page *page; // what is being written
    struct io_op op;
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char path_new[KEEP_FILE_NAME_BYTES_MAX];
};

// 0 or -ENOMEM.
int statistics_file_open(struct statistics_file *file, struct io *io, const char *store,
                         uint32_t shards, const struct log *log);
// Copies the page and writes it. False: the one before is still on its way, or there is no file
// now; nothing was done.
bool statistics_file_write(struct statistics_file *file, const struct statistics_page *page);
// Again and again: true once nothing is under way and the file is closed.
bool statistics_file_stop(struct statistics_file *file);
// After statistics_file_stop() said so, or when the loop is gone.
void statistics_file_close(struct statistics_file *file);

#endif
