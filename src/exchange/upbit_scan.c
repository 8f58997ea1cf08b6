// SPDX-License-Identifier: GPL-3.0-or-later
//
// The fast scanner of Upbit: trade and orderbook in SIMPLE form, the form ringtape asks for, with
// the keys in the exchange's order. Any surprise returns false and the strict reader takes over.
// First the cells of a message are found (scan_cells.h), then what is in them is read.
//
// Frames may be binary, their UTF-8 unchecked: all text here is compared with known bytes.
#include <string.h>

#include "exchange/scan_cells.h"
#include "exchange/upbit.h"

struct scan {
    struct scan_window window;
    struct dialect_frame *frame;
    struct event *event;
};

#define CELL(scan, cell, literal) SCAN_CELL(&(scan)->window, cell, literal)
#define TAKE(scan, literal) SCAN_TAKE(&(scan)->window, literal)

// The cell before a key that may be one of two; TAKE() is next.
SCAN_INLINE bool cell_before_key(struct scan *scan, struct scan_cell *cell)
{
    if (!CELL(scan, cell, ",\""))
        return false;
    scan->window.at = cell->end;
    return true;
}

SCAN_INLINE bool begin_event(struct scan *scan, enum channel channel, struct scan_cell symbol)
{
    const struct dialect_context *context = scan->frame->context;
    if (scan_size(symbol) - 1 >= SCAN_NAME_BYTES_MAX)
        return false;
    event_clear(scan->event, channel,
                symbols_find_padded(context->symbols, context->exchange, symbol.at,
                                    (uint32_t)scan_size(symbol)));
    return scan->event->symbol != SYMBOL_NONE;
}

SCAN_INLINE bool set_decimals(struct scan *scan, struct scan_cell a, int a_column,
                              struct scan_cell b, int b_column)
{
    struct scan_decimals two;
    if (!scan_two_decimals(a, b, &two))
        return false;
    event_set_decimal(scan->event, a_column, two.mantissa[0], two.scale[0]);
    event_set_decimal(scan->event, b_column, two.mantissa[1], two.scale[1]);
    return true;
}

// "st":"REALTIME"} and the end.
SCAN_INLINE bool end_frame(struct scan *scan)
{
    const bool realtime = TAKE(scan, ",\"st\":\"REALTIME\"}");
    if (!realtime && !TAKE(scan, ",\"st\":\"SNAPSHOT\"}"))
        return false;
    event_set(scan->event, COLUMN_FLAGS, realtime ? 0 : EVENT_SNAPSHOT);
    return scan->window.at == scan->window.end;
}

// ---- trade ----

struct trade_cells {
    struct scan_cell symbol, event_time, date, clock, time, price, quantity, side, close, change,
        change_price, id;
};

// Two digits each; their value in the byte of the first. What no digit is shows in *wrong.
SCAN_INLINE uint64_t digit_pairs(uint64_t characters, uint64_t *wrong)
{
    *wrong |= scan_not_digits(characters);
    characters -= 0x30 * SCAN_ONES;
    return (characters * 10 + (characters >> 8)) & 0x00ff00ff00ff00ffull;
}

SCAN_INLINE uint64_t two_characters(const char *at)
{
    uint16_t two;
    memcpy(&two, at, sizeof two);
    return two;
}

// Days since 1970-01-01 of "2021-04-05"; *wrong is set where that is no date.
SCAN_INLINE int64_t days_of(const char *date, uint64_t *wrong)
{
    static const uint16_t before[16] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    static const uint8_t days[16] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const uint64_t pairs =
        digit_pairs((scan_word(date) & 0xffffffffu) | two_characters(date + 5) << 32 |
                        two_characters(date + 8) << 48,
                    wrong);
    const uint32_t century = pairs & 0xff, year = century * 100 + (pairs >> 16 & 0xff);
    const uint32_t month = pairs >> 32 & 0xf, day = pairs >> 48 & 0xff;
    const bool leap = year % 4 == 0 && (year % 100 != 0 || century % 4 == 0);
    *wrong |= (uint64_t)((date[4] ^ '-') | (date[7] ^ '-')) | ((pairs >> 32 & 0xf0) != 0) |
              (day - 1u >= days[month] + (uint32_t)(leap & (month == 2)));
    // The leap years up to this one, less this one's day where it is still to come.
    const uint32_t leaps = year / 4 - century + century / 4 - (leap & (month <= 2));
    return (int64_t)(365 * year + leaps + before[month] + day) - 719528;
}

