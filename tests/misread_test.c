// SPDX-License-Identifier: GPL-3.0-or-later
//
// A disk that gives other bytes than were written. Once: nothing is lost, stored twice or refused
// by it. For good: nothing wrong is stored, and what can be read goes on being sealed and merged.
#include "complete_life.h"

#include "format/segment.h"
#include "keep/keep_store.h"
#include "keep/read_around.h"
#include "sim_store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MS LIMIT_MILLISECOND_NS
#define SECOND LIMIT_SECOND_NS
#define STORE "/data/store"

static void ended(struct io *io, struct io_op *op)
{
    (void)io;
    (void)op;
}

static int open_now(struct io *io, const char *path)
{
    struct io_op op = {0};
    io_open(io, &op, path, IO_OPEN_READ, ended);
    while (!io_idle(&op)) (void)io_run(io, -1);
    cr_assert_geq(op.result, 0);
    return (int)op.result;
}

static void close_now(struct io *io, int handle)
{
    struct io_op op = {0};
    io_close(io, &op, handle, ended);
    while (!io_idle(&op)) (void)io_run(io, -1);
}

Test(misread, a_read_that_brings_wrong_bytes_leaves_the_disk_as_it_was)
{
    static uint8_t written[4 * SIM_SECTOR_BYTES], read[sizeof written];
    struct sim_world *world = sim_world_create(1);
    struct io_message message;
    struct io *io;
    for (size_t i = 0; i < sizeof written; i++) written[i] = (uint8_t)(i / SIM_SECTOR_BYTES + 1);
    sim_world_use(world);
    cr_assert_eq(io_open_loop(&io, NULL, &message), 0);
    sim_disk_write(world, "/file", written, sizeof written, 0);
    const int handle = open_now(io, "/file");
    sim_world_faults(world)->read_flipped = 1000000;
    cr_assert_eq(io_read_now(io, handle, read, sizeof read, 0), sizeof read);
    uint32_t different = 0;
    for (size_t i = 0; i < sizeof read; i++) different += read[i] != written[i];
    cr_assert_eq(different, 1);
    sim_world_faults(world)->read_flipped = 0;
    sim_world_faults(world)->read_misplaced = 1000000;
    different = 0;
    for (int n = 0; n < 20; n++) {
        cr_assert_eq(io_read_now(io, handle, read + 100, 5000, 100), 5000);
        different += memcmp(read + 100, written + 100, 5000) != 0;
    }
    cr_assert_gt(different, 5);
    sim_world_faults(world)->read_misplaced = 0;
    cr_assert_eq(io_read_now(io, handle, read, sizeof read, 0), sizeof read);
    cr_assert_arr_eq(read, written, sizeof read);
    cr_assert(sim_disk_rot(world, "/file", SIM_SECTOR_BYTES, false));
    cr_assert_eq(io_read_now(io, handle, read, sizeof read, 0), sizeof read);
    cr_assert_neq(memcmp(read, written, sizeof read), 0);
    close_now(io, handle);
    io_close_loop(io);
    sim_world_destroy(world);
}

Test(misread, what_has_no_check_is_believed_when_two_reads_agree)
{
    struct read_votes votes = {0};
    cr_assert_eq(read_vote(&votes, "one", 3), 0);
    cr_assert_eq(read_vote(&votes, "two", 3), 0);
    cr_assert_eq(read_vote(&votes, "one", 3), 1);
    votes = (struct read_votes){0};
    cr_assert_eq(read_vote(&votes, "", 0), 0);
    cr_assert_eq(read_vote(&votes, "", 0), 1);
    votes = (struct read_votes){0};
    for (int i = 0; i < SOURCE_TRIES - 1; i++) cr_assert_eq(read_vote(&votes, &i, sizeof i), 0);
    cr_assert_eq(read_vote(&votes, "last", 4), -5, "different each time");
}

static void judge(struct life *life, uint64_t seed)
{
    const struct life_result result = life_judge(life);
    cr_assert_gt(result.stored, 500, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.duplicated, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.missing, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.wrong, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.depth_unlisted, 0, "seed %lu", (unsigned long)seed);
    cr_assert_eq(result.candles_wrong, 0, "seed %lu", (unsigned long)seed);
}

