// SPDX-License-Identifier: Apache-2.0
//
// catalogue: which files of a store hold its rows. One small text file, replaced by one rename, so
// that a tape's rows move into segments, or several segments into one, in a single step.
//
//     ringtape-catalogue 1 0
//     store 00112233445566778899aabbccddeeff
//     generation 17
//     next_tape 42
//     next_segment 99
//     tape 41 sealed
//     segment 98 channel trade day 2024-08-08 rows 10147 bytes 45555 time 17… 18… tapes 40 41
//     xxh3 0123456789abcdef
//
// Meaning. A segment counts when it is listed. A tape counts when its file is in tape/ and it is
// not listed as sealed: the writer of a tape need not touch the catalogue. A listed sealed tape
// waits for its deletion (or for the mirror). Anything else in segment/ is a leftover.
//
// Pure: text in memory; files are the caller's. Threading: one owner.
#ifndef RINGTAPE_FORMAT_CATALOGUE_H
#define RINGTAPE_FORMAT_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"
#include "format/layout.h"

enum {
    CATALOGUE_SEGMENTS_MAX = 1 << 17, // ten channels for thirty years
    CATALOGUE_TAPES_MAX = 1 << 16,
    CATALOGUE_LINE_BYTES_MAX = 256,
    CATALOGUE_PATH_BYTES_MAX = 64,
};

struct catalogue_segment {
    uint32_t number;
    enum channel channel;
    int32_t day; // days since 1970-01-01 UTC
    uint32_t tape_first; // oldest and newest tape whose rows are inside; 0 0: backfilled
    uint32_t tape_last;
    uint64_t rows;
    uint64_t bytes;
    int64_t time_min;
    int64_t time_max;
};

struct catalogue {
    uint8_t store[LAYOUT_STORE_ID_BYTES];
    uint64_t generation; // +1 with each replacement
    uint32_t next_tape;  // numbers from here on were never used
    uint32_t next_segment;
    uint32_t tape_count;
    uint32_t segment_count;
    uint32_t *tapes; // numbers of sealed tapes, increasing
    struct catalogue_segment *segments; // by channel, day, tape_first, number
};

// Memory for the largest catalogue is reserved; untouched parts cost nothing. 0 or -ENOMEM.
int catalogue_init(struct catalogue *catalogue, const uint8_t store[LAYOUT_STORE_ID_BYTES]);
void catalogue_free(struct catalogue *catalogue);

// Keeps `segments` in order. False when full; a number must not be there twice.
bool catalogue_add_segment(struct catalogue *catalogue, const struct catalogue_segment *segment);
bool catalogue_remove_segment(struct catalogue *catalogue, uint32_t number); // false: not there
bool catalogue_seal_tape(struct catalogue *catalogue, uint32_t number);      // false: full
bool catalogue_forget_tape(struct catalogue *catalogue, uint32_t number);    // false: not there
bool catalogue_tape_sealed(const struct catalogue *catalogue, uint32_t number);

// Bytes that always suffice for catalogue_write().
size_t catalogue_bytes_max(const struct catalogue *catalogue);
// The text, its trailer included; returns its bytes.
size_t catalogue_write(const struct catalogue *catalogue, char *out, size_t size);
// 0; -EBADMSG: damaged (bad hash, cut, impossible); -EPROTONOSUPPORT: another major version. The
// catalogue (initialised) is emptied on failure. Lines of an unknown kind are an error within a
// minor version known, and skipped in a newer one.
int catalogue_parse(struct catalogue *catalogue, const void *text, size_t size);

// "tape/00000041.tape", "tape/00000041.mark", "segment/2024-08-08/trade-00000098.segment" (or
// ".index"), relative to the store; `out` has CATALOGUE_PATH_BYTES_MAX bytes.
void catalogue_tape_path(uint32_t number, const char *ending, char *out);
void catalogue_segment_path(const struct catalogue_segment *segment, const char *ending, char *out);

// Days since 1970-01-01 UTC of a time; the day's text "2024-08-08" (11 bytes with the end) and back
// (false: not a date).
int32_t catalogue_day_of(int64_t time_ns);
void catalogue_day_text(int32_t day, char out[11]);
bool catalogue_day_parse(const char *text, size_t size, int32_t *day);

#endif
