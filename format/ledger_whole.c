// SPDX-License-Identifier: Apache-2.0
//
// The base and the shards' files of its generation; then every status row about holes, in the
// order in which they were written. Rows told before the ledger's time are history: what was
// repaired or lost. Later ones change what is open, too.
#include "format/ledger_whole.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/ledger_filled.h"

int ledger_whole_init(struct ledger_whole *whole)
{
    *whole = (struct ledger_whole){
        .keys = malloc(LEDGER_WHOLE_KEYS_MAX * sizeof *whole->keys),
        .endless = calloc(LEDGER_WHOLE_KEYS_MAX, sizeof *whole->endless),
        .time_ns = INT64_MAX,
    };
    return whole->keys && whole->endless ? 0 : -ENOMEM;
}

void ledger_whole_free(struct ledger_whole *whole)
{
    free(whole->keys);
    free(whole->endless);
    free(whole->notes);
    free(whole->filled);
    whole->filled = NULL;
    whole->keys = NULL;
    whole->endless = NULL;
    whole->notes = NULL;
}

// ---- files ----

int ledger_whole_key_order(const void *left, const void *right)
{
    const struct ledger_key *a = left;
    const struct ledger_key *b = right;
    int order = strcmp(a->symbol, b->symbol);
    return order != 0 ? order : (a->channel > b->channel) - (a->channel < b->channel);
}

void ledger_whole_note(struct ledger_whole *whole, const struct ledger_note *note)
{
    if (whole->note_count == whole->note_room) {
        uint32_t room = whole->note_room * 2 + 1024;
        room = room < LEDGER_WHOLE_NOTES_MAX ? room : LEDGER_WHOLE_NOTES_MAX;
        void *notes = realloc(whole->notes, room * sizeof *whole->notes);
        whole->full = whole->full || !notes || room == whole->note_count;
        if (!notes)
            return;
        whole->notes = notes;
        whole->note_room = room;
    }
    if (whole->note_count < whole->note_room)
        whole->notes[whole->note_count++] = *note;
}

static void notes_take(struct ledger_whole *whole, const struct ledger *ledger,
                       const struct ledger_key *from, uint32_t number)
{
    for (uint32_t i = 0; i < from->hole_count; i++) {
        const struct ledger_hole *hole = &ledger->holes[from->hole_first + i];
        bool ends = from->times && hole->last != INT64_MAX;
        struct ledger_note note = {.key = number,
                                   .kind = STATUS_HOLE_OPENED,
                                   .first = from->times ? -1 : hole->first,
                                   .last = hole->last,
                                   .from_ns = from->times ? hole->first : hole->from_ns,
                                   .to_ns = ends ? hole->last : hole->to_ns,
                                   .count = -1};
        (void)snprintf(note.detail, sizeof note.detail, "%s", coverage_cause_text(hole->cause));
        ledger_whole_note(whole, &note);
    }
}

// Every key of `ledger`, behind those of earlier files, with its place in hole_first.
static void keys_take(struct ledger_whole *whole, const struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->key_count; i++) {
        if (whole->key_count == LEDGER_WHOLE_KEYS_MAX) {
            whole->full = true;
            return;
        }
        uint32_t at = whole->key_count++;
        whole->keys[at] = ledger->keys[i];
        whole->keys[at].hole_first = at;
        whole->keys[at].recorded_ns = whole->keys[at].first_ns;
        if (!ledger->keys[i].gone)
            notes_take(whole, ledger, &ledger->keys[i], at);
    }
}

void ledger_whole_base(struct ledger_whole *whole, const struct ledger *base)
{
    ensure(whole->key_count == 0);
    whole->generation = base->generation;
    whole->shards = base->shards < LEDGER_WHOLE_SHARDS_MAX ? base->shards
                                                           : LEDGER_WHOLE_SHARDS_MAX;
    whole->base_ns = base->time_ns;
    if (whole->shards == 0)
        whole->time_ns = base->time_ns;
    keys_take(whole, base);
}

void ledger_whole_shard(struct ledger_whole *whole, const struct ledger *shard)
{
    bool good = shard && shard->generation == whole->generation;
    int64_t time_ns = good ? shard->time_ns : whole->base_ns;
    whole->time_ns = time_ns < whole->time_ns ? time_ns : whole->time_ns;
    if (good)
        keys_take(whole, shard);
}

static int place_order(const void *left, const void *right)
{
    const struct ledger_key *a = left;
    const struct ledger_key *b = right;
    int order = ledger_whole_key_order(a, b);
    return order != 0 ? order : (a->hole_first < b->hole_first) - (a->hole_first > b->hole_first);
}

