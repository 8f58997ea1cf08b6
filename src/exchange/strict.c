// SPDX-License-Identifier: GPL-3.0-or-later
//
// Contract: see strict.h. A read goes in this order, and stops at the first fault:
//     members -> one value each in values[]; unknown ones queued as raw rows
//     required keys there? -> the symbol -> every value into its column -> check of what is derived
// A fault drops what was queued: the raw row of the fault quotes the whole message anyway.
#include "exchange/strict.h"

#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

// ---- raw rows ----

void strict_raw(struct dialect_frame *frame, enum raw_reason reason, const char *type,
              const char *key, uint32_t key_size)
{
    ensure(type != NULL);
    if (frame->pending_count == DIALECT_PENDING_MAX)
        return; // the message is quoted whole by the rows before
    struct dialect_pending *pending = &frame->pending[frame->pending_count++];
    char text[DIALECT_DETAIL_BYTES_MAX + 1];
    const int size = snprintf(text, sizeof text, "%s%s%.*s", type, key_size > 0 ? "." : "",
                              (int)(key_size > sizeof text ? sizeof text : key_size), key);
    ensure(size >= 0);
    uint32_t kept = (uint32_t)size < sizeof text ? (uint32_t)size : (uint32_t)sizeof text - 1;
    // A cut must not tear a UTF-8 sequence: the column is text.
    while (kept < (uint32_t)size && kept > 0 && ((uint8_t)text[kept] & 0xc0) == 0x80)
        kept--;
    memcpy(pending->detail, text, kept);
    pending->detail_size = (uint8_t)kept;
    pending->reason = reason;
}

bool strict_raw_next(struct dialect_frame *frame, struct event *event)
{
    ensure(frame->pending_at <= frame->pending_count);
    ensure(frame->pending_count <= DIALECT_PENDING_MAX);
    if (frame->pending_at == frame->pending_count)
        return false;
    const struct dialect_pending *pending = &frame->pending[frame->pending_at++];
    const bool cut = frame->message.size > EVENT_TEXT_BYTES_MAX;
    event_clear(event, CHANNEL_RAW, frame->message_symbol);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, RAW_REASON, cut ? RAW_TOO_LARGE : pending->reason);
    event_set_text(event, RAW_DETAIL, pending->detail, pending->detail_size);
    event_set_text(event, RAW_FRAME, frame->message.bytes,
                   cut ? EVENT_TEXT_BYTES_MAX : frame->message.size);
    return true;
}

bool strict_parse(struct dialect_frame *frame, struct json_value *root)
{
    uint32_t offset = 0;
    const enum json_error error =
        json_parse((const char *)frame->bytes, frame->size, root, &offset);
    if (error == JSON_OK)
        return true;
    char text[DIALECT_DETAIL_BYTES_MAX + 1];
    (void)snprintf(text, sizeof text, "%s at byte %u", json_error_text(error), offset);
    strict_raw(frame, RAW_NOT_JSON, text, "", 0);
    return false;
}

// ---- numbers ----

static __int128 decimal_at_scale(int64_t mantissa, uint32_t scale, uint32_t wanted)
{
    static const int64_t power_of_ten[] = {
        1,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
    };
    ensure(scale <= wanted);
    ensure(wanted <= DECIMAL_SCALE_MAX);
    return (__int128)mantissa * power_of_ten[wanted - scale];
}

int strict_difference_compare(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale, int64_t c,
                            uint8_t c_scale)
{
    uint32_t scale = a_scale > b_scale ? a_scale : b_scale;
    scale = scale > c_scale ? scale : c_scale;
    const __int128 left = decimal_at_scale(a, a_scale, scale) - decimal_at_scale(b, b_scale, scale);
    const __int128 right = decimal_at_scale(c, c_scale, scale);
    return (left > right) - (left < right);
}

int strict_decimal_compare(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale)
{
    return strict_difference_compare(a, a_scale, b, b_scale, 0, 0);
}

// ---- reading ----

