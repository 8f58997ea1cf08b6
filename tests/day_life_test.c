// SPDX-License-Identifier: GPL-3.0-or-later
//
// Simulated lives over midnight with a sealer: days close by themselves, a crash anywhere leaves a
// marker that is right or none, later repairs raise the generation. Oracle: the peer's truth.
#include "complete_life.h"

#include "format/day.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS LIMIT_MILLISECOND_NS
#define SECOND LIMIT_SECOND_NS
#define DAY_NS (24 * LIMIT_HOUR_NS)
enum { BEFORE_S = 20, DAY = 20454 }; // 2026-01-01, where simulated clocks begin

// Half a minute before midnight; tapes end every 30 s.
static struct life *day_life(uint64_t seed)
{
    struct life *life = life_create(seed, 1, 20 * MS);
    life->peer->stopped = true;
    sim_world_step_clock(life->world, DAY_NS - BEFORE_S * SECOND);
    life->seals = true;
    life->tape_age_ns = 30 * SECOND;
    return life;
}

// Every symbol has traded, and all of it was heard: what comes first is not known to be the first.
static void day_start(struct life *life)
{
    life_start(life);
    life_run(life, 500 * MS);
    life->peer->stopped = false;
    life_run(life, 1500 * MS);
    life->peer->pause_ns = 300 * MS;
}

// False: there is none.
static bool marker_of(struct life *life, enum channel channel, struct day_marker *marker)
{
    static char text[1 << 20];
    char name[DAY_NAME_BYTES_MAX], path[128];
    size_t size;
    day_marker_name(DAY, channel, name);
    (void)snprintf(path, sizeof path, "/data/store/day/%s", name);
    int64_t got = sim_disk_read(life->world, path, text, sizeof text, 0);
    if (got < 0) return false;
    cr_assert_not_null(day_marker_parse(text, (size_t)got, marker, &size), "%s is damaged", path);
    return true;
}

static uint64_t trades_of_the_day(const struct life *life)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        const struct market_symbol *symbol = &life->peer->symbols[i];
        for (uint64_t n = 0; n < symbol->count; n++)
            count += symbol->time_us[n] * 1000 < day_end_ns(DAY);
    }
    return count;
}

// Runs until trade has a marker of this generation; false: not within ten minutes.
static bool run_until(struct life *life, uint64_t generation, struct day_marker *marker)
{
    for (int i = 0; i < 600; i++) {
        if (marker_of(life, CHANNEL_TRADE, marker) && marker->generation >= generation)
            return true;
        life_run(life, SECOND);
    }
    return false;
}

Test(day_life, a_day_closes_by_itself_and_a_repair_raises_its_generation)
{
    struct life *life = day_life(1);
    struct day_marker marker;
    day_start(life);
    life_run(life, 2 * SECOND);
    life->peer->faults = (struct market_faults){.lost = 100000, .no_history = true};
    life_run(life, (BEFORE_S + 5) * SECOND);
    life->peer->faults.lost = 0;
    cr_assert(!marker_of(life, CHANNEL_TRADE, &marker));
    cr_assert(run_until(life, 1, &marker), "the day does not close");
    cr_assert_geq(io_utc_ns(life->io), day_end_ns(DAY) + LIMIT_MINUTE_NS);
    cr_assert_gt(marker.open, 0);
    cr_assert_lt(marker.rows, trades_of_the_day(life));
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        struct day_marker other;
        if (channel_schema((enum channel)c) == NULL) continue;
        bool has = marker_of(life, (enum channel)c, &other);
        cr_assert_eq(has, c == CHANNEL_TRADE || c == CHANNEL_DEPTH || c == CHANNEL_BOOK ||
                              c == CHANNEL_CANDLE || c == CHANNEL_ALERT ||
                              c == CHANNEL_STATUS,
                     "channel %d", c);
    }
    const int64_t closed_ns = marker.closed_ns;
    // Without a change it stays, whatever is sealed.
    life_run(life, 3 * LIMIT_MINUTE_NS);
    cr_assert(marker_of(life, CHANNEL_TRADE, &marker));
    cr_assert_eq(marker.generation, 1);

    life->peer->faults.no_history = false;
    cr_assert(run_until(life, 2, &marker), "the repair does not raise the generation");
    life_run(life, 3 * LIMIT_MINUTE_NS);
    cr_assert(marker_of(life, CHANNEL_TRADE, &marker));
    cr_assert_eq(marker.open, 0);
    cr_assert_eq(marker.lost, 0);
    cr_assert_eq(marker.rows, trades_of_the_day(life), "%lu of %lu", (unsigned long)marker.rows,
                 (unsigned long)trades_of_the_day(life));
    cr_assert_eq(marker.closed_ns, closed_ns);
    cr_assert_gt(marker.changed_ns, closed_ns);
    life_stop(life);
    life_destroy(life);
}

