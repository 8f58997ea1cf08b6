// SPDX-License-Identifier: GPL-3.0-or-later
//
// exhaustive: a short life by script (a start, trades, tapes sealed, segments merged, batches
// mirrored, a stop) once for every single fault at every operation of disk and network, and each
// of these crashed at every operation, killed or without power, started again and judged. A fault
// behind the crash strikes what comes after it, the start above all.
#ifndef RINGTAPE_TESTS_SIMULATION_EXHAUSTIVE_H
#define RINGTAPE_TESTS_SIMULATION_EXHAUSTIVE_H

#include <stdint.h>

struct exhaustive_options {
    uint64_t stride; // every so many cases; 1: all
    uint64_t offset; // from this one on
    uint32_t workers;
    uint64_t only;   // this case alone, in this process; UINT64_MAX: many
    const char *program;
    int log;
};

// 0, or 1 where a case broke a promise: its command is printed.
int exhaustive_run(const struct exhaustive_options *options);

#endif
