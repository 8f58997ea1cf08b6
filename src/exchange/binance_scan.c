// SPDX-License-Identifier: GPL-3.0-or-later
//
// The fast scanners of Binance: trade, aggTrade, bookTicker, depth diff, partial depth; spot and
// futures, in a combined stream or a raw one. They expect each message as the exchange writes it,
// key by key, without white space; any surprise returns false and the strict reader takes over.
// First the cells of a message are found (scan_cells.h), then what is in them is read.
//
//     {"stream":"btcusdt@trade","data":{"e":"trade",...}}
//                 |      |              |
//                 |      +--------------+-- literals, so that name and message agree
//                 +-- compared with "s", lower case
#include <string.h>

#include "exchange/binance.h"
#include "exchange/scan_cells.h"

// What a depth stream carries, where it is no enum book_source.
enum { DEPTH_DIFF = -1, DEPTH_OTHER = -2 };

enum { STREAM_NAME_BYTES_MAX = 16 }; // of a symbol; longer names are the strict reader's

struct scan {
    struct scan_window window;
    const char *last; // the first brace at the message's end
    struct dialect_frame *frame;
    struct event *event;
    struct json_slice stream; // symbol in the stream's name; size 0: raw stream
    bool eighths;             // most decimals have eight places
};

#define CELL(scan, cell, literal) SCAN_CELL(&(scan)->window, cell, literal)
#define TAKE(scan, literal) SCAN_TAKE(&(scan)->window, literal)
#define LOOK(scan) scan_look(&(scan)->window)
#define LAST_CELL(scan, cell) scan_last_cell(&(scan)->window, cell, (scan)->last, 0)
#define LAST_QUOTED(scan, cell) scan_last_cell(&(scan)->window, cell, (scan)->last, 1)

// ---- what cells hold ----

// True if `lower` is the lower-case spelling of the name, both of `size` bytes up to 16. As many
// are readable at both.
SCAN_INLINE bool names_agree(const char *lower, const char *name, uint32_t size)
{
#ifdef __AVX2__
    const __m128i spelled = _mm_loadu_si128((const __m128i_u *)name);
    const __m128i capital = _mm_and_si128(_mm_cmpgt_epi8(spelled, _mm_set1_epi8('A' - 1)),
                                          _mm_cmpgt_epi8(_mm_set1_epi8('Z' + 1), spelled));
    const __m128i expected =
        _mm_or_si128(spelled, _mm_and_si128(capital, _mm_set1_epi8('a' - 'A')));
    const __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i_u *)lower), expected);
    return (~(uint32_t)_mm_movemask_epi8(same) & ((1u << size) - 1)) == 0;
#else
    const uint32_t first = size < 8 ? size : 8, second = size - first;
    const uint64_t a = scan_word(lower) ^ binance_lower(scan_word(name));
    const uint64_t b = scan_word(lower + 8) ^ binance_lower(scan_word(name + 8));
    return a << (64 - 8 * first) == 0 && (second == 0 || b << (64 - 8 * second) == 0);
#endif
}

// Begins the row of the symbol, which is that of the stream's name.
SCAN_INLINE bool begin_event(struct scan *scan, enum channel channel, struct scan_cell symbol)
{
    const struct dialect_context *context = scan->frame->context;
    const uint32_t size = (uint32_t)scan_size(symbol);
    if (scan->stream.size == 0 ? scan_size(symbol) - 1 >= SCAN_NAME_BYTES_MAX
                               : scan_size(symbol) != scan->stream.size ||
                                     !names_agree(scan->stream.text, symbol.at, size))
        return false;
    event_clear(scan->event, channel,
                symbols_find_padded(context->symbols, context->exchange, symbol.at, size));
    event_set(scan->event, COLUMN_FLAGS, 0);
    return scan->event->symbol != SYMBOL_NONE;
}

SCAN_INLINE bool set_integers(struct scan *scan, struct scan_cell a, int a_column,
                              struct scan_cell b, int b_column)
{
    int64_t two[2];
    if (!scan_two_integers(a, b, two))
        return false;
    event_set(scan->event, a_column, two[0]);
    event_set(scan->event, b_column, two[1]);
    return true;
}

SCAN_INLINE bool set_integer(struct scan *scan, struct scan_cell cell, int column)
{
    int64_t value;
    if (!scan_one_integer(cell, &value))
        return false;
    event_set(scan->event, column, value);
    return true;
}

