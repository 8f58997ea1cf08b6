// SPDX-License-Identifier: GPL-3.0-or-later
//
// The file system asked directly: system calls that return at once or are rare.
#include "io/host_file.h"

#include "format/ensure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h> // not <sys/stat.h>: glibc 2.36 has no direct I/O fields in its struct statx
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int host_file_statx(int folder, const char *path, int flags, unsigned mask,
                           struct statx *status)
{
    memset(status, 0, sizeof *status);
    return syscall(SYS_statx, folder, path, flags, mask, status) == 0 ? 0 : -errno;
}

int64_t host_file_size(const char *path)
{
    struct statx status;
    int error = host_file_statx(AT_FDCWD, path, 0, STATX_SIZE, &status);
    if (error != 0)
        return error;
    ensure(status.stx_size <= INT64_MAX);
    return (int64_t)status.stx_size;
}

int64_t host_file_read(int handle, void *bytes, size_t size, int64_t offset)
{
    size_t done = 0;
    while (done < size) {
        // Not pread(): ThreadSanitizer counts descriptors by its wrappers and misses those that the
        // ring opens and closes, so it takes a number used again for a race of two threads.
        ssize_t got = syscall(SYS_pread64, handle, (char *)bytes + done, size - done,
                              offset + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

void host_file_forget(int handle)
{
    ensure(handle >= 0);
    (void)posix_fadvise(handle, 0, 0, POSIX_FADV_DONTNEED); // 0: to the end
}

int host_file_list(const char *path, void (*each)(void *context, const char *name), void *context)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -errno;
    errno = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(context, entry->d_name);
        errno = 0;
    }
    int error = -errno;
    (void)closedir(folder);
    return error;
}

int64_t host_file_free_bytes(const char *path)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0)
        return -errno;
    return (int64_t)(status.f_bavail * status.f_frsize);
}

uint32_t host_file_alignment(int handle)
{
    ensure(handle >= 0);
    struct statx status;
    uint32_t alignment = HOST_FILE_ALIGNMENT_MIN;
    if (host_file_statx(handle, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0)
        return alignment;
    if ((status.stx_mask & STATX_DIOALIGN) != 0) {
        if (status.stx_dio_offset_align > alignment)
            alignment = status.stx_dio_offset_align;
        if (status.stx_dio_mem_align > alignment)
            alignment = status.stx_dio_mem_align;
    }
    ensure((alignment & (alignment - 1)) == 0);
    return alignment;
}

int host_file_lock(const char *path)
{
    int handle = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (handle < 0)
        return -errno;
    int error = 0;
    for (int try = 0; try < HOST_FILE_LOCK_TRIES; try++) {
        error = flock(handle, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
        if (error != -EWOULDBLOCK)
            break;
        struct timespec pause = {.tv_nsec = HOST_FILE_LOCK_PAUSE_MS * 1000 * 1000};
        (void)nanosleep(&pause, NULL);
    }
    if (error == 0)
        return handle;
    (void)close(handle);
    return error;
}
