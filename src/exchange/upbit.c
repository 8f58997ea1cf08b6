// SPDX-License-Identifier: GPL-3.0-or-later
//
// upbit: addresses, limits, channels, subscription and the list of markets. The messages themselves
// are in upbit_messages.c, upbit_scan.c (fast) and upbit_strict.c.
//
// A request replaces the one before, so one request names all streams of the link:
//     [{"ticket":"..."},{"type":"trade","codes":["KRW-BTC",...]},...,{"format":"SIMPLE"}]
// Neither is_only_snapshot nor is_only_realtime is set: the state at subscription comes first,
// marked SNAPSHOT, then the news. There is no request that takes streams back (none is documented,
// and one without codes is answered NO_CODES): closing the connection does it. The upgrade request
// carries no Origin: with one, Upbit allows a request in ten seconds only.
//
// Sources: docs.upbit.com/kr/reference/websocket-guide, rate-limits, list-market-pairs.
#include "exchange/upbit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

#define SECOND_NS 1000000000ll

struct channel_name {
    const char *text; // in the configuration
    enum channel channel;
    const char *type; // in the request
};

static const struct channel_name channel_names[] = {
    {"trade", CHANNEL_TRADE, "trade"},
    {"book", CHANNEL_BOOK, "orderbook"},
    {"ticker", CHANNEL_TICKER, "ticker"},
};

enum { CHANNEL_NAMES = sizeof channel_names / sizeof channel_names[0] };

static const struct channel_name *channel_name(const char *text)
{
    for (uint32_t i = 0; i < CHANNEL_NAMES; i++)
        if (strcmp(channel_names[i].text, text) == 0)
            return &channel_names[i];
    return NULL;
}

static bool upbit_channel_known(const char *text, enum channel *channel)
{
    const struct channel_name *name = channel_name(text);
    if (name == NULL)
        return false;
    *channel = name->channel;
    return true;
}

static uint32_t upbit_group(const char *channel)
{
    ensure(channel != NULL);
    return 0;
}

static uint32_t upbit_path(uint32_t group, char *out, uint32_t out_size)
{
    static const char path[] = "/websocket/v1";
    ensure(group == 0);
    if (out_size < sizeof path)
        return 0;
    memcpy(out, path, sizeof path);
    return sizeof path - 1;
}

// ---- subscription ----

struct request {
    char *out;
    uint32_t size;
    uint32_t room;
    bool full;
};

static void put(struct request *request, const char *text, uint32_t size)
{
    if (request->full || size > request->room - request->size) {
        request->full = true;
        return;
    }
    memcpy(request->out + request->size, text, size);
    request->size += size;
}

static void put_text(struct request *request, const char *text)
{
    put(request, text, (uint32_t)strlen(text));
}

// ,{"type":"trade","codes":["KRW-BTC","KRW-ETH"]} with the streams of that type, if any.
static void put_type(struct request *request, const struct dialect_subscribe *what,
                     const struct channel_name *name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < what->stream_count; i++) {
        const struct dialect_stream *stream = &what->streams[i];
        if (channel_name(what->channels[stream->channel].text) != name)
            continue;
        if (count++ == 0) {
            put_text(request, ",{\"type\":\"");
            put_text(request, name->type);
            put_text(request, "\",\"codes\":[");
        } else {
            put_text(request, ",");
        }
        const struct symbol_name *symbol = symbols_name(what->context->symbols, stream->symbol);
        put_text(request, "\"");
        put(request, symbol->text + symbol->symbol_offset,
            (uint32_t)symbol->size - symbol->symbol_offset);
        put_text(request, "\"");
    }
    if (count > 0)
        put_text(request, "]}");
}

