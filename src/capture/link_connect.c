// SPDX-License-Identifier: GPL-3.0-or-later
//
// link_connect: the way up of a link, from a permit to the last subscription; the states are drawn
// in link.c. Contract: one op, `attempt`, is in flight until the connection stands; each step
// either enters the next state or ends in link_fail().
#include "capture/link_steps.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void link_connect_next(struct link *link);

static void link_address_format(struct link *link)
{
    const struct io_address *address = &link->addresses[link->address_index];
    const uint8_t *b = address->bytes;
    char *out = link->address_text;
    size_t used = 0;
    if (!address->ipv6) {
        (void)snprintf(out, sizeof link->address_text, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3],
                       address->port);
        return;
    }
    for (int i = 0; i < 16; i += 2)
        used += (size_t)snprintf(out + used, sizeof link->address_text - used, "%s%x",
                                 i == 0 ? "[" : ":", (unsigned)(b[i] << 8 | b[i + 1]));
    (void)snprintf(out + used, sizeof link->address_text - used, "]:%u", address->port);
}

static void link_forget(struct link *link)
{
    link->hanging_up = false;
    link->renewing = false;
    link->heard = false;
    link->pong_wanted = false;
    link->silent_checks = 0;
    link->subscribe_position = 0;
    link->dropped_count = 0;
    link->requests_sent = 0;
    link->requests_answered = 0;
    link->message_after_ns = 0;
    link->renew_ns = INT64_MAX;
    link->settle_ns = INT64_MAX;
    link->ping_due_ns = INT64_MAX;
    link->idle_check_ns = INT64_MAX;
    link->address_text[0] = '\0';
}

// ---- which address ----

// The family that the resolver puts first stays first; within it the order is always the same,
// though many name servers turn the list with each answer.
static int link_address_compare(const struct io_address *a, const struct io_address *b,
                                bool ipv6_first)
{
    if (a->ipv6 != b->ipv6) return a->ipv6 == ipv6_first ? -1 : 1;
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static void link_addresses_sort(struct link *link)
{
    bool ipv6_first = link->addresses[0].ipv6;
    for (uint32_t i = 1; i < link->address_count; i++) {
        struct io_address address = link->addresses[i];
        uint32_t at = i;
        for (; at > 0 &&
               link_address_compare(&address, &link->addresses[at - 1], ipv6_first) < 0; at--)
            link->addresses[at] = link->addresses[at - 1];
        link->addresses[at] = address;
    }
}

// Copies of a subscription go to different addresses if there are any, and the links of a copy are
// spread over them. A link that failed begins elsewhere, past its siblings' places.
static void link_address_choose(struct link *link)
{
    const struct link_shared *shared = link->shared;
    uint32_t count = link->address_count;
    uint32_t step = count > LIMIT_REDUNDANCY ? LIMIT_REDUNDANCY : 1;
    uint32_t start = (link->streams.place + link->streams.copy + step * link->failures) % count;
    uint32_t least = UINT32_MAX;
    for (uint32_t n = 0; n < count; n++) {
        uint32_t at = (start + n) % count;
        uint32_t uses = shared->uses == NULL ? 0
                                             : shared->uses(shared->hear_context, link,
                                                            &link->addresses[at]);
        if (uses >= least) continue;
        least = uses;
        link->address_index = at;
    }
}

bool link_leads_to(const struct link *link, const struct io_address *address)
{
    if (link->state < LINK_CONNECTING || link->state > LINK_DRAINING ||
        link->address_text[0] == '\0')
        return false;
    const struct io_address *own = &link->addresses[link->address_index];
    return own->ipv6 == address->ipv6 &&
           memcmp(own->bytes, address->bytes, sizeof own->bytes) == 0;
}

static void link_resolved(struct io *io, struct io_op *op)
{
    (void)io;
    struct link *link = io_owner(op, struct link, attempt);
    if (link->state == LINK_DRAINING) {
        link_settle(link);
    } else if (op->result <= 0) {
        const char *why = op->result == 0 ? "no address" : strerror((int)-op->result);
        link_fail(link, STATUS_LINK_DOWN, "the name %s was not found: %s; check url and resolver",
                  link->feed->url.host, why);
    } else {
        link->address_count = (uint32_t)op->result;
        link->address_tried = 0;
        link_addresses_sort(link);
        link_address_choose(link);
        link_connect_next(link);
    }
}

void link_begin(struct link *link)
{
    struct io *io = link->shared->io;
    int64_t wait_ns = permits_take(link->shared->permits, link->feed->permit_kind, io_utc_ns(io));
    if (wait_ns > 0) {
        // All that wait would come at once; spread them a little.
        uint32_t random;
        io_random(io, &random, sizeof random);
        link_enter(link, LINK_BACKOFF, wait_ns + random % LIMIT_SECOND_NS);
        return;
    }
    link_forget(link);
    link_enter(link, LINK_RESOLVING, LINK_STEP_NS);
    io_resolve(io, &link->attempt, link->feed->url.host, link->feed->url.port, link->addresses,
               link_resolved);
    link_check(link);
}

static void link_connected_done(struct io *io, struct io_op *op);

static void link_connect_next(struct link *link)
{
    link->address_tried++;
    link_address_format(link);
    link->shared->counters.connects++;
    link_enter(link, LINK_CONNECTING, LINK_CONNECT_NS);
    io_connect(link->shared->io, &link->attempt, &link->addresses[link->address_index],
               link_connected_done);
    link_check(link);
}

static void link_connect_failed(struct link *link, int64_t result)
{
    uint32_t tries = link->address_count;
    if (tries > LINK_ADDRESSES_TRIED_MAX) tries = LINK_ADDRESSES_TRIED_MAX;
    if (link->address_tried < tries) {
        link->address_index = (link->address_index + 1) % link->address_count;
        link_connect_next(link);
        return;
    }
    const char *why = result == -ECANCELED ? "no answer in time" : strerror((int)-result);
    link_fail(link, STATUS_LINK_DOWN, "cannot connect: %s; check url, network and firewall", why);
}

static void link_handshake(struct link *link)
{
    link_enter(link, LINK_HANDSHAKING, LINK_STEP_NS);
    link_receive_start(link);
    enum tls_result result = tls_start(link->tls, link->feed->url.host);
    if (result != 0)
        link_fail(link, STATUS_LINK_DOWN, "%s", tls_failure(link->tls)->text);
    else if (tls_established(link->tls))
        link_upgrade(link);
    else
        link_flush(link);
}

static void link_connected_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct link *link = io_owner(op, struct link, attempt);
    // A connection that came just after it was given up is closed by link_settle().
    if (op->result >= 0) link->handle = (int)op->result;
    if (link->state == LINK_DRAINING)
        link_settle(link);
    else if (op->result < 0)
        link_connect_failed(link, op->result);
    else
        link_handshake(link);
}

