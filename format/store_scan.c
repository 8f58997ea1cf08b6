// SPDX-License-Identifier: Apache-2.0
//
// A scan walks the files that may hold matching rows, one after the other: segments by (day, oldest
// tape, number), then tapes by number. All are opened at the start, so that a daemon may delete
// them meanwhile; where more are needed than may be open at once, the later ones are opened when
// their turn comes.
//
//     scan_open: catalogue → entries → open files → same generation? else again
//     scan_next: current entry → segment block or tape batch → rows that match → chunk
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "format/ensure.h"
#include "format/store_inside.h"

enum { SCAN_DESCRIPTORS_KEPT = 64 }; // left to the rest of the process

struct scan_entry {
    uint32_t number;
    bool tape;
    bool opened;
    uint64_t bytes;
    struct store_file file;
    char path[CATALOGUE_PATH_BYTES_MAX];
    char index_path[CATALOGUE_PATH_BYTES_MAX];
};

struct store_scan {
    struct store *store;
    struct store_query query;
    const struct channel_schema *schema;
    struct scan_entry *entries;
    uint32_t entry_count;
    uint32_t entry; // current
    uint64_t bytes_done;
    uint64_t bytes_total;
    bool entered; // the current entry's reader is open
    // Current segment.
    struct store_file index_file;
    struct segment *segment;
    uint32_t block;
    // Current tape.
    struct tape_reader reader;
    bool reading;
    uint8_t mark[2 * LAYOUT_SECTOR];
    void *decode_memory;
    size_t decode_size;
    // What matches in the current file.
    struct event_text *names;
    bool *wanted; // by symbol number of the current file
    uint32_t name_room;
    // The chunk.
    struct segment_block decoded;
    struct tape_batch batch;
    uint32_t *index;
    uint32_t *tape;
    uint64_t *tape_row;
    uint32_t row_room;
};

struct store_query store_query_all(enum channel channel)
{
    return (struct store_query){.channel = channel,
                                .time_from = INT64_MIN,
                                .time_to = INT64_MAX,
                                .columns = UINT64_MAX,
                                .segments = true,
                                .tapes = true};
}

// ---- matching ----

static bool name_matches(const struct store_query *query, struct event_text name)
{
    if (query->symbol_count == 0)
        return true;
    for (uint32_t i = 0; i < query->symbol_count; i++) {
        const char *asked = query->symbols[i];
        size_t size = strlen(asked);
        bool prefix = size > 0 && asked[size - 1] == '*';
        size -= prefix;
        if ((prefix ? name.size >= size : name.size == size) &&
            (size == 0 || memcmp(asked, name.bytes, size) == 0))
            return true;
    }
    return false;
}

static bool row_matches(const struct store_scan *scan, const struct rows *rows, uint32_t row)
{
    uint32_t symbol = rows->symbol[row];
    if (symbol == SYMBOL_NONE ? scan->query.symbol_count != 0 : !scan->wanted[symbol])
        return false;
    int64_t time_ns = rows_time_ns(rows, row);
    return time_ns >= scan->query.time_from && time_ns < scan->query.time_to;
}

static int room_for_rows(struct store_scan *scan, uint32_t rows)
{
    if (rows <= scan->row_room)
        return 0;
    free(scan->index);
    free(scan->tape);
    free(scan->tape_row);
    scan->index = malloc(rows * sizeof *scan->index);
    scan->tape = malloc(rows * sizeof *scan->tape);
    scan->tape_row = malloc(rows * sizeof *scan->tape_row);
    scan->row_room = rows;
    return scan->index && scan->tape && scan->tape_row ? 0 : -ENOMEM;
}

static int room_for_names(struct store_scan *scan, uint32_t names)
{
    if (names <= scan->name_room)
        return 0;
    free(scan->names);
    free(scan->wanted);
    scan->names = malloc(names * sizeof *scan->names);
    scan->wanted = malloc(names * sizeof *scan->wanted);
    scan->name_room = names;
    return scan->names && scan->wanted ? 0 : -ENOMEM;
}

// Fills the chunk with the rows of `rows` from arrival `after` on that match; false: none.
static bool select_rows(struct store_scan *scan, const struct rows *rows, const uint32_t *arrival,
                        uint32_t after, struct store_chunk *chunk)
{
    uint32_t count = 0;
    for (uint32_t row = 0; row < rows->count; row++) {
        if (arrival && arrival[row] < after)
            continue;
        if (row_matches(scan, rows, row))
            scan->index[count++] = row;
    }
    chunk->rows = rows;
    chunk->index = scan->index;
    chunk->count = count;
    chunk->symbols = scan->names;
    return count > 0;
}

// ---- damage ----

