// SPDX-License-Identifier: GPL-3.0-or-later
//
// Simulated lives with links, repair and audit, in front of an exchange that loses, doubles, delays
// and cuts (market_peer.h). Oracle: docs/completeness.md: every trade is stored once or listed as
// missing; where coverage claims depth, the rebuilt book is the true one; candles and alerts are
// those that the stored trades make again.
#include "complete_life.h"

#include "capture/mend.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MS LIMIT_MILLISECOND_NS
#define SECOND LIMIT_SECOND_NS

static const struct market_faults bad_network = {.lost = 5000, .doubled = 5000, .late = 5000,
                                                 .cut = 300, .muted = 30};
static const struct market_faults bad_rest = {.lost = 5000, .doubled = 5000, .late = 5000,
                                              .cut = 300, .refused = 200000, .limited = 100000,
                                              .shortened = 200000, .overlapped = 200000,
                                              .hung_up = 100000};

// LIFE_TEST_SEED: others than those of every run.
static uint64_t first_seed(uint64_t usual)
{
    const char *wanted = getenv("LIFE_TEST_SEED");
    return wanted != NULL ? strtoull(wanted, NULL, 10) : usual;
}

static void print(uint64_t seed, const struct life *life, const struct life_result *r)
{
    if (getenv("LIFE_TEST_LOG") == NULL) return;
    (void)fprintf(stderr,
                  "seed %lu: stored %lu duplicated %lu missing %lu listed %lu wrong %lu depth %lu "
                  "depth_wrong %lu depth_unlisted %lu requests %lu connections %lu copies %lu\n",
                  (unsigned long)seed, (unsigned long)r->stored, (unsigned long)r->duplicated,
                  (unsigned long)r->missing, (unsigned long)r->listed, (unsigned long)r->wrong,
                  (unsigned long)r->depth, (unsigned long)r->depth_wrong,
                  (unsigned long)r->depth_unlisted, (unsigned long)life->peer->requests,
                  (unsigned long)life->peer->connections, (unsigned long)life->copies);
}

static void check(uint64_t seed, struct life *life, bool all_repaired)
{
    struct life_result result = life_judge(life);
    print(seed, life, &result);
    cr_assert_gt(result.stored, 500, "seed %lu: too little to mean anything", (unsigned long)seed);
    cr_assert_eq(result.duplicated, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.missing, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.wrong, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.depth_wrong, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.depth_unlisted, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.candles_wrong, 0, "seed %lu: of %lu", (unsigned long)seed,
                 (unsigned long)result.candles);
    cr_assert_eq(result.alerts_wrong, 0, "seed %lu: of %lu", (unsigned long)seed,
                 (unsigned long)result.alerts);
    if (life->peer->pause_ns <= 5 * MS) // their rules look at seconds
        cr_assert_gt(result.alerts, 20, "seed %lu: too few alerts", (unsigned long)seed);
    cr_assert_gt(result.depth, 100, "seed %lu: no depth to speak of", (unsigned long)seed);
    if (all_repaired) cr_assert_eq(result.listed, 0, "seed %lu", (unsigned long)seed);
}

// The faults end, and the time of two audits passes.
static void calm(struct life *life)
{
    life->peer->faults = (struct market_faults){0};
    life_run(life, 20 * SECOND);
    life->peer->stopped = true;
    life_run(life, 150 * SECOND);
}

static void one_life(uint64_t seed, const struct market_faults *faults, uint32_t redundancy,
                     bool all_repaired)
{
    struct life *life = life_create(seed, redundancy, 5 * MS);
    life_start(life);
    life_run(life, 3 * SECOND);
    life->peer->faults = *faults;
    life_run(life, 20 * SECOND);
    if (all_repaired) {
        calm(life);
    } else {
        life->peer->stopped = true;
        life_run(life, 150 * SECOND);
    }
    life_stop(life);
    if (redundancy > 1) cr_assert_gt(life->copies, 300);
    check(seed, life, all_repaired);
    life_destroy(life);
}

