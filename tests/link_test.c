// SPDX-License-Identifier: GPL-3.0-or-later
//
// Links against a peer in the simulated world: every edge of the state machine by name, every
// misbehaviour of a server with its cause, every op failing at every occasion, a stop at every
// step, limits of pace, silence, life and permits, and random faults over many seeds. After each,
// link_check() has held all the way and a stop leaves nothing in flight.
#include "capture/link.h"

#include "capture/link_steps.h"
#include "format/ensure.h"
#include "io_sim.h"
#include "link_peer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 1024, NOTES_MAX = 256 };

// A link, the shard's part of it, and its peer.
struct rig {
    struct sim_world *world;
    struct io *io;
    struct io *peer_io;
    struct peer *peer;
    struct log log;
    struct symbols *symbols;
    struct intake intake;
    struct permits permits;
    struct link_shared shared;
    struct link_feed feed;
    struct dialect dialect; // a copy whose limits a test may change
    struct dialect_channel channel;
    struct dialect_stream streams[STREAMS_MAX];
    struct link link;
    bool opened;
    uint32_t news[LINK_NEWS_ENDED + 1];
    uint64_t trades;
    int64_t trade_id; // the last one
    bool trade_back;  // an id was not above the one before
    uint64_t raw;
    uint32_t status_count[STATUS_DISK_FREED + 1];
    char cause[512];  // detail of the last down or refused row
    int64_t receive_ns;
    int64_t step_ns;   // count of the last clock step; 0: none
    uint32_t states;  // bit s: state s was seen
};

static bool rig_sink(void *context, const struct event *event)
{
    struct rig *rig = context;
    cr_assert(event_has(event, COLUMN_RECEIVE_TIME));
    cr_assert_geq(event->value[COLUMN_RECEIVE_TIME], rig->receive_ns, "receive time went back");
    rig->receive_ns = event->value[COLUMN_RECEIVE_TIME];
    if (event->channel == CHANNEL_TRADE) {
        rig->trade_back |= event->value[TRADE_ID] <= rig->trade_id;
        rig->trade_id = event->value[TRADE_ID];
        rig->trades++;
    } else if (event->channel == CHANNEL_RAW) {
        rig->raw++;
    } else if (event->channel == CHANNEL_STATUS) {
        int64_t kind = event->value[STATUS_KIND];
        rig->status_count[kind]++;
        if (kind == STATUS_CLOCK_STEP)
            rig->step_ns = event_has(event, STATUS_COUNT) ? event->value[STATUS_COUNT] : 0;
        if (kind == STATUS_LINK_DOWN || kind == STATUS_LINK_REFUSED) {
            struct event_text text = event_text(event, STATUS_DETAIL);
            uint32_t size = text.size < sizeof rig->cause - 1 ? text.size : sizeof rig->cause - 1;
            memcpy(rig->cause, text.bytes, size);
            rig->cause[size] = '\0';
        }
    }
    return true;
}

static void rig_hear(void *context, struct link *link, enum link_news news)
{
    struct rig *rig = context;
    cr_assert_eq(link, &rig->link);
    rig->news[news]++;
}

static void rig_feed(struct rig *rig, uint32_t streams)
{
    memcpy(rig->channel.text, "trade", 6);
    rig->dialect = *dialect_by_name("binance");
    uint32_t exchange = symbols_exchange(rig->symbols, "binance");
    for (uint32_t i = 0; i < streams; i++) {
        char name[16];
        int size = i == 0 ? snprintf(name, sizeof name, "BTCUSDT")
                          : snprintf(name, sizeof name, "C%uUSDT", i);
        rig->streams[i].symbol = symbols_add(rig->symbols, exchange, name, (uint32_t)size);
    }
    rig->feed = (struct link_feed){
        .dialect = &rig->dialect,
        .context = {.symbols = rig->symbols, .exchange = exchange, .raw_symbol = SYMBOL_NONE},
        .channels = &rig->channel,
        .permit_kind = permits_kind(&rig->permits, "binance", 300, 300 * LIMIT_SECOND_NS),
    };
    char url[64];
    (void)snprintf(url, sizeof url, "ws://peer.test:%u", rig->peer->port);
    cr_assert_null(url_parse(url, true, &rig->feed.url));
}

