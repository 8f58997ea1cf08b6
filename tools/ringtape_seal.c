// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape seal: tapes become segments now. The sealer lives in the daemon, which alone writes to a
// store:
//
//     a daemon holds the lock   SIGUSR1 asks it; wait until every tape of this moment is sealed
//     nobody holds it           run `ringtaped --seal DIR`, which ends when all is sealed
//
// It is signalled only if it is seen to listen to that signal.
#include "format/ensure.h"
#include "format/store.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_options.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_BYTES = RINGTAPE_PATH_BYTES_MAX,
    POLL_NS = 100000000,
    WAIT_S = 120,
};

// ---- asking the daemon ----

static bool ringtape_seal_done(const struct store *store, uint32_t newest)
{
    uint32_t count;
    const uint32_t *tapes = store_tapes(store, &count);
    ensure(tapes != NULL || count == 0);
    return count == 0 || tapes[0] > newest;
}

static int ringtape_seal_wait(struct store *store, uint32_t newest)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    const int64_t end_ns = ringtape_monotonic_ns() + (int64_t)WAIT_S * 1000000000;
    while (ringtape_monotonic_ns() < end_ns) {
        const int error = store_refresh(store, NULL);
        if (error < 0)
            return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(error));
        if (ringtape_seal_done(store, newest)) return RINGTAPE_EXIT_OK;
        (void)nanosleep(&pause, NULL);
    }
    return ringtape_fail("%s: not sealed within %d s; the daemon's log tells why",
                         store_path(store), WAIT_S);
}

static int ringtape_seal_ask(struct store *store, pid_t daemon)
{
    uint32_t count;
    const uint32_t *tapes = store_tapes(store, &count);
    if (count == 0) return RINGTAPE_EXIT_OK;
    const uint32_t newest = tapes[count - 1];
    if (!ringtape_daemon_listens(daemon, SIGUSR1))
        return ringtape_fail("%s: a daemon runs (process %d) that cannot be asked; it seals by "
                             "itself after 'seal_after', or stop it and seal then",
                             store_path(store), daemon);
    if (kill(daemon, SIGUSR1) != 0)
        return ringtape_fail("process %d: %s; run this as the daemon's user", daemon,
                             strerror(errno));
    return ringtape_seal_wait(store, newest);
}

// ---- without a daemon ----

// `ringtaped` beside this program, else by PATH. Returns only on failure.
static int ringtape_seal_run(const char *store)
{
    char program[PATH_BYTES + 1];
    const ssize_t size = readlink("/proc/self/exe", program, PATH_BYTES - sizeof "ringtaped");
    if (size > 0) {
        program[size] = 0;
        char *name = strrchr(program, '/');
        ensure(name != NULL);
        memcpy(name + 1, "ringtaped", sizeof "ringtaped");
        (void)execl(program, program, "--seal", store, (char *)NULL);
    }
    (void)execlp("ringtaped", "ringtaped", "--seal", store, (char *)NULL);
    return ringtape_fail("ringtaped: %s; it must lie beside this program or on the PATH",
                         strerror(errno));
}

int ringtape_seal(int argc, char **argv)
{
    const char *path = NULL;
    struct store *store;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &path, .value = "DIR",
         .help = "the store: 'store:' of the daemon's configuration", .required = true},
    };
    const struct ringtape_usage usage = {
        .command = "seal",
        .purpose = "Turns the tapes of this moment into segments and returns when that is done: a "
                   "running\ndaemon is asked to, without one 'ringtaped --seal DIR' is run.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    exit_code = ringtape_store_open(&store, path);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    const pid_t daemon = ringtape_daemon_of(path);
    if (daemon > 0) exit_code = ringtape_seal_ask(store, daemon);
    store_close(store);
    return daemon > 0 ? exit_code : ringtape_seal_run(path);
}
