// SPDX-License-Identifier: GPL-3.0-or-later
//
// What io_sim.h promises beyond io.h: determinism, what a crash leaves, faults and script. Chances
// are tested over many seeds: what may happen is seen at least once, what must not never.
#include "io_sim.h"

#include "base/limits.h"
#include "format/ensure.h"
#include "io_contract_probe.h"

#include <signal.h>
#include <string.h>

enum { SEEDS = 60, BLOCK = SIM_SECTOR_BYTES };

static struct sim_world *world_with(uint64_t seed, struct io **io)
{
    struct sim_world *world = sim_world_create(seed);
    struct io_message message;
    sim_world_use(world);
    ensure(sim_disk_mkdir(world, "/store") == 0);
    ensure(io_open_loop(io, NULL, &message) == 0);
    return world;
}

static int open_file(struct io *io, const char *path, uint32_t flags)
{
    struct probe probe = {0};
    io_open(io, &probe.op, path, IO_OPEN_READ | flags, probe_done);
    int64_t handle = probe_finish(io, &probe);
    ensure(handle >= 0);
    return (int)handle;
}

static int create_file(struct io *io, const char *path)
{
    return open_file(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE);
}

static int64_t write_block(struct io *io, int file, uint8_t value, int64_t offset, uint32_t flags)
{
    static uint8_t block[BLOCK];
    struct probe probe = {0};
    memset(block, value, sizeof block);
    io_write(io, &probe.op, file, block, BLOCK, offset, flags, probe_done);
    return probe_finish(io, &probe);
}

static int64_t sync_handle(struct io *io, int handle)
{
    struct probe probe = {0};
    io_fsync(io, &probe.op, handle, false, probe_done);
    return probe_finish(io, &probe);
}

static void sync_folder(struct io *io)
{
    struct probe probe = {0};
    io_open(io, &probe.op, "/store", IO_OPEN_DIRECTORY, probe_done);
    int folder = (int)probe_finish(io, &probe);
    cr_assert_eq(sync_handle(io, folder), 0);
    close_handle(io, folder);
}

static void rename_file(struct io *io, const char *from, const char *to)
{
    struct probe probe = {0};
    io_rename(io, &probe.op, from, to, probe_done);
    cr_assert_eq(probe_finish(io, &probe), 0);
}

// What a block holds: a value, or 255 if it is mixed, or -1 if it is not there.
static int block_value(struct sim_world *world, const char *path, int64_t offset)
{
    uint8_t block[BLOCK];
    int64_t size = sim_disk_read(world, path, block, BLOCK, offset);
    if (size != BLOCK)
        return -1;
    for (uint32_t i = 1; i < BLOCK; i++) {
        if (block[i] != block[0])
            return 255;
    }
    return block[0];
}

// ---- crash ----

enum way { UNSYNCED, DURABLE, SYNCED, SYNCED_BEFORE, SYNC_FAILED, IN_FLIGHT, WAYS };

// Overwrites block 0, durable with value 1, by value 2 in one of the ways.
static void overwrite(struct sim_world *world, struct io *io, int file, enum way way)
{
    static struct probe probe;
    static uint8_t block[BLOCK];
    probe = (struct probe){0};
    if (way == SYNCED_BEFORE) // the sync is started before the write, and completes after it
        io_fsync(io, &probe.op, file, true, probe_done);
    if (way == IN_FLIGHT) {
        memset(block, 2, sizeof block);
        io_write(io, &probe.op, file, block, BLOCK, 0, IO_WRITE_DURABLE, probe_done);
        return;
    }
    uint32_t flags = way == DURABLE ? IO_WRITE_DURABLE : 0;
    cr_assert_eq(write_block(io, file, 2, 0, flags), BLOCK);
    if (way == SYNC_FAILED) {
        sim_world_fail(world, IO_FSYNC, 0, -EIO);
        cr_assert_eq(sync_handle(io, file), -EIO);
        cr_assert_eq(sync_handle(io, file), 0, "as Linux: the second one knows nothing");
        cr_assert_eq(block_value(world, "/store/file", 0), 2);
    }
    if (way == SYNCED)
        cr_assert_eq(sync_handle(io, file), 0);
    if (way == SYNCED_BEFORE && probe.lasts == 0)
        (void)probe_finish(io, &probe);
}

