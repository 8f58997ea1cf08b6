// SPDX-License-Identifier: GPL-3.0-or-later
//
// Binance, spot and USD-M futures. Keys in the order of the wire, which readers may be tuned to.
#include "tools/replay_json.h"

#include "format/ensure.h"
#include "tools/replay_text.h"

enum {
    SPOT_PLACES = 8,    // of prices and quantities
    PERCENT_PLACES = 3, // of ticker.P
    LEVEL_BYTES = 2 * REPLAY_DECIMAL_BYTES_MAX + 8,
    FIXED_BYTES = 4096, // all but levels and texts
};

static uint8_t places(const struct replay_row *row)
{
    return row->exchange == EXCHANGE_SIM_BINANCE ? SPOT_PLACES : 0;
}

static bool is_spot(const struct replay_row *row)
{
    return row->exchange == EXCHANGE_SIM_BINANCE;
}

// ,"E":1700000000123456
static char *put_time_ns(char *at, const struct replay_row *row, const char *key, int64_t time_ns)
{
    at = replay_put(at, key, strlen(key));
    return message_integer(at, time_ns / (row->microseconds ? 1000 : 1000000));
}

static char *put_time(char *at, const struct replay_row *row, const char *key, int column)
{
    return replay_has(row, column) ? put_time_ns(at, row, key, replay_value(row, column)) : at;
}

// When it was sent, else when it happened.
static char *put_sent(char *at, const struct replay_row *row, const char *key, int column)
{
    return put_time_ns(at, row, key,
                       replay_has(row, column) ? replay_value(row, column)
                                               : rows_time_ns(row->rows, row->row));
}

static char *put_integer(char *at, const struct replay_row *row, const char *key, int column)
{
    if (!replay_has(row, column)) return at;
    at = replay_put(at, key, strlen(key));
    return message_integer(at, replay_value(row, column));
}

// `key` ends with the first quote of the value.
static char *put_decimal_places(char *at, const struct replay_row *row, const char *key, int column,
                                uint8_t least)
{
    if (!replay_has(row, column)) return at;
    at = replay_put(at, key, strlen(key));
    at = replay_decimal(at, replay_value(row, column), row->rows->scale[column][row->row], least);
    *at++ = '"';
    return at;
}

static char *put_decimal(char *at, const struct replay_row *row, const char *key, int column)
{
    return put_decimal_places(at, row, key, column, places(row));
}

static char *put_bool(char *at, const char *key, bool value)
{
    at = replay_put(at, key, strlen(key));
    return value ? REPLAY_PUT(at, "true") : REPLAY_PUT(at, "false");
}

static char *put_text(char *at, const struct replay_row *row, const char *key, int column)
{
    const uint8_t slot = row->rows->schema->columns[column].text;
    if (!replay_has(row, column)) return at;
    at = replay_put(at, key, strlen(key));
    at = message_escaped(at, row->rows->text + row->rows->text_offset[slot][row->row],
                         row->rows->text_length[slot][row->row]);
    *at++ = '"';
    return at;
}

static char *put_symbol(char *at, const struct replay_row *row, const char *key)
{
    at = replay_put(at, key, strlen(key));
    at = replay_put(at, row->symbol.bytes, row->symbol.size);
    *at++ = '"';
    return at;
}

// All levels of one side; `key` ends with the opening bracket.
static char *put_levels(char *at, const struct replay_row *row, const char *key, uint8_t side)
{
    const struct rows *rows = row->rows;
    const uint32_t end = rows->level_first[row->row + 1];
    const uint8_t least = places(row);
    at = replay_put(at, key, strlen(key));
    for (uint32_t i = rows->level_first[row->row]; i < end; i++) {
        if (rows->level_side[i] != side) continue;
        if (at[-1] != '[') *at++ = ',';
        at = REPLAY_PUT(at, "[\"");
        at = replay_decimal(at, rows->level_price[i], rows->level_price_scale[i], least);
        at = REPLAY_PUT(at, "\",\"");
        at = replay_decimal(at, rows->level_quantity[i], rows->level_quantity_scale[i], least);
        at = REPLAY_PUT(at, "\"]");
    }
    *at++ = ']';
    return at;
}