void link_upgrade(struct link *link)
{
    ensure(link->state == LINK_HANDSHAKING && tls_established(link->tls));
    struct link_shared *shared = link->shared;
    const struct url *url = &link->feed->url;
    if (tls_resumed(link->tls)) shared->counters.resumed++;
    uint8_t random[16];
    io_random(shared->io, random, sizeof random);
    websocket_key(random, link->key);
    char path[URL_PATH_BYTES_MAX + 256];
    memcpy(path, url->path, strlen(url->path));
    uint32_t room = (uint32_t)(sizeof path - strlen(url->path));
    uint32_t path_size =
        link->feed->dialect->path(link->streams.group, path + strlen(url->path), room);
    ensure(path_size > 0 && path_size < room);
    uint32_t size = websocket_request_format(url->authority, path, link->key, NULL, 0,
                                             (char *)shared->frame, DIALECT_REQUEST_BYTES_MAX);
    ensure(size > 0);
    http_parser_init(&link->http, HTTP_RESPONSE, (char *)link->message, HTTP_HEAD_SIZE);
    link_enter(link, LINK_UPGRADING, LINK_STEP_NS);
    if (link_write(link, shared->frame, size)) link_flush(link);
}

static void link_ticket(struct link *link)
{
    uint8_t random[16];
    io_random(link->shared->io, random, sizeof random);
    random[6] = (uint8_t)(0x40 | (random[6] & 0x0f)); // RFC 9562, version 4
    random[8] = (uint8_t)(0x80 | (random[8] & 0x3f));
    char *out = link->ticket;
    for (int i = 0; i < 16; i++)
        out += snprintf(out, 4, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                        random[i]);
    ensure(out == link->ticket + sizeof link->ticket - 1);
}

void link_upgraded(struct link *link)
{
    ensure(link->state == LINK_UPGRADING);
    const struct dialect *dialect = link->feed->dialect;
    int64_t now_ns = io_monotonic_ns(link->shared->io);
    websocket_reset(&link->websocket);
    link_ticket(link);
    link->message_after_ns = now_ns;
    if (dialect->idle_limit_ns > 0)
        link->idle_check_ns = now_ns + dialect->idle_limit_ns / LINK_SILENT_CHECKS_MAX;
    if (dialect->ping_interval_ns > 0) link->ping_due_ns = now_ns + dialect->ping_interval_ns;
    link_enter(link, LINK_SUBSCRIBING, 0); // the first request goes out at once
}

void link_subscribed_by(struct link *link, bool reply)
{
    ensure(link->state == LINK_SUBSCRIBING);
    if (reply) link->requests_answered++;
    if (!link_all_requested(link)) return;
    // Exchanges that answer do so for each request; data is proof enough for those that do not.
    if (!reply && link->requests_answered > 0) return;
    if (reply && link->requests_answered < link->requests_sent) return;
    link_enter_live(link);
}

void link_enter_live(struct link *link)
{
    ensure(link->state == LINK_SUBSCRIBING && link_all_requested(link));
    const struct dialect *dialect = link->feed->dialect;
    int64_t now_ns = io_monotonic_ns(link->shared->io);
    char detail[192];
    (void)snprintf(detail, sizeof detail, "%s %s %s, %u streams", dialect->name,
                   link->address_text, tls_cipher_text(link->tls), link->streams.count);
    link_status(link, STATUS_LINK_UP, link->streams.count, detail);
    log_write(link->shared->log, LOG_LINK_UP, io_utc_ns(link->shared->io),
              "link=%u exchange=%s host=%s address=%s cipher=\"%s\" streams=%u", link->number,
              dialect->name, link->feed->url.host, link->address_text,
              tls_cipher_text(link->tls), link->streams.count);
    link->announced = true;
    link->live_ns = now_ns;
    link->shared->counters.lives++;
    link->figures.lives++;
    if (dialect->connection_life_ns > 0) {
        // Between 85 and 95 per cent of the life, so that links do not renew together.
        uint64_t random;
        io_random(link->shared->io, &random, sizeof random);
        int64_t tenth_ns = dialect->connection_life_ns / 10;
        link->renew_ns = now_ns + dialect->connection_life_ns - tenth_ns / 2 -
                         (int64_t)(random % (uint64_t)(tenth_ns + 1));
    }
    link_enter(link, LINK_LIVE, 0); // link_advance() finds the next thing to do
    link_hear_news(link, LINK_NEWS_LIVE);
}

void link_want_renewal(struct link *link)
{
    if (link->renewing || link->stopping || link->retired) return;
    link->renewing = true;
    link_hear_news(link, LINK_NEWS_RENEW);
}
