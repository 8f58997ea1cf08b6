// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape backfill: history from archives and by REST into a store; docs/backfill.md. Here: the
// command line, what is checked before anything is done, and what is to be done.
#include "tools/ringtape_backfill.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange/binance_archive.h"
#include "format/day.h"
#include "format/ensure.h"
#include "tools/ringtape_command.h"

#define BULK_URL "https://data.binance.vision"

static volatile sig_atomic_t stop_wanted;

static void stop_asked(int number)
{
    (void)number;
    stop_wanted = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = stop_asked};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

// ---- checks ----

static bool wrong(const char *text, const char *value)
{
    (void)ringtape_fail("backfill: %s '%s' (see 'ringtape backfill --help')", text, value);
    return false;
}

enum backfill_venue backfill_venue_of(const struct backfill *run)
{
    return run->upbit ? BACKFILL_UPBIT : run->usdm ? BACKFILL_USDM : BACKFILL_BINANCE;
}

static bool check_exchange(struct backfill *run)
{
    run->usdm = strcmp(run->exchange, "binance-usdm") == 0;
    run->upbit = strcmp(run->exchange, "upbit") == 0;
    if (!run->usdm && !run->upbit && strcmp(run->exchange, "binance") != 0)
        return wrong("--exchange: binance, binance-usdm or upbit expected, found", run->exchange);
    if (run->source == NULL) run->source = run->upbit ? "rest" : "bulk";
    if (run->upbit && strcmp(run->source, "rest") != 0)
        return wrong("--source: Upbit has no archives, rest expected, found", run->source);
    const bool rest = strcmp(run->source, "rest") == 0;
    if (strstr(run->source, "://") != NULL)
        return wrong("--source: bulk, rest or a folder expected; --base-url names another host:",
                     run->source);
    // Archives do not list what they have; their mirrors are taken to answer for the exchange.
    const char *rest_url = backfill_rest_url(backfill_venue_of(run));
    run->list_url = run->base_url != NULL ? run->base_url : rest_url;
    if (run->base_url == NULL) run->base_url = rest ? rest_url : BULK_URL;
    return true;
}

// Minutes of Upbit's candles.
static bool upbit_interval(const char *interval)
{
    static const int64_t minutes[] = {1, 3, 5, 10, 15, 30, 60, 240};
    const int64_t interval_ns = binance_archive_interval_ns(interval);
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++)
        if (interval_ns == minutes[i] * 60000000000ll) return true;
    return false;
}

static bool check_channel(struct backfill *run, const char *channel)
{
    run->channel = channel_by_name(channel);
    if (run->channel != CHANNEL_TRADE && run->channel != CHANNEL_AGG_TRADE &&
        run->channel != CHANNEL_KLINE)
        return wrong("--channel: trade, agg_trade or kline expected, found", channel);
    if (run->upbit && run->channel == CHANNEL_AGG_TRADE)
        return wrong("--channel: Upbit has trade and kline, found", channel);
    if (run->upbit && run->channel == CHANNEL_KLINE && !upbit_interval(run->interval))
        return wrong("--interval: 1m 3m 5m 10m 15m 30m 1h 4h expected, found", run->interval);
    if (run->channel == CHANNEL_KLINE && strcmp(run->interval, "1mo") != 0 &&
        binance_archive_interval_ns(run->interval) == 0)
        return wrong("--interval: 1s, 1m, 1h, 1d, 1mo and so on expected, found", run->interval);
    return true;
}

static bool check_times(struct backfill *run, int64_t from_ns, int64_t to_ns)
{
    const int64_t now_ns = ringtape_now_ns();
    if (from_ns >= to_ns) {
        (void)ringtape_fail("backfill: --to must be later than --from");
        return false;
    }
    if (to_ns > now_ns) {
        (void)ringtape_fail("backfill: %s lies in the future; --to now is the latest",
                            from_ns > now_ns ? "--from" : "--to");
        return false;
    }
    run->to_ns = to_ns;
    run->day_from = catalogue_day_of(from_ns);
    run->day_to = catalogue_day_of(to_ns - 1) + 1;
    return true;
}

// Part of paths and URLs: what has a meaning there is in no symbol, nor is the colon of other
// commands' EXCHANGE:NAME. Letters may be of any language.
static bool symbol_usable(const char *symbol, size_t size)
{
    if (size == 0 || size > BACKFILL_SYMBOL_TEXT_MAX || symbol[0] == '.') return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)symbol[i] <= ' ' || strchr("/\\:?#%&=\"'<>*\x7f", symbol[i]) != NULL)
            return false;
    return true;
}

