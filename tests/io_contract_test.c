// SPDX-License-Identifier: GPL-3.0-or-later
//
// What io.h promises, asked of both implementations: this file is built once with io_uring.c and
// once with io_sim.c. No sleeps: waiting is io_run().
#include "io_contract.h"
#include "io_contract_probe.h"

// ---- one listener, one connection, both ends on the same loop ----

struct pair {
    struct contract contract;
    struct io *io;
    int listener;
    struct io_address address;
    struct probe accept;
    struct probe connect;
    int near; // the end that connected
    int far;
};

static void pair_listen(struct pair *pair, const struct io_options *options)
{
    memset(pair, 0, sizeof *pair);
    contract_begin(&pair->contract, options);
    pair->io = pair->contract.io;
    pair->address = (struct io_address){.bytes = {127, 0, 0, 1}};
    pair->listener = io_listen(pair->io, &pair->address, &pair->address.port);
    cr_assert_geq(pair->listener, 0);
    cr_assert_neq(pair->address.port, 0);
    io_accept(pair->io, &pair->accept.op, pair->listener, probe_done);
}

static void pair_begin(struct pair *pair, const struct io_options *options)
{
    pair_listen(pair, options);
    io_connect(pair->io, &pair->connect.op, &pair->address, probe_done);
    pair->near = (int)probe_finish(pair->io, &pair->connect);
    cr_assert_geq(pair->near, 0);
    probe_wait(pair->io, &pair->accept, 1);
    pair->far = (int)pair->accept.results[0];
    cr_assert_geq(pair->far, 0);
    cr_assert(pair->accept.op.more);
}

static void pair_end(struct pair *pair)
{
    io_cancel(pair->io, &pair->accept.op);
    pair->accept.lasts = 0;
    cr_assert_eq(probe_finish(pair->io, &pair->accept), -ECANCELED);
    if (pair->near >= 0)
        close_handle(pair->io, pair->near);
    if (pair->far >= 0)
        close_handle(pair->io, pair->far);
    close_handle(pair->io, pair->listener);
    contract_end(&pair->contract);
}

static uint64_t bytes_fill(uint8_t *bytes, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
        sum += bytes[i] * (uint64_t)(i + 1);
    }
    return sum;
}

static void send_all(struct io *io, int handle, const uint8_t *bytes, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        struct probe probe = {0};
        io_send(io, &probe.op, handle, bytes + sent, (uint32_t)(size - sent), probe_done);
        int64_t result = probe_finish(io, &probe);
        cr_assert_gt(result, 0);
        sent += (size_t)result;
    }
}

// ---- timeouts ----

Test(io_contract, timeouts_fire_in_order_of_deadline_then_of_starting)
{
    static const struct {
        int64_t after_ns;
        uint32_t order;
    } rows[] = {{3000000, 6}, {1000000, 3}, {2000000, 4}, {0, 1}, {2000000, 5}, {0, 2}};
    enum { COUNT = sizeof rows / sizeof rows[0] };
    struct contract contract;
    static struct probe probes[COUNT];
    contract_begin(&contract, NULL);
    int64_t begin_ns = io_monotonic_ns(contract.io);
    for (size_t i = 0; i < COUNT; i++)
        io_timeout(contract.io, &probes[i].op, rows[i].after_ns, probe_done);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(probes[i].calls, 0, "callbacks come from io_run() only");
    probe_wait(contract.io, &probes[0], 1);
    cr_assert_geq(io_monotonic_ns(contract.io) - begin_ns, 3000000);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(probes[i].results[0], 0);
        // Equal deadlines are not exactly equal on a real clock, but never fire the other way
        // round.
        cr_assert_eq(probes[i].order, rows[i].order, "timeout %zu came as %u", i, probes[i].order);
    }
    contract_end(&contract);
}

