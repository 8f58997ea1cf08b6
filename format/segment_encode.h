// SPDX-License-Identifier: Apache-2.0
//
// segment_encode: the columns of a block being built → directory and bytes. docs/format.md
// "Blocks".
#ifndef RINGTAPE_FORMAT_SEGMENT_ENCODE_H
#define RINGTAPE_FORMAT_SEGMENT_ENCODE_H

#include "format/segment_builder.h"

// Writes directory and columns; returns the byte behind them. `header`: flags and symbol are known;
// gets the number of columns.
uint8_t *segment_encode_columns(struct segment_builder *builder, struct layout_block *header,
                                uint8_t *out);

#endif
