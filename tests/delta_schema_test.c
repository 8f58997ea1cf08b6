// SPDX-License-Identifier: GPL-3.0-or-later
//
// Schemas and statistics as a Delta log spells them, and its JSON both ways.
#include "format/delta_schema.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct parquet_column columns[] = {
    {.name = "symbol", .type = PARQUET_CODE},
    {.name = "ts", .type = PARQUET_TIMESTAMP},
    {.name = "price", .type = PARQUET_DECIMAL_18, .scale = 8},
    {.name = "volume", .type = PARQUET_DECIMAL_38, .scale = 12, .nullable = true},
    {.name = "detail", .type = PARQUET_STRING},
    {.name = "flag", .type = PARQUET_BOOLEAN},
    {.name = "id", .type = PARQUET_INT64},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

// ---- schemas ----

Test(delta_schema, columns_then_partitions)
{
    struct delta_text text = {0};
    delta_schema_text(&columns[2], 1, &text);
    cr_expect_str_eq(text.bytes,
                     "{\"type\":\"struct\",\"fields\":["
                     "{\"name\":\"price\",\"type\":\"decimal(18,8)\",\"nullable\":true,"
                     "\"metadata\":{}},"
                     "{\"name\":\"exchange\",\"type\":\"string\",\"nullable\":true,"
                     "\"metadata\":{}},"
                     "{\"name\":\"date\",\"type\":\"date\",\"nullable\":true,\"metadata\":{}}]}");
    delta_text_free(&text);
}

Test(delta_schema, new_columns_go_behind)
{
    struct delta_text before = {0}, after = {0}, again = {0};
    uint32_t added;
    char conflict[32];
    delta_schema_text(columns, 2, &before);
    cr_assert_eq(delta_schema_merge(before.bytes, columns, COLUMNS, &after, &added, conflict, 32),
                 0);
    cr_expect_eq(added, COLUMNS - 2);
    cr_expect(strstr(after.bytes, "\"date\",\"type\":\"date\"") <
              strstr(after.bytes, "\"name\":\"price\""));
    cr_assert_eq(delta_schema_merge(after.bytes, columns, COLUMNS, &again, &added, conflict, 32),
                 0);
    cr_expect_eq(added, 0);
    cr_expect_str_eq(again.bytes, after.bytes);
    delta_text_free(&again);
    struct parquet_column other = columns[2];
    other.type = PARQUET_INT64;
    cr_expect_eq(delta_schema_merge(after.bytes, &other, 1, &again, &added, conflict, 32), -EEXIST);
    cr_expect_str_eq(conflict, "price");
    cr_expect_eq(delta_schema_merge("{\"fields\":[{]}", &other, 1, &again, &added, conflict, 32),
                 -EBADMSG);
    cr_expect_eq(delta_schema_merge("[]", &other, 1, &again, &added, conflict, 32), -EBADMSG);
    delta_text_free(&before);
    delta_text_free(&after);
    delta_text_free(&again);
}

// ---- statistics ----

static void expect_statistics(struct parquet_bounds bounds[COLUMNS], const char *expected)
{
    const struct parquet_bounds *pointers[COLUMNS];
    const uint64_t nulls[COLUMNS] = {0, 0, 0, 3, 0, 0, 0};
    struct delta_text text = {0};
    for (int c = 0; c < COLUMNS; c++) pointers[c] = &bounds[c];
    delta_schema_statistics(columns, COLUMNS, 9, pointers, nulls, &text);
    cr_expect_str_eq(text.bytes, expected);
    delta_text_free(&text);
}

Test(delta_schema, bounds_hold_every_row)
{
    struct parquet_bounds bounds[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) parquet_bounds_clear(&bounds[c]);
    parquet_bounds_add_text(&bounds[0], "A\"B", 3);
    parquet_bounds_add_text(&bounds[0], "\xec\x9b\x90", 3);
    parquet_bounds_add_int64(&bounds[1], (int64_t[]){-1, 1723075200000001}, 2);
    parquet_bounds_add_int64(&bounds[2], (int64_t[]){-123456789012345678, 123456789012345678}, 2);
    parquet_bounds_add_int128(&bounds[3], (__int128[]){-1500000000000, 999999999999999999}, 2);
    parquet_bounds_add_text(&bounds[4], "x", 1);
    parquet_bounds_add_booleans(&bounds[5], (uint8_t[]){1}, 1);
    parquet_bounds_add_int64(&bounds[6], (int64_t[]){INT64_MIN, INT64_MAX}, 2);
    expect_statistics(
        bounds,
        "{\"numRecords\":9,\"tightBounds\":false,\"minValues\":{\"symbol\":\"A\\\"B\","
        "\"ts\":\"1969-12-31T23:59:59.999Z\",\"price\":-1234567890.12346,\"volume\":-1.5,"
        "\"id\":-9223372036854775808},\"maxValues\":{\"symbol\":\"\xec\x9b\x90\","
        "\"ts\":\"2024-08-08T00:00:00.001Z\",\"price\":1234567890.12346,\"volume\":1000000,"
        "\"id\":9223372036854775807},\"nullCount\":{\"symbol\":0,\"ts\":0,\"price\":0,"
        "\"volume\":3,\"detail\":0,\"flag\":0,\"id\":0}}");
}

