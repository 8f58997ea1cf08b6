// SPDX-License-Identifier: GPL-3.0-or-later
//
// message_text: numbers as text, as fast as messages need them. The same text as format/
// decimal_text.h gives, for mantissas of 64 bits; a test holds both together.
#ifndef RINGTAPE_PUBLISH_MESSAGE_TEXT_H
#define RINGTAPE_PUBLISH_MESSAGE_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum {
    MESSAGE_INTEGER_BYTES_MAX = 20, // sign and 19 digits
    MESSAGE_DECIMAL_BYTES_MAX = 40, // sign, "0.", leading zeros of a fraction, digits
};

// Writes the number; returns the place behind it.
char *message_integer(char *out, int64_t value);
// mantissa / 10^scale in its shortest form. scale <= DECIMAL_SCALE_MAX.
char *message_decimal(char *out, int64_t mantissa, uint8_t scale);
// The text escaped as the inside of a JSON string; `text` is UTF-8. At most 6 bytes a byte.
char *message_escaped(char *out, const uint8_t *text, size_t size);
// Two digits a byte.
char *message_hex(char *out, const uint8_t *bytes, size_t size);

#endif
