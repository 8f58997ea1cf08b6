// SPDX-License-Identifier: Apache-2.0
//
// Rows sorted by key and position → per key a list of ranges, the live one among them → their
// union, with a note for each gap → the key's older notes without what the union covers.
#include "format/ledger_filled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

#define DETAIL "backfilled"

struct range { // what is stored, in positions of the key
    int64_t first;
    int64_t last;
    int64_t from_ns;
    int64_t to_ns;
    bool live;        // what the daemon recorded: not new
    const char *file; // "": the daemon's
};

struct work { // of one key
    struct ledger_whole *whole;
    uint32_t key;
    struct range *ranges; // sorted; then the union of those filled in
    uint32_t count;
};

void ledger_filled_add(struct ledger_whole *whole, const struct ledger_filled *row)
{
    if (whole->filled_count == whole->filled_room) {
        uint32_t room = whole->filled_room * 2 + 256;
        room = room < LEDGER_WHOLE_NOTES_MAX ? room : LEDGER_WHOLE_NOTES_MAX;
        void *filled = realloc(whole->filled, room * sizeof *whole->filled);
        whole->full = whole->full || !filled || room == whole->filled_count;
        if (!filled)
            return;
        whole->filled = filled;
        whole->filled_room = room;
    }
    if (whole->filled_count < whole->filled_room)
        whole->filled[whole->filled_count++] = *row;
}

static int filled_key_order(const struct ledger_filled *a, const struct ledger_filled *b)
{
    int order = strcmp(a->symbol, b->symbol);
    return order != 0 ? order : (a->channel > b->channel) - (a->channel < b->channel);
}

static int filled_order(const void *left, const void *right)
{
    const struct ledger_filled *a = left;
    const struct ledger_filled *b = right;
    int order = filled_key_order(a, b);
    if (order != 0)
        return order;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return (a->from_ns > b->from_ns) - (a->from_ns < b->from_ns);
}

// ---- keys ----

// Behind the sorted ones; hole_first keeps its number until everything is sorted again.
static uint32_t add_key(struct ledger_whole *whole, const struct ledger_filled *row, uint32_t added)
{
    uint32_t at = whole->key_count + added;
    if (at == LEDGER_WHOLE_KEYS_MAX) {
        whole->full = true;
        return UINT32_MAX;
    }
    whole->keys[at] =
        (struct ledger_key){.channel = row->channel,
                            .times = row->first < 0,
                            .archived = true,
                            .recorded_ns = INT64_MAX};
    memcpy(whole->keys[at].symbol, row->symbol, sizeof row->symbol);
    return at;
}

static uint32_t find_key(const struct ledger_whole *whole, const struct ledger_filled *row)
{
    struct ledger_key wanted = {.channel = row->channel};
    memcpy(wanted.symbol, row->symbol, sizeof row->symbol);
    const struct ledger_key *found = bsearch(&wanted, whole->keys, whole->key_count, sizeof wanted,
                                             ledger_whole_key_order);
    return found ? (uint32_t)(found - whole->keys) : UINT32_MAX;
}

// Keys were added behind the sorted ones: all are sorted, and the notes follow.
static void sort_keys(struct ledger_whole *whole)
{
    uint32_t *places = malloc((whole->key_count + 1u) * sizeof *places);
    ensure(places);
    for (uint32_t i = 0; i < whole->key_count; i++)
        whole->keys[i].hole_first = i;
    qsort(whole->keys, whole->key_count, sizeof *whole->keys, ledger_whole_key_order);
    for (uint32_t i = 0; i < whole->key_count; i++)
        places[whole->keys[i].hole_first] = i;
    for (uint32_t n = 0; n < whole->note_count; n++)
        whole->notes[n].key = places[whole->notes[n].key];
    free(places);
}

// ---- ranges ----

static int range_order(const void *left, const void *right)
{
    const struct range *a = left;
    const struct range *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

static void list_ranges(struct work *work, const struct ledger_filled *rows, uint32_t count)
{
    const struct ledger_key *key = &work->whole->keys[work->key];
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_filled *row = &rows[i];
        bool ids = row->first >= 0;
        if (ids == key->times) // counted in another way: nothing can be said
            continue;
        work->ranges[work->count++] = (struct range){.first = ids ? row->first : row->from_ns,
                                                     .last = ids ? row->last : row->to_ns,
                                                     .from_ns = row->from_ns,
                                                     .to_ns = row->to_ns,
                                                     .file = row->file};
    }
    if (!key->archived && !key->gone)
        work->ranges[work->count++] = (struct range){.first = key->first,
                                                     .last = key->last,
                                                     .from_ns = key->first_ns,
                                                     .to_ns = key->last_ns,
                                                     .live = true,
                                                     .file = ""};
    if (work->count > 0)
        qsort(work->ranges, work->count, sizeof *work->ranges, range_order);
}

static void note_gap(struct work *work, const struct range *before, const struct range *after)
{
    bool times = work->whole->keys[work->key].times;
    struct ledger_note note = {.key = work->key,
                               .kind = STATUS_HOLE_LOST,
                               .first = times ? -1 : before->last + 1,
                               .last = times ? 0 : after->first - 1,
                               .from_ns = before->to_ns,
                               .to_ns = after->from_ns,
                               .count = times ? -1 : after->first - 1 - before->last};
    if (before->file[0] != '\0' && strcmp(before->file, after->file) == 0)
        (void)snprintf(note.detail, sizeof note.detail, "not in %s", before->file);
    else
        (void)snprintf(note.detail, sizeof note.detail, "not backfilled");
    ledger_whole_note(work->whole, &note);
}

