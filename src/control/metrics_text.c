// SPDX-License-Identifier: GPL-3.0-or-later
//
// metrics_text: see metrics_text.h. Contract: each metric has its HELP and TYPE once, its values
// behind them; labels are escaped; numbers are written from integers, exact to the nanosecond.
#include "control/metrics_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "publish/message.h"

enum { LABELS_BYTES = 256, LINK_IS_LIVE = 6, FIRST_ROOM = 64 << 10 };
// A bucket of the output for every half octave of these: 8 us to 34 s.
enum { BUCKET_FIRST_BITS = 13, BUCKET_LAST_BITS = 35, BUCKET_STEPS = 4 };
#define SECOND_NS ((uint64_t)1000000000)

struct metrics_sums { // over all shards
    uint32_t count;
    struct statistics_exchange exchange[METRICS_EXCHANGES_MAX];
    struct histogram decode;
    struct histogram commit;
};

struct metrics_work {
    const struct statistics_page *page;
    struct metrics_sums *sums;
    struct metrics_text *out;
    const struct metric *metric;
};

// ---- text ----

static bool text_room(struct metrics_text *out, size_t more)
{
    if (out->failed) return false;
    if (out->size + more <= out->room) return true;
    size_t room = out->room == 0 ? FIRST_ROOM : 2 * out->room;
    while (room < out->size + more) room *= 2;
    char *text = room <= METRICS_TEXT_BYTES_MAX ? realloc(out->text, room) : NULL;
    out->failed = text == NULL;
    if (out->failed) return false;
    out->text = text;
    out->room = room;
    return true;
}

void metrics_text_add(struct metrics_text *out, const char *format, ...)
{
    va_list arguments;
    if (!text_room(out, 1024)) return;
    va_start(arguments, format);
    const int size = vsnprintf(out->text + out->size, 1024, format, arguments);
    va_end(arguments);
    ensure(size >= 0 && size < 1024);
    out->size += (size_t)size;
}

// Nothing that comes from outside may end the quotes.
static void clean(char *out, size_t room, const char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < size && text[i] != '\0' && used + 1 < room; i++) {
        const unsigned char c = (unsigned char)text[i];
        out[used++] = c < 0x20 || c == '"' || c == '\\' || c == 0x7f ? '_' : text[i];
    }
    out[used] = '\0';
}

// ---- one value ----

static void add_name(struct metrics_work *work, const char *labels)
{
    metrics_text_add(work->out, "%s", work->metric->name);
    if (labels[0] != '\0') metrics_text_add(work->out, "{%s}", labels);
}

static void add_seconds(struct metrics_text *out, int64_t ns)
{
    const uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    metrics_text_add(out, "%s%" PRIu64 ".%09" PRIu64, ns < 0 ? "-" : "", size / SECOND_NS,
                     size % SECOND_NS);
}

static uint64_t word_at(const void *base, size_t offset)
{
    uint64_t word;
    memcpy(&word, (const char *)base + offset, sizeof word);
    return word;
}

static uint64_t plain_value(const struct metric *metric, const void *base)
{
    uint32_t number;
    const uint8_t byte = *((const uint8_t *)base + metric->offset);
    switch (metric->unit) {
    case METRIC_ONE: return 1;
    case METRIC_BYTE: return byte;
    case METRIC_IS_LIVE: return byte == LINK_IS_LIVE;
    case METRIC_LONG:
        memcpy(&number, (const char *)base + metric->offset, sizeof number);
        return number;
    case METRIC_WORD:
    case METRIC_SECONDS:
    case METRIC_TIME:
    case METRIC_AGE:
    case METRIC_BEAT: break;
    }
    return word_at(base, metric->offset);
}

// A time that is not known has no value.
static void add_value(struct metrics_work *work, const void *base, const char *labels)
{
    const struct metric *metric = work->metric;
    const struct statistics_head *head = &work->page->head;
    const uint64_t value = plain_value(metric, base);
    const int64_t ns = (int64_t)value;
    const bool age = metric->unit == METRIC_AGE || metric->unit == METRIC_BEAT;
    if (age && ns == 0) return;
    add_name(work, labels);
    metrics_text_add(work->out, " ");
    if (metric->unit == METRIC_AGE)
        add_seconds(work->out, statistics_age_ns(head->time_ns, ns));
    else if (metric->unit == METRIC_BEAT)
        add_seconds(work->out, statistics_age_ns(head->monotonic_ns, ns));
    else if (metric->unit == METRIC_SECONDS || metric->unit == METRIC_TIME)
        add_seconds(work->out, ns);
    else
        metrics_text_add(work->out, "%" PRIu64, value);
    metrics_text_add(work->out, "\n");
}

