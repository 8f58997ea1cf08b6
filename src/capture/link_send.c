// SPDX-License-Identifier: GPL-3.0-or-later
//
// link_send: what a link says. Contract: bytes leave in the order of their encryption, one send in
// flight; a request is only made when nothing waits to be sent, so it always fits; client messages
// keep the distance the exchange's limits ask for, answers to pings first or in turn.
#include "capture/link_steps.h"

#include "format/ensure.h"
#include <string.h>

static void link_sent(struct io *io, struct io_op *op)
{
    (void)io;
    struct link *link = io_owner(op, struct link, send);
    if (op->result > 0) tls_output_taken(link->tls, (uint32_t)op->result);
    if (link->state == LINK_DRAINING && link->hanging_up) {
        link_settle(link);
    } else if (op->result <= 0) {
        link_fail(link, STATUS_LINK_DOWN, "sending failed: %s", strerror((int)-op->result));
    } else {
        link_flush(link);
    }
}

void link_flush(struct link *link)
{
    if (!io_idle(&link->send) || link->hanging_up || link->handle < 0) return;
    const uint8_t *data;
    uint32_t size;
    tls_output(link->tls, &data, &size);
    if (size == 0) return;
    io_send(link->shared->io, &link->send, link->handle, data, size, link_sent);
}

bool link_write(struct link *link, const uint8_t *bytes, uint32_t size)
{
    for (uint32_t at = 0; at < size;) {
        uint32_t piece = size - at < TLS_RECORD_SIZE_MAX ? size - at : TLS_RECORD_SIZE_MAX;
        int32_t result = tls_write(link->tls, bytes + at, piece);
        if (result == (int32_t)piece) {
            at += piece;
            continue;
        }
        if (result == TLS_WANT_OUTPUT)
            link_fail(link, STATUS_LINK_DOWN, "the exchange does not read what is sent to it");
        else
            link_fail(link, STATUS_LINK_DOWN, "cannot encrypt: %s", tls_failure(link->tls)->text);
        return false;
    }
    return true;
}

bool link_send_frame(struct link *link, enum websocket_opcode opcode, const uint8_t *payload,
                     uint32_t size)
{
    struct link_shared *shared = link->shared;
    uint8_t mask[4];
    io_random(shared->io, mask, sizeof mask);
    uint32_t frame_size =
        websocket_encode(shared->frame, DIALECT_REQUEST_BYTES_MAX + WEBSOCKET_HEADER_SIZE_MAX,
                         opcode, payload, size, mask);
    ensure(frame_size > size);
    if (!link_write(link, shared->frame, frame_size)) return false;
    link_flush(link);
    return true;
}

void link_send_close(struct link *link, uint16_t code)
{
    struct link_shared *shared = link->shared;
    uint8_t mask[4];
    io_random(shared->io, mask, sizeof mask);
    uint32_t size =
        websocket_encode_close(shared->frame, DIALECT_REQUEST_BYTES_MAX, code, "", mask);
    ensure(size > 0);
    // A goodbye that does not fit is left out: the connection ends either way.
    if (tls_write(link->tls, shared->frame, size) == (int32_t)size) tls_close(link->tls);
}

bool link_all_requested(const struct link *link)
{
    return link->subscribe_position >= link->streams.count;
}

static bool link_output_empty(const struct link *link)
{
    const uint8_t *data;
    uint32_t size;
    tls_output(link->tls, &data, &size);
    return size == 0;
}

// So far apart that neither limit can be reached: in a second one message is left over.
static int64_t link_spacing_ns(const struct dialect *dialect)
{
    uint32_t per_second = dialect->requests_per_second_max;
    uint32_t per_minute = dialect->requests_per_minute_max;
    int64_t spacing_ns = per_second > 1 ? LIMIT_SECOND_NS / (per_second - 1) : LIMIT_SECOND_NS;
    if (per_minute > 1 && LIMIT_MINUTE_NS / (per_minute - 1) > spacing_ns)
        spacing_ns = LIMIT_MINUTE_NS / (per_minute - 1);
    return spacing_ns;
}

