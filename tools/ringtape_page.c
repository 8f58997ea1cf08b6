// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_page: see ringtape_page.h. Who holds the store's lock is asked of the kernel; where that
// cannot be seen (the daemon is in another pid namespace) the age of the page decides.
#include "tools/ringtape_page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/ensure.h"
#include "format/event.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"

#define SECOND_NS 1000000000ll
#define TROUBLE_LAG_NS (10 * SECOND_NS) // of rows on their way to the disk
#define TROUBLE_MIRROR_NS (60 * SECOND_NS)

struct statistics_page *ringtape_page_load(const char *store, int *exit_code)
{
    struct statistics_page *page = NULL;
    uint32_t version = 0;
    *exit_code = RINGTAPE_EXIT_IO;
    switch (statistics_page_load(store, &page, &version)) {
    case STATISTICS_GOOD: *exit_code = RINGTAPE_EXIT_OK; return page;
    case STATISTICS_ABSENT:
        (void)ringtape_fail("%s/run/statistics: not there; no ringtaped has run with this store, "
                            "or it cannot write there",
                            store);
        return NULL;
    case STATISTICS_FOREIGN:
        if (version == 0)
            (void)ringtape_fail("%s/run/statistics: not a statistics page", store);
        else
            (void)ringtape_fail("%s/run/statistics: layout %" PRIu32 ", this ringtape reads "
                                "layout %d; use the ringtape that came with the daemon",
                                store, version, STATISTICS_VERSION);
        return NULL;
    case STATISTICS_TORN:
        (void)ringtape_fail("%s/run/statistics: no whole page; try again, or delete the file if "
                            "no daemon runs",
                            store);
        return NULL;
    case STATISTICS_ERROR: break;
    }
    (void)ringtape_fail("%s/run/statistics: %s", store, strerror(errno));
    return NULL;
}

static bool same_namespace(const struct statistics_page *page)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 &&
           status.st_ino == page->daemon.pid_namespace;
}

enum ringtape_page_state ringtape_page_state(const char *store, const struct statistics_page *page,
                                             int64_t now_ns)
{
    const int64_t age_ns = statistics_age_ns(now_ns, page->head.time_ns);
    const bool fresh = age_ns < STATISTICS_FRESH_NS;
    if (page->daemon.state == STATISTICS_ENDED) return RINGTAPE_PAGE_ENDED;
    const bool there = same_namespace(page)
                           ? ringtape_daemon_of(store) == (pid_t)page->daemon.pid
                           : fresh;
    if (!there) return RINGTAPE_PAGE_DIED;
    if (!fresh) return RINGTAPE_PAGE_STALE;
    switch (page->daemon.state) {
    case STATISTICS_STARTING: return RINGTAPE_PAGE_STARTING;
    case STATISTICS_STOPPING: return RINGTAPE_PAGE_STOPPING;
    default: return RINGTAPE_PAGE_RUNNING;
    }
}

const char *ringtape_page_state_text(enum ringtape_page_state state)
{
    static const char *const texts[] = {"starting", "running", "stopping", "stale", "ended",
                                        "died"};
    ensure(state <= RINGTAPE_PAGE_DIED);
    return texts[state];
}

// ---- sums ----

static struct statistics_exchange *sum_place(struct ringtape_page_sum *sum, const char *name)
{
    for (uint32_t i = 0; i < sum->exchange_count; i++) {
        if (strncmp(sum->exchange[i].name, name, STATISTICS_NAME_BYTES) == 0)
            return &sum->exchange[i];
    }
    if (sum->exchange_count == sizeof sum->exchange / sizeof *sum->exchange) return NULL;
    struct statistics_exchange *place = &sum->exchange[sum->exchange_count++];
    (void)snprintf(place->name, sizeof place->name, "%.31s", name);
    return place;
}

