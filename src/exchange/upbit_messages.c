// SPDX-License-Identifier: GPL-3.0-or-later
//
// The message types of Upbit, key by key, in the long (DEFAULT) and the short (SIMPLE) spelling,
// and the checks of what follows from other keys. docs/fields.md says the same for people, and a
// test holds the two together.
//
// Keys that follow from others (trade_date, trade_time, change, change_price, ...) are not stored;
// where they do not follow, the message is kept as a raw row behind its row.
//
// Sources: docs.upbit.com/kr/reference websocket-trade, websocket-orderbook, websocket-ticker;
// recordings of 2021 and 2026.
#include "exchange/upbit.h"

#include <string.h>

#include "format/ensure.h"

#define FIELDS(array) (uint8_t)(sizeof(array) / sizeof(array)[0]), array

static const struct strict_field trade_fields[] = {
    {"type", "ty", STRICT_TYPE, -1, true},
    {"code", "cd", STRICT_SYMBOL, -1, true},
    {"timestamp", "tms", STRICT_TIME, TRADE_EVENT_TIME, true},
    {"trade_date", "td", STRICT_CHECKED, -1, false},
    {"trade_time", "ttm", STRICT_CHECKED, -1, false},
    {"trade_timestamp", "ttms", STRICT_TIME, TRADE_TIME, true},
    {"trade_price", "tp", STRICT_DECIMAL, TRADE_PRICE, true},
    {"trade_volume", "tv", STRICT_DECIMAL, TRADE_QUANTITY, true},
    {"ask_bid", "ab", STRICT_ASK_BID, TRADE_SIDE, true},
    {"prev_closing_price", "pcp", STRICT_DECIMAL, TRADE_PREVIOUS_CLOSE, false},
    {"change", "c", STRICT_CHECKED, -1, false},
    {"change_price", "cp", STRICT_CHECKED, -1, false},
    {"sequential_id", "sid", STRICT_INTEGER, TRADE_ID, true},
    {"best_ask_price", "bap", STRICT_DECIMAL, TRADE_BEST_ASK_PRICE, false},
    {"best_ask_size", "bas", STRICT_DECIMAL, TRADE_BEST_ASK_QUANTITY, false},
    {"best_bid_price", "bbp", STRICT_DECIMAL, TRADE_BEST_BID_PRICE, false},
    {"best_bid_size", "bbs", STRICT_DECIMAL, TRADE_BEST_BID_QUANTITY, false},
    {"stream_type", "st", STRICT_STREAM_TYPE, -1, true},
};

static const struct strict_field orderbook_fields[] = {
    {"type", "ty", STRICT_TYPE, -1, true},
    {"code", "cd", STRICT_SYMBOL, -1, true},
    {"timestamp", "tms", STRICT_TIME, BOOK_EVENT_TIME, true},
    {"total_ask_size", "tas", STRICT_DECIMAL, BOOK_TOTAL_ASK_QUANTITY, true},
    {"total_bid_size", "tbs", STRICT_DECIMAL, BOOK_TOTAL_BID_QUANTITY, true},
    {"orderbook_units", "obu", STRICT_UNITS, -1, true},
    {"level", "lv", STRICT_DECIMAL, BOOK_GROUPING, false},
    {"stream_type", "st", STRICT_STREAM_TYPE, -1, true},
};