SCAN_INLINE bool set_times(struct scan *scan, struct scan_cell a, int a_column,
                           struct scan_cell b, int b_column)
{
    int64_t two[2], time_ns[2];
    if (!scan_two_integers(a, b, two) || !strict_time_ns(two[0], &time_ns[0]) ||
        !strict_time_ns(two[1], &time_ns[1]))
        return false;
    event_set(scan->event, a_column, time_ns[0]);
    event_set(scan->event, b_column, time_ns[1]);
    return true;
}

SCAN_INLINE bool set_time(struct scan *scan, struct scan_cell cell, int column)
{
    int64_t value, time_ns;
    if (!scan_one_integer(cell, &value) || !strict_time_ns(value, &time_ns))
        return false;
    event_set(scan->event, column, time_ns);
    return true;
}

SCAN_INLINE bool set_time_and_id(struct scan *scan, struct scan_cell time, int time_column,
                                 struct scan_cell id, int id_column)
{
    int64_t two[2], time_ns;
    if (!scan_two_integers(time, id, two) || !strict_time_ns(two[0], &time_ns))
        return false;
    event_set(scan->event, time_column, time_ns);
    event_set(scan->event, id_column, two[1]);
    return true;
}

SCAN_INLINE bool set_decimals(struct scan *scan, struct scan_cell a, int a_column,
                              struct scan_cell b, int b_column)
{
    struct scan_decimals two;
    if (!(scan->eighths ? scan_two_eighths(a, b, &two) : scan_two_decimals(a, b, &two)))
        return false;
    event_set_decimal(scan->event, a_column, two.mantissa[0], two.scale[0]);
    event_set_decimal(scan->event, b_column, two.mantissa[1], two.scale[1]);
    return true;
}

// Whether the buyer was the maker.
SCAN_INLINE bool set_maker(struct scan *scan, struct scan_cell cell, int column)
{
    bool maker;
    const bool good = scan_truth(cell, &maker);
    event_set(scan->event, column, maker ? SIDE_SELL : SIDE_BUY);
    return good;
}

SCAN_INLINE bool set_truth(struct scan *scan, struct scan_cell cell, int column)
{
    bool truth;
    const bool good = scan_truth(cell, &truth);
    event_set(scan->event, column, truth);
    return good;
}

// ---- levels ----

struct sides { // of a book or a change of one, while it is read
    struct scan_commas commas;
    const char *at; // all before it is read
    struct event_level *level; // the next
    const struct event_level *stop;
    bool eighths; // most decimals have eight places
};

SCAN_INLINE bool read_level(struct sides *sides, struct scan_cell price, struct scan_cell quantity,
                            uint8_t side)
{
    struct event_level *level = sides->level++;
    struct scan_decimals two;
    if (SCAN_DIFFER(price.end, "\",\"") != 0 || level == sides->stop ||
        !(sides->eighths ? scan_two_eighths(price, quantity, &two)
                         : scan_two_decimals(price, quantity, &two)))
        return false;
    level->price = two.mantissa[0];
    level->quantity = two.mantissa[1];
    level->price_scale = two.scale[0];
    level->quantity_scale = two.scale[1];
    level->side = side;
    return true;
}

// ["price","quantity"],... behind the bracket of the list, up to the comma or brace behind it.
SCAN_INLINE bool read_side(struct sides *sides, uint8_t side)
{
    struct scan_commas *commas = &sides->commas;
    const char *text = commas->text, *price = sides->at + 2, *middle, *end;
    if (*sides->at == ']') {
        commas->next++;
        sides->at++;
        return true;
    }
    if (SCAN_DIFFER(sides->at, "[\"") != 0)
        return false;
    for (;; price = end + 3) {
        if (!scan_commas_ahead(commas, 2))
            return false;
        middle = text + commas->next[0];
        end = text + commas->next[1];
        commas->next += 2;
        if (SCAN_DIFFER(end - 2, "\"],[\"") != 0)
            break;
        if (!read_level(sides, (struct scan_cell){price, middle - 1},
                        (struct scan_cell){middle + 2, end - 2}, side))
            return false;
    }
    sides->at = end;
    return SCAN_DIFFER(end - 3, "\"]]") == 0 &&
           read_level(sides, (struct scan_cell){price, middle - 1},
                      (struct scan_cell){middle + 2, end - 3}, side);
}

// The bids behind their first bracket, a literal, the asks up to the message's end.
#define BOTH_SIDES(sides, literal) both_sides((sides), "" literal, sizeof(literal) - 1)

