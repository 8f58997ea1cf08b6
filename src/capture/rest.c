// SPDX-License-Identifier: GPL-3.0-or-later
//
// rest: one GET, or one POST.
//
//     IDLE ─rest_get→ RESOLVING → CONNECTING → HANDSHAKING → WAITING ─┐
//      ↑  │                └──────────┴─────────────┴─────────────────┤ rest_end, rest_whole
//      │  ├─kept─────────────────────────────────────────→ WAITING    │
//      │  └─kept─→ WAKING ─(timer over)─→ WAITING; cancelled: CLOSING │
//      └──────────── callback ←── rest_settle (ops over) ←── CLOSING or RESTING
//
//     CONNECTING ─refused→ CONNECTING: each address in turn     RESTING ─ended by the peer→ CLOSING
//     WAITING ─kept, no byte came→ RENEWING → RESOLVING         RENEWING ─cancelled, late→ CLOSING
//     IDLE, WAKING ─kept, of no use any more→ RENEWING
//     IDLE ─kept too long→ PARTING → IDLE         PARTING ─asked meanwhile, cancelled→ CLOSING
//
// The timer limits the whole. A failure goes through rest_end(), a reply through rest_whole(),
// once. Between requests it limits how long a connection is kept.
#include "capture/rest.h"

#include "base/transition.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char too_late[] = "no whole answer in time; check %s and the network";

static void rest_settle(struct rest *rest);
static void rest_received(struct io *io, struct io_op *op);
static void rest_connect(struct rest *rest);
static void rest_start(struct rest *rest);
static void rest_kept(struct rest *rest);

static void rest_enter(struct rest *rest, enum rest_state state)
{
    transition(TRANSITION_REST, rest->state, state);
    rest->state = state;
}

