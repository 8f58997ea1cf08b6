// SPDX-License-Identifier: GPL-3.0-or-later
//
// keep_sweep: removes what a crash left in segment/: files under a temporary name, and segments
// that a merge replaced but that were not deleted in time.
//
// A segment with a number the catalogue has not given yet stays: it is of a sealing that did not
// come to its end, whose numbers are given again, or of a time after the catalogue, if that was
// restored from a copy. Files of other names are nobody's and stay.
//
// Threading: at the start, with the store's lock held and nothing else in flight on `io`.
#ifndef RINGTAPE_KEEP_KEEP_SWEEP_H
#define RINGTAPE_KEEP_KEEP_SWEEP_H

#include "format/catalogue.h"
#include "keep/file_script.h"

enum { KEEP_SWEEP_DAYS_MAX = 16384 }; // looked through at one start

// `store`: its directory. `spared`: numbers of segments that a handover lists (keep_incoming.h),
// which are sorted here. Uses `script`; `script->running` as of file_script_run_now(). 0 or the
// negative errno of the first failure; what is left then is removed at another start.
int keep_sweep(const char *store, const struct catalogue *catalogue, uint32_t *spared,
               uint32_t spared_count, struct file_script *script, struct io *io);

#endif