SCAN_INLINE bool both_sides(struct sides *sides, const char *literal, size_t size)
{
    const char *text = sides->commas.text, *last = text + sides->commas.last;
    if (sides->at >= last)
        return false;
    scan_commas_begin(&sides->commas, (uint32_t)(sides->at - text));
    if (!read_side(sides, 0) || !scan_commas_ahead(&sides->commas, 1) ||
        scan_differ(sides->at, literal, size) != 0)
        return false;
    sides->at += size;
    return read_side(sides, 1) && sides->at == last;
}

enum sides_form { SIDES_SPOT, SIDES_SPOT_BOOK, SIDES_USDM };

// Where the levels of `form` begin at `at`. Not inlined, one function a form: the loops then have
// the registers for themselves.
SCAN_INLINE bool set_sides(struct dialect_frame *frame, struct event *event, const char *at,
                           const char *last, enum sides_form form)
{
    uint32_t commas_at[SCAN_COMMAS_MAX];
    const char *text = (const char *)frame->bytes;
    struct sides sides = {
        .commas = {.text = text, .size = frame->size, .at = commas_at,
                   .last = (uint32_t)(last - text)},
        .at = at,
        .level = frame->levels,
        .stop = frame->levels + EVENT_LEVELS_MAX,
        .eighths = form != SIDES_USDM,
    };
    if (!(form == SIDES_SPOT_BOOK ? BOTH_SIDES(&sides, ",\"asks\":[")
                                  : BOTH_SIDES(&sides, ",\"a\":[")))
        return false;
    event->levels = frame->levels;
    event->level_count = (uint32_t)(sides.level - frame->levels);
    return true;
}

static __attribute__((noinline)) bool spot_sides(struct dialect_frame *frame, struct event *event,
                                                 const char *at, const char *last)
{
    return set_sides(frame, event, at, last, SIDES_SPOT);
}

static __attribute__((noinline)) bool spot_book_sides(struct dialect_frame *frame,
                                                      struct event *event, const char *at,
                                                      const char *last)
{
    return set_sides(frame, event, at, last, SIDES_SPOT_BOOK);
}

static __attribute__((noinline)) bool usdm_sides(struct dialect_frame *frame, struct event *event,
                                                 const char *at, const char *last)
{
    return set_sides(frame, event, at, last, SIDES_USDM);
}

// They reach to the message's end.
#define SIDES(scan, sides)                                                                         \
    (sides((scan)->frame, (scan)->event, (scan)->window.at, (scan)->last) && at_last(scan))

SCAN_INLINE bool at_last(struct scan *scan)
{
    scan->window.at = scan->last;
    return true;
}

// ---- spot: behind {"e":"...","E": resp. {"u": ----

SCAN_INLINE bool spot_trade(struct scan *scan)
{
    struct scan_cell event_time, symbol, id, price, quantity, time, maker, best_match;
    return CELL(scan, &event_time, ",\"s\":\"") && CELL(scan, &symbol, "\",\"t\":") &&
           begin_event(scan, CHANNEL_TRADE, symbol) && CELL(scan, &id, ",\"p\":\"") &&
           set_time_and_id(scan, event_time, TRADE_EVENT_TIME, id, TRADE_ID) && LOOK(scan) &&
           CELL(scan, &price, "\",\"q\":\"") && CELL(scan, &quantity, "\",\"T\":") &&
           set_decimals(scan, price, TRADE_PRICE, quantity, TRADE_QUANTITY) &&
           CELL(scan, &time, ",\"m\":") && set_time(scan, time, TRADE_TIME) &&
           CELL(scan, &maker, ",\"M\":") && set_maker(scan, maker, TRADE_SIDE) &&
           LAST_CELL(scan, &best_match) && set_truth(scan, best_match, TRADE_BEST_MATCH);
}

