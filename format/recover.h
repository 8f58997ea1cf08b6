// SPDX-License-Identifier: Apache-2.0
//
// recover: the verdict over one tape after a crash.
//
//     clean     everything up to `end` is good, nothing follows
//     torn      everything up to `end` is good; a write that was never acknowledged was cut off
//               behind it and is to be ignored (the tape may be sealed as it is)
//     damaged   acknowledged data is missing: `damages` lists where and how many rows; all other
//               batches are readable (tape_reader.h skips the gaps). Keep the file, tell people.
//     foreign   the file header is not one of a tape (never written, overwritten, newer version)
#ifndef RINGTAPE_FORMAT_RECOVER_H
#define RINGTAPE_FORMAT_RECOVER_H

#include "format/tape_reader.h"

enum { RECOVER_DAMAGES_MAX = 64 }; // listed one by one; more are only counted

enum recover_verdict { RECOVER_CLEAN, RECOVER_TORN, RECOVER_DAMAGED, RECOVER_FOREIGN };

struct recover_report {
    enum recover_verdict verdict;
    enum tape_error error; // torn, foreign: what was found
    struct layout_tape header;
    uint64_t end;     // byte behind the last good batch
    uint64_t batches; // good ones
    uint64_t rows;    // in good batches
    uint64_t rows_lost;
    int64_t time_min; // > time_max: no rows
    int64_t time_max;
    uint64_t damage_count;
    struct tape_damage damages[RECOVER_DAMAGES_MAX];
};

const char *recover_verdict_text(enum recover_verdict verdict);
// Reads the whole source once. `mark_bytes` may be NULL. 0, or a negative errno of the source.
int recover_tape(const struct source *source, const void *mark_bytes, size_t mark_size,
                 struct recover_report *report);

#endif
