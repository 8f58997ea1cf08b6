// SPDX-License-Identifier: GPL-3.0-or-later
//
// message: what all formats share; see message.h.
#include "publish/message.h"

#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/tape.h"
#include "publish/message_text.h"

static const char *const format_names[MESSAGE_FORMATS] = {"json", "avro", "batch"};

static const char *const topics[CHANNEL_COUNT] = {
    [MESSAGE_BATCHES] = "batches",
    [CHANNEL_TRADE] = "trades",   [CHANNEL_AGG_TRADE] = "agg_trades",
    [CHANNEL_QUOTE] = "quotes",   [CHANNEL_DEPTH] = "depth",
    [CHANNEL_BOOK] = "books",     [CHANNEL_TICKER] = "tickers",
    [CHANNEL_KLINE] = "klines",   [CHANNEL_CANDLE] = "candles",
    [CHANNEL_ALERT] = "alerts",   [CHANNEL_STATUS] = "status",
    [CHANNEL_RAW] = "raw",        [CHANNEL_INSTRUMENT] = "instruments",
};

const char *message_format_name(enum message_format format)
{
    ensure(format < MESSAGE_FORMATS);
    return format_names[format];
}

enum message_format message_format_by_name(const char *name)
{
    int format = 0;
    while (format < MESSAGE_FORMATS && strcmp(format_names[format], name) != 0) format++;
    return (enum message_format)format;
}

const char *message_topic(enum channel channel)
{
    ensure(channel < CHANNEL_COUNT);
    return topics[channel];
}

const char *message_schema(enum channel channel)
{
    ensure(channel < CHANNEL_COUNT);
    return channel == MESSAGE_BATCHES ? "tape" : channel_schema(channel)->name;
}

static char *identity_column(const struct rows *rows, uint32_t row, uint8_t c, char *out,
                             const char *end)
{
    const struct column *column = &rows->schema->columns[c];
    if (!(rows->present[row] >> c & 1)) return out;
    if (column->type == COLUMN_TEXT) {
        size_t size = rows->text_length[column->text][row];
        size = size < (size_t)(end - out) ? size : (size_t)(end - out);
        memcpy(out, rows->text + rows->text_offset[column->text][row], size);
        return out + size;
    }
    return end - out < MESSAGE_INTEGER_BYTES_MAX ? out : message_integer(out, rows->value[c][row]);
}

static char *identity_place(char *out, const char *store, struct message_place place)
{
    memcpy(out, store, MESSAGE_STORE_HEX_BYTES - 1);
    out += MESSAGE_STORE_HEX_BYTES - 1;
    *out++ = ':';
    out = message_integer(out, place.tape);
    *out++ = ':';
    return message_integer(out, (int64_t)place.row);
}

size_t message_identity(const struct rows *rows, uint32_t row, const char *store,
                        struct message_place place, char *out)
{
    const struct channel_schema *schema = rows->schema;
    if (schema->identity_count == 0) return (size_t)(identity_place(out, store, place) - out);
    const char *end = out + MESSAGE_IDENTITY_BYTES_MAX - sizeof schema->identity;
    char *at = out;
    for (uint8_t i = 0; i < schema->identity_count; i++) {
        if (i > 0) *at++ = ',';
        at = identity_column(rows, row, schema->identity[i], at, end);
    }
    return (size_t)(at - out);
}

size_t message_batch_identity(const char *store, struct message_place first, uint64_t end,
                              char *out)
{
    ensure(first.row < end && end <= INT64_MAX);
    char *at = identity_place(out, store, first);
    *at++ = ':';
    at = message_integer(at, (int64_t)end);
    return (size_t)(at - out);
}

uint64_t message_identity_hash(const void *key, uint32_t key_size, const void *identity,
                               uint32_t identity_size)
{
    return XXH3_64bits_withSeed(identity, identity_size, XXH3_64bits(key, key_size));
}

// ---- a row in either format, or a batch ----

void message_coder_init(struct message_coder *coder)
{
    message_json_init(&coder->json);
    message_avro_init(&coder->avro);
}

size_t message_bytes_max(const struct rows *rows, uint32_t row, uint32_t symbol_size)
{
    size_t json = message_json_bytes_max(rows, row, symbol_size);
    size_t avro = message_avro_bytes_max(rows, row, symbol_size);
    return json > avro ? json : avro;
}

size_t message_write(const struct message_coder *coder, enum message_format format,
                     const struct rows *rows, uint32_t row, struct event_text symbol,
                     struct message_place place, void *out, const char **why)
{
    ensure(format == MESSAGE_JSON || format == MESSAGE_AVRO);
    if (format == MESSAGE_AVRO)
        return message_avro_write(&coder->avro, rows, row, symbol, place, out, why);
    return message_json_write(&coder->json, rows, row, symbol, place, out);
}

enum message_format message_format_of(const void *value, size_t size)
{
    struct layout_batch header;
    if (size > 0 && *(const uint8_t *)value == MESSAGE_AVRO_MAGIC) return MESSAGE_AVRO;
    return tape_decode_header(value, size, &header) == TAPE_GOOD ? MESSAGE_BATCH : MESSAGE_JSON;
}

int64_t message_time_ns(const void *value, size_t size)
{
    struct layout_batch header;
    switch (message_format_of(value, size)) {
    case MESSAGE_AVRO: return message_avro_time_ns(value, size);
    case MESSAGE_BATCH: (void)tape_decode_header(value, size, &header); return header.time_max;
    case MESSAGE_JSON:
    case MESSAGE_FORMATS: break;
    }
    return message_json_time_ns(value, size);
}
