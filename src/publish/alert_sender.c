// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_sender: see alert_sender.h. A shard makes the message itself, so that what crosses the
// threads is bytes; the sender only hands them on.
#include "publish/alert_sender.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "format/ensure.h"

enum { ALERT_COLLECT_MAX = 1000 };

struct alert_slot {
    int64_t time_ms;
    int64_t received_ns; // UTC: what raised it; 0: not known
    uint64_t identity_hash;
    uint32_t key_size;
    uint32_t identity_size;
    uint32_t value_size;
    uint8_t bytes[ALERT_MESSAGE_BYTES_MAX]; // key, identity, value
};

struct alert_queue {
    _Alignas(64) _Atomic uint32_t head; // written by the shard
    struct rows rows; // the shard's: one row at a time
    void *rows_memory;
    uint8_t *scratch; // the shard's: a message of any size
    _Alignas(64) _Atomic uint32_t tail; // written by the sender
    struct alert_slot slots[ALERT_QUEUE_MAX];
};

struct alert_sender {
    struct io *io;
    struct alert_sender_options options;
    struct message_coder coder;
    struct producer *producer;
    int64_t make_after_ns;
    uint64_t in_flight;
    struct io_op tick_op;
    bool stopping;
    bool ending; // no timer is started any more
    int64_t stop_ns;
    void (*stopped)(void *context);
    void *context;
    _Atomic uint64_t offered, full, too_large, delivered, refused;
    _Atomic uint64_t confirmed[ALERT_CONFIRMED_MAX]; // by the low bits of the identity
    int64_t received_ns[ALERT_CONFIRMED_MAX]; // of those under way, in the same places
    struct statistics_sink own; // what is published in the statistics page
    struct alert_queue *queues; // [shards]
};

static const struct rows_limits one_row = {.rows = 1, .levels = 64, .text_bytes = 16384};
enum { ALERT_SCRATCH_BYTES = 256 << 10 };

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

// ---- the shard's side ----

static bool fill(struct alert_sender *sender, struct alert_queue *queue, struct alert_slot *slot,
                 const struct event *event, struct event_text symbol)
{
    struct event own = *event;
    char identity[MESSAGE_IDENTITY_BYTES_MAX];
    char store[MESSAGE_STORE_HEX_BYTES] = "00000000000000000000000000000000";
    struct message_place nowhere = {0, 0};
    const char *why = "";
    own.symbol = symbol.size > 0 ? 0 : SYMBOL_NONE;
    rows_clear(&queue->rows);
    if (!rows_append(&queue->rows, &own) ||
        message_bytes_max(&queue->rows, 0, symbol.size) > ALERT_SCRATCH_BYTES)
        return false;
    size_t identity_size = message_identity(&queue->rows, 0, store, nowhere, identity);
    size_t value_size = message_write(&sender->coder, sender->options.format, &queue->rows, 0,
                                      symbol, nowhere, queue->scratch, &why);
    if (value_size == 0) return false; // the mirror tells it
    if (symbol.size + identity_size + value_size > sizeof slot->bytes) return false;
    slot->key_size = symbol.size;
    slot->identity_size = (uint32_t)identity_size;
    slot->value_size = (uint32_t)value_size;
    if (symbol.size > 0) memcpy(slot->bytes, symbol.bytes, symbol.size);
    memcpy(slot->bytes + symbol.size, identity, identity_size);
    memcpy(slot->bytes + symbol.size + identity_size, queue->scratch, value_size);
    slot->time_ms = event_time_ns(event) / LIMIT_MILLISECOND_NS;
    slot->received_ns =
        event_has(event, COLUMN_RECEIVE_TIME) ? event->value[COLUMN_RECEIVE_TIME] : 0;
    slot->identity_hash = message_identity_hash(slot->bytes, symbol.size, identity,
                                                (uint32_t)identity_size);
    return true;
}

