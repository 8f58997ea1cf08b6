// SPDX-License-Identifier: GPL-3.0-or-later
//
// The writer's whole behaviour is tape_writer_pump(): called whenever something changed (a row came
// and its time is up, a write or a file operation completed, a second passed), it does whatever can
// be done now. What can be in flight at once: one write of a batch, one preparation or closing
// of each tape file, one mark of each, the commit timer, the tick.
//
// Invariants, checked by writer_check():
//   - rows [0, written) of the open batch are the last batch of `current`, others are in no batch;
//   - pending batches lie in the halves in the order of their rows: flying half first;
//   - a file with pending batches is READY.
#include "keep/tape_writer.h"

#include <errno.h>

#include "base/limits.h"
#include "format/ensure.h"
#include "keep/tape_writer_inside.h"

static void writer_check(const struct tape_writer *writer)
{
    ensure(writer->written <= writer->batch->count);
    ensure(writer->spare->count == 0);
    ensure(!writer->current || writer->current->state == TAPE_FILE_READY);
    ensure(writer->current || writer->written == 0);
    const struct tape_half *flying = &writer->half[1 - writer->filling];
    ensure(writer->flying || writer->broken || flying->count == 0);
}

static uint32_t rows_waiting(const struct tape_writer *writer)
{
    return writer->batch->count - writer->written;
}

// ---- encoding ----

static struct tape_half *half_with_room(struct tape_writer *writer, size_t bytes)
{
    struct tape_half *half = &writer->half[writer->filling];
    bool room = half->count < TAPE_WRITER_WRITES_MAX &&
                half->used + bytes <= writer->options.queue_bytes;
    return room ? half : NULL;
}

static void batch_encoded(struct tape_writer *writer, const struct tape_write *write)
{
    writer->oldest_ns = 0;
    writer->counters.batches++;
    if (write->rewritten) {
        writer->written = writer->batch->count;
    } else if (write->batch_bytes <= LAYOUT_SECTOR) {
        // Its rows stay, for its next revision.
        if (writer->written > 0)
            tape_writer_drop_written(writer);
        writer->written = writer->batch->count;
    } else {
        batch_clear(writer->batch);
        writer->written = 0;
    }
}

static void retire_current(struct tape_writer *writer)
{
    writer->current->retiring = true;
    writer->current = NULL;
    if (writer->written > 0)
        tape_writer_drop_written(writer);
}

bool tape_writer_encode(struct tape_writer *writer)
{
    ensure(rows_waiting(writer) > 0);
    while (writer->current || tape_writer_switch(writer)) {
        struct tape_file *file = writer->current;
        struct tape_batch_input input =
            tape_writer_input(writer, writer->batch, writer->written);
        struct tape_half *half = half_with_room(writer, tape_batch_bytes_max(&input));
        if (!half)
            return false;
        struct tape_cursor before = file->cursor;
        struct tape_pending *pending = &half->pending[half->count];
        ensure(tape_append(writer->encoder, &file->cursor, &input, half->memory + half->used,
                           writer->options.queue_bytes - half->used, &pending->write) == 0);
        if (before.sequence != 0 && (int64_t)pending->write.end > file->size) {
            file->cursor = before; // full: the batch opens the next tape
            retire_current(writer);
            continue;
        }
        pending->file = file;
        pending->position = (uint32_t)half->used;
        pending->oldest_ns = writer->oldest_ns;
        file->writes_pending++;
        half->used += pending->write.bytes;
        half->count++;
        batch_encoded(writer, &pending->write);
        return true;
    }
    return false;
}

// ---- writing ----

static void write_start(struct tape_writer *writer);

