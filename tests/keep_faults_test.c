// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a store does when something particular is wrong: one fault a test, in the simulator.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/catalogue.h"
#include "format/layout.h"
#include "keep_life.h"

static struct keep_life life;

static void tape_path(uint32_t tape, const char *ending, char path[64])
{
    (void)snprintf(path, 64, "store/tape/%08u.%s", tape, ending);
}

static uint32_t rows_seen(void)
{
    uint32_t seen = 0;
    for (uint64_t n = 1; n <= life.appended; n++)
        seen += life.seen[n] == 1;
    return seen;
}

static void overwrite(const char *path, int64_t offset, uint32_t size, uint8_t value)
{
    uint8_t bytes[2 * LAYOUT_SECTOR];
    cr_assert_leq(size, sizeof bytes);
    memset(bytes, value, size);
    cr_assert_geq(sim_disk_size(life.world, path), offset + (int64_t)size, "%s", path);
    sim_disk_write(life.world, path, bytes, size, offset);
}

// ---- rolling ----

static uint32_t tapes_of_a_minute(void)
{
    for (int i = 0; i < 600; i++) {
        cr_assert(keep_life_work(&life, 1));
        cr_assert(sim_world_run(life.world, 100000000 - 6000000));
    }
    return (uint32_t)tape_writer_counters(life.writer).tapes;
}

Test(keep_faults, a_tape_lives_its_whole_age_however_long_it_waited)
{
    keep_life_begin(&life, 11);
    life.without_sealer = true;
    life.tape_bytes = 1 << 20;
    life.tape_age_ns = 10000000000;
    cr_assert(keep_life_start(&life));
    uint32_t tapes = tapes_of_a_minute();
    cr_assert(tapes >= 5 && tapes <= 7, "%u tapes", tapes);
    cr_assert(keep_life_stop(&life));
    keep_life_end(&life);
}

Test(keep_faults, midnight_begins_one_tape)
{
    keep_life_begin(&life, 12);
    life.without_sealer = true;
    life.tape_bytes = 1 << 20;
    sim_world_step_clock(life.world, (24 * 3600 - 30) * 1000000000ll);
    cr_assert(keep_life_start(&life));
    cr_assert_eq(tapes_of_a_minute(), 2);
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    keep_life_end(&life);
}

// ---- writes that fail ----

// A thin feed rewrites the last sector; the write that fails may be any revision of it.
static void thin_life(uint32_t skip, bool without_sealer)
{
    keep_life_begin(&life, 13);
    life.without_sealer = without_sealer;
    cr_assert(keep_life_start(&life));
    sim_world_fail(life.world, IO_WRITE, skip, -EIO);
    for (int i = 0; i < 40; i++) {
        cr_assert(keep_life_work(&life, 1));
        cr_assert(sim_world_run(life.world, 20000000));
    }
    cr_assert(keep_life_stop(&life));
    life.without_sealer = false;
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "write %u fails: %s", skip, life.why);
    cr_assert_eq(rows_seen(), 40, "write %u fails: %u rows", skip, rows_seen());
    keep_life_end(&life);
}

Test(keep_faults, any_write_of_a_thin_feed_may_fail)
{
    for (uint32_t skip = 0; skip < 60; skip++)
        thin_life(skip, skip % 2 == 0);
}

// ---- the closing mark ----

// The greatest counter of the mark's slots.
static uint64_t mark_counter(uint32_t tape)
{
    char path[64];
    struct layout_mark slots[2];
    tape_path(tape, "mark", path);
    cr_assert_eq(sim_disk_read(life.world, path, slots, sizeof slots, 0), sizeof slots);
    return slots[0].counter > slots[1].counter ? slots[0].counter : slots[1].counter;
}

// A slot whose write failed is never written again, not even where the other one failed, too: the
// tape ends unmarked, and all its rows come back.
Test(keep_faults, no_slot_of_a_mark_is_tried_twice)
{
    for (uint32_t failing = 1; failing <= 4; failing++) {
        keep_life_begin(&life, 24 + failing);
        life.without_sealer = true;
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 200));
        cr_assert(sim_world_run(life.world, 3000000000)); // the mark tells all
        uint32_t tape = tape_writer_counters(life.writer).tape;
        uint64_t counter = mark_counter(tape);
        cr_assert_gt(counter, 0);
        for (uint32_t i = 0; i < failing; i++)
            sim_world_fail(life.world, IO_WRITE, 0, -EIO);
        cr_assert(keep_life_stop(&life));
        cr_assert_leq(mark_counter(tape), counter + 2, "%u failing", failing);
        life.without_sealer = false;
        sim_world_forgive(life.world);
        cr_assert(keep_life_settle(&life));
        cr_assert(keep_life_check(&life), "%u failing: %s", failing, life.why);
        cr_assert_eq(rows_seen(), 200);
        keep_life_end(&life);
    }
}

