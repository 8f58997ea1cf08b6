// SPDX-License-Identifier: GPL-3.0-or-later
//
// The arbiter rule by rule: tables of arrivals with the verdict each must get, and a model that
// mixes copies, losses, lateness and repairs at random.
#include "capture/arbiter.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define T0 1700000000000000000ll
#define MS LIMIT_MILLISECOND_NS
#define SECOND LIMIT_SECOND_NS

static struct arbiter arbiter;
static struct arbiter_link link_a = {.number = 1, .copy = 0};
static struct arbiter_link link_b = {.number = 2, .copy = 1};
static struct arbiter_now now = {T0, LIMIT_SECOND_NS};
static struct arbiter_news news[256];
static uint32_t news_count;
static int64_t released[64][2];
static uint32_t released_count;

static void tell(void *context, const struct arbiter_news *told)
{
    (void)context;
    if (news_count < 256) news[news_count++] = *told;
}

static void release(void *context, const struct event *event, uint32_t link)
{
    (void)context;
    (void)link;
    released[released_count][0] = event->value[DEPTH_FIRST_ID];
    released[released_count++][1] = event->value[DEPTH_LAST_ID];
}

static void open_arbiter(void)
{
    cr_assert_eq(arbiter_open(&arbiter, tell, release, NULL), 0);
}

static void close_arbiter(void)
{
    arbiter_close(&arbiter);
}

TestSuite(arbiter, .init = open_arbiter, .fini = close_arbiter);

static void pass(int64_t ns)
{
    now.utc_ns += ns;
    now.monotonic_ns += ns;
}

// Ticks until every key had its turn.
static void ticks(int64_t ns)
{
    for (int64_t gone = 0; gone < ns; gone += 100 * MS) {
        pass(100 * MS);
        arbiter_tick(&arbiter, now);
    }
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

static enum arbiter_verdict depth(struct arbiter_link *link, int64_t first, int64_t last,
                                  int64_t previous)
{
    static const struct event_level level = {.price = 1, .quantity = 2};
    struct event event;
    event_clear(&event, CHANNEL_DEPTH, 0);
    event_set(&event, DEPTH_FIRST_ID, first);
    event_set(&event, DEPTH_LAST_ID, last);
    if (previous >= 0) event_set(&event, DEPTH_PREVIOUS_ID, previous);
    event.levels = &level;
    event.level_count = 1;
    return arbiter_judge(&arbiter, &event, link, now);
}

static enum arbiter_verdict quote(struct arbiter_link *link, int64_t id)
{
    struct event event;
    event_clear(&event, CHANNEL_QUOTE, 0);
    event_set(&event, QUOTE_ID, id);
    return arbiter_judge(&arbiter, &event, link, now);
}

static enum arbiter_verdict book(struct arbiter_link *link, int64_t time_ns)
{
    struct event event;
    event_clear(&event, CHANNEL_BOOK, 0);
    event_set(&event, BOOK_EVENT_TIME, time_ns);
    return arbiter_judge(&arbiter, &event, link, now);
}

static const struct coverage *covered(uint32_t key)
{
    coverage_check(&arbiter.pool, &arbiter.keys[key].coverage);
    return &arbiter.keys[key].coverage;
}

static uint64_t missing(uint32_t key)
{
    return coverage_missing(&arbiter.pool, covered(key));
}

// ---- sequence ----

Test(arbiter, sequence_table)
{
    static const struct {
        char link;
        int64_t id;
        enum arbiter_verdict verdict;
        uint64_t missing;
    } table[] = {
        {'a', 100, ARBITER_NEW, 0},  // the first
        {'b', 100, ARBITER_COPY, 0},
        {'a', 99, ARBITER_COPY, 0},  // before the beginning
        {'a', 101, ARBITER_NEW, 0},
        {'b', 102, ARBITER_NEW, 0},  // b leads
        {'a', 102, ARBITER_COPY, 0},
        {'a', 105, ARBITER_NEW, 2},  // 103 and 104 skipped
        {'b', 103, ARBITER_NEW, 1},  // b has them
        {'b', 103, ARBITER_COPY, 1},
        {'b', 104, ARBITER_NEW, 0},
        {'b', 105, ARBITER_COPY, 0},
        {'a', 108, ARBITER_NEW, 2},
        {'a', 107, ARBITER_NEW, 1},  // out of order on one link
        {'r', 106, ARBITER_NEW, 0},  // by REST
        {'r', 106, ARBITER_COPY, 0},
        {'r', 108, ARBITER_COPY, 0}, // pages overlap
    };
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SEQUENCE);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct arbiter_link *link = table[i].link == 'a'   ? &link_a
                                    : table[i].link == 'b' ? &link_b
                                                           : NULL;
        cr_assert_eq(trade(link, table[i].id, T0), table[i].verdict, "line %zu", i);
        cr_assert_eq(missing(key), table[i].missing, "line %zu", i);
    }
    cr_assert_eq(link_a.lost, 2 + 2); // 103 104, 106 107 (the latter came late)
    cr_assert_eq(told(STATUS_HOLE_OPENED), 0, "nothing was missing for long");
}

