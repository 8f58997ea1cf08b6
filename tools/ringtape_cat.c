// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape cat: the rows of one channel as text, exact: decimals as they are, times with
// nanoseconds. CSV (RFC 4180): an absent value is an empty field, an empty text is "". Depth and
// book have one line a level. JSON: one object a row, decimals and times as strings, levels as an
// array.
#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/store.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_query.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OUTPUT_BUFFER_BYTES = 1 << 18 };

struct ringtape_cat {
    struct ringtape_query query;
    const struct channel_schema *schema;
    bool json;
    bool no_header;
    uint64_t limit;
    uint64_t rows;
    uint64_t damages;
};

// ---- cells ----

static void ringtape_cat_csv_text(const uint8_t *text, uint32_t size)
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

static void ringtape_cat_csv_time(int64_t time_ns)
{
    char text[TIME_TEXT_BYTES_MAX];
    time_text_format(text, time_ns, 9);
    (void)fputs(text, stdout);
}

static void ringtape_cat_csv_decimal(int64_t mantissa, uint8_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    decimal_text_format(text, mantissa, scale);
    (void)fputs(text, stdout);
}

static void ringtape_cat_csv_cell(const struct rows *rows, uint32_t index, uint8_t c)
{
    const struct column *column = &rows->schema->columns[c];
    (void)putchar(',');
    if (!(rows->present[index] >> c & 1)) return;
    if (column->type == COLUMN_TEXT) {
        ringtape_cat_csv_text(rows->text + rows->text_offset[column->text][index],
                              rows->text_length[column->text][index]);
        return;
    }
    const int64_t value = rows->value[c][index];
    const char *name = column->type == COLUMN_CODE ? code_name(column, value) : NULL;
    if (column->type == COLUMN_TIME)
        ringtape_cat_csv_time(value);
    else if (column->type == COLUMN_DECIMAL)
        ringtape_cat_csv_decimal(value, rows->scale[c][index]);
    else if (name != NULL)
        (void)fputs(name, stdout);
    else
        (void)printf("%" PRId64, value);
}

static void ringtape_cat_json_decimal(struct ringtape_json *json, const char *key,
                                      int64_t mantissa, uint8_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    decimal_text_format(text, mantissa, scale);
    ringtape_json_text(json, key, text);
}

static void ringtape_cat_json_code(struct ringtape_json *json, const struct column *column,
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

static void ringtape_cat_json_cell(struct ringtape_json *json, const struct rows *rows,
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
        ringtape_cat_json_decimal(json, column->name, rows->value[c][index],
                                  rows->scale[c][index]);
        return;
    case COLUMN_CODE: ringtape_cat_json_code(json, column, rows->value[c][index]); return;
    case COLUMN_INTEGER: ringtape_json_integer(json, column->name, rows->value[c][index]); return;
    }
    ensure(false);
}

// ---- rows ----

// Name of the row's symbol; empty for a row without.
static struct event_text ringtape_cat_symbol(const struct store_chunk *chunk, uint32_t index)
{
    const uint32_t symbol = chunk->rows->symbol[index];
    if (symbol == SYMBOL_NONE) return (struct event_text){NULL, 0};
    ensure(symbol < chunk->symbol_count);
    return chunk->symbols[symbol];
}

static void ringtape_cat_csv_header(const struct channel_schema *schema)
{
    (void)fputs("symbol,time", stdout);
    for (uint8_t c = 0; c < schema->column_count; c++) (void)printf(",%s", schema->columns[c].name);
    if (schema->has_levels) (void)fputs(",level_index,side,price,quantity", stdout);
    if (schema->identity_count == 0) (void)fputs(",tape,tape_row", stdout);
    (void)putchar('\n');
}

static void ringtape_cat_csv_level(const struct rows *rows, uint32_t index, uint32_t number)
{
    const uint32_t level = rows->level_first[index] + number;
    if (level >= rows->level_first[index + 1]) { // a message without levels
        (void)fputs(",,,,", stdout);
        return;
    }
    (void)printf(",%" PRIu32 ",%s,", number, rows->level_side[level] == 0 ? "bid" : "ask");
    ringtape_cat_csv_decimal(rows->level_price[level], rows->level_price_scale[level]);
    (void)putchar(',');
    ringtape_cat_csv_decimal(rows->level_quantity[level], rows->level_quantity_scale[level]);
}

