// SPDX-License-Identifier: GPL-3.0-or-later
//
// Segments in memory for tests: written from random rows, read back, compared by value.
#ifndef RINGTAPE_TESTS_SEGMENT_FIXTURE_H
#define RINGTAPE_TESTS_SEGMENT_FIXTURE_H

#include <stdio.h>

#include "format/segment.h"
#include "tests/format_random.h"

struct segment_image {
    uint8_t *bytes;
    size_t size;
    uint8_t *index;
    size_t index_size;
    struct segment_summary summary;
};

static inline void image_put(struct segment_image *image, struct segment_writer *writer)
{
    size_t size;
    const void *bytes = segment_writer_output(writer, &size);
    uint8_t *larger = realloc(image->bytes, image->size + size + 1);
    ensure(larger);
    image->bytes = larger;
    if (size != 0)
        memcpy(image->bytes + image->size, bytes, size);
    image->size += size;
    segment_writer_taken(writer);
}

static inline struct segment_writer *image_begin(enum channel channel)
{
    struct segment_description what = {.store = "fifteen letters", .salt = 4711, .created_ns = 99,
                                       .channel = channel, .day = 19944, .number = 12,
                                       .writer = "test"};
    struct segment_writer *writer;
    int result = segment_writer_open(&writer, &what);
    ensure(result == 0);
    return writer;
}

static inline void image_name(uint32_t symbol, char out[24])
{
    if (symbol == 3)
        out[0] = 0; // rows without symbol
    else
        (void)snprintf(out, 24, "binance:S%u", symbol);
}

// All of `rows` as symbol number `symbol`; provenance (7, row * 3).
static inline void image_symbol(struct segment_image *image, struct segment_writer *writer,
                                uint32_t symbol, const struct rows *rows)
{
    char name[24];
    image_name(symbol, name);
    while (!segment_writer_symbol(writer, name, (uint32_t)strlen(name), rows->count))
        image_put(image, writer);
    for (uint32_t r = 0; r < rows->count; r++) {
        struct segment_provenance provenance = {7, (uint64_t)r * 3};
        while (!segment_writer_append(writer, rows, r, provenance))
            image_put(image, writer);
    }
}

static inline void image_end(struct segment_image *image, struct segment_writer *writer)
{
    while (!segment_writer_finish(writer))
        image_put(image, writer);
    image_put(image, writer);
    const void *index = segment_writer_index(writer, &image->index_size);
    image->index = aligned_alloc(64, (image->index_size + 63) & ~(size_t)63);
    ensure(image->index);
    memcpy(image->index, index, image->index_size);
    image->summary = segment_writer_summary(writer);
    segment_writer_close(writer);
}

static inline void image_free(struct segment_image *image)
{
    free(image->bytes);
    free(image->index);
    *image = (struct segment_image){0};
}

// mantissa / 10^scale equal, whatever the spelling.
static inline bool decimal_equal(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale)
{
    while (a != 0 && a % 10 == 0 && a_scale > 0) {
        a /= 10;
        a_scale--;
    }
    while (b != 0 && b % 10 == 0 && b_scale > 0) {
        b /= 10;
        b_scale--;
    }
    return a == b && (a == 0 || a_scale == b_scale);
}

// Equal by value; symbols are not compared.
static inline bool image_row_equal(const struct rows *x, uint32_t a, const struct rows *y,
                                   uint32_t b)
{
    if (x->present[a] != y->present[b])
        return false;
    for (int c = 0; c < x->schema->column_count; c++) {
        if (x->scale[c] ? !decimal_equal(x->value[c][a], x->scale[c][a], y->value[c][b],
                                         y->scale[c][b])
                        : x->value[c] && x->value[c][a] != y->value[c][b])
            return false;
    }
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && x->text_length[slot]; slot++) {
        uint32_t length = x->text_length[slot][a];
        if (length != y->text_length[slot][b] ||
            memcmp(x->text + x->text_offset[slot][a], y->text + y->text_offset[slot][b], length))
            return false;
    }
    if (!x->schema->has_levels)
        return true;
    uint32_t m = x->level_first[a];
    uint32_t n = y->level_first[b];
    if (x->level_first[a + 1] - m != y->level_first[b + 1] - n)
        return false;
    for (; m < x->level_first[a + 1]; m++, n++) {
        if (!decimal_equal(x->level_price[m], x->level_price_scale[m], y->level_price[n],
                           y->level_price_scale[n]) ||
            !decimal_equal(x->level_quantity[m], x->level_quantity_scale[m], y->level_quantity[n],
                           y->level_quantity_scale[n]) ||
            x->level_side[m] != y->level_side[n])
            return false;
    }
    return true;
}

// Row number `row` of a block, read for itself after some column of it, is row `at` of `rows`.
static inline bool image_row_alone(struct segment *segment, uint32_t block, uint32_t row,
                                   const struct rows *rows, uint32_t at)
{
    struct segment_block alone;
    uint64_t first = 1ull << (row * 7u % (unsigned)rows->schema->column_count);
    if (segment_read(segment, block, UINT64_MAX, &alone) != SEGMENT_GOOD)
        return false;
    // The memory is used again: what was there before must not be what comes.
    for (int c = 0; c < rows->schema->column_count; c++) {
        if (alone.rows->value[c])
            memset(alone.rows->value[c], 0x5a, alone.rows->count * sizeof *alone.rows->value[c]);
    }
    bool same = segment_read_some(segment, block, UINT64_MAX, ~first, &alone) == SEGMENT_GOOD &&
                segment_read_row(segment, row, &alone) == SEGMENT_GOOD &&
                alone.unknown_columns == 0 && image_row_equal(rows, at, alone.rows, row);
    // The caller goes on with the whole block.
    return segment_read(segment, block, UINT64_MAX, &alone) == SEGMENT_GOOD && same;
}

#endif
