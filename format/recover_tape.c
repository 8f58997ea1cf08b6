// SPDX-License-Identifier: Apache-2.0
//
// Both functions walk the tape with tape_reader; a walk gives whole, decodable batches, and
// everything else as losses.
#include "format/recover_tape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

struct walk {
    const struct recover_tape_input *tape;
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct recover_file file;
    struct source source;
    uint8_t mark[2 * LAYOUT_SECTOR];
    size_t mark_size;
    bool mark_unreadable; // there, but not a file that can be read
    struct tape_reader reader;
    bool opened;
    enum tape_error header_error; // of a tape of which nothing can be read
    void *memory;
    size_t memory_size;
    struct tape_batch batch;
    recover_loss_callback *lost;
    void *context;
    struct recover_loss loss; // waits for the time of the batch behind it; path NULL: none
    int64_t time_max;         // of the batch before
    bool damaged;
};

// ---- opening ----

static void load_mark(struct walk *walk, const char *directory)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    void *bytes;
    size_t size;
    if (walk->tape->has_end) {
        tape_end_mark(&walk->tape->end, walk->mark);
        walk->mark_size = sizeof walk->mark;
        return;
    }
    catalogue_tape_path(walk->tape->number, "mark", path);
    int error = recover_file_load(directory, path, &bytes, &size);
    walk->mark_unreadable = error < 0 && error != -ENOENT;
    if (error < 0)
        return;
    walk->mark_size = size < sizeof walk->mark ? size : sizeof walk->mark;
    memcpy(walk->mark, bytes, walk->mark_size);
    free(bytes);
}

static int walk_open(struct walk *walk, const struct recover_tape_input *tape,
                     const char *directory)
{
    *walk = (struct walk){.tape = tape, .time_max = INT64_MIN};
    catalogue_tape_path(tape->number, "tape", walk->path);
    int error = recover_file_open(&walk->file, directory, walk->path);
    if (error < 0)
        return error;
    walk->source = recover_file_source(&walk->file);
    load_mark(walk, directory);
    error = tape_reader_open(&walk->reader, &walk->source, tape->number,
                             walk->mark_size ? walk->mark : NULL, walk->mark_size,
                             &walk->header_error);
    walk->opened = error == 0;
    if (error == -EBADMSG && walk->header_error == TAPE_NEWER)
        error = -EPROTONOSUPPORT;
    return error == -EBADMSG ? 0 : error;
}

static void walk_close(struct walk *walk)
{
    if (walk->opened)
        tape_reader_close(&walk->reader);
    recover_file_close(&walk->file);
    free(walk->memory);
}

// ---- losses ----

static void tell(struct walk *walk, int64_t time_next)
{
    if (!walk->loss.path)
        return;
    if (walk->loss.time_min > walk->loss.time_max && walk->time_max != INT64_MIN) {
        walk->loss.time_min = walk->time_max;
        walk->loss.time_max = time_next;
    }
    if (walk->lost)
        walk->lost(walk->context, &walk->loss);
    walk->loss.path = NULL;
}

static void note_loss(struct walk *walk, enum tape_error error, uint64_t offset, uint64_t bytes,
                      uint64_t rows)
{
    tell(walk, INT64_MAX);
    walk->damaged = true;
    walk->loss = (struct recover_loss){
        .path = walk->path,
        .what = tape_error_text(error),
        .offset = offset,
        .bytes = bytes,
        .rows = rows,
        .time_min = INT64_MAX,
        .time_max = INT64_MIN,
    };
    // A header that is right still says what the payload held.
    uint8_t sector[LAYOUT_SECTOR];
    struct layout_batch header;
    int64_t got;
    const uint8_t *found = source_get(&walk->source, offset, sizeof sector, sector, &got);
    if (found && tape_decode_header(found, (size_t)got, &header) == TAPE_GOOD) {
        walk->loss.rows = rows != 0 ? rows : header.rows;
        walk->loss.channels = header.channels;
        walk->loss.time_min = header.time_min;
        walk->loss.time_max = header.time_max;
    }
}

