// SPDX-License-Identifier: GPL-3.0-or-later
//
// A tape that had to go for want of room, read from the segments that its rows are in. Each block
// of a segment stands for a batch: rows of one symbol are in the order of the tape there, and
// nothing more is promised. Row numbers of the tape are kept only for channels without identity,
// so rows get numbers of their own, from MIRROR_REMADE_ROW on, in the order of the catalogue. What
// was sent of the tape while it was there is sent again.
//
// The segments hold nothing but that tape, unless the catalogue was half full or the mirror was off
// for a while: then they may have been merged, also while they are read. Where that happens after
// some rows were sent, the numbers begin anew, higher. Of a merged segment all rows of a channel
// with identity are sent, for it does not tell their tapes: some come twice.
//
// Memory: one decoded block, the list of segments and their indexes, while the tape is read.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/catalogue.h"
#include "format/ensure.h"
#include "format/segment.h"
#include "publish/mirror_inside.h"

enum { SEGMENT_NONE = UINT32_MAX, CATALOGUE_BYTES_MAX = 64 << 20 };

struct remade_segment {
    struct catalogue_segment listed;
    uint64_t first; // number of its first row
    bool damaged;
};

struct mirror_remade {
    uint64_t first; // number of the tape's first row
    uint64_t end;
    uint32_t count;
    uint32_t tries;
    uint32_t open;  // the segment that is open or on its way
    uint32_t block; // the one viewed
    struct remade_segment *segments;
    struct segment *segment;
    struct event_text *names;
    uint64_t *block_first;
    uint32_t arrival[SEGMENT_BLOCK_ROWS_MAX]; // 0, 1, 2 ...
    char path[KEEP_FILE_NAME_BYTES_MAX];
};

static void catalogue_next(struct io *io, struct io_op *op);

// ---- memory ----

static void segment_leave(struct mirror_file *file)
{
    struct mirror_remade *remade = file->remade;
    if (remade->segment != NULL) segment_close(remade->segment);
    free(remade->names);
    free(remade->block_first);
    remade->segment = NULL;
    remade->names = NULL;
    remade->block_first = NULL;
    remade->open = SEGMENT_NONE;
    file->held = false;
    struct mirror_decoded *decoded = &file->mirror->decoded;
    if (decoded->tape == file->tape) decoded->valid = false; // it points there
}

void mirror_remade_free(struct mirror_file *file)
{
    if (file->remade == NULL) return;
    segment_leave(file);
    free(file->remade->segments);
    free(file->remade);
    file->remade = NULL;
}

static void give_up(struct mirror_file *file, const char *why)
{
    mirror_remade_free(file);
    file->state = FILE_GONE;
    mirror_tell_lost(file->mirror, file->tape, why, 0);
}

// ---- numbers ----

static uint64_t set_of(const struct mirror *mirror, uint32_t tape)
{
    uint64_t row = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct mirror_lane *lane = &mirror->lanes[c];
        for (int s = 0; s < MIRROR_STREAMS && lane->used; s++) {
            if (lane->position[s].tape == tape && lane->position[s].row > row)
                row = lane->position[s].row;
        }
        for (int s = 0; s < MIRROR_SHARDS_MAX && lane->used; s++) {
            const struct mirror_cursor *cursor = &mirror->state.cursor[c][s];
            if (cursor->tape == tape && cursor->rows > row) row = cursor->rows;
        }
    }
    return row / MIRROR_REMADE_ROW;
}

bool mirror_remade_before(const struct mirror *mirror, uint32_t tape)
{
    return set_of(mirror, tape) > 0;
}

// The set in the lowest byte: what was numbered in one set is never numbered so again, though no
// cursor may tell that it was begun.
static uint64_t layout_of(const struct mirror_remade *remade, uint64_t set)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < remade->count; i++) {
        uint64_t what[2] = {remade->segments[i].listed.number, remade->segments[i].listed.rows};
        hash = XXH3_64bits_withSeed(what, sizeof what, hash);
    }
    return (hash & ~(uint64_t)MIRROR_REMADE_SETS_MAX) | set;
}

