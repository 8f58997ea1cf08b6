// SPDX-License-Identifier: GPL-3.0-or-later
//
// utc = max(real time, last utc + half of the monotonic time passed): never back, never stuck.
#include "io/utc_clock.h"

#include "format/ensure.h"

void utc_clock_init(struct utc_clock *clock, int64_t realtime_ns, int64_t monotonic_ns)
{
    *clock = (struct utc_clock){
        .utc_ns = realtime_ns,
        .monotonic_ns = monotonic_ns,
        .offset_ns = realtime_ns - monotonic_ns,
    };
}

bool utc_clock_stepped(const struct utc_clock *clock, int64_t realtime_ns, int64_t monotonic_ns)
{
    int64_t change_ns = realtime_ns - monotonic_ns - clock->offset_ns;
    return change_ns > UTC_CLOCK_STEP_NS || change_ns < -UTC_CLOCK_STEP_NS;
}

int64_t utc_clock_update(struct utc_clock *clock, int64_t realtime_ns, int64_t monotonic_ns)
{
    ensure(monotonic_ns >= clock->monotonic_ns);
    if (__builtin_expect(utc_clock_stepped(clock, realtime_ns, monotonic_ns), 0)) {
        clock->offset_ns = realtime_ns - monotonic_ns;
        clock->steps += 1;
    }
    int64_t slowest_ns = clock->utc_ns + (monotonic_ns - clock->monotonic_ns) / 2;
    clock->utc_ns = realtime_ns > slowest_ns ? realtime_ns : slowest_ns;
    clock->monotonic_ns = monotonic_ns;
    return clock->utc_ns;
}
