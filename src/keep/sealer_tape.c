// SPDX-License-Identifier: GPL-3.0-or-later
//
// One tape: its mark is read, the tape opened, its batches gathered; whenever a channel is full,
// and at the end for every channel, the gathered rows are written as segments, one for each day.
//
// A tape that cannot be read after some tries is read once more in `salvage`: sectors that the
// device does not give count as zeros, so they are damage like any other, the rows around them are
// sealed and the file goes to quarantine.
//
//     sealer_tape_start → mark_read → tape_opened → gather_more ⇄ write_day (sealer_tape_written)
//                                                        └→ sealer_commit
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "format/ensure.h"
#include "keep/read_around.h"
#include "keep/sealer_inside.h"

static void gather_more(struct sealer *sealer);

static void damage(struct sealer *sealer, const char *what, uint64_t offset, uint64_t rows)
{
    struct sealer_tape *tape = &sealer->tape;
    if (!tape->damaged)
        sealer->counters.tapes_damaged++;
    tape->damaged = true;
    tape->rows_lost += rows;
    if (sealer->log)
        log_write(sealer->log, LOG_TAPE_DAMAGED, io_utc_ns(sealer->io),
                  "file=\"%s\" offset=%llu rows_lost=%llu cause=\"%s\"", tape->path,
                  (unsigned long long)offset, (unsigned long long)rows, what);
}

// ---- writing what was gathered ----

static void write_day(struct sealer *sealer)
{
    int32_t day;
    uint64_t left = gather_left(&sealer->gather);
    if (left > 0 && sealer->made_count == sealer->segments_max) {
        damage(sealer, "rows of too many days", 0, left);
        left = 0;
    }
    if (left > 0 && gather_day(&sealer->gather, &day)) {
        sealer_write(sealer, sealer->tape.writing, day, gather_feed, &sealer->gather);
    } else {
        gather_empty(&sealer->gather, sealer->tape.writing);
        gather_more(sealer);
    }
}

void sealer_tape_written(struct sealer *sealer)
{
    struct catalogue_segment *made = &sealer->made[sealer->made_count - 1];
    made->tape_first = made->tape_last = sealer->tape.number;
    write_day(sealer);
}

// True when a segment is being written.
static bool write_rest(struct sealer *sealer)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (gather_sort(&sealer->gather, (enum channel)c)) {
            sealer->tape.writing = (enum channel)c;
            write_day(sealer);
            return true;
        }
    }
    return false;
}

// ---- gathering ----

static bool hold_batch(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    const struct tape_item *item = &tape->item;
    if (item->memory_bytes > SEALER_DECODE_BYTES)
        return false;
    if (tape_decode_batch(item->bytes, item->size, sealer->decode_memory, item->memory_bytes,
                          &tape->batch) != TAPE_GOOD)
        return false;
    return gather_batch(&sealer->gather, &tape->batch, item->rows_before);
}

// Next batch into tape->batch. 1: held or damage noted, 0: the end, negative: errno.
static int next_batch(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    int result = tape_reader_next(&tape->reader, &tape->item);
    if (result <= 0)
        return result;
    const struct tape_item *item = &tape->item;
    if (item->is_damage) {
        if (item->damage.acknowledged) // else part of a write that a crash cut off
            damage(sealer, tape_error_text(item->damage.error), item->damage.offset,
                   item->damage.rows);
        return 1;
    }
    if (tape->leftover)
        return 1;
    tape->held = hold_batch(sealer);
    if (!tape->held)
        damage(sealer, tape_error_text(TAPE_BAD_CONTENT), item->offset, item->header.rows);
    return 1;
}

// Takes the held batch; true when a channel is full and is being written.
static bool take_held(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    enum channel full = gather_take(&sealer->gather, &tape->batch);
    if (full == CHANNEL_NONE) {
        tape->held = false;
        return false;
    }
    ensure(gather_sort(&sealer->gather, full));
    tape->writing = full;
    write_day(sealer);
    return true;
}

static void gather_more(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    while (!tape->ended) {
        if (tape->held && take_held(sealer))
            return;
        int result = next_batch(sealer);
        if (result < 0) {
            sealer_fail(sealer, result, tape->path);
            return;
        }
        tape->ended = result == 0;
    }
    if (!write_rest(sealer))
        sealer_commit(sealer);
}

