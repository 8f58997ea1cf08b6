// SPDX-License-Identifier: Apache-2.0
//
// A followed store. Tapes stay open from the first sight of them until they are complete, so their
// rows come from them even when they are sealed and deleted meanwhile. Only a tape that came and
// went between two looks is taken from the segments it went into; so is one of which only the
// beginning was seen, without a row.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/durable_slot.h"
#include "format/ensure.h"
#include "format/store_scan_inside.h"

enum { DURABLE_FILE_BYTES_MAX = 64 * sizeof(struct durable_slot) }; // of as many shards

// ---- one tape ----

// What the running daemon says; without it, or with one that cannot be read, the tape tells.
static void ask_daemon(const struct store_scan *scan, const struct tape_reader *reader,
                       uint64_t *sequence, uint32_t *revision)
{
    struct store_file file;
    uint8_t slots[DURABLE_FILE_BYTES_MAX];
    int64_t got = 0;
    if (store_file_open(&file, scan->store, DURABLE_SLOT_FILE) < 0)
        return;
    const struct source source = store_file_source(&file);
    (void)source_get(&source, 0, sizeof slots, slots, &got);
    store_file_close(&file);
    if (got > 0)
        durable_slot_raise(slots, (size_t)got, reader->header.salt, sequence, revision);
}

// The order matters: what the mark and the daemon say is durable is in the file by then.
int scan_follow_tape(struct store_scan *scan, struct scan_entry *entry)
{
    struct scan_tape *tape = entry->tape;
    if (!tape->reading)
        return 0;
    int64_t mark = scan_read_mark(scan, entry);
    if (mark > 0)
        tape_reader_set_mark(&tape->reader, tape->mark, (size_t)mark);
    uint64_t told_sequence = 0;
    uint32_t told_revision = 0;
    if (!entry->final)
        ask_daemon(scan, &tape->reader, &told_sequence, &told_revision);
    int error = mark < 0 ? (int)mark : store_file_measure(&entry->file);
    if (error < 0)
        return error;
    tape->reader.source = store_file_source(&entry->file); // the entry may lie elsewhere, too
    uint64_t sequence = UINT64_MAX;
    uint32_t revision = UINT32_MAX;
    if (!entry->final && error == 0)
        error = tape_reader_durable(&tape->reader, &sequence, &revision);
    if (told_sequence > sequence || (told_sequence == sequence && told_revision > revision)) {
        sequence = told_sequence;
        revision = told_revision;
    }
    tape->reader.limit_sequence = sequence;
    tape->reader.limit_revision = revision;
    return error;
}

// ---- which tapes were seen ----

// Its place among the forgotten, or their count.
static uint32_t find_forgotten(const struct store_scan *scan, uint32_t tape)
{
    uint32_t i = 0;
    while (i < scan->forgotten_count && scan->tapes_forgotten[i] != tape)
        i++;
    return i;
}

static bool is_known(const struct store_scan *scan, uint32_t tape)
{
    if (find_forgotten(scan, tape) < scan->forgotten_count)
        return false;
    bool known = tape < scan->tapes_known;
    for (uint32_t i = 0; i < scan->taken_count && !known; i++)
        known = scan->tapes_taken[i] == tape;
    return known;
}

// Numbers mostly come in order, so the list stays short.
static void shorten_taken(struct store_scan *scan)
{
    for (uint32_t i = 0; i < scan->taken_count;) {
        if (scan->tapes_taken[i] != scan->tapes_known) {
            i++;
            continue;
        }
        scan->tapes_known++;
        scan->tapes_taken[i] = scan->tapes_taken[--scan->taken_count];
        i = 0;
    }
}

static int take(struct store_scan *scan, uint32_t tape)
{
    uint32_t forgotten = find_forgotten(scan, tape);
    if (forgotten < scan->forgotten_count)
        scan->tapes_forgotten[forgotten] = scan->tapes_forgotten[--scan->forgotten_count];
    if (is_known(scan, tape))
        return 0;
    if (scan->taken_count == scan->taken_room) {
        uint32_t room = scan->taken_room ? 2 * scan->taken_room : 64;
        uint32_t *taken = realloc(scan->tapes_taken, room * sizeof *taken);
        if (!taken)
            return -ENOMEM;
        scan->tapes_taken = taken;
        scan->taken_room = room;
    }
    scan->tapes_taken[scan->taken_count++] = tape;
    shorten_taken(scan);
    return 0;
}

