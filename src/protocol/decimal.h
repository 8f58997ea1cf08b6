// SPDX-License-Identifier: GPL-3.0-or-later
//
// Exact decimals: number text <-> int64 mantissa and scale. Never a double.
//
// The grammar is that of a JSON number (RFC 8259 section 6), E-notation included, for numbers and
// for numbers inside strings alike: no leading '+', no leading zeros, a digit on both sides of the
// point.
//
// The scale is as spelled: "61737.63000000" is 6173763000000 at scale 8; "9.9E-7" is 99 at scale 8;
// "1.5E3" is 1500 at scale 0. Only where that does not fit (scale above 18, or mantissa above
// 2^63-1) are the trailing zeros after the point dropped; a value that still does not fit is an
// error, never rounded. Minus zero is zero. The range is symmetric, so that a mantissa can be
// negated: -2^63 is out.
//
// Pure functions: no state, any thread. On an error the outputs are untouched.
#ifndef RINGTAPE_PROTOCOL_DECIMAL_H
#define RINGTAPE_PROTOCOL_DECIMAL_H

#include "format/event.h"
#include <stdint.h>

// The largest scale is DECIMAL_SCALE_MAX of format/event.h: 10^18 is the largest power of ten in an
// int64.
// Longer texts are refused unread; the longest number an exchange sends has about 30 characters.
#define DECIMAL_TEXT_SIZE_MAX 256
// decimal_parse_padded() may read this many bytes from the first one, whatever the size.
#define DECIMAL_PADDED_SIZE 32
// Largest text of decimal_format(): sign, 19 digits, "0.".
#define DECIMAL_FORMAT_SIZE_MAX 24

enum decimal_error {
    DECIMAL_OK = 0,
    DECIMAL_EMPTY,          // no text
    DECIMAL_MALFORMED,      // not the grammar of a JSON number
    DECIMAL_TOO_LONG,       // above DECIMAL_TEXT_SIZE_MAX characters
    DECIMAL_TOO_LARGE,      // the mantissa does not fit: 40 digits, 1e400
    DECIMAL_TOO_PRECISE,    // more than 18 places after the point are needed: 1e-19
};

// Any text of any size; reads exactly `size` bytes.
enum decimal_error decimal_parse(const char *text, uint32_t size, int64_t *mantissa,
                                 uint8_t *scale);

// The same result for a text that lies in a buffer with at least DECIMAL_PADDED_SIZE readable bytes
// from `text` on (a JSON cursor's buffer has them). About twice as fast for usual numbers.
enum decimal_error decimal_parse_padded(const char *text, uint32_t size, int64_t *mantissa,
                                        uint8_t *scale);

// The decimal at the beginning of a buffer with at least DECIMAL_PADDED_SIZE readable bytes, of
// which `size` belong to the text. Returns how many bytes it has, or 0 if it is malformed, does not
// fit, or has a form only decimal_parse() takes (exponents, more than 18 digits). What follows it
// is not judged, but is never a character that could continue a number.
uint32_t decimal_take_padded(const char *text, uint32_t size, int64_t *mantissa, uint8_t *scale);

// The scalar reference: one digit at a time. Same results; for tests and fuzzing.
enum decimal_error decimal_parse_reference(const char *text, uint32_t size, int64_t *mantissa,
                                           uint8_t *scale);

// Writes the plain spelling without exponent ("-0.00000012"), all places of the scale kept, and
// returns its size (at most DECIMAL_FORMAT_SIZE_MAX). Not terminated.
uint32_t decimal_format(int64_t mantissa, uint8_t scale, char target[DECIMAL_FORMAT_SIZE_MAX]);

// A name for logs: "decimal: too large".
const char *decimal_error_text(enum decimal_error error);

#endif
