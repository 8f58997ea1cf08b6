// SPDX-License-Identifier: GPL-3.0-or-later
//
// Alerts: a made-up market with surges, crashes and bursts at known times: every one is found, once
// and nothing else; a calm one raises none; spreads, silence; evidence and identity; what counts
// for no alert.
#include "derive/alert.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol_random.h"

#define S 1000000000ll
#define MINUTE (60 * S)
#define NOW 1700000040000000000ll

enum { ALERTS_MAX = 4096, SYMBOLS = 4 };

static struct alerts alerts;
static struct event raised[ALERTS_MAX];
static uint32_t raised_count;
static const char *const names[SYMBOLS] = {"binance:AUSDT", "binance:BUSDT", "upbit:KRW-A",
                                           "binance:CUSDT"};

static void take(void *context, const struct event *event)
{
    (void)context;
    cr_assert_lt(raised_count, ALERTS_MAX);
    raised[raised_count++] = *event;
}

static void begin(void)
{
    const struct alerts_options options = {.symbols_max = SYMBOLS, .emit = take};
    struct alert_rules rules;
    raised_count = 0;
    cr_assert_eq(alerts_open(&alerts, &options), 0);
    alert_rules_standard(&rules);
    alerts_use(&alerts, &rules);
    for (uint32_t i = 0; i < SYMBOLS; i++) alerts_symbol(&alerts, i, names[i], i == 2);
}

// Rounder numbers than the defaults.
static void three_percent(void)
{
    struct alert_rules rules;
    alert_rules_standard(&rules);
    rules.at[0].threshold_ppm = 30000;
    rules.at[1].threshold_ppm = 30000;
    alerts_use(&alerts, &rules);
}

static void end(void)
{
    alerts_close(&alerts);
}

static void trade_at(uint32_t symbol, int64_t time_ns, int64_t id, int64_t price,
                     int64_t quantity, int64_t flags)
{
    struct event event;
    event_clear(&event, CHANNEL_TRADE, symbol);
    event_set(&event, COLUMN_RECEIVE_TIME, time_ns + S / 20);
    event_set(&event, COLUMN_FLAGS, flags);
    event_set(&event, TRADE_TIME, time_ns);
    event_set(&event, TRADE_ID, id);
    event_set_decimal(&event, TRADE_PRICE, price, 4);
    event_set_decimal(&event, TRADE_QUANTITY, quantity, 3);
    event_set(&event, TRADE_SIDE, 0);
    alerts_event(&alerts, &event);
}

static void quote_at(uint32_t symbol, int64_t time_ns, int64_t bid, int64_t ask)
{
    struct event event;
    event_clear(&event, CHANNEL_QUOTE, symbol);
    event_set(&event, COLUMN_RECEIVE_TIME, time_ns);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, QUOTE_ID, time_ns / S);
    event_set_decimal(&event, QUOTE_BID_PRICE, bid, 4);
    event_set_decimal(&event, QUOTE_BID_QUANTITY, 1, 0);
    event_set_decimal(&event, QUOTE_ASK_PRICE, ask, 4);
    event_set_decimal(&event, QUOTE_ASK_QUANTITY, 1, 0);
    alerts_event(&alerts, &event);
}

// ---- a market ----

struct injection {
    enum alert_kind kind;
    int64_t at_ns;
};

// Six hours, twenty trades a second on average: a walk of 2 to 6 % a day, heavy-tailed sizes; each
// injected move is 6 % within 20 s, each burst 15 s of two hundred times the trades.
static uint32_t market(uint64_t seed, uint32_t symbol, const struct injection *injected,
                       uint32_t count)
{
    struct protocol_random random = {seed};
    double level = log(1e6 * (1 + (double)seed));
    int64_t time_ns = NOW;
    int64_t id = 1;
    uint32_t next = 0;
    while (time_ns < NOW + 360 * MINUTE) {
        const bool inside = next < count && time_ns >= injected[next].at_ns;
        const bool burst = inside && injected[next].kind == ALERT_VOLUME_BURST;
        const double drawn = -log((double)(1 + random_below(&random, 1u << 30)) / (1 << 30));
        time_ns += (int64_t)(drawn * (double)S / (burst ? 4000 : 20)) + 1;
        double step = ((double)random_below(&random, 2001) - 1000) * 2.5e-8;
        if (inside && !burst) // 20 trades a second for 20 s
            step += (injected[next].kind == ALERT_SURGE ? 1 : -1) * 0.06 / 400;
        level += step;
        const int64_t size = 1 + (int64_t)(100 / sqrt((1 + random_below(&random, 10000)) / 1e4));
        trade_at(symbol, time_ns, id++, (int64_t)exp(level), size, 0);
        if (inside && time_ns > injected[next].at_ns + (burst ? 15 : 20) * S) next++;
    }
    return next;
}

