// SPDX-License-Identifier: GPL-3.0-or-later
//
// A question is taken apart, answered by its exchange, and told on.
#include "tools/replay_rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/ensure.h"
#include "tools/replay_order.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

enum { BODY_BYTES = 64 << 20 }; // address space until it is used

int replay_rest_open(struct replay_rest *rest, const struct ringtape_query *query,
                     struct replay_streams *streams, const struct replay_player *player)
{
    *rest = (struct replay_rest){.streams = streams, .player = player, .query = query};
    rest->body = malloc(BODY_BYTES);
    rest->element = malloc(REPLAY_JSON_BYTES_MAX);
    if (rest->body == NULL || rest->element == NULL) return ringtape_fail("out of memory");
    return ringtape_store_open(&rest->store, query->store);
}

void replay_rest_close(struct replay_rest *rest)
{
    store_close(rest->store);
    free(rest->body);
    free(rest->element);
}

int64_t replay_rest_clock_ns(const struct replay_rest *rest)
{
    return rest->player->clock_ns - replay_reader_lag_ns(rest->player->reader);
}

// ---- questions ----

bool replay_rest_parameter(const struct replay_question *q, const char *name,
                           char value[REPLAY_REST_VALUE_BYTES])
{
    return exchange_sim_text_query(q->query, q->query_size, name, value, REPLAY_REST_VALUE_BYTES);
}

int64_t replay_rest_number(const struct replay_question *q, const char *name, int64_t fallback)
{
    char value[REPLAY_REST_VALUE_BYTES];
    return replay_rest_parameter(q, name, value) ? exchange_sim_text_number(value, fallback)
                                                 : fallback;
}

void replay_rest_failure(struct replay_question *q, uint16_t status, int code, const char *message)
{
    const bool upbit = q->exchange == EXCHANGE_SIM_UPBIT;
    q->status = status;
    q->body.at = q->body.start;
    exchange_sim_text_string(&q->body, upbit ? "{\"error\":{\"name\":" : "{\"code\":");
    exchange_sim_text_integer(&q->body, upbit ? status : code);
    exchange_sim_text_string(&q->body, upbit ? ",\"message\":" : ",\"msg\":");
    exchange_sim_text_quoted(&q->body, message, (uint32_t)strlen(message));
    exchange_sim_text_string(&q->body, upbit ? "}}" : "}");
}

bool replay_rest_symbol(struct replay_question *q, const char *parameter, char name[256],
                        uint32_t *number)
{
    char value[REPLAY_REST_VALUE_BYTES];
    char message[128];
    if (!replay_rest_parameter(q, parameter, value)) {
        (void)snprintf(message, sizeof message, "Mandatory parameter '%s' was not sent.",
                       parameter);
        replay_rest_failure(q, 400, -1102, message);
        return false;
    }
    const int size = snprintf(name, 256, "%s:%s", exchange_sim_exchange_name(q->exchange), value);
    const struct event_text text = {(const uint8_t *)name, (uint32_t)size};
    if (size < 256 && ringtape_query_has_symbol(q->rest->query, name, (size_t)size) &&
        ringtape_names_find(q->rest->streams->names, &text, number))
        return true;
    if (q->exchange == EXCHANGE_SIM_UPBIT) replay_rest_failure(q, 404, 0, "Code not found");
    else replay_rest_failure(q, 400, -1121, "Invalid symbol.");
    return false;
}

void replay_rest_comma(struct replay_question *q)
{
    if (q->body.at > q->body.start && q->body.at[-1] != '[') EXCHANGE_SIM_TEXT(&q->body, ",");
}

// ---- the store ----

// Whoever plays the store has told of damage already.
static void rest_damage(void *context, const struct store_damage *damage)
{
    (void)context;
    (void)damage;
}

