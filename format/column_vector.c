// SPDX-License-Identifier: Apache-2.0
//
// One body of each loop, compiled for the baseline and for AVX-512 by function attributes; the
// scalar reference is written on its own, number by number, so that tests compare two thoughts and
// not two compilations of one. Zen 5, widths 1 ... 32: unpack 0.07 ns a number with AVX-512, 0.12
// at the baseline, 0.9 scalar (bench/format).
#include "format/column_vector.h"

#include <stdbool.h>
#include <string.h>

#include "format/column_bits.h"
#include "format/ensure.h"

// ---- scalar reference ----

static void scalar_pack(const uint64_t *values, unsigned width, uint8_t *out)
{
    ensure(width <= 64);
    memset(out, 0, vector_bytes(width));
    for (unsigned i = 0; i < VECTOR_COUNT; i++) {
        for (unsigned b = 0; b < width; b++) {
            unsigned bit = i / VECTOR_LANES * width + b;
            size_t word = (size_t)(bit / 64) * VECTOR_LANES + i % VECTOR_LANES;
            out[word * 8 + bit % 64 / 8] |= (uint8_t)((values[i] >> b & 1) << (bit % 8));
        }
    }
}

static void scalar_unpack(const uint8_t *bytes, unsigned width, uint64_t base, uint64_t step,
                          uint64_t *out)
{
    ensure(width <= 64);
    for (unsigned i = 0; i < VECTOR_COUNT; i++) {
        uint64_t value = 0;
        for (unsigned b = 0; b < width; b++) {
            unsigned bit = i / VECTOR_LANES * width + b;
            size_t word = (size_t)(bit / 64) * VECTOR_LANES + i % VECTOR_LANES;
            value |= (uint64_t)(bytes[word * 8 + bit % 64 / 8] >> (bit % 8) & 1) << b;
        }
        out[i] = base + step * value;
    }
}

static void scalar_lengths(const uint64_t *values, uint32_t count, uint32_t histogram[65])
{
    for (uint32_t i = 0; i < count; i++)
        histogram[bits_length(values[i])]++;
}

static void scalar_changes(const uint64_t *values, uint32_t count, unsigned first, uint8_t *bitmap)
{
    ensure(first <= 1);
    memset(bitmap, 0, bits_bytes(count));
    for (uint32_t i = 0; i < count; i++) {
        unsigned changed = i == 0 ? first : values[i] != values[i - 1];
        bitmap[i / 8] |= (uint8_t)(changed << (i % 8));
    }
}

static void scalar_differs(const uint64_t *values, uint32_t count, uint64_t value, uint8_t *bitmap)
{
    memset(bitmap, 0, bits_bytes(count));
    for (uint32_t i = 0; i < count; i++)
        bitmap[i / 8] |= (uint8_t)((unsigned)(values[i] != value) << (i % 8));
}

static void scalar_split(const uint8_t *bitmap, uint32_t count, const uint64_t *numbers,
                         uint64_t *zeros, uint64_t *ones)
{
    for (uint32_t i = 0; i < count; i++) {
        if (bitmap[i / 8] >> (i % 8) & 1)
            *ones++ = numbers[i];
        else
            *zeros++ = numbers[i];
    }
}

static void scalar_merge(const uint8_t *bitmap, uint32_t count, const uint64_t *zeros,
                         const uint64_t *ones, uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = bitmap[i / 8] >> (i % 8) & 1 ? *ones++ : *zeros++;
}

static void scalar_fill(const uint8_t *bitmap, uint32_t count, uint64_t zero, const uint64_t *ones,
                        uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = bitmap[i / 8] >> (i % 8) & 1 ? *ones++ : zero;
}

static const struct vector_kernels vector_scalar = {
    "scalar",       scalar_pack,    scalar_unpack, scalar_lengths, scalar_changes,
    scalar_differs, scalar_split,   scalar_merge,  scalar_fill,
};

// ---- the loops ----

#define VECTOR_INLINE static inline __attribute__((always_inline))

// Words are little-endian in the file; so is every machine this is built for.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are stored as they are");

