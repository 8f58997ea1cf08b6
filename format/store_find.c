// SPDX-License-Identifier: Apache-2.0
//
// One row by symbol and time. The catalogue gives the segments of a day, a segment's index the
// blocks of the symbol, an index entry the times of a block: so one block is read, its times and
// the columns asked for. More than one only where rows arrived out of order or segments of a day
// overlap.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/store_inside.h"
#include "format/store_match.h"

enum { FIND_SOURCES = 2 }; // the segment looked at, and the one with the best row

struct find_segment {
    const struct catalogue_segment *listed;
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct store_file file;
    struct store_file index_file;
    struct segment *segment; // NULL: none was opened yet
    bool open;
};

struct find_best {
    bool found;
    int64_t time_ns;
    uint32_t block;
    uint32_t row;
};

struct store_finder {
    struct store *store;
    struct store_find what;
    const struct channel_schema *schema;
    uint64_t deciding; // columns that make up `time`
    struct find_segment segments[FIND_SOURCES];
    struct find_segment *at;   // being looked at
    struct find_segment *kept; // has the best row, or NULL
    struct find_best best;
    // The best row of the tapes.
    struct rows *tape_row;
    struct segment_block decoded;
    struct find_segment *decoded_of; // and its block
    uint32_t decoded_block;
    uint32_t index[1];
    struct event_text name;
    uint32_t tape_number;
    uint64_t tape_row_number;
};

int store_finder_open(struct store_finder **out, struct store *store)
{
    struct store_finder *finder = calloc(1, sizeof *finder);
    if (!finder)
        return -ENOMEM;
    finder->store = store;
    for (int i = 0; i < FIND_SOURCES; i++)
        finder->segments[i].file.descriptor = finder->segments[i].index_file.descriptor = -1;
    *out = finder;
    return 0;
}

// The segment's memory stays for the next one.
static void forget(struct find_segment *at)
{
    at->open = false;
    store_file_close(&at->file);
    store_file_close(&at->index_file);
}

void store_finder_close(struct store_finder *finder)
{
    for (int i = 0; i < FIND_SOURCES; i++) {
        forget(&finder->segments[i]);
        segment_close(finder->segments[i].segment);
    }
    free(finder->tape_row);
    free(finder);
}

// ---- one segment ----

static int damaged(const struct store_finder *finder, const char *what, uint64_t offset,
                   uint64_t bytes, uint64_t rows)
{
    if (!finder->what.damage)
        return -EBADMSG;
    struct store_damage damage = {
        .path = finder->at->path, .what = what, .offset = offset, .bytes = bytes, .rows = rows};
    finder->what.damage(finder->what.damage_context, &damage);
    return 0;
}

// 1: open, 0: damaged and told, negative: errno.
static int look_into(struct store_finder *finder, const struct catalogue_segment *listed)
{
    struct find_segment *at = finder->at;
    char index_path[CATALOGUE_PATH_BYTES_MAX];
    at->listed = listed;
    catalogue_segment_path(listed, "segment", at->path);
    catalogue_segment_path(listed, "index", index_path);
    int error = store_file_open(&at->file, finder->store, at->path);
    if (error == 0)
        error = store_file_map(&at->file);
    if (error < 0)
        return error == -ENOENT ? -ESTALE : error;
    if (store_file_open(&at->index_file, finder->store, index_path) < 0 ||
        store_file_map(&at->index_file) < 0)
        store_file_close(&at->index_file);
    struct source source = store_file_source(&at->file);
    enum segment_error bad =
        segment_reopen(&at->segment, &source, at->index_file.map, at->index_file.size);
    if (bad != SEGMENT_GOOD)
        return damaged(finder, segment_error_text(bad), 0, at->file.size, listed->rows);
    if (!store_owns_segment(finder->store, at->segment, listed->number, listed->channel))
        return damaged(finder, "not the segment that the catalogue lists", 0, at->file.size,
                       listed->rows);
    at->open = true;
    return 1;
}

static enum segment_error read_columns(struct store_finder *finder, uint32_t block,
                                       uint64_t deciding)
{
    enum segment_error bad = segment_read_some(finder->at->segment, block,
                                               finder->what.columns | deciding, ~deciding,
                                               &finder->decoded);
    finder->decoded_of = bad == SEGMENT_GOOD ? finder->at : NULL;
    finder->decoded_block = block;
    return bad == SEGMENT_GOOD && (finder->decoded.unknown_columns & deciding) != 0 ? SEGMENT_NEWER
                                                                                   : bad;
}

