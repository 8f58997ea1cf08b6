// SPDX-License-Identifier: Apache-2.0
//
// A null takes a zero byte in `present` and nothing elsewhere. The value of the row being built
// lies behind those of finished rows and counts from parquet_row_end() on.
#include "format/parquet_buffer.h"

#include "format/ensure.h"
#include "format/parquet_encode.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_NONE = 0 }; // in code_index: the code is not in the dictionary yet

static bool parquet_buffer_is_variable(enum parquet_type type)
{
    return type == PARQUET_STRING || type == PARQUET_BINARY;
}

static size_t parquet_buffer_value_bytes(enum parquet_type type)
{
    switch (type) {
    case PARQUET_BOOLEAN: return 1;
    case PARQUET_DECIMAL_38: return 16;
    case PARQUET_CODE:
    case PARQUET_STRING:
    case PARQUET_BINARY: return 4;
    case PARQUET_INT64:
    case PARQUET_TIMESTAMP:
    case PARQUET_DECIMAL_18: return 8;
    case PARQUET_TYPE_COUNT: break;
    }
    ensure(false);
    return 0;
}

static int parquet_buffer_open_codes(struct parquet_buffer *buffer)
{
    const struct parquet_column *column = buffer->column;
    ensure(column->code_count > 0 && column->code_text != NULL);
    buffer->code_index = calloc(column->code_count, sizeof *buffer->code_index);
    buffer->code_page = calloc(column->code_count, sizeof *buffer->code_page);
    buffer->dictionary = calloc(column->code_count, sizeof *buffer->dictionary);
    if (!buffer->code_index || !buffer->code_page || !buffer->dictionary) return -ENOMEM;
    for (uint32_t code = 0; code < column->code_count; code++)
        buffer->dictionary_bytes_max += 4 + strlen(column->code_text(column->context, code));
    return 0;
}

int parquet_buffer_open(struct parquet_buffer *buffer, const struct parquet_column *column)
{
    buffer->column = column;
    buffer->present = calloc(PARQUET_PAGE_ROWS, 1);
    buffer->values = calloc(PARQUET_PAGE_ROWS, parquet_buffer_value_bytes(column->type));
    buffer->pages = calloc(PARQUET_BUFFER_PAGES_MAX, sizeof *buffer->pages);
    if (buffer->present == NULL || buffer->values == NULL || buffer->pages == NULL) return -ENOMEM;
    if (parquet_buffer_is_variable(column->type)) {
        buffer->text = malloc(PARQUET_BUFFER_TEXT_BYTES);
        if (buffer->text == NULL) return -ENOMEM;
    }
    return column->type == PARQUET_CODE ? parquet_buffer_open_codes(buffer) : 0;
}

void parquet_buffer_close(struct parquet_buffer *buffer)
{
    free(buffer->present);
    free(buffer->values);
    free(buffer->pages);
    free(buffer->text);
    free(buffer->code_index);
    free(buffer->code_page);
    free(buffer->dictionary);
}

bool parquet_buffer_has_text(const struct parquet_buffer *buffer)
{
    return buffer->text != NULL;
}

static size_t parquet_buffer_values_bound(const struct parquet_buffer *buffer, uint32_t count,
                                          size_t text_size)
{
    const enum parquet_type type = buffer->column->type;
    if (type == PARQUET_CODE) return 1 + parquet_encode_hybrid_bound(count, 32);
    if (parquet_buffer_is_variable(type)) return (size_t)count * 4 + text_size;
    const size_t plain = (size_t)count * parquet_buffer_value_bytes(type);
    return plain + parquet_encode_delta_bound(count);
}

size_t parquet_buffer_raw_bound(const struct parquet_buffer *buffer, uint32_t rows)
{
    return parquet_encode_levels_bound(rows) +
           parquet_buffer_values_bound(buffer, buffer->count, buffer->text_size);
}

size_t parquet_buffer_raw_max(const struct parquet_buffer *buffer)
{
    const size_t page =
        parquet_encode_levels_bound(PARQUET_PAGE_ROWS) +
        parquet_buffer_values_bound(buffer, PARQUET_PAGE_ROWS, PARQUET_BUFFER_TEXT_BYTES);
    return page > buffer->dictionary_bytes_max ? page : buffer->dictionary_bytes_max;
}

