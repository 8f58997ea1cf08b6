// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape candles: the candles of stored trades, made by the code that the daemon runs
// (src/derive/candle.h), so that they equal the rows it stored; docs/candles.md.
//
// A UTC day at a time: candles do not cross midnight, and a symbol's rows of a day come in order of
// arrival. First all of trade, then agg_trade, which only counts for minutes without trades.
//
// Memory: the minutes of one day (200 KB a symbol at most) and its candles.
#include "derive/candle.h"
#include "format/ensure.h"
#include "format/store.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_names.h"
#include "tools/ringtape_print.h"
#include "tools/ringtape_query.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_NS (1440 * CANDLE_MINUTE_NS)

enum { CANDLES_OUTPUT_BUFFER_BYTES = 1 << 18, CANDLES_ROWS = 1024, CANDLES_GRACE_MAX_S = 60 };
enum candles_as_of { CANDLES_FIRST, CANDLES_LAST, CANDLES_ALL };

struct ringtape_candles {
    struct ringtape_query query;
    const char *interval;
    const char *as_of_text;
    uint64_t grace_s; // UINT64_MAX: by the exchange
    bool json;
    enum candles_as_of as_of;
    uint32_t minutes;
    struct store *store;
    struct ringtape_names names;
    struct candles candles;
    struct candle *made; // of one day
    size_t made_count;
    size_t made_max;
    uint64_t damages;
    bool out_of_memory;
    struct ringtape_json out;
};

// ---- collecting ----

static bool candles_collect(void *context, const struct candle *candle)
{
    struct ringtape_candles *work = context;
    if (work->made_count == work->made_max) {
        const size_t more = work->made_max == 0 ? 65536 : work->made_max * 2;
        struct candle *grown = realloc(work->made, more * sizeof *grown);
        if (grown == NULL) {
            work->out_of_memory = true;
            return true;
        }
        work->made = grown;
        work->made_max = more;
    }
    work->made[work->made_count++] = *candle;
    return true;
}

