// SPDX-License-Identifier: Apache-2.0
//
// event: what a row is. The channels, their columns, and one row on its way through memory.
//
// A channel's columns are fixed by number: a column is only ever added at the end, never removed,
// renumbered or given another meaning, because the numbers are on disk. docs/fields.md says for
// each message of each exchange which wire key fills which column.
//
// Every channel begins with the same three columns (COLUMN_RECEIVE_TIME, COLUMN_LINK,
// COLUMN_FLAGS), so that the daemon can stamp any event without knowing its channel.
//
// Exactness. A decimal is an int64 mantissa and a scale 0 ... 18: value = mantissa / 10^scale.
// Never a double. A time is nanoseconds since 1970-01-01 UTC, int64. An absent value is absent (its
// bit in `present` is 0, its cell is 0), never 0 or a copy.
//
// Threading: everything here is immutable or owned by the caller.
#ifndef RINGTAPE_FORMAT_EVENT_H
#define RINGTAPE_FORMAT_EVENT_H

#include <stdbool.h>
#include <stdint.h>

// Numbers are on disk. candle and alert are derived from the others (docs/candles.md, alerts.md).
enum channel {
    CHANNEL_NONE = 0,
    CHANNEL_TRADE = 1,
    CHANNEL_AGG_TRADE = 2,
    CHANNEL_QUOTE = 3,
    CHANNEL_DEPTH = 4,
    CHANNEL_BOOK = 5,
    CHANNEL_TICKER = 6,
    CHANNEL_KLINE = 7,
    CHANNEL_CANDLE = 8,
    CHANNEL_ALERT = 9,
    CHANNEL_STATUS = 10,
    CHANNEL_INSTRUMENT = 11,
    CHANNEL_RAW = 12,
    CHANNEL_COUNT = 13,
};

enum column_type {
    COLUMN_INTEGER, // int64
    COLUMN_TIME,    // int64 ns UTC
    COLUMN_DECIMAL, // int64 mantissa + scale
    COLUMN_CODE,    // small number with a name for each value (code_name())
    COLUMN_TEXT,    // bytes, UTF-8 unless said otherwise
};

// How a decimal appears outside (Parquet, Avro): fixed for ever.
enum decimal_kind {
    DECIMAL_NONE,
    DECIMAL_PRICE,        // DECIMAL(18,8)
    DECIMAL_QUANTITY,     // DECIMAL(38,12), base volumes too
    DECIMAL_QUOTE_VOLUME, // DECIMAL(38,16), rates too
};

struct decimal_type {
    uint8_t digits, scale;
};

enum {
    EVENT_COLUMNS_MAX = 64,  // `present` is one 64-bit word
    EVENT_TEXTS_MAX = 6,     // text columns of one channel
    EVENT_LEVELS_MAX = 10000, // price levels of one message (REST depth: 2 x 5,000)
    EVENT_TEXT_BYTES_MAX = 1 << 20, // one text value (a whole raw frame)
    DECIMAL_SCALE_MAX = 18,
    SYMBOL_NONE = 0xffffffff, // an event of a link or of the daemon, not of an instrument
};

struct column {
    const char *name;          // snake_case, as in Parquet, JSON and docs
    enum column_type type;
    enum decimal_kind decimal; // COLUMN_DECIMAL only
    bool nullable;
    uint8_t text;              // COLUMN_TEXT: index in event.text[]
    const char *const *codes;  // COLUMN_CODE: names by value, NULL-terminated
};

struct channel_schema {
    enum channel channel;
    const char *name;            // "trade"
    const struct column *columns;
    uint8_t column_count;
    bool has_levels;             // a list of struct event_level hangs on each row
    uint8_t times[3];            // `time` of a row = first present of these columns
    uint8_t time_count;
    uint8_t identity[4];         // columns that name an event at its exchange, beside the symbol
    uint8_t identity_count;      // 0: no identity; never deduplicated across links
};

