// SPDX-License-Identifier: Apache-2.0
//
// Opening a store, and the one rule that lets readers work beside a daemon without locks: a list of
// files is consistent when the catalogue's generation was the same before and after it was taken.
#include "format/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/store_inside.h"

// ---- files ----

int store_complain(struct store_message *message, int error, const struct store *store,
                   const char *relative, const char *what)
{
    ensure(error < 0);
    if (message)
        (void)snprintf(message->text, sizeof message->text, "%.900s/%.200s: %s", store->path,
                       relative, what ? what : strerror(-error));
    return error;
}

static int full_path(const struct store *store, const char *relative, char *out, size_t room)
{
    int size = snprintf(out, room, "%s/%s", store->path, relative);
    return size > 0 && (size_t)size < room ? 0 : -ENAMETOOLONG;
}

int store_file_measure(struct store_file *file)
{
    struct stat status;
    ensure(file->descriptor >= 0 && !file->map);
    if (fstat(file->descriptor, &status) < 0)
        return -errno;
    file->size = (uint64_t)status.st_size;
    return 0;
}

int store_file_open(struct store_file *file, const struct store *store, const char *relative)
{
    char path[STORE_PATH_BYTES_MAX + CATALOGUE_PATH_BYTES_MAX];
    *file = (struct store_file){.descriptor = -1};
    ensure(strlen(relative) < sizeof file->path);
    memcpy(file->path, relative, strlen(relative) + 1);
    if (full_path(store, relative, path, sizeof path) < 0)
        return -ENAMETOOLONG;
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (file->descriptor < 0)
        return -errno;
    int error = store_file_measure(file);
    if (error < 0)
        store_file_close(file);
    return error;
}

int store_file_map(struct store_file *file)
{
    ensure(file->descriptor >= 0);
    if (file->map || file->size == 0)
        return 0;
    void *map = mmap(NULL, file->size, PROT_READ, MAP_SHARED, file->descriptor, 0);
    if (map == MAP_FAILED)
        return -errno;
    file->map = map;
    return 0;
}

void store_file_release(struct store_file *file, uint64_t offset)
{
    offset -= offset % STORE_RELEASE_BYTES;
    if (!file->map || offset > file->size || offset <= file->released)
        return; // an index may say anything
    // Of a shared map of a file the pages stay in the system's cache.
    (void)madvise((uint8_t *)file->map + file->released, (size_t)(offset - file->released),
                  MADV_DONTNEED);
    file->released = offset;
}

void store_file_close(struct store_file *file)
{
    if (file->map)
        ensure(munmap(file->map, file->size) == 0);
    if (file->descriptor >= 0)
        (void)close(file->descriptor);
    file->map = NULL;
    file->descriptor = -1;
}

static int64_t read_at(void *context, uint64_t offset, void *out, size_t size)
{
    const struct store_file *file = context;
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file->descriptor, (char *)out + done, size - done,
                            (off_t)(offset + done));
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

struct source store_file_source(struct store_file *file)
{
    if (file->map || file->size == 0)
        return source_of_memory(file->map ? file->map : "", file->size);
    return (struct source){.size = file->size, .read = read_at, .context = file};
}

int64_t store_file_read(const struct store *store, const char *relative, void *out, size_t room)
{
    struct store_file file;
    int error = store_file_open(&file, store, relative);
    if (error < 0)
        return error;
    int64_t got = file.size > room ? -EFBIG : read_at(&file, 0, out, room);
    store_file_close(&file);
    return got;
}

bool store_owns_segment(const struct store *store, const struct segment *segment, uint32_t number,
                        enum channel channel)
{
    const struct layout_segment *header = segment_header(segment);
    return header->number == number && header->channel == channel &&
           memcmp(header->store, store->identity, sizeof header->store) == 0;
}

bool store_owns_tape(const struct store *store, const struct layout_tape *header, uint32_t number)
{
    return tape_header_is(header, number, store->identity);
}

// ---- identity, catalogue, tapes ----

static bool hex_value(char digit, uint8_t *value)
{
    const char *digits = "0123456789abcdef";
    const char *found = digit ? strchr(digits, digit) : NULL;
    if (!found)
        return false;
    *value = (uint8_t)(found - digits);
    return true;
}

static int read_identity(struct store *store, struct store_message *message)
{
    char text[64];
    int64_t size = store_file_read(store, "identity", text, sizeof text);
    if (size == -ENOENT || size == -ENOTDIR)
        return store_complain(message, -ENOENT, store, "identity",
                              "no store here (its `identity` is missing)");
    if (size < 0 && size != -EFBIG)
        return store_complain(message, (int)size, store, "identity", NULL);
    bool good = size == 33 && text[32] == '\n';
    for (int i = 0; good && i < LAYOUT_STORE_ID_BYTES; i++) {
        uint8_t high = 0;
        uint8_t low = 0;
        good = hex_value(text[2 * i], &high) && hex_value(text[2 * i + 1], &low);
        store->identity[i] = (uint8_t)(high << 4 | low);
    }
    if (!good)
        return store_complain(message, -EBADMSG, store, "identity",
                              "damaged: expected 32 hexadecimal digits");
    return 0;
}