static struct rig *rig_create(uint64_t seed, uint32_t streams)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct io_message message;
    rig->world = sim_world_create(seed);
    sim_world_use(rig->world);
    cr_assert_eq(io_open_loop(&rig->io, &(struct io_options){.name = "link"}, &message), 0);
    cr_assert_eq(io_open_loop(&rig->peer_io, &(struct io_options){.name = "peer"}, &message), 0);
    sim_world_name(rig->world, "peer.test", "127.0.0.1");
    rig->peer = peer_create(rig->peer_io);
    rig->log.file = getenv("LINK_TEST_LOG") != NULL ? 2 : -1;
    rig->log.levels.all = LOG_LEVEL_DEBUG;
    rig->symbols = symbols_open(STREAMS_MAX + 1);
    permits_init(&rig->permits);
    rig->shared = (struct link_shared){.io = rig->io,
                                       .log = &rig->log,
                                       .intake = &rig->intake,
                                       .permits = &rig->permits,
                                       .hear = rig_hear,
                                       .hear_context = rig};
    cr_assert_eq(intake_open(&rig->intake, rig_sink, rig, &rig->log), 0);
    cr_assert_eq(link_shared_open(&rig->shared), 0);
    rig_feed(rig, streams);
    struct link_streams of_link = {.streams = rig->streams, .count = streams};
    cr_assert_eq(link_open(&rig->link, &rig->shared, &rig->feed, &of_link, 7), 0);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    if (rig->link.state == LINK_IDLE) link_close(&rig->link);
    link_shared_close(&rig->shared);
    intake_close(&rig->intake);
    symbols_close(rig->symbols);
    sim_world_destroy(rig->world);
    peer_destroy(rig->peer);
    free(rig);
}

// Steps the world for so long, or until `state` is entered (LINK_BACKOFF + 1: never). True:
// entered.
static bool rig_run(struct rig *rig, int64_t for_ns, enum link_state state)
{
    int64_t end_ns = sim_world_monotonic_ns(rig->world) + for_ns;
    while (sim_world_monotonic_ns(rig->world) < end_ns) {
        if (!sim_world_step(rig->world)) break;
        link_check(&rig->link);
        rig->states |= 1u << rig->link.state;
        if (rig->link.state == state) return true;
    }
    return rig->link.state == state;
}

#define RIG_NEVER ((enum link_state)(LINK_BACKOFF + 1))

static void rig_stop(struct rig *rig)
{
    link_stop(&rig->link);
    cr_assert(rig_run(rig, 3 * LIMIT_SECOND_NS, LINK_IDLE), "stopped link is %s",
              link_state_name(rig->link.state));
    cr_assert(io_idle(&rig->link.receive) && io_idle(&rig->link.timer));
}

// ---- the way up and down ----

Test(link, a_good_peer_is_lived_with_and_left_politely)
{
    struct rig *rig = rig_create(1, 1);
    link_start(&rig->link);
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_LIVE));
    cr_assert_eq(rig->status_count[STATUS_LINK_UP], 1);
    cr_assert_eq(rig->news[LINK_NEWS_LIVE], 1);
    (void)rig_run(rig, 10 * LIMIT_SECOND_NS, RIG_NEVER);
    cr_assert_geq(rig->trades, 95);
    cr_assert_not(rig->trade_back);
    rig_stop(rig);
    cr_assert_eq(rig->peer->unsubscribed, 1, "what was subscribed was not taken back");
    cr_assert_eq(rig->peer->closes, 1, "no close frame was sent");
    cr_assert_eq(rig->news[LINK_NEWS_ENDED], 1);
    cr_assert_eq(rig->status_count[STATUS_LINK_DOWN], 1);
    // Without TLS there is nothing to shake hands about.
    uint32_t all = ((1u << LINK_BACKOFF) - 1) & ~(1u << LINK_HANDSHAKING);
    cr_assert_eq(rig->states, all, "states seen: %x", rig->states);
    rig_destroy(rig);
}