Test(alert, a_calm_market_raises_none, .init = begin, .fini = end)
{
    for (uint64_t seed = 1; seed <= 4; seed++) (void)market(seed, (uint32_t)seed - 1, NULL, 0);
    cr_assert_eq(raised_count, 0, "kind %lld", (long long)raised[0].value[ALERT_KIND]);
}

Test(alert, every_injected_move_is_one_alert, .init = begin, .fini = end)
{
    static const enum alert_kind kinds[] = {ALERT_SURGE, ALERT_CRASH, ALERT_VOLUME_BURST};
    uint32_t expected = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct injection injected[20];
        struct protocol_random random = {seed + 77};
        for (uint32_t i = 0; i < 20; i++)
            injected[i] = (struct injection){
                kinds[random_below(&random, 3)],
                NOW + (40 + i * 15) * MINUTE + (int64_t)random_below(&random, 60) * S};
        const uint32_t before = raised_count;
        expected += 20;
        cr_assert_eq(market(seed, (uint32_t)seed - 1, injected, 20), 20);
        cr_assert_eq(raised_count - before, 20, "seed %llu: %u", (unsigned long long)seed,
                     raised_count - before);
        for (uint32_t i = 0; i < 20; i++) {
            const struct event *event = &raised[before + i];
            cr_assert_eq(event->value[ALERT_KIND], injected[i].kind);
            const int64_t late_ns = event->value[ALERT_TO_TIME] - injected[i].at_ns;
            cr_assert(late_ns > 0 && late_ns < 20 * S, "found after %lld ms",
                      (long long)(late_ns / 1000000));
        }
    }
    cr_assert_eq(raised_count, expected);
    for (uint32_t i = 0; i < raised_count; i++)
        for (uint32_t j = i + 1; j < raised_count; j++)
            cr_assert_neq(raised[i].value[ALERT_ID], raised[j].value[ALERT_ID]);
}

// ---- moves ----

Test(alert, evidence_of_a_surge, .init = begin, .fini = end)
{
    three_percent();
    trade_at(0, NOW, 1, 1000000, 1, 0);
    trade_at(0, NOW + S, 2, 999000, 1, 0);
    trade_at(0, NOW + 2 * S, 3, 1028969, 1, 0); // 2.9999 % above the lowest
    cr_assert_eq(raised_count, 0);
    trade_at(0, NOW + 3 * S, 4, 1028970, 1, 0);
    cr_assert_eq(raised_count, 1);
    const struct event *event = &raised[0];
    cr_assert_eq(event->value[ALERT_KIND], ALERT_SURGE);
    cr_assert_eq(event->value[ALERT_FROM_TIME], NOW + S);
    cr_assert_eq(event->value[ALERT_TO_TIME], NOW + 3 * S);
    cr_assert_eq(event->value[ALERT_FIRST_ID], 2);
    cr_assert_eq(event->value[ALERT_LAST_ID], 4);
    cr_assert_eq(event->value[ALERT_FROM_PRICE], 9990000000); // 99.9
    cr_assert_eq(event->value[ALERT_TO_PRICE], 10289700000);
    cr_assert_eq(event->value[ALERT_MEASURE], 30000);
    cr_assert_eq(event->value[ALERT_THRESHOLD], 30000);
    cr_assert_eq(event->value[ALERT_WINDOW], MINUTE);
    trade_at(0, NOW + 4 * S, 5, 1100000, 1, 0);
    trade_at(0, NOW + 10 * S, 6, 1200000, 1, 0);
    cr_assert_eq(raised_count, 1, "one move is one alert");
    // The window has passed, the cool-down not.
    for (int i = 0; i < 20; i++) trade_at(0, NOW + (80 + i * 4) * S, 7, 1200000, 1, 0);
    trade_at(0, NOW + 170 * S, 8, 1300000, 1, 0);
    cr_assert_eq(raised_count, 1);
    for (int i = 0; i < 40; i++) trade_at(0, NOW + 250 * S + i * 4 * S, 9, 1300000, 1, 0);
    trade_at(0, NOW + 420 * S, 10, 2600000, 1, 0); // what was seen is usual now
    cr_assert_eq(raised_count, 2, "and then the next");
}

