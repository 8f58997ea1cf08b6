// SPDX-License-Identifier: Apache-2.0
//
// The schemas: one table a channel, indexed by the numbers of event.h. What the tables say is on
// disk and in every export; tests/event_test.c holds the parts that must never change.
#include "format/event.h"

#include <stddef.h>
#include <string.h>

#include "format/ensure.h"

static const char *const codes_bool[] = {"false", "true", NULL};
static const char *const codes_side[] = {"buy", "sell", NULL};
static const char *const codes_book_source[] = {"depth5", "depth10", "depth20", "rest", "orderbook",
                                                NULL};
static const char *const codes_channel[] = {
    "none",  "trade",  "agg_trade", "quote",  "depth",      "book", "ticker",
    "kline", "candle", "alert",     "status", "instrument", "raw",  NULL,
};
static const char *const codes_status[] = {
    "started",        "stopped",         "configured",  "link_up",       "link_down",
    "link_refused",   "server_shutdown", "clock_step",  "hole_opened",   "hole_repaired",
    "hole_lost",      "symbol_added",    "symbol_removed", "interval_closed", "unknown_key",
    "rows_refused",   "channel_paused",  "channel_resumed", "clock_offset",
    "store_damaged",  "data_deleted",    "disk_full",       "disk_freed",
    "message_refused", "backfilled", NULL,
};
static const char *const codes_raw_reason[] = {
    "not_json",   "unknown_type",   "unknown_symbol", "missing_key",  "wrong_type",
    "number_refused", "unknown_key", "inconsistent",   "kept",         "too_large",
    "duplicate_key", NULL,
};

static const char *const codes_candle_source[] = {"trade", "agg_trade", NULL};
static const char *const codes_alert[] = {"surge",   "crash", "volume_burst", "spread",
                                          "silence", NULL};

// Each row of a table: a column that must be present, or (…_OPTIONAL) one that may be absent.
#define INTEGER(n) {.name = n, .type = COLUMN_INTEGER}
#define INTEGER_OPTIONAL(n) {.name = n, .type = COLUMN_INTEGER, .nullable = true}
#define TIME(n) {.name = n, .type = COLUMN_TIME}
#define TIME_OPTIONAL(n) {.name = n, .type = COLUMN_TIME, .nullable = true}
#define DECIMAL(n, k) {.name = n, .type = COLUMN_DECIMAL, .decimal = k}
#define DECIMAL_OPTIONAL(n, k) {.name = n, .type = COLUMN_DECIMAL, .decimal = k, .nullable = true}
#define PRICE(n) DECIMAL(n, DECIMAL_PRICE)
#define PRICE_OPTIONAL(n) DECIMAL_OPTIONAL(n, DECIMAL_PRICE)
#define QUANTITY(n) DECIMAL(n, DECIMAL_QUANTITY)
#define QUANTITY_OPTIONAL(n) DECIMAL_OPTIONAL(n, DECIMAL_QUANTITY)
#define VOLUME_OPTIONAL(n) DECIMAL_OPTIONAL(n, DECIMAL_QUOTE_VOLUME)
#define CODE(n, c) {.name = n, .type = COLUMN_CODE, .codes = c}
#define CODE_OPTIONAL(n, c) {.name = n, .type = COLUMN_CODE, .codes = c, .nullable = true}
#define TEXT(n, slot) {.name = n, .type = COLUMN_TEXT, .text = slot}
#define TEXT_OPTIONAL(n, slot) {.name = n, .type = COLUMN_TEXT, .text = slot, .nullable = true}
// An archive tells neither when nor over which link a row arrived.
#define COMMON                                                                                     \
    [COLUMN_RECEIVE_TIME] = TIME_OPTIONAL("receive_time"),                                         \
    [COLUMN_LINK] = INTEGER_OPTIONAL("link"), [COLUMN_FLAGS] = INTEGER("flags")

