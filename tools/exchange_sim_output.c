// SPDX-License-Identifier: GPL-3.0-or-later
//
// Output. Frames are joined in `staged` and go from there, encrypted, into the output of `tls`,
// whence one send at a time takes them. Without packing, each frame is one record. A reserve of the
// output stays free for what the protocol itself has to say (handshake, pongs, close). What finds
// no room waits in the backlog, and everything behind it, too.
#include "tools/exchange_sim_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_hooks.h"

#define SECOND_NS ((int64_t)1000000000)

enum {
    OUTPUT_RESERVE = 65536,
    RECORD_OVERHEAD = 64,
    BACKLOG_START = 1 << 16,
    CROWDED_SECONDS = 1,         // in which a client that is far behind
    CROWDED_BYTES_MIN = 1 << 20, // must take this much
};

void exchange_sim_connection_write(struct exchange_sim_connection *c, const uint8_t *bytes,
                                   uint32_t size)
{
    while (size > 0) {
        uint32_t const part = size < TLS_RECORD_SIZE_MAX ? size : TLS_RECORD_SIZE_MAX;
        int32_t const result = c->broken || c->left ? TLS_CLOSED : tls_write(c->tls, bytes, part);
        if (result != (int32_t)part) {
            // Ended by the next flush: whoever is here may be going through subscribers.
            c->left = c->left || (!c->broken && result == TLS_CLOSED);
            c->broken = c->broken || result != TLS_CLOSED;
            return;
        }
        bytes += part;
        size -= part;
    }
}

static void staged_write(struct exchange_sim_connection *c)
{
    uint32_t const size = c->staged_size;
    c->staged_size = 0;
    exchange_sim_connection_write(c, c->staged, size);
}

// As much of the REST body as there is room for; in chunks where it was promised so.
static void body_write(struct exchange_sim_connection *c)
{
    while (c->body != NULL && tls_output_space(c->tls) > OUTPUT_RESERVE) {
        uint32_t const left = c->body_size - c->body_sent;
        uint32_t const part = left < TLS_RECORD_SIZE_MAX / 2 ? left : TLS_RECORD_SIZE_MAX / 2;
        char frame[16];
        if (c->body_chunked) {
            int const size = snprintf(frame, sizeof frame, "%x\r\n", part);
            exchange_sim_connection_write(c, (const uint8_t *)frame, (uint32_t)size);
        }
        exchange_sim_connection_write(c, (const uint8_t *)c->body + c->body_sent, part);
        if (c->body_chunked)
            exchange_sim_connection_write(c, (const uint8_t *)"\r\n", 2);
        c->body_sent += part;
        if (c->body_sent < c->body_size)
            continue;
        if (c->body_chunked)
            exchange_sim_connection_write(c, (const uint8_t *)"0\r\n\r\n", 5);
        free(c->body);
        c->body = NULL;
    }
}

// ---- backlog ----

// Room for `size` bytes at its end; NULL where it is full: the connection is overrun then.
static uint8_t *backlog_room(struct exchange_sim_connection *c, size_t size)
{
    struct exchange_sim_backlog *backlog = &c->backlog;
    if (c->overrun || backlog->size + size > c->server->options.backlog_bytes) {
        c->overrun = true;
        return NULL;
    }
    if (backlog->head > 0 && backlog->head + backlog->size + size > backlog->capacity) {
        memmove(backlog->bytes, backlog->bytes + backlog->head, backlog->size);
        backlog->head = 0;
    }
    if (backlog->size + size > backlog->capacity) {
        size_t capacity = backlog->capacity == 0 ? BACKLOG_START : backlog->capacity * 2;
        while (capacity < backlog->size + size)
            capacity *= 2;
        uint8_t *bytes = realloc(backlog->bytes, capacity);
        if (bytes == NULL) {
            c->overrun = true;
            return NULL;
        }
        backlog->bytes = bytes;
        backlog->capacity = capacity;
    }
    uint8_t *at = backlog->bytes + backlog->head + backlog->size;
    backlog->size += size;
    if (backlog->size > c->server->counters.backlog_max)
        c->server->counters.backlog_max = backlog->size;
    return at;
}

static void backlog_drop(struct exchange_sim_backlog *backlog)
{
    uint64_t const drained = backlog->drained;
    free(backlog->bytes);
    *backlog = (struct exchange_sim_backlog){.drained = drained};
}

