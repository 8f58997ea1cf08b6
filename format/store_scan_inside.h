// SPDX-License-Identifier: Apache-2.0
//
// store_scan_inside: what the files of the scan share. Nobody else includes it.
//
//     store_scan.c          the list of files, and the walk over it
//     store_scan_segment.c  rows of one segment
//     store_scan_tape.c     rows of one tape
//     store_follow.c        what is new when everything was given
#ifndef RINGTAPE_FORMAT_STORE_SCAN_INSIDE_H
#define RINGTAPE_FORMAT_STORE_SCAN_INSIDE_H

#include "format/store_inside.h"
#include "format/store_match.h"

// A tape that was entered. Kept while it is followed.
struct scan_tape {
    struct tape_reader reader;
    uint8_t mark[2 * LAYOUT_SECTOR];
    bool reading; // false: nothing in it, or damaged as a whole
    bool passing; // followed from now on: rows there are not given
    bool ended;   // by what a later tape tells, see `mark`
    bool begun;   // some of it was read
};

struct scan_entry {
    uint32_t number;
    bool is_tape;
    bool opened;
    bool fresh; // a tape that had no header when it was opened
    bool final; // a followed tape that was sealed meanwhile: nothing is added any more
    bool done;
    uint64_t bytes;
    uint64_t rows; // segments: as listed
    struct store_file file;
    struct store_file mark_file; // of a tape, if it has one; both outlive their deletion
    struct scan_tape *tape; // entered
    char path[CATALOGUE_PATH_BYTES_MAX];
    char other_path[CATALOGUE_PATH_BYTES_MAX]; // index of a segment, mark of a tape
};

struct store_scan {
    struct store *store;
    struct store_query query;
    struct match match;
    struct store_scan_counts counts;
    struct scan_entry *entries;
    uint32_t entry_count;
    uint32_t entry; // current
    bool entered;
    uint64_t bytes_done;
    uint64_t bytes_total;
    // Current segment.
    struct store_file index_file;
    struct segment *segment;
    uint32_t block;
    struct segment_block decoded;
    // Current batch.
    struct tape_batch batch;
    void *decode_memory;
    size_t decode_size;
    uint32_t *tape; // provenance of a batch's rows
    uint64_t *tape_row;
    uint32_t row_room;
    // Following: all tapes below `tapes_known`, and those listed here, were or will be given.
    bool first_pass;
    uint32_t tapes_known;
    uint32_t *tapes_taken;
    uint32_t taken_count;
    uint32_t taken_room;
    // But not these: seen before they had rows, gone before they had been seen with any. Until
    // a generation that has their segments was looked at.
    uint32_t *tapes_forgotten;
    uint32_t forgotten_count;
};

// Reports damage: 0, or -EBADMSG where nobody listens.
int scan_report(struct store_scan *scan, const struct store_damage *damage);
// The columns a chunk has: those asked for and those that decide.
uint64_t scan_columns(const struct store_scan *scan);

void scan_add_segment(struct scan_entry *entry, const struct catalogue_segment *segment);
void scan_add_tape(struct scan_entry *entry, uint32_t number);
// Opens the entry's files, if they are not. 0 or a negative errno.
int scan_open_entry(struct store_scan *scan, struct scan_entry *entry);
// What the mark of a tape says now: its bytes in entry->tape->mark; 0: there is none; or errno.
int64_t scan_read_mark(struct store_scan *scan, struct scan_entry *entry);
void scan_close_entry(struct scan_entry *entry);

int scan_enter_segment(struct store_scan *scan, struct scan_entry *entry);
// 1: chunk, 0: the segment's end, negative: errno.
int scan_next_of_segment(struct store_scan *scan, struct scan_entry *entry,
                         struct store_chunk *chunk);
void scan_leave_segment(struct store_scan *scan);

int scan_enter_tape(struct store_scan *scan, struct scan_entry *entry);
// 1: chunk, 0: the tape's end for now (entry->done: for ever), negative: errno.
int scan_next_of_tape(struct store_scan *scan, struct scan_entry *entry,
                      struct store_chunk *chunk);

// Before the first pass: what is in the list is known.
void scan_follow_begin(struct store_scan *scan);
// A followed tape before it is read once more: its size, its mark, what is durable.
int scan_follow_tape(struct store_scan *scan, struct scan_entry *entry);
// After a pass: drops what is done, adds what is new, begins again with the first entry.
int scan_follow_again(struct store_scan *scan);

#endif
