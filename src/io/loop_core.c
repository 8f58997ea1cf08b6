// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where an operation is, op->state; every arrow happens in the function named:
//
//   enqueue ──> TIMER ──────────────────────fire_timers──────────────────────┐
//        ├────> RESOLVING ─────────────────────woken─────────────────────────┤
//        └────> BACKLOG ──submitted──> FLYING ──completed──> settle ──> finish: callback, idle
//                  ↑                     │ ↑                                 ↑
//                  │      cancel: CANCELING, then submitted: back to FLYING  │
//                  ├──short or interrupted: again────────┘                   │
//                  └──STARVED: no receive buffer, until feed_starved         │
//   cancel of what the kernel does not have: READY ──fire_ready──────────────┘
//
// Callbacks run from completed, woken, fire_ready and fire_timers only. Completions of the kernel
// are called back in its order. Cancelling is asked of the kernel after everything started before.
#include "io/loop_core.h"

#include "format/ensure.h"
#include "io/host_socket.h"
#include "io/resolver.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

// ---- life and clock ----

static int64_t loop_core_clock(clockid_t id)
{
    struct timespec now;
    ensure(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t loop_core_monotonic_ns(void)
{
    return loop_core_clock(CLOCK_MONOTONIC);
}

int64_t loop_core_utc_ns(struct loop_core *core)
{
    int64_t realtime_ns = 0;
    int64_t monotonic_ns = 0;
    // A step is believed only if three readings agree; preemption between the clocks looks like
    // one.
    for (int i = 0; i < 3; i++) {
        realtime_ns = loop_core_clock(CLOCK_REALTIME);
        monotonic_ns = loop_core_clock(CLOCK_MONOTONIC);
        if (__builtin_expect(!utc_clock_stepped(&core->clock, realtime_ns, monotonic_ns), 1))
            break;
    }
    int64_t utc_ns = utc_clock_update(&core->clock, realtime_ns, monotonic_ns);
    core->counters.clock_steps = core->clock.steps;
    return utc_ns;
}

static void loop_core_signal(struct loop_core *core)
{
    uint64_t one = 1;
    ssize_t written = write(core->wake_handle, &one, sizeof one);
    ensure(written == sizeof one || errno == EAGAIN); // full: it is readable anyway
}

void loop_core_wake(struct loop_core *core)
{
    if (!atomic_exchange(&core->wake_asked, true))
        loop_core_signal(core);
}

static void loop_core_wake_for_resolver(void *context)
{
    struct loop_core *core = context;
    if (!atomic_exchange(&core->resolver_answered, true))
        loop_core_signal(core);
}

int loop_core_init(struct loop_core *core, struct io *io)
{
    *core = (struct loop_core){.io = io};
    utc_clock_init(&core->clock, loop_core_clock(CLOCK_REALTIME), loop_core_monotonic_ns());
    core->resolver = resolver_create(loop_core_wake_for_resolver, core);
    core->wake_handle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (core->wake_handle < 0)
        return -errno;
    return core->resolver != NULL ? 0 : -ENOMEM;
}

void loop_core_deinit(struct loop_core *core)
{
    ensure(core->in_flight == 0);
    if (core->resolver != NULL)
        resolver_destroy(core->resolver);
    if (core->wake_handle >= 0)
        (void)close(core->wake_handle);
}

// ---- starting and cancelling ----

static void loop_core_queue(struct loop_core *core, struct io_op *op)
{
    op->state = LOOP_BACKLOG;
    op_list_append(&core->backlog, op);
}

static void loop_core_make_ready(struct loop_core *core, struct io_op *op, int64_t result)
{
    op->result = result;
    op->state = LOOP_READY;
    op_list_append(&core->ready, op);
}

void loop_core_enqueue(struct loop_core *core, struct io_op *op)
{
    ensure(op->state == LOOP_IDLE);
    core->in_flight += 1;
    op->sequence = core->sequence++;
    op->steps = core->clock.steps;
    if (op->kind == IO_TIMEOUT) {
        op->state = LOOP_TIMER;
        op->deadline_ns = loop_core_monotonic_ns() + op->offset;
        timer_heap_add(&core->timers, op);
    } else if (op->kind == IO_RESOLVE) {
        op->state = LOOP_RESOLVING;
        if (resolver_ask(core->resolver, op))
            loop_core_make_ready(core, op, op->result);
    } else {
        loop_core_queue(core, op);
    }
}

// Everything else touches the disk and runs to its end.
static bool loop_core_cancelable(enum io_kind kind)
{
    return kind == IO_CONNECT || kind == IO_ACCEPT || kind == IO_RECEIVE || kind == IO_SEND ||
           kind == IO_TIMEOUT || kind == IO_RESOLVE;
}

static void loop_core_cancel_queued(struct loop_core *core, struct io_op *op)
{
    op_list_remove(op->state == LOOP_BACKLOG ? &core->backlog : &core->starved, op);
    if (op->kind == IO_CONNECT && op->handle >= 0)
        (void)close(op->handle);
    loop_core_make_ready(core, op, -ECANCELED);
}

void loop_core_cancel(struct loop_core *core, struct io_op *op)
{
    if (!loop_core_cancelable(op->kind) || op->canceled)
        return;
    op->canceled = true;
    switch ((enum loop_state)op->state) {
    case LOOP_BACKLOG:
    case LOOP_STARVED:
        loop_core_cancel_queued(core, op);
        break;
    case LOOP_TIMER:
        timer_heap_remove(&core->timers, op);
        loop_core_make_ready(core, op, -ECANCELED);
        break;
    case LOOP_RESOLVING:
        if (resolver_forget(core->resolver, op))
            loop_core_make_ready(core, op, -ECANCELED);
        break;
    case LOOP_FLYING:
        op->state = LOOP_CANCELING;
        op_list_append(&core->cancels, op);
        break;
    case LOOP_READY:
        break;
    case LOOP_IDLE:
    case LOOP_CANCELING:
        ensure(false); // a started operation is somewhere, and is cancelled once
    }
}

// ---- submission ----

bool loop_core_ready_to_submit(struct loop_core *core, struct io_op *op)
{
    ensure(op->state == LOOP_BACKLOG);
    if (op->kind != IO_CONNECT || op->handle >= 0)
        return true;
    op->handle = host_socket_create(&op->address);
    if (op->handle >= 0)
        return true;
    op_list_remove(&core->backlog, op);
    loop_core_make_ready(core, op, op->handle);
    return false;
}

void loop_core_submitted(struct loop_core *core, struct io_op *op)
{
    ensure(op->state == LOOP_BACKLOG || op->state == LOOP_CANCELING);
    op_list_remove(op->state == LOOP_BACKLOG ? &core->backlog : &core->cancels, op);
    op->state = LOOP_FLYING;
}

// ---- completion ----

// The last callback; the operation may be started again from within it.
static void loop_core_finish(struct loop_core *core, struct io_op *op, int64_t result)
{
    ensure(op->kind != IO_NONE && core->in_flight > 0);
    ensure(op->next == NULL && op->previous == NULL);
    core->in_flight -= 1;
    core->called += 1;
    op->state = LOOP_IDLE;
    op->kind = IO_NONE;
    op->more = false;
    op->result = result;
    op->data = NULL;
    op->completed_ns = core->clock.utc_ns;
    op->clock_stepped = op->steps != core->clock.steps;
    op->callback(core->io, op);
}

// One of several callbacks.
static void loop_core_deliver(struct loop_core *core, struct io_op *op, int64_t result)
{
    core->called += 1;
    op->more = true;
    op->result = result;
    op->completed_ns = core->clock.utc_ns;
    op->clock_stepped = op->steps != core->clock.steps;
    op->steps = core->clock.steps;
    op->callback(core->io, op);
    ensure(op->kind != IO_NONE);
}

// What makes bytes durable fails for good, whatever the reason: a second try that succeeds would
// say nothing of the pages that the first one gave up (fsyncgate).
static bool loop_core_once(const struct io_op *op)
{
    return op->kind == IO_FSYNC ||
           (op->kind == IO_WRITE && (op->flags & IO_WRITE_DURABLE) != 0);
}

static void loop_core_finish_or_again(struct loop_core *core, struct io_op *op, int64_t result)
{
    if ((result != -EINTR && result != -EAGAIN) || (loop_core_once(op) && !op->canceled))
        loop_core_finish(core, op, result);
    else if (op->canceled)
        loop_core_finish(core, op, -ECANCELED);
    else
        loop_core_queue(core, op);
}

// The kernel no longer has the operation.
static void loop_core_settle(struct loop_core *core, struct io_op *op)
{
    ensure(op->state == LOOP_FLYING || op->state == LOOP_CANCELING);
    if (op->state == LOOP_CANCELING)
        op_list_remove(&core->cancels, op);
    op->state = LOOP_IDLE;
}

static void loop_core_received(struct loop_core *core, struct io_op *op, int result, bool more)
{
    if (result > 0) {
        ensure(op->data != NULL);
        loop_core_deliver(core, op, result);
    }
    if (more)
        return;
    loop_core_settle(core, op);
    if (result > 0) {
        // The kernel ends a multishot receive now and then (overflow, too much at once).
        loop_core_finish_or_again(core, op, -EAGAIN);
    } else if (result == -ENOBUFS && !op->canceled) {
        core->counters.receive_no_buffers += 1;
        op->state = LOOP_STARVED;
        op_list_append(&core->starved, op);
    } else {
        loop_core_finish_or_again(core, op, result == -ENOBUFS ? -ECANCELED : result);
    }
}

static void loop_core_accepted(struct loop_core *core, struct io_op *op, int result, bool more)
{
    if (result >= 0) {
        host_socket_no_delay(result);
        loop_core_deliver(core, op, result);
    }
    if (more)
        return;
    loop_core_settle(core, op);
    // A connection that died in the queue is no fault of the listener.
    bool again = result >= 0 || result == -ECONNABORTED;
    loop_core_finish_or_again(core, op, again ? -EAGAIN : result);
}

static void loop_core_transferred(struct loop_core *core, struct io_op *op, int result)
{
    bool reading = op->kind == IO_READ;
    if (result == -EINVAL && reading && op->done > 0)
        result = 0; // a direct read has met the end of a file whose size is not aligned
    if (result < 0) {
        loop_core_finish_or_again(core, op, result);
        return;
    }
    ensure((uint32_t)result <= op->size - op->done);
    op->done += (uint32_t)result;
    if (op->done == op->size || (result == 0 && reading))
        loop_core_finish(core, op, op->done);
    else if (result == 0)
        loop_core_finish(core, op, -EIO); // a device that takes nothing and does not say why
    else
        loop_core_queue(core, op);
}

static void loop_core_connected(struct loop_core *core, struct io_op *op, int result)
{
    ensure(op->handle >= 0);
    if (result < 0)
        (void)close(op->handle);
    loop_core_finish(core, op, result < 0 ? result : op->handle);
}

static void loop_core_opened(struct loop_core *core, struct io_op *op, int result)
{
    if (result == -EINVAL && (op->flags & IO_OPEN_DIRECT) != 0) {
        op->flags &= ~(uint32_t)IO_OPEN_DIRECT; // a file system without it, as tmpfs before 6.6
        loop_core_queue(core, op);
        return;
    }
    loop_core_finish_or_again(core, op, result);
}

static void loop_core_completed_once(struct loop_core *core, struct io_op *op, int result)
{
    loop_core_settle(core, op);
    switch (op->kind) {
    case IO_READ:
    case IO_WRITE:
        loop_core_transferred(core, op, result);
        break;
    case IO_CONNECT:
        loop_core_connected(core, op, result);
        break;
    case IO_OPEN:
        loop_core_opened(core, op, result);
        break;
    case IO_CLOSE: // never twice: after EINTR the handle is gone and may be another's
        loop_core_finish(core, op, result == -EINTR ? 0 : result);
        break;
    default:
        loop_core_finish_or_again(core, op, result);
        break;
    }
}

void loop_core_completed(struct loop_core *core, struct io_op *op, int result, bool more)
{
    if (op->kind == IO_RECEIVE) {
        loop_core_received(core, op, result, more);
    } else if (op->kind == IO_ACCEPT) {
        loop_core_accepted(core, op, result, more);
    } else {
        ensure(!more);
        loop_core_completed_once(core, op, result);
    }
}

void loop_core_woken(struct loop_core *core)
{
    if (atomic_exchange(&core->resolver_answered, false)) {
        struct io_op *op = resolver_take(core->resolver);
        for (; op != NULL; op = resolver_take(core->resolver))
            loop_core_finish(core, op, op->result);
    }
    if (atomic_exchange(&core->wake_asked, false) && core->on_wake != NULL) {
        core->called += 1;
        core->on_wake(core->on_wake_context);
    }
}

void loop_core_feed_starved(struct loop_core *core)
{
    struct io_op *op = op_list_take(&core->starved);
    for (; op != NULL; op = op_list_take(&core->starved))
        loop_core_queue(core, op);
}

void loop_core_fire_ready(struct loop_core *core)
{
    // Those that callbacks add wait for the next run: an owner may restart for ever.
    for (uint32_t left = core->ready.count; left > 0 && core->ready.first != NULL; left--) {
        struct io_op *op = op_list_take(&core->ready);
        loop_core_finish(core, op, op->result);
    }
}

void loop_core_fire_timers(struct loop_core *core)
{
    int64_t now_ns = core->clock.monotonic_ns;
    uint64_t end = core->sequence; // a timeout of 0 restarted by its callback waits, too
    struct io_op *op = timer_heap_first(&core->timers);
    for (; op != NULL && op->deadline_ns <= now_ns && op->sequence < end;
         op = timer_heap_first(&core->timers)) {
        timer_heap_remove(&core->timers, op);
        loop_core_finish(core, op, 0);
    }
}

int64_t loop_core_wait_ns(const struct loop_core *core, int64_t wait_ns)
{
    if (core->ready.count > 0 || core->backlog.count > 0)
        return 0;
    const struct io_op *op = timer_heap_first(&core->timers);
    if (op == NULL || wait_ns == 0)
        return wait_ns;
    int64_t left_ns = op->deadline_ns - loop_core_monotonic_ns();
    if (left_ns < 0)
        left_ns = 0;
    return wait_ns < 0 || left_ns < wait_ns ? left_ns : wait_ns;
}
