// SPDX-License-Identifier: GPL-3.0-or-later
//
// The daemon's own dialects read the bytes again: what they make of them names the row.
#include "tools/replay_raw.h"

#include <stdlib.h>
#include <string.h>

#include "exchange/dialect.h"
#include "format/ensure.h"
#include "tools/exchange_sim_connection.h"

void replay_raw_open(struct replay_raw *raw, struct replay_streams *streams)
{
    *raw = (struct replay_raw){.streams = streams};
}

void replay_raw_close(struct replay_raw *raw)
{
    if (raw->symbols != NULL) symbols_close(raw->symbols);
    free(raw->levels);
    free(raw->frame);
    free(raw->pair);
    free(raw->slots);
}

static bool raw_allocate(struct replay_raw *raw)
{
    if (raw->pair != NULL) return true;
    raw->symbols = symbols_open(RINGTAPE_NAMES_MAX);
    raw->levels = calloc(EVENT_LEVELS_MAX, sizeof *raw->levels);
    raw->frame = calloc(1, EVENT_TEXT_BYTES_MAX + DIALECT_FRAME_PADDING);
    raw->pair = calloc(REPLAY_ROWS_MAX, sizeof *raw->pair);
    return raw->symbols != NULL && raw->levels != NULL && raw->frame != NULL && raw->pair != NULL;
}

// The dialects know symbols by numbers of their own table.
static void raw_symbols(struct replay_raw *raw, uint32_t count)
{
    for (; raw->symbol_count < count; raw->symbol_count++) {
        const struct replay_symbol *symbol =
            replay_streams_symbol(raw->streams, raw->symbol_count);
        if (symbol->exchange == EXCHANGE_SIM_EXCHANGES) continue;
        const struct event_text wire = replay_streams_wire(raw->streams, raw->symbol_count);
        const uint32_t exchange = symbols_exchange(
            raw->symbols,
            exchange_sim_exchange_name((enum exchange_sim_exchange)symbol->exchange));
        (void)symbols_add(raw->symbols, exchange, (const char *)wire.bytes, wire.size);
    }
}

static struct event_text raw_frame(const struct rows *rows, uint32_t row)
{
    const uint8_t slot = rows->schema->columns[RAW_FRAME].text;
    return (struct event_text){rows->text + rows->text_offset[slot][row],
                               rows->text_length[slot][row]};
}

// The row that the bytes gave. False: none.
static bool raw_read(struct replay_raw *raw, const struct event_text *bytes, uint8_t exchange,
                     struct event *event)
{
    static struct dialect_frame frame;
    const char *name = exchange_sim_exchange_name((enum exchange_sim_exchange)exchange);
    const struct dialect *dialect = dialect_by_name(name);
    const struct dialect_context context = {.symbols = raw->symbols,
                                            .exchange = symbols_exchange(raw->symbols, name),
                                            .raw_symbol = SYMBOL_NONE};
    ensure(dialect != NULL && bytes->size <= EVENT_TEXT_BYTES_MAX);
    memcpy(raw->frame, bytes->bytes, bytes->size);
    memset(raw->frame + bytes->size, 0, DIALECT_FRAME_PADDING);
    dialect_frame_begin(dialect, &frame, &context, raw->frame, bytes->size, raw->levels);
    return frame.kind == DIALECT_FRAME_EVENTS && dialect->next(&frame, event) &&
           event->channel != CHANNEL_RAW;
}

// The same message: all that names it is equal.
static bool same_message(const struct rows *rows, uint32_t row, const struct event *event)
{
    const struct channel_schema *schema = rows->schema;
    for (uint8_t i = 0; i < schema->identity_count; i++) {
        const uint8_t c = schema->identity[i];
        if (rows->value[c] != NULL && rows->value[c][row] != event->value[c]) return false;
    }
    const bool timed = event_has(event, COLUMN_FIRST_OWN) &&
                       schema->columns[COLUMN_FIRST_OWN].type == COLUMN_TIME;
    return !timed || rows->value[COLUMN_FIRST_OWN][row] == event->value[COLUMN_FIRST_OWN];
}

// ---- rows by the moment of their receipt ----

static uint32_t moment_slot(const struct replay_raw *raw, int channel, uint32_t symbol,
                            int64_t received_ns)
{
    uint64_t hash = (uint64_t)received_ns * 0x9e3779b97f4a7c15u;
    hash ^= ((uint64_t)symbol << 8 | (uint64_t)channel) * 0xc2b2ae3d27d4eb4fu;
    return (uint32_t)(hash >> 20) & (raw->slot_count - 1);
}

