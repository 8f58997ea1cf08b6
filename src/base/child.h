// SPDX-License-Identifier: GPL-3.0-or-later
//
// child: programs that the daemon starts, each in a group of its own, so that it is killed with its
// children, and with no signal blocked or ignored, though the daemon's threads block them.
//
// The daemon itself may start nothing once its filter of system calls stands (control/sandbox.h).
// So a helper is split off before it: a process without sockets to the outside, threads or memory
// of what is received, that starts, looks after and kills what it is asked for over a socket pair,
// and asks its own copy of `allowed` first. It ends with the daemon; what it started then goes on.
// Without a helper (tests) the calling process does the same itself.
//
// Bounds: CHILD_RUNNING_MAX at a time, CHILD_TEXT_BYTES of program and arguments.
// Threading: child_helper_start() before any other thread; the rest from any thread, one at a time
// by a lock. None waits for a child, only for the helper's answer.
#ifndef RINGTAPE_BASE_CHILD_H
#define RINGTAPE_BASE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

enum { CHILD_RUNNING_MAX = 8, CHILD_TEXT_BYTES = 2048, CHILD_ARGUMENTS_MAX = 8 };

// True: the program may be started with these arguments. In the helper; it may read files.
typedef bool child_allowed(const void *context, const char *program, char *const arguments[]);

// 0 or a negative errno. `allowed` and its context are those of the moment.
int child_helper_start(child_allowed *allowed, const void *context);
// Ends the helper, and waits for that. Nothing without one.
void child_helper_stop(void);

// Starts `program` with `arguments` (its name first, NULL last). `input`: a descriptor for its
// standard input, which stays the caller's, or -1 for none. Standard output goes nowhere, standard
// error where the daemon's goes. 0 and `*child`, or a negative errno: -EPERM not allowed, -EAGAIN
// too many, -EPIPE the helper is gone.
int child_start(const char *program, char *const arguments[], int input, pid_t *child);
// True once it is over, then `*status` is as of waitpid(2); one that is not known is over with
// status 255.
bool child_ended(pid_t child, int *status);
// Its whole group. It still has to be asked for its end.
void child_kill(pid_t child);

#endif
