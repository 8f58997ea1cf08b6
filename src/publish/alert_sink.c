// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_sink: see alert_sink.h: settings, and what webhook and command have in common.
#include "publish/alert_sink.h"

#include <errno.h>
#include <string.h>

#include "format/ensure.h"

void alert_sink_init(struct alert_sink *sink, struct io *io, const struct log *log)
{
    memset(sink, 0, sizeof *sink);
    sink->io = io;
    sink->log = log;
    const int error = pthread_mutex_init(&sink->lock, NULL);
    ensure(error == 0);
}

void alert_sink_set(struct alert_sink *sink, const struct alert_sink_settings *settings)
{
    ensure(!settings->on || settings->limit_ns > 0);
    pthread_mutex_lock(&sink->lock);
    sink->settings = *settings;
    atomic_fetch_add(&sink->generation, 1);
    pthread_mutex_unlock(&sink->lock);
}

void alert_delivery_init(struct alert_delivery *delivery, struct alert_sink *sink,
                         void (*wake)(void *wake_context), void *wake_context)
{
    memset(delivery, 0, sizeof *delivery);
    delivery->sink = sink;
    delivery->wake = wake;
    delivery->wake_context = wake_context;
    pthread_mutex_lock(&sink->lock);
    delivery->settings = sink->settings;
    delivery->generation = atomic_load(&sink->generation);
    pthread_mutex_unlock(&sink->lock);
}

int alert_delivery_take(struct alert_delivery *delivery, const struct producer_message *message,
                        const char **cause)
{
    if (delivery->busy || delivery->ended) return -ENOBUFS;
    if (!delivery->settings.on) {
        *cause = "it was switched off";
        return -ECANCELED;
    }
    if (message->value_size >= sizeof delivery->bytes) {
        *cause = "it is too large";
        return -EMSGSIZE;
    }
    memcpy(delivery->bytes, message->value, message->value_size);
    delivery->size = message->value_size;
    delivery->tag = message->tag;
    delivery->busy = true;
    return 0;
}

void alert_delivery_end(struct alert_delivery *delivery, const char *name, const char *why)
{
    struct alert_sink *sink = delivery->sink;
    ensure(delivery->busy && !delivery->ended);
    delivery->busy = false;
    delivery->ended = true;
    delivery->good = why == NULL;
    const int64_t now_ns = io_monotonic_ns(sink->io);
    if (why != NULL && sink->log != NULL &&
        (sink->told_ns == 0 || now_ns - sink->told_ns >= LIMIT_MINUTE_NS)) {
        sink->told_ns = now_ns;
        log_write(sink->log, LOG_ALERT_UNDELIVERED, io_utc_ns(sink->io), "sink=%s cause=\"%s\"",
                  name, why);
    }
    delivery->wake(delivery->wake_context);
}

uint32_t alert_delivery_collect(struct alert_delivery *delivery, uint32_t max,
                                producer_report_callback *report, void *context)
{
    if (!delivery->ended || max == 0) return 0;
    delivery->ended = false;
    const struct producer_report what = {
        .verdict = delivery->good ? PRODUCER_DELIVERED : PRODUCER_REFUSED,
        .tag = delivery->tag,
        .bytes = delivery->size,
        .cause = delivery->good ? NULL : "not delivered",
    };
    report(context, &what);
    return 1;
}

bool alert_delivery_outdated(const struct alert_delivery *delivery)
{
    return !delivery->busy && !delivery->ended &&
           atomic_load(&delivery->sink->generation) != delivery->generation;
}
