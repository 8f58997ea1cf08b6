// SPDX-License-Identifier: GPL-3.0-or-later
//
// Opening runs synchronously, in this order: directories (made and synced, the parent too), lock,
// identity, catalogue, tapes and what their headers tell of others. Nothing is changed before the
// lock is held but the directories.
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/keep_incoming.h"
#include "keep/keep_store_inside.h"
#include "keep/keep_sweep.h"

#define RECOVER "run `ringtape recover --store DIR --in-place`"

static void path_of(const struct keep_store *store, const char *name, char *out)
{
    int size = snprintf(out, KEEP_FILE_NAME_BYTES_MAX, "%s/%s", store->path, name);
    ensure(size > 0 && size < KEEP_FILE_NAME_BYTES_MAX);
}

static int refuse(struct io_message *message, int code, const char *path, const char *what,
                  const char *remedy)
{
    (void)snprintf(message->text, sizeof message->text, "store %s: %s (%s): %s", path, what,
                   strerror(-code), remedy);
    return code;
}

static const char *remedy_of(int code)
{
    switch (code) {
    case -EACCES:
    case -EPERM:
        return "let the user of ringtaped write there, or set another `store`";
    case -EROFS:
        return "the file system is mounted read-only; remount it or set another `store`";
    case -ENOSPC:
    case -EDQUOT:
        return "free space there or set another `store`";
    case -ENOENT:
    case -ENOTDIR:
        return "create the parent directory or set another `store`";
    default:
        return "see the kernel log for the device";
    }
}

// The directory that holds the store's own name: until it is synced, a power cut takes the store
// away.
static void parent_of(const struct keep_store *store, char *out)
{
    const char *end = store->path + strlen(store->path);
    while (end > store->path + 1 && end[-1] == '/')
        end--;
    while (end > store->path && end[-1] != '/')
        end--;
    size_t size = (size_t)(end - store->path);
    memcpy(out, size > 0 ? store->path : ".", size > 0 ? size : 1);
    out[size > 0 ? size : 1] = 0;
}

static int make_directories(struct keep_store *store, struct io *io, struct io_message *message)
{
    static const char *const names[] = {"tape", "segment", "quarantine"};
    char path[KEEP_FILE_NAME_BYTES_MAX];
    file_script_begin(&store->script);
    file_script_mkdir(&store->script, store->path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(store, names[i], path);
        file_script_mkdir(&store->script, path);
    }
    file_script_sync_directory(&store->script, store->path);
    parent_of(store, path);
    file_script_sync_directory(&store->script, path);
    int result = file_script_run_now(&store->script, io);
    if (result < 0)
        return refuse(message, result, file_script_path(&store->script), "cannot be created",
                      remedy_of(result));
    return 0;
}

static int take_lock(struct keep_store *store, struct io *io, struct io_message *message)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    path_of(store, "lock", path);
    int result = io_lock(io, path);
    if (result == -EWOULDBLOCK)
        return refuse(message, result, store->path, "in use by another ringtaped",
                      "stop that one first, or set another `store`");
    if (result < 0)
        return refuse(message, result, path, "cannot be locked", remedy_of(result));
    return 0;
}

