// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape top: the statistics page live on a terminal: rates, lags, holes, links, latencies of the
// last minute. Keys: q ends, s sorts links by the next column, / filters them (Enter keeps the
// filter, Escape drops it), space stops and goes on.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_options.h"
#include "tools/ringtape_page.h"
#include "tools/ringtape_screen.h"
#include "tools/ringtape_table.h"

enum {
    TOP_EVERY_MS = 1000,
    TOP_LINE_BYTES = 512,
    TOP_FILTER_BYTES = 32,
    TOP_SPARK = 60, // seconds of a sparkline
    TOP_LINKS_MAX = STATISTICS_SHARDS_MAX * STATISTICS_LINKS_MAX,
};

enum top_sort { TOP_BY_NUMBER, TOP_BY_RATE, TOP_BY_AGE, TOP_BY_FIRST, TOP_BY_DOWNS, TOP_SORTS };
static const char *const sort_names[TOP_SORTS] = {"number", "messages/s", "last message",
                                                  "first", "lost"};

enum top_spark { TOP_WIRE, TOP_DECODE, TOP_COMMIT, TOP_KAFKA, TOP_SPARKS };
static const char *const spark_names[TOP_SPARKS] = {"exchange to receipt", "receipt to decoded",
                                                    "decoded to durable", "durable to Kafka"};

struct top_link {
    const struct statistics_link *link;
    uint32_t shard;
    const char *exchange;
    uint64_t rate;
    int64_t age_ns; // -1: no message yet
};

struct top {
    const char *store;
    struct statistics_page *page;
    struct statistics_page *before;
    struct ringtape_page_sum sum;
    struct ringtape_page_sum sum_before;
    int64_t over_ns;
    enum ringtape_page_state state;
    struct histogram total[TOP_SPARKS];
    int64_t spark_ns[TOP_SPARKS][TOP_SPARK]; // 99 % of each second; -1: nothing came
    uint32_t sparks;
    struct top_link *links; // [TOP_LINKS_MAX]
    uint32_t link_count;
    enum top_sort sort;
    char filter[TOP_FILTER_BYTES];
    bool filtering; // keys go to the filter
    bool paused;
    int line; // next one to be drawn
};

// ---- figures ----

static struct histogram top_total(const struct top *top, enum top_spark which)
{
    struct histogram all = {0};
    switch (which) {
    case TOP_WIRE:
        for (uint32_t e = 0; e < top->sum.exchange_count; e++)
            histogram_merge(&all, &top->sum.exchange[e].wire);
        break;
    case TOP_DECODE: all = top->sum.decode; break;
    case TOP_COMMIT: all = top->sum.commit; break;
    case TOP_KAFKA:
    case TOP_SPARKS: all = top->page->mirror.latency; break;
    }
    return all;
}

static void top_sparks(struct top *top, bool same_daemon)
{
    for (int i = 0; i < TOP_SPARKS; i++) {
        const struct histogram now = top_total(top, (enum top_spark)i);
        struct histogram since = now;
        if (same_daemon) histogram_since(&top->total[i], &now, &since);
        if (top->sparks == TOP_SPARK)
            memmove(top->spark_ns[i], top->spark_ns[i] + 1,
                    (TOP_SPARK - 1) * sizeof top->spark_ns[i][0]);
        const uint32_t at = top->sparks == TOP_SPARK ? TOP_SPARK - 1 : top->sparks;
        top->spark_ns[i][at] = histogram_quantile_ns(&since, 990000);
        top->total[i] = now;
    }
    if (top->sparks < TOP_SPARK) top->sparks++;
}

static uint64_t link_messages_before(const struct top *top, uint32_t shard, uint32_t number)
{
    if (top->before == NULL || shard >= top->before->head.shards) return UINT64_MAX;
    const struct statistics_shard *of = &top->before->shards[shard];
    for (uint64_t i = 0; i < of->link_count; i++) {
        if (of->link[i].number == number) return of->link[i].messages;
    }
    return UINT64_MAX;
}

static bool top_wanted(const struct top *top, const struct top_link *link)
{
    char text[160];
    if (top->filter[0] == '\0') return true;
    (void)snprintf(text, sizeof text, "%" PRIu32 " %s %s %s", link->link->number, link->exchange,
                   statistics_link_state(link->link->state), link->link->address);
    return strstr(text, top->filter) != NULL;
}