Test(complete_life, many_questions_share_few_connections)
{
    struct life *life = life_create(620, 1, 5 * MS);
    life_start(life);
    life_run(life, 3 * SECOND);
    life->peer->faults = bad_network;
    life_run(life, 90 * SECOND);
    calm(life);
    struct shard_counters counters = shard_counters(life->shard);
    cr_assert_gt(counters.rest_requests, 50, "%lu", (unsigned long)counters.rest_requests);
    cr_assert_leq(counters.rest_connections, 2 * MEND_SLOTS, "%lu for %lu requests",
                  (unsigned long)counters.rest_connections, (unsigned long)counters.rest_requests);
    life_stop(life);
    check(620, life, true);
    life_destroy(life);
}

Test(complete_life, one_link_that_loses_is_repaired)
{
    for (uint64_t seed = 1; seed <= 10; seed++) one_life(seed, &bad_network, 1, true);
}

Test(complete_life, two_links_that_lose_are_merged_and_repaired)
{
    for (uint64_t seed = 100; seed < 110; seed++) one_life(seed, &bad_network, 2, true);
}

Test(complete_life, rest_that_refuses_shortens_and_overlaps_repairs_all_the_same)
{
    for (uint64_t seed = 200; seed < 210; seed++) one_life(seed, &bad_rest, 1, true);
}

// What is banned and goes on asking is banned for longer. The links are cut meanwhile: that they
// are back is no leave to ask.
Test(complete_life, a_ban_is_waited_for_to_its_end)
{
    struct life *life = life_create(640, 1, 5 * MS);
    life_start(life);
    life_run(life, 3 * SECOND);
    life->peer->faults = (struct market_faults){.lost = 20000};
    life->peer->ban_end_ns = io_monotonic_ns(life->peer_io) + 100 * SECOND;
    const uint64_t before = life->peer->requests;
    life_run(life, 3 * SECOND);
    const uint64_t told = life->peer->requests;
    cr_assert(told > before && told <= before + MEND_SLOTS, "those that were under way");
    cr_assert_gt(shard_counters(life->shard).holes_open, 0);
    life_run(life, 40 * SECOND);
    sim_network_cut(life->world, life->peer->port, true);
    life_run(life, 56 * SECOND);
    cr_assert_eq(shard_counters(life->shard).links_live, 1);
    cr_assert_eq(life->peer->requests, told, "%lu more in a ban",
                 (unsigned long)(life->peer->requests - told));
    life_run(life, 4 * SECOND);
    cr_assert_gt(life->peer->requests, told, "and not for longer than that");
    calm(life);
    life_stop(life);
    check(640, life, true);
    life_destroy(life);
}

// What failed during an outage is asked again when the links are back, not when its pause is over.
Test(complete_life, holes_of_an_outage_are_closed_as_soon_as_links_are_back)
{
    struct life *life = life_create(630, 1, 5 * MS);
    life_start(life);
    life_run(life, 3 * SECOND);
    life->peer->faults = (struct market_faults){.lost = 20000, .down = true};
    life_run(life, 28 * SECOND); // in a pause of 16 to 32 s by now
    cr_assert_gt(shard_counters(life->shard).holes_open, 0);
    life->peer->faults = (struct market_faults){0};
    sim_network_cut(life->world, life->peer->port, true);
    life_run(life, 4 * SECOND); // the time to connect again, and the one question
    cr_assert_eq(shard_counters(life->shard).links_live, 1);
    cr_assert_eq(shard_counters(life->shard).holes_open, 0);
    calm(life);
    life_stop(life);
    check(630, life, true);
    life_destroy(life);
}

Test(complete_life, a_mute_link_beside_a_living_one_is_found_and_replaced)
{
    struct life *life = life_create(600, 2, 5 * MS);
    life_start(life);
    life_run(life, 3 * SECOND);
    for (uint32_t i = 0; i < MARKET_CONNECTIONS; i++) {
        if (life->peer->connection[i].handle < 0 || !life->peer->connection[i].upgraded) continue;
        life->peer->connection[i].mute = true;
        break;
    }
    uint64_t connections = life->peer->connections;
    life_run(life, 13 * SECOND);
    cr_assert_eq(shard_counters(life->shard).mutes, 1);
    cr_assert_gt(life->peer->connections, connections);
    cr_assert_eq(shard_counters(life->shard).links_live, 2);
    calm(life);
    cr_assert_eq(shard_counters(life->shard).mutes, 1, "silence of all is no muteness");
    life_stop(life);
    check(600, life, true);
    life_destroy(life);
}

