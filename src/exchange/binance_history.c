// SPDX-License-Identifier: GPL-3.0-or-later
//
// Binance by REST: trades and aggregate trades from an id on, the book, the newest ids.
//
//     spot     historicalTrades weight 25, aggTrades 4, depth 50 (1,000 levels), ticker/24hr 80;
//              6,000 a minute and IP address
//     futures  historicalTrades 20, aggTrades 20, depth 20 (1,000 levels), ticker/24hr 40; 2,400
//
// A fifth of the limit is left to others at the same address. Source: binance-spot-api-docs
// rest-api.md; developers.binance.com, USD-M futures, market data.
#include <stdio.h>
#include <string.h>

#include "exchange/binance.h"
#include "exchange/history.h"
#include "format/ensure.h"

#define MINUTE_NS 60000000000ll
enum { PAGE = 1000, PAGE_USDM = 500 };

// ---- questions ----

static uint32_t spot_weight(const struct history_ask *ask)
{
    static const uint32_t weights[] = {[HISTORY_TRADES] = 25,
                                       [HISTORY_AGG_TRADES] = 4,
                                       [HISTORY_DEPTH] = 50,
                                       [HISTORY_LAST_IDS] = 80};
    return weights[ask->kind];
}

static uint32_t usdm_weight(const struct history_ask *ask)
{
    return ask->kind == HISTORY_LAST_IDS ? 40 : 20;
}

static uint32_t put_path(const struct history_ask *ask, const char *root, const char *last_ids,
                         char *out, uint32_t out_size)
{
    int size = 0;
    switch (ask->kind) {
    case HISTORY_TRADES:
        size = snprintf(out, out_size, "%s/historicalTrades?symbol=%s&fromId=%lld&limit=%u", root,
                        ask->symbol, (long long)ask->first, ask->count);
        break;
    case HISTORY_AGG_TRADES:
        size = snprintf(out, out_size, "%s/aggTrades?symbol=%s&fromId=%lld&limit=%u", root,
                        ask->symbol, (long long)ask->first, ask->count);
        break;
    case HISTORY_DEPTH:
        size = snprintf(out, out_size, "%s/depth?symbol=%s&limit=%d", root, ask->symbol,
                        BOOK_REST_LEVELS);
        break;
    case HISTORY_LAST_IDS: size = snprintf(out, out_size, "%s/%s", root, last_ids); break;
    }
    ensure(size > 0);
    return (uint32_t)size < out_size ? (uint32_t)size : 0;
}

static uint32_t spot_path(const struct history_ask *ask, char *out, uint32_t out_size)
{
    return put_path(ask, "/api/v3", "ticker/24hr?type=MINI", out, out_size);
}

static uint32_t usdm_path(const struct history_ask *ask, char *out, uint32_t out_size)
{
    return put_path(ask, "/fapi/v1", "ticker/24hr", out, out_size);
}

// ---- answers ----

struct reading {
    const struct history_ask *ask;
    history_row *each;
    void *context;
    struct event event;
    bool usdm;
};

static bool maker(const struct json_value *row, const char *key, struct event *event, int column)
{
    bool buyer_is_maker;
    if (!history_boolean(row, key, &buyer_is_maker))
        return false;
    event_set(event, column, buyer_is_maker ? SIDE_SELL : SIDE_BUY);
    return true;
}

static void best_match(const struct json_value *row, const char *key, struct event *event,
                       int column)
{
    bool best;
    if (history_boolean(row, key, &best))
        event_set(event, column, best);
}

static void give(struct reading *reading, int64_t id)
{
    reading->each(reading->context, &reading->event, (struct json_slice){"", 0}, id);
}

static bool trade(const struct json_value *row, void *context)
{
    static const char market[] = "MARKET";
    struct reading *reading = context;
    struct event *event = &reading->event;
    int64_t id;
    event_clear(event, CHANNEL_TRADE, SYMBOL_NONE);
    event_set(event, COLUMN_FLAGS, EVENT_REPAIRED);
    if (!history_integer(row, "id", &id) || !history_time(row, "time", event, TRADE_TIME) ||
        !history_decimal(row, "price", event, TRADE_PRICE) ||
        !history_decimal(row, "qty", event, TRADE_QUANTITY) ||
        !maker(row, "isBuyerMaker", event, TRADE_SIDE))
        return false;
    event_set(event, TRADE_ID, id);
    best_match(row, "isBestMatch", event, TRADE_BEST_MATCH);
    // Futures give market trades only, and say so nowhere in the row.
    if (reading->usdm)
        event_set_text(event, TRADE_KIND, market, sizeof market - 1);
    give(reading, id);
    return true;
}

