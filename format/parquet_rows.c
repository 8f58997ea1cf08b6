// SPDX-License-Identifier: Apache-2.0
//
// A row is checked as a whole while its cells are set; the first that does not fit drops the row.
// The levels of a message are checked before its first row is written, so that none stands alone.
#include "format/parquet_rows_inside.h"

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/text_utf8.h"
#include <stdio.h>
#include <string.h>


const char *parquet_rows_error_text(enum parquet_rows_error error)
{
    switch (error) {
    case PARQUET_ROWS_GOOD: return "good";
    case PARQUET_ROWS_WRITE_FAILED: return "writing failed";
    case PARQUET_ROWS_DECIMAL_RANGE: return "the number does not fit its DECIMAL type exactly";
    case PARQUET_ROWS_UNKNOWN_CODE: return "the code has no name";
    case PARQUET_ROWS_NOT_UTF8: return "the text is not UTF-8";
    case PARQUET_ROWS_COLUMN_ABSENT: return "a column that is never absent is absent";
    case PARQUET_ROWS_SYMBOL_ABSENT: return "the row has no symbol";
    }
    ensure(false);
    return NULL;
}

// ---- columns ----

static const char *parquet_rows_code_text(const void *context, uint32_t code)
{
    const struct column *column = context;
    return column->codes[code];
}

static const char *parquet_rows_symbol_text(const void *context, uint32_t code)
{
    const struct parquet_rows *rows = context;
    return rows->options.symbols[code];
}

static const char *parquet_rows_store_text(const void *context, uint32_t code)
{
    const struct parquet_rows *rows = context;
    ensure(code == 0);
    return rows->options.store;
}

static const char *parquet_rows_level_text(const void *context, uint32_t code)
{
    (void)context;
    return code == 0 ? "bid" : "ask";
}

static bool parquet_rows_is_bool(const struct column *column)
{
    const char *const *codes = column->codes;
    return strcmp(codes[0], "false") == 0 && codes[1] && strcmp(codes[1], "true") == 0 && !codes[2];
}

static void parquet_rows_add(struct parquet_rows *rows, struct parquet_column column)
{
    ensure(rows->column_count < PARQUET_COLUMNS_MAX);
    rows->columns[rows->column_count++] = column;
}

static void parquet_rows_add_code(struct parquet_rows *rows, const struct column *column)
{
    uint32_t count = 0;
    if (parquet_rows_is_bool(column)) {
        parquet_rows_add(rows, (struct parquet_column){.name = column->name,
                                                       .type = PARQUET_BOOLEAN,
                                                       .nullable = column->nullable});
        return;
    }
    while (column->codes[count]) count++;
    parquet_rows_add(rows, (struct parquet_column){.name = column->name,
                                                   .type = PARQUET_CODE,
                                                   .nullable = column->nullable,
                                                   .code_count = count,
                                                   .code_text = parquet_rows_code_text,
                                                   .context = column});
}

static void parquet_rows_add_own(struct parquet_rows *rows, uint8_t c)
{
    const struct column *column = &rows->options.schema->columns[c];
    struct parquet_column own = {.name = column->name, .nullable = column->nullable};
    if (column->type == COLUMN_CODE) {
        parquet_rows_add_code(rows, column);
        return;
    }
    if (column->type == COLUMN_TIME) {
        (void)snprintf(rows->names[c], sizeof rows->names[c], "%s_ns", column->name);
        own.name = rows->names[c];
        own.type = PARQUET_INT64;
    } else if (column->type == COLUMN_DECIMAL) {
        own.type = column->decimal == DECIMAL_PRICE ? PARQUET_DECIMAL_18 : PARQUET_DECIMAL_38;
        own.scale = decimal_type_of(column->decimal).scale;
    } else if (column->type == COLUMN_TEXT) {
        const bool any_bytes = rows->options.schema->channel == CHANNEL_RAW && c == RAW_FRAME;
        own.type = any_bytes ? PARQUET_BINARY : PARQUET_STRING;
    } else {
        own.type = PARQUET_INT64;
    }
    parquet_rows_add(rows, own);
}

