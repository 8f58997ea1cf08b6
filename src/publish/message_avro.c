// SPDX-License-Identifier: GPL-3.0-or-later
//
// A row as an Avro object in single-object encoding (Avro 1.12 specification, "Single-object
// encoding"): C3 01, the CRC-64-AVRO fingerprint of the schema's Parsing Canonical Form in
// little-endian, then the fields in the order of docs/schema/CHANNEL.avsc.
//
// The canonical form is not a text kept beside the tables: it is read off the columns and goes into
// the fingerprint piece by piece. So schema and encoding cannot part; that the files in docs/schema
// say the same is held by a test with another reader.
#include <string.h>

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/text_utf8.h"
#include "publish/message.h"

enum {
    AVRO_LONG_BYTES_MAX = 10,
    AVRO_DECIMAL_BYTES_MAX = 17, // size and 16 bytes
    AVRO_CODE_BYTES_MAX = 32,    // size and name
    AVRO_CELL_BYTES_MAX = 1 + AVRO_CODE_BYTES_MAX,
    AVRO_LEVEL_BYTES_MAX = 1 + 2 * AVRO_DECIMAL_BYTES_MAX,
    // Header, symbol's branch and size, time, both ends of the levels, tape, tape_row.
    AVRO_ROW_BYTES_MAX = MESSAGE_AVRO_HEADER_BYTES + 1 + 7 * AVRO_LONG_BYTES_MAX,
};

// How a column is written.
enum avro_kind {
    AVRO_LONG,
    AVRO_DECIMAL,
    AVRO_BOOLEAN,
    AVRO_ENUM, // the sides, which no version can add to
    AVRO_CODE, // other codes: their names, as strings
    AVRO_TEXT,
    AVRO_DETAIL, // for people: bytes that are no text are replaced, as in Parquet
    AVRO_BYTES,  // a frame may be anything
};

static enum avro_kind kind_of(const struct column *column)
{
    if (column->type == COLUMN_DECIMAL) return AVRO_DECIMAL;
    if (column->type == COLUMN_CODE) {
        if (strcmp(column->codes[0], "false") == 0) return AVRO_BOOLEAN;
        return strcmp(column->codes[0], "buy") == 0 ? AVRO_ENUM : AVRO_CODE;
    }
    if (column->type != COLUMN_TEXT) return AVRO_LONG;
    if (strcmp(column->name, "detail") == 0) return AVRO_DETAIL;
    return strcmp(column->name, "frame") == 0 ? AVRO_BYTES : AVRO_TEXT;
}

// ---- the fingerprint ----

#define CRC_EMPTY 0xc15d213aa4d7a795ull // of no bytes, and the polynomial

static void feed(uint64_t *crc, const char *text)
{
    for (; *text != '\0'; text++) {
        *crc ^= (uint8_t)*text;
        for (int bit = 0; bit < 8; bit++)
            *crc = *crc >> 1 ^ (CRC_EMPTY & (0 - (*crc & 1)));
    }
}

#define SIDE_TYPE                                                                                  \
    "{\"name\":\"ringtape.side\",\"type\":\"enum\",\"symbols\":[\"buy\",\"sell\"]}"

static const char *type_of(enum avro_kind kind)
{
    static const char *const types[] = {
        [AVRO_LONG] = "\"long\"",
        [AVRO_DECIMAL] = "\"bytes\"",
        [AVRO_BOOLEAN] = "\"boolean\"",
        [AVRO_ENUM] = SIDE_TYPE,
        [AVRO_CODE] = "\"string\"",
        [AVRO_TEXT] = "\"string\"",
        [AVRO_DETAIL] = "\"string\"",
        [AVRO_BYTES] = "\"bytes\"",
    };
    return types[kind];
}

static void feed_column(uint64_t *crc, const struct column *column)
{
    feed(crc, ",{\"name\":\"");
    feed(crc, column->name);
    feed(crc, column->nullable ? "\",\"type\":[\"null\"," : "\",\"type\":");
    feed(crc, type_of(kind_of(column)));
    feed(crc, column->nullable ? "]}" : "}");
}

