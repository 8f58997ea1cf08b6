// SPDX-License-Identifier: GPL-3.0-or-later
//
// Holes that are times: of quotes that could not be stored.
#include "capture/arbiter.h"

#include <criterion/criterion.h>

#define T0 1700000000000000000ll

static struct arbiter arbiter;
static struct arbiter_link link_a = {.number = 1, .copy = 0};
static struct arbiter_link link_b = {.number = 2, .copy = 1};
static struct arbiter_now now = {T0, LIMIT_SECOND_NS};
static struct arbiter_news newest;
static uint32_t told[STATUS_BACKFILLED + 1];

static void tell(void *context, const struct arbiter_news *news)
{
    (void)context;
    newest = *news;
    told[news->kind]++;
}

static void open_arbiter(void)
{
    cr_assert_eq(arbiter_open(&arbiter, tell, NULL, NULL), 0);
}

static void close_arbiter(void)
{
    arbiter_close(&arbiter);
}

TestSuite(arbiter_timed, .init = open_arbiter, .fini = close_arbiter);

static enum arbiter_verdict quote_at(int64_t id, int64_t time_ns, bool taken)
{
    struct event event;
    now.utc_ns = time_ns + 7;
    now.monotonic_ns += 1000;
    event_clear(&event, CHANNEL_QUOTE, 0);
    event_set(&event, QUOTE_ID, id);
    event_set(&event, QUOTE_TRANSACTION_TIME, time_ns);
    enum arbiter_verdict verdict = arbiter_judge(&arbiter, &event, &link_a, now);
    if (!taken) arbiter_refused(&arbiter, &event, now);
    return verdict;
}

// What has no ids that follow each other is a time: from the first row that was refused to the
// first that was not, told once.
Test(arbiter_timed, refused_rows_without_ids_are_a_time)
{
    const struct coverage_hole *hole = arbiter.pool.holes;
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_QUOTE, ARBITER_RISING);
    cr_assert_eq(quote_at(1, T0, true), ARBITER_NEW);
    cr_assert_eq(quote_at(5, T0 + 100, false), ARBITER_NEW);
    cr_assert_eq(hole->first, T0 + 100);
    for (int i = 2; i < 10; i++) {
        cr_assert_eq(quote_at(5 * i, T0 + i * 100, false), ARBITER_NEW);
        arbiter_tick(&arbiter, now);
    }
    cr_assert_eq(arbiter.pool.used, 1);
    cr_assert_eq(hole->last, COVERAGE_ENDLESS);
    cr_assert_eq(told[STATUS_HOLE_OPENED], 1);
    cr_assert_eq(quote_at(60, T0 + 1000, true), ARBITER_NEW);
    cr_assert_eq(quote_at(61, T0 + 1100, true), ARBITER_NEW);
    cr_assert_eq(told[STATUS_HOLE_LOST], 0);
    arbiter_tick(&arbiter, now);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
    cr_assert_eq(newest.from_ns, T0 + 100);
    cr_assert_eq(newest.to_ns, T0 + 1007);
    cr_assert_eq(arbiter.pool.used, 0);
    // A link that comes back ends it, too, and nothing is told twice.
    cr_assert_eq(quote_at(70, T0 + 2000, false), ARBITER_NEW);
    arbiter_key_up(&arbiter, key, &link_a, now);
    arbiter_tick(&arbiter, now);
    cr_assert_eq(told[STATUS_HOLE_LOST], 2);
    cr_assert(!arbiter.keys[key].refusing);
}

static enum arbiter_verdict book_at(struct arbiter_link *link, int64_t time_ns)
{
    struct event event;
    now.monotonic_ns += time_ns - now.utc_ns;
    now.utc_ns = time_ns;
    event_clear(&event, CHANNEL_BOOK, 0);
    event_set(&event, BOOK_EVENT_TIME, time_ns);
    return arbiter_judge(&arbiter, &event, link, now);
}

// What the other link brought until the leader was given up is lost, and told; a quiet symbol, of
// which nobody brought anything, is not.
Test(arbiter_timed, what_a_silent_leader_cost_is_told)
{
    (void)arbiter_key_open(&arbiter, 0, CHANNEL_BOOK, ARBITER_LEADER);
    cr_assert_eq(book_at(&link_a, T0), ARBITER_NEW);
    cr_assert_eq(book_at(&link_b, T0 + 1), ARBITER_COPY); // ahead of the leader, which follows
    cr_assert_eq(book_at(&link_a, T0 + 2), ARBITER_NEW);
    cr_assert_eq(book_at(&link_b, T0 + LIMIT_SECOND_NS), ARBITER_COPY);
    cr_assert_eq(book_at(&link_b, T0 + 4 * LIMIT_SECOND_NS), ARBITER_NEW);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
    cr_assert_eq(newest.from_ns, T0 + LIMIT_SECOND_NS);
    cr_assert_eq(newest.to_ns, T0 + 4 * LIMIT_SECOND_NS);
    cr_assert_eq(book_at(&link_a, T0 + 60 * LIMIT_SECOND_NS), ARBITER_NEW); // first of both
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
}