static void backlog_write(struct exchange_sim_connection *c)
{
    struct exchange_sim_backlog *backlog = &c->backlog;
    while (backlog->size > 0 && !c->broken && !c->left &&
           tls_output_space(c->tls) > OUTPUT_RESERVE + TLS_RECORD_SIZE_MAX + RECORD_OVERHEAD) {
        uint32_t const part =
            backlog->size < TLS_RECORD_SIZE_MAX ? (uint32_t)backlog->size : TLS_RECORD_SIZE_MAX;
        exchange_sim_connection_write(c, backlog->bytes + backlog->head, part);
        backlog->head += part;
        backlog->size -= part;
        backlog->drained += part;
    }
    if (backlog->size == 0 && backlog->bytes != NULL)
        backlog_drop(backlog);
}

bool exchange_sim_connection_crowded(struct exchange_sim_connection *c)
{
    ensure(c->server->options.backlog_bytes > 0);
    int64_t const now_ns = c->server->now_ns;
    if (c->overrun || c->backlog.size < c->server->options.backlog_bytes / 2) {
        c->crowded_ns = 0;
        return false;
    }
    if (c->crowded_ns == 0) {
        c->crowded_ns = now_ns;
        c->crowded_drained = c->backlog.drained;
    }
    if (now_ns - c->crowded_ns < CROWDED_SECONDS * SECOND_NS)
        return true;
    c->overrun = c->backlog.drained - c->crowded_drained < CROWDED_BYTES_MIN;
    c->crowded_ns = 0;
    return !c->overrun;
}

// ---- sending ----

static void send_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct exchange_sim_connection *c = io_owner(op, struct exchange_sim_connection, send);
    if (c->state == EXCHANGE_SIM_CLOSING) {
        exchange_sim_connection_settle(c);
        return;
    }
    if (op->result < 0) {
        exchange_sim_connection_shut(c);
        return;
    }
    uint32_t const sent = (uint32_t)op->result;
    tls_output_taken(c->tls, sent);
    c->slow_left -= c->slow_left < sent ? c->slow_left : sent;
    if (c->cut_left > 0) {
        c->cut_left -= c->cut_left < sent ? c->cut_left : sent;
        if (c->cut_left == 0) {
            if (c->cut_reset)
                c->server->hooks->reset(c);
            exchange_sim_connection_shut(c);
            return;
        }
    }
    exchange_sim_connection_flush(c);
}

// How much may go now of what is in the output.
static uint32_t send_size(const struct exchange_sim_connection *c, uint32_t size)
{
    if (c->cut_left > 0 && size > c->cut_left)
        size = c->cut_left;
    if (c->slowed && size > c->slow_left)
        size = c->slow_left;
    return c->server->now_ns < c->quiet_until_ns ? 0 : size;
}

static void output_fill(struct exchange_sim_connection *c)
{
    if (c->staged_size > 0)
        staged_write(c);
    if (c->backlog.size > 0)
        backlog_write(c);
    body_write(c);
}

static bool connection_hopeless(struct exchange_sim_connection *c)
{
    if (!c->overrun && !c->broken && !c->left)
        return false;
    c->server->counters.overruns += c->overrun;
    c->server->counters.failed += c->broken;
    c->ended_by = c->overrun ? "slow" : c->ended_by;
    exchange_sim_connection_shut(c);
    return true;
}

void exchange_sim_connection_flush(struct exchange_sim_connection *c)
{
    if (c->state == EXCHANGE_SIM_FREE || c->state == EXCHANGE_SIM_CLOSING)
        return;
    if (c->cut_left == 0)
        output_fill(c);
    if (connection_hopeless(c) || !io_idle(&c->send))
        return;
    const uint8_t *data;
    uint32_t size;
    tls_output(c->tls, &data, &size);
    bool const over = c->state == EXCHANGE_SIM_DRAINING && c->body == NULL && c->backlog.size == 0;
    if (size == 0 && over && !c->farewell) {
        c->farewell = true;
        tls_close(c->tls);
        tls_output(c->tls, &data, &size);
    }
    if (size == 0 && over) {
        exchange_sim_connection_shut(c);
        return;
    }
    size = send_size(c, size);
    if (size > 0)
        io_send(c->server->io, &c->send, c->handle, data, size, send_done);
}

