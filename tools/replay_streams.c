// SPDX-License-Identifier: GPL-3.0-or-later
//
// What nobody is subscribed to is not rendered: it costs a look at two tables.
#include "tools/replay_streams.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

enum { STREAM_NONE = 0xffffffff };

bool replay_streams_open(struct replay_streams *streams, struct exchange_sim_hub *hub,
                         const struct ringtape_names *names)
{
    bool good = true;
    *streams = (struct replay_streams){.hub = hub, .names = names};
    streams->symbols = calloc(RINGTAPE_NAMES_MAX, sizeof *streams->symbols);
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        streams->stream[c] = calloc(RINGTAPE_NAMES_MAX, sizeof(uint32_t));
        good = good && streams->stream[c] != NULL;
    }
    for (int i = 0; i < 3; i++) {
        streams->book_stream[i] = calloc(RINGTAPE_NAMES_MAX, sizeof(uint32_t));
        good = good && streams->book_stream[i] != NULL;
    }
    for (int unit = 0; unit < EXCHANGE_SIM_UNITS; unit++) {
        streams->rendered[unit] = malloc(REPLAY_JSON_BYTES_MAX);
        good = good && streams->rendered[unit] != NULL;
    }
    return good && streams->symbols != NULL;
}

void replay_streams_close(struct replay_streams *streams)
{
    free(streams->symbols);
    for (int c = 1; c < CHANNEL_COUNT; c++) free(streams->stream[c]);
    for (int i = 0; i < 3; i++) free(streams->book_stream[i]);
    for (int unit = 0; unit < EXCHANGE_SIM_UNITS; unit++) free(streams->rendered[unit]);
}

// ---- names ----

static struct replay_symbol *symbol_at(struct replay_streams *streams, uint32_t number)
{
    ensure(number < streams->names->count);
    struct replay_symbol *symbol = &streams->symbols[number];
    if (symbol->known) return symbol;
    const struct event_text *name = &streams->names->texts[number];
    const uint8_t *colon = memchr(name->bytes, ':', name->size);
    symbol->known = true;
    symbol->exchange = EXCHANGE_SIM_EXCHANGES;
    if (colon == NULL) return symbol;
    const uint32_t size = (uint32_t)(colon - name->bytes);
    symbol->exchange = (uint8_t)exchange_sim_exchange_by_name((const char *)name->bytes, size);
    symbol->wire = (uint16_t)(size + 1);
    return symbol;
}

const struct replay_symbol *replay_streams_symbol(struct replay_streams *streams, uint32_t number)
{
    return symbol_at(streams, number);
}

struct event_text replay_streams_wire(struct replay_streams *streams, uint32_t number)
{
    const struct replay_symbol *symbol = symbol_at(streams, number);
    const struct event_text name = streams->names->texts[number];
    return (struct event_text){name.bytes + symbol->wire, name.size - symbol->wire};
}

static const char *const binance_channels[CHANNEL_COUNT] = {
    [CHANNEL_TRADE] = "trade",   [CHANNEL_AGG_TRADE] = "aggTrade", [CHANNEL_QUOTE] = "bookTicker",
    [CHANNEL_DEPTH] = "depth",   [CHANNEL_TICKER] = "ticker",      [CHANNEL_KLINE] = "kline_",
};
static const char *const upbit_channels[CHANNEL_COUNT] = {
    [CHANNEL_TRADE] = "trade", [CHANNEL_BOOK] = "orderbook", [CHANNEL_TICKER] = "ticker",
};
static const char *const book_channels[] = {
    [BOOK_SOURCE_DEPTH5] = "depth5",
    [BOOK_SOURCE_DEPTH10] = "depth10",
    [BOOK_SOURCE_DEPTH20] = "depth20",
};

static const char *row_channel(const struct rows *rows, uint32_t row,
                               enum exchange_sim_exchange exchange)
{
    const enum channel channel = rows->schema->channel;
    if (exchange == EXCHANGE_SIM_UPBIT) return upbit_channels[channel];
    if (channel != CHANNEL_BOOK) return binance_channels[channel];
    const int64_t source = rows->value[BOOK_SOURCE][row];
    return source >= 0 && source <= BOOK_SOURCE_DEPTH20 ? book_channels[source] : NULL;
}

uint32_t replay_streams_name(struct replay_streams *streams, const struct rows *rows, uint32_t row,
                             char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1])
{
    if (rows->symbol[row] == SYMBOL_NONE) return 0;
    const struct replay_symbol *symbol = symbol_at(streams, rows->symbol[row]);
    if (symbol->exchange == EXCHANGE_SIM_EXCHANGES) return 0;
    const struct event_text wire = replay_streams_wire(streams, rows->symbol[row]);
    const char *channel = row_channel(rows, row, (enum exchange_sim_exchange)symbol->exchange);
    if (channel == NULL) return 0;
    uint32_t suffix = 0;
    const uint8_t *interval = NULL;
    if (rows->schema->channel == CHANNEL_KLINE) {
        const uint8_t slot = rows->schema->columns[KLINE_INTERVAL].text;
        suffix = rows->text_length[slot][row];
        interval = rows->text + rows->text_offset[slot][row];
    }
    const size_t channel_size = strlen(channel);
    if (wire.size + 1 + channel_size + suffix > EXCHANGE_SIM_STREAM_NAME_MAX) return 0;
    for (uint32_t i = 0; i < wire.size; i++)
        name[i] = symbol->exchange == EXCHANGE_SIM_UPBIT ? (char)wire.bytes[i]
                                                         : (char)tolower(wire.bytes[i]);
    name[wire.size] = '@';
    memcpy(name + wire.size + 1, channel, channel_size);
    if (suffix > 0) memcpy(name + wire.size + 1 + channel_size, interval, suffix);
    const uint32_t size = (uint32_t)(wire.size + 1 + channel_size + suffix);
    name[size] = 0;
    return size;
}

