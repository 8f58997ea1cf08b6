// SPDX-License-Identifier: GPL-3.0-or-later
//
// blocks (sorted by earliest time) → cursors (each a decoded block, its rows sorted) → from the
// cursor with the earliest row all rows up to the earliest of another one. Blocks of one symbol
// overlap little: with live data one or two cursors are active, and a run is a block.
#include "tools/ringtape_merge.h"

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t ringtape_merge_cursors(const struct channel_schema *schema)
{
    if (schema->channel == CHANNEL_RAW) return RINGTAPE_MERGE_CURSORS_RAW;
    return schema->has_levels ? RINGTAPE_MERGE_CURSORS_LEVELS : RINGTAPE_MERGE_CURSORS;
}

int ringtape_merge_open(struct ringtape_merge *merge, const struct channel_schema *schema,
                        const struct ringtape_segment *segments, uint32_t segment_count,
                        int64_t time_from, int64_t time_to)
{
    *merge = (struct ringtape_merge){.segments = segments,
                                     .segment_count = segment_count,
                                     .time_from = time_from,
                                     .time_to = time_to,
                                     .cursor_count = ringtape_merge_cursors(schema)};
    for (uint32_t i = 0; i < merge->cursor_count; i++) {
        struct ringtape_merge_cursor *cursor = &merge->cursors[i];
        cursor->entries = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof cursor->entries[0]);
        if (cursor->entries != NULL) continue;
        ringtape_merge_close(merge);
        return -ENOMEM;
    }
    return 0;
}

void ringtape_merge_close(struct ringtape_merge *merge)
{
    for (uint32_t i = 0; i < merge->cursor_count; i++) {
        segment_close(merge->cursors[i].reader);
        free(merge->cursors[i].entries);
    }
    free(merge->blocks);
    memset(merge, 0, sizeof *merge);
}

// ---- blocks ----

void ringtape_merge_start(struct ringtape_merge *merge)
{
    merge->block_count = merge->block_next = 0;
    for (uint32_t i = 0; i < merge->cursor_count; i++) merge->cursors[i].active = false;
}

static int ringtape_merge_add_block(struct ringtape_merge *merge, uint32_t segment, uint32_t number,
                                    uint32_t symbol, int64_t time_min)
{
    if (merge->block_count == merge->block_capacity) {
        const size_t capacity = merge->block_capacity * 2 + 256;
        void *grown = realloc(merge->blocks, capacity * sizeof merge->blocks[0]);
        if (grown == NULL) return -ENOMEM;
        merge->blocks = grown;
        merge->block_capacity = capacity;
    }
    merge->blocks[merge->block_count++] = (struct ringtape_merge_block){
        .time_min = time_min, .segment = segment, .number = number, .symbol = symbol};
    return 0;
}

int ringtape_merge_add(struct ringtape_merge *merge, uint32_t segment, uint32_t symbol)
{
    ensure(segment < merge->segment_count);
    const struct index *index = ringtape_segment_index(&merge->segments[segment]);
    const uint32_t wanted = symbol == SYMBOL_NONE ? index_find(index, "", 0) : symbol;
    if (wanted >= index->symbol_count) return 0;
    const struct layout_index_symbol *entry = &index->symbols[wanted];
    for (uint32_t i = 0; i < entry->block_count; i++) {
        const uint32_t number = entry->first_block + i;
        if (!index_overlaps(index, number, merge->time_from, merge->time_to - 1)) continue;
        const int error = ringtape_merge_add_block(merge, segment, number, symbol,
                                                   index->blocks[number].time_min);
        if (error != 0) return error;
    }
    return 0;
}

