// SPDX-License-Identifier: GPL-3.0-or-later
//
// delta_disk_memory: files in memory with what a crash does to them. A file's bytes are durable
// when they are written (the disk layer syncs them); its name is once its folder was synced. A
// crash leaves of the names that changed since any subset, by a seed.
#ifndef RINGTAPE_TESTS_DELTA_DISK_MEMORY_H
#define RINGTAPE_TESTS_DELTA_DISK_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "format/delta_disk.h"

enum { MEMORY_NAMES_MAX = 1024 };

struct memory_name {
    char *path;
    char *bytes; // NULL: the name is free
    size_t size;
    char *durable; // what a crash may go back to
    size_t durable_size;
};

struct memory_disk {
    struct memory_name names[MEMORY_NAMES_MAX];
    uint32_t count;
    int64_t operations;  // that change something, so far
    int64_t crash_at;    // before this one everything fails, -1: never
    uint64_t seed;
    bool crashed;
};

struct delta_disk memory_disk_of(struct memory_disk *disk);
// The machine comes back: what is left is decided, and it works again.
void memory_disk_recover(struct memory_disk *disk);
void memory_disk_free(struct memory_disk *disk);
// For looking and meddling; NULL: free.
struct memory_name *memory_disk_find(struct memory_disk *disk, const char *path);

#endif
