// SPDX-License-Identifier: GPL-3.0-or-later
//
// JSON: the grammar of RFC 8259 by table, the walkers, the cursor, and agreement of cursor and
// strict parser on damaged messages.
#include "protocol/json.h"

#include "protocol/utf8.h"
#include "protocol_random.h"
#include <criterion/criterion.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const valid_table[] = {
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1.5e+10",
    "1E400",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    " [ ] ",
    "\t{\r\n}\n",
    "[1,2 , 3]",
    "[[],[[]],{}]",
    "{\"a\":1,\"a\":2}",
    "{\"\":{\"b\":[null]}}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\\u00e9\\uD83D\\uDE00\"",
    "\"\xed\x95\x9c\xea\xb5\xad\"",
    "\"\x7f\"",
    "[1.0,2.50,-3E-7]",
};

static const struct {
    const char *text;
    enum json_error error;
    uint32_t offset;
} invalid_table[] = {
    {"", JSON_EMPTY, 0},
    {"  \n", JSON_EMPTY, 3},
    {"nul", JSON_TRUNCATED, 3},
    {"nulL", JSON_SYNTAX, 3},
    {"tru", JSON_TRUNCATED, 3},
    {"True", JSON_SYNTAX, 0},
    {"NaN", JSON_SYNTAX, 0},
    {"Infinity", JSON_SYNTAX, 0},
    {"-", JSON_TRUNCATED, 1},
    {"-a", JSON_SYNTAX, 1},
    {"+1", JSON_SYNTAX, 0},
    {"01", JSON_SYNTAX, 1},
    {"-01", JSON_SYNTAX, 2},
    {"1.", JSON_TRUNCATED, 2},
    {".5", JSON_SYNTAX, 0},
    {"1.e5", JSON_SYNTAX, 2},
    {"1e", JSON_TRUNCATED, 2},
    {"1e+", JSON_TRUNCATED, 3},
    {"1e+]", JSON_SYNTAX, 3},
    {"0x10", JSON_TRAILING, 1},
    {"1 2", JSON_TRAILING, 2},
    {"[]]", JSON_TRAILING, 2},
    {"{}{}", JSON_TRAILING, 2},
    {"[", JSON_TRUNCATED, 1},
    {"[1", JSON_TRUNCATED, 2},
    {"[1,", JSON_TRUNCATED, 3},
    {"[1,]", JSON_SYNTAX, 3},
    {"[,1]", JSON_SYNTAX, 1},
    {"[1 2]", JSON_SYNTAX, 3},
    {"[1}", JSON_SYNTAX, 2},
    {"{", JSON_TRUNCATED, 1},
    {"{\"a\"", JSON_TRUNCATED, 4},
    {"{\"a\":", JSON_TRUNCATED, 5},
    {"{\"a\":1", JSON_TRUNCATED, 6},
    {"{\"a\":1,", JSON_TRUNCATED, 7},
    {"{\"a\":1,}", JSON_SYNTAX, 7},
    {"{\"a\" 1}", JSON_SYNTAX, 5},
    {"{a:1}", JSON_SYNTAX, 1},
    {"{1:1}", JSON_SYNTAX, 1},
    {"{'a':1}", JSON_SYNTAX, 1},
    {"{\"a\":1]", JSON_SYNTAX, 6},
    {"{,}", JSON_SYNTAX, 1},
    {"\"abc", JSON_TRUNCATED, 4},
    {"\"abc\\", JSON_TRUNCATED, 5},
    {"\"\\x\"", JSON_ESCAPE, 1},
    {"\"\\u12\"", JSON_ESCAPE, 1},
    {"\"\\u12g4\"", JSON_ESCAPE, 1},
    {"\"\\ud800\"", JSON_ESCAPE, 1},
    {"\"\\ud800\\n\"", JSON_ESCAPE, 1},
    {"\"\\ud800\\ud800\"", JSON_ESCAPE, 1},
    {"\"\\udc00\"", JSON_ESCAPE, 1},
    {"\"a\nb\"", JSON_CONTROL, 2},
    {"\"a\tb\"", JSON_CONTROL, 2},
    {"\"\x80\"", JSON_UTF8, 1},
    {"\"\xc0\x80\"", JSON_UTF8, 1},
    {"\"\xed\xa0\x80\"", JSON_UTF8, 1},
    {"\"\xc2\"", JSON_UTF8, 1},
    {"\xef\xbb\xbf{}", JSON_SYNTAX, 0},
    {"[1]\x0c", JSON_TRAILING, 3},
    {"/* */ 1", JSON_SYNTAX, 0},
};

