// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_sink: where alerts go beside Kafka: a webhook (POST of the alert's JSON) and a command (the
// JSON on its standard input), each as a producer for an alert_sender of its own.
//
// One alert at a time, each within its limit of time; meanwhile produce() says -ENOBUFS and the
// sender's queues fill, then drop, which is counted. Nothing is tried again: the alert is in the
// store. A failure is reported as refused and logged, the first at once, then one a minute.
//
// Settings change while it runs: whoever owns the sink sets them under its lock; the sender closes
// the producer behind the alert under way and makes another.
//
// Ownership: the sink belongs to its owner, the producers to the sender. Threading:
// alert_sink_set() by any thread; producers by the sender's own.
#ifndef RINGTAPE_PUBLISH_ALERT_SINK_H
#define RINGTAPE_PUBLISH_ALERT_SINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/url.h"
#include "io/io.h"
#include "publish/producer.h"

enum { ALERT_SINK_HEADER_BYTES = 1024 };

// Zeroed where there is nothing, so that they can be compared by memcmp().
struct alert_sink_settings {
    bool on; // else what is left in the queues is refused
    int64_t limit_ns;
    // A webhook.
    struct url url;
    char ca_file[LIMIT_PATH_BYTES + 1];        // "": the system's trust
    char header[ALERT_SINK_HEADER_BYTES];      // "Authorization: Bearer ...", or ""
    // A command.
    char program[LIMIT_PATH_BYTES + 1];
};

struct alert_sink {
    struct io *io;         // the sender's
    const struct log *log; // may be NULL
    pthread_mutex_t lock;
    struct alert_sink_settings settings; // under the lock
    atomic_uint generation;              // of the settings
    int64_t told_ns; // when a failure was logged last; monotonic, the sender's
};

void alert_sink_init(struct alert_sink *sink, struct io *io, const struct log *log);
void alert_sink_set(struct alert_sink *sink, const struct alert_sink_settings *settings);

// struct producer_maker's make; the context is the sink.
int alert_webhook_make(void *context, void (*wake)(void *wake_context), void *wake_context,
                       struct producer **producer, char *text, size_t text_size);
int alert_command_make(void *context, void (*wake)(void *wake_context), void *wake_context,
                       struct producer **producer, char *text, size_t text_size);

// ---- for the producers ----

// What both have: the alert under way, and its end until it is collected.
struct alert_delivery {
    struct alert_sink *sink;
    struct alert_sink_settings settings;
    unsigned generation;
    void (*wake)(void *wake_context);
    void *wake_context;
    bool busy;
    bool ended; // and not collected
    bool good;
    uint64_t tag;
    uint32_t size;
    uint8_t bytes[4096];
};

void alert_delivery_init(struct alert_delivery *delivery, struct alert_sink *sink,
                         void (*wake)(void *wake_context), void *wake_context);
// 0: the message is the one under way; else what produce() has to say.
int alert_delivery_take(struct alert_delivery *delivery, const struct producer_message *message,
                        const char **cause);
// It is over; `why` where it failed.
void alert_delivery_end(struct alert_delivery *delivery, const char *name, const char *why);
uint32_t alert_delivery_collect(struct alert_delivery *delivery, uint32_t max,
                                producer_report_callback *report, void *context);
// Nothing is under way and the settings have changed.
bool alert_delivery_outdated(const struct alert_delivery *delivery);

#endif
