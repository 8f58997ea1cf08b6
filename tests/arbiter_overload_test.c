// SPDX-License-Identifier: GPL-3.0-or-later
//
// Trades of an Upbit market that is too busy for its window, or nearly: links that drop, delay and
// double messages and go down, a REST that is slow and refuses, rows that the tape refuses. In the
// end every trade is stored once, or within what is listed. Each seed is a market of its own.
#include "capture/repair.h"
#include "exchange/dialect.h"
#include "protocol_random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define T0 1700000000000000000ll
#define MS LIMIT_MILLISECOND_NS

enum {
    SECONDS = 30,
    AFTER_MS = 200000, // what is open is settled by then
    RATE_MAX = 4000,
    TRADES_MAX = SECONDS * RATE_MAX + AFTER_MS,
    DELIVERIES_MAX = TRADES_MAX * 3,
    BUCKETS = SECONDS * 1000 + AFTER_MS + 10000,
    LOST_MAX = 65536,
    PAGE_MAX = 500,
    SEEDS = 60,
};

struct world_trade {
    int64_t time_ns;
    int64_t id; // its milliseconds and number: an order of time
    uint32_t stored;
};

struct world_delivery {
    uint32_t trade;
    uint32_t next; // index + 1
    uint8_t link;
};

struct world {
    struct arbiter arbiter;
    struct arbiter_link links[2];
    bool live[2];
    struct world_trade trades[TRADES_MAX];
    uint32_t count;
    struct world_delivery deliveries[DELIVERIES_MAX];
    uint32_t delivery_count;
    uint32_t bucket[BUCKETS]; // index + 1
    struct { int64_t from_ns, to_ns; } lost[LOST_MAX];
    uint32_t lost_count;
    struct protocol_random random;
    uint32_t key;
    uint32_t ms;
    uint32_t first; // trade that was stored first
    bool began;
    // REST
    struct repair_cursor cursor;
    struct repair_job job;
    bool has_job;
    bool by_arrival; // the order of its answers; else that of ids
    uint32_t ask_ms, read_ms, answer_ms; // when it is asked, reads its trades, answers
    uint32_t slowness_ms;
    uint32_t page[PAGE_MAX];
    uint32_t page_count;
};

static struct world *world;

static uint32_t chance(uint32_t below)
{
    return random_below(&world->random, below);
}

static struct arbiter_now now(void)
{
    return (struct arbiter_now){T0 + world->ms * MS, world->ms * MS + LIMIT_SECOND_NS};
}

static void tell(void *context, const struct arbiter_news *told)
{
    (void)context;
    if (told->kind != STATUS_HOLE_LOST) return;
    cr_assert_lt(world->lost_count, LOST_MAX);
    world->lost[world->lost_count].from_ns = told->from_ns;
    world->lost[world->lost_count++].to_ns = told->to_ns;
}

static void release(void *context, const struct event *event, uint32_t link)
{
    (void)context;
    (void)event;
    (void)link;
}

// ---- the market ----

static void deliver(uint32_t trade, uint8_t link, uint32_t delay_ms)
{
    cr_assert_lt(world->delivery_count, DELIVERIES_MAX);
    struct world_delivery *delivery = &world->deliveries[world->delivery_count++];
    uint32_t *bucket = &world->bucket[world->ms + delay_ms];
    *delivery = (struct world_delivery){trade, *bucket, link};
    *bucket = world->delivery_count;
}

static void send(uint32_t trade, bool lost)
{
    for (uint8_t link = 0; link < 2; link++) {
        if (!world->live[link] || lost || chance(500) == 0) continue;
        bool late = chance(5000) == 0;
        deliver(trade, link, late ? 50 + chance(4950) : chance(3));
        if (chance(2000) == 0) deliver(trade, link, chance(200));
    }
}

static void trade_one(bool lost)
{
    uint32_t number = world->count++;
    int64_t late_ms = chance(50) == 0 ? chance(1000) : chance(20);
    int64_t time_ms = T0 / MS + world->ms - late_ms;
    world->trades[number] = (struct world_trade){time_ms * MS, time_ms * 1000000 + number, 0};
    send(number, lost);
}

// ---- judging ----

static bool judge(uint32_t number, struct arbiter_link *link)
{
    struct world_trade *trade = &world->trades[number];
    struct event event;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, TRADE_ID, trade->id);
    event_set(&event, TRADE_TIME, trade->time_ns);
    if (arbiter_judge(&world->arbiter, &event, link, now()) != ARBITER_NEW) return false;
    if (chance(20000) == 0) {
        arbiter_refused(&world->arbiter, &event, now());
        return false;
    }
    if (!world->began) world->first = number;
    world->began = true;
    trade->stored++;
    return true;
}

static void links_step(void)
{
    for (uint8_t link = 0; link < 2; link++) {
        if (chance(world->live[link] ? 8000 : 1000) != 0) continue;
        world->live[link] = !world->live[link];
        if (world->live[link])
            arbiter_key_up(&world->arbiter, world->key, &world->links[link], now());
        else
            arbiter_key_down(&world->arbiter, world->key, &world->links[link], now());
    }
    // In any order within the millisecond: the last one given is the first.
    for (uint32_t at = world->bucket[world->ms]; at != 0; at = world->deliveries[at - 1].next) {
        const struct world_delivery *delivery = &world->deliveries[at - 1];
        if (world->live[delivery->link])
            (void)judge(delivery->trade, &world->links[delivery->link]);
    }
}

// ---- REST ----

static int newest_first(const void *left, const void *right)
{
    int64_t a = world->trades[*(const uint32_t *)left].id;
    int64_t b = world->trades[*(const uint32_t *)right].id;
    return (a < b) - (a > b);
}

