// SPDX-License-Identifier: GPL-3.0-or-later
//
// The message types of Binance spot and USD-M futures, key by key. docs/fields.md says the same for
// people, and a test holds the two together.
//
// Sources: binance-spot-api-docs web-socket-streams.md; developers.binance.com, USD-M futures,
// WebSocket market streams; recordings of both.
#include "exchange/binance.h"

#define FIELDS(array) (uint8_t)(sizeof(array) / sizeof(array)[0]), array

// ---- spot ----

static const struct strict_field spot_trade_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, TRADE_EVENT_TIME, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"t", NULL, STRICT_INTEGER, TRADE_ID, true},
    {"p", NULL, STRICT_DECIMAL_TEXT, TRADE_PRICE, true},
    {"q", NULL, STRICT_DECIMAL_TEXT, TRADE_QUANTITY, true},
    {"T", NULL, STRICT_TIME, TRADE_TIME, true},
    {"m", NULL, STRICT_MAKER, TRADE_SIDE, true},
    {"M", NULL, STRICT_BOOLEAN, TRADE_BEST_MATCH, false},
};

static const struct strict_field spot_agg_trade_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, AGG_TRADE_EVENT_TIME, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"a", NULL, STRICT_INTEGER, AGG_TRADE_ID, true},
    {"p", NULL, STRICT_DECIMAL_TEXT, AGG_TRADE_PRICE, true},
    {"q", NULL, STRICT_DECIMAL_TEXT, AGG_TRADE_QUANTITY, true},
    {"f", NULL, STRICT_INTEGER, AGG_TRADE_FIRST_ID, true},
    {"l", NULL, STRICT_INTEGER, AGG_TRADE_LAST_ID, true},
    {"T", NULL, STRICT_TIME, AGG_TRADE_TIME, true},
    {"m", NULL, STRICT_MAKER, AGG_TRADE_SIDE, true},
    {"M", NULL, STRICT_BOOLEAN, AGG_TRADE_BEST_MATCH, false},
};

static const struct strict_field spot_quote_fields[] = {
    {"u", NULL, STRICT_INTEGER, QUOTE_ID, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"b", NULL, STRICT_DECIMAL_TEXT, QUOTE_BID_PRICE, true},
    {"B", NULL, STRICT_DECIMAL_TEXT, QUOTE_BID_QUANTITY, true},
    {"a", NULL, STRICT_DECIMAL_TEXT, QUOTE_ASK_PRICE, true},
    {"A", NULL, STRICT_DECIMAL_TEXT, QUOTE_ASK_QUANTITY, true},
};

static const struct strict_field spot_depth_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, DEPTH_EVENT_TIME, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"U", NULL, STRICT_INTEGER, DEPTH_FIRST_ID, true},
    {"u", NULL, STRICT_INTEGER, DEPTH_LAST_ID, true},
    {"b", NULL, STRICT_BIDS, -1, true},
    {"a", NULL, STRICT_ASKS, -1, true},
};

// Partial books of spot, and the REST depth reply of both markets (futures add E and T).
static const struct strict_field book_fields[] = {
    {"lastUpdateId", NULL, STRICT_INTEGER, BOOK_LAST_ID, true},
    {"E", NULL, STRICT_TIME, BOOK_EVENT_TIME, false},
    {"T", NULL, STRICT_TIME, BOOK_TRANSACTION_TIME, false},
    {"bids", NULL, STRICT_BIDS, -1, true},
    {"asks", NULL, STRICT_ASKS, -1, true},
};

static const struct strict_field kline_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, KLINE_EVENT_TIME, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"k", NULL, STRICT_OBJECT, -1, true},
    {"k.t", NULL, STRICT_TIME, KLINE_OPEN_TIME, true},
    {"k.T", NULL, STRICT_TIME, KLINE_CLOSE_TIME, true},
    {"k.s", NULL, STRICT_SYMBOL_ECHO, -1, true},
    {"k.i", NULL, STRICT_TEXT, KLINE_INTERVAL, true},
    {"k.f", NULL, STRICT_INTEGER, KLINE_FIRST_ID, true},
    {"k.L", NULL, STRICT_INTEGER, KLINE_LAST_ID, true},
    {"k.o", NULL, STRICT_DECIMAL_TEXT, KLINE_OPEN, true},
    {"k.c", NULL, STRICT_DECIMAL_TEXT, KLINE_CLOSE, true},
    {"k.h", NULL, STRICT_DECIMAL_TEXT, KLINE_HIGH, true},
    {"k.l", NULL, STRICT_DECIMAL_TEXT, KLINE_LOW, true},
    {"k.v", NULL, STRICT_DECIMAL_TEXT, KLINE_VOLUME, true},
    {"k.n", NULL, STRICT_INTEGER, KLINE_TRADES, true},
    {"k.x", NULL, STRICT_BOOLEAN, KLINE_CLOSED, true},
    {"k.q", NULL, STRICT_DECIMAL_TEXT, KLINE_QUOTE_VOLUME, true},
    {"k.V", NULL, STRICT_DECIMAL_TEXT, KLINE_TAKER_BUY_VOLUME, true},
    {"k.Q", NULL, STRICT_DECIMAL_TEXT, KLINE_TAKER_BUY_QUOTE_VOLUME, true},
    {"k.B", NULL, STRICT_TEXT_NOT_ZERO, KLINE_IGNORED, true},
};