static void add_bucket(struct metrics_work *work, const char *labels, int64_t bound_ns,
                       uint64_t count)
{
    metrics_text_add(work->out, "%s_bucket{%s%sle=\"", work->metric->name, labels,
                     labels[0] != '\0' ? "," : "");
    if (bound_ns == INT64_MAX) metrics_text_add(work->out, "+Inf");
    else add_seconds(work->out, bound_ns);
    metrics_text_add(work->out, "\"} %" PRIu64 "\n", count);
}

static bool bucket_shown(uint32_t bucket)
{
    const uint32_t first = (BUCKET_FIRST_BITS - HISTOGRAM_FIRST_BITS) << HISTOGRAM_STEP_BITS;
    const uint32_t last = (BUCKET_LAST_BITS - HISTOGRAM_FIRST_BITS) << HISTOGRAM_STEP_BITS;
    return bucket == HISTOGRAM_BUCKETS - 1 ||
           (bucket >= first && bucket <= last && bucket % BUCKET_STEPS == 0);
}

static void add_histogram(struct metrics_work *work, const struct histogram *histogram,
                          const char *labels)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += histogram->bucket[i];
        if (bucket_shown(i)) add_bucket(work, labels, histogram_bound_ns(i), count);
    }
    const char *open = labels[0] != '\0' ? "{" : "";
    const char *shut = labels[0] != '\0' ? "}" : "";
    metrics_text_add(work->out, "%s_sum%s%s%s ", work->metric->name, open, labels, shut);
    add_seconds(work->out, (int64_t)histogram->sum_ns);
    metrics_text_add(work->out, "\n%s_count%s%s%s %" PRIu64 "\n", work->metric->name, open, labels,
                     shut, count);
}

static void add_any(struct metrics_work *work, const void *base, const char *labels)
{
    if (work->metric->type == METRIC_HISTOGRAM)
        add_histogram(work, (const void *)((const char *)base + work->metric->offset), labels);
    else
        add_value(work, base, labels);
}

// ---- groups ----

static void add_daemon(struct metrics_work *work)
{
    const struct statistics_daemon *daemon = &work->page->daemon;
    char labels[LABELS_BYTES] = "";
    char version[40], commit[40], tls[80];
    clean(version, sizeof version, daemon->version, sizeof daemon->version);
    clean(commit, sizeof commit, daemon->commit, sizeof daemon->commit);
    clean(tls, sizeof tls, daemon->tls, sizeof daemon->tls);
    if (work->metric->unit == METRIC_ONE &&
        work->metric->offset == offsetof(struct statistics_daemon, version))
        (void)snprintf(labels, sizeof labels, "version=\"%s\",commit=\"%s\",tls=\"%s\"", version,
                       commit, tls);
    else if (work->metric->unit == METRIC_ONE)
        (void)snprintf(labels, sizeof labels, "hash=\"%016" PRIx64 "\"", daemon->config_hash);
    add_value(work, daemon, labels);
}

static void add_threads(struct metrics_work *work)
{
    const struct statistics_daemon *daemon = &work->page->daemon;
    for (uint64_t i = 0; i < daemon->thread_count; i++) {
        char labels[LABELS_BYTES], name[20];
        clean(name, sizeof name, daemon->threads[i].name, sizeof daemon->threads[i].name);
        (void)snprintf(labels, sizeof labels, "thread=\"%s\"", name);
        add_value(work, &daemon->threads[i], labels);
    }
}

static void add_pauses(struct metrics_work *work)
{
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        add_name(work, "");
        metrics_text_add(work->out, "{channel=\"%s\"} %u\n", channel_schema((enum channel)c)->name,
                         (unsigned)(work->page->daemon.paused >> c & 1));
    }
}

