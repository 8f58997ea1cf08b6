// SPDX-License-Identifier: Apache-2.0
//
// Payload of a block: number of the first symbol, name lengths, names; the column directory; the
// columns' bytes in the order of the directory. docs/format.md "Block payload".
#include "format/segment_builder.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment_directory.h"
#include "format/segment_zone.h"

int segment_builder_open(struct segment_builder *builder, const struct channel_schema *schema)
{
    struct rows_limits limits = {
        .rows = SEGMENT_BLOCK_ROWS_MAX,
        .levels = schema->has_levels ? SEGMENT_BLOCK_LEVELS_MAX : 0,
        .text_bytes = SEGMENT_BLOCK_TEXT_BYTES_MAX,
    };
    uint32_t longest = schema->has_levels ? SEGMENT_BLOCK_LEVELS_MAX : SEGMENT_BLOCK_ROWS_MAX;
    *builder = (struct segment_builder){.schema = schema,
                                        .provenance = schema->identity_count == 0};
    size_t rows_bytes = (rows_memory_bytes(schema, &limits) + 63) & ~(size_t)63;
    builder->memory = aligned_alloc(64, rows_bytes);
    builder->tape = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *builder->tape);
    builder->row = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *builder->row);
    builder->values = malloc(longest * sizeof *builder->values);
    builder->bytes = malloc(SEGMENT_BLOCK_TEXT_BYTES_MAX);
    builder->codec = column_scratch_open(longest);
    if (!builder->memory || !builder->tape || !builder->row || !builder->values ||
        !builder->bytes || !builder->codec) {
        segment_builder_close(builder);
        return -ENOMEM;
    }
    rows_init(&builder->rows, schema, &limits, builder->memory);
    return 0;
}

void segment_builder_close(struct segment_builder *builder)
{
    free(builder->memory);
    free(builder->tape);
    free(builder->row);
    free(builder->values);
    free(builder->bytes);
    column_scratch_close(builder->codec);
    *builder = (struct segment_builder){0};
}

void segment_builder_clear(struct segment_builder *builder)
{
    rows_clear(&builder->rows);
    memset(builder->scales, 0, sizeof builder->scales);
    builder->level_price = (struct scale_track){0};
    builder->level_quantity = (struct scale_track){0};
    builder->scale_per_level = false;
    builder->closed = false;
}

// ---- taking rows ----

// Can the row's decimals join the block's scales? If not, nothing changes.
static bool builder_join_scales(struct segment_builder *builder, const struct rows *source,
                                uint32_t row)
{
    uint64_t decimals = source->decimal_columns & source->present[row];
    struct scale_track before[EVENT_COLUMNS_MAX];
    for (uint64_t left = decimals; left != 0; left &= left - 1) {
        int c = __builtin_ctzll(left);
        before[c] = builder->scales[c];
        if (scale_add(&builder->scales[c], source->value[c][row], source->scale[c][row]))
            continue;
        for (uint64_t undo = decimals & ((1ull << c) - 1); undo != 0; undo &= undo - 1)
            builder->scales[__builtin_ctzll(undo)] = before[__builtin_ctzll(undo)];
        return false;
    }
    return true;
}

static bool builder_join_level_scales(struct segment_builder *builder, const struct rows *source,
                                      uint32_t row)
{
    struct scale_track price = builder->level_price;
    struct scale_track quantity = builder->level_quantity;
    for (uint32_t l = source->level_first[row]; l < source->level_first[row + 1]; l++) {
        if (!scale_add(&price, source->level_price[l], source->level_price_scale[l]) ||
            !scale_add(&quantity, source->level_quantity[l], source->level_quantity_scale[l]))
            return false;
    }
    builder->level_price = price;
    builder->level_quantity = quantity;
    return true;
}

