// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Parquet writer: encodings against a plain decoder of each, the frame of a file, bounds, full
// files, failing output. What other readers make of the files is judged in
// tests/peers/parquet_test.py from those that the last test leaves in $RINGTAPE_PARQUET_OUT.
#include "format/decimal_text.h"
#include "format/parquet_bounds.h"
#include "format/parquet_crc.h"
#include "format/parquet_encode.h"
#include "format/parquet_thrift.h"
#include "format/parquet_writer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state) // splitmix64
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// ---- CRC ----

Test(parquet, crc_has_the_known_values)
{
    static struct parquet_crc crc;
    parquet_crc_init(&crc);
    cr_expect_eq(parquet_crc_of(&crc, "", 0), 0);
    cr_expect_eq(parquet_crc_of(&crc, "123456789", 9), 0xCBF43926u);
    cr_expect_eq(parquet_crc_of(&crc, "The quick brown fox jumps over the lazy dog", 43),
                 0x414FA339u);
}

Test(parquet, crc_is_the_same_with_and_without_the_cpu)
{
    static struct parquet_crc fast, plain;
    static uint8_t bytes[4096 + 8];
    uint64_t state = 9;
    parquet_crc_init(&fast);
    plain = fast;
    plain.folds = false;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)next_random(&state);
    for (size_t size = 0; size <= 4096; size += size < 300 ? 1 : 37)
        for (size_t at = 0; at < 8; at += 3)
            cr_assert_eq(parquet_crc_of(&fast, bytes + at, size),
                         parquet_crc_of(&plain, bytes + at, size), "%zu at %zu", size, at);
}

// ---- DELTA_BINARY_PACKED ----

static uint64_t read_varint(const uint8_t **next)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t byte = *(*next)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
}

static int64_t read_zigzag(const uint8_t **next)
{
    const uint64_t value = read_varint(next);
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static uint64_t read_bits(const uint8_t *bytes, size_t from, int width)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++)
        value |= (uint64_t)(bytes[(from + (size_t)i) / 8] >> (from + (size_t)i) % 8 & 1) << i;
    return value;
}

// Bit by bit, from the specification.
static size_t decode_delta(const uint8_t *bytes, int64_t *values)
{
    const uint8_t *next = bytes;
    cr_assert_eq(read_varint(&next), 128);
    cr_assert_eq(read_varint(&next), 4);
    const uint64_t count = read_varint(&next);
    int64_t last = read_zigzag(&next);
    if (count > 0) values[0] = last;
    for (uint64_t i = 1; i < count;) {
        const int64_t least = read_zigzag(&next);
        const uint8_t *widths = next;
        next += 4;
        for (int m = 0; m < 4; m++) {
            for (size_t k = 0; k < 32 && i < count; k++, i++) {
                const uint64_t delta = read_bits(next, k * widths[m], widths[m]);
                last = (int64_t)((uint64_t)last + (uint64_t)least + delta);
                values[i] = last;
            }
            next += 4 * widths[m];
        }
    }
    return (size_t)(next - bytes);
}

static void expect_delta(const int64_t *values, uint32_t count, const char *what)
{
    static uint8_t bytes[1 << 20];
    static int64_t back[1 << 16];
    for (int whole_bytes = 0; whole_bytes < 2; whole_bytes++) {
        const size_t size = parquet_encode_delta(values, count, whole_bytes, bytes);
        cr_expect_leq(size, parquet_encode_delta_bound(count));
        cr_expect_eq(decode_delta(bytes, back), size, "%s, %u", what, count);
        const bool same = count == 0 || memcmp(values, back, count * sizeof *values) == 0;
        cr_expect(same, "%s, %u", what, count);
    }
}

Test(parquet, delta_round_trips_every_width_and_length)
{
    static int64_t values[20000];
    static const uint32_t counts[] = {0, 1, 2, 31, 32, 33, 127, 128, 129, 130, 257, 1000, 20000};
    uint64_t state = 1;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (int width = 0; width <= 64; width++) {
            for (uint32_t i = 0; i < counts[c]; i++)
                values[i] = width == 0 ? 7 : (int64_t)(next_random(&state) >> (64 - width));
            expect_delta(values, counts[c], "random");
        }
        for (uint32_t i = 0; i < counts[c]; i++) values[i] = i % 2 ? INT64_MAX : INT64_MIN;
        expect_delta(values, counts[c], "extremes");
        for (uint32_t i = 0; i < counts[c]; i++) values[i] = (int64_t)i * 1000;
        expect_delta(values, counts[c], "sequence");
    }
}

