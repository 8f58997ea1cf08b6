// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: no bytes make the batch decoder leave its memory; what it accepts is encoded again to a
// batch that decodes to the same rows. The first byte says whether hashes are made right before,
// which is what a hostile writer would do and what lets mutations reach the columns.
#include <stdlib.h>

#include "tests/tape_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_text name_of(const void *context, uint32_t symbol)
{
    const struct tape_batch *batch = context;
    return batch->symbols[symbol];
}

static void encode_again(struct tape_fixture *fixture, const struct tape_batch *batch)
{
    static struct tape_encoder *encoder;
    static struct tape_batch_input input;
    if (!encoder)
        encoder = tape_encoder_init(fixture_aligned(tape_encoder_bytes(TAPE_BATCH_SYMBOLS_MAX)),
                                    TAPE_BATCH_SYMBOLS_MAX);
    input = (struct tape_batch_input){.symbol = name_of, .symbol_context = batch};
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        input.rows[c] = batch->rows[c].schema ? &batch->rows[c] : NULL;
        input.arrival[c] = batch->arrival[c];
        input.count += batch->rows[c].count;
    }
    if (input.count != batch->header.rows)
        return; // a channel unknown here
    struct tape_batch_place place = {.salt = 1, .sequence = 1};
    int64_t bytes = tape_encode_batch(encoder, &place, &input, 0, fixture->buffer,
                                      FIXTURE_BUFFER_BYTES);
    if (bytes < 0)
        return; // larger than the buffer
    struct tape_batch back;
    struct layout_batch header;
    size_t needed;
    ensure(tape_check_batch(fixture->buffer, (size_t)bytes, &header, &needed) == TAPE_GOOD);
    void *memory = fixture_aligned(needed);
    ensure(tape_decode_batch(fixture->buffer, (size_t)bytes, memory, needed, &back) == TAPE_GOOD);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        ensure(back.rows[c].count == batch->rows[c].count);
        for (uint32_t r = 0; r < back.rows[c].count; r++)
            ensure(random_row_equal(&back.rows[c], r, &batch->rows[c], r));
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tape_fixture *fixture;
    struct tape_batch batch;
    if (!fixture)
        fixture = fixture_open();
    if (size < 1 + LAYOUT_HEADER_BYTES)
        return 0;
    uint8_t *bytes = malloc(size - 1);
    ensure(bytes);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 2 == 0)
        fixture_forge_hashes(bytes, size - 1);
    if (fixture_decode(fixture, bytes, size - 1, &batch) == TAPE_GOOD)
        encode_again(fixture, &batch);
    free(bytes);
    return 0;
}