static enum json_error parse(const char *text, struct json_value *root, uint32_t *offset)
{
    return json_parse(text, (uint32_t)strlen(text), root, offset);
}

Test(json, valid_documents_are_accepted)
{
    for (size_t i = 0; i < COUNT(valid_table); i++) {
        struct json_value root;
        uint32_t offset = 0;
        enum json_error error = parse(valid_table[i], &root, &offset);
        cr_assert_eq(error, JSON_OK, "%s: %s at %u", valid_table[i], json_error_text(error),
                     offset);
    }
}

Test(json, invalid_documents_have_a_named_error_at_its_place)
{
    for (size_t i = 0; i < COUNT(invalid_table); i++) {
        struct json_value root = {0};
        uint32_t offset = 12345;
        enum json_error error = parse(invalid_table[i].text, &root, &offset);
        cr_assert_eq(error, invalid_table[i].error, "%s: %s", invalid_table[i].text,
                     json_error_text(error));
        cr_assert_eq(offset, invalid_table[i].offset, "%s: %u", invalid_table[i].text, offset);
        cr_assert_null(root.text);
    }
}

Test(json, every_beginning_of_a_document_is_truncated_or_empty_never_wrong)
{
    static const char text[] = "{\"k\":[1,-2.5e3,{\"\\u00e9\\\"\":null}],\"t\":true,\"f\":false}";
    for (uint32_t size = 0; size < sizeof text - 1; size++) {
        // A block of exactly that size, so that reading too far is noticed by the sanitizer.
        char *copy = malloc(size + 1);
        memcpy(copy, text, size);
        struct json_value root;
        enum json_error error = json_parse(copy, size, &root, NULL);
        cr_assert(error == JSON_TRUNCATED || error == (size == 0 ? JSON_EMPTY : JSON_TRUNCATED) ||
                      error == JSON_ESCAPE,
                  "%u: %s", size, json_error_text(error));
        free(copy);
    }
}

Test(json, depth_has_a_limit)
{
    char text[2 * JSON_DEPTH_MAX + 2];
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    struct json_value root;
    cr_assert_eq(json_parse(text + 1, 2 * JSON_DEPTH_MAX, &root, NULL), JSON_OK);
    cr_assert_eq(json_parse(text, 2 * JSON_DEPTH_MAX + 2, &root, NULL), JSON_TOO_DEEP);
}

Test(json, members_and_elements_are_walked_in_order)
{
    static const char text[] =
        " { \"a\" : 1 , \"b\\u0062\" : [ true , \"x,]}\" ,{\"y\":[]}, -2.50 ] ,\"c\":null } ";
    struct json_value root;
    cr_assert_eq(parse(text, &root, NULL), JSON_OK);
    static const char *const keys[] = {"a", "bb", "c"};
    struct json_walk walk;
    struct json_value key;
    struct json_value value;
    cr_assert_eq(json_walk_object(&root, &walk), JSON_OK);
    for (size_t i = 0; i < COUNT(keys); i++) {
        cr_assert(json_walk_member(&walk, &key, &value));
        cr_assert(json_string_equals(&key, keys[i]), "%zu", i);
    }
    cr_assert_not(json_walk_member(&walk, &key, &value));

    struct json_value array;
    cr_assert_eq(json_find(&root, "bb", &array), JSON_OK);
    static const struct {
        const char *raw;
        enum json_type type;
    } elements[] = {{"true", JSON_BOOLEAN},
                    {"\"x,]}\"", JSON_STRING},
                    {"{\"y\":[]}", JSON_OBJECT},
                    {"-2.50", JSON_NUMBER_TEXT}};
    cr_assert_eq(json_walk_array(&array, &walk), JSON_OK);
    for (size_t i = 0; i < COUNT(elements); i++) {
        cr_assert(json_walk_element(&walk, &value));
        cr_assert_eq(value.type, elements[i].type);
        cr_assert_eq(value.size, strlen(elements[i].raw));
        cr_assert_arr_eq(value.text, elements[i].raw, value.size);
    }
    cr_assert_not(json_walk_element(&walk, &value));
}

