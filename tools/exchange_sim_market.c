// SPDX-License-Identifier: GPL-3.0-or-later
//
// What happens next, to which symbol. Trades of a burst follow each other without anything between
// them but the aggregate trades they complete.
#include "tools/exchange_sim_market.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/ensure.h"
#include "tools/exchange_sim_market_inside.h"

#define MINUTE_US ((int64_t)60000000)

enum {
    BURST_CONTINUES_PERCENT = 67,
    TRADING_MIN_PERCENT = 50, // of an exchange's symbols; no more are delisted
    IDS_BELOW_MIN = 2000000,  // a restart wants that many unused ids
};

// Chances of each kind of step, out of 1,000. A trade step is a burst of three on average.
static const uint16_t binance_steps[MARKET_KINDS] = {90, 775, 100, 0, 20, 0, 15};
static const uint16_t upbit_steps[MARKET_KINDS] = {160, 0, 0, 780, 60, 0, 0};

uint64_t exchange_sim_market_random(struct exchange_sim_market *market, uint64_t limit)
{
    return market_random(market, limit);
}

// ---- life ----

static bool market_make(struct exchange_sim_market *market,
                        const struct exchange_sim_market_options *options)
{
    uint32_t number = 0;
    uint64_t weight = 0;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        for (uint32_t index = 0; index < options->symbols[i] + options->reserve[i];
             index++, number++) {
            struct exchange_sim_market_symbol *symbol = &market->symbols[number];
            symbol->exchange = (enum exchange_sim_exchange)i;
            symbol->reserve = index >= options->symbols[i];
            symbol->listed = symbol->trading = !symbol->reserve;
            if (!exchange_sim_market_history_open(market, symbol))
                return false;
            exchange_sim_market_make_symbol(market, symbol, index, options->start_us);
            weight += 1000000000u / (index + 3); // Zipf, the head flattened by an offset
            market->weights[number] = weight;
        }
    ensure(number == market->count);
    return true;
}

struct exchange_sim_market *
exchange_sim_market_open(const struct exchange_sim_market_options *options)
{
    struct exchange_sim_market *market = calloc(1, sizeof *market);
    if (market == NULL)
        return NULL;
    market->random = options->seed;
    market->calm = options->calm;
    market->leaving = market->restarting[0] = market->restarting[1] = UINT32_MAX;
    market->restart_told[0] = market->restart_told[1] = true;
    market->history_trades =
        options->history_trades > 0 ? options->history_trades : MARKET_HISTORY_TRADES;
    market->history_us = options->history_us > 0 ? options->history_us
                                                 : (int64_t)MARKET_HISTORY_SECONDS * 1000000;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        market->count += options->symbols[i] + options->reserve[i];
    ensure(market->count > 0 && market->count <= MARKET_SYMBOLS_MAX);
    market->symbols = calloc(market->count, sizeof *market->symbols);
    market->weights = calloc(market->count, sizeof *market->weights);
    if (market->symbols != NULL && market->weights != NULL && market_make(market, options))
        return market;
    exchange_sim_market_close(market);
    return NULL;
}

