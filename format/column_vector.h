// SPDX-License-Identifier: Apache-2.0
//
// column_vector: 1,024 numbers of one width, laid out so that a plain loop over 16 lanes packs and
// unpacks them with vector instructions and without a serial chain (the idea of FastLanes: Afroozeh
// and Boncz, "The FastLanes Compression Layout", VLDB 2023; its byte layout is not that one).
//
// Layout. Number i lies in lane i % 16 at place i / 16. A lane is 64 numbers of `width` bits one
// behind the other, lowest bit first: `width` words of 64 bits. Word j of lane l is word j * 16 +
// l.
//
// There are three implementations, all of the same bytes: scalar (the reference), the machine's
// baseline (AVX2 on x86-64-v3, NEON on aarch64), and AVX-512, chosen once at run time.
//
// Threading: pure functions.
#ifndef RINGTAPE_FORMAT_COLUMN_VECTOR_H
#define RINGTAPE_FORMAT_COLUMN_VECTOR_H

#include <stddef.h>
#include <stdint.h>

enum {
    VECTOR_COUNT = 1024,
    VECTOR_LANES = 16,
    VECTOR_PLACES = VECTOR_COUNT / VECTOR_LANES,
};

static inline size_t vector_bytes(unsigned width)
{
    return (size_t)width * VECTOR_COUNT / 8;
}

struct vector_kernels {
    const char *name;
    // The low `width` (0 ... 64) bits of values[0 ... 1024) to vector_bytes(width) bytes.
    void (*pack)(const uint64_t *values, unsigned width, uint8_t *out);
    // out[i] = base + step * number i.
    void (*unpack)(const uint8_t *bytes, unsigned width, uint64_t base, uint64_t step,
                   uint64_t *out);
    // Adds to histogram[b] how many of values[0 ... count) need b bits.
    void (*lengths)(const uint64_t *values, uint32_t count, uint32_t histogram[65]);
    // Bit i of `bitmap`: values[i] != values[i - 1]; bit 0 is `first`. Unused bits of the last byte
    // are 0.
    void (*changes)(const uint64_t *values, uint32_t count, unsigned first, uint8_t *bitmap);
    // Bit i of `bitmap`: values[i] != value.
    void (*differs)(const uint64_t *values, uint32_t count, uint64_t value, uint8_t *bitmap);
    // Appends numbers[i] to `ones` where bit i of `bitmap` is set, else to `zeros`. Eight numbers
    // behind the end of both may be written.
    void (*split)(const uint8_t *bitmap, uint32_t count, const uint64_t *numbers, uint64_t *zeros,
                  uint64_t *ones);
    // out[i] = bit i of `bitmap` set ? *ones++ : *zeros++. Eight numbers behind the end of both may
    // be read.
    void (*merge)(const uint8_t *bitmap, uint32_t count, const uint64_t *zeros,
                  const uint64_t *ones, uint64_t *out);
    // The same with one number for all the zeros.
    void (*fill)(const uint8_t *bitmap, uint32_t count, uint64_t zero, const uint64_t *ones,
                 uint64_t *out);
};

// The fastest this machine runs.
const struct vector_kernels *vector_kernels(void);
// For tests and measurements: number `index`, slowest first; NULL behind the last that runs here.
const struct vector_kernels *vector_kernels_at(unsigned index);

#endif