Test(delta_schema, nothing_is_said_of_what_is_not_known)
{
    struct parquet_bounds bounds[COLUMNS];
    char text[100];
    for (int c = 0; c < COLUMNS; c++) parquet_bounds_clear(&bounds[c]);
    memset(text, 'x', sizeof text);
    parquet_bounds_add_text(&bounds[0], text, sizeof text); // longer than bounds are
    parquet_bounds_add_int64(&bounds[6], (int64_t[]){7}, 1);
    expect_statistics(bounds, "{\"numRecords\":9,\"tightBounds\":false,\"minValues\":{\"id\":7},"
                              "\"maxValues\":{\"id\":7},\"nullCount\":{\"symbol\":0,\"ts\":0,"
                              "\"price\":0,\"volume\":3,\"detail\":0,\"flag\":0,\"id\":0}}");
}

Test(delta_schema, a_bound_that_rounding_makes_too_large_is_left_out)
{
    struct parquet_bounds bounds[COLUMNS];
    __int128 most = 1;
    for (int digits = 0; digits < 38; digits++) most *= 10;
    for (int c = 0; c < COLUMNS; c++) parquet_bounds_clear(&bounds[c]);
    parquet_bounds_add_int64(&bounds[2], (int64_t[]){-7, 999999999999999999}, 2);
    parquet_bounds_add_int128(&bounds[3], (__int128[]){1 - most, 7}, 2);
    expect_statistics(bounds, "{\"numRecords\":9,\"tightBounds\":false,\"minValues\":{\"price\":"
                              "-0.00000007},\"maxValues\":{\"volume\":0.000000000007},"
                              "\"nullCount\":{\"symbol\":0,\"ts\":0,\"price\":0,\"volume\":3,"
                              "\"detail\":0,\"flag\":0,\"id\":0}}");
    bounds[2].max = 999999999999999000; // the greatest that stays
    bounds[3].min = 0;
    bounds[3].max = 0;
    expect_statistics(bounds, "{\"numRecords\":9,\"tightBounds\":false,\"minValues\":{\"price\":"
                              "-0.00000007,\"volume\":0},\"maxValues\":{\"price\":"
                              "9999999999.99999,\"volume\":0},\"nullCount\":{\"symbol\":0,\"ts\":0,"
                              "\"price\":0,\"volume\":3,\"detail\":0,\"flag\":0,\"id\":0}}");
}

// ---- JSON ----

static void expect_text(const char *json, const char *expected)
{
    char text[64];
    struct delta_json cursor = delta_json_of(json, strlen(json));
    (void)delta_json_text(&cursor, text, sizeof text);
    cr_expect_eq(cursor.bad, expected == NULL, "%s", json);
    if (expected != NULL) cr_expect_str_eq(text, expected, "%s", json);
}

Test(delta_json, texts)
{
    expect_text(" \"a\\\"\\\\\\/\\n\\t\"", "a\"\\/\n\t");
    expect_text("\"\\u00e9\\uD83D\\uDE00\\u20ac\"", "\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac");
    expect_text("\"\"", "");
    expect_text("\"\\ud800\"", NULL);
    expect_text("\"\\u0000\"", NULL);
    expect_text("\"\\x\"", NULL);
    expect_text("\"a", NULL);
    expect_text("\"a\nb\"", NULL);
    expect_text("7", NULL);
}

static void expect_integer(const char *json, int64_t expected, bool bad)
{
    struct delta_json cursor = delta_json_of(json, strlen(json));
    const int64_t value = delta_json_integer(&cursor);
    cr_expect_eq(cursor.bad, bad, "%s", json);
    cr_expect_eq(value, expected, "%s", json);
}

Test(delta_json, integers)
{
    expect_integer("0", 0, false);
    expect_integer("-9223372036854775808", INT64_MIN, false);
    expect_integer("9223372036854775807", INT64_MAX, false);
    expect_integer("9223372036854775808", 0, true);
    expect_integer("-9223372036854775809", 0, true);
    expect_integer("-", 0, true);
    expect_integer("\"1\"", 0, true);
}

static void expect_skipped(const char *json, bool bad)
{
    struct delta_json cursor = delta_json_of(json, strlen(json));
    delta_json_skip(&cursor);
    cr_expect_eq(cursor.bad || cursor.at != cursor.end, bad, "%s", json);
}

Test(delta_json, values_are_skipped_whatever_they_are)
{
    static const char *const good[] = {
        "{}", "[]", "null", "-1.5e+7", "\"x\"", "{\"a\":[1,{\"b\":[]},[[]],true],\"c\":{}}",
        "[{\"a\":null},{\"b\":false}]", " [ 1 , 2 ]"};
    static const char *const bad[] = {"{", "]", "[1 2]", "{\"a\"}", "{\"a\":}", "[,]", "nul",
                                      "{\"a\":1,}", "[1,]", "{a:1}", "", "[1}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) expect_skipped(good[i], false);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) expect_skipped(bad[i], true);
    char deep[256];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = 0;
    expect_skipped(deep, true); // beyond DELTA_JSON_DEPTH_MAX
}

Test(delta_json, what_is_written_is_read_back)
{
    struct delta_text text = {0};
    char back[512], value[256];
    for (int i = 0; i < 255; i++) value[i] = (char)(i < 127 ? i + 1 : 'a');
    value[255] = 0;
    delta_text_quote(&text, value);
    struct delta_json json = delta_json_of(text.bytes, text.size);
    cr_expect_eq(delta_json_text(&json, back, sizeof back), 255);
    cr_expect_str_eq(back, value);
    delta_text_free(&text);
}
