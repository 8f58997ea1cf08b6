// SPDX-License-Identifier: GPL-3.0-or-later
//
// link: the states of one connection.
//
//     IDLE ──────────────── no permit ──→ BACKOFF
//      │ link_start → link_begin (a permit)
//      ↓
//     RESOLVING ────────── link_fail ──┐
//      │ link_resolved                 │
//      ↓                               │
//     CONNECTING ───────── link_fail ──┤   each address in turn: CONNECTING again
//      │ link_connected_done           │
//      ↓                               │
//     HANDSHAKING ──────── link_fail ──┤
//      │ link_upgrade (TLS stands)     │
//      ↓                               │
//     UPGRADING ────────── link_fail ──┤
//      │ link_upgraded                 │
//      ↓                               │
//     SUBSCRIBING ───────── link_fail ─┤   link_stop → UNSUBSCRIBING
//      │ link_enter_live               │
//      ↓                               │
//     LIVE ──────────────── link_fail ─┤
//      │ link_stop                     │
//      ↓                               ↓                  stopping or retired
//     UNSUBSCRIBING ─── fail, _drain → DRAINING ── link_settle ──→ IDLE
//                                      │ link_settle                 ↑
//                                      ↓                             │ link_stop, link_retire
//                                     BACKOFF ───────────────────────┘ (by way of DRAINING)
//                                      │ link_begin (pause over, a permit; none: BACKOFF again)
//                                      └──→ RESOLVING
//
// In flight:  RESOLVING, CONNECTING: attempt. HANDSHAKING ... UNSUBSCRIBING: receive (for as long
// as the connection stands), send at times. DRAINING: whatever is left; when nothing is, attempt
// closes the handle. BACKOFF: timer alone. IDLE: nothing. The timer runs in every state but IDLE:
// it fires at the state's deadline or at the next thing to do, and link_advance() does what is due.
//
// Every callback of a DRAINING link ends in link_settle(), which moves on when the last op is
// over. A link never waits for its peer without a deadline.
#include "capture/link.h"

#include "base/transition.h"
#include "capture/link_steps.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// A request of the largest size fits behind a handshake flight.
#define LINK_OUTPUT_SIZE (DIALECT_REQUEST_BYTES_MAX + TLS_OUTPUT_SIZE_MIN)
#define LINK_MESSAGE_SIZE (LIMIT_MESSAGE_BYTES + 4096) // padding, rounded to pages
_Static_assert(LINK_MESSAGE_SIZE >= LIMIT_MESSAGE_BYTES + WEBSOCKET_PADDING, "padding");
_Static_assert(HTTP_HEAD_SIZE <= LIMIT_MESSAGE_KEEP_BYTES, "the head lies in what stays resident");

// ---- life ----

int link_shared_open(struct link_shared *shared)
{
    shared->plain = calloc(1, TLS_READ_SIZE + WEBSOCKET_PADDING);
    shared->frame = malloc(DIALECT_REQUEST_BYTES_MAX + WEBSOCKET_HEADER_SIZE_MAX);
    shared->request = malloc(DIALECT_REQUEST_BYTES_MAX);
    if (shared->plain == NULL || shared->frame == NULL || shared->request == NULL) {
        link_shared_close(shared);
        return -ENOMEM;
    }
    shared->utc_offset_ns = io_utc_ns(shared->io) - io_monotonic_ns(shared->io);
    shared->clock_steps = io_counters(shared->io).clock_steps;
    return 0;
}

void link_shared_close(struct link_shared *shared)
{
    free(shared->plain);
    free(shared->frame);
    free(shared->request);
    shared->plain = NULL;
    shared->frame = NULL;
    shared->request = NULL;
}

// Every link hears of a step with its next receipt; the first look takes it.
void link_shared_clock(struct link_shared *shared, uint32_t link)
{
    uint64_t steps = io_counters(shared->io).clock_steps;
    int64_t offset_ns = io_utc_ns(shared->io) - io_monotonic_ns(shared->io);
    int64_t forward_ns = offset_ns - shared->utc_offset_ns;
    shared->utc_offset_ns = offset_ns;
    shared->intake->utc_offset_ns = offset_ns;
    if (steps == shared->clock_steps) return;
    shared->clock_steps = steps;
    bool forward = forward_ns > 0;
    int64_t now_ns = io_utc_ns(shared->io);
    intake_status(shared->intake, now_ns,
                  &(struct intake_status){.kind = STATUS_CLOCK_STEP,
                                          .link = link,
                                          .symbol = SYMBOL_NONE,
                                          .count = forward ? forward_ns : INTAKE_NO_COUNT,
                                          .detail = forward ? "forward" : "back"});
    log_write(shared->log, LOG_CLOCK_STEPPED, now_ns, "direction=%s",
              forward ? "forward" : "back");
}

