// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: an attempt of the sealer that comes to nothing leaves nothing on the disk, and takes
// nothing that counts. Method: simulated disks that are full, that fail at a chosen operation, that
// get low in the middle of a merge; crashes at every operation of that. Files in segment/ are
// counted.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "format/catalogue.h"
#include "keep_life.h"

enum { RESERVE_BYTES = 8 << 20, ALL_BYTES = 1 << 30 };

static struct keep_life life;

static const struct retention_rules no_keep = {.reserve_bytes = RESERVE_BYTES};
// The oldest data may go for room.
static const struct retention_rules with_keep = {.all.age_ns = 900 * 24 * LIMIT_HOUR_NS,
                                                 .reserve_bytes = RESERVE_BYTES};

// ---- what is there ----

struct found {
    uint32_t files;
    uint32_t unfinished;
};

static void found_file(void *context, const char *name)
{
    struct found *found = context;
    found->files++;
    found->unfinished += strstr(name, ".new") != NULL;
}

static struct found look(void)
{
    struct found found = {0};
    (void)io_list(life.sealer_io, "store/segment/2025-12-31", found_file, &found);
    (void)io_list(life.sealer_io, "store/segment/2026-01-01", found_file, &found);
    return found;
}

// Files in segment/ that the catalogue does not name.
static uint32_t files_too_many(void)
{
    uint32_t named = 2 * keep_store_catalogue(life.store)->segment_count;
    uint32_t files = look().files;
    cr_assert_geq(files, named, "%u files of %u", files, named);
    return files - named;
}

static uint32_t rows_seen(void)
{
    uint32_t seen = 0;
    for (uint64_t n = 1; n <= life.appended; n++)
        seen += life.seen[n] == 1;
    return seen;
}

static void run_until_idle(void)
{
    for (int i = 0; i < 1000000 && !sealer_counters(life.sealer).idle; i++)
        cr_assert(sim_world_step(life.world));
    cr_assert(sealer_counters(life.sealer).idle);
}

// Free space becomes `free_bytes`.
static void leave_free(int64_t free_bytes)
{
    sim_disk_capacity(life.world, ALL_BYTES);
    int64_t used = ALL_BYTES - io_free_bytes(life.sealer_io, "store");
    sim_disk_capacity(life.world, used + free_bytes);
}

// A start without trouble: every row comes back once, and no file stays that nobody names.
static void check_all(const char *what, uint64_t at)
{
    sim_disk_capacity(life.world, ALL_BYTES);
    sim_world_forgive(life.world);
    sim_world_crash_at(life.world, 0);
    life.without_sealer = false;
    cr_assert(keep_life_settle(&life), "%s %lu", what, (unsigned long)at);
    cr_assert(keep_life_check(&life), "%s %lu: %s", what, (unsigned long)at, life.why);
    cr_assert_eq(rows_seen(), life.appended, "%s %lu", what, (unsigned long)at);
    cr_assert(keep_life_start(&life));
    // What a crash left stays until its numbers are given again (keep_sweep.h).
    for (int i = 0; i < 4 && files_too_many() > 0; i++) {
        cr_assert(keep_life_work(&life, 20));
        cr_assert(keep_life_stop(&life));
        cr_assert(keep_life_settle(&life));
        cr_assert(keep_life_start(&life));
    }
    cr_assert_eq(files_too_many(), 0, "%s %lu", what, (unsigned long)at);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

// ---- a tape ----

// A tape of `rows` that waits, its sealer not yet there; the writer has the room that it wants.
static void leave_tape(uint64_t seed, uint32_t rows)
{
    keep_life_begin(&life, seed);
    life.without_sealer = true;
    life.tape_bytes = 1 << 20;
    cr_assert(keep_life_start(&life));
    cr_assert(keep_life_work(&life, rows));
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_start(&life));
    cr_assert(sim_world_run(life.world, LIMIT_SECOND_NS));
}

static void open_sealer(void)
{
    cr_assert_eq(sealer_open(&life.sealer, life.sealer_io, life.store), 0);
}

