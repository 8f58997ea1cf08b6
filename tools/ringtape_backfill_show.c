// SPDX-License-Identifier: GPL-3.0-or-later
//
// The bar, and what was done: a line for what needs attention, one for all.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/binance_archive.h"
#include "format/catalogue.h"
#include "format/ensure.h"
#include "tools/ringtape_backfill.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_json.h"

enum {
    BAR_PARTS = 1000,
    // For the time of a dry run: what a core converts, and a line brings.
    ROWS_PER_SECOND = 2000000,
    BYTES_PER_ROW = 15,
    BYTES_PER_SECOND = 20000000,
    REQUESTS_PER_SECOND = 5, // an answer takes a while; budgets allow two to eight
    HOURS_PER_DAY = 24,      // Upbit's trades are asked for by hours
};
#define DAY_NS INT64_C(86400000000000)

void backfill_show_progress(struct backfill *run, uint64_t taken)
{
    char name[BACKFILL_NAME_BYTES_MAX] = "";
    if (!run->progress.terminal || run->plan.count == 0) return;
    const bool any = run->at < run->plan.count;
    const struct backfill_item *item = any ? &run->plan.items[run->at] : NULL;
    const int64_t spent_ns = ringtape_monotonic_ns() - run->start_ns;
    const uint64_t rate = (uint64_t)((unsigned __int128)run->rows_read * 1000000000 /
                                     (uint64_t)(spent_ns > 0 ? spent_ns : 1));
    if (any) backfill_item_name(&run->plan, item, name);
    (void)snprintf(run->label, sizeof run->label, "%.60s, %u of %u, %" PRIu64 ".%02" PRIu64 " M/s",
                   name, run->at + (any ? 1 : 0), run->plan.count, rate / 1000000,
                   rate % 1000000 / 10000);
    uint64_t part = 0;
    if (any && item->bytes > 0)
        part = (taken > 0 ? BAR_PARTS / 2 : 0) +
               (taken > 0 ? taken : item->taken) * (BAR_PARTS / 2) / item->bytes;
    run->progress.what = run->label;
    ringtape_progress_show(&run->progress, (uint64_t)run->at * BAR_PARTS + part,
                           (uint64_t)run->plan.count * BAR_PARTS);
}

// ---- sums ----

struct sums {
    uint64_t stored, there, missing, refused, wanted; // files
    uint64_t rows_stored, rows_known, rows_left, gaps, bytes;
};

static struct sums sum_up(const struct backfill *run)
{
    struct sums sums = {0};
    for (uint32_t i = 0; i < run->plan.count; i++) {
        const struct backfill_item *item = &run->plan.items[i];
        sums.stored += item->state == BACKFILL_ITEM_STORED;
        sums.there += item->state == BACKFILL_ITEM_THERE;
        sums.missing += item->state == BACKFILL_ITEM_MISSING;
        sums.refused += item->state == BACKFILL_ITEM_REFUSED;
        const bool ready = item->state == BACKFILL_ITEM_READY;
        sums.wanted += ready;
        sums.bytes += ready ? item->bytes : 0;
        if (item->state != BACKFILL_ITEM_STORED) continue;
        sums.rows_stored += item->rows_stored;
        sums.rows_known += item->rows_known;
        sums.rows_left += item->rows_left;
        sums.gaps += item->gaps;
    }
    return sums;
}

// ---- text ----

// Days that follow one another are one line.
static void print_missing(const struct backfill *run)
{
    uint32_t next;
    for (uint32_t i = 0; i < run->plan.count; i = next) {
        const struct backfill_item *item = &run->plan.items[i];
        int32_t end = item->day + item->days;
        char from[11], to[11];
        next = i + 1;
        if (item->state != BACKFILL_ITEM_MISSING) continue;
        for (; next < run->plan.count; next++) {
            const struct backfill_item *more = &run->plan.items[next];
            if (more->state != BACKFILL_ITEM_MISSING || strcmp(more->symbol, item->symbol) != 0)
                break;
            end = more->day + more->days;
        }
        catalogue_day_text(item->day, from);
        catalogue_day_text(end - 1, to);
        (void)printf("missing %s:%s %s %s%s%s, %d days\n", run->exchange, item->symbol,
                     channel_schema(run->channel)->name, from, end - item->day > 1 ? " to " : "",
                     end - item->day > 1 ? to : "", end - item->day);
    }
}