Test(alert, a_crash_and_its_recovery_are_two, .init = begin, .fini = end)
{
    three_percent();
    trade_at(0, NOW, 1, 1000000, 1, 0);
    trade_at(0, NOW + S, 2, 969999, 1, 0);
    cr_assert_eq(raised_count, 1);
    cr_assert_eq(raised[0].value[ALERT_KIND], ALERT_CRASH);
    trade_at(0, NOW + 2 * S, 3, 1000000, 1, 0);
    cr_assert_eq(raised_count, 2);
    cr_assert_eq(raised[1].value[ALERT_KIND], ALERT_SURGE);
}

Test(alert, what_is_slow_late_or_not_of_the_market_is_none, .init = begin, .fini = end)
{
    three_percent();
    for (int i = 0; i < 100; i++) // 3 % in 100 s, 1.8 % in a minute
        trade_at(0, NOW + i * S, i, 1000000 + i * 300, 1, 0);
    trade_at(0, NOW + 100 * S, 200, 1100000, 1, EVENT_REPAIRED);
    trade_at(0, NOW - 300 * S, 201, 1100000, 1, 0); // older than the window
    cr_assert_eq(raised_count, 0);
    trade_at(0, NOW + 101 * S, 202, 1100000, 1, 0);
    cr_assert_eq(raised_count, 1);
}

Test(alert, volatile_symbols_need_larger_moves, .init = begin, .fini = end)
{
    three_percent();
    for (int i = 0; i < 1200; i++) // 0.5 % up and down every 2 s: 2 % a window is usual
        trade_at(0, NOW + i * 2 * S, i, i % 2 == 0 ? 1000000 : 1005000, 1, 0);
    cr_assert_eq(raised_count, 0);
    trade_at(0, NOW + 2400 * S, 1, 1050000, 1, 0); // 5 % is nothing here
    cr_assert_eq(raised_count, 0);
    trade_at(0, NOW + 2401 * S, 1, 1500000, 1, 0);
    cr_assert_eq(raised_count, 1);
    // Of returns of 0.5 % a bucket, 32 of them, eight deviations: within 1e-3, as the warm-up ends.
    const double threshold = (double)raised[0].value[ALERT_THRESHOLD];
    cr_assert_gt(threshold, 60000);
    cr_assert_lt(threshold, 0.005 * sqrt(32) * 8 * 1e6);
}

// Within one bucket, so that nothing but the trades themselves says that it is time to look.
Test(alert, the_extreme_goes_on_between_looks, .init = begin, .fini = end)
{
    int64_t id = 0;
    three_percent();
    for (int64_t price = 1000000; price <= 1020000; price += 100, id++)
        trade_at(0, NOW + id * S / 1000, id, price, 1, 0);
    for (int64_t price = 1020000; price > 989400; price -= 100, id++)
        trade_at(0, NOW + id * S / 1000, id, price, 1, 0);
    cr_assert_eq(raised_count, 0);
    trade_at(0, NOW + S, 600, 989401, 1, 0);
    cr_assert_eq(raised_count, 0);
    trade_at(0, NOW + S, 601, 989400, 1, 0);
    cr_assert_eq(raised_count, 1);
    cr_assert_eq(raised[0].value[ALERT_KIND], ALERT_CRASH);
    cr_assert_eq(raised[0].value[ALERT_FROM_PRICE], 10200000000);
    cr_assert_eq(raised[0].value[ALERT_FIRST_ID], 200, "the first that was there");
    cr_assert_eq(raised[0].value[ALERT_FROM_TIME], NOW + 200 * S / 1000);
}

// So little down that nobody looks on the way, and no other rule that would.
Test(alert, the_extreme_goes_on_down_too, .init = begin, .fini = end)
{
    struct alert_rules rules;
    int64_t id = 0;
    alert_rules_standard(&rules);
    rules.count = 1;
    rules.at[0].threshold_ppm = 30000;
    alerts_use(&alerts, &rules);
    for (int64_t price = 1000000; price >= 993000; price -= 100, id++)
        trade_at(0, NOW + id * S / 1000, id, price, 1, 0);
    for (int64_t price = 993000; price < 1022790; price += 10, id++)
        trade_at(0, NOW + S / 10 + id, id, price, 1, 0);
    cr_assert_eq(raised_count, 0);
    trade_at(0, NOW + S, id, 1022790, 1, 0);
    cr_assert_eq(raised_count, 1);
    cr_assert_eq(raised[0].value[ALERT_KIND], ALERT_SURGE);
    cr_assert_eq(raised[0].value[ALERT_FIRST_ID], 70);
}

