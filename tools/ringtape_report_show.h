// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_report_show: numbers of a report for people, alike in text and on the page: rounded half
// to even from the exact value, thousands apart.
//
// Ownership: into buffers of the caller, which come back. Threading: pure functions.
#ifndef RINGTAPE_TOOLS_RINGTAPE_REPORT_SHOW_H
#define RINGTAPE_TOOLS_RINGTAPE_REPORT_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "derive/wide.h"

enum { SHOW_BYTES = 64 };

// "1,234.50" with `decimals` digits behind the point.
const char *show_fixed(char out[SHOW_BYTES], wide value, uint32_t scale, uint32_t decimals);
// The same, exact and as short as can be: "64,123.4".
const char *show_exact(char out[SHOW_BYTES], wide value, uint32_t scale);
// A ratio of 12 decimals as per cent, "+1.24" with its sign or "1.24".
const char *show_percent(char out[SHOW_BYTES], wide ratio, bool with_sign);
// A double of 0 or more in thousandths, "2.413".
const char *show_thousandths(char out[SHOW_BYTES], double value);
// ms with a digit behind the point, from ns.
const char *show_ms(char out[SHOW_BYTES], int64_t time_ns);

// What large amounts of one table are told in, so that none has more than four digits before the
// point: "", "thousand", "million" ...
struct show_unit {
    uint32_t digits; // 0, 3, 6 ...
    const char *name;
};
struct show_unit show_unit_of(wide largest, uint32_t scale);
const char *show_amount(char out[SHOW_BYTES], wide value, uint32_t scale, struct show_unit unit);

// Bytes of the text from its decimal point on; 0: there is none.
uint32_t show_fraction(const char *text);

// Bytes of the character at the beginning of a text that is not empty. `odd`: it is none, or one
// that would change direction or layout of other text; at least one byte all the same.
uint32_t show_character(const char *text, bool *odd);

#endif
