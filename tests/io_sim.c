// SPDX-License-Identifier: GPL-3.0-or-later
//
// The world of the simulator: time, schedule, loops, handles, crash. Disk and network are in files
// of their own.
#include "io_sim.h"

#include "io/io_enqueue.h"
#include "io_sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SIM_EVENT_RUN = 1,         // op->flags of an event that is a loop's turn
    SIM_POLL_NS = 1000,        // what an io_run() without waiting takes
    SIM_UTC_BEGIN = 1767225600, // 2026-01-01
};

static struct sim_world *sim_current;

// ---- world ----

struct sim_world *sim_world_create(uint64_t seed)
{
    struct sim_world *world = calloc(1, sizeof *world);
    ensure(world != NULL);
    world->random = seed;
    world->hash = seed;
    world->now_ns = 1000000000;
    world->utc_offset_ns = (int64_t)SIM_UTC_BEGIN * 1000000000 - world->now_ns;
    world->faults = (struct sim_faults){
        .network_ns_min = 20000,
        .network_ns_max = 200000,
        .disk_ns_min = 50000,
        .disk_ns_max = 500000,
        .thread_ns_max = 5000,
        .torn_sector = 200000,
        .cancel_late = 300000,
    };
    world->disk = sim_disk_create();
    world->network = sim_network_create();
    world->names = sim_names_create();
    world->trace = getenv("SIM_TRACE") != NULL;
    return world;
}

void sim_world_destroy(struct sim_world *world)
{
    for (uint32_t i = 0; i < SIM_LOOPS_MAX; i++)
        free(world->loops[i]);
    sim_network_destroy(world->network);
    free(world->names);
    sim_disk_destroy(world->disk);
    if (sim_current == world)
        sim_current = NULL;
    free(world);
}

void sim_world_use(struct sim_world *world)
{
    sim_current = world;
}

struct sim_faults *sim_world_faults(struct sim_world *world)
{
    return &world->faults;
}

int64_t sim_world_monotonic_ns(const struct sim_world *world)
{
    return world->now_ns;
}

int64_t sim_world_utc_ns(const struct sim_world *world)
{
    return world->now_ns + world->utc_offset_ns;
}

void sim_world_step_clock(struct sim_world *world, int64_t delta_ns)
{
    world->utc_offset_ns += delta_ns;
}

// ---- handles ----

int sim_handle_open(struct io *io, struct sim_inode *inode, struct sim_socket *socket)
{
    struct sim_world *world = io->world;
    ensure((inode != NULL) != (socket != NULL));
    for (uint32_t i = 0; i < SIM_HANDLES_MAX; i++) {
        // Taken in turn, so that a handle used after its end is not soon another's.
        uint32_t index = (world->handle_next + i) % SIM_HANDLES_MAX;
        struct sim_handle *handle = &world->handles[index];
        if (handle->io != NULL)
            continue;
        *handle = (struct sim_handle){.io = io, .inode = inode, .socket = socket};
        world->handle_next = index + 1;
        return (int)index;
    }
    ensure(false); // SIM_HANDLES_MAX
}

struct sim_handle *sim_handle_of(struct io *io, int handle)
{
    ensure(handle >= 0 && handle < SIM_HANDLES_MAX);
    struct sim_handle *result = &io->world->handles[handle];
    ensure(result->io == io); // closed, or of another loop
    return result;
}

void sim_handle_close(struct sim_world *world, int handle)
{
    struct sim_handle *old = &world->handles[handle];
    ensure(old->io != NULL);
    if (old->inode != NULL)
        sim_disk_release(world, old->inode);
    else
        sim_network_close(world, old->socket);
    *old = (struct sim_handle){0};
}

// ---- schedule ----

static void sim_event_add(struct sim_world *world, struct io_op *op, int64_t after_ns)
{
    ensure(after_ns >= 0);
    op->deadline_ns = world->now_ns + after_ns;
    op->sequence = world->sequence++;
    timer_heap_add(&world->events, op);
}

void sim_schedule(struct sim_world *world, struct io_op *op, int64_t after_ns)
{
    if (op->kind != IO_NONE)
        op->state = SIM_SCHEDULED;
    sim_event_add(world, op, after_ns);
}

void sim_loop_turn(struct io *io)
{
    if (io->run_scheduled)
        return;
    io->run_scheduled = true;
    int64_t after_ns = sim_between(io->world, 0, io->world->faults.thread_ns_max);
    sim_event_add(io->world, &io->run_event, after_ns);
}

void sim_make_ready(struct io_op *op, int64_t result)
{
    struct io *io = sim_op_loop(op);
    op->result = result;
    op->state = SIM_READY;
    op_list_append(&io->ready, op);
    sim_loop_turn(io);
}

