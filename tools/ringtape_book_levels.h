// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_book_levels: the price levels of an order book, changed level by level: a quantity of 0
// takes a level away (Binance, "How to manage a local order book correctly").
//
// Exact: prices and quantities are mantissas at one scale each, the largest met so far. A level is
// looked up by its price in an open hash table, which costs a few nanoseconds; sorting comes once,
// at the end.
//
// Memory: grows with the number of different prices met; 24 bytes each at most twice over.
// Threading: one owner.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BOOK_LEVELS_H
#define RINGTAPE_TOOLS_RINGTAPE_BOOK_LEVELS_H

#include <stdbool.h>
#include <stdint.h>

#include "format/rows.h"

struct book_level {
    int64_t price; // at the book's price scale
    int64_t quantity;
};

struct book_side {
    struct book_level *slots; // quantity < 0: free
    uint32_t room;            // a power of two
    uint32_t used;
};

struct book_levels {
    struct book_side sides[2]; // 0 bid, 1 ask
    uint8_t price_scale;
    uint8_t quantity_scale;
    uint64_t changes; // levels applied
};

// 0 or -ENOMEM.
int book_levels_init(struct book_levels *book);
void book_levels_free(struct book_levels *book);
void book_levels_clear(struct book_levels *book);
// The levels of a row of depth or book. 0, -ENOMEM, or -ERANGE: a number that has no place beside
// the others at one scale.
int book_levels_apply(struct book_levels *book, const struct rows *rows, uint32_t row);
// Levels that there are, best first; *out is to be freed. 0 or -ENOMEM.
int book_levels_sorted(const struct book_levels *book, int side, struct book_level **out,
                       uint32_t *count);

#endif
