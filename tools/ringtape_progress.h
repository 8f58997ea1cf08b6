// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_progress: a bar on standard error for what takes longer than a second; nothing where
// standard error is not a terminal.
#ifndef RINGTAPE_TOOLS_RINGTAPE_PROGRESS_H
#define RINGTAPE_TOOLS_RINGTAPE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct ringtape_progress {
    const char *what;
    int64_t start_ns;
    int64_t shown_ns;
    bool terminal;
    bool visible;
};

void ringtape_progress_start(struct ringtape_progress *progress, const char *what);
// Cheap enough to be called for every block.
void ringtape_progress_show(struct ringtape_progress *progress, uint64_t done, uint64_t total);
// Removes the bar; also before anything else is printed.
void ringtape_progress_clear(struct ringtape_progress *progress);

#endif
