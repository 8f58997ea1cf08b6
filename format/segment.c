// SPDX-License-Identifier: Apache-2.0
//
// Opening: header, postscript, then an index: the given one if it belongs to this file (same salt,
// size and footer hash), else one rebuilt from the file. After that a block is one read and one
// decode.
#include "format/segment.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment_footer.h"
#include "format/segment_header.h"
#include "format/segment_parts.h"

enum { SEGMENT_ROOM_MIN = 1 << 16 };

const char *segment_error_text(enum segment_error error)
{
    static const char *const texts[] = {
        [SEGMENT_GOOD] = "good",
        [SEGMENT_SHORT] = "the file ends too early",
        [SEGMENT_NO_MAGIC] = "no header here",
        [SEGMENT_BAD_HASH] = "header damaged (its hash is wrong)",
        [SEGMENT_NEWER] = "written by a newer version",
        [SEGMENT_BAD_HEADER] = "header has impossible fields",
        [SEGMENT_BAD_PAYLOAD] = "payload damaged (its hash is wrong)",
        [SEGMENT_BAD_CONTENT] = "payload has impossible content",
        [SEGMENT_BAD_CHAIN] = "not the block that belongs here",
        [SEGMENT_BAD_FOOTER] = "footer damaged",
        [SEGMENT_BAD_INDEX] = "index damaged or of another file",
        [SEGMENT_BAD_FILE_HASH] = "the hash over the file is wrong",
        [SEGMENT_BAD_ORDER] = "rows do not agree with header, footer or day",
        [SEGMENT_OTHER] = "another segment lies in its place",
        [SEGMENT_READ_FAILED] = "reading failed",
        [SEGMENT_NO_MEMORY] = "out of memory",
    };
    ensure((size_t)error < sizeof texts / sizeof texts[0]);
    return texts[error];
}

const uint8_t *segment_get(struct segment *segment, uint64_t offset, size_t size, size_t *got)
{
    if (!segment->source.bytes && size > segment->room_size) {
        size_t room_size = size < SEGMENT_ROOM_MIN ? SEGMENT_ROOM_MIN : size;
        uint8_t *room = realloc(segment->room, room_size);
        if (!room) {
            segment->room_error = SEGMENT_NO_MEMORY;
            return NULL;
        }
        segment->room = room;
        segment->room_size = room_size;
    }
    int64_t result;
    const uint8_t *bytes = source_get(&segment->source, offset, size, segment->room, &result);
    *got = result < 0 ? 0 : (size_t)result;
    segment->room_error = SEGMENT_READ_FAILED;
    return bytes;
}

// ---- opening ----

static enum segment_error open_header(struct segment *segment)
{
    size_t got;
    const uint8_t *bytes = segment_get(segment, 0, SEGMENT_HEADER_BYTES_MAX, &got);
    if (!bytes)
        return segment->room_error;
    enum segment_error error =
        segment_header_read(bytes, got, &segment->header, &segment->header_hash);
    if (error != SEGMENT_GOOD)
        return error;
    segment->schema = channel_schema((enum channel)segment->header.channel);
    return segment->schema ? SEGMENT_GOOD : SEGMENT_NEWER;
}

static enum segment_error open_postscript(struct segment *segment)
{
    size_t got;
    uint64_t size = segment->source.size;
    if (size < sizeof segment->postscript)
        return SEGMENT_BAD_FOOTER;
    const uint8_t *bytes = segment_get(segment, size - sizeof segment->postscript,
                                       sizeof segment->postscript, &got);
    if (!bytes)
        return segment->room_error;
    if (got != sizeof segment->postscript)
        return SEGMENT_BAD_FOOTER;
    return segment_postscript_read(bytes, size, segment->header.salt, &segment->postscript);
}

// An index that fits is as good as the footer, even where the footer is damaged.
static bool open_given_index(struct segment *segment, const void *index, size_t index_size)
{
    if (!index || ((uintptr_t)index & 7) != 0 || !index_open(&segment->index, index, index_size))
        return false;
    const struct layout_index *header = segment->index.header;
    return header->salt == segment->header.salt && header->file_bytes == segment->source.size &&
           header->channel == segment->header.channel &&
           (segment->footer_error != SEGMENT_GOOD ||
            header->footer_hash == segment->postscript.footer_hash);
}

