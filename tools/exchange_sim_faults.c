// SPDX-License-Identifier: GPL-3.0-or-later
//
// Faults of a whole exchange. Its clock is number 0; those of its connections begin with 1.
#include "tools/exchange_sim_faults.h"

#include <string.h>

#include "format/ensure.h"

#define SECOND_NS ((int64_t)1000000000)
#define MILLISECOND_NS ((int64_t)1000000)

enum {
    PATH_SIZE_MAX = 63,
    BREAK_SECONDS = 2,   // from the last event of a delisted symbol to its end
    DELIST_KEPT = 3,     // the busiest symbols stay
    DELIST_TRIES = 8,
    REST_KINDS_PAGE = 2, // the last of rest_order are of pages of trades only
};

void exchange_sim_faults_open(struct exchange_sim_faults *faults,
                              const struct exchange_sim_faults_options *options)
{
    *faults = (struct exchange_sim_faults){.options = *options};
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        faults->leaving[i] = UINT32_MAX;
}

bool exchange_sim_faults_tell(struct exchange_sim_faults *faults, const char *name)
{
    ensure(faults->server != NULL);
    return exchange_sim_fault_log_begin(faults->log, io_utc_ns(faults->server->io), name);
}

void exchange_sim_faults_begin(struct exchange_sim_faults *faults, int64_t now_ns)
{
    ensure(!faults->active);
    faults->active = true;
    faults->begun_ns = now_ns;
    for (uint32_t i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        exchange_sim_fault_clock_open(&faults->clocks[i], &faults->options.spec, i, 0, now_ns);
    if (exchange_sim_faults_tell(faults, "begun"))
        exchange_sim_fault_log_end(faults->log);
}

static bool faults_due(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange,
                       enum exchange_sim_fault_kind kind)
{
    if (!faults->active || !exchange_sim_fault_due(&faults->clocks[exchange], kind,
                                                   faults->server->now_ns))
        return false;
    faults->counts[kind]++;
    return true;
}

// ---- connections ----

bool exchange_sim_faults_refuses(const struct exchange_sim_faults *faults,
                                 enum exchange_sim_exchange exchange, int64_t now_ns)
{
    ensure(exchange < EXCHANGE_SIM_EXCHANGES);
    return faults != NULL && now_ns < faults->outage_until_ns[exchange];
}

static void outage_begin(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange)
{
    struct exchange_sim_server *server = faults->server;
    struct exchange_sim_fault_clock *clock = &faults->clocks[exchange];
    int64_t const length_ns = exchange_sim_fault_between(clock, EXCHANGE_SIM_FAULT_OUTAGE, 200,
                                                         3000) *
                              MILLISECOND_NS;
    faults->outage_until_ns[exchange] = server->now_ns + length_ns;
    if (exchange_sim_faults_tell(faults, "outage")) {
        exchange_sim_fault_log_exchange(faults->log, exchange);
        exchange_sim_fault_log_seconds(faults->log, length_ns);
        exchange_sim_fault_log_end(faults->log);
    }
    for (uint32_t i = 0; i < server->used; i++) {
        struct exchange_sim_connection *c = &server->connections[i];
        if (c->exchange != exchange || c->state == EXCHANGE_SIM_FREE)
            continue;
        c->ended_by = "fault";
        if (exchange_sim_fault_random(clock, EXCHANGE_SIM_FAULT_OUTAGE) % 2 == 0)
            exchange_sim_fault_link_reset(c);
        exchange_sim_connection_shut(c);
    }
}

bool exchange_sim_faults_withhold(struct exchange_sim_faults *faults,
                                  const struct exchange_sim_stream *stream,
                                  const struct exchange_sim_event *event)
{
    if (faults == NULL || event->id == 0 || !stream->fault_channel ||
        !faults_due(faults, stream->exchange, EXCHANGE_SIM_FAULT_DROP_ALL))
        return false;
    if (exchange_sim_faults_tell(faults, "drop_all")) {
        exchange_sim_fault_log_exchange(faults->log, stream->exchange);
        exchange_sim_fault_log_text(faults->log, "stream", stream->key);
        exchange_sim_fault_log_number(faults->log, "first_id",
                                      event->first_id != 0 ? event->first_id : event->id);
        exchange_sim_fault_log_number(faults->log, "last_id", event->id);
        exchange_sim_fault_log_end(faults->log);
    }
    return true;
}

void exchange_sim_faults_pump(struct exchange_sim_faults *faults)
{
    struct exchange_sim_server *server = faults->server;
    for (uint32_t i = 0; i < server->used; i++) {
        struct exchange_sim_fault_link *link = server->connections[i].link;
        if (link == NULL)
            continue;
        exchange_sim_window_release(link, server->now_ns);
        exchange_sim_fault_link_release(link, server->now_ns);
    }
}

// ---- the market ----

static void tell_symbol(struct exchange_sim_faults *faults, const char *name, uint32_t number)
{
    const struct exchange_sim_market_symbol *symbol =
        exchange_sim_market_symbol(faults->market, number);
    if (!exchange_sim_faults_tell(faults, name))
        return;
    exchange_sim_fault_log_exchange(faults->log, symbol->exchange);
    exchange_sim_fault_log_text(faults->log, "symbol", symbol->name);
    exchange_sim_fault_log_end(faults->log);
}

static void market_list(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange)
{
    uint32_t const number = exchange_sim_market_list(faults->market, exchange);
    if (number == UINT32_MAX)
        return;
    tell_symbol(faults, "list", number);
    exchange_sim_books_symbol(faults->books, faults->market, number, "list",
                              io_utc_ns(faults->server->io));
}

// The number of the exchange's first symbol, and how many it has.
static uint32_t exchange_symbols(const struct exchange_sim_faults *faults,
                                 enum exchange_sim_exchange exchange, uint32_t *count)
{
    uint32_t first = UINT32_MAX;
    *count = 0;
    for (uint32_t i = 0; i < exchange_sim_market_count(faults->market); i++) {
        if (exchange_sim_market_symbol(faults->market, i)->exchange != exchange)
            continue;
        first = first == UINT32_MAX ? i : first;
        ++*count;
    }
    return first;
}

static void market_delist(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange)
{
    uint32_t count;
    uint32_t const first = exchange_symbols(faults, exchange, &count);
    if (count <= DELIST_KEPT || faults->leaving[exchange] != UINT32_MAX)
        return;
    for (int i = 0; i < DELIST_TRIES; i++) {
        uint32_t const number =
            first + (uint32_t)exchange_sim_fault_between(&faults->clocks[exchange],
                                                         EXCHANGE_SIM_FAULT_DELIST, DELIST_KEPT,
                                                         count - 1);
        if (!exchange_sim_market_delist(faults->market, number))
            continue;
        tell_symbol(faults, "delist", number);
        faults->leaving[exchange] = number;
        faults->forget_ns[exchange] = faults->server->now_ns + BREAK_SECONDS * SECOND_NS;
        return;
    }
}

static void market_forget(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange)
{
    uint32_t const number = faults->leaving[exchange];
    if (number == UINT32_MAX || faults->server->now_ns < faults->forget_ns[exchange])
        return;
    exchange_sim_market_forget(faults->market, number);
    if (!exchange_sim_market_symbol(faults->market, number)->listed)
        faults->leaving[exchange] = UINT32_MAX;
}

static void market_restart(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange,
                           bool book)
{
    uint32_t count;
    uint32_t const first = exchange_symbols(faults, exchange, &count);
    if (count == 0)
        return;
    enum exchange_sim_fault_kind const kind =
        book ? EXCHANGE_SIM_FAULT_RESTART_BOOK : EXCHANGE_SIM_FAULT_RESTART;
    uint32_t const number =
        first + (uint32_t)exchange_sim_fault_between(&faults->clocks[exchange], kind, 0, count - 1);
    faults->restart_due[exchange][book] =
        !exchange_sim_market_restart(faults->market, number, book);
}

static void market_tell_restarts(struct exchange_sim_faults *faults)
{
    struct exchange_sim_market_restarted restarted;
    while (exchange_sim_market_restarted(faults->market, &restarted)) {
        const struct exchange_sim_market_symbol *symbol =
            exchange_sim_market_symbol(faults->market, restarted.symbol);
        enum exchange_sim_fault_kind const kind =
            restarted.book ? EXCHANGE_SIM_FAULT_RESTART_BOOK : EXCHANGE_SIM_FAULT_RESTART;
        if (!exchange_sim_faults_tell(faults, exchange_sim_fault_name(kind)))
            continue;
        exchange_sim_fault_log_exchange(faults->log, symbol->exchange);
        exchange_sim_fault_log_text(faults->log, "symbol", symbol->name);
        exchange_sim_fault_log_number(faults->log, "last_id", restarted.last_id);
        exchange_sim_fault_log_number(faults->log, "next_id", restarted.next_id);
        exchange_sim_fault_log_end(faults->log);
    }
}

static void market_tick(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange)
{
    bool *restart = faults->restart_due[exchange];
    if (faults_due(faults, exchange, EXCHANGE_SIM_FAULT_LIST))
        market_list(faults, exchange);
    if (faults_due(faults, exchange, EXCHANGE_SIM_FAULT_DELIST))
        market_delist(faults, exchange);
    restart[0] = restart[0] || faults_due(faults, exchange, EXCHANGE_SIM_FAULT_RESTART);
    restart[1] = restart[1] || faults_due(faults, exchange, EXCHANGE_SIM_FAULT_RESTART_BOOK);
    for (int book = 0; book < 2; book++)
        if (restart[book] && exchange != EXCHANGE_SIM_UPBIT)
            market_restart(faults, exchange, book != 0);
    market_forget(faults, exchange);
}

void exchange_sim_faults_tick(struct exchange_sim_faults *faults)
{
    exchange_sim_fault_log_flush(faults->log);
    if (!faults->active || !faults->options.any)
        return;
    if (faults->market != NULL)
        market_tell_restarts(faults);
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++) {
        enum exchange_sim_exchange const exchange = (enum exchange_sim_exchange)i;
        if (faults_due(faults, exchange, EXCHANGE_SIM_FAULT_OUTAGE))
            outage_begin(faults, exchange);
        if (faults->market != NULL)
            market_tick(faults, exchange);
    }
}

