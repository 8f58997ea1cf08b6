// SPDX-License-Identifier: GPL-3.0-or-later
//
// summary: see summary.h. Contract: what is told is exact, or rounded once; what does not fit is
// not told (`unfit`).
#include "derive/summary.h"

#include "derive/candle_inside.h"
#include "format/ensure.h"
#include <math.h>
#include <string.h>

void summary_init(struct summary *summary)
{
    memset(summary, 0, sizeof *summary);
}

// ---- candles ----

// Both at the larger scale. False: they do not fit.
static bool summary_level(wide *a, uint32_t a_scale, wide *b, uint32_t b_scale)
{
    return wide_raise(a, a_scale < b_scale ? b_scale - a_scale : 0) &&
           wide_raise(b, b_scale < a_scale ? a_scale - b_scale : 0);
}

// Neumaier's sum: the rest holds what the larger of both could not take.
static void summary_add_square(struct summary *summary, double square)
{
    const double sum = summary->squares + square;
    if (summary->squares >= square)
        summary->squares_rest += (summary->squares - sum) + square;
    else
        summary->squares_rest += (square - sum) + summary->squares;
    summary->squares = sum;
    summary->returns++;
}

// ln(close/last) = log1p((close - last)/last): the difference is exact, so that small returns lose
// no digits.
static void summary_return(struct summary *summary, const struct candle_sum *minute)
{
    if (summary->has_close) {
        wide now = minute->close;
        wide before = summary->close;
        ensure(now > 0 && before > 0);
        if (!summary_level(&now, minute->price_scale, &before, summary->close_scale)) {
            summary->unfit = true;
            return;
        }
        const double change = log1p((double)(now - before) / (double)before);
        summary_add_square(summary, change * change);
    }
    summary->close = minute->close;
    summary->close_scale = minute->price_scale;
    summary->has_close = true;
}

// close/open - 1: the ratio is rounded half to even, and 1 is even in the last place.
static bool summary_move_of(const struct candle_sum *sum, wide *move)
{
    if (sum->trades == 0 || !wide_ratio(sum->close, sum->price_scale, sum->open, sum->price_scale,
                                        SUMMARY_DECIMALS, move))
        return false;
    *move -= wide_power(SUMMARY_DECIMALS);
    return true;
}

static void summary_move(struct summary *summary, const struct candle *candle)
{
    wide move;
    if (!summary_move_of(&candle->sum, &move)) {
        summary->unfit = true;
        return;
    }
    if (!summary->has_moves || move > summary->rise) {
        summary->rise = move;
        summary->rise_open_time_ns = candle->open_time_ns;
    }
    if (!summary->has_moves || move < summary->fall) {
        summary->fall = move;
        summary->fall_open_time_ns = candle->open_time_ns;
    }
    summary->has_moves = true;
}

void summary_candle(struct summary *summary, const struct candle *candle)
{
    ensure((candle->sum.flags & CANDLE_OVERFLOW) == 0);
    if (candle->sum.trades == 0) return;
    if (candle->minutes == SUMMARY_MOVE_MINUTES) summary_move(summary, candle);
    if (candle->minutes != 1) return;
    candle_sum_merge(&summary->sum, &candle->sum);
    if ((summary->sum.flags & CANDLE_OVERFLOW) != 0) summary->unfit = true;
    summary_return(summary, &candle->sum);
}

// ---- quotes ----

bool summary_quote_of(const struct event *event, struct summary_quote *quote)
{
    ensure(event->channel == CHANNEL_QUOTE);
    if (!event_has(event, QUOTE_BID_PRICE) || !event_has(event, QUOTE_ASK_PRICE)) return false;
    wide bid = event->value[QUOTE_BID_PRICE];
    wide ask = event->value[QUOTE_ASK_PRICE];
    const uint8_t bid_scale = event->scale[QUOTE_BID_PRICE];
    const uint8_t ask_scale = event->scale[QUOTE_ASK_PRICE];
    if (!summary_level(&bid, bid_scale, &ask, ask_scale)) return false;
    *quote = (struct summary_quote){.spread = ask - bid,
                                    .time_ns = event_time_ns(event),
                                    .id = event->value[QUOTE_ID],
                                    .scale = bid_scale > ask_scale ? bid_scale : ask_scale};
    return true;
}

static bool summary_raise(struct summary *summary, uint8_t scale)
{
    const uint32_t by = (uint32_t)(scale - summary->spread_scale);
    ensure(scale > summary->spread_scale);
    summary->spread_scale = scale;
    summary->last.scale = scale;
    return wide_raise(&summary->spread_min, by) && wide_raise(&summary->spread_max, by) &&
           wide_raise(&summary->spread_sum, by) && wide_raise(&summary->spread_time_sum, by) &&
           wide_raise(&summary->last.spread, by);
}

