// SPDX-License-Identifier: Apache-2.0
//
// ledger_filled: what history was filled in, as rows `backfilled` of the status channel tell, and
// what that makes of coverage (ledger_whole.h):
//
//     what was listed as open or lost and lies in it     repaired, "backfilled"
//     what lies between two ranges, stored by nobody     lost, "not in FILE" or "not backfilled"
//     first and last of the key                          reach over all of it
//
// A key that no daemon ever recorded is made of such rows alone (ledger_key.archived). The order of
// the rows does not matter. Only ledger_whole.c includes this. Pure. Threading: one owner.
#ifndef RINGTAPE_FORMAT_LEDGER_FILLED_H
#define RINGTAPE_FORMAT_LEDGER_FILLED_H

#include "format/ledger_whole.h"

// One such row. A bound that was met makes whole->full true.
void ledger_filled_add(struct ledger_whole *whole, const struct ledger_filled *row);
// After all rows: keys and notes are complete, the notes in no order.
void ledger_filled_apply(struct ledger_whole *whole);

// ---- ledger_whole.c ----

void ledger_whole_note(struct ledger_whole *whole, const struct ledger_note *note);
// By symbol, then channel.
int ledger_whole_key_order(const void *left, const void *right);
// Sorts the notes and fills in which are whose.
void ledger_whole_sort(struct ledger_whole *whole);
int64_t ledger_note_first(const struct ledger_note *note); // position, whatever it counts by
int64_t ledger_note_last(const struct ledger_note *note);
void ledger_note_begin(struct ledger_note *note, int64_t first);
void ledger_note_end(struct ledger_note *note, int64_t last);

#endif
