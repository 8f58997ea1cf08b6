// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange-sim: the exchanges, on loopback. One thread, one loop:
//
//     listening --N subscriptions--> begun --all sent--> ended --drained--> hold | close | exit
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "tools/exchange_sim_options.h"
#include "tools/exchange_sim_rest.h"

#define SECOND_NS ((int64_t)1000000000)
#define OFFLINE_START_S ((int64_t)1735689600) // 2025-01-01T00:00:00Z

enum {
    EVENTS_PER_TURN = 1024, // between two looks at the loop
    TICKS_PER_SECOND = 10,
    LINGER_SECONDS = 3, // for goodbyes at the end
};

struct simulator {
    struct exchange_sim_options options;
    struct exchange_sim_hub hub;
    struct exchange_sim_reel reel;
    struct exchange_sim_market *market;
    struct exchange_sim_source source;
    struct exchange_sim_rest rest;
    struct exchange_sim_server server;
    struct exchange_sim_faults faults;
    struct exchange_sim_fault_log fault_log;
    struct exchange_sim_books books;
    struct io *io;
    int64_t tick_ns;
    int64_t progress_ns;
    int64_t subscribed_ns; // when enough subscriptions existed; 0: not yet
    int64_t ended_ns;      // sending; 0: not yet
    bool summed_up;
    bool leaving;
    int64_t leave_ns;
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "exchange-sim: %s: %s\n", what, why);
    exit(1);
}

// ---- accounts ----

static void print_listening(const struct simulator *s, FILE *file)
{
    const uint8_t *host = s->options.host;
    (void)fprintf(file, "{\"event\":\"listening\",\"host\":\"%u.%u.%u.%u\",\"tls\":%s,\"ports\":{",
                  host[0], host[1], host[2], host[3], s->options.plain ? "false" : "true");
    for (uint32_t i = 0; i < s->server.listener_count; i++)
        (void)fprintf(file, "%s\"%s\":%u", i == 0 ? "" : ",",
                      exchange_sim_exchange_name(s->server.listeners[i].exchange),
                      s->server.listeners[i].port);
    (void)fprintf(file, "},\"rest_budget\":{");
    for (uint32_t i = 0; i < s->server.listener_count; i++) {
        enum exchange_sim_exchange const exchange = s->server.listeners[i].exchange;
        (void)fprintf(file, "%s\"%s\":%u", i == 0 ? "" : ",", exchange_sim_exchange_name(exchange),
                      s->options.rest.budget[exchange]);
    }
    (void)fprintf(file, "}}\n");
    (void)fflush(file);
}

// Written beside and renamed, so that a reader never sees half of it.
static void write_ports(const struct simulator *s)
{
    char path[4096];
    if (s->options.ports_file == NULL)
        return;
    int const size = snprintf(path, sizeof path, "%s.part", s->options.ports_file);
    if (size < 0 || size >= (int)sizeof path)
        fail(s->options.ports_file, "path too long");
    FILE *file = fopen(path, "we");
    if (file == NULL)
        fail(path, strerror(errno));
    print_listening(s, file);
    if (fclose(file) != 0 || rename(path, s->options.ports_file) != 0)
        fail(path, strerror(errno));
}

static void print_counts(const struct simulator *s, const char *event)
{
    const struct exchange_sim_counters *counters = &s->server.counters;
    int64_t const now_ns = s->ended_ns != 0 ? s->ended_ns : s->server.now_ns;
    int64_t const elapsed_ns = s->source.started ? now_ns - s->source.start_monotonic_ns : 0;
    (void)printf("{\"event\":\"%s\",\"sent\":%" PRIu64 ",\"snapshots\":%" PRIu64
                 ",\"copies\":%" PRIu64 ",\"bytes\":%" PRIu64
                 ",\"elapsed_s\":%.6f,\"subscriptions\":%u,\"late_us_max\":%" PRId64
                 ",\"blocked\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64
                 ",\"rest\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"limit_closes\":%" PRIu64
                 ",\"unsubscribed\":%" PRIu64 ",\"pings\":%" PRIu64 ",\"pongs\":%" PRIu64
                 ",\"overruns\":%" PRIu64 ",\"backlog_max\":%zu",
                 event, s->hub.sent, s->hub.snapshots, s->hub.copies, s->hub.bytes,
                 (double)elapsed_ns / 1e9, s->hub.subscriptions, s->source.late_ns_max / 1000,
                 s->source.blocked, counters->accepted, counters->refused, counters->rest,
                 counters->failed, counters->limit_closes, counters->unsubscribed,
                 counters->pings, counters->pongs, counters->overruns, counters->backlog_max);
}

