// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two ladders of steps, one operation each: prepare_start() / close_start() start the current step,
// file_step_done() judges its result and climbs. A failure while preparing turns to the ladder of
// closing with `remove` set.
#include "keep/tape_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/transition.h"
#include "format/ensure.h"
#include "format/version.h"

enum prepare_step {
    PREPARE_OPEN,
    PREPARE_CLOSE_DIRECT, // only where direct writes would need more than a sector's alignment
    PREPARE_OPEN_BUFFERED,
    PREPARE_ALLOCATE,
    PREPARE_HEADER,
    PREPARE_SYNC,
    PREPARE_MARK_OPEN,
    PREPARE_MARK_ALLOCATE,
    PREPARE_MARK_SYNC,
    PREPARE_DIRECTORY_OPEN,
    PREPARE_DIRECTORY_SYNC,
    PREPARE_DIRECTORY_CLOSE,
    PREPARE_END,
};

enum close_step {
    CLOSE_MARK,
    CLOSE_TAPE_HANDLE,
    CLOSE_MARK_HANDLE,
    CLOSE_DIRECTORY_HANDLE,
    CLOSE_UNLINK_TAPE,
    CLOSE_UNLINK_MARK,
    CLOSE_END,
};

static void prepare_start(struct tape_file *file);
static void close_start(struct tape_file *file);

static void file_enter(struct tape_file *file, enum tape_file_state state)
{
    transition(TRANSITION_TAPE_FILE, file->state, state);
    file->state = state;
}

int tape_file_open(struct tape_file *file, struct io *io, struct keep_store *store, void *owner)
{
    memset(file, 0, sizeof *file);
    file->io = io;
    file->store = store;
    file->owner = owner;
    file->sector = aligned_alloc(LAYOUT_SECTOR, 2 * LAYOUT_SECTOR);
    if (!file->sector)
        return -ENOMEM;
    file->mark_sector = file->sector + LAYOUT_SECTOR;
    file->handle = file->mark_handle = file->directory_handle = -1;
    return 0;
}

void tape_file_deinit(struct tape_file *file)
{
    free(file->sector);
    file->sector = NULL;
}

static void start_closing(struct tape_file *file, bool remove)
{
    file_enter(file, TAPE_FILE_CLOSING);
    file->remove = remove;
    // A failed tape needs its closing mark most: what lies behind the mark must not be read.
    file->step = remove ? CLOSE_TAPE_HANDLE : CLOSE_MARK;
    file->closed_unmarked = false;
    close_start(file);
}

static void finish(struct tape_file *file, enum tape_file_state state)
{
    file_enter(file, state);
    file->done(file, file->failure);
}

static void remember_handle(struct tape_file *file, int result)
{
    if (file->step == PREPARE_OPEN || file->step == PREPARE_OPEN_BUFFERED)
        file->handle = result;
    else if (file->step == PREPARE_CLOSE_DIRECT)
        file->handle = -1;
    else if (file->step == PREPARE_MARK_OPEN)
        file->mark_handle = result;
    else if (file->step == PREPARE_DIRECTORY_OPEN)
        file->directory_handle = result;
    else if (file->step == PREPARE_DIRECTORY_CLOSE)
        file->directory_handle = -1;
}

static bool is_allocation(const struct tape_file *file)
{
    return file->step == PREPARE_ALLOCATE || file->step == PREPARE_MARK_ALLOCATE;
}

static void prepare_step_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct tape_file *file = io_owner(op, struct tape_file, op);
    ensure(file->state == TAPE_FILE_PREPARING);
    // A file system without preallocation still works, with more metadata writes.
    bool forgiven = is_allocation(file) && op->result == -EOPNOTSUPP;
    if (op->result < 0 && !forgiven) {
        file->failure = (int)op->result;
        start_closing(file, true);
        return;
    }
    remember_handle(file, (int)op->result);
    file->step++;
    if (file->step == PREPARE_CLOSE_DIRECT) {
        file->buffered = io_alignment(file->io, file->handle) > LAYOUT_SECTOR;
        file->step = file->buffered ? PREPARE_CLOSE_DIRECT : PREPARE_ALLOCATE;
    }
    if (file->step == PREPARE_END)
        finish(file, TAPE_FILE_READY);
    else
        prepare_start(file);
}

