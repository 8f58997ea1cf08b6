// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: a tape with any damage gives only rows it held, each at most once; what the reader
// counts as given and lost never exceeds what was written. The input is edits to a good tape: a
// byte (offset, value), or a whole sector that lies elsewhere, too, or is another tape's header.
#include "format/recover.h"
#include "tests/tape_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TAPE_BYTES = 512 << 10, TAPE_WRITES = 30 };

struct fuzz_tape {
    struct tape_fixture *fixture;
    uint8_t *bytes;
    uint8_t *edited;
    uint8_t mark[2 * LAYOUT_SECTOR];
    uint8_t other_header[LAYOUT_SECTOR];
    uint32_t rows;
};

static void add_rows(struct fuzz_tape *tape, uint32_t count)
{
    static struct event event;
    for (uint32_t i = 0; i < count; i++) {
        event_clear(&event, CHANNEL_TRADE, tape->rows % FIXTURE_SYMBOLS);
        event_set(&event, TRADE_TIME, tape->rows * 1000000ll);
        event_set(&event, TRADE_ID, ++tape->rows);
        ensure(fixture_append(tape->fixture, &event));
    }
}

static void write_tape(struct fuzz_tape *tape)
{
    struct format_random random = {9};
    struct tape_fixture *fixture = tape->fixture;
    static uint8_t sector[LAYOUT_SECTOR];
    for (int i = 0; i < TAPE_WRITES; i++) {
        struct tape_write write;
        if (random_below(&random, 3) == 0)
            fixture_clear(fixture);
        add_rows(tape, random_below(&random, 4) == 0 ? 400 : 1 + random_below(&random, 9));
        ensure(tape_append(fixture->encoder, &fixture->cursor, &fixture->input, fixture->buffer,
                           FIXTURE_BUFFER_BYTES, &write) == 0);
        ensure(write.offset + write.bytes <= TAPE_BYTES);
        memcpy(tape->bytes + write.offset, fixture->buffer, write.bytes);
        tape_acknowledge(&fixture->cursor, &write);
        fixture_clear(fixture);
    }
    uint64_t offset = tape_mark_encode(&fixture->cursor, true, sector);
    memcpy(tape->mark + offset, sector, sizeof sector);
}

static void open_tape(struct fuzz_tape *tape)
{
    struct tape_description what = {.salt = 4711, .number = 1};
    tape->fixture = fixture_open();
    tape->bytes = calloc(1, TAPE_BYTES);
    tape->edited = malloc(TAPE_BYTES);
    ensure(tape->bytes && tape->edited);
    tape_header_encode(&what, tape->bytes, &tape->fixture->cursor);
    write_tape(tape);
    const struct tape_description other = {.salt = 815, .number = 2};
    struct tape_cursor cursor;
    tape_header_encode(&other, tape->other_header, &cursor);
}

static void edit_tape(struct fuzz_tape *tape, const uint8_t *edit)
{
    const uint32_t at = edit[0] | (uint32_t)edit[1] << 8 | (uint32_t)(edit[2] & 0x7f) << 16;
    uint8_t *sector = tape->edited + at % (TAPE_BYTES / LAYOUT_SECTOR) * LAYOUT_SECTOR;
    if (edit[2] < 0x80)
        tape->edited[at % TAPE_BYTES] = edit[3];
    else if (edit[3] < TAPE_BYTES / LAYOUT_SECTOR)
        memcpy(sector, tape->bytes + edit[3] * (size_t)LAYOUT_SECTOR, LAYOUT_SECTOR);
    else
        memcpy(sector, tape->other_header, LAYOUT_SECTOR);
}

static void see_batch(struct fuzz_tape *tape, const struct tape_item *item, uint8_t *seen)
{
    struct tape_batch batch;
    ensure(fixture_decode(tape->fixture, item->bytes, item->size, &batch) == TAPE_GOOD);
    const struct rows *rows = &batch.rows[CHANNEL_TRADE];
    for (uint32_t r = item->rows_before; r < rows->count; r++) {
        int64_t id = rows->value[TRADE_ID][r];
        ensure(id > 0 && id <= tape->rows);
        ensure(rows->value[TRADE_TIME][r] == (id - 1) * 1000000);
        ensure(seen[id]++ == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_tape tape;
    static uint8_t seen[1 << 16];
    if (!tape.bytes)
        open_tape(&tape);
    memcpy(tape.edited, tape.bytes, TAPE_BYTES);
    for (size_t i = 0; i + 4 <= size; i += 4) edit_tape(&tape, data + i);
    struct source source = source_of_memory(tape.edited, TAPE_BYTES);
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error;
    const uint8_t *mark = size % 2 ? tape.mark : NULL;
    const uint32_t number = size & 2 ? 1 : 0; // the tape's, or not known
    if (tape_reader_open(&reader, &source, number, mark, sizeof tape.mark, &error))
        return 0;
    memset(seen, 0, sizeof seen);
    while (tape_reader_next(&reader, &item) == 1) {
        if (!item.is_damage)
            see_batch(&tape, &item, seen);
    }
    ensure(reader.rows <= tape.rows && reader.rows_lost <= tape.rows);
    tape_reader_close(&reader);
    return 0;
}