// Where the room ends within an attempt, and after how many of its segments, the size of the free
// space says; in the end all are there and the catalogue finds no room.
Test(sealer_clear, tries_on_a_full_disk_leave_nothing_behind)
{
    uint32_t full = 0;
    uint32_t most = 0;
    for (int64_t sectors = 0;; sectors++) {
        leave_tape(80, 900);
        leave_free(sectors * SIM_SECTOR_BYTES);
        open_sealer();
        for (int i = 0; i < 1000 && sealer_counters(life.sealer).tapes == 0; i++) {
            cr_assert(sim_world_run(life.world, 10000000));
            most = look().files > most ? look().files : most;
        }
        bool sealed = sealer_counters(life.sealer).tapes > 0;
        cr_assert(sealed || sealer_counters(life.sealer).failures > 8, "%ld", (long)sectors);
        cr_assert(sim_world_run(life.world, LIMIT_SECOND_NS / 2));
        cr_assert_eq(files_too_many(), 0, "%ld sectors free", (long)sectors);
        cr_assert(sealed || io_free_bytes(life.sealer_io, "store") == sectors * SIM_SECTOR_BYTES);
        cr_assert(keep_life_stop(&life));
        check_all("sectors free:", (uint64_t)sectors);
        if (sealed)
            break;
        full++;
    }
    cr_assert_gt(full, 8, "%u", full);
    cr_assert_gt(most, 6, "%u", most);
}

// Any operation of a sealing may fail once, whatever it did: the next attempt succeeds, and nothing
// of the first is there any more. Where a removal fails a file stays, until the next start.
Test(sealer_clear, an_operation_that_fails_once_leaves_nothing_behind)
{
    static const enum io_kind kinds[] = {IO_OPEN, IO_WRITE, IO_FSYNC, IO_RENAME, IO_UNLINK};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        uint32_t failures = 0;
        for (uint32_t skip = 0; skip < 40; skip++) {
            leave_tape(81, 300);
            sim_world_fail(life.world, kinds[k], skip, -EIO);
            open_sealer();
            cr_assert(sim_world_run(life.world, 8 * LIMIT_SECOND_NS));
            cr_assert(sealer_counters(life.sealer).idle);
            cr_assert_eq(sealer_counters(life.sealer).tapes, 1, "%zu: %u", k, skip);
            failures += sealer_counters(life.sealer).failures > 0;
            cr_assert_eq(files_too_many(), 0, "kind %zu, skip %u", k, skip);
            cr_assert(keep_life_stop(&life));
            check_all("skip", skip);
        }
        cr_assert_gt(failures, 3, "kind %zu: %u", k, failures);
    }
}

// Nothing is tried faster because files cannot be removed, and those do not hold up the sealing.
Test(sealer_clear, files_that_cannot_be_removed_are_no_reason_to_try_again)
{
    leave_tape(82, 900);
    leave_free(8 * SIM_SECTOR_BYTES);
    for (uint32_t i = 0; i < 30; i++)
        sim_world_fail(life.world, IO_UNLINK, 3, -EIO); // not those before a file is created
    open_sealer();
    uint64_t from = sim_world_operations(life.world);
    cr_assert(sim_world_run(life.world, 10 * LIMIT_SECOND_NS));
    cr_assert_leq(sealer_counters(life.sealer).failures, 11);
    cr_assert_lt(sim_world_operations(life.world) - from, 1000);
    sim_disk_capacity(life.world, ALL_BYTES);
    sim_world_forgive(life.world);
    cr_assert(sim_world_run(life.world, 2 * LIMIT_SECOND_NS));
    cr_assert_eq(sealer_counters(life.sealer).tapes, 1);
    cr_assert(keep_life_stop(&life));
    check_all("unlinks fail", 0);
}

// ---- crashes while a tape is tried ----

// True when the three seconds were over before.
static bool tries_crash(int64_t free_bytes, uint32_t failing_sync, uint64_t at)
{
    leave_tape(83, 120);
    leave_free(free_bytes);
    if (failing_sync > 0)
        sim_world_fail(life.world, IO_FSYNC, failing_sync - 1, -EIO);
    sim_world_crash_at(life.world, sim_world_operations(life.world) + at);
    open_sealer();
    bool alive = sim_world_run(life.world, 3 * LIMIT_SECOND_NS) && keep_life_stop(&life);
    if (!alive)
        keep_life_crash(&life, at % 2 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
    check_all("crash at", at);
    return alive;
}

static void crash_everywhere(int64_t free_bytes, uint32_t failing_sync, uint64_t stride)
{
    uint64_t at = 1;
    while (!tries_crash(free_bytes, failing_sync, at))
        at += stride;
    cr_assert_gt(at, 20, "%lu", (unsigned long)at);
}

Test(sealer_clear, a_crash_at_any_operation_of_tries_on_a_full_disk_loses_nothing)
{
    for (int64_t sectors = 0; sectors < 11; sectors += 2)
        crash_everywhere(sectors * SIM_SECTOR_BYTES, 0, 1);
}

// Three segments have four syncs each; then come the catalogue's and that of the store's directory,
// behind which the new catalogue has its name, for whoever starts after a kill, or has it not: the
// segments are there in both cases.
Test(sealer_clear, a_crash_behind_a_sync_that_failed_loses_nothing)
{
    for (uint32_t sync = 1; sync <= 15; sync++)
        crash_everywhere(ALL_BYTES / 2, sync, sync < 12 ? 7 : 1);
}

// ---- a merge ----

// Segments of a few sittings, not merged.
static void leave_segments(uint64_t seed)
{
    keep_life_begin(&life, seed);
    for (int sitting = 0; sitting < 4; sitting++) {
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 300));
        cr_assert(keep_life_stop(&life));
    }
}

