// SPDX-License-Identifier: GPL-3.0-or-later
//
// binance and binance-usdm: addresses, limits, channels and subscriptions. The messages themselves
// are in binance_messages.c, binance_scan.c (fast) and binance_strict.c.
//
// Connections are combined streams, subscribed by request after the upgrade:
//     spot     /stream?timeUnit=MICROSECOND
//     futures  /public/stream (trade, quote, depth, book), /market/stream (the rest)
// A request names at most STREAMS_PER_REQUEST streams, so that 1,024 streams take six requests,
// which the link paces to the exchange's five messages a second, pongs included. A request that
// takes streams back names a few more: the 1,024 then go in four, within the second that a stop has
// for them.
//
// Sources: binance-spot-api-docs web-socket-streams.md; developers.binance.com, USD-M futures,
// "Important WebSocket Change Notice" (2026-04-23: the paths without /public and /market went).
#include "exchange/binance.h"

#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

enum { STREAMS_PER_REQUEST = 200, STREAMS_PER_UNSUBSCRIBE = 256 };

#define SECOND_NS 1000000000ll

struct channel_name {
    const char *text;   // in the configuration
    enum channel channel;
    const char *stream; // behind "symbol@"
    uint32_t usdm_group;
};

enum { USDM_PUBLIC = 0, USDM_MARKET = 1 };

static const struct channel_name channel_names[] = {
    {"trade", CHANNEL_TRADE, "trade", USDM_PUBLIC},
    {"agg_trade", CHANNEL_AGG_TRADE, "aggTrade", USDM_MARKET},
    {"quote", CHANNEL_QUOTE, "bookTicker", USDM_PUBLIC},
    {"depth", CHANNEL_DEPTH, "depth@100ms", USDM_PUBLIC},
    {"book5", CHANNEL_BOOK, "depth5@100ms", USDM_PUBLIC},
    {"book10", CHANNEL_BOOK, "depth10@100ms", USDM_PUBLIC},
    {"book20", CHANNEL_BOOK, "depth20@100ms", USDM_PUBLIC},
    {"ticker", CHANNEL_TICKER, "ticker", USDM_MARKET},
};

static const char *const kline_intervals[] = {"1s", "1m", "3m", "5m",  "15m", "30m", "1h", "2h",
                                              "4h", "6h", "8h", "12h", "1d",  "3d",  "1w", "1M"};

static const struct channel_name *channel_name(const char *text)
{
    for (uint32_t i = 0; i < sizeof channel_names / sizeof channel_names[0]; i++)
        if (strcmp(channel_names[i].text, text) == 0)
            return &channel_names[i];
    return NULL;
}

// "kline_1m" is spelled the same on both sides.
static bool is_kline(const char *text)
{
    if (strncmp(text, "kline_", 6) != 0)
        return false;
    for (uint32_t i = 0; i < sizeof kline_intervals / sizeof kline_intervals[0]; i++)
        if (strcmp(text + 6, kline_intervals[i]) == 0)
            return true;
    return false;
}

static bool binance_channel_known(const char *text, enum channel *channel)
{
    const struct channel_name *name = channel_name(text);
    if (name == NULL && !is_kline(text))
        return false;
    *channel = name != NULL ? name->channel : CHANNEL_KLINE;
    return true;
}

// Futures have no one-second klines.
static bool usdm_channel_known(const char *text, enum channel *channel)
{
    return strcmp(text, "kline_1s") != 0 && binance_channel_known(text, channel);
}

static uint32_t spot_group(const char *channel)
{
    ensure(channel != NULL);
    return 0;
}

static uint32_t usdm_group(const char *channel)
{
    const struct channel_name *name = channel_name(channel);
    return name != NULL ? name->usdm_group : USDM_MARKET;
}

static uint32_t put_path(const char *path, char *out, uint32_t out_size)
{
    const size_t size = strlen(path);
    if (size >= out_size)
        return 0;
    memcpy(out, path, size + 1);
    return (uint32_t)size;
}

static uint32_t spot_path(uint32_t group, char *out, uint32_t out_size)
{
    ensure(group == 0);
    return put_path("/stream?timeUnit=MICROSECOND", out, out_size);
}

static uint32_t usdm_path(uint32_t group, char *out, uint32_t out_size)
{
    ensure(group <= USDM_MARKET);
    return put_path(group == USDM_PUBLIC ? "/public/stream" : "/market/stream", out, out_size);
}

// ---- subscription ----

