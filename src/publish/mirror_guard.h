// SPDX-License-Identifier: GPL-3.0-or-later
//
// mirror_guard: what a mirror that does not run still needs, by the state it left in the store: for
// whoever seals and merges meanwhile (control/seal.h), so that the mirror goes on as if nothing
// had been done. A tape is needed until every mirrored topic has delivered rows of a later one of
// its shard: the mirror begins with the tape that its cursor is on, be it at the end, and would
// look for its segments if it were gone.
//
// Threading: opened before the sealer runs; asked on its thread. The state must not change
// meanwhile: the store's lock sees to that. Memory: allocated in mirror_guard_open(), 6 MB.
#ifndef RINGTAPE_PUBLISH_MIRROR_GUARD_H
#define RINGTAPE_PUBLISH_MIRROR_GUARD_H

#include "io/io.h"
#include "keep/keep_store.h"

struct mirror_guard;

// Reads the state and the headers and marks of tapes; `start` is a loop to do that on, with nothing
// in flight. 0, with *guard NULL where no mirror ever ran; or a negative errno with `message`.
int mirror_guard_open(struct mirror_guard **guard, struct io *start, struct keep_store *store,
                      struct io_message *message);
void mirror_guard_close(struct mirror_guard *guard); // may be NULL
// For keep_store_add_guard().
struct retention_guard mirror_guard_retention(struct mirror_guard *guard);

#endif