static void print_faults(const struct simulator *s)
{
    bool first = true;
    (void)printf(",\"faults\":{");
    for (int i = 0; i < EXCHANGE_SIM_FAULT_KINDS; i++) {
        if (s->faults.counts[i] == 0)
            continue;
        (void)printf("%s\"%s\":%" PRIu64, first ? "" : ",",
                     exchange_sim_fault_name((enum exchange_sim_fault_kind)i),
                     s->faults.counts[i]);
        first = false;
    }
    (void)printf("}");
}

static void print_progress(struct simulator *s)
{
    if (!s->options.progress || s->server.now_ns < s->progress_ns)
        return;
    s->progress_ns = s->server.now_ns + SECOND_NS;
    print_counts(s, "progress");
    (void)printf("}\n");
    (void)fflush(stdout);
}

static void print_summary(struct simulator *s)
{
    if (s->summed_up)
        return;
    s->summed_up = true;
    if (s->hub.truth != NULL)
        (void)fflush(s->hub.truth);
    print_counts(s, "ended");
    struct timespec cpu;
    ensure(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0);
    (void)printf(",\"reason\":\"%s\",\"cpu_s\":%.3f,\"malformed\":%u", s->source.end_reason,
                 (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9, s->reel.malformed);
    if (s->options.faults.any)
        print_faults(s);
    if (s->options.streams_in_summary) {
        (void)printf(",\"streams\":");
        exchange_sim_hub_print(&s->hub, stdout);
    }
    (void)printf("}\n");
    (void)fflush(stdout);
}

// ---- Upbit snapshots ----

static void send_snapshot(void *context, struct exchange_sim_connection *connection,
                          uint32_t stream)
{
    static char payload[MARKET_EVENT_SIZE_MAX];
    static const char realtime[] = "\"REALTIME\"}";
    struct simulator *s = context;
    struct exchange_sim_market_event event = {.event_us = io_utc_ns(s->io) / 1000};
    if (!exchange_sim_source_locate(&s->source, stream, &event.symbol, &event.kind))
        return;
    const struct exchange_sim_market_symbol *symbol =
        exchange_sim_market_symbol(s->market, event.symbol);
    if (event.kind == MARKET_TRADE) {
        const struct exchange_sim_market_trade *last = exchange_sim_market_last_trade(symbol);
        if (last == NULL)
            return;
        event.trade = *last;
    }
    struct exchange_sim_text text = exchange_sim_text(payload, sizeof payload);
    exchange_sim_market_render(s->market, &event, false, &text);
    uint32_t const size = exchange_sim_text_size(&text);
    ensure(size > sizeof realtime && memcmp(payload + size - 11, realtime, 11) == 0);
    memcpy(payload + size - 11, "\"SNAPSHOT\"}", 11);
    exchange_sim_hub_snapshot(&s->hub, connection, stream, (const uint8_t *)payload, size,
                              io_utc_ns(s->io));
}

// ---- start ----

// Offline a fixed day, so that the same options make the same file.
static int64_t start_utc_ns(const struct simulator *s)
{
    return s->options.offline ? OFFLINE_START_S * SECOND_NS : io_utc_ns(s->io);
}

static void start_source(struct simulator *s)
{
    struct exchange_sim_options *options = &s->options;
    for (uint32_t i = 0; i < options->capture_count; i++)
        if (!exchange_sim_reel_load(&s->reel, &s->hub, options->captures[i].exchange,
                                    options->captures[i].path, options->only))
            fail(options->captures[i].path, strerror(errno));
    bool const recorded = options->capture_count > 0;
    if (recorded && !exchange_sim_reel_seal(&s->reel, &s->hub))
        fail("recordings", "out of memory");
    if (!recorded) {
        struct exchange_sim_market_options market = {.seed = options->seed,
                                                     .calm = options->calm,
                                                     .start_us = start_utc_ns(s) / 1000,
                                                     .history_trades = options->history_trades,
                                                     .history_us = options->history_us};
        memcpy(market.symbols, options->symbols, sizeof market.symbols);
        memcpy(market.reserve, options->reserve, sizeof market.reserve);
        s->market = exchange_sim_market_open(&market);
        if (s->market == NULL)
            fail("market", "out of memory");
        char why[EXCHANGE_SIM_INJECT_WHY_SIZE];
        if (options->injects.count > 0 &&
            !exchange_sim_market_inject(s->market, &options->injects, why, sizeof why))
            fail("--inject", why);
        s->server.snapshot = send_snapshot;
        s->server.snapshot_context = s;
    }
    if (!exchange_sim_source_open(&s->source, &options->source, &s->hub, recorded ? &s->reel : NULL,
                                  s->market) ||
        !exchange_sim_rest_open(&s->rest, &s->hub, s->market, recorded ? &s->reel : NULL,
                                &options->rest))
        fail("start", "out of memory");
}

// The log may be asked for without faults.
static void start_faults(struct simulator *s)
{
    const struct exchange_sim_options *options = &s->options;
    if (!exchange_sim_fault_log_open(&s->fault_log, options->fault_log_file))
        fail(options->fault_log_file, strerror(errno));
    if (!exchange_sim_books_open(&s->books, options->books_file))
        fail(options->books_file, strerror(errno));
    s->hub.hooks = s->server.hooks = &exchange_sim_fault_hooks;
    s->hub.whole = options->whole_market;
    s->hub.paced = options->source.pace == EXCHANGE_SIM_PACE_CLIENT;
    s->hub.truth_channels = options->truth_channels;
    if (!options->faults.any && options->fault_log_file == NULL &&
        options->faults.rest_down_from_ns < 0)
        return;
    exchange_sim_faults_open(&s->faults, &options->faults);
    s->faults.log = &s->fault_log;
    s->faults.books = &s->books;
    s->faults.server = &s->server;
    s->server.faults = &s->faults;
    s->hub.log = options->fault_log_file == NULL ? NULL : &s->fault_log;
    if (!options->faults.any)
        return;
    s->hub.faults = &s->faults;
    s->hub.fault_spec = &s->faults.options.spec;
}

static void start_tls(struct simulator *s)
{
    if (s->options.plain)
        return;
    struct tls_options const tls = {
        .role = TLS_SERVER,
        .certificate_file = s->options.certificate_file,
        .key_file = s->options.key_file,
    };
    struct tls_failure failure;
    s->options.server.tls = tls_context_create(&tls, &failure);
    if (s->options.server.tls == NULL)
        fail("TLS", failure.text);
}

static void start_server(struct simulator *s)
{
    s->server.io = s->io;
    s->server.options = s->options.server;
    s->server.hub = &s->hub;
    s->server.rest = &s->rest;
    s->server.answer = exchange_sim_rest_request;
    if (!exchange_sim_server_open(&s->server))
        fail("start", "out of memory");
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++) {
        if (!s->options.listen[i])
            continue;
        struct io_address address = {.port = s->options.port[i]};
        memcpy(address.bytes, s->options.host, sizeof s->options.host);
        int const result =
            exchange_sim_server_listen(&s->server, (enum exchange_sim_exchange)i, &address);
        if (result < 0)
            fail("listen", strerror(-result));
    }
}