static void crash_after(enum way way, enum sim_crash kind, bool seen[256])
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io;
        struct sim_world *world = world_with(seed, &io);
        int file = create_file(io, "/store/file");
        cr_assert_eq(write_block(io, file, 1, 0, IO_WRITE_DURABLE), BLOCK);
        sync_folder(io);
        overwrite(world, io, file, way);
        sim_world_crash(world, kind);
        int value = block_value(world, "/store/file", 0);
        cr_assert(value == 1 || value == 2 || value == 255, "seed %d: %d", (int)seed, value);
        seen[value] = true;
        sim_world_destroy(world);
    }
}

Test(io_sim, a_crash_keeps_what_is_durable_and_doubts_the_rest)
{
    static const struct {
        enum way way;
        enum sim_crash kind;
        bool old;
        bool torn;
    } rows[] = {
        {UNSYNCED, SIM_CRASH_POWER, true, true},    {UNSYNCED, SIM_CRASH_KILL, false, false},
        {DURABLE, SIM_CRASH_POWER, false, false},   {SYNCED, SIM_CRASH_POWER, false, false},
        {SYNCED_BEFORE, SIM_CRASH_POWER, true, true}, {SYNC_FAILED, SIM_CRASH_POWER, true, false},
        {IN_FLIGHT, SIM_CRASH_POWER, true, true},   {IN_FLIGHT, SIM_CRASH_KILL, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool seen[256] = {false};
        crash_after(rows[i].way, rows[i].kind, seen);
        cr_assert(seen[2], "row %zu: new content is never seen", i);
        cr_assert_eq(seen[1], rows[i].old, "row %zu: old content", i);
        cr_assert_eq(seen[255], rows[i].torn, "row %zu: torn content", i);
    }
}

Test(io_sim, a_crash_keeps_synced_names_and_doubts_the_others)
{
    for (int synced = 0; synced < 2; synced++) {
        bool seen[2][2] = {{false}};
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct io *io;
            struct sim_world *world = world_with(seed, &io);
            int file = create_file(io, "/store/new");
            cr_assert_eq(write_block(io, file, 3, 0, IO_WRITE_DURABLE), BLOCK);
            sync_folder(io);
            rename_file(io, "/store/new", "/store/old");
            if (synced != 0)
                sync_folder(io);
            sim_world_crash(world, SIM_CRASH_POWER);
            bool is_new = block_value(world, "/store/new", 0) == 3;
            bool is_old = block_value(world, "/store/old", 0) == 3;
            cr_assert_neq(is_new, is_old, "a rename is atomic");
            seen[is_new][is_old] = true;
            sim_world_destroy(world);
        }
        cr_assert(seen[0][1]);
        cr_assert_eq(seen[1][0], synced == 0);
    }
}

Test(io_sim, without_its_folder_synced_a_new_file_may_be_gone)
{
    bool seen[2] = {false};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io;
        struct sim_world *world = world_with(seed, &io);
        int file = create_file(io, "/store/new");
        cr_assert_eq(write_block(io, file, 3, 0, IO_WRITE_DURABLE), BLOCK);
        cr_assert_eq(sync_handle(io, file), 0);
        sim_world_crash(world, SIM_CRASH_POWER);
        int value = block_value(world, "/store/new", 0);
        cr_assert(value == 3 || value == -1);
        seen[value == 3] = true;
        sim_world_destroy(world);
    }
    cr_assert(seen[0] && seen[1]);
}

Test(io_sim, an_unsynced_size_may_be_lost_and_reads_as_zeros_where_it_is_not)
{
    bool seen[3] = {false};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io;
        struct sim_world *world = world_with(seed, &io);
        int file = create_file(io, "/store/file");
        cr_assert_eq(write_block(io, file, 1, 0, IO_WRITE_DURABLE), BLOCK);
        sync_folder(io);
        cr_assert_eq(write_block(io, file, 2, BLOCK, 0), BLOCK);
        sim_world_crash(world, SIM_CRASH_POWER);
        int64_t size = sim_disk_size(world, "/store/file");
        int value = block_value(world, "/store/file", BLOCK);
        cr_assert_eq(block_value(world, "/store/file", 0), 1);
        cr_assert(size == BLOCK || size == 2 * BLOCK);
        if (size == BLOCK)
            cr_assert_eq(value, -1);
        seen[size == BLOCK ? 0 : value == 0 ? 1 : 2] = true;
        sim_world_destroy(world);
    }
    cr_assert(seen[0] && seen[1] && seen[2]);
}

