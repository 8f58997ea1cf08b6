// SPDX-License-Identifier: GPL-3.0-or-later
//
// Lives of a store in the simulator (keep_life.h): undisturbed, with a crash before every disk
// operation of a short life, with random crashes and faults from 200 seeds. A failing life prints
// its seed and place; SIM_TRACE=1 shows every event.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "keep_life.h"

static struct keep_life life;
static bool without_sealer; // of the next crashing, random or faulty life

enum { LIFE_SEEDS = 200 };

Test(keep_life, all_rows_come_back)
{
    keep_life_begin(&life, 1);
    life.rolls = true;
    cr_assert(keep_life_start(&life));
    cr_assert(keep_life_work(&life, 3000));
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    for (uint64_t n = 1; n <= life.appended; n++)
        cr_assert_eq(life.seen[n], 1, "row %lu", (unsigned long)n);
    keep_life_end(&life);
}

Test(keep_life, a_second_sitting_goes_on_where_the_first_ended)
{
    keep_life_begin(&life, 2);
    life.rolls = true;
    for (int sitting = 0; sitting < 4; sitting++) {
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 500));
        cr_assert(keep_life_stop(&life));
    }
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    keep_life_end(&life);
}

// One life that ends in a crash before disk operation `at`; true when the life was over before.
static bool crashing_life(uint64_t seed, uint64_t at, enum sim_crash kind, uint32_t rows)
{
    keep_life_begin(&life, seed);
    life.rolls = true;
    life.without_sealer = without_sealer;
    sim_world_crash_at(life.world, at);
    bool alive = keep_life_start(&life) && keep_life_work(&life, rows) && keep_life_stop(&life);
    if (!alive)
        keep_life_crash(&life, kind);
    sim_world_crash_at(life.world, 0);
    cr_assert(keep_life_settle(&life), "seed %lu, crash at %lu: does not settle",
              (unsigned long)seed, (unsigned long)at);
    cr_assert(keep_life_check(&life), "seed %lu, crash at %lu: %s", (unsigned long)seed,
              (unsigned long)at, life.why);
    keep_life_end(&life);
    return alive;
}

Test(keep_life, a_crash_before_every_operation_loses_nothing_acknowledged)
{
    uint64_t at = 1;
    while (!crashing_life(3, at, SIM_CRASH_POWER, 400))
        at++;
    cr_assert_gt(at, 50, "the life has too few operations to mean anything");
}

Test(keep_life, a_kill_before_every_operation_loses_nothing_acknowledged)
{
    uint64_t at = 1;
    while (!crashing_life(4, at, SIM_CRASH_KILL, 400))
        at++;
}

// Crash upon crash, at random operations, of sealing and merging too.
static void random_life(uint64_t seed)
{
    keep_life_begin(&life, seed);
    life.rolls = true;
    life.without_sealer = without_sealer;
    struct sim_faults *faults = sim_world_faults(life.world);
    faults->torn_sector = 500000;
    faults->slow_disk = 20000;
    for (int sitting = 0; sitting < 4; sitting++) {
        uint64_t ahead = 1 + sim_world_random(life.world, 400);
        sim_world_crash_at(life.world, sim_world_operations(life.world) + ahead);
        bool alive = keep_life_start(&life) &&
                     keep_life_work(&life, (uint32_t)sim_world_random(life.world, 900)) &&
                     keep_life_stop(&life);
        if (!alive)
            keep_life_crash(&life, sim_world_random(life.world, 2) ? SIM_CRASH_POWER
                                                                   : SIM_CRASH_KILL);
        sim_world_crash_at(life.world, 0);
    }
    cr_assert(keep_life_settle(&life), "seed %lu does not settle", (unsigned long)seed);
    cr_assert(keep_life_check(&life), "seed %lu: %s", (unsigned long)seed, life.why);
    keep_life_end(&life);
}

Test(keep_life, two_hundred_random_lives)
{
    const char *only = getenv("KEEP_LIFE_SEED");
    if (only) {
        random_life(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1000; seed < 1000 + LIFE_SEEDS; seed++)
        random_life(seed);
}

// Writes and syncs that fail: rows may be refused, never silently lost, doubled or changed.
static void faulty_life(uint64_t seed)
{
    keep_life_begin(&life, seed);
    life.rolls = true;
    life.without_sealer = without_sealer;
    struct sim_faults *faults = sim_world_faults(life.world);
    cr_assert(keep_life_start(&life));
    faults->write_error = 20000;
    faults->fsync_error = 20000;
    faults->no_space = 10000;
    bool alive = keep_life_work(&life, 1500);
    cr_assert(alive);
    faults->write_error = faults->fsync_error = faults->no_space = 0;
    cr_assert(keep_life_work(&life, 50));
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_settle(&life), "seed %lu does not settle", (unsigned long)seed);
    cr_assert(keep_life_check(&life), "seed %lu: %s", (unsigned long)seed, life.why);
    for (uint64_t n = 1; n <= life.appended; n++)
        cr_assert(!life.taken[n] || life.seen[n] == 1, "seed %lu: row %lu seen %lu times",
                  (unsigned long)seed, (unsigned long)n, (unsigned long)life.seen[n]);
    keep_life_end(&life);
}

