// SPDX-License-Identifier: GPL-3.0-or-later
//
// What status rows that are younger than the ledger make of its holes: in any order of opening,
// repairing and giving up, by ids and by times, what is open is open and nothing else.
#include "format/ledger_filled.h" // what the positions of a note are

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "protocol_random.h"

enum { ROWS = 256, POSITIONS = 200, LEDGER_NS = 1000000 };

enum place { COVERED, OPEN, REPAIRED, LOST };

static struct ledger_whole whole;
static struct rows rows;
static int64_t received_ns;
static const struct event_text symbol = {.bytes = (const uint8_t *)"binance:BTCUSDT", .size = 15};

// A key that counts by ids or by times, with a hole from `from` on in the file (0: none).
static void begin(bool times, int64_t from, int64_t to)
{
    const struct rows_limits limits = {.rows = ROWS, .text_bytes = 64 * ROWS};
    const struct channel_schema *schema = channel_schema(CHANNEL_STATUS);
    size_t size = (rows_memory_bytes(schema, &limits) + 63) / 64 * 64;
    struct ledger ledger;
    cr_assert_eq(ledger_whole_init(&whole), 0);
    cr_assert_eq(ledger_init(&ledger), 0);
    ledger.time_ns = LEDGER_NS;
    struct ledger_key *key = ledger_add_key(&ledger);
    memcpy(key->symbol, "binance:BTCUSDT", 16);
    key->channel = CHANNEL_TRADE;
    key->times = times;
    key->first = key->first_ns = 1;
    key->last = key->last_ns = key->proven = key->proven_ns = POSITIONS;
    if (from > 0) {
        const struct ledger_hole hole = {.first = from, .last = to, .from_ns = from, .to_ns = to};
        cr_assert(ledger_add_hole(&ledger, &hole));
        key->hole_count = 1;
    }
    ledger_whole_base(&whole, &ledger);
    ledger_whole_files_end(&whole);
    ledger_free(&ledger);
    rows_init(&rows, schema, &limits, aligned_alloc(64, size));
    received_ns = LEDGER_NS;
}

static void end(void)
{
    ledger_whole_free(&whole);
    free(rows.symbol);
}

// INT64_MAX: without an end.
static void tell(enum status_kind kind, bool times, int64_t first, int64_t last)
{
    static struct event event;
    event_clear(&event, CHANNEL_STATUS, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, ++received_ns);
    event_set(&event, STATUS_KIND, kind);
    event_set(&event, STATUS_CHANNEL, CHANNEL_TRADE);
    event_set(&event, STATUS_FROM_TIME, first);
    if (!times) event_set(&event, STATUS_FIRST_ID, first);
    if (!times && last != INT64_MAX) event_set(&event, STATUS_LAST_ID, last);
    if (last != INT64_MAX) event_set(&event, STATUS_TO_TIME, last);
    cr_assert(rows_append(&rows, &event));
}

static void finish(void)
{
    ledger_whole_rows(&whole, &rows, NULL, rows.count, &symbol);
    ledger_whole_end(&whole);
    cr_assert(whole.key_count == 1 && !whole.full);
}

// The only note is of this kind and range.
static void is_only(enum status_kind kind, int64_t first, int64_t last)
{
    cr_assert_eq(whole.note_count, 1);
    const struct ledger_note *note = &whole.notes[0];
    cr_assert_eq(note->kind, kind);
    cr_assert_eq(ledger_note_first(note), first);
    cr_assert_eq(ledger_note_last(note), last);
}

// Each open position is in exactly one open note, every other one in none; what was said to be
// repaired or lost is still said.
static void judge(const enum place *place, uint32_t closings)
{
    uint32_t open[POSITIONS] = {0};
    uint32_t closed = 0;
    for (uint32_t n = 0; n < whole.note_count; n++) {
        const struct ledger_note *note = &whole.notes[n];
        closed += note->kind != STATUS_HOLE_OPENED;
        for (int64_t at = ledger_note_first(note);
             note->kind == STATUS_HOLE_OPENED && at <= ledger_note_last(note); at++)
            open[at]++;
    }
    for (uint32_t at = 0; at < POSITIONS; at++)
        cr_assert_eq(open[at], place[at] == OPEN, "%u", at);
    cr_assert_eq(closed, closings);
}

