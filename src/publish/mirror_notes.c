// SPDX-License-Identifier: GPL-3.0-or-later
//
// The tapes that some topic is not past, with their shards, kept in the state: on a full disk a
// tape may go before it is mirrored, and its header, which tells the shard, with it.
#include <string.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

struct mirror_state_tape *mirror_noted(struct mirror *mirror, uint32_t tape)
{
    struct mirror_state *state = &mirror->state;
    uint32_t at = mirror_state_place(state, tape);
    return at < state->tape_count && state->tapes[at].tape == tape ? &state->tapes[at] : NULL;
}

void mirror_note(struct mirror *mirror, uint32_t tape, uint32_t shard)
{
    struct mirror_state *state = &mirror->state;
    ensure(tape != 0 && shard < MIRROR_SHARDS_MAX);
    if (mirror_noted(mirror, tape) != NULL || state->tape_count == MIRROR_STATE_TAPES_MAX) return;
    uint32_t at = mirror_state_place(state, tape);
    memmove(&state->tapes[at + 1], &state->tapes[at],
            (state->tape_count - at) * sizeof *state->tapes);
    state->tapes[at] = (struct mirror_state_tape){tape, shard, 0};
    state->tape_count++;
    mirror->dirty = true;
}

void mirror_note_tapes(struct mirror *mirror)
{
    for (uint32_t s = 0; s < mirror->options.shards; s++) {
        struct tape_feed_durable durable = tape_feed_durable(mirror->options.feeds[s]);
        if (durable.tape == mirror->noted[s]) continue;
        // One may have come and gone between two looks.
        if (durable.previous > mirror->noted[s]) mirror_note(mirror, durable.previous, s);
        mirror_note(mirror, durable.tape, s);
        mirror->noted[s] = durable.tape;
    }
}

static bool all_past(const struct mirror *mirror, const struct mirror_state_tape *note)
{
    return mirror_tape_done(mirror, note->tape) ||
           mirror_state_past(&mirror->state, mirror->lane_mask, note->shard, note->tape);
}

void mirror_notes_trim(struct mirror *mirror)
{
    struct mirror_state *state = &mirror->state;
    uint32_t kept = 0;
    for (uint32_t t = 0; t < state->tape_count; t++) {
        if (!all_past(mirror, &state->tapes[t])) state->tapes[kept++] = state->tapes[t];
    }
    // The text tells the same state in the same bytes, whatever was there before.
    memset(&state->tapes[kept], 0, (state->tape_count - kept) * sizeof *state->tapes);
    state->tape_count = kept;
}
