// SPDX-License-Identifier: GPL-3.0-or-later
//
// The door and the clock of the simulated exchanges: accepting, keep-alive, end of life.
#include "tools/exchange_sim_connection.h"

#include <stdlib.h>

#include "format/ensure.h"
#include "tools/exchange_sim_hooks.h"

#define SECOND_NS ((int64_t)1000000000)

enum {
    UPBIT_ALIVE_SECONDS = 10,
    CLOSE_LIMIT_SECONDS = 2,
    SHUTDOWN_NOTICE_SECONDS = 1,
};

bool exchange_sim_server_connect_allowed(struct exchange_sim_server *server,
                                         enum exchange_sim_exchange exchange)
{
    const struct exchange_sim_limits *limit = &server->options.limit[exchange];
    uint32_t const most = limit->connects;
    uint32_t const size = sizeof server->accept_ns[0] / sizeof server->accept_ns[0][0];
    int64_t *ring = server->accept_ns[exchange];
    uint32_t const count = server->accept_count[exchange]++;
    ensure(most < size);
    bool const allowed = count < most ||
                         server->now_ns - ring[(count - most) % size] >= limit->connect_window_ns;
    ring[count % size] = server->now_ns;
    return allowed || most == 0 || !server->options.limits;
}

static void refused_done(struct io *io, struct io_op *op)
{
    (void)io;
    free(op);
}

static void accept_done(struct io *io, struct io_op *op)
{
    struct exchange_sim_listener *listener = io_owner(op, struct exchange_sim_listener, accept);
    struct exchange_sim_server *server = listener->server;
    server->now_ns = io_monotonic_ns(io);
    if (op->result < 0)
        return;
    int const handle = (int)op->result;
    bool const allowed = server->hooks == NULL ||
                         !server->hooks->refuses(server, listener->exchange, server->now_ns);
    for (uint32_t i = 0; allowed && i < EXCHANGE_SIM_CONNECTIONS_MAX; i++) {
        struct exchange_sim_connection *c = &server->connections[i];
        if (c->state != EXCHANGE_SIM_FREE || !exchange_sim_connection_allocate(c))
            continue;
        server->counters.accepted++;
        server->used = i >= server->used ? i + 1 : server->used;
        exchange_sim_connection_start(c, listener, handle);
        return;
    }
    server->counters.refused++;
    struct io_op *close_op = calloc(1, sizeof *close_op);
    ensure(close_op != NULL);
    io_close(io, close_op, handle, refused_done);
}

bool exchange_sim_server_open(struct exchange_sim_server *server)
{
    server->connections = calloc(EXCHANGE_SIM_CONNECTIONS_MAX, sizeof *server->connections);
    server->plain = malloc(TLS_RECORD_SIZE_MAX + WEBSOCKET_PADDING);
    if (server->connections == NULL || server->plain == NULL)
        return false;
    for (uint32_t i = 0; i < EXCHANGE_SIM_CONNECTIONS_MAX; i++)
        server->connections[i].server = server;
    server->now_ns = io_monotonic_ns(server->io);
    return true;
}

void exchange_sim_server_close(struct exchange_sim_server *server)
{
    for (uint32_t i = 0; i < EXCHANGE_SIM_CONNECTIONS_MAX; i++) {
        struct exchange_sim_connection *c = &server->connections[i];
        if (c->tls != NULL)
            tls_destroy(c->tls);
        free(c->http_head);
        free(c->message);
        free(c->staged);
        free(c->streams);
        free(c->body);
        free(c->backlog.bytes);
        c->ordinal = 0; // the log has nothing more of it
        if (c->link != NULL)
            server->hooks->closed(c);
    }
    free(server->connections);
    free(server->plain);
}

int exchange_sim_server_listen(struct exchange_sim_server *server,
                               enum exchange_sim_exchange exchange,
                               const struct io_address *address)
{
    ensure(server->listener_count < EXCHANGE_SIM_EXCHANGES);
    struct exchange_sim_listener *listener = &server->listeners[server->listener_count];
    listener->server = server;
    listener->exchange = exchange;
    listener->port = address->port;
    listener->handle = io_listen(server->io, address, &listener->port);
    if (listener->handle < 0)
        return listener->handle;
    io_accept(server->io, &listener->accept, listener->handle, accept_done);
    server->listener_count++;
    return 0;
}

// ---- keep-alive ----

void exchange_sim_server_life(struct exchange_sim_connection *c)
{
    const struct exchange_sim_server_options *options = &c->server->options;
    ensure(options->day_ns > 0);
    c->life_ns = options->life_ns > 0 ? options->life_ns : options->day_ns;
    c->notice_ns = c->life_ns - SHUTDOWN_NOTICE_SECONDS * SECOND_NS;
    if (options->life_ns == 0 && c->server->hooks != NULL)
        c->server->hooks->life(c, options->day_ns);
}