static void check_pace(const struct peer *peer)
{
    for (uint32_t i = 5; i < peer->message_count; i++) {
        int64_t apart_ns = peer->message_ns[i] - peer->message_ns[i - 5];
        cr_assert_geq(apart_ns, LIMIT_SECOND_NS, "6 messages within %lld ns", (long long)apart_ns);
    }
}

Test(link, a_full_link_takes_all_back_in_pace_and_in_time)
{
    // The worst moment: a pong has just gone out.
    struct rig *rig = rig_create(12, STREAMS_MAX);
    rig->peer->mode = PEER_PINGS;
    link_start(&rig->link);
    cr_assert(rig_run(rig, 10 * LIMIT_SECOND_NS, LINK_LIVE));
    uint64_t pongs = rig->peer->pongs;
    while (rig->peer->pongs == pongs) cr_assert(sim_world_step(rig->world));
    int64_t begun_ns = sim_world_monotonic_ns(rig->world);
    link_stop(&rig->link);
    cr_assert_eq(rig->link.state, LINK_UNSUBSCRIBING);
    cr_assert(rig_run(rig, LINK_UNSUBSCRIBE_NS + LINK_DRAIN_NS, LINK_IDLE));
    cr_assert_eq(rig->peer->unsubscribed, STREAMS_MAX);
    cr_assert_eq(rig->peer->closes, 1);
    check_pace(rig->peer);
    int64_t took_ns = sim_world_monotonic_ns(rig->world) - begun_ns;
    cr_assert_leq(took_ns, LINK_UNSUBSCRIBE_NS + LINK_DRAIN_NS);
    rig_destroy(rig);
}

Test(link, only_what_was_asked_for_is_taken_back)
{
    // The peer itself refuses to be asked for more. Six requests a quarter of a second apart.
    for (uint32_t half = 0; half <= 8; half++) {
        struct rig *rig = rig_create(13 + half, STREAMS_MAX);
        link_start(&rig->link);
        cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_SUBSCRIBING));
        (void)rig_run(rig, half * 125 * LIMIT_MILLISECOND_NS, RIG_NEVER);
        cr_assert_eq(rig->link.state, LINK_SUBSCRIBING);
        uint32_t asked = rig->link.subscribe_position;
        rig_stop(rig);
        cr_assert_eq(rig->peer->unsubscribed, asked);
        check_pace(rig->peer);
        rig_destroy(rig);
    }
}

Test(link, an_exchange_without_such_a_request_is_just_closed)
{
    struct rig *rig = rig_create(30, 1);
    rig->dialect.unsubscribe = NULL;
    link_start(&rig->link);
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_LIVE));
    rig_stop(rig);
    cr_assert_eq(rig->peer->unsubscriptions, 0);
    cr_assert_eq(rig->peer->closes, 1);
    cr_assert_not(rig->states & 1u << LINK_UNSUBSCRIBING);
    rig_destroy(rig);
}

Test(link, a_peer_that_dislikes_the_leaving_does_not_hold_it_up)
{
    static const enum peer_mode modes[] = {PEER_LEFT_CUTS, PEER_LEFT_REFUSES, PEER_LEFT_SILENT};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct rig *rig = rig_create(31 + i, STREAMS_MAX);
        rig->peer->mode = modes[i];
        link_start(&rig->link);
        cr_assert(rig_run(rig, 10 * LIMIT_SECOND_NS, LINK_LIVE));
        link_stop(&rig->link);
        cr_assert(rig_run(rig, LINK_UNSUBSCRIBE_NS + LINK_DRAIN_NS, LINK_IDLE), "mode %d: %s",
                  modes[i], link_state_name(rig->link.state));
        cr_assert_eq(rig->status_count[STATUS_LINK_DOWN], 1);
        cr_assert(strstr(rig->cause, "stopped") != NULL, "%s", rig->cause);
        cr_assert_eq(rig->shared.counters.downs, 0, "leaving is no failure");
        cr_assert_eq(rig->peer->unsubscriptions, modes[i] == PEER_LEFT_CUTS ? 1 : 4);
        rig_destroy(rig);
    }
}

