// SPDX-License-Identifier: GPL-3.0-or-later
//
// One line, rewritten ten times a second at most: what, share, time left.
#include "tools/ringtape_progress.h"

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    BAR_CELLS = 30,
    PATIENCE_NS = 1000000000,
    INTERVAL_NS = 100000000,
};

void ringtape_progress_start(struct ringtape_progress *progress, const char *what)
{
    *progress = (struct ringtape_progress){
        .what = what, .start_ns = ringtape_monotonic_ns(), .terminal = isatty(STDERR_FILENO) == 1};
}

void ringtape_progress_show(struct ringtape_progress *progress, uint64_t done, uint64_t total)
{
    ensure(progress->what != NULL);
    if (!progress->terminal || total == 0) return;
    const int64_t now_ns = ringtape_monotonic_ns();
    const int64_t spent_ns = now_ns - progress->start_ns;
    if (spent_ns < PATIENCE_NS || now_ns - progress->shown_ns < INTERVAL_NS) return;
    progress->shown_ns = now_ns;
    progress->visible = true;

    char bar[BAR_CELLS + 1];
    const uint64_t part = done < total ? done : total;
    const int cells = (int)((unsigned __int128)part * BAR_CELLS / total);
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < cells ? '#' : '.';
    bar[BAR_CELLS] = 0;
    const uint64_t percent = (uint64_t)((unsigned __int128)part * 100 / total);
    const uint64_t spent_s = (uint64_t)spent_ns / 1000000000;
    const uint64_t left_s =
        part == 0 ? 0 : (uint64_t)((unsigned __int128)spent_s * (total - part) / part);
    (void)fprintf(stderr, "\r\033[K%s [%s] %3" PRIu64 "%%  %" PRIu64 " s left", progress->what, bar,
                  percent, left_s);
    (void)fflush(stderr);
}

void ringtape_progress_clear(struct ringtape_progress *progress)
{
    if (progress->visible) (void)fputs("\r\033[K", stderr);
    progress->visible = false;
}
