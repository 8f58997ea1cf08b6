// SPDX-License-Identifier: GPL-3.0-or-later
//
// durable_slot and durable_note: what a reader takes from the slots, and when they are written: for
// a feed that falls silent at once, for one that goes on never, after failures again.
#include "keep/durable_note.h"

#include "io_sim.h"

#include <criterion/criterion.h>

enum { SALT = 77 };

struct rig {
    struct sim_world *world;
    struct io *io;
    struct durable_note note;
    uint32_t ended;
};

static void on_ended(void *context)
{
    ((struct rig *)context)->ended++;
}

static void rig_begin(struct rig *rig, uint32_t shard)
{
    struct io_message message = {{0}};
    rig->world = sim_world_create(1);
    sim_world_use(rig->world);
    cr_assert_eq(sim_disk_mkdir(rig->world, "/data/store"), 0);
    cr_assert_eq(io_open_loop(&rig->io, &(struct io_options){.name = "shard"}, &message), 0);
    durable_note_init(&rig->note, rig->io, "/data/store", shard, on_ended, rig);
}

static void rig_end(struct rig *rig)
{
    while (!durable_note_stop(&rig->note)) {
        const uint32_t before = rig->ended;
        cr_assert(sim_world_run(rig->world, LIMIT_SECOND_NS));
        cr_assert_gt(rig->ended, before, "whoever waits is told");
    }
    io_close_loop(rig->io);
    sim_world_destroy(rig->world);
}

static void put(struct rig *rig, uint64_t sequence)
{
    durable_note_put(&rig->note, 5, SALT, sequence, 1);
}

// The sequence that the file tells of; 0: none.
static uint64_t told(const struct rig *rig, uint64_t salt)
{
    uint8_t bytes[4096];
    uint64_t sequence = 0;
    uint32_t revision = 0;
    const int64_t got =
        sim_disk_read(rig->world, "/data/store/" DURABLE_SLOT_FILE, bytes, sizeof bytes, 0);
    if (got > 0) durable_slot_raise(bytes, (size_t)got, salt, &sequence, &revision);
    return sequence;
}

static void run(struct rig *rig, int64_t ns)
{
    cr_assert(sim_world_run(rig->world, ns));
}

Test(durable_note, the_last_batch_of_a_silent_feed_is_told)
{
    struct rig rig = {0};
    rig_begin(&rig, 3);
    put(&rig, 9);
    run(&rig, LIMIT_SECOND_NS);
    cr_assert_eq(told(&rig, SALT), 9);
    cr_assert_eq(told(&rig, SALT + 1), 0, "another tape's");
    put(&rig, 10);
    run(&rig, 20 * LIMIT_MILLISECOND_NS);
    cr_assert_eq(told(&rig, SALT), 10);
    rig_end(&rig);
}

Test(durable_note, a_feed_that_goes_on_is_told_a_hundred_times_a_second)
{
    struct rig rig = {0};
    uint64_t before = 1;
    int writes = 0;
    rig_begin(&rig, 0);
    put(&rig, 1);
    run(&rig, LIMIT_SECOND_NS);
    for (uint64_t n = 2; n <= 400; n++) { // two seconds
        put(&rig, n);
        run(&rig, 5 * LIMIT_MILLISECOND_NS);
        const uint64_t now = told(&rig, SALT);
        cr_assert_geq(now + 4, n, "at the latest after 15 ms, the write's time in it");
        if (now != before) writes++;
        before = now;
    }
    cr_assert_leq(writes, 200, "none for each batch");
    run(&rig, 20 * LIMIT_MILLISECOND_NS);
    cr_assert_eq(told(&rig, SALT), 400);
    rig_end(&rig);
}

Test(durable_note, after_a_failure_it_is_tried_again)
{
    struct rig rig = {0};
    rig_begin(&rig, 0);
    sim_world_fail(rig.world, IO_OPEN, 0, -28);
    put(&rig, 1);
    run(&rig, LIMIT_SECOND_NS);
    cr_assert_eq(told(&rig, SALT), 0);
    run(&rig, DURABLE_NOTE_RETRY_NS);
    put(&rig, 2);
    run(&rig, LIMIT_SECOND_NS);
    cr_assert_eq(told(&rig, SALT), 2);
    sim_world_fail(rig.world, IO_WRITE, 0, -5);
    put(&rig, 3);
    run(&rig, DURABLE_NOTE_RETRY_NS + LIMIT_SECOND_NS);
    put(&rig, 4);
    run(&rig, LIMIT_SECOND_NS);
    cr_assert_eq(told(&rig, SALT), 4);
    rig_end(&rig);
}

Test(durable_note, a_stop_at_any_moment_ends)
{
    for (int64_t after_ns = 0; after_ns < 12 * LIMIT_MILLISECOND_NS; after_ns += 100000) {
        struct rig rig = {0};
        rig_begin(&rig, 63);
        put(&rig, 1);
        run(&rig, after_ns);
        rig_end(&rig);
    }
}

Test(durable_note, a_torn_slot_says_nothing)
{
    struct durable_slot slots[2] = {durable_slot_make(1, SALT, 8, 2),
                                    durable_slot_make(1, SALT, 8, 1)};
    uint64_t sequence = 8;
    uint32_t revision = 0;
    durable_slot_raise(slots, sizeof slots, SALT, &sequence, &revision);
    cr_assert_eq(revision, 2, "the further one of two");
    for (size_t i = 0; i < sizeof slots[0]; i++) {
        ((uint8_t *)&slots[0])[i] ^= 1;
        sequence = revision = 0;
        durable_slot_raise(slots, sizeof slots[0], SALT, &sequence, &revision);
        cr_assert_eq(sequence, 0, "byte %zu", i);
        ((uint8_t *)&slots[0])[i] ^= 1;
    }
    durable_slot_raise(slots, sizeof slots[0] - 1, SALT, &sequence, &revision);
    cr_assert_eq(sequence, 0, "half a slot");
    sequence = 9;
    durable_slot_raise(slots, sizeof slots, SALT, &sequence, &revision);
    cr_assert_eq(sequence, 9, "never back");
}
