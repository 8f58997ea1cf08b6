// SPDX-License-Identifier: GPL-3.0-or-later
//
// Batches at a position: from the feed of a shard where it holds them, else from the tape, up to
// what is durable, else from segments (mirror_segments.c). A tape of this life that a shard has
// left is read up to where the feed says that it ended.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

// ---- fetching ----

void mirror_tell_lost(struct mirror *mirror, uint32_t tape, const char *what, uint64_t rows)
{
    char detail[KEEP_NEWS_BYTES];
    mirror->counters.rows_lost += rows;
    (void)snprintf(detail, sizeof detail, "%08" PRIu32 ".tape: %s, %" PRIu64 " rows", tape, what,
                   rows);
    mirror_say(mirror, LOG_MIRROR_ROWS_LOST, detail);
}

static void view_fill(struct mirror *mirror, uint32_t tape, const struct layout_batch *header,
                      const uint8_t *bytes, uint32_t size)
{
    mirror->view = (struct mirror_view){.tape = tape,
                                        .first_row = header->first_row,
                                        .rows = header->first_row + header->rows,
                                        .sequence = header->sequence,
                                        .revision = header->revision,
                                        .channels = header->channels,
                                        .bytes = bytes,
                                        .size = size};
}

static bool view_file(struct mirror *mirror, struct mirror_file *file, uint64_t row)
{
    const struct tape_item *item = &file->item;
    if (!file->held || row < item->header.first_row ||
        row >= item->header.first_row + item->header.rows)
        return false;
    view_fill(mirror, file->tape, &item->header, item->bytes, item->size);
    mirror->view.remade = file->remade != NULL ? file : NULL;
    return true;
}

// Before what was given last: from the beginning.
static bool needs_rewind(const struct mirror_file *file, uint64_t row)
{
    return file->held ? row < file->item.header.first_row : row < file->reader.rows;
}

// 1: a batch is held; 0: the end for now; negative: errno.
static int file_next(struct mirror_file *file)
{
    file->held = false;
    for (;;) {
        int result = tape_reader_next(&file->reader, &file->item);
        if (result <= 0) return result;
        if (!file->item.is_damage) {
            file->held = true;
            return 1;
        }
        if (file->item.damage.acknowledged)
            mirror_tell_lost(file->mirror, file->tape, tape_error_text(file->item.damage.error),
                      file->item.damage.rows);
    }
}

static enum mirror_fetch fetch_remade(struct mirror *mirror, struct mirror_file *file,
                                      enum channel channel, uint64_t row)
{
    enum mirror_fetch fetch = mirror_remade_fetch(file, channel, row);
    if (fetch == FETCH_BATCH) ensure(view_file(mirror, file, row));
    return fetch;
}

static enum mirror_fetch fetch_file(struct mirror *mirror, enum channel channel,
                                    const struct mirror_position *position,
                                    const struct tape_feed_durable *live)
{
    struct mirror_file *file = mirror_file_of(mirror, position->tape);
    if (file == NULL) return FETCH_WAIT;
    if (file->remade != NULL) return fetch_remade(mirror, file, channel, position->row);
    if (file->state == FILE_READY && needs_rewind(file, position->row)) mirror_file_begin(file);
    if (file->state == FILE_GONE && file->again) { // it was there, and may be again
        mirror_look_soon(mirror);
        return FETCH_WAIT;
    }
    if (file->state == FILE_GONE) return FETCH_END;
    if (file->state != FILE_READY) return FETCH_WAIT;
    if (view_file(mirror, file, position->row)) return FETCH_BATCH;
    file->reader.limit_sequence = live != NULL ? live->sequence : UINT64_MAX;
    file->reader.limit_revision = live != NULL ? live->revision : UINT32_MAX;
    if (live == NULL && position->tape >= mirror->tape_base && !mirror_file_end_known(file)) {
        // Opened before its mark was there, or while that was being removed: once more.
        if (file->mark_handle < 0) mirror_file_close(file);
        mirror_look_soon(mirror);
        return FETCH_WAIT;
    }
    int result;
    while ((result = file_next(file)) == 1) {
        mirror->counters.from_tape++;
        if (view_file(mirror, file, position->row)) return FETCH_BATCH;
        if (file->item.header.first_row > position->row) return FETCH_SKIP; // lost rows
    }
    if (result == 0 && live == NULL) return FETCH_END;
    mirror_look_soon(mirror);
    return FETCH_WAIT;
}