void exchange_sim_faults_end(struct exchange_sim_faults *faults)
{
    if (!faults->active)
        return;
    if (faults->market != NULL)
        market_tell_restarts(faults);
    faults->active = false;
    if (exchange_sim_faults_tell(faults, "ended"))
        exchange_sim_fault_log_end(faults->log);
}

// ---- REST ----

static void rest_tell_length(struct exchange_sim_faults *faults,
                             enum exchange_sim_exchange exchange, enum exchange_sim_fault_kind kind,
                             int64_t length_ns)
{
    if (!exchange_sim_faults_tell(faults, exchange_sim_fault_name(kind)))
        return;
    exchange_sim_fault_log_exchange(faults->log, exchange);
    exchange_sim_fault_log_seconds(faults->log, length_ns);
    exchange_sim_fault_log_end(faults->log);
}

// Times that last: REST is down, or the client is banned.
static void rest_periods(struct exchange_sim_faults *faults, enum exchange_sim_exchange exchange,
                         int64_t now_ns)
{
    struct exchange_sim_fault_clock *clock = &faults->clocks[exchange];
    if (faults_due(faults, exchange, EXCHANGE_SIM_FAULT_REST_DOWN)) {
        int64_t const length_ns =
            exchange_sim_fault_between(clock, EXCHANGE_SIM_FAULT_REST_DOWN, 5, 30) * SECOND_NS;
        faults->rest_down_until_ns[exchange] = now_ns + length_ns;
        rest_tell_length(faults, exchange, EXCHANGE_SIM_FAULT_REST_DOWN, length_ns);
    }
    if (faults_due(faults, exchange, EXCHANGE_SIM_FAULT_REST_BAN)) {
        int64_t const length_ns =
            exchange_sim_fault_between(clock, EXCHANGE_SIM_FAULT_REST_BAN, 5, 15) * SECOND_NS;
        faults->rest_ban_until_ns[exchange] = now_ns + length_ns;
        rest_tell_length(faults, exchange, EXCHANGE_SIM_FAULT_REST_BAN, length_ns);
    }
}