// A journal in small: blocks 1, 2, 3 ... written durably one after the other, each acknowledged.
struct journal {
    struct io_op op;
    struct io *io;
    int file;
    uint32_t step;
    uint32_t acknowledged;
    uint8_t block[BLOCK];
};

static void journal_next(struct io *io, struct io_op *op);

static void journal_write(struct journal *journal)
{
    uint32_t index = journal->acknowledged;
    memset(journal->block, (int)index + 1, BLOCK);
    io_write(journal->io, &journal->op, journal->file, journal->block, BLOCK,
             (int64_t)index * BLOCK, IO_WRITE_DURABLE, journal_next);
}

static void journal_next(struct io *io, struct io_op *op)
{
    struct journal *journal = io_owner(op, struct journal, op);
    cr_assert_geq(op->result, 0);
    switch (journal->step++) {
    case 0:
        journal->file = (int)op->result;
        io_fallocate(io, op, journal->file, 16 * BLOCK, journal_next);
        break;
    case 1:
        io_fsync(io, op, journal->file, false, journal_next);
        break;
    case 2:
        io_open(io, op, "/store", IO_OPEN_DIRECTORY, journal_next);
        break;
    case 3:
        io_fsync(io, op, (int)op->result, false, journal_next);
        break;
    case 4:
        journal_write(journal);
        break;
    default:
        journal->acknowledged += 1;
        if (journal->acknowledged < 10)
            journal_write(journal);
        break;
    }
}

// Runs until the machine stops or everything is written; crashes; checks.
static uint64_t journal_life(uint64_t seed, uint64_t crash_at)
{
    struct io *io;
    static struct journal journal;
    struct sim_world *world = world_with(seed, &io);
    journal = (struct journal){.io = io};
    sim_world_crash_at(world, crash_at);
    io_open(io, &journal.op, "/store/journal", IO_OPEN_WRITE | IO_OPEN_CREATE, journal_next);
    while (sim_world_step(world))
        continue;
    cr_assert_eq(sim_world_crashed(world), crash_at != 0);
    uint64_t operations = sim_world_operations(world);
    sim_world_crash(world, SIM_CRASH_POWER);
    cr_assert(!sim_world_crashed(world));
    for (uint32_t i = 0; i < journal.acknowledged; i++)
        cr_assert_eq(block_value(world, "/store/journal", i * BLOCK), (int)i + 1);
    struct io_message message;
    ensure(io_open_loop(&io, NULL, &message) == 0); // and life goes on
    close_handle(io, create_file(io, "/store/journal"));
    io_close_loop(io);
    sim_world_destroy(world);
    return operations;
}

Test(io_sim, a_crash_at_every_operation_keeps_what_was_acknowledged)
{
    uint64_t operations = journal_life(0, 0);
    cr_assert_eq(operations, 15);
    for (uint64_t seed = 0; seed < 10; seed++) {
        for (uint64_t at = 1; at <= operations; at++)
            cr_assert_eq(journal_life(seed, at), at);
    }
}

// ---- determinism ----

