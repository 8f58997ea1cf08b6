// SPDX-License-Identifier: Apache-2.0
//
// tape_reader_room: see tape_reader_room.h.
#include "format/tape_reader_room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

enum { READER_ROOM_MIN = 1 << 16 };

const uint8_t *reader_get(struct tape_reader *reader, uint64_t offset, size_t size, int64_t *got)
{
    if (!reader->source.bytes && size > reader->room_size) {
        size_t room_size = size < READER_ROOM_MIN ? READER_ROOM_MIN : size;
        uint8_t *room = realloc(reader->room, room_size);
        if (!room) {
            *got = -ENOMEM;
            return NULL;
        }
        reader->room = room;
        reader->room_size = room_size;
    }
    return source_get(&reader->source, offset, size, reader->room, got);
}

// Most of what is looked over is room that a live tape has not used yet, so it is read 64 KiB at a
// time; where that cannot be read, sector by sector.
int reader_next_start(struct tape_reader *reader, uint64_t *at, uint64_t end)
{
    ensure(*at % LAYOUT_SECTOR == 0);
    while (*at < end) {
        const uint64_t left = end - *at;
        const size_t size = left < READER_ROOM_MIN ? (size_t)left : READER_ROOM_MIN;
        const uint64_t magic = LAYOUT_BATCH_MAGIC;
        int64_t got;
        const uint8_t *bytes = reader_get(reader, *at, size, &got);
        if (!bytes) bytes = reader_get(reader, *at, LAYOUT_SECTOR, &got);
        if (!bytes) return (int)got;
        int64_t sector = 0;
        while (sector + (int64_t)sizeof magic <= got &&
               memcmp(bytes + sector, &magic, sizeof magic) != 0)
            sector += LAYOUT_SECTOR;
        *at += (uint64_t)sector;
        if (sector + (int64_t)sizeof magic <= got) return 1;
        if (got < LAYOUT_SECTOR) return 0; // the end of the source
    }
    return 0;
}
