// SPDX-License-Identifier: GPL-3.0-or-later
//
// Numbers of 128 bits: ratios rounded half to even, values split into two columns.
#include "derive/wide.h"

#include <criterion/criterion.h>
#include <stddef.h>

Test(wide, ratios_round_half_to_even)
{
    static const struct { int64_t n, d; uint32_t decimals; int64_t expected; } cases[] = {
        {1, 8, 2, 12}, {3, 8, 2, 38}, {1, 3, 5, 33333}, {2, 3, 5, 66667}, {5, 1, 0, 5},
        {25, 10, 0, 2}, {35, 10, 0, 4}, {0, 7, 12, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wide ratio = -1;
        cr_assert(wide_ratio(cases[i].n, 0, cases[i].d, 0, cases[i].decimals, &ratio));
        cr_assert(ratio == cases[i].expected, "case %zu", i);
    }
    wide ratio;
    cr_assert(wide_ratio(25, 3, 1, 0, 2, &ratio) && ratio == 2); // 0.025
    cr_assert(wide_ratio(35, 3, 1, 0, 2, &ratio) && ratio == 4);
    cr_assert_not(wide_ratio(wide_power(38), 0, 1, 0, 12, &ratio));
}

Test(wide, values_split_in_two)
{
    struct wide_parts parts;
    cr_assert(wide_split(1200, 3, &parts));
    cr_assert(parts.mantissa == 12 && parts.scale == 1 && parts.rest == 0);
    const wide large = (wide)INT64_MAX * 1000 + 7;
    cr_assert(wide_split(large, 16, &parts));
    cr_assert((wide)parts.mantissa * wide_power(16u - parts.scale) + parts.rest == large);
    cr_assert_eq(parts.rest_scale, 16);
    cr_assert_not(wide_split(wide_power(37), 0, &parts));
    cr_assert_not(wide_split(1, 19, &parts));
    cr_assert(wide_split(10, 19, &parts) && parts.mantissa == 1 && parts.scale == 18);
}