// Some life with every fault on; returns the hash.
static uint64_t eventful_life(uint64_t seed)
{
    struct io *io;
    struct io *peer;
    struct io_message message;
    struct sim_world *world = world_with(seed, &io);
    ensure(io_open_loop(&peer, &(struct io_options){.name = "peer"}, &message) == 0);
    struct sim_faults *faults = sim_world_faults(world);
    faults->receive_split = 500000;
    faults->send_short = 500000;
    faults->slow_disk = 100000;
    struct io_address address = {.bytes = {10, 0, 0, 1}, .port = 443};
    uint16_t port = 0;
    static struct probe accept;
    static struct probe connect;
    static struct probe receive;
    static struct probe send;
    static uint8_t bytes[10000];
    accept = connect = receive = send = (struct probe){0};
    io_accept(peer, &accept.op, io_listen(peer, &address, &port), probe_done);
    io_connect(io, &connect.op, &address, probe_done);
    int near = (int)probe_finish(io, &connect);
    (void)sim_world_run(world, 1000000);
    io_receive(peer, &receive.op, (int)accept.results[0], probe_done);
    int file = create_file(io, "/store/file");
    for (uint32_t i = 0; i < 20; i++) {
        io_random(io, bytes, sizeof bytes);
        io_send(io, &send.op, near, bytes, sizeof bytes, probe_done);
        cr_assert_gt(probe_finish(io, &send), 0);
        cr_assert_eq(write_block(io, file, (uint8_t)i, (int64_t)i * BLOCK, 0), BLOCK);
    }
    (void)sim_world_run(world, 1000000);
    cr_assert_gt(receive.bytes, 20);
    uint64_t hash = sim_world_hash(world);
    sim_world_destroy(world);
    return hash;
}

Test(io_sim, the_same_seed_gives_the_same_trace_and_another_another)
{
    uint64_t first = eventful_life(0);
    for (uint64_t seed = 1; seed < 10; seed++) {
        uint64_t hash = eventful_life(seed);
        cr_assert_eq(hash, eventful_life(seed));
        cr_assert_neq(hash, first);
    }
}

// ---- faults, script, space ----

Test(io_sim, scripted_failures_strike_once_and_where_told)
{
    struct io *io;
    struct sim_world *world = world_with(7, &io);
    int file = create_file(io, "/store/file");
    sim_world_fail(world, IO_WRITE, 2, -ENOSPC);
    sim_world_fail(world, IO_FSYNC, 0, -EIO);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(write_block(io, file, 1, 0, 0), i == 2 ? -ENOSPC : BLOCK);
    cr_assert_eq(sync_handle(io, file), -EIO);
    cr_assert_eq(sync_handle(io, file), 0);
    close_handle(io, file);
    io_close_loop(io);
    sim_world_destroy(world);
}

Test(io_sim, a_full_disk_refuses_and_gives_back_what_is_removed)
{
    struct io *io;
    struct sim_world *world = world_with(8, &io);
    struct probe probe = {0};
    sim_disk_capacity(world, 4 * BLOCK);
    int file = create_file(io, "/store/file");
    for (int64_t i = 0; i < 6; i++)
        cr_assert_eq(write_block(io, file, 1, i * BLOCK, 0), i < 4 ? BLOCK : -ENOSPC);
    cr_assert_eq(write_block(io, file, 2, 0, 0), BLOCK, "overwriting needs no space");
    cr_assert_eq(io_free_bytes(io, "/store"), 0);
    sim_disk_capacity(world, BLOCK);
    cr_assert_eq(io_free_bytes(io, "/store"), 0, "though more is used");
    sim_disk_capacity(world, 4 * BLOCK);
    close_handle(io, file);
    io_unlink(io, &probe.op, "/store/file", probe_done);
    cr_assert_eq(probe_finish(io, &probe), 0);
    sync_folder(io);
    cr_assert_eq(io_free_bytes(io, "/store"), 4 * BLOCK);
    int other = create_file(io, "/store/other");
    io_fallocate(io, &probe.op, other, 5 * BLOCK, probe_done);
    cr_assert_eq(probe_finish(io, &probe), -ENOSPC);
    close_handle(io, other);
    io_close_loop(io);
    sim_world_destroy(world);
}

// ---- network ----

struct line {
    struct sim_world *world;
    struct io *io;
    struct io *peer;
    struct io_address address;
    struct probe accept;
    struct probe receive;
    int near;
    int far;
};

