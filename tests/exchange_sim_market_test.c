// SPDX-License-Identifier: GPL-3.0-or-later
//
// The made-up market's history and what changes by itself: aggregate trades, listings, restarts of
// ids, the rest of a book.
#include <criterion/criterion.h>
#include <string.h>

#include "tools/exchange_sim_market.h"

enum { STEPS = 60000 };
#define START_US ((int64_t)1763850000000000)

static struct exchange_sim_market *market_of(uint32_t symbols, uint32_t reserve, int64_t trades)
{
    struct exchange_sim_market_options const options = {
        .seed = 11,
        .symbols = {symbols, symbols, 0},
        .reserve = {reserve, 0, 0},
        .start_us = START_US,
        .history_trades = trades,
    };
    struct exchange_sim_market *market = exchange_sim_market_open(&options);
    cr_assert_not_null(market);
    return market;
}

Test(exchange_sim_market, aggregates_live_and_out_of_history_are_the_same)
{
    enum { AGGS_MAX = STEPS };
    static struct exchange_sim_market_agg live[AGGS_MAX];
    uint32_t count = 0;
    struct exchange_sim_market *market = market_of(1, 0, 0);
    for (int i = 0; i < STEPS; i++) {
        struct exchange_sim_market_event event;
        exchange_sim_market_next(market, START_US + i * 100, &event);
        if (event.kind == MARKET_AGG && event.agg.symbol == 1)
            live[count++] = event.agg;
    }
    cr_assert_gt(count, 1000u);
    const struct exchange_sim_market_symbol *symbol = exchange_sim_market_symbol(market, 1);
    cr_expect_eq(symbol->exchange, EXCHANGE_SIM_USDM, "with settlement trades in between");
    int64_t n = exchange_sim_market_search(symbol, MARKET_BY_AGG, live[0].id);
    for (uint32_t i = 0; i < count; i++) {
        struct exchange_sim_market_agg agg;
        bool whole = false;
        cr_assert_lt(n, symbol->trade_count);
        while (!whole)
            n = exchange_sim_market_agg_at(market, 1, n, &agg, &whole);
        cr_assert_eq(agg.id, live[i].id);
        cr_assert(agg.first_id == live[i].first_id && agg.last_id == live[i].last_id);
        cr_assert(agg.quantity == live[i].quantity && agg.price == live[i].price);
        cr_assert(agg.time_us == live[i].time_us && agg.buyer_maker == live[i].buyer_maker);
    }
    exchange_sim_market_close(market);
}

Test(exchange_sim_market, history_is_found_by_id_and_time_and_stays_bounded)
{
    struct exchange_sim_market *market = market_of(2, 0, 6000);
    for (int i = 0; i < STEPS * 2; i++) {
        struct exchange_sim_market_event event;
        exchange_sim_market_next(market, START_US + i * 100, &event);
    }
    int64_t capacity = 0;
    for (uint32_t i = 0; i < exchange_sim_market_count(market); i++) {
        const struct exchange_sim_market_symbol *symbol = exchange_sim_market_symbol(market, i);
        int64_t const oldest = exchange_sim_market_oldest(symbol);
        capacity += symbol->trade_capacity;
        cr_expect_geq(symbol->trade_count - oldest, MARKET_TRADES_MIN);
        for (int64_t n = oldest; n < symbol->trade_count; n++) {
            const struct exchange_sim_market_trade *trade = exchange_sim_market_trade_at(symbol, n);
            cr_assert_eq(trade->id, symbol->trade_first + n);
            cr_assert_eq(exchange_sim_market_search(symbol, MARKET_BY_ID, trade->id), n);
            int64_t const at = exchange_sim_market_search(symbol, MARKET_BY_TIME, trade->time_us);
            cr_assert(at <= n && exchange_sim_market_trade_at(symbol, at)->time_us ==
                                     trade->time_us);
        }
        cr_expect_eq(exchange_sim_market_search(symbol, MARKET_BY_ID, 0), oldest);
        cr_expect_eq(exchange_sim_market_search(symbol, MARKET_BY_ID, INT64_MAX),
                     symbol->trade_count);
    }
    cr_expect_leq(capacity, 6000);
    exchange_sim_market_close(market);
}

