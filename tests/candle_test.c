// SPDX-License-Identifier: GPL-3.0-or-later
//
// Candles: numbers against sums made here by hand and by another way; the same candles for any
// order of arrival within the grace; issue times and revisions as a function of the rows; what is
// known after a restart; what does not fit.
#include "derive/candle.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "protocol_random.h"

#define S CANDLE_SECOND_NS
#define M CANDLE_MINUTE_NS
#define NOW (28000020 * M) // a whole minute, quarter and hour in 2023

enum { ISSUES_MAX = 20000 };

struct book {
    struct candle issued[ISSUES_MAX];
    uint32_t count;
    bool refuse;
};

static bool keep(void *context, const struct candle *candle)
{
    struct book *book = context;
    if (book->refuse) return false;
    cr_assert_lt(book->count, ISSUES_MAX);
    book->issued[book->count++] = *candle;
    return true;
}

static struct book *book;
static struct candles candles;

static void begin_held(struct candles *made, candle_issue *issue, uint32_t held_max,
                       struct book *into)
{
    const struct candles_options options = {.symbols_max = 8, .interval_count = 3,
                                            .minutes = {1, 5, 15}, .issue = issue,
                                            .context = into, .held_max = held_max};
    cr_assert_eq(candles_open(made, &options), 0);
    for (uint32_t i = 0; i < 8; i++) candles_symbol(made, i, 2 * S);
}

static void begin_with(struct candles *made, candle_issue *issue, struct book *into)
{
    begin_held(made, issue, 0, into);
}

static void begin(void)
{
    book = calloc(1, sizeof *book);
    begin_with(&candles, keep, book);
}

static void end(void)
{
    candles_close(&candles);
    free(book);
}

struct made {
    int64_t time_ns, receive_ns, id, price, quantity;
    uint8_t scale, side;
};

static void give(struct candles *to, uint32_t symbol, const struct made *trade)
{
    struct event event;
    event_clear(&event, CHANNEL_TRADE, symbol);
    event_set(&event, COLUMN_RECEIVE_TIME, trade->receive_ns);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, TRADE_TIME, trade->time_ns);
    event_set(&event, TRADE_ID, trade->id);
    event_set_decimal(&event, TRADE_PRICE, trade->price, trade->scale);
    event_set_decimal(&event, TRADE_QUANTITY, trade->quantity, trade->scale);
    event_set(&event, TRADE_SIDE, trade->side);
    candles_event(to, &event);
}

static void give_prepared(struct candles *to, uint32_t symbol, const struct made *trade)
{
    struct event received;
    event_clear(&received, CHANNEL_TRADE, symbol);
    event_set(&received, COLUMN_RECEIVE_TIME, trade->receive_ns);
    candles_prepare(to, &received);
    give(to, symbol, trade);
}

static void simple(uint32_t symbol, int64_t time_ns, int64_t id, int64_t price, int64_t quantity)
{
    give(&candles, symbol, &(struct made){time_ns, time_ns + S / 20, id, price, quantity, 2, 0});
}

static const struct candle *last_of(uint32_t minutes, int64_t open_ns)
{
    const struct candle *found = NULL;
    for (uint32_t i = 0; i < book->count; i++) {
        if (book->issued[i].minutes == minutes && book->issued[i].open_time_ns == open_ns)
            found = &book->issued[i];
    }
    return found;
}

static struct event row_of(const struct candle *candle)
{
    static char text[CANDLE_TEXT_BYTES];
    struct event event;
    cr_assert(candle_row(candle, text, &event));
    return event;
}

