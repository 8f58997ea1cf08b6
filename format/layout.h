// SPDX-License-Identifier: Apache-2.0
//
// layout: what lies on disk, field by field. docs/format.md is the specification; this header is
// its twin in C, and every offset is asserted here. All integers are little-endian; the library
// compiles for little-endian machines only and copies these structs as they are.
//
// A hash is XXH3-64 (seed 0) of stored bytes. The last 8 bytes of each header are the hash of all
// bytes of the header before them.
#ifndef RINGTAPE_FORMAT_LAYOUT_H
#define RINGTAPE_FORMAT_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian machines are not supported");

enum {
    LAYOUT_MAJOR = 1, // a reader refuses another major
    LAYOUT_MINOR = 0, // a reader reads any minor of its major
    LAYOUT_SEGMENT_MINOR = 1, // of segments and their blocks: 1 brought codec 6
    LAYOUT_SECTOR = 4096, // unit of every tape write
    LAYOUT_HEADER_BYTES = 128, // batch and block headers
    LAYOUT_STORE_ID_BYTES = 16,
    LAYOUT_WRITER_BYTES = 64,
};

// The first eight bytes of each structure. Text with a control character and a byte above 127: no
// text file begins like that, and a transfer that mangles line ends or the eighth bit is noticed.
#define LAYOUT_MAGIC(a, b, c, d)                                                                   \
    ((uint64_t)0xd2 | (uint64_t)'R' << 8 | (uint64_t)'T' << 16 | (uint64_t)(a) << 24 |             \
     (uint64_t)(b) << 32 | (uint64_t)(c) << 40 | (uint64_t)(d) << 48 | (uint64_t)'\n' << 56)
#define LAYOUT_TAPE_MAGIC LAYOUT_MAGIC('T', 'A', 'P', 'E')
#define LAYOUT_BATCH_MAGIC LAYOUT_MAGIC('B', 'T', 'C', 'H')
#define LAYOUT_MARK_MAGIC LAYOUT_MAGIC('M', 'A', 'R', 'K')
#define LAYOUT_SEGMENT_MAGIC LAYOUT_MAGIC('S', 'E', 'G', 'M')
#define LAYOUT_BLOCK_MAGIC LAYOUT_MAGIC('B', 'L', 'C', 'K')
#define LAYOUT_FOOTER_MAGIC LAYOUT_MAGIC('F', 'O', 'O', 'T')
#define LAYOUT_INDEX_MAGIC LAYOUT_MAGIC('I', 'N', 'D', 'X')

#define LAYOUT_AT(type, field, offset)                                                             \
    _Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define LAYOUT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)

// Where an earlier tape of the store ends, in the header of a later one (docs/format.md "Ends of
// earlier tapes").
struct layout_tape_end {
    uint64_t salt;     // of that tape
    uint64_t sequence; // its last durable batch; 0: none
    uint64_t rows;     // up to there
    uint64_t end;      // byte behind that batch
    uint32_t revision;
    uint32_t number; // of that tape
};
LAYOUT_AT(layout_tape_end, salt, 0);
LAYOUT_AT(layout_tape_end, sequence, 8);
LAYOUT_AT(layout_tape_end, rows, 16);
LAYOUT_AT(layout_tape_end, end, 24);
LAYOUT_AT(layout_tape_end, revision, 32);
LAYOUT_AT(layout_tape_end, number, 36);
LAYOUT_SIZE(layout_tape_end, 40);

enum { LAYOUT_TAPE_ENDS_MAX = 32 };

enum layout_tape_optional { // feature bits of a tape's header
    LAYOUT_TAPE_ENDS = 1, // ends[] is filled
    LAYOUT_TAPE_GAPS = 2, // rewritten after damage: row numbers may leave gaps between batches
};

