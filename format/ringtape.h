// SPDX-License-Identifier: Apache-2.0
//
// ringtape: reads stores that ringtaped writes: recordings of crypto exchanges. The public face of
// libringtape; docs/library.md begins with examples, docs/format.md says what lies on disk.
//
// A store has channels (trade, quote, depth ...), a channel rows with fixed columns. A row belongs
// to a symbol, "binance:BTCUSDT", and has a `time`, by which it is searched. Sealed days lie in
// segments, column by column and with an index; what was recorded last is in tapes. A scan reads
// both, also while a daemon writes, seals, merges and deletes: nothing is locked, nothing is
// written, every row comes once.
//
// Numbers are exact. A decimal is an int64 mantissa and a scale 0 ... 18: value = mantissa /
// 10^scale. A time is nanoseconds since 1970-01-01 UTC as int64. An absent value is told apart from
// 0. Damage on disk is never given as data.
//
// Errors. Functions that can fail return an int: 0 or more is good, below 0 is one of enum
// ringtape_error. They take a struct ringtape_message, which may be NULL and receives one line for
// people: which file, what is wrong, what to do.
//
// Ownership. What a function gives as `struct x **` is the caller's to close. What it points to is
// the library's, valid as long as its comment says. Arguments are copied where they are needed
// longer.
//
// Threading. A store and everything opened from it belong to one thread at a time. Several stores,
// also of one folder, are independent. No globals, no threads, no signals; files are the only thing
// touched. A bug in the library ends the process with a line on standard error.
//
// Memory. A scan holds one decoded block or batch: typically 1 to 5 MiB.
#ifndef RINGTAPE_RINGTAPE_H
#define RINGTAPE_RINGTAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RINGTAPE_API __attribute__((visibility("default")))

enum ringtape_error {
    RINGTAPE_NO_STORE = -1,  // there is no store at this path
    RINGTAPE_DAMAGED = -2,   // bytes are not what they should be
    RINGTAPE_NEWER = -3,     // written by a newer major version: a newer library is needed
    RINGTAPE_ARGUMENT = -4,  // a name that does not exist, a range from high to low
    RINGTAPE_NO_MEMORY = -5,
    RINGTAPE_SYSTEM = -6,    // the system refused; the message says what
    RINGTAPE_STALE = -7,     // files needed are gone: open the scan again
};

enum {
    RINGTAPE_MESSAGE_BYTES = 1536,
    RINGTAPE_COLUMNS_MAX = 64,
    RINGTAPE_DECIMAL_BYTES = 48,
    RINGTAPE_NAME_BYTES = 256, // of a symbol, with the zero at its end
};

#define RINGTAPE_NO_SYMBOL UINT32_MAX // a row of a link or of the daemon, not of an instrument

struct ringtape_message {
    char text[RINGTAPE_MESSAGE_BYTES];
};

RINGTAPE_API const char *ringtape_version(void);            // "0.1.0"
RINGTAPE_API const char *ringtape_strerror(int error);      // "damaged"

// ---- schema: the same for every store ----

enum ringtape_type {
    RINGTAPE_INTEGER,
    RINGTAPE_TIME,    // ns UTC
    RINGTAPE_DECIMAL, // mantissa; the scale is the chunk's
    RINGTAPE_CODE,    // a small number with a name: ringtape_code_name()
    RINGTAPE_TEXT,    // bytes, UTF-8 unless docs/fields.md says otherwise
};

struct ringtape_channel {
    const char *name; // "trade"
    uint32_t column_count;
    bool has_levels;   // rows have a list of price levels
    bool has_identity; // rows are named by their own columns; otherwise by (tape, tape_row)
};

struct ringtape_column {
    const char *name; // "price"
    enum ringtape_type type;
    bool nullable; // rows may be without it
};

// Channels are numbered 0 ... count - 1 here, in no order that lasts. False: no such number.
RINGTAPE_API uint32_t ringtape_channel_count(void);
RINGTAPE_API bool ringtape_channel_at(uint32_t index, struct ringtape_channel *channel);
RINGTAPE_API bool ringtape_channel_find(const char *name, struct ringtape_channel *channel);
// Columns by their number, which never changes. False: no such channel or column.
RINGTAPE_API bool ringtape_column_at(const char *channel, uint32_t number,
                                     struct ringtape_column *column);
// Its number, or -1.
RINGTAPE_API int ringtape_column_find(const char *channel, const char *column);
// NULL: the value has no name.
RINGTAPE_API const char *ringtape_code_name(const char *channel, int column, int64_t value);
// The value of a name, or -1.
RINGTAPE_API int64_t ringtape_code_find(const char *channel, int column, const char *name);

// ---- store ----

struct ringtape;

