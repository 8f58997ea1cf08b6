// SPDX-License-Identifier: Apache-2.0
//
// The public header's batches: one encoded batch, decoded in memory, given out channel by channel.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/library_inside.h"
#include "format/tape.h"

struct ringtape_batch {
    uint8_t *bytes;
    void *memory; // `batch` points into both
    struct tape_batch batch;
    uint32_t tape;
    uint64_t from;
    int channel; // given, or being given
    uint32_t given; // rows of `chunk`
    struct store_chunk chunk;
    uint32_t *index;
    uint32_t *tapes;
    uint64_t *numbers; // rows of the tape
    struct library_chunk made;
};

void ringtape_batch_close(struct ringtape_batch *batch)
{
    if (!batch)
        return;
    library_chunk_close(&batch->made);
    free(batch->bytes);
    free(batch->memory);
    free(batch->index);
    free(batch->tapes);
    free(batch->numbers);
    free(batch);
}

// 0, or -ENOMEM.
static int take_memory(struct ringtape_batch *batch, const void *bytes, size_t size,
                       const struct layout_batch *header, size_t memory_bytes)
{
    batch->bytes = aligned_alloc(64, (size + 63) & ~(size_t)63);
    batch->memory = aligned_alloc(64, (memory_bytes + 63) & ~(size_t)63);
    batch->index = calloc(header->rows + 1u, sizeof *batch->index);
    batch->tapes = calloc(header->rows + 1u, sizeof *batch->tapes);
    batch->numbers = calloc(header->rows + 1u, sizeof *batch->numbers);
    if (!batch->bytes || !batch->memory || !batch->index || !batch->tapes || !batch->numbers)
        return -ENOMEM;
    memcpy(batch->bytes, bytes, size);
    return 0;
}

// 0, -ENOMEM, or what *error says: -EPROTONOSUPPORT, -EBADMSG.
static int decode(struct ringtape_batch *batch, const void *bytes, size_t size,
                  enum tape_error *error)
{
    struct layout_batch header;
    size_t memory_bytes = 0;
    *error = TAPE_SHORT;
    if (size <= TAPE_BATCH_BYTES_MAX)
        *error = tape_check_batch(bytes, size, &header, &memory_bytes);
    if (*error != TAPE_GOOD)
        return *error == TAPE_NEWER ? -EPROTONOSUPPORT : -EBADMSG;
    if (take_memory(batch, bytes, size, &header, memory_bytes) < 0)
        return -ENOMEM;
    *error = tape_decode_batch(batch->bytes, size, batch->memory, memory_bytes, &batch->batch);
    return *error == TAPE_GOOD ? 0 : -EBADMSG;
}

int ringtape_batch_open(struct ringtape_batch **out, const void *bytes, size_t size, uint32_t tape,
                        uint64_t from, struct ringtape_message *message)
{
    enum tape_error error = TAPE_GOOD;
    struct ringtape_batch *batch = calloc(1, sizeof *batch);
    int result = batch ? decode(batch, bytes, size, &error) : -ENOMEM;
    if (result < 0) {
        ringtape_batch_close(batch);
        return library_fail(message, result, NULL,
                            result == -ENOMEM ? NULL : tape_error_text(error));
    }
    batch->tape = tape;
    batch->from = from;
    *out = batch;
    return 0;
}

uint64_t ringtape_batch_end(const struct ringtape_batch *batch)
{
    return batch->batch.header.first_row + batch->batch.header.rows;
}

// Rows of the channel that are wanted.
static void choose_rows(struct ringtape_batch *batch)
{
    const struct rows *rows = &batch->batch.rows[batch->channel];
    uint32_t count = 0;
    ensure(rows->count <= batch->batch.header.rows);
    for (uint32_t r = 0; r < rows->count; r++) {
        batch->tapes[r] = batch->tape;
        batch->numbers[r] = batch->batch.header.first_row +
                            batch->batch.arrival[batch->channel][r];
        if (batch->numbers[r] >= batch->from)
            batch->index[count++] = r;
    }
    batch->given = 0;
    batch->chunk = (struct store_chunk){.rows = rows,
                                        .index = batch->index,
                                        .count = count,
                                        .symbols = batch->batch.symbols,
                                        .symbol_count = batch->batch.header.symbols,
                                        .tape = batch->tapes,
                                        .tape_row = batch->numbers};
}

int ringtape_batch_next(struct ringtape_batch *batch, const char **channel,
                        struct ringtape_chunk *chunk, struct ringtape_message *message)
{
    *chunk = (struct ringtape_chunk){0};
    while (batch->given == batch->chunk.count) {
        if (batch->channel + 1 >= CHANNEL_COUNT)
            return 0;
        batch->channel++;
        if (batch->batch.rows[batch->channel].count > 0)
            choose_rows(batch);
    }
    uint32_t count = batch->chunk.count - batch->given;
    int error = library_chunk_make(&batch->made, &batch->chunk, batch->given, &count, UINT64_MAX,
                                   chunk);
    if (error < 0)
        return library_fail(message, error, NULL, NULL);
    batch->given += count;
    *channel = channel_schema((enum channel)batch->channel)->name;
    return 1;
}