static bool refuse(struct strict_reading *reading, enum raw_reason reason, const char *key)
{
    reading->frame->pending_count = 0;
    strict_raw(reading->frame, reason, reading->message->type, key, (uint32_t)strlen(key));
    return false;
}

static const char *field_key(const struct strict_reading *reading, int field)
{
    const struct strict_field *entry = &reading->message->fields[field];
    return reading->keys_short && entry->key_short != NULL ? entry->key_short : entry->key;
}

static bool refuse_field(struct strict_reading *reading, enum raw_reason reason, int field)
{
    return refuse(reading, reason, field_key(reading, field));
}

int strict_field_index(const struct strict_message *message, const char *key)
{
    for (int i = 0; i < message->field_count; i++)
        if (strcmp(message->fields[i].key, key) == 0)
            return i;
    return -1;
}

void strict_contradicts(struct strict_reading *reading, const char *key)
{
    strict_raw(reading->frame, RAW_INCONSISTENT, reading->message->type, key,
               (uint32_t)strlen(key));
}

bool strict_has(const struct strict_reading *reading, const char *key)
{
    const int field = strict_field_index(reading->message, key);
    ensure(field >= 0);
    return (reading->seen >> field & 1) != 0;
}

bool strict_text_is(const struct strict_reading *reading, const char *key, const char *text)
{
    return strict_has(reading, key) &&
           json_string_equals(&reading->values[strict_field_index(reading->message, key)], text);
}

// Text of a string without copy where it holds no escape, else in the frame's scratch.
static bool text_of(struct strict_reading *reading, const struct json_value *value,
                    struct json_slice *text)
{
    if (value->type != JSON_STRING)
        return false;
    if (json_string_raw(value, text) == JSON_OK)
        return true;
    struct dialect_frame *frame = reading->frame;
    ensure(frame->scratch_size <= DIALECT_SCRATCH_BYTES);
    char *target = frame->scratch + frame->scratch_size;
    if (json_string_decode(value, target, DIALECT_SCRATCH_BYTES - frame->scratch_size,
                           &text->size) != JSON_OK)
        return false;
    text->text = target;
    frame->scratch_size += text->size;
    return true;
}

// The name of a member, with the object it is in: "k.t". Longer names are no field's.
struct member_name {
    uint32_t size;
    char text[DIALECT_DETAIL_BYTES_MAX];
};

static struct member_name member_name(const char *prefix, const struct json_value *key)
{
    struct member_name name = {.size = 0};
    const uint32_t prefix_size = (uint32_t)strlen(prefix);
    ensure(prefix_size < sizeof name.text / 2); // a key of a table
    if (prefix_size > 0) {
        memcpy(name.text, prefix, prefix_size);
        name.text[prefix_size] = '.';
        name.size = prefix_size + 1;
    }
    uint32_t size = 0;
    if (json_string_decode(key, name.text + name.size, (uint32_t)sizeof name.text - name.size,
                           &size) == JSON_OK) {
        name.size += size;
        return name;
    }
    static const char unnamed[] = "(long name)";
    memcpy(name.text + name.size, unnamed, sizeof unnamed - 1);
    name.size += (uint32_t)sizeof unnamed - 1;
    return name;
}

static int member_field(const struct strict_reading *reading, const struct member_name *name)
{
    for (int i = 0; i < reading->message->field_count; i++) {
        const char *key = field_key(reading, i);
        if (strlen(key) == name->size && memcmp(key, name->text, name->size) == 0)
            return i;
    }
    return -1;
}

static bool read_members(struct strict_reading *reading, const char *prefix,
                         const struct json_value *object)
{
    struct json_walk walk;
    struct json_value key, value;
    if (json_walk_object(object, &walk) != JSON_OK)
        return refuse(reading, RAW_WRONG_TYPE, prefix);
    while (json_walk_member(&walk, &key, &value)) {
        const struct member_name name = member_name(prefix, &key);
        const int field = member_field(reading, &name);
        if (field < 0) {
            strict_raw(reading->frame, RAW_UNKNOWN_KEY, reading->message->type, name.text,
                       name.size);
            continue;
        }
        if ((reading->named >> field & 1) != 0)
            return refuse_field(reading, RAW_DUPLICATE_KEY, field);
        reading->named |= 1ull << field;
        if (value.type == JSON_NULL)
            continue;
        reading->seen |= 1ull << field;
        reading->values[field] = value;
        const struct strict_field *entry = &reading->message->fields[field];
        if (entry->kind == STRICT_OBJECT && !read_members(reading, entry->key, &value))
            return false;
    }
    return true;
}

