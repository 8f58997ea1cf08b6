// SPDX-License-Identifier: GPL-3.0-or-later
//
// The tapes that are needed are found once, at the start, and kept in a sorted list.
#include "publish/mirror_guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

enum { GUARD_TAPES_MAX = MIRROR_TAPES_MAX + MIRROR_STATE_TAPES_MAX };

struct mirror_guard {
    struct mirror_state state;
    uint32_t topics; // bit c: mirrored
    struct keep_store *store;
    struct file_script script;
    uint32_t count;
    uint32_t tapes[GUARD_TAPES_MAX]; // listed, then those needed of them, increasing
    char text[MIRROR_STATE_BYTES_MAX];
};

// ---- is it needed ----

static bool is_needed(struct mirror_guard *guard, struct io *start, uint32_t tape)
{
    const struct mirror_state_tape *note = mirror_state_note(&guard->state, tape);
    uint32_t shard = note != NULL
                         ? note->shard
                         : mirror_shard_read(&guard->script, start, guard->store, tape);
    return shard == MIRROR_SHARDS_MAX ||
           !mirror_state_past(&guard->state, guard->topics, shard, tape);
}

// ---- which tapes there are ----

static void add_tape(void *context, uint32_t tape)
{
    struct mirror_guard *guard = context;
    if (tape != 0 && guard->count < MIRROR_TAPES_MAX) guard->tapes[guard->count++] = tape;
}

static void list_tape(void *context, const char *name)
{
    add_tape(context, keep_store_tape_number(name));
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int find_needed(struct mirror_guard *guard, struct io *start)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/tape", keep_store_path(guard->store));
    int result = io_list(start, path, list_tape, guard);
    for (uint32_t i = 0; i < MIRROR_SHARDS_MAX * MIRROR_STATE_SPARES; i++)
        add_tape(guard, guard->state.spare[i / MIRROR_STATE_SPARES][i % MIRROR_STATE_SPARES]);
    mirror_untold_tapes(mirror_newest_told(&guard->state), keep_store_catalogue(guard->store),
                        add_tape, guard);
    for (uint32_t t = 0; t < guard->state.tape_count; t++)
        guard->tapes[guard->count++] = guard->state.tapes[t].tape;
    ensure(guard->count <= GUARD_TAPES_MAX);
    qsort(guard->tapes, guard->count, sizeof *guard->tapes, by_number);
    uint32_t kept = 0;
    uint32_t last = 0;
    for (uint32_t t = 0; t < guard->count && !guard->script.running; t++) {
        uint32_t tape = guard->tapes[t];
        if (tape != last && is_needed(guard, start, tape)) guard->tapes[kept++] = tape;
        last = tape;
    }
    guard->count = kept;
    return guard->script.running ? -ETIMEDOUT : result;
}

// ---- the guard ----

static bool tape_released(void *context, uint32_t tape)
{
    const struct mirror_guard *guard = context;
    return bsearch(&tape, guard->tapes, guard->count, sizeof *guard->tapes, by_number) == NULL;
}

static bool segment_released(void *context, const struct catalogue_segment *segment)
{
    const struct retention_guard tapes = {.tape_released = tape_released, .context = context};
    return retention_tapes_released(&tapes, 1, segment);
}

struct retention_guard mirror_guard_retention(struct mirror_guard *guard)
{
    ensure(guard != NULL);
    return (struct retention_guard){
        .released = segment_released, .tape_released = tape_released, .context = guard};
}

// Its dead letters have a file from the beginning.
static bool mirror_opened(const struct keep_store *store, struct io *start)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/mirror/dead", keep_store_path(store));
    return io_file_size(start, path) >= 0;
}

int mirror_guard_open(struct mirror_guard **out, struct io *start, struct keep_store *store,
                      struct io_message *message)
{
    *out = NULL;
    struct mirror_guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL) return -ENOMEM;
    guard->store = store;
    int result = mirror_state_read(&guard->script, start, store, guard->text, &guard->state,
                                   message);
    guard->topics = mirror_state_topics(&guard->state);
    if (guard->topics == 0) guard->topics = UINT32_MAX; // nothing is known to be delivered
    // It ended before it saved a state for the first time.
    if (result == -ENOENT && mirror_opened(store, start)) result = 0;
    if (result == 0) result = find_needed(guard, start);
    if (result == 0) *out = guard;
    else if (!guard->script.running) mirror_guard_close(guard); // else the disk has its buffers
    return result == -ENOENT ? 0 : result;
}

void mirror_guard_close(struct mirror_guard *guard)
{
    free(guard);
}
