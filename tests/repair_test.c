// SPDX-License-Identifier: GPL-3.0-or-later
//
// What repair asks next and what it makes of answers: newest hole first, pages, merged holes, what
// the exchange does not have, walks back in time over days, audits of markets one by one.
#include "capture/repair.h"

#include "exchange/binance.h"
#include "exchange/upbit.h"

#include <criterion/criterion.h>

#define DAY_NS (24 * LIMIT_HOUR_NS)
#define NOON (20000 * DAY_NS + DAY_NS / 2)

static struct arbiter arbiter;
static struct arbiter_now now = {NOON, 0};
static struct repair_cursor cursor;
static struct repair_job job;
static struct arbiter_link link = {.number = 1};
static uint32_t repaired, lost;
static int64_t repaired_ids, lost_ids;
static const struct dialect_history *const binance = &binance_spot_history;
static const struct dialect_history *const upbit = &upbit_history;

static void tell(void *context, const struct arbiter_news *news)
{
    (void)context;
    repaired += news->kind == STATUS_HOLE_REPAIRED;
    lost += news->kind == STATUS_HOLE_LOST;
    if (news->kind == STATUS_HOLE_REPAIRED) repaired_ids += news->count;
    if (news->kind == STATUS_HOLE_LOST) lost_ids += news->last - news->first + 1;
}

static void release(void *context, const struct event *event, uint32_t number)
{
    (void)context;
    (void)event;
    (void)number;
}

static void begin(void)
{
    cr_assert_eq(arbiter_open(&arbiter, tell, release, NULL), 0);
}

static void end(void)
{
    arbiter_close(&arbiter);
}

TestSuite(repair, .init = begin, .fini = end);

static uint32_t key_open(enum arbiter_rule rule)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_TRADE, rule);
    arbiter.keys[key].exchange = 1;
    return key;
}

static bool trade(struct arbiter_link *from, int64_t id, int64_t time_ns)
{
    struct event event;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, TRADE_ID, id);
    event_set(&event, TRADE_TIME, time_ns);
    return arbiter_judge(&arbiter, &event, from, now) == ARBITER_NEW;
}

static void pass(int64_t ns)
{
    now.utc_ns += ns;
    now.monotonic_ns += ns;
    arbiter_tick(&arbiter, now);
}

static bool next(const struct dialect_history *history)
{
    struct repair_job found;
    bool any = repair_next(&arbiter, history, 1, &cursor, false, now, &found);
    if (any) job = found;
    return any;
}

// A row of an answer, given as mend.c gives it.
static void answer(int64_t id, int64_t time_ns)
{
    bool stored = repair_wants(&job, &arbiter, id, time_ns) && trade(NULL, id, time_ns);
    repair_row(&job, &arbiter, id, time_ns, stored);
}

static void answer_ids(int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++) answer(id, NOON);
}

Test(repair, the_newest_hole_is_asked_for_first_and_small_ones_share_a_page)
{
    (void)key_open(ARBITER_SEQUENCE);
    static const int64_t ids[] = {1, 5000, 5010, 5020, 5030};
    for (uint32_t i = 0; i < 5; i++) (void)trade(&link, ids[i], NOON + i);
    cr_assert(!next(binance), "suspected holes are not asked for");
    pass(LIMIT_SECOND_NS);
    cr_assert(next(binance));
    cr_assert_eq(job.kind, REPAIR_IDS);
    cr_assert_eq(job.last, 5029);
    cr_assert_eq(job.first, 5001, "the page does not reach the large hole's beginning");
    cr_assert(!next(binance), "one question a key at a time");
    struct history_ask ask = repair_ask(&job, &arbiter, binance, "BTCUSDT");
    cr_assert_eq(ask.first, 5001);
    cr_assert_eq(ask.count, 29);
    answer_ids(4995, 5040); // overlaps on both sides
    cr_assert(!repair_answered(&job, &arbiter, binance, now));
    cr_assert_eq(repaired, 3, "a row a hole");
    cr_assert_eq(repaired_ids, 27);
    // The large one page by page, from its end.
    for (int64_t last = 4999; last > 1; last -= 1000) {
        cr_assert(next(binance));
        cr_assert_eq(job.last, last);
        cr_assert_eq(job.first, last - 999 > 2 ? last - 999 : 2);
        answer_ids(job.first, job.last);
        cr_assert(!repair_answered(&job, &arbiter, binance, now));
    }
    cr_assert(!next(binance));
    cr_assert_eq(arbiter.pool.used, 0);
    cr_assert_eq(lost, 0);
}

