// SPDX-License-Identifier: GPL-3.0-or-later
//
// file_script_advance() starts the operation of the current step; its completion calls
// script_step_done(), which moves on. A step that needs several operations (sync of a directory:
// open, fsync, close; long writes) keeps its place in `part`. After a failure only the close
// of an open file is still run, then `done` gets the first error.
#include "keep/file_script.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "format/ensure.h"
#include "keep/read_around.h"

static void script_advance(struct file_script *script);

void file_script_begin(struct file_script *script)
{
    ensure(!script->running);
    script->count = 0;
    script->position = 0;
    script->path_bytes = 0;
    script->handle = -1;
    script->offset = 0;
    script->failure = 0;
    script->part = 0;
    script->afresh = false;
    script->op.kind = IO_NONE;
}

bool file_script_has_room(const struct file_script *script, uint32_t steps)
{
    return script->count + steps <= FILE_SCRIPT_STEPS_MAX &&
           script->path_bytes + steps * 2 * (IO_PATH_BYTES_MAX + 1) <= FILE_SCRIPT_PATH_BYTES;
}

static uint32_t keep_path(struct file_script *script, const char *path, const char *ending)
{
    size_t size = strlen(path);
    size_t ending_size = strlen(ending);
    ensure(size + ending_size <= IO_PATH_BYTES_MAX);
    ensure(script->path_bytes + size + ending_size + 1 <= FILE_SCRIPT_PATH_BYTES);
    uint32_t at = script->path_bytes;
    memcpy(script->paths + at, path, size);
    memcpy(script->paths + at + size, ending, ending_size + 1);
    script->path_bytes += (uint32_t)(size + ending_size + 1);
    return at;
}

static struct file_step *add_step(struct file_script *script, enum file_step_kind kind,
                                  uint32_t path)
{
    ensure(!script->running);
    ensure(script->count < FILE_SCRIPT_STEPS_MAX);
    struct file_step *step = &script->steps[script->count++];
    *step = (struct file_step){.kind = kind, .path = path};
    return step;
}

void file_script_mkdir(struct file_script *script, const char *path)
{
    add_step(script, FILE_STEP_MKDIR, keep_path(script, path, ""));
}

void file_script_unlink(struct file_script *script, const char *path)
{
    add_step(script, FILE_STEP_UNLINK, keep_path(script, path, ""));
}

void file_script_rename(struct file_script *script, const char *path, const char *path_to)
{
    uint32_t from = keep_path(script, path, "");
    add_step(script, FILE_STEP_RENAME, from)->path_to = keep_path(script, path_to, "");
}

void file_script_sync_directory(struct file_script *script, const char *path)
{
    add_step(script, FILE_STEP_SYNC_DIRECTORY, keep_path(script, path, ""));
}

static uint32_t add_write(struct file_script *script, const char *path, const char *ending,
                          const void *bytes, uint32_t size)
{
    uint32_t at = keep_path(script, path, ending);
    add_step(script, FILE_STEP_UNLINK, at);
    add_step(script, FILE_STEP_CREATE, at);
    struct file_step *step = add_step(script, FILE_STEP_WRITE, at);
    step->bytes = (void *)(uintptr_t)bytes;
    step->size = size;
    add_step(script, FILE_STEP_SYNC, at);
    add_step(script, FILE_STEP_CLOSE, at);
    return at;
}

void file_script_write(struct file_script *script, const char *path, const void *bytes,
                       uint32_t size)
{
    (void)add_write(script, path, "", bytes, size);
}

void file_script_replace(struct file_script *script, const char *path, const void *bytes,
                         uint32_t size)
{
    uint32_t at = add_write(script, path, ".new", bytes, size);
    add_step(script, FILE_STEP_RENAME, at)->path_to = keep_path(script, path, "");
}

void file_script_read(struct file_script *script, const char *path, void *bytes, uint32_t size,
                      uint32_t *read)
{
    uint32_t at = keep_path(script, path, "");
    add_step(script, FILE_STEP_OPEN, at);
    struct file_step *step = add_step(script, FILE_STEP_READ, at);
    step->bytes = bytes;
    step->size = size;
    step->read = read;
    add_step(script, FILE_STEP_CLOSE, at);
}

