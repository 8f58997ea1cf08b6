// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_contract: what the contract test needs besides io.h, for either implementation.
//
// RINGTAPE_IO_URING: the kernel, in a temporary folder. Otherwise: a simulated world without
// faults.
#ifndef RINGTAPE_TESTS_IO_CONTRACT_H
#define RINGTAPE_TESTS_IO_CONTRACT_H

#include "format/ensure.h"
#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct contract {
    struct io *io;
    char folder[64];
    void *world;
};

static inline struct io *contract_loop(const struct io_options *options)
{
    struct io *io = NULL;
    struct io_message message = {{0}};
    int error = io_open_loop(&io, options, &message);
    if (error != 0)
        (void)fprintf(stderr, "io_open_loop: %d, %s\n", error, message.text);
    ensure(error == 0);
    return io;
}

#ifdef RINGTAPE_IO_URING

#include <ftw.h>
#include <pthread.h>

static inline void contract_begin(struct contract *contract, const struct io_options *options)
{
    memset(contract, 0, sizeof *contract);
    (void)strcpy(contract->folder, "/var/tmp/ringtape_contract_XXXXXX");
    ensure(mkdtemp(contract->folder) != NULL);
    contract->io = contract_loop(options);
}

static inline int contract_remove(const char *path, const struct stat *status, int type,
                                  struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static inline void contract_end(struct contract *contract)
{
    io_close_loop(contract->io);
    ensure(nftw(contract->folder, contract_remove, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static inline void *contract_wake_main(void *context)
{
    io_wake(context);
    return NULL;
}

// Wakes `io` from somewhere else while `io` waits, or just before.
static inline void contract_wake(struct contract *contract)
{
    pthread_t thread;
    ensure(pthread_create(&thread, NULL, contract_wake_main, contract->io) == 0);
    ensure(pthread_detach(thread) == 0);
}

// tmpfs takes unaligned direct writes; no other file system does.
static inline bool contract_strict_alignment(void)
{
    return false;
}

#else

#include "io_sim.h"

static inline void contract_begin(struct contract *contract, const struct io_options *options)
{
    memset(contract, 0, sizeof *contract);
    struct sim_world *world = sim_world_create(1);
    contract->world = world;
    sim_world_use(world);
    ensure(sim_disk_mkdir(world, "/store") == 0);
    sim_world_name(world, "localhost", "127.0.0.1");
    (void)strcpy(contract->folder, "/store");
    contract->io = contract_loop(options);
}

static inline void contract_end(struct contract *contract)
{
    io_close_loop(contract->io);
    sim_world_destroy(contract->world);
}

static inline void contract_waker(struct io *io, struct io_op *op)
{
    (void)io;
    io_wake((struct io *)(uintptr_t)op->private_words[3]);
}

static inline void contract_wake(struct contract *contract)
{
    static struct io_op op;
    struct io *other = contract_loop(NULL);
    io_timeout(other, &op, 1000, contract_waker);
    op.private_words[3] = (uint64_t)(uintptr_t)contract->io;
    // Left open: the world closes it.
}

static inline bool contract_strict_alignment(void)
{
    return true;
}

#endif

#endif
