// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: any flipped bit of a tape, a mark, a segment or an index gives no wrong row, costs one
// batch or block at most, and is reported; a tape cut at any byte at or behind the last
// acknowledged one gives back every acknowledged row. Method: small files in memory, every byte of
// them. (Catalogue: catalogue_test.c.)
#include <criterion/criterion.h>
#include <stdio.h>

#include "format/tape_reader.h"
#include "tests/segment_fixture.h"
#include "tests/tape_fixture.h"

// ---- a tape ----

enum { TAPE_BYTES = 64 * 1024, TAPE_BATCHES_MAX = 32 };

struct tape {
    struct tape_fixture *fixture;
    uint8_t bytes[TAPE_BYTES];
    uint8_t mark[2 * LAYOUT_SECTOR];
    uint8_t was[TAPE_BYTES]; // without damage
    struct tape_write write[TAPE_BATCHES_MAX];
    uint32_t write_count;
    uint64_t ids; // rows carry 1, 2, 3 ...
};

static struct tape *tape_open(void)
{
    struct tape *tape = calloc(1, sizeof *tape);
    cr_assert_not_null(tape);
    tape->fixture = fixture_open();
    struct tape_description what = {.salt = 4711, .number = 1};
    tape_header_encode(&what, tape->bytes, &tape->fixture->cursor);
    return tape;
}

static void tape_close(struct tape *tape)
{
    fixture_close(tape->fixture);
    free(tape);
}

static void tape_rows(struct tape *tape, uint32_t count)
{
    static struct event event;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = ++tape->ids;
        event_clear(&event, CHANNEL_TRADE, (uint32_t)(id % FIXTURE_SYMBOLS));
        event_set(&event, TRADE_TIME, (int64_t)id * 1000000);
        event_set(&event, TRADE_ID, (int64_t)id);
        event_set_decimal(&event, TRADE_PRICE, (int64_t)(id * 77777), 2);
        cr_assert(fixture_append(tape->fixture, &event));
    }
}

// `same`: the rows may join the last batch as its next revision.
static struct tape_write tape_put(struct tape *tape, uint32_t count, bool same, bool acknowledge)
{
    struct tape_fixture *fixture = tape->fixture;
    struct tape_write write;
    if (!same)
        fixture_clear(fixture);
    tape_rows(tape, count);
    cr_assert_eq(tape_append(fixture->encoder, &fixture->cursor, &fixture->input, fixture->buffer,
                             FIXTURE_BUFFER_BYTES, &write),
                 0);
    cr_assert_leq(write.end, TAPE_BYTES);
    memcpy(tape->bytes + write.offset, fixture->buffer, write.bytes);
    fixture->input.written = fixture->input.count;
    if (acknowledge)
        tape_acknowledge(&fixture->cursor, &write);
    tape->write[tape->write_count++] = write;
    return write;
}

static void tape_mark(struct tape *tape, bool closed)
{
    uint8_t sector[LAYOUT_SECTOR];
    uint64_t offset = tape_mark_encode(&tape->fixture->cursor, closed, sector);
    memcpy(tape->mark + offset, sector, sizeof sector);
}

// Thin and large batches, some in several revisions; acknowledged, not yet marked.
static struct tape *tape_filled(void)
{
    struct tape *tape = tape_open();
    (void)tape_put(tape, 3, false, true);
    (void)tape_put(tape, 2, true, true);
    (void)tape_put(tape, 1, true, true);
    (void)tape_put(tape, 400, false, true);
    tape_mark(tape, false);
    (void)tape_put(tape, 5, false, true);
    (void)tape_put(tape, 2, true, true);
    return tape;
}

struct found {
    uint64_t rows;
    uint64_t rows_lost;
    uint32_t batches;
    uint32_t damages; // of acknowledged data
};

static struct found tape_read(const struct tape *tape, uint64_t size, bool mark)
{
    static uint8_t seen[1 << 16];
    struct found found = {0};
    struct tape_reader reader;
    struct tape_item item;
    struct tape_batch batch;
    enum tape_error error;
    struct source source = source_of_memory(tape->bytes, size);
    memset(seen, 0, sizeof seen);
    cr_assert_eq(tape_reader_open(&reader, &source, 0, mark ? tape->mark : NULL, sizeof tape->mark,
                                  &error),
                 0);
    while (tape_reader_next(&reader, &item) == 1) {
        if (item.is_damage) {
            found.damages += item.damage.acknowledged;
            found.rows_lost += item.damage.rows;
            continue;
        }
        found.batches++;
        cr_assert_eq(fixture_decode(tape->fixture, item.bytes, item.size, &batch), TAPE_GOOD);
        const struct rows *rows = &batch.rows[CHANNEL_TRADE];
        for (uint32_t r = item.rows_before; r < rows->count; r++, found.rows++) {
            int64_t id = rows->value[TRADE_ID][r];
            cr_assert(id > 0 && (uint64_t)id <= tape->ids && seen[id]++ == 0, "row %d", (int)id);
            cr_assert_eq(rows->value[TRADE_PRICE][r], id * 77777);
            cr_assert_eq(rows->value[TRADE_TIME][r], id * 1000000);
        }
    }
    tape_reader_close(&reader);
    return found;
}