Test(link, a_stopped_link_can_start_again)
{
    struct rig *rig = rig_create(2, 1);
    for (int i = 1; i <= 3; i++) {
        link_start(&rig->link);
        cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_LIVE));
        rig_stop(rig);
        cr_assert_eq(rig->news[LINK_NEWS_ENDED], (uint32_t)i);
    }
    rig_destroy(rig);
}

// ---- hostile peers ----

static const struct {
    enum peer_mode mode;
    enum status_kind status;
    const char *cause; // part of the detail
    int64_t within_s;
} hostile[] = {
    {PEER_MUTE, STATUS_LINK_DOWN, "upgrading: no answer to the WebSocket request", 12},
    {PEER_HANGS_UP, STATUS_LINK_DOWN, "upgrading: the connection was closed before", 2},
    {PEER_NOT_HTTP, STATUS_LINK_REFUSED, "upgrading: the answer is not HTTP", 2},
    {PEER_FORBIDDEN, STATUS_LINK_REFUSED, "is 403 Forbidden; this address may be barred", 2},
    {PEER_TOO_MANY, STATUS_LINK_REFUSED, "is 429 Too Many Requests; too many requests", 2},
    {PEER_BAD_ACCEPT, STATUS_LINK_REFUSED, "upgrading: not a WebSocket server", 2},
    {PEER_EXTENSION, STATUS_LINK_REFUSED, "upgrading: not a WebSocket server", 2},
    {PEER_HUGE_HEAD, STATUS_LINK_REFUSED, "upgrading: the answer is not HTTP", 2},
    {PEER_REFUSES, STATUS_LINK_REFUSED, "subscribing: the exchange refused a request: Inv", 2},
    {PEER_MASKED, STATUS_LINK_DOWN, "live: the exchange broke the WebSocket protocol", 3},
    {PEER_RESERVED_BITS, STATUS_LINK_DOWN, "live: the exchange broke the WebSocket protocol", 3},
    {PEER_BAD_TEXT, STATUS_LINK_DOWN, "live: the exchange broke the WebSocket protocol", 3},
    {PEER_TOO_LARGE, STATUS_LINK_DOWN, "live: the exchange broke the WebSocket protocol", 3},
    {PEER_BAD_CLOSE, STATUS_LINK_DOWN, "live: the exchange broke the WebSocket protocol", 3},
    {PEER_CLOSES, STATUS_LINK_DOWN, "live: the exchange closed the link: code 1001 bye", 3},
    {PEER_CUTS, STATUS_LINK_DOWN, "live: the exchange closed the connection", 3},
    {PEER_SILENT, STATUS_LINK_DOWN, "live: nothing was heard for 60 s", 80},
};

Test(link, hostile_peers_are_left_with_a_named_cause_and_tried_again)
{
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct rig *rig = rig_create(100 + i, 1);
        rig->peer->mode = hostile[i].mode;
        link_start(&rig->link);
        (void)rig_run(rig, hostile[i].within_s * LIMIT_SECOND_NS, LINK_DRAINING);
        cr_assert_geq(rig->status_count[hostile[i].status], 1, "mode %d: no row", hostile[i].mode);
        cr_assert(strstr(rig->cause, hostile[i].cause) != NULL, "mode %d: \"%s\"", hostile[i].mode,
                  rig->cause);
        cr_assert(rig_run(rig, 10 * LIMIT_SECOND_NS, LINK_BACKOFF));
        rig->peer->mode = PEER_GOOD;
        cr_assert(rig_run(rig, 60 * LIMIT_SECOND_NS, LINK_LIVE), "mode %d", hostile[i].mode);
        rig_stop(rig);
        rig_destroy(rig);
    }
}