// The second of the day of "14:40:59", or "14:40" for "14:40:00"; *wrong as above.
SCAN_INLINE int64_t second_of(struct scan_cell clock, uint64_t *wrong)
{
    const bool whole = scan_size(clock) == UPBIT_CLOCK_BYTES;
    const uint64_t seconds = whole ? two_characters(clock.at + 6) : 0x3030;
    const uint64_t pairs = digit_pairs(two_characters(clock.at) |
                                           two_characters(clock.at + 3) << 16 | seconds << 32 |
                                           0x3030ull << 48,
                                       wrong);
    const uint32_t hour = pairs & 0xff, minute = pairs >> 16 & 0xff, second = pairs >> 32 & 0xff;
    *wrong |= (uint64_t)(clock.at[2] ^ ':') | (whole & (clock.at[5] != ':')) |
              (!whole & (scan_size(clock) != 5)) | (hour > 23) | (minute > 59) | (second > 59);
    return hour * 3600 + minute * 60 + second;
}

// Date and clock are those of the time. Read, and not written to be compared: a third of the work.
SCAN_INLINE bool clock_follows(struct scan_cell date, struct scan_cell clock, int64_t time_ns)
{
    uint64_t wrong = scan_size(date) ^ UPBIT_DATE_BYTES;
    const int64_t second = days_of(date.at, &wrong) * 86400 + second_of(clock, &wrong);
    return (wrong == 0) & (second == time_ns / 1000000000);
}

// Sign of price - close where that is `change`, or minus `change`; 2 where it is not.
static __attribute__((noinline)) int sign_of_change(const struct event *event, int64_t change,
                                                    uint8_t scale)
{
    const int64_t price = event->value[TRADE_PRICE], close = event->value[TRADE_PREVIOUS_CLOSE];
    const uint8_t price_scale = event->scale[TRADE_PRICE];
    const uint8_t close_scale = event->scale[TRADE_PREVIOUS_CLOSE];
    const int sign = strict_decimal_compare(price, price_scale, close, close_scale);
    const int64_t expected = sign < 0 ? -change : change;
    if (change < 0 || strict_difference_compare(price, price_scale, close, close_scale, expected,
                                                scale) != 0)
        return 2;
    return sign;
}

// With all at one scale where that fits, as it does but for the oddest.
SCAN_INLINE int sign_of_change_quickly(const struct event *event, int64_t change, uint8_t scale)
{
    int64_t price = event->value[TRADE_PRICE], close = event->value[TRADE_PREVIOUS_CLOSE];
    const uint32_t price_scale = event->scale[TRADE_PRICE];
    const uint32_t close_scale = event->scale[TRADE_PREVIOUS_CLOSE];
    uint32_t most = price_scale > close_scale ? price_scale : close_scale;
    most = most > scale ? most : scale;
    int64_t same = change, difference;
    if (most > 8 ||
        __builtin_mul_overflow(price, (int64_t)scan_power_of_ten[most - price_scale], &price) ||
        __builtin_mul_overflow(close, (int64_t)scan_power_of_ten[most - close_scale], &close) ||
        __builtin_mul_overflow(same, (int64_t)scan_power_of_ten[most - scale], &same) ||
        __builtin_sub_overflow(price, close, &difference))
        return sign_of_change(event, change, scale);
    const int sign = (difference > 0) - (difference < 0);
    return same == (sign < 0 ? -difference : difference) ? sign : 2;
}

// The word and the size of the change follow from price and previous close.
SCAN_INLINE bool change_follows(struct scan_cell word, const struct event *event, int64_t change,
                                uint8_t scale)
{
    static const char words[3][8] = {"FALL", "EVEN", "RISE"};
    const int sign = sign_of_change_quickly(event, change, scale);
    return scan_size(word) == 4 && sign != 2 && scan_differ(word.at, words[sign + 1], 4) == 0;
}

