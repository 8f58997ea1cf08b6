// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_sim: the simulated twin of io_uring.c, a deterministic world with a virtual clock and a seed.
//
// The functions of io.h are implemented here with the same symbols, chosen at link time. All loops
// opened while a world is in use live in it, on one thread: a step runs one event of a schedule
// that the seed chooses. The same seed and the same calls give the same trace, hence the same
// hash. Without faults set, a world is a well-behaved machine with random latencies; only a crash
// always does its worst within what the interfaces promise:
//
// Durable is what a completed fsync of the file covered (writes completed before it was started),
// what a completed IO_WRITE_DURABLE write wrote, and the names that a completed fsync of their
// directory covered. Everything else is in doubt: at a crash each sector of SIM_SECTOR_BYTES since
// written holds its old or new content, or a mix of its 512-byte parts; a size is the old or the
// new one; a name is there or not, a rename happened or not.
//
// Bounds: memory as needed; this is test code. Single-threaded.
#ifndef RINGTAPE_TESTS_IO_SIM_H
#define RINGTAPE_TESTS_IO_SIM_H

#include "io/io.h"

enum {
    SIM_SECTOR_BYTES = 4096,
    SIM_PART_BYTES = 512, // torn sectors are mixed of these
    SIM_LOOPS_MAX = 32,
    SIM_HANDLES_MAX = 4096,
    SIM_SCRIPT_MAX = 32,
    SIM_STREAM_BYTES = 128 * 1024, // of one direction, sent and not yet received
};

struct sim_world;

// Chances in parts per million, latencies in ns; change them at any time.
struct sim_faults {
    uint32_t receive_split; // a receive brings only a part of what is there
    uint32_t receive_starved; // there is no buffer for what came, for a moment
    uint32_t cancel_late;     // what is cancelled ends as if it were not: the result was on its way
    uint32_t send_short;
    uint32_t connect_refused;
    uint32_t connect_timeout; // -ETIMEDOUT after two minutes
    uint32_t reset;           // of a connection, a segment
    uint32_t mute;            // a new connection will never carry anything
    uint32_t resolve_failed;  // -EAGAIN
    bool resolve_rotated;     // each answer begins with the next address, as many name servers do
    uint32_t read_error;      // -EIO
    uint32_t read_flipped;    // a byte of what a read brings is wrong; the disk is as it was
    uint32_t read_misplaced;  // a sector of what a read brings is from another place of the disk
    uint32_t write_error;     // -EIO; a part of the bytes is written
    uint32_t failed_write_lands; // of the failing writes: all of its bytes are on disk
    uint32_t no_space;        // -ENOSPC though there is space
    uint32_t fsync_error;     // -EIO once; some dirty sectors are dropped, and never written again
    uint32_t slow_disk;       // a disk operation takes a hundred times as long
    uint32_t torn_sector;     // of the sectors in doubt at a crash
    int64_t network_ns_min;
    int64_t network_ns_max;
    int64_t disk_ns_min;
    int64_t disk_ns_max;
    int64_t thread_ns_max; // from completion to callback
};

enum sim_crash {
    SIM_CRASH_POWER, // what is not durable is in doubt
    SIM_CRASH_KILL,  // the process ends, the machine stays: what was written stays
};

// ---- world ----

struct sim_world *sim_world_create(uint64_t seed);
// Frees the world and every loop still open in it.
void sim_world_destroy(struct sim_world *world);
// Loops opened from now on live in `world`.
void sim_world_use(struct sim_world *world);
struct sim_faults *sim_world_faults(struct sim_world *world);
// How often the chance at offsetof(struct sim_faults, ...) has struck.
uint64_t sim_world_hits(const struct sim_world *world, size_t offset);

// Runs the next event. False: nothing will ever happen by itself, or sim_world_crash_at() struck.
bool sim_world_step(struct sim_world *world);
// Steps for `duration_ns` of virtual time; the clock stands at its end afterwards. False: crashed.
bool sim_world_run(struct sim_world *world, int64_t duration_ns);
// Who runs the loop when it has something: as the thread would, by io_run(io, 0) and whatever
// belongs after it. Without one, the world calls io_run(io, 0).
void sim_loop_runner(struct io *io, void (*run)(void *context), void *context);
// The loop is on another machine, as the simulated exchange: it survives sim_world_crash().
void sim_loop_elsewhere(struct io *io);

