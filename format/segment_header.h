// SPDX-License-Identifier: Apache-2.0
//
// segment_header: the start of a segment: what it is and the columns its blocks may have.
//
// Behind struct layout_segment, for each column: u8 number, u8 type, u8 decimal kind, u8 flags (1:
// nullable), u8 name length, name. Zeros to a multiple of 8, then the hash. docs/format.md.
#ifndef RINGTAPE_FORMAT_SEGMENT_HEADER_H
#define RINGTAPE_FORMAT_SEGMENT_HEADER_H

#include "format/segment.h"

enum { SEGMENT_HEADER_BYTES_MAX = 8192 };

// Writes the header (at most SEGMENT_HEADER_BYTES_MAX); returns its bytes.
size_t segment_header_write(const struct segment_description *what, uint8_t *out);
// Reads and checks it; `hash` is what block 0 is chained to.
enum segment_error segment_header_read(const uint8_t *bytes, size_t size,
                                       struct layout_segment *header, uint64_t *hash);

#endif