Test(arbiter, a_hole_is_opened_after_its_grace_and_told_closed)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SEQUENCE);
    (void)trade(&link_a, 1, T0);
    (void)trade(&link_a, 5, T0 + 7);
    ticks(200 * MS);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 0);
    ticks(200 * MS);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    cr_assert_eq(news[0].first, 2);
    cr_assert_eq(news[0].last, 4);
    cr_assert_eq(news[0].from_ns, T0);
    cr_assert_eq(news[0].to_ns, T0 + 7);
    cr_assert_eq(trade(&link_a, 3, T0), ARBITER_NEW); // late, in its middle
    cr_assert_eq(told(STATUS_HOLE_REPAIRED), 1);
    cr_assert_eq(trade(NULL, 2, T0), ARBITER_NEW);
    cr_assert_eq(trade(NULL, 4, T0), ARBITER_NEW);
    arbiter_resolved(&arbiter, key, 2, 4, 2, false, NULL);
    cr_assert_eq(told(STATUS_HOLE_REPAIRED), 2);
    cr_assert_eq(news[2].count, 2);
    cr_assert_eq(missing(key), 0);
}

Test(arbiter, ids_that_start_again_begin_a_new_series_once_confirmed)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SEQUENCE);
    (void)trade(&link_a, 5000, T0);
    (void)trade(&link_a, 5001, T0 + 1);
    cr_assert_eq(trade(&link_a, 1, T0 + 10), ARBITER_NEW); // may be
    cr_assert_eq(trade(&link_b, 1, T0 + 10), ARBITER_COPY);
    cr_assert_eq(covered(key)->last, 5001);
    cr_assert_eq(trade(&link_a, 2, T0 + 11), ARBITER_NEW); // is
    cr_assert_eq(told(STATUS_INTERVAL_CLOSED), 1);
    cr_assert_eq(news[0].last, 5001);
    cr_assert_eq(covered(key)->first, 1);
    cr_assert_eq(covered(key)->last, 2);
    cr_assert_eq(trade(&link_b, 2, T0 + 11), ARBITER_COPY);
    cr_assert_eq(trade(&link_a, 3, T0 + 12), ARBITER_NEW);
}

