// SPDX-License-Identifier: Apache-2.0
//
// segment_decode_parts: what segment_decode.c and segment_decode_column.c share. Not for others.
#ifndef RINGTAPE_FORMAT_SEGMENT_DECODE_PARTS_H
#define RINGTAPE_FORMAT_SEGMENT_DECODE_PARTS_H

#include "format/segment_decode.h"

enum decode_state {
    DECODE_WAITING,
    DECODE_BEGUN, // a column that needs this one now needs itself
    DECODE_DONE,
};

static inline bool decoder_has(const struct segment_decoder *decoder, unsigned id)
{
    return decoder->column_of[id] != SEGMENT_DIRECTORY_MAX;
}

// Column `c` of the directory, and first those that it needs, unless done before.
enum segment_error decode_column(struct segment_decoder *decoder,
                                 const struct layout_block *header, uint32_t c);
// Texts lie by column in the block and by row in memory.
bool decode_place_texts(struct segment_decoder *decoder);

#endif
