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

bool parquet_buffer_is_int64(const struct parquet_buffer *buffer)
{
    const enum parquet_type type = buffer->column->type;
    return type == PARQUET_INT64 || type == PARQUET_TIMESTAMP || type == PARQUET_DECIMAL_18;
}

bool parquet_buffer_is_number(const struct parquet_buffer *buffer)
{
    return buffer->column->type != PARQUET_CODE && buffer->text == NULL;
}

bool parquet_buffer_may_have_dictionary(const struct parquet_buffer *buffer)
{
    return buffer->dictionary.slots != NULL;
}

static enum parquet_dictionary_kind parquet_buffer_kind(const struct parquet_buffer *buffer)
{
    if (buffer->column->type == PARQUET_DECIMAL_38) return PARQUET_DICTIONARY_INT128;
    return parquet_buffer_is_variable(buffer->column->type) ? PARQUET_DICTIONARY_TEXT
                                                            : PARQUET_DICTIONARY_INT64;
}

static int parquet_buffer_open_codes(struct parquet_buffer *buffer)
{
    const struct parquet_column *column = buffer->column;
    ensure(column->code_count > 0 && column->code_text != NULL);
    buffer->code_index = calloc(column->code_count, sizeof *buffer->code_index);
    buffer->code_page = calloc(column->code_count, sizeof *buffer->code_page);
    buffer->code_order = calloc(column->code_count, sizeof *buffer->code_order);
    if (!buffer->code_index || !buffer->code_page || !buffer->code_order) return -ENOMEM;
    for (uint32_t code = 0; code < column->code_count; code++)
        buffer->code_bytes += 4 + strlen(column->code_text(column->context, code));
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
    if (column->type == PARQUET_BOOLEAN) return 0;
    buffer->places = malloc(PARQUET_PAGE_ROWS * sizeof *buffer->places);
    if (buffer->places == NULL) return -ENOMEM;
    if (column->type == PARQUET_CODE) return parquet_buffer_open_codes(buffer);
    return parquet_dictionary_open(&buffer->dictionary, parquet_buffer_kind(buffer));
}

void parquet_buffer_close(struct parquet_buffer *buffer)
{
    free(buffer->present);
    free(buffer->values);
    free(buffer->pages);
    free(buffer->text);
    free(buffer->places);
    free(buffer->code_index);
    free(buffer->code_page);
    free(buffer->code_order);
    parquet_dictionary_close(&buffer->dictionary);
}

bool parquet_buffer_has_text(const struct parquet_buffer *buffer)
{
    return buffer->text != NULL;
}

// ---- sizes ----

static size_t parquet_buffer_values_bound(const struct parquet_buffer *buffer, uint32_t count,
                                          size_t text_size)
{
    const enum parquet_type type = buffer->column->type;
    const int width_max = type == PARQUET_CODE ? 32 : 16;
    size_t bound = (size_t)count * parquet_buffer_value_bytes(type) + text_size;
    const size_t places = 1 + parquet_encode_hybrid_bound(count, width_max);
    const size_t delta = parquet_buffer_is_int64(buffer) ? parquet_encode_delta_bound(count) : 0;
    if (bound < places) bound = places;
    return bound < delta ? delta : bound;
}

size_t parquet_buffer_raw_bound(const struct parquet_buffer *buffer, uint32_t rows)
{
    return parquet_encode_levels_bound(rows) +
           parquet_buffer_values_bound(buffer, buffer->count, buffer->text_size);
}

static size_t parquet_buffer_dictionary_max(const struct parquet_buffer *buffer)
{
    if (buffer->column->type == PARQUET_CODE) return buffer->code_bytes;
    if (!parquet_buffer_may_have_dictionary(buffer)) return 0;
    return parquet_dictionary_bytes_max(buffer->dictionary.kind);
}

size_t parquet_buffer_raw_max(const struct parquet_buffer *buffer)
{
    const size_t page =
        parquet_encode_levels_bound(PARQUET_PAGE_ROWS) +
        parquet_buffer_values_bound(buffer, PARQUET_PAGE_ROWS, PARQUET_BUFFER_TEXT_BYTES);
    const size_t dictionary = parquet_buffer_dictionary_max(buffer);
    return page > dictionary ? page : dictionary;
}

// ---- bounds and places ----

// Each distinct code enters the bounds once.
static void parquet_buffer_code(struct parquet_buffer *buffer, uint32_t code, uint32_t page_number,
                                struct parquet_bounds *bounds)
{
    const struct parquet_column *column = buffer->column;
    const char *text = column->code_text(column->context, code);
    buffer->code_page[code] = page_number;
    parquet_bounds_add_text(bounds, text, strlen(text));
    if (buffer->code_index[code] != CODE_NONE) return;
    buffer->code_order[buffer->code_known++] = code;
    buffer->code_index[code] = buffer->code_known;
}

