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
#include "tools/exchange_sim_rest_inside.h"

#define SECOND_NS ((int64_t)1000000000)

enum {
    BODY_BYTES = 16 << 20,
    PAGE_TRADES_MAX = 1 << 16, // looked at for one page of Upbit
    FIELDS_MAX = 4,            // of a reply, beyond the usual
    FIELD_SIZE = 80,
};

bool exchange_sim_rest_open(struct exchange_sim_rest *rest, const struct exchange_sim_hub *hub,
                            const struct exchange_sim_market *market,
                            const struct exchange_sim_reel *reel,
                            const struct exchange_sim_rest_options *options)
{
    *rest = (struct exchange_sim_rest){
        .hub = hub,
        .market = market,
        .reel = reel,
        .options = *options,
        .stream_count = hub->stream_count,
        .body = malloc(BODY_BYTES),
        .body_capacity = BODY_BYTES,
        .page = malloc(PAGE_TRADES_MAX * sizeof *rest->page),
    };
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        exchange_sim_budget_open(&rest->binance[i], options->budget[i], 60 * SECOND_NS,
                                 options->ban_seconds);
    for (int i = 0; i < EXCHANGE_SIM_UPBIT_GROUPS; i++)
        exchange_sim_budget_open(&rest->upbit[i], options->budget[EXCHANGE_SIM_UPBIT], SECOND_NS,
                                 options->ban_seconds);
    return rest->body != NULL && rest->page != NULL;
}

void exchange_sim_rest_close(struct exchange_sim_rest *rest)
{
    free(rest->body);
    free(rest->page);
}

bool exchange_sim_rest_parameter(const struct exchange_sim_question *q, const char *name,
                                 char value[EXCHANGE_SIM_VALUE_SIZE])
{
    return exchange_sim_text_query(q->query, q->query_size, name, value, EXCHANGE_SIM_VALUE_SIZE);
}

void exchange_sim_rest_failure(struct exchange_sim_question *q, uint16_t status, int code,
                               const char *message)
{
    bool const upbit = q->exchange == EXCHANGE_SIM_UPBIT;
    q->status = status;
    q->body.at = q->body.start;
    exchange_sim_text_string(&q->body, upbit ? "{\"error\":{\"name\":" : "{\"code\":");
    exchange_sim_text_integer(&q->body, upbit ? status : code);
    exchange_sim_text_string(&q->body, upbit ? ",\"message\":" : ",\"msg\":");
    exchange_sim_text_quoted(&q->body, message, (uint32_t)strlen(message));
    exchange_sim_text_string(&q->body, upbit ? "}}" : "}");
}

bool exchange_sim_rest_number(struct exchange_sim_question *q, const char *name, int64_t fallback,
                              int64_t *value)
{
    char text[EXCHANGE_SIM_VALUE_SIZE];
    char message[128];
    *value = fallback;
    if (!exchange_sim_rest_parameter(q, name, text) || text[0] == '\0')
        return true;
    *value = exchange_sim_text_number(text, -1);
    if (*value >= 0)
        return true;
    (void)snprintf(message, sizeof message, "Illegal characters found in parameter '%s'.", name);
    exchange_sim_rest_failure(q, 400, -1100, message);
    return false;
}

uint32_t exchange_sim_rest_symbol(struct exchange_sim_question *q, const char *name)
{
    char value[EXCHANGE_SIM_VALUE_SIZE];
    char message[128];
    if (!exchange_sim_rest_parameter(q, name, value)) {
        (void)snprintf(message, sizeof message, "Mandatory parameter '%s' was not sent.", name);
        exchange_sim_rest_failure(q, 400, -1102, message);
        return UINT32_MAX;
    }
    uint32_t const symbol = q->rest->market == NULL
                                ? UINT32_MAX
                                : exchange_sim_market_find(q->rest->market, q->exchange, value);
    if (symbol != UINT32_MAX && exchange_sim_market_symbol(q->rest->market, symbol)->listed)
        return symbol;
    if (q->exchange == EXCHANGE_SIM_UPBIT)
        exchange_sim_rest_failure(q, 404, 0, "Code not found");
    else
        exchange_sim_rest_failure(q, 400, -1121, "Invalid symbol.");
    return UINT32_MAX;
}

