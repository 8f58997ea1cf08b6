// SPDX-License-Identifier: GPL-3.0-or-later
//
// candle_inside: what the files of candle share: one trade as it counts, and sums. Nobody else
// includes it. Pure.
#ifndef RINGTAPE_DERIVE_CANDLE_INSIDE_H
#define RINGTAPE_DERIVE_CANDLE_INSIDE_H

#include "derive/candle.h"

struct candle_trade {
    int64_t time_ns;
    int64_t receive_ns;
    int64_t first_id;
    int64_t last_id;
    int64_t trades;
    int64_t price;
    int64_t quantity;
    uint8_t price_scale;
    uint8_t quantity_scale;
    uint8_t side;   // enum side
    uint8_t source; // enum candle_source
};

// False: the row counts for no candle.
bool candle_trade_of(const struct event *event, struct candle_trade *trade);
// False: passed over, the minute is known from trades and this is an agg_trade.
bool candle_sum_trade(struct candle_sum *sum, const struct candle_trade *trade);
// `sum` becomes the sum of both; flags but for overflow and the minute stay.
void candle_sum_merge(struct candle_sum *sum, const struct candle_sum *other);

#endif