// A row whose levels share no scale is a block of its own, with a scale per level.
static bool builder_join(struct segment_builder *builder, const struct rows *source, uint32_t row,
                         bool first_of_block)
{
    struct scale_track before[EVENT_COLUMNS_MAX];
    bool has_levels = builder->schema->has_levels;
    if (has_levels)
        memcpy(before, builder->scales, sizeof before);
    if (!builder_join_scales(builder, source, row)) {
        ensure(!first_of_block); // one value always fits
        return false;
    }
    if (!has_levels || builder_join_level_scales(builder, source, row))
        return true;
    if (!first_of_block) {
        memcpy(builder->scales, before, sizeof before);
        return false;
    }
    builder->scale_per_level = true;
    builder->closed = true;
    return true;
}

static uint32_t builder_text_bytes(const struct rows *source, uint32_t row)
{
    uint32_t bytes = 0;
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && source->text_length[slot]; slot++)
        bytes += source->text_length[slot][row];
    return bytes;
}

// How many rows fit by number, levels and text.
static uint32_t builder_room(const struct segment_builder *builder, const struct rows *source,
                             const uint32_t *index, uint32_t count)
{
    const struct rows *rows = &builder->rows;
    uint32_t room = SEGMENT_BLOCK_ROWS_MAX - rows->count;
    uint64_t levels = rows->level_count;
    uint64_t text = rows->text_size;
    if (count > room)
        count = room;
    if (!builder->schema->has_levels && source->text_columns == 0)
        return count;
    for (uint32_t r = 0; r < count; r++) {
        bool first_of_block = rows->count == 0 && r == 0;
        if (builder->schema->has_levels)
            levels += source->level_first[index[r] + 1] - source->level_first[index[r]];
        text += builder_text_bytes(source, index[r]);
        if (levels > SEGMENT_BLOCK_LEVELS_MAX || (text > BUILDER_TEXT_BYTES && !first_of_block)) {
            ensure(!first_of_block); // an event is never larger than a block
            return r;
        }
    }
    return count;
}

uint32_t segment_builder_add(struct segment_builder *builder, const struct rows *source,
                             const uint32_t *index, uint32_t count, uint32_t symbol,
                             const struct segment_provenance *provenance)
{
    uint32_t at = builder->rows.count;
    if (builder->closed)
        return 0;
    count = builder_room(builder, source, index, count);
    uint32_t fit = 0;
    while (fit < count && !builder->closed &&
           builder_join(builder, source, index[fit], at + fit == 0))
        fit++;
    rows_append_selected(&builder->rows, source, index, fit);
    for (uint32_t r = 0; r < fit; r++) {
        builder->rows.symbol[at + r] = symbol;
        builder->tape[at + r] = provenance ? provenance[r].tape : 0;
        builder->row[at + r] = provenance ? provenance[r].row : 0;
    }
    return fit;
}

// ---- encoding ----

struct builder_output {
    struct segment_directory entries[SEGMENT_DIRECTORY_MAX];
    uint32_t count;
    uint8_t *data; // where the next column's bytes go
};

static struct segment_directory *builder_entry(struct builder_output *output, unsigned id)
{
    ensure(output->count < SEGMENT_DIRECTORY_MAX);
    ensure(output->count == 0 || output->entries[output->count - 1].id < id);
    struct segment_directory *entry = &output->entries[output->count++];
    *entry = (struct segment_directory){.id = (uint8_t)id};
    return entry;
}

static void builder_put_values(struct segment_builder *builder, struct builder_output *output,
                               unsigned id, uint32_t count)
{
    struct segment_directory *entry = builder_entry(output, id);
    size_t bytes = column_encode(builder->codec, builder->values, count, output->data,
                                 &entry->codec);
    entry->bytes = (uint32_t)bytes;
    output->data += bytes;
}

