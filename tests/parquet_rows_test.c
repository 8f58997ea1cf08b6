// SPDX-License-Identifier: GPL-3.0-or-later
//
// Rows of every channel as Parquet rows: what fits is written, what does not is named and leaves
// nothing behind. The values themselves are compared in tests/peers/parquet_test.py by other
// readers.
#include "format/parquet_rows.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/format_random.h"

enum { ROWS = 16, LEVELS = 64, TEXTS = 4096 };

static int write_nothing(void *context, const void *bytes, size_t size)
{
    (void)bytes;
    *(size_t *)context += size;
    return 0;
}

struct fixture {
    struct rows rows;
    struct parquet_rows *exported;
    struct parquet_writer *writer;
    struct event event;
    void *memory;
    size_t written;
};

// One event with every column of the channel set to something legal.
static void fixture_event(struct fixture *f)
{
    const struct channel_schema *schema = f->rows.schema;
    event_clear(&f->event, schema->channel, 1);
    for (int c = 0; c < schema->column_count; c++) {
        if (schema->columns[c].type == COLUMN_TEXT)
            event_set_text(&f->event, c, "text", 4);
        else if (schema->columns[c].type == COLUMN_DECIMAL)
            event_set_decimal(&f->event, c, 12345, 4);
        else
            event_set(&f->event, c, 1);
    }
}

static void fixture_open(struct fixture *f, enum channel channel)
{
    static const char *const symbols[] = {"BTCUSDT", "KRW-BTC"};
    const struct channel_schema *schema = channel_schema(channel);
    const struct rows_limits limits = {ROWS, schema->has_levels ? LEVELS : 0, TEXTS};
    memset(f, 0, sizeof *f);
    f->memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
    f->exported = malloc(sizeof *f->exported);
    cr_assert(f->memory && f->exported);
    rows_init(&f->rows, schema, &limits, f->memory);
    parquet_rows_init(f->exported, &(struct parquet_rows_options){schema, "00ff", symbols, 2});
    struct parquet_options options = {.columns = f->exported->columns,
                                      .column_count = f->exported->column_count,
                                      .created_by = "ringtape version 0.0.0 (build test)",
                                      .write = write_nothing,
                                      .context = &f->written};
    options.sorting_count = parquet_rows_sorting(f->exported, options.sorting);
    cr_assert_eq(parquet_open(&f->writer, &options), 0);
    fixture_event(f);
}

static void fixture_close(struct fixture *f)
{
    cr_expect_eq(parquet_finish(f->writer), 0);
    parquet_close(f->writer);
    free(f->exported);
    free(f->memory);
}

static enum parquet_rows_error fixture_put(struct fixture *f, const char **column)
{
    int error = 0;
    const struct parquet_rows_place place = {f->event.symbol, 7, 42};
    cr_assert(rows_append(&f->rows, &f->event));
    return parquet_rows_put(f->exported, f->writer, &f->rows, f->rows.count - 1, &place, column,
                            &error);
}

Test(parquet_rows, every_channel_has_columns_and_takes_a_row)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        struct fixture f;
        const char *column = NULL;
        if (channel_schema((enum channel)channel) == NULL) continue;
        fixture_open(&f, (enum channel)channel);
        const enum parquet_rows_error error = fixture_put(&f, &column);
        cr_expect_eq(error, PARQUET_ROWS_GOOD, "channel %d: %s", channel, column);
        for (uint32_t a = 0; a < f.exported->column_count; a++) {
            const char *name = f.exported->columns[a].name;
            for (const char *partition = "exchange\0channel\0date\0"; *partition;
                 partition += strlen(partition) + 1)
                cr_expect_str_neq(name, partition);
            for (uint32_t b = 0; b < a; b++)
                cr_expect_str_neq(name, f.exported->columns[b].name);
        }
        cr_expect_eq(parquet_row_count(f.writer), 1);
        fixture_close(&f);
    }
}

Test(parquet_rows, absent_values_are_null_where_they_may_be)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct channel_schema *schema = channel_schema((enum channel)channel);
        if (schema == NULL) continue;
        for (int c = 0; c < schema->column_count; c++) {
            struct fixture f;
            const char *column = NULL;
            fixture_open(&f, (enum channel)channel);
            f.event.present &= ~(1ull << c);
            const enum parquet_rows_error error = fixture_put(&f, &column);
            cr_expect_eq(error, schema->columns[c].nullable ? PARQUET_ROWS_GOOD
                                                            : PARQUET_ROWS_COLUMN_ABSENT);
            cr_expect_eq(parquet_row_count(f.writer), error == PARQUET_ROWS_GOOD);
            fixture_close(&f);
        }
    }
}

