// SPDX-License-Identifier: GPL-3.0-or-later
//
// Summaries: by hand what the peers test does by the hundred thousand: ties, rounding, scales that
// change, one candle alone, quotes out of order, what does not fit.
#include "derive/summary.h"

#include <criterion/criterion.h>
#include <math.h>

#define M CANDLE_MINUTE_NS
#define DAY (28000 * 1440 * M)

static struct summary summary;

static struct candle candle_of(uint32_t minutes, int64_t minute, int64_t open, int64_t close)
{
    return (struct candle){
        .minutes = minutes,
        .open_time_ns = DAY + minute * M,
        .close_time_ns = DAY + (minute + minutes) * M,
        .sum = {.open = open, .close = close, .high = open > close ? open : close,
                .low = open < close ? open : close, .price_scale = 2, .quantity_scale = 1,
                .trades = 2, .volume = 30, .quote_volume = (wide)open * 10 + (wide)close * 20,
                .taker_buy_volume = 20, .first_time_ns = DAY + minute * M,
                .last_time_ns = DAY + minute * M + 1, .first_id = minute * 10,
                .last_id = minute * 10 + 1}};
}

static void give(uint32_t minutes, int64_t minute, int64_t open, int64_t close)
{
    const struct candle candle = candle_of(minutes, minute, open, close);
    summary_candle(&summary, &candle);
}

static void begin(void)
{
    summary_init(&summary);
}

TestSuite(summary, .init = begin);

Test(summary, nothing_is_told_of_nothing)
{
    wide value;
    cr_assert(!summary_vwap(&summary, &value));
    cr_assert(!summary_buy_ratio(&summary, &value));
    cr_assert(!summary_change(&summary, &value));
    cr_assert(!summary_spread_mean(&summary, &value));
    cr_assert(!summary_spread_time_weighted(&summary, &value));
    cr_assert(!summary.has_moves);
    cr_assert_eq(summary_volatility(&summary), 0);
}

Test(summary, minutes_add_up_and_ratios_are_rounded_half_to_even)
{
    wide value;
    give(1, 0, 10000, 10100);
    cr_assert_eq(summary_volatility(&summary), 0, "one close is no return");
    give(1, 3, 10200, 10000);
    cr_assert_eq(summary.sum.trades, 4);
    cr_assert_eq(summary.sum.volume, 60);
    cr_assert_eq(summary.sum.open, 10000);
    cr_assert_eq(summary.sum.close, 10000);
    cr_assert_eq(summary.sum.high, 10200);
    // 100.00 * 1 + 101.00 * 2 + 102.00 * 1 + 100.00 * 2 over 6.
    cr_assert(summary_vwap(&summary, &value));
    cr_assert_eq(value, (wide)604000000000000 / 6 + 1); // 100.666666666666|6…
    cr_assert(summary_buy_ratio(&summary, &value));
    cr_assert_eq(value, 666666666667);
    cr_assert(summary_change(&summary, &value));
    cr_assert_eq(value, 0);
    const double expected = fabs(log(100.0 / 101.0));
    cr_assert_float_eq(summary_volatility(&summary), expected, 1e-13 * expected);
}

Test(summary, small_returns_keep_their_digits)
{
    // Of 1 + 1e-15: log() of the quotient would give 1.11e-15.
    struct candle one = candle_of(1, 0, 1, 1000000000000000);
    struct candle two = candle_of(1, 1, 1, 1000000000000001);
    one.sum.open = one.sum.close;
    two.sum.open = two.sum.close;
    summary_candle(&summary, &one);
    summary_candle(&summary, &two);
    cr_assert_float_eq(summary_volatility(&summary), 1e-15, 1e-27);
}

Test(summary, a_finer_tick_is_no_return)
{
    struct candle fine = candle_of(1, 1, 1234500, 1234500);
    give(1, 0, 12345, 12345);
    fine.sum.price_scale = 4;
    summary_candle(&summary, &fine);
    cr_assert_eq(summary_volatility(&summary), 0);
    cr_assert_eq(summary.returns, 1);
    cr_assert_eq(summary.sum.price_scale, 4);
    cr_assert_eq(summary.sum.open, 1234500);
}

