// SPDX-License-Identifier: GPL-3.0-or-later
//
// durable_note: tells followers of the store up to where a shard's tape is durable, where the tape
// itself would tell it late (format/durable_slot.h).
//
// DURABLE_NOTE_NS after a batch the shard's slot of STORE/run/durable is written, with what came
// since: buffered and never synced, 64 bytes that need no disk, at most a hundred times a second
// (5 us each). The next batch would tell it, too, but where the disk is slow only after tens of ms.
//
//     NONE → MKDIR → OPENING → READY ⇄ WRITING;  any failure, and the end → CLOSING → NONE
//
// A failure is no loss (followers see the rows with the next mark) and nobody is told; the file is
// tried again after DURABLE_NOTE_RETRY_NS.
//
// Threading: core-local to the shard's loop.
#ifndef RINGTAPE_KEEP_DURABLE_NOTE_H
#define RINGTAPE_KEEP_DURABLE_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "format/durable_slot.h"
#include "io/io.h"
#include "keep/keep_store.h"

#define DURABLE_NOTE_NS (10 * LIMIT_MILLISECOND_NS)
#define DURABLE_NOTE_RETRY_NS (10 * LIMIT_SECOND_NS)

enum durable_note_state {
    DURABLE_NOTE_NONE,
    DURABLE_NOTE_MKDIR,
    DURABLE_NOTE_OPENING,
    DURABLE_NOTE_READY,
    DURABLE_NOTE_WRITING,
    DURABLE_NOTE_CLOSING,
};

struct durable_note {
    struct io *io;
    enum durable_note_state state;
    int handle; // -1: none
    int64_t offset; // of the shard's slot
    bool stopping;
    bool untold; // `newest` is not in the file
    struct durable_slot newest;
    struct durable_slot on_way;
    int64_t retry_ns; // monotonic
    struct io_op op;
    struct io_op timer;
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    void (*ended)(void *context); // a step of the end was made: ask durable_note_stop() again
    void *context;
};

void durable_note_init(struct durable_note *note, struct io *io, const char *store,
                       uint32_t shard, void (*ended)(void *context), void *context);
// A batch is durable.
void durable_note_put(struct durable_note *note, uint32_t tape, uint64_t salt, uint64_t sequence,
                      uint32_t revision);
// True once nothing is under way and the file is closed; until then `ended` is called, later.
bool durable_note_stop(struct durable_note *note);

#endif
