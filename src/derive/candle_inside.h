// SPDX-License-Identifier: GPL-3.0-or-later
//
// candle_inside: what the files of candle share: one trade as it counts, and sums. Nobody else
// includes it. Pure. What every trade passes is inline.
#ifndef RINGTAPE_DERIVE_CANDLE_INSIDE_H
#define RINGTAPE_DERIVE_CANDLE_INSIDE_H

#include "derive/candle.h"

#include <string.h>

#define CANDLE_INLINE static inline __attribute__((always_inline))

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

// ---- rows ----

CANDLE_INLINE bool candle_is_market(const struct event *event)
{
    if (!event_has(event, TRADE_KIND)) return true;
    const struct event_text kind = event_text(event, TRADE_KIND);
    return kind.size == 6 && memcmp(kind.bytes, "MARKET", 6) == 0;
}

CANDLE_INLINE void candle_trade_row(const struct event *event, struct candle_trade *trade)
{
    trade->first_id = event->value[TRADE_ID];
    trade->last_id = event->value[TRADE_ID];
    trade->trades = 1;
    trade->price = event->value[TRADE_PRICE];
    trade->quantity = event->value[TRADE_QUANTITY];
    trade->price_scale = event->scale[TRADE_PRICE];
    trade->quantity_scale = event->scale[TRADE_QUANTITY];
    trade->side = (uint8_t)event->value[TRADE_SIDE];
    trade->source = CANDLE_FROM_TRADES;
}

CANDLE_INLINE void candle_agg_trade_row(const struct event *event, struct candle_trade *trade)
{
    trade->first_id = event->value[AGG_TRADE_FIRST_ID];
    trade->last_id = event->value[AGG_TRADE_LAST_ID];
    if (__builtin_sub_overflow(trade->last_id, trade->first_id, &trade->trades) ||
        __builtin_add_overflow(trade->trades, 1, &trade->trades))
        trade->trades = 0; // ids that cannot be
    trade->price = event->value[AGG_TRADE_PRICE];
    trade->quantity = event->value[AGG_TRADE_QUANTITY];
    trade->price_scale = event->scale[AGG_TRADE_PRICE];
    trade->quantity_scale = event->scale[AGG_TRADE_QUANTITY];
    trade->side = (uint8_t)event->value[AGG_TRADE_SIDE];
    trade->source = CANDLE_FROM_AGG_TRADES;
}

// False: the row counts for no candle.
CANDLE_INLINE bool candle_trade_of(const struct event *event, struct candle_trade *trade)
{
    _Static_assert((int)TRADE_TIME == (int)AGG_TRADE_TIME, "one place");
    if (event->channel == CHANNEL_TRADE) {
        if (!candle_is_market(event)) return false;
        candle_trade_row(event, trade);
    } else if (event->channel == CHANNEL_AGG_TRADE) {
        candle_agg_trade_row(event, trade);
    } else {
        return false;
    }
    trade->time_ns = event_has(event, TRADE_TIME) ? event->value[TRADE_TIME] : event_time_ns(event);
    // A row of an archive has no arrival: as if it had come at its time.
    trade->receive_ns = event_has(event, COLUMN_RECEIVE_TIME) ? event->value[COLUMN_RECEIVE_TIME]
                                                              : trade->time_ns;
    return trade->price > 0 && trade->quantity >= 0 && trade->trades > 0 && trade->time_ns >= 0;
}

// ---- adding ----

CANDLE_INLINE bool candle_is_before(int64_t time_a, int64_t id_a, int64_t time_b, int64_t id_b)
{
    return time_a != time_b ? time_a < time_b : id_a < id_b;
}

CANDLE_INLINE bool candle_add_volumes(struct candle_sum *sum, wide volume, wide quote_volume,
                                      wide taker_buy_volume, int64_t trades)
{
    return !__builtin_add_overflow(sum->volume, volume, &sum->volume) &&
           !__builtin_add_overflow(sum->quote_volume, quote_volume, &sum->quote_volume) &&
           !__builtin_add_overflow(sum->taker_buy_volume, taker_buy_volume,
                                   &sum->taker_buy_volume) &&
           !__builtin_add_overflow(sum->trades, trades, &sum->trades);
}

// A trade of the sum's scales and source, which nearly every one is. High and low are written
// always: whether a price is a new one cannot be guessed, and a wrong guess costs more.
CANDLE_INLINE void candle_sum_add(struct candle_sum *sum, const struct candle_trade *trade)
{
    sum->high = trade->price > sum->high ? trade->price : sum->high;
    sum->low = trade->price < sum->low ? trade->price : sum->low;
    if (candle_is_before(sum->last_time_ns, sum->last_id, trade->time_ns, trade->last_id)) {
        sum->last_time_ns = trade->time_ns;
        sum->last_id = trade->last_id;
        sum->close = trade->price;
    } else if (candle_is_before(trade->time_ns, trade->first_id, sum->first_time_ns,
                                sum->first_id)) {
        sum->first_time_ns = trade->time_ns;
        sum->first_id = trade->first_id;
        sum->open = trade->price;
    }
    if (!candle_add_volumes(sum, trade->quantity, (wide)trade->price * trade->quantity,
                            trade->side == SIDE_BUY ? trade->quantity : 0, trade->trades))
        sum->flags |= CANDLE_OVERFLOW;
}

// False: passed over, the minute is known from trades and this is an agg_trade.
bool candle_sum_trade(struct candle_sum *sum, const struct candle_trade *trade);
// `sum` becomes the sum of both; flags but for overflow and the minute stay.
void candle_sum_merge(struct candle_sum *sum, const struct candle_sum *other);

#endif
