// SPDX-License-Identifier: GPL-3.0-or-later
//
// history: how an exchange is asked by REST for what its streams did not bring, and how its answers
// read. Pure: paths out, events in. One const struct a dialect.
//
// Rows carry EVENT_REPAIRED and equal the row of the stream but for the event time, which REST does
// not give, and what docs/fields.md says of each.
//
// Sources: binance-spot-api-docs rest-api.md; developers.binance.com, USD-M futures, REST;
// docs.upbit.com/kr/reference, trades/ticks.
#ifndef RINGTAPE_EXCHANGE_HISTORY_H
#define RINGTAPE_EXCHANGE_HISTORY_H

#include "format/event.h"
#include "protocol/json.h"

enum history_kind {
    HISTORY_TRADES,     // from an id on, or from a cursor back
    HISTORY_AGG_TRADES, // from an id on
    HISTORY_DEPTH,      // the book now
    HISTORY_LAST_IDS,   // the newest trade id of every symbol
};

struct history_ask {
    enum history_kind kind;
    const char *symbol;  // the exchange's spelling, terminated; LAST_IDS: unused
    int64_t first;       // id, or exclusive cursor (0: none)
    uint32_t count;      // rows wanted, 1 ... page
    uint32_t days_ago;   // by cursor: 0 ... days_back
    int32_t second_of_day; // by cursor: not after it; -1: from the newest
};

// One row; or, LAST_IDS, a symbol and its id (event NULL).
typedef void history_row(void *context, struct event *event, struct json_slice symbol, int64_t id);

struct dialect_history {
    const char *budget;      // its name
    uint32_t budget_limit;   // what ringtape uses of the exchange's limit ...
    int64_t budget_window_ns; // ... in this window
    uint32_t page;           // rows of one answer
    bool by_cursor;          // trades are asked backwards from a cursor, not forward from an id
    uint32_t days_back;      // by cursor: how far; 0: all there ever was
    const char *header;      // to be sent ("X-MBX-TIME-UNIT: MICROSECOND"), or NULL
    const char *used_header; // of replies: weight used in the window, or NULL
    // 0: there is no such question.
    uint32_t (*weight)(const struct history_ask *ask);
    // Path and query, terminated; 0 where it does not fit.
    uint32_t (*path)(const struct history_ask *ask, char *out, uint32_t out_size);
    // Calls for every row in the order of the answer; HISTORY_DEPTH is read by the dialect itself.
    // 0; -EINVAL: not what is documented (rows before the fault were given).
    int (*read)(const struct history_ask *ask, const uint8_t *body, uint32_t size,
                history_row *each, void *context);
    // True where the words of a refusal say that the symbol does not exist (any more).
    bool (*unknown_symbol)(const uint8_t *body, uint32_t size);
};

// ---- for the dialects: members of a row ----

// The member as integer; false where it is absent or no integer.
bool history_integer(const struct json_value *row, const char *key, int64_t *value);
bool history_time(const struct json_value *row, const char *key, struct event *event, int column);
bool history_decimal(const struct json_value *row, const char *key, struct event *event,
                     int column);
bool history_boolean(const struct json_value *row, const char *key, bool *value);
// Walks the objects of an array: each returns false where the row is not what is documented.
int history_rows(const uint8_t *body, uint32_t size,
                 bool (*each)(const struct json_value *row, void *context), void *context);

#endif