// All rows of the slice. False when out of memory.
static bool moments_fill(struct replay_raw *raw, const struct replay_slice *slice)
{
    raw->slot_count = 1024;
    while (raw->slot_count < slice->count * 2) raw->slot_count *= 2;
    free(raw->slots);
    raw->slots = calloc(raw->slot_count, sizeof *raw->slots);
    if (raw->slots == NULL) return false;
    for (uint32_t i = 0; i < slice->count; i++) {
        const struct replay_entry *entry = &slice->entries[i];
        const struct rows *rows = &slice->rows[entry->channel];
        if (entry->channel == CHANNEL_RAW || rows->symbol[entry->row] == SYMBOL_NONE) continue;
        uint32_t slot = moment_slot(raw, entry->channel, rows->symbol[entry->row],
                                    rows->value[COLUMN_RECEIVE_TIME][entry->row]);
        while (raw->slots[slot] != 0) slot = (slot + 1) & (raw->slot_count - 1);
        raw->slots[slot] = i + 1;
    }
    return true;
}

// The entry of that message's row, received at the moment of the raw row; NULL: there is none.
static struct replay_entry *pair_find(const struct replay_raw *raw, struct replay_slice *slice,
                                      uint32_t at, const struct event *event, uint32_t symbol)
{
    const struct rows *rows = &slice->rows[event->channel];
    const int64_t received_ns =
        slice->rows[CHANNEL_RAW].value[COLUMN_RECEIVE_TIME][slice->entries[at].row];
    if (rows->schema == NULL) return NULL;
    uint32_t slot = moment_slot(raw, (int)event->channel, symbol, received_ns);
    for (; raw->slots[slot] != 0; slot = (slot + 1) & (raw->slot_count - 1)) {
        struct replay_entry *entry = &slice->entries[raw->slots[slot] - 1];
        if (entry->channel == event->channel && !entry->skipped &&
            rows->symbol[entry->row] == symbol &&
            rows->value[COLUMN_RECEIVE_TIME][entry->row] == received_ns &&
            same_message(rows, entry->row, event))
            return entry;
    }
    return NULL;
}

// ---- pairs ----

// Is the raw row before it, of the same moment, of the same message? One message may give several.
static bool same_as_before(const struct replay_slice *slice, uint32_t at)
{
    const struct rows *rows = &slice->rows[CHANNEL_RAW];
    if (at == 0 || slice->entries[at - 1].channel != CHANNEL_RAW ||
        slice->entries[at - 1].due_ns != slice->entries[at].due_ns)
        return false;
    const struct event_text one = raw_frame(rows, slice->entries[at - 1].row);
    const struct event_text other = raw_frame(rows, slice->entries[at].row);
    return one.size == other.size && memcmp(one.bytes, other.bytes, one.size) == 0;
}

static bool beside_a_row(int64_t reason)
{
    return reason == RAW_UNKNOWN_KEY || reason == RAW_INCONSISTENT || reason == RAW_KEPT;
}

// The event's symbol by the number it has here; SYMBOL_NONE: it is not played.
static uint32_t event_symbol(const struct replay_raw *raw, const struct event *event)
{
    uint32_t number;
    if (event->symbol == SYMBOL_NONE) return SYMBOL_NONE;
    const struct symbol_name *name = symbols_name(raw->symbols, event->symbol);
    const struct event_text text = {(const uint8_t *)name->text, name->size};
    return ringtape_names_find(raw->streams->names, &text, &number) ? number : SYMBOL_NONE;
}

// What the raw row belongs to, by one exchange's dialect.
static bool pair_by(struct replay_raw *raw, struct replay_slice *slice, uint32_t at,
                    uint8_t exchange)
{
    static struct event event;
    const uint32_t row = slice->entries[at].row;
    const struct event_text bytes = raw_frame(&slice->rows[CHANNEL_RAW], row);
    if (!raw_read(raw, &bytes, exchange, &event)) return false;
    const uint32_t symbol = event_symbol(raw, &event);
    if (symbol == SYMBOL_NONE) return false;
    struct replay_entry *pair = pair_find(raw, slice, at, &event, symbol);
    raw->pair[row] = (struct replay_raw_pair){.symbol = symbol};
    if (pair == NULL) return false;
    pair->skipped = true;
    raw->pair[row] = (struct replay_raw_pair){symbol, pair->row, pair->channel};
    return true;
}

