// SPDX-License-Identifier: Apache-2.0
//
// column_sort: the numbers of a list in rising order, and which range of them each number of the
// list belongs to. Numbers of a small range are counted; others are sorted by digits, each with its
// place in the list in its low bits as long as both fit into 64: then no number has to be looked
// for again.
//
// Ownership: memory is allocated by sort_room_open(). Threading: one owner at a time.
#ifndef RINGTAPE_FORMAT_COLUMN_SORT_H
#define RINGTAPE_FORMAT_COLUMN_SORT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SORT_COUNTED = 2048, // numbers below this are counted
    SORT_DIGIT_BITS = 11,
    SORT_DIGITS = (64 + SORT_DIGIT_BITS - 1) / SORT_DIGIT_BITS,
    SORT_COUNTERS = SORT_DIGITS << SORT_DIGIT_BITS,
};

enum sort_way { SORT_BY_COUNT, SORT_BY_PLACE, SORT_ALONE };

struct sort_room {
    uint32_t count_max;
    enum sort_way way;
    unsigned place_bits; // SORT_BY_PLACE: number << place_bits | place in the list; else 0
    uint64_t *sorted;
    uint64_t *other;   // where a pass sorts to
    uint32_t *counters; // [2 * SORT_COUNTERS]
};

bool sort_room_open(struct sort_room *room, uint32_t count_max);
void sort_room_close(struct sort_room *room);

void sort_numbers(struct sort_room *room, const uint64_t *numbers, uint32_t count);
static inline uint64_t sort_number(const struct sort_room *room, uint32_t at)
{
    return room->sorted[at] >> room->place_bits;
}
// symbols[i]: which of the ranges that numbers[i], as sorted last, is in; range r holds the next
// counts[r] of the sorted numbers, equal ones in one range. False: that way of sorting
// does not tell.
bool sort_ranges(const struct sort_room *room, const uint64_t *numbers, uint32_t count,
                 const uint32_t *counts, unsigned ranges, uint8_t *symbols);

#endif
