// SPDX-License-Identifier: GPL-3.0-or-later
//
// Events of the made-up market as the exchanges write them: key order, number spelling, no white
// space.
#include "tools/exchange_sim_market.h"

#include "format/ensure.h"

struct render {
    const struct exchange_sim_market_symbol *symbol;
    const struct exchange_sim_market_event *event;
    const struct exchange_sim_market_change *changes; // NULL: the book's own
    uint32_t change_count;
    bool microseconds;
    struct exchange_sim_text *out;
};

static void put_time(const struct render *r, int64_t us)
{
    exchange_sim_text_integer(r->out, r->microseconds ? us : us / 1000);
}

// Spot prints eight places always, futures as many as the tick has.
static void put_price(const struct render *r, int64_t ticks)
{
    int const scale = r->symbol->price_scale;
    EXCHANGE_SIM_TEXT(r->out, "\"");
    exchange_sim_text_decimal(r->out, ticks, scale,
                              r->symbol->exchange == EXCHANGE_SIM_BINANCE ? 8 : scale);
    EXCHANGE_SIM_TEXT(r->out, "\"");
}

static void put_quantity(const struct render *r, int64_t steps)
{
    int const scale = r->symbol->quantity_scale;
    EXCHANGE_SIM_TEXT(r->out, "\"");
    exchange_sim_text_decimal(r->out, steps, scale,
                              r->symbol->exchange == EXCHANGE_SIM_BINANCE ? 8 : scale);
    EXCHANGE_SIM_TEXT(r->out, "\"");
}

#define PUT(r, literal) EXCHANGE_SIM_TEXT((r)->out, literal)
#define PUT_TIME(r, key, us) (PUT(r, ",\"" key "\":"), put_time(r, us))
#define PUT_INTEGER(r, key, value)                                                                 \
    (PUT(r, ",\"" key "\":"), exchange_sim_text_integer((r)->out, value))
#define PUT_PRICE(r, key, ticks) (PUT(r, ",\"" key "\":"), put_price(r, ticks))
#define PUT_QUANTITY(r, key, steps) (PUT(r, ",\"" key "\":"), put_quantity(r, steps))

static void put_symbol(const struct render *r)
{
    PUT(r, ",\"s\":\"");
    exchange_sim_text_string(r->out, r->symbol->name);
    PUT(r, "\"");
}

static void binance_trade(const struct render *r)
{
    const struct exchange_sim_market_trade *trade = &r->event->trade;
    bool const futures = r->symbol->exchange == EXCHANGE_SIM_USDM;
    PUT(r, "{\"e\":\"trade\"");
    PUT_TIME(r, "E", r->event->event_us);
    if (futures)
        PUT_TIME(r, "T", trade->time_us);
    put_symbol(r);
    PUT_INTEGER(r, "t", trade->id);
    PUT_PRICE(r, "p", trade->price);
    PUT_QUANTITY(r, "q", trade->quantity);
    if (!futures)
        PUT_TIME(r, "T", trade->time_us);
    else if (trade->price == 0)
        PUT(r, ",\"X\":\"NA\"");
    else
        PUT(r, ",\"X\":\"MARKET\"");
    exchange_sim_text_string(r->out, trade->buyer_maker ? ",\"m\":true" : ",\"m\":false");
    exchange_sim_text_string(r->out, futures ? "}" : ",\"M\":true}");
}

static void binance_quote(const struct render *r)
{
    const struct exchange_sim_market_symbol *symbol = r->symbol;
    bool const futures = symbol->exchange == EXCHANGE_SIM_USDM;
    exchange_sim_text_string(r->out, futures ? "{\"e\":\"bookTicker\",\"u\":" : "{\"u\":");
    exchange_sim_text_integer(r->out, r->event->id);
    put_symbol(r);
    PUT_PRICE(r, "b", symbol->bid);
    PUT_QUANTITY(r, "B", symbol->bids[0]);
    PUT_PRICE(r, "a", symbol->bid + symbol->spread);
    PUT_QUANTITY(r, "A", symbol->asks[0]);
    if (futures) {
        PUT_TIME(r, "T", r->event->event_us - 1000);
        PUT_TIME(r, "E", r->event->event_us);
    }
    PUT(r, "}");
}

