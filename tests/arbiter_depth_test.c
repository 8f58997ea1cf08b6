// SPDX-License-Identifier: GPL-3.0-or-later
//
// Depth over a restart: what the next life makes of a run that goes on, and of a hole that only a
// snapshot ends.
#include "capture/arbiter.h"

#include <criterion/criterion.h>
#include <string.h>

#define T0 (20000 * 24 * LIMIT_HOUR_NS)

static struct arbiter arbiter;
static struct arbiter_now now = {T0, 0};
static struct arbiter_link link_a = {.number = 1};
static struct arbiter_news news[8];
static uint32_t news_count;

static void tell(void *context, const struct arbiter_news *told)
{
    (void)context;
    cr_assert_lt(news_count, 8);
    news[news_count++] = *told;
}

static void release(void *context, const struct event *event, uint32_t number)
{
    (void)context;
    (void)event;
    (void)number;
}

static uint32_t told(enum status_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < news_count; i++) count += news[i].kind == kind;
    return count;
}

static enum arbiter_verdict depth(struct arbiter_link *link, int64_t first, int64_t last)
{
    struct event event;
    event_clear(&event, CHANNEL_DEPTH, 0);
    event_set(&event, DEPTH_FIRST_ID, first);
    event_set(&event, DEPTH_LAST_ID, last);
    return arbiter_judge(&arbiter, &event, link, now);
}

static void begin(void)
{
    cr_assert_eq(arbiter_open(&arbiter, tell, release, NULL), 0);
}

static void end(void)
{
    arbiter_close(&arbiter);
}

TestSuite(arbiter_depth, .init = begin, .fini = end);

// A disk that was full for a while after a restart that cost no depth: the snapshot behind it
// counts, one that lacks what was refused does not.
Test(arbiter_depth, depth_that_went_on_over_a_restart_and_was_refused_then_ends_with_a_snapshot)
{
    static struct arbiter before;
    cr_assert_eq(arbiter_open(&before, tell, release, NULL), 0);
    cr_assert_eq(arbiter_key_open(&before, 0, CHANNEL_DEPTH, ARBITER_RANGE), 0);
    arbiter_recall_row(&before, 0, 1, 10, 0, T0);
    arbiter_recall_snapshot(&before, 0, 5, T0);
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_adopt(&arbiter, key, &before, 0, now);
    arbiter_close(&before);
    cr_assert_eq(depth(&link_a, 11, 20), ARBITER_NEW);
    struct event event;
    event_clear(&event, CHANNEL_DEPTH, 0);
    event_set(&event, DEPTH_FIRST_ID, 21);
    event_set(&event, DEPTH_LAST_ID, 30);
    cr_assert_eq(arbiter_judge(&arbiter, &event, &link_a, now), ARBITER_NEW);
    arbiter_refused(&arbiter, &event, now);
    cr_assert_eq(depth(&link_a, 31, 40), ARBITER_NEW);
    cr_assert(arbiter.keys[key].wants_snapshot);
    cr_assert(!arbiter_anchored(&arbiter, key, 29, T0), "it lacks what was refused");
    cr_assert(arbiter_anchored(&arbiter, key, 35, T0));
    cr_assert_eq(told(STATUS_HOLE_LOST), 1);
    cr_assert_eq(news[news_count - 1].first, 21);
    cr_assert_eq(news[news_count - 1].last, 35);
    cr_assert_eq(arbiter.pool.used, 0);
}

Test(arbiter_depth, a_hole_of_depth_that_a_ledger_knows_without_an_end_asks_for_a_snapshot)
{
    static struct arbiter before;
    cr_assert_eq(arbiter_open(&before, tell, release, NULL), 0);
    cr_assert_eq(arbiter_key_open(&before, 0, CHANNEL_DEPTH, ARBITER_RANGE), 0);
    arbiter_recall_row(&before, 0, 1, 40, 0, T0);
    arbiter_recall_snapshot(&before, 0, 5, T0);
    const struct coverage_hole refused = {.first = 21, .last = COVERAGE_ENDLESS, .from_ns = T0,
                                          .state = COVERAGE_OPEN, .cause = COVERAGE_REFUSED};
    cr_assert(coverage_miss(&before.pool, &before.keys[0].coverage, &refused));
    // Told before there was this hole, and read again after the ledger that has it.
    arbiter_recall_status(&before, 0, STATUS_HOLE_LOST, 3, 9);
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_adopt(&arbiter, key, &before, 0, now);
    arbiter_close(&before);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    cr_assert(arbiter.keys[key].wants_snapshot);
    cr_assert_eq(depth(&link_a, 41, 50), ARBITER_NEW);
    cr_assert(arbiter_anchored(&arbiter, key, 45, T0));
    cr_assert_eq(told(STATUS_HOLE_LOST), 1);
    cr_assert_eq(arbiter.pool.used, 0);
}

Test(arbiter_depth, rows_before_the_first_snapshot_ask_for_it_after_a_restart)
{
    static struct arbiter before;
    cr_assert_eq(arbiter_open(&before, tell, release, NULL), 0);
    cr_assert_eq(arbiter_key_open(&before, 0, CHANNEL_DEPTH, ARBITER_RANGE), 0);
    arbiter_recall_row(&before, 0, 1, 10, 0, T0);
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_adopt(&arbiter, key, &before, 0, now);
    arbiter_close(&before);
    cr_assert_not(arbiter_anchored(&arbiter, key, 10, T0), "nothing has come that it could fit");
    cr_assert_eq(depth(&link_a, 11, 20), ARBITER_NEW);
    cr_assert(arbiter.keys[key].wants_snapshot);
    cr_assert(arbiter_anchored(&arbiter, key, 20, T0));
    cr_assert_not(arbiter.keys[key].wants_snapshot);
    cr_assert_eq(arbiter.keys[key].coverage.first, 20);
}

