// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the store says of days that are over: the ledger, the status rows about holes, which rows
// lie on tapes. A file is one step: opened, read at once, closed.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/read_around.h"
#include "keep/sealer_days_inside.h"

static void next_file(struct sealer *sealer);

static void give_up(struct sealer *sealer, const char *cause)
{
    sealer_days_fail(sealer, cause);
    sealer_days_end(sealer);
}

// ---- files ----

static int64_t read_file(void *context, uint64_t offset, void *out, size_t size)
{
    struct sealer *sealer = context;
    return io_read_now(sealer->io, sealer->days->handle, out, size, (int64_t)offset);
}

static void file_afresh(void *context)
{
    struct sealer *sealer = context;
    io_read_afresh(sealer->io, sealer->days->handle);
}

static void file_closed(struct io *io, struct io_op *op)
{
    (void)io;
    struct sealer *sealer = io_owner(op, struct sealer, op);
    if (sealer->stopping || sealer->days->failed)
        sealer_days_end(sealer);
    else if (sealer->days->step == DAYS_MARKERS)
        sealer_days_marker_read(sealer);
    else
        next_file(sealer);
}

void sealer_days_close_file(struct sealer *sealer)
{
    io_close(sealer->io, &sealer->op, sealer->days->handle, file_closed);
}

static void fail_file(struct sealer *sealer, const char *cause)
{
    sealer_days_fail(sealer, cause);
    sealer_days_close_file(sealer);
}

char *sealer_days_load_file(struct sealer *sealer, int64_t most, int64_t *size)
{
    *size = io_file_size(sealer->io, sealer->days->path);
    if (*size > most)
        *size = -EFBIG;
    if (*size < 0)
        return NULL;
    char *text = malloc((size_t)*size + 1);
    int64_t got = text ? read_file(sealer, 0, text, (size_t)*size) : -ENOMEM;
    if (got == *size)
        return text;
    free(text);
    *size = got < 0 ? got : -EIO;
    return NULL;
}

static bool load_ledger(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    int64_t size;
    char *text = sealer_days_load_file(sealer, LEDGER_FILE_BYTES_MAX, &size);
    if (!text)
        return false;
    bool good = ledger_parse(&days->ledger, text, (size_t)size) == 0;
    free(text);
    return good;
}

static void base_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_days *days = sealer->days;
    if (op->result == -ENOENT) { // a store that only ever was sealed
        sealer_days_finish(sealer);
        return;
    }
    if (op->result < 0) {
        give_up(sealer, strerror((int)-op->result));
        return;
    }
    days->handle = (int)op->result;
    if (!load_ledger(sealer)) {
        fail_file(sealer, "the ledger cannot be read");
        return;
    }
    ledger_whole_base(&days->whole, &days->ledger);
    days->step = DAYS_SHARDS;
    sealer_days_close_file(sealer);
}

static void shard_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_days *days = sealer->days;
    days->at++;
    if (op->result < 0) { // not written yet
        ledger_whole_shard(&days->whole, NULL);
        next_file(sealer);
        return;
    }
    days->handle = (int)op->result;
    ledger_whole_shard(&days->whole, load_ledger(sealer) ? &days->ledger : NULL);
    sealer_days_close_file(sealer);
}

// ---- status rows of segments ----

static bool load_blocks(struct sealer_days *days, struct segment *segment)
{
    const struct index *index = segment_index(segment);
    struct event_text *names = calloc(index->symbol_count + 1u, sizeof *names);
    bool good = names != NULL;
    for (uint32_t i = 0; good && i < index->symbol_count; i++)
        names[i] = index_name(index, i);
    for (uint32_t b = 0; good && b < index->block_count; b++) {
        struct segment_block block;
        good = segment_read(segment, b, UINT64_MAX, &block) == SEGMENT_GOOD;
        if (good)
            ledger_whole_rows(&days->whole, block.rows, NULL, block.rows->count, names);
    }
    free(names);
    return good;
}

static void segment_opened(struct io *io, struct io_op *op)
{
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_days *days = sealer->days;
    if (op->result < 0) {
        give_up(sealer, strerror((int)-op->result));
        return;
    }
    days->handle = (int)op->result;
    int64_t size = io_file_size(io, days->path);
    struct segment *segment;
    const struct source source = {
        .size = size < 0 ? 0 : (uint64_t)size, .read = read_file, .context = sealer,
        .afresh = file_afresh};
    if (segment_open(&segment, &source, NULL, 0) != SEGMENT_GOOD) {
        fail_file(sealer, "damaged; run `ringtape verify`");
        return;
    }
    const struct catalogue_segment *listed = &sealer->catalogue->segments[days->at - 1];
    bool good = segment_is(segment, listed->number, listed->day, listed->channel) &&
                load_blocks(days, segment);
    segment_close(segment);
    if (good)
        sealer_days_close_file(sealer);
    else
        fail_file(sealer, "damaged; run `ringtape verify`");
}