// The last callback; the operation may be started again from within it.
void sim_finish(struct io *io, struct io_op *op, int64_t result)
{
    ensure(op->kind != IO_NONE && io->in_flight > 0);
    ensure(op->next == NULL && op->previous == NULL);
    if (op->handle >= 0 && op->kind != IO_CLOSE)
        sim_handle_of(io, op->handle)->in_flight -= 1;
    sim_tell(io, op->kind, "ends", result);
    io->in_flight -= 1;
    io->called += 1;
    io->counters.completions += 1;
    op->state = SIM_IDLE;
    op->kind = IO_NONE;
    op->more = false;
    op->result = result;
    op->data = NULL;
    op->completed_ns = io->clock.utc_ns;
    op->clock_stepped = op->steps != io->clock.steps;
    op->callback(io, op);
}

void sim_deliver(struct io *io, struct io_op *op, int64_t result)
{
    sim_tell(io, op->kind, "has", result);
    if (op->data != NULL)
        sim_hash_bytes(io->world, op->data, (size_t)result);
    io->called += 1;
    io->counters.completions += 1;
    op->more = true;
    op->result = result;
    op->completed_ns = io->clock.utc_ns;
    op->clock_stepped = op->steps != io->clock.steps;
    op->steps = io->clock.steps;
    op->callback(io, op);
    ensure(op->kind != IO_NONE);
}

static void sim_effect(struct sim_world *world, struct io_op *op)
{
    struct io *io = sim_op_loop(op);
    if (op->kind == IO_TIMEOUT) {
        sim_make_ready(op, 0);
    } else if (op->kind == IO_CLOSE) {
        ensure(sim_handle_of(io, op->handle)->in_flight == 1); // the close itself
        sim_handle_close(world, op->handle);
        sim_make_ready(op, 0);
    } else if (sim_disk_kind(op->kind)) {
        sim_make_ready(op, sim_disk_effect(world, op));
    } else {
        sim_network_effect(world, op);
    }
}

static void sim_effect_or_fault(struct sim_world *world, struct io_op *op)
{
    struct sim_faults before;
    const bool single = sim_single_is(op);
    if (single)
        sim_single_begin(world, op->kind, &before);
    sim_effect(world, op);
    if (single)
        sim_single_end(world, &before);
}

static void sim_turn(struct io *io)
{
    io->run_scheduled = false;
    if (io->world->waiting == io)
        io->due = true;
    else if (io->runner != NULL)
        io->runner(io->runner_context);
    else
        (void)io_run(io, 0);
}

// Runs the next event if it is due by `limit_ns`.
static bool sim_step(struct sim_world *world, int64_t limit_ns)
{
    ensure(!world->stepping);
    struct io_op *op = timer_heap_first(&world->events);
    if (world->crashed || op == NULL || op->deadline_ns > limit_ns)
        return false;
    timer_heap_remove(&world->events, op);
    if (op->deadline_ns > world->now_ns)
        world->now_ns = op->deadline_ns;
    world->stepping = true;
    if (op->kind != IO_NONE)
        sim_effect_or_fault(world, op);
    else if (op->flags == SIM_EVENT_RUN)
        sim_turn(sim_op_loop(op));
    else
        ensure(sim_network_event(world, op));
    world->stepping = false;
    return !world->crashed;
}

bool sim_world_step(struct sim_world *world)
{
    return sim_step(world, INT64_MAX);
}

bool sim_world_run(struct sim_world *world, int64_t duration_ns)
{
    int64_t end_ns = world->now_ns + duration_ns;
    while (sim_step(world, end_ns))
        continue;
    if (!world->crashed)
        world->now_ns = end_ns;
    return !world->crashed;
}

// ---- io.h: life and running ----

int io_open_loop(struct io **result, const struct io_options *options, struct io_message *message)
{
    struct sim_world *world = sim_current;
    ensure(world != NULL && result != NULL && message != NULL); // sim_world_use() first
    struct io *io = calloc(1, sizeof *io);
    ensure(io != NULL);
    uint32_t slot = 0;
    while (slot < SIM_LOOPS_MAX && world->loops[slot] != NULL)
        slot += 1;
    ensure(slot < SIM_LOOPS_MAX);
    world->loops[slot] = io;
    io->world = world;
    io->index = world->loops_opened++;
    const char *name = options != NULL && options->name != NULL ? options->name : "loop";
    (void)snprintf(io->name, sizeof io->name, "%.31s", name);
    io->buffers = options != NULL && options->receive_buffers != 0 ? options->receive_buffers : 256;
    io->buffer_bytes = options != NULL && options->receive_buffer_bytes != 0
                           ? options->receive_buffer_bytes
                           : 32768;
    io->random = sim_random_next(&world->random);
    io->run_event = (struct io_op){.flags = SIM_EVENT_RUN, .handle = -1};
    io->run_event.private_words[0] = (uint64_t)(uintptr_t)io;
    utc_clock_init(&io->clock, world->now_ns + world->utc_offset_ns, world->now_ns);
    *result = io;
    return 0;
}

