// SPDX-License-Identifier: Apache-2.0
//
// tape_stream: one column of integers in a batch: a base and the differences to it in as few whole
// bytes as hold them. Made to be fast: two passes, no branches a value.
//
//     u8      kind: low nibble 0 all values equal the base; 1 ... 8 bytes a value; 9 one bit;
//             bits 4-5 the divisor: 1, 10^3, 10^6, 10^9; bits 6-7 zero
//     varint  base, zigzag
//     data    count x width, little-endian, or ceil(count / 8) bytes, lowest bit first
//
// value = base + data * divisor, modulo 2^64.
#ifndef RINGTAPE_FORMAT_TAPE_STREAM_H
#define RINGTAPE_FORMAT_TAPE_STREAM_H

#include "format/wire.h"

enum {
    TAPE_STREAM_BITS = 9,
    TAPE_STREAM_SLACK = 8, // writable bytes behind the end of a stream while it is written
};

static inline size_t tape_stream_bytes_max(size_t count)
{
    return 1 + WIRE_VARINT_BYTES_MAX + count * 8 + TAPE_STREAM_SLACK;
}

// `divide`: try the divisors (times). `scratch`: room for `count` values; only used with `divide`.
// Returns the end of the stream.
uint8_t *tape_stream_put(uint8_t *out, const int64_t *values, uint32_t count, bool divide,
                         uint64_t *scratch);
// False (and the reader failed): not a stream of `count` values.
bool tape_stream_get(struct wire_reader *reader, int64_t *values, uint32_t count);

// Scales of decimals: u8 0 and one scale for all, or 1 and a byte each. Scales above
// DECIMAL_SCALE_MAX are refused.
uint8_t *tape_scales_put(uint8_t *out, const uint8_t *scales, uint32_t count);
bool tape_scales_get(struct wire_reader *reader, uint8_t *scales, uint32_t count);

// One bit a value, lowest first.
uint8_t *tape_bits_put(uint8_t *out, const uint8_t *bits, uint32_t count);
// Fails also on set bits behind the last.
bool tape_bits_get(struct wire_reader *reader, uint8_t *bits, uint32_t count);

#endif