Test(json, find_names_what_is_missing_or_doubled)
{
    struct json_value root;
    struct json_value value;
    cr_assert_eq(parse("{\"a\":1,\"b\":2,\"\\u0061\":3}", &root, NULL), JSON_OK);
    cr_assert_eq(json_find(&root, "a", &value), JSON_DUPLICATE);
    cr_assert_eq(json_find(&root, "b", &value), JSON_OK);
    cr_assert_eq(json_find(&root, "", &value), JSON_NOT_FOUND);
    cr_assert_eq(json_find(&value, "a", &value), JSON_WRONG_TYPE);
    struct json_walk walk;
    cr_assert_eq(json_walk_array(&root, &walk), JSON_WRONG_TYPE);
    cr_assert_eq(json_walk_object(&value, &walk), JSON_WRONG_TYPE);
}

Test(json, strings_are_decoded_into_the_callers_buffer)
{
    static const char text[] = "\"a\\n\\u00e9\\uD83D\\ude00\\/\\u0000z\xc3\xa9\"";
    static const char expected[] = "a\n\xc3\xa9\xf0\x9f\x98\x80/\0z\xc3\xa9";
    uint32_t expected_size = sizeof expected - 1;
    struct json_value root;
    cr_assert_eq(parse(text, &root, NULL), JSON_OK);
    char decoded[64];
    uint32_t size = 0;
    cr_assert_eq(json_string_decode(&root, decoded, sizeof decoded, &size), JSON_OK);
    cr_assert_eq(size, expected_size);
    cr_assert_arr_eq(decoded, expected, size);
    cr_assert_eq(json_string_decode(&root, decoded, expected_size, &size), JSON_OK);
    for (uint32_t less = 0; less < expected_size; less++)
        cr_assert_eq(json_string_decode(&root, decoded, less, &size), JSON_NO_SPACE);
    struct json_slice raw;
    cr_assert_eq(json_string_raw(&root, &raw), JSON_ESCAPE);
    cr_assert_not(json_string_equals(&root, "a"));
}

Test(json, numbers_are_exact_or_refused)
{
    static const struct {
        const char *text;
        enum json_error error;
        int64_t integer;
    } table[] = {
        {"0", JSON_OK, 0},
        {"-17", JSON_OK, -17},
        {"9223372036854775807", JSON_OK, INT64_MAX},
        {"9223372036854775808", JSON_NUMBER, 0},
        {"1.0", JSON_NUMBER, 0},
        {"1e3", JSON_NUMBER, 0},
        {"\"1\"", JSON_WRONG_TYPE, 0},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json_value root;
        int64_t integer = 0;
        cr_assert_eq(parse(table[i].text, &root, NULL), JSON_OK);
        cr_assert_eq(json_integer(&root, &integer), table[i].error, "%s", table[i].text);
        cr_assert_eq(integer, table[i].integer);
    }
    struct json_value root;
    int64_t mantissa;
    uint8_t scale;
    enum decimal_error reason;
    cr_assert_eq(parse("[9.9E-7,\"0.35130000\",1e400,\"x\",true]", &root, NULL), JSON_OK);
    struct json_walk walk;
    struct json_value value;
    cr_assert_eq(json_walk_array(&root, &walk), JSON_OK);
    cr_assert(json_walk_element(&walk, &value));
    cr_assert_eq(json_decimal(&value, &mantissa, &scale, &reason), JSON_OK);
    cr_assert(mantissa == 99 && scale == 8);
    cr_assert(json_walk_element(&walk, &value));
    cr_assert_eq(json_decimal(&value, &mantissa, &scale, NULL), JSON_OK);
    cr_assert(mantissa == 35130000 && scale == 8);
    cr_assert(json_walk_element(&walk, &value));
    cr_assert_eq(json_decimal(&value, &mantissa, &scale, &reason), JSON_NUMBER);
    cr_assert_eq(reason, DECIMAL_TOO_LARGE);
    cr_assert(json_walk_element(&walk, &value));
    cr_assert_eq(json_decimal(&value, &mantissa, &scale, &reason), JSON_NUMBER);
    cr_assert_eq(reason, DECIMAL_MALFORMED);
    cr_assert(json_walk_element(&walk, &value));
    cr_assert_eq(json_decimal(&value, &mantissa, &scale, &reason), JSON_WRONG_TYPE);
    bool boolean = false;
    cr_assert_eq(json_boolean(&value, &boolean), JSON_OK);
    cr_assert(boolean);
}

