// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape compact: the many small files of a partition become few sorted ones, in one commit that
// changes no row. The rows are read from the store, which has them in segments: exact by nature,
// and held against what the table says it has. A partition whose rows the store no longer holds
// stays as it is.
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_delta.h"
#include "tools/ringtape_files.h"

static int compact_run(struct ringtape_delta *delta, struct ringtape_export *export)
{
    static const struct ringtape_delta_scope all = {UINT32_MAX, INT32_MIN, INT32_MAX};
    export->file_bytes = RINGTAPE_DELTA_TARGET_BYTES;
    int exit_code = ringtape_delta_open(delta, export);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = ringtape_delta_compact(delta, 1, true, &all, NULL);
    ringtape_delta_close(delta);
    return ringtape_delta_sum(delta, exit_code);
}

int ringtape_compact(int argc, char **argv)
{
    static struct ringtape_export export;
    static struct ringtape_delta delta;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(export.query),
        RINGTAPE_QUERY_CHANNEL(export.query),
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &export.json_wanted,
         .help = "one JSON object instead of lines"},
    };
    const struct ringtape_usage usage = {
        .command = "compact",
        .purpose =
            "Makes few, sorted files of the many small ones in each partition of the Delta tables "
            "in\nDIR. Readers see the same rows before and after. The rows come from the store "
            "that was\nexported; files before stay until 'ringtape vacuum'.",
        .argument = "DIR",
        .argument_target = &export.directory,
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    ringtape_query_init(&export.query);
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (!ringtape_query_check(&export.query, "compact")) return RINGTAPE_EXIT_USAGE;
    exit_code = ringtape_store_open(&export.store, export.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = compact_run(&delta, &export);
    store_close(export.store);
    return ringtape_finish_output(exit_code);
}