static void stopped(void *context)
{
    *(bool *)context = true;
}

Test(sealer_clear, a_merge_that_a_stop_cancels_leaves_no_file)
{
    uint32_t cancelled = 0;
    for (uint32_t steps = 1; steps < 60; steps++) {
        bool ended = false;
        leave_segments(84);
        cr_assert(keep_life_start(&life));
        run_until_idle();
        sealer_merge_all(life.sealer);
        for (uint32_t i = 0; i < steps; i++)
            cr_assert(sim_world_step(life.world));
        cancelled += look().unfinished > 0;
        sealer_stop(life.sealer, stopped, &ended);
        while (!ended)
            cr_assert(sim_world_step(life.world));
        cr_assert_eq(files_too_many(), 0, "stopped after %u steps", steps);
        sealer_close(life.sealer);
        life.sealer = NULL;
        cr_assert(keep_life_stop(&life));
        check_all("steps", steps);
    }
    cr_assert_gt(cancelled, 4, "%u", cancelled);
}

static bool start_watching(const struct retention_rules *rules)
{
    if (!keep_life_start(&life))
        return false;
    keep_store_set_rules(life.store, rules);
    sealer_watch(life.sealer);
    return sim_world_run(life.world, LIMIT_SECOND_NS / 2);
}

// A disk that takes long for everything, so that the sealer sees within a merge that somebody else
// fills it up. False: a crash.
static bool merge_on_a_disk_that_fills_up(uint32_t *begun)
{
    struct sim_faults *faults = sim_world_faults(life.world);
    const int64_t ns_min = faults->disk_ns_min;
    const int64_t ns_max = faults->disk_ns_max;
    bool alive = true;
    *begun = 0;
    faults->disk_ns_min = faults->disk_ns_max = 3 * LIMIT_SECOND_NS / 10;
    sealer_merge_all(life.sealer);
    while (alive && sealer_counters(life.sealer).idle)
        alive = sim_world_step(life.world);
    leave_free(RESERVE_BYTES - SIM_SECTOR_BYTES);
    for (int i = 0; i < 80 && alive; i++) {
        alive = sim_world_run(life.world, LIMIT_SECOND_NS / 10);
        *begun += alive && look().unfinished > 0;
    }
    faults->disk_ns_min = ns_min;
    faults->disk_ns_max = ns_max;
    return alive;
}

Test(sealer_clear, a_merge_left_for_want_of_room_gives_its_own_back_and_goes_on_later)
{
    uint32_t begun;
    leave_segments(85);
    cr_assert(start_watching(&no_keep));
    run_until_idle();
    leave_free(2 * RESERVE_BYTES);
    cr_assert(merge_on_a_disk_that_fills_up(&begun));
    cr_assert_gt(begun, 0);
    cr_assert_eq(sealer_counters(life.sealer).merges, 0);
    cr_assert_eq(sealer_counters(life.sealer).failures, 0);
    cr_assert_eq(files_too_many(), 0);
    cr_assert_eq(io_free_bytes(life.sealer_io, "store"), RESERVE_BYTES - SIM_SECTOR_BYTES);
    leave_free(2 * RESERVE_BYTES);
    cr_assert(sim_world_run(life.world, 5 * LIMIT_SECOND_NS));
    cr_assert_gt(sealer_counters(life.sealer).merges, 0);
    cr_assert_eq(files_too_many(), 0);
    cr_assert(keep_life_stop(&life));
    check_all("low", 0);
}

