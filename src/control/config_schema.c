// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_schema: see config_schema.h. Contract: every default of the tables is a value the same
// entry accepts (ensured when the defaults are set).
#include "control/config_schema.h"

#include "control/config.h"
#include "control/config_http.h"
#include "control/config_kafka.h"
#include "control/config_value.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct config_entry config_seal[] = {
    {"size", CONFIG_SIZE, offsetof(struct config, seal_size_bytes), 1 << 20, 1ll << 30, "32MiB",
     "a size from 1MiB to 1GiB, like 32MiB", "a tape goes to the sealer when it has this size ...",
     NULL},
    {"time", CONFIG_DURATION, offsetof(struct config, seal_time_ns), LIMIT_SECOND_NS,
     24 * LIMIT_HOUR_NS, "10m", "a duration from 1s to 24h, like 10m", "... or this age", NULL},
    {0},
};

// Ages are of whole days: what is younger than an hour would still be on tape.
#define CONFIG_KEEP_AGE(place)                                                                     \
    {"age", CONFIG_DURATION, place, LIMIT_HOUR_NS, 36500 * 24 * LIMIT_HOUR_NS, "",                 \
     "a duration from 1h to 36500d, like 90d",                                                     \
     "a day that ended longer ago is deleted; default: never", NULL}
#define CONFIG_KEEP_SIZE(place)                                                                    \
    {"size", CONFIG_SIZE, place, 1 << 20, 1ll << 50, "",                                           \
     "a size from 1MiB to 1024TiB, like 500GiB",                                                \
     "with more in segments the oldest day is deleted; default: any", NULL}

static const struct config_entry config_keep_channel[] = {
    CONFIG_KEEP_AGE(offsetof(struct retention_limits, age_ns)),
    CONFIG_KEEP_SIZE(offsetof(struct retention_limits, size_bytes)),
    {0},
};

static const struct config_entry config_keep[] = {
    CONFIG_KEEP_AGE(offsetof(struct config, keep.all.age_ns)),
    CONFIG_KEEP_SIZE(offsetof(struct config, keep.all.size_bytes)),
    {"channels", CONFIG_KEEP, offsetof(struct config, keep.channel), 0, 0, "",
     "channels with age and size, like {depth: {age: 7d}}",
     "the same for single channels; an age there is instead of the one above", config_keep_channel},
    {0},
};

static const struct config_entry config_disk[] = {
    {"reserve", CONFIG_SIZE, offsetof(struct config, keep.reserve_bytes), 1 << 20, 1ll << 50, "",
     "a size from 1MiB to 1024TiB, like 1GiB",
     "free space to keep: with less the oldest data goes where `keep` has a limit, with less than "
     "half of it channels pause; default: 1GiB, at most a quarter of what is free at the start",
     NULL},
    {0},
};

#define CONFIG_LOG_ROOM(name, which, help)                                                         \
    {name, CONFIG_LEVEL, offsetof(struct config, log.room[which]), 0, 0, "",                       \
     "error, warning, info or debug", help, NULL}

static const struct config_entry config_log[] = {
    {"level", CONFIG_LEVEL, offsetof(struct config, log.all), 0, 0, "info",
     "error, warning, info or debug", "of everything that has no level of its own", NULL},
    CONFIG_LOG_ROOM("control", LOG_ROOM_CONTROL, "start, end, configuration, signals"),
    CONFIG_LOG_ROOM("feed", LOG_ROOM_FEED, "what is recorded"),
    CONFIG_LOG_ROOM("link", LOG_ROOM_LINK, "connections and clocks"),
    CONFIG_LOG_ROOM("repair", LOG_ROOM_REPAIR, "coverage, holes, questions to REST"),
    CONFIG_LOG_ROOM("store", LOG_ROOM_STORE, "tapes, segments, the disk, closed days"),
    CONFIG_LOG_ROOM("kafka", LOG_ROOM_KAFKA, "the mirror"),
    CONFIG_LOG_ROOM("alerts", LOG_ROOM_ALERTS, "their delivery"),
    CONFIG_LOG_ROOM("reports", LOG_ROOM_REPORTS, "of days"),
    {0},
};

