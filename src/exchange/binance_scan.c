// SPDX-License-Identifier: GPL-3.0-or-later
//
// The fast scanners of Binance: trade, aggTrade, bookTicker, depth diff, partial depth; spot and
// futures, in a combined stream or a raw one. They expect each message as the exchange writes it,
// key by key, without white space; the first surprise returns false and the strict reader takes
// over.
//
//     {"stream":"btcusdt@trade","data":{"e":"trade",...}}
//                 |      |              |
//                 |      +--------------+-- literals, so that name and message agree
//                 +-- compared with "s", lower case
#include <string.h>

#include "exchange/binance.h"
#include "exchange/scan.h"

// What a depth stream carries, where it is no enum book_source.
enum { DEPTH_DIFF = -1, DEPTH_OTHER = -2 };

struct scan {
    struct json_cursor cursor;
    struct dialect_frame *frame;
    struct event *event;
    struct json_slice stream; // symbol in the stream's name; size 0: raw stream
};

// First eight and last eight (or all) bytes of a name of 1 ... 16 bytes.
SCAN_INLINE bool names_agree(struct json_slice lower, struct json_slice name)
{
    if (lower.size != name.size || name.size > 16)
        return false;
    // Sixteen bytes are readable at both; those beyond the size are shifted out.
    const uint32_t first = name.size < 8 ? name.size : 8;
    const uint32_t second = name.size - first;
    const uint64_t a = scan_word(lower.text) ^ binance_lower(scan_word(name.text));
    const uint64_t b = scan_word(lower.text + 8) ^ binance_lower(scan_word(name.text + 8));
    return a << (64 - 8 * first) == 0 && (second == 0 || b << (64 - 8 * second) == 0);
}

// "s":"BTCUSDT" with what stands around it.
#define SCAN_SYMBOL(scan) (SCAN_EXPECT(&(scan)->cursor, ",\"s\":\"") && symbol_of(scan))
#define SCAN_TIME(scan, key, column)                                                               \
    (SCAN_EXPECT(&(scan)->cursor, key) &&                                                          \
     scan_time_column(&(scan)->cursor, (scan)->event, column))
#define SCAN_INTEGER(scan, key, column)                                                            \
    (SCAN_EXPECT(&(scan)->cursor, key) &&                                                          \
     scan_integer_column(&(scan)->cursor, (scan)->event, column))
#define SCAN_DECIMAL(scan, key, column)                                                            \
    (SCAN_EXPECT(&(scan)->cursor, key) &&                                                          \
     scan_decimal_column(&(scan)->cursor, '"', (scan)->event, column))

// In a combined stream the name is as long as in the stream's name, so its end need not be found.
SCAN_INLINE bool symbol_of(struct scan *scan)
{
    const struct dialect_context *context = scan->frame->context;
    struct json_slice name = {scan->cursor.at, scan->stream.size};
    if (name.size == 0)
        return scan_symbol(&scan->cursor, context, &name, &scan->event->symbol);
    if (!names_agree(scan->stream, name) || name.text[name.size] != '"' ||
        name.text + name.size >= scan->cursor.end)
        return false;
    scan->cursor.at += name.size;
    scan->event->symbol = symbols_find(context->symbols, context->exchange, name.text, name.size);
    return scan->event->symbol != SYMBOL_NONE;
}

SCAN_INLINE bool maker(struct scan *scan, int column)
{
    bool value;
    if (!SCAN_EXPECT(&scan->cursor, ",\"m\":") || !scan_boolean(&scan->cursor, &value))
        return false;
    event_set(scan->event, column, value ? SIDE_SELL : SIDE_BUY);
    return true;
}

SCAN_INLINE bool best_match(struct scan *scan, int column)
{
    bool value;
    if (!SCAN_EXPECT(&scan->cursor, ",\"M\":") || !scan_boolean(&scan->cursor, &value))
        return false;
    event_set(scan->event, column, value);
    return true;
}

SCAN_INLINE void begin_event(struct scan *scan, enum channel channel)
{
    event_clear(scan->event, channel, SYMBOL_NONE);
    event_set(scan->event, COLUMN_FLAGS, 0);
}

// ---- levels ----

