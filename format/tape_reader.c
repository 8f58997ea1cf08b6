// SPDX-License-Identifier: Apache-2.0
//
// One step of the reader, at `offset` with `sequence` batches read:
//
//     batch sequence + 1 is at `offset` (either slot)
//         chained to the last batch read ─────────────────────→ give it
//         not chained, but the last batch has a newer revision → give that first
//         not chained otherwise ──────────────→ give damage: a revision of the last batch is lost
//     it is not there
//         the last batch has a newer revision ────────────────→ give that
//         everything within the limit was given ──────────────→ the end; may be asked again
//         a later batch is found ahead ──────────→ give damage: what lies between; go on there
//         the mark says there was more ──────────→ give damage, once
//         otherwise ─────────────────────────────→ the end; may be asked again
//
// A live tape changes while it is read. A batch found ahead proves that all before it were complete
// by then, so the place is read again before it is called damaged. So it is, a few times, where no
// writer changes anything, since a device may give wrong bytes once: before damage, before a lost
// revision, and before the end, which nothing but the read itself tells of.
#include "format/tape_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/tape_reader_room.h"

enum {
    READER_SLOTS_BYTES = 2 * LAYOUT_SECTOR,
    READER_TRIES = 64, // a writer may be writing revisions while we read them
};

// A whole good batch somewhere.
struct reader_found {
    uint64_t base;   // of its slots, resp. of itself
    uint64_t offset; // of the revision
    const uint8_t *bytes;
    struct layout_batch header;
    size_t memory_bytes;
};

static uint32_t batch_size(const struct layout_batch *header)
{
    return header->header_bytes + header->payload_bytes;
}

static uint64_t batch_extent(const struct layout_batch *header)
{
    if (header->flags & LAYOUT_BATCH_SLOTTED)
        return READER_SLOTS_BYTES;
    return ((uint64_t)batch_size(header) + LAYOUT_SECTOR - 1) & ~(uint64_t)(LAYOUT_SECTOR - 1);
}

static bool reader_says_durable(uint64_t durable_sequence, uint32_t durable_revision,
                                uint64_t sequence, int64_t revision)
{
    return durable_sequence > sequence ||
           (durable_sequence == sequence && durable_revision >= revision);
}

// A closed tape ends at its mark: what lies behind was being written when a write failed, was never
// acknowledged, and its rows went to another tape.
static bool reader_behind_end(const struct tape_reader *reader, const struct layout_batch *header)
{
    uint64_t sequence = reader->limit_sequence;
    uint32_t revision = reader->limit_revision;
    if (tape_reader_closed(reader) && reader->mark.sequence <= sequence) {
        sequence = reader->mark.sequence;
        revision = reader->mark.revision;
    }
    return header->sequence > sequence ||
           (header->sequence == sequence && header->revision > revision);
}

// A batch behind the limit tells what was durable before it was written.
static void reader_raise_limit(struct tape_reader *reader, const struct layout_batch *header)
{
    if (reader->limit_sequence == UINT64_MAX ||
        reader_says_durable(reader->limit_sequence, reader->limit_revision,
                            header->durable_sequence, header->durable_revision))
        return;
    reader->limit_sequence = header->durable_sequence;
    reader->limit_revision = header->durable_revision;
}

// Decodes the header at `bytes`, which is at `offset` of the tape.
static enum tape_error reader_header_at(struct tape_reader *reader, uint64_t offset,
                                        const uint8_t *bytes, size_t size,
                                        struct reader_found *found)
{
    enum tape_error error = tape_decode_header(bytes, size, &found->header);
    uint64_t salt = 0; // at the same place in all versions
    if (error == TAPE_NEWER)
        memcpy(&salt, bytes + offsetof(struct layout_batch, salt), sizeof salt);
    if (error == TAPE_NEWER && salt != reader->header.salt)
        return TAPE_OTHER_SALT;
    if (error != TAPE_GOOD)
        return error;
    uint64_t slot = (uint64_t)(found->header.revision & 1) * LAYOUT_SECTOR;
    if (found->header.salt != reader->header.salt)
        return TAPE_OTHER_SALT;
    reader_raise_limit(reader, &found->header);
    found->offset = offset;
    found->base = offset - slot;
    if (offset < LAYOUT_SECTOR + slot)
        return TAPE_BAD_HEADER;
    if (!reader_behind_end(reader, &found->header))
        return TAPE_GOOD;
    reader->beyond = true;
    return TAPE_NO_MAGIC;
}

