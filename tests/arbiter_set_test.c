// SPDX-License-Identifier: GPL-3.0-or-later
//
// The arbiter's SET rule (trades of Upbit): lateness, windows, holes of time, and what an audit
// could not compare.
#include "capture/arbiter.h"

#include <criterion/criterion.h>

#define T0 1700000000000000000ll
#define MS LIMIT_MILLISECOND_NS

static struct arbiter arbiter;
static struct arbiter_link link_a = {.number = 1, .copy = 0};
static struct arbiter_now now = {T0, LIMIT_SECOND_NS};
static struct arbiter_news news[256];
static uint32_t news_count;

static void tell(void *context, const struct arbiter_news *told)
{
    (void)context;
    if (news_count < 256) news[news_count++] = *told;
}

static void release(void *context, const struct event *event, uint32_t link)
{
    (void)context;
    (void)event;
    (void)link;
}

static void open_arbiter(void)
{
    cr_assert_eq(arbiter_open(&arbiter, tell, release, NULL), 0);
}

static void close_arbiter(void)
{
    arbiter_close(&arbiter);
}

TestSuite(arbiter_set, .init = open_arbiter, .fini = close_arbiter);

static void pass(int64_t ns)
{
    now.utc_ns += ns;
    now.monotonic_ns += ns;
}

static uint32_t told(enum status_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < news_count; i++) count += news[i].kind == kind;
    return count;
}

static enum arbiter_verdict trade(struct arbiter_link *link, int64_t id, int64_t time_ns)
{
    struct event event;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, TRADE_ID, id);
    event_set(&event, TRADE_TIME, time_ns);
    return arbiter_judge(&arbiter, &event, link, now);
}

static const struct coverage *covered(uint32_t key)
{
    coverage_check(&arbiter.pool, &arbiter.keys[key].coverage);
    return &arbiter.keys[key].coverage;
}

Test(arbiter_set, upbit_late_double_and_backward_ids)
{
    // Times and ids of one market as Upbit sends them: sid is no order, and a trade may come
    // seconds after a newer one.
    static const struct {
        int64_t id;
        int64_t ms;
        enum arbiter_verdict verdict;
    } table[] = {
        {16176466200000000, 0, ARBITER_NEW},       {16176466209000000, 900, ARBITER_NEW},
        {16176466209000001, 900, ARBITER_NEW},     {16176466209000000, 900, ARBITER_COPY},
        {16176466213000000, 1300, ARBITER_NEW},    {16176466212000000, 1300, ARBITER_NEW},
        {16176466205000000, 500, ARBITER_NEW}, // late
        {16176466205000000, 500, ARBITER_COPY},    {16176466200000000, 0, ARBITER_COPY},
        {16176466190000000, -1000, ARBITER_NEW}, // late, from before the beginning: not stored yet
        {16176466190000000, -1000, ARBITER_COPY},
    };
    (void)arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        cr_assert_eq(trade(&link_a, table[i].id, T0 + table[i].ms * MS), table[i].verdict,
                     "line %zu", i);
}

Test(arbiter_set, a_window_keeps_what_a_hole_needs)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    arbiter_key_up(&arbiter, key, &link_a, now);
    for (int64_t i = 0; i < 10; i++) {
        cr_assert_eq(trade(&link_a, i, now.utc_ns), ARBITER_NEW);
        pass(100 * MS);
    }
    int64_t edge_ns = now.utc_ns - 100 * MS;
    arbiter_key_down(&arbiter, key, &link_a, now);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    pass(5 * LIMIT_SECOND_NS);
    int64_t inside_ns = now.utc_ns - 2 * LIMIT_SECOND_NS;
    arbiter_key_up(&arbiter, key, &link_a, now);
    for (int64_t i = 100; i < 5000; i++) { // more than a window
        cr_assert_eq(trade(&link_a, i, now.utc_ns), ARBITER_NEW);
        pass(10 * MS);
    }
    cr_assert_eq(trade(NULL, 9, edge_ns), ARBITER_COPY, "stored before the cut");
    cr_assert_eq(trade(NULL, 50, inside_ns), ARBITER_NEW);
    cr_assert_eq(trade(NULL, 50, inside_ns), ARBITER_COPY);
    cr_assert_eq(trade(NULL, 4990, now.utc_ns - 100 * MS), ARBITER_COPY);
    int32_t hole = covered(key)->holes;
    arbiter_resolved(&arbiter, key, arbiter.pool.holes[hole].first, arbiter.pool.holes[hole].last,
                     1, false, NULL);
    cr_assert_eq(told(STATUS_HOLE_REPAIRED), 1);
    cr_assert_eq(trade(NULL, 51, inside_ns), ARBITER_COPY, "no hole, and older than the window");
}

// ---- set: what an audit could not compare ----

// `count` trades of one market, 10 ms apart, from `id` on.
static void busy(int64_t id, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        (void)trade(&link_a, id + i, now.utc_ns);
        pass(10 * MS);
    }
}

