// SPDX-License-Identifier: GPL-3.0-or-later
//
// statistics: sections of the statistics page (format/statistics_page.h) as they cross the threads
// of the daemon: the owner of a section publishes a whole copy of it now and then, anybody takes a
// whole copy at any time. Nobody waits for anybody: the writer never, and a reader that is
// overtaken again and again keeps what it had.
//
// A section is a struct of 64-bit words whose first one is its turn: odd while it is being written.
// One writer a section, any number of readers.
#ifndef RINGTAPE_BASE_STATISTICS_H
#define RINGTAPE_BASE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "format/statistics_page.h"

// `own` is the writer's; its turn is left alone.
void statistics_publish(void *section, const void *own, size_t bytes);
// False: `out` is as it was, the section was being written each time.
bool statistics_take(void *out, const void *section, size_t bytes);

#endif
