// SPDX-License-Identifier: Apache-2.0
//
// Bit-packing in all encodings here is lowest bit first, so one packer serves them.
#include "format/parquet_encode.h"

#include "format/ensure.h"
#include <stdbool.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stores below write this order");

enum {
    DELTA_BLOCK = 128,
    DELTA_MINIBLOCKS = 4,
    DELTA_MINIBLOCK = DELTA_BLOCK / DELTA_MINIBLOCKS,
    VARINT_BYTES_MAX = 10,
    RUN_MIN = 8, // shorter ones are cheaper bit-packed
};

static uint8_t *parquet_encode_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

static uint8_t *parquet_encode_zigzag(uint8_t *out, int64_t value)
{
    return parquet_encode_varint(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static int parquet_encode_width(uint64_t value)
{
    return value == 0 ? 0 : 64 - __builtin_clzll(value);
}

// Neighbours side by side in one word, as long as two fit: that goes in parallel, and leaves less
// to the loop behind it, where each step waits for the one before.
static const uint64_t *parquet_encode_join(const uint64_t *values, uint64_t *room, int *count,
                                           int *width)
{
    while (*width <= 32 && *count % 2 == 0) {
        *count /= 2;
        for (int i = 0; i < *count; i++) room[i] = values[2 * i] | values[2 * i + 1] << *width;
        values = room;
        *width *= 2;
    }
    return values;
}

// `count` <= 32 values of `width` bits; the last byte is filled with zeros.
static uint8_t *parquet_encode_pack(uint8_t *out, const uint64_t *values, int count, int width)
{
    uint64_t room[DELTA_MINIBLOCK / 2], bits = 0;
    int filled = 0;
    ensure(count <= DELTA_MINIBLOCK && width >= 1 && width <= 64);
    values = parquet_encode_join(values, room, &count, &width);
    for (int i = 0; i < count; i++) {
        bits |= values[i] << filled;
        filled += width;
        if (filled < 64) continue;
        memcpy(out, &bits, 8);
        out += 8;
        filled -= 64;
        bits = filled > 0 ? values[i] >> (width - filled) : 0;
    }
    for (; filled > 0; filled -= 8, bits >>= 8) *out++ = (uint8_t)bits;
    return out;
}

// ---- DELTA_BINARY_PACKED ----

size_t parquet_encode_delta_bound(uint32_t count)
{
    const size_t blocks = (size_t)count / DELTA_BLOCK + 1;
    return 4 * VARINT_BYTES_MAX + blocks * (VARINT_BYTES_MAX + DELTA_MINIBLOCKS + DELTA_BLOCK * 8);
}

// `count` values of `bytes` bytes each: every store but the last is written over by the next.
static uint8_t *parquet_encode_bytes(uint8_t *out, const uint64_t *values, int count, int bytes)
{
    if (bytes == 4) { // most times: the compiler knows how to do these together
        for (int i = 0; i < count; i++) {
            const uint32_t narrow = (uint32_t)values[i];
            memcpy(out + 4 * i, &narrow, 4);
        }
        return out + 4 * count;
    }
    for (int i = 0; i < count; i++, out += bytes) memcpy(out, &values[i], 8);
    return out;
}

// Deltas of one block less the least one, which is returned. Differences wrap modulo 2^64, as the
// reader's sums do; zeros behind the last one.
static int64_t parquet_encode_delta_take(uint64_t delta[DELTA_BLOCK], const int64_t *before,
                                         int count, bool from_zero)
{
    int64_t least = from_zero ? 0 : INT64_MAX;
    for (int i = 0; i < count; i++) {
        delta[i] = (uint64_t)before[i + 1] - (uint64_t)before[i];
        least = (int64_t)delta[i] < least ? (int64_t)delta[i] : least;
    }
    for (int i = 0; i < count; i++) delta[i] -= (uint64_t)least;
    for (int i = count; i < DELTA_BLOCK; i++) delta[i] = 0;
    return least;
}

// One block of 1 ... 128 deltas.
static uint8_t *parquet_encode_delta_block(uint8_t *out, const int64_t *before, int count)
{
    uint64_t delta[DELTA_BLOCK];
    out = parquet_encode_zigzag(out, parquet_encode_delta_take(delta, before, count, false));
    uint8_t *widths = out;
    out += DELTA_MINIBLOCKS; // all of them, used or not: some readers insist
    for (int m = 0; m < DELTA_MINIBLOCKS; m++) {
        const uint64_t *miniblock = delta + m * DELTA_MINIBLOCK;
        uint64_t any = 0;
        for (int i = 0; i < DELTA_MINIBLOCK; i++) any |= miniblock[i];
        widths[m] = (uint8_t)parquet_encode_width(any);
        if (widths[m] > 0) out = parquet_encode_pack(out, miniblock, DELTA_MINIBLOCK, widths[m]);
    }
    return out;
}

static uint8_t *parquet_encode_delta_whole(uint8_t *out, const int64_t *before, int count)
{
    uint64_t delta[DELTA_BLOCK], any = 0;
    out = parquet_encode_zigzag(out, parquet_encode_delta_take(delta, before, count, true));
    for (int i = 0; i < DELTA_BLOCK; i++) any |= delta[i];
    const int bytes = (parquet_encode_width(any) + 7) / 8;
    memset(out, 8 * bytes, DELTA_MINIBLOCKS);
    out += DELTA_MINIBLOCKS;
    return bytes > 0 ? parquet_encode_bytes(out, delta, DELTA_BLOCK, bytes) : out;
}

static bool parquet_encode_is_constant(const int64_t *values, uint32_t count)
{
    uint64_t different = 0;
    for (uint32_t i = 1; i < count; i++) different |= (uint64_t)values[i] ^ (uint64_t)values[0];
    return different == 0;
}

// Blocks whose deltas are all 0.
static uint8_t *parquet_encode_delta_zeros(uint8_t *out, uint32_t deltas)
{
    const size_t blocks = ((size_t)deltas + DELTA_BLOCK - 1) / DELTA_BLOCK;
    memset(out, 0, blocks * (1 + DELTA_MINIBLOCKS)); // least delta, widths
    return out + blocks * (1 + DELTA_MINIBLOCKS);
}

size_t parquet_encode_delta(const int64_t *values, uint32_t count, bool whole_bytes, uint8_t *out)
{
    ensure(values != NULL && count <= INT32_MAX);
    uint8_t *next = parquet_encode_varint(out, DELTA_BLOCK);
    next = parquet_encode_varint(next, DELTA_MINIBLOCKS);
    next = parquet_encode_varint(next, count);
    next = parquet_encode_zigzag(next, count > 0 ? values[0] : 0);
    const bool constant = count > 1 && parquet_encode_is_constant(values, count);
    if (constant) next = parquet_encode_delta_zeros(next, count - 1);
    for (uint32_t i = 1; i < count && !constant; i += DELTA_BLOCK) {
        const int block = count - i < DELTA_BLOCK ? (int)(count - i) : DELTA_BLOCK;
        next = whole_bytes ? parquet_encode_delta_whole(next, values + i - 1, block)
                           : parquet_encode_delta_block(next, values + i - 1, block);
    }
    ensure((size_t)(next - out) <= parquet_encode_delta_bound(count));
    return (size_t)(next - out);
}

// ---- RLE / bit-packing hybrid ----

size_t parquet_encode_hybrid_bound(uint32_t count, int width)
{
    // At worst groups of eight and runs of eight alternate, each with a header.
    const size_t groups = (size_t)count / RUN_MIN + 1;
    return groups * ((size_t)width + VARINT_BYTES_MAX + 4);
}

static uint32_t parquet_encode_run(const uint32_t *values, uint32_t from, uint32_t count)
{
    uint32_t end = from + 1;
    while (end < count && values[end] == values[from]) end++;
    return end - from;
}

static bool parquet_encode_all_equal(const uint32_t *group) // [RUN_MIN]
{
    uint32_t different = 0;
    for (int i = 1; i < RUN_MIN; i++) different |= group[i] ^ group[0];
    return different == 0;
}

// End of the bit-packed part that begins at `from`: whole groups of eight, up to a group that
// begins a run, or to the end of all values.
static uint32_t parquet_encode_packed_end(const uint32_t *values, uint32_t from, uint32_t count)
{
    uint32_t end = from + RUN_MIN;
    while (end + RUN_MIN <= count && !parquet_encode_all_equal(values + end)) end += RUN_MIN;
    if (end + RUN_MIN > count) end = count;
    return end;
}

static uint8_t *parquet_encode_packed(uint8_t *out, const uint32_t *values, uint32_t from,
                                      uint32_t end, int width)
{
    const uint32_t groups = (end - from + RUN_MIN - 1) / RUN_MIN;
    out = parquet_encode_varint(out, (uint64_t)groups << 1 | 1);
    for (uint32_t g = 0; g < groups; g++) {
        uint64_t group[RUN_MIN] = {0}; // zeros after the last value
        for (uint32_t i = 0; i < RUN_MIN && from + g * RUN_MIN + i < end; i++)
            group[i] = values[from + g * RUN_MIN + i];
        out = parquet_encode_pack(out, group, RUN_MIN, width);
    }
    return out;
}

size_t parquet_encode_hybrid(const uint32_t *values, uint32_t count, int width, uint8_t *out)
{
    ensure(width >= 1 && width <= 32);
    uint8_t *next = out;
    for (uint32_t i = 0; i < count;) {
        ensure(width == 32 || values[i] >> width == 0);
        const uint32_t run = parquet_encode_run(values, i, count);
        if (run >= RUN_MIN) {
            next = parquet_encode_varint(next, (uint64_t)run << 1);
            memcpy(next, &values[i], 4);
            next += (width + 7) / 8;
            i += run;
        } else {
            const uint32_t end = parquet_encode_packed_end(values, i, count);
            next = parquet_encode_packed(next, values, i, end, width);
            i = end;
        }
    }
    ensure((size_t)(next - out) <= parquet_encode_hybrid_bound(count, width));
    return (size_t)(next - out);
}

static bool parquet_encode_constant(const uint32_t *values, uint32_t count)
{
    uint32_t different = 0;
    for (uint32_t i = 1; i < count; i++) different |= values[i] ^ values[0];
    return different == 0;
}

size_t parquet_encode_whole_bytes_bound(uint32_t count, int width)
{
    return VARINT_BYTES_MAX + ((size_t)count + RUN_MIN) * (size_t)width / 8;
}

size_t parquet_encode_whole_bytes(const uint32_t *values, uint32_t count, int width, uint8_t *out)
{
    ensure(width == 8 || width == 16);
    if (count == 0 || parquet_encode_constant(values, count))
        return parquet_encode_hybrid(values, count, width, out);
    const uint32_t groups = (count + RUN_MIN - 1) / RUN_MIN;
    uint8_t *next = parquet_encode_varint(out, (uint64_t)groups << 1 | 1);
    if (width == 8) {
        for (uint32_t i = 0; i < count; i++) next[i] = (uint8_t)values[i];
    } else {
        for (uint32_t i = 0; i < count; i++) {
            const uint16_t narrow = (uint16_t)values[i];
            memcpy(next + 2 * (size_t)i, &narrow, 2);
        }
    }
    const size_t used = (size_t)count * (size_t)width / 8;
    const size_t size = (size_t)groups * (size_t)width;
    memset(next + used, 0, size - used);
    return (size_t)(next - out) + size;
}

// ---- levels and plain values ----

size_t parquet_encode_levels_bound(uint32_t count)
{
    return 4 + VARINT_BYTES_MAX + (size_t)count / 8 + 1;
}

size_t parquet_encode_levels(const uint8_t *present, uint32_t count, uint8_t *out)
{
    // One run if all are equal, else one bit-packed part: zstd finds the runs inside as well.
    ensure(count <= INT32_MAX);
    const bool equal = count == 0 || memchr(present, !present[0], count) == NULL;
    uint8_t *next = out + 4;
    if (equal && count > 0) {
        next = parquet_encode_varint(next, (uint64_t)count << 1);
        *next++ = present[0];
    } else if (count > 0) {
        next = parquet_encode_varint(next, ((uint64_t)count + 7) / 8 << 1 | 1);
        next += parquet_encode_booleans(present, count, next);
    }
    const uint32_t length = (uint32_t)(next - out - 4);
    memcpy(out, &length, 4);
    return (size_t)4 + length;
}

size_t parquet_encode_booleans(const uint8_t *values, uint32_t count, uint8_t *out)
{
    const size_t size = ((size_t)count + 7) / 8;
    memset(out, 0, size);
    for (uint32_t i = 0; i < count; i++) out[i / 8] |= (uint8_t)(values[i] << i % 8);
    return size;
}

size_t parquet_encode_decimals(const __int128 *values, uint32_t count, uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const unsigned __int128 value = (unsigned __int128)values[i];
        const uint64_t high = __builtin_bswap64((uint64_t)(value >> 64));
        const uint64_t low = __builtin_bswap64((uint64_t)value);
        memcpy(out + (size_t)i * 16, &high, 8);
        memcpy(out + (size_t)i * 16 + 8, &low, 8);
    }
    return (size_t)count * 16;
}

size_t parquet_encode_texts(const uint8_t *text, const uint32_t *end, uint32_t count, uint8_t *out)
{
    uint8_t *next = out;
    uint32_t begin = 0;
    for (uint32_t i = 0; i < count; i++) {
        ensure(end[i] >= begin);
        const uint32_t size = end[i] - begin;
        memcpy(next, &size, 4);
        memcpy(next + 4, text + begin, size);
        next += 4 + size;
        begin = end[i];
    }
    return (size_t)(next - out);
}
