// SPDX-License-Identifier: GPL-3.0-or-later
//
// What ends, mutes or slows one connection.
#include <stdlib.h>
#include <sys/socket.h>

#include "format/ensure.h"
#include "tools/exchange_sim_faults.h"

#define SECOND_NS ((int64_t)1000000000)

enum {
    MUTE_SECONDS_MAX = 120,
    SLOW_SECONDS_MAX = 5,
    SLOW_BYTES_MIN = 400, // each tick, ten a second
    SLOW_BYTES_MAX = 6400,
    SHUTDOWN_MS_MAX = 10000,
};

struct exchange_sim_fault_link *
exchange_sim_fault_link_open(struct exchange_sim_faults *faults,
                             struct exchange_sim_connection *connection)
{
    struct exchange_sim_fault_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->faults = faults;
    link->connection = connection;
    return link;
}

void exchange_sim_fault_link_close(struct exchange_sim_fault_link *link)
{
    ensure(link->connection->link == link);
    link->connection->link = NULL;
    exchange_sim_window_close_all(link);
    for (uint32_t i = 0; i < link->held_count; i++) {
        if (!link->held[i].duplicate)
            exchange_sim_faults_tell_ids(link, "undelivered", &link->held[i].delivery);
        free(link->held[i].payload);
    }
    free(link);
}

bool exchange_sim_fault_link_busy(const struct exchange_sim_fault_link *link)
{
    ensure(link->connection != NULL);
    return !link->deaf && (link->held_count > 0 || link->windows_open > 0);
}

// close() sends RST instead of FIN then, and the kernel throws away what was not sent. The seam has
// no such thing, since the daemon must never do it.
void exchange_sim_fault_link_reset(struct exchange_sim_connection *connection)
{
    struct linger const now = {.l_onoff = 1, .l_linger = 0};
    ensure(connection->handle >= 0);
    (void)setsockopt(connection->handle, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void link_tell(struct exchange_sim_fault_link *link, enum exchange_sim_fault_kind kind)
{
    struct exchange_sim_faults *faults = link->faults;
    struct exchange_sim_connection *c = link->connection;
    if (!exchange_sim_faults_tell(faults, exchange_sim_fault_name(kind)))
        return;
    exchange_sim_fault_log_exchange(faults->log, c->exchange);
    exchange_sim_fault_log_number(faults->log, "connection", (int64_t)c->ordinal);
    exchange_sim_fault_log_number(faults->log, "streams", c->stream_count);
    exchange_sim_fault_log_number(faults->log, "unsent_bytes", exchange_sim_connection_unsent(c));
    exchange_sim_fault_log_end(faults->log);
}

static bool link_due(struct exchange_sim_fault_link *link, enum exchange_sim_fault_kind kind)
{
    if (!exchange_sim_fault_due(&link->clock, kind, link->faults->server->now_ns))
        return false;
    link->faults->counts[kind]++;
    link_tell(link, kind);
    return true;
}

// True where the connection has ended; `link` is gone then.
static bool link_end(struct exchange_sim_fault_link *link)
{
    struct exchange_sim_connection *c = link->connection;
    if (link_due(link, EXCHANGE_SIM_FAULT_FIN)) {
        c->ended_by = "fault";
        exchange_sim_connection_shut(c);
        return true;
    }
    if (link_due(link, EXCHANGE_SIM_FAULT_RESET)) {
        c->ended_by = "fault";
        exchange_sim_fault_link_reset(c);
        exchange_sim_connection_shut(c);
        return true;
    }
    if (link_due(link, EXCHANGE_SIM_FAULT_CUT)) {
        c->ended_by = "fault";
        bool const reset =
            exchange_sim_fault_random(&link->clock, EXCHANGE_SIM_FAULT_CUT) % 2 == 0;
        exchange_sim_connection_cut(c, reset);
        return true;
    }
    if (link_due(link, EXCHANGE_SIM_FAULT_CLOSE)) {
        c->ended_by = "fault";
        exchange_sim_connection_close(c, 1001, "Going away");
        return true;
    }
    return false;
}

static void link_silence(struct exchange_sim_fault_link *link)
{
    bool const mute = link_due(link, EXCHANGE_SIM_FAULT_MUTE);
    if (!mute && !link_due(link, EXCHANGE_SIM_FAULT_DEAF))
        return;
    link->deaf = true;
    link->connection->muted = mute;
    link->mute_until_ns = link->faults->server->now_ns + MUTE_SECONDS_MAX * SECOND_NS;
}

static void link_slow(struct exchange_sim_fault_link *link)
{
    struct exchange_sim_connection *c = link->connection;
    int64_t const now_ns = link->faults->server->now_ns;
    if (link_due(link, EXCHANGE_SIM_FAULT_SLOW)) {
        link->slow_until_ns =
            now_ns + exchange_sim_fault_between(&link->clock, EXCHANGE_SIM_FAULT_SLOW, 1,
                                                SLOW_SECONDS_MAX) *
                         SECOND_NS;
        link->slow_bytes = (uint32_t)exchange_sim_fault_between(
            &link->clock, EXCHANGE_SIM_FAULT_SLOW, SLOW_BYTES_MIN, SLOW_BYTES_MAX);
        c->slowed = true;
    }
    if (!c->slowed)
        return;
    c->slowed = now_ns < link->slow_until_ns;
    c->slow_left = link->slow_bytes;
}

static void link_shutdown(struct exchange_sim_fault_link *link)
{
    struct exchange_sim_connection *c = link->connection;
    if (c->exchange == EXCHANGE_SIM_UPBIT || link->shutdown_ns != 0 ||
        !link_due(link, EXCHANGE_SIM_FAULT_SHUTDOWN))
        return;
    link->shutdown_ns =
        link->faults->server->now_ns +
        exchange_sim_fault_between(&link->clock, EXCHANGE_SIM_FAULT_SHUTDOWN, 0, SHUTDOWN_MS_MAX) *
            1000000;
    exchange_sim_binance_shutdown(c, io_utc_ns(c->server->io));
}

bool exchange_sim_fault_link_tick(struct exchange_sim_fault_link *link)
{
    struct exchange_sim_connection *c = link->connection;
    int64_t const now_ns = link->faults->server->now_ns;
    if (!link->faults->active) {
        c->slowed = false;
        return false;
    }
    if (!link->clock.open)
        exchange_sim_fault_clock_open(&link->clock, &link->faults->options.spec, c->exchange,
                                      c->ordinal, now_ns);
    if (link->deaf && now_ns >= link->mute_until_ns) {
        c->ended_by = "fault";
        exchange_sim_connection_shut(c);
        return true;
    }
    if (link->shutdown_ns != 0 && now_ns >= link->shutdown_ns) {
        c->ended_by = "fault";
        exchange_sim_connection_close(c, 1001, "Server shutdown");
        return true;
    }
    if (link_end(link))
        return true;
    if (!link->deaf)
        link_silence(link);
    link_slow(link);
    link_shutdown(link);
    return false;
}