// NOW begins a bucket of a minute's window, of the lowest place. The evidence is part of the id, so
// it has to be the same for ever.
Test(alert, of_equal_extremes_that_of_the_lowest_place_counts, .init = begin, .fini = end)
{
    three_percent();
    trade_at(0, NOW + 95 * S / 10, 1, 1000000, 1, 0); // place 5
    trade_at(0, NOW + 20 * S, 2, 1010000, 1, 0);
    trade_at(0, NOW + 64 * S, 3, 1000000, 1, 0); // place 2, once more round
    trade_at(0, NOW + 66 * S, 4, 1031000, 1, 0);
    cr_assert_eq(raised_count, 1);
    cr_assert_eq(raised[0].value[ALERT_FIRST_ID], 3);
    trade_at(1, NOW + 4 * S, 1, 1000000, 1, 0); // place 2
    trade_at(1, NOW + 95 * S / 10, 2, 1000000, 1, 0); // place 5
    trade_at(1, NOW + 20 * S, 3, 1031000, 1, 0);
    cr_assert_eq(raised_count, 2);
    cr_assert_eq(raised[1].value[ALERT_FIRST_ID], 1);
}

// Times, prices in units of the eighth decimal.
static void coarse_trade(int64_t at_s, int64_t price)
{
    struct event event;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, NOW + at_s * S);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, TRADE_TIME, NOW + at_s * S);
    event_set(&event, TRADE_ID, at_s);
    event_set_decimal(&event, TRADE_PRICE, price, 8);
    event_set_decimal(&event, TRADE_QUANTITY, 1, 0);
    event_set(&event, TRADE_SIDE, 0);
    alerts_event(&alerts, &event);
}

Test(alert, a_tick_is_no_move, .init = begin, .fini = end)
{
    for (int64_t i = 0; i < 100; i++) coarse_trade(i + 1, 21 + i % 2);
    cr_assert_eq(raised_count, 0, "a twentieth, but the least that the price can move");
    coarse_trade(101, 23);
    cr_assert_eq(raised_count, 1);
    cr_assert_eq(raised[0].value[ALERT_KIND], ALERT_SURGE);
}

// A minute's worth of buckets, then a jump; an hour later another of the same size.
Test(alert, one_move_does_not_hide_the_next, .init = begin, .fini = end)
{
    int64_t price = 1000000;
    int64_t id = 0;
    for (int64_t second = 0; second < 3600; second++) {
        price += second % 2 == 0 ? 100 : -100;
        if (second == 1200 || second == 2400) price += price / 12;
        trade_at(0, NOW + second * S, ++id, price, 1, 0);
    }
    cr_assert_eq(raised_count, 2, "%u", raised_count);
    cr_assert_eq(raised[1].value[ALERT_THRESHOLD], 40000, "%lld",
                 (long long)raised[1].value[ALERT_THRESHOLD]);
}

// Bursts of five hundred and of a hundred times the usual, seven minutes apart; then it is looked
// at what is usual: nothing of the first was learnt.
Test(alert, a_burst_does_not_hide_the_next, .init = begin, .fini = end)
{
    struct alert_usual usual;
    int64_t id = 0;
    for (int64_t i = 0; i < 40 * 900; i++) {
        const int64_t second = i / 40;
        const int64_t times = second >= 300 && second < 310 ? 500
                              : second >= 720 && second < 730 ? 100 : 1;
        trade_at(0, NOW + i * (S / 40), ++id, 1000000, 100 * times, 0);
    }
    cr_assert_eq(raised_count, 2, "%u", raised_count);
    cr_assert(alerts_usual(&alerts, 0, 2, &usual));
    cr_assert_eq(usual.kind, ALERT_VOLUME_BURST);
    const double whole = 40 * 10 * 100 * 1e-3; // of ten seconds
    const double found = (double)usual.quantity / 1e12;
    cr_assert(found > whole * 0.99 && found < whole * 1.01, "%g of %g", found, whole);
    cr_assert_not(alerts_usual(&alerts, 1, 2, &usual), "nothing has come");
    cr_assert_not(alerts_usual(&alerts, 0, 4, &usual), "silence is of exchanges");
}

// ---- rules beside each other ----

enum { WATCHED = 5, RULES = 7, STREAM = 40000 };