static void line_begin(struct line *line, uint64_t seed)
{
    struct io_message message;
    struct probe connect = {0};
    memset(line, 0, sizeof *line);
    line->world = world_with(seed, &line->io);
    ensure(io_open_loop(&line->peer, &(struct io_options){.name = "peer"}, &message) == 0);
    sim_loop_elsewhere(line->peer);
    line->address = (struct io_address){.bytes = {10, 0, 0, 1}, .port = 443};
    int listener = io_listen(line->peer, &line->address, &line->address.port);
    io_accept(line->peer, &line->accept.op, listener, probe_done);
    io_connect(line->io, &connect.op, &line->address, probe_done);
    line->near = (int)probe_finish(line->io, &connect);
    (void)sim_world_run(line->world, 1000000);
    cr_assert_eq(line->accept.calls, 1);
    line->far = (int)line->accept.results[0];
    io_receive(line->peer, &line->receive.op, line->far, probe_done);
}

static int64_t line_send(struct line *line)
{
    static const uint8_t bytes[100];
    struct probe send = {0};
    io_send(line->io, &send.op, line->near, bytes, sizeof bytes, probe_done);
    int64_t result = probe_finish(line->io, &send);
    (void)sim_world_run(line->world, 1000000);
    return result;
}

Test(io_sim, a_cut_line_is_reset_or_mute)
{
    static struct line line;
    line_begin(&line, 1);
    cr_assert_eq(line_send(&line), 100);
    cr_assert_eq(line.receive.bytes, 100);
    sim_network_cut(line.world, 443, false);
    cr_assert_eq(line_send(&line), 100, "nobody knows yet");
    (void)sim_world_run(line.world, 3600ll * SECOND);
    cr_assert_eq(line.receive.bytes, 100);
    cr_assert_eq(line.receive.lasts, 0);
    sim_world_destroy(line.world);
    line_begin(&line, 2);
    sim_network_cut(line.world, 443, true);
    (void)sim_world_run(line.world, 1000000);
    cr_assert_eq(probe_last(&line.receive), -ECONNRESET);
    cr_assert_eq(line_send(&line), -ECONNRESET);
    cr_assert_eq(line_send(&line), -EPIPE);
    sim_world_destroy(line.world);
}

Test(io_sim, a_host_that_is_down_refuses_or_lets_wait)
{
    static struct line line;
    struct probe connect = {0};
    line_begin(&line, 3);
    sim_network_down(line.world, 443, true, true);
    io_connect(line.io, &connect.op, &line.address, probe_done);
    cr_assert_eq(probe_finish(line.io, &connect), -ECONNREFUSED);
    sim_network_down(line.world, 443, true, false);
    int64_t begin_ns = sim_world_monotonic_ns(line.world);
    io_connect(line.io, &connect.op, &line.address, probe_done);
    (void)sim_world_run(line.world, 200ll * SECOND);
    cr_assert_eq(probe_finish(line.io, &connect), -ETIMEDOUT);
    cr_assert_geq(sim_world_monotonic_ns(line.world) - begin_ns, 100ll * SECOND);
    sim_network_down(line.world, 443, false, false);
    io_connect(line.io, &connect.op, &line.address, probe_done);
    cr_assert_geq(probe_finish(line.io, &connect), 0);
    sim_world_destroy(line.world);
}

Test(io_sim, loops_elsewhere_survive_a_crash_and_notice_it)
{
    static struct line line;
    struct io_message message;
    line_begin(&line, 4);
    cr_assert_eq(line_send(&line), 100);
    sim_world_crash(line.world, SIM_CRASH_POWER);
    (void)sim_world_run(line.world, SECOND);
    cr_assert_eq(line.receive.lasts, 1);
    cr_assert_leq(probe_last(&line.receive), 0);
    struct probe connect = {0};
    ensure(io_open_loop(&line.io, NULL, &message) == 0);
    io_connect(line.io, &connect.op, &line.address, probe_done);
    cr_assert_geq(probe_finish(line.io, &connect), 0);
    (void)sim_world_run(line.world, 1000000);
    cr_assert_eq(line.accept.calls, 2);
    sim_world_destroy(line.world);
}

Test(io_sim, a_clock_step_is_told_once_and_time_never_goes_back)
{
    static struct line line;
    line_begin(&line, 5);
    for (int i = 0; i < 6; i++) {
        int64_t before_ns = io_utc_ns(line.peer);
        if (i == 2 || i == 4)
            sim_world_step_clock(line.world, i == 2 ? -10ll * SECOND : 20ll * SECOND);
        cr_assert_eq(line_send(&line), 100);
        cr_assert_gt(line.receive.completed_ns, before_ns);
        cr_assert_eq(line.receive.op.clock_stepped, i == 2 || i == 4);
    }
    cr_assert_eq(io_counters(line.peer).clock_steps, 2);
    sim_world_destroy(line.world);
}

