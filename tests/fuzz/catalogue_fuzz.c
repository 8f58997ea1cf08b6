// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: a catalogue is refused or read; what is read is written as the same text (of this
// version). The first byte says whether the text gets a right trailer before.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/catalogue.h"
#include "format/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct catalogue catalogue;
    static const uint8_t store[LAYOUT_STORE_ID_BYTES];
    if (size == 0)
        return 0;
    if (!catalogue.tapes)
        ensure(catalogue_init(&catalogue, store) == 0);
    char *text = malloc(size + 32);
    ensure(text);
    memcpy(text, data + 1, size - 1);
    size_t bytes = size - 1;
    if (data[0] % 2 == 0)
        bytes += (size_t)snprintf(text + bytes, 32, "xxh3 %016" PRIx64 "\n",
                                  (uint64_t)XXH3_64bits(text, bytes));
    if (catalogue_parse(&catalogue, text, bytes) == 0 &&
        memcmp(text, "ringtape-catalogue 1 0\n", 23) == 0) {
        size_t room = catalogue_bytes_max(&catalogue);
        char *again = malloc(room);
        ensure(again);
        ensure(catalogue_write(&catalogue, again, room) == bytes);
        ensure(memcmp(again, text, bytes) == 0);
        free(again);
    }
    free(text);
    return 0;
}