// The last two look at every trade, as their buckets are shorter than the time between two, and
// raise nothing.
static const struct alert_rule company[RULES] = {
    {"surge", "*", ALERT_SURGE, MINUTE, 4000, 0, 10 * S, 0},
    {"crash", "*", ALERT_CRASH, MINUTE, 4000, 2 * ALERT_ONE_PPM, 10 * S, 0},
    {"short", "*", ALERT_SURGE, 7 * S, 2000, 0, 0, 0},
    {"burst", "*", ALERT_VOLUME_BURST, 10 * S, 2 * ALERT_ONE_PPM, 0, 10 * S, 5},
    {"long", "*", ALERT_VOLUME_BURST, MINUTE, 3 * ALERT_ONE_PPM / 2, 0, 0, 50},
    {"look", "*", ALERT_CRASH, S, 999999, 0, 0, 0},
    {"sum", "*", ALERT_VOLUME_BURST, S, ALERT_ONE_PPM, 0, 0, 4000000},
};

// Coarse prices, so that many are equal; heavy sizes; some trades are late, some very.
static void stream(uint64_t seed)
{
    struct protocol_random random = {seed};
    int64_t price = 1000000;
    int64_t time_ns = NOW;
    int64_t trend = 0;
    for (int64_t id = 1; id <= STREAM; id++) {
        const uint32_t dice = random_below(&random, 1000);
        time_ns += S / 25 + random_below(&random, S / 50);
        if (dice < 5) trend = (int64_t)random_below(&random, 3) - 1;
        if (dice == 5) price += ((int64_t)random_below(&random, 3) - 1) * price / 150;
        if (dice == 6) time_ns += (int64_t)random_below(&random, 100) * S;
        price += ((int64_t)random_below(&random, 5) - 2 + trend) * 50;
        const int64_t late_ns = dice >= 950 ? random_below(&random, dice >= 995 ? 30000 : 300) : 0;
        const int64_t size = 1 + 500 / (1 + random_below(&random, 1000));
        trade_at(0, time_ns - late_ns * (S / 1000), id, price, size, 0);
    }
}

static uint32_t stream_with(const struct alert_rule *rules, uint32_t count, uint64_t seed)
{
    struct alert_rules used = {.count = count};
    memcpy(used.at, rules, count * sizeof *rules);
    raised_count = 0;
    alerts_use(&alerts, &used);
    stream(seed);
    return raised_count;
}

// A rule of its own looks seldom, one in company at every trade: what was noted in between must
// count as if it had been looked at.
Test(alert, a_rule_raises_in_company_what_it_raises_alone, .init = begin, .fini = end)
{
    static int64_t alone[WATCHED][ALERTS_MAX];
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint32_t counts[WATCHED];
        uint32_t found[WATCHED] = {0};
        for (uint32_t rule = 0; rule < WATCHED; rule++) {
            counts[rule] = stream_with(&company[rule], 1, seed);
            cr_assert_gt(counts[rule], 0, "rule %u", rule);
            for (uint32_t i = 0; i < raised_count; i++)
                alone[rule][i] = raised[i].value[ALERT_ID];
        }
        (void)stream_with(company, RULES, seed);
        for (uint32_t i = 0; i < raised_count; i++) {
            const struct event_text name = event_text(&raised[i], ALERT_RULE);
            uint32_t rule = 0;
            while (rule < WATCHED && memcmp(company[rule].name, name.bytes, name.size) != 0) rule++;
            cr_assert_lt(rule, WATCHED);
            cr_assert_lt(found[rule], counts[rule]);
            cr_assert_eq(raised[i].value[ALERT_ID], alone[rule][found[rule]], "rule %u, alert %u",
                         rule, found[rule]);
            found[rule]++;
        }
        cr_assert(memcmp(found, counts, sizeof counts) == 0);
    }
}

