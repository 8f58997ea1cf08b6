// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the tests of the dialects share: a context with symbols, frames with padding, events as text
// and their comparison, and the recordings of RINGTAPE_REAL_DATA.
#ifndef RINGTAPE_TESTS_DIALECT_SUPPORT_H
#define RINGTAPE_TESTS_DIALECT_SUPPORT_H

#include "exchange/dialect.h"

enum {
    DIALECT_SUPPORT_FRAME_BYTES_MAX = 1 << 21,
    DIALECT_SUPPORT_TEXT_BYTES_MAX = 1 << 16,
};

struct dialect_support {
    const struct dialect *dialect;
    struct symbols *symbols;
    struct dialect_context context;
    struct dialect_frame frame;
    struct event_level *levels[2]; // one for each way of reading
    uint8_t *bytes;                // a frame and its padding end where this memory ends
    char *text;                    // of dialect_support_read()
};

// `symbols`: names with blanks between.
void dialect_support_open(struct dialect_support *support, const char *dialect,
                          const char *symbols);
void dialect_support_close(struct dialect_support *support);

// Begins the frame; `padding` fills the bytes behind it.
void dialect_support_begin(struct dialect_support *support, const void *bytes, uint32_t size,
                           uint8_t padding);
// All events of the frame as lines of text, by the strict parser or by next(). Levels as
// "b 61837.63 x 3.5". Valid until the next call.
const char *dialect_support_read(struct dialect_support *support, const char *frame, bool strict);
// Reads the frame both ways, with two paddings; aborts where the events differ. Returns the number
// of rows; raw rows are added to *raw_count if not NULL.
uint32_t dialect_support_compare(struct dialect_support *support, const void *bytes, uint32_t size,
                                 uint32_t *raw_count);
// One event as a line of text.
void dialect_support_print(const struct dialect_support *support, const struct event *event,
                           char *out, uint32_t out_size);
bool dialect_support_equal(const struct event *a, const struct event *b);

// Path of a file of the recordings, in a static buffer; NULL, with a loud word, where it is absent.
const char *dialect_support_recording(const char *name);

#endif
