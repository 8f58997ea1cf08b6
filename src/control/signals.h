// SPDX-License-Identifier: GPL-3.0-or-later
//
// signals: SIGTERM, SIGINT, SIGHUP and SIGUSR1 as something a loop can look at. A thread of its own
// waits for them (no handler runs in the middle of anything), notes them and wakes the loop.
//
// signals_block() comes before any other thread is made, so that all inherit the mask. A second
// SIGTERM or SIGINT ends the process at once: what is durable stays durable.
#ifndef RINGTAPE_CONTROL_SIGNALS_H
#define RINGTAPE_CONTROL_SIGNALS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "io/io.h"

struct signals {
    pthread_t thread;
    struct io *io;
    atomic_bool stop;   // SIGTERM or SIGINT
    atomic_bool reload; // SIGHUP; whoever sees it clears it
    atomic_bool roll;   // SIGUSR1; likewise
    atomic_bool ended;  // signals_stop() was called
    bool started;
};

void signals_block(void);
// 0 or a negative errno.
int signals_start(struct signals *signals, struct io *io);
// Before the loop is closed: from now on signals change nothing. Does nothing where it was not
// started.
void signals_stop(struct signals *signals);

#endif