static uint32_t upbit_subscribe(const struct dialect_subscribe *what, uint32_t *position,
                                char *out, uint32_t out_size)
{
    ensure(*position == 0 || *position == what->stream_count);
    if (*position == what->stream_count)
        return 0;
    struct request request = {.out = out, .room = out_size};
    put_text(&request, "[{\"ticket\":\"");
    put_text(&request, what->ticket);
    put_text(&request, "\"}");
    for (uint32_t i = 0; i < CHANNEL_NAMES; i++)
        put_type(&request, what, &channel_names[i]);
    put_text(&request, ",{\"format\":\"SIMPLE\"}]");
    if (request.full)
        return 0;
    *position = what->stream_count;
    return request.size;
}

// ---- frames ----

static bool strict_next(struct dialect_frame *frame, struct event *event)
{
    if (strict_raw_left(frame) && strict_raw_next(frame, event))
        return true;
    if (frame->kind != DIALECT_FRAME_EVENTS)
        return false;
    // An array goes on behind a message that gave raw rows only.
    return upbit_strict(frame, event) || strict_raw_next(frame, event);
}

static bool upbit_next(struct dialect_frame *frame, struct event *event)
{
    if (frame->step == 0 && frame->kind == DIALECT_FRAME_EVENTS && upbit_scan(frame, event)) {
        frame->step = 1;
        return true;
    }
    return strict_next(frame, event);
}

// ---- markets ----

// "KRW-BTC": the quote stands first.
static void split_market(struct event *event, struct json_slice market)
{
    const char *dash = memchr(market.text, '-', market.size);
    if (dash == NULL)
        return;
    const uint32_t quote_size = (uint32_t)(dash - market.text);
    event_set_text(event, INSTRUMENT_QUOTE, market.text, quote_size);
    event_set_text(event, INSTRUMENT_BASE, dash + 1, market.size - quote_size - 1);
}

// market/all lists what is traded; it has neither steps nor a state.
static int upbit_instruments(const uint8_t *body, uint32_t size, dialect_instrument_callback *each,
                             void *context)
{
    struct json_value root, market, name;
    struct json_walk walk;
    if (json_parse((const char *)body, size, &root, NULL) != JSON_OK ||
        json_walk_array(&root, &walk) != JSON_OK)
        return -EINVAL;
    bool good = true;
    while (json_walk_element(&walk, &market)) {
        struct event event;
        struct json_slice text;
        if (market.type != JSON_OBJECT || market.size > EVENT_TEXT_BYTES_MAX ||
            json_find(&market, "market", &name) != JSON_OK || name.type != JSON_STRING ||
            json_string_raw(&name, &text) != JSON_OK) {
            good = false;
            continue;
        }
        event_clear(&event, CHANNEL_INSTRUMENT, SYMBOL_NONE);
        event_set(&event, COLUMN_FLAGS, 0);
        split_market(&event, text);
        event_set_text(&event, INSTRUMENT_BODY, market.text, market.size);
        each(context, &event, text.text, text.size, true);
    }
    return good ? 0 : -EINVAL;
}

const struct dialect dialect_upbit = {
    .name = "upbit",
    .url = "wss://api.upbit.com",
    .rest_url = "https://api.upbit.com",
    .instruments_path = "/v1/market/all?is_details=true",
    .streams_max = 1024, // Upbit names no limit; a request of that size fits one frame
    .requests_per_second_max = 5,
    .requests_per_minute_max = 100,
    .connects_per_window_max = 5,
    .connect_window_ns = SECOND_NS,
    .connection_life_ns = 0,
    .idle_limit_ns = 60 * SECOND_NS,
    .ping_interval_ns = 20 * SECOND_NS, // it closes after 120 s of silence
    .channel_known = upbit_channel_known,
    .group_count = 1,
    .group = upbit_group,
    .path = upbit_path,
    .subscribe = upbit_subscribe,
    .unsubscribe = NULL,
    .begin = upbit_begin,
    .next = upbit_next,
    .next_strict = strict_next,
    .instruments = upbit_instruments,
    .history = &upbit_history,
    .messages = upbit_messages,
};
