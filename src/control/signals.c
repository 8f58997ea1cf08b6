// SPDX-License-Identifier: GPL-3.0-or-later
//
// signals: see signals.h. Contract: no signal is lost (they are blocked from the start and waited
// for), and the loop is woken after each is noted.
#include "control/signals.h"

#include "format/ensure.h"
#include <signal.h>
#include <unistd.h>

static void signals_set(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGUSR1);
}

void signals_block(void)
{
    sigset_t set;
    signals_set(&set);
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    ensure(error == 0);
    // A peer or a reader of standard output that goes away is an error code, not an end.
    (void)signal(SIGPIPE, SIG_IGN);
}

static void signals_note(struct signals *signals, int number)
{
    if (number == SIGHUP) {
        atomic_store(&signals->reload, true);
    } else if (number == SIGUSR1) {
        atomic_store(&signals->roll, true);
    } else if (atomic_exchange(&signals->stop, true)) {
        _exit(128 + number);
    }
    io_wake(signals->io);
}

static void *signals_wait(void *context)
{
    struct signals *signals = context;
    sigset_t set;
    signals_set(&set);
    for (;;) {
        int number = 0;
        if (sigwait(&set, &number) != 0) continue;
        if (atomic_load(&signals->ended)) return NULL;
        signals_note(signals, number);
    }
}

int signals_start(struct signals *signals, struct io *io)
{
    ensure(io != NULL);
    signals->io = io;
    atomic_init(&signals->stop, false);
    atomic_init(&signals->reload, false);
    atomic_init(&signals->roll, false);
    atomic_init(&signals->ended, false);
    int error = pthread_create(&signals->thread, NULL, signals_wait, signals);
    signals->started = error == 0;
    return -error;
}

void signals_stop(struct signals *signals)
{
    if (!signals->started) return;
    atomic_store(&signals->ended, true);
    int error = pthread_kill(signals->thread, SIGUSR1); // any that it waits for
    ensure(error == 0);
    error = pthread_join(signals->thread, NULL);
    ensure(error == 0);
    signals->started = false;
}
