// SPDX-License-Identifier: Apache-2.0
//
// recover_tape: what can be read of a damaged tape, and a tape of it.
//
// The new tape keeps number and row numbers: rows of channels without identity are known by them.
// So its batches may leave gaps (LAYOUT_TAPE_GAPS). Threading: one owner.
#ifndef RINGTAPE_FORMAT_RECOVER_TAPE_H
#define RINGTAPE_FORMAT_RECOVER_TAPE_H

#include "format/recover_segment.h"
#include "format/tape_reader.h"

struct recover_tape_input {
    uint32_t number;
    bool has_end; // a later tape tells where this one ends
    struct layout_tape_end end;
    // ---- what recover_tape_read() finds ----
    bool unused; // nothing was ever appended
    bool foreign; // of another number or store, or no file: told, and left alone
    bool sound;  // as it was written, but for a torn end
    bool mark_sound;
    struct layout_tape_end found; // where it ends
    uint64_t rows;
    uint64_t bytes; // up to the end of the last batch
    // ---- of recover_store.c ----
    uint64_t rows_sealed; // of them, that are in segments
    bool dropped;         // all of them
};

// A decoded batch; rows with arrival numbers from `from` on are new. 0 or a negative errno.
typedef int recover_batch(void *context, uint32_t tape, const struct tape_batch *batch,
                          uint32_t from);
// Reads and decodes all of it; tells losses. `batch` may be NULL. 0, -ENOENT, other errno.
int recover_tape_read(struct recover_tape_input *tape, const char *directory,
                      const uint8_t *store, recover_loss_callback *lost, recover_batch *batch,
                      void *context);
// Writes a tape of the batches that can be read to `output`, and its closing mark to `mark` (2 *
// LAYOUT_SECTOR bytes). `store`, `salt`: for the new header.
int recover_tape_write(const struct recover_tape_input *tape, const char *directory,
                       const uint8_t *store, uint64_t salt, struct recover_output *output,
                       uint8_t *mark);

#endif
