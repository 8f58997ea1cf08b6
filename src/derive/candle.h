// SPDX-License-Identifier: GPL-3.0-or-later
//
// candle: trades → candles of whole minutes, exact and independent of the order of arrival. Pure:
// it knows no clock; who calls says what time it is. docs/candles.md has the rules for users.
//
// A trade is added to the minute of its `time`; a candle is the sum of its minutes. Open and close
// are the first and last trade by (time, id).
//
// When a candle is issued follows from the receive times of the trades in it, and from nothing
// else: the first time at the later of close + grace and the next whole second after the first
// trade was received; again, with a higher revision, at the next whole second after a trade was
// received that came later. It holds what was received before that moment. So the same rows give
// the same candles and revisions, live, after a restart, and from the store, whatever the shards.
//
// A symbol's last CANDLE_RING minutes (`ring`) are remembered. A trade of an older one is counted
// (`beyond`) and changes no candle; a candle whose first minute is about to be forgotten is issued
// then.
//
// Ownership: memory is address space until used; a symbol takes 20 KB at most with three intervals.
// Threading: one owner. Units: times in ns UTC, minutes since 1970.
#ifndef RINGTAPE_DERIVE_CANDLE_H
#define RINGTAPE_DERIVE_CANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "derive/wide.h"
#include "format/event.h"

#define CANDLE_MINUTE_NS 60000000000ll
#define CANDLE_SECOND_NS 1000000000ll

enum {
    CANDLE_INTERVALS_MAX = 8,
    CANDLE_MINUTES_MAX = 60,  // of an interval
    CANDLE_RING = 128,        // minutes of a symbol that are remembered, live
    CANDLE_RING_DAY = 2048,   // enough for a whole day
    CANDLE_AHEAD_MINUTES = 60, // a trade further in the future is none
    CANDLE_VWAP_DECIMALS = 12,
    CANDLE_TEXT_BYTES = 8,    // of an interval's name
};

// What trades add up to. Prices have one scale, quantities another, quote_volume both. What only
// the first trade changes is last: a trade of the newest minute need not touch it (candle.c).
struct candle_sum {
    wide volume;
    wide quote_volume;
    wide taker_buy_volume;
    int64_t trades; // 0: nothing else here is valid
    int64_t high;
    int64_t low;
    int64_t close;
    int64_t last_time_ns;
    int64_t last_id;
    int32_t minute; // of the sums of one minute
    uint8_t price_scale;
    uint8_t quantity_scale;
    uint8_t source; // enum candle_source
    uint8_t flags;  // enum candle_sum_flags
    int64_t first_time_ns;
    int64_t first_id;
    int64_t open;
};

enum candle_sum_flags {
    CANDLE_MARKED = 1,   // every candle of this minute waits to be issued
    CANDLE_OVERFLOW = 2, // does not fit; no candle with it is issued
};

// A candle to be stored. Valid during the call.
struct candle {
    uint32_t symbol;
    uint32_t minutes; // its interval
    uint32_t revision;
    int64_t open_time_ns;
    int64_t close_time_ns;
    struct candle_sum sum; // trades 0: an empty one
};

// False: it could not be stored; it is tried again a second later.
typedef bool candle_issue(void *context, const struct candle *candle);

struct candles_options {
    uint32_t symbols_max;
    uint32_t ring; // minutes, a power of two; 0: CANDLE_RING
    uint32_t interval_count;
    uint32_t minutes[CANDLE_INTERVALS_MAX]; // each as candle_minutes_valid() says, rising
    candle_issue *issue; // NULL: of a store that is read; nothing is issued
    uint32_t held_max;   // trades, 80 bytes each, that are held until candles_start(); 0: none is
    void *context;
};

struct candles_counters {
    uint64_t issued;
    uint64_t revisions; // of them, again
    uint64_t refused;   // could not be stored then
    uint64_t unfit;     // sums that do not fit 128 bits
    uint64_t beyond;    // trades of minutes that are not remembered
    uint64_t ahead;     // trades of the future
    uint64_t unheld;    // trades beyond held_max: candles up to them are not issued in this life
};

struct candles {
    struct candles_options options;
    struct candles_counters counters;
    int64_t due_ns;   // earliest of all symbols; INT64_MAX: none
    int64_t received_ns; // of the latest trade, of a store that is read
    int32_t mask;     // of the ring
    int32_t floor;    // minutes before it are not known whole
    uint32_t pending_count;
    uint32_t *pending; // [symbols_max] symbols with a candle that waits
    struct candle_held *held; // [held_max], until candles_start()
    uint32_t held_count;
    uint8_t *memory;   // [symbols_max] heads, then [symbols_max] of `stride` bytes
    size_t memory_bytes;
    size_t stride;     // of a symbol's ring and marks
    uint32_t mark_first[CANDLE_INTERVALS_MAX]; // of the interval, in a symbol's marks
    uint32_t mark_count[CANDLE_INTERVALS_MAX];
};

// Divides a day, at most an hour.
bool candle_minutes_valid(uint32_t minutes);
// "1m", "15m", "1h".
void candle_interval_text(uint32_t minutes, char text[CANDLE_TEXT_BYTES]);
// 0: not such a name.
uint32_t candle_interval_minutes(const char *text, size_t size);
// How long after its close a candle waits for late trades, where nobody says otherwise.
int64_t candle_grace_ns(const char *exchange);

// 0 or -ENOMEM.
int candles_open(struct candles *candles, const struct candles_options *options);
void candles_close(struct candles *candles);
// Before the first trade of a symbol; later it changes the candles that begin then.
void candles_symbol(struct candles *candles, uint32_t symbol, int64_t grace_ns);
void candles_prepare_due(struct candles *candles, const struct event *event);
// Issues what is due before `event` is added. The caller's tape then has a candle before the trades
// that it does not hold.
static inline void candles_prepare(struct candles *candles, const struct event *event)
{
    if (event_has(event, COLUMN_RECEIVE_TIME) &&
        event->value[COLUMN_RECEIVE_TIME] >= candles->due_ns)
        candles_prepare_due(candles, event);
}
// A row of trade or agg_trade; others and those that count for no candle are passed over. Prepares
// by itself as well.
void candles_event(struct candles *candles, const struct event *event);
// Issues what is due at `now_ns`, at most `rows`. True: nothing is left that is due.
bool candles_advance(struct candles *candles, int64_t now_ns, uint32_t rows);
// The candle without trades that ends at `close_ns` waits to be issued, where the symbol has traded
// in the ring's minutes before, and not in it.
void candles_fill(struct candles *candles, uint32_t symbol, uint32_t minutes, int64_t close_ns);
// Issues all that waits, due or not: the end of a store.
void candles_finish(struct candles *candles);

// ---- after a restart ----

// A stored candle row: the candle was issued with this revision. What has come since waits.
void candles_known(struct candles *candles, uint32_t symbol, const struct event *row);
// Takes over symbol `from` of `other`, which has the same intervals, unless `symbol` is in use.
void candles_adopt(struct candles *candles, uint32_t symbol, const struct candles *other,
                   uint32_t from);
// Opened with `held_max`, which issues nothing: every symbol has what is known now. What was held
// is added, and what is due by then issued, as if it came now.
void candles_start(struct candles *candles, candle_issue *issue);

// ---- candle_row.c ----

// The row of the channel candle, but for receive time. `text` must outlive the event. False: the
// numbers do not fit a row.
bool candle_row(const struct candle *candle, char text[CANDLE_TEXT_BYTES], struct event *event);
// Same interval, open time, and numbers; revision, receive time and flags do not count.
bool candle_rows_equal(const struct event *a, const struct event *b);

#endif