int64_t exchange_sim_market_level(const struct exchange_sim_market_symbol *symbol, bool ask,
                                  int64_t price)
{
    int64_t const level = ask ? price - symbol->bid - symbol->spread : symbol->bid - price;
    if (level < 0 || level >= MARKET_LEVELS)
        return 0;
    return ask ? symbol->asks[level] : symbol->bids[level];
}

static void put_level(const struct render *r, int64_t price, int64_t quantity, bool first)
{
    exchange_sim_text_string(r->out, first ? "[" : ",[");
    put_price(r, price);
    PUT(r, ",");
    put_quantity(r, quantity);
    PUT(r, "]");
}

static void put_changes(const struct render *r, bool ask)
{
    bool first = true;
    bool const own = r->changes == NULL;
    uint32_t const count = own ? r->symbol->change_count : r->change_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct exchange_sim_market_change *change =
            own ? &r->symbol->changes[i] : &r->changes[i];
        if (change->ask != ask)
            continue;
        put_level(r, change->price,
                  own ? exchange_sim_market_level(r->symbol, ask, change->price)
                      : change->quantity,
                  first);
        first = false;
    }
}

static void binance_depth(const struct render *r)
{
    bool const futures = r->symbol->exchange == EXCHANGE_SIM_USDM;
    PUT(r, "{\"e\":\"depthUpdate\"");
    PUT_TIME(r, "E", r->event->event_us);
    if (futures)
        PUT_TIME(r, "T", r->event->event_us - 1000);
    put_symbol(r);
    PUT_INTEGER(r, "U", r->event->first_id);
    PUT_INTEGER(r, "u", r->event->id);
    if (futures)
        PUT_INTEGER(r, "pu", r->event->previous_id);
    PUT(r, ",\"b\":[");
    put_changes(r, false);
    PUT(r, "],\"a\":[");
    put_changes(r, true);
    PUT(r, "]}");
}

void exchange_sim_market_render_levels(const struct exchange_sim_market_symbol *symbol,
                                       uint32_t limit, struct exchange_sim_text *text)
{
    struct render const r = {.symbol = symbol, .out = text};
    uint32_t const count = limit < MARKET_LEVELS ? limit : MARKET_LEVELS;
    EXCHANGE_SIM_TEXT(text, "\"bids\":[");
    for (uint32_t i = 0; i < count; i++)
        put_level(&r, symbol->bid - i, symbol->bids[i], i == 0);
    EXCHANGE_SIM_TEXT(text, "],\"asks\":[");
    for (uint32_t i = 0; i < count; i++)
        put_level(&r, symbol->bid + symbol->spread + i, symbol->asks[i], i == 0);
    EXCHANGE_SIM_TEXT(text, "]");
}

// Quote volume at eight places; exact, since the scales of price and quantity add up to at most
// eight.
static void put_value(const struct render *r, __int128 value)
{
    int const scale = r->symbol->price_scale + r->symbol->quantity_scale;
    ensure(scale <= 8);
    PUT(r, "\"");
    exchange_sim_text_wide(r->out, value, scale, 8);
    PUT(r, "\"");
}

static void put_quote_volume(const struct render *r)
{
    PUT(r, ",\"q\":");
    put_value(r, r->symbol->quote_volume);
}

// Weighted average price at eight places, cut off.
static void put_average(const struct render *r)
{
    __int128 average = 0;
    if (r->symbol->volume > 0) {
        average = r->symbol->quote_volume;
        for (int i = r->symbol->price_scale; i < 8; i++)
            average *= 10;
        average /= r->symbol->volume;
    }
    PUT(r, ",\"w\":\"");
    exchange_sim_text_decimal(r->out, (int64_t)average, 8, 8);
    PUT(r, "\"");
}

// A trade of nothing where there was none.
static const struct exchange_sim_market_trade *
last_trade(const struct exchange_sim_market_symbol *symbol)
{
    static const struct exchange_sim_market_trade none;
    const struct exchange_sim_market_trade *last = exchange_sim_market_last_trade(symbol);
    return last == NULL ? &none : last;
}