Test(io_contract, cancelled_timeouts_say_so_and_others_still_fire)
{
    enum { COUNT = 100 };
    struct contract contract;
    static struct probe probes[COUNT];
    contract_begin(&contract, NULL);
    for (size_t i = 0; i < COUNT; i++)
        io_timeout(contract.io, &probes[i].op, (int64_t)((i * 37) % COUNT) * 10000, probe_done);
    for (size_t i = 0; i < COUNT; i += 3)
        io_cancel(contract.io, &probes[i].op);
    io_cancel(contract.io, &probes[0].op); // twice is once
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(probe_finish(contract.io, &probes[i]), i % 3 == 0 ? -ECANCELED : 0);
        io_cancel(contract.io, &probes[i].op); // idle: no effect
    }
    contract_end(&contract);
}

static void restart_thrice(struct io *io, struct io_op *op)
{
    struct probe *probe = io_owner(op, struct probe, op);
    cr_assert(io_idle(op));
    probe->restarts += 1;
    if (probe->restarts < 4)
        io_timeout(io, op, 0, restart_thrice);
    else
        probe->calls = 1;
}

Test(io_contract, an_operation_starts_again_from_its_own_callback)
{
    struct contract contract;
    struct probe probe = {0};
    contract_begin(&contract, NULL);
    io_timeout(contract.io, &probe.op, 0, restart_thrice);
    probe_wait(contract.io, &probe, 1);
    cr_assert_eq(probe.restarts, 4);
    contract_end(&contract);
}

Test(io_contract, run_waits_no_longer_than_told)
{
    struct contract contract;
    contract_begin(&contract, NULL);
    int64_t begin_ns = io_monotonic_ns(contract.io);
    cr_assert_eq(io_run(contract.io, 0), 0);
    cr_assert_eq(io_run(contract.io, 2000000), 0);
    cr_assert_geq(io_monotonic_ns(contract.io) - begin_ns, 2000000);
    cr_assert_geq(io_utc_ns(contract.io), 1500000000ll * SECOND);
    contract_end(&contract);
}

static uint32_t woken;

static void on_wake(void *context)
{
    cr_assert_eq(*(int *)context, 7);
    woken += 1;
}

Test(io_contract, a_wake_from_elsewhere_ends_the_wait)
{
    struct contract contract;
    static int context = 7;
    contract_begin(&contract, NULL);
    io_on_wake(contract.io, on_wake, &context);
    for (uint32_t i = 1; i <= 3; i++) {
        contract_wake(&contract);
        while (woken < i)
            (void)io_run(contract.io, -1);
    }
    io_wake(contract.io); // by itself, and folded
    io_wake(contract.io);
    while (woken < 4)
        (void)io_run(contract.io, -1);
    (void)io_run(contract.io, 0);
    cr_assert_eq(woken, 4);
    contract_end(&contract);
}

Test(io_contract, random_bytes_differ)
{
    struct contract contract;
    uint8_t bytes[2][32] = {{0}};
    contract_begin(&contract, NULL);
    io_random(contract.io, bytes[0], 32);
    io_random(contract.io, bytes[1], 32);
    cr_assert_neq(memcmp(bytes[0], bytes[1], 32), 0);
    contract_end(&contract);
}

// ---- network ----

Test(io_contract, bytes_come_out_as_they_went_in_both_directions)
{
    enum { SIZE = 300000 };
    static uint8_t bytes[SIZE];
    static struct pair pair;
    uint64_t sum = bytes_fill(bytes, SIZE);
    pair_begin(&pair, NULL);
    int ends[2] = {pair.near, pair.far};
    for (int i = 0; i < 2; i++) {
        struct probe receive = {0};
        io_receive(pair.io, &receive.op, ends[1 - i], probe_done);
        send_all(pair.io, ends[i], bytes, SIZE);
        while (receive.bytes < SIZE)
            probe_wait(pair.io, &receive, receive.calls + 1);
        cr_assert_eq(receive.bytes, SIZE);
        cr_assert_eq(receive.sum, sum);
        cr_assert_eq(receive.lasts, 0);
        io_cancel(pair.io, &receive.op);
        cr_assert_eq(probe_finish(pair.io, &receive), -ECANCELED);
    }
    pair_end(&pair);
}

