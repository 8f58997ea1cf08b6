// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_output: rows of one symbol's channel → sealed segments, a UTC day each, and the
// status rows about them → one handover. All of it or nothing becomes part of the store.
//
//     backfill_output_begin → backfill_output_append … → backfill_output_hand_over
//                                                     or backfill_output_abandon
//
// Memory: one open segment writer. Threading: main thread. Functions give 0 or RINGTAPE_EXIT_IO,
// the error told; after one only backfill_output_abandon() may follow.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_OUTPUT_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_OUTPUT_H

#include <stdint.h>

#include "format/rows.h"
#include "format/segment.h"
#include "tools/ringtape_backfill_hold.h"

enum {
    BACKFILL_SYMBOL_BYTES_MAX = 63, // "binance:BTCUSDT"
    BACKFILL_DETAIL_BYTES_MAX = 127,
    BACKFILL_RUNS_MAX = 65536,      // of one file
    BACKFILL_SEGMENTS_MAX = 64,     // of one handover, as the sealer takes it: a month and more
};

// Positions without a gap between: ids, or times where there are none.
struct backfill_run {
    int64_t first, last;
    bool ids; // the positions are ids
    int64_t from_ns, to_ns;
    uint64_t rows; // stored by this run: what was there already does not count
};

struct backfill_output {
    struct backfill_hold *hold;
    char symbol[BACKFILL_SYMBOL_BYTES_MAX + 1];
    enum channel channel;
    struct segment_writer *writer; // NULL: none open
    int file;
    uint64_t written;
    struct catalogue_segment segment; // being written
    struct catalogue listed;          // complete ones
    uint64_t rows, bytes;
};

int backfill_output_begin(struct backfill_output *output, struct backfill_hold *hold,
                          const char *symbol, enum channel channel);
// rows [first, first + count) are of one UTC day, in the order that they shall have.
int backfill_output_append(struct backfill_output *output, const struct rows *rows, uint32_t first,
                           uint32_t count, int32_t day);
// The rows become durable, with a status row for each run; then they are handed over. `detail`:
// where they came from. Ends the output.
int backfill_output_hand_over(struct backfill_output *output, const struct backfill_run *runs,
                              uint32_t run_count, const char *detail);
// Removes what was written. Ends the output.
void backfill_output_abandon(struct backfill_output *output);

#endif