VECTOR_INLINE void lanes_pack(const uint64_t *values, unsigned width, uint8_t *out)
{
    uint64_t pending[VECTOR_LANES] = {0};
    uint64_t mask = bits_mask(width);
    unsigned used = 0;
    for (unsigned place = 0; place < VECTOR_PLACES; place++) {
        const uint64_t *row = values + place * VECTOR_LANES;
        for (unsigned lane = 0; lane < VECTOR_LANES; lane++)
            pending[lane] |= (row[lane] & mask) << used;
        used += width;
        if (used < 64)
            continue;
        used -= 64;
        memcpy(out, pending, sizeof pending);
        out += sizeof pending;
        // What did not fit: the high `used` bits of the number.
        unsigned taken = width - used;
        for (unsigned lane = 0; lane < VECTOR_LANES; lane++)
            pending[lane] = used == 0 ? 0 : (row[lane] & mask) >> (taken & 63);
    }
    ensure(used == 0);
}

VECTOR_INLINE void lanes_unpack(const uint8_t *bytes, unsigned width, uint64_t base, uint64_t step,
                                uint64_t *out)
{
    uint64_t mask = bits_mask(width);
    uint64_t word[VECTOR_LANES] = {0};
    unsigned used = 64; // bits of `word` taken
    for (unsigned place = 0; place < VECTOR_PLACES; place++) {
        uint64_t *row = out + place * VECTOR_LANES;
        if (used + width <= 64) {
            for (unsigned lane = 0; lane < VECTOR_LANES; lane++)
                row[lane] = base + step * (word[lane] >> (used & 63) & mask);
            used += width;
            continue;
        }
        uint64_t next[VECTOR_LANES];
        memcpy(next, bytes, sizeof next);
        bytes += sizeof next;
        unsigned left = 64 - used; // < width <= 64
        for (unsigned lane = 0; lane < VECTOR_LANES; lane++) {
            uint64_t low = left == 0 ? 0 : word[lane] >> used;
            row[lane] = base + step * ((low | next[lane] << left) & mask);
            word[lane] = next[lane];
        }
        used = width - left;
    }
}

// Four histograms: one counter hit twice in a row would wait for its own store.
VECTOR_INLINE void lanes_lengths(const uint64_t *values, uint32_t count, uint32_t histogram[65])
{
    uint32_t parts[4][65] = {{0}};
    uint64_t lengths[VECTOR_LANES];
    uint32_t i = 0;
    for (; i + VECTOR_LANES <= count; i += VECTOR_LANES) {
        for (unsigned lane = 0; lane < VECTOR_LANES; lane++)
            lengths[lane] = bits_length(values[i + lane]);
        for (unsigned lane = 0; lane < VECTOR_LANES; lane++)
            parts[lane % 4][lengths[lane]]++;
    }
    for (; i < count; i++)
        histogram[bits_length(values[i])]++;
    for (unsigned b = 0; b < 65; b++)
        histogram[b] += parts[0][b] + parts[1][b] + parts[2][b] + parts[3][b];
}

VECTOR_INLINE void lanes_changes(const uint64_t *values, uint32_t count, unsigned first,
                                 uint8_t *bitmap)
{
    for (uint32_t i = 0; i < count; i += 8) {
        uint32_t end = count - i < 8 ? count - i : 8;
        unsigned byte = i == 0 ? first : values[i] != values[i - 1];
        for (uint32_t b = 1; b < end; b++)
            byte |= (unsigned)(values[i + b] != values[i + b - 1]) << b;
        bitmap[i / 8] = (uint8_t)byte;
    }
}

VECTOR_INLINE void lanes_differs(const uint64_t *values, uint32_t count, uint64_t value,
                                 uint8_t *bitmap)
{
    for (uint32_t i = 0; i < count; i += 8) {
        uint32_t end = count - i < 8 ? count - i : 8;
        unsigned byte = 0;
        for (uint32_t b = 0; b < end; b++)
            byte |= (unsigned)(values[i + b] != value) << b;
        bitmap[i / 8] = (uint8_t)byte;
    }
}