static void sum_channel(struct ringtape_page_sum *sum, struct statistics_channel *to,
                        const struct statistics_channel *from)
{
    uint64_t *words = (uint64_t *)(void *)to;
    const uint64_t *more = (const uint64_t *)(const void *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *words; i++) words[i] += more[i];
    sum->holes_open += from->holes_open;
    sum->holes_opened += from->holes_opened;
    sum->holes_repaired += from->holes_repaired;
    sum->holes_lost += from->holes_lost;
}

static void sum_exchange(struct ringtape_page_sum *sum, const struct statistics_exchange *from)
{
    struct statistics_exchange *to = from->name[0] != '\0' ? sum_place(sum, from->name) : NULL;
    if (to == NULL) return;
    for (int c = 0; c < CHANNEL_COUNT; c++)
        sum_channel(sum, &to->channels[c], &from->channels[c]);
    if (from->clock_known && (!to->clock_known || from->clock_offset_ns < to->clock_offset_ns))
        to->clock_offset_ns = from->clock_offset_ns;
    to->clock_known |= from->clock_known;
    to->clock_off |= from->clock_off;
    to->unknown_keys += from->unknown_keys;
    histogram_merge(&to->wire, &from->wire);
}

static void sum_shard(struct ringtape_page_sum *sum, const struct statistics_shard *shard)
{
    sum->messages += shard->messages;
    sum->bytes += shard->bytes;
    sum->events += shard->events;
    sum->durable += shard->tape_rows_durable;
    sum->raw += shard->raw;
    sum->refused += shard->refused;
    sum->paused += shard->paused;
    sum->repaired += shard->repaired;
    sum->copies += shard->copies;
    sum->links += shard->links;
    sum->links_live += shard->links_live;
    sum->sets += shard->streams_wanted;
    sum->sets_dark += shard->streams_dark;
    sum->unknown_keys += shard->unknown_keys;
    sum->alerts += shard->alerts;
    sum->candles += shard->candles;
    sum->lag_rows += shard->tape_lag_rows;
    sum->lag_bytes += shard->tape_lag_bytes;
    sum->overflows += shard->ring_overflows;
    sum->no_buffers += shard->ring_no_buffers;
    sum->failures += shard->tape_failures;
    if (shard->tape_lag_ns > sum->lag_ns) sum->lag_ns = shard->tape_lag_ns;
}

void ringtape_page_sum(const struct statistics_page *page, struct ringtape_page_sum *sum)
{
    memset(sum, 0, sizeof *sum);
    for (uint32_t s = 0; s < page->head.shards; s++) {
        const struct statistics_shard *shard = &page->shards[s];
        sum_shard(sum, shard);
        histogram_merge(&sum->decode, &shard->decode);
        histogram_merge(&sum->commit, &shard->commit);
        for (int e = 0; e < STATISTICS_EXCHANGES_MAX; e++)
            sum_exchange(sum, &shard->exchanges[e]);
    }
}

uint64_t ringtape_page_rate(uint64_t before, uint64_t now, int64_t over_ns)
{
    if (now < before || over_ns <= 0) return 0;
    const unsigned __int128 scaled = (unsigned __int128)(now - before) * SECOND_NS;
    return (uint64_t)((scaled + (uint64_t)over_ns / 2) / (uint64_t)over_ns);
}

