// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life: see complete_life.h. What comes of it is judged in complete_life_judge.c.
#include "complete_life.h"

#include "complete_life_candles.h"
#include "format/ensure.h"
#include "format/event.h"
#include "keep/keep_store.h"
#include "market_tls.h"
#include "sim_store.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE "/data/store"

// ---- lives ----

struct life *life_create(uint64_t seed, uint32_t redundancy, int64_t pause_ns)
{
    struct life *life = calloc(1, sizeof *life);
    struct io_message message = {{0}};
    life->redundancy = redundancy;
    life->world = sim_world_create(seed);
    sim_world_use(life->world);
    cr_assert_eq(sim_disk_mkdir(life->world, "/data"), 0);
    cr_assert_eq(io_open_loop(&life->peer_io, &(struct io_options){.name = "peer"}, &message), 0);
    sim_loop_elsewhere(life->peer_io);
    life->peer = market_peer_create(life->peer_io, life->world, pause_ns);
    static const char *const addresses[] = LIFE_ADDRESSES;
    for (uint32_t i = 0; i < 3; i++) {
        sim_world_name(life->world, LIFE_HOST, addresses[i]);
        sim_world_name(life->world, LIFE_HOST_ALIAS, addresses[i]);
    }
    sim_name_hidden(life->world, LIFE_HOST, addresses[2], true);
    sim_name_hidden(life->world, LIFE_HOST_ALIAS, addresses[2], true);
    for (uint32_t i = 1; i < 3; i++) sim_address_gone(life->world, addresses[i], true);
    life->log = (struct log){.file = getenv("LIFE_TEST_LOG") != NULL ? 2 : -1,
                             .levels.all = LOG_LEVEL_INFO};
    return life;
}

static void life_url(const struct life *life, const char *scheme, bool websocket, struct url *url)
{
    char text[64];
    const char *host = life->named ? LIFE_HOST : "127.0.0.1";
    (void)snprintf(text, sizeof text, "%s://%s:%u", scheme, life->alias ? LIFE_HOST_ALIAS : host,
                   life->peer->port);
    cr_assert_null(url_parse(text, websocket, url));
}

static void life_feed(struct life *life, struct shard *shard, uint32_t number, uint32_t replaces)
{
    static struct dialect_channel channels[2] = {{"trade"}, {"depth"}};
    static struct plan_symbol symbols[MARKET_SYMBOLS];
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++)
        (void)snprintf(symbols[i].text, sizeof symbols[i].text, life->upbit ? "KRW-C%u" : "C%uUSDT",
                       i);
    life->peer->upbit = life->upbit;
    const struct plan_input input = {.dialect = dialect_by_name(life->upbit ? "upbit" : "binance"),
                                     .channels = channels,
                                     .channel_count = life->upbit ? 1 : 2,
                                     .symbols = symbols,
                                     .symbol_count = MARKET_SYMBOLS,
                                     .redundancy = life->redundancy,
                                     .shard_count = life->shards};
    struct shard_feed *feed = calloc(1, sizeof *feed);
    feed->share = plan_share_create(&input, number);
    life_url(life, life->tls ? "wss" : "ws", true, &feed->url);
    life_url(life, life->tls ? "https" : "http", false, &feed->rest_url);
    feed->tls = life->tls ? market_tls_client() : NULL;
    feed->rest_tls = life->tls ? market_tls_client() : NULL;
    feed->id = life->feed_id;
    feed->replaces = replaces;
    const struct shard_command command = {.kind = SHARD_FEED_ADD, .feed = feed};
    cr_assert(shard_post(shard, &command));
}

void life_run(struct life *life, int64_t for_ns)
{
    if (!sim_world_run(life->world, for_ns) && life->stops_short != NULL)
        longjmp(*life->stops_short, 1);
}

void life_reload(struct life *life)
{
    const uint32_t replaces = life->feed_id++;
    life->alias = !life->alias;
    for (uint32_t i = 0; i < life->shards; i++)
        life_feed(life, i == 0 ? life->shard : life->other[i - 1], i, replaces);
}