// The sum of the smallest pair of a day and channel.
static uint64_t smallest_merge(void)
{
    const struct catalogue *listed = keep_store_catalogue(life.store);
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i + 1 < listed->segment_count; i++) {
        const struct catalogue_segment *one = &listed->segments[i];
        const struct catalogue_segment *two = one + 1;
        if (one->day == two->day && one->channel == two->channel &&
            one->bytes + two->bytes < least)
            least = one->bytes + two->bytes;
    }
    return least;
}

// What the merge would need is never taken from data, however often it could be tried.
Test(sealer_clear, a_merge_that_has_no_room_is_not_begun_and_begins_when_there_is)
{
    leave_segments(86);
    cr_assert(start_watching(&with_keep));
    run_until_idle();
    uint64_t segments = sealer_counters(life.sealer).segments;
    int64_t least = (int64_t)smallest_merge();
    cr_assert_lt(least, RESERVE_BYTES);
    leave_free(RESERVE_BYTES + least - 1);
    cr_assert_lt(io_free_bytes(life.sealer_io, "store"), RESERVE_BYTES + least);
    sealer_merge_all(life.sealer);
    for (int i = 0; i < 400; i++) {
        cr_assert(sim_world_run(life.world, LIMIT_SECOND_NS / 50));
        cr_assert_eq(look().unfinished, 0);
    }
    cr_assert(sealer_counters(life.sealer).idle);
    cr_assert_eq(sealer_counters(life.sealer).segments, segments);
    cr_assert_eq(sealer_counters(life.sealer).merges, 0);
    cr_assert_eq(sealer_counters(life.sealer).deleted, 0);
    cr_assert_eq(files_too_many(), 0);
    leave_free(2 * RESERVE_BYTES);
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    cr_assert_gt(sealer_counters(life.sealer).merges, 0);
    cr_assert(keep_life_stop(&life));
    check_all("room", 0);
}

// Also without a watch, as `ringtape seal` runs: it comes to its end, unmerged.
Test(sealer_clear, a_merge_without_room_does_not_keep_a_short_life_from_its_end)
{
    leave_segments(87);
    cr_assert(keep_life_start(&life));
    run_until_idle();
    leave_free(0);
    sealer_merge_all(life.sealer);
    cr_assert(sim_world_run(life.world, LIMIT_SECOND_NS / 2));
    cr_assert(sealer_counters(life.sealer).idle);
    cr_assert_eq(sealer_counters(life.sealer).failures, 0);
    cr_assert(keep_life_stop(&life));
    check_all("seal", 0);
}

// Any operation of the merges may fail once.
Test(sealer_clear, a_merge_that_fails_once_leaves_nothing_behind)
{
    static const enum io_kind kinds[] = {IO_WRITE, IO_FSYNC, IO_RENAME};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        uint32_t failures = 0;
        for (uint32_t skip = 0; skip < 16; skip++) {
            leave_segments(88);
            cr_assert(keep_life_start(&life));
            run_until_idle();
            sim_world_fail(life.world, kinds[k], skip, -EIO);
            sealer_merge_all(life.sealer);
            cr_assert(sim_world_run(life.world, 5 * LIMIT_SECOND_NS));
            cr_assert(sealer_counters(life.sealer).idle);
            cr_assert_gt(sealer_counters(life.sealer).merges, 0);
            failures += sealer_counters(life.sealer).failures > 0;
            cr_assert_eq(files_too_many(), 0, "kind %zu, skip %u", k, skip);
            cr_assert(keep_life_stop(&life));
            check_all("skip", skip);
        }
        cr_assert_gt(failures, 6, "kind %zu: %u", k, failures);
    }
}

static bool merging_life(uint64_t at)
{
    uint32_t begun;
    leave_segments(89);
    cr_assert(start_watching(&no_keep));
    run_until_idle();
    leave_free(2 * RESERVE_BYTES);
    sim_world_crash_at(life.world, sim_world_operations(life.world) + at);
    bool alive = merge_on_a_disk_that_fills_up(&begun) && keep_life_stop(&life);
    if (!alive)
        keep_life_crash(&life, at % 2 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
    check_all("crash at", at);
    return alive;
}

Test(sealer_clear, a_crash_at_any_operation_of_a_merge_that_is_left_loses_nothing)
{
    uint64_t at = 1;
    while (!merging_life(at))
        at++;
    cr_assert_gt(at, 8, "%lu", (unsigned long)at);
}