static bool read_required(struct strict_reading *reading)
{
    for (int i = 0; i < reading->message->field_count; i++) {
        if (!reading->message->fields[i].required || (reading->seen >> i & 1) != 0)
            continue;
        const bool null = (reading->named >> i & 1) != 0;
        return refuse_field(reading, null ? RAW_WRONG_TYPE : RAW_MISSING_KEY, i);
    }
    return true;
}

static bool read_symbol(struct strict_reading *reading)
{
    struct dialect_frame *frame = reading->frame;
    for (int i = 0; i < reading->message->field_count; i++) {
        if (reading->message->fields[i].kind != STRICT_SYMBOL || (reading->seen >> i & 1) == 0)
            continue;
        struct json_slice name;
        if (!text_of(reading, &reading->values[i], &name))
            return refuse_field(reading, RAW_WRONG_TYPE, i);
        frame->message_symbol = symbols_find(frame->context->symbols, frame->context->exchange,
                                             name.text, name.size);
        if (frame->message_symbol == SYMBOL_NONE)
            return refuse_field(reading, RAW_UNKNOWN_SYMBOL, i);
    }
    reading->event->symbol = frame->message_symbol;
    return true;
}

// ---- levels ----

static bool push_level(struct strict_reading *reading, const struct json_value *price,
                       const struct json_value *quantity, uint8_t side, enum json_error *error)
{
    struct event *event = reading->event;
    ensure(side <= 1);
    ensure(event->level_count <= EVENT_LEVELS_MAX);
    if (event->level_count == EVENT_LEVELS_MAX)
        return false;
    struct event_level *level = &reading->frame->levels[event->level_count];
    level->side = side;
    *error = json_decimal(price, &level->price, &level->price_scale, NULL);
    if (*error == JSON_OK)
        *error = json_decimal(quantity, &level->quantity, &level->quantity_scale, NULL);
    if (*error != JSON_OK)
        return false;
    event->levels = reading->frame->levels;
    event->level_count++;
    return true;
}

static bool refuse_level(struct strict_reading *reading, int field, enum json_error error)
{
    if (reading->event->level_count == EVENT_LEVELS_MAX)
        return refuse_field(reading, RAW_TOO_LARGE, field);
    return refuse_field(reading, error == JSON_NUMBER ? RAW_NUMBER_REFUSED : RAW_WRONG_TYPE, field);
}

static bool read_side(struct strict_reading *reading, int field, uint8_t side)
{
    struct json_walk walk, pair_walk;
    struct json_value pair, cells[2], extra;
    if (json_walk_array(&reading->values[field], &walk) != JSON_OK)
        return refuse_field(reading, RAW_WRONG_TYPE, field);
    while (json_walk_element(&walk, &pair)) {
        if (json_walk_array(&pair, &pair_walk) != JSON_OK ||
            !json_walk_element(&pair_walk, &cells[0]) ||
            !json_walk_element(&pair_walk, &cells[1]) || json_walk_element(&pair_walk, &extra) ||
            cells[0].type != JSON_STRING || cells[1].type != JSON_STRING)
            return refuse_field(reading, RAW_WRONG_TYPE, field);
        enum json_error error = JSON_OK;
        if (!push_level(reading, &cells[0], &cells[1], side, &error))
            return refuse_level(reading, field, error);
    }
    return true;
}

enum { UNIT_ASK_PRICE, UNIT_BID_PRICE, UNIT_ASK_SIZE, UNIT_BID_SIZE, UNIT_CELLS };

static const char *const unit_keys[2][UNIT_CELLS] = {
    {"ask_price", "bid_price", "ask_size", "bid_size"},
    {"ap", "bp", "as", "bs"},
};

