// SPDX-License-Identifier: GPL-3.0-or-later
//
// wire: the strict reader. A message type is a table of its keys; one function reads any message by
// its table, in any order of keys, over json.h. Slow (about a microsecond) and complete: it alone
// decides what is wrong with a message, and names it.
//
// Rules, the same for all exchanges: a required key must be there, a key may come once, a value
// must have the type the table says, a decimal must fit exactly. Otherwise no row, but a raw row
// with the reason and the name "<type>.<key>". A key that is not in the table gives the row and,
// behind it, a raw row. null stands for an absent value where the key is not required.
//
// Ownership: texts of the event point into the message or into the frame's scratch. Threading:
// none.
#ifndef RINGTAPE_EXCHANGE_WIRE_H
#define RINGTAPE_EXCHANGE_WIRE_H

#include "exchange/dialect.h"
#include "protocol/json.h"

enum { WIRE_FIELDS_MAX = 48 }; // of one message type

// At or above this number a time is in microseconds, below in milliseconds: as milliseconds it lies
// in the year 5138, as microseconds in 1973. The digits alone decide.
#define WIRE_MICROSECONDS_FROM INT64_C(100000000000000)

enum wire_kind {
    WIRE_TYPE,        // string: the message type itself, compared by the dialect before
    WIRE_SYMBOL,      // string: the instrument
    WIRE_SYMBOL_ECHO, // string: the instrument once more
    WIRE_TIME,        // integer, see WIRE_MICROSECONDS_FROM
    WIRE_INTEGER,
    WIRE_DECIMAL,      // number
    WIRE_DECIMAL_TEXT, // number in a string
    WIRE_BOOLEAN,
    WIRE_TEXT,
    WIRE_TEXT_NOT_ZERO, // string, stored unless "0"
    WIRE_MAKER,         // boolean: the buyer was the maker, so the aggressor sold
    WIRE_ASK_BID,       // "ASK": the aggressor sold, "BID": he bought
    WIRE_STREAM_TYPE,   // "SNAPSHOT" or "REALTIME": EVENT_SNAPSHOT
    WIRE_BIDS,          // [["price","quantity"],...]
    WIRE_ASKS,
    WIRE_UNITS,         // [{ask_price,bid_price,ask_size,bid_size},...]
    WIRE_OBJECT,        // its members stand in the same table as "<key>.<member>"
    WIRE_CHECKED,       // string or number that follows from others: only compared
};

struct wire_field {
    const char *key;
    const char *key_short; // where the exchange has a second spelling, else NULL
    enum wire_kind kind;
    int8_t column; // -1: none
    bool required;
};

struct wire_reading;

struct wire_message {
    const char *type; // as in docs/fields.md and RAW_DETAIL
    enum channel channel;
    uint8_t field_count;
    const struct wire_field *fields;
    // NULL or compares what follows from other keys: wire_contradicts() for each that does not.
    void (*check)(struct wire_reading *reading);
};

// One strict read. On the caller's stack.
struct wire_reading {
    struct dialect_frame *frame;
    struct event *event;
    const struct wire_message *message;
    bool keys_short;
    uint64_t seen;                            // bit f: fields[f] was there and not null
    uint64_t named;                           // ... was there
    struct json_value values[WIRE_FIELDS_MAX];
};

// Reads `object` as `message` into `event`. True: the event is a row, pending raw rows may be
// queued in the frame. False: no row; the raw row is queued.
bool wire_read(struct wire_reading *reading, struct dialect_frame *frame,
               const struct wire_message *message, bool keys_short,
               const struct json_value *object, struct event *event);

// The field of that key, -1 if the message has none.
int wire_field_index(const struct wire_message *message, const char *key);
// Queues RAW_INCONSISTENT for the field.
void wire_contradicts(struct wire_reading *reading, const char *key);
// Compares the content of a string value; false where it is absent.
bool wire_text_is(const struct wire_reading *reading, const char *key, const char *text);
bool wire_has(const struct wire_reading *reading, const char *key);

// Milliseconds or microseconds to ns; false if negative or beyond int64 ns.
static inline bool wire_time_ns(int64_t number, int64_t *time_ns)
{
    if (number < 0)
        return false;
    const int64_t unit = number >= WIRE_MICROSECONDS_FROM ? 1000 : 1000000;
    return !__builtin_mul_overflow(number, unit, time_ns);
}

// Sign of a - b for decimals of any scale.
int wire_decimal_compare(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale);
// Sign of (a - b) - c, exactly.
int wire_difference_compare(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale, int64_t c,
                            uint8_t c_scale);

// ---- raw rows ----

// Queues a raw row; detail is "<type>.<key>", or "<type>" where key is empty.
void wire_raw(struct dialect_frame *frame, enum raw_reason reason, const char *type,
              const char *key, uint32_t key_size);
// Gives the next queued raw row; false when there is none.
bool wire_raw_next(struct dialect_frame *frame, struct event *event);
// json_parse() of the frame; false with the raw row queued.
bool wire_parse(struct dialect_frame *frame, struct json_value *root);

#endif
