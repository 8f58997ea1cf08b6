// SPDX-License-Identifier: GPL-3.0-or-later
//
// Symbols that the exchange's newest ids leave out: what came behind the last stored trade is asked
// for, and listed where nobody answers.
#include "capture/arbiter.h"

#include "capture/repair.h"
#include <criterion/criterion.h>
#include <string.h>

#define T0 1700000000000000000ll

enum { KEYS = 4, EXCHANGE = 1 };

static struct arbiter arbiter;
static struct arbiter_link link_a = {.number = 1};
static struct arbiter_now now = {T0, 0};
static struct arbiter_news news[64];
static uint32_t news_count;
static struct repair_cursor cursor;
static const struct dialect_history history = {.page = 1000};
static const struct dialect_history by_cursor = {.page = 500, .by_cursor = true, .days_back = 7};

static void tell(void *context, const struct arbiter_news *told)
{
    (void)context;
    cr_assert_lt(news_count, 64);
    news[news_count++] = *told;
}

static void release(void *context, const struct event *event, uint32_t link)
{
    (void)context;
    (void)event;
    (void)link;
}

static enum arbiter_verdict trade(uint32_t symbol, struct arbiter_link *link, int64_t id)
{
    struct event event;
    event_clear(&event, CHANNEL_TRADE, symbol);
    event_set(&event, TRADE_ID, id);
    event_set(&event, TRADE_TIME, T0 + id);
    return arbiter_judge(&arbiter, &event, link, now);
}

static void open_keys(enum arbiter_rule rule)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t key = arbiter_key_open(&arbiter, i, CHANNEL_TRADE, rule);
        arbiter.keys[key].exchange = EXCHANGE;
        arbiter_key_up(&arbiter, key, &link_a, now);
        cr_assert_eq(trade(i, &link_a, 100), ARBITER_NEW);
    }
}

static void open_arbiter(void)
{
    cr_assert_eq(arbiter_open(&arbiter, tell, release, NULL), 0);
}

static void close_arbiter(void)
{
    arbiter_close(&arbiter);
}

TestSuite(arbiter_audit, .init = open_arbiter, .fini = close_arbiter);

// An answer that names the first `count` keys.
static void audit(uint32_t count)
{
    arbiter_audit_begin(&arbiter);
    for (uint32_t i = 0; i < count; i++) arbiter_audit_named(&arbiter, i);
    arbiter_audit_end(&arbiter, EXCHANGE, now);
}

static bool next(const struct dialect_history *of, struct repair_job *job)
{
    return repair_next(&arbiter, of, EXCHANGE, &cursor, false, now, job);
}

Test(arbiter_audit, only_what_most_others_are_named_beside_is_gone)
{
    static const struct {
        uint32_t named;
        uint32_t tails;
    } table[] = {{4, 0}, {0, 0}, {1, 0}, {2, 0}, {3, 1}, {4, 0}};
    open_keys(ARBITER_SEQUENCE);
    for (size_t line = 0; line < sizeof table / sizeof *table; line++) {
        audit(table[line].named);
        cr_assert_eq(arbiter.tails, table[line].tails, "line %zu", line);
    }
}

Test(arbiter_audit, the_tail_of_a_symbol_that_is_gone_is_fetched_while_the_exchange_answers)
{
    struct repair_job job;
    open_keys(ARBITER_SEQUENCE);
    audit(3);
    cr_assert(next(&history, &job));
    cr_assert_eq(job.kind, REPAIR_TAIL);
    cr_assert_eq(job.key, 3);
    struct history_ask ask = repair_ask(&job, &arbiter, &history, "X");
    cr_assert_eq(ask.first, 101);
    cr_assert_eq(ask.count, 1000);
    for (int64_t id = 101; id <= 105; id++) {
        cr_assert_not(repair_wants(&job, &arbiter, id, T0));
        repair_row(&job, &arbiter, id, T0, false);
    }
    cr_assert_not(repair_answered(&job, &arbiter, &history, now));
    cr_assert_eq(news[0].kind, STATUS_HOLE_OPENED);
    cr_assert_eq(news[0].first, 101);
    cr_assert_eq(news[0].last, 105);
    cr_assert(next(&history, &job)); // as any other hole
    cr_assert_eq(job.kind, REPAIR_IDS);
    for (int64_t id = 101; id <= 105; id++)
        repair_row(&job, &arbiter, id, T0, trade(3, NULL, id) == ARBITER_NEW);
    cr_assert_not(repair_answered(&job, &arbiter, &history, now));
    cr_assert_eq(coverage_missing(&arbiter.pool, &arbiter.keys[3].coverage), 0);
    audit(3);
    cr_assert(next(&history, &job));
    cr_assert_eq(job.kind, REPAIR_TAIL);
    cr_assert_not(repair_answered(&job, &arbiter, &history, now)); // an empty page
    now.utc_ns += LIMIT_MINUTE_NS;
    audit(3);
    cr_assert_not(next(&history, &job), "it ends there");
    cr_assert_eq(arbiter.keys[3].coverage.proven, 105);
    cr_assert_eq(arbiter.keys[3].coverage.proven_ns, now.utc_ns);
}

