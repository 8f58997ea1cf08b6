// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_day_marker: see ringtape_day_marker.h.
#include "tools/ringtape_day_marker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

static void marker_path(char out[RINGTAPE_PATH_BYTES_MAX], const struct store *store, int32_t day,
                        enum channel channel, const char *end)
{
    char name[DAY_NAME_BYTES_MAX];
    day_marker_name(day, channel, name);
    int size = snprintf(out, RINGTAPE_PATH_BYTES_MAX, "%s/day/%s%s", store_path(store), name, end);
    ensure(size > 0 && size < RINGTAPE_PATH_BYTES_MAX);
}

// ---- reading ----

// Is it there and says `content` (may be NULL) already? 0 or an exit code.
static int marker_look(const struct store *store, int32_t day, enum channel channel,
                       const char *content, struct day_marker *marker, bool *same)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct ringtape_map map;
    size_t size;
    *marker = (struct day_marker){0};
    *same = false;
    marker_path(path, store, day, channel, "");
    int error = ringtape_map_open(&map, path);
    if (error == -ENOENT) return RINGTAPE_EXIT_OK;
    if (error != 0) return ringtape_fail("%s: %s", path, ringtape_error_text(error));
    const char *found = day_marker_parse((const char *)map.bytes, map.size, marker, &size);
    *same = found != NULL && content != NULL && size == strlen(content) &&
            memcmp(found, content, size) == 0;
    ringtape_map_close(&map);
    if (found != NULL) return RINGTAPE_EXIT_OK;
    return ringtape_fail("%s: damaged; delete it, and the day is judged anew", path);
}

int ringtape_day_marker_read(const struct store *store, int32_t day, enum channel channel,
                             struct day_marker *marker)
{
    bool same;
    return marker_look(store, day, channel, NULL, marker, &same);
}

// ---- writing ----

static int file_put(const char *path, const char *text, size_t size)
{
    // A new file always: of one whose fsync failed once, another fsync proves nothing.
    if (unlink(path) != 0 && errno != ENOENT) return -errno;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return -errno;
    int error = 0;
    while (size > 0 && error == 0) {
        ssize_t written = write(file, text, size);
        if (written < 0) {
            error = -errno;
        } else {
            text += written;
            size -= (size_t)written;
        }
    }
    if (error == 0 && fsync(file) != 0) error = -errno;
    (void)close(file);
    return error;
}

// Not the name that a daemon writes under: one may start at this moment.
static int marker_replace(const struct store *store, const struct day_state *state,
                          enum channel channel, int directory, const char *text, size_t size)
{
    char path[RINGTAPE_PATH_BYTES_MAX], beside[RINGTAPE_PATH_BYTES_MAX];
    marker_path(path, store, state->day, channel, "");
    marker_path(beside, store, state->day, channel, ".command");
    int error = file_put(beside, text, size);
    if (error == 0 && rename(beside, path) != 0) error = -errno;
    if (error == 0 && fsync(directory) != 0) error = -errno;
    if (error == 0) return RINGTAPE_EXIT_OK;
    return ringtape_fail("%s: %s; the day is not closed before it is durable", path,
                         ringtape_error_text(error));
}

// STORE/day, made where it is missing, locked: for close(). Negative: told.
static int directory_lock(const struct store *store)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%.4000s/day", store_path(store));
    bool made = mkdir(path, 0755) == 0;
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || flock(directory, LOCK_EX) != 0) {
        (void)ringtape_fail("%s: %s", path, strerror(errno));
        if (directory >= 0) (void)close(directory);
        return -1;
    }
    int parent = made ? open(store_path(store), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (parent >= 0) {
        (void)fsync(parent);
        (void)close(parent);
    }
    return directory;
}

static int marker_update(const struct store *store, const struct day_state *state,
                         enum channel channel, int directory, const char *content,
                         struct day_marker *marker)
{
    bool same;
    size_t size;
    int exit_code = marker_look(store, state->day, channel, content, marker, &same);
    // A day whose rows were deleted stays as it was.
    bool deleted = marker->rows > 0 && state->rows[channel] == 0;
    if (exit_code != RINGTAPE_EXIT_OK || same || deleted) return exit_code;
    char *text = day_marker_next(marker, content, state->now_ns, &size);
    if (text == NULL) return ringtape_fail("out of memory");
    exit_code = marker_replace(store, state, channel, directory, text, size);
    free(text);
    return exit_code;
}

int ringtape_day_marker_write(const struct store *store, const struct day_state *state,
                              enum channel channel, struct day_marker *marker)
{
    size_t size;
    int exit_code = RINGTAPE_EXIT_IO;
    char *content = day_content(state, channel, &size);
    if (content == NULL) return ringtape_fail("out of memory");
    int directory = directory_lock(store);
    if (directory >= 0) {
        exit_code = marker_update(store, state, channel, directory, content, marker);
        (void)close(directory);
    }
    free(content);
    return exit_code;
}