// Sorted; of a key that several files have the last one counts. The notes follow.
void ledger_whole_files_end(struct ledger_whole *whole)
{
    uint32_t *places = malloc((whole->key_count + 1u) * sizeof *places);
    uint32_t kept = 0;
    ensure(places);
    qsort(whole->keys, whole->key_count, sizeof *whole->keys, place_order);
    for (uint32_t i = 0; i < whole->key_count; i++) {
        uint32_t place = whole->keys[i].hole_first;
        bool first = kept == 0 ||
                     ledger_whole_key_order(&whole->keys[kept - 1], &whole->keys[i]) != 0;
        if (first)
            whole->keys[kept++] = whole->keys[i];
        places[place] = first ? kept - 1 : UINT32_MAX;
    }
    whole->key_count = kept;
    kept = 0;
    for (uint32_t n = 0; n < whole->note_count; n++) {
        whole->notes[n].key = places[whole->notes[n].key];
        if (whole->notes[n].key != UINT32_MAX)
            whole->notes[kept++] = whole->notes[n];
    }
    whole->note_count = kept;
    free(places);
}

// ---- status rows ----

static uint32_t key_find(const struct ledger_whole *whole, struct event_text name,
                         enum channel channel)
{
    struct ledger_key wanted = {.channel = channel};
    if (name.size > LEDGER_SYMBOL_BYTES_MAX)
        return UINT32_MAX;
    memcpy(wanted.symbol, name.bytes, name.size);
    const struct ledger_key *found =
        bsearch(&wanted, whole->keys, whole->key_count, sizeof wanted, ledger_whole_key_order);
    return found ? (uint32_t)(found - whole->keys) : UINT32_MAX;
}

int64_t ledger_note_first(const struct ledger_note *note)
{
    return note->first >= 0 ? note->first : note->from_ns;
}

int64_t ledger_note_last(const struct ledger_note *note)
{
    if (note->first >= 0 || note->last == INT64_MAX)
        return note->last;
    return note->to_ns;
}

void ledger_note_begin(struct ledger_note *note, int64_t first)
{
    if (note->first >= 0)
        note->first = first;
    else
        note->from_ns = first;
}

void ledger_note_end(struct ledger_note *note, int64_t last)
{
    note->last = note->first >= 0 ? last : 0;
    if (note->first < 0)
        note->to_ns = last;
}

// What is repaired or lost is open no more.
static void notes_cut(struct ledger_whole *whole, const struct ledger_note *closed)
{
    int64_t first = ledger_note_first(closed);
    int64_t last = ledger_note_last(closed);
    for (uint32_t n = whole->note_count; n-- > 0;) {
        struct ledger_note *open = &whole->notes[n];
        if (open->key != closed->key || open->kind != STATUS_HOLE_OPENED)
            continue;
        int64_t from = ledger_note_first(open);
        int64_t to = ledger_note_last(open);
        if (to < first || from > last)
            continue;
        // One without an end had one, which only its closing tells.
        bool endless = to == INT64_MAX && (open->first < 0 || from >= first);
        if ((from >= first && to <= last) || endless) {
            *open = whole->notes[--whole->note_count];
        } else if (from < first && to > last) {
            struct ledger_note upper = *open;
            ledger_note_begin(&upper, last + 1);
            ledger_note_end(open, first - 1);
            ledger_whole_note(whole, &upper);
        } else if (from < first) {
            ledger_note_end(open, first - 1);
        } else {
            ledger_note_begin(open, last + 1);
        }
    }
}

// A symbol that went is listed as lost without an end, from a position on. What is told later from
// that position on takes its place.
static void ends_drop(struct ledger_whole *whole, const struct ledger_note *later)
{
    if (!whole->endless[later->key])
        return;
    whole->endless[later->key] = false;
    for (uint32_t n = whole->note_count; n-- > 0;) {
        const struct ledger_note *lost = &whole->notes[n];
        if (lost->key != later->key || lost->kind != STATUS_HOLE_LOST || lost->last != INT64_MAX)
            continue;
        if (ledger_note_first(lost) == ledger_note_first(later))
            whole->notes[n] = whole->notes[--whole->note_count];
        else
            whole->endless[later->key] = true;
    }
}

// A hole that counts by times is told again when it gets its end, or has none any more.
static bool note_known(struct ledger_whole *whole, const struct ledger_note *note)
{
    for (uint32_t n = 0; n < whole->note_count; n++) {
        struct ledger_note *open = &whole->notes[n];
        if (open->key != note->key || open->kind != STATUS_HOLE_OPENED ||
            ledger_note_first(open) > ledger_note_first(note) ||
            ledger_note_last(open) < ledger_note_first(note))
            continue;
        if (note->first < 0) {
            open->last = note->last;
            open->to_ns = note->to_ns;
        }
        return true;
    }
    return false;
}

static int64_t cell(const struct rows *rows, int column, uint32_t row, int64_t absent)
{
    return (rows->present[row] >> column & 1) != 0 ? rows->value[column][row] : absent;
}