SCAN_INLINE bool set_times(struct scan *scan, const struct trade_cells *cells)
{
    int64_t two[2], event_time_ns, time_ns;
    if (!scan_two_integers(cells->event_time, cells->time, two) ||
        !strict_time_ns(two[0], &event_time_ns) || !strict_time_ns(two[1], &time_ns) ||
        !clock_follows(cells->date, cells->clock, time_ns))
        return false;
    event_set(scan->event, TRADE_EVENT_TIME, event_time_ns);
    event_set(scan->event, TRADE_TIME, time_ns);
    return true;
}

SCAN_INLINE bool set_side(struct scan *scan, struct scan_cell side)
{
    const bool ask = SCAN_DIFFER(side.at, "ASK") == 0;
    if (scan_size(side) != 3 || (!ask && SCAN_DIFFER(side.at, "BID") != 0))
        return false;
    event_set(scan->event, TRADE_SIDE, ask ? SIDE_SELL : SIDE_BUY);
    return true;
}

SCAN_INLINE bool set_close(struct scan *scan, const struct trade_cells *cells)
{
    struct scan_decimals two;
    if (!scan_two_decimals(cells->close, cells->change_price, &two))
        return false;
    event_set_decimal(scan->event, TRADE_PREVIOUS_CLOSE, two.mantissa[0], two.scale[0]);
    return change_follows(cells->change, scan->event, two.mantissa[1], two.scale[1]);
}

// The best prices came later than 2021: all four or none.
SCAN_INLINE bool best_prices(struct scan *scan)
{
    struct scan_cell ask, ask_quantity, bid, bid_quantity;
    if (!TAKE(scan, ",\"bap\":"))
        return true;
    return CELL(scan, &ask, ",\"bas\":") && CELL(scan, &ask_quantity, ",\"bbp\":") &&
           CELL(scan, &bid, ",\"bbs\":") && cell_before_key(scan, &bid_quantity) &&
           set_decimals(scan, ask, TRADE_BEST_ASK_PRICE, ask_quantity, TRADE_BEST_ASK_QUANTITY) &&
           set_decimals(scan, bid, TRADE_BEST_BID_PRICE, bid_quantity, TRADE_BEST_BID_QUANTITY);
}

SCAN_INLINE bool find_trade(struct scan *scan, struct trade_cells *cells)
{
    return CELL(scan, &cells->symbol, "\",\"tms\":") &&
           CELL(scan, &cells->event_time, ",\"td\":\"") &&
           CELL(scan, &cells->date, "\",\"ttm\":\"") &&
           CELL(scan, &cells->clock, "\",\"ttms\":") && CELL(scan, &cells->time, ",\"tp\":") &&
           CELL(scan, &cells->price, ",\"tv\":") &&
           CELL(scan, &cells->quantity, ",\"ab\":\"") &&
           CELL(scan, &cells->side, "\",\"pcp\":") && CELL(scan, &cells->close, ",\"c\":\"") &&
           CELL(scan, &cells->change, "\",\"cp\":") &&
           CELL(scan, &cells->change_price, ",\"sid\":") && cell_before_key(scan, &cells->id);
}

SCAN_INLINE bool trade(struct scan *scan)
{
    struct trade_cells cells;
    int64_t id;
    if (!find_trade(scan, &cells) || !begin_event(scan, CHANNEL_TRADE, cells.symbol) ||
        !set_times(scan, &cells) ||
        !set_decimals(scan, cells.price, TRADE_PRICE, cells.quantity, TRADE_QUANTITY) ||
        !set_side(scan, cells.side) || !set_close(scan, &cells) || !scan_one_integer(cells.id, &id))
        return false;
    event_set(scan->event, TRADE_ID, id);
    return best_prices(scan) && end_frame(scan);
}

// ---- orderbook ----

struct unit_cells {
    struct scan_cell ask, bid, ask_quantity, bid_quantity;
};

SCAN_INLINE bool read_unit(const struct unit_cells *cells, struct event_level *ask,
                           struct event_level *bid)
{
    struct scan_decimals prices, quantities;
    if (!scan_two_decimals(cells->ask, cells->bid, &prices) ||
        !scan_two_decimals(cells->ask_quantity, cells->bid_quantity, &quantities))
        return false;
    ask->price = prices.mantissa[0];
    ask->quantity = quantities.mantissa[0];
    ask->price_scale = prices.scale[0];
    ask->quantity_scale = quantities.scale[0];
    ask->side = 1;
    bid->price = prices.mantissa[1];
    bid->quantity = quantities.mantissa[1];
    bid->price_scale = prices.scale[1];
    bid->quantity_scale = quantities.scale[1];
    bid->side = 0;
    return true;
}

