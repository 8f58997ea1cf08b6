// SPDX-License-Identifier: Apache-2.0
//
// time_text: nanoseconds since 1970-01-01 UTC ↔ RFC 3339, and times relative to now.
//
// The whole range of int64 nanoseconds: 1677-09-21 ... 2262-04-11. Threading: pure functions.
#ifndef RINGTAPE_FORMAT_TIME_TEXT_H
#define RINGTAPE_FORMAT_TIME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TIME_TEXT_BYTES_MAX = 40, // "2262-04-11T23:47:16.854775807Z" and NUL
    TIME_TEXT_DATE_BYTES = 11, // "2262-04-11" and NUL
};

#define TIME_TEXT_DAY_NS (INT64_C(86400) * 1000000000)

// `digits` of the second, 0 ... 9; what is below them is cut off. Returns the length without NUL.
size_t time_text_format(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns, int digits);
// "2024-08-08" of the UTC day that holds the time.
void time_text_date(char out[TIME_TEXT_DATE_BYTES], int64_t time_ns);
// Begin of the UTC day that holds the time; INT64_MIN for the cut first day.
int64_t time_text_day_start(int64_t time_ns);

// Accepts, for people who type:
//   2024-08-08T12:00:00.123456789Z   RFC 3339, any offset, 'T' or ' ', up to nine digits
//   2024-08-08T12:00                 without seconds; without offset: UTC
//   2024-08-08                       the day's begin
//   now, -90s, -1h30m, -7d, +5m      relative to `now_ns`; units d h m s ms us ns
// False, `time_ns` untouched, for all else: impossible dates, leap seconds, out of range.
bool time_text_parse(const char *text, int64_t now_ns, int64_t *time_ns);

#endif