SCAN_INLINE bool spot_agg_trade(struct scan *scan)
{
    struct scan_cell event_time, symbol, id, price, quantity, first_id, last_id, time;
    struct scan_cell maker, best_match;
    if (!CELL(scan, &event_time, ",\"s\":\"") || !CELL(scan, &symbol, "\",\"a\":") ||
        !CELL(scan, &id, ",\"p\":\"") || !CELL(scan, &price, "\",\"q\":\"") ||
        !CELL(scan, &quantity, "\",\"f\":") || !CELL(scan, &first_id, ",\"l\":") ||
        !CELL(scan, &last_id, ",\"T\":") || !CELL(scan, &time, ",\"m\":") ||
        !CELL(scan, &maker, ",\"M\":") || !LAST_CELL(scan, &best_match) ||
        !begin_event(scan, CHANNEL_AGG_TRADE, symbol))
        return false;
    return set_maker(scan, maker, AGG_TRADE_SIDE) &&
           set_truth(scan, best_match, AGG_TRADE_BEST_MATCH) &&
           set_times(scan, event_time, AGG_TRADE_EVENT_TIME, time, AGG_TRADE_TIME) &&
           set_integer(scan, id, AGG_TRADE_ID) &&
           set_integers(scan, first_id, AGG_TRADE_FIRST_ID, last_id, AGG_TRADE_LAST_ID) &&
           set_decimals(scan, price, AGG_TRADE_PRICE, quantity, AGG_TRADE_QUANTITY);
}

// Up to the last quantity, which is found by what follows it.
SCAN_INLINE bool set_prices(struct scan *scan, struct scan_cell *ask)
{
    struct scan_cell bid, quantity;
    return CELL(scan, &bid, "\",\"B\":\"") && LOOK(scan) &&
           CELL(scan, &quantity, "\",\"a\":\"") &&
           set_decimals(scan, bid, QUOTE_BID_PRICE, quantity, QUOTE_BID_QUANTITY) &&
           CELL(scan, ask, "\",\"A\":\"");
}

SCAN_INLINE bool spot_quote(struct scan *scan)
{
    struct scan_cell id, symbol, ask, quantity;
    return CELL(scan, &id, ",\"s\":\"") && CELL(scan, &symbol, "\",\"b\":\"") &&
           begin_event(scan, CHANNEL_QUOTE, symbol) && set_integer(scan, id, QUOTE_ID) &&
           set_prices(scan, &ask) && LAST_QUOTED(scan, &quantity) &&
           set_decimals(scan, ask, QUOTE_ASK_PRICE, quantity, QUOTE_ASK_QUANTITY);
}

SCAN_INLINE bool spot_depth(struct scan *scan)
{
    struct scan_cell event_time, symbol, first_id, last_id;
    return CELL(scan, &event_time, ",\"s\":\"") && CELL(scan, &symbol, "\",\"U\":") &&
           CELL(scan, &first_id, ",\"u\":") && CELL(scan, &last_id, ",\"b\":[") &&
           begin_event(scan, CHANNEL_DEPTH, symbol) &&
           set_time(scan, event_time, DEPTH_EVENT_TIME) &&
           set_integers(scan, first_id, DEPTH_FIRST_ID, last_id, DEPTH_LAST_ID) &&
           SIDES(scan, spot_sides);
}

// ---- futures ----

SCAN_INLINE bool usdm_trade(struct scan *scan)
{
    struct scan_cell event_time, time, symbol, id, price, quantity, kind, maker;
    if (!CELL(scan, &event_time, ",\"T\":") || !CELL(scan, &time, ",\"s\":\"") ||
        !CELL(scan, &symbol, "\",\"t\":") || !CELL(scan, &id, ",\"p\":\"") ||
        !CELL(scan, &price, "\",\"q\":\"") || !CELL(scan, &quantity, "\",\"X\":\"") ||
        !CELL(scan, &kind, "\",\"m\":") || !LAST_CELL(scan, &maker) || !scan_capitals(kind) ||
        !begin_event(scan, CHANNEL_TRADE, symbol))
        return false;
    if (!set_maker(scan, maker, TRADE_SIDE))
        return false;
    event_set_text(scan->event, TRADE_KIND, kind.at, (uint32_t)scan_size(kind));
    return set_times(scan, event_time, TRADE_EVENT_TIME, time, TRADE_TIME) &&
           set_integer(scan, id, TRADE_ID) &&
           set_decimals(scan, price, TRADE_PRICE, quantity, TRADE_QUANTITY);
}

// The quantity without retail price improvement came later.
SCAN_INLINE bool usdm_quantities(struct scan *scan, struct scan_cell price)
{
    struct scan_cell quantity, normal;
    if (!CELL(scan, &quantity, "\",\""))
        return false;
    if (TAKE(scan, "nq\":\"") &&
        (!CELL(scan, &normal, "\",\"") ||
         !set_decimals(scan, quantity, AGG_TRADE_QUANTITY, normal, AGG_TRADE_NORMAL_QUANTITY)))
        return false;
    return TAKE(scan, "f\":") &&
           set_decimals(scan, price, AGG_TRADE_PRICE, quantity, AGG_TRADE_QUANTITY);
}

