// SPDX-License-Identifier: GPL-3.0-or-later
//
// times: see the header.
#include "bench/times.h"

#include <time.h>

#include "format/ensure.h"

double times_cpu_ns(void)
{
    struct timespec now;
    ensure(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int times_compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}
