// SPDX-License-Identifier: Apache-2.0
//
// One place that cuts a read at the end of the source.
#include "format/source.h"

#include <errno.h>

#include "format/ensure.h"

const uint8_t *source_get(const struct source *source, uint64_t offset, size_t size, void *room,
                          int64_t *got)
{
    static const uint8_t nothing[1];
    *got = 0;
    if (offset >= source->size)
        return nothing;
    if (size > source->size - offset)
        size = (size_t)(source->size - offset);
    if (source->bytes) {
        *got = (int64_t)size;
        return source->bytes + offset;
    }
    ensure(source->read);
    ensure(room || size == 0);
    *got = source->read(source->context, offset, room, size);
    ensure(*got <= (int64_t)size);
    return *got < 0 ? NULL : room;
}

bool source_again(const struct source *source, uint32_t *tries)
{
    ensure(*tries < SOURCE_TRIES);
    if (source->bytes || ++*tries == SOURCE_TRIES)
        return false;
    if (source->afresh)
        source->afresh(source->context);
    return true;
}