static const struct strict_field ticker_fields[] = {
    {"type", "ty", STRICT_TYPE, -1, true},
    {"code", "cd", STRICT_SYMBOL, -1, true},
    {"opening_price", "op", STRICT_DECIMAL, TICKER_OPEN, false},
    {"high_price", "hp", STRICT_DECIMAL, TICKER_HIGH, false},
    {"low_price", "lp", STRICT_DECIMAL, TICKER_LOW, false},
    {"trade_price", "tp", STRICT_DECIMAL, TICKER_LAST_PRICE, true},
    {"prev_closing_price", "pcp", STRICT_DECIMAL, TICKER_PREVIOUS_CLOSE, false},
    {"change", "c", STRICT_CHECKED, -1, false},
    {"change_price", "cp", STRICT_CHECKED, -1, false},
    {"signed_change_price", "scp", STRICT_DECIMAL, TICKER_CHANGE, false},
    {"change_rate", "cr", STRICT_CHECKED, -1, false},
    {"signed_change_rate", "scr", STRICT_DECIMAL, TICKER_CHANGE_RATE, false},
    {"trade_volume", "tv", STRICT_DECIMAL, TICKER_LAST_QUANTITY, false},
    {"acc_trade_volume", "atv", STRICT_DECIMAL, TICKER_DAY_VOLUME, false},
    {"acc_trade_volume_24h", "atv24h", STRICT_DECIMAL, TICKER_VOLUME, false},
    {"acc_trade_price", "atp", STRICT_DECIMAL, TICKER_DAY_QUOTE_VOLUME, false},
    {"acc_trade_price_24h", "atp24h", STRICT_DECIMAL, TICKER_QUOTE_VOLUME, false},
    {"trade_date", "tdt", STRICT_CHECKED, -1, false},
    {"trade_time", "ttm", STRICT_CHECKED, -1, false},
    {"trade_timestamp", "ttms", STRICT_TIME, TICKER_TRADE_TIME, true},
    {"ask_bid", "ab", STRICT_ASK_BID, TICKER_SIDE, false},
    {"acc_ask_volume", "aav", STRICT_DECIMAL, TICKER_DAY_ASK_VOLUME, false},
    {"acc_bid_volume", "abv", STRICT_DECIMAL, TICKER_DAY_BID_VOLUME, false},
    {"highest_52_week_price", "h52wp", STRICT_DECIMAL, TICKER_HIGH_52W, false},
    {"highest_52_week_date", "h52wdt", STRICT_TEXT, TICKER_HIGH_52W_DATE, false},
    {"lowest_52_week_price", "l52wp", STRICT_DECIMAL, TICKER_LOW_52W, false},
    {"lowest_52_week_date", "l52wdt", STRICT_TEXT, TICKER_LOW_52W_DATE, false},
    {"market_state", "ms", STRICT_TEXT, TICKER_MARKET_STATE, false},
    {"is_trading_suspended", "its", STRICT_BOOLEAN, TICKER_SUSPENDED, false},
    {"delisting_date", "dd", STRICT_TEXT, TICKER_DELISTING_DATE, false},
    {"market_warning", "mw", STRICT_TEXT, TICKER_MARKET_WARNING, false},
    {"timestamp", "tms", STRICT_TIME, TICKER_EVENT_TIME, true},
    {"stream_type", "st", STRICT_STREAM_TYPE, -1, true},
};

// ---- date and time of day ----

