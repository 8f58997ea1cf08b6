// SPDX-License-Identifier: Apache-2.0
//
// Taking rows, header and names; the columns are segment_encode.c's.
#include "format/segment_builder.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment_directory.h"
#include "format/segment_encode.h"
#include "format/segment_zone.h"

static bool builder_allocate(struct segment_builder *builder, const struct rows_limits *limits)
{
    const struct channel_schema *schema = builder->schema;
    size_t rows_bytes = (rows_memory_bytes(schema, limits) + 63) & ~(size_t)63;
    uint32_t longest = schema->has_levels ? SEGMENT_BLOCK_LEVELS_MAX : SEGMENT_BLOCK_ROWS_MAX;
    size_t columns = (size_t)schema->column_count + 4;
    builder->memory = aligned_alloc(64, rows_bytes);
    builder->tape = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *builder->tape);
    builder->row = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *builder->row);
    builder->columns = malloc(columns * SEGMENT_BLOCK_ROWS_MAX * sizeof *builder->columns);
    builder->bytes = malloc(SEGMENT_BLOCK_TEXT_BYTES_MAX);
    builder->codec = column_scratch_open(longest);
    if (schema->has_levels) {
        size_t levels = SEGMENT_BLOCK_LEVELS_MAX;
        builder->level_columns = malloc(5 * levels * sizeof *builder->level_columns);
        builder->before = malloc(2 * levels * sizeof *builder->before);
    }
    return builder->memory && builder->tape && builder->row && builder->columns &&
           builder->bytes && builder->codec &&
           (!schema->has_levels || (builder->level_columns && builder->before));
}