static void write_durable(struct tape_writer *writer, struct tape_pending *pending,
                          const uint8_t *bytes)
{
    struct tape_file *file = pending->file;
    uint64_t rows = file->cursor.durable_rows;
    tape_acknowledge(&file->cursor, &pending->write);
    writer->counters.rows_durable += file->cursor.durable_rows - rows;
    writer->counters.bytes += pending->write.bytes;
    writer->counters.writes++;
    const int64_t now_ns = io_monotonic_ns(writer->io);
    const int64_t latency_ns = now_ns - pending->oldest_ns;
    // Row by row, each as late as the oldest: a flush that stalls holds many of them.
    histogram_add_times(&writer->latency, latency_ns, file->cursor.durable_rows - rows);
    if (latency_ns > writer->counters.durable_latency_ns_max)
        writer->counters.durable_latency_ns_max = latency_ns;
    file->writes_pending--;
    if (writer->options.feed)
        tape_feed_put(writer->options.feed, file->cursor.number, &pending->write, bytes, now_ns);
    if (writer->options.note)
        durable_note_put(&writer->note, file->cursor.number, file->cursor.salt,
                         file->cursor.durable_sequence, file->cursor.durable_revision);
}

static void half_reset(struct tape_half *half)
{
    half->used = 0;
    half->count = 0;
    half->next = 0;
}

static void write_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct tape_writer *writer = io_owner(op, struct tape_writer, write_op);
    struct tape_half *half = &writer->half[1 - writer->filling];
    ensure(writer->flying && half->next < half->count);
    struct tape_pending *pending = &half->pending[half->next];
    writer->flying = false;
    if (op->result < 0) {
        writer->counters.failures++;
        tape_rescue_begin(writer);
    } else {
        ensure(op->result == pending->write.bytes);
        write_durable(writer, pending, half->memory + pending->position);
        half->next++;
        if (half->next < half->count)
            write_start(writer);
        else
            half_reset(half);
    }
    tape_writer_pump(writer);
}

static void write_start(struct tape_writer *writer)
{
    struct tape_half *half = &writer->half[1 - writer->filling];
    struct tape_pending *pending = &half->pending[half->next];
    writer->flying = true;
    tape_file_write(pending->file, &writer->write_op, half->memory + pending->position,
                    &pending->write, write_done);
}

static bool due(const struct tape_writer *writer)
{
    if (rows_waiting(writer) == 0)
        return false;
    int64_t age_ns = io_monotonic_ns(writer->io) - writer->oldest_ns;
    return writer->stopping || age_ns >= writer->options.commit_interval_ns;
}

static void commit_due(struct io *io, struct io_op *op)
{
    (void)io;
    tape_writer_pump(io_owner(op, struct tape_writer, commit_op));
}

static void arm_commit(struct tape_writer *writer)
{
    if (!io_idle(&writer->commit_op) || writer->closing || rows_waiting(writer) == 0)
        return;
    int64_t age_ns = io_monotonic_ns(writer->io) - writer->oldest_ns;
    int64_t left_ns = writer->options.commit_interval_ns - age_ns;
    // Overdue rows wait for a write, a tape or a tick, all of which come back here.
    if (left_ns > 0)
        io_timeout(writer->io, &writer->commit_op, left_ns, commit_due);
}

// After a failed write: true when nothing of it is left to be written.
static bool rescue(struct tape_writer *writer)
{
    if (!tape_writer_switch(writer))
        return false;
    tape_rescue_place(writer);
    struct tape_half *half = &writer->half[1 - writer->filling];
    if (half->next == half->count) {
        half_reset(half);
        return true;
    }
    write_start(writer);
    return false;
}

static void pump_writes(struct tape_writer *writer)
{
    if (writer->flying)
        return;
    if (writer->broken && !rescue(writer))
        return;
    if (writer->half[writer->filling].count == 0 && due(writer))
        (void)tape_writer_encode(writer);
    if (writer->half[writer->filling].count > 0) {
        writer->filling = 1 - writer->filling;
        write_start(writer);
    }
}

// ---- tapes ----

static bool is_spare(const struct tape_writer *writer, const struct tape_file *file)
{
    return file->state == TAPE_FILE_READY && file != writer->current && !file->retiring;
}

