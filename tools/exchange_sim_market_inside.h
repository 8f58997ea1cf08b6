// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_market_inside: what the files of the made-up market share. Not for others.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_MARKET_INSIDE_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_MARKET_INSIDE_H

#include "format/ensure.h"
#include "tools/exchange_sim_market.h"

enum {
    MARKET_AGGS_READY_MAX = 2, // a trade may end the aggregate before it and its own
    MARKET_CHANGES_FULL = MARKET_CHANGES_MAX - 32, // then a depth message is due
};

struct market_burst {
    uint32_t symbol;
    bool running;
    bool sell;
    int64_t time_us;
};

struct exchange_sim_market {
    uint64_t random;
    uint32_t count;
    struct exchange_sim_market_symbol *symbols;
    uint64_t *weights; // cumulative
    struct market_burst burst;
    struct exchange_sim_market_agg agg; // growing; id 0: none
    struct exchange_sim_market_agg agg_ready[MARKET_AGGS_READY_MAX];
    uint32_t agg_ready_count;
    bool aggs_unwanted;
    struct exchange_sim_market_kline kline_told; // of the last kline event
    uint32_t leaving;                            // symbol being delisted; UINT32_MAX: none
    uint32_t restarting[2];                      // symbol, of trades and of the book; as above
    bool restart_told[2];                        // nothing has happened, or it was asked for
    struct exchange_sim_market_restarted restarted[2];
    int64_t history_used;                        // room for trades, of all symbols
    int64_t history_trades;
    int64_t history_us;
    bool calm;
    struct market_injection *injections; // NULL: none
    uint32_t injection_count;
    bool injections_begun;
};

// splitmix64, by Sebastiano Vigna (public domain). Here, since half of what the market does is
// asking for chances: as a call of another file it costs a tenth of the simulator's throughput.
static inline uint64_t market_random(struct exchange_sim_market *market, uint64_t limit)
{
    uint64_t z = market->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    ensure(limit > 0);
    return (uint64_t)(((unsigned __int128)z * limit) >> 64);
}

static inline bool market_chance(struct exchange_sim_market *market, uint32_t percent)
{
    return market_random(market, 100) < percent;
}

// Over three decades around the symbol's typical quantity, one in four a round number.
static inline int64_t market_quantity(struct exchange_sim_market *market,
                                      const struct exchange_sim_market_symbol *symbol)
{
    static const int64_t scales[] = {1, 3, 10, 30, 100, 300, 1000};
    int64_t const scale = scales[market_random(market, 7)];
    int64_t const most = symbol->quantity_typical * scale / 30 + 2;
    int64_t const quantity = 1 + (int64_t)market_random(market, (uint64_t)most);
    if (quantity < 100 || !market_chance(market, 25))
        return quantity;
    return quantity / 100 * 100;
}

// exchange_sim_market_symbols.c: symbol `index` of its exchange, from the seed.
void exchange_sim_market_make_symbol(struct exchange_sim_market *market,
                                     struct exchange_sim_market_symbol *symbol, uint32_t index,
                                     int64_t start_us);

// exchange_sim_market_book.c: one random change, and what a trade takes of the best level.
void exchange_sim_market_book_step(struct exchange_sim_market *market,
                                   struct exchange_sim_market_symbol *symbol);
void exchange_sim_market_book_take(struct exchange_sim_market *market,
                                   struct exchange_sim_market_symbol *symbol, bool sell,
                                   int64_t quantity);

// The whole book, by so many ticks, its sides so many further apart. Only right behind a depth
// message: it takes all the changes that one can hold.
void exchange_sim_market_book_jump(struct exchange_sim_market_symbol *symbol, int64_t by,
                                   int64_t widen);

// exchange_sim_market_inject.c: times count from now on.
void exchange_sim_market_injections_begin(struct exchange_sim_market *market, int64_t time_us);
// Does what is due of the symbol's injection, outside bursts. True: a depth message has to come
// first.
bool exchange_sim_market_injection_step(struct exchange_sim_market_symbol *symbol, int64_t time_us);

// exchange_sim_market_history.c. False when out of memory.
bool exchange_sim_market_history_open(struct exchange_sim_market *market,
                                      struct exchange_sim_market_symbol *symbol);
void exchange_sim_market_keep(struct exchange_sim_market *market,
                              struct exchange_sim_market_symbol *symbol,
                              const struct exchange_sim_market_trade *trade);

#endif