Test(arbiter_audit, what_nobody_answers_for_is_listed_without_an_end_once)
{
    struct repair_job job;
    open_keys(ARBITER_SEQUENCE);
    for (int i = 0; i < 2; i++) {
        audit(3);
        if (i > 0) break;
        cr_assert(next(&history, &job));
        repair_failed(&job, &arbiter, LIMIT_SECOND_NS, NULL, now); // a refusal of any other kind
        cr_assert_eq(news_count, 0);
        now.monotonic_ns += 2 * LIMIT_SECOND_NS;
        cr_assert(next(&history, &job));
        repair_failed(&job, &arbiter, LIMIT_SECOND_NS, "gone", now);
        now.monotonic_ns += 2 * LIMIT_SECOND_NS;
    }
    cr_assert_not(next(&history, &job));
    cr_assert_eq(news_count, 1);
    cr_assert_eq(news[0].kind, STATUS_HOLE_LOST);
    cr_assert_eq(news[0].first, 101);
    cr_assert_eq(news[0].last, COVERAGE_NONE);
    cr_assert_str_eq(news[0].detail, "gone");
    cr_assert_eq(trade(3, &link_a, 101), ARBITER_NEW); // it trades again
    audit(4);
    cr_assert_eq(news_count, 2);
    cr_assert_eq(news[1].kind, STATUS_HOLE_REPAIRED);
    cr_assert_eq(news[1].first, 101);
    cr_assert_eq(news[1].last, COVERAGE_NONE);
    cr_assert_eq(arbiter.keys[3].ended, 0);
}

Test(arbiter_audit, a_key_that_is_closed_wants_nothing)
{
    struct repair_job job;
    open_keys(ARBITER_SEQUENCE);
    audit(3);
    arbiter_key_close(&arbiter, 3);
    cr_assert_eq(arbiter.tails, 0);
    cr_assert_not(next(&history, &job));
}

Test(arbiter_audit, a_market_of_times_that_is_gone_is_listed_from_its_proven_time_on)
{
    struct repair_job job;
    open_keys(ARBITER_SET);
    now.utc_ns = T0 + 2 * LIMIT_MINUTE_NS;
    arbiter.keys[0].coverage.proven_ns = T0 + LIMIT_SECOND_NS;
    cr_assert(next(&by_cursor, &job));
    cr_assert_eq(job.kind, REPAIR_RECENT);
    cr_assert_eq(job.key, 0);
    repair_failed(&job, &arbiter, 600 * LIMIT_SECOND_NS, "gone", now);
    cr_assert_eq(news_count, 1);
    cr_assert_eq(news[0].kind, STATUS_HOLE_LOST);
    cr_assert_eq(news[0].from_ns, T0 + LIMIT_SECOND_NS + 1);
    cr_assert_eq(news[0].to_ns, 0);
    cr_assert_eq(arbiter.keys[0].coverage.proven_ns, now.utc_ns, "listed to its end");
    now.utc_ns += LIMIT_MINUTE_NS;
    now.monotonic_ns += 601 * LIMIT_SECOND_NS;
    arbiter_tail_lost(&arbiter, 0, "gone", now);
    cr_assert_eq(news_count, 1, "once");
    // It is back: what nobody could tell meanwhile is audited.
    now.utc_ns += 2 * LIMIT_MINUTE_NS;
    for (uint32_t i = 1; i < KEYS; i++) arbiter_key_close(&arbiter, i);
    news_count = 0;
    cr_assert(next(&by_cursor, &job));
    repair_row(&job, &arbiter, 1, job.first - ARBITER_LATE_NS - 1, false);
    cr_assert_not(repair_answered(&job, &arbiter, &by_cursor, now));
    cr_assert_eq(news_count, 1);
    cr_assert_eq(news[0].kind, STATUS_HOLE_REPAIRED);
    cr_assert_eq(news[0].to_ns, 0);
    cr_assert(next(&by_cursor, &job));
    cr_assert_leq(job.first, T0 + LIMIT_SECOND_NS);
}