static void up(uint32_t key, struct arbiter_link *link, int64_t ns)
{
    now.utc_ns = ns;
    link->mute_ns = 0;
    arbiter_key_up(&arbiter, key, link, now);
}

static void down(uint32_t key, struct arbiter_link *link, int64_t ns, int64_t mute_ns)
{
    now.utc_ns = ns;
    link->mute_ns = mute_ns;
    arbiter_key_down(&arbiter, key, link, now);
}

// b came when a, the only link, was silent already: what nobody saw before it came is told, too.
Test(arbiter_timed, a_leader_that_was_silent_before_the_other_link_came)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_BOOK, ARBITER_LEADER);
    up(key, &link_a, T0 - 2);
    cr_assert_eq(book_at(&link_a, T0), ARBITER_NEW);
    up(key, &link_b, T0 + 50 * LIMIT_MILLISECOND_NS);
    cr_assert_eq(book_at(&link_b, T0 + 60 * LIMIT_MILLISECOND_NS), ARBITER_COPY);
    cr_assert_eq(book_at(&link_b, T0 + 4 * LIMIT_SECOND_NS), ARBITER_NEW);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
    cr_assert_eq(newest.from_ns, T0 + 1);
    cr_assert_eq(newest.to_ns, T0 + 4 * LIMIT_SECOND_NS);
}

// What another link had brought first, the leader can bring no more.
Test(arbiter_timed, what_a_leader_that_is_cut_still_had_to_bring_is_told)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_BOOK, ARBITER_LEADER);
    up(key, &link_a, T0 - 2);
    up(key, &link_b, T0 - 1);
    cr_assert_eq(book_at(&link_a, T0), ARBITER_NEW);
    cr_assert_eq(book_at(&link_b, T0), ARBITER_COPY);
    cr_assert_eq(book_at(&link_b, T0 + 5), ARBITER_COPY);
    down(key, &link_a, T0 + 7, 0);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
    cr_assert_eq(newest.from_ns, T0 + 5);
    cr_assert_eq(newest.to_ns, T0 + 7);
    cr_assert_eq(book_at(&link_b, T0 + 9), ARBITER_NEW);
    down(key, &link_b, T0 + 11, 0);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1); // the last link: a hole without an end
    cr_assert_eq(told[STATUS_HOLE_OPENED], 1);
}

static void set_trade(struct arbiter_link *link, int64_t ns)
{
    struct event event;
    now.utc_ns = ns;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, TRADE_ID, ns);
    event_set(&event, TRADE_TIME, ns);
    cr_assert_eq(arbiter_judge(&arbiter, &event, link, now), ARBITER_NEW);
}

// b is mute from second 1 on; a is away from 3 to 4; only at 12 it is known that nobody was there.
Test(arbiter_timed, a_link_that_was_mute_was_not_there)
{
    const struct coverage_hole *hole = arbiter.pool.holes;
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    up(key, &link_a, T0 - 2);
    up(key, &link_b, T0 - 1);
    set_trade(&link_a, T0);
    down(key, &link_a, T0 + 30 * LIMIT_SECOND_NS, 0);
    up(key, &link_a, T0 + 31 * LIMIT_SECOND_NS);
    cr_assert_eq(arbiter.pool.used, 0);
    down(key, &link_b, T0 + 39 * LIMIT_SECOND_NS, T0 + 28 * LIMIT_SECOND_NS);
    cr_assert_eq(arbiter.pool.used, 1);
    cr_assert_leq(hole->first, T0 + 30 * LIMIT_SECOND_NS);
    cr_assert_gt(hole->first, T0 + 20 * LIMIT_SECOND_NS);
    cr_assert_eq(hole->last, T0 + 31 * LIMIT_SECOND_NS);
    cr_assert_eq(told[STATUS_HOLE_OPENED], 1);
}

// b was there alone, and mute, before the first event of all.
Test(arbiter_timed, a_link_that_was_mute_before_the_first_event_cost_nothing)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    up(key, &link_b, T0 - 20);
    up(key, &link_a, T0 - 10);
    set_trade(&link_a, T0);
    down(key, &link_b, T0 + LIMIT_MINUTE_NS, T0 - 30);
    cr_assert_eq(arbiter.pool.used, 0);
    cr_assert_eq(told[STATUS_HOLE_OPENED], 0);
}

Test(arbiter_timed, a_link_that_was_mute_after_the_other_was_back_cost_nothing)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_QUOTE, ARBITER_RISING);
    up(key, &link_a, T0 - 2);
    up(key, &link_b, T0 - 1);
    cr_assert_eq(quote_at(1, T0, true), ARBITER_NEW);
    down(key, &link_a, T0 + 3 * LIMIT_SECOND_NS, 0);
    up(key, &link_a, T0 + 4 * LIMIT_SECOND_NS);
    down(key, &link_b, T0 + 15 * LIMIT_SECOND_NS, T0 + 4 * LIMIT_SECOND_NS);
    cr_assert_eq(told[STATUS_HOLE_OPENED] + told[STATUS_HOLE_LOST], 0);
    up(key, &link_b, T0 + 16 * LIMIT_SECOND_NS);
    down(key, &link_a, T0 + 17 * LIMIT_SECOND_NS, 0);
    up(key, &link_a, T0 + 18 * LIMIT_SECOND_NS);
    down(key, &link_b, T0 + 28 * LIMIT_SECOND_NS, T0 + 16 * LIMIT_SECOND_NS + 5);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
    cr_assert_eq(newest.from_ns, T0 + 16 * LIMIT_SECOND_NS + 5);
    cr_assert_eq(newest.to_ns, T0 + 18 * LIMIT_SECOND_NS);
}