// NULL for a number without schema.
const struct channel_schema *channel_schema(enum channel channel);
// Bit c: column c is not nullable. Rows are stored as they are; who makes them sees to it.
uint64_t schema_required(const struct channel_schema *schema);
struct decimal_type decimal_type_of(enum decimal_kind kind);
// By name ("trade"), CHANNEL_NONE if unknown.
enum channel channel_by_name(const char *name);
// Index of the column or -1.
int column_by_name(const struct channel_schema *schema, const char *name);
// Name of a COLUMN_CODE value, or NULL if the value has none.
const char *code_name(const struct column *column, int64_t value);

// ---- columns, by channel ----

enum { // the same in every channel
    COLUMN_RECEIVE_TIME = 0, // clock at reaping the completion with the message's last byte
    COLUMN_LINK = 1,         // number of the link (status rows tell which connection it is)
    COLUMN_FLAGS = 2,        // event_flags
    COLUMN_FIRST_OWN = 3,
};

enum event_flags {
    EVENT_REPAIRED = 1,   // came by REST, to fill a hole
    EVENT_BACKFILLED = 2, // came from an archive
    EVENT_SNAPSHOT = 4,   // the exchange marked it as state at subscription, not news
};

enum trade_columns {
    TRADE_EVENT_TIME = COLUMN_FIRST_OWN, // Binance E, Upbit timestamp
    TRADE_TIME,                          // Binance T, Upbit trade_timestamp
    TRADE_ID,
    TRADE_PRICE,
    TRADE_QUANTITY,
    TRADE_SIDE,                          // aggressor side, enum side
    TRADE_BEST_MATCH,                    // Binance M
    TRADE_KIND,                          // text; Binance futures X ("MARKET", ...)
    TRADE_PREVIOUS_CLOSE,                // Upbit prev_closing_price
    TRADE_BEST_BID_PRICE,                // Upbit best_*
    TRADE_BEST_BID_QUANTITY,
    TRADE_BEST_ASK_PRICE,
    TRADE_BEST_ASK_QUANTITY,
    TRADE_COLUMN_COUNT
};

enum side { SIDE_BUY = 0, SIDE_SELL = 1 }; // of the aggressor; in levels: bid = 0, ask = 1

enum agg_trade_columns {
    AGG_TRADE_EVENT_TIME = COLUMN_FIRST_OWN,
    AGG_TRADE_TIME,
    AGG_TRADE_ID,
    AGG_TRADE_PRICE,
    AGG_TRADE_QUANTITY,
    AGG_TRADE_FIRST_ID,
    AGG_TRADE_LAST_ID,
    AGG_TRADE_SIDE,
    AGG_TRADE_BEST_MATCH,
    AGG_TRADE_NORMAL_QUANTITY, // Binance futures nq (quantity without retail price improvement)
    AGG_TRADE_COLUMN_COUNT
};

enum quote_columns {
    QUOTE_EVENT_TIME = COLUMN_FIRST_OWN, // futures only; spot bookTicker has no time
    QUOTE_TRANSACTION_TIME,              // futures only
    QUOTE_ID,                            // u
    QUOTE_BID_PRICE,
    QUOTE_BID_QUANTITY,
    QUOTE_ASK_PRICE,
    QUOTE_ASK_QUANTITY,
    QUOTE_COLUMN_COUNT
};

enum depth_columns {
    DEPTH_EVENT_TIME = COLUMN_FIRST_OWN,
    DEPTH_TRANSACTION_TIME, // futures only
    DEPTH_FIRST_ID,         // U
    DEPTH_LAST_ID,          // u
    DEPTH_PREVIOUS_ID,      // futures pu
    DEPTH_COLUMN_COUNT
};

enum book_columns {
    BOOK_EVENT_TIME = COLUMN_FIRST_OWN, // Upbit timestamp, Binance futures E
    BOOK_TRANSACTION_TIME,              // Binance futures T
    BOOK_LAST_ID,                       // Binance lastUpdateId / u
    BOOK_SOURCE,                        // enum book_source
    BOOK_FIRST_ID,                      // Binance futures partial depth U
    BOOK_PREVIOUS_ID,                   // Binance futures partial depth pu
    BOOK_TOTAL_BID_QUANTITY,            // Upbit total_bid_size
    BOOK_TOTAL_ASK_QUANTITY,            // Upbit total_ask_size
    BOOK_GROUPING,                      // Upbit level
    BOOK_COLUMN_COUNT
};