bool alert_sender_offer(struct alert_sender *sender, uint32_t shard, const struct event *event,
                        const char *symbol, uint32_t symbol_size)
{
    ensure(shard < sender->options.shards && event->channel == sender->options.channel);
    struct alert_queue *queue = &sender->queues[shard];
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_acquire);
    count(&sender->offered);
    if (head - tail == ALERT_QUEUE_MAX) {
        count(&sender->full);
        return false;
    }
    struct event_text name = {(const uint8_t *)symbol, symbol_size};
    if (!fill(sender, queue, &queue->slots[head % ALERT_QUEUE_MAX], event, name)) {
        count(&sender->too_large);
        return false;
    }
    atomic_store_explicit(&queue->head, head + 1, memory_order_release);
    io_wake(sender->io);
    return true;
}

bool alert_sender_confirmed(const void *context, uint64_t identity)
{
    const struct alert_sender *sender = context;
    return atomic_load_explicit(&sender->confirmed[identity % ALERT_CONFIRMED_MAX],
                                memory_order_relaxed) == identity;
}

// ---- the sender's side ----

static void wake(void *context)
{
    io_wake(((struct alert_sender *)context)->io);
}

static void reported(void *context, const struct producer_report *report)
{
    struct alert_sender *sender = context;
    ensure(sender->in_flight > 0);
    sender->in_flight--;
    if (report->verdict != PRODUCER_DELIVERED) {
        count(&sender->refused); // the mirror brings it
        return;
    }
    const int64_t received_ns = sender->received_ns[report->tag % ALERT_CONFIRMED_MAX];
    if (received_ns != 0)
        histogram_add(&sender->own.latency, io_utc_ns(sender->io) - received_ns);
    count(&sender->delivered);
    atomic_store_explicit(&sender->confirmed[report->tag % ALERT_CONFIRMED_MAX], report->tag,
                          memory_order_relaxed);
}

static void renew(struct alert_sender *sender)
{
    char text[512];
    if (sender->producer != NULL && sender->producer->broken(sender->producer)) {
        sender->producer->close(sender->producer);
        sender->producer = NULL;
        sender->in_flight = 0;
    }
    if (sender->producer != NULL || io_monotonic_ns(sender->io) < sender->make_after_ns) return;
    const struct producer_maker *maker = &sender->options.maker;
    if (maker->make(maker->context, wake, sender, &sender->producer, text, sizeof text) == 0)
        return;
    sender->producer = NULL;
    sender->make_after_ns = io_monotonic_ns(sender->io) + LIMIT_SECOND_NS;
}

static bool send_slot(struct alert_sender *sender, const struct alert_slot *slot)
{
    const char *cause = "";
    const uint8_t *identity = slot->bytes + slot->key_size;
    const struct producer_message message = {.channel = sender->options.channel,
                                             .format = (uint16_t)sender->options.format,
                                             .key = slot->bytes,
                                             .key_size = slot->key_size,
                                             .identity = identity,
                                             .identity_size = slot->identity_size,
                                             .value = identity + slot->identity_size,
                                             .value_size = slot->value_size,
                                             .time_ms = slot->time_ms,
                                             .tag = slot->identity_hash};
    int result = sender->producer->produce(sender->producer, &message, &cause);
    if (result == -ENOBUFS) return false;
    if (result == 0) {
        sender->in_flight++;
        sender->received_ns[slot->identity_hash % ALERT_CONFIRMED_MAX] = slot->received_ns;
    } else {
        count(&sender->refused);
    }
    return true;
}

static bool drain(struct alert_sender *sender)
{
    bool empty = true;
    for (uint32_t s = 0; s < sender->options.shards; s++) {
        struct alert_queue *queue = &sender->queues[s];
        uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        uint32_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
        while (tail != head && send_slot(sender, &queue->slots[tail % ALERT_QUEUE_MAX])) tail++;
        atomic_store_explicit(&queue->tail, tail, memory_order_release);
        empty = empty && tail == head;
    }
    return empty;
}

static void pump(struct alert_sender *sender)
{
    if (sender->producer != NULL) {
        while (sender->producer->collect(sender->producer, ALERT_COLLECT_MAX, reported, sender) ==
               ALERT_COLLECT_MAX) {}
    }
    renew(sender);
    bool empty = sender->producer != NULL && drain(sender);
    if (!sender->stopping) return;
    bool done = empty && sender->in_flight == 0;
    if (!done && io_monotonic_ns(sender->io) < sender->stop_ns) return;
    sender->ending = true;
    io_cancel(sender->io, &sender->tick_op);
    if (!io_idle(&sender->tick_op) || sender->stopped == NULL) return;
    void (*stopped)(void *) = sender->stopped;
    sender->stopped = NULL;
    stopped(sender->context);
}

