// SPDX-License-Identifier: GPL-3.0-or-later
//
// The trades that REST still knows. Each symbol has a ring that doubles while it would lose trades
// younger than history_us, as long as all rings together stay within history_trades. So memory goes
// where trades are: at 20,000 events a second over 500 symbols the busiest has 174,000 trades in
// ten minutes, the median 130.
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_market_inside.h"

enum { CAPACITY_START = 64 };

bool exchange_sim_market_history_open(struct exchange_sim_market *market,
                                      struct exchange_sim_market_symbol *symbol)
{
    ensure(symbol->trades == NULL);
    symbol->trades = malloc(CAPACITY_START * sizeof *symbol->trades);
    symbol->trade_capacity = CAPACITY_START;
    market->history_used += CAPACITY_START;
    return symbol->trades != NULL;
}

static bool history_should_grow(const struct exchange_sim_market *market,
                                const struct exchange_sim_market_symbol *symbol, int64_t now_us)
{
    if (symbol->trade_count < symbol->trade_capacity)
        return false;
    if (symbol->trade_capacity < MARKET_TRADES_MIN)
        return true;
    const struct exchange_sim_market_trade *oldest =
        exchange_sim_market_trade_at(symbol, symbol->trade_count);
    return now_us - oldest->time_us < market->history_us &&
           market->history_used + symbol->trade_capacity <= market->history_trades;
}

// Out of memory: the ring stays as it is.
static void history_grow(struct exchange_sim_market *market,
                         struct exchange_sim_market_symbol *symbol)
{
    int64_t const capacity = symbol->trade_capacity * 2;
    struct exchange_sim_market_trade *trades = malloc((size_t)capacity * sizeof *trades);
    if (trades == NULL)
        return;
    for (int64_t n = exchange_sim_market_oldest(symbol); n < symbol->trade_count; n++)
        trades[(uint64_t)n & (uint64_t)(capacity - 1)] = *exchange_sim_market_trade_at(symbol, n);
    free(symbol->trades);
    market->history_used += capacity - symbol->trade_capacity;
    symbol->trades = trades;
    symbol->trade_capacity = capacity;
}

void exchange_sim_market_keep(struct exchange_sim_market *market,
                              struct exchange_sim_market_symbol *symbol,
                              const struct exchange_sim_market_trade *trade)
{
    if (history_should_grow(market, symbol, trade->time_us))
        history_grow(market, symbol);
    uint64_t const mask = (uint64_t)symbol->trade_capacity - 1;
    ensure((symbol->trade_capacity & (int64_t)mask) == 0);
    symbol->trades[(uint64_t)symbol->trade_count++ & mask] = *trade;
}

int64_t exchange_sim_market_oldest(const struct exchange_sim_market_symbol *symbol)
{
    int64_t const oldest = symbol->trade_count - symbol->trade_capacity;
    return oldest < 0 ? 0 : oldest;
}

const struct exchange_sim_market_trade *
exchange_sim_market_last_trade(const struct exchange_sim_market_symbol *symbol)
{
    return symbol->trade_count == 0
               ? NULL
               : exchange_sim_market_trade_at(symbol, symbol->trade_count - 1);
}

static int64_t trade_key(const struct exchange_sim_market_trade *trade,
                         enum exchange_sim_market_key key)
{
    if (key == MARKET_BY_TIME)
        return trade->time_us;
    return key == MARKET_BY_AGG ? trade->agg_id : trade->id;
}

// Settlement trades have no aggregate: they go with the one before them, which may have to be
// looked for a few trades back.
static int64_t key_at(const struct exchange_sim_market_symbol *symbol, int64_t number, int64_t from,
                      enum exchange_sim_market_key key)
{
    int64_t value = trade_key(exchange_sim_market_trade_at(symbol, number), key);
    while (key == MARKET_BY_AGG && value == 0 && number > from)
        value = trade_key(exchange_sim_market_trade_at(symbol, --number), key);
    return value;
}

int64_t exchange_sim_market_search(const struct exchange_sim_market_symbol *symbol,
                                   enum exchange_sim_market_key key, int64_t value)
{
    int64_t low = exchange_sim_market_oldest(symbol);
    if (key != MARKET_BY_TIME && low < symbol->era_count)
        low = symbol->era_count;
    int64_t const from = low;
    int64_t high = symbol->trade_count;
    while (low < high) {
        int64_t const middle = low + (high - low) / 2;
        if (key_at(symbol, middle, from, key) < value)
            low = middle + 1;
        else
            high = middle;
    }
    ensure(low <= symbol->trade_count);
    return low;
}

int64_t exchange_sim_market_agg_at(const struct exchange_sim_market *market, uint32_t number,
                                   int64_t from, struct exchange_sim_market_agg *agg, bool *whole)
{
    const struct exchange_sim_market_symbol *symbol = exchange_sim_market_symbol(market, number);
    const struct exchange_sim_market_trade *trade = exchange_sim_market_trade_at(symbol, from);
    ensure(from < symbol->trade_count);
    *agg = (struct exchange_sim_market_agg){
        .symbol = number,
        .id = trade->agg_id,
        .price = trade->price,
        .first_id = trade->id,
        .time_us = trade->time_us,
        .buyer_maker = trade->buyer_maker,
    };
    bool const begun = trade->agg_start;
    int64_t n = from;
    for (; n < symbol->trade_count; n++) {
        trade = exchange_sim_market_trade_at(symbol, n);
        if (trade->agg_id != agg->id)
            break;
        agg->quantity += trade->quantity;
        agg->last_id = trade->id;
    }
    bool const growing = market->agg.id == agg->id && market->agg.symbol == number;
    *whole = agg->id != 0 && !growing && begun;
    return n;
}