static bool lost_at(int64_t time_ns)
{
    for (uint32_t i = 0; i < news_count; i++)
        if (news[i].kind == STATUS_HOLE_LOST && news[i].from_ns <= time_ns &&
            (news[i].to_ns == 0 || news[i].to_ns >= time_ns))
            return true;
    return false;
}

Test(arbiter_set, what_is_forgotten_before_an_audit_is_listed_as_lost)
{
    static const struct {
        int64_t proven_ms; // of an audit behind the 1,000th trade; -1: none came
        int64_t lost_ms;   // first and last trade that must be listed; -1: none
        int64_t lost_to_ms;
        bool refused; // one row behind what is proven
    } table[] = {
        {-1, 0, 10230, false},
        {5000, 5010, 10230, false},
        {10230, -1, -1, false}, // all that half a window forgets
        {10230, 7000, 10240, true}, // the refused row makes room for one more
    };
    for (size_t line = 0; line < sizeof table / sizeof *table; line++) {
        news_count = 0;
        uint32_t key = arbiter_key_open(&arbiter, (uint32_t)line, CHANNEL_TRADE, ARBITER_SET);
        int64_t began_ns = now.utc_ns;
        struct event event;
        for (int64_t i = 0; i < 3000; i++) {
            event_clear(&event, CHANNEL_TRADE, (uint32_t)line);
            event_set(&event, TRADE_ID, i);
            event_set(&event, TRADE_TIME, now.utc_ns);
            if (i == 2000 && table[line].proven_ms >= 0)
                arbiter.keys[key].coverage.proven_ns = began_ns + table[line].proven_ms * MS;
            cr_assert_eq(arbiter_judge(&arbiter, &event, &link_a, now), ARBITER_NEW);
            if (i == 2001 && table[line].refused) {
                event_set(&event, TRADE_ID, 700);
                event_set(&event, TRADE_TIME, began_ns + 7000 * MS);
                arbiter_refused(&arbiter, &event, now);
            }
            pass(10 * MS);
        }
        for (int64_t ms = 0; ms < 20480; ms += 10) {
            bool expected = table[line].lost_ms >= 0 && ms >= table[line].lost_ms &&
                            ms <= table[line].lost_to_ms;
            cr_assert_eq(lost_at(began_ns + ms * MS), expected, "line %zu, %ld ms", line, (long)ms);
        }
        cr_assert_geq(covered(key)->proven_ns, began_ns + 10230 * MS, "stored or listed");
    }
}

Test(arbiter_set, what_a_hole_remembers_is_not_listed_twice)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    arbiter_key_up(&arbiter, key, &link_a, now);
    int64_t began_ns = now.utc_ns;
    busy(0, 700);
    arbiter_key_down(&arbiter, key, &link_a, now);
    int64_t hole_ns = now.utc_ns - ARBITER_LATE_NS;
    pass(LIMIT_SECOND_NS);
    int64_t up_ns = now.utc_ns;
    arbiter_key_up(&arbiter, key, &link_a, now);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 2, "without an end, then with it");
    cr_assert_eq(news[1].from_ns, hole_ns);
    cr_assert_eq(news[1].to_ns, up_ns);
    pass(10 * MS);
    busy(1000, 1500);
    cr_assert(lost_at(began_ns) && lost_at(hole_ns - 1) && lost_at(up_ns + 10 * MS));
    cr_assert_not(lost_at(hole_ns));
    cr_assert_not(lost_at(up_ns));
    cr_assert_eq(trade(NULL, 5000, hole_ns + 5 * MS), ARBITER_NEW, "the hole is repaired still");
}

Test(arbiter_set, a_late_trade_from_before_the_beginning_begins_earlier)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    cr_assert_eq(trade(&link_a, 7, T0), ARBITER_NEW);
    arbiter.keys[key].coverage.proven_ns = T0 + LIMIT_SECOND_NS;
    cr_assert_eq(trade(&link_a, 6, T0 - 900 * MS), ARBITER_NEW);
    cr_assert_eq(covered(key)->first, T0 - 900 * MS);
    cr_assert_lt(covered(key)->proven_ns, T0 - 900 * MS, "what lies between is for the audit");
    cr_assert_eq(trade(NULL, 8, T0 - 500 * MS), ARBITER_NEW);
}

Test(arbiter_set, a_hole_that_is_reached_by_the_next_cut_is_told_again)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    arbiter_key_up(&arbiter, key, &link_a, now);
    busy(0, 10);
    arbiter_key_down(&arbiter, key, &link_a, now);
    pass(LIMIT_SECOND_NS);
    arbiter_key_up(&arbiter, key, &link_a, now);
    pass(LIMIT_SECOND_NS);
    arbiter_key_down(&arbiter, key, &link_a, now);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 3);
    cr_assert_eq(news[2].from_ns, news[0].from_ns);
    cr_assert_eq(news[2].to_ns, 0);
}
