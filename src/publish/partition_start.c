// SPDX-License-Identifier: GPL-3.0-or-later
//
// partition_start: see partition_start.h.
#include "publish/partition_start.h"

#include <string.h>

#include "format/ensure.h"

enum partition_state { PARTITION_UNTRIED, PARTITION_WAITING, PARTITION_PROVEN };

static void begin_anew(struct partition_start *start)
{
    memset(start->state, PARTITION_UNTRIED, sizeof start->state);
    start->waiting = 0;
    start->proven = 0;
    start->unknown_waiting = false;
}

void partition_start_look(struct partition_start *start)
{
    int32_t count = atomic_load_explicit(&start->count, memory_order_relaxed);
    if (count == start->seen) return;
    if (start->seen != 0) begin_anew(start);
    start->seen = count;
}

bool partition_start_may(const struct partition_start *start, int32_t partition)
{
    ensure(partition >= PARTITION_UNKNOWN);
    if (start->unknown_waiting) return false; // it may be of this partition
    if (partition == PARTITION_UNKNOWN) return start->waiting == 0;
    if (partition >= PARTITION_START_MAX) return true;
    return start->state[partition] != PARTITION_WAITING;
}

void partition_start_sent(struct partition_start *start, int32_t partition)
{
    ensure(partition_start_may(start, partition));
    if (partition == PARTITION_UNKNOWN) {
        start->unknown_waiting = true;
        start->waiting++;
        return;
    }
    if (partition >= PARTITION_START_MAX) return;
    if (start->state[partition] != PARTITION_UNTRIED) return;
    start->state[partition] = PARTITION_WAITING;
    start->waiting++;
}

static void prove(struct partition_start *start, int32_t partition)
{
    if (partition < 0 || partition >= PARTITION_START_MAX) return;
    if (start->state[partition] == PARTITION_PROVEN) return;
    start->state[partition] = PARTITION_PROVEN;
    start->proven++;
}

// What is reported while the partition waits may be older than its first message, after it began
// anew: the broker has taken it all the same. One that was refused proves nothing.
void partition_start_reported(struct partition_start *start, int32_t partition, bool delivered)
{
    // Nobody knows which one waited: the topic is gone, or not for us.
    if (partition < 0 && !start->unknown_waiting) {
        begin_anew(start);
        return;
    }
    bool known = partition >= 0 && partition < PARTITION_START_MAX;
    bool waited = known && start->state[partition] == PARTITION_WAITING;
    if (start->unknown_waiting) {
        start->unknown_waiting = false;
        ensure(start->waiting > 0);
        start->waiting--;
    }
    if (waited) {
        ensure(start->waiting > 0);
        start->waiting--;
        start->state[partition] = PARTITION_UNTRIED;
    }
    if (delivered) prove(start, partition);
}

void partition_start_again(struct partition_start *start)
{
    for (uint32_t i = 0; i < PARTITION_START_MAX; i++) {
        if (start->state[i] == PARTITION_PROVEN) start->state[i] = PARTITION_UNTRIED;
    }
    start->proven = 0;
}
