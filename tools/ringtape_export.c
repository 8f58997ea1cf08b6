// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape export: sealed rows as Parquet, partitioned for Spark, DuckDB, Polars and pandas:
// DIR/exchange=E/channel=C/date=D/*.parquet, sorted by symbol and time. Run again it writes only
// partitions whose segments changed. docs/parquet.md tells columns and types.
#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_export_day.h"
#include "tools/ringtape_export_delta.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_table.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFRESHES_MAX = 20, FILE_MEGABYTES = 256, FILE_MEGABYTES_MAX = 1 << 20 };

// A channel of a day that has segments.
struct ringtape_export_item {
    enum channel channel;
    int32_t day;
};

static bool ringtape_export_wanted(const struct ringtape_export *export,
                                   const struct catalogue_segment *entry)
{
    return ringtape_query_has_channel(&export->query, entry->channel) &&
           entry->time_max >= export->query.from && entry->time_min < export->query.to;
}

// What there is to do, in the catalogue's order (channel, day).
static size_t ringtape_export_items(struct ringtape_export *export,
                                    struct ringtape_export_item *items)
{
    const struct catalogue *catalogue = store_catalogue(export->store);
    size_t count = 0;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *entry = &catalogue->segments[i];
        if (!ringtape_export_wanted(export, entry)) continue;
        export->rows_total += entry->rows;
        if (count > 0 && items[count - 1].channel == entry->channel &&
            items[count - 1].day == entry->day)
            continue;
        items[count++] = (struct ringtape_export_item){entry->channel, entry->day};
    }
    return count;
}

// 0 or an exit code; the reason has been told.
static int ringtape_export_item(struct ringtape_export *export,
                                const struct ringtape_export_item *item)
{
    int error = -ENOENT;
    for (int i = 0; i <= REFRESHES_MAX && error == -ENOENT; i++) {
        // The daemon merged its segments while we came to them.
        error = i > 0 ? store_refresh(export->store, NULL) : 0;
        export->patience_over = i == REFRESHES_MAX;
        if (ringtape_publish_check(&export->publish) != RINGTAPE_EXIT_OK) return RINGTAPE_EXIT_IO;
        if (error == 0) error = ringtape_export_day(export, item->channel, item->day);
    }
    if (error == 0) return RINGTAPE_EXIT_OK;
    if (error != -ENOENT) return RINGTAPE_EXIT_IO; // told where it was met
    return ringtape_fail("%s: %s", export->query.store, ringtape_error_text(error));
}

static int ringtape_export_all(struct ringtape_export *export)
{
    const uint32_t segments = store_catalogue(export->store)->segment_count;
    struct ringtape_export_item *items = calloc((size_t)segments + 1, sizeof items[0]);
    int exit_code = RINGTAPE_EXIT_OK;
    ensure(items != NULL); // sixteen bytes a segment
    const size_t count = ringtape_export_items(export, items);
    ringtape_progress_start(&export->progress, "exporting");
    for (size_t i = 0; i < count && exit_code == RINGTAPE_EXIT_OK; i++)
        exit_code = ringtape_export_item(export, &items[i]);
    ringtape_progress_clear(&export->progress);
    free(items);
    return exit_code;
}

