// SPDX-License-Identifier: Apache-2.0
//
// recover_key: tells rows apart by what they hold, to find those that are there twice when the list
// of what counts is lost.
//
// A row of a channel without identity is known by its tape and number; any other by all it holds:
// its values as numbers (12.50 is 12.5), receive time and link among them. So what an exchange sent
// twice, or two links received, is two rows. Keys have 128 bits: two rows of a store of 10^12 share
// one by chance once in 10^14 stores.
//
// Memory: a set grows by malloc, 24 to 48 bytes a key. Threading: one owner.
#ifndef RINGTAPE_FORMAT_RECOVER_KEY_H
#define RINGTAPE_FORMAT_RECOVER_KEY_H

#include "format/rows.h"

struct recover_key {
    uint64_t low;
    uint64_t high;
};

// Scratch of computing keys.
struct recover_keyer;
struct recover_keyer *recover_keyer_open(void); // NULL: no memory
void recover_keyer_close(struct recover_keyer *keyer);
// `tape` 0: the row's tape is not known.
struct recover_key recover_key(struct recover_keyer *keyer, const struct rows *rows, uint32_t row,
                               struct event_text symbol, uint32_t tape, uint64_t tape_row);

struct recover_slot {
    struct recover_key key; // 0 0: free
    uint32_t value;
};

struct recover_set { // zero: empty
    struct recover_slot *slots;
    uint64_t room; // power of two
    uint64_t count;
};

// The key's slot: found or, with `value`, made. *added tells which. NULL: no memory.
struct recover_slot *recover_set_put(struct recover_set *set, struct recover_key key,
                                     uint32_t value, bool *added);
// NULL: not there.
struct recover_slot *recover_set_find(const struct recover_set *set, struct recover_key key);
void recover_set_clear(struct recover_set *set); // keeps the memory
void recover_set_free(struct recover_set *set);

#endif
