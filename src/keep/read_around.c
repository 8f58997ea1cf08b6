// SPDX-License-Identifier: GPL-3.0-or-later
//
// read_around: sector by sector. Contract: see read_around.h.
#include "keep/read_around.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/layout.h"

static int64_t sector_read(struct io *io, int handle, void *out, size_t size, uint64_t offset)
{
    int64_t got = -1;
    ensure(size > 0 && size <= LAYOUT_SECTOR);
    for (int i = 0; i < READ_AROUND_TRIES && got < 0; i++)
        got = io_read_now(io, handle, out, size, (int64_t)offset);
    return got;
}

int64_t read_around(struct io *io, int handle, void *out, size_t size, uint64_t offset,
                    read_around_lost *lost, void *context)
{
    uint8_t *bytes = out;
    size_t done = 0;
    ensure(handle >= 0);
    while (done < size) {
        const uint64_t at = offset + done;
        size_t part = LAYOUT_SECTOR - at % LAYOUT_SECTOR;
        part = part < size - done ? part : size - done;
        const int64_t got = sector_read(io, handle, bytes + done, part, at);
        if (got < 0) {
            memset(bytes + done, 0, part);
            if (lost != NULL) lost(context, at, part, (int)got);
        }
        done += got < 0 ? part : (size_t)got;
        if (got >= 0 && (size_t)got < part) break; // the end
    }
    return (int64_t)done;
}

int read_vote(struct read_votes *votes, const void *bytes, size_t size)
{
    const uint64_t hash = XXH3_64bits(bytes, size);
    ensure(votes->count < SOURCE_TRIES);
    for (uint32_t i = 0; i < votes->count; i++)
        if (votes->hash[i] == hash) return 1;
    votes->hash[votes->count++] = hash;
    return votes->count < SOURCE_TRIES ? 0 : -EIO;
}

int64_t read_agreed(struct io *io, int handle, void *out, size_t size, int64_t offset)
{
    struct read_votes votes = {0};
    int vote = 0;
    int64_t got = 0;
    ensure(size <= READ_AGREED_BYTES_MAX);
    while (vote == 0 && got >= 0) {
        if (votes.count > 0) io_read_afresh(io, handle);
        got = io_read_now(io, handle, out, size, offset);
        if (got >= 0) vote = read_vote(&votes, out, (size_t)got);
    }
    return vote < 0 ? vote : got;
}