static void parquet_rows_add_levels(struct parquet_rows *rows)
{
    static const struct parquet_column level[LEVEL_COLUMNS] = {
        [LEVEL_INDEX] = {.name = "level_index", .type = PARQUET_INT64, .nullable = true},
        [LEVEL_SIDE] = {.name = "side", .type = PARQUET_CODE, .nullable = true, .code_count = 2,
                        .code_text = parquet_rows_level_text},
        [LEVEL_PRICE] = {.name = "price", .type = PARQUET_DECIMAL_18, .nullable = true, .scale = 8},
        [LEVEL_QUANTITY] = {.name = "quantity", .type = PARQUET_DECIMAL_38, .nullable = true,
                            .scale = 12},
    };
    rows->level = rows->column_count;
    for (int i = 0; i < LEVEL_COLUMNS; i++) parquet_rows_add(rows, level[i]);
}

static void parquet_rows_add_store(struct parquet_rows *rows)
{
    rows->store = rows->column_count;
    parquet_rows_add(rows, (struct parquet_column){.name = "store",
                                                   .type = PARQUET_CODE,
                                                   .code_count = 1,
                                                   .code_text = parquet_rows_store_text,
                                                   .context = rows});
    parquet_rows_add(rows, (struct parquet_column){
                               .name = "tape", .type = PARQUET_INT64, .nullable = true});
    parquet_rows_add(rows, (struct parquet_column){
                               .name = "tape_row", .type = PARQUET_INT64, .nullable = true});
}

// Rows about a link or the daemon itself belong to no instrument.
static bool parquet_rows_symbol_nullable(const struct channel_schema *schema)
{
    return schema->channel == CHANNEL_STATUS || schema->channel == CHANNEL_RAW ||
           schema->channel == CHANNEL_ALERT; // of silence: about an exchange
}

void parquet_rows_init(struct parquet_rows *rows, const struct parquet_rows_options *options)
{
    const struct channel_schema *schema = options->schema;
    ensure(schema != NULL && options->store != NULL && options->symbol_count > 0);
    memset(rows, 0, sizeof *rows);
    rows->options = *options;
    parquet_rows_add(rows, (struct parquet_column){.name = "symbol",
                                                   .type = PARQUET_CODE,
                                                   .nullable = parquet_rows_symbol_nullable(schema),
                                                   .code_count = options->symbol_count,
                                                   .code_text = parquet_rows_symbol_text,
                                                   .context = rows});
    parquet_rows_add(rows, (struct parquet_column){.name = "ts", .type = PARQUET_TIMESTAMP});
    parquet_rows_add(rows, (struct parquet_column){.name = "ts_ns", .type = PARQUET_INT64});
    rows->first_own = rows->column_count;
    ensure(rows->first_own == COLUMN_FIRST);
    for (uint8_t c = 0; c < schema->column_count; c++) parquet_rows_add_own(rows, c);
    if (schema->has_levels) parquet_rows_add_levels(rows);
    if (schema->identity_count == 0) parquet_rows_add_store(rows);
}

uint32_t parquet_rows_sorting(const struct parquet_rows *rows,
                              uint32_t sorting[PARQUET_SORTING_MAX])
{
    ensure(rows->column_count > COLUMN_TS_NS);
    sorting[0] = COLUMN_SYMBOL;
    sorting[1] = COLUMN_TS_NS;
    return 2;
}

// ---- cells ----

static enum parquet_rows_error parquet_rows_put_decimal(struct parquet_writer *writer, uint32_t at,
                                                        enum decimal_kind kind, int64_t mantissa,
                                                        uint8_t scale)
{
    const struct decimal_type type = decimal_type_of(kind);
    __int128 value;
    if (!decimal_text_rescale(mantissa, scale, type.scale, type.digits, &value))
        return PARQUET_ROWS_DECIMAL_RANGE;
    if (kind == DECIMAL_PRICE)
        parquet_set_int64(writer, at, (int64_t)value);
    else
        parquet_set_int128(writer, at, value);
    return PARQUET_ROWS_GOOD;
}

