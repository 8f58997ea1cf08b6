// SPDX-License-Identifier: GPL-3.0-or-later
//
// Histograms against the sorted values themselves.
#include "format/histogram.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 20000 };
static struct histogram histogram;
static int64_t values[VALUES];

Test(histogram, every_value_is_below_the_bound_of_its_bucket_and_not_of_the_one_before)
{
    static const int64_t around[] = {0, 1, 255, 256, 257, 287, 288, 511, 512, 575, 576, 1000000};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        const uint32_t bucket = histogram_bucket(around[i]);
        cr_assert_lt(around[i], histogram_bound_ns(bucket));
        if (bucket > 0) cr_assert_geq(around[i], histogram_bound_ns(bucket - 1));
    }
    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS - 1; b++) {
        const int64_t bound_ns = histogram_bound_ns(b);
        cr_assert_eq(histogram_bucket(bound_ns - 1), b);
        cr_assert_eq(histogram_bucket(bound_ns), b + 1);
        // An eighth of the lower end is the width, so what a quantile may be off by.
        if (b > 0) cr_assert_leq((bound_ns - histogram_bound_ns(b - 1)) * 8, bound_ns);
    }
    cr_assert_eq(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
    cr_assert_eq(histogram_bucket(-5), 0);
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void fill(uint64_t seed)
{
    uint64_t state = seed;
    for (int i = 0; i < VALUES; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        // Every size from 1 ns to some minutes.
        values[i] = (int64_t)((state >> 20) >> ((state >> 10) % 36));
        if (values[i] > 200000000000) values[i] %= 200000000000;
        histogram_add(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof *values, compare);
}

Test(histogram, quantiles_are_those_of_the_values_within_an_eighth)
{
    static const uint32_t shares[] = {1, 1000, 100000, 500000, 900000, 990000, 999000, 1000000};
    fill(7);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        const uint64_t rank = ((uint64_t)VALUES * shares[i] + 999999) / 1000000;
        const int64_t exact = values[rank == 0 ? 0 : rank - 1];
        const int64_t found = histogram_quantile_ns(&histogram, shares[i]);
        cr_assert_geq(found, exact);
        cr_assert_leq(found, exact < 256 ? 255 : exact + exact / 8, "share %u: %lld for %lld",
                      shares[i], (long long)found, (long long)exact);
    }
    cr_assert_eq(histogram_quantile_ns(&histogram, 1000000), values[VALUES - 1]);
}

Test(histogram, parts_add_up_and_a_window_is_their_difference)
{
    struct histogram early, window, sum;
    fill(3);
    early = histogram;
    for (int i = 0; i < 700; i++) histogram_add(&histogram, 1000000);
    histogram_add_times(&histogram, 1000000, 300);
    histogram_add_times(&histogram, 1000000, 0);
    histogram_since(&early, &histogram, &window);
    cr_assert_eq(histogram_count(&window), 1000);
    cr_assert_eq(window.sum_ns, 1000ull * 1000000);
    cr_assert_eq(histogram_bucket(histogram_quantile_ns(&window, 500000)),
                 histogram_bucket(1000000));
    sum = early;
    histogram_merge(&sum, &window);
    cr_assert_eq(memcmp(sum.bucket, histogram.bucket, sizeof sum.bucket), 0);
    cr_assert_eq(sum.sum_ns, histogram.sum_ns);
}

Test(histogram, nothing_has_no_quantile_and_a_clock_behind_counts_as_nothing)
{
    cr_assert_eq(histogram_quantile_ns(&histogram, 500000), -1);
    histogram_add(&histogram, -1000000);
    cr_assert_eq(histogram_count(&histogram), 1);
    cr_assert_eq(histogram.sum_ns, 0);
    cr_assert_eq(histogram_quantile_ns(&histogram, 1000000), 0);
    histogram_add(&histogram, INT64_MAX);
    histogram_add(&histogram, INT64_MAX);
    cr_assert_eq(histogram.sum_ns, 0, "years are no latency");
    cr_assert_eq(histogram_quantile_ns(&histogram, 1000000), INT64_MAX - 1);
}
