// SPDX-License-Identifier: GPL-3.0-or-later
//
// workers: processes that share what is to be run and tell by a pipe. One that dies leaves work
// undone without a word in the pipe, so how each ended is part of the result.
#ifndef RINGTAPE_TESTS_SIMULATION_WORKERS_H
#define RINGTAPE_TESTS_SIMULATION_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { WORKERS_MAX = 64 };

struct workers {
    pid_t process[WORKERS_MAX];
    uint32_t count;
    int from; // what they tell, until all of them have ended
};

// In a process of its own: does the work of `worker` of all, writes to `out`.
typedef void (*worker_run_fn)(const void *context, uint32_t worker, int out);

void workers_start(struct workers *workers, uint32_t count, worker_run_fn run, const void *context);
// Waits for all. False where one did not end well, which is said on standard error.
bool workers_end(struct workers *workers);

#endif
