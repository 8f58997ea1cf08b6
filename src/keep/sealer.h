// SPDX-License-Identifier: GPL-3.0-or-later
//
// sealer: retired tapes → segments; the segments of a day → one. A state machine over its own loop.
//
// Sealing. A tape is read batch by batch, its rows gathered by channel, UTC day of `time` and
// symbol, encoded, written to segments under temporary names, synced and renamed; then one
// catalogue swap makes the segments count and the tape not, and the tape is deleted. A crash at any
// moment leaves either the old or the new catalogue; files no catalogue names are removed at the
// next start, those of an attempt that failed before the next one. A damaged tape gives all rows
// that can be read; the file itself is kept in quarantine/ and a message says what is lost.
//
// Merging. When a day of a channel has SEALER_MERGE_COUNT segments of one level, they are rewritten
// as one, block by block, with bounded memory; the catalogue is swapped the same way. Where what is
// free above the reserve is less than they have, it waits for room.
//
// Deleting. What `keep` in the configuration does not keep goes day by day, oldest first: the
// catalogue forgets it, then its files are removed. On a full disk the oldest data goes before its
// time where `keep` has any limit, then sealed tapes that a guard still needs (retention.h); after
// that channels pause (disk_watch.h).
//
// Taking in. Segments that another program has made and handed over (keep_incoming.h) come into the
// catalogue by the same swap.
//
// Days. Once a minute it looks whether a UTC day is closed (format/day.h) and keeps the markers in
// STORE/day up to date.
//
// Threading: belongs to the thread that runs its loop; other threads reach it only through
// keep_store.
#ifndef RINGTAPE_KEEP_SEALER_H
#define RINGTAPE_KEEP_SEALER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/io.h"
#include "keep/keep_store.h"

struct sealer;

struct sealer_counters {
    uint64_t tapes;
    uint64_t tapes_damaged;
    uint64_t rows;
    uint64_t segments;
    uint64_t segments_light; // of them, coded light because the sealer was behind
    uint64_t merges;
    uint64_t deleted;   // segments, by `keep` or for room
    uint64_t tapes_pressed; // sealed ones removed for room though a guard needed them
    uint64_t bytes_in;  // of tapes
    uint64_t bytes_out; // of segments
    uint64_t taken_in;  // handovers of other programs
    uint64_t days;      // markers of closed days that were written
    uint64_t failures;  // attempts that ended with an I/O error and are tried again
    uint32_t waiting;
    uint32_t tapes_kept; // sealed, still there for a guard
    bool idle; // nothing to seal, nothing to merge
};

// 0 or -ENOMEM. Registers with the store for wake-ups.
int sealer_open(struct sealer **sealer, struct io *io, struct keep_store *store);
// From now on looks every second at the disk and at what `keep` (keep_store_set_rules()) does not
// keep any more, and every minute at days that are over.
void sealer_watch(struct sealer *sealer);
// Ends after the step under way; what is not sealed waits for the next start.
void sealer_stop(struct sealer *sealer, void (*stopped)(void *context), void *context);
// Frees the memory. After `stopped` was called, or when the loop is gone (a simulated crash).
void sealer_close(struct sealer *sealer);
// Merges nothing: for a short life that only seals and takes in.
void sealer_merge_nothing(struct sealer *sealer);
// Merges every day's segments into one, whatever their number, as soon as all tapes are sealed.
void sealer_merge_all(struct sealer *sealer);
// Segments one tape may become: lower than the bound of the code, for tests of what happens there.
void sealer_limit_segments(struct sealer *sealer, uint32_t segments);
struct sealer_counters sealer_counters(const struct sealer *sealer);

#endif