static void sim_loop_forget(struct io *io)
{
    struct sim_world *world = io->world;
    if (io->run_scheduled)
        timer_heap_remove(&world->events, &io->run_event);
    sim_disk_unlock(world, io);
    for (uint32_t i = 0; i < SIM_LOOPS_MAX; i++) {
        if (world->loops[i] == io)
            world->loops[i] = NULL;
    }
    free(io);
}

void io_close_loop(struct io *io)
{
    ensure(io->in_flight == 0 && io->ready.count == 0);
    for (uint32_t i = 0; i < SIM_HANDLES_MAX; i++) {
        if (io->world->handles[i].io == io) {
            (void)fprintf(stderr, "%s: %s %u is still open\n", io->name,
                          io->world->handles[i].inode != NULL ? "file" : "socket", i);
            ensure(false);
        }
    }
    sim_loop_forget(io);
}

static void sim_call(struct io *io, struct io_op *op)
{
    if (op->kind == IO_RECEIVE || op->kind == IO_ACCEPT)
        sim_network_call(io, op);
    else
        sim_finish(io, op, op->result);
}

// Callbacks for all that is ready now; what they add waits for the next turn.
static uint32_t sim_loop_call(struct io *io)
{
    struct sim_world *world = io->world;
    io->called = 0;
    io->counters.enters += 1;
    (void)io_utc_ns(io);
    if (io->wake_asked && io->on_wake != NULL) {
        io->called += 1;
        io->wake_asked = false;
        io->on_wake(io->on_wake_context);
    }
    for (uint32_t left = io->ready.count; left > 0 && io->ready.first != NULL; left--) {
        if (world->crashed && !io->elsewhere)
            break;
        sim_call(io, op_list_take(&io->ready));
    }
    if (io->ready.count > 0)
        sim_loop_turn(io);
    return io->called;
}

uint32_t io_run(struct io *io, int64_t wait_ns)
{
    struct sim_world *world = io->world;
    if (world->stepping) // a turn of this loop: time passes outside
        return world->crashed ? 0 : sim_loop_call(io);
    int64_t limit_ns = INT64_MAX;
    if (wait_ns >= 0)
        limit_ns = world->now_ns + (wait_ns > 0 ? wait_ns : SIM_POLL_NS);
    if (world->crashed) {
        if (world->on_crash != NULL)
            world->on_crash(world->on_crash_context);
        // Nothing happens any more, but whoever waits with a limit gets there.
        ensure(wait_ns >= 0);
        world->now_ns = limit_ns;
        return 0;
    }
    world->waiting = io;
    io->due = false;
    while (!io->due && sim_step(world, limit_ns))
        continue;
    world->waiting = NULL;
    if (world->crashed)
        return 0;
    ensure(io->due || limit_ns < INT64_MAX); // waits for ever in a world where nothing will happen
    if (!io->due)
        world->now_ns = limit_ns;
    world->stepping = true;
    uint32_t called = sim_loop_call(io);
    world->stepping = false;
    return called;
}

void sim_loop_runner(struct io *io, void (*run)(void *context), void *context)
{
    io->runner = run;
    io->runner_context = context;
}

void sim_loop_elsewhere(struct io *io)
{
    io->elsewhere = true;
}

void io_wake(struct io *io)
{
    io->wake_asked = true;
    sim_loop_turn(io);
}

void io_on_wake(struct io *io, void (*callback)(void *context), void *context)
{
    io->on_wake = callback;
    io->on_wake_context = context;
}

struct io_counters io_counters(const struct io *io)
{
    struct io_counters counters = io->counters;
    counters.clock_steps = io->clock.steps;
    return counters;
}

// ---- io.h: clock and randomness ----

int64_t io_utc_ns(struct io *io)
{
    struct sim_world *world = io->world;
    return utc_clock_update(&io->clock, world->now_ns + world->utc_offset_ns, world->now_ns);
}

int64_t io_monotonic_ns(struct io *io)
{
    return io->world->now_ns;
}

void io_random(struct io *io, void *bytes, size_t size)
{
    uint8_t *next = bytes;
    for (size_t i = 0; i < size; i++)
        next[i] = (uint8_t)sim_random_next(&io->random);
}

