// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_order: when rows are due, and in what order (replay_reader.h has the rule).
//
// Pure functions on rows; memory of its own is allocated once. Threading: one owner.
#ifndef RINGTAPE_TOOLS_REPLAY_ORDER_H
#define RINGTAPE_TOOLS_REPLAY_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/replay_reader.h"

enum { REPLAY_ENTRIES_MAX = 1 << 22 };

struct replay_order;
struct replay_order *replay_order_open(void); // NULL when out of memory
void replay_order_close(struct replay_order *order);

// Has the row a time of the exchange, or only that of its receipt?
bool replay_order_timed(const struct rows *rows, uint32_t row);
// When the row is due, by itself: a repaired one may be put off by its neighbours.
int64_t replay_order_due(const struct rows *rows, uint32_t row, int64_t lag_ns);
// All rows of all channels, ordered by when they are due; those due at once by channel, and within
// one in the order of its rows. Returns how many; at most REPLAY_ENTRIES_MAX.
uint32_t replay_order_all(struct replay_order *order, const struct rows rows[CHANNEL_COUNT],
                          int64_t lag_ns, struct replay_entry *entries);
// How many of the ordered entries are due before `time_ns`.
uint32_t replay_order_before(const struct replay_entry *entries, uint32_t count, int64_t time_ns);

#endif