static void ringtape_cat_csv_row(const struct store_chunk *chunk, uint32_t index)
{
    const struct rows *rows = chunk->rows;
    const struct channel_schema *schema = rows->schema;
    const struct event_text symbol = ringtape_cat_symbol(chunk, index);
    const uint32_t levels =
        schema->has_levels ? rows->level_first[index + 1] - rows->level_first[index] : 0;
    for (uint32_t number = 0; number == 0 || number < levels; number++) {
        if (symbol.size > 0) ringtape_cat_csv_text(symbol.bytes, symbol.size);
        (void)putchar(',');
        ringtape_cat_csv_time(rows_time_ns(rows, index));
        for (uint8_t c = 0; c < schema->column_count; c++) ringtape_cat_csv_cell(rows, index, c);
        if (schema->has_levels) ringtape_cat_csv_level(rows, index, number);
        if (schema->identity_count == 0 && chunk->tape != NULL)
            (void)printf(",%" PRIu32 ",%" PRIu64, chunk->tape[index], chunk->tape_row[index]);
        else if (schema->identity_count == 0)
            (void)fputs(",,", stdout);
        (void)putchar('\n');
    }
}

static void ringtape_cat_json_levels(struct ringtape_json *json, const struct rows *rows,
                                     uint32_t index)
{
    ringtape_json_array(json, "levels");
    for (uint32_t i = rows->level_first[index]; i < rows->level_first[index + 1]; i++) {
        ringtape_json_object(json, NULL);
        ringtape_json_text(json, "side", rows->level_side[i] == 0 ? "bid" : "ask");
        ringtape_cat_json_decimal(json, "price", rows->level_price[i], rows->level_price_scale[i]);
        ringtape_cat_json_decimal(json, "quantity", rows->level_quantity[i],
                                  rows->level_quantity_scale[i]);
        ringtape_json_object_end(json);
    }
    ringtape_json_array_end(json);
}

static void ringtape_cat_json_row(struct ringtape_json *json, const struct store_chunk *chunk,
                                  uint32_t index)
{
    const struct rows *rows = chunk->rows;
    const struct channel_schema *schema = rows->schema;
    const struct event_text symbol = ringtape_cat_symbol(chunk, index);
    ringtape_json_object(json, NULL);
    if (symbol.size > 0)
        ringtape_json_bytes(json, "symbol", symbol.bytes, symbol.size);
    else
        ringtape_json_null(json, "symbol");
    ringtape_json_time(json, "time", rows_time_ns(rows, index));
    for (uint8_t c = 0; c < schema->column_count; c++) ringtape_cat_json_cell(json, rows, index, c);
    if (schema->has_levels) ringtape_cat_json_levels(json, rows, index);
    if (schema->identity_count == 0 && chunk->tape != NULL) {
        ringtape_json_count(json, "tape", chunk->tape[index]);
        ringtape_json_count(json, "tape_row", chunk->tape_row[index]);
    }
    ringtape_json_object_end(json);
    ringtape_json_line(json);
}

// ---- the command ----

