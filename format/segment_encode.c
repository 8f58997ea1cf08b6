// SPDX-License-Identifier: Apache-2.0
//
// All columns are brought to the block's scales first, because a column is coded by what others
// tell of it (column_model); then each is encoded in the order of the directory.
#include "format/segment_encode.h"

#include "format/ensure.h"
#include "format/segment_directory.h"

struct builder_output {
    struct segment_directory entries[SEGMENT_DIRECTORY_MAX];
    uint32_t count;
    bool shared;
    uint8_t *data; // where the next column's bytes go
};

// ---- gathering ----

// Columns beside those of the channel, behind them in builder->columns.
enum { GATHER_SYMBOL, GATHER_TAPE, GATHER_ROW, GATHER_LEVEL_COUNT };

static int64_t *builder_column(const struct segment_builder *builder, unsigned column)
{
    ensure(column < builder->schema->column_count + 4u);
    return builder->columns + (size_t)column * SEGMENT_BLOCK_ROWS_MAX;
}

static int64_t *builder_special(const struct segment_builder *builder, unsigned special)
{
    return builder_column(builder, builder->schema->column_count + special);
}

static int64_t *builder_levels(const struct segment_builder *builder, unsigned id)
{
    ensure(id >= SEGMENT_COLUMN_LEVEL_PRICE && id <= SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE);
    return builder->level_columns +
           (size_t)(id - SEGMENT_COLUMN_LEVEL_PRICE) * SEGMENT_BLOCK_LEVELS_MAX;
}

static bool scales_are(const uint8_t *scales, uint32_t count, uint8_t scale)
{
    unsigned different = 0;
    for (uint32_t i = 0; i < count; i++)
        different |= scales[i] ^ scale;
    return different == 0;
}

// To the block's scale; all have the same in nearly every block.
static void gather_decimals(const int64_t *mantissas, const uint8_t *scales, uint32_t count,
                            uint8_t scale, int64_t *out)
{
    if (count == 0 || !scales_are(scales, count, scales[0])) {
        for (uint32_t i = 0; i < count; i++)
            out[i] = scale_move(mantissas[i], scales[i], scale);
        return;
    }
    if (scales[0] <= scale) {
        uint64_t factor = scale_powers[scale - scales[0]];
        for (uint32_t i = 0; i < count; i++)
            out[i] = (int64_t)((uint64_t)mantissas[i] * factor);
        return;
    }
    struct scale_divisor divisor = scale_divisor_of(scales[0] - scale);
    for (uint32_t i = 0; i < count; i++)
        out[i] = scale_divide(&divisor, mantissas[i]);
}

static void gather_texts(const struct rows *rows, unsigned slot, int64_t *out)
{
    for (uint32_t r = 0; r < rows->count; r++)
        out[r] = rows->text_length[slot][r];
}

// Leaves out the rows that have no value; how many have one.
static uint32_t gather_present(const struct rows *rows, unsigned column, int64_t *values)
{
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows->count; r++) {
        values[count] = values[r];
        count += (uint32_t)(rows->present[r] >> column & 1);
    }
    return count;
}

static void gather_column(struct segment_builder *builder, unsigned column, bool all)
{
    const struct rows *rows = &builder->rows;
    const struct column *schema = &builder->schema->columns[column];
    int64_t *out = builder_column(builder, column);
    if (schema->type == COLUMN_TEXT)
        gather_texts(rows, schema->text, out);
    else if (schema->type == COLUMN_DECIMAL && all)
        gather_decimals(rows->value[column], rows->scale[column], rows->count,
                        builder->scales[column].scale, out);
    else if (schema->type == COLUMN_DECIMAL) // absent ones are 0 and have no scale
        for (uint32_t r = 0; r < rows->count; r++)
            out[r] = scale_move(rows->value[column][r], rows->scale[column][r],
                                builder->scales[column].scale);
    else
        memcpy(out, rows->value[column], rows->count * sizeof *out);
    builder->counts[column] = all ? rows->count : gather_present(rows, column, out);
    builder->frame.columns[column] = all && schema->type != COLUMN_TEXT ? out : NULL;
}

static void gather_columns(struct segment_builder *builder)
{
    const struct rows *rows = &builder->rows;
    uint64_t all = UINT64_MAX;
    uint64_t any = 0;
    for (uint32_t r = 0; r < rows->count; r++) {
        all &= rows->present[r];
        any |= rows->present[r];
    }
    for (unsigned c = 0; c < builder->schema->column_count; c++) {
        builder->counts[c] = 0;
        if (any >> c & 1)
            gather_column(builder, c, all >> c & 1);
    }
}