enum { BOOK_REST_LEVELS = 1000 }; // a side, as the recorder asks for them

enum book_source { // levels asked for; REST: the depth snapshot
    BOOK_SOURCE_DEPTH5 = 0,
    BOOK_SOURCE_DEPTH10 = 1,
    BOOK_SOURCE_DEPTH20 = 2,
    BOOK_SOURCE_REST = 3,
    BOOK_SOURCE_ORDERBOOK = 4, // Upbit
};

enum ticker_columns {
    TICKER_EVENT_TIME = COLUMN_FIRST_OWN, // Binance E, Upbit timestamp
    TICKER_TRADE_TIME,                    // Upbit trade_timestamp
    TICKER_OPEN_TIME,                     // Binance O
    TICKER_CLOSE_TIME,                    // Binance C
    TICKER_FIRST_ID,                      // Binance F
    TICKER_LAST_ID,                       // Binance L
    TICKER_TRADES,                        // Binance n
    TICKER_OPEN,
    TICKER_HIGH,
    TICKER_LOW,
    TICKER_LAST_PRICE,
    TICKER_LAST_QUANTITY,
    TICKER_PREVIOUS_CLOSE,                // Binance x, Upbit prev_closing_price
    TICKER_CHANGE,                        // signed: Binance p, Upbit signed_change_price
    TICKER_CHANGE_RATE,                   // Upbit signed_change_rate (a fraction)
    TICKER_CHANGE_PERCENT,                // Binance P (per cent)
    TICKER_WEIGHTED_AVERAGE,              // Binance w
    TICKER_BID_PRICE,
    TICKER_BID_QUANTITY,
    TICKER_ASK_PRICE,
    TICKER_ASK_QUANTITY,
    TICKER_VOLUME,                        // base, 24 h
    TICKER_QUOTE_VOLUME,                  // quote, 24 h
    TICKER_DAY_VOLUME,                    // Upbit acc_trade_volume (since 00:00 UTC)
    TICKER_DAY_QUOTE_VOLUME,              // Upbit acc_trade_price
    TICKER_DAY_BID_VOLUME,                // Upbit acc_bid_volume
    TICKER_DAY_ASK_VOLUME,                // Upbit acc_ask_volume
    TICKER_SIDE,                          // Upbit ask_bid of the last trade
    TICKER_HIGH_52W,
    TICKER_LOW_52W,
    TICKER_SUSPENDED,                     // Upbit is_trading_suspended
    TICKER_HIGH_52W_DATE,                 // text "YYYY-MM-DD"
    TICKER_LOW_52W_DATE,
    TICKER_MARKET_STATE,                  // text
    TICKER_MARKET_WARNING,                // text
    TICKER_DELISTING_DATE,                // text
    TICKER_TRADE_CLOCK,                   // text; Upbit trade_date + trade_time where they do
                                          // not follow from trade_timestamp
    TICKER_COLUMN_COUNT
};

enum kline_columns {
    KLINE_EVENT_TIME = COLUMN_FIRST_OWN,
    KLINE_OPEN_TIME,
    KLINE_CLOSE_TIME,
    KLINE_FIRST_ID,
    KLINE_LAST_ID,
    KLINE_TRADES,
    KLINE_OPEN,
    KLINE_HIGH,
    KLINE_LOW,
    KLINE_CLOSE,
    KLINE_VOLUME,
    KLINE_QUOTE_VOLUME,
    KLINE_TAKER_BUY_VOLUME,
    KLINE_TAKER_BUY_QUOTE_VOLUME,
    KLINE_CLOSED,
    KLINE_INTERVAL, // text, "1m"
    KLINE_IGNORED,  // text; Binance B where it is not "0"
    KLINE_COLUMN_COUNT
};

