// SPDX-License-Identifier: GPL-3.0-or-later
//
// What stands still must not take the rest along: a tape that cannot be opened, a topic that Kafka
// does not take, a tape without a closing mark.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "mirror_life.h"
#include "publish/mirror_inside.h"

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

// ---- a topic that Kafka does not take ----

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

// Each time it tried in vain it took a flight, until nobody had any.
Test(mirror_stuck, a_topic_that_tries_in_vain_leaves_the_flights_to_others)
{
    mirror_life_begin(&life, 42);
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 200));
    life.broker.stuck_channels = 1u << CHANNEL_STATUS;
    append_status(400); // more than the queue takes of one topic
    cr_assert(mirror_life_run(&life, 3 * LIMIT_SECOND_NS));
    for (uint32_t i = 0; i < MIRROR_FLIGHTS_MAX + 1000; i++) {
        io_wake(life.mirror_io);
        cr_assert(mirror_life_run(&life, 10000));
    }
    const uint32_t before = life.broker.count;
    cr_assert(mirror_life_work(&life, 800));
    cr_assert(mirror_life_run(&life, 10 * LIMIT_SECOND_NS));
    cr_assert_eq(life.broker.count - before, 800, "all trades came: %u", life.broker.count);
    cr_assert_eq(mirror_counters(life.mirror).stuck, 1);
    life.broker.stuck_channels = 0;
    end();
}

static void all_tapes_are_done(void)
{
    const uint32_t last = tape_writer_counters(life.shard[0].writer).tape;
    cr_assert_gt(last, 5);
    for (uint32_t tape = 1; tape < last; tape++)
        cr_assert(mirror_tape_done(life.mirror, tape), "tape %u of %u", tape, last);
}

// Batches beyond its share of flights join its last one; none of a tape's end is forgotten.
Test(mirror_stuck, a_topic_with_many_batches_under_way_goes_on)
{
    for (uint32_t flights = 1; flights < 6; flights++) {
        mirror_life_begin(&life, 43 + flights);
        life.tape_bytes = 16 << 10;
        cr_assert(mirror_life_start(&life, 1));
        life.mirror->flights_each = flights;
        life.broker.poll_ns = LIMIT_MILLISECOND_NS;
        life.broker.bad_from = life.broker.bad_every = 401; // so it rewinds
        cr_assert(mirror_life_work(&life, 1000));
        life.broker.down = true;
        cr_assert(mirror_life_work(&life, 2000));
        cr_assert_leq(life.mirror->lanes[CHANNEL_TRADE].flights, flights);
        life.broker.down = false;
        cr_assert(mirror_life_settle(&life), "%s", life.why);
        all_tapes_are_done();
        cr_assert_eq(life.mirror->lanes[CHANNEL_TRADE].flights, 0);
        end();
    }
}

// ---- a tape without a closing mark ----

enum lost { LOST_MARK_FILES, LOST_MARKS, LOST_HEADERS };

static void lose(enum lost lost)
{
    static const uint8_t zeros[2 * LAYOUT_SECTOR];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    cr_assert_gt(catalogue->tape_count, 3);
    if (lost == LOST_MARK_FILES) mirror_life_lose_marks(&life);
    for (uint32_t t = 0; t < catalogue->tape_count && lost != LOST_MARK_FILES; t++) {
        keep_store_tape_path(life.store, catalogue->tapes[t], "mark", path);
        sim_disk_write(life.world, path, zeros, sizeof zeros, 0);
        keep_store_tape_path(life.store, catalogue->tapes[t], "tape", path);
        if (lost == LOST_HEADERS) sim_disk_write(life.world, path, zeros, LAYOUT_SECTOR, 0);
    }
}

