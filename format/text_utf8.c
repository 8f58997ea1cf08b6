// SPDX-License-Identifier: Apache-2.0
//
// By the table of RFC 3629 section 4: the second byte's range depends on the first.
#include "format/text_utf8.h"

#include "format/ensure.h"
#include <stdint.h>
#include <string.h>

// Length of the sequence that begins at `next`, or 0: not one.
static size_t text_utf8_sequence(const uint8_t *next, size_t left)
{
    const uint8_t first = next[0];
    ensure(left > 0);
    if (first < 0x80) return 1;
    const size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || left < size) return 0;
    for (size_t i = 1; i < size; i++)
        if ((next[i] & 0xc0) != 0x80) return 0;
    if (first == 0xe0 && next[1] < 0xa0) return 0; // longer than needed
    if (first == 0xf0 && next[1] < 0x90) return 0;
    if (first == 0xed && next[1] > 0x9f) return 0; // surrogates
    if (first == 0xf4 && next[1] > 0x8f) return 0; // beyond U+10FFFF
    return size;
}

bool text_utf8_valid(const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    for (size_t i = 0; i < size;) {
        const size_t length = text_utf8_sequence(next + i, size - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

size_t text_utf8_repair(const void *bytes, size_t size, void *out, size_t room)
{
    const uint8_t *next = bytes;
    uint8_t *target = out;
    size_t written = 0;
    for (size_t i = 0; i < size;) {
        const size_t length = text_utf8_sequence(next + i, size - i);
        const size_t take = length > 0 ? length : 3;
        if (room - written < take) return 0;
        memcpy(target + written, length > 0 ? next + i : (const uint8_t *)"\xef\xbf\xbd", take);
        written += take;
        i += length > 0 ? length : 1;
    }
    ensure(written <= room);
    return written;
}