// Made here from trades. A sum or quotient may have more digits than a mantissa: then `..._rest`
// holds what is missing, and the value is the sum of both.
enum candle_columns {
    CANDLE_INTERVAL = COLUMN_FIRST_OWN, // text, "1m"
    CANDLE_OPEN_TIME,
    CANDLE_CLOSE_TIME,                  // open time + interval: the first instant behind it
    CANDLE_REVISION,                    // 0 first, one more each time it is issued again
    CANDLE_SOURCE,                      // enum candle_source
    CANDLE_TRADES,
    CANDLE_OPEN,                        // prices, ids, vwap: absent where there was no trade
    CANDLE_HIGH,
    CANDLE_LOW,
    CANDLE_CLOSE,
    CANDLE_VOLUME,
    CANDLE_QUOTE_VOLUME,
    CANDLE_QUOTE_VOLUME_REST,
    CANDLE_TAKER_BUY_VOLUME,
    CANDLE_VWAP,                        // quote volume / volume, half-even at 12 decimals
    CANDLE_VWAP_REST,
    CANDLE_FIRST_ID,                    // ids of the first and last trade by (time, id)
    CANDLE_LAST_ID,
    CANDLE_COLUMN_COUNT
};

enum candle_source { CANDLE_FROM_TRADES = 0, CANDLE_FROM_AGG_TRADES = 1 }; // on disk

enum alert_columns {
    ALERT_ID = COLUMN_FIRST_OWN, // XXH3-64 of rule and evidence (docs/alerts.md)
    ALERT_KIND,                  // enum alert_kind
    ALERT_RULE,                  // text: name of the rule in the configuration
    ALERT_WINDOW,                // ns: length of the window that the rule looks at
    ALERT_FROM_TIME,             // evidence: first and last event of what was seen
    ALERT_TO_TIME,
    ALERT_FIRST_ID,              // their ids, where the channel has ids
    ALERT_LAST_ID,
    ALERT_FROM_PRICE,            // surge, crash: the extreme and the price that crossed the
    ALERT_TO_PRICE,              // threshold; spread: bid and ask
    ALERT_MEASURE,               // what was compared with the threshold, both as a ratio:
    ALERT_THRESHOLD,             // return, multiple of the baseline, spread; silence: seconds
    ALERT_VOLUME,                // burst: of the window
    ALERT_BASELINE,              // burst: what is usual in a window; spread: usual spread
    ALERT_EXCHANGE,              // text; silence, which has no symbol
    ALERT_COLUMN_COUNT
};

enum alert_kind { // numbers are on disk
    ALERT_SURGE = 0,
    ALERT_CRASH = 1,
    ALERT_VOLUME_BURST = 2,
    ALERT_SPREAD = 3,
    ALERT_SILENCE = 4,
};

enum status_columns { // gaps are visible in the data itself
    STATUS_KIND = COLUMN_FIRST_OWN, // enum status_kind
    STATUS_FIRST_ID,                // holes: first and last missing id
    STATUS_LAST_ID,
    STATUS_FROM_TIME,               // holes and intervals without ids
    STATUS_TO_TIME,
    STATUS_COUNT,
    STATUS_CHANNEL,                 // the channel meant, as its number; named about_channel, since
                                    // exports have a partition named channel
    STATUS_DETAIL,                  // text for people
    STATUS_COLUMN_COUNT
};

enum status_kind { // numbers are on disk
    STATUS_STARTED = 0,      // detail: version, store
    STATUS_STOPPED = 1,
    STATUS_CONFIGURED = 2,   // detail: XXH3-64 of the configuration
    STATUS_LINK_UP = 3,      // detail: exchange, address, streams
    STATUS_LINK_DOWN = 4,    // detail: cause
    STATUS_LINK_REFUSED = 5, // the exchange answered a request with an error; detail: its words
    STATUS_SERVER_SHUTDOWN = 6,
    STATUS_CLOCK_STEP = 7,   // count: ns, signed
    STATUS_HOLE_OPENED = 8,
    STATUS_HOLE_REPAIRED = 9,
    STATUS_HOLE_LOST = 10,
    STATUS_SYMBOL_ADDED = 11,
    STATUS_SYMBOL_REMOVED = 12,
    STATUS_INTERVAL_CLOSED = 13, // a series of ids ended; about candle: all of an interval are out
    STATUS_UNKNOWN_KEY = 14, // detail: message type and key; count: how often so far
    STATUS_ROWS_REFUSED = 15, // rows that could not be stored as columns; they are in raw
    STATUS_CHANNEL_PAUSED = 16,
    STATUS_CHANNEL_RESUMED = 17,
    STATUS_CLOCK_OFFSET = 18, // begins or ends to be off; count: ns from event to receipt, least
    STATUS_STORE_DAMAGED = 19, // stored rows cannot be read; detail: where, how many
    STATUS_DATA_DELETED = 20,  // by `keep`, or for room on a full disk; detail: what
    STATUS_DISK_FULL = 21,     // detail: what is done about it
    STATUS_DISK_FREED = 22,
    STATUS_MESSAGE_REFUSED = 23, // Kafka refused a stored row for good; it is kept; detail: which
    STATUS_BACKFILLED = 24, // ids or times that were filled in; count: rows; detail: file, checksum
};

