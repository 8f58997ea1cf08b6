// SPDX-License-Identifier: Apache-2.0
//
// parquet_choice: which coding of a column makes a row group smallest. Part of parquet_writer.
//
// Once in some row groups, the first page is coded and compressed in every way that the type has.
// What a dictionary will cost is extrapolated: the values that the second half of the page added to
// those of the first half, over again for each doubling of the rows. So one page in 200 is coded
// four or five times, all others once.
//
// Threading: none. Bounds: those of the buffers given.
#ifndef RINGTAPE_FORMAT_PARQUET_CHOICE_H
#define RINGTAPE_FORMAT_PARQUET_CHOICE_H

#include <zstd.h>

#include "format/parquet_buffer.h"

struct parquet_choice {
    ZSTD_CCtx *zstd;
    uint8_t *raw;    // room for any page or dictionary of the column
    uint8_t *packed; // the same, compressed
    size_t packed_capacity;
    uint64_t rows_expected; // of the row group, these included
};

// buffer->mode for the values in the buffer (`rows` with nulls) and, when `chosen` is set by it,
// for what follows. In modes with a dictionary, the places are looked up afterwards.
// `constant`: all values are equal. False: zstd ran out of memory.
bool parquet_choose(struct parquet_buffer *buffer, uint32_t rows, bool constant,
                    const struct parquet_choice *choice);

#endif
