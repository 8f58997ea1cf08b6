// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: whatever bytes a frame holds, both scanners give the same events; every event survives
// rows_append() and rows_get(); a raw row quotes bytes of the frame; only a reply or a
// shutdown gives nothing. The first byte chooses market and kind of stream.
#include "dialect_support.h"
#include "format/ensure.h"
#include "format/rows.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES_MAX = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct event *event)
{
    static const struct rows_limits limits = {1, FRAME_BYTES_MAX, 8 * FRAME_BYTES_MAX};
    static struct rows rows[CHANNEL_COUNT];
    static struct event_level levels[FRAME_BYTES_MAX];
    static struct event stored;
    struct rows *own = &rows[event->channel];
    if (own->schema == NULL) {
        const struct channel_schema *schema = channel_schema(event->channel);
        void *memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
        ensure(memory != NULL);
        rows_init(own, schema, &limits, memory);
    }
    rows_clear(own);
    ensure(rows_append(own, event));
    rows_get(own, 0, &stored, levels);
    ensure(dialect_support_equal(event, &stored));
}

static void check_events(struct dialect_support *support, const uint8_t *data, uint32_t size)
{
    static struct event event;
    uint32_t events = 0;
    dialect_support_begin(support, data, size, 0);
    const struct dialect_frame *frame = &support->frame;
    for (; support->dialect->next(&support->frame, &event); events++) {
        round_trip(&event);
        if (event.channel != CHANNEL_RAW)
            continue;
        const struct event_text quoted = event_text(&event, RAW_FRAME);
        ensure(quoted.bytes >= frame->bytes);
        ensure(quoted.bytes + quoted.size <= frame->bytes + frame->size);
    }
    ensure((frame->kind == DIALECT_FRAME_EVENTS) == (events > 0));
    ensure(frame->reply.size == 0 || frame->reply.bytes + frame->reply.size <= frame->bytes + size);
}

static void ignore(void *context, const struct event *event, const char *symbol,
                   uint32_t symbol_size, bool trading)
{
    ensure(context == NULL);
    ensure(event->channel == CHANNEL_INSTRUMENT);
    ensure(symbol != NULL && symbol_size < FRAME_BYTES_MAX);
    ensure(trading || !trading);
    round_trip(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dialect_support supports[2];
    if (size < 1 || size > FRAME_BYTES_MAX)
        return 0;
    struct dialect_support *support = &supports[data[0] & 1];
    if (support->dialect == NULL)
        dialect_support_open(support, (data[0] & 1) != 0 ? "binance-usdm" : "binance",
                             "BTCUSDT ETHUSDT BNBBTC 币安人生USDT 1000PEPEUSDT");
    support->context.raw_symbol = (data[0] & 2) != 0 ? 0 : SYMBOL_NONE;
    support->context.raw_stream = (data[0] & 4) != 0 ? "btcusdt@depth5" : NULL;
    (void)dialect_support_compare(support, data + 1, (uint32_t)size - 1, NULL);
    check_events(support, data + 1, (uint32_t)size - 1);
    (void)support->dialect->instruments(data + 1, (uint32_t)size - 1, ignore, NULL);
    return 0;
}
