// SPDX-License-Identifier: GPL-3.0-or-later
//
// worker: see worker.h. Contract: the cores a process may use (taskset, cgroup) are respected; a
// failed pinning is not an error, only slower.
#include "control/worker.h"

#include "format/ensure.h"
#include <errno.h>
#include <sched.h>
#include <string.h>

// The `index`-th core of the process at its start, or -1.
static int worker_allowed(uint32_t index, uint32_t *count)
{
    static cpu_set_t set; // before any pinning changed it
    static bool known;
    if (!known && sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
    known = true;
    int found = -1;
    uint32_t seen = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET((size_t)core, &set)) continue;
        if (seen++ == index) found = core;
    }
    *count = seen;
    return found;
}

int worker_core(uint32_t index, uint32_t shards)
{
    ensure(index < shards);
    uint32_t count;
    int core = worker_allowed(index + 1, &count);
    return count > shards ? core : -1;
}

static void worker_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void worker_stay_off(uint32_t shards)
{
    cpu_set_t set;
    uint32_t count;
    CPU_ZERO(&set);
    (void)worker_allowed(0, &count);
    if (count <= shards) return;
    for (uint32_t i = 0; i < count; i++) {
        int core = worker_allowed(i, &count);
        if (i == 0 || i > shards) CPU_SET((size_t)core, &set);
    }
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    // By itself: another thread's name is written through /proc, which Landlock forbids.
    (void)pthread_setname_np(pthread_self(), worker->name);
    if (worker->core >= 0) worker_pin(worker->core);
    worker->run(worker->context);
    atomic_store(&worker->ended, true);
    io_wake(worker->control);
    while (sem_wait(&worker->release) != 0) {} // EINTR
    worker->close(worker->context);
    return NULL;
}

int worker_start(struct worker *worker, const char *name, int core, struct io *control,
                 void (*run)(void *context), void (*close)(void *context), void *context)
{
    ensure(strlen(name) < 16 && !worker->started);
    memcpy(worker->name, name, strlen(name) + 1);
    worker->run = run;
    worker->close = close;
    worker->context = context;
    worker->control = control;
    worker->core = core;
    atomic_init(&worker->ended, false);
    if (sem_init(&worker->release, 0, 0) != 0) return -errno;
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (error != 0) return -error;
    worker->started = true;
    return 0;
}

void worker_join(struct worker *worker)
{
    if (!worker->started) return;
    (void)sem_post(&worker->release);
    int error = pthread_join(worker->thread, NULL);
    ensure(error == 0);
    worker->started = false;
}
