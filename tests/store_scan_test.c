// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: a scan gives every matching row exactly once, whatever of the store is sealed; it reads
// only blocks that may match; it never gives damaged rows and never keeps silent about them.
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "format/store.h"
#include "tests/store_fixture.h"

enum { IDS_MAX = 70000 };

struct seen {
    uint8_t *ids; // how often each came
    uint64_t rows;
    uint64_t damages;
    uint64_t rows_lost;
    char what[128]; // the last damage
    struct store_scan_counts counts;
};

static struct seen seen_open(void)
{
    static uint8_t ids[IDS_MAX]; // one at a time
    memset(ids, 0, sizeof ids);
    return (struct seen){.ids = ids};
}

static void note_damage(void *context, const struct store_damage *damage)
{
    struct seen *seen = context;
    seen->damages++;
    seen->rows_lost += damage->rows;
    (void)snprintf(seen->what, sizeof seen->what, "%s: %s", damage->path, damage->what);
}

static void note_chunk(struct seen *seen, const struct store_chunk *chunk)
{
    const struct rows *rows = chunk->rows;
    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t row = chunk->index[i];
        int64_t id = rows->value[TRADE_ID][row];
        struct event_text name = chunk->symbols[rows->symbol[row]];
        cr_assert(id > 0 && id < IDS_MAX);
        cr_assert_eq(rows->value[TRADE_TIME][row], STORE_FIXTURE_TIME + id * 1000000);
        cr_assert(name.size == 16 &&
                  memcmp(name.bytes, store_fixture_symbol((uint64_t)id), name.size) == 0);
        seen->ids[id]++;
        seen->rows++;
    }
}

static struct seen scan(const struct store_fixture *fixture, struct store_query query)
{
    struct store *store;
    struct store_scan *scan;
    struct store_chunk chunk;
    struct seen seen = seen_open();
    int result;
    cr_assert_eq(store_open(&store, fixture->path, NULL), 0);
    query.damage = note_damage;
    query.damage_context = &seen;
    cr_assert_eq(store_scan_open(&scan, store, &query), 0);
    while ((result = store_scan_next(scan, &chunk)) > 0)
        note_chunk(&seen, &chunk);
    cr_assert_eq(result, 0, "%d", result);
    seen.counts = store_scan_counts(scan);
    store_scan_close(scan);
    store_close(store);
    return seen;
}

static void expect_ids(const struct seen *seen, uint64_t first, uint64_t last, uint64_t step)
{
    for (uint64_t id = 1; id < IDS_MAX; id++) {
        bool wanted = id >= first && id <= last && (id - first) % step == 0;
        cr_assert_eq(seen->ids[id], wanted, "trade %d came %d times", (int)id, seen->ids[id]);
    }
}

static void append_many(struct store_fixture *fixture, uint32_t count)
{
    for (uint32_t done = 0; done < count; done += 1000)
        store_fixture_append(fixture, count - done < 1000 ? count - done : 1000, true);
}

// 60,000 trades of four symbols in one segment: two blocks a symbol (8,192 and 6,808 rows).
static struct store_fixture *sealed_store(void)
{
    struct store_fixture *fixture = store_fixture_open();
    append_many(fixture, 60000);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 1, true);
    return fixture;
}

Test(store_scan, segments_and_tapes_together)
{
    struct store_fixture *fixture = store_fixture_open();
    append_many(fixture, 5000);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 1, true);
    append_many(fixture, 3000);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 2, 2, false); // still there, but does not count
    append_many(fixture, 77);
    struct seen seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    expect_ids(&seen, 1, 8077, 1);
    cr_assert_eq(seen.damages, 0);
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.tapes = false;
    seen = scan(fixture, query);
    expect_ids(&seen, 1, 8000, 1);
    query.tapes = true;
    query.segments = false;
    seen = scan(fixture, query);
    expect_ids(&seen, 8001, 8077, 1);
    store_fixture_close(fixture);
}

Test(store_scan, all_blocks_without_conditions)
{
    struct store_fixture *fixture = sealed_store();
    struct seen seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    expect_ids(&seen, 1, 60000, 1);
    cr_assert_eq(seen.counts.blocks_read, 8);
    cr_assert_eq(seen.counts.blocks_skipped, 0);
    store_fixture_close(fixture);
}