// How the price before was written: digits before and behind the point. Prices of one message are
// mostly written alike, and read by that guess, where a price ends does not depend on its digits:
// the chain from level to level is cut.
struct shape {
    uint32_t whole;  // 1 ... 8; 0: none yet
    uint32_t places; // 1 ... 8
};

// Eight bytes of which `count` are digits, moved up and filled with zeros in front.
SCAN_INLINE uint64_t digits_of(const char *at, uint32_t count)
{
    const uint64_t zeros = 0x30 * SCAN_ONES;
    return count == 8 ? scan_word(at) : scan_word(at) << (64 - 8 * count) | zeros >> (8 * count);
}

SCAN_INLINE bool price_of_shape(struct json_cursor *cursor, const struct shape *shape,
                                  struct event_level *level)
{
    const char *at = cursor->at;
    const uint32_t size = shape->whole + 1 + shape->places;
    if (shape->whole == 0 || at[shape->whole] != '.' || at[size] != '"' || at + size >= cursor->end)
        return false;
    const uint64_t whole = digits_of(at, shape->whole);
    const uint64_t places = digits_of(at + shape->whole + 1, shape->places);
    if ((scan_not_digits(whole) | scan_not_digits(places)) != 0 ||
        ((shape->whole > 1) & (*at == '0')))
        return false;
    level->price =
        (int64_t)(scan_eight(whole) * scan_power_of_ten[shape->places] + scan_eight(places));
    level->price_scale = (uint8_t)shape->places;
    cursor->at = at + size;
    return true;
}

SCAN_INLINE bool price(struct json_cursor *cursor, struct shape *shape, struct event_level *level)
{
    if (price_of_shape(cursor, shape, level))
        return true;
    const char *begin = cursor->at;
    if (!scan_decimal(cursor, '"', &level->price, &level->price_scale))
        return false;
    const uint32_t size = (uint32_t)(cursor->at - begin);
    const bool usual = level->price_scale > 0 && level->price_scale <= 8 &&
                       size - 1 - level->price_scale <= 8;
    shape->whole = usual ? size - 1 - level->price_scale : 0;
    shape->places = level->price_scale;
    return true;
}

// Out of line: the loop over the levels then stays small (measured).
static __attribute__((noinline)) bool quantity(struct json_cursor *cursor,
                                               struct event_level *level)
{
    return scan_decimal(cursor, '"', &level->quantity, &level->quantity_scale);
}

// [["price","quantity"],...] behind its key.
static inline bool levels(struct scan *scan, uint8_t side)
{
    struct json_cursor *cursor = &scan->cursor;
    uint32_t count = scan->event->level_count;
    struct shape shape = {0, 0};
    if (SCAN_EXPECT(cursor, "[]"))
        return true;
    if (!SCAN_EXPECT(cursor, "[[\""))
        return false;
    do {
        if (count == EVENT_LEVELS_MAX)
            return false;
        struct event_level *level = &scan->frame->levels[count++];
        if (!price(cursor, &shape, level) || !SCAN_EXPECT(cursor, "\",\"") ||
            !quantity(cursor, level))
            return false;
        level->side = side;
    } while (SCAN_EXPECT(cursor, "\"],[\""));
    scan->event->level_count = count;
    scan->event->levels = scan->frame->levels;
    return SCAN_EXPECT(cursor, "\"]]");
}

static inline bool both_sides(struct scan *scan)
{
    return SCAN_EXPECT(&scan->cursor, ",\"b\":") && levels(scan, 0) &&
           SCAN_EXPECT(&scan->cursor, ",\"a\":") && levels(scan, 1);
}

// ---- spot: behind {"e":"...","E": resp. {"u": ----

static inline bool spot_trade(struct scan *scan)
{
    begin_event(scan, CHANNEL_TRADE);
    return scan_time_column(&scan->cursor, scan->event, TRADE_EVENT_TIME) && SCAN_SYMBOL(scan) &&
           SCAN_INTEGER(scan, "\",\"t\":", TRADE_ID) &&
           SCAN_DECIMAL(scan, ",\"p\":\"", TRADE_PRICE) &&
           SCAN_DECIMAL(scan, "\",\"q\":\"", TRADE_QUANTITY) &&
           SCAN_TIME(scan, "\",\"T\":", TRADE_TIME) && maker(scan, TRADE_SIDE) &&
           best_match(scan, TRADE_BEST_MATCH);
}

