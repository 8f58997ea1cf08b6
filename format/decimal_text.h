// SPDX-License-Identifier: Apache-2.0
//
// decimal_text: exact decimals outside: as text and at another scale. Never a double.
//
// A decimal is mantissa / 10^scale. Text is canonical: no exponent, no '+', no zeros at the end of
// a fraction, no point without a fraction, "0" for zero of any scale. So equal values have equal
// text, whatever scale they were stored with. Threading: pure functions.
#ifndef RINGTAPE_FORMAT_DECIMAL_TEXT_H
#define RINGTAPE_FORMAT_DECIMAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DECIMAL_TEXT_SCALE_MAX = 38,
    DECIMAL_TEXT_BYTES_MAX = 48, // sign, 39 digits, "0." and leading zeros of a fraction, NUL
};

// Writes the text and a NUL; returns the length without NUL. scale <= DECIMAL_TEXT_SCALE_MAX.
size_t decimal_text_format(char out[DECIMAL_TEXT_BYTES_MAX], __int128 mantissa, uint8_t scale);

// The same value at scale `target`: false if it needs more digits than `digits_max` (<= 38) or
// digits below the target's last; `out` is then untouched.
bool decimal_text_rescale(__int128 mantissa, uint8_t scale, uint8_t target, uint8_t digits_max,
                          __int128 *out);

#endif
