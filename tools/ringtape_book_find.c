// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_book_find: see ringtape_book_find.h.
//
//     depth row at or before the moment ─→ its last_id ─→ newest snapshot not behind it
//         ─→ updates in order of ids, each joined to the one before ─→ first one behind the moment
#include "tools/ringtape_book_find.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_coverage.h"
#include "tools/ringtape_ledger.h"

#define HOUR_NS 3600000000000ll
// A snapshot without a time of the exchange has our clock's, which may be ahead.
#define CLOCK_MARGIN_NS (HOUR_NS / 60)
// The daemon renews snapshots every twenty minutes, of 1,500 symbols in an hour: the first or the
// second window has one unless it was down. Each snapshot of a window is decoded: 0.3 ms.
static const int64_t windows_ns[] = {HOUR_NS / 2, 2 * HOUR_NS, 48 * HOUR_NS, INT64_MAX};

static const uint64_t depth_columns = 1ull << DEPTH_EVENT_TIME | 1ull << DEPTH_TRANSACTION_TIME |
                                      1ull << DEPTH_FIRST_ID | 1ull << DEPTH_LAST_ID |
                                      1ull << DEPTH_PREVIOUS_ID;

struct book_search {
    struct store *store;
    const char *symbol;
    int64_t at_ns;
    int64_t last_id; // of the last update at or before it
    struct book_found *found;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct book_found *found,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(found->why, sizeof found->why, format, arguments);
    va_end(arguments);
    return 0;
}

static const char *time_of(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns)
{
    time_text_format(out, time_ns, 9);
    return out;
}

static bool has(const struct rows *rows, int column, uint32_t row)
{
    return (rows->present[row] >> column & 1) != 0;
}

// ---- the last row at or before the moment ----

// 1: *time_ns and *id (0: none) of it; 0: none; negative: errno. `find_columns` are those of a
// channel, `id_column` one of them.
static int last_row(const struct book_search *search, enum channel channel, int id_column,
                    int64_t *time_ns, int64_t *id)
{
    struct store_finder *finder;
    struct store_chunk row;
    const struct store_find what = {.channel = channel,
                                    .symbol = search->symbol,
                                    .time_ns = search->at_ns,
                                    .columns = UINT64_MAX & ~SEGMENT_COLUMNS_LEVELS,
                                    .tapes = true};
    int result = store_finder_open(&finder, search->store);
    if (result < 0) return result;
    result = store_find_last(finder, &what, &row);
    if (result == 1) {
        const uint32_t at = row.index[0];
        *time_ns = rows_time_ns(row.rows, at);
        *id = has(row.rows, id_column, at) ? row.rows->value[id_column][at] : 0;
    }
    store_finder_close(finder);
    return result;
}

// ---- snapshot ----

static void take_edges(struct book_found *found)
{
    struct book_level *levels;
    found->edge_scale = found->levels.price_scale;
    for (int side = 0; side < 2; side++) {
        uint32_t count = 0;
        if (book_levels_sorted(&found->levels, side, &levels, &count) < 0) continue;
        found->cut[side] = count >= BOOK_REST_LEVELS;
        if (count > 0) found->edge[side] = levels[count - 1].price;
        free(levels);
    }
}

// A row of book that may be the base: newer than the one so far, and not ahead of the moment.
static int take_snapshot(struct book_search *search, const struct rows *rows, uint32_t row)
{
    struct book_found *found = search->found;
    const int64_t id = rows->value[BOOK_LAST_ID][row];
    if (rows->value[BOOK_SOURCE][row] != BOOK_SOURCE_REST || id > search->last_id ||
        id <= found->snapshot_id)
        return 0;
    book_levels_clear(&found->levels);
    const int error = book_levels_apply(&found->levels, rows, row);
    found->snapshot_id = id;
    found->snapshot_ns = rows_time_ns(rows, row);
    found->source = BOOK_SOURCE_REST;
    return error;
}

// 1: there is one from `from_ns` on.
static int snapshot_since(struct book_search *search, int64_t from_ns)
{
    struct store_query query = store_query_all(CHANNEL_BOOK);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.symbols = &search->symbol;
    query.symbol_count = 1;
    query.time_from = from_ns;
    if (search->at_ns < INT64_MAX - CLOCK_MARGIN_NS)
        query.time_to = search->at_ns + CLOCK_MARGIN_NS;
    int result = store_scan_open(&scan, search->store, &query);
    if (result < 0) return result;
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        int error = 0;
        for (uint32_t i = 0; i < chunk.count && error == 0; i++)
            error = take_snapshot(search, chunk.rows, chunk.index[i]);
        result = error < 0 ? error : result;
        if (result < 0) break;
    }
    store_scan_close(scan);
    return result < 0 ? result : search->found->snapshot_id != 0;
}