// ---- opening ----

static void sector_lost(void *context, uint64_t offset, size_t size, int error)
{
    struct sealer *sealer = context;
    if (offset >= sealer->tape.told_until) // the reader looks at a place more than once
        damage(sealer, strerror(-error), offset, 0);
    sealer->tape.told_until = offset + size;
}

static int64_t read_tape(void *context, uint64_t offset, void *out, size_t size)
{
    struct sealer *sealer = context;
    const int handle = sealer->tape.handle;
    int64_t got = io_read_now(sealer->io, handle, out, size, (int64_t)offset);
    if (got >= 0 || !sealer->tape.salvage)
        return got;
    return read_around(sealer->io, handle, out, size, offset, sector_lost, sealer);
}

static void tape_afresh(void *context)
{
    struct sealer *sealer = context;
    io_read_afresh(sealer->io, sealer->tape.handle);
}

// Somebody took the file away.
static void tape_gone(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    damage(sealer, "the file is gone", 0, 0);
    tape->gone = true;
    sealer_tape_tell(sealer); // and not waited for: no start would find the tape again
    keep_store_forget_end(sealer->store, tape->number);
    tape->number = 0;
    sealer_next(sealer);
}

// A crash while it was prepared leaves a tape that nothing was ever appended to: no damage.
static void without_header(struct sealer *sealer, const struct source *source,
                           enum tape_error error)
{
    struct sealer_tape *tape = &sealer->tape;
    int unused = tape_reader_unused(source, tape->number, tape->mark, tape->mark_size);
    if (unused < 0) {
        sealer_fail(sealer, unused, tape->path);
        return;
    }
    struct layout_mark mark;
    if (unused == 0) {
        const bool told = tape_mark_alone(tape->mark, tape->mark_size, &mark) == TAPE_GOOD;
        damage(sealer, tape_error_text(error), 0, told ? mark.rows : 0);
    }
    sealer_commit(sealer);
}

// Its rows were, or will be, sealed under its own number.
static void another_tape(struct sealer *sealer)
{
    damage(sealer, "another tape lies in its place", 0, 0);
    sealer_commit(sealer);
}

static void tape_opened(struct io *io, struct io_op *op)
{
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_tape *tape = &sealer->tape;
    if (op->result == -ENOENT && tape->leftover) {
        sealer_commit(sealer); // only to be removed, and it is
        return;
    }
    if (op->result == -ENOENT && tape->salvage) {
        tape_gone(sealer);
        return;
    }
    if (op->result < 0) {
        sealer_fail(sealer, (int)op->result, tape->path);
        return;
    }
    tape->handle = (int)op->result;
    int64_t size = io_file_size(io, tape->path);
    if (size < 0) {
        sealer_fail(sealer, (int)size, tape->path);
        return;
    }
    struct source source = {
        .size = (uint64_t)size, .read = read_tape, .context = sealer, .afresh = tape_afresh};
    enum tape_error error = TAPE_GOOD;
    int result = tape_reader_open(&tape->reader, &source, tape->number,
                                  tape->mark_size ? tape->mark : NULL, tape->mark_size, &error);
    tape->reading = result == 0;
    if (result == -EBADMSG) {
        without_header(sealer, &source, error);
    } else if (result < 0) {
        sealer_fail(sealer, result, tape->path);
    } else if (!tape_header_is(&tape->reader.header, tape->number,
                               keep_store_identity(sealer->store))) {
        another_tape(sealer);
    } else {
        sealer->counters.bytes_in += (uint64_t)size;
        gather_more(sealer);
    }
}

// Where the closing mark could not be written but the end is known otherwise: as if it had been.
static void use_noted_end(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    struct layout_tape_end end;
    if (!keep_store_find_end(sealer->store, tape->number, &end))
        return;
    tape_end_mark(&end, tape->mark);
    tape->mark_size = sizeof tape->mark;
}

static void read_mark(struct sealer *sealer);

