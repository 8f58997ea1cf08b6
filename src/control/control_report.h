// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_report: the reports of closed days, made by `ringtape report --refresh` in a process of
// its own, so that nothing that records waits for it, shares its memory or dies with it.
//
// It is started when markers of days have been written (the sealer counts them) and none came for
// CONTROL_REPORT_CALM_NS, and once after the start for what a life before did not come to. One at a
// time; what runs for CONTROL_REPORT_LIMIT_NS is killed; a failure is logged with its remedy and
// tried again after CONTROL_REPORT_AGAIN_NS. It steps back in priority by itself.
//
// Threading: the control thread's.
#ifndef RINGTAPE_CONTROL_CONTROL_REPORT_H
#define RINGTAPE_CONTROL_CONTROL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"
#include "base/log.h"
#include "io/io.h"

#define CONTROL_REPORT_CALM_NS (5 * LIMIT_SECOND_NS)
#define CONTROL_REPORT_LIMIT_NS (30 * LIMIT_MINUTE_NS)
#define CONTROL_REPORT_AGAIN_NS (10 * LIMIT_MINUTE_NS)

struct control_report {
    struct io *io;
    const struct log *log;
    const char *store;
    bool wanted;    // something may have to be made
    int64_t due_ns; // monotonic: not before
    uint64_t days;  // markers written, as last seen
    pid_t child;    // 0: none
    int64_t end_ns; // monotonic: then it is killed
    bool killed;
    bool told; // that the program is missing
    uint64_t made;   // runs that ended well
    uint64_t failed; // that did not
};

// `store` must stay.
void control_report_init(struct control_report *report, struct io *io, const struct log *log,
                         const char *store);
// Every CONTROL_TICK_NS. `on`: as configured; `days`: markers that the sealer has written so far.
void control_report_tick(struct control_report *report, bool on, uint64_t days);
// Ends what runs; it is made at the next start.
void control_report_close(struct control_report *report);
// The path of ringtape, which stands beside ringtaped. False: there is none, or it is too long.
bool control_report_program(char *path, size_t size);
// What it is started with; `store` must stay.
enum { CONTROL_REPORT_ARGUMENTS = 5 };
void control_report_arguments(char *arguments[CONTROL_REPORT_ARGUMENTS + 1], char *store);
void control_report_print(const struct control_report *report);

#endif
