// SPDX-License-Identifier: Apache-2.0
//
// ledger_whole: what a store's coverage is now: the ledger's base and the shards' files put
// together, and brought up to date by the status rows that are younger.
//
//     ledger_whole_init → ledger_whole_base → ledger_whole_shard, each → ledger_whole_files_end
//         → ledger_whole_rows, each status row of the store, oldest first → ledger_whole_end
//
// Pure: no file, no clock. Memory grows with keys and notes, both bounded. Threading: one owner.
#ifndef RINGTAPE_FORMAT_LEDGER_WHOLE_H
#define RINGTAPE_FORMAT_LEDGER_WHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/ledger.h"
#include "format/rows.h"

enum {
    LEDGER_WHOLE_SHARDS_MAX = 64,
    LEDGER_WHOLE_KEYS_MAX = 2 * LEDGER_KEYS_MAX, // base and shards together
    LEDGER_WHOLE_NOTES_MAX = 1 << 22,            // 560 MB; a status row of a hole each
};

// One thing said of a key: a range that is missing, was repaired, was given up, or a series that
// ended.
struct ledger_note {
    uint32_t key;
    enum status_kind kind; // HOLE_OPENED: open now
    int64_t first;         // -1: no ids
    int64_t last;          // INT64_MAX: no end as yet
    int64_t from_ns;       // 0: unknown
    int64_t to_ns;
    int64_t count; // rows or ids; -1: unknown
    char detail[64];
};

// History that was filled in: a row `backfilled`.
struct ledger_filled {
    char symbol[LEDGER_SYMBOL_BYTES_MAX + 1];
    enum channel channel;
    int64_t first; // -1: no ids, it counts by times
    int64_t last;
    int64_t from_ns;
    int64_t to_ns;
    char file[64];
};

struct ledger_whole {
    struct ledger_key *keys; // sorted by symbol, then channel; hole_first, hole_count: its notes
    bool *endless; // of each key: a note of it is lost without an end
    uint32_t key_count;
    struct ledger_note *notes; // sorted by key, then time
    uint32_t note_count;
    uint32_t note_room;
    struct ledger_filled *filled;
    uint32_t filled_count;
    uint32_t filled_room;
    uint32_t noted; // keys below have their notes' places; while history is put in
    uint64_t generation; // of the base
    uint32_t shards;     // files that belong to it
    int64_t base_ns;
    int64_t time_ns; // of the oldest file in it
    bool full;       // a bound was met: not everything is in it
    bool damaged;    // the caller's: a part of the store could not be read
};

// 0 or -ENOMEM.
int ledger_whole_init(struct ledger_whole *whole);
void ledger_whole_free(struct ledger_whole *whole);
// The file `base`; then those of the shards 0 … whole->shards - 1, NULL where there is none.
void ledger_whole_base(struct ledger_whole *whole, const struct ledger *base);
void ledger_whole_shard(struct ledger_whole *whole, const struct ledger *shard);
void ledger_whole_files_end(struct ledger_whole *whole);
// Rows index[0 … count) of the status channel (index NULL: all), in the order they were written.
// `symbols`: their names.
void ledger_whole_rows(struct ledger_whole *whole, const struct rows *rows, const uint32_t *index,
                       uint32_t count, const struct event_text *symbols);
void ledger_whole_end(struct ledger_whole *whole);

#endif
