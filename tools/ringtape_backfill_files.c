// SPDX-License-Identifier: GPL-3.0-or-later
//
// Item by item: checksum → known already? → zip → converted and handed over. A recorder that is
// started meanwhile makes handovers stale: then the run goes through the plan once more.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/binance_archive.h"
#include "format/day.h"
#include "format/ensure.h"
#include "tools/ringtape_backfill.h"
#include "tools/ringtape_command.h"

enum { PASSES_MAX = 4, DETAIL_SUM_DIGITS = 16 };

static void detail_of(const struct backfill *run, const struct backfill_item *item,
                      char out[BACKFILL_DETAIL_BYTES_MAX + 1])
{
    char name[BACKFILL_NAME_BYTES_MAX];
    backfill_item_name(&run->plan, item, name);
    (void)snprintf(out, BACKFILL_DETAIL_BYTES_MAX + 1, "%s.zip sha256:%.*s", name,
                   DETAIL_SUM_DIGITS, item->sum);
}

struct backfill_key backfill_key_of(const struct backfill *run, const char *symbol)
{
    return (struct backfill_key){.symbol = symbol,
                                 .channel = run->channel,
                                 .interval = run->interval,
                                 .times = run->upbit && run->channel == CHANNEL_TRADE,
                                 .interval_ns = run->channel == CHANNEL_KLINE
                                                    ? binance_archive_interval_ns(run->interval)
                                                    : 0};
}

void backfill_full_symbol(const struct backfill *run, const struct backfill_item *item,
                          char out[BACKFILL_SYMBOL_BYTES_MAX + 1])
{
    const int size = snprintf(out, BACKFILL_SYMBOL_BYTES_MAX + 1, "%s:%s", run->exchange,
                              item->symbol);
    ensure(size > 0 && size <= BACKFILL_SYMBOL_BYTES_MAX);
}

static bool is_there(void *context, const struct backfill_item *item)
{
    const struct backfill *run = context;
    char detail[BACKFILL_DETAIL_BYTES_MAX + 1], symbol[BACKFILL_SYMBOL_BYTES_MAX + 1];
    detail_of(run, item, detail);
    backfill_full_symbol(run, item, symbol);
    const struct backfill_key key = backfill_key_of(run, symbol);
    return backfill_known_has(&run->known, &key, detail);
}

static void tick(void *context)
{
    struct backfill *run = context;
    backfill_show_progress(run, 0);
}

static void convert_tick(void *context, uint64_t taken)
{
    struct backfill *run = context;
    backfill_source_pump(run->from);
    backfill_show_progress(run, taken);
}

// ---- an item ----

// Another symbol: what of it is a daemon's.
int backfill_begin_key(struct backfill *run, const struct backfill_item *item)
{
    char symbol[BACKFILL_SYMBOL_BYTES_MAX + 1];
    backfill_full_symbol(run, item, symbol);
    if (strcmp(symbol, run->symbol) == 0) return RINGTAPE_EXIT_OK;
    memcpy(run->symbol, symbol, sizeof symbol);
    backfill_spans_free(&run->theirs);
    backfill_spans_free(&run->handed);
    const struct backfill_key key = backfill_key_of(run, run->symbol);
    if (run->daemon && !backfill_known_theirs(&run->known, &key, &run->theirs))
        return ringtape_fail("out of memory");
    return RINGTAPE_EXIT_OK;
}

int backfill_take_result(struct backfill *run, struct backfill_item *item,
                         const struct backfill_job *job, enum backfill_result result)
{
    item->rows_read = job->rows_read;
    item->rows_stored = job->rows_stored;
    item->rows_known = job->rows_known;
    item->rows_left = job->rows_left;
    item->gaps = job->gaps;
    run->rows_read += job->rows_read;
    switch (result) {
    case BACKFILL_DONE: item->state = BACKFILL_ITEM_STORED; return RINGTAPE_EXIT_OK;
    case BACKFILL_REFUSED:
        backfill_item_refuse(item, "%s", job->message);
        item->rows_stored = 0;
        return RINGTAPE_EXIT_OK;
    // A wait for the daemon that Ctrl-C ended fails, too.
    case BACKFILL_FAILED: return *run->stop ? BACKFILL_EXIT_STOPPED : RINGTAPE_EXIT_IO;
    case BACKFILL_STOPPED: return BACKFILL_EXIT_STOPPED;
    }
    ensure(false);
    return RINGTAPE_EXIT_IO;
}