#define TICKER_FIELDS_OF_BOTH                                                                      \
    {"e", NULL, STRICT_TYPE, -1, true},                                                            \
    {"E", NULL, STRICT_TIME, TICKER_EVENT_TIME, true},                                             \
    {"s", NULL, STRICT_SYMBOL, -1, true},                                                          \
    {"p", NULL, STRICT_DECIMAL_TEXT, TICKER_CHANGE, true},                                         \
    {"P", NULL, STRICT_DECIMAL_TEXT, TICKER_CHANGE_PERCENT, true},                                 \
    {"w", NULL, STRICT_DECIMAL_TEXT, TICKER_WEIGHTED_AVERAGE, true},                               \
    {"c", NULL, STRICT_DECIMAL_TEXT, TICKER_LAST_PRICE, true},                                     \
    {"Q", NULL, STRICT_DECIMAL_TEXT, TICKER_LAST_QUANTITY, true},                                  \
    {"o", NULL, STRICT_DECIMAL_TEXT, TICKER_OPEN, true},                                           \
    {"h", NULL, STRICT_DECIMAL_TEXT, TICKER_HIGH, true},                                           \
    {"l", NULL, STRICT_DECIMAL_TEXT, TICKER_LOW, true},                                            \
    {"v", NULL, STRICT_DECIMAL_TEXT, TICKER_VOLUME, true},                                         \
    {"q", NULL, STRICT_DECIMAL_TEXT, TICKER_QUOTE_VOLUME, true},                                   \
    {"O", NULL, STRICT_TIME, TICKER_OPEN_TIME, true},                                              \
    {"C", NULL, STRICT_TIME, TICKER_CLOSE_TIME, true},                                             \
    {"F", NULL, STRICT_INTEGER, TICKER_FIRST_ID, true},                                            \
    {"L", NULL, STRICT_INTEGER, TICKER_LAST_ID, true},                                             \
    {"n", NULL, STRICT_INTEGER, TICKER_TRADES, true}

static const struct strict_field spot_ticker_fields[] = {
    TICKER_FIELDS_OF_BOTH,
    {"x", NULL, STRICT_DECIMAL_TEXT, TICKER_PREVIOUS_CLOSE, true},
    {"b", NULL, STRICT_DECIMAL_TEXT, TICKER_BID_PRICE, true},
    {"B", NULL, STRICT_DECIMAL_TEXT, TICKER_BID_QUANTITY, true},
    {"a", NULL, STRICT_DECIMAL_TEXT, TICKER_ASK_PRICE, true},
    {"A", NULL, STRICT_DECIMAL_TEXT, TICKER_ASK_QUANTITY, true},
};

static const struct strict_message spot_trade = {"trade", CHANNEL_TRADE, FIELDS(spot_trade_fields),
                                               NULL};
static const struct strict_message spot_agg_trade = {"aggTrade", CHANNEL_AGG_TRADE,
                                                   FIELDS(spot_agg_trade_fields), NULL};
static const struct strict_message spot_quote = {"bookTicker", CHANNEL_QUOTE,
                                               FIELDS(spot_quote_fields), NULL};
static const struct strict_message spot_depth = {"depthUpdate", CHANNEL_DEPTH,
                                               FIELDS(spot_depth_fields), NULL};
static const struct strict_message book = {"depth", CHANNEL_BOOK, FIELDS(book_fields), NULL};
static const struct strict_message kline = {"kline", CHANNEL_KLINE, FIELDS(kline_fields), NULL};
static const struct strict_message spot_ticker = {"24hrTicker", CHANNEL_TICKER,
                                                FIELDS(spot_ticker_fields), NULL};

const struct strict_message *const binance_spot_messages[] = {
    &spot_trade, &spot_agg_trade, &spot_quote,  &spot_depth,
    &book,       &kline,          &spot_ticker, NULL,
};

// ---- USD-M futures ----

