// SPDX-License-Identifier: Apache-2.0
//
// Three stages, each with fixed memory:
//
//   cells → column buffers   parquet_set_*: values of one page, dense (nulls take no place)
//   column buffers → arena   parquet_page_end: a compressed page of each column, with its header;
//                            at PARQUET_PAGE_ROWS rows, or when a text buffer is full
//   arena → file             parquet_group_end: pages column by column, as Parquet wants them; at
//                            PARQUET_GROUP_ROWS rows, when the next pages might not fit, or when a
//                            dictionary is full
//
// Page indexes of finished groups wait in memory, because readers fetch them in one piece from
// before the footer.
#include "format/parquet_writer_inside.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOOTER_BUFFER_BYTES = 1 << 16,
    LEVEL_DEFAULT = 1,
    TAIL_BYTES = 8, // length of the footer, magic
};

static const uint8_t magic[4] = {'P', 'A', 'R', '1'};

// ---- open and close ----

static int parquet_open_memory(struct parquet_writer *w)
{
    const uint32_t columns = w->options.column_count;
    w->arena = malloc(PARQUET_ARENA_BYTES);
    w->index = malloc(PARQUET_INDEX_BYTES);
    w->footer = malloc(FOOTER_BUFFER_BYTES);
    w->chunks = calloc((size_t)PARQUET_GROUPS_MAX * columns, sizeof *w->chunks);
    w->buffers = calloc(columns, sizeof *w->buffers);
    w->zstd = ZSTD_createCCtx();
    if (!w->arena || !w->index || !w->footer || !w->chunks || !w->buffers || !w->zstd)
        return -ENOMEM;
    for (uint32_t i = 0; i < columns; i++) {
        const int error = parquet_buffer_open(&w->buffers[i], &w->options.columns[i]);
        if (error != 0) return error;
        const size_t raw_max = parquet_buffer_raw_max(&w->buffers[i]);
        if (w->raw_capacity < raw_max) w->raw_capacity = raw_max;
    }
    w->raw = malloc(w->raw_capacity);
    w->packed_capacity = ZSTD_compressBound(w->raw_capacity);
    w->packed = malloc(PARQUET_PAGE_HEADER_BYTES_MAX + w->packed_capacity);
    return w->raw != NULL && w->packed != NULL ? 0 : -ENOMEM;
}

static void parquet_write(struct parquet_writer *w, const void *bytes, size_t size)
{
    if (w->error != 0) return;
    w->error = w->options.write(w->options.context, bytes, size);
    ensure(w->error <= 0);
    if (w->error == 0) w->offset += size;
}

static void parquet_write_drain(void *context, const void *bytes, size_t size)
{
    parquet_write(context, bytes, size);
}

int parquet_open(struct parquet_writer **writer, const struct parquet_options *options)
{
    ensure(options->column_count >= 1 && options->column_count <= PARQUET_COLUMNS_MAX);
    ensure(options->write != NULL && options->created_by != NULL);
    ensure(options->sorting_count <= PARQUET_SORTING_MAX);
    struct parquet_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return -ENOMEM;
    w->options = *options;
    w->group_sorted = w->file_sorted = true;
    parquet_crc_init(&w->crc);
    int error = parquet_open_memory(w);
    if (error == 0) {
        const int level = options->compression_level;
        const size_t set = ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel,
                                                  level != 0 ? level : LEVEL_DEFAULT);
        ensure(!ZSTD_isError(set));
        parquet_write(w, magic, sizeof magic);
        error = w->error;
    }
    if (error != 0) {
        parquet_close(w);
        return error;
    }
    *writer = w;
    return 0;
}

void parquet_close(struct parquet_writer *w)
{
    if (w == NULL) return;
    for (uint32_t i = 0; w->buffers != NULL && i < w->options.column_count; i++)
        parquet_buffer_close(&w->buffers[i]);
    free(w->buffers);
    free(w->chunks);
    free(w->footer);
    free(w->index);
    free(w->arena);
    free(w->raw);
    free(w->packed);
    ZSTD_freeCCtx(w->zstd);
    free(w);
}

// ---- arena → file ----

static void parquet_group_dictionary(struct parquet_writer *w, uint32_t c,
                                     struct parquet_chunk *chunk)
{
    const struct parquet_buffer *buffer = &w->buffers[c];
    const uint32_t values = parquet_buffer_dictionary_count(buffer);
    const size_t raw_size = parquet_buffer_dictionary(buffer, w->raw);
    uint8_t *payload = w->packed + PARQUET_PAGE_HEADER_BYTES_MAX;
    ensure(raw_size <= w->raw_capacity);
    const size_t size =
        ZSTD_compress2(w->zstd, payload, w->packed_capacity, w->raw, raw_size);
    if (ZSTD_isError(size)) {
        w->error = -ENOMEM; // with enough room, memory is all that can be missing
        return;
    }
    uint8_t header[PARQUET_PAGE_HEADER_BYTES_MAX];
    const size_t header_size = parquet_metadata_dictionary_page(
        header, values, raw_size, size, parquet_crc_of(&w->crc, payload, size));
    memcpy(payload - header_size, header, header_size);
    chunk->bytes_uncompressed += header_size + raw_size;
    chunk->bytes += header_size + size;
    chunk->dictionary_offset = w->offset;
    parquet_write(w, payload - header_size, header_size + size);
}