// Is there a whole batch at exactly `offset`? *error: if not, why. Negative: errno.
static int reader_batch_at(struct tape_reader *reader, uint64_t offset, struct reader_found *found,
                           enum tape_error *error)
{
    int64_t got;
    const uint8_t *bytes = reader_get(reader, offset, LAYOUT_SECTOR, &got);
    if (!bytes)
        return (int)got;
    *error = reader_header_at(reader, offset, bytes, (size_t)got, found);
    if (*error != TAPE_GOOD)
        return 0;
    const uint64_t hash = found->header.hash;
    bytes = reader_get(reader, offset, batch_size(&found->header), &got);
    if (!bytes)
        return (int)got;
    *error = tape_check_batch(bytes, (size_t)got, &found->header, &found->memory_bytes);
    if (*error == TAPE_GOOD && found->header.hash != hash) // written again between the two reads
        *error = TAPE_BAD_HASH;
    found->bytes = bytes;
    return *error == TAPE_GOOD;
}

// A slotted batch in the sector at `bytes`.
static enum tape_error reader_slot(struct tape_reader *reader, uint64_t offset,
                                   const uint8_t *bytes, size_t size, struct reader_found *found)
{
    enum tape_error error = reader_header_at(reader, offset, bytes, size, found);
    if (error != TAPE_GOOD || (found->header.flags & LAYOUT_BATCH_SLOTTED) == 0)
        return error;
    found->bytes = bytes;
    return tape_check_batch(bytes, size, &found->header, &found->memory_bytes);
}

// As reader_batch_in(), in one read of both slots. *changing: a writer may be at them just now.
static int reader_look(struct tape_reader *reader, uint64_t base, uint64_t sequence,
                       int64_t revision_min, struct reader_found *found, enum tape_error *error,
                       bool *changing)
{
    int64_t got;
    int64_t best = revision_min;
    const uint64_t limit_sequence = reader->limit_sequence;
    const uint32_t limit_revision = reader->limit_revision;
    const uint8_t *bytes = reader_get(reader, base, READER_SLOTS_BYTES, &got);
    if (!bytes)
        return (int)got;
    *changing = false;
    for (int64_t at = 0; at < READER_SLOTS_BYTES; at += LAYOUT_SECTOR) {
        struct reader_found slot = {0};
        enum tape_error slot_error = reader_slot(reader, base + (uint64_t)at, bytes + at,
                                                 got > at ? (size_t)(got - at) : 0, &slot);
        bool good = slot_error == TAPE_GOOD && slot.header.sequence == sequence &&
                    slot.base == base;
        if (at == 0)
            *error = slot_error;
        // What lies one sector on is inside it.
        if (good && (slot.header.flags & LAYOUT_BATCH_SLOTTED) == 0)
            return slot.header.revision > revision_min ? reader_batch_at(reader, base, found, error)
                                                       : 0;
        if (good && slot.header.revision > best) {
            best = slot.header.revision;
            *found = slot;
        }
        *changing = *changing || slot_error == TAPE_BAD_HASH || slot_error == TAPE_BAD_PAYLOAD;
    }
    *changing = *changing || reader->limit_sequence != limit_sequence ||
                reader->limit_revision != limit_revision;
    return best > revision_min;
}

// The batch `sequence` whose place begins at `base`, in its highest revision above `revision_min`
// (-1: any). 1: found.
static int reader_batch_in(struct tape_reader *reader, uint64_t base, uint64_t sequence,
                           int64_t revision_min, struct reader_found *found,
                           enum tape_error *error)
{
    bool changing = true;
    int result = 0;
    for (int i = 0; i < READER_TRIES && changing && result == 0; i++)
        result = reader_look(reader, base, sequence, revision_min, found, error, &changing);
    return result;
}

static int reader_give(struct tape_reader *reader, const struct reader_found *found,
                       struct tape_item *item)
{
    bool again = found->header.sequence == reader->sequence;
    *item = (struct tape_item){
        .offset = found->offset,
        .bytes = found->bytes,
        .size = batch_size(&found->header),
        .rows_before = again ? reader->last_rows : 0,
        .memory_bytes = found->memory_bytes,
        .header = found->header,
    };
    reader->offset = found->base + batch_extent(&found->header);
    reader->sequence = found->header.sequence;
    reader->rows = found->header.first_row + found->header.rows;
    reader->last_offset = found->base;
    reader->last_hash = found->header.hash;
    reader->last_revision = found->header.revision;
    reader->last_rows = found->header.rows;
    reader->last_slotted = (found->header.flags & LAYOUT_BATCH_SLOTTED) != 0;
    return 1;
}

