// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: an index image is refused or everything in it can be used. The first byte says whether
// its hashes are made right before.
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void forge(uint8_t *bytes, size_t size)
{
    struct layout_index header;
    memcpy(&header, bytes, sizeof header);
    header.body_bytes = size - sizeof header;
    header.body_hash = XXH3_64bits(bytes + sizeof header, size - sizeof header);
    header.hash = XXH3_64bits(&header, offsetof(struct layout_index, hash));
    memcpy(bytes, &header, sizeof header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct index index;
    if (size < 1 + sizeof(struct layout_index))
        return 0;
    uint8_t *bytes = malloc(size - 1);
    ensure(bytes);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 2 == 0)
        forge(bytes, size - 1);
    if (index_open(&index, bytes, size - 1)) {
        for (uint32_t s = 0; s < index.symbol_count; s++) {
            struct event_text name = index_name(&index, s);
            ensure(index_find(&index, name.bytes, name.size) <= s);
        }
        for (uint32_t b = 0; b < index.block_count; b++)
            (void)index_overlaps(&index, b, INT64_MIN, INT64_MAX);
    }
    free(bytes);
    return 0;
}
