// SPDX-License-Identifier: GPL-3.0-or-later
//
// A question is routed by a table of end points; symbols come from the market or, for recordings,
// from the streams that existed before the first client.
#include "tools/exchange_sim_rest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/ensure.h"
#include "tools/exchange_sim_connection.h"

enum {
    BODY_BYTES = 16 << 20,
    WEIGHT_PER_MINUTE = 6000,
    VALUE_SIZE = 64,
    DEPTH_LIMIT_DEFAULT = 100,
};

struct question {
    struct exchange_sim_connection *connection;
    struct exchange_sim_rest *rest;
    enum exchange_sim_exchange exchange;
    const char *query;
    uint32_t query_size;
    int64_t utc_ns;
    struct exchange_sim_text body;
    uint16_t status;
};

bool exchange_sim_rest_open(struct exchange_sim_rest *rest, const struct exchange_sim_hub *hub,
                            const struct exchange_sim_market *market,
                            const struct exchange_sim_reel *reel, bool limits)
{
    *rest = (struct exchange_sim_rest){
        .hub = hub,
        .market = market,
        .reel = reel,
        .stream_count = hub->stream_count,
        .limits = limits,
        .body = malloc(BODY_BYTES),
        .body_capacity = BODY_BYTES,
    };
    return rest->body != NULL;
}

void exchange_sim_rest_close(struct exchange_sim_rest *rest)
{
    free(rest->body);
}

static bool parameter(const struct question *q, const char *name, char value[VALUE_SIZE])
{
    return exchange_sim_text_query(q->query, q->query_size, name, value, VALUE_SIZE);
}

static void put_failure(struct question *q, uint16_t status, int code, const char *message)
{
    q->status = status;
    q->body.at = q->body.start;
    EXCHANGE_SIM_TEXT(&q->body, "{\"code\":");
    exchange_sim_text_integer(&q->body, code);
    EXCHANGE_SIM_TEXT(&q->body, ",\"msg\":");
    exchange_sim_text_quoted(&q->body, message, (uint32_t)strlen(message));
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

// ---- symbols: of the market, or those the recordings have streams of ----

typedef void symbol_callback(struct question *q, const char *name,
                             const struct exchange_sim_market_symbol *symbol, bool first);

// True where an earlier stream is of the same symbol.
static bool stream_symbol_seen(const struct exchange_sim_rest *rest, uint32_t number, size_t size)
{
    const struct exchange_sim_stream *streams = rest->hub->streams;
    for (uint32_t i = 0; i < number; i++)
        if (streams[i].exchange == streams[number].exchange &&
            strncmp(streams[i].key, streams[number].key, size + 1) == 0)
            return true;
    return false;
}

static void each_recorded_symbol(struct question *q, symbol_callback *callback)
{
    bool first = true;
    for (uint32_t i = 0; i < q->rest->stream_count; i++) {
        const struct exchange_sim_stream *stream = &q->rest->hub->streams[i];
        const char *at = strchr(stream->key, '@');
        if (stream->exchange != q->exchange || at == NULL ||
            stream_symbol_seen(q->rest, i, (size_t)(at - stream->key)))
            continue;
        char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1] = {0};
        for (const char *c = stream->key; c < at; c++)
            name[c - stream->key] = (char)toupper((unsigned char)*c);
        callback(q, name, NULL, first);
        first = false;
    }
}

static void each_symbol(struct question *q, symbol_callback *callback)
{
    if (q->rest->market == NULL) {
        each_recorded_symbol(q, callback);
        return;
    }
    bool first = true;
    for (uint32_t i = 0; i < exchange_sim_market_count(q->rest->market); i++) {
        const struct exchange_sim_market_symbol *symbol =
            exchange_sim_market_symbol(q->rest->market, i);
        if (symbol->exchange != q->exchange)
            continue;
        callback(q, symbol->name, symbol, first);
        first = false;
    }
}

// ---- Binance ----

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

static void put_step(struct question *q, int scale)
{
    exchange_sim_text_decimal(&q->body, 1, scale, 8);
}