Test(repair, of_a_symbol_that_is_gone_holes_are_lost_and_not_what_lies_between)
{
    uint32_t key = key_open(ARBITER_SEQUENCE);
    static const int64_t ids[] = {1, 10, 50, 60};
    for (uint32_t i = 0; i < 4; i++) (void)trade(&link, ids[i], NOON + i);
    cr_assert(trade(&link, 30, NOON), "stored between them");
    pass(LIMIT_SECOND_NS);
    cr_assert(next(binance));
    cr_assert(job.first == 2 && job.last == 59);
    repair_failed(&job, &arbiter, LIMIT_SECOND_NS, "the exchange does not know the symbol", now);
    cr_assert_eq(lost, 4);
    cr_assert_eq(lost_ids, 8 + 19 + 19 + 9);
    cr_assert_eq(coverage_missing(&arbiter.pool, &arbiter.keys[key].coverage), 0);
}

Test(repair, a_short_page_is_asked_on_and_what_nobody_has_is_given_up)
{
    uint32_t key = key_open(ARBITER_SEQUENCE);
    (void)trade(&link, 1, NOON);
    (void)trade(&link, 100, NOON);
    pass(LIMIT_SECOND_NS);
    cr_assert(next(binance));
    answer_ids(2, 50); // short
    cr_assert(!repair_answered(&job, &arbiter, binance, now));
    cr_assert(next(binance), "the rest, at once");
    cr_assert_eq(job.first, 51);
    for (int tries = 0; tries < 3; tries++) {
        answer_ids(61, 100); // 51 ... 60 were never given out
        cr_assert(!repair_answered(&job, &arbiter, binance, now));
        cr_assert(tries == 2 || !next(binance), "not at once again");
        pass(5 * LIMIT_SECOND_NS);
        cr_assert_eq(next(binance), tries < 2);
    }
    cr_assert_eq(lost, 1);
    cr_assert_eq(coverage_missing(&arbiter.pool, &arbiter.keys[key].coverage), 0);
}

static bool depth(int64_t first, int64_t last)
{
    struct event event;
    event_clear(&event, CHANNEL_DEPTH, 0);
    event_set(&event, DEPTH_FIRST_ID, first);
    event_set(&event, DEPTH_LAST_ID, last);
    return arbiter_judge(&arbiter, &event, &link, now) == ARBITER_NEW;
}

Test(repair, a_snapshot_of_whole_depth_is_renewed_now_and_then_after_all_else)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter.keys[key].exchange = 1;
    arbiter.keys[key].links_live = 1;
    cr_assert(depth(1, 10));
    cr_assert(next(binance));
    cr_assert_eq(job.kind, REPAIR_SNAPSHOT);
    cr_assert(arbiter_anchored(&arbiter, key, 10, now.utc_ns));
    cr_assert(!repair_answered(&job, &arbiter, binance, now));
    pass(REPAIR_SNAPSHOT_NS - 1);
    cr_assert(!next(binance));
    pass(1);
    cr_assert(next(binance));
    cr_assert_eq(job.kind, REPAIR_SNAPSHOT);
    // One that is refused is not asked for at once again, and costs nothing that is covered.
    repair_failed(&job, &arbiter, LIMIT_SECOND_NS, "no such symbol", now);
    cr_assert_eq(lost, 0);
    pass(REPAIR_SNAPSHOT_PAUSE_NS - 1);
    cr_assert(!next(binance));
    pass(1);
    cr_assert(next(binance));
    // Nor is one that came and did not fit what is stored.
    cr_assert(!repair_answered(&job, &arbiter, binance, now));
    pass(REPAIR_SNAPSHOT_PAUSE_NS - 1);
    cr_assert(!next(binance));
    pass(1);
    cr_assert(next(binance));
    cr_assert(arbiter_anchored(&arbiter, key, 10, now.utc_ns));
    cr_assert(!repair_answered(&job, &arbiter, binance, now));
    cr_assert(!next(binance));
}

static bool depth_levels(int64_t first, uint32_t levels)
{
    static struct event_level level[EVENT_LEVELS_MAX];
    struct event event;
    event_clear(&event, CHANNEL_DEPTH, 0);
    event_set(&event, DEPTH_FIRST_ID, first);
    event_set(&event, DEPTH_LAST_ID, first);
    event.levels = level;
    event.level_count = levels;
    return arbiter_judge(&arbiter, &event, &link, now) == ARBITER_NEW;
}

Test(repair, a_snapshot_of_busy_depth_is_renewed_after_so_many_levels)
{
    enum { EACH = 1000, EVENTS = REPAIR_SNAPSHOT_LEVELS / EACH };
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter.keys[key].exchange = 1;
    arbiter.keys[key].links_live = 1;
    for (int64_t from = 1; from < 3 * EVENTS; from += EVENTS) {
        for (int64_t id = from; id < from + EVENTS - 1; id++) cr_assert(depth_levels(id, EACH));
        if (from > 1) cr_assert(!next(binance));
        cr_assert(depth_levels(from + EVENTS - 1, EACH));
        cr_assert(!depth_levels(from, EACH)); // a copy does not count
        cr_assert(next(binance));
        cr_assert_eq(job.kind, REPAIR_SNAPSHOT);
        cr_assert(arbiter_anchored(&arbiter, key, from + EVENTS - 1, now.utc_ns));
        cr_assert(!repair_answered(&job, &arbiter, binance, now));
        pass(REPAIR_SNAPSHOT_GAP_NS);
    }
    cr_assert(!next(binance));
}

