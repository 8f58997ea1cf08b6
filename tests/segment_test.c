// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: a segment gives back every row of every symbol in order, by value; an index can always be
// made again; damage costs the block it is in and is reported. Method: random rows of every
// channel.
#include <criterion/criterion.h>
#include <stdio.h>
#include <xxhash.h>

#include "format/column_codec.h"
#include "format/column_recipe.h"
#include "format/segment_scale.h"
#include "tests/segment_fixture.h"

Test(segment, columns_come_back_whatever_they_hold)
{
    static const uint32_t counts[] = {1, 2, 7, 8, 9, 1023, 1024, 1025, 8192};
    static int64_t values[8192], back[8192];
    static uint8_t bytes[8192 * 32 + 131072];
    struct format_random random = {1};
    struct column_scratch *scratch = column_scratch_open(8192);
    uint32_t used[COLUMN_CODEC_COUNT] = {0};
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t count = counts[random_below(&random, 9)];
        unsigned bits = random_below(&random, 65);
        unsigned style = random_below(&random, 6);
        uint64_t step = style == 0 ? 1000000 : 1;
        uint64_t value = (uint64_t)random_value(&random);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t raw = bits == 0 ? 0 : random_next(&random) >> (64 - bits);
            if (style == 1) // sums
                value += raw;
            else if (style == 2) // alternating signs
                value = i % 2 ? raw : 0 - raw;
            else if (style == 3) // extremes
                value = (uint64_t)random_value(&random);
            else if (style == 4) // runs
                value = raw % 16 ? value : raw * step;
            else
                value = raw * step;
            values[i] = (int64_t)value;
        }
        uint8_t codec;
        struct recipe recipe;
        struct model_frame frame = {.rows = count};
        enum column_level level = round % 2 ? COLUMN_LEVEL_LIGHT : COLUMN_LEVEL_DENSE;
        recipe_for(CHANNEL_KLINE, KLINE_TRADES, false, level, &recipe);
        struct column_coding coding = {level, &frame, recipe.models, recipe.count, false, true};
        size_t size = column_encode(scratch, &coding, values, count, bytes, &codec);
        cr_assert(size <= column_bytes_max(count));
        enum column_result got =
            column_decode(scratch, &frame, codec, bytes, size, back, count);
        cr_assert_eq(got, COLUMN_GOOD, "round %u codec %s", round, column_codec_name(codec));
        cr_assert_eq(memcmp(values, back, count * sizeof *values), 0, "round %u", round);
        got = column_decode(scratch, &frame, codec, bytes, size - 1, back, count);
        cr_assert_neq(got, COLUMN_GOOD);
        used[codec]++;
    }
    static const uint8_t written[] = {COLUMN_CODEC_CONSTANT, COLUMN_CODEC_VARINT_ZSTD,
                                      COLUMN_CODEC_DELTA_ZSTD, COLUMN_CODEC_MODELLED};
    for (size_t w = 0, c; w < sizeof written && (c = written[w], true); w++)
        cr_assert(used[c] > 0, "codec %s never chosen", column_codec_name((uint8_t)c));
    cr_assert_eq(column_decode(scratch, NULL, 200, bytes, 1, back, 1), COLUMN_UNKNOWN_CODEC);
    column_scratch_close(scratch);
}

Test(segment, scales_are_the_smallest_that_are_exact)
{
    struct scale_track track = {0};
    cr_assert(scale_add(&track, 12700, 2)); // 127.00
    cr_assert_eq(track.scale, 0);
    cr_assert(scale_add(&track, 1250, 2)); // 12.5
    cr_assert_eq(track.scale, 1);
    cr_assert(scale_add(&track, 0, 18));
    cr_assert_eq(track.scale, 1);
    cr_assert_eq(scale_move(12700, 2, 1), 1270);
    cr_assert_eq(scale_move(-3, 0, 1), -30);
    cr_assert_not(scale_add(&track, INT64_MAX, 0), "ten times that does not fit");
    cr_assert(scale_add(&track, INT64_MAX, 1));
    cr_assert_not(scale_add(&track, 1, 2), "no room for another digit");
    track = (struct scale_track){0};
    cr_assert(scale_add(&track, INT64_MIN, 18));
    cr_assert_eq(track.scale, 18);
    cr_assert_not(scale_add(&track, 10, 0));
}