// ---- tapes ----

// Which days of which channels have rows there; those of the status channel are taken.
static void take_batch(struct sealer_days *days, const struct tape_batch *batch)
{
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct rows *rows = channel_schema((enum channel)c) ? &batch->rows[c] : NULL;
        for (uint32_t row = 0; rows && row < rows->count; row++) {
            int32_t day = catalogue_day_of(rows_time_ns(rows, row));
            for (uint32_t i = days->count; i-- > 0 && days->days[i].day >= day;) {
                if (days->days[i].day == day)
                    days->on_tape[i] |= 1u << c;
            }
        }
    }
    const struct rows *status = &batch->rows[CHANNEL_STATUS];
    if (status->count > 0)
        ledger_whole_rows(&days->whole, status, NULL, status->count, batch->symbols);
}

// A batch of today without status rows need not be decoded.
static bool batch_matters(const struct sealer_days *days, const struct layout_batch *header)
{
    return (header->channels >> CHANNEL_STATUS & 1) != 0 ||
           header->time_min < day_end_ns(days->days[days->count - 1].day);
}

// False: what is on the tape is not known.
static bool take_tape(struct sealer *sealer, struct tape_reader *reader)
{
    struct sealer_days *days = sealer->days;
    struct tape_item item;
    struct tape_batch batch;
    int result;
    while ((result = tape_reader_next(reader, &item)) > 0) {
        if (item.is_damage && item.damage.acknowledged)
            return false;
        if (item.is_damage || !batch_matters(days, &item.header))
            continue;
        if (item.memory_bytes > SEALER_DECODE_BYTES ||
            tape_decode_batch(item.bytes, item.size, sealer->decode_memory, item.memory_bytes,
                              &batch) != TAPE_GOOD)
            return false;
        take_batch(days, &batch);
    }
    return result == 0;
}

static void tape_opened(struct io *io, struct io_op *op)
{
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_days *days = sealer->days;
    days->at++;
    days->step = DAYS_MARK;
    if (op->result == -ENOENT) { // a spare that was thrown away
        next_file(sealer);
        return;
    }
    if (op->result < 0) {
        give_up(sealer, strerror((int)-op->result));
        return;
    }
    days->handle = (int)op->result;
    int64_t size = io_file_size(io, days->path);
    const struct source source = {
        .size = size < 0 ? 0 : (uint64_t)size, .read = read_file, .context = sealer,
        .afresh = file_afresh};
    const uint32_t number = days->tapes[days->at - 1];
    struct tape_reader reader;
    enum tape_error error;
    int result = tape_reader_open(&reader, &source, number,
                                  days->mark_size > 0 ? days->mark : NULL, days->mark_size, &error);
    // A spare: nothing was appended to it.
    bool known = result == -EBADMSG &&
                 tape_reader_unused(&source, number, days->mark_size > 0 ? days->mark : NULL,
                                    days->mark_size) == 1;
    if (result == 0) {
        known = tape_header_is(&reader.header, number, keep_store_identity(sealer->store)) &&
                take_tape(sealer, &reader);
        tape_reader_close(&reader);
    }
    for (uint32_t i = 0; i < days->count && !known; i++)
        days->on_tape[i] = UINT32_MAX;
    sealer_days_close_file(sealer);
}

static void mark_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_days *days = sealer->days;
    struct layout_tape_end end;
    days->step = DAYS_TAPE;
    days->mark_size = 0;
    bool noted = keep_store_find_end(sealer->store, days->tapes[days->at], &end);
    if (noted) {
        tape_end_mark(&end, days->mark);
        days->mark_size = sizeof days->mark;
    }
    if (op->result < 0) {
        next_file(sealer);
        return;
    }
    days->handle = (int)op->result;
    int64_t got =
        noted ? 0 : read_agreed(sealer->io, days->handle, days->mark, sizeof days->mark, 0);
    if (got > 0)
        days->mark_size = (uint32_t)got;
    sealer_days_close_file(sealer);
}

