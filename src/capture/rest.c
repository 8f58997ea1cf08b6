// SPDX-License-Identifier: GPL-3.0-or-later
//
// rest: one GET.
//
//     IDLE ─rest_get→ RESOLVING → CONNECTING → HANDSHAKING → WAITING ─┐
//      ↑                  └────────────┴────────────┴─────────────────┤ rest_end
//      └──────────── callback ←── rest_settle (all ops over) ←── CLOSING
//
// The timer limits the whole; every failure and the whole reply alike go through rest_end(), once.
#include "capture/rest.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void rest_settle(struct rest *rest);
static void rest_received(struct io *io, struct io_op *op);

int rest_open(struct rest *rest, struct io *io, struct tls_context *tls)
{
    memset(rest, 0, sizeof *rest);
    rest->io = io;
    rest->handle = -1;
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
    ensure(rest->state == REST_IDLE && io_idle(&rest->timer));
    tls_destroy(rest->tls);
    (void)munmap(rest->body, LIMIT_REST_BODY_BYTES);
    rest->body = NULL;
}

// ---- the end ----

// Remembers the first cause; `format` NULL: the reply is whole.
__attribute__((format(printf, 2, 3))) static void rest_end(struct rest *rest, const char *format,
                                                           ...)
{
    if (rest->state == REST_CLOSING) return;
    ensure(rest->state != REST_IDLE);
    rest->state = REST_CLOSING;
    rest->ok = format == NULL;
    rest->failure[0] = '\0';
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(rest->failure, sizeof rest->failure, format, arguments);
        va_end(arguments);
    }
    io_cancel(rest->io, &rest->attempt);
    io_cancel(rest->io, &rest->receive);
    io_cancel(rest->io, &rest->send);
    io_cancel(rest->io, &rest->timer);
    rest_settle(rest);
}

static void rest_closed(struct io *io, struct io_op *op)
{
    (void)io;
    rest_settle(io_owner(op, struct rest, attempt));
}

static void rest_settle(struct rest *rest)
{
    ensure(rest->state == REST_CLOSING);
    if (!io_idle(&rest->attempt) || !io_idle(&rest->receive) || !io_idle(&rest->send) ||
        !io_idle(&rest->timer))
        return;
    if (rest->handle >= 0) {
        io_close(rest->io, &rest->attempt, rest->handle, rest_closed);
        rest->handle = -1;
        return;
    }
    rest->state = REST_IDLE;
    rest->done(rest->context, rest);
}

static void rest_timed_out(struct io *io, struct io_op *op)
{
    (void)io;
    struct rest *rest = io_owner(op, struct rest, timer);
    if (rest->state != REST_CLOSING)
        rest_end(rest, "no whole answer in time; check rest_url and the network");
    else
        rest_settle(rest);
}

// ---- bytes out ----

static void rest_sent(struct io *io, struct io_op *op);

static void rest_flush(struct rest *rest)
{
    const uint8_t *data;
    uint32_t size;
    if (!io_idle(&rest->send) || rest->state == REST_CLOSING) return;
    tls_output(rest->tls, &data, &size);
    if (size > 0) io_send(rest->io, &rest->send, rest->handle, data, size, rest_sent);
}

static void rest_sent(struct io *io, struct io_op *op)
{
    (void)io;
    struct rest *rest = io_owner(op, struct rest, send);
    if (op->result > 0) tls_output_taken(rest->tls, (uint32_t)op->result);
    if (rest->state == REST_CLOSING)
        rest_settle(rest);
    else if (op->result <= 0)
        rest_end(rest, "sending failed: %s", strerror((int)-op->result));
    else
        rest_flush(rest);
}

