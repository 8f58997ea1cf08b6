// SPDX-License-Identifier: GPL-3.0-or-later
//
// Upbit by REST: trades of one market, newest first, 500 a page, back from a cursor
// (sequential_id, exclusive) within one UTC day; days_ago 0 ... 7 names the day. Ten requests a
// second, group and address, of which eight are used.
//
// Source: docs.upbit.com/kr/reference, list-pair-trades, rate-limits.
#include <stdio.h>
#include <string.h>

#include "exchange/history.h"
#include "exchange/upbit.h"
#include "format/ensure.h"

enum { PAGE = 500, DAYS_BACK = 7 };

static uint32_t weight(const struct history_ask *ask)
{
    return ask->kind == HISTORY_TRADES ? 1 : 0;
}

static uint32_t path(const struct history_ask *ask, char *out, uint32_t out_size)
{
    ensure(ask->kind == HISTORY_TRADES && ask->days_ago <= DAYS_BACK);
    char more[96] = "";
    int used = 0;
    if (ask->days_ago > 0)
        used += snprintf(more, sizeof more, "&days_ago=%u", ask->days_ago);
    if (ask->first > 0)
        used += snprintf(more + used, sizeof more - (size_t)used, "&cursor=%lld",
                         (long long)ask->first);
    if (ask->second_of_day >= 0)
        (void)snprintf(more + used, sizeof more - (size_t)used, "&to=%02d%02d%02d",
                       ask->second_of_day / 3600, ask->second_of_day / 60 % 60,
                       ask->second_of_day % 60);
    const int size = snprintf(out, out_size, "/v1/trades/ticks?market=%s&count=%u%s", ask->symbol,
                              ask->count, more);
    ensure(size > 0);
    return (uint32_t)size < out_size ? (uint32_t)size : 0;
}

struct reading {
    history_row *each;
    void *context;
    struct event event;
};

static bool tick(const struct json_value *row, void *context)
{
    struct reading *reading = context;
    struct event *event = &reading->event;
    struct json_value side;
    int64_t id;
    event_clear(event, CHANNEL_TRADE, SYMBOL_NONE);
    event_set(event, COLUMN_FLAGS, EVENT_REPAIRED);
    if (!history_integer(row, "sequential_id", &id) ||
        !history_time(row, "timestamp", event, TRADE_TIME) ||
        !history_decimal(row, "trade_price", event, TRADE_PRICE) ||
        !history_decimal(row, "trade_volume", event, TRADE_QUANTITY) ||
        json_find(row, "ask_bid", &side) != JSON_OK)
        return false;
    const bool ask = json_string_equals(&side, "ASK");
    if (!ask && !json_string_equals(&side, "BID"))
        return false;
    event_set(event, TRADE_ID, id);
    event_set(event, TRADE_SIDE, ask ? SIDE_SELL : SIDE_BUY);
    (void)history_decimal(row, "prev_closing_price", event, TRADE_PREVIOUS_CLOSE);
    reading->each(reading->context, event, (struct json_slice){"", 0}, id);
    return true;
}

static int upbit_read(const struct history_ask *ask, const uint8_t *body, uint32_t size,
                history_row *each, void *context)
{
    struct reading reading = {.each = each, .context = context};
    ensure(ask->kind == HISTORY_TRADES);
    return history_rows(body, size, tick, &reading);
}

// {"error":{"name":404,"message":"Code not found"}}
static bool unknown_symbol(const uint8_t *body, uint32_t size)
{
    struct json_value root, error, name;
    int64_t number;
    return json_parse((const char *)body, size, &root, NULL) == JSON_OK &&
           root.type == JSON_OBJECT && json_find(&root, "error", &error) == JSON_OK &&
           error.type == JSON_OBJECT && json_find(&error, "name", &name) == JSON_OK &&
           (json_string_equals(&name, "404") ||
            (json_integer(&name, &number) == JSON_OK && number == 404));
}

const struct dialect_history upbit_history = {
    .budget = "rest-upbit",
    .budget_limit = 8,
    .budget_window_ns = 1000000000ll,
    .page = PAGE,
    .by_cursor = true,
    .days_back = DAYS_BACK,
    .weight = weight,
    .path = path,
    .read = upbit_read,
    .unknown_symbol = unknown_symbol,
};
