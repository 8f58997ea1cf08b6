// SPDX-License-Identifier: Apache-2.0
//
// Opening a table: newest checkpoint of ours → commits behind it → may we go on with it?
#include "format/delta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/delta_inside.h"
#include "format/ensure.h"

// ---- messages, memory, paths ----

int delta_fail(struct delta *delta, int error, const char *format, ...)
{
    ensure(error < 0);
    if (delta->message == NULL) return error;
    char *out = delta->message->text;
    const int size = snprintf(out, DELTA_MESSAGE_BYTES, "%.700s: ", delta->path);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(out + size, DELTA_MESSAGE_BYTES - (size_t)size, format, arguments);
    va_end(arguments);
    return error;
}

char *delta_keep(struct delta *delta, const void *bytes, size_t size)
{
    struct delta_block *block = delta->arena;
    if (block == NULL || block->room - block->size <= size) {
        const size_t room =
            size < DELTA_ARENA_BLOCK_BYTES ? (size_t)DELTA_ARENA_BLOCK_BYTES : size + 1;
        block = malloc(sizeof *block + room);
        if (block == NULL) return NULL;
        *block = (struct delta_block){.next = delta->arena, .room = room};
        delta->arena = block;
    }
    char *kept = block->bytes + block->size;
    if (size > 0) memcpy(kept, bytes, size);
    kept[size] = 0;
    block->size += size + 1;
    return kept;
}

void delta_log_name(const struct delta *delta, const char *name, char *out)
{
    const int size = snprintf(out, DELTA_PATH_BYTES_MAX, "%s/_delta_log/%s", delta->path, name);
    ensure(size > 0 && size < DELTA_PATH_BYTES_MAX); // checked by delta_open()
}

void delta_log_path(const struct delta *delta, int64_t version, const char *ending, char *out)
{
    char name[64];
    const int size = snprintf(name, sizeof name, "%020" PRId64 "%s", version, ending);
    ensure(version >= 0 && size > 0 && (size_t)size < sizeof name);
    delta_log_name(delta, name, out);
}

void delta_forget(struct delta *delta)
{
    while (delta->arena != NULL) {
        struct delta_block *block = delta->arena;
        delta->arena = block->next;
        free(block);
    }
    free(delta->txns);
    free(delta->files);
    free(delta->places);
    delta->txns = NULL;
    delta->files = NULL;
    delta->places = NULL;
    delta->txn_count = delta->txn_room = delta->file_count = delta->file_room = 0;
    delta->place_count = delta->configuration_count = 0;
    delta->reader_version = delta->writer_version = 0;
    delta->features = delta->id = delta->schema = delta->partition_columns = NULL;
    delta->metadata = NULL;
    delta->column_mapping = false;
    delta->version = delta->checkpoint_version = -1;
}

// ---- what is in the log's folder ----

struct listing {
    int64_t json_first; // -1: none
    int64_t checkpoint_below; // the newest one sought below this
    int64_t checkpoint; // found, -1: none
};

// The version that a name begins with, behind it `ending`; else -1.
static int64_t version_of(const char *name, const char *ending)
{
    int64_t version = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || version > INT64_MAX / 10 - 9) return -1;
        version = 10 * version + (name[i] - '0');
    }
    return strcmp(name + 20, ending) == 0 ? version : -1;
}

static void see_name(void *to, const char *name)
{
    struct listing *listing = to;
    const int64_t json = version_of(name, ".json");
    const int64_t checkpoint = version_of(name, ".checkpoint.parquet");
    if (json >= 0 && (listing->json_first < 0 || json < listing->json_first))
        listing->json_first = json;
    if (checkpoint > listing->checkpoint && checkpoint < listing->checkpoint_below)
        listing->checkpoint = checkpoint;
}

static int look(struct delta *delta, int64_t below, struct listing *listing)
{
    char directory[DELTA_PATH_BYTES_MAX];
    *listing = (struct listing){-1, below, -1};
    delta_log_name(delta, "", directory);
    const int error = delta->disk.list(delta->disk.context, directory, see_name, listing);
    return error == -ENOENT ? 0 : error;
}

// ---- beginning with a checkpoint ----

static int begin_at(struct delta *delta, int64_t version)
{
    char *lines;
    size_t size;
    int error = delta_checkpoint_load(delta, version, &lines, &size);
    if (error != 0) return error;
    error = delta_take_lines(delta, lines, size, "a checkpoint");
    free(lines);
    delta->version = delta->checkpoint_version = version;
    return error;
}

