// SPDX-License-Identifier: Apache-2.0
//
// segment: the sealed form. One file per channel and UTC day of `time`: blocks of up to 8,192 rows,
// clustered by symbol, each column coded by what is smallest. Immutable once written.
//
// Decimals have one scale per block and column, the smallest that holds all values exactly: the
// numeric value is kept, not the spelling (12.50 comes back as 125 at scale 1 or as 1250 at scale
// 2). A value that cannot share a scale with the block's others starts a new block.
//
// Order. Within a symbol rows keep the order in which they were appended. A symbol is appended
// once, all its rows together. Symbols with few rows share blocks.
//
// Rows of channels without identity carry their provenance, (tape number, row number in the tape).
//
// The bytes are specified in docs/format.md. Pure: bytes in, bytes out. Threading: one owner.
#ifndef RINGTAPE_FORMAT_SEGMENT_H
#define RINGTAPE_FORMAT_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/column_list.h"
#include "format/event.h"
#include "format/index.h"
#include "format/rows.h"
#include "format/source.h"

enum {
    SEGMENT_BLOCK_ROWS_MAX = 8192,
    SEGMENT_BLOCK_LEVELS_MAX = 1 << 17,
    SEGMENT_BLOCK_TEXT_BYTES_MAX = 8 << 20,
    SEGMENT_BLOCK_BYTES_MAX = 32 << 20,
    SEGMENT_BLOCKS_MAX = 1 << 16,   // of one segment: 500 million rows
    SEGMENT_SYMBOLS_MAX = 1 << 16,
    SEGMENT_SYMBOL_BYTES_MAX = 255,
    SEGMENT_RARE_ROWS = 1024, // symbols with fewer rows share blocks
    SEGMENT_APPEND_ROWS_MAX = 512, // between two questions for segment_writer_full()
    SEGMENT_OUTPUT_BYTES = 1 << 20, // output is handed out in chunks of about this size
};

// ---- writing ----

struct segment_description {
    uint8_t store[LAYOUT_STORE_ID_BYTES];
    uint64_t salt; // fresh random bytes, never 0
    int64_t created_ns;
    enum channel channel;
    int32_t day;
    uint32_t number;
    const char *writer; // "ringtaped 0.1.0"
    enum column_level level; // 0: dense
};

struct segment_provenance {
    uint32_t tape; // 0: none (backfilled)
    uint64_t row;  // of the tape
};

// Use:
//     segment_writer_open(&writer, &description);
//     for each symbol: segment_writer_symbol(writer, name, rows_expected);
//         for each row: while (!segment_writer_append(writer, rows, index, provenance)) drain();
//     while (!segment_writer_finish(writer)) drain();
//     drain();
//     segment_writer_index(writer, &bytes) → the .index file
//     segment_writer_close(writer);
// drain: write segment_writer_output() behind what was written before, then segment_writer_taken().
struct segment_writer;
int segment_writer_open(struct segment_writer **writer, const struct segment_description *what);
void segment_writer_close(struct segment_writer *writer);
// The rows that follow are of this symbol (empty name: of none). A symbol comes once. For good
// compression give those with rows_expected < SEGMENT_RARE_ROWS one after another. False: output
// must be taken first, call again.
bool segment_writer_symbol(struct segment_writer *writer, const void *name, uint32_t name_size,
                           uint64_t rows_expected);
// False: output must be taken first; the row was not taken.
bool segment_writer_append(struct segment_writer *writer, const struct rows *rows, uint32_t index,
                           struct segment_provenance provenance);
// The same for consecutive rows [first, first + count) of the current symbol; returns how many were
// taken. provenance: array of `count`, or NULL.
uint32_t segment_writer_append_many(struct segment_writer *writer, const struct rows *rows,
                                    uint32_t first, uint32_t count,
                                    const struct segment_provenance *provenance);
// The same for rows index[0 ... count) in that order: the fastest way for rows of many symbols.
uint32_t segment_writer_append_selected(struct segment_writer *writer, const struct rows *rows,
                                        const uint32_t *index, uint32_t count,
                                        const struct segment_provenance *provenance);
// A block of another segment, all of the current symbol: its bytes as they are, under a header of
// their own, for decoding and coding a row again takes a hundred times as long.
enum segment_copy {
    SEGMENT_COPIED,
    SEGMENT_COPY_WAITS, // output must be taken first, call again
    SEGMENT_COPY_NOT,   // small, coded light, of another version or damaged: append its rows
};
struct segment;
enum segment_copy segment_writer_copy(struct segment_writer *writer, struct segment *from,
                                      uint32_t block);
bool segment_writer_finish(struct segment_writer *writer);
// Bytes waiting (at any time); they stay in place until segment_writer_taken().
const void *segment_writer_output(struct segment_writer *writer, size_t *size);
void segment_writer_taken(struct segment_writer *writer);
// True when no further symbol or no further SEGMENT_APPEND_ROWS_MAX rows are sure to fit: finish,
// and go on in another segment. Asked before each symbol and so many rows.
bool segment_writer_full(const struct segment_writer *writer);
// After finish: the image of the .index file, and what the catalogue wants to know.
const void *segment_writer_index(struct segment_writer *writer, size_t *size);
struct segment_summary {
    uint64_t rows;
    uint64_t bytes;
    int64_t time_min;
    int64_t time_max;
};
struct segment_summary segment_writer_summary(const struct segment_writer *writer);

// ---- reading: nothing in the bytes is trusted ----