static int reader_give_damage(struct tape_reader *reader, const struct tape_damage *damage,
                              struct tape_item *item)
{
    *item = (struct tape_item){.is_damage = true, .damage = *damage};
    reader->rows_lost += damage->rows;
    reader->damages++;
    return 1;
}

static int reader_newer_revision(struct tape_reader *reader, struct reader_found *found)
{
    enum tape_error error;
    if (!reader->last_slotted)
        return 0;
    return reader_batch_in(reader, reader->last_offset, reader->sequence, reader->last_revision,
                           found, &error);
}

// The next batch, or a newer revision of the last one, though a read showed neither. 1: found.
static int reader_look_again(struct tape_reader *reader, struct reader_found *found)
{
    enum tape_error error;
    uint32_t tries = 0;
    int result = 0;
    while (result == 0 && source_again(&reader->source, &tries)) {
        result = reader_newer_revision(reader, found);
        if (result == 0)
            result = reader_batch_in(reader, reader->offset, reader->sequence + 1, -1, found,
                                     &error);
    }
    return result;
}

// As reader_newer_revision(), which is known to have been there.
static int reader_lost_revision(struct tape_reader *reader, struct reader_found *found)
{
    uint32_t tries = 0;
    int result = reader_newer_revision(reader, found);
    while (result == 0 && reader->last_slotted && source_again(&reader->source, &tries))
        result = reader_newer_revision(reader, found);
    return result;
}

static uint64_t reader_look_ahead_end(const struct tape_reader *reader, uint64_t from)
{
    uint64_t end = reader->source.size;
    if (reader->look_ahead < end && from < end - reader->look_ahead)
        end = from + reader->look_ahead;
    if (reader->mark.magic != 0 && reader->mark.end > end)
        end = reader->mark.end < reader->source.size ? reader->mark.end : reader->source.size;
    return end;
}

// First whole later batch at or behind `from`. 1: found.
static int reader_look_ahead(struct tape_reader *reader, uint64_t from, struct reader_found *found)
{
    uint64_t end = reader_look_ahead_end(reader, from);
    for (uint64_t at = from; at < end; at += LAYOUT_SECTOR) {
        enum tape_error error;
        int start = reader_next_start(reader, &at, end);
        if (start <= 0) return start;
        int result = reader_batch_at(reader, at, found, &error);
        if (result < 0)
            return result;
        if (result == 1 && found->header.sequence > reader->sequence && found->base >= from)
            return 1;
    }
    return 0;
}

// Was `revision` of batch `sequence` ever acknowledged? The mark or any later header says so.
// 1, 0, or a negative errno.
static int reader_acknowledged(struct tape_reader *reader, uint64_t from, uint64_t sequence,
                               int64_t revision)
{
    if (reader->mark.magic != 0 && reader_says_durable(reader->mark.sequence, reader->mark.revision,
                                                       sequence, revision))
        return 1;
    uint64_t end = reader_look_ahead_end(reader, from);
    for (uint64_t at = from; at < end; at += LAYOUT_SECTOR) {
        int64_t got;
        struct layout_batch header;
        int start = reader_next_start(reader, &at, end);
        if (start <= 0) return start;
        const uint8_t *bytes = reader_get(reader, at, LAYOUT_SECTOR, &got);
        if (!bytes)
            return (int)got;
        if (tape_decode_header(bytes, (size_t)got, &header) == TAPE_GOOD &&
            header.salt == reader->header.salt &&
            reader_says_durable(header.durable_sequence, header.durable_revision, sequence,
                                revision))
            return 1;
    }
    return 0;
}