static bool maker(const struct replay_row *row, int side)
{
    return replay_value(row, side) == SIDE_SELL;
}

static char *put_trade(char *at, const struct replay_row *row)
{
    const bool spot = is_spot(row);
    at = REPLAY_PUT(at, "{\"e\":\"trade\"");
    at = put_sent(at, row, ",\"E\":", TRADE_EVENT_TIME);
    if (!spot) at = put_time(at, row, ",\"T\":", TRADE_TIME);
    at = put_symbol(at, row, ",\"s\":\"");
    at = put_integer(at, row, ",\"t\":", TRADE_ID);
    at = put_decimal(at, row, ",\"p\":\"", TRADE_PRICE);
    at = put_decimal(at, row, ",\"q\":\"", TRADE_QUANTITY);
    if (spot) at = put_time(at, row, ",\"T\":", TRADE_TIME);
    else if (replay_has(row, TRADE_KIND)) at = put_text(at, row, ",\"X\":\"", TRADE_KIND);
    else at = REPLAY_PUT(at, ",\"X\":\"MARKET\"");
    at = put_bool(at, ",\"m\":", maker(row, TRADE_SIDE));
    if (replay_has(row, TRADE_BEST_MATCH))
        at = put_bool(at, ",\"M\":", replay_value(row, TRADE_BEST_MATCH) != 0);
    *at++ = '}';
    return at;
}

static char *put_agg_trade(char *at, const struct replay_row *row)
{
    const bool spot = is_spot(row);
    at = REPLAY_PUT(at, "{\"e\":\"aggTrade\"");
    at = put_sent(at, row, ",\"E\":", AGG_TRADE_EVENT_TIME);
    if (spot) at = put_symbol(at, row, ",\"s\":\"");
    at = put_integer(at, row, ",\"a\":", AGG_TRADE_ID);
    if (!spot) at = put_symbol(at, row, ",\"s\":\"");
    at = put_decimal(at, row, ",\"p\":\"", AGG_TRADE_PRICE);
    at = put_decimal(at, row, ",\"q\":\"", AGG_TRADE_QUANTITY);
    at = put_decimal(at, row, ",\"nq\":\"", AGG_TRADE_NORMAL_QUANTITY);
    at = put_integer(at, row, ",\"f\":", AGG_TRADE_FIRST_ID);
    at = put_integer(at, row, ",\"l\":", AGG_TRADE_LAST_ID);
    at = put_time(at, row, ",\"T\":", AGG_TRADE_TIME);
    at = put_bool(at, ",\"m\":", maker(row, AGG_TRADE_SIDE));
    if (replay_has(row, AGG_TRADE_BEST_MATCH))
        at = put_bool(at, ",\"M\":", replay_value(row, AGG_TRADE_BEST_MATCH) != 0);
    *at++ = '}';
    return at;
}

static char *put_quote(char *at, const struct replay_row *row)
{
    const bool spot = is_spot(row);
    at = spot ? REPLAY_PUT(at, "{\"u\":") : REPLAY_PUT(at, "{\"e\":\"bookTicker\",\"u\":");
    at = message_integer(at, replay_value(row, QUOTE_ID));
    at = put_symbol(at, row, ",\"s\":\"");
    at = put_decimal(at, row, ",\"b\":\"", QUOTE_BID_PRICE);
    at = put_decimal(at, row, ",\"B\":\"", QUOTE_BID_QUANTITY);
    at = put_decimal(at, row, ",\"a\":\"", QUOTE_ASK_PRICE);
    at = put_decimal(at, row, ",\"A\":\"", QUOTE_ASK_QUANTITY);
    at = put_time(at, row, ",\"T\":", QUOTE_TRANSACTION_TIME);
    at = put_time(at, row, ",\"E\":", QUOTE_EVENT_TIME);
    *at++ = '}';
    return at;
}