static int ringtape_merge_block_order(const void *left, const void *right)
{
    const struct ringtape_merge_block *a = left, *b = right;
    if (a->time_min != b->time_min) return a->time_min < b->time_min ? -1 : 1;
    if (a->segment != b->segment) return a->segment < b->segment ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

void ringtape_merge_ready(struct ringtape_merge *merge)
{
    if (merge->block_count > 0)
        qsort(merge->blocks, merge->block_count, sizeof merge->blocks[0],
              ringtape_merge_block_order);
}

// ---- cursors ----

static int ringtape_merge_entry_order(const void *left, const void *right)
{
    const struct ringtape_merge_entry *a = left, *b = right;
    if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

// The block's rows of this symbol and time range, by time.
static void ringtape_merge_pick(struct ringtape_merge *merge, struct ringtape_merge_cursor *cursor,
                                uint32_t symbol)
{
    const struct rows *rows = cursor->block.rows;
    bool sorted = true;
    for (uint32_t i = 0; i < rows->count; i++) {
        if (rows->symbol[i] != symbol) continue;
        const int64_t time_ns = rows_time_ns(rows, i);
        if (time_ns < merge->time_from || time_ns >= merge->time_to) continue;
        if (cursor->count > 0 && time_ns < cursor->entries[cursor->count - 1].time_ns)
            sorted = false;
        cursor->entries[cursor->count++] = (struct ringtape_merge_entry){time_ns, i};
    }
    if (!sorted)
        qsort(cursor->entries, cursor->count, sizeof cursor->entries[0],
              ringtape_merge_entry_order);
}

// Are all rows of the block wanted, have they all the channel's first time, and do they lie in its
// order? Then it needs no picking: as a rule, with live data.
static bool ringtape_merge_is_plain(const struct ringtape_merge *merge,
                                    const struct segment_block *block, uint32_t symbol)
{
    const struct rows *rows = block->rows;
    const uint8_t first = rows->schema->times[0];
    const int64_t *times = rows->value[first];
    uint64_t in_all = UINT64_MAX;
    bool falls = false;
    if (block->header.symbols != 1 || rows->symbol[0] != symbol) return false;
    for (uint32_t i = 0; i < rows->count; i++) in_all &= rows->present[i];
    if (!(in_all >> first & 1)) return false;
    for (uint32_t i = 1; i < rows->count; i++) falls |= times[i] < times[i - 1];
    return !falls && times[0] >= merge->time_from && times[rows->count - 1] < merge->time_to;
}

static void ringtape_merge_fill(struct ringtape_merge *merge, struct ringtape_merge_cursor *cursor,
                                uint32_t symbol)
{
    const struct rows *rows = cursor->block.rows;
    ensure(rows->count >= 1 && rows->count <= SEGMENT_BLOCK_ROWS_MAX);
    cursor->count = cursor->next = 0;
    cursor->times = NULL;
    if (ringtape_merge_is_plain(merge, &cursor->block, symbol)) {
        cursor->times = rows->value[rows->schema->times[0]];
        cursor->count = rows->count;
    } else {
        ringtape_merge_pick(merge, cursor, symbol);
    }
    cursor->active = cursor->count > 0;
}

// A free cursor, if possible one that holds the block already (rare symbols share blocks), else one
// whose reader is open on the segment; NULL: all are active.
static struct ringtape_merge_cursor *ringtape_merge_free(struct ringtape_merge *merge,
                                                         const struct ringtape_merge_block *block)
{
    struct ringtape_merge_cursor *found = NULL, *open = NULL;
    for (uint32_t i = 0; i < merge->cursor_count; i++) {
        struct ringtape_merge_cursor *cursor = &merge->cursors[i];
        if (cursor->active) continue;
        const bool same = cursor->reader != NULL && cursor->segment == block->segment;
        if (same && cursor->loaded && cursor->number == block->number) return cursor;
        if (same && open == NULL) open = cursor;
        if (found == NULL || (found->reader != NULL && cursor->reader == NULL)) found = cursor;
    }
    return open != NULL ? open : found;
}

static enum segment_error ringtape_merge_decode(struct ringtape_merge *merge,
                                                struct ringtape_merge_cursor *cursor,
                                                const struct ringtape_merge_block *block)
{
    const struct ringtape_segment *opened = &merge->segments[block->segment];
    const struct layout_index_block *entry =
        &ringtape_segment_index(opened)->blocks[block->number];
    const bool same = cursor->reader != NULL && cursor->segment == block->segment;
    enum segment_error error = SEGMENT_GOOD;
    if (same && cursor->loaded && cursor->number == block->number) return SEGMENT_GOOD;
    cursor->loaded = false;
    cursor->segment = block->segment;
    if (!same)
        error = segment_reopen(&cursor->reader, &opened->source, opened->index.bytes,
                               opened->index.size);
    if (error != SEGMENT_GOOD) return error;
    error = segment_read(cursor->reader, block->number, UINT64_MAX, &cursor->block);
    ringtape_map_forget(&opened->file, entry->offset, entry->bytes);
    cursor->loaded = error == SEGMENT_GOOD;
    cursor->number = block->number;
    return error;
}

// 0 or -ENOMEM. A damaged block is told and counted, the merge goes on without it.
static int ringtape_merge_read(struct ringtape_merge *merge, struct ringtape_merge_cursor *cursor,
                               const struct ringtape_merge_block *block)
{
    enum segment_error error = ringtape_merge_decode(merge, cursor, block);
    if (error == SEGMENT_NO_MEMORY) return -ENOMEM;
    if (error == SEGMENT_GOOD && (cursor->block.unknown_columns || cursor->block.unknown_levels))
        error = SEGMENT_NEWER; // not absent: a table must not say so for ever
    if (error != SEGMENT_GOOD) {
        merge->damages++;
        (void)ringtape_fail("damaged: segment %u, block %u: %s",
                            merge->segments[block->segment].number, block->number,
                            segment_error_text(error));
        return 0;
    }
    ringtape_merge_fill(merge, cursor, block->symbol);
    return 0;
}

static int64_t ringtape_merge_time(const struct ringtape_merge_cursor *cursor, uint32_t at)
{
    return cursor->times != NULL ? cursor->times[at] : cursor->entries[at].time_ns;
}

static bool ringtape_merge_before(const struct ringtape_merge_cursor *a,
                                  const struct ringtape_merge_cursor *b)
{
    const int64_t left = ringtape_merge_time(a, a->next), right = ringtape_merge_time(b, b->next);
    if (left != right) return left < right;
    if (a->segment != b->segment) return a->segment < b->segment;
    return a->number < b->number;
}

static struct ringtape_merge_cursor *ringtape_merge_first(struct ringtape_merge *merge)
{
    struct ringtape_merge_cursor *first = NULL;
    for (uint32_t i = 0; i < merge->cursor_count; i++) {
        struct ringtape_merge_cursor *cursor = &merge->cursors[i];
        if (cursor->active && (first == NULL || ringtape_merge_before(cursor, first)))
            first = cursor;
    }
    return first;
}

// ---- runs ----

// Rows before this time come before those of every other block.
static int64_t ringtape_merge_limit(const struct ringtape_merge *merge,
                                    const struct ringtape_merge_cursor *first)
{
    int64_t limit = INT64_MAX;
    if (merge->block_next < merge->block_count) limit = merge->blocks[merge->block_next].time_min;
    for (uint32_t i = 0; i < merge->cursor_count; i++) {
        const struct ringtape_merge_cursor *cursor = &merge->cursors[i];
        if (!cursor->active || cursor == first) continue;
        const int64_t time_ns = ringtape_merge_time(cursor, cursor->next);
        limit = time_ns < limit ? time_ns : limit;
    }
    return limit;
}

// Where the rows before `limit` end, one at least.
static uint32_t ringtape_merge_end(const struct ringtape_merge_cursor *cursor, int64_t limit)
{
    uint32_t low = cursor->next + 1, high = cursor->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (ringtape_merge_time(cursor, middle) < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void ringtape_merge_take(struct ringtape_merge_cursor *cursor, int64_t limit,
                                struct ringtape_merge_run *run)
{
    const uint32_t begin = cursor->next;
    uint32_t end = ringtape_merge_end(cursor, limit), first = begin;
    if (cursor->times == NULL) {
        const struct ringtape_merge_entry *entries = cursor->entries;
        uint32_t next = begin + 1;
        first = entries[begin].index;
        while (next < end && entries[next].index == first + (next - begin)) next++;
        end = next;
    }
    *run = (struct ringtape_merge_run){.rows = cursor->block.rows,
                                       .first = first,
                                       .count = end - begin,
                                       .time_first = ringtape_merge_time(cursor, begin),
                                       .time_last = ringtape_merge_time(cursor, end - 1),
                                       .tape = cursor->block.tape,
                                       .tape_row = cursor->block.row};
    // The block stays decoded until its cursor is used again, at the earliest by the next call.
    cursor->next = end;
    cursor->active = end < cursor->count;
}

int ringtape_merge_next(struct ringtape_merge *merge, struct ringtape_merge_run *run)
{
    struct ringtape_merge_cursor *first = ringtape_merge_first(merge);
    while (merge->block_next < merge->block_count) {
        const struct ringtape_merge_block *block = &merge->blocks[merge->block_next];
        if (first != NULL && block->time_min > ringtape_merge_time(first, first->next)) break;
        struct ringtape_merge_cursor *cursor = ringtape_merge_free(merge, block);
        if (cursor == NULL) break; // too many overlap: not in order, but bounded
        merge->block_next++;
        const int error = ringtape_merge_read(merge, cursor, block);
        if (error != 0) return error;
        first = ringtape_merge_first(merge);
    }
    if (first == NULL) return 0;
    ringtape_merge_take(first, ringtape_merge_limit(merge, first), run);
    return 1;
}