// Opens for reading; the state is that of this moment.
RINGTAPE_API int ringtape_open(struct ringtape **store, const char *path,
                               struct ringtape_message *message);
RINGTAPE_API void ringtape_close(struct ringtape *store); // close scans and finders first
// What ringtape_days() tells is as of now; scans look for themselves.
RINGTAPE_API int ringtape_refresh(struct ringtape *store, struct ringtape_message *message);

// What segments hold of a channel on a UTC day of `time`. Tapes come on top.
struct ringtape_day {
    const char *channel;
    int32_t day; // days since 1970-01-01
    uint32_t segments;
    uint64_t rows;
    uint64_t bytes;
    int64_t time_min;
    int64_t time_max;
};
// Fills at most `room`, sorted by channel and day; returns how many there are.
RINGTAPE_API uint32_t ringtape_days(const struct ringtape *store, struct ringtape_day *days,
                                    uint32_t room);

// A symbol of a channel, over segments and tapes. Rows without symbol have an empty name.
struct ringtape_symbol {
    char name[RINGTAPE_NAME_BYTES];
    uint64_t rows;
    int64_t time_min;
    int64_t time_max;
};
// All of them, by name. Segments are asked by their indexes; tapes are read through. Give *symbols
// to ringtape_symbols_free().
RINGTAPE_API int ringtape_symbols(struct ringtape *store, const char *channel,
                                  struct ringtape_symbol **symbols, uint32_t *count,
                                  struct ringtape_message *message);
RINGTAPE_API void ringtape_symbols_free(struct ringtape_symbol *symbols);

// ---- scan ----

// Something on disk is damaged; its rows are left out and the rest comes.
struct ringtape_damage {
    const char *path; // relative to the store
    const char *what;
    uint64_t offset; // in the file
    uint64_t bytes;
    uint64_t rows; // lost, where known; else 0
};
typedef void ringtape_damage_callback(void *context, const struct ringtape_damage *damage);

// A row matches if the column has a value in [min, max]. Any column but texts.
struct ringtape_predicate {
    const char *column;
    int64_t min;
    int64_t max;
    uint8_t scale; // decimals: of min and max
};

enum ringtape_follow {
    RINGTAPE_FOLLOW_NOT,
    // Everything there is, resp. only what becomes durable after the scan was opened; when
    // ringtape_scan_next() has said 0, call it again later for what is new. A row comes when it is
    // known to be durable, within two seconds, once, whatever is sealed or deleted meanwhile.
    // RINGTAPE_STALE: tapes came, went and were merged with others between two calls.
    RINGTAPE_FOLLOW_ALL,
    RINGTAPE_FOLLOW_NEW,
};

// Begin with ringtape_query_of(). All conditions must hold. Times, symbols, ids (`id`, `first_id`,
// `last_id` of the channels that have identity) and prices (trade, agg_trade `price`, quote
// `bid_price`, kline `close`, ticker `last_price`) are also held against what the index knows of
// each block: blocks that cannot match are not read.
struct ringtape_query {
    const char *channel;
    const char *const *symbols; // "binance:BTCUSDT"; "binance:*" for all of an exchange
    uint32_t symbol_count;      // 0: all rows, also those without symbol
    int64_t time_from;          // `time` in [time_from, time_to); INT64_MAX: to the end
    int64_t time_to;
    const struct ringtape_predicate *predicates;
    uint32_t predicate_count;
    const char *const *columns; // names; others are not decoded. `levels`: the list of levels
    uint32_t column_count;      // 0: all
    bool segments;              // rows in segments
    bool tapes;                 // rows in tapes
    enum ringtape_follow follow;
    ringtape_damage_callback *damage; // NULL: damage ends the scan with RINGTAPE_DAMAGED
    void *damage_context;
};

// Everything of a channel.
static inline struct ringtape_query ringtape_query_of(const char *channel)
{
    struct ringtape_query query;
    memset(&query, 0, sizeof query);
    query.channel = channel;
    query.time_from = INT64_MIN;
    query.time_to = INT64_MAX;
    query.segments = true;
    query.tapes = true;
    return query;
}

struct ringtape_text {
    const char *bytes; // not zero-terminated
    uint32_t size;
};

// One column of a chunk.
struct ringtape_values {
    const int64_t *value; // [rows]; 0 where absent. NULL: a text, or not asked for
    uint8_t scale;        // decimals: of all values of this chunk
    const uint32_t *text_offset; // [rows] in chunk->text. NULL: no text, or not asked for
    const uint32_t *text_length; // [rows] 0 where absent
};