static bool check_symbols(const struct backfill *run)
{
    for (uint32_t i = 0; i < run->symbols.count; i++) {
        const char *symbol = run->symbols.text[i];
        if (strcmp(symbol, "all") == 0 && run->symbols.count > 1)
            return wrong("--symbols: alone, or not at all:", symbol);
        if (!symbol_usable(symbol, strlen(symbol)))
            return wrong("--symbols: the exchange's spelling expected, BTCUSDT, found", symbol);
    }
    return true;
}

// ---- the plan ----

static int add_symbol(struct backfill *run, const char *symbol)
{
    if (!backfill_plan_add(&run->plan, symbol, run->day_from, run->day_to,
                           strcmp(run->source, "rest") != 0))
        return ringtape_fail("more than %d files", BACKFILL_ITEMS_MAX);
    return RINGTAPE_EXIT_OK;
}

static bool folder_has(const struct backfill *run, const char *symbol)
{
    for (uint32_t i = 0; i < run->there_symbol_count; i++)
        if (strcmp(run->there_symbols[i], symbol) == 0) return true;
    return false;
}

static bool is_all(const struct backfill *run)
{
    return run->symbols.count == 1 && strcmp(run->symbols.text[0], "all") == 0;
}

static bool is_folder(const struct backfill *run)
{
    return strcmp(run->source, "bulk") != 0 && strcmp(run->source, "rest") != 0;
}

// Before a store is made: a mistyped name leaves nothing behind.
static int check_folder(struct backfill *run)
{
    const struct backfill_source_options options = {.place = run->source, .plan = &run->plan};
    struct backfill_source *source = backfill_source_open(&options);
    if (source == NULL) return RINGTAPE_EXIT_IO;
    run->there_symbols = backfill_source_symbols(source, &run->there_symbol_count);
    backfill_source_close(source);
    if (run->there_symbol_count == 0)
        return ringtape_fail("%s: no archives of this channel there", run->source);
    for (uint32_t i = 0; !is_all(run) && i < run->symbols.count; i++) {
        if (folder_has(run, run->symbols.text[i])) continue;
        (void)wrong("--symbols: the folder has no file of", run->symbols.text[i]);
        return RINGTAPE_EXIT_USAGE;
    }
    return RINGTAPE_EXIT_OK;
}

static int plan_folder(struct backfill *run)
{
    int result = RINGTAPE_EXIT_OK;
    const bool all = is_all(run);
    const uint32_t count = all ? run->there_symbol_count : run->symbols.count;
    for (uint32_t i = 0; i < count && result == 0; i++)
        result = add_symbol(run, all ? run->there_symbols[i] : run->symbols.text[i]);
    return result;
}

static void take_listed(void *context, const struct event *event, const char *symbol,
                        uint32_t size, bool trading)
{
    struct backfill *run = context;
    (void)event;
    (void)trading; // what is traded no more has a past, too
    if (!symbol_usable(symbol, size)) return;
    char **grown = realloc(run->there_symbols, (run->there_symbol_count + 1u) * sizeof *grown);
    ensure(grown != NULL);
    run->there_symbols = grown;
    grown[run->there_symbol_count] = strndup(symbol, size);
    ensure(grown[run->there_symbol_count++] != NULL);
}

// What the exchange lists, by one request.
static int plan_listed(struct backfill *run)
{
    const struct backfill_rest_options options = {.venue = backfill_venue_of(run),
                                                  .base_url = run->list_url,
                                                  .ca_file = run->ca_file,
                                                  .daemon = run->daemon,
                                                  .stop = run->stop};
    struct backfill_rest *rest = backfill_rest_open(&options);
    if (rest == NULL) return RINGTAPE_EXIT_IO;
    const enum backfill_result listed = backfill_rest_symbols(rest, take_listed, run);
    run->requests += backfill_rest_requests(rest);
    backfill_rest_close(rest);
    if (listed == BACKFILL_STOPPED) return BACKFILL_EXIT_STOPPED;
    if (listed != BACKFILL_DONE) return RINGTAPE_EXIT_IO;
    int result = RINGTAPE_EXIT_OK;
    for (uint32_t i = 0; i < run->there_symbol_count && result == 0; i++)
        result = add_symbol(run, run->there_symbols[i]);
    return result;
}

static int plan_symbols(struct backfill *run)
{
    int result = RINGTAPE_EXIT_OK;
    if (is_folder(run)) return plan_folder(run);
    if (is_all(run)) return plan_listed(run);
    for (uint32_t i = 0; i < run->symbols.count && result == 0; i++)
        result = add_symbol(run, run->symbols.text[i]);
    return result;
}

