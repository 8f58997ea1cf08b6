// SPDX-License-Identifier: GPL-3.0-or-later
//
// config: the daemon's configuration: read from YAML, checked against one table of keys, defaults
// for all but the feeds. A mistake names file, line, key path, what was expected and what was
// found; all mistakes (up to a bound) are reported at once. docs/operating.md is the reference; a
// test holds it to the table.
//
// Ownership: a struct config owns the symbol lists of its feeds; config_free() releases them.
// Threading: none; constant after reading.
#ifndef RINGTAPE_CONTROL_CONFIG_H
#define RINGTAPE_CONTROL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/symbols.h"
#include "base/url.h"
#include "control/config_http.h"
#include "control/config_kafka.h"
#include "control/config_sinks.h"
#include "control/sandbox.h"
#include "derive/alert.h"
#include "derive/candle.h"
#include "exchange/dialect.h"
#include "keep/retention.h"
#include "protocol/tls_pin.h"

enum { CONFIG_MISTAKE_BYTES = 511 };

struct config_symbol {
    char text[SYMBOL_NAME_BYTES_MAX + 1]; // the exchange's spelling, upper case
};

struct config_feed {
    const struct dialect *dialect;
    struct dialect_channel channels[LIMIT_FEED_CHANNELS];
    uint32_t channel_count;
    bool symbols_all;
    struct config_symbol *symbols; // owned; NULL with symbols_all
    uint32_t symbol_count;
    char url_text[LIMIT_URL_BYTES + 1];
    char rest_url_text[LIMIT_URL_BYTES + 1];
    struct url url;
    struct url rest_url;
    char ca_file[LIMIT_PATH_BYTES + 1]; // "": the system's trust
    struct tls_pins pins;
    uint32_t redundancy;
    uint32_t links_max; // 0: as many as needed
    uint32_t rest_weight; // 0: four fifths of the exchange's limit
    bool keep_raw;
    int line; // where it stands in the file
};

struct config_candles {
    uint32_t minutes[CANDLE_INTERVALS_MAX]; // rising
    uint32_t interval_count;
    int64_t grace_ns; // negative: by the exchange
    bool empty;
};

struct config {
    char store[LIMIT_PATH_BYTES + 1];
    uint32_t shards;
    int64_t commit_interval_ns;
    int64_t seal_size_bytes;
    int64_t seal_time_ns;
    int64_t list_interval_ns;
    struct retention_rules keep; // `keep` and `disk`
    struct config_candles candles;
    struct config_kafka kafka;
    struct alert_rules alerts;
    struct config_sinks sinks;
    bool report; // of each day that closes
    struct config_http http;
    struct log_levels log;
    struct config_security security;
    struct config_feed feeds[LIMIT_FEEDS];
    uint32_t feed_count;
    uint64_t hash; // XXH3-64 of the file's bytes
};

// What is wrong, each a whole sentence: "ringtaped.yaml:12: feeds[0].redundancy: expected ...".
struct config_mistakes {
    uint32_t count; // of all; the first LIMIT_CONFIG_MISTAKES have a text
    char text[LIMIT_CONFIG_MISTAKES][CONFIG_MISTAKE_BYTES + 1];
};

// True if `bytes` are a configuration without mistakes; else `config` holds nothing to free. `name`
// is the file's name for the messages.
bool config_parse(struct config *config, const char *name, const char *bytes, size_t size,
                  struct config_mistakes *mistakes);
// The same from a file; one that cannot be read is a mistake too. "-" is standard input.
bool config_read(struct config *config, const char *path, struct config_mistakes *mistakes);
void config_free(struct config *config);

// True if the feeds ask the same of the exchange, so that a reload leaves the links alone.
bool config_feed_equal(const struct config_feed *a, const struct config_feed *b);

// True if they differ by their symbols and REST alone: running links can be changed.
bool config_feed_links_equal(const struct config_feed *a, const struct config_feed *b);

// The reference of all keys, as text for a terminal.
void config_reference(FILE *out);
// The `index`-th key of the reference ("feeds[].exchange"), or NULL after the last.
const char *config_key(uint32_t index);

#endif