static void number_rows(struct mirror_file *file)
{
    struct mirror *mirror = file->mirror;
    struct mirror_remade *remade = file->remade;
    struct mirror_state_tape *note = mirror_noted(mirror, file->tape);
    const uint64_t known = note != NULL ? note->layout & MIRROR_REMADE_SETS_MAX : 0;
    const uint64_t reached = set_of(mirror, file->tape);
    uint64_t set = known > reached ? known : reached;
    const bool changed = note != NULL && note->layout != layout_of(remade, set);
    if (set == 0 || (changed && set < MIRROR_REMADE_SETS_MAX)) set++;
    if (changed) {
        note->layout = layout_of(remade, set);
        mirror->dirty = true;
    }
    remade->first = remade->end = set * MIRROR_REMADE_ROW;
    for (uint32_t i = 0; i < remade->count; i++) {
        remade->segments[i].first = remade->end;
        remade->end += remade->segments[i].listed.rows;
    }
}

// ---- the catalogue ----

static bool select_segments(struct mirror_file *file, const struct catalogue *catalogue)
{
    struct mirror_remade *remade = file->remade;
    remade->count = 0;
    remade->segments = calloc(catalogue->segment_count + 1u, sizeof *remade->segments);
    for (uint32_t i = 0; i < catalogue->segment_count && remade->segments != NULL; i++) {
        const struct catalogue_segment *listed = &catalogue->segments[i];
        if (listed->tape_first <= file->tape && file->tape <= listed->tape_last &&
            listed->rows > 0 && listed->rows < UINT32_MAX)
            remade->segments[remade->count++].listed = *listed;
    }
    return remade->segments != NULL;
}

// It is small, and replaced at any time: what was read may be cut.
static bool catalogue_read(struct mirror_file *file)
{
    struct mirror *mirror = file->mirror;
    struct catalogue catalogue;
    int64_t size = io_file_size(mirror->io, file->remade->path);
    if (size <= 0 || size > CATALOGUE_BYTES_MAX) return false;
    if (catalogue_init(&catalogue, keep_store_identity(mirror->options.store)) < 0) return false;
    char *text = malloc((size_t)size);
    int64_t got = -ENOMEM;
    if (text != NULL) got = io_read_now(mirror->io, file->handle, text, (size_t)size, 0);
    bool good = got == size && catalogue_parse(&catalogue, text, (size_t)size) == 0 &&
                select_segments(file, &catalogue);
    if (!good) io_read_afresh(mirror->io, file->handle);
    free(text);
    catalogue_free(&catalogue);
    return good;
}

static void catalogue_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_file *file = io_owner(op, struct mirror_file, op);
    struct mirror_remade *remade = file->remade;
    if (op->result >= 0) file->handle = (int)op->result;
    if (op->result < 0 || !catalogue_read(file)) {
        mirror_remake(file);
    } else if (remade->count == 0) {
        give_up(file, "neither the tape nor a segment of it is there");
    } else {
        number_rows(file);
        file->state = FILE_READY;
    }
    mirror_pump(file->mirror);
}

static void catalogue_next(struct io *io, struct io_op *op)
{
    struct mirror_file *file = io_owner(op, struct mirror_file, op);
    int *handle = file->handle >= 0 ? &file->handle : &file->mark_handle;
    int open = *handle;
    *handle = -1;
    if (open >= 0) io_close(io, &file->op, open, catalogue_next);
    else io_open(io, &file->op, file->remade->path, IO_OPEN_READ, catalogue_opened);
}

void mirror_remake(struct mirror_file *file)
{
    struct mirror *mirror = file->mirror;
    file->state = FILE_OPENING;
    if (file->remade == NULL) file->remade = calloc(1, sizeof *file->remade);
    if (file->remade == NULL || file->remade->tries++ == MIRROR_REMAKE_TRIES) {
        give_up(file, "its segments cannot be found");
        return;
    }
    struct mirror_remade *remade = file->remade;
    segment_leave(file);
    free(remade->segments);
    remade->segments = NULL;
    for (uint32_t r = 0; r < SEGMENT_BLOCK_ROWS_MAX; r++) remade->arrival[r] = r;
    const struct mirror_state_tape *note = mirror_noted(mirror, file->tape);
    file->shard = note != NULL ? note->shard : MIRROR_SHARDS_MAX;
    (void)snprintf(remade->path, sizeof remade->path, "%s/catalogue",
                   keep_store_path(mirror->options.store));
    catalogue_next(mirror->io, &file->op);
}