struct decimal_case {
    int column;
    int64_t mantissa;
    uint8_t scale;
    bool fits;
};

static const struct decimal_case decimal_table[] = {
    {TRADE_PRICE, 999999999999999999, 8, true},
    {TRADE_PRICE, 1000000000000000000, 8, false},
    {TRADE_PRICE, 10000000000, 0, false},
    {TRADE_PRICE, -9999999999, 0, true},
    {TRADE_PRICE, 1, 9, false},
    {TRADE_PRICE, 10, 9, true},
    {TRADE_QUANTITY, INT64_MAX, 0, true},
    {TRADE_QUANTITY, INT64_MIN, 12, true},
    {TRADE_QUANTITY, 1, 13, false},
};

Test(parquet_rows, a_decimal_fits_exactly_or_its_column_is_named)
{
    for (size_t i = 0; i < sizeof decimal_table / sizeof decimal_table[0]; i++) {
        const struct decimal_case *c = &decimal_table[i];
        struct fixture f;
        const char *column = NULL;
        fixture_open(&f, CHANNEL_TRADE);
        event_set_decimal(&f.event, c->column, c->mantissa, c->scale);
        const enum parquet_rows_error error = fixture_put(&f, &column);
        const enum parquet_rows_error wanted =
            c->fits ? PARQUET_ROWS_GOOD : PARQUET_ROWS_DECIMAL_RANGE;
        cr_expect_eq(error, wanted, "case %zu", i);
        if (!c->fits) cr_expect_str_eq(column, c->column == TRADE_PRICE ? "price" : "quantity");
        fixture_close(&f);
    }
}

Test(parquet_rows, what_cannot_be_said_is_named)
{
    struct fixture f;
    const char *column = NULL;
    fixture_open(&f, CHANNEL_TRADE);
    event_set(&f.event, TRADE_SIDE, 2);
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_UNKNOWN_CODE);
    cr_expect_str_eq(column, "side");
    fixture_event(&f);
    event_set(&f.event, TRADE_BEST_MATCH, -1);
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_UNKNOWN_CODE);
    fixture_event(&f);
    event_set_text(&f.event, TRADE_KIND, "\xff", 1);
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_NOT_UTF8);
    cr_expect_str_eq(column, "kind");
    fixture_event(&f);
    f.event.symbol = SYMBOL_NONE;
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_SYMBOL_ABSENT);
    cr_expect_eq(parquet_row_count(f.writer), 0);
    fixture_close(&f);

    fixture_open(&f, CHANNEL_RAW);
    event_set_text(&f.event, RAW_FRAME, "\xff\x00\xfe", 3);
    event_set_text(&f.event, RAW_DETAIL, "key \xff", 5);
    f.event.symbol = SYMBOL_NONE;
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_GOOD);
    fixture_close(&f);
}

// A message whose third level does not fit leaves none of its rows; one without levels is one row.
Test(parquet_rows, a_message_goes_out_whole_or_not_at_all)
{
    struct event_level levels[4] = {
        {1, 1, 0, 0, 0}, {2, 2, 8, 12, 1}, {3, 3, 2, 3, 0}, {4, 0, 0, 0, 1}};
    struct fixture f;
    const char *column = NULL;
    fixture_open(&f, CHANNEL_DEPTH);
    f.event.levels = levels;
    f.event.level_count = 4;
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_GOOD);
    cr_expect_eq(parquet_row_count(f.writer), 4);
    levels[2].price_scale = 18;
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_DECIMAL_RANGE);
    cr_expect_str_eq(column, "levels");
    cr_expect_eq(parquet_row_count(f.writer), 4);
    f.event.level_count = 0;
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_GOOD);
    f.event.level_count = 1;
    cr_expect_eq(fixture_put(&f, &column), PARQUET_ROWS_GOOD);
    cr_expect_eq(parquet_row_count(f.writer), 6);
    fixture_close(&f);
}

// ---- runs ----

struct output {
    uint8_t *bytes;
    size_t size;
};

