// SPDX-License-Identifier: Apache-2.0
//
// The index of a segment from the segment.
//
// With a good footer: its symbol table, and each block's header, read one by one. A block whose
// header is damaged gets an entry with the widest ranges, so that whoever could need it meets the
// damage.
//
// Without: the blocks describe themselves. From the end of the header on, each block is decoded and
// its symbols noted; where none begins, the next magic number with a right header is searched for.
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment_footer.h"
#include "format/segment_parts.h"

enum { WALK_WINDOW_BYTES = 1 << 16 };

static enum segment_error rebuild_image(struct segment *segment, const struct index_build *build,
                                        uint64_t footer_hash)
{
    struct layout_index header = {
        .salt = segment->header.salt,
        .file_bytes = segment->source.size,
        .footer_hash = footer_hash,
        .number = segment->header.number,
        .day = segment->header.day,
        .channel = segment->header.channel,
    };
    size_t bytes = index_build_bytes(build);
    segment->image = malloc(bytes);
    if (!segment->image)
        return SEGMENT_NO_MEMORY;
    index_build_image(build, &header, segment->image);
    return index_open(&segment->index, segment->image, bytes) ? SEGMENT_GOOD : SEGMENT_BAD_FOOTER;
}

// ---- from the footer ----

static enum segment_error footer_block_header(struct segment *segment, uint64_t offset,
                                              const struct segment_footer_block *block,
                                              struct layout_block *header, bool *good)
{
    size_t got;
    const uint8_t *bytes = segment_get(segment, offset, LAYOUT_SECTOR, &got);
    if (!bytes)
        return segment->room_error;
    *good = segment_block_header(bytes, got, segment->header.salt, header) == SEGMENT_GOOD &&
            header->hash == block->hash &&
            header->header_bytes + header->payload_bytes == block->bytes;
    return SEGMENT_GOOD;
}

static enum segment_error footer_block(struct segment *segment, struct index_build *build,
                                       const struct segment_footer_block *block, uint64_t offset)
{
    struct layout_block header;
    bool good;
    uint32_t tries = 0;
    enum segment_error error = footer_block_header(segment, offset, block, &header, &good);
    while (error == SEGMENT_GOOD && !good && source_again(&segment->source, &tries))
        error = footer_block_header(segment, offset, block, &header, &good);
    if (error != SEGMENT_GOOD)
        return error;
    if (!good) {
        header = (struct layout_block){
            .header_bytes = LAYOUT_HEADER_BYTES,
            .payload_bytes = block->bytes - LAYOUT_HEADER_BYTES,
            .rows = block->rows,
            .flags = LAYOUT_BLOCK_SHARED,
            .time_min = INT64_MIN,
            .time_max = INT64_MAX,
            .id_min = INT64_MIN,
            .id_max = INT64_MAX,
            .price_min = INT64_MIN,
            .price_max = INT64_MAX,
            .hash = block->hash,
        };
    }
    return index_build_block(build, &header, offset) ? SEGMENT_GOOD : SEGMENT_BAD_FOOTER;
}

static enum segment_error footer_blocks(struct segment *segment, struct index_build *build,
                                        const struct segment_footer_block *blocks, uint32_t count)
{
    uint64_t offset = segment->header.header_bytes;
    for (uint32_t b = 0; b < count; b++) {
        if (blocks[b].bytes < LAYOUT_HEADER_BYTES || blocks[b].bytes > SEGMENT_BLOCK_BYTES_MAX ||
            offset + blocks[b].bytes > segment->postscript.footer_offset)
            return SEGMENT_BAD_FOOTER;
        enum segment_error error = footer_block(segment, build, &blocks[b], offset);
        if (error != SEGMENT_GOOD)
            return error;
        offset += blocks[b].bytes;
    }
    return offset == segment->postscript.footer_offset ? SEGMENT_GOOD : SEGMENT_BAD_FOOTER;
}

static enum segment_error rebuild_from_footer(struct segment *segment, struct index_build *build)
{
    const struct layout_postscript *postscript = &segment->postscript;
    struct segment_footer_block *blocks;
    uint32_t count;
    size_t got;
    if (postscript->footer_bytes > SIZE_MAX)
        return SEGMENT_BAD_FOOTER;
    const uint8_t *bytes = segment_get(segment, postscript->footer_offset,
                                       (size_t)postscript->footer_bytes, &got);
    if (!bytes)
        return segment->room_error;
    if (got != postscript->footer_bytes || XXH3_64bits(bytes, got) != postscript->footer_hash)
        return SEGMENT_BAD_FOOTER;
    enum segment_error error = segment_footer_read(bytes, got, build, &blocks, &count);
    if (error == SEGMENT_GOOD)
        error = footer_blocks(segment, build, blocks, count);
    free(blocks);
    if (error != SEGMENT_GOOD)
        return error;
    return rebuild_image(segment, build, postscript->footer_hash);
}