static const struct {
    enum peer_mode mode;
    uint64_t raw;
} harmless[] = {
    {PEER_NONSENSE, 1}, {PEER_ABSURD, 1}, {PEER_UNKNOWN_SYMBOL, 1}, {PEER_FRAGMENTS, 0},
};

Test(link, odd_messages_are_kept_and_do_not_end_the_link)
{
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        struct rig *rig = rig_create(200 + i, 1);
        rig->peer->mode = harmless[i].mode;
        link_start(&rig->link);
        (void)rig_run(rig, 5 * LIMIT_SECOND_NS, RIG_NEVER);
        cr_assert_eq(rig->link.state, LINK_LIVE, "mode %d", harmless[i].mode);
        cr_assert_eq(rig->raw, harmless[i].raw, "mode %d: %llu raw rows", harmless[i].mode,
                     (unsigned long long)rig->raw);
        // What is still on its way aside, every trade sent is a row.
        cr_assert_geq(rig->trades + 2, rig->peer->trade);
        rig_stop(rig);
        rig_destroy(rig);
    }
}

Test(link, keep_raw_keeps_every_message)
{
    struct rig *rig = rig_create(3, 1);
    rig->link.source.keep_raw = true;
    link_start(&rig->link);
    (void)rig_run(rig, 3 * LIMIT_SECOND_NS, RIG_NEVER);
    cr_assert_eq(rig->raw, rig->trades + 1); // and the reply to the subscription
    rig_stop(rig);
    rig_destroy(rig);
}

// ---- limits ----

Test(link, client_messages_keep_the_exchange_s_pace)
{
    // 1,024 streams take several requests while a hundred pings a second want answers.
    struct rig *rig = rig_create(4, STREAMS_MAX);
    rig->peer->mode = PEER_PINGS;
    link_start(&rig->link);
    (void)rig_run(rig, 20 * LIMIT_SECOND_NS, RIG_NEVER);
    cr_assert_eq(rig->link.state, LINK_LIVE);
    cr_assert_eq(rig->peer->streams, STREAMS_MAX);
    cr_assert_geq(rig->peer->pongs, 40);
    cr_assert_geq(rig->peer->message_count, 10);
    check_pace(rig->peer);
    rig_stop(rig);
    rig_destroy(rig);
}

Test(link, retry_after_is_respected)
{
    struct rig *rig = rig_create(5, 1);
    rig->peer->mode = PEER_TOO_MANY;
    link_start(&rig->link);
    (void)rig_run(rig, 29 * LIMIT_SECOND_NS, RIG_NEVER);
    cr_assert_eq(rig->peer->connections, 1);
    (void)rig_run(rig, 3 * LIMIT_SECOND_NS, RIG_NEVER);
    cr_assert_eq(rig->peer->connections, 2);
    rig_stop(rig);
    rig_destroy(rig);
}

Test(link, pauses_grow_to_a_minute_and_shrink_after_a_steady_life)
{
    struct rig *rig = rig_create(6, 1);
    rig->peer->mode = PEER_FORBIDDEN;
    link_start(&rig->link);
    (void)rig_run(rig, 10 * LIMIT_MINUTE_NS, RIG_NEVER);
    uint64_t early = rig->peer->connections;
    cr_assert(early >= 12 && early <= 40, "%llu attempts in 10 min", (unsigned long long)early);
    rig->peer->mode = PEER_GOOD;
    (void)rig_run(rig, 5 * LIMIT_MINUTE_NS, RIG_NEVER);
    cr_assert_eq(rig->link.state, LINK_LIVE);
    sim_network_cut(rig->world, rig->peer->port, true);
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_BACKOFF));
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_LIVE), "a steady link comes back at once");
    rig_stop(rig);
    rig_destroy(rig);
}