static bool link_send_pong(struct link *link)
{
    link->pong_wanted = false;
    return link_send_frame(link, WEBSOCKET_PONG, link->pong, link->pong_size);
}

static bool link_send_ping(struct link *link, int64_t now_ns)
{
    link->ping_due_ns = now_ns + link->feed->dialect->ping_interval_ns;
    return link_send_frame(link, WEBSOCKET_PING, NULL, 0);
}

// The first `count` streams of the link.
static struct dialect_subscribe link_subscribe(const struct link *link, uint32_t count)
{
    struct dialect_subscribe what = {.context = &link->feed->context,
                                     .channels = link->feed->channels,
                                     .streams = link->streams.streams,
                                     .stream_count = count,
                                     .request_id = link->request_id + 1};
    memcpy(what.ticket, link->ticket, sizeof what.ticket);
    return what;
}

static bool link_send_subscription(struct link *link)
{
    const struct dialect_subscribe what = link_subscribe(link, link->streams.count);
    uint32_t before = link->subscribe_position;
    uint32_t size = link->feed->dialect->subscribe(&what, &link->subscribe_position,
                                                   link->shared->request,
                                                   DIALECT_REQUEST_BYTES_MAX);
    if (size == 0 || link->subscribe_position <= before) {
        link_fail(link, STATUS_LINK_REFUSED, "the subscription does not fit into one request; "
                                             "spread the symbols over several feeds");
        return false;
    }
    ensure(size <= DIALECT_REQUEST_BYTES_MAX);
    link->request_id++;
    link->requests_sent++;
    return link_send_frame(link, WEBSOCKET_TEXT, (const uint8_t *)link->shared->request, size);
}

static bool link_say_next(struct link *link, int64_t now_ns)
{
    // Many pings must not keep the subscriptions waiting: turn by turn.
    link->ponged = link->pong_wanted && !(link->ponged && !link_all_requested(link));
    if (link->ponged) return link_send_pong(link);
    if (now_ns >= link->ping_due_ns) return link_send_ping(link, now_ns);
    if (!link_all_requested(link)) return link_send_subscription(link);
    return link->dropped_count == 0 || link_send_dropped(link);
}

static bool link_has_words(const struct link *link)
{
    return link->pong_wanted || link->dropped_count > 0 || !link_all_requested(link);
}

int64_t link_talk(struct link *link, int64_t now_ns)
{
    bool wanted = link_has_words(link);
    int64_t due_ns = wanted ? now_ns : link->ping_due_ns;
    if (due_ns > now_ns) return due_ns;
    if (link->message_after_ns > now_ns) return link->message_after_ns;
    int64_t spacing_ns = link_spacing_ns(link->feed->dialect);
    // What was said before has to be on its way: the output then holds any request.
    if (link_output_empty(link)) {
        link->message_after_ns = now_ns + spacing_ns;
        if (!link_say_next(link, now_ns)) return INT64_MAX;
    }
    wanted = link_has_words(link);
    return wanted ? now_ns + spacing_ns : link->ping_due_ns;
}

int64_t link_take_back(struct link *link, int64_t now_ns)
{
    ensure(link->state == LINK_UNSUBSCRIBING && link->feed->dialect->unsubscribe != NULL);
    if (link->message_after_ns > now_ns) return link->message_after_ns;
    link->message_after_ns = now_ns + link_spacing_ns(link->feed->dialect);
    if (!link_output_empty(link)) return link->message_after_ns;
    // What was asked for, be it all of the link's streams or not.
    const struct dialect_subscribe what = link_subscribe(link, link->subscribe_position);
    uint32_t size = link->feed->dialect->unsubscribe(&what, &link->unsubscribe_position,
                                                     link->shared->request,
                                                     DIALECT_REQUEST_BYTES_MAX);
    ensure(size > 0 && size <= DIALECT_REQUEST_BYTES_MAX);
    link->request_id++;
    if (!link_send_frame(link, WEBSOCKET_TEXT, (const uint8_t *)link->shared->request, size))
        return INT64_MAX;
    return link->unsubscribe_position < link->subscribe_position ? link->message_after_ns
                                                                 : INT64_MAX;
}