SCAN_INLINE bool usdm_agg_trade(struct scan *scan)
{
    struct scan_cell event_time, id, symbol, price, first_id, last_id, time, maker;
    if (!CELL(scan, &event_time, ",\"a\":") || !CELL(scan, &id, ",\"s\":\"") ||
        !CELL(scan, &symbol, "\",\"p\":\"") || !CELL(scan, &price, "\",\"q\":\"") ||
        !begin_event(scan, CHANNEL_AGG_TRADE, symbol) || !usdm_quantities(scan, price) ||
        !CELL(scan, &first_id, ",\"l\":") || !CELL(scan, &last_id, ",\"T\":") ||
        !CELL(scan, &time, ",\"m\":") || !LAST_CELL(scan, &maker))
        return false;
    if (!set_maker(scan, maker, AGG_TRADE_SIDE))
        return false;
    return set_times(scan, event_time, AGG_TRADE_EVENT_TIME, time, AGG_TRADE_TIME) &&
           set_integer(scan, id, AGG_TRADE_ID) &&
           set_integers(scan, first_id, AGG_TRADE_FIRST_ID, last_id, AGG_TRADE_LAST_ID);
}

SCAN_INLINE bool usdm_quote(struct scan *scan)
{
    struct scan_cell id, symbol, ask, quantity, time, event_time;
    return CELL(scan, &id, ",\"s\":\"") && CELL(scan, &symbol, "\",\"b\":\"") &&
           begin_event(scan, CHANNEL_QUOTE, symbol) && set_integer(scan, id, QUOTE_ID) &&
           set_prices(scan, &ask) && CELL(scan, &quantity, "\",\"T\":") &&
           set_decimals(scan, ask, QUOTE_ASK_PRICE, quantity, QUOTE_ASK_QUANTITY) &&
           CELL(scan, &time, ",\"E\":") && LAST_CELL(scan, &event_time) &&
           set_times(scan, event_time, QUOTE_EVENT_TIME, time, QUOTE_TRANSACTION_TIME);
}

struct depth_columns_of { // the same keys in two channels
    int event_time, transaction_time, first_id, last_id, previous_id;
};

SCAN_INLINE bool usdm_levels(struct scan *scan, enum channel channel,
                             const struct depth_columns_of *columns)
{
    struct scan_cell event_time, time, symbol, first_id, last_id, previous_id;
    return CELL(scan, &event_time, ",\"T\":") && CELL(scan, &time, ",\"s\":\"") &&
           CELL(scan, &symbol, "\",\"U\":") && CELL(scan, &first_id, ",\"u\":") &&
           CELL(scan, &last_id, ",\"pu\":") && CELL(scan, &previous_id, ",\"b\":[") &&
           begin_event(scan, channel, symbol) &&
           set_times(scan, event_time, columns->event_time, time, columns->transaction_time) &&
           set_integers(scan, first_id, columns->first_id, last_id, columns->last_id) &&
           set_integer(scan, previous_id, columns->previous_id) &&
           SIDES(scan, usdm_sides);
}

// A diff, or a partial book in the same form.
SCAN_INLINE bool usdm_depth(struct scan *scan, int source)
{
    static const struct depth_columns_of diff = {DEPTH_EVENT_TIME, DEPTH_TRANSACTION_TIME,
                                                 DEPTH_FIRST_ID, DEPTH_LAST_ID, DEPTH_PREVIOUS_ID};
    static const struct depth_columns_of book = {BOOK_EVENT_TIME, BOOK_TRANSACTION_TIME,
                                                 BOOK_FIRST_ID, BOOK_LAST_ID, BOOK_PREVIOUS_ID};
    if (!usdm_levels(scan, source < 0 ? CHANNEL_DEPTH : CHANNEL_BOOK, source < 0 ? &diff : &book))
        return false;
    if (source >= 0)
        event_set(scan->event, BOOK_SOURCE, source);
    return true;
}

// ---- frames ----

// {"lastUpdateId":...} of a combined stream, whose name says the rest.
SCAN_INLINE bool spot_book(struct scan *scan, int source)
{
    struct scan_cell id;
    char upper[SCAN_NAME_BYTES_MAX + SYMBOL_PADDED_BYTES] = "";
    for (uint32_t i = 0; i < scan->stream.size; i++) {
        const char c = scan->stream.text[i];
        upper[i] = c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
    }
    if (!CELL(scan, &id, ",\"bids\":[") ||
        !begin_event(scan, CHANNEL_BOOK, (struct scan_cell){upper, upper + scan->stream.size}))
        return false;
    event_set(scan->event, BOOK_SOURCE, source);
    return set_integer(scan, id, BOOK_LAST_ID) && SIDES(scan, spot_book_sides);
}

