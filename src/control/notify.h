// SPDX-License-Identifier: GPL-3.0-or-later
//
// notify: what the service manager is told, by the protocol of sd_notify(3): "READY=1". Without
// NOTIFY_SOCKET in the environment nothing happens. Best effort: it never fails the daemon.
#ifndef RINGTAPE_CONTROL_NOTIFY_H
#define RINGTAPE_CONTROL_NOTIFY_H

void notify_manager(const char *state);

#endif