static uint64_t fingerprint(const struct channel_schema *schema)
{
    uint64_t crc = CRC_EMPTY;
    feed(&crc, "{\"name\":\"ringtape.");
    feed(&crc, schema->name);
    feed(&crc, "\",\"type\":\"record\",\"fields\":["
               "{\"name\":\"symbol\",\"type\":[\"null\",\"string\"]},"
               "{\"name\":\"time\",\"type\":\"long\"}");
    for (int c = 0; c < schema->column_count; c++) feed_column(&crc, &schema->columns[c]);
    if (schema->has_levels)
        feed(&crc, ",{\"name\":\"levels\",\"type\":{\"type\":\"array\",\"items\":"
                   "{\"name\":\"ringtape.level\",\"type\":\"record\",\"fields\":["
                   "{\"name\":\"side\",\"type\":{\"name\":\"ringtape.level_side\","
                   "\"type\":\"enum\",\"symbols\":[\"bid\",\"ask\"]}},"
                   "{\"name\":\"price\",\"type\":\"bytes\"},"
                   "{\"name\":\"quantity\",\"type\":\"bytes\"}]}}}");
    if (schema->identity_count == 0)
        feed(&crc, ",{\"name\":\"tape\",\"type\":\"long\"},{\"name\":\"tape_row\",\"type\":"
                   "\"long\"}");
    feed(&crc, "]}");
    return crc;
}

static void check_codes(const struct column *column)
{
    for (int i = 0; column->codes[i] != NULL; i++)
        ensure(strlen(column->codes[i]) < AVRO_CODE_BYTES_MAX);
}

void message_avro_init(struct message_avro *avro)
{
    memset(avro, 0, sizeof *avro);
    avro->power[0] = 1;
    for (uint32_t i = 1; i <= DECIMAL_SCALE_MAX; i++) avro->power[i] = 10 * avro->power[i - 1];
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema == NULL) continue;
        uint64_t crc = fingerprint(schema);
        uint8_t *header = avro->header[c];
        header[0] = MESSAGE_AVRO_MAGIC;
        header[1] = 1;
        for (int i = 0; i < 8; i++) header[2 + i] = (uint8_t)(crc >> 8 * i);
        for (int i = 0; i < schema->column_count; i++) {
            avro->kind[c][i] = (uint8_t)kind_of(&schema->columns[i]);
            if (schema->columns[i].type == COLUMN_CODE) check_codes(&schema->columns[i]);
        }
    }
}

// ---- values ----

static uint8_t *put_long(uint8_t *out, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7) *out++ = (uint8_t)(zigzag | 0x80);
    *out++ = (uint8_t)zigzag;
    return out;
}

static uint8_t *put_bytes(uint8_t *out, const void *bytes, size_t size)
{
    out = put_long(out, (int64_t)size);
    if (size > 0) memcpy(out, bytes, size);
    return out + size;
}

// The value at the scale of its type. False: it does not fit exactly.
static bool rescale(const struct message_avro *avro, struct decimal_type type, int64_t mantissa,
                    uint8_t scale, __int128 *value)
{
    if (scale > type.scale)
        return decimal_text_rescale(mantissa, scale, type.scale, type.digits, value);
    *value = (__int128)mantissa * avro->power[type.scale - scale];
    if (type.digits > DECIMAL_SCALE_MAX) return true; // 38: no product has more
    int64_t limit = avro->power[type.digits];
    return *value < limit && *value > -limit;
}

// Bytes of two's complement that hold the value and its sign.
static uint32_t bytes_of(__int128 value)
{
    unsigned __int128 bits = (unsigned __int128)(value < 0 ? ~value : value);
    uint64_t high = (uint64_t)(bits >> 64);
    if (high != 0) return (uint32_t)(128 - __builtin_clzll(high)) / 8 + 1;
    return (uint32_t)(64 - __builtin_clzll((uint64_t)bits | 1)) / 8 + 1;
}