// `found` is the next batch but continues another revision of the last one than was read.
static int reader_broken_chain(struct tape_reader *reader, const struct layout_batch *next,
                               struct tape_item *item)
{
    struct reader_found newer;
    int result = reader_lost_revision(reader, &newer);
    if (result < 0)
        return result;
    if (result == 1)
        return reader_give(reader, &newer, item);
    struct tape_damage damage = {
        .offset = reader->sequence == 0 ? 0 : reader->last_offset,
        .bytes = reader->sequence == 0 ? LAYOUT_SECTOR : reader->offset - reader->last_offset,
        .sequence_first = reader->sequence,
        .sequence_last = reader->sequence,
        .rows = next->first_row > reader->rows ? next->first_row - reader->rows : 0,
        .error = TAPE_BAD_HASH,
    };
    result = reader_acknowledged(reader, reader->offset, reader->sequence,
                                 (int64_t)reader->last_revision + 1);
    if (result < 0)
        return result;
    damage.acknowledged = result == 1;
    reader->last_hash = next->previous_hash;
    reader->rows = next->first_row;
    reader->last_slotted = false;
    return reader_give_damage(reader, &damage, item);
}

static int reader_gap(struct tape_reader *reader, const struct reader_found *behind,
                      enum tape_error error, struct tape_item *item)
{
    const struct layout_batch next = behind->header;
    struct tape_damage damage = {
        .offset = reader->offset,
        .bytes = behind->base - reader->offset,
        .sequence_first = reader->sequence + 1,
        .sequence_last = next.sequence - 1,
        .rows = next.first_row > reader->rows ? next.first_row - reader->rows : 0,
        .error = error,
    };
    uint64_t base = behind->base;
    int result = reader_acknowledged(reader, base, reader->sequence + 1, 0);
    if (result < 0)
        return result;
    damage.acknowledged = result == 1;
    reader->offset = base;
    reader->sequence = next.sequence - 1;
    reader->rows = next.first_row;
    reader->last_hash = next.previous_hash;
    reader->last_slotted = false;
    return reader_give_damage(reader, &damage, item);
}

static int reader_end(struct tape_reader *reader, enum tape_error error, struct tape_item *item)
{
    const struct layout_mark *mark = &reader->mark;
    bool nothing = error == TAPE_NO_MAGIC || error == TAPE_OTHER_SALT || error == TAPE_SHORT;
    reader->end = nothing ? TAPE_END_CLEAN : TAPE_END_TORN;
    reader->end_error = error;
    bool more = mark->magic != 0 && (mark->sequence > reader->sequence ||
                                     (mark->sequence == reader->sequence && mark->sequence != 0 &&
                                      mark->revision > reader->last_revision));
    more = more || error == TAPE_NEWER;
    // Within a limit: a later revision is there, and the durable one was overwritten just now by
    // the one that will tell.
    bool waits = reader->limit_sequence != UINT64_MAX && reader->beyond &&
                 !tape_reader_closed(reader);
    if (!more || waits || reader->end_damage_given)
        return 0;
    reader->end_damage_given = true;
    bool cut = mark->magic != 0 && mark->sequence == reader->sequence && error != TAPE_NEWER;
    uint64_t offset = cut ? reader->last_offset : reader->offset;
    struct tape_damage damage = {
        .offset = offset,
        .bytes = mark->end > offset ? mark->end - offset : 0,
        .sequence_first = cut ? reader->sequence : reader->sequence + 1,
        .sequence_last =
            mark->sequence > reader->sequence ? mark->sequence : reader->sequence + !cut,
        .rows = mark->rows > reader->rows ? mark->rows - reader->rows : 0,
        .error = nothing && reader->offset + LAYOUT_SECTOR > reader->source.size ? TAPE_SHORT
                                                                                : error,
        .acknowledged = true,
    };
    return reader_give_damage(reader, &damage, item);
}

// Within a limit: is everything given that counts? A follower asks every few milliseconds; looking
// ahead over the room that a live tape still has would take it longer (16 MiB: 10 to 100 ms).
static bool reader_at_limit(const struct tape_reader *reader)
{
    return reader->limit_sequence != UINT64_MAX &&
           reader_says_durable(reader->sequence, reader->last_revision, reader->limit_sequence,
                               reader->limit_revision);
}

// `found` is the next batch, or a newer revision of the last one.
static int reader_take(struct tape_reader *reader, const struct reader_found *found,
                       struct tape_item *item)
{
    bool next = found->header.sequence > reader->sequence;
    bool gap = (reader->header.optional & LAYOUT_TAPE_GAPS) != 0 &&
               found->header.first_row > reader->rows;
    if (next && (found->header.previous_hash != reader->last_hash ||
                 (found->header.first_row != reader->rows && !gap))) {
        const struct layout_batch header = found->header;
        return reader_broken_chain(reader, &header, item);
    }
    return reader_give(reader, found, item);
}