static void read_by_arrival(void)
{
    uint32_t at = world->job.cursor == 0 ? world->count : (uint32_t)(world->job.cursor % 1000000);
    while (at > 0 && world->page_count < PAGE_MAX) world->page[world->page_count++] = --at;
}

static void read_by_id(void)
{
    static uint32_t found[TRADES_MAX];
    uint32_t count = 0;
    int64_t enough_ns = INT64_MIN;
    for (uint32_t at = world->count; at-- > 0 && world->trades[at].time_ns >= enough_ns;) {
        if (world->job.cursor != 0 && world->trades[at].id >= world->job.cursor) continue;
        found[count++] = at;
        if (count == PAGE_MAX) enough_ns = world->trades[at].time_ns - 2 * LIMIT_SECOND_NS;
    }
    qsort(found, count, sizeof *found, newest_first);
    world->page_count = count < PAGE_MAX ? count : PAGE_MAX;
    memcpy(world->page, found, world->page_count * sizeof *found);
}

static void answer(const struct dialect_history *history)
{
    if (chance(12) == 0) {
        repair_failed(&world->job, &world->arbiter, LIMIT_SECOND_NS, NULL, now());
        world->has_job = false;
        return;
    }
    // A short page now and then.
    if (world->page_count > 1 && chance(10) == 0) world->page_count = 1 + chance(world->page_count);
    for (uint32_t i = 0; i < world->page_count; i++) {
        const struct world_trade *trade = &world->trades[world->page[i]];
        bool stored =
            repair_wants(&world->job, &world->arbiter, trade->id, trade->time_ns) &&
            judge(world->page[i], NULL);
        repair_row(&world->job, &world->arbiter, trade->id, trade->time_ns, stored);
    }
    world->has_job = repair_answered(&world->job, &world->arbiter, history, now());
}

static void ask_later(void)
{
    world->ask_ms = world->ms + 1 + chance(world->slowness_ms);
    world->read_ms = world->ask_ms + 1 + chance(50);
    world->answer_ms = world->read_ms + 1 + chance(50);
}

static void rest_step(const struct dialect_history *history)
{
    if (!world->has_job) {
        if (!repair_next(&world->arbiter, history, 1, &world->cursor, false, now(), &world->job))
            return;
        world->has_job = true;
        ask_later();
    }
    if (world->ms == world->read_ms) {
        world->page_count = 0;
        if (world->by_arrival) read_by_arrival();
        else read_by_id();
    }
    if (world->ms < world->answer_ms) return;
    answer(history);
    ask_later();
}

// ---- a run ----

static bool listed(int64_t time_ns)
{
    const struct arbiter *arbiter = &world->arbiter;
    for (uint32_t i = 0; i < world->lost_count; i++)
        if (time_ns >= world->lost[i].from_ns && time_ns <= world->lost[i].to_ns) return true;
    int32_t at = arbiter->keys[world->key].coverage.holes;
    for (; at != COVERAGE_NONE; at = arbiter->pool.holes[at].older)
        if (time_ns >= arbiter->pool.holes[at].first && time_ns <= arbiter->pool.holes[at].last)
            return true;
    return false;
}

static void check(uint64_t seed)
{
    const struct coverage *coverage = &world->arbiter.keys[world->key].coverage;
    uint32_t missing = 0, twice = 0, stored = 0;
    cr_assert(world->began);
    for (uint32_t i = world->first; i < world->count; i++) {
        const struct world_trade *trade = &world->trades[i];
        stored += trade->stored > 0;
        twice += trade->stored > 1;
        bool promised =
            trade->time_ns >= coverage->first && trade->time_ns <= coverage->proven_ns;
        missing += trade->stored == 0 && promised && !listed(trade->time_ns);
    }
    cr_expect(missing == 0 && twice == 0,
              "seed %llu: of %u trades %u are stored, %u twice, %u neither stored nor listed",
              (unsigned long long)seed, world->count, stored, twice, missing);
}

static void run(uint64_t seed)
{
    const struct dialect_history *history = dialect_by_name("upbit")->history;
    world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    world->random.state = seed;
    cr_assert_eq(arbiter_open(&world->arbiter, tell, release, NULL), 0);
    world->key = arbiter_key_open(&world->arbiter, 0, CHANNEL_TRADE, ARBITER_SET);
    world->arbiter.keys[world->key].exchange = 1;
    world->links[0].number = 1;
    world->links[1] = (struct arbiter_link){.number = 2, .copy = 1};
    world->by_arrival = chance(2) == 0;
    world->slowness_ms = 20u << chance(8);
    uint32_t rate = 20u << chance(8);
    uint32_t gap_until = 0;
    for (; world->ms < SECONDS * 1000 + AFTER_MS; world->ms++) {
        bool ending = world->ms >= SECONDS * 1000;
        if (chance(4000) == 0) gap_until = world->ms + chance(100);
        bool gap = world->ms < gap_until && !ending;
        uint32_t left = ending ? 1 : rate;
        for (; chance(1000) < left; left -= left < 1000 ? left : 1000)
            trade_one(gap || (!ending && chance(3000) == 0));
        links_step();
        rest_step(history);
        if (world->ms % 100 == 0) arbiter_tick(&world->arbiter, now());
    }
    check(seed);
    arbiter_close(&world->arbiter);
    free(world);
}

Test(arbiter_overload, every_trade_is_stored_once_or_listed)
{
    uint64_t seed = random_start("arbiter_overload").state;
    for (uint32_t i = 0; i < SEEDS; i++) run(seed + i);
}

// A row that a walk had fetched was refused by the tape, and the hole was closed all the same.
Test(arbiter_overload, a_hole_stays_open_when_a_row_of_it_was_refused)
{
    run(700017);
}
