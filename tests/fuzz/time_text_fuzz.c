// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: whatever is taken for a time, absolute or relative, is one that formats and parses back
// to itself; whatever is refused leaves the result alone.
#include "format/ensure.h"
#include "format/time_text.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[64], again[TIME_TEXT_BYTES_MAX];
    int64_t time_ns = 4711, back = 0;
    if (size >= sizeof text) size = sizeof text - 1;
    if (size > 0) memcpy(text, data, size);
    text[size] = 0;
    if (!time_text_parse(text, INT64_C(1723118400000000000), &time_ns)) {
        ensure(time_ns == 4711);
        return 0;
    }
    const size_t written = time_text_format(again, time_ns, 9);
    ensure(written == 30 && again[29] == 'Z');
    ensure(time_text_parse(again, 0, &back) && back == time_ns);
    ensure(time_text_day_start(time_ns) <= time_ns);
    return 0;
}
