// SPDX-License-Identifier: Apache-2.0
//
// segment_builder: the rows of one block in the making, and their bytes when it is full.
//
// Ownership: memory is allocated in segment_builder_open(). Threading: one owner.
#ifndef RINGTAPE_FORMAT_SEGMENT_BUILDER_H
#define RINGTAPE_FORMAT_SEGMENT_BUILDER_H

#include "format/column_codec.h"
#include "format/column_recipe.h"
#include "format/index_build.h"
#include "format/segment.h"
#include "format/segment_scale.h"

enum {
    // A block is closed before its texts exceed this, unless one row alone does.
    BUILDER_TEXT_BYTES = 1 << 20,
};

struct segment_builder {
    const struct channel_schema *schema;
    bool provenance;           // rows carry (tape, row)
    struct rows rows;          // symbol[]: numbers of the segment
    uint32_t *tape;            // [SEGMENT_BLOCK_ROWS_MAX]
    uint64_t *row;             // [SEGMENT_BLOCK_ROWS_MAX]
    struct scale_track scales[EVENT_COLUMNS_MAX];
    struct scale_track level_price;
    struct scale_track level_quantity;
    bool scale_per_level; // the levels of the only row share no scale
    bool closed;          // takes no more rows
    void *memory;
    enum column_level level;
    struct model_frame frame;
    // Values at the block's scale, absent ones left out.
    int64_t *columns;        // [column_count + 3][SEGMENT_BLOCK_ROWS_MAX]
    int64_t *level_columns;  // [5][SEGMENT_BLOCK_LEVELS_MAX], or NULL
    uint32_t *before;        // [2][SEGMENT_BLOCK_LEVELS_MAX], or NULL
    uint32_t counts[EVENT_COLUMNS_MAX]; // values that a column has
    uint8_t *bytes;       // scratch, [longest column or text]
    struct column_scratch *codec;
};

// 0 or -ENOMEM.
int segment_builder_open(struct segment_builder *builder, const struct channel_schema *schema,
                         enum column_level level);
void segment_builder_close(struct segment_builder *builder);
void segment_builder_clear(struct segment_builder *builder);
// Takes rows index[0 ... count) of `source` for symbol number `symbol`; returns how many fit. 0:
// the block is full. An empty block takes at least one row. provenance: [count], or NULL.
uint32_t segment_builder_add(struct segment_builder *builder, const struct rows *source,
                             const uint32_t *index, uint32_t count, uint32_t symbol,
                             const struct segment_provenance *provenance);
// Room that a block always fits in, what encoding needs on the way included.
size_t segment_builder_bytes_max(const struct segment_builder *builder);
// Writes header and payload to `out`; `header` comes with salt, number and previous_hash and leaves
// complete; the names of the symbols are those of `build`. Returns the bytes.
size_t segment_builder_encode(struct segment_builder *builder, const struct index_build *build,
                              struct layout_block *header, uint8_t *out);

#endif
