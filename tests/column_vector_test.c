// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: every implementation of the vector loops gives the bytes of the scalar one and touches
// nothing beyond what column_vector.h allows. Method: arrays against pages that are not there, at
// both ends; the scalar one itself is held to the layout of docs/format.md, computed here anew.
#include <criterion/criterion.h>

#include "format/column_vector.h"
#include "tests/column_fixture.h"

enum {
    NUMBERS_MAX = 8192,
    SLACK = 8, // numbers behind the end that split writes, merge and fill read
};

static const uint32_t vector_counts[] = {0, 1, 7, 8, 9, 63, 64, 65, 1023, 1024, 1025, 8192};

enum { COUNTS = sizeof vector_counts / sizeof *vector_counts };

// All guarded arrays of a test. `at_end`: they end at the guard, else they begin there.
struct arena {
    struct guarded numbers, bitmap, zeros, ones, out;
    bool at_end;
};

static struct arena arena_open(void)
{
    size_t bytes = (NUMBERS_MAX + SLACK) * sizeof(uint64_t);
    return (struct arena){guarded_open(bytes), guarded_open(NUMBERS_MAX / 8), guarded_open(bytes),
                          guarded_open(bytes), guarded_open(bytes), true};
}

static void arena_close(struct arena *arena)
{
    guarded_close(&arena->numbers);
    guarded_close(&arena->bitmap);
    guarded_close(&arena->zeros);
    guarded_close(&arena->ones);
    guarded_close(&arena->out);
}

static uint64_t *take(const struct arena *arena, const struct guarded *guarded, uint32_t count)
{
    return guarded_take(guarded, count * sizeof(uint64_t), arena->at_end);
}

static void fill_random(struct format_random *random, uint64_t *numbers, uint32_t count)
{
    enum column_style style = (enum column_style)random_below(random, COLUMN_STYLES);
    column_numbers(random, style, random_below(random, 65), numbers, count);
}

// A bitmap with `share` of 8 bits set; its unused bits are 0.
static uint8_t *take_bitmap(const struct arena *arena, struct format_random *random, uint32_t count,
                            uint32_t share)
{
    uint8_t *bitmap = guarded_take(&arena->bitmap, bits_bytes(count), arena->at_end);
    memset(bitmap, 0, bits_bytes(count));
    for (uint32_t i = 0; i < count; i++)
        bitmap[i / 8] |= (uint8_t)((unsigned)(random_below(random, 8) < share) << (i % 8));
    return bitmap;
}

static uint32_t bitmap_ones(const uint8_t *bitmap, uint32_t count)
{
    uint32_t ones = 0;
    for (uint32_t i = 0; i < count; i++)
        ones += bitmap[i / 8] >> (i % 8) & 1u;
    return ones;
}

// ---- packing ----

// docs/format.md: number i lies in lane i mod 16 at place i div 16; word j of lane l is the (16 j +
// l)-th u64.
static void pack_by_the_document(const uint64_t *numbers, unsigned width, uint64_t *words)
{
    memset(words, 0, width * 16 * sizeof *words);
    for (uint64_t i = 0; i < 1024 * (uint64_t)width; i++) {
        uint64_t number = i / width;
        uint64_t bit = number / 16 * width + i % width;
        words[16 * (bit / 64) + number % 16] |= (numbers[number] >> (i % width) & 1) << (bit % 64);
    }
}

Test(column_vector, the_scalar_layout_is_that_of_the_document)
{
    static uint64_t numbers[1024], words[1024], back[1024];
    const struct vector_kernels *scalar = vector_kernels_at(0);
    struct format_random random = {column_seed()};
    for (unsigned width = 0; width <= 64; width++) {
        uint8_t bytes[8192];
        fill_random(&random, numbers, 1024);
        pack_by_the_document(numbers, width, words);
        cr_assert_eq(vector_bytes(width), width * 128);
        scalar->pack(numbers, width, bytes);
        cr_assert_eq(memcmp(bytes, words, vector_bytes(width)), 0, "width %u", width);
        scalar->unpack(bytes, width, 77, 3, back);
        for (unsigned i = 0; i < 1024; i++)
            cr_assert_eq(back[i], 77 + 3 * (numbers[i] & bits_mask(width)));
    }
}