Test(candle, numbers, .init = begin, .fini = end)
{
    simple(0, NOW + 1 * S, 7, 10000, 200); // 100.00 x 2.00
    simple(0, NOW + 30 * S, 9, 9950, 100);
    give(&candles, 0, &(struct made){NOW + 59 * S, NOW + 59 * S, 10, 101, 1, 0, SIDE_SELL});
    cr_assert(candles_advance(&candles, NOW + M + 2 * S - 1, 10));
    cr_assert_eq(book->count, 0, "not before the grace is over");
    cr_assert(candles_advance(&candles, NOW + M + 2 * S, 10));
    cr_assert_eq(book->count, 1);
    struct event row = row_of(&book->issued[0]);
    cr_assert_eq(row.value[CANDLE_OPEN_TIME], NOW);
    cr_assert_eq(row.value[CANDLE_CLOSE_TIME], NOW + M);
    cr_assert_eq(row.value[CANDLE_REVISION], 0);
    cr_assert_eq(row.value[CANDLE_TRADES], 3);
    cr_assert_eq(row.value[CANDLE_OPEN], 100);
    cr_assert_eq(row.value[CANDLE_HIGH], 101);
    cr_assert_eq(row.value[CANDLE_LOW], 995);
    cr_assert_eq(row.scale[CANDLE_LOW], 1);
    cr_assert_eq(row.value[CANDLE_CLOSE], 101);
    cr_assert_eq(row.value[CANDLE_VOLUME], 4);
    cr_assert_eq(row.value[CANDLE_TAKER_BUY_VOLUME], 3);
    cr_assert_eq(row.value[CANDLE_QUOTE_VOLUME], 4005); // 400.5
    cr_assert_eq(row.scale[CANDLE_QUOTE_VOLUME], 1);
    cr_assert_eq(row.value[CANDLE_VWAP], 100125); // 400.5 / 4
    cr_assert_eq(row.scale[CANDLE_VWAP], 3);
    cr_assert_eq(row.value[CANDLE_FIRST_ID], 7);
    cr_assert_eq(row.value[CANDLE_LAST_ID], 10);
}

// The tape then has it before the trade that it does not hold.
Test(candle, what_is_due_is_issued_before_a_trade, .init = begin, .fini = end)
{
    struct event event;
    simple(0, NOW, 1, 100, 1);
    event_clear(&event, CHANNEL_TRADE, 0);
    candles_prepare(&candles, &event);
    event_set(&event, COLUMN_RECEIVE_TIME, NOW + M + 2 * S - 1);
    candles_prepare(&candles, &event);
    cr_assert_eq(book->count, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, NOW + M + 2 * S);
    event.symbol = 1;
    candles_prepare(&candles, &event);
    cr_assert_eq(book->count, 0, "of another symbol");
    event.symbol = 0;
    candles_prepare(&candles, &event);
    cr_assert_eq(book->count, 1);
}

Test(candle, one_time_many_ids, .init = begin, .fini = end)
{
    simple(0, NOW, 12, 300, 1);
    simple(0, NOW, 11, 200, 1);
    simple(0, NOW, 13, 100, 1);
    candles_finish(&candles);
    struct event row = row_of(last_of(1, NOW));
    cr_assert_eq(row.value[CANDLE_OPEN], 2);
    cr_assert_eq(row.value[CANDLE_CLOSE], 1);
}

Test(candle, late_and_early_trades, .init = begin, .fini = end)
{
    simple(0, NOW + 10 * S, 1, 100, 100);
    // Behind the close, within the grace: no revision.
    give(&candles, 0, &(struct made){NOW + 50 * S, NOW + M + S, 2, 200, 100, 2, 0});
    (void)candles_advance(&candles, NOW + M + 5 * S, 100);
    cr_assert_eq(book->count, 1);
    cr_assert_eq(book->issued[0].sum.trades, 2);
    // Later: another revision at the next whole second, with all that came until then.
    give(&candles, 0, &(struct made){NOW + 51 * S, NOW + M + 6 * S + 1, 3, 300, 100, 2, 0});
    give(&candles, 0, &(struct made){NOW + 52 * S, NOW + M + 6 * S + 9, 4, 50, 100, 2, 0});
    (void)candles_advance(&candles, NOW + M + 7 * S - 1, 100);
    cr_assert_eq(book->count, 1);
    (void)candles_advance(&candles, NOW + M + 7 * S, 100);
    cr_assert_eq(book->count, 2);
    cr_assert_eq(book->issued[1].revision, 1);
    cr_assert_eq(book->issued[1].sum.trades, 4);
    cr_assert_eq(book->issued[1].sum.low, 50);
    // A trade of the future and one from before the ring.
    give(&candles, 0, &(struct made){NOW + 70 * M, NOW + 8 * S, 5, 50, 100, 2, 0});
    cr_assert_eq(candles.counters.ahead, 1);
    simple(0, NOW + 200 * M, 6, 50, 100);
    simple(0, NOW + 200 * M - 128 * M, 7, 50, 100);
    cr_assert_eq(candles.counters.beyond, 1);
}

Test(candle, what_loses_its_first_minute_is_issued, .init = begin, .fini = end)
{
    simple(0, NOW + S, 1, 100, 100);
    give(&candles, 0, &(struct made){NOW + 300 * M, NOW + 300 * M, 2, 100, 100, 2, 0});
    cr_assert_eq(book->count, 3);
    cr_assert_not_null(last_of(15, NOW));
    cr_assert_eq(last_of(15, NOW)->sum.trades, 1);
}

