// SPDX-License-Identifier: GPL-3.0-or-later
//
// market_peer: see market_peer.h. Each trade moves the book, too: one level, one update id. Depth
// messages gather what a connection has not been told, so windows differ between connections.
#include "market_peer.h"

#include "base/limits.h"
#include "format/ensure.h"
#include "market_tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void market_received(struct io *io, struct io_op *op);

bool market_chance(struct market_peer *peer, const uint32_t *ppm)
{
    const size_t offset = (size_t)((const char *)ppm - (const char *)&peer->faults);
    if (*ppm == 0 || sim_world_random(peer->world, 1000000) >= *ppm) return false;
    peer->hits[offset / sizeof *ppm]++;
    return true;
}

// ---- out ----

static void market_closed(struct io *io, struct io_op *op)
{
    (void)io;
    (void)op; // its place is free now
}

static void market_settle(struct market_connection *connection)
{
    if (!io_idle(&connection->receive) || !io_idle(&connection->send) ||
        !io_idle(&connection->delay) || !io_idle(&connection->close) || connection->handle < 0)
        return;
    int handle = connection->handle;
    connection->handle = -1;
    io_close(connection->peer->io, &connection->close, handle, market_closed);
}

void market_hang_up(struct market_connection *connection)
{
    connection->closing = true;
    io_cancel(connection->peer->io, &connection->receive);
    io_cancel(connection->peer->io, &connection->send);
    io_cancel(connection->peer->io, &connection->delay);
    market_settle(connection);
}

static void market_sent(struct io *io, struct io_op *op);

static void market_pump(struct market_connection *connection)
{
    if (!io_idle(&connection->delay)) return;
    uint32_t left = connection->out_size - connection->out_taken;
    if (left == 0 && connection->finish) market_hang_up(connection);
    if (left == 0 || connection->closing || !io_idle(&connection->send)) return;
    io_send(connection->peer->io, &connection->send, connection->handle,
            connection->out + connection->out_taken, left, market_sent);
}

static void market_sent(struct io *io, struct io_op *op)
{
    (void)io;
    struct market_connection *connection = io_owner(op, struct market_connection, send);
    if (op->result > 0) connection->out_taken += (uint32_t)op->result;
    if (connection->out_taken == connection->out_size)
        connection->out_taken = connection->out_size = 0;
    if (connection->closing)
        market_settle(connection);
    else if (op->result < 0)
        market_hang_up(connection);
    else
        market_pump(connection);
}

bool market_raw(struct market_connection *connection, const void *bytes, uint32_t size)
{
    if (MARKET_OUT_BYTES - connection->out_size < size) return false;
    memcpy(connection->out + connection->out_size, bytes, size);
    connection->out_size += size;
    market_pump(connection);
    return true;
}

static void market_delayed(struct io *io, struct io_op *op)
{
    (void)io;
    struct market_connection *connection = io_owner(op, struct market_connection, delay);
    if (connection->closing)
        market_settle(connection);
    else
        market_pump(connection);
}

static void market_delay(struct market_connection *connection)
{
    struct market_peer *peer = connection->peer;
    int64_t for_ns = (int64_t)sim_world_random(peer->world, 8 * LIMIT_SECOND_NS);
    if (sim_world_random(peer->world, 8) == 0) for_ns = 2 * LIMIT_MINUTE_NS;
    io_timeout(peer->io, &connection->delay, for_ns, market_delayed);
}

static void market_push(struct market_connection *connection, const void *bytes, uint32_t size)
{
    if (connection->tls != NULL)
        market_tls_push(connection, bytes, size);
    else
        (void)market_raw(connection, bytes, size);
}

static void market_text(struct market_connection *connection, const char *text)
{
    uint8_t header[WEBSOCKET_HEADER_SIZE_MAX];
    uint32_t size = (uint32_t)strlen(text);
    uint32_t header_size = websocket_encode_header(header, WEBSOCKET_TEXT, true, size, NULL);
    market_push(connection, header, header_size);
    market_push(connection, text, size);
}

