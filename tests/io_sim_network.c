// SPDX-License-Identifier: GPL-3.0-or-later
//
// The simulated network: listeners, TCP streams in memory.
//
// A stream is two sockets. What one sends goes as segments into the queue of the other, arrives
// there in order after a latency, and is taken by a receive. SIM_STREAM_BYTES bound the queue; a
// sender without room waits until the other has taken something. Closing sends an end, or a reset
// if received bytes were left unread; sending to a closed socket is answered with a reset.
#include "io_sim.h"
#include "io_sim_world.h"

#include <stdlib.h>

enum {
    SIM_SEGMENTS_MAX = 512,
    SIM_ACCEPTS_MAX = 256,
    SIM_PORT_FIRST = 40000,
    SIM_EVENT_ARRIVAL = 2, // op->flags
};
#define SIM_CONNECT_TIMEOUT_NS (127ll * 1000000000)

enum sim_segment_kind { SIM_SEGMENT_DATA, SIM_SEGMENT_END, SIM_SEGMENT_RESET };

struct sim_segment {
    enum sim_segment_kind kind;
    uint32_t bytes;
    int64_t arrival_ns;
};

struct sim_socket {
    struct sim_socket *next; // of all
    struct sim_network *network;
    struct io *io; // NULL: closed
    int handle;
    struct io_address address; // listener: its own; stream: the listener's
    bool listener;
    struct sim_socket *peer; // NULL: gone for good
    bool mute;
    bool ended;
    bool reset;
    bool told; // of the reset: then -EPIPE
    uint8_t *queue; // ring of SIM_STREAM_BYTES: `available` arrived, the rest under way
    uint32_t queue_first;
    uint32_t queue_bytes;
    uint32_t available;
    uint32_t swallowed; // sent by a mute socket
    struct sim_segment segments[SIM_SEGMENTS_MAX];
    uint32_t segment_first;
    uint32_t segment_count;
    struct io_op arrival; // event of the first segment
    bool arrival_scheduled;
    struct io_op *receive; // armed
    struct io_op *send;    // waiting for room
    struct io_op *accept;
    struct sim_socket *accepts[SIM_ACCEPTS_MAX];
    uint32_t accept_count;
};

struct sim_network {
    struct sim_socket *sockets;
    uint16_t port_next;
};

// ---- sockets ----

struct sim_network *sim_network_create(void)
{
    struct sim_network *network = calloc(1, sizeof *network);
    ensure(network != NULL);
    network->port_next = SIM_PORT_FIRST;
    return network;
}

static void sim_socket_free(struct sim_socket *socket)
{
    free(socket->queue);
    free(socket);
}

void sim_network_destroy(struct sim_network *network)
{
    while (network->sockets != NULL) {
        struct sim_socket *socket = network->sockets;
        network->sockets = socket->next;
        sim_socket_free(socket);
    }
    free(network);
}

static struct sim_socket *sim_socket_create(struct io *io, const struct io_address *address,
                                            bool listener)
{
    struct sim_network *network = io->world->network;
    struct sim_socket *socket = calloc(1, sizeof *socket);
    ensure(socket != NULL);
    *socket = (struct sim_socket){
        .next = network->sockets,
        .network = network,
        .io = io,
        .handle = -1,
        .address = *address,
        .listener = listener,
        .arrival = {.flags = SIM_EVENT_ARRIVAL, .handle = -1},
    };
    socket->arrival.private_words[2] = (uint64_t)(uintptr_t)socket;
    if (!listener) {
        socket->queue = malloc(SIM_STREAM_BYTES);
        ensure(socket->queue != NULL);
    }
    network->sockets = socket;
    return socket;
}

// ---- segments ----

static struct sim_segment *sim_segment_at(struct sim_socket *socket, uint32_t index)
{
    ensure(index < socket->segment_count);
    return &socket->segments[(socket->segment_first + index) % SIM_SEGMENTS_MAX];
}