// The units at `at`, behind [{"ap": . Gives the comma behind the list, NULL where something is not
// as expected. Not inlined: the loop then has the registers for itself.
static __attribute__((noinline)) const char *units(struct dialect_frame *frame, struct event *event,
                                                   const char *at)
{
    uint32_t commas_at[SCAN_COMMAS_MAX], count = 0;
    const char *text = (const char *)frame->bytes, *end;
    struct scan_commas commas = {
        .text = text, .size = frame->size, .at = commas_at, .last = frame->size - 1};
    struct event_level *levels = frame->levels;
    bool more;
    if (at >= text + frame->size)
        return NULL;
    scan_commas_begin(&commas, (uint32_t)(at - text));
    do {
        enum { KEY_BYTES = 6 }; // ,"bp":
        if (count + 2 > EVENT_LEVELS_MAX || !scan_commas_ahead(&commas, 4))
            return NULL;
        const char *bid = text + commas.next[0], *ask_quantity = text + commas.next[1];
        const char *bid_quantity = text + commas.next[2];
        end = text + commas.next[3];
        commas.next += 4;
        more = SCAN_DIFFER(end - 1, "},{\"ap\":") == 0;
        const struct unit_cells cells = {
            {at, bid},
            {bid + KEY_BYTES, ask_quantity},
            {ask_quantity + KEY_BYTES, bid_quantity},
            {bid_quantity + KEY_BYTES, end - 2 + more},
        };
        if ((SCAN_DIFFER(bid, ",\"bp\":") | SCAN_DIFFER(ask_quantity, ",\"as\":") |
             SCAN_DIFFER(bid_quantity, ",\"bs\":")) != 0 ||
            !read_unit(&cells, &levels[count], &levels[count + 1]))
            return NULL;
        count += 2;
        at = end + 7;
    } while (more);
    event->levels = levels;
    event->level_count = count;
    return SCAN_DIFFER(end - 2, "}]") == 0 ? end : NULL;
}

SCAN_INLINE bool grouping(struct scan *scan)
{
    struct scan_cell cell;
    struct scan_decimals two;
    if (!TAKE(scan, ",\"lv\":"))
        return true;
    if (!cell_before_key(scan, &cell) || !scan_two_decimals(cell, cell, &two))
        return false;
    event_set_decimal(scan->event, BOOK_GROUPING, two.mantissa[0], two.scale[0]);
    return true;
}

SCAN_INLINE bool orderbook(struct scan *scan)
{
    struct scan_cell symbol, time, asks, bids;
    int64_t number, time_ns;
    if (!CELL(scan, &symbol, "\",\"tms\":") || !CELL(scan, &time, ",\"tas\":") ||
        !CELL(scan, &asks, ",\"tbs\":") || !CELL(scan, &bids, ",\"obu\":[{\"ap\":") ||
        !begin_event(scan, CHANNEL_BOOK, symbol) || !scan_one_integer(time, &number) ||
        !strict_time_ns(number, &time_ns))
        return false;
    event_set(scan->event, BOOK_EVENT_TIME, time_ns);
    event_set(scan->event, BOOK_SOURCE, BOOK_SOURCE_ORDERBOOK);
    if (!set_decimals(scan, asks, BOOK_TOTAL_ASK_QUANTITY, bids, BOOK_TOTAL_BID_QUANTITY))
        return false;
    const char *behind = units(scan->frame, scan->event, scan->window.at);
    if (behind == NULL)
        return false;
    scan->window.at = behind;
    scan->window.commas = 0;
    return grouping(scan) && end_frame(scan);
}

bool upbit_scan(struct dialect_frame *frame, struct event *event)
{
    struct scan scan = {
        .window = scan_window(frame->bytes, frame->size),
        .frame = frame,
        .event = event,
    };
    if (TAKE(&scan, "{\"ty\":\"trade\",\"cd\":\""))
        return trade(&scan);
    return TAKE(&scan, "{\"ty\":\"orderbook\",\"cd\":\"") && orderbook(&scan);
}