// Spot has seven keys more than futures: x, b, B, a, A.
static void binance_ticker(const struct render *r)
{
    const struct exchange_sim_market_symbol *symbol = r->symbol;
    const struct exchange_sim_market_trade *last = last_trade(symbol);
    int64_t const price = last->price > 0 ? last->price : symbol->open;
    bool const spot = symbol->exchange == EXCHANGE_SIM_BINANCE;
    PUT(r, "{\"e\":\"24hrTicker\"");
    PUT_TIME(r, "E", r->event->event_us);
    put_symbol(r);
    PUT_PRICE(r, "p", price - symbol->open);
    PUT(r, ",\"P\":\"");
    exchange_sim_text_decimal(r->out, (price - symbol->open) * 100000 / symbol->open, 3, 3);
    PUT(r, "\"");
    put_average(r);
    if (spot)
        PUT_PRICE(r, "x", symbol->open);
    PUT_PRICE(r, "c", price);
    PUT_QUANTITY(r, "Q", last->quantity);
    if (spot) {
        PUT_PRICE(r, "b", symbol->bid);
        PUT_QUANTITY(r, "B", symbol->bids[0]);
        PUT_PRICE(r, "a", symbol->bid + symbol->spread);
        PUT_QUANTITY(r, "A", symbol->asks[0]);
    }
    PUT_PRICE(r, "o", symbol->open);
    PUT_PRICE(r, "h", symbol->high);
    PUT_PRICE(r, "l", symbol->low);
    PUT_QUANTITY(r, "v", symbol->volume);
    put_quote_volume(r);
    PUT_TIME(r, "O", symbol->opened_us);
    PUT_TIME(r, "C", r->event->event_us);
    PUT_INTEGER(r, "F", symbol->trade_first);
    PUT_INTEGER(r, "L", symbol->trade_id);
    PUT_INTEGER(r, "n", symbol->trade_id - symbol->trade_first + 1);
    PUT(r, "}");
}

static void binance_agg(const struct render *r)
{
    const struct exchange_sim_market_agg *agg = &r->event->agg;
    PUT(r, "{\"e\":\"aggTrade\"");
    PUT_TIME(r, "E", r->event->event_us);
    put_symbol(r);
    PUT_INTEGER(r, "a", agg->id);
    PUT_PRICE(r, "p", agg->price);
    PUT_QUANTITY(r, "q", agg->quantity);
    PUT_INTEGER(r, "f", agg->first_id);
    PUT_INTEGER(r, "l", agg->last_id);
    PUT_TIME(r, "T", agg->time_us);
    exchange_sim_text_string(r->out, agg->buyer_maker ? ",\"m\":true" : ",\"m\":false");
    exchange_sim_text_string(r->out,
                             r->symbol->exchange == EXCHANGE_SIM_USDM ? "}" : ",\"M\":true}");
}

static void kline_values(const struct render *r)
{
    const struct exchange_sim_market_kline *kline = r->event->kline;
    PUT_PRICE(r, "o", kline->open);
    PUT_PRICE(r, "c", kline->close);
    PUT_PRICE(r, "h", kline->high);
    PUT_PRICE(r, "l", kline->low);
    PUT_QUANTITY(r, "v", kline->volume);
    PUT_INTEGER(r, "n", kline->count);
    exchange_sim_text_string(r->out, r->event->closed ? ",\"x\":true" : ",\"x\":false");
    PUT(r, ",\"q\":");
    put_value(r, kline->quote_volume);
    PUT_QUANTITY(r, "V", kline->taker_volume);
    PUT(r, ",\"Q\":");
    put_value(r, kline->taker_quote_volume);
    PUT(r, ",\"B\":\"0\"}}");
}

static void binance_kline(const struct render *r)
{
    const struct exchange_sim_market_kline *kline = r->event->kline;
    ensure(kline != NULL && kline->count > 0);
    PUT(r, "{\"e\":\"kline\"");
    PUT_TIME(r, "E", r->event->event_us);
    put_symbol(r);
    PUT(r, ",\"k\":{\"t\":");
    put_time(r, kline->open_us);
    PUT_TIME(r, "T", kline->open_us + 59999999);
    put_symbol(r);
    PUT(r, ",\"i\":\"1m\"");
    PUT_INTEGER(r, "f", kline->first_id);
    PUT_INTEGER(r, "L", kline->last_id);
    kline_values(r);
}

// ---- Upbit, SIMPLE format ----

#define PUT_DOUBLE(r, key, mantissa, scale)                                                        \
    (PUT(r, ",\"" key "\":"), exchange_sim_text_double((r)->out, mantissa, scale))

static void put_code(const struct render *r, const char *type)
{
    PUT(r, "{\"ty\":\"");
    exchange_sim_text_string(r->out, type);
    PUT(r, "\",\"cd\":\"");
    exchange_sim_text_string(r->out, r->symbol->name);
    PUT(r, "\"");
}

