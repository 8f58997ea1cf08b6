// SPDX-License-Identifier: GPL-3.0-or-later
//
// statistics_file: see statistics_file.h. Contract: one operation in flight; the slot that is not
// written is whole.
//
//     NONE → MKDIR → OPENING → ALLOCATING → FIRST → RENAMING → READY ⇄ WRITING
//     any failure → CLOSING → NONE
#include "keep/statistics_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

static void file_stepped(struct io *io, struct io_op *op);

int statistics_file_open(struct statistics_file *file, struct io *io, const char *store,
                         uint32_t shards, const struct log *log)
{
    memset(file, 0, sizeof *file);
    file->io = io;
    file->log = log;
    file->shards = shards;
    file->handle = -1;
    file->page = calloc(1, statistics_page_bytes(shards));
    if (file->page == NULL) return -ENOMEM;
    const int size = snprintf(file->directory, sizeof file->directory, "%s/run", store);
    ensure(size > 0 && (size_t)size < sizeof file->directory - 32);
    (void)snprintf(file->path, sizeof file->path, "%s/run/statistics", store);
    (void)snprintf(file->path_new, sizeof file->path_new, "%s/run/statistics.new", store);
    return 0;
}

void statistics_file_close(struct statistics_file *file)
{
    free(file->page);
    file->page = NULL;
}

static void file_put(struct statistics_file *file)
{
    const uint32_t bytes = (uint32_t)file->page->head.bytes;
    const int64_t offset = file->slot * (int64_t)bytes;
    file->slot = 1 - file->slot;
    io_write(file->io, &file->op, file->handle, file->page, bytes, offset, 0, file_stepped);
}

static void file_start(struct statistics_file *file, enum statistics_file_state state)
{
    file->state = state;
    switch (state) {
    case STATISTICS_FILE_MKDIR:
        io_mkdir(file->io, &file->op, file->directory, file_stepped);
        return;
    case STATISTICS_FILE_OPENING:
        io_open(file->io, &file->op, file->path_new,
                IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE, file_stepped);
        return;
    case STATISTICS_FILE_ALLOCATING:
        io_fallocate(file->io, &file->op, file->handle, 2 * (int64_t)file->page->head.bytes,
                     file_stepped);
        return;
    case STATISTICS_FILE_FIRST:
    case STATISTICS_FILE_WRITING: file_put(file); return;
    case STATISTICS_FILE_RENAMING:
        io_rename(file->io, &file->op, file->path_new, file->path, file_stepped);
        return;
    case STATISTICS_FILE_CLOSING:
        io_close(file->io, &file->op, file->handle, file_stepped);
        file->handle = -1;
        return;
    case STATISTICS_FILE_NONE:
    case STATISTICS_FILE_READY: return;
    }
}

static void file_failed(struct statistics_file *file, int error)
{
    file->error = error;
    file->retry_ns = io_monotonic_ns(file->io) + STATISTICS_FILE_RETRY_NS;
    if (!file->told && file->log != NULL)
        log_write(file->log, LOG_STATISTICS_UNWRITTEN, io_utc_ns(file->io),
                  "file=\"%s\" cause=\"%s\"", file->path, strerror(-error));
    file->told = true;
    file_start(file, file->handle >= 0 ? STATISTICS_FILE_CLOSING : STATISTICS_FILE_NONE);
}

static void file_next(struct statistics_file *file)
{
    switch (file->state) {
    case STATISTICS_FILE_MKDIR: file_start(file, STATISTICS_FILE_OPENING); return;
    case STATISTICS_FILE_OPENING:
        file->handle = (int)file->op.result;
        file_start(file, STATISTICS_FILE_ALLOCATING);
        return;
    case STATISTICS_FILE_ALLOCATING: file_start(file, STATISTICS_FILE_FIRST); return;
    case STATISTICS_FILE_FIRST: file_start(file, STATISTICS_FILE_RENAMING); return;
    case STATISTICS_FILE_RENAMING:
    case STATISTICS_FILE_WRITING:
        file->error = 0;
        file->told = false;
        file_start(file, file->stopping ? STATISTICS_FILE_CLOSING : STATISTICS_FILE_READY);
        return;
    case STATISTICS_FILE_CLOSING: file_start(file, STATISTICS_FILE_NONE); return;
    case STATISTICS_FILE_NONE:
    case STATISTICS_FILE_READY: ensure(!"nothing was under way"); return;
    }
}

static void file_stepped(struct io *io, struct io_op *op)
{
    (void)io;
    struct statistics_file *file = io_owner(op, struct statistics_file, op);
    const bool there = file->state == STATISTICS_FILE_MKDIR && op->result == -EEXIST;
    if (op->result < 0 && !there && file->state != STATISTICS_FILE_CLOSING)
        file_failed(file, (int)op->result);
    else
        file_next(file);
}

// Somebody deleted it: what is written would be seen by nobody.
static bool file_is_gone(const struct statistics_file *file)
{
    return file->sequence % STATISTICS_FILE_LOOK == 0 && io_file_size(file->io, file->path) < 0;
}

bool statistics_file_write(struct statistics_file *file, const struct statistics_page *page)
{
    ensure(file->page != NULL);
    if (file->state == STATISTICS_FILE_READY && file_is_gone(file)) {
        file->sequence++; // looked at
        file_start(file, STATISTICS_FILE_CLOSING);
        return false;
    }
    const bool make = file->state == STATISTICS_FILE_NONE && !file->stopping &&
                      io_monotonic_ns(file->io) >= file->retry_ns;
    if (!make && file->state != STATISTICS_FILE_READY) return false;
    memcpy(file->page, page, statistics_page_bytes(file->shards));
    statistics_page_seal(file->page, file->shards, ++file->sequence);
    if (make) file->slot = 0;
    file_start(file, make ? STATISTICS_FILE_MKDIR : STATISTICS_FILE_WRITING);
    return true;
}

bool statistics_file_stop(struct statistics_file *file)
{
    file->stopping = true;
    if (file->state == STATISTICS_FILE_READY) file_start(file, STATISTICS_FILE_CLOSING);
    return file->state == STATISTICS_FILE_NONE;
}
