// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which symbols have rows in the days of a report, and how many: asked of the indexes of the days'
// segments, without reading a row; of tapes, which have none, by walking their batches. Contract:
// report->symbols are sorted by name, and report->names has the same numbers.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_query.h"
#include "tools/ringtape_report.h"

enum { SYMBOLS_TRIES = 5, SYMBOLS_FIRST = 1024 };

static const enum channel symbols_channels[] = {CHANNEL_TRADE, CHANNEL_AGG_TRADE, CHANNEL_QUOTE};

// ---- the list ----

static bool symbols_asked(const struct report *report, const struct event_text *name)
{
    struct ringtape_query query = {.symbols = {.count = 0}};
    if (report->symbols_asked == NULL || report->symbols_asked->count == 0) return true;
    for (uint32_t i = 0; i < report->symbols_asked->count; i++) {
        query.symbols.text[0] = report->symbols_asked->text[i];
        query.symbols.count = 1;
        if (ringtape_query_has_symbol(&query, name->bytes, name->size)) return true;
    }
    return false;
}

static int symbols_grow(struct report *report, uint32_t *room)
{
    if (report->symbol_count < *room) return 0;
    const uint32_t more = *room == 0 ? SYMBOLS_FIRST : *room * 2;
    struct report_symbol *grown =
        aligned_alloc(_Alignof(struct report_symbol), more * sizeof *grown);
    if (grown == NULL) return -ENOMEM;
    if (report->symbol_count > 0)
        memcpy(grown, report->symbols, report->symbol_count * sizeof *grown);
    free(report->symbols);
    report->symbols = grown;
    *room = more;
    return 0;
}

static int symbols_fill(struct report *report, struct report_symbol *symbol,
                        const struct event_text *name)
{
    memset(symbol, 0, sizeof *symbol);
    summary_init(&symbol->summary);
    symbol->name = malloc(name->size + 1);
    if (symbol->name == NULL) return -ENOMEM;
    memcpy(symbol->name, name->bytes, name->size);
    symbol->name[name->size] = '\0';
    symbol->name_bytes = name->size;
    symbol->chart = REPORT_NONE;
    symbol->exchange = report_exchange_of(report, symbol->name);
    if (symbol->exchange != REPORT_NONE) return 0;
    free(symbol->name);
    return -EFBIG;
}

// Notes `rows` rows of the symbol.
static int symbols_add(struct report *report, uint32_t *room, const struct event_text *name,
                       enum channel channel, uint64_t rows)
{
    uint32_t number;
    if (name->size == 0 || !symbols_asked(report, name)) return 0;
    int error = ringtape_names_add(&report->names, name, &number);
    if (error == 0 && number == report->symbol_count) {
        error = symbols_grow(report, room);
        if (error == 0) error = symbols_fill(report, &report->symbols[number], name);
        if (error == 0) report->symbol_count++;
    }
    if (error != 0) return error;
    struct report_symbol *symbol = &report->symbols[number];
    if (channel != CHANNEL_QUOTE) symbol->rows += rows;
    if (channel == CHANNEL_TRADE) symbol->trade_rows += rows;
    return 0;
}

static void symbols_forget(struct report *report)
{
    for (uint32_t i = 0; i < report->symbol_count; i++) free(report->symbols[i].name);
    report->symbol_count = 0;
    ringtape_names_close(&report->names);
}

// ---- segments ----

static int symbols_of_index(struct report *report, uint32_t *room, const struct index *index,
                            enum channel channel)
{
    int error = 0;
    for (uint32_t s = 0; s < index->symbol_count && error == 0; s++) {
        const struct event_text name = index_name(index, s);
        error = symbols_add(report, room, &name, channel, index->symbols[s].rows);
    }
    return error;
}

// Where the index is missing or wrong the segment is asked. One that cannot be opened is told by
// the scan, which meets it again.
static int symbols_of_segment(struct report *report, uint32_t *room,
                              const struct catalogue_segment *entry)
{
    char path[RINGTAPE_PATH_BYTES_MAX], name[CATALOGUE_PATH_BYTES_MAX];
    struct ringtape_segment opened;
    struct ringtape_map map;
    struct index index;
    catalogue_segment_path(entry, "index", name);
    (void)snprintf(path, sizeof path, "%.4000s/%s", store_path(report->store), name);
    int error = ringtape_map_open(&map, path);
    if (error == 0) {
        const bool good = index_open(&index, map.bytes, map.size);
        if (good) error = symbols_of_index(report, room, &index, entry->channel);
        ringtape_map_close(&map);
        if (good) return error;
    }
    error = ringtape_segment_open(&opened, report->store, entry);
    if (error == -EBADMSG) return 0;
    if (error != 0) return error;
    error = symbols_of_index(report, room, segment_index(opened.segment), entry->channel);
    ringtape_segment_close(&opened);
    return error;
}

