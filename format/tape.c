// SPDX-License-Identifier: Apache-2.0
//
// File header, mark, and where the next batch goes.
//
// The last batch of a cursor is in one of these states:
//
//     none ──append──→ large ──append──→ (next batch behind it)
//       └────append──→ slotted, revision r, not durable ──append──→ (next batch behind its slots)
//                         │ acknowledge
//                         ▼
//                      slotted, revision r, durable ──append, all rows fit──→ slotted, r + 1
//                                                   └─append, else──────────→ (next batch)
#include "format/tape.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/wire.h"

const char *tape_error_text(enum tape_error error)
{
    static const char *const texts[] = {
        [TAPE_GOOD] = "good",
        [TAPE_SHORT] = "the file ends too early",
        [TAPE_NO_MAGIC] = "no header here",
        [TAPE_BAD_HASH] = "header damaged (its hash is wrong)",
        [TAPE_NEWER] = "written by a newer version",
        [TAPE_BAD_HEADER] = "header has impossible fields",
        [TAPE_BAD_PAYLOAD] = "payload damaged (its hash is wrong)",
        [TAPE_BAD_CONTENT] = "payload has impossible content",
        [TAPE_OTHER_SALT] = "belongs to another file",
    };
    ensure((size_t)error < sizeof texts / sizeof texts[0]);
    return texts[error];
}

// ---- file header ----

void tape_header_encode(const struct tape_description *description, void *sector,
                        struct tape_cursor *cursor)
{
    ensure(description->salt != 0);
    struct layout_tape *header = sector;
    memset(header, 0, sizeof *header);
    header->magic = LAYOUT_TAPE_MAGIC;
    header->major = LAYOUT_MAJOR;
    header->minor = LAYOUT_MINOR;
    header->header_bytes = LAYOUT_SECTOR;
    memcpy(header->store, description->store, LAYOUT_STORE_ID_BYTES);
    header->salt = description->salt;
    header->created_ns = description->created_ns;
    header->number = description->number;
    header->shard = description->shard;
    ensure(description->end_count <= LAYOUT_TAPE_ENDS_MAX);
    if (description->end_count > 0) {
        header->optional |= LAYOUT_TAPE_ENDS;
        header->end_count = description->end_count;
        memcpy(header->ends, description->ends, description->end_count * sizeof *header->ends);
    }
    if (description->gaps)
        header->optional |= LAYOUT_TAPE_GAPS;
    if (description->writer)
        memcpy(header->writer, description->writer,
               strnlen(description->writer, LAYOUT_WRITER_BYTES));
    header->hash = XXH3_64bits(header, offsetof(struct layout_tape, hash));
    *cursor = (struct tape_cursor){
        .salt = description->salt,
        .number = description->number,
        .end = LAYOUT_SECTOR,
        .hash = header->hash,
        .durable_end = LAYOUT_SECTOR,
    };
}

enum tape_error tape_header_decode(const void *sector, size_t size, struct layout_tape *header)
{
    if (size < LAYOUT_SECTOR)
        return TAPE_SHORT;
    struct layout_tape found;
    memcpy(&found, sector, sizeof found);
    if (found.magic != LAYOUT_TAPE_MAGIC)
        return TAPE_NO_MAGIC;
    if (found.hash != XXH3_64bits(sector, offsetof(struct layout_tape, hash)))
        return TAPE_BAD_HASH;
    if (found.major != LAYOUT_MAJOR || found.required != 0)
        return TAPE_NEWER;
    if (found.header_bytes != LAYOUT_SECTOR || found.salt == 0)
        return TAPE_BAD_HEADER;
    *header = found;
    return TAPE_GOOD;
}

bool tape_header_is(const struct layout_tape *header, uint32_t number, const uint8_t *store)
{
    ensure(number != 0);
    return header->number == 0 ||
           (header->number == number && memcmp(header->store, store, sizeof header->store) == 0);
}

uint32_t tape_header_ends(const struct layout_tape *header, const struct layout_tape_end **ends)
{
    *ends = header->ends;
    if ((header->optional & LAYOUT_TAPE_ENDS) == 0 || header->end_count > LAYOUT_TAPE_ENDS_MAX)
        return 0;
    for (uint32_t i = 0; i < header->end_count; i++) {
        const struct layout_tape_end *end = &header->ends[i];
        if (end->salt == 0 || end->number == 0 || end->end < LAYOUT_SECTOR)
            return 0;
    }
    return header->end_count;
}

// ---- appending ----

static struct tape_batch_place append_place(const struct tape_cursor *cursor, bool rewrite)
{
    return (struct tape_batch_place){
        .salt = cursor->salt,
        .sequence = rewrite ? cursor->sequence : cursor->sequence + 1,
        .revision = rewrite ? cursor->revision + 1 : 0,
        .first_row = rewrite ? cursor->first_row : cursor->rows,
        .previous_hash = rewrite ? cursor->previous_hash : cursor->hash,
        .durable_sequence = cursor->durable_sequence,
        .durable_revision = cursor->durable_revision,
    };
}

