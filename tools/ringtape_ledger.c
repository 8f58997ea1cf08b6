// SPDX-License-Identifier: GPL-3.0-or-later
//
// The base and the shards' files of its generation; then every status row about holes, in the
// order in which they were written. Rows told before the ledger's time are history: what was
// repaired or lost. Later ones change what is open, too.
#include "tools/ringtape_ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

enum { SHARDS_MAX = 64, KEYS_MAX = 2 * LEDGER_KEYS_MAX }; // base and shards together

// ---- files ----

// 0; -ENOENT; -EBADMSG; others.
static int ledger_load(struct ledger *ledger, const struct store *store, const char *name)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct ringtape_map map;
    (void)snprintf(path, sizeof path, "%s/ledger/%s", store_path(store), name);
    int error = ringtape_map_open(&map, path);
    if (error != 0) return error;
    error = ledger_parse(ledger, (const char *)map.bytes, map.size);
    ringtape_map_close(&map);
    return error;
}

static int key_order(const void *left, const void *right)
{
    const struct ledger_key *a = left, *b = right;
    int order = strcmp(a->symbol, b->symbol);
    return order != 0 ? order : (a->channel > b->channel) - (a->channel < b->channel);
}

static void note_add(struct ringtape_ledger *all, const struct ringtape_ledger_note *note)
{
    if (all->note_count == all->note_room) {
        all->note_room = all->note_room * 2 + 1024;
        all->notes = realloc(all->notes, all->note_room * sizeof *all->notes);
        ensure(all->notes != NULL); // as many as the store has status rows, twice
    }
    all->notes[all->note_count++] = *note;
}

static void notes_take(struct ringtape_ledger *all, const struct ledger *ledger,
                       const struct ledger_key *from, uint32_t number)
{
    for (uint32_t i = 0; i < from->hole_count; i++) {
        const struct ledger_hole *hole = &ledger->holes[from->hole_first + i];
        bool ends = from->times && hole->last != INT64_MAX;
        int64_t to_ns = ends ? hole->last : hole->to_ns;
        struct ringtape_ledger_note note = {.key = number,
                                            .kind = STATUS_HOLE_OPENED,
                                            .first = from->times ? -1 : hole->first,
                                            .last = hole->last,
                                            .from_ns = from->times ? hole->first : hole->from_ns,
                                            .to_ns = to_ns,
                                            .count = -1};
        (void)snprintf(note.detail, sizeof note.detail, "%s", coverage_cause_text(hole->cause));
        note_add(all, &note);
    }
}

// Every key of `ledger`, behind those of earlier files, with its place in hole_first.
static void keys_take(struct ringtape_ledger *all, const struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->key_count && all->key_count < KEYS_MAX; i++) {
        uint32_t at = all->key_count++;
        all->keys[at] = ledger->keys[i];
        all->keys[at].hole_first = at;
        if (!ledger->keys[i].gone) notes_take(all, ledger, &ledger->keys[i], at);
    }
}

static int place_order(const void *left, const void *right)
{
    const struct ledger_key *a = left, *b = right;
    int order = key_order(a, b);
    return order != 0 ? order : (a->hole_first < b->hole_first) - (a->hole_first > b->hole_first);
}

// Sorted; of a key that several files have the last one counts. The notes follow.
static void keys_sort(struct ringtape_ledger *all)
{
    uint32_t *places = malloc((all->key_count + 1u) * sizeof *places);
    uint32_t kept = 0;
    ensure(places != NULL);
    qsort(all->keys, all->key_count, sizeof *all->keys, place_order);
    for (uint32_t i = 0; i < all->key_count; i++) {
        uint32_t place = all->keys[i].hole_first;
        bool first = kept == 0 || key_order(&all->keys[kept - 1], &all->keys[i]) != 0;
        if (first) all->keys[kept++] = all->keys[i];
        places[place] = first ? kept - 1 : UINT32_MAX;
    }
    all->key_count = kept;
    kept = 0;
    for (uint32_t n = 0; n < all->note_count; n++) {
        all->notes[n].key = places[all->notes[n].key];
        if (all->notes[n].key != UINT32_MAX) all->notes[kept++] = all->notes[n];
    }
    all->note_count = kept;
    free(places);
}

