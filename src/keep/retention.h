// SPDX-License-Identifier: GPL-3.0-or-later
//
// retention: which stored data goes first: `keep` by age or size, over all and channel by channel,
// and what is deleted for room on a full disk. Pure: a catalogue in, an answer out.
//
// Data goes by whole days of a channel, oldest first; of the present day, and only for its size or
// for room, one segment at a time. What a guard does not release stays, however old.
//
// Tapes. A sealed tape that a guard does not release stays in tape/, listed as sealed: a mirror
// that is behind reads it as if it had just been written. On a full disk, when nothing is left that
// `keep` allows to delete, such tapes go all the same, oldest first: their rows are in segments, so
// the mirror finds no file and reads the segments of that tape. These are of that tape alone:
// segments are merged only when all their tapes are released. An open tape takes its room until it
// is closed, so a mirror should not hold many.
#ifndef RINGTAPE_KEEP_RETENTION_H
#define RINGTAPE_KEEP_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "format/catalogue.h"

enum {
    RETENTION_GUARDS_MAX = 8,
    RETENTION_SEGMENTS_MAX = 64,
    RETENTION_TAPES_MAX = CATALOGUE_TAPES_MAX / 2, // sealed ones kept for a guard
};

struct retention_limits {
    int64_t age_ns;     // 0: for ever
    int64_t size_bytes; // of segments; 0: any
};

struct retention_rules {
    struct retention_limits all;
    struct retention_limits channel[CHANNEL_COUNT]; // 0: as `all` says
    int64_t reserve_bytes; // free space to be kept; 0: chosen by the daemon
};

// Who still needs data is asked here before it goes: a mirror or an export keeps what it has not
// dealt with. Called on the sealer's thread, often: must not block. What is released once must stay
// released; the sealer asks again every second. A damaged tape goes to quarantine/ unasked.
struct retention_guard {
    // True: the segment may go. Its rows are of tapes [tape_first, tape_last]. NULL: any may.
    bool (*released)(void *context, const struct catalogue_segment *segment);
    // True: nothing of the sealed tape is needed any more, neither as tape nor as segments of its
    // own. NULL: any is.
    bool (*tape_released)(void *context, uint32_t tape);
    void *context;
    // True: the segment may be merged with others. NULL: as its tapes are released.
    bool (*mergeable)(void *context, const struct catalogue_segment *segment);
};

enum retention_cause { RETENTION_AGE, RETENTION_SIZE, RETENTION_ROOM };

// Segments [first, first + count) of the catalogue; count 0: nothing.
struct retention_choice {
    uint32_t first;
    uint32_t count; // at most RETENTION_SEGMENTS_MAX; the rest of the day comes next
    enum retention_cause cause;
};

// `pressed`: the disk is full, so that the oldest goes though it might stay. Only where `rules`
// have a limit: without one nothing is ever deleted.
struct retention_choice retention_choose(const struct catalogue *catalogue,
                                         const struct retention_rules *rules,
                                         const struct retention_guard *guards,
                                         uint32_t guard_count, int64_t now_ns, bool pressed);
const char *retention_cause_text(enum retention_cause cause);

// Do all guards release the tape?
bool retention_tape_released(const struct retention_guard *guards, uint32_t guard_count,
                             uint32_t tape);
// The same of every tape that the segment has rows of.
bool retention_tapes_released(const struct retention_guard *guards, uint32_t guard_count,
                              const struct catalogue_segment *segment);
// The sealed tape that goes next, or 0: the oldest one released; `pressed`: the oldest one.
uint32_t retention_choose_tape(const struct catalogue *catalogue,
                               const struct retention_guard *guards, uint32_t guard_count,
                               bool pressed);
// May the segment be merged with others? From half a catalogue on any may: a reader that was in the
// middle of it then starts it again.
bool retention_mergeable(const struct catalogue *catalogue,
                         const struct retention_guard *guards, uint32_t guard_count,
                         const struct catalogue_segment *segment);

#endif