static int complain_catalogue(const struct store *store, int error, struct store_message *message)
{
    const char *what = NULL;
    if (error == -EBADMSG)
        what = "damaged";
    if (error == -EPROTONOSUPPORT)
        what = "written by a newer version; use a newer ringtape";
    return store_complain(message, error, store, "catalogue", what);
}

// Of an open file, which is never changed: a new catalogue is a new file.
static int parse_catalogue(const struct store *store, struct store_file *file,
                           struct catalogue *catalogue, struct store_message *message)
{
    char *text = malloc(file->size + 1);
    int64_t size = text ? read_at(file, 0, text, file->size) : -ENOMEM;
    int error = size < 0 ? (int)size : catalogue_parse(catalogue, text, (size_t)size);
    free(text);
    if (error < 0)
        return complain_catalogue(store, error, message);
    if (memcmp(catalogue->store, store->identity, sizeof store->identity) != 0)
        return store_complain(message, -EBADMSG, store, "catalogue", "belongs to another store");
    return 0;
}

// Opens the file and reads it. On failure both are as if closed.
static int load_catalogue(const struct store *store, struct store_file *file,
                          struct catalogue *catalogue, struct store_message *message)
{
    int error = store_file_open(file, store, "catalogue");
    if (error < 0)
        return complain_catalogue(store, error, message);
    error = catalogue_init(catalogue, store->identity);
    if (error == 0)
        error = parse_catalogue(store, file, catalogue, message);
    if (error < 0) {
        catalogue_free(catalogue);
        store_file_close(file);
    }
    return error;
}

// Is the catalogue that was read last still the one that counts? An open file keeps its inode.
static bool catalogue_is_current(const struct store *store)
{
    char path[STORE_PATH_BYTES_MAX + CATALOGUE_PATH_BYTES_MAX];
    struct stat now;
    struct stat read;
    return store->catalogue_file.descriptor >= 0 &&
           full_path(store, "catalogue", path, sizeof path) == 0 && stat(path, &now) == 0 &&
           fstat(store->catalogue_file.descriptor, &read) == 0 && now.st_ino == read.st_ino &&
           now.st_dev == read.st_dev;
}

static int refresh_catalogue(struct store *store, struct store_message *message)
{
    struct catalogue catalogue;
    struct store_file file;
    if (catalogue_is_current(store))
        return 0;
    int error = load_catalogue(store, &file, &catalogue, message);
    if (error < 0)
        return error;
    catalogue_free(&store->catalogue);
    store_file_close(&store->catalogue_file);
    store->catalogue = catalogue;
    store->catalogue_file = file;
    return 0;
}

static bool tape_number(const char *name, uint32_t *number)
{
    *number = 0;
    for (int i = 0; i < 8; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        *number = *number * 10 + (uint32_t)(name[i] - '0');
    }
    return *number != 0 && strcmp(name + 8, ".tape") == 0;
}

static int add_tape(struct store *store, uint32_t number)
{
    if (store->tape_count == store->tape_room) {
        uint32_t room = store->tape_room ? 2 * store->tape_room : 64;
        uint32_t *tapes = realloc(store->tapes, room * sizeof *tapes);
        if (!tapes)
            return -ENOMEM;
        store->tapes = tapes;
        store->tape_room = room;
    }
    store->tapes[store->tape_count++] = number;
    return 0;
}

static int add_ends(struct store *store, const struct layout_tape *header)
{
    const struct layout_tape_end *ends;
    uint32_t count = tape_header_ends(header, &ends);
    if (count == 0)
        return 0;
    size_t bytes = (store->end_count + (size_t)count) * sizeof *ends;
    struct layout_tape_end *grown = realloc(store->ends, bytes);
    if (!grown)
        return -ENOMEM;
    store->ends = grown;
    memcpy(store->ends + store->end_count, ends, count * sizeof *ends);
    store->end_count += count;
    return 0;
}

