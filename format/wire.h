// SPDX-License-Identifier: Apache-2.0
//
// wire: little-endian integers in byte ranges. Writing advances a pointer into a buffer known to be
// large enough; reading goes through `struct wire_reader`, which never passes its end: a read that
// would marks it failed, gives zero, and all later reads do the same.
#ifndef RINGTAPE_FORMAT_WIRE_H
#define RINGTAPE_FORMAT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WIRE_VARINT_BYTES_MAX = 10 };

static inline uint64_t wire_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t wire_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

// LEB128: 7 bits a byte, lowest first, the top bit says that more follow.
static inline uint8_t *wire_put_varint(uint8_t *out, uint64_t value)
{
    while (value >= 128) {
        *out++ = (uint8_t)(value | 128);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static inline size_t wire_varint_bytes(uint64_t value)
{
    return ((size_t)(63 - __builtin_clzll(value | 1)) + 7) / 7;
}

static inline uint8_t *wire_put(uint8_t *out, const void *bytes, size_t size)
{
    if (size != 0)
        memcpy(out, bytes, size);
    return out + size;
}

static inline uint8_t *wire_put_u32(uint8_t *out, uint32_t value)
{
    return wire_put(out, &value, sizeof value);
}

static inline uint8_t *wire_put_u64(uint8_t *out, uint64_t value)
{
    return wire_put(out, &value, sizeof value);
}

struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct wire_reader wire_reader_of(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    return (struct wire_reader){.at = at, .end = at + size};
}

static inline size_t wire_left(const struct wire_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

// The next `size` bytes in place, or NULL (then failed).
static inline const uint8_t *wire_get(struct wire_reader *reader, uint64_t size)
{
    if (reader->failed || size > wire_left(reader)) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *bytes = reader->at;
    reader->at += size;
    return bytes;
}

static inline uint8_t wire_get_u8(struct wire_reader *reader)
{
    const uint8_t *bytes = wire_get(reader, 1);
    return bytes ? *bytes : 0;
}

static inline uint16_t wire_get_u16(struct wire_reader *reader)
{
    uint16_t value = 0;
    const uint8_t *bytes = wire_get(reader, sizeof value);
    if (bytes)
        memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t wire_get_u32(struct wire_reader *reader)
{
    uint32_t value = 0;
    const uint8_t *bytes = wire_get(reader, sizeof value);
    if (bytes)
        memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint64_t wire_get_u64(struct wire_reader *reader)
{
    uint64_t value = 0;
    const uint8_t *bytes = wire_get(reader, sizeof value);
    if (bytes)
        memcpy(&value, bytes, sizeof value);
    return value;
}

// Fails on more than ten bytes and on bits beyond the 64th.
static inline uint64_t wire_get_varint(struct wire_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = wire_get_u8(reader);
        if (reader->failed || (shift == 63 && byte > 1))
            break;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    reader->failed = true;
    return 0;
}

#endif
