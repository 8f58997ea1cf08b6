// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape: the toolbox beside the daemon. One table of subcommands, one file each.
#include "format/version.h"
#include "tools/ringtape_command.h"
#include <stdio.h>
#include <string.h>

static const struct ringtape_command commands[] = {
    {"ls", "what a store holds: segments, tapes, symbols", ringtape_ls},
    {"inspect", "one segment, tape or index file in detail", ringtape_inspect},
    {"cat", "rows as CSV or JSON lines", ringtape_cat},
    {"book", "the order book of a symbol at a moment", ringtape_book},
    {"verify", "prove that a store is whole", ringtape_verify},
    {"coverage", "what is covered, missing, repaired, proven", ringtape_coverage},
    {"day", "is a UTC day closed", ringtape_day},
    {"candles", "candles made from stored trades", ringtape_candles},
    {"report", "a day or a week: leaders, movers, alerts, coverage", ringtape_report},
    {"replay", "a store as the exchange itself: WebSockets and REST; or to Kafka, a pipe",
     ringtape_replay},
    {"mirror", "how far the mirror to Kafka is, and what it refused", ringtape_mirror},
    {"alerts", "alerts raised again from stored rows", ringtape_alerts},
    {"status", "what the daemon does now: links, holes, latencies, disk, Kafka", ringtape_status},
    {"top", "the same, live on a terminal", ringtape_top},
    {"doctor", "will ringtaped run well here: kernel, clocks, disk, cores", ringtape_doctor},
    {"backfill", "bring history from archives into a store", ringtape_backfill},
    {"recover", "make a good store of a damaged one", ringtape_recover},
    {"seal", "turn tapes into segments now", ringtape_seal},
    {"reload", "the daemon reads its configuration again", ringtape_reload},
    {"export", "Parquet or Delta tables for Spark, DuckDB, Polars, pandas", ringtape_export},
    {"compact", "few sorted files of many small ones in Delta tables", ringtape_compact},
    {"vacuum", "delete files that Delta tables no longer need", ringtape_vacuum},
};

static const char usage[] = "usage: ringtape COMMAND [OPTION...]\n\n";
static const char footer[] =
    "\n'ringtape COMMAND --help' tells more; 'ringtape --version' the version.\n"
    "Exit codes: 0 good, 1 damage or rows left out, 64 wrong command line, 74 input or output "
    "failed.\n";

static int ringtape_help(FILE *out, int exit_code)
{
    (void)fputs(usage, out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    (void)fputs(footer, out);
    return exit_code;
}

int main(int argc, char **argv)
{
    if (argc < 2) return ringtape_help(stderr, RINGTAPE_EXIT_USAGE);
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return ringtape_finish_output(ringtape_help(stdout, RINGTAPE_EXIT_OK));
    if (strcmp(name, "--version") == 0) {
        (void)printf("ringtape %s (%s)\n", RINGTAPE_VERSION, RINGTAPE_COMMIT);
        return ringtape_finish_output(RINGTAPE_EXIT_OK);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argc - 2, argv + 2);
    (void)ringtape_fail("unknown command '%s' (see 'ringtape --help')", name);
    return RINGTAPE_EXIT_USAGE;
}