static void sim_segment_schedule(struct sim_world *world, struct sim_socket *socket)
{
    if (socket->arrival_scheduled || socket->segment_count == 0)
        return;
    int64_t after_ns = sim_segment_at(socket, 0)->arrival_ns - world->now_ns;
    sim_schedule(world, &socket->arrival, after_ns > 0 ? after_ns : 0);
    socket->arrival_scheduled = true;
}

// To `socket`, after everything sent to it before.
static void sim_segment_send(struct sim_world *world, struct sim_socket *socket,
                             enum sim_segment_kind kind, uint32_t bytes)
{
    if (socket->mute)
        return;
    if (kind == SIM_SEGMENT_RESET && socket->segment_count > 0 &&
        sim_segment_at(socket, socket->segment_count - 1)->kind == SIM_SEGMENT_RESET)
        return;
    ensure(socket->segment_count < SIM_SEGMENTS_MAX);
    int64_t arrival_ns = world->now_ns + sim_network_latency(world);
    if (socket->segment_count > 0) {
        int64_t last_ns = sim_segment_at(socket, socket->segment_count - 1)->arrival_ns;
        arrival_ns = arrival_ns > last_ns ? arrival_ns : last_ns;
    }
    socket->segment_count += 1;
    *sim_segment_at(socket, socket->segment_count - 1) =
        (struct sim_segment){.kind = kind, .bytes = bytes, .arrival_ns = arrival_ns};
    sim_segment_schedule(world, socket);
}

// A reset overtakes nothing but ends both directions.
static void sim_socket_reset(struct sim_world *world, struct sim_socket *socket)
{
    if (socket != NULL && !socket->reset)
        sim_segment_send(world, socket, SIM_SEGMENT_RESET, 0);
}

// Its armed receive has something to say.
static void sim_socket_readable(struct sim_socket *socket)
{
    struct io_op *op = socket->receive;
    if (op == NULL || op->state != SIM_PARKED)
        return;
    if (socket->available > 0 || socket->ended || socket->reset)
        sim_make_ready(op, 0);
}

static void sim_socket_arrived(struct sim_world *world, struct sim_socket *socket)
{
    struct sim_segment segment = *sim_segment_at(socket, 0);
    socket->segment_first += 1;
    socket->segment_count -= 1;
    if (socket->io == NULL) {
        if (segment.kind == SIM_SEGMENT_DATA)
            sim_socket_reset(world, socket->peer);
        return;
    }
    if (segment.kind == SIM_SEGMENT_DATA && sim_fault(world, &world->faults.reset)) {
        sim_socket_reset(world, socket->peer);
        segment.kind = SIM_SEGMENT_RESET;
    }
    switch (segment.kind) {
    case SIM_SEGMENT_DATA:
        socket->available += segment.bytes;
        break;
    case SIM_SEGMENT_END:
        socket->ended = true;
        break;
    case SIM_SEGMENT_RESET:
        socket->reset = true;
        if (socket->send != NULL) {
            struct io_op *op = socket->send;
            socket->send = NULL;
            socket->told = true;
            sim_make_ready(op, -ECONNRESET);
        }
        break;
    }
    sim_socket_readable(socket);
}

bool sim_network_event(struct sim_world *world, struct io_op *op)
{
    if (op->flags != SIM_EVENT_ARRIVAL)
        return false;
    struct sim_socket *socket = (struct sim_socket *)(uintptr_t)op->private_words[2];
    socket->arrival_scheduled = false;
    if (socket->segment_count == 0)
        return true; // it went mute meanwhile
    sim_socket_arrived(world, socket);
    sim_segment_schedule(world, socket);
    return true;
}

// ---- connecting ----

static bool sim_address_any(const struct io_address *address)
{
    static const uint8_t zeros[16];
    return memcmp(address->bytes, zeros, sizeof zeros) == 0;
}

static struct sim_socket *sim_listener_find(struct sim_network *network,
                                            const struct io_address *address)
{
    for (struct sim_socket *each = network->sockets; each != NULL; each = each->next) {
        bool open = each->listener && each->io != NULL && each->address.port == address->port;
        bool same = each->address.ipv6 == address->ipv6 &&
                    memcmp(each->address.bytes, address->bytes, address->ipv6 ? 16 : 4) == 0;
        if (open && (same || sim_address_any(&each->address)))
            return each;
    }
    return NULL;
}

