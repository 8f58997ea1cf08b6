// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/timer_heap.h"

#include <criterion/criterion.h>
#include <string.h>

enum { TIMERS = 500, ROUNDS = 20000 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

// The slow reference: the soonest of all that are in.
static uint32_t soonest(const struct io_op *timers, const bool *in)
{
    uint32_t best = TIMERS;
    for (uint32_t i = 0; i < TIMERS; i++) {
        if (!in[i])
            continue;
        if (best == TIMERS || timers[i].deadline_ns < timers[best].deadline_ns ||
            (timers[i].deadline_ns == timers[best].deadline_ns &&
             timers[i].sequence < timers[best].sequence))
            best = i;
    }
    return best;
}

Test(timer_heap, agrees_with_a_search_through_everything)
{
    static struct io_op timers[TIMERS];
    static bool in[TIMERS];
    struct timer_heap heap = {0};
    uint64_t seed = 20260101;
    uint32_t count = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t i = (uint32_t)(next_random(&seed) % TIMERS);
        if (!in[i]) {
            memset(&timers[i], 0, sizeof timers[i]);
            timers[i].deadline_ns = (int64_t)(next_random(&seed) % 100);
            timers[i].sequence = round;
            timer_heap_add(&heap, &timers[i]);
            count += 1;
        } else {
            if (round % 2 == 0)
                i = soonest(timers, in);
            timer_heap_remove(&heap, &timers[i]);
            count -= 1;
        }
        in[i] = !in[i];
        uint32_t first = soonest(timers, in);
        cr_assert_eq(heap.count, count);
        cr_assert_eq(timer_heap_first(&heap), first < TIMERS ? &timers[first] : NULL);
    }
    for (uint32_t i = soonest(timers, in); i < TIMERS; i = soonest(timers, in)) {
        cr_assert_eq(timer_heap_first(&heap), &timers[i]);
        timer_heap_remove(&heap, &timers[i]);
        in[i] = false;
    }
    cr_assert_null(timer_heap_first(&heap));
}
