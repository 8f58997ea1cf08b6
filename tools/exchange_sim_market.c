// SPDX-License-Identifier: GPL-3.0-or-later
//
// The books and what moves them.
//
// Invariants of a symbol: every level in bids[] and asks[] is above zero, spread >= 1, bid is well
// above MARKET_LEVELS, so that no price reaches zero. Each change of a level is noted in changes[];
// what a depth message says of a price is what the book holds when the message is made, as the
// exchange does it.
#include "tools/exchange_sim_market.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/ensure.h"

enum {
    BURST_CONTINUES_PERCENT = 67,
    PRICE_MOVES_PERCENT = 25,
    SPREAD_WIDE_PERCENT = 8,
    BID_MIN = 3 * MARKET_LEVELS,
};

// Chances of each kind of step, out of 1,000. A trade step is a burst of three on average.
static const uint16_t binance_steps[MARKET_KINDS] = {90, 790, 100, 0, 20};
static const uint16_t upbit_steps[MARKET_KINDS] = {160, 0, 0, 780, 60};

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
    struct exchange_sim_market_trade *trades;
    uint64_t *weights; // cumulative
    struct market_burst burst;
};

static const char *const exchange_names[EXCHANGE_SIM_EXCHANGES] = {"binance", "binance-usdm",
                                                                   "upbit"};

const char *exchange_sim_exchange_name(enum exchange_sim_exchange exchange)
{
    ensure(exchange < EXCHANGE_SIM_EXCHANGES);
    return exchange_names[exchange];
}

enum exchange_sim_exchange exchange_sim_exchange_by_name(const char *name, uint32_t size)
{
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        if (strlen(exchange_names[i]) == size && memcmp(exchange_names[i], name, size) == 0)
            return (enum exchange_sim_exchange)i;
    return EXCHANGE_SIM_EXCHANGES;
}

// splitmix64, by Sebastiano Vigna (public domain).
static uint64_t random_next(struct exchange_sim_market *market)
{
    uint64_t z = market->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t exchange_sim_market_random(struct exchange_sim_market *market, uint64_t limit)
{
    ensure(limit > 0);
    return (uint64_t)(((unsigned __int128)random_next(market) * limit) >> 64);
}

static bool chance(struct exchange_sim_market *market, uint32_t percent)
{
    return exchange_sim_market_random(market, 100) < percent;
}

// Over three decades around the symbol's typical quantity, one in four a round number.
static int64_t random_quantity(struct exchange_sim_market *market,
                               const struct exchange_sim_market_symbol *symbol)
{
    static const int64_t scales[] = {1, 3, 10, 30, 100, 300, 1000};
    int64_t const scale = scales[exchange_sim_market_random(market, 7)];
    int64_t const most = symbol->quantity_typical * scale / 30 + 2;
    int64_t const quantity = 1 + (int64_t)exchange_sim_market_random(market, (uint64_t)most);
    if (quantity < 100 || !chance(market, 25))
        return quantity;
    return quantity / 100 * 100;
}

// ---- making symbols ----

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
    int64_t const magnitude = magnitudes[exchange_sim_market_random(market, 4)];
    symbol->bid = magnitude + (int64_t)exchange_sim_market_random(market, (uint64_t)magnitude * 9);
    symbol->spread = 1;
    symbol->quantity_typical = 1000 + (int64_t)exchange_sim_market_random(market, 100000);
    if (symbol->exchange == EXCHANGE_SIM_UPBIT)
        symbol->quantity_typical *= 10000;
    for (int i = 0; i < MARKET_LEVELS; i++) {
        symbol->bids[i] = random_quantity(market, symbol);
        symbol->asks[i] = random_quantity(market, symbol);
    }
    symbol->book_id = 1000000 + (int64_t)exchange_sim_market_random(market, 50000000000);
    symbol->depth_first = symbol->book_id + 1;
    symbol->depth_previous = symbol->book_id;
    symbol->trade_id = 1000 + (int64_t)exchange_sim_market_random(market, 4000000000);
    symbol->trade_first = symbol->trade_id + 1;
    symbol->open = symbol->high = symbol->low = symbol->bid;
    symbol->opened_us = start_us;
}

static bool market_allocate(struct exchange_sim_market *market)
{
    size_t const count = market->count;
    market->symbols = calloc(count, sizeof *market->symbols);
    market->weights = calloc(count, sizeof *market->weights);
    market->trades = calloc(count * MARKET_TRADES_KEPT, sizeof *market->trades);
    return market->symbols != NULL && market->weights != NULL && market->trades != NULL;
}

