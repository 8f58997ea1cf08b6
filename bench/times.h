// SPDX-License-Identifier: GPL-3.0-or-later
//
// times: what the benchmarks measure with. CPU time of the calling thread, so that what else runs
// on the machine counts as little as can be.
#ifndef RINGTAPE_BENCH_TIMES_H
#define RINGTAPE_BENCH_TIMES_H

double times_cpu_ns(void); // CLOCK_THREAD_CPUTIME_ID
// For qsort(): doubles, the least first.
int times_compare(const void *a, const void *b);

#endif