Test(io_sim, names_of_the_table_resolve_and_others_do_not)
{
    struct io *io;
    struct probe probe = {0};
    struct io_address addresses[IO_ADDRESSES_MAX];
    struct sim_world *world = world_with(9, &io);
    sim_world_name(world, "stream.example", "192.0.2.1");
    sim_world_name(world, "stream.example", "2001:db8::1");
    io_resolve(io, &probe.op, "stream.example", 9443, addresses, probe_done);
    cr_assert_eq(probe_finish(io, &probe), 2);
    cr_assert(!addresses[0].ipv6 && addresses[0].bytes[3] == 1 && addresses[0].port == 9443);
    cr_assert(addresses[1].ipv6 && addresses[1].bytes[15] == 1 && addresses[1].port == 9443);
    io_resolve(io, &probe.op, "other.example", 9443, addresses, probe_done);
    cr_assert_eq(probe_finish(io, &probe), -EHOSTUNREACH);
    sim_world_fail(world, IO_RESOLVE, 0, -EAGAIN);
    io_resolve(io, &probe.op, "stream.example", 9443, addresses, probe_done);
    cr_assert_eq(probe_finish(io, &probe), -EAGAIN);
    io_close_loop(io);
    sim_world_destroy(world);
}

Test(io_sim, an_address_that_is_gone_refuses_and_a_hidden_one_is_not_answered)
{
    struct io *io;
    struct probe probe = {0}, accepted = {0};
    struct io_address addresses[IO_ADDRESSES_MAX], any = {0};
    struct sim_world *world = world_with(11, &io);
    uint16_t port;
    const int listener = io_listen(io, &any, &port);
    sim_world_name(world, "stream.example", "192.0.2.1");
    sim_world_name(world, "stream.example", "192.0.2.2");
    sim_name_hidden(world, "stream.example", "192.0.2.1", true);
    io_resolve(io, &probe.op, "stream.example", port, addresses, probe_done);
    cr_assert_eq(probe_finish(io, &probe), 1);
    cr_assert_eq(addresses[0].bytes[3], 2);
    io_accept(io, &accepted.op, listener, probe_done);
    sim_address_gone(world, "192.0.2.2", true);
    io_connect(io, &probe.op, &addresses[0], probe_done);
    cr_assert_eq(probe_finish(io, &probe), -ECONNREFUSED);
    sim_address_gone(world, "192.0.2.2", false);
    io_connect(io, &probe.op, &addresses[0], probe_done);
    cr_assert_geq(probe_finish(io, &probe), 0);
    sim_name_hidden(world, "stream.example", "192.0.2.1", false);
    io_resolve(io, &probe.op, "stream.example", port, addresses, probe_done);
    cr_assert_eq(probe_finish(io, &probe), 2);
    sim_world_destroy(world);
}

static void count_call(void *context)
{
    ++*(int *)context;
}

Test(io_sim, who_waits_on_a_machine_that_stands_still_can_be_taken_away)
{
    struct io *io;
    int calls = 0;
    struct probe probe = {0};
    struct sim_world *world = world_with(12, &io);
    sim_world_on_crash(world, count_call, &calls);
    (void)io_run(io, 0);
    cr_assert_eq(calls, 0);
    sim_world_crash_at(world, sim_world_operations(world) + 1);
    io_mkdir(io, &probe.op, "/store/folder", probe_done);
    (void)io_run(io, LIMIT_SECOND_NS);
    cr_assert_eq(calls, 1);
    sim_world_destroy(world);
}

static void leak_a_file(void)
{
    struct io *io;
    (void)world_with(10, &io);
    (void)create_file(io, "/store/file");
    io_close_loop(io);
}

Test(io_sim, a_loop_that_leaves_a_file_open_is_a_bug, .signal = SIGABRT)
{
    leak_a_file();
}