static struct segment *open_image(const struct segment_image *image, bool with_index)
{
    struct segment *segment = NULL;
    struct source source = source_of_memory(image->bytes, image->size);
    enum segment_error error = segment_open(&segment, &source, with_index ? image->index : NULL,
                                            image->index_size);
    cr_assert_eq(error, SEGMENT_GOOD, "%s", segment_error_text(error));
    return segment;
}

// Every row of `rows` is there as symbol number `symbol`, in order.
static void expect_symbol(struct segment *segment, uint32_t symbol, const struct rows *rows)
{
    char name[24];
    image_name(symbol, name);
    const struct index *index = segment_index(segment);
    uint32_t number = index_find(index, name, (uint32_t)strlen(name));
    cr_assert_neq(number, SYMBOL_NONE);
    const struct layout_index_symbol *entry = &index->symbols[number];
    cr_assert_eq(entry->rows, rows->count);
    uint32_t at = 0;
    for (uint32_t b = 0; b < entry->block_count; b++) {
        struct segment_block block;
        enum segment_error error =
            segment_read(segment, entry->first_block + b, UINT64_MAX, &block);
        cr_assert_eq(error, SEGMENT_GOOD, "%s", segment_error_text(error));
        for (uint32_t r = 0; r < block.rows->count; r++) {
            if (block.rows->symbol[r] != (name[0] ? number : SYMBOL_NONE))
                continue;
            cr_assert(image_row_equal(rows, at, block.rows, r), "row %u", at);
            cr_assert(at % 61 != 0 || image_row_alone(segment, entry->first_block + b, r, rows, at),
                      "row %u alone", at);
            if (block.tape) {
                cr_assert_eq(block.tape[r], 7);
                cr_assert_eq(block.row[r], (uint64_t)at * 3);
            }
            at++;
        }
    }
    cr_assert_eq(at, rows->count);
}

static struct segment_image write_random(enum channel channel, uint64_t seed, uint32_t symbols,
                                         uint32_t rows_max, struct rows **rows)
{
    struct segment_image image = {0};
    struct format_random random = {seed};
    struct segment_writer *writer = image_begin(channel);
    for (uint32_t s = 0; s < symbols; s++) {
        rows[s] = random_rows_new(channel, (struct rows_limits){rows_max, 40000, 1 << 20});
        random_rows(&random, rows[s], 1 + random_below(&random, rows_max), 1);
        image_symbol(&image, writer, s, rows[s]);
    }
    image_end(&image, writer);
    return image;
}

static void free_rows(struct rows **rows, uint32_t count)
{
    for (uint32_t s = 0; s < count; s++)
        free(rows[s]);
}

Test(segment, every_channel_comes_back_with_and_without_index)
{
    struct rows *rows[8];
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        for (uint64_t seed = 1; channel_schema((enum channel)c) && seed <= 6; seed++) {
            uint32_t rows_max = seed == 1 ? 3000 : 200;
            struct segment_image image = write_random((enum channel)c, seed, 8, rows_max, rows);
            for (int with_index = 0; with_index < 2; with_index++) {
                struct segment *segment = open_image(&image, with_index == 1);
                cr_assert_eq(segment_rebuilt(segment), with_index == 0);
                cr_assert_eq(segment_index(segment)->header->rows, image.summary.rows);
                for (uint32_t s = 0; s < 8; s++)
                    expect_symbol(segment, s, rows[s]);
                segment_close(segment);
            }
            image_free(&image);
            free_rows(rows, 8);
        }
    }
}

Test(segment, the_rebuilt_index_is_the_written_one)
{
    struct rows *rows[8];
    struct segment_image image = write_random(CHANNEL_TRADE, 5, 8, 3000, rows);
    struct segment *segment = open_image(&image, false);
    cr_assert_eq(memcmp(segment_index(segment)->header, image.index, image.index_size), 0);
    segment_close(segment);
    image.bytes[image.size - 1] ^= 1; // without footer: by walking
    segment = open_image(&image, false);
    cr_assert_eq(segment_footer_error(segment), SEGMENT_BAD_FOOTER);
    const struct index *index = segment_index(segment);
    struct index written;
    cr_assert(index_open(&written, image.index, image.index_size));
    cr_assert_eq(index->block_count, written.block_count);
    cr_assert_eq(index->symbol_count, written.symbol_count);
    cr_assert_eq(memcmp(index->blocks, written.blocks, index->block_count * 64), 0);
    cr_assert_eq(memcmp(index->symbols, written.symbols, index->symbol_count * 64), 0);
    for (uint32_t s = 0; s < 8; s++)
        expect_symbol(segment, s, rows[s]);
    segment_close(segment);
    image_free(&image);
    free_rows(rows, 8);
}