// False: the walk is over.
static bool rest_chunk(const struct replay_question *q, const struct store_chunk *chunk,
                       const char *name, replay_rest_row *each, void *context)
{
    const char *colon = strchr(name, ':');
    const enum channel channel = chunk->rows->schema->channel;
    const bool trades = channel == CHANNEL_TRADE || channel == CHANNEL_AGG_TRADE;
    const int64_t lag_ns = replay_reader_lag_ns(q->rest->player->reader);
    const struct replay_player *player = q->rest->player;
    // Binance's newest ids, with which a recorder compares, are those of its clock.
    const int64_t told_ns = q->exchange == EXCHANGE_SIM_UPBIT
                                ? replay_player_told_ns(player, q->connection->server->now_ns)
                                : player->clock_ns;
    ensure(colon != NULL);
    struct replay_row row = {
        .exchange = q->exchange,
        .rows = chunk->rows,
        .symbol = {(const uint8_t *)colon + 1, (uint32_t)strlen(colon + 1)},
        .microseconds = q->microseconds,
    };
    for (uint32_t i = 0; i < chunk->count; i++) {
        row.row = chunk->index[i];
        if (trades && replay_order_due(row.rows, row.row, lag_ns) > told_ns) continue;
        if (!each(context, &row)) return false;
    }
    return true;
}

void replay_rest_rows(struct replay_question *q, struct store_query *query, const char *name,
                      replay_rest_row *each, void *context)
{
    struct store_scan *scan;
    struct store_chunk chunk;
    query->symbols = &name;
    query->symbol_count = 1;
    query->damage = rest_damage;
    if (store_refresh(q->rest->store, NULL) != 0 ||
        store_scan_open(&scan, q->rest->store, query) != 0) {
        replay_rest_failure(q, 503, -1000, "The store cannot be read now.");
        return;
    }
    while (store_scan_next(scan, &chunk) > 0)
        if (!rest_chunk(q, &chunk, name, each, context)) break;
    store_scan_close(scan);
}

// The instrument's row at the clock, else the first one there is: lists are asked for before the
// first row is played.
static bool instrument_body(struct replay_question *q, struct store_finder *finder,
                            const char *name)
{
    struct store_find find = {.channel = CHANNEL_INSTRUMENT, .symbol = name,
                              .time_ns = q->rest->player->clock_ns, .columns = UINT64_MAX,
                              .tapes = true, .damage = rest_damage};
    struct store_chunk chunk;
    int found = store_find_last(finder, &find, &chunk);
    if (found == 0) {
        find.time_ns = INT64_MAX;
        found = store_find_last(finder, &find, &chunk);
    }
    if (found != 1) return false;
    const uint8_t slot = chunk.rows->schema->columns[INSTRUMENT_BODY].text;
    const uint32_t row = chunk.index[0];
    if (!(chunk.rows->present[row] >> INSTRUMENT_BODY & 1)) return false;
    replay_rest_comma(q);
    exchange_sim_text_bytes(&q->body, chunk.rows->text + chunk.rows->text_offset[slot][row],
                            chunk.rows->text_length[slot][row]);
    return true;
}

void replay_rest_instruments(struct replay_question *q,
                             void (*missing)(struct replay_question *q, const char *name))
{
    struct store_finder *finder;
    struct replay_streams *streams = q->rest->streams;
    if (store_refresh(q->rest->store, NULL) != 0 ||
        store_finder_open(&finder, q->rest->store) != 0) {
        replay_rest_failure(q, 503, -1000, "The store cannot be read now.");
        return;
    }
    for (uint32_t i = 0; i < streams->names->count; i++) {
        char name[256];
        const struct event_text *text = &streams->names->texts[i];
        if (replay_streams_symbol(streams, i)->exchange != q->exchange ||
            text->size >= sizeof name)
            continue;
        memcpy(name, text->bytes, text->size);
        name[text->size] = 0;
        if (!instrument_body(q, finder, name)) missing(q, strchr(name, ':') + 1);
    }
    store_finder_close(finder);
}

// ---- replies ----

static bool microseconds_asked(const struct replay_question *q)
{
    struct http_slice unit;
    return q->exchange == EXCHANGE_SIM_BINANCE &&
           http_field_find(&q->connection->http, "X-MBX-TIME-UNIT", &unit) && unit.size == 11 &&
           strncasecmp(unit.text, "MICROSECOND", 11) == 0;
}

