// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names are the only state: see ringtape_publish.h. Every rename is followed by a sync of its
// folder before anything depends on it.
#include "tools/ringtape_publish.h"

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// What a file's name tells.
struct ringtape_partition_file {
    uint64_t key;
    uint64_t parts;
    bool partial;
};

static const char staging_name[] = ".ringtape-staging";

// ---- paths ----

__attribute__((format(printf, 2, 3))) static void
ringtape_publish_path(char out[RINGTAPE_PUBLISH_PATH_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(out, RINGTAPE_PUBLISH_PATH_BYTES, format, arguments);
    va_end(arguments);
    ensure(size > 0 && size < RINGTAPE_PUBLISH_PATH_BYTES); // directory names are checked at open
}

static int ringtape_publish_sync(const char *path)
{
    const int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return -errno;
    const int error = fsync(file) == 0 ? 0 : -errno;
    (void)close(file);
    return error;
}

// Creates every missing folder of the path and makes its name durable.
static int ringtape_publish_make(const char *path)
{
    char part[RINGTAPE_PUBLISH_PATH_BYTES];
    for (const char *end = path; end != NULL;) {
        end = strchr(end + 1, '/');
        ringtape_publish_path(part, "%.*s", end ? (int)(end - path) : (int)strlen(path), path);
        if (mkdir(part, 0755) != 0) {
            if (errno != EEXIST) return -errno;
            continue;
        }
        char *slash = strrchr(part, '/');
        if (slash != NULL && slash != part) *slash = 0;
        const int error = ringtape_publish_sync(slash == NULL ? "." : slash == part ? "/" : part);
        if (error != 0) return error;
    }
    return 0;
}

// ---- the directory ----

static void ringtape_publish_sweep(const char *staging)
{
    DIR *directory = opendir(staging);
    if (directory == NULL) return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.') (void)unlinkat(dirfd(directory), entry->d_name, 0);
    (void)closedir(directory);
}

int ringtape_publish_open(struct ringtape_publish *publish, const char *directory)
{
    char staging[RINGTAPE_PUBLISH_PATH_BYTES];
    *publish = (struct ringtape_publish){.directory = directory, .lock = -1};
    if (strlen(directory) > RINGTAPE_PUBLISH_PATH_BYTES - 512)
        return ringtape_fail("%s: %s", directory, strerror(ENAMETOOLONG));
    ringtape_publish_path(staging, "%s/%s", directory, staging_name);
    int error = ringtape_publish_make(directory);
    if (error != 0) return ringtape_fail("%s: %s", directory, strerror(-error));
    publish->lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (publish->lock < 0) return ringtape_fail("%s: %s", directory, strerror(errno));
    if (flock(publish->lock, LOCK_EX | LOCK_NB) != 0) {
        error = errno;
        ringtape_publish_close(publish);
        if (error == EWOULDBLOCK)
            return ringtape_fail("%s: another export writes there; wait for it, or end it "
                                 "if it follows",
                                 directory);
        return ringtape_fail("%s: %s", directory, strerror(error));
    }
    error = ringtape_publish_make(staging);
    if (error != 0) {
        ringtape_publish_close(publish);
        return ringtape_fail("%s: %s", staging, strerror(-error));
    }
    ringtape_publish_sweep(staging);
    return 0;
}

void ringtape_publish_close(struct ringtape_publish *publish)
{
    char staging[RINGTAPE_PUBLISH_PATH_BYTES];
    if (publish->lock < 0) return;
    ringtape_publish_path(staging, "%s/%s", publish->directory, staging_name);
    ringtape_publish_sweep(staging);
    (void)rmdir(staging);
    (void)close(publish->lock);
    publish->lock = -1;
}

int ringtape_publish_check(const struct ringtape_publish *publish)
{
    struct stat locked, named;
    ensure(publish->lock >= 0);
    if (fstat(publish->lock, &locked) == 0 && stat(publish->directory, &named) == 0 &&
        locked.st_dev == named.st_dev && locked.st_ino == named.st_ino)
        return 0;
    return ringtape_fail("%s: the folder was moved, removed or replaced while the export ran; "
                         "export again where it is now",
                         publish->directory);
}

// ---- names ----

static void ringtape_partition_name(const struct ringtape_partition *partition, uint32_t part,
                                    bool partial, char out[RINGTAPE_PUBLISH_PATH_BYTES])
{
    ringtape_publish_path(out, "%s/%s/ringtape-%s-%016" PRIx64 "-%" PRIu32 "of%" PRIu32 "%s",
                          partition->publish->directory, partition->path, partition->store,
                          partition->key, part + 1, partition->parts,
                          partial ? "-partial.parquet" : ".parquet");
}

void ringtape_partition_staged(const struct ringtape_partition *partition, uint32_t part,
                               char out[RINGTAPE_PUBLISH_PATH_BYTES])
{
    ringtape_publish_path(out, "%s/%s/%016" PRIx64 "-%" PRIu32, partition->publish->directory,
                          staging_name, partition->key, part);
}

// Takes `text` at *next.
static bool ringtape_partition_take(const char **next, const char *text)
{
    const size_t size = strlen(text);
    if (strncmp(*next, text, size) != 0) return false;
    *next += size;
    return true;
}

static bool ringtape_partition_number(const char **next, int base, uint64_t *number)
{
    char *end;
    if (!isxdigit((unsigned char)**next)) return false;
    *number = strtoull(*next, &end, base);
    if (end == *next) return false;
    *next = end;
    return true;
}

// Is it one of ours: "ringtape-STORE-KEY-NofM.parquet" or "…-partial.parquet".
static bool ringtape_partition_parse(const struct ringtape_partition *partition, const char *name,
                                     struct ringtape_partition_file *file)
{
    uint64_t part;
    if (!ringtape_partition_take(&name, "ringtape-") ||
        !ringtape_partition_take(&name, partition->store) || !ringtape_partition_take(&name, "-") ||
        !ringtape_partition_number(&name, 16, &file->key) || !ringtape_partition_take(&name, "-") ||
        !ringtape_partition_number(&name, 10, &part) || !ringtape_partition_take(&name, "of") ||
        !ringtape_partition_number(&name, 10, &file->parts))
        return false;
    file->partial = strcmp(name, "-partial.parquet") == 0;
    return file->partial || strcmp(name, ".parquet") == 0;
}

void ringtape_partition_init(struct ringtape_partition *partition,
                             const struct ringtape_publish *publish, const char *exchange,
                             const char *channel, const char *date, const char *store_identity,
                             uint64_t key)
{
    char escaped[3 * 256 + 1];
    size_t size = 0;
    *partition = (struct ringtape_partition){.publish = publish, .key = key, .file = -1};
    for (const char *c = exchange; *c != 0 && size < sizeof escaped - 4; c++) {
        const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                           (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
        if (plain)
            escaped[size++] = *c;
        else
            size += (size_t)snprintf(escaped + size, 4, "%%%02X", (unsigned char)*c);
    }
    escaped[size] = 0;
    ringtape_publish_path(partition->path, "exchange=%s/channel=%s/date=%s", escaped, channel,
                          date);
    ensure(strlen(store_identity) >= RINGTAPE_PUBLISH_STORE_DIGITS);
    memcpy(partition->store, store_identity, RINGTAPE_PUBLISH_STORE_DIGITS);
}

static DIR *ringtape_partition_open(const struct ringtape_partition *partition)
{
    char path[RINGTAPE_PUBLISH_PATH_BYTES];
    ringtape_publish_path(path, "%s/%s", partition->publish->directory, partition->path);
    return opendir(path);
}

bool ringtape_partition_is_current(const struct ringtape_partition *partition)
{
    DIR *directory = ringtape_partition_open(partition);
    uint64_t found = 0, wanted = 0;
    bool others = false;
    if (directory == NULL) return false;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct ringtape_partition_file file;
        if (!ringtape_partition_parse(partition, entry->d_name, &file)) continue;
        if (file.key != partition->key || file.partial) others = true;
        found++;
        wanted = file.parts;
    }
    (void)closedir(directory);
    return !others && found > 0 && found == wanted;
}

// ---- writing ----

int ringtape_partition_begin(struct ringtape_partition *partition)
{
    char path[RINGTAPE_PUBLISH_PATH_BYTES];
    ensure(partition->file < 0);
    if (partition->parts == RINGTAPE_PUBLISH_PARTS_MAX) return -EFBIG;
    ringtape_partition_staged(partition, partition->parts, path);
    // A new file always: of one whose fsync failed in an earlier run, another fsync proves nothing.
    if (unlink(path) != 0 && errno != ENOENT) return -errno;
    partition->file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (partition->file < 0) return -errno;
    partition->parts++;
    return 0;
}

int ringtape_partition_write(struct ringtape_partition *partition, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    ensure(partition->file >= 0);
    partition->bytes += size;
    while (size > 0) {
        const ssize_t written = write(partition->file, next, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -errno;
        next += written;
        size -= (size_t)written;
    }
    return 0;
}

int ringtape_partition_end(struct ringtape_partition *partition)
{
    ensure(partition->file >= 0);
    int error = fsync(partition->file) == 0 ? 0 : -errno;
    if (close(partition->file) != 0 && error == 0) error = -errno;
    partition->file = -1;
    return error;
}

// Removes every file of this store's exports from the partition.
static int ringtape_partition_clear(const struct ringtape_partition *partition)
{
    DIR *directory = ringtape_partition_open(partition);
    int error = 0;
    if (directory == NULL) return -errno;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL && error == 0;) {
        struct ringtape_partition_file file;
        if (!ringtape_partition_parse(partition, entry->d_name, &file)) continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0) error = -errno;
    }
    if (error == 0 && fsync(dirfd(directory)) != 0) error = -errno;
    (void)closedir(directory);
    return error;
}