static const struct column columns_trade[] = {
    COMMON,
    [TRADE_EVENT_TIME] = TIME_OPTIONAL("event_time"),
    [TRADE_TIME] = TIME("trade_time"),
    [TRADE_ID] = INTEGER("id"),
    [TRADE_PRICE] = PRICE("price"),
    [TRADE_QUANTITY] = QUANTITY("quantity"),
    [TRADE_SIDE] = CODE("side", codes_side),
    [TRADE_BEST_MATCH] = CODE_OPTIONAL("best_match", codes_bool),
    [TRADE_KIND] = TEXT_OPTIONAL("kind", 0),
    [TRADE_PREVIOUS_CLOSE] = PRICE_OPTIONAL("previous_close"),
    [TRADE_BEST_BID_PRICE] = PRICE_OPTIONAL("best_bid_price"),
    [TRADE_BEST_BID_QUANTITY] = QUANTITY_OPTIONAL("best_bid_quantity"),
    [TRADE_BEST_ASK_PRICE] = PRICE_OPTIONAL("best_ask_price"),
    [TRADE_BEST_ASK_QUANTITY] = QUANTITY_OPTIONAL("best_ask_quantity"),
};

static const struct column columns_agg_trade[] = {
    COMMON,
    [AGG_TRADE_EVENT_TIME] = TIME_OPTIONAL("event_time"),
    [AGG_TRADE_TIME] = TIME("trade_time"),
    [AGG_TRADE_ID] = INTEGER("id"),
    [AGG_TRADE_PRICE] = PRICE("price"),
    [AGG_TRADE_QUANTITY] = QUANTITY("quantity"),
    [AGG_TRADE_FIRST_ID] = INTEGER("first_id"),
    [AGG_TRADE_LAST_ID] = INTEGER("last_id"),
    [AGG_TRADE_SIDE] = CODE("side", codes_side),
    [AGG_TRADE_BEST_MATCH] = CODE_OPTIONAL("best_match", codes_bool),
    [AGG_TRADE_NORMAL_QUANTITY] = QUANTITY_OPTIONAL("normal_quantity"),
};

static const struct column columns_quote[] = {
    COMMON,
    [QUOTE_EVENT_TIME] = TIME_OPTIONAL("event_time"),
    [QUOTE_TRANSACTION_TIME] = TIME_OPTIONAL("transaction_time"),
    [QUOTE_ID] = INTEGER("id"),
    [QUOTE_BID_PRICE] = PRICE("bid_price"),
    [QUOTE_BID_QUANTITY] = QUANTITY("bid_quantity"),
    [QUOTE_ASK_PRICE] = PRICE("ask_price"),
    [QUOTE_ASK_QUANTITY] = QUANTITY("ask_quantity"),
};

static const struct column columns_depth[] = {
    COMMON,
    [DEPTH_EVENT_TIME] = TIME_OPTIONAL("event_time"),
    [DEPTH_TRANSACTION_TIME] = TIME_OPTIONAL("transaction_time"),
    [DEPTH_FIRST_ID] = INTEGER("first_id"),
    [DEPTH_LAST_ID] = INTEGER("last_id"),
    [DEPTH_PREVIOUS_ID] = INTEGER_OPTIONAL("previous_id"),
};

static const struct column columns_book[] = {
    COMMON,
    [BOOK_EVENT_TIME] = TIME_OPTIONAL("event_time"),
    [BOOK_TRANSACTION_TIME] = TIME_OPTIONAL("transaction_time"),
    [BOOK_LAST_ID] = INTEGER_OPTIONAL("last_id"),
    [BOOK_SOURCE] = CODE("source", codes_book_source),
    [BOOK_FIRST_ID] = INTEGER_OPTIONAL("first_id"),
    [BOOK_PREVIOUS_ID] = INTEGER_OPTIONAL("previous_id"),
    [BOOK_TOTAL_BID_QUANTITY] = QUANTITY_OPTIONAL("total_bid_quantity"),
    [BOOK_TOTAL_ASK_QUANTITY] = QUANTITY_OPTIONAL("total_ask_quantity"),
    [BOOK_GROUPING] = PRICE_OPTIONAL("grouping"),
};