Test(day_life, a_symbol_the_exchange_does_not_list_keeps_no_day_open)
{
    struct life *life = day_life(2);
    struct day_marker marker;
    day_start(life);
    life_run(life, 2 * SECOND);
    life->peer->faults.delisted = 1 << 3;
    cr_assert(run_until(life, 1, &marker), "the day does not close");
    // It was asked for what came behind its last trade: there is no doubt left.
    cr_assert_eq(marker.unproven, 0);
    cr_assert_eq(marker.open, 0);
    cr_assert_eq(marker.rows, trades_of_the_day(life));
    life_stop(life);
    life_destroy(life);
}

Test(day_life, what_is_not_proven_keeps_the_day_open)
{
    struct life *life = day_life(3);
    struct day_marker marker;
    day_start(life); // before the first audit
    life->peer->faults.down = true;
    life_run(life, 10 * LIMIT_MINUTE_NS);
    cr_assert(!marker_of(life, CHANNEL_TRADE, &marker));
    cr_assert(marker_of(life, CHANNEL_STATUS, &marker), "it waits for no audit");
    life_stop(life);
    life_destroy(life);
}

// Repaired after midnight, on a tape that ends ten minutes later.
Test(day_life, rows_on_a_tape_keep_the_day_open)
{
    struct life *life = day_life(6);
    struct day_marker marker;
    life->tape_age_ns = 0;
    day_start(life);
    life_run(life, 2 * SECOND);
    life->peer->faults = (struct market_faults){.lost = 200000, .no_history = true};
    life_run(life, BEFORE_S * SECOND);
    life->peer->faults = (struct market_faults){0};
    life_run(life, 8 * LIMIT_MINUTE_NS);
    cr_assert_gt(shard_counters(life->shard).repaired, 0);
    cr_assert(!marker_of(life, CHANNEL_TRADE, &marker));
    cr_assert(marker_of(life, CHANNEL_STATUS, &marker));
    cr_assert(run_until(life, 1, &marker));
    cr_assert_eq(marker.generation, 1);
    cr_assert_eq(marker.open, 0);
    cr_assert_eq(marker.rows, trades_of_the_day(life));
    life_stop(life);
    life_destroy(life);
}

// ---- crashes ----

// The tenth of a second in which the first markers are written: disk operations of all.
static void window_of(uint64_t *from, uint64_t *to)
{
    struct life *life = day_life(4);
    struct day_marker marker;
    day_start(life);
    life_run(life, (BEFORE_S + 60) * SECOND);
    while (!marker_of(life, CHANNEL_STATUS, &marker)) {
        *from = sim_world_operations(life->world);
        life_run(life, 100 * MS);
    }
    *to = sim_world_operations(life->world);
    life_stop(life);
    life_destroy(life);
}

