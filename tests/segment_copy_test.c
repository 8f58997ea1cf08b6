// SPDX-License-Identifier: GPL-3.0-or-later
//
// Blocks that go from segment to segment as they are: what comes out is what appending their rows
// gives, whole to whoever verifies it, and nothing small, light, damaged or of another symbol goes
// that way.
#include <criterion/criterion.h>

#include "format/layout.h"
#include "tests/segment_fixture.h"

enum { BLOCK = SEGMENT_BLOCK_ROWS_MAX };

// Trades of the day of image_begin(), ids from `first` on.
static struct rows *trades(uint32_t first, uint32_t count)
{
    struct rows *rows = random_rows_new(CHANNEL_TRADE, (struct rows_limits){count, 0, 16});
    static struct event event;
    for (uint32_t r = 0; r < count; r++) {
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, COLUMN_FLAGS, 0);
        event_set(&event, TRADE_ID, first + r);
        event_set(&event, TRADE_TIME, 1723161600000000000 + (int64_t)(first + r) * 1000000);
        event_set_decimal(&event, TRADE_PRICE, 6000000 + (first + r) * 7919 % 500, 2);
        event_set_decimal(&event, TRADE_QUANTITY, 1 + (first + r) * 104729 % 9999, 5);
        cr_assert(rows_append(rows, &event));
    }
    return rows;
}

static struct segment_writer *begin(enum channel channel, enum column_level level, uint64_t salt)
{
    struct segment_description what = {.store = "fifteen letters", .salt = salt, .created_ns = 99,
                                       .channel = channel, .day = 19944, .number = 12,
                                       .writer = "test", .level = level};
    struct segment_writer *writer;
    cr_assert_eq(segment_writer_open(&writer, &what), 0);
    return writer;
}

static struct segment_image written(const struct rows *rows, enum column_level level)
{
    struct segment_image image = {0};
    struct segment_writer *writer = begin(rows->schema->channel, level, 77);
    image_symbol(&image, writer, 0, rows);
    image_end(&image, writer);
    return image;
}

static struct segment *opened(const struct segment_image *image)
{
    struct segment *segment = NULL;
    struct source source = source_of_memory(image->bytes, image->size);
    cr_assert_eq(segment_open(&segment, &source, image->index, image->index_size), SEGMENT_GOOD);
    return segment;
}

// All blocks of `from` behind what `writer` has, as a merge does it; returns how many were copied.
static uint32_t take_over(struct segment_image *image, struct segment_writer *writer,
                          struct segment *from)
{
    uint32_t copied = 0;
    for (uint32_t b = 0; b < segment_index(from)->block_count; b++) {
        enum segment_copy copy;
        while ((copy = segment_writer_copy(writer, from, b)) == SEGMENT_COPY_WAITS)
            image_put(image, writer);
        copied += copy == SEGMENT_COPIED;
        if (copy == SEGMENT_COPIED) continue;
        struct segment_block block;
        cr_assert_eq(segment_read(from, b, UINT64_MAX, &block), SEGMENT_GOOD);
        for (uint32_t r = 0; r < block.rows->count; r++) {
            struct segment_provenance provenance = {block.tape ? block.tape[r] : 0,
                                                    block.row ? block.row[r] : 0};
            while (!segment_writer_append(writer, block.rows, r, provenance))
                image_put(image, writer);
        }
    }
    return copied;
}

static void name_symbol(struct segment_writer *writer, uint32_t symbol)
{
    char name[24];
    image_name(symbol, name);
    cr_assert(segment_writer_symbol(writer, name, (uint32_t)strlen(name), 100000));
}

static void expect_rows(struct segment *segment, struct rows *const *rows, uint32_t count)
{
    uint32_t part = 0, at = 0;
    for (uint32_t b = 0; b < segment_index(segment)->block_count; b++) {
        struct segment_block block;
        cr_assert_eq(segment_read(segment, b, UINT64_MAX, &block), SEGMENT_GOOD);
        for (uint32_t r = 0; r < block.rows->count; r++) {
            cr_assert_lt(part, count);
            cr_assert(image_row_equal(rows[part], at, block.rows, r), "part %u row %u", part, at);
            cr_assert(block.tape == NULL || block.row[r] == (uint64_t)at * 3);
            if (++at < rows[part]->count) continue;
            part++;
            at = 0;
        }
    }
    cr_assert_eq(part, count);
}

Test(segment_copy, full_blocks_come_as_they_are_and_verify)
{
    struct rows *rows[3] = {trades(1, 2 * BLOCK + 3000), trades(30001, BLOCK), trades(50001, 500)};
    struct segment_image image = {0};
    struct segment_writer *writer = begin(CHANNEL_TRADE, COLUMN_LEVEL_DENSE, 4712);
    uint32_t copied = 0;
    name_symbol(writer, 0);
    for (int i = 0; i < 3; i++) {
        struct segment_image part = written(rows[i], COLUMN_LEVEL_DENSE);
        struct segment *from = opened(&part);
        copied += take_over(&image, writer, from);
        segment_close(from);
        image_free(&part);
    }
    image_end(&image, writer);
    cr_assert_eq(copied, 3);
    struct segment *segment = opened(&image);
    cr_assert_not(segment_rebuilt(segment));
    cr_assert_eq(segment_index(segment)->block_count, 5);
    cr_assert_eq(segment_verify(segment, NULL, NULL), SEGMENT_GOOD);
    expect_rows(segment, rows, 3);
    segment_close(segment);
    for (int i = 0; i < 3; i++) free(rows[i]);
    image_free(&image);
}