static void mark_read(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    if (result == 0)
        result = read_vote(&sealer->tape.mark_votes, sealer->tape.mark, sealer->tape.mark_size);
    if (result == 0) {
        read_mark(sealer);
        return;
    }
    if (result < 0 && result != -ENOENT && !sealer->tape.salvage) {
        sealer_fail(sealer, result, path);
        return;
    }
    if (result < 0)
        sealer->tape.mark_size = 0;
    if (result < 0 && result != -ENOENT)
        damage(sealer, "the mark cannot be read", 0, 0);
    use_noted_end(sealer);
    io_open(sealer->io, &sealer->op, sealer->tape.path, IO_OPEN_READ, tape_opened);
}

// Twice, since of its two halves the older one is good as well: a wrong read of the newer one would
// move the end of the tape.
static void read_mark(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    file_script_begin(&sealer->script);
    file_script_read(&sealer->script, tape->mark_path, tape->mark, sizeof tape->mark,
                     &tape->mark_size);
    sealer->script.afresh = tape->mark_votes.count > 0;
    file_script_run(&sealer->script, sealer->io, mark_read, sealer);
}

void sealer_tape_start(struct sealer *sealer, uint32_t number)
{
    struct sealer_tape *tape = &sealer->tape;
    ensure(tape->number == 0 && tape->handle < 0);
    sealer_enter(sealer, SEALER_OPENING);
    if (sealer->tried != number)
        sealer->tries = 0;
    sealer->tried = number;
    tape->number = number;
    tape->leftover = catalogue_tape_sealed(sealer->catalogue, number);
    tape->damaged = tape->ended = tape->held = tape->reading = tape->gone = false;
    tape->salvage = sealer->tries >= SEALER_TAPE_TRIES;
    tape->rows_lost = tape->told_until = 0;
    keep_store_tape_path(sealer->store, number, "tape", tape->path);
    keep_store_tape_path(sealer->store, number, "mark", tape->mark_path);
    gather_begin(&sealer->gather, number);
    tape->mark_votes = (struct read_votes){0};
    read_mark(sealer);
}

// ---- leaving ----

int sealer_tape_close(struct sealer *sealer)
{
    struct sealer_tape *tape = &sealer->tape;
    if (tape->reading)
        tape_reader_close(&tape->reader);
    tape->reading = false;
    int handle = tape->handle;
    tape->handle = -1;
    return handle;
}

static void quarantine_path(const struct sealer *sealer, const char *name, char *out)
{
    int size = snprintf(out, KEEP_FILE_NAME_BYTES_MAX, "%s/quarantine/%s",
                        keep_store_path(sealer->store), name);
    ensure(size > 0 && size < KEEP_FILE_NAME_BYTES_MAX);
}

static void put_aside(struct sealer *sealer, struct file_script *script, const char *path)
{
    char to[KEEP_FILE_NAME_BYTES_MAX];
    quarantine_path(sealer, strrchr(path, '/') + 1, to);
    file_script_rename(script, path, to);
}

void sealer_tape_tell(struct sealer *sealer)
{
    const struct sealer_tape *tape = &sealer->tape;
    struct sealer_told *told = &sealer->told;
    char detail[KEEP_NEWS_BYTES];
    ensure(tape->damaged);
    if (told->tape == tape->number && told->rows_lost == tape->rows_lost && told->news != 0)
        return;
    (void)snprintf(detail, sizeof detail,
                   "%08" PRIu32 ".tape: %" PRIu64 " rows lost; the file is %s", tape->number,
                   tape->rows_lost, tape->gone ? "gone" : "in quarantine/");
    *told = (struct sealer_told){
        .tape = tape->number,
        .rows_lost = tape->rows_lost,
        .news = keep_store_tell(sealer->store, STATUS_STORE_DAMAGED, detail)};
}

void sealer_tape_remove(struct sealer *sealer, struct file_script *script)
{
    struct sealer_tape *tape = &sealer->tape;
    if (tape->damaged) {
        if (tape->mark_size > 0)
            put_aside(sealer, script, tape->mark_path);
        put_aside(sealer, script, tape->path);
    } else {
        file_script_unlink(script, tape->mark_path);
        file_script_unlink(script, tape->path);
    }
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    if (tape->damaged) {
        quarantine_path(sealer, "", directory);
        file_script_sync_directory(script, directory);
    }
    memcpy(directory, tape->path, sizeof directory);
    *strrchr(directory, '/') = 0;
    file_script_sync_directory(script, directory);
}
