// SPDX-License-Identifier: Apache-2.0
//
// segment_directory: what encoder and decoder of a block's payload share. docs/format.md "Block
// payload".
#ifndef RINGTAPE_FORMAT_SEGMENT_DIRECTORY_H
#define RINGTAPE_FORMAT_SEGMENT_DIRECTORY_H

#include "format/layout.h"

struct segment_directory {
    uint8_t id; // increasing within the block
    uint8_t codec;
    uint8_t presence; // segment_presence
    uint8_t scale;    // decimals
    uint32_t bytes;   // presence bitmap included
};
LAYOUT_AT(segment_directory, id, 0);
LAYOUT_AT(segment_directory, codec, 1);
LAYOUT_AT(segment_directory, presence, 2);
LAYOUT_AT(segment_directory, scale, 3);
LAYOUT_AT(segment_directory, bytes, 4);
LAYOUT_SIZE(segment_directory, 8);

enum { SEGMENT_DIRECTORY_MAX = 80 };

enum segment_presence {
    SEGMENT_PRESENCE_ALL = 0,
    SEGMENT_PRESENCE_BITMAP = 1, // a bit a row before the values
    SEGMENT_PRESENCE_ZSTD = 2,   // varint size, then the bitmap as one frame
};

#endif
