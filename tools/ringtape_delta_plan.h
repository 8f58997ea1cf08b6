// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_delta_plan: what is to be done so that a day's rows of the store are in the table once.
// Pure: a catalogue and what the table knows in, a decision out. docs/lake.md, "Delta", has the
// reasoning.
//
// The table knows two numbers of each day (its txns): F, all rows of tapes up to F are in, and E,
// how many messages that were. Segments are merged, files come and go, but a tape's rows are in
// segments completely once it is sealed, and every segment tells the range of its tapes. So:
//
//     ranges above F                       → new: append them
//     all ranges up to F, E rows in them   → nothing to do
//     a range across F, or more rows up to F than E (an older tape came late, history was filled
//     in): what is new cannot be told apart → the whole day again, in place of what is there
//     and fewer rows than E: some were deleted from the store → neither; for people to decide
//
// A segment whose range reaches beyond the oldest tape that is not sealed waits.
#ifndef RINGTAPE_TOOLS_RINGTAPE_DELTA_PLAN_H
#define RINGTAPE_TOOLS_RINGTAPE_DELTA_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "format/catalogue.h"

enum ringtape_delta_mode {
    RINGTAPE_DELTA_NOTHING,
    RINGTAPE_DELTA_APPEND,
    RINGTAPE_DELTA_REPLACE, // the day's files of this store go, all its rows come
    RINGTAPE_DELTA_COMPACT, // rows that are in already come sorted, in place of small files
    RINGTAPE_DELTA_WAIT,    // for an older tape to be sealed
    RINGTAPE_DELTA_LOST,    // rows that are in the table are no longer in the store
};

struct ringtape_delta_plan {
    enum ringtape_delta_mode mode;
    int64_t from; // rows of tapes (from, to] are written; from 0: and backfilled ones
    int64_t to;
    int64_t messages; // E afterwards
};

// `segments` are those of one channel and day; `frontier`: every tape up to it is sealed; F and E
// as the table knows them, 0 0 for a day it does not know.
struct ringtape_delta_plan ringtape_delta_plan(const struct catalogue_segment *segments,
                                               uint32_t count, int64_t frontier,
                                               int64_t tape_known, int64_t messages_known);
// The whole day again, because somebody asks for it: after damage was repaired, say.
struct ringtape_delta_plan ringtape_delta_plan_again(const struct catalogue_segment *segments,
                                                     uint32_t count, int64_t frontier);
// Are the segment's rows written by the plan?
bool ringtape_delta_wants(const struct ringtape_delta_plan *plan,
                          const struct catalogue_segment *segment);

// Every tape up to it is sealed: its rows are in segments. `tapes`: the unsealed ones, increasing.
int64_t ringtape_delta_frontier(const struct catalogue *catalogue, const uint32_t *tapes,
                                uint32_t tape_count);

// A compaction of what the table has: the greatest start at or below `from` that no segment's
// range lies across. False: the store does not hold these rows as the table does.
bool ringtape_delta_boundary(const struct catalogue_segment *segments, uint32_t count,
                             int64_t tape_known, int64_t messages_known, int64_t *from);

// Which files to compact: of files in the order of their tapes the newest, as long as none of them
// outweighs all newer ones together; the first of them, or `count` if that is less than two.
uint32_t ringtape_delta_tier(const int64_t *bytes, uint32_t count);

#endif
