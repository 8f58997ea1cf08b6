// SPDX-License-Identifier: GPL-3.0-or-later
//
// Messages of stored rows: golden values of every channel, numbers held against the library's own
// text, odd bytes, identities, and the bound of their size.
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/decimal_text.h"
#include "format/mirror_letter.h"
#include "format/mirror_state.h"
#include "publish/message.h"
#include "publish/message_text.h"

#define STORE "00112233445566778899aabbccddeeff"

static struct message_coder coder;
static struct rows rows;
static struct event event;
static uint8_t memory[1 << 20] __attribute__((aligned(64)));
static char out[1 << 20];
static struct event_level levels[2] = {{700, 15, 2, 1, 0}, {701, 0, 2, 1, 1}};

static void fresh(enum channel channel)
{
    static const struct rows_limits limits = {.rows = 4, .levels = 16, .text_bytes = 4096};
    const struct channel_schema *schema = channel_schema(channel);
    cr_assert_leq(rows_memory_bytes(schema, &limits), sizeof memory);
    rows_init(&rows, schema, &limits, memory);
    message_coder_init(&coder);
}

// Column c of a row has a value that follows from c; `seldom` leaves the nullable ones out.
static void one_row(enum channel channel, bool seldom)
{
    const struct channel_schema *schema = channel_schema(channel);
    event_clear(&event, channel, 0);
    for (int c = 0; c < schema->column_count; c++) {
        const struct column *column = &schema->columns[c];
        if (seldom && column->nullable) continue;
        if (column->type == COLUMN_TEXT)
            event_set_text(&event, c, "a\"b\\c\n\x01", 7);
        else if (column->type == COLUMN_DECIMAL)
            event_set_decimal(&event, c, (c % 2 ? 1 : -1) * (1000 + c), (uint8_t)(c % 7));
        else if (column->type == COLUMN_TIME)
            event_set(&event, c, 1767225600000000000ll + c);
        else
            event_set(&event, c, column->type == COLUMN_CODE ? 1 : c);
    }
    if (schema->has_levels) {
        event.level_count = 2;
        event.levels = levels;
    }
    cr_assert(rows_append(&rows, &event));
}

static const struct message_place place_of_all = {12, 34567890123};

static size_t text_of(uint32_t row, const char *symbol)
{
    struct event_text name = {(const uint8_t *)symbol, (uint32_t)strlen(symbol)};
    const char *why = NULL;
    size_t size = message_write(&coder, MESSAGE_JSON, &rows, row, name, place_of_all, out, &why);
    cr_assert_leq(size, message_json_bytes_max(&rows, row, name.size));
    cr_assert_eq(message_format_of(out, size), MESSAGE_JSON);
    out[size] = '\0';
    return size;
}

// 0: `fault` says why not.
static const char *fault;

static size_t avro_of(uint32_t row, const char *symbol)
{
    struct event_text name = {(const uint8_t *)symbol, (uint32_t)strlen(symbol)};
    size_t size = message_write(&coder, MESSAGE_AVRO, &rows, row, name, place_of_all, out, &fault);
    cr_assert_leq(size, message_avro_bytes_max(&rows, row, name.size));
    if (size > 0) cr_assert_eq(message_format_of(out, size), MESSAGE_AVRO);
    return size;
}

// Golden: RINGTAPE_GOLDEN_WRITE=1 writes anew what was wanted to change.
static void golden(const char *channel, const char *ending, size_t size)
{
    char path[200], want[1 << 16];
    (void)snprintf(path, sizeof path, "tests/golden/messages/%s%s", channel, ending);
    if (getenv("RINGTAPE_GOLDEN_WRITE") != NULL) {
        FILE *file = fopen(path, "w");
        cr_assert(file != NULL && fwrite(out, 1, size, file) == size && fclose(file) == 0);
    }
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    size_t read = fread(want, 1, sizeof want, file);
    (void)fclose(file);
    cr_assert(read == size && memcmp(out, want, size) == 0, "%s", path);
}

static void golden_json(const char *channel, const char *ending, uint32_t row, const char *symbol)
{
    size_t size = text_of(row, symbol);
    out[size] = '\n';
    golden(channel, ending, size + 1);
}

