// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every sighting of a symbol is noted; the notes are sorted and summed at the end. A tape's rows
// are noted in runs, so that a note costs little beside the row.
#include "tools/ringtape_symbols.h"

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_table.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ringtape_symbols_note {
    enum channel channel;
    char name[SEGMENT_SYMBOL_BYTES_MAX + 1]; // empty: rows without symbol
    uint64_t rows;
    int64_t first;
    int64_t last;
};

struct ringtape_symbols {
    struct ringtape_symbols_note *notes;
    size_t count;
    size_t capacity;
    bool damaged;
};

static int ringtape_symbols_order(const void *left, const void *right)
{
    const struct ringtape_symbols_note *a = left, *b = right;
    if (a->channel != b->channel) return a->channel < b->channel ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void ringtape_symbols_sum(struct ringtape_symbols *symbols)
{
    size_t kept = 0;
    if (symbols->count == 0) return;
    qsort(symbols->notes, symbols->count, sizeof symbols->notes[0], ringtape_symbols_order);
    for (size_t i = 1; i < symbols->count; i++) {
        struct ringtape_symbols_note *sum = &symbols->notes[kept];
        const struct ringtape_symbols_note *note = &symbols->notes[i];
        if (ringtape_symbols_order(sum, note) != 0) {
            symbols->notes[++kept] = *note;
            continue;
        }
        sum->rows += note->rows;
        if (note->first < sum->first) sum->first = note->first;
        if (note->last > sum->last) sum->last = note->last;
    }
    symbols->count = kept + 1;
}

static void ringtape_symbols_add(struct ringtape_symbols *symbols, enum channel channel,
                                 struct event_text name, uint64_t rows, int64_t first,
                                 int64_t last)
{
    if (symbols->count == symbols->capacity) ringtape_symbols_sum(symbols);
    if (symbols->count * 2 >= symbols->capacity) {
        symbols->capacity = symbols->capacity * 2 + 1024;
        symbols->notes = realloc(symbols->notes, symbols->capacity * sizeof symbols->notes[0]);
        ensure(symbols->notes != NULL); // as many as symbols there are, twice
    }
    struct ringtape_symbols_note *note = &symbols->notes[symbols->count++];
    *note = (struct ringtape_symbols_note){
        .channel = channel, .rows = rows, .first = first, .last = last};
    ensure(name.size < sizeof note->name);
    if (name.size > 0) memcpy(note->name, name.bytes, name.size);
}

static int ringtape_symbols_segments(struct ringtape_symbols *symbols, const struct store *store,
                                     const struct ringtape_query *query)
{
    const struct catalogue *catalogue = store_catalogue(store);
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *entry = &catalogue->segments[i];
        struct ringtape_segment opened;
        if (!ringtape_query_has_channel(query, entry->channel)) continue;
        const int error = ringtape_segment_open(&opened, store, entry);
        if (error != 0) {
            symbols->damaged = true;
            continue;
        }
        const struct index *index = segment_index(opened.segment);
        for (uint32_t s = 0; s < index->symbol_count; s++) {
            const struct layout_index_symbol *symbol = &index->symbols[s];
            const struct event_text name = index_name(index, s);
            if (ringtape_query_has_symbol(query, name.bytes, name.size))
                ringtape_symbols_add(symbols, entry->channel, name, symbol->rows, symbol->time_min,
                                     symbol->time_max);
        }
        ringtape_segment_close(&opened);
    }
    return 0;
}

static void ringtape_symbols_chunk(struct ringtape_symbols *symbols, enum channel channel,
                                   const struct store_chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->count;) {
        const uint32_t symbol = chunk->rows->symbol[chunk->index[i]];
        struct event_text name = {NULL, 0};
        int64_t first = INT64_MAX, last = INT64_MIN;
        uint64_t rows = 0;
        for (; i < chunk->count && chunk->rows->symbol[chunk->index[i]] == symbol; i++, rows++) {
            const int64_t time = rows_time_ns(chunk->rows, chunk->index[i]);
            if (time < first) first = time;
            if (time > last) last = time;
        }
        if (symbol != SYMBOL_NONE) name = chunk->symbols[symbol];
        ringtape_symbols_add(symbols, channel, name, rows, first, last);
    }
}