static bool identity_parse(const char *text, uint32_t size, uint8_t identity[16])
{
    if (size != 33 || text[32] != '\n')
        return false;
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        const char *high = memchr(digits, text[2 * i], 16);
        const char *low = memchr(digits, text[2 * i + 1], 16);
        if (!high || !low)
            return false;
        identity[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}

static int identity_create(struct keep_store *store, struct io *io, const char *path,
                           struct io_message *message)
{
    char text[34];
    io_random(io, store->identity, sizeof store->identity);
    for (int i = 0; i < 16; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", store->identity[i]);
    text[32] = '\n';
    file_script_begin(&store->script);
    file_script_replace(&store->script, path, text, 33);
    file_script_sync_directory(&store->script, store->path);
    int result = file_script_run_now(&store->script, io);
    if (result < 0)
        return refuse(message, result, path, "cannot be written", remedy_of(result));
    return 0;
}

static int read_identity(struct keep_store *store, struct io *io, struct io_message *message)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char text[64];
    uint32_t size = 0;
    path_of(store, "identity", path);
    // It has no hash, so it is believed when it is read twice.
    int result = file_script_read_now(&store->script, io, path, text, sizeof text, &size, NULL,
                                      NULL);
    if (result == -ENOENT)
        return identity_create(store, io, path, message);
    if (result < 0)
        return refuse(message, result, path, "cannot be read", remedy_of(result));
    if (!identity_parse(text, size, store->identity))
        return refuse(message, -EINVAL, path, "is not 32 hexadecimal digits",
                      RECOVER);
    return 0;
}

static void found_tape(void *context, const char *name)
{
    struct keep_store *store = context;
    uint32_t tape = keep_store_tape_number(name);
    if (tape == 0)
        return;
    if (store->waiting == KEEP_TAPES_WAITING_MAX) {
        store->list_failure = -EOVERFLOW;
        return;
    }
    keep_store_push(store, tape);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Sealed tapes whose deletion was done, but not told to the catalogue any more. A mark that a power
// cut brought back goes first: alone it would tell of a lost tape.
static int forget_deleted(struct keep_store *store, struct io *io)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    struct catalogue *catalogue = &store->catalogue;
    for (uint32_t i = catalogue->tape_count; i-- > 0;) {
        uint32_t tape = catalogue->tapes[i];
        if (bsearch(&tape, store->ring, store->waiting, sizeof *store->ring, ascending))
            continue;
        keep_store_tape_path(store, tape, "mark", path);
        file_script_begin(&store->script);
        file_script_unlink(&store->script, path);
        int result = file_script_run_now(&store->script, io);
        if (store->script.running)
            return result;
        if (result == 0)
            ensure(catalogue_forget_tape(catalogue, tape));
    }
    return 0;
}

static bool is_waiting(const struct keep_store *store, uint32_t tape)
{
    ensure(store->head == 0);
    return bsearch(&tape, store->ring, store->waiting, sizeof *store->ring, ascending) != NULL;
}

static int check_header(void *context, const void *bytes, uint32_t size)
{
    const enum tape_error error = tape_header_decode(bytes, size, context);
    return error == TAPE_NO_MAGIC || error == TAPE_BAD_HASH ? -EBADMSG : error != TAPE_GOOD;
}

// What the tapes' headers say of the ends of others. A header that cannot be read says nothing.
static int read_ends(struct keep_store *store, struct io *io, struct io_message *message)
{
    uint8_t sector[LAYOUT_SECTOR];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    for (uint32_t t = 0; t < store->waiting; t++) {
        struct layout_tape header;
        const struct layout_tape_end *ends;
        uint32_t size = 0;
        keep_store_tape_path(store, store->ring[t], "tape", path);
        int result = file_script_read_now(&store->script, io, path, sector, sizeof sector, &size,
                                          check_header, &header);
        if (store->script.running)
            return refuse(message, result, path, "cannot be read", remedy_of(result));
        if (result != 0)
            continue;
        for (uint32_t count = tape_header_ends(&header, &ends); count-- > 0;) {
            if (is_waiting(store, ends[count].number) &&
                !catalogue_tape_sealed(&store->catalogue, ends[count].number) &&
                !keep_store_put_end(store, &ends[count]))
                return refuse(message, -EOVERFLOW, path, "names more tapes that failed than fit",
                              "run `ringtape recover`");
        }
    }
    return 0;
}

// Sealed tapes do not wait for the sealer: it finds them in the catalogue when they may go.
static void leave_sealed(struct keep_store *store)
{
    uint32_t kept = 0;
    ensure(store->head == 0);
    for (uint32_t t = 0; t < store->waiting; t++) {
        if (!catalogue_tape_sealed(&store->catalogue, store->ring[t]))
            store->ring[kept++] = store->ring[t];
    }
    store->waiting = kept;
}

static int find_tapes(struct keep_store *store, struct io *io, struct io_message *message)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    path_of(store, "tape", path);
    int result = io_list(io, path, found_tape, store);
    if (result == 0)
        result = store->list_failure;
    if (result < 0)
        return refuse(message, result, path, "cannot be listed", remedy_of(result));
    qsort(store->ring, store->waiting, sizeof *store->ring, ascending);
    if (store->waiting > 0 && store->ring[store->waiting - 1] >= store->tape_next)
        store->tape_next = store->ring[store->waiting - 1] + 1;
    result = forget_deleted(store, io);
    if (result < 0)
        return refuse(message, result, path, "cannot be cleared", remedy_of(result));
    result = read_ends(store, io, message);
    leave_sealed(store);
    return result;
}

// ---- the catalogue ----

static void found_entry(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
}