// pcp, c, cp: the day's opening price stands for the close before.
static void put_change(const struct render *r, int64_t price)
{
    int const scale = r->symbol->price_scale;
    int64_t const change = price - r->symbol->open;
    PUT_DOUBLE(r, "pcp", r->symbol->open, scale);
    exchange_sim_text_string(r->out, change > 0   ? ",\"c\":\"RISE\""
                                     : change < 0 ? ",\"c\":\"FALL\""
                                                  : ",\"c\":\"EVEN\"");
    PUT_DOUBLE(r, "cp", change < 0 ? -change : change, scale);
}

static void upbit_trade(const struct render *r)
{
    const struct exchange_sim_market_symbol *symbol = r->symbol;
    const struct exchange_sim_market_trade *trade = &r->event->trade;
    struct exchange_sim_calendar const c = exchange_sim_text_calendar(trade->time_us);
    put_code(r, "trade");
    PUT_INTEGER(r, "tms", r->event->event_us / 1000);
    PUT(r, ",\"td\":\"");
    exchange_sim_text_date(r->out, &c, "-");
    PUT(r, "\",\"ttm\":\"");
    exchange_sim_text_clock(r->out, &c, ":");
    PUT(r, "\"");
    PUT_INTEGER(r, "ttms", trade->time_us / 1000);
    PUT_DOUBLE(r, "tp", trade->price, symbol->price_scale);
    PUT_DOUBLE(r, "tv", trade->quantity, symbol->quantity_scale);
    exchange_sim_text_string(r->out, trade->buyer_maker ? ",\"ab\":\"ASK\"" : ",\"ab\":\"BID\"");
    put_change(r, trade->price);
    PUT_INTEGER(r, "sid", trade->id);
    PUT_DOUBLE(r, "bap", symbol->bid + symbol->spread, symbol->price_scale);
    PUT_DOUBLE(r, "bas", symbol->asks[0], symbol->quantity_scale);
    PUT_DOUBLE(r, "bbp", symbol->bid, symbol->price_scale);
    PUT_DOUBLE(r, "bbs", symbol->bids[0], symbol->quantity_scale);
    PUT(r, ",\"st\":\"REALTIME\"}");
}

static void upbit_book(const struct render *r)
{
    const struct exchange_sim_market_symbol *symbol = r->symbol;
    int64_t asks = 0;
    int64_t bids = 0;
    for (int i = 0; i < 30; i++) {
        asks += symbol->asks[i];
        bids += symbol->bids[i];
    }
    put_code(r, "orderbook");
    PUT_INTEGER(r, "tms", r->event->event_us / 1000);
    PUT_DOUBLE(r, "tas", asks, symbol->quantity_scale);
    PUT_DOUBLE(r, "tbs", bids, symbol->quantity_scale);
    PUT(r, ",\"obu\":[");
    for (int i = 0; i < 30; i++) {
        exchange_sim_text_string(r->out, i == 0 ? "{\"ap\":" : ",{\"ap\":");
        exchange_sim_text_double(r->out, symbol->bid + symbol->spread + i, symbol->price_scale);
        PUT_DOUBLE(r, "bp", symbol->bid - i, symbol->price_scale);
        PUT_DOUBLE(r, "as", symbol->asks[i], symbol->quantity_scale);
        PUT_DOUBLE(r, "bs", symbol->bids[i], symbol->quantity_scale);
        PUT(r, "}");
    }
    PUT(r, "],\"lv\":0,\"st\":\"REALTIME\"}");
}

// Quote volume cut to four places, so that it fits int64 for prices in won.
static int64_t quote_volume_4(const struct exchange_sim_market_symbol *symbol)
{
    __int128 volume = symbol->quote_volume;
    for (int i = symbol->price_scale + symbol->quantity_scale; i > 4; i--)
        volume /= 10;
    return (int64_t)volume;
}

