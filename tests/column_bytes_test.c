// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: the codecs read what docs/format.md says and what earlier versions wrote, for ever. Method:
// bytes made by hand from the document (bit by bit; nothing here was written by the encoder), and
// bytes that the writer of 1.0 left, as literals.
#include <criterion/criterion.h>

#include "format/column_codec.h"
#include "tests/format_random.h"

enum { VALUES_MAX = 8192 };

struct sample {
    const char *name;
    uint8_t bytes[64];
    uint32_t size;
    uint32_t count;
    int64_t values[12];
};

#define BYTES(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})
#define VALUES(...) sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}

// ---- lists ----

static const struct sample lists[] = {
    {"constant", BYTES(0, 0x09), VALUES(-5, -5, -5)},
    {"constant, the least", BYTES(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
     VALUES(INT64_MIN, INT64_MIN)},
    // Base 100, step 3, width 4: 1, 2, 15, 0, 7.
    {"packed", BYTES(1, 0xc8, 1, 3, 4, 0x21, 0x0f, 0x07), VALUES(103, 106, 145, 100, 121)},
    // No bits at all: each is the base.
    {"packed, width 0", BYTES(1, 6, 1, 0), VALUES(3, 3, 3)},
    {"packed, width 64", BYTES(1, 0, 1, 64, 1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff,
                               0xff, 0xff, 0xff, 0xff),
     VALUES(INT64_MIN + 1, -1)},
    // Base 10, step 2^64 - 2, width 1: 0, 1.
    {"packed, downwards",
     BYTES(1, 0x14, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 2), VALUES(10, 8)},
    // 1, 2, 0x105: two bits each; one patch, 7 bits: place 2, 0x41.
    {"packed, patched", BYTES(1, 0, 1, 0x82, 1, 0, 7, 0x19, 0x02, 0x04, 0x01),
     VALUES(1, 2, 0x105)},
    // Width 0, step 2; two patches, 3 bits: places 0 and 2, 5 each.
    {"packed, patches alone",
     BYTES(1, 0, 2, 0x80, 2, 0, 3, 0x00, 0x54, 0x80, 0x02), VALUES(10, 0, 10)},
    // 7 but at places 1 and 9, where it is 5.
    {"sparse", BYTES(2, 0x0e, 2, 0x02, 0x02, 0, 0x0a), VALUES(7, 5, 7, 7, 7, 7, 7, 7, 7, 5)},
    // One bin, lower end 5, width 2: 0 00111 10 | 00110 | places 00 11 10.
    {"bins, one", BYTES(3, 0, 1, 1, 0, 0x78, 0x8c, 3), VALUES(5, 8, 6)},
    // {0, width 0, weight 12}, {100, width 3, weight 4}, 16 states; base 1, step 10.
    {"bins, two",
     BYTES(3, 2, 10, 2, 4, 0x33, 0xc2, 0x8f, 0x5c, 0x68, 0x5b, 0xc5, 0),
     VALUES(1, 1, 1031, 1, 1001, 1, 1)},
    // {1, 0, 9}, {2, width 4, 3}, {2^63, width 63, 4}: the second begins where the first ends.
    {"bins, three",
     BYTES(3, 0, 1, 3, 4, 0x9c, 0x25, 0x86, 4, 0xbc, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
           0x7f, 0xe0, 0x6d, 0x7c, 0x5e, 0x6f, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
           0, 0, 0, 0, 0, 0, 0, 0x80, 3),
     VALUES(1, -1, 17, 1, 1, INT64_MIN, 9, 1, 2)},
    // {1000, 1500}; places 1, 0, 0, 1.
    {"dictionary", BYTES(4, 2, 1, 0xd0, 0x0f, 0xf4, 0x03, 1, 2, 1, 0, 1, 1, 9),
     VALUES(1500, 1000, 1000, 1500)},
    // 3 twice, 7 three times.
    {"runs", BYTES(5, 2, 1, 6, 4, 1, 2, 1, 4, 1, 1, 2), VALUES(3, 3, 7, 7, 7)},
    // 3, 4, 5 times 10 and 0, -2, 0.
    {"ticks", BYTES(6, 10, 1, 6, 1, 2, 0x24, 2, 0, 1, 0x02, 0, 3), VALUES(30, 38, 50)},
    // -1 times 2^64 - 1 and 5.
    {"ticks, modulo 2^64",
     BYTES(6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 1, 0, 10), VALUES(6, 6)},
};

Test(column_bytes, lists_made_by_hand_are_read)
{
    struct list_room *room = list_room_open(VALUES_MAX);
    for (size_t s = 0; s < sizeof lists / sizeof *lists; s++) {
        const struct sample *sample = &lists[s];
        int64_t out[12];
        struct wire_reader in = wire_reader_of(sample->bytes, sample->size);
        cr_assert(list_decode(room, &in, sample->count, (uint64_t *)out), "%s", sample->name);
        cr_assert_eq(wire_left(&in), 0, "%s", sample->name);
        for (uint32_t i = 0; i < sample->count; i++)
            cr_assert_eq(out[i], sample->values[i], "%s: number %u is %ld", sample->name, i,
                         (long)out[i]);
    }
    list_room_close(room);
}

// Width 3: number 338 is of lane 2, place 21: bits 63 to 65 of it, words 2 and 16 + 2; number 1023
// of lane 15, place 63: bits 189 to 191, word 2 * 16 + 15.
Test(column_bytes, a_whole_vector_made_by_hand_is_read)
{
    static uint8_t bytes[4 + 384] = {1, 0, 1, 3};
    static uint64_t out[1024];
    bytes[4 + 2 * 8 + 7] = 0x80;
    bytes[4 + 18 * 8] = 0x02;
    bytes[4 + 383] = 0xc0;
    struct list_room *room = list_room_open(VALUES_MAX);
    struct wire_reader in = wire_reader_of(bytes, sizeof bytes);
    cr_assert(list_decode(room, &in, 1024, out) && wire_left(&in) == 0);
    for (uint32_t i = 0; i < 1024; i++)
        cr_assert_eq(out[i], i == 338 ? 5 : i == 1023 ? 6 : 0, "number %u is %lu", i,
                     (unsigned long)out[i]);
    list_room_close(room);
}

// What the document excludes; each a byte or two from one that is good. Numbers: only how many.
#define COUNT(count) count, {0}
#define BINS_END 0, 0, 0, 0, 0, 0, 0, 0

static const struct sample wrong_lists[] = {
    {"nothing", {0}, 0, COUNT(3)},
    {"kind 7", BYTES(7, 0, 1, 0), COUNT(3)},
    {"constant, cut off", BYTES(0, 0x80), COUNT(3)},
    {"constant, beyond 64 bits", BYTES(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2),
     COUNT(3)},
    {"packed, width 65", BYTES(1, 0, 1, 65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), COUNT(1)},
    {"packed, unused bits", BYTES(1, 0, 1, 4, 0x21, 0x1f), COUNT(3)},
    {"patches, none", BYTES(1, 0, 2, 0x80, 0, 0, 3), COUNT(3)},
    {"patches, more than numbers", BYTES(1, 0, 2, 0x80, 4, 0, 3, 0x00, 0x54, 0x80, 0x02, 0, 0, 0),
     COUNT(3)},
    {"patches of no bits", BYTES(1, 0, 2, 0x80, 2, 0, 0, 0x00, 0x08, 0x00), COUNT(3)},
    {"patches of the 65th bit", BYTES(1, 0, 2, 0x80 | 62, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4),
     COUNT(1)},
    {"patches that fall", BYTES(1, 0, 2, 0x80, 2, 0, 3, 0x02, 0x14, 0x80, 0x02), COUNT(3)},
    {"patches of one place", BYTES(1, 0, 2, 0x80, 2, 0, 3, 0x00, 0x14, 0x80, 0x02), COUNT(3)},
    {"a patch behind the end", BYTES(1, 0, 2, 0x80, 2, 0, 3, 0x00, 0x74, 0x80, 0x02), COUNT(3)},
    {"a patch of 0", BYTES(1, 0, 2, 0x80, 2, 0, 3, 0x00, 0x54, 0x00, 0x00), COUNT(3)},
    {"patches, unused bits", BYTES(1, 0, 2, 0x80, 2, 0, 3, 0x00, 0x54, 0x80, 0x06), COUNT(3)},
    {"sparse, no others", BYTES(2, 0x0e, 0, 0x00, 0x00, 0, 0x0a), COUNT(10)},
    {"sparse, a bit less", BYTES(2, 0x0e, 2, 0x02, 0x00, 0, 0x0a), COUNT(10)},
    {"sparse, a bit more", BYTES(2, 0x0e, 2, 0x03, 0x02, 0, 0x0a), COUNT(10)},
    {"sparse, unused bits", BYTES(2, 0x0e, 2, 0x02, 0x04, 0, 0x0a), COUNT(10)},
    {"sparse, others than all", BYTES(2, 0x0e, 11, 0xff, 0x03, 0, 0x0a), COUNT(10)},
    {"sparse in sparse", BYTES(2, 0x0e, 2, 0x02, 0x02, 2, 0x0e, 1, 1, 0, 0), COUNT(10)},
    {"bins, none", BYTES(3, 0, 1, 0, 0, 0x78, 0x8c, 3), COUNT(3)},
    {"bins, one of 16 states", BYTES(3, 0, 1, 1, 4, 0x73, BINS_END), COUNT(3)},
    {"bins, two without states", BYTES(3, 0, 1, 2, 0, 0xc3, 0x8f, 1, BINS_END), COUNT(3)},
    {"bins, 8 states", BYTES(3, 0, 1, 2, 3, 0x33, 0xe0, 0xc7, 1, BINS_END), COUNT(3)},
    {"bins, 8,192 states", BYTES(3, 0, 1, 2, 13, 0xe3, 1, 0, 0x7e, 0x1c, BINS_END, BINS_END),
     COUNT(3)},
    {"bins, weights too small", BYTES(3, 0, 1, 2, 4, 0xb3, 0xc1, 0x8f, 5, BINS_END), COUNT(4)},
    {"bins, weights too large", BYTES(3, 0, 1, 2, 4, 0xb3, 0xc2, 0x8f, 5, BINS_END), COUNT(4)},
    {"bins, a weight of 0", BYTES(3, 0, 1, 2, 4, 0x73, 0x18, 0x55, 0x53, 5), COUNT(4)},
    {"bins, behind the last number",
     BYTES(3, 0, 1, 2, 4, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x8c, 0x16, 0x35,
           0x55, 0), COUNT(4)},
    {"bins, behind the last number, joined",
     BYTES(3, 0, 1, 2, 4, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x8c, 0x8b, 0x9a,
           0x2a, 0), COUNT(4)},
    {"bins, past the last number",
     BYTES(3, 0, 1, 2, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8c, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff,
           0xff, 0xff, 0xff, 0xa2, 0xa6, 0x0a), COUNT(4)},
    {"bins, joined past the last number",
     BYTES(3, 0, 1, 2, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0xcf, 0x18, 0xe8, 0x8b, 0x9a, 0x2a,
           BINS_END, BINS_END, BINS_END), COUNT(4)},
    {"bins, width 65", BYTES(3, 0, 1, 1, 0, 1, 7, BINS_END, BINS_END), COUNT(1)},
    {"bins, width -1", BYTES(3, 0, 1, 1, 0, 5, BINS_END), COUNT(1)},
    {"bins, a lower end of 65 bits", BYTES(3, 0, 1, 1, 0, 0, 7, BINS_END, BINS_END), COUNT(1)},
    {"bins, no gamma", BYTES(3, 0, 1, 1, 0, BINS_END, BINS_END, BINS_END), COUNT(1)},
    {"bins, unused bits", BYTES(3, 0, 1, 1, 0, 0x19, 0x10), COUNT(3)},
    {"bins, a state that is not 0", BYTES(3, 0, 1, 2, 4, 0x33, 0xc2, 0x8f, 0x45, 0x4d, 0x17),
     COUNT(4)},
    {"dictionary of nothing", BYTES(4, 0, 0, 2, 0, 0), COUNT(4)},
    {"dictionary of 257", BYTES(4, 0x81, 2, 0, 2, 0, 0), COUNT(4)},
    {"a place behind the dictionary", BYTES(4, 2, 1, 0xd0, 0x0f, 0xf4, 0x03, 1, 2, 1, 0, 2, 1, 9),
     COUNT(4)},
    {"dictionary in a dictionary", BYTES(4, 1, 0, 2, 4, 1, 0, 2, 0, 0), COUNT(4)},
    {"no runs", BYTES(5, 0, 0, 2, 0, 2), COUNT(5)},
    {"more runs than numbers", BYTES(5, 6, 0, 2, 0, 2), COUNT(5)},
    {"a run of none", BYTES(5, 2, 1, 6, 4, 1, 2, 1, 0, 5, 1, 2), COUNT(5)},
    {"runs too short", BYTES(5, 2, 1, 6, 4, 1, 2, 0, 4), COUNT(5)},
    {"runs too long", BYTES(5, 2, 1, 6, 4, 1, 2, 0, 6), COUNT(5)},
    {"a run without end", BYTES(5, 2, 1, 6, 4, 1, 2, 0, 1), COUNT(5)},
    {"ticks, sparse", BYTES(6, 10, 2, 0, 1, 0x02, 0, 3, 0, 0), COUNT(3)},
    {"ticks in ticks", BYTES(6, 10, 6, 10, 0, 0, 0, 0, 0, 0), COUNT(3)},
    {"ticks without rests", BYTES(6, 10, 0, 2), COUNT(3)},
    {"ticks with runs for rests", BYTES(6, 10, 0, 2, 5, 1, 0, 2, 0, 6), COUNT(3)},
    {"ticks, a unit beyond 64 bits", BYTES(6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           3, 0, 2, 0, 2), COUNT(3)},
};

Test(column_bytes, lists_that_the_document_excludes_are_refused)
{
    static const struct sample good[] = {
        {"a state", BYTES(3, 0, 1, 2, 4, 0x33, 0xc2, 0x8f, 0x45, 0x4d, 0x15), VALUES(0, 100, 0, 0)},
        {"a bin", BYTES(3, 0, 1, 1, 0, 0x19, 0x00), VALUES(0, 0, 0)},
    };
    struct list_room *room = list_room_open(VALUES_MAX);
    uint64_t out[12];
    for (size_t g = 0; g < 2; g++) {
        struct wire_reader in = wire_reader_of(good[g].bytes, good[g].size);
        cr_assert(list_decode(room, &in, good[g].count, out), "%s", good[g].name);
        cr_assert_eq(memcmp(out, good[g].values, good[g].count * 8ul), 0, "%s", good[g].name);
    }
    for (size_t w = 0; w < sizeof wrong_lists / sizeof *wrong_lists; w++) {
        struct wire_reader in = wire_reader_of(wrong_lists[w].bytes, wrong_lists[w].size);
        cr_assert_not(list_decode(room, &in, wrong_lists[w].count, out), "%s",
                      wrong_lists[w].name);
    }
    list_room_close(room);
}

// ---- models ----

#define SMALL 1, 1, 1, 2, 0xe4 // a list: -1, 0, 1, 2
#define START 0xc8, 1          // 100
#define LIST(value) 0, 2 * (value)

// x (column 5) is 10, 12, 12, 9, -1; column 6 is 0, 1, 1, 0, 1.
static const struct sample models[] = {
    {"value", BYTES(0, SMALL), VALUES(-1, 0, 1, 2)},
    {"delta", BYTES(1, START, SMALL), VALUES(99, 99, 100, 102)},
    {"offset", BYTES(2, 5, SMALL), VALUES(9, 12, 13, 11)},
    {"offset delta", BYTES(3, 5, START, SMALL), VALUES(109, 111, 112, 111)},
    {"exclusive or", BYTES(4, START, SMALL), VALUES(-101, -101, -102, -104)},
    {"delta or value", BYTES(5, 5, START, SMALL), VALUES(99, 0, 1, 2)},
    {"follow", BYTES(6, 5, START, SMALL), VALUES(99, 10, 13, 14)},
    {"delta or offset", BYTES(7, 5, START, SMALL), VALUES(99, 12, 13, 11)},
    {"change", BYTES(0x40, 0, 5, 0, 1, 2, LIST(1), 3, LIST(2)), VALUES(1, 2, 1, 2, 2)},
    {"change, sizes", BYTES(0x40, 0, 5, 1, 3, 2, LIST(1), 2, LIST(2), 0, 1, LIST(3)),
     VALUES(1, 2, 1, 2, 3)},
    {"direction", BYTES(0x40, 1, 5, 0, 0, 2, LIST(1), 1, LIST(2), 2, LIST(3)),
     VALUES(1, 2, 1, 3, 3)},
    {"code", BYTES(0x40, 2, 5, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, LIST(1), 1, LIST(2), 3,
                   LIST(3)),
     VALUES(2, 3, 3, 1, 3)},
    {"last", BYTES(0x40, 4, 0, 0, 1, 4, 1, 0, 1, 3, 0x28, 0x0e, 1, LIST(0)),
     VALUES(0, 5, 0, 0, 7)},
    // 1, -5, -5, 2, 3 behind 0, 1 (0 bits of 1 >> 1), -5 (2 bits), -5, 2 (1 bit).
    {"last, sizes", BYTES(0x41, 4, 0, 1, 2, START, 2, 1, 9, 6, 1, 1, 1, LIST(3), 2, 1, 9, 7, 1, 2),
     VALUES(101, 96, 91, 93, 96)},
    {"two predicates", BYTES(0x80, 2, 6, 0, 1, 0, 5, 0, 1, 1, LIST(1), 1, LIST(2), 1, LIST(3), 2,
                             LIST(4)),
     VALUES(1, 4, 3, 2, 4)},
};

static const int64_t column_5[] = {10, 12, 12, 9, -1};
static const int64_t column_6[] = {0, 1, 1, 0, 1};

static void expect_model(const struct model_frame *frame, const struct sample *sample)
{
    int64_t out[12];
    struct modelled_room *room = modelled_room_open(VALUES_MAX);
    struct wire_reader in = wire_reader_of(sample->bytes, sample->size);
    cr_assert(modelled_decode(room, frame, &in, out, sample->count), "%s", sample->name);
    cr_assert_eq(wire_left(&in), 0, "%s", sample->name);
    for (uint32_t i = 0; i < sample->count; i++)
        cr_assert_eq(out[i], sample->values[i], "%s: value %u is %ld", sample->name, i,
                     (long)out[i]);
    modelled_room_close(room);
}

Test(column_bytes, models_made_by_hand_are_read)
{
    for (size_t s = 0; s < sizeof models / sizeof *models; s++) {
        struct model_frame frame = {.rows = models[s].count};
        frame.columns[5] = column_5;
        frame.columns[6] = column_6;
        expect_model(&frame, &models[s]);
    }
}

// Rows: bid bid ask | nothing | ask | bid ask bid.
static const struct sample level_models[] = {
    {"list", BYTES(0x11, 100, LIST(1)), VALUES(51, 52, 51, 52, 52, 53, 53)},
    {"rank", BYTES(0x21, 100, LIST(1)), VALUES(51, 51, 51, 51, 52, 51, 51)},
    {"list, first", BYTES(0x50, 3, 0, 0, 0, 2, LIST(1), 5, LIST(2)), VALUES(2, 1, 2, 2, 2, 2, 1)},
    {"sequence, first", BYTES(0x40, 3, 0, 0, 0, 4, LIST(1), 3, LIST(2)),
     VALUES(2, 1, 1, 2, 2, 1, 1)},
    // A price that follows the side's last one in the row: side in column 70.
    {"list, follow", BYTES(0x16, 68, 100, LIST(1)), VALUES(51, 11, 51, 31, 11, 41, 51)},
};

Test(column_bytes, models_of_levels_made_by_hand_are_read)
{
    static const int64_t sides[] = {0, 0, 1, 1, 0, 1, 0};
    static const int64_t prices[] = {10, 20, 30, 40, 50, 60, 70};
    static const uint32_t level_first[] = {0, 3, 3, 4, 7};
    uint32_t list[7], rank[7];
    struct model_frame frame = {.rows = 4, .levels = 7, .level_first = level_first};
    frame.columns[68] = prices;
    frame.columns[70] = sides;
    model_lineage(&frame, MODEL_LIST, sides, list);
    model_lineage(&frame, MODEL_RANK, sides, rank);
    frame.before[MODEL_LIST] = list;
    frame.before[MODEL_RANK] = rank;
    for (size_t s = 0; s < sizeof level_models / sizeof *level_models; s++)
        expect_model(&frame, &level_models[s]);
}

// ---- codecs of 1.0 ----

struct golden {
    uint8_t codec;
    struct sample sample;
};

// A zstd frame of raw bytes: magic, one segment of N bytes, one raw block, the last.
#define ZSTD_RAW(size) 0x28, 0xb5, 0x2f, 0xfd, 0x20, size, (size) << 3 | 1, 0, 0

static const struct golden golden[] = {
    {0, {"constant", BYTES(0x09), VALUES(-5, -5, -5)}},
    {1, {"plain", BYTES(0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0),
         VALUES(INT64_MIN, INT64_MAX, -1, 0)}},
    {2, {"packed", BYTES(0x05, 0x02, 0x03, 0x08, 0x8d, 0x0e), VALUES(-3, -1, 5, 9, -3, 7, 3)}},
    {3, {"delta packed", BYTES(0x80, 0x80, 0xc0, 0xa9, 0x8e, 0x96, 0xf3, 0xe9, 0x2f, 0x80, 0xf2,
                               0xba, 0x5d, 0xc0, 0x8d, 0xb7, 0x01, 0x01, 0xdb),
         VALUES(1723161600000000000, 1723161600101000000, 1723161600202000000, 1723161600300000000,
                1723161600401000000, 1723161600502000000, 1723161600600000000, 1723161600701000000,
                1723161600802000000)}},
    {3, {"delta packed, one", BYTES(0x09, 0, 1, 0), VALUES(-5)}},
    // Base -7, step 5; 0, 1, 200.
    {4, {"varint zstd", BYTES(0x0d, 5, ZSTD_RAW(4), 0, 1, 0xc8, 0x01), VALUES(-7, -2, 993)}},
    // First 10, step 100; -1, 3, 0.
    {5, {"delta zstd", BYTES(0x14, 100, ZSTD_RAW(3), 1, 6, 0), VALUES(10, -90, 210, 210)}},
    {5, {"delta zstd, one", BYTES(0x14, 1, ZSTD_RAW(0)), VALUES(10)}},
};

Test(column_bytes, the_codecs_of_1_0_stay_readable)
{
    struct column_scratch *scratch = column_scratch_open(VALUES_MAX);
    uint32_t seen = 0;
    for (size_t g = 0; g < sizeof golden / sizeof *golden; g++) {
        const struct sample *sample = &golden[g].sample;
        int64_t out[12];
        cr_assert_eq(column_decode(scratch, NULL, golden[g].codec, sample->bytes, sample->size, out,
                                   sample->count),
                     COLUMN_GOOD, "%s", sample->name);
        for (uint32_t i = 0; i < sample->count; i++)
            cr_assert_eq(out[i], sample->values[i], "%s: value %u is %ld", sample->name, i,
                         (long)out[i]);
        seen |= 1u << golden[g].codec;
        for (uint32_t cut = 0; cut < sample->size; cut++)
            cr_assert_eq(column_decode(scratch, NULL, golden[g].codec, sample->bytes, cut, out,
                                       sample->count),
                         COLUMN_BAD, "%s cut at %u", sample->name, cut);
        uint8_t longer[65];
        memcpy(longer, sample->bytes, sizeof sample->bytes);
        longer[sample->size] = 0;
        cr_assert_eq(column_decode(scratch, NULL, golden[g].codec, longer, sample->size + 1, out,
                                   sample->count),
                     COLUMN_BAD, "%s and a byte more", sample->name);
    }
    cr_assert_eq(seen, 0x3f, "codecs 0 to 5");
    column_scratch_close(scratch);
}

// As the writer of 1.0 compressed them: 60 values -20, -13, -6, 1, 1000000 and again; 80 values
// from 5000000000 on by 3000, -1000, 700000, 0, -3000 and again.
Test(column_bytes, frames_of_1_0_stay_readable)
{
    static const uint8_t varints[] = {0x27, 0x07, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x54, 0x75,
                                      0x00, 0x00, 0x38, 0x00, 0x01, 0x02, 0x03, 0x8c, 0xdc,
                                      0x08, 0x01, 0x00, 0x2a, 0xb4, 0x18, 0x01};
    static const uint8_t deltas[] = {0x80, 0xc8, 0xaf, 0xa0, 0x25, 0xe8, 0x07, 0x28, 0xb5, 0x2f,
                                     0xfd, 0x20, 0x5f, 0x6d, 0x00, 0x00, 0x30, 0x06, 0x01, 0xf8,
                                     0x0a, 0x00, 0x05, 0x01, 0x00, 0x96, 0xa9, 0x14, 0x01};
    static const int64_t by[] = {3000, -1000, 700000, 0, -3000};
    struct column_scratch *scratch = column_scratch_open(VALUES_MAX);
    int64_t out[80];
    cr_assert_eq(column_decode(scratch, NULL, COLUMN_CODEC_VARINT_ZSTD, varints, sizeof varints,
                               out, 60),
                 COLUMN_GOOD);
    for (int i = 0; i < 60; i++)
        cr_assert_eq(out[i], i % 5 == 4 ? 1000000 : i % 5 * 7 - 20);
    cr_assert_eq(column_decode(scratch, NULL, COLUMN_CODEC_DELTA_ZSTD, deltas, sizeof deltas, out,
                               80),
                 COLUMN_GOOD);
    int64_t value = 5000000000;
    for (int i = 0; i < 80; value += by[i % 5], i++)
        cr_assert_eq(out[i], value);
    column_scratch_close(scratch);
}

Test(column_bytes, what_no_codec_of_1_0_wrote_is_refused)
{
    static const struct golden wrong[] = {
        {2, {"width 65", BYTES(0, 1, 65, 0, 0, 0, 0, 0, 0, 0, 0, 0), VALUES(0)}},
        {2, {"unused bits", BYTES(0, 1, 1, 2), VALUES(0)}},
        {3, {"unused bits", BYTES(0, 0, 1, 1, 2), VALUES(0, 0)}},
        {3, {"width 65", BYTES(0, 0, 1, 65), VALUES(0)}},
        {4, {"a varint less", BYTES(0, 1, ZSTD_RAW(1), 0), VALUES(0, 0)}},
        {4, {"a varint more", BYTES(0, 1, ZSTD_RAW(3), 0, 0, 0), VALUES(0, 0)}},
        {4, {"two frames", BYTES(0, 1, ZSTD_RAW(1), 0, ZSTD_RAW(1), 0), VALUES(0, 0)}},
        {5, {"a varint that does not end", BYTES(0, 1, ZSTD_RAW(1), 0x80), VALUES(0, 0)}},
        {5, {"no frame", BYTES(0, 1, 1, 2, 3), VALUES(0, 0)}},
    };
    struct column_scratch *scratch = column_scratch_open(VALUES_MAX);
    int64_t out[12];
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++)
        cr_assert_eq(column_decode(scratch, NULL, wrong[w].codec, wrong[w].sample.bytes,
                                   wrong[w].sample.size, out, wrong[w].sample.count),
                     COLUMN_BAD, "codec %d, %s", wrong[w].codec, wrong[w].sample.name);
    cr_assert_eq(column_decode(scratch, NULL, COLUMN_CODEC_COUNT, wrong[0].sample.bytes, 1, out, 1),
                 COLUMN_UNKNOWN_CODEC);
    cr_assert_str_eq(column_codec_name(COLUMN_CODEC_MODELLED), "modelled");
    cr_assert_str_eq(column_codec_name(COLUMN_CODEC_COUNT), "unknown");
    column_scratch_close(scratch);
}

