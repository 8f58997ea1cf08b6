// SPDX-License-Identifier: Apache-2.0
//
// A segment without a good header: salt and channel are in each block, so the first block with a
// right header stands in for it.
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/segment_footer.h"
#include "format/segment_header.h"
#include "format/segment_parts.h"

enum { SALVAGE_WINDOW_BYTES = 1 << 16 };

// A right block header at `bytes`, of the segment of that salt or (0) of whatever one.
static bool salvage_header(const uint8_t *bytes, size_t size, uint64_t salt,
                           struct layout_block *header)
{
    struct layout_block found;
    if (size < sizeof found)
        return false;
    memcpy(&found, bytes, sizeof found);
    return found.salt != 0 && (salt == 0 || found.salt == salt) &&
           segment_block_header(bytes, size, found.salt, header) == SEGMENT_GOOD;
}

// The first one in the file; windows overlap by the largest header.
static bool salvage_find(struct segment *segment, uint64_t salt, struct layout_block *header,
                         uint64_t *offset)
{
    const uint64_t magic = LAYOUT_BLOCK_MAGIC;
    const uint64_t step = SALVAGE_WINDOW_BYTES - LAYOUT_SECTOR;
    for (uint64_t at = 0; at < segment->source.size; at += step) {
        size_t got;
        const uint8_t *bytes = segment_get(segment, at, SALVAGE_WINDOW_BYTES, &got);
        if (!bytes)
            return false;
        for (size_t from = 0; from < got;) {
            const uint8_t *found = memmem(bytes + from, got - from, &magic, sizeof magic);
            if (!found)
                break;
            from = (size_t)(found - bytes);
            if (salvage_header(found, got - from, salt, header)) {
                *offset = at + from;
                return true;
            }
            from++;
        }
    }
    return false;
}

static enum segment_error salvage_open(struct segment *segment, uint32_t number, int32_t day,
                                       uint64_t salt)
{
    struct layout_block block;
    uint64_t offset = 0;
    if (!salvage_find(segment, salt, &block, &offset))
        return SEGMENT_NO_MAGIC;
    segment->schema = channel_schema((enum channel)block.channel);
    if (!segment->schema)
        return SEGMENT_NEWER;
    bool first = block.number == 0 && offset <= SEGMENT_HEADER_BYTES_MAX;
    segment->header = (struct layout_segment){
        .magic = LAYOUT_SEGMENT_MAGIC,
        .major = LAYOUT_MAJOR,
        // Where the first block is lost, blocks are found by walking from here.
        .header_bytes = first ? (uint16_t)offset : (uint16_t)sizeof segment->header,
        .salt = block.salt,
        .number = number,
        .day = day,
        .channel = block.channel,
    };
    segment->header_hash = first ? block.previous_hash : 0;
    return SEGMENT_GOOD;
}

enum segment_error segment_open_headless(struct segment **opened, const struct source *source,
                                         const void *index, size_t index_size, uint32_t number,
                                         int32_t day, uint64_t salt)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (!segment)
        return SEGMENT_NO_MEMORY;
    segment->source = *source;
    enum segment_error error = salvage_open(segment, number, day, salt);
    if (error == SEGMENT_GOOD)
        error = segment_open_behind_header(segment, index, index_size);
    if (error != SEGMENT_GOOD) {
        segment_close(segment);
        return error;
    }
    ensure(segment->index.header);
    *opened = segment;
    return SEGMENT_GOOD;
}

uint64_t segment_tail_salt(const struct source *source)
{
    struct layout_postscript tail;
    uint8_t room[sizeof tail];
    int64_t got;
    if (source->size < sizeof tail)
        return 0;
    const uint64_t at = source->size - sizeof tail;
    const uint8_t *bytes = source_get(source, at, sizeof tail, room, &got);
    if (!bytes || got != (int64_t)sizeof tail)
        return 0;
    memcpy(&tail, bytes, sizeof tail);
    const uint64_t salt = tail.salt;
    return segment_postscript_read(bytes, source->size, salt, &tail) == SEGMENT_GOOD ? salt : 0;
}
