// SPDX-License-Identifier: GPL-3.0-or-later
//
// See ringtape_report_file.h. Contract: a failure at any moment, a full disk too, leaves what was
// there under the name before.
#include "tools/ringtape_report_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

enum { FILE_BUFFER_BYTES = 1 << 18, FILE_MODE = 0644 };

typedef void file_print(const struct report *report, FILE *out);

// ---- one file ----

static int file_fill(const struct report *report, file_print *print, const char *path)
{
    // A new file always: of one whose fsync failed once, another fsync proves nothing.
    if (unlink(path) != 0 && errno != ENOENT) return -errno;
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (descriptor < 0) return -errno;
    FILE *out = fdopen(descriptor, "w");
    if (out == NULL) {
        (void)close(descriptor);
        return -ENOMEM;
    }
    (void)setvbuf(out, NULL, _IOFBF, FILE_BUFFER_BYTES);
    errno = 0;
    print(report, out);
    int error = 0;
    if (fflush(out) != 0 || ferror(out)) error = errno != 0 ? -errno : -EIO;
    if (error == 0 && fsync(descriptor) != 0) error = -errno;
    if (fclose(out) != 0 && error == 0) error = -errno;
    return error;
}

// What is renamed is durable under its new name once its directory is.
static int file_sync_directory(const char *path)
{
    char directory[RINGTAPE_PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    const size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    ensure(size < sizeof directory);
    memcpy(directory, path, size);
    directory[size] = '\0';
    const char *name = slash == NULL ? "." : size == 0 ? "/" : directory;
    const int descriptor = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -errno;
    const int error = fsync(descriptor) == 0 ? 0 : -errno;
    (void)close(descriptor);
    return error;
}

// `mark`: what is written beside has a name that nobody else writes under at the time.
static int file_replace(const struct report *report, file_print *print, const char *path,
                        const char *mark)
{
    char beside[RINGTAPE_PATH_BYTES_MAX];
    const int size = snprintf(beside, sizeof beside, "%s%s.new", path, mark);
    if (size < 0 || size >= (int)sizeof beside)
        return ringtape_fail("%.100s...: the path is too long", path);
    int error = file_fill(report, print, beside);
    if (error == 0 && rename(beside, path) != 0) error = -errno;
    if (error != 0) (void)unlink(beside);
    if (error == 0) error = file_sync_directory(path);
    if (error == 0) return RINGTAPE_EXIT_OK;
    return ringtape_fail("%s: %s; the report is not written, what was there stays", path,
                         ringtape_error_text(error));
}

int report_write_html(const struct report *report, const char *path)
{
    char mark[32];
    (void)snprintf(mark, sizeof mark, ".%ld", (long)getpid());
    return file_replace(report, report_print_html, path, mark);
}

// ---- both ----

static bool file_path(char out[RINGTAPE_PATH_BYTES_MAX], const struct report *report,
                      const char *directory, const char *ending)
{
    const int size =
        snprintf(out, RINGTAPE_PATH_BYTES_MAX, "%s/%s.%s", directory, report->label, ending);
    return size > 0 && size < RINGTAPE_PATH_BYTES_MAX;
}

static int file_lock(const char *directory)
{
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) return -errno;
    const int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -errno;
    if (flock(descriptor, LOCK_EX) == 0) return descriptor;
    const int error = -errno;
    (void)close(descriptor);
    return error;
}

int report_write_both(const struct report *report, const char *directory)
{
    char page[RINGTAPE_PATH_BYTES_MAX], data[RINGTAPE_PATH_BYTES_MAX];
    if (!file_path(page, report, directory, "html") || !file_path(data, report, directory, "json"))
        return ringtape_fail("%.100s...: the path is too long", directory);
    const int lock = file_lock(directory);
    if (lock < 0)
        return ringtape_fail("%s: %s; reports are not written", directory,
                             ringtape_error_text(lock));
    // Under the lock one name suffices, so that what a kill leaves is written over.
    int exit_code = file_replace(report, report_print_html, page, "");
    if (exit_code == RINGTAPE_EXIT_OK)
        exit_code = file_replace(report, report_print_json, data, "");
    (void)close(lock);
    return exit_code;
}

bool report_is_current(const struct report *report, const char *directory)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct ringtape_map map;
    char *head = NULL;
    size_t size = 0;
    if (!file_path(path, report, directory, "html") || access(path, F_OK) != 0 ||
        !file_path(path, report, directory, "json") || ringtape_map_open(&map, path) != 0)
        return false;
    FILE *out = open_memstream(&head, &size);
    bool current = out != NULL;
    if (out != NULL) {
        report_print_json_head(report, out);
        current = fclose(out) == 0 && map.size > size && memcmp(map.bytes, head, size) == 0;
    }
    free(head);
    ringtape_map_close(&map);
    return current;
}
