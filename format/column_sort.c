// SPDX-License-Identifier: Apache-2.0
//
// Least digit first, each pass stable. Numbers below SORT_COUNTED are only counted and laid down.
#include "format/column_sort.h"

#include <stdlib.h>
#include <string.h>

#include "format/column_bits.h"
#include "format/ensure.h"

enum {
    SORT_SHORT = 96,      // shorter lists are sorted by insertion
    SORT_LONG = 2048,     // longer ones by wide digits: a pass fewer outweighs its cache misses
    SORT_NARROW_BITS = 8, // digits of the others
    SORT_TABLES = 4,      // counters side by side: one waits for its last increment
};

_Static_assert(SORT_TABLES * SORT_COUNTED <= SORT_COUNTERS, "counters by number");
_Static_assert(SORT_DIGITS << SORT_DIGIT_BITS <= SORT_COUNTERS, "counters by digit");

bool sort_room_open(struct sort_room *room, uint32_t count_max)
{
    const size_t bytes = (size_t)count_max * sizeof(uint64_t);
    ensure(count_max > 0);
    *room = (struct sort_room){.count_max = count_max};
    room->sorted = malloc(bytes);
    room->other = malloc(bytes);
    room->counters = malloc(2 * SORT_COUNTERS * sizeof *room->counters);
    return room->sorted && room->other && room->counters;
}

void sort_room_close(struct sort_room *room)
{
    free(room->sorted);
    free(room->other);
    free(room->counters);
    *room = (struct sort_room){0};
}

// ---- by counting ----

static void sort_count(struct sort_room *room, const uint64_t *numbers, uint32_t count,
                       uint32_t range)
{
    uint32_t *counters = room->counters;
    ensure(range > 0 && range <= SORT_COUNTED);
    memset(counters, 0, sizeof *counters * range * SORT_TABLES);
    uint32_t i = 0;
    for (; i + SORT_TABLES <= count; i += SORT_TABLES) {
        for (uint32_t t = 0; t < SORT_TABLES; t++)
            counters[t * range + numbers[i + t]]++;
    }
    for (; i < count; i++)
        counters[numbers[i]]++;
    uint64_t *out = room->sorted;
    for (uint32_t number = 0; number < range; number++) {
        uint32_t times = 0;
        for (uint32_t t = 0; t < SORT_TABLES; t++)
            times += counters[t * range + number];
        for (uint32_t n = 0; n < times; n++)
            out[n] = number;
        out += times;
    }
    ensure(out == room->sorted + count);
}

// ---- by digits ----

static void sort_short(uint64_t *numbers, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint64_t number = numbers[i];
        uint32_t at = i;
        for (; at > 0 && numbers[at - 1] > number; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
}

// From both ends at once: a number waits for the one before if that had the same digit, which high
// digits often do, and so half as long.
static void sort_pass(const uint64_t *from, uint64_t *to, uint32_t count, unsigned shift,
                      uint32_t *counters, uint32_t digits)
{
    uint32_t ends[1 << SORT_DIGIT_BITS];
    const uint32_t mask = digits - 1;
    uint32_t before = 0;
    for (uint32_t d = 0; d < digits; d++) {
        uint32_t here = counters[d];
        counters[d] = before;
        before += here;
        ends[d] = before;
    }
    ensure(before == count);
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high--) {
        to[--ends[from[high] >> shift & mask]] = from[high];
        if (low < high) {
            to[counters[from[low] >> shift & mask]++] = from[low];
            low++;
        }
    }
}

// For all passes at once, two numbers side by side: an increment waits for the one before if that
// was of the same counter.
static inline __attribute__((always_inline)) void count_digits(struct sort_room *room,
                                                               uint32_t count, unsigned passes,
                                                               unsigned width, uint32_t digits)
{
    uint32_t *counters = room->counters;
    uint32_t *others = counters + SORT_COUNTERS;
    const unsigned place_bits = room->place_bits;
    const uint32_t even = count / 2 * 2;
    for (uint32_t i = 0; i < even; i += 2) {
        uint64_t number = room->sorted[i] >> place_bits;
        uint64_t other = room->sorted[i + 1] >> place_bits;
        for (unsigned p = 0; p < passes; p++, number >>= width, other >>= width) {
            counters[p * digits + (number & (digits - 1))]++;
            others[p * digits + (other & (digits - 1))]++;
        }
    }
    uint64_t number = room->sorted[count - 1] >> place_bits;
    for (unsigned p = 0; even < count && p < passes; p++, number >>= width)
        counters[p * digits + (number & (digits - 1))]++;
    for (uint32_t c = 0; c < passes * digits; c++)
        counters[c] += others[c];
}

