// SPDX-License-Identifier: GPL-3.0-or-later
//
// Upbit, SIMPLE format; the server makes the other three of it. Numbers are written as plain
// decimals with the places they are stored with: 9.9E-7 comes back as 0.00000099, which reads the
// same.
#include "tools/replay_json.h"

#include "format/ensure.h"
#include "tools/replay_text.h"

enum {
    LEVEL_BYTES = 4 * REPLAY_DECIMAL_BYTES_MAX + 32,
    FIXED_BYTES = 4096,
};
#define MS_NS ((int64_t)1000000)

static char *put_ms(char *at, const char *key, int64_t time_ns)
{
    at = replay_put(at, key, strlen(key));
    return message_integer(at, time_ns / MS_NS);
}

// When it was sent, else when it happened: REST does not tell the former.
static char *put_sent(char *at, const struct replay_row *row, const char *key, int column)
{
    return put_ms(at, key, replay_has(row, column) ? replay_value(row, column)
                                                   : rows_time_ns(row->rows, row->row));
}

static char *put_integer(char *at, const struct replay_row *row, const char *key, int column)
{
    if (!replay_has(row, column)) return at;
    at = replay_put(at, key, strlen(key));
    return message_integer(at, replay_value(row, column));
}

static uint8_t scale_of(const struct replay_row *row, int column)
{
    return row->rows->scale[column][row->row];
}

static char *put_number(char *at, const struct replay_row *row, const char *key, int column)
{
    if (!replay_has(row, column)) return at;
    at = replay_put(at, key, strlen(key));
    return replay_decimal(at, replay_value(row, column), scale_of(row, column), 0);
}

static char *put_magnitude(char *at, const char *key, int64_t mantissa, uint8_t scale)
{
    at = replay_put(at, key, strlen(key));
    return replay_decimal(at, mantissa < 0 ? -mantissa : mantissa, scale, 0);
}

static char *put_bytes(char *at, const char *key, const void *bytes, size_t size)
{
    at = replay_put(at, key, strlen(key));
    at = message_escaped(at, bytes, size);
    *at++ = '"';
    return at;
}

static char *put_text(char *at, const struct replay_row *row, const char *key, int column)
{
    const uint8_t slot = row->rows->schema->columns[column].text;
    if (!replay_has(row, column)) return at;
    return put_bytes(at, key, row->rows->text + row->rows->text_offset[slot][row->row],
                     row->rows->text_length[slot][row->row]);
}

static char *put_head(char *at, const struct replay_row *row, const char *type)
{
    at = REPLAY_PUT(at, "{\"ty\":\"");
    at = replay_put(at, type, strlen(type));
    return put_bytes(at, "\",\"cd\":\"", row->symbol.bytes, row->symbol.size);
}

static char *put_stream_type(char *at, const struct replay_row *row)
{
    const bool snapshot = (replay_value(row, COLUMN_FLAGS) & EVENT_SNAPSHOT) != 0;
    return snapshot ? REPLAY_PUT(at, ",\"st\":\"SNAPSHOT\"}")
                    : REPLAY_PUT(at, ",\"st\":\"REALTIME\"}");
}

static char *put_change(char *at, const char *key, int64_t change)
{
    at = replay_put(at, key, strlen(key));
    return change > 0   ? REPLAY_PUT(at, "\"RISE\"")
           : change < 0 ? REPLAY_PUT(at, "\"FALL\"")
                        : REPLAY_PUT(at, "\"EVEN\"");
}

static char *put_side(char *at, const struct replay_row *row, const char *key, int column)
{
    if (!replay_has(row, column)) return at;
    at = replay_put(at, key, strlen(key));
    return replay_value(row, column) == SIDE_SELL ? REPLAY_PUT(at, "\"ASK\"")
                                                  : REPLAY_PUT(at, "\"BID\"");
}

static bool change_of(const struct replay_row *row, int64_t *change, uint8_t *scale)
{
    return replay_has(row, TRADE_PREVIOUS_CLOSE) &&
           replay_difference(replay_value(row, TRADE_PRICE), scale_of(row, TRADE_PRICE),
                             replay_value(row, TRADE_PREVIOUS_CLOSE),
                             scale_of(row, TRADE_PREVIOUS_CLOSE), change, scale);
}

static char *put_trade(char *at, const struct replay_row *row)
{
    const int64_t time_ns = replay_value(row, TRADE_TIME);
    int64_t change;
    uint8_t scale;
    at = put_head(at, row, "trade");
    at = put_sent(at, row, ",\"tms\":", TRADE_EVENT_TIME);
    at = REPLAY_PUT(at, ",\"td\":\"");
    at = replay_date(at, time_ns, "-");
    at = REPLAY_PUT(at, "\",\"ttm\":\"");
    at = replay_clock(at, time_ns, ":");
    at = put_ms(at, "\",\"ttms\":", time_ns);
    at = put_number(at, row, ",\"tp\":", TRADE_PRICE);
    at = put_number(at, row, ",\"tv\":", TRADE_QUANTITY);
    at = put_side(at, row, ",\"ab\":", TRADE_SIDE);
    at = put_number(at, row, ",\"pcp\":", TRADE_PREVIOUS_CLOSE);
    if (change_of(row, &change, &scale)) {
        at = put_change(at, ",\"c\":", change);
        at = put_magnitude(at, ",\"cp\":", change, scale);
    }
    at = put_integer(at, row, ",\"sid\":", TRADE_ID);
    at = put_number(at, row, ",\"bap\":", TRADE_BEST_ASK_PRICE);
    at = put_number(at, row, ",\"bas\":", TRADE_BEST_ASK_QUANTITY);
    at = put_number(at, row, ",\"bbp\":", TRADE_BEST_BID_PRICE);
    at = put_number(at, row, ",\"bbs\":", TRADE_BEST_BID_QUANTITY);
    return put_stream_type(at, row);
}