// The rest of a depth stream's name and what follows it.
#define SCAN_DEPTH(scan, name) TAKE(scan, name "\",\"data\":{\"")

SCAN_INLINE int depth_name(struct scan *scan)
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

SCAN_INLINE bool spot_message(struct scan *scan)
{
    if (scan->stream.size == 0) {
        if (TAKE(scan, "{\"e\":\"trade\",\"E\":"))
            return spot_trade(scan);
        if (TAKE(scan, "{\"u\":"))
            return spot_quote(scan);
        if (TAKE(scan, "{\"e\":\"aggTrade\",\"E\":"))
            return spot_agg_trade(scan);
        return TAKE(scan, "{\"e\":\"depthUpdate\",\"E\":") && spot_depth(scan);
    }
    if (TAKE(scan, "trade\",\"data\":{\"e\":\"trade\",\"E\":"))
        return spot_trade(scan);
    if (TAKE(scan, "bookTicker\",\"data\":{\"u\":"))
        return spot_quote(scan);
    if (TAKE(scan, "aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":"))
        return spot_agg_trade(scan);
    if (*scan->window.at != 'd')
        return false;
    const int source = depth_name(scan);
    if (source == DEPTH_DIFF)
        return TAKE(scan, "e\":\"depthUpdate\",\"E\":") && spot_depth(scan);
    return source >= 0 && TAKE(scan, "lastUpdateId\":") && spot_book(scan, source);
}

SCAN_INLINE bool usdm_message(struct scan *scan)
{
    if (scan->stream.size == 0) {
        if (TAKE(scan, "{\"e\":\"trade\",\"E\":"))
            return usdm_trade(scan);
        if (TAKE(scan, "{\"e\":\"bookTicker\",\"u\":"))
            return usdm_quote(scan);
        if (TAKE(scan, "{\"e\":\"aggTrade\",\"E\":"))
            return usdm_agg_trade(scan);
        return TAKE(scan, "{\"e\":\"depthUpdate\",\"E\":") && usdm_depth(scan, DEPTH_DIFF);
    }
    if (TAKE(scan, "trade\",\"data\":{\"e\":\"trade\",\"E\":"))
        return usdm_trade(scan);
    if (TAKE(scan, "bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":"))
        return usdm_quote(scan);
    if (TAKE(scan, "aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":"))
        return usdm_agg_trade(scan);
    if (*scan->window.at != 'd')
        return false;
    const int source = depth_name(scan);
    return source != DEPTH_OTHER && TAKE(scan, "e\":\"depthUpdate\",\"E\":") &&
           usdm_depth(scan, source);
}

// Takes {"stream":"symbol@ if it is there. Where the context names a raw stream, the strict reader
// holds each message against that name.
SCAN_INLINE bool begin_frame(struct scan *scan, struct dialect_frame *frame, struct event *event,
                             bool eighths)
{
    // Sixteen bytes are then readable before the end of every decimal.
    enum { HEAD_BYTES = 11, BYTES_MIN = 48 };
    if (frame->size < BYTES_MIN)
        return false;
    scan->window = scan_window(frame->bytes, frame->size);
    scan->last = scan->window.end - 1;
    scan->frame = frame;
    scan->event = event;
    scan->eighths = eighths;
    scan->stream = (struct json_slice){NULL, 0};
    if (!TAKE(scan, "{\"stream\":\""))
        return frame->context->raw_stream == NULL;
    scan->stream = (struct json_slice){scan->window.at, scan_find(scan->window.at, '@')};
    scan->window.at += scan->stream.size + 1;
    scan->last--;
    return scan->stream.size - 1 < STREAM_NAME_BYTES_MAX;
}

SCAN_INLINE bool end_frame(struct scan *scan)
{
    return scan->window.at == scan->last && *scan->last == '}' && scan->window.end[-1] == '}';
}

bool binance_spot_scan(struct dialect_frame *frame, struct event *event)
{
    struct scan scan;
    return begin_frame(&scan, frame, event, true) && spot_message(&scan) && end_frame(&scan);
}

bool binance_usdm_scan(struct dialect_frame *frame, struct event *event)
{
    struct scan scan;
    return begin_frame(&scan, frame, event, false) && usdm_message(&scan) && end_frame(&scan);
}
