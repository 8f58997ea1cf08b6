// SPDX-License-Identifier: GPL-3.0-or-later
//
// tape_writer_inside: what the writer's files share. Nobody else includes it.
#ifndef RINGTAPE_KEEP_TAPE_WRITER_INSIDE_H
#define RINGTAPE_KEEP_TAPE_WRITER_INSIDE_H

#include "keep/batch.h"
#include "keep/durable_note.h"
#include "keep/tape_file.h"
#include "keep/tape_writer.h"

enum {
    TAPE_WRITER_WRITES_MAX = 64,     // encoded batches waiting in one half
    TAPE_WRITER_FILES = 3,           // being filled, prepared, finished
    TAPE_WRITER_RESCUE_BYTES = 4 << 20, // decoding of one slotted batch
};

struct tape_pending { // one encoded batch on its way to disk
    struct tape_file *file;
    struct tape_write write;
    uint32_t position;   // of its bytes in the half
    int64_t oldest_ns;   // monotonic: append of its oldest row
};

// Encoded bytes: one half is being written while the other is being filled.
struct tape_half {
    uint8_t *memory;
    size_t used;
    uint32_t count;
    uint32_t next; // first that is not durable
    struct tape_pending pending[TAPE_WRITER_WRITES_MAX];
};

struct tape_hole { // rows of a paused channel
    int64_t from_ns; // UTC
    uint64_t count;
};

struct tape_writer {
    struct io *io;
    struct tape_writer_options options;
    struct batch batch_memory[2];
    struct batch *batch; // open rows
    struct batch *spare; // empty, except while rows move
    uint32_t written;    // the batch's first rows are on tape already (a slotted batch)
    int64_t oldest_ns;   // monotonic: append of the oldest row not encoded; 0: none
    struct tape_encoder *encoder;
    struct tape_half half[2];
    uint32_t filling;    // index of the half being filled
    bool flying;         // a write of the other half is in flight
    bool broken;         // a write failed: everything pending moves to a new tape
    bool stopping;
    bool closing;        // stopping, and all is durable or given up
    bool given_up;
    uint32_t roll_last; // highest number of the tapes that tape_writer_roll() asked for
    bool prepare_held; // preparing failed: not again before the next tick
    bool rescued;      // since the last tick: at most one rescue at once
    // Tapes that ended at a failed write and whose closing mark is not durable, as far as they are
    // not sealed: the header of every new tape tells their ends.
    struct layout_tape_end ends[LAYOUT_TAPE_ENDS_MAX];
    uint32_t end_count;
    uint32_t ends_noted; // ever; a tape prepared before the last one does not tell it
    struct io_op write_op;
    struct io_op commit_op;
    struct io_op tick_op;
    struct io_op limit_op;
    struct tape_file files[TAPE_WRITER_FILES];
    struct durable_note note;  // where options.note says so
    struct tape_file *current; // takes new batches; NULL: none is ready
    uint32_t paused; // bit c: channel c, as of the last tick
    struct tape_hole holes[CHANNEL_COUNT];
    uint64_t refused_since_ok;
    int64_t refused_from_ns;   // UTC
    struct tape_writer_counters counters;
    struct histogram latency;
    void (*stopped)(void *context, bool ok);
    void *context;
    struct event event;          // scratch of moving rows
    struct event_level *levels;  // [EVENT_LEVELS_MAX]
    uint8_t *rescue_memory;
    void *memory; // all of the above arrays
    size_t memory_bytes;
};

// The open batch without its first `written` rows.
void tape_writer_drop_written(struct tape_writer *writer);
struct tape_batch_input tape_writer_input(const struct tape_writer *writer,
                                          const struct batch *batch, uint32_t written);
// Encodes what waits into the filling half. False: no tape is ready or the half is full.
bool tape_writer_encode(struct tape_writer *writer);
// A tape ready to take batches becomes current, if there is one.
bool tape_writer_switch(struct tape_writer *writer);
// Every second, as long as it lives.
void tape_writer_tick(struct io *io, struct io_op *op);
// Whatever can be done now: encode, write, close, prepare.
void tape_writer_pump(struct tape_writer *writer);
// The same, for durable_note.h.
void tape_writer_note_ended(void *context);

// Takes a status row of the writer's own; false: no room now.
bool tape_writer_status(struct tape_writer *writer, const struct event *event);

// ---- tape_pause.c ----

// Channels that the store pauses or resumes since the last look; their holes are told.
void tape_pause_look(struct tape_writer *writer, uint32_t paused);

// ---- tape_rescue.c ----

// A write failed: its tape and all tapes with pending batches are given up at what is durable.
void tape_rescue_begin(struct tape_writer *writer);
// Forgets the ends that are marked or sealed by now.
void tape_rescue_forget(struct tape_writer *writer);
// With a new tape current: places all pending batches on it, in order.
void tape_rescue_place(struct tape_writer *writer);

#endif
