// SPDX-License-Identifier: GPL-3.0-or-later
//
// Coverage against a model: a bitmap of positions. Whatever is reached, missed and filled in any
// order, the holes are exactly the positions of the bitmap that are not set.
#include "capture/coverage.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 400 };

static struct coverage_pool pool;

static void open_pool(void)
{
    cr_assert_eq(coverage_pool_open(&pool), 0);
}

static void close_pool(void)
{
    coverage_pool_close(&pool);
}

TestSuite(coverage, .init = open_pool, .fini = close_pool);

static const struct coverage_hole suspected = {.state = COVERAGE_SUSPECTED};

static void compare(const struct coverage *coverage, const bool *stored)
{
    uint64_t missing = 0;
    coverage_check(&pool, coverage);
    for (int64_t i = coverage->first; i <= coverage->last; i++) {
        bool hole = coverage_find(&pool, coverage, i) != COVERAGE_NONE;
        cr_assert_eq(hole, !stored[i], "position %ld", (long)i);
        missing += hole;
    }
    cr_assert_eq(coverage_missing(&pool, coverage), missing);
}

Test(coverage, random_lives_equal_a_bitmap)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        srand(seed);
        bool stored[POSITIONS + 1] = {false};
        struct coverage coverage;
        coverage_init(&coverage);
        coverage_start(&pool, &coverage, 1, 1000);
        stored[1] = true;
        for (int step = 0; step < 200; step++) {
            int64_t position = 1 + rand() % POSITIONS;
            int64_t end = position + rand() % 5;
            end = end > coverage.last ? coverage.last : end;
            bool full;
            if (position > coverage.last) {
                position = coverage.last + 1 + rand() % 4;
                if (position > POSITIONS) break;
                cr_assert(coverage_reach(&pool, &coverage, position, 1000 + position, &suspected));
                stored[position] = true;
            } else if (rand() % 3 != 0) {
                (void)coverage_fill(&pool, &coverage, position, end, NULL, &full);
                cr_assert(!full);
                for (int64_t i = position; i <= end; i++) stored[i] = true;
            } else if (stored[position] && position > 1) {
                struct coverage_hole hole = {.state = COVERAGE_OPEN, .first = position};
                hole.last = position;
                cr_assert(coverage_miss(&pool, &coverage, &hole));
                stored[position] = false;
            }
            compare(&coverage, stored);
        }
        coverage_forget(&pool, &coverage);
        cr_assert_eq(pool.used, 0, "a hole leaks");
    }
}

Test(coverage, a_hole_knows_its_neighbours_times)
{
    struct coverage coverage;
    coverage_init(&coverage);
    coverage_start(&pool, &coverage, 10, 1000);
    cr_assert(coverage_reach(&pool, &coverage, 15, 2000, &suspected));
    const struct coverage_hole *hole = &pool.holes[coverage.holes];
    cr_assert_eq(hole->first, 11);
    cr_assert_eq(hole->last, 14);
    cr_assert_eq(hole->from_ns, 1000);
    cr_assert_eq(hole->to_ns, 2000);
    coverage_forget(&pool, &coverage);
}

Test(coverage, filling_counts_open_positions_apart)
{
    struct coverage coverage;
    uint64_t all;
    bool full;
    coverage_init(&coverage);
    coverage_start(&pool, &coverage, 1, 1);
    (void)coverage_reach(&pool, &coverage, 5, 2, &suspected);               // 2 3 4 suspected
    (void)coverage_reach(&pool, &coverage, 9, 3,
                         &(struct coverage_hole){.state = COVERAGE_OPEN}); // 6 7 8 open
    cr_assert_eq(coverage_fill(&pool, &coverage, 3, 7, &all, &full), 2);
    cr_assert_eq(all, 4);
    cr_assert_eq(coverage_missing(&pool, &coverage), 2);
}

Test(coverage, a_full_pool_is_told_and_changes_nothing)
{
    struct coverage coverage;
    bool full;
    coverage_init(&coverage);
    coverage_start(&pool, &coverage, 1, 1);
    for (int64_t i = 0; i < COVERAGE_HOLES_MAX; i++)
        cr_assert(coverage_reach(&pool, &coverage, coverage.last + 4, 2, &suspected));
    cr_assert(!coverage_reach(&pool, &coverage, coverage.last + 4, 2, &suspected));
    uint64_t before = coverage_missing(&pool, &coverage);
    (void)coverage_fill(&pool, &coverage, 3, 3, NULL, &full); // the middle of 2 3 4
    cr_assert(full);
    cr_assert_eq(coverage_missing(&pool, &coverage), before);
    (void)coverage_fill(&pool, &coverage, 2, 2, NULL, &full); // an end needs no room
    cr_assert(!full);
    cr_assert_eq(coverage_missing(&pool, &coverage), before - 1);
}