// With the faults of the line.
static void market_event(struct market_connection *connection, const char *text)
{
    struct market_peer *peer = connection->peer;
    const struct market_faults *faults = &peer->faults;
    if (connection->closing) return;
    if (market_chance(peer, &faults->muted)) connection->mute = true;
    if (connection->mute || market_chance(peer, &faults->lost)) return;
    if (market_chance(peer, &faults->cut)) {
        market_hang_up(connection);
        return;
    }
    bool had_late = connection->late[0] != '\0';
    if (!had_late && market_chance(peer, &faults->late)) {
        (void)snprintf(connection->late, sizeof connection->late, "%s", text);
        const uint64_t others = sim_world_random(peer->world, 4) == 0 ? 400 : 40;
        connection->late_left = 1 + (uint32_t)sim_world_random(peer->world, others);
        return;
    }
    market_text(connection, text);
    if (market_chance(peer, &faults->doubled)) market_text(connection, text);
    if (!had_late || --connection->late_left > 0) return;
    market_text(connection, connection->late);
    connection->late[0] = '\0';
}

// ---- the market ----

static void market_depth(struct market_connection *connection, uint32_t symbol)
{
    struct market_peer *peer = connection->peer;
    struct market_symbol *of = &peer->symbols[symbol];
    char text[1024];
    int64_t first = connection->depth_from[symbol];
    if (first > of->book_id) return;
    int used = snprintf(text, sizeof text,
                        "{\"stream\":\"c%uusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\","
                        "\"E\":%lld,\"s\":\"C%uUSDT\",\"U\":%lld,\"u\":%lld,\"b\":[",
                        symbol, (long long)(io_utc_ns(peer->io) / 1000), symbol, (long long)first,
                        (long long)of->book_id);
    bool comma = false;
    for (uint32_t i = 0; i < MARKET_LEVELS; i++) {
        if (connection->depth_seen[symbol][i] == of->quantity[i]) continue;
        connection->depth_seen[symbol][i] = of->quantity[i];
        used += snprintf(text + used, sizeof text - (size_t)used, "%s[\"%u.00\",\"%lld.0\"]",
                         comma ? "," : "", 100 + i, (long long)of->quantity[i]);
        comma = true;
    }
    (void)snprintf(text + used, sizeof text - (size_t)used, "],\"a\":[]}}");
    connection->depth_from[symbol] = of->book_id + 1;
    market_event(connection, text);
}

static void market_trade(struct market_peer *peer)
{
    uint32_t symbol = (uint32_t)sim_world_random(peer->world, MARKET_SYMBOLS);
    if (peer->bursts) symbol = 0;
    // The last symbol trades once in a while only.
    if (symbol == MARKET_SYMBOLS - 1 && sim_world_random(peer->world, 200) != 0) symbol = 0;
    struct market_symbol *of = &peer->symbols[symbol];
    if (of->count == MARKET_TRADES) return;
    int64_t id = MARKET_FIRST_ID + (int64_t)of->count;
    of->time_us[of->count++] = io_utc_ns(peer->io) / 1000;
    of->book_id++;
    uint8_t level = (uint8_t)sim_world_random(peer->world, MARKET_LEVELS);
    of->level[of->count - 1] = level;
    of->quantity[level] = of->book_id;
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"stream\":\"c%uusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,"
                   "\"s\":\"C%uUSDT\",\"t\":%lld,\"p\":\"%lld.10000000\",\"q\":\"0.00200000\","
                   "\"T\":%lld,\"m\":%s,\"M\":true}}",
                   symbol, (long long)(io_utc_ns(peer->io) / 1000 + 7), symbol, (long long)id,
                   (long long)(id % 97 + 1), (long long)of->time_us[of->count - 1],
                   id % 2 != 0 ? "true" : "false");
    if (peer->upbit) market_upbit_trade(peer, symbol, id - MARKET_FIRST_ID, text, sizeof text);
    for (uint32_t i = 0; i < MARKET_CONNECTIONS; i++) {
        struct market_connection *connection = &peer->connection[i];
        if (connection->handle < 0 || connection->closing) continue;
        if (connection->trades[symbol]) market_event(connection, text);
        if (connection->closing || !connection->depth[symbol]) continue;
        // A window is over after 100 ms, on every connection.
        bool over = peer->pause_ns >= 100 * LIMIT_MILLISECOND_NS;
        if (over || sim_world_random(peer->world, 3) == 0) market_depth(connection, symbol);
    }
}

