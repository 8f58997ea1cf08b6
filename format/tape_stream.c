// SPDX-License-Identifier: Apache-2.0
//
// Encoding never fails and needs tape_stream_bytes_max() bytes of room. Decoding trusts nothing.
#include "format/tape_stream.h"

#include "format/ensure.h"
#include "format/event.h"

static const uint64_t stream_divisors[4] = {1, 1000, 1000000, 1000000000};

struct stream_range {
    int64_t min;
    int64_t max;
};

static struct stream_range stream_range(const int64_t *values, uint32_t count)
{
    struct stream_range range = {values[0], values[0]};
    for (uint32_t i = 0; i < count; i++) {
        range.min = values[i] < range.min ? values[i] : range.min;
        range.max = values[i] > range.max ? values[i] : range.max;
    }
    return range;
}

static unsigned stream_width(uint64_t span)
{
    if (span <= 1)
        return span == 0 ? 0 : TAPE_STREAM_BITS;
    return (unsigned)(63 - __builtin_clzll(span)) / 8 + 1;
}

// One loop a width, so that each has a constant store size.
#define STREAM_PACK(type)                                                                          \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        type narrow = (type)((uint64_t)values[i] - base);                                          \
        memcpy(out + (size_t)i * sizeof narrow, &narrow, sizeof narrow);                           \
    }

static uint8_t *stream_pack_bits(uint8_t *out, const int64_t *values, uint32_t count, uint64_t base)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t byte = 0;
        for (uint32_t bit = 0; bit < 8; bit++)
            byte |= ((uint64_t)values[i + bit] - base) << bit;
        *out++ = (uint8_t)byte;
    }
    if (i < count) {
        uint64_t byte = 0;
        for (uint32_t bit = 0; i + bit < count; bit++)
            byte |= ((uint64_t)values[i + bit] - base) << bit;
        *out++ = (uint8_t)byte;
    }
    return out;
}

static uint8_t *stream_pack(uint8_t *out, const int64_t *values, uint32_t count, uint64_t base,
                            unsigned width)
{
    switch (width) {
    case 0:
        return out;
    case 1:
        STREAM_PACK(uint8_t)
        break;
    case 2:
        STREAM_PACK(uint16_t)
        break;
    case 4:
        STREAM_PACK(uint32_t)
        break;
    case 8:
        STREAM_PACK(uint64_t)
        break;
    case TAPE_STREAM_BITS:
        return stream_pack_bits(out, values, count, base);
    default: // 3, 5, 6, 7: eight bytes are stored, the next value overwrites what is too much
        for (uint32_t i = 0; i < count; i++) {
            uint64_t wide = (uint64_t)values[i] - base;
            memcpy(out + (size_t)i * width, &wide, sizeof wide);
        }
        break;
    }
    return out + (size_t)count * width;
}

// out[i] = (values[i] - base) / divisor if that is exact for all; `divisor` is a constant in each
// call.
static inline bool stream_divide(const int64_t *values, uint32_t count, uint64_t base,
                                 uint64_t divisor, uint64_t *out)
{
    for (uint32_t from = 0; from < count; from += 64) {
        uint32_t end = count - from < 64 ? count : from + 64;
        uint64_t rest = 0;
        for (uint32_t i = from; i < end; i++) {
            uint64_t difference = (uint64_t)values[i] - base;
            out[i] = difference / divisor;
            rest |= difference - out[i] * divisor;
        }
        if (rest != 0)
            return false;
    }
    return true;
}

// The largest divisor that all differences have: its number.
static unsigned stream_find_divisor(const int64_t *values, uint32_t count, uint64_t base,
                                    uint64_t span, uint64_t *scratch)
{
    if (span % 1000000000 == 0 && stream_divide(values, count, base, 1000000000, scratch))
        return 3;
    if (span % 1000000 == 0 && stream_divide(values, count, base, 1000000, scratch))
        return 2;
    if (span % 1000 == 0 && stream_divide(values, count, base, 1000, scratch))
        return 1;
    return 0;
}

uint8_t *tape_stream_put(uint8_t *out, const int64_t *values, uint32_t count, bool divide,
                         uint64_t *scratch)
{
    ensure(count > 0);
    ensure(scratch || !divide);
    struct stream_range range = stream_range(values, count);
    uint64_t base = (uint64_t)range.min;
    uint64_t span = (uint64_t)range.max - base;
    unsigned divisor = 0;
    if (divide && span >= 1000)
        divisor = stream_find_divisor(values, count, base, span, scratch);
    unsigned width = stream_width(span / stream_divisors[divisor]);
    *out++ = (uint8_t)(width | divisor << 4);
    out = wire_put_varint(out, wire_zigzag(range.min));
    if (divisor != 0)
        return stream_pack(out, (const int64_t *)scratch, count, 0, width);
    return stream_pack(out, values, count, base, width);
}