// ---- RLE / bit-packing hybrid ----

static size_t decode_hybrid(const uint8_t *bytes, size_t size, int width, uint32_t *values)
{
    const uint8_t *next = bytes;
    size_t count = 0;
    while (next < bytes + size) {
        const uint64_t header = read_varint(&next);
        if (header & 1) {
            for (size_t i = 0; i < (header >> 1) * 8; i++)
                values[count++] = (uint32_t)read_bits(next, i * (size_t)width, width);
            next += (header >> 1) * (size_t)width;
        } else {
            uint32_t value = 0;
            memcpy(&value, next, (size_t)(width + 7) / 8);
            next += (width + 7) / 8;
            for (uint64_t i = 0; i < header >> 1; i++) values[count++] = value;
        }
    }
    return count;
}

// Runs of 1 ... 40 and noise, so that both forms follow each other in every alignment.
Test(parquet, hybrid_round_trips_runs_and_noise)
{
    static uint32_t values[20000], back[20008];
    static uint8_t bytes[1 << 20];
    uint64_t state = 2;
    for (int round = 0; round < 400; round++) {
        const int width = 1 + round % 32;
        const uint32_t count = (uint32_t)(next_random(&state) % (round < 300 ? 300 : 20000));
        for (uint32_t i = 0; i < count;) {
            const uint32_t value = (uint32_t)(next_random(&state) >> (64 - width));
            uint64_t run = next_random(&state) % 3 == 0 ? next_random(&state) % 40 : 1;
            for (; run > 0 && i < count; run--) values[i++] = value;
        }
        const size_t size = parquet_encode_hybrid(values, count, width, bytes);
        cr_expect_leq(size, parquet_encode_hybrid_bound(count, width));
        const size_t decoded = decode_hybrid(bytes, size, width, back);
        cr_expect(decoded >= count && decoded < count + 8, "round %d", round);
        const bool same = count == 0 || memcmp(values, back, count * sizeof *values) == 0;
        cr_expect(same, "round %d", round);
    }
}

// The same numbers in whole bytes are the same to a reader of the hybrid.
Test(parquet, whole_bytes_round_trip)
{
    static uint32_t values[20000], back[20008];
    static uint8_t bytes[1 << 16];
    uint64_t state = 7;
    for (int round = 0; round < 200; round++) {
        const int width = round % 2 ? 8 : 16;
        const uint32_t count = (uint32_t)(next_random(&state) % (round < 100 ? 40 : 20000));
        for (uint32_t i = 0; i < count; i++)
            values[i] = round % 5 == 0 ? 7 : (uint32_t)(next_random(&state) >> (64 - width));
        const size_t size = parquet_encode_whole_bytes(values, count, width, bytes);
        cr_assert_leq(size, parquet_encode_whole_bytes_bound(count, width));
        const size_t decoded = decode_hybrid(bytes, size, width, back);
        cr_expect(decoded >= count && decoded < count + 8, "round %d", round);
        cr_expect(count == 0 || memcmp(values, back, count * sizeof *values) == 0);
    }
}

Test(parquet, levels_round_trip)
{
    static uint8_t present[20000], bytes[1 << 16];
    static uint32_t back[20032];
    uint64_t state = 3;
    for (int round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < 20000; i++)
            present[i] = round < 2 ? round == 1 : next_random(&state) % (uint64_t)round == 0;
        const uint32_t count = 20000 - (uint32_t)round;
        const size_t size = parquet_encode_levels(present, count, bytes);
        uint32_t length;
        memcpy(&length, bytes, 4);
        cr_assert_eq(length + 4, size);
        cr_assert_leq(size, parquet_encode_levels_bound(count));
        cr_assert_leq(decode_hybrid(bytes + 4, length, 1, back) - count, 7);
        for (uint32_t i = 0; i < count; i++) cr_assert_eq(back[i], present[i]);
    }
}

Test(parquet, plain_values_have_the_bytes_of_the_specification)
{
    uint8_t out[64];
    const uint8_t booleans[] = {1, 0, 0, 1, 1, 0, 0, 0, 1};
    cr_expect_eq(parquet_encode_booleans(booleans, 9, out), 2);
    cr_expect_eq(out[0], 0x19);
    cr_expect_eq(out[1], 0x01);
    const __int128 decimals[] = {-2, (__int128)1 << 64};
    static const uint8_t wanted[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                       255, 255, 255, 255, 254, 0,   0,   0,   0,   0,   0,
                                       0,   1,   0,   0,   0,   0,   0,   0,   0,   0};
    cr_expect_eq(parquet_encode_decimals(decimals, 2, out), 32);
    cr_expect_eq(memcmp(out, wanted, 32), 0);
    const uint32_t ends[] = {1, 1, 3};
    cr_expect_eq(parquet_encode_texts((const uint8_t *)"abc", ends, 3, out), 15);
    cr_expect_eq(memcmp(out, "\1\0\0\0a\0\0\0\0\2\0\0\0bc", 15), 0);
}

