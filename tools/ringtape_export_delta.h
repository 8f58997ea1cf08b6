// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_export_delta: `ringtape export --delta`: once, or for as long as --follow goes on.
#ifndef RINGTAPE_TOOLS_RINGTAPE_EXPORT_DELTA_H
#define RINGTAPE_TOOLS_RINGTAPE_EXPORT_DELTA_H

#include "tools/ringtape_export_day.h"

struct ringtape_export_delta {
    const char *directory; // NULL: not asked for
    bool follow;
    const char *every;      // "20s"; NULL: the default
    uint64_t compact_files; // 0: the default
    const char *again;      // a date; NULL: none
};

// Entries for the table of options; `d` is the struct.
#define RINGTAPE_EXPORT_DELTA(d)                                                                   \
    {                                                                                              \
        .name = "delta", .kind = RINGTAPE_OPTION_TEXT, .target = &(d).directory, .value = "DIR",   \
        .help = "Delta tables instead of files: DIR/trade, DIR/quote, …, each row once"            \
    }
#define RINGTAPE_EXPORT_FOLLOW(d)                                                                  \
    {                                                                                              \
        .name = "follow", .kind = RINGTAPE_OPTION_FLAG, .target = &(d).follow,                     \
        .help = "with --delta: go on, and keep the tables current, until SIGTERM"                  \
    }
#define RINGTAPE_EXPORT_EVERY(d)                                                                   \
    {                                                                                              \
        .name = "every", .kind = RINGTAPE_OPTION_TEXT, .target = &(d).every, .value = "SPAN",      \
        .help = "with --follow: a commit so often: 20s (the default), 5m"                          \
    }
#define RINGTAPE_EXPORT_COMPACT(d)                                                                 \
    {                                                                                              \
        .name = "compact-files", .kind = RINGTAPE_OPTION_COUNT, .target = &(d).compact_files,      \
        .value = "N", .help = "with --follow: partitions of more files are compacted (32)"         \
    }

#define RINGTAPE_EXPORT_AGAIN(d)                                                                   \
    {                                                                                              \
        .name = "again", .kind = RINGTAPE_OPTION_TEXT, .target = &(d).again, .value = "DATE",      \
        .help = "with --delta: write this day again, in place of what is there, as\n"              \
                "after a repair of the store: 2024-08-08"                                          \
    }

// Do the options go together? False: a line was printed; end with RINGTAPE_EXIT_USAGE.
bool ringtape_export_delta_check(const struct ringtape_export_delta *options,
                                 const struct ringtape_export *export);
// The store is open. An exit code.
int ringtape_export_delta(const struct ringtape_export_delta *options,
                          struct ringtape_export *export);

#endif
