// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random rows for the tests of the format: every channel, every column, extremes more often than
// not. A test prints its seed; the same seed gives the same rows.
#ifndef RINGTAPE_TESTS_FORMAT_RANDOM_H
#define RINGTAPE_TESTS_FORMAT_RANDOM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/rows.h"

struct format_random {
    uint64_t state;
};

// SplitMix64.
static inline uint64_t random_next(struct format_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint32_t random_below(struct format_random *random, uint32_t bound)
{
    return (uint32_t)(random_next(random) % bound);
}

static inline int64_t random_value(struct format_random *random)
{
    switch (random_below(random, 8)) {
    case 0:
        return INT64_MIN;
    case 1:
        return INT64_MAX;
    case 2:
        return 0;
    case 3:
        return -1;
    case 4:
        return (int64_t)random_next(random);
    default: // any width
        return (int64_t)(random_next(random) >> random_below(random, 64));
    }
}

// How a column behaves over the rows of one batch or block.
enum random_style { RANDOM_WILD, RANDOM_CALM, RANDOM_SAME, RANDOM_ABSENT, RANDOM_STYLES };

static inline int64_t random_cell(struct format_random *random, enum random_style style,
                                  enum column_type type, uint32_t row)
{
    if (type == COLUMN_CODE)
        return random_below(random, 2);
    if (style == RANDOM_SAME)
        return type == COLUMN_TIME ? 1723161600123456789 : 4242;
    if (style == RANDOM_WILD)
        return random_value(random);
    if (type == COLUMN_TIME) // milliseconds of one day
        return 1723161600000000000 + (int64_t)row * 1000000 + random_below(random, 50) * 1000000ll;
    return 1000000 + random_below(random, 100000);
}

static inline void random_event_cell(struct format_random *random, struct event *event, int c,
                                     enum random_style style, uint32_t row)
{
    static const uint8_t text[64] = "MARKET \xff\0 and the rest of a text, long enough";
    const struct column *column = &channel_schema(event->channel)->columns[c];
    if (style == RANDOM_ABSENT || (style == RANDOM_WILD && random_below(random, 4) == 0))
        return;
    if (column->type == COLUMN_TEXT) {
        uint32_t size = style == RANDOM_SAME ? 6 : random_below(random, 40);
        event_set_text(event, c, text, size);
    } else if (column->type == COLUMN_DECIMAL) {
        uint32_t scale = style == RANDOM_WILD ? random_below(random, 19) : 8;
        event_set_decimal(event, c, random_cell(random, style, column->type, row), (uint8_t)scale);
    } else {
        event_set(event, c, random_cell(random, style, column->type, row));
    }
}

static inline void random_levels(struct format_random *random, struct event_level *levels,
                                 uint32_t count, bool wild)
{
    for (uint32_t l = 0; l < count; l++) {
        levels[l] = (struct event_level){
            .price = wild ? random_value(random) : 6000000 + (int64_t)random_below(random, 1000),
            .quantity = wild ? random_value(random) : (int64_t)random_below(random, 100000),
            .price_scale = (uint8_t)(wild ? random_below(random, 19) : 2),
            .quantity_scale = (uint8_t)(wild ? random_below(random, 19) : 5),
            .side = (uint8_t)(random_next(random) & 1),
        };
    }
}

// Appends `count` rows (or as many as fit) of the channel of `rows`; symbols below `symbols`, or
// none.
static inline void random_rows(struct format_random *random, struct rows *rows, uint32_t count,
                               uint32_t symbols)
{
    static struct event event;
    static struct event_level levels[64];
    enum random_style styles[EVENT_COLUMNS_MAX];
    const struct channel_schema *schema = rows->schema;
    for (int c = 0; c < schema->column_count; c++)
        styles[c] = (enum random_style)random_below(random, RANDOM_STYLES);
    bool wild = (random_next(random) & 1) != 0;
    for (uint32_t r = 0; r < count; r++) {
        uint32_t symbol = random_below(random, symbols + 1);
        event_clear(&event, schema->channel, symbol == symbols ? SYMBOL_NONE : symbol);
        for (int c = 0; c < schema->column_count; c++)
            random_event_cell(random, &event, c, styles[c], r);
        if (schema->has_levels) {
            event.level_count = random_below(random, 3) == 0 ? 0 : random_below(random, 30);
            event.levels = levels;
            random_levels(random, levels, event.level_count, wild);
        }
        if (!rows_append(rows, &event))
            break;
    }
}

static inline struct rows *random_rows_new(enum channel channel, struct rows_limits limits)
{
    const struct channel_schema *schema = channel_schema(channel);
    size_t head = (sizeof(struct rows) + 63) & ~(size_t)63;
    size_t bytes = (head + rows_memory_bytes(schema, &limits) + 63) & ~(size_t)63;
    uint8_t *memory = aligned_alloc(64, bytes);
    ensure(memory);
    struct rows *rows = (struct rows *)(void *)memory;
    rows_init(rows, schema, &limits, memory + head);
    return rows;
}

// Equal text and levels of row `a` of `x` and row `b` of `y`.
static inline bool random_row_tail_equal(const struct rows *x, uint32_t a, const struct rows *y,
                                         uint32_t b)
{
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && x->text_length[slot]; slot++) {
        uint32_t length = x->text_length[slot][a];
        if (length != y->text_length[slot][b] ||
            memcmp(x->text + x->text_offset[slot][a], y->text + y->text_offset[slot][b], length))
            return false;
    }
    if (!x->schema->has_levels)
        return true;
    uint32_t m = x->level_first[a];
    uint32_t n = y->level_first[b];
    uint32_t count = x->level_first[a + 1] - m;
    return count == y->level_first[b + 1] - n &&
           memcmp(x->level_price + m, y->level_price + n, count * 8) == 0 &&
           memcmp(x->level_quantity + m, y->level_quantity + n, count * 8) == 0 &&
           memcmp(x->level_price_scale + m, y->level_price_scale + n, count) == 0 &&
           memcmp(x->level_quantity_scale + m, y->level_quantity_scale + n, count) == 0 &&
           memcmp(x->level_side + m, y->level_side + n, count) == 0;
}

// Exactly the same cells, spelling of decimals included; symbols are not compared.
static inline bool random_row_equal(const struct rows *x, uint32_t a, const struct rows *y,
                                    uint32_t b)
{
    if (x->present[a] != y->present[b])
        return false;
    for (int c = 0; c < x->schema->column_count; c++) {
        if (x->value[c] && x->value[c][a] != y->value[c][b])
            return false;
        if (x->scale[c] && x->scale[c][a] != y->scale[c][b])
            return false;
    }
    return random_row_tail_equal(x, a, y, b);
}

#endif