// Writes the bitmap of a column that not all rows have.
static uint8_t builder_put_presence(struct segment_builder *builder, int column, uint8_t **data)
{
    const struct rows *rows = &builder->rows;
    uint32_t size = (rows->count + 7) / 8;
    memset(builder->bytes, 0, size);
    for (uint32_t r = 0; r < rows->count; r++)
        builder->bytes[r / 8] |= (uint8_t)((rows->present[r] >> column & 1) << (r % 8));
    uint8_t packed[SEGMENT_BLOCK_ROWS_MAX / 8];
    uint8_t codec;
    size_t bytes = column_encode_bytes(builder->codec, builder->bytes, size, packed, &codec);
    if (codec == COLUMN_BYTES_ZSTD)
        *data = wire_put_varint(*data, bytes);
    *data = wire_put(*data, packed, bytes);
    return codec == COLUMN_BYTES_ZSTD ? SEGMENT_PRESENCE_ZSTD : SEGMENT_PRESENCE_BITMAP;
}

// The present values of a column at the block's scale; their number.
static uint32_t builder_gather(struct segment_builder *builder, int column)
{
    const struct rows *rows = &builder->rows;
    enum column_type type = builder->schema->columns[column].type;
    uint32_t slot = builder->schema->columns[column].text;
    uint8_t scale = builder->scales[column].scale;
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows->count; r++) {
        if (!(rows->present[r] >> column & 1))
            continue;
        if (type == COLUMN_TEXT)
            builder->values[count++] = rows->text_length[slot][r];
        else if (type == COLUMN_DECIMAL)
            builder->values[count++] =
                scale_move(rows->value[column][r], rows->scale[column][r], scale);
        else
            builder->values[count++] = rows->value[column][r];
    }
    return count;
}

static void builder_put_column(struct segment_builder *builder, struct builder_output *output,
                               int column)
{
    const struct rows *rows = &builder->rows;
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows->count; r++)
        count += (uint32_t)(rows->present[r] >> column & 1);
    if (count == 0)
        return;
    uint8_t *start = output->data;
    struct segment_directory *entry = builder_entry(output, (unsigned)column);
    if (count != rows->count)
        entry->presence = builder_put_presence(builder, column, &output->data);
    if (builder->schema->columns[column].type == COLUMN_DECIMAL)
        entry->scale = builder->scales[column].scale;
    uint32_t gathered = builder_gather(builder, column);
    ensure(gathered == count);
    output->data +=
        column_encode(builder->codec, builder->values, count, output->data, &entry->codec);
    entry->bytes = (uint32_t)(output->data - start);
}

static void builder_put_text(struct segment_builder *builder, struct builder_output *output,
                             int column)
{
    const struct rows *rows = &builder->rows;
    uint32_t slot = builder->schema->columns[column].text;
    size_t size = 0;
    bool any = false;
    for (uint32_t r = 0; r < rows->count; r++) {
        uint32_t length = rows->text_length[slot][r];
        any = any || (rows->present[r] >> column & 1);
        if (length != 0)
            memcpy(builder->bytes + size, rows->text + rows->text_offset[slot][r], length);
        size += length;
    }
    if (!any)
        return;
    struct segment_directory *entry =
        builder_entry(output, SEGMENT_COLUMN_TEXT_BYTES + (unsigned)column);
    size_t bytes = column_encode_bytes(builder->codec, builder->bytes, size, output->data,
                                       &entry->codec);
    entry->bytes = (uint32_t)bytes;
    output->data += bytes;
}

static void builder_put_provenance(struct segment_builder *builder, struct builder_output *output)
{
    for (uint32_t r = 0; r < builder->rows.count; r++)
        builder->values[r] = builder->tape[r];
    builder_put_values(builder, output, SEGMENT_COLUMN_TAPE, builder->rows.count);
    for (uint32_t r = 0; r < builder->rows.count; r++)
        builder->values[r] = (int64_t)builder->row[r];
    builder_put_values(builder, output, SEGMENT_COLUMN_ROW, builder->rows.count);
}

static void builder_put_level_decimals(struct segment_builder *builder,
                                       struct builder_output *output, unsigned id,
                                       const int64_t *mantissas, const uint8_t *scales,
                                       uint8_t scale)
{
    uint32_t count = builder->rows.level_count;
    for (uint32_t l = 0; l < count; l++)
        builder->values[l] = builder->scale_per_level ? mantissas[l]
                                                      : scale_move(mantissas[l], scales[l], scale);
    builder_put_values(builder, output, id, count);
    output->entries[output->count - 1].scale = builder->scale_per_level ? 0 : scale;
}

