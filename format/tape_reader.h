// SPDX-License-Identifier: Apache-2.0
//
// tape_reader: walks a tape batch by batch, closed, live, torn or damaged.
//
// Batches come in order, each once (a slotted one in its highest valid revision). Where bytes that
// should be a batch are not, the reader looks ahead for later batches of the same tape. If there
// are any, the gap is reported and reading goes on behind it; if not, but the mark says that more
// was durable, the lost end is reported; otherwise the tape ends there (a write was torn by a
// crash, or nothing was written).
//
// Live tapes: when the reader is at the end, ask again later; a further revision of the last batch
// comes with `rows_before` telling how many of its rows were already given.
//
// Ownership: the reader keeps one growing buffer (malloc, at most TAPE_BATCH_BYTES_MAX) unless the
// source is in memory. Threading: one owner.
#ifndef RINGTAPE_FORMAT_TAPE_READER_H
#define RINGTAPE_FORMAT_TAPE_READER_H

#include "format/source.h"
#include "format/tape.h"

struct tape_damage {
    uint64_t offset; // first byte that is not what it should be
    uint64_t bytes;  // up to the next good batch, or to where the mark says data was
    uint64_t sequence_first; // batches lost or cut short
    uint64_t sequence_last;
    uint64_t rows;         // lost rows
    // The lost batches were acknowledged as durable (a later batch or the mark says so). False:
    // they are parts of one write that a crash cut off.
    bool acknowledged;
    enum tape_error error; // what was found at `offset`
};

struct tape_item {
    bool is_damage;
    struct tape_damage damage; // is_damage
    // Otherwise a batch whose header and payload hash are right:
    uint64_t offset;       // of the revision read
    const uint8_t *bytes;  // valid until the next call
    uint32_t size;         // header and payload
    uint32_t rows_before;  // rows of this batch already given with an earlier revision
    size_t memory_bytes;   // for tape_decode_batch()
    struct layout_batch header;
};

enum tape_end {
    TAPE_END_CLEAN, // nothing behind the last batch, and the mark agrees
    TAPE_END_TORN,  // an unacknowledged write was cut off: to be ignored
};

struct tape_reader {
    struct source source; // source.size may be raised between calls
    struct layout_tape header;
    struct layout_mark mark; // .magic == 0: none
    // How far to look for later batches behind a bad place. Default: to the end. A live tape's
    // reader limits it (TAPE_LIVE_LOOK_AHEAD).
    uint64_t look_ahead;
    // Batches (sequence, revision) behind this are as good as not there. Default: none are. How a
    // follower stays within what is durable.
    uint64_t limit_sequence;
    uint32_t limit_revision;
    uint64_t offset;        // of the next new batch
    uint64_t sequence;      // of the last batch given
    uint64_t rows;          // of the tape up to there, lost ones included
    uint64_t rows_lost;
    uint64_t damages;
    enum tape_end end;      // meaningful when tape_reader_next() said 0
    enum tape_error end_error; // TAPE_END_TORN: what was found
    // ---- private ----
    uint64_t last_offset;
    uint64_t last_hash;
    uint32_t last_revision;
    uint32_t last_rows;
    bool last_slotted;
    bool end_damage_given;
    bool beyond; // a batch behind the limit was met
    enum tape_error header_error; // to be given as damage
    uint8_t *room;
    size_t room_size;
};

enum { TAPE_LIVE_LOOK_AHEAD = 16 << 20 };

// Reads the file header. `number` (0: not known): of the tape that should be there. `mark_bytes`
// (may be NULL): the .mark file. A damaged header in front of a good batch costs no rows, nor does
// one of another tape in front of a batch that is not of that tape: it is the first damage given,
// and only magic, salt and hash of `header` are known (its number is 0, its shard UINT32_MAX). A
// whole file of another tape opens: tape_header_is() tells. Otherwise -EBADMSG, and *error tells
// what is wrong; other negative: errno of the source.
int tape_reader_open(struct tape_reader *reader, const struct source *source, uint32_t number,
                     const void *mark_bytes, size_t mark_size, enum tape_error *error);
// After -EBADMSG: was anything ever appended to this file? A crash while a tape is created leaves
// one without a good header, and nothing is lost with it; any other is damaged. 1: nothing was; 0:
// it was (or a mark says so); negative: errno of the source.
int tape_reader_unused(const struct source *source, uint32_t number, const void *mark_bytes,
                       size_t mark_size);
// 1: `item` is filled; 0: the end (for now); negative: errno of the source or -ENOMEM.
int tape_reader_next(struct tape_reader *reader, struct tape_item *item);
// A later state of the .mark file. One that is not newer changes nothing.
void tape_reader_set_mark(struct tape_reader *reader, const void *mark_bytes, size_t mark_size);
// The newest position that the mark, or a batch header from the last batch given on, says was
// durable. 0 or a negative errno.
int tape_reader_durable(struct tape_reader *reader, uint64_t *sequence, uint32_t *revision);
// The mark says where the tape ended.
static inline bool tape_reader_closed(const struct tape_reader *reader)
{
    return reader->mark.magic != 0 && (reader->mark.flags & LAYOUT_MARK_CLOSED) != 0;
}
// True when a closing mark is there and everything up to it was given.
bool tape_reader_complete(const struct tape_reader *reader);
void tape_reader_close(struct tape_reader *reader);

#endif