static int find_snapshot(struct book_search *search, int64_t around_ns)
{
    int result = 0;
    for (size_t i = 0; i < sizeof windows_ns / sizeof *windows_ns && result == 0; i++) {
        const bool all = windows_ns[i] > around_ns;
        result = snapshot_since(search, all ? INT64_MIN : around_ns - windows_ns[i]);
    }
    if (result != 1) return result;
    take_edges(search->found);
    return 1;
}

// ---- updates ----

// The id that the row says came before it.
static int64_t id_before(const struct rows *rows, uint32_t row)
{
    if (has(rows, DEPTH_PREVIOUS_ID, row)) return rows->value[DEPTH_PREVIOUS_ID][row];
    return rows->value[DEPTH_FIRST_ID][row] - 1;
}

static int behind_all(struct book_search *search, const char *what, int64_t last_ns)
{
    char last[TIME_TEXT_BYTES_MAX];
    return refuse(search->found, "the last stored %s is of %s; what came after it is not known. "
                                 "Without --at the book is as of then",
                  what, time_of(last, last_ns));
}

static int missing(struct book_search *search, int64_t first, int64_t last, int64_t from_ns,
                   int64_t to_ns)
{
    char from[TIME_TEXT_BYTES_MAX], to[TIME_TEXT_BYTES_MAX];
    return refuse(search->found,
                  "updates %" PRId64 " to %" PRId64 " are missing, between %s and %s; the book is "
                  "known again from the next stored snapshot on. 'ringtape coverage --channel "
                  "depth' tells why",
                  first, last, time_of(from, from_ns), time_of(to, to_ns));
}

enum walk { WALK_ON, WALK_DONE, WALK_REFUSED };

// Of the row behind the snapshot, futures' pu is older than it: there U <= L + 1 <= u joins them.
static enum walk walk_row(struct book_search *search, const struct rows *rows, uint32_t row,
                          int *error)
{
    struct book_found *found = search->found;
    const int64_t last = rows->value[DEPTH_LAST_ID][row];
    const int64_t time_ns = rows_time_ns(rows, row);
    const int64_t before = id_before(rows, row);
    if (last <= found->last_id) return WALK_ON; // came twice, or before the snapshot
    const bool joined = before <= found->last_id ||
                        (found->updates == 0 &&
                         rows->value[DEPTH_FIRST_ID][row] <= found->last_id + 1);
    // The last update before a hole is the book at its own moment, and at none behind it.
    if (!joined && found->updates > 0 && found->time_ns == search->at_ns) return WALK_DONE;
    if (!joined) {
        (void)missing(search, found->last_id + 1, before, found->time_ns, time_ns);
        return WALK_REFUSED;
    }
    if (time_ns > search->at_ns) return WALK_DONE;
    *error = book_levels_apply(&found->levels, rows, row);
    if (*error < 0) return WALK_REFUSED;
    found->last_id = last;
    found->time_ns = time_ns;
    found->updates++;
    return WALK_ON;
}

// 1: the walk came behind the moment, or to the end. 0: refused.
static int walk_scan(struct book_search *search, struct store_scan *scan, bool *behind)
{
    struct store_chunk chunk;
    int result, error = 0;
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        for (uint32_t i = 0; i < chunk.count; i++) {
            const enum walk step = walk_row(search, chunk.rows, chunk.index[i], &error);
            if (step == WALK_REFUSED) return error;
            *behind = step == WALK_DONE;
            if (*behind) return 1;
        }
    }
    return result < 0 ? result : 1;
}

static int walk(struct book_search *search)
{
    struct book_found *found = search->found;
    struct store_query query = store_query_all(CHANNEL_DEPTH);
    const struct store_predicate after = {
        .column = DEPTH_LAST_ID, .min = found->snapshot_id + 1, .max = INT64_MAX};
    struct store_scan *scan;
    bool behind = false;
    query.symbols = &search->symbol;
    query.symbol_count = 1;
    query.predicates = &after;
    query.predicate_count = 1;
    query.columns = depth_columns | SEGMENT_COLUMNS_LEVELS;
    found->last_id = found->snapshot_id;
    found->time_ns = found->snapshot_ns;
    int result = store_scan_open(&scan, search->store, &query);
    if (result < 0) return result;
    result = walk_scan(search, scan, &behind);
    store_scan_close(scan);
    if (result != 1 || behind || search->at_ns == BOOK_NEWEST) return result;
    return behind_all(search, "update", found->time_ns);
}

