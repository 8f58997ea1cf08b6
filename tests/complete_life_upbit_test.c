// SPDX-License-Identifier: GPL-3.0-or-later
//
// Simulated lives of a recorder of Upbit, whose trades have no order: below what REST can give
// nothing is missing; above it, what could not be compared is listed.
#include "complete_life.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MS LIMIT_MILLISECOND_NS
#define SECOND LIMIT_SECOND_NS

static const struct market_faults bad_network = {.lost = 5000, .doubled = 5000, .late = 5000,
                                                 .cut = 100};

static struct life *upbit_life(uint64_t seed, uint32_t redundancy, int64_t pause_ns)
{
    struct life *life = life_create(seed, redundancy, pause_ns);
    life->upbit = true;
    life_start(life);
    life_run(life, 3 * SECOND);
    life->peer->faults = bad_network;
    return life;
}

static struct life_result end(uint64_t seed, struct life *life)
{
    life->peer->faults = (struct market_faults){0};
    life_run(life, 20 * SECOND);
    life->peer->stopped = true;
    life_run(life, 150 * SECOND);
    life_stop(life);
    struct life_result r = life_judge_upbit(life);
    if (getenv("LIFE_TEST_LOG") != NULL)
        (void)fprintf(stderr,
                      "seed %lu: stored %lu duplicated %lu missing %lu listed %lu lost %lu\n",
                      (unsigned long)seed, (unsigned long)r.stored, (unsigned long)r.duplicated,
                      (unsigned long)r.missing, (unsigned long)r.listed, (unsigned long)r.depth);
    cr_assert_gt(r.stored, 500, "seed %lu", (unsigned long)seed);
    cr_assert_eq(r.duplicated, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(r.missing, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(r.wrong, 0, "seed %lu", (unsigned long)seed);
    life_destroy(life);
    return r;
}

Test(complete_life_upbit, what_links_lose_is_found_by_the_audit)
{
    for (uint64_t seed = 800; seed < 804; seed++) {
        struct life *life = upbit_life(seed, 1 + seed % 2, 20 * MS);
        life_run(life, 30 * SECOND);
        struct life_result result = end(seed, life);
        cr_assert_eq(result.listed, 0, "seed %lu", (unsigned long)seed);
        cr_assert_eq(result.depth, 0, "seed %lu: nothing was given up", (unsigned long)seed);
    }
}

// 2,000 trades a second of one market: a window is over in a second, an audit looks back three.
Test(complete_life_upbit, a_market_beyond_what_audits_compare_loses_nothing_unlisted)
{
    for (uint64_t seed = 810; seed < 812; seed++) {
        struct life *life = upbit_life(seed, 1, 20 * MS);
        life->peer->bursts = true;
        life->peer->pause_ns = MS / 2;
        life_run(life, 10 * SECOND);
        life->peer->bursts = false;
        life->peer->pause_ns = 20 * MS;
        struct life_result result = end(seed, life);
        cr_assert_gt(result.listed, 10, "seed %lu", (unsigned long)seed);
    }
}

Test(complete_life_upbit, crashes_lose_nothing_unlisted_and_double_nothing)
{
    for (uint64_t seed = 820; seed < 824; seed++) {
        struct life *life = life_create(seed, 1, 20 * MS);
        life->upbit = true;
        for (int i = 0; i < 5; i++) {
            life_start(life);
            if (i > 0) life->peer->faults = bad_network;
            life_run(life, (int64_t)(1 + sim_world_random(life->world, 8)) * SECOND);
            life_crash(life, i % 2 == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER);
            life_run(life, (int64_t)sim_world_random(life->world, 2000) * MS);
        }
        life_start(life);
        (void)end(seed, life);
    }
}
