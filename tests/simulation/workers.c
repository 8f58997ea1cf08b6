// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/simulation/workers.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/ensure.h"

void workers_start(struct workers *workers, uint32_t count, worker_run_fn run, const void *context)
{
    int ends[2];
    ensure(count <= WORKERS_MAX && pipe(ends) == 0);
    *workers = (struct workers){.count = count, .from = ends[0]};
    (void)fflush(NULL);
    for (uint32_t i = 0; i < count; i++) {
        workers->process[i] = fork();
        ensure(workers->process[i] >= 0);
        if (workers->process[i] > 0) continue;
        (void)close(ends[0]);
        run(context, i, ends[1]);
        _exit(0);
    }
    (void)close(ends[1]);
}

bool workers_end(struct workers *workers)
{
    bool good = true;
    (void)close(workers->from);
    for (uint32_t i = 0; i < workers->count; i++) {
        int status = 0;
        ensure(waitpid(workers->process[i], &status, 0) == workers->process[i]);
        if (status == 0) continue;
        good = false;
        (void)fprintf(stderr, "worker %u of %u FAILED (%s %d): what was left to it did not run\n",
                      i + 1, workers->count, WIFSIGNALED(status) ? "signal" : "exit",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    return good;
}
