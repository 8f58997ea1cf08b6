// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: the public header does what it says: exact rows as arrays with one scale a column, names
// looked up, errors with a message, nothing kept of the caller's arguments.
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "format/ringtape.h"
#include "tests/store_fixture.h"

static struct ringtape *open_store(const struct store_fixture *fixture)
{
    struct ringtape *store;
    struct ringtape_message message;
    cr_assert_eq(ringtape_open(&store, fixture->path, &message), 0, "%s", message.text);
    return store;
}

static void append_many(struct store_fixture *fixture, uint32_t count)
{
    for (uint32_t done = 0; done < count; done += 1000)
        store_fixture_append(fixture, count - done < 1000 ? count - done : 1000, true);
}

// 20,000 trades in a segment, 1,500 in a tape.
static struct store_fixture *store_of_both(void)
{
    struct store_fixture *fixture = store_fixture_open();
    append_many(fixture, 20000);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 1, true);
    append_many(fixture, 1500);
    return fixture;
}

static void check_row(const struct ringtape_chunk *chunk, uint32_t row)
{
    static struct event event;
    uint64_t id = (uint64_t)chunk->column[TRADE_ID].value[row];
    store_fixture_event(&event, id);
    struct ringtape_text name = chunk->symbols[chunk->symbol[row]];
    cr_assert_eq(chunk->time[row], event.value[TRADE_TIME]);
    cr_assert_eq(chunk->present[row], event.present);
    cr_assert(name.size == 16 && memcmp(name.bytes, store_fixture_symbol(id), 16) == 0);
    for (int c = 0; c < TRADE_COLUMN_COUNT; c++) {
        const struct ringtape_values *values = &chunk->column[c];
        if (values->text_length) {
            struct event_text text =
                event_has(&event, c) ? event_text(&event, c) : (struct event_text){0};
            cr_assert_eq(values->text_length[row], text.size);
            cr_assert(text.size == 0 || memcmp(chunk->text + values->text_offset[row], text.bytes,
                                               text.size) == 0);
            continue;
        }
        int64_t value = event_has(&event, c) ? event.value[c] : 0;
        if (c == TRADE_PRICE || c == TRADE_QUANTITY)
            cr_assert(ringtape_rescale(value, event.scale[c], values->scale, &value));
        cr_assert_eq(values->value[row], value, "column %d of trade %d", c, (int)id);
    }
}

Test(library, rows_of_segments_and_tapes)
{
    struct store_fixture *fixture = store_of_both();
    struct ringtape *store = open_store(fixture);
    struct ringtape_query query = ringtape_query_of("trade");
    struct ringtape_scan *scan;
    struct ringtape_chunk chunk;
    struct ringtape_message message;
    static uint8_t seen[21501];
    uint64_t rows = 0;
    int result;
    cr_assert_eq(ringtape_scan_open(&scan, store, &query, &message), 0);
    while ((result = ringtape_scan_next(scan, &chunk, &message)) > 0) {
        for (uint32_t r = 0; r < chunk.rows; r++) {
            check_row(&chunk, r);
            cr_assert_eq(seen[chunk.column[TRADE_ID].value[r]]++, 0);
            cr_assert(!chunk.tape || (chunk.tape[r] == 2 && chunk.tape_row[r] + 20001 ==
                                                               (uint64_t)chunk.column[TRADE_ID]
                                                                   .value[r]));
        }
        rows += chunk.rows;
    }
    cr_assert_eq(result, 0);
    cr_assert_eq(rows, 21500);
    struct ringtape_counts counts = ringtape_scan_counts(scan);
    cr_assert_eq(counts.bytes_done, counts.bytes_total);
    cr_assert(counts.blocks_read > 0 && counts.batches_read == 2);
    ringtape_scan_close(scan);
    ringtape_close(store);
    store_fixture_close(fixture);
}

