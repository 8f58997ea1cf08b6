// SPDX-License-Identifier: Apache-2.0
//
// A scan walks the files that may hold matching rows, one after the other: segments by (day, oldest
// tape, number), then tapes by number. All are opened at the start, so that a daemon may delete
// them meanwhile; where more are needed than may be open at once, the later ones are opened when
// their turn comes.
//
//     scan_open: catalogue → entries → open files → same generation? else again
//     scan_next: current entry → segment block or tape batch → rows that match → chunk
//     at the end, following: what is new → entries, from the first one again
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "format/ensure.h"
#include "format/store_scan_inside.h"

enum { SCAN_DESCRIPTORS_KEPT = 64 }; // left to the rest of the process

struct store_query store_query_all(enum channel channel)
{
    return (struct store_query){.channel = channel,
                                .time_from = INT64_MIN,
                                .time_to = INT64_MAX,
                                .columns = UINT64_MAX,
                                .segments = true,
                                .tapes = true};
}

int scan_report(struct store_scan *scan, const struct store_damage *damage)
{
    if (!scan->query.damage)
        return -EBADMSG;
    scan->query.damage(scan->query.damage_context, damage);
    return 0;
}

uint64_t scan_columns(const struct store_scan *scan)
{
    return scan->query.columns | scan->match.columns;
}

// ---- entries ----

void scan_add_segment(struct scan_entry *entry, const struct catalogue_segment *segment)
{
    *entry = (struct scan_entry){
        .number = segment->number, .bytes = segment->bytes, .rows = segment->rows};
    entry->file.descriptor = entry->mark_file.descriptor = -1;
    catalogue_segment_path(segment, "segment", entry->path);
    catalogue_segment_path(segment, "index", entry->other_path);
}

void scan_add_tape(struct scan_entry *entry, uint32_t number)
{
    *entry = (struct scan_entry){.number = number, .is_tape = true};
    entry->file.descriptor = entry->mark_file.descriptor = -1;
    catalogue_tape_path(number, "tape", entry->path);
    catalogue_tape_path(number, "mark", entry->other_path);
}

int scan_open_entry(struct store_scan *scan, struct scan_entry *entry)
{
    if (entry->opened)
        return 0;
    int error = store_file_open(&entry->file, scan->store, entry->path);
    if (error < 0)
        return error;
    entry->opened = true;
    entry->fresh = entry->is_tape && store_tape_fresh(scan->store, entry->number);
    entry->bytes = entry->file.size;
    if (entry->is_tape)
        error = store_file_open(&entry->mark_file, scan->store, entry->other_path);
    return error == -ENOENT ? 0 : error;
}

void scan_close_entry(struct scan_entry *entry)
{
    if (entry->tape && entry->tape->reading)
        tape_reader_close(&entry->tape->reader);
    free(entry->tape);
    entry->tape = NULL;
    store_file_close(&entry->file);
    store_file_close(&entry->mark_file);
    entry->opened = false;
}

// ---- the walk ----

static int enter(struct store_scan *scan, struct scan_entry *entry)
{
    int error = scan_open_entry(scan, entry);
    if (error < 0)
        return error == -ENOENT ? -ESTALE : error;
    scan->entered = true;
    if (!entry->is_tape)
        return scan_enter_segment(scan, entry);
    return entry->tape ? 0 : scan_enter_tape(scan, entry);
}

static void leave(struct store_scan *scan)
{
    struct scan_entry *entry = &scan->entries[scan->entry];
    scan_leave_segment(scan);
    entry->done = entry->done || !entry->is_tape;
    if (entry->done)
        scan_close_entry(entry);
    scan->bytes_done += entry->bytes;
    scan->entered = false;
    scan->entry++;
}