// A crash leaves the first ids of a new series with the row that ends the old one, or without.
Test(arbiter, ids_that_started_again_before_a_crash_leave_no_down_time_out)
{
    for (int ended = 0; ended < 2; ended++) {
        static struct arbiter next;
        news_count = 0;
        uint32_t key = arbiter_key_open(&arbiter, (uint32_t)ended, CHANNEL_TRADE, ARBITER_SEQUENCE);
        for (int64_t id = 1000; id < 1010; id++)
            arbiter_recall_row(&arbiter, key, id, id, 0, T0 + id);
        arbiter_recall_row(&arbiter, key, 5, 5, 0, T0 + 5000);
        arbiter_recall_row(&arbiter, key, 6, 6, 0, T0 + 6000);
        if (ended) arbiter_recall_status(&arbiter, key, STATUS_INTERVAL_CLOSED, 1000, 1009);
        cr_assert_eq(covered(key)->last, ended ? 6 : 1009);
        cr_assert_eq(arbiter_open(&next, tell, release, NULL), 0);
        cr_assert_eq(arbiter_key_open(&next, 0, CHANNEL_TRADE, ARBITER_SEQUENCE), 0);
        arbiter_adopt(&next, 0, &arbiter, key, now);
        struct event event;
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, TRADE_ID, 20);
        event_set(&event, TRADE_TIME, T0 + 20000);
        cr_assert_eq(arbiter_judge(&next, &event, &link_a, now), ARBITER_NEW);
        cr_assert_eq(next.keys[0].coverage.last, 20, "ended %d", ended);
        cr_assert_eq(coverage_missing(&next.pool, &next.keys[0].coverage), 13, "7 ... 19");
        cr_assert_eq(told(STATUS_INTERVAL_CLOSED), ended ? 0 : 1);
        arbiter_close(&next);
    }
}

Test(arbiter, one_stray_id_opens_no_hole_of_thousands)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SEQUENCE);
    (void)trade(&link_a, 5000, T0);
    cr_assert_eq(trade(&link_a, 7, T0 + 10), ARBITER_NEW);
    cr_assert_eq(trade(&link_a, 5001, T0 + 11), ARBITER_NEW);
    cr_assert_eq(missing(key), 0);
    cr_assert_eq(trade(&link_a, 4000, T0 + 5), ARBITER_COPY, "reissued, not later");
}

Test(arbiter, an_audit_finds_the_last_trades)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SEQUENCE);
    (void)trade(&link_a, 10, T0);
    arbiter_audited(&arbiter, key, 10, now);
    ticks(3500 * MS);
    cr_assert_eq(covered(key)->proven, 10);
    arbiter_audited(&arbiter, key, 12, now);
    ticks(1000 * MS);
    (void)trade(&link_a, 11, T0 + 1); // was on its way
    ticks(2500 * MS);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    cr_assert_eq(news[0].first, 12);
    cr_assert_eq(news[0].last, 12);
    cr_assert_eq(covered(key)->proven, 12, "what is missing is listed");
    cr_assert_eq(trade(&link_a, 13, T0 + 2), ARBITER_NEW);
    cr_assert_eq(trade(NULL, 12, T0 + 2), ARBITER_NEW);
    cr_assert_eq(missing(key), 0);
}

Test(arbiter, a_refused_row_is_a_hole_again)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SEQUENCE);
    struct event event;
    for (int64_t id = 1; id <= 4; id++) {
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, TRADE_ID, id);
        event_set(&event, TRADE_TIME, T0);
        cr_assert_eq(arbiter_judge(&arbiter, &event, &link_a, now), ARBITER_NEW);
        if (id > 1) arbiter_refused(&arbiter, &event, now);
    }
    cr_assert_eq(missing(key), 3);
    cr_assert_eq(arbiter.pool.used, 1, "they grow together");
    cr_assert_eq(trade(NULL, 3, T0), ARBITER_NEW);
}

// Two links that lose, delay and double at random: what was judged new is each id that came, once;
// what is missing is each that did not.
Test(arbiter, random_links_store_each_id_once)
{
    enum { IDS = 2000 };
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, ARBITER_SEQUENCE);
    for (unsigned seed = 1; seed <= 50; seed++) {
        static uint8_t stored[IDS + 1], came[IDS + 1];
        memset(stored, 0, sizeof stored);
        memset(came, 0, sizeof came);
        srand(seed);
        coverage_forget(&arbiter.pool, &arbiter.keys[key].coverage);
        for (int at[2] = {1, 1}; at[0] <= IDS || at[1] <= IDS;) {
            int side = rand() % 2;
            if (at[side] > IDS) side = !side;
            int id = at[side]++ - (rand() % 20 == 0 ? rand() % 30 : 0);
            if (id < 1 || (rand() % 10 == 0 && id > 1)) continue;
            came[id] = 1;
            stored[id] += trade(side ? &link_b : &link_a, id, T0 + id) == ARBITER_NEW;
        }
        int64_t first = covered(key)->first;
        for (int64_t id = first; id <= covered(key)->last; id++) {
            bool hole = coverage_find(&arbiter.pool, covered(key), id) != COVERAGE_NONE;
            cr_assert_eq(stored[id], came[id], "seed %u id %ld", seed, (long)id);
            cr_assert_eq(hole, !came[id], "seed %u id %ld", seed, (long)id);
        }
    }
}

