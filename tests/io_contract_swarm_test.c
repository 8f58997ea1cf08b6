// SPDX-License-Identifier: GPL-3.0-or-later
//
// Many connections doing everything at once in an order drawn from a seed, on either
// implementation: sending, receiving, cancelling, closing, connecting again, timers moved. Each
// connection carries numbered bytes, so that loss, doubling and mixing are seen; every operation
// must end exactly once.
#include "io_contract.h"
#include "io_contract_probe.h"

enum { LINES = 24, ROUNDS = 4000, SEND_BYTES_MAX = 60000 };

enum phase { CLOSED, CONNECTING, OPEN, ENDING };

// One end that sends, and the accepted end that receives.
struct line {
    struct io_op connect;
    struct io_op send;
    struct io_op receive;
    struct io_op timer;
    struct io_op close[2];
    struct swarm *swarm;
    enum phase phase;
    int near;
    int far;
    uint32_t sent;     // position in the stream of numbers
    uint32_t received;
    bool drained; // the receive has ended
    uint8_t bytes[SEND_BYTES_MAX];
};

struct swarm {
    struct contract contract;
    struct io *io;
    struct io_address address;
    struct io_op accept;
    int listener;
    struct line lines[LINES];
    struct line *connecting; // one at a time, so that accepted ends find their line
    uint64_t random;
    uint64_t bytes;
    uint32_t connections;
    uint32_t timers;
    bool stopping;
    bool accept_ended;
};

static struct swarm swarm;

static uint32_t draw(uint32_t bound)
{
    swarm.random = swarm.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(swarm.random >> 33) % bound;
}

static uint8_t stream_byte(const struct line *line, uint32_t position)
{
    return (uint8_t)(position * 31 + position / 256 + (uint32_t)(line - swarm.lines));
}

static void line_closed(struct io *io, struct io_op *op)
{
    struct line *line = (struct line *)(void *)op->private_words[3];
    (void)io;
    cr_assert_eq(op->result, 0);
    if (io_idle(&line->close[0]) && io_idle(&line->close[1]))
        line->phase = CLOSED;
}

// Both ends are closed once no operation is in flight on either.
static void line_settle(struct line *line)
{
    if (line->phase != ENDING || !io_idle(&line->send) || !line->drained ||
        !io_idle(&line->close[0]) || line->near < 0)
        return;
    int handles[2] = {line->near, line->far};
    line->near = -1;
    line->far = -1;
    for (int i = 0; i < 2; i++)
        io_close(swarm.io, &line->close[i], handles[i], line_closed);
    for (int i = 0; i < 2; i++)
        line->close[i].private_words[3] = (uint64_t)(uintptr_t)line;
}

static void line_received(struct io *io, struct io_op *op)
{
    struct line *line = io_owner(op, struct line, receive);
    (void)io;
    if (!op->more) {
        cr_assert_eq(op->result, -ECANCELED, "%lld", (long long)op->result);
        line->drained = true;
        line_settle(line);
        return;
    }
    cr_assert_gt(op->result, 0);
    for (int64_t i = 0; i < op->result; i++)
        cr_assert_eq(op->data[i], stream_byte(line, line->received + (uint32_t)i));
    line->received += (uint32_t)op->result;
    swarm.bytes += (uint64_t)op->result;
    if (draw(50) == 0) // from its own callback
        io_cancel(io, op);
}

static void line_sent(struct io *io, struct io_op *op)
{
    struct line *line = io_owner(op, struct line, send);
    (void)io;
    cr_assert(op->result > 0 || op->result == -ECANCELED, "%lld", (long long)op->result);
    if (op->result > 0)
        line->sent += (uint32_t)op->result;
    line_settle(line);
}

static void swarm_accepted(struct io *io, struct io_op *op)
{
    struct line *line = swarm.connecting;
    if (!op->more) {
        cr_assert_eq(op->result, -ECANCELED);
        swarm.accept_ended = true;
        return;
    }
    cr_assert_not_null(line);
    cr_assert_geq(op->result, 0);
    line->far = (int)op->result;
    io_receive(io, &line->receive, line->far, line_received);
    if (line->near >= 0) {
        line->phase = OPEN;
        swarm.connecting = NULL;
    }
}

static void line_connected(struct io *io, struct io_op *op)
{
    struct line *line = io_owner(op, struct line, connect);
    (void)io;
    cr_assert_geq(op->result, 0);
    line->near = (int)op->result;
    swarm.connections += 1;
    if (line->far >= 0) {
        line->phase = OPEN;
        swarm.connecting = NULL;
    }
}

static void line_timer(struct io *io, struct io_op *op)
{
    (void)io;
    cr_assert(op->result == 0 || op->result == -ECANCELED);
    swarm.timers += 1;
}

static void line_connect(struct line *line)
{
    line->near = -1;
    line->far = -1;
    line->sent = 0;
    line->received = 0;
    line->drained = false;
    line->phase = CONNECTING;
    swarm.connecting = line;
    io_connect(swarm.io, &line->connect, &swarm.address, line_connected);
}

static void line_send(struct line *line)
{
    uint32_t size = 1 + draw(draw(8) == 0 ? SEND_BYTES_MAX : 500);
    for (uint32_t i = 0; i < size; i++)
        line->bytes[i] = stream_byte(line, line->sent + i);
    io_send(swarm.io, &line->send, line->near, line->bytes, size, line_sent);
}

