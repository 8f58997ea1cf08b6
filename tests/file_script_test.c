// SPDX-License-Identifier: GPL-3.0-or-later
//
// A file that is written again after its sync failed is a new file: the pages of the old one may
// count as clean and not be on disk. In the simulator, with one failure a test.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "io_sim.h"
#include "keep/file_script.h"

static struct sim_world *world;
static struct io *io;
static struct file_script script;

static void begin(void)
{
    struct io_message message;
    struct io_options options = {.name = "script"};
    world = sim_world_create(1);
    sim_world_use(world);
    cr_assert_eq(io_open_loop(&io, &options, &message), 0);
    cr_assert_eq(sim_disk_mkdir(world, "/folder"), 0);
}

static void end(void)
{
    io_close_loop(io);
    sim_world_destroy(world);
}

static int replace(const char *text)
{
    file_script_begin(&script);
    file_script_replace(&script, "/folder/file", text, (uint32_t)strlen(text));
    file_script_sync_directory(&script, "/folder");
    return file_script_run_now(&script, io);
}

static void opened(struct io *loop, struct io_op *op)
{
    (void)loop;
    cr_assert_geq(op->result, 0);
}

static int open_now(const char *path)
{
    static struct io_op op;
    io_open(io, &op, path, IO_OPEN_READ, opened);
    while (!io_idle(&op))
        cr_assert(sim_world_step(world));
    return (int)op.result;
}

Test(file_script, what_could_not_be_synced_is_written_to_another_file)
{
    char text[8] = {0};
    begin();
    cr_assert_eq(replace("one"), 0);
    sim_world_fail(world, IO_FSYNC, 0, -EIO);
    cr_assert_eq(replace("two"), -EIO);
    int old = open_now("/folder/file.new"); // keeps it, as the page cache would
    cr_assert_eq(replace("three"), 0);
    cr_assert_eq(io_read_now(io, old, text, sizeof text, 0), 3);
    cr_assert_str_eq(text, "two");
    sim_world_crash(world, SIM_CRASH_POWER);
    memset(text, 0, sizeof text);
    cr_assert_eq(sim_disk_read(world, "/folder/file", text, sizeof text, 0), 5);
    cr_assert_str_eq(text, "three");
    sim_world_destroy(world);
}

// Whichever operation fails, a crash after it leaves the old bytes or the new ones.
Test(file_script, a_replacement_that_fails_leaves_the_old_file)
{
    static const enum io_kind kinds[] = {IO_UNLINK, IO_OPEN, IO_WRITE, IO_FSYNC, IO_RENAME};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (uint32_t skip = 0; skip < 2; skip++) {
            char text[8] = {0};
            begin();
            cr_assert_eq(replace("one"), 0);
            sim_world_fail(world, kinds[k], skip, -EIO);
            int result = replace("two");
            sim_world_crash(world, SIM_CRASH_POWER);
            cr_assert_eq(sim_disk_read(world, "/folder/file", text, sizeof text, 0), 3);
            cr_assert(strcmp(text, "two") == 0 || (result < 0 && strcmp(text, "one") == 0),
                      "kind %zu, skip %u: %s", k, skip, text);
            sim_world_destroy(world);
        }
    }
}

Test(file_script, a_leftover_does_not_stand_in_the_way)
{
    char text[8] = {0};
    begin();
    sim_disk_write(world, "/folder/file.new", "leftover", 8, 0);
    cr_assert_eq(replace("new"), 0);
    cr_assert_eq(sim_disk_read(world, "/folder/file", text, sizeof text, 0), 3);
    cr_assert_eq(sim_disk_size(world, "/folder/file.new"), -ENOENT);
    end();
}
