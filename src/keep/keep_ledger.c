// SPDX-License-Identifier: GPL-3.0-or-later
//
// keep_ledger: see keep_ledger.h.
#include "keep/keep_ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/ensure.h"
#include "keep/file_script.h"

struct keep_ledger {
    struct io *io;
    keep_ledger_done *done;
    void *context;
    struct ledger ledger;
    char *text;
    size_t size; // taken; 0: nothing
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    struct file_script script;
};

static void ledger_path(const struct keep_store *store, int shard, char *directory, char *path)
{
    char name[32] = "base";
    if (shard != KEEP_LEDGER_BASE) (void)snprintf(name, sizeof name, "shard-%02d", shard);
    int size = snprintf(directory, KEEP_FILE_NAME_BYTES_MAX, "%s/ledger", keep_store_path(store));
    ensure(size > 0 && size < KEEP_FILE_NAME_BYTES_MAX - 40);
    memcpy(path, directory, (size_t)size);
    (void)snprintf(path + size, (size_t)(KEEP_FILE_NAME_BYTES_MAX - size), "/%s", name);
}

// Address space for the largest text.
static char *text_reserve(void)
{
    void *text = mmap(NULL, LEDGER_FILE_BYTES_MAX, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return text == MAP_FAILED ? NULL : text;
}

int keep_ledger_open(struct keep_ledger **out, struct io *io, const struct keep_store *store,
                     int shard)
{
    struct keep_ledger *writer = calloc(1, sizeof *writer);
    if (writer == NULL) return -ENOMEM;
    writer->io = io;
    writer->text = text_reserve();
    if (writer->text == NULL || ledger_init(&writer->ledger) != 0) {
        keep_ledger_close(writer);
        return -ENOMEM;
    }
    ledger_path(store, shard, writer->directory, writer->path);
    *out = writer;
    return 0;
}

void keep_ledger_close(struct keep_ledger *writer)
{
    if (writer->text != NULL) (void)munmap(writer->text, LEDGER_FILE_BYTES_MAX);
    ledger_free(&writer->ledger);
    free(writer);
}

struct ledger *keep_ledger_content(struct keep_ledger *writer)
{
    return &writer->ledger;
}

void keep_ledger_take(struct keep_ledger *writer)
{
    ensure(!writer->script.running);
    writer->size = ledger_write(&writer->ledger, writer->text, LEDGER_FILE_BYTES_MAX);
}

static void ledger_written(void *context, int result, const char *path)
{
    struct keep_ledger *writer = context;
    (void)path;
    writer->done(writer->context, result);
}

static void script_replace(struct keep_ledger *writer)
{
    file_script_begin(&writer->script);
    file_script_mkdir(&writer->script, writer->directory);
    file_script_replace(&writer->script, writer->path, writer->text, (uint32_t)writer->size);
    file_script_sync_directory(&writer->script, writer->directory);
}

void keep_ledger_write(struct keep_ledger *writer, keep_ledger_done *done, void *context)
{
    ensure(writer->size > 0 && writer->size <= LEDGER_FILE_BYTES_MAX);
    writer->done = done;
    writer->context = context;
    script_replace(writer);
    file_script_run(&writer->script, writer->io, ledger_written, writer);
}

// ---- start-up ----

static int check_ledger(void *context, const void *bytes, uint32_t size)
{
    return ledger_parse(context, bytes, size);
}

static int read_into(struct keep_ledger *writer, struct ledger *ledger)
{
    int64_t size = io_file_size(writer->io, writer->path);
    uint32_t read = 0;
    if (size < 0) return (int)size;
    if (size > LEDGER_FILE_BYTES_MAX) return -EBADMSG;
    return file_script_read_now(&writer->script, writer->io, writer->path, writer->text,
                                (uint32_t)size, &read, check_ledger, ledger);
}

int keep_ledger_read(const struct keep_store *store, struct io *io, int shard,
                     struct ledger *ledger)
{
    struct keep_ledger *writer;
    int result = keep_ledger_open(&writer, io, store, shard);
    if (result != 0) return result;
    result = read_into(writer, ledger);
    if (result != -ETIMEDOUT) keep_ledger_close(writer);
    return result;
}

int keep_ledger_write_now(const struct keep_store *store, struct io *io, int shard,
                          const struct ledger *ledger)
{
    struct keep_ledger *writer;
    int result = keep_ledger_open(&writer, io, store, shard);
    if (result != 0) return result;
    writer->size = ledger_write(ledger, writer->text, LEDGER_FILE_BYTES_MAX);
    if (writer->size == 0) {
        keep_ledger_close(writer);
        return -EFBIG;
    }
    script_replace(writer);
    file_script_sync_directory(&writer->script, keep_store_path(store)); // its new folder
    result = file_script_run_now(&writer->script, io);
    if (result != -ETIMEDOUT) keep_ledger_close(writer);
    return result;
}
