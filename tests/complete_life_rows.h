// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life_rows: rows that a recorder called durable, sitting by sitting, against those found
// in the end. For tests.
//
// Every row of any channel bears the time at which it came or was made, so that its sitting is
// known by it; how many of a sitting were durable is what its shards said last.
#ifndef RINGTAPE_TESTS_COMPLETE_LIFE_ROWS_H
#define RINGTAPE_TESTS_COMPLETE_LIFE_ROWS_H

#include <stdint.h>

#include "complete_life_alerts.h"
#include "format/rows.h"

struct life_rows {
    uint64_t durable[LIFE_STARTS_MAX]; // said to be, by sitting
    uint64_t found[LIFE_STARTS_MAX];
};

// Counts them by sitting; `starts_ns` are in order.
void life_rows_found(struct life_rows *own, const int64_t *starts_ns, uint32_t count,
                     const struct rows *rows);
// Rows that were durable and were not found.
uint64_t life_rows_lost(const struct life_rows *own, uint32_t count);

#endif
