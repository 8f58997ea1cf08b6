// SPDX-License-Identifier: Apache-2.0
//
// mirror_letter: a message that Kafka refused for good, kept whole. The file STORE/mirror/dead is
// letters one behind the other; a torn last one is overwritten by the next.
//
// Pure: bytes in memory. Threading: none.
#ifndef RINGTAPE_FORMAT_MIRROR_LETTER_H
#define RINGTAPE_FORMAT_MIRROR_LETTER_H

#include <stddef.h>
#include <stdint.h>

#include "format/event.h"

enum {
    MIRROR_LETTER_HEADER_BYTES = 64,
    MIRROR_LETTER_BYTES_MAX = 64 << 20,
};

struct mirror_letter {
    uint32_t channel;
    uint16_t format;   // of the value
    int64_t time_ms;   // of the message
    int64_t refused_ns;
    uint32_t tape;     // where the row stands
    uint64_t row;
    struct event_text key;
    struct event_text identity;
    struct event_text cause;
    struct event_text value;
};

// Bytes of the letter in the file, a multiple of 8.
size_t mirror_letter_bytes(const struct mirror_letter *letter);
void mirror_letter_write(const struct mirror_letter *letter, void *out);
// The letter at the beginning of `bytes`, its texts pointing into them. Its size; 0: there is no
// whole letter.
size_t mirror_letter_read(struct mirror_letter *letter, const void *bytes, size_t size);

#endif