// A mark that failed while the tape was written leaves one slot to the closing mark.
Test(keep_faults, the_closing_mark_takes_the_slot_that_never_failed)
{
    keep_life_begin(&life, 23);
    life.without_sealer = true;
    cr_assert(keep_life_start(&life));
    cr_assert(sim_world_run(life.world, 500000000));
    cr_assert(keep_life_work(&life, 40));
    cr_assert(sim_world_run(life.world, 100000000));
    sim_world_fail(life.world, IO_WRITE, 0, -EIO); // the first mark
    cr_assert(sim_world_run(life.world, 1000000000));
    uint32_t tape = tape_writer_counters(life.writer).tape;
    cr_assert_eq(tape_writer_counters(life.writer).tapes, 1, "a mark's failure ends no tape");
    cr_assert(keep_life_work(&life, 40));
    cr_assert(sim_world_run(life.world, 5000000000)); // no mark any more
    cr_assert(keep_life_stop(&life));
    cr_assert_eq(mark_counter(tape), 2);
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen(), 80);
    keep_life_end(&life);
}

// The write that ends a tape fails, then two more, whatever they are: marks, headers, rows.
Test(keep_faults, three_writes_fail_one_after_another)
{
    for (uint32_t skip = 0; skip < 24; skip++) {
        for (uint32_t gaps = 0; gaps < 9; gaps++) {
            keep_life_begin(&life, 28);
            life.without_sealer = gaps % 2 == 0;
            cr_assert(keep_life_start(&life));
            sim_world_fail(life.world, IO_WRITE, skip, -EIO);
            sim_world_fail(life.world, IO_WRITE, skip + gaps % 3, -EIO);
            sim_world_fail(life.world, IO_WRITE, skip + gaps % 3 + gaps / 3, -EIO);
            for (int i = 0; i < 20; i++) {
                cr_assert(keep_life_work(&life, 2));
                cr_assert(sim_world_run(life.world, 20000000));
            }
            cr_assert(keep_life_stop(&life));
            life.without_sealer = false;
            sim_world_forgive(life.world);
            cr_assert(keep_life_settle(&life), "writes %u, %u", skip, gaps);
            cr_assert(keep_life_check(&life), "writes %u, %u: %s", skip, gaps, life.why);
            cr_assert_eq(rows_seen() + life.refused, 40, "writes %u, %u", skip, gaps);
            keep_life_end(&life);
        }
    }
}

// ---- a disk that is full ----

// Rows that the model does not count; how many were refused.
static uint64_t append_tickers(uint32_t count)
{
    static struct event event;
    uint64_t refused = 0;
    event_clear(&event, CHANNEL_TICKER, 0);
    for (uint32_t i = 0; i < count; i++) {
        event_set(&event, COLUMN_RECEIVE_TIME, 1767225600000000000ll + i);
        refused += !tape_writer_append(life.writer, &event);
    }
    return refused;
}

Test(keep_faults, a_full_disk_refuses_rows_and_says_so_when_there_is_room_again)
{
    keep_life_begin(&life, 14);
    life.without_sealer = true; // nothing frees space
    sim_disk_capacity(life.world, 512 << 10);
    cr_assert(keep_life_start(&life));
    cr_assert(keep_life_work(&life, 3000));
    uint64_t refused = 0;
    for (int i = 0; i < 100 && refused == 0; i++) {
        refused = append_tickers(500);
        cr_assert(sim_world_run(life.world, 20000000));
    }
    cr_assert_gt(refused, 0);
    sim_disk_capacity(life.world, 1 << 30);
    cr_assert(sim_world_run(life.world, 3000000000));
    cr_assert(keep_life_work(&life, 50));
    cr_assert_eq(tape_writer_counters(life.writer).rows_refused, refused + life.refused);
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen() + life.refused, life.appended);
    cr_assert_eq(life.told_lost, refused + life.refused);
    keep_life_end(&life);
}

