// SPDX-License-Identifier: Apache-2.0
//
// What a tape's mark tells its reader.
#include "format/ensure.h"
#include "format/tape_reader.h"

void tape_reader_set_mark(struct tape_reader *reader, const void *mark_bytes, size_t mark_size)
{
    struct layout_mark mark;
    ensure(reader->header.magic == LAYOUT_TAPE_MAGIC);
    ensure(mark_bytes);
    if (tape_mark_decode(mark_bytes, mark_size, reader->header.salt, &mark) == TAPE_GOOD &&
        (reader->mark.magic == 0 || mark.counter > reader->mark.counter))
        reader->mark = mark;
}

bool tape_reader_complete(const struct tape_reader *reader)
{
    const struct layout_mark *mark = &reader->mark;
    return tape_reader_closed(reader) &&
           (reader->sequence > mark->sequence ||
            (reader->sequence == mark->sequence &&
             (mark->sequence == 0 || reader->last_revision >= mark->revision)));
}