static bool symbols_wanted(const struct report *report, const struct catalogue_segment *entry)
{
    const int32_t first = report->days[0].number;
    if (entry->day < first || entry->day >= first + (int32_t)report->day_count) return false;
    for (size_t i = 0; i < sizeof symbols_channels / sizeof symbols_channels[0]; i++)
        if (entry->channel == symbols_channels[i]) return true;
    return false;
}

static int symbols_of_segments(struct report *report, uint32_t *room)
{
    const struct catalogue *catalogue = store_catalogue(report->store);
    int error = 0;
    for (uint32_t i = 0; i < catalogue->segment_count && error == 0; i++)
        if (symbols_wanted(report, &catalogue->segments[i]))
            error = symbols_of_segment(report, room, &catalogue->segments[i]);
    return error;
}

// ---- tapes ----

static int symbols_of_chunk(struct report *report, uint32_t *room, const struct store_chunk *chunk,
                            enum channel channel)
{
    int error = 0;
    for (uint32_t i = 0; i < chunk->count && error == 0; i++) {
        const uint32_t symbol = chunk->rows->symbol[chunk->index[i]];
        if (symbol != SYMBOL_NONE)
            error = symbols_add(report, room, &chunk->symbols[symbol], channel, 1);
    }
    return error;
}

// Damage is told by the scan of the rows, which meets it again.
static void symbols_damage(void *context, const struct store_damage *damage)
{
    (void)context;
    (void)damage;
}

static int symbols_of_tapes(struct report *report, uint32_t *room, enum channel channel)
{
    struct store_query query = store_query_all(channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.segments = false;
    query.columns = 0;
    query.time_from = report->from_ns;
    query.time_to = report->to_ns;
    query.damage = symbols_damage;
    int result = store_scan_open(&scan, report->store, &query);
    if (result < 0) return result;
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        result = symbols_of_chunk(report, room, &chunk, channel);
        if (result < 0) break;
    }
    store_scan_close(scan);
    return result;
}

// ---- all ----

// By exchange, then name: the colon comes before every other byte, as an end would.
static int symbols_compare(const void *a, const void *b)
{
    const char *one = ((const struct report_symbol *)a)->name;
    const char *two = ((const struct report_symbol *)b)->name;
    while (*one == *two && *one != '\0') {
        one++;
        two++;
    }
    const uint8_t first = *one == ':' ? 1 : (uint8_t)*one;
    const uint8_t second = *two == ':' ? 1 : (uint8_t)*two;
    return (first > second) - (first < second);
}

static int symbols_sort(struct report *report)
{
    int error = 0;
    if (report->symbol_count > 0)
        qsort(report->symbols, report->symbol_count, sizeof *report->symbols, symbols_compare);
    ringtape_names_close(&report->names);
    error = ringtape_names_open(&report->names);
    for (uint32_t i = 0; i < report->symbol_count && error == 0; i++) {
        const struct event_text name = {(const uint8_t *)report->symbols[i].name,
                                        report->symbols[i].name_bytes};
        uint32_t number;
        error = ringtape_names_add(&report->names, &name, &number);
        ensure(error != 0 || number == i);
    }
    return error;
}

int report_symbols_settle(struct report *report)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < report->symbol_count; i++) {
        struct report_symbol *symbol = &report->symbols[i];
        if (symbol->summary.sum.trades > 0 || symbol->summary.quotes > 0)
            report->symbols[kept++] = *symbol;
        else
            free(symbol->name);
    }
    report->symbol_count = kept;
    return symbols_sort(report);
}

int report_symbols_find(struct report *report)
{
    uint32_t room = 0;
    int error = -EAGAIN;
    for (int tries = 0; tries < SYMBOLS_TRIES && (error == -EAGAIN || error == -ENOENT); tries++) {
        symbols_forget(report);
        error = store_refresh(report->store, NULL);
        if (error == 0) error = ringtape_names_open(&report->names);
        if (error == 0) error = symbols_of_segments(report, &room); // -ENOENT: merged meanwhile
        for (size_t i = 0; i < sizeof symbols_channels / sizeof symbols_channels[0]; i++)
            if (error == 0) error = symbols_of_tapes(report, &room, symbols_channels[i]);
    }
    return error == 0 ? symbols_sort(report) : error;
}