static void note_damage(struct walk *walk, const struct tape_damage *damage)
{
    if (!damage->acknowledged)
        return; // a torn write
    if (damage->offset == 0 && damage->rows == 0)
        walk->damaged = true; // the file header: no rows
    else
        note_loss(walk, damage->error, damage->offset, damage->bytes, damage->rows);
}

// ---- walking ----

static int decode(struct walk *walk, const struct tape_item *item)
{
    if (item->memory_bytes > walk->memory_size) {
        free(walk->memory);
        walk->memory_size = (item->memory_bytes + 63) & ~(size_t)63;
        walk->memory = aligned_alloc(64, walk->memory_size);
        if (!walk->memory)
            return -ENOMEM;
    }
    enum tape_error error = tape_decode_batch(item->bytes, item->size, walk->memory,
                                              item->memory_bytes, &walk->batch);
    if (error == TAPE_GOOD)
        return 1;
    note_loss(walk, error, item->offset, item->size, item->header.rows - item->rows_before);
    return 0;
}

// Without a mark nobody knows whether the last write was cut off by a crash or damaged later.
static void torn_end(struct walk *walk)
{
    const struct tape_reader *reader = &walk->reader;
    if (!walk->opened || reader->end != TAPE_END_TORN || reader->mark.magic != 0)
        return;
    note_loss(walk, reader->end_error, reader->offset, reader->source.size - reader->offset, 0);
    walk->loss.what = "a write cut off, or damaged; nothing says that it was acknowledged";
}

// The next batch that can be decoded: 1; 0: the end; negative: errno.
static int walk_next(struct walk *walk, struct tape_item *item)
{
    int result = 0;
    while (walk->opened && (result = tape_reader_next(&walk->reader, item)) > 0) {
        if (item->is_damage) {
            note_damage(walk, &item->damage);
            continue;
        }
        tell(walk, item->header.time_min);
        walk->time_max = item->header.time_max;
        result = decode(walk, item);
        if (result != 0)
            return result;
    }
    if (result == 0)
        torn_end(walk);
    if (result == 0)
        tell(walk, INT64_MAX);
    return result;
}

// Of a tape that has no good header and no good first batch.
static int without_header(struct walk *walk, struct recover_tape_input *tape)
{
    int unused = tape_reader_unused(&walk->source, tape->number, walk->mark, walk->mark_size);
    if (unused < 0)
        return unused;
    tape->unused = unused == 1 && walk->file.unreadable == 0;
    if (!tape->unused)
        note_loss(walk, walk->header_error, 0, walk->file.size, 0);
    tell(walk, INT64_MAX);
    return 0;
}

// A header that is damaged (number 0) says nothing.
static bool is_owned(const struct walk *walk, const uint8_t *store)
{
    return tape_header_is(&walk->reader.header, walk->tape->number, store);
}

static void leave_alone(struct walk *walk)
{
    note_loss(walk, TAPE_GOOD, 0, walk->file.size, 0);
    walk->loss.what = "a tape of another number or store";
    tell(walk, INT64_MAX);
}

// A folder or the like in its place. The mark tells how many rows there were.
static int not_a_file(struct walk *walk, struct recover_tape_input *tape, const char *directory)
{
    struct layout_mark mark;
    struct recover_loss loss = {.path = walk->path,
                                .what = RECOVER_NOT_A_FILE,
                                .time_min = INT64_MAX,
                                .time_max = INT64_MIN};
    load_mark(walk, directory);
    if (walk->mark_size > 0 &&
        tape_mark_alone(walk->mark, walk->mark_size, &mark) == TAPE_GOOD)
        loss.rows = mark.rows;
    if (walk->lost)
        walk->lost(walk->context, &loss);
    tape->foreign = true;
    walk_close(walk);
    return 0;
}

