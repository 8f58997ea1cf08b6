// SPDX-License-Identifier: GPL-3.0-or-later
//
// candle_sum: what trades add up to. Contract: sums are exact or flagged as overflown; the same
// trades give the same sum in any order, numbers with other scales included: a sum has the
// largest scale of its trades.
#include "derive/candle_inside.h"

#include "format/ensure.h"
#include <string.h>

static bool sum_is_market(const struct event *event)
{
    if (!event_has(event, TRADE_KIND)) return true;
    const struct event_text kind = event_text(event, TRADE_KIND);
    return kind.size == 6 && memcmp(kind.bytes, "MARKET", 6) == 0;
}

static void sum_trade_row(const struct event *event, struct candle_trade *trade)
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

static void sum_agg_trade_row(const struct event *event, struct candle_trade *trade)
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

bool candle_trade_of(const struct event *event, struct candle_trade *trade)
{
    _Static_assert((int)TRADE_TIME == (int)AGG_TRADE_TIME, "one place");
    if (event->channel == CHANNEL_TRADE) {
        if (!sum_is_market(event)) return false;
        sum_trade_row(event, trade);
    } else if (event->channel == CHANNEL_AGG_TRADE) {
        sum_agg_trade_row(event, trade);
    } else {
        return false;
    }
    trade->time_ns = event_has(event, TRADE_TIME) ? event->value[TRADE_TIME] : event_time_ns(event);
    // A row of an archive has no arrival: as if it had come at its time.
    trade->receive_ns = event_has(event, COLUMN_RECEIVE_TIME) ? event->value[COLUMN_RECEIVE_TIME]
                                                              : trade->time_ns;
    return trade->price > 0 && trade->quantity >= 0 && trade->trades > 0 && trade->time_ns >= 0;
}

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

static bool sum_is_before(int64_t time_a, int64_t id_a, int64_t time_b, int64_t id_b)
{
    return time_a != time_b ? time_a < time_b : id_a < id_b;
}

static bool sum_add_volumes(struct candle_sum *sum, wide volume, wide quote_volume,
                            wide taker_buy_volume, int64_t trades)
{
    return !__builtin_add_overflow(sum->volume, volume, &sum->volume) &&
           !__builtin_add_overflow(sum->quote_volume, quote_volume, &sum->quote_volume) &&
           !__builtin_add_overflow(sum->taker_buy_volume, taker_buy_volume,
                                   &sum->taker_buy_volume) &&
           !__builtin_add_overflow(sum->trades, trades, &sum->trades);
}

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

// Trades of one scale, which is nearly always so.
static void sum_add(struct candle_sum *sum, const struct candle_trade *trade)
{
    if (trade->price > sum->high) sum->high = trade->price;
    if (trade->price < sum->low) sum->low = trade->price;
    if (sum_is_before(sum->last_time_ns, sum->last_id, trade->time_ns, trade->last_id)) {
        sum->last_time_ns = trade->time_ns;
        sum->last_id = trade->last_id;
        sum->close = trade->price;
    } else if (sum_is_before(trade->time_ns, trade->first_id, sum->first_time_ns,
                             sum->first_id)) {
        sum->first_time_ns = trade->time_ns;
        sum->first_id = trade->first_id;
        sum->open = trade->price;
    }
    if (!sum_add_volumes(sum, trade->quantity, (wide)trade->price * trade->quantity,
                         trade->side == SIDE_BUY ? trade->quantity : 0, trade->trades))
        sum->flags |= CANDLE_OVERFLOW;
}

bool candle_sum_trade(struct candle_sum *sum, const struct candle_trade *trade)
{
    const bool fresh = sum->trades == 0;
    if (!fresh && sum->source == CANDLE_FROM_TRADES && trade->source != CANDLE_FROM_TRADES)
        return false;
    if (!fresh && sum->source == trade->source && sum->price_scale == trade->price_scale &&
        sum->quantity_scale == trade->quantity_scale) {
        sum_add(sum, trade);
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
    if (sum_is_before(sum->last_time_ns, sum->last_id, other->last_time_ns, other->last_id)) {
        sum->last_time_ns = other->last_time_ns;
        sum->last_id = other->last_id;
        sum->close = other->close;
    }
    if (sum_is_before(other->first_time_ns, other->first_id, sum->first_time_ns, sum->first_id)) {
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
    if (!sum_add_volumes(sum, added.volume, added.quote_volume, added.taker_buy_volume,
                         added.trades))
        sum->flags |= CANDLE_OVERFLOW;
}
