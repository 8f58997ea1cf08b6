// SPDX-License-Identifier: GPL-3.0-or-later
//
// read_around: what a failing device still gives of a file. A sector that fails is read again,
// since it may come the next time; one that fails READ_AROUND_TRIES times counts as zeros, so that
// it is damage like any other to whoever checks the bytes.
//
// What has no check of its own (a mark, whose older half is good as well) is read until a read
// brings what another one did.
//
// Synchronous, on the loop's thread. Offsets and sizes in bytes.
#ifndef RINGTAPE_KEEP_READ_AROUND_H
#define RINGTAPE_KEEP_READ_AROUND_H

#include <stddef.h>
#include <stdint.h>

#include "format/source.h"
#include "io/io.h"

enum { READ_AROUND_TRIES = 4, READ_AGREED_BYTES_MAX = 64 << 10 };

// A part of a sector, at `offset`, did not come for `error` (a negative errno).
typedef void read_around_lost(void *context, uint64_t offset, size_t size, int error);

// Bytes, fewer than `size` at the end of the file alone. `lost` may be NULL.
int64_t read_around(struct io *io, int handle, void *out, size_t size, uint64_t offset,
                    read_around_lost *lost, void *context);

// What the reads so far brought; all zeros to begin with.
struct read_votes {
    uint32_t count;
    uint64_t hash[SOURCE_TRIES];
};

// One more read. 1: as an earlier one; 0: to be read again; -EIO: different each time.
int read_vote(struct read_votes *votes, const void *bytes, size_t size);
// As io_read_now(), of at most READ_AGREED_BYTES_MAX; -EIO where it is different each time.
int64_t read_agreed(struct io *io, int handle, void *out, size_t size, int64_t offset);

#endif
