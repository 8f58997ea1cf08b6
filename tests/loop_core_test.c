// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the loop makes of the kernel's answers that no test can provoke, or not when it wants to:
// interruptions, multishot operations that end, receives that find no buffer.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop_core.h"

static struct loop_core core;
static int64_t told; // 1: nothing

static void done(struct io *io, struct io_op *op)
{
    (void)io;
    told = op->result;
}

// The operation is flying, then the kernel says `result`. What the owner hears; 1: it goes on.
static int64_t answer(enum io_kind kind, uint32_t flags, int result)
{
    struct io_op op = {.kind = kind, .flags = flags, .size = 4096, .callback = done};
    cr_assert_eq(loop_core_init(&core, NULL), 0);
    told = 1;
    loop_core_enqueue(&core, &op);
    cr_assert(loop_core_ready_to_submit(&core, &op));
    loop_core_submitted(&core, &op);
    loop_core_completed(&core, &op, result, false);
    cr_assert_eq(core.backlog.count, told == 1);
    if (told == 1) { // so that nothing is in flight at the end
        cr_assert(loop_core_ready_to_submit(&core, &op));
        loop_core_submitted(&core, &op);
        loop_core_completed(&core, &op, -EIO, false);
        told = 1;
    }
    loop_core_deinit(&core);
    return told;
}

Test(loop_core, what_makes_bytes_durable_is_never_tried_again)
{
    cr_assert_eq(answer(IO_FSYNC, 0, -EINTR), -EINTR);
    cr_assert_eq(answer(IO_FSYNC, 1, -EAGAIN), -EAGAIN);
    cr_assert_eq(answer(IO_WRITE, IO_WRITE_DURABLE, -EINTR), -EINTR);
    cr_assert_eq(answer(IO_WRITE, IO_WRITE_DURABLE, -EIO), -EIO);
}

Test(loop_core, what_was_only_interrupted_goes_on)
{
    cr_assert_eq(answer(IO_WRITE, 0, -EINTR), 1);
    cr_assert_eq(answer(IO_READ, 0, -EAGAIN), 1);
    cr_assert_eq(answer(IO_FALLOCATE, 0, -EINTR), 1);
    cr_assert_eq(answer(IO_WRITE, IO_WRITE_DURABLE, 512), 1); // the rest of a short write
    cr_assert_eq(answer(IO_FSYNC, 0, 0), 0);
}

// ---- several completions of one operation ----

static struct io_op multishot;
static struct {
    uint32_t calls, lasts;
    int64_t result; // of the latest callback
    bool cancels;   // the owner has enough with the first
} heard;

static void hear(struct io *io, struct io_op *op)
{
    (void)io;
    heard.calls += 1;
    heard.lasts += !op->more;
    heard.result = op->result;
    cr_assert_eq(op->kind == IO_NONE, !op->more);
    if (op->more && op->result > 0 && op->kind == IO_RECEIVE)
        cr_assert_eq(memcmp(op->data, "tape", 4), 0);
    if (heard.cancels)
        loop_core_cancel(&core, op);
}

static void multishot_begin(enum io_kind kind)
{
    multishot = (struct io_op){.kind = kind, .callback = hear};
    memset(&heard, 0, sizeof heard);
    cr_assert_eq(loop_core_init(&core, NULL), 0);
    loop_core_enqueue(&core, &multishot);
}

// It is submitted, and then nothing is waiting to be.
static void multishot_armed(void)
{
    cr_assert_eq(core.backlog.first, &multishot, "it is not armed again");
    cr_assert(loop_core_ready_to_submit(&core, &multishot));
    loop_core_submitted(&core, &multishot);
    cr_assert_eq(core.backlog.count, 0);
}

static void completed(int result, bool more)
{
    multishot.data = result > 0 ? (const uint8_t *)"tape" : NULL;
    loop_core_completed(&core, &multishot, result, more);
}

// The last callback has come, with this, and nothing of the operation is left anywhere.
static void multishot_end(int64_t result)
{
    cr_assert_eq(heard.lasts, 1);
    cr_assert_eq(heard.result, result);
    cr_assert_eq(core.in_flight, 0);
    cr_assert_eq(core.backlog.count + core.cancels.count + core.starved.count + core.ready.count,
                 0);
    cr_assert(io_idle(&multishot));
    loop_core_deinit(&core);
}

