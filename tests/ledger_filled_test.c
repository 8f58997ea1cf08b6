// SPDX-License-Identifier: GPL-3.0-or-later
//
// What filled-in history makes of coverage, in any order of the rows.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "format/ledger_whole.h"

static struct ledger_whole whole;
static struct rows rows;
static const struct event_text symbol = {.bytes = (const uint8_t *)"binance:BTCUSDT", .size = 15};

// A key that a daemon recorded from `first` to `last` (0 0: there is none), times as ids.
static void begin(int64_t first, int64_t last)
{
    const struct rows_limits limits = {.rows = 64, .text_bytes = 4096};
    const struct channel_schema *schema = channel_schema(CHANNEL_STATUS);
    size_t size = (rows_memory_bytes(schema, &limits) + 63) / 64 * 64;
    struct ledger ledger;
    cr_assert_eq(ledger_whole_init(&whole), 0);
    cr_assert_eq(ledger_init(&ledger), 0);
    ledger.time_ns = 1000000;
    if (last > 0) {
        struct ledger_key *key = ledger_add_key(&ledger);
        memcpy(key->symbol, "binance:BTCUSDT", 16);
        key->channel = CHANNEL_TRADE;
        key->first = key->first_ns = first;
        key->last = key->last_ns = last;
        key->proven = key->proven_ns = last;
    }
    ledger_whole_base(&whole, &ledger);
    ledger_whole_files_end(&whole);
    ledger_free(&ledger);
    rows_init(&rows, schema, &limits, aligned_alloc(64, size));
}

static void tell(enum status_kind kind, int64_t first, int64_t last, const char *detail)
{
    static struct event event;
    event_clear(&event, CHANNEL_STATUS, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, 2000000);
    event_set(&event, COLUMN_FLAGS, kind == STATUS_BACKFILLED ? EVENT_BACKFILLED : 0);
    event_set(&event, STATUS_KIND, kind);
    event_set(&event, STATUS_CHANNEL, CHANNEL_TRADE);
    event_set(&event, STATUS_FIRST_ID, first);
    event_set(&event, STATUS_LAST_ID, last);
    event_set(&event, STATUS_FROM_TIME, first);
    event_set(&event, STATUS_TO_TIME, last);
    event_set(&event, STATUS_COUNT, last - first + 1);
    event_set_text(&event, STATUS_DETAIL, detail, (uint32_t)strlen(detail));
    cr_assert(rows_append(&rows, &event));
}

static const struct ledger_key *finish(bool backwards)
{
    uint32_t index[64];
    for (uint32_t i = 0; i < rows.count; i++)
        index[i] = backwards ? rows.count - 1 - i : i;
    ledger_whole_rows(&whole, &rows, index, rows.count, &symbol);
    ledger_whole_end(&whole);
    cr_assert_eq(whole.key_count, 1);
    return &whole.keys[0];
}

static void holds(uint32_t at, enum status_kind kind, int64_t first, int64_t last,
                  const char *detail)
{
    uint32_t seen = 0;
    for (uint32_t n = 0; n < whole.note_count; n++) {
        const struct ledger_note *note = &whole.notes[n];
        if (note->kind == STATUS_INTERVAL_CLOSED || seen++ != at)
            continue;
        cr_assert_eq(note->kind, kind);
        cr_assert_eq(note->first, first);
        cr_assert_eq(note->last, last);
        cr_assert_str_eq(note->detail, detail);
        return;
    }
    cr_assert(false, "there is no note %u", at);
}

static uint32_t notes(void)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < whole.note_count; n++)
        count += whole.notes[n].kind != STATUS_INTERVAL_CLOSED;
    return count;
}

static void end(void)
{
    ledger_whole_free(&whole);
    free(rows.symbol);
}

Test(ledger_filled, history_before_a_recording)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        begin(500, 900);
        tell(STATUS_BACKFILLED, 100, 199, "A.zip sha256:1");
        tell(STATUS_BACKFILLED, 250, 299, "A.zip sha256:1");
        tell(STATUS_BACKFILLED, 300, 399, "B.zip sha256:2");
        const struct ledger_key *key = finish(backwards);
        cr_assert(key->first == 100 && key->last == 900 && key->first_ns == 100);
        cr_assert(key->proven == 900 && !key->archived);
        cr_assert_eq(notes(), 2);
        holds(0, STATUS_HOLE_LOST, 200, 249, "not in A.zip");
        holds(1, STATUS_HOLE_LOST, 400, 499, "not backfilled");
        end();
    }
}

Test(ledger_filled, what_was_lost_and_is_there_is_lost_no_more)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        begin(500, 900);
        tell(STATUS_HOLE_LOST, 600, 699, "stopped");
        tell(STATUS_BACKFILLED, 450, 649, "A.zip");
        tell(STATUS_BACKFILLED, 660, 669, "A.zip");
        (void)finish(backwards);
        cr_assert_eq(notes(), 4);
        holds(0, STATUS_HOLE_REPAIRED, 600, 649, "backfilled");
        holds(1, STATUS_HOLE_LOST, 650, 659, "stopped");
        holds(2, STATUS_HOLE_REPAIRED, 660, 669, "backfilled");
        holds(3, STATUS_HOLE_LOST, 670, 699, "stopped");
        end();
    }
}

Test(ledger_filled, a_key_that_nobody_recorded)
{
    begin(0, 0);
    tell(STATUS_BACKFILLED, 100, 199, "A.zip");
    tell(STATUS_BACKFILLED, 100, 199, "A.zip"); // issued again
    tell(STATUS_BACKFILLED, 150, 299, "B.zip");
    const struct ledger_key *key = finish(false);
    cr_assert(key->first == 100 && key->last == 299 && key->archived && !key->times);
    cr_assert_eq(key->proven, 299);
    cr_assert_eq(notes(), 0);
    end();
}

Test(ledger_filled, history_behind_a_recording)
{
    begin(500, 900);
    tell(STATUS_BACKFILLED, 901, 999, "A.zip");
    const struct ledger_key *key = finish(false);
    cr_assert(key->first == 500 && key->last == 999 && key->proven == 900);
    cr_assert_eq(notes(), 0);
    end();
}