static const struct column columns_ticker[] = {
    COMMON,
    [TICKER_EVENT_TIME] = TIME_OPTIONAL("event_time"),
    [TICKER_TRADE_TIME] = TIME_OPTIONAL("trade_time"),
    [TICKER_OPEN_TIME] = TIME_OPTIONAL("open_time"),
    [TICKER_CLOSE_TIME] = TIME_OPTIONAL("close_time"),
    [TICKER_FIRST_ID] = INTEGER_OPTIONAL("first_id"),
    [TICKER_LAST_ID] = INTEGER_OPTIONAL("last_id"),
    [TICKER_TRADES] = INTEGER_OPTIONAL("trades"),
    [TICKER_OPEN] = PRICE_OPTIONAL("open"),
    [TICKER_HIGH] = PRICE_OPTIONAL("high"),
    [TICKER_LOW] = PRICE_OPTIONAL("low"),
    [TICKER_LAST_PRICE] = PRICE_OPTIONAL("last_price"),
    [TICKER_LAST_QUANTITY] = QUANTITY_OPTIONAL("last_quantity"),
    [TICKER_PREVIOUS_CLOSE] = PRICE_OPTIONAL("previous_close"),
    [TICKER_CHANGE] = PRICE_OPTIONAL("change"),
    [TICKER_CHANGE_RATE] = VOLUME_OPTIONAL("change_rate"),
    [TICKER_CHANGE_PERCENT] = VOLUME_OPTIONAL("change_percent"),
    [TICKER_WEIGHTED_AVERAGE] = PRICE_OPTIONAL("weighted_average"),
    [TICKER_BID_PRICE] = PRICE_OPTIONAL("bid_price"),
    [TICKER_BID_QUANTITY] = QUANTITY_OPTIONAL("bid_quantity"),
    [TICKER_ASK_PRICE] = PRICE_OPTIONAL("ask_price"),
    [TICKER_ASK_QUANTITY] = QUANTITY_OPTIONAL("ask_quantity"),
    [TICKER_VOLUME] = QUANTITY_OPTIONAL("volume"),
    [TICKER_QUOTE_VOLUME] = VOLUME_OPTIONAL("quote_volume"),
    [TICKER_DAY_VOLUME] = QUANTITY_OPTIONAL("day_volume"),
    [TICKER_DAY_QUOTE_VOLUME] = VOLUME_OPTIONAL("day_quote_volume"),
    [TICKER_DAY_BID_VOLUME] = QUANTITY_OPTIONAL("day_bid_volume"),
    [TICKER_DAY_ASK_VOLUME] = QUANTITY_OPTIONAL("day_ask_volume"),
    [TICKER_SIDE] = CODE_OPTIONAL("side", codes_side),
    [TICKER_HIGH_52W] = PRICE_OPTIONAL("high_52w"),
    [TICKER_LOW_52W] = PRICE_OPTIONAL("low_52w"),
    [TICKER_SUSPENDED] = CODE_OPTIONAL("suspended", codes_bool),
    [TICKER_HIGH_52W_DATE] = TEXT_OPTIONAL("high_52w_date", 0),
    [TICKER_LOW_52W_DATE] = TEXT_OPTIONAL("low_52w_date", 1),
    [TICKER_MARKET_STATE] = TEXT_OPTIONAL("market_state", 2),
    [TICKER_MARKET_WARNING] = TEXT_OPTIONAL("market_warning", 3),
    [TICKER_DELISTING_DATE] = TEXT_OPTIONAL("delisting_date", 4),
    [TICKER_TRADE_CLOCK] = TEXT_OPTIONAL("trade_clock", 5),
};

static const struct column columns_kline[] = {
    COMMON,
    [KLINE_EVENT_TIME] = TIME_OPTIONAL("event_time"),
    [KLINE_OPEN_TIME] = TIME("open_time"),
    [KLINE_CLOSE_TIME] = TIME("close_time"),
    [KLINE_FIRST_ID] = INTEGER_OPTIONAL("first_id"),
    [KLINE_LAST_ID] = INTEGER_OPTIONAL("last_id"),
    [KLINE_TRADES] = INTEGER_OPTIONAL("trades"),
    [KLINE_OPEN] = PRICE("open"),
    [KLINE_HIGH] = PRICE("high"),
    [KLINE_LOW] = PRICE("low"),
    [KLINE_CLOSE] = PRICE("close"),
    [KLINE_VOLUME] = QUANTITY("volume"),
    [KLINE_QUOTE_VOLUME] = VOLUME_OPTIONAL("quote_volume"),
    [KLINE_TAKER_BUY_VOLUME] = QUANTITY_OPTIONAL("taker_buy_volume"),
    [KLINE_TAKER_BUY_QUOTE_VOLUME] = VOLUME_OPTIONAL("taker_buy_quote_volume"),
    [KLINE_CLOSED] = CODE("closed", codes_bool),
    [KLINE_INTERVAL] = TEXT("interval", 0),
    [KLINE_IGNORED] = TEXT_OPTIONAL("ignored", 1),
};