static void put_digits(char *out, uint32_t value, uint32_t count)
{
    for (uint32_t i = count; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

void upbit_clock(int64_t time_ns, char date[UPBIT_DATE_BYTES], char clock[UPBIT_CLOCK_BYTES])
{
    ensure(time_ns >= 0);
    const uint32_t second = (uint32_t)(time_ns / 1000000000 % 86400);
    // Days since 0000-03-01, so that the leap day ends a year; 1970-01-01 is day 719,468. The
    // proleptic Gregorian calendar repeats every 146,097 days.
    const uint32_t days = (uint32_t)(time_ns / 86400000000000) + 719468;
    const uint32_t era_day = days % 146097;
    const uint32_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    const uint32_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    const uint32_t month_from_march = (5 * year_day + 2) / 153;
    const uint32_t day = year_day - (153 * month_from_march + 2) / 5 + 1;
    const uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    put_digits(date, era_year + days / 146097 * 400 + (month <= 2), 4);
    put_digits(date + 5, month, 2);
    put_digits(date + 8, day, 2);
    put_digits(clock, second / 3600, 2);
    put_digits(clock + 3, second / 60 % 60, 2);
    put_digits(clock + 6, second % 60, 2);
    date[4] = date[7] = '-';
    clock[2] = clock[5] = ':';
}

bool upbit_clock_matches(const char *text, uint32_t size, const char clock[UPBIT_CLOCK_BYTES])
{
    if (size == UPBIT_CLOCK_BYTES)
        return memcmp(text, clock, UPBIT_CLOCK_BYTES) == 0;
    return size == 5 && memcmp(text, clock, 5) == 0 && memcmp(clock + 5, ":00", 3) == 0;
}

// Content of a checked string; empty if absent, escaped or no string.
static struct json_slice checked_text(const struct strict_reading *reading, const char *key)
{
    struct json_slice text = {"", 0};
    const struct json_value *value = &reading->values[strict_field_index(reading->message, key)];
    if (!strict_has(reading, key) || value->type != JSON_STRING ||
        json_string_raw(value, &text) != JSON_OK)
        return (struct json_slice){"", 0};
    return text;
}

// ---- checks ----

static void check_change_word(struct strict_reading *reading, bool known, int sign)
{
    static const char *const words[] = {"FALL", "EVEN", "RISE"};
    if (strict_has(reading, "change") &&
        (!known || !strict_text_is(reading, "change", words[sign + 1])))
        strict_contradicts(reading, "change");
}

// The magnitude of a stored signed column, or of a - b.
static void check_magnitude(struct strict_reading *reading, const char *key, int64_t a,
                            uint8_t a_scale, int64_t b, uint8_t b_scale, int sign, bool known)
{
    if (!strict_has(reading, key))
        return;
    const struct json_value *value = &reading->values[strict_field_index(reading->message, key)];
    int64_t magnitude;
    uint8_t scale;
    if (!known || value->type != JSON_NUMBER_TEXT ||
        json_decimal(value, &magnitude, &scale, NULL) != JSON_OK || magnitude < 0 ||
        strict_difference_compare(a, a_scale, b, b_scale, sign < 0 ? -magnitude : magnitude,
                                scale) != 0)
        strict_contradicts(reading, key);
}

static void check_trade(struct strict_reading *reading)
{
    const struct event *event = reading->event;
    char date[UPBIT_DATE_BYTES], clock[UPBIT_CLOCK_BYTES];
    upbit_clock(event->value[TRADE_TIME], date, clock);
    const struct json_slice day = checked_text(reading, "trade_date");
    if (strict_has(reading, "trade_date") &&
        (day.size != UPBIT_DATE_BYTES || memcmp(day.text, date, UPBIT_DATE_BYTES) != 0))
        strict_contradicts(reading, "trade_date");
    const struct json_slice time = checked_text(reading, "trade_time");
    if (strict_has(reading, "trade_time") && !upbit_clock_matches(time.text, time.size, clock))
        strict_contradicts(reading, "trade_time");
    const bool known = event_has(event, TRADE_PREVIOUS_CLOSE);
    const int64_t price = event->value[TRADE_PRICE];
    const uint8_t price_scale = event->scale[TRADE_PRICE];
    const int64_t close = known ? event->value[TRADE_PREVIOUS_CLOSE] : 0;
    const uint8_t close_scale = known ? event->scale[TRADE_PREVIOUS_CLOSE] : 0;
    const int sign = strict_decimal_compare(price, price_scale, close, close_scale);
    check_change_word(reading, known, sign);
    check_magnitude(reading, "change_price", price, price_scale, close, close_scale, sign, known);
}

// The ticker spells "20260311" and "144059".
static bool ticker_clock_follows(const struct strict_reading *reading, struct json_slice day,
                                 struct json_slice time)
{
    char date[UPBIT_DATE_BYTES], clock[UPBIT_CLOCK_BYTES], text[14];
    upbit_clock(reading->event->value[TICKER_TRADE_TIME], date, clock);
    memcpy(text, date, 4);
    memcpy(text + 4, date + 5, 2);
    memcpy(text + 6, date + 8, 2);
    memcpy(text + 8, clock, 2);
    memcpy(text + 10, clock + 3, 2);
    memcpy(text + 12, clock + 6, 2);
    return (day.size == 0 || (day.size == 8 && memcmp(day.text, text, 8) == 0)) &&
           (time.size == 0 || (time.size == 6 && memcmp(time.text, text + 8, 6) == 0));
}

// "20260311 144059" as sent, where it does not follow from trade_timestamp.
static void store_ticker_clock(struct strict_reading *reading)
{
    const struct json_slice day = checked_text(reading, "trade_date");
    const struct json_slice time = checked_text(reading, "trade_time");
    struct dialect_frame *frame = reading->frame;
    if (ticker_clock_follows(reading, day, time))
        return;
    const uint32_t size = day.size + 1 + time.size;
    if (size > DIALECT_SCRATCH_BYTES - frame->scratch_size) {
        strict_contradicts(reading, "trade_time");
        return;
    }
    char *target = frame->scratch + frame->scratch_size;
    memcpy(target, day.text, day.size);
    target[day.size] = ' ';
    memcpy(target + day.size + 1, time.text, time.size);
    frame->scratch_size += size;
    event_set_text(reading->event, TICKER_TRADE_CLOCK, target, size);
}

static int sign_of(const struct event *event, int column)
{
    return event_has(event, column)
               ? strict_decimal_compare(event->value[column], event->scale[column], 0, 0)
               : 0;
}

static void check_ticker(struct strict_reading *reading)
{
    const struct event *event = reading->event;
    store_ticker_clock(reading);
    const int sign = sign_of(event, TICKER_CHANGE);
    const bool known = event_has(event, TICKER_CHANGE);
    check_change_word(reading, known, sign);
    check_magnitude(reading, "change_price", known ? event->value[TICKER_CHANGE] : 0,
                    known ? event->scale[TICKER_CHANGE] : 0, 0, 0, sign, known);
    const bool rate_known = event_has(event, TICKER_CHANGE_RATE);
    check_magnitude(reading, "change_rate", rate_known ? event->value[TICKER_CHANGE_RATE] : 0,
                    rate_known ? event->scale[TICKER_CHANGE_RATE] : 0, 0, 0,
                    sign_of(event, TICKER_CHANGE_RATE), rate_known);
}

static void check_orderbook(struct strict_reading *reading)
{
    event_set(reading->event, BOOK_SOURCE, BOOK_SOURCE_ORDERBOOK);
}

static const struct strict_message trade = {"trade", CHANNEL_TRADE, FIELDS(trade_fields),
                                          check_trade};
static const struct strict_message orderbook = {"orderbook", CHANNEL_BOOK, FIELDS(orderbook_fields),
                                              check_orderbook};
static const struct strict_message ticker = {"ticker", CHANNEL_TICKER, FIELDS(ticker_fields),
                                           check_ticker};

const struct strict_message *const upbit_messages[] = {&trade, &orderbook, &ticker, NULL};
