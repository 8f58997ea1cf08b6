// SPDX-License-Identifier: GPL-3.0-or-later
//
// Permits: never more than the limit in any window, over random times, threads and restarts.
#include "base/permits.h"

#include "base/limits.h"
#include "protocol_random.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#define START_NS 1767225600000000000ll

static struct permits permits;

Test(permits, no_window_has_more_than_the_limit)
{
    enum { LIMIT = 5, TAKEN_MAX = 4000 };
    static int64_t taken[TAKEN_MAX];
    struct protocol_random random = random_start("permits");
    permits_init(&permits);
    uint32_t kind = permits_kind(&permits, "x", LIMIT, LIMIT_SECOND_NS);
    int64_t now_ns = START_NS;
    uint32_t count = 0;
    while (count < TAKEN_MAX) {
        now_ns += random_below(&random, 300) * LIMIT_MILLISECOND_NS;
        int64_t wait_ns = permits_take(&permits, kind, now_ns);
        if (wait_ns == 0) {
            taken[count++] = now_ns;
            continue;
        }
        cr_assert_leq(wait_ns, LIMIT_SECOND_NS);
        cr_assert_gt(permits_take(&permits, kind, now_ns + wait_ns - 1), 0, "the wait is exact");
        now_ns += wait_ns;
        cr_assert_eq(permits_take(&permits, kind, now_ns), 0);
        taken[count++] = now_ns;
        if (count == TAKEN_MAX) break;
    }
    for (uint32_t i = LIMIT; i < count; i++)
        cr_assert_geq(taken[i] - taken[i - LIMIT], LIMIT_SECOND_NS);
}

Test(permits, kinds_are_apart_and_found_by_name)
{
    permits_init(&permits);
    uint32_t a = permits_kind(&permits, "a", 1, LIMIT_MINUTE_NS);
    uint32_t b = permits_kind(&permits, "b", 1, LIMIT_MINUTE_NS);
    cr_assert_neq(a, b);
    cr_assert_eq(permits_kind(&permits, "a", 9, 9), a);
    cr_assert_eq(permits_take(&permits, a, START_NS), 0);
    cr_assert_gt(permits_take(&permits, a, START_NS), 0);
    cr_assert_eq(permits_take(&permits, b, START_NS), 0);
}

Test(permits, what_was_used_is_remembered_over_a_restart)
{
    static char text[PERMITS_TEXT_BYTES_MAX];
    permits_init(&permits);
    uint32_t kind = permits_kind(&permits, "binance", 3, LIMIT_MINUTE_NS);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(permits_take(&permits, kind, START_NS + i), 0);
    size_t size = permits_save(&permits, text, sizeof text);
    permits_init(&permits);
    kind = permits_kind(&permits, "binance", 3, LIMIT_MINUTE_NS);
    permits_load(&permits, text, size, START_NS + 10);
    cr_assert_eq(permits_take(&permits, kind, START_NS + 10), LIMIT_MINUTE_NS - 10);
    cr_assert_eq(permits_take(&permits, kind, START_NS + LIMIT_MINUTE_NS), 0);
}

Test(permits, nonsense_and_the_future_are_passed_over)
{
    static const char text[] = "\n \nbinance\nbinance x\nnobody 1\nbinance -5\nbinance 99999999999"
                               "99999999999999999999999999\nbinance 1767225600000000001\nbinance 1"
                               "767225599999999999\nbinance 17672255999999";
    permits_init(&permits);
    uint32_t kind = permits_kind(&permits, "binance", 1, LIMIT_MINUTE_NS);
    permits_load(&permits, text, sizeof text - 1, START_NS);
    // Only the time just before the start counts; the last line is torn.
    cr_assert_eq(permits_take(&permits, kind, START_NS), LIMIT_MINUTE_NS - 1);
}

Test(permits, a_clock_set_back_locks_out_for_one_window_at_most)
{
    permits_init(&permits);
    uint32_t kind = permits_kind(&permits, "x", 1, LIMIT_MINUTE_NS);
    cr_assert_eq(permits_take(&permits, kind, START_NS), 0);
    cr_assert_eq(permits_take(&permits, kind, START_NS - LIMIT_HOUR_NS), 0);
}

static void *take_many(void *context)
{
    uint64_t granted = 0;
    for (int i = 0; i < 20000; i++)
        granted += permits_take(&permits, 0, START_NS + i % 7) == 0;
    *(uint64_t *)context = granted;
    return NULL;
}

