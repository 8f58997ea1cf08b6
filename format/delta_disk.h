// SPDX-License-Identifier: Apache-2.0
//
// delta_disk: the few things that a Delta log does to files, behind functions, so that a test can
// end the world before any of them.
//
// A commit becomes visible by delta_disk.link alone: the name of a version is made by linking a
// file that is whole and synced, which fails where the name is taken. So no reader ever sees half a
// commit, and of two who commit the same version one learns that he was second.
//
// All return 0 or negative errno. Paths are absolute or relative to the working directory.
// Threading: as the implementation says; that of the host has no state.
#ifndef RINGTAPE_FORMAT_DELTA_DISK_H
#define RINGTAPE_FORMAT_DELTA_DISK_H

#include <stddef.h>
#include <stdint.h>

enum { DELTA_PATH_BYTES_MAX = 4096 };
#define DELTA_FILE_BYTES_MAX (1ll << 32) // of the log: a checkpoint of millions of files

struct delta_disk {
    void *context;
    // All bytes of a file, with a zero behind them; to be freed. -ENOENT: it is not there.
    int (*read)(void *context, const char *path, char **bytes, size_t *size);
    // A new file (what has its name is removed first), written, synced, closed.
    int (*write)(void *context, const char *path, const void *bytes, size_t size);
    int (*link)(void *context, const char *from, const char *to); // -EEXIST: the name is taken
    int (*rename)(void *context, const char *from, const char *to); // replaces
    int (*unlink)(void *context, const char *path); // that it is gone already is success
    int (*sync)(void *context, const char *directory);
    int (*make)(void *context, const char *directory); // with missing parents, all synced
    int (*list)(void *context, const char *directory, void (*each)(void *to, const char *name),
                void *to);
};

extern const struct delta_disk delta_disk_host;

#endif