static const struct config_entry config_candles[] = {
    {"intervals", CONFIG_INTERVALS, offsetof(struct config, candles), 0, CANDLE_INTERVALS_MAX,
     "1m 5m 15m", "a list of whole minutes that divide a day, 1h at most, like [1m, 5m, 15m]",
     "lengths of the candles; []: none", NULL},
    {"grace", CONFIG_DURATION, offsetof(struct config, candles.grace_ns), 0, LIMIT_MINUTE_NS, "",
     "a duration from 0s to 1m, like 2s",
     "how long after its close a candle waits for late trades; default: 2s, upbit 3s", NULL},
    {"empty", CONFIG_BOOLEAN, offsetof(struct config, candles.empty), 0, 0, "false",
     "true or false", "rows for minutes without trades, too", NULL},
    {0},
};

#define CONFIG_RULE(member) offsetof(struct alert_rule, member)
const struct config_entry config_alert_keys[] = {
    {"kind", CONFIG_TEXT, CONFIG_RULE(name), 1, ALERT_NAME_BYTES - 1, NULL,
     "surge, crash, volume_burst, spread or silence", "what the rule looks for", NULL},
    {"rule", CONFIG_TEXT, CONFIG_RULE(name), 1, ALERT_NAME_BYTES - 1, "",
     "a name of at most 31 bytes", "its name in the alerts; default: the kind", NULL},
    {"match", CONFIG_TEXT, CONFIG_RULE(symbols), 1, ALERT_SYMBOLS_BYTES - 1, "*",
     "a symbol with its exchange, or its beginning and *, like binance:BTC*",
     "for which symbols", NULL},
    {"window", CONFIG_DURATION, CONFIG_RULE(window_ns), LIMIT_SECOND_NS, 24 * LIMIT_HOUR_NS, "",
     "a duration from 1s to 24h", "length of the window; spread and silence: how long it lasts",
     NULL},
    {"threshold", CONFIG_RATIO, CONFIG_RULE(threshold_ppm), 1, 1000000000000ll, "",
     "a percentage like 3% or a multiple like 20x",
     "surge, crash: return within the window; volume_burst: multiple of the usual; spread: of the "
     "middle price",
     NULL},
    {"scaled", CONFIG_RATIO, CONFIG_RULE(scaled_ppm), 0, 1000000000000ll, "",
     "a multiple like 8x; 0x: none",
     "the threshold is at least so many times the usual deviation (surge, crash), the usual spread",
     NULL},
    {"cooldown", CONFIG_DURATION, CONFIG_RULE(cooldown_ns), 0, 24 * LIMIT_HOUR_NS, "",
     "a duration from 0s to 24h", "least time between two alerts of a symbol", NULL},
    {"trades", CONFIG_INTEGER, CONFIG_RULE(trades_min), 0, 1000000000, "",
     "a whole number from 0 to 1000000000", "volume_burst: least number of trades in the window",
     NULL},
    {0},
};

