// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_stored: what a store has already, and what a running daemon may still write:
// both are left out of a backfill, so that no row comes twice.
//
// A position is the id of a trade, resp. the number of a kline's interval since 1970.
//
// Threading: main thread. Errors are told on standard error.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_STORED_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_STORED_H

#include <stdbool.h>
#include <stdint.h>

#include "format/ledger_whole.h"
#include "format/store.h"

struct backfill_span {
    int64_t first, last;
};

// Disjoint, rising, once backfill_spans_unite() was called.
struct backfill_spans {
    struct backfill_span *spans;
    uint32_t count, room;
};

void backfill_spans_free(struct backfill_spans *spans);
// Cheap for positions that rise by one. False: no memory.
bool backfill_spans_add(struct backfill_spans *spans, int64_t first, int64_t last);
void backfill_spans_unite(struct backfill_spans *spans);
// The first span that ends at or behind `position`, from *cursor on, which is moved there (it only
// ever rises, as positions do); NULL: none.
const struct backfill_span *backfill_spans_from(const struct backfill_spans *spans,
                                                uint32_t *cursor, int64_t position);

// What is asked for: one symbol's channel.
struct backfill_key {
    const char *symbol;    // "binance:BTCUSDT"
    enum channel channel;
    const char *interval;  // of klines
    int64_t interval_ns;   // 0: has no length (a month): positions are times
    bool times;            // ids do not follow one another (Upbit): coverage counts by times
};
int64_t backfill_position(const struct backfill_key *key, const struct rows *rows, uint32_t row);

// Positions of the rows with times in [from_ns, to_ns); of klines those of archives alone. 0 or
// RINGTAPE_EXIT_IO. *spans is to be freed.
int backfill_stored(struct store *store, const struct backfill_key *key, int64_t from_ns,
                    int64_t to_ns, struct backfill_spans *spans);

// ---- what was said about it ----

// Coverage and the files that were filled in before, as of now. A store that no daemon ever
// recorded into has an empty one. 0 or RINGTAPE_EXIT_IO.
struct backfill_known {
    struct ledger_whole ledger;
    uint64_t life;   // of the daemon: number of its start, 0: there was none
    char **files;    // "binance:BTCUSDT trade NAME.zip sha256:0123456789abcdef", sorted
    uint32_t file_count, file_room;
};
int backfill_known_open(struct backfill_known *known, struct store *store);
void backfill_known_close(struct backfill_known *known);
bool backfill_known_has(const struct backfill_known *known, const struct backfill_key *key,
                        const char *detail);
// What a running daemon may still write: open holes, and everything behind its newest row. False:
// no memory.
bool backfill_known_theirs(const struct backfill_known *known, const struct backfill_key *key,
                           struct backfill_spans *spans);

#endif