Test(repair, a_clock_that_steps_back_does_not_put_snapshots_off)
{
    uint32_t key = arbiter_key_open(&arbiter, 0, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter.keys[key].exchange = 1;
    arbiter.keys[key].links_live = 1;
    cr_assert(depth(1, 10));
    cr_assert(next(binance));
    cr_assert(arbiter_anchored(&arbiter, key, 10, now.utc_ns));
    cr_assert(!repair_answered(&job, &arbiter, binance, now));
    now.utc_ns -= LIMIT_MINUTE_NS;
    cr_assert(!next(binance));
    now.utc_ns -= 30 * 24 * LIMIT_HOUR_NS;
    cr_assert(next(binance));
    cr_assert_eq(job.kind, REPAIR_SNAPSHOT);
    cr_assert(arbiter_anchored(&arbiter, key, 10, now.utc_ns));
    cr_assert(!repair_answered(&job, &arbiter, binance, now));
    cr_assert(!next(binance));
}

Test(repair, holes_go_on_while_snapshots_wait_for_their_share)
{
    uint32_t of_trades = key_open(ARBITER_SEQUENCE);
    uint32_t of_depth = arbiter_key_open(&arbiter, 1, CHANNEL_DEPTH, ARBITER_RANGE);
    arbiter.keys[of_depth].exchange = 1;
    arbiter.keys[of_trades].links_live = arbiter.keys[of_depth].links_live = 1;
    struct event event;
    event_clear(&event, CHANNEL_DEPTH, 1);
    event_set(&event, DEPTH_FIRST_ID, 1);
    event_set(&event, DEPTH_LAST_ID, 10);
    cr_assert_eq(arbiter_judge(&arbiter, &event, &link, now), ARBITER_NEW);
    (void)trade(&link, 1, NOON);
    (void)trade(&link, 9, NOON);
    pass(LIMIT_SECOND_NS);
    cursor.turn = true;
    cursor.snapshot_ns = now.monotonic_ns + LIMIT_SECOND_NS;
    cr_assert(next(binance));
    cr_assert_eq(job.kind, REPAIR_IDS);
    cr_assert(!next(binance));
    cursor.snapshot_ns = now.monotonic_ns;
    cr_assert(next(binance));
    cr_assert_eq(job.kind, REPAIR_SNAPSHOT);
}

Test(repair, a_refusal_keeps_the_hole_and_an_unknown_symbol_ends_it)
{
    (void)key_open(ARBITER_SEQUENCE);
    (void)trade(&link, 1, NOON);
    (void)trade(&link, 9, NOON);
    pass(LIMIT_SECOND_NS);
    cr_assert(next(binance));
    repair_failed(&job, &arbiter, 2 * LIMIT_SECOND_NS, NULL, now);
    cr_assert(!next(binance));
    pass(3 * LIMIT_SECOND_NS);
    cr_assert(next(binance));
    repair_failed(&job, &arbiter, 0, "the exchange does not know the symbol", now);
    cr_assert_eq(lost, 1);
    cr_assert(!next(binance));
}

// ---- Upbit ----

// Trades 1 ... 5 stored, ten seconds down, a trade after it.
static uint32_t cut_market(void)
{
    uint32_t key = key_open(ARBITER_SET);
    arbiter_key_up(&arbiter, key, &link, now);
    for (int64_t id = 1; id <= 5; id++) {
        cr_assert(trade(&link, id, now.utc_ns));
        pass(LIMIT_SECOND_NS);
    }
    arbiter_key_down(&arbiter, key, &link, now);
    pass(10 * LIMIT_SECOND_NS);
    arbiter_key_up(&arbiter, key, &link, now);
    cr_assert(trade(&link, 20, now.utc_ns));
    return key;
}

Test(repair, a_cut_market_is_walked_back_until_before_the_cut)
{
    uint32_t key = cut_market();
    int64_t up_ns = now.utc_ns;
    pass(ARBITER_LATE_NS - 1);
    cr_assert(next(upbit));
    cr_assert_eq(job.kind, REPAIR_RECENT, "a trade of the hole may be told late");
    repair_failed(&job, &arbiter, LIMIT_MINUTE_NS, NULL, now); // no audit for a minute
    cr_assert(!next(upbit));
    pass(1);
    cr_assert(next(upbit));
    cr_assert_eq(job.kind, REPAIR_TIMES);
    struct history_ask ask = repair_ask(&job, &arbiter, upbit, "KRW-BTC");
    cr_assert(ask.first == 0 && ask.days_ago == 0 && ask.second_of_day == -1);
    answer(20, up_ns); // newest first
    answer(12, up_ns - 3 * LIMIT_SECOND_NS);
    cr_assert(repair_answered(&job, &arbiter, upbit, now), "not before the cut yet");
    ask = repair_ask(&job, &arbiter, upbit, "KRW-BTC");
    cr_assert_eq(ask.first, 12, "on from the oldest row");
    answer(11, up_ns - 9 * LIMIT_SECOND_NS);
    answer(5, up_ns - 11 * LIMIT_SECOND_NS); // stored before
    answer(1, up_ns - 15 * LIMIT_SECOND_NS);
    cr_assert(repair_answered(&job, &arbiter, upbit, now), "that one may have been told late");
    answer(0, up_ns - 17 * LIMIT_SECOND_NS);
    cr_assert(!repair_answered(&job, &arbiter, upbit, now));
    cr_assert_eq(repaired, 1);
    cr_assert_eq(repaired_ids, 2);
    cr_assert_eq(arbiter.keys[key].stored, 8);
    cr_assert_eq(arbiter.pool.used, 0);
}

Test(repair, an_empty_page_goes_to_the_day_before)
{
    (void)cut_market();
    now.utc_ns += DAY_NS; // repair was not possible for a day
    now.monotonic_ns += DAY_NS;
    int64_t hole_end_ns = now.utc_ns - DAY_NS;
    cr_assert(next(upbit));
    struct history_ask ask = repair_ask(&job, &arbiter, upbit, "KRW-BTC");
    cr_assert_eq(ask.days_ago, 1);
    cr_assert_eq(ask.second_of_day, hole_end_ns % DAY_NS / LIMIT_SECOND_NS + 1);
    answer(1, hole_end_ns - 20 * LIMIT_SECOND_NS);
    cr_assert(!repair_answered(&job, &arbiter, upbit, now));
    cr_assert_eq(repaired, 1);
}

Test(repair, what_is_older_than_seven_days_is_lost)
{
    (void)cut_market();
    now.utc_ns += 9 * DAY_NS;
    now.monotonic_ns += 9 * DAY_NS;
    cr_assert(next(upbit));
    if (job.kind == REPAIR_RECENT) (void)next(upbit); // day 9 is not asked for: there is none
    cr_assert_eq(lost, 1);
    cr_assert_eq(arbiter.pool.used, 0);
}

Test(repair, a_walk_that_meets_midnight_is_begun_again)
{
    (void)cut_market();
    pass(NOON + 12 * 3600 * LIMIT_SECOND_NS - 5 * LIMIT_SECOND_NS - now.utc_ns);
    while (next(upbit) && job.kind != REPAIR_TIMES)
        repair_failed(&job, &arbiter, LIMIT_MINUTE_NS, NULL, now);
    cr_assert_eq(job.kind, REPAIR_TIMES);
    pass(10 * LIMIT_SECOND_NS); // "today" is another day now, without trades
    cr_assert(!repair_answered(&job, &arbiter, upbit, now));
    cr_assert_eq(repaired, 0);
    cr_assert_eq(arbiter.pool.used, 1, "it is open still");
}

Test(repair, markets_are_audited_one_after_the_other)
{
    uint32_t key = key_open(ARBITER_SET);
    arbiter_key_up(&arbiter, key, &link, now);
    for (int64_t id = 1; id <= 9; id++) {
        if (id != 6) cr_assert(trade(&link, id, now.utc_ns)); // the link leaves 6 out
        pass(LIMIT_SECOND_NS);
    }
    int64_t begin_ns = now.utc_ns - 9 * LIMIT_SECOND_NS;
    cr_assert(next(upbit));
    cr_assert_eq(job.kind, REPAIR_RECENT);
    for (int64_t id = 9; id >= 1; id--) answer(id, begin_ns + (id - 1) * LIMIT_SECOND_NS);
    answer(0, begin_ns - LIMIT_SECOND_NS); // before coverage
    cr_assert(repair_answered(&job, &arbiter, upbit, now), "that one may have been told late");
    answer(-1, begin_ns - ARBITER_LATE_NS - 1);
    cr_assert(!repair_answered(&job, &arbiter, upbit, now));
    cr_assert_eq(arbiter.keys[key].stored, 9);
    cr_assert_eq(repaired, 1);
    cr_assert_eq(arbiter.keys[key].coverage.proven_ns, now.utc_ns - ARBITER_LATE_NS);
    cr_assert(!next(upbit), "not before a minute has passed");
    pass(61 * LIMIT_SECOND_NS);
    cr_assert(next(upbit));
}
