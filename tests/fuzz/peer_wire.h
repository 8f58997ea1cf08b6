// SPDX-License-Identifier: GPL-3.0-or-later
//
// peer_wire: the far end of a connection in the simulated world, for fuzzers whose input is what a
// peer does: bytes go out in order, and an end waits for what is in flight. The owner receives by
// `receive`, and calls wire_settle() when that has come back for the last time.
#ifndef RINGTAPE_TESTS_FUZZ_PEER_WIRE_H
#define RINGTAPE_TESTS_FUZZ_PEER_WIRE_H

#include <string.h>

#include "io/io.h"

enum { WIRE_OUT_BYTES_MAX = 1 << 17 };

struct wire {
    struct io *io;
    struct io_op receive;
    struct io_op send;
    struct io_op close;
    int handle; // -1: ended
    bool ending;
    uint8_t out[WIRE_OUT_BYTES_MAX]; // what does not fit is not said
    uint32_t out_size;
    uint32_t out_taken;
};

static void wire_sent(struct io *io, struct io_op *op);

static inline void wire_closed(struct io *io, struct io_op *op)
{
    (void)io;
    (void)op;
}

static inline void wire_settle(struct wire *wire)
{
    if (!io_idle(&wire->receive) || !io_idle(&wire->send) || wire->handle < 0) return;
    int handle = wire->handle;
    wire->handle = -1;
    io_close(wire->io, &wire->close, handle, wire_closed);
}

static inline void wire_end(struct wire *wire)
{
    wire->ending = true;
    io_cancel(wire->io, &wire->receive);
    io_cancel(wire->io, &wire->send);
    wire_settle(wire);
}

static inline void wire_pump(struct wire *wire)
{
    uint32_t left = wire->out_size - wire->out_taken;
    if (left == 0 || wire->ending || !io_idle(&wire->send)) return;
    io_send(wire->io, &wire->send, wire->handle, wire->out + wire->out_taken, left, wire_sent);
}

static void wire_sent(struct io *io, struct io_op *op)
{
    (void)io;
    struct wire *wire = io_owner(op, struct wire, send);
    if (op->result > 0) wire->out_taken += (uint32_t)op->result;
    if (wire->ending)
        wire_settle(wire);
    else if (op->result < 0)
        wire_end(wire);
    else
        wire_pump(wire);
}

static inline void wire_say(struct wire *wire, const void *bytes, uint32_t size)
{
    if (wire->ending || WIRE_OUT_BYTES_MAX - wire->out_size < size) return;
    memcpy(wire->out + wire->out_size, bytes, size);
    wire->out_size += size;
    wire_pump(wire);
}

#endif
