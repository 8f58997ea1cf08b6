// SPDX-License-Identifier: Apache-2.0
//
// segment_footer: the end of a segment: symbols, blocks, postscript. docs/format.md "Footer".
//
//     u64      magic
//     u32 u32  symbols, blocks
//     symbols  varint rows; if not 0: zigzag time_min, varint time_max - time_min, varint first
//              block, varint blocks; u8 name length, name
//     blocks   u32 bytes (header and payload), u32 rows, u64 header hash; the first lies behind the
//              segment's header, each other behind the one before
//
// Then the postscript (layout.h), the last 64 bytes of the file.
#ifndef RINGTAPE_FORMAT_SEGMENT_FOOTER_H
#define RINGTAPE_FORMAT_SEGMENT_FOOTER_H

#include "format/index_build.h"
#include "format/segment.h"

size_t segment_footer_bytes_max(const struct index_build *build);
// Footer and postscript. `file_hash`: of the `offset` bytes before. Returns the bytes.
size_t segment_footer_write(const struct index_build *build, uint64_t salt, uint64_t offset,
                            uint64_t file_hash, uint8_t *out);

// Checks the last bytes of the file of `file_bytes`.
enum segment_error segment_postscript_read(const uint8_t bytes[64], uint64_t file_bytes,
                                           uint64_t salt, struct layout_postscript *postscript);

struct segment_footer_block {
    uint32_t bytes;
    uint32_t rows;
    uint64_t hash;
};
// Adds the footer's symbols to an empty `build`; `blocks` gets a table to be freed, with *count
// entries.
enum segment_error segment_footer_read(const uint8_t *bytes, size_t size,
                                       struct index_build *build,
                                       struct segment_footer_block **blocks, uint32_t *count);

#endif