static void question_reply(struct replay_question *q)
{
    static const char *const binance[] = {"X-MBX-USED-WEIGHT: 1", "X-MBX-USED-WEIGHT-1M: 1"};
    static const char *const upbit[] = {"Remaining-Req: group=default; min=600; sec=9"};
    const bool is_upbit = q->exchange == EXCHANGE_SIM_UPBIT;
    if (q->body.full) {
        q->body.full = false;
        replay_rest_failure(q, 500, -1000, "The reply is too large.");
    }
    exchange_sim_connection_reply(q->connection, q->status, q->body.start,
                                  exchange_sim_text_size(&q->body), is_upbit ? upbit : binance,
                                  is_upbit ? 1 : 2);
}

void replay_rest_answer(struct exchange_sim_connection *connection, const char *target,
                        uint32_t target_size)
{
    static const char *const prefixes[] = {"/api/v3/", "/fapi/v1/", "/v1/"};
    struct replay_rest *rest = connection->server->answer_context;
    const char *query = memchr(target, '?', target_size);
    const uint32_t path_size = query == NULL ? target_size : (uint32_t)(query - target);
    struct replay_question q = {
        .connection = connection,
        .rest = rest,
        .exchange = connection->exchange,
        .query = query == NULL ? "" : query + 1,
        .query_size = query == NULL ? 0 : target_size - path_size - 1,
        .status = 200,
        .body = exchange_sim_text(rest->body, BODY_BYTES),
    };
    const char *prefix = prefixes[q.exchange];
    const uint32_t length = (uint32_t)strlen(prefix);
    q.microseconds = microseconds_asked(&q);
    if (path_size <= length || memcmp(target, prefix, length) != 0) {
        replay_rest_failure(&q, 404, -1000, "Not found.");
    } else {
        q.path = target + length;
        q.path_size = path_size - length;
        if (q.exchange == EXCHANGE_SIM_UPBIT) replay_rest_upbit(&q);
        else replay_rest_binance(&q);
    }
    question_reply(&q);
}

// ---- snapshots of Upbit ----

static enum channel upbit_channel(const char *key)
{
    const char *at = strchr(key, '@');
    if (at == NULL) return CHANNEL_NONE;
    if (strcmp(at, "@trade") == 0) return CHANNEL_TRADE;
    if (strcmp(at, "@orderbook") == 0) return CHANNEL_BOOK;
    return strcmp(at, "@ticker") == 0 ? CHANNEL_TICKER : CHANNEL_NONE;
}

// Its last words: "REALTIME"} becomes "SNAPSHOT"}, of the same length.
static bool mark_snapshot(char *payload, uint32_t size)
{
    static const char snapshot[] = "\"SNAPSHOT\"}";
    const uint32_t length = sizeof snapshot - 1;
    if (size < length) return false;
    memcpy(payload + size - length, snapshot, length);
    return true;
}

void replay_rest_snapshot(void *context, struct exchange_sim_connection *connection,
                          uint32_t stream)
{
    struct replay_rest *rest = context;
    const struct exchange_sim_stream *of = &connection->server->hub->streams[stream];
    const enum channel channel = upbit_channel(of->key);
    struct store_finder *finder;
    struct store_chunk chunk;
    char name[256];
    if (!rest->player->based || channel == CHANNEL_NONE || of->exchange != EXCHANGE_SIM_UPBIT ||
        store_finder_open(&finder, rest->store) != 0)
        return;
    (void)snprintf(name, sizeof name, "upbit:%.*s", (int)(strchr(of->key, '@') - of->key), of->key);
    const struct store_find find = {.channel = channel, .symbol = name,
                                    .time_ns = replay_rest_clock_ns(rest),
                                    .columns = UINT64_MAX, .tapes = true, .damage = rest_damage};
    if (store_find_last(finder, &find, &chunk) == 1) {
        const struct replay_row row = {.exchange = EXCHANGE_SIM_UPBIT,
                                       .rows = chunk.rows,
                                       .row = chunk.index[0],
                                       .symbol = {(const uint8_t *)name + 6,
                                                  (uint32_t)strlen(name + 6)}};
        const uint32_t size = replay_json(&row, rest->element);
        if (size > 0 && mark_snapshot(rest->element, size))
            exchange_sim_hub_snapshot(connection->server->hub, connection, stream,
                                      (const uint8_t *)rest->element, size,
                                      rest->player->clock_ns);
    }
    store_finder_close(finder);
}
