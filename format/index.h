// SPDX-License-Identifier: Apache-2.0
//
// index: where a segment's blocks are and what is in them, without decoding: fixed entries of 64
// bytes, read in place from a mapped file. Derived from the segment and rebuilt when it does not
// fit.
//
// Image: header (128 bytes), block entries, zone entries, symbol entries (64 bytes each), names.
#ifndef RINGTAPE_FORMAT_INDEX_H
#define RINGTAPE_FORMAT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"
#include "format/layout.h"

enum { INDEX_SYMBOL_SHARED = 0xfffffffe }; // layout_index_block.symbol: rows of several symbols

struct index {
    const struct layout_index *header;
    const struct layout_index_block *blocks;   // [block_count] in file order
    const struct layout_index_zone *zones;     // [block_count]
    const struct layout_index_symbol *symbols; // [symbol_count], each once
    const char *names;
    uint32_t block_count;
    uint32_t symbol_count;
};

// Views `bytes` (aligned to 8) in place. False when anything in it is impossible or its hashes are
// wrong; then nothing was stored.
bool index_open(struct index *index, const void *bytes, size_t size);
// Number of the symbol or SYMBOL_NONE. The empty name stands for rows without symbol.
uint32_t index_find(const struct index *index, const void *name, uint32_t name_size);
struct event_text index_name(const struct index *index, uint32_t symbol);
// True if the block may hold rows with times in [time_min, time_max].
bool index_overlaps(const struct index *index, uint32_t block, int64_t time_min, int64_t time_max);

#endif