const char *file_script_path(const struct file_script *script)
{
    if (script->count == 0)
        return "";
    uint32_t at = script->position < script->count ? script->position : script->count - 1;
    return script->paths + script->steps[at].path;
}

static void script_finish(struct file_script *script)
{
    ensure(script->running);
    ensure(script->handle < 0);
    script->running = false;
    script->done(script->context, script->failure, file_script_path(script));
}

static void script_next(struct file_script *script)
{
    script->part = 0;
    script->position++;
    script_advance(script);
}

static void script_abandoned(struct io *io, struct io_op *op)
{
    (void)io;
    struct file_script *script = io_owner(op, struct file_script, op);
    script->handle = -1;
    script_finish(script);
}

static void script_fail(struct file_script *script, int failure)
{
    ensure(failure < 0);
    script->failure = failure;
    if (script->handle >= 0)
        io_close(script->io, &script->op, script->handle, script_abandoned);
    else
        script_finish(script);
}

static int64_t forgiven(enum file_step_kind kind, int64_t result)
{
    bool fine = (kind == FILE_STEP_MKDIR && result == -EEXIST) ||
                (kind == FILE_STEP_UNLINK && result == -ENOENT);
    return fine ? 0 : result;
}

// A write or read went on by `result` bytes; true when the step is complete.
static bool transfer_done(struct file_script *script, struct file_step *step, int64_t result)
{
    script->part += (uint32_t)result;
    if (step->kind == FILE_STEP_READ) {
        *step->read = script->part;
        return result == 0 || script->part == step->size;
    }
    script->offset += result;
    return script->part == step->size;
}

// True when the directory's open, fsync and close are through.
static bool directory_done(struct file_script *script, int64_t result)
{
    if (script->part == 0)
        script->handle = (int)result;
    if (script->part == 2)
        script->handle = -1;
    return script->part++ == 2;
}

static bool step_complete(struct file_script *script, struct file_step *step, int64_t result)
{
    switch (step->kind) {
    case FILE_STEP_CREATE:
    case FILE_STEP_OPEN:
        script->handle = (int)result;
        script->offset = 0;
        return true;
    case FILE_STEP_WRITE:
    case FILE_STEP_READ:
        return transfer_done(script, step, result);
    case FILE_STEP_CLOSE:
        script->handle = -1;
        return true;
    case FILE_STEP_SYNC_DIRECTORY:
        return directory_done(script, result);
    case FILE_STEP_MKDIR:
    case FILE_STEP_SYNC:
    case FILE_STEP_RENAME:
    case FILE_STEP_UNLINK:
        return true;
    }
    ensure(!"known step");
    return false;
}

static void script_step_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct file_script *script = io_owner(op, struct file_script, op);
    struct file_step *step = &script->steps[script->position];
    int64_t result = forgiven(step->kind, op->result);
    if (result < 0) {
        if (step->kind == FILE_STEP_CLOSE)
            script->handle = -1; // the handle is gone whatever close said
        script_fail(script, (int)result);
        return;
    }
    if (step_complete(script, step, result))
        script_next(script);
    else
        script_advance(script);
}

static uint32_t part_bytes(const struct file_script *script, const struct file_step *step)
{
    uint32_t left = step->size - script->part;
    return left < FILE_SCRIPT_WRITE_BYTES_MAX ? left : FILE_SCRIPT_WRITE_BYTES_MAX;
}

static void start_directory(struct file_script *script, const char *path)
{
    if (script->part == 0)
        io_open(script->io, &script->op, path, IO_OPEN_READ | IO_OPEN_DIRECTORY,
                script_step_done);
    else if (script->part == 1)
        io_fsync(script->io, &script->op, script->handle, false, script_step_done);
    else
        io_close(script->io, &script->op, script->handle, script_step_done);
}

