// SPDX-License-Identifier: Apache-2.0
//
// column_list: numbers without regard to where they come from: what remains of a column when the
// model (column_model) has taken away what other columns and earlier rows tell. Each list is coded
// by the kind that takes the fewest bytes:
//
//     0 constant     one number
//     1 packed       base + step * n, n in vectors of 1,024 of one width each, larger ones patched
//     2 sparse       one common number, a bitmap of the others, a list of the others
//     3 bins         base + step * n, n in bins with an entropy code (column_bins)
//     4 dictionary   at most 256 different numbers, a list of their places
//     5 runs         a list of numbers, a list of how often each comes
//     6 ticks        unit * n + rest, a list of n, a list of rests: times of a clock that ticks
//                    coarser than they are written
//
// Two levels: `light` leaves out the entropy code and its search, for a reader or a sealer in a
// hurry. All arithmetic is modulo 2^64.
//
// Ownership: memory is allocated by list_room_open(). Threading: one owner at a time.
#ifndef RINGTAPE_FORMAT_COLUMN_LIST_H
#define RINGTAPE_FORMAT_COLUMN_LIST_H

#include "format/column_bins.h"
#include "format/column_vector.h"
#include "format/wire.h"

enum list_kind { // numbers are on disk
    LIST_CONSTANT = 0,
    LIST_PACKED = 1,
    LIST_SPARSE = 2,
    LIST_BINS = 3,
    LIST_DICTIONARY = 4,
    LIST_RUNS = 5,
    LIST_TICKS = 6,
    LIST_KIND_COUNT,
};

enum column_level {
    COLUMN_LEVEL_DENSE = 0,
    COLUMN_LEVEL_LIGHT = 1,
};

enum { LIST_SLACK = 8 }; // numbers behind a list that may be read, but do not count

struct list_room;
// For lists of at most `count_max` numbers; NULL: out of memory.
struct list_room *list_room_open(uint32_t count_max);
void list_room_close(struct list_room *room);
// Another implementation than the fastest, for tests and measurements.
void list_room_kernels(struct list_room *room, const struct vector_kernels *kernels);
const struct vector_kernels *list_kernels(const struct list_room *room);

// Bytes that `count` numbers in one list never exceed, and bytes behind them that list_encode()
// writes to on the way there.
static inline size_t list_bytes_max(uint32_t count)
{
    return (size_t)count * 10 + 640;
}
static inline size_t list_bytes_spare(uint32_t count)
{
    return (size_t)count * 10 + 8192;
}

// Writes `count` >= 1 numbers.
uint8_t *list_encode(struct list_room *room, enum column_level level, const uint64_t *numbers,
                     uint32_t count, uint8_t *out);
// Reads `count` >= 1 numbers. False: impossible content, or a kind that is not known.
bool list_decode(struct list_room *room, struct wire_reader *in, uint32_t count, uint64_t *out);
// The same, of which the first `needed` numbers count and those behind may be anything: they are
// passed over where that is cheaper. What is impossible in them alone may go unnoticed.
bool list_decode_first(struct list_room *room, struct wire_reader *in, uint32_t count,
                       uint32_t needed, uint64_t *out);

const char *list_kind_name(uint8_t kind);

#endif
