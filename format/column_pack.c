// SPDX-License-Identifier: Apache-2.0
//
// The width of a vector follows from a histogram of lengths alone, so sizes are exact before a byte
// is written.
#include "format/column_pack.h"

#include "format/column_bits.h"
#include "format/ensure.h"

enum {
    PACK_PATCHED = 0x80,
    PACK_PLACE_BITS = 10,
};

struct pack_shape {
    unsigned width;
    unsigned high;    // width of the high parts; 0: no patches
    uint32_t patches;
    size_t bytes;     // of the whole vector
};

static size_t pack_payload(uint32_t count, unsigned width)
{
    return count == VECTOR_COUNT ? vector_bytes(width) : bits_bytes((uint64_t)count * width);
}

// Every width is tried: with w bits the numbers longer than w become patches.
static struct pack_shape pack_shape_of(const uint32_t lengths[65], uint32_t count)
{
    unsigned longest = 64;
    ensure(count > 0 && count <= VECTOR_COUNT);
    while (longest > 0 && lengths[longest] == 0)
        longest--;
    struct pack_shape best = {longest, 0, 0, 1 + pack_payload(count, longest)};
    uint32_t longer = 0;
    for (unsigned width = longest; width-- > 0;) {
        longer += lengths[width + 1];
        unsigned high = longest - width;
        size_t bytes = 4 + pack_payload(count, width) +
                       bits_bytes((uint64_t)longer * (PACK_PLACE_BITS + high));
        if (bytes < best.bytes)
            best = (struct pack_shape){width, high, longer, bytes};
    }
    return best;
}

size_t pack_bytes(const struct vector_kernels *kernels, const uint64_t *numbers, uint32_t count)
{
    size_t bytes = 0;
    ensure(count > 0);
    for (uint32_t at = 0; at < count; at += VECTOR_COUNT) {
        uint32_t part = count - at < VECTOR_COUNT ? count - at : VECTOR_COUNT;
        uint32_t lengths[65] = {0};
        kernels->lengths(numbers + at, part, lengths);
        bytes += pack_shape_of(lengths, part).bytes;
    }
    return bytes;
}

static uint8_t *pack_numbers(const struct vector_kernels *kernels, const uint64_t *numbers,
                             uint32_t count, unsigned width, uint8_t *out)
{
    ensure(width <= 64);
    if (count == VECTOR_COUNT) {
        kernels->pack(numbers, width, out);
        return out + vector_bytes(width);
    }
    struct bits_writer writer = {.out = out};
    for (uint32_t i = 0; i < count; i++)
        bits_put(&writer, numbers[i] & bits_mask(width), width);
    return bits_finish(&writer);
}

// Eight numbers at a time are looked at together: most have no patch.
static uint8_t *pack_patches(const uint64_t *numbers, uint32_t count,
                             const struct pack_shape *shape, uint8_t *out)
{
    struct bits_writer writer = {.out = out};
    ensure(shape->width < 64);
    for (uint32_t i = 0; i < count; i++) {
        if (i % 8 == 0 && i + 8 <= count) {
            uint64_t any = 0;
            for (unsigned n = 0; n < 8; n++)
                any |= numbers[i + n];
            if (any >> shape->width == 0) {
                i += 7;
                continue;
            }
        }
        uint64_t high = numbers[i] >> shape->width;
        if (high == 0)
            continue;
        bits_put(&writer, i, PACK_PLACE_BITS);
        bits_put(&writer, high, shape->high);
    }
    return bits_finish(&writer);
}

static uint8_t *pack_vector(const struct vector_kernels *kernels, const uint64_t *numbers,
                            uint32_t count, uint32_t all_lengths[65], uint8_t *out)
{
    uint32_t lengths[65] = {0};
    kernels->lengths(numbers, count, lengths);
    for (unsigned b = 0; b < 65; b++)
        all_lengths[b] += lengths[b];
    struct pack_shape shape = pack_shape_of(lengths, count);
    ensure(shape.width + shape.high <= 64 && (shape.high == 0) == (shape.patches == 0));
    uint8_t *start = out;
    *out++ = (uint8_t)(shape.width | (shape.high == 0 ? 0 : PACK_PATCHED));
    if (shape.high != 0) {
        *out++ = (uint8_t)shape.patches;
        *out++ = (uint8_t)(shape.patches >> 8);
        *out++ = (uint8_t)shape.high;
    }
    out = pack_numbers(kernels, numbers, count, shape.width, out);
    if (shape.high != 0) {
        out = pack_patches(numbers, count, &shape, out);
    }
    ensure((size_t)(out - start) == shape.bytes);
    return out;
}

