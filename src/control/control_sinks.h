// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_sinks: alerts to a webhook and a command: each has a thread of its own, started when it
// is configured first, at start or by SIGHUP. What shards hand over goes to Kafka's sender, too.
//
// Bounds: ALERT_QUEUE_MAX alerts a shard and sink. Threading: the control thread's; what
// control_sinks_alerts() sets is called by the shards.
#ifndef RINGTAPE_CONTROL_CONTROL_SINKS_H
#define RINGTAPE_CONTROL_CONTROL_SINKS_H

#include <stdatomic.h>

#include "capture/shard_derive.h"
#include "control/config.h"
#include "control/worker.h"
#include "publish/alert_sender.h"
#include "publish/alert_sink.h"

#define CONTROL_SINK_STOP_NS (500 * LIMIT_MILLISECOND_NS) // for what is under way

struct control_sink {
    const char *name; // of the thread
    int (*make)(void *context, void (*wake)(void *wake_context), void *wake_context,
                struct producer **producer, char *text, size_t text_size);
    struct alert_sink_settings settings; // as given last
    struct io *io;
    struct alert_sink sink;
    struct statistics_sink *statistics; // its section; NULL: none
    struct alert_sender *sender;           // NULL: never configured
    _Atomic(struct alert_sender *) offers; // where alerts go; NULL: switched off
    struct worker worker;
    atomic_bool stop;
    bool stopping;
    bool stopped;
};

struct control_sinks {
    struct control_sink webhook;
    struct control_sink command;
    uint32_t shards;
    const struct log *log;
    struct io *control;
    void (*next)(void *context, uint32_t shard, const struct event *event, const char *symbol,
                 uint32_t symbol_size); // what the shards had before; NULL: nothing
    void *next_context;
};

// Puts itself in front of what `derive` has.
void control_sinks_init(struct control_sinks *sinks, uint32_t shards, struct io *control,
                        const struct log *log);
void control_sinks_alerts(struct control_sinks *sinks, struct shard_derive_options *derive);
// As configured, now; the first time it opens the loops of both, used or not, for none can be
// opened later (control/sandbox.h). 0 or a negative errno with `text`: of a good configuration, a
// thread that cannot be started.
int control_sinks_apply(struct control_sinks *sinks, const struct config_sinks *config, char *text,
                        size_t text_size);
// Asks them to end; true once they have. Again and again; behind the shards.
bool control_sinks_stop(struct control_sinks *sinks);
void control_sinks_close(struct control_sinks *sinks);
// Sent, failed and dropped (its queue was full) of each.
void control_sinks_print(const struct control_sinks *sinks);

#endif
