// SPDX-License-Identifier: GPL-3.0-or-later
//
// The names that intervals have in rows.
#include "derive/candle.h"

#include <criterion/criterion.h>
#include <string.h>

Test(candle_row, names_of_intervals)
{
    char text[CANDLE_TEXT_BYTES];
    candle_interval_text(60, text);
    cr_assert_str_eq(text, "1h");
    cr_assert_eq(candle_interval_minutes("15m", 3), 15);
    cr_assert_eq(candle_interval_minutes("7m", 2), 0);
    cr_assert_eq(candle_interval_minutes("60m", 3), 0);
    cr_assert_eq(candle_interval_minutes("", 0), 0);
}
