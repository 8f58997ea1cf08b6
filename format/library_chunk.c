// SPDX-License-Identifier: Apache-2.0
//
// Rows as a stranger wants them: arrays without gaps, one scale a column. Where all rows of a block
// match and their scales agree, as they do in segments, the arrays are the block's own.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/library_inside.h"
#include "format/segment_scale.h"

void library_chunk_close(struct library_chunk *made)
{
    free(made->rows);
    free(made->time);
    free(made->tape);
    free(made->tape_row);
    free(made->symbols);
    *made = (struct library_chunk){0};
}

// ---- memory ----

static int room_for_rows(struct library_chunk *made, uint32_t rows)
{
    if (rows <= made->row_room)
        return 0;
    free(made->time);
    free(made->tape);
    free(made->tape_row);
    made->time = malloc(rows * sizeof *made->time);
    made->tape = malloc(rows * sizeof *made->tape);
    made->tape_row = malloc(rows * sizeof *made->tape_row);
    made->row_room = made->time && made->tape && made->tape_row ? rows : 0;
    return made->row_room ? 0 : -ENOMEM;
}

static int room_for_symbols(struct library_chunk *made, uint32_t symbols)
{
    if (symbols <= made->symbol_room)
        return 0;
    free(made->symbols);
    made->symbols = malloc(symbols * sizeof *made->symbols);
    made->symbol_room = made->symbols ? symbols : 0;
    return made->symbols ? 0 : -ENOMEM;
}

static int room_for_copy(struct library_chunk *made, const struct rows *from)
{
    const struct rows *old = made->rows;
    if (old && old->schema == from->schema && from->count <= old->limits.rows &&
        from->level_count <= old->limits.levels && from->text_size <= old->limits.text_bytes) {
        rows_clear(made->rows);
        return 0;
    }
    const struct rows_limits limits = {from->count, from->level_count, from->text_size};
    size_t head = (sizeof(struct rows) + 63) & ~(size_t)63;
    size_t bytes = (head + rows_memory_bytes(from->schema, &limits) + 63) & ~(size_t)63;
    free(made->rows);
    uint8_t *memory = aligned_alloc(64, bytes);
    made->rows = (struct rows *)(void *)memory;
    if (!memory)
        return -ENOMEM;
    rows_init(made->rows, from->schema, &limits, memory + head);
    return 0;
}

// ---- scales ----

// How many of the rows, at most `count`, can share a scale in this column, and which.
static uint32_t share_scale(const struct rows *rows, int column, const uint32_t *index,
                            uint32_t count, uint8_t *scale)
{
    const uint8_t *scales = rows->scale[column];
    struct scale_track track = {0};
    int same = -1; // the scale that all so far have as they are; -2: they differ
    bool full = false; // the track cannot take what came
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = index[i];
        if ((rows->present[row] >> column & 1) == 0)
            continue;
        full = !scale_add(&track, rows->value[column][row], scales[row]) || full;
        if (full && same != -1 && same != scales[row]) {
            count = i;
            break;
        }
        same = same == -1 || same == scales[row] ? scales[row] : -2;
    }
    *scale = same >= 0 ? (uint8_t)same : track.scale;
    return count;
}

// The longest run of rows whose decimals have one scale a column.
static uint32_t share_scales(const struct rows *rows, const uint32_t *index, uint32_t count,
                             uint8_t scales[EVENT_COLUMNS_MAX])
{
    uint32_t before = 0;
    while (before != count) { // a shorter run may have another scale
        before = count;
        for (int c = 0; c < rows->schema->column_count; c++) {
            scales[c] = 0;
            if (rows->scale[c])
                count = share_scale(rows, c, index, count, &scales[c]);
        }
    }
    ensure(count > 0);
    return count;
}

static bool scales_agree(const struct rows *rows, const uint8_t scales[EVENT_COLUMNS_MAX])
{
    for (int c = 0; c < rows->schema->column_count; c++) {
        for (uint32_t r = 0; rows->scale[c] && r < rows->count; r++) {
            if ((rows->present[r] >> c & 1) != 0 && rows->scale[c][r] != scales[c])
                return false;
        }
    }
    return true;
}

