// SPDX-License-Identifier: GPL-3.0-or-later
//
// loop_core: the life of an operation on a kernel loop, without the kernel.
//
// io_uring.c moves entries between the ring and this; here is decided what a completion means for
// its operation: last callback, one of several, again, or waiting for a receive buffer. Nothing
// here allocates or blocks. Belongs to the loop's thread but for loop_core_wake().
#ifndef RINGTAPE_IO_LOOP_CORE_H
#define RINGTAPE_IO_LOOP_CORE_H

#include "io/io.h"
#include "io/op_list.h"
#include "io/timer_heap.h"
#include "io/utc_clock.h"

#include <stdatomic.h>

struct resolver;

// op->state; the drawing is in loop_core.c.
enum loop_state {
    LOOP_IDLE,
    LOOP_BACKLOG,
    LOOP_FLYING,
    LOOP_CANCELING,
    LOOP_STARVED,
    LOOP_READY,
    LOOP_TIMER,
    LOOP_RESOLVING,
};

struct loop_core {
    struct io *io;            // passed to callbacks
    struct op_list backlog;   // want to be submitted
    struct op_list cancels;   // are in the kernel, want a cancellation
    struct op_list starved;   // receives that found no buffer
    struct op_list ready;     // finished without the kernel
    struct timer_heap timers;
    struct utc_clock clock;
    struct resolver *resolver;
    uint64_t sequence;
    uint32_t in_flight; // started, last callback not yet begun
    uint32_t called;    // callbacks of this run
    struct io_counters counters;
    void (*on_wake)(void *context);
    void *on_wake_context;
    int wake_handle; // eventfd
    atomic_bool wake_asked;
    atomic_bool resolver_answered;
};

// 0, -ENOMEM or -EMFILE. The core must not move afterwards.
int loop_core_init(struct loop_core *core, struct io *io);
void loop_core_deinit(struct loop_core *core); // also after a failed init

// Reads both clocks; returns UTC, never going back.
int64_t loop_core_utc_ns(struct loop_core *core);
int64_t loop_core_monotonic_ns(void);

void loop_core_enqueue(struct loop_core *core, struct io_op *op);
void loop_core_cancel(struct loop_core *core, struct io_op *op);

// Before submission of the first of the backlog. False: it cannot be submitted and was moved away.
bool loop_core_ready_to_submit(struct loop_core *core, struct io_op *op);
// The submission carried it.
void loop_core_submitted(struct loop_core *core, struct io_op *op);

// The kernel completed it with `result`; `more`: it will complete again. Received bytes are at
// op->data.
void loop_core_completed(struct loop_core *core, struct io_op *op, int result, bool more);
// The eventfd was read.
void loop_core_woken(struct loop_core *core);
// All receive buffers are back.
void loop_core_feed_starved(struct loop_core *core);

void loop_core_fire_ready(struct loop_core *core);
void loop_core_fire_timers(struct loop_core *core);
// How long the kernel may wait, given the caller's limit; negative: for ever.
int64_t loop_core_wait_ns(const struct loop_core *core, int64_t wait_ns);

// From any thread.
void loop_core_wake(struct loop_core *core);

#endif