// Sector 0 of a tape.
struct layout_tape {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // 4096
    uint16_t required;     // feature bits a reader must know all of
    uint16_t optional;     // layout_tape_optional; a reader may ignore them
    uint8_t store[LAYOUT_STORE_ID_BYTES];
    uint64_t salt; // random; repeated in every batch
    int64_t created_ns;
    uint32_t number;
    uint32_t shard;
    uint8_t writer[LAYOUT_WRITER_BYTES]; // version of the program, zero-padded
    uint32_t end_count;
    uint32_t zero;
    struct layout_tape_end ends[LAYOUT_TAPE_ENDS_MAX];
    uint8_t zero_2[2680]; // written 0, ignored by readers
    uint64_t hash;
};
LAYOUT_AT(layout_tape, magic, 0);
LAYOUT_AT(layout_tape, major, 8);
LAYOUT_AT(layout_tape, minor, 9);
LAYOUT_AT(layout_tape, header_bytes, 10);
LAYOUT_AT(layout_tape, required, 12);
LAYOUT_AT(layout_tape, optional, 14);
LAYOUT_AT(layout_tape, store, 16);
LAYOUT_AT(layout_tape, salt, 32);
LAYOUT_AT(layout_tape, created_ns, 40);
LAYOUT_AT(layout_tape, number, 48);
LAYOUT_AT(layout_tape, shard, 52);
LAYOUT_AT(layout_tape, writer, 56);
LAYOUT_AT(layout_tape, end_count, 120);
LAYOUT_AT(layout_tape, zero, 124);
LAYOUT_AT(layout_tape, ends, 128);
LAYOUT_AT(layout_tape, zero_2, 1408);
LAYOUT_AT(layout_tape, hash, 4088);
LAYOUT_SIZE(layout_tape, LAYOUT_SECTOR);

enum layout_batch_flags {
    LAYOUT_BATCH_SLOTTED = 1, // header and payload fit in one sector: owns two
};

struct layout_batch {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // 128 ... 4096, multiple of 8; more than 128: ignored but hashed
    uint16_t required;
    uint16_t optional;
    uint64_t salt;
    uint64_t sequence; // 1, 2, 3 ... within the tape
    uint32_t revision; // 0, 1, 2 ... of a slotted batch
    uint32_t rows;
    uint32_t payload_bytes;
    uint32_t symbols;
    uint64_t durable_sequence; // known durable when this was written; 0: nothing
    uint32_t durable_revision;
    uint16_t flags;    // layout_batch_flags; others 0, a reader refuses them
    uint16_t channels; // bit c: rows of channel c are inside
    int64_t time_min;
    int64_t time_max;
    int64_t receive_min; // > receive_max: no row has a receive time
    int64_t receive_max;
    uint64_t first_row;     // number of the batch's first row in the tape
    uint64_t previous_hash; // `hash` of the last revision of sequence - 1; of the tape header for 1
    uint64_t payload_hash;
    uint64_t hash; // at header_bytes - 8
};
LAYOUT_AT(layout_batch, magic, 0);
LAYOUT_AT(layout_batch, major, 8);
LAYOUT_AT(layout_batch, minor, 9);
LAYOUT_AT(layout_batch, header_bytes, 10);
LAYOUT_AT(layout_batch, required, 12);
LAYOUT_AT(layout_batch, optional, 14);
LAYOUT_AT(layout_batch, salt, 16);
LAYOUT_AT(layout_batch, sequence, 24);
LAYOUT_AT(layout_batch, revision, 32);
LAYOUT_AT(layout_batch, rows, 36);
LAYOUT_AT(layout_batch, payload_bytes, 40);
LAYOUT_AT(layout_batch, symbols, 44);
LAYOUT_AT(layout_batch, durable_sequence, 48);
LAYOUT_AT(layout_batch, durable_revision, 56);
LAYOUT_AT(layout_batch, flags, 60);
LAYOUT_AT(layout_batch, channels, 62);
LAYOUT_AT(layout_batch, time_min, 64);
LAYOUT_AT(layout_batch, time_max, 72);
LAYOUT_AT(layout_batch, receive_min, 80);
LAYOUT_AT(layout_batch, receive_max, 88);
LAYOUT_AT(layout_batch, first_row, 96);
LAYOUT_AT(layout_batch, previous_hash, 104);
LAYOUT_AT(layout_batch, payload_hash, 112);
LAYOUT_AT(layout_batch, hash, 120);
LAYOUT_SIZE(layout_batch, LAYOUT_HEADER_BYTES);