static int write_bytes(void *context, const void *bytes, size_t size)
{
    struct output *output = context;
    output->bytes = realloc(output->bytes, output->size + size);
    cr_assert_not_null(output->bytes);
    memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
    return 0;
}

static struct parquet_writer *run_open(struct parquet_rows *layout, struct output *output,
                                       const struct channel_schema *schema)
{
    static const char *const symbols[] = {"BTCUSDT"};
    struct parquet_writer *writer = NULL;
    parquet_rows_init(layout, &(struct parquet_rows_options){schema, "00ff", symbols, 1});
    struct parquet_options options = {.columns = layout->columns,
                                      .column_count = layout->column_count,
                                      .created_by = "ringtape version 0.0.0 (build test)",
                                      .write = write_bytes,
                                      .context = output};
    cr_assert_eq(parquet_open(&writer, &options), 0);
    return writer;
}

static void run_finish(struct parquet_writer *writer)
{
    cr_expect_eq(parquet_finish(writer), 0);
    parquet_close(writer);
}

// Returns how many rows do not fit.
static uint32_t run_by_rows(struct parquet_rows *layout, const struct rows *rows,
                            const uint32_t *tape, const uint64_t *tape_row, struct output *output)
{
    struct parquet_writer *writer = run_open(layout, output, rows->schema);
    uint32_t refused = 0;
    const char *column;
    int error;
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct parquet_rows_place place = {0, tape[i], tape_row[i]};
        refused += parquet_rows_put(layout, writer, rows, i, &place, &column, &error) !=
                   PARQUET_ROWS_GOOD;
    }
    run_finish(writer);
    return refused;
}

static uint32_t run_by_columns(struct parquet_rows *layout, const struct rows *rows,
                               const uint32_t *tape, const uint64_t *tape_row,
                               struct output *output)
{
    struct parquet_writer *writer = run_open(layout, output, rows->schema);
    uint32_t refused = 0;
    const char *column;
    int error;
    for (uint32_t i = 0; i < rows->count;) {
        const struct parquet_rows_run run = {i, rows->count - i, 0, tape, tape_row};
        const uint32_t taken = parquet_rows_put_run(layout, writer, rows, &run, &error);
        cr_assert_eq(error, 0);
        i += taken;
        if (taken > 0) continue;
        const struct parquet_rows_place place = {0, tape[i], tape_row[i]};
        refused += parquet_rows_put(layout, writer, rows, i, &place, &column, &error) !=
                   PARQUET_ROWS_GOOD;
        i++;
    }
    run_finish(writer);
    return refused;
}

// Goal: the fast way and the plain one write the same file. Method: random rows of every channel,
// many of which do not fit, both ways; bytes compared.
Test(parquet_rows, rows_put_by_columns_are_those_put_one_by_one, .timeout = 120)
{
    enum { COUNT = 1200 };
    static uint32_t tape[COUNT];
    static uint64_t tape_row[COUNT];
    struct parquet_rows *layout = malloc(sizeof *layout);
    cr_assert_not_null(layout);
    for (uint32_t i = 0; i < COUNT; i++) {
        tape[i] = i % 400 < 120 ? 0 : 7 + i / 400;
        tape_row[i] = i * 3ull;
    }
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct channel_schema *schema = channel_schema((enum channel)channel);
        for (uint64_t seed = 1; seed <= 5 && schema != NULL; seed++) {
            struct format_random random = {seed * 100 + (uint64_t)channel};
            const struct rows_limits limits = {COUNT, schema->has_levels ? 20 * COUNT : 0, 1 << 22};
            struct rows *rows = random_rows_new((enum channel)channel, limits);
            random_rows(&random, rows, seed % 3 == 0 ? COUNT : 40, 1);
            for (uint32_t i = 0; i < rows->count && seed % 4 != 0; i++)
                rows->present[i] |= schema_required(schema); // else hardly a row would fit
            struct output one = {.size = 0}, many = {.size = 0};
            const uint32_t refused = run_by_rows(layout, rows, tape, tape_row, &one);
            cr_expect_eq(run_by_columns(layout, rows, tape, tape_row, &many), refused);
            cr_expect(one.size == many.size && memcmp(one.bytes, many.bytes, one.size) == 0,
                      "%s, seed %d", schema->name, (int)seed);
            free(one.bytes);
            free(many.bytes);
            free(rows);
        }
    }
    free(layout);
}
