// SPDX-License-Identifier: GPL-3.0-or-later
//
// Dictionaries of the Parquet writer: places of values, what happens when they fill up. Files for
// tests/peers/parquet_test.py are left in $RINGTAPE_PARQUET_OUT.
#include "format/parquet_dictionary.h"
#include "format/parquet_writer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(parquet_dictionary, a_dictionary_gives_equal_values_equal_places_until_it_is_full)
{
    static int64_t values[PARQUET_DICTIONARY_VALUES_MAX + 1];
    static uint32_t places[PARQUET_DICTIONARY_VALUES_MAX + 1];
    struct parquet_dictionary d = {.count = 0};
    cr_assert_eq(parquet_dictionary_open(&d, PARQUET_DICTIONARY_INT64), 0);
    for (int round = 0; round < 3; round++) {
        const uint32_t end = PARQUET_DICTIONARY_VALUES_MAX;
        for (uint32_t i = 0; i <= end; i++) // multiples of a power of two meet in a hash
            values[i] = (int64_t)((uint64_t)i << (round * 20)) - (round == 1 ? 1 << 20 : 0);
        cr_assert(parquet_dictionary_int64(&d, values, end, places));
        for (uint32_t i = 0; i < end; i++) cr_assert_eq(places[i], i);
        cr_expect_not(parquet_dictionary_int64(&d, values + end, 1, places));
        cr_expect_eq(d.count, end);
        cr_assert(parquet_dictionary_int64(&d, values + 1000, 5, places));
        for (uint32_t i = 0; i < 5; i++) cr_expect_eq(places[i], 1000 + i);
        cr_expect_eq(memcmp(d.int64, values, end * sizeof *values), 0);
        parquet_dictionary_clear(&d);
    }
    parquet_dictionary_close(&d);
}

Test(parquet_dictionary, a_dictionary_of_wide_numbers_sees_both_halves)
{
    const __int128 values[] = {1, (__int128)1 << 64, -1, 1, ((__int128)1 << 64) + 1, -1};
    const uint32_t wanted[] = {0, 1, 2, 0, 3, 2};
    uint32_t places[6];
    struct parquet_dictionary d = {.count = 0};
    cr_assert_eq(parquet_dictionary_open(&d, PARQUET_DICTIONARY_INT128), 0);
    cr_assert(parquet_dictionary_int128(&d, values, 6, places));
    cr_expect_eq(memcmp(places, wanted, sizeof wanted), 0);
    cr_expect_eq(parquet_dictionary_bytes(&d), 64);
    parquet_dictionary_close(&d);
}

Test(parquet_dictionary, a_dictionary_of_texts_takes_no_long_ones)
{
    static uint8_t text[2000], out[64];
    const uint32_t ends[] = {0, 3, 6, 6, 9, 20};
    const uint32_t wanted[] = {0, 1, 1, 0, 2, 3};
    const uint32_t too_long = 20 + PARQUET_DICTIONARY_TEXT_MAX + 1;
    uint32_t places[6];
    struct parquet_dictionary d = {.count = 0};
    memcpy(text, "abcabcabXeleven-bytes", 20);
    cr_assert_eq(parquet_dictionary_open(&d, PARQUET_DICTIONARY_TEXT), 0);
    cr_assert(parquet_dictionary_texts(&d, text, 0, ends, 6, places));
    cr_expect_eq(memcmp(places, wanted, sizeof wanted), 0);
    cr_expect_not(parquet_dictionary_texts(&d, text, 20, &too_long, 1, places));
    cr_expect_eq(d.count, 4);
    cr_expect_eq(parquet_dictionary_encode(&d, out), 4 * 4 + 0 + 3 + 3 + 11);
    cr_expect_eq(memcmp(out, "\0\0\0\0\3\0\0\0abc\3\0\0\0abX", 18), 0);
    parquet_dictionary_close(&d);
}

// ---- dictionaries that fill up ----

enum { MANY_ID, MANY_PRICE, MANY_QUANTITY, MANY_KIND, MANY_COLUMNS };

// A few thousand different values up to row `turn`, then new ones with almost every row:
// tests/peers/parquet_test.py makes the same.
static void many_row(struct parquet_writer *w, uint64_t row, uint64_t turn)
{
    const uint64_t among = row < turn ? 10000 : 1000000;
    const uint64_t i = (row * 2654435761u % (1ull << 32) >> 8) % among;
    char text[24];
    const int size = snprintf(text, sizeof text, "K%" PRIu64, i);
    parquet_set_int64(w, MANY_ID, (int64_t)row);
    parquet_set_int64(w, MANY_PRICE, (int64_t)(i * i * 1003));
    parquet_set_int128(w, MANY_QUANTITY, (__int128)(int64_t)i * 1000000000000 + 17);
    if (row % 3 > 0) parquet_set_text(w, MANY_KIND, text, (uint32_t)size);
    cr_assert_eq(parquet_row_end(w), 0);
}

static FILE *file_create(const char *name)
{
    char path[4096];
    const char *folder = getenv("RINGTAPE_PARQUET_OUT");
    const int size = snprintf(path, sizeof path, "%s/%s.parquet", folder, name);
    cr_assert(size > 0 && (size_t)size < sizeof path);
    FILE *out = fopen(path, "wb");
    cr_assert_not_null(out);
    return out;
}

static int many_write(void *context, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, context) == size ? 0 : -EIO;
}

static void many_file(const char *name, uint64_t rows, uint64_t turn)
{
    static const struct parquet_column many[MANY_COLUMNS] = {
        [MANY_ID] = {.name = "id", .type = PARQUET_INT64},
        [MANY_PRICE] = {.name = "price", .type = PARQUET_DECIMAL_18, .scale = 8},
        [MANY_QUANTITY] = {.name = "quantity", .type = PARQUET_DECIMAL_38, .scale = 12},
        [MANY_KIND] = {.name = "kind", .type = PARQUET_STRING, .nullable = true},
    };
    FILE *file = file_create(name);
    const struct parquet_options options = {.columns = many, .column_count = MANY_COLUMNS,
                                            .created_by = "ringtape version 0.0.0 (build test)",
                                            .write = many_write, .context = file};
    struct parquet_writer *w = NULL;
    cr_assert_eq(parquet_open(&w, &options), 0);
    for (uint64_t row = 0; row < rows; row++) many_row(w, row, turn);
    cr_assert_eq(parquet_finish(w), 0);
    cr_assert_eq(fclose(file), 0);
    parquet_close(w);
}

Test(parquet_dictionary, leaves_files_whose_dictionaries_fill_up)
{
    if (getenv("RINGTAPE_PARQUET_OUT") == NULL) cr_skip_test("RINGTAPE_PARQUET_OUT is not set");
    many_file("fallback", 200000, 100000);
    many_file("split", 330000, 250000);
}
