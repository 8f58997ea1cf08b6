// SPDX-License-Identifier: GPL-3.0-or-later
//
// coverage: see coverage.h. The holes of a key are a list from the newest to the oldest: nearly
// all questions are about the newest.
#include "capture/coverage.h"

#include "base/transition.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>

int coverage_pool_open(struct coverage_pool *pool)
{
    *pool = (struct coverage_pool){.free = COVERAGE_NONE};
    pool->holes = calloc(COVERAGE_HOLES_MAX, sizeof *pool->holes);
    return pool->holes == NULL ? -ENOMEM : 0;
}

void coverage_pool_close(struct coverage_pool *pool)
{
    free(pool->holes);
    pool->holes = NULL;
}

// ---- the pool ----

static int32_t pool_take(struct coverage_pool *pool)
{
    int32_t hole = pool->free;
    if (hole != COVERAGE_NONE) {
        pool->free = pool->holes[hole].older;
    } else {
        if (pool->high == COVERAGE_HOLES_MAX) return COVERAGE_NONE;
        hole = (int32_t)pool->high++;
    }
    pool->used++;
    return hole;
}

static void pool_give(struct coverage_pool *pool, int32_t hole)
{
    ensure(pool->used > 0 && pool->holes[hole].state != COVERAGE_FREE);
    transition(TRANSITION_HOLE, pool->holes[hole].state, COVERAGE_FREE);
    pool->holes[hole].state = COVERAGE_FREE;
    pool->holes[hole].older = pool->free;
    pool->free = hole;
    pool->used--;
}

// Behind `newer` (COVERAGE_NONE: as the newest). False: full.
static bool hole_insert(struct coverage_pool *pool, struct coverage *coverage, int32_t newer,
                        const struct coverage_hole *what)
{
    ensure(what->first <= what->last && what->state != COVERAGE_FREE);
    int32_t hole = pool_take(pool);
    if (hole == COVERAGE_NONE) return false;
    int32_t *from = newer == COVERAGE_NONE ? &coverage->holes : &pool->holes[newer].older;
    pool->holes[hole] = *what;
    pool->holes[hole].older = *from;
    *from = hole;
    return true;
}

static bool hole_add(struct coverage_pool *pool, struct coverage *coverage, int32_t newer,
                     const struct coverage_hole *what)
{
    transition(TRANSITION_HOLE, COVERAGE_FREE, what->state);
    return hole_insert(pool, coverage, newer, what);
}

// ---- covering ----

void coverage_forget(struct coverage_pool *pool, struct coverage *coverage)
{
    while (coverage->holes != COVERAGE_NONE) {
        int32_t hole = coverage->holes;
        coverage->holes = pool->holes[hole].older;
        pool_give(pool, hole);
    }
    coverage_init(coverage);
}

void coverage_start(struct coverage_pool *pool, struct coverage *coverage, int64_t position,
                    int64_t time_ns)
{
    coverage_forget(pool, coverage);
    coverage->started = true;
    coverage->first = coverage->last = position;
    coverage->first_ns = coverage->last_ns = time_ns;
}

bool coverage_reach(struct coverage_pool *pool, struct coverage *coverage, int64_t position,
                    int64_t time_ns, const struct coverage_hole *found)
{
    ensure(coverage->started && position > coverage->last);
    bool kept = true;
    if (position > coverage->last + 1) {
        struct coverage_hole hole = *found;
        hole.first = coverage->last + 1;
        hole.last = position - 1;
        hole.from_ns = coverage->last_ns;
        hole.to_ns = time_ns;
        kept = hole_add(pool, coverage, COVERAGE_NONE, &hole);
    }
    coverage->last = position;
    if (time_ns > coverage->last_ns) coverage->last_ns = time_ns;
    return kept;
}