Test(store_scan, a_symbol_touches_its_blocks_only)
{
    struct store_fixture *fixture = sealed_store();
    const char *symbols[] = {"binance:SYM1USDT"};
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.symbols = symbols;
    query.symbol_count = 1;
    struct seen seen = scan(fixture, query);
    expect_ids(&seen, 1, 60000, 4);
    cr_assert_eq(seen.counts.blocks_read, 2);
    cr_assert_eq(seen.counts.blocks_skipped, 6);
    symbols[0] = "binance:SYM*";
    seen = scan(fixture, query);
    cr_assert_eq(seen.rows, 60000);
    symbols[0] = "binance:SYM";
    seen = scan(fixture, query);
    cr_assert_eq(seen.rows, 0);
    cr_assert_eq(seen.counts.blocks_read, 0);
    store_fixture_close(fixture);
}

Test(store_scan, times_touch_their_blocks_only)
{
    struct store_fixture *fixture = sealed_store();
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.time_from = STORE_FIXTURE_TIME + 100 * 1000000;
    query.time_to = STORE_FIXTURE_TIME + 200 * 1000000;
    struct seen seen = scan(fixture, query);
    expect_ids(&seen, 100, 199, 1);
    cr_assert_eq(seen.counts.blocks_read, 4, "the first one of each symbol");
    cr_assert_eq(seen.counts.blocks_skipped, 4);
    store_fixture_close(fixture);
}

Test(store_scan, ids_touch_their_blocks_only)
{
    struct store_fixture *fixture = sealed_store();
    struct store_predicate ids = {.column = TRADE_ID, .min = 59990, .max = 59999};
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.predicates = &ids;
    query.predicate_count = 1;
    struct seen seen = scan(fixture, query);
    expect_ids(&seen, 59990, 59999, 1);
    cr_assert_eq(seen.counts.blocks_read, 4, "the second one of each symbol");
    ids.min = 70000;
    ids.max = 80000;
    seen = scan(fixture, query);
    cr_assert_eq(seen.rows, 0);
    cr_assert_eq(seen.counts.blocks_read, 0);
    cr_assert_eq(seen.counts.blocks_skipped, 8);
    store_fixture_close(fixture);
}

// Trade `id` has the price (5 id + 1) / 10.
Test(store_scan, prices_touch_their_blocks_only_at_any_scale)
{
    struct store_fixture *fixture = sealed_store();
    // 5.00 ... 50.600, one bound between two prices, the other just one of them.
    struct store_predicate price = {.column = TRADE_PRICE, .min = 5000, .max = 50600, .scale = 3};
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.predicates = &price;
    query.predicate_count = 1;
    struct seen seen = scan(fixture, query);
    expect_ids(&seen, 10, 101, 1);
    cr_assert_eq(seen.counts.blocks_read, 4);
    price = (struct store_predicate){.column = TRADE_PRICE, .min = 29000, .max = INT64_MAX};
    seen = scan(fixture, query);
    expect_ids(&seen, 58000, 60000, 1);
    cr_assert_eq(seen.counts.blocks_read, 4);
    price = (struct store_predicate){
        .column = TRADE_PRICE, .min = INT64_MIN, .max = INT64_MAX, .scale = 18};
    seen = scan(fixture, query);
    expect_ids(&seen, 1, 18, 1); // the largest is 9.22
    store_fixture_close(fixture);
}

Test(store_scan, conditions_without_zone_map_and_together)
{
    struct store_fixture *fixture = sealed_store();
    const char *symbols[] = {"binance:SYM4USDT", "binance:SYM9USDT"};
    struct store_predicate predicates[] = {
        {.column = TRADE_SIDE, .min = 1, .max = 1},
        {.column = TRADE_ID, .min = 1000, .max = 2000},
        {.column = TRADE_QUANTITY, .min = 50, .max = 90, .scale = 3},
    };
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.symbols = symbols;
    query.symbol_count = 2;
    query.predicates = predicates;
    query.predicate_count = 3;
    query.columns = 1ull << TRADE_ID | 1ull << TRADE_TIME;
    struct seen seen = scan(fixture, query);
    uint64_t expected = 0;
    for (uint64_t id = 1000; id <= 2000; id++) {
        bool wanted = id % 4 >= 2 && id / 3 % 2 == 1 && id % 997 + 1 >= 50 && id % 997 + 1 <= 90;
        cr_assert_eq(seen.ids[id], wanted, "%d", (int)id);
        expected += wanted;
    }
    cr_assert_gt(expected, 5);
    cr_assert_eq(seen.rows, expected);
    cr_assert_eq(seen.counts.blocks_read, 2);
    store_fixture_close(fixture);
}