Test(message, every_channel_has_its_golden_messages)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema == NULL) continue;
        fresh((enum channel)c);
        one_row((enum channel)c, false);
        one_row((enum channel)c, true);
        golden_json(schema->name, ".json", 0, "binance:BTCUSDT");
        golden_json(schema->name, "_least.json", 1, "");
        golden(schema->name, ".avro", avro_of(0, "binance:BTCUSDT"));
        golden(schema->name, "_least.avro", avro_of(1, ""));
    }
}

Test(message, numbers_are_those_of_the_library)
{
    static const int64_t edges[] = {0, 1, -1, 9, 10, 99, 100, -100, INT64_MAX, INT64_MIN,
                                    1000000000000000000, -5, 120, 12000000};
    char want[DECIMAL_TEXT_BYTES_MAX], have[64];
    uint64_t state = 7;
    for (int i = 0; i < 200000; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        int64_t value = (int64_t)state >> (state >> 3) % 64;
        if (i < (int)(sizeof edges / sizeof *edges)) value = edges[i];
        uint8_t scale = (uint8_t)(state >> 58) % (DECIMAL_SCALE_MAX + 1);
        if (i % 3 == 0 && value % 1000 == value) value *= 1000;
        decimal_text_format(want, value, scale);
        char *end = message_decimal(have, value, scale);
        *end = '\0';
        cr_assert_leq(end - have, MESSAGE_DECIMAL_BYTES_MAX);
        cr_assert_str_eq(have, want, "%lld scale %d", (long long)value, scale);
        (void)snprintf(want, sizeof want, "%lld", (long long)value);
        *message_integer(have, value) = '\0';
        cr_assert_str_eq(have, want);
    }
}

Test(message, bytes_that_are_no_text_are_hexadecimal)
{
    fresh(CHANNEL_RAW);
    event_clear(&event, CHANNEL_RAW, SYMBOL_NONE);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, RAW_REASON, 99); // of a newer version
    event_set_text(&event, RAW_FRAME, "\xff\x00{", 3);
    cr_assert(rows_append(&rows, &event));
    (void)text_of(0, "");
    cr_assert_str_eq(out, "{\"symbol\":null,\"time\":0,\"flags\":0,\"reason\":99,"
                          "\"frame_hex\":\"ff007b\",\"tape\":12,\"tape_row\":34567890123}");
}

Test(message, the_time_is_found_again)
{
    fresh(CHANNEL_TRADE);
    one_row(CHANNEL_TRADE, false);
    size_t size = text_of(0, "a\",\"time\":77");
    cr_assert_eq(message_json_time_ns(out, size), rows_time_ns(&rows, 0));
    cr_assert_eq(message_json_time_ns(",\"time\":-9223372036854775808}", 30), INT64_MIN);
    cr_assert_eq(message_json_time_ns(",\"time\":9223372036854775807}", 29), INT64_MAX);
    cr_assert_eq(message_json_time_ns(",\"time\":92233720368547758070}", 30), 0);
    cr_assert_eq(message_json_time_ns("{}", 2), 0);
    for (int symbol = 0; symbol < 2; symbol++) {
        size = avro_of(0, symbol ? "binance:BTCUSDT" : "");
        cr_assert_eq(message_time_ns(out, size), rows_time_ns(&rows, 0));
        for (size_t cut = 0; cut < MESSAGE_AVRO_HEADER_BYTES + 2; cut++)
            cr_assert_eq(message_avro_time_ns(out, cut), 0);
    }
    memset(out + MESSAGE_AVRO_HEADER_BYTES, 0xff, 20); // a symbol longer than the message
    cr_assert_eq(message_time_ns(out, MESSAGE_AVRO_HEADER_BYTES + 20), 0);
}

// Two's complement, as few bytes as possible, behind their number in zigzag.
static void decimal_is(int64_t mantissa, uint8_t scale, const char *bytes, size_t size)
{
    fresh(CHANNEL_DEPTH);
    one_row(CHANNEL_DEPTH, true);
    size_t before = avro_of(0, "");
    rows.level_first[1] = 1;
    rows.level_price[0] = mantissa;
    rows.level_price_scale[0] = scale;
    rows.level_quantity[0] = 0;
    size_t got = avro_of(0, "");
    if (bytes == NULL) {
        cr_assert_eq(got, 0, "%lld scale %d fits", (long long)mantissa, scale);
        cr_assert_str_eq(fault, "a number does not fit its decimal type exactly");
        return;
    }
    cr_assert_gt(before, 0);
    const char *at = out + got - 3 - size; // quantity 0 in two bytes, the end of the levels
    cr_assert_eq((uint8_t)at[-1], 2 * size, "%lld scale %d", (long long)mantissa, scale);
    cr_assert_eq(memcmp(at, bytes, size), 0, "%lld scale %d", (long long)mantissa, scale);
}

