// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the sealer does with tapes and segments that are not as they should be, and when it must
// stop in the middle: in the simulator, one trouble a test.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/catalogue.h"
#include "keep_life.h"

static struct keep_life life;

static uint32_t rows_seen(void)
{
    uint32_t seen = 0;
    for (uint64_t n = 1; n <= life.appended; n++)
        seen += life.seen[n] == 1;
    return seen;
}

// Lost rows are known; the model must not ask for them.
static void forgive(void)
{
    memset(life.acknowledged, 0, sizeof life.acknowledged);
}

// Many rows on a few tapes, none sealed.
static void leave_tapes(uint64_t seed)
{
    keep_life_begin(&life, seed);
    life.without_sealer = true;
    cr_assert(keep_life_start(&life));
    cr_assert(keep_life_work(&life, 1500));
    cr_assert(keep_life_stop(&life));
    life.without_sealer = false;
}

static void run_until_idle(void)
{
    for (int i = 0; i < 1000000 && !sealer_counters(life.sealer).idle; i++)
        cr_assert(sim_world_step(life.world));
    cr_assert(sealer_counters(life.sealer).idle);
}

// ---- falling behind ----

Test(sealer_faults, who_is_behind_codes_light_and_a_merge_makes_it_dense)
{
    keep_life_begin(&life, 29);
    life.without_sealer = true;
    for (int sitting = 0; sitting < 6; sitting++) { // each ends a tape
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 300));
        cr_assert(keep_life_stop(&life));
    }
    life.without_sealer = false;
    cr_assert(keep_life_start(&life));
    run_until_idle();
    struct sealer_counters counters = sealer_counters(life.sealer);
    cr_assert_gt(counters.tapes, 4);
    cr_assert_gt(counters.segments_light, 0);
    cr_assert_lt(counters.segments_light, counters.segments, "the last tapes are not behind");
    uint64_t light = counters.segments_light;
    sealer_merge_all(life.sealer);
    run_until_idle();
    cr_assert_eq(sealer_counters(life.sealer).segments_light, light);
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    keep_life_end(&life);
}

// ---- sectors that cannot be read ----

Test(sealer_faults, what_can_be_read_of_a_tape_is_sealed_and_the_rest_told)
{
    for (int64_t sector = 0; sector < 8; sector++) {
        struct keep_news news;
        leave_tapes(30);
        sim_disk_spoil(life.world, "store/tape/00000001.tape", 1 + (sector == 7), sector * 4096);
        cr_assert(keep_life_start(&life));
        run_until_idle();
        cr_assert(keep_store_news(life.store, &news), "sector %ld", (long)sector);
        cr_assert_eq(news.kind, STATUS_STORE_DAMAGED);
        cr_assert_not(keep_store_news(life.store, &news));
        cr_assert_eq(sealer_counters(life.sealer).tapes_damaged, 1);
        cr_assert(keep_life_stop(&life));
        cr_assert_eq(sim_disk_size(life.world, "store/tape/00000001.tape"), -ENOENT);
        cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000001.tape"), 0);
        forgive();
        cr_assert(keep_life_check(&life), "sector %ld: %s", (long)sector, life.why);
        cr_assert_gt(rows_seen(), life.appended * 2 / 3);
        if (sector == 0) // the header: its batches are whole
            cr_assert_eq(rows_seen(), life.appended);
        keep_life_end(&life);
    }
}

// A device that fails now and then, not always at the same place: a slotted batch may come in an
// older revision first, and nothing of it is sealed twice.
Test(sealer_faults, reads_that_fail_now_and_then_seal_nothing_twice)
{
    for (uint64_t seed = 40; seed < 60; seed++) {
        leave_tapes(seed);
        cr_assert(keep_life_start(&life));
        sim_world_faults(life.world)->read_error = 600000;
        (void)sim_world_run(life.world, 60000000000);
        sim_world_faults(life.world)->read_error = 0;
        run_until_idle();
        cr_assert(keep_life_stop(&life));
        forgive();
        cr_assert(keep_life_check(&life), "seed %lu: %s", (unsigned long)seed, life.why);
        keep_life_end(&life);
    }
}

Test(sealer_faults, a_mark_that_cannot_be_read_costs_no_rows)
{
    leave_tapes(31);
    sim_disk_spoil(life.world, "store/tape/00000002.mark", 2, 0);
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen(), life.appended);
    cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000002.tape"), 0);
    keep_life_end(&life);
}