// ---- segments ----

static int64_t segment_source(void *context, uint64_t offset, void *out, size_t size)
{
    struct mirror_file *file = context;
    return io_read_now(file->mirror->io, file->handle, out, size, (int64_t)offset);
}

static void segment_afresh(void *context)
{
    struct mirror_file *file = context;
    io_read_afresh(file->mirror->io, file->handle);
}

static enum segment_error segment_begin(struct mirror_file *file)
{
    struct mirror_remade *remade = file->remade;
    const struct catalogue_segment *listed = &remade->segments[remade->open].listed;
    struct source source = {.size = listed->bytes, .read = segment_source, .context = file,
                            .afresh = segment_afresh};
    enum segment_error error = segment_open(&remade->segment, &source, NULL, 0);
    if (error != SEGMENT_GOOD) {
        remade->segment = NULL;
        return error;
    }
    if (!segment_is(remade->segment, listed->number, listed->day, listed->channel))
        return SEGMENT_OTHER;
    const struct index *index = segment_index(remade->segment);
    remade->names = calloc(index->symbol_count + 1u, sizeof *remade->names);
    remade->block_first = calloc(index->block_count + 1u, sizeof *remade->block_first);
    if (remade->names == NULL || remade->block_first == NULL) return SEGMENT_NO_MEMORY;
    for (uint32_t i = 0; i < index->symbol_count; i++) remade->names[i] = index_name(index, i);
    for (uint32_t b = 0; b < index->block_count; b++)
        remade->block_first[b + 1] = remade->block_first[b] + index->blocks[b].rows;
    return remade->block_first[index->block_count] == listed->rows ? SEGMENT_GOOD
                                                                   : SEGMENT_BAD_INDEX;
}

static void segment_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_file *file = io_owner(op, struct mirror_file, op);
    struct mirror_remade *remade = file->remade;
    struct remade_segment *segment = &remade->segments[remade->open];
    if (op->result == -ENOENT && remade->tries < MIRROR_REMAKE_TRIES) {
        mirror_remake(file); // merged meanwhile
        mirror_pump(file->mirror);
        return;
    }
    if (op->result >= 0) file->handle = (int)op->result;
    enum segment_error error = op->result < 0 ? SEGMENT_READ_FAILED : segment_begin(file);
    if (error != SEGMENT_GOOD) {
        segment->damaged = true;
        segment_leave(file);
        mirror_tell_lost(file->mirror, file->tape, segment_error_text(error),
                         segment->listed.rows);
    } else {
        remade->tries = 0;
    }
    file->state = FILE_READY;
    mirror_pump(file->mirror);
}

static void segment_next(struct io *io, struct io_op *op)
{
    struct mirror_file *file = io_owner(op, struct mirror_file, op);
    int open = file->handle;
    file->handle = -1;
    if (open >= 0) io_close(io, &file->op, open, segment_next);
    else io_open(io, &file->op, file->remade->path, IO_OPEN_READ, segment_opened);
}

static void segment_start(struct mirror_file *file, uint32_t number)
{
    struct mirror_remade *remade = file->remade;
    char relative[CATALOGUE_PATH_BYTES_MAX];
    segment_leave(file);
    remade->open = number;
    catalogue_segment_path(&remade->segments[number].listed, "segment", relative);
    (void)snprintf(remade->path, sizeof remade->path, "%.900s/%s",
                   keep_store_path(file->mirror->options.store), relative);
    file->state = FILE_OPENING;
    segment_next(file->mirror->io, &file->op);
}

// ---- fetching ----

