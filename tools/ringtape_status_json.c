// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_status_json: see ringtape_status_json.h. Durations are ns, as the page has them.
#include "tools/ringtape_status_json.h"

#include <string.h>

#include "format/event.h"
#include "tools/ringtape_json.h"

struct word { // one figure: its key and where it is
    const char *key;
    size_t offset;
};

// Each word of the table from `base`; a key with "_ns" behind it is signed.
static void json_words(struct ringtape_json *json, const struct word *words, const void *base)
{
    for (; words->key != NULL; words++) {
        uint64_t value;
        memcpy(&value, (const char *)base + words->offset, sizeof value);
        const size_t size = strlen(words->key);
        if (size > 3 && strcmp(words->key + size - 3, "_ns") == 0)
            ringtape_json_integer(json, words->key, (int64_t)value);
        else
            ringtape_json_count(json, words->key, value);
    }
}

#define WORD(structure, field) {#field, offsetof(struct structure, field)}

static void json_daemon(struct ringtape_json *json, const struct statistics_page *page,
                        enum ringtape_page_state state)
{
    static const struct word words[] = {
        WORD(statistics_daemon, pid), WORD(statistics_daemon, reloads),
        WORD(statistics_daemon, reloads_failed), WORD(statistics_daemon, feeds),
        WORD(statistics_daemon, feeds_waiting), WORD(statistics_daemon, feeds_failed),
        WORD(statistics_daemon, rss_bytes), WORD(statistics_daemon, disk_total_bytes),
        WORD(statistics_daemon, disk_free_bytes), WORD(statistics_daemon, disk_reserve_bytes),
        WORD(statistics_daemon, disk_low), WORD(statistics_daemon, tapes_waiting),
        WORD(statistics_daemon, tapes_sealed), WORD(statistics_daemon, tapes_damaged),
        WORD(statistics_daemon, tapes_kept), WORD(statistics_daemon, rows_sealed),
        WORD(statistics_daemon, segments), WORD(statistics_daemon, segments_deleted),
        WORD(statistics_daemon, segment_bytes), WORD(statistics_daemon, seal_failures), {0}};
    const struct statistics_daemon *daemon = &page->daemon;
    char hash[17];
    (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)daemon->config_hash);
    ringtape_json_text(json, "state", ringtape_page_state_text(state));
    ringtape_json_bool(json, "running",
                       state != RINGTAPE_PAGE_DIED && state != RINGTAPE_PAGE_ENDED);
    ringtape_json_time(json, "time", page->head.time_ns);
    ringtape_json_time(json, "start_time", daemon->start_ns);
    ringtape_json_text(json, "version", daemon->version);
    ringtape_json_text(json, "commit", daemon->commit);
    ringtape_json_text(json, "tls", daemon->tls);
    ringtape_json_text(json, "config_hash", hash);
    json_words(json, words, daemon);
    ringtape_json_array(json, "channels_paused");
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (daemon->paused >> c & 1)
            ringtape_json_text(json, NULL, channel_schema((enum channel)c)->name);
    }
    ringtape_json_array_end(json);
    ringtape_json_object(json, "thread_cpu_ns");
    for (uint64_t i = 0; i < daemon->thread_count; i++)
        ringtape_json_count(json, daemon->threads[i].name, daemon->threads[i].cpu_ns);
    ringtape_json_object_end(json);
}

static void json_troubles(struct ringtape_json *json, const struct statistics_page *page)
{
    static char text[16384];
    char *rest = NULL;
    (void)ringtape_page_troubles(page, text, sizeof text);
    ringtape_json_array(json, "troubles");
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        ringtape_json_text(json, NULL, line);
    ringtape_json_array_end(json);
}

static void json_sum(struct ringtape_json *json, const struct ringtape_page_sum *sum)
{
    static const struct word words[] = {
        WORD(ringtape_page_sum, links), WORD(ringtape_page_sum, links_live),
        WORD(ringtape_page_sum, sets), WORD(ringtape_page_sum, sets_dark),
        WORD(ringtape_page_sum, messages), WORD(ringtape_page_sum, bytes),
        WORD(ringtape_page_sum, events), WORD(ringtape_page_sum, durable),
        WORD(ringtape_page_sum, raw), WORD(ringtape_page_sum, refused),
        WORD(ringtape_page_sum, paused), WORD(ringtape_page_sum, repaired),
        WORD(ringtape_page_sum, copies), WORD(ringtape_page_sum, unknown_keys),
        WORD(ringtape_page_sum, holes_open), WORD(ringtape_page_sum, holes_opened),
        WORD(ringtape_page_sum, holes_repaired), WORD(ringtape_page_sum, holes_lost),
        WORD(ringtape_page_sum, candles), WORD(ringtape_page_sum, alerts),
        WORD(ringtape_page_sum, lag_rows), WORD(ringtape_page_sum, lag_bytes),
        WORD(ringtape_page_sum, lag_ns), WORD(ringtape_page_sum, overflows),
        WORD(ringtape_page_sum, no_buffers), WORD(ringtape_page_sum, failures), {0}};
    json_words(json, words, sum);
}

static void json_histogram(struct ringtape_json *json, const char *key,
                           const struct histogram *histogram)
{
    static const struct {
        const char *key;
        uint32_t share;
    } shares[] = {{"p50_ns", 500000}, {"p90_ns", 900000}, {"p99_ns", 990000}, {"p999_ns", 999000}};
    ringtape_json_object(json, key);
    ringtape_json_count(json, "count", histogram_count(histogram));
    ringtape_json_count(json, "sum_ns", histogram->sum_ns);
    ringtape_json_integer(json, "max_ns", histogram->max_ns);
    for (size_t i = 0; i < sizeof shares / sizeof *shares && histogram_count(histogram) > 0; i++)
        ringtape_json_integer(json, shares[i].key,
                              histogram_quantile_ns(histogram, shares[i].share));
    ringtape_json_object_end(json);
}

