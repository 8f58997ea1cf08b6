// SPDX-License-Identifier: GPL-3.0-or-later
//
// metrics_text: a statistics page as text for Prometheus (exposition format 0.0.4). Pure.
//
// One table (metrics_table.c) names every metric with its type, its help and its place in the page;
// docs/metrics.md is held to it by a test. Labels are exchange, channel, shard, link, topic, sink,
// thread, and symbol for those symbols that were asked for: their number is bounded by the
// configuration. Bounds: METRICS_TEXT_BYTES_MAX.
#ifndef RINGTAPE_CONTROL_METRICS_TEXT_H
#define RINGTAPE_CONTROL_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/statistics_page.h"

enum { METRICS_TEXT_BYTES_MAX = 64 << 20, METRICS_EXCHANGES_MAX = 16 };

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

// What there is one value for, and the labels it has.
enum metric_group {
    METRIC_OF_DAEMON,
    METRIC_OF_THREAD,
    METRIC_OF_PAUSE,    // channel
    METRIC_OF_SHARD,
    METRIC_OF_EXCHANGE, // all shards added up
    METRIC_OF_CHANNEL,  // exchange, channel; all shards added up
    METRIC_OF_LINK,
    METRIC_OF_SYMBOL,
    METRIC_OF_MIRROR,
    METRIC_OF_TOPIC,
    METRIC_OF_SINK,
    METRIC_OF_SHARDS,   // a histogram, all shards added up
};

enum metric_unit {
    METRIC_WORD,    // uint64_t
    METRIC_LONG,    // uint32_t
    METRIC_BYTE,    // uint8_t
    METRIC_SECONDS, // int64_t or uint64_t ns
    METRIC_TIME,    // int64_t ns UTC
    METRIC_AGE,     // int64_t ns UTC; seconds since then
    METRIC_BEAT,    // int64_t ns monotonic; seconds since then
    METRIC_IS_LIVE, // uint8_t state of a link
    METRIC_ONE,     // 1, for what is in the labels
};

struct metric {
    const char *name;
    const char *help;
    enum metric_type type;
    enum metric_unit unit;
    enum metric_group group;
    size_t offset; // in the struct of the group
};

extern const struct metric metrics_table[]; // a nameless one ends it

struct metrics_text {
    char *text; // malloc'ed; the reader's to free
    size_t size;
    size_t room;
    bool failed; // out of memory, or too long
};

// All of the page. False: no memory; text is NULL.
bool metrics_text_make(const struct statistics_page *page, struct metrics_text *out);

__attribute__((format(printf, 2, 3))) void metrics_text_add(struct metrics_text *out,
                                                            const char *format, ...);

#endif
