// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_kafka: see control_kafka.h.
#include "control/control_kafka.h"

#include <errno.h>
#include <string.h>

static void kafka_stopped(void *context)
{
    ((struct control_kafka *)context)->stopped = true;
}

static void kafka_main(void *context)
{
    struct control_kafka *kafka = context;
    mirror_start(kafka->mirror);
    while (!kafka->stopped) {
        (void)io_run(kafka->io, -1);
        if (!atomic_load(&kafka->stop) || kafka->stopping) continue;
        kafka->stopping = true;
        mirror_stop(kafka->mirror, CONTROL_MIRROR_STOP_NS, kafka_stopped, kafka);
    }
}

static void kafka_end(void *context)
{
    struct control_kafka *kafka = context;
    mirror_close(kafka->mirror);
    io_close_loop(kafka->io);
}

static void alerts_stopped(void *context)
{
    ((struct control_kafka *)context)->alerts_stopped = true;
}

static void alerts_main(void *context)
{
    struct control_kafka *kafka = context;
    alert_sender_start(kafka->alerts);
    while (!kafka->alerts_stopped) {
        (void)io_run(kafka->alert_io, -1);
        if (!atomic_load(&kafka->stop) || kafka->alerts_stopping) continue;
        kafka->alerts_stopping = true;
        alert_sender_stop(kafka->alerts, CONTROL_MIRROR_STOP_NS, alerts_stopped, kafka);
    }
}

static void alerts_end(void *context)
{
    struct control_kafka *kafka = context;
    alert_sender_close(kafka->alerts);
    io_close_loop(kafka->alert_io);
}

static bool tape_released(void *context, uint32_t tape)
{
    const struct control_kafka *kafka = context;
    return mirror_tape_done(kafka->mirror, tape);
}

static bool segment_released(void *context, const struct catalogue_segment *segment)
{
    const struct retention_guard tapes = {.tape_released = tape_released, .context = context};
    return retention_tapes_released(&tapes, 1, segment);
}

static int open_feeds(struct control_kafka *kafka, uint32_t shards)
{
    int error = 0;
    for (uint32_t s = 0; s < shards && error == 0; s++)
        error = tape_feed_open(&kafka->feeds[s], CONTROL_FEED_BYTES);
    return error;
}

static struct mirror_options options_of(struct control_kafka *kafka, const struct config *config,
                                        struct keep_store *store, const struct log *log)
{
    struct mirror_options options = {
        .store = store,
        .feeds = kafka->feeds,
        .shards = config->shards,
        .channels = config_kafka_channels(&config->kafka),
        .maker = {kafka_make, &kafka->maker},
        .queue_bytes = config->kafka.options.queue_bytes,
        .queue_messages = MIRROR_QUEUE_MESSAGES_MAX,
        .log = log,
        .alert_confirmed = kafka->alerts != NULL ? alert_sender_confirmed : NULL,
        .alert_context = kafka->alerts,
        .statistics = kafka->statistics,
    };
    for (int c = 0; c < CHANNEL_COUNT; c++)
        options.format[c] = config_kafka_format(&config->kafka, (enum channel)c);
    return options;
}

static int open_alerts(struct control_kafka *kafka, const struct config *config,
                       const struct log *log, struct io_message *message)
{
    struct io_options loop = {.name = "alerts"};
    if (!(config_kafka_channels(&config->kafka) >> CHANNEL_ALERT & 1)) return 0;
    kafka->alert_maker = (struct kafka_maker){&kafka->config.options, KAFKA_AT_ONCE, log};
    const struct alert_sender_options options = {
        .shards = config->shards,
        .channel = CHANNEL_ALERT,
        .format = config_kafka_format(&config->kafka, CHANNEL_ALERT),
        .maker = {kafka_make, &kafka->alert_maker},
        .log = log,
        .statistics = kafka->alert_statistics,
    };
    int error = io_open_loop(&kafka->alert_io, &loop, message);
    if (error == 0) error = alert_sender_open(&kafka->alerts, kafka->alert_io, &options);
    return error;
}

int control_kafka_open(struct control_kafka *kafka, const struct config *config,
                       struct keep_store *store, struct io *start, const struct log *log,
                       struct io_message *message)
{
    if (config->kafka.options.brokers[0] == '\0') return 0;
    kafka->config = config->kafka;
    kafka->maker = (struct kafka_maker){&kafka->config.options, kafka->config.profile, log};
    struct io_options loop = {.name = "mirror"};
    int error = open_feeds(kafka, config->shards);
    if (error == 0) error = io_open_loop(&kafka->io, &loop, message);
    if (error == 0) error = open_alerts(kafka, config, log, message);
    if (error != 0) return error;
    const struct mirror_options options = options_of(kafka, config, store, log);
    error = mirror_open(&kafka->mirror, kafka->io, start, &options, message);
    if (error != 0) return error;
    kafka->on = true;
    keep_store_add_guard(store, &(struct retention_guard){.released = segment_released,
                                                          .tape_released = tape_released,
                                                          .context = kafka});
    return 0;
}

struct tape_feed *control_kafka_feed(struct control_kafka *kafka, uint32_t shard)
{
    return kafka->on ? kafka->feeds[shard] : NULL;
}

static void send_alert(void *context, uint32_t shard, const struct event *event,
                       const char *symbol, uint32_t symbol_size)
{
    // Whoever finds the queue full is late, not lost: the mirror brings the row.
    (void)alert_sender_offer(context, shard, event, symbol, symbol_size);
}

void control_kafka_alerts(struct control_kafka *kafka, struct shard_derive_options *derive)
{
    if (!kafka->on || kafka->alerts == NULL) return;
    derive->alert_sink = send_alert;
    derive->alert_context = kafka->alerts;
}

int control_kafka_run(struct control_kafka *kafka, struct io *control)
{
    int error = 0;
    if (!kafka->on) return 0;
    if (kafka->alerts != NULL)
        error = worker_start(&kafka->alert_worker, "alerts", -1, control, alerts_main, alerts_end,
                             kafka);
    if (error != 0) return error;
    return worker_start(&kafka->worker, "mirror", -1, control, kafka_main, kafka_end, kafka);
}

bool control_kafka_stop(struct control_kafka *kafka)
{
    if (!kafka->on || !kafka->worker.started) return true;
    if (!atomic_exchange(&kafka->stop, true)) {
        io_wake(kafka->io);
        if (kafka->alerts != NULL) io_wake(kafka->alert_io);
    }
    bool alerts = !kafka->alert_worker.started || atomic_load(&kafka->alert_worker.ended);
    return alerts && atomic_load(&kafka->worker.ended);
}

void control_kafka_close(struct control_kafka *kafka)
{
    if (kafka->worker.started)
        worker_join(&kafka->worker);
    else if (kafka->on)
        kafka_end(kafka);
    else if (kafka->io != NULL)
        io_close_loop(kafka->io);
    if (kafka->alert_worker.started)
        worker_join(&kafka->alert_worker);
    else if (kafka->alerts != NULL)
        alerts_end(kafka);
    else if (kafka->alert_io != NULL)
        io_close_loop(kafka->alert_io);
    for (uint32_t s = 0; s < LIMIT_SHARDS; s++) tape_feed_close(kafka->feeds[s]);
}

struct mirror_counters control_kafka_counters(const struct control_kafka *kafka)
{
    return kafka->on ? mirror_counters(kafka->mirror) : (struct mirror_counters){0};
}