Test(store_scan, tapes_match_as_segments_do)
{
    struct store_fixture *fixture = store_fixture_open();
    const char *symbols[] = {"binance:SYM0USDT"};
    struct store_predicate price = {.column = TRADE_PRICE, .min = 100, .max = 200};
    struct store_query query = store_query_all(CHANNEL_TRADE);
    append_many(fixture, 6000);
    query.symbols = symbols;
    query.symbol_count = 1;
    query.predicates = &price;
    query.predicate_count = 1;
    query.time_from = STORE_FIXTURE_TIME + 250 * 1000000;
    query.time_to = STORE_FIXTURE_TIME + 2000 * 1000000ll;
    struct seen seen = scan(fixture, query);
    expect_ids(&seen, 252, 396, 4);
    cr_assert_eq(seen.counts.batches_read, 2);
    cr_assert_eq(seen.counts.batches_skipped, 4);
    store_fixture_close(fixture);
}

Test(store_scan, absent_values_match_nothing)
{
    struct store_fixture *fixture = sealed_store();
    struct store_predicate absent = {
        .column = TRADE_EVENT_TIME, .min = INT64_MIN, .max = INT64_MAX};
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.predicates = &absent;
    query.predicate_count = 1;
    struct seen seen = scan(fixture, query);
    cr_assert_eq(seen.rows, 0);
    store_fixture_close(fixture);
}

Test(store_scan, impossible_queries_are_refused)
{
    struct store_fixture *fixture = store_fixture_open();
    struct store *store;
    struct store_scan *scan;
    const struct store_predicate bad[] = {
        {.column = -1, .max = 1},
        {.column = TRADE_COLUMN_COUNT, .max = 1},
        {.column = TRADE_KIND, .max = 1}, // a text
        {.column = TRADE_ID, .min = 2, .max = 1},
        {.column = TRADE_PRICE, .max = 1, .scale = 19},
    };
    cr_assert_eq(store_open(&store, fixture->path, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct store_query query = store_query_all(CHANNEL_TRADE);
        query.predicates = &bad[i];
        query.predicate_count = 1;
        cr_assert_eq(store_scan_open(&scan, store, &query), -EINVAL, "%d", (int)i);
    }
    struct store_query query = store_query_all(CHANNEL_NONE);
    cr_assert_eq(store_scan_open(&scan, store, &query), -EINVAL);
    query = store_query_all(CHANNEL_TRADE);
    query.time_from = 1;
    query.time_to = 0;
    cr_assert_eq(store_scan_open(&scan, store, &query), -EINVAL);
    store_close(store);
    store_fixture_close(fixture);
}

// ---- damage ----

Test(store_scan, a_damaged_block_is_left_out_and_told)
{
    struct store_fixture *fixture = sealed_store();
    struct store *store;
    struct store_scan *scan_open;
    struct store_chunk chunk;
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.segment",
                       store_fixture_block(fixture, 1, 2) + 200);
    struct seen seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    cr_assert_eq(seen.damages, 1, "%s", seen.what);
    cr_assert_eq(seen.rows_lost, 8192);
    cr_assert_eq(seen.rows, 60000 - 8192);
    // Without a callback the scan fails.
    struct store_query query = store_query_all(CHANNEL_TRADE);
    cr_assert_eq(store_open(&store, fixture->path, NULL), 0);
    cr_assert_eq(store_scan_open(&scan_open, store, &query), 0);
    cr_assert_eq(store_scan_next(scan_open, &chunk), 1);
    cr_assert_eq(store_scan_next(scan_open, &chunk), 1);
    cr_assert_eq(store_scan_next(scan_open, &chunk), -EBADMSG);
    store_scan_close(scan_open);
    store_close(store);
    store_fixture_close(fixture);
}

Test(store_scan, a_damaged_index_or_footer_costs_no_row)
{
    struct store_fixture *fixture = sealed_store();
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.index", 200);
    struct seen seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    expect_ids(&seen, 1, 60000, 1);
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.segment", -70);
    seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    expect_ids(&seen, 1, 60000, 1);
    cr_assert_eq(seen.damages, 0);
    // Without both, a block whose header is damaged is nowhere: only its rows are missed.
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.segment",
                       store_fixture_block(fixture, 1, 3) + 30);
    seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    cr_assert_eq(seen.damages, 1, "%s", seen.what);
    cr_assert_eq(seen.rows_lost, 60000 / 4 - 8192);
    cr_assert_eq(seen.rows, 60000 - seen.rows_lost);
    store_fixture_close(fixture);
}

