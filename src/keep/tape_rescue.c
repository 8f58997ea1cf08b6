// SPDX-License-Identifier: GPL-3.0-or-later
//
// What happens to encoded batches when a write fails. Nothing is known about the range that was
// being written, so the tape ends at its last durable batch (its closing mark says so), and every
// batch that is not durable is given a place on a new tape, in the same order. A batch is
// self-contained: only its header changes. The one exception is a slotted batch whose former
// revision is durable: its old rows are on the old tape, so only its new rows move.
//
// The failed write may be on disk all the same, and a crash may come before the closing mark: its
// rows would then come twice. So the header of the new tape, durable before anything else of it,
// tells where the old one ends; a spare that was prepared before the failure is thrown away.
#include <string.h>

#include "format/ensure.h"
#include "keep/tape_writer_inside.h"

// The write that failed is the first one pending.
static void note_doubt(struct tape_writer *writer)
{
    struct tape_half *half = &writer->half[1 - writer->filling];
    ensure(half->next < half->count);
    struct tape_file *file = half->pending[half->next].file;
    ensure(writer->end_count < LAYOUT_TAPE_ENDS_MAX); // no tape is prepared without room for one
    file->doubtful = true;
    writer->ends[writer->end_count] = tape_cursor_end(&file->cursor);
    keep_store_note_end(writer->options.store, &writer->ends[writer->end_count]);
    writer->end_count++;
    writer->ends_noted++;
}

void tape_rescue_forget(struct tape_writer *writer)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < writer->end_count; i++) {
        if (keep_store_find_end(writer->options.store, writer->ends[i].number, NULL))
            writer->ends[kept++] = writer->ends[i];
    }
    writer->end_count = kept;
}

void tape_rescue_begin(struct tape_writer *writer)
{
    ensure(!writer->flying);
    writer->broken = true;
    writer->prepare_held = writer->rescued; // where it fails for good: one new tape a second
    writer->rescued = true;
    note_doubt(writer);
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        struct tape_file *file = &writer->files[i];
        if (file->writes_pending > 0)
            file->failed = file->retiring = true;
    }
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        if (writer->files[i].state == TAPE_FILE_READY) // the spare too
            writer->files[i].retiring = true;
    }
    writer->current = NULL;
    if (writer->written > 0)
        tape_writer_drop_written(writer);
}

// The shard's number of a symbol of a decoded batch.
static uint32_t symbol_number(const struct symbols *symbols, struct event_text name)
{
    for (uint32_t s = 0; s < symbols_count(symbols); s++) {
        const struct symbol_name *known = symbols_name(symbols, s);
        if (known->size == name.size && memcmp(known->text, name.bytes, name.size) == 0)
            return s;
    }
    ensure(!"the batch was encoded with this table");
    return 0;
}

// Rows of the decoded batch from arrival number `from` on, into the spare batch.
static void take_rows(struct tape_writer *writer, const struct tape_batch *batch, uint32_t from)
{
    uint32_t next[CHANNEL_COUNT] = {0};
    for (uint32_t number = 0; number < batch->header.rows; number++) {
        int c = 0;
        while (next[c] >= batch->rows[c].count || batch->arrival[c][next[c]] != number)
            c++;
        ensure(c < CHANNEL_COUNT);
        uint32_t row = next[c]++;
        if (number < from)
            continue;
        rows_get(&batch->rows[c], row, &writer->event, writer->levels);
        if (writer->event.symbol != SYMBOL_NONE)
            writer->event.symbol = symbol_number(writer->options.symbols,
                                                 batch->symbols[writer->event.symbol]);
        ensure(batch_append(writer->spare, &writer->event));
    }
}

// Encodes the rows of a slotted batch that its former, durable revision does not hold.
static void place_new_rows(struct tape_writer *writer, uint8_t *bytes,
                           struct tape_pending *pending, uint64_t durable_rows)
{
    struct layout_batch header;
    struct tape_batch batch;
    size_t memory_bytes;
    ensure(tape_check_batch(bytes, pending->write.batch_bytes, &header, &memory_bytes) ==
           TAPE_GOOD);
    ensure(memory_bytes <= TAPE_WRITER_RESCUE_BYTES / 2);
    ensure(tape_decode_batch(bytes, pending->write.batch_bytes, writer->rescue_memory,
                             memory_bytes, &batch) == TAPE_GOOD);
    ensure(durable_rows >= header.first_row);
    take_rows(writer, &batch, (uint32_t)(durable_rows - header.first_row));
    struct tape_batch_input input = tape_writer_input(writer, writer->spare, 0);
    uint8_t *room = writer->rescue_memory + TAPE_WRITER_RESCUE_BYTES / 2;
    uint32_t bytes_before = pending->write.bytes;
    ensure(tape_append(writer->encoder, &writer->current->cursor, &input, room,
                       TAPE_WRITER_RESCUE_BYTES / 2, &pending->write) == 0);
    ensure(pending->write.bytes <= bytes_before);
    memcpy(bytes, room, pending->write.bytes);
    batch_clear(writer->spare);
}

static void place(struct tape_writer *writer, struct tape_half *half, struct tape_pending *pending)
{
    struct tape_file *old = pending->file;
    struct tape_file *file = writer->current;
    uint8_t *bytes = half->memory + pending->position;
    ensure(old != file && old->failed && old->writes_pending > 0);
    if (old->cursor.durable_sequence == pending->write.sequence)
        place_new_rows(writer, bytes, pending, old->cursor.durable_rows);
    else
        tape_reseat(&file->cursor, bytes, &pending->write);
    old->writes_pending--;
    pending->file = file;
    file->writes_pending++;
}

void tape_rescue_place(struct tape_writer *writer)
{
    ensure(writer->broken && !writer->flying);
    ensure(writer->current && writer->current->cursor.sequence == 0);
    for (uint32_t h = 0; h < 2; h++) {
        struct tape_half *half = &writer->half[h == 0 ? 1 - writer->filling : writer->filling];
        for (uint32_t i = half->next; i < half->count; i++)
            place(writer, half, &half->pending[i]);
    }
    writer->broken = false;
}