// ---- the cursor ---------------------------------------------------------------------------------

// A message in a buffer whose padding holds what would tempt a careless reader.
static struct json_cursor padded_cursor(char *buffer, const char *text, uint32_t size)
{
    memcpy(buffer, text, size);
    for (uint32_t i = 0; i < JSON_PADDING; i++)
        buffer[size + i] = "1\"e,}"[i % 5];
    return json_cursor(buffer, size);
}

struct trade {
    struct json_slice symbol;
    int64_t time;
    int64_t id;
    int64_t price;
    uint8_t price_scale;
    bool maker;
};

static const char trade_text[] = "{\"e\":\"trade\",\"E\":1700000000123456,\"s\":\"BTCUSDT\","
                                 "\"t\":4001,\"p\":\"42000.10000000\",\"m\":true,\"x\":[1,{}]}";

static bool scan_trade(struct json_cursor *cursor, struct trade *trade)
{
    return JSON_EXPECT(cursor, "{\"e\":\"trade\",\"E\":") &&
           json_cursor_integer(cursor, &trade->time) && JSON_EXPECT(cursor, ",\"s\":") &&
           json_cursor_string(cursor, &trade->symbol) && JSON_EXPECT(cursor, ",\"t\":") &&
           json_cursor_integer(cursor, &trade->id) && JSON_EXPECT(cursor, ",\"p\":") &&
           json_cursor_decimal_string(cursor, &trade->price, &trade->price_scale) &&
           JSON_EXPECT(cursor, ",\"m\":") && json_cursor_boolean(cursor, &trade->maker) &&
           JSON_EXPECT(cursor, ",\"x\":") && json_cursor_skip(cursor, NULL) &&
           JSON_EXPECT(cursor, "}") && json_cursor_done(cursor);
}

static bool member_integer(const struct json_value *root, const char *name, int64_t *integer)
{
    struct json_value value;
    return json_find(root, name, &value) == JSON_OK && json_integer(&value, integer) == JSON_OK;
}

static bool parse_trade(const char *text, uint32_t size, struct trade *trade)
{
    struct json_value root;
    struct json_value value;
    return json_parse(text, size, &root, NULL) == JSON_OK &&
           member_integer(&root, "E", &trade->time) && member_integer(&root, "t", &trade->id) &&
           json_find(&root, "s", &value) == JSON_OK &&
           json_string_raw(&value, &trade->symbol) == JSON_OK &&
           json_find(&root, "p", &value) == JSON_OK &&
           json_decimal(&value, &trade->price, &trade->price_scale, NULL) == JSON_OK &&
           json_find(&root, "m", &value) == JSON_OK &&
           json_boolean(&value, &trade->maker) == JSON_OK;
}

Test(json, cursor_reads_the_message_it_expects)
{
    char buffer[sizeof trade_text + JSON_PADDING];
    struct json_cursor cursor = padded_cursor(buffer, trade_text, sizeof trade_text - 1);
    struct trade trade;
    cr_assert(scan_trade(&cursor, &trade));
    cr_assert_eq(trade.time, 1700000000123456);
    cr_assert_eq(trade.id, 4001);
    cr_assert(trade.price == 4200010000000 && trade.price_scale == 8);
    cr_assert(trade.maker);
    cr_assert_eq(trade.symbol.size, 7);
}

