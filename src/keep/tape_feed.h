// SPDX-License-Identifier: GPL-3.0-or-later
//
// tape_feed: durable batches from a tape writer's thread to one reader's, through memory, so that
// who keeps up with a tape (the mirror) need not read it.
//
// A ring of one shard: the writer copies a batch in when it is durable; where there is no room it
// leaves it out, and the reader finds it on the tape. No lock, no wait; one wake-up a batch.
//
// What is durable is told beside the ring, so a reader of the file knows how far to go. A tape of a
// lower number than the one told takes no more batches; where it ended is told as long as the feed
// lives, since its closing mark may not have reached the disk.
//
// Bounds: the ring's size is given at the start; address space for TAPE_FEED_ENDS_MAX ends, of
// which those told are memory. Threading: tape_feed_prepare() and tape_feed_put() by the
// writer's thread; the rest by the reader's.
#ifndef RINGTAPE_KEEP_TAPE_FEED_H
#define RINGTAPE_KEEP_TAPE_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/tape.h"
#include "io/io.h"

struct tape_feed;

enum { TAPE_FEED_ENDS_MAX = 1 << 20 };

struct tape_feed_item {
    uint32_t tape;
    uint32_t previous; // the tape that the feed's batches were on before; 0: this is the first
    uint32_t revision;
    uint64_t sequence;
    uint64_t first_row;   // of the tape; the batch's row number 0
    uint64_t rows;        // of the tape, with this batch
    int64_t durable_ns;   // monotonic: since when it is
    uint32_t size;        // header and payload
    const uint8_t *bytes; // aligned to 8; valid until tape_feed_pop()
};

struct tape_feed_durable {
    uint32_t tape; // 0: nothing yet
    uint32_t previous; // as above
    uint32_t revision;
    uint64_t sequence;
    uint64_t rows;
    uint64_t rows_ever;  // of all tapes of this feed
    uint64_t bytes_ever; // of the batches of all of them
};

// `bytes`: of the ring, a power of two. 0 or -ENOMEM.
int tape_feed_open(struct tape_feed **feed, uint32_t bytes);
void tape_feed_close(struct tape_feed *feed);
// Whose loop is woken; before the writer runs. NULL: nobody's.
void tape_feed_wake(struct tape_feed *feed, struct io *reader);

// ---- writer ----

// A tape has its number and takes batches some time, others of this shard before it.
void tape_feed_prepare(struct tape_feed *feed, uint32_t tape);
// A batch is durable since `now_ns` (monotonic). `bytes`: write->batch_bytes of it.
void tape_feed_put(struct tape_feed *feed, uint32_t tape, const struct tape_write *write,
                   const void *bytes, int64_t now_ns);

// ---- reader ----

// The oldest batch in the ring; false: it is empty.
bool tape_feed_peek(const struct tape_feed *feed, struct tape_feed_item *item);
void tape_feed_pop(struct tape_feed *feed);
struct tape_feed_durable tape_feed_durable(const struct tape_feed *feed);
// The number that was given last to a tape of this shard; 0: none.
uint32_t tape_feed_prepared(const struct tape_feed *feed);
// Where a tape of this feed's shard ended: behind its last durable batch; `salt` is left 0. False:
// it has not ended, or was not told any more. One below others that was never told of took none.
bool tape_feed_end(const struct tape_feed *feed, uint32_t tape, struct layout_tape_end *end);
// Batches that found no room, since the start. Any thread.
uint64_t tape_feed_skipped(const struct tape_feed *feed);

#endif
