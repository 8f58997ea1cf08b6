// SPDX-License-Identifier: GPL-3.0-or-later
//
// recording: see recording.h.
#include "bench/recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/dialect.h"
#include "format/ensure.h"
#include "tests/format_random.h"

struct rows *recording_rows(enum channel channel, uint32_t count)
{
    const struct channel_schema *schema = channel_schema(channel);
    struct rows_limits limits = {count, schema->has_levels ? RECORDING_LEVELS_MAX : 0,
                                 schema->column_count ? RECORDING_TEXT_BYTES : 0};
    return random_rows_new(channel, limits);
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ensure(file && fseek(file, 0, SEEK_END) == 0);
    *size = (size_t)ftell(file);
    uint8_t *bytes = malloc(*size + DIALECT_FRAME_PADDING);
    ensure(bytes && fseek(file, 0, SEEK_SET) == 0);
    ensure(fread(bytes, 1, *size, file) == *size);
    memset(bytes + *size, 0, DIALECT_FRAME_PADDING);
    (void)fclose(file);
    return bytes;
}

static struct dialect_context recording_context(const struct dialect *dialect, const char *symbol)
{
    struct symbols *symbols = symbols_open(4);
    ensure(symbols);
    struct dialect_context context = {.symbols = symbols, .raw_symbol = SYMBOL_NONE};
    context.exchange = symbols_exchange(symbols, dialect->name);
    ensure(symbols_add(symbols, context.exchange, symbol, (uint32_t)strlen(symbol)) == 0);
    return context;
}

static void recording_frame(struct rows *rows, struct dialect_frame *frame, int64_t receive_ns)
{
    static struct event event;
    while (frame->dialect->next(frame, &event)) {
        if (event.channel != rows->schema->channel)
            continue;
        event_set(&event, COLUMN_RECEIVE_TIME, receive_ns);
        event_set(&event, COLUMN_LINK, 1);
        ensure(rows_append(rows, &event));
    }
}

void recording_read(struct rows *rows, const char *exchange, const char *symbol, const char *path)
{
    static struct event_level levels[EVENT_LEVELS_MAX];
    static struct dialect_frame frame;
    const struct dialect *dialect = dialect_by_name(exchange);
    ensure(dialect);
    struct dialect_context context = recording_context(dialect, symbol);
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    for (size_t at = 0; at < size;) {
        int64_t receive_ns;
        uint32_t length;
        memcpy(&receive_ns, bytes + at, sizeof receive_ns);
        memcpy(&length, bytes + at + 8, sizeof length);
        dialect_frame_begin(dialect, &frame, &context, bytes + at + 12, length, levels);
        recording_frame(rows, &frame, receive_ns);
        at += 12 + length;
    }
    free(bytes);
}