static bool view_feed(struct mirror *mirror, uint32_t shard, const struct mirror_position *position)
{
    struct tape_feed_item item;
    struct layout_batch header;
    if (!tape_feed_peek(mirror->options.feeds[shard], &item) || item.tape != position->tape ||
        position->row < item.first_row || position->row >= item.rows)
        return false;
    if (tape_decode_header(item.bytes, item.size, &header) != TAPE_GOOD) return false;
    view_fill(mirror, item.tape, &header, item.bytes, item.size);
    mirror->view.durable_ns = item.durable_ns;
    return true;
}

uint32_t mirror_stream_shard(const struct mirror *mirror, const struct mirror_lane *lane,
                             uint32_t stream)
{
    if (stream < MIRROR_SHARDS_MAX) return stream;
    ensure(lane->leftover < mirror->earlier);
    return mirror->tapes[lane->leftover].shard;
}

static enum mirror_fetch fetch(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream)
{
    struct mirror_position *position = &lane->position[stream];
    enum mirror_fetch got;
    if (stream == MIRROR_SHARDS_MAX) {
        got = position->tape == 0 ? FETCH_END
                                  : fetch_file(mirror, lane->channel, position, NULL);
    } else {
        struct tape_feed_durable durable = tape_feed_durable(mirror->options.feeds[stream]);
        if (durable.tape == 0) return FETCH_NONE;
        if (position->tape == 0) return FETCH_END;
        bool live = durable.tape == position->tape;
        if (live && position->row >= durable.rows) return FETCH_NONE;
        if (view_feed(mirror, stream, position)) return FETCH_BATCH;
        got = fetch_file(mirror, lane->channel, position, live ? &durable : NULL);
    }
    if (got == FETCH_SKIP) {
        for (int i = 0; i < MIRROR_FILES; i++) {
            const struct mirror_file *file = &mirror->files[i];
            if (file->tape == position->tape && file->held)
                position->row = file->item.header.first_row;
        }
    }
    return got;
}

enum mirror_fetch mirror_fetch(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream)
{
    const enum mirror_fetch got = fetch(mirror, lane, stream);
    if (got == FETCH_BATCH) mirror->view.shard = mirror_stream_shard(mirror, lane, stream);
    return got;
}

// ---- decoding ----

static bool decode(struct mirror *mirror)
{
    const struct mirror_view *view = &mirror->view;
    struct layout_batch header;
    size_t memory_bytes = 0;
    mirror->decoded.row_tape = NULL;
    mirror->decoded.row_number = NULL;
    if (view->remade != NULL) return mirror_remade_decode(view->remade, &mirror->decoded);
    if (view->size > TAPE_BATCH_BYTES_MAX) return false;
    memcpy(mirror->decode_bytes, view->bytes, view->size);
    if (tape_check_batch(mirror->decode_bytes, view->size, &header, &memory_bytes) != TAPE_GOOD)
        return false;
    return memory_bytes <= MIRROR_DECODE_BYTES &&
           tape_decode_batch(mirror->decode_bytes, view->size, mirror->decode_memory, memory_bytes,
                             &mirror->decoded.batch) == TAPE_GOOD;
}

const struct tape_batch *mirror_decode(struct mirror *mirror)
{
    const struct mirror_view *view = &mirror->view;
    struct mirror_decoded *decoded = &mirror->decoded;
    bool same = decoded->valid && decoded->tape == view->tape &&
                decoded->sequence == view->sequence && decoded->revision == view->revision;
    if (!same) {
        decoded->good = decode(mirror);
        decoded->tape = view->tape;
        decoded->sequence = view->sequence;
        decoded->revision = view->revision;
        decoded->valid = true;
        if (!decoded->good)
            mirror_tell_lost(mirror, view->tape, tape_error_text(TAPE_BAD_CONTENT),
                      view->rows - view->first_row);
    }
    return decoded->good ? &decoded->batch : NULL;
}

// ---- from tape to tape ----

// The shard that wrote the listed tape; TAPE_NOT_LOOKED: its file is on its way.
static uint32_t shard_of(struct mirror *mirror, uint32_t index)
{
    struct mirror_tape *tape = &mirror->tapes[index];
    if (tape->shard == TAPE_NOT_LOOKED) {
        struct mirror_file *file = mirror_file_of(mirror, tape->number);
        if (file != NULL) tape->shard = file->shard;
        // One of this life may not have its header yet.
        if (file != NULL && (file->shard < MIRROR_SHARDS_MAX || tape->number < mirror->tape_base))
            mirror_note(mirror, tape->number, file->shard);
    }
    return tape->shard;
}

