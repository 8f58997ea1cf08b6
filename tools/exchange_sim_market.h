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
#include <stddef.h>
#include <stdint.h>

#include "tools/exchange_sim_name.h"
#include "tools/exchange_sim_text.h"

enum {
    MARKET_LEVELS = 32,       // of each side of a book
    MARKET_CHANGES_MAX = 128, // of one depth message
    MARKET_TRADES_MIN = 512,  // of a symbol that are kept in any case, for REST
    MARKET_HISTORY_TRADES = 4000000, // of all symbols, 48 bytes each, unless said otherwise
    MARKET_HISTORY_SECONDS = 900,
    MARKET_SYMBOLS_MAX = 10240,
    MARKET_NAME_SIZE = 24,
    MARKET_EVENT_SIZE_MAX = 16384, // of a rendered event
    MARKET_CALM_PERCENT = 1,
};

enum exchange_sim_market_kind {
    MARKET_TRADE,
    MARKET_QUOTE, // Binance
    MARKET_DEPTH, // Binance
    MARKET_BOOK,  // Upbit
    MARKET_TICKER,
    MARKET_AGG,   // Binance
    MARKET_KLINE, // Binance, of one minute
    MARKET_KINDS,
};

struct exchange_sim_market_trade {
    int64_t id;
    int64_t price;    // ticks
    int64_t quantity; // steps
    int64_t time_us;
    int64_t agg_id;   // of the aggregate trade it is part of; 0: of none
    bool buyer_maker; // the taker sold
    bool agg_start;   // its aggregate trade begins with it
};

// Trades of one taker's order at one price.
struct exchange_sim_market_agg {
    uint32_t symbol;
    int64_t id;
    int64_t price;
    int64_t quantity;
    int64_t first_id;
    int64_t last_id;
    int64_t time_us;
    bool buyer_maker;
};

struct exchange_sim_market_kline {
    int64_t open_us; // whole minutes
    int64_t open;
    int64_t high;
    int64_t low;
    int64_t close;
    int64_t first_id;
    int64_t last_id;
    int64_t count; // of trades; 0: nothing to tell
    int64_t volume;
    int64_t taker_volume; // bought by takers
    __int128 quote_volume;
    __int128 taker_quote_volume;
};

struct exchange_sim_market_change { // of the book since the last depth message
    int64_t price;
    bool ask;
    int64_t quantity; // in joined windows only: what the level held then
};

struct exchange_sim_market_symbol {
    char name[MARKET_NAME_SIZE]; // "BTCUSDT", "KRW-BTC"
    char base[MARKET_NAME_SIZE];
    char quote[MARKET_NAME_SIZE];
    enum exchange_sim_exchange exchange;
    bool listed;                 // exchangeInfo and market/all show it
    bool trading;                // listed, and events come
    bool reserve;                // was never listed
    bool apart;                  // an injected spread: nobody trades, the price stays
    int price_scale;             // a tick is 10^-price_scale
    int quantity_scale;          // a step is 10^-quantity_scale
    int64_t bid;                 // best bid in ticks
    int64_t spread;              // best ask - best bid, in ticks
    int64_t calm_around;         // the best bid stays near it; 0: it goes where it likes
    int64_t quantity_ppm;        // an injected burst: times that; 0: none
    struct market_injection *injection; // running, or the next; NULL: none
    int64_t bids[MARKET_LEVELS]; // steps at bid - i
    int64_t asks[MARKET_LEVELS]; // steps at bid + spread + i
    int64_t quantity_typical;
    int64_t book_id;
    int64_t depth_first; // U of the next depth message
    int64_t depth_previous;
    bool depth_made; // the last step was a depth message
    uint32_t change_count;
    struct exchange_sim_market_change changes[MARKET_CHANGES_MAX];
    int64_t trade_first; // id of the first trade since the start or the last restart of ids
    int64_t trade_id;    // of the last
    int64_t trade_count; // since the start
    int64_t era_count;   // trades before the last restart of ids
    int64_t agg_id;      // of the last
    int64_t open;
    int64_t high;
    int64_t low;
    int64_t opened_us;
    int64_t volume;                           // steps
    __int128 quote_volume;                    // ticks * steps
    struct exchange_sim_market_kline kline;
    struct exchange_sim_market_trade *trades; // ring: trade n at n % capacity, a power of two
    int64_t trade_capacity;
};

struct exchange_sim_market_event {
    uint32_t symbol;
    enum exchange_sim_market_kind kind;
    int64_t event_us;
    int64_t id;       // trade id, update id; 0 where the exchange gives none
    int64_t first_id; // depth: U
    int64_t previous_id;
    bool closed; // kline: its minute is over
    union {
        struct exchange_sim_market_trade trade;
        struct exchange_sim_market_agg agg;
    };
    const struct exchange_sim_market_kline *kline; // until the next event is made
};

struct exchange_sim_market;
struct exchange_sim_inject;
struct exchange_sim_injects;