int link_open(struct link *link, struct link_shared *shared, const struct link_feed *feed,
              const struct link_streams *streams, uint32_t number)
{
    ensure(streams->count > 0 && streams->count <= feed->dialect->streams_max);
    ensure((feed->tls != NULL) == feed->url.tls);
    memset(link, 0, sizeof *link);
    link->handle = -1;
    // Pages are given as they are touched, so a thousand links of small messages stay small.
    void *message = mmap(NULL, LINK_MESSAGE_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (message == MAP_FAILED) return -ENOMEM;
    link->tls = tls_create(feed->tls, LINK_OUTPUT_SIZE);
    if (link->tls == NULL) {
        (void)munmap(message, LINK_MESSAGE_SIZE);
        return -ENOMEM;
    }
    link->own = calloc(2u * feed->dialect->streams_max, sizeof *link->own);
    if (link->own == NULL) {
        tls_destroy(link->tls);
        (void)munmap(message, LINK_MESSAGE_SIZE);
        return -ENOMEM;
    }
    link->dropped = link->own + feed->dialect->streams_max;
    memcpy(link->own, streams->streams, streams->count * sizeof *link->own);
    link->message = message;
    link->shared = shared;
    link->feed = feed;
    link->streams = *streams;
    link->streams.streams = link->own;
    link->number = number;
    ensure(streams->copy < LIMIT_REDUNDANCY);
    link->arbiter = (struct arbiter_link){.number = number + 1, .copy = (uint8_t)streams->copy};
    link->source = (struct intake_source){feed->dialect, &feed->context, number, feed->keep_raw,
                                          &link->arbiter};
    websocket_init(&link->websocket, WEBSOCKET_CLIENT, link->message, LIMIT_MESSAGE_BYTES);
    link_check(link);
    return 0;
}

void link_close(struct link *link)
{
    link_check(link);
    ensure(link->state == LINK_IDLE);
    tls_destroy(link->tls);
    free(link->own);
    (void)munmap(link->message, LINK_MESSAGE_SIZE);
    link->tls = NULL;
    link->message = NULL;
}

const char *link_state_name(enum link_state state)
{
    static const char *const names[] = {"idle",      "resolving",   "connecting",
                                        "handshaking", "upgrading", "subscribing",
                                        "live",      "unsubscribing", "draining", "backoff"};
    ensure(state <= LINK_BACKOFF);
    return names[state];
}

bool link_connected(const struct link *link)
{
    return link->state >= LINK_HANDSHAKING && link->state <= LINK_UNSUBSCRIBING;
}

bool link_leaving(const struct link *link)
{
    return link->state == LINK_UNSUBSCRIBING || link->state == LINK_DRAINING;
}

void link_check(const struct link *link)
{
    bool attempting = !io_idle(&link->attempt);
    bool using_handle = !io_idle(&link->receive) || !io_idle(&link->send);
    ensure(link->shared != NULL && link->feed != NULL && link->tls != NULL);
    ensure(!using_handle || link->handle >= 0);
    switch (link->state) {
    case LINK_IDLE:
        ensure(!attempting && !using_handle && link->handle < 0 && io_idle(&link->timer));
        return;
    case LINK_RESOLVING:
    case LINK_CONNECTING: ensure(attempting && link->handle < 0); return;
    case LINK_HANDSHAKING:
    case LINK_UPGRADING:
    case LINK_SUBSCRIBING:
    case LINK_LIVE:
    case LINK_UNSUBSCRIBING: ensure(!attempting && link->handle >= 0); return;
    case LINK_DRAINING: return;
    case LINK_BACKOFF: ensure(!attempting && !using_handle && link->handle < 0); return;
    }
    ensure(link->state <= LINK_BACKOFF);
}

// ---- timer ----

static void link_timer_done(struct io *io, struct io_op *op);

static void link_timer_start(struct link *link)
{
    int64_t now_ns = io_monotonic_ns(link->shared->io);
    int64_t after_ns = link->deadline_ns > now_ns ? link->deadline_ns - now_ns : 0;
    link->armed_ns = link->deadline_ns;
    io_timeout(link->shared->io, &link->timer, after_ns, link_timer_done);
}

// A later deadline lets the timer fire early once; only an earlier one is worth a cancellation.
static void link_arm(struct link *link, int64_t deadline_ns)
{
    ensure(link->state != LINK_IDLE);
    link->deadline_ns = deadline_ns;
    if (io_idle(&link->timer))
        link_timer_start(link);
    else if (deadline_ns < link->armed_ns)
        io_cancel(link->shared->io, &link->timer);
}

void link_wake_by(struct link *link, int64_t deadline_ns)
{
    if (deadline_ns < link->deadline_ns) link_arm(link, deadline_ns);
}

static void link_arm_after(struct link *link, int64_t after_ns)
{
    link_arm(link, io_monotonic_ns(link->shared->io) + after_ns);
}

static void link_set_state(struct link *link, enum link_state state)
{
    transition(TRANSITION_LINK, link->state, state);
    link->state = state;
}

void link_enter(struct link *link, enum link_state state, int64_t limit_ns)
{
    log_write(link->shared->log, LOG_LINK_STATE, io_utc_ns(link->shared->io),
              "link=%u from=%s to=%s", link->number, link_state_name(link->state),
              link_state_name(state));
    link_set_state(link, state);
    link_arm_after(link, limit_ns);
}

// ---- telling ----

void link_status(struct link *link, enum status_kind kind, int64_t count, const char *detail)
{
    intake_status(link->shared->intake, io_utc_ns(link->shared->io),
                  &(struct intake_status){.kind = kind,
                                          .link = link->number,
                                          .symbol = SYMBOL_NONE,
                                          .count = count,
                                          .detail = detail});
}

void link_hear_news(struct link *link, enum link_news news)
{
    link->shared->hear(link->shared->hear_context, link, news);
}

// ---- going down ----

// What the link was worth beside its siblings.
static const char *link_merit(struct link *link)
{
    (void)snprintf(link->merit, sizeof link->merit, "first=%llu second=%llu lost=%llu",
                   (unsigned long long)link->arbiter.first,
                   (unsigned long long)link->arbiter.second,
                   (unsigned long long)link->arbiter.lost);
    return link->merit;
}

// Of a link that goes because it was told to.
static void link_left(struct link *link)
{
    if (link->announced) {
        char detail[LIMIT_CAUSE_BYTES + 96];
        (void)snprintf(detail, sizeof detail, "%s %s: %s; %s", link->feed->dialect->name,
                       link->address_text, link->retired ? "renewed" : "stopped",
                       link_merit(link));
        link_status(link, STATUS_LINK_DOWN, INTAKE_NO_COUNT, detail);
        link->announced = false;
    }
    link_enter(link, LINK_DRAINING, LINK_DRAIN_NS);
}

void link_fail(struct link *link, enum status_kind status, const char *format, ...)
{
    ensure(link->state != LINK_IDLE && link->state != LINK_BACKOFF);
    if (link->state == LINK_UNSUBSCRIBING) link_left(link);
    if (link->state == LINK_DRAINING) { // on the way out already: no second cause
        link_hang_up(link);
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(link->cause, sizeof link->cause, format, arguments);
    va_end(arguments);
    char detail[LIMIT_CAUSE_BYTES + 224];
    (void)snprintf(detail, sizeof detail, "%s %s: while %s: %s; %s", link->feed->dialect->name,
                   link->address_text, link_state_name(link->state), link->cause,
                   link_merit(link));
    link_status(link, status, INTAKE_NO_COUNT, detail);
    log_write(link->shared->log, LOG_LINK_DOWN, io_utc_ns(link->shared->io),
              "link=%u exchange=%s host=%s address=%s state=%s cause=\"%s\" "
              "first=%llu second=%llu lost=%llu",
              link->number, link->feed->dialect->name, link->feed->url.host, link->address_text,
              link_state_name(link->state), link->cause, (unsigned long long)link->arbiter.first,
              (unsigned long long)link->arbiter.second, (unsigned long long)link->arbiter.lost);
    int64_t live_ns = io_monotonic_ns(link->shared->io) - link->live_ns;
    if (link->state == LINK_LIVE && live_ns >= LINK_STEADY_NS) link->failures = 0;
    if (link->failures < UINT8_MAX) link->failures++;
    link->shared->counters.downs++;
    link->figures.downs++;
    link->announced = false;
    link_enter(link, LINK_DRAINING, LINK_DRAIN_NS);
    link_hear_news(link, LINK_NEWS_DOWN);
    link_hang_up(link);
}

void link_drain(struct link *link)
{
    ensure(link_connected(link));
    bool spoke = link->state >= LINK_SUBSCRIBING;
    link_left(link);
    if (!spoke) {
        link_hang_up(link);
        return;
    }
    link_send_close(link, 1000);
    link_flush(link);
}

void link_hang_up(struct link *link)
{
    ensure(link->state == LINK_DRAINING);
    struct io *io = link->shared->io;
    // io_cancel() leaves idle ops alone; each of the others has a last callback to come. What is
    // being sent (a goodbye) has until the deadline, unless this is the second call.
    if (link->hanging_up) io_cancel(io, &link->send);
    link->hanging_up = true;
    io_cancel(io, &link->attempt);
    io_cancel(io, &link->receive);
    if (!io_idle(&link->send)) link_arm_after(link, LINK_DRAIN_NS);
    link_settle(link);
}

static void link_closed_done(struct io *io, struct io_op *op)
{
    (void)io;
    // A failed close leaves nothing that could be done about it.
    link_settle(io_owner(op, struct link, attempt));
}

static int64_t link_pause_ns(struct link *link)
{
    uint32_t shift = link->failures < 9 ? link->failures - 1u : 8u;
    ensure(link->failures > 0);
    int64_t pause_ns = LINK_PAUSE_MIN_NS << shift;
    if (pause_ns > LINK_PAUSE_MAX_NS) pause_ns = LINK_PAUSE_MAX_NS;
    uint64_t random;
    io_random(link->shared->io, &random, sizeof random);
    pause_ns = pause_ns / 2 + (int64_t)(random % (uint64_t)(pause_ns / 2 + 1));
    int64_t asked_ns = link->retry_after_ns;
    link->retry_after_ns = 0;
    return asked_ns > pause_ns ? asked_ns : pause_ns;
}

static void link_release_message(struct link *link)
{
    (void)madvise(link->message + LIMIT_MESSAGE_KEEP_BYTES,
                  LINK_MESSAGE_SIZE - LIMIT_MESSAGE_KEEP_BYTES, MADV_DONTNEED);
}

void link_settle(struct link *link)
{
    ensure(link->state == LINK_DRAINING);
    if (!link->hanging_up || !io_idle(&link->attempt) || !io_idle(&link->receive) ||
        !io_idle(&link->send))
        return;
    if (link->handle >= 0) {
        io_close(link->shared->io, &link->attempt, link->handle, link_closed_done);
        link->handle = -1;
        return;
    }
    if (!link->stopping && !link->retired) {
        link_release_message(link);
        link_enter(link, LINK_BACKOFF, link_pause_ns(link));
        link_check(link);
        return;
    }
    if (!io_idle(&link->timer)) {
        io_cancel(link->shared->io, &link->timer);
        return;
    }
    link_set_state(link, LINK_IDLE);
    link_check(link);
    link_hear_news(link, LINK_NEWS_ENDED);
}

// ---- time ----

static bool link_silent(struct link *link, int64_t now_ns)
{
    if (now_ns < link->idle_check_ns) return false;
    int64_t limit_ns = link->feed->dialect->idle_limit_ns;
    link->idle_check_ns = now_ns + limit_ns / LINK_SILENT_CHECKS_MAX;
    link->silent_checks = link->heard ? 0 : (uint8_t)(link->silent_checks + 1);
    link->heard = false;
    if (link->silent_checks < LINK_SILENT_CHECKS_MAX) return false;
    link->arbiter.mute_ns =
        io_utc_ns(link->shared->io) - limit_ns - limit_ns / LINK_SILENT_CHECKS_MAX;
    link_fail(link, STATUS_LINK_DOWN, "nothing was heard for %lld s",
              (long long)(limit_ns / LIMIT_SECOND_NS));
    return true;
}

// What is due of an upgraded link, and when the next thing will be.
static void link_work(struct link *link, int64_t now_ns)
{
    if (link_silent(link, now_ns)) return;
    int64_t talk_ns = link_talk(link, now_ns);
    if (link->state != LINK_SUBSCRIBING && link->state != LINK_LIVE) return; // the write failed
    if (link->state == LINK_SUBSCRIBING && link_all_requested(link)) {
        if (link->settle_ns == INT64_MAX) link->settle_ns = now_ns + LINK_SETTLE_NS;
        if (now_ns >= link->settle_ns) {
            link_enter_live(link);
            return;
        }
    }
    if (now_ns >= link->renew_ns) {
        link->renew_ns = INT64_MAX;
        link_want_renewal(link);
    }
    int64_t next_ns = talk_ns;
    if (link->idle_check_ns < next_ns) next_ns = link->idle_check_ns;
    if (link->settle_ns < next_ns && link->state == LINK_SUBSCRIBING) next_ns = link->settle_ns;
    if (link->renew_ns < next_ns) next_ns = link->renew_ns;
    // Quiet links wake their shard together: being woken costs more than what they have to do.
    if (link->state == LINK_LIVE && next_ns - now_ns > LINK_TOGETHER_NS && next_ns < INT64_MAX / 2)
        next_ns = (next_ns / LINK_TOGETHER_NS + 1) * LINK_TOGETHER_NS;
    // A timer always runs, so that an exchange without limits is not special.
    if (next_ns > now_ns + LIMIT_HOUR_NS) next_ns = now_ns + LIMIT_HOUR_NS;
    link_arm(link, next_ns);
}

static void link_unsubscribe(struct link *link)
{
    ensure(link->state == LINK_SUBSCRIBING || link->state == LINK_LIVE);
    if (link->feed->dialect->unsubscribe == NULL || link->subscribe_position == 0) {
        link_drain(link);
        return;
    }
    link->unsubscribe_position = 0;
    link->leave_ns = io_monotonic_ns(link->shared->io) + LINK_UNSUBSCRIBE_NS;
    link_enter(link, LINK_UNSUBSCRIBING, 0); // link_advance() does the rest
}

static void link_unsubscribe_on(struct link *link, int64_t now_ns)
{
    int64_t next_ns = now_ns < link->leave_ns ? link_take_back(link, now_ns) : INT64_MAX;
    if (link->state != LINK_UNSUBSCRIBING) return; // the write failed
    if (next_ns == INT64_MAX)
        link_drain(link);
    else
        link_arm(link, next_ns < link->leave_ns ? next_ns : link->leave_ns);
}

// Does what is due: the deadline of the state has come.
static void link_advance(struct link *link, int64_t now_ns)
{
    switch (link->state) {
    case LINK_IDLE: return;
    case LINK_RESOLVING:
        link_fail(link, STATUS_LINK_DOWN, "the name service does not answer; check the resolver");
        return;
    case LINK_CONNECTING:
        io_cancel(link->shared->io, &link->attempt); // link_connected_done() tries the next address
        link_arm(link, now_ns + LINK_STEP_NS);
        return;
    case LINK_HANDSHAKING:
        link_fail(link, STATUS_LINK_DOWN, "the TLS handshake takes too long; is it a TLS port?");
        return;
    case LINK_UPGRADING:
        link_fail(link, STATUS_LINK_DOWN, "no answer to the WebSocket request; check url");
        return;
    case LINK_SUBSCRIBING:
    case LINK_LIVE: link_work(link, now_ns); return;
    case LINK_UNSUBSCRIBING: link_unsubscribe_on(link, now_ns); return;
    case LINK_DRAINING:
        link->hanging_up = true; // the goodbye had its time
        link_hang_up(link);
        return;
    case LINK_BACKOFF: link_begin(link); return;
    }
}

static void link_timer_done(struct io *io, struct io_op *op)
{
    struct link *link = io_owner(op, struct link, timer);
    link_check(link);
    if (link->state == LINK_DRAINING && link->hanging_up) {
        if (io_monotonic_ns(io) >= link->deadline_ns) io_cancel(io, &link->send);
        link_settle(link);
        return;
    }
    int64_t now_ns = io_monotonic_ns(io);
    if (now_ns >= link->deadline_ns)
        link_advance(link, now_ns);
    else
        link_timer_start(link);
}

// ---- start and stop ----

void link_start(struct link *link)
{
    link_check(link);
    ensure(link->state == LINK_IDLE);
    link->stopping = false;
    link->retired = false;
    link->failures = 0;
    link_begin(link);
}

void link_reject(struct link *link, const char *format, ...)
{
    char cause[LIMIT_CAUSE_BYTES + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(cause, sizeof cause, format, arguments);
    va_end(arguments);
    if (link->state == LINK_SUBSCRIBING || link->state == LINK_LIVE)
        link_fail(link, STATUS_LINK_DOWN, "%s", cause);
    link_check(link);
}

static void link_leave(struct link *link)
{
    if (link->state == LINK_SUBSCRIBING || link->state == LINK_LIVE) {
        link_unsubscribe(link);
    } else if (link->state == LINK_HANDSHAKING || link->state == LINK_UPGRADING) {
        link_drain(link);
    } else if (link->state == LINK_RESOLVING || link->state == LINK_CONNECTING) {
        link_enter(link, LINK_DRAINING, LINK_DRAIN_NS);
        link_hang_up(link);
    } else if (link->state == LINK_BACKOFF) {
        link_set_state(link, LINK_DRAINING);
        link_hang_up(link);
    }
}

void link_stop(struct link *link)
{
    link_check(link);
    link->stopping = true;
    link_leave(link);
}

void link_retire(struct link *link)
{
    link_check(link);
    link->retired = true;
    if (link->state == LINK_BACKOFF) link_leave(link);
}