const char *ringtape_page_time(char out[RINGTAPE_PAGE_TIME_BYTES], int64_t ns)
{
    static const struct {
        int64_t unit_ns;
        const char *name;
    } units[] = {{SECOND_NS, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
    if (ns < 0) return "-";
    if (ns >= 2 * 3600 * SECOND_NS) {
        (void)snprintf(out, RINGTAPE_PAGE_TIME_BYTES, "%lld h %lld min",
                       (long long)(ns / (3600 * SECOND_NS)),
                       (long long)(ns / (60 * SECOND_NS) % 60));
        return out;
    }
    if (ns >= 120 * SECOND_NS) {
        (void)snprintf(out, RINGTAPE_PAGE_TIME_BYTES, "%lld min %lld s",
                       (long long)(ns / (60 * SECOND_NS)), (long long)(ns / SECOND_NS % 60));
        return out;
    }
    uint32_t i = 0;
    while (i < 3 && ns < units[i].unit_ns) i++;
    const int64_t unit_ns = units[i].unit_ns;
    const int digits = ns >= 100 * unit_ns || unit_ns == 1 ? 0 : ns >= 10 * unit_ns ? 1 : 2;
    const int64_t part = unit_ns == 1 ? 0 : ns % unit_ns * 100 / unit_ns;
    if (digits == 0)
        (void)snprintf(out, RINGTAPE_PAGE_TIME_BYTES, "%lld %s", (long long)(ns / unit_ns),
                       units[i].name);
    else
        (void)snprintf(out, RINGTAPE_PAGE_TIME_BYTES, "%lld.%0*lld %s", (long long)(ns / unit_ns),
                       digits, (long long)(digits == 1 ? part / 10 : part), units[i].name);
    return out;
}

// ---- troubles ----

struct trouble_list {
    char *text;
    size_t size;
    size_t used;
    uint32_t count;
};

__attribute__((format(printf, 2, 3))) static void trouble(struct trouble_list *list,
                                                          const char *format, ...)
{
    list->count++;
    if (list->text == NULL || list->used >= list->size) return;
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(list->text + list->used, list->size - list->used, format, arguments);
    va_end(arguments);
    if (size > 0) list->used += (size_t)size;
}

static void trouble_shards(struct trouble_list *list, const struct statistics_page *page)
{
    char time[RINGTAPE_PAGE_TIME_BYTES];
    for (uint32_t s = 0; s < page->head.shards; s++) {
        const struct statistics_shard *shard = &page->shards[s];
        const int64_t age_ns = statistics_age_ns(page->head.monotonic_ns, shard->heartbeat_ns);
        if (age_ns >= STATISTICS_FRESH_NS)
            trouble(list, "shard %u has not moved for %s\n", s, ringtape_page_time(time, age_ns));
        if (shard->streams_dark > 0)
            trouble(list, "shard %u: %" PRIu64 " of %" PRIu64 " sets of links are down: their "
                          "streams are not recorded\n",
                    s, shard->streams_dark, shard->streams_wanted);
        if (shard->tape_lag_ns >= TROUBLE_LAG_NS)
            trouble(list, "shard %u: rows wait for the disk for %s\n", s,
                    ringtape_page_time(time, shard->tape_lag_ns));
    }
}

static void trouble_daemon(struct trouble_list *list, const struct statistics_page *page)
{
    const struct statistics_daemon *daemon = &page->daemon;
    if (daemon->disk_low)
        trouble(list, "the disk is nearly full: %" PRIu64 " MiB free, %" PRIu64 " MiB are to be "
                      "kept\n",
                daemon->disk_free_bytes >> 20, daemon->disk_reserve_bytes >> 20);
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (daemon->paused >> c & 1)
            trouble(list, "%s is not recorded: the disk is full\n",
                    channel_schema((enum channel)c)->name);
    }
    if (daemon->feeds_failed > 0)
        trouble(list, "%" PRIu64 " feeds could not be recorded; see the log\n",
                daemon->feeds_failed);
}

static void trouble_mirror(struct trouble_list *list, const struct statistics_mirror *mirror)
{
    int64_t lag_ns = 0;
    char time[RINGTAPE_PAGE_TIME_BYTES];
    if (!mirror->on) return;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (mirror->topics[c].lag_ns > lag_ns) lag_ns = mirror->topics[c].lag_ns;
    }
    if (lag_ns >= TROUBLE_MIRROR_NS)
        trouble(list, "Kafka is behind by %s\n", ringtape_page_time(time, lag_ns));
}

uint32_t ringtape_page_troubles(const struct statistics_page *page, char *text, size_t text_size)
{
    struct trouble_list list = {.text = text, .size = text_size};
    if (text_size > 0) text[0] = '\0';
    trouble_shards(&list, page);
    trouble_daemon(&list, page);
    trouble_mirror(&list, &page->mirror);
    return list.count;
}
