// SPDX-License-Identifier: Apache-2.0
//
// parquet_bounds: least and greatest value of a page or column chunk, and how statistics spell
// them.
//
// Numbers of every width are held as 128 bits; texts are copied, and given up (`exact` false)
// when one is longer than PARQUET_BOUNDS_TEXT_MAX: then no bounds are published at all, because a
// cut text is not a value. Threading: none; plain values.
#ifndef RINGTAPE_FORMAT_PARQUET_BOUNDS_H
#define RINGTAPE_FORMAT_PARQUET_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/parquet_writer.h"

enum { PARQUET_BOUNDS_TEXT_MAX = 64 };

struct parquet_bounds {
    bool any;   // a value was seen
    bool exact; // both bounds are values that occur
    uint8_t min_size;
    uint8_t max_size;
    __int128 min;
    __int128 max;
    uint8_t min_text[PARQUET_BOUNDS_TEXT_MAX];
    uint8_t max_text[PARQUET_BOUNDS_TEXT_MAX];
};

void parquet_bounds_clear(struct parquet_bounds *bounds);
void parquet_bounds_add_int64(struct parquet_bounds *bounds, const int64_t *values, uint32_t count);
void parquet_bounds_add_int128(struct parquet_bounds *bounds, const __int128 *values,
                               uint32_t count);
void parquet_bounds_add_booleans(struct parquet_bounds *bounds, const uint8_t *values,
                                 uint32_t count);
void parquet_bounds_add_text(struct parquet_bounds *bounds, const void *bytes, size_t size);
// `bounds` then covers both; both belong to one column of this type.
void parquet_bounds_merge(struct parquet_bounds *bounds, const struct parquet_bounds *other,
                          enum parquet_type type);
// <0, 0, >0 as the minimum (maximum) of `left` sorts before, with, after that of `right`.
int parquet_bounds_compare_min(const struct parquet_bounds *left,
                               const struct parquet_bounds *right, enum parquet_type type);
int parquet_bounds_compare_max(const struct parquet_bounds *left,
                               const struct parquet_bounds *right, enum parquet_type type);
// The bound in PLAIN encoding without length, as statistics hold it; returns its size.
size_t parquet_bounds_spell(const struct parquet_bounds *bounds, enum parquet_type type,
                            bool greatest, uint8_t out[PARQUET_BOUNDS_TEXT_MAX]);

#endif