// Texts and presence: as they are, or one frame.
Test(column_bytes, bytes_are_kept_whichever_way)
{
    static const uint8_t frame[] = {ZSTD_RAW(3), 'a', 'b', 'c'};
    struct column_scratch *scratch = column_scratch_open(VALUES_MAX);
    uint8_t text[600], packed[600], out[600];
    uint8_t codec;
    for (uint32_t size = 0; size <= sizeof text; size += size < 30 ? 1 : 57) {
        for (int same = 0; same < 2; same++) {
            struct format_random random = {size};
            for (uint32_t i = 0; i < size; i++)
                text[i] = same ? 'x' : (uint8_t)random_next(&random);
            size_t bytes = column_encode_bytes(scratch, text, size, packed, &codec);
            cr_assert(size > 24 && size < 40 ? codec <= COLUMN_BYTES_ZSTD
                                             : codec == (same && size >= 40), "%u", size);
            cr_assert(bytes <= size);
            cr_assert_eq(column_decode_bytes(scratch, codec, packed, bytes, out, size),
                         COLUMN_GOOD);
            cr_assert_eq(memcmp(out, text, size), 0);
            cr_assert_eq(column_decode_bytes(scratch, codec, packed, bytes, out, size + 1),
                         COLUMN_BAD);
            cr_assert_eq(column_decode_bytes(scratch, 2, packed, bytes, out, size),
                         COLUMN_UNKNOWN_CODEC);
        }
    }
    cr_assert_eq(column_decode_bytes(scratch, COLUMN_BYTES_ZSTD, frame, sizeof frame, out, 3),
                 COLUMN_GOOD);
    cr_assert_eq(memcmp(out, "abc", 3), 0);
    cr_assert_eq(column_decode_bytes(scratch, COLUMN_BYTES_ZSTD, frame, sizeof frame, out, 2),
                 COLUMN_BAD);
    cr_assert_eq(column_decode_bytes(scratch, COLUMN_BYTES_ZSTD, frame, 0, out, 0), COLUMN_BAD);
    column_scratch_close(scratch);
}