static inline bool spot_agg_trade(struct scan *scan)
{
    begin_event(scan, CHANNEL_AGG_TRADE);
    return scan_time_column(&scan->cursor, scan->event, AGG_TRADE_EVENT_TIME) &&
           SCAN_SYMBOL(scan) && SCAN_INTEGER(scan, "\",\"a\":", AGG_TRADE_ID) &&
           SCAN_DECIMAL(scan, ",\"p\":\"", AGG_TRADE_PRICE) &&
           SCAN_DECIMAL(scan, "\",\"q\":\"", AGG_TRADE_QUANTITY) &&
           SCAN_INTEGER(scan, "\",\"f\":", AGG_TRADE_FIRST_ID) &&
           SCAN_INTEGER(scan, ",\"l\":", AGG_TRADE_LAST_ID) &&
           SCAN_TIME(scan, ",\"T\":", AGG_TRADE_TIME) && maker(scan, AGG_TRADE_SIDE) &&
           best_match(scan, AGG_TRADE_BEST_MATCH);
}

SCAN_INLINE bool quote_prices(struct scan *scan)
{
    return SCAN_DECIMAL(scan, "\",\"b\":\"", QUOTE_BID_PRICE) &&
           SCAN_DECIMAL(scan, "\",\"B\":\"", QUOTE_BID_QUANTITY) &&
           SCAN_DECIMAL(scan, "\",\"a\":\"", QUOTE_ASK_PRICE) &&
           SCAN_DECIMAL(scan, "\",\"A\":\"", QUOTE_ASK_QUANTITY) &&
           SCAN_EXPECT(&scan->cursor, "\"");
}

static inline bool spot_quote(struct scan *scan)
{
    begin_event(scan, CHANNEL_QUOTE);
    return scan_integer_column(&scan->cursor, scan->event, QUOTE_ID) && SCAN_SYMBOL(scan) &&
           quote_prices(scan);
}

static inline bool spot_depth(struct scan *scan)
{
    begin_event(scan, CHANNEL_DEPTH);
    return scan_time_column(&scan->cursor, scan->event, DEPTH_EVENT_TIME) && SCAN_SYMBOL(scan) &&
           SCAN_INTEGER(scan, "\",\"U\":", DEPTH_FIRST_ID) &&
           SCAN_INTEGER(scan, ",\"u\":", DEPTH_LAST_ID) && both_sides(scan);
}

// ---- futures ----

static inline bool usdm_trade(struct scan *scan)
{
    struct json_slice kind;
    begin_event(scan, CHANNEL_TRADE);
    if (!scan_time_column(&scan->cursor, scan->event, TRADE_EVENT_TIME) ||
        !SCAN_TIME(scan, ",\"T\":", TRADE_TIME) || !SCAN_SYMBOL(scan) ||
        !SCAN_INTEGER(scan, "\",\"t\":", TRADE_ID) ||
        !SCAN_DECIMAL(scan, ",\"p\":\"", TRADE_PRICE) ||
        !SCAN_DECIMAL(scan, "\",\"q\":\"", TRADE_QUANTITY) ||
        !SCAN_EXPECT(&scan->cursor, "\",\"X\":\"") || !scan_capitals(&scan->cursor, &kind) ||
        !SCAN_EXPECT(&scan->cursor, "\""))
        return false;
    event_set_text(scan->event, TRADE_KIND, kind.text, kind.size);
    return maker(scan, TRADE_SIDE);
}

static inline bool usdm_agg_trade(struct scan *scan)
{
    begin_event(scan, CHANNEL_AGG_TRADE);
    if (!scan_time_column(&scan->cursor, scan->event, AGG_TRADE_EVENT_TIME) ||
        !SCAN_INTEGER(scan, ",\"a\":", AGG_TRADE_ID) || !SCAN_SYMBOL(scan) ||
        !SCAN_DECIMAL(scan, "\",\"p\":\"", AGG_TRADE_PRICE) ||
        !SCAN_DECIMAL(scan, "\",\"q\":\"", AGG_TRADE_QUANTITY) ||
        (SCAN_EXPECT(&scan->cursor, "\",\"nq\":\"") &&
         !scan_decimal_column(&scan->cursor, '"', scan->event, AGG_TRADE_NORMAL_QUANTITY)))
        return false;
    return SCAN_INTEGER(scan, "\",\"f\":", AGG_TRADE_FIRST_ID) &&
           SCAN_INTEGER(scan, ",\"l\":", AGG_TRADE_LAST_ID) &&
           SCAN_TIME(scan, ",\"T\":", AGG_TRADE_TIME) && maker(scan, AGG_TRADE_SIDE);
}

