// SPDX-License-Identifier: GPL-3.0-or-later
//
// Downloads ahead of what is converted: first come checksums and zips of the items that are next,
// in their order, as long as transfers are free.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_backfill_source_inside.h"
#include "tools/ringtape_command.h"

enum { LOOK_MS = 200, EXIT_STOPPED = 130, PAUSE_S_MAX = 3600 };

// ---- names ----

static void url_of(const struct backfill_source *source, const struct backfill_item *item,
                   const char *ending, char out[RINGTAPE_PATH_BYTES_MAX])
{
    char relative[BACKFILL_RELATIVE_BYTES_MAX];
    const size_t size = strlen(source->place);
    backfill_item_path(source->plan, item, relative);
    (void)snprintf(out, RINGTAPE_PATH_BYTES_MAX, "%.3700s%s%s%s", source->place,
                   source->place[size - 1] == '/' ? "" : "/", relative, ending);
}

static void part_of(const struct backfill_source *source, const struct backfill_item *item,
                    char out[RINGTAPE_PATH_BYTES_MAX])
{
    char name[BACKFILL_NAME_BYTES_MAX];
    backfill_item_name(source->plan, item, name);
    // Spot and futures have files of the same names.
    (void)snprintf(out, RINGTAPE_PATH_BYTES_MAX, "%.3700s/%s%s.zip.part", source->downloads,
                   source->plan->usdm ? "usdm-" : "", name);
}

// ---- starting ----

static struct backfill_item *item_of(struct backfill_source *source,
                                     const struct backfill_transfer *transfer)
{
    ensure(transfer->item < source->plan->count);
    return &source->plan->items[transfer->item];
}

static void start(struct backfill_source *source, struct backfill_transfer *transfer)
{
    char url[RINGTAPE_PATH_BYTES_MAX], part[RINGTAPE_PATH_BYTES_MAX];
    struct backfill_item *item = item_of(source, transfer);
    transfer->paused = false;
    source->requests++;
    url_of(source, item, transfer->zip ? "" : ".CHECKSUM", url);
    part_of(source, item, part);
    transfer->request.head = transfer->zip && source->options.dry_run;
    const bool file = transfer->zip && !transfer->request.head;
    backfill_fetch_start(source->fetch, &transfer->request, url, file ? part : NULL, NULL, NULL);
}

static bool is_under_way(const struct backfill_source *source, uint32_t item)
{
    for (int t = 0; t < BACKFILL_DOWNLOADS; t++)
        if (source->transfers[t].used && source->transfers[t].item == item) return true;
    return false;
}

// The next thing worth asking for; false: nothing.
static bool choose(const struct backfill_source *source, uint32_t *item, bool *zip)
{
    uint32_t ahead = 0;
    for (uint32_t i = source->at; i < source->plan->count && ahead < BACKFILL_AHEAD; i++) {
        const enum backfill_item_state state = source->plan->items[i].state;
        const bool wanted = state == BACKFILL_ITEM_WANTED || state == BACKFILL_ITEM_KNOWN;
        ahead += wanted || state == BACKFILL_ITEM_READY;
        if (!wanted || is_under_way(source, i)) continue;
        *item = i;
        *zip = state == BACKFILL_ITEM_KNOWN;
        return true;
    }
    return false;
}

// ---- ending ----

static bool is_worth_trying(const struct backfill_request *request)
{
    return !request->hopeless &&
           (request->state == BACKFILL_FETCH_BROKEN || request->status == 429 ||
            request->status == 418 || request->status >= 500);
}

static void try_again(struct backfill_source *source, struct backfill_transfer *transfer)
{
    const struct backfill_request *request = &transfer->request;
    struct backfill_item *item = item_of(source, transfer);
    int64_t pause_s = (int64_t)1 << item->tries++;
    if (request->retry_after_s > pause_s) pause_s = request->retry_after_s;
    if (pause_s > PAUSE_S_MAX) pause_s = PAUSE_S_MAX;
    transfer->paused = true;
    transfer->due_ns = ringtape_monotonic_ns() + pause_s * 1000000000;
}

