// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: any list of numbers comes back, at both levels, in no more bytes than promised; the bytes
// do not depend on the processor; no bytes make the reader leave its memory. Method: the extremes
// one by one, then mixtures of distributions from a seed that each message names
// (RINGTAPE_TEST_SEED sets it); buffers end where memory ends.
#include <criterion/criterion.h>

#include "format/column_list.h"
#include "format/column_pack.h"
#include "tests/column_fixture.h"

enum { NUMBERS_MAX = 131072 };

static const uint32_t list_counts[] = {1, 2, 3, 7, 8, 9, 100, 179, 1023, 1024, 1025, 2048, 8192};

enum { COUNTS = sizeof list_counts / sizeof *list_counts };

struct desk {
    struct list_room *room;
    struct guarded bytes, copy, out;
    uint64_t numbers[NUMBERS_MAX];
    uint32_t kinds[2][LIST_KIND_COUNT]; // how often each was chosen, by level
};

static struct desk *desk_open(void)
{
    struct desk *desk = calloc(1, sizeof *desk);
    ensure(desk);
    size_t bytes = list_bytes_max(NUMBERS_MAX) + list_bytes_spare(NUMBERS_MAX);
    desk->room = list_room_open(NUMBERS_MAX);
    ensure(desk->room);
    desk->bytes = guarded_open(bytes);
    desk->copy = guarded_open(bytes);
    desk->out = guarded_open(NUMBERS_MAX * sizeof(uint64_t));
    return desk;
}

static void desk_close(struct desk *desk)
{
    list_room_close(desk->room);
    guarded_close(&desk->bytes);
    guarded_close(&desk->copy);
    guarded_close(&desk->out);
    free(desk);
}

// The bytes of desk->numbers; they lie in desk->bytes until the next call.
static const uint8_t *desk_encode(struct desk *desk, enum column_level level, uint32_t count,
                                  size_t *size)
{
    size_t room = list_bytes_max(count) + list_bytes_spare(count);
    uint8_t *bytes = guarded_take(&desk->bytes, room, true);
    *size = (size_t)(list_encode(desk->room, level, desk->numbers, count, bytes) - bytes);
    cr_assert(*size <= list_bytes_max(count), "%zu bytes for %u numbers", *size, count);
    cr_assert(bytes[0] < LIST_KIND_COUNT);
    desk->kinds[level][bytes[0]]++;
    return bytes;
}

// Decodes a copy that ends at the guard; NULL: refused, or not all bytes were taken.
static const uint64_t *desk_decode(struct desk *desk, const uint8_t *bytes, size_t size,
                                   uint32_t count)
{
    uint8_t *copy = guarded_take(&desk->copy, size, true);
    uint64_t *out = guarded_take(&desk->out, count * sizeof *out, true);
    memcpy(copy, bytes, size);
    struct wire_reader in = wire_reader_of(copy, size);
    return list_decode(desk->room, &in, count, out) && wire_left(&in) == 0 ? out : NULL;
}

// So many numbers of the list are wanted: these come, and the list ends where it did.
static void expect_first(struct desk *desk, const uint8_t *bytes, size_t size, uint32_t count,
                         uint32_t needed)
{
    uint8_t *copy = guarded_take(&desk->copy, size, true);
    uint64_t *out = guarded_take(&desk->out, count * sizeof *out, true);
    memcpy(copy, bytes, size);
    memset(out, 0x5a, count * sizeof *out);
    struct wire_reader in = wire_reader_of(copy, size);
    cr_assert(list_decode_first(desk->room, &in, count, needed, out) && wire_left(&in) == 0);
    cr_assert_eq(memcmp(out, desk->numbers, needed * sizeof *out), 0, "%u of %u numbers (%s)",
                 needed, count, list_kind_name(bytes[0]));
}

static size_t expect_trip(struct desk *desk, enum column_level level, uint32_t count,
                          const char *what)
{
    size_t size;
    const uint8_t *bytes = desk_encode(desk, level, count, &size);
    const uint64_t *out = desk_decode(desk, bytes, size, count);
    cr_assert(out, "%s, %u numbers, level %d: refused (%s)", what, count, level,
              list_kind_name(bytes[0]));
    cr_assert_eq(memcmp(out, desk->numbers, count * sizeof *out), 0,
                 "%s, %u numbers, level %d: others come back (%s)", what, count, level,
                 list_kind_name(bytes[0]));
    const uint32_t needed[] = {0, 1, count / 3, count / 2 + 1, count - 1};
    for (size_t n = 0; n < sizeof needed / sizeof *needed; n++)
        expect_first(desk, bytes, size, count, needed[n] < count ? needed[n] : count);
    return size;
}

