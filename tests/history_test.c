// SPDX-License-Identifier: GPL-3.0-or-later
//
// REST rows against the stream's: the same trade told both ways gives equal rows but for the event
// time; questions as the exchanges document them; answers that are not what is documented.
#include "exchange/history.h"

#include "exchange/binance.h"
#include "exchange/upbit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct event rows[8];
static int64_t ids[8];
static char symbols_told[8][32];
static uint32_t count;

static void take(void *context, struct event *event, struct json_slice symbol, int64_t id)
{
    (void)context;
    if (event != NULL) rows[count] = *event;
    memcpy(symbols_told[count], symbol.text, symbol.size);
    ids[count++] = id;
}

static int read_text(const struct dialect_history *history, enum history_kind kind,
                     const char *body)
{
    const struct history_ask ask = {.kind = kind, .symbol = "X", .count = 1, .second_of_day = -1};
    count = 0;
    return history->read(&ask, (const uint8_t *)body, (uint32_t)strlen(body), take, NULL);
}

// The one event of a stream's message.
static struct event stream_event(const struct dialect *dialect, const char *symbol,
                                 const char *message)
{
    static struct event_level levels[EVENT_LEVELS_MAX];
    static char text[1024 + DIALECT_FRAME_PADDING];
    struct symbols *symbols = symbols_open(4);
    const struct dialect_context context = {
        .symbols = symbols,
        .exchange = symbols_exchange(symbols, dialect->name),
        .raw_symbol = SYMBOL_NONE};
    struct dialect_frame frame;
    struct event event;
    (void)symbols_add(symbols, context.exchange, symbol, (uint32_t)strlen(symbol));
    memcpy(text, message, strlen(message));
    dialect_frame_begin(dialect, &frame, &context, (const uint8_t *)text,
                        (uint32_t)strlen(message), levels);
    cr_assert(dialect->next(&frame, &event));
    symbols_close(symbols);
    return event;
}

static void compare(const struct event *live, const struct event *rest, uint64_t without)
{
    const struct channel_schema *schema = channel_schema(live->channel);
    cr_assert_eq(rest->channel, live->channel);
    cr_assert_eq(rest->value[COLUMN_FLAGS], EVENT_REPAIRED);
    for (int c = COLUMN_FIRST_OWN; c < schema->column_count; c++) {
        if ((without >> c & 1) != 0) continue;
        cr_assert_eq(event_has(rest, c), event_has(live, c), "%s", schema->columns[c].name);
        if (!event_has(live, c) || schema->columns[c].type == COLUMN_TEXT) continue;
        cr_assert_eq(rest->value[c], live->value[c], "%s", schema->columns[c].name);
        if (schema->columns[c].type == COLUMN_DECIMAL)
            cr_assert_eq(rest->scale[c], live->scale[c], "%s", schema->columns[c].name);
    }
}

Test(history, a_spot_trade_is_the_same_row)
{
    struct event live = stream_event(
        &dialect_binance, "BTCUSDT",
        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000000123456,\"s\":"
        "\"BTCUSDT\",\"t\":4001,\"p\":\"42000.10000000\",\"q\":\"0.00200000\",\"T\":"
        "1700000000122333,\"m\":true,\"M\":true}}");
    cr_assert_eq(read_text(&binance_spot_history, HISTORY_TRADES,
                           "[{\"id\":4001,\"price\":\"42000.10000000\",\"qty\":\"0.00200000\","
                           "\"quoteQty\":\"84.00\",\"time\":1700000000122333,\"isBuyerMaker\":true,"
                           "\"isBestMatch\":true}]"),
                 0);
    cr_assert_eq(ids[0], 4001);
    compare(&live, &rows[0], 1ull << TRADE_EVENT_TIME);
    cr_assert(!event_has(&rows[0], TRADE_EVENT_TIME));
}

Test(history, an_aggregate_trade_is_the_same_row)
{
    struct event live = stream_event(
        &dialect_binance, "BTCUSDT",
        "{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1700000000123456,"
        "\"s\":\"BTCUSDT\",\"a\":77,\"p\":\"0.35130000\",\"q\":\"1.5\",\"f\":100,\"l\":105,\"T\":"
        "1700000000122333,\"m\":false,\"M\":true}}");
    cr_assert_eq(read_text(&binance_spot_history, HISTORY_AGG_TRADES,
                           "[{\"a\":77,\"p\":\"0.35130000\",\"q\":\"1.5\",\"f\":100,\"l\":105,"
                           "\"T\":1700000000122333,\"m\":false,\"M\":true}]"),
                 0);
    compare(&live, &rows[0], 1ull << AGG_TRADE_EVENT_TIME);
}