static int files_read(struct ringtape_ledger *all, struct ledger *ledger,
                      const struct store *store)
{
    int error = ledger_load(ledger, store, "base");
    if (error != 0)
        return ringtape_fail("%s/ledger/base: %s; a daemon writes it at its start",
                             store_path(store), ringtape_error_text(error));
    uint64_t generation = ledger->generation;
    uint32_t shards = ledger->shards < SHARDS_MAX ? ledger->shards : SHARDS_MAX;
    int64_t base_ns = ledger->time_ns;
    all->time_ns = INT64_MAX;
    keys_take(all, ledger);
    for (uint32_t shard = 0; shard < shards; shard++) {
        char name[16];
        (void)snprintf(name, sizeof name, "shard-%02u", shard % 100);
        bool good = ledger_load(ledger, store, name) == 0 && ledger->generation == generation;
        int64_t time_ns = good ? ledger->time_ns : base_ns;
        if (time_ns < all->time_ns) all->time_ns = time_ns;
        if (good) keys_take(all, ledger);
    }
    keys_sort(all);
    return 0;
}

// ---- status rows ----

static uint32_t key_find(const struct ringtape_ledger *all, struct event_text name,
                         enum channel channel)
{
    struct ledger_key wanted = {.channel = channel};
    if (name.size > LEDGER_SYMBOL_BYTES_MAX) return UINT32_MAX;
    memcpy(wanted.symbol, name.bytes, name.size);
    const struct ledger_key *found =
        bsearch(&wanted, all->keys, all->key_count, sizeof wanted, key_order);
    return found == NULL ? UINT32_MAX : (uint32_t)(found - all->keys);
}

static int64_t note_first(const struct ringtape_ledger_note *note)
{
    return note->first >= 0 ? note->first : note->from_ns;
}

static int64_t note_last(const struct ringtape_ledger_note *note)
{
    if (note->first >= 0 || note->last == INT64_MAX) return note->last;
    return note->to_ns;
}

static void note_begin(struct ringtape_ledger_note *note, int64_t first)
{
    if (note->first >= 0)
        note->first = first;
    else
        note->from_ns = first;
}

static void note_end(struct ringtape_ledger_note *note, int64_t last)
{
    note->last = note->first >= 0 ? last : 0;
    if (note->first < 0) note->to_ns = last;
}

// What is repaired or lost is open no more.
static void notes_cut(struct ringtape_ledger *all, const struct ringtape_ledger_note *closed)
{
    int64_t first = note_first(closed), last = note_last(closed);
    for (uint32_t n = all->note_count; n-- > 0;) {
        struct ringtape_ledger_note *open = &all->notes[n];
        if (open->key != closed->key || open->kind != STATUS_HOLE_OPENED) continue;
        int64_t from = note_first(open), to = note_last(open);
        if (to < first || from > last) continue;
        // One without an end had one, which only its closing tells.
        bool times = open->first < 0;
        if ((from >= first && to <= last) || (times && to == INT64_MAX)) {
            *open = all->notes[--all->note_count];
        } else if (from < first && to > last) {
            struct ringtape_ledger_note upper = *open;
            note_begin(&upper, last + 1);
            note_end(open, first - 1);
            note_add(all, &upper);
        } else if (from < first) {
            note_end(open, first - 1);
        } else {
            note_begin(open, last + 1);
        }
    }
}

// A symbol that went is listed as lost without an end, from a position on. What is told later from
// that position on takes its place.
static void ends_drop(struct ringtape_ledger *all, const struct ringtape_ledger_note *later)
{
    for (uint32_t n = all->note_count; n-- > 0;) {
        const struct ringtape_ledger_note *lost = &all->notes[n];
        if (lost->key == later->key && lost->kind == STATUS_HOLE_LOST &&
            lost->last == INT64_MAX && note_first(lost) == note_first(later))
            all->notes[n] = all->notes[--all->note_count];
        else if (lost->key == later->key && lost->kind == STATUS_HOLE_LOST &&
                 lost->last == INT64_MAX)
            all->endless[later->key] = true;
    }
}

// A hole that counts by times is told again when it gets its end, or has none any more.
static bool note_known(struct ringtape_ledger *all, const struct ringtape_ledger_note *note)
{
    for (uint32_t n = 0; n < all->note_count; n++) {
        struct ringtape_ledger_note *open = &all->notes[n];
        if (open->key == note->key && open->kind == STATUS_HOLE_OPENED &&
            note_first(open) <= note_first(note) && note_last(open) >= note_first(note)) {
            if (note->first < 0) {
                open->last = note->last;
                open->to_ns = note->to_ns;
            }
            return true;
        }
    }
    return false;
}

