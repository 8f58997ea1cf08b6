// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: whatever a statistics file holds, a reader takes nothing or a page whose every count is
// in bounds, and the text made of it has one line a value. The first byte says how long the file is
// and whether its slots get right heads; the rest fills it again and again.
#include <stdlib.h>
#include <string.h>

#include "control/metrics_text.h"
#include "format/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_text(const struct statistics_page *page)
{
    struct metrics_text text;
    ensure(metrics_text_make(page, &text));
    ensure(text.size > 0 && text.text[text.size - 1] == '\n');
    ensure(memchr(text.text, '\0', text.size) == NULL);
    free(text.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const size_t each = statistics_page_bytes(1);
    const size_t length = data[0] & 2 ? 2 * each : (size_t)data[1] * 512;
    char *bytes = malloc(2 * each);
    ensure(bytes != NULL);
    for (size_t i = 0; i < 2 * each; i++) bytes[i] = (char)data[1 + i % (size - 1)];
    if (data[0] & 1) {
        statistics_page_seal((void *)bytes, 1, 1 + data[1]);
        statistics_page_seal((void *)(bytes + each), 1, 7);
    }
    char *file = malloc(length + 1); // of its very size, for the sanitizer
    ensure(file != NULL);
    memcpy(file, bytes, length < 2 * each ? length : 2 * each);
    uint32_t slot = 0, version = 0;
    const size_t there = length < 2 * each ? length : 2 * each;
    if (statistics_page_choose(file, there, &slot, &version) == STATISTICS_GOOD)
        read_text((const void *)(file + slot * each));
    free(file);
    free(bytes);
    return 0;
}