// Is the byte part of the header or of the last revision of a batch?
static bool counts(const struct tape *tape, uint64_t at)
{
    bool inside = at < LAYOUT_SECTOR;
    for (uint32_t i = 0; i < tape->write_count; i++) {
        const struct tape_write *write = &tape->write[i];
        bool last = i + 1 == tape->write_count || tape->write[i + 1].sequence != write->sequence;
        inside = inside || (last && at >= write->offset && at < write->offset + write->batch_bytes);
    }
    return inside;
}

Test(damage, any_bit_of_a_tape)
{
    struct tape *tape = tape_filled();
    tape_mark(tape, true);
    uint64_t end = tape->fixture->cursor.end;
    struct found whole = tape_read(tape, TAPE_BYTES, true);
    cr_assert_eq(whole.rows, tape->ids);
    for (uint64_t at = 0; at < end; at++) {
        uint8_t bit = (uint8_t)(1u << (at * 7 % 8));
        tape->bytes[at] ^= bit;
        struct found found = tape_read(tape, TAPE_BYTES, true);
        cr_assert_eq(found.rows + found.rows_lost, tape->ids, "byte %d", (int)at);
        cr_assert_eq(found.damages, counts(tape, at), "byte %d: %u", (int)at, found.damages);
        cr_assert(at >= LAYOUT_SECTOR || found.rows == tape->ids, "byte %d", (int)at);
        // A slotted batch falls back to its revision before.
        cr_assert_geq(found.batches + 1, whole.batches, "byte %d", (int)at);
        tape->bytes[at] ^= bit;
    }
    tape_close(tape);
}

Test(damage, any_bit_of_a_mark)
{
    struct tape *tape = tape_filled();
    tape_mark(tape, true);
    cr_assert(tape_mark_sound(tape->mark, sizeof tape->mark, 4711));
    for (size_t at = 0; at < sizeof tape->mark; at++) {
        for (int bit = 0; bit < 8; bit++) {
            tape->mark[at] ^= (uint8_t)(1u << bit);
            cr_assert_not(tape_mark_sound(tape->mark, sizeof tape->mark, 4711), "byte %zu", at);
            tape->mark[at] ^= (uint8_t)(1u << bit);
        }
        tape->mark[at] ^= 1;
        struct found found = tape_read(tape, TAPE_BYTES, true);
        cr_assert(found.rows == tape->ids && found.damages == 0, "byte %zu", at);
        tape->mark[at] ^= 1;
    }
    tape_close(tape);
}

// Behind the last acknowledged byte a write was under way: it is cut off anywhere, and what
// follows is the end of the file, zeros, or something else.
static void cut_life(uint32_t rows, bool same, bool mark)
{
    static const uint8_t fillers[] = {0, 0xa5};
    struct tape *tape = tape_filled();
    uint64_t acknowledged = tape->ids;
    struct tape_write last = tape->write[tape->write_count - 1];
    uint64_t from = last.offset + last.batch_bytes;
    if (mark)
        tape_mark(tape, false);
    memcpy(tape->was, tape->bytes, TAPE_BYTES);
    struct tape_write write = tape_put(tape, rows, same, false);
    uint64_t end = write.offset + write.bytes;
    uint8_t *written = malloc(TAPE_BYTES);
    memcpy(written, tape->bytes, TAPE_BYTES);
    for (uint64_t cut = from < write.offset ? write.offset : from; cut <= end; cut++) {
        struct found found = tape_read(tape, cut < from ? from : cut, mark);
        cr_assert_geq(found.rows, acknowledged, "cut at %d: %d", (int)cut, (int)found.rows);
        cr_assert_eq(found.damages, 0, "cut at %d", (int)cut);
        for (size_t f = 0; f < sizeof fillers; f++) {
            memset(tape->bytes + cut, fillers[f], end - cut);
            found = tape_read(tape, TAPE_BYTES, mark);
            cr_assert_geq(found.rows, acknowledged, "cut at %d", (int)cut);
            cr_assert_eq(found.damages, 0, "cut at %d", (int)cut);
            memcpy(tape->bytes, written, TAPE_BYTES);
        }
    }
    free(written);
    tape_close(tape);
}