// Partial books of futures have this form too.
struct depth_columns_of {
    int event_time, transaction_time, first_id, last_id, previous_id;
};
static const struct depth_columns_of depth_of = {DEPTH_EVENT_TIME, DEPTH_TRANSACTION_TIME,
                                                 DEPTH_FIRST_ID, DEPTH_LAST_ID, DEPTH_PREVIOUS_ID};
static const struct depth_columns_of book_of = {BOOK_EVENT_TIME, BOOK_TRANSACTION_TIME,
                                                BOOK_FIRST_ID, BOOK_LAST_ID, BOOK_PREVIOUS_ID};

static char *put_depth(char *at, const struct replay_row *row, const struct depth_columns_of *of)
{
    at = REPLAY_PUT(at, "{\"e\":\"depthUpdate\"");
    at = put_sent(at, row, ",\"E\":", of->event_time);
    at = put_time(at, row, ",\"T\":", of->transaction_time);
    at = put_symbol(at, row, ",\"s\":\"");
    at = put_integer(at, row, ",\"U\":", of->first_id);
    at = put_integer(at, row, ",\"u\":", of->last_id);
    at = put_integer(at, row, ",\"pu\":", of->previous_id);
    at = put_levels(at, row, ",\"b\":[", SIDE_BUY);
    at = put_levels(at, row, ",\"a\":[", SIDE_SELL);
    *at++ = '}';
    return at;
}

static char *put_book(char *at, const struct replay_row *row)
{
    at = REPLAY_PUT(at, "{\"lastUpdateId\":");
    at = message_integer(at, replay_value(row, BOOK_LAST_ID));
    at = put_time(at, row, ",\"E\":", BOOK_EVENT_TIME);
    at = put_time(at, row, ",\"T\":", BOOK_TRANSACTION_TIME);
    at = put_levels(at, row, ",\"bids\":[", SIDE_BUY);
    at = put_levels(at, row, ",\"asks\":[", SIDE_SELL);
    *at++ = '}';
    return at;
}

static char *put_kline(char *at, const struct replay_row *row)
{
    at = REPLAY_PUT(at, "{\"e\":\"kline\"");
    at = put_sent(at, row, ",\"E\":", KLINE_EVENT_TIME);
    at = put_symbol(at, row, ",\"s\":\"");
    at = put_time(at, row, ",\"k\":{\"t\":", KLINE_OPEN_TIME);
    at = put_time(at, row, ",\"T\":", KLINE_CLOSE_TIME);
    at = put_symbol(at, row, ",\"s\":\"");
    at = put_text(at, row, ",\"i\":\"", KLINE_INTERVAL);
    at = put_integer(at, row, ",\"f\":", KLINE_FIRST_ID);
    at = put_integer(at, row, ",\"L\":", KLINE_LAST_ID);
    at = put_decimal(at, row, ",\"o\":\"", KLINE_OPEN);
    at = put_decimal(at, row, ",\"c\":\"", KLINE_CLOSE);
    at = put_decimal(at, row, ",\"h\":\"", KLINE_HIGH);
    at = put_decimal(at, row, ",\"l\":\"", KLINE_LOW);
    at = put_decimal(at, row, ",\"v\":\"", KLINE_VOLUME);
    at = put_integer(at, row, ",\"n\":", KLINE_TRADES);
    at = put_bool(at, ",\"x\":", replay_value(row, KLINE_CLOSED) != 0);
    at = put_decimal(at, row, ",\"q\":\"", KLINE_QUOTE_VOLUME);
    at = put_decimal(at, row, ",\"V\":\"", KLINE_TAKER_BUY_VOLUME);
    at = put_decimal(at, row, ",\"Q\":\"", KLINE_TAKER_BUY_QUOTE_VOLUME);
    if (replay_has(row, KLINE_IGNORED)) at = put_text(at, row, ",\"B\":\"", KLINE_IGNORED);
    else at = REPLAY_PUT(at, ",\"B\":\"0\"");
    return REPLAY_PUT(at, "}}");
}