static void candles_damage(void *context, const struct store_damage *damage)
{
    struct ringtape_candles *work = context;
    work->damages++;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

// The number of a name; on first sight the candles learn how long to wait for late trades.
static int candles_symbol_of(struct ringtape_candles *work, const struct event_text *name,
                             uint32_t *symbol)
{
    char exchange[SEGMENT_SYMBOL_BYTES_MAX + 1];
    const uint8_t *colon = memchr(name->bytes, ':', name->size);
    const size_t size = colon == NULL ? 0 : (size_t)(colon - name->bytes);
    memcpy(exchange, name->bytes, size);
    exchange[size] = '\0';
    const int error = ringtape_names_add(&work->names, name, symbol);
    if (error == 0)
        candles_symbol(&work->candles, *symbol,
                       work->grace_s != UINT64_MAX ? (int64_t)work->grace_s * CANDLE_SECOND_NS
                                                   : candle_grace_ns(exchange));
    return error;
}

static int candles_chunk(struct ringtape_candles *work, const struct store_chunk *chunk)
{
    uint32_t last = SYMBOL_NONE;
    uint32_t symbol = SYMBOL_NONE;
    for (uint32_t i = 0; i < chunk->count; i++) {
        struct event event;
        rows_get(chunk->rows, chunk->index[i], &event, NULL);
        if (event.symbol == SYMBOL_NONE) continue;
        if (event.symbol != last) {
            const int error = candles_symbol_of(work, &chunk->symbols[event.symbol], &symbol);
            if (error != 0) return error;
            last = event.symbol;
        }
        event.symbol = symbol;
        candles_event(&work->candles, &event);
    }
    return 0;
}

static int candles_scan(struct ringtape_candles *work, enum channel channel, int64_t from,
                        int64_t to)
{
    struct store_query query = store_query_all(channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.symbols = work->query.symbols.text;
    query.symbol_count = work->query.symbols.count;
    query.time_from = from;
    query.time_to = to;
    query.damage = candles_damage;
    query.damage_context = work;
    int result = store_scan_open(&scan, work->store, &query);
    if (result < 0) return result;
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        result = candles_chunk(work, &chunk);
        if (result < 0) break;
    }
    store_scan_close(scan);
    return result;
}

// ---- printing ----

static int candles_order(const void *a, const void *b)
{
    const struct candle *one = a;
    const struct candle *two = b;
    if (one->symbol != two->symbol) return one->symbol < two->symbol ? -1 : 1;
    if (one->open_time_ns != two->open_time_ns)
        return one->open_time_ns < two->open_time_ns ? -1 : 1;
    return (one->revision > two->revision) - (one->revision < two->revision);
}

static bool candles_wanted(const struct ringtape_candles *work, size_t at)
{
    const struct candle *candle = &work->made[at];
    if (candle->open_time_ns < work->query.from || candle->open_time_ns >= work->query.to)
        return false;
    if (work->as_of == CANDLES_ALL) return true;
    if (work->as_of == CANDLES_FIRST) return candle->revision == 0;
    return at + 1 == work->made_count || candle[1].symbol != candle->symbol ||
           candle[1].open_time_ns != candle->open_time_ns;
}

static void candles_print(struct ringtape_candles *work, struct rows *rows)
{
    const struct store_chunk chunk = {.rows = rows,
                                      .symbols = work->names.texts,
                                      .symbol_count = work->names.count};
    for (uint32_t i = 0; i < rows->count; i++) {
        if (work->json)
            ringtape_print_json(&work->out, &chunk, i);
        else
            ringtape_print_csv(&chunk, i);
    }
    rows_clear(rows);
}

static void candles_print_all(struct ringtape_candles *work, struct rows *rows)
{
    qsort(work->made, work->made_count, sizeof *work->made, candles_order);
    for (size_t i = 0; i < work->made_count; i++) {
        char text[CANDLE_TEXT_BYTES];
        struct event event;
        if (!candles_wanted(work, i)) continue;
        if (!candle_row(&work->made[i], text, &event)) {
            work->damages++;
            (void)ringtape_fail("%.*s: a candle's sums do not fit a row; left out",
                                (int)work->names.texts[work->made[i].symbol].size,
                                (const char *)work->names.texts[work->made[i].symbol].bytes);
            continue;
        }
        if (!rows_append(rows, &event)) {
            candles_print(work, rows);
            ensure(rows_append(rows, &event));
        }
    }
    candles_print(work, rows);
}

// ---- days ----

static int candles_day(struct ringtape_candles *work, int64_t from, int64_t to, struct rows *rows)
{
    const struct candles_options options = {.symbols_max = RINGTAPE_NAMES_MAX,
                                            .ring = CANDLE_RING_DAY,
                                            .interval_count = 1,
                                            .minutes = {work->minutes},
                                            .issue = candles_collect,
                                            .context = work};
    int result = candles_open(&work->candles, &options);
    if (result != 0) return result;
    work->made_count = 0;
    result = candles_scan(work, CHANNEL_TRADE, from, to);
    if (result == 0) result = candles_scan(work, CHANNEL_AGG_TRADE, from, to);
    candles_finish(&work->candles);
    work->damages += work->candles.counters.unfit;
    candles_close(&work->candles);
    if (result == 0 && work->out_of_memory) result = -ENOMEM;
    if (result == 0) candles_print_all(work, rows);
    return result;
}

// The times of what there is, as the query asks for it.
static int candles_span(struct ringtape_candles *work, enum channel channel, int64_t *from,
                        int64_t *to)
{
    struct store_query query = store_query_all(channel);
    struct store_symbol *symbols;
    uint32_t count;
    query.symbols = work->query.symbols.text;
    query.symbol_count = work->query.symbols.count;
    query.damage = candles_damage;
    query.damage_context = work;
    const int error = store_symbols(work->store, &query, &symbols, &count);
    if (error != 0) return error;
    for (uint32_t i = 0; i < count; i++) {
        if (symbols[i].time_min < *from) *from = symbols[i].time_min;
        if (symbols[i].time_max > *to) *to = symbols[i].time_max;
    }
    free(symbols);
    return 0;
}

static int64_t candles_floor(int64_t time_ns, int64_t length_ns)
{
    int64_t rest = time_ns % length_ns;
    if (rest < 0) rest += length_ns;
    return time_ns - rest;
}

static int candles_days(struct ringtape_candles *work, struct rows *rows)
{
    const int64_t length_ns = work->minutes * CANDLE_MINUTE_NS;
    int64_t first = INT64_MAX;
    int64_t last = INT64_MIN;
    int result = candles_span(work, CHANNEL_TRADE, &first, &last);
    if (result == 0) result = candles_span(work, CHANNEL_AGG_TRADE, &first, &last);
    work->damages = 0; // the scans tell it again
    if (result != 0 || first > last) return result;
    if (first < work->query.from) first = work->query.from;
    if (last >= work->query.to) last = work->query.to - 1;
    first = candles_floor(first, length_ns);
    last = candles_floor(last, length_ns) + length_ns;
    for (int64_t from = first; from < last && result == 0;) {
        int64_t to = candles_floor(from, DAY_NS) + DAY_NS;
        if (to > last) to = last;
        result = candles_day(work, from, to, rows);
        from = to;
    }
    return result;
}

// ---- the command ----

static bool candles_mistake(const char *text)
{
    (void)fprintf(stderr, "ringtape candles: %s\n", text);
    return false;
}

static bool candles_check(struct ringtape_candles *work)
{
    static const char *const names[] = {"first", "last", "all"};
    bool known = false;
    for (int i = 0; i < 3; i++) {
        if (strcmp(work->as_of_text, names[i]) != 0) continue;
        work->as_of = (enum candles_as_of)i;
        known = true;
    }
    if (!known) return candles_mistake("--as-of: expected first, last or all");
    work->minutes = candle_interval_minutes(work->interval, strlen(work->interval));
    if (work->minutes == 0)
        return candles_mistake("--interval: expected whole minutes that divide a day, 1h at most: "
                               "1m, 5m, 15m, 1h");
    if (work->grace_s != UINT64_MAX && work->grace_s > CANDLES_GRACE_MAX_S)
        return candles_mistake("--grace: expected seconds, 60 at most");
    return true;
}

static bool candles_parse(struct ringtape_candles *work, int argc, char **argv, int *exit_code)
{
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(work->query),
        {.name = "interval", .kind = RINGTAPE_OPTION_TEXT, .target = &work->interval,
         .value = "LENGTH", .help = "1m (the default), 5m, 15m, 1h ..."},
        RINGTAPE_QUERY_SYMBOL(work->query),
        RINGTAPE_QUERY_FROM(work->query),
        RINGTAPE_QUERY_TO(work->query),
        {.name = "as-of", .kind = RINGTAPE_OPTION_TEXT, .target = &work->as_of_text,
         .value = "WHEN",
         .help = "first: as issued at first; last (the default): as known now;\n"
                 "all: every revision"},
        {.name = "grace", .kind = RINGTAPE_OPTION_COUNT, .target = &work->grace_s,
         .value = "SECONDS", .help = "'candles: grace:' of the recording, where it was set"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &work->json,
         .help = "one JSON object a row instead of CSV"},
    };
    const struct ringtape_usage usage = {
        .command = "candles",
        .purpose = "Candles made from the stored trades, by the same code and so with the same "
                   "digits as\nthose the daemon stored ('ringtape cat --channel candle'). Day by "
                   "day, sorted by\nsymbol and time; the columns are those of the channel.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), exit_code)) return false;
    *exit_code = RINGTAPE_EXIT_USAGE;
    return ringtape_query_check(&work->query, "candles") && candles_check(work);
}

static int candles_run(struct ringtape_candles *work)
{
    const struct channel_schema *schema = channel_schema(CHANNEL_CANDLE);
    const struct rows_limits limits = {.rows = CANDLES_ROWS,
                                       .text_bytes = CANDLES_ROWS * CANDLE_TEXT_BYTES};
    const size_t bytes = (rows_memory_bytes(schema, &limits) + 63) / 64 * 64;
    struct rows rows;
    void *memory = aligned_alloc(64, bytes);
    int result = memory == NULL ? -ENOMEM : ringtape_names_open(&work->names);
    if (result == 0) {
        rows_init(&rows, schema, &limits, memory);
        ringtape_json_start(&work->out, stdout);
        if (!work->json) ringtape_print_csv_header(schema);
        result = candles_days(work, &rows);
        ringtape_names_close(&work->names);
    }
    free(memory);
    free(work->made);
    if (result < 0) return ringtape_fail("%s: %s", work->query.store, ringtape_error_text(result));
    return work->damages > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}

int ringtape_candles(int argc, char **argv)
{
    static struct ringtape_candles work;
    static char buffer[CANDLES_OUTPUT_BUFFER_BYTES];
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_query_init(&work.query);
    work.interval = "1m";
    work.as_of_text = "last";
    work.grace_s = UINT64_MAX;
    if (!candles_parse(&work, argc, argv, &exit_code)) return exit_code;
    exit_code = ringtape_store_open(&work.store, work.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    exit_code = candles_run(&work);
    store_close(work.store);
    return ringtape_finish_output(exit_code);
}