// That all behind its last trade is lost is taken back when the exchange knows it again, though the
// daemon that said so is gone: known by the rows, or by the ledger.
Test(complete_life, a_symbol_that_comes_back_after_a_restart_is_whole_again)
{
    for (uint64_t seed = 610; seed < 612; seed++) {
        struct life *life = life_create(seed, 1, 50 * MS);
        life_start(life);
        life_run(life, 10 * SECOND);
        life->peer->faults.delisted = life->peer->faults.unknown = 1u << 3;
        life_run(life, (seed == 610 ? 70 : 300) * SECOND);
        life_crash(life, SIM_CRASH_KILL);
        life_start(life);
        life_run(life, 10 * SECOND);
        calm(life);
        life_stop(life);
        check(seed, life, false);
        life_destroy(life);
    }
}

Test(complete_life, a_mute_link_alone_is_found_by_the_audit)
{
    struct life *life = life_create(601, 1, 5 * MS);
    life_start(life);
    life_run(life, 3 * SECOND);
    for (uint32_t i = 0; i < MARKET_CONNECTIONS; i++)
        life->peer->connection[i].mute = life->peer->connection[i].upgraded;
    life_run(life, 75 * SECOND);
    cr_assert_eq(shard_counters(life->shard).mutes, 1);
    calm(life);
    life_stop(life);
    check(601, life, true);
    life_destroy(life);
}

// The life of a connection is a day, so a longer one has to be two, without a gap between.
Test(complete_life, twenty_five_hours_pass_without_a_hole)
{
    struct life *life = life_create(700, 1, 20 * SECOND);
    life_start(life);
    for (int hour = 0; hour < 25; hour++) {
        life_run(life, LIMIT_HOUR_NS);
        struct shard_counters counters = shard_counters(life->shard);
        cr_assert_eq(counters.links_live, 1, "hour %d", hour);
        cr_assert_eq(counters.holes_opened, 0, "hour %d", hour);
        cr_assert_eq(counters.downs, 0, "hour %d", hour);
        cr_assert_eq(counters.refused, 0, "hour %d", hour);
    }
    struct shard_counters counters = shard_counters(life->shard);
    cr_assert_eq(counters.connects, 2, "renewed once");
    cr_assert_geq(counters.audits, 25 * 59);
    calm(life);
    life_stop(life);
    check(700, life, true);
    life_destroy(life);
}

// Tapes roll at midnight UTC; what is lost just then is found and repaired as at any other time.
static void life_over_midnight(uint64_t seed, uint32_t redundancy)
{
    const int64_t day_ns = 24 * LIMIT_HOUR_NS;
    struct life *life = life_create(seed, redundancy, 20 * SECOND);
    life_start(life);
    life_run(life, day_ns - io_utc_ns(life->io) % day_ns - 48 * SECOND);
    life->peer->pause_ns = 10 * MS;
    life_run(life, 45 * SECOND); // the pause that has begun is 40 s at most
    uint64_t before = shard_counters(life->shard).tapes;
    life->peer->faults = (struct market_faults){.lost = 100000, .doubled = 50000, .late = 50000,
                                                .cut = 300};
    life_run(life, 6 * SECOND);
    cr_assert_gt(shard_counters(life->shard).tapes, before, "seed %lu", (unsigned long)seed);
    cr_assert_gt(shard_counters(life->shard).holes_opened, 5, "seed %lu", (unsigned long)seed);
    calm(life);
    life_stop(life);
    check(seed, life, true);
    life_destroy(life);
}

Test(complete_life, losses_at_the_daily_cut_leave_no_hole)
{
    for (uint64_t seed = 720; seed < 722; seed++) life_over_midnight(seed, 1 + seed % 2);
}

Test(complete_life, a_full_disk_keeps_no_store_from_starting)
{
    struct life *life = life_create(710, 1, 5 * MS);
    life_start(life);
    life_run(life, 5 * SECOND);
    life_stop(life);
    sim_world_fail(life->world, IO_WRITE, 0, -28); // ENOSPC: the first write of the start
    life_start(life);
    life_run(life, 5 * SECOND);
    life_stop(life);
    life_start(life);
    calm(life);
    life_stop(life);
    check(710, life, true);
    life_destroy(life);
}