static void expect_packs(const struct arena *arena, const struct vector_kernels *kernels,
                         struct format_random *random, unsigned width)
{
    static uint64_t expected_numbers[1024];
    uint8_t expected[8192 + 1];
    uint64_t *numbers = take(arena, &arena->numbers, 1024);
    fill_random(random, numbers, 1024);
    vector_kernels_at(0)->pack(numbers, width, expected);
    uint8_t *bytes = guarded_take(&arena->ones, vector_bytes(width), arena->at_end);
    kernels->pack(numbers, width, bytes);
    cr_assert_eq(memcmp(bytes, expected, vector_bytes(width)), 0, "%s packs %u bits",
                 kernels->name, width);
    uint64_t base = (uint64_t)random_value(random);
    uint64_t step = (uint64_t)random_value(random);
    uint64_t *out = take(arena, &arena->out, 1024);
    vector_kernels_at(0)->unpack(bytes, width, base, step, expected_numbers);
    kernels->unpack(bytes, width, base, step, out);
    cr_assert_eq(memcmp(out, expected_numbers, sizeof expected_numbers), 0, "%s unpacks %u bits",
                 kernels->name, width);
}

Test(column_vector, every_width_packs_and_unpacks_alike)
{
    struct arena arena = arena_open();
    struct format_random random = {column_seed()};
    for (unsigned k = 0; vector_kernels_at(k); k++) {
        for (unsigned round = 0; round < 65 * 6; round++) {
            arena.at_end = round % 2 == 0;
            expect_packs(&arena, vector_kernels_at(k), &random, round % 65);
        }
    }
    arena_close(&arena);
}

// ---- looking ----

static void expect_looks(const struct arena *arena, const struct vector_kernels *kernels,
                         struct format_random *random, uint32_t count)
{
    uint8_t expected[NUMBERS_MAX / 8 + 1];
    uint32_t histogram[65], expected_histogram[65];
    const struct vector_kernels *scalar = vector_kernels_at(0);
    uint64_t *numbers = take(arena, &arena->numbers, count);
    fill_random(random, numbers, count);
    for (unsigned b = 0; b < 65; b++)
        histogram[b] = expected_histogram[b] = b; // it is added to what is there
    scalar->lengths(numbers, count, expected_histogram);
    kernels->lengths(numbers, count, histogram);
    cr_assert_eq(memcmp(histogram, expected_histogram, sizeof histogram), 0, "%s, lengths of %u",
                 kernels->name, count);

    size_t size = bits_bytes(count);
    uint8_t *bitmap = guarded_take(&arena->bitmap, size, arena->at_end);
    for (unsigned first = 0; first < 2; first++) {
        scalar->changes(numbers, count, first, expected);
        kernels->changes(numbers, count, first, bitmap);
        cr_assert_eq(memcmp(bitmap, expected, size), 0, "%s, changes of %u", kernels->name, count);
    }
    uint64_t value = count == 0 ? 0 : numbers[random_below(random, count)];
    bitmap = guarded_take(&arena->bitmap, size, arena->at_end);
    scalar->differs(numbers, count, value, expected);
    kernels->differs(numbers, count, value, bitmap);
    cr_assert_eq(memcmp(bitmap, expected, size), 0, "%s, differing of %u", kernels->name, count);
    cr_assert(count % 8 == 0 || bitmap[size - 1] >> (count % 8) == 0, "unused bits");
}

