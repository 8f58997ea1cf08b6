// SPDX-License-Identifier: Apache-2.0
//
// rows: events of one channel in memory, column by column. What a batch collects, what the tape and
// segment coders take and give, what readers hand out.
//
// Ownership: rows_init() carves everything out of memory given by the caller, sized by
// rows_memory_bytes(); nothing is allocated later. rows_append() says false when any part is
// full; the rows are then unchanged. Threading: none; one owner at a time.
#ifndef RINGTAPE_FORMAT_ROWS_H
#define RINGTAPE_FORMAT_ROWS_H

#include <stddef.h>

#include "format/event.h"

struct rows_limits {
    uint32_t rows;
    uint32_t levels;     // over all rows; 0 where the channel has none
    uint32_t text_bytes; // over all rows and text columns
};

// Transparent: coders walk the arrays. Cells whose present bit is 0 hold 0 (and scale 0), so that
// equal rows have equal arrays.
struct rows {
    const struct channel_schema *schema;
    struct rows_limits limits;
    uint64_t text_columns;    // bit c: column c is a text
    uint64_t decimal_columns; // bit c: column c is a decimal
    uint32_t count;
    uint32_t level_count;
    uint32_t text_size;
    uint32_t *symbol;                    // [rows]
    uint64_t *present;                   // [rows] bit c: column c has a value
    int64_t *value[EVENT_COLUMNS_MAX];   // [rows]; NULL for text columns
    uint8_t *scale[EVENT_COLUMNS_MAX];   // [rows]; decimals only, else NULL
    uint32_t *text_offset[EVENT_TEXTS_MAX]; // [rows] start of the value in text[]
    uint32_t *text_length[EVENT_TEXTS_MAX]; // [rows]
    uint8_t *text;                       // [text_bytes] in order of appending
    uint32_t *level_first;               // [rows + 1]: levels of row r are [first[r], first[r+1])
    int64_t *level_price;                // [levels]
    int64_t *level_quantity;
    uint8_t *level_price_scale;
    uint8_t *level_quantity_scale;
    uint8_t *level_side;
};

size_t rows_memory_bytes(const struct channel_schema *schema, const struct rows_limits *limits);
// `memory`: rows_memory_bytes() bytes, aligned to 64.
void rows_init(struct rows *rows, const struct channel_schema *schema,
               const struct rows_limits *limits, void *memory);
void rows_clear(struct rows *rows);
bool rows_append(struct rows *rows, const struct event *event);
// Appends rows of `source` (same schema) from `first` on, at most `count`; returns how many fitted.
// Symbol numbers become map[number] (NULL: stay); SYMBOL_NONE stays.
uint32_t rows_append_rows(struct rows *rows, const struct rows *source, uint32_t first,
                          uint32_t count, const uint32_t *map);
// Appends rows index[0 ... count) of `source` (same schema), all of which must fit.
void rows_append_selected(struct rows *rows, const struct rows *source, const uint32_t *index,
                          uint32_t count);
// Is index[0 ... count) one number after the other?
bool rows_selection_is_range(const uint32_t *index, uint32_t count);
// Row `index` as an event; its texts and levels point into `rows` resp. `levels` (room for
// as many levels as the row has, at most EVENT_LEVELS_MAX).
void rows_get(const struct rows *rows, uint32_t index, struct event *event,
              struct event_level *levels);
// event_time_ns() of row `index`.
int64_t rows_time_ns(const struct rows *rows, uint32_t index);

#endif
