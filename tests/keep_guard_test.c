// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: a mirror that is behind finds every row once, whether its tape is still there or had to go
// for want of room. Method: a model mirror over simulated lives. It reads a tape while it is there,
// else the segments of that tape; disks fill up, machines crash at every operation.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "format/catalogue.h"
#include "keep_life.h"

static struct keep_life life;

// The mirror has dealt with the tapes below `cursor`.
static uint32_t cursor;

static bool segment_released(void *context, const struct catalogue_segment *segment)
{
    return segment->tape_last < *(const uint32_t *)context;
}

static bool tape_released(void *context, uint32_t tape)
{
    return tape < *(const uint32_t *)context;
}

static const struct retention_guard guard = {
    .released = segment_released, .tape_released = tape_released, .context = &cursor};

enum { RESERVE_BYTES = 8 << 20, TAPE_BYTES = 256 << 10, FIRST_TAPES = 12 };
static const struct retention_rules rules = {.reserve_bytes = RESERVE_BYTES};

static bool tape_exists(uint32_t tape)
{
    char path[64];
    (void)snprintf(path, sizeof path, "store/tape/%08u.tape", tape);
    return sim_disk_size(life.world, path) >= 0;
}

// Tapes that are sealed and still there; 0: none.
static uint32_t tapes_kept(void)
{
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < catalogue->tape_count; i++)
        kept += tape_exists(catalogue->tapes[i]);
    return kept;
}

static void run_until_idle(void)
{
    for (int i = 0; i < 1000000 && !sealer_counters(life.sealer).idle; i++)
        cr_assert(sim_world_step(life.world));
    cr_assert(sealer_counters(life.sealer).idle);
}

// FIRST_TAPES tapes, sealed, none of them released.
static void begin(uint64_t seed)
{
    cursor = 1;
    keep_life_begin(&life, seed);
    life.tape_bytes = TAPE_BYTES;
    life.guard = &guard;
    sim_disk_capacity(life.world, 64 << 20);
    for (uint32_t i = 0; i < FIRST_TAPES; i++) {
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 60));
        cr_assert(keep_life_stop(&life));
    }
    cr_assert(keep_life_start(&life));
    run_until_idle();
    cr_assert_geq(tapes_kept(), FIRST_TAPES);
}

static void end(void)
{
    cr_assert(keep_life_stop(&life));
    sim_disk_capacity(life.world, 1ll << 30);
    cr_assert(keep_life_settle(&life)); // what was told while stopping
    memset(life.seen, 0, sizeof life.seen);
    cr_assert(keep_life_check(&life), "%s", life.why);
    keep_life_end(&life);
}

// The mirror goes on to `next`; how many tapes it had to read from segments.
static uint32_t mirror_until(uint32_t next)
{
    uint32_t from_segments = 0;
    for (; cursor < next; cursor++) {
        bool gone;
        cr_assert(keep_life_mirror(&life, cursor, &gone), "%s", life.why);
        from_segments += gone;
    }
    return from_segments;
}

static void check_mirrored(void)
{
    for (uint64_t n = 1; n <= life.appended; n++) {
        cr_assert_leq(life.seen[n], 1, "row %lu twice", (unsigned long)n);
        cr_assert(life.seen[n] == 1 || !life.acknowledged[n], "row %lu lost", (unsigned long)n);
    }
}

// Free space becomes `free_bytes`.
static void leave_free(int64_t free_bytes)
{
    sim_disk_capacity(life.world, 1ll << 30);
    int64_t used = (1ll << 30) - io_free_bytes(life.sealer_io, "store");
    sim_disk_capacity(life.world, used + free_bytes);
    cr_assert_eq(io_free_bytes(life.sealer_io, "store"), free_bytes);
}

static void watch(void)
{
    keep_store_set_rules(life.store, &rules);
    sealer_watch(life.sealer);
}

// ---- while there is room ----

Test(keep_guard, a_sealed_tape_stays_until_the_mirror_has_it)
{
    begin(70);
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    uint32_t kept = tapes_kept();
    cr_assert_eq(kept, catalogue->tape_count);
    cr_assert_eq(sealer_counters(life.sealer).tapes_kept, kept);
    cr_assert(keep_life_stop(&life)); // and stays over a restart
    cr_assert(keep_life_check(&life), "%s", life.why); // readers see its rows once
    memset(life.seen, 0, sizeof life.seen);
    cr_assert(keep_life_start(&life));
    run_until_idle();
    cr_assert_eq(tapes_kept(), kept);
    cr_assert_eq(keep_store_waiting(life.store), 0);
    catalogue = keep_store_catalogue(life.store);
    uint32_t middle = catalogue->tapes[kept / 2];
    watch();
    cr_assert_eq(mirror_until(middle), 0);
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    catalogue = keep_store_catalogue(life.store);
    cr_assert_eq(catalogue->tapes[0], middle); // those before it went, those behind stay
    cr_assert_eq(tapes_kept(), catalogue->tape_count);
    cr_assert_not(tape_exists(middle - 1));
    cr_assert_eq(mirror_until(catalogue->next_tape), 0);
    check_mirrored();
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    cr_assert_eq(tapes_kept(), 0);
    cr_assert_eq(sealer_counters(life.sealer).tapes_pressed, 0);
    end();
}

