// SPDX-License-Identifier: Apache-2.0
//
// The public header's scans and point reads: names are looked up once, then store.h does the work.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/library_inside.h"

struct ringtape_scan {
    const struct ringtape *store;
    struct store_scan *scan;
    struct library_listener listener;
    struct store_predicate *predicates;
    char **symbols; // own copies
    uint32_t symbol_count;
    uint64_t columns;
    struct store_chunk chunk;
    uint32_t given; // rows of `chunk`
    struct library_chunk made;
};

void ringtape_scan_close(struct ringtape_scan *scan)
{
    if (!scan)
        return;
    if (scan->scan)
        store_scan_close(scan->scan);
    for (uint32_t i = 0; i < scan->symbol_count; i++)
        free(scan->symbols[i]);
    free(scan->symbols);
    free(scan->predicates);
    library_chunk_close(&scan->made);
    free(scan);
}

// ---- opening ----

static void say(char what[LIBRARY_WHAT_BYTES], const char *text)
{
    ensure(strlen(text) < LIBRARY_WHAT_BYTES);
    memcpy(what, text, strlen(text) + 1);
}

// 0, -ENOMEM, or -EINVAL with `what`.
static int take_predicates(struct ringtape_scan *scan, const struct channel_schema *schema,
                           const struct ringtape_query *asked, char what[LIBRARY_WHAT_BYTES])
{
    scan->predicates = calloc(asked->predicate_count + 1u, sizeof *scan->predicates);
    if (!scan->predicates)
        return -ENOMEM;
    for (uint32_t p = 0; p < asked->predicate_count; p++) {
        const struct ringtape_predicate *from = &asked->predicates[p];
        int column = from->column ? column_by_name(schema, from->column) : -1;
        library_no_column(schema, from->column, " for a condition", what);
        if (column < 0)
            return -EINVAL;
        say(what, "a condition on a text, from high to low, or with a scale above 18");
        scan->predicates[p] = (struct store_predicate){
            .column = column, .min = from->min, .max = from->max, .scale = from->scale};
    }
    return 0;
}

static int take_symbols(struct ringtape_scan *scan, const struct ringtape_query *asked)
{
    scan->symbols = calloc(asked->symbol_count + 1u, sizeof *scan->symbols);
    if (!scan->symbols)
        return -ENOMEM;
    for (uint32_t s = 0; s < asked->symbol_count; s++) {
        scan->symbols[s] = strdup(asked->symbols[s]);
        if (!scan->symbols[s])
            return -ENOMEM;
        scan->symbol_count++;
    }
    return 0;
}

static int open_scan(struct ringtape_scan *scan, struct ringtape *store,
                     const struct ringtape_query *asked, char what[LIBRARY_WHAT_BYTES])
{
    const struct channel_schema *schema = library_schema(asked->channel);
    const char *unknown;
    say(what, "no such channel");
    if (!schema)
        return -EINVAL;
    if (!library_columns(schema, asked->columns, asked->column_count, &scan->columns, &unknown)) {
        library_no_column(schema, unknown, "", what);
        return -EINVAL;
    }
    int error = take_predicates(scan, schema, asked, what);
    if (error == 0)
        error = take_symbols(scan, asked);
    if (error < 0)
        return error;
    struct store_query query = store_query_all(schema->channel);
    query.symbols = (const char *const *)scan->symbols;
    query.symbol_count = scan->symbol_count;
    query.time_from = asked->time_from;
    query.time_to = asked->time_to;
    query.predicates = scan->predicates;
    query.predicate_count = asked->predicate_count;
    query.follow = (enum store_follow)asked->follow;
    query.columns = scan->columns;
    query.segments = asked->segments;
    query.tapes = asked->tapes;
    scan->listener = (struct library_listener){asked->damage, asked->damage_context};
    query.damage = asked->damage ? library_damage : NULL;
    query.damage_context = &scan->listener;
    if (asked->time_from > asked->time_to)
        say(what, "time_from is after time_to");
    return store_scan_open(&scan->scan, store->store, &query);
}