int64_t exchange_sim_rest_page(const struct exchange_sim_question *q, int64_t count)
{
    ensure(count >= 0);
    if (q->fault.kind != EXCHANGE_SIM_FAULT_REST_SHORT || count < 2)
        return count;
    return 1 + (int64_t)(q->fault.random % (uint64_t)(count - 1));
}

// ---- symbols: of the market, or those the recordings have streams of ----

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

static void each_recorded_symbol(struct exchange_sim_question *q,
                                 exchange_sim_symbol_callback *callback)
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

void exchange_sim_rest_each_symbol(struct exchange_sim_question *q,
                                   exchange_sim_symbol_callback *callback)
{
    if (q->rest->market == NULL) {
        each_recorded_symbol(q, callback);
        return;
    }
    bool first = true;
    for (uint32_t i = 0; i < exchange_sim_market_count(q->rest->market); i++) {
        const struct exchange_sim_market_symbol *symbol =
            exchange_sim_market_symbol(q->rest->market, i);
        if (symbol->exchange != q->exchange || !symbol->listed)
            continue;
        callback(q, symbol->name, symbol, first);
        first = false;
    }
}

// ---- questions and answers ----

static const struct exchange_sim_endpoint *endpoint_find(enum exchange_sim_exchange exchange,
                                                         const char *path, uint32_t size)
{
    static const char *const prefixes[] = {"/api/v3/", "/fapi/v1/", "/v1/"};
    const char *prefix = prefixes[exchange];
    size_t const length = strlen(prefix);
    if (size <= length || memcmp(path, prefix, length) != 0)
        return NULL;
    const struct exchange_sim_endpoint *endpoint = exchange == EXCHANGE_SIM_UPBIT
                                                       ? exchange_sim_upbit_endpoints
                                                       : exchange_sim_binance_endpoints;
    for (; endpoint->path != NULL; endpoint++)
        if (strlen(endpoint->path) == size - length &&
            memcmp(endpoint->path, path + length, size - length) == 0)
            return endpoint;
    return NULL;
}

static uint32_t depth_weight(enum exchange_sim_exchange exchange, int64_t limit)
{
    if (exchange == EXCHANGE_SIM_BINANCE)
        return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
    return limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
}

static uint32_t question_weight(const struct exchange_sim_question *q,
                                const struct exchange_sim_endpoint *endpoint)
{
    char value[EXCHANGE_SIM_VALUE_SIZE];
    bool const spot = q->exchange == EXCHANGE_SIM_BINANCE;
    if (q->exchange == EXCHANGE_SIM_UPBIT)
        return 1;
    if (strcmp(endpoint->path, "ticker/24hr") == 0 &&
        exchange_sim_rest_parameter(q, "symbol", value))
        return spot ? 2 : 1;
    if (strcmp(endpoint->path, "depth") == 0)
        return depth_weight(q->exchange, exchange_sim_rest_parameter(q, "limit", value)
                                             ? exchange_sim_text_number(value, 100)
                                             : spot ? 100 : 500);
    return spot ? endpoint->weight : endpoint->weight_usdm;
}

static struct exchange_sim_budget *question_budget(const struct exchange_sim_question *q,
                                                   const struct exchange_sim_endpoint *endpoint)
{
    if (q->exchange != EXCHANGE_SIM_UPBIT)
        return &q->rest->binance[q->exchange];
    ensure(endpoint == NULL || endpoint->weight < EXCHANGE_SIM_UPBIT_GROUPS);
    return &q->rest->upbit[endpoint == NULL ? 0 : endpoint->weight];
}

