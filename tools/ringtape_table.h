// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_table: columns as wide as their widest cell, numbers to the right; headings are bold on
// a terminal.
//
// Ownership: cells are copied; memory grows with them until ringtape_table_free().
#ifndef RINGTAPE_TOOLS_RINGTAPE_TABLE_H
#define RINGTAPE_TOOLS_RINGTAPE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RINGTAPE_TABLE_COLUMNS_MAX = 20, RINGTAPE_TABLE_CELL_BYTES_MAX = 300 };

struct ringtape_table {
    const char *const *headings; // a heading that begins with '>' stands to the right
    uint32_t column_count;
    uint32_t width[RINGTAPE_TABLE_COLUMNS_MAX];
    char *text; // cells one after the other, each with a NUL
    size_t size;
    size_t capacity;
    uint64_t cells;
};

void ringtape_table_start(struct ringtape_table *table, const char *const *headings,
                          uint32_t column_count);
// The next cell, row by row.
__attribute__((format(printf, 2, 3))) void ringtape_table_cell(struct ringtape_table *table,
                                                               const char *format, ...);
// To standard output; nothing without cells.
void ringtape_table_print(const struct ringtape_table *table);
void ringtape_table_free(struct ringtape_table *table);

enum { RINGTAPE_TABLE_NUMBER_BYTES = 32 };
// "12,345,678"
const char *ringtape_table_number(char out[RINGTAPE_TABLE_NUMBER_BYTES], uint64_t value);
// "11.8 MiB"
const char *ringtape_table_bytes(char out[RINGTAPE_TABLE_NUMBER_BYTES], uint64_t bytes);
// "1 tape", "2 tapes"; counts with commas
const char *ringtape_table_count(char out[2 * RINGTAPE_TABLE_NUMBER_BYTES], uint64_t count,
                                 const char *thing);
// bytes / rows with two decimals, "-" without rows
const char *ringtape_table_ratio(char out[RINGTAPE_TABLE_NUMBER_BYTES], uint64_t bytes,
                                 uint64_t rows);

#endif