static enum parquet_rows_error parquet_rows_put_code(struct parquet_writer *writer,
                                                     const struct parquet_column *target,
                                                     uint32_t at, int64_t code)
{
    const int64_t count = target->type == PARQUET_BOOLEAN ? 2 : target->code_count;
    if (code < 0 || code >= count) return PARQUET_ROWS_UNKNOWN_CODE;
    if (target->type == PARQUET_BOOLEAN)
        parquet_set_bool(writer, at, code == 1);
    else
        parquet_set_code(writer, at, (uint32_t)code);
    return PARQUET_ROWS_GOOD;
}

// A `detail` is for people: bytes in it that are no text are replaced, so that the rest of the row
// gets out. Every other text is exact or the row is refused.
static enum parquet_rows_error parquet_rows_put_text(struct parquet_rows *rows,
                                                     struct parquet_writer *writer, uint32_t at,
                                                     const uint8_t *text, uint32_t size)
{
    const struct parquet_column *target = &rows->columns[at];
    if (target->type == PARQUET_STRING && !text_utf8_valid(text, size)) {
        if (strcmp(target->name, "detail") != 0) return PARQUET_ROWS_NOT_UTF8;
        const size_t repaired = text_utf8_repair(text, size, rows->detail, sizeof rows->detail);
        if (repaired == 0) return PARQUET_ROWS_NOT_UTF8;
        parquet_set_text(writer, at, rows->detail, (uint32_t)repaired);
        return PARQUET_ROWS_GOOD;
    }
    parquet_set_text(writer, at, text, size);
    return PARQUET_ROWS_GOOD;
}

static enum parquet_rows_error parquet_rows_put_own(struct parquet_rows *rows,
                                                    struct parquet_writer *writer,
                                                    const struct rows *source, uint32_t index,
                                                    uint32_t c)
{
    const struct column *column = &rows->options.schema->columns[c];
    const uint32_t at = rows->first_own + c;
    if (!(source->present[index] >> c & 1))
        return column->nullable ? PARQUET_ROWS_GOOD : PARQUET_ROWS_COLUMN_ABSENT;
    switch (column->type) {
    case COLUMN_INTEGER:
    case COLUMN_TIME:
        parquet_set_int64(writer, at, source->value[c][index]);
        return PARQUET_ROWS_GOOD;
    case COLUMN_DECIMAL:
        return parquet_rows_put_decimal(writer, at, column->decimal, source->value[c][index],
                                        source->scale[c][index]);
    case COLUMN_CODE:
        return parquet_rows_put_code(writer, &rows->columns[at], at, source->value[c][index]);
    case COLUMN_TEXT:
        return parquet_rows_put_text(rows, writer, at,
                                     source->text + source->text_offset[column->text][index],
                                     source->text_length[column->text][index]);
    }
    ensure(false);
    return PARQUET_ROWS_GOOD;
}

// ---- rows ----

static enum parquet_rows_error parquet_rows_put_symbol(const struct parquet_rows *rows,
                                                       struct parquet_writer *writer,
                                                       uint32_t symbol)
{
    if (symbol == SYMBOL_NONE)
        return rows->columns[COLUMN_SYMBOL].nullable ? PARQUET_ROWS_GOOD
                                                     : PARQUET_ROWS_SYMBOL_ABSENT;
    parquet_set_code(writer, COLUMN_SYMBOL, symbol);
    return PARQUET_ROWS_GOOD;
}

