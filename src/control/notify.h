// SPDX-License-Identifier: GPL-3.0-or-later
//
// notify: what the service manager is told, by the protocol of sd_notify(3): "READY=1". Without
// NOTIFY_SOCKET in the environment nothing happens. Best effort: it never fails the daemon. Any
// thread; the environment is read, so not while another changes it.
#ifndef RINGTAPE_CONTROL_NOTIFY_H
#define RINGTAPE_CONTROL_NOTIFY_H

#include <stdint.h>

void notify_manager(const char *state);

// How often the manager wants "WATCHDOG=1" (sd_watchdog_enabled(3)), in ns; 0: not at all.
int64_t notify_watchdog_ns(void);

#endif