enum segment_error segment_open_behind_header(struct segment *segment, const void *index,
                                              size_t index_size)
{
    if (segment->decoder.schema != segment->schema) { // not that of the file before
        segment_decoder_close(&segment->decoder);
        if (segment_decoder_open(&segment->decoder, segment->schema) != 0)
            return SEGMENT_NO_MEMORY;
    }
    segment->footer_error = open_postscript(segment);
    if (segment->footer_error == SEGMENT_READ_FAILED || segment->footer_error == SEGMENT_NEWER ||
        segment->footer_error == SEGMENT_NO_MEMORY)
        return segment->footer_error;
    if (open_given_index(segment, index, index_size))
        return SEGMENT_GOOD;
    segment->rebuilt = true;
    return segment_rebuild(segment);
}

static enum segment_error open_parts(struct segment *segment, const void *index,
                                     size_t index_size)
{
    enum segment_error error = open_header(segment);
    return error == SEGMENT_GOOD ? segment_open_behind_header(segment, index, index_size) : error;
}

// Read again, it may be another answer.
static bool is_doubtful(enum segment_error error)
{
    return error != SEGMENT_GOOD && error != SEGMENT_NEWER && error != SEGMENT_NO_MEMORY;
}

static enum segment_error open_sure(struct segment *segment, const void *index, size_t index_size)
{
    uint32_t tries = 0;
    enum segment_error error = open_parts(segment, index, index_size);
    while ((is_doubtful(error) || is_doubtful(segment->footer_error)) &&
           source_again(&segment->source, &tries)) {
        free(segment->image);
        segment->image = NULL;
        segment->footer_error = SEGMENT_GOOD;
        error = open_parts(segment, index, index_size);
    }
    return error;
}

enum segment_error segment_open(struct segment **opened, const struct source *source,
                                const void *index, size_t index_size)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (!segment)
        return SEGMENT_NO_MEMORY;
    segment->source = *source;
    enum segment_error error = open_sure(segment, index, index_size);
    if (error != SEGMENT_GOOD) {
        segment_close(segment);
        return error;
    }
    ensure(segment->index.header);
    *opened = segment;
    return SEGMENT_GOOD;
}

enum segment_error segment_reopen(struct segment **opened, const struct source *source,
                                  const void *index, size_t index_size)
{
    struct segment *segment = *opened;
    if (!segment)
        return segment_open(opened, source, index, index_size);
    free(segment->image);
    *segment = (struct segment){.source = *source,
                                .decoder = segment->decoder,
                                .room = segment->room,
                                .room_size = segment->room_size};
    enum segment_error error = open_sure(segment, index, index_size);
    if (error == SEGMENT_GOOD)
        return SEGMENT_GOOD;
    segment_close(segment);
    *opened = NULL;
    return error;
}

void segment_close(struct segment *segment)
{
    if (!segment)
        return;
    segment_decoder_close(&segment->decoder);
    free(segment->image);
    free(segment->room);
    free(segment);
}

const struct layout_segment *segment_header(const struct segment *segment)
{
    return &segment->header;
}

bool segment_is(const struct segment *segment, uint32_t number, int32_t day, enum channel channel)
{
    const struct layout_segment *header = &segment->header;
    ensure(number != 0);
    return header->number == number && header->day == day && header->channel == (uint8_t)channel;
}

const struct index *segment_index(const struct segment *segment)
{
    return &segment->index;
}

bool segment_rebuilt(const struct segment *segment)
{
    return segment->rebuilt;
}

enum segment_error segment_footer_error(const struct segment *segment)
{
    return segment->footer_error;
}

// ---- reading ----

static enum segment_error read_some_at(struct segment *segment, uint64_t offset, uint32_t size,
                                       uint64_t columns, uint64_t later,
                                       struct layout_block *header)
{
    size_t got;
    const uint8_t *bytes = segment_get(segment, offset, size, &got);
    if (!bytes)
        return segment->room_error;
    if (got < size)
        return SEGMENT_SHORT;
    enum segment_error error = segment_block_header(bytes, got, segment->header.salt, header);
    if (error != SEGMENT_GOOD)
        return error;
    return later == 0 ? segment_decode(&segment->decoder, bytes, got, header, columns)
                      : segment_decode_some(&segment->decoder, bytes, got, header, columns, later);
}