VECTOR_INLINE void lanes_split(const uint8_t *bitmap, uint32_t count, const uint64_t *numbers,
                               uint64_t *zeros, uint64_t *ones)
{
    for (uint32_t i = 0; i < count; i++) {
        unsigned bit = bitmap[i / 8] >> (i % 8) & 1;
        *ones = numbers[i]; // the next one overwrites it where it does not belong here
        *zeros = numbers[i];
        ones += bit;
        zeros += bit ^ 1;
    }
}

VECTOR_INLINE void lanes_merge(const uint8_t *bitmap, uint32_t count, const uint64_t *zeros,
                               const uint64_t *ones, uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        unsigned bit = bitmap[i / 8] >> (i % 8) & 1;
        uint64_t zero = *zeros;
        uint64_t one = *ones;
        out[i] = bit ? one : zero;
        ones += bit;
        zeros += bit ^ 1;
    }
}

VECTOR_INLINE void lanes_fill(const uint8_t *bitmap, uint32_t count, uint64_t zero,
                              const uint64_t *ones, uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        unsigned bit = bitmap[i / 8] >> (i % 8) & 1;
        uint64_t one = *ones;
        out[i] = bit ? one : zero;
        ones += bit;
    }
}

#define VECTOR_KERNELS(kernel, attribute)                                                          \
    attribute static void kernel##_pack(const uint64_t *values, unsigned width, uint8_t *out)      \
    {                                                                                              \
        ensure(width <= 64);                                                                       \
        lanes_pack(values, width, out);                                                            \
    }                                                                                              \
    attribute static void kernel##_unpack(const uint8_t *bytes, unsigned width, uint64_t base,     \
                                          uint64_t step, uint64_t *out)                            \
    {                                                                                              \
        ensure(width <= 64);                                                                       \
        lanes_unpack(bytes, width, base, step, out);                                               \
    }                                                                                              \
    attribute static void kernel##_lengths(const uint64_t *values, uint32_t count,                 \
                                           uint32_t histogram[65])                                 \
    {                                                                                              \
        lanes_lengths(values, count, histogram);                                                   \
    }

VECTOR_KERNELS(baseline, )

static void baseline_changes(const uint64_t *values, uint32_t count, unsigned first,
                             uint8_t *bitmap)
{
    ensure(first <= 1);
    lanes_changes(values, count, first, bitmap);
}

static void baseline_differs(const uint64_t *values, uint32_t count, uint64_t value,
                             uint8_t *bitmap)
{
    lanes_differs(values, count, value, bitmap);
}

static void baseline_split(const uint8_t *bitmap, uint32_t count, const uint64_t *numbers,
                           uint64_t *zeros, uint64_t *ones)
{
    lanes_split(bitmap, count, numbers, zeros, ones);
}

static void baseline_merge(const uint8_t *bitmap, uint32_t count, const uint64_t *zeros,
                           const uint64_t *ones, uint64_t *out)
{
    lanes_merge(bitmap, count, zeros, ones, out);
}

static void baseline_fill(const uint8_t *bitmap, uint32_t count, uint64_t zero,
                          const uint64_t *ones, uint64_t *out)
{
    lanes_fill(bitmap, count, zero, ones, out);
}

static const struct vector_kernels vector_baseline = {
    "baseline",       baseline_pack,  baseline_unpack, baseline_lengths, baseline_changes,
    baseline_differs, baseline_split, baseline_merge,  baseline_fill,
};

// ---- AVX-512 ----

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define VECTOR_FEATURES "avx512f,avx512cd,avx512dq,avx512bw,avx512vl"
#if defined(__clang__) && __clang_major__ >= 18 && __clang_major__ <= 20
// These take the wish below for one to have no registers of 512 bits at all.
#define VECTOR_AVX512 __attribute__((target(VECTOR_FEATURES)))
#else
#define VECTOR_AVX512 __attribute__((target(VECTOR_FEATURES ",no-prefer-256-bit")))
#endif

VECTOR_KERNELS(avx512, VECTOR_AVX512)

