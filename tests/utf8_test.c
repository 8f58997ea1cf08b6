// SPDX-License-Identifier: GPL-3.0-or-later
//
// UTF-8: the boundaries of RFC 3629, any split, fail-fast, and the vector path against its
// reference.
#include "protocol/utf8.h"

#include "protocol_random.h"
#include <criterion/criterion.h>
#include <string.h>

struct text_case {
    const char *bytes;
    // How many bytes are a possible beginning; equal to the length: no invalid byte.
    size_t good;
    bool valid;
};

static const struct text_case text_table[] = {
    {"", 0, true},
    {"plain", 5, true},
    {"\xc2\x80", 2, true},
    {"\xdf\xbf", 2, true},
    {"\xe0\xa0\x80", 3, true},
    {"\xed\x9f\xbf", 3, true},
    {"\xee\x80\x80", 3, true},
    {"\xef\xbf\xbf", 3, true},
    {"\xf0\x90\x80\x80", 4, true},
    {"\xf4\x8f\xbf\xbf", 4, true},
    {"\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", 9, true},
    {"\x80", 0, false},
    {"\xbf", 0, false},
    {"\xc0\x80", 0, false},
    {"\xc1\xbf", 0, false},
    {"\xc2", 1, false},
    {"\xc2\x7f", 1, false},
    {"\xc2\xc0", 1, false},
    {"\xe0\x9f\xbf", 1, false},
    {"\xe1\x80", 2, false},
    {"\xed\xa0\x80", 1, false},
    {"\xed\xbf\xbf", 1, false},
    {"\xf0\x8f\xbf\xbf", 1, false},
    {"\xf1\x80\x80", 3, false},
    {"\xf4\x90\x80\x80", 1, false},
    {"\xf5\x80\x80\x80", 0, false},
    {"\xf8\x88\x80\x80\x80", 0, false},
    {"\xfe", 0, false},
    {"\xff", 0, false},
    {"a\xc2\xa9z\xff", 4, false},
};

// Fed byte by byte: how many bytes were taken before the first refusal.
static size_t feed_bytes(const uint8_t *data, size_t size, struct utf8_state *state)
{
    for (size_t i = 0; i < size; i++)
        if (!utf8_feed(state, data + i, 1))
            return i;
    return size;
}

Test(utf8, boundaries_and_fail_fast)
{
    for (size_t i = 0; i < sizeof text_table / sizeof text_table[0]; i++) {
        const struct text_case *row = &text_table[i];
        const uint8_t *data = (const uint8_t *)row->bytes;
        size_t size = strlen(row->bytes);
        struct utf8_state state = {0};
        size_t good = feed_bytes(data, size, &state);
        cr_assert_eq(good, row->good, "row %zu: %zu", i, good);
        cr_assert_eq(good == size && utf8_complete(&state), row->valid, "row %zu", i);
        cr_assert_eq(utf8_valid(data, size), row->valid, "row %zu", i);
    }
}

Test(utf8, every_split_gives_the_same_verdict_behind_any_offset)
{
    for (size_t i = 0; i < sizeof text_table / sizeof text_table[0]; i++)
        for (size_t before = 0; before < 40; before++) {
            uint8_t text[64];
            size_t size = before + strlen(text_table[i].bytes);
            memset(text, 'x', sizeof text);
            memcpy(text + before, text_table[i].bytes, size - before);
            for (size_t cut = 0; cut <= size; cut++) {
                struct utf8_state state = {0};
                bool valid = utf8_feed(&state, text, cut) &&
                             utf8_feed(&state, text + cut, size - cut) && utf8_complete(&state);
                cr_assert_eq(valid, text_table[i].valid, "row %zu cut %zu", i, cut);
            }
        }
}

Test(utf8, all_code_points_are_valid_and_no_other_two_or_three_bytes)
{
    uint32_t pairs = 0;
    uint32_t triples = 0;
    for (uint32_t v = 0; v < 1u << 24; v++) {
        uint8_t bytes[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        if (bytes[0] < 0xc0)
            continue;
        if (bytes[0] == 0xff && bytes[1] >= 0xc0)
            pairs += utf8_valid(bytes + 1, 2);
        triples += utf8_valid(bytes, 3) && bytes[0] >= 0xe0;
    }
    cr_assert_eq(pairs, 0x800 - 0x80);
    cr_assert_eq(triples, 0x10000 - 0x800 - 0x800, "surrogates are out");
}

Test(utf8, ascii_check_agrees_with_its_reference)
{
    struct protocol_random random = random_start("utf8/ascii_check");
    uint8_t text[512];
    for (int i = 0; i < 200000; i++) {
        size_t offset = random_below(&random, 64);
        size_t size = random_below(&random, 400);
        memset(text, 'a', sizeof text);
        // Bytes above 0x7f just outside must not matter.
        if (offset > 0)
            text[offset - 1] = 0x80;
        text[offset + size] = 0x80;
        if (size > 0 && random_below(&random, 2))
            text[offset + random_below(&random, (uint32_t)size)] = 0xff;
        cr_assert_eq(utf8_ascii(text + offset, size), utf8_ascii_reference(text + offset, size));
    }
}