uint8_t *pack_encode(const struct vector_kernels *kernels, const uint64_t *numbers, uint32_t count,
                     uint32_t lengths[65], uint8_t *out)
{
    ensure(count > 0);
    for (uint32_t at = 0; at < count; at += VECTOR_COUNT) {
        uint32_t part = count - at < VECTOR_COUNT ? count - at : VECTOR_COUNT;
        out = pack_vector(kernels, numbers + at, part, lengths, out);
    }
    return out;
}

// ---- decoding ----

// The unused bits of the last byte are 0.
static bool pack_clean(const uint8_t *bytes, size_t size, uint64_t bits)
{
    return bits % 8 == 0 || bytes[size - 1] >> (bits % 8) == 0;
}

static bool unpack_patches(struct wire_reader *in, uint32_t count, unsigned width, uint32_t patches,
                           unsigned high, uint64_t step, uint64_t *out)
{
    ensure(high > 0 && width + high <= 64);
    ensure(patches > 0 && patches <= count);
    uint64_t bits = (uint64_t)patches * (PACK_PLACE_BITS + high);
    size_t size = bits_bytes(bits);
    const uint8_t *bytes = wire_get(in, size);
    if (!bytes || !pack_clean(bytes, size, bits))
        return false;
    struct bits_reader reader = {.bytes = bytes, .size = size};
    uint64_t least = 0;
    for (uint32_t p = 0; p < patches; p++) {
        uint64_t place = bits_get(&reader, PACK_PLACE_BITS);
        uint64_t part = bits_get(&reader, high);
        if (place < least || place >= count || part == 0)
            return false;
        out[place] += step * (part << width);
        least = place + 1;
    }
    return true;
}

static bool unpack_rest(struct wire_reader *in, uint32_t count, unsigned width, uint64_t base,
                        uint64_t step, uint64_t *out)
{
    ensure(width <= 64 && count < VECTOR_COUNT);
    uint64_t bits = (uint64_t)count * width;
    size_t size = bits_bytes(bits);
    const uint8_t *bytes = wire_get(in, size);
    if (!bytes || !pack_clean(bytes, size, bits))
        return false;
    for (uint32_t i = 0; i < count; i++)
        out[i] = base + step * bits_at(bytes, size, (uint64_t)i * width, width);
    return true;
}

struct pack_head {
    unsigned width;
    unsigned high; // bits of a patch above the width
    uint32_t patches;
};

static bool get_pack_head(struct wire_reader *in, uint32_t count, struct pack_head *head)
{
    unsigned form = wire_get_u8(in);
    bool patched = (form & PACK_PATCHED) != 0;
    head->width = form & ~(unsigned)PACK_PATCHED;
    head->patches = patched ? wire_get_u16(in) : 0;
    head->high = patched ? wire_get_u8(in) : 0;
    return !in->failed && head->width + head->high <= 64 && head->patches <= count &&
           (!patched || (head->patches != 0 && head->high != 0));
}

static bool unpack_vector(const struct vector_kernels *kernels, struct wire_reader *in,
                          uint32_t count, uint64_t base, uint64_t step, uint64_t *out)
{
    struct pack_head head;
    if (!get_pack_head(in, count, &head))
        return false;
    if (count == VECTOR_COUNT) {
        const uint8_t *bytes = wire_get(in, vector_bytes(head.width));
        if (!bytes)
            return false;
        kernels->unpack(bytes, head.width, base, step, out);
    } else if (!unpack_rest(in, count, head.width, base, step, out)) {
        return false;
    }
    return head.patches == 0 ||
           unpack_patches(in, count, head.width, head.patches, head.high, step, out);
}

static bool skip_vector(struct wire_reader *in, uint32_t count)
{
    struct pack_head head;
    if (!get_pack_head(in, count, &head))
        return false;
    size_t size = count == VECTOR_COUNT ? vector_bytes(head.width)
                                        : bits_bytes((uint64_t)count * head.width);
    size += bits_bytes((uint64_t)head.patches * (PACK_PLACE_BITS + head.high));
    return wire_get(in, size) != NULL || size == 0;
}

bool pack_decode(const struct vector_kernels *kernels, struct wire_reader *in, uint32_t count,
                 uint32_t needed, uint64_t base, uint64_t step, uint64_t *out)
{
    ensure(count > 0 && needed <= count);
    for (uint32_t at = 0; at < count; at += VECTOR_COUNT) {
        uint32_t part = count - at < VECTOR_COUNT ? count - at : VECTOR_COUNT;
        bool good = at < needed ? unpack_vector(kernels, in, part, base, step, out + at)
                                : skip_vector(in, part);
        if (!good)
            return false;
    }
    return true;
}
