// SPDX-License-Identifier: Apache-2.0
//
// parquet_writer: flat rows → a Parquet file, through a callback that takes the bytes in order.
//
// Cells are set one by one (parquet_set_*), parquet_row_end() closes the row. Every
// PARQUET_PAGE_ROWS rows all columns are encoded and compressed as one page each; at
// PARQUET_GROUP_ROWS rows, or when the memory for finished pages is used up, a row group goes out.
// Pages are of version 1, zstd, with CRC-32. Codes are dictionaries; every other column of a row
// group is PLAIN, DELTA_BINARY_PACKED (numbers of 64 bits) or a dictionary, whichever is smallest
// by its first page. Statistics, page index, column orders and (as long as it is true) sorting
// columns are written. docs/parquet.md gives the reasons.
//
// Ownership: everything is allocated in parquet_open(), nothing later; what the options point to is
// the caller's and must outlive the writer. Threading: none. Bounds: below;
// memory is at most PARQUET_ARENA_BYTES, 16 bytes a cell of one page and 2 MB a dictionary.
// Errors: negative errno; an error of the callback or of zstd is final, every later call that
// writes returns it again.
// Source: apache/parquet-format (parquet.thrift, Encodings.md, PageIndex.md).
#ifndef RINGTAPE_FORMAT_PARQUET_WRITER_H
#define RINGTAPE_FORMAT_PARQUET_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PARQUET_COLUMNS_MAX = 72,
    PARQUET_PAGE_ROWS = 20000,
    PARQUET_GROUP_ROWS = 1000000,
    PARQUET_GROUP_ROWS_MIN = 200000,  // a full dictionary does not end a smaller row group
    PARQUET_GROUPS_MAX = 128,         // then the file is full: parquet_is_full()
    PARQUET_PAGE_TEXT_BYTES = 1 << 20, // a page ends early when one text column has more
    PARQUET_TEXT_BYTES_MAX = 1 << 20, // one text value
    PARQUET_ARENA_BYTES = 64 << 20,   // compressed pages of the row group being built
    PARQUET_METADATA_MAX = 32,        // key-value pairs
    PARQUET_SORTING_MAX = 4,
};

enum parquet_type {
    PARQUET_BOOLEAN,
    PARQUET_INT64,
    PARQUET_TIMESTAMP,   // microseconds UTC
    PARQUET_DECIMAL_18,  // DECIMAL(18, scale) on INT64
    PARQUET_DECIMAL_38,  // DECIMAL(38, scale) on 16 bytes
    PARQUET_CODE,        // STRING from a dictionary: cells are numbers, the texts are named once
    PARQUET_STRING,      // UTF-8
    PARQUET_BINARY,      // any bytes
    PARQUET_TYPE_COUNT
};

struct parquet_column {
    const char *name;
    enum parquet_type type;
    bool nullable;
    uint8_t scale;      // decimals
    uint32_t code_count; // PARQUET_CODE: codes are below it
    // PARQUET_CODE: text of a code, UTF-8, NUL-terminated; different for different codes.
    const char *(*code_text)(const void *context, uint32_t code);
    const void *context;
};

struct parquet_pair {
    const char *key;
    const char *value;
};

struct parquet_options {
    const struct parquet_column *columns;
    uint32_t column_count;
    uint32_t sorting[PARQUET_SORTING_MAX]; // columns the caller promises to sort by, ascending
    uint32_t sorting_count;
    const char *created_by; // "ringtape version x.y.z (build hash)": parquet-java parses it
    const struct parquet_pair *metadata;
    uint32_t metadata_count;
    int compression_level;  // of zstd; 0: 1
    uint64_t rows_expected; // of the file, for choosing encodings; 0: unknown
    // Takes `size` bytes at the end of the file; 0 or negative errno.
    int (*write)(void *context, const void *bytes, size_t size);
    void *context;
};

struct parquet_writer;
struct parquet_bounds; // parquet_bounds.h

// 0, -ENOMEM, or what `write` says to the first four bytes.
int parquet_open(struct parquet_writer **writer, const struct parquet_options *options);

// One cell of the row being built; a nullable column not set is null. All columns that are not
// nullable must be set before parquet_row_end().
void parquet_set_bool(struct parquet_writer *writer, uint32_t column, bool value);
// INT64, TIMESTAMP (microseconds), DECIMAL_18 (mantissa at the column's scale).
void parquet_set_int64(struct parquet_writer *writer, uint32_t column, int64_t value);
void parquet_set_int128(struct parquet_writer *writer, uint32_t column, __int128 mantissa);
void parquet_set_code(struct parquet_writer *writer, uint32_t column, uint32_t code);
// Copied. At most PARQUET_TEXT_BYTES_MAX.
void parquet_set_text(struct parquet_writer *writer, uint32_t column, const void *bytes,
                      uint32_t size);
int parquet_row_end(struct parquet_writer *writer);
// The row being built is forgotten.
void parquet_row_drop(struct parquet_writer *writer);

// The same for many rows at once, column by column: values go to parquet_fill() in the memory type
// of the column (int64_t, __int128, uint8_t for BOOLEAN, uint32_t for CODE), those of rows that
// have one, one behind the other; parquet_fill_end() then takes them for at most parquet_room()
// rows. Before it nothing counts: parquet_fill_forget() and the rows were never there.
uint32_t parquet_room(const struct parquet_writer *writer); // of the page: at least 1
void *parquet_fill(struct parquet_writer *writer, uint32_t column);
// Of a column that some rows have and some have not: 0 or 1 for each row.
uint8_t *parquet_fill_present(struct parquet_writer *writer, uint32_t column);
// Value number `value` (from 0) of a text column, in order. False: the page has no room for it.
bool parquet_fill_text(struct parquet_writer *writer, uint32_t column, uint32_t value,
                       const void *bytes, uint32_t size);
void parquet_fill_forget(struct parquet_writer *writer, uint32_t rows);
// values[column_count]: how many were filled; 0: all rows are null there.
int parquet_fill_end(struct parquet_writer *writer, uint32_t rows, const uint32_t *values);
// The row being built does not sort after the one before it: its row group is not declared sorted.
// (The caller sees order, this module does not look.)
void parquet_unsorted(struct parquet_writer *writer);

// The file is nearly full: PARQUET_PAGE_ROWS further rows fit, so that the rows of one message stay
// together; then finish and go on in another file.
bool parquet_is_full(const struct parquet_writer *writer);
uint64_t parquet_row_count(const struct parquet_writer *writer);
uint64_t parquet_byte_count(const struct parquet_writer *writer); // handed to `write` so far
// Bytes that the file would have if it ended with the last whole page; a little less in truth.
uint64_t parquet_file_bytes(const struct parquet_writer *writer);

// Writes what is left, page index and footer. The file is whole only if this returned 0.
int parquet_finish(struct parquet_writer *writer);
// After parquet_finish(): least and greatest value of a column over the whole file, and its nulls
// (bounds.any is false if there is nothing else).
void parquet_file_statistics(const struct parquet_writer *writer, uint32_t column,
                             struct parquet_bounds *bounds, uint64_t *null_count);
// Every row sorts after the one before it: parquet_unsorted() was never called.
bool parquet_file_sorted(const struct parquet_writer *writer);
void parquet_close(struct parquet_writer *writer);

#endif
