// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape cat: the rows of one channel as text, exact: decimals as they are, times with
// nanoseconds. CSV (RFC 4180): an absent value is an empty field, an empty text is "". Depth and
// book have one line a level. JSON: one object a row, decimals and times as strings, levels as an
// array.
#include "format/ensure.h"
#include "format/store.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_print.h"
#include "tools/ringtape_query.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OUTPUT_BUFFER_BYTES = 1 << 18 };

struct ringtape_cat {
    struct ringtape_query query;
    const struct channel_schema *schema;
    bool json;
    bool no_header;
    uint64_t limit;
    uint64_t rows;
    uint64_t damages;
};

// ---- the command ----

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

// 1: go on; 0: the end or the limit; negative: errno.
static int ringtape_cat_chunk(struct ringtape_cat *cat, struct store_scan *scan,
                              struct ringtape_json *json)
{
    struct store_chunk chunk;
    const int result = store_scan_next(scan, &chunk);
    if (result <= 0) return result;
    ringtape_cat_newer(cat, &chunk);
    for (uint32_t i = 0; i < chunk.count; i++) {
        if (cat->rows == cat->limit) return 0;
        cat->rows++;
        if (cat->json)
            ringtape_print_json(json, &chunk, chunk.index[i]);
        else
            ringtape_print_csv(&chunk, chunk.index[i]);
    }
    return !ferror(stdout);
}

static int ringtape_cat_scan(struct ringtape_cat *cat, struct store *store)
{
    struct store_query query = store_query_all(cat->schema->channel);
    struct ringtape_json json;
    struct store_scan *scan;
    query.symbols = cat->query.symbols.text;
    query.symbol_count = cat->query.symbols.count;
    query.time_from = cat->query.from;
    query.time_to = cat->query.to;
    query.damage = ringtape_cat_damage;
    query.damage_context = cat;
    int result = store_scan_open(&scan, store, &query);
    if (result < 0) return ringtape_fail("%s: %s", cat->query.store, ringtape_error_text(result));
    if (!cat->json && !cat->no_header) ringtape_print_csv_header(cat->schema);
    ringtape_json_start(&json, stdout);
    do
        result = ringtape_cat_chunk(cat, scan, &json);
    while (result > 0);
    store_scan_close(scan);
    if (result < 0) return ringtape_fail("%s: %s", cat->query.store, ringtape_error_text(result));
    return cat->damages > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
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
    exit_code = ringtape_cat_scan(&cat, store);
    store_close(store);
    return ringtape_finish_output(exit_code);
}