// Calm trades of one day, as real ones are.
static void add_trades(struct rows *rows, uint32_t count)
{
    static struct event event;
    for (uint32_t i = 0; i < count; i++) {
        event_clear(&event, CHANNEL_TRADE, 0);
        int64_t time = 1723161600000000000 + (int64_t)i * 1000000;
        event_set(&event, COLUMN_RECEIVE_TIME, time + 1234567 + i % 977);
        event_set(&event, COLUMN_FLAGS, 0);
        event_set(&event, TRADE_TIME, time);
        event_set(&event, TRADE_ID, 1000 + i);
        event_set_decimal(&event, TRADE_PRICE, 6000000000 + (int64_t)(i % 50) * 100, 5);
        event_set_decimal(&event, TRADE_QUANTITY, 100000 + i % 7, 8);
        event_set(&event, TRADE_SIDE, i / 10 % 2);
        cr_assert(rows_append(rows, &event));
    }
}

static struct segment_image trades_image(struct rows **rows)
{
    struct segment_image image = {0};
    *rows = random_rows_new(CHANNEL_TRADE, (struct rows_limits){20000, 0, 0});
    add_trades(*rows, 20000);
    struct segment_writer *writer = image_begin(CHANNEL_TRADE);
    image_symbol(&image, writer, 0, *rows);
    image_end(&image, writer);
    return image;
}

Test(segment, zones_tell_what_is_inside)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    struct segment *segment = open_image(&image, true);
    const struct index *index = segment_index(segment);
    cr_assert_eq(index->block_count, 3);
    cr_assert_eq(index->blocks[1].rows, 8192);
    cr_assert_eq(index->blocks[1].id_min, 1000 + 8192);
    cr_assert_eq(index->blocks[1].id_max, 1000 + 2 * 8192 - 1);
    cr_assert_eq(index->zones[0].price_scale, 3, "the smallest scale");
    cr_assert_eq(index->zones[0].price_min, 60000000);
    cr_assert_eq(index->zones[0].price_max, 60000049);
    int64_t start = 1723161600000000000;
    cr_assert(index_overlaps(index, 0, start, start));
    cr_assert_not(index_overlaps(index, 1, start, start));
    cr_assert_eq(index->symbols[0].time_max, start + 19999 * 1000000ll);
    cr_assert_eq(segment_verify(segment, NULL, NULL), SEGMENT_GOOD);
    cr_assert(image.size < 20000 * 4, "%d bytes", (int)image.size);
    segment_close(segment);
    image_free(&image);
    free(rows);
}

Test(segment, only_wanted_columns_come)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    struct segment *segment = open_image(&image, true);
    struct segment_block block;
    cr_assert_eq(segment_read(segment, 0, 1ull << TRADE_PRICE, &block), SEGMENT_GOOD);
    cr_assert_eq(block.rows->present[9], 1ull << TRADE_PRICE);
    cr_assert_eq(block.rows->value[TRADE_ID][9], 0);
    cr_assert_eq(block.column_count, 7);
    segment_close(segment);
    image_free(&image);
    free(rows);
}

struct faults {
    uint32_t count;
    uint32_t block;
};

static void note_fault(void *context, enum segment_error error, uint32_t block, uint64_t offset,
                       uint64_t bytes)
{
    (void)error;
    (void)offset;
    (void)bytes;
    struct faults *faults = context;
    faults->count++;
    faults->block = block;
}