const struct config_entry config_feed_keys[] = {
    {"exchange", CONFIG_EXCHANGE, offsetof(struct config_feed, dialect), 0, 0, NULL,
     "the name of an exchange", "whose market: binance, binance-usdm, upbit", NULL},
    {"channels", CONFIG_CHANNELS, 0, 1, LIMIT_FEED_CHANNELS, NULL, "a list of channels",
     "what to record: trade, agg_trade, quote, depth, book5, book10, book20, book, ticker, "
     "kline_1m ...; not every exchange has every one",
     NULL},
    {"symbols", CONFIG_SYMBOLS, 0, 1, LIMIT_FEED_SYMBOLS, NULL,
     "`all` or a list of symbols as the exchange spells them, like [BTCUSDT, ETHUSDT]",
     "of which instruments; `all` asks the exchange at start for those that trade", NULL},
    {"url", CONFIG_TEXT, offsetof(struct config_feed, url_text), 0, LIMIT_URL_BYTES, "",
     "a URL of at most 255 bytes", "WebSocket address, wss:// or ws://; default: the exchange's",
     NULL},
    {"rest_url", CONFIG_TEXT, offsetof(struct config_feed, rest_url_text), 0, LIMIT_URL_BYTES, "",
     "a URL of at most 255 bytes", "REST address, https:// or http://; default: the exchange's",
     NULL},
    {"ca_file", CONFIG_FILE, offsetof(struct config_feed, ca_file), 0, LIMIT_PATH_BYTES, "",
     CONFIG_FILE_EXPECTED, "PEM file of the certificates to trust; default: the system's", NULL},
    {"pin_sha256", CONFIG_NAMES, CONFIG_PUT_PIN, 0, TLS_PINS_MAX, "",
     "a list of at most 8 pins, each the base64 of 32 bytes (44 characters)",
     "SHA-256 of the public keys (RFC 7469, 2.4) one of which the server must have besides a good "
     "certificate; default: any",
     NULL},
    {"redundancy", CONFIG_INTEGER, offsetof(struct config_feed, redundancy), 1, LIMIT_REDUNDANCY,
     "1", "a whole number from 1 to 4", "copies of each subscription, each on a different link",
     NULL},
    {"rest_weight", CONFIG_INTEGER, offsetof(struct config_feed, rest_weight), 0, 100000000, "0",
     "a number from 0 to 100000000",
     "request weight a minute (Upbit: requests a second) that repair and audit may use of the "
     "exchange's REST limit; 0: four fifths of it",
     NULL},
    {"max_links", CONFIG_INTEGER, offsetof(struct config_feed, links_max), 0, LIMIT_LINKS, "0",
     "a whole number from 0 to 1024", "links the feed may use; 0: as many as it needs", NULL},
    {"keep_raw", CONFIG_BOOLEAN, offsetof(struct config_feed, keep_raw), 0, 0, "false",
     "true or false", "keep every message verbatim too, in the raw channel", NULL},
    {0},
};

const struct config_entry config_top[] = {
    {"store", CONFIG_TEXT, offsetof(struct config, store), 1, LIMIT_PATH_BYTES,
     "/var/lib/ringtape", "the path of a folder", "where everything is kept", NULL},
    {"shards", CONFIG_INTEGER, offsetof(struct config, shards), 1, LIMIT_SHARDS, "1",
     "a whole number from 1 to 64", "pinned threads; one carries the whole of Binance spot", NULL},
    {"commit_interval", CONFIG_DURATION, offsetof(struct config, commit_interval_ns),
     100 * LIMIT_MICROSECOND_NS, 10 * LIMIT_SECOND_NS, "",
     "a duration from 100us to 10s, like 5ms",
     "events are written together this often; default: 5ms, for Kafka's profile latency 2ms",
     NULL},
    {"seal_after", CONFIG_SECTION, 0, 0, 0, "", "a mapping with size and time",
     "when a tape is turned into segments", config_seal},
    {"list_interval", CONFIG_DURATION, offsetof(struct config, list_interval_ns), LIMIT_SECOND_NS,
     24 * LIMIT_HOUR_NS, "5m", "a duration from 1s to 24h, like 5m",
     "exchanges are asked this often what they list: new symbols join feeds with `symbols: all`",
     NULL},
    {"keep", CONFIG_SECTION, 0, 0, 0, "", "a mapping with age, size and channels",
     "what is deleted by itself", config_keep},
    {"disk", CONFIG_SECTION, 0, 0, 0, "", "a mapping with reserve", "what happens on a full disk",
     config_disk},
    {"candles", CONFIG_SECTION, 0, 0, 0, "", "a mapping with intervals, grace and empty",
     "what is made of trades", config_candles},
    {"kafka", CONFIG_SECTION, 0, 0, 0, "", "a mapping with brokers, prefix, ...",
     "a mirror of what is stored, in Kafka", config_kafka_keys},
    {"alerts", CONFIG_ALERTS, 0, 0, ALERT_RULES_MAX, "", "a list of rules",
     "what is alerted; default: docs/alerts.md; []: nothing", config_alert_keys},
    {"alert_sinks", CONFIG_SECTION, 0, 0, 0, "", "a mapping with webhook and command",
     "where alerts go at once, beside store and Kafka", config_sinks_keys},
    {"report", CONFIG_BOOLEAN, offsetof(struct config, report), 0, 0, "on", "on or off",
     "a report of each day that closes, in STORE/reports", NULL},
    {"http", CONFIG_SWITCH, CONFIG_PUT_HTTP_OFF, 0, 0, "",
     "`off`, or a mapping with listen and symbols",
     "metrics for Prometheus and health checks (docs/metrics.md)", config_http_keys},
    {"security", CONFIG_SECTION, 0, 0, 0, "", "a mapping with seccomp, landlock and root",
     "what the daemon gives up once it runs (docs/security.md); read at the start",
     config_security_keys},
    {"log", CONFIG_SECTION, 0, 0, 0, "", "a mapping with level, link, ...", "how much is logged",
     config_log},
    {"feeds", CONFIG_FEEDS, 0, 1, LIMIT_FEEDS, NULL, "a list of feeds", "what is recorded",
     config_feed_keys},
    {0},
};

