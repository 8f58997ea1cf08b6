// SPDX-License-Identifier: GPL-3.0-or-later
//
// candle_sum: what trades add up to. Contract: sums are exact or flagged as overflown; the same
// trades give the same sum in any order, numbers with other scales included: a sum has the
// largest scale of its trades.
#include "derive/candle_inside.h"

#include "format/ensure.h"

// ---- scales ----

static bool sum_raise_price(struct candle_sum *sum, uint32_t by)
{
    wide prices[] = {sum->open, sum->high, sum->low, sum->close};
    for (int i = 0; i < 4; i++) {
        if (!wide_raise(&prices[i], by) || prices[i] > INT64_MAX) return false;
    }
    if (!wide_raise(&sum->quote_volume, by)) return false;
    sum->open = (int64_t)prices[0];
    sum->high = (int64_t)prices[1];
    sum->low = (int64_t)prices[2];
    sum->close = (int64_t)prices[3];
    sum->price_scale = (uint8_t)(sum->price_scale + by);
    return true;
}

static bool sum_raise_quantity(struct candle_sum *sum, uint32_t by)
{
    if (!wide_raise(&sum->volume, by) || !wide_raise(&sum->taker_buy_volume, by) ||
        !wide_raise(&sum->quote_volume, by))
        return false;
    sum->quantity_scale = (uint8_t)(sum->quantity_scale + by);
    return true;
}

static bool sum_raise(struct candle_sum *sum, uint8_t price_scale, uint8_t quantity_scale)
{
    if (sum->price_scale < price_scale &&
        !sum_raise_price(sum, (uint32_t)(price_scale - sum->price_scale)))
        return false;
    return sum->quantity_scale >= quantity_scale ||
           sum_raise_quantity(sum, (uint32_t)(quantity_scale - sum->quantity_scale));
}

// ---- adding ----

static void sum_of_trade(const struct candle_trade *trade, struct candle_sum *sum)
{
    *sum = (struct candle_sum){
        .volume = trade->quantity,
        .quote_volume = (wide)trade->price * trade->quantity,
        .taker_buy_volume = trade->side == SIDE_BUY ? trade->quantity : 0,
        .first_time_ns = trade->time_ns,
        .last_time_ns = trade->time_ns,
        .first_id = trade->first_id,
        .last_id = trade->last_id,
        .open = trade->price,
        .high = trade->price,
        .low = trade->price,
        .close = trade->price,
        .trades = trade->trades,
        .price_scale = trade->price_scale,
        .quantity_scale = trade->quantity_scale,
        .source = trade->source,
    };
}

bool candle_sum_trade(struct candle_sum *sum, const struct candle_trade *trade)
{
    const bool fresh = sum->trades == 0;
    if (!fresh && sum->source == CANDLE_FROM_TRADES && trade->source != CANDLE_FROM_TRADES)
        return false;
    if (!fresh && sum->source == trade->source && sum->price_scale == trade->price_scale &&
        sum->quantity_scale == trade->quantity_scale) {
        candle_sum_add(sum, trade);
        return true;
    }
    struct candle_sum one;
    sum_of_trade(trade, &one);
    if (fresh || sum->source != trade->source) { // trades take the place of agg_trades
        one.minute = sum->minute;
        one.flags = sum->flags & CANDLE_MARKED;
        *sum = one;
    } else {
        candle_sum_merge(sum, &one);
    }
    return true;
}

static void sum_merge_prices(struct candle_sum *sum, const struct candle_sum *other)
{
    if (other->high > sum->high) sum->high = other->high;
    if (other->low < sum->low) sum->low = other->low;
    if (candle_is_before(sum->last_time_ns, sum->last_id, other->last_time_ns, other->last_id)) {
        sum->last_time_ns = other->last_time_ns;
        sum->last_id = other->last_id;
        sum->close = other->close;
    }
    if (candle_is_before(other->first_time_ns, other->first_id, sum->first_time_ns,
                         sum->first_id)) {
        sum->first_time_ns = other->first_time_ns;
        sum->first_id = other->first_id;
        sum->open = other->open;
    }
}

void candle_sum_merge(struct candle_sum *sum, const struct candle_sum *other)
{
    struct candle_sum added = *other;
    if (added.trades == 0) return;
    if (sum->trades == 0) {
        added.minute = sum->minute;
        added.flags = (uint8_t)((sum->flags & CANDLE_MARKED) | (added.flags & CANDLE_OVERFLOW));
        *sum = added;
        return;
    }
    sum->flags |= added.flags & CANDLE_OVERFLOW;
    if (added.source == CANDLE_FROM_AGG_TRADES) sum->source = CANDLE_FROM_AGG_TRADES;
    if (!sum_raise(sum, added.price_scale, added.quantity_scale) ||
        !sum_raise(&added, sum->price_scale, sum->quantity_scale)) {
        sum->flags |= CANDLE_OVERFLOW;
        return;
    }
    sum_merge_prices(sum, &added);
    if (!candle_add_volumes(sum, added.volume, added.quote_volume, added.taker_buy_volume,
                            added.trades))
        sum->flags |= CANDLE_OVERFLOW;
}