// Codes become places in the dictionary; each distinct one enters the bounds once.
static void parquet_buffer_codes(struct parquet_buffer *buffer, uint32_t page_number,
                                 struct parquet_bounds *bounds)
{
    const struct parquet_column *column = buffer->column;
    for (uint32_t i = 0; i < buffer->count; i++) {
        const uint32_t code = buffer->code[i];
        if (buffer->code_page[code] != page_number) {
            buffer->code_page[code] = page_number;
            const char *text = column->code_text(column->context, code);
            parquet_bounds_add_text(bounds, text, strlen(text));
            if (buffer->code_index[code] == CODE_NONE) {
                buffer->dictionary[buffer->dictionary_count++] = code;
                buffer->code_index[code] = buffer->dictionary_count;
            }
        }
        buffer->code[i] = buffer->code_index[code] - 1;
    }
}

void parquet_buffer_bounds(struct parquet_buffer *buffer, uint32_t page_number,
                           struct parquet_bounds *bounds)
{
    const enum parquet_type type = buffer->column->type;
    parquet_bounds_clear(bounds);
    if (type == PARQUET_BOOLEAN) {
        parquet_bounds_add_booleans(bounds, buffer->boolean, buffer->count);
    } else if (type == PARQUET_DECIMAL_38) {
        parquet_bounds_add_int128(bounds, buffer->int128, buffer->count);
    } else if (type == PARQUET_CODE) {
        parquet_buffer_codes(buffer, page_number, bounds);
    } else if (parquet_buffer_is_variable(type)) {
        uint32_t begin = 0;
        for (uint32_t i = 0; i < buffer->count && bounds->exact; begin = buffer->text_end[i++])
            parquet_bounds_add_text(bounds, buffer->text + begin, buffer->text_end[i] - begin);
    } else {
        parquet_bounds_add_int64(bounds, buffer->int64, buffer->count);
    }
}

size_t parquet_buffer_encode(struct parquet_buffer *buffer, uint32_t rows, uint8_t *out)
{
    const enum parquet_type type = buffer->column->type;
    const uint32_t count = buffer->count;
    uint8_t *next = out;
    ensure(count <= rows && rows <= PARQUET_PAGE_ROWS);
    if (buffer->column->nullable) next += parquet_encode_levels(buffer->present, rows, next);
    if (type == PARQUET_BOOLEAN) {
        next += parquet_encode_booleans(buffer->boolean, count, next);
    } else if (type == PARQUET_DECIMAL_38) {
        next += parquet_encode_decimals(buffer->int128, count, next);
    } else if (parquet_buffer_is_variable(type)) {
        next += parquet_encode_texts(buffer->text, buffer->text_end, count, next);
    } else if (type == PARQUET_CODE) {
        const uint32_t last = buffer->dictionary_count > 1 ? buffer->dictionary_count - 1 : 1;
        const int width = 32 - __builtin_clz(last); // never 0: some readers refuse it
        *next++ = (uint8_t)width;
        next += parquet_encode_hybrid(buffer->code, count, width, next);
    } else {
        next += parquet_encode_delta(buffer->int64, count, next);
    }
    ensure((size_t)(next - out) <= parquet_buffer_raw_bound(buffer, rows));
    return (size_t)(next - out);
}

void parquet_buffer_clear(struct parquet_buffer *buffer, uint32_t rows)
{
    buffer->count = 0;
    buffer->text_size = buffer->text_next = 0;
    memset(buffer->present, 0, rows);
}

size_t parquet_buffer_dictionary(struct parquet_buffer *buffer, uint8_t *out)
{
    const struct parquet_column *column = buffer->column;
    size_t size = 0;
    for (uint32_t i = 0; i < buffer->dictionary_count; i++) {
        const uint32_t code = buffer->dictionary[i];
        const char *text = column->code_text(column->context, code);
        const uint32_t end = (uint32_t)strlen(text);
        size += parquet_encode_texts((const uint8_t *)text, &end, 1, out + size);
        buffer->code_index[code] = CODE_NONE;
    }
    buffer->dictionary_count = 0;
    ensure(size <= buffer->dictionary_bytes_max);
    return size;
}
