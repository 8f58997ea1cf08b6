// SPDX-License-Identifier: GPL-3.0-or-later
//
// recall: what the store says is covered, read once at start, before any shard runs: the ledger,
// and the rows of the tapes and segments that are younger than it. Afterwards it is constant: every
// shard takes from it what its keys begin with.
//
// The ledger's base is written anew: the shards' files of the life before are part of it then.
// Every tape read is synced before, since a killed process may leave rows that are not durable.
//
// Order does not matter for ids: missing is what lies between first and last and is neither stored
// nor told lost. Rows of depth are followed while they have no gap. Keys that count by times are
// down from the last durable row of their shard on (less ARBITER_LATE_NS), if no row says that they
// were before; what is stored since is remembered, as much as a window holds, to be told from what
// REST brings. One that no ledger knows yet begins with its first row.
//
// Memory: an arbiter of its own. Threading: made by one thread, then read by any.
#ifndef RINGTAPE_CAPTURE_RECALL_H
#define RINGTAPE_CAPTURE_RECALL_H

#include "base/log.h"
#include "base/symbols.h"
#include "capture/arbiter.h"
#include "derive/candle.h"
#include "io/io.h"
#include "keep/keep_store.h"

// Where there is no ledger, rows count that are not older.
#define RECALL_WITHOUT_LEDGER_NS (48 * LIMIT_HOUR_NS)

// Where the batches of a tape end. What is behind is preallocated: 32 MiB of nothing.
struct recall_end {
    uint32_t tape;
    uint64_t bytes;
};

struct recall {
    struct symbols *symbols;
    struct arbiter arbiter;
    int64_t *alive_ns; // [ARBITER_KEYS_MAX] until when the key is known to have been recorded
    uint64_t generation; // of the new base
    uint32_t tape;       // what a shard's first ledger may say
    int64_t since_ns;
    uint32_t keys;
    uint64_t rows; // read again
    struct recall_end *ends; // of the tapes read, in rising order
    uint32_t end_count;
    struct candles candles; // as the store has them; memory NULL: nothing is known
    int64_t grace_ns;       // of the candles; negative: by the exchange
};

// Reads, and writes the new base. `shards`: of the life that begins. 0 or errno (logged); `io` is
// used synchronously. A damaged ledger is told and replaced; one that cannot be written is told,
// and the old one stands.
int recall_open(struct recall *recall, struct io *io, struct keep_store *store, uint32_t shards,
                const struct log *log);
void recall_close(struct recall *recall);
// The key `to` of `arbiter`, just opened, begins where the store ends.
void recall_adopt(const struct recall *recall, const char *exchange, const char *symbol,
                  struct arbiter *arbiter, uint32_t to, struct arbiter_now now);

// Reads the trades of the last RECALL_CANDLES_MINUTES and the longest interval before the latest
// trade, and the candles that were made of them. After recall_open(); `grace_ns` negative: by the
// exchange. 0 or errno (logged).
enum { RECALL_CANDLES_MINUTES = 30 };
int recall_load_candles(struct recall *recall, struct io *io, struct keep_store *store,
                   const struct candles_options *options, int64_t grace_ns,
                   const struct log *log);
// Candles of `symbol` go on where the store ends.
void recall_adopt_candles(const struct recall *recall, const char *exchange, const char *name,
                          struct candles *candles, uint32_t symbol);

#endif
