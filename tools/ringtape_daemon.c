// SPDX-License-Identifier: GPL-3.0-or-later
//
// The holder of the lock is looked up in /proc/locks, without taking the lock: a daemon that starts
// at this moment must not be kept out.
#include "tools/ringtape_daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "format/ensure.h"
#include "tools/ringtape_files.h"

enum { LINE_BYTES = 512 };

// "1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF": the process if the line is about this file,
// else 0.
static pid_t daemon_lock_line(char *line, const struct stat *status)
{
    char *words[6], *rest = NULL;
    for (int i = 0; i < 6; i++) {
        words[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
        if (words[i] == NULL) return 0;
    }
    if (strcmp(words[1], "FLOCK") != 0) return 0;
    char *next = words[5];
    const unsigned long major = strtoul(next, &next, 16);
    if (*next++ != ':') return 0;
    const unsigned long minor = strtoul(next, &next, 16);
    if (*next++ != ':') return 0;
    const unsigned long long inode = strtoull(next, NULL, 10);
    const bool same = major == major(status->st_dev) && minor == minor(status->st_dev) &&
                      inode == status->st_ino;
    return same ? (pid_t)strtol(words[4], NULL, 10) : 0;
}

// Process that holds `path` by flock(2), 0: nobody.
static pid_t daemon_holder(const char *path)
{
    struct stat status;
    char line[LINE_BYTES];
    pid_t holder = 0;
    if (stat(path, &status) != 0) return 0;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL) return 0;
    while (holder == 0 && fgets(line, sizeof line, locks) != NULL)
        holder = daemon_lock_line(line, &status);
    (void)fclose(locks);
    return holder;
}

bool ringtape_daemon_listens(pid_t pid, int number)
{
    char path[64], line[LINE_BYTES];
    uint64_t heard = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "re");
    if (status == NULL) return false;
    while (fgets(line, sizeof line, status) != NULL) {
        const bool mask = strncmp(line, "SigBlk:", 7) == 0 || strncmp(line, "SigCgt:", 7) == 0;
        if (mask) heard |= strtoull(line + 7, NULL, 16);
    }
    (void)fclose(status);
    return (heard >> (number - 1) & 1) != 0;
}

pid_t ringtape_daemon_of(const char *store)
{
    char lock[RINGTAPE_PATH_BYTES_MAX];
    const int size = snprintf(lock, sizeof lock, "%s/lock", store);
    ensure(size > 0);
    return (size_t)size < sizeof lock ? daemon_holder(lock) : 0;
}