Test(arbiter_audit, a_hole_of_a_market_that_is_gone_lists_all_that_is_not_proven)
{
    struct repair_job job;
    open_keys(ARBITER_SET);
    for (uint32_t i = 1; i < KEYS; i++) arbiter_key_close(&arbiter, i);
    now.utc_ns = T0 + 20 * LIMIT_SECOND_NS;
    arbiter_key_down(&arbiter, 0, &link_a, now);
    now.utc_ns += LIMIT_SECOND_NS;
    arbiter_key_up(&arbiter, 0, &link_a, now);
    now.utc_ns += ARBITER_LATE_NS;
    news_count = 0;
    cr_assert(next(&by_cursor, &job));
    cr_assert_eq(job.kind, REPAIR_TIMES);
    repair_failed(&job, &arbiter, 600 * LIMIT_SECOND_NS, "gone", now);
    cr_assert_eq(news_count, 2);
    cr_assert_eq(news[0].kind, STATUS_HOLE_LOST);
    cr_assert_eq(news[0].from_ns, T0 + 100, "no audit came");
    cr_assert_eq(news[0].to_ns, 0);
}

Test(arbiter_audit, audits_of_markets_take_turns_with_holes)
{
    struct repair_job job;
    uint32_t audits = 0;
    open_keys(ARBITER_SET);
    now.utc_ns = T0 + 2 * LIMIT_MINUTE_NS;
    for (uint32_t i = 0; i < KEYS; i++) {
        arbiter_key_down(&arbiter, i, &link_a, now);
        now.utc_ns += 10 * LIMIT_SECOND_NS;
        arbiter_key_up(&arbiter, i, &link_a, now);
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        cr_assert(next(&by_cursor, &job));
        audits += job.kind == REPAIR_RECENT;
    }
    cr_assert_eq(audits, KEYS / 2);
}

Test(arbiter_audit, a_row_refused_while_an_audit_runs_is_not_proven)
{
    struct repair_job job;
    struct event event;
    open_keys(ARBITER_SET);
    now.utc_ns = T0 + 2 * LIMIT_MINUTE_NS;
    cr_assert_eq(trade(0, &link_a, 60 * LIMIT_SECOND_NS), ARBITER_NEW);
    cr_assert(next(&by_cursor, &job));
    event_clear(&event, CHANNEL_TRADE, job.key);
    event_set(&event, TRADE_ID, 60 * LIMIT_SECOND_NS);
    event_set(&event, TRADE_TIME, T0 + 60 * LIMIT_SECOND_NS);
    arbiter_refused(&arbiter, &event, now);
    repair_row(&job, &arbiter, 100, T0 - ARBITER_LATE_NS - 1, false);
    cr_assert_not(repair_answered(&job, &arbiter, &by_cursor, now));
    cr_assert_eq(arbiter.keys[job.key].coverage.proven_ns, T0 + 60 * LIMIT_SECOND_NS - 1);
}

// An audit tells the last id, not its time: what comes of the hole later, by a slow link or read
// again at the next start, has later times than the last event, and is no new series.
Test(arbiter_audit, what_an_audit_found_missing_is_no_new_series)
{
    open_keys(ARBITER_SEQUENCE);
    arbiter_audited(&arbiter, 0, 260, now);
    now.utc_ns += 5 * LIMIT_SECOND_NS; // what was under way had its time
    for (int i = 0; i < 20; i++) arbiter_tick(&arbiter, now);
    cr_assert_eq(arbiter.keys[0].coverage.last, 260);
    for (int64_t id = 101; id <= 120; id++) cr_assert_eq(trade(0, &link_a, id), ARBITER_NEW);
    cr_assert_eq(arbiter.counters.restarts, 0);
    for (int64_t id = 121; id <= 260; id++) arbiter_recall_row(&arbiter, 0, id, id, 0, T0 + id);
    cr_assert_eq(coverage_missing(&arbiter.pool, &arbiter.keys[0].coverage), 0);
    cr_assert_eq(arbiter.pool.used, 0);
}