static void simulator_start(struct simulator *s)
{
    struct sigaction const action = {.sa_handler = on_signal};
    ensure(sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0);
    struct io_options const io = {.name = "exchange-sim"};
    struct io_message message;
    if (io_open_loop(&s->io, &io, &message) != 0)
        fail("start", message.text);
    if (!exchange_sim_hub_open(&s->hub, s->options.truth_file))
        fail(s->options.truth_file == NULL ? "start" : s->options.truth_file, strerror(errno));
    start_faults(s);
    start_source(s);
    s->faults.market = s->market;
    if (s->options.offline)
        return;
    start_tls(s);
    start_server(s);
    print_listening(s, stdout);
    write_ports(s);
}

// ---- the loop ----

static void begin_when_subscribed(struct simulator *s)
{
    if (s->source.started)
        return;
    if (s->hub.subscriptions < s->options.begin_streams) {
        s->subscribed_ns = 0;
        return;
    }
    if (s->subscribed_ns == 0)
        s->subscribed_ns = s->server.now_ns;
    if (s->server.now_ns - s->subscribed_ns < s->options.begin_after_ns)
        return;
    exchange_sim_source_start(&s->source, s->server.now_ns, io_utc_ns(s->io));
    if (s->market != NULL)
        exchange_sim_books_all(&s->books, s->market, "begin", io_utc_ns(s->io));
    if (s->server.faults != NULL)
        exchange_sim_faults_begin(&s->faults, s->server.now_ns);
    print_counts(s, "begun");
    (void)printf("}\n");
    (void)fflush(stdout);
}

static void sending_ended(struct simulator *s)
{
    exchange_sim_source_finish(&s->source, s->server.now_ns);
    if (s->server.faults != NULL)
        exchange_sim_faults_end(&s->faults);
    exchange_sim_hub_tell_lost(&s->hub);
    exchange_sim_fault_log_flush(&s->fault_log);
    if (s->market != NULL && s->source.started)
        exchange_sim_books_all(&s->books, s->market, "end", io_utc_ns(s->io));
}