static void rest_ask(struct rest *rest)
{
    char path[URL_PATH_BYTES_MAX + REST_PATH_BYTES_MAX + 1];
    uint8_t request[2048];
    (void)snprintf(path, sizeof path, "%s%s", rest->url->path, rest->path);
    const char *const extra[] = {"Accept: application/json", rest->header};
    const struct http_request what = {.method = "GET",
                                      .host = rest->url->authority,
                                      .target = path,
                                      .extra = extra,
                                      .extra_count = rest->header != NULL ? 2 : 1,
                                      .close = true};
    uint32_t size = http_request_format(&what, (char *)request, sizeof request);
    ensure(size > 0);
    http_parser_init(&rest->http, HTTP_RESPONSE, rest->head, sizeof rest->head);
    rest->state = REST_WAITING;
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
    if (rest->http.status == 200) {
        rest_end(rest, NULL);
        return;
    }
    int size = rest->body_size < 200 ? (int)rest->body_size : 200;
    rest_end(rest, "the answer is %u: %.*s", rest->http.status, size, (const char *)rest->body);
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
            rest_end(rest, "the answer is not HTTP: %s; check rest_url", http_result_text(result));
        }
    }
}

static void rest_plain(struct rest *rest, uint32_t size)
{
    if (rest->state == REST_WAITING)
        rest_parse(rest, (const char *)rest->plain, (const char *)rest->plain + size);
    else
        rest_end(rest, "the peer speaks before it is asked; check rest_url");
}

// The peer has closed: that may be the end of the body.
static void rest_input_end(struct rest *rest)
{
    if (rest->state == REST_WAITING && http_parse_end(&rest->http) == HTTP_DONE)
        rest_whole(rest);
    else
        rest_end(rest, "the connection was closed before the answer was whole");
}

static void rest_decrypt(struct rest *rest, const uint8_t *data, size_t size)
{
    tls_feed(rest->tls, data, size);
    while (rest->state != REST_CLOSING && rest->state != REST_IDLE) {
        int32_t result = tls_read(rest->tls, rest->plain, sizeof rest->plain);
        if (result > 0)
            rest_plain(rest, (uint32_t)result);
        else if (result == TLS_WANT_INPUT)
            break;
        else if (result == TLS_CLOSED)
            rest_input_end(rest);
        else
            rest_end(rest, "%s", tls_failure(rest->tls)->text);
    }
    if (rest->state == REST_HANDSHAKING && tls_established(rest->tls)) rest_ask(rest);
    if (rest->state != REST_CLOSING && rest->state != REST_IDLE) rest_flush(rest);
}

static void rest_received(struct io *io, struct io_op *op)
{
    (void)io;
    struct rest *rest = io_owner(op, struct rest, receive);
    if (rest->state == REST_CLOSING) {
        if (!op->more) rest_settle(rest);
    } else if (op->result > 0) {
        rest_decrypt(rest, op->data, (size_t)op->result);
    } else if (op->result == 0) {
        rest_input_end(rest);
    } else {
        rest_end(rest, "receiving failed: %s", strerror((int)-op->result));
    }
}

// ---- coming up ----

static void rest_connected(struct io *io, struct io_op *op)
{
    struct rest *rest = io_owner(op, struct rest, attempt);
    if (op->result >= 0) rest->handle = (int)op->result;
    if (rest->state == REST_CLOSING) {
        rest_settle(rest);
        return;
    }
    if (op->result < 0) {
        rest_end(rest, "cannot connect: %s; check rest_url, network and firewall",
                 strerror((int)-op->result));
        return;
    }
    rest->state = REST_HANDSHAKING;
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
    struct rest *rest = io_owner(op, struct rest, attempt);
    if (rest->state == REST_CLOSING) {
        rest_settle(rest);
    } else if (op->result <= 0) {
        rest_end(rest, "the name %s was not found; check rest_url and resolver", rest->url->host);
    } else {
        rest->state = REST_CONNECTING;
        io_connect(io, &rest->attempt, &rest->addresses[0], rest_connected);
    }
}

void rest_get(struct rest *rest, const struct url *url, const char *path, rest_callback *done,
              void *context)
{
    ensure(rest->state == REST_IDLE && io_idle(&rest->timer));
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
    rest->state = REST_RESOLVING;
    io_timeout(rest->io, &rest->timer, REST_LIMIT_NS, rest_timed_out);
    io_resolve(rest->io, &rest->attempt, url->host, url->port, rest->addresses, rest_resolved);
}

void rest_cancel(struct rest *rest)
{
    if (rest->state != REST_IDLE && rest->state != REST_CLOSING) rest_end(rest, "cancelled");
}