static const struct column columns_candle[] = {
    COMMON,
    [CANDLE_INTERVAL] = TEXT("interval", 0),
    [CANDLE_OPEN_TIME] = TIME("open_time"),
    [CANDLE_CLOSE_TIME] = TIME("close_time"),
    [CANDLE_REVISION] = INTEGER("revision"),
    [CANDLE_SOURCE] = CODE_OPTIONAL("source", codes_candle_source),
    [CANDLE_TRADES] = INTEGER("trades"),
    [CANDLE_OPEN] = PRICE_OPTIONAL("open"),
    [CANDLE_HIGH] = PRICE_OPTIONAL("high"),
    [CANDLE_LOW] = PRICE_OPTIONAL("low"),
    [CANDLE_CLOSE] = PRICE_OPTIONAL("close"),
    [CANDLE_VOLUME] = QUANTITY("volume"),
    [CANDLE_QUOTE_VOLUME] = DECIMAL("quote_volume", DECIMAL_QUOTE_VOLUME),
    [CANDLE_QUOTE_VOLUME_REST] = VOLUME_OPTIONAL("quote_volume_rest"),
    [CANDLE_TAKER_BUY_VOLUME] = QUANTITY("taker_buy_volume"),
    [CANDLE_VWAP] = QUANTITY_OPTIONAL("vwap"), // DECIMAL(38,12) has room for its 12 decimals
    [CANDLE_VWAP_REST] = QUANTITY_OPTIONAL("vwap_rest"),
    [CANDLE_FIRST_ID] = INTEGER_OPTIONAL("first_id"),
    [CANDLE_LAST_ID] = INTEGER_OPTIONAL("last_id"),
};

static const struct column columns_alert[] = {
    COMMON,
    [ALERT_ID] = INTEGER("id"),
    [ALERT_KIND] = CODE("kind", codes_alert),
    [ALERT_RULE] = TEXT("rule", 0),
    [ALERT_WINDOW] = INTEGER("window"),
    [ALERT_FROM_TIME] = TIME("from_time"),
    [ALERT_TO_TIME] = TIME("to_time"),
    [ALERT_FIRST_ID] = INTEGER_OPTIONAL("first_id"),
    [ALERT_LAST_ID] = INTEGER_OPTIONAL("last_id"),
    [ALERT_FROM_PRICE] = PRICE_OPTIONAL("from_price"),
    [ALERT_TO_PRICE] = PRICE_OPTIONAL("to_price"),
    [ALERT_MEASURE] = DECIMAL("measure", DECIMAL_QUOTE_VOLUME),
    [ALERT_THRESHOLD] = DECIMAL("threshold", DECIMAL_QUOTE_VOLUME),
    [ALERT_VOLUME] = QUANTITY_OPTIONAL("volume"),
    [ALERT_BASELINE] = VOLUME_OPTIONAL("baseline"),
    [ALERT_EXCHANGE] = TEXT_OPTIONAL("about_exchange", 1),
};

static const struct column columns_status[] = {
    COMMON,
    [STATUS_KIND] = CODE("kind", codes_status),
    [STATUS_FIRST_ID] = INTEGER_OPTIONAL("first_id"),
    [STATUS_LAST_ID] = INTEGER_OPTIONAL("last_id"),
    [STATUS_FROM_TIME] = TIME_OPTIONAL("from_time"),
    [STATUS_TO_TIME] = TIME_OPTIONAL("to_time"),
    [STATUS_COUNT] = INTEGER_OPTIONAL("count"),
    [STATUS_CHANNEL] = CODE_OPTIONAL("about_channel", codes_channel),
    [STATUS_DETAIL] = TEXT_OPTIONAL("detail", 0),
};

static const struct column columns_instrument[] = {
    COMMON,
    [INSTRUMENT_TICK] = PRICE_OPTIONAL("tick"),
    [INSTRUMENT_STEP] = QUANTITY_OPTIONAL("step"),
    [INSTRUMENT_STATE] = TEXT_OPTIONAL("state", 0),
    [INSTRUMENT_BASE] = TEXT_OPTIONAL("base", 1),
    [INSTRUMENT_QUOTE] = TEXT_OPTIONAL("quote", 2),
    [INSTRUMENT_BODY] = TEXT_OPTIONAL("body", 3),
};

static const struct column columns_raw[] = {
    COMMON,
    [RAW_REASON] = CODE("reason", codes_raw_reason),
    [RAW_DETAIL] = TEXT_OPTIONAL("detail", 0),
    [RAW_FRAME] = TEXT("frame", 1),
};