// ---- io.h: starting and cancelling ----

void io_enqueue(struct io *io, struct io_op *op)
{
    struct sim_world *world = io->world;
    op->private_words[0] = (uint64_t)(uintptr_t)io;
    op->steps = io->clock.steps;
    op->state = SIM_PARKED;
    io->in_flight += 1;
    op->private_words[2] = 0;
    if (world->crashed && !io->elsewhere)
        return; // the machine stands still
    sim_single_started(op, !io->elsewhere && sim_single_step(world, op->kind));
    if (op->handle >= 0)
        sim_handle_of(io, op->handle)->in_flight += 1;
    sim_tell(io, op->kind, "starts", op->kind == IO_TIMEOUT ? op->offset : op->handle);
    if (op->kind == IO_TIMEOUT) {
        sim_schedule(world, op, op->offset);
    } else if (op->kind == IO_CLOSE) {
        sim_schedule(world, op, sim_between(world, 0, world->faults.thread_ns_max));
    } else if (sim_disk_kind(op->kind)) {
        sim_disk_start(world, op);
        world->operations += 1;
        world->crashed = world->crashed ||
                         (world->operations == world->crash_at && !io->elsewhere);
    } else {
        sim_network_start(world, op);
    }
}

void io_cancel(struct io *io, struct io_op *op)
{
    struct sim_world *world = io->world;
    if (op->kind == IO_NONE || op->canceled || op->kind == IO_CLOSE || sim_disk_kind(op->kind))
        return;
    if (world->crashed && !io->elsewhere)
        return;
    sim_tell(io, op->kind, "cancels", 0);
    op->canceled = true;
    if (op->state == SIM_PARKED) {
        sim_network_cancel(world, op);
        sim_make_ready(op, -ECANCELED);
    } else if (op->state == SIM_SCHEDULED) {
        // The cancellation and the real result are on their way; either may be first.
        bool soon = op->deadline_ns - world->now_ns <= world->faults.network_ns_max;
        bool late = op->kind != IO_TIMEOUT && soon && sim_fault(world, &world->faults.cancel_late);
        if (!late) {
            timer_heap_remove(&world->events, op);
            sim_make_ready(op, -ECANCELED);
        }
    }
}

// ---- crash ----

uint64_t sim_world_operations(const struct sim_world *world)
{
    return world->operations;
}

void sim_world_crash_at(struct sim_world *world, uint64_t number)
{
    world->crash_at = number;
}

void sim_world_on_crash(struct sim_world *world, void (*callback)(void *context), void *context)
{
    world->on_crash = callback;
    world->on_crash_context = context;
}

bool sim_world_crashed(const struct sim_world *world)
{
    return world->crashed;
}

// What the disk makes of an operation in flight: a write in part, anything else wholly or not.
static void sim_crash_operation(struct sim_world *world, struct io_op *op, enum sim_crash kind)
{
    if (op->kind == IO_WRITE)
        sim_disk_crash_write(world, op, kind);
    else if (sim_disk_kind(op->kind) && op->kind != IO_READ && sim_world_random(world, 2) == 0)
        (void)sim_disk_effect(world, op);
}

// Takes all events; those of survivors come back.
static void sim_crash_events(struct sim_world *world, enum sim_crash kind)
{
    struct timer_heap kept = {0};
    struct io_op *op = timer_heap_first(&world->events);
    for (; op != NULL; op = timer_heap_first(&world->events)) {
        timer_heap_remove(&world->events, op);
        struct io *io = sim_op_loop(op);
        if (io == NULL || io->elsewhere)
            timer_heap_add(&kept, op);
        else if (op == &io->run_event)
            io->run_scheduled = false;
        else
            sim_crash_operation(world, op, kind);
    }
    world->events = kept;
}

void sim_world_crash(struct sim_world *world, enum sim_crash kind)
{
    ensure(!world->stepping);
    if (world->trace)
        (void)fprintf(stderr, "%14" PRId64 " crash %d\n", world->now_ns, kind);
    sim_crash_events(world, kind);
    for (int i = 0; i < SIM_HANDLES_MAX; i++) {
        struct io *io = world->handles[i].io;
        if (io != NULL && !io->elsewhere)
            sim_handle_close(world, i);
    }
    sim_disk_crash(world, kind);
    for (uint32_t i = 0; i < SIM_LOOPS_MAX; i++) {
        if (world->loops[i] != NULL && !world->loops[i]->elsewhere)
            sim_loop_forget(world->loops[i]);
    }
    world->crashed = false;
    world->crash_at = 0;
    sim_hash(world, (uint64_t)kind);
}