bool coverage_miss(struct coverage_pool *pool, struct coverage *coverage,
                   const struct coverage_hole *found)
{
    ensure(coverage->started && found->first <= found->last);
    int32_t newer = COVERAGE_NONE;
    int32_t at = coverage->holes;
    while (at != COVERAGE_NONE && pool->holes[at].first > found->last) {
        newer = at;
        at = pool->holes[at].older;
    }
    ensure(at == COVERAGE_NONE || pool->holes[at].last < found->first);
    // A neighbour of the same kind grows instead: refused rows come one after the other.
    if (at != COVERAGE_NONE && pool->holes[at].last + 1 == found->first &&
        pool->holes[at].state == found->state && found->last != COVERAGE_ENDLESS) {
        pool->holes[at].last = found->last;
        pool->holes[at].to_ns = found->to_ns;
        return true;
    }
    return hole_add(pool, coverage, newer, found);
}

int32_t coverage_find(const struct coverage_pool *pool, const struct coverage *coverage,
                      int64_t position)
{
    int32_t at = coverage->holes;
    while (at != COVERAGE_NONE && pool->holes[at].first > position) at = pool->holes[at].older;
    return at != COVERAGE_NONE && pool->holes[at].last >= position ? at : COVERAGE_NONE;
}

// ---- filling ----

static uint64_t hole_size(int64_t first, int64_t last)
{
    return (uint64_t)last - (uint64_t)first + 1;
}

// Takes [first, last] out of the hole at *link; moves *link on. False: it cannot be split.
static bool hole_cut(struct coverage_pool *pool, struct coverage *coverage, int32_t *newer,
                     int32_t at, int64_t first, int64_t last)
{
    struct coverage_hole *hole = &pool->holes[at];
    int32_t older = hole->older;
    if (first > hole->first && last < hole->last) {
        struct coverage_hole upper = *hole;
        upper.first = last + 1;
        if (!hole_insert(pool, coverage, *newer, &upper)) return false;
        hole->last = first - 1;
    } else if (first > hole->first) {
        hole->last = first - 1;
    } else if (last < hole->last) {
        hole->first = last + 1;
    } else {
        if (*newer == COVERAGE_NONE)
            coverage->holes = older;
        else
            pool->holes[*newer].older = older;
        pool_give(pool, at);
        return true;
    }
    *newer = at;
    return true;
}

uint64_t coverage_fill(struct coverage_pool *pool, struct coverage *coverage, int64_t first,
                       int64_t last, uint64_t *done, bool *full)
{
    ensure(first <= last);
    uint64_t open = 0;
    uint64_t all = 0;
    int32_t newer = COVERAGE_NONE;
    int32_t at = coverage->holes;
    *full = false;
    while (at != COVERAGE_NONE && pool->holes[at].last >= first) {
        const struct coverage_hole *hole = &pool->holes[at];
        int32_t older = hole->older;
        if (hole->first > last) {
            newer = at;
            at = older;
            continue;
        }
        uint64_t size = hole_size(first > hole->first ? first : hole->first,
                                  last < hole->last ? last : hole->last);
        bool was_open = hole->state == COVERAGE_OPEN;
        // Only the single hole that holds all of the range is ever split, so nothing has changed.
        *full = !hole_cut(pool, coverage, &newer, at, first, last);
        if (*full) return 0;
        all += size;
        if (was_open) open += size;
        at = older;
    }
    if (done != NULL) *done = all;
    return open;
}

uint64_t coverage_missing(const struct coverage_pool *pool, const struct coverage *coverage)
{
    uint64_t sum = 0;
    for (int32_t at = coverage->holes; at != COVERAGE_NONE; at = pool->holes[at].older)
        sum += hole_size(pool->holes[at].first, pool->holes[at].last);
    return sum;
}

void coverage_check(const struct coverage_pool *pool, const struct coverage *coverage)
{
    int64_t above = COVERAGE_ENDLESS;
    bool newest = true;
    for (int32_t at = coverage->holes; at != COVERAGE_NONE; at = pool->holes[at].older) {
        const struct coverage_hole *hole = &pool->holes[at];
        ensure(hole->state != COVERAGE_FREE && hole->first <= hole->last);
        ensure(newest || hole->last < above);
        above = hole->first;
        newest = false;
    }
}