static void upbit_ticker_prices(const struct render *r, int64_t price)
{
    const struct exchange_sim_market_symbol *symbol = r->symbol;
    int const scale = symbol->price_scale;
    PUT_DOUBLE(r, "op", symbol->open, scale);
    PUT_DOUBLE(r, "hp", symbol->high, scale);
    PUT_DOUBLE(r, "lp", symbol->low, scale);
    PUT_DOUBLE(r, "tp", price, scale);
    put_change(r, price);
    int64_t const rate = (price - symbol->open) * 1000000 / symbol->open;
    PUT_DOUBLE(r, "scp", price - symbol->open, scale);
    PUT_DOUBLE(r, "cr", rate < 0 ? -rate : rate, 6);
    PUT_DOUBLE(r, "scr", rate, 6);
}

static void upbit_ticker(const struct render *r)
{
    const struct exchange_sim_market_symbol *symbol = r->symbol;
    const struct exchange_sim_market_trade *last = last_trade(symbol);
    int64_t const price = last->price > 0 ? last->price : symbol->open;
    int64_t const time_us = last->time_us > 0 ? last->time_us : symbol->opened_us;
    struct exchange_sim_calendar const c = exchange_sim_text_calendar(time_us);
    put_code(r, "ticker");
    upbit_ticker_prices(r, price);
    PUT_DOUBLE(r, "tv", last->quantity, symbol->quantity_scale);
    PUT_DOUBLE(r, "atv", symbol->volume, symbol->quantity_scale);
    PUT_DOUBLE(r, "atv24h", symbol->volume, symbol->quantity_scale);
    PUT_DOUBLE(r, "atp", quote_volume_4(symbol), 4);
    PUT_DOUBLE(r, "atp24h", quote_volume_4(symbol), 4);
    PUT(r, ",\"tdt\":\"");
    exchange_sim_text_date(r->out, &c, "");
    PUT(r, "\",\"ttm\":\"");
    exchange_sim_text_clock(r->out, &c, "");
    PUT(r, "\"");
    PUT_INTEGER(r, "ttms", time_us / 1000);
    exchange_sim_text_string(r->out, last->buyer_maker ? ",\"ab\":\"ASK\"" : ",\"ab\":\"BID\"");
    PUT_DOUBLE(r, "aav", symbol->volume / 2, symbol->quantity_scale);
    PUT_DOUBLE(r, "abv", symbol->volume - symbol->volume / 2, symbol->quantity_scale);
    PUT_DOUBLE(r, "h52wp", symbol->high, symbol->price_scale);
    PUT(r, ",\"h52wdt\":\"");
    exchange_sim_text_date(r->out, &c, "-");
    PUT(r, "\"");
    PUT_DOUBLE(r, "l52wp", symbol->low, symbol->price_scale);
    PUT(r, ",\"l52wdt\":\"");
    exchange_sim_text_date(r->out, &c, "-");
    PUT(r, "\",\"ms\":\"ACTIVE\",\"its\":false,\"dd\":null,\"mw\":\"NONE\"");
    PUT_INTEGER(r, "tms", r->event->event_us / 1000);
    PUT(r, ",\"st\":\"REALTIME\"}");
}

void exchange_sim_market_render(const struct exchange_sim_market *market,
                                const struct exchange_sim_market_event *event, bool microseconds,
                                struct exchange_sim_text *text)
{
    static void (*const binance[MARKET_KINDS])(const struct render *) = {
        binance_trade, binance_quote, binance_depth, NULL, binance_ticker, binance_agg,
        binance_kline};
    static void (*const upbit[MARKET_KINDS])(const struct render *) = {
        upbit_trade, NULL, NULL, upbit_book, upbit_ticker, NULL, NULL};
    struct render const r = {
        .symbol = exchange_sim_market_symbol(market, event->symbol),
        .event = event,
        .microseconds = microseconds,
        .out = text,
    };
    bool const is_upbit = r.symbol->exchange == EXCHANGE_SIM_UPBIT;
    void (*const render)(const struct render *) = (is_upbit ? upbit : binance)[event->kind];
    ensure(render != NULL);
    render(&r);
    ensure(!text->full);
}

void exchange_sim_market_render_window(const struct exchange_sim_market_symbol *symbol,
                                       const struct exchange_sim_market_event *event,
                                       const struct exchange_sim_market_change *changes,
                                       uint32_t count, bool microseconds,
                                       struct exchange_sim_text *text)
{
    ensure(event->kind == MARKET_DEPTH && changes != NULL);
    struct render const r = {
        .symbol = symbol,
        .event = event,
        .changes = changes,
        .change_count = count,
        .microseconds = microseconds,
        .out = text,
    };
    binance_depth(&r);
    ensure(!text->full);
}