Test(candle, refused_ones_come_again, .init = begin, .fini = end)
{
    simple(0, NOW + S, 1, 100, 100);
    book->refuse = true;
    (void)candles_advance(&candles, NOW + M + 2 * S, 100);
    cr_assert_eq(candles.counters.refused, 1);
    book->refuse = false;
    cr_assert(candles_advance(&candles, NOW + M + 2 * S + 1, 100));
    cr_assert_eq(book->count, 0);
    (void)candles_advance(&candles, NOW + M + 3 * S, 100);
    cr_assert_eq(book->count, 1);
    cr_assert_eq(book->issued[0].revision, 0);
}

Test(candle, a_portion_a_call, .init = begin, .fini = end)
{
    for (uint32_t symbol = 0; symbol < 8; symbol++) simple(symbol, NOW + S, 1, 100, 100);
    cr_assert_not(candles_advance(&candles, NOW + 15 * M + 2 * S, 10));
    cr_assert_eq(book->count, 10);
    cr_assert_not(candles_advance(&candles, NOW + 15 * M + 2 * S, 10));
    cr_assert(candles_advance(&candles, NOW + 15 * M + 2 * S, 10));
    cr_assert_eq(book->count, 24);
    cr_assert_eq(candles.pending_count, 0);
}

Test(candle, what_counts_for_none, .init = begin, .fini = end)
{
    struct event event;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, NOW);
    event_set(&event, TRADE_TIME, NOW);
    event_set(&event, TRADE_ID, 1);
    event_set_decimal(&event, TRADE_PRICE, 100, 0);
    event_set_decimal(&event, TRADE_QUANTITY, 1, 0);
    event_set(&event, TRADE_SIDE, 0);
    event_set_text(&event, TRADE_KIND, "INSURANCE_FUND", 14);
    candles_event(&candles, &event);
    event_set_text(&event, TRADE_KIND, "MARKET", 6);
    event_set_decimal(&event, TRADE_PRICE, 0, 0);
    candles_event(&candles, &event);
    event.channel = CHANNEL_QUOTE;
    candles_event(&candles, &event);
    candles_finish(&candles);
    cr_assert_eq(book->count, 0);
}

static void give_agg(int64_t time_ns, int64_t first, int64_t last, int64_t price)
{
    struct event event;
    event_clear(&event, CHANNEL_AGG_TRADE, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, time_ns);
    event_set(&event, AGG_TRADE_TIME, time_ns);
    event_set(&event, AGG_TRADE_ID, first);
    event_set(&event, AGG_TRADE_FIRST_ID, first);
    event_set(&event, AGG_TRADE_LAST_ID, last);
    event_set_decimal(&event, AGG_TRADE_PRICE, price, 0);
    event_set_decimal(&event, AGG_TRADE_QUANTITY, 10, 0);
    event_set(&event, AGG_TRADE_SIDE, SIDE_BUY);
    candles_event(&candles, &event);
}

Test(candle, agg_trades_count_where_there_are_no_trades, .init = begin, .fini = end)
{
    give_agg(NOW + S, 10, 14, 100);
    give_agg(NOW + M + S, 15, 15, 200);
    simple(0, NOW + M + 2 * S, 15, 30000, 300);
    give_agg(NOW + M + 3 * S, 16, 17, 900);
    give_agg(NOW + 2 * M, INT64_MIN, INT64_MAX, 900); // ids that cannot be
    give(&candles, 0, &(struct made){NOW + 3 * M, NOW + 3 * M, 18, 100, 10, 0, 0});
    give_agg(NOW + 3 * M, 18, 19, 100); // of the same scales
    candles_finish(&candles);
    cr_assert_eq(last_of(1, NOW)->sum.trades, 5);
    cr_assert_eq(last_of(1, NOW)->sum.source, CANDLE_FROM_AGG_TRADES);
    cr_assert_eq(last_of(1, NOW)->sum.first_id, 10);
    cr_assert_eq(last_of(1, NOW)->sum.last_id, 14);
    cr_assert_eq(last_of(1, NOW + M)->sum.trades, 1);
    cr_assert_eq(last_of(1, NOW + M)->sum.source, CANDLE_FROM_TRADES);
    cr_assert_null(last_of(1, NOW + 2 * M));
    cr_assert_eq(last_of(1, NOW + 3 * M)->sum.trades, 1);
    cr_assert_eq(last_of(1, NOW + 3 * M)->sum.source, CANDLE_FROM_TRADES);
}

