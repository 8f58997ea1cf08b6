// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_coverage: what a ledger says of one key within the times of a query: for `coverage` and
// `report`, which must not differ. docs/completeness.md tells what the words mean.
//
// Pure. Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_COVERAGE_H
#define RINGTAPE_TOOLS_RINGTAPE_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/ledger_whole.h"
#include "tools/ringtape_query.h"

struct coverage_sum { // of one key, within the times asked for
    uint64_t open;
    uint64_t lost;
    uint64_t repaired;      // rows
    uint64_t missing;       // ids of open and lost holes
    uint64_t missing_ns;
    int64_t from_ns, to_ns; // covered times
    double percent;
};

// Is the key asked for, and covered within the times?
bool coverage_key_wanted(const struct ringtape_query *query, const struct ledger_key *key);
// Does what the note tells reach into the times? `now_ns`: of the ledger.
bool coverage_note_wanted(const struct ringtape_query *query, const struct ledger_note *note,
                          int64_t now_ns);
struct coverage_sum coverage_sum_key(const struct ledger_whole *ledger, uint32_t number,
                                     const struct ringtape_query *query);

#endif
