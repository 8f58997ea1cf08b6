// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: numbers of every width, in lists of every length, come back in rising order, and each is
// found in its range again wherever sort_ranges() says that it can tell. Method: numbers by a seed,
// held against qsort().
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "format/column_bits.h"
#include "format/column_sort.h"

enum { COUNT_MAX = 9000, RANGES = 50 };

static uint64_t state = 1;

static uint64_t next(void) // xorshift64
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// About RANGES ranges, equal numbers in one; how many there are.
static unsigned cut(const uint64_t *sorted, uint32_t count, uint32_t counts[RANGES + 1])
{
    unsigned ranges = 0;
    uint32_t start = 0;
    for (uint32_t at = 1; at <= count; at++) {
        bool between = at == count || sorted[at] != sorted[at - 1];
        if (!between || (at != count && at - start < count / RANGES + 1))
            continue;
        counts[ranges++] = at - start;
        start = at;
    }
    return ranges;
}

static enum sort_way check(struct sort_room *room, const uint64_t *numbers, uint32_t count)
{
    static uint64_t wanted[COUNT_MAX];
    static uint8_t symbols[COUNT_MAX];
    uint32_t counts[RANGES + 1];
    memcpy(wanted, numbers, count * sizeof *numbers);
    qsort(wanted, count, sizeof *wanted, order);
    sort_numbers(room, numbers, count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(sort_number(room, i), wanted[i], "%u numbers, place %u", count, i);
    unsigned ranges = cut(wanted, count, counts);
    bool tells = sort_ranges(room, numbers, count, counts, ranges, symbols);
    cr_assert_eq(tells, room->way != SORT_ALONE);
    for (uint32_t i = 0; tells && i < count; i++) {
        uint32_t before = 0;
        for (unsigned r = 0; r < symbols[i]; r++)
            before += counts[r];
        cr_assert(wanted[before] <= numbers[i] &&
                      numbers[i] <= wanted[before + counts[symbols[i]] - 1],
                  "%u numbers, number %u is not in range %u", count, i, symbols[i]);
    }
    return room->way;
}

Test(column_sort, numbers_of_every_width)
{
    static const uint32_t list[] = {1, 2, 3, 95, 96, 97, 255, 2047, 2048, 2049, 8191, 8192, 9000};
    static uint64_t numbers[COUNT_MAX];
    unsigned ways[3] = {0};
    struct sort_room room;
    cr_assert(sort_room_open(&room, COUNT_MAX));
    for (size_t c = 0; c < sizeof list / sizeof *list; c++) {
        for (unsigned width = 0; width <= 64; width++) {
            // All of one size; then mostly small ones, whose high digits are equal.
            for (uint32_t i = 0; i < list[c]; i++)
                numbers[i] = next() & bits_mask(width);
            ways[check(&room, numbers, list[c])]++;
            for (uint32_t i = 0; i < list[c]; i++)
                numbers[i] >>= next() % (width < 64 ? width + 1 : 64);
            ways[check(&room, numbers, list[c])]++;
        }
    }
    cr_assert(ways[SORT_BY_COUNT] > 0 && ways[SORT_BY_PLACE] > 0 && ways[SORT_ALONE] > 0);
    sort_room_close(&room);
}

Test(column_sort, equal_numbers)
{
    static uint64_t numbers[COUNT_MAX];
    struct sort_room room;
    cr_assert(sort_room_open(&room, COUNT_MAX));
    for (unsigned width = 1; width <= 64; width += 9) {
        for (uint32_t i = 0; i < COUNT_MAX; i++)
            numbers[i] = bits_mask(width);
        (void)check(&room, numbers, COUNT_MAX);
    }
    sort_room_close(&room);
}
