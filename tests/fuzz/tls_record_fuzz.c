// SPDX-License-Identifier: GPL-3.0-or-later
//
// Properties: whatever is received, in whatever pieces, only a true record of data is opened, and
// to what was closed; the rest is handed over. Input: pairs of bytes, kind and size,
// each a true record (data, a message, padded) or that many bytes of the input as they are; the
// first byte chooses the cut.
#include "format/ensure.h"
#include "protocol/tls_record.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIRE_BYTES = 1 << 16, DATA = 23 };

static uint8_t wire[WIRE_BYTES];

// Everything of the wire through `records`; the bytes of data that came, all of them 'x'.
static uint32_t receive(struct tls_records *records, struct tls_records_keys *keys, size_t used,
                        size_t step)
{
    static uint8_t plain[TLS_RECORD_BODY_MAX];
    uint32_t opened = 0;
    for (size_t at = 0; at < used; at += step) {
        const uint8_t *input = wire + at;
        size_t left = used - at < step ? used - at : step;
        while (tls_records_cut(records, &input, &left)) {
            uint32_t count = tls_records_open(records, plain, sizeof plain);
            for (uint32_t i = 0; i < count; i++) ensure(plain[i] == 'x');
            opened += count;
            const uint8_t *bytes;
            uint32_t hand_size;
            if (count > 0) continue;
            ensure(tls_records_hand(records, &bytes, &hand_size));
            ensure(hand_size >= TLS_RECORD_HEADER_BYTES &&
                   hand_size <= TLS_RECORD_HEADER_BYTES + TLS_RECORD_BODY_MAX);
            ensure(tls_records_handed(records, keys));
        }
        ensure(left == 0);
    }
    return opened;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_records_keys keys = {.key = "sixteen letters", .key_bytes = 16, .iv = "twelve byte"};
    if (size < 3) return 0;
    struct tls_records *records = tls_records_create();
    ensure(records != NULL);
    ensure(tls_records_begin(records, &keys));
    uint64_t sequence = 0;
    uint32_t expected = 0;
    size_t used = 0;
    bool true_so_far = true;
    for (size_t at = 1; at + 2 <= size && used + 1024 < WIRE_BYTES; at += 2) {
        static uint8_t inner[1024];
        const uint32_t count = data[at + 1];
        if (data[at] % 4 == 0) { // not true: what follows has lost its place
            uint32_t raw = size - at < count ? (uint32_t)(size - at) : count;
            memcpy(wire + used, data + at, raw);
            used += raw;
            true_so_far = true_so_far && raw == 0;
            continue;
        }
        memset(inner, 'x', count);
        inner[count] = data[at] % 4 == 1 ? 22 : DATA;
        uint32_t padding = data[at] % 4 == 3 ? data[at] : 0;
        memset(inner + count + 1, 0, padding);
        // A message is not counted by whoever has not been told that the library took it.
        bool counted = inner[count] == DATA && count > 0;
        used += tls_records_close(records, sequence, inner, count + 1 + padding, wire + used);
        sequence += counted;
        if (true_so_far && counted) expected += count;
    }
    uint32_t opened = receive(records, &keys, used, 1 + (size_t)data[0] * 8);
    ensure(true_so_far ? opened == expected : opened >= expected);
    tls_records_destroy(records);
    return 0;
}
