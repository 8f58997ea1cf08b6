// SPDX-License-Identifier: Apache-2.0
//
// column_list_room: what column_list.c and column_list_decode.c share. Not for others.
#ifndef RINGTAPE_FORMAT_COLUMN_LIST_ROOM_H
#define RINGTAPE_FORMAT_COLUMN_LIST_ROOM_H

#include "format/column_list.h"

enum { LIST_DICTIONARY_MAX = 256 };

// What one call needs; a list in a list has the second.
struct list_desk {
    uint64_t *numbers; // quotients; places in the dictionary; numbers that are not common
    uint64_t *others;  // lengths of runs
    uint8_t *bitmap;
};

struct list_room {
    uint32_t count_max;
    const struct vector_kernels *kernels;
    struct bins_room *bins;
    struct bins_plan plan;
    struct list_desk desks[2];
    uint64_t *ticks;
    uint64_t *rests;
};

#endif
