// SPDX-License-Identifier: Apache-2.0
//
// Tables of a fixed size, filled from the front; the image is a copy of their used parts.
#include "format/index_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment.h"
#include "format/wire.h"

static uint32_t limit_of(uint64_t file_bytes, uint64_t unit_bytes, uint32_t max)
{
    uint64_t count = file_bytes / unit_bytes;
    return count < max ? (uint32_t)count + 1 : max;
}

struct index_build_limits index_build_limits_of(uint64_t file_bytes)
{
    return (struct index_build_limits){
        .blocks = limit_of(file_bytes, LAYOUT_HEADER_BYTES, SEGMENT_BLOCKS_MAX),
        .symbols = limit_of(file_bytes, 1, SEGMENT_SYMBOLS_MAX),
        .name_bytes = limit_of(file_bytes, 1, SEGMENT_SYMBOLS_MAX * SEGMENT_SYMBOL_BYTES_MAX),
    };
}

int index_build_open(struct index_build *build, struct index_build_limits limits)
{
    *build = (struct index_build){.limits = limits, .time_min = INT64_MAX, .time_max = INT64_MIN};
    build->blocks = malloc(limits.blocks * sizeof *build->blocks);
    build->zones = malloc(limits.blocks * sizeof *build->zones);
    build->symbols = malloc(limits.symbols * sizeof *build->symbols);
    build->names = malloc(limits.name_bytes);
    if (build->blocks && build->zones && build->symbols && build->names)
        return 0;
    index_build_close(build);
    return -ENOMEM;
}

void index_build_close(struct index_build *build)
{
    free(build->blocks);
    free(build->zones);
    free(build->symbols);
    free(build->names);
    *build = (struct index_build){0};
}

uint32_t index_build_symbol(struct index_build *build, const void *name, uint32_t name_size)
{
    ensure(name_size <= SEGMENT_SYMBOL_BYTES_MAX);
    if (build->symbol_count == build->limits.symbols ||
        name_size > build->limits.name_bytes - build->name_bytes)
        return SYMBOL_NONE;
    build->symbols[build->symbol_count] = (struct layout_index_symbol){
        .time_min = INT64_MAX,
        .time_max = INT64_MIN,
        .name_offset = build->name_bytes,
        .name_bytes = name_size,
    };
    if (name_size != 0)
        memcpy(build->names + build->name_bytes, name, name_size);
    build->name_bytes += name_size;
    return build->symbol_count++;
}

void index_build_rows(struct index_build *build, uint32_t symbol, uint32_t block, uint32_t rows,
                      int64_t time_min, int64_t time_max)
{
    ensure(symbol < build->symbol_count);
    ensure(rows > 0 && time_min <= time_max);
    struct layout_index_symbol *entry = &build->symbols[symbol];
    if (entry->rows == 0)
        entry->first_block = block;
    ensure(block >= entry->first_block);
    entry->rows += rows;
    entry->block_count = block - entry->first_block + 1;
    entry->time_min = time_min < entry->time_min ? time_min : entry->time_min;
    entry->time_max = time_max > entry->time_max ? time_max : entry->time_max;
}

bool index_build_block(struct index_build *build, const struct layout_block *header,
                       uint64_t offset)
{
    if (build->block_count == build->limits.blocks)
        return false;
    bool shared = (header->flags & LAYOUT_BLOCK_SHARED) != 0;
    build->blocks[build->block_count] = (struct layout_index_block){
        .offset = offset,
        .bytes = header->header_bytes + header->payload_bytes,
        .rows = header->rows,
        .symbol = shared ? INDEX_SYMBOL_SHARED : header->symbol,
        .levels = header->levels,
        .time_min = header->time_min,
        .time_max = header->time_max,
        .id_min = header->id_min,
        .id_max = header->id_max,
        .header_hash = header->hash,
    };
    build->zones[build->block_count] = (struct layout_index_zone){
        .price_min = header->price_min,
        .price_max = header->price_max,
        .price_scale = header->price_scale,
        .text_bytes = header->text_bytes,
    };
    build->block_count++;
    build->rows += header->rows;
    if (header->time_min < build->time_min)
        build->time_min = header->time_min;
    if (header->time_max > build->time_max)
        build->time_max = header->time_max;
    return true;
}

struct event_text index_build_name(const struct index_build *build, uint32_t symbol)
{
    ensure(symbol < build->symbol_count);
    const struct layout_index_symbol *entry = &build->symbols[symbol];
    return (struct event_text){(const uint8_t *)build->names + entry->name_offset,
                               entry->name_bytes};
}

size_t index_build_bytes(const struct index_build *build)
{
    size_t bytes = sizeof(struct layout_index) +
                   build->block_count * sizeof(struct layout_index_block) +
                   build->block_count * sizeof(struct layout_index_zone) +
                   build->symbol_count * sizeof(struct layout_index_symbol);
    return bytes + ((build->name_bytes + 7) & ~7u);
}

void index_build_image(const struct index_build *build, struct layout_index *header, void *out)
{
    uint8_t *start = (uint8_t *)out + sizeof *header;
    uint8_t *end = start;
    end = wire_put(end, build->blocks, build->block_count * sizeof *build->blocks);
    end = wire_put(end, build->zones, build->block_count * sizeof *build->zones);
    end = wire_put(end, build->symbols, build->symbol_count * sizeof *build->symbols);
    end = wire_put(end, build->names, build->name_bytes);
    while ((end - start) % 8 != 0)
        *end++ = 0;
    ensure((size_t)(end - (uint8_t *)out) == index_build_bytes(build));
    header->magic = LAYOUT_INDEX_MAGIC;
    header->major = LAYOUT_MAJOR;
    header->minor = LAYOUT_MINOR;
    header->header_bytes = sizeof *header;
    header->block_count = build->block_count;
    header->symbol_count = build->symbol_count;
    header->name_bytes = build->name_bytes;
    header->rows = build->rows;
    header->time_min = build->time_min;
    header->time_max = build->time_max;
    header->body_bytes = (uint64_t)(end - start);
    header->body_hash = XXH3_64bits(start, (size_t)(end - start));
    header->hash = XXH3_64bits(header, offsetof(struct layout_index, hash));
    memcpy(out, header, sizeof *header);
}
