// SPDX-License-Identifier: GPL-3.0-or-later
//
// batch: the events of a shard that wait to be written together, one `struct rows` a channel, with
// the arrival number of each row, so that the order between channels is kept.
//
// Ownership: memory is allocated in batch_open() and touched as it is used. Threading: core-local.
#ifndef RINGTAPE_KEEP_BATCH_H
#define RINGTAPE_KEEP_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "format/event.h"
#include "format/rows.h"

enum { // of one channel in one batch
    BATCH_ROWS_MAX = 16384,     // trade, agg_trade, quote, depth: 5 ms at 3 M messages/s
    BATCH_ROWS_SLOW_MAX = 2048, // the wide and the rare channels
    BATCH_LEVELS_MAX = 65536,
    BATCH_TEXT_BYTES_MAX = 256 << 10,
    BATCH_TEXT_BYTES_WIDE_MAX = 4 << 20, // raw and instrument: whole messages
};

struct batch {
    struct rows *rows[CHANNEL_COUNT];      // NULL where the channel has no schema
    uint32_t *arrival[CHANNEL_COUNT];      // arrival[c][r]: number of the row within the batch
    uint32_t count;                        // rows of all channels
    void *memory;
};

// 0 or -ENOMEM.
int batch_open(struct batch *batch);
void batch_close(struct batch *batch);
void batch_clear(struct batch *batch);
// False when any part is full; the batch is then unchanged.
bool batch_append(struct batch *batch, const struct event *event);

#endif
