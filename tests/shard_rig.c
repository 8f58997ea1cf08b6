// SPDX-License-Identifier: GPL-3.0-or-later
//
// The peer's loop is on another machine: it survives a crash of the shards' world.
#include "shard_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig *rig_create(uint64_t seed, uint32_t shards)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct io_message message = {{0}};
    rig->world = sim_world_create(seed);
    sim_world_use(rig->world);
    cr_assert_eq(sim_disk_mkdir(rig->world, "/data"), 0);
    cr_assert_eq(io_open_loop(&rig->store_io, &(struct io_options){.name = "store"}, &message), 0);
    cr_assert_eq(io_open_loop(&rig->peer_io, &(struct io_options){.name = "peer"}, &message), 0);
    cr_assert_eq(keep_store_open(&rig->store, rig->store_io, "/data/store", &message), 0, "%s",
                 message.text);
    rig->peer = peer_create(rig->peer_io);
    rig->log.file = getenv("SHARD_TEST_LOG") != NULL ? 2 : -1;
    rig->log.levels.all = LOG_LEVEL_DEBUG;
    permits_init(&rig->permits);
    (void)permits_kind(&rig->permits, "binance", 300, 300 * LIMIT_SECOND_NS);
    memcpy(rig->channel.text, "trade", 6);
    rig->dialect = *dialect_by_name("binance");
    for (uint32_t i = 0; i < shards; i++) {
        rig->statistics[i] = calloc(1, sizeof *rig->statistics[i]);
        const struct shard_options options = {
            .index = i, .log = &rig->log, .permits = &rig->permits, .store = rig->store,
            .tape_bytes = 1 << 20, .statistics = rig->statistics[i], .symbols = &rig->symbols};
        cr_assert_eq(io_open_loop(&rig->io[i], &(struct io_options){.name = "shard"}, &message), 0);
        cr_assert_eq(shard_open(&rig->shard[i], rig->io[i], &options), 0);
        rig->shards++;
    }
    return rig;
}

void rig_destroy(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->shards; i++) {
        shard_close(rig->shard[i]);
        io_close_loop(rig->io[i]);
    }
    keep_store_close(rig->store);
    for (uint32_t i = 0; i < rig->shards; i++) free(rig->statistics[i]);
    sim_world_destroy(rig->world);
    peer_destroy(rig->peer);
    free(rig);
}

void rig_run(struct rig *rig, int64_t for_ns)
{
    (void)sim_world_run(rig->world, for_ns);
}

void rig_feed(struct rig *rig, uint32_t id, uint32_t replaces, uint32_t symbol_count,
              uint32_t redundancy)
{
    static struct plan_symbol symbols[64];
    memcpy(symbols[0].text, "BTCUSDT", 8);
    for (uint32_t i = 1; i < symbol_count; i++)
        (void)snprintf(symbols[i].text, sizeof symbols[i].text, "C%uUSDT", i);
    const struct plan_input input = {.dialect = &rig->dialect,
                                     .channels = &rig->channel,
                                     .channel_count = 1,
                                     .symbols = symbols + rig->first_symbol,
                                     .symbol_count = symbol_count - rig->first_symbol,
                                     .redundancy = redundancy,
                                     .shard_count = rig->shards};
    for (uint32_t i = 0; i < rig->shards; i++) {
        struct plan_share *share = plan_share_create(&input, i);
        if (share == NULL) continue;
        struct shard_feed *feed = calloc(1, sizeof *feed);
        char url[64];
        (void)snprintf(url, sizeof url, "ws://%s:%u", rig->host != NULL ? rig->host : "127.0.0.1",
                       rig->peer->port);
        cr_assert_null(url_parse(url, true, &feed->url));
        feed->id = id;
        feed->replaces = replaces;
        feed->same_links = rig->same_links;
        feed->share = share;
        const struct shard_command command = {.kind = SHARD_FEED_ADD, .feed = feed};
        cr_assert(shard_post(rig->shard[i], &command));
    }
}

void rig_post(struct rig *rig, struct shard_command command)
{
    for (uint32_t i = 0; i < rig->shards; i++) cr_assert(shard_post(rig->shard[i], &command));
}

void rig_stop(struct rig *rig, bool durable_expected)
{
    rig_post(rig, (struct shard_command){.kind = SHARD_STOP});
    rig_run(rig, 3 * LIMIT_SECOND_NS);
    for (uint32_t i = 0; i < rig->shards; i++) {
        bool durable = false;
        cr_assert(shard_stopped(rig->shard[i], &durable), "shard %u has not stopped", i);
        cr_assert(durable || !durable_expected);
        struct shard_counters counters = shard_counters(rig->shard[i]);
        if (durable_expected) cr_assert_eq(counters.durable, counters.events);
        cr_assert_eq(counters.links, 0);
    }
}

uint64_t rig_sum_links(const struct rig *rig)
{
    uint64_t links = 0;
    for (uint32_t i = 0; i < rig->shards; i++) links += shard_counters(rig->shard[i]).links_live;
    return links;
}