Test(alert, rules_as_text)
{
    struct alert_rule rule;
    cr_assert(alert_rule_parse("surge window=90s threshold=0.25% scaled=0x rule=x match=upbit:*",
                               &rule));
    cr_assert_eq(rule.window_ns, 90 * S);
    cr_assert_eq(rule.threshold_ppm, 2500);
    cr_assert_eq(rule.scaled_ppm, 0);
    cr_assert_str_eq(rule.name, "x");
    cr_assert_str_eq(rule.symbols, "upbit:*");
    cr_assert(alert_rule_parse("volume_burst trades=7", &rule) && rule.trades_min == 7);
    static const char *const bad[] = {
        "", "boom", "surge window", "surge window=3", "surge window=0s", "surge threshold=1",
        "surge threshold=.%", "surge x=1", "surge threshold=0.00001%", "surge trades=1s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(alert_rule_parse(bad[i], &rule), "%s", bad[i]);
}

// ---- the others ----

Test(alert, a_spread_that_lasts, .init = begin, .fini = end)
{
    for (int i = 0; i < 100; i++) quote_at(0, NOW + i * S, 1000000, 1000100);
    quote_at(0, NOW + 100 * S, 1000000, 1030000);
    quote_at(0, NOW + 101 * S, 1000000, 1030000);
    quote_at(0, NOW + 101 * S + 1, 1000000, 1000100); // it did not last
    quote_at(0, NOW + 102 * S, 1000000, 1030000);
    quote_at(0, NOW + 103 * S, 0, 1030000); // one side is empty: nothing is known
    cr_assert_eq(raised_count, 0);
    quote_at(0, NOW + 104 * S, 1000000, 1030000);
    cr_assert_eq(raised_count, 1);
    const struct event *event = &raised[0];
    cr_assert_eq(event->value[ALERT_KIND], ALERT_SPREAD);
    cr_assert_eq(event->value[ALERT_FROM_TIME], NOW + 102 * S);
    cr_assert_eq(event->value[ALERT_FROM_PRICE], 10000000000);
    cr_assert_eq(event->value[ALERT_TO_PRICE], 10300000000);
    cr_assert_eq(event->value[ALERT_MEASURE], 29556); // 3 / 101.5
    for (int i = 0; i < 100; i++) quote_at(0, NOW + (105 + i) * S, 1000000, 1030000);
    cr_assert_eq(raised_count, 1);
}

Test(alert, an_exchange_that_is_silent, .init = begin, .fini = end)
{
    alerts_beat(&alerts, 0, "binance", NOW);
    cr_assert_eq(raised_count, 0, "nothing was ever heard");
    trade_at(0, NOW, 1, 1000000, 1, 0);
    alerts_beat(&alerts, 0, "binance", NOW + 59 * S);
    cr_assert_eq(raised_count, 0);
    alerts_beat(&alerts, 0, "binance", NOW + 62 * S);
    alerts_beat(&alerts, 0, "binance", NOW + 122 * S);
    alerts_beat(&alerts, 1, "upbit", NOW + 122 * S);
    cr_assert_eq(raised_count, 1);
    const struct event_text about = event_text(&raised[0], ALERT_EXCHANGE);
    cr_assert(about.size == 7 && memcmp(about.bytes, "binance", 7) == 0);
    cr_assert_eq(raised[0].symbol, SYMBOL_NONE);
    trade_at(0, NOW + 130 * S, 2, 1000000, 1, 0);
    alerts_beat(&alerts, 0, "binance", NOW + 182 * S);
    alerts_beat(&alerts, 0, "binance", NOW + 242 * S);
    cr_assert_eq(raised_count, 2, "again after it was heard again");
}

Test(alert, rules_are_for_the_symbols_they_name, .init = begin, .fini = end)
{
    struct alert_rules rules = {.count = 2};
    alert_rule_standard(ALERT_SURGE, &rules.at[0]);
    alert_rule_standard(ALERT_SURGE, &rules.at[1]);
    (void)strcpy(rules.at[0].name, "a");
    (void)strcpy(rules.at[0].symbols, "binance:AUSDT");
    rules.at[0].threshold_ppm = 10000;
    (void)strcpy(rules.at[1].name, "korea");
    (void)strcpy(rules.at[1].symbols, "upbit:*");
    alerts_use(&alerts, &rules);
    for (uint32_t symbol = 0; symbol < SYMBOLS; symbol++) {
        trade_at(symbol, NOW, 1, 1000000, 1, 0);
        trade_at(symbol, NOW + S, 2, 1015000, 1, 0);
    }
    cr_assert_eq(raised_count, 1);
    cr_assert_eq(raised[0].symbol, 0);
    const int64_t id = raised[0].value[ALERT_ID];
    alerts_forget(&alerts, SYMBOL_NONE);
    trade_at(0, NOW, 1, 1000000, 1, 0);
    trade_at(0, NOW + S, 2, 1015000, 1, 0);
    cr_assert_eq(raised_count, 2);
    cr_assert_eq(raised[1].value[ALERT_ID], id, "the same rows, the same alert");
}