void exchange_sim_market_close(struct exchange_sim_market *market)
{
    if (market == NULL)
        return;
    for (uint32_t i = 0; market->symbols != NULL && i < market->count; i++)
        free(market->symbols[i].trades);
    free(market->symbols);
    free(market->weights);
    free(market->injections);
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

// ---- trades ----

// Upbit's sequential_id: milliseconds and a counter, unique but no order: a few late trades of the
// second before are among them.
static int64_t trade_next_id(struct exchange_sim_market *market,
                             struct exchange_sim_market_symbol *symbol, int64_t *time_us)
{
    if (symbol->exchange != EXCHANGE_SIM_UPBIT)
        return ++symbol->trade_id;
    if (market_random(market, 50) == 0) {
        *time_us -= 1000000;
        return *time_us / 1000 * 10000 + 5000 + symbol->trade_count % 5000;
    }
    int64_t const earliest = *time_us / 1000 * 10000;
    symbol->trade_id = symbol->trade_id < earliest ? earliest : symbol->trade_id + 1;
    return symbol->trade_id;
}

static void kline_account(struct exchange_sim_market_kline *kline,
                          const struct exchange_sim_market_trade *trade)
{
    __int128 const value = (__int128)trade->price * trade->quantity;
    if (kline->count == 0)
        *kline = (struct exchange_sim_market_kline){
            .open_us = trade->time_us / MINUTE_US * MINUTE_US,
            .open = trade->price,
            .high = trade->price,
            .low = trade->price,
            .first_id = trade->id,
        };
    kline->high = trade->price > kline->high ? trade->price : kline->high;
    kline->low = trade->price < kline->low ? trade->price : kline->low;
    kline->close = trade->price;
    kline->last_id = trade->id;
    kline->count++;
    kline->volume += trade->quantity;
    kline->quote_volume += value;
    kline->taker_volume += trade->buyer_maker ? 0 : trade->quantity;
    kline->taker_quote_volume += trade->buyer_maker ? 0 : value;
}

static void trade_account(struct exchange_sim_market_symbol *symbol,
                          const struct exchange_sim_market_trade *trade)
{
    if (trade->price == 0)
        return;
    symbol->volume += trade->quantity;
    symbol->quote_volume += (__int128)trade->price * trade->quantity;
    symbol->high = trade->price > symbol->high ? trade->price : symbol->high;
    symbol->low = trade->price < symbol->low ? trade->price : symbol->low;
    if (symbol->exchange != EXCHANGE_SIM_UPBIT)
        kline_account(&symbol->kline, trade);
}

static void agg_end(struct exchange_sim_market *market)
{
    if (market->agg.id == 0)
        return;
    ensure(market->agg_ready_count < MARKET_AGGS_READY_MAX);
    if (!market->aggs_unwanted)
        market->agg_ready[market->agg_ready_count++] = market->agg;
    market->agg.id = 0;
}

// The trade joins the aggregate trade before it or begins the next. Settlement trades are in none.
static void agg_account(struct exchange_sim_market *market, uint32_t number,
                        struct exchange_sim_market_trade *trade)
{
    struct exchange_sim_market_agg *agg = &market->agg;
    if (agg->id != 0 && (trade->price != agg->price || trade->price == 0))
        agg_end(market);
    if (trade->price == 0)
        return;
    if (agg->id == 0) {
        trade->agg_start = true;
        *agg = (struct exchange_sim_market_agg){
            .symbol = number,
            .id = ++market->symbols[number].agg_id,
            .price = trade->price,
            .first_id = trade->id,
            .time_us = trade->time_us,
            .buyer_maker = trade->buyer_maker,
        };
    }
    ensure(agg->symbol == number);
    agg->quantity += trade->quantity;
    agg->last_id = trade->id;
    trade->agg_id = agg->id;
}

static void market_trade(struct exchange_sim_market *market, uint32_t number,
                         struct exchange_sim_market_event *event)
{
    struct exchange_sim_market_symbol *symbol = &market->symbols[number];
    bool const sell = market->burst.sell;
    struct exchange_sim_market_trade *trade = &event->trade;
    int64_t const best = sell ? symbol->bids[0] : symbol->asks[0];
    *trade = (struct exchange_sim_market_trade){
        .price = sell ? symbol->bid : symbol->bid + symbol->spread,
        .quantity = market_quantity(market, symbol),
        .time_us = market->burst.time_us,
        .buyer_maker = sell,
    };
    trade->id = trade_next_id(market, symbol, &trade->time_us);
    // Settlement trades of futures come without price and quantity.
    if (symbol->exchange == EXCHANGE_SIM_USDM && market_random(market, 5000) == 0)
        trade->price = trade->quantity = 0;
    if (trade->quantity > best)
        trade->quantity = best;
    exchange_sim_market_book_take(market, symbol, sell, trade->quantity);
    if (symbol->quantity_ppm != 0) // more than the book shows, as of icebergs
        trade->quantity = (int64_t)((__int128)trade->quantity * symbol->quantity_ppm / 1000000);
    trade_account(symbol, trade);
    if (symbol->exchange != EXCHANGE_SIM_UPBIT)
        agg_account(market, number, trade);
    exchange_sim_market_keep(market, symbol, trade);
    event->id = trade->id;
    market->burst.running = market_chance(market, BURST_CONTINUES_PERCENT);
    if (!market->burst.running)
        agg_end(market);
}

static void market_agg(struct exchange_sim_market *market, struct exchange_sim_market_event *event)
{
    ensure(market->agg_ready_count > 0);
    event->agg = market->agg_ready[0];
    event->symbol = event->agg.symbol;
    event->kind = MARKET_AGG;
    event->id = event->agg.id;
    market->agg_ready[0] = market->agg_ready[1];
    market->agg_ready_count--;
}

// ---- events ----

static void market_depth(struct exchange_sim_market_symbol *symbol,
                         struct exchange_sim_market_event *event)
{
    event->kind = MARKET_DEPTH;
    event->id = symbol->book_id;
    event->first_id = symbol->depth_first;
    event->previous_id = symbol->depth_previous;
    ensure(event->first_id <= event->id);
    symbol->depth_made = true;
}

static uint32_t market_pick_any(struct exchange_sim_market *market)
{
    uint64_t const at = market_random(market, market->weights[market->count - 1]);
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

static uint32_t market_pick(struct exchange_sim_market *market)
{
    uint32_t number = market_pick_any(market);
    while (!market->symbols[number].trading)
        number = market_pick_any(market);
    return number;
}

static enum exchange_sim_market_kind market_pick_kind(struct exchange_sim_market *market,
                                                      enum exchange_sim_exchange exchange)
{
    const uint16_t *steps = exchange == EXCHANGE_SIM_UPBIT ? upbit_steps : binance_steps;
    uint64_t at = market_random(market, 1000);
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

static void restart_note(struct exchange_sim_market *market, bool book, int64_t last_id,
                         int64_t next_id)
{
    ensure(market->restart_told[book] && next_id < last_id);
    market->restarted[book] = (struct exchange_sim_market_restarted){
        .symbol = market->restarting[book], .book = book, .last_id = last_id, .next_id = next_id};
    market->restart_told[book] = false;
    market->restarting[book] = UINT32_MAX;
}

// Between two bursts.
static void restart_trades(struct exchange_sim_market *market)
{
    struct exchange_sim_market_symbol *symbol = &market->symbols[market->restarting[0]];
    int64_t const last_id = symbol->trade_id;
    symbol->trade_id = symbol->trade_first / 2;
    symbol->trade_first = symbol->trade_id + 1;
    symbol->agg_id /= 2;
    symbol->era_count = symbol->trade_count;
    restart_note(market, false, last_id, symbol->trade_first);
}

// Behind a depth message, so that none has ids of both kinds.
static void restart_book(struct exchange_sim_market *market)
{
    struct exchange_sim_market_symbol *symbol = &market->symbols[market->restarting[1]];
    int64_t const last_id = symbol->book_id;
    symbol->book_id /= 2;
    depth_settle(symbol);
    restart_note(market, true, last_id, symbol->book_id + 1);
}

static void market_begin_burst(struct exchange_sim_market *market, uint32_t symbol, int64_t time_us)
{
    market->burst = (struct market_burst){
        .symbol = symbol,
        .running = true,
        .sell = market_chance(market, 50),
        .time_us = time_us,
    };
}

static bool kline_over(const struct exchange_sim_market_symbol *symbol, int64_t time_us)
{
    return symbol->kline.count > 0 && time_us - symbol->kline.open_us >= MINUTE_US;
}

static void market_kline(struct exchange_sim_market *market,
                         struct exchange_sim_market_symbol *symbol,
                         struct exchange_sim_market_event *event, bool closed)
{
    ensure(symbol->kline.count > 0);
    market->kline_told = symbol->kline;
    event->kind = MARKET_KLINE;
    event->kline = &market->kline_told;
    event->closed = closed;
    if (closed)
        symbol->kline.count = 0;
}

// One step of a symbol that is in no burst.
static void market_step(struct exchange_sim_market *market, uint32_t number,
                        struct exchange_sim_market_event *event)
{
    struct exchange_sim_market_symbol *symbol = &market->symbols[number];
    switch (event->kind) {
    case MARKET_TRADE:
        market_begin_burst(market, number, event->event_us);
        market_trade(market, number, event);
        break;
    case MARKET_QUOTE:
    case MARKET_BOOK:
        exchange_sim_market_book_step(market, symbol);
        event->id = symbol->exchange == EXCHANGE_SIM_UPBIT ? 0 : symbol->book_id;
        break;
    case MARKET_DEPTH:
        if (symbol->change_count == 0)
            exchange_sim_market_book_step(market, symbol);
        market_depth(symbol, event);
        break;
    case MARKET_KLINE:
        if (symbol->kline.count > 0)
            market_kline(market, symbol, event, false);
        else
            event->kind = MARKET_TICKER;
        break;
    case MARKET_TICKER:
    case MARKET_AGG:
    case MARKET_KINDS:
        break;
    }
}

// What a symbol being delisted still has to say; true where that was something.
static bool market_leave(struct exchange_sim_market *market,
                         struct exchange_sim_market_event *event)
{
    struct exchange_sim_market_symbol *symbol = &market->symbols[market->leaving];
    event->symbol = market->leaving;
    if (symbol->depth_made || symbol->exchange == EXCHANGE_SIM_UPBIT)
        depth_settle(symbol);
    if (symbol->change_count > 0) {
        market_depth(symbol, event);
        return true;
    }
    market->leaving = UINT32_MAX;
    symbol->trading = false;
    if (symbol->kline.count == 0)
        return false;
    market_kline(market, symbol, event, true);
    return true;
}

void exchange_sim_market_next(struct exchange_sim_market *market, int64_t time_us,
                              struct exchange_sim_market_event *event)
{
    *event = (struct exchange_sim_market_event){.kind = MARKET_TRADE, .event_us = time_us};
    if (market->agg_ready_count > 0) {
        market_agg(market, event);
        return;
    }
    bool const burst = market->burst.running;
    if (market->injections != NULL && !market->injections_begun)
        exchange_sim_market_injections_begin(market, time_us);
    if (!burst && market->leaving != UINT32_MAX && market_leave(market, event))
        return;
    if (!burst && market->restarting[0] != UINT32_MAX)
        restart_trades(market);
    uint32_t const number = burst ? market->burst.symbol : market_pick(market);
    struct exchange_sim_market_symbol *symbol = &market->symbols[number];
    event->symbol = number;
    if (symbol->depth_made && number == market->restarting[1])
        restart_book(market);
    else if (symbol->depth_made || symbol->exchange == EXCHANGE_SIM_UPBIT)
        depth_settle(symbol);
    if (burst) {
        market_trade(market, number, event);
        return;
    }
    if (kline_over(symbol, time_us)) {
        market_kline(market, symbol, event, true);
        return;
    }
    bool const depth_first =
        symbol->injection != NULL && exchange_sim_market_injection_step(symbol, time_us);
    event->kind = market_pick_kind(market, symbol->exchange);
    if (symbol->apart && event->kind == MARKET_TRADE)
        event->kind = symbol->exchange == EXCHANGE_SIM_UPBIT ? MARKET_BOOK : MARKET_QUOTE;
    if (depth_first || symbol->change_count > MARKET_CHANGES_FULL)
        event->kind = MARKET_DEPTH;
    market_step(market, number, event);
}

void exchange_sim_market_want_aggs(struct exchange_sim_market *market, bool wanted)
{
    ensure(market->agg_ready_count <= MARKET_AGGS_READY_MAX);
    market->aggs_unwanted = !wanted;
}

bool exchange_sim_market_rest(struct exchange_sim_market *market, uint32_t number, int64_t time_us,
                              struct exchange_sim_market_event *event)
{
    ensure(number < market->count);
    struct exchange_sim_market_symbol *symbol = &market->symbols[number];
    if (symbol->exchange == EXCHANGE_SIM_UPBIT)
        return false;
    if (symbol->depth_made)
        depth_settle(symbol);
    if (symbol->change_count == 0)
        return false;
    *event = (struct exchange_sim_market_event){.symbol = number, .event_us = time_us};
    market_depth(symbol, event);
    return true;
}

// ---- changes of the market itself ----

uint32_t exchange_sim_market_list(struct exchange_sim_market *market,
                                  enum exchange_sim_exchange exchange)
{
    ensure(exchange < EXCHANGE_SIM_EXCHANGES);
    for (uint32_t i = 0; i < market->count; i++) {
        struct exchange_sim_market_symbol *symbol = &market->symbols[i];
        if (symbol->exchange != exchange || !symbol->reserve)
            continue;
        symbol->reserve = false;
        symbol->listed = symbol->trading = true;
        return i;
    }
    return UINT32_MAX;
}

bool exchange_sim_market_delist(struct exchange_sim_market *market, uint32_t number)
{
    ensure(number < market->count);
    uint32_t all = 0;
    uint32_t trading = 0;
    for (uint32_t i = 0; i < market->count; i++)
        if (market->symbols[i].exchange == market->symbols[number].exchange) {
            all++;
            trading += market->symbols[i].trading;
        }
    if (market->leaving != UINT32_MAX || !market->symbols[number].trading ||
        trading * 100 <= all * TRADING_MIN_PERCENT)
        return false;
    market->leaving = number;
    return true;
}

void exchange_sim_market_forget(struct exchange_sim_market *market, uint32_t number)
{
    ensure(number < market->count);
    if (!market->symbols[number].trading)
        market->symbols[number].listed = false;
}

bool exchange_sim_market_restart(struct exchange_sim_market *market, uint32_t number, bool book)
{
    ensure(number < market->count);
    const struct exchange_sim_market_symbol *symbol = &market->symbols[number];
    if (symbol->exchange == EXCHANGE_SIM_UPBIT || !symbol->trading ||
        market->restarting[book] != UINT32_MAX || !market->restart_told[book] ||
        (book ? symbol->book_id : symbol->trade_first) < IDS_BELOW_MIN)
        return false;
    market->restarting[book] = number;
    return true;
}

bool exchange_sim_market_restarted(struct exchange_sim_market *market,
                                   struct exchange_sim_market_restarted *restarted)
{
    for (int book = 0; book < 2; book++) {
        if (market->restart_told[book])
            continue;
        *restarted = market->restarted[book];
        market->restart_told[book] = true;
        return true;
    }
    return false;
}
