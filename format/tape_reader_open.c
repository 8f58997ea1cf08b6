// SPDX-License-Identifier: Apache-2.0
//
// Opening: the header, or what the first batch knows of it. Contract: tape_reader.h.
#include <errno.h>
#include <string.h>

#include "format/ensure.h"
#include "format/source.h"
#include "format/tape_reader_room.h"

// Is a tape's number known, and the header whole but another tape's? A device may have written that
// to this place.
static bool header_is_foreign(const struct layout_tape *header, uint32_t number)
{
    return number != 0 && header->number != number;
}

// Reads the header. 0 or the negative errno of the source.
static int reader_header(struct tape_reader *reader, uint32_t number, enum tape_error *error)
{
    int64_t got;
    const uint8_t *bytes = reader_get(reader, 0, LAYOUT_SECTOR, &got);
    if (!bytes)
        return (int)got;
    *error = tape_header_decode(bytes, (size_t)got, &reader->header);
    if (*error == TAPE_GOOD && header_is_foreign(&reader->header, number))
        *error = TAPE_OTHER_SALT;
    return 0;
}

// The header in `slot` of the first batch. 1: `first` is one; 0: there is none; negative: errno.
static int reader_first_batch(struct tape_reader *reader, uint64_t slot, struct layout_batch *first)
{
    int64_t got;
    const uint8_t *bytes =
        reader_get(reader, LAYOUT_SECTOR + slot * LAYOUT_SECTOR, LAYOUT_SECTOR, &got);
    if (!bytes)
        return (int)got;
    return tape_decode_header(bytes, (size_t)got, first) == TAPE_GOOD && first->sequence == 1;
}

// The header's salt and hash are repeated in the batches: what stands in for a damaged header, or
// for another tape's, is taken from the first batch, if that can be read, and the damage is given
// as the first item. A file that is another tape as a whole stays that. 0 or the negative errno of
// the source; *error stays where there is no such batch.
static int reader_do_without_header(struct tape_reader *reader, uint32_t number,
                                    enum tape_error *error)
{
    const enum tape_error found = *error;
    struct layout_batch first;
    int result = 0;
    for (uint64_t slot = 0; slot < 2 && result == 0; slot++)
        result = reader_first_batch(reader, slot, &first);
    if (result <= 0)
        return result;
    // A live tape may have got its header meanwhile.
    result = reader_header(reader, number, error);
    if (result < 0 || *error == TAPE_GOOD)
        return result;
    if (*error != TAPE_OTHER_SALT || first.salt != reader->header.salt) {
        reader->header = (struct layout_tape){
            .magic = LAYOUT_TAPE_MAGIC, .salt = first.salt, .hash = first.previous_hash,
            .shard = UINT32_MAX};
        reader->header_error = found;
    }
    *error = TAPE_GOOD;
    return 0;
}

int tape_reader_open(struct tape_reader *reader, const struct source *source, uint32_t number,
                     const void *mark_bytes, size_t mark_size, enum tape_error *error)
{
    *reader = (struct tape_reader){.source = *source,
                                   .look_ahead = UINT64_MAX,
                                   .limit_sequence = UINT64_MAX,
                                   .limit_revision = UINT32_MAX};
    uint32_t tries = 0;
    int result = reader_header(reader, number, error);
    while (result == 0 && *error != TAPE_GOOD && *error != TAPE_NEWER &&
           source_again(&reader->source, &tries))
        result = reader_header(reader, number, error);
    if (result == 0 &&
        (*error == TAPE_NO_MAGIC || *error == TAPE_BAD_HASH || *error == TAPE_OTHER_SALT))
        result = reader_do_without_header(reader, number, error);
    if (result < 0 || *error != TAPE_GOOD) {
        tape_reader_close(reader);
        return result < 0 ? result : -EBADMSG;
    }
    ensure(reader->header.magic == LAYOUT_TAPE_MAGIC);
    if (mark_bytes)
        tape_reader_set_mark(reader, mark_bytes, mark_size);
    reader->offset = LAYOUT_SECTOR;
    reader->last_hash = reader->header.hash;
    return 0;
}

// ---- never used ----

// Without the tape's salt any mark counts, also a stale or damaged one.
static bool mark_tells_rows(const uint8_t *bytes, size_t size)
{
    struct layout_mark mark;
    bool tells = false;
    for (size_t at = 0; at + LAYOUT_SECTOR <= size && at < 2 * LAYOUT_SECTOR; at += LAYOUT_SECTOR) {
        memcpy(&mark, bytes + at, sizeof mark);
        tells = tells || (mark.magic == LAYOUT_MARK_MAGIC && mark.sequence != 0);
    }
    return tells;
}

int tape_reader_unused(const struct source *source, uint32_t number, const void *mark_bytes,
                       size_t mark_size)
{
    uint8_t room[LAYOUT_SECTOR];
    int64_t got;
    ensure(mark_bytes || mark_size == 0);
    if (mark_size > 0 && mark_tells_rows(mark_bytes, mark_size))
        return 0;
    // The first batch of every tape begins behind the header.
    const uint8_t *bytes = source_get(source, LAYOUT_SECTOR, sizeof room, room, &got);
    if (!bytes)
        return (int)got;
    int64_t zeros = 0;
    while (zeros < got && bytes[zeros] == 0)
        zeros++;
    if (zeros == got)
        return 1;
    // A live tape may have got its header and first batch since the header was looked at.
    struct layout_tape header;
    bytes = source_get(source, 0, sizeof room, room, &got);
    if (!bytes)
        return (int)got;
    return tape_header_decode(bytes, (size_t)got, &header) == TAPE_GOOD &&
           !header_is_foreign(&header, number);
}