static void end_when_sent(struct simulator *s)
{
    if (!s->source.ended)
        return;
    if (s->ended_ns == 0) {
        s->ended_ns = s->server.now_ns;
        sending_ended(s);
    }
    if (!exchange_sim_server_drained(&s->server))
        return;
    print_summary(s);
    if (s->options.end == EXCHANGE_SIM_END_HOLD || s->leaving)
        return;
    exchange_sim_server_goodbye(&s->server);
    s->leaving = true;
    s->leave_ns = s->server.now_ns;
}

static bool simulator_over(struct simulator *s)
{
    if (stop_asked != 0 && s->ended_ns == 0) {
        s->ended_ns = s->server.now_ns;
        sending_ended(s);
    }
    if (stop_asked != 0 && !s->leaving) {
        exchange_sim_server_goodbye(&s->server);
        s->leaving = true;
        s->leave_ns = s->server.now_ns;
        s->options.end = EXCHANGE_SIM_END_EXIT;
    }
    if (stop_asked != 0)
        s->options.end = EXCHANGE_SIM_END_EXIT;
    return s->leaving && s->options.end == EXCHANGE_SIM_END_EXIT &&
           (exchange_sim_server_drained(&s->server) ||
            s->server.now_ns - s->leave_ns > LINGER_SECONDS * SECOND_NS);
}

static int64_t simulator_turn(struct simulator *s)
{
    s->server.now_ns = io_monotonic_ns(s->io);
    if (s->server.now_ns >= s->tick_ns) {
        s->tick_ns = s->server.now_ns + SECOND_NS / TICKS_PER_SECOND;
        exchange_sim_server_tick(&s->server);
        if (s->server.faults != NULL)
            exchange_sim_faults_tick(&s->faults);
        begin_when_subscribed(s);
        end_when_sent(s);
        print_progress(s);
    }
    int64_t wait_ns = -1;
    if (!s->leaving)
        wait_ns = exchange_sim_source_pump(&s->source, s->server.now_ns, EVENTS_PER_TURN);
    if (s->options.faults.any)
        exchange_sim_faults_pump(&s->faults);
    exchange_sim_server_flush(&s->server);
    if (wait_ns > 0 && wait_ns < s->options.grain_ns)
        wait_ns = s->options.grain_ns;
    if (s->options.grain_ns == 0 && !s->leaving)
        return 0; // waking from a sleep takes longer than many gaps
    int64_t const tick_ns = s->tick_ns - s->server.now_ns;
    return wait_ns < 0 || wait_ns > tick_ns ? tick_ns : wait_ns;
}

// Nobody is waited for: the time between two events passes at once.
static void simulator_offline(struct simulator *s)
{
    int64_t now_ns = 1;
    exchange_sim_source_start(&s->source, now_ns, start_utc_ns(s));
    exchange_sim_books_all(&s->books, s->market, "begin", start_utc_ns(s));
    while (!s->source.ended && stop_asked == 0) {
        int64_t const wait_ns = exchange_sim_source_pump(&s->source, now_ns, EVENTS_PER_TURN);
        now_ns += wait_ns > 0 ? wait_ns : 0;
    }
    exchange_sim_source_finish(&s->source, now_ns);
    s->ended_ns = now_ns;
    exchange_sim_books_all(&s->books, s->market, "end", start_utc_ns(s) + now_ns - 1);
}

static void simulator_online(struct simulator *s)
{
    while (!simulator_over(s)) {
        int64_t const wait_ns = simulator_turn(s);
        (void)io_run(s->io, wait_ns < 0 ? 0 : wait_ns);
    }
}

static void simulator_close(struct simulator *s)
{
    if (!s->options.offline)
        exchange_sim_server_close(&s->server);
    exchange_sim_rest_close(&s->rest);
    exchange_sim_source_close(&s->source);
    exchange_sim_market_close(s->market);
    exchange_sim_reel_close(&s->reel);
    if (s->options.server.tls != NULL)
        tls_context_destroy(s->options.server.tls);
}

int main(int count, char **arguments)
{
    static struct simulator s;
    exchange_sim_options_read(&s.options, count, arguments);
    simulator_start(&s);
    if (s.options.offline)
        simulator_offline(&s);
    else
        simulator_online(&s);
    s.source.ended = true;
    print_summary(&s);
    simulator_close(&s);
    bool const written = exchange_sim_hub_close(&s.hub);
    if (!written)
        fail(s.options.truth_file, "could not be written");
    if (!exchange_sim_fault_log_close(&s.fault_log))
        fail(s.options.fault_log_file, "could not be written");
    if (!exchange_sim_books_close(&s.books))
        fail(s.options.books_file, "could not be written");
    return 0;
}
