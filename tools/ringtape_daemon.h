// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_daemon: the daemon that has a store, to be asked by a signal.
#ifndef RINGTAPE_TOOLS_RINGTAPE_DAEMON_H
#define RINGTAPE_TOOLS_RINGTAPE_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

// The process that holds the store's lock; 0: nobody.
pid_t ringtape_daemon_of(const char *store);
// True if the process catches the signal or waits for it; otherwise it would be killed by it.
bool ringtape_daemon_listens(pid_t pid, int number);

#endif
