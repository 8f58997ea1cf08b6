// SPDX-License-Identifier: GPL-3.0-or-later
//
// dialect: how one exchange speaks. Pure: bytes in, events or bytes out; no socket, no clock, no
// state beyond what the caller passes. Adding an exchange is one file with one `const struct
// dialect` and one line in the table of dialect.c.
//
// Reading. dialect_frame_begin() takes one whole WebSocket message; dialect_frame_next() then gives
// its events one by one (a message may hold none: a control reply; one; or many: an array). Nothing
// passes silently: what is not understood comes out as an event of CHANNEL_RAW with the reason and
// the bytes; a key never seen before yields the row and, behind it, a RAW_UNKNOWN_KEY event;
// a derivable field that contradicts its source yields RAW_INCONSISTENT behind the row. The
// caller limits how many whole frames per unknown key it keeps.
//
// Two scanners, one result. Each message type has a schema-specific scanner that expects the keys
// in the exchange's order and a strict fallback over json.h that takes any order and unknown keys.
// Both must give the same events for the same bytes where both accept (tests and fuzzers compare);
// the fast one may refuse anything and hand over to the strict one. Messages that come a few
// times a minute (kline, Binance ticker) have the strict one alone.
//
// COLUMN_FLAGS of every event is set: EVENT_SNAPSHOT or 0; the caller adds its own by OR.
// COLUMN_RECEIVE_TIME and COLUMN_LINK are left to the caller.
//
// Decimals are exact or the row is refused: RAW_NUMBER_REFUSED.
//
// Sources: exchange documentation as cited in docs/fields.md.
#ifndef RINGTAPE_EXCHANGE_DIALECT_H
#define RINGTAPE_EXCHANGE_DIALECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/symbols.h"
#include "format/event.h"

enum {
    DIALECT_FRAME_PADDING = 64,      // readable bytes behind every frame
    DIALECT_CHANNEL_BYTES_MAX = 31,  // "kline_1m"
    DIALECT_REQUEST_BYTES_MAX = 65536,
    DIALECT_PENDING_MAX = 8,         // raw rows behind one row: unknown keys, contradictions
    DIALECT_DETAIL_BYTES_MAX = 95,   // RAW_DETAIL; longer is cut
    DIALECT_SCRATCH_BYTES = 256,     // texts of one event that had to be unescaped
};

// What a link is subscribed to, as the configuration spells it: "trade", "agg_trade", "quote",
// "depth", "book5", "book10", "book20", "book" (Upbit), "ticker", "kline_1m".
struct dialect_channel {
    char text[DIALECT_CHANNEL_BYTES_MAX + 1];
};

// One subscription of a link: a symbol's channel.
struct dialect_stream {
    uint32_t symbol;
    uint16_t channel; // index in the feed's list of channels
};

// What the caller keeps for each link's parsing. Constant while the link lives.
struct dialect_context {
    const struct symbols *symbols;
    uint32_t exchange;    // symbols_exchange() of the feed
    uint32_t raw_symbol;  // raw (not combined) stream: the one symbol, else SYMBOL_NONE
    const char *raw_stream; // raw stream: its name ("btcusdt@depth5"), else NULL
};

// What a frame was, beside its events.
enum dialect_frame_kind {
    DIALECT_FRAME_EVENTS,   // events (or raw rows) follow
    DIALECT_FRAME_REPLY,    // answer to a request: id and whether it is an error
    DIALECT_FRAME_SHUTDOWN, // the exchange will close: renew at once
    DIALECT_FRAME_ALIVE,    // keep-alive answer ({"status":"UP"})
};

struct dialect;

struct dialect_pending { // a raw row that is still to come
    enum raw_reason reason;
    uint8_t detail_size;
    char detail[DIALECT_DETAIL_BYTES_MAX];
};

// Walks one frame. Transparent because it lives on the caller's stack or in the link; about 1.5 KB.
// dialect_frame_begin() fills it.
struct dialect_frame {
    const struct dialect *dialect;
    const struct dialect_context *context;
    const uint8_t *bytes; // DIALECT_FRAME_PADDING readable bytes follow
    uint32_t size;
    enum dialect_frame_kind kind;
    // DIALECT_FRAME_REPLY
    int64_t reply_id;        // -1: none
    bool reply_failed;
    struct event_text reply; // its words, points into the frame
    // ---- private to the dialect ----
    struct event_level *levels; // room for EVENT_LEVELS_MAX, from the caller
    const char *walk_at;        // array frames: the elements still to come
    const char *walk_end;
    uint32_t step;
    uint32_t pending_at;
    uint32_t pending_count;
    uint32_t scratch_size;
    uint32_t message_symbol;      // of the message the pending rows quote
    struct event_text message;    // its bytes
    struct dialect_pending pending[DIALECT_PENDING_MAX];
    char scratch[DIALECT_SCRATCH_BYTES];
};

