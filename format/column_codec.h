// SPDX-License-Identifier: Apache-2.0
//
// column_codec: how the integers of one column of a block are stored. The encoder tries what may be
// smallest and keeps what is; the number of the codec stands in the block's column directory, so
// codecs can be added without touching the container. All arithmetic is modulo 2^64.
//
//     0 constant       zigzag varint value
//     1 plain          8 bytes a value
//     2 packed         base (zigzag varint), step (varint), width (u8), bits lowest first:
//                      value = base + step * bits
//     3 delta packed   first, base, step, width, bits of count - 1 differences
//     4 varint zstd    base, step, one zstd frame of varints: value = base + step * varint
//     5 delta zstd     first, step, one zstd frame of count - 1 zigzag varints:
//                      value = value before + step * varint
//     6 modelled       a model and the lists of its residuals (column_modelled)
//
// 0 to 5 are the codecs of format 1.0; from 1.1 on a writer uses 0 and 6, and 4 and 5 where only a
// general compressor finds the pattern.
//
// Threading: a column_scratch has one owner at a time.
#ifndef RINGTAPE_FORMAT_COLUMN_CODEC_H
#define RINGTAPE_FORMAT_COLUMN_CODEC_H

#include "format/column_modelled.h"
#include "format/wire.h"

enum column_codec_id { // numbers are on disk
    COLUMN_CODEC_CONSTANT = 0,
    COLUMN_CODEC_PLAIN = 1,
    COLUMN_CODEC_PACKED = 2,
    COLUMN_CODEC_DELTA_PACKED = 3,
    COLUMN_CODEC_VARINT_ZSTD = 4,
    COLUMN_CODEC_DELTA_ZSTD = 5,
    COLUMN_CODEC_MODELLED = 6,
    COLUMN_CODEC_COUNT,
};

enum column_bytes_codec_id { // for the bytes of texts and bitmaps
    COLUMN_BYTES_PLAIN = 0,
    COLUMN_BYTES_ZSTD = 1, // one frame
};

struct column_scratch;
// For columns of at most `count_max` values; NULL: out of memory.
struct column_scratch *column_scratch_open(uint32_t count_max);
void column_scratch_close(struct column_scratch *scratch);

// Bytes that `count` values never exceed, and bytes behind them that column_encode() writes to on
// the way there.
static inline size_t column_bytes_max(uint32_t count)
{
    return modelled_bytes_max(count);
}
static inline size_t column_bytes_spare(uint32_t count)
{
    return modelled_bytes_max(count) + list_bytes_spare(count);
}

// How to encode a column, and what else of the block is known.
struct column_coding {
    enum column_level level;
    const struct model_frame *frame;
    const struct model *models; // candidates; those that are not possible are passed over
    unsigned model_count;
    bool takes_first; // the first possible one without a look
    bool tries_zstd;
};

// Writes `count` >= 1 values with the codec that needs the fewest bytes; returns their number.
size_t column_encode(struct column_scratch *scratch, const struct column_coding *coding,
                     const int64_t *values, uint32_t count, uint8_t *out, uint8_t *codec);

enum column_result {
    COLUMN_GOOD,
    COLUMN_BAD,           // impossible content
    COLUMN_UNKNOWN_CODEC, // of a newer version: this column only cannot be read
};
// Decodes exactly `count` values from all of [bytes, bytes + size). `frame` has the columns that
// modelled_needs() tells of.
enum column_result column_decode(struct column_scratch *scratch, const struct model_frame *frame,
                                 uint8_t codec, const uint8_t *bytes, size_t size, int64_t *values,
                                 uint32_t count);
// The same, of which the first `needed` >= 1 values count; those behind may be anything.
enum column_result column_decode_first(struct column_scratch *scratch,
                                       const struct model_frame *frame, uint8_t codec,
                                       const uint8_t *bytes, size_t size, int64_t *values,
                                       uint32_t count, uint32_t needed);

// Bytes as they are or compressed, whichever is smaller. `out` has room for `size` bytes.
size_t column_encode_bytes(struct column_scratch *scratch, const uint8_t *bytes, size_t size,
                           uint8_t *out, uint8_t *codec);
enum column_result column_decode_bytes(struct column_scratch *scratch, uint8_t codec,
                                       const uint8_t *bytes, size_t size, uint8_t *out,
                                       size_t out_size);

const char *column_codec_name(uint8_t codec); // "packed"; "unknown"
// For tests and measurements.
struct modelled_room *column_modelled(struct column_scratch *scratch);

#endif