int io_listen(struct io *io, const struct io_address *address, uint16_t *port)
{
    struct io_address bound = *address;
    if (bound.port == 0)
        bound.port = io->world->network->port_next++;
    if (sim_listener_find(io->world->network, &bound) != NULL)
        return -EADDRINUSE;
    struct sim_socket *socket = sim_socket_create(io, &bound, true);
    socket->handle = sim_handle_open(io, NULL, socket);
    *port = bound.port;
    return socket->handle;
}

// When the answer is lost, the operation itself is the timer of giving up: op->offset.
static void sim_connect_start(struct sim_world *world, struct io_op *op)
{
    bool refuse = true;
    bool down = sim_port_down(world, op->address.port, &refuse);
    bool silent = (down && !refuse) || sim_fault(world, &world->faults.connect_timeout);
    op->offset = silent;
    sim_schedule(world, op, silent ? SIM_CONNECT_TIMEOUT_NS : 2 * sim_network_latency(world));
}

static int64_t sim_connect(struct sim_world *world, struct io_op *op)
{
    int error = 0;
    bool refuse = false;
    struct io *io = sim_op_loop(op);
    struct sim_socket *listener = sim_listener_find(world->network, &op->address);
    if (op->offset != 0)
        return -ETIMEDOUT;
    if (sim_scripted(world, IO_CONNECT, &error))
        return error;
    if (listener == NULL || sim_address_is_gone(world, &op->address) ||
        sim_port_down(world, op->address.port, &refuse) ||
        listener->accept_count == SIM_ACCEPTS_MAX ||
        sim_fault(world, &world->faults.connect_refused))
        return -ECONNREFUSED;
    struct sim_socket *near = sim_socket_create(io, &op->address, false);
    struct sim_socket *far = sim_socket_create(listener->io, &op->address, false);
    near->peer = far;
    far->peer = near;
    near->mute = far->mute = sim_fault(world, &world->faults.mute);
    near->handle = sim_handle_open(io, NULL, near);
    listener->accepts[listener->accept_count++] = far;
    if (listener->accept != NULL && listener->accept->state == SIM_PARKED)
        sim_make_ready(listener->accept, 0);
    return near->handle;
}

static void sim_call_accept(struct io *io, struct io_op *op)
{
    struct sim_socket *listener = sim_handle_of(io, op->handle)->socket;
    while (listener->accept_count > 0 && op->kind == IO_ACCEPT && !op->canceled) {
        struct sim_socket *socket = listener->accepts[0];
        listener->accept_count -= 1;
        memmove(listener->accepts, listener->accepts + 1,
                listener->accept_count * sizeof listener->accepts[0]);
        socket->handle = sim_handle_open(io, NULL, socket);
        sim_deliver(io, op, socket->handle);
        if (io->world->crashed && !io->elsewhere)
            return;
    }
    op->state = SIM_PARKED;
    if (op->canceled) {
        listener->accept = NULL;
        sim_finish(io, op, -ECANCELED);
    }
}

// ---- sending and receiving ----

static void sim_queue_put(struct sim_socket *socket, const uint8_t *bytes, uint32_t size)
{
    ensure(size <= SIM_STREAM_BYTES - socket->queue_bytes);
    uint32_t end = (socket->queue_first + socket->queue_bytes) % SIM_STREAM_BYTES;
    uint32_t straight = size < SIM_STREAM_BYTES - end ? size : SIM_STREAM_BYTES - end;
    memcpy(socket->queue + end, bytes, straight);
    memcpy(socket->queue, bytes + straight, size - straight);
    socket->queue_bytes += size;
}

static void sim_queue_take(struct sim_socket *socket, uint8_t *bytes, uint32_t size)
{
    ensure(size <= socket->available && socket->available <= socket->queue_bytes);
    uint32_t first = socket->queue_first;
    uint32_t straight = size < SIM_STREAM_BYTES - first ? size : SIM_STREAM_BYTES - first;
    memcpy(bytes, socket->queue + first, straight);
    memcpy(bytes + straight, socket->queue, size - straight);
    socket->queue_first = (socket->queue_first + size) % SIM_STREAM_BYTES;
    socket->queue_bytes -= size;
    socket->available -= size;
}