// ---- range ----

Test(arbiter, depth_of_the_leader_is_stored_and_others_fill_in)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    cr_assert_eq(depth(&link_a, 1, 10, -1), ARBITER_NEW);
    cr_assert_eq(depth(&link_b, 1, 5, -1), ARBITER_COPY);  // other windows
    cr_assert_eq(depth(&link_b, 6, 15, -1), ARBITER_HELD);
    cr_assert_eq(depth(&link_a, 11, 20, -1), ARBITER_NEW); // overtakes what is held
    cr_assert_eq(depth(&link_b, 16, 25, -1), ARBITER_HELD);
    cr_assert_eq(depth(&link_b, 26, 35, -1), ARBITER_HELD);
    cr_assert_eq(depth(&link_a, 31, 40, -1), ARBITER_NEW); // lost 21 ... 30
    cr_assert_eq(released_count, 2);
    cr_assert_eq(released[0][0], 16);
    cr_assert_eq(released[1][1], 35);
    cr_assert_eq(covered(key)->last, 40);
    cr_assert_eq(missing(key), 0);
}

// What each event of a gap must get, and what is released behind it.
Test(arbiter, a_depth_gap_waits_for_siblings_and_late_updates)
{
    static const struct {
        bool a; // of the leader
        int64_t first, last;
        int64_t after_ms;
        enum arbiter_verdict verdict;
        uint32_t released; // so far
    } table[] = {
        {true, 1, 10, 0, ARBITER_NEW, 0},
        {true, 21, 30, 0, ARBITER_HELD, 0},    // 11 ... 20 are not there
        {true, 31, 40, 100, ARBITER_HELD, 0},
        {false, 8, 25, 50, ARBITER_HELD, 3},   // the sibling's window ends elsewhere
        {true, 41, 50, 50, ARBITER_NEW, 3},
        {true, 61, 70, 50, ARBITER_HELD, 3},
        {true, 51, 60, 100, ARBITER_HELD, 5},  // late, from the leader itself
        {true, 71, 80, 50, ARBITER_NEW, 5},
        {true, 91, 100, 50, ARBITER_HELD, 5},  // 81 ... 90 never come
        {true, 101, 110, 100, ARBITER_HELD, 5},
        {false, 95, 120, 100, ARBITER_HELD, 5},
        {true, 121, 130, 150, ARBITER_HELD, 9},
        {true, 131, 140, 50, ARBITER_NEW, 9},
    };
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    for (size_t line = 0; line < sizeof table / sizeof *table; line++) {
        pass(table[line].after_ms * MS);
        cr_assert_eq(depth(table[line].a ? &link_a : &link_b, table[line].first, table[line].last,
                           -1), table[line].verdict, "line %zu", line);
        cr_assert_eq(released_count, table[line].released, "line %zu: %u", line, released_count);
    }
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    cr_assert_eq(news[0].first, 81);
    for (uint32_t i = 1; i < released_count; i++)
        cr_assert_gt(released[i][1], released[i - 1][1], "in their order");
    cr_assert_eq(covered(key)->last, 140);
}

Test(arbiter, a_depth_gap_that_nobody_fills_is_told_without_another_event)
{
    (void)arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    (void)depth(&link_a, 1, 10, -1);
    cr_assert_eq(depth(&link_a, 21, 30, -1), ARBITER_HELD);
    ticks(500 * MS);
    cr_assert_eq(released_count, 1);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
}

Test(arbiter, after_all_links_were_down_a_depth_gap_does_not_wait)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_key_up(&arbiter, key, &link_a, now);
    (void)depth(&link_a, 1, 10, -1);
    arbiter_key_down(&arbiter, key, &link_a, now);
    arbiter_key_up(&arbiter, key, &link_a, now);
    cr_assert_eq(depth(&link_a, 21, 30, -1), ARBITER_NEW);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
}

