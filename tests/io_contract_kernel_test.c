// SPDX-License-Identifier: GPL-3.0-or-later
//
// Of the kernel's implementation only: threads, and what is said where the kernel refuses. Every
// test runs in a process of its own, which it spoils.
#ifdef RINGTAPE_IO_URING

#include "base/limits.h"
#include "io/io.h"
#include "io/io_uring_probe.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// As container runtimes do: this system call fails with `error` from now on.
static void forbid(uint32_t number, uint32_t error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void refused(int error, const char *reason)
{
    struct io *io = NULL;
    struct io_message message = {{0}};
    cr_assert_eq(io_open_loop(&io, NULL, &message), error);
    cr_assert_null(io);
    cr_assert(strstr(message.text, reason) != NULL, "%s", message.text);
}

Test(io_contract_kernel, a_filter_that_forbids)
{
    forbid(SYS_io_uring_setup, EPERM);
    refused(-EPERM, "--security-opt");
}

Test(io_contract_kernel, a_filter_that_hides)
{
    forbid(SYS_io_uring_setup, ENOSYS);
    refused(-ENOSYS, "seccomp");
}

Test(io_contract_kernel, a_filter_that_forbids_entering_only)
{
    forbid(SYS_io_uring_enter, EPERM);
    refused(-EPERM, "--security-opt");
}

Test(io_contract_kernel, a_filter_that_forbids_registering_only)
{
    forbid(SYS_io_uring_register, EPERM);
    refused(-EPERM, "--security-opt");
}

Test(io_contract_kernel, an_old_kernel)
{
    forbid(SYS_io_uring_setup, EINVAL);
    refused(-EINVAL, "too old");
}

Test(io_contract_kernel, no_locked_memory)
{
    forbid(SYS_io_uring_setup, ENOMEM);
    refused(-ENOMEM, "LimitMEMLOCK");
}

Test(io_contract_kernel, no_file_handles)
{
    struct rlimit limit = {3, 3};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    refused(-EMFILE, "LimitNOFILE");
}

// ---- restrictions ----

static int submit_one(struct io_uring *ring)
{
    struct io_uring_cqe *cqe = NULL;
    cr_assert_geq(io_uring_submit(ring), 0);
    cr_assert_eq(io_uring_wait_cqe(ring, &cqe), 0);
    const int result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return result;
}

Test(io_contract_kernel, a_restricted_ring_takes_what_the_loops_need_and_no_more)
{
    struct io_uring ring;
    struct io_uring_params parameters = {.flags = IORING_SETUP_R_DISABLED};
    cr_assert_eq(io_uring_queue_init_params(8, &ring, &parameters), 0);
    cr_assert_eq(loop_restrict(&ring), 0);
    const unsigned number = (unsigned)ring.ring_fd;
    cr_assert_eq(io_uring_register(number, IORING_REGISTER_ENABLE_RINGS, NULL, 0), 0);
    cr_assert_eq(loop_restrict(&ring) < 0, true, "once and for all");
    static const int foreign[] = {IORING_OP_SOCKET,   IORING_OP_SPLICE,  IORING_OP_OPENAT2,
                                  IORING_OP_SYMLINKAT, IORING_OP_LINKAT, IORING_OP_SETXATTR,
                                  IORING_OP_URING_CMD, IORING_OP_MSG_RING, IORING_OP_EPOLL_CTL,
                                  IORING_OP_SENDMSG,  IORING_OP_NOP};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        io_uring_prep_rw(foreign[i], io_uring_get_sqe(&ring), -1, NULL, 0, 0);
        cr_expect_eq(submit_one(&ring), -EACCES, "operation %d", foreign[i]);
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_close(sqe, 12345);
    cr_assert_eq(submit_one(&ring), -EBADF, "a needed one is carried out");
    sqe = io_uring_get_sqe(&ring);
    io_uring_prep_close(sqe, 12345);
    sqe->flags |= IOSQE_IO_LINK;
    cr_assert_eq(submit_one(&ring), -EACCES, "not with another flag");
    int handle = -1;
    cr_assert_eq(io_uring_register(number, IORING_REGISTER_FILES, &handle, 1), -EACCES);
    cr_assert_eq(io_uring_register(number, IORING_REGISTER_PERSONALITY, NULL, 0), -EACCES);
    io_uring_queue_exit(&ring);
}

// ---- a full completion queue ----

enum { CLOSES = 4000, NOT_OPEN = 1 << 30 };

static uint32_t ended;

static void count_ended(struct io *io, struct io_op *op)
{
    (void)io;
    ended += op->result == -EBADF;
}

Test(io_contract_kernel, completions_that_find_no_room_are_late_and_not_lost)
{
    static struct io_op ops[CLOSES];
    struct io *io = NULL;
    struct io_message message = {{0}};
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.entries = 8}, &message), 0);
    for (uint32_t i = 0; i < CLOSES; i++) io_close(io, &ops[i], NOT_OPEN, count_ended);
    for (uint32_t turns = 0; ended < CLOSES; turns++) {
        cr_assert_lt(turns, CLOSES);
        (void)io_run(io, LIMIT_SECOND_NS);
    }
    cr_assert_gt(io_counters(io).overflows, 0, "there was room");
    io_close_loop(io);
}