void scan_follow_begin(struct store_scan *scan)
{
    const struct catalogue *catalogue = &scan->store->catalogue;
    uint32_t most = catalogue->next_tape > 0 ? catalogue->next_tape - 1 : 0;
    for (uint32_t i = 0; i < scan->store->tape_count; i++)
        most = scan->store->tapes[i] > most ? scan->store->tapes[i] : most;
    scan->tapes_known = most + 1;
    scan->first_pass = true;
}

static bool still_counts(const struct store *store, uint32_t tape)
{
    for (uint32_t i = 0; i < store->tape_count; i++) {
        if (store->tapes[i] == tape)
            return true;
    }
    return false;
}

static void drop_done(struct store_scan *scan)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < scan->entry_count; i++) {
        if (scan->entries[i].done)
            scan_close_entry(&scan->entries[i]);
        else
            scan->entries[kept++] = scan->entries[i];
    }
    scan->entry_count = kept;
}

// ---- tapes seen before they had rows ----

// The mark is made before the first batch, so as long as there was none there were no rows.
static bool is_unborn(struct store_scan *scan, struct scan_entry *entry)
{
    if (!entry->is_tape || !entry->opened || entry->mark_file.descriptor >= 0 ||
        (entry->tape && (entry->tape->begun || entry->tape->ended)))
        return false;
    return store_file_open(&entry->mark_file, scan->store, entry->other_path) == -ENOENT;
}

// It is gone and nothing is added any more. 1: nothing ever was, 0: it was, or a negative errno.
static int was_never_used(struct scan_entry *entry)
{
    uint8_t room[LAYOUT_SECTOR];
    int64_t got;
    int error = store_file_measure(&entry->file);
    if (error < 0)
        return error;
    const struct source source = store_file_source(&entry->file);
    const uint8_t *bytes = source_get(&source, LAYOUT_SECTOR, sizeof room, room, &got);
    if (!bytes)
        return (int)got;
    int64_t zeros = 0;
    while (zeros < got && bytes[zeros] == 0)
        zeros++;
    return zeros == got;
}

static int forget(struct store_scan *scan, uint32_t tape)
{
    ensure(find_forgotten(scan, tape) == scan->forgotten_count && is_known(scan, tape));
    uint32_t *all = realloc(scan->tapes_forgotten, (scan->forgotten_count + 1u) * sizeof *all);
    if (!all)
        return -ENOMEM;
    scan->tapes_forgotten = all;
    all[scan->forgotten_count++] = tape;
    return 0;
}

// A tape that went away before its mark was seen, which would say where it ended. A killed daemon
// leaves a spare so, and the next start removes it. If it had rows after all, they are taken from
// their segments.
static int drop_unborn(struct store_scan *scan)
{
    int error = 0;
    for (uint32_t i = 0; i < scan->entry_count && error >= 0; i++) {
        struct scan_entry *entry = &scan->entries[i];
        if (still_counts(scan->store, entry->number) || !is_unborn(scan, entry))
            continue;
        int unused = was_never_used(entry);
        error = unused == 0 ? forget(scan, entry->number) : unused;
        entry->done = error >= 0;
    }
    drop_done(scan);
    return error < 0 ? error : 0;
}

// ---- what is new ----

enum { SEGMENT_OLD, SEGMENT_NEW, SEGMENT_MIXED };

// A segment whose tapes were all missed is taken whole; one with rows of known tapes, too, cannot
// be taken apart.
static int judge_segment(const struct store_scan *scan, const struct catalogue_segment *segment)
{
    uint32_t known = 0;
    uint32_t missed = 0;
    if (segment->channel != scan->query.channel ||
        (segment->tape_last < scan->tapes_known && scan->forgotten_count == 0))
        return SEGMENT_OLD;
    for (uint32_t t = segment->tape_first; t <= segment->tape_last; t++) {
        if (is_known(scan, t))
            known++;
        else
            missed++;
    }
    if (missed == 0)
        return SEGMENT_OLD;
    return known == 0 ? SEGMENT_NEW : SEGMENT_MIXED;
}

