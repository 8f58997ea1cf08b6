// SPDX-License-Identifier: Apache-2.0
//
// column_pack: numbers in vectors of 1,024, each vector at the width that takes the fewest bytes:
// numbers that need more have their low bits there and their high bits in a list of patches. What
// is left over at the end, less than 1,024, is packed likewise, bit behind bit.
//
// A vector: u8 width (0 ... 64), bit 7: patched; then, if so, u16 patches (1 ... 1024), u8 width of
// the high parts (1 ... 64); the numbers; the patches, each 10 bits of place and the high part, bit
// behind bit, the last byte zero-padded. Places rise.
//
// Threading: pure functions.
#ifndef RINGTAPE_FORMAT_COLUMN_PACK_H
#define RINGTAPE_FORMAT_COLUMN_PACK_H

#include "format/column_vector.h"
#include "format/wire.h"

// Bytes that pack_encode() will need.
size_t pack_bytes(const struct vector_kernels *kernels, const uint64_t *numbers, uint32_t count);
// Adds to lengths[b] how many numbers need b bits.
uint8_t *pack_encode(const struct vector_kernels *kernels, const uint64_t *numbers, uint32_t count,
                     uint32_t lengths[65], uint8_t *out);
// out[i] = base + step * number i, of the first `needed` of the `count` numbers. False: impossible
// content.
bool pack_decode(const struct vector_kernels *kernels, struct wire_reader *in, uint32_t count,
                 uint32_t needed, uint64_t base, uint64_t step, uint64_t *out);

#endif