Test(store_scan, a_segment_of_another_number_or_store_is_refused)
{
    struct store_fixture *fixture = sealed_store();
    struct store_fixture *other = sealed_store();
    char from[512];
    (void)snprintf(from, sizeof from, "%s",
                   store_fixture_path(fixture, "segment/2024-08-08/trade-00000001.segment"));
    store_fixture_append(fixture, 10, true);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 2, 2, true);
    cr_assert_eq(rename(from, store_fixture_path(
                                  fixture, "segment/2024-08-08/trade-00000002.segment")), 0);
    cr_assert_eq(rename(store_fixture_path(other, "identity"), from), 0); // anything
    struct seen seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    cr_assert_eq(seen.rows, 0);
    cr_assert_eq(seen.damages, 2, "%s", seen.what);
    cr_assert_eq(seen.rows_lost, 60010);
    store_fixture_close(fixture);
    store_fixture_close(other);
}

static void note_rows(void *context, const struct store_damage *damage)
{
    *(uint64_t *)context += damage->rows;
}

// Else its rows were counted twice.
Test(store_scan, symbols_of_another_segment_are_not_counted)
{
    struct store_fixture *fixture = sealed_store();
    struct store *store;
    struct store_symbol *symbols;
    uint32_t count;
    uint64_t rows = 0, lost = 0;
    char from[512];
    store_fixture_append(fixture, 10, true);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 2, 2, true);
    (void)snprintf(from, sizeof from, "%s",
                   store_fixture_path(fixture, "segment/2024-08-08/trade-00000001.segment"));
    const char *to = store_fixture_path(fixture, "segment/2024-08-08/trade-00000002.segment");
    cr_assert_eq(unlink(to), 0);
    cr_assert_eq(link(from, to), 0);
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.damage = note_rows;
    query.damage_context = &lost;
    cr_assert_eq(store_open(&store, fixture->path, NULL), 0);
    cr_assert_eq(store_symbols(store, &query, &symbols, &count), 0);
    for (uint32_t s = 0; s < count; s++)
        rows += symbols[s].rows;
    cr_assert_eq(rows, 60000);
    cr_assert_eq(lost, 10);
    free(symbols);
    store_close(store);
    store_fixture_close(fixture);
}

Test(store_scan, a_tape_of_another_number_is_refused)
{
    struct store_fixture *fixture = store_fixture_open();
    char from[512];
    append_many(fixture, 500);
    store_fixture_end(fixture);
    (void)snprintf(from, sizeof from, "%s", store_fixture_path(fixture, "tape/00000001.tape"));
    cr_assert_eq(rename(from, store_fixture_path(fixture, "tape/00000009.tape")), 0);
    struct seen seen = scan(fixture, store_query_all(CHANNEL_TRADE));
    cr_assert_eq(seen.rows, 0);
    cr_assert_eq(seen.damages, 1);
    store_fixture_close(fixture);
}

Test(store_scan, a_file_that_is_not_there_fails)
{
    struct store_fixture *fixture = sealed_store();
    struct store *store;
    struct store_scan *scan_open;
    struct store_query query = store_query_all(CHANNEL_TRADE);
    cr_assert_eq(unlink(store_fixture_path(fixture,
                                           "segment/2024-08-08/trade-00000001.segment")), 0);
    cr_assert_eq(store_open(&store, fixture->path, NULL), 0);
    cr_assert_eq(store_scan_open(&scan_open, store, &query), -ENOENT);
    store_close(store);
    store_fixture_close(fixture);
}

// What is merged and deleted after the scan was opened still comes, once.
Test(store_scan, files_may_go_while_they_are_read)
{
    struct store_fixture *fixture = store_fixture_open();
    struct store *store;
    struct store_scan *scan_open;
    struct store_chunk chunk;
    struct seen seen = seen_open();
    for (uint32_t tape = 1; tape <= 4; tape++) {
        append_many(fixture, 2000);
        store_fixture_end(fixture);
        if (tape <= 3)
            store_fixture_seal(fixture, tape, tape, true);
    }
    struct store_query query = store_query_all(CHANNEL_TRADE);
    cr_assert_eq(store_open(&store, fixture->path, NULL), 0);
    cr_assert_eq(store_scan_open(&scan_open, store, &query), 0);
    store_fixture_seal(fixture, 4, 4, true);
    store_fixture_merge(fixture);
    while (store_scan_next(scan_open, &chunk) > 0)
        note_chunk(&seen, &chunk);
    expect_ids(&seen, 1, 8000, 1);
    store_scan_close(scan_open);
    cr_assert_eq(store_refresh(store, NULL), 0);
    cr_assert_eq(store_catalogue(store)->segment_count, 1);
    store_close(store);
    seen = scan(fixture, query);
    expect_ids(&seen, 1, 8000, 1);
    store_fixture_close(fixture);
}