// Spends the question's weight; false where it is refused, which is the reply then.
static bool question_allowed(struct exchange_sim_question *q,
                             const struct exchange_sim_endpoint *endpoint)
{
    char message[160];
    struct exchange_sim_budget *budget = question_budget(q, endpoint);
    uint32_t const weight = endpoint == NULL ? 1 : question_weight(q, endpoint);
    bool const upbit = q->exchange == EXCHANGE_SIM_UPBIT;
    switch (exchange_sim_budget_spend(budget, q->utc_ns, weight, &q->retry_seconds)) {
    case EXCHANGE_SIM_ALLOWED:
        return true;
    case EXCHANGE_SIM_LIMITED:
        (void)snprintf(message, sizeof message,
                       upbit ? "Too many API requests."
                             : "Too much request weight used; current limit is %u request weight "
                               "per 1 MINUTE.",
                       budget->limit);
        exchange_sim_rest_failure(q, 429, -1003, message);
        return false;
    case EXCHANGE_SIM_BANNED:
        (void)snprintf(message, sizeof message,
                       upbit ? "Too many API requests. Blocked for %u seconds."
                             : "Way too much request weight used; IP banned for %u seconds.",
                       q->retry_seconds);
        exchange_sim_rest_failure(q, 418, -1003, message);
        return false;
    }
    ensure(false);
    return false;
}

