// SPDX-License-Identifier: Apache-2.0
//
// tape_reader_room: what the reader holds of the tape's bytes, and the looking over many of them.
// Of tape_reader*.c alone.
#ifndef RINGTAPE_FORMAT_TAPE_READER_ROOM_H
#define RINGTAPE_FORMAT_TAPE_READER_ROOM_H

#include "format/tape_reader.h"

// As source_get(), into the reader's room, which grows. Valid until the next call.
const uint8_t *reader_get(struct tape_reader *reader, uint64_t offset, size_t size, int64_t *got);
// Raises *at to the next sector before `end` that begins as a batch does. 1: there is one; 0: none;
// negative: errno.
int reader_next_start(struct tape_reader *reader, uint64_t *at, uint64_t end);

#endif