struct exchange_sim_market *
exchange_sim_market_open(const struct exchange_sim_market_options *options)
{
    struct exchange_sim_market *market = calloc(1, sizeof *market);
    if (market == NULL)
        return NULL;
    market->random = options->seed;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        market->count += options->symbols[i];
    ensure(market->count > 0 && market->count <= MARKET_SYMBOLS_MAX);
    if (!market_allocate(market)) {
        exchange_sim_market_close(market);
        return NULL;
    }
    uint32_t number = 0;
    uint64_t weight = 0;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        for (uint32_t index = 0; index < options->symbols[i]; index++, number++) {
            struct exchange_sim_market_symbol *symbol = &market->symbols[number];
            symbol->exchange = (enum exchange_sim_exchange)i;
            symbol->trades = market->trades + (size_t)number * MARKET_TRADES_KEPT;
            symbol_name(symbol, index);
            symbol_scales(symbol, index);
            symbol_start(market, symbol, options->start_us);
            weight += 1000000000u / (index + 3); // Zipf, the head flattened by an offset
            market->weights[number] = weight;
        }
    return market;
}

void exchange_sim_market_close(struct exchange_sim_market *market)
{
    if (market == NULL)
        return;
    free(market->symbols);
    free(market->weights);
    free(market->trades);
    free(market);
}

uint32_t exchange_sim_market_count(const struct exchange_sim_market *market)
{
    return market->count;
}

const struct exchange_sim_market_symbol *
exchange_sim_market_symbol(const struct exchange_sim_market *market, uint32_t symbol)
{
    ensure(symbol < market->count);
    return &market->symbols[symbol];
}