static int64_t cell(const struct rows *rows, int column, uint32_t row, int64_t absent)
{
    return (rows->present[row] >> column & 1) != 0 ? rows->value[column][row] : absent;
}

static void row_take(struct ringtape_ledger *all, const struct store_chunk *chunk, uint32_t row)
{
    const struct rows *rows = chunk->rows;
    enum status_kind kind = (enum status_kind)rows->value[STATUS_KIND][row];
    int64_t channel = cell(rows, STATUS_CHANNEL, row, 0);
    bool hole = kind == STATUS_HOLE_OPENED || kind == STATUS_HOLE_REPAIRED ||
                kind == STATUS_HOLE_LOST || kind == STATUS_INTERVAL_CLOSED;
    if (!hole || channel <= 0 || channel >= CHANNEL_COUNT || rows->symbol[row] == SYMBOL_NONE)
        return;
    struct ringtape_ledger_note note = {
        .key = key_find(all, chunk->symbols[rows->symbol[row]], (enum channel)channel),
        .kind = kind,
        .first = cell(rows, STATUS_FIRST_ID, row, -1),
        .from_ns = cell(rows, STATUS_FROM_TIME, row, 0),
        .to_ns = cell(rows, STATUS_TO_TIME, row, 0),
        .count = cell(rows, STATUS_COUNT, row, -1)};
    if (note.key == UINT32_MAX) return;
    note.last = cell(rows, STATUS_LAST_ID, row, note.first < 0 && note.to_ns != 0 ? 0 : INT64_MAX);
    int text = channel_schema(CHANNEL_STATUS)->columns[STATUS_DETAIL].text;
    (void)snprintf(note.detail, sizeof note.detail, "%.*s", (int)rows->text_length[text][row],
                   (const char *)rows->text + rows->text_offset[text][row]);
    bool news = rows->value[COLUMN_RECEIVE_TIME][row] > all->time_ns;
    ends_drop(all, &note);
    bool taken_back = kind == STATUS_HOLE_REPAIRED && note.last == INT64_MAX;
    if (taken_back) return;
    if (news && kind != STATUS_HOLE_OPENED) notes_cut(all, &note);
    if (kind == STATUS_HOLE_OPENED && (!news || note_known(all, &note))) return;
    if (kind == STATUS_HOLE_LOST && note.last == INT64_MAX) all->endless[note.key] = true;
    note_add(all, &note);
}

static void damage_told(void *context, const struct store_damage *damage)
{
    ((struct ringtape_ledger *)context)->damaged = true;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

static int rows_read(struct ringtape_ledger *all, struct store *store)
{
    struct store_query query = store_query_all(CHANNEL_STATUS);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.damage = damage_told;
    query.damage_context = all;
    int result = store_scan_open(&scan, store, &query);
    if (result == 0) {
        while ((result = store_scan_next(scan, &chunk)) > 0)
            for (uint32_t i = 0; i < chunk.count; i++) row_take(all, &chunk, chunk.index[i]);
        store_scan_close(scan);
    }
    if (result < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(result));
    return 0;
}

static int note_order(const void *left, const void *right)
{
    const struct ringtape_ledger_note *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->from_ns > b->from_ns) - (a->from_ns < b->from_ns);
}

// By key, and where each key's notes are.
static void notes_sort(struct ringtape_ledger *all)
{
    if (all->note_count > 0) qsort(all->notes, all->note_count, sizeof *all->notes, note_order);
    uint32_t n = 0;
    for (uint32_t i = 0; i < all->key_count; i++) {
        all->keys[i].hole_first = n;
        while (n < all->note_count && all->notes[n].key == i) n++;
        all->keys[i].hole_count = n - all->keys[i].hole_first;
    }
}

int ringtape_ledger_open(struct ringtape_ledger *all, struct store *store)
{
    struct ledger ledger;
    *all = (struct ringtape_ledger){.keys = malloc(KEYS_MAX * sizeof *all->keys),
                                    .endless = calloc(KEYS_MAX, sizeof *all->endless)};
    if (all->keys == NULL || all->endless == NULL || ledger_init(&ledger) != 0)
        return ringtape_fail("out of memory");
    int result = files_read(all, &ledger, store);
    ledger_free(&ledger);
    if (result == 0) result = rows_read(all, store);
    if (result == 0) notes_sort(all);
    return result;
}

void ringtape_ledger_close(struct ringtape_ledger *all)
{
    free(all->keys);
    free(all->endless);
    free(all->notes);
}