static uint32_t stream_make(struct replay_streams *streams, const struct rows *rows, uint32_t row)
{
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    const uint32_t size = replay_streams_name(streams, rows, row, name);
    if (size == 0) return STREAM_NONE;
    const struct replay_symbol *symbol = symbol_at(streams, rows->symbol[row]);
    const uint32_t stream = exchange_sim_hub_stream(
        streams->hub, (enum exchange_sim_exchange)symbol->exchange, name, size);
    return stream == EXCHANGE_SIM_STREAM_NONE ? STREAM_NONE : stream + 1;
}

// Stream + 1, or STREAM_NONE.
static uint32_t row_stream(struct replay_streams *streams, const struct rows *rows, uint32_t row)
{
    const enum channel channel = rows->schema->channel;
    const uint32_t number = rows->symbol[row];
    if (number == SYMBOL_NONE) return STREAM_NONE;
    if (channel == CHANNEL_KLINE) return stream_make(streams, rows, row);
    uint32_t *cached = &streams->stream[channel][number];
    if (channel == CHANNEL_BOOK) {
        const int64_t source = rows->value[BOOK_SOURCE][row];
        if (source >= 0 && source <= BOOK_SOURCE_DEPTH20)
            cached = &streams->book_stream[source][number];
        else if (source == BOOK_SOURCE_REST)
            return STREAM_NONE;
    }
    if (*cached == 0) *cached = stream_make(streams, rows, row);
    return *cached;
}

// ---- publishing ----

static void remember(struct replay_symbol *symbol, const struct rows *rows, uint32_t row)
{
    if (rows->schema->channel == CHANNEL_TRADE) {
        const int64_t id = rows->value[TRADE_ID][row];
        if (symbol->trade_id == 0) symbol->trade_first = id;
        if (id > symbol->trade_id) symbol->trade_id = id;
    } else if (rows->schema->channel == CHANNEL_AGG_TRADE) {
        const int64_t id = rows->value[AGG_TRADE_ID][row];
        if (id > symbol->agg_id) symbol->agg_id = id;
    }
}

// From which message on the subscribers have followed the book.
static void remember_depth(struct replay_symbol *symbol, const struct rows *rows, uint32_t row,
                           bool subscribed)
{
    if (rows->schema->channel != CHANNEL_DEPTH) return;
    symbol->depth_time = rows_time_ns(rows, row);
    symbol->depth_last = rows->value[DEPTH_LAST_ID][row];
    if (!subscribed)
        symbol->depth_first = symbol->depth_given = 0;
    else if (symbol->depth_first == 0)
        symbol->depth_first = rows->value[DEPTH_FIRST_ID][row];
}

static bool render(struct replay_streams *streams, const struct rows *rows,
                   const struct replay_entry *entry, uint32_t wanted)
{
    struct replay_row row = {
        .exchange =
            (enum exchange_sim_exchange)symbol_at(streams, rows->symbol[entry->row])->exchange,
        .rows = rows,
        .row = entry->row,
        .symbol = replay_streams_wire(streams, rows->symbol[entry->row]),
    };
    for (uint32_t unit = 0; unit < EXCHANGE_SIM_UNITS; unit++) {
        streams->event.payload[unit] = NULL;
        if (!(wanted >> unit & 1)) continue;
        row.microseconds = unit == EXCHANGE_SIM_MICROSECONDS;
        streams->event.size[unit] = replay_json(&row, (char *)streams->rendered[unit]);
        streams->event.payload[unit] = streams->rendered[unit];
        if (streams->event.size[unit] == 0) return false;
    }
    return true;
}

// A subscriber may have come, with another unit of time, while the event was held.
static bool still_rendered(const struct replay_streams *streams, uint32_t wanted)
{
    for (uint32_t unit = 0; unit < EXCHANGE_SIM_UNITS; unit++)
        if ((wanted >> unit & 1) && streams->event.payload[unit] == NULL) return false;
    return true;
}

enum exchange_sim_publish replay_streams_publish(struct replay_streams *streams,
                                                 const struct replay_slice *slice,
                                                 const struct replay_entry *entry)
{
    const struct rows *rows = &slice->rows[entry->channel];
    const uint32_t stream = row_stream(streams, rows, entry->row);
    if (stream == STREAM_NONE || entry->skipped) return EXCHANGE_SIM_NOBODY;
    struct replay_symbol *symbol = symbol_at(streams, rows->symbol[entry->row]);
    const bool subscribed = streams->hub->streams[stream - 1].subscriber_count > 0;
    if (subscribed) {
        const uint32_t wanted = exchange_sim_hub_wanted(streams->hub, stream - 1);
        if (!streams->holding || !still_rendered(streams, wanted)) {
            streams->event =
                (struct exchange_sim_event){.stream = stream - 1, .due_ns = entry->due_ns};
            if (!render(streams, rows, entry, wanted)) return EXCHANGE_SIM_NOBODY;
        }
        if (exchange_sim_hub_publish(streams->hub, &streams->event) == EXCHANGE_SIM_BLOCKED) {
            streams->holding = true;
            return EXCHANGE_SIM_BLOCKED;
        }
    }
    streams->holding = false;
    remember(symbol, rows, entry->row);
    remember_depth(symbol, rows, entry->row, subscribed);
    return subscribed ? EXCHANGE_SIM_SENT : EXCHANGE_SIM_NOBODY;
}
