// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the files of the Upbit dialect share. Not for other modules.
#ifndef RINGTAPE_EXCHANGE_UPBIT_H
#define RINGTAPE_EXCHANGE_UPBIT_H

#include "exchange/dialect.h"
#include "exchange/strict.h"

extern const struct dialect dialect_upbit;
extern const struct dialect_history upbit_history;

// The message types, see docs/fields.md.
extern const struct strict_message *const upbit_messages[];

// The schema-specific scanner (trade and orderbook in SIMPLE form): true with a row, false for the
// strict reader, nothing queued.
bool upbit_scan(struct dialect_frame *frame, struct event *event);

// The next row of the frame by the strict reader; false with raw rows queued, or at the end.
bool upbit_strict(struct dialect_frame *frame, struct event *event);

// kind and reply of a frame.
void upbit_begin(struct dialect_frame *frame);

enum {
    UPBIT_DATE_BYTES = 10, // "2026-03-11"
    UPBIT_CLOCK_BYTES = 8, // "14:40:59"
};

// Date and time of day in UTC, not terminated. `time_ns` is not negative.
void upbit_clock(int64_t time_ns, char date[UPBIT_DATE_BYTES], char clock[UPBIT_CLOCK_BYTES]);

// Upbit writes a time of day as Java does, 18:17 for 18:17:00 (seen in 2021): both mean the same.
bool upbit_clock_matches(const char *text, uint32_t size, const char clock[UPBIT_CLOCK_BYTES]);

#endif