int recover_tape_read(struct recover_tape_input *tape, const char *directory,
                      const uint8_t *store, recover_loss_callback *lost, recover_batch *batch,
                      void *context)
{
    struct walk walk;
    struct tape_item item;
    tape->rows = tape->bytes = 0;
    tape->unused = tape->sound = tape->mark_sound = false;
    int result = walk_open(&walk, tape, directory);
    walk.lost = lost;
    walk.context = context;
    if (result == -EISDIR)
        return not_a_file(&walk, tape, directory);
    if (result == 0 && !walk.opened)
        result = without_header(&walk, tape);
    tape->foreign = result == 0 && walk.opened && !is_owned(&walk, store);
    if (tape->foreign)
        leave_alone(&walk);
    while (result == 0 && !tape->foreign && (result = walk_next(&walk, &item)) == 1) {
        tape->rows += item.header.rows - item.rows_before;
        result = batch ? batch(context, tape->number, &walk.batch, item.rows_before) : 0;
    }
    if (walk.opened) {
        tape->bytes = walk.reader.offset;
        tape->sound = !walk.damaged && walk.file.unreadable == 0;
        tape->found = (struct layout_tape_end){
            .salt = walk.reader.header.salt,
            .sequence = walk.reader.sequence,
            .rows = walk.reader.rows,
            .end = walk.reader.offset,
            .revision = walk.reader.last_revision,
            .number = tape->number,
        };
        tape->mark_sound = walk.mark_size == 0
                               ? !walk.mark_unreadable
                               : tape_mark_sound(walk.mark, walk.mark_size,
                                                 walk.reader.header.salt);
    }
    walk_close(&walk);
    return result;
}

// ---- writing ----

struct rewriting {
    struct tape_cursor cursor;
    struct recover_output *output;
    uint8_t *room; // one batch in whole sectors
    size_t room_size;
};

static int put_batch(struct rewriting *rewriting, const struct tape_item *item)
{
    if (item->header.header_bytes != LAYOUT_HEADER_BYTES)
        return -EPROTONOSUPPORT;
    size_t padded = (item->size + LAYOUT_SECTOR - 1) & ~(size_t)(LAYOUT_SECTOR - 1);
    if (padded > rewriting->room_size) {
        free(rewriting->room);
        rewriting->room = aligned_alloc(LAYOUT_SECTOR, padded);
        rewriting->room_size = padded;
        if (!rewriting->room)
            return -ENOMEM;
    }
    memcpy(rewriting->room, item->bytes, item->size);
    memset(rewriting->room + item->size, 0, padded - item->size);
    // The batch keeps its place among the rows of the tape.
    if (item->header.first_row > rewriting->cursor.rows)
        rewriting->cursor.rows = item->header.first_row;
    struct tape_write write = {.batch_bytes = item->size};
    tape_reseat(&rewriting->cursor, rewriting->room, &write);
    ensure(write.bytes == padded);
    int error = recover_output_put(rewriting->output, write.offset, rewriting->room, padded);
    tape_acknowledge(&rewriting->cursor, &write);
    return error;
}

static int put_header(struct rewriting *rewriting, const struct walk *walk, const uint8_t *store,
                      uint64_t salt)
{
    uint8_t sector[LAYOUT_SECTOR];
    struct tape_description what = {
        .salt = salt,
        .created_ns = walk->reader.header.created_ns,
        .number = walk->tape->number,
        .shard = walk->reader.header.shard,
        .writer = "ringtape recover",
        .gaps = true,
    };
    memcpy(what.store, store, sizeof what.store);
    tape_header_encode(&what, sector, &rewriting->cursor);
    return recover_output_put(rewriting->output, 0, sector, sizeof sector);
}

int recover_tape_write(const struct recover_tape_input *tape, const char *directory,
                       const uint8_t *store, uint64_t salt, struct recover_output *output,
                       uint8_t *mark)
{
    struct walk walk;
    struct tape_item item;
    struct rewriting rewriting = {.output = output};
    int result = walk_open(&walk, tape, directory);
    if (result == 0)
        result = put_header(&rewriting, &walk, store, salt);
    while (result == 0 && (result = walk_next(&walk, &item)) == 1)
        result = item.rows_before > 0 ? 0 : put_batch(&rewriting, &item);
    free(rewriting.room);
    walk_close(&walk);
    uint8_t sector[LAYOUT_SECTOR];
    memset(mark, 0, 2 * (size_t)LAYOUT_SECTOR);
    uint64_t offset = tape_mark_encode(&rewriting.cursor, true, sector);
    memcpy(mark + offset, sector, sizeof sector);
    return result;
}
