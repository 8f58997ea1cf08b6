// SPDX-License-Identifier: GPL-3.0-or-later
//
// The tapes that are open. One that cannot be opened is tried again, unless it is the tape itself
// that is bad; one that a shard is still writing is tried again in any case.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/read_around.h"
#include "publish/mirror_inside.h"

static void file_opened(struct io *io, struct io_op *op);
static void mark_opened(struct io *io, struct io_op *op);

static void file_mark_closed(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_file *file = io_owner(op, struct mirror_file, mark_op);
    file->mark_handle = -1;
    if (file->handle < 0) file->state = FILE_FREE;
    mirror_pump(file->mirror);
}

static void file_closed(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_file *file = io_owner(op, struct mirror_file, op);
    file->handle = -1;
    if (file->mark_handle < 0) file->state = FILE_FREE;
    mirror_pump(file->mirror);
}

void mirror_file_close(struct mirror_file *file)
{
    ensure(file->state == FILE_READY || file->state == FILE_GONE);
    if (file->reading) tape_reader_close(&file->reader);
    mirror_remade_free(file);
    file->reading = file->held = false;
    file->tape = 0;
    file->state = file->handle >= 0 || file->mark_handle >= 0 ? FILE_CLOSING : FILE_FREE;
    struct io *io = file->mirror->io;
    if (file->handle >= 0) io_close(io, &file->op, file->handle, file_closed);
    if (file->mark_handle >= 0) io_close(io, &file->mark_op, file->mark_handle, file_mark_closed);
}

bool mirror_files_close(struct mirror *mirror)
{
    bool closed = true;
    for (int i = 0; i < MIRROR_FILES; i++) {
        struct mirror_file *file = &mirror->files[i];
        if (file->state == FILE_READY || file->state == FILE_GONE) mirror_file_close(file);
        closed = closed && file->state == FILE_FREE;
    }
    return closed;
}

// Sectors that the device does not give are zeros: damage like any other.
static int64_t file_read(void *context, uint64_t offset, void *out, size_t size)
{
    struct mirror_file *file = context;
    struct io *io = file->mirror->io;
    int64_t got = io_read_now(io, file->handle, out, size, (int64_t)offset);
    return got == -EIO ? read_around(io, file->handle, out, size, offset, NULL, NULL) : got;
}

static void file_afresh(void *context)
{
    struct mirror_file *file = context;
    io_read_afresh(file->mirror->io, file->handle);
}

// Where a tape of this life ended, as its shard tells, which does not wait for a mark.
static bool fed_end(struct mirror_file *file, struct layout_tape_end *end)
{
    struct mirror *mirror = file->mirror;
    const struct mirror_state_tape *note = mirror_noted(mirror, file->tape);
    uint32_t shard = file->shard;
    if (shard == MIRROR_SHARDS_MAX && note != NULL) shard = note->shard;
    if (file->tape < mirror->tape_base || shard >= mirror->options.shards ||
        !tape_feed_end(mirror->options.feeds[shard], file->tape, end))
        return false;
    end->salt = file->reader.header.salt;
    return true;
}

// What the shard says, what the store has noted, or what the mark says now.
static void file_read_mark(struct mirror_file *file)
{
    struct layout_tape_end end;
    struct mirror *mirror = file->mirror;
    int64_t size = 0;
    if (fed_end(file, &end) || keep_store_find_end(mirror->options.store, file->tape, &end)) {
        tape_end_mark(&end, file->mark);
        size = sizeof file->mark;
        file->reader.mark.magic = 0; // one that was read while the tape was live has a higher count
    } else if (file->mark_handle >= 0) {
        size = read_agreed(mirror->io, file->mark_handle, file->mark, sizeof file->mark, 0);
    }
    if (size > 0) tape_reader_set_mark(&file->reader, file->mark, (size_t)size);
}

static bool is_live(const struct mirror *mirror, uint32_t tape)
{
    for (uint32_t s = 0; s < mirror->options.shards; s++) {
        if (tape_feed_durable(mirror->options.feeds[s]).tape == tape) return true;
    }
    return false;
}

// It cannot be read. A live tape is looked at again as long as it is one, for its shard goes on
// with it; any other unless it is the tape itself that is bad, and for a while.
static void file_failed(struct mirror_file *file, int result, const char *why)
{
    struct mirror *mirror = file->mirror;
    bool scarce = result == -ENOMEM || result == -EMFILE || result == -ENFILE;
    file->state = FILE_GONE;
    file->failed_ns = io_monotonic_ns(mirror->io);
    if (file->failing_ns == 0) file->failing_ns = file->failed_ns;
    bool early = file->failed_ns - file->failing_ns < MIRROR_UNREADABLE_NS;
    bool passes = scarce || (early && result != -EBADMSG);
    file->again = passes || is_live(mirror, file->tape);
    if (!file->again && why != NULL) mirror_tell_lost(mirror, file->tape, why, 0);
}