static const struct strict_field usdm_trade_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, TRADE_EVENT_TIME, true},
    {"T", NULL, STRICT_TIME, TRADE_TIME, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"t", NULL, STRICT_INTEGER, TRADE_ID, true},
    {"p", NULL, STRICT_DECIMAL_TEXT, TRADE_PRICE, true},
    {"q", NULL, STRICT_DECIMAL_TEXT, TRADE_QUANTITY, true},
    {"X", NULL, STRICT_TEXT, TRADE_KIND, true},
    {"m", NULL, STRICT_MAKER, TRADE_SIDE, true},
};

static const struct strict_field usdm_agg_trade_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, AGG_TRADE_EVENT_TIME, true},
    {"a", NULL, STRICT_INTEGER, AGG_TRADE_ID, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"p", NULL, STRICT_DECIMAL_TEXT, AGG_TRADE_PRICE, true},
    {"q", NULL, STRICT_DECIMAL_TEXT, AGG_TRADE_QUANTITY, true},
    {"nq", NULL, STRICT_DECIMAL_TEXT, AGG_TRADE_NORMAL_QUANTITY, false},
    {"f", NULL, STRICT_INTEGER, AGG_TRADE_FIRST_ID, true},
    {"l", NULL, STRICT_INTEGER, AGG_TRADE_LAST_ID, true},
    {"T", NULL, STRICT_TIME, AGG_TRADE_TIME, true},
    {"m", NULL, STRICT_MAKER, AGG_TRADE_SIDE, true},
};

static const struct strict_field usdm_quote_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"u", NULL, STRICT_INTEGER, QUOTE_ID, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"b", NULL, STRICT_DECIMAL_TEXT, QUOTE_BID_PRICE, true},
    {"B", NULL, STRICT_DECIMAL_TEXT, QUOTE_BID_QUANTITY, true},
    {"a", NULL, STRICT_DECIMAL_TEXT, QUOTE_ASK_PRICE, true},
    {"A", NULL, STRICT_DECIMAL_TEXT, QUOTE_ASK_QUANTITY, true},
    {"T", NULL, STRICT_TIME, QUOTE_TRANSACTION_TIME, true},
    {"E", NULL, STRICT_TIME, QUOTE_EVENT_TIME, true},
};

static const struct strict_field usdm_depth_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, DEPTH_EVENT_TIME, true},
    {"T", NULL, STRICT_TIME, DEPTH_TRANSACTION_TIME, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"U", NULL, STRICT_INTEGER, DEPTH_FIRST_ID, true},
    {"u", NULL, STRICT_INTEGER, DEPTH_LAST_ID, true},
    {"pu", NULL, STRICT_INTEGER, DEPTH_PREVIOUS_ID, true},
    {"b", NULL, STRICT_BIDS, -1, true},
    {"a", NULL, STRICT_ASKS, -1, true},
};

// Futures send partial books in the form of a depth update; the stream's name tells them apart.
static const struct strict_field usdm_book_fields[] = {
    {"e", NULL, STRICT_TYPE, -1, true},
    {"E", NULL, STRICT_TIME, BOOK_EVENT_TIME, true},
    {"T", NULL, STRICT_TIME, BOOK_TRANSACTION_TIME, true},
    {"s", NULL, STRICT_SYMBOL, -1, true},
    {"U", NULL, STRICT_INTEGER, BOOK_FIRST_ID, true},
    {"u", NULL, STRICT_INTEGER, BOOK_LAST_ID, true},
    {"pu", NULL, STRICT_INTEGER, BOOK_PREVIOUS_ID, true},
    {"b", NULL, STRICT_BIDS, -1, true},
    {"a", NULL, STRICT_ASKS, -1, true},
};

static const struct strict_field usdm_ticker_fields[] = {TICKER_FIELDS_OF_BOTH};

static const struct strict_message usdm_trade = {"trade", CHANNEL_TRADE, FIELDS(usdm_trade_fields),
                                               NULL};
static const struct strict_message usdm_agg_trade = {"aggTrade", CHANNEL_AGG_TRADE,
                                                   FIELDS(usdm_agg_trade_fields), NULL};
static const struct strict_message usdm_quote = {"bookTicker", CHANNEL_QUOTE,
                                               FIELDS(usdm_quote_fields), NULL};
static const struct strict_message usdm_depth = {"depthUpdate", CHANNEL_DEPTH,
                                               FIELDS(usdm_depth_fields), NULL};
static const struct strict_message usdm_book = {"depthUpdate", CHANNEL_BOOK,
                                              FIELDS(usdm_book_fields), NULL};
static const struct strict_message usdm_ticker = {"24hrTicker", CHANNEL_TICKER,
                                                FIELDS(usdm_ticker_fields), NULL};

const struct strict_message *const binance_usdm_messages[] = {
    &usdm_trade, &usdm_agg_trade, &usdm_quote, &usdm_depth,  &usdm_book,
    &book,       &kline,          &usdm_ticker, NULL,
};
