// SPDX-License-Identifier: GPL-3.0-or-later
//
// The mirror in the simulated world: everything durable arrives, in order, whatever the broker, the
// disk and the machine do.
#include <criterion/criterion.h>

#include "base/limits.h"
#include "format/mirror_letter.h"
#include "format/mirror_state.h"
#include "mirror_life.h"

static struct mirror_life life;

static void start(uint64_t seed, uint32_t shards)
{
    mirror_life_begin(&life, seed);
    life.batches = seed >= 1000;
    if (life.batches) life.queue_messages = 20; // a batch has many rows
    cr_assert(mirror_life_start(&life, shards));
}

static void end(void)
{
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert(mirror_life_check(&life), "%s", life.why);
    cr_assert(mirror_life_stop(&life));
    mirror_life_end(&life);
}

Test(mirror, what_is_durable_arrives_from_memory)
{
    start(1, 2);
    cr_assert(mirror_life_work(&life, 3000));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    struct mirror_counters counters = mirror_counters(life.mirror);
    cr_assert_gt(counters.from_memory, 0);
    cr_assert_eq(counters.from_tape, 0, "it keeps up, so nothing is read from disk");
    cr_assert_eq(counters.delivered, 3000, "each row once");
    cr_assert(mirror_life_run(&life, 2 * LIMIT_SECOND_NS));
    cr_assert_eq(life.statistics.delivered, 3000);
    cr_assert_gt(histogram_count(&life.statistics.latency), 0);
    cr_assert_eq(life.statistics.topics[CHANNEL_TRADE].lag_rows, 0);
    end();
}

Test(mirror, an_outage_costs_nothing)
{
    start(2, 2);
    cr_assert(mirror_life_work(&life, 500));
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 6000));
    cr_assert(mirror_life_run(&life, 5000000000));
    cr_assert_eq(mirror_counters(life.mirror).in_flight, SCRIPTED_QUEUE_MAX / 2, "as much as may");
    const struct statistics_topic *trades = &life.statistics.topics[CHANNEL_TRADE];
    // A batch counts once all of it is confirmed.
    cr_assert_geq(trades->lag_rows + trades->delivered, 6500, "all that is durable");
    cr_assert_leq(trades->lag_rows, 6500);
    cr_assert_geq(trades->lag_ns, 4 * LIMIT_SECOND_NS);
    cr_assert_gt(trades->lag_bytes, 10000);
    cr_assert_leq(mirror_counters(life.mirror).in_flight, SCRIPTED_QUEUE_MAX);
    life.broker.down = false;
    cr_assert(mirror_life_work(&life, 500));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_gt(mirror_counters(life.mirror).from_tape, 0);
    cr_assert(mirror_life_run(&life, 2 * LIMIT_SECOND_NS));
    cr_assert_eq(trades->delivered, 7000);
    cr_assert(trades->lag_rows == 0 && trades->lag_bytes == 0 && trades->lag_ns == 0);
    end();
}

Test(mirror, a_stuck_topic_holds_up_nobody)
{
    start(3, 1);
    cr_assert(mirror_life_work(&life, 200));
    life.broker.stuck_channels = 1u << CHANNEL_STATUS;
    struct event event;
    for (int i = 0; i < 400; i++) { // more than the queue takes of one topic
        event_clear(&event, CHANNEL_STATUS, SYMBOL_NONE);
        event_set(&event, COLUMN_RECEIVE_TIME, 1767225600000000000ll + i);
        event_set(&event, COLUMN_FLAGS, 0);
        event_set(&event, STATUS_KIND, STATUS_STARTED);
        cr_assert(tape_writer_append(life.shard[0].writer, &event));
    }
    cr_assert(mirror_life_run(&life, 3000000000));
    cr_assert(mirror_life_work(&life, 800));
    cr_assert(mirror_life_run(&life, 10000000000));
    uint32_t trades = 0;
    for (uint32_t i = 0; i < life.broker.count; i++)
        trades += life.broker.log[i].channel == CHANNEL_TRADE;
    cr_assert_eq(trades, 1000, "all trades came, %u", trades);
    cr_assert_eq(mirror_counters(life.mirror).stuck, 1);
    life.broker.stuck_channels = 0;
    cr_assert(mirror_life_run(&life, 10000000000));
    cr_assert_eq(life.broker.count, 1400);
    cr_assert_eq(mirror_counters(life.mirror).stuck, 0);
    mirror_life_end(&life);
}

