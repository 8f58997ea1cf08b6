// SPDX-License-Identifier: GPL-3.0-or-later
//
// child: how a program that the daemon starts begins: in a group of its own, so that it is killed
// with its children, and with no signal blocked or ignored, though the daemon's threads block them.
// Threading: any.
#ifndef RINGTAPE_BASE_CHILD_H
#define RINGTAPE_BASE_CHILD_H

#include <spawn.h>

// Of attributes that posix_spawnattr_init() made. 0 or an errno.
int child_attributes(posix_spawnattr_t *attributes);

#endif
