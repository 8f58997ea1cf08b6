// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_permits: what this IP address has spent at the exchanges, over restarts: connections,
// weights of REST, pauses that an exchange asked for. One small file in the store, advice for the
// next life: a lost or torn one costs a few connections too many at worst.
// Threading: of the control thread; the shards may take permits meanwhile.
#ifndef RINGTAPE_CONTROL_CONTROL_PERMITS_H
#define RINGTAPE_CONTROL_CONTROL_PERMITS_H

#include "base/permits.h"

// The kinds and budgets of all exchanges, with what the file in the folder `store` tells of them.
// Whatever is added later begins with nothing spent.
void control_permits_load(struct permits *permits, const char *store, int64_t utc_ns);
// Writes the file where something was granted since `*saved`, which is brought up to date.
void control_permits_save(struct permits *permits, const char *store, uint64_t *saved);

#endif
