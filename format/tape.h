// SPDX-License-Identifier: Apache-2.0
//
// tape: batches of events in arrival order, as bytes and back. Pure: no file, no clock.
//
// A tape is a file header (one sector) and batches behind it. A batch is a 128-byte header and a
// payload with the symbol names it uses and, for each channel, lightly coded columns; it is decoded
// without the tape it came from. The bytes are specified in docs/format.md, the headers in
// layout.h.
//
// Where a batch lies. One that is larger than a sector owns as many sectors as it needs. One that
// fits in a sector is "slotted": it owns two sectors, and while the rows that follow also fit, the
// whole batch is written again with its revision raised, into the other of the two. So a write in
// flight never touches the sector of an acknowledged revision.
//
// Use, writing (one tape, one thread):
//
//     tape_header_encode(&description, sector, &cursor)        write `sector` at 0
//     tape_append(encoder, &cursor, &input, buffer, size, &write)   write buffer at write.offset
//     ... the write is durable: tape_acknowledge(&cursor, &write)
//     ... now and then: tape_mark_encode(&cursor, closed, slot) write at the returned offset
//
// Several appended writes may wait; they are issued in order, and a revision of a batch only after
// the former revision is durable (tape_append sees to it: it rewrites only acknowledged batches).
//
// Ownership: the caller owns all memory. Threading: none; a cursor and an encoder have one owner.
#ifndef RINGTAPE_FORMAT_TAPE_H
#define RINGTAPE_FORMAT_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"
#include "format/layout.h"
#include "format/rows.h"

enum {
    TAPE_BATCH_ROWS_MAX = 1 << 18,   // all channels together
    TAPE_BATCH_LEVELS_MAX = 1 << 18, // of one channel
    TAPE_BATCH_TEXT_BYTES_MAX = 16 << 20, // of one channel
    TAPE_BATCH_SYMBOLS_MAX = 1 << 16,
    TAPE_BATCH_BYTES_MAX = 64 << 20, // header and payload
    TAPE_SYMBOL_BYTES_MAX = 255,
    TAPE_REWRITE_ROWS_MAX = 512, // larger batches are not even tried as a new revision
};

// ---- writing ----

struct tape_description {
    uint8_t store[LAYOUT_STORE_ID_BYTES];
    uint64_t salt; // fresh random bytes for each file, never 0
    int64_t created_ns;
    uint32_t number;
    uint32_t shard;
    const char *writer; // "ringtaped 0.1.0"; cut to 64 bytes
    const struct layout_tape_end *ends; // of earlier tapes
    uint32_t end_count;                 // at most LAYOUT_TAPE_ENDS_MAX
    bool gaps;                          // LAYOUT_TAPE_GAPS
};

// Where the tape stands. Transparent, to be embedded; only the functions below change it.
struct tape_cursor {
    uint64_t salt;
    uint32_t number;
    uint64_t end;           // offset of the next new batch
    uint64_t offset;        // of the last batch (its first slot)
    uint64_t sequence;      // of the last batch; 0: none yet
    uint32_t revision;      // of the last batch
    uint64_t first_row;     // of the last batch
    uint64_t rows;          // of the tape, the last batch included
    uint64_t hash;          // header hash of the last batch
    uint64_t previous_hash; // header hash of the batch before it
    bool slotted;           // the last batch may be rewritten
    // What is durable.
    uint64_t durable_sequence;
    uint32_t durable_revision;
    uint64_t durable_rows;
    uint64_t durable_end;
    uint64_t mark_counter;
};

// Rows to append. Rows that the last batch holds already may still stand in front of the new ones:
// then the batch can be written again with the new ones added.
//
//     arrival[c][r] is the number of row r of channel c within these rows, all channels counted
//     together; a permutation of 0 ... count-1, increasing within a channel.
//     written: so many of them (numbers 0 ... written-1) are the last batch's rows. 0 where the
//     last batch's rows are gone.
struct tape_batch_input {
    const struct rows *rows[CHANNEL_COUNT];       // NULL or empty: no rows of that channel
    const uint32_t *arrival[CHANNEL_COUNT];
    uint32_t count;
    uint32_t written;
    // Name of a symbol number ("binance:BTCUSDT"), 1 ... TAPE_SYMBOL_BYTES_MAX bytes.
    struct event_text (*symbol)(const void *context, uint32_t symbol);
    const void *symbol_context;
};

struct tape_write {
    uint64_t offset; // multiple of LAYOUT_SECTOR
    uint32_t bytes;  // multiple of LAYOUT_SECTOR, the tail zeroed
    uint32_t batch_bytes; // header and payload: what is decoded, and sent to Kafka
    uint64_t sequence;
    uint32_t revision;
    uint64_t first_row;  // of the tape; the batch's row number 0
    uint64_t rows;       // rows of the tape when this is durable
    uint64_t end;        // behind the batch
    bool rewritten;      // holds all `count` rows; else only those from `written` on
};

// Scratch memory of encoding: maps symbol numbers (< symbols_max) and holds one column.
struct tape_encoder;
size_t tape_encoder_bytes(uint32_t symbols_max);
// `memory`: tape_encoder_bytes(), aligned to 64.
struct tape_encoder *tape_encoder_init(void *memory, uint32_t symbols_max);

// Bytes of buffer that always suffice for these rows (as if each had a symbol of its own with the
// longest name; what is really needed is checked); a multiple of LAYOUT_SECTOR.
size_t tape_batch_bytes_max(const struct tape_batch_input *input);

