// SPDX-License-Identifier: GPL-3.0-or-later
//
// Upbit over REST but for trades: the markets, order books, tickers. Numbers as Java prints them.
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_rest_inside.h"

enum { BOOK_UNITS = 30 };
enum { GROUP_MARKET, GROUP_TRADES, GROUP_BOOK, GROUP_TICKER };

const char *exchange_sim_upbit_group(uint32_t group)
{
    static const char *const names[EXCHANGE_SIM_UPBIT_GROUPS] = {"market", "crix-trades",
                                                                 "orderbook", "ticker"};
    ensure(group < EXCHANGE_SIM_UPBIT_GROUPS);
    return names[group];
}

static void put_upbit_market(struct exchange_sim_question *q, const char *name,
                             const struct exchange_sim_market_symbol *symbol, bool first)
{
    (void)symbol;
    exchange_sim_text_string(&q->body, first ? "{\"market\":" : ",{\"market\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)strlen(name));
    const char *base = strchr(name, '-');
    base = base == NULL ? name : base + 1;
    EXCHANGE_SIM_TEXT(&q->body, ",\"korean_name\":");
    exchange_sim_text_quoted(&q->body, base, (uint32_t)strlen(base));
    EXCHANGE_SIM_TEXT(&q->body, ",\"english_name\":");
    exchange_sim_text_quoted(&q->body, base, (uint32_t)strlen(base));
    char details[EXCHANGE_SIM_VALUE_SIZE];
    if (exchange_sim_rest_parameter(q, "is_details", details) && strcmp(details, "true") == 0)
        EXCHANGE_SIM_TEXT(
            &q->body,
            ",\"market_event\":{\"warning\":false,\"caution\":{\"PRICE_FLUCTUATIONS\":false,"
            "\"TRADING_VOLUME_SOARING\":false,\"DEPOSIT_AMOUNT_SOARING\":false,"
            "\"GLOBAL_PRICE_DIFFERENCES\":false,\"CONCENTRATION_OF_SMALL_ACCOUNTS\":false}}");
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static void answer_markets(struct exchange_sim_question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "[");
    exchange_sim_rest_each_symbol(q, put_upbit_market);
    EXCHANGE_SIM_TEXT(&q->body, "]");
}

typedef void put_market(struct exchange_sim_question *q,
                        const struct exchange_sim_market_symbol *symbol);

// "KRW-BTC,KRW-ETH": each of them, or 404 where one is unknown.
static void each_asked(struct exchange_sim_question *q, put_market *put)
{
    char list[EXCHANGE_SIM_VALUE_SIZE];
    if (q->rest->market == NULL || !exchange_sim_rest_parameter(q, "markets", list)) {
        exchange_sim_rest_failure(q, 400, 0, "markets is missing");
        return;
    }
    EXCHANGE_SIM_TEXT(&q->body, "[");
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        uint32_t const number = exchange_sim_market_find(q->rest->market, q->exchange, name);
        if (number == UINT32_MAX || !exchange_sim_market_symbol(q->rest->market, number)->listed) {
            exchange_sim_rest_failure(q, 404, 0, "Code not found");
            return;
        }
        if (q->body.at[-1] != '[')
            EXCHANGE_SIM_TEXT(&q->body, ",");
        put(q, exchange_sim_market_symbol(q->rest->market, number));
    }
    EXCHANGE_SIM_TEXT(&q->body, "]");
}

static void put_double(struct exchange_sim_question *q, const char *key, int64_t mantissa,
                       int scale)
{
    exchange_sim_text_string(&q->body, key);
    exchange_sim_text_double(&q->body, mantissa, scale);
}

static void put_market_name(struct exchange_sim_question *q,
                            const struct exchange_sim_market_symbol *symbol)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"market\":\"");
    exchange_sim_text_string(&q->body, symbol->name);
    EXCHANGE_SIM_TEXT(&q->body, "\",\"timestamp\":");
    exchange_sim_text_integer(&q->body, q->utc_ns / 1000000);
}

