// SPDX-License-Identifier: GPL-3.0-or-later
//
// The mirror where tapes have gone before they were mirrored, as on a full disk: their rows come
// from segments, which may be merged meanwhile, and no crash makes it forget a tape.
#include <criterion/criterion.h>

#include "format/mirror_state.h"
#include "mirror_life.h"

static struct mirror_life life;

static void end(void)
{
    cr_assert(mirror_life_finish(&life), "%s", life.why);
}

static uint32_t count_of(enum channel channel)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < life.broker.count; i++) count += life.broker.log[i].channel == channel;
    return count;
}

static void append_status(uint32_t count)
{
    struct event event;
    for (uint32_t i = 0; i < count; i++) {
        event_clear(&event, CHANNEL_STATUS, SYMBOL_NONE);
        event_set(&event, COLUMN_RECEIVE_TIME, 1767225600000000000ll + i);
        event_set(&event, COLUMN_FLAGS, 0);
        event_set(&event, STATUS_KIND, STATUS_STARTED);
        cr_assert(tape_writer_append(life.shard[0].writer, &event));
    }
}

// Rows of an outage whose tapes are sealed; while `keeps`, none goes and none is merged.
static void begin_outage(uint64_t seed, uint32_t shards, bool keeps, uint32_t tape_kilobytes)
{
    mirror_life_begin(&life, seed);
    life.batches = seed >= 1000;
    if (life.batches) life.queue_messages = 20;
    life.seals = true;
    life.tape_bytes = tape_kilobytes << 10;
    life.keeps_tapes = keeps;
    cr_assert(mirror_life_start(&life, shards));
    cr_assert(mirror_life_work(&life, 300));
    life.broker.down = true;
    for (int i = 0; i < 2; i++) { // on tapes of their own
        append_status(10);
        cr_assert(mirror_life_work(&life, 1500));
    }
    cr_assert(mirror_life_run(&life, 3000000000));
}

// Until it is among the rows of a tape that is gone.
static void read_to_the_middle(uint32_t rows)
{
    cr_assert_gt(mirror_life_lose_tapes(&life), 1);
    life.broker.down = false;
    uint32_t until = life.broker.count + rows;
    for (int i = 0; i < 100000 && life.broker.count < until; i++)
        cr_assert(mirror_life_run(&life, 20000));
    life.broker.down = true;
}

// Stops where the cursor is among the rows of a tape that is gone.
static void stop_in_the_middle(void)
{
    static struct mirror_state state;
    static char text[MIRROR_STATE_BYTES_MAX];
    read_to_the_middle(1400);
    cr_assert(mirror_life_stop(&life));
    cr_assert_lt(life.broker.count, 2500, "not yet all: %u", life.broker.count);
    int64_t size = sim_disk_read(life.world, "store/mirror/state", text, sizeof text, 0);
    cr_assert_gt(size, 0);
    cr_assert_eq(mirror_state_parse(&state, text, (size_t)size), 0);
    cr_assert_gt(state.cursor[CHANNEL_TRADE][0].rows, MIRROR_STATE_REMADE_ROW);
}

static void end_outage(void)
{
    life.broker.down = false;
    cr_assert(mirror_life_work(&life, 100));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    struct mirror_counters counters = mirror_counters(life.mirror);
    cr_assert_gt(counters.from_segments, 0);
    cr_assert_eq(counters.rows_lost, 0);
    cr_assert_geq(count_of(CHANNEL_STATUS), 20);
    end();
}

Test(mirror_gone, a_tape_that_is_gone_is_read_from_its_segments)
{
    begin_outage(30, 2, true, 16);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    end_outage();
}

// It stayed on such a tape for ever, and waited for its mark.
Test(mirror_gone, a_tape_may_be_opened_while_it_is_removed)
{
    begin_outage(33, 2, true, 16);
    mirror_life_lose_marks(&life);
    cr_assert(mirror_life_run(&life, 2000000000));
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    end_outage();
}

Test(mirror_gone, batches_of_a_tape_that_is_gone_are_made_of_its_segments)
{
    begin_outage(1030, 2, true, 16);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    end_outage();
}

Test(mirror_gone, tapes_that_went_are_known_after_a_restart)
{
    begin_outage(31, 3, true, 16);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    mirror_life_crash(&life, SIM_CRASH_KILL);
    cr_assert(mirror_life_start(&life, 1));
    end_outage();
    cr_assert_leq(count_of(CHANNEL_STATUS), 40, "those of one tape may come again");
}

static char kept_state[MIRROR_STATE_BYTES_MAX];