void exchange_sim_output_drop(struct exchange_sim_connection *c)
{
    free(c->body);
    c->body = NULL;
    c->staged_size = 0;
    backlog_drop(&c->backlog);
}

int64_t exchange_sim_connection_unsent(const struct exchange_sim_connection *c)
{
    const uint8_t *data;
    uint32_t size;
    tls_output(c->tls, &data, &size);
    return (int64_t)size + c->staged_size + (int64_t)c->backlog.size;
}

// ---- frames ----

static bool output_room(const struct exchange_sim_connection *c, uint32_t size)
{
    uint32_t const staged = c->staged_size + size;
    uint32_t const records = staged / TLS_RECORD_SIZE_MAX + 2;
    return tls_output_space(c->tls) > OUTPUT_RESERVE + staged + records * RECORD_OVERHEAD;
}

bool exchange_sim_connection_ready(struct exchange_sim_connection *c, uint32_t size)
{
    if (c->state != EXCHANGE_SIM_STREAMING)
        return true; // it is leaving: takes everything, sends nothing
    return c->backlog.size == 0 && output_room(c, size * 3 + 1024);
}

void exchange_sim_connection_event(struct exchange_sim_connection *c, const char *name,
                                   const uint8_t *payload, uint32_t size)
{
    if (c->state != EXCHANGE_SIM_STREAMING)
        return;
    if (c->exchange == EXCHANGE_SIM_UPBIT)
        exchange_sim_upbit_event(c, name, payload, size);
    else
        exchange_sim_binance_event(c, name, payload, size);
}

// Where a frame of that size is to be written; NULL: it goes nowhere.
static uint8_t *frame_room(struct exchange_sim_connection *c, uint32_t size)
{
    ensure(size <= EXCHANGE_SIM_STAGED_SIZE);
    if (c->backlog.size > 0 || !output_room(c, size))
        return backlog_room(c, size);
    if (c->staged_size + size > TLS_RECORD_SIZE_MAX)
        staged_write(c);
    uint8_t *at = c->staged + c->staged_size;
    c->staged_size += size;
    return at;
}

void exchange_sim_connection_frame(struct exchange_sim_connection *c, enum websocket_opcode opcode,
                                   const struct exchange_sim_part *parts, uint32_t count)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += parts[i].size;
    uint32_t const whole = websocket_frame_size(size, false);
    uint8_t *at = c->muted ? NULL : frame_room(c, whole);
    if (at == NULL)
        return;
    const uint8_t *const end = at + whole;
    at += websocket_encode_header(at, opcode, true, size, NULL);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(at, parts[i].bytes, parts[i].size);
        at += parts[i].size;
    }
    ensure(at == end);
    if (!c->server->options.packed && c->staged_size > 0)
        staged_write(c);
}

void exchange_sim_connection_close(struct exchange_sim_connection *c, uint16_t code,
                                   const char *reason)
{
    uint8_t frame[WEBSOCKET_CONTROL_SIZE_MAX + WEBSOCKET_HEADER_SIZE_MAX];
    if (c->state != EXCHANGE_SIM_STREAMING)
        return;
    uint32_t const size = websocket_encode_close(frame, sizeof frame, code, reason, NULL);
    ensure(size > 0);
    uint8_t *at = c->muted ? NULL : frame_room(c, size);
    if (at != NULL)
        memcpy(at, frame, size);
    exchange_sim_connection_drain(c);
}

void exchange_sim_connection_reply(struct exchange_sim_connection *c, uint16_t status,
                                   const char *body, uint32_t body_size, const char *const *extra,
                                   uint32_t extra_count)
{
    char head[2048];
    ensure(c->body == NULL);
    struct http_response const response = {
        .status = status,
        .content_type = "application/json;charset=UTF-8",
        .extra = extra,
        .extra_count = extra_count,
        .content_length = body_size,
        .chunked = body_size > EXCHANGE_SIM_REPLY_MAX,
    };
    uint32_t const size = http_response_format(&response, head, sizeof head);
    ensure(size > 0);
    exchange_sim_connection_write(c, (const uint8_t *)head, size);
    c->server->counters.rest++;
    if (body_size == 0)
        return;
    c->body = malloc(body_size);
    if (c->body == NULL) {
        exchange_sim_connection_drain(c);
        return;
    }
    memcpy(c->body, body, body_size);
    c->body_size = body_size;
    c->body_sent = 0;
    c->body_chunked = response.chunked;
}
