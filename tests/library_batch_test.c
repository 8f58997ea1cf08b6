// SPDX-License-Identifier: GPL-3.0-or-later
//
// Batches by the public header: what a consumer of Kafka gets is what was encoded, each row from
// the one he asks for on, once; damage is an error.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "format/ringtape.h"
#include "tests/tape_fixture.h"

enum { FIRST = 5000, TAPE = 77 };

static struct ringtape_message message;

static int64_t encoded(struct tape_fixture *fixture, uint64_t seed)
{
    struct format_random random = {seed};
    struct tape_batch_place place = {.salt = 7, .sequence = 3, .first_row = FIRST};
    do fixture_fill(fixture, &random, random_below(&random, 60), false);
    while (fixture->input.count == 0);
    return tape_encode_batch(fixture->encoder, &place, &fixture->input, 0, fixture->buffer,
                             FIXTURE_BUFFER_BYTES);
}

static uint32_t row_of(const struct tape_fixture *fixture, enum channel channel, uint64_t number)
{
    uint32_t row = 0;
    while (FIRST + fixture->arrival[channel][row] != number) row++;
    cr_assert_lt(row, fixture->rows[channel]->count);
    return row;
}

static void check_row(const struct tape_fixture *fixture, enum channel channel,
                      const struct ringtape_chunk *chunk, uint32_t r)
{
    const struct rows *rows = fixture->rows[channel];
    uint32_t row = row_of(fixture, channel, chunk->tape_row[r]);
    cr_assert_eq(chunk->tape[r], TAPE);
    cr_assert_eq(chunk->time[r], rows_time_ns(rows, row));
    cr_assert_eq(chunk->present[r], rows->present[row]);
    cr_assert_eq(chunk->symbol[r] == RINGTAPE_NO_SYMBOL, rows->symbol[row] == SYMBOL_NONE);
    if (rows->symbol[row] != SYMBOL_NONE) {
        struct event_text name = fixture_symbol(fixture, rows->symbol[row]);
        const struct ringtape_text *read = &chunk->symbols[chunk->symbol[r]];
        cr_assert(read->size == name.size && memcmp(read->bytes, name.bytes, name.size) == 0);
    }
    for (int c = 0; c < rows->schema->column_count; c++) {
        int64_t value = rows->value[c] != NULL ? rows->value[c][row] : 0;
        if (rows->value[c] == NULL) continue;
        if (rows->scale[c] != NULL)
            cr_assert(ringtape_rescale(value, rows->scale[c][row], chunk->column[c].scale, &value));
        cr_assert_eq(chunk->column[c].value[r], value);
    }
}

static void check(const struct tape_fixture *fixture, int64_t size, uint64_t from)
{
    struct ringtape_batch *batch;
    struct ringtape_chunk chunk;
    const char *name;
    uint64_t count = 0;
    cr_assert_eq(ringtape_batch_open(&batch, fixture->buffer, (size_t)size, TAPE, from, &message),
                 0, "%s", message.text);
    uint64_t end = FIRST + fixture->input.count;
    cr_assert_eq(ringtape_batch_end(batch), end);
    while (ringtape_batch_next(batch, &name, &chunk, &message) > 0) {
        enum channel channel = channel_by_name(name);
        for (uint32_t r = 0; r < chunk.rows; r++) {
            cr_assert(chunk.tape_row[r] >= from && chunk.tape_row[r] < end);
            cr_assert(r == 0 || chunk.tape_row[r] > chunk.tape_row[r - 1]);
            check_row(fixture, channel, &chunk, r);
        }
        count += chunk.rows;
    }
    cr_assert_eq(count, end - (from > FIRST ? from : FIRST), "each row once");
    ringtape_batch_close(batch);
}

Test(library_batch, a_batch_gives_its_rows_from_the_wanted_one_on)
{
    struct tape_fixture *fixture = fixture_open();
    for (uint64_t seed = 1; seed < 60; seed++) {
        int64_t size = encoded(fixture, seed);
        check(fixture, size, 0);
        check(fixture, size, FIRST + fixture->input.count / 2);
        check(fixture, size, FIRST + fixture->input.count);
    }
    fixture_close(fixture);
}

Test(library_batch, what_is_no_whole_batch_is_an_error)
{
    struct tape_fixture *fixture = fixture_open();
    struct ringtape_batch *batch;
    int64_t size = encoded(fixture, 9);
    for (int64_t at = 0; at < size; at += at < 200 ? 1 : 37) {
        int cut = ringtape_batch_open(&batch, fixture->buffer, (size_t)at, TAPE, 0, &message);
        cr_assert_eq(cut, RINGTAPE_DAMAGED, "cut at %d", (int)at);
        fixture->buffer[at] ^= 16;
        int result = ringtape_batch_open(&batch, fixture->buffer, (size_t)size, TAPE, 0, &message);
        cr_assert(result == RINGTAPE_DAMAGED || result == RINGTAPE_NEWER, "byte %d", (int)at);
        cr_assert_gt(strlen(message.text), 0);
        fixture->buffer[at] ^= 16;
    }
    check(fixture, size, 0);
    fixture_close(fixture);
}