Test(loop_core, a_receive_that_the_kernel_ends_with_data_goes_on)
{
    multishot_begin(IO_RECEIVE);
    multishot_armed();
    completed(4, true);
    cr_assert_eq(core.backlog.count, 0, "the kernel still has it");
    completed(4, false);
    cr_assert(heard.calls == 2 && heard.lasts == 0 && heard.result == 4);
    multishot_armed();
    completed(4, false); // at once again
    multishot_armed();
    completed(0, false);
    cr_assert_eq(heard.calls, 4);
    multishot_end(0);
}

Test(loop_core, a_receive_that_the_kernel_ends_with_data_and_its_owner_too_is_over)
{
    multishot_begin(IO_RECEIVE);
    multishot_armed();
    heard.cancels = true;
    completed(4, false);
    cr_assert_eq(heard.calls, 2, "the bytes, and the end");
    multishot_end(-ECANCELED);
}

Test(loop_core, a_receive_without_a_buffer_waits_until_there_are_some)
{
    multishot_begin(IO_RECEIVE);
    multishot_armed();
    for (uint32_t times = 1; times <= 3; times++) {
        completed(-ENOBUFS, false);
        cr_assert_eq(core.counters.receive_no_buffers, times);
        cr_assert_eq(core.starved.count, 1);
        cr_assert_eq(core.backlog.count, 0, "asked at once it would turn round for ever");
        loop_core_feed_starved(&core);
        cr_assert_eq(core.starved.count, 0);
        multishot_armed();
        completed(4, true);
    }
    cr_assert(heard.calls == 3 && heard.lasts == 0, "the owner hears of bytes only");
    completed(-ECONNRESET, false);
    multishot_end(-ECONNRESET);
}

Test(loop_core, a_receive_that_is_cancelled_while_it_waits_for_a_buffer_ends_once)
{
    multishot_begin(IO_RECEIVE);
    multishot_armed();
    completed(-ENOBUFS, false);
    loop_core_cancel(&core, &multishot);
    cr_assert_eq(heard.calls, 0, "not from within");
    loop_core_feed_starved(&core);
    cr_assert_eq(core.backlog.count, 0, "it would be armed again");
    loop_core_fire_ready(&core);
    loop_core_fire_ready(&core);
    cr_assert_eq(heard.calls, 1);
    multishot_end(-ECANCELED);
}

// The kernel's answer overtakes the question, or comes while it has it.
Test(loop_core, a_cancelled_receive_that_finds_no_buffer_is_over)
{
    for (int asked = 0; asked < 2; asked++) {
        multishot_begin(IO_RECEIVE);
        multishot_armed();
        loop_core_cancel(&core, &multishot);
        cr_assert_eq(core.cancels.count, 1);
        if (asked != 0)
            loop_core_submitted(&core, &multishot);
        completed(4, true); // was on its way
        completed(-ENOBUFS, false);
        cr_assert_eq(core.counters.receive_no_buffers, 0);
        cr_assert_eq(heard.calls, 2);
        multishot_end(-ECANCELED);
    }
}

Test(loop_core, an_accept_that_the_kernel_ends_goes_on)
{
    multishot_begin(IO_ACCEPT);
    multishot_armed();
    int accepted = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_gt(accepted, 0);
    completed(accepted, false);
    cr_assert(heard.calls == 1 && heard.lasts == 0 && heard.result == accepted);
    multishot_armed();
    completed(-ECONNABORTED, false);
    cr_assert_eq(heard.calls, 1, "a connection that died in the queue is nobody's");
    multishot_armed();
    completed(accepted, true);
    cr_assert_eq(core.backlog.count, 0);
    completed(-EMFILE, false); // the listener's owner has to know
    cr_assert_eq(heard.calls, 3);
    multishot_end(-EMFILE);
    cr_assert_eq(close(accepted), 0);
}

Test(loop_core, a_cancelled_accept_gives_what_came_and_ends)
{
    static const int ends[] = {-ECONNABORTED, -ECANCELED, -EINTR};
    for (uint32_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        multishot_begin(IO_ACCEPT);
        multishot_armed();
        loop_core_cancel(&core, &multishot);
        loop_core_submitted(&core, &multishot);
        completed(ends[i], false);
        cr_assert_eq(heard.calls, 1);
        multishot_end(-ECANCELED);
    }
}