static void json_exchange(struct ringtape_json *json, const struct statistics_exchange *exchange)
{
    static const struct word words[] = {
        WORD(statistics_channel, events), WORD(statistics_channel, duplicates),
        WORD(statistics_channel, repaired), WORD(statistics_channel, refused),
        WORD(statistics_channel, holes_open), WORD(statistics_channel, holes_opened),
        WORD(statistics_channel, holes_repaired), WORD(statistics_channel, holes_lost), {0}};
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "exchange", exchange->name);
    ringtape_json_count(json, "unknown_keys", exchange->unknown_keys);
    if (exchange->clock_known)
        ringtape_json_integer(json, "clock_offset_ns", exchange->clock_offset_ns);
    ringtape_json_bool(json, "clock_off", exchange->clock_off != 0);
    json_histogram(json, "wire_latency", &exchange->wire);
    ringtape_json_object(json, "channels");
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct statistics_channel *channel = &exchange->channels[c];
        if (channel->events + channel->duplicates + channel->refused + channel->holes_opened == 0)
            continue;
        ringtape_json_object(json, channel_schema((enum channel)c)->name);
        json_words(json, words, channel);
        ringtape_json_object_end(json);
    }
    ringtape_json_object_end(json);
    ringtape_json_object_end(json);
}

static void json_link(struct ringtape_json *json, const struct statistics_page *page,
                      uint32_t shard, const struct statistics_link *link)
{
    static const struct word words[] = {
        WORD(statistics_link, messages), WORD(statistics_link, bytes),
        WORD(statistics_link, lives), WORD(statistics_link, downs),
        WORD(statistics_link, first), WORD(statistics_link, second),
        WORD(statistics_link, lost), {0}};
    ringtape_json_object(json, NULL);
    ringtape_json_count(json, "link", link->number);
    ringtape_json_count(json, "shard", shard);
    ringtape_json_text(
        json, "exchange",
        page->shards[shard].exchanges[link->exchange % STATISTICS_EXCHANGES_MAX].name);
    ringtape_json_text(json, "state", statistics_link_state(link->state));
    ringtape_json_count(json, "copy", link->copy);
    ringtape_json_count(json, "streams", link->streams);
    json_words(json, words, link);
    if (link->message_ns != 0)
        ringtape_json_integer(json, "message_age_ns", page->head.time_ns - link->message_ns);
    ringtape_json_text(json, "address", link->address);
    ringtape_json_object_end(json);
}

static void json_links(struct ringtape_json *json, const struct statistics_page *page)
{
    ringtape_json_array(json, "link_list");
    for (uint32_t s = 0; s < page->head.shards; s++) {
        for (uint64_t i = 0; i < page->shards[s].link_count; i++)
            json_link(json, page, s, &page->shards[s].link[i]);
    }
    ringtape_json_array_end(json);
}

static void json_mirror(struct ringtape_json *json, const struct statistics_mirror *mirror)
{
    static const struct word words[] = {
        WORD(statistics_topic, delivered), WORD(statistics_topic, refused),
        WORD(statistics_topic, lag_rows), WORD(statistics_topic, lag_bytes),
        WORD(statistics_topic, lag_ns), WORD(statistics_topic, lag_tapes),
        WORD(statistics_topic, stuck), {0}};
    if (!mirror->on) return;
    ringtape_json_object(json, "mirror");
    ringtape_json_count(json, "confirmed", mirror->delivered);
    ringtape_json_count(json, "refused", mirror->refused);
    ringtape_json_count(json, "in_flight", mirror->in_flight);
    json_histogram(json, "latency", &mirror->latency);
    ringtape_json_object(json, "topics");
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (!mirror->topics[c].on) continue;
        ringtape_json_object(json, c == 0 ? "batches" : channel_schema((enum channel)c)->name);
        json_words(json, words, &mirror->topics[c]);
        ringtape_json_object_end(json);
    }
    ringtape_json_object_end(json);
    ringtape_json_object_end(json);
}

static void json_sinks(struct ringtape_json *json, const struct statistics_page *page)
{
    static const char *const names[STATISTICS_SINKS] = {"kafka", "webhook", "command"};
    static const struct word words[] = {
        WORD(statistics_sink, offered), WORD(statistics_sink, sent),
        WORD(statistics_sink, failed), WORD(statistics_sink, dropped), {0}};
    ringtape_json_object(json, "alert_sinks");
    for (int i = 0; i < STATISTICS_SINKS; i++) {
        if (!page->sinks[i].on) continue;
        ringtape_json_object(json, names[i]);
        json_words(json, words, &page->sinks[i]);
        json_histogram(json, "latency", &page->sinks[i].latency);
        ringtape_json_object_end(json);
    }
    ringtape_json_object_end(json);
}

void ringtape_status_json(const struct statistics_page *page, const struct ringtape_page_sum *sum,
                          enum ringtape_page_state state)
{
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    json_daemon(&json, page, state);
    json_troubles(&json, page);
    json_sum(&json, sum);
    json_histogram(&json, "decode_latency", &sum->decode);
    json_histogram(&json, "commit_latency", &sum->commit);
    ringtape_json_array(&json, "exchanges");
    for (uint32_t e = 0; e < sum->exchange_count; e++) json_exchange(&json, &sum->exchange[e]);
    ringtape_json_array_end(&json);
    json_links(&json, page);
    json_mirror(&json, &page->mirror);
    json_sinks(&json, page);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}