static char *put_level(char *at, const struct rows *rows, uint32_t i, const char *price_key,
                       const char *quantity_key, char quantity[REPLAY_DECIMAL_BYTES_MAX + 16])
{
    at = replay_put(at, price_key, strlen(price_key));
    at = replay_decimal(at, rows->level_price[i], rows->level_price_scale[i], 0);
    char *end = replay_put(quantity, quantity_key, strlen(quantity_key));
    end = replay_decimal(end, rows->level_quantity[i], rows->level_quantity_scale[i], 0);
    *end = 0;
    return at;
}

// Units alternate an ask and a bid, as stored.
static char *put_units(char *at, const struct replay_row *row)
{
    const struct rows *rows = row->rows;
    const uint32_t first = rows->level_first[row->row], end = rows->level_first[row->row + 1];
    at = REPLAY_PUT(at, ",\"obu\":[");
    for (uint32_t i = first; i + 1 < end; i += 2) {
        char ask[REPLAY_DECIMAL_BYTES_MAX + 16], bid[REPLAY_DECIMAL_BYTES_MAX + 16];
        if (i > first) *at++ = ',';
        at = put_level(at, rows, i, "{\"ap\":", ",\"as\":", ask);
        at = put_level(at, rows, i + 1, ",\"bp\":", ",\"bs\":", bid);
        at = replay_put(at, ask, strlen(ask));
        at = replay_put(at, bid, strlen(bid));
        *at++ = '}';
    }
    *at++ = ']';
    return at;
}

static char *put_book(char *at, const struct replay_row *row)
{
    at = put_head(at, row, "orderbook");
    at = put_sent(at, row, ",\"tms\":", BOOK_EVENT_TIME);
    at = put_number(at, row, ",\"tas\":", BOOK_TOTAL_ASK_QUANTITY);
    at = put_number(at, row, ",\"tbs\":", BOOK_TOTAL_BID_QUANTITY);
    at = put_units(at, row);
    at = put_number(at, row, ",\"lv\":", BOOK_GROUPING);
    return put_stream_type(at, row);
}

// Day and time of day of the last trade, where they do not follow from its time: "DAY TIME".
static char *put_trade_clock(char *at, const struct replay_row *row)
{
    const uint8_t slot = row->rows->schema->columns[TICKER_TRADE_CLOCK].text;
    const int64_t time_ns = replay_value(row, TICKER_TRADE_TIME);
    if (!replay_has(row, TICKER_TRADE_CLOCK)) {
        at = REPLAY_PUT(at, ",\"tdt\":\"");
        at = replay_date(at, time_ns, "");
        at = REPLAY_PUT(at, "\",\"ttm\":\"");
        at = replay_clock(at, time_ns, "");
        *at++ = '"';
        return at;
    }
    const uint8_t *text = row->rows->text + row->rows->text_offset[slot][row->row];
    const uint32_t size = row->rows->text_length[slot][row->row];
    const uint8_t *space = memchr(text, ' ', size);
    const size_t day = space == NULL ? size : (size_t)(space - text);
    at = put_bytes(at, ",\"tdt\":\"", text, day);
    if (space != NULL) at = put_bytes(at, ",\"ttm\":\"", space + 1, size - day - 1);
    return at;
}

static char *put_ticker_change(char *at, const struct replay_row *row)
{
    if (replay_has(row, TICKER_CHANGE)) {
        const int64_t change = replay_value(row, TICKER_CHANGE);
        at = put_change(at, ",\"c\":", change);
        at = put_magnitude(at, ",\"cp\":", change, scale_of(row, TICKER_CHANGE));
        at = put_number(at, row, ",\"scp\":", TICKER_CHANGE);
    }
    if (replay_has(row, TICKER_CHANGE_RATE)) {
        at = put_magnitude(at, ",\"cr\":", replay_value(row, TICKER_CHANGE_RATE),
                           scale_of(row, TICKER_CHANGE_RATE));
        at = put_number(at, row, ",\"scr\":", TICKER_CHANGE_RATE);
    }
    return at;
}