VECTOR_AVX512 static void avx512_changes(const uint64_t *values, uint32_t count, unsigned first,
                                         uint8_t *bitmap)
{
    ensure(first <= 1);
    lanes_changes(values, count < 8 ? count : 8, first, bitmap);
    uint32_t i = 8;
    for (; i + 8 <= count; i += 8)
        bitmap[i / 8] = _mm512_cmpneq_epu64_mask(_mm512_loadu_si512(values + i),
                                                 _mm512_loadu_si512(values + i - 1));
    if (i < count)
        lanes_changes(values + i, count - i, values[i] != values[i - 1], bitmap + i / 8);
}

VECTOR_AVX512 static void avx512_differs(const uint64_t *values, uint32_t count, uint64_t value,
                                         uint8_t *bitmap)
{
    __m512i same = _mm512_set1_epi64((long long)value);
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8)
        bitmap[i / 8] = _mm512_cmpneq_epu64_mask(_mm512_loadu_si512(values + i), same);
    lanes_differs(values + i, count - i, value, bitmap + i / 8);
}

VECTOR_AVX512 static void avx512_split(const uint8_t *bitmap, uint32_t count,
                                       const uint64_t *numbers, uint64_t *zeros, uint64_t *ones)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __mmask8 mask = bitmap[i / 8];
        __m512i eight = _mm512_loadu_si512(numbers + i);
        unsigned set = (unsigned)__builtin_popcount(mask);
        _mm512_storeu_si512(zeros, _mm512_maskz_compress_epi64((__mmask8)~mask, eight));
        _mm512_storeu_si512(ones, _mm512_maskz_compress_epi64(mask, eight));
        ones += set;
        zeros += 8 - set;
    }
    lanes_split(bitmap + i / 8, count - i, numbers + i, zeros, ones);
}

VECTOR_AVX512 static void avx512_merge(const uint8_t *bitmap, uint32_t count,
                                       const uint64_t *zeros, const uint64_t *ones, uint64_t *out)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __mmask8 mask = bitmap[i / 8];
        __m512i from_zeros =
            _mm512_maskz_expand_epi64((__mmask8)~mask, _mm512_loadu_si512(zeros));
        __m512i merged = _mm512_mask_expand_epi64(from_zeros, mask, _mm512_loadu_si512(ones));
        unsigned set = (unsigned)__builtin_popcount(mask);
        _mm512_storeu_si512(out + i, merged);
        ones += set;
        zeros += 8 - set;
    }
    lanes_merge(bitmap + i / 8, count - i, zeros, ones, out + i);
}

VECTOR_AVX512 static void avx512_fill(const uint8_t *bitmap, uint32_t count, uint64_t zero,
                                      const uint64_t *ones, uint64_t *out)
{
    __m512i zeros = _mm512_set1_epi64((long long)zero);
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __mmask8 mask = bitmap[i / 8];
        _mm512_storeu_si512(out + i,
                            _mm512_mask_expand_epi64(zeros, mask, _mm512_loadu_si512(ones)));
        ones += __builtin_popcount(mask);
    }
    lanes_fill(bitmap + i / 8, count - i, zero, ones, out + i);
}

static const struct vector_kernels vector_avx512 = {
    "avx512",       avx512_pack,  avx512_unpack, avx512_lengths, avx512_changes,
    avx512_differs, avx512_split, avx512_merge,  avx512_fill,
};

// Intel SDM volume 1, 15.2: the processor has F, DQ, CD, BW and VL, and the system saves the
// registers. (__builtin_cpu_supports() needs a part of libgcc that not every linker brings.)
static bool vector_has_avx512(void)
{
    const unsigned wanted = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1))
        return false;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    if ((low & 0xe6) != 0xe6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    return (b & wanted) == wanted;
}
#endif

// ---- choice ----

const struct vector_kernels *vector_kernels_at(unsigned index)
{
    if (index == 0)
        return &vector_scalar;
    if (index == 1)
        return &vector_baseline;
#if defined(__x86_64__)
    if (index == 2 && vector_has_avx512())
        return &vector_avx512;
#endif
    return NULL;
}

const struct vector_kernels *vector_kernels(void)
{
    const struct vector_kernels *best = NULL;
    for (unsigned i = 0; vector_kernels_at(i); i++)
        best = vector_kernels_at(i);
    ensure(best);
    return best;
}