static bool agg_trade(const struct json_value *row, void *context)
{
    struct reading *reading = context;
    struct event *event = &reading->event;
    int64_t id, first, last;
    event_clear(event, CHANNEL_AGG_TRADE, SYMBOL_NONE);
    event_set(event, COLUMN_FLAGS, EVENT_REPAIRED);
    if (!history_integer(row, "a", &id) || !history_integer(row, "f", &first) ||
        !history_integer(row, "l", &last) || !history_time(row, "T", event, AGG_TRADE_TIME) ||
        !history_decimal(row, "p", event, AGG_TRADE_PRICE) ||
        !history_decimal(row, "q", event, AGG_TRADE_QUANTITY) ||
        !maker(row, "m", event, AGG_TRADE_SIDE))
        return false;
    event_set(event, AGG_TRADE_ID, id);
    event_set(event, AGG_TRADE_FIRST_ID, first);
    event_set(event, AGG_TRADE_LAST_ID, last);
    best_match(row, "M", event, AGG_TRADE_BEST_MATCH);
    (void)history_decimal(row, "nq", event, AGG_TRADE_NORMAL_QUANTITY);
    give(reading, id);
    return true;
}

static bool last_id(const struct json_value *row, void *context)
{
    struct reading *reading = context;
    struct json_value name;
    struct json_slice text;
    int64_t id;
    if (json_find(row, "symbol", &name) != JSON_OK || name.type != JSON_STRING ||
        json_string_raw(&name, &text) != JSON_OK)
        return false;
    // A symbol that did not trade for a day has -1: it is named all the same.
    if (history_integer(row, "lastId", &id))
        reading->each(reading->context, NULL, text, id);
    return true;
}

static int read_rows(const struct history_ask *ask, const uint8_t *body, uint32_t size,
                     history_row *each, void *context, bool usdm)
{
    struct reading reading = {.ask = ask, .each = each, .context = context, .usdm = usdm};
    ensure(ask->kind != HISTORY_DEPTH);
    return history_rows(body, size,
                        ask->kind == HISTORY_TRADES       ? trade
                        : ask->kind == HISTORY_AGG_TRADES ? agg_trade
                                                          : last_id,
                        &reading);
}

static int spot_read(const struct history_ask *ask, const uint8_t *body, uint32_t size,
                     history_row *each, void *context)
{
    return read_rows(ask, body, size, each, context, false);
}

static int usdm_read(const struct history_ask *ask, const uint8_t *body, uint32_t size,
                     history_row *each, void *context)
{
    return read_rows(ask, body, size, each, context, true);
}

// {"code":-1121,"msg":"Invalid symbol."}
static bool unknown_symbol(const uint8_t *body, uint32_t size)
{
    struct json_value root;
    int64_t code;
    return json_parse((const char *)body, size, &root, NULL) == JSON_OK &&
           root.type == JSON_OBJECT && history_integer(&root, "code", &code) && code == -1121;
}

const struct dialect_history binance_spot_history = {
    .budget = "rest-binance",
    .budget_limit = 4800,
    .budget_window_ns = MINUTE_NS,
    .page = PAGE,
    .header = "X-MBX-TIME-UNIT: MICROSECOND",
    .used_header = "X-MBX-USED-WEIGHT-1M",
    .weight = spot_weight,
    .path = spot_path,
    .read = spot_read,
    .unknown_symbol = unknown_symbol,
};

const struct dialect_history binance_usdm_history = {
    .budget = "rest-binance-usdm",
    .budget_limit = 1920,
    .budget_window_ns = MINUTE_NS,
    .page = PAGE_USDM,
    .used_header = "X-MBX-USED-WEIGHT-1M",
    .weight = usdm_weight,
    .path = usdm_path,
    .read = usdm_read,
    .unknown_symbol = unknown_symbol,
};