static void open_new(struct tape_file *file, const char *path)
{
    uint32_t direct = file->buffered ? 0 : IO_OPEN_DIRECT;
    io_open(file->io, &file->op, path,
            IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE | direct, prepare_step_done);
}

static void prepare_start(struct tape_file *file)
{
    struct io *io = file->io;
    struct io_op *op = &file->op;
    switch ((enum prepare_step)file->step) {
    case PREPARE_OPEN:
        open_new(file, file->path);
        return;
    case PREPARE_CLOSE_DIRECT:
        io_close(io, op, file->handle, prepare_step_done);
        return;
    case PREPARE_OPEN_BUFFERED:
        io_open(io, op, file->path, IO_OPEN_WRITE, prepare_step_done);
        return;
    case PREPARE_ALLOCATE:
        io_fallocate(io, op, file->handle, file->size, prepare_step_done);
        return;
    case PREPARE_HEADER:
        io_write(io, op, file->handle, file->sector, LAYOUT_SECTOR, 0, IO_WRITE_DURABLE,
                 prepare_step_done);
        return;
    case PREPARE_SYNC:
        io_fsync(io, op, file->handle, false, prepare_step_done);
        return;
    case PREPARE_MARK_OPEN:
        open_new(file, file->mark_path);
        return;
    case PREPARE_MARK_ALLOCATE:
        io_fallocate(io, op, file->mark_handle, 2 * LAYOUT_SECTOR, prepare_step_done);
        return;
    case PREPARE_MARK_SYNC:
        io_fsync(io, op, file->mark_handle, false, prepare_step_done);
        return;
    case PREPARE_DIRECTORY_OPEN:
        io_open(io, op, file->directory, IO_OPEN_READ | IO_OPEN_DIRECTORY, prepare_step_done);
        return;
    case PREPARE_DIRECTORY_SYNC:
        io_fsync(io, op, file->directory_handle, false, prepare_step_done);
        return;
    case PREPARE_DIRECTORY_CLOSE:
        io_close(io, op, file->directory_handle, prepare_step_done);
        return;
    case PREPARE_END:
        break;
    }
    ensure(!"a step of preparing");
}

void tape_file_prepare(struct tape_file *file, uint32_t shard, int64_t size,
                       const struct layout_tape_end *ends, uint32_t end_count,
                       tape_file_done *done)
{
    ensure(file->state == TAPE_FILE_IDLE);
    ensure(size >= 2 * LAYOUT_SECTOR && size % LAYOUT_SECTOR == 0);
    struct tape_description description = {
        .created_ns = io_utc_ns(file->io),
        .number = keep_store_next_tape(file->store),
        .shard = shard,
        .writer = "ringtaped " RINGTAPE_VERSION,
        .ends = ends,
        .end_count = end_count,
    };
    memcpy(description.store, keep_store_identity(file->store), sizeof description.store);
    do
        io_random(file->io, &description.salt, sizeof description.salt);
    while (description.salt == 0);
    tape_header_encode(&description, file->sector, &file->cursor);
    keep_store_tape_path(file->store, description.number, "tape", file->path);
    keep_store_tape_path(file->store, description.number, "mark", file->mark_path);
    int length = (int)(strrchr(file->path, '/') - file->path);
    memcpy(file->directory, file->path, (size_t)length);
    file->directory[length] = 0;
    file_enter(file, TAPE_FILE_PREPARING);
    file->created_ns = description.created_ns;
    file->size = size;
    file->marked_rows = 0;
    file->writes_pending = 0;
    file->failed = file->doubtful = false;
    file->slots_failed = 0;
    file->remove = file->retiring = file->buffered = false;
    file->failure = 0;
    file->done = done;
    file->step = PREPARE_OPEN;
    prepare_start(file);
}

void tape_file_write(struct tape_file *file, struct io_op *op, const void *bytes,
                     const struct tape_write *write, io_callback *callback)
{
    ensure(file->state == TAPE_FILE_READY);
    ensure(write->bytes % LAYOUT_SECTOR == 0 && write->offset >= LAYOUT_SECTOR);
    io_write(file->io, op, file->handle, bytes, write->bytes, (int64_t)write->offset,
             IO_WRITE_DURABLE, callback);
}