static int report(struct store_scan *scan, const struct store_damage *damage)
{
    if (!scan->query.damage)
        return -EBADMSG;
    scan->query.damage(scan->query.damage_context, damage);
    return 0;
}

// ---- segments ----

static int enter_segment(struct store_scan *scan, struct scan_entry *entry)
{
    int error = store_file_map(&entry->file);
    if (error < 0)
        return error;
    if (store_file_open(&scan->index_file, scan->store, entry->index_path) < 0 ||
        store_file_map(&scan->index_file) < 0)
        store_file_close(&scan->index_file); // it is only a cache
    struct source source = store_file_source(&entry->file);
    enum segment_error bad = segment_open(&scan->segment, &source, scan->index_file.map,
                                          scan->index_file.size);
    if (bad != SEGMENT_GOOD) {
        scan->segment = NULL;
        struct store_damage damage = {.path = entry->path,
                                      .what = segment_error_text(bad),
                                      .bytes = entry->file.size};
        return report(scan, &damage);
    }
    const struct index *index = segment_index(scan->segment);
    error = room_for_names(scan, index->symbol_count);
    if (error < 0)
        return error;
    for (uint32_t s = 0; s < index->symbol_count; s++) {
        scan->names[s] = index_name(index, s);
        scan->wanted[s] = name_matches(&scan->query, scan->names[s]);
    }
    scan->block = 0;
    return 0;
}

static bool block_may_match(const struct store_scan *scan, const struct index *index)
{
    uint32_t symbol = index->blocks[scan->block].symbol;
    if (symbol < index->symbol_count && !scan->wanted[symbol])
        return false;
    return index_overlaps(index, scan->block, scan->query.time_from, scan->query.time_to - 1);
}

static int damaged_block(struct store_scan *scan, const struct scan_entry *entry,
                         enum segment_error bad)
{
    const struct layout_index_block *block = &segment_index(scan->segment)->blocks[scan->block];
    struct store_damage damage = {.path = entry->path,
                                  .what = segment_error_text(bad),
                                  .offset = block->offset,
                                  .bytes = block->bytes,
                                  .rows = block->rows,
                                  .sequence_first = scan->block,
                                  .sequence_last = scan->block};
    return report(scan, &damage);
}

static uint64_t wanted_columns(const struct store_scan *scan)
{
    uint64_t columns = scan->query.columns;
    for (int i = 0; i < scan->schema->time_count; i++)
        columns |= 1ull << scan->schema->times[i];
    return columns;
}

// 1: chunk, 0: the segment's end, negative: errno.
static int next_of_segment(struct store_scan *scan, struct scan_entry *entry,
                           struct store_chunk *chunk)
{
    if (!scan->segment)
        return 0;
    const struct index *index = segment_index(scan->segment);
    for (; scan->block < index->block_count; scan->block++) {
        if (!block_may_match(scan, index))
            continue;
        enum segment_error bad =
            segment_read(scan->segment, scan->block, wanted_columns(scan), &scan->decoded);
        int error = bad != SEGMENT_GOOD ? damaged_block(scan, entry, bad)
                                        : room_for_rows(scan, scan->decoded.rows->count);
        if (error < 0)
            return error;
        if (bad != SEGMENT_GOOD || !select_rows(scan, scan->decoded.rows, NULL, 0, chunk))
            continue;
        chunk->symbol_count = index->symbol_count;
        chunk->tape = scan->decoded.tape;
        chunk->tape_row = scan->decoded.row;
        chunk->segment = entry->number;
        chunk->unknown_columns = scan->decoded.unknown_columns;
        scan->block++;
        return 1;
    }
    return 0;
}

// ---- tapes ----

static int enter_tape(struct store_scan *scan, struct scan_entry *entry)
{
    enum tape_error bad = TAPE_GOOD;
    int64_t mark = store_file_read(scan->store, entry->index_path, scan->mark, sizeof scan->mark);
    struct source source = store_file_source(&entry->file);
    int error = tape_reader_open(&scan->reader, &source, mark > 0 ? scan->mark : NULL,
                                 mark > 0 ? (size_t)mark : 0, &bad);
    scan->reading = error == 0;
    scan->reader.look_ahead = TAPE_LIVE_LOOK_AHEAD;
    if (error != -EBADMSG)
        return error;
    // A tape that is just being created has no header yet, and no rows.
    error = tape_reader_unused(&source, scan->mark, mark > 0 ? (size_t)mark : 0);
    if (error != 0)
        return error < 0 ? error : 0;
    struct store_damage damage = {
        .path = entry->path, .what = tape_error_text(bad), .bytes = entry->file.size};
    return report(scan, &damage);
}

