// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_sim_world: what the files of the simulator share. Tests include io_sim.h only.
//
// Where an operation is, op->state:
//
//   io_enqueue ──> SCHEDULED in world->events ──due: effect──> READY on its loop ──io_run──> idle
//        │            ↑                └──a send without room──> PARKED at its socket
//        └──receive, accept──> PARKED ──data, connection, end──> READY ──more──> PARKED
//
// op->private_words[0] is the loop, [1] counts what an fsync covers, or marks a cancelled one, [2]
// is set where the operation is the single one to fail.
#ifndef RINGTAPE_TESTS_IO_SIM_WORLD_H
#define RINGTAPE_TESTS_IO_SIM_WORLD_H

#include "format/ensure.h"
#include "io/op_list.h"
#include "io/timer_heap.h"
#include "io/utc_clock.h"
#include "io_sim.h"

#include <errno.h>
#include <string.h>

enum sim_state { SIM_IDLE, SIM_SCHEDULED, SIM_READY, SIM_PARKED };

struct sim_inode;
struct sim_socket;

struct io {
    struct sim_world *world;
    char name[32];
    uint32_t index; // for the trace
    struct op_list ready;
    struct io_op run_event;
    bool run_scheduled;
    bool due; // its turn has come while the test itself waits in io_run()
    bool wake_asked;
    bool elsewhere;
    void (*on_wake)(void *context);
    void *on_wake_context;
    void (*runner)(void *context);
    void *runner_context;
    struct utc_clock clock;
    uint32_t in_flight;
    uint32_t called;
    uint32_t buffers;
    uint32_t buffer_bytes;
    struct io_counters counters;
    uint64_t random;
};

// An open file or socket.
struct sim_handle {
    struct io *io; // NULL: free
    struct sim_inode *inode;
    struct sim_socket *socket;
    uint32_t flags;
    uint32_t in_flight; // operations
};

struct sim_script {
    enum io_kind kind; // IO_NONE: free
    uint32_t skip;
    int error;
};

struct sim_world {
    uint64_t random;
    uint64_t hash;
    struct sim_faults faults;
    uint64_t hits[sizeof(struct sim_faults) / sizeof(uint32_t)]; // by their place in `faults`
    struct timer_heap events;
    uint64_t sequence;
    int64_t now_ns;
    int64_t utc_offset_ns;
    struct io *loops[SIM_LOOPS_MAX];
    uint32_t loops_opened;
    struct io *waiting; // whose io_run() the test is in
    bool stepping;
    bool trace;
    bool crashed;
    uint64_t operations;
    uint64_t crash_at;
    uint64_t steps;
    uint64_t single_at;
    uint32_t single_variant;
    enum io_kind single_kind;
    void (*on_step)(void *context, uint64_t step, enum io_kind kind);
    void *on_step_context;
    void (*on_crash)(void *context);
    void *on_crash_context;
    struct sim_handle handles[SIM_HANDLES_MAX];
    uint32_t handle_next;
    struct sim_script script[SIM_SCRIPT_MAX];
    struct sim_disk *disk;
    struct sim_network *network;
    struct sim_names *names;
};

static inline struct io *sim_op_loop(const struct io_op *op)
{
    return (struct io *)(uintptr_t)op->private_words[0];
}

// ---- io_sim_chance.c ----

uint64_t sim_random_next(uint64_t *state);
bool sim_chance(struct sim_world *world, uint32_t ppm);
// One of world->faults, counted when it strikes.
bool sim_fault(struct sim_world *world, const uint32_t *ppm);
int64_t sim_between(struct sim_world *world, int64_t min, int64_t max);
int64_t sim_network_latency(struct sim_world *world);
void sim_hash(struct sim_world *world, uint64_t value);
void sim_hash_bytes(struct sim_world *world, const void *bytes, size_t size);
// True once when the script says so; *error gets what it says.
bool sim_scripted(struct sim_world *world, enum io_kind kind, int *error);

// One line of the trace.
void sim_tell(struct io *io, enum io_kind kind, const char *what, int64_t result);

// ---- io_sim.c ----

void sim_schedule(struct sim_world *world, struct io_op *op, int64_t after_ns);
// The operation's result is known, or for receive and accept: something is there.
void sim_make_ready(struct io_op *op, int64_t result);
void sim_loop_turn(struct io *io);
void sim_finish(struct io *io, struct io_op *op, int64_t result);
void sim_deliver(struct io *io, struct io_op *op, int64_t result);

int sim_handle_open(struct io *io, struct sim_inode *inode, struct sim_socket *socket);
struct sim_handle *sim_handle_of(struct io *io, int handle);
void sim_handle_close(struct sim_world *world, int handle);

// ---- io_sim_disk.c ----

struct sim_disk *sim_disk_create(void);
void sim_disk_destroy(struct sim_disk *disk);
bool sim_disk_kind(enum io_kind kind);
void sim_disk_start(struct sim_world *world, struct io_op *op);
int64_t sim_disk_effect(struct sim_world *world, struct io_op *op);
void sim_disk_release(struct sim_world *world, struct sim_inode *inode);
// In-flight writes first, each, then the rest.
void sim_disk_crash_write(struct sim_world *world, struct io_op *op, enum sim_crash kind);
void sim_disk_crash(struct sim_world *world, enum sim_crash kind);
void sim_disk_unlock(struct sim_world *world, struct io *io);

// ---- io_sim_misread.c ----

// By chance some of the `got` bytes read from `offset` are wrong.
void sim_misread(struct sim_world *world, void *bytes, int64_t got, int64_t offset);

// ---- io_sim_single.c ----

// One more step; true: it is to fail.
bool sim_single_step(struct sim_world *world, enum io_kind kind);
void sim_single_started(struct io_op *op, bool struck);
bool sim_single_is(const struct io_op *op);
// Around the effect of the one that fails.
void sim_single_begin(struct sim_world *world, enum io_kind kind, struct sim_faults *before);
void sim_single_end(struct sim_world *world, const struct sim_faults *before);

// ---- io_sim_names.c ----

struct sim_names *sim_names_create(void);
bool sim_port_down(struct sim_world *world, uint16_t port, bool *refuse);
bool sim_address_is_gone(const struct sim_world *world, const struct io_address *address);
int64_t sim_resolve(struct sim_world *world, struct io_op *op);

// ---- io_sim_network.c ----

struct sim_network *sim_network_create(void);
void sim_network_destroy(struct sim_network *network);
void sim_network_start(struct sim_world *world, struct io_op *op);
void sim_network_effect(struct sim_world *world, struct io_op *op);
// An event of the network itself.
bool sim_network_event(struct sim_world *world, struct io_op *op);
void sim_network_call(struct io *io, struct io_op *op); // deliver what a ready op has
void sim_network_cancel(struct sim_world *world, struct io_op *op);
void sim_network_close(struct sim_world *world, struct sim_socket *socket);

#endif