Test(damage, a_cut_behind_the_last_acknowledged_byte)
{
    for (int mark = 0; mark < 2; mark++) {
        cut_life(1, true, mark);    // the other slot of the last batch
        cut_life(1, false, mark);   // a batch of its own, behind
        cut_life(500, false, mark); // of several sectors
    }
}

// ---- a segment ----

enum { SEGMENT_SYMBOLS = 3, SEGMENT_ROWS = 1100 }; // a block each

static struct segment_image segment_filled(struct rows **rows)
{
    struct segment_image image = {0};
    struct segment_writer *writer = image_begin(CHANNEL_TRADE);
    *rows = random_rows_new(CHANNEL_TRADE, (struct rows_limits){SEGMENT_ROWS, 0, 1 << 16});
    static struct event event;
    for (uint32_t i = 0; i < SEGMENT_ROWS; i++) {
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, COLUMN_RECEIVE_TIME, 1723161600000000000 + i * 1000);
        event_set(&event, COLUMN_FLAGS, 0);
        event_set(&event, TRADE_TIME, 1723161600000000000 + i * 1000000);
        event_set(&event, TRADE_ID, i + 1);
        event_set_decimal(&event, TRADE_PRICE, 50000 + i % 7, 2);
        cr_assert(rows_append(*rows, &event));
    }
    for (uint32_t s = 0; s < SEGMENT_SYMBOLS; s++)
        image_symbol(&image, writer, s, *rows);
    while (!segment_writer_finish(writer))
        image_put(&image, writer);
    image_put(&image, writer);
    const void *index = segment_writer_index(writer, &image.index_size);
    image.index = aligned_alloc(64, (image.index_size + 63) & ~(size_t)63);
    memcpy(image.index, index, image.index_size);
    segment_writer_close(writer);
    return image;
}

// Blocks that can be read; their rows are right.
static uint32_t good_blocks(struct segment *segment, const struct rows *rows)
{
    uint32_t good = 0;
    for (uint32_t b = 0; b < segment_index(segment)->block_count; b++) {
        struct segment_block block;
        if (segment_read(segment, b, UINT64_MAX, &block) != SEGMENT_GOOD)
            continue;
        good++;
        cr_assert_eq(block.rows->count, SEGMENT_ROWS);
        for (uint32_t r = 0; r < SEGMENT_ROWS; r++)
            cr_assert(image_row_equal(rows, r, block.rows, r));
    }
    return good;
}

Test(damage, any_bit_of_a_segment)
{
    struct rows *rows;
    struct segment_image image = segment_filled(&rows);
    size_t header = 0;
    for (size_t at = 0; at < image.size; at++) {
        uint8_t bit = (uint8_t)(1u << (at * 5 % 8));
        image.bytes[at] ^= bit;
        struct source source = source_of_memory(image.bytes, image.size);
        struct segment *segment = NULL;
        bool opened = segment_open(&segment, &source, at % 2 ? image.index : NULL,
                                   image.index_size) == SEGMENT_GOOD;
        header += !opened;
        if (opened)
            cr_assert_neq(segment_verify(segment, NULL, NULL), SEGMENT_GOOD, "byte %zu", at);
        else // what the header says is in the blocks, too
            cr_assert_eq(segment_open_headless(&segment, &source, NULL, 0, 12, 19944, 0),
                         SEGMENT_GOOD, "byte %zu", at);
        uint32_t good = good_blocks(segment, rows);
        cr_assert(good + opened >= SEGMENT_SYMBOLS, "byte %zu: %u blocks", at, good);
        segment_close(segment);
        image.bytes[at] ^= bit;
    }
    cr_assert(header > 100 && header < 8192, "%zu", header);
    free(image.bytes);
    free(image.index);
    free(rows);
}

Test(damage, any_bit_of_an_index)
{
    struct rows *rows;
    struct segment_image image = segment_filled(&rows);
    struct source source = source_of_memory(image.bytes, image.size);
    for (size_t bit = 0; bit < image.index_size * 8; bit++) {
        struct index index;
        image.index[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_not(index_open(&index, image.index, image.index_size), "bit %zu", bit);
        if (bit % 64 == 0) { // the segment does without
            struct segment *segment;
            cr_assert_eq(segment_open(&segment, &source, image.index, image.index_size),
                         SEGMENT_GOOD);
            cr_assert(segment_rebuilt(segment));
            cr_assert_eq(good_blocks(segment, rows), SEGMENT_SYMBOLS);
            segment_close(segment);
        }
        image.index[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    free(image.bytes);
    free(image.index);
    free(rows);
}