enum segment_error { // 0 is good; negative results of functions are -errno
    SEGMENT_GOOD = 0,
    SEGMENT_SHORT,
    SEGMENT_NO_MAGIC,
    SEGMENT_BAD_HASH,     // header damaged
    SEGMENT_NEWER,        // another major version, unknown required feature
    SEGMENT_BAD_HEADER,   // hash right, fields impossible
    SEGMENT_BAD_PAYLOAD,  // payload hash wrong
    SEGMENT_BAD_CONTENT,  // payload hash right, content impossible
    SEGMENT_BAD_CHAIN,    // not the block that belongs here
    SEGMENT_BAD_FOOTER,
    SEGMENT_BAD_INDEX,
    SEGMENT_BAD_FILE_HASH,
    SEGMENT_BAD_ORDER,    // rows or blocks not as the header says
    SEGMENT_OTHER,        // good, but not the one of this name
    SEGMENT_READ_FAILED,  // the source said so
    SEGMENT_NO_MEMORY,
};
const char *segment_error_text(enum segment_error error);

// One column as it lies in a block, for inspection.
struct segment_column {
    uint16_t id;       // number in event.h, or SEGMENT_COLUMN_*
    uint8_t codec;     // column_codec.h
    uint8_t presence;  // 0: in all rows; else how the bitmap is stored
    uint8_t scale;     // decimals
    uint32_t bytes;
};

enum segment_special_column { // numbers are on disk
    SEGMENT_COLUMN_SYMBOL = 64, // shared blocks
    SEGMENT_COLUMN_TAPE = 65,
    SEGMENT_COLUMN_ROW = 66,
    SEGMENT_COLUMN_LEVEL_COUNT = 67,
    SEGMENT_COLUMN_LEVEL_PRICE = 68,
    SEGMENT_COLUMN_LEVEL_QUANTITY = 69,
    SEGMENT_COLUMN_LEVEL_SIDE = 70,
    SEGMENT_COLUMN_LEVEL_PRICE_SCALE = 71,    // only where levels of one row share no scale
    SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE = 72,
    SEGMENT_COLUMN_TEXT_BYTES = 96, // + column number: the bytes of a text column
};

// Decoded rows of one block. Owned by the reader, valid until its next read.
struct segment_block {
    const struct rows *rows;  // rows->symbol[] are symbol numbers of the segment, or SYMBOL_NONE
    const uint32_t *tape;     // provenance, or NULL where the channel has identity
    const uint64_t *row;
    uint64_t unknown_columns; // bit c: column c has a codec unknown to this library: absent
    bool unknown_levels;
    uint32_t column_count;
    const struct segment_column *columns;
    struct layout_block header;
};

// An open segment: header, symbol table and block index in memory. `index` (may be NULL): the bytes
// of the .index file, kept by the caller while the segment is open (mapped); if they do not fit the
// segment, or are NULL, the index is rebuilt from the footer, or by walking the blocks where the
// footer is damaged (segment_rebuilt() tells).
struct segment;
enum segment_error segment_open(struct segment **segment, const struct source *source,
                                const void *index, size_t index_size);
// For salvage: a segment whose header cannot be used. What it would tell is taken from the first
// block whose header is right; number and day are those of the file's name. Blocks of another salt
// than `salt` (0: any) are passed over.
enum segment_error segment_open_headless(struct segment **segment, const struct source *source,
                                         const void *index, size_t index_size, uint32_t number,
                                         int32_t day, uint64_t salt);
// The salt that the end of the file tells, whatever its header does; 0: none.
uint64_t segment_tail_salt(const struct source *source);
void segment_close(struct segment *segment);
// Opens another file in the place of one, whose memory is used again: for who opens many.
// Everything got from *segment before is gone; on failure it is closed and NULL. *segment may be
// NULL.
enum segment_error segment_reopen(struct segment **segment, const struct source *source,
                                  const void *index, size_t index_size);
const struct layout_segment *segment_header(const struct segment *segment);
// Is it the one of this name? A device may have written another one's first sector there.
bool segment_is(const struct segment *segment, uint32_t number, int32_t day, enum channel channel);
const struct index *segment_index(const struct segment *segment); // blocks, zones, symbols
bool segment_rebuilt(const struct segment *segment);        // the index given was not used
enum segment_error segment_footer_error(const struct segment *segment); // not good: walked

// Reads and decodes block `block` (< segment_index()->block_count). `columns`: bit c: column c is
// wanted, others come back absent; SEGMENT_COLUMNS_LEVELS: the levels are; UINT64_MAX: all. Symbols
// and provenance always come.
#define SEGMENT_COLUMNS_LEVELS (1ull << 63)
enum segment_error segment_read(struct segment *segment, uint32_t block, uint64_t columns,
                                struct segment_block *out);
// In two steps, for one row that some columns tell. First the same but for the columns of `later`,
// which are undefined as yet.
enum segment_error segment_read_some(struct segment *segment, uint32_t block, uint64_t columns,
                                     uint64_t later, struct segment_block *out);
// Then those, as far as row number `row` of the block just read needs it: that row is whole, others
// are not. A column is not checked behind it, beyond the hash of the block.
enum segment_error segment_read_row(struct segment *segment, uint32_t row,
                                    struct segment_block *out);

// Everything: header, footer, file hash, chain, every block decoded, counts, times, order. Calls
// back for each fault (block UINT32_MAX: not of a block). SEGMENT_GOOD or the first fault.
typedef void segment_fault_callback(void *context, enum segment_error error, uint32_t block,
                                    uint64_t offset, uint64_t bytes);
enum segment_error segment_verify(struct segment *segment, segment_fault_callback *fault,
                                  void *context);

#endif
