// SPDX-License-Identifier: GPL-3.0-or-later
//
// worker: the threads of the daemon and where they run: shards pinned to a core each, everything
// else on the remaining cores where there are any.
//
// A worker runs one function to its end; `ended` is then set and the control loop woken. What only
// the thread of a loop may close it closes when worker_join() asks for it: until then others may
// still look at it or wake its loop.
#ifndef RINGTAPE_CONTROL_WORKER_H
#define RINGTAPE_CONTROL_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/io.h"

struct worker {
    pthread_t thread;
    char name[16];
    void (*run)(void *context);
    void (*close)(void *context);
    void *context;
    sem_t release;
    struct io *control;
    int core;          // -1: wherever the process may run
    bool started;
    atomic_bool ended;
};

// 0 or a negative errno. `name` has at most 15 bytes.
int worker_start(struct worker *worker, const char *name, int core, struct io *control,
                 void (*run)(void *context), void (*close)(void *context), void *context);
// Lets it close what it has and waits for its end. Nothing if it was not started.
void worker_join(struct worker *worker);

// The core for shard `index`: with more cores than shards, the first is left to the rest of the
// daemon; -1 with fewer (pinning would only hurt).
int worker_core(uint32_t index, uint32_t shards);
// Keeps the calling thread, and those it makes, off the cores of the shards, where others are left.
void worker_stay_off(uint32_t shards);

#endif
