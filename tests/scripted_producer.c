// SPDX-License-Identifier: GPL-3.0-or-later
#include "scripted_producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

enum { FREE, TAKEN, REPORTED };

struct scripted_message {
    int state;
    uint32_t partition;
    uint64_t order;
    struct scripted_record record;
    struct producer_report report;
    struct producer_message message;
    char identity[96];
    uint8_t *value;
};

struct scripted {
    struct producer producer;
    struct scripted_broker *broker;
    struct io *io;
    struct io_op tick;
    bool broken;
    bool closed;
    uint64_t order;
    uint32_t taken; // messages in that state
    void (*wake)(void *context);
    void *wake_context;
    struct scripted_message messages[SCRIPTED_QUEUE_MAX];
};

static bool marked(int64_t number, int64_t from, int64_t every)
{
    return every > 0 && number >= from && number % every == 0;
}

static int64_t receive_time(const struct producer_message *message)
{
    static const char name[] = "\"receive_time\":";
    const char *at = memmem(message->value, message->value_size, name, sizeof name - 1);
    return at == NULL ? 0 : strtoll(at + sizeof name - 1, NULL, 10); // a brace ends it at last
}

static int scripted_produce(struct producer *producer, const struct producer_message *message,
                            const char **cause)
{
    struct scripted *scripted = (struct scripted *)producer;
    struct scripted_broker *broker = scripted->broker;
    struct scripted_message *free_one = NULL;
    for (int i = 0; i < SCRIPTED_QUEUE_MAX && free_one == NULL; i++) {
        if (scripted->messages[i].state == FREE) free_one = &scripted->messages[i];
    }
    broker->full += free_one == NULL;
    if (free_one == NULL || scripted->broken) return -ENOBUFS;
    struct scripted_record record = {.channel = message->channel,
                                     .time_ms = message->time_ms,
                                     .receive_ns = receive_time(message)};
    char identity[96] = "";
    memcpy(identity, message->identity, message->identity_size < 95 ? message->identity_size : 95);
    char *end;
    record.number = strtoll(identity, &end, 10);
    if (*end != '\0') record.number = -1;
    (void)snprintf(record.key, sizeof record.key, "%.*s", (int)message->key_size,
                   (const char *)message->key);
    if (broker->may && !broker->may(broker->may_context, &record)) broker->trespasses++;
    if (marked(record.number, broker->large_from, broker->large_every)) {
        *cause = "Broker: Message size too large";
        return -EMSGSIZE;
    }
    uint32_t hash = 7 + (uint32_t)message->channel;
    for (uint32_t i = 0; i < message->key_size; i++)
        hash = hash * 31 + ((const uint8_t *)message->key)[i];
    scripted->taken++;
    *free_one = (struct scripted_message){.state = TAKEN,
                                          .partition = hash % SCRIPTED_PARTITIONS,
                                          .order = ++scripted->order,
                                          .record = record};
    free_one->message = *message;
    free_one->value = malloc(message->value_size + 1u);
    memcpy(free_one->value, message->value, message->value_size);
    memcpy(free_one->identity, identity, sizeof identity);
    free_one->message.value = free_one->value;
    free_one->message.key = free_one->record.key;
    free_one->message.identity = free_one->identity;
    free_one->report.tag = message->tag;
    free_one->report.bytes = message->key_size + message->value_size;
    return 0;
}

static uint32_t scripted_collect(struct producer *producer, uint32_t max,
                                 producer_report_callback *report, void *context)
{
    struct scripted *scripted = (struct scripted *)producer;
    uint32_t count = 0;
    for (int i = 0; i < SCRIPTED_QUEUE_MAX && count < max; i++) {
        struct scripted_message *one = &scripted->messages[i];
        if (one->state != REPORTED) continue;
        one->message.time_ms = -1; // as librdkafka tells it
        one->message.format = 0;
        one->report.message = &one->message;
        report(context, &one->report);
        free(one->value);
        one->state = FREE;
        count++;
    }
    return count;
}

static bool scripted_broken(struct producer *producer)
{
    return ((struct scripted *)producer)->broken;
}