// b was mute, and a brought nothing any more of what was under way when it was cut: the hole begins
// with the last event before, less what an event may be late by, not with the cut.
Test(arbiter_timed, what_a_cut_link_had_under_way_counts_on_a_mute_one_beside_it)
{
    const int64_t last = T0 + 29 * LIMIT_SECOND_NS + LIMIT_SECOND_NS / 2;
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_QUOTE, ARBITER_RISING);
    up(key, &link_a, T0 - 2);
    up(key, &link_b, T0 - 1);
    cr_assert_eq(quote_at(1, T0, true), ARBITER_NEW);
    cr_assert_eq(quote_at(2, last, true), ARBITER_NEW);
    down(key, &link_a, T0 + 30 * LIMIT_SECOND_NS, 0);
    up(key, &link_a, T0 + 31 * LIMIT_SECOND_NS);
    down(key, &link_b, T0 + 35 * LIMIT_SECOND_NS, T0 + 28 * LIMIT_SECOND_NS);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
    cr_assert_eq(newest.from_ns, last + 7 - LIMIT_SECOND_NS / 10);
    cr_assert_eq(newest.to_ns, T0 + 31 * LIMIT_SECOND_NS);
}

// A process that stood still finds ended links late, and receives at once what came before.
Test(arbiter_timed, a_cut_during_a_standstill_begins_with_it)
{
    const int64_t second = LIMIT_SECOND_NS;
    for (int tick_first = 0; tick_first < 2; tick_first++) {
        const int64_t begin = T0 + tick_first * 100 * second;
        uint32_t quote = arbiter_key_open(&arbiter, 0, CHANNEL_QUOTE, ARBITER_RISING);
        up(quote, &link_a, begin);
        cr_assert_eq(quote_at(1 + 10 * tick_first, begin + second, true), ARBITER_NEW);
        arbiter_tick(&arbiter, now);
        now.monotonic_ns += 3 * second;
        now.utc_ns = begin + 4 * second;
        if (tick_first == 1) arbiter_tick(&arbiter, now);
        cr_assert_eq(quote_at(5 + 10 * tick_first, begin + 4 * second, true), ARBITER_NEW);
        down(quote, &link_a, begin + 4 * second + 1000, 0);
        const struct coverage_hole *hole = &arbiter.pool.holes[arbiter.keys[quote].coverage.holes];
        cr_assert_leq(hole->first, begin + second + 10000);
        cr_assert_geq(hole->first, begin);
        cr_assert_eq(hole->last, COVERAGE_ENDLESS);
    }
}

// The only link: the hole begins when it fell silent, not when that was found.
Test(arbiter_timed, the_only_link_was_mute)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_QUOTE, ARBITER_RISING);
    up(key, &link_a, T0 - 2);
    cr_assert_eq(quote_at(1, T0, true), ARBITER_NEW);
    down(key, &link_a, T0 + 20 * LIMIT_SECOND_NS, T0 + 9 * LIMIT_SECOND_NS);
    cr_assert_eq(arbiter.pool.holes[0].first, T0 + 9 * LIMIT_SECOND_NS);
    cr_assert_eq(arbiter.pool.holes[0].last, COVERAGE_ENDLESS);
    up(key, &link_a, T0 + 21 * LIMIT_SECOND_NS);
    cr_assert_eq(told[STATUS_HOLE_LOST], 1);
    cr_assert_eq(arbiter.pool.used, 0);
}

// Nothing is told of what was before the first event.
Test(arbiter_timed, a_time_begins_with_the_first_event_at_the_earliest)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_QUOTE, ARBITER_RISING);
    up(key, &link_a, T0 - 2);
    cr_assert_eq(quote_at(1, T0, true), ARBITER_NEW);
    down(key, &link_a, T0 + 10, 0);
    cr_assert_eq(arbiter.pool.holes[0].first, arbiter.keys[key].coverage.first);
    uint32_t other = arbiter_key_open(&arbiter, 1, CHANNEL_BOOK, ARBITER_LEADER);
    struct event event;
    event_clear(&event, CHANNEL_BOOK, 1);
    event_set(&event, BOOK_EVENT_TIME, now.utc_ns - 5);
    cr_assert_eq(arbiter_judge(&arbiter, &event, &link_a, now), ARBITER_NEW);
    arbiter_refused(&arbiter, &event, now);
    const struct coverage *coverage = &arbiter.keys[other].coverage;
    cr_assert_eq(arbiter.pool.holes[coverage->holes].first, coverage->first);
}