// The first `bytes` of tape 2 lie on those of tape 1 as well.
static void misdirect(uint32_t bytes)
{
    static uint8_t copy[1 << 20];
    cr_assert_leq(bytes, sizeof copy);
    cr_assert_eq(sim_disk_read(life.world, "store/tape/00000002.tape", copy, bytes, 0), bytes);
    sim_disk_write(life.world, "store/tape/00000001.tape", copy, bytes, 0);
}

// A write that went astray.
Test(sealer_faults, a_header_of_another_tape_costs_no_rows)
{
    leave_tapes(32);
    misdirect(4096);
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen(), life.appended);
    cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000001.tape"), 0);
    keep_life_end(&life);
}

// Neither is the tape's own, so where its batches begin nobody knows. Also where no mark tells of
// rows: it is not taken for a spare that was never used.
Test(sealer_faults, a_header_and_a_first_batch_of_another_tape_put_it_aside)
{
    for (int marked = 0; marked < 2; marked++) {
        leave_tapes(33);
        misdirect(4096 * 4);
        const uint8_t byte = 0xff;
        for (int slot = 1; slot <= 2; slot++) // nor is that batch good
            sim_disk_write(life.world, "store/tape/00000001.tape", &byte, 1, slot * 4096 + 40);
        if (!marked) sim_disk_truncate(life.world, "store/tape/00000001.mark", 0);
        cr_assert(keep_life_settle(&life));
        forgive();
        cr_assert(keep_life_check(&life), "%s", life.why);
        cr_assert_gt(rows_seen(), 0);
        cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000001.tape"), 0);
        keep_life_end(&life);
    }
}

Test(sealer_faults, a_whole_other_tape_in_its_place_is_not_sealed_twice)
{
    leave_tapes(34);
    misdirect((uint32_t)sim_disk_size(life.world, "store/tape/00000002.tape"));
    cr_assert(keep_life_settle(&life));
    forgive();
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_lt(rows_seen(), life.appended);
    cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000001.tape"), 0);
    keep_life_end(&life);
}

// Behind the readable rows, too: the device says nothing of what was there.
Test(sealer_faults, unreadable_space_behind_the_end_does_not_stop_anything)
{
    leave_tapes(32);
    sim_disk_spoil(life.world, "store/tape/00000001.tape", 1, life.tape_bytes - 4096);
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen(), life.appended);
    keep_life_end(&life);
}

Test(sealer_faults, a_tape_that_was_taken_away_is_told_and_forgotten)
{
    struct keep_news news;
    keep_life_begin(&life, 33);
    cr_assert(keep_life_start(&life));
    keep_store_retire(life.store, 4000000);
    cr_assert(sim_world_run(life.world, 20000000000));
    cr_assert_eq(keep_store_waiting(life.store), 0);
    cr_assert(keep_store_news(life.store, &news));
    cr_assert_eq(news.kind, STATUS_STORE_DAMAGED);
    cr_assert(keep_life_work(&life, 300));
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    keep_life_end(&life);
}

// ---- damage is told durably before the tape is given up ----

#define DAMAGED_TAPE "store/tape/00000001.tape"
#define ASIDE "store/quarantine/00000001.tape"

// A sitting with somebody who settles news, about one damaged tape; its news are waited for.
static void wait_for_news(struct keep_news *news)
{
    cr_assert(keep_life_start(&life));
    keep_store_want_news(life.store, 2000000000);
    cr_assert(sim_world_run(life.world, 1000000000));
    cr_assert(keep_store_news(life.store, news));
    cr_assert_eq(news->kind, STATUS_STORE_DAMAGED);
    cr_assert_not(keep_store_news(life.store, news), "told twice");
    cr_assert_gt(sim_disk_size(life.world, DAMAGED_TAPE), 0, "aside before it was told");
    cr_assert_eq(sim_disk_size(life.world, ASIDE), -ENOENT);
}

static void all_but_the_damage(void)
{
    forgive();
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_gt(rows_seen(), life.appended * 2 / 3);
}

// A start that tells, whatever came before; nothing but the damage is lost.
static void tell_and_end(void)
{
    struct keep_news news;
    wait_for_news(&news);
    keep_store_settle_news(life.store, news.number);
    run_until_idle();
    cr_assert(keep_life_stop(&life));
    all_but_the_damage();
    keep_life_end(&life);
}

static void leave_damage(uint64_t seed)
{
    leave_tapes(seed);
    for (int64_t sector = 2; sector < 6; sector++)
        cr_assert(sim_disk_rot(life.world, DAMAGED_TAPE, sector * 4096, false));
}