// An outage that the state on disk tells nothing of, as on a full disk; returns the state's size.
static int64_t begin_untold_outage(uint64_t seed)
{
    mirror_life_begin(&life, seed);
    life.seals = life.keeps_tapes = true;
    life.tape_bytes = 16 << 10;
    cr_assert(mirror_life_start(&life, 2));
    cr_assert(mirror_life_work(&life, 300));
    cr_assert(mirror_life_run(&life, 3000000000));
    const int64_t size =
        sim_disk_read(life.world, "store/mirror/state", kept_state, sizeof kept_state, 0);
    cr_assert_gt(size, 0);
    life.broker.down = true;
    append_status(20);
    cr_assert(mirror_life_work(&life, 1500));
    cr_assert(mirror_life_run(&life, 3000000000));
    return size;
}

static void crash_untold(int64_t size)
{
    mirror_life_crash(&life, SIM_CRASH_KILL);
    sim_disk_truncate(life.world, "store/mirror/state", 0);
    sim_disk_write(life.world, "store/mirror/state", kept_state, (uint32_t)size, 0);
}

Test(mirror_gone, tapes_that_went_before_the_state_told_of_them_are_found)
{
    const int64_t size = begin_untold_outage(34);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    crash_untold(size);
    cr_assert(mirror_life_start(&life, 1));
    end_outage();
}

// A quiet shard begins tapes long after others have begun ones of higher numbers.
Test(mirror_gone, tapes_in_reserve_are_known_when_they_have_come_and_gone)
{
    mirror_life_begin(&life, 39);
    life.seals = life.keeps_tapes = true;
    life.tape_bytes = 16 << 10;
    cr_assert(mirror_life_start(&life, 2));
    for (int i = 0; i < 30; i++) { // of the first shard alone
        append_status(40);
        cr_assert(mirror_life_run(&life, 100000000));
    }
    cr_assert(mirror_life_run(&life, 3000000000));
    const int64_t size =
        sim_disk_read(life.world, "store/mirror/state", kept_state, sizeof kept_state, 0);
    cr_assert_gt(size, 0);
    const uint32_t next = keep_store_catalogue(life.store)->next_tape;
    cr_assert_geq(next, 4, "2 and 4 are the second shard's: %u", next);
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 1500));
    cr_assert(mirror_life_run(&life, 3000000000));
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    crash_untold(size);
    cr_assert(mirror_life_start(&life, 1));
    end_outage();
}

// They have no shard that could be noted: the state saved next told of newer ones alone.
Test(mirror_gone, tapes_found_in_the_catalogue_are_known_after_the_next_crash_as_well)
{
    const int64_t size = begin_untold_outage(37);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    crash_untold(size);
    for (int i = 0; i < 2; i++) {
        cr_assert(mirror_life_start(&life, 2));
        cr_assert(mirror_life_work(&life, 20));
        cr_assert(mirror_life_run(&life, 3000000000));
        mirror_life_crash(&life, SIM_CRASH_KILL);
    }
    cr_assert(mirror_life_start(&life, 1));
    end_outage();
}

// Else their segments are neither merged nor deleted before the start after next.
Test(mirror_gone, numbers_of_tapes_that_are_past_are_done_at_a_start)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    mirror_life_begin(&life, 38);
    life.seals = true;
    life.tape_bytes = 16 << 10;
    cr_assert(mirror_life_start(&life, 2));
    cr_assert(mirror_life_work(&life, 3000));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert(mirror_life_run(&life, 3000000000));
    cr_assert(mirror_life_stop(&life));
    cr_assert(mirror_life_start(&life, 2));
    uint32_t gone = 0;
    const uint32_t next = keep_store_catalogue(life.store)->next_tape;
    for (uint32_t tape = 1; tape < next; tape++) {
        keep_store_tape_path(life.store, tape, "tape", path);
        const bool there = sim_disk_size(life.world, path) >= 0;
        gone += !there;
        cr_assert(there || mirror_tape_done(life.mirror, tape), "%u of %u", tape, next);
    }
    cr_assert_gt(gone, 5);
    end();
}

static bool state_is_kept(int64_t size)
{
    static char state[MIRROR_STATE_BYTES_MAX];
    return sim_disk_read(life.world, "store/mirror/state", state, sizeof state, 0) == size &&
           memcmp(state, kept_state, (size_t)size) == 0;
}