static char *put_ticker(char *at, const struct replay_row *row)
{
    at = REPLAY_PUT(at, "{\"e\":\"24hrTicker\"");
    at = put_sent(at, row, ",\"E\":", TICKER_EVENT_TIME);
    at = put_symbol(at, row, ",\"s\":\"");
    at = put_decimal(at, row, ",\"p\":\"", TICKER_CHANGE);
    at = put_decimal_places(at, row, ",\"P\":\"", TICKER_CHANGE_PERCENT, PERCENT_PLACES);
    at = put_decimal(at, row, ",\"w\":\"", TICKER_WEIGHTED_AVERAGE);
    at = put_decimal(at, row, ",\"x\":\"", TICKER_PREVIOUS_CLOSE);
    at = put_decimal(at, row, ",\"c\":\"", TICKER_LAST_PRICE);
    at = put_decimal(at, row, ",\"Q\":\"", TICKER_LAST_QUANTITY);
    at = put_decimal(at, row, ",\"b\":\"", TICKER_BID_PRICE);
    at = put_decimal(at, row, ",\"B\":\"", TICKER_BID_QUANTITY);
    at = put_decimal(at, row, ",\"a\":\"", TICKER_ASK_PRICE);
    at = put_decimal(at, row, ",\"A\":\"", TICKER_ASK_QUANTITY);
    at = put_decimal(at, row, ",\"o\":\"", TICKER_OPEN);
    at = put_decimal(at, row, ",\"h\":\"", TICKER_HIGH);
    at = put_decimal(at, row, ",\"l\":\"", TICKER_LOW);
    at = put_decimal(at, row, ",\"v\":\"", TICKER_VOLUME);
    at = put_decimal(at, row, ",\"q\":\"", TICKER_QUOTE_VOLUME);
    at = put_time(at, row, ",\"O\":", TICKER_OPEN_TIME);
    at = put_time(at, row, ",\"C\":", TICKER_CLOSE_TIME);
    at = put_integer(at, row, ",\"F\":", TICKER_FIRST_ID);
    at = put_integer(at, row, ",\"L\":", TICKER_LAST_ID);
    at = put_integer(at, row, ",\"n\":", TICKER_TRADES);
    *at++ = '}';
    return at;
}

// Everything fits, or nothing is written.
static bool row_fits(const struct replay_row *row)
{
    const struct rows *rows = row->rows;
    size_t bytes = FIXED_BYTES + 4 * (size_t)row->symbol.size;
    for (uint64_t bits = rows->present[row->row] & rows->text_columns; bits != 0; bits &= bits - 1)
        bytes += 6 * (size_t)rows->text_length[rows->schema->columns[__builtin_ctzll(bits)].text]
                                              [row->row];
    if (rows->schema->has_levels)
        bytes += LEVEL_BYTES *
                 (size_t)(rows->level_first[row->row + 1] - rows->level_first[row->row]);
    return bytes <= REPLAY_JSON_BYTES_MAX;
}

static char *put_any(char *at, const struct replay_row *row)
{
    switch (row->rows->schema->channel) {
    case CHANNEL_TRADE: return put_trade(at, row);
    case CHANNEL_AGG_TRADE: return put_agg_trade(at, row);
    case CHANNEL_QUOTE: return put_quote(at, row);
    case CHANNEL_DEPTH: return put_depth(at, row, &depth_of);
    case CHANNEL_BOOK:
        if (replay_value(row, BOOK_SOURCE) == BOOK_SOURCE_REST) return at;
        return is_spot(row) ? put_book(at, row) : put_depth(at, row, &book_of);
    case CHANNEL_TICKER: return put_ticker(at, row);
    case CHANNEL_KLINE: return put_kline(at, row);
    default: return at;
    }
}

