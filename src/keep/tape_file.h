// SPDX-License-Identifier: GPL-3.0-or-later
//
// tape_file: one tape on disk with its mark, from preparing to closing. The tape writer owns three.
//
//             tape_file_prepare()                        tape_file_close()
//     IDLE ─────────────────────→ PREPARING ──→ READY ─────────────────────→ CLOSING ──→ IDLE
//                                     │ failed                                 ↑ │ done(0 or errno)
//                                     └────────────────────────────────────────┘
//
// Preparing creates both files, preallocates them, writes the header and syncs files and directory,
// so that what is written later changes data only. Failing, it deletes what it created. Closing
// writes the last mark, or deletes both files where nothing was ever written. A slot of the mark
// that a write failed on is never written again: its sector may count as clean in the page cache
// and not be on disk, so that a second success would prove nothing. Where both slots have failed
// the tape ends without closing mark; what its end is, the header of the next tape tells.
//
// In every state at most one operation of `op` is in flight; marks of a READY tape use `mark_op`.
// Ownership: two sectors are allocated by tape_file_open(). Threading: core-local.
#ifndef RINGTAPE_KEEP_TAPE_FILE_H
#define RINGTAPE_KEEP_TAPE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/tape.h"
#include "io/io.h"
#include "keep/keep_store.h"

enum tape_file_state {
    TAPE_FILE_IDLE,
    TAPE_FILE_PREPARING,
    TAPE_FILE_READY,
    TAPE_FILE_CLOSING,
};

struct tape_file;
typedef void tape_file_done(struct tape_file *file, int result);

struct tape_file {
    struct io *io;
    struct keep_store *store;
    void *owner;
    enum tape_file_state state;
    struct tape_cursor cursor; // format/tape.h; number and salt inside
    int64_t size;              // preallocated bytes
    int64_t created_ns;        // UTC
    uint64_t marked_rows;      // durable rows the mark tells
    uint32_t writes_pending;   // of the owner; closing needs 0
    bool retiring;             // owner's: closed as soon as nothing is pending
    bool failed;               // a write failed: nothing more goes to this tape
    bool doubtful;             // the write that failed was to this tape: it may be on disk
    uint32_t ends_known;       // owner's: how many ends the header had to tell
    // ---- private ----
    int handle;
    int mark_handle;
    int directory_handle;
    uint8_t step;
    uint8_t slots_failed; // bit s: a write to slot s of the mark failed
    int failure;
    bool remove;
    bool buffered; // the device wants direct writes aligned to more than a sector
    bool closed_unmarked;      // closing: the closing mark is not known to be on disk
    bool mark_in_flight;
    struct io_op op;
    struct io_op mark_op;
    tape_file_done *done;
    uint8_t *sector; // aligned: header
    uint8_t *mark_sector;
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char mark_path[KEEP_FILE_NAME_BYTES_MAX];
    char directory[KEEP_FILE_NAME_BYTES_MAX];
};

// 0 or -ENOMEM.
int tape_file_open(struct tape_file *file, struct io *io, struct keep_store *store, void *owner);
void tape_file_deinit(struct tape_file *file);
// `ends`: of earlier tapes, for the header.
void tape_file_prepare(struct tape_file *file, uint32_t shard, int64_t size,
                       const struct layout_tape_end *ends, uint32_t end_count,
                       tape_file_done *done);
// READY only. Writes one batch; the owner's op and callback.
void tape_file_write(struct tape_file *file, struct io_op *op, const void *bytes,
                     const struct tape_write *write, io_callback *callback);
// READY: writes the mark when durable rows were added since the last and none is in flight.
void tape_file_mark(struct tape_file *file);
// READY, nothing pending. Waits for a mark in flight. A doubtful tape is never deleted.
void tape_file_close(struct tape_file *file, tape_file_done *done);

#endif
