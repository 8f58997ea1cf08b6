// SPDX-License-Identifier: GPL-3.0-or-later
//
// The simulation's hooks: faults of connections, and the account of events that no connection was
// given.
#include "tools/exchange_sim_hooks.h"

#include <inttypes.h>

#include "format/ensure.h"
#include "tools/exchange_sim_faults.h"

#define SECOND_NS ((int64_t)1000000000)

enum { DAY_NOTICE_SECONDS_MAX = 10 };

static void lost_tell(struct exchange_sim_hub *hub, struct exchange_sim_stream *stream,
                      int64_t next_ns, int64_t next_id)
{
    if (stream->lost == 0 ||
        !exchange_sim_fault_log_begin(hub->log, stream->lost_first_ns, "lost"))
        return;
    exchange_sim_fault_log_exchange(hub->log, stream->exchange);
    exchange_sim_fault_log_text(hub->log, "stream", stream->key);
    exchange_sim_fault_log_number(hub->log, "first_id", stream->lost_first_id);
    exchange_sim_fault_log_number(hub->log, "last_id", stream->lost_last_id);
    exchange_sim_fault_log_number(hub->log, "count", (int64_t)stream->lost);
    exchange_sim_fault_log_number(hub->log, "last_ns", stream->lost_last_ns);
    exchange_sim_fault_log_number(hub->log, "next_ns", next_ns);
    exchange_sim_fault_log_number(hub->log, "next_id", next_id);
    exchange_sim_fault_log_end(hub->log);
    stream->lost = 0;
}

static void lost_account(struct exchange_sim_hub *hub, const struct exchange_sim_event *event,
                         struct exchange_sim_stream *stream, bool given)
{
    if (hub->log == NULL || event->id == 0)
        return;
    if (given) {
        lost_tell(hub, stream, event->due_ns, event->id);
        return;
    }
    // A line is a range of ids: they may have begun anew in it. Upbit's are no ranges anyway.
    if (stream->exchange != EXCHANGE_SIM_UPBIT && event->id <= stream->lost_last_id)
        lost_tell(hub, stream, 0, 0);
    if (stream->lost++ == 0) {
        stream->lost_first_id = event->first_id != 0 ? event->first_id : event->id;
        stream->lost_first_ns = event->due_ns;
    }
    stream->lost_last_id = event->id;
    stream->lost_last_ns = event->due_ns;
}

void exchange_sim_hub_tell_lost(struct exchange_sim_hub *hub)
{
    ensure(hub->streams != NULL);
    for (uint32_t i = 0; i < hub->stream_count; i++)
        lost_tell(hub, &hub->streams[i], 0, 0);
}

// ---- connections ----

static bool faults_any(const struct exchange_sim_server *server)
{
    return server->faults != NULL && server->faults->options.any;
}

static bool server_refuses(const struct exchange_sim_server *server,
                           enum exchange_sim_exchange exchange, int64_t now_ns)
{
    return exchange_sim_faults_refuses(server->faults, exchange, now_ns);
}

static void connection_opened(struct exchange_sim_connection *c)
{
    struct exchange_sim_faults *faults = c->server->faults;
    if (faults == NULL)
        return;
    if (faults->options.any)
        c->link = exchange_sim_fault_link_open(faults, c);
    if (!exchange_sim_faults_tell(faults, "open"))
        return;
    exchange_sim_fault_log_exchange(faults->log, c->exchange);
    exchange_sim_fault_log_number(faults->log, "connection", (int64_t)c->ordinal);
    exchange_sim_fault_log_end(faults->log);
}

static void connection_closed(struct exchange_sim_connection *c)
{
    struct exchange_sim_faults *faults = c->server->faults;
    if (c->ordinal != 0 && faults != NULL && c->state == EXCHANGE_SIM_STREAMING &&
        exchange_sim_faults_tell(faults, "closed")) {
        exchange_sim_fault_log_exchange(faults->log, c->exchange);
        exchange_sim_fault_log_number(faults->log, "connection", (int64_t)c->ordinal);
        exchange_sim_fault_log_text(faults->log, "by", c->ended_by);
        exchange_sim_fault_log_end(faults->log);
    }
    if (c->link != NULL)
        exchange_sim_fault_link_close(c->link);
}

// Three of four ends are announced where faults are on, each somewhere in the last tenth of the
// day.
static void connection_life(struct exchange_sim_connection *c, int64_t day_ns)
{
    if (!faults_any(c->server))
        return;
    struct exchange_sim_fault_clock clock;
    exchange_sim_fault_clock_open(&clock, &c->server->faults->options.spec, c->exchange,
                                  c->ordinal + (UINT64_C(1) << 32), 0);
    enum exchange_sim_fault_kind const kind = EXCHANGE_SIM_FAULT_SHUTDOWN;
    c->life_ns = day_ns - exchange_sim_fault_between(&clock, kind, 0, day_ns / 10);
    int64_t const most_ns = c->life_ns / 2 < DAY_NOTICE_SECONDS_MAX * SECOND_NS
                                ? c->life_ns / 2
                                : DAY_NOTICE_SECONDS_MAX * SECOND_NS;
    c->notice_ns = c->life_ns - exchange_sim_fault_between(&clock, kind, 0, most_ns);
    if (exchange_sim_fault_between(&clock, kind, 0, 3) == 0)
        c->notice_ns = -1;
}

static bool hub_fault_channel(const struct exchange_sim_hub *hub, const char *channel)
{
    return hub->fault_spec != NULL && exchange_sim_fault_channel(hub->fault_spec, channel);
}

static bool hub_withhold(const struct exchange_sim_hub *hub,
                         const struct exchange_sim_stream *stream,
                         const struct exchange_sim_event *event)
{
    return exchange_sim_faults_withhold(hub->faults, stream, event);
}

const struct exchange_sim_hooks exchange_sim_fault_hooks = {
    .refuses = server_refuses,
    .opened = connection_opened,
    .closed = connection_closed,
    .life = connection_life,
    .tick = exchange_sim_fault_link_tick,
    .busy = exchange_sim_fault_link_busy,
    .forget = exchange_sim_window_forget,
    .reset = exchange_sim_fault_link_reset,
    .fault_channel = hub_fault_channel,
    .withhold = hub_withhold,
    .give = exchange_sim_fault_link_event,
    .account = lost_account,
};
