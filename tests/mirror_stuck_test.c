// SPDX-License-Identifier: GPL-3.0-or-later
//
// What stands still must not take the rest along: a tape that cannot be opened.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "mirror_life.h"

static struct mirror_life life;

static void end(void)
{
    cr_assert(mirror_life_finish(&life), "%s", life.why);
}

// ---- a tape that cannot be opened ----

enum { BEGINNING_BYTES = 32 << 10 }; // of a tape: its header and its first batches

// It was taken for one that ends, and followed by itself: abort.
Test(mirror_stuck, a_live_tape_that_cannot_be_read_is_waited_for)
{
    static uint8_t kept[BEGINNING_BYTES];
    static const uint8_t zeros[BEGINNING_BYTES];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    mirror_life_begin(&life, 40);
    life.tape_bytes = 4 << 20;
    life.feed_bytes = 1 << 13;
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 2000)); // so the first batch is not written again
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(mirror_counters(life.mirror).from_tape, 0, "it is not open as yet");
    const uint32_t tape = tape_writer_counters(life.shard[0].writer).tape;
    keep_store_tape_path(life.store, tape, "tape", path);
    cr_assert_eq(sim_disk_read(life.world, path, kept, sizeof kept, 0), sizeof kept);
    sim_disk_write(life.world, path, zeros, sizeof zeros, 0);
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 4000));
    cr_assert(mirror_life_run(&life, 3 * LIMIT_SECOND_NS));
    life.broker.down = false;
    cr_assert(mirror_life_run(&life, 3 * LIMIT_SECOND_NS));
    cr_assert_eq(tape_writer_counters(life.shard[0].writer).tape, tape, "it is the live one");
    cr_assert_lt(life.broker.count, 6000, "the ring overflowed: %u", life.broker.count);
    sim_disk_write(life.world, path, kept, sizeof kept, 0);
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(life.broker.count, 6000);
    cr_assert_eq(mirror_counters(life.mirror).rows_lost, 0);
    end();
}

// All rows of such a tape were left out.
Test(mirror_stuck, a_tape_that_fails_once_to_open_is_opened_again)
{
    for (uint32_t skip = 0; skip < 10; skip++) {
        mirror_life_begin(&life, 41);
        life.tape_bytes = 16 << 10;
        cr_assert(mirror_life_start(&life, 1));
        life.broker.down = true;
        cr_assert(mirror_life_work(&life, 1500));
        cr_assert(mirror_life_stop(&life));
        life.broker.down = false;
        cr_assert(mirror_life_start(&life, 1));
        sim_world_fail(life.world, IO_OPEN, skip, skip % 2 ? -EMFILE : -EIO);
        cr_assert(mirror_life_settle(&life), "%s", life.why);
        cr_assert(mirror_life_check(&life), "open number %u: %s", skip, life.why);
        cr_assert(mirror_life_stop(&life));
        mirror_life_end(&life);
    }
}