Test(candle, sums_beyond_64_bits, .init = begin, .fini = end)
{
    // A minute of KRW-BTC beyond anything seen: 150,000,000.5 KRW x 999,999.99999999, three times.
    for (int i = 0; i < 3; i++) {
        struct event event;
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, COLUMN_RECEIVE_TIME, NOW);
        event_set(&event, TRADE_TIME, NOW + i);
        event_set(&event, TRADE_ID, i);
        event_set_decimal(&event, TRADE_PRICE, 1500000005, 1);
        event_set_decimal(&event, TRADE_QUANTITY, 99999999999999, 8);
        event_set(&event, TRADE_SIDE, 0);
        candles_event(&candles, &event);
    }
    candles_finish(&candles);
    struct event row = row_of(last_of(1, NOW));
    // 450000001499999.9955.. : 3 * 1500000005 * 99999999999999 / 10^9
    const wide whole = (wide)row.value[CANDLE_QUOTE_VOLUME] *
                           wide_power(9u - row.scale[CANDLE_QUOTE_VOLUME]) +
                       (wide)row.value[CANDLE_QUOTE_VOLUME_REST] *
                           wide_power(9u - row.scale[CANDLE_QUOTE_VOLUME_REST]);
    cr_assert(event_has(&row, CANDLE_QUOTE_VOLUME_REST));
    cr_assert(whole == (wide)3 * 1500000005 * 99999999999999);
    cr_assert_eq(row.value[CANDLE_VWAP], 1500000005);
}

Test(candle, what_does_not_fit_is_not_issued, .init = begin, .fini = end)
{
    for (int i = 0; i < 3; i++)
        give(&candles, 0, &(struct made){NOW + i, NOW, i, INT64_MAX, INT64_MAX, 0, 0});
    candles_finish(&candles);
    cr_assert_eq(book->count, 0);
    cr_assert_eq(candles.counters.unfit, 3);
    cr_assert_eq(candles.pending_count, 0);
}

Test(candle, empty_ones_by_option, .init = begin, .fini = end)
{
    simple(0, NOW + S, 1, 100, 100);
    candles_fill(&candles, 0, 1, NOW + M); // has a trade
    candles_fill(&candles, 0, 1, NOW + 2 * M);
    candles_fill(&candles, 1, 1, NOW + 2 * M); // never traded
    (void)candles_advance(&candles, NOW + 2 * M + 2 * S, 100);
    cr_assert_eq(book->count, 2);
    struct event row = row_of(last_of(1, NOW + M));
    cr_assert_eq(row.value[CANDLE_TRADES], 0);
    cr_assert_not(event_has(&row, CANDLE_OPEN) || event_has(&row, CANDLE_VWAP) ||
                  event_has(&row, CANDLE_FIRST_ID));
    cr_assert_eq(row.value[CANDLE_VOLUME], 0);
    candles_fill(&candles, 0, 1, NOW + 2 * M);
    (void)candles_advance(&candles, NOW + 3 * M, 100);
    cr_assert_eq(book->count, 2, "not twice");
    give(&candles, 0, &(struct made){NOW + M, NOW + 3 * M, 2, 100, 100, 2, 0});
    (void)candles_advance(&candles, NOW + 4 * M, 100);
    cr_assert_eq(last_of(1, NOW + M)->revision, 1);
}

// ---- properties ----

enum { TRADES = 3000 };

// Trades of 40 minutes: many share a time, a tenth of those are of another scale.
static void make_trades(struct made *trades, struct protocol_random *random)
{
    int64_t time_ns = NOW;
    for (int i = 0; i < TRADES; i++) {
        const uint64_t r = random_next(random);
        if (r % 3 != 0) time_ns += (int64_t)(r >> 8) % (3 * 40 * M / TRADES);
        trades[i] = (struct made){time_ns, 0, i * 2, (int64_t)(100000 + (r >> 32) % 5000),
                                  (int64_t)(1 + (r >> 20) % 900), (r >> 50) % 10 == 0 ? 5 : 2,
                                  (uint8_t)(r >> 40 & 1)};
    }
}

static int by_receive(const void *a, const void *b)
{
    const struct made *one = a;
    const struct made *two = b;
    return (one->receive_ns > two->receive_ns) - (one->receive_ns < two->receive_ns);
}

