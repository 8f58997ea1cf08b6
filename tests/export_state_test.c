// SPDX-License-Identifier: GPL-3.0-or-later
#include "format/export_state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct export_state sample(void)
{
    struct export_state state = {.time_ns = 1767225600000000000, .tables = "/srv/the lake",
                                 .channels = 1u << CHANNEL_TRADE | 1u << CHANNEL_RAW};
    state.tape[CHANNEL_TRADE] = 120;
    state.tape[CHANNEL_RAW] = UINT32_MAX;
    return state;
}

Test(export_state, comes_back_as_it_was)
{
    char text[EXPORT_STATE_BYTES_MAX];
    const struct export_state state = sample();
    struct export_state back;
    const size_t size = export_state_write(&state, text);
    cr_assert_eq(export_state_parse(&back, text, size), 0);
    cr_expect_eq(memcmp(&back, &state, sizeof state), 0);
    static const char start[] = "ringtape-export 1 0\ntime 1767225600000000000\n"
                                "tables /srv/the lake\nchannel trade 120\n";
    cr_expect_eq(memcmp(text, start, sizeof start - 1), 0);
}

Test(export_state, any_change_is_noticed)
{
    char text[EXPORT_STATE_BYTES_MAX];
    const struct export_state state = sample();
    struct export_state back;
    const size_t size = export_state_write(&state, text);
    for (size_t i = 0; i < size; i++) {
        text[i] ^= 1;
        cr_expect_eq(export_state_parse(&back, text, size), -EBADMSG, "byte %zu", i);
        text[i] ^= 1;
        cr_expect_eq(export_state_parse(&back, text, i), -EBADMSG, "cut at %zu", i);
    }
}

Test(export_state, one_folder_has_one_name)
{
    char a[EXPORT_STATE_NAME_BYTES], b[EXPORT_STATE_NAME_BYTES];
    export_state_name("/srv/lake", a);
    export_state_name("/srv/lake2", b);
    cr_expect_eq(strlen(a), 16);
    cr_expect_str_neq(a, b);
}