static const uint8_t *block_bytes(struct segment *segment, uint32_t block,
                                  struct layout_block *header)
{
    ensure(block < segment->index.block_count);
    const struct layout_index_block *entry = &segment->index.blocks[block];
    size_t got;
    const uint8_t *bytes = segment_get(segment, entry->offset, entry->bytes, &got);
    if (!bytes || got < entry->bytes ||
        segment_block_header(bytes, got, segment->header.salt, header) != SEGMENT_GOOD)
        return NULL;
    bool whole = header->hash == entry->header_hash && header->rows == entry->rows &&
                 header->header_bytes + (uint64_t)header->payload_bytes == entry->bytes;
    return whole && XXH3_64bits(bytes + header->header_bytes, header->payload_bytes) ==
                        header->payload_hash
               ? bytes
               : NULL;
}

const uint8_t *segment_block_bytes(struct segment *segment, uint32_t block,
                                   struct layout_block *header)
{
    uint32_t tries = 0;
    const uint8_t *bytes = block_bytes(segment, block, header);
    while (!bytes && source_again(&segment->source, &tries))
        bytes = block_bytes(segment, block, header);
    return bytes;
}

enum segment_error segment_read_at(struct segment *segment, uint64_t offset, uint32_t size,
                                   uint64_t columns, struct layout_block *header)
{
    return read_some_at(segment, offset, size, columns, 0, header);
}

// The names in the block are those the index has for the same numbers.
static bool read_names_agree(const struct segment *segment, const struct layout_block *header)
{
    const uint8_t *at = segment->decoder.names;
    for (uint32_t s = 0; s < header->symbols; s++) {
        uint32_t size = segment->decoder.name_lengths[s];
        if (header->symbol + s >= segment->index.symbol_count)
            return false;
        struct event_text name = index_name(&segment->index, header->symbol + s);
        if (name.size != size || (size != 0 && memcmp(name.bytes, at, size) != 0))
            return false;
        at += size;
    }
    return true;
}

static enum segment_error read_block(struct segment *segment, uint32_t block, uint64_t columns,
                                     uint64_t later, struct segment_block *out)
{
    const struct layout_index_block *entry = &segment->index.blocks[block];
    *out = (struct segment_block){0};
    enum segment_error error =
        read_some_at(segment, entry->offset, entry->bytes, columns, later, &out->header);
    if (error != SEGMENT_GOOD)
        return error;
    if (out->header.hash != entry->header_hash || out->header.rows != entry->rows ||
        !read_names_agree(segment, &out->header))
        return SEGMENT_BAD_CHAIN;
    return SEGMENT_GOOD;
}

enum segment_error segment_read_some(struct segment *segment, uint32_t block, uint64_t columns,
                                     uint64_t later, struct segment_block *out)
{
    ensure(block < segment->index.block_count);
    const struct segment_decoder *decoder = &segment->decoder;
    uint32_t tries = 0;
    enum segment_error error = read_block(segment, block, columns, later, out);
    while (is_doubtful(error) && source_again(&segment->source, &tries))
        error = read_block(segment, block, columns, later, out);
    if (error != SEGMENT_GOOD)
        return error;
    out->rows = &decoder->rows;
    out->tape = segment->schema->identity_count == 0 ? decoder->tape : NULL;
    out->row = segment->schema->identity_count == 0 ? decoder->row : NULL;
    out->unknown_columns = decoder->unknown_columns;
    out->unknown_levels = decoder->unknown_levels;
    out->column_count = decoder->column_count;
    out->columns = decoder->columns;
    return SEGMENT_GOOD;
}

enum segment_error segment_read(struct segment *segment, uint32_t block, uint64_t columns,
                                struct segment_block *out)
{
    return segment_read_some(segment, block, columns, 0, out);
}

enum segment_error segment_read_row(struct segment *segment, uint32_t row,
                                    struct segment_block *out)
{
    const struct segment_decoder *decoder = &segment->decoder;
    ensure(out->rows == &decoder->rows && row < out->rows->count);
    enum segment_error error = segment_decode_row(&segment->decoder, &out->header, row);
    out->unknown_columns = decoder->unknown_columns;
    return error;
}