// 1: chunk, 0: all entries are through, negative: errno.
static int next_of_entries(struct store_scan *scan, struct store_chunk *chunk)
{
    while (scan->entry < scan->entry_count) {
        struct scan_entry *entry = &scan->entries[scan->entry];
        int result = scan->entered ? 0 : enter(scan, entry);
        if (result == 0)
            result = entry->is_tape ? scan_next_of_tape(scan, entry, chunk)
                                    : scan_next_of_segment(scan, entry, chunk);
        if (result != 0)
            return result;
        leave(scan);
    }
    return 0;
}

int store_scan_next(struct store_scan *scan, struct store_chunk *chunk)
{
    *chunk = (struct store_chunk){0};
    int result = next_of_entries(scan, chunk);
    if (result != 0 || scan->query.follow == STORE_FOLLOW_NOT)
        return result;
    result = scan_follow_again(scan);
    return result < 0 ? result : next_of_entries(scan, chunk);
}

// ---- opening ----

static bool segment_asked(const struct store_query *query, const struct catalogue_segment *segment)
{
    return segment->channel == query->channel && segment->time_max >= query->time_from &&
           (segment->time_min < query->time_to || query->time_to == INT64_MAX);
}

static int list_entries(struct store_scan *scan)
{
    const struct catalogue *catalogue = &scan->store->catalogue;
    const struct store_query *query = &scan->query;
    uint32_t most = catalogue->segment_count + scan->store->tape_count;
    bool segments = query->segments && query->follow != STORE_FOLLOW_NEW;
    free(scan->entries);
    scan->entry_count = 0;
    scan->entries = malloc((most + 1u) * sizeof *scan->entries);
    if (!scan->entries)
        return -ENOMEM;
    for (uint32_t i = 0; segments && i < catalogue->segment_count; i++) {
        if (segment_asked(query, &catalogue->segments[i]))
            scan_add_segment(&scan->entries[scan->entry_count++], &catalogue->segments[i]);
    }
    for (uint32_t i = 0; query->tapes && i < scan->store->tape_count; i++)
        scan_add_tape(&scan->entries[scan->entry_count++], scan->store->tapes[i]);
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
        scan_close_entry(&scan->entries[i]);
}

static int open_entries(struct store_scan *scan)
{
    uint32_t most = descriptors_free();
    scan->bytes_total = 0;
    for (uint32_t i = 0; i < scan->entry_count; i++) {
        int error = i < most ? scan_open_entry(scan, &scan->entries[i]) : 0;
        if (error < 0) {
            close_entries(scan);
            return error;
        }
        scan->bytes_total += scan->entries[i].bytes;
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
    struct store_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return -ENOMEM;
    scan->store = store;
    scan->query = *query;
    scan->index_file.descriptor = -1;
    int error = match_open(&scan->match, &scan->query);
    if (error == 0)
        error = open_consistent(scan);
    if (error < 0) {
        scan->entry_count = 0; // their files are closed
        store_scan_close(scan);
        return error;
    }
    if (query->follow != STORE_FOLLOW_NOT)
        scan_follow_begin(scan);
    *out = scan;
    return 0;
}

void store_scan_close(struct store_scan *scan)
{
    scan_leave_segment(scan);
    close_entries(scan);
    match_close(&scan->match);
    free(scan->entries);
    free(scan->tape);
    free(scan->tape_row);
    free(scan->decode_memory);
    free(scan->tapes_taken);
    free(scan->tapes_forgotten);
    free(scan);
}

struct store_scan_counts store_scan_counts(const struct store_scan *scan)
{
    return scan->counts;
}

void store_scan_progress(const struct store_scan *scan, uint64_t *done, uint64_t *total)
{
    *done = scan->bytes_done;
    *total = scan->bytes_total;
    if (scan->segment) {
        const struct index *index = segment_index(scan->segment);
        if (scan->block < index->block_count)
            *done += index->blocks[scan->block].offset;
    } else if (scan->entered && scan->entries[scan->entry].tape) {
        *done += scan->entries[scan->entry].tape->reader.offset;
    }
}