// What the lane has of a listed tape: rows, UINT64_MAX when all.
static uint64_t reach_of(const struct mirror *mirror, const struct mirror_lane *lane,
                         uint32_t shard, uint32_t number)
{
    if (shard < MIRROR_SHARDS_MAX)
        return mirror_state_reach(&mirror->state, lane->channel, shard, number);
    if (lane->unknown.tape > number) return UINT64_MAX;
    return lane->unknown.tape == number ? lane->unknown.rows : 0;
}

static bool next_earlier(struct mirror *mirror, struct mirror_lane *lane)
{
    struct mirror_position *position = &lane->position[MIRROR_SHARDS_MAX];
    uint32_t index = lane->leftover + (position->tape != 0);
    while (index < mirror->earlier) {
        uint32_t shard = shard_of(mirror, index);
        uint32_t number = mirror->tapes[index].number;
        if (shard == TAPE_NOT_LOOKED) return false;
        uint64_t reach = reach_of(mirror, lane, shard, number);
        if (reach != UINT64_MAX) {
            *position = (struct mirror_position){number, reach};
            lane->leftover = index;
            return true;
        }
        if (number - mirror->done_first < MIRROR_DONE_MAX)
            atomic_fetch_or(&mirror->done[number - mirror->done_first],
                            (uint16_t)(1u << lane->channel));
        index++;
    }
    *position = (struct mirror_position){0, 0};
    lane->leftover = mirror->earlier;
    return true;
}

// Tapes between two of a shard that the mirror did not see: they are listed. 0: none; *wait: it is
// not known yet.
static uint32_t next_listed(struct mirror *mirror, uint32_t shard, uint32_t after, uint32_t before,
                            bool *wait)
{
    if (mirror->tape_count == mirror->earlier ||
        mirror->tapes[mirror->tape_count - 1].number < before - 1)
        (void)mirror_tapes_list(mirror, mirror->io, mirror->earlier);
    for (uint32_t i = mirror->earlier; i < mirror->tape_count; i++) {
        uint32_t number = mirror->tapes[i].number;
        if (number <= after || number >= before) continue;
        uint32_t owner = shard_of(mirror, i);
        *wait = owner == TAPE_NOT_LOOKED;
        if (*wait) return 0;
        if (owner == shard) return number;
    }
    return 0;
}

static bool next_live(struct mirror *mirror, struct mirror_lane *lane, uint32_t shard)
{
    struct mirror_position *position = &lane->position[shard];
    struct tape_feed_durable durable = tape_feed_durable(mirror->options.feeds[shard]);
    struct tape_feed_item item;
    uint32_t next = durable.tape;
    bool known = durable.previous == position->tape;
    if (tape_feed_peek(mirror->options.feeds[shard], &item) && item.tape > position->tape) {
        next = item.tape;
        known = item.previous == position->tape;
    }
    if (next <= position->tape) return false;
    if (!known) {
        bool wait = false;
        uint32_t listed = next_listed(mirror, shard, position->tape, next, &wait);
        if (wait) return false;
        if (listed != 0) next = listed;
        // Tapes that left no batch and tapes that were deleted look the same: say it.
        if (listed == 0) mirror_tell_lost(mirror, position->tape, "tapes behind it are gone", 0);
    }
    *position = (struct mirror_position){next, 0};
    return true;
}

bool mirror_next_tape(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream)
{
    return stream == MIRROR_SHARDS_MAX ? next_earlier(mirror, lane)
                                       : next_live(mirror, lane, stream);
}

// ---- the feed ----

static bool before(const struct mirror_position *a, uint32_t tape, uint64_t row)
{
    return a->tape < tape || (a->tape == tape && a->row < row);
}

void mirror_feed_trim(struct mirror *mirror, uint32_t shard)
{
    struct tape_feed_item item;
    while (tape_feed_peek(mirror->options.feeds[shard], &item)) {
        for (int c = 0; c < CHANNEL_COUNT; c++) {
            const struct mirror_lane *lane = &mirror->lanes[c];
            if (lane->used && !lane->behind && before(&lane->position[shard], item.tape, item.rows))
                return;
        }
        mirror->counters.from_memory++;
        tape_feed_pop(mirror->options.feeds[shard]);
    }
}
