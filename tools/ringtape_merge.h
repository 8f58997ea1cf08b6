// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_merge: the rows of one symbol from several segments of one day, in order of `time`; rows
// of equal time in order of arrival.
//
// A block is decoded when the merge reaches its earliest time (known from the index) and dropped
// when it is used up; of the mapped file only what is being read stays in memory. So many blocks as
// the bounds below say can be open at once; if more overlap, rows come out of order (the
// caller sees it by their times): memory stays bounded.
//
// Ownership: the opened segments are the caller's. Threading: one owner.
#ifndef RINGTAPE_TOOLS_RINGTAPE_MERGE_H
#define RINGTAPE_TOOLS_RINGTAPE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/segment.h"
#include "tools/ringtape_files.h"

enum {
    RINGTAPE_MERGE_CURSORS = 32,
    RINGTAPE_MERGE_CURSORS_LEVELS = 12, // a block with levels takes up to 8 MB
    RINGTAPE_MERGE_CURSORS_RAW = 6,     // one with whole messages up to 16 MB
};

struct ringtape_merge_entry { // a row of a block, by time
    int64_t time_ns;
    uint32_t index;
};

// One block being read, through a reader of its own.
struct ringtape_merge_cursor {
    struct segment *reader;
    uint32_t segment; // that the reader is open on
    uint32_t number;  // of the block: arrival rank within the segment
    bool loaded;      // the reader holds that block
    bool active;
    struct segment_block block;
    struct ringtape_merge_entry *entries; // [SEGMENT_BLOCK_ROWS_MAX] where rows must be picked
    const int64_t *times; // where they are all wanted and in order: their times; else NULL
    uint32_t count;
    uint32_t next;
};

struct ringtape_merge_block { // still to be read
    int64_t time_min;
    uint32_t segment;
    uint32_t number;
    uint32_t symbol;
};

struct ringtape_merge {
    const struct ringtape_segment *segments; // in order of arrival
    uint32_t segment_count;
    int64_t time_from, time_to; // [from, to)
    struct ringtape_merge_block *blocks;
    size_t block_count, block_next, block_capacity;
    uint32_t cursor_count;
    struct ringtape_merge_cursor cursors[RINGTAPE_MERGE_CURSORS];
    uint64_t damages; // blocks that could not be read, told on standard error
};

// Rows that follow each other in the order of times and in the block.
struct ringtape_merge_run {
    const struct rows *rows;
    uint32_t first, count;
    int64_t time_first, time_last;
    const uint32_t *tape; // by row of `rows`, or NULL: unknown; a 0 is unknown, too
    const uint64_t *tape_row;
};

// Large. 0 or -ENOMEM.
int ringtape_merge_open(struct ringtape_merge *merge, const struct channel_schema *schema,
                        const struct ringtape_segment *segments, uint32_t segment_count,
                        int64_t time_from, int64_t time_to);
void ringtape_merge_close(struct ringtape_merge *merge);

// Begins a symbol: forgets the one before.
void ringtape_merge_start(struct ringtape_merge *merge);
// Its number within a segment (SYMBOL_NONE: rows without symbol), for each segment that has it. 0
// or -ENOMEM.
int ringtape_merge_add(struct ringtape_merge *merge, uint32_t segment, uint32_t symbol);
// After the last one was added.
void ringtape_merge_ready(struct ringtape_merge *merge);
// 1: `run` is what comes next, valid until the next call; 0: the end; -ENOMEM.
int ringtape_merge_next(struct ringtape_merge *merge, struct ringtape_merge_run *run);

#endif
