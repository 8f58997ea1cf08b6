// SPDX-License-Identifier: Apache-2.0
//
// segment_parts: what the files that make up the reader of segments (segment.c, segment_rebuild.c,
// segment_verify.c) share, and what copies blocks takes from it (segment_writer.c). Not for others.
#ifndef RINGTAPE_FORMAT_SEGMENT_PARTS_H
#define RINGTAPE_FORMAT_SEGMENT_PARTS_H

#include "format/index_build.h"
#include "format/segment.h"
#include "format/segment_decode.h"

struct segment {
    struct source source;
    struct layout_segment header;
    uint64_t header_hash;
    const struct channel_schema *schema;
    struct layout_postscript postscript;
    enum segment_error footer_error;
    bool rebuilt;
    void *image; // own index, or NULL
    struct index index;
    struct segment_decoder decoder;
    uint8_t *room; // one block
    size_t room_size;
    enum segment_error room_error; // the last segment_get() that gave NULL
};

// `size` bytes at `offset` (*got: how many there are), valid until the next call; NULL: room_error.
const uint8_t *segment_get(struct segment *segment, uint64_t offset, size_t size, size_t *got);
// The bytes of block `block`, header and payload as their hashes say, valid until the next call;
// NULL: not so.
const uint8_t *segment_block_bytes(struct segment *segment, uint32_t block,
                                   struct layout_block *header);
// Opening goes on when header, header_hash and schema are set.
enum segment_error segment_open_behind_header(struct segment *segment, const void *index,
                                              size_t index_size);
// Makes the index of the segment: from the footer, or, where that is damaged, by walking the
// blocks.
enum segment_error segment_rebuild(struct segment *segment);
// Decodes the block at `offset` of `bytes` bytes.
enum segment_error segment_read_at(struct segment *segment, uint64_t offset, uint32_t bytes,
                                   uint64_t columns, struct layout_block *header);

#endif
