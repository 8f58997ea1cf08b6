// SPDX-License-Identifier: GPL-3.0-or-later
//
// By REST: each item of the plan is a UTC day, or what of it is over. "api:NAME" names it in the
// status rows; one that was not over says "partly" and is asked for again.
#include <stdio.h>
#include <string.h>

#include "format/day.h"
#include "format/ensure.h"
#include "tools/ringtape_backfill.h"
#include "tools/ringtape_command.h"

// The newest minute is a running daemon's; without one a trade may still be told late.
#define MARGIN_DAEMON_NS 60000000000ll
#define MARGIN_NS 3000000000ll

static void tick(void *context)
{
    backfill_show_progress(context, 0);
}

static void day_tick(void *context, uint64_t taken)
{
    (void)taken;
    backfill_show_progress(context, 0);
}

// Where coverage counts by times, a daemon has all from its first row on, and repairs it itself.
static int64_t daemon_from_ns(const struct backfill *run)
{
    const struct ledger_whole *ledger = &run->known.ledger;
    for (uint32_t k = 0; run->daemon && k < ledger->key_count; k++) {
        const struct ledger_key *key = &ledger->keys[k];
        if (key->times && !key->archived && !key->gone && key->channel == run->channel &&
            key->channel == CHANNEL_TRADE && strcmp(key->symbol, run->symbol) == 0)
            return key->first_ns;
    }
    return INT64_MAX;
}

static struct backfill_job job_of(struct backfill *run, const struct backfill_item *item,
                                  const char *name, const char *detail)
{
    const int64_t day_to_ns = day_end_ns(item->day), theirs_ns = daemon_from_ns(run);
    const int64_t now_ns = ringtape_now_ns() - (run->daemon ? MARGIN_DAEMON_NS : MARGIN_NS);
    int64_t to_ns = day_to_ns < run->to_ns ? day_to_ns : run->to_ns;
    if (to_ns > now_ns) to_ns = now_ns;
    if (to_ns > theirs_ns) to_ns = theirs_ns;
    return (struct backfill_job){.hold = &run->hold,
                                 .key = backfill_key_of(run, run->symbol),
                                 .usdm = run->usdm,
                                 .name = name,
                                 .detail = detail,
                                 .from_ns = day_end_ns(item->day - 1),
                                 .to_ns = to_ns,
                                 .theirs = &run->theirs,
                                 .handed = &run->handed,
                                 .partly = to_ns < day_to_ns,
                                 .stop = run->stop,
                                 .progress = day_tick,
                                 .context = run};
}

static int do_day(struct backfill *run, struct backfill_rest *rest, struct backfill_item *item)
{
    char name[BACKFILL_NAME_BYTES_MAX], detail[BACKFILL_DETAIL_BYTES_MAX + 1];
    int result = backfill_begin_key(run, item);
    if (result != 0) return result;
    backfill_item_name(&run->plan, item, name);
    (void)snprintf(detail, sizeof detail, "api:%s", name);
    struct backfill_job job = job_of(run, item, name, detail);
    if (backfill_known_has(&run->known, &job.key, detail) || job.to_ns <= job.from_ns) {
        item->state = BACKFILL_ITEM_THERE;
        return RINGTAPE_EXIT_OK;
    }
    if (run->dry_run) {
        item->state = BACKFILL_ITEM_READY;
        return RINGTAPE_EXIT_OK;
    }
    const enum backfill_result done = backfill_rest_day(rest, &job, item->symbol);
    return backfill_take_result(run, item, &job, done);
}

static int do_days(struct backfill *run)
{
    const struct backfill_rest_options options = {.venue = backfill_venue_of(run),
                                                  .base_url = run->base_url,
                                                  .ca_file = run->ca_file,
                                                  .daemon = run->daemon,
                                                  .stop = run->stop,
                                                  .waiting = tick,
                                                  .context = run};
    struct backfill_rest *rest = backfill_rest_open(&options);
    int result = rest != NULL ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_IO;
    for (run->at = 0; run->at < run->plan.count && result == 0; run->at++) {
        result = *run->stop ? BACKFILL_EXIT_STOPPED
                            : do_day(run, rest, &run->plan.items[run->at]);
        backfill_show_progress(run, 0);
    }
    if (rest != NULL) run->requests += backfill_rest_requests(rest);
    backfill_rest_close(rest);
    return result;
}

int backfill_days(struct backfill *run)
{
    int result = backfill_make_plan(run);
    if (result == 0) result = backfill_passes(run, do_days);
    if (result == RINGTAPE_EXIT_OK || result == BACKFILL_EXIT_STOPPED)
        result = backfill_show(run, result);
    return result;
}