// The caller's strings may go as soon as the scan is open.
Test(library, conditions_are_copied_and_held_against_the_index)
{
    struct store_fixture *fixture = store_of_both();
    struct ringtape *store = open_store(fixture);
    char symbol[] = "binance:SYM4USDT";
    char column[] = "price";
    const char *symbols[] = {symbol};
    const char *columns[] = {"id", "quantity"};
    struct ringtape_predicate price = {.column = column, .min = 10010, .max = 20000, .scale = 2};
    struct ringtape_query query = ringtape_query_of("trade");
    struct ringtape_scan *scan;
    struct ringtape_chunk chunk;
    uint64_t rows = 0;
    query.symbols = symbols;
    query.symbol_count = 1;
    query.columns = columns;
    query.column_count = 2;
    query.predicates = &price;
    query.predicate_count = 1;
    query.tapes = false;
    cr_assert_eq(ringtape_scan_open(&scan, store, &query, NULL), 0);
    symbol[0] = column[0] = 'x';
    price.min = price.max = 0;
    while (ringtape_scan_next(scan, &chunk, NULL) > 0) {
        cr_assert(chunk.column[TRADE_QUANTITY].value && chunk.column[TRADE_ID].value);
        cr_assert_null(chunk.column[TRADE_SIDE].value, "not asked for");
        cr_assert_null(chunk.column[TRADE_PRICE].value, "only a condition");
        for (uint32_t r = 0; r < chunk.rows; r++) {
            int64_t id = chunk.column[TRADE_ID].value[r]; // price (5 id + 1) / 10
            cr_assert(id % 4 == 2 && 5 * id + 1 >= 1001 && 5 * id + 1 <= 2000);
        }
        rows += chunk.rows;
    }
    cr_assert_eq(rows, 50);
    struct ringtape_counts counts = ringtape_scan_counts(scan);
    cr_assert_eq(counts.blocks_read, 1);
    cr_assert_gt(counts.blocks_skipped, 2);
    ringtape_scan_close(scan);
    ringtape_close(store);
    store_fixture_close(fixture);
}

// Rows of one batch with scales that cannot be one: as many chunks as it takes, exact.
Test(library, scales_of_a_chunk_agree)
{
    static const struct {
        int64_t mantissa;
        uint8_t scale;
    } prices[] = {{125, 1},       {1250, 2},         {7, 0},        {INT64_MAX, 0}, {INT64_MAX, 0},
                  {1, 18},        {INT64_MIN, 5},    {0, 3},        {5, 5},         {-5, 18},
                  {INT64_MIN, 0}, {INT64_MAX, 18},   {99, 9},       {1000, 3},      {3, 0}};
    const uint32_t count = sizeof prices / sizeof *prices;
    struct store_fixture *fixture = store_fixture_open();
    static struct event event;
    struct tape_write write;
    struct tape_fixture *tape = fixture->tape;
    store_fixture_append(fixture, 1, true);
    fixture_clear(tape);
    for (uint32_t i = 0; i < count; i++) {
        store_fixture_event(&event, 100 + i);
        event_set_decimal(&event, TRADE_PRICE, prices[i].mantissa, prices[i].scale);
        cr_assert(fixture_append(tape, &event));
    }
    cr_assert_eq(tape_append(tape->encoder, &tape->cursor, &tape->input, tape->buffer,
                             FIXTURE_BUFFER_BYTES, &write), 0);
    cr_assert_eq(pwrite(fixture->file, tape->buffer, write.bytes, (off_t)write.offset),
                 (ssize_t)write.bytes);
    struct ringtape *store = open_store(fixture);
    struct ringtape_query query = ringtape_query_of("trade");
    struct ringtape_scan *scan;
    struct ringtape_chunk chunk;
    uint32_t rows = 0;
    uint32_t chunks = 0;
    query.time_from = STORE_FIXTURE_TIME + 100 * 1000000;
    cr_assert_eq(ringtape_scan_open(&scan, store, &query, NULL), 0);
    while (ringtape_scan_next(scan, &chunk, NULL) > 0) {
        const struct ringtape_values *price = &chunk.column[TRADE_PRICE];
        for (uint32_t r = 0; r < chunk.rows; r++, rows++) {
            char expected[RINGTAPE_DECIMAL_BYTES];
            char found[RINGTAPE_DECIMAL_BYTES];
            (void)ringtape_decimal_text(prices[rows].mantissa, prices[rows].scale, expected);
            (void)ringtape_decimal_text(price->value[r], price->scale, found);
            cr_assert_str_eq(found, expected);
            cr_assert_eq(chunk.column[TRADE_ID].value[r], 100 + rows);
        }
        chunks++;
    }
    cr_assert_eq(rows, count);
    cr_assert_geq(chunks, 5);
    ringtape_scan_close(scan);
    ringtape_close(store);
    store_fixture_close(fixture);
}