static void ringtape_symbols_damage(void *context, const struct store_damage *damage)
{
    struct ringtape_symbols *symbols = context;
    symbols->damaged = true;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

static int ringtape_symbols_tapes(struct ringtape_symbols *symbols, struct store *store,
                                  const struct ringtape_query *wanted, enum channel channel)
{
    struct store_query query = store_query_all(channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.segments = false;
    query.columns = 0;
    for (int t = 0; t < channel_schema(channel)->time_count; t++)
        query.columns |= 1ull << channel_schema(channel)->times[t];
    query.symbols = wanted->symbols.text;
    query.symbol_count = wanted->symbols.count;
    query.damage = ringtape_symbols_damage;
    query.damage_context = symbols;
    int result = store_scan_open(&scan, store, &query);
    if (result < 0) return result;
    while ((result = store_scan_next(scan, &chunk)) > 0)
        ringtape_symbols_chunk(symbols, channel, &chunk);
    store_scan_close(scan);
    return result;
}

static void ringtape_symbols_print_json(const struct ringtape_symbols *symbols)
{
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_array(&json, NULL);
    for (size_t i = 0; i < symbols->count; i++) {
        const struct ringtape_symbols_note *note = &symbols->notes[i];
        ringtape_json_object(&json, NULL);
        ringtape_json_text(&json, "channel", channel_schema(note->channel)->name);
        if (note->name[0] != 0)
            ringtape_json_text(&json, "symbol", note->name);
        else
            ringtape_json_null(&json, "symbol");
        ringtape_json_count(&json, "rows", note->rows);
        ringtape_json_time(&json, "first", note->first);
        ringtape_json_time(&json, "last", note->last);
        ringtape_json_object_end(&json);
    }
    ringtape_json_array_end(&json);
    ringtape_json_line(&json);
}

static void ringtape_symbols_print(const struct ringtape_symbols *symbols)
{
    static const char *const headings[] = {"CHANNEL", "SYMBOL", ">ROWS", "FIRST", "LAST"};
    struct ringtape_table table;
    ringtape_table_start(&table, headings, sizeof headings / sizeof headings[0]);
    for (size_t i = 0; i < symbols->count; i++) {
        const struct ringtape_symbols_note *note = &symbols->notes[i];
        char rows[RINGTAPE_TABLE_NUMBER_BYTES], time[TIME_TEXT_BYTES_MAX];
        ringtape_table_cell(&table, "%s", channel_schema(note->channel)->name);
        ringtape_table_cell(&table, "%s", note->name[0] != 0 ? note->name : "-");
        ringtape_table_cell(&table, "%s", ringtape_table_number(rows, note->rows));
        time_text_format(time, note->first, 3);
        ringtape_table_cell(&table, "%s", time);
        time_text_format(time, note->last, 3);
        ringtape_table_cell(&table, "%s", time);
    }
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

int ringtape_symbols_list(struct store *store, const struct ringtape_query *query, bool json)
{
    struct ringtape_symbols symbols = {.notes = NULL};
    int error = ringtape_symbols_segments(&symbols, store, query);
    for (int c = 0; c < CHANNEL_COUNT && error == 0; c++)
        if (channel_schema((enum channel)c) && ringtape_query_has_channel(query, (enum channel)c))
            error = ringtape_symbols_tapes(&symbols, store, query, (enum channel)c);
    ringtape_symbols_sum(&symbols);
    if (error == 0 && json) ringtape_symbols_print_json(&symbols);
    if (error == 0 && !json) ringtape_symbols_print(&symbols);
    free(symbols.notes);
    if (error < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(error));
    return symbols.damaged ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}