static void woken(void *context)
{
    pump(context);
}

static void figures(struct alert_sender *sender)
{
    if (sender->options.statistics == NULL) return;
    const struct alert_sender_counters counters = alert_sender_counters(sender);
    struct statistics_sink *own = &sender->own;
    own->on = 1;
    own->offered = counters.offered;
    own->sent = counters.delivered;
    own->failed = counters.refused;
    own->dropped = counters.full + counters.too_large;
    statistics_publish(sender->options.statistics, own, sizeof *own);
}

static void tick(struct io *io, struct io_op *op)
{
    struct alert_sender *sender = io_owner(op, struct alert_sender, tick_op);
    if (op->result == 0 || (sender->stopping && !sender->ending))
        io_timeout(io, op, sender->stopping ? 20 * LIMIT_MILLISECOND_NS : LIMIT_SECOND_NS, tick);
    pump(sender);
    figures(sender);
}

void alert_sender_start(struct alert_sender *sender)
{
    io_on_wake(sender->io, woken, sender);
    io_timeout(sender->io, &sender->tick_op, 0, tick);
}

void alert_sender_stop(struct alert_sender *sender, int64_t wait_ns,
                       void (*stopped)(void *context), void *context)
{
    sender->stopping = true;
    sender->stop_ns = io_monotonic_ns(sender->io) + wait_ns;
    sender->stopped = stopped;
    sender->context = context;
    io_cancel(sender->io, &sender->tick_op); // comes back to the pump
    if (io_idle(&sender->tick_op)) io_timeout(sender->io, &sender->tick_op, 0, tick);
}

// ---- memory ----

static bool open_queue(struct alert_sender *sender, struct alert_queue *queue)
{
    const struct channel_schema *schema = channel_schema(sender->options.channel);
    size_t bytes = (rows_memory_bytes(schema, &one_row) + 63) & ~(size_t)63;
    queue->rows_memory = aligned_alloc(64, bytes);
    queue->scratch = malloc(ALERT_SCRATCH_BYTES);
    if (queue->rows_memory == NULL || queue->scratch == NULL) return false;
    rows_init(&queue->rows, schema, &one_row, queue->rows_memory);
    return true;
}

void alert_sender_close(struct alert_sender *sender)
{
    if (sender->producer != NULL) sender->producer->close(sender->producer);
    for (uint32_t s = 0; sender->queues != NULL && s < sender->options.shards; s++) {
        free(sender->queues[s].rows_memory);
        free(sender->queues[s].scratch);
    }
    free(sender->queues);
    free(sender);
}

int alert_sender_open(struct alert_sender **out, struct io *io,
                      const struct alert_sender_options *options)
{
    ensure(options->shards >= 1 && channel_schema(options->channel) != NULL);
    struct alert_sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) return -ENOMEM;
    sender->io = io;
    sender->options = *options;
    message_coder_init(&sender->coder);
    size_t bytes = options->shards * sizeof *sender->queues;
    sender->queues = aligned_alloc(64, bytes);
    bool good = sender->queues != NULL;
    if (good) memset(sender->queues, 0, bytes);
    for (uint32_t s = 0; s < options->shards && good; s++)
        good = open_queue(sender, &sender->queues[s]);
    if (good) {
        *out = sender;
        return 0;
    }
    alert_sender_close(sender);
    return -ENOMEM;
}

struct alert_sender_counters alert_sender_counters(const struct alert_sender *sender)
{
    return (struct alert_sender_counters){
        .offered = atomic_load_explicit(&sender->offered, memory_order_relaxed),
        .full = atomic_load_explicit(&sender->full, memory_order_relaxed),
        .too_large = atomic_load_explicit(&sender->too_large, memory_order_relaxed),
        .delivered = atomic_load_explicit(&sender->delivered, memory_order_relaxed),
        .refused = atomic_load_explicit(&sender->refused, memory_order_relaxed)};
}
