// SPDX-License-Identifier: GPL-3.0-or-later
//
// link_receive: what a link hears: received bytes → TLS → HTTP head, then WebSocket messages →
// intake.
//
// Contract: received bytes are used up within the callback; a message that lies whole in a record
// is read where it was decrypted; whatever a peer sends ends in rows, in a named cause to go down,
// or both. After link_fail() nothing more of the input is looked at.
#include "capture/link_steps.h"

#include "format/ensure.h"
#include <string.h>

static void link_received(struct io *io, struct io_op *op);

void link_receive_start(struct link *link)
{
    ensure(link->handle >= 0 && io_idle(&link->receive));
    io_receive(link->shared->io, &link->receive, link->handle, link_received);
}

// ---- messages ----

static void link_reply(struct link *link, const struct dialect_frame *frame)
{
    int size = frame->reply.size < 160 ? (int)frame->reply.size : 160;
    if (link_leaving(link)) return; // whatever it says to that
    if (frame->reply_failed) {
        link_fail(link, STATUS_LINK_REFUSED,
                  "the exchange refused a request: %.*s; check symbols and channels", size,
                  (const char *)frame->reply.bytes);
        return;
    }
    if (link->state == LINK_SUBSCRIBING) link_subscribed_by(link, true);
}

static void link_shutdown_notice(struct link *link)
{
    link_status(link, STATUS_SERVER_SHUTDOWN, INTAKE_NO_COUNT, link->feed->dialect->name);
    log_write(link->shared->log, LOG_LINK_ENDS, io_utc_ns(link->shared->io), "link=%u exchange=%s",
              link->number, link->feed->dialect->name);
    link_want_renewal(link);
}

static void link_message(struct link *link, const struct websocket_event *event)
{
    const struct dialect_frame *frame =
        intake_message(link->shared->intake, &link->source, event->data, event->size,
                       link->receive.completed_ns);
    switch (frame->kind) {
    case DIALECT_FRAME_EVENTS:
        if (link->state == LINK_SUBSCRIBING) link_subscribed_by(link, false);
        return;
    case DIALECT_FRAME_REPLY: link_reply(link, frame); return;
    case DIALECT_FRAME_SHUTDOWN: link_shutdown_notice(link); return;
    case DIALECT_FRAME_ALIVE: return;
    }
}

static void link_pinged(struct link *link, const struct websocket_event *event)
{
    ensure(event->size <= WEBSOCKET_CONTROL_SIZE_MAX);
    memcpy(link->pong, event->data, event->size);
    link->pong_size = (uint8_t)event->size;
    link->pong_wanted = true;
    link->shared->counters.pings++;
    link_wake_by(link, 0); // the answer leaves by link_talk(), like every client message
}

static void link_close_received(struct link *link, const struct websocket_event *event)
{
    if (link->state == LINK_DRAINING) {
        link_hang_up(link);
        return;
    }
    link_send_close(link, event->close_code == 1005 ? 1000 : event->close_code);
    link_flush(link);
    link_fail(link, STATUS_LINK_DOWN, "the exchange closed the link: code %u %.*s",
              event->close_code, (int)event->size, (const char *)event->data);
}

static void link_event(struct link *link, const struct websocket_event *event)
{
    switch (event->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY: link_message(link, event); return;
    case WEBSOCKET_PING: link_pinged(link, event); return;
    case WEBSOCKET_CLOSE: link_close_received(link, event); return;
    case WEBSOCKET_PONG:
    case WEBSOCKET_CONTINUATION: return;
    }
}

static void link_frames(struct link *link, uint8_t *at, uint8_t *end)
{
    struct websocket_event event;
    while (!link->hanging_up) {
        enum websocket_result result = websocket_next(&link->websocket, &at, end, &event);
        if (result == WEBSOCKET_MORE) return;
        if (websocket_failed(result)) {
            link_send_close(link, websocket_error_close_code(result));
            link_flush(link);
            link_fail(link, STATUS_LINK_DOWN, "the exchange broke the WebSocket protocol: %s",
                      websocket_result_text(result));
            return;
        }
        link_event(link, &event);
    }
}

// ---- upgrade ----

static void link_upgrade_refused(struct link *link, enum websocket_handshake judged)
{
    const struct http_parser *http = &link->http;
    uint32_t seconds;
    if (http_retry_after(http, &seconds)) link->retry_after_ns = seconds * LIMIT_SECOND_NS;
    if (judged != WEBSOCKET_HANDSHAKE_STATUS) {
        link_fail(link, STATUS_LINK_REFUSED, "not a WebSocket server: %s; check url",
                  websocket_handshake_text(judged));
        return;
    }
    const char *remedy = http->status == 429 || http->status == 418
                             ? "too many requests from this address: wait"
                         : http->status == 403 ? "this address may be barred by the exchange"
                         : http->status >= 500 ? "the exchange has a problem of its own"
                                               : "check url";
    link_fail(link, STATUS_LINK_REFUSED, "the answer to the WebSocket request is %u %.*s; %s",
              http->status, (int)(http->reason.size < 80 ? http->reason.size : 80),
              http->reason.text, remedy);
}