static int convert_item(struct backfill *run, uint32_t at, const char *path)
{
    char name[BACKFILL_NAME_BYTES_MAX], detail[BACKFILL_DETAIL_BYTES_MAX + 1];
    struct backfill_item *item = &run->plan.items[at];
    struct backfill_job job;
    // Of a day that is not over: nothing is of the future.
    const int64_t end_ns = day_end_ns(item->day + item->days - 1), now_ns = ringtape_now_ns();
    int result = backfill_begin_key(run, item);
    if (result != 0) return result;
    backfill_item_name(&run->plan, item, name);
    detail_of(run, item, detail);
    job = (struct backfill_job){.hold = &run->hold,
                                .key = backfill_key_of(run, run->symbol),
                                .usdm = run->usdm,
                                .path = path,
                                .name = name,
                                .detail = detail,
                                .from_ns = day_end_ns(item->day - 1),
                                .to_ns = end_ns < now_ns ? end_ns : now_ns,
                                .theirs = &run->theirs,
                                .handed = &run->handed,
                                .stop = run->stop,
                                .progress = convert_tick,
                                .context = run};
    const enum backfill_result converted = backfill_convert(&job);
    // Items may have been asked for meanwhile, but the array has not moved.
    result = backfill_take_result(run, &run->plan.items[at], &job, converted);
    if (result == 0) backfill_source_done(run->from, at);
    return result;
}

static int do_item(struct backfill *run, uint32_t at)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    int result = backfill_source_checksum(run->from, at);
    const enum backfill_item_state state = run->plan.items[at].state;
    // Of a host it may have come meanwhile.
    if (result != 0 || (state != BACKFILL_ITEM_KNOWN && state != BACKFILL_ITEM_READY))
        return result;
    result = backfill_source_zip(run->from, at, path);
    if (result != 0 || run->plan.items[at].state != BACKFILL_ITEM_READY || run->dry_run)
        return result;
    return convert_item(run, at, path);
}

// A month that is not there is looked for day by day.
static int split_missing(struct backfill *run, uint32_t at)
{
    const struct backfill_item *item = &run->plan.items[at];
    if (item->state != BACKFILL_ITEM_MISSING || !item->monthly) return RINGTAPE_EXIT_OK;
    const uint32_t before = run->plan.count;
    if (!backfill_plan_split(&run->plan, at)) return ringtape_fail("out of memory");
    backfill_source_moved(run->from, at, run->plan.count - before);
    return RINGTAPE_EXIT_OK;
}

// ---- all ----

static int do_items(struct backfill *run)
{
    for (run->at = 0; run->at < run->plan.count; run->at++) {
        const uint32_t before = run->plan.count;
        if (*run->stop) return BACKFILL_EXIT_STOPPED;
        int result = do_item(run, run->at);
        if (result == 0) result = split_missing(run, run->at);
        if (result != 0) return result;
        if (run->plan.count != before) run->at--; // the first day in its place
        backfill_show_progress(run, 0);
    }
    return RINGTAPE_EXIT_OK;
}

static int begin_pass(struct backfill *run)
{
    run->known = (struct backfill_known){0};
    // A dry run may be for a store that is not there yet.
    int result = run->store != NULL ? backfill_known_open(&run->known, run->store) : 0;
    run->hold.life = run->known.life;
    run->hold.stale = false;
    run->daemon = !run->dry_run && backfill_hold_daemon(&run->hold);
    run->symbol[0] = 0;
    return result;
}

// Was handed over, and has to be again.
static void reset_items(struct backfill *run)
{
    for (uint32_t i = 0; i < run->plan.count; i++)
        if (run->plan.items[i].state == BACKFILL_ITEM_STORED)
            run->plan.items[i].state = BACKFILL_ITEM_WANTED;
}

static int pass(struct backfill *run, int (*items)(struct backfill *run))
{
    int result = begin_pass(run);
    if (result == 0) result = items(run);
    ringtape_progress_clear(&run->progress);
    if (!run->dry_run) {
        const int settled = backfill_hold_settle(&run->hold);
        if (result == 0) result = settled;
    }
    backfill_known_close(&run->known);
    backfill_spans_free(&run->theirs);
    backfill_spans_free(&run->handed);
    return result;
}

int backfill_passes(struct backfill *run, int (*items)(struct backfill *run))
{
    int result = RINGTAPE_EXIT_OK;
    for (int passes = 0; passes < PASSES_MAX; passes++) {
        result = pass(run, items);
        if (result != 0 || !run->hold.stale) return result;
        reset_items(run);
    }
    return ringtape_fail("the recorder was started again and again; start the backfill once more");
}

int backfill_files(struct backfill *run)
{
    char downloads[RINGTAPE_PATH_BYTES_MAX];
    (void)snprintf(downloads, sizeof downloads, "%.3700s/incoming/download", run->store_path);
    const struct backfill_source_options options = {
        .place = strcmp(run->source, "bulk") == 0 ? run->base_url : run->source,
        .downloads = downloads,
        .ca_file = run->ca_file,
        .plan = &run->plan,
        .stop = run->stop,
        .is_there = is_there,
        .waiting = tick,
        .context = run,
        .dry_run = run->dry_run};
    run->from = backfill_source_open(&options);
    if (run->from == NULL) return RINGTAPE_EXIT_IO;
    int result = backfill_make_plan(run);
    if (result == 0) result = backfill_passes(run, do_items);
    run->requests += backfill_source_requests(run->from);
    if (result == RINGTAPE_EXIT_OK || result == BACKFILL_EXIT_STOPPED)
        result = backfill_show(run, result);
    backfill_source_close(run->from);
    run->from = NULL;
    return result;
}