// Only an acknowledged revision is followed by another, so that at any time one slot holds it
// whole.
static bool append_may_rewrite(const struct tape_cursor *cursor,
                               const struct tape_batch_input *input)
{
    return cursor->slotted && input->written != 0 && input->count <= TAPE_REWRITE_ROWS_MAX &&
           cursor->durable_sequence == cursor->sequence &&
           cursor->durable_revision == cursor->revision && cursor->revision != UINT32_MAX;
}

static void append_move(struct tape_cursor *cursor, const struct tape_batch_place *place,
                        uint32_t rows, uint32_t bytes, uint64_t hash, struct tape_write *write)
{
    bool rewritten = place->sequence == cursor->sequence;
    bool slotted = bytes <= LAYOUT_SECTOR;
    uint32_t padded = (bytes + LAYOUT_SECTOR - 1) & ~(uint32_t)(LAYOUT_SECTOR - 1);
    if (!rewritten) {
        cursor->offset = cursor->end;
        cursor->end += slotted ? 2 * LAYOUT_SECTOR : padded;
        cursor->previous_hash = cursor->hash;
        cursor->first_row = place->first_row;
    }
    cursor->sequence = place->sequence;
    cursor->revision = place->revision;
    cursor->rows = place->first_row + rows;
    cursor->hash = hash;
    cursor->slotted = slotted;
    *write = (struct tape_write){
        .offset = cursor->offset + (uint64_t)(place->revision & 1) * LAYOUT_SECTOR,
        .bytes = padded,
        .batch_bytes = bytes,
        .sequence = place->sequence,
        .revision = place->revision,
        .first_row = place->first_row,
        .rows = cursor->rows,
        .end = cursor->end,
        .rewritten = rewritten,
    };
    ensure(write->offset + write->bytes <= cursor->end);
}

int tape_append(struct tape_encoder *encoder, struct tape_cursor *cursor,
                const struct tape_batch_input *input, void *buffer, size_t size,
                struct tape_write *write)
{
    ensure(cursor->salt != 0);
    ensure(input->count > input->written);
    ensure(input->written == 0 || cursor->rows - cursor->first_row == input->written);
    bool rewrite = append_may_rewrite(cursor, input);
    struct tape_batch_place place = append_place(cursor, rewrite);
    int64_t bytes = tape_encode_batch(encoder, &place, input, rewrite ? 0 : input->written, buffer,
                                      size);
    if (rewrite && bytes > LAYOUT_SECTOR) {
        rewrite = false;
        place = append_place(cursor, false);
        bytes = tape_encode_batch(encoder, &place, input, input->written, buffer, size);
    }
    if (bytes < 0)
        return (int)bytes;
    uint32_t rows = input->count - (rewrite ? 0 : input->written);
    uint64_t hash;
    memcpy(&hash, (uint8_t *)buffer + offsetof(struct layout_batch, hash), sizeof hash);
    append_move(cursor, &place, rows, (uint32_t)bytes, hash, write);
    ensure(write->bytes <= size);
    memset((uint8_t *)buffer + bytes, 0, write->bytes - (size_t)bytes);
    return 0;
}

void tape_reseat(struct tape_cursor *cursor, void *buffer, struct tape_write *write)
{
    struct layout_batch header;
    memcpy(&header, buffer, sizeof header);
    ensure(header.magic == LAYOUT_BATCH_MAGIC && header.header_bytes == LAYOUT_HEADER_BYTES);
    ensure(header.payload_bytes + LAYOUT_HEADER_BYTES == write->batch_bytes);
    struct tape_batch_place place = append_place(cursor, false);
    header.salt = place.salt;
    header.sequence = place.sequence;
    header.revision = place.revision;
    header.first_row = place.first_row;
    header.previous_hash = place.previous_hash;
    header.durable_sequence = place.durable_sequence;
    header.durable_revision = place.durable_revision;
    header.hash = XXH3_64bits(&header, offsetof(struct layout_batch, hash));
    memcpy(buffer, &header, sizeof header);
    append_move(cursor, &place, header.rows, write->batch_bytes, header.hash, write);
}

void tape_acknowledge(struct tape_cursor *cursor, const struct tape_write *write)
{
    ensure(write->sequence <= cursor->sequence);
    ensure(write->rows >= cursor->durable_rows);
    ensure(write->sequence > cursor->durable_sequence ||
           (write->sequence == cursor->durable_sequence &&
            write->revision > cursor->durable_revision));
    cursor->durable_sequence = write->sequence;
    cursor->durable_revision = write->revision;
    cursor->durable_rows = write->rows;
    cursor->durable_end = write->end;
}