bool tape_writer_switch(struct tape_writer *writer)
{
    if (writer->current)
        return true;
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        if (is_spare(writer, &writer->files[i])) {
            writer->current = &writer->files[i];
            // It may have waited for hours: a tape's age is that of its rows.
            writer->current->created_ns = io_utc_ns(writer->io);
            writer->counters.tape = writer->current->cursor.number;
            writer->counters.tapes++;
            ensure(writer->written == 0);
            return true;
        }
    }
    return false;
}

static void file_ready(struct tape_file *file, int result)
{
    struct tape_writer *writer = file->owner;
    if (result < 0) {
        writer->counters.failures++;
        writer->prepare_held = true;
    }
    // Asked for, or a write failed, while it was being prepared.
    if (result == 0 && (file->cursor.number <= writer->roll_last ||
                        file->ends_known != writer->ends_noted))
        file->retiring = true;
    tape_writer_pump(writer);
}

static void file_closed(struct tape_file *file, int result)
{
    struct tape_writer *writer = file->owner;
    if (result < 0)
        writer->counters.failures++;
    if (file->doubtful && !file->closed_unmarked)
        keep_store_forget_end(writer->options.store, file->cursor.number);
    if (file->cursor.durable_sequence != 0 || file->doubtful)
        keep_store_retire(writer->options.store, file->cursor.number);
    tape_writer_pump(writer);
}

static void prepare(struct tape_writer *writer, struct tape_file *file)
{
    if (writer->end_count > 0)
        tape_rescue_forget(writer);
    // Its own end, should it fail, must have a place in the next header.
    if (writer->end_count + TAPE_WRITER_FILES > LAYOUT_TAPE_ENDS_MAX)
        return;
    file->ends_known = writer->ends_noted;
    tape_file_prepare(file, writer->options.shard, writer->options.tape_bytes, writer->ends,
                      writer->end_count, file_ready);
    if (writer->options.feed != NULL) tape_feed_prepare(writer->options.feed, file->cursor.number);
}

static void pump_files(struct tape_writer *writer)
{
    struct tape_file *idle = NULL;
    bool have_spare = false;
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        struct tape_file *file = &writer->files[i];
        if (file->state == TAPE_FILE_READY && file->retiring && file->writes_pending == 0)
            tape_file_close(file, file_closed);
        have_spare = have_spare || is_spare(writer, file) || file->state == TAPE_FILE_PREPARING;
        if (file->state == TAPE_FILE_IDLE)
            idle = file;
    }
    if (idle && !have_spare && !writer->closing && !writer->prepare_held)
        prepare(writer, idle);
}

// The spare goes too (it is empty: its file is removed): every tape there is now has an end.
void tape_writer_roll(struct tape_writer *writer)
{
    if (writer->stopping)
        return;
    if (rows_waiting(writer) > 0)
        (void)tape_writer_encode(writer);
    if (writer->current)
        retire_current(writer);
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        struct tape_file *file = &writer->files[i];
        if (file->state == TAPE_FILE_READY)
            file->retiring = true;
        if (file->cursor.number > writer->roll_last)
            writer->roll_last = file->cursor.number;
    }
    tape_writer_pump(writer);
}

// Full by age, or of a day that is over.
static bool outlived(const struct tape_writer *writer)
{
    const struct tape_file *file = writer->current;
    if (!file || file->cursor.sequence == 0)
        return false;
    int64_t now_ns = io_utc_ns(writer->io);
    bool other_day = now_ns / (24 * LIMIT_HOUR_NS) != file->created_ns / (24 * LIMIT_HOUR_NS);
    return other_day || now_ns - file->created_ns >= writer->options.tape_age_ns;
}

static void tell_refused(struct tape_writer *writer);

