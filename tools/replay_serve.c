// SPDX-License-Identifier: GPL-3.0-or-later
//
// One thread, one loop; another one reads the store ahead.
//
//     listening --N clients subscribed, a second ago--> begun --all played--> ended --drained-->
//     goodbye, exit
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/exchange_sim_connection.h"
#include "tools/replay_options.h"
#include "tools/replay_player.h"
#include "tools/replay_raw.h"
#include "tools/replay_rest.h"
#include "tools/replay_streams.h"
#include "tools/ringtape_command.h"

#define SECOND_NS ((int64_t)1000000000)

enum {
    ROWS_PER_TURN = 1024, // between two looks at the loop
    TICKS_PER_SECOND = 10,
    LINGER_SECONDS = 3, // for goodbyes
    PING_SECONDS = 20,
    PONG_SECONDS = 60,
    IDLE_SECONDS = 120,
    DAY_SECONDS = 86400,
    QUANTILE_99 = 990000,
    QUANTILE_50 = 500000,
};
#define GRAIN_NS ((int64_t)20000) // what is due within it goes out together

struct replay_server {
    const struct replay_options *options;
    struct io *io;
    struct tls_context *tls;
    struct exchange_sim_hub hub;
    struct exchange_sim_server server;
    struct replay_reader *reader;
    struct replay_player player;
    struct replay_streams streams;
    struct replay_raw raw;
    struct replay_rest rest;
    int64_t tick_ns;
    int64_t progress_ns;
    uint32_t subscriptions;   // when they last changed
    int64_t subscribed_ns;    // since when there are enough clients and nothing changed; 0: not
    uint64_t overruns_told;
    bool begun, ended, leaving;
    int64_t ended_ns, leave_ns;
};

// ---- accounts ----

static void tell_listening(struct replay_server *s, FILE *file)
{
    const uint8_t *host = s->options->host;
    (void)fprintf(file, "{\"event\":\"listening\",\"host\":\"%u.%u.%u.%u\",\"tls\":%s,\"ports\":{",
                  host[0], host[1], host[2], host[3], s->options->plain ? "false" : "true");
    for (uint32_t i = 0; i < s->server.listener_count; i++)
        (void)fprintf(file, "%s\"%s\":%u", i == 0 ? "" : ",",
                      exchange_sim_exchange_name(s->server.listeners[i].exchange),
                      s->server.listeners[i].port);
    const struct replay_extent extent = replay_reader_extent(s->reader);
    (void)fprintf(file, "},\"rows\":%" PRIu64 ",\"from_ns\":%" PRId64 ",\"to_ns\":%" PRId64 "}\n",
                  extent.rows, extent.time_first, extent.time_last);
    (void)fflush(file);
}

// Beside it and renamed, so that a reader never sees half of it.
static int write_ports(struct replay_server *s)
{
    char path[4096];
    const char *target = s->options->ports_file;
    if (target == NULL) return RINGTAPE_EXIT_OK;
    const int size = snprintf(path, sizeof path, "%s.part", target);
    if (size < 0 || size >= (int)sizeof path) return ringtape_fail("%s: path too long", target);
    FILE *file = fopen(path, "we");
    if (file == NULL) return ringtape_fail("%s: %s", path, strerror(errno));
    tell_listening(s, file);
    if (fclose(file) != 0 || rename(path, target) != 0)
        return ringtape_fail("%s: %s", path, strerror(errno));
    return RINGTAPE_EXIT_OK;
}

static void tell_open(struct replay_server *s)
{
    if (s->options->json) {
        tell_listening(s, stdout);
        return;
    }
    for (uint32_t i = 0; i < s->server.listener_count; i++)
        (void)fprintf(stderr, "%s: %s://%u.%u.%u.%u:%u\n",
                      exchange_sim_exchange_name(s->server.listeners[i].exchange),
                      s->options->plain ? "ws" : "wss", s->options->host[0], s->options->host[1],
                      s->options->host[2], s->options->host[3], s->server.listeners[i].port);
}

