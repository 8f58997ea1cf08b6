// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is deleted first, and what never; what a disk that fills up asks for; and, in the simulator,
// that a deletion survives a crash at every operation and a full disk is lived through.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "keep/disk_watch.h"
#include "keep/retention.h"
#include "keep_life.h"

#define DAY_NS (24 * LIMIT_HOUR_NS)
enum { TODAY = 20500 };

static struct catalogue catalogue;
static uint32_t segments;

static void begin(void)
{
    static const uint8_t identity[LAYOUT_STORE_ID_BYTES] = {1};
    cr_assert_eq(catalogue_init(&catalogue, identity), 0);
    segments = 0;
}

static void add(enum channel channel, int32_t day, uint64_t bytes)
{
    segments++;
    struct catalogue_segment segment = {
        .number = segments, .channel = channel, .day = day, .tape_first = segments,
        .tape_last = segments, .rows = 1, .bytes = bytes, .time_min = day * DAY_NS + segments,
        .time_max = day * DAY_NS + segments};
    cr_assert(catalogue_add_segment(&catalogue, &segment));
}

static struct retention_choice choose(const struct retention_rules *rules, bool pressed)
{
    int64_t now_ns = TODAY * DAY_NS + DAY_NS / 2;
    return retention_choose(&catalogue, rules, NULL, 0, now_ns, pressed);
}

// The numbers of what goes, one digit each, in the order of going; `pressed` until nothing goes.
static const char *order(const struct retention_rules *rules, bool pressed)
{
    static char text[64];
    size_t used = 0;
    for (;;) {
        struct retention_choice choice = choose(rules, pressed);
        if (choice.count == 0)
            break;
        for (uint32_t i = 0; i < choice.count; i++) {
            text[used++] = (char)('0' + catalogue.segments[choice.first].number);
            cr_assert(catalogue_remove_segment(&catalogue,
                                               catalogue.segments[choice.first].number));
        }
        text[used++] = ' ';
    }
    text[used] = 0;
    catalogue_free(&catalogue);
    return text;
}

static void some_days(void)
{
    begin();
    add(CHANNEL_TRADE, TODAY - 3, 100); // 1
    add(CHANNEL_TRADE, TODAY - 3, 100); // 2
    add(CHANNEL_TRADE, TODAY - 1, 100); // 3
    add(CHANNEL_TRADE, TODAY, 100);     // 4
    add(CHANNEL_TRADE, TODAY, 100);     // 5
    add(CHANNEL_DEPTH, TODAY - 2, 100); // 6
    add(CHANNEL_DEPTH, TODAY - 1, 100); // 7
}

Test(retention, without_limits_nothing_is_ever_deleted)
{
    some_days();
    cr_assert_str_eq(order(&(struct retention_rules){0}, true), "");
}

Test(retention, days_go_when_they_ended_too_long_ago)
{
    some_days();
    struct retention_rules rules = {.all.age_ns = DAY_NS};
    cr_assert_str_eq(order(&rules, false), "12 6 ");
    some_days();
    rules.channel[CHANNEL_DEPTH].age_ns = DAY_NS / 4; // instead of the day of all others
    cr_assert_str_eq(order(&rules, false), "12 6 7 ");
    some_days();
    rules = (struct retention_rules){.channel[CHANNEL_DEPTH].age_ns = DAY_NS};
    cr_assert_str_eq(order(&rules, false), "6 ");
    some_days();
    rules = (struct retention_rules){.all.age_ns = 300 * DAY_NS};
    cr_assert_str_eq(order(&rules, false), "");
}

Test(retention, the_oldest_goes_until_the_size_is_kept)
{
    some_days();
    struct retention_rules rules = {.all.size_bytes = 450};
    cr_assert_str_eq(order(&rules, false), "12 6 ");
    some_days();
    rules.all.size_bytes = 1; // the present day one by one
    cr_assert_str_eq(order(&rules, false), "12 6 3 7 4 5 ");
    some_days();
    rules = (struct retention_rules){.channel[CHANNEL_DEPTH].size_bytes = 150};
    cr_assert_str_eq(order(&rules, false), "6 ");
}

