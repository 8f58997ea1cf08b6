// SPDX-License-Identifier: Apache-2.0
//
// Batches of a tape one after the other. One that cannot match is checked, since the chain needs
// it, but not decoded.
#include <errno.h>
#include <stdlib.h>

#include "format/ensure.h"
#include "format/store_scan_inside.h"

static int damaged_file(struct store_scan *scan, const struct scan_entry *entry, const char *what)
{
    struct store_damage damage = {.path = entry->path, .what = what, .bytes = entry->file.size};
    return scan_report(scan, &damage);
}

static int open_reader(struct store_scan *scan, struct scan_entry *entry, size_t mark_size)
{
    struct scan_tape *tape = entry->tape;
    enum tape_error bad = TAPE_GOOD;
    struct source source = store_file_source(&entry->file);
    int error = tape_reader_open(&tape->reader, &source, entry->number,
                                 mark_size > 0 ? tape->mark : NULL, mark_size, &bad);
    if (error == 0) {
        tape->reading = true;
        tape->reader.look_ahead = TAPE_LIVE_LOOK_AHEAD;
        if (store_owns_tape(scan->store, &tape->reader.header, entry->number))
            return 0;
        tape->reading = false;
        tape_reader_close(&tape->reader);
        return damaged_file(scan, entry, "a tape of another number or store");
    }
    if (error != -EBADMSG)
        return error;
    // A tape that is just being created has no header yet, and no rows.
    error = tape_reader_unused(&source, entry->number, tape->mark, mark_size);
    if (error != 0)
        return error < 0 ? error : 0;
    entry->done = true;
    return damaged_file(scan, entry, tape_error_text(bad));
}

int64_t scan_read_mark(struct store_scan *scan, struct scan_entry *entry)
{
    struct scan_tape *tape = entry->tape;
    // Once told it holds, also when the tape that told it is sealed and gone.
    tape->ended = store_tape_end(scan->store, entry->number, tape->mark) || tape->ended;
    if (tape->ended)
        return sizeof tape->mark;
    if (entry->mark_file.descriptor < 0) {
        int error = store_file_open(&entry->mark_file, scan->store, entry->other_path);
        // None yet; or gone with the tape, and then nothing tells where that ended.
        if (error == -ENOENT)
            return entry->final && tape->reader.mark.magic == 0 ? -ESTALE : 0;
        if (error < 0)
            return error;
    }
    entry->mark_file.size = sizeof tape->mark;
    const struct source source = store_file_source(&entry->mark_file);
    int64_t got;
    (void)source_get(&source, 0, sizeof tape->mark, tape->mark, &got);
    return got;
}

int scan_enter_tape(struct store_scan *scan, struct scan_entry *entry)
{
    ensure(!entry->tape && entry->opened);
    entry->tape = calloc(1, sizeof *entry->tape);
    if (!entry->tape)
        return -ENOMEM;
    // It may tell the end of a tape that was read without knowing it; none of its rows was durable
    // when the scan was opened. (A follower enters it again.)
    if (entry->fresh && scan->query.follow == STORE_FOLLOW_NOT)
        return 0;
    entry->tape->passing = scan->query.follow == STORE_FOLLOW_NEW && scan->first_pass;
    int64_t mark = scan_read_mark(scan, entry);
    // After the mark: a tape that grows has by now what its mark tells of.
    int error = mark < 0 ? (int)mark : store_file_measure(&entry->file);
    if (error == 0)
        error = open_reader(scan, entry, (size_t)mark);
    return error < 0 || scan->query.follow == STORE_FOLLOW_NOT ? error
                                                               : scan_follow_tape(scan, entry);
}

static int damaged_tape(struct store_scan *scan, const struct scan_entry *entry,
                        const struct tape_damage *found)
{
    if (!found->acknowledged) // part of a write that a crash cut off: nobody was told it is there
        return 0;
    struct store_damage damage = {.path = entry->path,
                                  .what = tape_error_text(found->error),
                                  .offset = found->offset,
                                  .bytes = found->bytes,
                                  .rows = found->rows,
                                  .sequence_first = found->sequence_first,
                                  .sequence_last = found->sequence_last};
    return scan_report(scan, &damage);
}