static void expect_trips(struct desk *desk, uint32_t count, const char *what)
{
    expect_trip(desk, COLUMN_LEVEL_DENSE, count, what);
    expect_trip(desk, COLUMN_LEVEL_LIGHT, count, what);
}

// ---- one by one ----

static const uint64_t edges[] = {
    0, 1, 2, 127, 128, 255, 1000000, UINT32_MAX, 1ull << 62, INT64_MAX, 1ull << 63,
    (1ull << 63) + 1, UINT64_MAX - 1, UINT64_MAX,
};

enum { EDGES = sizeof edges / sizeof *edges };

Test(column_list, constants_come_back_whatever_they_are)
{
    struct desk *desk = desk_open();
    for (unsigned e = 0; e < EDGES; e++) {
        for (unsigned c = 0; c < COUNTS; c++) {
            for (uint32_t i = 0; i < list_counts[c]; i++)
                desk->numbers[i] = edges[e];
            expect_trips(desk, list_counts[c], "constant");
        }
    }
    cr_assert_eq(desk->kinds[0][LIST_CONSTANT], EDGES * COUNTS);
    cr_assert_eq(desk->kinds[1][LIST_CONSTANT], EDGES * COUNTS);
    desk_close(desk);
}

Test(column_list, two_numbers_however_far_apart)
{
    struct desk *desk = desk_open();
    for (unsigned a = 0; a < EDGES; a++) {
        for (unsigned b = 0; b < EDGES; b++) {
            for (unsigned c = 1; c < COUNTS; c++) {
                for (uint32_t i = 0; i < list_counts[c]; i++)
                    desk->numbers[i] = i % 2 ? edges[a] : edges[b];
                expect_trips(desk, list_counts[c], "two in turn");
                for (uint32_t i = 0; i < list_counts[c]; i++)
                    desk->numbers[i] = i == list_counts[c] / 2 ? edges[a] : edges[b];
                expect_trips(desk, list_counts[c], "one among others");
            }
        }
    }
    desk_close(desk);
}

Test(column_list, every_width_at_every_length)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    for (unsigned width = 0; width <= 64; width++) {
        for (unsigned c = 0; c < COUNTS; c++) {
            column_numbers(&random, COLUMN_STYLE_WIDTH, width, desk->numbers, list_counts[c]);
            expect_trips(desk, list_counts[c], "width");
            column_numbers(&random, COLUMN_STYLE_SIGNS, width, desk->numbers, list_counts[c]);
            expect_trips(desk, list_counts[c], "alternating signs");
        }
    }
    desk_close(desk);
}

Test(column_list, a_common_divisor_is_found_and_taken_out)
{
    static const uint64_t steps[] = {2, 3, 10, 1000, 1000000, 1ull << 32, 1ull << 62, 1ull << 63,
                                     INT64_MAX, 6148914691236517205};
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    for (unsigned s = 0; s < sizeof steps / sizeof *steps; s++) {
        for (unsigned c = 1; c < COUNTS; c++) {
            uint32_t count = list_counts[c];
            uint64_t base = random_next(&random);
            uint64_t most = UINT64_MAX / steps[s];
            most = most > 200 ? 200 : most;
            for (uint32_t i = 0; i < count; i++) // the span stays below 2^64
                desk->numbers[i] = (1ull << 63) + (base & 1) +
                                   steps[s] * (i < 2 ? i : random_next(&random) % (most + 1));
            expect_trips(desk, count, "steps");
            size_t size = expect_trip(desk, COLUMN_LEVEL_DENSE, count, "steps");
            cr_assert(count < 1023 || size < count + 60, "%zu bytes at a step of %lx", size,
                      (unsigned long)steps[s]);
        }
    }
    desk_close(desk);
}

Test(column_list, a_divisor_of_the_sample_alone_is_not_taken)
{
    struct desk *desk = desk_open();
    for (uint32_t odd = 0; odd < 8192; odd += 61) {
        for (uint32_t i = 0; i < 8192; i++)
            desk->numbers[i] = i * 37ull % 101 * 1000000 + (i == odd ? 1 : 0);
        expect_trips(desk, 8192, "one that is no multiple");
    }
    desk_close(desk);
}

// ---- kinds ----

static uint8_t kind_of(struct desk *desk, enum column_level level, uint32_t count)
{
    size_t size;
    return desk_encode(desk, level, count, &size)[0];
}

