// SPDX-License-Identifier: Apache-2.0
//
// One block of memory holds all arrays, each aligned to 64 bytes; rows_place() is the only place
// that knows their order and sizes, and serves both to measure and to carve.
//
// Invariants: count <= limits.rows; level_first[0] = 0 and level_first[count] = level_count; a cell
// without present bit is 0 with scale 0 and an empty text at the text position of that moment.
#include "format/rows.h"

#include <string.h>

#include "format/ensure.h"

enum { ROWS_ALIGNMENT = 64 };

// Hands out parts of `memory`, or only counts when it is NULL.
struct rows_place {
    uint8_t *memory;
    size_t used;
};

static void *rows_carve(struct rows_place *place, size_t count, size_t size)
{
    void *result = place->memory ? place->memory + place->used : NULL;
    size_t bytes = count * size;
    place->used += (bytes + ROWS_ALIGNMENT - 1) & ~(size_t)(ROWS_ALIGNMENT - 1);
    return result;
}

static void rows_place_columns(struct rows *rows, struct rows_place *place)
{
    size_t count = rows->limits.rows;
    for (int c = 0; c < rows->schema->column_count; c++) {
        const struct column *column = &rows->schema->columns[c];
        if (column->type == COLUMN_TEXT) {
            rows->text_offset[column->text] = rows_carve(place, count, sizeof(uint32_t));
            rows->text_length[column->text] = rows_carve(place, count, sizeof(uint32_t));
            continue;
        }
        rows->value[c] = rows_carve(place, count, sizeof(int64_t));
        if (column->type == COLUMN_DECIMAL)
            rows->scale[c] = rows_carve(place, count, sizeof(uint8_t));
    }
}

static void rows_place_all(struct rows *rows, struct rows_place *place)
{
    size_t count = rows->limits.rows;
    size_t levels = rows->limits.levels;
    rows->symbol = rows_carve(place, count, sizeof(uint32_t));
    rows->present = rows_carve(place, count, sizeof(uint64_t));
    rows_place_columns(rows, place);
    rows->text = rows_carve(place, rows->limits.text_bytes, 1);
    if (!rows->schema->has_levels)
        return;
    rows->level_first = rows_carve(place, count + 1, sizeof(uint32_t));
    rows->level_price = rows_carve(place, levels, sizeof(int64_t));
    rows->level_quantity = rows_carve(place, levels, sizeof(int64_t));
    rows->level_price_scale = rows_carve(place, levels, 1);
    rows->level_quantity_scale = rows_carve(place, levels, 1);
    rows->level_side = rows_carve(place, levels, 1);
}

size_t rows_memory_bytes(const struct channel_schema *schema, const struct rows_limits *limits)
{
    ensure(schema);
    struct rows rows = {.schema = schema, .limits = *limits};
    struct rows_place place = {0};
    rows_place_all(&rows, &place);
    return place.used;
}

void rows_init(struct rows *rows, const struct channel_schema *schema,
               const struct rows_limits *limits, void *memory)
{
    ensure(schema);
    ensure(((uintptr_t)memory & (ROWS_ALIGNMENT - 1)) == 0);
    *rows = (struct rows){.schema = schema, .limits = *limits};
    struct rows_place place = {.memory = memory};
    rows_place_all(rows, &place);
    for (int c = 0; c < schema->column_count; c++) {
        rows->text_columns |= (uint64_t)(schema->columns[c].type == COLUMN_TEXT) << c;
        rows->decimal_columns |= (uint64_t)(schema->columns[c].type == COLUMN_DECIMAL) << c;
    }
    rows_clear(rows);
}

void rows_clear(struct rows *rows)
{
    ensure(rows->schema);
    rows->count = 0;
    rows->level_count = 0;
    rows->text_size = 0;
    if (rows->level_first)
        rows->level_first[0] = 0;
}

static uint64_t rows_text_bytes(const struct rows *rows, const struct event *event)
{
    uint64_t bytes = 0;
    for (uint64_t left = rows->text_columns & event->present; left != 0; left &= left - 1)
        bytes += event->text[rows->schema->columns[__builtin_ctzll(left)].text].size;
    return bytes;
}

static void rows_append_text(struct rows *rows, const struct event *event, int c)
{
    uint32_t slot = rows->schema->columns[c].text;
    uint32_t row = rows->count;
    uint32_t size = event_has(event, c) ? event->text[slot].size : 0;
    rows->text_offset[slot][row] = rows->text_size;
    rows->text_length[slot][row] = size;
    if (size != 0)
        memcpy(rows->text + rows->text_size, event->text[slot].bytes, size);
    rows->text_size += size;
    ensure(rows->text_size <= rows->limits.text_bytes);
}

