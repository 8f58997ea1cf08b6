// SPDX-License-Identifier: GPL-3.0-or-later
//
// A writer of tapes in memory for tests: rows of all channels with their arrival numbers, an
// encoder, a file image. Threading and ownership: one test.
#ifndef RINGTAPE_TESTS_TAPE_FIXTURE_H
#define RINGTAPE_TESTS_TAPE_FIXTURE_H

#include <stdio.h>
#include <xxhash.h>

#include "format/tape.h"
#include "tests/format_random.h"

enum {
    FIXTURE_ROWS_MAX = 1200,
    FIXTURE_SYMBOLS = 20,
    FIXTURE_BUFFER_BYTES = 16 << 20,
};

struct tape_fixture {
    struct tape_batch_input input;
    struct rows *rows[CHANNEL_COUNT];
    uint32_t arrival[CHANNEL_COUNT][FIXTURE_ROWS_MAX];
    struct tape_encoder *encoder;
    struct tape_cursor cursor;
    uint8_t *buffer;
    uint8_t *memory; // decoded batch
    size_t memory_size;
    struct event_level *levels; // [EVENT_LEVELS_MAX]
    char names[FIXTURE_SYMBOLS][24];
};

static inline struct event_text fixture_symbol(const void *context, uint32_t symbol)
{
    const struct tape_fixture *fixture = context;
    const char *name = fixture->names[symbol];
    return (struct event_text){(const uint8_t *)name, (uint32_t)strlen(name)};
}

static inline void *fixture_aligned(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    ensure(memory);
    return memory;
}

static inline struct tape_fixture *fixture_open(void)
{
    struct tape_fixture *fixture = calloc(1, sizeof *fixture);
    ensure(fixture);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (!schema)
            continue;
        uint32_t levels = schema->has_levels ? 20000 : 0;
        fixture->rows[c] = random_rows_new(
            (enum channel)c, (struct rows_limits){FIXTURE_ROWS_MAX, levels, 2 << 20});
        fixture->input.rows[c] = fixture->rows[c];
        fixture->input.arrival[c] = fixture->arrival[c];
    }
    for (int s = 0; s < FIXTURE_SYMBOLS; s++)
        (void)snprintf(fixture->names[s], sizeof fixture->names[s], "binance:SYM%dUSDT", s * s);
    fixture->input.symbol = fixture_symbol;
    fixture->input.symbol_context = fixture;
    fixture->encoder =
        tape_encoder_init(fixture_aligned(tape_encoder_bytes(FIXTURE_SYMBOLS)), FIXTURE_SYMBOLS);
    fixture->buffer = fixture_aligned(FIXTURE_BUFFER_BYTES);
    fixture->levels = calloc(EVENT_LEVELS_MAX, sizeof *fixture->levels);
    static uint8_t sector[LAYOUT_SECTOR];
    struct tape_description what = {.salt = 77, .number = 1};
    tape_header_encode(&what, sector, &fixture->cursor);
    return fixture;
}

static inline void fixture_close(struct tape_fixture *fixture)
{
    for (int c = 0; c < CHANNEL_COUNT; c++)
        free(fixture->rows[c]);
    free(fixture->encoder);
    free(fixture->buffer);
    free(fixture->memory);
    free(fixture->levels);
    free(fixture);
}

static inline void fixture_clear(struct tape_fixture *fixture)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (fixture->rows[c])
            rows_clear(fixture->rows[c]);
    }
    fixture->input.count = 0;
    fixture->input.written = 0;
}

static inline bool fixture_append(struct tape_fixture *fixture, const struct event *event)
{
    struct rows *rows = fixture->rows[event->channel];
    uint32_t row = rows->count;
    if (!rows_append(rows, event))
        return false;
    fixture->arrival[event->channel][row] = fixture->input.count++;
    return true;
}

static inline void fixture_add(struct tape_fixture *fixture, struct format_random *random,
                               enum channel channel, uint32_t count)
{
    struct rows *rows = fixture->rows[channel];
    uint32_t row = rows->count;
    random_rows(random, rows, count, FIXTURE_SYMBOLS);
    for (; row < rows->count; row++)
        fixture->arrival[channel][row] = fixture->input.count++;
}

// New rows of several channels in a few alternating runs.
static inline void fixture_fill(struct tape_fixture *fixture, struct format_random *random,
                                uint32_t runs, bool one_channel)
{
    fixture_clear(fixture);
    enum channel channel = CHANNEL_TRADE;
    for (uint32_t run = 0; run < runs; run++) {
        if (!one_channel)
            channel = (enum channel)random_below(random, CHANNEL_COUNT);
        if (channel_schema(channel))
            fixture_add(fixture, random, channel, 1 + random_below(random, 12));
    }
}

static inline enum tape_error fixture_decode(struct tape_fixture *fixture, const void *bytes,
                                             size_t size, struct tape_batch *batch)
{
    struct layout_batch header;
    size_t needed;
    enum tape_error error = tape_check_batch(bytes, size, &header, &needed);
    if (error != TAPE_GOOD)
        return error;
    if (needed > fixture->memory_size) {
        free(fixture->memory);
        fixture->memory = fixture_aligned(needed);
        fixture->memory_size = needed;
    }
    return tape_decode_batch(bytes, size, fixture->memory, needed, batch);
}

static inline bool fixture_row_equal(const struct tape_fixture *fixture, int c, uint32_t row,
                                     const struct tape_batch *batch, uint32_t batch_row)
{
    const struct rows *rows = fixture->rows[c];
    uint32_t symbol = rows->symbol[row];
    uint32_t found = batch->rows[c].symbol[batch_row];
    if ((symbol == SYMBOL_NONE) != (found == SYMBOL_NONE))
        return false;
    if (symbol != SYMBOL_NONE) {
        struct event_text name = fixture_symbol(fixture, symbol);
        if (name.size != batch->symbols[found].size ||
            memcmp(name.bytes, batch->symbols[found].bytes, name.size) != 0)
            return false;
    }
    return random_row_equal(rows, row, &batch->rows[c], batch_row);
}

// The batch holds exactly the fixture's rows with arrival numbers from `from`.
static inline bool fixture_equal(const struct tape_fixture *fixture, uint32_t from,
                                 const struct tape_batch *batch)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        uint32_t at = 0;
        for (uint32_t r = 0; fixture->rows[c] && r < fixture->rows[c]->count; r++) {
            if (fixture->arrival[c][r] < from)
                continue;
            if (at == batch->rows[c].count ||
                batch->arrival[c][at] != fixture->arrival[c][r] - from ||
                !fixture_row_equal(fixture, c, r, batch, at))
                return false;
            at++;
        }
        if (at != batch->rows[c].count)
            return false;
    }
    return true;
}

// Makes a changed batch look genuine.
static inline void fixture_forge_hashes(uint8_t *bytes, size_t size)
{
    struct layout_batch header;
    memcpy(&header, bytes, sizeof header);
    size_t payload = size - sizeof header;
    if (header.payload_bytes < payload)
        payload = header.payload_bytes;
    header.payload_hash = XXH3_64bits(bytes + sizeof header, payload);
    header.hash = XXH3_64bits(&header, sizeof header - sizeof header.hash);
    memcpy(bytes, &header, sizeof header);
}

#endif
