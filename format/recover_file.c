// SPDX-License-Identifier: Apache-2.0
//
// A read that fails is repeated sector by sector, so that one bad sector costs no more than itself.
#include "format/recover_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/layout.h"

enum { COPY_BYTES = 1 << 20 };

static int join(char out[RECOVER_PATH_BYTES_MAX], const char *directory, const char *relative)
{
    int size = snprintf(out, RECOVER_PATH_BYTES_MAX, "%s/%s", directory, relative);
    // Room for ".new".
    return size > 0 && size < RECOVER_PATH_BYTES_MAX - 5 ? 0 : -ENAMETOOLONG;
}

// ---- reading ----

int recover_file_open(struct recover_file *file, const char *directory, const char *relative)
{
    char path[RECOVER_PATH_BYTES_MAX];
    struct stat status;
    *file = (struct recover_file){.descriptor = -1};
    int error = join(path, directory, relative);
    if (error < 0)
        return error;
    // Without waiting, should it be a pipe.
    file->descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file->descriptor < 0 && errno == ENOTDIR)
        return -ENOENT;
    if (file->descriptor < 0)
        return errno == ELOOP || errno == ENXIO ? -EISDIR : -errno;
    if (fstat(file->descriptor, &status) < 0 || !S_ISREG(status.st_mode)) {
        recover_file_close(file);
        return -EISDIR;
    }
    file->size = (uint64_t)status.st_size;
    return 0;
}

void recover_file_close(struct recover_file *file)
{
    if (file->descriptor >= 0)
        (void)close(file->descriptor);
    file->descriptor = -1;
}

