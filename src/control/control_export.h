// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_export: what Delta exports still need, by the files they leave in STORE/export
// (format/export_state.h): a segment whose rows are not in every table yet is neither deleted nor
// merged. Not deleted for ever; not merged for EXPORT_MERGE_HOLD_NS after the export was last seen,
// for then its next run writes whole days again, which costs it time and nothing else. From then on
// the log warns of it once a day: what it has not exported stays, on a full disk too.
//
// Threading: opened and asked to look by the control thread (or by whoever seals), asked by the
// sealer: numbers in between are atomic.
#ifndef RINGTAPE_CONTROL_CONTROL_EXPORT_H
#define RINGTAPE_CONTROL_CONTROL_EXPORT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/log.h"
#include "keep/keep_store.h"

#define CONTROL_EXPORT_LOOK_NS LIMIT_SECOND_NS
#define CONTROL_EXPORT_MERGE_HOLD_NS (48 * LIMIT_HOUR_NS)
#define CONTROL_EXPORT_TELL_NS (24 * LIMIT_HOUR_NS) // between two warnings of exports not seen

struct control_export {
    const struct keep_store *store;
    const struct log *log;
    int64_t look_after_ns; // UTC
    bool told;             // of a file that cannot be read
    int64_t warn_after_ns; // UTC: of exports that were not seen for long
    _Atomic uint32_t exported[CHANNEL_COUNT]; // tapes up to it; UINT32_MAX: nobody needs it
    _Atomic uint32_t mergeable[CHANNEL_COUNT];
};

// Looks, and is asked from then on. Before the sealer runs; `export` outlives it.
void control_export_open(struct control_export *export, struct keep_store *store,
                         const struct log *log, int64_t now_ns);
// Looks again, if it is time.
void control_export_look(struct control_export *export, int64_t now_ns);

#endif
