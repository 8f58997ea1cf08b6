// SPDX-License-Identifier: GPL-3.0-or-later
//
// Binance over REST but for trades: exchangeInfo, depth, ticker/24hr and the small ones.
#include <string.h>
#include <strings.h>

#include "format/ensure.h"
#include "tools/exchange_sim_rest_inside.h"

enum { DEPTH_LIMIT_DEFAULT = 100 };

// Where the quote asset begins: recordings have no table of assets.
static size_t quote_offset(const char *name)
{
    static const char *const quotes[] = {"USDT", "USDC", "BTC", "ETH", "BNB", "AUD", "BRL", "EUR"};
    size_t const size = strlen(name);
    for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++) {
        size_t const length = strlen(quotes[i]);
        if (size > length && strcmp(name + size - length, quotes[i]) == 0)
            return size - length;
    }
    return size;
}

static void put_step(struct exchange_sim_question *q, int scale)
{
    exchange_sim_text_decimal(&q->body, 1, scale, 8);
}

static void put_exchange_symbol(struct exchange_sim_question *q, const char *name,
                                const struct exchange_sim_market_symbol *symbol, bool first)
{
    char wanted[EXCHANGE_SIM_VALUE_SIZE];
    if (exchange_sim_rest_parameter(q, "symbol", wanted) && strcasecmp(wanted, name) != 0)
        return;
    size_t const offset = symbol != NULL ? strlen(symbol->base) : quote_offset(name);
    first = first || q->body.at[-1] == '[';
    exchange_sim_text_string(&q->body, first ? "{\"symbol\":" : ",{\"symbol\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)strlen(name));
    exchange_sim_text_string(&q->body, symbol == NULL || symbol->trading
                                           ? ",\"status\":\"TRADING\",\"baseAsset\":"
                                           : ",\"status\":\"BREAK\",\"baseAsset\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)offset);
    EXCHANGE_SIM_TEXT(&q->body, ",\"baseAssetPrecision\":8,\"quoteAsset\":");
    exchange_sim_text_quoted(&q->body, name + offset, (uint32_t)strlen(name + offset));
    EXCHANGE_SIM_TEXT(&q->body, ",\"quotePrecision\":8,\"quoteAssetPrecision\":8,"
                                "\"orderTypes\":[\"LIMIT\",\"MARKET\"],\"filters\":["
                                "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"");
    put_step(q, symbol != NULL ? symbol->price_scale : 8);
    EXCHANGE_SIM_TEXT(&q->body, "\",\"maxPrice\":\"1000000.00000000\",\"tickSize\":\"");
    put_step(q, symbol != NULL ? symbol->price_scale : 8);
    EXCHANGE_SIM_TEXT(&q->body, "\"},{\"filterType\":\"LOT_SIZE\",\"minQty\":\"");
    put_step(q, symbol != NULL ? symbol->quantity_scale : 8);
    EXCHANGE_SIM_TEXT(&q->body, "\",\"maxQty\":\"9000000000.00000000\",\"stepSize\":\"");
    put_step(q, symbol != NULL ? symbol->quantity_scale : 8);
    EXCHANGE_SIM_TEXT(&q->body, "\"}],\"permissions\":[\"SPOT\"]}");
}

static void put_time(struct exchange_sim_question *q, int64_t us)
{
    exchange_sim_text_integer(&q->body, q->microseconds ? us : us / 1000);
}

static void answer_exchange_info(struct exchange_sim_question *q)
{
    uint32_t const limit = q->rest->options.budget[q->exchange];
    EXCHANGE_SIM_TEXT(&q->body, "{\"timezone\":\"UTC\",\"serverTime\":");
    put_time(q, q->utc_ns / 1000);
    EXCHANGE_SIM_TEXT(&q->body, ",\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\","
                                "\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":");
    exchange_sim_text_integer(&q->body, limit == 0 ? INT32_MAX : limit);
    EXCHANGE_SIM_TEXT(&q->body, "}");
    if (q->exchange == EXCHANGE_SIM_BINANCE)
        EXCHANGE_SIM_TEXT(&q->body, ",{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":"
                                    "\"MINUTE\",\"intervalNum\":5,\"limit\":300000}");
    EXCHANGE_SIM_TEXT(&q->body, "],\"exchangeFilters\":[],\"symbols\":[");
    exchange_sim_rest_each_symbol(q, put_exchange_symbol);
    EXCHANGE_SIM_TEXT(&q->body, "]}");
}

static void answer_depth(struct exchange_sim_question *q)
{
    int64_t limit;
    bool const futures = q->exchange == EXCHANGE_SIM_USDM;
    uint32_t const number = exchange_sim_rest_symbol(q, "symbol");
    if (number == UINT32_MAX ||
        !exchange_sim_rest_number(q, "limit", futures ? 500 : DEPTH_LIMIT_DEFAULT, &limit))
        return;
    const struct exchange_sim_market_symbol *symbol =
        exchange_sim_market_symbol(q->rest->market, number);
    EXCHANGE_SIM_TEXT(&q->body, "{\"lastUpdateId\":");
    exchange_sim_text_integer(&q->body, symbol->book_id);
    if (futures) {
        EXCHANGE_SIM_TEXT(&q->body, ",\"E\":");
        put_time(q, q->utc_ns / 1000);
        EXCHANGE_SIM_TEXT(&q->body, ",\"T\":");
        put_time(q, q->utc_ns / 1000);
    }
    EXCHANGE_SIM_TEXT(&q->body, ",");
    exchange_sim_market_render_levels(symbol, limit > 5000 ? 5000 : (uint32_t)limit, &q->body);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static const struct exchange_sim_stream *trade_stream(const struct exchange_sim_question *q,
                                                     const char *name)
{
    for (uint32_t i = 0; i < q->rest->hub->stream_count; i++) {
        const struct exchange_sim_stream *stream = &q->rest->hub->streams[i];
        size_t const size = strlen(name);
        if (stream->exchange == q->exchange && strncasecmp(stream->key, name, size) == 0 &&
            strcmp(stream->key + size, "@trade") == 0)
            return stream;
    }
    return NULL;
}

static void put_decimal(struct exchange_sim_question *q, const char *key, int64_t mantissa,
                        int scale)
{
    exchange_sim_text_string(&q->body, key);
    exchange_sim_text_decimal(&q->body, mantissa, scale,
                              q->exchange == EXCHANGE_SIM_BINANCE ? 8 : scale);
    EXCHANGE_SIM_TEXT(&q->body, "\"");
}

static void put_day_values(struct exchange_sim_question *q,
                           const struct exchange_sim_market_symbol *symbol)
{
    const struct exchange_sim_market_trade *last = exchange_sim_market_last_trade(symbol);
    put_decimal(q, ",\"lastPrice\":\"", last == NULL ? symbol->open : last->price,
                symbol->price_scale);
    put_decimal(q, ",\"openPrice\":\"", symbol->open, symbol->price_scale);
    put_decimal(q, ",\"highPrice\":\"", symbol->high, symbol->price_scale);
    put_decimal(q, ",\"lowPrice\":\"", symbol->low, symbol->price_scale);
    put_decimal(q, ",\"volume\":\"", symbol->volume, symbol->quantity_scale);
    EXCHANGE_SIM_TEXT(&q->body, ",\"quoteVolume\":\"");
    exchange_sim_text_wide(&q->body, symbol->quote_volume,
                           symbol->price_scale + symbol->quantity_scale, 8);
    EXCHANGE_SIM_TEXT(&q->body, "\",\"openTime\":");
    put_time(q, symbol->opened_us);
    EXCHANGE_SIM_TEXT(&q->body, ",\"closeTime\":");
    put_time(q, q->utc_ns / 1000);
}

// What an audit needs: the first and last trade id.
static void put_day(struct exchange_sim_question *q, const char *name,
                    const struct exchange_sim_market_symbol *symbol, bool first)
{
    char wanted[EXCHANGE_SIM_VALUE_SIZE];
    if (exchange_sim_rest_parameter(q, "symbol", wanted) && strcasecmp(wanted, name) != 0)
        return;
    const struct exchange_sim_stream *stream = trade_stream(q, name);
    int64_t first_id = stream != NULL && stream->sent > 0 ? stream->first_id : -1;
    int64_t last_id = stream != NULL && stream->sent > 0 ? stream->last_id : -1;
    if (symbol != NULL && symbol->trade_count > symbol->era_count) {
        first_id = symbol->trade_first;
        last_id = symbol->trade_id;
    }
    bool const alone = first || q->body.at == q->body.start || q->body.at[-1] == '[';
    exchange_sim_text_string(&q->body, alone ? "{\"symbol\":" : ",{\"symbol\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)strlen(name));
    if (symbol != NULL)
        put_day_values(q, symbol);
    EXCHANGE_SIM_TEXT(&q->body, ",\"firstId\":");
    exchange_sim_text_integer(&q->body, first_id);
    EXCHANGE_SIM_TEXT(&q->body, ",\"lastId\":");
    exchange_sim_text_integer(&q->body, last_id);
    EXCHANGE_SIM_TEXT(&q->body, ",\"count\":");
    exchange_sim_text_integer(&q->body, first_id < 0 ? 0 : last_id - first_id + 1);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static void answer_day(struct exchange_sim_question *q)
{
    char wanted[EXCHANGE_SIM_VALUE_SIZE];
    bool const one = exchange_sim_rest_parameter(q, "symbol", wanted);
    if (!one)
        EXCHANGE_SIM_TEXT(&q->body, "[");
    exchange_sim_rest_each_symbol(q, put_day);
    if (!one)
        EXCHANGE_SIM_TEXT(&q->body, "]");
    else if (q->body.at == q->body.start)
        exchange_sim_rest_failure(q, 400, -1121, "Invalid symbol.");
}

static void answer_ping(struct exchange_sim_question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{}");
}

static void answer_time(struct exchange_sim_question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"serverTime\":");
    put_time(q, q->utc_ns / 1000);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

const struct exchange_sim_endpoint exchange_sim_binance_endpoints[] = {
    {"ping", "", 1, 1, answer_ping},
    {"time", "", 1, 1, answer_time},
    {"exchangeInfo", "exchangeInfo", 20, 1, answer_exchange_info},
    {"depth", "depth", 5, 10, answer_depth},
    {"ticker/24hr", "", 80, 40, answer_day},
    {"trades", "", 25, 5, exchange_sim_rest_trades},
    {"historicalTrades", "", 25, 20, exchange_sim_rest_trades},
    {"aggTrades", "", 4, 20, exchange_sim_rest_agg_trades},
    {NULL, NULL, 0, 0, NULL},
};