Test(arbiter, a_depth_leader_that_goes_down_is_replaced_without_a_gap)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_key_up(&arbiter, key, &link_a, now);
    arbiter_key_up(&arbiter, key, &link_b, now);
    (void)depth(&link_a, 1, 10, -1);
    cr_assert_eq(depth(&link_b, 8, 15, -1), ARBITER_HELD);
    cr_assert_eq(depth(&link_b, 16, 25, -1), ARBITER_HELD);
    arbiter_key_down(&arbiter, key, &link_a, now);
    cr_assert_eq(released_count, 2);
    cr_assert_eq(depth(&link_b, 26, 30, -1), ARBITER_NEW);
    cr_assert_eq(missing(key), 0);
    cr_assert_eq(arbiter.keys[key].leader, 2);
}

Test(arbiter, a_silent_depth_leader_is_replaced)
{
    (void)arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    (void)depth(&link_a, 1, 10, -1);
    pass(500 * MS);
    cr_assert_eq(depth(&link_b, 11, 20, -1), ARBITER_HELD);
    ticks(2000 * MS);
    cr_assert_eq(released_count, 1);
    cr_assert_eq(depth(&link_a, 11, 20, -1), ARBITER_COPY);
    cr_assert_eq(depth(&link_b, 21, 30, -1), ARBITER_NEW);
}

Test(arbiter, futures_depth_follows_pu)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    cr_assert_eq(depth(&link_a, 100, 110, 90), ARBITER_NEW);
    cr_assert_eq(depth(&link_a, 150, 160, 110), ARBITER_NEW); // ids jump, pu tells
    cr_assert_eq(missing(key), 0);
    cr_assert_eq(depth(&link_a, 190, 200, 180), ARBITER_HELD);
    ticks(500 * MS);
    cr_assert_eq(released_count, 1);
    cr_assert(arbiter.keys[key].wants_snapshot);
    cr_assert_eq(arbiter.pool.used, 1);
}

Test(arbiter, a_depth_gap_is_lost_up_to_the_next_snapshot)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    (void)depth(&link_a, 1, 10, -1);
    cr_assert(arbiter.keys[key].wants_snapshot, "nothing is covered without one");
    (void)depth(&link_a, 11, 20, -1);
    cr_assert(arbiter_anchored(&arbiter, key, 15, T0));
    cr_assert_eq(covered(key)->first, 15);
    (void)depth(&link_a, 31, 40, -1);
    ticks(500 * MS);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    (void)depth(&link_a, 51, 60, -1); // a second gap before the snapshot
    ticks(500 * MS);
    cr_assert(!arbiter_anchored(&arbiter, key, 45, T0), "older than the run");
    cr_assert(arbiter_anchored(&arbiter, key, 50, T0));
    cr_assert_eq(told(STATUS_HOLE_LOST), 1);
    cr_assert_eq(news[1].first, 21);
    cr_assert_eq(news[1].last, 50);
    cr_assert_eq(arbiter.pool.used, 0);
    cr_assert_eq(depth(&link_a, 61, 70, -1), ARBITER_NEW);
}