static void builder_put_bytes(struct segment_builder *builder, struct builder_output *output,
                              unsigned id, const uint8_t *bytes)
{
    for (uint32_t l = 0; l < builder->rows.level_count; l++)
        builder->values[l] = bytes[l];
    builder_put_values(builder, output, id, builder->rows.level_count);
}

static void builder_put_levels(struct segment_builder *builder, struct builder_output *output)
{
    const struct rows *rows = &builder->rows;
    for (uint32_t r = 0; r < rows->count; r++)
        builder->values[r] = (int64_t)rows->level_first[r + 1] - rows->level_first[r];
    builder_put_values(builder, output, SEGMENT_COLUMN_LEVEL_COUNT, rows->count);
    if (rows->level_count == 0)
        return;
    builder_put_level_decimals(builder, output, SEGMENT_COLUMN_LEVEL_PRICE, rows->level_price,
                               rows->level_price_scale, builder->level_price.scale);
    builder_put_level_decimals(builder, output, SEGMENT_COLUMN_LEVEL_QUANTITY,
                               rows->level_quantity, rows->level_quantity_scale,
                               builder->level_quantity.scale);
    builder_put_bytes(builder, output, SEGMENT_COLUMN_LEVEL_SIDE, rows->level_side);
    if (!builder->scale_per_level)
        return;
    builder_put_bytes(builder, output, SEGMENT_COLUMN_LEVEL_PRICE_SCALE, rows->level_price_scale);
    builder_put_bytes(builder, output, SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE,
                      rows->level_quantity_scale);
}

static void builder_put_columns(struct segment_builder *builder, struct builder_output *output,
                                const struct layout_block *header)
{
    int count = builder->schema->column_count;
    for (int c = 0; c < count; c++)
        builder_put_column(builder, output, c);
    if (header->flags & LAYOUT_BLOCK_SHARED) {
        for (uint32_t r = 0; r < builder->rows.count; r++)
            builder->values[r] = (int64_t)builder->rows.symbol[r] - header->symbol;
        builder_put_values(builder, output, SEGMENT_COLUMN_SYMBOL, builder->rows.count);
    }
    if (builder->provenance)
        builder_put_provenance(builder, output);
    if (builder->schema->has_levels)
        builder_put_levels(builder, output);
    for (int c = 0; c < count; c++) {
        if (builder->schema->columns[c].type == COLUMN_TEXT)
            builder_put_text(builder, output, c);
    }
}

// ---- header ----

static void builder_widen(int64_t *min, int64_t *max, int64_t low, int64_t high)
{
    *min = low < *min ? low : *min;
    *max = high > *max ? high : *max;
}

// Ranges of time, ids and prices.
static void builder_zones(const struct segment_builder *builder, struct layout_block *header)
{
    const struct rows *rows = &builder->rows;
    struct segment_zone zone = segment_zone_columns(builder->schema);
    header->time_min = header->id_min = header->price_min = INT64_MAX;
    header->time_max = header->id_max = header->price_max = INT64_MIN;
    if (zone.price_low >= 0)
        header->price_scale = builder->scales[zone.price_low].scale;
    for (uint32_t r = 0; r < rows->count; r++) {
        int64_t time = rows_time_ns(rows, r);
        builder_widen(&header->time_min, &header->time_max, time, time);
        if (zone.id_low >= 0 && rows->present[r] >> zone.id_low & 1 &&
            rows->present[r] >> zone.id_high & 1)
            builder_widen(&header->id_min, &header->id_max, rows->value[zone.id_low][r],
                          rows->value[zone.id_high][r]);
        if (zone.price_low >= 0 && rows->present[r] >> zone.price_low & 1) {
            int64_t price = scale_move(rows->value[zone.price_low][r],
                                       rows->scale[zone.price_low][r], header->price_scale);
            builder_widen(&header->price_min, &header->price_max, price, price);
        }
    }
}