static void crash_once(uint64_t at, enum sim_crash kind)
{
    static const enum channel channels[] = {CHANNEL_TRADE, CHANNEL_DEPTH, CHANNEL_STATUS};
    struct life *life = day_life(4);
    struct day_marker marker;
    day_start(life);
    sim_world_crash_at(life->world, at);
    life_run(life, 5 * LIMIT_MINUTE_NS);
    cr_assert(sim_world_crashed(life->world), "operation %lu never came", (unsigned long)at);
    life_crash(life, kind);
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        if (marker_of(life, channels[i], &marker)) cr_assert_eq(marker.generation, 1);
    }
    life_start(life);
    cr_assert(run_until(life, 1, &marker), "after a crash at %lu", (unsigned long)at);
    life_run(life, LIMIT_MINUTE_NS);
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        cr_assert(marker_of(life, channels[i], &marker));
        cr_assert_eq(marker.generation, 1, "channel %d, crash at %lu", (int)channels[i],
                     (unsigned long)at);
    }
    cr_assert(marker_of(life, CHANNEL_TRADE, &marker));
    cr_assert_eq(marker.rows, trades_of_the_day(life));
    life_stop(life);
    life_destroy(life);
}

Test(day_life, a_crash_at_any_operation_leaves_a_right_marker_or_none)
{
    uint64_t from, to;
    window_of(&from, &to);
    cr_assert_gt(to - from, 20);
    for (uint64_t at = from + 1; at <= to; at++)
        crash_once(at, at % 2 == 0 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
}

// A disk that fails once while markers are written: the day closes all the same, a minute later.
Test(day_life, a_failing_operation_is_tried_again)
{
    static const enum io_kind kinds[] = {IO_OPEN, IO_MKDIR, IO_WRITE, IO_FSYNC, IO_RENAME};
    uint64_t failures = 0;
    for (uint32_t n = 0; n < 15; n++) {
        struct life *life = day_life(5);
        struct day_marker marker;
        day_start(life);
        life_run(life, (BEFORE_S + 60) * SECOND);
        sim_world_fail(life->world, kinds[n % 5], n / 5, -5);
        cr_assert(run_until(life, 1, &marker), "failure %u", n);
        failures += sealer_counters(life->sealer).failures;
        cr_assert_eq(marker.generation, 1);
        cr_assert_eq(marker.open, 0);
        life_stop(life);
        life_destroy(life);
    }
    cr_assert_gt(failures, 0, "nothing was hit");
}

// With holes that nothing can repair, to ten seconds before the day may close.
static struct life *holed_life(uint64_t seed)
{
    struct life *life = day_life(seed);
    day_start(life);
    life_run(life, 2 * SECOND);
    life->peer->faults = (struct market_faults){.lost = 100000, .no_history = true};
    life_run(life, (BEFORE_S + 5) * SECOND);
    life->peer->faults.lost = 0;
    life_run(life, 45 * SECOND);
    return life;
}

static void marker_is(const struct day_marker *marker, const struct day_marker *right)
{
    cr_assert_eq(marker->generation, 1);
    cr_assert_eq(marker->open, right->open);
    cr_assert_eq(marker->lost, right->lost);
    cr_assert_eq(marker->rows, right->rows);
}

// A disk of which some reads fail, before and after the day closes: the marker is right or not
// there yet, and what could not be read changes none.
Test(day_life, reads_that_fail_delay_a_day_and_change_none)
{
    uint64_t failures = 0;
    for (uint64_t seed = 7; seed < 19; seed++) {
        struct day_marker right, marker;
        struct life *life = holed_life(seed);
        cr_assert(run_until(life, 1, &right));
        cr_assert_gt(right.open, 0);
        life_stop(life);
        life_destroy(life);

        life = holed_life(seed);
        sim_world_faults(life->world)->read_error = 10000u << seed % 4;
        for (int minute = 0; minute < 15; minute++) {
            life_run(life, LIMIT_MINUTE_NS);
            if (marker_of(life, CHANNEL_TRADE, &marker)) marker_is(&marker, &right);
        }
        failures += sealer_counters(life->sealer).failures;
        sim_world_faults(life->world)->read_error = 0;
        cr_assert(run_until(life, 1, &marker), "seed %lu", (unsigned long)seed);
        marker_is(&marker, &right);
        life_stop(life);
        life_destroy(life);
    }
    cr_assert_gt(failures, 3, "hardly anything was hit");
}