Test(exchange_sim_market, ids_restart_below_all_earlier_ones)
{
    struct exchange_sim_market *market = market_of(1, 0, 0);
    int64_t lowest[2] = {INT64_MAX, INT64_MAX};
    int restarts[2] = {0, 0};
    cr_assert(exchange_sim_market_restart(market, 0, false));
    cr_assert_not(exchange_sim_market_restart(market, 0, false), "one after the other");
    cr_assert(exchange_sim_market_restart(market, 0, true));
    for (int i = 0; i < STEPS; i++) {
        struct exchange_sim_market_event event;
        struct exchange_sim_market_restarted restarted;
        exchange_sim_market_next(market, START_US + i * 100, &event);
        while (exchange_sim_market_restarted(market, &restarted)) {
            cr_expect_lt(restarted.next_id, lowest[restarted.book]);
            if (++restarts[restarted.book] < 3)
                cr_assert(exchange_sim_market_restart(market, 0, restarted.book));
        }
        bool const depth = event.kind == MARKET_DEPTH;
        if (event.symbol != 0 || (!depth && event.kind != MARKET_TRADE))
            continue;
        int64_t const first = depth ? event.first_id : event.id;
        lowest[depth] = first < lowest[depth] ? first : lowest[depth];
    }
    cr_expect_eq(restarts[0], 3);
    cr_expect_eq(restarts[1], 3);
    const struct exchange_sim_market_symbol *symbol = exchange_sim_market_symbol(market, 0);
    int64_t const at = exchange_sim_market_search(symbol, MARKET_BY_ID, 0);
    cr_expect_eq(exchange_sim_market_trade_at(symbol, at)->id, symbol->trade_first,
                 "earlier ids are not found any more");
    exchange_sim_market_close(market);
}

Test(exchange_sim_market, symbols_are_listed_and_leave_with_a_whole_book)
{
    struct exchange_sim_market *market = market_of(3, 1, 0);
    uint32_t const leaver = 1;
    uint32_t const listed = exchange_sim_market_list(market, EXCHANGE_SIM_BINANCE);
    cr_assert_eq(listed, 3u);
    cr_expect_eq(exchange_sim_market_list(market, EXCHANGE_SIM_BINANCE), UINT32_MAX, "no other");
    int seen = 0;
    int late = 0;
    for (int i = 0; i < STEPS; i++) {
        struct exchange_sim_market_event event;
        if (i == STEPS / 2)
            cr_assert(exchange_sim_market_delist(market, leaver));
        bool const trading = exchange_sim_market_symbol(market, leaver)->trading;
        exchange_sim_market_next(market, START_US + i * 100, &event);
        seen += event.symbol == listed;
        late += !trading && event.symbol == leaver;
    }
    const struct exchange_sim_market_symbol *symbol = exchange_sim_market_symbol(market, leaver);
    struct exchange_sim_market_event event;
    cr_expect_gt(seen, 100);
    cr_expect_eq(late, 0, "nothing behind its end");
    cr_expect(!symbol->trading && symbol->listed);
    cr_expect_not(exchange_sim_market_rest(market, leaver, START_US, &event), "it has said all");
    exchange_sim_market_forget(market, leaver);
    cr_expect_not(symbol->listed);
    exchange_sim_market_close(market);
}

Test(exchange_sim_market, sums_beyond_64_bits_are_spelled)
{
    char memory[64];
    struct exchange_sim_text text = exchange_sim_text(memory, sizeof memory);
    exchange_sim_text_wide(&text, (__int128)INT64_MAX * 1000 + 7, 8, 8);
    static const char expected[] = "92233720368547.75807007";
    cr_expect_eq(exchange_sim_text_size(&text), sizeof expected - 1);
    cr_expect_eq(memcmp(memory, expected, sizeof expected - 1), 0, "%.*s",
                 (int)exchange_sim_text_size(&text), memory);
}