Test(json, cursor_refuses_every_beginning)
{
    for (uint32_t size = 0; size < sizeof trade_text - 1; size++) {
        char buffer[sizeof trade_text + JSON_PADDING];
        struct json_cursor cursor = padded_cursor(buffer, trade_text, size);
        struct trade trade;
        cr_assert_not(scan_trade(&cursor, &trade), "%u", size);
        cr_assert_leq(cursor.at, cursor.end);
    }
}

Test(json, what_the_cursor_accepts_means_the_same_under_the_strict_parser)
{
    struct protocol_random random = random_start("json/cursor_and_strict");
    uint32_t accepted = 0;
    for (int i = 0; i < 300000; i++) {
        char text[sizeof trade_text];
        memcpy(text, trade_text, sizeof text);
        for (uint32_t n = random_below(&random, 3); n > 0; n--)
            text[random_below(&random, sizeof text - 1)] =
                "0123456789\"\\,.:eE{}[]tn- \x01\xc3"[random_below(&random, 28)];
        if (!utf8_valid((const uint8_t *)text, sizeof text - 1))
            continue;
        char buffer[sizeof trade_text + JSON_PADDING];
        struct json_cursor cursor = padded_cursor(buffer, text, sizeof text - 1);
        struct trade fast = {0};
        if (!scan_trade(&cursor, &fast))
            continue;
        accepted++;
        struct trade strict = {0};
        cr_assert(parse_trade(text, sizeof text - 1, &strict), "%s", text);
        cr_assert(fast.time == strict.time && fast.id == strict.id, "%s", text);
        cr_assert(fast.price == strict.price && fast.price_scale == strict.price_scale);
        cr_assert(fast.maker == strict.maker);
        cr_assert_eq(fast.symbol.size, strict.symbol.size);
    }
    cr_assert_gt(accepted, 1000);
}

Test(json, cursor_helpers_leave_the_cursor_when_they_refuse)
{
    static const char *const table[] = {
        "", "\"open", "\"es\\c\"", "\"ctl\x01\"", "1e400", "01", "tru", "\"x", "-", "[1,", "nil",
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char buffer[32 + JSON_PADDING];
        struct json_cursor cursor = padded_cursor(buffer, table[i], (uint32_t)strlen(table[i]));
        struct json_cursor before = cursor;
        struct json_slice slice;
        int64_t integer;
        uint8_t scale;
        bool boolean;
        cr_assert_not(json_cursor_string(&cursor, &slice), "%s", table[i]);
        cr_assert_not(json_cursor_integer(&cursor, &integer), "%s", table[i]);
        cr_assert_not(json_cursor_decimal(&cursor, &integer, &scale), "%s", table[i]);
        cr_assert_not(json_cursor_decimal_string(&cursor, &integer, &scale), "%s", table[i]);
        cr_assert_not(json_cursor_boolean(&cursor, &boolean), "%s", table[i]);
        cr_assert_eq(cursor.at, before.at);
    }
}

Test(json, cursor_integers_reach_the_limits_of_int64)
{
    static const struct {
        const char *text;
        bool taken;
        int64_t value;
    } table[] = {
        {"17732400590950000,", true, 17732400590950000},
        {"9223372036854775807,", true, INT64_MAX},
        {"-9223372036854775807]", true, -INT64_MAX},
        {"9223372036854775808,", false, 0},
        {"1.0,", false, 0},
        {"1e2,", false, 0},
        {"12345678901234567890123,", false, 0},
        {"5", true, 5},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char buffer[64 + JSON_PADDING];
        struct json_cursor cursor =
            padded_cursor(buffer, table[i].text, (uint32_t)strlen(table[i].text));
        int64_t value = 0;
        cr_assert_eq(json_cursor_integer(&cursor, &value), table[i].taken, "%s", table[i].text);
        cr_assert_eq(value, table[i].value, "%s", table[i].text);
    }
}

Test(json, every_error_has_a_text)
{
    for (int error = JSON_OK; error <= JSON_NUMBER; error++)
        cr_assert_gt(strlen(json_error_text((enum json_error)error)), 6);
}
