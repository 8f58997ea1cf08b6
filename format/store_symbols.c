// SPDX-License-Identifier: Apache-2.0
//
// Every sighting of a symbol is noted; the notes are sorted and summed when there are many, and at
// the end. A tape's rows are noted in runs, so that a note costs little beside the row.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/store_inside.h"
#include "format/store_match.h"

enum { NOTES_MIN = 1024 };

struct symbol_notes {
    struct store_symbol *notes;
    uint32_t count;
    uint32_t room;
};

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct store_symbol *)left)->name,
                  ((const struct store_symbol *)right)->name);
}

static void sum_up(struct symbol_notes *all)
{
    uint32_t kept = 0;
    if (all->count == 0)
        return;
    qsort(all->notes, all->count, sizeof *all->notes, by_name);
    for (uint32_t i = 1; i < all->count; i++) {
        struct store_symbol *sum = &all->notes[kept];
        const struct store_symbol *note = &all->notes[i];
        if (by_name(sum, note) != 0) {
            all->notes[++kept] = *note;
            continue;
        }
        sum->rows += note->rows;
        sum->time_min = note->time_min < sum->time_min ? note->time_min : sum->time_min;
        sum->time_max = note->time_max > sum->time_max ? note->time_max : sum->time_max;
    }
    all->count = kept + 1;
}

// Room for twice as many notes as there are symbols: summing up is worth its while then.
static int make_room(struct symbol_notes *all)
{
    if (all->count == all->room)
        sum_up(all);
    if (all->room != 0 && all->count <= all->room / 2)
        return 0;
    uint32_t room = all->room * 2 + NOTES_MIN;
    struct store_symbol *notes = realloc(all->notes, room * sizeof *notes);
    if (!notes)
        return -ENOMEM;
    all->notes = notes;
    all->room = room;
    return 0;
}

static int add(struct symbol_notes *all, struct event_text name, uint64_t rows, int64_t time_min,
               int64_t time_max)
{
    int error = all->count == all->room ? make_room(all) : 0;
    if (error < 0)
        return error;
    struct store_symbol *note = &all->notes[all->count++];
    *note = (struct store_symbol){.rows = rows, .time_min = time_min, .time_max = time_max};
    ensure(name.size < sizeof note->name);
    if (name.size > 0)
        memcpy(note->name, name.bytes, name.size);
    return 0;
}

// ---- segments ----

static int note_index(struct symbol_notes *all, struct match *match, const struct index *index)
{
    int error = match_segment(match, index);
    for (uint32_t s = 0; s < index->symbol_count && error == 0; s++) {
        const struct layout_index_symbol *symbol = &index->symbols[s];
        if (match->wanted[s] && symbol->rows != 0)
            error = add(all, match->names[s], symbol->rows, symbol->time_min, symbol->time_max);
    }
    return error;
}

static int damaged(const struct store_query *query, const char *path, const char *what,
                   const struct catalogue_segment *listed)
{
    if (!query->damage)
        return -EBADMSG;
    struct store_damage damage = {
        .path = path, .what = what, .bytes = listed->bytes, .rows = listed->rows};
    query->damage(query->damage_context, &damage);
    return 0;
}

static int note_segment(struct symbol_notes *all, struct match *match, struct store *store,
                        const struct catalogue_segment *listed)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    char index_path[CATALOGUE_PATH_BYTES_MAX];
    struct store_file file;
    struct store_file index_file;
    struct segment *segment;
    catalogue_segment_path(listed, "segment", path);
    catalogue_segment_path(listed, "index", index_path);
    int error = store_file_open(&file, store, path);
    if (error == 0)
        error = store_file_map(&file);
    if (error < 0) {
        store_file_close(&file);
        return error == -ENOENT ? -ESTALE : error;
    }
    if (store_file_open(&index_file, store, index_path) < 0 || store_file_map(&index_file) < 0)
        store_file_close(&index_file);
    struct source source = store_file_source(&file);
    enum segment_error bad =
        segment_open(&segment, &source, index_file.map, index_file.size);
    if (bad != SEGMENT_GOOD)
        error = damaged(match->query, path, segment_error_text(bad), listed);
    else if (!store_owns_segment(store, segment, listed->number, listed->channel))
        error = damaged(match->query, path, "not the segment that the catalogue lists", listed);
    else
        error = note_index(all, match, segment_index(segment));
    if (bad == SEGMENT_GOOD)
        segment_close(segment);
    store_file_close(&index_file);
    store_file_close(&file);
    return error;
}

// ---- tapes ----

static int note_chunk(struct symbol_notes *all, const struct store_chunk *chunk)
{
    int error = 0;
    for (uint32_t i = 0; i < chunk->count && error == 0;) {
        const uint32_t symbol = chunk->rows->symbol[chunk->index[i]];
        const struct event_text none = {NULL, 0};
        int64_t time_min = INT64_MAX;
        int64_t time_max = INT64_MIN;
        uint64_t rows = 0;
        for (; i < chunk->count && chunk->rows->symbol[chunk->index[i]] == symbol; i++, rows++) {
            const int64_t time = rows_time_ns(chunk->rows, chunk->index[i]);
            time_min = time < time_min ? time : time_min;
            time_max = time > time_max ? time : time_max;
        }
        error = add(all, symbol != SYMBOL_NONE ? chunk->symbols[symbol] : none, rows, time_min,
                    time_max);
    }
    return error;
}

static int note_tapes(struct symbol_notes *all, struct store *store,
                      const struct store_query *asked)
{
    struct store_query query = store_query_all(asked->channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.segments = false;
    query.columns = 0;
    query.symbols = asked->symbols;
    query.symbol_count = asked->symbol_count;
    query.damage = asked->damage;
    query.damage_context = asked->damage_context;
    int result = store_scan_open(&scan, store, &query);
    if (result < 0)
        return result;
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        if ((result = note_chunk(all, &chunk)) < 0)
            break;
    }
    store_scan_close(scan);
    return result;
}

// ---- both ----

// Tapes first: what is sealed meanwhile was counted there, and the segments are those of the same
// generation.
static int note_all(struct symbol_notes *all, struct match *match, struct store *store)
{
    all->count = 0;
    int error = note_tapes(all, store, match->query);
    for (uint32_t i = 0; i < store->catalogue.segment_count && error == 0; i++) {
        const struct catalogue_segment *listed = &store->catalogue.segments[i];
        if (listed->channel == match->query->channel)
            error = note_segment(all, match, store, listed);
    }
    return error;
}

int store_symbols(struct store *store, const struct store_query *query,
                  struct store_symbol **symbols, uint32_t *count)
{
    struct symbol_notes all = {0};
    struct match match;
    int error = match_open(&match, query);
    if (error < 0)
        return error;
    error = -ESTALE;
    for (int i = 0; i < STORE_TRIES && error == -ESTALE; i++)
        error = note_all(&all, &match, store);
    match_close(&match);
    if (error < 0) {
        free(all.notes);
        return error;
    }
    sum_up(&all);
    *symbols = all.notes;
    *count = all.count;
    return 0;
}