enum instrument_columns {
    INSTRUMENT_TICK = COLUMN_FIRST_OWN, // price step
    INSTRUMENT_STEP,                    // quantity step
    INSTRUMENT_STATE,                   // text: TRADING, HALT, ...
    INSTRUMENT_BASE,                    // text
    INSTRUMENT_QUOTE,                   // text
    INSTRUMENT_BODY,                    // text: the exchange's own words, verbatim JSON
    INSTRUMENT_COLUMN_COUNT
};

enum raw_columns {
    RAW_REASON = COLUMN_FIRST_OWN, // enum raw_reason
    RAW_DETAIL,                    // text: what was wrong, the unknown key
    RAW_FRAME,                     // text, any bytes: the message, verbatim
    RAW_COLUMN_COUNT
};

enum raw_reason { // numbers are on disk
    RAW_NOT_JSON = 0,
    RAW_UNKNOWN_TYPE = 1,
    RAW_UNKNOWN_SYMBOL = 2,
    RAW_MISSING_KEY = 3,
    RAW_WRONG_TYPE = 4,
    RAW_NUMBER_REFUSED = 5, // does not fit exactly
    RAW_UNKNOWN_KEY = 6,    // the row is stored as well
    RAW_INCONSISTENT = 7,   // a derivable field contradicts; the row is stored as well
    RAW_KEPT = 8,           // keep_raw: everything is kept
    RAW_TOO_LARGE = 9, // frame cut to EVENT_TEXT_BYTES_MAX, or more than EVENT_LEVELS_MAX levels
    RAW_DUPLICATE_KEY = 10, // which of the two values counts is not defined
};

// ---- one event ----

struct event_text {
    const uint8_t *bytes; // not owned; lives as long as the producer says
    uint32_t size;
};

// One price level of a depth or book row, in the order of the message (bids first as Binance
// sends them; Upbit units alternate ask, bid).
struct event_level {
    int64_t price;
    int64_t quantity;
    uint8_t price_scale;
    uint8_t quantity_scale;
    uint8_t side; // 0 bid, 1 ask
};

// Large; reuse one. Fill with event_clear() then event_set_*(); cells without present bit
// are unspecified and must not be read.
struct event {
    enum channel channel;
    uint32_t symbol;  // index in the caller's symbol table, or SYMBOL_NONE
    uint64_t present; // bit c: column c has a value
    uint32_t level_count;
    const struct event_level *levels;
    int64_t value[EVENT_COLUMNS_MAX];
    uint8_t scale[EVENT_COLUMNS_MAX];
    struct event_text text[EVENT_TEXTS_MAX];
};

static inline void event_clear(struct event *event, enum channel channel, uint32_t symbol)
{
    event->channel = channel;
    event->symbol = symbol;
    event->present = 0;
    event->level_count = 0;
    event->levels = 0;
}

static inline void event_set(struct event *event, int column, int64_t value)
{
    event->value[column] = value;
    event->present |= 1ull << column;
}

static inline void event_set_decimal(struct event *event, int column, int64_t mantissa,
                                     uint8_t scale)
{
    event->value[column] = mantissa;
    event->scale[column] = scale;
    event->present |= 1ull << column;
}

static inline bool event_has(const struct event *event, int column)
{
    return (event->present >> column & 1) != 0;
}

// Text columns: `column` by its number; the slot comes from the schema.
void event_set_text(struct event *event, int column, const void *bytes, uint32_t size);
struct event_text event_text(const struct event *event, int column);

// `time` of the row: what it is sorted, partitioned and searched by; 0 where the row has none of
// the channel's times.
int64_t event_time_ns(const struct event *event);

#endif