struct dialect_subscribe {
    const struct dialect_context *context;
    const struct dialect_channel *channels;
    const struct dialect_stream *streams; // of this link
    uint32_t stream_count;   // unsubscribe: those that were asked for
    uint64_t request_id; // of the first request; counts up
    char ticket[37];     // UUID text from the caller's randomness (Upbit)
};

// Facts of REST replies that the daemon needs to know an `all` feed and write instrument rows.
typedef void dialect_instrument_callback(void *context, const struct event *event,
                                         const char *symbol, uint32_t symbol_size, bool trading);

struct dialect_history; // exchange/history.h
struct strict_message; // exchange/strict.h: the keys of one message type

struct dialect {
    const char *name;          // "binance": the exchange in configuration, keys, partitions
    const char *url;           // default WebSocket URL, "wss://stream.binance.com:9443"
    const char *rest_url;      // "https://api.binance.com"
    const char *instruments_path; // GET of exchangeInfo / market/all
    uint32_t streams_max;      // per connection
    uint32_t requests_per_second_max;
    uint32_t requests_per_minute_max; // 0: no such limit
    uint32_t connects_per_window_max; // connection attempts per IP ...
    int64_t connect_window_ns;        // ... in this window
    int64_t connection_life_ns;       // the exchange closes after it; 0: unknown
    int64_t idle_limit_ns;            // silence after which the link is dead (exchange pings count)
    int64_t ping_interval_ns;         // send a WebSocket ping this often; 0: never needed
    bool trade_ids_follow;            // each trade's id is the last one's plus one

    // True if the exchange offers the channel ("kline_1m"); `channel` gets the row type.
    bool (*channel_known)(const char *text, enum channel *channel);
    // Some exchanges give a kind of channel its own path (Binance futures: /public for books and
    // trades, /market for the rest): a link carries streams of one group only.
    uint32_t group_count; // 1: no such split
    uint32_t (*group)(const char *channel); // below group_count
    // Path and query of the WebSocket request for a link ("/stream?timeUnit=MICROSECOND"),
    // terminated; returns its size, 0 where out_size is too small.
    uint32_t (*path)(uint32_t group, char *out, uint32_t out_size);
    // The next subscription request, starting at streams[*position]; advances *position by the
    // streams it covered; returns its bytes (0: all are covered, or not one fits out_size). An
    // exchange whose later request replaces the earlier (Upbit) puts all streams in one.
    uint32_t (*subscribe)(const struct dialect_subscribe *what, uint32_t *position, char *out,
                          uint32_t out_size);
    // The next request that takes subscriptions back, as subscribe(). NULL where the exchange has
    // none: there the end of the connection is what ends them.
    uint32_t (*unsubscribe)(const struct dialect_subscribe *what, uint32_t *position, char *out,
                            uint32_t out_size);
    // Looks at the frame, sets kind (and reply). Never fails: nonsense is EVENTS with one raw row.
    void (*begin)(struct dialect_frame *frame);
    // The next event or false. Levels and texts live until the next call with this frame.
    bool (*next)(struct dialect_frame *frame, struct event *event);
    // Same result by the strict parser alone; for tests and fuzzing.
    bool (*next_strict)(struct dialect_frame *frame, struct event *event);
    // Calls back for each instrument of a REST reply (exchangeInfo, market/all). 0 or -EINVAL.
    int (*instruments)(const uint8_t *body, uint32_t size, dialect_instrument_callback *each,
                       void *context);
    // What REST gives of the past; NULL: nothing.
    const struct dialect_history *history;
    // Every message type the strict scanner knows, NULL-terminated; tests hold docs/fields.md to
    // it.
    const struct strict_message *const *messages;
};

// NULL-terminated table; by name or NULL.
extern const struct dialect *const dialects[];
const struct dialect *dialect_by_name(const char *name);

// Prepares `frame` for next(); `levels` has room for EVENT_LEVELS_MAX.
void dialect_frame_begin(const struct dialect *dialect, struct dialect_frame *frame,
                         const struct dialect_context *context, const uint8_t *bytes,
                         uint32_t size, struct event_level *levels);

#endif
