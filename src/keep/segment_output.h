// SPDX-License-Identifier: GPL-3.0-or-later
//
// segment_output: rows → one segment and its index on disk, over the io seam.
//
//     IDLE → OPENING → FEEDING ⇄ WRITING → SYNCING → CLOSING → PLACING → IDLE (done)
//               └─────────┴─ failed ─┴─────────┴────────┴─────────┴─→ REMOVING → IDLE
//
// The owner's `feed` appends rows to the writer until output must be taken; each chunk is one
// write. PLACING is a file_script: index file, renames, directory syncs. After it the two files are
// there for good, but do not count before a catalogue names them. On failure the open file is
// closed, what there is of the two is removed, and `done` gets the errno: a disk without room must
// not fill up with attempts. What a crash leaves, or what cannot be removed, is keep_sweep's.
//
// Ownership: embedded by the sealer. Threading: core-local.
#ifndef RINGTAPE_KEEP_SEGMENT_OUTPUT_H
#define RINGTAPE_KEEP_SEGMENT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "format/catalogue.h"
#include "format/segment.h"
#include "io/io.h"
#include "keep/file_script.h"
#include "keep/keep_store.h"

enum segment_output_state {
    SEGMENT_OUTPUT_IDLE,
    SEGMENT_OUTPUT_OPENING,
    SEGMENT_OUTPUT_FEEDING,
    SEGMENT_OUTPUT_WRITING,
    SEGMENT_OUTPUT_SYNCING,
    SEGMENT_OUTPUT_CLOSING,
    SEGMENT_OUTPUT_PLACING,
    SEGMENT_OUTPUT_REMOVING,
};

struct segment_output;
// Appends rows until the writer refuses (more is to come: false) or none are left (true). A
// negative *failure ends the segment.
typedef bool segment_output_feed(void *context, struct segment_writer *writer, int *failure);
// `segment`: number, channel and day as asked, rows, bytes and times as written; tapes are the
// owner's.
typedef void segment_output_done(void *context, int result,
                                 const struct catalogue_segment *segment);

struct segment_output {
    struct io *io;
    const struct keep_store *store;
    struct file_script *script; // shared with the owner, who does not use it meanwhile
    enum segment_output_state state;
    struct segment_writer *writer;
    struct catalogue_segment segment;
    segment_output_feed *feed;
    void *feed_context;
    segment_output_done *done;
    void *context;
    struct io_op op;
    int handle;
    int64_t offset;
    uint32_t writing;
    bool fed;
    bool finished;
    int failure;
    uint32_t left;        // names of it that may be on the disk, in the order in which they come
    uint32_t rename_step; // of the script that places it: from here on it may have its final name
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char path_new[KEEP_FILE_NAME_BYTES_MAX];
};

void segment_output_init(struct segment_output *output, struct io *io,
                         const struct keep_store *store, struct file_script *script);
// `segment`: number, channel, day.
void segment_output_start(struct segment_output *output, const struct catalogue_segment *segment,
                          enum column_level level, segment_output_feed *feed,
                          segment_output_done *done, void *feed_context, void *context);

#endif
