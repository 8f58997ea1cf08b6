// SPDX-License-Identifier: GPL-3.0-or-later
//
// sealed_store: a new store of some segments, as a daemon would leave it after sealing.
#ifndef RINGTAPE_BENCH_SEALED_STORE_H
#define RINGTAPE_BENCH_SEALED_STORE_H

#include "format/catalogue.h"
#include "tests/segment_fixture.h"

struct sealed_part {
    struct catalogue_segment entry;
    const struct segment_image *image;
};

// Parts by rising number. `identity`: LAYOUT_STORE_ID_BYTES. Ends the process where it fails.
void sealed_store_write(const char *dir, const uint8_t *identity, const struct sealed_part *parts,
                        uint32_t count);

#endif
