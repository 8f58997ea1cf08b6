// SPDX-License-Identifier: Apache-2.0
//
// source: bytes to read from, wherever they are: memory, a mapped file, a file behind a callback.
// So the readers need no file functions and tests need no files.
#ifndef RINGTAPE_FORMAT_SOURCE_H
#define RINGTAPE_FORMAT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A device, a cable or memory on the way may give wrong bytes once. What fails its check is read so
// often before it is called damaged. Opening a segment is five reads or more, all begun again where
// one was wrong: with 4 % of reads wrong, four tries called one good segment in 500 damaged.
enum { SOURCE_TRIES = 8 };

// Fills `out` from `offset`; the bytes read (fewer only at the end) or a negative errno.
typedef int64_t source_callback(void *context, uint64_t offset, void *out, size_t size);

struct source {
    uint64_t size;        // bytes; of a growing file at the moment of asking
    const uint8_t *bytes; // all of them in memory, or NULL: `read` is used
    source_callback *read;
    void *context;
    // What was read fails its check: whatever keeps bytes is to let them go, so that the next read
    // asks the device. NULL: nothing does.
    void (*afresh)(void *context);
};

static inline struct source source_of_memory(const void *bytes, uint64_t size)
{
    return (struct source){.size = size, .bytes = bytes};
}

// Bytes [offset, offset + size), cut at the end of the source. Points into memory or into `room`,
// which then receives them. *got: how many. NULL and a negative *got: errno.
const uint8_t *source_get(const struct source *source, uint64_t offset, size_t size, void *room,
                          int64_t *got);
// What was read fails its check: is it to be read again? *tries counts, from 0 on. False where it
// was read SOURCE_TRIES times, or lies in memory.
bool source_again(const struct source *source, uint32_t *tries);

#endif
