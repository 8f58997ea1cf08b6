// SPDX-License-Identifier: GPL-3.0-or-later
//
// The whole way in one simulated world: exchange → link → shard → tape → (crash) → recovery →
// segments. The exchange sends trades with rising ids over one link; the machine stops before
// any disk operation, or somewhere by seed with a bad network as well. Afterwards the store must
// hold every row that was told durable, and trades without a gap, a double or another order.
#include "shard_rig.h"
#include "sim_store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { WHOLE_SEEDS = 200, WHOLE_GRAVES = 4096 };

static struct shard *graves[WHOLE_GRAVES]; // shards whose loop is gone cannot be freed, only kept
static uint32_t grave_count;

struct whole {
    uint64_t rows;
    int64_t last_id;
    int64_t gaps;
    bool disordered;
};

static bool count_block(void *context, const struct catalogue_segment *listed,
                        const struct segment *segment, const struct segment_block *block)
{
    struct whole *whole = context;
    (void)segment;
    whole->rows += block->rows->count;
    for (uint32_t row = 0; listed->channel == CHANNEL_TRADE && row < block->rows->count; row++) {
        int64_t id = block->rows->value[TRADE_ID][row];
        whole->disordered = whole->disordered || id <= whole->last_id;
        whole->gaps += whole->last_id != 0 && id != whole->last_id + 1;
        whole->last_id = id;
    }
    return true;
}

static void check_store(struct rig *rig, uint64_t durable, bool gapless, const char *place)
{
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    struct whole whole = {0};
    char why[SIM_STORE_WHY_BYTES] = "";
    cr_assert(sim_store_settle(rig->world, "/data/store"), "%s: does not settle", place);
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.name = "check"}, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, "/data/store", &message), 0, "%s", message.text);
    bool good = sim_store_walk(rig->world, "/data/store", keep_store_catalogue(store), count_block,
                               &whole, why);
    cr_assert(good, "%s: %s", place, why);
    cr_assert_geq(whole.rows, durable, "%s: %lu rows were durable, %lu are there", place,
                  (unsigned long)durable, (unsigned long)whole.rows);
    cr_assert(!whole.disordered, "%s: trades come twice or in another order", place);
    cr_assert(!gapless || whole.gaps == 0, "%s: trades are missing", place);
    keep_store_close(store);
    io_close_loop(io);
}

static uint64_t durable_rows(const struct rig *rig)
{
    uint64_t durable = 0;
    for (uint32_t i = 0; i < rig->shards; i++)
        durable += shard_counters(rig->shard[i]).durable;
    return durable;
}

static void leave(struct rig *rig)
{
    sim_world_destroy(rig->world);
    peer_destroy(rig->peer);
    free(rig);
}

// One life with a crash before disk operation `at` (after the start); true: it was over before.
static bool life(uint64_t seed, uint64_t at, bool bad_network)
{
    char place[96];
    (void)snprintf(place, sizeof place, "seed %lu, crash before operation %lu",
                   (unsigned long)seed, (unsigned long)at);
    struct rig *rig = rig_create(seed, 1);
    struct sim_faults *faults = sim_world_faults(rig->world);
    sim_loop_elsewhere(rig->peer_io);
    faults->torn_sector = 500000;
    if (bad_network) {
        faults->receive_split = 300000;
        faults->send_short = 100000;
        faults->reset = 500;
    }
    sim_world_crash_at(rig->world, sim_world_operations(rig->world) + at);
    rig_feed(rig, 1, 0, 1, 1);
    bool alive = sim_world_run(rig->world, 4 * LIMIT_SECOND_NS);
    uint64_t durable = durable_rows(rig);
    sim_world_crash(rig->world, seed & 1 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
    sim_world_crash_at(rig->world, 0);
    keep_store_close(rig->store);
    cr_assert_lt(grave_count, WHOLE_GRAVES);
    graves[grave_count++] = rig->shard[0];
    // A reset link comes back without the trades between: repair is not part of this life.
    check_store(rig, durable, !bad_network, place);
    leave(rig);
    return alive;
}

Test(whole_life, a_crash_before_every_operation)
{
    uint64_t at = 1;
    while (!life(1, at, false))
        at++;
    cr_assert_gt(at, 20, "the life has too few disk operations to mean anything");
}

Test(whole_life, two_hundred_seeds_with_a_bad_network)
{
    const char *only = getenv("WHOLE_LIFE_SEED");
    if (only) {
        uint64_t seed = strtoull(only, NULL, 10);
        (void)life(seed, 1 + seed * 7919 % 90, true);
        return;
    }
    for (uint64_t seed = 100; seed < 100 + WHOLE_SEEDS; seed++)
        (void)life(seed, 1 + seed * 7919 % 90, true);
}
