// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_inside: what the files of alert share: states of rules and how an alert is made of them.
// Nobody else includes it.
#ifndef RINGTAPE_DERIVE_ALERT_INSIDE_H
#define RINGTAPE_DERIVE_ALERT_INSIDE_H

#include "derive/alert.h"

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

struct alert_move { // surge, crash
    struct alert_window window;
    struct alert_point extreme;  // of the window
    int64_t trigger;             // the price that crosses the threshold; 0: none
    int64_t threshold_ppm;
    int64_t last;                // price, so far
    int64_t before;              // price at the end of the bucket before
    double variance;             // of the return of a bucket
    struct alert_point points[ALERT_BUCKETS];
    double returns[ALERT_BUCKETS];
};

struct alert_burst {
    struct alert_window window;
    wide sum;      // of the window
    wide trigger;  // the sum that crosses the threshold; 0: not warm
    wide baseline; // of a bucket, times 2^16
    uint64_t trades;
    struct {
        wide sum;
        int64_t first_time_ns;
        int64_t first_id;
        uint64_t trades;
    } buckets[ALERT_BUCKETS];
};

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
    struct alert_move move;
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

void alert_raise(struct alerts *alerts, const struct alert_evidence *evidence);
void alert_move_trade(struct alerts *alerts, uint32_t rule, uint32_t symbol, const char *name,
                      struct alert_move *move, const struct alert_trade *trade);
void alert_burst_trade(struct alerts *alerts, uint32_t rule, uint32_t symbol, const char *name,
                       struct alert_burst *burst, const struct alert_trade *trade);
void alert_spread_quote(struct alerts *alerts, uint32_t rule, uint32_t symbol, const char *name,
                        struct alert_spread *spread, const struct event *event);
// A price at 8 decimals; false: it does not fit exactly.
bool alert_price(int64_t mantissa, uint8_t scale, int64_t *price);

#endif