// Nothing more will come. Whoever waits tells why, for whichever item it is.
static void go_offline(struct backfill_source *source, const struct backfill_item *item,
                       const char *remedy)
{
    ensure(item->state == BACKFILL_ITEM_REFUSED);
    if (!source->offline)
        (void)snprintf(source->offline_why, sizeof source->offline_why, "%s; %s",
                       item->message != NULL ? item->message : "out of memory", remedy);
    source->offline = true;
}

static void give_up(struct backfill_source *source, struct backfill_transfer *transfer)
{
    const struct backfill_request *request = &transfer->request;
    struct backfill_item *item = item_of(source, transfer);
    char url[RINGTAPE_PATH_BYTES_MAX];
    url_of(source, item, transfer->zip ? "" : ".CHECKSUM", url);
    if (request->state == BACKFILL_FETCH_BROKEN) {
        backfill_item_refuse(item, "%s: %s", url, request->message);
        go_offline(source, item,
                   "start again when it can be reached: what is there is passed over");
    } else {
        backfill_item_refuse(item, "%s: HTTP %ld", url, request->status);
    }
}

static void take_checksum(struct backfill_source *source, struct backfill_transfer *transfer)
{
    const struct backfill_request *request = &transfer->request;
    struct backfill_item *item = item_of(source, transfer);
    char name[BACKFILL_NAME_BYTES_MAX];
    backfill_item_name(source->plan, item, name);
    if (request->status == 404)
        item->state = BACKFILL_ITEM_MISSING;
    else if (request->status != 200)
        give_up(source, transfer);
    else if (!backfill_checksum_parse(request->text != NULL ? request->text : "",
                                      request->text_size, name, item->sum))
        backfill_item_refuse(item, "%s.zip.CHECKSUM: not 'SHA-256  %s.zip'", name, name);
    else
        backfill_source_known(source, item);
    item->tries = 0;
}

// True: again, from its beginning.
static bool take_zip(struct backfill_source *source, struct backfill_transfer *transfer)
{
    const struct backfill_request *request = &transfer->request;
    struct backfill_item *item = item_of(source, transfer);
    char part[RINGTAPE_PATH_BYTES_MAX], name[BACKFILL_NAME_BYTES_MAX];
    backfill_item_name(source->plan, item, name);
    part_of(source, item, part);
    if (request->head) {
        item->bytes = request->length;
        item->state = BACKFILL_ITEM_READY;
        return false;
    }
    if (request->status != 200 && request->status != 206 && request->status != 416) {
        give_up(source, transfer);
        return false;
    }
    item->bytes = item->taken = request->got;
    backfill_source_judge(source, item, part);
    if (item->state == BACKFILL_ITEM_READY) return false;
    (void)unlink(part);
    if (item->mended) return false; // twice is the archive's fault, not the line's
    item->mended = true;
    item->state = BACKFILL_ITEM_KNOWN;
    return true;
}

static void end(struct backfill_source *source, struct backfill_transfer *transfer)
{
    struct backfill_request *request = &transfer->request;
    struct backfill_item *item = item_of(source, transfer);
    bool again = false;
    if (request->failure != 0) {
        backfill_item_refuse(item, "%s: %s", source->downloads, strerror(request->failure));
        go_offline(source, item, request->failure == ENOSPC || request->failure == EDQUOT
                                     ? "free space and start again: what is complete is passed over"
                                     : "start again when it can be written to");
    } else if (is_worth_trying(request) && item->tries < BACKFILL_TRIES) {
        try_again(source, transfer);
        free(request->text);
        request->text = NULL;
        return;
    } else if (request->state == BACKFILL_FETCH_BROKEN) {
        give_up(source, transfer);
    } else if (transfer->zip) {
        again = take_zip(source, transfer);
    } else {
        take_checksum(source, transfer);
    }
    free(request->text);
    request->text = NULL;
    if (again)
        start(source, transfer);
    else
        transfer->used = false;
}