static uint32_t latest(const struct book *of, struct candle *out, bool first)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < of->count; i++) {
        uint32_t at = 0;
        while (at < count && (out[at].minutes != of->issued[i].minutes ||
                              out[at].open_time_ns != of->issued[i].open_time_ns))
            at++;
        if (at == count || !first) out[at] = of->issued[i];
        count += at == count;
    }
    return count;
}

static const struct candle *same_window(const struct candle *in, uint32_t count,
                                        const struct candle *as)
{
    for (uint32_t i = 0; i < count; i++) {
        if (in[i].minutes == as->minutes && in[i].open_time_ns == as->open_time_ns) return &in[i];
    }
    cr_assert_fail("a candle is missing");
    return NULL;
}

static void assert_same(const struct book *a, const struct book *b, bool first)
{
    static struct candle one[ISSUES_MAX];
    static struct candle two[ISSUES_MAX];
    const uint32_t count = latest(a, one, first);
    cr_assert_eq(latest(b, two, first), count);
    for (uint32_t i = 0; i < count; i++) {
        char text[2][CANDLE_TEXT_BYTES];
        struct event left;
        struct event right;
        cr_assert(candle_row(&one[i], text[0], &left));
        cr_assert(candle_row(same_window(two, count, &one[i]), text[1], &right));
        cr_assert(candle_rows_equal(&left, &right), "minutes %u at %lld", one[i].minutes,
                  (long long)((one[i].open_time_ns - NOW) / M));
    }
}

// By definition, with nothing of what is tested: sums over all trades at scale 5.
static void assert_defined(const struct book *of, const struct made *trades)
{
    static struct candle all[ISSUES_MAX];
    const uint32_t count = latest(of, all, false);
    for (uint32_t i = 0; i < count; i++) {
        wide volume = 0;
        wide quote = 0;
        int64_t n = 0;
        int64_t high = 0;
        int64_t open_id = -1;
        int64_t close_id = -1;
        for (int t = 0; t < TRADES; t++) { // ids rise with time
            const int64_t unit = trades[t].scale == 2 ? 1000 : 1;
            if (trades[t].time_ns < all[i].open_time_ns ||
                trades[t].time_ns >= all[i].close_time_ns)
                continue;
            volume += trades[t].quantity * unit;
            quote += (wide)trades[t].quantity * unit * trades[t].price * unit;
            if (trades[t].price * unit > high) high = trades[t].price * unit;
            if (open_id < 0 || trades[t].id < open_id) open_id = trades[t].id;
            if (trades[t].id > close_id) close_id = trades[t].id;
            n++;
        }
        const struct candle_sum *sum = &all[i].sum;
        cr_assert_eq(sum->trades, n);
        cr_assert_eq(sum->first_id, open_id);
        cr_assert_eq(sum->last_id, close_id);
        cr_assert(sum->volume * wide_power(5u - sum->quantity_scale) == volume);
        cr_assert(sum->quote_volume * wide_power(10u - sum->quantity_scale - sum->price_scale) ==
                  quote);
        cr_assert((wide)sum->high * wide_power(5u - sum->price_scale) == high);
    }
    cr_assert_gt(count, 40);
}

// Live: with ticks ten times a second. Stored: without a clock, then all that waits.
static void play(const struct made *trades, bool live, struct book *into)
{
    struct candles *player = calloc(1, sizeof *player);
    begin_with(player, keep, into);
    int64_t tick_ns = NOW;
    for (int i = 0; i < TRADES; i++) {
        for (; live && tick_ns < trades[i].receive_ns; tick_ns += S / 10)
            (void)candles_advance(player, tick_ns, 100);
        give(player, 3, &trades[i]);
    }
    if (live) (void)candles_advance(player, NOW + 100 * M, UINT32_MAX);
    candles_finish(player);
    candles_close(player);
    free(player);
}

static void order_within(int64_t late_ns, bool first_equal)
{
    static struct made trades[TRADES];
    static struct made mixed[TRADES];
    struct book *books = calloc(3, sizeof *books);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct protocol_random random = {seed};
        memset(books, 0, 3 * sizeof *books);
        make_trades(trades, &random);
        for (int i = 0; i < TRADES; i++) trades[i].receive_ns = trades[i].time_ns + S / 100;
        memcpy(mixed, trades, sizeof trades);
        for (int i = 0; i < TRADES; i++)
            mixed[i].receive_ns = trades[i].time_ns + (int64_t)(random_next(&random) %
                                                                (uint64_t)late_ns);
        qsort(mixed, TRADES, sizeof *mixed, by_receive);
        play(trades, true, &books[0]);
        play(mixed, true, &books[1]);
        play(mixed, false, &books[2]);
        assert_defined(&books[0], trades);
        assert_same(&books[0], &books[1], false);
        assert_same(&books[1], &books[2], false);
        assert_same(&books[1], &books[2], true);
        if (first_equal) {
            assert_same(&books[0], &books[1], true);
            cr_assert_eq(books[1].count, books[0].count);
        } else {
            cr_assert_gt(books[1].count, books[0].count);
        }
        cr_assert_eq(books[1].count, books[2].count, "every revision is in the rows");
    }
    free(books);
}