static void link_upgrade_reply(struct link *link, uint8_t *plain, uint8_t *end)
{
    const char *at = (const char *)plain;
    struct http_slice body;
    enum http_result result = http_parse(&link->http, &at, (const char *)end, &body);
    if (result == HTTP_MORE) return;
    if (http_failed(result)) {
        link_fail(link, STATUS_LINK_REFUSED, "the answer is not HTTP: %s; check url",
                  http_result_text(result));
        return;
    }
    ensure(result == HTTP_HEAD);
    enum websocket_handshake judged = websocket_reply_check(&link->http, link->key);
    if (judged != WEBSOCKET_HANDSHAKE_OK) {
        link_upgrade_refused(link, judged);
        return;
    }
    link_upgraded(link);
    // Frames may follow the head in the same record.
    link_frames(link, plain + (at - (const char *)plain), end);
}

// ---- bytes ----

static void link_plain(struct link *link, uint8_t *at, uint8_t *end)
{
    link->heard = true;
    switch (link->state) {
    case LINK_HANDSHAKING:
        link_fail(link, STATUS_LINK_DOWN, "the peer speaks before it is asked; check url");
        return;
    case LINK_UPGRADING: link_upgrade_reply(link, at, end); return;
    case LINK_SUBSCRIBING:
    case LINK_LIVE:
    case LINK_UNSUBSCRIBING:
    case LINK_DRAINING: link_frames(link, at, end); return;
    case LINK_IDLE:
    case LINK_RESOLVING:
    case LINK_CONNECTING:
    case LINK_BACKOFF: break;
    }
    ensure(link_connected(link));
}

static void link_decrypt(struct link *link, const uint8_t *data, size_t size)
{
    uint8_t *plain = link->shared->plain;
    tls_feed(link->tls, data, size);
    while (!link->hanging_up) {
        int32_t result = tls_read(link->tls, plain, TLS_READ_SIZE);
        if (result > 0) {
            link_plain(link, plain, plain + result);
        } else if (result == TLS_WANT_INPUT) {
            break;
        } else if (result == TLS_WANT_OUTPUT) {
            link_fail(link, STATUS_LINK_DOWN, "the exchange does not read what is sent to it");
        } else if (result == TLS_CLOSED) {
            link_fail(link, STATUS_LINK_DOWN, "the exchange ended TLS");
        } else {
            link_fail(link, STATUS_LINK_DOWN, "%s", tls_failure(link->tls)->text);
        }
    }
    if (link->state == LINK_HANDSHAKING && tls_established(link->tls)) link_upgrade(link);
    link_flush(link);
}

static void link_received_end(struct link *link, int64_t result)
{
    if (link->state == LINK_DRAINING) {
        link_hang_up(link); // the peer is gone: no goodbye to wait for
    } else if (result < 0) {
        link_fail(link, STATUS_LINK_DOWN, "receiving failed: %s", strerror((int)-result));
    } else if (link->state == LINK_HANDSHAKING) {
        link_fail(link, STATUS_LINK_DOWN,
                  "the connection was closed during the TLS handshake; is it a TLS port?");
    } else if (link->state == LINK_UPGRADING) {
        link_fail(link, STATUS_LINK_DOWN,
                  "the connection was closed before the WebSocket request was answered; check url");
    } else if (tls_end_of_input(link->tls) == TLS_CLOSED) {
        link_fail(link, STATUS_LINK_DOWN, "the exchange closed the connection");
    } else {
        link_fail(link, STATUS_LINK_DOWN, "the connection was cut off (no goodbye of TLS)");
    }
}

static void link_received(struct io *io, struct io_op *op)
{
    struct link *link = io_owner(op, struct link, receive);
    const struct intake_counters *counters = &link->shared->intake->counters;
    const uint64_t messages = counters->messages;
    const uint64_t bytes = counters->bytes;
    if (op->clock_stepped) link_shared_clock(link->shared, link->number);
    if (op->result <= 0)
        link_received_end(link, op->result);
    else if (!link->hanging_up)
        link_decrypt(link, op->data, (size_t)op->result);
    if (counters->messages != messages) { // all that came since is this link's
        link->figures.messages += counters->messages - messages;
        link->figures.bytes += counters->bytes - bytes;
        link->figures.message_ns = op->completed_ns;
    }
    if (op->result > 0 && ++link->shared->receives % LINK_TIMED_RECEIVES == 0)
        histogram_add_times(&link->shared->decode, io_utc_ns(io) - op->completed_ns,
                            counters->messages - messages);
    link_check(link);
}