#define COLUMNS(table) .columns = table, .column_count = sizeof(table) / sizeof((table)[0])

_Static_assert(sizeof(columns_trade) / sizeof(struct column) == TRADE_COLUMN_COUNT, "trade");
_Static_assert(sizeof(columns_agg_trade) / sizeof(struct column) == AGG_TRADE_COLUMN_COUNT, "agg");
_Static_assert(sizeof(columns_quote) / sizeof(struct column) == QUOTE_COLUMN_COUNT, "quote");
_Static_assert(sizeof(columns_depth) / sizeof(struct column) == DEPTH_COLUMN_COUNT, "depth");
_Static_assert(sizeof(columns_book) / sizeof(struct column) == BOOK_COLUMN_COUNT, "book");
_Static_assert(sizeof(columns_ticker) / sizeof(struct column) == TICKER_COLUMN_COUNT, "ticker");
_Static_assert(sizeof(columns_kline) / sizeof(struct column) == KLINE_COLUMN_COUNT, "kline");
_Static_assert(sizeof(columns_candle) / sizeof(struct column) == CANDLE_COLUMN_COUNT, "candle");
_Static_assert(sizeof(columns_alert) / sizeof(struct column) == ALERT_COLUMN_COUNT, "alert");
_Static_assert(sizeof(columns_status) / sizeof(struct column) == STATUS_COLUMN_COUNT, "status");
_Static_assert(sizeof(columns_instrument) / sizeof(struct column) == INSTRUMENT_COLUMN_COUNT,
               "instrument");
_Static_assert(sizeof(columns_raw) / sizeof(struct column) == RAW_COLUMN_COUNT, "raw");

// `times`: why in this order, docs/format.md "The time of a row". Upbit's ticker repeats the time
// of a last trade that may be days old, hence its event time.
static const struct channel_schema schemas[CHANNEL_COUNT] = {
    [CHANNEL_TRADE] = {.channel = CHANNEL_TRADE, .name = "trade", COLUMNS(columns_trade),
                       .times = {TRADE_TIME, TRADE_EVENT_TIME, COLUMN_RECEIVE_TIME},
                       .time_count = 3, .identity = {TRADE_ID}, .identity_count = 1},
    [CHANNEL_AGG_TRADE] = {.channel = CHANNEL_AGG_TRADE, .name = "agg_trade",
                           COLUMNS(columns_agg_trade),
                           .times = {AGG_TRADE_TIME, AGG_TRADE_EVENT_TIME, COLUMN_RECEIVE_TIME},
                           .time_count = 3, .identity = {AGG_TRADE_ID}, .identity_count = 1},
    [CHANNEL_QUOTE] = {.channel = CHANNEL_QUOTE, .name = "quote", COLUMNS(columns_quote),
                       .times = {QUOTE_TRANSACTION_TIME, QUOTE_EVENT_TIME, COLUMN_RECEIVE_TIME},
                       .time_count = 3, .identity = {QUOTE_ID}, .identity_count = 1},
    [CHANNEL_DEPTH] = {.channel = CHANNEL_DEPTH, .name = "depth", COLUMNS(columns_depth),
                       .has_levels = true,
                       .times = {DEPTH_TRANSACTION_TIME, DEPTH_EVENT_TIME, COLUMN_RECEIVE_TIME},
                       .time_count = 3, .identity = {DEPTH_FIRST_ID, DEPTH_LAST_ID},
                       .identity_count = 2},
    [CHANNEL_BOOK] = {.channel = CHANNEL_BOOK, .name = "book", COLUMNS(columns_book),
                      .has_levels = true,
                      .times = {BOOK_TRANSACTION_TIME, BOOK_EVENT_TIME, COLUMN_RECEIVE_TIME},
                      .time_count = 3},
    [CHANNEL_TICKER] = {.channel = CHANNEL_TICKER, .name = "ticker", COLUMNS(columns_ticker),
                        .times = {TICKER_EVENT_TIME, COLUMN_RECEIVE_TIME}, .time_count = 2},
    [CHANNEL_KLINE] = {.channel = CHANNEL_KLINE, .name = "kline", COLUMNS(columns_kline),
                       .times = {KLINE_EVENT_TIME, KLINE_OPEN_TIME, COLUMN_RECEIVE_TIME},
                       .time_count = 3,
                       .identity = {KLINE_INTERVAL, KLINE_OPEN_TIME, KLINE_EVENT_TIME},
                       .identity_count = 3},
    [CHANNEL_CANDLE] = {.channel = CHANNEL_CANDLE, .name = "candle", COLUMNS(columns_candle),
                        .times = {CANDLE_OPEN_TIME, COLUMN_RECEIVE_TIME}, .time_count = 2,
                        .identity = {CANDLE_INTERVAL, CANDLE_OPEN_TIME, CANDLE_REVISION},
                        .identity_count = 3},
    [CHANNEL_ALERT] = {.channel = CHANNEL_ALERT, .name = "alert", COLUMNS(columns_alert),
                       .times = {ALERT_TO_TIME, COLUMN_RECEIVE_TIME}, .time_count = 2,
                       .identity = {ALERT_ID}, .identity_count = 1},
    [CHANNEL_STATUS] = {.channel = CHANNEL_STATUS, .name = "status", COLUMNS(columns_status),
                        .times = {COLUMN_RECEIVE_TIME}, .time_count = 1},
    [CHANNEL_INSTRUMENT] = {.channel = CHANNEL_INSTRUMENT, .name = "instrument",
                            COLUMNS(columns_instrument), .times = {COLUMN_RECEIVE_TIME},
                            .time_count = 1},
    [CHANNEL_RAW] = {.channel = CHANNEL_RAW, .name = "raw", COLUMNS(columns_raw),
                     .times = {COLUMN_RECEIVE_TIME}, .time_count = 1},
};

