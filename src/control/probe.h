// SPDX-License-Identifier: GPL-3.0-or-later
//
// probe: what `ringtaped --probe` prints for `ringtape doctor`: what the daemon would need here and
// what of it this machine gives, found out by the daemon's own code. Nothing is recorded, the store
// is not touched.
//
// Lines of a name, a blank and a value to the end of the line:
//
//     version 1.0.0 (abc)          tls wolfSSL 5.9.2, ...          tls_kind bundled|stock
//     config good                  or, for each mistake: mistake FILE:LINE: ...
//     store, shards, commit_interval_ns, reserve_bytes, keep_age_ns, keep_size_bytes, kafka, http
//     keep_channel NAME AGE_NS SIZE_BYTES
//     core SHARD CPU               where a shard would be pinned
//     loops_wanted 5   loops_opened 5   loops_failed WHY
//
// Without a configuration: one shard, and no line about a configuration.
#ifndef RINGTAPE_CONTROL_PROBE_H
#define RINGTAPE_CONTROL_PROBE_H

#include "control/config.h"

// `path` may be NULL. Returns the exit code: 0, also where something is missing.
int probe_print(struct config *config, struct config_mistakes *mistakes, const char *path,
                const char *commit);

#endif
