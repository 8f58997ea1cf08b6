// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the loop makes of the kernel's answers that no test can provoke: interruptions.
#include <criterion/criterion.h>
#include <errno.h>

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
