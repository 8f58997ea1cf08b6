// SPDX-License-Identifier: GPL-3.0-or-later
//
// Properties of Kafka's values (publish/message.h): a row of any channel with any cells, written as
// JSON and as Avro, is read back by decoders made from docs/kafka.md alone as the same row, in no
// more bytes than were promised; Avro refuses exactly what its schema has no place for. The time
// of a value is found in both, and looking for it in any bytes does no harm.
//
// The input is the row: channel, symbol, place, then a byte or more a cell.
#include <stdlib.h>
#include <string.h>

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/rows.h"
#include "format/text_utf8.h"
#include "protocol/json.h"
#include "publish/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_BYTES_MAX = 4096,
    SYMBOL_BYTES_MAX = 40,
    LEVELS_MAX = 6,
    ABSENT_ALL_THE_SAME = 255, // of a column that is never absent
};

// ---- the row ----

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

static uint8_t take(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static struct event_text take_text(struct input *input, uint32_t size_max)
{
    uint32_t size = take(input) % (size_max + 1);
    if (size > (size_t)(input->end - input->at))
        size = (uint32_t)(input->end - input->at);
    struct event_text text = {input->at, size};
    input->at += size;
    return text;
}

// Of one to eight bytes, so that small numbers are not rare.
static int64_t take_number(struct input *input)
{
    uint32_t bytes = take(input) % 9;
    uint64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) value = value << 8 | take(input);
    if (bytes == 0 || bytes == 8)
        return (int64_t)value;
    return (int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static void take_cell(struct input *input, struct event *event, const struct column *column, int c)
{
    uint8_t kind = take(input);
    if ((column->nullable && kind % 4 == 0) || kind == ABSENT_ALL_THE_SAME)
        return;
    if (column->type == COLUMN_TEXT) {
        struct event_text text = take_text(input, 64);
        event_set_text(event, c, text.bytes, text.size);
    } else if (column->type == COLUMN_DECIMAL) {
        event_set_decimal(event, c, take_number(input), kind / 4 % (DECIMAL_SCALE_MAX + 1));
    } else if (column->type == COLUMN_CODE && kind % 8 != 7) {
        event_set(event, c, kind / 8 % 4);
    } else {
        event_set(event, c, take_number(input));
    }
}

static void take_levels(struct input *input, struct event *event, struct event_level *levels)
{
    event->levels = levels;
    event->level_count = take(input) % (LEVELS_MAX + 1);
    for (uint32_t i = 0; i < event->level_count; i++) {
        uint8_t kind = take(input);
        levels[i] = (struct event_level){
            .side = kind % 2,
            .price_scale = kind / 2 % (DECIMAL_SCALE_MAX + 1),
            .quantity_scale = kind / 3 % (DECIMAL_SCALE_MAX + 1),
            .price = take_number(input),
            .quantity = take_number(input),
        };
    }
}

static struct rows *row_make(struct input *input)
{
    static const struct rows_limits limits = {1, LEVELS_MAX, INPUT_BYTES_MAX};
    static struct rows all[CHANNEL_COUNT];
    static struct event event;
    struct event_level levels[LEVELS_MAX];
    enum channel channel = (enum channel)(1 + take(input) % (CHANNEL_COUNT - 1));
    const struct channel_schema *schema = channel_schema(channel);
    struct rows *rows = &all[channel];
    ensure(schema != NULL);
    if (rows->schema == NULL) {
        void *memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
        ensure(memory != NULL);
        rows_init(rows, schema, &limits, memory);
    }
    event_clear(&event, channel, 0);
    for (int c = 0; c < schema->column_count; c++)
        take_cell(input, &event, &schema->columns[c], c);
    if (schema->has_levels)
        take_levels(input, &event, levels);
    rows_clear(rows);
    ensure(rows_append(rows, &event));
    return rows;
}

// What both decoders hold a message against.
struct want {
    const struct rows *rows;
    struct event_text symbol;
    struct message_place place;
};

static bool has(const struct rows *rows, int c)
{
    return rows->present[0] >> c & 1;
}

static struct event_text cell_text(const struct rows *rows, const struct column *column)
{
    return (struct event_text){rows->text + rows->text_offset[column->text][0],
                               rows->text_length[column->text][0]};
}

static bool is_boolean(const struct column *column)
{
    return strcmp(column->codes[0], "false") == 0;
}

// ---- JSON ----

struct json_reader {
    struct json_walk walk;
    struct json_value key;
    struct json_value value;
};

static void json_member(struct json_reader *reader, const char *name)
{
    ensure(json_walk_member(&reader->walk, &reader->key, &reader->value));
    ensure(json_string_equals(&reader->key, name));
}

static void json_same_integer(const struct json_value *value, int64_t want)
{
    char text[24] = "", *end;
    ensure(value->type == JSON_NUMBER_TEXT && value->size < sizeof text);
    memcpy(text, value->text, value->size);
    // Not by json_integer(), which knows no -2^63.
    ensure(strtoll(text, &end, 10) == want && *end == '\0');
}

static void json_same_decimal(const struct json_value *value, int64_t mantissa, uint8_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    decimal_text_format(text, mantissa, scale);
    ensure(json_string_equals(value, text));
}

static void json_same_text(struct json_reader *reader, const char *name, struct event_text want)
{
    static char decoded[INPUT_BYTES_MAX * 2];
    char key[64];
    uint32_t size;
    bool text = text_utf8_valid(want.bytes, want.size);
    size_t name_size = strlen(name);
    ensure(name_size + sizeof "_hex" <= sizeof key);
    memcpy(key, name, name_size + 1);
    if (!text)
        memcpy(key + name_size, "_hex", sizeof "_hex");
    json_member(reader, key);
    ensure(json_string_decode(&reader->value, decoded, sizeof decoded, &size) == JSON_OK);
    if (text) {
        ensure(size == want.size && (size == 0 || memcmp(decoded, want.bytes, size) == 0));
        return;
    }
    ensure(size == 2 * want.size);
    for (uint32_t i = 0; i < want.size; i++) {
        char pair[3] = {decoded[2 * i], decoded[2 * i + 1], '\0'};
        char *end;
        ensure(strtoul(pair, &end, 16) == want.bytes[i] && *end == '\0');
    }
}

static void json_same_code(const struct json_value *value, const struct column *column,
                           int64_t code)
{
    const char *name = code_name(column, code);
    bool truth;
    if (name == NULL)
        json_same_integer(value, code);
    else if (is_boolean(column))
        ensure(json_boolean(value, &truth) == JSON_OK && truth == (code == 1));
    else
        ensure(json_string_equals(value, name));
}

static void json_cell(struct json_reader *reader, const struct rows *rows, int c)
{
    const struct column *column = &rows->schema->columns[c];
    if (column->type == COLUMN_TEXT) {
        json_same_text(reader, column->name, cell_text(rows, column));
        return;
    }
    json_member(reader, column->name);
    if (column->type == COLUMN_DECIMAL)
        json_same_decimal(&reader->value, rows->value[c][0], rows->scale[c][0]);
    else if (column->type == COLUMN_CODE)
        json_same_code(&reader->value, column, rows->value[c][0]);
    else
        json_same_integer(&reader->value, rows->value[c][0]);
}

static void json_levels(struct json_reader *reader, const struct rows *rows)
{
    struct json_walk levels;
    struct json_reader level;
    uint32_t i = 0;
    json_member(reader, "levels");
    ensure(json_walk_array(&reader->value, &levels) == JSON_OK);
    for (; json_walk_element(&levels, &level.value); i++) {
        ensure(i < rows->level_count);
        struct json_value own = level.value;
        ensure(json_walk_object(&own, &level.walk) == JSON_OK);
        json_member(&level, "side");
        ensure(json_string_equals(&level.value, rows->level_side[i] == 0 ? "bid" : "ask"));
        json_member(&level, "price");
        json_same_decimal(&level.value, rows->level_price[i], rows->level_price_scale[i]);
        json_member(&level, "quantity");
        json_same_decimal(&level.value, rows->level_quantity[i], rows->level_quantity_scale[i]);
        ensure(!json_walk_member(&level.walk, &level.key, &level.value));
    }
    ensure(i == rows->level_count);
}

static void json_check(const char *text, size_t size, const struct want *want)
{
    const struct rows *rows = want->rows;
    struct json_reader reader;
    struct json_value root;
    ensure(json_parse(text, (uint32_t)size, &root, NULL) == JSON_OK);
    ensure(root.size == size && memchr(text, '\n', size) == NULL);
    ensure(json_walk_object(&root, &reader.walk) == JSON_OK);
    if (want->symbol.size > 0) {
        json_same_text(&reader, "symbol", want->symbol);
    } else {
        json_member(&reader, "symbol");
        ensure(reader.value.type == JSON_NULL);
    }
    json_member(&reader, "time");
    json_same_integer(&reader.value, rows_time_ns(rows, 0));
    for (int c = 0; c < rows->schema->column_count; c++)
        if (has(rows, c))
            json_cell(&reader, rows, c);
    if (rows->schema->has_levels)
        json_levels(&reader, rows);
    if (rows->schema->identity_count == 0) {
        json_member(&reader, "tape");
        json_same_integer(&reader.value, want->place.tape);
        json_member(&reader, "tape_row");
        json_same_integer(&reader.value, (int64_t)want->place.row);
    }
    ensure(!json_walk_member(&reader.walk, &reader.key, &reader.value));
}

// ---- Avro (1.12 specification, "Binary Encoding") ----

static uint8_t avro_byte(struct input *input)
{
    ensure(input->at < input->end);
    return *input->at++;
}

static int64_t avro_long(struct input *input)
{
    uint64_t zigzag = 0;
    for (uint32_t shift = 0;; shift += 7) {
        uint8_t byte = avro_byte(input);
        ensure(shift < 63 || byte <= 1);
        zigzag |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
    }
}

static struct event_text avro_bytes(struct input *input)
{
    int64_t size = avro_long(input);
    ensure(size >= 0 && size <= input->end - input->at);
    struct event_text bytes = {input->at, (uint32_t)size};
    input->at += size;
    return bytes;
}

static void avro_same_bytes(struct input *input, const void *want, size_t size)
{
    struct event_text bytes = avro_bytes(input);
    ensure(bytes.size == size && (size == 0 || memcmp(bytes.bytes, want, size) == 0));
}

static void avro_decimal(struct input *input, enum decimal_kind kind, int64_t mantissa,
                         uint8_t scale)
{
    char have[DECIMAL_TEXT_BYTES_MAX], want[DECIMAL_TEXT_BYTES_MAX];
    struct event_text bytes = avro_bytes(input);
    ensure(bytes.size >= 1 && bytes.size <= 16);
    unsigned __int128 value = bytes.bytes[0] & 0x80 ? ~(unsigned __int128)0 : 0;
    for (uint32_t i = 0; i < bytes.size; i++) value = value << 8 | bytes.bytes[i];
    decimal_text_format(have, (__int128)value, decimal_type_of(kind).scale);
    decimal_text_format(want, mantissa, scale);
    ensure(strcmp(have, want) == 0);
}

static void avro_text(struct input *input, const struct column *column, struct event_text want)
{
    static uint8_t repaired[3 * INPUT_BYTES_MAX];
    if (strcmp(column->name, "detail") != 0 || text_utf8_valid(want.bytes, want.size)) {
        avro_same_bytes(input, want.bytes, want.size);
        return;
    }
    size_t size = text_utf8_repair(want.bytes, want.size, repaired, sizeof repaired);
    avro_same_bytes(input, repaired, size);
}

static void avro_code(struct input *input, const struct column *column, int64_t code)
{
    const char *name = code_name(column, code);
    ensure(name != NULL);
    if (is_boolean(column))
        ensure(avro_byte(input) == code);
    else if (strcmp(column->codes[0], "buy") == 0)
        ensure(avro_long(input) == code);
    else
        avro_same_bytes(input, name, strlen(name));
}

static void avro_cell(struct input *input, const struct rows *rows, int c)
{
    const struct column *column = &rows->schema->columns[c];
    if (column->nullable) {
        int64_t branch = avro_long(input);
        ensure(branch == has(rows, c));
    }
    if (!has(rows, c))
        return;
    if (column->type == COLUMN_TEXT)
        avro_text(input, column, cell_text(rows, column));
    else if (column->type == COLUMN_DECIMAL)
        avro_decimal(input, column->decimal, rows->value[c][0], rows->scale[c][0]);
    else if (column->type == COLUMN_CODE)
        avro_code(input, column, rows->value[c][0]);
    else
        ensure(avro_long(input) == rows->value[c][0]);
}

static void avro_levels(struct input *input, const struct rows *rows)
{
    int64_t count = avro_long(input);
    ensure(count == rows->level_count);
    for (uint32_t i = 0; i < rows->level_count; i++) {
        ensure(avro_long(input) == (rows->level_side[i] != 0));
        avro_decimal(input, DECIMAL_PRICE, rows->level_price[i], rows->level_price_scale[i]);
        avro_decimal(input, DECIMAL_QUANTITY, rows->level_quantity[i],
                     rows->level_quantity_scale[i]);
    }
    ensure(count == 0 || avro_long(input) == 0);
}

static void avro_check(const uint8_t *bytes, size_t size, const struct want *want)
{
    const struct rows *rows = want->rows;
    struct input input = {bytes, bytes + size};
    ensure(avro_byte(&input) == 0xc3 && avro_byte(&input) == 1);
    for (int i = 0; i < 8; i++) (void)avro_byte(&input); // the schema's, held by message_test
    ensure(avro_long(&input) == (want->symbol.size > 0));
    if (want->symbol.size > 0)
        avro_same_bytes(&input, want->symbol.bytes, want->symbol.size);
    ensure(avro_long(&input) == rows_time_ns(rows, 0));
    for (int c = 0; c < rows->schema->column_count; c++) avro_cell(&input, rows, c);
    if (rows->schema->has_levels)
        avro_levels(&input, rows);
    if (rows->schema->identity_count == 0) {
        ensure(avro_long(&input) == want->place.tape);
        ensure(avro_long(&input) == (int64_t)want->place.row);
    }
    ensure(input.at == input.end);
}

// ---- what the schema has no place for ----

static bool fits_decimal(enum decimal_kind kind, int64_t mantissa, uint8_t scale)
{
    struct decimal_type type = decimal_type_of(kind);
    __int128 value;
    return decimal_text_rescale(mantissa, scale, type.scale, type.digits, &value);
}

static bool fits_cell(const struct rows *rows, int c)
{
    const struct column *column = &rows->schema->columns[c];
    if (!has(rows, c))
        return column->nullable;
    if (column->type == COLUMN_DECIMAL)
        return fits_decimal(column->decimal, rows->value[c][0], rows->scale[c][0]);
    if (column->type == COLUMN_CODE)
        return code_name(column, rows->value[c][0]) != NULL;
    if (column->type != COLUMN_TEXT || strcmp(column->name, "detail") == 0 ||
        strcmp(column->name, "frame") == 0)
        return true;
    struct event_text text = cell_text(rows, column);
    return text_utf8_valid(text.bytes, text.size);
}

static bool fits(const struct want *want)
{
    const struct rows *rows = want->rows;
    bool all = text_utf8_valid(want->symbol.bytes, want->symbol.size);
    for (int c = 0; c < rows->schema->column_count; c++) all = all && fits_cell(rows, c);
    for (uint32_t i = 0; rows->schema->has_levels && i < rows->level_count; i++)
        all = all &&
              fits_decimal(DECIMAL_PRICE, rows->level_price[i], rows->level_price_scale[i]) &&
              fits_decimal(DECIMAL_QUANTITY, rows->level_quantity[i],
                           rows->level_quantity_scale[i]);
    return all;
}

// In exactly the room that is promised to suffice.
static void check_format(const struct message_coder *coder, enum message_format format,
                         const struct want *want)
{
    const char *why = NULL;
    size_t room = format == MESSAGE_JSON
                      ? message_json_bytes_max(want->rows, 0, want->symbol.size)
                      : message_avro_bytes_max(want->rows, 0, want->symbol.size);
    uint8_t *out = malloc(room);
    ensure(out != NULL);
    size_t size = message_write(coder, format, want->rows, 0, want->symbol, want->place, out, &why);
    ensure(size <= room);
    ensure((size > 0) == (format == MESSAGE_JSON || fits(want)));
    if (size == 0) {
        ensure(why != NULL && why[0] != '\0');
    } else {
        ensure(message_format_of(out, size) == format);
        ensure(message_time_ns(out, size) == rows_time_ns(want->rows, 0));
        if (format == MESSAGE_JSON)
            json_check((const char *)out, size, want);
        else
            avro_check(out, size, want);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct message_coder coder;
    static bool ready;
    if (size > INPUT_BYTES_MAX)
        return 0;
    if (!ready)
        message_coder_init(&coder);
    ready = true;
    (void)message_time_ns(data, size);
    struct input input = {data, data + size};
    struct want want = {.symbol = take_text(&input, SYMBOL_BYTES_MAX)};
    want.place = (struct message_place){(uint32_t)take_number(&input),
                                        (uint64_t)take_number(&input) & INT64_MAX};
    want.rows = row_make(&input);
    check_format(&coder, MESSAGE_JSON, &want);
    check_format(&coder, MESSAGE_AVRO, &want);
    return 0;
}
