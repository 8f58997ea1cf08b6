// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_security: when the daemon gives up what (control/sandbox.h), and what its helper may
// start (base/child.h): the program of alert_sinks.command, and `ringtape report` for this store.
#ifndef RINGTAPE_CONTROL_CONTROL_SECURITY_H
#define RINGTAPE_CONTROL_CONTROL_SECURITY_H

struct control;

// Before any thread and before anything from outside is read. 0, or the exit code.
int control_security_begin(struct control *control);
// With the store open and before any thread.
int control_security_files(struct control *control);
// With everything started.
int control_security_calls(struct control *control);

#endif