// Nearly always all rows have the first of the columns that may be their `time`.
static enum segment_error read_block(struct store_finder *finder, uint32_t block)
{
    uint64_t first = 1ull << finder->schema->times[0];
    enum segment_error bad = read_columns(finder, block, first);
    uint64_t in_all = first;
    for (uint32_t r = 0; bad == SEGMENT_GOOD && r < finder->decoded.rows->count; r++)
        in_all &= finder->decoded.rows->present[r];
    return in_all == first ? bad : read_columns(finder, block, finder->deciding);
}

// Rows of the symbol in the decoded block, from the last on.
static void look_at_rows(struct store_finder *finder, uint32_t block, uint32_t symbol)
{
    const struct rows *rows = finder->decoded.rows;
    struct find_best *best = &finder->best;
    for (uint32_t r = rows->count; r > 0; r--) {
        if (rows->symbol[r - 1] != symbol)
            continue;
        int64_t time_ns = rows_time_ns(rows, r - 1);
        if (time_ns > finder->what.time_ns || (best->found && time_ns <= best->time_ns))
            continue;
        *best = (struct find_best){true, time_ns, block, r - 1};
        finder->kept = finder->at;
    }
}

static int look_at_block(struct store_finder *finder, uint32_t block, uint32_t symbol)
{
    const struct layout_index_block *entry = &segment_index(finder->at->segment)->blocks[block];
    int64_t most =
        entry->time_max < finder->what.time_ns ? entry->time_max : finder->what.time_ns;
    if (entry->time_min > finder->what.time_ns ||
        (finder->best.found && most <= finder->best.time_ns))
        return 0;
    enum segment_error bad = read_block(finder, block);
    if (bad != SEGMENT_GOOD)
        return damaged(finder, segment_error_text(bad), entry->offset, entry->bytes, entry->rows);
    look_at_rows(finder, block, finder->what.symbol[0] ? symbol : SYMBOL_NONE);
    return 0;
}

static int look_at_segment(struct store_finder *finder, const struct catalogue_segment *listed)
{
    const char *name = finder->what.symbol;
    int result = look_into(finder, listed);
    if (result == 1) {
        const struct index *index = segment_index(finder->at->segment);
        uint32_t symbol = index_find(index, name, (uint32_t)strlen(name));
        uint32_t first = symbol == SYMBOL_NONE ? 0 : index->symbols[symbol].first_block;
        uint32_t count = symbol == SYMBOL_NONE ? 0 : index->symbols[symbol].block_count;
        for (uint32_t b = first + count; b > first && result >= 0; b--)
            result = look_at_block(finder, b - 1, symbol);
    }
    if (result < 0 || finder->kept != finder->at)
        forget(finder->at);
    else // its row is the best so far; the other one is free now
        finder->at = finder->at == finder->segments ? finder->segments + 1 : finder->segments;
    if (finder->at->open)
        forget(finder->at);
    return result < 0 ? result : 0;
}

// ---- all segments ----

