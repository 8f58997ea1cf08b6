// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two sorted arrays: changes are near the front, where little has to be moved.
#include "tools/replay_book.h"

#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

bool replay_book_open(struct replay_book *book)
{
    *book = (struct replay_book){0};
    for (int s = 0; s < 2; s++)
        book->side[s].levels = calloc(REPLAY_BOOK_LEVELS_MAX, sizeof(struct replay_level));
    return book->side[0].levels != NULL && book->side[1].levels != NULL;
}

void replay_book_close(struct replay_book *book)
{
    for (int s = 0; s < 2; s++) free(book->side[s].levels);
}

static __int128 level_order(const struct event_level *level)
{
    __int128 order = level->price;
    ensure(level->price_scale <= DECIMAL_SCALE_MAX);
    for (uint8_t scale = level->price_scale; scale < DECIMAL_SCALE_MAX; scale++) order *= 10;
    return level->side == SIDE_BUY ? -order : order;
}

static void side_set(struct replay_side *side, const struct event_level *level)
{
    const __int128 order = level_order(level);
    uint32_t low = 0, high = side->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (side->levels[middle].order < order) low = middle + 1;
        else high = middle;
    }
    const bool there = low < side->count && side->levels[low].order == order;
    struct replay_level *at = &side->levels[low];
    if (level->quantity == 0) {
        if (!there) return;
        memmove(at, at + 1, (side->count - low - 1) * sizeof *at);
        side->count--;
        return;
    }
    if (!there) {
        if (low == REPLAY_BOOK_LEVELS_MAX) return;
        if (side->count == REPLAY_BOOK_LEVELS_MAX) side->count--;
        memmove(at + 1, at, (side->count - low) * sizeof *at);
        side->count++;
    }
    *at = (struct replay_level){order, *level};
}

static void book_levels(struct replay_book *book, const struct rows *rows, uint32_t row)
{
    for (uint32_t i = rows->level_first[row]; i < rows->level_first[row + 1]; i++) {
        const struct event_level level = {
            .price = rows->level_price[i],
            .quantity = rows->level_quantity[i],
            .price_scale = rows->level_price_scale[i],
            .quantity_scale = rows->level_quantity_scale[i],
            .side = rows->level_side[i],
        };
        side_set(&book->side[level.side == SIDE_BUY ? 0 : 1], &level);
    }
}

void replay_book_begin(struct replay_book *book, const struct rows *rows, uint32_t row)
{
    ensure(rows->schema->channel == CHANNEL_BOOK);
    book->side[0].count = book->side[1].count = 0;
    book->last_id = rows->value[BOOK_LAST_ID][row];
    book->broken = false;
    book_levels(book, rows, row);
}

void replay_book_apply(struct replay_book *book, const struct rows *rows, uint32_t row)
{
    ensure(rows->schema->channel == CHANNEL_DEPTH);
    const int64_t first = rows->value[DEPTH_FIRST_ID][row], last = rows->value[DEPTH_LAST_ID][row];
    const bool futures = rows->present[row] >> DEPTH_PREVIOUS_ID & 1;
    if (last <= book->last_id) return;
    // Futures' ids are not contiguous: there a message names the one before. The first one behind a
    // snapshot may begin within it.
    const bool follows = first <= book->last_id + 1 ||
                         (futures && rows->value[DEPTH_PREVIOUS_ID][row] <= book->last_id);
    if (!follows) book->broken = true;
    book_levels(book, rows, row);
    book->last_id = last;
}