// One unit of an Upbit book: all four cells, each once. Other keys are reported, not refused.
static bool read_unit(struct strict_reading *reading, int field, const struct json_value *unit)
{
    struct json_walk walk;
    struct json_value key, value, cells[UNIT_CELLS];
    uint32_t seen = 0;
    if (json_walk_object(unit, &walk) != JSON_OK)
        return refuse_field(reading, RAW_WRONG_TYPE, field);
    while (json_walk_member(&walk, &key, &value)) {
        int cell = 0;
        while (cell < UNIT_CELLS &&
               !json_string_equals(&key, unit_keys[reading->keys_short][cell]))
            cell++;
        if (cell == UNIT_CELLS) {
            const struct member_name name = member_name(field_key(reading, field), &key);
            strict_raw(reading->frame, RAW_UNKNOWN_KEY, reading->message->type, name.text,
                       name.size);
            continue;
        }
        if ((seen >> cell & 1) != 0)
            return refuse_field(reading, RAW_DUPLICATE_KEY, field);
        if (value.type != JSON_NUMBER_TEXT)
            return refuse_field(reading, RAW_WRONG_TYPE, field);
        seen |= 1u << cell;
        cells[cell] = value;
    }
    if (seen != (1u << UNIT_CELLS) - 1)
        return refuse_field(reading, RAW_MISSING_KEY, field);
    enum json_error error = JSON_OK;
    if (!push_level(reading, &cells[UNIT_ASK_PRICE], &cells[UNIT_ASK_SIZE], 1, &error) ||
        !push_level(reading, &cells[UNIT_BID_PRICE], &cells[UNIT_BID_SIZE], 0, &error))
        return refuse_level(reading, field, error);
    return true;
}

static bool read_units(struct strict_reading *reading, int field)
{
    struct json_walk walk;
    struct json_value unit;
    if (json_walk_array(&reading->values[field], &walk) != JSON_OK)
        return refuse_field(reading, RAW_WRONG_TYPE, field);
    while (json_walk_element(&walk, &unit))
        if (!read_unit(reading, field, &unit))
            return false;
    return true;
}

// ---- values into columns ----

static bool read_number(struct strict_reading *reading, int field)
{
    const struct json_value *value = &reading->values[field];
    const struct strict_field *entry = &reading->message->fields[field];
    int64_t number = 0;
    uint8_t scale = 0;
    enum json_error error;
    if (entry->kind == STRICT_DECIMAL || entry->kind == STRICT_DECIMAL_TEXT) {
        if (value->type != (entry->kind == STRICT_DECIMAL ? JSON_NUMBER_TEXT : JSON_STRING))
            return refuse_field(reading, RAW_WRONG_TYPE, field);
        enum decimal_error reason = DECIMAL_OK;
        error = json_decimal(value, &number, &scale, &reason);
        if (error != JSON_OK && (reason == DECIMAL_EMPTY || reason == DECIMAL_MALFORMED))
            return refuse_field(reading, RAW_WRONG_TYPE, field);
        if (error == JSON_OK)
            event_set_decimal(reading->event, entry->column, number, scale);
    } else {
        if (value->type != JSON_NUMBER_TEXT)
            return refuse_field(reading, RAW_WRONG_TYPE, field);
        error = json_integer(value, &number);
        if (error == JSON_OK && entry->kind == STRICT_TIME && !strict_time_ns(number, &number))
            error = JSON_NUMBER;
        if (error == JSON_OK)
            event_set(reading->event, entry->column, number);
    }
    return error == JSON_OK || refuse_field(reading, RAW_NUMBER_REFUSED, field);
}

static bool read_boolean(struct strict_reading *reading, int field)
{
    const struct strict_field *entry = &reading->message->fields[field];
    bool value;
    if (json_boolean(&reading->values[field], &value) != JSON_OK)
        return refuse_field(reading, RAW_WRONG_TYPE, field);
    if (entry->kind == STRICT_MAKER)
        event_set(reading->event, entry->column, value ? SIDE_SELL : SIDE_BUY);
    else
        event_set(reading->event, entry->column, value);
    return true;
}

