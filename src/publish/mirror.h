// SPDX-License-Identifier: GPL-3.0-or-later
//
// mirror: durable batches → Kafka. A state machine over its own loop.
//
// The tape is the queue. While the mirror keeps up it takes batches from memory (keep/tape_feed.h),
// else from the tapes, or from the segments of a tape that had to go for want of room; an outage of
// the broker costs no memory and loses nothing. Each topic has a
// position of its own on the tape of each shard and goes on by itself: one that is stuck holds up
// nobody. Topics that keep pace share what is read and decoded.
//
// Delivery. Behind each topic its cursor follows: the rows of a tape up to which everything is
// delivered. Cursors are saved once a second and at the end; after a crash the mirror goes on
// from there, so each row comes at least once, and rows of one key in the order of the tape. Tapes
// of earlier lives come before those of this one, for a symbol may have changed its shard.
//
// What Kafka refuses for good is kept (format/mirror_letter.h), told, and sent again on demand; the
// topic goes on behind it.
//
// Threading: mirror_open() on the control thread before any shard writes; mirror_counters() and
// mirror_tape_done() from anywhere; all else on the loop's thread. Memory: allocated in
// mirror_open(); large areas are address space until they are used.
#ifndef RINGTAPE_PUBLISH_MIRROR_H
#define RINGTAPE_PUBLISH_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/statistics.h"
#include "io/io.h"
#include "keep/keep_store.h"
#include "keep/tape_feed.h"
#include "publish/message.h"
#include "publish/producer.h"

struct mirror;

enum {
    MIRROR_QUEUE_MESSAGES_MAX = 250000,
    MIRROR_LETTERS_MAX_BYTES = 1 << 30, // a topic with refusals waits when there are more
};

struct mirror_options {
    struct keep_store *store;
    struct tape_feed *const *feeds; // [shards]
    uint32_t shards;
    uint32_t channels; // bit c: mirrored
    enum message_format format[CHANNEL_COUNT];
    struct producer_maker maker;
    int64_t queue_bytes;     // that the producer takes; one topic has at most half of it under way
    uint32_t queue_messages; // the same, at most MIRROR_QUEUE_MESSAGES_MAX
    const struct log *log; // may be NULL
    // Was this alert delivered already (alert_sender.h)? May be NULL.
    bool (*alert_confirmed)(const void *context, uint64_t identity);
    const void *alert_context;
    struct statistics_mirror *statistics; // a section to publish figures in; NULL: nobody reads
};

struct mirror_counters {
    uint64_t sent;      // messages given to the producer
    uint64_t delivered;
    uint64_t refused;   // for good
    uint64_t letters;   // refused messages that are kept
    uint64_t from_memory; // batches
    uint64_t from_tape;
    uint64_t from_segments; // their tape was gone
    uint64_t restarts;  // of the producer
    uint64_t rows_lost; // damaged, or deleted before they were mirrored
    uint64_t in_flight;
    uint64_t behind;    // 1: some topic has more to send than was sent, or a letter to keep
    uint64_t stuck;     // topics that have not moved for a second and wait for Kafka
};

// Reads the state and finds the tapes there are; `start` is a loop to do that on, with nothing in
// flight. 0 or a negative errno, with `message` for people.
int mirror_open(struct mirror **mirror, struct io *io, struct io *start,
                const struct mirror_options *options, struct io_message *message);
// Starts to work; on the loop's thread, first.
void mirror_start(struct mirror *mirror);
// Waits `wait_ns` at most for what is under way, saves the state, then calls back.
void mirror_stop(struct mirror *mirror, int64_t wait_ns, void (*stopped)(void *context),
                 void *context);
// After `stopped`, or when the loop is gone (a simulated crash).
void mirror_close(struct mirror *mirror);

struct mirror_counters mirror_counters(const struct mirror *mirror);
// Every topic is past the tape: it may go. Any thread.
bool mirror_tape_done(const struct mirror *mirror, uint32_t tape);

#endif
