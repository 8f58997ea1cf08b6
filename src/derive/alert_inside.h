// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_inside: what the files of alert share: states of rules and how an alert is made of them.
// Nobody else includes it.
#ifndef RINGTAPE_DERIVE_ALERT_INSIDE_H
#define RINGTAPE_DERIVE_ALERT_INSIDE_H

#include "derive/alert.h"

#include <stddef.h>

#define ALERT_INLINE static inline __attribute__((always_inline))

// A trade at fixed scales: prices 8 decimals, quantities 12.
struct alert_trade {
    int64_t time_ns;
    int64_t id;
    int64_t price;
    wide quantity;
};

// What all windows have. Buckets are numbered by time / length.
struct alert_window {
    int64_t bucket;     // the current one; 0: none yet
    int64_t begin_ns;   // of it
    int64_t fired_ns;   // 0: armed
    uint64_t seen;      // buckets since the first
};

struct alert_move { // surge, crash
    struct alert_window window;
    struct alert_point now;      // the best of the current bucket; its place below is empty
    int64_t last;                // price, so far
    struct alert_point extreme;  // of the window
    uint32_t extreme_place;      // of its bucket
    int64_t threshold_ppm;
    int64_t before;              // price at the end of the bucket before
    double variance;             // of the return of a bucket
    _Alignas(64) int64_t prices[ALERT_BUCKETS]; // the best of each bucket; 0: none
    struct {
        int64_t time_ns;
        int64_t id;
    } of[ALERT_BUCKETS]; // these prices
    double returns[ALERT_BUCKETS];
};

struct alert_bucket {
    wide sum;
    int64_t first_time_ns;
    int64_t first_id;
    uint64_t trades;
};

struct alert_burst {
    struct alert_window window;
    int64_t learnt; // buckets that the baseline is the mean of, until its memory is full
    uint64_t trades;
    wide sum;      // of the window
    struct alert_bucket now; // the current one; its place in `buckets` is empty
    wide baseline; // of a bucket, times 2^16
    struct alert_bucket buckets[ALERT_BUCKETS];
};

_Static_assert(offsetof(struct alert_move, prices) == 128, "two lines, and those of a bucket");
_Static_assert(offsetof(struct alert_burst, buckets) == 128, "the same");

struct alert_spread {
    int64_t next_ns;      // when the baseline takes the next value
    int64_t baseline;     // ppm, times 2^16
    uint64_t seen;        // values
    int64_t threshold_ppm;
    int64_t over_since_ns; // 0: it is not
    int64_t over_id;
    int64_t fired_ns;     // 0: armed
};

union alert_state {
    _Alignas(64) struct alert_move move;
    struct alert_burst burst;
    struct alert_spread spread;
};

struct alert_span { // of time; empty where nothing is known
    int64_t begin_ns;
    int64_t end_ns;
};

// Between two looks at its rules a symbol's trades are only noted, together for all rules. It is
// known from the last look what they may be without any rule having more to do: within the current
// bucket of all windows, at prices that no move can end at whatever came meanwhile, of quantities
// that no burst ends at. Whatever else comes, the rules are given what was noted, and look.
//
// All that a trade touches otherwise is in the first two lines.
struct alert_head {
    _Alignas(64) struct alert_span quiet;
    int64_t quiet_low; // prices
    int64_t quiet_high;
    wide room; // quantity that no burst ends before
    uint32_t generation; // of what follows; 0: none
    uint32_t exchange;
    int64_t last;               // price
    struct alert_point lowest;  // noted; price INT64_MAX: none
    struct alert_point highest; // price 0: none
    uint64_t trades; // noted for bursts
    bool traded; // trade rows come: agg_trade rows say the same again
    uint16_t moves;  // bit r: rule r is one
    uint16_t bursts;
    uint16_t spreads;
    const char *name; // NULL: unknown symbol
    struct alert_span moves_quiet;
    struct alert_span bursts_quiet;
    wide room_given; // when the bursts were looked at
};

_Static_assert(offsetof(struct alert_head, traded) < 128, "a trade takes two lines");
_Static_assert(sizeof(struct alert_head) == 192, "not a power of two: all sets of a cache serve");
_Static_assert(ALERT_RULES_MAX <= 16, "a bit a rule");

struct alert_evidence {
    const struct alert_rule *rule;
    uint32_t symbol;
    const char *name; // of the symbol, or the exchange
    int64_t from_ns;
    int64_t to_ns;
    int64_t first_id;
    int64_t last_id;
    bool has_ids;
    int64_t from_price; // 0: none
    int64_t to_price;
    int64_t measure_ppm;
    int64_t threshold_ppm;
    wide sum;      // burst; 0: none
    wide baseline; // burst, quantities of a window
    int64_t baseline_ppm; // spread; 0: none
};

ALERT_INLINE bool alert_span_holds(const struct alert_span *span, int64_t time_ns)
{
    return time_ns >= span->begin_ns && time_ns < span->end_ns;
}

ALERT_INLINE bool alert_move_is_quiet(const struct alert_head *head,
                                      const struct alert_trade *trade)
{
    return trade->price >= head->quiet_low && trade->price <= head->quiet_high;
}

ALERT_INLINE bool alert_burst_is_quiet(const struct alert_head *head,
                                       const struct alert_trade *trade)
{
    return trade->quantity < head->room;
}

// Written in any case, what is no extreme to `other`: whether a price is one cannot be guessed, and
// a wrong guess costs more.
ALERT_INLINE void alert_note_point(struct alert_point *point, struct alert_point *other,
                                   bool better, const struct alert_trade *trade)
{
    struct alert_point *to = better ? point : other;
    to->price = trade->price;
    to->time_ns = trade->time_ns;
    to->id = trade->id;
}

ALERT_INLINE void alert_note_for_moves(struct alerts *alerts, struct alert_head *head,
                                       const struct alert_trade *trade)
{
    alert_note_point(&head->lowest, &alerts->other, trade->price < head->lowest.price, trade);
    alert_note_point(&head->highest, &alerts->other, trade->price > head->highest.price, trade);
    head->last = trade->price;
}

ALERT_INLINE void alert_note_for_bursts(struct alert_head *head, const struct alert_trade *trade)
{
    head->room -= trade->quantity;
    head->trades++;
}

void alert_raise(struct alerts *alerts, const struct alert_evidence *evidence);
// A trade that has to be looked at.
void alert_look(struct alerts *alerts, struct alert_head *head, union alert_state *states,
                uint32_t symbol, const struct alert_trade *trade);
void alert_spread_quote(struct alerts *alerts, uint32_t rule, uint32_t symbol, const char *name,
                        struct alert_spread *spread, const struct event *event);
// What is usual, for alerts_usual().
void alert_move_usual(const struct alert_move *move, struct alert_usual *usual);
void alert_burst_usual(const struct alert_burst *burst, const struct alert_rule *rule,
                       struct alert_usual *usual);
void alert_spread_usual(const struct alert_spread *spread, struct alert_usual *usual);
// A price at 8 decimals; false: it does not fit exactly.
bool alert_price(int64_t mantissa, uint8_t scale, int64_t *price);

#endif