static void add_shards(struct metrics_work *work)
{
    for (uint32_t s = 0; s < work->page->head.shards; s++) {
        char labels[LABELS_BYTES];
        (void)snprintf(labels, sizeof labels, "shard=\"%u\"", s);
        add_any(work, &work->page->shards[s], labels);
    }
}

static void add_exchanges(struct metrics_work *work)
{
    const bool offset = work->metric->offset == offsetof(struct statistics_exchange,
                                                         clock_offset_ns);
    for (uint32_t e = 0; e < work->sums->count; e++) {
        const struct statistics_exchange *exchange = &work->sums->exchange[e];
        char labels[LABELS_BYTES], name[STATISTICS_NAME_BYTES];
        if (strcmp(exchange->name, "ringtape") == 0 || (offset && !exchange->clock_known)) continue;
        clean(name, sizeof name, exchange->name, sizeof exchange->name);
        (void)snprintf(labels, sizeof labels, "exchange=\"%s\"", name);
        add_any(work, exchange, labels);
    }
}

static bool channel_seen(const struct statistics_channel *channel)
{
    const struct statistics_channel none = {0};
    return memcmp(channel, &none, sizeof none) != 0;
}

static void add_channels(struct metrics_work *work)
{
    for (uint32_t e = 0; e < work->sums->count; e++) {
        const struct statistics_exchange *exchange = &work->sums->exchange[e];
        char name[STATISTICS_NAME_BYTES];
        clean(name, sizeof name, exchange->name, sizeof exchange->name);
        for (int c = 1; c < CHANNEL_COUNT; c++) {
            char labels[LABELS_BYTES];
            if (!channel_seen(&exchange->channels[c])) continue;
            (void)snprintf(labels, sizeof labels, "exchange=\"%s\",channel=\"%s\"", name,
                           channel_schema((enum channel)c)->name);
            add_value(work, &exchange->channels[c], labels);
        }
    }
}

static void add_link(struct metrics_work *work, uint32_t shard, const struct statistics_link *link)
{
    char labels[LABELS_BYTES], name[STATISTICS_NAME_BYTES], address[64];
    const struct statistics_shard *of = &work->page->shards[shard];
    const uint32_t exchange = link->exchange % STATISTICS_EXCHANGES_MAX;
    clean(name, sizeof name, of->exchanges[exchange].name, STATISTICS_NAME_BYTES);
    clean(address, sizeof address, link->address, sizeof link->address);
    int size = snprintf(labels, sizeof labels, "exchange=\"%s\",shard=\"%u\",link=\"%u\"", name,
                        shard, link->number);
    if (work->metric->unit == METRIC_ONE)
        (void)snprintf(labels + size, sizeof labels - (size_t)size, ",copy=\"%u\",address=\"%s\"",
                       link->copy, address);
    add_value(work, link, labels);
}

static void add_links(struct metrics_work *work)
{
    for (uint32_t s = 0; s < work->page->head.shards; s++) {
        for (uint64_t i = 0; i < work->page->shards[s].link_count; i++)
            add_link(work, s, &work->page->shards[s].link[i]);
    }
}

static void add_symbol(struct metrics_work *work, const struct statistics_symbol *symbol)
{
    char name[sizeof symbol->name];
    clean(name, sizeof name, symbol->name, sizeof symbol->name);
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (symbol->events[c] == 0) continue;
        metrics_text_add(work->out, "%s{symbol=\"%s\",channel=\"%s\"} %" PRIu64 "\n",
                         work->metric->name, name, channel_schema((enum channel)c)->name,
                         symbol->events[c]);
    }
}

static void add_symbols(struct metrics_work *work)
{
    for (uint32_t s = 0; s < work->page->head.shards; s++) {
        for (uint64_t i = 0; i < work->page->shards[s].symbol_count; i++)
            add_symbol(work, &work->page->shards[s].symbol[i]);
    }
}

static void add_topics(struct metrics_work *work)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        char labels[LABELS_BYTES];
        const struct statistics_topic *topic = &work->page->mirror.topics[c];
        if (!topic->on) continue;
        (void)snprintf(labels, sizeof labels, "topic=\"%s\"",
                       message_topic((enum channel)c));
        add_value(work, topic, labels);
    }
}

