// SPDX-License-Identifier: GPL-3.0-or-later
//
// sealer_inside: what the sealer's files share. Nobody else includes it.
#ifndef RINGTAPE_KEEP_SEALER_INSIDE_H
#define RINGTAPE_KEEP_SEALER_INSIDE_H

#include "base/transition.h"
#include "format/tape_reader.h"
#include "keep/disk_watch.h"
#include "keep/file_script.h"
#include "keep/gather.h"
#include "keep/keep_incoming.h"
#include "keep/read_around.h"
#include "keep/sealer.h"
#include "keep/segment_output.h"

enum {
    SEALER_SEGMENTS_MAX = 1 << 14,   // of one tape: channels x days x slices
    SEALER_TAPE_TRIES = 4,           // then the tapes behind it come first
    SEALER_BEHIND_TAPES = 3,         // waiting: tapes are sealed light until it is fewer
    SEALER_MERGE_COUNT = 8,          // segments of about one size that become one
    SEALER_MERGE_INPUTS_MAX = 16,    // of one merge: bounds open files and decoded blocks
    SEALER_REFUSED_MAX = 4096,
    SEALER_MERGE_SYMBOLS_MAX = SEALER_MERGE_INPUTS_MAX * SEGMENT_SYMBOLS_MAX,
    SEALER_DAY_GRACE_MINUTES = 15,   // after midnight, before a day becomes one segment
};

// Address space; resident is what one batch decodes to.
#define SEALER_DECODE_BYTES (1ull << 30)
#define SEALER_MERGE_ROWS_MAX 400000000ull // of one segment; its block table is bounded
// Finished days are made one segment at least so often.
#define SEALER_LOOK_NS (3600ll * 1000000000ll)
#define SEALER_RETRY_NS 1000000000ll
#define SEALER_TELL_LOOK_NS 10000000ll

enum sealer_state {
    SEALER_IDLE,     // nothing in flight: waits for a wake-up
    SEALER_OPENING,  // mark read, tape or merge inputs opened
    SEALER_WRITING,  // a segment_output runs (tape or merge)
    SEALER_CLOSING,  // input handles are closed one by one
    SEALER_TELLING,  // what a damaged tape lost is being made durable
    SEALER_SWAPPING, // the catalogue is replaced
    SEALER_REMOVING, // inputs are deleted or put aside
    SEALER_CLEARING, // the segments of an attempt that failed are deleted
    SEALER_LOOKING,  // at days that may be closed
    SEALER_RETRYING, // an attempt failed: timer
    SEALER_STOPPED,
};

struct sealer_tape { // the tape being sealed
    uint32_t number; // 0: none
    bool leftover;   // sealed already in an earlier life: only to be removed
    bool damaged;
    bool salvage;    // tried often enough: what cannot be read is lost
    uint64_t rows_lost;
    uint64_t told_until; // unreadable sectors before this offset are logged
    int64_t tell_by_ns;  // monotonic: sealed then, whether its damage is told durably or not
    bool gone;           // somebody took the file away
    bool ended;      // all batches are gathered
    bool held;       // `batch` is decoded and not all taken
    int handle;      // -1: closed
    bool reading;    // reader is open
    struct tape_reader reader;
    struct tape_item item;
    struct tape_batch batch;
    enum channel writing;
    uint32_t mark_size;
    uint8_t mark[2 * LAYOUT_SECTOR];
    struct read_votes mark_votes; // it is believed when two reads bring the same
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char mark_path[KEEP_FILE_NAME_BYTES_MAX];
};

struct sealer_told { // damage of which was told last
    uint32_t tape;
    uint64_t rows_lost;
    uint64_t news; // their number; 0: they are still to be told
};

struct sealer_input { // one segment being merged
    struct sealer *sealer;
    struct catalogue_segment segment;
    int handle; // -1: closed
    struct segment *open;
    uint32_t cached_block; // decoded now; UINT32_MAX: none
    struct segment_block block;
    char path[KEEP_FILE_NAME_BYTES_MAX];
};

struct merge_symbol { // one name of the inputs
    const char *name; // in an open input's index
    uint32_t size;
    uint64_t rows;    // of all inputs
};

struct sealer_merge { // the merge under way
    uint32_t input_count; // 0: none
    struct sealer_input inputs[SEALER_MERGE_INPUTS_MAX];
    uint32_t opened;
    uint32_t refused[SEALER_REFUSED_MAX]; // segments that cannot be merged (damaged, newer)
    uint32_t refused_count;
    uint32_t tries; // merges that failed, one after the other
    uint64_t room;  // bytes that one not begun waits for; 0: none does
    // Place in the output: symbol by symbol, input by input, block by block, row by row.
    uint32_t symbol;
    uint32_t input;
    uint32_t block;
    uint32_t row;
    bool announced;
    uint32_t symbol_count;
    struct merge_symbol *symbols;
};

struct sealer_drop { // segments being deleted, of one channel and day
    uint32_t count; // 0: none
    struct catalogue_segment segments[RETENTION_SEGMENTS_MAX];
    enum retention_cause cause;
};

struct sealer_clear { // what made[] has is being deleted
    uint32_t at;
    bool told; // that a file stays
};

struct sealer_incoming { // segments of another program being taken in
    uint32_t handover; // 0: none
    uint32_t numbers;  // first of those being given, 0: none are
    int64_t due_ns;    // monotonic: not looked for before
    struct catalogue listed; // what the handover says
    uint32_t text_size;
    uint32_t life_size;
    char life[KEEP_INCOMING_LIFE_BYTES]; // the beginning of the ledger's base
    char text[KEEP_INCOMING_BYTES_MAX];
};

struct sealer_days; // sealer_days.c