Test(message, avro_decimals_are_exact_or_refused)
{
    decimal_is(0, 8, "\x00", 1);
    decimal_is(1, 8, "\x01", 1);
    decimal_is(-1, 8, "\xff", 1);
    decimal_is(127, 8, "\x7f", 1);
    decimal_is(128, 8, "\x00\x80", 2);
    decimal_is(-128, 8, "\x80", 1);
    decimal_is(-129, 8, "\xff\x7f", 2);
    decimal_is(1, 0, "\x05\xf5\xe1\x00", 4);
    decimal_is(10000000000, 18, "\x01", 1);
    decimal_is(10000000001, 18, NULL, 0); // a place too many
    decimal_is(1, 9, NULL, 0);
    decimal_is(9999999999, 0, "\x0d\xe0\xb6\xb3\xa1\x6e\x1f\x00", 8);
    decimal_is(10000000000, 0, NULL, 0); // 19 digits
    decimal_is(999999999999999999, 8, "\x0d\xe0\xb6\xb3\xa7\x63\xff\xff", 8);
    decimal_is(-999999999999999999, 8, "\xf2\x1f\x49\x4c\x58\x9c\x00\x01", 8);
    decimal_is(1000000000000000000, 8, NULL, 0);
    decimal_is(INT64_MIN, 0, NULL, 0);
}

Test(message, avro_has_no_place_for_what_is_not_in_the_schema)
{
    fresh(CHANNEL_STATUS);
    one_row(CHANNEL_STATUS, false);
    cr_assert_gt(avro_of(0, ""), 0);
    cr_assert_eq(avro_of(0, "\xff"), 0);
    cr_assert_str_eq(fault, "the symbol is not UTF-8");
    rows.value[STATUS_KIND][0] = 99; // of a newer version
    cr_assert_eq(avro_of(0, ""), 0);
    cr_assert_str_eq(fault, "a code has no name");
    rows.present[0] &= ~(1ull << STATUS_KIND);
    cr_assert_eq(avro_of(0, ""), 0);
    cr_assert_str_eq(fault, "a column that is never absent is absent");
    fresh(CHANNEL_TRADE);
    one_row(CHANNEL_TRADE, false);
    rows.value[TRADE_BEST_MATCH][0] = 2;
    cr_assert_eq(avro_of(0, ""), 0);
    rows.value[TRADE_BEST_MATCH][0] = 0;
    rows.text[0] = 0xff;
    cr_assert_eq(avro_of(0, ""), 0);
    cr_assert_str_eq(fault, "a text is not UTF-8");
}

Test(message, avro_repairs_a_detail_and_keeps_a_frame)
{
    static const char want[] = "\x02\x06\xef\xbf\xbd\x06\xff\x00{\x18";
    fresh(CHANNEL_RAW);
    event_clear(&event, CHANNEL_RAW, SYMBOL_NONE);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, RAW_REASON, RAW_KEPT);
    event_set_text(&event, RAW_DETAIL, "\xff", 1);
    event_set_text(&event, RAW_FRAME, "\xff\x00{", 3);
    cr_assert(rows_append(&rows, &event));
    size_t size = avro_of(0, "");
    cr_assert_not_null(memmem(out, size, want, sizeof want - 1));
}

Test(message, the_identity_names_the_row)
{
    char identity[MESSAGE_IDENTITY_BYTES_MAX + 1];
    struct message_place place = {12, 345};
    fresh(CHANNEL_DEPTH);
    one_row(CHANNEL_DEPTH, false);
    identity[message_identity(&rows, 0, STORE, place, identity)] = '\0';
    cr_assert_str_eq(identity, "5,6");
    fresh(CHANNEL_TICKER);
    one_row(CHANNEL_TICKER, false);
    identity[message_identity(&rows, 0, STORE, place, identity)] = '\0';
    cr_assert_str_eq(identity, STORE ":12:345");
    fresh(CHANNEL_KLINE);
    one_row(CHANNEL_KLINE, false);
    rows.text_length[0][0] = 2000; // longer than any interval: cut, not written beyond the room
    cr_assert_leq(message_identity(&rows, 0, STORE, place, identity), MESSAGE_IDENTITY_BYTES_MAX);
}