static void hold(struct mirror_file *file, uint64_t first, uint64_t end, uint32_t channels,
                 uint64_t sequence)
{
    file->item = (struct tape_item){.header = {.first_row = first,
                                               .rows = (uint32_t)(end - first),
                                               .sequence = sequence,
                                               .revision = UINT32_MAX,
                                               .channels = (uint16_t)channels}};
    file->held = true;
}

static void hold_block(struct mirror_file *file, const struct remade_segment *segment,
                       uint64_t row)
{
    struct mirror_remade *remade = file->remade;
    uint32_t low = 0;
    uint32_t high = segment_index(remade->segment)->block_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->first + remade->block_first[middle] <= row) low = middle;
        else high = middle;
    }
    remade->block = low;
    hold(file, segment->first + remade->block_first[low],
         segment->first + remade->block_first[low + 1], 1u << segment->listed.channel,
         ((uint64_t)remade->open << 32 | low) + 1);
}

enum mirror_fetch mirror_remade_fetch(struct mirror_file *file, enum channel channel,
                                      uint64_t row)
{
    struct mirror_remade *remade = file->remade;
    ensure(file->state == FILE_READY && remade->count > 0);
    if (row < remade->first) {
        hold(file, remade->first, remade->first, 0, 0);
        return FETCH_SKIP;
    }
    if (row >= remade->end) return FETCH_END;
    uint32_t s = remade->count - 1;
    while (remade->segments[s].first > row) s--;
    const struct remade_segment *segment = &remade->segments[s];
    bool wanted = channel == MESSAGE_BATCHES || segment->listed.channel == channel;
    if (!wanted || segment->damaged) {
        hold(file, segment->first, segment->first + segment->listed.rows, 0, 0);
    } else if (remade->open != s) {
        segment_start(file, s);
        return FETCH_WAIT;
    } else {
        hold_block(file, segment, row);
        file->mirror->counters.from_segments++;
    }
    return FETCH_BATCH;
}

bool mirror_remade_decode(struct mirror_file *file, struct mirror_decoded *decoded)
{
    struct mirror_remade *remade = file->remade;
    struct segment_block block;
    if (segment_read(remade->segment, remade->block, UINT64_MAX, &block) != SEGMENT_GOOD ||
        block.unknown_columns != 0 || block.unknown_levels)
        return false;
    enum channel channel = block.rows->schema->channel;
    ensure(block.rows->count <= SEGMENT_BLOCK_ROWS_MAX);
    decoded->batch.symbols = remade->names;
    decoded->batch.rows[channel] = *block.rows;
    decoded->batch.arrival[channel] = remade->arrival;
    decoded->row_tape = block.tape;
    decoded->row_number = block.row;
    return true;
}

// ---- as batches ----

static struct event_text name_of(const void *context, uint32_t symbol)
{
    const struct mirror_remade *remade = context;
    return remade->names[symbol];
}

// Its rows have the numbers that cursors count them by here, which no tape has.
bool mirror_remade_encode(struct mirror *mirror, struct producer_message *message)
{
    const struct mirror_view *view = &mirror->view;
    const struct mirror_remade *remade = view->remade->remade;
    const struct tape_batch *batch = mirror_decode(mirror);
    if (batch == NULL || segment_index(remade->segment)->symbol_count > TAPE_BATCH_SYMBOLS_MAX)
        return false;
    enum channel channel = (enum channel)__builtin_ctz(view->channels);
    struct tape_batch_input input = {.count = batch->rows[channel].count,
                                     .symbol = name_of,
                                     .symbol_context = remade};
    input.rows[channel] = &batch->rows[channel];
    input.arrival[channel] = remade->arrival;
    const struct tape_batch_place place = {.salt = layout_of(remade, 0) | 1,
                                           .sequence = view->sequence,
                                           .first_row = view->first_row};
    struct tape_encoder *encoder = tape_encoder_init(mirror->encoder_memory,
                                                     TAPE_BATCH_SYMBOLS_MAX);
    int64_t bytes = tape_encode_batch(encoder, &place, &input, 0, mirror->scratch,
                                      MIRROR_SCRATCH_BYTES);
    message->value = mirror->scratch;
    message->value_size = bytes > 0 ? (uint32_t)bytes : 0;
    return bytes > 0;
}
