// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_symbols: rows and times by channel and symbol, over segments (from their indexes) and
// tapes (by reading them).
#ifndef RINGTAPE_TOOLS_RINGTAPE_SYMBOLS_H
#define RINGTAPE_TOOLS_RINGTAPE_SYMBOLS_H

#include <stdbool.h>

#include "format/store.h"
#include "tools/ringtape_query.h"

// Prints the list, sorted by channel and name. Returns an exit code.
int ringtape_symbols_list(struct store *store, const struct ringtape_query *query, bool json);

#endif