// What _last_checkpoint tells, -1: nothing.
static int64_t last_checkpoint(struct delta *delta)
{
    char path[DELTA_PATH_BYTES_MAX], key[DELTA_KEY_BYTES];
    char *bytes;
    size_t size;
    int64_t version = -1;
    delta_log_name(delta, "_last_checkpoint", path);
    if (delta->disk.read(delta->disk.context, path, &bytes, &size) != 0) return -1;
    struct delta_json json = delta_json_of(bytes, size);
    delta_json_open(&json, '{');
    while (delta_json_key(&json, key, sizeof key)) {
        if (strcmp(key, "version") == 0)
            version = delta_json_integer(&json);
        else
            delta_json_skip(&json);
    }
    free(bytes);
    return json.bad || version < 0 ? -1 : version;
}

// The newest checkpoint of ours; without one the log is read from its first commit.
static int begin(struct delta *delta)
{
    struct listing listing;
    const int64_t told = last_checkpoint(delta);
    delta->version_told = told;
    if (told >= 0) {
        const int error = begin_at(delta, told);
        if (error != -ENOENT) return error;
    }
    int error = look(delta, INT64_MAX, &listing);
    while (error == 0 && listing.checkpoint >= 0) {
        error = begin_at(delta, listing.checkpoint);
        if (error != -ENOENT) return error;
        error = look(delta, listing.checkpoint, &listing);
    }
    if (error != 0) return delta_fail(delta, error, "%s", strerror(-error));
    if (listing.json_first <= 0) return 0; // from the beginning, or there is nothing
    return delta_fail(delta, -EBADMSG,
                      "the log begins at version %" PRId64 " with a checkpoint that ringtape did "
                      "not write; export into another folder",
                      listing.json_first);
}

// ---- commits ----

int delta_catch_up(struct delta *delta)
{
    char path[DELTA_PATH_BYTES_MAX], name[64];
    for (;;) {
        char *bytes;
        size_t size;
        delta_log_path(delta, delta->version + 1, ".json", path);
        int error = delta->disk.read(delta->disk.context, path, &bytes, &size);
        if (error == -ENOENT) return 0;
        if (error != 0)
            return delta_fail(delta, error, "%s cannot be read: %s", path, strerror(-error));
        (void)snprintf(name, sizeof name, "commit %" PRId64, delta->version + 1);
        error = delta_take_lines(delta, bytes, size, name);
        free(bytes);
        if (error != 0) return error;
        delta->version++;
    }
}

// A gap in the log must not look like its end.
static int check_end(struct delta *delta)
{
    if (delta->version >= delta->version_told) return 0;
    return delta_fail(delta, -EBADMSG,
                      "commit %" PRId64 " is missing, though there are later ones; restore it, or "
                      "export into another folder",
                      delta->version + 1);
}

int delta_open(struct delta **out, const struct delta_disk *disk, const char *path,
               struct delta_message *message)
{
    struct delta *delta = calloc(1, sizeof *delta);
    if (delta == NULL) return -ENOMEM;
    const size_t size = strlen(path);
    ensure(size > 0);
    delta->disk = *disk;
    delta->message = message;
    delta->version = delta->checkpoint_version = -1;
    const bool fits = size < DELTA_PATH_BYTES_MAX - 512;
    if (fits) memcpy(delta->path, path, size + 1);
    int error = fits ? begin(delta) : -ENAMETOOLONG;
    if (error == 0) error = delta_catch_up(delta);
    if (error == 0) error = check_end(delta);
    if (error == 0 && delta->version >= 0) error = delta_check(delta);
    delta->message = NULL;
    if (error != 0)
        delta_close(delta);
    else
        *out = delta;
    return error;
}

void delta_close(struct delta *delta)
{
    if (delta == NULL) return;
    delta_forget(delta);
    free(delta);
}

// ---- answers ----

int64_t delta_version(const struct delta *delta)
{
    return delta->version;
}

const char *delta_configuration(const struct delta *delta, const char *key)
{
    for (uint32_t i = 0; i < delta->configuration_count; i++)
        if (strcmp(delta->configuration[i][0], key) == 0) return delta->configuration[i][1];
    return NULL;
}

bool delta_configuration_at(const struct delta *delta, uint32_t at, const char *pair[2])
{
    if (at >= delta->configuration_count) return false;
    memcpy(pair, delta->configuration[at], sizeof delta->configuration[at]);
    return true;
}

const char *delta_schema(const struct delta *delta)
{
    return delta->schema;
}

const char *delta_id(const struct delta *delta)
{
    return delta->id;
}

const char *delta_partition_columns(const struct delta *delta)
{
    return delta->partition_columns;
}

int64_t delta_txn(const struct delta *delta, const char *app)
{
    for (uint32_t i = 0; i < delta->txn_count; i++)
        if (strcmp(delta->txns[i].app, app) == 0) return delta->txns[i].version;
    return -1;
}

const struct delta_file *delta_files(const struct delta *delta, uint32_t *count)
{
    *count = delta->file_count;
    return delta->files;
}

const struct delta_file *delta_file_at(struct delta *delta, const char *path)
{
    return delta_find_file(delta, path);
}