// Gaps become notes, first and last of the key are those of all.
static void unite_all(struct work *work)
{
    struct ledger_key *key = &work->whole->keys[work->key];
    struct range reach = work->ranges[0];
    for (uint32_t i = 1; i < work->count; i++) {
        const struct range *next = &work->ranges[i];
        if (next->first > reach.last && next->first - reach.last > 1)
            note_gap(work, &reach, next);
        if (next->last <= reach.last)
            continue;
        reach.last = next->last;
        reach.to_ns = next->to_ns;
        reach.file = next->file;
    }
    key->gone = false;
    key->first = work->ranges[0].first;
    key->first_ns = work->ranges[0].from_ns;
    key->last = reach.last;
    key->last_ns = reach.to_ns;
    if (key->archived) {
        key->proven = key->times ? 0 : key->last;
        key->proven_ns = key->last_ns;
    }
}

// Of those filled in, which close what was listed.
static void unite_filled(struct work *work)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < work->count; i++) {
        const struct range *next = &work->ranges[i];
        struct range *last = kept > 0 ? &work->ranges[kept - 1] : NULL;
        if (next->live)
            continue;
        if (!last || (next->first > last->last && next->first - last->last > 1)) {
            work->ranges[kept++] = *next;
        } else if (next->last > last->last) {
            last->last = next->last;
            last->to_ns = next->to_ns;
        }
    }
    work->count = kept;
}

// ---- what was listed before ----

static void note_repaired(struct work *work, const struct ledger_note *of, const struct range *by,
                          int64_t first, int64_t last)
{
    struct ledger_note note = *of;
    note.kind = STATUS_HOLE_REPAIRED;
    ledger_note_begin(&note, first);
    ledger_note_end(&note, last);
    note.count = of->first >= 0 ? last - first + 1 : -1;
    if (note.from_ns < by->from_ns)
        note.from_ns = by->from_ns;
    if (note.to_ns == 0 || note.to_ns > by->to_ns)
        note.to_ns = by->to_ns;
    (void)snprintf(note.detail, sizeof note.detail, DETAIL);
    ledger_whole_note(work->whole, &note);
}

// The note without what the union covers: false, nothing of it is left. What is left in several
// pieces becomes notes of their own, but for the last.
static bool cut_note(struct work *work, struct ledger_note *note)
{
    for (uint32_t i = 0; i < work->count; i++) {
        const struct range *by = &work->ranges[i];
        int64_t first = ledger_note_first(note);
        int64_t last = ledger_note_last(note);
        if (by->first > last)
            break;
        if (by->last < first)
            continue;
        int64_t from = by->first > first ? by->first : first;
        int64_t to = by->last < last ? by->last : last;
        note_repaired(work, note, by, from, to);
        note->count = -1;
        if (from > first) {
            struct ledger_note lower = *note;
            ledger_note_end(&lower, from - 1);
            lower.to_ns = by->from_ns;
            ledger_whole_note(work->whole, &lower);
        }
        if (to == last)
            return false;
        ledger_note_begin(note, to + 1);
        note->from_ns = by->to_ns;
    }
    return true;
}

static void cut_notes(struct work *work)
{
    struct ledger_whole *whole = work->whole;
    if (work->key >= whole->noted) // a new key has none
        return;
    uint32_t first = whole->keys[work->key].hole_first;
    uint32_t count = whole->keys[work->key].hole_count;
    for (uint32_t n = first; n < first + count; n++) {
        struct ledger_note note = whole->notes[n]; // the array may move
        if (note.kind != STATUS_HOLE_OPENED && note.kind != STATUS_HOLE_LOST)
            continue;
        if (ledger_note_last(&note) < ledger_note_first(&note))
            continue;
        if (!cut_note(work, &note))
            note.kind = STATUS_INTERVAL_CLOSED; // says nothing of coverage
        whole->notes[n] = note;
    }
}

// ---- all ----

static void apply_key(struct ledger_whole *whole, uint32_t key, const struct ledger_filled *rows,
                      uint32_t count)
{
    struct work work = {.whole = whole, .key = key};
    work.ranges = malloc((count + 1u) * sizeof *work.ranges);
    if (!work.ranges) {
        whole->full = true;
        return;
    }
    list_ranges(&work, rows, count);
    uint32_t listed = work.count;
    bool any = listed > (whole->keys[key].archived || whole->keys[key].gone ? 0 : 1);
    if (any) {
        // Older notes first: those of gaps are made behind them.
        struct range *all = malloc(listed * sizeof *all);
        ensure(all);
        memcpy(all, work.ranges, listed * sizeof *all);
        unite_filled(&work);
        cut_notes(&work);
        memcpy(work.ranges, all, listed * sizeof *all);
        work.count = listed;
        unite_all(&work);
        free(all);
    }
    free(work.ranges);
}

void ledger_filled_apply(struct ledger_whole *whole)
{
    uint32_t added = 0;
    if (whole->filled_count == 0)
        return;
    ledger_whole_sort(whole);
    whole->noted = whole->key_count;
    qsort(whole->filled, whole->filled_count, sizeof *whole->filled, filled_order);
    for (uint32_t first = 0, next; first < whole->filled_count; first = next) {
        const struct ledger_filled *row = &whole->filled[first];
        for (next = first + 1; next < whole->filled_count; next++) {
            if (filled_key_order(row, &whole->filled[next]) != 0)
                break;
        }
        uint32_t key = find_key(whole, row);
        if (key == UINT32_MAX) {
            key = add_key(whole, row, added);
            added += key != UINT32_MAX;
        }
        if (key != UINT32_MAX)
            apply_key(whole, key, row, next - first);
    }
    whole->key_count += added;
    if (added > 0)
        sort_keys(whole);
}
