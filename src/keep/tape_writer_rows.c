// SPDX-License-Identifier: GPL-3.0-or-later
//
// Rows of the open batch: given to the encoder, and moved to the other batch when those in front
// are on tape for good.
#include <string.h>

#include "format/ensure.h"
#include "keep/tape_writer_inside.h"

static struct event_text symbol_text(const void *context, uint32_t symbol)
{
    const struct symbol_name *name = symbols_name(context, symbol);
    return (struct event_text){.bytes = (const uint8_t *)name->text, .size = name->size};
}

struct tape_batch_input tape_writer_input(const struct tape_writer *writer,
                                          const struct batch *batch, uint32_t written)
{
    struct tape_batch_input input = {
        .count = batch->count,
        .written = written,
        .symbol = symbol_text,
        .symbol_context = writer->options.symbols,
    };
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        input.rows[c] = batch->rows[c];
        input.arrival[c] = batch->arrival[c];
    }
    return input;
}

// The channel whose next unmoved row has arrival number `number`.
static int channel_of(const struct batch *source, const uint32_t *next, uint32_t number)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (source->rows[c] && next[c] < source->rows[c]->count &&
            source->arrival[c][next[c]] == number)
            return c;
    }
    ensure(!"every number belongs to a row");
    return 0;
}

// Copies rows [from, count) of `source`, in order of arrival, behind those of `target`.
static void move_rows(struct tape_writer *writer, const struct batch *source, uint32_t from,
                      struct batch *target)
{
    uint32_t next[CHANNEL_COUNT] = {0};
    for (uint32_t number = 0; number < source->count; number++) {
        int channel = channel_of(source, next, number);
        uint32_t row = next[channel]++;
        if (number < from)
            continue;
        rows_get(source->rows[channel], row, &writer->event, writer->levels);
        ensure(batch_append(target, &writer->event));
    }
}

void tape_writer_drop_written(struct tape_writer *writer)
{
    struct batch *source = writer->batch;
    move_rows(writer, source, writer->written, writer->spare);
    batch_clear(source);
    writer->batch = writer->spare;
    writer->spare = source;
    writer->written = 0;
}
