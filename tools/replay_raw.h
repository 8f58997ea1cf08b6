// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_raw: whole messages that were stored beside or instead of their rows (channel raw).
//
// A message that gave a row and a raw row (an unknown key, a contradiction, keep_raw) is played as
// the bytes that came, once, and not as its row. One that gave no row is played to who is
// subscribed to what it seems to be of. Raw rows without symbol that no dialect can read are not
// played: the store does not say of which exchange they are.
//
// Ownership: tables of its own, allocated when the first raw row comes. Threading: one owner.
#ifndef RINGTAPE_TOOLS_REPLAY_RAW_H
#define RINGTAPE_TOOLS_REPLAY_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/replay_streams.h"

struct replay_raw_pair { // what a raw row belongs to
    uint32_t symbol;
    uint32_t row;
    uint8_t channel; // of the row; 0: none
};

struct replay_raw {
    struct replay_streams *streams;
    struct symbols *symbols; // of all exchanges, by their names
    uint32_t symbol_count;   // names that were added
    struct event_level *levels;
    uint8_t *frame;               // padded
    struct replay_raw_pair *pair; // [REPLAY_ROWS_MAX] by raw row of the slice
    uint32_t *slots; // rows of the slice by when they were received: entry + 1
    uint32_t slot_count;
    uint64_t unplaced;            // raw rows that were not played
};

void replay_raw_open(struct replay_raw *raw, struct replay_streams *streams);
void replay_raw_close(struct replay_raw *raw);
// A slice is to be played: marks what is not to be sent. False when out of memory.
bool replay_raw_pair(struct replay_raw *raw, struct replay_slice *slice);
// A raw row's bytes to who gets them.
void replay_raw_publish(struct replay_raw *raw, const struct replay_slice *slice,
                        const struct replay_entry *entry);

#endif