// Symbols of a block are numbered without gaps, because each comes once.
static uint8_t *builder_put_names(const struct segment_builder *builder,
                                  const struct index_build *build, struct layout_block *header,
                                  uint8_t *out)
{
    uint32_t count = builder->rows.count;
    header->symbol = builder->rows.symbol[0];
    header->symbols = builder->rows.symbol[count - 1] - header->symbol + 1;
    header->flags = header->symbols > 1 ? LAYOUT_BLOCK_SHARED : 0;
    for (uint32_t s = 0; s < header->symbols; s++)
        *out++ = (uint8_t)index_build_name(build, header->symbol + s).size;
    for (uint32_t s = 0; s < header->symbols; s++) {
        struct event_text text = index_build_name(build, header->symbol + s);
        ensure(text.size <= SEGMENT_SYMBOL_BYTES_MAX);
        out = wire_put(out, text.bytes, text.size);
    }
    return out;
}

// Entries with their bytes of data in between would need a second pass to write; so the directory
// has room for all possible columns and the data is moved up behind it.
static size_t builder_put_payload(struct segment_builder *builder, const struct index_build *build,
                                  struct layout_block *header, uint8_t *out)
{
    uint8_t *directory = builder_put_names(builder, build, header, out);
    uint8_t *data = directory + sizeof(struct segment_directory) * SEGMENT_DIRECTORY_MAX;
    struct builder_output output = {.data = data};
    builder_put_columns(builder, &output, header);
    size_t directory_bytes = sizeof(struct segment_directory) * output.count;
    size_t data_bytes = (size_t)(output.data - data);
    memcpy(directory, output.entries, directory_bytes);
    memmove(directory + directory_bytes, data, data_bytes);
    header->columns = (uint8_t)output.count;
    return (size_t)(directory - out) + directory_bytes + data_bytes;
}

size_t segment_builder_bytes_max(const struct segment_builder *builder)
{
    size_t columns = (size_t)builder->schema->column_count + 8;
    size_t bytes = LAYOUT_HEADER_BYTES +
                   (size_t)SEGMENT_BLOCK_ROWS_MAX * (1 + SEGMENT_SYMBOL_BYTES_MAX) +
                   sizeof(struct segment_directory) * SEGMENT_DIRECTORY_MAX;
    bytes += columns * (column_bytes_max(SEGMENT_BLOCK_ROWS_MAX) + SEGMENT_BLOCK_ROWS_MAX / 8 + 16);
    if (builder->schema->has_levels)
        bytes += 5 * column_bytes_max(SEGMENT_BLOCK_LEVELS_MAX);
    return bytes + SEGMENT_BLOCK_TEXT_BYTES_MAX;
}

size_t segment_builder_encode(struct segment_builder *builder, const struct index_build *build,
                              struct layout_block *header, uint8_t *out)
{
    ensure(builder->rows.count > 0);
    ensure(header->salt != 0);
    header->magic = LAYOUT_BLOCK_MAGIC;
    header->major = LAYOUT_MAJOR;
    header->minor = LAYOUT_MINOR;
    header->header_bytes = LAYOUT_HEADER_BYTES;
    header->rows = builder->rows.count;
    header->levels = builder->rows.level_count;
    header->text_bytes = builder->rows.text_size;
    header->channel = (uint8_t)builder->schema->channel;
    builder_zones(builder, header);
    size_t payload = builder_put_payload(builder, build, header, out + LAYOUT_HEADER_BYTES);
    ensure(payload + LAYOUT_HEADER_BYTES <= segment_builder_bytes_max(builder));
    header->payload_bytes = (uint32_t)payload;
    header->payload_hash = XXH3_64bits(out + LAYOUT_HEADER_BYTES, payload);
    header->hash = XXH3_64bits(header, LAYOUT_HEADER_BYTES - sizeof header->hash);
    memcpy(out, header, LAYOUT_HEADER_BYTES);
    return payload + LAYOUT_HEADER_BYTES;
}