Test(history, an_upbit_tick_is_the_same_row_but_for_the_best_prices)
{
    struct event live = stream_event(
        &dialect_upbit, "KRW-BTC",
        "{\"ty\":\"trade\",\"cd\":\"KRW-BTC\",\"tms\":1773240059120,\"td\":\"2026-03-11\",\"ttm\":"
        "\"14:40:59\",\"ttms\":1773240059095,\"tp\":103460000.0,\"tv\":0.004,\"ab\":\"ASK\","
        "\"pcp\":102417000.0,\"c\":\"RISE\",\"cp\":1043000.0,\"sid\":17732400590950000,"
        "\"st\":\"REALTIME\"}");
    cr_assert_eq(
        read_text(&upbit_history, HISTORY_TRADES,
                  "[{\"market\":\"KRW-BTC\",\"trade_date_utc\":\"2026-03-11\",\"trade_time_utc\":"
                  "\"14:40:59\",\"timestamp\":1773240059095,\"trade_price\":103460000.0,"
                  "\"trade_volume\":0.004,\"prev_closing_price\":102417000.0,\"change_price\":"
                  "1043000.0,\"ask_bid\":\"ASK\",\"sequential_id\":17732400590950000}]"),
        0);
    compare(&live, &rows[0], 1ull << TRADE_EVENT_TIME);
}

Test(history, newest_ids_come_by_symbol_and_less_than_none_where_nothing_was_traded)
{
    cr_assert_eq(read_text(&binance_spot_history, HISTORY_LAST_IDS,
                           "[{\"symbol\":\"BTCUSDT\",\"firstId\":1,\"lastId\":9,\"count\":9},"
                           "{\"symbol\":\"QUIET\",\"firstId\":-1,\"lastId\":-1,\"count\":0}]"),
                 0);
    cr_assert_eq(count, 2);
    cr_assert_eq(ids[0], 9);
    cr_assert_eq(strncmp(symbols_told[0], "BTCUSDT", 7), 0);
    cr_assert_eq(ids[1], -1, "named all the same");
    cr_assert_eq(strncmp(symbols_told[1], "QUIET", 5), 0);
}

Test(history, what_is_not_documented_is_refused)
{
    static const char huge[] = "[{\"id\":1,\"price\":\"1e99\",\"qty\":\"1\",\"time\":1,"
                               "\"isBuyerMaker\":true}]";
    static const char *const bodies[] = {"", "{}", "[1]", "[{\"id\":1}]", "[{\"id\":\"x\"}]",
                                         huge};
    for (uint32_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        cr_assert_eq(read_text(&binance_spot_history, HISTORY_TRADES, bodies[i]), -EINVAL, "%u", i);
    static const char unknown[] = "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}";
    cr_assert(binance_spot_history.unknown_symbol((const uint8_t *)unknown, sizeof unknown - 1));
    cr_assert(!binance_spot_history.unknown_symbol((const uint8_t *)"{\"code\":-1003}", 14));
}

Test(history, questions_are_as_documented)
{
    static const struct {
        const struct dialect_history *history;
        struct history_ask ask;
        const char *path;
        uint32_t weight;
    } table[] = {
        {&binance_spot_history, {HISTORY_TRADES, "BTCUSDT", 7, 20, 0, -1},
         "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=7&limit=20", 25},
        {&binance_spot_history, {HISTORY_AGG_TRADES, "BTCUSDT", 7, 1000, 0, -1},
         "/api/v3/aggTrades?symbol=BTCUSDT&fromId=7&limit=1000", 4},
        {&binance_spot_history, {HISTORY_DEPTH, "BTCUSDT", 0, 1, 0, -1},
         "/api/v3/depth?symbol=BTCUSDT&limit=1000", 50},
        {&binance_usdm_history, {HISTORY_LAST_IDS, "", 0, 1, 0, -1}, "/fapi/v1/ticker/24hr", 40},
        {&upbit_history, {HISTORY_TRADES, "KRW-BTC", 0, 500, 0, -1},
         "/v1/trades/ticks?market=KRW-BTC&count=500", 1},
        {&upbit_history, {HISTORY_TRADES, "KRW-BTC", 99, 500, 3, 3661},
         "/v1/trades/ticks?market=KRW-BTC&count=500&days_ago=3&cursor=99&to=010101", 1},
    };
    char path[512];
    for (uint32_t i = 0; i < sizeof table / sizeof *table; i++) {
        cr_assert_gt(table[i].history->path(&table[i].ask, path, sizeof path), 0);
        cr_assert_str_eq(path, table[i].path);
        cr_assert_eq(table[i].history->weight(&table[i].ask), table[i].weight);
        cr_assert_eq(table[i].history->path(&table[i].ask, path, 8), 0, "no room is told");
    }
}