static void list_tape(void *context, const char *name)
{
    struct sealer *sealer = context;
    struct sealer_days *days = sealer->days;
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (end == name || strcmp(end, ".tape") != 0 || number > UINT32_MAX ||
        catalogue_tape_sealed(sealer->catalogue, (uint32_t)number))
        return;
    if (days->tape_count == DAYS_TAPES_MAX)
        days->tapes_more = true;
    else
        days->tapes[days->tape_count++] = (uint32_t)number;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a;
    uint32_t two = *(const uint32_t *)b;
    return (one > two) - (one < two);
}

static bool list_tapes(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    days->tape_count = 0;
    days->tapes_more = false;
    (void)snprintf(days->path, sizeof days->path, "%s/tape", keep_store_path(sealer->store));
    if (io_list(sealer->io, days->path, list_tape, sealer) != 0 || days->tapes_more)
        return false;
    qsort(days->tapes, days->tape_count, sizeof *days->tapes, compare_numbers);
    return true;
}

// ---- one file after the other ----

// Where nothing changed but the ledger it has to allow one more marker, or rows are not read.
static bool ledger_allows(const struct sealer *sealer)
{
    const struct sealer_days *days = sealer->days;
    struct day_channel channels[CHANNEL_COUNT];
    if (days->generation != sealer->catalogue->generation)
        return true;
    for (uint32_t i = 0; i < days->count; i++) {
        struct day_state state = sealer_days_state(days, i);
        day_judge(&state, channels);
        for (int c = 1; c < CHANNEL_COUNT; c++) {
            bool closed = (days->days[i].closed >> c & 1) != 0;
            if (!closed && channels[c].used && channels[c].why[0] == '\0')
                return true;
        }
    }
    return false;
}

void sealer_days_open_file(struct sealer *sealer, io_callback *opened)
{
    io_open(sealer->io, &sealer->op, sealer->days->path, IO_OPEN_READ, opened);
}

static void ledger_read(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    ledger_whole_files_end(&days->whole);
    if (!ledger_allows(sealer)) {
        sealer_days_finish(sealer);
        return;
    }
    days->step = DAYS_SEGMENTS;
    days->at = 0;
    next_file(sealer);
}

// The next segment of the status channel.
static bool next_segment(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    const struct catalogue *catalogue = sealer->catalogue;
    char relative[CATALOGUE_PATH_BYTES_MAX];
    while (days->at < catalogue->segment_count &&
           catalogue->segments[days->at].channel != CHANNEL_STATUS)
        days->at++;
    if (days->at == catalogue->segment_count)
        return false;
    catalogue_segment_path(&catalogue->segments[days->at++], "segment", relative);
    (void)snprintf(days->path, sizeof days->path, "%.900s/%s", keep_store_path(sealer->store),
                   relative);
    sealer_days_open_file(sealer, segment_opened);
    return true;
}

static void begin_tapes(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    if (!list_tapes(sealer)) {
        give_up(sealer, "the folder of tapes cannot be read");
        return;
    }
    days->step = DAYS_MARK;
    days->at = 0;
    next_file(sealer);
}

static void next_tape(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    bool mark = days->step == DAYS_MARK;
    if (days->at == days->tape_count) {
        ledger_whole_end(&days->whole);
        sealer_days_mark(sealer);
        return;
    }
    keep_store_tape_path(sealer->store, days->tapes[days->at], mark ? "mark" : "tape", days->path);
    sealer_days_open_file(sealer, mark ? mark_opened : tape_opened);
}

static void next_file(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    if (sealer->stopping) {
        sealer_days_end(sealer);
        return;
    }
    switch (days->step) {
    case DAYS_BASE: break;
    case DAYS_SHARDS:
        if (days->at == days->whole.shards) {
            ledger_read(sealer);
            return;
        }
        (void)snprintf(days->path, sizeof days->path, "%.900s/ledger/shard-%02" PRIu32,
                       keep_store_path(sealer->store), days->at % 100);
        sealer_days_open_file(sealer, shard_opened);
        return;
    case DAYS_SEGMENTS:
        if (!next_segment(sealer))
            begin_tapes(sealer);
        return;
    case DAYS_MARK:
    case DAYS_TAPE: next_tape(sealer); return;
    case DAYS_MARKERS: break;
    }
    ensure(false);
}


void sealer_days_read(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    days->step = DAYS_BASE;
    days->at = 0;
    (void)snprintf(days->path, sizeof days->path, "%.900s/ledger/base",
                   keep_store_path(sealer->store));
    sealer_days_open_file(sealer, base_opened);
}
