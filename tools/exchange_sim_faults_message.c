// SPDX-License-Identifier: GPL-3.0-or-later
//
// Single messages of one connection: lost, twice, in another order, late, stamped later. What is
// released after having been held back is not hit again.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_faults.h"

#define MILLISECOND_NS ((int64_t)1000000)

enum {
    GAP_EVENTS_MAX = 50,
    REORDER_MAX = 3,
    REORDER_MS_MAX = 2000, // where no further event of the stream comes
    LATE_MS_MIN = 50,
    LATE_MS_MAX = 5000,
    DUPLICATE_MS_MAX = 200,
    STAMP_MS_MAX = 3,
    DIGITS_MICROSECONDS = 16,
};

static const char *stream_key(const struct exchange_sim_fault_link *link, uint32_t stream)
{
    return link->faults->server->hub->streams[stream].key;
}

void exchange_sim_faults_tell_ids(struct exchange_sim_fault_link *link, const char *name,
                                  const struct exchange_sim_delivery *delivery)
{
    struct exchange_sim_faults *faults = link->faults;
    if (!exchange_sim_faults_tell(faults, name))
        return;
    exchange_sim_fault_log_exchange(faults->log, link->connection->exchange);
    exchange_sim_fault_log_number(faults->log, "connection",
                                  (int64_t)link->connection->ordinal);
    exchange_sim_fault_log_text(faults->log, "stream", stream_key(link, delivery->stream));
    exchange_sim_fault_log_number(faults->log, "first_id", delivery->first_id);
    exchange_sim_fault_log_number(faults->log, "last_id", delivery->last_id);
    exchange_sim_fault_log_end(faults->log);
}

static bool message_due(struct exchange_sim_fault_link *link, enum exchange_sim_fault_kind kind,
                        const struct exchange_sim_delivery *delivery)
{
    if (!exchange_sim_fault_due(&link->clock, kind, link->faults->server->now_ns))
        return false;
    link->faults->counts[kind]++;
    exchange_sim_faults_tell_ids(link, exchange_sim_fault_name(kind), delivery);
    return true;
}

// ---- held back ----

// False where there is no room.
static bool message_hold(struct exchange_sim_fault_link *link,
                         const struct exchange_sim_delivery *delivery, int64_t after_ns,
                         uint32_t after, bool duplicate)
{
    uint8_t *copy = link->held_count == EXCHANGE_SIM_HELD_MAX ? NULL : malloc(delivery->size);
    if (copy == NULL)
        return false;
    memcpy(copy, delivery->payload, delivery->size);
    struct exchange_sim_held *held = &link->held[link->held_count++];
    *held = (struct exchange_sim_held){
        .delivery = *delivery,
        .payload = copy,
        .release_ns = link->faults->server->now_ns + after_ns,
        .after = after,
        .duplicate = duplicate,
    };
    (void)snprintf(held->name, sizeof held->name, "%s", delivery->name);
    return true;
}

static void held_send(struct exchange_sim_fault_link *link, uint32_t index)
{
    struct exchange_sim_held const held = link->held[index];
    ensure(index < link->held_count);
    memmove(&link->held[index], &link->held[index + 1],
            (link->held_count - index - 1) * sizeof link->held[0]);
    link->held_count--;
    exchange_sim_connection_event(link->connection, held.name, held.payload, held.delivery.size);
    free(held.payload);
}

void exchange_sim_fault_link_release(struct exchange_sim_fault_link *link, int64_t now_ns)
{
    if (link->deaf)
        return;
    for (uint32_t i = 0; i < link->held_count;)
        if (now_ns >= link->held[i].release_ns)
            held_send(link, i);
        else
            i++;
}

// A message of the stream has gone out: those waiting for it come nearer.
static void held_count_down(struct exchange_sim_fault_link *link, uint32_t stream)
{
    for (uint32_t i = 0; i < link->held_count;) {
        struct exchange_sim_held *held = &link->held[i];
        bool const waits = held->after > 0 && held->delivery.stream == stream;
        if (waits && --held->after == 0)
            held_send(link, i);
        else
            i++;
    }
}

// ---- the message at hand ----

static bool message_lost(struct exchange_sim_fault_link *link,
                         const struct exchange_sim_delivery *delivery)
{
    if (link->gap_left > 0) {
        link->gap_left--;
        exchange_sim_faults_tell_ids(link, "gap", delivery);
        return true;
    }
    if (message_due(link, EXCHANGE_SIM_FAULT_GAP, delivery)) {
        link->gap_left = (uint32_t)exchange_sim_fault_between(
            &link->clock, EXCHANGE_SIM_FAULT_GAP, 1, GAP_EVENTS_MAX - 1);
        return true;
    }
    return message_due(link, EXCHANGE_SIM_FAULT_DROP, delivery);
}