Test(segment_copy, one_symbols_blocks_behind_anothers)
{
    struct rows *rows[2] = {trades(1, 100), trades(1001, BLOCK)};
    struct segment_image image = {0}, part = written(rows[1], COLUMN_LEVEL_DENSE);
    struct segment_writer *writer = begin(CHANNEL_TRADE, COLUMN_LEVEL_DENSE, 4712);
    struct segment *from = opened(&part);
    image_symbol(&image, writer, 1, rows[0]);
    cr_assert_eq(segment_writer_copy(writer, from, 0), SEGMENT_COPY_NOT, "another symbol's");
    name_symbol(writer, 0);
    cr_assert_eq(take_over(&image, writer, from), 1);
    image_end(&image, writer);
    struct segment *segment = opened(&image);
    cr_assert_eq(segment_verify(segment, NULL, NULL), SEGMENT_GOOD);
    cr_assert_eq(index_find(segment_index(segment), "binance:S0", 10), 1, "its number is the new");
    expect_rows(segment, rows, 2);
    segment_close(segment);
    segment_close(from);
    image_free(&image);
    image_free(&part);
    free(rows[0]);
    free(rows[1]);
}

// Blocks whose bytes a merge must not keep.
static enum segment_copy copy_of(const struct segment_image *part, enum column_level level,
                                 uint32_t waiting)
{
    struct segment_image image = {0};
    struct segment_writer *writer = begin(CHANNEL_TRADE, level, 4712);
    struct rows *before = trades(1, waiting + 1);
    struct segment *from = opened(part);
    name_symbol(writer, 0);
    for (uint32_t r = 0; r < waiting; r++)
        cr_assert(segment_writer_append(writer, before, r, (struct segment_provenance){0}));
    enum segment_copy copy = segment_writer_copy(writer, from, 0);
    image_end(&image, writer);
    image_free(&image);
    segment_close(from);
    free(before);
    return copy;
}

Test(segment_copy, small_light_and_damaged_blocks_are_coded_again)
{
    struct rows *full = trades(20001, BLOCK), *small = trades(20001, BLOCK / 2);
    struct rows *many = trades(20001, 4 * BLOCK);
    struct segment_image dense = written(full, COLUMN_LEVEL_DENSE);
    struct segment_image longer = written(many, COLUMN_LEVEL_DENSE);
    struct segment_image light = written(full, COLUMN_LEVEL_LIGHT);
    struct segment_image half = written(small, COLUMN_LEVEL_DENSE);
    cr_assert_eq(copy_of(&dense, COLUMN_LEVEL_DENSE, 0), SEGMENT_COPIED);
    cr_assert_eq(copy_of(&dense, COLUMN_LEVEL_DENSE, 5000), SEGMENT_COPIED);
    cr_assert_eq(copy_of(&dense, COLUMN_LEVEL_DENSE, 1), SEGMENT_COPY_NOT, "a block of one row");
    cr_assert_eq(copy_of(&longer, COLUMN_LEVEL_DENSE, 1), SEGMENT_COPIED, "one among large ones");
    cr_assert_eq(copy_of(&half, COLUMN_LEVEL_DENSE, 0), SEGMENT_COPY_NOT);
    cr_assert_eq(copy_of(&light, COLUMN_LEVEL_DENSE, 0), SEGMENT_COPY_NOT);
    cr_assert_eq(copy_of(&light, COLUMN_LEVEL_LIGHT, 0), SEGMENT_COPIED);
    dense.bytes[dense.size / 2] ^= 1;
    cr_assert_eq(copy_of(&dense, COLUMN_LEVEL_DENSE, 0), SEGMENT_COPY_NOT, "damaged");
    image_free(&dense);
    image_free(&light);
    image_free(&longer);
    free(many);
    image_free(&half);
    free(full);
    free(small);
}

Test(segment_copy, every_channel_goes_over)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (channel_schema((enum channel)c) == NULL) continue;
        struct rows *rows[2];
        struct segment_image image = {0};
        struct segment_writer *writer = begin((enum channel)c, COLUMN_LEVEL_DENSE, 4712);
        name_symbol(writer, 0);
        for (uint64_t i = 0; i < 2; i++) {
            struct format_random random = {7 + i};
            rows[i] = random_rows_new((enum channel)c, (struct rows_limits){9000, 300000, 1 << 21});
            random_rows(&random, rows[i], 9000, 1);
            struct segment_image part = written(rows[i], COLUMN_LEVEL_DENSE);
            struct segment *from = opened(&part);
            (void)take_over(&image, writer, from);
            segment_close(from);
            image_free(&part);
        }
        image_end(&image, writer);
        struct segment *segment = opened(&image);
        expect_rows(segment, rows, 2);
        segment_close(segment);
        image_free(&image);
        free(rows[0]);
        free(rows[1]);
    }
}
