// SPDX-License-Identifier: GPL-3.0-or-later
//
// child: see child.h.
#include "base/child.h"

#include <signal.h>
#include <stddef.h>

#include "format/ensure.h"

int child_attributes(posix_spawnattr_t *attributes)
{
    ensure(attributes != NULL);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0) error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                                         POSIX_SPAWN_SETSIGDEF |
                                                         POSIX_SPAWN_SETPGROUP);
    return error;
}