static char *put_ticker(char *at, const struct replay_row *row)
{
    at = put_head(at, row, "ticker");
    at = put_number(at, row, ",\"op\":", TICKER_OPEN);
    at = put_number(at, row, ",\"hp\":", TICKER_HIGH);
    at = put_number(at, row, ",\"lp\":", TICKER_LOW);
    at = put_number(at, row, ",\"tp\":", TICKER_LAST_PRICE);
    at = put_number(at, row, ",\"pcp\":", TICKER_PREVIOUS_CLOSE);
    at = put_ticker_change(at, row);
    at = put_number(at, row, ",\"tv\":", TICKER_LAST_QUANTITY);
    at = put_number(at, row, ",\"atv\":", TICKER_DAY_VOLUME);
    at = put_number(at, row, ",\"atv24h\":", TICKER_VOLUME);
    at = put_number(at, row, ",\"atp\":", TICKER_DAY_QUOTE_VOLUME);
    at = put_number(at, row, ",\"atp24h\":", TICKER_QUOTE_VOLUME);
    at = put_trade_clock(at, row);
    at = put_ms(at, ",\"ttms\":", replay_value(row, TICKER_TRADE_TIME));
    at = put_side(at, row, ",\"ab\":", TICKER_SIDE);
    at = put_number(at, row, ",\"aav\":", TICKER_DAY_ASK_VOLUME);
    at = put_number(at, row, ",\"abv\":", TICKER_DAY_BID_VOLUME);
    at = put_number(at, row, ",\"h52wp\":", TICKER_HIGH_52W);
    at = put_text(at, row, ",\"h52wdt\":\"", TICKER_HIGH_52W_DATE);
    at = put_number(at, row, ",\"l52wp\":", TICKER_LOW_52W);
    at = put_text(at, row, ",\"l52wdt\":\"", TICKER_LOW_52W_DATE);
    at = put_text(at, row, ",\"ms\":\"", TICKER_MARKET_STATE);
    if (replay_has(row, TICKER_SUSPENDED))
        at = replay_value(row, TICKER_SUSPENDED) != 0 ? REPLAY_PUT(at, ",\"its\":true")
                                                      : REPLAY_PUT(at, ",\"its\":false");
    at = put_text(at, row, ",\"dd\":\"", TICKER_DELISTING_DATE);
    at = put_text(at, row, ",\"mw\":\"", TICKER_MARKET_WARNING);
    at = put_sent(at, row, ",\"tms\":", TICKER_EVENT_TIME);
    return put_stream_type(at, row);
}

static bool row_fits(const struct replay_row *row)
{
    const struct rows *rows = row->rows;
    size_t bytes = FIXED_BYTES + 12 * (size_t)row->symbol.size;
    for (uint64_t bits = rows->present[row->row] & rows->text_columns; bits != 0; bits &= bits - 1)
        bytes += 6 * (size_t)rows->text_length[rows->schema->columns[__builtin_ctzll(bits)].text]
                                              [row->row];
    if (rows->schema->has_levels)
        bytes += LEVEL_BYTES *
                 (size_t)(rows->level_first[row->row + 1] - rows->level_first[row->row]);
    return bytes <= REPLAY_JSON_BYTES_MAX;
}

uint32_t replay_json_upbit(const struct replay_row *row, char *out)
{
    char *at = out;
    ensure(row->exchange == EXCHANGE_SIM_UPBIT);
    if (!row_fits(row)) return 0;
    switch (row->rows->schema->channel) {
    case CHANNEL_TRADE: at = put_trade(at, row); break;
    case CHANNEL_BOOK: at = put_book(at, row); break;
    case CHANNEL_TICKER: at = put_ticker(at, row); break;
    default: break;
    }
    return (uint32_t)(at - out);
}

uint32_t replay_json(const struct replay_row *row, char *out)
{
    return row->exchange == EXCHANGE_SIM_UPBIT ? replay_json_upbit(row, out)
                                               : replay_json_binance(row, out);
}

// ---- REST ----

uint32_t replay_json_rest_tick(const struct replay_row *row, char *out)
{
    const int64_t time_ns = replay_value(row, TRADE_TIME);
    int64_t change;
    uint8_t scale;
    ensure(row->rows->schema->channel == CHANNEL_TRADE);
    char *at = put_bytes(out, "{\"market\":\"", row->symbol.bytes, row->symbol.size);
    at = REPLAY_PUT(at, ",\"trade_date_utc\":\"");
    at = replay_date(at, time_ns, "-");
    at = REPLAY_PUT(at, "\",\"trade_time_utc\":\"");
    at = replay_clock(at, time_ns, ":");
    at = put_ms(at, "\",\"timestamp\":", time_ns);
    at = put_number(at, row, ",\"trade_price\":", TRADE_PRICE);
    at = put_number(at, row, ",\"trade_volume\":", TRADE_QUANTITY);
    at = put_number(at, row, ",\"prev_closing_price\":", TRADE_PREVIOUS_CLOSE);
    if (change_of(row, &change, &scale)) {
        at = REPLAY_PUT(at, ",\"change_price\":");
        at = replay_decimal(at, change, scale, 0);
    }
    at = put_side(at, row, ",\"ask_bid\":", TRADE_SIDE);
    at = put_integer(at, row, ",\"sequential_id\":", TRADE_ID);
    *at++ = '}';
    return (uint32_t)(at - out);
}
