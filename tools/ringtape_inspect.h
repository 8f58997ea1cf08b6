// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_inspect: the parts of `ringtape inspect`, one for each kind of file.
#ifndef RINGTAPE_TOOLS_RINGTAPE_INSPECT_H
#define RINGTAPE_TOOLS_RINGTAPE_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "format/layout.h"
#include "format/time_text.h"
#include "tools/ringtape_json.h"

enum { RINGTAPE_INSPECT_IDENTITY_BYTES = 2 * LAYOUT_STORE_ID_BYTES + 1 };

struct ringtape_inspect {
    const char *path;
    bool blocks;
    bool json_wanted;
    struct ringtape_json json;
};

// Each prints the file and returns an exit code.
int ringtape_inspect_segment(struct ringtape_inspect *inspect);
int ringtape_inspect_tape(struct ringtape_inspect *inspect);
int ringtape_inspect_index(struct ringtape_inspect *inspect);

void ringtape_inspect_identity(char out[RINGTAPE_INSPECT_IDENTITY_BYTES], const uint8_t *identity);
const char *ringtape_inspect_time(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns);

#endif
