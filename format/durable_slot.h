// SPDX-License-Identifier: Apache-2.0
//
// durable_slot: what a running daemon tells followers of its tapes, in STORE/run/durable: up to
// where each shard's tape is durable. One slot a shard, one behind the other.
//
// A tape tells it too, but only with the next batch or mark, which a thin feed writes up to two
// seconds later (docs/format.md, "Mark file"). The slot is written within 10 ms of a batch.
//
// Not part of the store's data: never synced, may be deleted at any time, and read while it is
// written: a slot counts when its hash is right and its salt is the tape's. What it says stays true
// after any crash, since it is written when the batch is durable.
//
// Threading: pure functions.
#ifndef RINGTAPE_FORMAT_DURABLE_SLOT_H
#define RINGTAPE_FORMAT_DURABLE_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DURABLE_SLOT_FILE "run/durable" // in the store
#define DURABLE_SLOT_MAGIC "RTDURAB1"

// As on disk, little-endian.
struct durable_slot {
    char magic[8];
    uint64_t salt;     // of the tape
    uint64_t sequence; // of its last durable batch
    uint32_t revision; // of that batch
    uint32_t tape;     // its number
    uint64_t reserved[3];
    uint64_t hash; // XXH3-64 of the bytes before
};
_Static_assert(sizeof(struct durable_slot) == 64, "one cache line");

struct durable_slot durable_slot_make(uint32_t tape, uint64_t salt, uint64_t sequence,
                                      uint32_t revision);
// Raises (sequence, revision) by what the slots in `bytes` say of the tape with this salt; what is
// torn or of other tapes changes nothing.
void durable_slot_raise(const void *bytes, size_t size, uint64_t salt, uint64_t *sequence,
                        uint32_t *revision);

#endif
