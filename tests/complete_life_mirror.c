// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life: the mirror of a life, to a broker that outlives it. See complete_life.h.
#include "complete_life.h"
#include "format/ensure.h"
#include "keep/keep_store.h"
#include "publish/mirror.h"
#include "scripted_producer.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { FEED_BYTES = 1 << 18 };

struct life_mirror {
    struct io *io;
    struct mirror *mirror;
    struct tape_feed *feeds[LIFE_SHARDS_MAX];
    uint32_t shards;
    struct statistics_mirror statistics;
};

struct tape_feed *life_mirror_feed(const struct life *life, uint32_t shard)
{
    ensure(shard < LIFE_SHARDS_MAX);
    return life->mirror == NULL ? NULL : life->mirror->feeds[shard];
}

static bool tape_released(void *context, uint32_t tape)
{
    const struct life_mirror *own = context;
    return mirror_tape_done(own->mirror, tape);
}

static bool segment_released(void *context, const struct catalogue_segment *segment)
{
    const struct retention_guard tapes = {.tape_released = tape_released, .context = context};
    return retention_tapes_released(&tapes, 1, segment);
}

bool life_mirror_start(struct life *life)
{
    struct io_message message = {{0}};
    struct life_mirror *own = calloc(1, sizeof *own);
    life->mirror = own;
    own->shards = life->shards;
    for (uint32_t s = 0; s < own->shards; s++)
        cr_assert_eq(tape_feed_open(&own->feeds[s], FEED_BYTES), 0);
    cr_assert_eq(io_open_loop(&own->io, &(struct io_options){.name = "mirror"}, &message), 0);
    const struct mirror_options options = {.store = life->store,
                                           .feeds = own->feeds,
                                           .shards = own->shards,
                                           .channels = 1u << CHANNEL_TRADE,
                                           .maker = {scripted_make, life->broker},
                                           .queue_bytes = 1 << 20,
                                           .queue_messages = SCRIPTED_QUEUE_MAX,
                                           .log = &life->log,
                                           .statistics = &own->statistics};
    const int result = mirror_open(&own->mirror, own->io, life->store_io, &options, &message);
    if (result != 0 && sim_world_crashed(life->world)) {
        life->mirror = NULL; // what it was is leaked
        return false; // a read failed: there was nothing to wait for
    }
    life->refused = result != 0;
    cr_assert(result == 0 || life->may_refuse, "%s", message.text);
    if (result == 0) {
        const struct retention_guard guard = {.released = segment_released,
                                              .tape_released = tape_released, .context = own};
        mirror_start(own->mirror);
        if (life->guarded) keep_store_add_guard(life->store, &guard);
        return true;
    }
    for (uint32_t s = 0; s < own->shards; s++) tape_feed_close(own->feeds[s]);
    io_close_loop(own->io);
    free(own);
    life->mirror = NULL;
    return false;
}

static void life_mirror_free(struct life *life)
{
    struct life_mirror *own = life->mirror;
    mirror_close(own->mirror);
    for (uint32_t s = 0; s < own->shards; s++) tape_feed_close(own->feeds[s]);
    free(own);
    life->mirror = NULL;
}

static void mirror_stopped(void *context)
{
    *(bool *)context = true;
}

void life_mirror_stop(struct life *life)
{
    bool stopped = false;
    struct io *io = life->mirror->io;
    mirror_stop(life->mirror->mirror, LIMIT_SECOND_NS, mirror_stopped, &stopped);
    life_run(life, 3 * LIMIT_SECOND_NS);
    cr_assert(stopped);
    life_mirror_free(life);
    io_close_loop(io);
}

void life_mirror_crash(struct life *life)
{
    life_mirror_free(life);
}

void life_mirror_lost(struct life *life)
{
    if (life->broker != NULL) life->broker->spare = NULL;
}

void life_mirror_retry(struct life *life)
{
    ensure(life->mirror != NULL);
    sim_disk_write(life->world, "/data/store/mirror/retry", "", 0, 0);
}

bool life_mirror_idle(const struct life *life)
{
    const struct mirror_counters counters = mirror_counters(life->mirror->mirror);
    return counters.behind == 0 && counters.in_flight == 0 && counters.letters == 0;
}
