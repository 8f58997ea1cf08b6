// SPDX-License-Identifier: GPL-3.0-or-later
//
// blocks (sorted by earliest time) → up to eight cursors (each a decoded block, its rows sorted) →
// the cursor with the earliest row. Blocks of one symbol overlap little: with live data one or two
// cursors are active, so the search is cheap.
#include "tools/ringtape_merge.h"

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ringtape_merge_open(struct ringtape_merge *merge, const struct ringtape_segment *segments,
                        uint32_t segment_count, int64_t time_from, int64_t time_to)
{
    *merge = (struct ringtape_merge){.segments = segments,
                                     .segment_count = segment_count,
                                     .time_from = time_from,
                                     .time_to = time_to};
    for (int i = 0; i < RINGTAPE_MERGE_CURSORS; i++) {
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
    for (int i = 0; i < RINGTAPE_MERGE_CURSORS; i++) {
        if (merge->cursors[i].reader != NULL) segment_close(merge->cursors[i].reader);
        free(merge->cursors[i].entries);
    }
    free(merge->blocks);
    memset(merge, 0, sizeof *merge);
}

// ---- blocks ----

void ringtape_merge_start(struct ringtape_merge *merge)
{
    merge->block_count = merge->block_next = 0;
    for (int i = 0; i < RINGTAPE_MERGE_CURSORS; i++) merge->cursors[i].active = false;
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
    const struct index *index = segment_index(merge->segments[segment].segment);
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
static void ringtape_merge_fill(struct ringtape_merge *merge, struct ringtape_merge_cursor *cursor,
                                uint32_t symbol)
{
    const struct rows *rows = cursor->block.rows;
    bool sorted = true;
    cursor->count = cursor->next = 0;
    ensure(rows->count <= SEGMENT_BLOCK_ROWS_MAX);
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
    cursor->active = cursor->count > 0;
}

// A free cursor, if possible one whose reader is open on the segment; NULL: all are active.
static struct ringtape_merge_cursor *ringtape_merge_free(struct ringtape_merge *merge,
                                                         uint32_t segment)
{
    struct ringtape_merge_cursor *found = NULL;
    for (int i = 0; i < RINGTAPE_MERGE_CURSORS; i++) {
        struct ringtape_merge_cursor *cursor = &merge->cursors[i];
        if (cursor->active) continue;
        if (cursor->reader != NULL && cursor->segment == segment) return cursor;
        if (found == NULL || (found->reader != NULL && cursor->reader == NULL)) found = cursor;
    }
    return found;
}

static enum segment_error ringtape_merge_reader(struct ringtape_merge *merge,
                                                struct ringtape_merge_cursor *cursor,
                                                uint32_t segment)
{
    const struct ringtape_segment *opened = &merge->segments[segment];
    if (cursor->reader != NULL && cursor->segment == segment) return SEGMENT_GOOD;
    if (cursor->reader != NULL) segment_close(cursor->reader);
    cursor->reader = NULL;
    cursor->segment = segment;
    return segment_open(&cursor->reader, &opened->source, opened->index.bytes,
                        opened->index.size);
}

// 0 or -ENOMEM. A damaged block is told and counted, the merge goes on without it.
static int ringtape_merge_read(struct ringtape_merge *merge, struct ringtape_merge_cursor *cursor,
                               const struct ringtape_merge_block *block)
{
    enum segment_error error = ringtape_merge_reader(merge, cursor, block->segment);
    if (error == SEGMENT_GOOD)
        error = segment_read(cursor->reader, block->number, UINT64_MAX, &cursor->block);
    if (error == SEGMENT_NO_MEMORY) return -ENOMEM;
    if (error == SEGMENT_GOOD && (cursor->block.unknown_columns || cursor->block.unknown_levels))
        error = SEGMENT_NEWER; // not absent: a table must not say so for ever
    if (error != SEGMENT_GOOD) {
        const struct segment *segment = merge->segments[block->segment].segment;
        merge->damages++;
        (void)ringtape_fail("damaged: segment %u, block %u: %s", segment_header(segment)->number,
                            block->number, segment_error_text(error));
        return 0;
    }
    cursor->number = block->number;
    ringtape_merge_fill(merge, cursor, block->symbol);
    return 0;
}

static bool ringtape_merge_before(const struct ringtape_merge_cursor *a,
                                  const struct ringtape_merge_cursor *b)
{
    const int64_t left = a->entries[a->next].time_ns, right = b->entries[b->next].time_ns;
    if (left != right) return left < right;
    if (a->segment != b->segment) return a->segment < b->segment;
    return a->number < b->number;
}

static struct ringtape_merge_cursor *ringtape_merge_first(struct ringtape_merge *merge)
{
    struct ringtape_merge_cursor *first = NULL;
    for (int i = 0; i < RINGTAPE_MERGE_CURSORS; i++) {
        struct ringtape_merge_cursor *cursor = &merge->cursors[i];
        if (cursor->active && (first == NULL || ringtape_merge_before(cursor, first)))
            first = cursor;
    }
    return first;
}

int ringtape_merge_next(struct ringtape_merge *merge, struct ringtape_merge_row *row)
{
    struct ringtape_merge_cursor *first = ringtape_merge_first(merge);
    while (merge->block_next < merge->block_count) {
        const struct ringtape_merge_block *block = &merge->blocks[merge->block_next];
        if (first != NULL && block->time_min > first->entries[first->next].time_ns) break;
        struct ringtape_merge_cursor *cursor = ringtape_merge_free(merge, block->segment);
        if (cursor == NULL) break; // too many overlap: not in order, but bounded
        merge->block_next++;
        const int error = ringtape_merge_read(merge, cursor, block);
        if (error != 0) return error;
        first = ringtape_merge_first(merge);
    }
    if (first == NULL) return 0;
    const struct ringtape_merge_entry *entry = &first->entries[first->next++];
    const uint32_t index = entry->index;
    *row = (struct ringtape_merge_row){.rows = first->block.rows,
                                       .index = index,
                                       .time_ns = entry->time_ns,
                                       .tape = first->block.tape ? first->block.tape[index] : 0,
                                       .tape_row = first->block.row ? first->block.row[index] : 0};
    // The block stays decoded until its cursor is used again, at the earliest by the next call.
    first->active = first->next < first->count;
    return 1;
}
