// SPDX-License-Identifier: Apache-2.0
//
// parquet_encode: values → the bytes of one page, before compression. Pure functions.
//
// `out` must have room for the matching *_bound(); every function returns the bytes written.
// Source: apache/parquet-format, Encodings.md.
#ifndef RINGTAPE_FORMAT_PARQUET_ENCODE_H
#define RINGTAPE_FORMAT_PARQUET_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// DELTA_BINARY_PACKED of int64: blocks of 128 values, four miniblocks of 32. `whole_bytes`: deltas
// are not counted from the least one but from 0, if none is below, and have the same whole bytes in
// all of a block; equal deltas are equal bytes then. `out` needs all of its bound, even where less
// is returned.
size_t parquet_encode_delta_bound(uint32_t count);
size_t parquet_encode_delta(const int64_t *values, uint32_t count, bool whole_bytes, uint8_t *out);

// RLE / bit-packing hybrid of numbers below 2^width, 1 <= width <= 32.
size_t parquet_encode_hybrid_bound(uint32_t count, int width);
size_t parquet_encode_hybrid(const uint32_t *values, uint32_t count, int width, uint8_t *out);

// The same numbers, width 8 or 16: a number then has whole bytes, in which zstd finds what repeats.
size_t parquet_encode_whole_bytes_bound(uint32_t count, int width);
size_t parquet_encode_whole_bytes(const uint32_t *values, uint32_t count, int width, uint8_t *out);

// Definition levels of a version 1 page: four bytes of length, then the hybrid of width 1.
// `present`: one byte a row, 0 or 1.
size_t parquet_encode_levels_bound(uint32_t count);
size_t parquet_encode_levels(const uint8_t *present, uint32_t count, uint8_t *out);

// PLAIN: bits, lowest first; `count` / 8 bytes rounded up.
size_t parquet_encode_booleans(const uint8_t *values, uint32_t count, uint8_t *out);
// PLAIN FIXED_LEN_BYTE_ARRAY(16): two's complement, highest byte first; 16 bytes a value.
size_t parquet_encode_decimals(const __int128 *values, uint32_t count, uint8_t *out);
// PLAIN BYTE_ARRAY: each text after its length in four bytes; texts lie in `text` one after the
// other, value i ends at end[i].
size_t parquet_encode_texts(const uint8_t *text, const uint32_t *end, uint32_t count, uint8_t *out);

#endif