Test(mirror, a_refused_message_is_kept_and_the_topic_goes_on)
{
    int64_t letters[16];
    start(4, 2);
    life.broker.large_from = 300;
    life.broker.large_every = 500;
    cr_assert(mirror_life_work(&life, 1200));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(mirror_life_letters(&life, letters, 16), 2);
    cr_assert(letters[0] == 500 && letters[1] == 1000);
    cr_assert_eq(mirror_counters(life.mirror).refused, 2);
    end();
}

static void append_kind(int64_t kind)
{
    struct event event;
    event_clear(&event, CHANNEL_STATUS, SYMBOL_NONE);
    event_set(&event, COLUMN_RECEIVE_TIME, 1767225600000000000ll);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, STATUS_KIND, kind);
    cr_assert(tape_writer_append(life.shard[0].writer, &event));
}

Test(mirror, what_avro_has_no_place_for_is_kept_in_json)
{
    static uint8_t bytes[4096];
    struct mirror_letter letter;
    mirror_life_begin(&life, 21);
    life.format = MESSAGE_AVRO;
    cr_assert(mirror_life_start(&life, 1));
    append_kind(99); // of a newer version
    append_kind(STATUS_STARTED);
    cr_assert(mirror_life_work(&life, 300));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(mirror_counters(life.mirror).refused, 1);
    cr_assert_eq(life.broker.count, 301);
    int64_t size = sim_disk_read(life.world, "store/mirror/dead", bytes, sizeof bytes, 0);
    cr_assert_gt(mirror_letter_read(&letter, bytes, (size_t)size), 0);
    cr_assert(letter.format == MESSAGE_JSON && letter.channel == CHANNEL_STATUS);
    cr_assert_eq(memcmp(letter.cause.bytes, "a code has no name", letter.cause.size), 0);
    cr_assert_not_null(memmem(letter.value.bytes, letter.value.size, "\"kind\":99", 9));
    end();
}

Test(mirror, letters_in_avro_are_kept_as_they_were)
{
    static uint8_t bytes[1 << 16];
    struct mirror_letter letter;
    mirror_life_begin(&life, 22);
    life.format = MESSAGE_AVRO;
    life.broker.bad_from = 100;
    life.broker.bad_every = 150;
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 200));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    int64_t size = sim_disk_read(life.world, "store/mirror/dead", bytes, sizeof bytes, 0);
    cr_assert_gt(mirror_letter_read(&letter, bytes, (size_t)size), 0);
    cr_assert(letter.format == MESSAGE_AVRO && letter.value.bytes[0] == MESSAGE_AVRO_MAGIC);
    cr_assert_eq(letter.time_ms, 1767225600150ll, "the time is found in the value");
    end();
}

Test(mirror, of_a_refused_batch_only_the_guilty_are_kept)
{
    int64_t letters[16];
    start(5, 1);
    life.broker.bad_from = 400;
    life.broker.bad_every = 401;
    cr_assert(mirror_life_work(&life, 1500));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(mirror_life_letters(&life, letters, 16), 3);
    cr_assert(letters[0] == 401 && letters[1] == 802 && letters[2] == 1203);
    cr_assert_gt(mirror_counters(life.mirror).restarts, 2);
    end();
}

Test(mirror, letters_are_sent_again_on_demand)
{
    int64_t letters[2000];
    start(6, 1);
    life.broker.refused_channels = 1u << CHANNEL_TRADE;
    cr_assert(mirror_life_work(&life, 1000));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(life.broker.count, 0);
    cr_assert_eq(mirror_life_letters(&life, letters, 2000), 1000);
    life.broker.refused_channels = 0;
    cr_assert(mirror_life_run(&life, 12000000000)); // the topic is tried again
    sim_disk_write(life.world, "store/mirror/retry", "", 0, 0);
    cr_assert(mirror_life_run(&life, 5000000000));
    cr_assert_eq(mirror_life_letters(&life, letters, 2000), 0);
    cr_assert_eq(life.broker.count, 1000);
    cr_assert(sim_disk_size(life.world, "store/mirror/retry") < 0);
    cr_assert(sim_disk_size(life.world, "store/mirror/dead.retry") < 0);
    cr_assert(mirror_life_stop(&life));
    mirror_life_end(&life); // they come late, in no order
}

