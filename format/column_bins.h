// SPDX-License-Identifier: Apache-2.0
//
// column_bins: the dense coding of a list of numbers. The numbers fall into bins [lower, lower +
// 2^bits); which bin is entropy coded (column_entropy), the place in it follows in `bits` plain
// bits. A number that comes often has a bin of its own, with 0 bits. Where bins begin and end is
// chosen for the fewest bits over all, those of the bins' own description included. (The scheme is
// pcodec's: github.com/pcodec/pcodec, docs/format.md there; choice and coding here are our own.)
//
// Bits of the description are in docs/format.md "Bins".
//
// Ownership: memory is allocated by bins_room_open(). Threading: one owner at a time.
#ifndef RINGTAPE_FORMAT_COLUMN_BINS_H
#define RINGTAPE_FORMAT_COLUMN_BINS_H

#include "format/column_entropy.h"
#include "format/column_sort.h"
#include "format/wire.h"

enum {
    BINS_MAX = ENTROPY_SYMBOLS_MAX,
    BINS_PIECES_MAX = 600, // pieces of the sorted numbers that bins are made of
};

struct bins_plan {
    unsigned count;
    unsigned log; // 0 where there is one bin: its symbols take no bits
    uint64_t choice; // number of the bins_choose() that made it; 0: not made of the numbers
    uint64_t lower[BINS_MAX];
    uint8_t bits[BINS_MAX];
    uint32_t counts[BINS_MAX];
    uint16_t weights[BINS_MAX];
};

struct bins_room;
// For lists of at most `count_max` numbers; NULL: out of memory.
struct bins_room *bins_room_open(uint32_t count_max);
void bins_room_close(struct bins_room *room);
// Chooses bins for `count` >= 1 numbers; returns about how many bytes bins_encode() will need.
size_t bins_choose(struct bins_room *room, const uint64_t *numbers, uint32_t count,
                   struct bins_plan *plan);
// What the numbers of a plan take at least when packed (column_pack): no number takes less than its
// length in bits there, patched or not.
size_t bins_packed_least(const struct bins_plan *plan);
// The same without a search: a bin for each length in bits. `lengths`: how many numbers have it.
size_t bins_choose_lengths(const uint32_t lengths[65], uint32_t count, struct bins_plan *plan);
// Writes the list by the plan chosen for it; room for bins_bytes_max(). Fastest right behind the
// bins_choose() of the same numbers, whose sorting then tells the bin of each.
uint8_t *bins_encode(struct bins_room *room, const struct bins_plan *plan, const uint64_t *numbers,
                     uint32_t count, uint8_t *out);
static inline size_t bins_bytes_max(uint32_t count)
{
    return (size_t)count * 10 + BINS_MAX * 24 + 64;
}
// out[i] = base + step * number i, of the first `needed` of the `count` numbers. False: impossible
// content.
bool bins_decode(struct bins_room *room, struct wire_reader *in, uint32_t count, uint32_t needed,
                 uint64_t base, uint64_t step, uint64_t *out);

#endif
