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

static struct message_json json;
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
    message_json_init(&json);
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

static size_t text_of(uint32_t row, const char *symbol)
{
    struct event_text name = {(const uint8_t *)symbol, (uint32_t)strlen(symbol)};
    struct message_place place = {12, 34567890123};
    size_t size = message_json_write(&json, &rows, row, name, place, out);
    cr_assert_leq(size, message_json_bytes_max(&rows, row, name.size));
    out[size] = '\0';
    return size;
}

// Golden: RINGTAPE_GOLDEN_WRITE=1 writes anew what was wanted to change.
static void golden(const char *name)
{
    char path[200], want[1 << 16];
    (void)snprintf(path, sizeof path, "tests/golden/messages/%s.json", name);
    if (getenv("RINGTAPE_GOLDEN_WRITE") != NULL) {
        FILE *file = fopen(path, "w");
        cr_assert(file != NULL && fprintf(file, "%s\n", out) > 0 && fclose(file) == 0);
    }
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    size_t size = fread(want, 1, sizeof want - 1, file);
    (void)fclose(file);
    want[size] = '\0';
    if (size > 0) want[size - 1] = '\0';
    cr_assert_str_eq(out, want);
}

Test(message, every_channel_has_its_golden_message)
{
    char name[64];
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema == NULL) continue;
        fresh((enum channel)c);
        one_row((enum channel)c, false);
        one_row((enum channel)c, true);
        (void)text_of(0, "binance:BTCUSDT");
        (void)snprintf(name, sizeof name, "%s", schema->name);
        golden(name);
        (void)text_of(1, "");
        (void)snprintf(name, sizeof name, "%s_least", schema->name);
        golden(name);
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
    state.tape_count = 2;
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