Test(mirror, a_producer_that_cannot_be_made_is_tried_again)
{
    mirror_life_begin(&life, 7);
    life.broker.makes_failing = 3;
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 300));
    end();
}

Test(mirror, another_shard_count_during_an_outage)
{
    start(8, 3);
    cr_assert(mirror_life_work(&life, 600));
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 1500));
    cr_assert(mirror_life_stop(&life));
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 1500));
    mirror_life_crash(&life, SIM_CRASH_KILL);
    cr_assert(mirror_life_start(&life, 2));
    cr_assert(mirror_life_work(&life, 700));
    life.broker.down = false;
    end();
}

Test(mirror, a_restart_goes_on_from_the_cursors)
{
    start(9, 2);
    cr_assert(mirror_life_work(&life, 2000));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert(mirror_life_stop(&life));
    uint32_t before = life.broker.count;
    cr_assert(mirror_life_start(&life, 2));
    cr_assert(mirror_life_work(&life, 100));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(life.broker.count - before, 100, "nothing is sent twice");
    end();
}

// ---- whole batches ----

Test(mirror, batches_come_as_they_stand_on_the_tape)
{
    start(1001, 2);
    cr_assert(mirror_life_work(&life, 3000));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(mirror_counters(life.mirror).from_tape, 0, "from memory");
    cr_assert_gt(life.got.count, 10);
    cr_assert_eq(life.got.again, 0, "each row once, by its number");
    end();
}

Test(mirror, batches_survive_outage_crash_and_another_shard_count)
{
    start(1002, 3);
    cr_assert(mirror_life_work(&life, 600));
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 1500));
    mirror_life_crash(&life, SIM_CRASH_POWER);
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 500));
    life.broker.down = false;
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_gt(mirror_counters(life.mirror).from_tape, 0);
    cr_assert(mirror_life_stop(&life));
    uint32_t before = life.got.count;
    cr_assert(mirror_life_start(&life, 2));
    cr_assert(mirror_life_work(&life, 1));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(life.got.count, before + 1, "no batch twice");
    end();
}

Test(mirror, a_refused_batch_is_kept_whole)
{
    static uint8_t bytes[1 << 16];
    struct mirror_letter letter;
    start(1003, 1);
    life.broker.refused_channels = 1u << MESSAGE_BATCHES;
    cr_assert(mirror_life_work(&life, 50));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(life.broker.count, 50, "the rows' own topic goes on");
    int64_t size = sim_disk_read(life.world, "store/mirror/dead", bytes, sizeof bytes, 0);
    cr_assert_gt(mirror_letter_read(&letter, bytes, (size_t)size), 0);
    cr_assert(letter.channel == MESSAGE_BATCHES && letter.format == MESSAGE_BATCH);
    cr_assert_gt(letter.time_ms, 0, "the time is found in the value");
    life.broker.refused_channels = 0;
    cr_assert(mirror_life_run(&life, 12000000000));
    sim_disk_write(life.world, "store/mirror/retry", "", 0, 0);
    cr_assert(mirror_life_run(&life, 5000000000));
    end();
}

// ---- tapes that are gone ----

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

Test(mirror, a_tape_that_is_gone_is_read_from_its_segments)
{
    begin_outage(30, 2, true, 16);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    end_outage();
}

// It stayed on such a tape for ever: without a mark nobody says that it ends.
Test(mirror, a_tape_may_be_opened_while_it_is_removed)
{
    begin_outage(33, 2, true, 16);
    mirror_life_lose_marks(&life);
    life.broker.down = false;
    cr_assert(mirror_life_run(&life, 2000000000));
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    end_outage();
}

Test(mirror, batches_of_a_tape_that_is_gone_are_made_of_its_segments)
{
    begin_outage(1030, 2, true, 16);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    end_outage();
}

Test(mirror, tapes_that_went_are_known_after_a_restart)
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

Test(mirror, tapes_that_went_before_the_state_told_of_them_are_found)
{
    const int64_t size = begin_untold_outage(34);
    cr_assert_gt(mirror_life_lose_tapes(&life), 3);
    crash_untold(size);
    cr_assert(mirror_life_start(&life, 1));
    end_outage();
}

static bool state_is_kept(int64_t size)
{
    static char state[MIRROR_STATE_BYTES_MAX];
    return sim_disk_read(life.world, "store/mirror/state", state, sizeof state, 0) == size &&
           memcmp(state, kept_state, (size_t)size) == 0;
}