#define STREAM_UNPACK(type)                                                                        \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        type narrow;                                                                               \
        memcpy(&narrow, data + (size_t)i * sizeof narrow, sizeof narrow);                          \
        values[i] = (int64_t)(base + (uint64_t)narrow * divisor);                                  \
    }

// Widths 3, 5, 6, 7: eight-byte loads as long as they stay inside, then byte by byte.
static void stream_unpack_odd(const uint8_t *data, int64_t *values, uint32_t count, uint64_t base,
                              uint64_t divisor, unsigned width)
{
    const uint64_t mask = (1ull << (8 * width)) - 1;
    const size_t size = (size_t)count * width;
    uint32_t i = 0;
    uint64_t wide;
    for (; size - (size_t)i * width >= sizeof wide; i++) {
        memcpy(&wide, data + (size_t)i * width, sizeof wide);
        values[i] = (int64_t)(base + (wide & mask) * divisor);
    }
    for (; i < count; i++) {
        wide = 0;
        memcpy(&wide, data + (size_t)i * width, width);
        values[i] = (int64_t)(base + wide * divisor);
    }
}

static void stream_unpack_bits(const uint8_t *data, int64_t *values, uint32_t count, uint64_t base,
                               uint64_t divisor)
{
    for (uint32_t i = 0; i < count; i++)
        values[i] = (int64_t)(base + (uint64_t)(data[i / 8] >> (i % 8) & 1) * divisor);
}

static void stream_unpack(const uint8_t *data, int64_t *values, uint32_t count, uint64_t base,
                          uint64_t divisor, unsigned width)
{
    switch (width) {
    case 0:
        for (uint32_t i = 0; i < count; i++)
            values[i] = (int64_t)base;
        break;
    case 1:
        STREAM_UNPACK(uint8_t)
        break;
    case 2:
        STREAM_UNPACK(uint16_t)
        break;
    case 4:
        STREAM_UNPACK(uint32_t)
        break;
    case 8:
        STREAM_UNPACK(uint64_t)
        break;
    case TAPE_STREAM_BITS:
        stream_unpack_bits(data, values, count, base, divisor);
        break;
    default:
        stream_unpack_odd(data, values, count, base, divisor, width);
        break;
    }
}

bool tape_stream_get(struct wire_reader *reader, int64_t *values, uint32_t count)
{
    uint8_t kind = wire_get_u8(reader);
    uint64_t base = (uint64_t)wire_unzigzag(wire_get_varint(reader));
    unsigned width = kind & 15;
    if (width > TAPE_STREAM_BITS || kind >> 6 != 0)
        reader->failed = true;
    uint64_t bytes = width == TAPE_STREAM_BITS ? ((uint64_t)count + 7) / 8
                                               : (uint64_t)count * width;
    const uint8_t *data = wire_get(reader, bytes);
    if (!data)
        return false;
    if (width == TAPE_STREAM_BITS && count % 8 != 0 && data[bytes - 1] >> (count % 8) != 0) {
        reader->failed = true;
        return false;
    }
    stream_unpack(data, values, count, base, stream_divisors[kind >> 4], width);
    return true;
}

uint8_t *tape_scales_put(uint8_t *out, const uint8_t *scales, uint32_t count)
{
    ensure(count > 0);
    uint8_t different = 0;
    for (uint32_t i = 0; i < count; i++)
        different |= scales[i] ^ scales[0];
    *out++ = different != 0;
    return wire_put(out, scales, different ? count : 1);
}

bool tape_scales_get(struct wire_reader *reader, uint8_t *scales, uint32_t count)
{
    uint8_t kind = wire_get_u8(reader);
    const uint8_t *data = wire_get(reader, kind == 0 ? 1 : count);
    if (!data || kind > 1) {
        reader->failed = true;
        return false;
    }
    if (kind == 0)
        memset(scales, data[0], count);
    else
        memcpy(scales, data, count);
    uint8_t largest = 0;
    for (uint32_t i = 0; i < count; i++)
        largest = scales[i] > largest ? scales[i] : largest;
    reader->failed = reader->failed || largest > DECIMAL_SCALE_MAX;
    return !reader->failed;
}

uint8_t *tape_bits_put(uint8_t *out, const uint8_t *bits, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += 8) {
        unsigned byte = 0;
        for (uint32_t bit = 0; bit < 8 && i + bit < count; bit++) {
            ensure(bits[i + bit] <= 1);
            byte |= (unsigned)bits[i + bit] << bit;
        }
        *out++ = (uint8_t)byte;
    }
    return out;
}

bool tape_bits_get(struct wire_reader *reader, uint8_t *bits, uint32_t count)
{
    const uint8_t *data = wire_get(reader, ((uint64_t)count + 7) / 8);
    if (!data)
        return false;
    for (uint32_t i = 0; i < count; i++)
        bits[i] = data[i / 8] >> (i % 8) & 1;
    if (count % 8 != 0 && data[count / 8] >> (count % 8) != 0)
        reader->failed = true;
    return !reader->failed;
}
