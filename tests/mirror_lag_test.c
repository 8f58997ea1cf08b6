// SPDX-License-Identifier: GPL-3.0-or-later
//
// How far behind a reader is, against the rows and times it is made from.
#include "publish/mirror_lag.h"

#include <criterion/criterion.h>

#define SECOND 1000000000ll
static struct mirror_lag lag;

// Second by second 100 rows of 10 bytes; a new tape every ten seconds, numbered by tens.
static void record(int from, int until)
{
    for (int second = from; second < until; second++) {
        const uint64_t rows = 100ull * (uint64_t)(second + 1);
        const uint32_t tape = 10u * (1 + (uint32_t)second / 10);
        mirror_lag_note(&lag, rows, rows * 10, tape, rows - 1000ull * ((uint64_t)second / 10),
                        second * SECOND);
    }
}

Test(mirror_lag, who_is_at_the_end_is_not_behind)
{
    cr_assert_eq(mirror_lag_of(&lag, 0, 0, 5 * SECOND).rows, 0, "nothing is durable yet");
    record(0, 15);
    const struct mirror_lag_of of = mirror_lag_of(&lag, 20, 500, 20 * SECOND);
    cr_assert(of.rows == 0 && of.bytes == 0 && of.time_ns == 0);
}

Test(mirror_lag, rows_bytes_and_time_over_tapes)
{
    record(0, 15);
    // Past 250 rows of the first tape: those of second 2 are missing in part.
    const struct mirror_lag_of of = mirror_lag_of(&lag, 10, 250, 20 * SECOND);
    cr_assert_eq(of.rows, 1250);
    cr_assert_eq(of.bytes, 15000 - 2000);
    cr_assert_eq(of.time_ns, 18 * SECOND);
    cr_assert_eq(mirror_lag_of(&lag, 0, 0, 20 * SECOND).rows, 1500, "past nothing");
    cr_assert_eq(mirror_lag_of(&lag, 7, 999, 20 * SECOND).rows, 1500, "of an earlier life");
    cr_assert_eq(mirror_lag_of(&lag, 13, 5, 20 * SECOND).rows, 1500, "not seen: too much");
}

Test(mirror_lag, days_are_known_less_finely)
{
    const int day = 24 * 3600;
    record(0, day);
    cr_assert_leq(lag.count, MIRROR_LAG_SAMPLES);
    for (int second = 100; second < day; second += 997) {
        // The tapes that far back are forgotten: what is told is at least what is true.
        const uint32_t tape = 10u * (1 + (uint32_t)second / 10);
        const uint64_t rows = 100ull * (uint64_t)(second % 10);
        const struct mirror_lag_of of = mirror_lag_of(&lag, tape, rows, day * SECOND);
        const uint64_t truth = 100ull * (uint64_t)(day - second);
        cr_assert_geq(of.rows, truth);
        if (second > day - 10 * MIRROR_LAG_TAPES + 20) {
            cr_assert_eq(of.rows, truth);
            cr_assert_leq(of.time_ns, (day - second + 512) * SECOND);
        }
    }
}