// Writes the file header to `sector` (LAYOUT_SECTOR bytes) and starts the cursor behind it.
void tape_header_encode(const struct tape_description *description, void *sector,
                        struct tape_cursor *cursor);

// Encodes the rows as the next batch or the next revision of the last one, whichever is due, and
// moves the cursor. `buffer` is aligned to 8; -ENOSPC if `size` may not suffice (never with
// tape_batch_bytes_max()), -E2BIG if the rows exceed a limit above; the cursor is then unchanged.
// input->count > input->written. A cursor whose write failed is not used any more: start a new
// tape.
int tape_append(struct tape_encoder *encoder, struct tape_cursor *cursor,
                const struct tape_batch_input *input, void *buffer, size_t size,
                struct tape_write *write);
// Gives an encoded batch that was never written the next place of another tape: only its header
// changes. `write` as of tape_append(): its batch_bytes are read, the rest is set anew.
void tape_reseat(struct tape_cursor *cursor, void *buffer, struct tape_write *write);
// The write and all before it are durable.
void tape_acknowledge(struct tape_cursor *cursor, const struct tape_write *write);

// The durable position, kept outside the tape in a file of two sectors. Fills `sector`; returns the
// offset to write it at, which alternates.
uint64_t tape_mark_encode(struct tape_cursor *cursor, bool closed, void *sector);

// Where the tape ends if nothing more becomes durable: for the header of the tape that goes on.
struct layout_tape_end tape_cursor_end(const struct tape_cursor *cursor);
// The .mark file (2 * LAYOUT_SECTOR bytes) that says the same: for readers of the tape that ends.
void tape_end_mark(const struct layout_tape_end *end, void *bytes);

// A batch without a cursor: what tape_append() is made of. For messages and tests.
struct tape_batch_place {
    uint64_t salt;
    uint64_t sequence;
    uint32_t revision;
    uint64_t first_row;
    uint64_t previous_hash;
    uint64_t durable_sequence;
    uint32_t durable_revision;
};
// Encodes rows [from, input->count). Bytes of header and payload, or -ENOSPC, -E2BIG.
int64_t tape_encode_batch(struct tape_encoder *encoder, const struct tape_batch_place *place,
                          const struct tape_batch_input *input, uint32_t from, void *buffer,
                          size_t size);

// ---- reading: nothing in the bytes is trusted ----

enum tape_error { // why bytes are not what they should be; 0 is good
    TAPE_GOOD = 0,
    TAPE_SHORT,         // fewer bytes than needed
    TAPE_NO_MAGIC,      // something else, zeros, or nothing
    TAPE_BAD_HASH,      // header damaged
    TAPE_NEWER,         // another major version or an unknown required feature
    TAPE_BAD_HEADER,    // hash right, fields impossible
    TAPE_BAD_PAYLOAD,   // payload hash wrong
    TAPE_BAD_CONTENT,   // payload hash right, content impossible
    TAPE_OTHER_SALT,    // of another file: stale
};
const char *tape_error_text(enum tape_error error);

enum tape_error tape_header_decode(const void *sector, size_t size, struct layout_tape *header);
// Is it the one of this number and store? A header that stands in for a damaged one (number 0) does
// not say.
bool tape_header_is(const struct layout_tape *header, uint32_t number, const uint8_t *store);
// Entries of `header` (decoded), pointed to by *ends; none where one of them is impossible.
uint32_t tape_header_ends(const struct layout_tape *header, const struct layout_tape_end **ends);
// The newer valid one of two slots (2 * LAYOUT_SECTOR bytes; fewer are allowed) for a tape with
// this salt. TAPE_NO_MAGIC when neither is valid.
enum tape_error tape_mark_decode(const void *bytes, size_t size, uint64_t salt,
                                 struct layout_mark *mark);
// The same where the tape, and with it its salt, is gone.
enum tape_error tape_mark_alone(const void *bytes, size_t size, struct layout_mark *mark);
// Each slot is valid or was never written (zeros). Else one is damaged, or was torn by a crash.
bool tape_mark_sound(const void *bytes, size_t size, uint64_t salt);
// Header only. `bytes` needs LAYOUT_HEADER_BYTES, or header_bytes where that is more.
enum tape_error tape_decode_header(const void *bytes, size_t size, struct layout_batch *header);

// A decoded batch. Symbol numbers in the rows are indexes into `symbols`, or SYMBOL_NONE.
struct tape_batch {
    struct layout_batch header;
    const struct event_text *symbols; // names; point into the encoded bytes
    struct rows rows[CHANNEL_COUNT];  // rows[c].count == 0: nothing of that channel
    uint32_t *arrival[CHANNEL_COUNT]; // row's number in the batch; tape row = first_row + it
};

// Checks header and payload hash and the outline; `memory_bytes` is what tape_decode_batch() needs.
enum tape_error tape_check_batch(const void *bytes, size_t size, struct layout_batch *header,
                                 size_t *memory_bytes);
// Decodes everything. Call after tape_check_batch() on the same bytes. `memory` is aligned to 64;
// the result points into it and into `bytes`. Every column is decoded and checked.
enum tape_error tape_decode_batch(const void *bytes, size_t size, void *memory,
                                  size_t memory_bytes, struct tape_batch *batch);

// The first row of the channel that does not belong to the first `rows_before` of the batch, which
// an earlier revision of it had (tape_reader.h). Rows of a channel lie in the order of arrival.
static inline uint32_t tape_batch_row(const struct tape_batch *batch, int channel,
                                      uint32_t rows_before)
{
    uint32_t row = 0;
    while (row < batch->rows[channel].count && batch->arrival[channel][row] < rows_before) row++;
    return row;
}

#endif