int64_t sim_world_monotonic_ns(const struct sim_world *world);
int64_t sim_world_utc_ns(const struct sim_world *world);
// Steps the UTC clock, which starts at 2026-01-01T00:00:00Z.
void sim_world_step_clock(struct sim_world *world, int64_t delta_ns);
// Of everything started, delivered and read so far.
uint64_t sim_world_hash(const struct sim_world *world);
// A number below `bound` from the world's seed, for choices of the test itself.
uint64_t sim_world_random(struct sim_world *world, uint64_t bound);
// Prints every event to stderr. Also by the environment variable SIM_TRACE=1.
void sim_world_trace(struct sim_world *world, bool on);

// ---- crash ----

// Disk operations started so far.
uint64_t sim_world_operations(const struct sim_world *world);
// The machine stops when disk operation number `number` (from 1) has been started: no callback
// comes any more, starts are ignored, sim_world_step() returns false. 0: never.
void sim_world_crash_at(struct sim_world *world, uint64_t number);
bool sim_world_crashed(const struct sim_world *world);
// Called where somebody waits in io_run() though the machine stands still, as a start does; it may
// crash the world and leave by longjmp(). NULL: io_run() lets the time pass and returns.
void sim_world_on_crash(struct sim_world *world, void (*callback)(void *context), void *context);
// Throws away all loops (but those elsewhere, whose connections to the others are reset) and what
// the disk loses. Buffers of operations in flight must still exist; the caller frees its objects
// afterwards, and starts again on the same disk.
void sim_world_crash(struct sim_world *world, enum sim_crash kind);

// ---- script: single faults at a chosen place ----

// After `skip` more operations of this kind, the next one fails with `error` (negative errno).
// IO_RECEIVE: the connection is reset instead.
void sim_world_fail(struct sim_world *world, enum io_kind kind, uint32_t skip, int error);
// Steps: operations of disk and network, synchronous reads among them, that the machine (not what
// is elsewhere) has started, from 1.
uint64_t sim_world_steps(const struct sim_world *world);
// In how many ways an operation of this kind may fail; 0: it is no step.
uint32_t sim_single_variants(enum io_kind kind);
// Step number `step` fails, in the way `variant` modulo those of its kind. 0: none does.
void sim_world_single(struct sim_world *world, uint64_t step, uint32_t variant);
// What kind it was; IO_NONE: it has not come to that.
enum io_kind sim_world_single_kind(const struct sim_world *world);
// Called at each step. It may stop the machine there, as sim_world_crash_at() does.
void sim_world_on_step(struct sim_world *world,
                       void (*callback)(void *context, uint64_t step, enum io_kind kind),
                       void *context);
void sim_world_stop(struct sim_world *world);
// What has not failed yet will not.
void sim_world_forgive(struct sim_world *world);
// Cuts every connection to or from `port`: reset, or mute for ever (nothing arrives, no error).
void sim_network_cut(struct sim_world *world, uint16_t port, bool reset);
// While down, connecting to `port` is refused, or not answered at all.
void sim_network_down(struct sim_world *world, uint16_t port, bool down, bool refuse);
// One more address of `host`.
void sim_world_name(struct sim_world *world, const char *host, const char *address);
// The address is left out of answers, or back in: name servers change them.
void sim_name_hidden(struct sim_world *world, const char *host, const char *address, bool hidden);
// Nobody is at the address any more: connecting to it is refused.
void sim_address_gone(struct sim_world *world, const char *address, bool gone);

// ---- disk, as the test sees it: synchronous, durable at once ----

int sim_disk_mkdir(struct sim_world *world, const char *path); // with its parents
int64_t sim_disk_size(struct sim_world *world, const char *path);
// The content that io_read() sees; returns the bytes copied or -ENOENT.
int64_t sim_disk_read(struct sim_world *world, const char *path, void *bytes, uint32_t size,
                      int64_t offset);
// Creates the file if it is missing.
void sim_disk_write(struct sim_world *world, const char *path, const void *bytes, uint32_t size,
                    int64_t offset);
// Changes the size, as damage by hand would.
void sim_disk_truncate(struct sim_world *world, const char *path, int64_t size);
// The sectors from `offset` on cannot be read any more (-EIO).
void sim_disk_spoil(struct sim_world *world, const char *path, uint32_t sectors, int64_t offset);
// The sector at `offset` is from now on what a sector of another place was (misplaced), or has a
// wrong byte; nobody is told. False: nothing was ever written there.
bool sim_disk_rot(struct sim_world *world, const char *path, int64_t offset, bool misplaced);
// What direct reads and writes must be aligned to; SIM_SECTOR_BYTES unless told.
void sim_disk_alignment(struct sim_world *world, uint32_t bytes);
// Space of the whole disk; 1 GiB unless told.
void sim_disk_capacity(struct sim_world *world, int64_t bytes);

#endif
