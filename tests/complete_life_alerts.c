// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life_alerts: see the header. Rows are put into order of arrival by their receive time,
// which never goes back within a shard; state begins anew with each of its lives.
#include "complete_life_alerts.h"

#include "market_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_NS 50000000ll

void life_alert_rules(struct alert_rules *rules)
{
    static const char *const texts[] = {
        "surge window=1s threshold=50% scaled=0x cooldown=100ms",
        "crash window=2s threshold=30% scaled=1x cooldown=200ms",
        "volume_burst window=1s threshold=1.2x trades=2 cooldown=100ms",
    };
    memset(rules, 0, sizeof *rules);
    for (uint32_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert(alert_rule_parse(texts[i], &rules->at[rules->count++]), "%s", texts[i]);
}

void life_alerts_open(struct life_alerts *alerts)
{
    memset(alerts, 0, sizeof *alerts);
    alerts->trades = calloc(LIFE_TRADES_MAX, sizeof *alerts->trades);
    alerts->stored = calloc(LIFE_ALERTS_MAX, sizeof *alerts->stored);
    alerts->again = calloc(LIFE_ALERTS_MAX, sizeof *alerts->again);
    cr_assert(alerts->trades != NULL && alerts->stored != NULL && alerts->again != NULL);
}

void life_alerts_close(struct life_alerts *alerts)
{
    free(alerts->trades);
    free(alerts->stored);
    free(alerts->again);
}

void life_alert_trade(struct life_alerts *alerts, uint32_t symbol, const struct rows *rows,
                      uint32_t row)
{
    cr_assert_lt(alerts->trade_count, LIFE_TRADES_MAX);
    struct event *trade = &alerts->trades[alerts->trade_count++];
    rows_get(rows, row, trade, NULL);
    cr_assert_not(event_has(trade, TRADE_KIND), "its text would have to be kept");
    trade->symbol = symbol;
}

void life_alert_found(struct life_alerts *alerts, const struct rows *rows, uint32_t row)
{
    const int64_t id = rows->value[ALERT_ID][row];
    for (uint32_t i = 0; i < alerts->stored_count; i++) {
        if (alerts->stored[i].id != id) continue;
        alerts->stored[i].times++;
        return;
    }
    cr_assert_lt(alerts->stored_count, LIFE_ALERTS_MAX);
    alerts->stored[alerts->stored_count++] =
        (struct life_alert){id, rows->value[COLUMN_RECEIVE_TIME][row], 1};
}

static void alert_again(void *context, const struct event *event)
{
    struct life_alerts *alerts = context;
    cr_assert_lt(alerts->again_count, LIFE_ALERTS_MAX);
    alerts->again[alerts->again_count++] =
        (struct life_alert){event->value[ALERT_ID], alerts->now_ns, 0};
}

static int compare_trades(const void *a, const void *b)
{
    const struct event *one = a;
    const struct event *two = b;
    const int64_t by = one->value[COLUMN_RECEIVE_TIME] - two->value[COLUMN_RECEIVE_TIME];
    if (by != 0) return by > 0 ? 1 : -1;
    return (one > two) - (one < two); // as they were walked
}

static void alerts_replay(struct life_alerts *alerts, const int64_t *starts_ns, uint32_t count)
{
    static char names[MARKET_SYMBOLS][24];
    const struct alerts_options options = {
        .symbols_max = MARKET_SYMBOLS, .emit = alert_again, .context = alerts};
    struct alerts engine;
    struct alert_rules rules;
    uint32_t life = 0;
    life_alert_rules(&rules);
    cr_assert_eq(alerts_open(&engine, &options), 0);
    alerts_use(&engine, &rules);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        (void)snprintf(names[i], sizeof names[i], "binance:C%uUSDT", i);
        alerts_symbol(&engine, i, names[i], 0);
    }
    for (uint32_t i = 0; i < alerts->trade_count; i++) {
        alerts->now_ns = alerts->trades[i].value[COLUMN_RECEIVE_TIME];
        for (; life < count && starts_ns[life] <= alerts->now_ns; life++)
            alerts_forget(&engine, SYMBOL_NONE);
        alerts_event(&engine, &alerts->trades[i]);
    }
    alerts_close(&engine);
}

static bool is_last(int64_t receive_ns, const int64_t *starts_ns, uint32_t count)
{
    int64_t next = INT64_MAX; // of the row that follows
    for (uint32_t i = 0; i < count; i++)
        if (starts_ns[i] > receive_ns && starts_ns[i] < next) next = starts_ns[i];
    return next != INT64_MAX && next - receive_ns < LAST_NS;
}

uint64_t life_alerts_wrong(struct life_alerts *alerts, const int64_t *starts_ns, uint32_t count)
{
    uint64_t wrong = 0;
    if (alerts->trade_count > 0)
        qsort(alerts->trades, alerts->trade_count, sizeof *alerts->trades, compare_trades);
    alerts_replay(alerts, starts_ns, count);
    for (uint32_t i = 0; i < alerts->again_count; i++) {
        struct life_alert *again = &alerts->again[i];
        for (uint32_t k = 0; k < alerts->stored_count; k++) {
            again->times += alerts->stored[k].id == again->id ? alerts->stored[k].times : 0;
            if (alerts->stored[k].id == again->id) alerts->stored[k].times--;
        }
        wrong += again->times != 1 && !is_last(again->receive_ns, starts_ns, count);
    }
    for (uint32_t k = 0; k < alerts->stored_count; k++) wrong += alerts->stored[k].times != 0;
    return wrong;
}