static void start_transfer(struct file_script *script, struct file_step *step)
{
    uint8_t *bytes = (uint8_t *)step->bytes + script->part;
    uint32_t size = part_bytes(script, step);
    if (step->kind == FILE_STEP_READ && script->afresh && script->part == 0)
        io_read_afresh(script->io, script->handle);
    if (step->kind == FILE_STEP_READ)
        io_read(script->io, &script->op, script->handle, bytes, size, script->part,
                script_step_done);
    else
        io_write(script->io, &script->op, script->handle, bytes, size, script->offset, 0,
                 script_step_done);
}

static void start_step(struct file_script *script, struct file_step *step)
{
    struct io *io = script->io;
    struct io_op *op = &script->op;
    const char *path = script->paths + step->path;
    switch (step->kind) {
    case FILE_STEP_MKDIR:
        io_mkdir(io, op, path, script_step_done);
        return;
    case FILE_STEP_CREATE:
        io_open(io, op, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE,
                script_step_done);
        return;
    case FILE_STEP_OPEN:
        io_open(io, op, path, IO_OPEN_READ, script_step_done);
        return;
    case FILE_STEP_WRITE:
    case FILE_STEP_READ:
        start_transfer(script, step);
        return;
    case FILE_STEP_SYNC:
        io_fsync(io, op, script->handle, false, script_step_done);
        return;
    case FILE_STEP_CLOSE:
        io_close(io, op, script->handle, script_step_done);
        return;
    case FILE_STEP_RENAME:
        io_rename(io, op, path, script->paths + step->path_to, script_step_done);
        return;
    case FILE_STEP_UNLINK:
        io_unlink(io, op, path, script_step_done);
        return;
    case FILE_STEP_SYNC_DIRECTORY:
        start_directory(script, path);
        return;
    }
    ensure(!"known step");
}

static void script_advance(struct file_script *script)
{
    // A write of nothing (an empty file) has no operation.
    while (script->position < script->count &&
           script->steps[script->position].kind == FILE_STEP_WRITE &&
           script->steps[script->position].size == 0)
        script->position++;
    if (script->position == script->count) {
        script_finish(script);
        return;
    }
    start_step(script, &script->steps[script->position]);
}

void file_script_run(struct file_script *script, struct io *io, file_script_done *done,
                     void *context)
{
    ensure(!script->running);
    ensure(script->count > 0);
    script->io = io;
    script->done = done;
    script->context = context;
    script->running = true;
    script_advance(script);
}

static void run_now_done(void *context, int result, const char *path)
{
    (void)path;
    *(int *)context = result;
}

int file_script_run_now(struct file_script *script, struct io *io)
{
    script->now = 1;
    file_script_run(script, io, run_now_done, &script->now);
    for (int i = 0; i < FILE_SCRIPT_NOW_SECONDS && script->now == 1; i++) {
        int64_t limit_ns = io_monotonic_ns(io) + LIMIT_SECOND_NS;
        while (script->now == 1 && io_monotonic_ns(io) < limit_ns)
            io_run(io, LIMIT_SECOND_NS);
    }
    return script->now == 1 ? -ETIMEDOUT : script->now;
}

static int read_once(struct file_script *script, struct io *io, const char *path, void *bytes,
                     uint32_t room, uint32_t *size, bool afresh)
{
    *size = 0;
    file_script_begin(script);
    file_script_read(script, path, bytes, room, size);
    script->afresh = afresh;
    return file_script_run_now(script, io);
}

int file_script_read_now(struct file_script *script, struct io *io, const char *path, void *bytes,
                         uint32_t room, uint32_t *size, file_script_check *check, void *context)
{
    struct read_votes votes = {0};
    int result = -EBADMSG;
    for (int i = 0; i < SOURCE_TRIES && result == -EBADMSG; i++) {
        result = read_once(script, io, path, bytes, room, size, i > 0);
        if (result == 0 && check != NULL)
            result = check(context, bytes, *size);
        else if (result == 0)
            result = read_vote(&votes, bytes, *size) == 1 ? 0 : -EBADMSG;
    }
    return result;
}
