// SPDX-License-Identifier: GPL-3.0-or-later
//
// The symbols of the made-up market: names, scales, and how they start.
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_market_inside.h"

enum { CALM_BID_MIN = 100000 }; // so that a tick is nothing

static void symbol_base(uint32_t index, char *base)
{
    static const char *const known[] = {"BTC", "ETH", "XRP", "SOL",  "DOGE", "ADA",  "TRX", "NEXO",
                                        "BNB", "LTC", "DOT", "LINK", "AVAX", "SHIB", "XLM", "ATOM"};
    enum { KNOWN = sizeof known / sizeof known[0] };
    if (index < KNOWN) {
        (void)snprintf(base, MARKET_NAME_SIZE, "%s", known[index]);
        return;
    }
    uint32_t const rest = index - KNOWN;
    (void)snprintf(base, MARKET_NAME_SIZE, "%c%c%cQ", (int)('A' + rest / 676 % 26),
                   (int)('A' + rest / 26 % 26), (int)('A' + rest % 26));
}

static void symbol_name(struct exchange_sim_market_symbol *symbol, uint32_t index)
{
    static const char *const upbit_quotes[] = {"KRW", "KRW", "KRW", "BTC", "USDT"};
    symbol_base(index, symbol->base);
    bool const upbit = symbol->exchange == EXCHANGE_SIM_UPBIT;
    const char *quote = upbit && index > 0 ? upbit_quotes[index % 5] : upbit ? "KRW" : "USDT";
    (void)snprintf(symbol->quote, sizeof symbol->quote, "%s", quote);
    if (upbit)
        (void)snprintf(symbol->name, sizeof symbol->name, "%.6s-%.10s", quote, symbol->base);
    else
        (void)snprintf(symbol->name, sizeof symbol->name, "%.10s%.6s", symbol->base, quote);
}

// Price and quantity scales as the exchange's symbols have them; their sum is at most 8, so that
// quote volumes are exact at 8 places. Upbit quotes volumes at 8 places.
static void symbol_scales(struct exchange_sim_market_symbol *symbol, uint32_t index)
{
    static const int price_scales[] = {2, 2, 4, 2, 5, 4, 5, 3, 2, 2, 6, 8};
    symbol->price_scale = price_scales[index % 12];
    symbol->quantity_scale = symbol->price_scale >= 5 ? 0 : 5 - symbol->price_scale;
    if (symbol->exchange == EXCHANGE_SIM_UPBIT) {
        bool const won = strcmp(symbol->quote, "KRW") == 0;
        symbol->price_scale = !won ? 8 : index % 3 == 2 ? 2 : 0;
        symbol->quantity_scale = 8;
    }
}

static void symbol_start(struct exchange_sim_market *market,
                         struct exchange_sim_market_symbol *symbol, int64_t start_us)
{
    static const int64_t magnitudes[] = {1000, 10000, 100000, 1000000};
    int64_t const magnitude = magnitudes[market_random(market, 4)];
    symbol->bid = magnitude + (int64_t)market_random(market, (uint64_t)magnitude * 9);
    while (market->calm && symbol->bid < CALM_BID_MIN)
        symbol->bid *= 10;
    symbol->calm_around = market->calm ? symbol->bid : 0;
    symbol->spread = 1;
    symbol->quantity_typical = 1000 + (int64_t)market_random(market, 100000);
    if (symbol->exchange == EXCHANGE_SIM_UPBIT)
        symbol->quantity_typical *= 10000;
    for (int i = 0; i < MARKET_LEVELS; i++) {
        symbol->bids[i] = market_quantity(market, symbol);
        symbol->asks[i] = market_quantity(market, symbol);
    }
    symbol->book_id = 20000000 + (int64_t)market_random(market, 50000000000);
    symbol->depth_first = symbol->book_id + 1;
    symbol->depth_previous = symbol->book_id;
    symbol->trade_id = 20000000 + (int64_t)market_random(market, 4000000000);
    symbol->agg_id = symbol->trade_id / 3 * 2;
    symbol->trade_first = symbol->trade_id + 1;
    symbol->open = symbol->high = symbol->low = symbol->bid;
    symbol->opened_us = start_us;
}

void exchange_sim_market_make_symbol(struct exchange_sim_market *market,
                                     struct exchange_sim_market_symbol *symbol, uint32_t index,
                                     int64_t start_us)
{
    ensure(symbol->name[0] == '\0');
    symbol_name(symbol, index);
    symbol_scales(symbol, index);
    symbol_start(market, symbol, start_us);
}