// Segments are sorted by channel and day: the first one behind (channel, day).
static uint32_t behind_day(const struct catalogue *catalogue, enum channel channel, int32_t day)
{
    uint32_t low = 0;
    uint32_t high = catalogue->segment_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct catalogue_segment *segment = &catalogue->segments[middle];
        bool before = segment->channel < channel ||
                      (segment->channel == channel && segment->day <= day);
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int find_in_segments(struct store_finder *finder)
{
    const struct catalogue *catalogue = &finder->store->catalogue;
    const struct store_find *what = &finder->what;
    uint32_t at = behind_day(catalogue, what->channel, catalogue_day_of(what->time_ns));
    while (at > 0) {
        const struct catalogue_segment *segment = &catalogue->segments[--at];
        if (segment->channel != what->channel)
            break;
        if (finder->best.found && segment->day < catalogue_day_of(finder->best.time_ns))
            break;
        if (segment->time_min > what->time_ns ||
            (finder->best.found && segment->time_max <= finder->best.time_ns))
            continue;
        int error = look_at_segment(finder, segment);
        if (error < 0)
            return error;
    }
    return 0;
}

// ---- tapes ----

// There is one name in what is given.
static void name_row(const struct rows *rows, uint32_t row)
{
    if (rows->symbol[row] != SYMBOL_NONE)
        rows->symbol[row] = 0;
}

static int keep_tape_row(struct store_finder *finder, const struct store_chunk *chunk,
                         uint32_t row)
{
    const struct rows *from = chunk->rows;
    struct rows_limits limits = {
        1, from->level_first ? from->level_first[row + 1] - from->level_first[row] : 0,
        from->text_size};
    size_t head = (sizeof(struct rows) + 63) & ~(size_t)63;
    size_t bytes = (head + rows_memory_bytes(from->schema, &limits) + 63) & ~(size_t)63;
    free(finder->tape_row);
    uint8_t *memory = aligned_alloc(64, bytes);
    finder->tape_row = (struct rows *)(void *)memory;
    if (!memory)
        return -ENOMEM;
    rows_init(finder->tape_row, from->schema, &limits, memory + head);
    rows_append_selected(finder->tape_row, from, &row, 1);
    name_row(finder->tape_row, 0);
    finder->tape_number = chunk->tape[row];
    finder->tape_row_number = chunk->tape_row[row];
    return 0;
}

// The best of the chunk's rows, which come in order of arrival.
static int look_at_chunk(struct store_finder *finder, const struct store_chunk *chunk)
{
    struct find_best *best = &finder->best;
    uint32_t row = 0;
    bool better = false;
    for (uint32_t i = 0; i < chunk->count; i++) {
        int64_t time_ns = rows_time_ns(chunk->rows, chunk->index[i]);
        bool mine = finder->what.symbol[0] || chunk->rows->symbol[chunk->index[i]] == SYMBOL_NONE;
        if (mine && (!best->found || time_ns >= best->time_ns)) {
            *best = (struct find_best){.found = true, .time_ns = time_ns};
            row = chunk->index[i];
            better = true;
        }
    }
    return better ? keep_tape_row(finder, chunk, row) : 0;
}

static int find_in_tapes(struct store_finder *finder)
{
    struct store_query query = store_query_all(finder->what.channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.symbols = &finder->what.symbol;
    query.symbol_count = finder->what.symbol[0] ? 1 : 0;
    query.time_to = finder->what.time_ns == INT64_MAX ? INT64_MAX : finder->what.time_ns + 1;
    query.segments = false;
    query.damage = finder->what.damage;
    query.damage_context = finder->what.damage_context;
    int result = store_scan_open(&scan, finder->store, &query);
    if (result < 0)
        return result;
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        if ((result = look_at_chunk(finder, &chunk)) < 0)
            break;
    }
    store_scan_close(scan);
    return result;
}

// ---- the row ----

static int give_kept(struct store_finder *finder, struct store_chunk *row)
{
    finder->at = finder->kept;
    enum segment_error bad = SEGMENT_GOOD;
    if (finder->decoded_of != finder->kept || finder->decoded_block != finder->best.block)
        bad = read_block(finder, finder->best.block);
    if (bad == SEGMENT_GOOD)
        bad = segment_read_row(finder->at->segment, finder->best.row, &finder->decoded);
    if (bad != SEGMENT_GOOD) {
        (void)damaged(finder, segment_error_text(bad), 0, 0, 1);
        return -EBADMSG;
    }
    name_row(finder->decoded.rows, finder->best.row);
    finder->index[0] = finder->best.row;
    row->rows = finder->decoded.rows;
    row->tape = finder->decoded.tape;
    row->tape_row = finder->decoded.row;
    row->segment = finder->kept->listed->number;
    row->unknown_columns = finder->decoded.unknown_columns;
    row->unknown_levels = finder->decoded.unknown_levels;
    return 1;
}

static int give(struct store_finder *finder, struct store_chunk *row)
{
    if (!finder->best.found)
        return 0;
    finder->name = (struct event_text){(const uint8_t *)finder->what.symbol,
                                       (uint32_t)strlen(finder->what.symbol)};
    finder->index[0] = 0;
    *row = (struct store_chunk){.rows = finder->tape_row,
                                .index = finder->index,
                                .count = 1,
                                .symbols = &finder->name,
                                .symbol_count = 1,
                                .tape = &finder->tape_number,
                                .tape_row = &finder->tape_row_number};
    return finder->kept ? give_kept(finder, row) : 1;
}

static int find_once(struct store_finder *finder)
{
    for (int i = 0; i < FIND_SOURCES; i++)
        forget(&finder->segments[i]);
    finder->at = finder->segments;
    finder->kept = NULL;
    finder->decoded_of = NULL;
    finder->best = (struct find_best){.found = false};
    int error = finder->what.tapes ? find_in_tapes(finder) : 0;
    return error < 0 ? error : find_in_segments(finder);
}

int store_find_last(struct store_finder *finder, const struct store_find *what,
                    struct store_chunk *row)
{
    const struct channel_schema *schema = channel_schema(what->channel);
    *row = (struct store_chunk){0};
    if (!schema || !what->symbol || strlen(what->symbol) > SEGMENT_SYMBOL_BYTES_MAX)
        return -EINVAL;
    finder->what = *what;
    finder->schema = schema;
    finder->deciding = 0;
    for (int t = 0; t < schema->time_count; t++)
        finder->deciding |= 1ull << schema->times[t];
    int error = -ESTALE;
    for (int i = 0; i < STORE_TRIES && error == -ESTALE; i++) {
        error = i == 0 ? 0 : store_refresh(finder->store, NULL);
        if (error == 0)
            error = find_once(finder);
    }
    return error < 0 ? error : give(finder, row);
}
