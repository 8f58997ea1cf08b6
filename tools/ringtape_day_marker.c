// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_day_marker: see ringtape_day_marker.h.
#include "tools/ringtape_day_marker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

enum { TRAILER_BYTES = 5 + 16 + 1 };

bool ringtape_day_has(int32_t day, const struct ringtape_ledger_note *note)
{
    const int64_t start_ns = (int64_t)day * TIME_TEXT_DAY_NS;
    return (note->kind == STATUS_HOLE_OPENED || note->kind == STATUS_HOLE_LOST) &&
           note->from_ns < start_ns + TIME_TEXT_DAY_NS &&
           (note->to_ns == 0 || note->to_ns >= start_ns);
}

static void marker_path(char out[RINGTAPE_PATH_BYTES_MAX], const struct store *store,
                        const struct ringtape_day_state *state, const char *end)
{
    char date[11];
    catalogue_day_text(state->day, date);
    int size = snprintf(out, RINGTAPE_PATH_BYTES_MAX, "%s/day/%s-%s%s", store_path(store), date,
                        channel_schema(state->channel)->name, end);
    ensure(size > 0 && size < RINGTAPE_PATH_BYTES_MAX);
}

// ---- reading ----

// The number behind `name` at *text, which moves behind its line.
static bool marker_number(const char **text, const char *name, int64_t *value)
{
    char *end;
    size_t size = strlen(name);
    if (strncmp(*text, name, size) != 0) return false;
    errno = 0;
    *value = strtoll(*text + size, &end, 10);
    if (end == *text + size || *end != '\n' || errno != 0 || *value < 0) return false;
    *text = end + 1;
    return true;
}

// The lines about the state, behind those that count: what is compared.
static const char *marker_parse(const char *text, size_t size, struct ringtape_day_marker *marker)
{
    char trailer[TRAILER_BYTES + 1];
    if (size <= TRAILER_BYTES) return NULL;
    XXH64_hash_t hash = XXH3_64bits(text, size - TRAILER_BYTES);
    (void)snprintf(trailer, sizeof trailer, "xxh3 %016llx\n", (unsigned long long)hash);
    if (memcmp(text + size - TRAILER_BYTES, trailer, TRAILER_BYTES) != 0) return NULL;
    static const char first[] = "ringtape-day 1 0\n";
    if (strncmp(text, first, sizeof first - 1) != 0) return NULL;
    const char *at = text + sizeof first - 1;
    int64_t generation, rows;
    if (!marker_number(&at, "generation ", &generation) || generation == 0 ||
        !marker_number(&at, "closed ", &marker->closed_ns) ||
        !marker_number(&at, "changed ", &marker->changed_ns))
        return NULL;
    const char *content = at;
    if (!marker_number(&at, "rows ", &rows)) return NULL;
    marker->generation = (uint64_t)generation;
    marker->rows = (uint64_t)rows;
    for (const char *line = content; (line = strchr(line, '\n')) != NULL; line++) {
        marker->open += strncmp(line, "\nhole open ", 11) == 0;
        marker->lost += strncmp(line, "\nhole lost ", 11) == 0;
    }
    return content;
}

// The file's text, ended by zero, for free(); NULL: there is none, or *exit_code says why.
static char *marker_load(const struct store *store, const struct ringtape_day_state *state,
                         int *exit_code)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct ringtape_map map;
    marker_path(path, store, state, "");
    int error = ringtape_map_open(&map, path);
    *exit_code = RINGTAPE_EXIT_OK;
    if (error == -ENOENT) return NULL;
    if (error != 0) {
        *exit_code = ringtape_fail("%s: %s", path, ringtape_error_text(error));
        return NULL;
    }
    char *text = malloc(map.size + 1);
    ensure(text != NULL);
    if (map.size > 0) memcpy(text, map.bytes, map.size);
    text[map.size] = '\0';
    ringtape_map_close(&map);
    return text;
}