// The last windows are over, too.
static void market_depth_rest(struct market_peer *peer)
{
    for (uint32_t i = 0; i < MARKET_CONNECTIONS; i++) {
        struct market_connection *connection = &peer->connection[i];
        for (uint32_t symbol = 0; symbol < MARKET_SYMBOLS; symbol++)
            if (connection->handle >= 0 && !connection->closing && connection->depth[symbol])
                market_depth(connection, symbol);
    }
}

static void market_ticked(struct io *io, struct io_op *op)
{
    struct market_peer *peer = io_owner(op, struct market_peer, timer);
    if (op->result != 0) return;
    if (!peer->stopped)
        market_trade(peer);
    else
        market_depth_rest(peer);
    uint64_t pause_ns = sim_world_random(peer->world, 2 * (uint64_t)peer->pause_ns);
    io_timeout(io, &peer->timer, (int64_t)pause_ns, market_ticked);
}

// ---- REST ----

static void rest_reply(struct market_connection *connection, const char *status, const char *more,
                       const char *body)
{
    char head[256];
    bool keep = connection->http.keep_alive;
    if (market_chance(connection->peer, &connection->peer->faults.slow)) market_delay(connection);
    int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n%s\r\n",
                        status, more, strlen(body), keep ? "" : "Connection: close\r\n");
    market_push(connection, head, (uint32_t)size);
    connection->finish = !keep || market_chance(connection->peer, &connection->peer->faults.closed);
    market_push(connection, body, (uint32_t)strlen(body));
    if (connection->finish && connection->tls != NULL) market_tls_farewell(connection);
}

static int64_t query_number(const char *target, const char *name, int64_t absent)
{
    const char *at = strstr(target, name);
    return at == NULL ? absent : strtoll(at + strlen(name), NULL, 10);
}

static uint32_t query_symbol(const char *target)
{
    const char *at = strstr(target, "symbol=C");
    uint32_t symbol = at == NULL ? MARKET_SYMBOLS : (uint32_t)strtoul(at + 8, NULL, 10);
    ensure(symbol < MARKET_SYMBOLS);
    return symbol;
}

// Not these either, then: what asked for them gives them up.
static void rest_deny(struct market_peer *peer, const char *target)
{
    struct market_symbol *of = &peer->symbols[query_symbol(target)];
    const int64_t from = query_number(target, "fromId=", 0) - MARKET_FIRST_ID;
    const int64_t limit = query_number(target, "limit=", 0);
    of->denied = true;
    for (int64_t n = from < 0 ? 0 : from; n < from + limit && n < (int64_t)of->count; n++)
        of->left_out[n] = UINT8_MAX;
}

static void rest_trades(struct market_connection *connection, const char *target, char *body,
                        size_t room)
{
    struct market_peer *peer = connection->peer;
    const struct market_symbol *of = &peer->symbols[query_symbol(target)];
    int64_t from = query_number(target, "fromId=", 0) - MARKET_FIRST_ID;
    int64_t limit = query_number(target, "limit=", 500);
    ensure(limit > 0 && limit <= 1000);
    if (market_chance(peer, &peer->faults.overlapped)) from -= 3;
    const int64_t whole = limit;
    if (market_chance(peer, &peer->faults.shortened)) limit = (limit + 1) / 2;
    for (int64_t n = from + limit; n < from + whole && n < (int64_t)of->count; n++)
        if (n >= 0 && of->left_out[n] < UINT8_MAX) of->left_out[n]++;
    if (from < 0) from = 0;
    size_t used = (size_t)snprintf(body, room, "[");
    for (int64_t n = from; n < from + limit && n < (int64_t)of->count; n++) {
        int64_t id = n + MARKET_FIRST_ID;
        used += (size_t)snprintf(
            body + used, room - used,
            "%s{\"id\":%lld,\"price\":\"%lld.10000000\",\"qty\":\"0.00200000\",\"quoteQty\":\"1\","
            "\"time\":%lld,\"isBuyerMaker\":%s,\"isBestMatch\":true}",
            n > from ? "," : "", (long long)id, (long long)(id % 97 + 1),
            (long long)of->time_us[n], id % 2 != 0 ? "true" : "false");
    }
    (void)snprintf(body + used, room - used, "]");
}

