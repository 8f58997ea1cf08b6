// SPDX-License-Identifier: GPL-3.0-or-later
//
// The fast scanner of Upbit: trade and orderbook in SIMPLE form, the form ringtape asks for, with
// the keys in the exchange's order. The first surprise returns false and the strict reader takes
// over.
//
// Frames may be binary, their UTF-8 unchecked: all text here is compared with known bytes.
#include <string.h>

#include "exchange/scan.h"
#include "exchange/upbit.h"

struct scan {
    struct json_cursor cursor;
    struct dialect_frame *frame;
    struct event *event;
};

// A number up to `close`; E-notation by the slower way.
static inline bool number(struct scan *scan, char close, int64_t *mantissa, uint8_t *scale)
{
    return scan_decimal(&scan->cursor, close, mantissa, scale) ||
           (json_cursor_decimal(&scan->cursor, mantissa, scale) &&
            json_cursor_peek(&scan->cursor) == close);
}

static inline bool number_column(struct scan *scan, int column)
{
    int64_t mantissa;
    uint8_t scale;
    if (!number(scan, ',', &mantissa, &scale))
        return false;
    event_set_decimal(scan->event, column, mantissa, scale);
    return true;
}

#define SCAN_NUMBER(scan, key, column)                                                             \
    (SCAN_EXPECT(&(scan)->cursor, key) && number_column(scan, column))
#define SCAN_TIME(scan, key, column)                                                               \
    (SCAN_EXPECT(&(scan)->cursor, key) &&                                                          \
     scan_time_column(&(scan)->cursor, (scan)->event, column))

static inline bool symbol_of(struct scan *scan)
{
    struct json_slice name;
    return scan_symbol(&scan->cursor, scan->frame->context, &name, &scan->event->symbol);
}

// "st":"REALTIME"} and the end.
static inline bool end_frame(struct scan *scan)
{
    const bool realtime = SCAN_EXPECT(&scan->cursor, ",\"st\":\"REALTIME\"}");
    if (!realtime && !SCAN_EXPECT(&scan->cursor, ",\"st\":\"SNAPSHOT\"}"))
        return false;
    event_set(scan->event, COLUMN_FLAGS, realtime ? 0 : EVENT_SNAPSHOT);
    return json_cursor_done(&scan->cursor);
}

// ---- trade ----

struct clock {
    struct json_slice date;
    struct json_slice time;
};

static inline bool scan_clock(struct scan *scan, struct clock *clock)
{
    return SCAN_EXPECT(&scan->cursor, ",\"td\":\"") &&
           scan_until(&scan->cursor, '"', &clock->date) &&
           SCAN_EXPECT(&scan->cursor, "\",\"ttm\":\"") &&
           scan_until(&scan->cursor, '"', &clock->time);
}

static inline bool clock_follows(const struct clock *clock, int64_t time_ns)
{
    char date[UPBIT_DATE_BYTES], time[UPBIT_CLOCK_BYTES];
    upbit_clock(time_ns, date, time);
    return clock->date.size == UPBIT_DATE_BYTES &&
           memcmp(clock->date.text, date, UPBIT_DATE_BYTES) == 0 &&
           upbit_clock_matches(clock->time.text, clock->time.size, time);
}

static inline bool side(struct scan *scan)
{
    const bool ask = SCAN_EXPECT(&scan->cursor, ",\"ab\":\"ASK\"");
    if (!ask && !SCAN_EXPECT(&scan->cursor, ",\"ab\":\"BID\""))
        return false;
    event_set(scan->event, TRADE_SIDE, ask ? SIDE_SELL : SIDE_BUY);
    return true;
}

// Word and size of the change, which follow from price and previous close.
static inline bool change(struct scan *scan)
{
    const struct event *event = scan->event;
    const int64_t price = event->value[TRADE_PRICE], close = event->value[TRADE_PREVIOUS_CLOSE];
    const uint8_t price_scale = event->scale[TRADE_PRICE];
    const uint8_t close_scale = event->scale[TRADE_PREVIOUS_CLOSE];
    const int sign = strict_decimal_compare(price, price_scale, close, close_scale);
    int64_t magnitude;
    uint8_t scale;
    const bool word = sign > 0   ? SCAN_EXPECT(&scan->cursor, ",\"c\":\"RISE\",\"cp\":")
                      : sign < 0 ? SCAN_EXPECT(&scan->cursor, ",\"c\":\"FALL\",\"cp\":")
                                 : SCAN_EXPECT(&scan->cursor, ",\"c\":\"EVEN\",\"cp\":");
    return word && number(scan, ',', &magnitude, &scale) && magnitude >= 0 &&
           strict_difference_compare(price, price_scale, close, close_scale,
                                   sign < 0 ? -magnitude : magnitude, scale) == 0;
}