// ---- by walking ----

// The first good block header at or behind `from`. False: none.
static bool walk_find(struct segment *segment, uint64_t from, uint64_t *offset,
                      struct layout_block *header)
{
    const uint64_t magic = LAYOUT_BLOCK_MAGIC;
    uint64_t at = from;
    while (at < segment->source.size) {
        size_t got;
        const uint8_t *bytes = segment_get(segment, at, WALK_WINDOW_BYTES, &got);
        if (!bytes || got < LAYOUT_HEADER_BYTES)
            return false;
        const uint8_t *found = memmem(bytes, got, &magic, sizeof magic);
        if (!found) {
            at += got - sizeof magic + 1;
            continue;
        }
        size_t before = (size_t)(found - bytes);
        if (before != 0 && got - before < LAYOUT_SECTOR && got == WALK_WINDOW_BYTES) {
            at += before; // the header may be cut by the window
            continue;
        }
        if (segment_block_header(found, got - before, segment->header.salt, header) ==
            SEGMENT_GOOD) {
            *offset = at + before;
            return true;
        }
        at += before + 1;
    }
    return false;
}

// The index's number of each of the block's symbols, `first` + 0 ...; they are numbered as they
// were written, and a symbol whose blocks are all lost has an empty name and no rows.
static bool walk_symbols(struct segment *segment, struct index_build *build,
                         const struct layout_block *header)
{
    const struct segment_decoder *decoder = &segment->decoder;
    const uint8_t *at = decoder->names;
    while (build->symbol_count < header->symbol) {
        if (index_build_symbol(build, "", 0) == SYMBOL_NONE)
            return false;
    }
    for (uint32_t s = 0; s < header->symbols; s++) {
        uint32_t size = decoder->name_lengths[s];
        uint32_t number = header->symbol + s;
        if (number == build->symbol_count && index_build_symbol(build, at, size) == SYMBOL_NONE)
            return false;
        struct event_text name = index_build_name(build, number);
        if (name.size != size || (size != 0 && memcmp(name.bytes, at, size) != 0))
            return false;
        at += size;
    }
    return true;
}

static bool walk_rows(struct segment *segment, struct index_build *build,
                      const struct layout_block *header)
{
    const struct rows *rows = &segment->decoder.rows;
    for (uint32_t r = 0; r < rows->count; r++) {
        uint32_t symbol = rows->symbol[r];
        for (uint32_t s = 0; symbol == SYMBOL_NONE && s < header->symbols; s++) {
            if (segment->decoder.name_lengths[s] == 0)
                symbol = header->symbol + s;
        }
        int64_t time = rows_time_ns(rows, r);
        index_build_rows(build, symbol, build->block_count, 1, time, time);
    }
    return true;
}

static enum segment_error rebuild_by_walking(struct segment *segment, struct index_build *build)
{
    uint64_t at = segment->header.header_bytes;
    uint64_t offset;
    struct layout_block header;
    while (walk_find(segment, at, &offset, &header)) {
        uint32_t bytes = header.header_bytes + header.payload_bytes;
        enum segment_error error =
            segment_read_at(segment, offset, bytes, UINT64_MAX, &header);
        if (error == SEGMENT_NO_MEMORY || error == SEGMENT_READ_FAILED)
            return error;
        bool good = error == SEGMENT_GOOD && walk_symbols(segment, build, &header) &&
                    walk_rows(segment, build, &header) &&
                    index_build_block(build, &header, offset);
        at = good ? offset + bytes : offset + 1;
    }
    return rebuild_image(segment, build, 0);
}

enum segment_error segment_rebuild(struct segment *segment)
{
    struct index_build build;
    struct index_build_limits limits = index_build_limits_of(segment->source.size);
    if (index_build_open(&build, limits) != 0)
        return SEGMENT_NO_MEMORY;
    enum segment_error error = segment->footer_error;
    if (error == SEGMENT_GOOD) {
        error = rebuild_from_footer(segment, &build);
        segment->footer_error = error;
    }
    if (error != SEGMENT_GOOD && error != SEGMENT_NO_MEMORY && error != SEGMENT_READ_FAILED) {
        free(segment->image);
        segment->image = NULL;
        index_build_close(&build);
        if (index_build_open(&build, limits) != 0)
            return SEGMENT_NO_MEMORY;
        error = rebuild_by_walking(segment, &build);
    }
    index_build_close(&build);
    return error;
}