Test(candle, any_order_within_the_grace)
{
    order_within(2 * S, true);
}

Test(candle, any_order_beyond_the_grace)
{
    order_within(90 * S, false);
}

// What a store tells of trades [0, cut) and the candles that were issued of them.
static void restart_stored(struct candles *stored, const struct made *trades, int cut,
                           const struct book *issued)
{
    begin_with(stored, NULL, NULL);
    for (int i = 0; i < cut; i++) give(stored, 5, &trades[i]);
    for (uint32_t i = 0; i < issued->count; i++) {
        struct event row = row_of(&issued->issued[i]);
        event_set(&row, COLUMN_RECEIVE_TIME, issued->issued[i].close_time_ns);
        candles_known(stored, 5, &row);
    }
}

// Trades from `cut` on, of which the first `held` come before the store has been read.
static void restart_after(const struct made *trades, int cut, int held,
                          const struct candles *stored, struct book *into)
{
    struct candles after;
    begin_held(&after, keep, held >= 0 ? TRADES : 0, into);
    int next = cut;
    for (; next < cut + held && next < TRADES; next++) give(&after, 3, &trades[next]);
    cr_assert(candles_advance(&after, trades[next - 1].receive_ns, UINT32_MAX));
    candles_adopt(&after, 3, stored, 5);
    // A shard of many symbols takes several ticks for that: trades still come.
    for (const int last = next + held; next < last && next < TRADES; next++)
        give_prepared(&after, 3, &trades[next]);
    if (held >= 0) candles_start(&after, keep);
    for (; next < TRADES; next++) give(&after, 3, &trades[next]);
    candles_finish(&after);
    candles_close(&after);
}

static void restarts(bool with_held)
{
    static struct made trades[TRADES];
    struct book *books = calloc(2, sizeof *books);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct protocol_random random = {seed};
        memset(books, 0, 2 * sizeof *books);
        make_trades(trades, &random);
        for (int i = 0; i < TRADES; i++)
            trades[i].receive_ns = trades[i].time_ns + (int64_t)(random_next(&random) % (20 * S));
        qsort(trades, TRADES, sizeof *trades, by_receive);
        play(trades, true, &books[0]);
        const int cut = 1 + (int)(random_next(&random) % (TRADES - 1));
        const int held = with_held ? (int)(random_next(&random) % 200) : -1;
        struct candles before, stored;
        begin_with(&before, keep, &books[1]);
        for (int i = 0; i < cut; i++) give(&before, 3, &trades[i]);
        (void)candles_advance(&before, trades[cut].receive_ns, UINT32_MAX);
        candles_close(&before);
        restart_stored(&stored, trades, cut, &books[1]);
        restart_after(trades, cut, held, &stored, &books[1]);
        candles_close(&stored);
        assert_same(&books[0], &books[1], true);
        assert_same(&books[0], &books[1], false);
        cr_assert_eq(books[0].count, books[1].count, "seed %llu", (unsigned long long)seed);
    }
    free(books);
}

Test(candle, a_restart_changes_nothing)
{
    restarts(false);
}

Test(candle, trades_that_come_while_the_store_is_read_change_nothing)
{
    restarts(true);
}

Test(candle, what_cannot_be_held_is_not_issued_wrong, .init = begin, .fini = end)
{
    struct candles after;
    begin_held(&after, keep, 2, book);
    for (int i = 0; i < 3; i++)
        give(&after, 0, &(struct made){NOW + i * M, NOW + i * M + S, i, 100, 1, 2, 0});
    cr_assert_eq(after.counters.unheld, 1);
    candles_start(&after, keep);
    give(&after, 0, &(struct made){NOW + 3 * M, NOW + 3 * M + S, 3, 100, 1, 2, 0});
    candles_finish(&after);
    cr_assert_eq(book->count, 1, "the minute behind the one of which a trade was lost");
    cr_assert_eq(book->issued[0].open_time_ns, NOW + 3 * M);
    candles_close(&after);
}