static void ringtape_export_sum(struct ringtape_export *export)
{
    char count[2 * RINGTAPE_TABLE_NUMBER_BYTES], rows[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    char bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    uint32_t tapes;
    (void)store_tapes(export->store, &tapes);
    if (export->json_wanted) {
        ringtape_json_array_end(&export->json);
        ringtape_json_count(&export->json, "written", export->written);
        ringtape_json_count(&export->json, "unchanged", export->unchanged);
        ringtape_json_count(&export->json, "messages", export->rows);
        ringtape_json_count(&export->json, "bytes", export->bytes);
        ringtape_json_count(&export->json, "left_out", export->refused);
        ringtape_json_count(&export->json, "damages", export->damages);
        ringtape_json_count(&export->json, "unsealed_tapes", tapes);
        ringtape_json_object_end(&export->json);
        ringtape_json_line(&export->json);
    } else {
        (void)printf("%s written, %" PRIu64 " unchanged; %s, %s\n",
                     ringtape_table_count(count, export->written, "partition"), export->unchanged,
                     ringtape_table_count(rows, export->rows, "row"),
                     ringtape_table_bytes(bytes, export->bytes));
    }
    (void)fflush(stdout);
    if (export->refused > 0)
        (void)ringtape_fail("%s left out, not fit for the Parquet types",
                            ringtape_table_count(rows, export->refused, "row"));
    if (tapes > 0)
        (void)ringtape_fail("note: %s not sealed yet, the rows are not in the export; "
                            "'ringtape seal --store %s' seals",
                            ringtape_table_count(count, tapes, "tape"), export->query.store);
}

static int ringtape_export_run(struct ringtape_export *export)
{
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(export->identity + 2 * i, 3, "%02x", store_identity(export->store)[i]);
    int exit_code = ringtape_publish_open(&export->publish, export->directory);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    if (export->json_wanted) {
        ringtape_json_start(&export->json, stdout);
        ringtape_json_object(&export->json, NULL);
        ringtape_json_array(&export->json, "partitions");
    }
    exit_code = ringtape_export_all(export);
    ringtape_publish_close(&export->publish);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    ringtape_export_sum(export);
    const bool whole = export->refused == 0 && export->damages == 0;
    return whole ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND;
}

int ringtape_export(int argc, char **argv)
{
    static struct ringtape_export export;
    uint64_t megabytes = FILE_MEGABYTES;
    struct ringtape_export_delta delta = {0};
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "parquet", .kind = RINGTAPE_OPTION_TEXT, .target = &export.directory,
         .value = "DIR", .help = "where the files go; created if missing"},
        RINGTAPE_EXPORT_DELTA(delta),
        RINGTAPE_EXPORT_FOLLOW(delta),
        RINGTAPE_EXPORT_EVERY(delta),
        RINGTAPE_EXPORT_COMPACT(delta),
        RINGTAPE_EXPORT_AGAIN(delta),
        RINGTAPE_QUERY_STORE(export.query),
        RINGTAPE_QUERY_CHANNEL(export.query),
        RINGTAPE_QUERY_SYMBOL(export.query),
        RINGTAPE_QUERY_FROM(export.query),
        RINGTAPE_QUERY_TO(export.query),
        {.name = "file-size", .kind = RINGTAPE_OPTION_COUNT, .target = &megabytes, .value = "MB",
         .help = "a partition is split into files of about so many megabytes (256)"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &export.json_wanted,
         .help = "one JSON object instead of lines"},
    };
    const struct ringtape_usage usage = {
        .command = "export",
        .purpose =
            "Sealed rows as Parquet: DIR/exchange=.../channel=.../date=.../*.parquet, sorted by\n"
            "symbol and time. A partition holds what the last export asked for; one whose rows "
            "did\nnot change is left alone, any other is replaced as a whole.\n"
            "Or as Delta tables, to which a run adds what has been sealed since the one before.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    ringtape_query_init(&export.query);
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (!ringtape_query_check(&export.query, "export") ||
        !ringtape_export_delta_check(&delta, &export))
        return RINGTAPE_EXIT_USAGE;
    if (megabytes < 1 || megabytes > FILE_MEGABYTES_MAX) {
        (void)fprintf(stderr, "ringtape export: --file-size: give 1 to %d, megabytes a file\n",
                      FILE_MEGABYTES_MAX);
        return RINGTAPE_EXIT_USAGE;
    }
    export.file_bytes = megabytes << 20;
    exit_code = ringtape_store_open(&export.store, export.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = delta.directory != NULL ? ringtape_export_delta(&delta, &export)
                                        : ringtape_export_run(&export);
    store_close(export.store);
    return ringtape_finish_output(exit_code);
}