static int decode_batch(struct store_scan *scan, const struct scan_entry *entry,
                        const struct tape_item *item)
{
    if (item->memory_bytes > scan->decode_size) {
        free(scan->decode_memory);
        scan->decode_size = (item->memory_bytes + 63) & ~(size_t)63;
        scan->decode_memory = aligned_alloc(64, scan->decode_size);
        if (!scan->decode_memory)
            return -ENOMEM;
    }
    enum tape_error bad = tape_decode_batch(item->bytes, item->size, scan->decode_memory,
                                            item->memory_bytes, &scan->batch);
    if (bad == TAPE_GOOD)
        return 1;
    struct store_damage damage = {.path = entry->path,
                                  .what = tape_error_text(bad),
                                  .offset = item->offset,
                                  .bytes = item->size,
                                  .rows = item->header.rows,
                                  .sequence_first = item->header.sequence,
                                  .sequence_last = item->header.sequence};
    return report(scan, &damage);
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
    return report(scan, &damage);
}

static void take_names(struct store_scan *scan)
{
    for (uint32_t s = 0; s < scan->batch.header.symbols; s++) {
        scan->names[s] = scan->batch.symbols[s];
        scan->wanted[s] = name_matches(&scan->query, scan->names[s]);
    }
}

// Rows of the decoded batch; false: none match.
static bool chunk_of_batch(struct store_scan *scan, const struct scan_entry *entry,
                           uint32_t rows_before, struct store_chunk *chunk)
{
    const struct rows *rows = &scan->batch.rows[scan->query.channel];
    const uint32_t *arrival = scan->batch.arrival[scan->query.channel];
    take_names(scan);
    if (rows->count == 0 || !select_rows(scan, rows, arrival, rows_before, chunk))
        return false;
    for (uint32_t row = 0; row < rows->count; row++) {
        scan->tape[row] = entry->number;
        scan->tape_row[row] = scan->batch.header.first_row + arrival[row];
    }
    chunk->symbol_count = scan->batch.header.symbols;
    chunk->tape = scan->tape;
    chunk->tape_row = scan->tape_row;
    return true;
}

// 1: chunk, 0: the tape's end, negative: errno.
static int next_of_tape(struct store_scan *scan, struct scan_entry *entry,
                        struct store_chunk *chunk)
{
    struct tape_item item;
    while (scan->reading) {
        int result = tape_reader_next(&scan->reader, &item);
        if (result <= 0)
            return result;
        result = item.is_damage ? damaged_tape(scan, entry, &item.damage)
                                : decode_batch(scan, entry, &item);
        if (result < 0)
            return result;
        if (result == 0)
            continue;
        if (room_for_rows(scan, item.header.rows) < 0 ||
            room_for_names(scan, item.header.symbols) < 0)
            return -ENOMEM;
        if (chunk_of_batch(scan, entry, item.rows_before, chunk))
            return 1;
    }
    return 0;
}

// ---- entries ----

static void leave(struct store_scan *scan)
{
    struct scan_entry *entry = &scan->entries[scan->entry];
    if (scan->segment)
        segment_close(scan->segment);
    if (scan->reading)
        tape_reader_close(&scan->reader);
    scan->segment = NULL;
    scan->reading = false;
    store_file_close(&scan->index_file);
    store_file_close(&entry->file);
    scan->bytes_done += entry->bytes;
    scan->entered = false;
    scan->entry++;
}

static int enter(struct store_scan *scan, struct scan_entry *entry)
{
    if (!entry->opened) {
        int error = store_file_open(&entry->file, scan->store, entry->path);
        if (error < 0)
            return error == -ENOENT ? -ESTALE : error;
        entry->opened = true;
    }
    scan->entered = true;
    return entry->tape ? enter_tape(scan, entry) : enter_segment(scan, entry);
}

int store_scan_next(struct store_scan *scan, struct store_chunk *chunk)
{
    while (scan->entry < scan->entry_count) {
        struct scan_entry *entry = &scan->entries[scan->entry];
        *chunk = (struct store_chunk){0};
        int result = scan->entered ? 0 : enter(scan, entry);
        if (result == 0)
            result = entry->tape ? next_of_tape(scan, entry, chunk)
                                 : next_of_segment(scan, entry, chunk);
        if (result != 0)
            return result;
        leave(scan);
    }
    return 0;
}

// ---- opening ----

static bool segment_asked(const struct store_query *query, const struct catalogue_segment *segment)
{
    return segment->channel == query->channel && segment->time_max >= query->time_from &&
           segment->time_min < query->time_to;
}

