// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_book: an order book of Binance, made of a snapshot and the messages behind it by the
// exchange's own rule: what is not newer is ignored, what does not follow breaks it.
//
// Ownership: memory of its own, of a fixed size; one owner. Source: binance-spot-api-docs,
// web-socket-streams.md, "How to manage a local order book correctly".
#ifndef RINGTAPE_TOOLS_REPLAY_BOOK_H
#define RINGTAPE_TOOLS_REPLAY_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "format/rows.h"

enum { REPLAY_BOOK_LEVELS_MAX = 50000 }; // of a side; further ones are the worst and go

struct replay_level {
    __int128 order; // price at 18 places: what it is sorted by, bids negative
    struct event_level level;
};

struct replay_side {
    struct replay_level *levels; // best first
    uint32_t count;
};

struct replay_book {
    struct replay_side side[2]; // bids, asks
    int64_t last_id;
    bool broken; // a message is missing
};

bool replay_book_open(struct replay_book *book); // false when out of memory
void replay_book_close(struct replay_book *book);
// Begins with a row of channel book.
void replay_book_begin(struct replay_book *book, const struct rows *rows, uint32_t row);
// A row of channel depth, in order.
void replay_book_apply(struct replay_book *book, const struct rows *rows, uint32_t row);

#endif
