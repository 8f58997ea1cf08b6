// SPDX-License-Identifier: GPL-3.0-or-later
//
// What do candles of three intervals and the default alerts cost a trade? The question of the
// shard's budget, 20 ns. Bound: two cache lines a trade for the candles, two for all alerts, and
// every tenth trade or so, where a bucket ends, those of a rule.
//
// Trades of 1 and of 500 symbols, 20,000 a second together, prices that walk by ticks; candles are
// issued on the way. Median of 21 samples of CPU time. Whether the limit is met is said and does
// not decide, since it is of the machine; the last line says whether every trade is in a candle.
// --smoke: one short sample of each.
#include "bench/times.h"
#include "derive/alert.h"
#include "derive/candle.h"
#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 21, SYMBOLS_MAX = 500, TRADES_A_SECOND = 20000, LIMIT_NS = 20 };

struct work {
    struct candles candles;
    struct alerts alerts;
    bool with_candles;
    bool with_alerts;
    int64_t time_ns;
    int64_t id;
    int64_t in_candles; // trades of the minutes that were issued
    int64_t given;
};

static bool good = true;
static struct work work;

static bool issue(void *context, const struct candle *candle)
{
    struct work *of = context;
    if (candle->minutes == 1) of->in_candles += candle->sum.trades;
    return true;
}

static void emit(void *context, const struct event *event)
{
    (void)context;
    (void)event;
}

// ns a trade, of `count`.
static double sample(uint32_t symbols, int64_t count)
{
    static struct event event;
    static int64_t ticks[SYMBOLS_MAX];
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, 0);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, TRADE_TIME, 0);
    event_set(&event, TRADE_ID, 0);
    event_set_decimal(&event, TRADE_PRICE, 0, 8);
    event_set_decimal(&event, TRADE_QUANTITY, 0, 8);
    event_set(&event, TRADE_SIDE, 0);
    uint64_t random = 1;
    double begin = times_cpu_ns();
    for (int64_t i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        event.symbol = (uint32_t)((random >> 40) % symbols);
        ticks[event.symbol] += (int64_t)(random >> 60) - 7;
        work.time_ns += CANDLE_SECOND_NS / TRADES_A_SECOND;
        event.value[COLUMN_RECEIVE_TIME] = work.time_ns + 50000000;
        event.value[TRADE_TIME] = work.time_ns;
        event.value[TRADE_ID] = ++work.id;
        event.value[TRADE_PRICE] = 6000000000000 + ticks[event.symbol] * 1000000;
        event.value[TRADE_QUANTITY] = (int64_t)(random >> 34 & 0xffffff) + 1;
        event.value[TRADE_SIDE] = (int64_t)(random >> 33 & 1);
        if (work.with_candles) {
            candles_prepare(&work.candles, &event);
            candles_event(&work.candles, &event);
        }
        if (work.with_alerts) alerts_event(&work.alerts, &event);
        if (i % (TRADES_A_SECOND / 10) == 0 && work.with_candles)
            (void)candles_advance(&work.candles, event.value[COLUMN_RECEIVE_TIME], 1024);
    }
    double cost = (times_cpu_ns() - begin) / (double)count;
    work.given += count;
    return cost;
}

// Returns ns a trade.
static double report(const char *name, uint32_t symbols, bool with_candles, bool with_alerts,
                     bool smoke)
{
    static char names[SYMBOLS_MAX][24];
    const struct candles_options candles = {.symbols_max = SYMBOLS_MAX, .interval_count = 3,
                                            .minutes = {1, 5, 15}, .issue = issue,
                                            .context = &work};
    const struct alerts_options alerts = {.symbols_max = SYMBOLS_MAX, .emit = emit};
    struct alert_rules rules;
    double costs[SAMPLES];
    const uint32_t samples = smoke ? 1 : SAMPLES;
    memset(&work, 0, sizeof work);
    work.with_candles = with_candles;
    work.with_alerts = with_alerts;
    work.time_ns = 1700000000000000000;
    alert_rules_standard(&rules);
    ensure(candles_open(&work.candles, &candles) == 0);
    ensure(alerts_open(&work.alerts, &alerts) == 0);
    alerts_use(&work.alerts, &rules);
    for (uint32_t i = 0; i < symbols; i++) {
        (void)snprintf(names[i], sizeof names[i], "binance:C%uUSDT", i);
        candles_symbol(&work.candles, i, 2 * CANDLE_SECOND_NS);
        alerts_symbol(&work.alerts, i, names[i], 0);
    }
    for (uint32_t i = 0; i < samples; i++) costs[i] = sample(symbols, smoke ? 100000 : 2000000);
    candles_finish(&work.candles);
    good = good && (!with_candles || work.in_candles == work.given);
    candles_close(&work.candles);
    alerts_close(&work.alerts);
    qsort(costs, samples, sizeof *costs, times_compare);
    const double median = costs[samples / 2];
    (void)fprintf(stderr, "%-28s %8.1f ns a trade\n", name, median);
    (void)printf("{\"bench\":\"derive\",\"case\":\"%s\",\"metric\":\"ns_per_trade\","
                 "\"value\":%.2f,\"unit\":\"ns\",\"spread\":%.3f,\"peer\":null}\n",
                 name, median, (costs[samples - 1] - costs[0]) / median);
    return median;
}

static void judge(const char *name, double cost)
{
    const bool met = cost <= (double)LIMIT_NS;
    (void)fprintf(stderr, "limit: %s less made_up_trades_alone <= %d ns: %s (%.1f)\n", name,
                  LIMIT_NS, met ? "met" : "MISSED", cost);
    (void)printf("{\"bench\":\"derive\",\"case\":\"%s\",\"metric\":\"limit\",\"value\":%.2f,"
                 "\"unit\":\"ns\",\"limit\":%d,\"met\":%s,\"decides\":false}\n",
                 name, cost, LIMIT_NS, met ? "true" : "false");
}

int main(int count, char **arguments)
{
    const bool smoke = count > 1 && strcmp(arguments[1], "--smoke") == 0;
    const double alone = report("made_up_trades_alone", SYMBOLS_MAX, false, false, smoke);
    (void)report("candles_one_symbol", 1, true, false, smoke);
    (void)report("candles_500", SYMBOLS_MAX, true, false, smoke);
    (void)report("alerts_500", SYMBOLS_MAX, false, true, smoke);
    const double one = report("both_one_symbol", 1, true, true, smoke);
    const double many = report("both_500", SYMBOLS_MAX, true, true, smoke);
    if (!smoke) {
        judge("both_one_symbol", one - alone);
        judge("both_500", many - alone);
    }
    (void)printf("{\"bench\":\"derive\",\"metric\":\"ok\",\"value\":%s}\n",
                 good ? "true" : "false");
    return good ? 0 : 1;
}
