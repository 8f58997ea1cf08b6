// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_export_day: one channel of one UTC day → its partitions, one for each exchange.
#ifndef RINGTAPE_TOOLS_RINGTAPE_EXPORT_DAY_H
#define RINGTAPE_TOOLS_RINGTAPE_EXPORT_DAY_H

#include <stdbool.h>
#include <stdint.h>

#include "format/store.h"
#include "tools/ringtape_export_sink.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_progress.h"
#include "tools/ringtape_publish.h"
#include "tools/ringtape_query.h"

enum { RINGTAPE_EXPORT_REFUSALS_SHOWN = 20 }; // more are counted only

struct ringtape_export {
    struct ringtape_query query;
    const char *directory;
    uint64_t file_bytes; // a file ends at about this size
    bool json_wanted;
    const struct ringtape_export_sink *sink; // NULL: plain Parquet
    struct store *store;
    char identity[2 * LAYOUT_STORE_ID_BYTES + 1];
    struct ringtape_publish publish;
    struct ringtape_progress progress;
    struct ringtape_json json;
    bool patience_over; // a segment that is missing now was not merged away
    uint64_t rows_total; // of all segments chosen
    uint64_t rows_done;
    uint64_t written, unchanged; // partitions
    uint64_t rows, bytes;        // written as Parquet
    uint64_t refused; // rows that do not fit
    uint64_t damages;
};

// 0; -ENOENT: a segment was merged away meanwhile: refresh the store, come again; others: errno,
// told.
int ringtape_export_day(struct ringtape_export *export, enum channel channel, int32_t day);

#endif
