// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_day_marker: the markers of closed days (format/day.h) as files.
//
// A daemon writes them by itself; while none runs, the command does. Several commands at a time
// wait for one another by a lock on STORE/day, so that one counts the generation.
#ifndef RINGTAPE_TOOLS_RINGTAPE_DAY_MARKER_H
#define RINGTAPE_TOOLS_RINGTAPE_DAY_MARKER_H

#include "format/day.h"
#include "format/store.h"

// Reads the marker. 0 or an exit code (told): a damaged one is an error.
int ringtape_day_marker_read(const struct store *store, int32_t day, enum channel channel,
                             struct day_marker *marker);
// The day is closed as `state` says: writes the marker where it does not say so already. 0 or an
// exit code (told).
int ringtape_day_marker_write(const struct store *store, const struct day_state *state,
                              enum channel channel, struct day_marker *marker);

#endif