static void rest_last_ids(struct market_peer *peer, char *body, size_t room)
{
    size_t used = (size_t)snprintf(body, room, "[");
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        if ((peer->faults.delisted >> i & 1) != 0) continue;
        used += (size_t)snprintf(body + used, room - used,
                                 "%s{\"symbol\":\"C%uUSDT\",\"firstId\":0,\"lastId\":%lld}",
                                 used > 1 ? "," : "", i,
                                 peer->symbols[i].count == 0
                                     ? -1ll
                                     : MARKET_FIRST_ID + (long long)peer->symbols[i].count - 1);
    }
    (void)snprintf(body + used, room - used, "]");
}

static void rest_depth(struct market_peer *peer, const char *target, char *body, size_t room)
{
    const uint32_t symbol = query_symbol(target);
    int64_t id = peer->symbols[symbol].book_id;
    if (id > MARKET_FIRST_BOOK + 50 && market_chance(peer, &peer->faults.stale))
        id -= 1 + (int64_t)sim_world_random(peer->world, 50);
    size_t used = (size_t)snprintf(body, room, "{\"lastUpdateId\":%lld,\"bids\":[", (long long)id);
    for (uint32_t i = 0; i < MARKET_LEVELS; i++)
        used += (size_t)snprintf(body + used, room - used, "%s[\"%u.00\",\"%lld.0\"]",
                                 i > 0 ? "," : "", 100 + i,
                                 (long long)market_quantity(peer, symbol, i, id));
    (void)snprintf(body + used, room - used, "],\"asks\":[]}");
}

// True: answered.
static bool rest_banned(struct market_connection *connection)
{
    char retry_after[40];
    int64_t left_ns = connection->peer->ban_end_ns - io_monotonic_ns(connection->peer->io);
    if (left_ns <= 0) return false;
    (void)snprintf(retry_after, sizeof retry_after, "Retry-After: %lld\r\n",
                   (long long)(left_ns / LIMIT_SECOND_NS + 1));
    rest_reply(connection, "418 I'm a teapot", retry_after, "{}");
    return true;
}

static void market_rest(struct market_connection *connection, const char *target)
{
    static char body[512 << 10];
    struct market_peer *peer = connection->peer;
    peer->requests++;
    if (rest_banned(connection)) return;
    if (market_chance(peer, &peer->faults.hung_up)) {
        market_hang_up(connection);
        return;
    }
    bool history = strstr(target, "historicalTrades") != NULL;
    if (peer->faults.down || (peer->faults.no_history && history) ||
        market_chance(peer, &peer->faults.refused)) {
        rest_reply(connection, "503 Service Unavailable", "", "{}");
        return;
    }
    if (market_chance(peer, &peer->faults.limited)) {
        rest_reply(connection, "429 Too Many Requests", "Retry-After: 1\r\n", "{}");
        return;
    }
    if (!peer->upbit && strstr(target, "symbol=") != NULL &&
        (peer->faults.unknown >> query_symbol(target) & 1) != 0) {
        rest_deny(peer, target);
        rest_reply(connection, "400 Bad Request", "",
                   "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}");
        return;
    }
    if (peer->upbit)
        market_upbit_ticks(peer, target, body, sizeof body);
    else if (history)
        rest_trades(connection, target, body, sizeof body);
    else if (strstr(target, "ticker/24hr") != NULL)
        rest_last_ids(peer, body, sizeof body);
    else
        rest_depth(peer, target, body, sizeof body);
    rest_reply(connection, "200 OK", "X-MBX-USED-WEIGHT-1M: 1\r\n", body);
}

