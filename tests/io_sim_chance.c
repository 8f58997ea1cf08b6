// SPDX-License-Identifier: GPL-3.0-or-later
//
// What makes a world differ from another and equal to itself: random numbers, the hash and print of
// the trace, faults by script.
#include "io_sim.h"
#include "io_sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

static const char *const sim_kind_names[] = {
    "turn",  "resolve", "connect",   "accept", "receive", "send",   "read",  "write",
    "fsync", "fallocate", "open", "close",  "rename",  "unlink", "mkdir", "timeout",
};

// ---- chance and trace ----

// splitmix64: any state will do as seed.
uint64_t sim_random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_world_random(struct sim_world *world, uint64_t bound)
{
    ensure(bound > 0);
    return sim_random_next(&world->random) % bound;
}

bool sim_chance(struct sim_world *world, uint32_t ppm)
{
    return ppm > 0 && sim_world_random(world, 1000000) < ppm;
}

bool sim_fault(struct sim_world *world, const uint32_t *ppm)
{
    const size_t offset = (size_t)((const char *)ppm - (const char *)&world->faults);
    ensure(offset < sizeof world->faults);
    if (!sim_chance(world, *ppm)) return false;
    world->hits[offset / sizeof *ppm]++;
    return true;
}

uint64_t sim_world_hits(const struct sim_world *world, size_t offset)
{
    ensure(offset < sizeof world->faults);
    return world->hits[offset / sizeof(uint32_t)];
}

int64_t sim_between(struct sim_world *world, int64_t min, int64_t max)
{
    ensure(0 <= min && min <= max);
    return min + (int64_t)sim_world_random(world, (uint64_t)(max - min) + 1);
}

int64_t sim_network_latency(struct sim_world *world)
{
    return sim_between(world, world->faults.network_ns_min, world->faults.network_ns_max);
}

void sim_hash(struct sim_world *world, uint64_t value)
{
    uint64_t state = world->hash ^ value;
    world->hash = sim_random_next(&state);
}

void sim_hash_bytes(struct sim_world *world, const void *bytes, size_t size)
{
    sim_hash(world, XXH3_64bits(bytes, size));
}

void sim_tell(struct io *io, enum io_kind kind, const char *what, int64_t result)
{
    struct sim_world *world = io->world;
    sim_hash(world, (uint64_t)world->now_ns);
    sim_hash(world, (uint64_t)kind << 32 | io->index);
    sim_hash(world, (uint64_t)result);
    if (world->trace)
        (void)fprintf(stderr, "%14" PRId64 " %s#%u %s %s %" PRId64 "\n", world->now_ns, io->name,
                      io->index, what, sim_kind_names[kind], result);
}

uint64_t sim_world_hash(const struct sim_world *world)
{
    return world->hash;
}

void sim_world_trace(struct sim_world *world, bool on)
{
    world->trace = on;
}

// ---- script ----

void sim_world_fail(struct sim_world *world, enum io_kind kind, uint32_t skip, int error)
{
    ensure(kind != IO_NONE && error < 0);
    for (uint32_t i = 0; i < SIM_SCRIPT_MAX; i++) {
        if (world->script[i].kind == IO_NONE) {
            world->script[i] = (struct sim_script){.kind = kind, .skip = skip, .error = error};
            return;
        }
    }
    ensure(false); // SIM_SCRIPT_MAX
}

void sim_world_forgive(struct sim_world *world)
{
    for (size_t i = 0; i < SIM_SCRIPT_MAX; i++)
        world->script[i].kind = IO_NONE;
}

bool sim_scripted(struct sim_world *world, enum io_kind kind, int *error)
{
    for (uint32_t i = 0; i < SIM_SCRIPT_MAX; i++) {
        struct sim_script *script = &world->script[i];
        if (script->kind != kind)
            continue;
        if (script->skip > 0) {
            script->skip -= 1;
            continue;
        }
        *error = script->error;
        script->kind = IO_NONE;
        return true;
    }
    return false;
}
