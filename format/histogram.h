// SPDX-License-Identifier: Apache-2.0
//
// histogram: how often a duration was how long, in buckets that grow with it (log-linear, as
// HdrHistogram's): eight to an octave from 256 ns to 275 s, so a quantile read from it is off by an
// eighth at most. What is shorter shares the first bucket, what is longer the last.
//
// Adding is a few instructions and one cache line; histograms of several writers are added up by
// who reads them. Plain words, no lock: one writer each.
#ifndef RINGTAPE_FORMAT_HISTOGRAM_H
#define RINGTAPE_FORMAT_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 3,  // 8 buckets an octave
    HISTOGRAM_FIRST_BITS = 8, // the first octave begins at 256 ns
    HISTOGRAM_OCTAVES = 30,
    HISTOGRAM_LAST_BITS = HISTOGRAM_FIRST_BITS + HISTOGRAM_OCTAVES,
    HISTOGRAM_BUCKETS = (HISTOGRAM_OCTAVES << HISTOGRAM_STEP_BITS) + 2,
};

struct histogram {
    uint64_t bucket[HISTOGRAM_BUCKETS];
    uint64_t sum_ns; // of what is not in the last bucket
    int64_t max_ns;
};
_Static_assert(sizeof(struct histogram) == 244 * 8, "words in a row");

static inline uint32_t histogram_bucket(int64_t value_ns)
{
    if (value_ns < 1 << HISTOGRAM_FIRST_BITS) return 0;
    const uint64_t value = (uint64_t)value_ns;
    const uint32_t octave = 63 - (uint32_t)__builtin_clzll(value);
    if (octave >= HISTOGRAM_LAST_BITS) return HISTOGRAM_BUCKETS - 1;
    const uint32_t step = (uint32_t)(value >> (octave - HISTOGRAM_STEP_BITS)) & 7;
    return 1 + ((octave - HISTOGRAM_FIRST_BITS) << HISTOGRAM_STEP_BITS) + step;
}

// A negative duration (two clocks that disagree) counts as 0. `times`: so many took as long.
static inline void histogram_add_times(struct histogram *histogram, int64_t value_ns,
                                       uint64_t times)
{
    if (value_ns < 0) value_ns = 0;
    if (times == 0) return;
    const uint32_t bucket = histogram_bucket(value_ns);
    histogram->bucket[bucket] += times;
    // A replay of old events would make the sum overflow, and is no latency.
    if (bucket < HISTOGRAM_BUCKETS - 1) histogram->sum_ns += (uint64_t)value_ns * times;
    if (value_ns > histogram->max_ns) histogram->max_ns = value_ns;
}

static inline void histogram_add(struct histogram *histogram, int64_t value_ns)
{
    histogram_add_times(histogram, value_ns, 1);
}

// The least value that is above the bucket; INT64_MAX: the last one.
int64_t histogram_bound_ns(uint32_t bucket);
uint64_t histogram_count(const struct histogram *histogram);
// Adds up; `sum` and `more` do not overlap.
void histogram_merge(struct histogram *sum, const struct histogram *more);
// What was added to `late` since it looked like `early`. The maximum is that of `late`.
void histogram_since(const struct histogram *early, const struct histogram *late,
                     struct histogram *out);
// A value that `per_million` of all values do not exceed: the upper end of its bucket, or the
// maximum where that is less. -1: there are none.
int64_t histogram_quantile_ns(const struct histogram *histogram, uint32_t per_million);

#endif