Test(keep_life, failing_writes_and_syncs_lose_nothing_that_was_taken)
{
    for (uint64_t seed = 5000; seed < 5060; seed++)
        faulty_life(seed);
}

// The worst of both: a write that fails is on disk all the same, and the machine or the process
// dies before the closing mark says where the tape ends. True when the life was over before.
static bool doubtful_life(uint32_t skip, uint64_t ahead, enum sim_crash kind)
{
    keep_life_begin(&life, 8);
    life.without_sealer = without_sealer;
    sim_world_faults(life.world)->failed_write_lands = 1000000;
    cr_assert(keep_life_start(&life));
    sim_world_fail(life.world, IO_WRITE, skip, -EIO);
    while (tape_writer_counters(life.writer).failures == 0 && life.appended < 300)
        cr_assert(keep_life_work(&life, 1));
    sim_world_crash_at(life.world, sim_world_operations(life.world) + ahead);
    bool alive = keep_life_work(&life, 40) && keep_life_stop(&life);
    if (!alive)
        keep_life_crash(&life, kind);
    sim_world_crash_at(life.world, 0);
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "write %u fails, crash %lu later: %s", skip,
              (unsigned long)ahead, life.why);
    keep_life_end(&life);
    return alive;
}

Test(keep_life, a_failed_write_that_is_on_disk_comes_once_whatever_follows)
{
    for (int i = 0; i < 2; i++) {
        without_sealer = i == 0;
        for (uint32_t skip = 0; skip < 24; skip++) {
            uint64_t ahead = 1;
            while (!doubtful_life(skip, ahead, ahead % 2 ? SIM_CRASH_KILL : SIM_CRASH_POWER))
                ahead++;
        }
    }
}

// The same at random, marks failing too, one crash after the other.
static void doubtful_random_life(uint64_t seed)
{
    keep_life_begin(&life, seed);
    life.without_sealer = without_sealer;
    struct sim_faults *faults = sim_world_faults(life.world);
    for (int sitting = 0; sitting < 4; sitting++) {
        faults->failed_write_lands = 700000;
        faults->write_error = 60000;
        sim_world_crash_at(life.world, sim_world_operations(life.world) + 30 +
                                           sim_world_random(life.world, 400));
        bool alive = keep_life_start(&life) && keep_life_work(&life, 400) && keep_life_stop(&life);
        if (!alive)
            keep_life_crash(&life, sim_world_random(life.world, 3) ? SIM_CRASH_KILL
                                                                   : SIM_CRASH_POWER);
        faults->write_error = 0;
        sim_world_crash_at(life.world, 0);
    }
    cr_assert(keep_life_settle(&life), "seed %lu does not settle", (unsigned long)seed);
    cr_assert(keep_life_check(&life), "seed %lu: %s", (unsigned long)seed, life.why);
    keep_life_end(&life);
}

Test(keep_life, failing_writes_and_crashes_together_bring_no_row_twice)
{
    const char *only = getenv("KEEP_LIFE_SEED");
    for (int i = 0; i < 2; i++) {
        without_sealer = i == 0;
        for (uint64_t seed = 9000; seed < 9000 + LIFE_SEEDS; seed++)
            doubtful_random_life(only ? strtoull(only, NULL, 10) : seed);
    }
}

// The tapes themselves, before any sealer has touched them.
Test(keep_life, tapes_alone_lose_nothing_acknowledged)
{
    without_sealer = true;
    uint64_t at = 1;
    while (!crashing_life(6, at, SIM_CRASH_POWER, 400))
        at++;
    for (uint64_t seed = 3000; seed < 3000 + LIFE_SEEDS; seed++)
        random_life(seed);
    for (uint64_t seed = 7000; seed < 7060; seed++)
        faulty_life(seed);
}

Test(keep_life, the_same_seed_gives_the_same_life)
{
    uint64_t hashes[2];
    for (int i = 0; i < 2; i++) {
        keep_life_begin(&life, 77);
        life.rolls = true;
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 700));
        cr_assert(keep_life_stop(&life));
        hashes[i] = sim_world_hash(life.world);
        keep_life_end(&life);
    }
    cr_assert_eq(hashes[0], hashes[1]);
}
