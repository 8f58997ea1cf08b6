// SPDX-License-Identifier: Apache-2.0
//
// histogram: see histogram.h. Contract: bucket b holds what is below histogram_bound_ns(b) and not
// below histogram_bound_ns(b - 1).
#include "format/histogram.h"

#include "format/ensure.h"

int64_t histogram_bound_ns(uint32_t bucket)
{
    ensure(bucket < HISTOGRAM_BUCKETS);
    if (bucket == HISTOGRAM_BUCKETS - 1) return INT64_MAX;
    const uint32_t octave = HISTOGRAM_FIRST_BITS + (bucket >> HISTOGRAM_STEP_BITS);
    const uint32_t step = bucket & 7;
    return (int64_t)(8 + step) << (octave - HISTOGRAM_STEP_BITS);
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) count += histogram->bucket[i];
    return count;
}

void histogram_merge(struct histogram *sum, const struct histogram *more)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) sum->bucket[i] += more->bucket[i];
    sum->sum_ns += more->sum_ns;
    if (more->max_ns > sum->max_ns) sum->max_ns = more->max_ns;
}

void histogram_since(const struct histogram *early, const struct histogram *late,
                     struct histogram *out)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        out->bucket[i] = late->bucket[i] - early->bucket[i];
    out->sum_ns = late->sum_ns - early->sum_ns;
    out->max_ns = late->max_ns;
}

int64_t histogram_quantile_ns(const struct histogram *histogram, uint32_t per_million)
{
    ensure(per_million <= 1000000);
    const uint64_t count = histogram_count(histogram);
    if (count == 0) return -1;
    // The smallest rank that is not below the share: 1 ... count.
    uint64_t rank = (uint64_t)(((unsigned __int128)count * per_million + 999999) / 1000000);
    if (rank == 0) rank = 1;
    uint64_t seen = 0;
    uint32_t bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS - 1 && (seen += histogram->bucket[bucket]) < rank) bucket++;
    const int64_t bound_ns = histogram_bound_ns(bucket);
    return bound_ns - 1 < histogram->max_ns ? bound_ns - 1 : histogram->max_ns;
}
