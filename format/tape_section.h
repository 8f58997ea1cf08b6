// SPDX-License-Identifier: Apache-2.0
//
// tape_section: what encoder and decoder of a batch's payload share. docs/format.md "Batch
// payload".
#ifndef RINGTAPE_FORMAT_TAPE_SECTION_H
#define RINGTAPE_FORMAT_TAPE_SECTION_H

#include "format/layout.h"

struct tape_section {
    uint8_t channel;
    uint8_t columns; // that follow; a column absent in all rows is left out
    uint8_t flags;   // tape_section_flags; others 0
    uint8_t zero;
    uint32_t rows; // >= 1
    uint32_t levels;
    uint32_t text_bytes; // of all text columns, decoded
    uint32_t bytes;      // of the section, this head included
};
LAYOUT_AT(tape_section, channel, 0);
LAYOUT_AT(tape_section, columns, 1);
LAYOUT_AT(tape_section, flags, 2);
LAYOUT_AT(tape_section, zero, 3);
LAYOUT_AT(tape_section, rows, 4);
LAYOUT_AT(tape_section, levels, 8);
LAYOUT_AT(tape_section, text_bytes, 12);
LAYOUT_AT(tape_section, bytes, 16);
LAYOUT_SIZE(tape_section, 20);

enum tape_section_flags {
    TAPE_SECTION_LEVELS = 1, // levels follow the columns
};

// A column's second byte; so a reader can pass a column it does not know.
enum tape_column_form {
    TAPE_COLUMN_BITMAP = 1,  // a bitmap of the rows that have a value comes first
    TAPE_COLUMN_DECIMAL = 2, // scales come before the values
    TAPE_COLUMN_TEXT = 4,    // lengths, form, bytes
};

enum tape_text_form {
    TAPE_TEXT_EACH = 0,
    TAPE_TEXT_SAME = 1, // all present texts are equal: stored once
};

// Bits a row of the order between channels.
static inline unsigned tape_order_bits(unsigned sections)
{
    if (sections <= 1)
        return 0;
    return sections == 2 ? 1 : sections <= 4 ? 2 : 4;
}

#endif
