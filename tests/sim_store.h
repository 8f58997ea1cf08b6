// SPDX-License-Identifier: GPL-3.0-or-later
//
// sim_store: a store on a simulated disk, sealed and read back. For tests.
#ifndef RINGTAPE_TESTS_SIM_STORE_H
#define RINGTAPE_TESTS_SIM_STORE_H

#include "format/catalogue.h"
#include "format/segment.h"
#include "io_sim.h"

enum { SIM_STORE_WHY_BYTES = 256 };

// Opens the store, seals every tape, merges what can be merged, closes it. False: it does not come
// to an end.
bool sim_store_settle(struct sim_world *world, const char *path);

// False ends the walk; the callback has then said why.
typedef bool sim_store_block(void *context, const struct catalogue_segment *listed,
                             const struct segment *segment, const struct segment_block *block);
// Every block of every segment that `catalogue` lists. False: one of them cannot be read (`why`
// tells), or the callback said so.
bool sim_store_walk(struct sim_world *world, const char *path, const struct catalogue *catalogue,
                    sim_store_block *each, void *context, char why[SIM_STORE_WHY_BYTES]);
// The same where sectors may be bad for good: the rows of blocks that cannot be read are counted.
bool sim_store_walk_around(struct sim_world *world, const char *path,
                           const struct catalogue *catalogue, sim_store_block *each,
                           void *context, uint64_t *unreadable, char why[SIM_STORE_WHY_BYTES]);

#endif
