// SPDX-License-Identifier: GPL-3.0-or-later
//
// recall_inside: what recall.c (ledger) and recall_rows.c (tapes, segments) share. Nobody else
// includes it.
#ifndef RINGTAPE_CAPTURE_RECALL_INSIDE_H
#define RINGTAPE_CAPTURE_RECALL_INSIDE_H

#include "capture/recall.h"
#include "format/rows.h"

enum { RECALL_TAPES_MAX = 65536 };

struct recall_tape {
    uint32_t number;
    int64_t last_ns; // receive time of its last row; of segments: the latest time
};

// One reading, at start only.
struct recall_work {
    struct recall *recall;
    struct io *io;
    struct keep_store *store;
    const struct log *log;
    uint32_t tape;    // from here on
    int64_t time_min; // rows of segments before it do not matter
    int64_t alive_ns[LIMIT_SHARDS]; // receive time of the shard's last durable row
    struct recall_tape *tapes;
    uint32_t tape_count;
    int handle;
    struct io_op op;
};

// The key of a full name ("binance:BTCUSDT"), opened if new; ARBITER_KEY_NONE: not one of a known
// exchange, or no room.
uint32_t recall_key(struct recall *recall, const char *name, uint32_t size, enum channel channel);
// Rows of one channel; `symbols` are their names. Returns the latest receive time among them.
int64_t recall_rows(struct recall *recall, const struct rows *rows,
                    const struct event_text *symbols, int64_t time_min);
// Everything of the segments and tapes from work->tape on. 0 or errno.
int recall_segments(struct recall_work *work);
int recall_load_tapes(struct recall_work *work);

#endif