static void parquet_buffer_codes(struct parquet_buffer *buffer, uint32_t page_number,
                                 struct parquet_bounds *bounds)
{
    for (uint32_t i = 0; i < buffer->count; i++) {
        const uint32_t code = buffer->code[i];
        if (buffer->code_page[code] != page_number)
            parquet_buffer_code(buffer, code, page_number, bounds);
        buffer->places[i] = buffer->code_index[code] - 1;
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

bool parquet_buffer_places(struct parquet_buffer *buffer, uint32_t first, uint32_t end)
{
    struct parquet_dictionary *dictionary = &buffer->dictionary;
    uint32_t *places = buffer->places + first;
    ensure(parquet_buffer_may_have_dictionary(buffer) && first <= end && end <= buffer->count);
    if (dictionary->kind == PARQUET_DICTIONARY_INT64)
        return parquet_dictionary_int64(dictionary, buffer->int64 + first, end - first, places);
    if (dictionary->kind == PARQUET_DICTIONARY_INT128)
        return parquet_dictionary_int128(dictionary, buffer->int128 + first, end - first, places);
    const uint32_t begin = first > 0 ? buffer->text_end[first - 1] : 0;
    return parquet_dictionary_texts(dictionary, buffer->text, begin, buffer->text_end + first,
                                    end - first, places);
}

// ---- pages ----

uint32_t parquet_buffer_dictionary_count(const struct parquet_buffer *buffer)
{
    return buffer->column->type == PARQUET_CODE ? buffer->code_known : buffer->dictionary.count;
}

// Never width 0: some readers refuse it.
static size_t parquet_buffer_encode_places(const struct parquet_buffer *buffer,
                                           enum parquet_mode mode, uint8_t *out)
{
    const uint32_t known = parquet_buffer_dictionary_count(buffer);
    const uint32_t last = known > 1 ? known - 1 : 1;
    int width = 32 - __builtin_clz(last);
    if (mode == PARQUET_MODE_PLACES || width > 16) {
        *out = (uint8_t)width;
        return 1 + parquet_encode_hybrid(buffer->places, buffer->count, width, out + 1);
    }
    width = width <= 8 ? 8 : 16;
    *out = (uint8_t)width;
    return 1 + parquet_encode_whole_bytes(buffer->places, buffer->count, width, out + 1);
}

static size_t parquet_buffer_encode_plain(const struct parquet_buffer *buffer, uint8_t *out)
{
    const enum parquet_type type = buffer->column->type;
    const uint32_t count = buffer->count;
    if (type == PARQUET_BOOLEAN) return parquet_encode_booleans(buffer->boolean, count, out);
    if (type == PARQUET_DECIMAL_38) return parquet_encode_decimals(buffer->int128, count, out);
    if (parquet_buffer_is_variable(type))
        return parquet_encode_texts(buffer->text, buffer->text_end, count, out);
    memcpy(out, buffer->int64, (size_t)count * 8);
    return (size_t)count * 8;
}

size_t parquet_buffer_encode(const struct parquet_buffer *buffer, uint32_t rows,
                             enum parquet_mode mode, uint8_t *out)
{
    uint8_t *next = out;
    ensure(buffer->count <= rows && rows <= PARQUET_PAGE_ROWS);
    if (buffer->column->nullable) next += parquet_encode_levels(buffer->present, rows, next);
    if (mode == PARQUET_MODE_PLAIN) {
        next += parquet_buffer_encode_plain(buffer, next);
    } else if (!parquet_mode_has_dictionary(mode)) {
        const bool whole_bytes = mode == PARQUET_MODE_DELTA_BYTES;
        ensure(parquet_buffer_is_int64(buffer));
        next += parquet_encode_delta(buffer->int64, buffer->count, whole_bytes, next);
    } else {
        next += parquet_buffer_encode_places(buffer, mode, next);
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

size_t parquet_buffer_dictionary(const struct parquet_buffer *buffer, uint8_t *out)
{
    const struct parquet_column *column = buffer->column;
    size_t size = 0;
    if (column->type != PARQUET_CODE) return parquet_dictionary_encode(&buffer->dictionary, out);
    for (uint32_t i = 0; i < buffer->code_known; i++) {
        const char *text = column->code_text(column->context, buffer->code_order[i]);
        const uint32_t end = (uint32_t)strlen(text);
        size += parquet_encode_texts((const uint8_t *)text, &end, 1, out + size);
    }
    ensure(size <= buffer->code_bytes);
    return size;
}

void parquet_buffer_keep_mode(struct parquet_buffer *buffer)
{
    ensure(!buffer->chosen);
    buffer->chosen = true;
    buffer->groups_left = PARQUET_BUFFER_CHOICE_GROUPS;
}

void parquet_buffer_restart(struct parquet_buffer *buffer)
{
    for (uint32_t i = 0; i < buffer->code_known; i++)
        buffer->code_index[buffer->code_order[i]] = CODE_NONE;
    buffer->code_known = 0;
    if (parquet_buffer_may_have_dictionary(buffer)) parquet_dictionary_clear(&buffer->dictionary);
    buffer->begun_without = false;
    if (buffer->chosen) buffer->groups_left--;
    if (buffer->groups_left == 0) buffer->chosen = false;
}