void tape_writer_tick(struct io *io, struct io_op *op)
{
    struct tape_writer *writer = io_owner(op, struct tape_writer, tick_op);
    if (op->result == -ECANCELED || writer->closing) {
        tape_writer_pump(writer);
        return;
    }
    writer->prepare_held = writer->rescued = false;
    // A spare that was prepared yesterday is as good: only the first row dates a tape.
    if (writer->current && writer->current->cursor.sequence == 0)
        writer->current->created_ns = io_utc_ns(io);
    if (outlived(writer))
        retire_current(writer);
    if (writer->current)
        tape_file_mark(writer->current);
    if (!writer->stopping)
        tape_pause_look(writer, keep_store_paused(writer->options.store));
    // The feed may have fallen silent since.
    if (writer->refused_since_ok > 0 && rows_waiting(writer) == 0 && !writer->stopping)
        tell_refused(writer);
    io_timeout(io, &writer->tick_op, LIMIT_SECOND_NS, tape_writer_tick);
    tape_writer_pump(writer);
}

// ---- appending ----

bool tape_writer_status(struct tape_writer *writer, const struct event *event)
{
    ensure(event->channel == CHANNEL_STATUS);
    if (!batch_append(writer->batch, event))
        return false;
    writer->counters.rows++;
    if (writer->oldest_ns == 0)
        writer->oldest_ns = io_monotonic_ns(writer->io);
    return true;
}

// Rows were lost while nothing could be written: the data itself says so.
static void tell_refused(struct tape_writer *writer)
{
    struct event *event = &writer->event;
    static const char detail[] = "the store could not be written; events were not kept";
    event_clear(event, CHANNEL_STATUS, SYMBOL_NONE);
    event_set(event, COLUMN_RECEIVE_TIME, io_utc_ns(writer->io));
    event_set(event, COLUMN_LINK, 0);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, STATUS_KIND, STATUS_HOLE_LOST);
    event_set(event, STATUS_COUNT, (int64_t)writer->refused_since_ok);
    event_set(event, STATUS_FROM_TIME, writer->refused_from_ns);
    event_set(event, STATUS_TO_TIME, io_utc_ns(writer->io));
    event_set_text(event, STATUS_DETAIL, detail, sizeof detail - 1);
    if (tape_writer_status(writer, event))
        writer->refused_since_ok = 0;
}

static bool refuse(struct tape_writer *writer)
{
    if (writer->refused_since_ok++ == 0)
        writer->refused_from_ns = io_utc_ns(writer->io);
    writer->counters.rows_refused++;
    return false;
}

static bool make_room(struct tape_writer *writer, const struct event *event)
{
    if (rows_waiting(writer) > 0 && !tape_writer_encode(writer))
        return refuse(writer);
    if (writer->written > 0 && !batch_append(writer->batch, event))
        tape_writer_drop_written(writer);
    else if (writer->written > 0)
        return true;
    if (batch_append(writer->batch, event))
        return true;
    writer->counters.rows_unfit++;
    return refuse(writer);
}

bool tape_writer_append(struct tape_writer *writer, const struct event *event)
{
    ensure(!writer->stopping);
    if (writer->paused >> event->channel & 1) {
        writer->holes[event->channel].count++;
        writer->counters.rows_paused++;
        return false;
    }
    if (!batch_append(writer->batch, event) && !make_room(writer, event))
        return false;
    writer->counters.rows++;
    if (writer->oldest_ns == 0) {
        writer->oldest_ns = io_monotonic_ns(writer->io);
        if (writer->refused_since_ok > 0)
            tell_refused(writer);
        if (!writer->flying)
            arm_commit(writer);
    }
    return true;
}

// ---- life ----

static bool all_closed(struct tape_writer *writer)
{
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        if (writer->files[i].state != TAPE_FILE_IDLE)
            return false;
    }
    return io_idle(&writer->tick_op) && io_idle(&writer->commit_op) &&
           io_idle(&writer->limit_op) &&
           (!writer->options.note || durable_note_stop(&writer->note));
}

