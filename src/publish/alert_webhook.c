// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_webhook: see alert_sink.h. A POST over a connection of its own, whose certificate is
// checked; any status of 2xx is a success, redirections are not followed.
#include "publish/alert_sink.h"

#include "capture/rest.h"
#include "protocol/tls.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct alert_webhook {
    struct producer producer;
    struct alert_delivery delivery;
    struct tls_context *tls; // NULL for http://
    struct rest rest;
};

static struct alert_webhook *webhook_of(struct producer *producer)
{
    return (struct alert_webhook *)(void *)producer; // its first member
}

static void webhook_answered(void *context, struct rest *rest)
{
    struct alert_webhook *webhook = context;
    alert_delivery_end(&webhook->delivery, "webhook", rest->ok ? NULL : rest->failure);
}

static int webhook_produce(struct producer *producer, const struct producer_message *message,
                           const char **cause)
{
    struct alert_webhook *webhook = webhook_of(producer);
    const int error = alert_delivery_take(&webhook->delivery, message, cause);
    if (error != 0) return error;
    rest_post(&webhook->rest, &webhook->delivery.settings.url, webhook->delivery.bytes,
              webhook->delivery.size, webhook_answered, webhook);
    return 0;
}

static uint32_t webhook_collect(struct producer *producer, uint32_t max,
                                producer_report_callback *report, void *context)
{
    return alert_delivery_collect(&webhook_of(producer)->delivery, max, report, context);
}

static bool webhook_broken(struct producer *producer)
{
    return alert_delivery_outdated(&webhook_of(producer)->delivery);
}

static void webhook_close(struct producer *producer)
{
    struct alert_webhook *webhook = webhook_of(producer);
    if (webhook->delivery.busy) rest_cancel(&webhook->rest);
    while (webhook->delivery.busy) (void)io_run(webhook->rest.io, LIMIT_MILLISECOND_NS);
    if (webhook->rest.body != NULL) rest_close(&webhook->rest);
    if (webhook->tls != NULL) tls_context_destroy(webhook->tls);
    free(webhook);
}

static int webhook_open(struct alert_webhook *webhook, char *text, size_t text_size)
{
    const struct alert_sink_settings *settings = &webhook->delivery.settings;
    const struct tls_options trust = {
        .role = TLS_CLIENT, .ca_file = settings->ca_file[0] == '\0' ? NULL : settings->ca_file};
    struct tls_failure failure = {0};
    if (!settings->on) return 0;
    if (settings->url.tls) {
        webhook->tls = tls_context_create(&trust, &failure);
        if (webhook->tls == NULL) {
            (void)snprintf(text, text_size, "%s", failure.text);
            return -EINVAL;
        }
    }
    const int error = rest_open(&webhook->rest, webhook->delivery.sink->io, webhook->tls);
    if (error != 0) return error;
    webhook->rest.key = "alert_sinks.webhook.url";
    webhook->rest.limit_ns = settings->limit_ns;
    webhook->rest.header = settings->header[0] == '\0' ? NULL : settings->header;
    return 0;
}

int alert_webhook_make(void *context, void (*wake)(void *wake_context), void *wake_context,
                       struct producer **producer, char *text, size_t text_size)
{
    struct alert_webhook *webhook = calloc(1, sizeof *webhook);
    if (webhook == NULL) return -ENOMEM;
    webhook->producer = (struct producer){webhook_produce, webhook_collect, webhook_broken,
                                          webhook_close};
    alert_delivery_init(&webhook->delivery, context, wake, wake_context);
    const int error = webhook_open(webhook, text, text_size);
    if (error == 0)
        *producer = &webhook->producer;
    else
        webhook_close(&webhook->producer);
    return error;
}
