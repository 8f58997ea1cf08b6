// SPDX-License-Identifier: Apache-2.0
//
// index_build: collects blocks and symbols and makes the image of an index of them. Serves the
// segment's writer and whoever rebuilds an index from a segment.
//
// Ownership: the tables are allocated in index_build_open(); untouched parts of large ones cost
// nothing. Threading: one owner.
#ifndef RINGTAPE_FORMAT_INDEX_BUILD_H
#define RINGTAPE_FORMAT_INDEX_BUILD_H

#include "format/index.h"

struct index_build_limits {
    uint32_t blocks;
    uint32_t symbols;
    uint32_t name_bytes;
};

struct index_build {
    struct index_build_limits limits;
    struct layout_index_block *blocks;
    struct layout_index_zone *zones;
    struct layout_index_symbol *symbols;
    char *names;
    uint32_t block_count;
    uint32_t symbol_count;
    uint32_t name_bytes;
    uint64_t rows;
    int64_t time_min;
    int64_t time_max;
};

// Enough for any segment of `file_bytes`; UINT64_MAX: for any at all.
struct index_build_limits index_build_limits_of(uint64_t file_bytes);
int index_build_open(struct index_build *build, struct index_build_limits limits); // 0, -ENOMEM
void index_build_close(struct index_build *build);
// Adds a symbol without rows; its number, or SYMBOL_NONE when the tables are full.
uint32_t index_build_symbol(struct index_build *build, const void *name, uint32_t name_size);
// `rows` >= 1 rows of the symbol are in block `block` (not lower than any told before).
void index_build_rows(struct index_build *build, uint32_t symbol, uint32_t block, uint32_t rows,
                      int64_t time_min, int64_t time_max);
// Adds the next block. False: full.
bool index_build_block(struct index_build *build, const struct layout_block *header,
                       uint64_t offset);
struct event_text index_build_name(const struct index_build *build, uint32_t symbol);
size_t index_build_bytes(const struct index_build *build);
// Writes the image, index_build_bytes() long. `header` comes with what identifies the segment.
void index_build_image(const struct index_build *build, struct layout_index *header, void *out);

#endif