Test(column_vector, every_implementation_sees_the_same)
{
    struct arena arena = arena_open();
    struct format_random random = {column_seed()};
    for (unsigned k = 0; vector_kernels_at(k); k++) {
        for (unsigned round = 0; round < COUNTS * 40; round++) {
            arena.at_end = round % 2 == 0;
            expect_looks(&arena, vector_kernels_at(k), &random, vector_counts[round / 2 % COUNTS]);
        }
    }
    arena_close(&arena);
}

Test(column_vector, scalar_looks_are_what_their_names_say)
{
    static const uint64_t numbers[] = {0, 0, 1, UINT64_MAX, UINT64_MAX, 1ull << 63, 3, 3, 3, 4};
    const struct vector_kernels *scalar = vector_kernels_at(0);
    uint8_t bitmap[2];
    uint32_t histogram[65] = {0};
    scalar->lengths(numbers, 10, histogram);
    cr_assert(histogram[0] == 2 && histogram[1] == 1 && histogram[2] == 3 && histogram[3] == 1 &&
              histogram[64] == 3);
    scalar->changes(numbers, 10, 1, bitmap);
    cr_assert(bitmap[0] == 0x6d && bitmap[1] == 2);
    scalar->differs(numbers, 10, 3, bitmap);
    cr_assert(bitmap[0] == 0x3f && bitmap[1] == 2);
}

// ---- sorting by a bitmap ----

static void expect_splits(const struct arena *arena, const struct vector_kernels *kernels,
                          struct format_random *random, uint32_t count)
{
    static uint64_t expected_zeros[NUMBERS_MAX], expected_ones[NUMBERS_MAX];
    uint64_t *numbers = take(arena, &arena->numbers, count);
    fill_random(random, numbers, count);
    uint8_t *bitmap = take_bitmap(arena, random, count, random_below(random, 9));
    uint32_t set = bitmap_ones(bitmap, count);
    vector_kernels_at(0)->split(bitmap, count, numbers, expected_zeros, expected_ones);
    uint64_t *zeros = take(arena, &arena->zeros, count - set + SLACK);
    uint64_t *ones = take(arena, &arena->ones, set + SLACK);
    kernels->split(bitmap, count, numbers, zeros, ones);
    cr_assert_eq(memcmp(zeros, expected_zeros, (count - set) * 8ul), 0, "%s splits %u",
                 kernels->name, count);
    cr_assert_eq(memcmp(ones, expected_ones, set * 8ul), 0, "%s splits %u", kernels->name, count);

    uint64_t *out = take(arena, &arena->out, count);
    kernels->merge(bitmap, count, zeros, ones, out);
    cr_assert_eq(memcmp(out, numbers, count * 8ul), 0, "%s merges %u", kernels->name, count);
    uint64_t zero = random_next(random);
    out = take(arena, &arena->out, count);
    kernels->fill(bitmap, count, zero, ones, out);
    for (uint32_t i = 0; i < count; i++) {
        bool one = bitmap[i / 8] >> (i % 8) & 1;
        cr_assert_eq(out[i], one ? numbers[i] : zero, "%s fills %u", kernels->name, count);
    }
}

Test(column_vector, every_implementation_splits_merges_and_fills_alike)
{
    struct arena arena = arena_open();
    struct format_random random = {column_seed()};
    for (unsigned k = 0; vector_kernels_at(k); k++) {
        for (unsigned round = 0; round < COUNTS * 40; round++) {
            arena.at_end = round % 2 == 0;
            expect_splits(&arena, vector_kernels_at(k), &random,
                          vector_counts[round / 2 % COUNTS]);
        }
    }
    arena_close(&arena);
}

Test(column_vector, the_fastest_comes_last)
{
    unsigned count = 0;
    while (vector_kernels_at(count))
        count++;
    cr_assert(count >= 2, "scalar and baseline run everywhere");
    cr_assert_eq(vector_kernels(), vector_kernels_at(count - 1));
    cr_assert_null(vector_kernels_at(count));
    cr_assert_null(vector_kernels_at(99));
}