static struct shard *life_shard(struct life *life, struct io **io, uint32_t number)
{
    struct io_message message = {{0}};
    struct shard *shard;
    struct shard_options options = {.index = number,
                                    .log = &life->log, .permits = &life->permits,
                                    .board = &life->board,
                                    .store = life->store, .recall = &life->recall,
                                    .tape_bytes = 1 << 20,
                                    .tape_age_ns = life->tape_age_ns,
                                    .commit_interval_ns = life->commit_ns,
                                    .feed = life_mirror_feed(life, number),
                                    .derive = {.interval_count = 2, .minutes = {1, 5},
                                               .grace_ns = -1, .empty = life->candles_empty}};
    life_alert_rules(&options.derive.alerts);
    cr_assert_eq(io_open_loop(io, &(struct io_options){.name = "shard"}, &message), 0);
    cr_assert_eq(shard_open(&shard, *io, &options), 0);
    life_feed(life, shard, number, 0);
    return shard;
}

// Is a step of a start through? Where the world has not crashed, it may be refused.
static bool life_step(struct life *life, int result, const char *what)
{
    if (sim_world_crashed(life->world)) return false;
    cr_assert(result == 0 || life->may_refuse, "%s: %d", what, result);
    life->refused = result != 0;
    return result == 0;
}

// False: the machine crashed, or the start is refused.
static bool life_store(struct life *life)
{
    struct io_message message = {{0}};
    permits_init(&life->permits);
    audit_board_init(&life->board);
    (void)permits_kind(&life->permits, "binance", life->connects > 0 ? life->connects : 300,
                       life->connects > 0 ? 20 * LIMIT_SECOND_NS : 300 * LIMIT_SECOND_NS);
    (void)permits_kind(&life->permits, "upbit", 5, LIMIT_SECOND_NS);
    cr_assert_eq(io_open_loop(&life->store_io, &(struct io_options){.name = "store"}, &message), 0);
    int result = keep_store_open(&life->store, life->store_io, STORE, &message);
    if (result != 0) life->store = NULL;
    if (!life_step(life, result, message.text)) return false;
    result = recall_open(&life->recall, life->store_io, life->store, life->shards, &life->log);
    life->recalled = result == 0;
    if (!life_step(life, result, "coverage")) return false;
    const struct candles_options candles = {.symbols_max = LIMIT_SHARD_SYMBOLS,
                                            .interval_count = 2, .minutes = {1, 5}};
    recall_begin_candles(&life->recall, &candles, -1, io_utc_ns(life->store_io));
    return true;
}

// As the sealer's thread does it: the shards record meanwhile. False: the machine crashed.
static bool life_candles(struct life *life)
{
    if (life->candles_late_ns > 0) (void)io_run(life->store_io, life->candles_late_ns);
    while (!sim_world_crashed(life->world)) {
        const int result = recall_load_candles(&life->recall, life->store_io, life->store,
                                               &life->log, NULL);
        if (result == 0) return !sim_world_crashed(life->world);
        cr_assert(life->may_refuse, "candles: %d", result);
        (void)io_run(life->store_io, LIMIT_SECOND_NS);
    }
    return false;
}

static void life_control_tick(struct io *io, struct io_op *op)
{
    struct life *life = io_owner(op, struct life, control_tick);
    if (!life->controls) return;
    shard_post_news(life->shard, life->store);
    io_timeout(io, op, 100 * LIMIT_MILLISECOND_NS, life_control_tick);
}

static bool life_start_all(struct life *life)
{
    struct io_message message = {{0}};
    if (!life_store(life) || (life->broker != NULL && !life_mirror_start(life))) return false;
    cr_assert_lt(life->start_count, LIFE_STARTS_MAX);
    life->starts_ns[life->start_count++] = io_utc_ns(life->store_io);
    life->feed_id = 1;
    life->shard = life_shard(life, &life->io, 0);
    for (uint32_t i = 1; i < life->shards; i++)
        life->other[i - 1] = life_shard(life, &life->other_io[i - 1], i);
    if (!life_candles(life)) return false;
    if (life->keep != NULL) life_keep_watch(life->keep, life->store);
    if (!life->seals) return true;
    keep_store_want_news(life->store, 2 * LIMIT_SECOND_NS + life->commit_ns);
    life->controls = true;
    life->control_tick = (struct io_op){0};
    io_timeout(life->store_io, &life->control_tick, 0, life_control_tick);
    cr_assert_eq(io_open_loop(&life->sealer_io, &(struct io_options){.name = "sealer"}, &message),
                 0);
    keep_store_set_log(life->store, &life->log);
    cr_assert_eq(sealer_open(&life->sealer, life->sealer_io, life->store), 0);
    sealer_watch(life->sealer);
    return true;
}

