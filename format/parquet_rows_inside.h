// SPDX-License-Identifier: Apache-2.0
//
// parquet_rows_inside: what parquet_rows.c (row by row) and parquet_rows_run.c (column by column)
// share: the places of the columns in the file.
#ifndef RINGTAPE_FORMAT_PARQUET_ROWS_INSIDE_H
#define RINGTAPE_FORMAT_PARQUET_ROWS_INSIDE_H

#include "format/parquet_rows.h"

enum { COLUMN_SYMBOL, COLUMN_TS, COLUMN_TS_NS, COLUMN_FIRST };
enum { LEVEL_INDEX, LEVEL_SIDE, LEVEL_PRICE, LEVEL_QUANTITY, LEVEL_COLUMNS }; // from rows->level
enum { STORE_ID, STORE_TAPE, STORE_TAPE_ROW, STORE_COLUMNS };                 // from rows->store

// `ts` of a time: cut towards the past.
static inline int64_t parquet_rows_micros(int64_t time_ns)
{
    return time_ns / 1000 - (time_ns % 1000 < 0);
}

#endif