static int64_t read_some(int descriptor, void *out, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got =
            pread(descriptor, (char *)out + done, size - done, (off_t)(offset + done));
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

// Sector by sector around what the device refuses.
static int64_t read_around(void *context, uint64_t offset, void *out, size_t size)
{
    struct recover_file *file = context;
    int64_t got = read_some(file->descriptor, out, size, offset);
    if (got >= 0)
        return got;
    size_t done = 0;
    while (done < size && offset + done < file->size) {
        size_t part = LAYOUT_SECTOR - (offset + done) % LAYOUT_SECTOR;
        part = part < size - done ? part : size - done;
        if (part > file->size - offset - done)
            part = (size_t)(file->size - offset - done);
        uint8_t *to = (uint8_t *)out + done;
        got = read_some(file->descriptor, to, part, offset + done);
        if (got < (int64_t)part) {
            memset(to, 0, part);
            file->unreadable += part;
        }
        done += part;
    }
    return (int64_t)done;
}

struct source recover_file_source(struct recover_file *file)
{
    ensure(file->descriptor >= 0);
    return (struct source){.size = file->size, .read = read_around, .context = file};
}

int recover_file_load(const char *directory, const char *relative, void **bytes, size_t *size)
{
    struct recover_file file;
    *bytes = NULL;
    *size = 0;
    int error = recover_file_open(&file, directory, relative);
    if (error < 0)
        return error;
    void *room = aligned_alloc(64, (file.size + 64) & ~63ull);
    int64_t got = room ? read_around(&file, 0, room, file.size) : -ENOMEM;
    recover_file_close(&file);
    if (got < 0) {
        free(room);
        return (int)got;
    }
    *bytes = room;
    *size = (size_t)got;
    return 0;
}

// ---- writing ----

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int move_beside(const char *path, const char *ending)
{
    char beside[RECOVER_PATH_BYTES_MAX + 16];
    (void)snprintf(beside, sizeof beside, "%.1190s.%s", path, ending);
    return rename(path, beside) == 0 ? 0 : -errno;
}

int recover_folder(const char *directory, const char *relative)
{
    char path[RECOVER_PATH_BYTES_MAX];
    int error = join(path, directory, relative);
    if (error < 0)
        return error;
    if (mkdir(path, 0755) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (is_folder(path))
        return 0;
    error = move_beside(path, "not-a-folder");
    return error == 0 && mkdir(path, 0755) < 0 ? -errno : error;
}

// The folders of "a/b/c": a and a/b.
static int make_folders(const char *directory, const char *relative)
{
    char part[RECOVER_PATH_BYTES_MAX];
    int error = 0;
    for (const char *at = strchr(relative, '/'); at && error == 0; at = strchr(at + 1, '/')) {
        size_t size = (size_t)(at - relative);
        memcpy(part, relative, size);
        part[size] = 0;
        error = recover_folder(directory, part);
    }
    return error;
}

int recover_output_open(struct recover_output *output, const char *directory, const char *relative)
{
    char path[RECOVER_PATH_BYTES_MAX];
    *output = (struct recover_output){.descriptor = -1};
    int error = join(output->path, directory, relative);
    if (error == 0)
        error = make_folders(directory, relative);
    if (error < 0) {
        output->path[0] = 0;
        return error;
    }
    (void)snprintf(path, sizeof path, "%.1190s.new", output->path);
    // A new file always: of one whose fsync failed in an earlier run, another fsync proves nothing.
    if (unlink(path) != 0 && errno != ENOENT)
        return -errno;
    output->descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return output->descriptor < 0 ? -errno : 0;
}

int recover_output_put(struct recover_output *output, uint64_t offset, const void *bytes,
                       size_t size)
{
    size_t done = 0;
    ensure(output->descriptor >= 0);
    while (done < size) {
        ssize_t put = pwrite(output->descriptor, (const char *)bytes + done, size - done,
                             (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        done += (size_t)put;
    }
    return 0;
}

int recover_output_append(struct recover_output *output, const void *bytes, size_t size)
{
    int error = recover_output_put(output, output->size, bytes, size);
    output->size += size;
    return error;
}

int recover_output_finish(struct recover_output *output)
{
    int error = fsync(output->descriptor) == 0 ? 0 : -errno;
    (void)close(output->descriptor);
    output->descriptor = -1;
    return error;
}

int recover_output_place(const struct recover_output *output)
{
    char path[RECOVER_PATH_BYTES_MAX];
    ensure(output->descriptor < 0);
    (void)snprintf(path, sizeof path, "%.1190s.new", output->path);
    if (rename(path, output->path) == 0)
        return 0;
    int error = errno == EISDIR ? move_beside(output->path, "not-a-file") : -errno;
    return error == 0 && rename(path, output->path) < 0 ? -errno : error;
}

void recover_output_abandon(struct recover_output *output)
{
    char path[RECOVER_PATH_BYTES_MAX];
    if (output->descriptor >= 0)
        (void)close(output->descriptor);
    output->descriptor = -1;
    if (output->path[0] == 0)
        return;
    (void)snprintf(path, sizeof path, "%.1190s.new", output->path);
    (void)unlink(path);
}

int recover_write(const char *directory, const char *relative, const void *bytes, size_t size)
{
    struct recover_output output;
    int error = recover_output_open(&output, directory, relative);
    if (error == 0)
        error = recover_output_append(&output, bytes, size);
    if (error == 0)
        error = recover_output_finish(&output);
    if (error == 0)
        return recover_output_place(&output);
    recover_output_abandon(&output);
    return error;
}

int recover_copy(const char *from, const char *to, const char *relative, uint64_t size)
{
    struct recover_file file;
    struct recover_output output = {.descriptor = -1};
    int error = recover_file_open(&file, from, relative);
    if (error < 0)
        return error;
    uint8_t *room = malloc(COPY_BYTES);
    size = size < file.size ? size : file.size;
    error = room ? recover_output_open(&output, to, relative) : -ENOMEM;
    for (uint64_t at = 0; at < size && error == 0;) {
        size_t part = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        int64_t got = read_around(&file, at, room, part);
        error = got == (int64_t)part ? recover_output_append(&output, room, part) : -EIO;
        at += part;
    }
    if (error == 0)
        error = recover_output_finish(&output);
    if (error == 0)
        error = recover_output_place(&output);
    else
        recover_output_abandon(&output);
    free(room);
    recover_file_close(&file);
    return error;
}

int recover_sync(const char *directory, const char *relative)
{
    char path[RECOVER_PATH_BYTES_MAX];
    int error = join(path, directory, relative);
    if (error < 0)
        return error;
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    error = fsync(descriptor) == 0 ? 0 : -errno;
    (void)close(descriptor);
    return error;
}