static void add_segment(struct store_scan *scan, const struct catalogue_segment *segment)
{
    struct scan_entry *entry = &scan->entries[scan->entry_count++];
    *entry = (struct scan_entry){.number = segment->number, .bytes = segment->bytes};
    entry->file.descriptor = -1;
    catalogue_segment_path(segment, "segment", entry->path);
    catalogue_segment_path(segment, "index", entry->index_path);
}

static void add_tape(struct store_scan *scan, uint32_t number)
{
    struct scan_entry *entry = &scan->entries[scan->entry_count++];
    *entry = (struct scan_entry){.number = number, .tape = true};
    entry->file.descriptor = -1;
    catalogue_tape_path(number, "tape", entry->path);
    catalogue_tape_path(number, "mark", entry->index_path);
}

static int list_entries(struct store_scan *scan)
{
    const struct catalogue *catalogue = &scan->store->catalogue;
    uint32_t most = catalogue->segment_count + scan->store->tape_count;
    free(scan->entries);
    scan->entry_count = 0;
    scan->entries = malloc((most + 1u) * sizeof *scan->entries);
    if (!scan->entries)
        return -ENOMEM;
    for (uint32_t i = 0; scan->query.segments && i < catalogue->segment_count; i++) {
        if (segment_asked(&scan->query, &catalogue->segments[i]))
            add_segment(scan, &catalogue->segments[i]);
    }
    for (uint32_t i = 0; scan->query.tapes && i < scan->store->tape_count; i++)
        add_tape(scan, scan->store->tapes[i]);
    return 0;
}

static uint32_t descriptors_free(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= 2 * SCAN_DESCRIPTORS_KEPT)
        return SCAN_DESCRIPTORS_KEPT;
    rlim_t most = limit.rlim_cur - SCAN_DESCRIPTORS_KEPT;
    return most > 1u << 20 ? 1u << 20 : (uint32_t)most;
}

static void close_entries(struct store_scan *scan)
{
    for (uint32_t i = 0; i < scan->entry_count; i++)
        store_file_close(&scan->entries[i].file);
}

static int open_entries(struct store_scan *scan)
{
    uint32_t most = descriptors_free();
    scan->bytes_total = 0;
    for (uint32_t i = 0; i < scan->entry_count; i++) {
        struct scan_entry *entry = &scan->entries[i];
        if (i < most) {
            int error = store_file_open(&entry->file, scan->store, entry->path);
            if (error < 0) {
                close_entries(scan);
                return error;
            }
            entry->opened = true;
            entry->bytes = entry->file.size;
        }
        scan->bytes_total += entry->bytes;
    }
    return 0;
}

// Files as of one generation of the catalogue. A tape created meanwhile may be missing: none of its
// rows was durable when the scan was asked for.
static int open_consistent(struct store_scan *scan)
{
    int error = 0;
    for (int i = 0; i < STORE_TRIES; i++) {
        error = store_refresh(scan->store, NULL);
        if (error == 0)
            error = list_entries(scan);
        if (error < 0)
            return error;
        error = open_entries(scan);
        uint64_t generation = scan->store->catalogue.generation;
        if (error < 0 && error != -ENOENT)
            return error;
        int again = store_refresh(scan->store, NULL);
        if (again < 0) {
            close_entries(scan);
            return again;
        }
        if (error == 0 && scan->store->catalogue.generation == generation)
            return 0;
        close_entries(scan);
    }
    return error < 0 ? error : -EAGAIN;
}

int store_scan_open(struct store_scan **out, struct store *store, const struct store_query *query)
{
    if (!channel_schema(query->channel) || query->time_from > query->time_to)
        return -EINVAL;
    struct store_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return -ENOMEM;
    scan->store = store;
    scan->query = *query;
    scan->schema = channel_schema(query->channel);
    scan->index_file.descriptor = -1;
    int error = open_consistent(scan);
    if (error < 0) {
        scan->entry_count = 0; // their files are closed
        store_scan_close(scan);
        return error;
    }
    *out = scan;
    return 0;
}

void store_scan_close(struct store_scan *scan)
{
    while (scan->entry < scan->entry_count)
        leave(scan);
    free(scan->entries);
    free(scan->names);
    free(scan->wanted);
    free(scan->index);
    free(scan->tape);
    free(scan->tape_row);
    free(scan->decode_memory);
    free(scan);
}

void store_scan_progress(const struct store_scan *scan, uint64_t *done, uint64_t *total)
{
    *done = scan->bytes_done;
    *total = scan->bytes_total;
    if (scan->segment) {
        const struct index *index = segment_index(scan->segment);
        if (scan->block < index->block_count)
            *done += index->blocks[scan->block].offset;
    } else if (scan->reading) {
        *done += scan->reader.offset;
    }
}
