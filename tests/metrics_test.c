// SPDX-License-Identifier: GPL-3.0-or-later
//
// The text for Prometheus: every metric once, told in docs/metrics.md, with the page's figures.
#include "control/metrics_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control_statistics.h"

static struct statistics_page *page;
static struct metrics_text text;

static void begin(void)
{
    page = calloc(1, statistics_page_bytes(2));
    page->head.shards = 2;
    page->head.time_ns = 1000 * 1000000000ll;
    page->head.monotonic_ns = 500 * 1000000000ll;
    for (int s = 0; s < 2; s++) {
        struct statistics_shard *shard = &page->shards[s];
        struct statistics_exchange *exchange = &shard->exchanges[s];
        shard->heartbeat_ns = page->head.monotonic_ns - 250000000;
        (void)snprintf(exchange->name, sizeof exchange->name, "binance"); // at different places
        exchange->channels[CHANNEL_TRADE].events = 1000 + (uint64_t)s;
        exchange->clock_known = 1;
        exchange->clock_offset_ns = s == 0 ? 2000000 : -1500000;
        histogram_add(&exchange->wire, 3000000);
        histogram_add(&shard->commit, 5000000);
    }
    page->shards[1].link_count = 1;
    page->shards[1].link[0] = (struct statistics_link){
        .number = 65536, .state = 6, .exchange = 1, .message_ns = page->head.time_ns - 1234567890};
    (void)snprintf(page->shards[1].link[0].address, 48, "1.2.3.4:\"5\\\n");
}

static void end(void)
{
    free(text.text);
    free(page);
}

// The text as a string.
static const char *made(void)
{
    cr_assert(metrics_text_make(page, &text));
    text.text = realloc(text.text, text.size + 1);
    text.text[text.size] = '\0';
    return text.text;
}

static uint32_t count_of(const char *where, const char *what)
{
    uint32_t count = 0;
    for (const char *at = where; (at = strstr(at, what)) != NULL; at++) count++;
    return count;
}

Test(metrics, every_metric_has_its_help_and_type_once, .init = begin, .fini = end)
{
    const char *all = made();
    uint32_t count = 0;
    for (const struct metric *metric = metrics_table; metric->name != NULL; metric++, count++) {
        char line[160];
        (void)snprintf(line, sizeof line, "# HELP %s ", metric->name);
        cr_assert_eq(count_of(all, line), 1, "%s", metric->name);
        const size_t size = strlen(metric->name);
        const bool total = size > 6 && strcmp(metric->name + size - 6, "_total") == 0;
        cr_assert_eq(total, metric->type == METRIC_COUNTER, "%s", metric->name);
        cr_assert_eq(metric->help[strlen(metric->help) - 1], '.', "%s", metric->name);
    }
    cr_assert_gt(count, 100);
    cr_assert_eq(count_of(all, "# TYPE "), count);
}

Test(metrics, the_page_of_the_documents_has_every_metric)
{
    static char document[65536];
    FILE *file = fopen("docs/metrics.md", "rb");
    cr_assert_not_null(file);
    (void)fread(document, 1, sizeof document - 1, file);
    (void)fclose(file);
    uint32_t count = 0;
    for (const struct metric *metric = metrics_table; metric->name != NULL; metric++, count++) {
        char quoted[128];
        (void)snprintf(quoted, sizeof quoted, "| `%s` |", metric->name + strlen("ringtape_"));
        cr_assert_eq(count_of(document, quoted), 1, "docs/metrics.md: %s", quoted);
    }
}

Test(metrics, figures_of_the_shards_are_added_up_by_the_name_of_the_exchange, .init = begin,
     .fini = end)
{
    const char *all = made();
    cr_assert_not_null(strstr(
        all, "\nringtape_events_total{exchange=\"binance\",channel=\"trade\"} 2001\n"));
    cr_assert_not_null(
        strstr(all, "\nringtape_exchange_clock_offset_seconds{exchange=\"binance\"} "
                    "-0.001500000\n"));
    cr_assert_not_null(strstr(all, "\nringtape_commit_latency_seconds_count 2\n"));
    cr_assert_not_null(strstr(all, "\nringtape_commit_latency_seconds_sum 0.010000000\n"));
    cr_assert_not_null(
        strstr(all, "\nringtape_commit_latency_seconds_bucket{le=\"+Inf\"} 2\n"));
    cr_assert_not_null(
        strstr(all, "\nringtape_shard_heartbeat_age_seconds{shard=\"1\"} 0.250000000\n"));
    cr_assert_null(strstr(all, "ringtape_topic_lag_rows{"), "no mirror, no topics");
}

Test(metrics, buckets_rise_and_have_exact_bounds, .init = begin, .fini = end)
{
    const char *at = made();
    uint64_t last = 0;
    double bound = 0;
    uint32_t count = 0;
    while ((at = strstr(at, "\nringtape_commit_latency_seconds_bucket{le=\"")) != NULL) {
        at += strlen("\nringtape_commit_latency_seconds_bucket{le=\"");
        char *rest;
        const double here = strtod(at, &rest);
        const uint64_t value = strtoull(strchr(rest, '}') + 1, NULL, 10);
        cr_assert(here > bound && value >= last);
        cr_assert_eq(value > 0, here > 0.005, "two values of 5 ms");
        bound = here;
        last = value;
        count++;
    }
    cr_assert(count > 30 && count < 60, "%u buckets", count);
    cr_assert_eq(last, 2);
}

Test(metrics, nothing_from_outside_ends_a_label, .init = begin, .fini = end)
{
    const char *all = made();
    cr_assert_not_null(
        strstr(all, "\nringtape_link_info{exchange=\"binance\",shard=\"1\",link=\"65536\","
                    "copy=\"0\",address=\"1.2.3.4:_5__\"} 1\n"));
    cr_assert_not_null(strstr(all, "\nringtape_link_live{exchange=\"binance\",shard=\"1\",link=\""
                                   "65536\"} 1\n"));
    cr_assert_not_null(strstr(all, "link=\"65536\"} 1.234567890\n"));
}

Test(metrics, readiness_says_what_is_missing, .init = begin, .fini = end)
{
    char why[1024];
    cr_assert(control_statistics_healthy(page, why, sizeof why));
    cr_assert_not(control_statistics_ready(page, why, sizeof why));
    cr_assert_not_null(strstr(why, "there are no links yet"));
    cr_assert_not_null(strstr(why, "shard 1: its tape cannot be written"));
    page->daemon.state = STATISTICS_RUNNING;
    for (int s = 0; s < 2; s++) {
        page->shards[s].tape_ready = 1;
        page->shards[s].streams_wanted = 3;
    }
    cr_assert(control_statistics_ready(page, why, sizeof why), "%s", why);
    page->shards[1].streams_dark = 1;
    cr_assert_not(control_statistics_ready(page, why, sizeof why));
    cr_assert_str_eq(why, "shard 1: 1 of 3 sets of links are not live\n");
    page->shards[1].heartbeat_ns -= 10 * LIMIT_SECOND_NS;
    cr_assert_not(control_statistics_healthy(page, why, sizeof why));
    cr_assert_str_eq(why, "shard 1 has not moved for 10 s\n");
    cr_assert_not(control_statistics_ready(page, why, sizeof why));
}