// A store without catalogue is new, unless it has segments.
static int catalogue_create(struct keep_store *store, struct io *io, const char *path,
                            struct io_message *message)
{
    char segments[KEEP_FILE_NAME_BYTES_MAX];
    bool found = false;
    path_of(store, "segment", segments);
    // What cannot be listed may be full: a new catalogue would give all of it to the sweep.
    int result = io_list(io, segments, found_entry, &found);
    if (result < 0)
        return refuse(message, result, segments, "cannot be listed", remedy_of(result));
    if (found)
        return refuse(message, -EBADMSG, path, "is missing, but there are segments",
                      RECOVER);
    char text[8192];
    ensure(catalogue_bytes_max(&store->catalogue) <= sizeof text);
    size_t size = catalogue_write(&store->catalogue, text, sizeof text);
    file_script_begin(&store->script);
    file_script_replace(&store->script, path, text, (uint32_t)size);
    file_script_sync_directory(&store->script, store->path);
    result = file_script_run_now(&store->script, io);
    if (result < 0)
        return refuse(message, result, path, "cannot be written", remedy_of(result));
    return 0;
}

static int check_catalogue(void *context, const void *bytes, uint32_t size)
{
    return catalogue_parse(context, bytes, size);
}

static int catalogue_load(struct keep_store *store, struct io *io, const char *path, uint32_t size,
                          struct io_message *message)
{
    char *text = malloc(size + 1u);
    if (!text)
        return refuse(message, -ENOMEM, path, "cannot be read", "free memory");
    uint32_t got = 0;
    int result = file_script_read_now(&store->script, io, path, text, size + 1u, &got,
                                      check_catalogue, &store->catalogue);
    free(text);
    if (result == -EPROTONOSUPPORT)
        return refuse(message, result, path, "is of a newer version", "use a newer ringtaped");
    if (result == -EBADMSG)
        return refuse(message, result, path, "is damaged", RECOVER);
    if (result < 0)
        return refuse(message, result, path, "cannot be read", remedy_of(result));
    if (memcmp(store->catalogue.store, store->identity, sizeof store->identity) != 0)
        return refuse(message, -EINVAL, path, "belongs to another store",
                      "restore the files of one store");
    return 0;
}

static int read_catalogue(struct keep_store *store, struct io *io, struct io_message *message)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    path_of(store, "catalogue", path);
    int result = catalogue_init(&store->catalogue, store->identity);
    if (result < 0)
        return refuse(message, result, path, "cannot be read", "free memory");
    int64_t size = io_file_size(io, path);
    if (size == -ENOENT)
        return catalogue_create(store, io, path, message);
    if (size < 0)
        return refuse(message, (int)size, path, "cannot be read", remedy_of((int)size));
    if (size > INT32_MAX)
        return refuse(message, -EBADMSG, path, "is damaged", RECOVER);
    result = catalogue_load(store, io, path, (uint32_t)size, message);
    if (result == 0 && store->catalogue.next_tape > store->tape_next)
        store->tape_next = store->catalogue.next_tape;
    return result;
}

static int open_parts(struct keep_store *store, struct io *io, struct io_message *message)
{
    int result = make_directories(store, io, message);
    if (result == 0)
        result = take_lock(store, io, message);
    if (result == 0)
        result = read_identity(store, io, message);
    if (result == 0)
        result = read_catalogue(store, io, message);
    if (result == 0)
        result = find_tapes(store, io, message);
    if (result < 0)
        return result;
    // Leftovers only cost space: what cannot be removed now waits for another start.
    uint32_t spared_count;
    uint32_t *spared = keep_incoming_load_numbers(io, store->path, &store->script,
                                                  &spared_count);
    if (!store->script.running && spared_count != UINT32_MAX)
        result = keep_sweep(store->path, &store->catalogue, spared, spared_count, &store->script,
                            io);
    free(spared);
    if (store->script.running)
        return refuse(message, result, file_script_path(&store->script), "cannot be removed",
                      remedy_of(result));
    return 0;
}

int keep_store_open(struct keep_store **out, struct io *io, const char *path,
                    struct io_message *message)
{
    size_t size = strlen(path);
    *out = NULL;
    if (size == 0 || size > KEEP_PATH_BYTES_MAX)
        return refuse(message, -ENAMETOOLONG, path, "path is empty or too long",
                      "set a `store` of 1 to 900 bytes");
    struct keep_store *store = calloc(1, sizeof *store);
    if (!store)
        return refuse(message, -ENOMEM, path, "cannot be opened", "free memory");
    memcpy(store->path, path, size + 1);
    store->tape_next = 1;
    ensure(pthread_mutex_init(&store->mutex, NULL) == 0);
    int result = open_parts(store, io, message);
    *out = store;
    if (result < 0 && !store->script.running) {
        keep_store_close(store);
        *out = NULL;
    }
    return result;
}

void keep_store_close(struct keep_store *store)
{
    if (store->catalogue.segments)
        catalogue_free(&store->catalogue);
    ensure(pthread_mutex_destroy(&store->mutex) == 0);
    free(store);
}
