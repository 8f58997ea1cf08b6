// SPDX-License-Identifier: GPL-3.0-or-later
//
// The statistics page: sections across threads, the two slots on disk, and what a reader makes of a
// file that is torn, foreign, or left by a crash at any operation.
#include "base/statistics.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "io_sim.h"
#include "keep/statistics_file.h"

// ---- sections ----

enum { SECTION_WORDS = 4096, SECTION_TURNS = 20000 };
static uint64_t section[SECTION_WORDS];
static atomic_bool writer_ended;

static void *write_section(void *unused)
{
    static uint64_t own[SECTION_WORDS];
    (void)unused;
    for (uint64_t n = 1; n <= SECTION_TURNS; n++) {
        for (int i = 1; i < SECTION_WORDS; i++) own[i] = n;
        statistics_publish(section, own, sizeof own);
    }
    atomic_store(&writer_ended, true);
    return NULL;
}

Test(statistics, a_section_is_taken_whole_or_not_at_all)
{
    static uint64_t taken[SECTION_WORDS];
    pthread_t writer;
    uint64_t whole = 0, last = 0;
    cr_assert_eq(pthread_create(&writer, NULL, write_section, NULL), 0);
    while (!atomic_load(&writer_ended)) {
        if (!statistics_take(taken, section, sizeof section)) continue;
        for (int i = 2; i < SECTION_WORDS; i++) cr_assert_eq(taken[i], taken[1]);
        cr_assert_geq(taken[1], last);
        last = taken[1];
        whole++;
    }
    cr_assert_eq(pthread_join(writer, NULL), 0);
    cr_assert(statistics_take(taken, section, sizeof section));
    cr_assert_eq(taken[1], SECTION_TURNS);
    cr_assert_gt(whole, 0);
}

Test(statistics, a_section_that_is_being_written_leaves_what_there_was)
{
    uint64_t being_written[8] = {1, 5, 5};
    uint64_t out[8] = {0, 7, 7};
    cr_assert_not(statistics_take(out, being_written, sizeof out));
    cr_assert_eq(out[1], 7);
    being_written[0] = 2;
    cr_assert(statistics_take(out, being_written, sizeof out));
    cr_assert_eq(out[1], 5);
}

// ---- slots ----

static struct statistics_page *page_of(uint32_t shards, uint64_t sequence)
{
    struct statistics_page *page = calloc(1, statistics_page_bytes(shards));
    cr_assert_not_null(page);
    page->daemon.rss_bytes = sequence;
    page->shards[shards - 1].messages = sequence;
    statistics_page_seal(page, shards, sequence);
    return page;
}

// Two slots of a file with the sequences given; 0: a slot of zeros.
static char *file_of(uint32_t shards, uint64_t first, uint64_t second, size_t *size)
{
    const size_t each = statistics_page_bytes(shards);
    char *bytes = calloc(2, each);
    const uint64_t sequences[] = {first, second};
    for (size_t i = 0; i < 2; i++) {
        if (sequences[i] == 0) continue;
        struct statistics_page *page = page_of(shards, sequences[i]);
        memcpy(bytes + i * each, page, each);
        free(page);
    }
    *size = 2 * each;
    return bytes;
}

static enum statistics_found choose(const char *bytes, size_t size, uint32_t *slot)
{
    uint32_t version = 0;
    return statistics_page_choose(bytes, size, slot, &version);
}

Test(statistics, the_newer_whole_slot_counts)
{
    size_t size;
    uint32_t slot = 9;
    char *bytes = file_of(2, 8, 7, &size);
    cr_assert_eq(choose(bytes, size, &slot), STATISTICS_GOOD);
    cr_assert_eq(slot, 0);
    bytes[size / 4] ^= 1; // in the first slot
    cr_assert_eq(choose(bytes, size, &slot), STATISTICS_GOOD);
    cr_assert_eq(slot, 1);
    bytes[size - 5] ^= 1;
    cr_assert_eq(choose(bytes, size, &slot), STATISTICS_TORN);
    free(bytes);
    bytes = file_of(2, 1, 0, &size);
    cr_assert_eq(choose(bytes, size, &slot), STATISTICS_GOOD);
    cr_assert_eq(slot, 0);
    free(bytes);
    bytes = file_of(2, 1, 2, &size);
    cr_assert_eq(choose(bytes, size, &slot), STATISTICS_GOOD);
    cr_assert_eq(slot, 1);
    free(bytes);
}