// Refused rows are told even when nothing comes any more.
Test(keep_faults, a_full_disk_is_told_at_the_stop_too)
{
    keep_life_begin(&life, 19);
    life.without_sealer = true;
    sim_disk_capacity(life.world, 512 << 10);
    cr_assert(keep_life_start(&life));
    cr_assert(keep_life_work(&life, 3000));
    uint64_t refused = 0;
    for (int i = 0; i < 100 && refused == 0; i++) {
        refused = append_tickers(500);
        cr_assert(sim_world_run(life.world, 20000000));
    }
    sim_disk_capacity(life.world, 1 << 30);
    cr_assert(sim_world_run(life.world, 3000000000));
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(life.told_lost, refused);
    keep_life_end(&life);
}

// A device that wants direct writes aligned to more than a sector is written without them.
Test(keep_faults, a_device_with_larger_sectors_works)
{
    keep_life_begin(&life, 22);
    sim_disk_alignment(life.world, 4 * SIM_SECTOR_BYTES);
    cr_assert(keep_life_start(&life));
    cr_assert(keep_life_work(&life, 1500));
    cr_assert_eq(tape_writer_counters(life.writer).failures, 0);
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen(), life.appended);
    keep_life_end(&life);
}

// ---- damaged tapes ----

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

// Acknowledged rows are known to be lost, so the model must not ask for them.
static void forgive(void)
{
    memset(life.acknowledged, 0, sizeof life.acknowledged);
}

Test(keep_faults, a_damaged_tape_gives_the_rest_and_is_kept)
{
    char path[64];
    leave_tapes(15);
    tape_path(1, "tape", path);
    overwrite(path, 5 * LAYOUT_SECTOR, 2 * LAYOUT_SECTOR, 0xa5);
    cr_assert(keep_life_settle(&life));
    forgive();
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_lt(rows_seen(), life.appended);
    cr_assert_gt(rows_seen(), life.appended / 2);
    cr_assert_eq(sim_disk_size(life.world, path), -ENOENT);
    cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000001.tape"), 0);
    cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000001.mark"), 0);
    keep_life_end(&life);
}

// Zeros where the header was are no tape that was never used.
Test(keep_faults, a_tape_that_lost_its_header_is_not_thrown_away)
{
    static const struct {
        uint32_t size;
        bool mark;
    } cases[] = {
        {1, true}, {LAYOUT_SECTOR, true}, {2 * LAYOUT_SECTOR, true}, {LAYOUT_SECTOR, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];
        leave_tapes(16);
        tape_path(2, "tape", path);
        overwrite(path, 0, cases[i].size, 0);
        tape_path(2, "mark", path);
        if (!cases[i].mark)
            overwrite(path, 0, 2 * LAYOUT_SECTOR, 0);
        cr_assert(keep_life_settle(&life));
        forgive();
        cr_assert(keep_life_check(&life), "%s", life.why);
        cr_assert_gt(sim_disk_size(life.world, "store/quarantine/00000002.tape"), 0, "case %zu", i);
        if (cases[i].size <= LAYOUT_SECTOR) // its batches are whole
            cr_assert_eq(rows_seen(), life.appended, "case %zu", i);
        keep_life_end(&life);
    }
}

// A tape whose file cannot be opened, however often it is tried.
Test(keep_faults, an_unreadable_tape_does_not_hold_up_the_others)
{
    keep_life_begin(&life, 17);
    cr_assert(keep_life_start(&life));
    keep_store_retire(life.store, 4000000);
    cr_assert(keep_life_work(&life, 1500));
    cr_assert(sim_world_run(life.world, 20000000000));
    struct sealer_counters counters = sealer_counters(life.sealer);
    cr_assert_geq(counters.failures, 4);
    cr_assert_geq(counters.tapes, 1);
    cr_assert(keep_life_stop(&life));
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen(), life.appended);
    keep_life_end(&life);
}

// ---- merging ----

