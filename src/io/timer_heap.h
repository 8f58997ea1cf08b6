// SPDX-License-Identifier: GPL-3.0-or-later
//
// timer_heap: the pending timeouts of one loop, soonest first, equal deadlines in order of
// starting.
//
// An intrusive pairing heap: no memory of its own, so no bound but that of its operations. Starting
// costs O(1), firing and cancelling O(log n) amortised. One kernel timeout per timer would cost a
// submission, a completion and a cancellation each; a link moves its timers far more often than
// they fire. Private to the implementations of io.h; belongs to one thread.
#ifndef RINGTAPE_IO_TIMER_HEAP_H
#define RINGTAPE_IO_TIMER_HEAP_H

#include "io/io.h"

struct timer_heap {
    struct io_op *root;
    uint32_t count;
};

// Orders by op->deadline_ns, then op->sequence.
void timer_heap_add(struct timer_heap *heap, struct io_op *op);
void timer_heap_remove(struct timer_heap *heap, struct io_op *op);

// The soonest, or NULL.
static inline struct io_op *timer_heap_first(const struct timer_heap *heap)
{
    return heap->root;
}

#endif