static void put_exchange_symbol(struct question *q, const char *name,
                                const struct exchange_sim_market_symbol *symbol, bool first)
{
    size_t const offset = symbol != NULL ? strlen(symbol->base) : quote_offset(name);
    exchange_sim_text_string(&q->body, first ? "{\"symbol\":" : ",{\"symbol\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)strlen(name));
    EXCHANGE_SIM_TEXT(&q->body, ",\"status\":\"TRADING\",\"baseAsset\":");
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

static void answer_exchange_info(struct question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"timezone\":\"UTC\",\"serverTime\":");
    exchange_sim_text_integer(&q->body, q->utc_ns / 1000000);
    EXCHANGE_SIM_TEXT(&q->body,
                      ",\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":"
                      "\"MINUTE\",\"intervalNum\":1,\"limit\":6000},{\"rateLimitType\":"
                      "\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":300000}"
                      "],\"exchangeFilters\":[],\"symbols\":[");
    each_symbol(q, put_exchange_symbol);
    EXCHANGE_SIM_TEXT(&q->body, "]}");
}

static const struct exchange_sim_market_symbol *asked_symbol(struct question *q)
{
    char name[VALUE_SIZE];
    if (!parameter(q, "symbol", name)) {
        put_failure(q, 400, -1102, "Mandatory parameter 'symbol' was not sent.");
        return NULL;
    }
    uint32_t const symbol = q->rest->market == NULL
                                ? UINT32_MAX
                                : exchange_sim_market_find(q->rest->market, q->exchange, name);
    if (symbol != UINT32_MAX)
        return exchange_sim_market_symbol(q->rest->market, symbol);
    put_failure(q, 400, -1121, "Invalid symbol.");
    return NULL;
}

