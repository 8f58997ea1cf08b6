// SPDX-License-Identifier: GPL-3.0-or-later
//
// Stored ids come from the rows themselves, not from coverage: of the blocks whose times may match
// only the column of the ids is decoded.
#include "tools/ringtape_backfill_stored.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_ledger.h"

#define MONTH_NS (31 * INT64_C(86400000000000))
// So much later than its end the message that closed a kline may be.
#define CLOSED_LATE_NS INT64_C(3600000000000)

// ---- spans ----

void backfill_spans_free(struct backfill_spans *spans)
{
    free(spans->spans);
    *spans = (struct backfill_spans){0};
}

bool backfill_spans_add(struct backfill_spans *spans, int64_t first, int64_t last)
{
    struct backfill_span *newest = spans->count > 0 ? &spans->spans[spans->count - 1] : NULL;
    ensure(first <= last);
    if (newest != NULL && first >= newest->first && first <= newest->last + 1 &&
        newest->last != INT64_MAX) {
        if (last > newest->last) newest->last = last;
        return true;
    }
    if (spans->count == spans->room) {
        const uint32_t room = spans->room * 2 + 64;
        void *grown = realloc(spans->spans, room * sizeof spans->spans[0]);
        if (grown == NULL) return false;
        spans->spans = grown;
        spans->room = room;
    }
    spans->spans[spans->count++] = (struct backfill_span){first, last};
    return true;
}

