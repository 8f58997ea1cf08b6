// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_ledger: the ledger of a store as it is now (format/ledger_whole.h), read from its files
// and rows.
#ifndef RINGTAPE_TOOLS_RINGTAPE_LEDGER_H
#define RINGTAPE_TOOLS_RINGTAPE_LEDGER_H

#include "format/ledger_whole.h"
#include "format/store.h"

// Told on standard error where it cannot be had. 0 or an exit code; to be freed either way.
int ringtape_ledger_open(struct ledger_whole *whole, struct store *store);
// The same of a store that no daemon ever recorded into: no key, time_ns 0.
int ringtape_ledger_open_any(struct ledger_whole *whole, struct store *store);

#endif