static bool message_delayed(struct exchange_sim_fault_link *link,
                            const struct exchange_sim_delivery *delivery)
{
    struct exchange_sim_fault_clock *clock = &link->clock;
    if (link->held_count == EXCHANGE_SIM_HELD_MAX)
        return false;
    if (message_due(link, EXCHANGE_SIM_FAULT_LATE, delivery))
        return message_hold(link, delivery,
                            exchange_sim_fault_between(clock, EXCHANGE_SIM_FAULT_LATE, LATE_MS_MIN,
                                                       LATE_MS_MAX) *
                                MILLISECOND_NS,
                            0, false);
    if (message_due(link, EXCHANGE_SIM_FAULT_REORDER, delivery))
        return message_hold(
            link, delivery, REORDER_MS_MAX * MILLISECOND_NS,
            (uint32_t)exchange_sim_fault_between(clock, EXCHANGE_SIM_FAULT_REORDER, 1, REORDER_MAX),
            false);
    return false;
}

// Adds to the number behind "E": in place; the digits stay as many.
static void stamp_patch(uint8_t *payload, uint32_t size, int64_t add_ms)
{
    uint8_t *at = memmem(payload, size, "\"E\":", 4);
    if (at == NULL)
        return;
    uint8_t *const first = at + 4;
    uint8_t *behind = first;
    while (behind < payload + size && *behind >= '0' && *behind <= '9')
        behind++;
    int64_t add = behind - first == DIGITS_MICROSECONDS ? add_ms * 1000 : add_ms;
    for (uint8_t *digit = behind - 1; add > 0 && digit >= first; digit--) {
        add += *digit - '0';
        *digit = (uint8_t)('0' + add % 10);
        add /= 10;
    }
}

static void message_send(struct exchange_sim_fault_link *link,
                         const struct exchange_sim_delivery *delivery)
{
    static uint8_t stamped[MARKET_EVENT_SIZE_MAX];
    const uint8_t *payload = delivery->payload;
    if (link->connection->exchange != EXCHANGE_SIM_UPBIT && delivery->size <= sizeof stamped &&
        message_due(link, EXCHANGE_SIM_FAULT_STAMP, delivery)) {
        memcpy(stamped, payload, delivery->size);
        stamp_patch(stamped, delivery->size,
                    exchange_sim_fault_between(&link->clock, EXCHANGE_SIM_FAULT_STAMP, 1,
                                               STAMP_MS_MAX));
        payload = stamped;
    }
    exchange_sim_connection_event(link->connection, delivery->name, payload, delivery->size);
}

bool exchange_sim_fault_link_message(struct exchange_sim_fault_link *link,
                                     const struct exchange_sim_delivery *delivery)
{
    ensure(delivery->payload != NULL && delivery->size > 0);
    if (!link->clock.open || !link->faults->server->hub->streams[delivery->stream].fault_channel) {
        exchange_sim_connection_event(link->connection, delivery->name, delivery->payload,
                                      delivery->size);
        return true;
    }
    if (message_lost(link, delivery))
        return false;
    if (message_delayed(link, delivery))
        return true;
    if (message_due(link, EXCHANGE_SIM_FAULT_DUPLICATE, delivery))
        (void)message_hold(link, delivery,
                           exchange_sim_fault_between(&link->clock, EXCHANGE_SIM_FAULT_DUPLICATE, 0,
                                                      DUPLICATE_MS_MAX) *
                               MILLISECOND_NS,
                           0, true);
    message_send(link, delivery);
    held_count_down(link, delivery->stream);
    return true;
}

bool exchange_sim_fault_link_event(struct exchange_sim_fault_link *link, const char *name,
                                   const struct exchange_sim_event *event, uint32_t unit)
{
    if (link->connection->state != EXCHANGE_SIM_STREAMING || link->deaf)
        return false;
    if (!link->clock.open && link->faults->active && link->faults->options.any)
        exchange_sim_fault_clock_open(&link->clock, &link->faults->options.spec,
                                      link->connection->exchange, link->connection->ordinal,
                                      link->faults->server->now_ns);
    if (link->clock.open && event->market != NULL && event->market->kind == MARKET_DEPTH &&
        link->faults->options.spec.mean_ns[EXCHANGE_SIM_FAULT_WINDOWS] > 0 &&
        exchange_sim_window_add(link, name, event))
        return true;
    struct exchange_sim_delivery const delivery = {
        .stream = event->stream,
        .name = name,
        .first_id = event->first_id != 0 ? event->first_id : event->id,
        .last_id = event->id,
        .payload = event->payload[unit],
        .size = event->size[unit],
    };
    return exchange_sim_fault_link_message(link, &delivery);
}
