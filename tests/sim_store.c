// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/keep_store.h"
#include "keep/sealer.h"

enum { SETTLE_STEPS_MAX = 1000000 };

static void settled(void *context)
{
    *(bool *)context = true;
}

static bool seal_all(struct sim_world *world, struct io *io, struct keep_store *store)
{
    struct sealer *sealer;
    ensure(sealer_open(&sealer, io, store) == 0);
    sealer_merge_all(sealer);
    bool alive = true;
    for (int i = 0; i < SETTLE_STEPS_MAX && alive && !sealer_counters(sealer).idle; i++)
        alive = sim_world_step(world);
    bool idle = sealer_counters(sealer).idle;
    bool stopped = false;
    sealer_stop(sealer, settled, &stopped);
    for (int i = 0; i < SETTLE_STEPS_MAX && !stopped; i++)
        (void)sim_world_step(world);
    sealer_close(sealer);
    return idle && stopped;
}

bool sim_store_settle(struct sim_world *world, const char *path)
{
    struct io *io;
    struct io_message message;
    struct io_options options = {.name = "settle"};
    struct keep_store *store;
    ensure(io_open_loop(&io, &options, &message) == 0);
    bool good = keep_store_open(&store, io, path, &message) == 0;
    if (good) {
        good = seal_all(world, io, store);
        keep_store_close(store);
    }
    io_close_loop(io);
    return good;
}

static bool cannot(char why[SIM_STORE_WHY_BYTES], const char *path, enum segment_error error)
{
    (void)snprintf(why, SIM_STORE_WHY_BYTES, "%s: %s", path, segment_error_text(error));
    return false;
}

static bool walk_segment(const struct catalogue_segment *listed, const char *path,
                         const struct source *source, sim_store_block *each, void *context,
                         uint64_t *unreadable, char why[SIM_STORE_WHY_BYTES])
{
    struct segment *segment;
    enum segment_error error = segment_open(&segment, source, NULL, 0);
    if (error == SEGMENT_GOOD &&
        !segment_is(segment, listed->number, listed->day, listed->channel)) {
        segment_close(segment);
        error = SEGMENT_OTHER;
    }
    if (error != SEGMENT_GOOD) {
        if (unreadable) *unreadable += listed->rows;
        return cannot(why, path, error) || unreadable;
    }
    bool good = true;
    // An index that was made without the footer lacks what is damaged.
    uint64_t missing = listed->rows;
    for (uint32_t b = 0; b < segment_index(segment)->block_count; b++)
        missing -= segment_index(segment)->blocks[b].rows;
    if (unreadable) *unreadable += missing;
    for (uint32_t b = 0; good && b < segment_index(segment)->block_count; b++) {
        struct segment_block block;
        error = segment_read(segment, b, UINT64_MAX, &block);
        good = error == SEGMENT_GOOD ? each(context, listed, segment, &block)
                                     : cannot(why, path, error);
        if (error != SEGMENT_GOOD && unreadable) {
            *unreadable += segment_index(segment)->blocks[b].rows;
            good = true;
        }
    }
    segment_close(segment);
    return good;
}

bool sim_store_walk(struct sim_world *world, const char *store, const struct catalogue *catalogue,
                    sim_store_block *each, void *context, char why[SIM_STORE_WHY_BYTES])
{
    return sim_store_walk_around(world, store, catalogue, each, context, NULL, why);
}

bool sim_store_walk_around(struct sim_world *world, const char *store,
                           const struct catalogue *catalogue, sim_store_block *each,
                           void *context, uint64_t *unreadable, char why[SIM_STORE_WHY_BYTES])
{
    bool good = true;
    for (uint32_t i = 0; good && i < catalogue->segment_count; i++) {
        const struct catalogue_segment *listed = &catalogue->segments[i];
        char relative[CATALOGUE_PATH_BYTES_MAX];
        char path[CATALOGUE_PATH_BYTES_MAX + 64];
        catalogue_segment_path(listed, "segment", relative);
        (void)snprintf(path, sizeof path, "%.60s/%s", store, relative);
        int64_t size = sim_disk_size(world, path);
        if (size < 0) {
            (void)snprintf(why, SIM_STORE_WHY_BYTES, "%s: listed and missing", path);
            return false;
        }
        uint8_t *bytes = aligned_alloc(64, ((size_t)size + 64) & ~(size_t)63);
        ensure(sim_disk_read(world, path, bytes, (uint32_t)size, 0) == size);
        struct source source = source_of_memory(bytes, (uint64_t)size);
        good = walk_segment(listed, path, &source, each, context, unreadable, why);
        free(bytes);
    }
    return good;
}