Test(io_contract, more_data_than_buffers_arrives_all_the_same)
{
    enum { SIZE = 40000 };
    static uint8_t bytes[SIZE];
    static struct pair pair;
    struct io_options options = {.receive_buffers = 2, .receive_buffer_bytes = 1000};
    uint64_t sum = bytes_fill(bytes, SIZE);
    pair_begin(&pair, &options);
    send_all(pair.io, pair.near, bytes, SIZE);
    struct probe receive = {0};
    io_receive(pair.io, &receive.op, pair.far, probe_done);
    while (receive.bytes < SIZE)
        probe_wait(pair.io, &receive, receive.calls + 1);
    cr_assert_eq(receive.sum, sum);
    cr_assert_geq(receive.calls, SIZE / 1000);
    cr_assert_gt(io_counters(pair.io).receive_no_buffers, 0);
    io_cancel(pair.io, &receive.op);
    cr_assert_eq(probe_finish(pair.io, &receive), -ECANCELED);
    pair_end(&pair);
}

Test(io_contract, a_peer_that_closes_ends_the_receive_with_zero)
{
    static struct pair pair;
    struct probe receive = {0};
    pair_begin(&pair, NULL);
    io_receive(pair.io, &receive.op, pair.far, probe_done);
    send_all(pair.io, pair.near, (const uint8_t *)"end", 3);
    close_handle(pair.io, pair.near);
    pair.near = -1;
    probe_wait(pair.io, &receive, 2);
    cr_assert_eq(receive.bytes, 3);
    cr_assert_eq(probe_finish(pair.io, &receive), 0);
    pair_end(&pair);
}

Test(io_contract, sending_to_a_closed_peer_fails_in_the_end)
{
    static struct pair pair;
    static const uint8_t bytes[1000];
    int64_t result = 0;
    pair_begin(&pair, NULL);
    close_handle(pair.io, pair.near);
    pair.near = -1;
    for (int i = 0; i < 1000 && result >= 0; i++) {
        struct probe send = {0};
        io_send(pair.io, &send.op, pair.far, bytes, sizeof bytes, probe_done);
        result = probe_finish(pair.io, &send);
    }
    cr_assert(result == -EPIPE || result == -ECONNRESET, "%lld", (long long)result);
    pair_end(&pair);
}

Test(io_contract, connecting_where_nobody_listens_is_refused)
{
    static struct pair pair;
    struct probe connect = {0};
    pair_begin(&pair, NULL);
    struct io_address closed = {.bytes = {127, 0, 0, 1}};
    int listener = io_listen(pair.io, &closed, &closed.port);
    close_handle(pair.io, listener);
    io_connect(pair.io, &connect.op, &closed, probe_done);
    cr_assert_eq(probe_finish(pair.io, &connect), -ECONNREFUSED);
    pair_end(&pair);
}

