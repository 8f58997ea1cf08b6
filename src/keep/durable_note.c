// SPDX-License-Identifier: GPL-3.0-or-later
//
// durable_note: see durable_note.h.
#include "keep/durable_note.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

static void note_stepped(struct io *io, struct io_op *op);
static void note_due(struct io *io, struct io_op *op);

void durable_note_init(struct durable_note *note, struct io *io, const char *store,
                       uint32_t shard, void (*ended)(void *context), void *context)
{
    ensure(shard < LIMIT_SHARDS && ended != NULL);
    memset(note, 0, sizeof *note);
    note->io = io;
    note->ended = ended;
    note->context = context;
    note->handle = -1;
    note->offset = (int64_t)(shard * sizeof(struct durable_slot));
    const int size = snprintf(note->directory, sizeof note->directory, "%s/run", store);
    ensure(size > 0 && (size_t)size < sizeof note->directory - sizeof "/durable");
    (void)snprintf(note->path, sizeof note->path, "%s/" DURABLE_SLOT_FILE, store);
}

static void note_arm(struct durable_note *note, int64_t after_ns)
{
    if (io_idle(&note->timer) && !note->stopping)
        io_timeout(note->io, &note->timer, after_ns, note_due);
}

static void note_start(struct durable_note *note, enum durable_note_state state)
{
    note->state = state;
    switch (state) {
    case DURABLE_NOTE_MKDIR:
        io_mkdir(note->io, &note->op, note->directory, note_stepped);
        return;
    case DURABLE_NOTE_OPENING:
        io_open(note->io, &note->op, note->path, IO_OPEN_WRITE | IO_OPEN_CREATE, note_stepped);
        return;
    case DURABLE_NOTE_WRITING:
        note->on_way = note->newest;
        note->untold = false;
        io_write(note->io, &note->op, note->handle, &note->on_way, sizeof note->on_way,
                 note->offset, 0, note_stepped);
        return;
    case DURABLE_NOTE_CLOSING:
        io_close(note->io, &note->op, note->handle, note_stepped);
        note->handle = -1;
        return;
    case DURABLE_NOTE_NONE:
    case DURABLE_NOTE_READY: return;
    }
}

static void note_failed(struct durable_note *note)
{
    note->retry_ns = io_monotonic_ns(note->io) + DURABLE_NOTE_RETRY_NS;
    note_start(note, note->handle >= 0 ? DURABLE_NOTE_CLOSING : DURABLE_NOTE_NONE);
}

static void note_ready(struct durable_note *note)
{
    if (note->stopping)
        note_start(note, DURABLE_NOTE_CLOSING);
    else if (note->untold)
        note_arm(note, DURABLE_NOTE_NS);
}

static void note_next(struct durable_note *note)
{
    switch (note->state) {
    case DURABLE_NOTE_MKDIR: note_start(note, DURABLE_NOTE_OPENING); return;
    case DURABLE_NOTE_OPENING:
        note->handle = (int)note->op.result;
        note_start(note, note->stopping ? DURABLE_NOTE_CLOSING : DURABLE_NOTE_WRITING);
        return;
    case DURABLE_NOTE_WRITING:
        note->state = DURABLE_NOTE_READY;
        note_ready(note);
        return;
    case DURABLE_NOTE_CLOSING: note->state = DURABLE_NOTE_NONE; return;
    case DURABLE_NOTE_NONE:
    case DURABLE_NOTE_READY: ensure(!"nothing was under way"); return;
    }
}

static void note_stepped(struct io *io, struct io_op *op)
{
    (void)io;
    struct durable_note *note = io_owner(op, struct durable_note, op);
    const bool there = note->state == DURABLE_NOTE_MKDIR && op->result == -EEXIST;
    if (op->result < 0 && !there && note->state != DURABLE_NOTE_CLOSING)
        note_failed(note);
    else
        note_next(note);
    if (note->stopping) note->ended(note->context);
}

static void note_due(struct io *io, struct io_op *op)
{
    struct durable_note *note = io_owner(op, struct durable_note, timer);
    if (note->stopping) note->ended(note->context);
    if (op->result < 0 || note->stopping || !note->untold) return;
    if (note->state == DURABLE_NOTE_READY)
        note_start(note, DURABLE_NOTE_WRITING);
    else if (note->state == DURABLE_NOTE_NONE && io_monotonic_ns(io) >= note->retry_ns)
        note_start(note, DURABLE_NOTE_MKDIR);
}

void durable_note_put(struct durable_note *note, uint32_t tape, uint64_t salt, uint64_t sequence,
                      uint32_t revision)
{
    note->newest = durable_slot_make(tape, salt, sequence, revision);
    note->untold = true;
    note_arm(note, DURABLE_NOTE_NS);
}

bool durable_note_stop(struct durable_note *note)
{
    if (!note->stopping) {
        note->stopping = true;
        io_cancel(note->io, &note->timer);
        if (note->state == DURABLE_NOTE_READY) note_start(note, DURABLE_NOTE_CLOSING);
    }
    return note->state == DURABLE_NOTE_NONE && io_idle(&note->timer);
}