Test(column_list, each_kind_is_chosen_where_it_is_the_shortest)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    enum { COUNT = 8192 };
    column_numbers(&random, COLUMN_STYLE_WIDTH, 13, desk->numbers, COUNT);
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_LIGHT, COUNT), LIST_PACKED);
    column_numbers(&random, COLUMN_STYLE_WIDTH, 64, desk->numbers, 100);
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_DENSE, 100), LIST_PACKED, "bins cost more");
    column_numbers(&random, COLUMN_STYLE_LENGTHS, 0, desk->numbers, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        desk->numbers[i] >>= random_below(&random, 64);
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_LIGHT, COUNT), LIST_BINS, "by lengths");
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_DENSE, COUNT), LIST_BINS);
    column_numbers(&random, COLUMN_STYLE_SPARSE, 40, desk->numbers, COUNT);
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_LIGHT, COUNT), LIST_SPARSE);
    column_numbers(&random, COLUMN_STYLE_FEW, 0, desk->numbers, COUNT);
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_LIGHT, COUNT), LIST_DICTIONARY);
    for (uint32_t i = 0; i < COUNT; i++)
        desk->numbers[i] = 1000000 * (random_next(&random) % 900) + random_next(&random) % 900;
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_LIGHT, COUNT), LIST_TICKS);
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_DENSE, COUNT), LIST_TICKS);
    column_numbers(&random, COLUMN_STYLE_RUNS, 30, desk->numbers, COUNT);
    cr_assert_eq(kind_of(desk, COLUMN_LEVEL_LIGHT, COUNT), LIST_RUNS);
    desk_close(desk);
}

Test(column_list, dictionaries_of_any_size)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    for (uint32_t size = 30; size <= 300; size += size < 250 ? 44 : 1) {
        uint64_t different[300];
        for (uint32_t d = 0; d < size; d++)
            different[d] = random_next(&random);
        for (uint32_t i = 0; i < 8192; i++) // the sample sees few of them
            desk->numbers[i] = different[i < 400 ? i % 3 % size : i % size];
        expect_trips(desk, 8192, "dictionary");
        uint8_t kind = kind_of(desk, COLUMN_LEVEL_LIGHT, 8192);
        cr_assert_eq(kind == LIST_DICTIONARY, size <= 256, "%u different: %s", size,
                     list_kind_name(kind));
    }
    desk_close(desk);
}

// ---- all together ----

static void expect_random_trip(struct desk *desk, struct format_random *random, uint32_t count)
{
    char what[64];
    uint64_t state = random->state;
    enum column_style style = (enum column_style)random_below(random, COLUMN_STYLES);
    column_numbers(random, style, random_below(random, 65), desk->numbers, count);
    (void)snprintf(what, sizeof what, "state %lu, style %d", (unsigned long)state, (int)style);
    expect_trips(desk, count, what);
}

Test(column_list, whatever_numbers_come_back)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    for (uint32_t round = 0; round < 4000; round++) {
        uint32_t count = round % 2 ? list_counts[random_below(&random, COUNTS)]
                                   : 1 + random_below(&random, 3000);
        expect_random_trip(desk, &random, count);
    }
    for (uint32_t round = 0; round < 12; round++)
        expect_random_trip(desk, &random, NUMBERS_MAX - round % 2);
    for (int kind = 0; kind < LIST_KIND_COUNT; kind++)
        cr_assert(desk->kinds[0][kind] + desk->kinds[1][kind] > 0, "%s never chosen",
                  list_kind_name((uint8_t)kind));
    desk_close(desk);
}

// A plan of bins is chosen by what it is thought to take, and must not take more than packing does.
Test(column_list, dense_is_never_longer_than_packed)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    static uint64_t distances[8192];
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t count = 1 + random_below(&random, round % 5 == 0 ? 3000 : 300);
        enum column_style style = (enum column_style)random_below(&random, COLUMN_STYLES);
        column_numbers(&random, style, random_below(&random, 65), desk->numbers, count);
        int64_t least = INT64_MAX;
        for (uint32_t i = 0; i < count; i++)
            least = (int64_t)desk->numbers[i] < least ? (int64_t)desk->numbers[i] : least;
        for (uint32_t i = 0; i < count; i++)
            distances[i] = desk->numbers[i] - (uint64_t)least;
        size_t packed = 1 + wire_varint_bytes(wire_zigzag(least)) + 1 +
                        pack_bytes(list_kernels(desk->room), distances, count);
        size_t size;
        (void)desk_encode(desk, COLUMN_LEVEL_DENSE, count, &size);
        cr_assert(size <= packed + 9, "round %u, style %d, %u numbers: %zu bytes, packed %zu",
                  round, (int)style, count, size, packed);
    }
    desk_close(desk);
}

// Numbers that come often, each beside one that does not, all far apart: each would be worth a bin.
Test(column_list, bins_are_never_more_than_there_can_be)
{
    struct desk *desk = desk_open();
    for (uint32_t i = 0; i < 8192; i++)
        desk->numbers[i] = i / 29 * (1ull << 53) + (i % 29 == 0 ? 0 : 1ull << 52) + i / 2900;
    size_t size = expect_trip(desk, COLUMN_LEVEL_DENSE, 8192, "too many bins");
    cr_assert(size < 8192 * 62 / 8 + 64, "%zu bytes", size);
    desk_close(desk);
}