// A flipped bit anywhere: no wrong row, the other blocks come back, verify tells.
Test(segment, damage_costs_one_block_and_is_reported)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    struct format_random random = {77};
    for (int round = 0; round < 150; round++) {
        uint32_t at = random_below(&random, (uint32_t)image.size);
        uint8_t bit = (uint8_t)(1u << random_below(&random, 8));
        image.bytes[at] ^= bit;
        struct segment *segment = NULL;
        struct source source = source_of_memory(image.bytes, image.size);
        bool with_index = random_below(&random, 2) == 1;
        enum segment_error error = segment_open(&segment, &source, with_index ? image.index : NULL,
                                                image.index_size);
        struct segment_block block;
        uint32_t good = 0;
        if (error == SEGMENT_GOOD) {
            const struct index *index = segment_index(segment);
            for (uint32_t b = 0; b < index->block_count; b++) {
                if (segment_read(segment, b, UINT64_MAX, &block) != SEGMENT_GOOD)
                    continue;
                good++;
                uint32_t first = (uint32_t)block.rows->value[TRADE_ID][0] - 1000;
                for (uint32_t r = 0; r < block.rows->count; r++)
                    cr_assert(image_row_equal(rows, first + r, block.rows, r));
            }
            cr_assert(good >= 2, "at %u: %u blocks", at, good);
            struct faults faults = {0};
            cr_assert_neq(segment_verify(segment, note_fault, &faults), SEGMENT_GOOD, "at %u", at);
            cr_assert_eq(faults.count, 1, "at %u", at);
            segment_close(segment);
        } else {
            cr_assert(at < 400, "only the header can make it unreadable: %u", at);
        }
        image.bytes[at] ^= bit;
    }
    image_free(&image);
    free(rows);
}

enum { FLAKY_PLACES_MAX = 256, FLAKY_TIMES = 2 };

struct flaky {
    const struct segment_image *image;
    uint64_t place[FLAKY_PLACES_MAX];
    uint32_t times[FLAKY_PLACES_MAX];
    uint32_t count;
};

// What is read from a place for the first times is wrong.
static int64_t flaky_read(void *context, uint64_t offset, void *out, size_t size)
{
    struct flaky *flaky = context;
    uint32_t at = 0;
    while (at < flaky->count && flaky->place[at] != offset) at++;
    if (at == flaky->count) {
        cr_assert_lt(flaky->count, FLAKY_PLACES_MAX);
        flaky->place[flaky->count++] = offset;
    }
    memcpy(out, flaky->image->bytes + offset, size);
    if (flaky->times[at]++ < FLAKY_TIMES) ((uint8_t *)out)[0] ^= 1;
    return (int64_t)size;
}

Test(segment, a_device_that_errs_now_and_then_damages_nothing)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    struct flaky flaky = {.image = &image};
    struct source source = {.size = image.size, .read = flaky_read, .context = &flaky};
    struct segment *segment = NULL;
    cr_assert_eq(segment_open(&segment, &source, NULL, 0), SEGMENT_GOOD);
    cr_assert_gt(flaky.count, 2, "header, postscript and footer are places of their own");
    cr_assert_eq(segment_footer_error(segment), SEGMENT_GOOD);
    for (uint32_t b = 0; b < segment_index(segment)->block_count; b++) {
        struct segment_block block;
        cr_assert_eq(segment_read(segment, b, UINT64_MAX, &block), SEGMENT_GOOD);
    }
    segment_close(segment);
    image_free(&image);
    free(rows);
}

Test(segment, a_cut_file_gives_its_whole_blocks)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    size_t whole = image.size;
    for (size_t size = 0; size < whole; size += 97) {
        struct segment *segment = NULL;
        struct source source = source_of_memory(image.bytes, size);
        if (segment_open(&segment, &source, NULL, 0) != SEGMENT_GOOD)
            continue;
        const struct index *index = segment_index(segment);
        uint32_t blocks = index->block_count;
        cr_assert_eq(index->header->rows, blocks > 2 ? 20000 : blocks * 8192);
        segment_close(segment);
    }
    image_free(&image);
    free(rows);
}

Test(segment, a_foreign_index_is_not_used)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    for (size_t at = 0; at < image.index_size; at += 7) {
        image.index[at] ^= 4;
        struct segment *segment = open_image(&image, true);
        cr_assert(segment_rebuilt(segment), "at %d", (int)at);
        segment_close(segment);
        image.index[at] ^= 4;
    }
    image_free(&image);
    free(rows);
}

