// SPDX-License-Identifier: Apache-2.0
//
// parquet_buffer: the values of one column of the page being built, and the dictionary of the row
// group being built. Part of parquet_writer, for its use alone.
//
// Ownership: parquet_buffer_open() allocates, parquet_buffer_close() frees, whatever open returned.
// Threading: none. Bounds: those of parquet_writer.h.
#ifndef RINGTAPE_FORMAT_PARQUET_BUFFER_H
#define RINGTAPE_FORMAT_PARQUET_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/parquet_dictionary.h"
#include "format/parquet_metadata.h"
#include "format/parquet_writer.h"

enum {
    PARQUET_BUFFER_PAGES_MAX = 64, // of one column in one row group
    PARQUET_BUFFER_TEXT_BYTES = PARQUET_PAGE_TEXT_BYTES + PARQUET_TEXT_BYTES_MAX,
    PARQUET_BUFFER_CHOICE_GROUPS = 4, // row groups that a choice of mode is good for
};

struct parquet_buffer {
    const struct parquet_column *column;
    uint32_t count;      // values; nulls have none
    uint32_t text_size;  // of finished rows
    uint32_t text_next;  // with the value of the row being built
    uint8_t *present;    // [PARQUET_PAGE_ROWS]
    union {              // [PARQUET_PAGE_ROWS]
        void *values;
        int64_t *int64;
        __int128 *int128;
        uint8_t *boolean;
        uint32_t *code;
        uint32_t *text_end;
    };
    uint8_t *text;    // [PARQUET_BUFFER_TEXT_BYTES]
    uint32_t *places; // [PARQUET_PAGE_ROWS] of the values in the dictionary
    // Codes: their dictionary.
    uint32_t *code_index; // [code_count] place in the row group's dictionary + 1
    uint32_t *code_page;  // [code_count] number of the last page that has the code
    uint32_t *code_order; // [code_count] codes in order of appearance
    uint32_t code_known;  // of them
    size_t code_bytes;    // of their texts, PLAIN
    // Other types that may have one.
    struct parquet_dictionary dictionary;
    // How this row group has the column.
    bool chosen;        // the mode stays
    bool begun_without; // a page without a dictionary was written
    uint32_t groups_left; // that the choice is good for
    enum parquet_mode mode;
    enum parquet_mode mode_without; // the best one without a dictionary
    struct parquet_page *pages;     // [PARQUET_BUFFER_PAGES_MAX]
};

// 0 or -ENOMEM. `buffer` is zeroed memory.
int parquet_buffer_open(struct parquet_buffer *buffer, const struct parquet_column *column);
void parquet_buffer_close(struct parquet_buffer *buffer);

bool parquet_buffer_has_text(const struct parquet_buffer *buffer);
bool parquet_buffer_is_int64(const struct parquet_buffer *buffer); // INT64 in the file
bool parquet_buffer_is_number(const struct parquet_buffer *buffer); // bounds have min and max
bool parquet_buffer_may_have_dictionary(const struct parquet_buffer *buffer); // codes apart
// Bytes that any page or dictionary of the column has at most before compression; of the values
// that are in the buffer.
size_t parquet_buffer_raw_max(const struct parquet_buffer *buffer);
size_t parquet_buffer_raw_bound(const struct parquet_buffer *buffer, uint32_t rows);

// Once a page, before parquet_buffer_encode(): least and greatest value. Codes enter the
// dictionary. `page_number`: another one for each page of the file, from 1.
void parquet_buffer_bounds(struct parquet_buffer *buffer, uint32_t page_number,
                           struct parquet_bounds *bounds);
// Places of values [first, end) in the dictionary, which takes the new ones; false: it is full.
bool parquet_buffer_places(struct parquet_buffer *buffer, uint32_t first, uint32_t end);
// Definition levels and values of `rows` rows; returns the bytes written. For the modes with a
// dictionary parquet_buffer_places() came before, of all values.
size_t parquet_buffer_encode(const struct parquet_buffer *buffer, uint32_t rows,
                             enum parquet_mode mode, uint8_t *out);
// Forgets the values, the dictionary stays.
void parquet_buffer_clear(struct parquet_buffer *buffer, uint32_t rows);
uint32_t parquet_buffer_dictionary_count(const struct parquet_buffer *buffer);
// The dictionary in order of places, PLAIN. Returns the bytes written.
size_t parquet_buffer_dictionary(const struct parquet_buffer *buffer, uint8_t *out);
// Once the mode is chosen.
void parquet_buffer_keep_mode(struct parquet_buffer *buffer);
// A new row group: the dictionary is empty, and from time to time the mode open.
void parquet_buffer_restart(struct parquet_buffer *buffer);

#endif