struct sealer {
    struct io *io;
    struct keep_store *store;
    const struct log *log;
    struct catalogue *catalogue;
    enum sealer_state state;
    bool merge_all;
    bool merge_nothing;
    bool stopping;
    void (*stopped)(void *context);
    void *context;
    struct io_op op;
    struct io_op retry_op;
    int failure; // of the attempt under way
    uint32_t tries; // failed attempts at tape `tried`
    uint32_t tried;
    struct sealer_tape tape;
    struct sealer_told told;
    struct sealer_merge merge;
    struct sealer_drop drop;
    struct sealer_clear clear;
    struct sealer_incoming incoming;
    struct sealer_days *days;
    bool watching; // the disk and what is too old
    bool not_removed; // a sealed tape could not be deleted: not tried again before the next look
    struct disk_watch disk;
    struct io_op watch_op;
    struct gather gather;
    struct segment_output output;
    struct file_script script;
    struct catalogue_segment *made; // [SEALER_SEGMENTS_MAX] segments of this attempt
    uint32_t made_count;
    uint32_t segments_max; // of one tape
    uint32_t swap_rename;  // step of the swap: from here on the catalogue may be the new one
    bool in_doubt; // a swap failed behind that: made[] may be listed, and this swap comes next
    int64_t merged_at_ns; // UTC: when days were last looked through completely
    char *catalogue_text;
    void *decode_memory;
    struct sealer_counters counters;
};

static inline void sealer_enter(struct sealer *sealer, enum sealer_state state)
{
    if (sealer->state != state) transition(TRANSITION_SEALER, sealer->state, state);
    sealer->state = state;
}

// A tape or a merge, whose made[] are files of its own.
static inline bool sealer_makes_segments(const struct sealer *sealer)
{
    return sealer->tape.number != 0 || sealer->merge.input_count != 0;
}

// Next thing to do, when nothing is in flight.
void sealer_next(struct sealer *sealer);
// The attempt under way failed: inputs are closed, it starts again after SEALER_RETRY_NS.
void sealer_fail(struct sealer *sealer, int failure, const char *what);
// It ends without result and is not tried again as it is.
void sealer_give_up(struct sealer *sealer);
// Segments are there: closes the inputs, swaps the catalogue, removes the inputs, goes on.
void sealer_commit(struct sealer *sealer);
// Starts writing one segment; `feed` as of segment_output. The result goes to made[].
void sealer_write(struct sealer *sealer, enum channel channel, int32_t day,
                  segment_output_feed *feed, void *feed_context);

// Swaps the catalogue; the job says how.
void sealer_swap(struct sealer *sealer);
// Removes what the job has replaced, and goes on.
void sealer_remove_inputs(struct sealer *sealer);
// The attempt has failed and nothing of it is left: it starts again after SEALER_RETRY_NS.
void sealer_retry_later(struct sealer *sealer);
// Calls `stopped` when nothing is in flight any more.
void sealer_finish_stop(struct sealer *sealer);

// "STORE/segment/2024-08-08/trade-00000098.ENDING" into `out` (KEEP_FILE_NAME_BYTES_MAX bytes).
void sealer_segment_path(const struct sealer *sealer, const struct catalogue_segment *segment,
                         const char *ending, char *out);

// ---- sealer_clear.c ----

// The attempt has failed: deletes the segments that it made and no catalogue lists, then
// sealer_retry_later().
void sealer_clear(struct sealer *sealer);

// ---- sealer_drop.c ----

// Starts deleting what `keep` does not keep, if there is anything.
bool sealer_drop_start(struct sealer *sealer);
void sealer_drop_remove(struct sealer *sealer, struct file_script *script);
void sealer_drop_removed(struct sealer *sealer);
// Does the tape, sealed now, stay for a guard?
bool sealer_keeps_tape(struct sealer *sealer, uint32_t tape);
// Starts removing a sealed tape that may go, if there is one.
bool sealer_spare_start(struct sealer *sealer);
// What can be deleted for room, if the disk is full and there is anything.
bool sealer_relieve(struct sealer *sealer);

// ---- sealer_incoming.c ----

int sealer_incoming_open(struct sealer *sealer); // 0 or -ENOMEM
void sealer_incoming_deinit(struct sealer *sealer);
// Starts taking in what another program has handed over, or giving it numbers. False: nothing.
bool sealer_incoming_start(struct sealer *sealer);
void sealer_incoming_remove(struct sealer *sealer, struct file_script *script);
void sealer_incoming_removed(struct sealer *sealer, int result);

// ---- sealer_days.c ----

int sealer_days_open(struct sealer *sealer); // 0 or -ENOMEM
void sealer_days_deinit(struct sealer *sealer);
// Looks which days are closed, if it is time and some may be. False: not now.
bool sealer_days_start(struct sealer *sealer);

// ---- sealer_tape.c ----

void sealer_tape_start(struct sealer *sealer, uint32_t number);
void sealer_tape_written(struct sealer *sealer); // the segment asked for is there
// A handle to close or -1; called until -1.
int sealer_tape_close(struct sealer *sealer);
// Says in the data that the tape was damaged; once, as long as it is damaged alike.
void sealer_tape_tell(struct sealer *sealer);
void sealer_tape_remove(struct sealer *sealer, struct file_script *script);

// ---- sealer_merge.c ----

// 0 or -ENOMEM.
int sealer_merge_open(struct sealer *sealer);
void sealer_merge_deinit(struct sealer *sealer);
// Finds segments worth merging and starts. False: there are none.
bool sealer_merge_start(struct sealer *sealer);
// The same where one waits for room and there may be as much now.
bool sealer_merge_resume(struct sealer *sealer);
void sealer_merge_written(struct sealer *sealer);
int sealer_merge_close(struct sealer *sealer);
void sealer_merge_remove(struct sealer *sealer, struct file_script *script);

#endif
