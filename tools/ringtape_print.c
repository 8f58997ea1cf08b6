// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_print: see ringtape_print.h. Contract: what is printed reads back as the same value.
#include "tools/ringtape_print.h"

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/time_text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// ---- cells ----

static void ringtape_print_csv_text(const uint8_t *text, uint32_t size)
{
    bool quote = size == 0;
    for (uint32_t i = 0; i < size && !quote; i++)
        quote = text[i] == '"' || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
    if (!quote) {
        (void)fwrite(text, 1, size, stdout);
        return;
    }
    (void)putchar('"');
    for (uint32_t i = 0; i < size; i++) {
        if (text[i] == '"') (void)putchar('"');
        (void)putchar(text[i]);
    }
    (void)putchar('"');
}

static void ringtape_print_csv_time(int64_t time_ns)
{
    char text[TIME_TEXT_BYTES_MAX];
    time_text_format(text, time_ns, 9);
    (void)fputs(text, stdout);
}

static void ringtape_print_csv_decimal(int64_t mantissa, uint8_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    decimal_text_format(text, mantissa, scale);
    (void)fputs(text, stdout);
}

static void ringtape_print_csv_cell(const struct rows *rows, uint32_t index, uint8_t c)
{
    const struct column *column = &rows->schema->columns[c];
    (void)putchar(',');
    if (!(rows->present[index] >> c & 1)) return;
    if (column->type == COLUMN_TEXT) {
        ringtape_print_csv_text(rows->text + rows->text_offset[column->text][index],
                              rows->text_length[column->text][index]);
        return;
    }
    const int64_t value = rows->value[c][index];
    const char *name = column->type == COLUMN_CODE ? code_name(column, value) : NULL;
    if (column->type == COLUMN_TIME)
        ringtape_print_csv_time(value);
    else if (column->type == COLUMN_DECIMAL)
        ringtape_print_csv_decimal(value, rows->scale[c][index]);
    else if (name != NULL)
        (void)fputs(name, stdout);
    else
        (void)printf("%" PRId64, value);
}

static void ringtape_print_json_decimal(struct ringtape_json *json, const char *key,
                                      int64_t mantissa, uint8_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    decimal_text_format(text, mantissa, scale);
    ringtape_json_text(json, key, text);
}

static void ringtape_print_json_code(struct ringtape_json *json, const struct column *column,
                                   int64_t value)
{
    const char *name = code_name(column, value);
    const bool is_bool = strcmp(column->codes[0], "false") == 0;
    if (name == NULL)
        ringtape_json_integer(json, column->name, value);
    else if (is_bool)
        ringtape_json_bool(json, column->name, value == 1);
    else
        ringtape_json_text(json, column->name, name);
}

static void ringtape_print_json_cell(struct ringtape_json *json, const struct rows *rows,
                                   uint32_t index, uint8_t c)
{
    const struct column *column = &rows->schema->columns[c];
    if (!(rows->present[index] >> c & 1)) {
        ringtape_json_null(json, column->name);
        return;
    }
    switch (column->type) {
    case COLUMN_TEXT:
        ringtape_json_bytes(json, column->name,
                            rows->text + rows->text_offset[column->text][index],
                            rows->text_length[column->text][index]);
        return;
    case COLUMN_TIME: ringtape_json_time(json, column->name, rows->value[c][index]); return;
    case COLUMN_DECIMAL:
        ringtape_print_json_decimal(json, column->name, rows->value[c][index],
                                  rows->scale[c][index]);
        return;
    case COLUMN_CODE: ringtape_print_json_code(json, column, rows->value[c][index]); return;
    case COLUMN_INTEGER: ringtape_json_integer(json, column->name, rows->value[c][index]); return;
    }
    ensure(false);
}

// ---- rows ----

// Name of the row's symbol; empty for a row without.
static struct event_text ringtape_print_symbol(const struct store_chunk *chunk, uint32_t index)
{
    const uint32_t symbol = chunk->rows->symbol[index];
    if (symbol == SYMBOL_NONE) return (struct event_text){NULL, 0};
    ensure(symbol < chunk->symbol_count);
    return chunk->symbols[symbol];
}

