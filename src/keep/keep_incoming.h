// SPDX-License-Identifier: GPL-3.0-or-later
//
// keep_incoming: the folder through which another program hands segments to the sealer, which alone
// writes the catalogue (docs/backfill.md).
//
//     STORE/incoming/numbers.wanted       somebody needs numbers for segments
//     STORE/incoming/numbers              "99 4096\n": they are 99 … 4194, nobody else gets them
//     STORE/incoming/trade-00000099.segment, .index      of a handover to come
//     STORE/incoming/00000099.handover    these segments are whole and durable: text of a catalogue
//                                         (format/catalogue.h) that lists them and nothing else
//     STORE/incoming/00000099.refused     a handover that does not fit the store
//     STORE/incoming/00000099.stale       one made before the recorder was started anew
//
// The generation of that text is the one of STORE/ledger/base when it was looked up which ids the
// store has (0: no such file). A start of the recorder raises it, and from then on it may ask for
// the same ids itself: what was made before is stale, and is made again.
//
// A handover is named by its lowest number. Files under other names are the other program's.
//
// Threading: the sealer's; at the start, the thread that opens the store.
#ifndef RINGTAPE_KEEP_KEEP_INCOMING_H
#define RINGTAPE_KEEP_KEEP_INCOMING_H

#include <stdbool.h>
#include <stdint.h>

#include "format/catalogue.h"
#include "io/io.h"
#include "keep/file_script.h"

enum {
    KEEP_INCOMING_NUMBERS = 4096,         // given at once
    KEEP_INCOMING_SEGMENTS_MAX = 64,      // of a handover
    KEEP_INCOMING_BYTES_MAX = 32 * 1024,  // of its text
    KEEP_INCOMING_HANDOVERS_MAX = 65536,  // looked through at a start
    KEEP_INCOMING_LIFE_BYTES = 64, // of the ledger's base, whose first lines tell its generation
};

struct keep_incoming {
    uint32_t handover;    // the lowest, 0: none
    bool numbers_wanted;  // and not given yet
};

// What is there now. Nothing where the folder is missing.
struct keep_incoming keep_incoming_look(struct io *io, const char *store);
// "STORE/incoming/NAME" into `out` (KEEP_FILE_NAME_BYTES_MAX bytes).
void keep_incoming_path(const char *store, const char *name, char *out);
// "STORE/incoming/00000099.ENDING" resp. "STORE/incoming/trade-00000099.ENDING".
void keep_incoming_handover_path(const char *store, uint32_t number, const char *ending, char *out);
void keep_incoming_segment_path(const char *store, const struct catalogue_segment *segment,
                                const char *ending, char *out);

// The generation that the beginning of a ledger's base tells; 0: none.
uint64_t keep_incoming_life(const char *text, uint32_t size);

// At the start: the numbers of all segments that handovers list. They may lie in segment/ already,
// where nobody lists them yet, and must stay. An array for free(), its length in *count; NULL: none
// or no memory, as *count tells (UINT32_MAX: a handover could not be read, so nothing is known).
uint32_t *keep_incoming_load_numbers(struct io *io, const char *store, struct file_script *script,
                                     uint32_t *count);

#endif