static double cpu_seconds(void)
{
    struct timespec cpu;
    ensure(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0);
    return (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
}

static void tell_counts(const struct replay_server *s, const char *event)
{
    const struct exchange_sim_counters *counters = &s->server.counters;
    const struct histogram *late = &s->player.late;
    const int64_t until_ns = s->ended ? s->ended_ns : s->server.now_ns;
    const int64_t elapsed_ns = s->begun ? until_ns - s->player.start_ns : 0;
    if (!s->options->json) return;
    (void)printf("{\"event\":\"%s\",\"played\":%" PRIu64 ",\"sent\":%" PRIu64
                 ",\"copies\":%" PRIu64 ",\"bytes\":%" PRIu64
                 ",\"elapsed_s\":%.6f,\"cpu_s\":%.3f,\"clock_ns\":%" PRId64
                 ",\"subscriptions\":%u,\"late_p50_us\":%" PRId64 ",\"late_p99_us\":%" PRId64
                 ",\"late_max_us\":%" PRId64 ",\"upgrades\":%" PRIu64 ",\"rest\":%" PRIu64
                 ",\"failed\":%" PRIu64 ",\"overruns\":%" PRIu64 ",\"laps\":%" PRIu64
                 ",\"damages\":%" PRIu64 "}\n",
                 event, s->player.played, s->hub.sent, s->hub.copies, s->hub.bytes,
                 (double)elapsed_ns / 1e9, cpu_seconds(), s->player.clock_ns,
                 s->hub.subscriptions, histogram_quantile_ns(late, QUANTILE_50) / 1000,
                 histogram_quantile_ns(late, QUANTILE_99) / 1000, late->max_ns / 1000,
                 counters->upgrades, counters->rest, counters->failed, counters->overruns,
                 s->player.laps, replay_reader_damages(s->reader));
    (void)fflush(stdout);
}

static void tell_progress(struct replay_server *s)
{
    if (s->server.now_ns < s->progress_ns || !s->begun || s->ended) return;
    s->progress_ns = s->server.now_ns + SECOND_NS;
    tell_counts(s, "progress");
}

// Dropped as the exchanges do it: without a word on the wire, which nobody would read.
static void tell_overruns(struct replay_server *s)
{
    if (s->server.counters.overruns == s->overruns_told) return;
    s->overruns_told = s->server.counters.overruns;
    (void)ringtape_fail("a client was dropped: it read so slowly that %" PRIu64 " MiB waited for "
                        "it (--queue); dropped so far: %" PRIu64,
                        s->options->queue_mib, s->overruns_told);
}

// ---- start ----

static bool exchange_played(struct replay_server *s, int exchange)
{
    bool any = false;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++) any = any || s->options->exchange[i];
    if (any) return s->options->exchange[exchange];
    for (uint32_t i = 0; i < s->streams.names->count; i++)
        if (replay_streams_symbol(&s->streams, i)->exchange == exchange) return true;
    return false;
}

static int server_listen(struct replay_server *s)
{
    uint32_t port = s->options->port;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++) {
        if (!exchange_played(s, i)) continue;
        if (port > UINT16_MAX)
            return ringtape_fail("--listen: behind port %u there is none for %s", UINT16_MAX,
                                 exchange_sim_exchange_name((enum exchange_sim_exchange)i));
        struct io_address address = {.port = (uint16_t)port};
        memcpy(address.bytes, s->options->host, sizeof s->options->host);
        const int result =
            exchange_sim_server_listen(&s->server, (enum exchange_sim_exchange)i, &address);
        if (result < 0)
            return ringtape_fail("cannot listen on port %u: %s", port, strerror(-result));
        if (port != 0) port++;
    }
    if (s->server.listener_count > 0) return RINGTAPE_EXIT_OK;
    return ringtape_fail("%s: nothing of binance, binance-usdm or upbit that could be played",
                         s->options->query.store);
}

static int server_tls(struct replay_server *s)
{
    if (s->options->plain) return RINGTAPE_EXIT_OK;
    const struct tls_options tls = {
        .role = TLS_SERVER,
        .certificate_file = s->options->certificate_file,
        .key_file = s->options->key_file,
    };
    struct tls_failure failure;
    s->tls = tls_context_create(&tls, &failure);
    return s->tls != NULL ? RINGTAPE_EXIT_OK : ringtape_fail("TLS: %s", failure.text);
}

static void reader_ready(void *context)
{
    io_wake(context);
}

static void woken(void *context)
{
    (void)context; // the loop looks by itself
}

static bool prepare_slice(void *context, struct replay_slice *slice)
{
    return replay_raw_pair(context, slice);
}

static int server_store(struct replay_server *s)
{
    const struct replay_reader_options reader = {
        .query = &s->options->query, .ready = reader_ready, .context = s->io};
    const int code = replay_reader_open(&s->reader, &reader);
    if (code != RINGTAPE_EXIT_OK) return code;
    if (!exchange_sim_hub_open(&s->hub, NULL) ||
        !replay_streams_open(&s->streams, &s->hub, replay_reader_names(s->reader)))
        return ringtape_fail("out of memory");
    replay_player_open(&s->player, s->reader, s->options->speed_thousandths, s->options->loop);
    replay_raw_open(&s->raw, &s->streams);
    s->player.prepare = prepare_slice;
    s->player.prepare_context = &s->raw;
    return replay_rest_open(&s->rest, &s->options->query, &s->streams, &s->player);
}

static bool server_open(struct replay_server *s)
{
    s->hub.paced = s->options->speed_thousandths == 0;
    s->server.io = s->io;
    s->server.hub = &s->hub;
    s->server.answer = replay_rest_answer;
    s->server.answer_context = &s->rest;
    s->server.snapshot = replay_rest_snapshot;
    s->server.snapshot_context = &s->rest;
    s->server.options = (struct exchange_sim_server_options){
        .tls = s->tls,
        .packed = true,
        .backlog_bytes = (size_t)s->options->queue_mib << 20,
        .day_ns = DAY_SECONDS * SECOND_NS,
        .ping_interval_ns = PING_SECONDS * SECOND_NS,
        .pong_limit_ns = PONG_SECONDS * SECOND_NS,
        .idle_limit_ns = IDLE_SECONDS * SECOND_NS,
    };
    return exchange_sim_server_open(&s->server);
}

