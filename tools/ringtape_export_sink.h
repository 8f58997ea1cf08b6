// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_export_sink: who else takes the files of an export, and in which order he is asked.
//
// Without a sink files are published as plain Parquet (ringtape_publish.h). With one, nothing is
// published or removed by the export: for each partition (exchange, channel, UTC day)
//
//     wants_segment    for each segment of the day: are its rows to be exported
//     is_current       true: the partition is left alone
//     on_file          for each file, when it is whole and synced: it lies in staging and is the
//                      sink's from then on; rename it away, on the same file system
//     on_partition     after the last file: commit; or, with `error`, forget what was taken
//
// A file left in staging is removed at the end of the run. A damaged segment or a refused row does
// not end a partition: `partial` tells of it.
//
// Ownership: everything pointed to is valid during the call alone. Threading: one thread, in order.
#ifndef RINGTAPE_TOOLS_RINGTAPE_EXPORT_SINK_H
#define RINGTAPE_TOOLS_RINGTAPE_EXPORT_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "format/catalogue.h"
#include "format/parquet_bounds.h"
#include "format/parquet_rows.h"

// One column over a whole file.
struct ringtape_export_statistics {
    struct parquet_bounds bounds; // `any`: there is a value; `exact`: min and max are values
    uint64_t null_count;
};

struct ringtape_export_partition {
    const char *exchange; // not escaped
    enum channel channel;
    const char *date;     // 2024-08-08
    int32_t day;          // since 1970
    const char *folder;   // "exchange=binance/channel=trade/date=2024-08-08", escaped as a path
    uint64_t key;         // hash of everything the content depends on
    // [segment_count] of the day, those wanted; also those that turn out to be damaged, in part or
    // as a whole: `partial` tells of them.
    const struct catalogue_segment *segments;
    uint32_t segment_count;
    const struct parquet_rows *layout;        // columns; NULL in is_current
};

struct ringtape_exported_file {
    const struct ringtape_export_partition *partition;
    const char *path; // where it lies, in staging
    uint32_t number;  // of the part within the partition, from 0
    uint64_t bytes;   // exact
    uint64_t rows;    // Parquet rows: levels count one by one
    const struct ringtape_export_statistics *columns; // [partition->layout->column_count]
    bool sorted;      // by symbol and ts_ns throughout
};

struct ringtape_export_sink {
    void *context;
    // May be NULL: all.
    bool (*wants_segment)(void *context, const struct catalogue_segment *segment);
    bool (*is_current)(void *context, const struct ringtape_export_partition *partition);
    // 0 or negative errno, which ends the export; the export tells it.
    int (*on_file)(void *context, const struct ringtape_exported_file *file);
    // `files`: how many on_file() took; may be 0 (no row in the time asked for). `partial`: rows
    // are missing. `error`: 0, or why the partition was given up: what is returned is ignored.
    int (*on_partition)(void *context, const struct ringtape_export_partition *partition,
                        uint32_t files, bool partial, int error);
};

#endif
