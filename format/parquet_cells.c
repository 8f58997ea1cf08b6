// SPDX-License-Identifier: Apache-2.0
//
// cells → column buffers, one by one or many rows at once.
#include "format/parquet_writer_inside.h"

#include "format/ensure.h"
#include <string.h>

// ---- cells ----

static struct parquet_buffer *parquet_cell(struct parquet_writer *w, uint32_t column)
{
    ensure(column < w->options.column_count);
    struct parquet_buffer *buffer = &w->buffers[column];
    ensure(!buffer->present[w->page_rows]); // one value a cell
    buffer->present[w->page_rows] = 1;
    return buffer;
}

void parquet_set_bool(struct parquet_writer *w, uint32_t column, bool value)
{
    ensure(w->options.columns[column].type == PARQUET_BOOLEAN);
    struct parquet_buffer *buffer = parquet_cell(w, column);
    buffer->boolean[buffer->count] = value;
}

void parquet_set_int64(struct parquet_writer *w, uint32_t column, int64_t value)
{
    const enum parquet_type type = w->options.columns[column].type;
    ensure(type == PARQUET_INT64 || type == PARQUET_TIMESTAMP || type == PARQUET_DECIMAL_18);
    struct parquet_buffer *buffer = parquet_cell(w, column);
    buffer->int64[buffer->count] = value;
}

void parquet_set_int128(struct parquet_writer *w, uint32_t column, __int128 mantissa)
{
    ensure(w->options.columns[column].type == PARQUET_DECIMAL_38);
    struct parquet_buffer *buffer = parquet_cell(w, column);
    buffer->int128[buffer->count] = mantissa;
}

void parquet_set_code(struct parquet_writer *w, uint32_t column, uint32_t code)
{
    ensure(w->options.columns[column].type == PARQUET_CODE);
    ensure(code < w->options.columns[column].code_count);
    struct parquet_buffer *buffer = parquet_cell(w, column);
    buffer->code[buffer->count] = code;
}

void parquet_set_text(struct parquet_writer *w, uint32_t column, const void *bytes, uint32_t size)
{
    ensure(parquet_buffer_has_text(&w->buffers[column]));
    ensure(size <= PARQUET_TEXT_BYTES_MAX);
    struct parquet_buffer *buffer = parquet_cell(w, column);
    ensure(size <= PARQUET_BUFFER_TEXT_BYTES - buffer->text_size);
    if (size > 0) memcpy(buffer->text + buffer->text_size, bytes, size);
    buffer->text_next = buffer->text_size + size;
    buffer->text_end[buffer->count] = buffer->text_next;
}

int parquet_row_end(struct parquet_writer *w)
{
    if (w->error != 0) return w->error;
    bool full = false;
    for (uint32_t c = 0; c < w->options.column_count; c++) {
        struct parquet_buffer *buffer = &w->buffers[c];
        ensure(buffer->present[w->page_rows] || w->options.columns[c].nullable);
        buffer->count += buffer->present[w->page_rows];
        buffer->text_size = buffer->text_next;
        full |= buffer->text_size >= PARQUET_PAGE_TEXT_BYTES;
    }
    w->rows++;
    w->page_rows++;
    if (full || w->page_rows == PARQUET_PAGE_ROWS) parquet_page_end(w);
    return w->error;
}

void parquet_row_drop(struct parquet_writer *w)
{
    if (w->error != 0) return;
    for (uint32_t c = 0; c < w->options.column_count; c++) {
        w->buffers[c].present[w->page_rows] = 0;
        w->buffers[c].text_next = w->buffers[c].text_size;
    }
}

void parquet_unsorted(struct parquet_writer *w)
{
    w->group_sorted = w->file_sorted = false;
}

// ---- many rows ----

uint32_t parquet_room(const struct parquet_writer *w)
{
    ensure(w->page_rows < PARQUET_PAGE_ROWS);
    return PARQUET_PAGE_ROWS - w->page_rows;
}

void *parquet_fill(struct parquet_writer *w, uint32_t column)
{
    ensure(column < w->options.column_count);
    struct parquet_buffer *buffer = &w->buffers[column];
    switch (buffer->column->type) {
    case PARQUET_BOOLEAN: return buffer->boolean + buffer->count;
    case PARQUET_CODE: return buffer->code + buffer->count;
    case PARQUET_DECIMAL_38: return buffer->int128 + buffer->count;
    case PARQUET_INT64:
    case PARQUET_TIMESTAMP:
    case PARQUET_DECIMAL_18: return buffer->int64 + buffer->count;
    case PARQUET_STRING:
    case PARQUET_BINARY: return buffer->text_end + buffer->count;
    case PARQUET_TYPE_COUNT: break;
    }
    ensure(false);
    return NULL;
}

bool parquet_fill_text(struct parquet_writer *w, uint32_t column, uint32_t value,
                       const void *bytes, uint32_t size)
{
    struct parquet_buffer *buffer = &w->buffers[column];
    ensure(parquet_buffer_has_text(buffer) && size <= PARQUET_TEXT_BYTES_MAX);
    if (buffer->text_next >= PARQUET_PAGE_TEXT_BYTES) return false;
    if (size > 0) memcpy(buffer->text + buffer->text_next, bytes, size);
    buffer->text_next += size;
    buffer->text_end[buffer->count + value] = buffer->text_next;
    return true;
}

uint8_t *parquet_fill_present(struct parquet_writer *w, uint32_t column)
{
    ensure(column < w->options.column_count && w->options.columns[column].nullable);
    return w->buffers[column].present + w->page_rows;
}

void parquet_fill_forget(struct parquet_writer *w, uint32_t rows)
{
    ensure(rows <= parquet_room(w));
    for (uint32_t c = 0; c < w->options.column_count; c++) {
        w->buffers[c].text_next = w->buffers[c].text_size;
        if (w->options.columns[c].nullable) memset(w->buffers[c].present + w->page_rows, 0, rows);
    }
}

static void parquet_fill_take(struct parquet_writer *w, uint32_t column, uint32_t rows,
                              uint32_t values)
{
    struct parquet_buffer *buffer = &w->buffers[column];
    ensure(values <= rows && (values == rows || buffer->column->nullable));
    if (values == rows && buffer->column->nullable) // else nobody asks
        memset(buffer->present + w->page_rows, 1, rows);
    buffer->count += values;
    buffer->text_size = buffer->text_next;
}

int parquet_fill_end(struct parquet_writer *w, uint32_t rows, const uint32_t *values)
{
    if (w->error != 0) return w->error;
    bool full = false;
    ensure(rows >= 1 && rows <= parquet_room(w));
    for (uint32_t c = 0; c < w->options.column_count; c++) {
        parquet_fill_take(w, c, rows, values[c]);
        full |= w->buffers[c].text_size >= PARQUET_PAGE_TEXT_BYTES;
    }
    w->rows += rows;
    w->page_rows += rows;
    if (full || w->page_rows == PARQUET_PAGE_ROWS) parquet_page_end(w);
    return w->error;
}