int ringtape_scan_open(struct ringtape_scan **out, struct ringtape *store,
                       const struct ringtape_query *query, struct ringtape_message *message)
{
    struct ringtape_scan *scan = calloc(1, sizeof *scan);
    char what[LIBRARY_WHAT_BYTES];
    if (!scan)
        return library_fail(message, -ENOMEM, store, NULL);
    scan->store = store;
    int error = open_scan(scan, store, query, what);
    if (error == 0) {
        *out = scan;
        return 0;
    }
    ringtape_scan_close(scan);
    if (error == -ENOENT)
        return library_fail(message, error, store, "a file that the catalogue lists is missing");
    return library_fail(message, error, store, error == -EINVAL ? what : NULL);
}

// ---- reading ----

int ringtape_scan_next(struct ringtape_scan *scan, struct ringtape_chunk *chunk,
                       struct ringtape_message *message)
{
    *chunk = (struct ringtape_chunk){0};
    if (scan->given == scan->chunk.count) {
        scan->given = 0;
        int result = store_scan_next(scan->scan, &scan->chunk);
        if (result <= 0)
            scan->chunk.count = 0;
        if (result < 0)
            return library_fail(message, result, scan->store, NULL);
        if (result == 0)
            return 0;
    }
    uint32_t count = scan->chunk.count - scan->given;
    int error = library_chunk_make(&scan->made, &scan->chunk, scan->given, &count, scan->columns,
                                   chunk);
    if (error < 0)
        return library_fail(message, error, scan->store, NULL);
    scan->given += count;
    return 1;
}

struct ringtape_counts ringtape_scan_counts(const struct ringtape_scan *scan)
{
    const struct store_scan_counts counts = store_scan_counts(scan->scan);
    struct ringtape_counts told = {.segments_read = counts.segments_read,
                                   .blocks_read = counts.blocks_read,
                                   .blocks_skipped = counts.blocks_skipped,
                                   .batches_read = counts.batches_read,
                                   .batches_skipped = counts.batches_skipped};
    store_scan_progress(scan->scan, &told.bytes_done, &told.bytes_total);
    return told;
}

// ---- point reads ----

struct ringtape_finder {
    const struct ringtape *store;
    struct store_finder *finder;
    enum channel channel;
    uint64_t columns;
    bool tapes;
    struct library_chunk made;
};

int ringtape_finder_open(struct ringtape_finder **out, struct ringtape *store, const char *channel,
                         const char *const *columns, uint32_t column_count, bool tapes,
                         struct ringtape_message *message)
{
    const struct channel_schema *schema = library_schema(channel);
    const char *unknown;
    uint64_t wanted;
    if (!schema)
        return library_fail(message, -EINVAL, store, "no such channel");
    if (!library_columns(schema, columns, column_count, &wanted, &unknown)) {
        char what[LIBRARY_WHAT_BYTES];
        library_no_column(schema, unknown, "", what);
        return library_fail(message, -EINVAL, store, what);
    }
    struct ringtape_finder *finder = calloc(1, sizeof *finder);
    int error = finder ? store_finder_open(&finder->finder, store->store) : -ENOMEM;
    if (error < 0) {
        free(finder);
        return library_fail(message, error, store, NULL);
    }
    finder->store = store;
    finder->channel = schema->channel;
    finder->columns = wanted;
    finder->tapes = tapes;
    *out = finder;
    return 0;
}

int ringtape_find_last(struct ringtape_finder *finder, const char *symbol, int64_t time_ns,
                       struct ringtape_chunk *chunk, struct ringtape_message *message)
{
    const struct store_find what = {.channel = finder->channel,
                                    .symbol = symbol,
                                    .time_ns = time_ns,
                                    .columns = finder->columns,
                                    .tapes = finder->tapes};
    struct store_chunk row;
    uint32_t count = 1;
    *chunk = (struct ringtape_chunk){0};
    int result = store_find_last(finder->finder, &what, &row);
    if (result == 1) {
        int error =
            library_chunk_make(&finder->made, &row, 0, &count, finder->columns, chunk);
        result = error < 0 ? error : 1;
    }
    return result < 0 ? library_fail(message, result, finder->store, NULL) : result;
}

void ringtape_finder_close(struct ringtape_finder *finder)
{
    if (!finder)
        return;
    store_finder_close(finder->finder);
    library_chunk_close(&finder->made);
    free(finder);
}
