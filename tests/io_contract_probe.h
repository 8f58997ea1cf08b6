// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_contract_probe: an operation of the contract test, and what its callbacks said.
#ifndef RINGTAPE_TESTS_IO_CONTRACT_PROBE_H
#define RINGTAPE_TESTS_IO_CONTRACT_PROBE_H

#include "io/io.h"

#include <criterion/criterion.h>
#include <errno.h>

enum { SECOND = 1000000000, RESULTS_MAX = 64 };

struct probe {
    struct io_op op;
    uint32_t calls;
    uint32_t lasts;
    int64_t results[RESULTS_MAX];
    int64_t completed_ns;
    uint32_t order; // when the last callback came, counted over all probes
    uint64_t bytes;
    uint64_t sum; // of received bytes times their position
    uint32_t restarts;
    int accepted;
};

__attribute__((unused)) static uint32_t probe_order;

static inline void probe_done(struct io *io, struct io_op *op)
{
    struct probe *probe = io_owner(op, struct probe, op);
    cr_assert_lt(probe->calls, UINT32_MAX);
    probe->results[probe->calls % RESULTS_MAX] = op->result;
    probe->calls += 1;
    cr_assert_geq(op->completed_ns, probe->completed_ns);
    cr_assert_leq(op->completed_ns, io_utc_ns(io));
    probe->completed_ns = op->completed_ns;
    cr_assert_eq(io_idle(op), !op->more);
    if (op->data != NULL && op->result > 0) {
        for (int64_t i = 0; i < op->result; i++)
            probe->sum += op->data[i] * (probe->bytes + (uint64_t)i + 1);
        probe->bytes += (uint64_t)op->result;
        volatile uint8_t padding = op->data[op->result + IO_RECEIVE_PADDING - 1];
        (void)padding;
    }
    if (!op->more) {
        probe->lasts += 1;
        probe->order = ++probe_order;
    }
}

static inline int64_t probe_last(const struct probe *probe)
{
    cr_assert_gt(probe->calls, 0);
    return probe->results[(probe->calls - 1) % RESULTS_MAX];
}

// Runs until `calls` callbacks have come; ten seconds are for ever.
static inline void probe_wait(struct io *io, struct probe *probe, uint32_t calls)
{
    int64_t end_ns = io_monotonic_ns(io) + 10ll * SECOND;
    while (probe->calls < calls && io_monotonic_ns(io) < end_ns)
        (void)io_run(io, SECOND);
    cr_assert_geq(probe->calls, calls, "%u of %u callbacks", probe->calls, calls);
}

static inline int64_t probe_finish(struct io *io, struct probe *probe)
{
    int64_t end_ns = io_monotonic_ns(io) + 10ll * SECOND;
    while (probe->lasts == 0 && io_monotonic_ns(io) < end_ns)
        (void)io_run(io, SECOND);
    cr_assert_eq(probe->lasts, 1, "%u last callbacks", probe->lasts);
    int64_t result = probe_last(probe);
    probe->lasts = 0;
    probe->calls = 0;
    return result;
}

static inline void close_handle(struct io *io, int handle)
{
    struct probe probe = {0};
    io_close(io, &probe.op, handle, probe_done);
    cr_assert_eq(probe_finish(io, &probe), 0);
}

#endif
