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
// Candles take 45 minutes of trades, which may be many millions: they are read while the shards
// record already, by the thread that would seal what is read. Shards issue none until then.
//
// Memory: an arbiter of its own. Threading: made by one thread, then read by any; candles by one
// thread, and by any as soon as recall_candles_known() says so.
#ifndef RINGTAPE_CAPTURE_RECALL_H
#define RINGTAPE_CAPTURE_RECALL_H

#include <stdatomic.h>
#include <stdbool.h>

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

struct recall_candles {
    struct candles_options options;
    int64_t grace_ns;        // negative: by the exchange
    int32_t floor;           // minutes before it are not looked at
    bool wanted;             // recall_begin_candles()
    atomic_bool known;
    struct candles sums;     // as the store has them
    struct symbols *symbols; // whose numbers they have
};

struct recall {
    struct symbols *symbols;
    struct arbiter arbiter;
    int64_t *alive_ns; // [ARBITER_KEYS_MAX] until when the key is known to have been recorded
    uint64_t generation; // of the new base
    uint32_t tape;       // what a shard's first ledger may say
    uint32_t tape_next;  // tapes from here on are of the life that begins
    int64_t since_ns;
    uint32_t keys;
    uint64_t rows; // read again
    struct recall_end *ends; // of the tapes read, in rising order
    uint32_t end_count;
    struct recall_candles candles;
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

// Candles will be asked for: the trades of the last RECALL_CANDLES_MINUTES and the longest interval
// before the latest trade are to be read. After recall_open(); `grace_ns` negative: by the
// exchange.
enum { RECALL_CANDLES_MINUTES = 30 };
void recall_begin_candles(struct recall *recall, const struct candles_options *options,
                          int64_t grace_ns, int64_t now_ns);
// Reads them, and the candles that were made of them, from tapes that were there at recall_open().
// Nothing may seal or delete meanwhile. `io` is used synchronously; `stop` (NULL: never): ends it
// with -ECANCELED. 0 or errno (logged); it may be tried again.
int recall_load_candles(struct recall *recall, struct io *io, struct keep_store *store,
                        const struct log *log, const atomic_bool *stop);
// False: they are still to be read.
bool recall_candles_known(const struct recall *recall);
// Candles of `symbol` go on where the store ends. After recall_candles_known().
void recall_adopt_candles(const struct recall *recall, const char *exchange, const char *name,
                          struct candles *candles, uint32_t symbol);

#endif