// The quote's spread at the summary's scale, which grows where it must.
static bool summary_rescale(struct summary *summary, const struct summary_quote *quote,
                            wide *spread)
{
    *spread = quote->spread;
    if (quote->scale > summary->spread_scale && !summary_raise(summary, quote->scale)) return false;
    return wide_raise(spread, (uint32_t)(summary->spread_scale - quote->scale));
}

// What the last quote's spread weighs until this one.
static bool summary_hold(struct summary *summary, const struct summary_quote *quote, wide spread)
{
    wide weighed;
    const int64_t held_ns = quote->time_ns - summary->last.time_ns;
    if (__builtin_mul_overflow(summary->last.spread, (wide)held_ns, &weighed) ||
        __builtin_add_overflow(summary->spread_time_sum, weighed, &summary->spread_time_sum))
        return false;
    summary->spread_ns += held_ns;
    summary->last.spread = spread;
    summary->last.time_ns = quote->time_ns;
    summary->last.id = quote->id;
    return true;
}

static bool summary_is_later(const struct summary_quote *quote, const struct summary_quote *than)
{
    return quote->time_ns != than->time_ns ? quote->time_ns > than->time_ns : quote->id > than->id;
}

static void summary_first_quote(struct summary *summary, const struct summary_quote *quote)
{
    summary->quotes = 1;
    summary->spread_scale = quote->scale;
    summary->spread_min = quote->spread;
    summary->spread_max = quote->spread;
    summary->spread_sum = quote->spread;
    summary->last = *quote;
}

void summary_quote(struct summary *summary, const struct summary_quote *quote)
{
    wide spread;
    if (summary->quotes == 0) {
        summary_first_quote(summary, quote);
        return;
    }
    summary->quotes++;
    if (!summary_rescale(summary, quote, &spread) ||
        __builtin_add_overflow(summary->spread_sum, spread, &summary->spread_sum)) {
        summary->spread_unfit = true;
        return;
    }
    if (spread < summary->spread_min) summary->spread_min = spread;
    if (spread > summary->spread_max) summary->spread_max = spread;
    if (!summary_is_later(quote, &summary->last))
        summary->disordered = true;
    else if (!summary->disordered && !summary_hold(summary, quote, spread))
        summary->spread_unfit = true;
}

void summary_spread_restart(struct summary *summary)
{
    summary->spread_time_sum = 0;
    summary->spread_ns = 0;
    summary->last = (struct summary_quote){.time_ns = INT64_MIN, .id = INT64_MIN};
    summary->disordered = false;
}

void summary_spread(struct summary *summary, const struct summary_quote *quote)
{
    wide spread;
    if (!summary_rescale(summary, quote, &spread)) {
        summary->spread_unfit = true;
        return;
    }
    if (summary->last.time_ns == INT64_MIN) {
        summary->last = *quote;
        summary->last.spread = spread;
        summary->last.scale = summary->spread_scale;
        return;
    }
    ensure(quote->time_ns >= summary->last.time_ns);
    if (!summary_hold(summary, quote, spread)) summary->spread_unfit = true;
}

// ---- numbers ----

bool summary_vwap(const struct summary *summary, wide *vwap)
{
    const struct candle_sum *sum = &summary->sum;
    if (sum->trades == 0 || sum->volume == 0 || summary->unfit) return false;
    return wide_ratio(sum->quote_volume, (uint32_t)(sum->price_scale + sum->quantity_scale),
                      sum->volume, sum->quantity_scale, SUMMARY_DECIMALS, vwap);
}

bool summary_buy_ratio(const struct summary *summary, wide *ratio)
{
    const struct candle_sum *sum = &summary->sum;
    if (sum->trades == 0 || sum->volume == 0 || summary->unfit) return false;
    return wide_ratio(sum->taker_buy_volume, sum->quantity_scale, sum->volume, sum->quantity_scale,
                      SUMMARY_DECIMALS, ratio);
}

bool summary_change(const struct summary *summary, wide *change)
{
    return summary_move_of(&summary->sum, change);
}

double summary_volatility(const struct summary *summary)
{
    return sqrt(summary->squares + summary->squares_rest);
}

// Half to even is symmetric.
static bool summary_signed_ratio(wide numerator, uint32_t scale, wide denominator, wide *ratio)
{
    if (!wide_ratio(numerator < 0 ? -numerator : numerator, scale, denominator, 0,
                    SUMMARY_DECIMALS, ratio))
        return false;
    if (numerator < 0) *ratio = -*ratio;
    return true;
}

bool summary_spread_mean(const struct summary *summary, wide *mean)
{
    if (summary->quotes == 0 || summary->spread_unfit) return false;
    return summary_signed_ratio(summary->spread_sum, summary->spread_scale, (wide)summary->quotes,
                                mean);
}

bool summary_spread_time_weighted(const struct summary *summary, wide *mean)
{
    if (summary->spread_ns == 0 || summary->disordered || summary->spread_unfit) return false;
    return summary_signed_ratio(summary->spread_time_sum, summary->spread_scale,
                                summary->spread_ns, mean);
}