void ringtape_print_csv_header(const struct channel_schema *schema)
{
    (void)fputs("symbol,time", stdout);
    for (uint8_t c = 0; c < schema->column_count; c++) (void)printf(",%s", schema->columns[c].name);
    if (schema->has_levels) (void)fputs(",level_index,side,price,quantity", stdout);
    if (schema->identity_count == 0) (void)fputs(",tape,tape_row", stdout);
    (void)putchar('\n');
}

static void ringtape_print_csv_level(const struct rows *rows, uint32_t index, uint32_t number)
{
    const uint32_t level = rows->level_first[index] + number;
    if (level >= rows->level_first[index + 1]) { // a message without levels
        (void)fputs(",,,,", stdout);
        return;
    }
    (void)printf(",%" PRIu32 ",%s,", number, rows->level_side[level] == 0 ? "bid" : "ask");
    ringtape_print_csv_decimal(rows->level_price[level], rows->level_price_scale[level]);
    (void)putchar(',');
    ringtape_print_csv_decimal(rows->level_quantity[level], rows->level_quantity_scale[level]);
}

void ringtape_print_csv(const struct store_chunk *chunk, uint32_t index)
{
    const struct rows *rows = chunk->rows;
    const struct channel_schema *schema = rows->schema;
    const struct event_text symbol = ringtape_print_symbol(chunk, index);
    const uint32_t levels =
        schema->has_levels ? rows->level_first[index + 1] - rows->level_first[index] : 0;
    for (uint32_t number = 0; number == 0 || number < levels; number++) {
        if (symbol.size > 0) ringtape_print_csv_text(symbol.bytes, symbol.size);
        (void)putchar(',');
        ringtape_print_csv_time(rows_time_ns(rows, index));
        for (uint8_t c = 0; c < schema->column_count; c++) ringtape_print_csv_cell(rows, index, c);
        if (schema->has_levels) ringtape_print_csv_level(rows, index, number);
        if (schema->identity_count == 0 && chunk->tape != NULL)
            (void)printf(",%" PRIu32 ",%" PRIu64, chunk->tape[index], chunk->tape_row[index]);
        else if (schema->identity_count == 0)
            (void)fputs(",,", stdout);
        (void)putchar('\n');
    }
}

static void ringtape_print_json_levels(struct ringtape_json *json, const struct rows *rows,
                                     uint32_t index)
{
    ringtape_json_array(json, "levels");
    for (uint32_t i = rows->level_first[index]; i < rows->level_first[index + 1]; i++) {
        ringtape_json_object(json, NULL);
        ringtape_json_text(json, "side", rows->level_side[i] == 0 ? "bid" : "ask");
        ringtape_print_json_decimal(json, "price", rows->level_price[i],
                                    rows->level_price_scale[i]);
        ringtape_print_json_decimal(json, "quantity", rows->level_quantity[i],
                                  rows->level_quantity_scale[i]);
        ringtape_json_object_end(json);
    }
    ringtape_json_array_end(json);
}

void ringtape_print_json(struct ringtape_json *json, const struct store_chunk *chunk,
                                  uint32_t index)
{
    const struct rows *rows = chunk->rows;
    const struct channel_schema *schema = rows->schema;
    const struct event_text symbol = ringtape_print_symbol(chunk, index);
    ringtape_json_object(json, NULL);
    if (symbol.size > 0)
        ringtape_json_bytes(json, "symbol", symbol.bytes, symbol.size);
    else
        ringtape_json_null(json, "symbol");
    ringtape_json_time(json, "time", rows_time_ns(rows, index));
    for (uint8_t c = 0; c < schema->column_count; c++)
        ringtape_print_json_cell(json, rows, index, c);
    if (schema->has_levels) ringtape_print_json_levels(json, rows, index);
    if (schema->identity_count == 0 && chunk->tape != NULL) {
        ringtape_json_count(json, "tape", chunk->tape[index]);
        ringtape_json_count(json, "tape_row", chunk->tape_row[index]);
    }
    ringtape_json_object_end(json);
    ringtape_json_line(json);
}