Test(io_contract, cancelled_network_operations_end_once)
{
    static struct pair pair;
    static uint8_t bytes[1 << 20];
    for (int runs = 0; runs < 3; runs++) { // cancelled at once, after one run, after a few
        pair_begin(&pair, NULL);
        struct probe receive = {0};
        struct probe connect = {0};
        struct probe send = {0};
        io_receive(pair.io, &receive.op, pair.near, probe_done);
        io_connect(pair.io, &connect.op, &pair.address, probe_done);
        int64_t sent = 0;
        for (int i = 0; i < 64 && io_idle(&send.op); i++) { // until the peer's buffers are full
            io_send(pair.io, &send.op, pair.near, bytes, sizeof bytes, probe_done);
            for (int run = 0; run <= runs; run++)
                (void)io_run(pair.io, 0);
        }
        cr_assert(!io_idle(&send.op));
        io_cancel(pair.io, &send.op);
        io_cancel(pair.io, &connect.op);
        io_cancel(pair.io, &receive.op);
        send.lasts = 0;
        sent = probe_finish(pair.io, &send);
        cr_assert(sent == -ECANCELED || sent > 0);
        cr_assert_eq(probe_finish(pair.io, &receive), -ECANCELED);
        if (!io_idle(&connect.op) || connect.lasts == 1) {
            int64_t handle = probe_finish(pair.io, &connect);
            cr_assert(handle == -ECANCELED || handle >= 0);
            if (handle >= 0)
                close_handle(pair.io, (int)handle);
        }
        io_cancel(pair.io, &pair.accept.op);
        cr_assert_eq(probe_finish(pair.io, &pair.accept), -ECANCELED);
        close_handle(pair.io, pair.near);
        close_handle(pair.io, pair.far);
        if (pair.accept.results[1] > 0)
            close_handle(pair.io, (int)pair.accept.results[1]);
        close_handle(pair.io, pair.listener);
        contract_end(&pair.contract);
    }
}

Test(io_contract, cancelling_races_with_data_and_either_may_win)
{
    static struct pair pair;
    pair_begin(&pair, NULL);
    for (int i = 0; i < 50; i++) {
        struct probe receive = {0};
        io_receive(pair.io, &receive.op, pair.far, probe_done);
        send_all(pair.io, pair.near, (const uint8_t *)"x", 1);
        io_cancel(pair.io, &receive.op);
        cr_assert_eq(probe_finish(pair.io, &receive), -ECANCELED);
        struct probe again = {0}; // what was not delivered is still there
        io_receive(pair.io, &again.op, pair.far, probe_done);
        if (receive.bytes == 0)
            probe_wait(pair.io, &again, 1);
        cr_assert_eq(receive.bytes + again.bytes, 1);
        io_cancel(pair.io, &again.op);
        cr_assert_eq(probe_finish(pair.io, &again), -ECANCELED);
    }
    pair_end(&pair);
}

Test(io_contract, many_connections_are_accepted_by_one_operation)
{
    enum { COUNT = 20 };
    static struct pair pair;
    static struct probe connects[COUNT];
    pair_listen(&pair, &(struct io_options){.entries = 4}); // more than the queue takes at once
    for (int i = 0; i < COUNT; i++)
        io_connect(pair.io, &connects[i].op, &pair.address, probe_done);
    probe_wait(pair.io, &pair.accept, COUNT);
    for (int i = 0; i < COUNT; i++) {
        close_handle(pair.io, (int)probe_finish(pair.io, &connects[i]));
        close_handle(pair.io, (int)pair.accept.results[i]);
    }
    pair.near = -1;
    pair.far = -1;
    pair_end(&pair);
}

Test(io_contract, hosts_resolve)
{
    static const struct {
        const char *host;
        bool ipv6;
    } rows[] = {{"127.0.0.1", false}, {"192.0.2.7", false}, {"::1", true}, {"localhost", false}};
    struct contract contract;
    contract_begin(&contract, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct probe probe = {0};
        struct io_address addresses[IO_ADDRESSES_MAX] = {0};
        io_resolve(contract.io, &probe.op, rows[i].host, 443, addresses, probe_done);
        cr_assert_eq(probe.calls, 0);
        int64_t count = probe_finish(contract.io, &probe);
        cr_assert_geq(count, 1, "%s: %lld", rows[i].host, (long long)count);
        cr_assert_eq(addresses[0].port, 443);
        if (rows[i].ipv6)
            cr_assert(addresses[0].ipv6 && addresses[0].bytes[15] == 1);
        else
            cr_assert(addresses[0].ipv6 || addresses[0].bytes[0] != 0);
        io_resolve(contract.io, &probe.op, rows[i].host, 443, addresses, probe_done);
        io_cancel(contract.io, &probe.op);
        count = probe_finish(contract.io, &probe);
        cr_assert(count == -ECANCELED || count >= 1);
    }
    contract_end(&contract);
}