void mirror_file_begin(struct mirror_file *file)
{
    struct mirror *mirror = file->mirror;
    enum tape_error error = TAPE_GOOD;
    int64_t size = io_file_size(mirror->io, file->path);
    struct source source = {.size = size < 0 ? 0 : (uint64_t)size,
                            .read = file_read,
                            .context = file,
                            .afresh = file_afresh};
    if (file->reading) tape_reader_close(&file->reader);
    file->held = false;
    if (size == -ENOENT && !is_live(mirror, file->tape)) {
        file->reading = false;
        mirror_remake(file);
        return;
    }
    int result = size < 0 ? (int)size
                          : tape_reader_open(&file->reader, &source, file->tape, NULL, 0, &error);
    file->reading = result == 0;
    if (result == 0 && !tape_header_is(&file->reader.header, file->tape,
                                       keep_store_identity(mirror->options.store))) {
        result = -EBADMSG;
        error = TAPE_OTHER_SALT;
    }
    if (result == 0) {
        file->state = FILE_READY;
        file->failing_ns = 0;
        bool known = file->reader.header.shard < MIRROR_SHARDS_MAX &&
                     file->reader.header.number == file->tape;
        file->shard = known ? file->reader.header.shard : MIRROR_SHARDS_MAX;
        file_read_mark(file);
    } else {
        const char *why = result == -EBADMSG ? tape_error_text(error) : strerror(-result);
        bool unused = result == -EBADMSG &&
                      tape_reader_unused(&source, file->tape, NULL, 0) == 1;
        file_failed(file, result, unused ? NULL : why);
    }
}

static void mark_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_file *file = io_owner(op, struct mirror_file, mark_op);
    file->mark_handle = op->result < 0 ? -1 : (int)op->result;
    mirror_file_begin(file);
    mirror_pump(file->mirror);
}

static void file_opened(struct io *io, struct io_op *op)
{
    struct mirror_file *file = io_owner(op, struct mirror_file, op);
    if (op->result == -ENOENT && !is_live(file->mirror, file->tape)) {
        mirror_remake(file);
        return;
    }
    if (op->result < 0) {
        file_failed(file, (int)op->result, strerror((int)-op->result));
        mirror_pump(file->mirror);
        return;
    }
    file->handle = (int)op->result;
    file->state = FILE_MARKING;
    io_open(io, &file->mark_op, file->mark_path, IO_OPEN_READ, mark_opened);
}

// Closes what is open of the file and opens it anew.
static void file_again(struct io *io, struct io_op *op)
{
    struct mirror_file *file = io_owner(op, struct mirror_file, op);
    int *handle = file->handle >= 0 ? &file->handle : &file->mark_handle;
    int open = *handle;
    *handle = -1;
    if (open >= 0) io_close(io, &file->op, open, file_again);
    else io_open(io, &file->op, file->path, IO_OPEN_READ, file_opened);
}

// The file is gone, and perhaps not for good. False: it is.
static bool looks_again(struct mirror_file *file)
{
    struct mirror *mirror = file->mirror;
    if (!file->again && !is_live(mirror, file->tape)) return false;
    if (io_monotonic_ns(mirror->io) - file->failed_ns >= MIRROR_LOOK_NS) {
        if (file->reading) tape_reader_close(&file->reader);
        file->reading = file->again = false;
        file->state = FILE_OPENING;
        file_again(mirror->io, &file->op);
    } else {
        mirror_look_soon(mirror);
    }
    return true;
}

static void file_open(struct mirror_file *file, uint32_t tape)
{
    struct mirror *mirror = file->mirror;
    ensure(file->state == FILE_FREE && tape != 0);
    file->tape = tape;
    file->shard = MIRROR_SHARDS_MAX;
    file->state = FILE_OPENING;
    file->failing_ns = 0;
    file->again = false;
    keep_store_tape_path(mirror->options.store, tape, "tape", file->path);
    keep_store_tape_path(mirror->options.store, tape, "mark", file->mark_path);
    // A power cut may bring back a file that was being removed; positions do not count its rows.
    if (mirror_remade_before(mirror, tape)) mirror_remake(file);
    else io_open(mirror->io, &file->op, file->path, IO_OPEN_READ, file_opened);
}

// The tape's file when it is open; NULL: it is on its way. The one longest unused makes room.
struct mirror_file *mirror_file_of(struct mirror *mirror, uint32_t tape)
{
    struct mirror_file *oldest = NULL;
    struct mirror_file *idle = NULL;
    for (int i = 0; i < MIRROR_FILES; i++) {
        struct mirror_file *file = &mirror->files[i];
        bool open = file->state == FILE_READY || file->state == FILE_GONE;
        if (file->tape == tape && file->state != FILE_FREE) {
            file->used = ++mirror->uses;
            if (file->state == FILE_GONE && looks_again(file)) return NULL;
            return open ? file : NULL;
        }
        if (file->state == FILE_FREE) idle = file;
        if (file->state == FILE_CLOSING) return NULL;
        if (open && (oldest == NULL || file->used < oldest->used)) oldest = file;
    }
    if (idle != NULL && !mirror->stopping) {
        idle->used = ++mirror->uses;
        file_open(idle, tape);
    } else if (oldest != NULL && !mirror->stopping) {
        mirror_file_close(oldest);
    }
    return NULL;
}

bool mirror_file_end_known(struct mirror_file *file)
{
    if (file->reader.mark.magic != 0 && file->reader.mark.flags & LAYOUT_MARK_CLOSED) return true;
    file_read_mark(file);
    return file->reader.mark.magic != 0 && file->reader.mark.flags & LAYOUT_MARK_CLOSED;
}
