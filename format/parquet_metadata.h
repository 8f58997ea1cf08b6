// SPDX-License-Identifier: Apache-2.0
//
// parquet_metadata: the structures of a Parquet file that describe its pages: page headers, page
// index, footer. Written in Thrift's compact protocol from plain records. Pure functions.
// Source: apache/parquet-format, parquet.thrift; names of fields are theirs.
#ifndef RINGTAPE_FORMAT_PARQUET_METADATA_H
#define RINGTAPE_FORMAT_PARQUET_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/parquet_bounds.h"
#include "format/parquet_thrift.h"
#include "format/parquet_writer.h"

enum {
    PARQUET_PAGE_HEADER_BYTES_MAX = 64,
};

// How the values of a data page are coded.
enum parquet_mode {
    PARQUET_MODE_PLAIN,
    PARQUET_MODE_DELTA,       // DELTA_BINARY_PACKED, as few bits as possible
    PARQUET_MODE_DELTA_BYTES, // the same in whole bytes: zstd finds what repeats
    PARQUET_MODE_PLACES,      // places in a dictionary, as few bits as possible
    PARQUET_MODE_PLACES_BYTES, // in one or two whole bytes
    PARQUET_MODE_COUNT
};

// Does a page of this mode need a dictionary?
static inline bool parquet_mode_has_dictionary(enum parquet_mode mode)
{
    return mode >= PARQUET_MODE_PLACES;
}

// One page as it lies in the file.
struct parquet_page {
    size_t memory_offset;        // of its header, while in memory
    uint32_t bytes;              // with header, compressed
    uint32_t bytes_uncompressed; // with header
    uint32_t rows;
    uint32_t nulls;
    enum parquet_mode mode;
    struct parquet_bounds bounds;
};

// One column of one row group.
struct parquet_chunk {
    uint64_t dictionary_offset; // 0: none
    uint64_t data_offset;
    uint64_t bytes;
    uint64_t bytes_uncompressed;
    uint64_t nulls;
    uint64_t column_index_offset; // 0: none
    uint64_t offset_index_offset;
    uint32_t column_index_bytes;
    uint32_t offset_index_bytes;
    uint32_t pages[PARQUET_MODE_COUNT]; // data pages
    struct parquet_bounds bounds;
};

struct parquet_group {
    uint64_t rows;
    uint64_t offset; // of the first page
    bool sorted;
};

// Header of a data page: `rows` values, nulls included. Returns its size.
size_t parquet_metadata_data_page(uint8_t out[PARQUET_PAGE_HEADER_BYTES_MAX],
                                  enum parquet_mode mode, uint32_t rows, size_t uncompressed,
                                  size_t compressed, uint32_t crc);
size_t parquet_metadata_dictionary_page(uint8_t out[PARQUET_PAGE_HEADER_BYTES_MAX],
                                        uint32_t values, size_t uncompressed, size_t compressed,
                                        uint32_t crc);

// ColumnIndex of the pages: false (nothing written) if a page has no exact bounds.
bool parquet_metadata_column_index(struct parquet_thrift *thrift, const struct parquet_page *pages,
                                   uint32_t count, enum parquet_type type);
// OffsetIndex of pages that lie in the file one after the other from `offset`.
void parquet_metadata_offset_index(struct parquet_thrift *thrift, const struct parquet_page *pages,
                                   uint32_t count, uint64_t offset);

// FileMetaData. chunks[group * column_count + column].
void parquet_metadata_footer(struct parquet_thrift *thrift, const struct parquet_options *options,
                             const struct parquet_group *groups, uint32_t group_count,
                             const struct parquet_chunk *chunks);

#endif