Test(summary, of_equal_moves_the_earliest_counts)
{
    give(5, 0, 300, 303);
    give(5, 5, 100, 101);
    give(5, 10, 200, 197);
    give(5, 15, 400, 394);
    give(15, 0, 100, 900); // another interval
    give(1, 0, 100, 900);
    cr_assert_eq(summary.rise, 10000000000); // 1 %
    cr_assert_eq(summary.rise_open_time_ns, DAY);
    cr_assert_eq(summary.fall, -15000000000);
    cr_assert_eq(summary.fall_open_time_ns, DAY + 10 * M);
}

Test(summary, where_all_fall_the_largest_rise_is_a_fall)
{
    give(5, 0, 300, 200);
    give(5, 5, 300, 299);
    cr_assert_eq(summary.rise, -3333333333);
    cr_assert_eq(summary.fall, -333333333333);
}

// ---- quotes ----

static struct summary_quote quote_of(int64_t time_ns, int64_t id, int64_t spread, uint8_t scale)
{
    return (struct summary_quote){.spread = spread, .time_ns = time_ns, .id = id, .scale = scale};
}

static void quote(int64_t time_ns, int64_t id, int64_t spread, uint8_t scale)
{
    const struct summary_quote given = quote_of(time_ns, id, spread, scale);
    summary_quote(&summary, &given);
}

Test(summary, spreads_weigh_as_long_as_they_hold)
{
    wide value;
    quote(DAY, 1, 5, 2);
    cr_assert(summary_spread_mean(&summary, &value));
    cr_assert_eq(value, 50000000000);
    cr_assert(!summary_spread_time_weighted(&summary, &value), "no time has passed");
    quote(DAY + 30, 2, 100, 4); // 0.01
    quote(DAY + 30, 3, -2, 2);  // crossed, for 10 ns
    quote(DAY + 40, 4, 900, 2); // held by nobody's time
    cr_assert(!summary.disordered);
    cr_assert_eq(summary.spread_min, -200);
    cr_assert_eq(summary.spread_max, 90000);
    cr_assert_eq(summary.quotes, 4);
    cr_assert(summary_spread_time_weighted(&summary, &value));
    cr_assert_eq(value, (wide)32500000000); // (0.05 * 30 - 0.02 * 10) / 40
    cr_assert(summary_spread_mean(&summary, &value));
    cr_assert_eq(value, 2260000000000); // 9.04 / 4
}

Test(summary, quotes_out_of_order_are_noticed_and_sorted_ones_give_the_rest)
{
    wide value, again;
    const struct summary_quote sorted[] = {quote_of(DAY, 1, 5, 2), quote_of(DAY + 10, 2, 7, 3),
                                           quote_of(DAY + 10, 3, 9, 2),
                                           quote_of(DAY + 25, 4, 1, 2)};
    const int arrival[] = {0, 3, 2, 1};
    for (int i = 0; i < 4; i++) summary_quote(&summary, &sorted[arrival[i]]);
    cr_assert(summary.disordered);
    cr_assert(!summary_spread_time_weighted(&summary, &value), "not told before it is right");
    cr_assert_eq(summary.quotes, 4);
    summary_spread_restart(&summary);
    for (int i = 0; i < 4; i++) summary_spread(&summary, &sorted[i]);
    cr_assert(summary_spread_time_weighted(&summary, &value));
    summary_init(&summary);
    for (int i = 0; i < 4; i++) summary_quote(&summary, &sorted[i]);
    cr_assert(summary_spread_time_weighted(&summary, &again));
    cr_assert_eq(value, again);
    cr_assert_eq(value, 74000000000); // (0.05 * 10 + 0.09 * 15) / 25
    cr_assert_eq(summary.quotes, 4);
}

Test(summary, what_does_not_fit_is_not_told)
{
    wide value;
    struct candle large = candle_of(1, 0, 1, 1);
    large.sum.quote_volume = (wide)1 << 126;
    large.sum.volume = 1;
    summary_candle(&summary, &large);
    large.open_time_ns += M;
    summary_candle(&summary, &large);
    cr_assert(summary.unfit);
    cr_assert(!summary_vwap(&summary, &value));
    quote(DAY, 1, 1, 0);
    quote(DAY + 1, 2, INT64_MAX, 18);
    cr_assert(summary_spread_mean(&summary, &value), "volumes are no spreads");
    const struct summary_quote huge = {.spread = (wide)1 << 126, .time_ns = DAY + 2, .id = 3};
    summary_quote(&summary, &huge);
    cr_assert(summary.spread_unfit);
    cr_assert(!summary_spread_mean(&summary, &value));
}