Test(permits, who_is_modest_leaves_a_quarter_of_a_budget_to_others)
{
    permits_init(&permits);
    const uint32_t budget = permits_budget(&permits, "weights", 1000, LIMIT_MINUTE_NS);
    const int64_t now_ns = 1000 * LIMIT_HOUR_NS;
    for (int i = 0; i < 15; i++)
        cr_assert_eq(permits_spend(&permits, budget, 50, true, now_ns), 0);
    cr_assert_gt(permits_spend(&permits, budget, 50, true, now_ns), 0, "three quarters are spent");
    for (int i = 0; i < 10; i++)
        cr_assert_eq(permits_spend(&permits, budget, 25, false, now_ns), 0);
    cr_assert_gt(permits_spend(&permits, budget, 25, false, now_ns), 0);
    cr_assert_eq(permits_spend(&permits, budget, 50, true, now_ns + 2 * LIMIT_MINUTE_NS), 0);
}

Test(permits, a_pause_is_seen_by_whoever_finds_the_budget)
{
    permits_init(&permits);
    (void)permits_budget(&permits, "rest-a", 100, LIMIT_MINUTE_NS);
    const uint32_t banned = permits_budget(&permits, "rest-b", 7, LIMIT_MINUTE_NS);
    permits_pause(&permits, banned, START_NS + LIMIT_MINUTE_NS);
    permits_pause(&permits, banned, START_NS + LIMIT_SECOND_NS); // shorter: says nothing new
    const uint32_t found = permits_budget_find(&permits, "rest-b");
    cr_assert_eq(found, banned);
    cr_assert_eq(permits_paused(&permits, found, START_NS), LIMIT_MINUTE_NS);
    cr_assert_eq(permits_paused(&permits, found, START_NS + LIMIT_MINUTE_NS), 0);
    cr_assert_eq(permits_paused(&permits, permits_budget_find(&permits, "rest-a"), START_NS), 0);
    const int64_t later_ns = START_NS + LIMIT_HOUR_NS;
    cr_assert_eq(permits_spend(&permits, banned, 7, false, later_ns), 0);
    cr_assert_gt(permits_spend(&permits, banned, 1, false, later_ns), 0, "it keeps its limit");
}

Test(permits, what_was_spent_and_a_pause_are_remembered_over_a_restart)
{
    static char text[PERMITS_TEXT_BYTES_MAX];
    const int64_t later_ns = START_NS + 20 * LIMIT_SECOND_NS;
    permits_init(&permits);
    uint32_t spent = permits_budget(&permits, "rest-a", 100, LIMIT_MINUTE_NS);
    uint32_t banned = permits_budget(&permits, "rest-b", 100, LIMIT_MINUTE_NS);
    cr_assert_eq(permits_spend(&permits, spent, 60, false, START_NS), 0);
    cr_assert_eq(permits_spend(&permits, spent, 30, false, later_ns), 0);
    permits_pause(&permits, banned, START_NS + LIMIT_HOUR_NS);
    size_t size = permits_save(&permits, text, sizeof text);

    permits_init(&permits);
    spent = permits_budget(&permits, "rest-a", 100, LIMIT_MINUTE_NS);
    banned = permits_budget(&permits, "rest-b", 100, LIMIT_MINUTE_NS);
    permits_load(&permits, text, size, later_ns);
    cr_assert_gt(permits_spend(&permits, spent, 11, false, later_ns), 0);
    cr_assert_eq(permits_spend(&permits, spent, 10, false, later_ns), 0);
    // The first part has left the window, the others have not.
    cr_assert_eq(permits_spend(&permits, spent, 60, false, START_NS + 62 * LIMIT_SECOND_NS), 0);
    cr_assert_gt(permits_spend(&permits, spent, 1, false, START_NS + 62 * LIMIT_SECOND_NS), 0);
    cr_assert_eq(permits_spend(&permits, banned, 1, false, later_ns),
                 START_NS + LIMIT_HOUR_NS - later_ns);
}

Test(permits, a_budget_takes_no_nonsense_from_a_file)
{
    // Of the future, of the hour before, without and with a negative weight, a pause that is over
    // and one longer than any ban.
    static const char text[] = "x 1767225601 50\nx 1767222000 50\nx 1767225600\nx 1767225600 -50\n"
                               "x pause 1767225599000000000\nx pause 1767984800000000000\n"
                               "x 1767225599 40\n";
    permits_init(&permits);
    uint32_t budget = permits_budget(&permits, "x", 100, LIMIT_MINUTE_NS);
    permits_load(&permits, text, sizeof text - 1, START_NS);
    cr_assert_gt(permits_spend(&permits, budget, 61, false, START_NS), 0, "40 were spent");
    cr_assert_eq(permits_spend(&permits, budget, 60, false, START_NS), 0, "and no more than that");
}

Test(permits, threads_share_one_window)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    uint64_t granted[THREADS];
    uint64_t sum = 0;
    permits_init(&permits);
    (void)permits_kind(&permits, "x", 300, LIMIT_MINUTE_NS);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, take_many, &granted[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(thread[i], NULL), 0);
        sum += granted[i];
    }
    cr_assert_eq(sum, 300);
}
