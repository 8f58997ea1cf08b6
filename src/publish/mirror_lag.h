// SPDX-License-Identifier: GPL-3.0-or-later
//
// mirror_lag: how far behind a reader of a shard's durable rows is: rows, bytes, time. Pure.
//
// Now and then it is told how much has become durable so far, and remembers it as a sample; from a
// position it then finds the sample that first went beyond. When the samples are full every second
// one goes, so a lag of days is known as well, only less finely.
//
// Rows count from the start of this life, over all tapes of the shard. Which row a tape began with
// is remembered of the latest MIRROR_LAG_TAPES tapes.
//
// Bounds: MIRROR_LAG_SAMPLES. Threading: one owner.
#ifndef RINGTAPE_PUBLISH_MIRROR_LAG_H
#define RINGTAPE_PUBLISH_MIRROR_LAG_H

#include <stdint.h>

enum { MIRROR_LAG_SAMPLES = 512, MIRROR_LAG_TAPES = 256 };

struct mirror_lag_sample {
    uint64_t rows;  // durable then, ever
    uint64_t bytes;
    int64_t time_ns; // monotonic: these and no more until now
};

struct mirror_lag_tape {
    uint32_t tape;
    uint64_t rows; // before its first one
};

struct mirror_lag { // of one shard
    uint32_t count;
    uint32_t stride; // samples told for each one that is kept; 0: as 1
    uint32_t skipped;
    struct mirror_lag_sample sample[MIRROR_LAG_SAMPLES]; // rising
    uint32_t tape_count;
    struct mirror_lag_tape tapes[MIRROR_LAG_TAPES]; // rising
};

struct mirror_lag_of {
    uint64_t rows;
    uint64_t bytes;  // about: as the samples go
    int64_t time_ns; // since when the oldest row that is missing is durable, as the samples go
};

// `rows` and `bytes` have become durable so far; `tape` is the latest, with `tape_rows` of them.
void mirror_lag_note(struct mirror_lag *lag, uint64_t rows, uint64_t bytes, uint32_t tape,
                     uint64_t tape_rows, int64_t now_ns);
// Of a reader that is past `rows` of the tape, and of all before it; tape 0: past nothing.
struct mirror_lag_of mirror_lag_of(const struct mirror_lag *lag, uint32_t tape, uint64_t rows,
                                   int64_t now_ns);

#endif