static void gather_symbols(struct segment_builder *builder, const struct layout_block *header)
{
    int64_t *out = builder_special(builder, GATHER_SYMBOL);
    for (uint32_t r = 0; r < builder->rows.count; r++)
        out[r] = (int64_t)builder->rows.symbol[r] - header->symbol;
    builder->frame.columns[SEGMENT_COLUMN_SYMBOL] = out;
}

static void gather_provenance(struct segment_builder *builder)
{
    int64_t *tapes = builder_special(builder, GATHER_TAPE);
    int64_t *numbers = builder_special(builder, GATHER_ROW);
    for (uint32_t r = 0; r < builder->rows.count; r++) {
        tapes[r] = builder->tape[r];
        numbers[r] = (int64_t)builder->row[r];
    }
    builder->frame.columns[SEGMENT_COLUMN_TAPE] = tapes;
    builder->frame.columns[SEGMENT_COLUMN_ROW] = numbers;
}

static void gather_bytes(const uint8_t *bytes, uint32_t count, int64_t *out)
{
    for (uint32_t l = 0; l < count; l++)
        out[l] = bytes[l];
}

static void gather_level_decimals(struct segment_builder *builder, unsigned id,
                                  const int64_t *mantissas, const uint8_t *scales, uint8_t scale)
{
    int64_t *out = builder_levels(builder, id);
    uint32_t count = builder->rows.level_count;
    if (builder->scale_per_level)
        memcpy(out, mantissas, count * sizeof *out);
    else
        gather_decimals(mantissas, scales, count, scale, out);
    builder->frame.columns[id] = out;
}

static void gather_levels(struct segment_builder *builder)
{
    const struct rows *rows = &builder->rows;
    struct model_frame *frame = &builder->frame;
    int64_t *counts = builder_special(builder, GATHER_LEVEL_COUNT);
    int64_t *sides = builder_levels(builder, SEGMENT_COLUMN_LEVEL_SIDE);
    for (uint32_t r = 0; r < rows->count; r++)
        counts[r] = (int64_t)rows->level_first[r + 1] - rows->level_first[r];
    frame->columns[SEGMENT_COLUMN_LEVEL_COUNT] = counts;
    if (rows->level_count == 0)
        return;
    gather_level_decimals(builder, SEGMENT_COLUMN_LEVEL_PRICE, rows->level_price,
                          rows->level_price_scale, builder->level_price.scale);
    gather_level_decimals(builder, SEGMENT_COLUMN_LEVEL_QUANTITY, rows->level_quantity,
                          rows->level_quantity_scale, builder->level_quantity.scale);
    gather_bytes(rows->level_side, rows->level_count, sides);
    frame->columns[SEGMENT_COLUMN_LEVEL_SIDE] = sides;
    frame->levels = rows->level_count;
    frame->level_first = rows->level_first;
    uint32_t *list = builder->before;
    uint32_t *rank = builder->before + SEGMENT_BLOCK_LEVELS_MAX;
    model_lineage(frame, MODEL_LIST, sides, list);
    model_lineage(frame, MODEL_RANK, sides, rank);
    frame->before[MODEL_LIST] = list;
    frame->before[MODEL_RANK] = rank;
}

// ---- encoding ----

static struct segment_directory *builder_entry(struct builder_output *output, unsigned id)
{
    ensure(output->count < SEGMENT_DIRECTORY_MAX);
    ensure(output->count == 0 || output->entries[output->count - 1].id < id);
    struct segment_directory *entry = &output->entries[output->count++];
    *entry = (struct segment_directory){.id = (uint8_t)id};
    return entry;
}

static void builder_put_values(struct segment_builder *builder, struct builder_output *output,
                               struct segment_directory *entry, const int64_t *values,
                               uint32_t count)
{
    enum channel channel = builder->schema->channel;
    struct recipe recipe;
    recipe_for(channel, entry->id, output->shared, builder->level, &recipe);
    struct column_coding coding = {
        .level = builder->level,
        .frame = &builder->frame,
        .models = recipe.models,
        .model_count = recipe.count,
        .takes_first = recipe.known && builder->level == COLUMN_LEVEL_LIGHT,
        .tries_zstd = recipe_tries_zstd(channel) && builder->level == COLUMN_LEVEL_DENSE,
    };
    size_t bytes =
        column_encode(builder->codec, &coding, values, count, output->data, &entry->codec);
    ensure(bytes <= column_bytes_max(count));
    entry->bytes += (uint32_t)bytes;
    output->data += bytes;
}