// Some rows, column by column. Rows of one symbol and one shard come in order of arrival; rows of
// several symbols are not merged by time. Valid until the next call.
struct ringtape_chunk {
    uint32_t rows;
    const int64_t *time;     // [rows]
    const uint32_t *symbol;  // [rows] number in symbols, or RINGTAPE_NO_SYMBOL
    const uint64_t *present; // [rows] bit c: the row has a value in column c
    const struct ringtape_text *symbols; // [symbol_count]
    uint32_t symbol_count;
    const char *text;
    struct ringtape_values column[RINGTAPE_COLUMNS_MAX]; // by number
    // Levels of row r are level_first[r] ... level_first[r + 1] - 1. NULL: the channel has none.
    // They keep scales of their own, in practice all the same.
    const uint32_t *level_first; // [rows + 1]
    const int64_t *level_price;
    const int64_t *level_quantity;
    const uint8_t *level_price_scale;
    const uint8_t *level_quantity_scale;
    const uint8_t *level_side; // 0 bid, 1 ask
    // Provenance. NULL: rows of a segment of a channel with identity.
    const uint32_t *tape;
    const uint64_t *tape_row;
    // Coded in a way this library does not know, which is not the same as absent.
    uint64_t unknown_columns; // bit c
    bool unknown_levels;
};

static inline bool ringtape_has(const struct ringtape_chunk *chunk, int column, uint32_t row)
{
    return (chunk->present[row] >> column & 1) != 0;
}

struct ringtape_scan;

RINGTAPE_API int ringtape_scan_open(struct ringtape_scan **scan, struct ringtape *store,
                                    const struct ringtape_query *query,
                                    struct ringtape_message *message);
// 1: `chunk` is filled; 0: the end, for now where the scan follows.
RINGTAPE_API int ringtape_scan_next(struct ringtape_scan *scan, struct ringtape_chunk *chunk,
                                    struct ringtape_message *message);
RINGTAPE_API void ringtape_scan_close(struct ringtape_scan *scan);

// What was decoded so far, and what was passed over because it cannot match.
struct ringtape_counts {
    uint64_t segments_read;
    uint64_t blocks_read;
    uint64_t blocks_skipped;
    uint64_t batches_read;
    uint64_t batches_skipped;
    uint64_t bytes_done; // for progress
    uint64_t bytes_total;
};
RINGTAPE_API struct ringtape_counts ringtape_scan_counts(const struct ringtape_scan *scan);

// ---- point read ----

// Finds the last row of a symbol at or before a time: that with the greatest `time`, of several the
// last to arrive. Columns as in a query. `tapes`: also in tapes, which are read through for it;
// without, one block of one segment is decoded and the store is as of ringtape_refresh().
struct ringtape_finder;

RINGTAPE_API int ringtape_finder_open(struct ringtape_finder **finder, struct ringtape *store,
                                      const char *channel, const char *const *columns,
                                      uint32_t column_count, bool tapes,
                                      struct ringtape_message *message);
// 1: `chunk` has the one row, valid until the next call; 0: there is none.
RINGTAPE_API int ringtape_find_last(struct ringtape_finder *finder, const char *symbol,
                                    int64_t time_ns, struct ringtape_chunk *chunk,
                                    struct ringtape_message *message);
RINGTAPE_API void ringtape_finder_close(struct ringtape_finder *finder);

// ---- a batch out of Kafka ----

// A message of the topic PREFIX.batches (docs/kafka.md): rows of all channels as they were
// committed together. It needs no store. A batch may bring rows again that an earlier one brought:
// `from` is the first row of the tape that is wanted, 0 for all; keep the highest that
// ringtape_batch_end() said of the tape for its next batch.
struct ringtape_batch;

// The bytes are copied. `tape` stands in the message's identity and comes back in the chunks.
RINGTAPE_API int ringtape_batch_open(struct ringtape_batch **batch, const void *bytes, size_t size,
                                     uint32_t tape, uint64_t from,
                                     struct ringtape_message *message);
// 1: `chunk` has rows of *channel, valid until the next call or the close; 0: there are no more. A
// channel's rows come in their order, one channel behind the other.
RINGTAPE_API int ringtape_batch_next(struct ringtape_batch *batch, const char **channel,
                                     struct ringtape_chunk *chunk,
                                     struct ringtape_message *message);
// The tape's first row behind the batch.
RINGTAPE_API uint64_t ringtape_batch_end(const struct ringtape_batch *batch);
RINGTAPE_API void ringtape_batch_close(struct ringtape_batch *batch);

// ---- helpers ----

// The value at another scale; false: it does not fit exactly.
RINGTAPE_API bool ringtape_rescale(int64_t mantissa, uint8_t scale, uint8_t new_scale,
                                   int64_t *rescaled);
// Exact and shortest text, "0.35"; returns its bytes without the zero at the end.
RINGTAPE_API size_t ringtape_decimal_text(int64_t mantissa, uint8_t scale,
                                          char out[RINGTAPE_DECIMAL_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
