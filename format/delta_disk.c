// SPDX-License-Identifier: Apache-2.0
//
// The host's files. Nothing is tried a second time that should make bytes durable.
#include "format/delta_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"

// ---- reading ----

static int read_all(int file, char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = read(file, bytes + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) return -EIO; // cut meanwhile: nobody does that to a log
        done += (size_t)got;
    }
    return 0;
}

static int host_read(void *context, const char *path, char **bytes, size_t *size)
{
    struct stat status;
    (void)context;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    int error = fstat(file, &status) == 0 ? 0 : -errno;
    if (error == 0 && status.st_size > DELTA_FILE_BYTES_MAX) error = -EFBIG;
    *bytes = error == 0 ? malloc((size_t)status.st_size + 1) : NULL;
    if (error == 0 && *bytes == NULL) error = -ENOMEM;
    if (error == 0) error = read_all(file, *bytes, (size_t)status.st_size);
    (void)close(file);
    if (error != 0) {
        free(*bytes);
        *bytes = NULL;
        return error;
    }
    *size = (size_t)status.st_size;
    (*bytes)[*size] = 0;
    return 0;
}

static int host_list(void *context, const char *directory,
                     void (*each)(void *to, const char *name), void *to)
{
    (void)context;
    DIR *opened = opendir(directory);
    if (opened == NULL) return -errno;
    for (const struct dirent *entry; (entry = readdir(opened)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(to, entry->d_name);
    (void)closedir(opened);
    return 0;
}

// ---- writing ----

static int write_all(int file, const char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t put = write(file, bytes + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -errno;
        done += (size_t)put;
    }
    return 0;
}

static int host_unlink(void *context, const char *path)
{
    (void)context;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

// Always a new file: one whose sync failed must not be synced again.
static int host_write(void *context, const char *path, const void *bytes, size_t size)
{
    int error = host_unlink(context, path);
    if (error != 0) return error;
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return -errno;
    error = write_all(file, bytes, size);
    if (error == 0 && fsync(file) != 0) error = -errno;
    if (close(file) != 0 && error == 0) error = -errno;
    if (error != 0) (void)unlink(path);
    return error;
}

static int host_link(void *context, const char *from, const char *to)
{
    (void)context;
    if (link(from, to) == 0) return 0;
    // File systems without hard links: the same in one step, where they have it.
    if (errno == EPERM || errno == EOPNOTSUPP)
        return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : -errno;
    return -errno;
}

static int host_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return rename(from, to) == 0 ? 0 : -errno;
}

static int host_sync(void *context, const char *directory)
{
    (void)context;
    const int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return -errno;
    const int error = fsync(file) == 0 ? 0 : -errno;
    (void)close(file);
    return error;
}

static int make_one(char *path)
{
    if (mkdir(path, 0755) != 0) return errno == EEXIST ? 0 : -errno;
    char *slash = strrchr(path, '/');
    if (slash == NULL) return host_sync(NULL, ".");
    *slash = 0;
    const int error = host_sync(NULL, slash == path ? "/" : path);
    *slash = '/';
    return error;
}

static int host_make(void *context, const char *directory)
{
    char path[DELTA_PATH_BYTES_MAX];
    const size_t size = strlen(directory);
    (void)context;
    if (size == 0 || size >= sizeof path) return size == 0 ? -ENOENT : -ENAMETOOLONG;
    memcpy(path, directory, size + 1);
    for (char *end = path; end != NULL;) {
        end = strchr(end + 1, '/');
        if (end != NULL) *end = 0;
        const int error = make_one(path);
        if (error != 0) return error;
        if (end != NULL) *end = '/';
    }
    return 0;
}

const struct delta_disk delta_disk_host = {
    .read = host_read,
    .write = host_write,
    .link = host_link,
    .rename = host_rename,
    .unlink = host_unlink,
    .sync = host_sync,
    .make = host_make,
    .list = host_list,
};
