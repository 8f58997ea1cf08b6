// SPDX-License-Identifier: GPL-3.0-or-later
//
// A writer of whole stores for tests, step by step as a daemon would go: tapes, marks, sealing,
// merging. In a folder of its own under $TMPDIR.
//
// Its rows are trades with ids 1, 2, 3 ... in order of arrival; everything in row `id` follows from
// the id (store_fixture_event()), so that a reader's rows can be checked without the writer.
#ifndef RINGTAPE_TESTS_STORE_FIXTURE_H
#define RINGTAPE_TESTS_STORE_FIXTURE_H

#include "format/catalogue.h"
#include "tests/tape_fixture.h"

enum { STORE_FIXTURE_SYMBOLS = 4, STORE_FIXTURE_TAPES_MAX = 4096 };

// `time` of trade 0; one millisecond from trade to trade.
#define STORE_FIXTURE_TIME INT64_C(1723075200000000000)

struct store_fixture {
    char path[256];
    struct catalogue catalogue;
    struct tape_fixture *tape;
    uint64_t trades; // so far
    uint32_t number; // of the tape being written; 0: none
    int file;
    int mark_file;
    struct { // trades of each tape; last < first: none
        uint64_t first;
        uint64_t last;
    } held[STORE_FIXTURE_TAPES_MAX];
};

struct store_fixture *store_fixture_open(void);
void store_fixture_close(struct store_fixture *fixture); // and removes the folder
// In a child process: the folder stays.
void store_fixture_leave(struct store_fixture *fixture);

void store_fixture_event(struct event *event, uint64_t id);
const char *store_fixture_symbol(uint64_t id); // "binance:SYM0USDT"
// Whole path of a file of the store; valid until the next call.
const char *store_fixture_path(const struct store_fixture *fixture, const char *relative);

// Begins a tape without a row and without its mark, as one that is just being prepared looks.
void store_fixture_prepare(struct store_fixture *fixture);
// The tape being written was never used: it is deleted, and the next one has another number.
void store_fixture_discard(struct store_fixture *fixture);
// Appends the next `count` trades, at most 1,000, as one batch or a revision of the last one.
// Not acknowledged: on disk, but nobody was told; no append may follow but that of a new tape.
void store_fixture_append(struct store_fixture *fixture, uint32_t count, bool acknowledged);
// The last append, not the first of its tape, is forgotten: its trades will be appended again.
void store_fixture_fail(struct store_fixture *fixture, uint32_t count);
void store_fixture_mark(struct store_fixture *fixture, bool closed);
// Ends the tape, if one is being written, with a closing mark; the next append begins another one.
void store_fixture_end(struct store_fixture *fixture);
// All trades of ended tapes first ... last in one segment; the tapes are deleted if asked.
void store_fixture_seal(struct store_fixture *fixture, uint32_t first, uint32_t last, bool remove);
// All segments become one.
void store_fixture_merge(struct store_fixture *fixture);

// Offset of a block in segment `number`.
int64_t store_fixture_block(const struct store_fixture *fixture, uint32_t number, int block);
// Changes bytes of a file: flips all bits of one.
void store_fixture_flip(const struct store_fixture *fixture, const char *relative, int64_t offset);

#endif