static void put_book(struct exchange_sim_question *q,
                     const struct exchange_sim_market_symbol *symbol)
{
    char text[EXCHANGE_SIM_VALUE_SIZE];
    int64_t asks = 0;
    int64_t bids = 0;
    int64_t count = exchange_sim_rest_parameter(q, "count", text)
                        ? exchange_sim_text_number(text, BOOK_UNITS)
                        : BOOK_UNITS;
    count = count < 1 || count > BOOK_UNITS ? BOOK_UNITS : count;
    for (int i = 0; i < BOOK_UNITS; i++) {
        asks += symbol->asks[i];
        bids += symbol->bids[i];
    }
    put_market_name(q, symbol);
    put_double(q, ",\"total_ask_size\":", asks, symbol->quantity_scale);
    put_double(q, ",\"total_bid_size\":", bids, symbol->quantity_scale);
    EXCHANGE_SIM_TEXT(&q->body, ",\"orderbook_units\":[");
    for (int i = 0; i < count; i++) {
        put_double(q, i == 0 ? "{\"ask_price\":" : ",{\"ask_price\":",
                   symbol->bid + symbol->spread + i, symbol->price_scale);
        put_double(q, ",\"bid_price\":", symbol->bid - i, symbol->price_scale);
        put_double(q, ",\"ask_size\":", symbol->asks[i], symbol->quantity_scale);
        put_double(q, ",\"bid_size\":", symbol->bids[i], symbol->quantity_scale);
        EXCHANGE_SIM_TEXT(&q->body, "}");
    }
    EXCHANGE_SIM_TEXT(&q->body, "],\"level\":0}");
}

static void answer_books(struct exchange_sim_question *q)
{
    each_asked(q, put_book);
}

static void put_ticker(struct exchange_sim_question *q,
                       const struct exchange_sim_market_symbol *symbol)
{
    const struct exchange_sim_market_trade *last = exchange_sim_market_last_trade(symbol);
    int const scale = symbol->price_scale;
    int64_t const price = last == NULL ? symbol->open : last->price;
    int64_t const change = price - symbol->open;
    put_market_name(q, symbol);
    EXCHANGE_SIM_TEXT(&q->body, ",\"trade_timestamp\":");
    exchange_sim_text_integer(&q->body, (last == NULL ? symbol->opened_us : last->time_us) / 1000);
    put_double(q, ",\"opening_price\":", symbol->open, scale);
    put_double(q, ",\"high_price\":", symbol->high, scale);
    put_double(q, ",\"low_price\":", symbol->low, scale);
    put_double(q, ",\"trade_price\":", price, scale);
    put_double(q, ",\"prev_closing_price\":", symbol->open, scale);
    exchange_sim_text_string(&q->body, change > 0   ? ",\"change\":\"RISE\""
                                       : change < 0 ? ",\"change\":\"FALL\""
                                                    : ",\"change\":\"EVEN\"");
    put_double(q, ",\"change_price\":", change < 0 ? -change : change, scale);
    put_double(q, ",\"signed_change_price\":", change, scale);
    put_double(q, ",\"trade_volume\":", last == NULL ? 0 : last->quantity,
               symbol->quantity_scale);
    put_double(q, ",\"acc_trade_volume\":", symbol->volume, symbol->quantity_scale);
    put_double(q, ",\"acc_trade_volume_24h\":", symbol->volume, symbol->quantity_scale);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static void answer_tickers(struct exchange_sim_question *q)
{
    each_asked(q, put_ticker);
}

const struct exchange_sim_endpoint exchange_sim_upbit_endpoints[] = {
    {"market/all", "all", GROUP_MARKET, 0, answer_markets},
    {"trades/ticks", "", GROUP_TRADES, 0, exchange_sim_rest_ticks},
    {"orderbook", "", GROUP_BOOK, 0, answer_books},
    {"ticker", "", GROUP_TICKER, 0, answer_tickers},
    {NULL, NULL, 0, 0, NULL},
};
