// SPDX-License-Identifier: GPL-3.0-or-later
//
// One allocation holds all channels; the pages of a channel nobody uses are never touched.
#include "keep/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/ensure.h"

static struct rows_limits limits_of(const struct channel_schema *schema)
{
    bool wide = schema->channel == CHANNEL_RAW || schema->channel == CHANNEL_INSTRUMENT;
    bool fast = schema->channel <= CHANNEL_DEPTH;
    return (struct rows_limits){
        .rows = fast ? BATCH_ROWS_MAX : BATCH_ROWS_SLOW_MAX,
        .levels = schema->has_levels ? BATCH_LEVELS_MAX : 0,
        .text_bytes = wide ? BATCH_TEXT_BYTES_WIDE_MAX : BATCH_TEXT_BYTES_MAX,
    };
}

static size_t aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

// Bytes of one channel: its struct, its arrays, its arrival numbers.
static size_t channel_bytes(const struct channel_schema *schema)
{
    struct rows_limits limits = limits_of(schema);
    return aligned(sizeof(struct rows)) + aligned(rows_memory_bytes(schema, &limits)) +
           aligned(BATCH_ROWS_MAX * sizeof(uint32_t));
}

static size_t batch_bytes(void)
{
    size_t bytes = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema)
            bytes += channel_bytes(schema);
    }
    return bytes;
}

static void place_channel(struct batch *batch, const struct channel_schema *schema, uint8_t *memory)
{
    struct rows_limits limits = limits_of(schema);
    enum channel channel = schema->channel;
    batch->rows[channel] = (struct rows *)(void *)memory;
    memory += aligned(sizeof(struct rows));
    rows_init(batch->rows[channel], schema, &limits, memory);
    memory += aligned(rows_memory_bytes(schema, &limits));
    batch->arrival[channel] = (uint32_t *)(void *)memory;
}

int batch_open(struct batch *batch)
{
    *batch = (struct batch){0};
    // mmap: zero pages, untouched ones cost nothing.
    void *memory = mmap(NULL, batch_bytes(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    batch->memory = memory;
    uint8_t *place = memory;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (!schema)
            continue;
        ensure(schema->channel == (enum channel)c);
        place_channel(batch, schema, place);
        place += channel_bytes(schema);
    }
    ensure(place == (uint8_t *)memory + batch_bytes());
    return 0;
}

void batch_close(struct batch *batch)
{
    ensure(batch->memory);
    ensure(munmap(batch->memory, batch_bytes()) == 0);
    *batch = (struct batch){0};
}

void batch_clear(struct batch *batch)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (batch->rows[c] && batch->rows[c]->count != 0)
            rows_clear(batch->rows[c]);
    }
    batch->count = 0;
}

bool batch_append(struct batch *batch, const struct event *event)
{
    ensure(event->channel < CHANNEL_COUNT);
    struct rows *rows = batch->rows[event->channel];
    ensure(rows);
    uint32_t row = rows->count;
    if (!rows_append(rows, event))
        return false;
    batch->arrival[event->channel][row] = batch->count++;
    return true;
}
