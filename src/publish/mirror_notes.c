// SPDX-License-Identifier: GPL-3.0-or-later
//
// The tapes that some topic is not past, with their shards, kept in the state: on a full disk a
// tape may go before it is mirrored, and its header, which tells the shard, with it.
//
// A state that tells of a tape tells of all older ones that there are, and of those that shards had
// in reserve, which may begin long after others of higher numbers. So where such a disk has no
// room for the state either, the tapes behind all that it tells of are found in the catalogue.
// Their shards are not known, as of a tape whose header is damaged: these are noted without, and
// sent whole, again after each crash until every topic is past them.
#include <errno.h>
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
    ensure(tape != 0 && shard <= MIRROR_SHARDS_MAX);
    struct mirror_state_tape *noted = mirror_noted(mirror, tape);
    // Of this life its feed knows; an older one stays unknown, for its rows count by no cursor.
    const bool own = mirror->tape_base != 0 && tape >= mirror->tape_base;
    if (noted != NULL && noted->shard == MIRROR_SHARDS_MAX && own) noted->shard = shard;
    if (noted != NULL || state->tape_count == MIRROR_STATE_TAPES_MAX) return;
    uint32_t at = mirror_state_place(state, tape);
    memmove(&state->tapes[at + 1], &state->tapes[at],
            (state->tape_count - at) * sizeof *state->tapes);
    state->tapes[at] = (struct mirror_state_tape){tape, shard, 0};
    state->tape_count++;
    mirror->dirty = true;
}

static void note_spare(struct mirror *mirror, uint32_t shard)
{
    uint32_t *spare = mirror->state.spare[shard];
    const uint32_t tape = tape_feed_prepared(mirror->options.feeds[shard]);
    if (tape != spare[0]) spare[1] = spare[0];
    spare[0] = tape;
    for (int i = 0; i < MIRROR_STATE_SPARES; i++)
        if (spare[i] <= mirror->noted[shard]) spare[i] = 0;
}

void mirror_note_tapes(struct mirror *mirror)
{
    for (uint32_t s = 0; s < mirror->options.shards; s++) {
        struct tape_feed_durable durable = tape_feed_durable(mirror->options.feeds[s]);
        note_spare(mirror, s);
        if (durable.tape == mirror->noted[s]) continue;
        // One may have come and gone between two looks.
        if (durable.previous > mirror->noted[s]) mirror_note(mirror, durable.previous, s);
        mirror_note(mirror, durable.tape, s);
        mirror->noted[s] = durable.tape;
        note_spare(mirror, s);
    }
}

static bool has_segment(const struct catalogue *catalogue, uint32_t tape)
{
    bool has = false;
    for (uint32_t i = 0; i < catalogue->segment_count && !has; i++)
        has = catalogue->segments[i].tape_first == tape && catalogue->segments[i].tape_last == tape;
    return has;
}

void mirror_note_begun(struct mirror *mirror, const struct catalogue *catalogue)
{
    for (uint32_t i = 0; i < MIRROR_SHARDS_MAX * MIRROR_STATE_SPARES; i++) {
        uint32_t *spare = &mirror->state.spare[i / MIRROR_STATE_SPARES][i % MIRROR_STATE_SPARES];
        if (*spare != 0 && has_segment(catalogue, *spare))
            mirror_note(mirror, *spare, i / MIRROR_STATE_SPARES);
        *spare = 0;
    }
}

static int check_header(void *context, const void *bytes, uint32_t size)
{
    const enum tape_error error = tape_header_decode(bytes, size, context);
    return error == TAPE_NO_MAGIC || error == TAPE_BAD_HASH ? -EBADMSG : error != TAPE_GOOD;
}

uint32_t mirror_shard_read(struct file_script *script, struct io *start,
                           const struct keep_store *store, uint32_t tape)
{
    uint8_t sector[LAYOUT_SECTOR];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    struct layout_tape header;
    uint32_t size = 0;
    keep_store_tape_path(store, tape, "tape", path);
    bool known = file_script_read_now(script, start, path, sector, sizeof sector, &size,
                                      check_header, &header) == 0 &&
                 tape_header_is(&header, tape, keep_store_identity(store)) &&
                 header.shard < MIRROR_SHARDS_MAX;
    return known ? header.shard : MIRROR_SHARDS_MAX;
}

int mirror_note_listed(struct mirror *mirror, struct io *start)
{
    for (uint32_t t = 0; t < mirror->tape_count; t++) {
        struct mirror_tape *tape = &mirror->tapes[t];
        if (tape->shard != TAPE_NOT_LOOKED) continue;
        const uint32_t shard = mirror_shard_read(mirror->save_script, start,
                                                 mirror->options.store, tape->number);
        if (mirror->save_script->running) return -ETIMEDOUT;
        tape->shard = shard;
        mirror_note(mirror, tape->number, shard);
    }
    return 0;
}

uint32_t mirror_newest_told(const struct mirror_state *state)
{
    uint32_t newest = state->tape_count > 0 ? state->tapes[state->tape_count - 1].tape : 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        for (uint32_t s = 0; s < MIRROR_SHARDS_MAX; s++) {
            const uint32_t tape = state->cursor[c][s].tape;
            if (tape > newest) newest = tape;
        }
    }
    return newest;
}

// By segments of nothing but one tape: what is not mirrored is not merged. Merged ones are history,
// say of a year without a mirror, and would be sent whole for each of their tapes.
void mirror_untold_tapes(uint32_t told, const struct catalogue *catalogue,
                         void (*found)(void *context, uint32_t tape), void *context)
{
    for (uint32_t i = 0; told > 0 && i < catalogue->segment_count; i++) {
        const uint32_t tape = catalogue->segments[i].tape_first;
        if (tape > told && catalogue->segments[i].tape_last == tape) found(context, tape);
    }
}

static bool all_past(const struct mirror *mirror, const struct mirror_state_tape *note)
{
    return mirror_tape_done(mirror, note->tape) ||
           (note->shard < MIRROR_SHARDS_MAX &&
            mirror_state_past(&mirror->state, mirror->lane_mask, note->shard, note->tape));
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