static void random_life(struct protocol_random *random, bool times)
{
    static enum place place[POSITIONS];
    memset(place, 0, sizeof place);
    uint32_t closings = 0;
    begin(times, 0, 0);
    for (uint32_t step = 0; step < ROWS; step++) {
        int64_t first = 1 + random_below(random, POSITIONS - 1);
        int64_t last = first + random_below(random, 12);
        if (last >= POSITIONS) last = POSITIONS - 1;
        const enum place to = (enum place)(OPEN + random_below(random, 3));
        bool free = true;
        for (int64_t at = first; at <= last; at++)
            free = free && place[at] == COVERED;
        if (to == OPEN && !free) continue; // a hole is opened once
        for (int64_t at = first; at <= last; at++)
            if (to == OPEN || place[at] == OPEN) place[at] = to;
        closings += to != OPEN;
        tell(to == OPEN       ? STATUS_HOLE_OPENED
             : to == REPAIRED ? STATUS_HOLE_REPAIRED
                              : STATUS_HOLE_LOST,
             times, first, last);
    }
    finish();
    judge(place, closings);
    end();
}

Test(ledger_whole, what_is_open_is_what_was_neither_repaired_nor_lost)
{
    struct protocol_random random = random_start("ledger_whole");
    for (uint32_t life = 0; life < 500; life++)
        random_life(&random, life % 2 == 1);
}

Test(ledger_whole, a_hole_in_the_file_is_closed_by_rows_after_it_alone)
{
    for (int times = 0; times < 2; times++) {
        begin(times, 10, 19);
        tell(STATUS_HOLE_OPENED, times, 10, 19); // the row of what the file tells
        finish();
        is_only(STATUS_HOLE_OPENED, 10, 19);
        end();

        begin(times, 10, 19);
        received_ns = LEDGER_NS - 10; // repaired before: the file knows more
        tell(STATUS_HOLE_REPAIRED, times, 1, 5);
        tell(STATUS_HOLE_OPENED, times, 30, 39);
        finish();
        cr_assert_eq(whole.note_count, 2);
        cr_assert_eq(whole.notes[0].kind, STATUS_HOLE_REPAIRED);
        cr_assert_eq(ledger_note_first(&whole.notes[1]), 10);
        end();
    }
}

Test(ledger_whole, a_hole_by_times_is_told_again_with_its_end)
{
    begin(true, 0, 0);
    tell(STATUS_HOLE_OPENED, true, 10, INT64_MAX);
    tell(STATUS_HOLE_OPENED, true, 10, 29);
    finish();
    is_only(STATUS_HOLE_OPENED, 10, 29);
    end();
}

Test(ledger_whole, a_hole_without_an_end_has_the_one_that_its_closing_tells)
{
    begin(true, 10, INT64_MAX);
    tell(STATUS_HOLE_REPAIRED, true, 10, 29);
    finish();
    is_only(STATUS_HOLE_REPAIRED, 10, 29);
    end();

    begin(false, 10, INT64_MAX);
    tell(STATUS_HOLE_LOST, false, 20, 29); // by ids only a part of it may be closed
    finish();
    cr_assert_eq(whole.note_count, 3); // in order of times, which parts of a hole keep
    cr_assert(whole.notes[0].last == 19 && whole.notes[0].kind == STATUS_HOLE_OPENED);
    cr_assert(whole.notes[1].first == 30 && whole.notes[1].last == INT64_MAX);
    cr_assert(whole.notes[2].last == 29 && whole.notes[2].kind == STATUS_HOLE_LOST);
    end();
}

Test(ledger_whole, a_symbol_that_came_back_is_not_lost_for_ever)
{
    for (int times = 0; times < 2; times++) {
        begin(times, 0, 0);
        tell(STATUS_HOLE_LOST, times, 50, INT64_MAX);
        finish();
        is_only(STATUS_HOLE_LOST, 50, INT64_MAX);
        end();

        begin(times, 0, 0);
        tell(STATUS_HOLE_LOST, times, 50, INT64_MAX);
        tell(STATUS_HOLE_OPENED, times, 50, 59);
        finish();
        is_only(STATUS_HOLE_OPENED, 50, 59);
        end();
    }
    begin(false, 0, 0);
    tell(STATUS_HOLE_LOST, false, 50, INT64_MAX);
    tell(STATUS_HOLE_LOST, false, 70, INT64_MAX);
    tell(STATUS_HOLE_REPAIRED, false, 70, INT64_MAX); // taken back: nothing was repaired
    finish();
    is_only(STATUS_HOLE_LOST, 50, INT64_MAX);
    end();
}