Test(statistics, no_length_of_a_file_is_read_beyond)
{
    size_t size;
    uint32_t slot;
    char *bytes = file_of(1, 3, 4, &size);
    for (size_t length = 0; length < size; length += length < 200 ? 1 : 997) {
        char *cut = malloc(length + 1);
        memcpy(cut, bytes, length);
        const enum statistics_found found = choose(cut, length, &slot);
        cr_assert_eq(found, length < size / 2 ? STATISTICS_TORN : STATISTICS_GOOD);
        if (found == STATISTICS_GOOD) cr_assert_eq(slot, 0);
        free(cut);
    }
    free(bytes);
}

Test(statistics, every_flipped_bit_of_the_head_is_noticed)
{
    struct statistics_page *page = page_of(1, 5);
    const size_t bytes = statistics_page_bytes(1);
    for (size_t bit = 0; bit < 8 * sizeof page->head; bit++) {
        ((char *)page)[bit / 8] ^= (char)(1 << bit % 8);
        cr_assert_not(statistics_page_good(page, bytes), "bit %zu", bit);
        ((char *)page)[bit / 8] ^= (char)(1 << bit % 8);
    }
    cr_assert(statistics_page_good(page, bytes));
    page->shards[0].link_count = STATISTICS_LINKS_MAX + 1; // a writer that is wrong
    statistics_page_seal(page, 1, 6);
    cr_assert_not(statistics_page_good(page, bytes));
    free(page);
}

Test(statistics, another_layout_is_named)
{
    size_t size;
    uint32_t slot, version = 0;
    char *bytes = file_of(1, 1, 2, &size);
    ((struct statistics_head *)(void *)bytes)->version = 9;
    cr_assert_eq(statistics_page_choose(bytes, size, &slot, &version), STATISTICS_FOREIGN);
    cr_assert_eq(version, 9);
    bytes[0] = 'x';
    cr_assert_eq(statistics_page_choose(bytes, size, &slot, &version), STATISTICS_FOREIGN);
    cr_assert_eq(version, 0, "something else altogether");
    free(bytes);
}

// ---- the file, in the simulated world ----

struct writer {
    struct sim_world *world;
    struct io *io;
    struct statistics_file file;
};

static void writer_begin(struct writer *writer, uint64_t seed)
{
    struct io_message message = {{0}};
    writer->world = sim_world_create(seed);
    sim_world_use(writer->world);
    cr_assert_eq(sim_disk_mkdir(writer->world, "/data/store"), 0);
    cr_assert_eq(io_open_loop(&writer->io, &(struct io_options){.name = "statistics"}, &message),
                 0);
    cr_assert_eq(statistics_file_open(&writer->file, writer->io, "/data/store", 1, NULL), 0);
}

static void writer_end(struct writer *writer)
{
    statistics_file_close(&writer->file);
    io_close_loop(writer->io);
    sim_world_destroy(writer->world);
}

// Page n has n in its figures. False: crashed.
static bool write_page(struct writer *writer, uint64_t n)
{
    struct statistics_page *page = page_of(1, n);
    bool taken = false;
    for (int i = 0; i < 100 && !taken; i++) {
        taken = statistics_file_write(&writer->file, page);
        if (!sim_world_run(writer->world, 10 * LIMIT_MILLISECOND_NS)) break;
    }
    free(page);
    return !sim_world_crashed(writer->world);
}

