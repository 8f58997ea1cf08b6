// SPDX-License-Identifier: GPL-3.0-or-later
//
// notify: what the service manager is told, by the protocol of sd_notify(3): "READY=1". Without
// NOTIFY_SOCKET in the environment nothing is told. Best effort: it never fails the daemon. Any
// thread; the environment is read, so not while another changes it.
#ifndef RINGTAPE_CONTROL_NOTIFY_H
#define RINGTAPE_CONTROL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

void notify_manager(const char *state);

// The watchdog of sd_watchdog_enabled(3): told four times as often as WATCHDOG_USEC wants, while
// the daemon moves. Where WATCHDOG_USEC is set and nobody listens (a container, whose engine
// restarts what ends, not what hangs) the daemon has to end itself once it has stood still so long.
struct notify_watchdog {
    int64_t every_ns; // 0: off
    int64_t after_ns; // monotonic: told again from then on
    int64_t still_ns; // monotonic: seen standing still since; 0: it moves
};

enum notify_verdict {
    NOTIFY_MOVES,
    NOTIFY_STANDS, // from now on
    NOTIFY_STOOD,  // as before
    NOTIFY_HANGS,  // for longer than the watchdog allows, and nobody else ends it
};

void notify_watchdog_init(struct notify_watchdog *watchdog, int64_t monotonic_ns);
enum notify_verdict notify_watchdog(struct notify_watchdog *watchdog, bool moves,
                                    int64_t monotonic_ns);

#endif