enum layout_mark_flags {
    LAYOUT_MARK_CLOSED = 1, // the tape is complete: nothing is written behind the position
};

// One of the two slots of a .mark file, each in its own sector.
struct layout_mark {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // 4096
    uint32_t flags;
    uint64_t counter; // 1, 2, 3 ...; slot = counter & 1
    uint64_t salt;    // of the tape
    uint64_t sequence; // known durable
    uint64_t rows;     // of the tape up to there
    uint64_t end;      // byte behind the last durable batch (both slots of a slotted one)
    uint32_t revision;
    uint32_t number; // of the tape
    uint8_t zero[4024];
    uint64_t hash;
};
LAYOUT_AT(layout_mark, magic, 0);
LAYOUT_AT(layout_mark, major, 8);
LAYOUT_AT(layout_mark, minor, 9);
LAYOUT_AT(layout_mark, header_bytes, 10);
LAYOUT_AT(layout_mark, flags, 12);
LAYOUT_AT(layout_mark, counter, 16);
LAYOUT_AT(layout_mark, salt, 24);
LAYOUT_AT(layout_mark, sequence, 32);
LAYOUT_AT(layout_mark, rows, 40);
LAYOUT_AT(layout_mark, end, 48);
LAYOUT_AT(layout_mark, revision, 56);
LAYOUT_AT(layout_mark, number, 60);
LAYOUT_AT(layout_mark, zero, 64);
LAYOUT_AT(layout_mark, hash, 4088);
LAYOUT_SIZE(layout_mark, LAYOUT_SECTOR);

// Start of a segment; the column list follows within header_bytes, the hash is at header_bytes - 8.
struct layout_segment {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // multiple of 8
    uint16_t required;
    uint16_t optional;
    uint8_t store[LAYOUT_STORE_ID_BYTES];
    uint64_t salt;
    int64_t created_ns;
    uint32_t number;
    int32_t day; // days since 1970-01-01 UTC
    uint8_t channel;
    uint8_t columns; // of the column list
    uint16_t zero;
    uint32_t zero_2;
    uint64_t schema_hash; // of the bytes of the column list
    uint8_t writer[LAYOUT_WRITER_BYTES];
};
LAYOUT_AT(layout_segment, magic, 0);
LAYOUT_AT(layout_segment, major, 8);
LAYOUT_AT(layout_segment, minor, 9);
LAYOUT_AT(layout_segment, header_bytes, 10);
LAYOUT_AT(layout_segment, required, 12);
LAYOUT_AT(layout_segment, optional, 14);
LAYOUT_AT(layout_segment, store, 16);
LAYOUT_AT(layout_segment, salt, 32);
LAYOUT_AT(layout_segment, created_ns, 40);
LAYOUT_AT(layout_segment, number, 48);
LAYOUT_AT(layout_segment, day, 52);
LAYOUT_AT(layout_segment, channel, 56);
LAYOUT_AT(layout_segment, columns, 57);
LAYOUT_AT(layout_segment, zero, 58);
LAYOUT_AT(layout_segment, zero_2, 60);
LAYOUT_AT(layout_segment, schema_hash, 64);
LAYOUT_AT(layout_segment, writer, 72);
LAYOUT_SIZE(layout_segment, 136);

enum layout_block_flags {
    LAYOUT_BLOCK_SHARED = 1, // rows of several symbols, or of none
};

enum layout_block_optional { // feature bits of a block's header
    LAYOUT_BLOCK_LIGHT = 1, // coded in haste: a merge codes it again
};