int ringtape_partition_publish(struct ringtape_partition *partition, bool partial)
{
    char folder[RINGTAPE_PUBLISH_PATH_BYTES];
    ensure(partition->file < 0 && partition->parts > 0);
    ringtape_publish_path(folder, "%s/%s", partition->publish->directory, partition->path);
    int error = ringtape_publish_make(folder);
    if (error == 0) error = ringtape_partition_clear(partition);
    for (uint32_t part = 0; part < partition->parts && error == 0; part++) {
        char staged[RINGTAPE_PUBLISH_PATH_BYTES], final[RINGTAPE_PUBLISH_PATH_BYTES];
        ringtape_partition_staged(partition, part, staged);
        ringtape_partition_name(partition, part, partial, final);
        if (rename(staged, final) != 0) error = -errno;
    }
    return error == 0 ? ringtape_publish_sync(folder) : error;
}

void ringtape_partition_abandon(struct ringtape_partition *partition)
{
    if (partition->file >= 0) (void)close(partition->file);
    partition->file = -1;
    for (uint32_t part = 0; part < partition->parts; part++) {
        char staged[RINGTAPE_PUBLISH_PATH_BYTES];
        ringtape_partition_staged(partition, part, staged);
        (void)unlink(staged);
    }
    partition->parts = 0;
}