// The rows of a tape that is not mirrored lie in segments of that tape alone.
Test(keep_guard, segments_are_merged_when_their_tapes_are_mirrored)
{
    begin(71);
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    sealer_merge_all(life.sealer);
    run_until_idle();
    cr_assert_eq(sealer_counters(life.sealer).merges, 0);
    uint32_t segments = catalogue->segment_count;
    cursor = catalogue->next_tape;
    watch();
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    run_until_idle();
    cr_assert_gt(sealer_counters(life.sealer).merges, 0);
    cr_assert_lt(catalogue->segment_count, segments);
    end();
}

// ---- on a full disk ----

Test(keep_guard, as_many_of_the_oldest_tapes_go_as_the_reserve_needs)
{
    begin(72);
    uint32_t kept = tapes_kept();
    uint32_t oldest = keep_store_catalogue(life.store)->tapes[0];
    leave_free(RESERVE_BYTES - 3 * TAPE_BYTES - TAPE_BYTES / 2);
    watch();
    cr_assert(sim_world_run(life.world, 20 * LIMIT_SECOND_NS));
    cr_assert_eq(tapes_kept(), kept - 4); // three and a half, and their marks
    cr_assert_eq(sealer_counters(life.sealer).tapes_pressed, 4);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_not(tape_exists(oldest + i));
    cr_assert(tape_exists(oldest + 4));
    cr_assert_eq(keep_store_paused(life.store), 0);
    cr_assert_eq(mirror_until(keep_store_catalogue(life.store)->next_tape), 4);
    check_mirrored();
    end();
}

// First what `keep` allows to delete and the mirror has; a tape only when that is gone.
Test(keep_guard, data_goes_before_tapes)
{
    static const struct retention_rules with_keep = {.all.age_ns = 900 * 24 * LIMIT_HOUR_NS,
                                                     .reserve_bytes = RESERVE_BYTES};
    begin(73);
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    uint32_t middle = catalogue->tapes[FIRST_TAPES - 2]; // behind the first day
    (void)mirror_until(middle);
    uint32_t segments = catalogue->segment_count;
    uint32_t later = catalogue->tape_count - (FIRST_TAPES - 2);
    leave_free(RESERVE_BYTES / 2);
    keep_store_set_rules(life.store, &with_keep);
    sealer_watch(life.sealer);
    uint32_t least = segments;
    while (tapes_kept() >= later && sim_world_step(life.world)) {
        if (tapes_kept() == later)
            least = catalogue->segment_count;
    }
    cr_assert_lt(least, segments);
    for (uint32_t i = 0; i < catalogue->segment_count; i++)
        cr_assert_geq(catalogue->segments[i].tape_last, middle);
    (void)mirror_until(catalogue->next_tape);
    check_mirrored();
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

// No room at all, tapes to be sealed and tapes to spare: these go first, then those are sealed.
Test(keep_guard, sealing_goes_on_in_the_room_of_spare_tapes)
{
    begin(74);
    cr_assert(keep_life_stop(&life));
    life.without_sealer = true;
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 60));
        cr_assert(keep_life_stop(&life));
    }
    life.without_sealer = false;
    cr_assert(keep_life_start(&life));
    leave_free(0);
    watch();
    cr_assert(sim_world_run(life.world, 30 * LIMIT_SECOND_NS));
    cr_assert_eq(keep_store_waiting(life.store), 0);
    cr_assert_geq(sealer_counters(life.sealer).tapes, 3);
    cr_assert_gt(sealer_counters(life.sealer).tapes_pressed, 0);
    cr_assert_gt(mirror_until(keep_store_catalogue(life.store)->next_tape), 0);
    check_mirrored();
    end();
}

// ---- trouble ----

Test(keep_guard, a_tape_that_cannot_be_deleted_is_tried_again_a_second_later)
{
    begin(75);
    watch();
    uint32_t kept = tapes_kept();
    cursor = keep_store_catalogue(life.store)->next_tape;
    sim_world_fail(life.world, IO_UNLINK, 0, -EIO);
    cr_assert(sim_world_run(life.world, LIMIT_SECOND_NS / 2));
    cr_assert_eq(tapes_kept(), kept);
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    cr_assert_eq(tapes_kept(), 0);
    end();
}

// A mirror that goes on now and then, on a disk that fills up, with a crash at one operation.
static bool lagging_life(uint64_t at)
{
    cursor = 1;
    keep_life_begin(&life, 76);
    life.tape_bytes = 64 << 10;
    life.guard = &guard;
    life.rules = &rules;
    sim_disk_capacity(life.world, RESERVE_BYTES + (700 << 10));
    sim_world_crash_at(life.world, at);
    bool alive = true;
    for (uint32_t sitting = 0; sitting < 3 && alive; sitting++)
        alive = keep_life_start(&life) && keep_life_work(&life, 150) &&
                sim_world_run(life.world, 2 * LIMIT_SECOND_NS) && keep_life_stop(&life);
    if (!alive)
        keep_life_crash(&life, at % 2 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
    sim_world_crash_at(life.world, 0);
    cr_assert(keep_life_start(&life));
    run_until_idle();
    (void)mirror_until(keep_store_catalogue(life.store)->next_tape / 2);
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    run_until_idle();
    (void)mirror_until(keep_store_catalogue(life.store)->next_tape);
    check_mirrored();
    cr_assert(sim_world_run(life.world, 3 * LIMIT_SECOND_NS));
    cr_assert_eq(tapes_kept(), 0, "crash at %lu", (unsigned long)at);
    end();
    return alive;
}

Test(keep_guard, a_lagging_mirror_loses_nothing_by_a_crash_at_any_operation)
{
    uint64_t at = 1;
    while (!lagging_life(at))
        at++;
    cr_assert_gt(at, 100);
}
