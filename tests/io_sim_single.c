// SPDX-License-Identifier: GPL-3.0-or-later
//
// One fault at one operation: chances of 1 for as long as its effect takes.
#include "io_sim.h"
#include "io_sim_world.h"

enum { CERTAIN_PPM = 1000000, SINGLE_MARK = 1 };

uint32_t sim_single_variants(enum io_kind kind)
{
    switch (kind) {
    case IO_READ:  // fails; a wrong byte; another place
    case IO_WRITE: // fails, with a part on disk; fails and lands; no space
        return 3;
    case IO_SEND: // short; reset
        return 2;
    case IO_FSYNC:
    case IO_FALLOCATE:
    case IO_OPEN:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR:
    case IO_CONNECT:
    case IO_RECEIVE:
    case IO_RESOLVE: return 1;
    default: return 0;
    }
}

void sim_world_single(struct sim_world *world, uint64_t step, uint32_t variant)
{
    world->single_at = step;
    world->single_variant = variant;
    world->single_kind = IO_NONE;
}

enum io_kind sim_world_single_kind(const struct sim_world *world)
{
    return world->single_kind;
}

uint64_t sim_world_steps(const struct sim_world *world)
{
    return world->steps;
}

void sim_world_on_step(struct sim_world *world,
                       void (*callback)(void *context, uint64_t step, enum io_kind kind),
                       void *context)
{
    world->on_step = callback;
    world->on_step_context = context;
}

void sim_world_stop(struct sim_world *world)
{
    world->crashed = true;
}

bool sim_single_step(struct sim_world *world, enum io_kind kind)
{
    if (sim_single_variants(kind) == 0 || world->crashed) return false;
    world->steps++;
    const bool struck = world->steps == world->single_at;
    if (struck) world->single_kind = kind;
    if (world->on_step != NULL) world->on_step(world->on_step_context, world->steps, kind);
    return struck;
}

void sim_single_started(struct io_op *op, bool struck)
{
    op->private_words[2] = struck ? SINGLE_MARK : 0;
    // What it brings comes later.
    if (struck && op->kind == IO_RECEIVE)
        sim_world_fail(sim_op_loop(op)->world, IO_RECEIVE, 0, -ECONNRESET);
}

bool sim_single_is(const struct io_op *op)
{
    return op->private_words[2] == SINGLE_MARK;
}

static void read_chances(struct sim_faults *faults, uint32_t variant)
{
    faults->read_error = variant == 0 ? CERTAIN_PPM : 0;
    faults->read_flipped = variant == 1 ? CERTAIN_PPM : 0;
    faults->read_misplaced = variant == 2 ? CERTAIN_PPM : 0;
}

static void write_chances(struct sim_faults *faults, uint32_t variant)
{
    faults->write_error = variant < 2 ? CERTAIN_PPM : 0;
    faults->failed_write_lands = variant == 1 ? CERTAIN_PPM : 0;
    faults->no_space = variant == 2 ? CERTAIN_PPM : 0;
}

void sim_single_begin(struct sim_world *world, enum io_kind kind, struct sim_faults *before)
{
    struct sim_faults *faults = &world->faults;
    const uint32_t variant = world->single_variant % sim_single_variants(kind);
    *before = *faults;
    switch (kind) {
    case IO_READ: read_chances(faults, variant); return;
    case IO_WRITE: write_chances(faults, variant); return;
    case IO_FSYNC: faults->fsync_error = CERTAIN_PPM; return;
    case IO_FALLOCATE: faults->no_space = CERTAIN_PPM; return;
    case IO_CONNECT: faults->connect_refused = CERTAIN_PPM; return;
    case IO_RESOLVE: faults->resolve_failed = CERTAIN_PPM; return;
    case IO_SEND:
        faults->send_short = CERTAIN_PPM;
        if (variant == 1) sim_world_fail(world, IO_SEND, 0, -ECONNRESET);
        return;
    default: sim_world_fail(world, kind, 0, -EIO);
    }
}

void sim_single_end(struct sim_world *world, const struct sim_faults *before)
{
    world->faults = *before;
}