int segment_builder_open(struct segment_builder *builder, const struct channel_schema *schema,
                         enum column_level level)
{
    struct rows_limits limits = {
        .rows = SEGMENT_BLOCK_ROWS_MAX,
        .levels = schema->has_levels ? SEGMENT_BLOCK_LEVELS_MAX : 0,
        .text_bytes = SEGMENT_BLOCK_TEXT_BYTES_MAX,
    };
    *builder = (struct segment_builder){
        .schema = schema, .provenance = schema->identity_count == 0, .level = level};
    if (!builder_allocate(builder, &limits)) {
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
    free(builder->columns);
    free(builder->level_columns);
    free(builder->before);
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

// Texts of all the rows together.
static uint64_t builder_text_sum(const struct rows *source, const uint32_t *index, uint32_t count)
{
    uint64_t bytes = 0;
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && source->text_length[slot]; slot++) {
        const uint32_t *lengths = source->text_length[slot];
        for (uint32_t r = 0; r < count; r++)
            bytes += lengths[index[r]];
    }
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
    if (!builder->schema->has_levels &&
        text + builder_text_sum(source, index, count) <= BUILDER_TEXT_BYTES)
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

// The largest magnitude at scale `scale` of values that all have the scale `from`; false: one does
// not fit there.
static bool range_magnitude(const int64_t *values, uint32_t count, unsigned from, unsigned scale,
                            uint64_t *magnitude)
{
    struct scale_divisor divisor = scale_divisor_of(from > scale ? from - scale : 0);
    uint64_t largest = 0;
    unsigned bad = 0;
    for (uint32_t r = 0; r < count; r++) {
        int64_t quotient;
        bad |= !scale_divides(&divisor, values[r], &quotient);
        uint64_t size = quotient < 0 ? 0 - (uint64_t)quotient : (uint64_t)quotient;
        largest = size > largest ? size : largest;
    }
    uint64_t factor = scale_powers[from < scale ? scale - from : 0];
    if (bad != 0 || largest > INT64_MAX / factor)
        return false;
    *magnitude = largest * factor;
    return true;
}

static bool range_has_scale(const uint8_t *scales, uint32_t count)
{
    unsigned different = 0;
    for (uint32_t r = 0; r < count; r++)
        different |= scales[r] ^ scales[0];
    return different == 0;
}

// The commonest case at once: a range of rows whose decimals all fit the block's scales as they
// are.
static bool builder_join_range(struct segment_builder *builder, const struct rows *source,
                               uint32_t first, uint32_t count)
{
    uint64_t largest[EVENT_COLUMNS_MAX];
    uint64_t any = 0;
    for (uint32_t r = 0; r < count; r++)
        any |= source->present[first + r];
    const uint64_t decimals = source->decimal_columns & any;
    for (uint64_t left = decimals; left != 0; left &= left - 1) {
        int c = __builtin_ctzll(left);
        const uint8_t *scales = source->scale[c] + first;
        if (!range_has_scale(scales, count) ||
            !range_magnitude(source->value[c] + first, count, scales[0], builder->scales[c].scale,
                             &largest[c]))
            return false;
    }
    for (uint64_t left = decimals; left != 0; left &= left - 1) {
        struct scale_track *track = &builder->scales[__builtin_ctzll(left)];
        uint64_t size = largest[__builtin_ctzll(left)];
        track->magnitude = size > track->magnitude ? size : track->magnitude;
    }
    return true;
}

static uint32_t builder_fit(struct segment_builder *builder, const struct rows *source,
                            const uint32_t *index, uint32_t count)
{
    uint32_t at = builder->rows.count;
    uint32_t fit = 0;
    if (!builder->schema->has_levels && at != 0 && rows_selection_is_range(index, count) &&
        builder_join_range(builder, source, index[0], count))
        return count;
    while (fit < count && !builder->closed &&
           builder_join(builder, source, index[fit], at + fit == 0))
        fit++;
    return fit;
}

uint32_t segment_builder_add(struct segment_builder *builder, const struct rows *source,
                             const uint32_t *index, uint32_t count, uint32_t symbol,
                             const struct segment_provenance *provenance)
{
    uint32_t at = builder->rows.count;
    if (builder->closed)
        return 0;
    count = builder_room(builder, source, index, count);
    uint32_t fit = builder_fit(builder, source, index, count);
    rows_append_selected(&builder->rows, source, index, fit);
    for (uint32_t r = 0; r < fit; r++)
        builder->rows.symbol[at + r] = symbol;
    for (uint32_t r = 0; r < fit && builder->provenance; r++) {
        builder->tape[at + r] = provenance ? provenance[r].tape : 0;
        builder->row[at + r] = provenance ? provenance[r].row : 0;
    }
    return fit;
}

// ---- header ----

static void builder_widen(int64_t *min, int64_t *max, int64_t low, int64_t high)
{
    *min = low < *min ? low : *min;
    *max = high > *max ? high : *max;
}

static void builder_zone_ids(const struct rows *rows, struct segment_zone zone,
                             struct layout_block *header)
{
    uint64_t both = 1ull << zone.id_low | 1ull << zone.id_high;
    for (uint32_t r = 0; r < rows->count; r++) {
        if ((rows->present[r] & both) == both)
            builder_widen(&header->id_min, &header->id_max, rows->value[zone.id_low][r],
                          rows->value[zone.id_high][r]);
    }
}

static void builder_zone_prices(const struct rows *rows, struct segment_zone zone,
                                struct layout_block *header)
{
    const int64_t *values = rows->value[zone.price_low];
    const uint8_t *scales = rows->scale[zone.price_low];
    for (uint32_t r = 0; r < rows->count; r++) {
        if (!(rows->present[r] >> zone.price_low & 1))
            continue;
        int64_t price = scale_move(values[r], scales[r], header->price_scale);
        builder_widen(&header->price_min, &header->price_max, price, price);
    }
}

// Ranges of time, ids and prices.
static void builder_zones(const struct segment_builder *builder, struct layout_block *header)
{
    const struct rows *rows = &builder->rows;
    struct segment_zone zone = segment_zone_columns(builder->schema);
    header->time_min = header->id_min = header->price_min = INT64_MAX;
    header->time_max = header->id_max = header->price_max = INT64_MIN;
    unsigned first_time = builder->schema->times[0];
    for (uint32_t r = 0; r < rows->count; r++) {
        bool usual = rows->present[r] >> first_time & 1;
        int64_t time = usual ? rows->value[first_time][r] : rows_time_ns(rows, r);
        builder_widen(&header->time_min, &header->time_max, time, time);
    }
    if (zone.id_low >= 0)
        builder_zone_ids(rows, zone, header);
    if (zone.price_low < 0)
        return;
    header->price_scale = builder->scales[zone.price_low].scale;
    builder_zone_prices(rows, zone, header);
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

size_t segment_builder_bytes_max(const struct segment_builder *builder)
{
    bool levels = builder->schema->has_levels;
    size_t columns = (size_t)builder->schema->column_count + 8;
    size_t bytes = LAYOUT_HEADER_BYTES +
                   (size_t)SEGMENT_BLOCK_ROWS_MAX * (1 + SEGMENT_SYMBOL_BYTES_MAX) +
                   sizeof(struct segment_directory) * SEGMENT_DIRECTORY_MAX;
    bytes += columns * (column_bytes_max(SEGMENT_BLOCK_ROWS_MAX) + SEGMENT_BLOCK_ROWS_MAX / 8 + 16);
    if (levels)
        bytes += 5 * column_bytes_max(SEGMENT_BLOCK_LEVELS_MAX);
    bytes += column_bytes_spare(levels ? SEGMENT_BLOCK_LEVELS_MAX : SEGMENT_BLOCK_ROWS_MAX);
    return bytes + SEGMENT_BLOCK_TEXT_BYTES_MAX;
}

size_t segment_builder_encode(struct segment_builder *builder, const struct index_build *build,
                              struct layout_block *header, uint8_t *out)
{
    ensure(builder->rows.count > 0);
    ensure(header->salt != 0);
    header->magic = LAYOUT_BLOCK_MAGIC;
    header->major = LAYOUT_MAJOR;
    header->minor = LAYOUT_SEGMENT_MINOR;
    header->header_bytes = LAYOUT_HEADER_BYTES;
    header->rows = builder->rows.count;
    header->levels = builder->rows.level_count;
    header->text_bytes = builder->rows.text_size;
    header->optional = builder->level == COLUMN_LEVEL_LIGHT ? LAYOUT_BLOCK_LIGHT : 0;
    header->channel = (uint8_t)builder->schema->channel;
    builder_zones(builder, header);
    uint8_t *start = out + LAYOUT_HEADER_BYTES;
    uint8_t *end = builder_put_names(builder, build, header, start);
    end = segment_encode_columns(builder, header, end);
    size_t payload = (size_t)(end - start);
    ensure(payload + LAYOUT_HEADER_BYTES <= segment_builder_bytes_max(builder));
    header->payload_bytes = (uint32_t)payload;
    header->payload_hash = XXH3_64bits(out + LAYOUT_HEADER_BYTES, payload);
    header->hash = XXH3_64bits(header, LAYOUT_HEADER_BYTES - sizeof header->hash);
    memcpy(out, header, LAYOUT_HEADER_BYTES);
    return payload + LAYOUT_HEADER_BYTES;
}