// All but the level columns.
static enum parquet_rows_error parquet_rows_put_message(struct parquet_rows *rows,
                                                        struct parquet_writer *writer,
                                                        const struct rows *source, uint32_t index,
                                                        const struct parquet_rows_place *place,
                                                        const char **column)
{
    const int64_t time_ns = rows_time_ns(source, index);
    *column = rows->columns[COLUMN_SYMBOL].name;
    enum parquet_rows_error error = parquet_rows_put_symbol(rows, writer, place->symbol);
    parquet_set_int64(writer, COLUMN_TS, parquet_rows_micros(time_ns));
    parquet_set_int64(writer, COLUMN_TS_NS, time_ns);
    for (uint32_t c = 0; c < rows->options.schema->column_count && !error; c++) {
        *column = rows->columns[rows->first_own + c].name;
        error = parquet_rows_put_own(rows, writer, source, index, c);
    }
    if (rows->store > 0) {
        parquet_set_code(writer, rows->store + STORE_ID, 0);
        if (place->tape > 0) {
            parquet_set_int64(writer, rows->store + STORE_TAPE, place->tape);
            parquet_set_int64(writer, rows->store + STORE_TAPE_ROW, (int64_t)place->tape_row);
        }
    }
    return error;
}

static enum parquet_rows_error parquet_rows_put_level(struct parquet_rows *rows,
                                                      struct parquet_writer *writer,
                                                      const struct rows *source, uint32_t level,
                                                      uint32_t number)
{
    const uint32_t at = rows->level;
    parquet_set_int64(writer, at + LEVEL_INDEX, number);
    enum parquet_rows_error error = parquet_rows_put_code(
        writer, &rows->columns[at + LEVEL_SIDE], at + LEVEL_SIDE, source->level_side[level]);
    if (!error)
        error = parquet_rows_put_decimal(writer, at + LEVEL_PRICE, DECIMAL_PRICE,
                                         source->level_price[level],
                                         source->level_price_scale[level]);
    if (!error)
        error = parquet_rows_put_decimal(writer, at + LEVEL_QUANTITY, DECIMAL_QUANTITY,
                                         source->level_quantity[level],
                                         source->level_quantity_scale[level]);
    return error;
}

// Would every level fit: tried on the row being built, which is then dropped.
static enum parquet_rows_error parquet_rows_try_levels(struct parquet_rows *rows,
                                                       struct parquet_writer *writer,
                                                       const struct rows *source, uint32_t index,
                                                       const char **column)
{
    enum parquet_rows_error error = PARQUET_ROWS_GOOD;
    const uint32_t first = source->level_first[index], end = source->level_first[index + 1];
    *column = "levels";
    for (uint32_t level = first; level < end && !error; level++) {
        error = parquet_rows_put_level(rows, writer, source, level, level - first);
        parquet_row_drop(writer);
    }
    return error;
}

static enum parquet_rows_error parquet_rows_row_end(struct parquet_writer *writer, int *error)
{
    *error = parquet_row_end(writer);
    return *error == 0 ? PARQUET_ROWS_GOOD : PARQUET_ROWS_WRITE_FAILED;
}

enum parquet_rows_error parquet_rows_put(struct parquet_rows *rows, struct parquet_writer *writer,
                                         const struct rows *source, uint32_t index,
                                         const struct parquet_rows_place *place,
                                         const char **column, int *error)
{
    ensure(source->schema == rows->options.schema && index < source->count);
    const bool levels = rows->level > 0;
    const uint32_t first = levels ? source->level_first[index] : 0;
    const uint32_t count = levels ? source->level_first[index + 1] - first : 0;
    enum parquet_rows_error result = PARQUET_ROWS_GOOD;
    if (count > 1) result = parquet_rows_try_levels(rows, writer, source, index, column);
    for (uint32_t number = 0; number == 0 || number < count; number++) {
        if (!result) result = parquet_rows_put_message(rows, writer, source, index, place, column);
        if (!result && count > 0) {
            result = parquet_rows_put_level(rows, writer, source, first + number, number);
            if (result) *column = "levels";
        }
        if (result) {
            ensure(number == 0); // what comes later was tried, or is what came before
            parquet_row_drop(writer);
            return result;
        }
        result = parquet_rows_row_end(writer, error);
        if (result) return result;
    }
    return PARQUET_ROWS_GOOD;
}
