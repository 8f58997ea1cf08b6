// SPDX-License-Identifier: GPL-3.0-or-later
//
// sandbox: what this process gives up, so that whoever takes it over by a mistake in reading what
// comes from outside gets little (docs/security.md). In the order of the start:
//
//   sandbox_private()  no core dump, no debugger of the same user, no look at its memory in /proc
//   sandbox_files()    Landlock (landlock(7)): writing, making and removing only below the store,
//                      no execve(2), no signal to other processes. It holds for what the rings do,
//                      too, which a filter of system calls does not see
//   sandbox_calls()    seccomp(2): the system calls that a running daemon needs, and no others
//
// Threading: the first two before there is another thread; the third holds for all that there are.
// None can be taken back. Built with a sanitizer, whose runtime needs more, the last two do
// nothing.
#ifndef RINGTAPE_CONTROL_SANDBOX_H
#define RINGTAPE_CONTROL_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/config_schema.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

struct config_security {
    uint8_t seccomp;  // enum sandbox_seccomp
    bool landlock;
    bool root; // running as root is meant
};

enum sandbox_seccomp { SANDBOX_STRICT, SANDBOX_OFF };

extern const struct config_entry config_security_keys[];
// Of config_put_special().
bool sandbox_put(void *base, const char *text);

void sandbox_private(void);
// Effective user or a capability that only root has.
bool sandbox_is_root(void);

// The version of Landlock's interface in use, 0 where the kernel has none; a negative errno.
int sandbox_files(const char *store);
// 0 or a negative errno.
int sandbox_calls(void);

#endif