// ---- receive buffers ----

enum { BUFFERS = 2, BUFFER_BYTES = 64 };

struct reader {
    struct io_op op;
    uint32_t bytes, lasts;
    int64_t last;
};

static void read_and_cancel(struct io *io, struct io_op *op)
{
    struct reader *reader = io_owner(op, struct reader, op);
    if (op->more) {
        reader->bytes += (uint32_t)op->result;
        io_cancel(io, op);
    } else {
        reader->lasts += 1;
        reader->last = op->result;
    }
}

// Everything that is sent waits before the receive starts, so that it finds all buffers filled,
// and none, at one entry into the kernel.
Test(io_contract_kernel, a_receive_cancelled_where_buffers_end_is_over_and_leaks_none)
{
    static const char bytes[2 * BUFFERS * BUFFER_BYTES];
    const struct io_options options = {.receive_buffers = BUFFERS,
                                       .receive_buffer_bytes = BUFFER_BYTES};
    struct io *io = NULL;
    struct io_message message = {{0}};
    cr_assert_eq(io_open_loop(&io, &options, &message), 0);
    for (uint32_t times = 0; times < 4 * BUFFERS; times++) {
        int ends[2];
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        cr_assert_eq(write(ends[0], bytes, sizeof bytes), sizeof bytes);
        struct reader reader = {0};
        io_receive(io, &reader.op, ends[1], read_and_cancel);
        for (uint32_t turns = 0; reader.lasts == 0 && turns < 10; turns++)
            (void)io_run(io, LIMIT_SECOND_NS);
        (void)io_run(io, 0); // nothing comes behind the last
        cr_assert(reader.lasts == 1 && reader.last == -ECANCELED);
        cr_assert_eq(reader.bytes, BUFFERS * BUFFER_BYTES, "%u bytes, the %u. time", reader.bytes,
                     times);
        cr_assert(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
    cr_assert_eq(io_counters(io).receive_no_buffers, 0);
    io_close_loop(io);
}

// ---- threads ----

static void count_call(struct io *io, struct io_op *op)
{
    (void)io;
    (void)op;
}

static void *run_and_close(void *context)
{
    struct io *io = context;
    static struct io_op op;
    io_timeout(io, &op, 1000, count_call);
    while (!io_idle(&op))
        (void)io_run(io, -1);
    io_close_loop(io);
    return NULL;
}

Test(io_contract_kernel, a_loop_opened_here_runs_on_the_thread_that_runs_it_first)
{
    struct io *loops[2];
    pthread_t threads[2];
    struct io_message message;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(io_open_loop(&loops[i], NULL, &message), 0);
        cr_assert_eq(pthread_create(&threads[i], NULL, run_and_close, loops[i]), 0);
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
}

#endif