static inline bool usdm_quote(struct scan *scan)
{
    begin_event(scan, CHANNEL_QUOTE);
    return scan_integer_column(&scan->cursor, scan->event, QUOTE_ID) && SCAN_SYMBOL(scan) &&
           quote_prices(scan) && SCAN_TIME(scan, ",\"T\":", QUOTE_TRANSACTION_TIME) &&
           SCAN_TIME(scan, ",\"E\":", QUOTE_EVENT_TIME);
}

struct depth_columns_of { // the same keys in two channels
    int event_time, transaction_time, first_id, last_id, previous_id;
};

static inline bool usdm_levels(struct scan *scan, const struct depth_columns_of *columns)
{
    return scan_time_column(&scan->cursor, scan->event, columns->event_time) &&
           SCAN_TIME(scan, ",\"T\":", columns->transaction_time) && SCAN_SYMBOL(scan) &&
           SCAN_INTEGER(scan, "\",\"U\":", columns->first_id) &&
           SCAN_INTEGER(scan, ",\"u\":", columns->last_id) &&
           SCAN_INTEGER(scan, ",\"pu\":", columns->previous_id) && both_sides(scan);
}

// A diff, or a partial book in the same form.
static inline bool usdm_depth(struct scan *scan, int source)
{
    static const struct depth_columns_of diff = {DEPTH_EVENT_TIME, DEPTH_TRANSACTION_TIME,
                                                 DEPTH_FIRST_ID, DEPTH_LAST_ID, DEPTH_PREVIOUS_ID};
    static const struct depth_columns_of book = {BOOK_EVENT_TIME, BOOK_TRANSACTION_TIME,
                                                 BOOK_FIRST_ID, BOOK_LAST_ID, BOOK_PREVIOUS_ID};
    if (source < 0) {
        begin_event(scan, CHANNEL_DEPTH);
        return usdm_levels(scan, &diff);
    }
    begin_event(scan, CHANNEL_BOOK);
    event_set(scan->event, BOOK_SOURCE, source);
    return usdm_levels(scan, &book);
}

// ---- frames ----

// {"lastUpdateId":...} of a combined stream, whose name says the rest.
static inline bool spot_book(struct scan *scan, int source)
{
    const struct dialect_context *context = scan->frame->context;
    char upper[SYMBOL_NAME_BYTES_MAX] = "";
    const struct json_slice name = {upper, scan->stream.size};
    begin_event(scan, CHANNEL_BOOK);
    for (uint32_t i = 0; i < scan->stream.size; i++) {
        const char c = scan->stream.text[i];
        upper[i] = c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
    }
    scan->event->symbol = symbols_find(context->symbols, context->exchange, upper, name.size);
    event_set(scan->event, BOOK_SOURCE, source);
    return scan->event->symbol != SYMBOL_NONE && names_agree(scan->stream, name) &&
           scan_integer_column(&scan->cursor, scan->event, BOOK_LAST_ID) &&
           SCAN_EXPECT(&scan->cursor, ",\"bids\":") && levels(scan, 0) &&
           SCAN_EXPECT(&scan->cursor, ",\"asks\":") && levels(scan, 1);
}

// The rest of a depth stream's name and what follows it.
#define SCAN_DEPTH(scan, name) SCAN_EXPECT(&(scan)->cursor, name "\",\"data\":{\"")

static inline int depth_name(struct scan *scan)
{
    if (SCAN_DEPTH(scan, "depth@100ms") || SCAN_DEPTH(scan, "depth@0ms") ||
        SCAN_DEPTH(scan, "depth@500ms") || SCAN_DEPTH(scan, "depth"))
        return DEPTH_DIFF;
    if (SCAN_DEPTH(scan, "depth5@100ms") || SCAN_DEPTH(scan, "depth5"))
        return BOOK_SOURCE_DEPTH5;
    if (SCAN_DEPTH(scan, "depth10@100ms") || SCAN_DEPTH(scan, "depth10"))
        return BOOK_SOURCE_DEPTH10;
    if (SCAN_DEPTH(scan, "depth20@100ms") || SCAN_DEPTH(scan, "depth20"))
        return BOOK_SOURCE_DEPTH20;
    return DEPTH_OTHER;
}