Test(sealer_faults, a_damaged_tape_goes_aside_once_its_news_are_durable)
{
    struct keep_news news;
    leave_damage(61);
    wait_for_news(&news);
    keep_store_settle_news(life.store, news.number);
    cr_assert(sim_world_run(life.world, 100000000));
    cr_assert_eq(sim_disk_size(life.world, DAMAGED_TAPE), -ENOENT);
    cr_assert_gt(sim_disk_size(life.world, ASIDE), 0);
    cr_assert(keep_life_stop(&life));
    all_but_the_damage();
    keep_life_end(&life);
}

// On a full disk no row gets durable before a tape is sealed.
Test(sealer_faults, news_that_nobody_settles_hold_a_damaged_tape_for_two_seconds)
{
    struct keep_news news;
    leave_damage(62);
    wait_for_news(&news);
    cr_assert(sim_world_run(life.world, 900000000));
    cr_assert_gt(sim_disk_size(life.world, DAMAGED_TAPE), 0);
    cr_assert(sim_world_run(life.world, 200000000));
    cr_assert_gt(sim_disk_size(life.world, ASIDE), 0);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

Test(sealer_faults, damage_whose_news_were_lost_in_a_crash_is_told_by_the_next_start)
{
    struct keep_news news;
    for (int kind = 0; kind < 2; kind++) {
        leave_damage(63);
        wait_for_news(&news);
        keep_life_crash(&life, kind == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER);
        tell_and_end();
    }
}

Test(sealer_faults, a_swap_that_failed_behind_the_news_does_not_tell_them_again)
{
    struct keep_news news;
    leave_damage(65);
    wait_for_news(&news);
    sim_world_faults(life.world)->write_error = 1000000;
    keep_store_settle_news(life.store, news.number);
    cr_assert(sim_world_run(life.world, 100000000));
    sim_world_faults(life.world)->write_error = 0;
    run_until_idle();
    cr_assert_gt(sealer_counters(life.sealer).failures, 0);
    cr_assert_not(keep_store_news(life.store, &news), "told twice");
    cr_assert_gt(sim_disk_size(life.world, ASIDE), 0);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

Test(sealer_faults, damage_is_told_although_many_news_wait)
{
    struct keep_news news;
    bool told = false;
    leave_damage(66);
    cr_assert(keep_life_start(&life));
    keep_store_want_news(life.store, 2000000000);
    while (keep_store_tell(life.store, STATUS_DATA_DELETED, "another") != 0) continue;
    cr_assert(sim_world_run(life.world, 1000000000));
    cr_assert_gt(sim_disk_size(life.world, DAMAGED_TAPE), 0);
    for (int i = 0; i < 2 * KEEP_NEWS_MAX && !told; i++) {
        if (!keep_store_news(life.store, &news)) cr_assert(sim_world_run(life.world, 20000000));
        told = news.kind == STATUS_STORE_DAMAGED;
    }
    cr_assert(told);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

Test(sealer_faults, a_stop_does_not_wait_for_news_and_the_next_start_tells_them)
{
    struct keep_news news;
    leave_damage(64);
    wait_for_news(&news);
    const int64_t from_ns = sim_world_monotonic_ns(life.world);
    cr_assert(keep_life_stop(&life));
    cr_assert_lt(sim_world_monotonic_ns(life.world) - from_ns, 100000000);
    tell_and_end();
}

// ---- more than one segment, or one sealing, can hold ----

// Rows of the ticker channel, which the model does not count; how many there are afterwards.
static void append_ticker(uint32_t symbol, int64_t time_ns, int64_t mantissa, uint8_t scale)
{
    static struct event event;
    event_clear(&event, CHANNEL_TICKER, symbol);
    event_set(&event, COLUMN_RECEIVE_TIME, time_ns);
    event_set_decimal(&event, TICKER_LAST_PRICE, mantissa, scale);
    while (!tape_writer_append(life.writer, &event))
        cr_assert(sim_world_run(life.world, 1000000));
}

static uint64_t rows_listed(enum channel channel, uint32_t *segments)
{
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    uint64_t rows = 0;
    *segments = 0;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        if (catalogue->segments[i].channel != channel)
            continue;
        rows += catalogue->segments[i].rows;
        ++*segments;
    }
    return rows;
}

// Prices that share no scale with the one before make a block of each row.
static void append_blocks(uint32_t count)
{
    static struct event event;
    for (uint32_t i = 0; i < count; i++) {
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, TRADE_TIME, 1767225600000000000ll + i);
        event_set(&event, TRADE_ID, i + 1);
        event_set_decimal(&event, TRADE_PRICE, INT64_MAX, i % 2 ? 18 : 0);
        while (!tape_writer_append(life.writer, &event))
            cr_assert(sim_world_run(life.world, 1000000));
        if (i % 5000 == 0)
            cr_assert(sim_world_run(life.world, 10000000));
    }
}

Test(sealer_faults, more_blocks_than_a_segment_holds_go_into_several)
{
    enum { ROWS = 70000 };
    uint32_t segments;
    keep_life_begin(&life, 34);
    life.tape_bytes = 64 << 20;
    sim_disk_capacity(life.world, 4ll << 30);
    cr_assert(keep_life_start(&life));
    append_blocks(ROWS);
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_start(&life));
    sealer_merge_all(life.sealer); // the parts would not fit into one: they stay apart
    run_until_idle();
    cr_assert_eq(rows_listed(CHANNEL_TRADE, &segments), ROWS);
    cr_assert_geq(segments, 2);
    cr_assert_eq(sealer_counters(life.sealer).failures, 0);
    cr_assert_eq(sealer_counters(life.sealer).merges, 0);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

Test(sealer_faults, rows_of_too_many_days_are_told_and_the_tape_is_kept)
{
    enum { DAYS = 100, SEGMENTS = 60 };
    uint32_t segments;
    struct keep_news news;
    keep_life_begin(&life, 35);
    life.tape_bytes = 64 << 20;
    sim_disk_capacity(life.world, 4ll << 30);
    life.without_sealer = true;
    cr_assert(keep_life_start(&life));
    for (int64_t day = 0; day < DAYS; day++)
        append_ticker(0, day * 86400ll * 1000000000, day, 2);
    cr_assert(keep_life_stop(&life));
    life.without_sealer = false;
    cr_assert(keep_life_start(&life));
    sealer_limit_segments(life.sealer, SEGMENTS);
    run_until_idle();
    cr_assert_eq(rows_listed(CHANNEL_TICKER, &segments), SEGMENTS);
    cr_assert(keep_store_news(life.store, &news));
    cr_assert(strstr(news.detail, " 40 rows lost") != NULL, "%s", news.detail);
    cr_assert(keep_life_stop(&life));
    cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000001.tape"), 0);
    keep_life_end(&life);
}

// ---- stopping ----

static void stopped(void *context)
{
    *(bool *)context = true;
}

static uint32_t steps_until(const bool *ended)
{
    uint32_t steps = 0;
    for (; !*ended; steps++)
        cr_assert(sim_world_step(life.world));
    return steps;
}

// A merge of many portions of output ends after the one under way, not after all.
Test(sealer_faults, a_long_merge_ends_early_when_the_sealer_must_stop)
{
    bool ended = false;
    keep_life_begin(&life, 37);
    life.tape_bytes = 64 << 20;
    sim_disk_capacity(life.world, 4ll << 30);
    for (int sitting = 0; sitting < 2; sitting++) {
        cr_assert(keep_life_start(&life));
        append_blocks(20000);
        cr_assert(keep_life_stop(&life));
    }
    cr_assert(keep_life_start(&life));
    run_until_idle();
    sealer_merge_all(life.sealer);
    for (uint32_t i = 0; i < 8; i++)
        cr_assert(sim_world_step(life.world));
    sealer_stop(life.sealer, stopped, &ended);
    uint32_t steps = steps_until(&ended);
    cr_assert_lt(steps, 26, "%u steps", steps); // four of them to remove what it wrote
    cr_assert_eq(sealer_counters(life.sealer).merges, 0);
    cr_assert_eq(sealer_counters(life.sealer).failures, 0);
    sealer_close(life.sealer);
    life.sealer = NULL;
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    keep_life_end(&life);
}

// Afterwards the store is as if the merge had never begun.
Test(sealer_faults, a_merge_is_left_in_the_middle_when_the_sealer_must_stop)
{
    for (uint32_t steps = 1; steps < 60; steps++) {
        bool ended = false;
        keep_life_begin(&life, 36);
        for (int sitting = 0; sitting < 3; sitting++) {
            cr_assert(keep_life_start(&life));
            cr_assert(keep_life_work(&life, 300));
            cr_assert(keep_life_stop(&life));
        }
        cr_assert(keep_life_start(&life));
        sealer_merge_all(life.sealer);
        for (uint32_t i = 0; i < steps; i++)
            cr_assert(sim_world_step(life.world));
        sealer_stop(life.sealer, stopped, &ended);
        (void)steps_until(&ended);
        sealer_close(life.sealer);
        life.sealer = NULL;
        cr_assert(keep_life_stop(&life));
        cr_assert(keep_life_settle(&life));
        cr_assert(keep_life_check(&life), "stopped after %u steps: %s", steps, life.why);
        cr_assert_eq(rows_seen(), life.appended);
        keep_life_end(&life);
    }
}
