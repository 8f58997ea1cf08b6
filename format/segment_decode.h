// SPDX-License-Identifier: Apache-2.0
//
// segment_decode: bytes of one block → rows. Nothing in the bytes is trusted.
//
// Ownership: the decoder's memory grows to the largest block decoded and is kept. Threading: one
// owner.
#ifndef RINGTAPE_FORMAT_SEGMENT_DECODE_H
#define RINGTAPE_FORMAT_SEGMENT_DECODE_H

#include "format/column_codec.h"
#include "format/segment.h"
#include "format/segment_directory.h"

struct segment_decoder {
    const struct channel_schema *schema;
    struct column_scratch *codec;
    struct rows rows;
    void *memory;
    size_t memory_size;
    uint32_t *tape;   // [SEGMENT_BLOCK_ROWS_MAX]
    uint64_t *row;    // [SEGMENT_BLOCK_ROWS_MAX]
    int64_t *values;  // [longest column]
    uint8_t *bits;    // [SEGMENT_BLOCK_ROWS_MAX]
    int64_t *symbols; // [SEGMENT_BLOCK_ROWS_MAX] column 64 of a shared block
    int64_t *sides;   // [SEGMENT_BLOCK_LEVELS_MAX] column 70, or NULL
    uint32_t *before; // [2][SEGMENT_BLOCK_LEVELS_MAX], or NULL
    struct model_frame frame;
    uint8_t *text;    // [text_size] texts column by column
    size_t text_size;
    const uint8_t *text_of[EVENT_TEXTS_MAX];
    struct segment_column columns[SEGMENT_DIRECTORY_MAX];
    const uint8_t *column_bytes[SEGMENT_DIRECTORY_MAX];
    uint8_t column_state[SEGMENT_DIRECTORY_MAX]; // decode_state
    uint8_t column_of[256]; // place in columns[] by id, or SEGMENT_DIRECTORY_MAX
    uint32_t column_count;
    uint64_t wanted;
    uint64_t later;  // bit c: of the wanted columns those that segment_decode_row() reads
    uint32_t needed; // of the columns read now the first rows count
    uint64_t in_all_rows; // bit c: column c is wanted, read, and has a value in every row
    uint64_t filled;      // bit c: cells of column c are written
    size_t text_used;
    uint64_t unknown_columns;
    bool unknown_levels;
    // The names of the block, one behind the other, point into its payload.
    const uint8_t *name_lengths;
    const uint8_t *names;
};

// 0 or -ENOMEM.
int segment_decoder_open(struct segment_decoder *decoder, const struct channel_schema *schema);
void segment_decoder_close(struct segment_decoder *decoder);
// Checks hash and fields of a header. `salt`: of the segment.
enum segment_error segment_block_header(const uint8_t *bytes, size_t size, uint64_t salt,
                                        struct layout_block *header);
// Name number `index` (< header->symbols) of the block decoded last.
struct event_text segment_decoder_name(const struct segment_decoder *decoder, uint32_t index);
// Header and payload of a block. The rows are decoder->rows, with symbol numbers of the segment;
// SYMBOL_NONE where the name is empty.
enum segment_error segment_decode(struct segment_decoder *decoder, const uint8_t *bytes,
                                  size_t size, const struct layout_block *header,
                                  uint64_t columns);
// In two steps, for one row of a block that the values of some columns tell. First `columns` are
// read as above, but those of `later`; cells of these are undefined.
enum segment_error segment_decode_some(struct segment_decoder *decoder, const uint8_t *bytes,
                                       size_t size, const struct layout_block *header,
                                       uint64_t columns, uint64_t later);
// Then the rest of that block, as far as row number `row` needs it: that row is whole, others are
// not. What lies behind it in a column is not checked, beyond the hash of the block.
enum segment_error segment_decode_row(struct segment_decoder *decoder,
                                      const struct layout_block *header, uint32_t row);

#endif
