// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape status: what a store's daemon does now, or did last, from its statistics page alone: the
// daemon is not asked and not disturbed. Exit code 0: it runs and nothing is wrong; 1: it does not
// run, or something is; 74: there is no page.
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_options.h"
#include "tools/ringtape_page.h"
#include "tools/ringtape_status_json.h"
#include "tools/ringtape_table.h"

enum { TROUBLE_BYTES = 8192, WATCH_MS = 1000 };

struct status_view {
    const char *store;
    const struct statistics_page *page;
    const struct statistics_page *before; // NULL: the first one
    enum ringtape_page_state state;
    struct ringtape_page_sum *sum;
    struct ringtape_page_sum *sum_before;
    int64_t over_ns; // between the two
};

static uint64_t status_rate(const struct status_view *view, uint64_t before, uint64_t now)
{
    return ringtape_page_rate(before, now, view->over_ns);
}

// ---- parts ----

static void status_head(const struct status_view *view)
{
    const struct statistics_daemon *daemon = &view->page->daemon;
    char start[TIME_TEXT_BYTES_MAX], time[RINGTAPE_PAGE_TIME_BYTES], age[RINGTAPE_PAGE_TIME_BYTES];
    (void)time_text_format(start, daemon->start_ns, 0);
    (void)printf("ringtaped %.31s (%.31s), process %" PRIu64 ": %s\n", daemon->version,
                 daemon->commit, daemon->pid,
                 view->state == RINGTAPE_PAGE_DIED    ? "not running; it did not end in order"
                 : view->state == RINGTAPE_PAGE_ENDED ? "not running; it ended in order"
                 : view->state == RINGTAPE_PAGE_STALE ? "running, but its page is old: a disk that "
                                                        "does not answer?"
                                                      : ringtape_page_state_text(view->state));
    (void)printf("since %s, for %s; as of %s ago\n", start,
                 ringtape_page_time(time, view->page->head.time_ns - daemon->start_ns),
                 ringtape_page_time(age, ringtape_now_ns() - view->page->head.time_ns));
}

static void status_counts(const struct status_view *view)
{
    const struct ringtape_page_sum *sum = view->sum;
    char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    char c[RINGTAPE_TABLE_NUMBER_BYTES], time[RINGTAPE_PAGE_TIME_BYTES];
    (void)printf("\nlinks     %" PRIu64 " of %" PRIu64 " live; %" PRIu64 " of %" PRIu64
                 " sets without a live link\n",
                 sum->links_live, sum->links, sum->sets_dark, sum->sets);
    (void)printf("messages  %s, %s", ringtape_table_number(a, sum->messages),
                 ringtape_table_bytes(b, sum->bytes));
    if (view->before != NULL)
        (void)printf(", %s/s",
                     ringtape_table_number(
                         c, status_rate(view, view->sum_before->messages, sum->messages)));
    (void)printf("\nrows      %s, %s durable, %s behind by %s\n",
                 ringtape_table_number(a, sum->events), ringtape_table_number(b, sum->durable),
                 ringtape_table_number(c, sum->lag_rows), ringtape_page_time(time, sum->lag_ns));
    (void)printf("holes     %" PRIu64 " open, %" PRIu64 " opened, %" PRIu64 " lost\n",
                 sum->holes_open, sum->holes_opened, sum->holes_lost);
    (void)printf("made      %s candles, %s alerts\n", ringtape_table_number(a, sum->candles),
                 ringtape_table_number(b, sum->alerts));
}

static void status_storage(const struct status_view *view)
{
    const struct statistics_daemon *daemon = &view->page->daemon;
    char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    char c[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)printf("sealer    %" PRIu64 " tapes wait, %" PRIu64 " sealed, %" PRIu64 " damaged\n",
                 daemon->tapes_waiting, daemon->tapes_sealed, daemon->tapes_damaged);
    (void)printf("disk      %s free of %s, %s to be kept\n",
                 ringtape_table_bytes(a, daemon->disk_free_bytes),
                 ringtape_table_bytes(b, daemon->disk_total_bytes),
                 ringtape_table_bytes(c, daemon->disk_reserve_bytes));
    (void)printf("memory    %s\n", ringtape_table_bytes(a, daemon->rss_bytes));
    (void)printf("TLS       %.63s\n", daemon->tls);
}