// The file's name without its checksum.
static void filled_take(struct ledger_whole *whole, const struct rows *rows, uint32_t row,
                        const struct event_text *name)
{
    struct ledger_filled filled = {.channel = (enum channel)cell(rows, STATUS_CHANNEL, row, 0),
                                   .first = cell(rows, STATUS_FIRST_ID, row, -1),
                                   .last = cell(rows, STATUS_LAST_ID, row, -1),
                                   .from_ns = cell(rows, STATUS_FROM_TIME, row, 0),
                                   .to_ns = cell(rows, STATUS_TO_TIME, row, 0)};
    int text = channel_schema(CHANNEL_STATUS)->columns[STATUS_DETAIL].text;
    const char *detail = (const char *)rows->text + rows->text_offset[text][row];
    uint32_t size = 0;
    while (size < rows->text_length[text][row] && detail[size] != ' ')
        size++;
    (void)snprintf(filled.file, sizeof filled.file, "%.*s", (int)size, detail);
    if (name->size > LEDGER_SYMBOL_BYTES_MAX || filled.from_ns == 0 ||
        filled.to_ns < filled.from_ns || filled.last < filled.first)
        return;
    memcpy(filled.symbol, name->bytes, name->size);
    ledger_filled_add(whole, &filled);
}

static void row_take(struct ledger_whole *whole, const struct rows *rows, uint32_t row,
                     const struct event_text *symbols)
{
    enum status_kind kind = (enum status_kind)rows->value[STATUS_KIND][row];
    int64_t channel = cell(rows, STATUS_CHANNEL, row, 0);
    bool hole = kind == STATUS_HOLE_OPENED || kind == STATUS_HOLE_REPAIRED ||
                kind == STATUS_HOLE_LOST || kind == STATUS_INTERVAL_CLOSED;
    if (kind == STATUS_BACKFILLED && channel > 0 && channel < CHANNEL_COUNT &&
        rows->symbol[row] != SYMBOL_NONE && cell(rows, COLUMN_FLAGS, row, 0) == EVENT_BACKFILLED)
        filled_take(whole, rows, row, &symbols[rows->symbol[row]]);
    if (!hole || channel <= 0 || channel >= CHANNEL_COUNT || rows->symbol[row] == SYMBOL_NONE)
        return;
    struct ledger_note note = {
        .key = key_find(whole, symbols[rows->symbol[row]], (enum channel)channel),
        .kind = kind,
        .first = cell(rows, STATUS_FIRST_ID, row, -1),
        .from_ns = cell(rows, STATUS_FROM_TIME, row, 0),
        .to_ns = cell(rows, STATUS_TO_TIME, row, 0),
        .count = cell(rows, STATUS_COUNT, row, -1)};
    if (note.key == UINT32_MAX)
        return;
    note.last = cell(rows, STATUS_LAST_ID, row, note.first < 0 && note.to_ns != 0 ? 0 : INT64_MAX);
    int text = channel_schema(CHANNEL_STATUS)->columns[STATUS_DETAIL].text;
    (void)snprintf(note.detail, sizeof note.detail, "%.*s", (int)rows->text_length[text][row],
                   (const char *)rows->text + rows->text_offset[text][row]);
    bool news = rows->value[COLUMN_RECEIVE_TIME][row] > whole->time_ns;
    ends_drop(whole, &note);
    bool taken_back = kind == STATUS_HOLE_REPAIRED && note.last == INT64_MAX;
    if (taken_back)
        return;
    if (news && kind != STATUS_HOLE_OPENED)
        notes_cut(whole, &note);
    if (kind == STATUS_HOLE_OPENED && (!news || note_known(whole, &note)))
        return;
    if (kind == STATUS_HOLE_LOST && note.last == INT64_MAX)
        whole->endless[note.key] = true;
    ledger_whole_note(whole, &note);
}

void ledger_whole_rows(struct ledger_whole *whole, const struct rows *rows, const uint32_t *index,
                       uint32_t count, const struct event_text *symbols)
{
    ensure(rows->schema->channel == CHANNEL_STATUS && count <= rows->count);
    for (uint32_t i = 0; i < count; i++)
        row_take(whole, rows, index ? index[i] : i, symbols);
}

// Total, so that whoever reads the same rows in another order gets the same.
static int note_order(const void *left, const void *right)
{
    const struct ledger_note *a = left;
    const struct ledger_note *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->from_ns != b->from_ns)
        return a->from_ns < b->from_ns ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->last != b->last)
        return a->last < b->last ? -1 : 1;
    return a->kind != b->kind ? (int)a->kind - (int)b->kind : strcmp(a->detail, b->detail);
}

// By key, and where each key's notes are.
void ledger_whole_sort(struct ledger_whole *whole)
{
    if (whole->note_count > 0)
        qsort(whole->notes, whole->note_count, sizeof *whole->notes, note_order);
    uint32_t n = 0;
    for (uint32_t i = 0; i < whole->key_count; i++) {
        whole->keys[i].hole_first = n;
        while (n < whole->note_count && whole->notes[n].key == i)
            n++;
        whole->keys[i].hole_count = n - whole->keys[i].hole_first;
    }
}

void ledger_whole_end(struct ledger_whole *whole)
{
    ledger_filled_apply(whole);
    ledger_whole_sort(whole);
}