static void scripted_close(struct producer *producer)
{
    struct scripted *scripted = (struct scripted *)producer;
    for (int i = 0; i < SCRIPTED_QUEUE_MAX; i++) {
        if (scripted->messages[i].state != FREE) free(scripted->messages[i].value);
        scripted->messages[i].state = FREE;
    }
    scripted->closed = true; // the world frees the loop
    scripted->broker->spare = scripted->io;
}

// The first messages of the partition, in order; at most `max`.
static uint32_t first_of(struct scripted *scripted, uint32_t partition,
                         struct scripted_message *first[], uint32_t max)
{
    uint32_t count = 0;
    uint64_t last = 0;
    while (count < max && scripted->taken > 0) {
        struct scripted_message *next = NULL;
        for (int i = 0; i < SCRIPTED_QUEUE_MAX; i++) {
            struct scripted_message *one = &scripted->messages[i];
            bool stuck = scripted->broker->stuck_channels >> one->record.channel & 1;
            if (one->state == TAKEN && one->partition == partition && one->order > last && !stuck &&
                (next == NULL || one->order < next->order))
                next = one;
        }
        if (next == NULL) break;
        last = next->order;
        first[count++] = next;
    }
    return count;
}

static void answer(struct scripted_message *one, enum producer_verdict verdict, const char *cause)
{
    one->state = REPORTED;
    one->report.verdict = verdict;
    one->report.cause = cause;
}

// As a broker does: the whole batch or nothing of it.
static void take_batch(struct scripted *scripted, struct scripted_message *batch[], uint32_t count)
{
    struct scripted_broker *broker = scripted->broker;
    bool bad = false;
    scripted->taken -= count;
    for (uint32_t i = 0; i < count; i++)
        bad = bad || marked(batch[i]->record.number, broker->bad_from, broker->bad_every);
    for (uint32_t i = 0; i < count; i++) {
        if (broker->refused_channels >> batch[i]->record.channel & 1) {
            answer(batch[i], PRODUCER_REFUSED, "Local: Unknown topic");
        } else if (bad) {
            answer(batch[i], PRODUCER_SUSPECT, "Broker: Message size too large");
        } else {
            ensure(broker->count < SCRIPTED_LOG_MAX);
            broker->log[broker->count++] = batch[i]->record;
            if (broker->take) broker->take(broker->may_context, &batch[i]->message);
            answer(batch[i], PRODUCER_DELIVERED, NULL);
        }
    }
    scripted->broken = scripted->broken || bad;
}

static void tick(struct io *io, struct io_op *op)
{
    struct scripted *scripted = io_owner(op, struct scripted, tick);
    struct scripted_broker *broker = scripted->broker;
    struct scripted_message *batch[40];
    if (op->result != 0 || scripted->closed) return;
    uint32_t partition = (uint32_t)sim_world_random(broker->world, SCRIPTED_PARTITIONS);
    uint32_t most = 1 + (uint32_t)sim_world_random(broker->world, 40);
    uint32_t count = 0;
    if (broker->one_by_one) most = 1;
    if (!broker->down && !scripted->broken) count = first_of(scripted, partition, batch, most);
    if (count > 0) {
        take_batch(scripted, batch, count);
        scripted->wake(scripted->wake_context);
    }
    io_timeout(io, &scripted->tick,
               broker->poll_ns + 100000 + (int64_t)sim_world_random(broker->world, 900000), tick);
}

int scripted_make(void *context, void (*wake)(void *wake_context), void *wake_context,
                  struct producer **producer, char *text, size_t text_size)
{
    struct scripted_broker *broker = context;
    struct io_options options = {.name = "broker"};
    struct io_message message;
    broker->makes++;
    if (broker->makes <= broker->makes_failing) {
        (void)snprintf(text, text_size, "not yet");
        return -EINVAL;
    }
    struct scripted *scripted = calloc(1, sizeof *scripted);
    *scripted = (struct scripted){
        .producer = {scripted_produce, scripted_collect, scripted_broken, scripted_close},
        .broker = broker,
        .wake = wake,
        .wake_context = wake_context};
    scripted->io = broker->spare;
    broker->spare = NULL;
    if (scripted->io == NULL) ensure(io_open_loop(&scripted->io, &options, &message) == 0);
    io_timeout(scripted->io, &scripted->tick, 1000000, tick);
    *producer = &scripted->producer;
    return 0;
}