// The state saved next told of newer ones only: those found at the start, which no topic had come
// to yet, went unseen.
Test(mirror, tapes_found_at_a_start_are_known_when_they_have_gone)
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

Test(mirror, a_restart_in_the_middle_of_a_tape_that_is_gone)
{
    begin_outage(32, 1, true, 48);
    stop_in_the_middle();
    cr_assert(mirror_life_start(&life, 2));
    end_outage();
    uint32_t trades = count_of(CHANNEL_TRADE);
    cr_assert_leq(trades, 3400 + 700, "%u came, at most a tape of them again", trades);
}

Test(mirror, segments_of_tapes_that_are_gone_may_be_merged)
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
Test(mirror, segments_are_merged_while_they_are_read)
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

Test(mirror, segments_are_merged_between_two_batches)
{
    merge_between_two_batches(1034, false);
    merge_between_two_batches(1035, true);
}

// The same without a restart: the mirror comes back to a segment that is no more.
Test(mirror, segments_are_merged_between_two_reads)
{
    begin_outage(35, 1, true, 48);
    read_to_the_middle(1400);
    life.releases = true;
    merge_segments();
    end_outage();
    cr_assert_leq(count_of(CHANNEL_TRADE), 3400 + 4 * 3000, "of each tape all that is merged");
}

// The machine stops at disk operation number `at`, comes back, goes on.
static void crash_at(uint64_t seed, uint64_t at, enum sim_crash kind)
{
    mirror_life_begin(&life, seed);
    life.batches = at % 2 == 0;
    life.tape_bytes = 16 << 10;
    life.broker.bad_from = 100;
    life.broker.bad_every = 97;
    sim_world_crash_at(life.world, at);
    bool alive = mirror_life_start(&life, 1 + (uint32_t)(at % 3)) &&
                 mirror_life_work(&life, 400) && mirror_life_settle(&life);
    if (alive) sim_world_crash_at(life.world, 0); // so few operations
    if (!alive) {
        mirror_life_crash(&life, kind);
        cr_assert(mirror_life_start(&life, 1 + (uint32_t)(at / 3 % 3)));
    }
    cr_assert(mirror_life_work(&life, 100));
    cr_assert(mirror_life_settle(&life), "operation %llu: %s", (unsigned long long)at, life.why);
    cr_assert(mirror_life_check(&life), "operation %llu: %s", (unsigned long long)at, life.why);
    cr_assert(mirror_life_stop(&life));
    mirror_life_end(&life);
}

Test(mirror, a_crash_at_every_disk_operation, .timeout = 300)
{
    // Several worlds: in one of them the refused message is the last of those suspected.
    for (uint64_t at = 1; at < 400; at += 3)
        crash_at(at + 1000 * (at % 4), at, at % 2 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
}

Test(mirror, many_crashes_one_after_the_other, .timeout = 300)
{
    for (uint64_t seed = 100; seed < 110; seed++) {
        mirror_life_begin(&life, seed);
        life.batches = seed % 2 == 0;
        life.tape_bytes = 32 << 10;
        struct sim_faults *faults = sim_world_faults(life.world);
        for (int sitting = 0; sitting < 8; sitting++) {
            faults->write_error = sitting % 3 == 1 ? 3000 : 0;
            faults->failed_write_lands = 500000;
            uint64_t at = sim_world_operations(life.world) + 20 + sim_world_random(life.world, 500);
            sim_world_crash_at(life.world, at);
            life.broker.down = sitting % 4 == 2;
            bool alive = mirror_life_start(&life, 1 + (uint32_t)(seed + (uint64_t)sitting) % 3) &&
                         mirror_life_work(&life, 800) && mirror_life_settle(&life);
            (void)alive;
            mirror_life_crash(&life, sitting % 2 ? SIM_CRASH_POWER : SIM_CRASH_KILL);
        }
        *faults = (struct sim_faults){.network_ns_max = 1000, .disk_ns_max = 100000};
        life.broker.down = false;
        cr_assert(mirror_life_start(&life, 2));
        cr_assert(mirror_life_work(&life, 200));
        cr_assert(mirror_life_settle(&life), "seed %llu: %s", (unsigned long long)seed, life.why);
        cr_assert(mirror_life_check(&life), "seed %llu: %s", (unsigned long long)seed, life.why);
        mirror_life_crash(&life, SIM_CRASH_KILL);
        mirror_life_end(&life);
    }
}
