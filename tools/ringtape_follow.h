// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_follow: keeps Delta tables current from a store that is being recorded.
//
//     every `every`: ask the daemon to seal → wait until it has → export what is sealed
//     → compact partitions of many files → sleep
//
// It goes by sealed tapes, as an export does, and not by the rows on tapes: then there is one rule
// for what is in a table (ringtape_delta_plan.h), which holds over crashes and restarts of both
// programs, and files are sorted. A row is in the table when its tape was sealed and exported, half
// a minute after it came.
//
// SIGTERM and SIGINT end it after the day under way; the tables are whole at any moment.
// Threading: main thread; the signal handlers set a flag.
#ifndef RINGTAPE_TOOLS_RINGTAPE_FOLLOW_H
#define RINGTAPE_TOOLS_RINGTAPE_FOLLOW_H

#include "tools/ringtape_delta.h"

#define RINGTAPE_FOLLOW_EVERY_NS 20000000000ll // default

// `delta` is open. Returns when asked to end, or with what is wrong, told: an exit code.
int ringtape_follow(struct ringtape_delta *delta, int64_t every_ns, uint32_t compact_files);

#endif