Test(message, a_topic_for_every_channel)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (channel_schema((enum channel)c) != NULL)
            cr_assert_not_null(message_topic((enum channel)c));
    }
    cr_assert_str_eq(message_topic(CHANNEL_TRADE), "trades");
}

// ---- what the mirror keeps on disk ----

Test(message, the_state_survives_and_damage_is_seen)
{
    static struct mirror_state state, read;
    static char text[MIRROR_STATE_BYTES_MAX];
    state.time_ns = 1767225600000000000;
    state.delivered[CHANNEL_TRADE] = UINT64_MAX;
    state.refused[CHANNEL_RAW] = 3;
    state.cursor[CHANNEL_TRADE][63] = (struct mirror_cursor){UINT32_MAX, 1ull << 60};
    state.cursor[CHANNEL_RAW][0] = (struct mirror_cursor){1, 0};
    state.tapes[0] = (struct mirror_state_tape){1, 63, 0};
    state.tapes[1] = (struct mirror_state_tape){UINT32_MAX, 0, UINT64_MAX};
    state.tapes[2] = (struct mirror_state_tape){UINT32_MAX, MIRROR_SHARDS_MAX, 7};
    state.tapes[1].tape--;
    state.tape_count = 3;
    state.spare[63][0] = UINT32_MAX;
    state.spare[63][1] = 1;
    size_t size = mirror_state_write(&state, text);
    cr_assert_eq(mirror_state_parse(&read, text, size), 0);
    cr_assert_eq(memcmp(&state, &read, sizeof state), 0);
    for (size_t at = 0; at < size; at++) {
        text[at] ^= 4;
        cr_assert_lt(mirror_state_parse(&read, text, size), 0, "byte %zu", at);
        text[at] ^= 4;
        cr_assert_lt(mirror_state_parse(&read, text, at), 0, "cut at %zu", at);
    }
    for (int c = 0; c < CHANNEL_COUNT; c++) { // the fullest there is
        state.delivered[c] = state.refused[c] = UINT64_MAX;
        for (int s = 0; s < MIRROR_SHARDS_MAX; s++)
            state.cursor[c][s] = (struct mirror_cursor){UINT32_MAX, UINT64_MAX};
    }
    state.tape_count = MIRROR_STATE_TAPES_MAX;
    for (uint32_t t = 0; t < MIRROR_STATE_TAPES_MAX; t++)
        state.tapes[t] = (struct mirror_state_tape){UINT32_MAX - MIRROR_STATE_TAPES_MAX + t, 63,
                                                    UINT64_MAX};
    cr_assert_leq(mirror_state_write(&state, text), MIRROR_STATE_BYTES_MAX);
}

Test(message, a_letter_comes_out_as_it_went_in)
{
    static const struct mirror_letter letter = {
        .channel = CHANNEL_TRADE, .format = 1, .time_ms = -5, .refused_ns = 7, .tape = 9,
        .row = 1ull << 40, .key = {(const uint8_t *)"k", 1}, .identity = {(const uint8_t *)"id", 2},
        .cause = {(const uint8_t *)"why", 3}, .value = {(const uint8_t *)"value", 5}};
    struct mirror_letter read;
    uint8_t bytes[256];
    size_t size = mirror_letter_bytes(&letter);
    mirror_letter_write(&letter, bytes);
    cr_assert_eq(mirror_letter_read(&read, bytes, sizeof bytes), size);
    cr_assert(read.row == letter.row && read.time_ms == -5 && read.value.size == 5);
    cr_assert_eq(memcmp(read.value.bytes, "value", 5), 0);
    for (size_t at = 0; at < size; at++) {
        bytes[at] ^= 1;
        cr_assert_eq(mirror_letter_read(&read, bytes, size), 0, "byte %zu", at);
        bytes[at] ^= 1;
        cr_assert_eq(mirror_letter_read(&read, bytes, at), 0, "cut at %zu", at);
    }
}