// 1: decoded, 0: damaged, negative: errno.
static int decode_batch(struct store_scan *scan, const struct scan_entry *entry,
                        const struct tape_item *item)
{
    if (item->memory_bytes > scan->decode_size) {
        free(scan->decode_memory);
        scan->decode_size = (item->memory_bytes + 63) & ~(size_t)63;
        scan->decode_memory = aligned_alloc(64, scan->decode_size);
        if (!scan->decode_memory) {
            scan->decode_size = 0;
            return -ENOMEM;
        }
    }
    enum tape_error bad = tape_decode_batch(item->bytes, item->size, scan->decode_memory,
                                            item->memory_bytes, &scan->batch);
    if (bad == TAPE_GOOD)
        return 1;
    struct tape_damage damage = {.offset = item->offset,
                                 .bytes = item->size,
                                 .rows = item->header.rows - item->rows_before,
                                 .sequence_first = item->header.sequence,
                                 .sequence_last = item->header.sequence,
                                 .acknowledged = true,
                                 .error = bad};
    return damaged_tape(scan, entry, &damage);
}

static int room_for_rows(struct store_scan *scan, uint32_t rows)
{
    if (rows <= scan->row_room)
        return 0;
    free(scan->tape);
    free(scan->tape_row);
    scan->tape = malloc(rows * sizeof *scan->tape);
    scan->tape_row = malloc(rows * sizeof *scan->tape_row);
    scan->row_room = scan->tape && scan->tape_row ? rows : 0;
    return scan->row_room ? 0 : -ENOMEM;
}

// Rows of the decoded batch from arrival `rows_before` on: 1: chunk, 0: none match, or errno.
static int chunk_of_batch(struct store_scan *scan, const struct scan_entry *entry,
                          uint32_t rows_before, struct store_chunk *chunk)
{
    const struct rows *rows = &scan->batch.rows[scan->query.channel];
    const uint32_t *arrival = scan->batch.arrival[scan->query.channel];
    if (rows->count == 0)
        return 0;
    int64_t count = match_batch_names(&scan->match, &scan->batch);
    if (count == 0)
        count = match_rows(&scan->match, rows, arrival, rows_before);
    if (count > 0 && room_for_rows(scan, rows->count) < 0)
        return -ENOMEM;
    if (count <= 0)
        return (int)count;
    for (uint32_t row = 0; row < rows->count; row++) {
        scan->tape[row] = entry->number;
        scan->tape_row[row] = scan->batch.header.first_row + arrival[row];
    }
    *chunk = (struct store_chunk){.rows = rows,
                                  .index = scan->match.index,
                                  .count = (uint32_t)count,
                                  .symbols = scan->match.names,
                                  .symbol_count = scan->batch.header.symbols,
                                  .tape = scan->tape,
                                  .tape_row = scan->tape_row};
    return 1;
}

// 1: chunk, 0: nothing for the caller in this item, negative: errno.
static int take_item(struct store_scan *scan, struct scan_entry *entry,
                     const struct tape_item *item, struct store_chunk *chunk)
{
    if (item->is_damage)
        return entry->tape->passing ? 0 : damaged_tape(scan, entry, &item->damage);
    if (entry->tape->passing || !match_batch(&scan->match, &item->header)) {
        scan->counts.batches_skipped++;
        return 0;
    }
    scan->counts.batches_read++;
    int result = decode_batch(scan, entry, item);
    return result <= 0 ? result : chunk_of_batch(scan, entry, item->rows_before, chunk);
}

int scan_next_of_tape(struct store_scan *scan, struct scan_entry *entry,
                      struct store_chunk *chunk)
{
    struct scan_tape *tape = entry->tape;
    struct tape_item item;
    ensure(tape);
    while (tape->reading) {
        int result = tape_reader_next(&tape->reader, &item);
        if (result == 0)
            break;
        tape->begun = true;
        if (result > 0)
            result = take_item(scan, entry, &item, chunk);
        if (result != 0)
            return result;
    }
    tape->passing = false;
    entry->done = entry->done || scan->query.follow == STORE_FOLLOW_NOT || entry->final ||
                  (tape->reading && tape_reader_complete(&tape->reader));
    return 0;
}
