// SPDX-License-Identifier: GPL-3.0-or-later
//
// host_file: the synchronous questions of io.h to the real file system. For start-up and rare
// moments; every function returns 0 or a positive answer, or a negative errno. Used by io_uring.c
// only.
#ifndef RINGTAPE_IO_HOST_FILE_H
#define RINGTAPE_IO_HOST_FILE_H

#include <stddef.h>
#include <stdint.h>

enum {
    // Never less, whatever the device says: it is the unit a drive replaces as one, and what
    // drives with 512-byte emulation write without reading first.
    HOST_FILE_ALIGNMENT_MIN = 4096,
    // A killed process keeps its locks until the kernel has finished its operations in flight.
    HOST_FILE_LOCK_TRIES = 20,
    HOST_FILE_LOCK_PAUSE_MS = 50,
};

int64_t host_file_size(const char *path);
// Bytes, fewer only at the end.
int64_t host_file_read(int handle, void *bytes, size_t size, int64_t offset);
// Lets go of what the kernel keeps of the file in memory and need not write any more.
void host_file_forget(int handle);
int host_file_list(const char *path, void (*each)(void *context, const char *name), void *context);
int64_t host_file_free_bytes(const char *path);
uint32_t host_file_alignment(int handle);
// The handle that holds the lock, or -EWOULDBLOCK after about a second, or another negative errno.
int host_file_lock(const char *path);

#endif