Test(segment, empty_segments_are_whole)
{
    struct segment_image image = {0};
    image_end(&image, image_begin(CHANNEL_RAW));
    struct segment *segment = open_image(&image, true);
    cr_assert_eq(segment_index(segment)->block_count, 0);
    cr_assert_eq(segment_verify(segment, NULL, NULL), SEGMENT_GOOD);
    segment_close(segment);
    image_free(&image);
}

// A block with hashes made right again after a change: a hostile writer.
Test(segment, forged_blocks_never_leave_the_memory)
{
    struct rows *rows[8];
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct format_random random = {seed};
        enum channel channel = (enum channel)(1 + random_below(&random, 7));
        struct segment_image image = write_random(channel, seed, 8, 60, rows);
        struct index index;
        cr_assert(index_open(&index, image.index, image.index_size));
        for (int round = 0; round < 8; round++) {
            uint32_t b = random_below(&random, index.block_count);
            uint8_t *bytes = image.bytes + index.blocks[b].offset;
            uint8_t saved[8];
            uint32_t at[8];
            for (int i = 0; i < 8; i++) {
                at[i] = 24 + random_below(&random, index.blocks[b].bytes - 24);
                saved[i] = bytes[at[i]];
                bytes[at[i]] = (uint8_t)random_next(&random);
            }
            struct layout_block header;
            memcpy(&header, bytes, sizeof header);
            header.header_bytes = LAYOUT_HEADER_BYTES;
            header.payload_bytes = index.blocks[b].bytes - LAYOUT_HEADER_BYTES;
            header.payload_hash = XXH3_64bits(bytes + sizeof header, header.payload_bytes);
            header.hash = XXH3_64bits(&header, sizeof header - sizeof header.hash);
            struct layout_block original;
            memcpy(&original, bytes, sizeof original);
            memcpy(bytes, &header, sizeof header);
            image.bytes[image.size - 1] ^= 1; // walk the blocks
            struct segment *segment = open_image(&image, false);
            (void)segment_verify(segment, NULL, NULL);
            segment_close(segment);
            image.bytes[image.size - 1] ^= 1;
            memcpy(bytes, &original, sizeof original);
            for (int i = 7; i >= 0; i--)
                bytes[at[i]] = saved[i];
        }
        image_free(&image);
        free_rows(rows, 8);
    }
}

// Changes one byte of the column directory of block 0 and makes the hashes right.
static void change_directory(struct segment_image *image, uint32_t entry, uint32_t field,
                             uint8_t value)
{
    struct index index;
    struct layout_block header;
    cr_assert(index_open(&index, image->index, image->index_size));
    uint8_t *bytes = image->bytes + index.blocks[0].offset;
    memcpy(&header, bytes, sizeof header);
    cr_assert_eq(header.symbols, 1);
    uint8_t *directory = bytes + sizeof header + 1 + bytes[sizeof header];
    directory[entry * 8 + field] = value;
    header.payload_hash = XXH3_64bits(bytes + sizeof header, header.payload_bytes);
    header.hash = XXH3_64bits(&header, sizeof header - sizeof header.hash);
    memcpy(bytes, &header, sizeof header);
    image->bytes[image->size - 1] ^= 1; // the footer has another hash: walk
}

Test(segment, an_unknown_codec_costs_its_column_only)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    struct segment_block block;
    change_directory(&image, 4, 1, 99); // price
    struct segment *segment = open_image(&image, false);
    cr_assert_eq(segment_index(segment)->header->rows, 20000);
    cr_assert_eq(segment_read(segment, 0, UINT64_MAX, &block), SEGMENT_GOOD);
    cr_assert_eq(block.unknown_columns, 1ull << TRADE_PRICE);
    cr_assert_not(block.rows->present[5] >> TRADE_PRICE & 1);
    cr_assert_eq(block.rows->value[TRADE_ID][5], 1005);
    cr_assert_neq(segment_verify(segment, NULL, NULL), SEGMENT_GOOD);
    segment_close(segment);
    image_free(&image);
    free(rows);
}

Test(segment, a_directory_out_of_order_is_refused)
{
    struct rows *rows;
    struct segment_image image = trades_image(&rows);
    change_directory(&image, 4, 0, TRADE_QUANTITY); // twice
    struct segment *segment = open_image(&image, false);
    cr_assert_eq(segment_index(segment)->block_count, 2, "block 0 is left out");
    segment_close(segment);
    image_free(&image);
    free(rows);
}
