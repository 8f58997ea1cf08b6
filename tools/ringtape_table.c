// SPDX-License-Identifier: GPL-3.0-or-later
//
// Cells are kept until the widths are known. Width is counted in bytes: names and numbers are ASCII
// but for rare symbols, which then stand a little to the left.
#include "tools/ringtape_table.h"

#include "format/ensure.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *ringtape_table_heading(const struct ringtape_table *table, uint32_t column)
{
    const char *heading = table->headings[column];
    return *heading == '>' ? heading + 1 : heading;
}

void ringtape_table_start(struct ringtape_table *table, const char *const *headings,
                          uint32_t column_count)
{
    ensure(column_count >= 1 && column_count <= RINGTAPE_TABLE_COLUMNS_MAX);
    *table = (struct ringtape_table){.headings = headings, .column_count = column_count};
    for (uint32_t i = 0; i < column_count; i++)
        table->width[i] = (uint32_t)strlen(ringtape_table_heading(table, i));
}

void ringtape_table_cell(struct ringtape_table *table, const char *format, ...)
{
    if (table->capacity - table->size < RINGTAPE_TABLE_CELL_BYTES_MAX) {
        table->capacity = table->capacity * 2 + 64 * RINGTAPE_TABLE_CELL_BYTES_MAX;
        table->text = realloc(table->text, table->capacity);
        ensure(table->text != NULL); // a table is small beside what was read for it
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(table->text + table->size, RINGTAPE_TABLE_CELL_BYTES_MAX, format, arguments);
    va_end(arguments);
    const uint32_t size = (uint32_t)strlen(table->text + table->size);
    uint32_t *width = &table->width[table->cells % table->column_count];
    if (*width < size) *width = size;
    table->size += size + 1;
    table->cells++;
}

static void ringtape_table_row(const struct ringtape_table *table, const char *const *cells)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const int width = (int)table->width[i];
        const bool last = i + 1 == table->column_count;
        if (*table->headings[i] == '>')
            (void)printf("%*s", width, cells[i]);
        else
            (void)printf("%-*s", last ? 0 : width, cells[i]);
        (void)fputs(last ? "\n" : "  ", stdout);
    }
}

void ringtape_table_print(const struct ringtape_table *table)
{
    ensure(table->cells % table->column_count == 0);
    if (table->cells == 0) return;
    const char *cells[RINGTAPE_TABLE_COLUMNS_MAX];
    const bool terminal = isatty(STDOUT_FILENO) == 1;
    for (uint32_t i = 0; i < table->column_count; i++) cells[i] = ringtape_table_heading(table, i);
    if (terminal) (void)fputs("\033[1m", stdout);
    ringtape_table_row(table, cells);
    if (terminal) (void)fputs("\033[0m", stdout);
    const char *next = table->text;
    for (uint64_t row = 0; row < table->cells / table->column_count; row++) {
        for (uint32_t i = 0; i < table->column_count; i++) {
            cells[i] = next;
            next += strlen(next) + 1;
        }
        ringtape_table_row(table, cells);
    }
}

void ringtape_table_free(struct ringtape_table *table)
{
    free(table->text);
    table->text = NULL;
}

const char *ringtape_table_number(char out[RINGTAPE_TABLE_NUMBER_BYTES], uint64_t value)
{
    char digits[RINGTAPE_TABLE_NUMBER_BYTES];
    const int count = snprintf(digits, sizeof digits, "%" PRIu64, value);
    char *next = out;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) *next++ = ',';
        *next++ = digits[i];
    }
    *next = 0;
    return out;
}

const char *ringtape_table_count(char out[2 * RINGTAPE_TABLE_NUMBER_BYTES], uint64_t count,
                                 const char *thing)
{
    char number[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)snprintf(out, 2 * RINGTAPE_TABLE_NUMBER_BYTES, "%s %s%s",
                   ringtape_table_number(number, count), thing, count == 1 ? "" : "s");
    return out;
}

const char *ringtape_table_bytes(char out[RINGTAPE_TABLE_NUMBER_BYTES], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint32_t unit = 0;
    uint64_t tenths = bytes <= UINT64_MAX / 10 ? bytes * 10 : UINT64_MAX;
    for (; tenths >= 10240; unit++) tenths /= 1024;
    if (unit == 0)
        (void)snprintf(out, RINGTAPE_TABLE_NUMBER_BYTES, "%" PRIu64 " B", bytes);
    else
        (void)snprintf(out, RINGTAPE_TABLE_NUMBER_BYTES, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
                       tenths % 10, units[unit]);
    return out;
}

const char *ringtape_table_ratio(char out[RINGTAPE_TABLE_NUMBER_BYTES], uint64_t bytes,
                                 uint64_t rows)
{
    if (rows == 0) return "-";
    const uint64_t hundredths = (uint64_t)((unsigned __int128)bytes * 100 / rows);
    (void)snprintf(out, RINGTAPE_TABLE_NUMBER_BYTES, "%" PRIu64 ".%02" PRIu64, hundredths / 100,
                   hundredths % 100);
    return out;
}
