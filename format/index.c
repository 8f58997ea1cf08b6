// SPDX-License-Identifier: Apache-2.0
//
// An image is checked once when it is opened: hashes, sizes, every offset and range. Afterwards the
// entries are used in place.
#include "format/index.h"

#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment.h"

static bool index_header_possible(const struct layout_index *header, size_t size)
{
    if (header->magic != LAYOUT_INDEX_MAGIC ||
        header->hash != XXH3_64bits(header, offsetof(struct layout_index, hash)) ||
        header->major != LAYOUT_MAJOR || header->required != 0 ||
        header->header_bytes != sizeof *header || header->block_count > SEGMENT_BLOCKS_MAX ||
        header->symbol_count > SEGMENT_SYMBOLS_MAX)
        return false;
    uint64_t bytes = header->block_count * (uint64_t)sizeof(struct layout_index_block) +
                     header->block_count * (uint64_t)sizeof(struct layout_index_zone) +
                     header->symbol_count * (uint64_t)sizeof(struct layout_index_symbol) +
                     (((uint64_t)header->name_bytes + 7) & ~7ull);
    return header->body_bytes == bytes && size == sizeof *header + bytes;
}

// Blocks lie one behind the other inside the file.
static bool index_blocks_possible(const struct index *index)
{
    uint64_t end = 0;
    uint64_t rows = 0;
    for (uint32_t b = 0; b < index->block_count; b++) {
        const struct layout_index_block *block = &index->blocks[b];
        if (block->offset < end || block->offset > index->header->file_bytes ||
            block->bytes > index->header->file_bytes - block->offset ||
            block->bytes < LAYOUT_HEADER_BYTES || block->bytes > SEGMENT_BLOCK_BYTES_MAX ||
            block->rows > SEGMENT_BLOCK_ROWS_MAX || block->levels > SEGMENT_BLOCK_LEVELS_MAX ||
            (block->symbol != INDEX_SYMBOL_SHARED && block->symbol >= index->symbol_count))
            return false;
        end = block->offset + block->bytes;
        rows += block->rows;
    }
    return rows == index->header->rows;
}

static bool index_symbols_possible(const struct index *index)
{
    for (uint32_t s = 0; s < index->symbol_count; s++) {
        const struct layout_index_symbol *symbol = &index->symbols[s];
        if (symbol->name_offset > index->header->name_bytes ||
            symbol->name_bytes > index->header->name_bytes - symbol->name_offset ||
            symbol->name_bytes > SEGMENT_SYMBOL_BYTES_MAX ||
            symbol->first_block > index->block_count ||
            symbol->block_count > index->block_count - symbol->first_block)
            return false;
    }
    return true;
}

bool index_open(struct index *index, const void *bytes, size_t size)
{
    ensure(((uintptr_t)bytes & 7) == 0);
    if (size < sizeof(struct layout_index))
        return false;
    const uint8_t *at = bytes;
    struct index found = {.header = bytes};
    if (!index_header_possible(found.header, size))
        return false;
    at += sizeof *found.header;
    if (found.header->body_hash != XXH3_64bits(at, (size_t)found.header->body_bytes))
        return false;
    found.block_count = found.header->block_count;
    found.symbol_count = found.header->symbol_count;
    found.blocks = (const void *)at;
    at += found.block_count * sizeof *found.blocks;
    found.zones = (const void *)at;
    at += found.block_count * sizeof *found.zones;
    found.symbols = (const void *)at;
    at += found.symbol_count * sizeof *found.symbols;
    found.names = (const void *)at;
    if (!index_blocks_possible(&found) || !index_symbols_possible(&found))
        return false;
    *index = found;
    return true;
}

struct event_text index_name(const struct index *index, uint32_t symbol)
{
    ensure(symbol < index->symbol_count);
    const struct layout_index_symbol *entry = &index->symbols[symbol];
    return (struct event_text){(const uint8_t *)index->names + entry->name_offset,
                               entry->name_bytes};
}

uint32_t index_find(const struct index *index, const void *name, uint32_t name_size)
{
    for (uint32_t s = 0; s < index->symbol_count; s++) {
        struct event_text found = index_name(index, s);
        if (found.size == name_size && (name_size == 0 || !memcmp(found.bytes, name, name_size)))
            return s;
    }
    return SYMBOL_NONE;
}

bool index_overlaps(const struct index *index, uint32_t block, int64_t time_min, int64_t time_max)
{
    ensure(block < index->block_count);
    return index->blocks[block].time_min <= time_max && index->blocks[block].time_max >= time_min;
}
