// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the kernel has of io_uring, and what it lacks by name; see io_uring_probe.h.
#include "io/io_uring_probe.h"

#include "format/ensure.h"
#include <errno.h>
#include <liburing.h>
#include <stdio.h>

static const struct {
    int operation;
    const char *name;
} loop_needs[] = {
    {IORING_OP_CONNECT, "connect"},     {IORING_OP_ACCEPT, "accept"},
    {IORING_OP_RECV, "receive"},        {IORING_OP_SEND, "send"},
    {IORING_OP_READ, "read"},           {IORING_OP_WRITE, "write"},
    {IORING_OP_FSYNC, "fsync"},         {IORING_OP_FALLOCATE, "fallocate"},
    {IORING_OP_OPENAT, "openat"},       {IORING_OP_CLOSE, "close"},
    {IORING_OP_RENAMEAT, "renameat"},   {IORING_OP_UNLINKAT, "unlinkat"},
    {IORING_OP_MKDIRAT, "mkdirat"},     {IORING_OP_ASYNC_CANCEL, "cancellation"},
};

int loop_probe(struct io_uring *ring, const struct io_explain_facts *facts,
               struct io_message *message)
{
    // A ring that is not enabled yet refuses to be entered with -EBADFD; a filter says something
    // else.
    int error = io_uring_enter((unsigned)ring->ring_fd, 0, 0, 0, NULL);
    if (error != -EBADFD && error != 0) {
        io_explain(message, facts, "io_uring_enter", error);
        return error;
    }
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (probe == NULL) {
        io_explain(message, facts, "io_uring_register", -EPERM);
        return -EPERM;
    }
    char missing[256] = "";
    for (size_t i = 0; i < sizeof loop_needs / sizeof loop_needs[0]; i++) {
        if (!io_uring_opcode_supported(probe, loop_needs[i].operation))
            io_explain_list(missing, sizeof missing, loop_needs[i].name);
    }
    io_uring_free_probe(probe);
    if (missing[0] == '\0')
        return 0;
    io_explain_operation(message, facts, missing);
    return -ENOSYS;
}

// The flags of loop_setup_ring() that came last, each with what it cannot be without.
static const struct {
    unsigned flag;
    unsigned with;
    const char *name;
} loop_flags[] = {
    {IORING_SETUP_CQSIZE, 0, "CQSIZE"},
    {IORING_SETUP_CLAMP, 0, "CLAMP"},
    {IORING_SETUP_R_DISABLED, 0, "R_DISABLED"},
    {IORING_SETUP_SUBMIT_ALL, 0, "SUBMIT_ALL"},
    {IORING_SETUP_SINGLE_ISSUER, 0, "SINGLE_ISSUER"},
    {IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER, "DEFER_TASKRUN"},
};

// The kernel refused them together: which of them does it not know?
void loop_explain_flags(const struct io_explain_facts *facts, struct io_message *message)
{
    char step[160] = "";
    for (size_t i = 0; i < sizeof loop_flags / sizeof loop_flags[0]; i++) {
        struct io_uring ring;
        struct io_uring_params parameters = {.flags = loop_flags[i].flag | loop_flags[i].with,
                                             .cq_entries = 8};
        int error = io_uring_queue_init_params(4, &ring, &parameters);
        if (error == 0)
            io_uring_queue_exit(&ring);
        else
            io_explain_list(step, sizeof step, loop_flags[i].name);
    }
    char whole[192];
    (void)snprintf(whole, sizeof whole, "io_uring_setup with %s",
                   step[0] != '\0' ? step : "all its flags");
    io_explain(message, facts, whole, -EINVAL);
}

// ---- restrictions ----

// What loop_bind() and io_uring_queue_exit() register, and the one flag of loop_prepare_network().
static const unsigned loop_registers[] = {
    IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS,
    IORING_REGISTER_IOWQ_MAX_WORKERS,
};

int loop_restrict(struct io_uring *ring)
{
    enum {
        NEEDS = sizeof loop_needs / sizeof loop_needs[0],
        REGISTERS = sizeof loop_registers / sizeof loop_registers[0],
    };
    struct io_uring_restriction all[NEEDS + REGISTERS + 1] = {{0}};
    unsigned count = 0;
    for (unsigned i = 0; i < NEEDS; i++) {
        all[count].opcode = IORING_RESTRICTION_SQE_OP;
        all[count++].sqe_op = (uint8_t)loop_needs[i].operation;
    }
    for (unsigned i = 0; i < REGISTERS; i++) {
        all[count].opcode = IORING_RESTRICTION_REGISTER_OP;
        all[count++].register_op = (uint8_t)loop_registers[i];
    }
    all[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    all[count++].sqe_flags = IOSQE_BUFFER_SELECT;
    ensure(count == NEEDS + REGISTERS + 1);
    // liburing 2.3 has a function for it that its shared library does not export.
    return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, all, count);
}