// What a start takes for missing it asks for, and it would be stored twice.
Test(misread, wrong_bytes_in_starts_and_while_sealing_cost_nothing)
{
    for (uint64_t seed = 800; seed < 806; seed++) {
        struct life *life = life_create(seed, 1, 5 * MS);
        struct sim_faults *faults = sim_world_faults(life->world);
        life->seals = true;
        life->may_refuse = true;
        life->tape_age_ns = 2 * SECOND;
        for (int i = 0; i < 6; i++) {
            faults->read_flipped = faults->read_misplaced = 20000;
            while (!life_start(life)) cr_assert(life->refused);
            life_run(life, 5 * SECOND);
            faults->read_flipped = faults->read_misplaced = 0;
            life_crash(life, i % 2 == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER);
        }
        cr_assert(life_start(life));
        life->peer->stopped = true;
        life_run(life, 150 * SECOND);
        life_stop(life);
        judge(life, seed);
        life_destroy(life);
    }
}

struct first_segment {
    enum channel channel;
    char path[128];
    int64_t bytes;
};

static bool note_first(void *context, const struct catalogue_segment *listed,
                       const struct segment *segment, const struct segment_block *block)
{
    struct first_segment *first = context;
    char relative[CATALOGUE_PATH_BYTES_MAX];
    (void)segment;
    (void)block;
    if (first->bytes != 0 || listed->channel != first->channel) return true;
    catalogue_segment_path(listed, "segment", relative);
    (void)snprintf(first->path, sizeof first->path, STORE "/%.90s", relative);
    first->bytes = (int64_t)listed->bytes;
    return true;
}

static struct first_segment find_first(struct life *life, enum channel channel)
{
    struct first_segment first = {.channel = channel};
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    char why[SIM_STORE_WHY_BYTES];
    cr_assert_eq(io_open_loop(&io, NULL, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, STORE, &message), 0);
    cr_assert(sim_store_walk(life->world, STORE, keep_store_catalogue(store), note_first, &first,
                             why));
    keep_store_close(store);
    io_close_loop(io);
    cr_assert_gt(first.bytes, 0);
    return first;
}

static void sealed_sitting(struct life *life)
{
    cr_assert(life_start(life));
    life_run(life, 5 * SECOND);
    life_stop(life);
    life_seal(life);
}

// A whole other segment, good by its hashes, lies where one of trades was: it is not taken for
// that, neither by a start nor by a merge.
Test(misread, another_segment_in_the_place_of_one_is_not_taken_for_it)
{
    static uint8_t bytes[1 << 20];
    struct life *life = life_create(831, 1, 5 * MS);
    sealed_sitting(life);
    const struct first_segment first = find_first(life, CHANNEL_TRADE);
    const struct first_segment other = find_first(life, CHANNEL_DEPTH);
    cr_assert_lt(other.bytes, (int64_t)sizeof bytes);
    cr_assert_eq(sim_disk_read(life->world, other.path, bytes, (uint32_t)other.bytes, 0),
                 other.bytes);
    sim_disk_truncate(life->world, first.path, 0);
    sim_disk_write(life->world, first.path, bytes, (uint32_t)other.bytes, 0);
    sealed_sitting(life);
    life->rots = 1;
    const struct life_result result = life_judge(life);
    cr_assert_gt(result.stored, 300);
    cr_assert_eq(result.duplicated, 0);
    cr_assert_eq(result.wrong, 0);
    cr_assert_eq(result.depth_twice, 0);
    cr_assert_geq(result.missing, result.unreadable);
    cr_assert_gt(result.unreadable, 0, "the segment has rows");
    life_destroy(life);
}

// Made without its footer, its index lacks the block that is damaged as well: not all rows would
// come through a merge.
Test(misread, a_segment_that_lost_a_block_and_its_footer_is_left_out_of_merges)
{
    struct life *life = life_create(830, 1, 5 * MS);
    uint8_t byte;
    sealed_sitting(life);
    const struct first_segment first = find_first(life, CHANNEL_TRADE);
    const int64_t at[2] = {first.bytes - 8, 2000}; // postscript, a block
    for (int n = 0; n < 2; n++) {
        cr_assert_eq(sim_disk_read(life->world, first.path, &byte, 1, at[n]), 1);
        byte ^= 0x10;
        sim_disk_write(life->world, first.path, &byte, 1, at[n]);
    }
    sealed_sitting(life);
    life->rots = 2;
    const struct life_result result = life_judge(life);
    cr_assert_gt(result.stored, 500);
    cr_assert_eq(result.duplicated, 0);
    cr_assert_eq(result.wrong, 0);
    cr_assert_gt(result.missing, 0, "the block has rows");
    life_destroy(life);
}