// ---- connections ----

static void market_subscribe(struct market_connection *connection, const char *text)
{
    char reply[128];
    const struct market_faults *faults = &connection->peer->faults;
    if (market_chance(connection->peer, &faults->unanswered)) connection->mute = true;
    if (connection->mute) return;
    const bool rejected = market_chance(connection->peer, &faults->rejected);
    if (rejected && connection->peer->upbit) {
        market_text(connection, "{\"error\":{\"name\":\"INVALID_PARAM\",\"message\":\"no\"}}");
        return;
    }
    if (connection->peer->upbit) {
        for (const char *at = text; (at = strstr(at, "KRW-C")) != NULL; at++)
            connection->trades[strtoul(at + 5, NULL, 10) % MARKET_SYMBOLS] = true;
        if (strcmp(text, "PING") == 0) market_text(connection, "{\"status\":\"UP\"}");
        return;
    }
    for (const char *at = text; (at = strstr(at, "\"c")) != NULL; at++) {
        char *end;
        uint32_t symbol = (uint32_t)strtoul(at + 2, &end, 10);
        if (strncmp(end, "usdt@", 5) != 0) continue;
        ensure(symbol < MARKET_SYMBOLS);
        const struct market_symbol *of = &connection->peer->symbols[symbol];
        if (strncmp(end + 5, "trade", 5) == 0) {
            connection->trades[symbol] = true;
        } else if (!connection->depth[symbol]) {
            connection->depth[symbol] = true;
            connection->depth_from[symbol] = of->book_id + 1;
            memcpy(connection->depth_seen[symbol], of->quantity, sizeof of->quantity);
        }
    }
    const char *id = strrchr(text, ':');
    (void)snprintf(reply, sizeof reply, "{%s,\"id\":%s",
                   rejected ? "\"error\":{\"code\":2,\"msg\":\"no\"}" : "\"result\":null",
                   id + 1);
    market_text(connection, reply);
}

static void market_frames(struct market_connection *connection, uint8_t *at, uint8_t *end)
{
    struct websocket_event event;
    while (!connection->closing) {
        enum websocket_result result = websocket_next(&connection->websocket, &at, end, &event);
        ensure(!websocket_failed(result)); // the client keeps to the protocol
        if (result == WEBSOCKET_MORE) return;
        if (event.opcode == WEBSOCKET_CLOSE) {
            market_hang_up(connection);
        } else if (event.opcode == WEBSOCKET_TEXT) {
            static char text[65536];
            ensure(event.size < sizeof text);
            memcpy(text, event.data, event.size);
            text[event.size] = '\0';
            market_subscribe(connection, text);
        }
    }
}

static void market_asked(struct market_connection *connection)
{
    char key[WEBSOCKET_KEY_SIZE];
    char target[512];
    char reply[512];
    uint32_t size = connection->http.target.size;
    ensure(size < sizeof target);
    memcpy(target, connection->http.target.text, size);
    target[size] = '\0';
    if (strncmp(target, "/api/", 5) == 0 || strncmp(target, "/v1/", 4) == 0) {
        market_rest(connection, target);
        return;
    }
    ensure(websocket_request_check(&connection->http, key) == WEBSOCKET_HANDSHAKE_OK);
    size = websocket_reply_format(key, reply, sizeof reply);
    connection->upgraded = true;
    market_push(connection, reply, size);
}

static void market_head(struct market_connection *connection, const char *at, const char *end)
{
    struct http_slice body;
    while (!connection->closing && !connection->upgraded) {
        enum http_result result = http_parse(&connection->http, &at, end, &body);
        ensure(!http_failed(result));
        if (result == HTTP_MORE) return;
        if (result == HTTP_HEAD) market_asked(connection);
        if (result == HTTP_DONE) http_parser_reset(&connection->http);
    }
}