int backfill_make_plan(struct backfill *run)
{
    const int result = plan_symbols(run);
    if (result != 0 || run->plan.count > 0 || run->channel != CHANNEL_KLINE) return result;
    (void)ringtape_fail("backfill: klines of %s come by whole months: --from and --to must hold "
                        "one", run->interval);
    return RINGTAPE_EXIT_USAGE;
}

// ---- the command ----

static int backfill_run(struct backfill *run)
{
    char catalogue[RINGTAPE_PATH_BYTES_MAX];
    int result = RINGTAPE_EXIT_OK;
    run->plan = (struct backfill_plan){
        .usdm = run->usdm, .channel = run->channel, .interval = run->interval};
    if (is_folder(run)) result = check_folder(run);
    if (result != 0) return result;
    (void)snprintf(catalogue, sizeof catalogue, "%.3900s/catalogue", run->store_path);
    const bool there = access(catalogue, F_OK) == 0;
    if (!run->dry_run && !there) result = backfill_hold_make(run->store_path);
    if (result == 0 && (there || !run->dry_run))
        result = ringtape_store_open(&run->store, run->store_path);
    if (result != 0) return result;
    run->hold = (struct backfill_hold){.lock = -1, .stop = run->stop};
    if (!run->dry_run) result = backfill_hold_open(&run->hold, run->store);
    run->hold.store = run->store;
    if (result == 0)
        result = strcmp(run->source, "rest") == 0 ? backfill_days(run) : backfill_files(run);
    const int closed = run->dry_run ? 0 : backfill_hold_close(&run->hold);
    backfill_plan_free(&run->plan);
    for (uint32_t i = 0; i < run->there_symbol_count; i++) free(run->there_symbols[i]);
    free(run->there_symbols);
    if (run->store != NULL) store_close(run->store);
    return result != 0 ? result : closed;
}

int ringtape_backfill(int argc, char **argv)
{
    static struct backfill run = {.interval = "1m", .stop = &stop_wanted};
    int64_t from_ns = 0, to_ns = 0;
    const char *channel = NULL;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &run.store_path, .value = "DIR",
         .help = "the store: 'store:' of the daemon's configuration", .required = true},
        {.name = "exchange", .kind = RINGTAPE_OPTION_TEXT, .target = &run.exchange,
         .value = "NAME", .help = "binance, binance-usdm, upbit", .required = true},
        {.name = "symbols", .kind = RINGTAPE_OPTION_LIST, .target = &run.symbols,
         .value = "A,B|all",
         .help = "BTCUSDT,ETHUSDT; all: those that a folder has, or that the\nexchange lists",
         .required = true},
        {.name = "channel", .kind = RINGTAPE_OPTION_TEXT, .target = &channel, .value = "NAME",
         .help = "trade, agg_trade or kline", .required = true},
        {.name = "interval", .kind = RINGTAPE_OPTION_TEXT, .target = &run.interval,
         .value = "1m", .help = "of klines"},
        {.name = "from", .kind = RINGTAPE_OPTION_TIME, .target = &from_ns, .value = "TIME",
         .help = "whole UTC days from this one on", .required = true},
        {.name = "to", .kind = RINGTAPE_OPTION_TIME, .target = &to_ns, .value = "TIME",
         .help = "days before this time", .required = true},
        {.name = "source", .kind = RINGTAPE_OPTION_TEXT, .target = &run.source,
         .value = "bulk|rest|DIR",
         .help = "bulk: Binance's archives; rest: by requests (the only one of\nUpbit); or a "
                 "folder laid out like the archives"},
        {.name = "base-url", .kind = RINGTAPE_OPTION_TEXT, .target = &run.base_url,
         .value = "URL", .help = "another host than the exchange's"},
        {.name = "ca-file", .kind = RINGTAPE_OPTION_TEXT, .target = &run.ca_file, .value = "FILE",
         .help = "trust these certificates instead of the system's"},
        {.name = "dry-run", .kind = RINGTAPE_OPTION_FLAG, .target = &run.dry_run,
         .help = "only tell files, bytes, requests and time"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &run.json,
         .help = "one JSON object"},
    };
    const struct ringtape_usage usage = {
        .command = "backfill",
        .purpose = "Brings history into a store, beside a running daemon or without one: each file "
                   "as a whole or\nnot at all, no row twice. Broken off (Ctrl-C: exit code 130) "
                   "and started again it goes on.\nExit code 1: files were refused.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (!check_exchange(&run) || !check_channel(&run, channel) ||
        !check_times(&run, from_ns, to_ns) || !check_symbols(&run))
        return RINGTAPE_EXIT_USAGE;
    catch_signals();
    run.start_ns = ringtape_monotonic_ns();
    ringtape_progress_start(&run.progress, "backfill");
    return ringtape_finish_output(backfill_run(&run));
}
