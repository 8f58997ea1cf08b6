// SPDX-License-Identifier: GPL-3.0-or-later
//
// gather: rows of one tape, collected by channel and put in the order of segments: UTC day of
// `time`, symbols with few rows first (they share blocks), symbol name, order of arrival. Pure
// computing.
//
// A channel that is full is written out as segments and emptied; the tape goes on after that. So
// memory does not depend on the tape.
//
// Ownership: memory is mapped in gather_open(), touched as it is used, and given back to the
// system by gather_rest(). Threading: belongs to the sealer.
#ifndef RINGTAPE_KEEP_GATHER_H
#define RINGTAPE_KEEP_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/symbols.h"
#include "format/rows.h"
#include "format/segment.h"
#include "format/tape.h"

enum { // of one channel, until it is written out
    GATHER_ROWS_MAX = 98304,
    GATHER_ROWS_SLOW_MAX = 16384, // ticker, kline, status, instrument, raw, book
    GATHER_LEVELS_MAX = 3 << 18,
    GATHER_TEXT_BYTES_MAX = 2 << 20,
    GATHER_TEXT_BYTES_WIDE_MAX = 16 << 20, // raw, instrument
    GATHER_SYMBOLS_MAX = 65536, // of one tape
};

struct gather_run { // consecutive rows of one day and symbol in the order
    int32_t day;
    uint32_t symbol;
    uint32_t first;
    uint32_t count;
};

struct gather {
    struct rows rows[CHANNEL_COUNT];
    uint64_t *row_number[CHANNEL_COUNT]; // of each row in the tape
    uint32_t tape;
    struct symbols *symbols;
    uint32_t *map;       // symbol numbers of the batch → ours
    uint32_t map_count;
    uint32_t next[CHANNEL_COUNT]; // rows of the current batch already taken
    // The order of one channel, by gather_sort().
    enum channel sorted;
    uint32_t *order;     // [rows]
    struct gather_run *runs;
    uint32_t run_count;
    uint32_t run;        // being fed
    uint32_t run_end;    // first run of the next day
    uint32_t fed;        // rows of the run already fed
    bool announced;
    bool split;          // the segment was full: the day goes on in another
    uint32_t *counts;    // scratch of sorting, [GATHER_SYMBOLS_MAX + 1]
    uint32_t *ranked;    // scratch: symbols in order
    uint32_t *scratch;   // scratch: [rows]
    void *memory;
    size_t memory_bytes;
};

// 0 or -ENOMEM.
int gather_open(struct gather *gather);
void gather_close(struct gather *gather);
void gather_begin(struct gather *gather, uint32_t tape);
// Forgets what is gathered and gives the memory of all rows back to the system.
void gather_rest(struct gather *gather);

// A batch of the tape, not yet taken, without its first `rows_before` rows: those were taken with
// an earlier revision of it. False: its symbols cannot be held (a tape with absurd names).
bool gather_batch(struct gather *gather, const struct tape_batch *batch, uint32_t rows_before);
// Takes rows of it. CHANNEL_NONE: all are taken; otherwise the channel that must be written first.
enum channel gather_take(struct gather *gather, const struct tape_batch *batch);

// Puts a channel's rows in order. False when it has none.
bool gather_sort(struct gather *gather, enum channel channel);
// The next day of the sorted channel, or the same once more where one segment could not hold it;
// false when none is left.
bool gather_day(struct gather *gather, int32_t *day);
// Rows of the days to come.
uint64_t gather_left(const struct gather *gather);
// segment_output_feed of that day.
bool gather_feed(void *context, struct segment_writer *writer, int *failure);
void gather_empty(struct gather *gather, enum channel channel);

#endif