static uint32_t sim_send_room(const struct sim_socket *socket)
{
    if (socket->mute)
        return SIM_STREAM_BYTES - socket->swallowed;
    const struct sim_socket *peer = socket->peer;
    if (peer->io == NULL)
        return SIM_STREAM_BYTES; // goes nowhere
    // Room in the table for an end and a reset stays.
    return peer->segment_count + 4 < SIM_SEGMENTS_MAX ? SIM_STREAM_BYTES - peer->queue_bytes : 0;
}

static void sim_send_bytes(struct sim_world *world, struct sim_socket *socket, struct io_op *op,
                           uint32_t size)
{
    struct sim_socket *peer = socket->peer;
    sim_hash_bytes(world, op->buffer.write, size);
    if (socket->mute) {
        socket->swallowed += size;
    } else if (peer->io == NULL) {
        sim_socket_reset(world, socket);
    } else {
        sim_queue_put(peer, op->buffer.write, size);
        sim_segment_send(world, peer, SIM_SEGMENT_DATA, size);
    }
}

static void sim_send(struct sim_world *world, struct io_op *op)
{
    struct sim_socket *socket = sim_handle_of(sim_op_loop(op), op->handle)->socket;
    int error = 0;
    ensure(socket != NULL && !socket->listener);
    if (sim_scripted(world, IO_SEND, &error)) {
        sim_make_ready(op, error);
        return;
    }
    if (socket->reset) {
        sim_make_ready(op, socket->told ? -EPIPE : -ECONNRESET);
        socket->told = true;
        return;
    }
    uint32_t room = sim_send_room(socket);
    if (room == 0 && op->canceled) {
        sim_make_ready(op, -ECANCELED);
        return;
    }
    if (room == 0) {
        ensure(socket->send == NULL); // one send at a time, or bytes mix
        op->state = SIM_PARKED;
        socket->send = op;
        return;
    }
    uint32_t size = op->size < room ? op->size : room;
    if (size > 1 && sim_fault(world, &world->faults.send_short))
        size = 1 + (uint32_t)sim_world_random(world, size - 1);
    sim_send_bytes(world, socket, op, size);
    sim_make_ready(op, size);
}

static void sim_wake_sender(struct sim_world *world, struct sim_socket *socket)
{
    if (socket == NULL || socket->send == NULL || sim_send_room(socket) == 0)
        return;
    struct io_op *op = socket->send;
    socket->send = NULL;
    sim_schedule(world, op, sim_network_latency(world));
}

// One receive buffer's worth. Memory of exactly its size, so that a sanitizer sees every misuse.
static void sim_receive_chunk(struct io *io, struct io_op *op, struct sim_socket *socket)
{
    struct sim_world *world = io->world;
    uint32_t size = socket->available < io->buffer_bytes ? socket->available : io->buffer_bytes;
    if (size > 1 && sim_fault(world, &world->faults.receive_split))
        size = 1 + (uint32_t)sim_world_random(world, size);
    if (size > socket->available)
        size = socket->available;
    uint8_t *buffer = malloc(size + IO_RECEIVE_PADDING);
    ensure(buffer != NULL);
    sim_queue_take(socket, buffer, size);
    memset(buffer + size, 0xa5, IO_RECEIVE_PADDING);
    sim_wake_sender(world, socket->peer);
    op->data = buffer;
    sim_deliver(io, op, size);
    memset(buffer, 0xdb, size);
    free(buffer);
}