static bool read_text(struct strict_reading *reading, int field)
{
    const struct json_value *value = &reading->values[field];
    const struct strict_field *entry = &reading->message->fields[field];
    struct json_slice text;
    if (!text_of(reading, value, &text))
        return refuse_field(reading, RAW_WRONG_TYPE, field);
    if (entry->kind == STRICT_TEXT_NOT_ZERO && text.size == 1 && text.text[0] == '0')
        return true;
    event_set_text(reading->event, entry->column, text.text, text.size);
    return true;
}

// One of two words.
static bool read_word(struct strict_reading *reading, int field)
{
    const struct json_value *value = &reading->values[field];
    const struct strict_field *entry = &reading->message->fields[field];
    const bool side = entry->kind == STRICT_ASK_BID;
    const bool first = json_string_equals(value, side ? "ASK" : "SNAPSHOT");
    if (!first && !json_string_equals(value, side ? "BID" : "REALTIME"))
        return refuse_field(reading, RAW_WRONG_TYPE, field);
    if (side)
        event_set(reading->event, entry->column, first ? SIDE_SELL : SIDE_BUY);
    else
        event_set(reading->event, COLUMN_FLAGS, first ? EVENT_SNAPSHOT : 0);
    return true;
}

static bool read_echo(struct strict_reading *reading, int field)
{
    const struct json_value *value = &reading->values[field];
    const struct dialect_context *context = reading->frame->context;
    struct json_slice name;
    if (!text_of(reading, value, &name))
        return refuse_field(reading, RAW_WRONG_TYPE, field);
    if (symbols_find(context->symbols, context->exchange, name.text, name.size) !=
        reading->event->symbol)
        strict_contradicts(reading, field_key(reading, field));
    return true;
}

static bool read_checked(struct strict_reading *reading, int field)
{
    const enum json_type type = reading->values[field].type;
    return type == JSON_STRING || type == JSON_NUMBER_TEXT ||
           refuse_field(reading, RAW_WRONG_TYPE, field);
}

static bool read_field(struct strict_reading *reading, int field)
{
    switch (reading->message->fields[field].kind) {
    case STRICT_TYPE:
    case STRICT_SYMBOL:
    case STRICT_OBJECT: return true;
    case STRICT_SYMBOL_ECHO: return read_echo(reading, field);
    case STRICT_TIME:
    case STRICT_INTEGER:
    case STRICT_DECIMAL:
    case STRICT_DECIMAL_TEXT: return read_number(reading, field);
    case STRICT_BOOLEAN:
    case STRICT_MAKER: return read_boolean(reading, field);
    case STRICT_TEXT:
    case STRICT_TEXT_NOT_ZERO: return read_text(reading, field);
    case STRICT_ASK_BID:
    case STRICT_STREAM_TYPE: return read_word(reading, field);
    case STRICT_BIDS: return read_side(reading, field, 0);
    case STRICT_ASKS: return read_side(reading, field, 1);
    case STRICT_UNITS: return read_units(reading, field);
    case STRICT_CHECKED: return read_checked(reading, field);
    }
    ensure(false);
    return false;
}

bool strict_read(struct strict_reading *reading, struct dialect_frame *frame,
               const struct strict_message *message, bool keys_short,
               const struct json_value *object, struct event *event)
{
    ensure(message->field_count <= STRICT_FIELDS_MAX);
    ensure(frame->levels != NULL);
    reading->frame = frame;
    reading->event = event;
    reading->message = message;
    reading->keys_short = keys_short;
    reading->seen = 0;
    reading->named = 0;
    event_clear(event, message->channel, SYMBOL_NONE);
    event_set(event, COLUMN_FLAGS, 0);
    if (!read_members(reading, "", object) || !read_required(reading) || !read_symbol(reading))
        return false;
    // In the order of the table, so that levels stand bids first whatever the order of the keys.
    for (int i = 0; i < message->field_count; i++)
        if ((reading->seen >> i & 1) != 0 && !read_field(reading, i))
            return false;
    if (message->check != NULL)
        message->check(reading);
    return true;
}