Test(retention, a_full_disk_takes_what_may_go_some_day)
{
    some_days();
    struct retention_rules rules = {.all.age_ns = 300 * DAY_NS};
    cr_assert_str_eq(order(&rules, true), "12 6 3 7 4 5 ");
}

// A mirror that has dealt with the tapes up to its cursor.
static bool cursor_released(void *context, const struct catalogue_segment *segment)
{
    return segment->tape_last <= *(const uint32_t *)context;
}

Test(retention, what_a_mirror_still_needs_stays)
{
    some_days();
    uint32_t cursor = 1;
    const struct retention_guard guard = {.released = cursor_released, .context = &cursor};
    const struct retention_rules rules = {.all.age_ns = DAY_NS};
    int64_t now_ns = TODAY * DAY_NS + DAY_NS / 2;
    cr_assert_eq(retention_choose(&catalogue, &rules, &guard, 1, now_ns, true).count, 0);
    cursor = 2; // the first day as a whole
    struct retention_choice choice = retention_choose(&catalogue, &rules, &guard, 1, now_ns, true);
    cr_assert_eq(choice.count, 2);
    cr_assert_eq(catalogue.segments[choice.first].number, 1);
    catalogue_free(&catalogue);
}

// ---- the disk ----

Test(disk_watch, channels_pause_and_resume_one_by_one)
{
    struct disk_watch watch = {0};
    int64_t now_ns = LIMIT_SECOND_NS;
    disk_watch_begin(&watch, 1000, 5000);
    cr_assert_eq(disk_watch_look(&watch, 1000, now_ns), DISK_WATCH_NOTHING);
    cr_assert_eq(disk_watch_look(&watch, 999, now_ns), DISK_WATCH_LOW);
    cr_assert_eq(disk_watch_look(&watch, 499, now_ns), DISK_WATCH_NOTHING); // a step's time first
    uint32_t mask = 0;
    for (uint32_t i = 0; i < 8; i++) {
        now_ns += DISK_WATCH_STEP_NS;
        cr_assert_eq(disk_watch_look(&watch, 499, now_ns), DISK_WATCH_PAUSED);
        cr_assert_eq(disk_watch_look(&watch, 499, now_ns), DISK_WATCH_NOTHING);
        cr_assert_eq(disk_watch_mask(&watch), mask |= 1u << watch.channel);
    }
    cr_assert_eq(watch.channel, CHANNEL_TRADE); // the last one
    cr_assert_eq(mask & (1u << CHANNEL_STATUS | 1u << CHANNEL_INSTRUMENT), 0);
    now_ns += DISK_WATCH_STEP_NS;
    cr_assert_eq(disk_watch_look(&watch, 0, now_ns), DISK_WATCH_NOTHING);
    cr_assert_eq(disk_watch_look(&watch, 999, now_ns), DISK_WATCH_NOTHING); // stays as it is
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert_eq(disk_watch_look(&watch, 1000, now_ns), DISK_WATCH_RESUMED);
        cr_assert_eq(disk_watch_look(&watch, 1000, now_ns),
                     i == 7 ? DISK_WATCH_WELL : DISK_WATCH_NOTHING);
        now_ns += DISK_WATCH_STEP_NS;
    }
    cr_assert_eq(disk_watch_mask(&watch), 0);
    cr_assert_eq(disk_watch_look(&watch, 1000, now_ns), DISK_WATCH_NOTHING);
}

Test(disk_watch, the_reserve_fits_the_disk)
{
    struct disk_watch watch = {0};
    disk_watch_begin(&watch, 0, 4000);
    cr_assert_eq(watch.reserve_bytes, 1000);
    disk_watch_begin(&watch, 0, 1ll << 40);
    cr_assert_eq(watch.reserve_bytes, 1ll << 30);
    disk_watch_begin(&watch, 7ll << 30, 4000);
    cr_assert_eq(watch.reserve_bytes, 7ll << 30);
}