// Takes over what the tape's header tells of others. *used false: it is being created, nothing was
// ever appended to it. What cannot be read is told by whoever reads its rows.
static int look_at_tape(struct store *store, uint32_t number, bool *used)
{
    uint8_t sector[LAYOUT_SECTOR];
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct layout_tape header;
    struct store_file file;
    *used = true;
    catalogue_tape_path(number, "tape", path);
    if (store_file_open(&file, store, path) < 0)
        return 0;
    int64_t size = read_at(&file, 0, sector, sizeof sector);
    int error = 0;
    if (size >= 0 && tape_header_decode(sector, (size_t)size, &header) == TAPE_GOOD) {
        error = add_ends(store, &header);
    } else if (size >= 0) {
        uint8_t mark[2 * LAYOUT_SECTOR];
        struct source source = store_file_source(&file);
        catalogue_tape_path(number, "mark", path);
        int64_t mark_size = store_file_read(store, path, mark, sizeof mark);
        const size_t marked = mark_size > 0 ? (size_t)mark_size : 0;
        *used = tape_reader_unused(&source, number, mark, marked) != 1;
    }
    store_file_close(&file);
    return error;
}

static int look_at_tapes(struct store *store)
{
    uint32_t *fresh = realloc(store->fresh, (store->tape_count + 1u) * sizeof *fresh);
    if (!fresh)
        return -ENOMEM;
    store->fresh = fresh;
    store->fresh_count = store->end_count = 0;
    for (uint32_t t = 0; t < store->tape_count; t++) {
        bool used;
        int error = look_at_tape(store, store->tapes[t], &used);
        if (error < 0)
            return error;
        if (!used)
            store->fresh[store->fresh_count++] = store->tapes[t];
    }
    return 0;
}

bool store_tape_end(const struct store *store, uint32_t tape, uint8_t *mark)
{
    for (uint32_t i = 0; i < store->end_count; i++) {
        if (store->ends[i].number != tape)
            continue;
        tape_end_mark(&store->ends[i], mark);
        return true;
    }
    return false;
}

bool store_tape_fresh(const struct store *store, uint32_t tape)
{
    bool fresh = false;
    for (uint32_t i = 0; i < store->fresh_count; i++)
        fresh = fresh || store->fresh[i] == tape;
    return fresh;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int list_tapes(struct store *store, struct store_message *message)
{
    char path[STORE_PATH_BYTES_MAX + CATALOGUE_PATH_BYTES_MAX];
    int error = full_path(store, "tape", path, sizeof path);
    DIR *directory = error == 0 ? opendir(path) : NULL;
    if (!directory)
        return store_complain(message, error ? error : -errno, store, "tape", NULL);
    store->tape_count = 0;
    for (struct dirent *entry = readdir(directory); entry && error == 0;
         entry = readdir(directory)) {
        uint32_t number;
        if (tape_number(entry->d_name, &number) &&
            !catalogue_tape_sealed(&store->catalogue, number))
            error = add_tape(store, number);
    }
    (void)closedir(directory);
    if (error < 0)
        return store_complain(message, error, store, "tape", NULL);
    if (store->tape_count > 0)
        qsort(store->tapes, store->tape_count, sizeof *store->tapes, ascending);
    error = look_at_tapes(store);
    if (error < 0)
        return store_complain(message, error, store, "tape", NULL);
    return 0;
}

int64_t store_generation_now(struct store *store)
{
    struct catalogue catalogue;
    struct store_file file;
    if (catalogue_is_current(store))
        return (int64_t)store->catalogue.generation;
    int error = load_catalogue(store, &file, &catalogue, NULL);
    if (error < 0)
        return error;
    int64_t generation = (int64_t)catalogue.generation;
    catalogue_free(&catalogue);
    store_file_close(&file);
    return generation;
}

int store_refresh(struct store *store, struct store_message *message)
{
    for (int i = 0; i < STORE_TRIES; i++) {
        int error = refresh_catalogue(store, message);
        if (error == 0)
            error = list_tapes(store, message);
        if (error < 0)
            return error;
        if (catalogue_is_current(store))
            return 0;
    }
    return store_complain(message, -EAGAIN, store, "catalogue", "changes all the time");
}

int store_open(struct store **out, const char *path, struct store_message *message)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return -ENOMEM;
    size_t size = strlen(path);
    store->catalogue_file.descriptor = -1;
    int error = size < sizeof store->path ? 0 : -ENAMETOOLONG;
    if (error == 0) {
        memcpy(store->path, path, size + 1);
        error = read_identity(store, message);
    }
    if (error == 0)
        error = store_refresh(store, message);
    if (error < 0) {
        store_close(store);
        return error;
    }
    *out = store;
    return 0;
}

void store_close(struct store *store)
{
    catalogue_free(&store->catalogue);
    store_file_close(&store->catalogue_file);
    free(store->tapes);
    free(store->ends);
    free(store->fresh);
    free(store);
}

const char *store_path(const struct store *store)
{
    return store->path;
}

const uint8_t *store_identity(const struct store *store)
{
    return store->identity;
}

const struct catalogue *store_catalogue(const struct store *store)
{
    return &store->catalogue;
}

const uint32_t *store_tapes(const struct store *store, uint32_t *count)
{
    *count = store->tape_count;
    return store->tapes;
}