// Killed or without power every few seconds, at any disk operation.
static void many_lives(uint64_t seed, const struct market_faults *faults, uint32_t redundancy)
{
    struct life *life = life_create(seed, redundancy, 5 * MS);
    sim_world_faults(life->world)->torn_sector = 500000;
    for (int i = 0; i < 8; i++) {
        life_start(life);
        if (i > 0) life->peer->faults = *faults;
        uint64_t at = 1 + sim_world_random(life->world, 3000);
        sim_world_crash_at(life->world, sim_world_operations(life->world) + at);
        life_run(life, (int64_t)(1 + sim_world_random(life->world, 6)) * SECOND);
        life_crash(life, i % 2 == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER);
        if (seed % 4 == 1 && i % 3 == 2) life_seal(life);
        life_run(life, (int64_t)sim_world_random(life->world, 2000) * MS);
    }
    life_start(life);
    calm(life);
    life_stop(life);
    check(seed, life, true);
    life_destroy(life);
}

// A write fails though its rows landed; the tape ends before them, and the process is killed before
// they are written again, at any operation after: they are stored nowhere, and asked for.
Test(complete_life, rows_behind_a_failed_write_are_not_stored)
{
    for (uint64_t n = 1; n <= 16; n++) {
        struct life *life = life_create(740 + n, 1, 5 * MS);
        life_start(life);
        life_run(life, 3 * SECOND);
        sim_world_faults(life->world)->failed_write_lands = 1000000;
        sim_world_fail(life->world, IO_WRITE, 0, -5); // EIO
        sim_world_crash_at(life->world, sim_world_operations(life->world) + n);
        life_run(life, SECOND);
        life_crash(life, SIM_CRASH_KILL);
        life_start(life);
        calm(life);
        life_stop(life);
        check(740 + n, life, true);
        life_destroy(life);
    }
}

Test(complete_life, crashes_cost_nothing_but_depth)
{
    static const struct market_faults none;
    for (uint64_t seed = first_seed(400); seed < first_seed(400) + 10; seed++)
        many_lives(seed, seed % 2 == 0 ? &none : &bad_rest, 1 + (uint32_t)(seed % 3 == 0));
}

Test(complete_life, a_stop_and_a_start_cost_nothing)
{
    for (uint64_t seed = 500; seed < 505; seed++) {
        struct life *life = life_create(seed, 1, 5 * MS);
        for (int i = 0; i < 3; i++) {
            life_start(life);
            life_run(life, (i == 1 ? 90 : 5) * SECOND);
            life_stop(life);
            life_run(life, 5 * SECOND);
        }
        life_start(life);
        calm(life);
        life_stop(life);
        check(seed, life, true);
        life_destroy(life);
    }
}

Test(complete_life, minutes_without_trades_have_candles_where_asked_for)
{
    for (uint64_t seed = 600; seed < 604; seed++) {
        struct life *life = life_create(seed, 1, 5 * MS);
        life->candles_empty = seed % 2 == 0;
        life_start(life);
        life_run(life, 20 * SECOND);
        for (int i = 0; i < 3; i++) {
            life->peer->stopped = true;
            life_run(life, (150 + 100 * i) * SECOND);
            life->peer->stopped = false;
            life_run(life, 10 * SECOND);
        }
        calm(life);
        life_stop(life);
        check(seed, life, true);
        life_destroy(life);
    }
}

Test(complete_life, without_rest_what_is_missing_is_listed_to_the_id)
{
    // No audit either, so the last trades before the end are only known where a later one came.
    struct market_faults faults = bad_network;
    faults.down = true;
    for (uint64_t seed = 300; seed < 305; seed++) {
        struct life *life = life_create(seed, 1, 5 * MS);
        life_start(life);
        life_run(life, 3 * SECOND);
        life->peer->faults = faults;
        life_run(life, 20 * SECOND);
        life->peer->faults = (struct market_faults){.down = true};
        life_run(life, 200 * SECOND); // every symbol trades once more
        life->peer->stopped = true;
        life_run(life, SECOND);
        life_stop(life);
        check(seed, life, false);
        life_destroy(life);
    }
}
