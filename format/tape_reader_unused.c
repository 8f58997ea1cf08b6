// SPDX-License-Identifier: Apache-2.0
//
// What a tape without a good header is: never used, or damaged.
#include <string.h>

#include "format/ensure.h"
#include "format/tape_reader.h"

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

int tape_reader_unused(const struct source *source, const void *mark_bytes, size_t mark_size)
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
    return tape_header_decode(bytes, (size_t)got, &header) == TAPE_GOOD;
}
