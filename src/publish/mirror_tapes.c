// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which tapes there are: those that lie in the store, those that are noted and gone, and those that
// only the catalogue knows.
#include <stdio.h>
#include <stdlib.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

static void list_tape(void *context, const char *name)
{
    struct mirror *mirror = context;
    uint32_t tape = keep_store_tape_number(name);
    if (tape == 0 || mirror->tape_count >= MIRROR_TAPES_MAX) return;
    mirror->tapes[mirror->tape_count++] = (struct mirror_tape){tape, TAPE_NOT_LOOKED};
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct mirror_tape *)a)->number;
    uint32_t y = ((const struct mirror_tape *)b)->number;
    return (x > y) - (x < y);
}

// Those that are noted and gone too; of those that are noted the shard is known.
static void unite_notes(struct mirror *mirror, uint32_t kept)
{
    struct mirror_tape *tapes = mirror->tapes + kept;
    const struct mirror_state *state = &mirror->state;
    uint32_t listed = mirror->tape_count - kept;
    uint32_t count = listed;
    qsort(tapes, listed, sizeof *tapes, by_number);
    for (uint32_t t = 0, at = 0; t < state->tape_count; t++) {
        const struct mirror_state_tape *note = &state->tapes[t];
        while (at < listed && tapes[at].number < note->tape) at++;
        if (at < listed && tapes[at].number == note->tape) tapes[at].shard = note->shard;
        else tapes[count++] = (struct mirror_tape){note->tape, note->shard};
    }
    mirror->tape_count = kept + count;
}

int mirror_tapes_list(struct mirror *mirror, struct io *io, uint32_t kept)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/tape", keep_store_path(mirror->options.store));
    mirror->tape_count = kept;
    int result = io_list(io, path, list_tape, mirror);
    unite_notes(mirror, kept);
    // Those of earlier lives are known already.
    uint32_t count = kept;
    for (uint32_t i = kept; i < mirror->tape_count; i++) {
        if (kept == 0 || mirror->tapes[i].number >= mirror->tape_base)
            mirror->tapes[count++] = mirror->tapes[i];
    }
    mirror->tape_count = count;
    qsort(mirror->tapes + kept, count - kept, sizeof *mirror->tapes, by_number);
    return result;
}

static void add_untold(void *context, uint32_t tape)
{
    struct mirror *mirror = context;
    bool listed = mirror->tape_count >= MIRROR_TAPES_MAX;
    for (uint32_t t = 0; t < mirror->tape_count && !listed; t++)
        listed = mirror->tapes[t].number == tape;
    if (!listed) mirror->tapes[mirror->tape_count++] = (struct mirror_tape){tape, TAPE_NOT_LOOKED};
}

// Numbers between those listed are of tapes that are past, or never were.
static void done_open(struct mirror *mirror)
{
    const uint32_t end = mirror->tape_base - mirror->done_first;
    uint32_t listed = 0;
    for (uint32_t i = 0; i < end && i < MIRROR_DONE_MAX; i++) {
        while (listed < mirror->tape_count &&
               mirror->tapes[listed].number < mirror->done_first + i)
            listed++;
        if (listed == mirror->tape_count || mirror->tapes[listed].number > mirror->done_first + i)
            mirror->done[i] = UINT16_MAX;
    }
}

int mirror_tapes_open(struct mirror *mirror, struct io *start)
{
    const struct catalogue *catalogue = keep_store_catalogue(mirror->options.store);
    const uint32_t told = mirror_newest_told(&mirror->state);
    mirror_note_begun(mirror, catalogue);
    int result = mirror_tapes_list(mirror, start, 0);
    if (result < 0) return result;
    mirror_untold_tapes(told, catalogue, add_untold, mirror);
    result = mirror_note_listed(mirror, start);
    if (result < 0) return result;
    qsort(mirror->tapes, mirror->tape_count, sizeof *mirror->tapes, by_number);
    mirror->earlier = mirror->tape_count;
    mirror->tape_base = 1;
    if (mirror->earlier > 0) mirror->tape_base = mirror->tapes[mirror->earlier - 1].number + 1;
    if (mirror->tape_base < catalogue->next_tape) mirror->tape_base = catalogue->next_tape;
    mirror->done_first = mirror->earlier > 0 ? mirror->tapes[0].number : mirror->tape_base;
    done_open(mirror);
    return 0;
}