Test(library, what_is_there)
{
    struct store_fixture *fixture = store_of_both();
    struct ringtape *store = open_store(fixture);
    struct ringtape_day day;
    struct ringtape_symbol *symbols;
    uint32_t count;
    cr_assert_eq(ringtape_days(store, NULL, 0), 1);
    cr_assert_eq(ringtape_days(store, &day, 1), 1);
    cr_assert_str_eq(day.channel, "trade");
    cr_assert_eq(day.day, 19943); // 2024-08-08
    cr_assert(day.rows == 20000 && day.segments == 1 && day.bytes > 1000);
    cr_assert_eq(day.time_min, STORE_FIXTURE_TIME + 1000000);
    cr_assert_eq(day.time_max, STORE_FIXTURE_TIME + 20000 * 1000000ll);
    cr_assert_eq(ringtape_symbols(store, "trade", &symbols, &count, NULL), 0);
    cr_assert_eq(count, 4);
    cr_assert_str_eq(symbols[1].name, "binance:SYM1USDT");
    for (uint32_t s = 0; s < count; s++)
        cr_assert_eq(symbols[s].rows, 5375);
    cr_assert_eq(symbols[0].time_min, STORE_FIXTURE_TIME + 4 * 1000000);
    cr_assert_eq(symbols[0].time_max, STORE_FIXTURE_TIME + 21500 * 1000000ll);
    ringtape_symbols_free(symbols);
    cr_assert_eq(ringtape_symbols(store, "depth", &symbols, &count, NULL), 0);
    cr_assert_eq(count, 0);
    ringtape_symbols_free(symbols);
    ringtape_close(store);
    store_fixture_close(fixture);
}

Test(library, point_reads)
{
    struct store_fixture *fixture = store_of_both();
    struct ringtape *store = open_store(fixture);
    struct ringtape_finder *finder;
    struct ringtape_chunk chunk;
    cr_assert_eq(ringtape_finder_open(&finder, store, "trade", NULL, 0, true, NULL), 0);
    for (uint64_t id = 17; id <= 21500; id += 1931) {
        int64_t time_ns = STORE_FIXTURE_TIME + (int64_t)id * 1000000 + 999;
        cr_assert_eq(ringtape_find_last(finder, store_fixture_symbol(id), time_ns, &chunk, NULL),
                     1);
        cr_assert(chunk.rows == 1 && chunk.column[TRADE_ID].value[0] == (int64_t)id);
        check_row(&chunk, 0);
    }
    cr_assert_eq(ringtape_find_last(finder, "binance:SYM1USDT", 0, &chunk, NULL), 0);
    ringtape_finder_close(finder);
    ringtape_close(store);
    store_fixture_close(fixture);
}

Test(library, following)
{
    struct store_fixture *fixture = store_of_both();
    struct ringtape *store = open_store(fixture);
    struct ringtape_query query = ringtape_query_of("trade");
    struct ringtape_scan *scan;
    struct ringtape_chunk chunk;
    query.follow = RINGTAPE_FOLLOW_NEW;
    store_fixture_mark(fixture, false);
    cr_assert_eq(ringtape_scan_open(&scan, store, &query, NULL), 0);
    cr_assert_eq(ringtape_scan_next(scan, &chunk, NULL), 0);
    append_many(fixture, 30);
    cr_assert_eq(ringtape_scan_next(scan, &chunk, NULL), 0);
    store_fixture_end(fixture);
    cr_assert_eq(ringtape_scan_next(scan, &chunk, NULL), 1);
    cr_assert(chunk.rows == 30 && chunk.column[TRADE_ID].value[0] == 21501);
    cr_assert_eq(ringtape_scan_next(scan, &chunk, NULL), 0);
    ringtape_scan_close(scan);
    ringtape_close(store);
    store_fixture_close(fixture);
}

// ---- errors ----

static void count_damage(void *context, const struct ringtape_damage *damage)
{
    cr_assert_str_eq(damage->path, "segment/2024-08-08/trade-00000001.segment");
    *(uint64_t *)context += damage->rows;
}

Test(library, damage_is_told_or_ends_the_scan)
{
    struct store_fixture *fixture = store_of_both();
    struct ringtape *store = open_store(fixture);
    struct ringtape_query query = ringtape_query_of("trade");
    struct ringtape_scan *scan;
    struct ringtape_chunk chunk;
    struct ringtape_message message;
    uint64_t lost = 0;
    uint64_t rows = 0;
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.segment",
                       store_fixture_block(fixture, 1, 0) + 150);
    cr_assert_eq(ringtape_scan_open(&scan, store, &query, NULL), 0);
    cr_assert_eq(ringtape_scan_next(scan, &chunk, &message), RINGTAPE_DAMAGED);
    cr_assert_not_null(strstr(message.text, fixture->path), "%s", message.text);
    ringtape_scan_close(scan);
    query.damage = count_damage;
    query.damage_context = &lost;
    cr_assert_eq(ringtape_scan_open(&scan, store, &query, NULL), 0);
    while (ringtape_scan_next(scan, &chunk, &message) > 0)
        rows += chunk.rows;
    cr_assert_gt(lost, 0);
    cr_assert_eq(rows + lost, 21500);
    ringtape_scan_close(scan);
    ringtape_close(store);
    store_fixture_close(fixture);
}

