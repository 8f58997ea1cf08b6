// SPDX-License-Identifier: GPL-3.0-or-later
//
// Options that go together, and what is told at the end.
#include "tools/ringtape_export_delta.h"

#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_follow.h"
#include "tools/ringtape_table.h"

static bool wrong(const char *what)
{
    (void)fprintf(stderr, "ringtape export: %s\n", what);
    return false;
}

// "20s" in nanoseconds; 0: not a span.
static int64_t span_ns(const char *text)
{
    char past[64];
    int64_t then_ns;
    const int64_t now_ns = ringtape_now_ns();
    const int size = snprintf(past, sizeof past, "-%s", text);
    const bool digit = *text >= '0' && *text <= '9';
    if (!digit || (size_t)size >= sizeof past || !time_text_parse(past, now_ns, &then_ns) ||
        then_ns >= now_ns)
        return 0;
    return now_ns - then_ns;
}

static bool check_again(const struct ringtape_export_delta *options)
{
    int32_t day;
    if (options->again == NULL) return true;
    if (options->directory == NULL || options->follow)
        return wrong("--again goes with --delta, without --follow");
    return catalogue_day_parse(options->again, strlen(options->again), &day) ||
           wrong("--again: write a date: 2024-08-08");
}

bool ringtape_export_delta_check(const struct ringtape_export_delta *options,
                                 const struct ringtape_export *export)
{
    const bool delta = options->directory != NULL;
    if (delta == (export->directory != NULL))
        return wrong("say either --parquet DIR or --delta DIR");
    if (!delta && (options->follow || options->every != NULL || options->compact_files > 0))
        return wrong("--follow, --every and --compact-files go with --delta");
    if (!options->follow && (options->every != NULL || options->compact_files > 0))
        return wrong("--every and --compact-files go with --follow");
    if (options->every != NULL && span_ns(options->every) == 0)
        return wrong("--every: write a time span: 20s, 5m");
    if (options->compact_files > RINGTAPE_DELTA_FILES_MAX / 2)
        return wrong("--compact-files: at most 2048");
    // A table knows what it has by tapes: a part of their rows could never be completed.
    const struct ringtape_query *query = &export->query;
    if (delta && (query->symbols.count > 0 || query->from != INT64_MIN || query->to != INT64_MAX))
        return wrong("a Delta table holds all rows of a channel: --symbol, --from and --to go with "
                     "--parquet");
    return check_again(options);
}

static void tell_unsealed(const struct ringtape_export *export)
{
    char count[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    uint32_t tapes;
    (void)store_tapes(export->store, &tapes);
    if (tapes > 0)
        (void)ringtape_fail("note: %s not sealed yet, the rows are not in the tables; 'ringtape "
                            "seal --store %s' seals",
                            ringtape_table_count(count, tapes, "tape"), export->query.store);
}

int ringtape_export_delta(const struct ringtape_export_delta *options,
                          struct ringtape_export *export)
{
    static struct ringtape_delta delta; // large
    export->directory = options->directory;
    delta.lines = options->follow;
    delta.again = options->again != NULL &&
                  catalogue_day_parse(options->again, strlen(options->again), &delta.again_day);
    int exit_code = ringtape_delta_open(&delta, export);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    if (options->follow) {
        const int64_t every_ns = options->every ? span_ns(options->every) : 0;
        const uint32_t files = (uint32_t)options->compact_files;
        exit_code = ringtape_follow(&delta, every_ns > 0 ? every_ns : RINGTAPE_FOLLOW_EVERY_NS,
                                    files > 0 ? files : RINGTAPE_DELTA_COMPACT_FILES);
    } else {
        const int error = ringtape_delta_seal(export->store, NULL);
        exit_code = error == 0 ? ringtape_delta_export(&delta, NULL)
                               : ringtape_fail("%s: %s", export->query.store,
                                               ringtape_error_text(error));
    }
    ringtape_delta_close(&delta);
    exit_code = ringtape_delta_sum(&delta, exit_code);
    if (!options->follow && exit_code != RINGTAPE_EXIT_IO) tell_unsealed(export);
    return exit_code;
}