// "btcusdt@trade" in quotes, with a comma before all but the first. 0 where it does not fit.
static uint32_t put_stream(const struct dialect_subscribe *what, uint32_t index, bool first,
                           char *out, uint32_t out_size)
{
    const struct dialect_stream *stream = &what->streams[index];
    const struct symbol_name *symbol = symbols_name(what->context->symbols, stream->symbol);
    const char *channel = what->channels[stream->channel].text;
    const struct channel_name *name = channel_name(channel);
    ensure(name != NULL || is_kline(channel));
    char lower[SYMBOL_NAME_BYTES_MAX + 1];
    uint32_t size = 0;
    for (uint32_t i = symbol->symbol_offset; i < symbol->size; i++) {
        const char c = symbol->text[i];
        lower[size++] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    const int written = snprintf(out, out_size, "%s\"%.*s@%s\"", first ? "" : ",", (int)size,
                                 lower, name != NULL ? name->stream : channel);
    ensure(written > 0);
    return (uint32_t)written < out_size ? (uint32_t)written : 0;
}

static uint32_t put_request(const struct dialect_subscribe *what, const char *method,
                            uint32_t count_max, uint32_t *position, char *out, uint32_t out_size)
{
    enum { HEAD_BYTES_MAX = 48, TAIL_BYTES_MAX = 40 };
    ensure(*position <= what->stream_count);
    if (*position == what->stream_count || out_size < HEAD_BYTES_MAX + TAIL_BYTES_MAX)
        return 0;
    const uint64_t request = what->request_id + *position;
    const int head = snprintf(out, out_size, "{\"method\":\"%s\",\"params\":[", method);
    ensure(head > 0 && head < HEAD_BYTES_MAX);
    uint32_t size = (uint32_t)head, count = 0;
    while (*position < what->stream_count && count < count_max) {
        const uint32_t added = put_stream(what, *position, count == 0, out + size,
                                          out_size - size - TAIL_BYTES_MAX);
        if (added == 0)
            break;
        size += added;
        count++;
        (*position)++;
    }
    if (count == 0)
        return 0;
    const int tail = snprintf(out + size, out_size - size, "],\"id\":%llu}",
                              (unsigned long long)request);
    ensure(tail > 0 && (uint32_t)tail < out_size - size);
    return size + (uint32_t)tail;
}

static uint32_t binance_subscribe(const struct dialect_subscribe *what, uint32_t *position,
                                  char *out, uint32_t out_size)
{
    return put_request(what, "SUBSCRIBE", STREAMS_PER_REQUEST, position, out, out_size);
}

static uint32_t binance_unsubscribe(const struct dialect_subscribe *what, uint32_t *position,
                                    char *out, uint32_t out_size)
{
    return put_request(what, "UNSUBSCRIBE", STREAMS_PER_UNSUBSCRIBE, position, out, out_size);
}

// ---- frames ----

static bool strict_next(struct dialect_frame *frame, struct event *event)
{
    if (frame->step == 0) {
        frame->step = 1;
        if (frame->kind == DIALECT_FRAME_EVENTS && binance_strict(frame, event))
            return true;
    }
    return strict_raw_next(frame, event);
}

static bool spot_next(struct dialect_frame *frame, struct event *event)
{
    if (frame->step != 0)
        return strict_raw_left(frame) && strict_raw_next(frame, event);
    frame->step = binance_spot_scan(frame, event);
    return frame->step != 0 || strict_next(frame, event);
}

static bool usdm_next(struct dialect_frame *frame, struct event *event)
{
    if (frame->step != 0)
        return strict_raw_left(frame) && strict_raw_next(frame, event);
    frame->step = binance_usdm_scan(frame, event);
    return frame->step != 0 || strict_next(frame, event);
}

const struct dialect dialect_binance = {
    .name = "binance",
    .url = "wss://stream.binance.com:9443",
    .rest_url = "https://api.binance.com",
    .instruments_path = "/api/v3/exchangeInfo",
    .streams_max = 1024,
    .requests_per_second_max = 5,
    .connects_per_window_max = 300,
    .connect_window_ns = 300 * SECOND_NS,
    .connection_life_ns = 24 * 3600 * SECOND_NS,
    .idle_limit_ns = 60 * SECOND_NS, // it pings every 20 s
    .ping_interval_ns = 0,
    .trade_ids_follow = true,
    .channel_known = binance_channel_known,
    .group_count = 1,
    .group = spot_group,
    .path = spot_path,
    .subscribe = binance_subscribe,
    .unsubscribe = binance_unsubscribe,
    .begin = binance_begin,
    .next = spot_next,
    .next_strict = strict_next,
    .instruments = binance_instruments,
    .history = &binance_spot_history,
    .messages = binance_spot_messages,
};

const struct dialect dialect_binance_usdm = {
    .name = "binance-usdm",
    .url = "wss://fstream.binance.com",
    .rest_url = "https://fapi.binance.com",
    .instruments_path = "/fapi/v1/exchangeInfo",
    .streams_max = 1024,
    .requests_per_second_max = 10,
    .connects_per_window_max = 300,
    .connect_window_ns = 300 * SECOND_NS,
    .connection_life_ns = 24 * 3600 * SECOND_NS,
    .idle_limit_ns = 60 * SECOND_NS,
    .ping_interval_ns = 20 * SECOND_NS, // it pings every 3 min only: too late to notice a mute link
    .trade_ids_follow = true,
    .channel_known = usdm_channel_known,
    .group_count = 2,
    .group = usdm_group,
    .path = usdm_path,
    .subscribe = binance_subscribe,
    .unsubscribe = binance_unsubscribe,
    .begin = binance_begin,
    .next = usdm_next,
    .next_strict = strict_next,
    .instruments = binance_instruments,
    .history = &binance_usdm_history,
    .messages = binance_usdm_messages,
};