Test(link, permits_bound_the_attempts_of_all_links)
{
    struct rig *rig = rig_create(7, 1);
    rig->feed.permit_kind =
        permits_kind(&rig->permits, "strict", 3, 10 * LIMIT_MINUTE_NS);
    rig->peer->mode = PEER_FORBIDDEN;
    link_start(&rig->link);
    (void)rig_run(rig, 10 * LIMIT_MINUTE_NS, RIG_NEVER);
    cr_assert_eq(rig->peer->connections, 3);
    (void)rig_run(rig, LIMIT_MINUTE_NS, RIG_NEVER);
    cr_assert_gt(rig->peer->connections, 3);
    rig_stop(rig);
    rig_destroy(rig);
}

Test(link, a_mute_network_is_noticed)
{
    struct rig *rig = rig_create(8, 1);
    link_start(&rig->link);
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_LIVE));
    sim_network_cut(rig->world, rig->peer->port, false);
    cr_assert(rig_run(rig, 80 * LIMIT_SECOND_NS, LINK_DRAINING));
    cr_assert(strstr(rig->cause, "nothing was heard") != NULL, "%s", rig->cause);
    cr_assert(rig_run(rig, 10 * LIMIT_SECOND_NS, LINK_LIVE));
    rig_stop(rig);
    rig_destroy(rig);
}

Test(link, a_name_service_that_is_silent_is_noticed)
{
    struct rig *rig = rig_create(8, 1);
    struct sim_faults *faults = sim_world_faults(rig->world);
    const struct sim_faults calm = *faults;
    faults->network_ns_min = faults->network_ns_max = LIMIT_HOUR_NS;
    link_start(&rig->link);
    (void)rig_run(rig, LINK_STEP_NS - LIMIT_MILLISECOND_NS, RIG_NEVER);
    cr_assert_eq(rig->link.state, LINK_RESOLVING);
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_DRAINING));
    cr_assert(strstr(rig->cause, "the name service does not answer; check the resolver") != NULL,
              "%s", rig->cause);
    *faults = calm;
    cr_assert(rig_run(rig, 10 * LIMIT_SECOND_NS, LINK_LIVE));
    rig_stop(rig);
    rig_destroy(rig);
}

Test(link, a_successor_is_wanted_before_the_exchange_cuts)
{
    struct rig *rig = rig_create(9, 1);
    rig->dialect.connection_life_ns = LIMIT_HOUR_NS;
    link_start(&rig->link);
    (void)rig_run(rig, 50 * LIMIT_MINUTE_NS, RIG_NEVER);
    cr_assert_eq(rig->news[LINK_NEWS_RENEW], 0);
    (void)rig_run(rig, 9 * LIMIT_MINUTE_NS, RIG_NEVER);
    cr_assert_eq(rig->news[LINK_NEWS_RENEW], 1);
    cr_assert_eq(rig->link.state, LINK_LIVE);
    // With a successor it is not connected again when it goes.
    link_retire(&rig->link);
    sim_network_cut(rig->world, rig->peer->port, true);
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_IDLE));
    cr_assert_eq(rig->news[LINK_NEWS_ENDED], 1);
    rig_destroy(rig);
}

Test(link, a_shutdown_notice_wants_a_successor_at_once)
{
    struct rig *rig = rig_create(10, 1);
    rig->peer->mode = PEER_SHUTDOWN;
    link_start(&rig->link);
    (void)rig_run(rig, 3 * LIMIT_SECOND_NS, RIG_NEVER);
    cr_assert_eq(rig->status_count[STATUS_SERVER_SHUTDOWN], 1);
    cr_assert_eq(rig->news[LINK_NEWS_RENEW], 1);
    rig_stop(rig);
    rig_destroy(rig);
}