static void refused(struct ringtape *store, const struct ringtape_query *query, const char *words)
{
    struct ringtape_scan *scan;
    struct ringtape_message message;
    cr_assert_eq(ringtape_scan_open(&scan, store, query, &message), RINGTAPE_ARGUMENT);
    cr_assert_not_null(strstr(message.text, words), "%s", message.text);
}

Test(library, impossible_arguments)
{
    struct store_fixture *fixture = store_of_both();
    struct ringtape *store = open_store(fixture);
    struct ringtape_message message;
    struct ringtape_finder *finder;
    const char *columns[] = {"levels"};
    struct ringtape_predicate predicate = {.column = "nothing"};
    struct ringtape_query query = ringtape_query_of("trades");
    refused(store, &query, "no such channel");
    query.channel = NULL;
    refused(store, &query, "no such channel");
    query = ringtape_query_of("trade");
    query.columns = columns;
    query.column_count = 1;
    // Trades have no levels. The list is there whole.
    refused(store, &query, "no such column: levels; trade has receive_time, ");
    refused(store, &query, ", price, quantity, side, ");
    query.channel = "depth";
    columns[0] = "level";
    refused(store, &query, "no such column: level; depth has ");
    refused(store, &query, ", levels");
    query.channel = "trade";
    cr_assert_eq(ringtape_finder_open(&finder, store, "trade", columns, 1, false, &message),
                 RINGTAPE_ARGUMENT);
    cr_assert_not_null(strstr(message.text, "no such column: level; trade has "), "%s",
                       message.text);
    query.column_count = 0;
    query.predicates = &predicate;
    query.predicate_count = 1;
    refused(store, &query, "no such column for a condition: nothing; trade has ");
    predicate.column = "kind";
    refused(store, &query, "a condition on a text");
    query.predicate_count = 0;
    query.time_from = 1;
    query.time_to = 0;
    refused(store, &query, "time_from");
    cr_assert_eq(ringtape_finder_open(&finder, store, "x", NULL, 0, false, &message),
                 RINGTAPE_ARGUMENT);
    ringtape_close(store);
    cr_assert_eq(ringtape_open(&store, "/nowhere", &message), RINGTAPE_NO_STORE);
    cr_assert_str_eq(message.text,
                     "/nowhere/identity: no store here (its `identity` is missing)");
    store_fixture_flip(fixture, "catalogue", 30);
    cr_assert_eq(ringtape_open(&store, fixture->path, &message), RINGTAPE_DAMAGED);
    cr_assert_not_null(strstr(message.text, "catalogue: damaged"), "%s", message.text);
    ringtape_close(NULL);
    store_fixture_close(fixture);
}

Test(library, schema)
{
    struct ringtape_channel channel;
    struct ringtape_column column;
    cr_assert_eq(ringtape_channel_count(), 12);
    cr_assert(ringtape_channel_at(0, &channel) && strcmp(channel.name, "trade") == 0);
    cr_assert(!ringtape_channel_at(12, &channel));
    cr_assert(ringtape_channel_find("depth", &channel));
    cr_assert(channel.has_levels && channel.has_identity && channel.column_count == 8);
    cr_assert(!ringtape_channel_find("candles", &channel));
    cr_assert(ringtape_column_at("trade", TRADE_PRICE, &column));
    cr_assert(strcmp(column.name, "price") == 0 && column.type == RINGTAPE_DECIMAL);
    cr_assert(!column.nullable && !ringtape_column_at("trade", TRADE_COLUMN_COUNT, &column));
    cr_assert_eq(ringtape_column_find("trade", "side"), TRADE_SIDE);
    cr_assert_eq(ringtape_column_find("trade", "x"), -1);
    cr_assert_str_eq(ringtape_code_name("trade", TRADE_SIDE, 1), "sell");
    cr_assert_null(ringtape_code_name("trade", TRADE_SIDE, 2));
    cr_assert_null(ringtape_code_name("trade", TRADE_PRICE, 0));
    cr_assert_eq(ringtape_code_find("trade", TRADE_SIDE, "sell"), 1);
    cr_assert_eq(ringtape_code_find("trade", TRADE_SIDE, "x"), -1);
    int64_t moved;
    cr_assert(ringtape_rescale(125, 2, 4, &moved) && moved == 12500);
    cr_assert(!ringtape_rescale(125, 2, 1, &moved));
    cr_assert(!ringtape_rescale(INT64_MAX, 0, 1, &moved));
    for (int error = RINGTAPE_STALE; error <= RINGTAPE_NO_STORE; error++)
        cr_assert_str_neq(ringtape_strerror(error), "unknown error");
}