// ---- Thrift ----

Test(parquet, thrift_has_the_bytes_of_the_specification)
{
    uint8_t bytes[128];
    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, bytes, sizeof bytes, NULL, NULL);
    parquet_thrift_i32(&thrift, 1, -1);
    parquet_thrift_bool(&thrift, 3, true);
    parquet_thrift_struct(&thrift, 5);
    parquet_thrift_i64(&thrift, 1, 300);
    parquet_thrift_end(&thrift);
    parquet_thrift_text(&thrift, 6, "ab");
    parquet_thrift_list(&thrift, 7, PARQUET_THRIFT_I32, 15);
    for (int i = 0; i < 15; i++) parquet_thrift_element_i32(&thrift, i);
    static const uint8_t wanted[] = {0x15, 0x01, 0x21, 0x2c, 0x16, 0xd8, 0x04, 0x00, 0x18, 0x02,
                                     'a',  'b',  0x19, 0xf5, 15,   0,    2,    4,    6,    8,
                                     10,   12,   14,   16,   18,   20,   22,   24,   26,   28, 0};
    cr_expect_eq(parquet_thrift_finish(&thrift), sizeof wanted);
    cr_expect_eq(memcmp(bytes, wanted, sizeof wanted), 0);
}

// ---- bounds ----

Test(parquet, bounds_of_long_texts_are_given_up_and_stay_so)
{
    char text[PARQUET_BOUNDS_TEXT_MAX + 1];
    struct parquet_bounds bounds, sum;
    memset(text, 'x', sizeof text);
    parquet_bounds_clear(&bounds);
    parquet_bounds_add_text(&bounds, "", 0);
    parquet_bounds_add_text(&bounds, "\xff", 1);
    parquet_bounds_add_text(&bounds, text, sizeof text - 1);
    cr_expect(bounds.exact && bounds.min_size == 0 && bounds.max_text[0] == 0xff);
    parquet_bounds_add_text(&bounds, text, sizeof text);
    cr_expect_not(bounds.exact);
    parquet_bounds_clear(&sum);
    parquet_bounds_merge(&sum, &bounds, PARQUET_STRING);
    cr_expect_not(sum.exact);
}

// ---- whole files ----

struct file {
    uint8_t *bytes;
    size_t size, capacity, fail_at;
};

static int file_write(void *context, const void *bytes, size_t size)
{
    struct file *file = context;
    if (file->size + size > file->fail_at) return -ENOSPC;
    if (file->size + size > file->capacity) {
        file->capacity = (file->size + size) * 2;
        file->bytes = realloc(file->bytes, file->capacity);
        cr_assert_not_null(file->bytes);
    }
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
    return 0;
}

static const char *side_text(const void *context, uint32_t code)
{
    (void)context;
    return code == 0 ? "buy" : "sell";
}

static const char *symbol_text(const void *context, uint32_t code)
{
    return (const char *)context + (size_t)code * 16;
}

enum { SYMBOLS = 3000 };
static char symbol_names[SYMBOLS][16];

enum { TS, ID, PRICE, QUANTITY, SIDE, SYMBOL, FLAG, KIND, FRAME, NOTHING, COLUMNS };

// One column of each type, half of them nullable, one that is always null.
static const struct parquet_column columns[COLUMNS] = {
    [TS] = {.name = "ts", .type = PARQUET_TIMESTAMP},
    [ID] = {.name = "id", .type = PARQUET_INT64, .nullable = true},
    [PRICE] = {.name = "price", .type = PARQUET_DECIMAL_18, .scale = 8},
    [QUANTITY] = {.name = "quantity", .type = PARQUET_DECIMAL_38, .scale = 12, .nullable = true},
    [SIDE] = {.name = "side", .type = PARQUET_CODE, .nullable = true, .code_count = 2,
              .code_text = side_text},
    [SYMBOL] = {.name = "symbol", .type = PARQUET_CODE, .code_count = SYMBOLS,
                .code_text = symbol_text, .context = symbol_names},
    [FLAG] = {.name = "flag", .type = PARQUET_BOOLEAN, .nullable = true},
    [KIND] = {.name = "kind", .type = PARQUET_STRING, .nullable = true},
    [FRAME] = {.name = "frame", .type = PARQUET_BINARY},
    [NOTHING] = {.name = "nothing", .type = PARQUET_DECIMAL_38, .scale = 16, .nullable = true},
};