Test(link, a_step_of_the_clock_is_a_row)
{
    struct rig *rig = rig_create(11, 1);
    link_start(&rig->link);
    cr_assert(rig_run(rig, LIMIT_SECOND_NS, LINK_LIVE));
    sim_world_step_clock(rig->world, LIMIT_MINUTE_NS);
    (void)rig_run(rig, LIMIT_SECOND_NS, RIG_NEVER);
    cr_assert_eq(rig->status_count[STATUS_CLOCK_STEP], 1);
    cr_assert_gt(rig->step_ns, 59 * LIMIT_SECOND_NS);
    sim_world_step_clock(rig->world, -LIMIT_MINUTE_NS);
    (void)rig_run(rig, 3 * LIMIT_MINUTE_NS, RIG_NEVER);
    cr_assert_eq(rig->status_count[STATUS_CLOCK_STEP], 2, "%u rows",
                 rig->status_count[STATUS_CLOCK_STEP]);
    cr_assert_eq(rig->step_ns, 0);
    rig_stop(rig);
    rig_destroy(rig);
}

// ---- every op failing, a stop at every step ----

Test(link, every_op_failing_at_every_occasion_is_survived)
{
    static const enum io_kind kinds[] = {IO_RESOLVE, IO_CONNECT, IO_RECEIVE, IO_SEND, IO_CLOSE};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        for (uint32_t skip = 0; skip < 12; skip++) {
            struct rig *rig = rig_create(1000 + skip, 1);
            sim_world_fail(rig->world, kinds[kind], skip, -104); // ECONNRESET
            link_start(&rig->link);
            (void)rig_run(rig, 3 * LIMIT_MINUTE_NS, RIG_NEVER);
            cr_assert_eq(rig->link.state, LINK_LIVE, "op %d, occasion %u: %s: %s",
                         (int)kinds[kind], skip, link_state_name(rig->link.state), rig->cause);
            cr_assert_gt(rig->trades, 1000);
            rig_stop(rig);
            rig_destroy(rig);
        }
    }
}

Test(link, a_stop_at_every_step_leaves_nothing_in_flight)
{
    for (uint32_t steps = 0; steps < 60; steps++) {
        struct rig *rig = rig_create(2000, 1);
        link_start(&rig->link);
        for (uint32_t i = 0; i < steps; i++) (void)sim_world_step(rig->world);
        rig_stop(rig);
        cr_assert_eq(rig->news[LINK_NEWS_ENDED], 1);
        rig_destroy(rig);
    }
}

Test(link, a_stop_while_pausing_and_while_mute_is_quick)
{
    for (int mode = 0; mode < PEER_MODES; mode++) {
        struct rig *rig = rig_create(3000, 1);
        rig->peer->mode = (enum peer_mode)mode;
        link_start(&rig->link);
        (void)rig_run(rig, 2 * LIMIT_SECOND_NS, RIG_NEVER);
        rig_stop(rig);
        rig_destroy(rig);
    }
}

Test(link, random_faults_never_break_it)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig *rig = rig_create(seed, 1);
        struct sim_faults *faults = sim_world_faults(rig->world);
        faults->receive_split = 300000;
        faults->send_short = 200000;
        faults->connect_refused = 200000;
        faults->connect_timeout = 50000;
        faults->reset = 2000;
        faults->mute = 50000;
        faults->resolve_failed = 100000;
        link_start(&rig->link);
        for (int minute = 0; minute < 10; minute++) {
            rig->peer->mode = sim_world_random(rig->world, 4) == 0
                                  ? (enum peer_mode)sim_world_random(rig->world, PEER_MODES)
                                  : PEER_GOOD;
            (void)rig_run(rig, LIMIT_MINUTE_NS, RIG_NEVER);
        }
        cr_assert_gt(rig->trades, 0, "seed %llu", (unsigned long long)seed);
        cr_assert_not(rig->trade_back, "seed %llu", (unsigned long long)seed);
        rig_stop(rig);
        rig_destroy(rig);
    }
}