static void answer_depth(struct question *q)
{
    char limit[VALUE_SIZE];
    const struct exchange_sim_market_symbol *symbol = asked_symbol(q);
    if (symbol == NULL)
        return;
    int64_t const levels = parameter(q, "limit", limit)
                               ? exchange_sim_text_number(limit, DEPTH_LIMIT_DEFAULT)
                               : DEPTH_LIMIT_DEFAULT;
    EXCHANGE_SIM_TEXT(&q->body, "{\"lastUpdateId\":");
    exchange_sim_text_integer(&q->body, symbol->book_id);
    if (q->exchange == EXCHANGE_SIM_USDM) {
        EXCHANGE_SIM_TEXT(&q->body, ",\"E\":");
        exchange_sim_text_integer(&q->body, q->utc_ns / 1000000);
        EXCHANGE_SIM_TEXT(&q->body, ",\"T\":");
        exchange_sim_text_integer(&q->body, q->utc_ns / 1000000);
    }
    EXCHANGE_SIM_TEXT(&q->body, ",");
    exchange_sim_market_render_levels(symbol, levels > 5000 ? 5000 : (uint32_t)levels, &q->body);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static const struct exchange_sim_stream *trade_stream(const struct question *q, const char *name)
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

// What an audit needs: the first and last trade id.
static void put_day(struct question *q, const char *name,
                    const struct exchange_sim_market_symbol *symbol, bool first)
{
    char wanted[VALUE_SIZE];
    if (parameter(q, "symbol", wanted) && strcmp(wanted, name) != 0)
        return;
    const struct exchange_sim_stream *stream = trade_stream(q, name);
    int64_t first_id = stream != NULL && stream->sent > 0 ? stream->first_id : -1;
    int64_t last_id = stream != NULL && stream->sent > 0 ? stream->last_id : -1;
    if (symbol != NULL && symbol->trade_count > 0) {
        first_id = symbol->trade_first;
        last_id = symbol->trade_id;
    }
    exchange_sim_text_string(&q->body,
                             first || q->body.at[-1] == '[' ? "{\"symbol\":" : ",{\"symbol\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)strlen(name));
    EXCHANGE_SIM_TEXT(&q->body, ",\"firstId\":");
    exchange_sim_text_integer(&q->body, first_id);
    EXCHANGE_SIM_TEXT(&q->body, ",\"lastId\":");
    exchange_sim_text_integer(&q->body, last_id);
    EXCHANGE_SIM_TEXT(&q->body, ",\"count\":");
    exchange_sim_text_integer(&q->body, first_id < 0 ? 0 : last_id - first_id + 1);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static void answer_day(struct question *q)
{
    char wanted[VALUE_SIZE];
    bool const one = parameter(q, "symbol", wanted);
    if (!one)
        EXCHANGE_SIM_TEXT(&q->body, "[");
    each_symbol(q, put_day);
    if (!one)
        EXCHANGE_SIM_TEXT(&q->body, "]");
    else if (q->body.at == q->body.start)
        put_failure(q, 400, -1121, "Invalid symbol.");
}

static void put_trade(struct question *q, const struct exchange_sim_market_symbol *symbol,
                      const struct exchange_sim_market_trade *trade)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"id\":");
    exchange_sim_text_integer(&q->body, trade->id);
    EXCHANGE_SIM_TEXT(&q->body, ",\"price\":\"");
    exchange_sim_text_decimal(&q->body, trade->price, symbol->price_scale, 8);
    EXCHANGE_SIM_TEXT(&q->body, "\",\"qty\":\"");
    exchange_sim_text_decimal(&q->body, trade->quantity, symbol->quantity_scale, 8);
    EXCHANGE_SIM_TEXT(&q->body, "\",\"quoteQty\":\"");
    int const scale = symbol->price_scale + symbol->quantity_scale;
    ensure(scale <= 8);
    exchange_sim_text_decimal(&q->body, trade->price * trade->quantity, scale, 8);
    EXCHANGE_SIM_TEXT(&q->body, "\",\"time\":");
    struct http_slice unit;
    bool const micro = http_field_find(&q->connection->http, "X-MBX-TIME-UNIT", &unit) &&
                       unit.size == 11 && strncasecmp(unit.text, "MICROSECOND", 11) == 0;
    exchange_sim_text_integer(&q->body, micro ? trade->time_us : trade->time_us / 1000);
    exchange_sim_text_string(&q->body, trade->buyer_maker ? ",\"isBuyerMaker\":true"
                                                          : ",\"isBuyerMaker\":false");
    EXCHANGE_SIM_TEXT(&q->body, ",\"isBestMatch\":true}");
}

// The newest trades, or those from an id on, out of the last MARKET_TRADES_KEPT.
static void answer_trades(struct question *q)
{
    char value[VALUE_SIZE];
    const struct exchange_sim_market_symbol *symbol = asked_symbol(q);
    if (symbol == NULL)
        return;
    int64_t limit = parameter(q, "limit", value) ? exchange_sim_text_number(value, 500) : 500;
    limit = limit > 1000 ? 1000 : limit;
    int64_t oldest = symbol->trade_count - MARKET_TRADES_KEPT;
    oldest = oldest < 0 ? 0 : oldest;
    int64_t from = symbol->trade_count - limit;
    if (parameter(q, "fromId", value))
        from = exchange_sim_text_number(value, 0) - symbol->trade_first;
    from = from < oldest ? oldest : from;
    EXCHANGE_SIM_TEXT(&q->body, "[");
    for (int64_t n = from; n < symbol->trade_count && n < from + limit; n++) {
        if (n > from)
            EXCHANGE_SIM_TEXT(&q->body, ",");
        put_trade(q, symbol, &symbol->trades[(uint64_t)n % MARKET_TRADES_KEPT]);
    }
    EXCHANGE_SIM_TEXT(&q->body, "]");
}

static void answer_ping(struct question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{}");
}

static void answer_time(struct question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"serverTime\":");
    exchange_sim_text_integer(&q->body, q->utc_ns / 1000000);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

// ---- Upbit ----

static void put_upbit_market(struct question *q, const char *name,
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
    char details[VALUE_SIZE];
    if (parameter(q, "is_details", details) && strcmp(details, "true") == 0)
        EXCHANGE_SIM_TEXT(
            &q->body,
            ",\"market_event\":{\"warning\":false,\"caution\":{\"PRICE_FLUCTUATIONS\":false,"
            "\"TRADING_VOLUME_SOARING\":false,\"DEPOSIT_AMOUNT_SOARING\":false,"
            "\"GLOBAL_PRICE_DIFFERENCES\":false,\"CONCENTRATION_OF_SMALL_ACCOUNTS\":false}}");
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static void answer_markets(struct question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "[");
    each_symbol(q, put_upbit_market);
    EXCHANGE_SIM_TEXT(&q->body, "]");
}

// ---- questions and answers ----

struct endpoint {
    const char *path; // behind /api/v3/, /fapi/v1/, /v1/
    const char *what; // name of a recorded reply
    uint16_t weight;
    void (*answer)(struct question *q);
};

static const struct endpoint binance_endpoints[] = {
    {"ping", "", 1, answer_ping},
    {"time", "", 1, answer_time},
    {"exchangeInfo", "exchangeInfo", 20, answer_exchange_info},
    {"depth", "depth", 5, answer_depth},
    {"ticker/24hr", "", 80, answer_day},
    {"trades", "", 25, answer_trades},
    {"historicalTrades", "", 25, answer_trades},
    {NULL, NULL, 0, NULL},
};

static const struct endpoint upbit_endpoints[] = {
    {"market/all", "all", 1, answer_markets},
    {NULL, NULL, 0, NULL},
};

static const struct endpoint *endpoint_find(enum exchange_sim_exchange exchange, const char *path,
                                            uint32_t size)
{
    static const char *const prefixes[] = {"/api/v3/", "/fapi/v1/", "/v1/"};
    const char *prefix = prefixes[exchange];
    size_t const length = strlen(prefix);
    if (size <= length || memcmp(path, prefix, length) != 0)
        return NULL;
    const struct endpoint *endpoint =
        exchange == EXCHANGE_SIM_UPBIT ? upbit_endpoints : binance_endpoints;
    for (; endpoint->path != NULL; endpoint++)
        if (strlen(endpoint->path) == size - length &&
            memcmp(endpoint->path, path + length, size - length) == 0)
            return endpoint;
    return NULL;
}

static uint32_t question_weight(const struct question *q, const struct endpoint *endpoint)
{
    char limit[VALUE_SIZE];
    char symbol[VALUE_SIZE];
    if (strcmp(endpoint->path, "ticker/24hr") == 0)
        return parameter(q, "symbol", symbol) ? 2 : endpoint->weight;
    if (strcmp(endpoint->path, "depth") != 0 || !parameter(q, "limit", limit))
        return endpoint->weight;
    int64_t const levels = exchange_sim_text_number(limit, DEPTH_LIMIT_DEFAULT);
    return levels <= 100 ? 5 : levels <= 500 ? 25 : levels <= 1000 ? 50 : 250;
}

// Counts the weight; false where it is above the minute's limit.
static bool weight_allowed(struct question *q, uint32_t weight)
{
    struct exchange_sim_rest *rest = q->rest;
    int64_t const minute = q->utc_ns / 60000000000;
    if (rest->weight_minute[q->exchange] != minute) {
        rest->weight_minute[q->exchange] = minute;
        rest->weight[q->exchange] = 0;
    }
    rest->weight[q->exchange] += weight;
    return !rest->limits || rest->weight[q->exchange] <= WEIGHT_PER_MINUTE;
}

static bool answer_recorded(struct question *q, const struct endpoint *endpoint)
{
    char symbol[VALUE_SIZE] = "";
    if (q->rest->reel == NULL || endpoint->what[0] == '\0')
        return false;
    (void)parameter(q, "symbol", symbol);
    for (uint32_t i = 0; i < q->rest->reel->rest_count; i++) {
        const struct exchange_sim_reel_rest *rest = &q->rest->reel->rests[i];
        if (rest->exchange != q->exchange || strcmp(rest->what, endpoint->what) != 0 ||
            strcmp(rest->symbol, symbol) != 0)
            continue;
        exchange_sim_text_bytes(&q->body, rest->body, rest->size);
        return true;
    }
    return false;
}

static void question_reply(struct question *q)
{
    char weight[64];
    char retry[32] = "";
    if (q->exchange == EXCHANGE_SIM_UPBIT)
        (void)snprintf(weight, sizeof weight, "Remaining-Req: group=market; min=600; sec=9");
    else
        (void)snprintf(weight, sizeof weight, "X-MBX-USED-WEIGHT-1M: %u",
                       q->rest->weight[q->exchange]);
    const char *const extra[] = {weight, retry};
    if (q->status == 429)
        (void)snprintf(retry, sizeof retry, "Retry-After: %d",
                       (int)(60 - q->utc_ns / 1000000000 % 60));
    ensure(!q->body.full);
    exchange_sim_connection_reply(q->connection, q->status, q->body.start,
                                  exchange_sim_text_size(&q->body), extra,
                                  q->status == 429 ? 2 : 1);
}

void exchange_sim_rest_request(struct exchange_sim_connection *c, const char *target,
                               uint32_t target_size)
{
    struct exchange_sim_rest *rest = c->server->rest;
    const char *const end = target + target_size;
    const char *query = memchr(target, '?', target_size);
    const char *const path_end = query == NULL ? end : query;
    query = query == NULL ? end : query + 1;
    struct question q = {
        .connection = c,
        .rest = rest,
        .exchange = c->exchange,
        .query = query,
        .query_size = (uint32_t)(end - query),
        .utc_ns = io_utc_ns(c->server->io),
        .body = exchange_sim_text(rest->body, rest->body_capacity),
        .status = 200,
    };
    const struct endpoint *endpoint =
        endpoint_find(c->exchange, target, (uint32_t)(path_end - target));
    if (endpoint == NULL)
        put_failure(&q, 404, -1, "Not found.");
    else if (!weight_allowed(&q, question_weight(&q, endpoint)))
        put_failure(&q, 429, -1003, "Too much request weight used; current limit is 6000.");
    else if (!answer_recorded(&q, endpoint))
        endpoint->answer(&q);
    question_reply(&q);
}