static int server_start(struct replay_server *s)
{
    struct io_message message;
    const struct io_options io = {.name = "replay"};
    if (io_open_loop(&s->io, &io, &message) != 0) return ringtape_fail("%s", message.text);
    io_on_wake(s->io, woken, NULL);
    int code = server_tls(s);
    if (code == RINGTAPE_EXIT_OK) code = server_store(s);
    if (code == RINGTAPE_EXIT_OK && !server_open(s)) code = ringtape_fail("out of memory");
    if (code == RINGTAPE_EXIT_OK) code = server_listen(s);
    if (code != RINGTAPE_EXIT_OK) return code;
    tell_open(s);
    return write_ports(s);
}

// ---- the loop ----

static uint32_t clients_subscribed(const struct replay_server *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->server.used; i++) {
        const struct exchange_sim_connection *c = &s->server.connections[i];
        count += c->state == EXCHANGE_SIM_STREAMING && c->stream_count > 0;
    }
    return count;
}

// A client may need several requests for what it wants.
static void begin_when_subscribed(struct replay_server *s)
{
    if (s->begun) return;
    const bool enough = clients_subscribed(s) >= s->options->wait_clients;
    if (!enough || s->hub.subscriptions != s->subscriptions) s->subscribed_ns = 0;
    s->subscriptions = s->hub.subscriptions;
    if (!enough) return;
    if (s->subscribed_ns == 0) s->subscribed_ns = s->server.now_ns;
    if (s->options->wait_clients > 0 && s->server.now_ns - s->subscribed_ns < SECOND_NS) return;
    s->begun = true;
    replay_player_start(&s->player, s->server.now_ns);
    tell_counts(s, "begun");
}

static void leave(struct replay_server *s)
{
    exchange_sim_server_goodbye(&s->server);
    s->leaving = true;
    s->leave_ns = s->server.now_ns;
}

static void end_when_played(struct replay_server *s)
{
    if (!s->player.ended || !exchange_sim_server_drained(&s->server)) return;
    if (!s->ended) {
        s->ended = true;
        s->ended_ns = s->server.now_ns;
        tell_counts(s, "ended");
    }
    if (!s->leaving && !s->options->hold) leave(s);
}

static bool server_over(struct replay_server *s)
{
    if (replay_stop != 0 && !s->leaving) leave(s);
    return s->leaving && (exchange_sim_server_drained(&s->server) ||
                          s->server.now_ns - s->leave_ns > LINGER_SECONDS * SECOND_NS);
}

// Plays what is due. ns until there is more, 0: at once, -1: when something happens.
static int64_t server_play(struct replay_server *s)
{
    const struct replay_entry *entry;
    const bool paced = s->options->speed_thousandths == 0;
    if (!s->begun || s->leaving) return -1;
    for (uint32_t i = 0; i < ROWS_PER_TURN; i++) {
        // As fast as clients read: without any, nothing.
        if (paced && s->options->wait_clients > 0 && s->hub.subscriptions == 0) return -1;
        const int64_t wait_ns = replay_player_next(&s->player, s->server.now_ns, &entry);
        if (wait_ns != 0) return wait_ns < 0 ? -1 : wait_ns;
        if (entry->channel == CHANNEL_RAW)
            replay_raw_publish(&s->raw, s->player.slice, entry);
        else if (replay_streams_publish(&s->streams, s->player.slice, entry) ==
                 EXCHANGE_SIM_BLOCKED)
            return -1;
        replay_player_pass(&s->player, entry, s->server.now_ns);
    }
    return 0;
}

static void server_turn(struct replay_server *s)
{
    s->server.now_ns = io_monotonic_ns(s->io);
    if (s->server.now_ns >= s->tick_ns) {
        s->tick_ns = s->server.now_ns + SECOND_NS / TICKS_PER_SECOND;
        exchange_sim_server_tick(&s->server);
        begin_when_subscribed(s);
        tell_progress(s);
        tell_overruns(s);
    }
    int64_t wait_ns = server_play(s);
    exchange_sim_server_flush(&s->server);
    end_when_played(s);
    const int64_t tick_ns = s->tick_ns - s->server.now_ns;
    if (wait_ns > 0 && wait_ns < GRAIN_NS) wait_ns = GRAIN_NS;
    if (wait_ns < 0 || wait_ns > tick_ns) wait_ns = tick_ns;
    (void)io_run(s->io, wait_ns < 0 ? 0 : wait_ns);
}

static int server_code(const struct replay_server *s)
{
    if (s->player.error != 0)
        return ringtape_fail("%s: %s", s->options->query.store,
                             ringtape_error_text(s->player.error));
    return replay_reader_damages(s->reader) > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}

int replay_serve(const struct replay_options *options)
{
    static struct replay_server s;
    s.options = options;
    int code = server_start(&s);
    if (code == RINGTAPE_EXIT_OK) {
        while (!server_over(&s)) server_turn(&s);
        if (!s.ended) tell_counts(&s, "ended");
        code = server_code(&s);
    }
    replay_reader_close(s.reader);
    return ringtape_finish_output(code);
}