// What could not be written in time is dropped and counted.
static void give_up(struct tape_writer *writer)
{
    writer->counters.rows_refused += writer->counters.rows - writer->counters.rows_durable;
    batch_clear(writer->batch);
    writer->written = 0;
    for (int h = 0; h < 2; h++) {
        struct tape_half *half = &writer->half[h];
        for (uint32_t i = half->next; i < half->count; i++)
            half->pending[i].file->writes_pending--;
        half_reset(half);
    }
    writer->broken = false;
}

static void pump_stop(struct tape_writer *writer)
{
    bool done = rows_waiting(writer) == 0 && !writer->flying && !writer->broken;
    if (!writer->closing && writer->given_up && !writer->flying) {
        give_up(writer);
        done = true;
    }
    if (!writer->closing && done) {
        writer->closing = true;
        writer->current = NULL;
        writer->written = 0;
        for (int i = 0; i < TAPE_WRITER_FILES; i++)
            writer->files[i].retiring = true;
        io_cancel(writer->io, &writer->tick_op);
        io_cancel(writer->io, &writer->commit_op);
        io_cancel(writer->io, &writer->limit_op);
    }
}

void tape_writer_pump(struct tape_writer *writer)
{
    writer_check(writer);
    pump_writes(writer);
    if (writer->stopping)
        pump_stop(writer);
    pump_files(writer);
    if (!writer->flying)
        arm_commit(writer);
    if (writer->closing && all_closed(writer) && writer->stopped) {
        void (*stopped)(void *, bool) = writer->stopped;
        writer->stopped = NULL;
        stopped(writer->context, !writer->given_up);
    }
}

void tape_writer_note_ended(void *context)
{
    tape_writer_pump(context);
}

static void limit_reached(struct io *io, struct io_op *op)
{
    (void)io;
    struct tape_writer *writer = io_owner(op, struct tape_writer, limit_op);
    if (op->result == 0 && !writer->closing)
        writer->given_up = true;
    tape_writer_pump(writer);
}

void tape_writer_stop(struct tape_writer *writer, int64_t limit_ns,
                      void (*stopped)(void *context, bool ok), void *context)
{
    ensure(!writer->stopping);
    if (writer->refused_since_ok > 0)
        tell_refused(writer);
    tape_pause_look(writer, 0); // the holes end here, as far as this life knows
    writer->stopping = true;
    writer->stopped = stopped;
    writer->context = context;
    io_timeout(writer->io, &writer->limit_op, limit_ns, limit_reached);
    // From the loop, not from here: `stopped` is never called inside tape_writer_stop().
    if (io_idle(&writer->commit_op))
        io_timeout(writer->io, &writer->commit_op, 0, commit_due);
}

bool tape_writer_ready(const struct tape_writer *writer)
{
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        if (&writer->files[i] == writer->current || is_spare(writer, &writer->files[i]))
            return true;
    }
    return false;
}

const struct histogram *tape_writer_latency(const struct tape_writer *writer)
{
    return &writer->latency;
}

// Of what is in flight, else of what is encoded, else of what waits to be.
static int64_t oldest_waiting_ns(const struct tape_writer *writer)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct tape_half *half = &writer->half[i == 0 ? 1 - writer->filling
                                                            : writer->filling];
        if (half->next < half->count) return half->pending[half->next].oldest_ns;
    }
    return writer->oldest_ns;
}

struct tape_writer_counters tape_writer_counters(struct tape_writer *writer)
{
    struct tape_writer_counters counters = writer->counters;
    const int64_t oldest_ns = oldest_waiting_ns(writer);
    counters.bytes_waiting = writer->half[0].used + writer->half[1].used;
    if (oldest_ns != 0) counters.waiting_ns = io_monotonic_ns(writer->io) - oldest_ns;
    writer->counters.durable_latency_ns_max = 0;
    return counters;
}