Test(arbiter, stored_depth_is_covered_from_its_stored_snapshot_on)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter_recall_snapshot(&arbiter, key, 5, T0); // nothing yet that it could be the base of
    arbiter_recall_row(&arbiter, key, 1, 10, 0, T0);
    arbiter_recall_snapshot(&arbiter, key, 9, T0);
    cr_assert_eq(covered(key)->proven, 0, "older than the run");
    arbiter_recall_snapshot(&arbiter, key, 25, T0); // ahead of the updates on their way
    cr_assert_eq(covered(key)->first, 25);
    arbiter_recall_row(&arbiter, key, 11, 20, 10, T0);
    arbiter_recall_row(&arbiter, key, 21, 30, 20, T0);
    arbiter_recall_row(&arbiter, key, 41, 50, 40, T0); // a gap
    cr_assert(arbiter.keys[key].wants_snapshot);
    cr_assert_eq(covered(key)->last, 30);
    arbiter_recall_snapshot(&arbiter, key, 39, T0); // not yet of the run behind it
    cr_assert(arbiter.keys[key].wants_snapshot);
    arbiter_recall_snapshot(&arbiter, key, 45, T0);
    arbiter_recall_row(&arbiter, key, 51, 60, 50, T0);
    cr_assert_eq(covered(key)->proven, 45);
    cr_assert_eq(covered(key)->last, 60);
    cr_assert_eq(missing(key), 45 - 30);
    arbiter_recall_row(&arbiter, key, 71, 80, 70, T0); // another, whose snapshot never came
    cr_assert_eq(covered(key)->last, 60);
    // The row that told the first one lost may be there or not.
    static struct arbiter next;
    cr_assert_eq(arbiter_open(&next, tell, release, NULL), 0);
    cr_assert_eq(arbiter_key_open(&next, 0, CHANNEL_DEPTH, ARBITER_RANGE), 0);
    arbiter_adopt(&next, 0, &arbiter, key, now);
    cr_assert_eq(told(STATUS_HOLE_LOST), 1);
    cr_assert_eq(news[0].first, 31);
    cr_assert_eq(news[0].last, 45);
    cr_assert_eq(next.pool.used, 0);
    arbiter_close(&next);
    arbiter_recall_status(&arbiter, key, STATUS_HOLE_LOST, 31, 45);
    cr_assert_eq(missing(key), 0);
}

// Killed before any ledger knew of it.
Test(arbiter, quotes_are_covered_from_their_first_row_on_in_whatever_order_it_is_read)
{
    const int64_t up = T0 + 10 * SECOND;
    for (int later_first = 0; later_first < 2; later_first++) {
        uint32_t key = arbiter_key_open(&arbiter, (uint32_t)later_first, CHANNEL_QUOTE,
                                        ARBITER_RISING);
        if (later_first == 1) {
            arbiter_recall_status(&arbiter, key, STATUS_HOLE_OPENED, up - SECOND, COVERAGE_ENDLESS);
            arbiter_recall_row(&arbiter, key, 9, 9, 8, up + SECOND);
        }
        arbiter_recall_row(&arbiter, key, 5, 5, 4, T0);
        if (later_first == 0) {
            arbiter_recall_row(&arbiter, key, 9, 9, 8, up + SECOND);
            arbiter_recall_status(&arbiter, key, STATUS_HOLE_OPENED, up - SECOND, COVERAGE_ENDLESS);
        }
        arbiter_recall_status(&arbiter, key, STATUS_HOLE_OPENED, up - SECOND, up);
        cr_assert_eq(covered(key)->first, T0);
        cr_assert_eq(missing(key), SECOND + 1);
        arbiter_recall_status(&arbiter, key, STATUS_HOLE_LOST, up - SECOND, up);
        cr_assert_eq(missing(key), 0);
        arbiter_recall_stopped(&arbiter, key, up + SECOND, now);
        int32_t hole = covered(key)->holes;
        cr_assert_neq(hole, COVERAGE_NONE);
        cr_assert_eq(arbiter.pool.holes[hole].first, up + SECOND - SECOND / 10, "under way");
        cr_assert_eq(arbiter.pool.holes[hole].last, COVERAGE_ENDLESS);
    }
}

// What was under way when the process was killed is missing, too: of a book from the last one that
// is stored, by the exchange's clock; where that is long ago, a second before.
Test(arbiter, books_are_missing_from_the_last_one_on_that_a_killed_process_had)
{
    const int64_t alive = T0 + 10 * SECOND;
    const int64_t sent[] = {alive - 20 * SECOND / 1000, alive - 5 * SECOND};
    const int64_t wanted[] = {sent[0] + 1, alive - SECOND};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t key = arbiter_key_open(&arbiter, i, CHANNEL_BOOK, ARBITER_LEADER);
        arbiter_recall_row(&arbiter, key, T0, T0, 0, T0);
        arbiter_recall_row(&arbiter, key, sent[i], sent[i], 0, sent[i] + SECOND / 100);
        arbiter_recall_stopped(&arbiter, key, alive, now);
        int32_t hole = covered(key)->holes;
        cr_assert_neq(hole, COVERAGE_NONE);
        cr_assert_eq(arbiter.pool.holes[hole].first, wanted[i]);
        cr_assert_eq(arbiter.pool.holes[hole].last, COVERAGE_ENDLESS);
    }
}