const struct channel_schema *channel_schema(enum channel channel)
{
    if ((unsigned)channel >= CHANNEL_COUNT || !schemas[channel].columns)
        return NULL;
    const struct channel_schema *schema = &schemas[channel];
    ensure(schema->channel == channel);
    ensure(schema->column_count <= EVENT_COLUMNS_MAX);
    return schema;
}

struct decimal_type decimal_type_of(enum decimal_kind kind)
{
    static const struct decimal_type types[] = {
        [DECIMAL_PRICE] = {18, 8},
        [DECIMAL_QUANTITY] = {38, 12},
        [DECIMAL_QUOTE_VOLUME] = {38, 16},
    };
    ensure(kind > DECIMAL_NONE && kind <= DECIMAL_QUOTE_VOLUME);
    return types[kind];
}

enum channel channel_by_name(const char *name)
{
    ensure(name);
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        if (schemas[channel].name && strcmp(schemas[channel].name, name) == 0)
            return (enum channel)channel;
    }
    return CHANNEL_NONE;
}

int column_by_name(const struct channel_schema *schema, const char *name)
{
    ensure(schema);
    ensure(name);
    for (int column = 0; column < schema->column_count; column++) {
        if (strcmp(schema->columns[column].name, name) == 0)
            return column;
    }
    return -1;
}

const char *code_name(const struct column *column, int64_t value)
{
    ensure(column->type == COLUMN_CODE);
    ensure(column->codes);
    if (value < 0)
        return NULL;
    for (int64_t code = 0; column->codes[code]; code++) {
        if (code == value)
            return column->codes[code];
    }
    return NULL;
}

static const struct column *text_column(const struct event *event, int column)
{
    const struct channel_schema *schema = channel_schema(event->channel);
    ensure(schema);
    ensure(column >= 0 && column < schema->column_count);
    ensure(schema->columns[column].type == COLUMN_TEXT);
    return &schema->columns[column];
}

void event_set_text(struct event *event, int column, const void *bytes, uint32_t size)
{
    ensure(size <= EVENT_TEXT_BYTES_MAX);
    ensure(bytes || size == 0);
    event->text[text_column(event, column)->text] = (struct event_text){bytes, size};
    event->present |= 1ull << column;
}

struct event_text event_text(const struct event *event, int column)
{
    const struct column *description = text_column(event, column);
    if (!event_has(event, column))
        return (struct event_text){NULL, 0};
    return event->text[description->text];
}

int64_t event_time_ns(const struct event *event)
{
    const struct channel_schema *schema = channel_schema(event->channel);
    ensure(schema);
    for (int t = 0; t < schema->time_count; t++) {
        if (event_has(event, schema->times[t]))
            return event->value[schema->times[t]];
    }
    return 0;
}

uint64_t schema_required(const struct channel_schema *schema)
{
    uint64_t required = 0;
    for (int column = 0; column < schema->column_count; column++)
        required |= (uint64_t)!schema->columns[column].nullable << column;
    return required;
}
