// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_text: numbers and words as the exchanges write them, into memory that has room. Each
// function returns the place behind what it wrote.
//
// Threading: pure functions.
#ifndef RINGTAPE_TOOLS_REPLAY_TEXT_H
#define RINGTAPE_TOOLS_REPLAY_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "format/event.h"
#include "publish/message_text.h"

enum { REPLAY_DECIMAL_BYTES_MAX = MESSAGE_DECIMAL_BYTES_MAX };

// String literals.
#define REPLAY_PUT(at, literal)                                                                    \
    ((char *)memcpy((at), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)

static inline char *replay_put(char *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

// mantissa / 10^scale with `places` places, or as many as its value needs where that is more.
char *replay_decimal(char *at, int64_t mantissa, uint8_t scale, uint8_t places);
// Exactly so many digits.
char *replay_padded(char *at, uint64_t value, uint32_t digits);
// "YYYY-MM-DD" and "HH:MM:SS" of a time, with these separators ("" for none).
char *replay_date(char *at, int64_t time_ns, const char *separator);
char *replay_clock(char *at, int64_t time_ns, const char *separator);
// a - b, exact, at the greater scale; false where that does not fit.
bool replay_difference(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale, int64_t *mantissa,
                       uint8_t *scale);

#endif
