// SPDX-License-Identifier: GPL-3.0-or-later
//
// Holes that are times: of quotes that could not be stored.
#include "capture/arbiter.h"

#include <criterion/criterion.h>

#define T0 1700000000000000000ll

static struct arbiter arbiter;
static struct arbiter_link link_a = {.number = 1};
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
