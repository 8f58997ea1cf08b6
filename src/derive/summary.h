// SPDX-License-Identifier: GPL-3.0-or-later
//
// summary: candles and quotes → the numbers of a symbol's day or week: open to close, volumes,
// volatility, largest moves, spreads. docs/lake.md, "Daily and weekly numbers", defines each.
//
// What a candle is, which rows count and what they add up to is candle.h's alone: a summary is the
// sum of the one-minute candles that candle.h issued. Pure: no clock, no file.
//
// Exact: prices, quantities, sums, spreads are integers with a scale; ratios are rounded once, half
// to even. The one double is the volatility: differences are exact before they become a double, the
// sum is compensated, so it is good to 1e-14 relative.
//
// Order. Candles of one interval come by rising open time, days one after the other. Quotes may
// come in any order: those out of order are noticed (`disordered`), everything but the time-
// weighted spread is right all the same; for that summary_spread_restart() and all quotes once
// more, sorted by (time, id).
//
// Ownership: a plain struct of the caller, 400 bytes. Threading: one owner.
#ifndef RINGTAPE_DERIVE_SUMMARY_H
#define RINGTAPE_DERIVE_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "derive/candle.h"
#include "derive/wide.h"
#include "format/event.h"

enum {
    SUMMARY_DECIMALS = 12,    // of every ratio
    SUMMARY_MOVE_MINUTES = 5, // of the candles that largest moves are taken from
};

// The best prices at one moment, as far as spreads need them.
struct summary_quote {
    wide spread; // ask - bid; negative where the book is crossed
    int64_t time_ns;
    int64_t id;
    uint8_t scale;
};

struct summary {
    struct candle_sum sum; // of all minutes
    // ---- volatility: of closes of consecutive candles of a minute ----
    int64_t close;
    uint8_t close_scale;
    bool has_close;
    uint64_t returns;
    double squares;      // of logarithmic returns, summed
    double squares_rest; // what the sum lost
    // ---- moves: close/open of the candles of five minutes, at SUMMARY_DECIMALS, minus 1 ----
    bool has_moves;
    wide rise;
    wide fall;
    int64_t rise_open_time_ns;
    int64_t fall_open_time_ns;
    // ---- spreads, all at spread_scale ----
    uint64_t quotes;
    wide spread_min;
    wide spread_max;
    wide spread_sum;
    wide spread_time_sum; // each spread times the ns that it held
    int64_t spread_ns;
    struct summary_quote last; // by (time, id)
    uint8_t spread_scale;
    bool disordered; // a quote came behind a later one
    bool spread_unfit; // spreads did not fit 128 bits: none is told
    bool unfit;        // neither did sums of candles: what depends on them is not told
};

void summary_init(struct summary *summary);
// A candle of one minute, or of SUMMARY_MOVE_MINUTES; others are passed over.
void summary_candle(struct summary *summary, const struct candle *candle);

// False: the row has no prices.
bool summary_quote_of(const struct event *event, struct summary_quote *quote);
void summary_quote(struct summary *summary, const struct summary_quote *quote);
// Forgets how long spreads held, and nothing else; then summary_spread() of every quote, sorted.
void summary_spread_restart(struct summary *summary);
void summary_spread(struct summary *summary, const struct summary_quote *quote);

// ---- numbers; false: there is none ----

bool summary_vwap(const struct summary *summary, wide *vwap);
bool summary_buy_ratio(const struct summary *summary, wide *ratio);
// close/open - 1 of the whole.
bool summary_change(const struct summary *summary, wide *change);
double summary_volatility(const struct summary *summary);
bool summary_spread_mean(const struct summary *summary, wide *mean);
bool summary_spread_time_weighted(const struct summary *summary, wide *mean);

#endif
