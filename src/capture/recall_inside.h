// SPDX-License-Identifier: GPL-3.0-or-later
//
// recall_inside: what recall.c (ledger) and recall_rows.c (tapes, segments) share. Nobody else
// includes it.
#ifndef RINGTAPE_CAPTURE_RECALL_INSIDE_H
#define RINGTAPE_CAPTURE_RECALL_INSIDE_H

#include "capture/recall.h"
#include "exchange/dialect.h"
#include "format/rows.h"

enum {
    RECALL_TAPES_MAX = 65536,
    RECALL_WINDOW_BYTES = 256 << 10, // of a tape, read at once
    RECALL_NAMES = 256, // looked up once a batch or block
    RECALL_COVERED = 1 << CHANNEL_TRADE | 1 << CHANNEL_AGG_TRADE | 1 << CHANNEL_DEPTH |
                     1 << CHANNEL_QUOTE | 1 << CHANNEL_BOOK | 1 << CHANNEL_TICKER |
                     1 << CHANNEL_KLINE | 1 << CHANNEL_STATUS,
};

struct recall_tape {
    uint32_t number;
    int64_t last_ns; // receive time of its last row; of segments: the latest time
};

// Rows of one channel from row `first` on; `symbols` are their names. Returns the latest receive
// time among them.
typedef int64_t recall_take(struct recall *recall, const struct rows *rows, uint32_t first,
                            const struct event_text *symbols, int64_t time_min);

// One reading, at start only.
struct recall_work {
    recall_take *take;
    uint32_t channels; // bit c: segments of channel c are read
    bool again;        // tapes were read and synced before: batches without `channels` are left out
    const atomic_bool *stop; // NULL: never
    struct recall *recall;
    struct io *io;
    struct keep_store *store;
    const struct log *log;
    uint32_t tape;    // from here on
    int64_t time_min; // rows of segments before it do not matter
    int64_t tape_time_min; // ... of tapes
    int64_t alive_ns[LIMIT_SHARDS]; // receive time of the shard's last durable row
    struct recall_tape *tapes;
    uint32_t tape_count;
    int handle;
    uint8_t *window; // NULL: none
    uint64_t window_at;
    size_t window_size;
    struct io_op op;
};

// The key of a full name ("binance:BTCUSDT"), opened if new; ARBITER_KEY_NONE: not one of a known
// exchange, or no room.
uint32_t recall_key(struct recall *recall, const char *name, uint32_t size, enum channel channel);
// What the arbiter makes of them.
recall_take recall_rows;
// SYMBOL_NONE: nothing of it is known.
uint32_t recall_find(const struct symbols *symbols, const char *exchange, const char *name);
// The number of a full name, added if new. SYMBOL_NONE: not of a known exchange, or no room.
uint32_t recall_symbol(struct symbols *symbols, const char *name, uint32_t size,
                       const struct dialect **dialect);
// -ECANCELED where the work is to stop.
int recall_stopped(const struct recall_work *work);
// Everything of the segments and tapes from work->tape on. 0 or errno.
int recall_segments(struct recall_work *work);
int recall_load_tapes(struct recall_work *work);

#endif
