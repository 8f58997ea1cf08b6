// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/utc_clock.h"

#include <criterion/criterion.h>

#define MS 1000000ll

Test(utc_clock, follows_forward_at_once_and_backward_at_half_speed)
{
    static const struct {
        int64_t realtime_ns;
        int64_t monotonic_ns;
        int64_t utc_ns;
        uint32_t steps;
    } rows[] = {
        {1000 * MS, 0, 1000 * MS, 0},
        {1010 * MS, 10 * MS, 1010 * MS, 0},
        {1060 * MS, 20 * MS, 1060 * MS, 0},      // 40 ms forward: noise, followed
        {2000 * MS, 30 * MS, 2000 * MS, 1},      // a step forward
        {2010 * MS, 40 * MS, 2010 * MS, 1},      // told once
        {1910 * MS, 50 * MS, 2015 * MS, 2},      // a step back: half speed
        {1910 * MS, 50 * MS, 2015 * MS, 2},      // no time, no progress
        {1930 * MS, 70 * MS, 2025 * MS, 2},
        {2130 * MS, 270 * MS, 2130 * MS, 2},     // caught up
        {2140 * MS, 280 * MS, 2140 * MS, 2},
    };
    struct utc_clock clock;
    utc_clock_init(&clock, 1000 * MS, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t utc_ns = utc_clock_update(&clock, rows[i].realtime_ns, rows[i].monotonic_ns);
        cr_assert_eq(utc_ns, rows[i].utc_ns, "row %zu: %lld", i, (long long)utc_ns);
        cr_assert_eq(clock.steps, rows[i].steps, "row %zu", i);
    }
}
