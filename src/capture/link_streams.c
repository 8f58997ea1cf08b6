// SPDX-License-Identifier: GPL-3.0-or-later
//
// link_streams: the streams of a running link change. Contract: the others are not touched: where
// the exchange adds and takes back by requests of their own (Binance) these are sent, at the pace
// of its limits; where a request replaces the set (Upbit) the whole new set is.
#include "capture/link_steps.h"

#include "format/ensure.h"
#include <string.h>

static bool link_asks(const struct link *link)
{
    return link->state == LINK_SUBSCRIBING || link->state == LINK_LIVE;
}

static bool streams_equal(const struct dialect_stream *a, const struct dialect_stream *b)
{
    return a->symbol == b->symbol && a->channel == b->channel;
}

// The set is sent as a whole, again.
static void link_resend(struct link *link)
{
    if (link->feed->dialect->unsubscribe == NULL) link->subscribe_position = 0;
}

void link_add_streams(struct link *link, const struct dialect_stream *streams, uint32_t count)
{
    link_check(link);
    ensure(count > 0 && link_streams_room(link) >= count);
    memcpy(link->own + link->streams.count, streams, count * sizeof *streams);
    link->streams.count += count;
    if (!link_asks(link)) return; // they are asked for with the rest
    link_resend(link);
    link_wake_by(link, 0);
}

void link_drop_stream(struct link *link, const struct dialect_stream *stream)
{
    link_check(link);
    uint32_t at = 0;
    while (at < link->streams.count && !streams_equal(&link->own[at], stream)) at++;
    if (at == link->streams.count) return;
    bool asked = at < link->subscribe_position;
    struct dialect_stream gone = link->own[at];
    link->streams.count--;
    memmove(link->own + at, link->own + at + 1,
            (link->streams.count - at) * sizeof *link->own);
    if (!asked) return;
    link->subscribe_position--;
    if (!link_asks(link)) return;
    link_resend(link);
    bool taken_back = link->feed->dialect->unsubscribe != NULL &&
                      link->dropped_count < link->feed->dialect->streams_max;
    if (taken_back) link->dropped[link->dropped_count++] = gone;
    link_wake_by(link, 0);
}

uint32_t link_streams_room(const struct link *link)
{
    uint32_t used = link->streams.count + link->dropped_count;
    uint32_t most = link->feed->dialect->streams_max;
    return used < most ? most - used : 0;
}

bool link_send_dropped(struct link *link)
{
    ensure(link->dropped_count > 0 && link->feed->dialect->unsubscribe != NULL);
    const struct dialect_subscribe what = {.context = &link->feed->context,
                                           .channels = link->feed->channels,
                                           .streams = link->dropped,
                                           .stream_count = link->dropped_count,
                                           .request_id = link->request_id + 1};
    uint32_t position = 0;
    uint32_t size = link->feed->dialect->unsubscribe(&what, &position, link->shared->request,
                                                     DIALECT_REQUEST_BYTES_MAX);
    ensure(size > 0 && position > 0 && position <= link->dropped_count);
    link->dropped_count -= position;
    memmove(link->dropped, link->dropped + position, link->dropped_count * sizeof *link->dropped);
    link->request_id++;
    return link_send_frame(link, WEBSOCKET_TEXT, (const uint8_t *)link->shared->request, size);
}