static bool by_rest(const struct backfill *run)
{
    return strcmp(run->source, "rest") == 0;
}

// A day by REST: klines are told by pages; of trades there is a question about the first id, and a
// page at least.
static uint64_t pages_of(const struct backfill *run)
{
    const uint64_t page = run->upbit ? BACKFILL_REST_CANDLES_PAGE : BACKFILL_REST_KLINES_PAGE;
    const int64_t interval_ns = binance_archive_interval_ns(run->interval);
    if (run->channel != CHANNEL_KLINE) return run->upbit ? HOURS_PER_DAY : 2;
    const uint64_t klines = interval_ns > 0 ? (uint64_t)(DAY_NS / interval_ns) : 1;
    return klines > page ? (klines + page - 1) / page : 1;
}

// Of a dry run: a checksum and a zip each.
static uint64_t requests_of(const struct backfill *run, const struct sums *sums)
{
    const bool bulk = strcmp(run->source, "bulk") == 0;
    if (by_rest(run)) return sums->wanted * pages_of(run);
    return bulk ? sums->wanted * 2 + sums->there + sums->missing : 0;
}

static uint64_t seconds_of(const struct backfill *run, const struct sums *sums)
{
    const bool local = strcmp(run->source, "bulk") != 0;
    if (by_rest(run)) return requests_of(run, sums) / REQUESTS_PER_SECOND + 1;
    const uint64_t convert = sums->bytes / BYTES_PER_ROW / ROWS_PER_SECOND;
    const uint64_t fetch = local ? 0 : sums->bytes / BYTES_PER_SECOND;
    return (convert > fetch ? convert : fetch) + 1;
}

static void print_dry(const struct backfill *run, const struct sums *sums)
{
    char relative[BACKFILL_RELATIVE_BYTES_MAX], name[BACKFILL_NAME_BYTES_MAX];
    for (uint32_t i = 0; i < run->plan.count; i++) {
        const struct backfill_item *item = &run->plan.items[i];
        if (item->state != BACKFILL_ITEM_READY) continue;
        if (by_rest(run)) {
            backfill_item_name(&run->plan, item, name);
            (void)printf("%12s %s\n", "by REST", name);
            continue;
        }
        backfill_item_path(&run->plan, item, relative);
        (void)printf("%12" PRIu64 " %s\n", item->bytes, relative);
    }
    (void)printf("%" PRIu64 " files, %" PRIu64 " bytes, %" PRIu64 " requests%s, %s %" PRIu64
                 " s; %" PRIu64 " there already, %" PRIu64 " missing, %" PRIu64 " refused\n",
                 sums->wanted, sums->bytes, requests_of(run, sums), by_rest(run) ? " at least" : "",
                 by_rest(run) ? "at least" : "about", seconds_of(run, sums), sums->there,
                 sums->missing, sums->refused);
}

static void print_text(const struct backfill *run, const struct sums *sums, int exit_code)
{
    print_missing(run);
    for (uint32_t i = 0; i < run->plan.count; i++) {
        const struct backfill_item *item = &run->plan.items[i];
        if (item->state == BACKFILL_ITEM_REFUSED && item->message != NULL)
            (void)ringtape_fail("refused: %s", item->message);
    }
    if (run->dry_run) {
        print_dry(run, sums);
        return;
    }
    (void)printf("%" PRIu64 " files, %" PRIu64 " rows stored", sums->stored, sums->rows_stored);
    if (sums->rows_known > 0) (void)printf(", %" PRIu64 " stored before", sums->rows_known);
    if (sums->rows_left > 0) (void)printf(", %" PRIu64 " left to the daemon", sums->rows_left);
    if (sums->gaps > 0) (void)printf(", %" PRIu64 " gaps", sums->gaps);
    if (sums->there > 0) (void)printf("; %" PRIu64 " files there already", sums->there);
    if (sums->refused > 0) (void)printf("; %" PRIu64 " files refused", sums->refused);
    (void)printf("%s\n", exit_code == BACKFILL_EXIT_STOPPED
                             ? "; stopped: the same command goes on from here"
                             : "");
}