uint32_t replay_json_binance(const struct replay_row *row, char *out)
{
    ensure(row->exchange != EXCHANGE_SIM_UPBIT);
    if (!row_fits(row)) return 0;
    const size_t size = (size_t)(put_any(out, row) - out);
    ensure(size <= REPLAY_JSON_BYTES_MAX);
    return (uint32_t)size;
}

// ---- REST ----

// Price times quantity, exact: as many places as both have, and zeros at the end left out.
static char *put_quote_quantity(char *at, const struct replay_row *row)
{
    const uint8_t price_scale = row->rows->scale[TRADE_PRICE][row->row];
    const uint8_t quantity_scale = row->rows->scale[TRADE_QUANTITY][row->row];
    __int128 product = (__int128)replay_value(row, TRADE_PRICE) * replay_value(row, TRADE_QUANTITY);
    uint32_t scale = (uint32_t)price_scale + quantity_scale;
    for (; scale > 0 && product % 10 == 0; scale--) product /= 10;
    // Beyond that the exchange rounds too; nobody derives anything from it.
    for (; scale > DECIMAL_SCALE_MAX || product > INT64_MAX || product < -INT64_MAX; scale--) {
        if (scale == 0) return REPLAY_PUT(at, "0");
        product /= 10;
    }
    return replay_decimal(at, (int64_t)product, (uint8_t)scale, places(row));
}

uint32_t replay_json_rest_trade(const struct replay_row *row, char *out)
{
    ensure(row->rows->schema->channel == CHANNEL_TRADE);
    char *at = put_integer(out, row, "{\"id\":", TRADE_ID);
    at = put_decimal(at, row, ",\"price\":\"", TRADE_PRICE);
    at = put_decimal(at, row, ",\"qty\":\"", TRADE_QUANTITY);
    at = REPLAY_PUT(at, ",\"quoteQty\":\"");
    at = put_quote_quantity(at, row);
    at = put_time(at, row, "\",\"time\":", TRADE_TIME);
    at = put_bool(at, ",\"isBuyerMaker\":", maker(row, TRADE_SIDE));
    if (replay_has(row, TRADE_BEST_MATCH))
        at = put_bool(at, ",\"isBestMatch\":", replay_value(row, TRADE_BEST_MATCH) != 0);
    *at++ = '}';
    return (uint32_t)(at - out);
}

uint32_t replay_json_rest_agg_trade(const struct replay_row *row, char *out)
{
    ensure(row->rows->schema->channel == CHANNEL_AGG_TRADE);
    char *at = put_integer(out, row, "{\"a\":", AGG_TRADE_ID);
    at = put_decimal(at, row, ",\"p\":\"", AGG_TRADE_PRICE);
    at = put_decimal(at, row, ",\"q\":\"", AGG_TRADE_QUANTITY);
    at = put_decimal(at, row, ",\"nq\":\"", AGG_TRADE_NORMAL_QUANTITY);
    at = put_integer(at, row, ",\"f\":", AGG_TRADE_FIRST_ID);
    at = put_integer(at, row, ",\"l\":", AGG_TRADE_LAST_ID);
    at = put_time(at, row, ",\"T\":", AGG_TRADE_TIME);
    at = put_bool(at, ",\"m\":", maker(row, AGG_TRADE_SIDE));
    if (replay_has(row, AGG_TRADE_BEST_MATCH))
        at = put_bool(at, ",\"M\":", replay_value(row, AGG_TRADE_BEST_MATCH) != 0);
    *at++ = '}';
    return (uint32_t)(at - out);
}

uint32_t replay_json_rest_depth(const struct replay_row *row, char *out)
{
    ensure(row->rows->schema->channel == CHANNEL_BOOK);
    return row_fits(row) ? (uint32_t)(put_book(out, row) - out) : 0;
}
