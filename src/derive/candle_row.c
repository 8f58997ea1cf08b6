// SPDX-License-Identifier: GPL-3.0-or-later
//
// candle_row: a candle as a row of its channel. Contract: every number of the row is exact, but for
// vwap, which is rounded half to even at 12 decimals.
#include "derive/candle.h"

#include "format/ensure.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    uint32_t minutes;
} candle_hours[] = {{"1h", 60}};

void candle_interval_text(uint32_t minutes, char text[CANDLE_TEXT_BYTES])
{
    ensure(candle_minutes_valid(minutes));
    if (minutes == candle_hours[0].minutes)
        (void)snprintf(text, CANDLE_TEXT_BYTES, "%s", candle_hours[0].text);
    else
        (void)snprintf(text, CANDLE_TEXT_BYTES, "%um", minutes);
}

uint32_t candle_interval_minutes(const char *text, size_t size)
{
    char known[CANDLE_TEXT_BYTES];
    for (uint32_t minutes = 1; minutes <= CANDLE_MINUTES_MAX; minutes++) {
        if (!candle_minutes_valid(minutes)) continue;
        candle_interval_text(minutes, known);
        if (strlen(known) == size && memcmp(known, text, size) == 0) return minutes;
    }
    return 0;
}

// A value in one column, which is enough for prices and quantities.
static bool row_one(struct event *event, int column, wide value, uint32_t scale)
{
    struct wide_parts parts;
    if (!wide_split(value, scale, &parts) || parts.rest != 0) return false;
    event_set_decimal(event, column, parts.mantissa, parts.scale);
    return true;
}

static bool row_two(struct event *event, int column, int rest_column, wide value, uint32_t scale)
{
    struct wide_parts parts;
    if (!wide_split(value, scale, &parts)) return false;
    event_set_decimal(event, column, parts.mantissa, parts.scale);
    if (parts.rest != 0) event_set_decimal(event, rest_column, parts.rest, parts.rest_scale);
    return true;
}

static bool row_vwap(struct event *event, const struct candle_sum *sum)
{
    wide vwap;
    if (sum->volume == 0) return true; // there is none
    return wide_ratio(sum->quote_volume, (uint32_t)(sum->price_scale + sum->quantity_scale),
                      sum->volume, sum->quantity_scale, CANDLE_VWAP_DECIMALS, &vwap) &&
           row_two(event, CANDLE_VWAP, CANDLE_VWAP_REST, vwap, CANDLE_VWAP_DECIMALS);
}

static bool row_trades(struct event *event, const struct candle_sum *sum)
{
    event_set(event, CANDLE_SOURCE, sum->source);
    event_set(event, CANDLE_FIRST_ID, sum->first_id);
    event_set(event, CANDLE_LAST_ID, sum->last_id);
    return row_one(event, CANDLE_OPEN, sum->open, sum->price_scale) &&
           row_one(event, CANDLE_HIGH, sum->high, sum->price_scale) &&
           row_one(event, CANDLE_LOW, sum->low, sum->price_scale) &&
           row_one(event, CANDLE_CLOSE, sum->close, sum->price_scale) && row_vwap(event, sum);
}

bool candle_row(const struct candle *candle, char text[CANDLE_TEXT_BYTES], struct event *event)
{
    const struct candle_sum *sum = &candle->sum;
    event_clear(event, CHANNEL_CANDLE, candle->symbol);
    event_set(event, COLUMN_FLAGS, 0);
    candle_interval_text(candle->minutes, text);
    event_set_text(event, CANDLE_INTERVAL, text, (uint32_t)strlen(text));
    event_set(event, CANDLE_OPEN_TIME, candle->open_time_ns);
    event_set(event, CANDLE_CLOSE_TIME, candle->close_time_ns);
    event_set(event, CANDLE_REVISION, candle->revision);
    event_set(event, CANDLE_TRADES, sum->trades);
    if (sum->trades > 0 && !row_trades(event, sum)) return false;
    const uint32_t quote_scale = (uint32_t)(sum->price_scale + sum->quantity_scale);
    return row_one(event, CANDLE_VOLUME, sum->volume, sum->quantity_scale) &&
           row_one(event, CANDLE_TAKER_BUY_VOLUME, sum->taker_buy_volume, sum->quantity_scale) &&
           row_two(event, CANDLE_QUOTE_VOLUME, CANDLE_QUOTE_VOLUME_REST, sum->quote_volume,
                   quote_scale);
}

static bool row_cell_equal(const struct event *a, const struct event *b, int column)
{
    const struct column *described = &channel_schema(CHANNEL_CANDLE)->columns[column];
    if (event_has(a, column) != event_has(b, column)) return false;
    if (!event_has(a, column)) return true;
    if (described->type == COLUMN_TEXT) {
        const struct event_text one = event_text(a, column);
        const struct event_text two = event_text(b, column);
        return one.size == two.size && memcmp(one.bytes, two.bytes, one.size) == 0;
    }
    if (described->type != COLUMN_DECIMAL) return a->value[column] == b->value[column];
    wide one = a->value[column];
    wide two = b->value[column];
    const uint32_t scale_a = a->scale[column];
    const uint32_t scale_b = b->scale[column];
    return wide_raise(&one, scale_a < scale_b ? scale_b - scale_a : 0) &&
           wide_raise(&two, scale_b < scale_a ? scale_a - scale_b : 0) && one == two;
}

bool candle_rows_equal(const struct event *a, const struct event *b)
{
    ensure(a->channel == CHANNEL_CANDLE && b->channel == CHANNEL_CANDLE);
    for (int column = COLUMN_FIRST_OWN; column < CANDLE_COLUMN_COUNT; column++) {
        if (column != CANDLE_REVISION && !row_cell_equal(a, b, column)) return false;
    }
    return true;
}