// The state saved next told of newer ones only: those found at the start, which no topic had come
// to yet, went unseen.
Test(mirror_gone, tapes_found_at_a_start_are_known_when_they_have_gone)
{
    const int64_t size = begin_untold_outage(35);
    crash_untold(size);
    life.queue_messages = 50; // all topics wait at the first tape for a second
    cr_assert(mirror_life_start(&life, 2));
    cr_assert(mirror_life_work(&life, 20));
    while (state_is_kept(size)) cr_assert(mirror_life_run(&life, 10000000));
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    mirror_life_crash(&life, SIM_CRASH_KILL);
    cr_assert(mirror_life_start(&life, 1));
    end_outage();
}

Test(mirror_gone, a_restart_in_the_middle_of_a_tape_that_is_gone)
{
    begin_outage(32, 1, true, 48);
    stop_in_the_middle();
    cr_assert(mirror_life_start(&life, 2));
    end_outage();
    uint32_t trades = count_of(CHANNEL_TRADE);
    cr_assert_leq(trades, 3400 + 700, "%u came, at most a tape of them again", trades);
}

Test(mirror_gone, segments_of_tapes_that_are_gone_may_be_merged)
{
    begin_outage(33, 2, false, 16);
    cr_assert(mirror_life_stop(&life));
    cr_assert(mirror_life_start(&life, 2));
    sealer_merge_all(life.sealer);
    cr_assert(mirror_life_run(&life, 5000000000));
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    bool merged = false;
    for (uint32_t i = 0; i < catalogue->segment_count; i++)
        merged = merged || catalogue->segments[i].tape_first != catalogue->segments[i].tape_last;
    cr_assert(merged);
    end_outage();
    cr_assert_leq(count_of(CHANNEL_STATUS), 40, "they tell their tape: %u",
                  count_of(CHANNEL_STATUS));
}

static void merge_segments(void)
{
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    uint32_t segments = catalogue->segment_count;
    sealer_merge_all(life.sealer);
    cr_assert(mirror_life_run(&life, 5000000000));
    cr_assert_lt(catalogue->segment_count, segments);
}

// A merge between two parts of a tape: its rows are numbered anew.
Test(mirror_gone, segments_are_merged_while_they_are_read)
{
    begin_outage(34, 1, true, 48);
    stop_in_the_middle();
    life.keeps_tapes = false;
    cr_assert(mirror_life_start(&life, 1));
    merge_segments();
    end_outage();
}

// Numbers of rows that batches had before must not be given to others: who takes rows of a tape
// from the next number on would miss these.
static void merge_between_two_batches(uint64_t seed, bool restart)
{
    begin_outage(seed, 1, true, 48);
    cr_assert_gt(mirror_life_lose_tapes(&life), 1);
    life.ends_behind_block = life.broker.one_by_one = true;
    life.broker.down = false;
    for (int i = 0; i < 100000 && !life.broker.down; i++)
        cr_assert(mirror_life_run(&life, 20000));
    life.ends_behind_block = life.broker.one_by_one = false;
    if (restart) {
        cr_assert(mirror_life_stop(&life));
        cr_assert(mirror_life_start(&life, 1));
    }
    life.releases = true;
    merge_segments();
    end_outage();
}

Test(mirror_gone, segments_are_merged_between_two_batches)
{
    merge_between_two_batches(1034, false);
    merge_between_two_batches(1035, true);
}

// The same without a restart: the mirror comes back to a segment that is no more.
Test(mirror_gone, segments_are_merged_between_two_reads)
{
    begin_outage(35, 1, true, 48);
    read_to_the_middle(1400);
    life.releases = true;
    merge_segments();
    end_outage();
    cr_assert_leq(count_of(CHANNEL_TRADE), 3400 + 4 * 3000, "of each tape all that is merged");
}

// Its messages were queued under no shard, its end under the one that was noted: so the topic was
// past it while they were under way, and a crash lost them.
Test(mirror_gone, what_is_under_way_of_a_tape_with_a_damaged_header_is_not_delivered_yet)
{
    static const uint8_t nothing[4096];
    mirror_life_begin(&life, 36);
    cr_assert(mirror_life_start(&life, 1));
    life.broker.down = true;
    append_status(200); // more than may be under way: its topic stays on the tape
    cr_assert(mirror_life_work(&life, 100));
    cr_assert(mirror_life_run(&life, 3000000000)); // the state knows the tape and its shard
    mirror_life_crash(&life, SIM_CRASH_KILL);
    sim_disk_write(life.world, "store/tape/00000001.tape", nothing, sizeof nothing, 0);
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_run(&life, 8000000000));
    cr_assert_eq(mirror_counters(life.mirror).in_flight, 250);
    mirror_life_crash(&life, SIM_CRASH_KILL);
    life.broker.down = false;
    cr_assert(mirror_life_start(&life, 1));
    end();
}