static void status_channels(const struct status_view *view)
{
    static const char *const headings[] = {"EXCHANGE", "CHANNEL", ">ROWS", ">ROWS/S",
                                           ">COPIES", ">REPAIRED", ">HOLES OPEN", ">LOST"};
    struct ringtape_table table;
    char a[RINGTAPE_TABLE_NUMBER_BYTES];
    ringtape_table_start(&table, headings, sizeof headings / sizeof *headings);
    for (uint32_t e = 0; e < view->sum->exchange_count; e++) {
        const struct statistics_exchange *exchange = &view->sum->exchange[e];
        for (int c = 1; c < CHANNEL_COUNT; c++) {
            const struct statistics_channel *now = &exchange->channels[c];
            if (now->events + now->duplicates + now->refused + now->holes_opened == 0) continue;
            ringtape_table_cell(&table, "%.31s", exchange->name);
            ringtape_table_cell(&table, "%s", channel_schema((enum channel)c)->name);
            ringtape_table_cell(&table, "%s", ringtape_table_number(a, now->events));
            if (view->before == NULL || e >= view->sum_before->exchange_count)
                ringtape_table_cell(&table, "-");
            else
                ringtape_table_cell(
                    &table, "%s",
                    ringtape_table_number(
                        a, status_rate(view, view->sum_before->exchange[e].channels[c].events,
                                       now->events)));
            ringtape_table_cell(&table, "%s", ringtape_table_number(a, now->duplicates));
            ringtape_table_cell(&table, "%s", ringtape_table_number(a, now->repaired));
            ringtape_table_cell(&table, "%" PRIu64, now->holes_open);
            ringtape_table_cell(&table, "%" PRIu64, now->holes_lost);
        }
    }
    (void)putchar('\n');
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

static void status_link(const struct status_view *view, struct ringtape_table *table,
                        uint32_t shard, const struct statistics_link *link)
{
    char a[RINGTAPE_TABLE_NUMBER_BYTES], time[RINGTAPE_PAGE_TIME_BYTES];
    const struct statistics_shard *of = &view->page->shards[shard];
    const uint64_t both = link->first + link->second;
    ringtape_table_cell(table, "%" PRIu32, link->number);
    ringtape_table_cell(table, "%" PRIu32, shard);
    ringtape_table_cell(table, "%.31s",
                        of->exchanges[link->exchange % STATISTICS_EXCHANGES_MAX].name);
    ringtape_table_cell(table, "%u", link->copy);
    ringtape_table_cell(table, "%s", statistics_link_state(link->state));
    ringtape_table_cell(table, "%" PRIu32, link->streams);
    ringtape_table_cell(table, "%s", ringtape_table_number(a, link->messages));
    ringtape_table_cell(table, "%s",
                        link->message_ns == 0
                            ? "-"
                            : ringtape_page_time(time, statistics_age_ns(view->page->head.time_ns,
                                                                         link->message_ns)));
    if (both == 0) ringtape_table_cell(table, "-");
    else ringtape_table_cell(table, "%" PRIu64 " %%", link->first * 100 / both);
    ringtape_table_cell(table, "%" PRIu64, link->downs);
    ringtape_table_cell(table, "%.47s", link->address);
}

static void status_links(const struct status_view *view)
{
    static const char *const headings[] = {">LINK",    ">SHARD", "EXCHANGE", ">COPY",
                                           "STATE",    ">STREAMS", ">MESSAGES", ">LAST",
                                           ">FIRST",   ">LOST",  "ADDRESS"};
    struct ringtape_table table;
    ringtape_table_start(&table, headings, sizeof headings / sizeof *headings);
    for (uint32_t s = 0; s < view->page->head.shards; s++) {
        for (uint64_t i = 0; i < view->page->shards[s].link_count; i++)
            status_link(view, &table, s, &view->page->shards[s].link[i]);
    }
    (void)putchar('\n');
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

static void status_latency(struct ringtape_table *table, const char *what,
                           const struct histogram *histogram)
{
    static const uint32_t shares[] = {500000, 990000, 999000};
    char time[RINGTAPE_PAGE_TIME_BYTES], a[RINGTAPE_TABLE_NUMBER_BYTES];
    const uint64_t count = histogram_count(histogram);
    if (count == 0) return;
    ringtape_table_cell(table, "%s", what);
    ringtape_table_cell(table, "%s", ringtape_table_number(a, count));
    for (uint32_t i = 0; i < 3; i++)
        ringtape_table_cell(
            table, "%s", ringtape_page_time(time, histogram_quantile_ns(histogram, shares[i])));
    ringtape_table_cell(table, "%s", ringtape_page_time(time, histogram->max_ns));
}

static void status_latencies(const struct status_view *view)
{
    static const char *const headings[] = {"LATENCY", ">COUNT", ">50 %", ">99 %", ">99.9 %",
                                           ">MOST"};
    static const char *const sinks[] = {"alert to Kafka", "alert to webhook", "alert to command"};
    struct ringtape_table table;
    ringtape_table_start(&table, headings, sizeof headings / sizeof *headings);
    for (uint32_t e = 0; e < view->sum->exchange_count; e++) {
        char what[64];
        (void)snprintf(what, sizeof what, "%.31s to receipt", view->sum->exchange[e].name);
        status_latency(&table, what, &view->sum->exchange[e].wire);
    }
    status_latency(&table, "receipt to decoded", &view->sum->decode);
    status_latency(&table, "decoded to durable", &view->sum->commit);
    status_latency(&table, "durable to Kafka", &view->page->mirror.latency);
    for (int i = 0; i < STATISTICS_SINKS; i++)
        status_latency(&table, sinks[i], &view->page->sinks[i].latency);
    (void)putchar('\n');
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

static void status_topics(const struct status_view *view)
{
    static const char *const headings[] = {"TOPIC OF", ">CONFIRMED", ">REFUSED", ">LAG ROWS",
                                           ">LAG BYTES", ">LAG"};
    const struct statistics_mirror *mirror = &view->page->mirror;
    struct ringtape_table table;
    if (!mirror->on) return;
    ringtape_table_start(&table, headings, sizeof headings / sizeof *headings);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct statistics_topic *topic = &mirror->topics[c];
        char a[RINGTAPE_TABLE_NUMBER_BYTES], time[RINGTAPE_PAGE_TIME_BYTES];
        if (!topic->on) continue;
        ringtape_table_cell(&table, "%s",
                            c == 0 ? "whole batches" : channel_schema((enum channel)c)->name);
        ringtape_table_cell(&table, "%s", ringtape_table_number(a, topic->delivered));
        ringtape_table_cell(&table, "%" PRIu64, topic->refused);
        ringtape_table_cell(&table, "%s", ringtape_table_number(a, topic->lag_rows));
        ringtape_table_cell(&table, "%s", ringtape_table_bytes(a, topic->lag_bytes));
        ringtape_table_cell(&table, "%s", ringtape_page_time(time, topic->lag_ns));
    }
    (void)putchar('\n');
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

static bool status_runs(enum ringtape_page_state state)
{
    return state != RINGTAPE_PAGE_DIED && state != RINGTAPE_PAGE_ENDED;
}

static void status_text(const struct status_view *view)
{
    char troubles[TROUBLE_BYTES];
    const bool runs = status_runs(view->state);
    status_head(view);
    if (runs && ringtape_page_troubles(view->page, troubles, sizeof troubles) > 0)
        (void)printf("\n%s", troubles);
    status_counts(view);
    status_storage(view);
    status_channels(view);
    status_links(view);
    status_latencies(view);
    status_topics(view);
}

// ---- the command ----

static int status_code(const struct status_view *view)
{
    const bool good = status_runs(view->state) && view->state != RINGTAPE_PAGE_STALE &&
                      ringtape_page_troubles(view->page, NULL, 0) == 0;
    return good ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND;
}

static void status_show(struct status_view *view, bool json, bool watch)
{
    ringtape_page_sum(view->page, view->sum);
    if (view->before != NULL) {
        ringtape_page_sum(view->before, view->sum_before);
        view->over_ns = view->page->head.monotonic_ns - view->before->head.monotonic_ns;
    }
    if (json) {
        ringtape_status_json(view->page, view->sum, view->state);
        return;
    }
    if (watch && isatty(STDOUT_FILENO)) (void)fputs("\033[H\033[2J", stdout);
    status_text(view);
    if (watch && !isatty(STDOUT_FILENO)) (void)putchar('\n');
}

static int status_run(struct status_view *view, bool json, bool watch)
{
    struct statistics_page *before = NULL;
    int code;
    for (;;) {
        struct statistics_page *page = ringtape_page_load(view->store, &code);
        if (page == NULL) break;
        view->page = page;
        view->before = before;
        view->state = ringtape_page_state(view->store, page, ringtape_now_ns());
        status_show(view, json, watch);
        code = status_code(view);
        free(before);
        before = page;
        if (!watch || fflush(stdout) != 0 || ferror(stdout)) break;
        (void)poll(NULL, 0, WATCH_MS);
    }
    free(before);
    return code;
}

int ringtape_status(int argc, char **argv)
{
    struct status_view view = {.store = "/var/lib/ringtape"};
    bool json = false, watch = false;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &view.store, .value = "DIR",
         .help = "the store, default /var/lib/ringtape"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &json,
         .help = "one JSON object"},
        {.name = "watch", .kind = RINGTAPE_OPTION_FLAG, .target = &watch,
         .help = "again every second, with rates; Ctrl-C ends"},
    };
    const struct ringtape_usage usage = {
        .command = "status",
        .purpose = "What the daemon of a store does: links, rows, holes, latencies, disk, Kafka. "
                   "Reads its statistics\npage and asks it nothing; after its end, what it did "
                   "last. Exit code 1: it does not run, or\nsomething is wrong; a line says what.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    view.sum = calloc(1, sizeof *view.sum);
    view.sum_before = calloc(1, sizeof *view.sum_before);
    if (view.sum == NULL || view.sum_before == NULL) return ringtape_fail("not enough memory");
    exit_code = status_run(&view, json, watch);
    free(view.sum);
    free(view.sum_before);
    return exit_code == RINGTAPE_EXIT_IO ? exit_code : ringtape_finish_output(exit_code);
}
