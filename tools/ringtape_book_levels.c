// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_book_levels: see ringtape_book_levels.h.
#include "tools/ringtape_book_levels.h"

#include <errno.h>
#include <stdlib.h>

#include "format/decimal_text.h"
#include "format/ensure.h"

enum { ROOM_FIRST = 4096, DIGITS_MAX = 18 };

static int side_reserve(struct book_side *side, uint32_t room)
{
    struct book_level *slots = malloc(room * sizeof *slots);
    if (slots == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < room; i++) slots[i] = (struct book_level){.quantity = -1};
    *side = (struct book_side){.slots = slots, .room = room};
    return 0;
}

int book_levels_init(struct book_levels *book)
{
    *book = (struct book_levels){.price_scale = 0};
    int error = side_reserve(&book->sides[0], ROOM_FIRST);
    if (error == 0) error = side_reserve(&book->sides[1], ROOM_FIRST);
    if (error < 0) book_levels_free(book);
    return error;
}

void book_levels_free(struct book_levels *book)
{
    free(book->sides[0].slots);
    free(book->sides[1].slots);
    *book = (struct book_levels){.price_scale = 0};
}

void book_levels_clear(struct book_levels *book)
{
    for (int s = 0; s < 2; s++) {
        struct book_side *side = &book->sides[s];
        for (uint32_t i = 0; i < side->room; i++) side->slots[i].quantity = -1;
        side->used = 0;
    }
    book->changes = 0;
}

// ---- one side ----

// Where the price is, or where it goes. Fibonacci hashing: prices are steps of a tick.
static struct book_level *side_find(const struct book_side *side, int64_t price)
{
    const int bits = __builtin_ctz(side->room);
    uint32_t at = (uint32_t)(((uint64_t)price * 0x9e3779b97f4a7c15u) >> (64 - bits));
    while (side->slots[at].quantity >= 0 && side->slots[at].price != price)
        at = (at + 1) & (side->room - 1);
    return &side->slots[at];
}

static int side_grow(struct book_side *side)
{
    struct book_side larger;
    const int error = side_reserve(&larger, 2 * side->room);
    if (error < 0) return error;
    for (uint32_t i = 0; i < side->room; i++) {
        if (side->slots[i].quantity >= 0)
            *side_find(&larger, side->slots[i].price) = side->slots[i];
    }
    larger.used = side->used;
    free(side->slots);
    *side = larger;
    return 0;
}

// A level that is taken away stays as one of quantity 0: it mostly comes back.
static int side_set(struct book_side *side, int64_t price, int64_t quantity)
{
    ensure(quantity >= 0);
    struct book_level *level = side_find(side, price);
    const bool fresh = level->quantity < 0;
    *level = (struct book_level){price, quantity};
    if (!fresh) return 0;
    side->used++;
    return side->used * 2 > side->room ? side_grow(side) : 0;
}

// ---- scales ----

static bool rescale(int64_t *mantissa, uint8_t scale, uint8_t target)
{
    __int128 wide;
    if (!decimal_text_rescale(*mantissa, scale, target, DIGITS_MAX, &wide)) return false;
    *mantissa = (int64_t)wide;
    return true;
}

// All numbers of the book at finer scales.
static int book_rescale(struct book_levels *book, uint8_t price_scale, uint8_t quantity_scale)
{
    for (int s = 0; s < 2; s++) {
        struct book_side coarse = book->sides[s];
        int error = side_reserve(&book->sides[s], coarse.room);
        if (error < 0) book->sides[s] = coarse;
        for (uint32_t i = 0; i < coarse.room && error == 0; i++) {
            struct book_level level = coarse.slots[i];
            if (level.quantity < 0) continue;
            const bool fits = rescale(&level.price, book->price_scale, price_scale) &&
                              rescale(&level.quantity, book->quantity_scale, quantity_scale);
            error = fits ? side_set(&book->sides[s], level.price, level.quantity) : -ERANGE;
        }
        if (book->sides[s].slots != coarse.slots) free(coarse.slots);
        if (error < 0) return error;
    }
    book->price_scale = price_scale;
    book->quantity_scale = quantity_scale;
    return 0;
}

// A level of another scale than the book's.
static int set_rescaled(struct book_levels *book, const struct rows *rows, uint32_t i)
{
    int64_t price = rows->level_price[i], quantity = rows->level_quantity[i];
    const uint8_t finer_price = rows->level_price_scale[i] > book->price_scale
                                    ? rows->level_price_scale[i]
                                    : book->price_scale;
    const uint8_t finer_quantity = rows->level_quantity_scale[i] > book->quantity_scale
                                       ? rows->level_quantity_scale[i]
                                       : book->quantity_scale;
    if (finer_price != book->price_scale || finer_quantity != book->quantity_scale) {
        const int error = book_rescale(book, finer_price, finer_quantity);
        if (error < 0) return error;
    }
    if (!rescale(&price, rows->level_price_scale[i], finer_price) ||
        !rescale(&quantity, rows->level_quantity_scale[i], finer_quantity))
        return -ERANGE;
    return side_set(&book->sides[rows->level_side[i] != 0], price, quantity);
}

int book_levels_apply(struct book_levels *book, const struct rows *rows, uint32_t row)
{
    ensure(rows->level_first != NULL && row < rows->count);
    int error = 0;
    for (uint32_t i = rows->level_first[row]; i < rows->level_first[row + 1] && error == 0; i++) {
        if (rows->level_quantity[i] < 0) return -ERANGE;
        if (rows->level_price_scale[i] == book->price_scale &&
            rows->level_quantity_scale[i] == book->quantity_scale)
            error = side_set(&book->sides[rows->level_side[i] != 0], rows->level_price[i],
                             rows->level_quantity[i]);
        else
            error = set_rescaled(book, rows, i);
    }
    book->changes += rows->level_first[row + 1] - rows->level_first[row];
    return error;
}

// ---- sorted ----

static int by_price(const void *a, const void *z)
{
    const int64_t first = ((const struct book_level *)a)->price;
    const int64_t second = ((const struct book_level *)z)->price;
    return (first > second) - (first < second);
}

static int by_price_falling(const void *a, const void *z)
{
    return by_price(z, a);
}

int book_levels_sorted(const struct book_levels *book, int side, struct book_level **out,
                       uint32_t *count)
{
    ensure(side == 0 || side == 1);
    const struct book_side *from = &book->sides[side];
    struct book_level *levels = malloc((from->used + 1u) * sizeof *levels);
    if (levels == NULL) return -ENOMEM;
    uint32_t found = 0;
    for (uint32_t i = 0; i < from->room; i++) {
        if (from->slots[i].quantity > 0) levels[found++] = from->slots[i];
    }
    qsort(levels, found, sizeof *levels, side == 0 ? by_price_falling : by_price);
    *out = levels;
    *count = found;
    return 0;
}