static void move_scales(struct rows *rows, const uint8_t scales[EVENT_COLUMNS_MAX])
{
    for (int c = 0; c < rows->schema->column_count; c++) {
        for (uint32_t r = 0; rows->scale[c] && r < rows->count; r++)
            rows->value[c][r] = scale_move(rows->value[c][r], rows->scale[c][r], scales[c]);
    }
}

// ---- the chunk ----

static void show_columns(const struct rows *rows, uint64_t columns,
                         const uint8_t scales[EVENT_COLUMNS_MAX], struct ringtape_chunk *out)
{
    for (int c = 0; c < rows->schema->column_count; c++) {
        struct ringtape_values *values = &out->column[c];
        const struct column *column = &rows->schema->columns[c];
        if ((columns >> c & 1) == 0)
            continue;
        values->value = rows->value[c];
        values->scale = scales[c];
        if (column->type == COLUMN_TEXT) {
            values->text_offset = rows->text_offset[column->text];
            values->text_length = rows->text_length[column->text];
        }
    }
    if (!rows->schema->has_levels || (columns & SEGMENT_COLUMNS_LEVELS) == 0)
        return;
    out->level_first = rows->level_first;
    out->level_price = rows->level_price;
    out->level_quantity = rows->level_quantity;
    out->level_price_scale = rows->level_price_scale;
    out->level_quantity_scale = rows->level_quantity_scale;
    out->level_side = rows->level_side;
}

static void show_provenance(struct library_chunk *made, const struct store_chunk *chunk,
                            const uint32_t *index, uint32_t count, struct ringtape_chunk *out)
{
    if (!chunk->tape)
        return;
    for (uint32_t i = 0; i < count; i++) {
        made->tape[i] = chunk->tape[index[i]];
        made->tape_row[i] = chunk->tape_row[index[i]];
    }
    out->tape = made->tape;
    out->tape_row = made->tape_row;
}

static void show_names(struct library_chunk *made, const struct store_chunk *chunk,
                       struct ringtape_chunk *out)
{
    for (uint32_t s = 0; s < chunk->symbol_count; s++)
        made->symbols[s] = (struct ringtape_text){.bytes = (const char *)chunk->symbols[s].bytes,
                                                  .size = chunk->symbols[s].size};
    out->symbols = made->symbols;
    out->symbol_count = chunk->symbol_count;
}

int library_chunk_make(struct library_chunk *made, const struct store_chunk *chunk, uint32_t from,
                       uint32_t *count, uint64_t columns, struct ringtape_chunk *out)
{
    const uint32_t *index = chunk->index + from;
    const struct rows *rows = chunk->rows;
    uint8_t scales[EVENT_COLUMNS_MAX] = {0};
    *count = share_scales(rows, index, *count, scales);
    if (room_for_rows(made, *count) < 0 || room_for_symbols(made, chunk->symbol_count) < 0)
        return -ENOMEM;
    if (*count != rows->count || !scales_agree(rows, scales)) {
        if (room_for_copy(made, rows) < 0)
            return -ENOMEM;
        rows_append_selected(made->rows, rows, index, *count);
        move_scales(made->rows, scales);
        rows = made->rows;
    }
    for (uint32_t r = 0; r < *count; r++)
        made->time[r] = rows_time_ns(rows, r);
    *out = (struct ringtape_chunk){.rows = *count,
                                   .time = made->time,
                                   .symbol = rows->symbol,
                                   .present = rows->present,
                                   .text = (const char *)rows->text,
                                   .unknown_columns = chunk->unknown_columns,
                                   .unknown_levels = chunk->unknown_levels};
    show_columns(rows, columns, scales, out);
    show_provenance(made, chunk, index, *count, out);
    show_names(made, chunk, out);
    return 0;
}