// ---- mark ----

uint64_t tape_mark_encode(struct tape_cursor *cursor, bool closed, void *sector)
{
    ensure(cursor->salt != 0);
    struct layout_mark *mark = sector;
    memset(mark, 0, sizeof *mark);
    mark->magic = LAYOUT_MARK_MAGIC;
    mark->major = LAYOUT_MAJOR;
    mark->minor = LAYOUT_MINOR;
    mark->header_bytes = LAYOUT_SECTOR;
    mark->flags = closed ? LAYOUT_MARK_CLOSED : 0;
    mark->counter = ++cursor->mark_counter;
    mark->salt = cursor->salt;
    mark->sequence = cursor->durable_sequence;
    mark->rows = cursor->durable_rows;
    mark->end = cursor->durable_end;
    mark->revision = cursor->durable_revision;
    mark->number = cursor->number;
    mark->hash = XXH3_64bits(mark, offsetof(struct layout_mark, hash));
    return (mark->counter & 1) * LAYOUT_SECTOR;
}

struct layout_tape_end tape_cursor_end(const struct tape_cursor *cursor)
{
    ensure(cursor->salt != 0 && cursor->number != 0);
    return (struct layout_tape_end){
        .salt = cursor->salt,
        .sequence = cursor->durable_sequence,
        .rows = cursor->durable_rows,
        .end = cursor->durable_end,
        .revision = cursor->durable_revision,
        .number = cursor->number,
    };
}

void tape_end_mark(const struct layout_tape_end *end, void *bytes)
{
    struct tape_cursor cursor = {
        .salt = end->salt,
        .number = end->number,
        .durable_sequence = end->sequence,
        .durable_rows = end->rows,
        .durable_end = end->end,
        .durable_revision = end->revision,
    };
    uint8_t sector[LAYOUT_SECTOR];
    uint64_t offset = tape_mark_encode(&cursor, true, sector);
    ensure(offset <= LAYOUT_SECTOR);
    memset(bytes, 0, 2 * (size_t)LAYOUT_SECTOR);
    memcpy((uint8_t *)bytes + offset, sector, sizeof sector);
}

static bool mark_valid(const uint8_t *bytes, uint32_t slot, uint64_t salt, struct layout_mark *mark)
{
    memcpy(mark, bytes, sizeof *mark);
    return mark->magic == LAYOUT_MARK_MAGIC &&
           mark->hash == XXH3_64bits(bytes, offsetof(struct layout_mark, hash)) &&
           mark->major == LAYOUT_MAJOR && mark->header_bytes == LAYOUT_SECTOR &&
           mark->salt == salt && (mark->counter & 1) == slot && mark->end >= LAYOUT_SECTOR &&
           (mark->flags & ~(uint32_t)LAYOUT_MARK_CLOSED) == 0;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    size_t zeros = 0;
    while (zeros < size && bytes[zeros] == 0)
        zeros++;
    return zeros == size;
}

bool tape_mark_sound(const void *bytes, size_t size, uint64_t salt)
{
    struct layout_mark mark;
    bool sound = size == 2 * sizeof mark;
    for (uint32_t slot = 0; slot < 2 && sound; slot++) {
        const uint8_t *at = (const uint8_t *)bytes + (size_t)slot * LAYOUT_SECTOR;
        sound = all_zero(at, LAYOUT_SECTOR) || mark_valid(at, slot, salt, &mark);
    }
    return sound;
}

enum tape_error tape_mark_decode(const void *bytes, size_t size, uint64_t salt,
                                 struct layout_mark *mark)
{
    enum tape_error error = TAPE_NO_MAGIC;
    mark->magic = 0;
    for (uint32_t slot = 0; slot < 2; slot++) {
        struct layout_mark found;
        if (size < (size_t)(slot + 1) * LAYOUT_SECTOR)
            break;
        const uint8_t *at = (const uint8_t *)bytes + (size_t)slot * LAYOUT_SECTOR;
        if (!mark_valid(at, slot, salt, &found))
            continue;
        if (error != TAPE_GOOD || found.counter > mark->counter)
            *mark = found;
        error = TAPE_GOOD;
    }
    return error;
}

enum tape_error tape_mark_alone(const void *bytes, size_t size, struct layout_mark *mark)
{
    enum tape_error error = TAPE_NO_MAGIC;
    ensure(bytes && mark);
    for (size_t slot = 0; slot < 2 && error != TAPE_GOOD; slot++) {
        struct layout_mark found;
        if (size < (slot + 1) * LAYOUT_SECTOR)
            break;
        memcpy(&found, (const uint8_t *)bytes + slot * LAYOUT_SECTOR, sizeof found);
        error = tape_mark_decode(bytes, size, found.salt, mark);
    }
    return error;
}