static void market_plain_text(struct market_connection *connection, uint8_t *bytes, uint32_t size)
{
    if (connection->upgraded)
        market_frames(connection, bytes, bytes + size);
    else
        market_head(connection, (const char *)bytes, (const char *)bytes + size);
}

static void market_received(struct io *io, struct io_op *op)
{
    (void)io;
    struct market_connection *connection = io_owner(op, struct market_connection, receive);
    static uint8_t copy[65536 + WEBSOCKET_PADDING]; // a server unmasks in place
    if (connection->closing) {
        market_settle(connection);
    } else if (op->result <= 0) {
        market_hang_up(connection);
    } else if (connection->tls != NULL) {
        market_tls_received(connection, op->data, (uint32_t)op->result, market_plain_text);
    } else {
        uint32_t size = (uint32_t)op->result;
        ensure(size <= 65536);
        memcpy(copy, op->data, size);
        market_plain_text(connection, copy, size);
    }
}

static void market_accepted(struct io *io, struct io_op *op)
{
    struct market_peer *peer = io_owner(op, struct market_peer, accept);
    if (op->result < 0) return;
    struct market_connection *connection = NULL;
    for (uint32_t i = 0; i < MARKET_CONNECTIONS && connection == NULL; i++) {
        if (peer->connection[i].handle < 0 && io_idle(&peer->connection[i].close))
            connection = &peer->connection[i];
    }
    ensure(connection != NULL);
    const struct market_connection kept = {.out = connection->out, .tls = connection->tls};
    *connection = kept;
    connection->peer = peer;
    if (peer->tls != NULL) market_tls_accepted(connection);
    connection->handle = (int)op->result;
    peer->connections++;
    http_parser_init(&connection->http, HTTP_REQUEST, connection->head, HTTP_HEAD_SIZE);
    websocket_init(&connection->websocket, WEBSOCKET_SERVER, connection->message, 65536);
    io_receive(io, &connection->receive, connection->handle, market_received);
}

int64_t market_quantity(const struct market_peer *peer, uint32_t symbol, uint32_t level,
                        int64_t book_id)
{
    int64_t at = book_id - MARKET_FIRST_BOOK - 1;
    while (at >= 0 && peer->symbols[symbol].level[at] != level) at--;
    return at < 0 ? 0 : at + MARKET_FIRST_BOOK + 1;
}

struct market_peer *market_peer_create(struct io *io, struct sim_world *world, int64_t pause_ns)
{
    struct market_peer *peer = calloc(1, sizeof *peer);
    const struct io_address address = {0}; // any of the machine's
    ensure(peer != NULL);
    peer->io = io;
    peer->world = world;
    peer->pause_ns = pause_ns;
    peer->listener = io_listen(io, &address, &peer->port);
    ensure(peer->listener >= 0);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        peer->symbols[i].time_us = calloc(MARKET_TRADES, sizeof(int64_t));
        peer->symbols[i].level = calloc(MARKET_TRADES, 1);
        peer->symbols[i].left_out = calloc(MARKET_TRADES, 1);
        ensure(peer->symbols[i].left_out != NULL);
        peer->symbols[i].book_id = MARKET_FIRST_BOOK;
        ensure(peer->symbols[i].time_us != NULL && peer->symbols[i].level != NULL);
    }
    for (uint32_t i = 0; i < MARKET_CONNECTIONS; i++) {
        peer->connection[i].handle = -1;
        peer->connection[i].out = malloc(MARKET_OUT_BYTES);
        ensure(peer->connection[i].out != NULL);
    }
    io_accept(io, &peer->accept, peer->listener, market_accepted);
    io_timeout(io, &peer->timer, pause_ns, market_ticked);
    return peer;
}

void market_peer_destroy(struct market_peer *peer)
{
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        free(peer->symbols[i].time_us);
        free(peer->symbols[i].level);
        free(peer->symbols[i].left_out);
    }
    market_tls_end(peer);
    for (uint32_t i = 0; i < MARKET_CONNECTIONS; i++) free(peer->connection[i].out);
    free(peer);
}
