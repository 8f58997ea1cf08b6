// SPDX-License-Identifier: Apache-2.0
//
// parquet_writer_inside: the writer's state, shared by the files it is made of:
//
//     parquet_cells.c    cells → column buffers: values of one page, dense (nulls take no place)
//     parquet_pages.c    column buffers → arena: a compressed page of each column, with its header
//     parquet_writer.c   arena → file: row groups, page indexes, footer
#ifndef RINGTAPE_FORMAT_PARQUET_WRITER_INSIDE_H
#define RINGTAPE_FORMAT_PARQUET_WRITER_INSIDE_H

#include <zstd.h>

#include "format/parquet_buffer.h"
#include "format/parquet_crc.h"
#include "format/parquet_metadata.h"
#include "format/parquet_writer.h"

enum { PARQUET_INDEX_BYTES = 16 << 20 };

struct parquet_writer {
    struct parquet_options options;
    struct parquet_buffer *buffers;
    int error;
    uint32_t page_rows;
    uint32_t page_count;  // in this group
    uint32_t page_number; // in the file, from 1
    uint64_t group_rows;
    uint64_t rows;
    uint64_t offset; // in the file
    bool group_sorted;
    bool file_sorted;
    uint32_t group_count;
    struct parquet_group groups[PARQUET_GROUPS_MAX];
    struct parquet_chunk *chunks; // [PARQUET_GROUPS_MAX * column_count]
    uint8_t *arena;
    size_t arena_size;
    uint8_t *raw; // one page or dictionary before compression
    size_t raw_capacity;
    uint8_t *packed; // one dictionary compressed, behind room for a header
    size_t packed_capacity;
    uint8_t *index; // page indexes of finished groups
    size_t index_size;
    uint8_t *footer;
    ZSTD_CCtx *zstd;
    struct parquet_crc crc;
};

// The rows of the page being built → arena, an own page for each column. May end the row group
// first or afterwards.
void parquet_page_end(struct parquet_writer *writer);
// The pages in the arena → file.
void parquet_group_end(struct parquet_writer *writer);
// Most that the page indexes of one column may take.
size_t parquet_group_index_bound(uint32_t pages);

#endif