// The best prices came later than 2021: all four or none.
static inline bool best_prices(struct scan *scan)
{
    if (!SCAN_EXPECT(&scan->cursor, ",\"bap\":"))
        return true;
    return number_column(scan, TRADE_BEST_ASK_PRICE) &&
           SCAN_NUMBER(scan, ",\"bas\":", TRADE_BEST_ASK_QUANTITY) &&
           SCAN_NUMBER(scan, ",\"bbp\":", TRADE_BEST_BID_PRICE) &&
           SCAN_NUMBER(scan, ",\"bbs\":", TRADE_BEST_BID_QUANTITY);
}

static bool trade(struct scan *scan)
{
    struct clock clock;
    event_clear(scan->event, CHANNEL_TRADE, SYMBOL_NONE);
    return symbol_of(scan) && SCAN_TIME(scan, "\",\"tms\":", TRADE_EVENT_TIME) &&
           scan_clock(scan, &clock) && SCAN_TIME(scan, "\",\"ttms\":", TRADE_TIME) &&
           clock_follows(&clock, scan->event->value[TRADE_TIME]) &&
           SCAN_NUMBER(scan, ",\"tp\":", TRADE_PRICE) &&
           SCAN_NUMBER(scan, ",\"tv\":", TRADE_QUANTITY) && side(scan) &&
           SCAN_NUMBER(scan, ",\"pcp\":", TRADE_PREVIOUS_CLOSE) && change(scan) &&
           SCAN_EXPECT(&scan->cursor, ",\"sid\":") &&
           scan_integer_column(&scan->cursor, scan->event, TRADE_ID) && best_prices(scan) &&
           end_frame(scan);
}

// ---- orderbook ----

static inline bool unit(struct scan *scan, struct event_level levels[2])
{
    struct event_level *ask = &levels[0], *bid = &levels[1];
    ask->side = 1;
    bid->side = 0;
    return SCAN_EXPECT(&scan->cursor, "{\"ap\":") &&
           number(scan, ',', &ask->price, &ask->price_scale) &&
           SCAN_EXPECT(&scan->cursor, ",\"bp\":") &&
           number(scan, ',', &bid->price, &bid->price_scale) &&
           SCAN_EXPECT(&scan->cursor, ",\"as\":") &&
           number(scan, ',', &ask->quantity, &ask->quantity_scale) &&
           SCAN_EXPECT(&scan->cursor, ",\"bs\":") &&
           number(scan, '}', &bid->quantity, &bid->quantity_scale) &&
           SCAN_EXPECT(&scan->cursor, "}");
}

static bool units(struct scan *scan)
{
    uint32_t count = 0;
    do {
        if (count + 2 > EVENT_LEVELS_MAX || !unit(scan, &scan->frame->levels[count]))
            return false;
        count += 2;
    } while (SCAN_EXPECT(&scan->cursor, ","));
    scan->event->levels = scan->frame->levels;
    scan->event->level_count = count;
    return SCAN_EXPECT(&scan->cursor, "]");
}

static bool orderbook(struct scan *scan)
{
    event_clear(scan->event, CHANNEL_BOOK, SYMBOL_NONE);
    event_set(scan->event, BOOK_SOURCE, BOOK_SOURCE_ORDERBOOK);
    return symbol_of(scan) && SCAN_TIME(scan, "\",\"tms\":", BOOK_EVENT_TIME) &&
           SCAN_NUMBER(scan, ",\"tas\":", BOOK_TOTAL_ASK_QUANTITY) &&
           SCAN_NUMBER(scan, ",\"tbs\":", BOOK_TOTAL_BID_QUANTITY) &&
           SCAN_EXPECT(&scan->cursor, ",\"obu\":[") && units(scan) &&
           (!SCAN_EXPECT(&scan->cursor, ",\"lv\":") || number_column(scan, BOOK_GROUPING)) &&
           end_frame(scan);
}

bool upbit_scan(struct dialect_frame *frame, struct event *event)
{
    struct scan scan = {
        .cursor = json_cursor((const char *)frame->bytes, frame->size),
        .frame = frame,
        .event = event,
    };
    if (SCAN_EXPECT(&scan.cursor, "{\"ty\":\"trade\",\"cd\":\""))
        return trade(&scan);
    return SCAN_EXPECT(&scan.cursor, "{\"ty\":\"orderbook\",\"cd\":\"") && orderbook(&scan);
}