// Appends what is new behind the entries kept. How many, or a negative errno; -ENOENT: a file went
// away meanwhile.
static int add_new(struct store_scan *scan)
{
    const struct catalogue *catalogue = &scan->store->catalogue;
    uint32_t first = scan->entry_count;
    uint32_t most = first + catalogue->segment_count + scan->store->tape_count;
    struct scan_entry *entries = realloc(scan->entries, (most + 1u) * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    scan->entries = entries;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        int verdict = judge_segment(scan, &catalogue->segments[i]);
        if (verdict == SEGMENT_MIXED)
            return -ESTALE;
        if (verdict == SEGMENT_NEW)
            scan_add_segment(&entries[scan->entry_count++], &catalogue->segments[i]);
    }
    for (uint32_t i = 0; i < scan->store->tape_count; i++) {
        if (!is_known(scan, scan->store->tapes[i]))
            scan_add_tape(&entries[scan->entry_count++], scan->store->tapes[i]);
    }
    for (uint32_t i = first; i < scan->entry_count; i++) {
        int error = scan_open_entry(scan, &entries[i]);
        if (error < 0)
            return error;
    }
    return (int)(scan->entry_count - first);
}

static void forget_new(struct store_scan *scan, uint32_t kept)
{
    while (scan->entry_count > kept)
        scan_close_entry(&scan->entries[--scan->entry_count]);
}

// Tapes opened and those inside of segments taken are known from now on.
static int take_new(struct store_scan *scan, uint32_t kept)
{
    const struct catalogue *catalogue = &scan->store->catalogue;
    int error = 0;
    for (uint32_t e = kept; e < scan->entry_count && error == 0; e++) {
        const struct scan_entry *entry = &scan->entries[e];
        if (entry->is_tape)
            error = take(scan, entry->number);
    }
    for (uint32_t e = kept; e < scan->entry_count && error == 0; e++) {
        const struct scan_entry *entry = &scan->entries[e];
        for (uint32_t i = 0; i < catalogue->segment_count && !entry->is_tape; i++) {
            const struct catalogue_segment *segment = &catalogue->segments[i];
            for (uint32_t t = segment->tape_first;
                 segment->number == entry->number && t <= segment->tape_last && error == 0; t++)
                error = take(scan, t);
        }
    }
    return error;
}

// Files as of one generation, as at the start of a scan.
static int look_for_new(struct store_scan *scan)
{
    int added = 0;
    for (int i = 0; i < STORE_TRIES; i++) {
        int error = store_refresh(scan->store, NULL);
        if (error == 0)
            error = drop_unborn(scan);
        if (error < 0)
            return error;
        uint32_t kept = scan->entry_count;
        uint64_t generation = scan->store->catalogue.generation;
        added = add_new(scan);
        bool consistent = added >= 0 && store_generation_now(scan->store) == (int64_t)generation;
        if (consistent && added > 0)
            added = take_new(scan, kept);
        if (consistent && added == 0)
            scan->forgotten_count = 0; // what they had has been added
        if (consistent || added == 0)
            return added;
        forget_new(scan, kept);
        if (added < 0 && added != -ENOENT)
            return added;
    }
    return added < 0 ? added : -EAGAIN;
}

// ---- again ----

// A tape that was being created when it was entered is entered again.
static int look_again(struct store_scan *scan, struct scan_entry *entry)
{
    entry->final = !still_counts(scan->store, entry->number);
    if (entry->tape->reading)
        return scan_follow_tape(scan, entry);
    free(entry->tape);
    entry->tape = NULL;
    return 0;
}

int scan_follow_again(struct store_scan *scan)
{
    drop_done(scan);
    scan->first_pass = false;
    int error = look_for_new(scan);
    for (uint32_t i = 0; i < scan->entry_count && error >= 0; i++) {
        if (scan->entries[i].tape)
            error = look_again(scan, &scan->entries[i]);
    }
    scan->entry = 0;
    return error < 0 ? error : 0;
}