static struct exchange_sim_rest_fault rest_single(struct exchange_sim_faults *faults,
                                                  enum exchange_sim_exchange exchange, bool page)
{
    static const enum exchange_sim_fault_kind order[] = {
        EXCHANGE_SIM_FAULT_REST_HANGUP, EXCHANGE_SIM_FAULT_REST_ERROR,
        EXCHANGE_SIM_FAULT_REST_LIMIT,  EXCHANGE_SIM_FAULT_REST_WAF,
        EXCHANGE_SIM_FAULT_REST_SLOW,   EXCHANGE_SIM_FAULT_REST_SHORT,
        EXCHANGE_SIM_FAULT_REST_OVERLAP,
    };
    uint32_t const all = sizeof order / sizeof order[0];
    for (uint32_t i = 0; i < (page ? all : all - REST_KINDS_PAGE); i++)
        if (faults_due(faults, exchange, order[i]))
            return (struct exchange_sim_rest_fault){
                order[i], exchange_sim_fault_random(&faults->clocks[exchange], order[i])};
    return (struct exchange_sim_rest_fault){EXCHANGE_SIM_FAULT_NONE, 0};
}

struct exchange_sim_rest_fault exchange_sim_faults_rest(struct exchange_sim_faults *faults,
                                                        enum exchange_sim_exchange exchange,
                                                        int64_t now_ns, bool page)
{
    ensure(exchange < EXCHANGE_SIM_EXCHANGES);
    if (faults == NULL || !faults->active)
        return (struct exchange_sim_rest_fault){EXCHANGE_SIM_FAULT_NONE, 0};
    int64_t const since_ns = now_ns - faults->begun_ns;
    if (faults->options.rest_down_from_ns >= 0 && since_ns >= faults->options.rest_down_from_ns &&
        since_ns < faults->options.rest_down_to_ns)
        return (struct exchange_sim_rest_fault){EXCHANGE_SIM_FAULT_REST_DOWN, 0};
    rest_periods(faults, exchange, now_ns);
    struct exchange_sim_fault_clock *clock = &faults->clocks[exchange];
    if (now_ns < faults->rest_down_until_ns[exchange])
        return (struct exchange_sim_rest_fault){
            exchange_sim_fault_random(clock, EXCHANGE_SIM_FAULT_REST_DOWN) % 2 == 0
                ? EXCHANGE_SIM_FAULT_REST_DOWN
                : EXCHANGE_SIM_FAULT_REST_HANGUP,
            0};
    int64_t const banned_ns = faults->rest_ban_until_ns[exchange] - now_ns;
    if (banned_ns > 0)
        return (struct exchange_sim_rest_fault){EXCHANGE_SIM_FAULT_REST_BAN,
                                                (uint64_t)(banned_ns / SECOND_NS + 1)};
    return rest_single(faults, exchange, page);
}

void exchange_sim_faults_rest_told(struct exchange_sim_faults *faults,
                                   enum exchange_sim_exchange exchange,
                                   const struct exchange_sim_rest_fault *fault, const char *path,
                                   uint32_t path_size, uint16_t status)
{
    if (fault->kind == EXCHANGE_SIM_FAULT_NONE ||
        !exchange_sim_faults_tell(faults, exchange_sim_fault_name(fault->kind)))
        return;
    // What a client may send is cut down to what a path of ours has.
    char text[PATH_SIZE_MAX + 1] = {0};
    for (uint32_t i = 0; i < path_size && i < PATH_SIZE_MAX; i++)
        text[i] = strchr("/-_.", path[i]) != NULL || (path[i] >= '0' && path[i] <= '9') ||
                          (path[i] >= 'A' && path[i] <= 'Z') || (path[i] >= 'a' && path[i] <= 'z')
                      ? path[i]
                      : '?';
    exchange_sim_fault_log_exchange(faults->log, exchange);
    exchange_sim_fault_log_text(faults->log, "path", text);
    exchange_sim_fault_log_number(faults->log, "status", status);
    exchange_sim_fault_log_end(faults->log);
}
