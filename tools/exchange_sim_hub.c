// SPDX-License-Identifier: GPL-3.0-or-later
//
// Streams in a hash table by exchange and key; subscribers in a list of each stream.
#include "tools/exchange_sim_hub.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_connection.h"
#include "tools/exchange_sim_hooks.h"

enum {
    TABLE_SIZE = EXCHANGE_SIM_STREAMS_MAX * 2,
    TRUTH_BUFFER_BYTES = 1 << 20,
};

bool exchange_sim_hub_open(struct exchange_sim_hub *hub, const char *truth_path)
{
    *hub = (struct exchange_sim_hub){0};
    hub->streams = calloc(EXCHANGE_SIM_STREAMS_MAX, sizeof *hub->streams);
    hub->table = calloc(TABLE_SIZE, sizeof *hub->table);
    if (hub->streams == NULL || hub->table == NULL)
        return false;
    if (truth_path == NULL)
        return true;
    hub->truth = fopen(truth_path, "we");
    return hub->truth != NULL && setvbuf(hub->truth, NULL, _IOFBF, TRUTH_BUFFER_BYTES) == 0;
}

bool exchange_sim_hub_close(struct exchange_sim_hub *hub)
{
    for (uint32_t i = 0; i < hub->stream_count; i++)
        free(hub->streams[i].subscribers);
    free(hub->streams);
    free(hub->table);
    bool const written = hub->truth == NULL || ferror(hub->truth) == 0;
    return (hub->truth == NULL || fclose(hub->truth) == 0) && written;
}

// btcusdt@depth@100ms and btcusdt@depth@0ms are btcusdt@depth; an Upbit code's count of units
// (KRW-BTC.5@orderbook) goes, too.
static uint32_t stream_key(enum exchange_sim_exchange exchange, const char *name, uint32_t size,
                           char *key)
{
    memcpy(key, name, size);
    key[size] = '\0';
    char *channel = strchr(key, '@');
    if (channel == NULL)
        return size;
    if (exchange == EXCHANGE_SIM_UPBIT) {
        char *dot = memchr(key, '.', (size_t)(channel - key));
        if (dot != NULL)
            memmove(dot, channel, strlen(channel) + 1);
        return (uint32_t)strlen(key);
    }
    for (char *c = key; c < channel; c++)
        *c = (char)tolower((unsigned char)*c);
    char *speed = strchr(channel + 1, '@');
    if (speed != NULL && strncmp(channel, "@depth", 6) == 0)
        *speed = '\0';
    return (uint32_t)strlen(key);
}

// FNV-1a.
static uint32_t stream_hash(enum exchange_sim_exchange exchange, const char *key)
{
    uint32_t hash = 2166136261u ^ (uint32_t)exchange;
    for (; *key != '\0'; key++)
        hash = (hash ^ (uint8_t)*key) * 16777619u;
    return hash;
}