int rest_open(struct rest *rest, struct io *io, struct tls_context *tls)
{
    memset(rest, 0, sizeof *rest);
    rest->io = io;
    rest->handle = -1;
    rest->key = "rest_url";
    rest->limit_ns = REST_LIMIT_NS;
    void *body = mmap(NULL, LIMIT_REST_BODY_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (body == MAP_FAILED) return -ENOMEM;
    rest->tls = tls_create(tls, TLS_OUTPUT_SIZE_MIN);
    if (rest->tls == NULL) {
        (void)munmap(body, LIMIT_REST_BODY_BYTES);
        return -ENOMEM;
    }
    rest->body = body;
    return 0;
}

void rest_close(struct rest *rest)
{
    ensure(rest->state == REST_IDLE && io_idle(&rest->timer) && rest->handle < 0);
    tls_destroy(rest->tls);
    (void)munmap(rest->body, LIMIT_REST_BODY_BYTES);
    rest->body = NULL;
}

// ---- the end ----

static bool rest_ending(const struct rest *rest)
{
    return rest->state == REST_CLOSING || rest->state == REST_RENEWING ||
           rest->state == REST_PARTING;
}

// All ops of the connection but the timer, which goes on while a request is asked again.
static void rest_disconnect(struct rest *rest, enum rest_state state)
{
    rest_enter(rest, state);
    io_cancel(rest->io, &rest->attempt);
    io_cancel(rest->io, &rest->receive);
    io_cancel(rest->io, &rest->send);
    if (state != REST_RENEWING) io_cancel(rest->io, &rest->timer);
    rest_settle(rest);
}

// The connection may carry another request.
static bool rest_keeps(const struct rest *rest)
{
    return rest->keep && rest->http.keep_alive && !rest->stale && rest->state == REST_WAITING;
}

// Without a reply. Remembers the first cause.
__attribute__((format(printf, 2, 3))) static void rest_end(struct rest *rest, const char *format,
                                                           ...)
{
    va_list arguments;
    if (rest->state == REST_CLOSING) return;
    ensure(rest->state != REST_IDLE && rest->state != REST_PARTING);
    if (rest->state == REST_CONNECTING) rest->address++; // the next request begins elsewhere
    rest->ok = false;
    va_start(arguments, format);
    (void)vsnprintf(rest->failure, sizeof rest->failure, format, arguments);
    va_end(arguments);
    rest_disconnect(rest, REST_CLOSING);
}

// The reply is whole, good or bad.
static void rest_rest(struct rest *rest)
{
    rest_enter(rest, REST_RESTING);
    io_cancel(rest->io, &rest->timer);
    rest_settle(rest);
}

// The connection is of no more use: the request on it goes on elsewhere, or fails for this reason.
static void rest_lost(struct rest *rest, const char *what, const char *why)
{
    rest->stale = true;
    if (rest->state == REST_IDLE)
        rest_disconnect(rest, REST_PARTING);
    else if (rest->state == REST_WAITING && rest->reused && !rest->answered)
        rest_disconnect(rest, REST_RENEWING);
    else if (rest->state != REST_WAKING && rest->state != REST_RESTING)
        rest_end(rest, "%s%s", what, why);
}

static void rest_closed(struct io *io, struct io_op *op)
{
    (void)io;
    rest_settle(io_owner(op, struct rest, attempt));
}

// Nothing is in flight and nothing is connected.
static void rest_settled(struct rest *rest)
{
    enum rest_state state = rest->state;
    bool asked = rest->asked;
    rest->asked = false;
    if (state == REST_RENEWING) {
        rest_connect(rest);
        return;
    }
    rest_enter(rest, REST_IDLE);
    if (state == REST_CLOSING)
        rest->done(rest->context, rest);
    else if (asked)
        rest_start(rest);
}

static void rest_settle(struct rest *rest)
{
    ensure(rest_ending(rest) || rest->state == REST_RESTING);
    if (!io_idle(&rest->attempt) || !io_idle(&rest->send) ||
        (rest->state != REST_RENEWING && !io_idle(&rest->timer)))
        return;
    if (rest->state == REST_RESTING && !rest->stale) {
        rest_kept(rest);
        return;
    }
    if (rest->state == REST_RESTING) {
        rest_disconnect(rest, REST_CLOSING);
        return;
    }
    if (!io_idle(&rest->receive)) return;
    if (rest->handle >= 0) {
        io_close(rest->io, &rest->attempt, rest->handle, rest_closed);
        rest->handle = -1;
        return;
    }
    rest_settled(rest);
}

static void rest_timed_out(struct io *io, struct io_op *op)
{
    (void)io;
    struct rest *rest = io_owner(op, struct rest, timer);
    if (rest_ending(rest) || rest->state == REST_RESTING) {
        if (rest->state == REST_RENEWING) { // it has waited long enough, too
            rest_enter(rest, REST_CLOSING);
            (void)snprintf(rest->failure, sizeof rest->failure, too_late, rest->key);
        }
        rest_settle(rest);
    } else if (rest->state == REST_IDLE) {
        rest_disconnect(rest, REST_PARTING);
    } else if (rest->state == REST_WAKING) {
        rest_start(rest);
    } else {
        rest_end(rest, too_late, rest->key);
    }
}

// The owner may ask again at once; else the connection waits.
static void rest_kept(struct rest *rest)
{
    rest_enter(rest, REST_IDLE);
    rest->done(rest->context, rest);
    if (rest->state == REST_IDLE && rest->handle >= 0 && io_idle(&rest->timer))
        io_timeout(rest->io, &rest->timer, REST_KEEP_NS, rest_timed_out);
}

// ---- bytes out ----

static void rest_sent(struct io *io, struct io_op *op);

static void rest_flush(struct rest *rest)
{
    const uint8_t *data;
    uint32_t size;
    if (!io_idle(&rest->send) || rest_ending(rest) || rest->stale) return;
    tls_output(rest->tls, &data, &size);
    if (size > 0) io_send(rest->io, &rest->send, rest->handle, data, size, rest_sent);
}

static void rest_sent(struct io *io, struct io_op *op)
{
    (void)io;
    struct rest *rest = io_owner(op, struct rest, send);
    if (op->result > 0) tls_output_taken(rest->tls, (uint32_t)op->result);
    if (op->result <= 0 && !rest_ending(rest))
        rest_lost(rest, "sending failed: ", strerror((int)-op->result));
    else if (rest_ending(rest) || rest->state == REST_RESTING)
        rest_settle(rest);
    else
        rest_flush(rest);
}

// The head of the request, a POST where there is something to send.
static uint32_t rest_format(const struct rest *rest, char *request, uint32_t capacity)
{
    char path[URL_PATH_BYTES_MAX + REST_PATH_BYTES_MAX + 1];
    char length[48];
    const bool post = rest->post != NULL;
    (void)snprintf(path, sizeof path, "%s%s", rest->url->path, rest->path);
    (void)snprintf(length, sizeof length, "Content-Length: %u", rest->post_size);
    const char *extra[4] = {"Accept: application/json"};
    uint32_t count = 1;
    if (rest->header != NULL) extra[count++] = rest->header;
    if (post) extra[count++] = "Content-Type: application/json";
    if (post) extra[count++] = length;
    const struct http_request what = {.method = post ? "POST" : "GET",
                                      .host = rest->url->authority,
                                      .target = path,
                                      .extra = extra,
                                      .extra_count = count,
                                      .close = !rest->keep};
    return http_request_format(&what, request, capacity);
}

static void rest_ask(struct rest *rest)
{
    uint8_t request[2048 + REST_POST_BYTES_MAX];
    uint32_t size = rest_format(rest, (char *)request, 2048);
    ensure(size > 0);
    if (rest->post != NULL) memcpy(request + size, rest->post, rest->post_size);
    size += rest->post != NULL ? rest->post_size : 0;
    http_parser_init(&rest->http, HTTP_RESPONSE, rest->head, sizeof rest->head);
    rest_enter(rest, REST_WAITING);
    rest->answered = false;
    if (tls_write(rest->tls, request, size) != (int32_t)size)
        rest_end(rest, "cannot encrypt: %s", tls_failure(rest->tls)->text);
    else
        rest_flush(rest);
}

// ---- bytes in ----

static bool rest_gather(struct rest *rest, const struct http_slice *slice)
{
    if (slice->size > LIMIT_REST_BODY_BYTES - rest->body_size) {
        rest_end(rest, "the reply is larger than %d MiB", LIMIT_REST_BODY_BYTES >> 20);
        return false;
    }
    memcpy(rest->body + rest->body_size, slice->text, slice->size);
    rest->body_size += slice->size;
    return true;
}

static void rest_whole(struct rest *rest)
{
    int size = rest->body_size < 200 ? (int)rest->body_size : 200;
    rest->ok = rest->http.status == 200 || (rest->post != NULL && rest->http.status / 100 == 2);
    rest->failure[0] = '\0';
    if (!rest->ok)
        (void)snprintf(rest->failure, sizeof rest->failure, "the answer is %u: %.*s",
                       rest->http.status, size, (const char *)rest->body);
    if (rest_keeps(rest))
        rest_rest(rest);
    else
        rest_disconnect(rest, REST_CLOSING);
}

// What the exchange says about its limits: Binance the weight of the minute, Upbit
// "group=crix-trades; min=600; sec=9".
static void rest_limits(struct rest *rest)
{
    struct http_slice value;
    char text[128];
    if (rest->used_header != NULL && http_field_find(&rest->http, rest->used_header, &value) &&
        value.size < sizeof text) {
        memcpy(text, value.text, value.size);
        text[value.size] = '\0';
        rest->used = (uint32_t)strtoul(text, NULL, 10);
    }
    if (http_field_find(&rest->http, "Remaining-Req", &value) && value.size < sizeof text) {
        memcpy(text, value.text, value.size);
        text[value.size] = '\0';
        const char *second = strstr(text, "sec=");
        rest->exhausted = second != NULL && strtol(second + 4, NULL, 10) <= 0;
    }
}

static void rest_parse(struct rest *rest, const char *at, const char *end)
{
    while (rest->state == REST_WAITING) {
        struct http_slice body;
        enum http_result result = http_parse(&rest->http, &at, end, &body);
        if (result == HTTP_MORE) return;
        if (result == HTTP_HEAD) {
            uint32_t seconds;
            rest->status = rest->http.status;
            rest->retry_after_s = http_retry_after(&rest->http, &seconds) ? seconds : 0;
            rest_limits(rest);
        } else if (result == HTTP_BODY) {
            if (!rest_gather(rest, &body)) return;
        } else if (result == HTTP_DONE) {
            rest_whole(rest);
        } else {
            rest_end(rest, "the answer is not HTTP: %s; check %s", http_result_text(result),
                     rest->key);
        }
    }
    if (at != end) rest->stale = true; // more than was asked for
}

static void rest_plain(struct rest *rest, uint32_t size)
{
    if (rest->state == REST_WAITING) {
        rest->answered = true;
        rest_parse(rest, (const char *)rest->plain, (const char *)rest->plain + size);
    } else {
        rest_lost(rest, "the peer speaks before it is asked; check ", rest->key);
    }
}

// The peer has closed: that may be the end of the body.
static void rest_input_end(struct rest *rest)
{
    rest->stale = true;
    if (rest->state == REST_WAITING && rest->answered &&
        http_parse_end(&rest->http) == HTTP_DONE)
        rest_whole(rest);
    else
        rest_lost(rest, "the connection was closed before the answer was whole", "");
}

static void rest_decrypt(struct rest *rest, const uint8_t *data, size_t size)
{
    tls_feed(rest->tls, data, size);
    while (!rest_ending(rest) && !rest->stale) {
        int32_t result = tls_read(rest->tls, rest->plain, sizeof rest->plain);
        if (result > 0)
            rest_plain(rest, (uint32_t)result);
        else if (result == TLS_WANT_INPUT)
            break;
        else if (result == TLS_CLOSED)
            rest_input_end(rest);
        else
            rest_lost(rest, tls_failure(rest->tls)->text, "");
    }
    if (rest->state == REST_HANDSHAKING && tls_established(rest->tls)) rest_ask(rest);
    if (!rest_ending(rest)) rest_flush(rest);
}

static void rest_received(struct io *io, struct io_op *op)
{
    (void)io;
    struct rest *rest = io_owner(op, struct rest, receive);
    if (rest_ending(rest)) {
        if (!op->more) rest_settle(rest);
    } else if (op->result > 0) {
        // Behind more than was asked for nothing is looked at: it goes before the next request.
        if (!rest->stale) rest_decrypt(rest, op->data, (size_t)op->result);
    } else if (op->result == 0 && tls_end_of_input(rest->tls) == TLS_CLOSED) {
        rest_input_end(rest);
    } else if (op->result == 0) { // a body that ends with the connection could have been cut
        rest_lost(rest, "the connection was cut before the answer was whole (no goodbye of TLS)",
                  "");
    } else {
        rest_lost(rest, "receiving failed: ", strerror((int)-op->result));
    }
}

// ---- coming up ----

static void rest_connected(struct io *io, struct io_op *op);

static void rest_connect_next(struct rest *rest)
{
    ensure(rest->address_count > 0);
    rest->addresses_tried++;
    rest_enter(rest, REST_CONNECTING);
    io_connect(rest->io, &rest->attempt, &rest->addresses[rest->address % rest->address_count],
               rest_connected);
}

static void rest_connect_failed(struct rest *rest, int error)
{
    if (rest->addresses_tried < rest->address_count) {
        rest->address++;
        rest_connect_next(rest);
        return;
    }
    rest_end(rest, "cannot connect: %s; check %s, network and firewall", strerror(error),
             rest->key);
}

static void rest_connected(struct io *io, struct io_op *op)
{
    struct rest *rest = io_owner(op, struct rest, attempt);
    if (op->result >= 0) rest->handle = (int)op->result;
    if (rest_ending(rest)) {
        rest_settle(rest);
        return;
    }
    if (op->result < 0) {
        rest_connect_failed(rest, (int)-op->result);
        return;
    }
    rest_enter(rest, REST_HANDSHAKING);
    rest->stale = false;
    rest->connections++;
    memcpy(rest->kept, rest->url->authority, sizeof rest->kept);
    io_receive(io, &rest->receive, rest->handle, rest_received);
    if (tls_start(rest->tls, rest->url->host) != 0)
        rest_end(rest, "%s", tls_failure(rest->tls)->text);
    else if (tls_established(rest->tls))
        rest_ask(rest);
    else
        rest_flush(rest);
}

static void rest_resolved(struct io *io, struct io_op *op)
{
    (void)io;
    struct rest *rest = io_owner(op, struct rest, attempt);
    if (rest_ending(rest)) {
        rest_settle(rest);
    } else if (op->result <= 0) {
        rest_end(rest, "the name %s was not found; check %s and resolver", rest->url->host,
                 rest->key);
    } else {
        rest->address_count = (uint32_t)op->result;
        rest->addresses_tried = 0;
        rest_connect_next(rest);
    }
}

static void rest_connect(struct rest *rest)
{
    ensure(rest->handle < 0);
    rest->reused = false;
    rest_enter(rest, REST_RESOLVING);
    io_resolve(rest->io, &rest->attempt, rest->url->host, rest->url->port, rest->addresses,
               rest_resolved);
}

// The timer limits the request from now on.
static void rest_start(struct rest *rest)
{
    ensure(io_idle(&rest->timer) && rest->url != NULL);
    io_timeout(rest->io, &rest->timer, rest->limit_ns, rest_timed_out);
    if (rest->handle < 0) {
        rest_connect(rest);
        return;
    }
    rest->reused = true;
    if (rest->stale || strcmp(rest->kept, rest->url->authority) != 0)
        rest_disconnect(rest, REST_RENEWING);
    else
        rest_ask(rest);
}

static void rest_request(struct rest *rest, const struct url *url, const char *path,
                         rest_callback *done, void *context)
{
    ensure(rest->state == REST_IDLE || (rest->state == REST_PARTING && !rest->asked));
    ensure(strlen(path) <= REST_PATH_BYTES_MAX);
    // The pages of a large body are given back.
    (void)madvise(rest->body, LIMIT_REST_BODY_BYTES, MADV_DONTNEED);
    memcpy(rest->path, path, strlen(path) + 1);
    rest->url = url;
    rest->done = done;
    rest->context = context;
    rest->ok = false;
    rest->status = 0;
    rest->retry_after_s = 0;
    rest->used = 0;
    rest->exhausted = false;
    rest->body_size = 0;
    if (rest->state == REST_PARTING) {
        rest->asked = true;
    } else if (io_idle(&rest->timer)) {
        rest_start(rest);
    } else {
        rest_enter(rest, REST_WAKING);
        io_cancel(rest->io, &rest->timer);
    }
}

void rest_get(struct rest *rest, const struct url *url, const char *path, rest_callback *done,
              void *context)
{
    rest->post = NULL;
    rest->post_size = 0;
    rest_request(rest, url, path, done, context);
}

void rest_post(struct rest *rest, const struct url *url, const void *body, uint32_t size,
               rest_callback *done, void *context)
{
    ensure(!rest->keep && size <= REST_POST_BYTES_MAX);
    rest->post = body;
    rest->post_size = size;
    rest_request(rest, url, url->path[0] == '\0' ? "/" : "", done, context);
}

void rest_cancel(struct rest *rest)
{
    if (rest->state == REST_PARTING && rest->asked) {
        rest->asked = false;
        rest_enter(rest, REST_CLOSING); // the callback comes with its end
        (void)snprintf(rest->failure, sizeof rest->failure, "cancelled");
    } else if (rest->state == REST_RENEWING) {
        rest_enter(rest, REST_CLOSING);
        io_cancel(rest->io, &rest->timer);
        (void)snprintf(rest->failure, sizeof rest->failure, "cancelled");
    } else if (rest->state != REST_IDLE && rest->state != REST_CLOSING &&
               rest->state != REST_PARTING && rest->state != REST_RESTING) {
        rest_end(rest, "cancelled");
    }
}

bool rest_hang_up(struct rest *rest)
{
    if (rest->state == REST_IDLE && rest->handle >= 0) rest_disconnect(rest, REST_PARTING);
    return rest->state == REST_IDLE;
}