static void life_nothing_is(struct life *life)
{
    life->shard = NULL;
    memset(life->other, 0, sizeof life->other);
    life->store = NULL;
    life->mirror = NULL;
    life->sealer = NULL;
    life->recalled = false;
}

// What the shards say last of this sitting.
static void life_note_durable(struct life *life)
{
    if (life->shard == NULL) return;
    ensure(life->start_count > 0);
    uint64_t durable = shard_counters(life->shard).durable;
    for (uint32_t i = 0; i < LIFE_SHARDS_MAX - 1; i++)
        durable += life->other[i] != NULL ? shard_counters(life->other[i]).durable : 0;
    life->rows.durable[life->start_count - 1] = durable;
}

// A start waits in io_run(), and nothing comes any more. What it had made is leaked; operations in
// flight lie on its stack, so the crash happens while that is there.
static void life_start_crashed(void *context)
{
    struct life *life = context;
    life_note_durable(life);
    sim_world_on_crash(life->world, NULL, NULL);
    sim_world_crash(life->world, life->start_crash);
    life_mirror_lost(life);
    life->crashed = true;
    longjmp(life->escape, 1);
}

static void life_refuse(struct life *life)
{
    if (life->recalled) recall_close(&life->recall);
    if (life->store != NULL) keep_store_close(life->store);
    audit_board_free(&life->board);
    io_close_loop(life->store_io);
    life_nothing_is(life);
}

bool life_start(struct life *life)
{
    if (life->shards == 0) life->shards = 1;
    cr_assert_leq(life->shards, LIFE_SHARDS_MAX);
    life_nothing_is(life);
    life->refused = false;
    if (setjmp(life->escape) != 0) {
        life_nothing_is(life);
        return false;
    }
    sim_world_on_crash(life->world, life_start_crashed, life);
    const bool started = life_start_all(life);
    sim_world_on_crash(life->world, NULL, NULL);
    if (life->refused) life_refuse(life);
    return started;
}

static void life_sealer_stopped(void *context)
{
    *(bool *)context = true;
}

static void life_sealer_close(struct life *life)
{
    sealer_close(life->sealer);
    io_close_loop(life->sealer_io);
    life->sealer = NULL;
}

static void life_shard_close(struct life *life, struct shard *shard, struct io *io)
{
    bool durable;
    cr_assert(shard_stopped(shard, &durable) && durable);
    life->copies += shard_counters(shard).copies;
    shard_close(shard);
    io_close_loop(io);
}

void life_stop(struct life *life)
{
    life->end_ns = io_utc_ns(life->io);
    const struct shard_command stop = {.kind = SHARD_STOP};
    life->controls = false;
    cr_assert(shard_post(life->shard, &stop));
    for (uint32_t i = 1; i < life->shards; i++) cr_assert(shard_post(life->other[i - 1], &stop));
    bool sealed = life->sealer == NULL;
    if (!sealed) sealer_stop(life->sealer, life_sealer_stopped, &sealed); // as control, at once
    life_run(life, 3 * LIMIT_SECOND_NS);
    cr_assert(sealed);
    life_note_durable(life);
    life_shard_close(life, life->shard, life->io);
    for (uint32_t i = 1; i < life->shards; i++)
        life_shard_close(life, life->other[i - 1], life->other_io[i - 1]);
    life->shard = NULL;
    audit_board_free(&life->board);
    if (life->sealer != NULL) life_sealer_close(life);
    if (life->mirror != NULL) life_mirror_stop(life);
    recall_close(&life->recall);
    keep_store_close(life->store);
    io_close_loop(life->store_io);
    life_nothing_is(life);
}

void life_crash(struct life *life, enum sim_crash kind)
{
    if (life->crashed) {
        life->crashed = false;
        return;
    }
    if (life->shard != NULL) life->copies += shard_counters(life->shard).copies;
    life_note_durable(life);
    sim_world_crash(life->world, kind);
    sim_world_crash_at(life->world, 0);
    if (life->recalled) recall_close(&life->recall);
    if (life->sealer != NULL) sealer_close(life->sealer);
    life->sealer = NULL;
    if (life->mirror != NULL) life_mirror_crash(life);
    life_mirror_lost(life);
    if (life->store != NULL) keep_store_close(life->store);
}

void life_seal(struct life *life)
{
    cr_assert(sim_store_settle(life->world, STORE), "the store does not settle");
}

void life_destroy(struct life *life)
{
    sim_world_destroy(life->world);
    market_peer_destroy(life->peer);
    life_keep_destroy(life->keep);
    free(life);
}