static bool answer_recorded(struct exchange_sim_question *q,
                            const struct exchange_sim_endpoint *endpoint)
{
    char symbol[EXCHANGE_SIM_VALUE_SIZE] = "";
    if (q->rest->reel == NULL || endpoint->what[0] == '\0')
        return false;
    (void)exchange_sim_rest_parameter(q, "symbol", symbol);
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

// A fault that stands for the answer; false where it lets the answer be made.
static bool answer_faulty(struct exchange_sim_question *q)
{
    static const uint16_t errors[] = {500, 502, 503, 504};
    static const char page[] = "<html><head><title>ERROR: The request could not be satisfied"
                               "</title></head><body><h1>403 Forbidden</h1></body></html>";
    uint64_t const random = q->fault.random;
    switch (q->fault.kind) {
    case EXCHANGE_SIM_FAULT_REST_ERROR:
        exchange_sim_rest_failure(q, errors[random % 4], -1007,
                                  "Timeout waiting for response from backend server.");
        return true;
    case EXCHANGE_SIM_FAULT_REST_DOWN:
        exchange_sim_rest_failure(q, 503, -1001, "Service unavailable.");
        return true;
    case EXCHANGE_SIM_FAULT_REST_LIMIT:
        q->retry_seconds = (uint32_t)(1 + random % 3);
        exchange_sim_rest_failure(q, 429, -1003, "Too many requests.");
        return true;
    case EXCHANGE_SIM_FAULT_REST_BAN:
        q->retry_seconds = (uint32_t)random;
        exchange_sim_rest_failure(q, 418, -1003, "Way too many requests; IP banned.");
        return true;
    case EXCHANGE_SIM_FAULT_REST_WAF:
        q->status = 403;
        exchange_sim_text_string(&q->body, page);
        return true;
    default:
        return false;
    }
}

static void question_fields(const struct exchange_sim_question *q,
                            const struct exchange_sim_budget *budget,
                            char fields[FIELDS_MAX][FIELD_SIZE], uint32_t *count)
{
    uint32_t n = 0;
    if (q->exchange == EXCHANGE_SIM_UPBIT) {
        uint32_t const group = (uint32_t)(budget - q->rest->upbit);
        (void)snprintf(fields[n++], FIELD_SIZE, "Remaining-Req: group=%s; min=600; sec=%u",
                       exchange_sim_upbit_group(group), exchange_sim_budget_left(budget));
    } else {
        (void)snprintf(fields[n++], FIELD_SIZE, "X-MBX-USED-WEIGHT: %u", budget->used);
        (void)snprintf(fields[n++], FIELD_SIZE, "X-MBX-USED-WEIGHT-1M: %u", budget->used);
    }
    if (q->retry_seconds > 0)
        (void)snprintf(fields[n++], FIELD_SIZE, "Retry-After: %u", q->retry_seconds);
    ensure(n <= FIELDS_MAX);
    *count = n;
}

static void question_reply(struct exchange_sim_question *q,
                           const struct exchange_sim_endpoint *endpoint)
{
    char fields[FIELDS_MAX][FIELD_SIZE];
    const char *extra[FIELDS_MAX];
    uint32_t count;
    question_fields(q, question_budget(q, endpoint), fields, &count);
    for (uint32_t i = 0; i < count; i++)
        extra[i] = fields[i];
    ensure(!q->body.full);
    if (q->fault.kind == EXCHANGE_SIM_FAULT_REST_SLOW)
        q->connection->quiet_until_ns =
            q->connection->server->now_ns + SECOND_NS / 2 +
            (int64_t)(q->fault.random % (uint64_t)(SECOND_NS / 2 * 9));
    exchange_sim_connection_reply(q->connection, q->status, q->body.start,
                                  exchange_sim_text_size(&q->body), extra, count);
}

static bool microseconds_asked(const struct exchange_sim_question *q)
{
    struct http_slice unit;
    return q->exchange == EXCHANGE_SIM_BINANCE &&
           http_field_find(&q->connection->http, "X-MBX-TIME-UNIT", &unit) && unit.size == 11 &&
           strncasecmp(unit.text, "MICROSECOND", 11) == 0;
}

static bool is_page(const struct exchange_sim_endpoint *endpoint)
{
    return endpoint != NULL && (endpoint->answer == exchange_sim_rest_trades ||
                                endpoint->answer == exchange_sim_rest_agg_trades ||
                                endpoint->answer == exchange_sim_rest_ticks);
}

static void question_answer(struct exchange_sim_question *q)
{
    struct exchange_sim_server *server = q->connection->server;
    const struct exchange_sim_endpoint *endpoint = endpoint_find(q->exchange, q->path,
                                                                 q->path_size);
    q->fault = exchange_sim_faults_rest(server->faults, q->exchange, server->now_ns,
                                        is_page(endpoint));
    if (q->fault.kind == EXCHANGE_SIM_FAULT_REST_HANGUP) {
        exchange_sim_faults_rest_told(server->faults, q->exchange, &q->fault, q->path,
                                      q->path_size, 0);
        exchange_sim_connection_shut(q->connection);
        return;
    }
    bool answered = !question_allowed(q, endpoint) || answer_faulty(q);
    if (!answered && endpoint == NULL) {
        exchange_sim_rest_failure(q, 404, -1, "Not found.");
        answered = true;
    }
    if (!answered && !answer_recorded(q, endpoint))
        endpoint->answer(q);
    exchange_sim_faults_rest_told(server->faults, q->exchange, &q->fault, q->path, q->path_size,
                                  q->status);
    question_reply(q, endpoint);
}

void exchange_sim_rest_request(struct exchange_sim_connection *c, const char *target,
                               uint32_t target_size)
{
    struct exchange_sim_rest *rest = c->server->rest;
    const char *const end = target + target_size;
    const char *query = memchr(target, '?', target_size);
    const char *const path_end = query == NULL ? end : query;
    query = query == NULL ? end : query + 1;
    if (exchange_sim_archive_request(&rest->options.archive, c, target,
                                     (uint32_t)(path_end - target)))
        return;
    struct exchange_sim_question q = {
        .connection = c,
        .rest = rest,
        .exchange = c->exchange,
        .path = target,
        .path_size = (uint32_t)(path_end - target),
        .query = query,
        .query_size = (uint32_t)(end - query),
        .utc_ns = io_utc_ns(c->server->io),
        .body = exchange_sim_text(rest->body, rest->body_capacity),
        .status = 200,
    };
    q.microseconds = microseconds_asked(&q);
    question_answer(&q);
}
