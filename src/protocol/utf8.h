// SPDX-License-Identifier: GPL-3.0-or-later
//
// UTF-8 validation (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
//
// The text may come in pieces cut anywhere; an invalid byte is found in the piece that holds it.
// Owns nothing, pure functions, any thread. ASCII runs at vector speed.
#ifndef RINGTAPE_PROTOCOL_UTF8_H
#define RINGTAPE_PROTOCOL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What is open at the end of a piece. Zeroed = at a character boundary.
struct utf8_state {
    uint8_t remaining; // continuation bytes still to come
    uint8_t lower;     // bounds of the next continuation byte, valid while remaining > 0
    uint8_t upper;
};

// False as soon as the bytes so far cannot begin a valid text; the state is then meaningless.
bool utf8_feed(struct utf8_state *state, const uint8_t *data, size_t size);

// True at a character boundary: a text may end here.
static inline bool utf8_complete(const struct utf8_state *state)
{
    return state->remaining == 0;
}

// One whole text.
bool utf8_valid(const uint8_t *data, size_t size);

// True if every byte is below 0x80. The second is the scalar reference of the first.
bool utf8_ascii(const uint8_t *data, size_t size);
bool utf8_ascii_reference(const uint8_t *data, size_t size);

#endif
