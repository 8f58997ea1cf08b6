// SPDX-License-Identifier: GPL-3.0-or-later
//
// retention: which stored data goes first: `keep` by age or size, over all and channel by channel,
// and what is deleted for room on a full disk. Pure: a catalogue in, an answer out.
//
// Data goes by whole days of a channel, oldest first; of the present day, and only for its size or
// for room, one segment at a time. What a guard does not release stays, however old.
#ifndef RINGTAPE_KEEP_RETENTION_H
#define RINGTAPE_KEEP_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "format/catalogue.h"

enum { RETENTION_GUARDS_MAX = 8, RETENTION_SEGMENTS_MAX = 64 };

struct retention_limits {
    int64_t age_ns;     // 0: for ever
    int64_t size_bytes; // of segments; 0: any
};

struct retention_rules {
    struct retention_limits all;
    struct retention_limits channel[CHANNEL_COUNT]; // 0: as `all` says
    int64_t reserve_bytes; // free space to be kept; 0: chosen by the daemon
};

// Who still needs data asks here before it goes: a mirror or an export keeps what it has not dealt
// with. True: the segment may go. Called on the sealer's thread.
struct retention_guard {
    bool (*released)(void *context, const struct catalogue_segment *segment);
    void *context;
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

#endif