// One loop a type: stores of bytes may alias anything, and would make the compiler read all
// pointers again after each.
static void rows_append_cells(struct rows *rows, const struct event *event)
{
    const uint64_t present = event->present;
    const size_t row = rows->count;
    const unsigned count = rows->schema->column_count;
    for (unsigned c = 0; c < count; c++) {
        if (rows->value[c])
            rows->value[c][row] = event->value[c] & -(int64_t)(present >> c & 1);
    }
    for (uint64_t left = rows->decimal_columns; left != 0; left &= left - 1) {
        unsigned c = (unsigned)__builtin_ctzll(left);
        uint8_t scale = present >> c & 1 ? event->scale[c] : 0;
        ensure(scale <= DECIMAL_SCALE_MAX);
        rows->scale[c][row] = scale;
    }
    for (uint64_t left = rows->text_columns; left != 0; left &= left - 1)
        rows_append_text(rows, event, __builtin_ctzll(left));
}

static void rows_append_levels(struct rows *rows, const struct event *event)
{
    uint32_t at = rows->level_count;
    for (uint32_t l = 0; l < event->level_count; l++, at++) {
        const struct event_level *level = &event->levels[l];
        ensure(level->price_scale <= DECIMAL_SCALE_MAX);
        ensure(level->quantity_scale <= DECIMAL_SCALE_MAX);
        ensure(level->side <= 1);
        rows->level_price[at] = level->price;
        rows->level_quantity[at] = level->quantity;
        rows->level_price_scale[at] = level->price_scale;
        rows->level_quantity_scale[at] = level->quantity_scale;
        rows->level_side[at] = level->side;
    }
    rows->level_count = at;
    rows->level_first[rows->count + 1] = at;
}

bool rows_append(struct rows *rows, const struct event *event)
{
    const struct channel_schema *schema = rows->schema;
    ensure(event->channel == schema->channel);
    ensure(schema->column_count == 64 || event->present >> schema->column_count == 0);
    ensure(event->level_count == 0 || schema->has_levels);
    if (rows->count == rows->limits.rows ||
        event->level_count > rows->limits.levels - rows->level_count ||
        rows_text_bytes(rows, event) > rows->limits.text_bytes - rows->text_size)
        return false;
    rows->symbol[rows->count] = event->symbol;
    rows->present[rows->count] = event->present;
    rows_append_cells(rows, event);
    if (schema->has_levels)
        rows_append_levels(rows, event);
    rows->count++;
    return true;
}

static void rows_get_levels(const struct rows *rows, uint32_t index, struct event *event,
                            struct event_level *levels)
{
    uint32_t first = rows->level_first[index];
    uint32_t end = rows->level_first[index + 1];
    ensure(first <= end && end <= rows->level_count);
    ensure(levels || first == end);
    for (uint32_t l = first; l < end; l++) {
        levels[l - first] = (struct event_level){
            .price = rows->level_price[l],
            .quantity = rows->level_quantity[l],
            .price_scale = rows->level_price_scale[l],
            .quantity_scale = rows->level_quantity_scale[l],
            .side = rows->level_side[l],
        };
    }
    event->level_count = end - first;
    event->levels = levels;
}

void rows_get(const struct rows *rows, uint32_t index, struct event *event,
              struct event_level *levels)
{
    const struct channel_schema *schema = rows->schema;
    ensure(index < rows->count);
    event_clear(event, schema->channel, rows->symbol[index]);
    event->present = rows->present[index];
    for (int c = 0; c < schema->column_count; c++) {
        if (rows->value[c]) {
            event->value[c] = rows->value[c][index];
            event->scale[c] = rows->scale[c] ? rows->scale[c][index] : 0;
        } else {
            uint32_t slot = schema->columns[c].text;
            event->text[slot] = (struct event_text){rows->text + rows->text_offset[slot][index],
                                                    rows->text_length[slot][index]};
        }
    }
    if (schema->has_levels)
        rows_get_levels(rows, index, event, levels);
}

int64_t rows_time_ns(const struct rows *rows, uint32_t index)
{
    const struct channel_schema *schema = rows->schema;
    ensure(index < rows->count);
    for (int t = 0; t < schema->time_count; t++) {
        if (rows->present[index] >> schema->times[t] & 1)
            return rows->value[schema->times[t]][index];
    }
    return 0;
}
