// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life_candles: see the header. The truth is made here without any of the code that made
// the candles: prices, quantities and sides are functions of the id (market_peer.c).
#include "complete_life_candles.h"

#include <criterion/criterion.h>
#include <string.h>

#define MINUTE_NS 60000000000ll

static int64_t decimal_at(const struct rows *rows, int column, uint32_t row, uint8_t scale)
{
    int64_t value = rows->value[column][row];
    cr_assert((rows->present[row] >> column & 1) != 0, "column %d is absent", column);
    for (uint8_t s = rows->scale[column][row]; s < scale; s++) value *= 10;
    for (uint8_t s = rows->scale[column][row]; s > scale; s--) {
        cr_assert_eq(value % 10, 0);
        value /= 10;
    }
    return value;
}

static struct life_candle *candle_place(struct life_candles *candles, int64_t open_ns,
                                        int64_t close_ns)
{
    for (uint32_t i = candles->count; i-- > 0;) {
        if (candles->at[i].open_ns == open_ns && candles->at[i].close_ns == close_ns)
            return &candles->at[i];
    }
    cr_assert_lt(candles->count, LIFE_CANDLES_MAX);
    struct life_candle *fresh = &candles->at[candles->count++];
    *fresh = (struct life_candle){.open_ns = open_ns, .close_ns = close_ns, .revision = -1};
    return fresh;
}

void life_candle_found(struct life_candles *candles, const struct rows *rows, uint32_t row)
{
    struct life_candle *candle = candle_place(candles, rows->value[CANDLE_OPEN_TIME][row],
                                              rows->value[CANDLE_CLOSE_TIME][row]);
    candle->revisions++;
    if (rows->value[CANDLE_REVISION][row] <= candle->revision) return;
    candle->revision = rows->value[CANDLE_REVISION][row];
    candle->trades = rows->value[CANDLE_TRADES][row];
    candle->first_id = rows->value[CANDLE_FIRST_ID][row];
    candle->last_id = rows->value[CANDLE_LAST_ID][row];
    if (candle->trades == 0) { // nothing was traded: no price, no id
        cr_assert((rows->present[row] >> CANDLE_OPEN & 1) == 0 &&
                  (rows->present[row] >> CANDLE_FIRST_ID & 1) == 0);
        return;
    }
    candle->open = decimal_at(rows, CANDLE_OPEN, row, 1);
    candle->high = decimal_at(rows, CANDLE_HIGH, row, 1);
    candle->low = decimal_at(rows, CANDLE_LOW, row, 1);
    candle->close = decimal_at(rows, CANDLE_CLOSE, row, 1);
    candle->volume = decimal_at(rows, CANDLE_VOLUME, row, 3);
    candle->taker_buy_volume = decimal_at(rows, CANDLE_TAKER_BUY_VOLUME, row, 3);
    candle->quote_volume = decimal_at(rows, CANDLE_QUOTE_VOLUME, row, 4);
}

// Ids rise with time.
static void truth_add(struct life_candle *truth, int64_t id)
{
    const int64_t price = (id % 97 + 1) * 10 + 1;
    if (truth->trades++ == 0) {
        truth->first_id = id;
        truth->open = truth->high = truth->low = price;
    }
    truth->last_id = id;
    truth->close = price;
    if (price > truth->high) truth->high = price;
    if (price < truth->low) truth->low = price;
    truth->volume += 2;
    truth->quote_volume += 2 * price;
    if (id % 2 == 0) truth->taker_buy_volume += 2;
}

static bool candle_is(const struct life_candle *found, const struct life_candle *truth)
{
    return found->trades == truth->trades && found->first_id == truth->first_id &&
           found->last_id == truth->last_id && found->open == truth->open &&
           found->high == truth->high && found->low == truth->low &&
           found->close == truth->close && found->volume == truth->volume &&
           found->quote_volume == truth->quote_volume &&
           found->taker_buy_volume == truth->taker_buy_volume &&
           found->revisions == (uint64_t)found->revision + 1;
}

static const struct life_candle *candle_at(const struct life_candles *candles, int64_t open_ns,
                                           int64_t close_ns)
{
    for (uint32_t i = 0; i < candles->count; i++) {
        if (candles->at[i].open_ns == open_ns && candles->at[i].close_ns == close_ns)
            return &candles->at[i];
    }
    return NULL;
}

// From the first trade on, interval by interval.
static uint64_t interval_wrong(const struct life_candles *candles,
                               const struct market_symbol *truth, const uint8_t *stored,
                               int64_t length_ns, const struct life_candles_judge *judge)
{
    uint64_t wrong = 0;
    bool begun = false;
    int64_t open_ns = truth->count > 0 ? truth->time_us[0] * 1000 / length_ns * length_ns : 0;
    for (uint64_t n = 0; open_ns + length_ns + 3000000000 <= judge->end_ns && truth->count > 0;
         open_ns += length_ns) {
        struct life_candle sum = {.open_ns = open_ns};
        for (; n < truth->count && truth->time_us[n] * 1000 < open_ns + length_ns; n++) {
            if (stored[n] > 0) truth_add(&sum, (int64_t)n + MARKET_FIRST_ID);
        }
        const struct life_candle *found = candle_at(candles, open_ns, open_ns + length_ns);
        if (sum.trades > 0)
            wrong += found == NULL || !candle_is(found, &sum);
        else
            wrong += judge->empty && begun ? found == NULL || found->trades != 0 : found != NULL;
        begun = begun || sum.trades > 0;
    }
    return wrong;
}

uint64_t life_candles_wrong(const struct life_candles *candles, const struct market_symbol *truth,
                            const uint8_t *stored, const struct life_candles_judge *judge)
{
    return interval_wrong(candles, truth, stored, MINUTE_NS, judge) +
           interval_wrong(candles, truth, stored, 5 * MINUTE_NS, judge);
}