// All of its shard's topics waited for the mark, and never came back.
Test(mirror_stuck, a_tape_without_a_closing_mark_ends_where_its_shard_says)
{
    for (enum lost lost = LOST_MARK_FILES; lost <= LOST_HEADERS; lost++) {
        mirror_life_begin(&life, 50);
        life.tape_bytes = 16 << 10;
        life.seals = life.keeps_tapes = true;
        cr_assert(mirror_life_start(&life, 2));
        cr_assert(mirror_life_work(&life, 300));
        life.broker.down = true;
        cr_assert(mirror_life_work(&life, 3000));
        cr_assert(mirror_life_run(&life, 3 * LIMIT_SECOND_NS));
        lose(lost);
        life.broker.down = false;
        cr_assert(mirror_life_settle(&life), "%d: %s", (int)lost, life.why);
        cr_assert_eq(mirror_counters(life.mirror).rows_lost, 0);
        cr_assert_eq(life.broker.count, 3300);
        end();
    }
}

static bool has_mark(uint32_t tape)
{
    for (int i = 0; i < MIRROR_FILES; i++) {
        const struct mirror_file *file = &life.mirror->files[i];
        if (file->tape == tape && file->state == FILE_READY && file->reader.mark.magic != 0)
            return true;
    }
    return false;
}

// A mark that was read while the tape was live tells of less, and counts higher.
Test(mirror_stuck, the_mark_of_a_live_tape_is_not_the_last_word)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    static const uint8_t zeros[2 * LAYOUT_SECTOR];
    mirror_life_begin(&life, 51);
    life.tape_bytes = 4 << 20;
    life.feed_bytes = 1 << 13;
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 300));
    cr_assert(mirror_life_run(&life, 3 * LIMIT_SECOND_NS));
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 3000));
    cr_assert(mirror_life_run(&life, 3 * LIMIT_SECOND_NS));
    const uint32_t tape = tape_writer_counters(life.shard[0].writer).tape;
    cr_assert(has_mark(tape));
    keep_store_tape_path(life.store, tape, "mark", path);
    tape_writer_roll(life.shard[0].writer);
    for (int i = 0; i < 20000; i++) {
        cr_assert(mirror_life_run(&life, 1000));
        sim_disk_write(life.world, path, zeros, sizeof zeros, 0);
    }
    life.broker.down = false;
    cr_assert(mirror_life_work(&life, 100));
    end();
}

static void put(struct tape_feed *feed, uint32_t tape, uint64_t sequence, uint64_t rows)
{
    static _Alignas(8) uint8_t bytes[256];
    const struct tape_write write = {.batch_bytes = sizeof bytes,
                                     .sequence = sequence,
                                     .revision = 2,
                                     .rows = rows,
                                     .end = 4096 * sequence};
    tape_feed_put(feed, tape, &write, bytes, 1);
}

Test(mirror_stuck, a_feed_tells_where_its_tapes_ended)
{
    struct tape_feed *feed;
    struct layout_tape_end end = {.number = 9};
    cr_assert_eq(tape_feed_open(&feed, 4096), 0);
    cr_assert_not(tape_feed_end(feed, 3, &end));
    put(feed, 3, 1, 5);
    put(feed, 3, 2, 9);
    cr_assert_not(tape_feed_end(feed, 3, &end), "it may go on");
    put(feed, 6, 1, 4);
    cr_assert(tape_feed_end(feed, 3, &end));
    cr_assert(end.number == 3 && end.sequence == 2 && end.rows == 9 && end.end == 8192);
    cr_assert_eq(end.revision, 2);
    cr_assert(tape_feed_end(feed, 5, &end));
    cr_assert(end.number == 5 && end.sequence == 0 && end.rows == 0, "no batch was durable");
    struct layout_mark mark;
    uint8_t bytes[MIRROR_MARK_BYTES] = {0};
    end.salt = 7;
    tape_end_mark(&end, bytes);
    cr_assert_eq(tape_mark_decode(bytes, sizeof bytes, 7, &mark), TAPE_GOOD, "it closes the tape");
    cr_assert_not(tape_feed_end(feed, 6, &end));
    cr_assert_not(tape_feed_end(feed, 7, &end));
    put(feed, 8, 1, 1);
    cr_assert(tape_feed_end(feed, 6, &end));
    cr_assert_eq(end.rows, 4);
    cr_assert(tape_feed_end(feed, 3, &end));
    cr_assert_eq(end.rows, 9);
    tape_feed_close(feed);
}
