// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_reader: the rows of a store in the order in which they were received, whatever its size.
//
// A store has segments by channel, day and symbol. The reader cuts time into slices of about
// REPLAY_SLICE_BYTES of rows, reads the rows of all channels whose `time` is in the slice and sorts
// them by when they are due; a thread reads the next slice while the one before is played. So
// memory depends on the slice, not on the store.
//
// Due. A row is due when it was received, at the earliest REPLAY_EARLY_NS before and at the latest
// REPLAY_LATE_NS after its own `time`: what is off by more comes there. A row that was repaired or
// backfilled was never received as news: it is due at its own time, behind the row of its symbol
// with the next smaller id and not behind the one with the next greater. Rows of one channel and
// symbol that are due at once keep the order in which they were recorded.
//
// A store that was recorded long after its time (from recordings, or from a replay) has a lag: what
// its rows were received later by, as its first rows tell. Where that is more than REPLAY_LATE_NS,
// "its own time" above is later by so much.
//
// While a daemon records, what is durable when a slice is read is in it; the end is fixed at
// opening.
//
// Damage is told on standard error, counted and left out.
//
// Ownership: a slice is the reader's, until the next is taken. Threading: one owner, and a thread
// of the reader's own, which calls `ready`. Errors: a slice's `error`.
#ifndef RINGTAPE_TOOLS_REPLAY_READER_H
#define RINGTAPE_TOOLS_REPLAY_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "format/rows.h"
#include "format/store.h"
#include "tools/ringtape_names.h"
#include "tools/ringtape_query.h"

enum {
    REPLAY_SLICE_BYTES = 48 << 20, // of rows; two slices exist
    REPLAY_ROWS_MAX = 1 << 20,     // of one channel in a slice, and of one moment
    REPLAY_LEVELS_MAX = 1 << 24,
    REPLAY_TEXT_BYTES_MAX = 1 << 28,
};
#define REPLAY_EARLY_NS ((int64_t)1000000000)
#define REPLAY_LATE_NS ((int64_t)60000000000)

struct replay_entry { // a row, in the order of playing
    int64_t due_ns;
    uint32_t row;
    uint8_t channel; // enum channel
    bool skipped;    // for who plays it: it is not to be sent
};

struct replay_slice {
    struct rows rows[CHANNEL_COUNT]; // rows->symbol[]: numbers of replay_reader_names()
    const uint32_t *tape[CHANNEL_COUNT];     // [rows->count] provenance; 0: unknown
    const uint64_t *tape_row[CHANNEL_COUNT];
    struct replay_entry *entries;            // [count]
    uint32_t count;
    uint32_t symbol_count; // names below this number are there
    int64_t time_to;       // rows of `time` below it have been read; for progress
    bool last;
    int error;             // 0 or negative errno: the slice is empty and the last
};

struct replay_reader;

struct replay_reader_options {
    const struct ringtape_query *query; // store, symbols, times, channel_bits
    void (*ready)(void *context);       // a slice can be taken; on the reader's thread
    void *context;
};

// What there is to play.
struct replay_extent {
    int64_t time_first, time_last; // between which rows are due
    uint64_t rows; // of the channels and symbols asked for, whatever their time
};

// Looks at what there is and begins to read. 0 or an exit code; what is wrong was printed.
int replay_reader_open(struct replay_reader **reader, const struct replay_reader_options *options);
// Waits for its thread.
void replay_reader_close(struct replay_reader *reader);
struct replay_extent replay_reader_extent(const struct replay_reader *reader);
// All that the store knows at opening, and what was met since.
const struct ringtape_names *replay_reader_names(const struct replay_reader *reader);
// NULL: not yet. The slice taken before is given back. Not to be called after the last one.
struct replay_slice *replay_reader_take(struct replay_reader *reader);
// Waits for it.
struct replay_slice *replay_reader_wait(struct replay_reader *reader);
// Begins again from the first row. After the last slice was taken.
void replay_reader_rewind(struct replay_reader *reader);
// 0: the store was recorded as it happened.
int64_t replay_reader_lag_ns(const struct replay_reader *reader);
uint64_t replay_reader_damages(const struct replay_reader *reader);

#endif