// ---- values ----

static bool config_put_text(const struct config_entry *entry, const char *text, char *place)
{
    size_t size = strlen(text);
    if (size > (size_t)entry->max || size < (size_t)entry->min) return false;
    memcpy(place, text, size + 1);
    return true;
}

static bool config_put_level(const char *text, enum log_level *place)
{
    int level = log_level_by_name(text);
    if (level < 0) return false;
    *place = (enum log_level)level;
    return true;
}

static bool config_put_dialect(const char *text, const struct dialect **place)
{
    *place = dialect_by_name(text);
    return *place != NULL;
}

static bool config_put_integer(const struct config_entry *entry, const char *text, uint32_t *place)
{
    int64_t value = 0;
    if (!config_value_integer(text, &value) || !config_in(entry, value)) return false;
    *place = (uint32_t)value;
    return true;
}

int config_put_interval(struct config_candles *candles, const char *text, size_t size)
{
    const uint32_t minutes = candle_interval_minutes(text, size);
    uint32_t place = candles->interval_count;
    if (minutes == 0) return -EINVAL;
    while (place > 0 && candles->minutes[place - 1] > minutes) place--;
    if (place > 0 && candles->minutes[place - 1] == minutes) return -EEXIST;
    ensure(candles->interval_count < CANDLE_INTERVALS_MAX);
    memmove(candles->minutes + place + 1, candles->minutes + place,
            (candles->interval_count - place) * sizeof *candles->minutes);
    candles->minutes[place] = minutes;
    candles->interval_count++;
    return 0;
}

static void config_default_intervals(const struct config_entry *entry, void *base)
{
    struct config_candles *candles = (void *)((char *)base + entry->offset);
    candles->grace_ns = -1;
    for (const char *at = entry->standard; *at != '\0';) {
        const size_t size = strcspn(at, " ");
        const int error = config_put_interval(candles, at, size);
        ensure(error == 0);
        at += size;
        at += strspn(at, " ");
    }
}

static bool config_put_unit(const struct config_entry *entry, const char *text, int64_t *place)
{
    int64_t value = 0;
    bool good = entry->kind == CONFIG_SIZE    ? config_value_size(text, &value)
                : entry->kind == CONFIG_RATIO ? config_value_ratio(text, &value)
                                              : config_value_duration(text, &value);
    if (!good || !config_in(entry, value)) return false;
    *place = value;
    return true;
}

