// SPDX-License-Identifier: Apache-2.0
//
// parquet_thrift: writes the Thrift compact protocol, as far as Parquet metadata needs it.
//
// Bytes go to a buffer of the caller. When it is full they are handed to `drain`; without one the
// buffer must be large enough (a bug otherwise). Fields of a struct are written in rising order.
// Threading: none.
// Source: apache/thrift, doc/specs/thrift-compact-protocol.md.
#ifndef RINGTAPE_FORMAT_PARQUET_THRIFT_H
#define RINGTAPE_FORMAT_PARQUET_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARQUET_THRIFT_DEPTH_MAX = 8 };

// Element types of lists, by their compact numbers.
enum parquet_thrift_type {
    PARQUET_THRIFT_BOOL = 2,
    PARQUET_THRIFT_I32 = 5,
    PARQUET_THRIFT_I64 = 6,
    PARQUET_THRIFT_BINARY = 8,
    PARQUET_THRIFT_STRUCT = 12,
};

struct parquet_thrift {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    size_t drained;
    void (*drain)(void *context, const void *bytes, size_t size);
    void *context;
    int depth;
    int field[PARQUET_THRIFT_DEPTH_MAX]; // last field written, by depth
};

// Begins at the inside of one struct; `drain` may be NULL.
void parquet_thrift_init(struct parquet_thrift *thrift, uint8_t *bytes, size_t capacity,
                         void (*drain)(void *context, const void *bytes, size_t size),
                         void *context);
// Ends that struct and drains the rest; returns the size of all that was written.
size_t parquet_thrift_finish(struct parquet_thrift *thrift);

void parquet_thrift_bool(struct parquet_thrift *thrift, int field, bool value);
void parquet_thrift_i8(struct parquet_thrift *thrift, int field, int8_t value);
void parquet_thrift_i16(struct parquet_thrift *thrift, int field, int16_t value);
void parquet_thrift_i32(struct parquet_thrift *thrift, int field, int32_t value);
void parquet_thrift_i64(struct parquet_thrift *thrift, int field, int64_t value);
void parquet_thrift_binary(struct parquet_thrift *thrift, int field, const void *bytes,
                           size_t size);
void parquet_thrift_text(struct parquet_thrift *thrift, int field, const char *text);
void parquet_thrift_list(struct parquet_thrift *thrift, int field, enum parquet_thrift_type type,
                         size_t count);
void parquet_thrift_struct(struct parquet_thrift *thrift, int field); // until parquet_thrift_end()
void parquet_thrift_empty(struct parquet_thrift *thrift, int field);  // a struct without fields

// Elements of the list begun last.
void parquet_thrift_element_bool(struct parquet_thrift *thrift, bool value);
void parquet_thrift_element_i32(struct parquet_thrift *thrift, int32_t value);
void parquet_thrift_element_i64(struct parquet_thrift *thrift, int64_t value);
void parquet_thrift_element_binary(struct parquet_thrift *thrift, const void *bytes, size_t size);
void parquet_thrift_element_struct(struct parquet_thrift *thrift); // until parquet_thrift_end()

void parquet_thrift_end(struct parquet_thrift *thrift);

#endif