static void builder_put_special(struct segment_builder *builder, struct builder_output *output,
                                unsigned id, uint32_t count)
{
    const int64_t *values = builder->frame.columns[id];
    ensure(values);
    builder_put_values(builder, output, builder_entry(output, id), values, count);
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

static void builder_put_column(struct segment_builder *builder, struct builder_output *output,
                               int column)
{
    uint32_t count = builder->counts[column];
    if (count == 0)
        return;
    uint8_t *start = output->data;
    struct segment_directory *entry = builder_entry(output, (unsigned)column);
    if (count != builder->rows.count)
        entry->presence = builder_put_presence(builder, column, &output->data);
    if (builder->schema->columns[column].type == COLUMN_DECIMAL)
        entry->scale = builder->scales[column].scale;
    entry->bytes = (uint32_t)(output->data - start);
    builder_put_values(builder, output, entry, builder_column(builder, (unsigned)column), count);
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

static void builder_put_levels(struct segment_builder *builder, struct builder_output *output)
{
    uint32_t levels = builder->rows.level_count;
    bool scaled = !builder->scale_per_level;
    builder_put_special(builder, output, SEGMENT_COLUMN_LEVEL_COUNT, builder->rows.count);
    if (levels == 0)
        return;
    builder_put_special(builder, output, SEGMENT_COLUMN_LEVEL_PRICE, levels);
    output->entries[output->count - 1].scale = scaled ? builder->level_price.scale : 0;
    builder_put_special(builder, output, SEGMENT_COLUMN_LEVEL_QUANTITY, levels);
    output->entries[output->count - 1].scale = scaled ? builder->level_quantity.scale : 0;
    builder_put_special(builder, output, SEGMENT_COLUMN_LEVEL_SIDE, levels);
    if (scaled)
        return;
    for (unsigned id = SEGMENT_COLUMN_LEVEL_PRICE_SCALE;
         id <= SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE; id++) {
        bool price = id == SEGMENT_COLUMN_LEVEL_PRICE_SCALE;
        int64_t *out = builder_levels(builder, id);
        gather_bytes(price ? builder->rows.level_price_scale : builder->rows.level_quantity_scale,
                     levels, out);
        builder_put_values(builder, output, builder_entry(output, id), out, levels);
    }
}

static void builder_gather(struct segment_builder *builder, const struct layout_block *header)
{
    builder->frame = (struct model_frame){.rows = builder->rows.count};
    gather_columns(builder);
    if (header->flags & LAYOUT_BLOCK_SHARED)
        gather_symbols(builder, header);
    if (builder->provenance)
        gather_provenance(builder);
    if (builder->schema->has_levels)
        gather_levels(builder);
}

static void builder_put_columns(struct segment_builder *builder, struct builder_output *output)
{
    int count = builder->schema->column_count;
    uint32_t rows = builder->rows.count;
    for (int c = 0; c < count; c++)
        builder_put_column(builder, output, c);
    if (output->shared)
        builder_put_special(builder, output, SEGMENT_COLUMN_SYMBOL, rows);
    if (builder->provenance) {
        builder_put_special(builder, output, SEGMENT_COLUMN_TAPE, rows);
        builder_put_special(builder, output, SEGMENT_COLUMN_ROW, rows);
    }
    if (builder->schema->has_levels)
        builder_put_levels(builder, output);
    for (int c = 0; c < count; c++) {
        if (builder->schema->columns[c].type == COLUMN_TEXT)
            builder_put_text(builder, output, c);
    }
}

// Entries with their bytes of data in between would need a second pass to write; so the directory
// has room for all possible columns and the data is moved up behind it.
uint8_t *segment_encode_columns(struct segment_builder *builder, struct layout_block *header,
                                uint8_t *out)
{
    uint8_t *data = out + sizeof(struct segment_directory) * SEGMENT_DIRECTORY_MAX;
    struct builder_output output = {.data = data,
                                    .shared = (header->flags & LAYOUT_BLOCK_SHARED) != 0};
    ensure(builder->rows.count > 0);
    builder_gather(builder, header);
    builder_put_columns(builder, &output);
    size_t directory_bytes = sizeof(struct segment_directory) * output.count;
    size_t data_bytes = (size_t)(output.data - data);
    memcpy(out, output.entries, directory_bytes);
    memmove(out + directory_bytes, data, data_bytes);
    header->columns = (uint8_t)output.count;
    return out + directory_bytes + data_bytes;
}