static void connection_ping(struct exchange_sim_connection *c)
{
    char text[24];
    struct exchange_sim_text payload = exchange_sim_text(text, sizeof text);
    exchange_sim_text_integer(&payload, io_utc_ns(c->server->io) / 1000000);
    struct exchange_sim_part const part = {text, exchange_sim_text_size(&payload)};
    exchange_sim_connection_frame(c, WEBSOCKET_PING, &part, 1);
    c->server->counters.pings++;
    c->ping_ns = c->server->now_ns;
    if (c->ping_open_ns == 0)
        c->ping_open_ns = c->ping_ns;
}

static void binance_tick(struct exchange_sim_connection *c)
{
    const struct exchange_sim_server_options *options = &c->server->options;
    int64_t const now_ns = c->server->now_ns;
    if (c->ping_open_ns != 0 && now_ns - c->ping_open_ns >= options->pong_limit_ns) {
        c->server->counters.limit_closes++;
        c->ended_by = "limit";
        exchange_sim_connection_close(c, 1008, "Pong timeout");
    } else if (now_ns - c->ping_ns >= options->ping_interval_ns) {
        connection_ping(c);
    }
    if (c->notice_ns >= 0 && !c->shutdown_told && now_ns - c->opened_ns >= c->notice_ns) {
        c->shutdown_told = true;
        exchange_sim_binance_shutdown(c, io_utc_ns(c->server->io));
    }
}

static void upbit_tick(struct exchange_sim_connection *c)
{
    int64_t const now_ns = c->server->now_ns;
    if (now_ns - c->heard_ns >= c->server->options.idle_limit_ns) {
        c->server->counters.limit_closes++;
        c->ended_by = "limit";
        exchange_sim_connection_close(c, 1000, "Idle");
        return;
    }
    static const char up[] = "{\"status\":\"UP\"}";
    struct exchange_sim_part const part = {up, sizeof up - 1};
    if (c->alive_ns == 0 || now_ns < c->alive_ns)
        return;
    exchange_sim_connection_frame(c, WEBSOCKET_TEXT, &part, 1);
    c->alive_ns = now_ns + UPBIT_ALIVE_SECONDS * SECOND_NS;
}

static void connection_tick(struct exchange_sim_connection *c)
{
    int64_t const now_ns = c->server->now_ns;
    if (c->state == EXCHANGE_SIM_DRAINING &&
        now_ns - c->closing_ns > CLOSE_LIMIT_SECONDS * SECOND_NS)
        exchange_sim_connection_shut(c);
    if (c->state != EXCHANGE_SIM_STREAMING)
        return;
    if (c->link != NULL && c->server->hooks->tick(c->link))
        return;
    if (now_ns - c->opened_ns >= c->life_ns) {
        c->ended_by = "life";
        exchange_sim_connection_close(c, 1000, "End of life");
    } else if (c->muted)
        return;
    else if (c->exchange == EXCHANGE_SIM_UPBIT)
        upbit_tick(c);
    else
        binance_tick(c);
}

void exchange_sim_server_tick(struct exchange_sim_server *server)
{
    server->now_ns = io_monotonic_ns(server->io);
    for (uint32_t i = 0; i < server->used; i++)
        connection_tick(&server->connections[i]);
    exchange_sim_server_flush(server);
}

void exchange_sim_server_flush(struct exchange_sim_server *server)
{
    for (uint32_t i = 0; i < server->used; i++)
        exchange_sim_connection_flush(&server->connections[i]);
}

bool exchange_sim_server_drained(const struct exchange_sim_server *server)
{
    for (uint32_t i = 0; i < server->used; i++) {
        const struct exchange_sim_connection *c = &server->connections[i];
        bool const busy =
            c->state == EXCHANGE_SIM_STREAMING &&
            (c->staged_size > 0 || c->backlog.size > 0 || !io_idle(&c->send) ||
             (c->link != NULL && server->hooks->busy(c->link)));
        if (busy || c->state == EXCHANGE_SIM_DRAINING || c->state == EXCHANGE_SIM_CLOSING)
            return false;
    }
    return true;
}

void exchange_sim_server_goodbye(struct exchange_sim_server *server)
{
    server->now_ns = io_monotonic_ns(server->io);
    for (uint32_t i = 0; i < server->used; i++) {
        server->connections[i].ended_by = "end";
        exchange_sim_connection_close(&server->connections[i], 1001, "Going away");
    }
    exchange_sim_server_flush(server);
}
