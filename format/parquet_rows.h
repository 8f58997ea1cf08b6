// SPDX-License-Identifier: Apache-2.0
//
// parquet_rows: a channel's rows as Parquet rows: which columns of which types, and one row into
// the writer. docs/parquet.md is the page for users.
//
//     symbol, ts (microseconds), ts_ns       `time` of the row
//     the channel's columns                  times as <name>_ns
//     level_index, side, price, quantity     depth and book: one Parquet row a level
//     store, tape, tape_row                  channels without identity: what names the row
//
// A message without levels is one row whose level columns are null. The exchange is not a column:
// it is the first folder of the path (exchange=binance), and readers refuse a file that repeats it.
//
// Ownership: texts in the options must outlive both this and the writer. Threading: one owner.
#ifndef RINGTAPE_FORMAT_PARQUET_ROWS_H
#define RINGTAPE_FORMAT_PARQUET_ROWS_H

#include <stdint.h>

#include "format/event.h"
#include "format/parquet_writer.h"
#include "format/rows.h"

// Stands in every file's metadata; a change of columns or of their meaning raises it.
#define PARQUET_ROWS_LAYOUT "1"

enum { PARQUET_ROWS_DETAIL_BYTES = 1 << 16 };

struct parquet_rows_options {
    const struct channel_schema *schema;
    const char *store;          // its identity as hexadecimal digits
    const char *const *symbols; // names as in the file, without exchange; [0] for code 0 and so on
    uint32_t symbol_count;
};

// Why a row cannot be written. Such a row is left out as a whole.
enum parquet_rows_error {
    PARQUET_ROWS_GOOD = 0,
    PARQUET_ROWS_WRITE_FAILED,   // the writer's error, see *error
    PARQUET_ROWS_DECIMAL_RANGE,  // more digits than DECIMAL(18,8), (38,12), (38,16) have
    PARQUET_ROWS_UNKNOWN_CODE,   // a code without a name
    PARQUET_ROWS_NOT_UTF8,
    PARQUET_ROWS_COLUMN_ABSENT,  // a column that is never absent
    PARQUET_ROWS_SYMBOL_ABSENT,
};
const char *parquet_rows_error_text(enum parquet_rows_error error);

struct parquet_rows {
    struct parquet_rows_options options;
    struct parquet_column columns[PARQUET_COLUMNS_MAX];
    uint32_t column_count;
    uint32_t first_own; // where the channel's columns begin
    uint32_t level;     // level_index; side, price, quantity behind it. 0: no levels
    uint32_t store;     // store; tape, tape_row behind it. 0: rows have identity
    char names[EVENT_COLUMNS_MAX][48];
    uint8_t detail[PARQUET_ROWS_DETAIL_BYTES]; // a text for people on its way out
    // Of the run being written: the row of its source behind each Parquet row; those of them that
    // have a column.
    uint32_t run_row[PARQUET_PAGE_ROWS];
    uint32_t run_pick[PARQUET_PAGE_ROWS];
};

// Large: not for the stack. Afterwards columns, column_count and sorting are for parquet_open().
void parquet_rows_init(struct parquet_rows *rows, const struct parquet_rows_options *options);
// Sorted by symbol, then ts_ns.
uint32_t parquet_rows_sorting(const struct parquet_rows *rows,
                              uint32_t sorting[PARQUET_SORTING_MAX]);

struct parquet_rows_place {
    uint32_t symbol; // code, or SYMBOL_NONE
    uint32_t tape;   // 0: unknown
    uint64_t tape_row;
};
// Writes row `index`. On an error *column names the column; nothing of the row was written, but for
// PARQUET_ROWS_WRITE_FAILED (*error: errno), which is final.
enum parquet_rows_error parquet_rows_put(struct parquet_rows *rows, struct parquet_writer *writer,
                                         const struct rows *source, uint32_t index,
                                         const struct parquet_rows_place *place,
                                         const char **column, int *error);

// Many rows at once, column by column: five times as fast.
struct parquet_rows_run {
    uint32_t first, count; // consecutive rows of the source, of one symbol
    uint32_t symbol;       // code, or SYMBOL_NONE
    const uint32_t *tape;  // by row of the source, or NULL: unknown
    const uint64_t *tape_row;
};
// Writes as many of the run's first rows as the page being built has room for and as fit the types,
// and returns how many; 0: the first one is for parquet_rows_put() to judge, or *error (errno) is
// not 0, which is final.
uint32_t parquet_rows_put_run(struct parquet_rows *rows, struct parquet_writer *writer,
                              const struct rows *source, const struct parquet_rows_run *run,
                              int *error);

#endif
