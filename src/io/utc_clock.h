// SPDX-License-Identifier: GPL-3.0-or-later
//
// utc_clock: turns readings of CLOCK_REALTIME and CLOCK_MONOTONIC into a UTC time that never goes
// back, and notices steps. Pure: the caller reads the clocks.
//
// After a step forward the time follows at once. After a step back it runs at half speed until
// the real-time clock has caught up: order is kept, equal stamps stay rare, and small corrections
// are absorbed soon; a step back by an hour distorts the times of two hours, which the status
// event made from the step tells.
#ifndef RINGTAPE_IO_UTC_CLOCK_H
#define RINGTAPE_IO_UTC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    // CLOCK_MONOTONIC is slewed together with CLOCK_REALTIME, so their difference changes by steps,
    // leap seconds and suspension only; below this it is the noise of reading two clocks.
    UTC_CLOCK_STEP_NS = 50 * 1000 * 1000,
};

struct utc_clock {
    int64_t utc_ns;       // last result
    int64_t monotonic_ns; // of the last reading
    int64_t offset_ns;    // real time - monotonic time when last stepped
    uint32_t steps;
};

void utc_clock_init(struct utc_clock *clock, int64_t realtime_ns, int64_t monotonic_ns);

// Whether these readings tell of a step. The caller reads again to be sure (its thread may have
// been preempted between the two clocks) before it passes them to utc_clock_update().
bool utc_clock_stepped(const struct utc_clock *clock, int64_t realtime_ns, int64_t monotonic_ns);

// Returns the time, >= every time returned before; counts a step in clock->steps.
int64_t utc_clock_update(struct utc_clock *clock, int64_t realtime_ns, int64_t monotonic_ns);

#endif
