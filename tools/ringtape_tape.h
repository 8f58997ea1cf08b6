// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_tape: what a tape file holds, told from its batch headers, also while it is being
// written.
#ifndef RINGTAPE_TOOLS_RINGTAPE_TAPE_H
#define RINGTAPE_TOOLS_RINGTAPE_TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/tape_reader.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_table.h"

struct ringtape_tape {
    struct layout_tape header;
    uint64_t bytes; // up to the last good batch
    uint64_t batches;
    uint64_t rows;
    uint64_t rows_lost;
    uint64_t damages;
    int64_t time_min; // > time_max: no rows
    int64_t time_max;
    uint16_t channels; // bit c: rows of channel c
    bool closed;       // by its mark
    bool torn;         // a write that was never acknowledged was cut off
};

// Called for each batch and each damage, in order; may be NULL.
typedef void ringtape_tape_callback(void *context, const struct tape_item *item);

// Walks the tape at `path`; its mark lies beside it. `number` (0: a file by itself): of the tape
// that should be there. 0, negative errno, or -EBADMSG with *error set: the file header is not that
// of a tape, or the file is another one. The walk of a live tape ends where its writer is.
int ringtape_tape_walk(const char *path, uint32_t number, struct ringtape_tape *tape,
                       enum tape_error *error, ringtape_tape_callback *callback, void *context);
const char *ringtape_tape_state(const struct ringtape_tape *tape);
// "-", resp. null, where the header is damaged.
const char *ringtape_tape_shard(char out[RINGTAPE_TABLE_NUMBER_BYTES],
                                const struct ringtape_tape *tape);
void ringtape_tape_json_shard(struct ringtape_json *json, const struct ringtape_tape *tape);

#endif