Test(column_list, bytes_do_not_depend_on_the_processor)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    uint8_t *expected = malloc(list_bytes_max(8192));
    for (uint32_t round = 0; round < 600; round++) {
        enum column_level level = round % 2 ? COLUMN_LEVEL_LIGHT : COLUMN_LEVEL_DENSE;
        enum column_style style = (enum column_style)random_below(&random, COLUMN_STYLES);
        uint32_t count = list_counts[random_below(&random, COUNTS)];
        size_t size, expected_size = 0;
        column_numbers(&random, style, random_below(&random, 65), desk->numbers, count);
        for (unsigned k = 0; vector_kernels_at(k); k++) {
            list_room_kernels(desk->room, vector_kernels_at(k));
            cr_assert_eq(list_kernels(desk->room), vector_kernels_at(k));
            const uint8_t *bytes = desk_encode(desk, level, count, &size);
            if (k == 0)
                memcpy(expected, bytes, expected_size = size);
            cr_assert(size == expected_size && memcmp(bytes, expected, size) == 0,
                      "seed %lu, round %u, %s", (unsigned long)column_seed(), round,
                      vector_kernels_at(k)->name);
            const uint64_t *out = desk_decode(desk, bytes, size, count);
            cr_assert(out && memcmp(out, desk->numbers, count * sizeof *out) == 0);
        }
    }
    free(expected);
    desk_close(desk);
}

// ---- damage ----

static void expect_cuts_refused(struct desk *desk, const uint8_t *bytes, size_t size,
                                uint32_t count)
{
    size_t stride = size / 150 + 1;
    for (size_t cut = 0; cut < size; cut += stride)
        cr_assert_null(desk_decode(desk, bytes, cut, count), "%s, %zu of %zu bytes",
                       list_kind_name(bytes[0]), cut, size);
    cr_assert_null(desk_decode(desk, bytes, size - 1, count));
}

static void decode_flipped(struct desk *desk, uint8_t *bytes, size_t size, uint32_t count,
                           uint32_t *refused, uint32_t *other)
{
    size_t stride = size * 8 / 400 + 1;
    for (size_t bit = 0; bit < size * 8; bit += bit < 200 ? 1 : stride) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        const uint64_t *out = desk_decode(desk, bytes, size, count);
        if (!out)
            ++*refused;
        else if (memcmp(out, desk->numbers, count * sizeof *out) != 0)
            ++*other;
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

// What is not refused gives other numbers in all but a few cases (an unused bit more of a width):
// the hash of the block is what tells.
Test(column_list, damaged_bytes_are_refused_or_give_other_numbers)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    uint8_t *bytes = malloc(list_bytes_max(8192));
    uint32_t refused = 0, other = 0;
    for (uint32_t round = 0; round < 400; round++) {
        enum column_level level = round % 2 ? COLUMN_LEVEL_LIGHT : COLUMN_LEVEL_DENSE;
        enum column_style style = (enum column_style)(round / 2 % COLUMN_STYLES);
        uint32_t count = list_counts[random_below(&random, COUNTS)];
        size_t size;
        column_numbers(&random, style, random_below(&random, 65), desk->numbers, count);
        const uint8_t *encoded = desk_encode(desk, level, count, &size);
        memcpy(bytes, encoded, size);
        expect_cuts_refused(desk, bytes, size, count);
        decode_flipped(desk, bytes, size, count, &refused, &other);
    }
    cr_assert(refused > 10000 && other > 10000, "%u refused, %u other", refused, other);
    free(bytes);
    desk_close(desk);
}

Test(column_list, noise_never_leaves_the_memory)
{
    struct desk *desk = desk_open();
    struct format_random random = {column_seed()};
    uint8_t bytes[4096];
    for (uint32_t round = 0; round < 60000; round++) {
        uint32_t size = 1 + random_below(&random, round % 100 == 0 ? sizeof bytes : 60);
        for (uint32_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_next(&random);
        bytes[0] %= LIST_KIND_COUNT + 1;
        (void)desk_decode(desk, bytes, size, 1 + random_below(&random, 1100));
    }
    desk_close(desk);
}

Test(column_list, kinds_have_names)
{
    for (int kind = 0; kind < LIST_KIND_COUNT; kind++)
        cr_assert_str_neq(list_kind_name((uint8_t)kind), "unknown");
    cr_assert_str_eq(list_kind_name(LIST_BINS), "bins");
    cr_assert_str_eq(list_kind_name(LIST_KIND_COUNT), "unknown");
}