static struct parquet_writer *file_open(struct file *file)
{
    static const struct parquet_pair pairs[] = {{"ringtape.source", "synthetic"}};
    for (uint32_t i = 0; i < SYMBOLS; i++)
        (void)snprintf(symbol_names[i], sizeof symbol_names[i], "S%uUSDT", i * 7919 % SYMBOLS);
    const struct parquet_options options = {
        .columns = columns, .column_count = COLUMNS, .sorting = {TS}, .sorting_count = 1,
        .created_by = "ringtape version 0.0.0 (build test)", .metadata = pairs,
        .metadata_count = 1, .write = file_write, .context = file};
    struct parquet_writer *writer = NULL;
    cr_assert_eq(parquet_open(&writer, &options), 0);
    return writer;
}

// Sets row `row` and, if wanted, says the same as a line of JSON.
static void row_set(struct parquet_writer *w, uint64_t row, uint64_t *state, FILE *expected)
{
    const uint64_t r = next_random(state);
    const bool null = r % 5 == 0;
    const int64_t ts = 1723075200000000 + (int64_t)row * 37;
    const int64_t id = (int64_t)next_random(state) >> (r >> 8) % 64;
    const int64_t price = (int64_t)(next_random(state) % 1999999999999999999u) - 999999999999999999;
    const __int128 quantity = (__int128)(int64_t)next_random(state) * (1 + (int64_t)(r >> 20) % 97);
    const uint32_t symbol = (uint32_t)(r >> 32) % SYMBOLS;
    const uint32_t frame_size = (uint32_t)(r >> 40) % 30;
    uint8_t frame[32];
    for (uint32_t i = 0; i < frame_size; i++) frame[i] = (uint8_t)next_random(state);
    parquet_set_int64(w, TS, ts);
    parquet_set_int64(w, PRICE, price);
    parquet_set_code(w, SYMBOL, symbol);
    parquet_set_text(w, FRAME, frame, frame_size);
    if (!null) {
        parquet_set_int64(w, ID, id);
        parquet_set_int128(w, QUANTITY, quantity);
        parquet_set_code(w, SIDE, (uint32_t)(r >> 50 & 1));
        parquet_set_bool(w, FLAG, r >> 51 & 1);
        parquet_set_text(w, KIND, "MARKET\xe2\x82\xac", (uint32_t)(r >> 52 & 1 ? 9 : 0));
    }
    if (expected == NULL) return;
    char price_text[DECIMAL_TEXT_BYTES_MAX], quantity_text[DECIMAL_TEXT_BYTES_MAX];
    decimal_text_format(price_text, price, 8);
    decimal_text_format(quantity_text, quantity, 12);
    fprintf(expected, "{\"ts\":%" PRId64 ",\"price\":\"%s\",\"symbol\":\"%s\",\"frame\":\"", ts,
            price_text, symbol_names[symbol]);
    for (uint32_t i = 0; i < frame_size; i++) fprintf(expected, "%02x", frame[i]);
    if (!null)
        fprintf(expected, "\",\"id\":%" PRId64 ",\"quantity\":\"%s\",\"side\":\"%s\",\"flag\":%s,"
                "\"kind\":\"%s", id, quantity_text, r >> 50 & 1 ? "sell" : "buy",
                r >> 51 & 1 ? "true" : "false", r >> 52 & 1 ? "MARKET\xe2\x82\xac" : "");
    fprintf(expected, "\"}\n");
}

static void expect_frame(const struct file *file)
{
    uint32_t footer;
    cr_assert_gt(file->size, 12);
    cr_expect_eq(memcmp(file->bytes, "PAR1", 4), 0);
    cr_expect_eq(memcmp(file->bytes + file->size - 4, "PAR1", 4), 0);
    memcpy(&footer, file->bytes + file->size - 8, 4);
    cr_expect_leq(footer + 12, file->size);
}

Test(parquet, a_file_without_rows_is_a_file)
{
    struct file file = {.fail_at = SIZE_MAX};
    struct parquet_writer *w = file_open(&file);
    cr_expect_eq(parquet_finish(w), 0);
    cr_expect_eq(parquet_byte_count(w), file.size);
    expect_frame(&file);
    parquet_close(w);
    free(file.bytes);
}