// A symbol that was named and of which there is nothing at all is rather mistyped than silent.
static uint32_t tell_unknown(const struct backfill *run)
{
    uint32_t unknown = 0;
    for (uint32_t s = 0; s < run->symbols.count; s++) {
        const char *symbol = run->symbols.text[s];
        uint32_t items = 0, missing = 0;
        for (uint32_t i = 0; i < run->plan.count; i++) {
            const struct backfill_item *item = &run->plan.items[i];
            if (strcmp(item->symbol, symbol) != 0) continue;
            items++;
            missing += item->state == BACKFILL_ITEM_MISSING;
        }
        if (items == 0 || missing < items) continue;
        unknown++;
        (void)ringtape_fail("nothing of %s:%s in these days at %s: is it the exchange's spelling, "
                            "and was it traded then?",
                            run->exchange, symbol,
                            strcmp(run->source, "bulk") == 0 ? run->base_url : run->source);
    }
    return unknown;
}

// ---- JSON ----

static const char *state_name(enum backfill_item_state state)
{
    switch (state) {
    case BACKFILL_ITEM_WANTED:
    case BACKFILL_ITEM_KNOWN:
    case BACKFILL_ITEM_READY: return "wanted";
    case BACKFILL_ITEM_MISSING: return "missing";
    case BACKFILL_ITEM_REFUSED: return "refused";
    case BACKFILL_ITEM_THERE: return "there";
    case BACKFILL_ITEM_STORED: return "stored";
    }
    return "wanted";
}

static void json_item(struct ringtape_json *json, const struct backfill *run,
                      const struct backfill_item *item)
{
    char name[BACKFILL_NAME_BYTES_MAX];
    backfill_item_name(&run->plan, item, name);
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "name", name);
    ringtape_json_text(json, "state", state_name(item->state));
    ringtape_json_count(json, "bytes", item->bytes);
    ringtape_json_count(json, "rows_read", item->rows_read);
    ringtape_json_count(json, "rows_stored", item->rows_stored);
    ringtape_json_count(json, "rows_stored_before", item->rows_known);
    ringtape_json_count(json, "rows_left_to_daemon", item->rows_left);
    ringtape_json_count(json, "gaps", item->gaps);
    if (item->message != NULL) ringtape_json_text(json, "message", item->message);
    ringtape_json_object_end(json);
}

static void print_json(const struct backfill *run, const struct sums *sums, int exit_code)
{
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    ringtape_json_text(&json, "exchange", run->exchange);
    ringtape_json_text(&json, "channel", channel_schema(run->channel)->name);
    ringtape_json_bool(&json, "dry_run", run->dry_run);
    ringtape_json_bool(&json, "stopped", exit_code == BACKFILL_EXIT_STOPPED);
    ringtape_json_count(&json, "rows_stored", sums->rows_stored);
    ringtape_json_count(&json, "rows_stored_before", sums->rows_known);
    ringtape_json_count(&json, "rows_left_to_daemon", sums->rows_left);
    ringtape_json_count(&json, "bytes", sums->bytes);
    ringtape_json_count(&json, "seconds", seconds_of(run, sums));
    ringtape_json_count(&json, "requests",
                        run->dry_run ? requests_of(run, sums) : run->requests);
    ringtape_json_array(&json, "files");
    for (uint32_t i = 0; i < run->plan.count; i++) json_item(&json, run, &run->plan.items[i]);
    ringtape_json_array_end(&json);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}

int backfill_show(struct backfill *run, int exit_code)
{
    const struct sums sums = sum_up(run);
    ensure(exit_code == RINGTAPE_EXIT_OK || exit_code == BACKFILL_EXIT_STOPPED);
    if (run->json)
        print_json(run, &sums, exit_code);
    else
        print_text(run, &sums, exit_code);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    const bool whole = tell_unknown(run) == 0 && sums.refused == 0;
    return whole ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND;
}