struct exchange_sim_market_options {
    uint64_t seed;
    bool calm; // fine ticks, and no price leaves MARKET_CALM_PERCENT around where it began
    uint32_t symbols[EXCHANGE_SIM_EXCHANGES];
    uint32_t reserve[EXCHANGE_SIM_EXCHANGES]; // further symbols, not listed yet
    int64_t start_us;                         // UTC
    int64_t history_trades;                   // of all symbols; 0: MARKET_HISTORY_TRADES
    int64_t history_us;                       // wanted of each symbol; 0: MARKET_HISTORY_SECONDS
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
// Aggregate trades are counted and kept, but are no events while nobody wants them.
void exchange_sim_market_want_aggs(struct exchange_sim_market *market, bool wanted);
// What the book has changed since its last depth message, as one: false where that is nothing.
bool exchange_sim_market_rest(struct exchange_sim_market *market, uint32_t symbol, int64_t time_us,
                              struct exchange_sim_market_event *event);
// Evenly distributed, below `limit`; from the market's seed.
uint64_t exchange_sim_market_random(struct exchange_sim_market *market, uint64_t limit);

// ---- what changes by itself only where faults are asked for ----

// A symbol in reserve is listed: its number, UINT32_MAX where there is none left.
uint32_t exchange_sim_market_list(struct exchange_sim_market *market,
                                  enum exchange_sim_exchange exchange);
// The symbol says what it still has to say and trades no more; exchange_sim_market_forget() takes
// it off the list. False where it cannot be now (another is leaving, too few are left).
bool exchange_sim_market_delist(struct exchange_sim_market *market, uint32_t symbol);
void exchange_sim_market_forget(struct exchange_sim_market *market, uint32_t symbol);
// Ids begin anew below all earlier ones: of trades and aggregate trades behind the burst at hand,
// of the book behind its next depth message. False where it cannot be (another is to come, too few
// ids are left below).
bool exchange_sim_market_restart(struct exchange_sim_market *market, uint32_t symbol, bool book);
struct exchange_sim_market_restarted {
    uint32_t symbol;
    bool book;
    int64_t last_id;
    int64_t next_id;
};
// True once for each that has happened.
bool exchange_sim_market_restarted(struct exchange_sim_market *market,
                                   struct exchange_sim_market_restarted *restarted);

// ---- what was asked for (exchange_sim_market_inject.c) ----

// Before the first event; `injects` live as long as the market. False with `why`: no such symbol.
bool exchange_sim_market_inject(struct exchange_sim_market *market,
                                const struct exchange_sim_injects *injects, char *why,
                                size_t why_size);
struct exchange_sim_injected {
    const struct exchange_sim_inject *wanted;
    uint32_t symbol;
    int64_t at_us;      // as asked for
    int64_t begin_us;   // of the event behind it; 0: never began
    int64_t end_us;     // 0: did not end
    int64_t from_price; // best bid, ticks; spread: bid and ask while they are apart
    int64_t to_price;
    int64_t trades;     // meanwhile
    bool whole;         // it began and ended
};
// True once for each that is over; `all`: for the others, too, at the end.
bool exchange_sim_market_injected(struct exchange_sim_market *market, bool all,
                                  struct exchange_sim_injected *told);
void exchange_sim_market_render_injected(const struct exchange_sim_market *market,
                                         const struct exchange_sim_injected *told,
                                         struct exchange_sim_text *text);

// ---- history (exchange_sim_market_history.c): trades count from 0, those kept have numbers
// [exchange_sim_market_oldest(), trade_count) ----

int64_t exchange_sim_market_oldest(const struct exchange_sim_market_symbol *symbol);
static inline const struct exchange_sim_market_trade *
exchange_sim_market_trade_at(const struct exchange_sim_market_symbol *symbol, int64_t number)
{
    return &symbol->trades[(uint64_t)number & (uint64_t)(symbol->trade_capacity - 1)];
}
// NULL where there was none yet.
const struct exchange_sim_market_trade *
exchange_sim_market_last_trade(const struct exchange_sim_market_symbol *symbol);
// Binance: number of the first trade kept whose id (agg_id, time) is `value` or more; trade_count
// where there is none. Ids before the last restart are not looked for.
enum exchange_sim_market_key { MARKET_BY_ID, MARKET_BY_AGG, MARKET_BY_TIME };
int64_t exchange_sim_market_search(const struct exchange_sim_market_symbol *symbol,
                                   enum exchange_sim_market_key key, int64_t value);
// The aggregate trade that begins at trade `number`; returns the number of the trade behind it.
// False in *whole where it may still grow, or has lost its beginning.
int64_t exchange_sim_market_agg_at(const struct exchange_sim_market *market, uint32_t symbol,
                                   int64_t number, struct exchange_sim_market_agg *agg,
                                   bool *whole);

// ---- as text (exchange_sim_market_json.c) ----

// Times in microseconds where asked (Binance only); Upbit in the SIMPLE format.
void exchange_sim_market_render(const struct exchange_sim_market *market,
                                const struct exchange_sim_market_event *event, bool microseconds,
                                struct exchange_sim_text *text);
// A depth message of other changes than the book's own, with their quantities.
void exchange_sim_market_render_window(const struct exchange_sim_market_symbol *symbol,
                                       const struct exchange_sim_market_event *event,
                                       const struct exchange_sim_market_change *changes,
                                       uint32_t count, bool microseconds,
                                       struct exchange_sim_text *text);
int64_t exchange_sim_market_level(const struct exchange_sim_market_symbol *symbol, bool ask,
                                  int64_t price);
// "bids":[..],"asks":[..] (Binance REST and partial depth), `limit` levels of each side.
void exchange_sim_market_render_levels(const struct exchange_sim_market_symbol *symbol,
                                       uint32_t limit, struct exchange_sim_text *text);

#endif