uint32_t exchange_sim_market_find(const struct exchange_sim_market *market,
                                  enum exchange_sim_exchange exchange, const char *name)
{
    for (uint32_t i = 0; i < market->count; i++)
        if (market->symbols[i].exchange == exchange &&
            strcasecmp(market->symbols[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

// ---- moving books ----

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
    levels[MARKET_LEVELS - 1] = random_quantity(market, symbol);
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
    levels[0] = random_quantity(market, symbol);
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
    if (down && symbol->bid < BID_MIN)
        return;
    side_retreat(market, symbol, !down);
    if (!chance(market, SPREAD_WIDE_PERCENT) || symbol->spread > 3)
        while (symbol->spread > 1)
            side_advance(market, symbol, down);
}

static void book_step(struct exchange_sim_market *market, struct exchange_sim_market_symbol *symbol)
{
    // A depth message holds all changes, so one is made before they could be too many.
    if (symbol->change_count > MARKET_CHANGES_MAX - 32)
        return;
    bool const ask = chance(market, 50);
    if (symbol->spread > 1 && chance(market, 70))
        side_advance(market, symbol, ask);
    else if (chance(market, 6))
        price_move(market, symbol, ask);
    int const level =
        chance(market, 70) ? 0 : (int)exchange_sim_market_random(market, MARKET_LEVELS);
    set_level(symbol, ask, level, random_quantity(market, symbol));
}

// ---- events ----

static void trade_account(struct exchange_sim_market_symbol *symbol,
                          const struct exchange_sim_market_trade *trade)
{
    if (trade->price == 0)
        return;
    symbol->volume += trade->quantity;
    symbol->quote_volume += (__int128)trade->price * trade->quantity;
    symbol->high = trade->price > symbol->high ? trade->price : symbol->high;
    symbol->low = trade->price < symbol->low ? trade->price : symbol->low;
}

// Upbit's sequential_id: milliseconds and a counter, unique but no order: a few late trades of the
// second before are among them.
static int64_t trade_next_id(struct exchange_sim_market *market,
                             struct exchange_sim_market_symbol *symbol, int64_t *time_us)
{
    if (symbol->exchange != EXCHANGE_SIM_UPBIT)
        return ++symbol->trade_id;
    if (exchange_sim_market_random(market, 50) == 0) {
        *time_us -= 1000000;
        return *time_us / 1000 * 10000 + 5000 + symbol->trade_count % 5000;
    }
    int64_t const earliest = *time_us / 1000 * 10000;
    symbol->trade_id = symbol->trade_id < earliest ? earliest : symbol->trade_id + 1;
    return symbol->trade_id;
}

static void market_trade(struct exchange_sim_market *market,
                         struct exchange_sim_market_symbol *symbol,
                         struct exchange_sim_market_event *event)
{
    bool const sell = market->burst.sell;
    struct exchange_sim_market_trade *trade = &event->trade;
    int64_t const best = sell ? symbol->bids[0] : symbol->asks[0];
    *trade = (struct exchange_sim_market_trade){
        .price = sell ? symbol->bid : symbol->bid + symbol->spread,
        .quantity = random_quantity(market, symbol),
        .time_us = market->burst.time_us,
        .buyer_maker = sell,
    };
    trade->id = trade_next_id(market, symbol, &trade->time_us);
    // Settlement trades of futures come without price and quantity.
    if (symbol->exchange == EXCHANGE_SIM_USDM && exchange_sim_market_random(market, 5000) == 0)
        trade->price = trade->quantity = 0;
    if (trade->quantity > best)
        trade->quantity = best;
    if (symbol->change_count <= MARKET_CHANGES_MAX - 32) {
        if (chance(market, PRICE_MOVES_PERCENT))
            price_move(market, symbol, sell);
        else if (trade->quantity < best)
            set_level(symbol, !sell, 0, best - trade->quantity);
    }
    trade_account(symbol, trade);
    symbol->trades[(uint64_t)symbol->trade_count++ % MARKET_TRADES_KEPT] = *trade;
    event->id = trade->id;
}

static void market_depth(struct exchange_sim_market_symbol *symbol,
                         struct exchange_sim_market_event *event)
{
    event->id = symbol->book_id;
    event->first_id = symbol->depth_first;
    event->previous_id = symbol->depth_previous;
    ensure(event->first_id <= event->id);
    symbol->depth_made = true;
}

static uint32_t market_pick(struct exchange_sim_market *market)
{
    uint64_t const at = exchange_sim_market_random(market, market->weights[market->count - 1]);
    uint32_t low = 0;
    for (uint32_t high = market->count - 1; low < high;) {
        uint32_t const middle = (low + high) / 2;
        if (market->weights[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static enum exchange_sim_market_kind market_pick_kind(struct exchange_sim_market *market,
                                                      enum exchange_sim_exchange exchange)
{
    const uint16_t *steps = exchange == EXCHANGE_SIM_UPBIT ? upbit_steps : binance_steps;
    uint64_t at = exchange_sim_market_random(market, 1000);
    for (int kind = 0; kind < MARKET_KINDS; kind++) {
        if (at < steps[kind])
            return (enum exchange_sim_market_kind)kind;
        at -= steps[kind];
    }
    ensure(false);
    return MARKET_TRADE;
}

// A depth message has been made: the next one begins behind it. Done at the next step, since
// rendering wants the changes.
static void depth_settle(struct exchange_sim_market_symbol *symbol)
{
    symbol->depth_made = false;
    symbol->change_count = 0;
    symbol->depth_previous = symbol->book_id;
    symbol->depth_first = symbol->book_id + 1;
}

static void market_begin_burst(struct exchange_sim_market *market, uint32_t symbol, int64_t time_us)
{
    market->burst = (struct market_burst){
        .symbol = symbol,
        .running = true,
        .sell = chance(market, 50),
        .time_us = time_us,
    };
}

void exchange_sim_market_next(struct exchange_sim_market *market, int64_t time_us,
                              struct exchange_sim_market_event *event)
{
    uint32_t number = market->burst.symbol;
    enum exchange_sim_market_kind kind = MARKET_TRADE;
    if (!market->burst.running) {
        number = market_pick(market);
        kind = market_pick_kind(market, market->symbols[number].exchange);
        if (kind == MARKET_TRADE)
            market_begin_burst(market, number, time_us);
    }
    struct exchange_sim_market_symbol *symbol = &market->symbols[number];
    bool const binance = symbol->exchange != EXCHANGE_SIM_UPBIT;
    if (symbol->depth_made || !binance)
        depth_settle(symbol);
    if (symbol->change_count > MARKET_CHANGES_MAX - 32)
        kind = MARKET_DEPTH;
    *event =
        (struct exchange_sim_market_event){.symbol = number, .kind = kind, .event_us = time_us};
    switch (kind) {
    case MARKET_TRADE:
        market_trade(market, symbol, event);
        market->burst.running = chance(market, BURST_CONTINUES_PERCENT);
        break;
    case MARKET_QUOTE:
    case MARKET_BOOK:
        book_step(market, symbol);
        event->id = binance ? symbol->book_id : 0;
        break;
    case MARKET_DEPTH:
        if (symbol->change_count == 0)
            book_step(market, symbol);
        market_depth(symbol, event);
        break;
    case MARKET_TICKER:
    case MARKET_KINDS:
        break;
    }
}
