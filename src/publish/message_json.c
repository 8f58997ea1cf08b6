// SPDX-License-Identifier: GPL-3.0-or-later
//
// A row as one JSON object. Keys in the order of the columns, absent values left out, decimals as
// strings, times as integers of nanoseconds, codes by their names; the names are those of
// `ringtape cat --json`.
#include <string.h>

#include "format/ensure.h"
#include "format/text_utf8.h"
#include "publish/message.h"
#include "publish/message_text.h"

static bool is_boolean(const struct column *column)
{
    return strcmp(column->codes[0], "false") == 0;
}

static bool is_quoted(const struct column *column)
{
    return column->type == COLUMN_DECIMAL || column->type == COLUMN_TEXT ||
           (column->type == COLUMN_CODE && !is_boolean(column));
}

static char *literal(char *out, const char *text)
{
    size_t size = strlen(text);
    memcpy(out, text, size);
    return out + size;
}

static void init_column(struct message_json_column *entry, const struct column *column)
{
    ensure(strlen(column->name) + 5 < sizeof entry->prefix);
    char *end = literal(entry->prefix, ",\"");
    end = literal(end, column->name);
    end = literal(end, is_quoted(column) ? "\":\"" : "\":");
    entry->size = (uint8_t)(end - entry->prefix);
}

void message_json_init(struct message_json *json)
{
    memset(json, 0, sizeof *json);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        for (int i = 0; schema != NULL && i < schema->column_count; i++)
            init_column(&json->column[c][i], &schema->columns[i]);
    }
}

enum {
    JSON_ROW_BYTES_MAX = 256,  // braces, symbol's key, time, tape, tape_row
    JSON_CELL_BYTES_MAX = 100, // prefix and number or code
    JSON_LEVEL_BYTES_MAX = 48 + 2 * MESSAGE_DECIMAL_BYTES_MAX,
};

size_t message_json_bytes_max(const struct rows *rows, uint32_t row, uint32_t symbol_size)
{
    size_t bytes = JSON_ROW_BYTES_MAX + 6 * (size_t)symbol_size;
    bytes += JSON_CELL_BYTES_MAX * (size_t)rows->schema->column_count;
    for (uint64_t bits = rows->present[row] & rows->text_columns; bits != 0; bits &= bits - 1) {
        const struct column *column = &rows->schema->columns[__builtin_ctzll(bits)];
        bytes += 6 * (size_t)rows->text_length[column->text][row];
    }
    if (rows->schema->has_levels)
        bytes += JSON_LEVEL_BYTES_MAX *
                 (size_t)(rows->level_first[row + 1] - rows->level_first[row]);
    return bytes;
}

// Bytes that are no UTF-8 go as hexadecimal digits under the key with "_hex" behind it.
static char *put_text(char *out, const struct message_json_column *entry, const uint8_t *text,
                      size_t size)
{
    memcpy(out, entry->prefix, entry->size);
    out += entry->size;
    if (text_utf8_valid(text, size)) {
        out = message_escaped(out, text, size);
    } else {
        out = literal(out - 3, "_hex\":\"");
        out = message_hex(out, text, size);
    }
    *out++ = '"';
    return out;
}

static char *put_code(char *out, const struct message_json_column *entry,
                      const struct column *column, int64_t value)
{
    const char *name = code_name(column, value);
    size_t size = entry->size;
    if (name == NULL && is_quoted(column)) size--; // a number this version has no name for
    memcpy(out, entry->prefix, size);
    out += size;
    if (name == NULL) return message_integer(out, value);
    out = literal(out, name);
    if (is_quoted(column)) *out++ = '"';
    return out;
}

static char *put_cell(char *out, const struct message_json_column *entry, const struct rows *rows,
                      uint32_t row, int c)
{
    const struct column *column = &rows->schema->columns[c];
    if (column->type == COLUMN_CODE) return put_code(out, entry, column, rows->value[c][row]);
    if (column->type == COLUMN_TEXT)
        return put_text(out, entry, rows->text + rows->text_offset[column->text][row],
                        rows->text_length[column->text][row]);
    memcpy(out, entry->prefix, sizeof entry->prefix); // a fixed size is one or two moves
    out += entry->size;
    if (column->type != COLUMN_DECIMAL) return message_integer(out, rows->value[c][row]);
    out = message_decimal(out, rows->value[c][row], rows->scale[c][row]);
    *out++ = '"';
    return out;
}

static char *put_levels(char *out, const struct rows *rows, uint32_t row)
{
    uint32_t first = rows->level_first[row];
    out = literal(out, ",\"levels\":[");
    for (uint32_t i = first; i < rows->level_first[row + 1]; i++) {
        if (i > first) *out++ = ',';
        out = literal(out, rows->level_side[i] == 0 ? "{\"side\":\"bid\",\"price\":\""
                                                    : "{\"side\":\"ask\",\"price\":\"");
        out = message_decimal(out, rows->level_price[i], rows->level_price_scale[i]);
        out = literal(out, "\",\"quantity\":\"");
        out = message_decimal(out, rows->level_quantity[i], rows->level_quantity_scale[i]);
        out = literal(out, "\"}");
    }
    *out++ = ']';
    return out;
}

// Names from a tape are not trusted to be clean.
static char *put_symbol(char *out, struct event_text symbol)
{
    static const struct message_json_column key = {11, "{\"symbol\":\""};
    if (symbol.size == 0) return literal(out, "{\"symbol\":null");
    return put_text(out, &key, symbol.bytes, symbol.size);
}

size_t message_json_write(const struct message_json *json, const struct rows *rows, uint32_t row,
                          struct event_text symbol, struct message_place place, void *out)
{
    const struct channel_schema *schema = rows->schema;
    char *at = put_symbol(out, symbol);
    at = literal(at, ",\"time\":");
    at = message_integer(at, rows_time_ns(rows, row));
    for (uint64_t bits = rows->present[row]; bits != 0; bits &= bits - 1) {
        int c = __builtin_ctzll(bits);
        at = put_cell(at, &json->column[schema->channel][c], rows, row, c);
    }
    if (schema->has_levels) at = put_levels(at, rows, row);
    if (schema->identity_count == 0) {
        at = literal(at, ",\"tape\":");
        at = message_integer(at, place.tape);
        at = literal(at, ",\"tape_row\":");
        at = message_integer(at, (int64_t)place.row);
    }
    *at++ = '}';
    return (size_t)(at - (char *)out);
}

// Quotes inside the symbol's text are escaped, so the first bare key of that name is the one.
int64_t message_json_time_ns(const void *value, size_t size)
{
    static const char key[] = ",\"time\":";
    const char *at = memmem(value, size, key, sizeof key - 1);
    const char *end = (const char *)value + size;
    int64_t time_ns = 0;
    if (at == NULL) return 0;
    at += sizeof key - 1;
    bool negative = at < end && *at == '-';
    for (at += negative; at < end && *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(time_ns, 10, &time_ns) ||
            __builtin_sub_overflow(time_ns, *at - '0', &time_ns))
            return 0;
    }
    return negative || time_ns == INT64_MIN ? time_ns : -time_ns;
}