// Any file may be missing once while all is merged: what concerns others goes on.
Test(keep_faults, a_missing_file_does_not_stop_all_merging)
{
    for (uint32_t skip = 0; skip < 8; skip++) {
        keep_life_begin(&life, 18);
        for (int sitting = 0; sitting < 3; sitting++) {
            cr_assert(keep_life_start(&life));
            cr_assert(keep_life_work(&life, 200));
            cr_assert(keep_life_stop(&life));
        }
        cr_assert(keep_life_start(&life));
        sim_world_fail(life.world, IO_OPEN, skip, -ENOENT);
        sealer_merge_all(life.sealer);
        for (int i = 0; i < 100000 && !sealer_counters(life.sealer).idle; i++)
            cr_assert(sim_world_step(life.world));
        cr_assert(sealer_counters(life.sealer).idle, "open %u fails", skip);
        cr_assert(keep_life_stop(&life));
        cr_assert(keep_life_check(&life), "open %u fails: %s", skip, life.why);
        cr_assert_eq(rows_seen(), life.appended);
        keep_life_end(&life);
    }
}

// ---- leftovers ----

// A file of segment/2025-12-31/ that a crash may leave, or that is none of ours; does a start
// remove it? %u: a number that was given, and is no segment any more.
static const struct {
    const char *name;
    bool removed;
} leftovers[] = {
    {"trade-%08u.segment", true},      {"trade-%08u.index", true},
    {"depth-%08u.segment.new", true},  {"depth-90000002.index.new", true},
    {"trade-90000000.segment", false}, {"notes-%u.txt", false},
    {"-.segment", false},
};

static uint32_t number_merged_away(void)
{
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    for (uint32_t number = 1; number < catalogue->next_segment; number++) {
        bool listed = false;
        for (uint32_t i = 0; i < catalogue->segment_count; i++)
            listed = listed || catalogue->segments[i].number == number;
        if (!listed)
            return number;
    }
    cr_assert(false, "nothing was merged");
    return 0;
}

static void leftover_path(size_t i, uint32_t number, char path[128])
{
    (void)strcpy(path, "store/segment/2025-12-31/");
    size_t size = strlen(path);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(path + size, 128 - size, leftovers[i].name, number);
#pragma GCC diagnostic pop
}

Test(keep_faults, leftovers_of_a_crash_are_removed_at_the_next_start)
{
    char path[128];
    keep_life_begin(&life, 20);
    for (int sitting = 0; sitting < 3; sitting++) {
        cr_assert(keep_life_start(&life));
        cr_assert(keep_life_work(&life, 300));
        cr_assert(keep_life_stop(&life));
    }
    cr_assert(keep_life_settle(&life));
    cr_assert(keep_life_start(&life));
    uint32_t number = number_merged_away();
    cr_assert(keep_life_stop(&life));
    for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
        leftover_path(i, number, path);
        sim_disk_write(life.world, path, "x", 1, 0);
    }
    cr_assert(keep_life_start(&life));
    cr_assert(keep_life_stop(&life));
    for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
        leftover_path(i, number, path);
        cr_assert_eq(sim_disk_size(life.world, path), leftovers[i].removed ? -ENOENT : 1, "%s",
                     path);
    }
    cr_assert(keep_life_check(&life), "%s", life.why);
    cr_assert_eq(rows_seen(), life.appended);
    keep_life_end(&life);
}

static void count_file(void *context, const char *name)
{
    (void)name;
    ++*(uint32_t *)context;
}

// Whatever the crash, what is in segment/ afterwards is what the catalogue lists.
Test(keep_faults, no_crash_leaves_files_for_ever)
{
    for (uint64_t at = 20; at < 400; at += 7) {
        keep_life_begin(&life, 21);
        sim_world_crash_at(life.world, at);
        if (!(keep_life_start(&life) && keep_life_work(&life, 900) && keep_life_stop(&life)))
            keep_life_crash(&life, SIM_CRASH_POWER);
        sim_world_crash_at(life.world, 0);
        cr_assert(keep_life_settle(&life));
        cr_assert(keep_life_start(&life)); // numbers of a sealing cut short are given by now
        uint32_t files = 0;
        uint32_t listed = keep_store_catalogue(life.store)->segment_count;
        (void)io_list(life.shard_io, "store/segment/2025-12-31", count_file, &files);
        (void)io_list(life.shard_io, "store/segment/2026-01-01", count_file, &files);
        cr_assert_eq(files, 2 * listed, "crash at %lu", (unsigned long)at);
        cr_assert_eq(keep_store_catalogue(life.store)->tape_count, 0);
        cr_assert(keep_life_stop(&life));
        keep_life_end(&life);
    }
}
