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
    cr_assert(mirror_life_finish(&life), "%s", life.why);
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