// Big-endian two's complement, no longer than it must be. NULL: it does not fit exactly.
static uint8_t *put_decimal(uint8_t *out, const struct message_avro *avro, enum decimal_kind kind,
                            int64_t mantissa, uint8_t scale)
{
    __int128 value;
    if (!rescale(avro, decimal_type_of(kind), mantissa, scale, &value)) return NULL;
    uint64_t ends[2] = {__builtin_bswap64((uint64_t)(value >> 64)),
                        __builtin_bswap64((uint64_t)value)};
    uint32_t size = bytes_of(value);
    *out++ = (uint8_t)(2 * size);
    memcpy(out, (const uint8_t *)ends + sizeof ends - size, size);
    return out + size;
}

static uint8_t *put_code(uint8_t *out, const struct column *column, int64_t value)
{
    const char *name = code_name(column, value);
    return name == NULL ? NULL : put_bytes(out, name, strlen(name));
}

// Repaired behind the longest size, then moved up to it.
static uint8_t *put_detail(uint8_t *out, const uint8_t *text, size_t size)
{
    if (text_utf8_valid(text, size)) return put_bytes(out, text, size);
    uint8_t *repaired = out + AVRO_LONG_BYTES_MAX;
    size_t repaired_size = text_utf8_repair(text, size, repaired, 3 * size);
    out = put_long(out, (int64_t)repaired_size);
    memmove(out, repaired, repaired_size);
    return out + repaired_size;
}

static uint8_t *put_text(uint8_t *out, enum avro_kind kind, const struct rows *rows, uint32_t row,
                         uint8_t slot)
{
    const uint8_t *text = rows->text + rows->text_offset[slot][row];
    size_t size = rows->text_length[slot][row];
    if (kind == AVRO_DETAIL) return put_detail(out, text, size);
    if (kind == AVRO_TEXT && !text_utf8_valid(text, size)) return NULL;
    return put_bytes(out, text, size);
}

static const char *const faults[] = {
    [AVRO_LONG] = "",
    [AVRO_DECIMAL] = "a number does not fit its decimal type exactly",
    [AVRO_BOOLEAN] = "a code has no name",
    [AVRO_ENUM] = "a code has no name",
    [AVRO_CODE] = "a code has no name",
    [AVRO_TEXT] = "a text is not UTF-8",
    [AVRO_DETAIL] = "",
    [AVRO_BYTES] = "",
};

static uint8_t *put_cell(uint8_t *out, const struct message_avro *avro, const struct rows *rows,
                         uint32_t row, int c)
{
    const struct column *column = &rows->schema->columns[c];
    enum avro_kind kind = (enum avro_kind)avro->kind[rows->schema->channel][c];
    if (column->type == COLUMN_TEXT) return put_text(out, kind, rows, row, column->text);
    int64_t value = rows->value[c][row];
    if (kind == AVRO_LONG) return put_long(out, value);
    if (kind == AVRO_DECIMAL)
        return put_decimal(out, avro, column->decimal, value, rows->scale[c][row]);
    if (kind == AVRO_CODE) return put_code(out, column, value);
    if (value != 0 && value != 1) return NULL;
    *out++ = (uint8_t)(kind == AVRO_ENUM ? 2 * value : value);
    return out;
}

// ---- rows ----

static uint8_t *put_columns(uint8_t *out, const struct message_avro *avro, const struct rows *rows,
                            uint32_t row, const char **why)
{
    const struct channel_schema *schema = rows->schema;
    uint64_t present = rows->present[row];
    for (int c = 0; c < schema->column_count; c++, present >>= 1) {
        if (schema->columns[c].nullable) {
            *out++ = present & 1 ? 2 : 0; // the branch of the union
            if (!(present & 1)) continue;
        } else if (!(present & 1)) {
            *why = "a column that is never absent is absent";
            return NULL;
        }
        out = put_cell(out, avro, rows, row, c);
        if (out == NULL) {
            *why = faults[avro->kind[schema->channel][c]];
            return NULL;
        }
    }
    return out;
}