// Of the mark written last; the next one goes to the other slot.
static void slot_failed(struct tape_file *file)
{
    file->slots_failed |= (uint8_t)(1u << (file->cursor.mark_counter & 1));
}

static bool slot_usable(const struct tape_file *file)
{
    return (file->slots_failed >> ((file->cursor.mark_counter + 1) & 1) & 1) == 0;
}

static void mark_written(struct io *io, struct io_op *op)
{
    (void)io;
    struct tape_file *file = io_owner(op, struct tape_file, mark_op);
    file->mark_in_flight = false;
    // A mark that fails costs only knowledge; the tape itself is intact.
    if (op->result < 0)
        slot_failed(file);
    if (file->state == TAPE_FILE_CLOSING)
        close_start(file);
}

static void write_mark(struct tape_file *file, bool closed, struct io_op *op,
                       io_callback *callback)
{
    ensure(slot_usable(file));
    uint64_t offset = tape_mark_encode(&file->cursor, closed, file->mark_sector);
    io_write(file->io, op, file->mark_handle, file->mark_sector, LAYOUT_SECTOR, (int64_t)offset,
             IO_WRITE_DURABLE, callback);
}

void tape_file_mark(struct tape_file *file)
{
    ensure(file->state == TAPE_FILE_READY);
    // After a failure the other slot is left to the closing mark.
    if (file->slots_failed != 0 || file->mark_in_flight ||
        file->marked_rows == file->cursor.durable_rows)
        return;
    file->marked_rows = file->cursor.durable_rows;
    file->mark_in_flight = true;
    write_mark(file, false, &file->mark_op, mark_written);
}

static void close_step_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct tape_file *file = io_owner(op, struct tape_file, op);
    ensure(file->state == TAPE_FILE_CLOSING);
    if (op->result < 0 && file->step == CLOSE_MARK) {
        slot_failed(file);
        if (slot_usable(file)) {
            close_start(file);
            return;
        }
        file->closed_unmarked = true;
    }
    if (op->result < 0 && op->result != -ENOENT && file->failure == 0)
        file->failure = (int)op->result;
    file->step++;
    close_start(file);
}

// True when an operation was started for a handle that is open.
static bool close_handle(struct tape_file *file, int *handle)
{
    if (*handle < 0)
        return false;
    int closing = *handle;
    *handle = -1;
    io_close(file->io, &file->op, closing, close_step_done);
    return true;
}

static bool close_unlink(struct tape_file *file, const char *path)
{
    if (!file->remove)
        return false;
    io_unlink(file->io, &file->op, path, close_step_done);
    return true;
}

static bool close_step_start(struct tape_file *file)
{
    switch ((enum close_step)file->step) {
    case CLOSE_MARK:
        write_mark(file, true, &file->op, close_step_done);
        return true;
    case CLOSE_TAPE_HANDLE:
        return close_handle(file, &file->handle);
    case CLOSE_MARK_HANDLE:
        return close_handle(file, &file->mark_handle);
    case CLOSE_DIRECTORY_HANDLE:
        return close_handle(file, &file->directory_handle);
    case CLOSE_UNLINK_TAPE:
        return close_unlink(file, file->path);
    case CLOSE_UNLINK_MARK:
        return close_unlink(file, file->mark_path);
    case CLOSE_END:
        break;
    }
    ensure(!"a step of closing");
    return false;
}

static void close_start(struct tape_file *file)
{
    if (file->mark_in_flight)
        return; // mark_written() comes back here
    while (file->step < CLOSE_END) {
        if (close_step_start(file))
            return;
        file->step++;
    }
    finish(file, TAPE_FILE_IDLE);
}

void tape_file_close(struct tape_file *file, tape_file_done *done)
{
    ensure(file->state == TAPE_FILE_READY);
    ensure(file->writes_pending == 0);
    file->done = done;
    file->failure = 0;
    // What nothing durable is on may be deleted, unless a power cut could bring back the file
    // with a write on it that failed: then its closing mark is needed, and the sealer removes it.
    start_closing(file, file->cursor.durable_sequence == 0 && !file->doubtful);
}