static void sim_call_receive(struct io *io, struct io_op *op)
{
    struct sim_socket *socket = sim_handle_of(io, op->handle)->socket;
    int error = 0;
    // A cancelled receive may still bring what came before; what it does not bring stays.
    bool brings = !op->canceled || sim_world_random(io->world, 2) == 0;
    uint32_t budget = io->buffers;
    if (brings && socket->available > 0 && sim_scripted(io->world, IO_RECEIVE, &error)) {
        sim_socket_reset(io->world, socket->peer);
        socket->reset = true;
        socket->available = 0;
        socket->queue_bytes = 0;
    }
    if (brings && socket->available > 0 && sim_fault(io->world, &io->world->faults.receive_starved))
        budget = 0;
    for (; brings && socket->available > 0 && budget > 0; budget--) {
        sim_receive_chunk(io, op, socket);
        if (io->world->crashed && !io->elsewhere)
            return;
        brings = !op->canceled;
    }
    if (op->canceled || (socket->available == 0 && (socket->ended || socket->reset))) {
        socket->receive = NULL;
        sim_finish(io, op, op->canceled ? -ECANCELED : socket->reset ? -ECONNRESET : 0);
    } else if (socket->available > 0) {
        io->counters.receive_no_buffers += 1;
        sim_make_ready(op, 0);
    } else {
        op->state = SIM_PARKED;
    }
}

void sim_network_call(struct io *io, struct io_op *op)
{
    op->state = SIM_IDLE; // cancelling it from its own callback only marks it
    if (op->kind == IO_RECEIVE)
        sim_call_receive(io, op);
    else
        sim_call_accept(io, op);
}

// ---- closing ----

void sim_network_close(struct sim_world *world, struct sim_socket *socket)
{
    struct sim_socket *peer = socket->peer;
    ensure(socket->io != NULL);
    socket->io = NULL;
    socket->receive = NULL;
    socket->send = NULL;
    socket->accept = NULL;
    for (uint32_t i = 0; i < socket->accept_count; i++) {
        sim_socket_reset(world, socket->accepts[i]->peer);
        socket->accepts[i]->io = NULL;
    }
    socket->accept_count = 0;
    free(socket->queue); // what still arrives is not looked at
    socket->queue = NULL;
    if (peer == NULL || socket->reset)
        return;
    if (socket->available > 0)
        sim_socket_reset(world, peer);
    else
        sim_segment_send(world, peer, SIM_SEGMENT_END, 0);
    sim_wake_sender(world, peer);
}

// ---- operations ----

void sim_network_start(struct sim_world *world, struct io_op *op)
{
    struct io *io = sim_op_loop(op);
    struct sim_socket *socket = NULL;
    if (op->handle >= 0)
        socket = sim_handle_of(io, op->handle)->socket;
    switch (op->kind) {
    case IO_RECEIVE:
        ensure(socket != NULL && !socket->listener && socket->receive == NULL);
        socket->receive = op;
        sim_socket_readable(socket);
        break;
    case IO_ACCEPT:
        ensure(socket != NULL && socket->listener && socket->accept == NULL);
        socket->accept = op;
        if (socket->accept_count > 0)
            sim_make_ready(op, 0);
        break;
    case IO_CONNECT:
        sim_connect_start(world, op);
        break;
    default:
        ensure(op->kind == IO_SEND || op->kind == IO_RESOLVE);
        sim_schedule(world, op, sim_network_latency(world));
        break;
    }
}

void sim_network_effect(struct sim_world *world, struct io_op *op)
{
    if (op->kind == IO_SEND)
        sim_send(world, op);
    else if (op->kind == IO_CONNECT)
        sim_make_ready(op, sim_connect(world, op));
    else
        sim_make_ready(op, sim_resolve(world, op));
}

void sim_network_cancel(struct sim_world *world, struct io_op *op)
{
    (void)world;
    if (op->kind == IO_SEND) {
        struct sim_socket *socket = sim_handle_of(sim_op_loop(op), op->handle)->socket;
        ensure(socket->send == op);
        socket->send = NULL;
    }
}

void sim_network_cut(struct sim_world *world, uint16_t port, bool reset)
{
    for (struct sim_socket *each = world->network->sockets; each != NULL; each = each->next) {
        if (each->listener || each->io == NULL || each->address.port != port)
            continue;
        if (reset) {
            sim_socket_reset(world, each);
        } else {
            // What is under way is lost, too.
            each->mute = true;
            each->segment_count = 0;
            each->queue_bytes = each->available;
        }
    }
}
