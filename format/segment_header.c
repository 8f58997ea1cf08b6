// SPDX-License-Identifier: Apache-2.0
//
// The column list makes a segment readable by programs that do not know its channel.
#include "format/segment_header.h"

#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/wire.h"

static uint8_t *header_put_columns(const struct channel_schema *schema, uint8_t *out)
{
    for (int c = 0; c < schema->column_count; c++) {
        const struct column *column = &schema->columns[c];
        size_t name_bytes = strlen(column->name);
        *out++ = (uint8_t)c;
        *out++ = (uint8_t)column->type;
        *out++ = (uint8_t)column->decimal;
        *out++ = column->nullable;
        *out++ = (uint8_t)name_bytes;
        out = wire_put(out, column->name, name_bytes);
    }
    return out;
}

size_t segment_header_write(const struct segment_description *what, uint8_t *out)
{
    const struct channel_schema *schema = channel_schema(what->channel);
    ensure(schema);
    ensure(what->salt != 0);
    struct layout_segment header = {
        .magic = LAYOUT_SEGMENT_MAGIC,
        .major = LAYOUT_MAJOR,
        .minor = LAYOUT_SEGMENT_MINOR,
        .salt = what->salt,
        .created_ns = what->created_ns,
        .number = what->number,
        .day = what->day,
        .channel = (uint8_t)what->channel,
        .columns = schema->column_count,
    };
    memcpy(header.store, what->store, sizeof header.store);
    if (what->writer)
        memcpy(header.writer, what->writer, strnlen(what->writer, sizeof header.writer));
    uint8_t *columns = out + sizeof header;
    uint8_t *end = header_put_columns(schema, columns);
    header.schema_hash = XXH3_64bits(columns, (size_t)(end - columns));
    while ((end - out) % 8 != 0)
        *end++ = 0;
    size_t bytes = (size_t)(end - out) + sizeof(uint64_t);
    ensure(bytes <= SEGMENT_HEADER_BYTES_MAX);
    header.header_bytes = (uint16_t)bytes;
    memcpy(out, &header, sizeof header);
    (void)wire_put_u64(end, XXH3_64bits(out, bytes - sizeof(uint64_t)));
    return bytes;
}

// The list within the header: its entries, its hash, and the types of the columns known here. A
// newer minor may have more of them.
static bool header_columns_possible(const struct layout_segment *header, const uint8_t *bytes)
{
    const struct channel_schema *schema = channel_schema((enum channel)header->channel);
    struct wire_reader in = wire_reader_of(
        bytes + sizeof *header, header->header_bytes - sizeof *header - sizeof(uint64_t));
    const uint8_t *start = in.at;
    for (int i = 0; i < header->columns; i++) {
        uint8_t number = wire_get_u8(&in);
        uint8_t type = wire_get_u8(&in);
        uint8_t decimal = wire_get_u8(&in);
        (void)wire_get_u8(&in); // flags
        (void)wire_get(&in, wire_get_u8(&in));
        if (schema && number < schema->column_count &&
            (type != schema->columns[number].type || decimal != schema->columns[number].decimal))
            return false;
    }
    return !in.failed && header->schema_hash == XXH3_64bits(start, (size_t)(in.at - start));
}

enum segment_error segment_header_read(const uint8_t *bytes, size_t size,
                                       struct layout_segment *header, uint64_t *hash)
{
    struct layout_segment found;
    if (size < sizeof found)
        return SEGMENT_SHORT;
    memcpy(&found, bytes, sizeof found);
    if (found.magic != LAYOUT_SEGMENT_MAGIC)
        return SEGMENT_NO_MAGIC;
    if (found.header_bytes < sizeof found + sizeof *hash ||
        found.header_bytes > SEGMENT_HEADER_BYTES_MAX)
        return SEGMENT_BAD_HASH;
    if (found.header_bytes > size)
        return SEGMENT_SHORT;
    memcpy(hash, bytes + found.header_bytes - sizeof *hash, sizeof *hash);
    if (*hash != XXH3_64bits(bytes, found.header_bytes - sizeof *hash))
        return SEGMENT_BAD_HASH;
    if (found.major != LAYOUT_MAJOR || found.required != 0)
        return SEGMENT_NEWER;
    if (found.salt == 0 || !header_columns_possible(&found, bytes))
        return SEGMENT_BAD_HEADER;
    *header = found;
    return SEGMENT_GOOD;
}