struct layout_block {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // as in a batch
    uint16_t required;
    uint16_t optional; // layout_block_optional; a reader may ignore them
    uint64_t salt;
    uint32_t number; // 0, 1, 2 ... within the segment
    uint32_t rows;
    uint32_t levels;
    uint32_t text_bytes;
    uint32_t payload_bytes;
    uint32_t symbol; // number in the segment of the first name
    uint8_t channel;
    uint8_t columns; // entries of the column directory
    uint8_t flags;   // layout_block_flags; others 0, a reader refuses them
    uint8_t price_scale;
    uint32_t symbols; // names at the start of the payload
    int64_t time_min;
    int64_t time_max;
    int64_t id_min; // > id_max: no ids
    int64_t id_max;
    int64_t price_min; // > price_max: no prices
    int64_t price_max;
    uint64_t previous_hash; // `hash` of the block before; of the segment header for block 0
    uint64_t payload_hash;
    uint64_t hash;
};
LAYOUT_AT(layout_block, magic, 0);
LAYOUT_AT(layout_block, major, 8);
LAYOUT_AT(layout_block, minor, 9);
LAYOUT_AT(layout_block, header_bytes, 10);
LAYOUT_AT(layout_block, required, 12);
LAYOUT_AT(layout_block, optional, 14);
LAYOUT_AT(layout_block, salt, 16);
LAYOUT_AT(layout_block, number, 24);
LAYOUT_AT(layout_block, rows, 28);
LAYOUT_AT(layout_block, levels, 32);
LAYOUT_AT(layout_block, text_bytes, 36);
LAYOUT_AT(layout_block, payload_bytes, 40);
LAYOUT_AT(layout_block, symbol, 44);
LAYOUT_AT(layout_block, channel, 48);
LAYOUT_AT(layout_block, columns, 49);
LAYOUT_AT(layout_block, flags, 50);
LAYOUT_AT(layout_block, price_scale, 51);
LAYOUT_AT(layout_block, symbols, 52);
LAYOUT_AT(layout_block, time_min, 56);
LAYOUT_AT(layout_block, time_max, 64);
LAYOUT_AT(layout_block, id_min, 72);
LAYOUT_AT(layout_block, id_max, 80);
LAYOUT_AT(layout_block, price_min, 88);
LAYOUT_AT(layout_block, price_max, 96);
LAYOUT_AT(layout_block, previous_hash, 104);
LAYOUT_AT(layout_block, payload_hash, 112);
LAYOUT_AT(layout_block, hash, 120);
LAYOUT_SIZE(layout_block, LAYOUT_HEADER_BYTES);

// Last bytes of a segment.
struct layout_postscript {
    uint64_t footer_offset;
    uint64_t footer_bytes;
    uint64_t footer_hash; // of the footer's bytes
    uint64_t file_hash;   // of all bytes before the footer
    uint64_t salt;
    uint8_t major;
    uint8_t minor;
    uint16_t postscript_bytes; // 64
    uint16_t required;
    uint16_t optional;
    uint64_t hash; // of the 48 bytes before
    uint64_t magic; // at the very end
};
LAYOUT_AT(layout_postscript, footer_offset, 0);
LAYOUT_AT(layout_postscript, footer_bytes, 8);
LAYOUT_AT(layout_postscript, footer_hash, 16);
LAYOUT_AT(layout_postscript, file_hash, 24);
LAYOUT_AT(layout_postscript, salt, 32);
LAYOUT_AT(layout_postscript, major, 40);
LAYOUT_AT(layout_postscript, minor, 41);
LAYOUT_AT(layout_postscript, postscript_bytes, 42);
LAYOUT_AT(layout_postscript, required, 44);
LAYOUT_AT(layout_postscript, optional, 46);
LAYOUT_AT(layout_postscript, hash, 48);
LAYOUT_AT(layout_postscript, magic, 56);
LAYOUT_SIZE(layout_postscript, 64);

