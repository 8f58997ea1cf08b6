// SPDX-License-Identifier: GPL-3.0-or-later
//
// strict: reads any message by the table of its type. A table lists the keys; they may come in any
// order. Slow (microseconds) and complete: it alone decides what is wrong with a message, and names
// it.
//
// Rules, the same for all exchanges: a required key must be there, a key may come once, a value
// must have the type the table says, a decimal must fit exactly. Otherwise no row, but a raw row
// with the reason and the name "<type>.<key>". A key that is not in the table gives the row and,
// behind it, a raw row. null stands for an absent value where the key is not required.
//
// Ownership: texts of the event point into the message or into the frame's scratch. Threading:
// none.
#ifndef RINGTAPE_EXCHANGE_STRICT_H
#define RINGTAPE_EXCHANGE_STRICT_H

#include "exchange/dialect.h"
#include "protocol/json.h"

enum { STRICT_FIELDS_MAX = 48 }; // of one message type

// At or above this number a time is in microseconds, below in milliseconds: as milliseconds it lies
// in the year 5138, as microseconds in 1973. The digits alone decide.
#define STRICT_MICROSECONDS_FROM INT64_C(100000000000000)

enum strict_kind {
    STRICT_TYPE,        // string: the message type itself, compared by the dialect before
    STRICT_SYMBOL,      // string: the instrument
    STRICT_SYMBOL_ECHO, // string: the instrument once more
    STRICT_TIME,        // integer, see STRICT_MICROSECONDS_FROM
    STRICT_INTEGER,
    STRICT_DECIMAL,      // number
    STRICT_DECIMAL_TEXT, // number in a string
    STRICT_BOOLEAN,
    STRICT_TEXT,
    STRICT_TEXT_NOT_ZERO, // string, stored unless "0"
    STRICT_MAKER,         // boolean: the buyer was the maker, so the aggressor sold
    STRICT_ASK_BID,       // "ASK": the aggressor sold, "BID": he bought
    STRICT_STREAM_TYPE,   // "SNAPSHOT" or "REALTIME": EVENT_SNAPSHOT
    STRICT_BIDS,          // [["price","quantity"],...]
    STRICT_ASKS,
    STRICT_UNITS,         // [{ask_price,bid_price,ask_size,bid_size},...]
    STRICT_OBJECT,        // its members stand in the same table as "<key>.<member>"
    STRICT_CHECKED,       // string or number that follows from others: only compared
};

struct strict_field {
    const char *key;
    const char *key_short; // where the exchange has a second spelling, else NULL
    enum strict_kind kind;
    int8_t column; // -1: none
    bool required;
};

struct strict_reading;

struct strict_message {
    const char *type; // as in docs/fields.md and RAW_DETAIL
    enum channel channel;
    uint8_t field_count;
    const struct strict_field *fields;
    // NULL or compares what follows from other keys: strict_contradicts() for each that does not.
    void (*check)(struct strict_reading *reading);
};

// One strict read. On the caller's stack.
struct strict_reading {
    struct dialect_frame *frame;
    struct event *event;
    const struct strict_message *message;
    bool keys_short;
    uint64_t seen;                            // bit f: fields[f] was there and not null
    uint64_t named;                           // ... was there
    struct json_value values[STRICT_FIELDS_MAX];
};

// Reads `object` as `message` into `event`. True: the event is a row, pending raw rows may be
// queued in the frame. False: no row; the raw row is queued.
bool strict_read(struct strict_reading *reading, struct dialect_frame *frame,
               const struct strict_message *message, bool keys_short,
               const struct json_value *object, struct event *event);

// The field of that key, -1 if the message has none.
int strict_field_index(const struct strict_message *message, const char *key);
// Queues RAW_INCONSISTENT for the field.
void strict_contradicts(struct strict_reading *reading, const char *key);
// Compares the content of a string value; false where it is absent.
bool strict_text_is(const struct strict_reading *reading, const char *key, const char *text);
bool strict_has(const struct strict_reading *reading, const char *key);

// Milliseconds or microseconds to ns; false if negative or beyond int64 ns.
static inline bool strict_time_ns(int64_t number, int64_t *time_ns)
{
    if (number < 0)
        return false;
    const int64_t unit = number >= STRICT_MICROSECONDS_FROM ? 1000 : 1000000;
    return !__builtin_mul_overflow(number, unit, time_ns);
}

// Sign of a - b for decimals of any scale.
int strict_decimal_compare(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale);
// Sign of (a - b) - c, exactly.
int strict_difference_compare(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale, int64_t c,
                            uint8_t c_scale);

// ---- raw rows ----

// Queues a raw row; detail is "<type>.<key>", or "<type>" where key is empty.
void strict_raw(struct dialect_frame *frame, enum raw_reason reason, const char *type,
              const char *key, uint32_t key_size);
// Gives the next queued raw row; false when there is none.
bool strict_raw_next(struct dialect_frame *frame, struct event *event);
// True if there is one; strict_raw_next() is a call, and mostly there is none.
static inline bool strict_raw_left(const struct dialect_frame *frame)
{
    return frame->pending_at != frame->pending_count;
}
// json_parse() of the frame; false with the raw row queued.
bool strict_parse(struct dialect_frame *frame, struct json_value *root);

#endif
