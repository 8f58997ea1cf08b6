// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_ledger: the ledger of a store (format/ledger.h), its base and the shards' files put
// together, and brought up to date by the status rows that are younger.
#ifndef RINGTAPE_TOOLS_RINGTAPE_LEDGER_H
#define RINGTAPE_TOOLS_RINGTAPE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "format/ledger.h"
#include "format/store.h"

// One thing said of a key: a range that is missing, was repaired, was given up, or a series that
// ended.
struct ringtape_ledger_note {
    uint32_t key;
    enum status_kind kind; // HOLE_OPENED: open now
    int64_t first;         // -1: no ids
    int64_t last;          // INT64_MAX: no end as yet
    int64_t from_ns;       // 0: unknown
    int64_t to_ns;
    int64_t count; // rows or ids; -1: unknown
    char detail[64];
};

struct ringtape_ledger {
    struct ledger_key *keys; // sorted by symbol, then channel; hole_first, hole_count: its notes
    bool *endless; // of each key: a note of it is lost without an end
    uint32_t key_count;
    struct ringtape_ledger_note *notes;
    uint32_t note_count;
    uint32_t note_room;
    int64_t time_ns; // of the oldest file in it
    bool damaged;    // of the store: told on standard error
};

// Told on standard error where it cannot be had. 0 or an exit code.
int ringtape_ledger_open(struct ringtape_ledger *ledger, struct store *store);
void ringtape_ledger_close(struct ringtape_ledger *ledger);

#endif