static int span_order(const void *left, const void *right)
{
    const struct backfill_span *a = left, *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

void backfill_spans_unite(struct backfill_spans *spans)
{
    uint32_t kept = 0;
    if (spans->count > 0)
        qsort(spans->spans, spans->count, sizeof spans->spans[0], span_order);
    for (uint32_t i = 0; i < spans->count; i++) {
        struct backfill_span *last = kept > 0 ? &spans->spans[kept - 1] : NULL;
        const struct backfill_span next = spans->spans[i];
        if (last == NULL || (last->last != INT64_MAX && next.first > last->last + 1))
            spans->spans[kept++] = next;
        else if (next.last > last->last)
            last->last = next.last;
    }
    spans->count = kept;
}

const struct backfill_span *backfill_spans_from(const struct backfill_spans *spans,
                                                uint32_t *cursor, int64_t position)
{
    while (*cursor < spans->count && spans->spans[*cursor].last < position) ++*cursor;
    return *cursor < spans->count ? &spans->spans[*cursor] : NULL;
}

// ---- stored rows ----

static int64_t interval_number(const struct backfill_key *key, int64_t open_ns)
{
    return key->interval_ns > 0 ? open_ns / key->interval_ns : open_ns;
}

int64_t backfill_position(const struct backfill_key *key, const struct rows *rows, uint32_t row)
{
    switch (key->channel) {
    case CHANNEL_TRADE: return rows->value[TRADE_ID][row];
    case CHANNEL_AGG_TRADE: return rows->value[AGG_TRADE_ID][row];
    default: return interval_number(key, rows->value[KLINE_OPEN_TIME][row]);
    }
}

// Of what a stream said of a kline while it grew, only the last is the kline itself.
static bool is_of_key(const struct backfill_key *key, const struct rows *rows, uint32_t row)
{
    if (key->channel != CHANNEL_KLINE) return true;
    const int text = rows->schema->columns[KLINE_INTERVAL].text;
    return rows->value[KLINE_CLOSED][row] != 0 &&
           rows->text_length[text][row] == strlen(key->interval) &&
           memcmp(rows->text + rows->text_offset[text][row], key->interval,
                  strlen(key->interval)) == 0;
}

static void damage_told(void *context, const struct store_damage *damage)
{
    *(bool *)context = true;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

static uint64_t columns_of(enum channel channel)
{
    switch (channel) {
    case CHANNEL_TRADE: return 1ull << TRADE_ID;
    case CHANNEL_AGG_TRADE: return 1ull << AGG_TRADE_ID;
    default: return 1ull << KLINE_OPEN_TIME | 1ull << KLINE_CLOSED | 1ull << KLINE_INTERVAL;
    }
}

static bool take_chunk(const struct backfill_key *key, const struct store_chunk *chunk,
                       struct backfill_spans *spans)
{
    for (uint32_t i = 0; i < chunk->count; i++) {
        const uint32_t row = chunk->index[i];
        if (!is_of_key(key, chunk->rows, row)) continue;
        const int64_t position = backfill_position(key, chunk->rows, row);
        if (!backfill_spans_add(spans, position, position)) return false;
    }
    return true;
}

// A kline of a stream has the time of the message that closed it.
static int64_t late_ns(const struct backfill_key *key)
{
    if (key->channel != CHANNEL_KLINE) return 0;
    return (key->interval_ns > 0 ? key->interval_ns : MONTH_NS) + CLOSED_LATE_NS;
}

int backfill_stored(struct store *store, const struct backfill_key *key, int64_t from_ns,
                    int64_t to_ns, struct backfill_spans *spans)
{
    bool damaged = false;
    struct store_scan *scan;
    struct store_chunk chunk;
    struct store_query query = store_query_all(key->channel);
    query.symbols = &key->symbol;
    query.symbol_count = 1;
    query.time_from = from_ns;
    query.time_to = to_ns < INT64_MAX - late_ns(key) ? to_ns + late_ns(key) : INT64_MAX;
    query.columns = columns_of(key->channel);
    query.damage = damage_told;
    query.damage_context = &damaged;
    *spans = (struct backfill_spans){0};
    int result = store_scan_open(&scan, store, &query);
    if (result < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(result));
    while ((result = store_scan_next(scan, &chunk)) > 0)
        if (!take_chunk(key, &chunk, spans)) break;
    store_scan_close(scan);
    backfill_spans_unite(spans);
    if (result > 0) return ringtape_fail("out of memory");
    if (result < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(result));
    // What cannot be read cannot be told from what is missing: it might come twice.
    return damaged ? ringtape_fail("%s: run 'ringtape recover' first", store_path(store))
                   : RINGTAPE_EXIT_OK;
}

// ---- files filled in before ----

static char *file_text(const char *symbol, enum channel channel, const char *detail, int size)
{
    char *text = NULL;
    if (asprintf(&text, "%s %s %.*s", symbol, channel_schema(channel)->name, size, detail) < 0)
        return NULL;
    return text;
}

static int file_order(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool add_file(struct backfill_known *known, const struct store_chunk *chunk, uint32_t row)
{
    const struct rows *rows = chunk->rows;
    const int text = rows->schema->columns[STATUS_DETAIL].text;
    const int64_t channel = rows->value[STATUS_CHANNEL][row];
    char symbol[SEGMENT_SYMBOL_BYTES_MAX + 1] = "";
    if (rows->symbol[row] == SYMBOL_NONE || channel <= 0 || channel >= CHANNEL_COUNT) return true;
    const struct event_text *name = &chunk->symbols[rows->symbol[row]];
    memcpy(symbol, name->bytes, name->size);
    if (known->file_count == known->file_room) {
        const uint32_t room = known->file_room * 2 + 256;
        void *grown = realloc(known->files, room * sizeof known->files[0]);
        if (grown == NULL) return false;
        known->files = grown;
        known->file_room = room;
    }
    char *made = file_text(symbol, (enum channel)channel,
                           (const char *)rows->text + rows->text_offset[text][row],
                           (int)rows->text_length[text][row]);
    if (made != NULL) known->files[known->file_count++] = made;
    return made != NULL;
}

static int load_files(struct backfill_known *known, struct store *store)
{
    const struct store_predicate predicate = {
        .column = STATUS_KIND, .min = STATUS_BACKFILLED, .max = STATUS_BACKFILLED};
    bool damaged = false;
    struct store_scan *scan;
    struct store_chunk chunk;
    struct store_query query = store_query_all(CHANNEL_STATUS);
    query.predicates = &predicate;
    query.predicate_count = 1;
    query.damage = damage_told;
    query.damage_context = &damaged;
    int result = store_scan_open(&scan, store, &query);
    if (result < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(result));
    while ((result = store_scan_next(scan, &chunk)) > 0)
        for (uint32_t i = 0; i < chunk.count && result > 0; i++)
            if (!add_file(known, &chunk, chunk.index[i])) result = -12;
    store_scan_close(scan);
    if (result < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(result));
    if (known->file_count > 0)
        qsort(known->files, known->file_count, sizeof known->files[0], file_order);
    return RINGTAPE_EXIT_OK;
}

bool backfill_known_has(const struct backfill_known *known, const struct backfill_key *key,
                        const char *detail)
{
    char *wanted = file_text(key->symbol, key->channel, detail, (int)strlen(detail));
    const bool found = wanted != NULL && known->file_count > 0 &&
                       bsearch(&wanted, known->files, known->file_count, sizeof known->files[0],
                               file_order) != NULL;
    free(wanted);
    return found;
}

// ---- coverage ----

int backfill_known_open(struct backfill_known *known, struct store *store)
{
    *known = (struct backfill_known){0};
    int result = ringtape_ledger_open_any(&known->ledger, store);
    known->life = known->ledger.generation;
    if (result == 0) result = load_files(known, store);
    return result;
}

void backfill_known_close(struct backfill_known *known)
{
    ledger_whole_free(&known->ledger);
    for (uint32_t i = 0; i < known->file_count; i++) free(known->files[i]);
    free(known->files);
    *known = (struct backfill_known){0};
}

bool backfill_known_theirs(const struct backfill_known *known, const struct backfill_key *key,
                           struct backfill_spans *spans)
{
    const struct ledger_whole *ledger = &known->ledger;
    *spans = (struct backfill_spans){0};
    if (key->channel == CHANNEL_KLINE) return true; // a daemon writes none of archives
    for (uint32_t k = 0; k < ledger->key_count; k++) {
        const struct ledger_key *found = &ledger->keys[k];
        if (strcmp(found->symbol, key->symbol) != 0 || found->channel != key->channel ||
            found->archived || found->gone || found->times)
            continue;
        for (uint32_t n = 0; n < found->hole_count; n++) {
            const struct ledger_note *note = &ledger->notes[found->hole_first + n];
            if (note->kind == STATUS_HOLE_OPENED && note->first >= 0 && note->last >= note->first &&
                !backfill_spans_add(spans, note->first, note->last))
                return false;
        }
        if (!backfill_spans_add(spans, found->last + 1, INT64_MAX)) return false;
    }
    backfill_spans_unite(spans);
    return true;
}