static int by_updates(struct book_search *search, int64_t time_ns)
{
    char time[TIME_TEXT_BYTES_MAX];
    search->found->rebuilt = true;
    const int result = find_snapshot(search, time_ns);
    if (result < 0) return result;
    if (result == 0)
        return refuse(search->found,
                      "no snapshot is stored that update %" PRId64 " of %s could build on; depth "
                      "is covered from the first snapshot on, see 'ringtape coverage --channel "
                      "depth'",
                      search->last_id, time_of(time, time_ns));
    return walk(search);
}

// ---- book rows ----

// 1: a book came at the moment or after it. 0: refused, none did, and the daemon may be down.
static int judge_end(struct book_search *search)
{
    struct book_search newest = *search;
    int64_t time_ns = 0, id;
    newest.at_ns = BOOK_NEWEST;
    const int result = last_row(&newest, CHANNEL_BOOK, BOOK_LAST_ID, &time_ns, &id);
    if (result < 0 || search->at_ns == BOOK_NEWEST || time_ns >= search->at_ns)
        return result < 0 ? result : 1;
    return behind_all(search, "book", time_ns);
}

// Is the moment inside of a hole?
static int judge_coverage(struct book_search *search)
{
    static struct ringtape_query query;
    struct ledger_whole ledger;
    int result = ringtape_ledger_open(&ledger, search->store) == 0 ? 1 : -EIO;
    ringtape_query_init(&query);
    query.channel_bits = 1u << CHANNEL_BOOK;
    query.from = search->at_ns == BOOK_NEWEST ? search->found->time_ns : search->at_ns;
    query.to = query.from + 1;
    for (uint32_t n = 0; result == 1 && n < ledger.note_count; n++) {
        const struct ledger_note *note = &ledger.notes[n];
        const struct ledger_key *key = &ledger.keys[note->key];
        const bool hole = note->kind == STATUS_HOLE_OPENED || note->kind == STATUS_HOLE_LOST;
        if (!hole || key->channel != CHANNEL_BOOK || strcmp(key->symbol, search->symbol) != 0 ||
            !coverage_note_wanted(&query, note, ledger.time_ns))
            continue;
        char from[TIME_TEXT_BYTES_MAX], to[TIME_TEXT_BYTES_MAX];
        result = refuse(search->found, "no books came between %s and %s: %s",
                        time_of(from, note->from_ns),
                        note->to_ns == 0 ? "now" : time_of(to, note->to_ns), note->detail);
    }
    ledger_whole_free(&ledger);
    return result;
}

// Finds the row again, this time with its levels.
static int take_row(struct book_search *search)
{
    struct book_found *found = search->found;
    struct store_finder *finder;
    struct store_chunk row;
    const struct store_find what = {.channel = CHANNEL_BOOK,
                                    .symbol = search->symbol,
                                    .time_ns = search->at_ns,
                                    .columns = UINT64_MAX,
                                    .tapes = true};
    int result = store_finder_open(&finder, search->store);
    if (result < 0) return result;
    result = store_find_last(finder, &what, &row);
    if (result == 1) {
        const uint32_t at = row.index[0];
        found->time_ns = rows_time_ns(row.rows, at);
        found->source = (uint8_t)row.rows->value[BOOK_SOURCE][at];
        if (has(row.rows, BOOK_LAST_ID, at)) found->last_id = row.rows->value[BOOK_LAST_ID][at];
        const int error = book_levels_apply(&found->levels, row.rows, at);
        if (error < 0) result = error;
    }
    store_finder_close(finder);
    if (result == 1) take_edges(found);
    return result;
}

static int by_row(struct book_search *search)
{
    int result = take_row(search);
    if (result == 0)
        return refuse(search->found, "neither depth nor book of %s is stored at or before then; "
                                     "'ringtape ls --symbols' lists what there is",
                      search->symbol);
    if (result == 1) result = judge_end(search);
    if (result == 1) result = judge_coverage(search);
    search->found->cut[0] = search->found->cut[1] = true; // a book as sent has no deeper levels
    return result;
}

int book_find(struct store *store, const char *symbol, int64_t at_ns, struct book_found *found)
{
    ensure(symbol != NULL);
    *found = (struct book_found){.rebuilt = false};
    struct book_search search = {
        .store = store, .symbol = symbol, .at_ns = at_ns, .found = found};
    int64_t time_ns = 0;
    int result = book_levels_init(&found->levels);
    if (result == 0)
        result = last_row(&search, CHANNEL_DEPTH, DEPTH_LAST_ID, &time_ns, &search.last_id);
    if (result < 0) return result;
    return result == 1 ? by_updates(&search, time_ns) : by_row(&search);
}

void book_found_free(struct book_found *found)
{
    book_levels_free(&found->levels);
}