static void line_end(struct line *line)
{
    line->phase = ENDING;
    io_cancel(swarm.io, &line->send);
    io_cancel(swarm.io, &line->receive);
    line_settle(line);
}

static void line_act(struct line *line)
{
    uint32_t action = draw(100);
    if (io_idle(&line->timer) && !swarm.stopping)
        io_timeout(swarm.io, &line->timer, draw(3000000), line_timer);
    else if (action % 7 == 0)
        io_cancel(swarm.io, &line->timer);
    if (line->phase == CLOSED && swarm.connecting == NULL && !swarm.stopping)
        line_connect(line);
    else if (line->phase == OPEN && line->drained)
        line_end(line); // cancelled by its callback
    else if (line->phase == OPEN && (action < 4 || swarm.stopping))
        line_end(line);
    else if (line->phase == OPEN && io_idle(&line->send))
        line_send(line);
    else if (line->phase == OPEN && action > 90)
        io_cancel(swarm.io, &line->send);
}

static bool swarm_quiet(void)
{
    for (uint32_t i = 0; i < LINES; i++) {
        struct line *line = &swarm.lines[i];
        if (line->phase != CLOSED || !io_idle(&line->timer))
            return false;
    }
    return true;
}

static void swarm_run(uint64_t seed, const struct io_options *options)
{
    memset(&swarm, 0, sizeof swarm);
    swarm.random = seed;
    contract_begin(&swarm.contract, options);
    swarm.io = swarm.contract.io;
    swarm.address = (struct io_address){.bytes = {127, 0, 0, 1}};
    swarm.listener = io_listen(swarm.io, &swarm.address, &swarm.address.port);
    io_accept(swarm.io, &swarm.accept, swarm.listener, swarm_accepted);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = draw(4); i > 0; i--)
            line_act(&swarm.lines[draw(LINES)]);
        (void)io_run(swarm.io, draw(3) == 0 ? 100000 : 0);
    }
    swarm.stopping = true;
    for (uint32_t round = 0; round < 100000 && !swarm_quiet(); round++) {
        line_act(&swarm.lines[round % LINES]);
        io_cancel(swarm.io, &swarm.lines[round % LINES].timer);
        (void)io_run(swarm.io, 100000);
    }
    cr_assert(swarm_quiet(), "an operation never ended");
    io_cancel(swarm.io, &swarm.accept);
    while (!swarm.accept_ended)
        (void)io_run(swarm.io, SECOND);
    close_handle(swarm.io, swarm.listener);
    cr_assert_gt(swarm.connections, 50);
    cr_assert_gt(swarm.bytes, 100000);
    cr_assert_gt(swarm.timers, 100);
    contract_end(&swarm.contract);
}

Test(io_contract_swarm, everything_at_once_loses_doubles_and_leaks_nothing)
{
    static const struct io_options options[] = {
        {.entries = 4, .receive_buffers = 2, .receive_buffer_bytes = 512},
        {.entries = 8, .receive_buffers = 16, .receive_buffer_bytes = 4096},
        {.entries = 0},
    };
    for (uint64_t seed = 0; seed < 3; seed++)
        swarm_run(seed, &options[seed % 3]);
}

// A line full of data must not keep the others waiting for its end.
Test(io_contract_swarm, a_flood_on_one_connection_does_not_starve_another)
{
    static uint8_t flood[1 << 20];
    static uint8_t one = 1;
    static struct probe accept;
    static struct probe connects[2];
    static struct probe receives[2];
    static struct probe sends[2];
    struct contract contract;
    contract_begin(&contract, &(struct io_options){.receive_buffers = 8});
    struct io *io = contract.io;
    struct io_address address = {.bytes = {127, 0, 0, 1}};
    int listener = io_listen(io, &address, &address.port);
    io_accept(io, &accept.op, listener, probe_done);
    for (uint32_t i = 0; i < 2; i++) {
        io_connect(io, &connects[i].op, &address, probe_done);
        probe_wait(io, &accept, i + 1);
        probe_wait(io, &connects[i], 1);
    }
    io_send(io, &sends[0].op, (int)connects[0].results[0], flood, sizeof flood, probe_done);
    io_send(io, &sends[1].op, (int)connects[1].results[0], &one, 1, probe_done);
    probe_wait(io, &sends[1], 1);
    for (uint32_t i = 0; i < 2; i++)
        io_receive(io, &receives[i].op, (int)accept.results[i], probe_done);
    probe_wait(io, &receives[1], 1);
    cr_assert_lt(receives[0].calls, 200, "%u receives of the other before", receives[0].calls);
    for (uint32_t i = 0; i < 2; i++) {
        io_cancel(io, &sends[i].op);
        io_cancel(io, &receives[i].op);
        while (!io_idle(&sends[i].op) || !io_idle(&receives[i].op))
            (void)io_run(io, SECOND);
        close_handle(io, (int)connects[i].results[0]);
        close_handle(io, (int)accept.results[i]);
    }
    io_cancel(io, &accept.op);
    (void)probe_finish(io, &accept);
    close_handle(io, listener);
    contract_end(&contract);
}