// The .index file: layout_index, blocks, zones, symbols, names.
struct layout_index {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // 128
    uint16_t required;
    uint16_t optional;
    uint64_t salt;        // of the segment
    uint64_t file_bytes;  // of the segment
    uint64_t footer_hash; // of the segment's footer; 0: it was damaged, the blocks were walked
    uint32_t number;
    int32_t day;
    uint32_t channel;
    uint32_t block_count;
    uint32_t symbol_count;
    uint32_t name_bytes;
    uint64_t rows;
    int64_t time_min;
    int64_t time_max;
    uint64_t body_bytes; // behind this header
    uint64_t body_hash;
    uint64_t zero[2];
    uint64_t hash;
};
LAYOUT_AT(layout_index, magic, 0);
LAYOUT_AT(layout_index, major, 8);
LAYOUT_AT(layout_index, minor, 9);
LAYOUT_AT(layout_index, header_bytes, 10);
LAYOUT_AT(layout_index, required, 12);
LAYOUT_AT(layout_index, optional, 14);
LAYOUT_AT(layout_index, salt, 16);
LAYOUT_AT(layout_index, file_bytes, 24);
LAYOUT_AT(layout_index, footer_hash, 32);
LAYOUT_AT(layout_index, number, 40);
LAYOUT_AT(layout_index, day, 44);
LAYOUT_AT(layout_index, channel, 48);
LAYOUT_AT(layout_index, block_count, 52);
LAYOUT_AT(layout_index, symbol_count, 56);
LAYOUT_AT(layout_index, name_bytes, 60);
LAYOUT_AT(layout_index, rows, 64);
LAYOUT_AT(layout_index, time_min, 72);
LAYOUT_AT(layout_index, time_max, 80);
LAYOUT_AT(layout_index, body_bytes, 88);
LAYOUT_AT(layout_index, body_hash, 96);
LAYOUT_AT(layout_index, zero, 104);
LAYOUT_AT(layout_index, hash, 120);
LAYOUT_SIZE(layout_index, LAYOUT_HEADER_BYTES);

struct layout_index_block {
    uint64_t offset; // of the block header in the segment
    uint32_t bytes;  // header and payload
    uint32_t rows;
    uint32_t symbol; // or INDEX_SYMBOL_SHARED
    uint32_t levels;
    int64_t time_min;
    int64_t time_max;
    int64_t id_min; // > id_max: no ids
    int64_t id_max;
    uint64_t header_hash;
};
LAYOUT_AT(layout_index_block, offset, 0);
LAYOUT_AT(layout_index_block, bytes, 8);
LAYOUT_AT(layout_index_block, rows, 12);
LAYOUT_AT(layout_index_block, symbol, 16);
LAYOUT_AT(layout_index_block, levels, 20);
LAYOUT_AT(layout_index_block, time_min, 24);
LAYOUT_AT(layout_index_block, time_max, 32);
LAYOUT_AT(layout_index_block, id_min, 40);
LAYOUT_AT(layout_index_block, id_max, 48);
LAYOUT_AT(layout_index_block, header_hash, 56);
LAYOUT_SIZE(layout_index_block, 64);

struct layout_index_zone {
    int64_t price_min; // > price_max: no prices
    int64_t price_max;
    uint8_t price_scale;
    uint8_t zero[3];
    uint32_t text_bytes;
    uint64_t zero_2[5];
};
LAYOUT_AT(layout_index_zone, price_min, 0);
LAYOUT_AT(layout_index_zone, price_max, 8);
LAYOUT_AT(layout_index_zone, price_scale, 16);
LAYOUT_AT(layout_index_zone, zero, 17);
LAYOUT_AT(layout_index_zone, text_bytes, 20);
LAYOUT_AT(layout_index_zone, zero_2, 24);
LAYOUT_SIZE(layout_index_zone, 64);

// A symbol's rows are in blocks [first_block, first_block + block_count); the first and the last of
// them may be shared with others.
struct layout_index_symbol {
    uint64_t rows;
    int64_t time_min;
    int64_t time_max;
    uint32_t first_block;
    uint32_t block_count;
    uint32_t name_offset;
    uint32_t name_bytes;
    uint64_t zero[3];
};
LAYOUT_AT(layout_index_symbol, rows, 0);
LAYOUT_AT(layout_index_symbol, time_min, 8);
LAYOUT_AT(layout_index_symbol, time_max, 16);
LAYOUT_AT(layout_index_symbol, first_block, 24);
LAYOUT_AT(layout_index_symbol, block_count, 28);
LAYOUT_AT(layout_index_symbol, name_offset, 32);
LAYOUT_AT(layout_index_symbol, name_bytes, 36);
LAYOUT_AT(layout_index_symbol, zero, 40);
LAYOUT_SIZE(layout_index_symbol, 64);

#endif
