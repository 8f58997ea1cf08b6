// SPDX-License-Identifier: GPL-3.0-or-later
//
// The books and what moves them.
//
// Invariants of a symbol: every level in bids[] and asks[] is above zero, spread >= 1, bid is well
// above MARKET_LEVELS, so that no price reaches zero. Each change of a level is noted in changes[];
// what a depth message says of a price is what the book holds when the message is made, as the
// exchange does it.
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_market_inside.h"

enum {
    PRICE_MOVES_PERCENT = 25,
    SPREAD_WIDE_PERCENT = 8,
    BID_MIN = 3 * MARKET_LEVELS,
};

static void book_changed(struct exchange_sim_market_symbol *symbol, int64_t price, bool ask)
{
    symbol->book_id++;
    for (uint32_t i = 0; i < symbol->change_count; i++)
        if (symbol->changes[i].price == price && symbol->changes[i].ask == ask)
            return;
    ensure(symbol->change_count < MARKET_CHANGES_MAX);
    symbol->changes[symbol->change_count++] =
        (struct exchange_sim_market_change){.price = price, .ask = ask};
}

static void set_level(struct exchange_sim_market_symbol *symbol, bool ask, int level,
                      int64_t quantity)
{
    ensure(level >= 0 && level < MARKET_LEVELS && quantity > 0);
    (ask ? symbol->asks : symbol->bids)[level] = quantity;
    book_changed(symbol, ask ? symbol->bid + symbol->spread + level : symbol->bid - level, ask);
}

// The best price of one side moves away from the other: its level is gone.
static void side_retreat(struct exchange_sim_market *market,
                         struct exchange_sim_market_symbol *symbol, bool ask)
{
    int64_t *levels = ask ? symbol->asks : symbol->bids;
    memmove(levels, levels + 1, (MARKET_LEVELS - 1) * sizeof *levels);
    levels[MARKET_LEVELS - 1] = market_quantity(market, symbol);
    int64_t const gone = ask ? symbol->bid + symbol->spread : symbol->bid;
    symbol->bid -= ask ? 0 : 1;
    symbol->spread += 1;
    book_changed(symbol, gone, ask);
    book_changed(symbol, ask ? gone + MARKET_LEVELS : gone - MARKET_LEVELS, ask);
}

// The best price of one side moves towards the other: a new level, the farthest drops out.
static void side_advance(struct exchange_sim_market *market,
                         struct exchange_sim_market_symbol *symbol, bool ask)
{
    ensure(symbol->spread > 1);
    int64_t *levels = ask ? symbol->asks : symbol->bids;
    memmove(levels + 1, levels, (MARKET_LEVELS - 1) * sizeof *levels);
    levels[0] = market_quantity(market, symbol);
    symbol->bid += ask ? 0 : 1;
    symbol->spread -= 1;
    int64_t const best = ask ? symbol->bid + symbol->spread : symbol->bid;
    book_changed(symbol, best, ask);
    book_changed(symbol, ask ? best + MARKET_LEVELS : best - MARKET_LEVELS, ask);
}

// The price moves by one tick; as a rule the other side follows at once.
static void price_move(struct exchange_sim_market *market,
                       struct exchange_sim_market_symbol *symbol, bool down)
{
    const int64_t from = symbol->calm_around;
    const int64_t most = from * MARKET_CALM_PERCENT / 100;
    if (down && symbol->bid < BID_MIN)
        return;
    if (from != 0 && (down ? symbol->bid < from - most : symbol->bid > from + most))
        return;
    side_retreat(market, symbol, !down);
    if (!market_chance(market, SPREAD_WIDE_PERCENT) || symbol->spread > 3)
        while (symbol->spread > 1)
            side_advance(market, symbol, down);
}

static void book_tell(struct exchange_sim_market_symbol *symbol)
{
    for (int i = 0; i < MARKET_LEVELS; i++) {
        book_changed(symbol, symbol->bid - i, false);
        book_changed(symbol, symbol->bid + symbol->spread + i, true);
    }
}

void exchange_sim_market_book_jump(struct exchange_sim_market_symbol *symbol, int64_t by,
                                   int64_t widen)
{
    _Static_assert(MARKET_CHANGES_MAX >= 4 * MARKET_LEVELS, "old and new levels of both sides");
    ensure(symbol->change_count == 0);
    ensure(symbol->bid + by > MARKET_LEVELS && symbol->spread + widen > 0);
    book_tell(symbol);
    symbol->bid += by;
    symbol->spread += widen;
    book_tell(symbol);
}

void exchange_sim_market_book_take(struct exchange_sim_market *market,
                                   struct exchange_sim_market_symbol *symbol, bool sell,
                                   int64_t quantity)
{
    int64_t const best = sell ? symbol->bids[0] : symbol->asks[0];
    ensure(quantity <= best);
    if (symbol->change_count > MARKET_CHANGES_FULL)
        return;
    if (market_chance(market, PRICE_MOVES_PERCENT))
        price_move(market, symbol, sell);
    else if (quantity < best)
        set_level(symbol, !sell, 0, best - quantity);
}

static void book_move(struct exchange_sim_market *market,
                      struct exchange_sim_market_symbol *symbol, bool ask)
{
    if (symbol->spread > 1 && market_chance(market, 70))
        side_advance(market, symbol, ask);
    else if (market_chance(market, 6))
        price_move(market, symbol, ask);
}

void exchange_sim_market_book_step(struct exchange_sim_market *market,
                                   struct exchange_sim_market_symbol *symbol)
{
    // A depth message holds all changes, so one is made before they could be too many.
    if (symbol->change_count > MARKET_CHANGES_FULL)
        return;
    bool const ask = market_chance(market, 50);
    if (!symbol->apart)
        book_move(market, symbol, ask);
    int const level =
        market_chance(market, 70) ? 0 : (int)market_random(market, MARKET_LEVELS);
    set_level(symbol, ask, level, market_quantity(market, symbol));
}