static inline bool spot_message(struct scan *scan)
{
    struct json_cursor *cursor = &scan->cursor;
    if (scan->stream.size == 0) {
        if (SCAN_EXPECT(cursor, "{\"e\":\"trade\",\"E\":"))
            return spot_trade(scan);
        if (SCAN_EXPECT(cursor, "{\"u\":"))
            return spot_quote(scan);
        if (SCAN_EXPECT(cursor, "{\"e\":\"aggTrade\",\"E\":"))
            return spot_agg_trade(scan);
        return SCAN_EXPECT(cursor, "{\"e\":\"depthUpdate\",\"E\":") && spot_depth(scan);
    }
    if (SCAN_EXPECT(cursor, "trade\",\"data\":{\"e\":\"trade\",\"E\":"))
        return spot_trade(scan);
    if (SCAN_EXPECT(cursor, "bookTicker\",\"data\":{\"u\":"))
        return spot_quote(scan);
    if (SCAN_EXPECT(cursor, "aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":"))
        return spot_agg_trade(scan);
    if (*cursor->at != 'd')
        return false;
    const int source = depth_name(scan);
    if (source == DEPTH_DIFF)
        return SCAN_EXPECT(cursor, "e\":\"depthUpdate\",\"E\":") && spot_depth(scan);
    return source >= 0 && SCAN_EXPECT(cursor, "lastUpdateId\":") && spot_book(scan, source);
}

static inline bool usdm_message(struct scan *scan)
{
    struct json_cursor *cursor = &scan->cursor;
    if (scan->stream.size == 0) {
        if (SCAN_EXPECT(cursor, "{\"e\":\"trade\",\"E\":"))
            return usdm_trade(scan);
        if (SCAN_EXPECT(cursor, "{\"e\":\"bookTicker\",\"u\":"))
            return usdm_quote(scan);
        if (SCAN_EXPECT(cursor, "{\"e\":\"aggTrade\",\"E\":"))
            return usdm_agg_trade(scan);
        return SCAN_EXPECT(cursor, "{\"e\":\"depthUpdate\",\"E\":") && usdm_depth(scan, DEPTH_DIFF);
    }
    if (SCAN_EXPECT(cursor, "trade\",\"data\":{\"e\":\"trade\",\"E\":"))
        return usdm_trade(scan);
    if (SCAN_EXPECT(cursor, "bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":"))
        return usdm_quote(scan);
    if (SCAN_EXPECT(cursor, "aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":"))
        return usdm_agg_trade(scan);
    if (*cursor->at != 'd')
        return false;
    const int source = depth_name(scan);
    return source != DEPTH_OTHER && SCAN_EXPECT(cursor, "e\":\"depthUpdate\",\"E\":") &&
           usdm_depth(scan, source);
}

// Takes {"stream":"symbol@ if it is there. Where the context names a raw stream, the strict reader
// holds each message against that name.
SCAN_INLINE bool begin_frame(struct scan *scan, struct dialect_frame *frame, struct event *event)
{
    scan->cursor = json_cursor((const char *)frame->bytes, frame->size);
    scan->frame = frame;
    scan->event = event;
    scan->stream.size = 0;
    if (!SCAN_EXPECT(&scan->cursor, "{\"stream\":\""))
        return frame->context->raw_stream == NULL;
    return scan_until(&scan->cursor, '@', &scan->stream) && SCAN_EXPECT(&scan->cursor, "@");
}

SCAN_INLINE bool end_frame(struct scan *scan)
{
    return (scan->stream.size == 0 || SCAN_EXPECT(&scan->cursor, "}")) &&
           SCAN_EXPECT(&scan->cursor, "}") && json_cursor_done(&scan->cursor);
}

bool binance_spot_scan(struct dialect_frame *frame, struct event *event)
{
    struct scan scan;
    return begin_frame(&scan, frame, event) && spot_message(&scan) && end_frame(&scan);
}

bool binance_usdm_scan(struct dialect_frame *frame, struct event *event)
{
    struct scan scan;
    return begin_frame(&scan, frame, event) && usdm_message(&scan) && end_frame(&scan);
}
