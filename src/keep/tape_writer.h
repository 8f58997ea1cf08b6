// SPDX-License-Identifier: GPL-3.0-or-later
//
// tape_writer: a shard's events → batches → the tape on disk, durable.
//
// Events are appended to the open batch. `commit_interval` after the first of them, or when the
// batch is full, it is encoded; one write is in flight at a time, and what is encoded meanwhile
// goes out together with the next write. Nothing is written while nothing arrives. A batch that
// fits in one sector is rewritten with the rows that follow into alternating slots
// (docs/format.md), so that a thin feed does not cost a sector every 5 ms.
//
// A tape is preallocated; its successor is prepared while it is being filled. It is retired (handed
// to the sealer) when full, after `tape_age`, and at UTC midnight.
//
// Failures. A write or sync that fails ends the tape at its last durable batch: the tape is
// retired, the batches in memory are written to a new one. While no tape can be had (disk full,
// device gone) one batch of rows is held (batch.h names the bounds); what comes beyond it is
// counted as refused, and a status row says from when to when, as soon as writing works again.
// Capture never stops.
//
// Threading: core-local to the shard's loop.
#ifndef RINGTAPE_KEEP_TAPE_WRITER_H
#define RINGTAPE_KEEP_TAPE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/symbols.h"
#include "format/event.h"
#include "format/histogram.h"
#include "io/io.h"
#include "keep/keep_store.h"
#include "keep/tape_feed.h"

struct tape_writer;

struct tape_writer_options {
    struct keep_store *store;
    const struct symbols *symbols; // the shard's; names go into the batches
    uint32_t shard;
    int64_t commit_interval_ns; // 0: 5 ms
    int64_t tape_bytes;         // 0: 32 MiB
    int64_t tape_age_ns;        // 0: 10 minutes
    uint32_t queue_bytes;       // encoded bytes waiting at most, twice; 0: 16 MiB
    struct tape_feed *feed;     // gets what is durable; NULL: nobody wants it
    bool note;                  // followers of the store are told what is durable (durable_note.h)
};

struct tape_writer_counters {
    uint64_t rows;           // appended
    uint64_t rows_durable;
    uint64_t rows_refused;   // queue full: lost, listed by a status row
    uint64_t rows_paused;    // of paused channels: not recorded, told by status rows
    uint64_t rows_unfit;     // one event larger than a batch may be
    uint64_t batches;
    uint64_t bytes;          // written, rewritten slots included
    uint64_t writes;
    uint64_t failures;       // of writes, syncs, opens
    uint64_t tapes;
    int64_t durable_latency_ns_max; // append of a batch's first row → durable, since last asked
    uint32_t tape;           // number of the current tape, 0: none yet
    uint64_t bytes_waiting;  // encoded and not durable
    int64_t waiting_ns;      // age of the oldest row that is not durable; 0: all are
};

// Starts preparing the first tape; events may be appended at once. 0 or -ENOMEM.
int tape_writer_open(struct tape_writer **writer, struct io *io,
                     const struct tape_writer_options *options);
// False: refused (counted).
bool tape_writer_append(struct tape_writer *writer, const struct event *event);
// Retires the tape as it is, so that it can be sealed now; appending goes on on the next one.
void tape_writer_roll(struct tape_writer *writer);
// Makes all that was appended durable, retires the tape, then calls back once; ok false: some
// rows could not be made durable within `limit_ns`. Nothing may be appended afterwards.
void tape_writer_stop(struct tape_writer *writer, int64_t limit_ns,
                      void (*stopped)(void *context, bool ok), void *context);
// Frees the memory. After `stopped` was called, or when the loop is gone (a simulated crash).
void tape_writer_close(struct tape_writer *writer);
// True when a tape is ready to take batches: from then on the queue is all the room there is.
bool tape_writer_ready(const struct tape_writer *writer);
struct tape_writer_counters tape_writer_counters(struct tape_writer *writer);
// How long the oldest row of each write took from being appended to being durable.
const struct histogram *tape_writer_latency(const struct tape_writer *writer);

#endif