// One block of all levels, and the empty one behind it.
static uint8_t *put_levels(uint8_t *out, const struct message_avro *avro, const struct rows *rows,
                           uint32_t row)
{
    uint32_t first = rows->level_first[row];
    uint32_t end = rows->level_first[row + 1];
    if (end > first) out = put_long(out, end - first);
    for (uint32_t i = first; i < end; i++) {
        *out++ = rows->level_side[i] == 0 ? 0 : 2;
        out = put_decimal(out, avro, DECIMAL_PRICE, rows->level_price[i],
                          rows->level_price_scale[i]);
        if (out == NULL) return NULL;
        out = put_decimal(out, avro, DECIMAL_QUANTITY, rows->level_quantity[i],
                          rows->level_quantity_scale[i]);
        if (out == NULL) return NULL;
    }
    *out++ = 0;
    return out;
}

static uint8_t *put_symbol(uint8_t *out, struct event_text symbol)
{
    *out++ = symbol.size > 0 ? 2 : 0;
    if (symbol.size == 0) return out;
    return text_utf8_valid(symbol.bytes, symbol.size) ? put_bytes(out, symbol.bytes, symbol.size)
                                                      : NULL;
}

size_t message_avro_bytes_max(const struct rows *rows, uint32_t row, uint32_t symbol_size)
{
    size_t bytes = AVRO_ROW_BYTES_MAX + (size_t)symbol_size;
    bytes += AVRO_CELL_BYTES_MAX * (size_t)rows->schema->column_count;
    for (uint64_t bits = rows->present[row] & rows->text_columns; bits != 0; bits &= bits - 1) {
        const struct column *column = &rows->schema->columns[__builtin_ctzll(bits)];
        bytes += 3 * (size_t)rows->text_length[column->text][row];
    }
    if (rows->schema->has_levels)
        bytes += AVRO_LEVEL_BYTES_MAX *
                 (size_t)(rows->level_first[row + 1] - rows->level_first[row]);
    return bytes;
}

size_t message_avro_write(const struct message_avro *avro, const struct rows *rows, uint32_t row,
                          struct event_text symbol, struct message_place place, void *out,
                          const char **why)
{
    const struct channel_schema *schema = rows->schema;
    ensure(avro->header[schema->channel][0] == MESSAGE_AVRO_MAGIC);
    uint8_t *at = out;
    memcpy(at, avro->header[schema->channel], MESSAGE_AVRO_HEADER_BYTES);
    *why = "the symbol is not UTF-8";
    at = put_symbol(at + MESSAGE_AVRO_HEADER_BYTES, symbol);
    if (at == NULL) return 0;
    at = put_long(at, rows_time_ns(rows, row));
    at = put_columns(at, avro, rows, row, why);
    if (at == NULL) return 0;
    if (schema->has_levels) {
        *why = faults[AVRO_DECIMAL];
        at = put_levels(at, avro, rows, row);
        if (at == NULL) return 0;
    }
    if (schema->identity_count == 0) {
        at = put_long(at, place.tape);
        at = put_long(at, (int64_t)place.row);
    }
    return (size_t)(at - (uint8_t *)out);
}

// ---- reading back ----

static bool take_long(const uint8_t **at, const uint8_t *end, int64_t *value)
{
    uint64_t zigzag = 0;
    for (uint32_t shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        zigzag |= (uint64_t)(byte & 0x7f) << shift;
        if (byte >= 0x80) continue;
        *value = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
        return true;
    }
    return false;
}

int64_t message_avro_time_ns(const void *value, size_t size)
{
    const uint8_t *at = value;
    const uint8_t *end = at + size;
    int64_t number = 0;
    if (size < MESSAGE_AVRO_HEADER_BYTES) return 0;
    at += MESSAGE_AVRO_HEADER_BYTES;
    if (!take_long(&at, end, &number)) return 0;
    if (number != 0) { // it has a symbol
        if (!take_long(&at, end, &number) || number < 0 || number > end - at) return 0;
        at += number;
    }
    return take_long(&at, end, &number) ? number : 0;
}