// A snapshot was asked for in vain: the symbol is gone, and so is all behind the hole's beginning.
static uint32_t gone(void)
{
    const uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    cr_assert_eq(depth(&link_a, 1, 10), ARBITER_NEW);
    cr_assert(arbiter_anchored(&arbiter, key, 10, T0));
    now.monotonic_ns += LIMIT_SECOND_NS;
    cr_assert_eq(depth(&link_a, 21, 30), ARBITER_HELD); // a sibling may bring 11
    now.monotonic_ns += ARBITER_GRACE_NS;
    arbiter_tick(&arbiter, now);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    arbiter_range_lost(&arbiter, key, "no such symbol");
    cr_assert_eq(told(STATUS_HOLE_LOST), 1);
    cr_assert_eq(news[1].first, 11);
    cr_assert_eq(news[1].last, COVERAGE_NONE);
    cr_assert_eq(arbiter.pool.used, 0);
    news_count = 0;
    return key;
}

static void is_back(uint32_t key)
{
    cr_assert(arbiter.keys[key].wants_snapshot);
    cr_assert_neq(depth(&link_a, 41, 50), ARBITER_COPY);
    now.monotonic_ns += ARBITER_GRACE_NS;
    arbiter_tick(&arbiter, now);
    cr_assert_eq(arbiter.keys[key].coverage.last, 50);
    cr_assert_eq(news_count, 0, "all behind 11 is listed already");
    cr_assert(arbiter_anchored(&arbiter, key, 45, T0 + LIMIT_SECOND_NS));
    cr_assert_eq(news_count, 1);
    cr_assert_eq(news[0].kind, STATUS_HOLE_LOST);
    cr_assert_eq(news[0].first, 11);
    cr_assert_eq(news[0].last, 45);
    cr_assert_eq(news[0].to_ns, T0 + LIMIT_SECOND_NS);
    news_count = 0;
    cr_assert(arbiter_anchored(&arbiter, key, 50, T0 + 2 * LIMIT_SECOND_NS));
    cr_assert_eq(news_count, 0);
}

Test(arbiter_depth, a_symbol_that_was_gone_and_is_back_is_covered_from_its_next_snapshot_on)
{
    const uint32_t key = gone();
    now.monotonic_ns += LIMIT_MINUTE_NS;
    is_back(key);
}

Test(arbiter_depth, nor_does_a_restart_forget_that_a_symbol_was_gone)
{
    static struct arbiter after;
    const uint32_t key = gone();
    cr_assert_eq(arbiter_open(&after, tell, release, NULL), 0);
    cr_assert_eq(arbiter_key_open(&after, 0, CHANNEL_DEPTH, ARBITER_RANGE), 0);
    arbiter_adopt(&after, 0, &arbiter, key, now);
    arbiter_close(&arbiter);
    arbiter = after;
    is_back(0);
}

// What rows tell of a symbol that is gone.
static void recall_gone(struct arbiter *before)
{
    cr_assert_eq(arbiter_open(before, tell, release, NULL), 0);
    cr_assert_eq(arbiter_key_open(before, 0, CHANNEL_DEPTH, ARBITER_RANGE), 0);
    arbiter_recall_row(before, 0, 1, 10, 0, T0);
    arbiter_recall_snapshot(before, 0, 10, T0);
    arbiter_recall_status(before, 0, STATUS_HOLE_LOST, 11, COVERAGE_ENDLESS);
}

// Rows alone tell it, where the ledger is older: in the order in which they were told, and again.
Test(arbiter_depth, rows_tell_that_a_symbol_was_gone_and_that_it_is_back)
{
    static struct arbiter before;
    recall_gone(&before);
    cr_assert(before.keys[0].ended_lost);
    const uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_adopt(&arbiter, key, &before, 0, now);
    cr_assert(arbiter.keys[key].wants_snapshot);
    arbiter_recall_status(&before, 0, STATUS_HOLE_LOST, 11, 45);
    cr_assert(!before.keys[0].ended_lost);
    before.keys[0].coverage.proven = 45;
    arbiter_recall_status(&before, 0, STATUS_HOLE_LOST, 11, COVERAGE_ENDLESS);
    cr_assert(!before.keys[0].ended_lost);
    arbiter_close(&before);
}

// The row that says so was still in memory: the snapshot was not, and ends what was lost. What
// went missing from then on was in no hole and never told.
Test(arbiter_depth, a_snapshot_alone_tells_that_a_symbol_is_back)
{
    static struct arbiter before;
    recall_gone(&before);
    arbiter_recall_row(&before, 0, 41, 50, 40, T0);
    arbiter_recall_snapshot(&before, 0, 45, T0);
    const uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_adopt(&arbiter, key, &before, 0, now);
    arbiter_close(&before);
    cr_assert_eq(told(STATUS_HOLE_LOST), 1);
    cr_assert_eq(news[0].first, 11);
    cr_assert_eq(news[0].last, 45);
    cr_assert(!arbiter.keys[key].wants_snapshot);
    (void)depth(&link_a, 61, 70);
    now.monotonic_ns += ARBITER_GRACE_NS;
    arbiter_tick(&arbiter, now);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    cr_assert_eq(news[news_count - 1].first, 51);
}
