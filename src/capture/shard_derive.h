// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_derive: what a shard makes of its rows on their way to the tape: candles, and the
// heartbeats that tell when all of an interval are out. The pure part is in src/derive.
//
// Memory: in shard_derive_open(), as much as symbols trade. Threading: core-local.
#ifndef RINGTAPE_CAPTURE_SHARD_DERIVE_H
#define RINGTAPE_CAPTURE_SHARD_DERIVE_H

#include "base/symbols.h"
#include "derive/alert.h"
#include "derive/candle.h"

struct shard;

enum {
    SHARD_CANDLES_A_TICK = 1024, // rows; a batch has room for 2,048
    SHARD_ADOPTS_A_TICK = 1024,  // symbols, of 17 KB each: 5 ms
    SHARD_HELD_TRADES = 1 << 20, // until the store's are read: a minute of 17,000 a second
};

// An alert just raised by the shard, not yet durable. `symbol`: its full name of `symbol_size`
// bytes; 0: an alert of a whole exchange. On the shard's thread: must not wait. Valid during the
// call.
typedef void shard_alert_sink(void *context, uint32_t shard, const struct event *event,
                              const char *symbol, uint32_t symbol_size);

struct shard_derive_options {
    uint32_t interval_count; // 0: no candles
    uint32_t minutes[CANDLE_INTERVALS_MAX];
    int64_t grace_ns; // negative: by the exchange
    bool empty;       // candles without trades, too
    struct alert_rules alerts; // count 0: none
    shard_alert_sink *alert_sink; // NULL: alerts are rows only
    void *alert_context;
};

struct shard_beat {
    int64_t close_ns; // of the next heartbeat; 0: not yet known
    bool filled;      // empty candles of it wait
};

struct shard_derive {
    struct candles candles;
    uint32_t adopted; // symbols below have what the store knows of their candles
    const char *exchange[SYMBOL_EXCHANGES_MAX]; // NULL: nothing of it trades here
    int64_t grace_ns[SYMBOL_EXCHANGES_MAX];
    struct shard_beat beats[SYMBOL_EXCHANGES_MAX][CANDLE_INTERVALS_MAX];
    int64_t now_ns; // while a tick issues; else 0: as of the row that is on its way
    uint64_t unfit; // candles that no row holds
    struct alerts alerts;
};

int shard_derive_open(struct shard *shard); // 0 or -ENOMEM
void shard_derive_close(struct shard *shard);
// A symbol whose trades are recorded from now on.
void shard_derive_symbol(struct shard *shard, uint32_t symbol, uint32_t exchange,
                         const char *exchange_name);
// Other rules from now on; frees them.
void shard_derive_rules(struct shard *shard, struct alert_rules *rules);
// Before and after `event` goes to the tape.
void shard_derive_before(struct shard *shard, const struct event *event);
void shard_derive_after(struct shard *shard, const struct event *event);
void shard_derive_tick(struct shard *shard);

#endif
