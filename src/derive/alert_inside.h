// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_inside: what the files of alert share: states of rules and how an alert is made of them.
// Nobody else includes it.
#ifndef RINGTAPE_DERIVE_ALERT_INSIDE_H
#define RINGTAPE_DERIVE_ALERT_INSIDE_H

#include "derive/alert.h"

#include <stddef.h>

// A trade at fixed scales: prices 8 decimals, quantities 12.
struct alert_trade {
    int64_t time_ns;
    int64_t id;
    int64_t price;
    wide quantity;
};

struct alert_point {
    int64_t price; // 0: none
    int64_t time_ns;
    int64_t id;
};

// What all windows have. Buckets are numbered by time / length.
struct alert_window {
    int64_t bucket;     // the current one; 0: none yet
    int64_t begin_ns;   // of it
    int64_t end_ns;
    int64_t fired_ns;   // 0: armed
    uint64_t seen;      // buckets since the first
};

// What a trade looks at is in the first cache line.
struct alert_move { // surge, crash
    struct alert_window window;
    int64_t trigger;             // the price that crosses the threshold
    int64_t now;                 // the best price of the current bucket
    int64_t last;                // price, so far
    struct alert_point extreme;  // of the window
    int64_t threshold_ppm;
    int64_t before;              // price at the end of the bucket before
    double variance;             // of the return of a bucket
    struct alert_point points[ALERT_BUCKETS];
    double returns[ALERT_BUCKETS];
};

struct alert_bucket {
    wide sum;
    int64_t first_time_ns;
    int64_t first_id;
    uint64_t trades;
};

struct alert_burst { // two cache lines a trade
    struct alert_window window;
    uint64_t trades;
    wide sum;      // of the window
    wide trigger;  // the sum that crosses the threshold
    struct alert_bucket now; // the current one; its place in `buckets` is empty
    wide baseline; // of a bucket, times 2^16
    int64_t learnt; // buckets that it is the mean of, until its memory is full
    struct alert_bucket buckets[ALERT_BUCKETS];
};

_Static_assert(offsetof(struct alert_move, extreme) == 64, "one line");
_Static_assert(offsetof(struct alert_burst, baseline) == 128, "two lines");

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

// True: nothing has changed but the last price, which is nearly always so.
static inline bool alert_move_is_quiet(const struct alert_rule *rule, struct alert_move *move,
                                       const struct alert_trade *trade)
{
    const bool surge = rule->kind == ALERT_SURGE;
    if (trade->time_ns < move->window.begin_ns || trade->time_ns >= move->window.end_ns ||
        (surge ? trade->price < move->now : trade->price > move->now) ||
        (surge ? trade->price >= move->trigger : trade->price <= move->trigger))
        return false;
    move->last = trade->price;
    return true;
}

static inline bool alert_burst_is_quiet(struct alert_burst *burst, const struct alert_trade *trade)
{
    const wide sum = burst->sum + trade->quantity;
    if (trade->time_ns < burst->window.begin_ns || trade->time_ns >= burst->window.end_ns ||
        burst->now.trades == 0 || (burst->trigger > 0 && sum >= burst->trigger))
        return false;
    burst->sum = sum;
    burst->trades++;
    burst->now.sum += trade->quantity;
    burst->now.trades++;
    return true;
}

void alert_raise(struct alerts *alerts, const struct alert_evidence *evidence);
void alert_move_trade(struct alerts *alerts, uint32_t rule, uint32_t symbol, const char *name,
                      struct alert_move *move, const struct alert_trade *trade);
void alert_burst_trade(struct alerts *alerts, uint32_t rule, uint32_t symbol, const char *name,
                       struct alert_burst *burst, const struct alert_trade *trade);
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
