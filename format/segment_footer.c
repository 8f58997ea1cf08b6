// SPDX-License-Identifier: Apache-2.0
//
// The footer repeats what the blocks say of themselves, so that opening a segment is two reads.
#include "format/segment_footer.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/wire.h"

_Static_assert(sizeof(struct segment_footer_block) == 16, "as it lies in the footer");

size_t segment_footer_bytes_max(const struct index_build *build)
{
    return 64 + (size_t)build->symbol_count * (5 * WIRE_VARINT_BYTES_MAX + 1) + build->name_bytes +
           (size_t)build->block_count * sizeof(struct segment_footer_block) +
           sizeof(struct layout_postscript);
}

static uint8_t *footer_put_symbol(const struct index_build *build, uint32_t s, uint8_t *out)
{
    const struct layout_index_symbol *symbol = &build->symbols[s];
    struct event_text name = index_build_name(build, s);
    out = wire_put_varint(out, symbol->rows);
    if (symbol->rows != 0) {
        out = wire_put_varint(out, wire_zigzag(symbol->time_min));
        out = wire_put_varint(out, (uint64_t)symbol->time_max - (uint64_t)symbol->time_min);
        out = wire_put_varint(out, symbol->first_block);
        out = wire_put_varint(out, symbol->block_count);
    }
    *out++ = (uint8_t)name.size;
    return wire_put(out, name.bytes, name.size);
}

size_t segment_footer_write(const struct index_build *build, uint64_t salt, uint64_t offset,
                            uint64_t file_hash, uint8_t *out)
{
    uint8_t *start = out;
    out = wire_put_u64(out, LAYOUT_FOOTER_MAGIC);
    out = wire_put_u32(out, build->symbol_count);
    out = wire_put_u32(out, build->block_count);
    for (uint32_t s = 0; s < build->symbol_count; s++)
        out = footer_put_symbol(build, s, out);
    for (uint32_t b = 0; b < build->block_count; b++) {
        struct segment_footer_block block = {.bytes = build->blocks[b].bytes,
                                             .rows = build->blocks[b].rows,
                                             .hash = build->blocks[b].header_hash};
        out = wire_put(out, &block, sizeof block);
    }
    struct layout_postscript postscript = {
        .footer_offset = offset,
        .footer_bytes = (uint64_t)(out - start),
        .footer_hash = XXH3_64bits(start, (size_t)(out - start)),
        .file_hash = file_hash,
        .salt = salt,
        .major = LAYOUT_MAJOR,
        .minor = LAYOUT_SEGMENT_MINOR,
        .postscript_bytes = sizeof postscript,
        .magic = LAYOUT_FOOTER_MAGIC,
    };
    postscript.hash = XXH3_64bits(&postscript, offsetof(struct layout_postscript, hash));
    out = wire_put(out, &postscript, sizeof postscript);
    ensure((size_t)(out - start) <= segment_footer_bytes_max(build));
    return (size_t)(out - start);
}

enum segment_error segment_postscript_read(const uint8_t bytes[64], uint64_t file_bytes,
                                           uint64_t salt, struct layout_postscript *postscript)
{
    struct layout_postscript found;
    memcpy(&found, bytes, sizeof found);
    if (found.magic != LAYOUT_FOOTER_MAGIC ||
        found.hash != XXH3_64bits(bytes, offsetof(struct layout_postscript, hash)) ||
        found.salt != salt)
        return SEGMENT_BAD_FOOTER;
    if (found.major != LAYOUT_MAJOR || found.required != 0)
        return SEGMENT_NEWER;
    if (found.postscript_bytes != sizeof found || found.footer_offset > file_bytes ||
        found.footer_bytes > file_bytes - found.footer_offset ||
        found.footer_offset + found.footer_bytes + sizeof found != file_bytes)
        return SEGMENT_BAD_FOOTER;
    *postscript = found;
    return SEGMENT_GOOD;
}

static bool footer_get_symbol(struct wire_reader *in, struct index_build *build,
                              uint32_t block_count)
{
    struct layout_index_symbol symbol = {.time_min = INT64_MAX, .time_max = INT64_MIN};
    symbol.rows = wire_get_varint(in);
    if (symbol.rows != 0) {
        symbol.time_min = wire_unzigzag(wire_get_varint(in));
        symbol.time_max = (int64_t)((uint64_t)symbol.time_min + wire_get_varint(in));
        uint64_t first = wire_get_varint(in);
        uint64_t blocks = wire_get_varint(in);
        if (first > block_count || blocks > block_count - first ||
            symbol.time_max < symbol.time_min)
            return false;
        symbol.first_block = (uint32_t)first;
        symbol.block_count = (uint32_t)blocks;
    }
    uint32_t size = wire_get_u8(in);
    const uint8_t *name = wire_get(in, size);
    uint32_t number = name ? index_build_symbol(build, name, size) : SYMBOL_NONE;
    if (number == SYMBOL_NONE)
        return false;
    symbol.name_offset = build->symbols[number].name_offset;
    symbol.name_bytes = size;
    build->symbols[number] = symbol;
    return true;
}

enum segment_error segment_footer_read(const uint8_t *bytes, size_t size,
                                       struct index_build *build,
                                       struct segment_footer_block **blocks, uint32_t *count)
{
    struct wire_reader in = wire_reader_of(bytes, size);
    *blocks = NULL;
    *count = 0;
    uint64_t magic = wire_get_u64(&in);
    uint32_t symbol_count = wire_get_u32(&in);
    uint32_t block_count = wire_get_u32(&in);
    if (in.failed || magic != LAYOUT_FOOTER_MAGIC || block_count > SEGMENT_BLOCKS_MAX)
        return SEGMENT_BAD_FOOTER;
    for (uint32_t s = 0; s < symbol_count; s++) {
        if (!footer_get_symbol(&in, build, block_count))
            return SEGMENT_BAD_FOOTER;
    }
    const uint8_t *table = wire_get(&in, (uint64_t)block_count * sizeof **blocks);
    if (!table || wire_left(&in) != 0)
        return SEGMENT_BAD_FOOTER;
    *blocks = malloc(((size_t)block_count + 1) * sizeof **blocks);
    if (!*blocks)
        return SEGMENT_NO_MEMORY;
    memcpy(*blocks, table, block_count * sizeof **blocks);
    *count = block_count;
    return SEGMENT_GOOD;
}