// Nothing good at the place of the next batch. Who keeps within a limit asks again by himself.
static int reader_missing(struct tape_reader *reader, enum tape_error error, struct tape_item *item)
{
    struct reader_found found;
    int result = reader_newer_revision(reader, &found);
    if (result == 1)
        return reader_give(reader, &found, item);
    if (result == 0 && reader->limit_sequence == UINT64_MAX)
        result = reader_look_again(reader, &found);
    if (result == 1)
        return reader_take(reader, &found, item);
    if (result == 0 && !reader_at_limit(reader))
        result = reader_look_ahead(reader, reader->offset, &found);
    if (result < 0)
        return result;
    if (result == 0)
        return reader_end(reader, error, item);
    const struct reader_found behind = found;
    result = reader_batch_in(reader, reader->offset, reader->sequence + 1, -1, &found, &error);
    if (result == 0) // else it was being written a moment ago
        result = reader_look_again(reader, &found);
    if (result < 0)
        return result;
    return result == 1 ? reader_take(reader, &found, item)
                       : reader_gap(reader, &behind, error, item);
}

static int reader_give_header_damage(struct tape_reader *reader, struct tape_item *item)
{
    struct tape_damage damage = {
        .bytes = LAYOUT_SECTOR, .error = reader->header_error, .acknowledged = true};
    reader->header_error = TAPE_GOOD;
    return reader_give_damage(reader, &damage, item);
}

// The batch whose place begins at `base`: raises the position by what its headers know. Returns the
// bytes it owns; 0: nothing is there; negative: errno.
static int64_t reader_note_durable(struct tape_reader *reader, uint64_t base, uint64_t *sequence,
                                   uint32_t *revision)
{
    int64_t extent = 0;
    for (uint64_t slot = 0; slot < 2; slot++) {
        int64_t got;
        struct layout_batch header;
        const uint8_t *bytes =
            reader_get(reader, base + slot * LAYOUT_SECTOR, LAYOUT_SECTOR, &got);
        if (!bytes)
            return got;
        if (tape_decode_header(bytes, (size_t)got, &header) != TAPE_GOOD ||
            header.salt != reader->header.salt || (header.revision & 1) != slot)
            continue;
        if (!reader_says_durable(*sequence, *revision, header.durable_sequence,
                                 header.durable_revision)) {
            *sequence = header.durable_sequence;
            *revision = header.durable_revision;
        }
        extent = (int64_t)batch_extent(&header);
        if (extent != READER_SLOTS_BYTES || (header.flags & LAYOUT_BATCH_SLOTTED) == 0)
            break;
    }
    return extent;
}

int tape_reader_durable(struct tape_reader *reader, uint64_t *sequence, uint32_t *revision)
{
    ensure(reader->header.magic == LAYOUT_TAPE_MAGIC);
    *sequence = reader->mark.magic != 0 ? reader->mark.sequence : 0;
    *revision = reader->mark.magic != 0 ? reader->mark.revision : 0;
    uint64_t at = reader->sequence != 0 ? reader->last_offset : LAYOUT_SECTOR;
    while (at < reader->source.size) {
        int64_t bytes = reader_note_durable(reader, at, sequence, revision);
        if (bytes <= 0)
            return (int)bytes;
        at += (uint64_t)bytes;
    }
    return 0;
}

int tape_reader_next(struct tape_reader *reader, struct tape_item *item)
{
    ensure(reader->header.magic == LAYOUT_TAPE_MAGIC);
    ensure(reader->offset % LAYOUT_SECTOR == 0);
    if (reader->header_error != TAPE_GOOD)
        return reader_give_header_damage(reader, item);
    reader->beyond = false;
    struct reader_found found;
    enum tape_error error;
    int result = reader_batch_in(reader, reader->offset, reader->sequence + 1, -1, &found, &error);
    if (result < 0)
        return result;
    return result == 0 ? reader_missing(reader, error, item) : reader_take(reader, &found, item);
}

void tape_reader_close(struct tape_reader *reader)
{
    free(reader->room);
    reader->room = NULL;
    reader->room_size = 0;
}