static void ringtape_cat_damage(void *context, const struct store_damage *damage)
{
    struct ringtape_cat *cat = context;
    cat->damages++;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

// What this program cannot decode must not look like what was never there.
static void ringtape_cat_newer(struct ringtape_cat *cat, const struct store_chunk *chunk)
{
    if (chunk->unknown_columns == 0 && !chunk->unknown_levels) return;
    cat->damages++;
    for (uint8_t c = 0; c < cat->schema->column_count; c++) {
        if (chunk->unknown_columns >> c & 1)
            (void)ringtape_fail("segment %" PRIu32 ": column %s of %" PRIu32 " rows is coded by a "
                                "newer version; left empty",
                                chunk->segment, cat->schema->columns[c].name, chunk->count);
    }
    if (chunk->unknown_levels)
        (void)ringtape_fail("segment %" PRIu32 ": the levels of %" PRIu32 " rows are coded by a "
                            "newer version; left empty",
                            chunk->segment, chunk->count);
}

// 1: go on; 0: the end or the limit; negative: errno.
static int ringtape_cat_chunk(struct ringtape_cat *cat, struct store_scan *scan,
                              struct ringtape_json *json)
{
    struct store_chunk chunk;
    const int result = store_scan_next(scan, &chunk);
    if (result <= 0) return result;
    ringtape_cat_newer(cat, &chunk);
    for (uint32_t i = 0; i < chunk.count; i++) {
        if (cat->rows == cat->limit) return 0;
        cat->rows++;
        if (cat->json)
            ringtape_cat_json_row(json, &chunk, chunk.index[i]);
        else
            ringtape_cat_csv_row(&chunk, chunk.index[i]);
    }
    return !ferror(stdout);
}

static int ringtape_cat_scan(struct ringtape_cat *cat, struct store *store)
{
    struct store_query query = store_query_all(cat->schema->channel);
    struct ringtape_json json;
    struct store_scan *scan;
    query.symbols = cat->query.symbols.text;
    query.symbol_count = cat->query.symbols.count;
    query.time_from = cat->query.from;
    query.time_to = cat->query.to;
    query.damage = ringtape_cat_damage;
    query.damage_context = cat;
    int result = store_scan_open(&scan, store, &query);
    if (result < 0) return ringtape_fail("%s: %s", cat->query.store, ringtape_error_text(result));
    if (!cat->json && !cat->no_header) ringtape_cat_csv_header(cat->schema);
    ringtape_json_start(&json, stdout);
    do
        result = ringtape_cat_chunk(cat, scan, &json);
    while (result > 0);
    store_scan_close(scan);
    if (result < 0) return ringtape_fail("%s: %s", cat->query.store, ringtape_error_text(result));
    return cat->damages > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}

static bool ringtape_cat_parse(struct ringtape_cat *cat, int argc, char **argv, int *exit_code)
{
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(cat->query),
        {.name = "channel", .kind = RINGTAPE_OPTION_LIST, .target = &cat->query.channels,
         .value = "NAME", .required = true,
         .help = "trade, agg_trade, quote, depth, book, ticker, kline, candle,\nalert, status, instrument, raw"},
        RINGTAPE_QUERY_SYMBOL(cat->query),
        RINGTAPE_QUERY_FROM(cat->query),
        RINGTAPE_QUERY_TO(cat->query),
        {.name = "limit", .kind = RINGTAPE_OPTION_COUNT, .target = &cat->limit, .value = "N",
         .help = "at most N rows"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &cat->json,
         .help = "one JSON object a row instead of CSV"},
        {.name = "no-header", .kind = RINGTAPE_OPTION_FLAG, .target = &cat->no_header,
         .help = "CSV without the line of names"},
    };
    const struct ringtape_usage usage = {
        .command = "cat",
        .purpose = "Rows of one channel, also those the daemon wrote a moment ago. Sealed rows "
                   "come\nfirst, day by day and symbol by symbol; within a symbol in order of "
                   "arrival.\nDecimals and times are exact.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), exit_code)) return false;
    *exit_code = RINGTAPE_EXIT_USAGE;
    if (!ringtape_query_check(&cat->query, "cat")) return false;
    if (cat->query.channels.count == 1) return true;
    (void)fprintf(stderr, "ringtape cat: --channel: one channel only, they differ in columns\n");
    return false;
}

int ringtape_cat(int argc, char **argv)
{
    static struct ringtape_cat cat;
    static char buffer[OUTPUT_BUFFER_BYTES];
    struct store *store;
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_query_init(&cat.query);
    cat.limit = UINT64_MAX;
    if (!ringtape_cat_parse(&cat, argc, argv, &exit_code)) return exit_code;
    cat.schema = channel_schema(channel_by_name(cat.query.channels.text[0]));
    ensure(cat.schema != NULL);
    exit_code = ringtape_store_open(&store, cat.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    exit_code = ringtape_cat_scan(&cat, store);
    store_close(store);
    return ringtape_finish_output(exit_code);
}
