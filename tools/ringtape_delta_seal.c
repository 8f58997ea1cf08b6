// SPDX-License-Identifier: GPL-3.0-or-later
//
// The daemon, asked to seal before an export: what is durable at this moment is in segments then,
// also that of shards whose tapes would otherwise wait for their age, or for a first row.
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"
#include "tools/ringtape_delta.h"

enum { POLL_NS = 50000000 };
#define SEAL_WAIT_NS 30000000000ll

static bool is_sealed(const struct store *store, uint32_t tape)
{
    uint32_t count;
    const uint32_t *tapes = store_tapes(store, &count);
    ensure(count == 0 || tapes != NULL);
    return count == 0 || tapes[0] > tape;
}

// True: it was asked.
static bool ask(const struct store *store)
{
    const pid_t daemon = ringtape_daemon_of(store_path(store));
    return daemon > 0 && ringtape_daemon_listens(daemon, SIGUSR1) && kill(daemon, SIGUSR1) == 0;
}

int ringtape_delta_seal(struct store *store, bool (*stop)(void))
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    uint32_t count;
    int error = store_refresh(store, NULL);
    const uint32_t *tapes = store_tapes(store, &count);
    const uint32_t newest = count > 0 ? tapes[count - 1] : 0;
    if (error != 0 || newest == 0 || !ask(store)) return error;
    const int64_t end_ns = ringtape_monotonic_ns() + SEAL_WAIT_NS;
    while (error == 0 && !is_sealed(store, newest) && ringtape_monotonic_ns() < end_ns &&
           (stop == NULL || !stop())) {
        (void)nanosleep(&pause, NULL);
        error = store_refresh(store, NULL);
    }
    return error;
}