// ---- lives ----

static struct keep_life life;

static uint64_t rows_listed(void)
{
    const struct catalogue *listed = keep_store_catalogue(life.store);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < listed->segment_count; i++)
        rows += listed->segments[i].rows;
    return rows;
}

// The rows lie around a midnight; a day later those before it are older than a day.
static const struct retention_rules one_day = {.all.age_ns = 24 * LIMIT_HOUR_NS,
                                               .reserve_bytes = 1 << 20};

static bool start_watching(void)
{
    if (!keep_life_start(&life))
        return false;
    keep_store_set_rules(life.store, &one_day);
    sealer_watch(life.sealer);
    return true;
}

static bool deleting_life(uint64_t at)
{
    keep_life_begin(&life, 50);
    cr_assert(keep_life_start(&life) && keep_life_work(&life, 900) && keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    sim_world_step_clock(life.world, DAY_NS + LIMIT_HOUR_NS);
    sim_world_crash_at(life.world, sim_world_operations(life.world) + at);
    bool alive = start_watching() && sim_world_run(life.world, 5 * LIMIT_SECOND_NS) &&
                 keep_life_stop(&life);
    if (!alive)
        keep_life_crash(&life, at % 2 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
    sim_world_crash_at(life.world, 0);
    cr_assert(start_watching());
    cr_assert(sim_world_run(life.world, 5 * LIMIT_SECOND_NS));
    cr_assert_lt(rows_listed(), life.appended);
    cr_assert_gt(rows_listed(), life.appended / 4);
    cr_assert_eq(sealer_counters(life.sealer).failures, 0);
    cr_assert(keep_life_stop(&life));
    memset(life.acknowledged, 0, sizeof life.acknowledged); // what is deleted need not come back
    cr_assert(keep_life_check(&life), "crash at %lu: %s", (unsigned long)at, life.why);
    for (uint64_t n = 1; n <= life.appended; n++)
        cr_assert_eq(life.seen[n], n >= KEEP_LIFE_ROWS_MAX / 8, "crash at %lu: row %lu",
                     (unsigned long)at, (unsigned long)n);
    keep_life_end(&life);
    return alive;
}

Test(retention, a_deletion_survives_a_crash_at_every_operation)
{
    uint64_t at = 1;
    while (!deleting_life(at))
        at++;
    cr_assert_gt(at, 20);
}

Test(retention, a_guard_of_the_store_is_asked)
{
    uint32_t cursor = 0;
    const struct retention_guard guard = {.released = cursor_released, .context = &cursor};
    keep_life_begin(&life, 51);
    cr_assert(keep_life_start(&life) && keep_life_work(&life, 900) && keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    sim_world_step_clock(life.world, DAY_NS + LIMIT_HOUR_NS);
    cr_assert(keep_life_start(&life));
    keep_store_add_guard(life.store, &guard);
    keep_store_set_rules(life.store, &one_day);
    sealer_watch(life.sealer);
    cr_assert(sim_world_run(life.world, 5 * LIMIT_SECOND_NS));
    cr_assert_eq(rows_listed(), life.appended);
    cursor = UINT32_MAX; // the mirror has caught up
    cr_assert(sim_world_run(life.world, 5 * LIMIT_SECOND_NS));
    cr_assert_lt(rows_listed(), life.appended);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

// Kinds of status rows that the store gives back.
static uint32_t kinds[STATUS_DISK_FREED + 1];
static int64_t paused_rows;

static void count_status(const struct rows *rows)
{
    for (uint32_t r = 0; r < rows->count; r++) {
        int64_t kind = rows->value[STATUS_KIND][r];
        kinds[kind]++;
        if (kind == STATUS_CHANNEL_RESUMED)
            paused_rows += rows->value[STATUS_COUNT][r];
    }
}

// Others fill the disk, then free it. Trades pause last, so that depth pauses alone for a while.
Test(retention, a_full_disk_pauses_channels_and_resumes_by_itself)
{
    struct keep_news news;
    uint32_t told[STATUS_DISK_FREED + 1] = {0};
    keep_life_begin(&life, 52);
    life.status = count_status;
    sim_disk_capacity(life.world, 64 << 20);
    cr_assert(keep_life_start(&life));
    const struct retention_rules rules = {.reserve_bytes = 16 << 20};
    keep_store_set_rules(life.store, &rules);
    sealer_watch(life.sealer);
    cr_assert(keep_life_work(&life, 200));
    sim_disk_capacity(life.world, 6 << 20);
    cr_assert(sim_world_run(life.world, 60 * LIMIT_SECOND_NS));
    uint64_t refused = life.refused;
    cr_assert(keep_life_work(&life, 200));
    cr_assert_eq(life.refused - refused, 200); // every channel pauses
    sim_disk_capacity(life.world, 64 << 20);
    cr_assert(sim_world_run(life.world, 60 * LIMIT_SECOND_NS));
    refused = life.refused;
    cr_assert(keep_life_work(&life, 200));
    cr_assert_eq(life.refused, refused);
    while (keep_store_news(life.store, &news))
        told[news.kind]++;
    cr_assert_eq(told[STATUS_DISK_FULL], 1);
    cr_assert_eq(told[STATUS_DISK_FREED], 1);
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(kinds[STATUS_CHANNEL_PAUSED], 8);
    cr_assert_eq(kinds[STATUS_CHANNEL_RESUMED], 8);
    cr_assert_eq(paused_rows, life.refused);
    keep_life_end(&life);
}

// Where `keep` allows it the oldest day goes instead, and nothing pauses.
Test(retention, a_full_disk_takes_the_oldest_day_first)
{
    keep_life_begin(&life, 53);
    sim_disk_capacity(life.world, 64 << 20);
    cr_assert(keep_life_start(&life) && keep_life_work(&life, 900) && keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_start(&life));
    const struct retention_rules rules = {.all.age_ns = 900 * DAY_NS, .reserve_bytes = 16 << 20};
    keep_store_set_rules(life.store, &rules);
    sealer_watch(life.sealer);
    sim_disk_capacity(life.world, 12 << 20);
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    cr_assert_lt(rows_listed(), life.appended);
    cr_assert_eq(keep_store_paused(life.store), 0);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

// ---- an export ----

static bool taken_by_export(void *context, const struct catalogue_segment *segment)
{
    return segment->tape_last <= *(const uint32_t *)context;
}

Test(retention, what_an_export_has_not_taken_is_neither_deleted_nor_merged)
{
    uint32_t exported = 2;
    const struct retention_guard guard = {
        .released = taken_by_export, .mergeable = taken_by_export, .context = &exported};
    const struct retention_rules rules = {.all = {.age_ns = DAY_NS}};
    const int64_t now_ns = TODAY * DAY_NS;
    begin();
    for (int i = 0; i < 3; i++) add(CHANNEL_TRADE, TODAY - 10 + i, 1);
    cr_expect(retention_mergeable(&catalogue, &guard, 1, &catalogue.segments[1]));
    cr_expect(!retention_mergeable(&catalogue, &guard, 1, &catalogue.segments[2]));
    cr_expect(retention_tape_released(&guard, 1, 3), "tapes are not what it reads");
    for (uint32_t gone = 1; gone <= 2; gone++) {
        const struct retention_choice choice =
            retention_choose(&catalogue, &rules, &guard, 1, now_ns, true);
        cr_assert_eq(choice.count, 1);
        cr_assert(catalogue_remove_segment(&catalogue, catalogue.segments[choice.first].number));
    }
    cr_expect_eq(retention_choose(&catalogue, &rules, &guard, 1, now_ns, true).count, 0);
    exported = 3;
    cr_expect_eq(retention_choose(&catalogue, &rules, &guard, 1, now_ns, false).count, 1);
    catalogue_free(&catalogue);
}
