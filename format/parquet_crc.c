// SPDX-License-Identifier: Apache-2.0
//
// Scalar: table[k][b] is the CRC of byte b followed by k zero bytes, so eight bytes are eight
// independent look-ups combined by XOR. Where the CPU multiplies without carries, long inputs are
// folded first: 128 bits of the message are replaced by what is congruent to them, modulo the
// polynomial, 128 or 512 bits further on, until 128 bits are left for the tables (Gopal et al.,
// "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009).
#include "format/parquet_crc.h"

#include "format/ensure.h"
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads below take bytes in this order");

void parquet_crc_init(struct parquet_crc *crc)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
        crc->table[0][byte] = value;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            const uint32_t before = crc->table[slice - 1][byte];
            crc->table[slice][byte] = before >> 8 ^ crc->table[0][before & 0xff];
        }
    }
    ensure(crc->table[0][1] == 0x77073096u);
#if defined(__x86_64__)
    unsigned a, b, c = 0, d;
    crc->folds = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_PCLMUL) != 0;
#endif
}

// The register after these bytes, if it was `value` before them.
static uint32_t parquet_crc_table(const struct parquet_crc *crc, uint32_t value,
                                  const uint8_t *next, size_t size)
{
    const uint32_t(*t)[256] = crc->table;
    for (; size >= 8; next += 8, size -= 8) {
        uint32_t low, high;
        memcpy(&low, next, 4);
        memcpy(&high, next + 4, 4);
        low ^= value;
        value = t[7][low & 0xff] ^ t[6][low >> 8 & 0xff] ^ t[5][low >> 16 & 0xff] ^
                t[4][low >> 24] ^ t[3][high & 0xff] ^ t[2][high >> 8 & 0xff] ^
                t[1][high >> 16 & 0xff] ^ t[0][high >> 24];
    }
    for (; size > 0; size--) value = value >> 8 ^ t[0][(value ^ *next++) & 0xff];
    return value;
}

#if defined(__x86_64__)

enum { FOLD_BYTES = 16, FOLD_MIN = 4 * FOLD_BYTES };

// x^n modulo the polynomial, bits reversed: what carries 64 bits so far.
static const uint64_t fold_512[2] = {0x154442bd4, 0x1c6e41596};
static const uint64_t fold_128[2] = {0x1751997d0, 0x0ccaa009e};

__attribute__((target("pclmul"))) static __m128i parquet_crc_carry(__m128i part, __m128i by,
                                                                   const uint8_t *onto)
{
    const __m128i low = _mm_clmulepi64_si128(part, by, 0x00);
    const __m128i high = _mm_clmulepi64_si128(part, by, 0x11);
    const __m128i there = _mm_loadu_si128((const __m128i *)(const void *)onto);
    return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

// Folds all whole parts of 16 bytes into the last of them; returns where that ends.
__attribute__((target("pclmul"))) static const uint8_t *
parquet_crc_fold(const uint8_t *next, size_t size, uint32_t value, uint8_t folded[FOLD_BYTES])
{
    const __m128i by_512 = _mm_loadu_si128((const __m128i *)(const void *)fold_512);
    const __m128i by_128 = _mm_loadu_si128((const __m128i *)(const void *)fold_128);
    uint8_t parts[4][FOLD_BYTES];
    __m128i lane[4];
    ensure(size >= FOLD_MIN);
    for (int i = 0; i < 4; i++, next += FOLD_BYTES)
        lane[i] = _mm_loadu_si128((const __m128i *)(const void *)next);
    lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi32_si128((int)value));
    for (size -= FOLD_MIN; size >= FOLD_MIN; size -= FOLD_MIN, next += FOLD_MIN)
        for (int i = 0; i < 4; i++)
            lane[i] = parquet_crc_carry(lane[i], by_512, next + i * FOLD_BYTES);
    for (int i = 0; i < 4; i++) _mm_storeu_si128((__m128i *)(void *)parts[i], lane[i]);
    for (int i = 1; i < 4; i++) lane[0] = parquet_crc_carry(lane[0], by_128, parts[i]);
    for (; size >= FOLD_BYTES; size -= FOLD_BYTES, next += FOLD_BYTES)
        lane[0] = parquet_crc_carry(lane[0], by_128, next);
    _mm_storeu_si128((__m128i *)(void *)folded, lane[0]);
    return next;
}

#endif

uint32_t parquet_crc_of(const struct parquet_crc *crc, const void *bytes, size_t size)
{
    ensure(bytes != NULL || size == 0);
    const uint8_t *next = bytes;
    uint32_t value = 0xffffffffu;
#if defined(__x86_64__)
    if (crc->folds && size >= FOLD_MIN) {
        uint8_t folded[FOLD_BYTES];
        next = parquet_crc_fold(next, size, value, folded);
        size -= (size_t)(next - (const uint8_t *)bytes);
        value = parquet_crc_table(crc, 0, folded, sizeof folded);
    }
#endif
    return ~parquet_crc_table(crc, value, next, size);
}