Test(arbiter, updates_that_a_snapshot_was_ahead_of_are_stored)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    (void)depth(&link_a, 1, 10, -1);
    cr_assert(arbiter_anchored(&arbiter, key, 25, T0));
    cr_assert_eq(depth(&link_a, 11, 20, -1), ARBITER_NEW);
    cr_assert_eq(depth(&link_a, 21, 30, -1), ARBITER_NEW);
    cr_assert_eq(missing(key), 0);
}

Test(arbiter, the_ring_of_held_depth_wraps_without_losing_its_order)
{
    (void)arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    (void)depth(&link_a, 1, 1, -1);
    // Far more than the ring holds; the newest must survive whole.
    for (int64_t i = 2; i < 200000; i++)
        cr_assert_eq(depth(&link_b, i, i, -1), ARBITER_HELD);
    cr_assert_gt(arbiter.counters.overflows, 0);
    for (int64_t i = 2; i < 199990; i++) cr_assert_eq(depth(&link_a, i, i, -1), ARBITER_NEW);
    cr_assert_eq(depth(&link_a, 200000, 200000, -1), ARBITER_NEW);
    cr_assert_eq(released_count, 10);
    for (uint32_t i = 0; i < 10; i++) cr_assert_eq(released[i][0], 199990 + i);
}

// ---- rising, leader ----

Test(arbiter, quotes_rise)
{
    (void)arbiter_key_open(&arbiter, 0, CHANNEL_QUOTE, ARBITER_RISING);
    cr_assert_eq(quote(&link_a, 5), ARBITER_NEW);
    cr_assert_eq(quote(&link_b, 5), ARBITER_COPY);
    cr_assert_eq(quote(&link_b, 9), ARBITER_NEW);
    cr_assert_eq(quote(&link_a, 7), ARBITER_COPY);
    pass(11 * LIMIT_SECOND_NS);
    cr_assert_eq(quote(&link_b, 9), ARBITER_COPY, "the same is never news");
    cr_assert_eq(quote(&link_a, 2), ARBITER_NEW, "ids start again");
    cr_assert_eq(told(STATUS_INTERVAL_CLOSED), 1);
}

Test(arbiter, books_come_from_one_link)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_BOOK, ARBITER_LEADER);
    arbiter_key_up(&arbiter, key, &link_a, now);
    arbiter_key_up(&arbiter, key, &link_b, now);
    cr_assert_eq(book(&link_a, 10), ARBITER_NEW);
    cr_assert_eq(book(&link_b, 10), ARBITER_COPY);
    cr_assert_eq(book(&link_b, 11), ARBITER_COPY, "only ahead, not behind");
    cr_assert_eq(book(&link_a, 11), ARBITER_NEW);
    pass(3 * LIMIT_SECOND_NS);
    cr_assert_eq(book(&link_b, 11), ARBITER_COPY);
    cr_assert_eq(book(&link_b, 12), ARBITER_NEW, "the leader is behind");
    cr_assert_eq(book(&link_a, 12), ARBITER_COPY);
    arbiter_key_down(&arbiter, key, &link_b, now);
    cr_assert_eq(book(&link_a, 12), ARBITER_COPY);
    cr_assert_eq(book(&link_a, 13), ARBITER_NEW);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 0);
    arbiter_key_down(&arbiter, key, &link_a, now);
    cr_assert_eq(told(STATUS_HOLE_OPENED), 1);
    pass(LIMIT_SECOND_NS);
    arbiter_key_up(&arbiter, key, &link_a, now);
    cr_assert_eq(told(STATUS_HOLE_LOST), 1);
    cr_assert_eq(news[1].to_ns - news[1].from_ns, LIMIT_SECOND_NS);
    cr_assert_eq(news[1].first, COVERAGE_NONE);
}