static void top_link(struct top *top, uint32_t shard, const struct statistics_link *link)
{
    const struct statistics_page *page = top->page;
    const uint64_t before = link_messages_before(top, shard, link->number);
    const int64_t age_ns = statistics_age_ns(page->head.time_ns, link->message_ns);
    struct top_link *out = &top->links[top->link_count];
    *out = (struct top_link){
        .link = link,
        .shard = shard,
        .exchange = page->shards[shard].exchanges[link->exchange % STATISTICS_EXCHANGES_MAX].name,
        .rate = ringtape_page_rate(before, link->messages, top->over_ns),
        .age_ns = link->message_ns == 0 ? -1 : age_ns};
    top->link_count += top_wanted(top, out);
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int top_compare(const void *one, const void *two, void *context)
{
    const struct top_link *a = one;
    const struct top_link *b = two;
    int order = 0;
    switch (*(const enum top_sort *)context) {
    case TOP_BY_RATE: order = compare(b->rate, a->rate); break;
    case TOP_BY_AGE: order = compare((uint64_t)(b->age_ns + 1), (uint64_t)(a->age_ns + 1)); break;
    case TOP_BY_FIRST: order = compare(b->link->first, a->link->first); break;
    case TOP_BY_DOWNS: order = compare(b->link->downs, a->link->downs); break;
    case TOP_BY_NUMBER:
    case TOP_SORTS: break;
    }
    return order != 0 ? order : compare(a->link->number, b->link->number);
}

static void top_links(struct top *top)
{
    top->link_count = 0;
    for (uint32_t s = 0; s < top->page->head.shards; s++) {
        for (uint64_t i = 0; i < top->page->shards[s].link_count; i++)
            top_link(top, s, &top->page->shards[s].link[i]);
    }
    qsort_r(top->links, top->link_count, sizeof *top->links, top_compare, &top->sort);
}

// ---- drawing ----

__attribute__((format(printf, 3, 4))) static void draw(struct top *top,
                                                       enum ringtape_screen_style style,
                                                       const char *format, ...)
{
    char text[TOP_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ringtape_screen_put(top->line++, 0, style, text);
}

static void draw_head(struct top *top)
{
    const struct statistics_daemon *daemon = &top->page->daemon;
    char up[RINGTAPE_PAGE_TIME_BYTES], age[RINGTAPE_PAGE_TIME_BYTES];
    const bool bad = top->state == RINGTAPE_PAGE_DIED || top->state == RINGTAPE_PAGE_ENDED ||
                     top->state == RINGTAPE_PAGE_STALE;
    draw(top, bad ? SCREEN_BAD : SCREEN_BOLD,
         "ringtaped %.31s  %s  process %" PRIu64 "  up %s%s%s%s",
         daemon->version, bad ? "NOT RUNNING" : ringtape_page_state_text(top->state), daemon->pid,
         ringtape_page_time(up, top->page->head.time_ns - daemon->start_ns),
         bad ? "  page of " : "",
         bad ? ringtape_page_time(age, ringtape_now_ns() - top->page->head.time_ns) : "",
         bad ? " ago" : top->paused ? "  (stopped)" : "");
}

static void draw_troubles(struct top *top)
{
    char text[2048];
    char *rest = NULL;
    if (ringtape_page_troubles(top->page, text, sizeof text) == 0) return;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        draw(top, SCREEN_BAD, "! %s", line);
}

static const char *rate_text(const struct top *top, char out[RINGTAPE_TABLE_NUMBER_BYTES],
                             uint64_t before, uint64_t now)
{
    return ringtape_table_number(out, ringtape_page_rate(before, now, top->over_ns));
}

static void draw_counts(struct top *top)
{
    const struct ringtape_page_sum *now = &top->sum;
    const struct ringtape_page_sum *before = &top->sum_before;
    const struct statistics_daemon *daemon = &top->page->daemon;
    char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    char c[RINGTAPE_TABLE_NUMBER_BYTES], d[RINGTAPE_TABLE_NUMBER_BYTES];
    char time[RINGTAPE_PAGE_TIME_BYTES];
    draw(top, SCREEN_PLAIN, "messages %s/s  payload %s/s  rows %s/s  copies %s",
         rate_text(top, a, before->messages, now->messages),
         ringtape_table_bytes(b, ringtape_page_rate(before->bytes, now->bytes, top->over_ns)),
         rate_text(top, c, before->events, now->events),
         ringtape_table_number(d, now->copies));
    draw(top, SCREEN_PLAIN, "links %" PRIu64 "/%" PRIu64 " live  holes %" PRIu64 " open %" PRIu64
                            " lost  repaired %s  tape behind %s rows, %s",
         now->links_live, now->links, now->holes_open, now->holes_lost,
         ringtape_table_number(a, now->repaired), ringtape_table_number(b, now->lag_rows),
         ringtape_page_time(time, now->lag_ns));
    draw(top, SCREEN_PLAIN, "sealer %" PRIu64 " waiting  disk %s free  memory %s  alerts %" PRIu64,
         daemon->tapes_waiting, ringtape_table_bytes(a, daemon->disk_free_bytes),
         ringtape_table_bytes(b, daemon->rss_bytes), now->alerts);
}

// One of eight heights, by octaves: latencies differ by powers, not by sums.
static const char *spark_mark(int64_t ns, int64_t least_ns)
{
    static const char *const marks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    int height = 0;
    if (ns < 0) return " ";
    while (height < 7 && ns >= 2 * least_ns) {
        ns /= 2;
        height++;
    }
    return marks[height];
}

static void draw_spark(struct top *top, enum top_spark which)
{
    char line[TOP_SPARK * 4 + 1] = "", now[RINGTAPE_PAGE_TIME_BYTES];
    int64_t least_ns = INT64_MAX;
    size_t used = 0;
    for (uint32_t i = 0; i < top->sparks; i++) {
        const int64_t ns = top->spark_ns[which][i];
        if (ns >= 0 && ns < least_ns) least_ns = ns > 0 ? ns : 1;
    }
    if (least_ns == INT64_MAX) return;
    for (uint32_t i = 0; i < top->sparks; i++) {
        const char *mark = spark_mark(top->spark_ns[which][i], least_ns);
        const size_t size = strlen(mark);
        ensure(used + size < sizeof line);
        memcpy(line + used, mark, size + 1);
        used += size;
    }
    draw(top, SCREEN_PLAIN, "%-20s %10s  %s", spark_names[which],
         ringtape_page_time(now, top->spark_ns[which][top->sparks - 1]), line);
}

static void draw_channels(struct top *top)
{
    draw(top, SCREEN_BAR, "%-14s %-10s %12s %14s %10s %8s %6s", "EXCHANGE", "CHANNEL", "ROWS/S",
         "ROWS", "COPIES", "OPEN", "LOST");
    for (uint32_t e = 0; e < top->sum.exchange_count; e++) {
        for (int c = 1; c < CHANNEL_COUNT; c++) {
            const struct statistics_channel *now = &top->sum.exchange[e].channels[c];
            char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
            char d[RINGTAPE_TABLE_NUMBER_BYTES];
            if (now->events == 0 && now->duplicates == 0) continue;
            const uint64_t before = e < top->sum_before.exchange_count
                                        ? top->sum_before.exchange[e].channels[c].events
                                        : UINT64_MAX;
            draw(top, now->holes_open > 0 ? SCREEN_BOLD : SCREEN_PLAIN,
                 "%-14.14s %-10s %12s %14s %10s %8" PRIu64 " %6" PRIu64,
                 top->sum.exchange[e].name, channel_schema((enum channel)c)->name,
                 rate_text(top, a, before, now->events), ringtape_table_number(b, now->events),
                 ringtape_table_number(d, now->duplicates), now->holes_open, now->holes_lost);
        }
    }
}

static void draw_links(struct top *top, int lines)
{
    draw(top, SCREEN_BAR, "%8s %5s %-14s %4s %-13s %8s %10s %12s %6s %5s %s", "LINK", "SHARD",
         "EXCHANGE", "COPY", "STATE", "STREAMS", "MSG/S", "LAST", "FIRST", "LOST", "ADDRESS");
    for (uint32_t i = 0; i < top->link_count && top->line < lines - 1; i++) {
        const struct top_link *at = &top->links[i];
        const struct statistics_link *link = at->link;
        const uint64_t both = link->first + link->second;
        char a[RINGTAPE_TABLE_NUMBER_BYTES], age[RINGTAPE_PAGE_TIME_BYTES];
        draw(top, link->live_ns != 0 ? SCREEN_PLAIN : SCREEN_BAD,
             "%8" PRIu32 " %5" PRIu32 " %-14.14s %4u %-13s %8" PRIu32 " %10s %12s %5" PRIu64
             "%% %5" PRIu64 " %.47s",
             link->number, at->shard, at->exchange, link->copy, statistics_link_state(link->state),
             link->streams, ringtape_table_number(a, at->rate),
             ringtape_page_time(age, at->age_ns), both > 0 ? link->first * 100 / both : 0,
             link->downs, link->address);
    }
}

static void draw_foot(struct top *top, int lines)
{
    char text[TOP_LINE_BYTES];
    if (top->filtering)
        (void)snprintf(text, sizeof text, "filter: %s_  (Enter keeps it, Escape drops it)",
                       top->filter);
    else
        (void)snprintf(text, sizeof text, "q quit  s sort: %s  / filter%s%s  space stop",
                       sort_names[top->sort], top->filter[0] != '\0' ? ": " : "", top->filter);
    ringtape_screen_put(lines - 1, 0, SCREEN_DIM, text);
}

static void top_draw(struct top *top)
{
    int lines, columns;
    ringtape_screen_size(&lines, &columns);
    ringtape_screen_clear();
    top->line = 0;
    draw_head(top);
    draw_troubles(top);
    draw_counts(top);
    top->line++;
    for (int i = 0; i < TOP_SPARKS; i++) draw_spark(top, (enum top_spark)i);
    top->line++;
    draw_channels(top);
    top->line++;
    top_links(top);
    draw_links(top, lines);
    draw_foot(top, lines);
    ringtape_screen_show();
}

// ---- the loop ----

// False: there is no page any more; *exit_code says so.
static bool top_read(struct top *top, int *exit_code)
{
    struct statistics_page *page = NULL;
    uint32_t version;
    if (statistics_page_load(top->store, &page, &version) != STATISTICS_GOOD) {
        ringtape_screen_close(); // what is wrong is told on the terminal as it was
        page = ringtape_page_load(top->store, exit_code);
        free(page);
        return false;
    }
    top->state = ringtape_page_state(top->store, page, ringtape_now_ns());
    if (top->page != NULL && top->page->head.sequence == page->head.sequence &&
        top->page->daemon.start_ns == page->daemon.start_ns) {
        free(page); // still the same
        return true;
    }
    const bool same =
        top->page != NULL && top->page->daemon.start_ns == page->daemon.start_ns;
    free(top->before);
    top->before = top->page;
    top->page = page;
    top->sum_before = top->sum;
    top->over_ns = same ? page->head.monotonic_ns - top->before->head.monotonic_ns : 0;
    ringtape_page_sum(page, &top->sum);
    top_sparks(top, same);
    return true;
}

static void top_filter_key(struct top *top, int key)
{
    const size_t size = strlen(top->filter);
    if (key == '\n' || key == '\r') top->filtering = false;
    if (key == 27) {
        top->filter[0] = '\0';
        top->filtering = false;
    }
    if (key == SCREEN_BACKSPACE && size > 0) top->filter[size - 1] = '\0';
    if (key >= ' ' && key < 127 && size + 1 < sizeof top->filter) {
        top->filter[size] = (char)key;
        top->filter[size + 1] = '\0';
    }
}

// False: the end.
static bool top_key(struct top *top, int key)
{
    if (key == SCREEN_ENDED) return false;
    if (top->filtering) {
        top_filter_key(top, key);
        return true;
    }
    if (key == 's') top->sort = (enum top_sort)((top->sort + 1) % TOP_SORTS);
    if (key == '/') top->filtering = true;
    if (key == ' ') top->paused = !top->paused;
    return key != 'q' && key != 'Q';
}

static int top_run(struct top *top)
{
    int exit_code = RINGTAPE_EXIT_OK;
    if (!top_read(top, &exit_code)) return exit_code;
    if (!ringtape_screen_open()) {
        (void)ringtape_fail("top needs a terminal; 'ringtape status --store %s' prints the same "
                            "once, with --json for programs",
                            top->store);
        return RINGTAPE_EXIT_TERMINAL;
    }
    int64_t next_ns = ringtape_monotonic_ns();
    for (bool on = true; on;) {
        const int64_t now_ns = ringtape_monotonic_ns();
        if (now_ns >= next_ns) {
            next_ns = now_ns + TOP_EVERY_MS * 1000000ll;
            // Whoever restarts the daemon need not restart this.
            if (!top->paused && !top_read(top, &exit_code)) return exit_code;
        }
        top_draw(top);
        const int64_t left_ms = (next_ns - ringtape_monotonic_ns()) / 1000000;
        on = top_key(top, ringtape_screen_key(left_ms > 0 ? (int)left_ms : 0));
    }
    ringtape_screen_close();
    return exit_code;
}

int ringtape_top(int argc, char **argv)
{
    const char *store = "/var/lib/ringtape";
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &store, .value = "DIR",
         .help = "the store, default /var/lib/ringtape"},
    };
    const struct ringtape_usage usage = {
        .command = "top",
        .purpose = "What the daemon of a store does, live: rates, lags, holes, links, and 99 % of "
                   "each latency over\nthe last minute. Keys: q quits, s sorts the links, / "
                   "filters them, space stops. Exit code 2: no terminal.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    struct top *top = calloc(1, sizeof *top);
    if (top == NULL) return ringtape_fail("not enough memory");
    top->store = store;
    top->links = calloc(TOP_LINKS_MAX, sizeof *top->links);
    exit_code = top->links != NULL ? top_run(top) : ringtape_fail("not enough memory");
    free(top->links);
    free(top->page);
    free(top->before);
    free(top);
    return exit_code;
}
