// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: the last row of a symbol at or before a time, wherever it is, is that of a scan of
// everything; and one block is decoded for it.
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "format/store.h"
#include "tests/store_fixture.h"

static int64_t time_of(uint64_t id)
{
    return STORE_FIXTURE_TIME + (int64_t)id * 1000000;
}

// The id found; 0: none.
static int64_t find(struct store_finder *finder, const char *symbol, int64_t time_ns, bool tapes)
{
    struct store_find what = {.channel = CHANNEL_TRADE,
                              .symbol = symbol,
                              .time_ns = time_ns,
                              .columns = 1ull << TRADE_ID,
                              .tapes = tapes};
    struct store_chunk row;
    int result = store_find_last(finder, &what, &row);
    cr_assert(result == 0 || result == 1, "%d", result);
    if (result == 0)
        return 0;
    cr_assert_eq(row.count, 1);
    uint32_t at = row.index[0];
    struct event_text name = row.symbols[row.rows->symbol[at]];
    cr_assert(name.size == strlen(symbol) && memcmp(name.bytes, symbol, name.size) == 0);
    return row.rows->value[TRADE_ID][at];
}

static struct store_finder *open_finder(const struct store_fixture *fixture, struct store **store)
{
    struct store_finder *finder;
    cr_assert_eq(store_open(store, fixture->path, NULL), 0);
    cr_assert_eq(store_finder_open(&finder, *store), 0);
    return finder;
}

static void append_many(struct store_fixture *fixture, uint32_t count)
{
    for (uint32_t done = 0; done < count; done += 1000)
        store_fixture_append(fixture, count - done < 1000 ? count - done : 1000, true);
}

Test(store_find, every_time_in_segments_and_tapes)
{
    struct store_fixture *fixture = store_fixture_open();
    struct store *store;
    for (uint32_t tape = 1; tape <= 3; tape++) {
        append_many(fixture, 12000);
        store_fixture_end(fixture);
        if (tape <= 2)
            store_fixture_seal(fixture, tape, tape, true);
    }
    struct store_finder *finder = open_finder(fixture, &store);
    for (uint64_t id = 4; id <= 36000; id += 977) {
        const char *symbol = store_fixture_symbol(id);
        int64_t sealed = id <= 24000 ? (int64_t)id : 24000 - (int64_t)((24000 - id) % 4);
        cr_assert_eq(find(finder, symbol, time_of(id), true), (int64_t)id);
        cr_assert_eq(find(finder, symbol, time_of(id) + 3999999, true), (int64_t)id);
        if (id > 8)
            cr_assert_eq(find(finder, symbol, time_of(id) - 1, true), (int64_t)id - 4);
        if (id <= 24000)
            cr_assert_eq(find(finder, symbol, time_of(id), false), sealed);
    }
    cr_assert_eq(find(finder, "binance:SYM0USDT", INT64_MAX, true), 36000);
    cr_assert_eq(find(finder, "binance:SYM0USDT", INT64_MAX, false), 24000);
    cr_assert_eq(find(finder, "binance:SYM0USDT", time_of(4) - 1, true), 0);
    cr_assert_eq(find(finder, "binance:SYM0USDT", INT64_MIN, true), 0);
    cr_assert_eq(find(finder, "binance:NONE", INT64_MAX, true), 0);
    cr_assert_eq(find(finder, "", INT64_MAX, true), 0);
    store_finder_close(finder);
    store_close(store);
    store_fixture_close(fixture);
}

// The whole row, texts included.
Test(store_find, the_row_is_whole)
{
    struct store_fixture *fixture = store_fixture_open();
    struct store *store;
    static struct event event;
    append_many(fixture, 1000);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 1, true);
    append_many(fixture, 1000);
    struct store_finder *finder = open_finder(fixture, &store);
    for (uint64_t id = 995; id <= 1005; id += 5) {
        struct store_find what = {.channel = CHANNEL_TRADE,
                                  .symbol = store_fixture_symbol(id),
                                  .time_ns = time_of(id),
                                  .columns = UINT64_MAX,
                                  .tapes = true};
        struct store_chunk row;
        cr_assert_eq(store_find_last(finder, &what, &row), 1);
        struct rows *wanted = random_rows_new(CHANNEL_TRADE, (struct rows_limits){1, 0, 64});
        store_fixture_event(&event, id);
        cr_assert(rows_append(wanted, &event));
        cr_assert(random_row_equal(wanted, 0, row.rows, row.index[0]), "%d", (int)id);
        cr_assert_eq(row.segment, id <= 1000);
        free(wanted);
    }
    store_finder_close(finder);
    store_close(store);
    store_fixture_close(fixture);
}

Test(store_find, merged_and_deleted_meanwhile)
{
    struct store_fixture *fixture = store_fixture_open();
    struct store *store;
    for (uint32_t tape = 1; tape <= 2; tape++) {
        append_many(fixture, 1000);
        store_fixture_end(fixture);
        store_fixture_seal(fixture, tape, tape, true);
    }
    struct store_finder *finder = open_finder(fixture, &store);
    store_fixture_merge(fixture);
    cr_assert_eq(find(finder, store_fixture_symbol(1500), time_of(1500), false), 1500);
    cr_assert_eq(find(finder, store_fixture_symbol(7), time_of(7), true), 7);
    store_finder_close(finder);
    store_close(store);
    store_fixture_close(fixture);
}

Test(store_find, damage_on_the_way_is_told)
{
    struct store_fixture *fixture = store_fixture_open();
    struct store *store;
    struct store_chunk row;
    append_many(fixture, 1000);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 1, true);
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.segment",
                       store_fixture_block(fixture, 1, 0) + 200);
    struct store_finder *finder = open_finder(fixture, &store);
    struct store_find what = {
        .channel = CHANNEL_TRADE, .symbol = "binance:SYM0USDT", .time_ns = INT64_MAX};
    cr_assert_eq(store_find_last(finder, &what, &row), -EBADMSG);
    what.channel = CHANNEL_NONE;
    cr_assert_eq(store_find_last(finder, &what, &row), -EINVAL);
    store_finder_close(finder);
    store_close(store);
    store_fixture_close(fixture);
}