static void parquet_group_column(struct parquet_writer *w, uint32_t c, struct parquet_chunk *chunk)
{
    const enum parquet_type type = w->options.columns[c].type;
    const struct parquet_page *pages = w->buffers[c].pages;
    *chunk = (struct parquet_chunk){.bytes = 0};
    parquet_bounds_clear(&chunk->bounds);
    for (uint32_t i = 0; i < w->page_count; i++) chunk->pages[pages[i].mode]++;
    if (chunk->pages[PARQUET_MODE_PLACES] + chunk->pages[PARQUET_MODE_PLACES_BYTES] > 0)
        parquet_group_dictionary(w, c, chunk);
    chunk->data_offset = w->offset;
    for (uint32_t i = 0; i < w->page_count && w->error == 0; i++) {
        parquet_write(w, w->arena + pages[i].memory_offset, pages[i].bytes);
        chunk->bytes += pages[i].bytes;
        chunk->bytes_uncompressed += pages[i].bytes_uncompressed;
        chunk->nulls += pages[i].nulls;
        parquet_bounds_merge(&chunk->bounds, &pages[i].bounds, type);
    }
    parquet_buffer_restart(&w->buffers[c]);
}

// Two bounds and some numbers a page.
size_t parquet_group_index_bound(uint32_t pages)
{
    return 64 + (size_t)pages * (2 * (PARQUET_BOUNDS_TEXT_MAX + 2) + 40);
}

static void parquet_group_index(struct parquet_writer *w, uint32_t c, struct parquet_chunk *chunk)
{
    // Offsets count from the first index byte for now; parquet_finish_index() adds the base. The
    // 1 tells "at offset 0" from "none".
    const struct parquet_page *pages = w->buffers[c].pages;
    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, w->index + w->index_size, PARQUET_INDEX_BYTES - w->index_size,
                        NULL, NULL);
    if (parquet_metadata_column_index(&thrift, pages, w->page_count, w->options.columns[c].type)) {
        chunk->column_index_offset = w->index_size + 1;
        chunk->column_index_bytes = (uint32_t)parquet_thrift_finish(&thrift);
        w->index_size += chunk->column_index_bytes;
    }
    parquet_thrift_init(&thrift, w->index + w->index_size, PARQUET_INDEX_BYTES - w->index_size,
                        NULL, NULL);
    parquet_metadata_offset_index(&thrift, pages, w->page_count, chunk->data_offset);
    chunk->offset_index_offset = w->index_size + 1;
    chunk->offset_index_bytes = (uint32_t)parquet_thrift_finish(&thrift);
    w->index_size += chunk->offset_index_bytes;
}

void parquet_group_end(struct parquet_writer *w)
{
    if (w->page_count == 0 || w->error != 0) return;
    ensure(w->group_count < PARQUET_GROUPS_MAX);
    const uint32_t columns = w->options.column_count;
    struct parquet_chunk *chunks = w->chunks + (size_t)w->group_count * columns;
    w->groups[w->group_count] = (struct parquet_group){
        .rows = w->group_rows, .offset = w->offset, .sorted = w->group_sorted};
    for (uint32_t c = 0; c < columns && w->error == 0; c++) {
        parquet_group_column(w, c, &chunks[c]);
        parquet_group_index(w, c, &chunks[c]);
    }
    w->group_count++;
    w->group_rows = 0;
    w->page_count = 0;
    w->arena_size = 0;
    w->group_sorted = true;
}

// ---- what it holds ----

bool parquet_is_full(const struct parquet_writer *w)
{
    // Room is kept for three groups: one of the pages in memory and two for what still comes, if
    // the arena splits it.
    const size_t index_bound =
        3 * w->options.column_count * parquet_group_index_bound(PARQUET_BUFFER_PAGES_MAX);
    return w->group_count + 3 > PARQUET_GROUPS_MAX ||
           w->index_size + index_bound > PARQUET_INDEX_BYTES;
}

uint64_t parquet_row_count(const struct parquet_writer *w)
{
    return w->rows;
}

uint64_t parquet_byte_count(const struct parquet_writer *w)
{
    return w->offset;
}

uint64_t parquet_file_bytes(const struct parquet_writer *w)
{
    return w->offset + w->arena_size + w->index_size;
}

// ---- the end of the file ----

static void parquet_finish_index(struct parquet_writer *w)
{
    const uint64_t base = w->offset - 1; // offsets were counted from 1
    const size_t count = (size_t)w->group_count * w->options.column_count;
    for (size_t i = 0; i < count; i++) {
        if (w->chunks[i].column_index_offset > 0) w->chunks[i].column_index_offset += base;
        w->chunks[i].offset_index_offset += base;
    }
    parquet_write(w, w->index, w->index_size);
}

int parquet_finish(struct parquet_writer *w)
{
    parquet_page_end(w);
    parquet_group_end(w);
    if (w->error != 0) return w->error;
    parquet_finish_index(w);

    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, w->footer, FOOTER_BUFFER_BYTES, parquet_write_drain, w);
    parquet_metadata_footer(&thrift, &w->options, w->groups, w->group_count, w->chunks);
    const uint32_t size = (uint32_t)parquet_thrift_finish(&thrift);
    uint8_t tail[TAIL_BYTES];
    memcpy(tail, &size, 4);
    memcpy(tail + 4, magic, sizeof magic);
    parquet_write(w, tail, sizeof tail);
    return w->error;
}

void parquet_file_statistics(const struct parquet_writer *w, uint32_t column,
                             struct parquet_bounds *bounds, uint64_t *null_count)
{
    ensure(column < w->options.column_count && w->page_rows == 0 && w->page_count == 0);
    parquet_bounds_clear(bounds);
    *null_count = 0;
    for (uint32_t g = 0; g < w->group_count; g++) {
        const struct parquet_chunk *chunk = &w->chunks[g * w->options.column_count + column];
        parquet_bounds_merge(bounds, &chunk->bounds, w->options.columns[column].type);
        *null_count += chunk->nulls;
    }
}

bool parquet_file_sorted(const struct parquet_writer *w)
{
    return w->file_sorted;
}
