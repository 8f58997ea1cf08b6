// SPDX-License-Identifier: Apache-2.0
//
// column_bits: numbers of 0 to 64 bits one behind the other, lowest bit first. The writer needs
// room for eight bytes more than it fills; the reader gives zeros behind the end, so that its loops
// need no check, and the caller compares the bits taken with the bits there are.
#ifndef RINGTAPE_FORMAT_COLUMN_BITS_H
#define RINGTAPE_FORMAT_COLUMN_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t bits_mask(unsigned width)
{
    return width >= 64 ? UINT64_MAX : (1ull << width) - 1;
}

// Bits that `value` needs: 0 for 0, 64 for 2^63.
static inline unsigned bits_length(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static inline size_t bits_bytes(uint64_t bits)
{
    return (size_t)((bits + 7) / 8);
}

struct bits_writer {
    uint8_t *out;
    uint64_t pending;
    unsigned used; // bits in pending, < 8 between calls
};

static inline void bits_put_short(struct bits_writer *writer, uint64_t value, unsigned width)
{
    writer->pending |= value << writer->used; // width <= 56
    writer->used += width;
    memcpy(writer->out, &writer->pending, sizeof writer->pending);
    writer->out += writer->used / 8;
    writer->pending >>= writer->used & 56;
    writer->used &= 7;
}

// `value` < 2^width.
static inline void bits_put(struct bits_writer *writer, uint64_t value, unsigned width)
{
    if (width > 56) {
        bits_put_short(writer, value & bits_mask(32), 32);
        value >>= 32;
        width -= 32;
    }
    bits_put_short(writer, value, width);
}

// The byte behind the last one begun.
static inline uint8_t *bits_finish(struct bits_writer *writer)
{
    if (writer->used != 0)
        *writer->out++ = (uint8_t)writer->pending;
    return writer->out;
}

struct bits_reader {
    const uint8_t *bytes;
    size_t size;
    uint64_t at; // bits taken, perhaps more than there are
};

// 57 bits or more from bit `at` on.
static inline uint64_t bits_peek(const uint8_t *bytes, size_t size, uint64_t at)
{
    uint64_t word = 0;
    size_t byte = (size_t)(at / 8);
    if (byte + sizeof word <= size)
        memcpy(&word, bytes + byte, sizeof word);
    else if (byte < size)
        memcpy(&word, bytes + byte, size - byte);
    return word >> (at % 8);
}

static inline uint64_t bits_at(const uint8_t *bytes, size_t size, uint64_t at, unsigned width)
{
    uint64_t value = bits_peek(bytes, size, at);
    if (width > 56)
        value = (value & bits_mask(32)) | bits_peek(bytes, size, at + 32) << 32;
    return value & bits_mask(width);
}

static inline uint64_t bits_get(struct bits_reader *reader, unsigned width)
{
    uint64_t value = bits_at(reader->bytes, reader->size, reader->at, width);
    reader->at += width;
    return value;
}

#endif
