// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_sinks: see control_sinks.h.
#include "control/control_sinks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

// ---- the sinks' threads ----

static void sink_stopped(void *context)
{
    ((struct control_sink *)context)->stopped = true;
}

static void sink_main(void *context)
{
    struct control_sink *place = context;
    alert_sender_start(place->sender);
    while (!place->stopped) {
        (void)io_run(place->io, -1);
        if (!atomic_load(&place->stop) || place->stopping) continue;
        place->stopping = true;
        alert_sender_stop(place->sender, CONTROL_SINK_STOP_NS, sink_stopped, place);
    }
}

static void sink_end(void *context)
{
    struct control_sink *place = context;
    alert_sender_close(place->sender);
    io_close_loop(place->io);
}

// ---- the shards' side ----

static void sink_offer(struct control_sink *place, uint32_t shard, const struct event *event,
                       const char *symbol, uint32_t symbol_size)
{
    struct alert_sender *sender = atomic_load_explicit(&place->offers, memory_order_acquire);
    if (sender != NULL) (void)alert_sender_offer(sender, shard, event, symbol, symbol_size);
}

static void sinks_offer(void *context, uint32_t shard, const struct event *event,
                        const char *symbol, uint32_t symbol_size)
{
    struct control_sinks *sinks = context;
    if (sinks->next != NULL) sinks->next(sinks->next_context, shard, event, symbol, symbol_size);
    sink_offer(&sinks->webhook, shard, event, symbol, symbol_size);
    sink_offer(&sinks->command, shard, event, symbol, symbol_size);
}

// ---- control ----

void control_sinks_init(struct control_sinks *sinks, uint32_t shards, struct io *control,
                        const struct log *log)
{
    memset(sinks, 0, sizeof *sinks);
    sinks->shards = shards;
    sinks->control = control;
    sinks->log = log;
    sinks->webhook.name = "webhook";
    sinks->webhook.make = alert_webhook_make;
    sinks->command.name = "command";
    sinks->command.make = alert_command_make;
}

void control_sinks_alerts(struct control_sinks *sinks, struct shard_derive_options *derive)
{
    if (sinks->next != derive->alert_sink) { // the same for all shards: written before any runs
        sinks->next = derive->alert_sink;
        sinks->next_context = derive->alert_context;
    }
    derive->alert_sink = sinks_offer;
    derive->alert_context = sinks;
}

static int sink_open_loop(struct control_sink *place, char *text, size_t text_size)
{
    // Answers to one POST at a time are all that is received.
    const struct io_options loop = {.name = place->name, .entries = 32, .receive_buffers = 8,
                                    .receive_buffer_bytes = 16384};
    struct io_message message = {{0}};
    if (place->io != NULL) return 0;
    const int error = io_open_loop(&place->io, &loop, &message);
    if (error != 0) (void)snprintf(text, text_size, "%s", message.text);
    return error;
}

static int sink_open(struct control_sinks *sinks, struct control_sink *place, char *text,
                     size_t text_size)
{
    ensure(place->io != NULL && place->sender == NULL);
    alert_sink_init(&place->sink, place->io, sinks->log);
    const struct alert_sender_options options = {.shards = sinks->shards,
                                                 .channel = CHANNEL_ALERT,
                                                 .format = MESSAGE_JSON,
                                                 .maker = {place->make, &place->sink},
                                                 .log = sinks->log,
                                                 .statistics = place->statistics};
    int error = alert_sender_open(&place->sender, place->io, &options);
    if (error == 0) {
        alert_sink_set(&place->sink, &place->settings);
        error = worker_start(&place->worker, place->name, -1, sinks->control, sink_main, sink_end,
                             place);
        if (error == 0) return 0;
        alert_sender_close(place->sender);
        place->sender = NULL;
    }
    (void)snprintf(text, text_size, "%s: %s", place->name, strerror(-error));
    return error;
}

static int sink_apply(struct control_sinks *sinks, struct control_sink *place,
                      const struct alert_sink_settings *settings, char *text, size_t text_size)
{
    int error = 0;
    if (memcmp(&place->settings, settings, sizeof *settings) == 0) return 0;
    place->settings = *settings;
    if (place->sender == NULL && settings->on) error = sink_open(sinks, place, text, text_size);
    else if (place->sender != NULL) alert_sink_set(&place->sink, settings);
    if (error != 0) memset(&place->settings, 0, sizeof place->settings); // tried at the next
    atomic_store_explicit(&place->offers, place->settings.on ? place->sender : NULL,
                          memory_order_release);
    return error;
}

int control_sinks_apply(struct control_sinks *sinks, const struct config_sinks *config, char *text,
                        size_t text_size)
{
    struct alert_sink_settings webhook;
    struct alert_sink_settings command;
    if (!config_sinks_webhook(config, &webhook, text, text_size) ||
        !config_sinks_command(config, &command, text, text_size))
        return -EINVAL;
    int error = sink_open_loop(&sinks->webhook, text, text_size);
    if (error == 0) error = sink_open_loop(&sinks->command, text, text_size);
    if (error == 0) error = sink_apply(sinks, &sinks->webhook, &webhook, text, text_size);
    return error != 0 ? error : sink_apply(sinks, &sinks->command, &command, text, text_size);
}

static bool sink_stop(struct control_sink *place)
{
    if (!place->worker.started) return true;
    if (!atomic_exchange(&place->stop, true)) io_wake(place->io);
    return atomic_load(&place->worker.ended);
}

bool control_sinks_stop(struct control_sinks *sinks)
{
    const bool webhook = sink_stop(&sinks->webhook);
    return sink_stop(&sinks->command) && webhook;
}

static void sink_close(struct control_sink *place)
{
    if (place->worker.started)
        worker_join(&place->worker);
    else if (place->io != NULL) // never used
        io_close_loop(place->io);
    place->io = NULL;
}

void control_sinks_close(struct control_sinks *sinks)
{
    sink_close(&sinks->webhook);
    sink_close(&sinks->command);
}

static void sink_print(const struct control_sink *place)
{
    struct alert_sender_counters counters = {0};
    if (place->sender != NULL) counters = alert_sender_counters(place->sender);
    (void)printf("\"%s_sent\":%llu,\"%s_failed\":%llu,\"%s_dropped\":%llu,", place->name,
                 (unsigned long long)counters.delivered, place->name,
                 (unsigned long long)counters.refused, place->name,
                 (unsigned long long)(counters.full + counters.too_large));
}

void control_sinks_print(const struct control_sinks *sinks)
{
    sink_print(&sinks->webhook);
    sink_print(&sinks->command);
}