void backfill_http_pump(struct backfill_source *source)
{
    backfill_fetch_pump(source->fetch);
    for (int t = 0; t < BACKFILL_DOWNLOADS; t++) {
        struct backfill_transfer *transfer = &source->transfers[t];
        if (!transfer->used) {
            if (source->offline || !choose(source, &transfer->item, &transfer->zip)) continue;
            transfer->used = true;
            start(source, transfer);
        } else if (transfer->paused) {
            if (ringtape_monotonic_ns() >= transfer->due_ns) start(source, transfer);
        } else if (transfer->request.state != BACKFILL_FETCH_RUNNING) {
            end(source, transfer);
        } else if (transfer->zip) {
            item_of(source, transfer)->taken = transfer->request.got;
        }
    }
}

// ---- waiting ----

static bool is_settled(const struct backfill_item *item, bool zip)
{
    return item->state != BACKFILL_ITEM_WANTED && (!zip || item->state != BACKFILL_ITEM_KNOWN);
}

static int wait_for(struct backfill_source *source, uint32_t at, bool zip)
{
    source->at = at;
    while (!is_settled(&source->plan->items[at], zip)) {
        if (*source->options.stop) return EXIT_STOPPED;
        if (source->offline) return ringtape_fail("%s", source->offline_why);
        backfill_http_pump(source);
        if (is_settled(&source->plan->items[at], zip)) break;
        if (source->options.waiting != NULL) source->options.waiting(source->options.context);
        backfill_fetch_wait(source->fetch, LOOK_MS);
    }
    if (!source->offline || source->plan->items[at].state != BACKFILL_ITEM_REFUSED)
        return RINGTAPE_EXIT_OK;
    return ringtape_fail("%s", source->offline_why);
}

int backfill_http_checksum(struct backfill_source *source, uint32_t at)
{
    return wait_for(source, at, false);
}

int backfill_http_zip(struct backfill_source *source, uint32_t at,
                      char path[RINGTAPE_PATH_BYTES_MAX])
{
    part_of(source, &source->plan->items[at], path);
    return wait_for(source, at, true);
}

void backfill_http_done(struct backfill_source *source, uint32_t at)
{
    char part[RINGTAPE_PATH_BYTES_MAX];
    part_of(source, &source->plan->items[at], part);
    (void)unlink(part);
    source->at = at + 1;
}

void backfill_http_moved(struct backfill_source *source, uint32_t at, uint32_t by)
{
    for (int t = 0; t < BACKFILL_DOWNLOADS; t++)
        if (source->transfers[t].used && source->transfers[t].item > at)
            source->transfers[t].item += by;
}

// ---- life ----

bool backfill_http_open(struct backfill_source *source)
{
    (void)snprintf(source->downloads, sizeof source->downloads, "%.3700s",
                   source->options.downloads);
    if (!source->options.dry_run && mkdir(source->downloads, 0755) != 0 && errno != EEXIST) {
        (void)ringtape_fail("%s: %s", source->downloads, strerror(errno));
        return false;
    }
    source->fetch = backfill_fetch_open(source->options.ca_file);
    if (source->fetch == NULL) (void)ringtape_fail("out of memory");
    return source->fetch != NULL;
}

void backfill_http_close(struct backfill_source *source)
{
    if (source->fetch == NULL) return;
    for (int t = 0; t < BACKFILL_DOWNLOADS; t++)
        if (source->transfers[t].used)
            backfill_fetch_cancel(source->fetch, &source->transfers[t].request);
    backfill_fetch_close(source->fetch);
    source->fetch = NULL;
    (void)rmdir(source->downloads); // unless a download is left
}