// *text: to be freed; the result lies in it, NULL where there is none or it is damaged.
static const char *marker_open(const struct store *store, const struct ringtape_day_state *state,
                               struct ringtape_day_marker *marker, char **text, int *exit_code)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    *marker = (struct ringtape_day_marker){0};
    *text = marker_load(store, state, exit_code);
    if (*text == NULL) return NULL;
    const char *content = marker_parse(*text, strlen(*text), marker);
    if (content != NULL) return content;
    *marker = (struct ringtape_day_marker){0};
    marker_path(path, store, state, "");
    *exit_code = ringtape_fail("%s: damaged; delete it, and the day is judged anew", path);
    return NULL;
}

int ringtape_day_marker_read(const struct store *store, const struct ringtape_day_state *state,
                             struct ringtape_day_marker *marker)
{
    char *text;
    int exit_code;
    (void)marker_open(store, state, marker, &text, &exit_code);
    free(text);
    return exit_code;
}

// ---- writing ----

static void state_print(FILE *out, const struct ringtape_day_state *state)
{
    const struct ringtape_ledger *ledger = state->ledger;
    (void)fprintf(out, "rows %" PRIu64 "\n", state->rows);
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        const struct ringtape_ledger_note *note = &ledger->notes[n];
        const struct ledger_key *key = &ledger->keys[note->key];
        if (key->channel != state->channel || !ringtape_day_has(state->day, note)) continue;
        (void)fprintf(out, "hole %s %s ", note->kind == STATUS_HOLE_OPENED ? "open" : "lost",
                      key->symbol);
        if (note->first < 0)
            (void)fprintf(out, "- - ");
        else
            (void)fprintf(out, "%" PRId64 " %" PRId64 " ", note->first, note->last);
        (void)fprintf(out, "%" PRId64 " %" PRId64 " %s\n", note->from_ns, note->to_ns,
                      note->detail);
    }
}

// Text of a stream in memory, its trailer included.
static char *marker_text(const struct ringtape_day_marker *marker, const char *content,
                         size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    ensure(out != NULL);
    (void)fprintf(out,
                  "ringtape-day 1 0\ngeneration %" PRIu64 "\nclosed %" PRId64 "\nchanged %" PRId64
                  "\n%s",
                  marker->generation, marker->closed_ns, marker->changed_ns, content);
    (void)fflush(out);
    XXH64_hash_t hash = XXH3_64bits(text, *size);
    (void)fprintf(out, "xxh3 %016llx\n", (unsigned long long)hash);
    ensure(fclose(out) == 0);
    return text;
}

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

static int marker_replace(const struct store *store, const struct ringtape_day_state *state,
                          int directory, const char *text, size_t size)
{
    char path[RINGTAPE_PATH_BYTES_MAX], beside[RINGTAPE_PATH_BYTES_MAX];
    marker_path(path, store, state, "");
    marker_path(beside, store, state, ".new");
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

static int marker_update(const struct store *store, const struct ringtape_day_state *state,
                         int directory, const char *content, int64_t now_ns,
                         struct ringtape_day_marker *marker)
{
    char *old;
    size_t size;
    int exit_code;
    const char *before = marker_open(store, state, marker, &old, &exit_code);
    bool same = before != NULL && strlen(before) == strlen(content) + TRAILER_BYTES &&
                memcmp(before, content, strlen(content)) == 0;
    free(old);
    if (exit_code != RINGTAPE_EXIT_OK || same) return exit_code;
    marker->generation++;
    marker->changed_ns = now_ns;
    if (marker->closed_ns == 0) marker->closed_ns = now_ns;
    char *text = marker_text(marker, content, &size);
    exit_code = marker_replace(store, state, directory, text, size);
    free(text);
    return exit_code == RINGTAPE_EXIT_OK ? ringtape_day_marker_read(store, state, marker)
                                         : exit_code;
}

int ringtape_day_marker_write(const struct store *store, const struct ringtape_day_state *state,
                              int64_t now_ns, struct ringtape_day_marker *marker)
{
    char *content = NULL;
    size_t size;
    FILE *out = open_memstream(&content, &size);
    ensure(out != NULL);
    state_print(out, state);
    ensure(fclose(out) == 0);
    int directory = directory_lock(store);
    int exit_code = RINGTAPE_EXIT_IO;
    if (directory >= 0) {
        exit_code = marker_update(store, state, directory, content, now_ns, marker);
        (void)close(directory);
    }
    free(content);
    return exit_code;
}
