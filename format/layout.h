// SPDX-License-Identifier: Apache-2.0
//
// layout: what lies on disk, field by field. docs/format.md is the specification; this header is its
// twin in C, and every offset is asserted here. All integers are little-endian; the library
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

// Sector 0 of a tape.
struct layout_tape {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // 4096
    uint16_t required;     // feature bits a reader must know all of
    uint16_t optional;     // feature bits a reader may ignore
    uint8_t store[LAYOUT_STORE_ID_BYTES];
    uint64_t salt; // random; repeated in every batch
    int64_t created_ns;
    uint32_t number;
    uint32_t shard;
    uint8_t writer[LAYOUT_WRITER_BYTES]; // version of the program, zero-padded
    uint8_t zero[3968];                  // written 0, ignored by readers
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
LAYOUT_AT(layout_tape, zero, 120);
LAYOUT_AT(layout_tape, hash, 4088);
LAYOUT_SIZE(layout_tape, LAYOUT_SECTOR);

enum layout_batch_flags {
    LAYOUT_BATCH_SLOTTED = 1, // header and payload fit in one sector: owns two
};

struct layout_batch {
    uint64_t magic;
    uint8_t major;
    uint8_t minor;
    uint16_t header_bytes; // >= 128, multiple of 8; what is beyond is ignored but hashed
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

#endif
