// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_report_file: a report as files that are there whole or not at all: written beside,
// synced, renamed, the directory synced.
//
// Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_REPORT_FILE_H
#define RINGTAPE_TOOLS_RINGTAPE_REPORT_FILE_H

#include <stdbool.h>

#include "tools/ringtape_report.h"

// The page under this name. 0 or an exit code, told.
int report_write_html(const struct report *report, const char *path);
// DIR/LABEL.html and, behind it, DIR/LABEL.json. The directory is made where it is missing; several
// that write there wait for one another. 0 or an exit code, told.
int report_write_both(const struct report *report, const char *directory);
// Does DIR/LABEL.json tell these days' states and generations already? Both files are there then.
bool report_is_current(const struct report *report, const char *directory);

#endif
