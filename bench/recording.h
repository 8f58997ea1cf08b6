// SPDX-License-Identifier: GPL-3.0-or-later
//
// recording: rows of a recording, as the dialects read its messages. FRAMES: i64 receive time, u32
// bytes, message; again and again (bench/format.py makes them).
#ifndef RINGTAPE_BENCH_RECORDING_H
#define RINGTAPE_BENCH_RECORDING_H

#include "format/rows.h"

enum {
    RECORDING_LEVELS_MAX = 1 << 21,
    RECORDING_TEXT_BYTES = 1 << 24,
};

// Empty rows with room for `count` of them, and for the levels and texts of a recording.
struct rows *recording_rows(enum channel channel, uint32_t count);
// Appends the rows of the channel that `rows` are of. Ends the process where the file cannot be
// read or does not fit.
void recording_read(struct rows *rows, const char *exchange, const char *symbol, const char *path);

#endif