Test(parquet, a_dropped_row_leaves_no_trace)
{
    struct file with = {.fail_at = SIZE_MAX}, without = {.fail_at = SIZE_MAX};
    struct parquet_writer *a = file_open(&with), *b = file_open(&without);
    uint64_t state = 4;
    for (uint64_t row = 0; row < 3000; row++) {
        uint64_t same = state, other = row;
        if (row % 3 == 0) {
            row_set(a, row + 99, &other, NULL);
            parquet_row_drop(a);
        }
        row_set(a, row, &state, NULL);
        row_set(b, row, &same, NULL);
        cr_assert_eq(parquet_row_end(a), 0);
        cr_assert_eq(parquet_row_end(b), 0);
    }
    cr_expect_eq(parquet_finish(a) | parquet_finish(b), 0);
    cr_expect(with.size == without.size && memcmp(with.bytes, without.bytes, with.size) == 0);
    parquet_close(a);
    parquet_close(b);
    free(with.bytes);
    free(without.bytes);
}

// Goal: no error is lost. Method: output that fails at each of many offsets.
Test(parquet, a_failing_output_is_reported_for_good)
{
    for (size_t fail_at = 4; fail_at < 400000; fail_at += 40000) {
        struct file file = {.fail_at = fail_at};
        struct parquet_writer *w = file_open(&file);
        uint64_t state = 5;
        int error = 0;
        for (uint64_t row = 0; row < 10000 && error == 0; row++) {
            row_set(w, row, &state, NULL);
            error = parquet_row_end(w);
        }
        cr_expect_eq(parquet_finish(w), -ENOSPC, "%zu", fail_at);
        cr_expect_eq(parquet_finish(w), -ENOSPC);
        cr_expect_leq(file.size, fail_at);
        parquet_close(w);
        free(file.bytes);
    }
}

// Long texts end pages and groups early; two groups less than there may be fill a file; nothing is
// lost on the way.
Test(parquet, a_file_fills_up_and_says_so)
{
    static const struct parquet_column one = {.name = "frame", .type = PARQUET_BINARY};
    static uint8_t text[PARQUET_TEXT_BYTES_MAX];
    struct file file = {.fail_at = SIZE_MAX};
    const struct parquet_options options = {.columns = &one, .column_count = 1,
                                            .created_by = "ringtape version 0.0.0 (build test)",
                                            .write = file_write, .context = &file};
    struct parquet_writer *w = NULL;
    cr_assert_eq(parquet_open(&w, &options), 0);
    uint64_t rows = 0;
    for (; !parquet_is_full(w); rows++) {
        parquet_set_text(w, 0, text, sizeof text);
        cr_assert_eq(parquet_row_end(w), 0);
    }
    cr_expect_eq(parquet_row_count(w), rows);
    cr_expect_eq(rows, (PARQUET_GROUPS_MAX - 2) * 64);
    cr_expect_eq(parquet_finish(w), 0);
    expect_frame(&file);
    parquet_close(w);
    free(file.bytes);
}

static FILE *file_create(const char *name, const char *ending)
{
    char path[4096];
    const char *folder = getenv("RINGTAPE_PARQUET_OUT");
    const int size = snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
    cr_assert(size > 0 && (size_t)size < sizeof path);
    FILE *out = fopen(path, "wb");
    cr_assert_not_null(out);
    return out;
}

Test(parquet, leaves_files_for_other_readers)
{
    static const struct {
        const char *name;
        uint64_t rows;
    } files[] = {{"empty", 0}, {"one", 1}, {"page", 20000}, {"pages", 70001}, {"groups", 1050000}};
    if (getenv("RINGTAPE_PARQUET_OUT") == NULL) cr_skip_test("RINGTAPE_PARQUET_OUT is not set");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct file file = {.fail_at = SIZE_MAX};
        struct parquet_writer *w = file_open(&file);
        uint64_t state = i;
        FILE *expected = file_create(files[i].name, "jsonl");
        for (uint64_t row = 0; row < files[i].rows; row++) {
            row_set(w, row, &state, expected);
            cr_assert_eq(parquet_row_end(w), 0);
        }
        cr_assert_eq(parquet_finish(w), 0);
        cr_assert_eq(fclose(expected), 0);
        FILE *out = file_create(files[i].name, "parquet");
        cr_assert_eq(fwrite(file.bytes, 1, file.size, out), file.size);
        cr_assert_eq(fclose(out), 0);
        parquet_close(w);
        free(file.bytes);
    }
}