static void add_sinks(struct metrics_work *work)
{
    static const char *const names[STATISTICS_SINKS] = {"kafka", "webhook", "command"};
    for (int i = 0; i < STATISTICS_SINKS; i++) {
        char labels[LABELS_BYTES];
        if (!work->page->sinks[i].on) continue;
        (void)snprintf(labels, sizeof labels, "sink=\"%s\"", names[i]);
        add_any(work, &work->page->sinks[i], labels);
    }
}

static void add_sum(struct metrics_work *work)
{
    const bool decode = work->metric->offset == offsetof(struct statistics_shard, decode);
    add_histogram(work, decode ? &work->sums->decode : &work->sums->commit, "");
}

static void add_group(struct metrics_work *work)
{
    switch (work->metric->group) {
    case METRIC_OF_DAEMON: add_daemon(work); return;
    case METRIC_OF_THREAD: add_threads(work); return;
    case METRIC_OF_PAUSE: add_pauses(work); return;
    case METRIC_OF_SHARD: add_shards(work); return;
    case METRIC_OF_EXCHANGE: add_exchanges(work); return;
    case METRIC_OF_CHANNEL: add_channels(work); return;
    case METRIC_OF_LINK: add_links(work); return;
    case METRIC_OF_SYMBOL: add_symbols(work); return;
    case METRIC_OF_MIRROR:
        if (work->page->mirror.on) add_any(work, &work->page->mirror, "");
        return;
    case METRIC_OF_TOPIC: add_topics(work); return;
    case METRIC_OF_SINK: add_sinks(work); return;
    case METRIC_OF_SHARDS: add_sum(work); return;
    }
}

// ---- sums ----

static struct statistics_exchange *sum_place(struct metrics_sums *sums, const char *name)
{
    for (uint32_t i = 0; i < sums->count; i++) {
        if (strncmp(sums->exchange[i].name, name, STATISTICS_NAME_BYTES) == 0)
            return &sums->exchange[i];
    }
    if (sums->count == METRICS_EXCHANGES_MAX) return NULL;
    struct statistics_exchange *place = &sums->exchange[sums->count++];
    memcpy(place->name, name, STATISTICS_NAME_BYTES);
    return place;
}

static void sum_exchange(struct statistics_exchange *sum, const struct statistics_exchange *more)
{
    const size_t words = sizeof sum->channels / (sizeof(uint64_t));
    uint64_t *to = (uint64_t *)(void *)sum->channels;
    const uint64_t *from = (const uint64_t *)(const void *)more->channels;
    for (size_t i = 0; i < words; i++) to[i] += from[i];
    if (more->clock_known && (!sum->clock_known || more->clock_offset_ns < sum->clock_offset_ns))
        sum->clock_offset_ns = more->clock_offset_ns;
    sum->clock_known |= more->clock_known;
    sum->clock_off |= more->clock_off;
    sum->unknown_keys += more->unknown_keys;
    histogram_merge(&sum->wire, &more->wire);
}

static void sum_up(const struct statistics_page *page, struct metrics_sums *sums)
{
    for (uint32_t s = 0; s < page->head.shards; s++) {
        const struct statistics_shard *shard = &page->shards[s];
        histogram_merge(&sums->decode, &shard->decode);
        histogram_merge(&sums->commit, &shard->commit);
        for (int e = 0; e < STATISTICS_EXCHANGES_MAX; e++) {
            if (shard->exchanges[e].name[0] == '\0') continue;
            struct statistics_exchange *place = sum_place(sums, shard->exchanges[e].name);
            if (place != NULL) sum_exchange(place, &shard->exchanges[e]);
        }
    }
}

bool metrics_text_make(const struct statistics_page *page, struct metrics_text *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct metrics_sums *sums = calloc(1, sizeof *sums);
    struct metrics_work work = {.page = page, .sums = sums, .out = out};
    memset(out, 0, sizeof *out);
    out->failed = sums == NULL;
    if (sums != NULL) sum_up(page, sums);
    for (const struct metric *metric = metrics_table; metric->name != NULL && !out->failed;
         metric++) {
        work.metric = metric;
        metrics_text_add(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                         metric->name, types[metric->type]);
        add_group(&work);
    }
    free(sums);
    if (!out->failed) return true;
    free(out->text);
    out->text = NULL;
    return false;
}
