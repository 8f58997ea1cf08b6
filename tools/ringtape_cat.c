// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape cat: the rows of one channel as text, exact: decimals as they are, times with
// nanoseconds. CSV (RFC 4180): an absent value is an empty field, an empty text is "". Depth and
// book have one line a level. JSON: one object a row, decimals and times as strings, levels as an
// array.
//
// --follow: what becomes durable, as it does: the store is looked at every CAT_POLL_NS. SIGINT and
// SIGTERM end it behind a whole line, with exit code 0.
#include "format/ensure.h"
#include "format/store.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_print.h"
#include "tools/ringtape_query.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { OUTPUT_BUFFER_BYTES = 1 << 18 };
// Some 15 system calls a look: below one per cent of a core.
#define CAT_POLL_NS 10000000
#define CAT_LATE_NS 5000000000 // so long after --to rows before it may become durable

struct ringtape_cat {
    struct ringtape_query query;
    const struct channel_schema *schema;
    bool json;
    bool no_header;
    bool follow;
    uint64_t limit;
    uint64_t rows;
    uint64_t damages;
};

static volatile sig_atomic_t ringtape_cat_ending;

// ---- rows ----

static void ringtape_cat_damage(void *context, const struct store_damage *damage)
{
    struct ringtape_cat *cat = context;
    cat->damages++;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

// What this program cannot decode must not look like what was never there.
static void ringtape_cat_newer(struct ringtape_cat *cat, const struct store_chunk *chunk)
{
    if (chunk->unknown_columns == 0 && !chunk->unknown_levels) return;
    cat->damages++;
    for (uint8_t c = 0; c < cat->schema->column_count; c++) {
        if (chunk->unknown_columns >> c & 1)
            (void)ringtape_fail("segment %" PRIu32 ": column %s of %" PRIu32 " rows is coded by a "
                                "newer version; left empty",
                                chunk->segment, cat->schema->columns[c].name, chunk->count);
    }
    if (chunk->unknown_levels)
        (void)ringtape_fail("segment %" PRIu32 ": the levels of %" PRIu32 " rows are coded by a "
                            "newer version; left empty",
                            chunk->segment, chunk->count);
}

static bool ringtape_cat_over(const struct ringtape_cat *cat)
{
    return cat->rows == cat->limit || ringtape_cat_ending != 0 || ferror(stdout);
}

// 1: go on; 0: there are no more now; negative: errno.
static int ringtape_cat_chunk(struct ringtape_cat *cat, struct store_scan *scan,
                              struct ringtape_json *json)
{
    struct store_chunk chunk;
    const int result = store_scan_next(scan, &chunk);
    if (result <= 0) return result;
    ringtape_cat_newer(cat, &chunk);
    for (uint32_t i = 0; i < chunk.count && !ringtape_cat_over(cat); i++) {
        cat->rows++;
        if (cat->json)
            ringtape_print_json(json, &chunk, chunk.index[i]);
        else
            ringtape_print_csv(&chunk, chunk.index[i]);
    }
    return 1;
}

// Whoever reads them sees the rows there are, and then nothing until there are more.
static bool ringtape_cat_wait(const struct ringtape_cat *cat)
{
    const struct timespec pause = {.tv_nsec = CAT_POLL_NS};
    if (!cat->follow || fflush(stdout) != 0) return false;
    if (ringtape_now_ns() - CAT_LATE_NS > cat->query.to) return false;
    (void)nanosleep(&pause, NULL);
    return !ringtape_cat_over(cat);
}

static int ringtape_cat_rows(struct ringtape_cat *cat, struct store_scan *scan)
{
    struct ringtape_json json;
    int result;
    if (!cat->json && !cat->no_header) ringtape_print_csv_header(cat->schema);
    ringtape_json_start(&json, stdout);
    do
        result = ringtape_cat_chunk(cat, scan, &json);
    while (!ringtape_cat_over(cat) && (result > 0 || (result == 0 && ringtape_cat_wait(cat))));
    return result;
}

static int ringtape_cat_scan(struct ringtape_cat *cat, struct store *store)
{
    struct store_query query = store_query_all(cat->schema->channel);
    struct store_scan *scan;
    query.symbols = cat->query.symbols.text;
    query.symbol_count = cat->query.symbols.count;
    query.time_from = cat->query.from;
    query.time_to = cat->query.to;
    query.damage = ringtape_cat_damage;
    query.damage_context = cat;
    if (cat->follow)
        query.follow = cat->query.from == INT64_MIN ? STORE_FOLLOW_NEW : STORE_FOLLOW_ALL;
    int result = store_scan_open(&scan, store, &query);
    if (result < 0) return ringtape_fail("%s: %s", cat->query.store, ringtape_error_text(result));
    result = ringtape_cat_rows(cat, scan);
    store_scan_close(scan);
    if (result == -ESTALE)
        return ringtape_fail("%s: rows were sealed and merged before they were read; start again "
                             "with --from",
                             cat->query.store);
    if (result < 0) return ringtape_fail("%s: %s", cat->query.store, ringtape_error_text(result));
    return cat->damages > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}

// ---- the command ----

static void ringtape_cat_signal(int number)
{
    (void)number;
    ringtape_cat_ending = 1;
}

static void ringtape_cat_listen(void)
{
    struct sigaction action = {.sa_handler = ringtape_cat_signal};
    (void)sigemptyset(&action.sa_mask);
    ensure(sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0);
}

static bool ringtape_cat_parse(struct ringtape_cat *cat, int argc, char **argv, int *exit_code)
{
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(cat->query),
        {.name = "channel", .kind = RINGTAPE_OPTION_LIST, .target = &cat->query.channels,
         .value = "NAME", .required = true,
         .help = "trade, agg_trade, quote, depth, book, ticker, kline, candle,\n"
                 "alert, status, instrument, raw"},
        RINGTAPE_QUERY_SYMBOL(cat->query),
        RINGTAPE_QUERY_FROM(cat->query),
        RINGTAPE_QUERY_TO(cat->query),
        {.name = "follow", .kind = RINGTAPE_OPTION_FLAG, .target = &cat->follow,
         .help = "go on with rows as they become durable, until Ctrl-C or\n"
                 "until --to is over; without --from only those"},
        {.name = "limit", .kind = RINGTAPE_OPTION_COUNT, .target = &cat->limit, .value = "N",
         .help = "at most N rows"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &cat->json,
         .help = "one JSON object a row instead of CSV"},
        {.name = "no-header", .kind = RINGTAPE_OPTION_FLAG, .target = &cat->no_header,
         .help = "CSV without the line of names"},
    };
    const struct ringtape_usage usage = {
        .command = "cat",
        .purpose = "Rows of one channel, also those the daemon wrote a moment ago. Sealed rows "
                   "come\nfirst, day by day and symbol by symbol; within a symbol in order of "
                   "arrival.\nDecimals and times are exact.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), exit_code)) return false;
    *exit_code = RINGTAPE_EXIT_USAGE;
    if (!ringtape_query_check(&cat->query, "cat")) return false;
    if (cat->query.channels.count == 1) return true;
    (void)fprintf(stderr, "ringtape cat: --channel: one channel only, they differ in columns\n");
    return false;
}

int ringtape_cat(int argc, char **argv)
{
    static struct ringtape_cat cat;
    static char buffer[OUTPUT_BUFFER_BYTES];
    struct store *store;
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_query_init(&cat.query);
    cat.limit = UINT64_MAX;
    if (!ringtape_cat_parse(&cat, argc, argv, &exit_code)) return exit_code;
    cat.schema = channel_schema(channel_by_name(cat.query.channels.text[0]));
    ensure(cat.schema != NULL);
    exit_code = ringtape_store_open(&store, cat.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    if (cat.follow) ringtape_cat_listen();
    exit_code = ringtape_cat_scan(&cat, store);
    store_close(store);
    return ringtape_finish_output(exit_code);
}