// A path of its own, or one below the folder of credentials.
static bool config_put_file(const struct config_entry *entry, const char *text, char *place)
{
    const size_t mark = sizeof CONFIG_FILE_CREDENTIAL - 1;
    if (strncmp(text, CONFIG_FILE_CREDENTIAL, mark) != 0)
        return config_put_text(entry, text, place);
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[2 * LIMIT_PATH_BYTES];
    if (folder == NULL || folder[0] != '/' || text[mark] == '\0') return false;
    const int size = snprintf(path, sizeof path, "%s/%s", folder, text + mark);
    return size > 0 && (size_t)size < sizeof path && config_put_text(entry, path, place);
}

bool config_put(const struct config_entry *entry, const char *text, void *base)
{
    void *place = (char *)base + entry->offset;
    switch (entry->kind) {
    case CONFIG_TEXT: return config_put_text(entry, text, place);
    case CONFIG_FILE: return config_put_file(entry, text, place);
    case CONFIG_LEVEL: return config_put_level(text, place);
    case CONFIG_EXCHANGE: return config_put_dialect(text, place);
    case CONFIG_SWITCH:
    case CONFIG_CHOICE: return config_put_special(entry, base, NULL, text);
    case CONFIG_BOOLEAN: return config_value_boolean(text, place);
    case CONFIG_INTEGER: return config_put_integer(entry, text, place);
    case CONFIG_DURATION:
    case CONFIG_RATIO:
    case CONFIG_SIZE: return config_put_unit(entry, text, place);
    case CONFIG_CHANNELS:
    case CONFIG_SYMBOLS:
    case CONFIG_INTERVALS:
    case CONFIG_NAMES:
    case CONFIG_PAIRS:
    case CONFIG_ALERTS:
    case CONFIG_SECTION:
    case CONFIG_FEEDS:
    case CONFIG_KEEP: break;
    }
    ensure(config_is_scalar(entry)); // a list or mapping has no text
    return false;
}

void config_defaults(const struct config_entry *keys, void *base)
{
    for (; keys->name != NULL; keys++) {
        if (keys->kind == CONFIG_SECTION || keys->kind == CONFIG_SWITCH)
            config_defaults(keys->keys, base);
        if (keys->kind == CONFIG_INTERVALS) config_default_intervals(keys, base);
        if (keys->standard == NULL || keys->standard[0] == '\0' || !config_is_scalar(keys))
            continue;
        bool good = config_put(keys, keys->standard, base);
        ensure(good);
    }
}

// ---- reference ----

static void config_reference_keys(FILE *out, const struct config_entry *keys, int indent)
{
    for (; keys->name != NULL; keys++) {
        bool has_default = keys->standard != NULL && keys->standard[0] != '\0';
        (void)fprintf(out, "%*s%s:%s%s%s%s\n", indent, "", keys->name,
                      keys->standard == NULL ? "  (required)" : "",
                      has_default ? "  (default " : "", has_default ? keys->standard : "",
                      has_default ? ")" : "");
        (void)fprintf(out, "%*s    %s\n%*s    expected: %s\n", indent, "", keys->help, indent, "",
                      keys->expected);
        if (keys->keys != NULL) config_reference_keys(out, keys->keys, indent + 4);
    }
}

void config_reference(FILE *out)
{
    ensure(out != NULL);
    config_reference_keys(out, config_top, 0);
}

static const char *config_key_of(const struct config_entry *keys, uint32_t *index)
{
    for (; keys->name != NULL; keys++) {
        if ((*index)-- == 0) return keys->name;
        const char *below = keys->keys != NULL ? config_key_of(keys->keys, index) : NULL;
        if (below != NULL) return below;
    }
    return NULL;
}

const char *config_key(uint32_t index)
{
    return config_key_of(config_top, &index);
}