// Bits from room->place_bits on, `bits` of them.
static void sort_digits(struct sort_room *room, uint32_t count, unsigned bits)
{
    unsigned widest = count < SORT_LONG ? SORT_NARROW_BITS : SORT_DIGIT_BITS;
    unsigned passes = (bits + widest - 1) / widest;
    unsigned width = (bits + passes - 1) / passes;
    uint32_t digits = 1u << width;
    uint32_t *counters = room->counters;
    ensure(passes > 0 && passes * digits <= SORT_COUNTERS);
    memset(counters, 0, sizeof *counters * passes * digits);
    memset(counters + SORT_COUNTERS, 0, sizeof *counters * passes * digits);
    if (passes == 2)
        count_digits(room, count, 2, width, digits);
    else if (passes == 3)
        count_digits(room, count, 3, width, digits);
    else if (passes == 4)
        count_digits(room, count, 4, width, digits);
    else
        count_digits(room, count, passes, width, digits);
    for (unsigned p = 0; p < passes; p++) {
        unsigned shift = room->place_bits + p * width;
        if (counters[p * digits + (room->sorted[0] >> shift & (digits - 1))] == count)
            continue; // all have the same
        sort_pass(room->sorted, room->other, count, shift, counters + p * digits, digits);
        uint64_t *sorted = room->other;
        room->other = room->sorted;
        room->sorted = sorted;
    }
}

void sort_numbers(struct sort_room *room, const uint64_t *numbers, uint32_t count)
{
    uint64_t all = 0;
    ensure(count > 0 && count <= room->count_max);
    for (uint32_t i = 0; i < count; i++)
        all |= numbers[i];
    const unsigned bits = bits_length(all);
    const unsigned place_bits = bits_length(count - 1);
    room->place_bits = 0;
    if (all < SORT_COUNTED && all < count) {
        room->way = SORT_BY_COUNT;
        sort_count(room, numbers, count, 1u << bits);
        return;
    }
    room->way = bits + place_bits <= 64 ? SORT_BY_PLACE : SORT_ALONE;
    if (room->way == SORT_BY_PLACE) {
        room->place_bits = place_bits;
        for (uint32_t i = 0; i < count; i++)
            room->sorted[i] = numbers[i] << place_bits | i;
    } else {
        memcpy(room->sorted, numbers, count * sizeof *numbers);
    }
    if (count <= SORT_SHORT)
        sort_short(room->sorted, count);
    else if (bits > 0)
        sort_digits(room, count, bits);
}

// ---- ranges ----

static void ranges_counted(const struct sort_room *room, const uint64_t *numbers, uint32_t count,
                           const uint32_t *counts, unsigned ranges, uint8_t *symbols)
{
    uint8_t table[SORT_COUNTED];
    uint64_t next = 0;
    uint32_t at = 0;
    for (unsigned r = 0; r < ranges; r++) {
        at += counts[r];
        ensure(counts[r] > 0 && at <= count);
        for (; next <= room->sorted[at - 1]; next++)
            table[next] = (uint8_t)r;
    }
    ensure(at == count);
    for (uint32_t i = 0; i < count; i++)
        symbols[i] = table[numbers[i]];
}

static void ranges_placed(const struct sort_room *room, uint32_t count, const uint32_t *counts,
                          unsigned ranges, uint8_t *symbols)
{
    const uint64_t mask = bits_mask(room->place_bits);
    uint32_t at = 0;
    for (unsigned r = 0; r < ranges; r++) {
        const uint32_t end = at + counts[r];
        ensure(end <= count);
        for (; at < end; at++)
            symbols[room->sorted[at] & mask] = (uint8_t)r;
    }
    ensure(at == count);
}

bool sort_ranges(const struct sort_room *room, const uint64_t *numbers, uint32_t count,
                 const uint32_t *counts, unsigned ranges, uint8_t *symbols)
{
    ensure(ranges > 0 && ranges <= 256);
    if (room->way == SORT_BY_COUNT)
        ranges_counted(room, numbers, count, counts, ranges, symbols);
    else if (room->way == SORT_BY_PLACE)
        ranges_placed(room, count, counts, ranges, symbols);
    return room->way != SORT_ALONE;
}
