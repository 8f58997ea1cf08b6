// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_market: a made-up market, from a seed.
//
// Each symbol has an order book of real levels, from which quotes, depth differences, REST
// snapshots and Upbit order books all come, so that they agree with each other. Fitted to
// recordings of BTCUSDT, ETHUSDT (2024-08) and NEXOUSDT (2024-07): takers' orders hit the book in
// bursts of about three trades that share their time (62 to 75 % of trades have the time of the one
// before), the price stays for three of four trades, the spread is one tick nine times of ten,
// there are about three quotes a trade and one depth message for three. Activity over symbols falls
// off like Zipf's law.
//
// Time is given from outside, so that every event is stamped with its intended time of sending.
// The same seed, options and times give the same events. Not thread-safe; memory is allocated in
// exchange_sim_market_open().
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_MARKET_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_MARKET_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_text.h"

enum exchange_sim_exchange {
    EXCHANGE_SIM_BINANCE,
    EXCHANGE_SIM_USDM,
    EXCHANGE_SIM_UPBIT,
    EXCHANGE_SIM_EXCHANGES,
};
// "binance", "binance-usdm", "upbit".
const char *exchange_sim_exchange_name(enum exchange_sim_exchange exchange);
// EXCHANGE_SIM_EXCHANGES for an unknown name.
enum exchange_sim_exchange exchange_sim_exchange_by_name(const char *name, uint32_t size);

enum {
    MARKET_LEVELS = 32,       // of each side of a book
    MARKET_CHANGES_MAX = 128, // of one depth message
    MARKET_TRADES_KEPT = 512, // of a symbol, for REST
    MARKET_SYMBOLS_MAX = 4096,
    MARKET_NAME_SIZE = 24,
    MARKET_EVENT_SIZE_MAX = 16384, // of a rendered event
};

enum exchange_sim_market_kind {
    MARKET_TRADE,
    MARKET_QUOTE, // Binance
    MARKET_DEPTH, // Binance
    MARKET_BOOK,  // Upbit
    MARKET_TICKER,
    MARKET_KINDS,
};

struct exchange_sim_market_trade {
    int64_t id;
    int64_t price;    // ticks
    int64_t quantity; // steps
    int64_t time_us;
    bool buyer_maker; // the taker sold
};

struct exchange_sim_market_change { // of the book since the last depth message
    int64_t price;
    bool ask;
};

struct exchange_sim_market_symbol {
    char name[MARKET_NAME_SIZE]; // "BTCUSDT", "KRW-BTC"
    char base[MARKET_NAME_SIZE];
    char quote[MARKET_NAME_SIZE];
    enum exchange_sim_exchange exchange;
    int price_scale;             // a tick is 10^-price_scale
    int quantity_scale;          // a step is 10^-quantity_scale
    int64_t bid;                 // best bid in ticks
    int64_t spread;              // best ask - best bid, in ticks
    int64_t bids[MARKET_LEVELS]; // steps at bid - i
    int64_t asks[MARKET_LEVELS]; // steps at bid + spread + i
    int64_t quantity_typical;
    int64_t book_id;
    int64_t depth_first; // U of the next depth message
    int64_t depth_previous;
    bool depth_made; // the last step was a depth message
    uint32_t change_count;
    struct exchange_sim_market_change changes[MARKET_CHANGES_MAX];
    int64_t trade_first; // id of the first trade since the start
    int64_t trade_id;    // of the last
    int64_t trade_count;
    int64_t open;
    int64_t high;
    int64_t low;
    int64_t opened_us;
    int64_t volume;                           // steps
    __int128 quote_volume;                    // ticks * steps
    struct exchange_sim_market_trade *trades; // ring of MARKET_TRADES_KEPT; trade n at n % that
};

struct exchange_sim_market_event {
    uint32_t symbol;
    enum exchange_sim_market_kind kind;
    int64_t event_us;
    int64_t id;       // trade id, update id; 0 where the exchange gives none
    int64_t first_id; // depth: U
    int64_t previous_id;
    struct exchange_sim_market_trade trade;
};

struct exchange_sim_market;

struct exchange_sim_market_options {
    uint64_t seed;
    uint32_t symbols[EXCHANGE_SIM_EXCHANGES];
    int64_t start_us; // UTC
};

// NULL when out of memory.
struct exchange_sim_market *
exchange_sim_market_open(const struct exchange_sim_market_options *options);
void exchange_sim_market_close(struct exchange_sim_market *market);
uint32_t exchange_sim_market_count(const struct exchange_sim_market *market);
const struct exchange_sim_market_symbol *
exchange_sim_market_symbol(const struct exchange_sim_market *market, uint32_t symbol);
// By exchange and name, letters in either case; UINT32_MAX where there is none.
uint32_t exchange_sim_market_find(const struct exchange_sim_market *market,
                                  enum exchange_sim_exchange exchange, const char *name);

// The market moves on by one event. What it says of books is to be rendered before the next call.
void exchange_sim_market_next(struct exchange_sim_market *market, int64_t time_us,
                              struct exchange_sim_market_event *event);
// Evenly distributed, below `limit`; from the market's seed.
uint64_t exchange_sim_market_random(struct exchange_sim_market *market, uint64_t limit);

// ---- as text (exchange_sim_market_json.c) ----

// Times in microseconds where asked (Binance only); Upbit in the SIMPLE format.
void exchange_sim_market_render(const struct exchange_sim_market *market,
                                const struct exchange_sim_market_event *event, bool microseconds,
                                struct exchange_sim_text *text);
// "bids":[..],"asks":[..] (Binance REST and partial depth), `limit` levels of each side.
void exchange_sim_market_render_levels(const struct exchange_sim_market_symbol *symbol,
                                       uint32_t limit, struct exchange_sim_text *text);

#endif
