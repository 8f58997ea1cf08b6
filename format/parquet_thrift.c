// SPDX-License-Identifier: Apache-2.0
//
// A field is one byte: distance to the field before in the high, type in the low half. Integers are
// zigzag varints; a boolean field has its value in the type; a struct ends with a zero byte.
#include "format/parquet_thrift.h"

#include "format/ensure.h"
#include <string.h>

enum { // types of fields
    FIELD_TRUE = 1,
    FIELD_FALSE = 2,
    FIELD_I8 = 3,
    FIELD_I16 = 4,
    FIELD_LIST = 9,
    LIST_SHORT_MAX = 14, // longer counts follow as a varint
};

static void parquet_thrift_drain(struct parquet_thrift *thrift)
{
    ensure(thrift->drain != NULL); // else the caller's buffer was too small
    if (thrift->size > 0) thrift->drain(thrift->context, thrift->bytes, thrift->size);
    thrift->drained += thrift->size;
    thrift->size = 0;
}

static void parquet_thrift_byte(struct parquet_thrift *thrift, uint8_t byte)
{
    if (thrift->size == thrift->capacity) parquet_thrift_drain(thrift);
    thrift->bytes[thrift->size++] = byte;
}

static void parquet_thrift_bytes(struct parquet_thrift *thrift, const void *bytes, size_t size)
{
    if (size > thrift->capacity - thrift->size) parquet_thrift_drain(thrift);
    if (size > thrift->capacity) { // larger than the buffer: goes past it
        thrift->drain(thrift->context, bytes, size);
        thrift->drained += size;
        return;
    }
    if (size > 0) memcpy(thrift->bytes + thrift->size, bytes, size);
    thrift->size += size;
}

static void parquet_thrift_varint(struct parquet_thrift *thrift, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) parquet_thrift_byte(thrift, (uint8_t)(value | 0x80));
    parquet_thrift_byte(thrift, (uint8_t)value);
}

static void parquet_thrift_zigzag(struct parquet_thrift *thrift, int64_t value)
{
    parquet_thrift_varint(thrift, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static void parquet_thrift_field(struct parquet_thrift *thrift, int field, int type)
{
    const int distance = field - thrift->field[thrift->depth];
    ensure(distance >= 1 && distance <= 15);
    thrift->field[thrift->depth] = field;
    parquet_thrift_byte(thrift, (uint8_t)(distance << 4 | type));
}

static void parquet_thrift_deeper(struct parquet_thrift *thrift)
{
    thrift->depth++;
    ensure(thrift->depth < PARQUET_THRIFT_DEPTH_MAX);
    thrift->field[thrift->depth] = 0;
}

void parquet_thrift_init(struct parquet_thrift *thrift, uint8_t *bytes, size_t capacity,
                         void (*drain)(void *context, const void *bytes, size_t size),
                         void *context)
{
    ensure(bytes != NULL && capacity >= 32);
    *thrift = (struct parquet_thrift){
        .bytes = bytes, .capacity = capacity, .drain = drain, .context = context};
}

size_t parquet_thrift_finish(struct parquet_thrift *thrift)
{
    ensure(thrift->depth == 0);
    parquet_thrift_byte(thrift, 0);
    if (thrift->drain != NULL) parquet_thrift_drain(thrift);
    return thrift->drained + thrift->size;
}

void parquet_thrift_bool(struct parquet_thrift *thrift, int field, bool value)
{
    parquet_thrift_field(thrift, field, value ? FIELD_TRUE : FIELD_FALSE);
}

void parquet_thrift_i8(struct parquet_thrift *thrift, int field, int8_t value)
{
    parquet_thrift_field(thrift, field, FIELD_I8);
    parquet_thrift_byte(thrift, (uint8_t)value);
}

void parquet_thrift_i16(struct parquet_thrift *thrift, int field, int16_t value)
{
    parquet_thrift_field(thrift, field, FIELD_I16);
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_i32(struct parquet_thrift *thrift, int field, int32_t value)
{
    parquet_thrift_field(thrift, field, PARQUET_THRIFT_I32);
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_i64(struct parquet_thrift *thrift, int field, int64_t value)
{
    parquet_thrift_field(thrift, field, PARQUET_THRIFT_I64);
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_binary(struct parquet_thrift *thrift, int field, const void *bytes,
                           size_t size)
{
    parquet_thrift_field(thrift, field, PARQUET_THRIFT_BINARY);
    parquet_thrift_element_binary(thrift, bytes, size);
}

void parquet_thrift_text(struct parquet_thrift *thrift, int field, const char *text)
{
    parquet_thrift_binary(thrift, field, text, strlen(text));
}

void parquet_thrift_list(struct parquet_thrift *thrift, int field, enum parquet_thrift_type type,
                         size_t count)
{
    parquet_thrift_field(thrift, field, FIELD_LIST);
    if (count <= LIST_SHORT_MAX) {
        parquet_thrift_byte(thrift, (uint8_t)(count << 4 | type));
    } else {
        parquet_thrift_byte(thrift, (uint8_t)(0xf0 | type));
        parquet_thrift_varint(thrift, count);
    }
}

void parquet_thrift_struct(struct parquet_thrift *thrift, int field)
{
    parquet_thrift_field(thrift, field, PARQUET_THRIFT_STRUCT);
    parquet_thrift_deeper(thrift);
}

void parquet_thrift_empty(struct parquet_thrift *thrift, int field)
{
    parquet_thrift_struct(thrift, field);
    parquet_thrift_end(thrift);
}

void parquet_thrift_element_bool(struct parquet_thrift *thrift, bool value)
{
    parquet_thrift_byte(thrift, value ? FIELD_TRUE : FIELD_FALSE);
}

void parquet_thrift_element_i32(struct parquet_thrift *thrift, int32_t value)
{
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_element_i64(struct parquet_thrift *thrift, int64_t value)
{
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_element_binary(struct parquet_thrift *thrift, const void *bytes, size_t size)
{
    parquet_thrift_varint(thrift, size);
    parquet_thrift_bytes(thrift, bytes, size);
}

void parquet_thrift_element_struct(struct parquet_thrift *thrift)
{
    parquet_thrift_deeper(thrift);
}

void parquet_thrift_end(struct parquet_thrift *thrift)
{
    ensure(thrift->depth > 0);
    parquet_thrift_byte(thrift, 0);
    thrift->depth--;
}