// What a reader finds: the number of a whole page, 0 for none.
static uint64_t read_page(struct writer *writer)
{
    const uint32_t size = (uint32_t)(2 * statistics_page_bytes(1));
    char *bytes = malloc(size);
    const int64_t got =
        sim_disk_read(writer->world, "/data/store/run/statistics", bytes, size, 0);
    uint32_t slot = 0;
    uint64_t found = 0;
    if (got > 0 && choose(bytes, (size_t)got, &slot) == STATISTICS_GOOD) {
        const struct statistics_page *page =
            (const void *)(bytes + slot * statistics_page_bytes(1));
        found = page->daemon.rss_bytes;
        cr_assert_eq(page->shards[0].messages, found, "one page, not two");
    }
    free(bytes);
    return found;
}

static void unlinked(struct io *io, struct io_op *op)
{
    (void)io;
    cr_assert_eq(op->result, 0);
}

Test(statistics, each_page_is_there_once_it_is_written)
{
    struct writer writer = {0};
    writer_begin(&writer, 1);
    for (uint64_t n = 1; n <= 5; n++) {
        cr_assert(write_page(&writer, n));
        cr_assert_eq(read_page(&writer), n);
    }
    while (!statistics_file_stop(&writer.file))
        cr_assert(sim_world_run(writer.world, LIMIT_MILLISECOND_NS));
    cr_assert_eq(sim_disk_size(writer.world, "/data/store/run/statistics.new"), -2, "-ENOENT");
    writer_end(&writer);
}

Test(statistics, a_file_that_somebody_deleted_is_made_anew)
{
    struct writer writer = {0};
    writer_begin(&writer, 2);
    cr_assert(write_page(&writer, 1));
    struct io_op op = {0};
    io_unlink(writer.io, &op, "/data/store/run/statistics", unlinked);
    for (uint64_t n = 2; n <= 2 + STATISTICS_FILE_LOOK; n++) cr_assert(write_page(&writer, n));
    cr_assert_eq(read_page(&writer), 2 + STATISTICS_FILE_LOOK);
    while (!statistics_file_stop(&writer.file))
        cr_assert(sim_world_run(writer.world, LIMIT_MILLISECOND_NS));
    writer_end(&writer);
}

Test(statistics, a_kill_at_any_operation_leaves_the_last_page_or_the_one_before)
{
    for (uint64_t at = 1; at <= 12; at++) {
        struct writer writer = {0};
        uint64_t n = 0;
        writer_begin(&writer, at);
        sim_world_crash_at(writer.world, at);
        while (n < 8 && write_page(&writer, n + 1)) n++;
        sim_world_crash(writer.world, SIM_CRASH_KILL);
        const uint64_t found = read_page(&writer);
        cr_assert(found == n || found == n + 1 || n == 0, "operation %llu: page %llu after %llu",
                  (unsigned long long)at, (unsigned long long)found, (unsigned long long)n);
        statistics_file_close(&writer.file);
        sim_world_destroy(writer.world);
    }
}

Test(statistics, a_disk_that_refuses_is_asked_again)
{
    struct writer writer = {0};
    writer_begin(&writer, 3);
    sim_world_fail(writer.world, IO_FALLOCATE, 0, -28);
    struct statistics_page *page = page_of(1, 1);
    cr_assert(statistics_file_write(&writer.file, page));
    cr_assert(sim_world_run(writer.world, LIMIT_SECOND_NS));
    cr_assert_eq(writer.file.error, -28);
    cr_assert_not(statistics_file_write(&writer.file, page), "not at once");
    cr_assert(sim_world_run(writer.world, STATISTICS_FILE_RETRY_NS));
    cr_assert(write_page(&writer, 2));
    cr_assert_eq(read_page(&writer), 2);
    sim_world_fail(writer.world, IO_WRITE, 0, -5);
    cr_assert(write_page(&writer, 3));
    const uint64_t found = read_page(&writer); // the failed write may have reached the file
    cr_assert(found == 2 || found == 3, "%llu", (unsigned long long)found);
    free(page);
    while (!statistics_file_stop(&writer.file))
        cr_assert(sim_world_run(writer.world, LIMIT_MILLISECOND_NS));
    writer_end(&writer);
}