uint32_t exchange_sim_hub_stream(struct exchange_sim_hub *hub, enum exchange_sim_exchange exchange,
                                 const char *name, uint32_t name_size)
{
    char key[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    if (name_size == 0 || name_size > EXCHANGE_SIM_STREAM_NAME_MAX)
        return EXCHANGE_SIM_STREAM_NONE;
    (void)stream_key(exchange, name, name_size, key);
    uint32_t slot = stream_hash(exchange, key) % TABLE_SIZE;
    for (; hub->table[slot] != 0; slot = (slot + 1) % TABLE_SIZE) {
        const struct exchange_sim_stream *stream = &hub->streams[hub->table[slot] - 1];
        if (stream->exchange == exchange && strcmp(stream->key, key) == 0)
            return hub->table[slot] - 1;
    }
    if (hub->stream_count == EXCHANGE_SIM_STREAMS_MAX)
        return EXCHANGE_SIM_STREAM_NONE;
    struct exchange_sim_stream *stream = &hub->streams[hub->stream_count];
    stream->exchange = exchange;
    memcpy(stream->key, key, sizeof key);
    const char *channel = strchr(key, '@');
    channel = channel == NULL ? "" : channel + 1;
    stream->aggregate = strcmp(channel, "aggTrade") == 0;
    stream->truthful =
        hub->truth_channels == NULL || exchange_sim_hub_listed(hub->truth_channels, channel);
    stream->fault_channel = hub->hooks != NULL && hub->hooks->fault_channel(hub, channel);
    hub->table[slot] = ++hub->stream_count;
    return hub->stream_count - 1;
}

bool exchange_sim_hub_listed(const char *list, const char *name)
{
    size_t const size = strlen(name);
    ensure(list != NULL);
    for (const char *at = list;; at++) {
        size_t const item = strcspn(at, ",");
        if (item == size && memcmp(at, name, size) == 0)
            return true;
        at += item;
        if (*at == '\0')
            return false;
    }
}

static bool subscriber_room(struct exchange_sim_stream *stream)
{
    if (stream->subscriber_count < stream->subscriber_capacity)
        return true;
    uint32_t const capacity = stream->subscriber_capacity * 2 + 2;
    struct exchange_sim_subscriber *subscribers =
        realloc(stream->subscribers, capacity * sizeof *subscribers);
    if (subscribers == NULL)
        return false;
    stream->subscribers = subscribers;
    stream->subscriber_capacity = capacity;
    return true;
}

bool exchange_sim_hub_subscribe(struct exchange_sim_hub *hub, uint32_t number,
                                struct exchange_sim_connection *connection, const char *name,
                                uint32_t name_size)
{
    ensure(number < hub->stream_count && name_size <= EXCHANGE_SIM_STREAM_NAME_MAX);
    struct exchange_sim_stream *stream = &hub->streams[number];
    for (uint32_t i = 0; i < stream->subscriber_count; i++)
        if (stream->subscribers[i].connection == connection)
            return false;
    if (!subscriber_room(stream))
        return false;
    struct exchange_sim_subscriber *subscriber = &stream->subscribers[stream->subscriber_count++];
    subscriber->connection = connection;
    memcpy(subscriber->name, name, name_size);
    subscriber->name[name_size] = '\0';
    hub->subscriptions++;
    hub->agg_subscriptions += stream->aggregate;
    return true;
}

bool exchange_sim_hub_unsubscribe(struct exchange_sim_hub *hub, uint32_t number,
                                  struct exchange_sim_connection *connection)
{
    ensure(number < hub->stream_count);
    struct exchange_sim_stream *stream = &hub->streams[number];
    for (uint32_t i = 0; i < stream->subscriber_count; i++) {
        if (stream->subscribers[i].connection != connection)
            continue;
        stream->subscribers[i] = stream->subscribers[--stream->subscriber_count];
        ensure(hub->subscriptions > 0);
        hub->subscriptions--;
        hub->agg_subscriptions -= stream->aggregate;
        return true;
    }
    return false;
}

// Spot's truth is in microseconds, whoever asked for what.
static uint32_t truth_unit(const struct exchange_sim_hub *hub,
                           const struct exchange_sim_stream *stream)
{
    if (hub->whole)
        return stream->exchange == EXCHANGE_SIM_BINANCE ? EXCHANGE_SIM_MICROSECONDS
                                                        : EXCHANGE_SIM_MILLISECONDS;
    ensure(stream->subscriber_count > 0);
    return exchange_sim_connection_unit(stream->subscribers[0].connection);
}

uint32_t exchange_sim_hub_wanted(const struct exchange_sim_hub *hub, uint32_t number)
{
    ensure(number < hub->stream_count);
    const struct exchange_sim_stream *stream = &hub->streams[number];
    uint32_t units = hub->whole ? 1u << truth_unit(hub, stream) : 0;
    for (uint32_t i = 0; i < stream->subscriber_count; i++)
        units |= 1u << exchange_sim_connection_unit(stream->subscribers[i].connection);
    return units;
}

static void hub_truth(struct exchange_sim_hub *hub, const struct exchange_sim_event *event,
                      const struct exchange_sim_stream *stream, uint32_t unit)
{
    if (hub->truth == NULL || !stream->truthful)
        return;
    (void)fprintf(hub->truth, "%" PRId64 " %s %s ", event->due_ns,
                  exchange_sim_exchange_name(stream->exchange), stream->key);
    (void)fwrite(event->payload[unit], 1, event->size[unit], hub->truth);
    (void)fputc('\n', hub->truth);
}

void exchange_sim_hub_note(struct exchange_sim_hub *hub, int64_t utc_ns,
                           enum exchange_sim_exchange exchange, const char *name,
                           const struct exchange_sim_text *text)
{
    ensure(!text->full);
    if (hub->truth == NULL)
        return;
    (void)fprintf(hub->truth, "%" PRId64 " %s %s@inject %.*s\n", utc_ns,
                  exchange_sim_exchange_name(exchange), name, (int)exchange_sim_text_size(text),
                  text->start);
}

static void hub_count(struct exchange_sim_hub *hub, const struct exchange_sim_event *event,
                      struct exchange_sim_stream *stream)
{
    if (stream->sent++ == 0)
        stream->first_id = event->id;
    stream->last_id = event->id;
    stream->id_sum += (uint64_t)event->id;
    hub->sent++;
    hub->copies += stream->subscriber_count;
}

// ---- publishing ----

// Where clients set the pace: one has room at once, and none is far behind.
static bool hub_room(const struct exchange_sim_hub *hub, const struct exchange_sim_stream *stream,
                     const struct exchange_sim_event *event)
{
    if (!hub->paced || stream->subscriber_count == 0)
        return true;
    bool ready = false;
    for (uint32_t i = 0; i < stream->subscriber_count; i++) {
        struct exchange_sim_connection *connection = stream->subscribers[i].connection;
        uint32_t const unit = exchange_sim_connection_unit(connection);
        if (exchange_sim_connection_ready(connection, event->size[unit]))
            ready = true;
        else if (exchange_sim_connection_crowded(connection))
            return false;
    }
    return ready;
}

static bool hub_give(const struct exchange_sim_subscriber *subscriber,
                     const struct exchange_sim_event *event)
{
    struct exchange_sim_connection *connection = subscriber->connection;
    uint32_t const unit = exchange_sim_connection_unit(connection);
    ensure(event->payload[unit] != NULL);
    if (connection->link != NULL)
        return connection->server->hooks->give(connection->link, subscriber->name, event, unit);
    exchange_sim_connection_event(connection, subscriber->name, event->payload[unit],
                                  event->size[unit]);
    return connection->state == EXCHANGE_SIM_STREAMING;
}

enum exchange_sim_publish exchange_sim_hub_publish(struct exchange_sim_hub *hub,
                                                   const struct exchange_sim_event *event)
{
    ensure(event->stream < hub->stream_count);
    struct exchange_sim_stream *stream = &hub->streams[event->stream];
    if (stream->subscriber_count == 0 && !hub->whole)
        return EXCHANGE_SIM_NOBODY;
    if (!hub_room(hub, stream, event))
        return EXCHANGE_SIM_BLOCKED;
    uint32_t const unit = truth_unit(hub, stream);
    bool given = false;
    if (stream->subscriber_count > 0 &&
        (hub->hooks == NULL || !hub->hooks->withhold(hub, stream, event)))
        for (uint32_t i = 0; i < stream->subscriber_count; i++)
            given = hub_give(&stream->subscribers[i], event) || given;
    hub->bytes += event->size[unit];
    hub_count(hub, event, stream);
    if (hub->hooks != NULL)
        hub->hooks->account(hub, event, stream, given);
    hub_truth(hub, event, stream, unit);
    return EXCHANGE_SIM_SENT;
}

void exchange_sim_hub_snapshot(struct exchange_sim_hub *hub,
                               struct exchange_sim_connection *connection, uint32_t number,
                               const uint8_t *payload, uint32_t size, int64_t utc_ns)
{
    ensure(number < hub->stream_count);
    const struct exchange_sim_stream *stream = &hub->streams[number];
    uint32_t const unit = exchange_sim_connection_unit(connection);
    struct exchange_sim_event event = {.stream = number, .due_ns = utc_ns};
    event.payload[unit] = payload;
    event.size[unit] = size;
    for (uint32_t i = 0; i < stream->subscriber_count; i++) {
        if (stream->subscribers[i].connection != connection)
            continue;
        exchange_sim_connection_event(connection, stream->subscribers[i].name, payload, size);
        hub->snapshots++;
        hub_truth(hub, &event, stream, unit);
    }
}

void exchange_sim_hub_print(const struct exchange_sim_hub *hub, FILE *file)
{
    bool first = true;
    (void)fputc('{', file);
    for (uint32_t i = 0; i < hub->stream_count; i++) {
        const struct exchange_sim_stream *stream = &hub->streams[i];
        if (stream->sent == 0)
            continue;
        (void)fprintf(file,
                      "%s\"%s %s\":{\"sent\":%" PRIu64 ",\"first_id\":%" PRId64
                      ",\"last_id\":%" PRId64 ",\"id_sum\":\"%" PRIu64 "\"}",
                      first ? "" : ",", exchange_sim_exchange_name(stream->exchange), stream->key,
                      stream->sent, stream->first_id, stream->last_id, stream->id_sum);
        first = false;
    }
    (void)fputc('}', file);
}