static void pair_one(struct replay_raw *raw, struct replay_slice *slice, uint32_t at)
{
    struct replay_entry *entry = &slice->entries[at];
    const struct rows *rows = &slice->rows[CHANNEL_RAW];
    const uint32_t number = rows->symbol[entry->row];
    raw->pair[entry->row] = (struct replay_raw_pair){.symbol = number};
    if (same_as_before(slice, at)) {
        entry->skipped = true;
        return;
    }
    if (!beside_a_row(rows->value[RAW_REASON][entry->row])) return;
    if (number != SYMBOL_NONE) {
        const uint8_t exchange = replay_streams_symbol(raw->streams, number)->exchange;
        if (exchange != EXCHANGE_SIM_EXCHANGES) (void)pair_by(raw, slice, at, exchange);
        return;
    }
    // Messages that are kept have no symbol: spot and futures differ in their keys.
    for (uint8_t exchange = 0; exchange < EXCHANGE_SIM_EXCHANGES; exchange++)
        if (pair_by(raw, slice, at, exchange)) return;
}

bool replay_raw_pair(struct replay_raw *raw, struct replay_slice *slice)
{
    if (slice->rows[CHANNEL_RAW].schema == NULL || slice->rows[CHANNEL_RAW].count == 0) return true;
    if (!raw_allocate(raw)) return false;
    raw_symbols(raw, slice->symbol_count);
    if (!moments_fill(raw, slice)) return false;
    for (uint32_t i = 0; i < slice->count; i++)
        if (slice->entries[i].channel == CHANNEL_RAW) pair_one(raw, slice, i);
    return true;
}

// ---- publishing ----

static const struct exchange_sim_stream *stream_named(struct replay_raw *raw, uint32_t number,
                                                      const char *channel)
{
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    const struct event_text wire = replay_streams_wire(raw->streams, number);
    const size_t size = strlen(channel);
    struct exchange_sim_hub *hub = raw->streams->hub;
    if (wire.size + 1 + size > EXCHANGE_SIM_STREAM_NAME_MAX) return NULL;
    memcpy(name, wire.bytes, wire.size);
    name[wire.size] = '@';
    memcpy(name + wire.size + 1, channel, size);
    const uint32_t stream = exchange_sim_hub_stream(
        hub,
        (enum exchange_sim_exchange)replay_streams_symbol(raw->streams, number)->exchange, name,
        wire.size + 1 + (uint32_t)size);
    return stream == EXCHANGE_SIM_STREAM_NONE ? NULL : &hub->streams[stream];
}

// By the first of these words that stands in it; a message that names none goes to the first stream
// with subscribers.
static const struct exchange_sim_stream *stream_guessed(struct replay_raw *raw, uint32_t number,
                                                        const struct event_text *bytes)
{
    static const char *const words[][2] = {
        {"aggTrade", "aggTrade"}, {"depthUpdate", "depth"}, {"bookTicker", "bookTicker"},
        {"24hrTicker", "ticker"}, {"orderbook", "orderbook"}, {"ticker", "ticker"},
        {"trade", "trade"},       {"", "bookTicker"},       {"", "trade"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const size_t size = strlen(words[i][0]);
        if (size > 0 && memmem(bytes->bytes, bytes->size, words[i][0], size) == NULL) continue;
        const struct exchange_sim_stream *stream = stream_named(raw, number, words[i][1]);
        if (stream != NULL && stream->subscriber_count > 0) return stream;
    }
    return NULL;
}

void replay_raw_publish(struct replay_raw *raw, const struct replay_slice *slice,
                        const struct replay_entry *entry)
{
    const struct rows *rows = &slice->rows[CHANNEL_RAW];
    const struct exchange_sim_stream *stream = NULL;
    if (entry->skipped) return;
    const struct event_text bytes = raw_frame(rows, entry->row);
    const struct replay_raw_pair pair = raw->pair[entry->row];
    const uint32_t number = pair.symbol;
    if (number == SYMBOL_NONE ||
        replay_streams_symbol(raw->streams, number)->exchange == EXCHANGE_SIM_EXCHANGES) {
        raw->unplaced++;
        return;
    }
    if (pair.channel != 0) {
        char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
        if (replay_streams_name(raw->streams, &slice->rows[pair.channel], pair.row, name) > 0)
            stream = stream_named(raw, number, strchr(name, '@') + 1);
    } else {
        stream = stream_guessed(raw, number, &bytes);
    }
    const struct exchange_sim_part part = {bytes.bytes, bytes.size};
    const bool upbit = stream != NULL && stream->exchange == EXCHANGE_SIM_UPBIT;
    for (uint32_t i = 0; stream != NULL && i < stream->subscriber_count; i++) {
        struct exchange_sim_connection *connection = stream->subscribers[i].connection;
        if (connection->state != EXCHANGE_SIM_STREAMING) continue;
        exchange_sim_connection_frame(connection, upbit ? WEBSOCKET_BINARY : WEBSOCKET_TEXT,
                                      &part, 1);
        raw->streams->hub->sent++;
    }
    raw->unplaced += stream == NULL;
}
