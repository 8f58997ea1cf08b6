// SPDX-License-Identifier: GPL-3.0-or-later
//
// Configuration: defaults, every kind of mistake with its exact message, the reference held against
// docs/operating.md, damaged files that must never crash, and what counts as the same feed.
#include "control/config.h"
#include "control/config_value.h"
#include "control/options.h"

#include "protocol_random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define FEED "feeds:\n  - exchange: binance\n    channels: [trade]\n    symbols: [BTCUSDT]\n"

static struct config config;
static struct config_mistakes mistakes;

static bool parse(const char *text)
{
    return config_parse(&config, "r.yaml", text, strlen(text), &mistakes);
}

Test(config, all_but_the_feeds_has_defaults)
{
    cr_assert(parse(FEED), "%s", mistakes.text[0]);
    cr_assert_str_eq(config.store, "/var/lib/ringtape");
    cr_assert_eq(config.shards, 1);
    cr_assert_eq(config.commit_interval_ns, 5000000);
    cr_assert_eq(config.list_interval_ns, 300 * LIMIT_SECOND_NS);
    cr_assert_eq(config.seal_size_bytes, 32 << 20);
    cr_assert_eq(config.seal_time_ns, 600 * LIMIT_SECOND_NS);
    cr_assert_eq(config.log.all, LOG_LEVEL_INFO);
    cr_assert(config.report);
    static const struct retention_rules for_ever;
    cr_assert_eq(memcmp(&config.keep, &for_ever, sizeof for_ever), 0);
    cr_assert_eq(config.feed_count, 1);
    const struct config_feed *feed = &config.feeds[0];
    cr_assert_str_eq(feed->dialect->name, "binance");
    cr_assert_str_eq(feed->url_text, feed->dialect->url);
    cr_assert_str_eq(feed->rest_url_text, feed->dialect->rest_url);
    cr_assert(feed->url.tls && feed->rest_url.tls);
    cr_assert_eq(feed->redundancy, 1);
    cr_assert_eq(feed->links_max, 0);
    cr_assert_not(feed->keep_raw || feed->symbols_all);
    cr_assert_str_eq(feed->symbols[0].text, "BTCUSDT");
    config_free(&config);
}

Test(config, who_wants_latency_commits_sooner)
{
    const char *kafka = "kafka: {brokers: \"b:9092\", profile: ";
    char text[512];
    (void)snprintf(text, sizeof text, "%s%slatency}\n", FEED, kafka);
    cr_assert(parse(text), "%s", mistakes.text[0]);
    cr_assert_eq(config.commit_interval_ns, 2 * LIMIT_MILLISECOND_NS);
    config_free(&config);
    (void)snprintf(text, sizeof text, "%s%sthroughput}\n", FEED, kafka);
    cr_assert(parse(text), "%s", mistakes.text[0]);
    cr_assert_eq(config.commit_interval_ns, 5 * LIMIT_MILLISECOND_NS);
    config_free(&config);
    (void)snprintf(text, sizeof text, "%s%slatency}\ncommit_interval: 7ms\n", FEED, kafka);
    cr_assert(parse(text), "%s", mistakes.text[0]);
    cr_assert_eq(config.commit_interval_ns, 7 * LIMIT_MILLISECOND_NS);
    config_free(&config);
}

Test(config, every_key_is_read)
{
    cr_assert(parse("store: /s\nshards: 3\ncommit_interval: 20ms\nlist_interval: 7s\n"
                    "seal_after: {size: 1GiB, time: "
                    "2h}\nkeep: {age: 90d, size: 500GiB, channels: {depth: {age: 7d}, book: {size: "
                    "1TiB}}}\ndisk: {reserve: 2GiB}\nreport: off\n"
                    "log: {level: debug, link: error, reports: info}\n"
                    "feeds:\n  - symbols: "
                    "all\n    channels: [trade, kline_5m]\n    exchange: binance\n    url: "
                    "ws://[::1]:9000/x/\n    rest_url: "
                    "http://h\n    ca_file: /c.pem\n    redundancy: 2\n    max_links: 9\n    "
                    "keep_raw: true\n"),
              "%s", mistakes.text[0]);
    const struct config_feed *feed = &config.feeds[0];
    cr_assert_not(config.report);
    cr_assert(config.log.all == LOG_LEVEL_DEBUG && config.log.room[LOG_ROOM_LINK] == 1);
    cr_assert(config.log.room[LOG_ROOM_REPORTS] == LOG_LEVEL_INFO &&
              config.log.room[LOG_ROOM_FEED] == LOG_LEVEL_NONE);
    cr_assert(config.shards == 3 && config.commit_interval_ns == 20 * LIMIT_MILLISECOND_NS);
    cr_assert_eq(config.list_interval_ns, 7 * LIMIT_SECOND_NS);
    cr_assert_eq(config.keep.all.age_ns, 90 * 24 * LIMIT_HOUR_NS);
    cr_assert_eq(config.keep.all.size_bytes, 500ll << 30);
    cr_assert_eq(config.keep.channel[CHANNEL_DEPTH].age_ns, 7 * 24 * LIMIT_HOUR_NS);
    cr_assert_eq(config.keep.channel[CHANNEL_DEPTH].size_bytes, 0);
    cr_assert_eq(config.keep.channel[CHANNEL_BOOK].size_bytes, 1ll << 40);
    cr_assert_eq(config.keep.reserve_bytes, 2ll << 30);
    cr_assert(config.seal_size_bytes == 1 << 30 && config.seal_time_ns == 2 * LIMIT_HOUR_NS);
    cr_assert(feed->symbols_all && feed->channel_count == 2 && feed->keep_raw);
    cr_assert(feed->redundancy == 2 && feed->links_max == 9);
    cr_assert_str_eq(feed->url.host, "::1");
    cr_assert_str_eq(feed->url.authority, "[::1]:9000");
    cr_assert_str_eq(feed->url.path, "/x");
    cr_assert_eq(feed->rest_url.port, 80);
    config_free(&config);
}

Test(config, the_kafka_section_is_read)
{
    cr_assert(parse("kafka:\n  brokers: a:1,b:2\n  prefix: mine\n  topics: [trades, depth]\n"
                    "  value: avro\n  values: {depth: json}\n  profile: latency\n  queue: 8MiB\n"
                    "  tls: true\n  ca_file: /ca.pem\n  sasl: {mechanism: PLAIN, user: me, "
                    "password_file: /secret}\n  properties: {linger.ms: 50, batch.size: 16384}\n"
                    FEED),
              "%s", mistakes.text[0]);
    const struct config_kafka *kafka = &config.kafka;
    cr_assert_str_eq(kafka->options.brokers, "a:1,b:2");
    cr_assert_str_eq(kafka->options.prefix, "mine");
    cr_assert_eq(config_kafka_channels(kafka), 1u << CHANNEL_TRADE | 1u << CHANNEL_DEPTH);
    cr_assert_eq(config_kafka_format(kafka, CHANNEL_DEPTH), MESSAGE_JSON);
    cr_assert_eq(config_kafka_format(kafka, CHANNEL_TRADE), MESSAGE_AVRO);
    cr_assert(kafka->profile == KAFKA_LATENCY && kafka->options.queue_bytes == 8 << 20);
    cr_assert(kafka->options.tls && kafka->options.property_count == 2);
    cr_assert_str_eq(kafka->options.properties[1].name, "batch.size");
    cr_assert_str_eq(kafka->options.properties[1].value, "16384");
    cr_assert_str_eq(kafka->options.sasl_password_file, "/secret");
    config_free(&config);
    cr_assert(parse(FEED));
    cr_assert_str_eq(config.kafka.options.brokers, "");
    cr_assert_neq(config_kafka_channels(&config.kafka) >> CHANNEL_TRADE & 1, 0);
    config_free(&config);
}

Test(config, the_http_section_is_read_or_off)
{
    cr_assert(parse(FEED));
    cr_assert_not(config.http.off);
    cr_assert_str_eq(config.http.listen, "127.0.0.1:9464");
    cr_assert(config.http.address.port == 9464 && config.http.address.bytes[0] == 127);
    config_free(&config);
    cr_assert(parse("http: off\n" FEED));
    cr_assert(config.http.off);
    config_free(&config);
    cr_assert(parse("http: {listen: '[::1]:80', symbols: [binance:BTCUSDT, upbit:KRW-BTC]}\n" FEED),
              "%s", mistakes.text[0]);
    cr_assert(config.http.address.ipv6 && config.http.address.bytes[15] == 1);
    cr_assert_eq(config.http.symbols.count, 2);
    cr_assert_str_eq(config.http.symbols.name[1], "upbit:KRW-BTC");
    config_free(&config);
}

static uint32_t kafka_channels(const char *section)
{
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "kafka: {brokers: h, %s}\n" FEED, section);
    cr_assert(parse(whole), "%s", mistakes.text[0]);
    uint32_t channels = config_kafka_channels(&config.kafka);
    cr_assert_eq(config_kafka_format(&config.kafka, MESSAGE_BATCHES), MESSAGE_BATCH);
    config_free(&config);
    return channels;
}

Test(config, whole_batches_are_mirrored_where_they_are_asked_for)
{
    uint32_t batches = 1u << MESSAGE_BATCHES;
    cr_assert_eq(kafka_channels("queue: 1MiB") & batches, 0);
    cr_assert_eq(kafka_channels("value: batch"), batches);
    cr_assert_eq(kafka_channels("topics: [batches]"), batches);
    cr_assert_eq(kafka_channels("topics: [batches, alerts]"), batches | 1u << CHANNEL_ALERT);
}

static bool kafka_possible(const char *section, char *text)
{
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "kafka: {brokers: h, %s}\n" FEED, section);
    cr_assert(parse(whole), "%s", mistakes.text[0]);
    bool possible = config_kafka_possible(&config.kafka, text, 512);
    config_free(&config);
    return possible;
}

Test(config, what_librdkafka_would_refuse_is_told_before_it_runs)
{
    char text[512];
    cr_assert(kafka_possible("queue: 1MiB", text));
    cr_assert(kafka_possible("value: batch", text));
    cr_assert(kafka_possible("topics: [batches, trades], value: avro", text));
    cr_assert(kafka_possible("topics: [batches, trades], value: batch, values: {trades: json}",
                             text));
    cr_assert_not(kafka_possible("topics: [batches, trades], value: batch", text));
    cr_assert(strstr(text, "value: batch") != NULL, "%s", text);
    cr_assert_not(kafka_possible("properties: {linger.m: 5}", text));
    cr_assert(strstr(text, "linger.m") != NULL, "%s", text);
    cr_assert_not(kafka_possible("properties: {acks: 1}", text));
    cr_assert(strstr(text, "properties.acks") != NULL, "%s", text);
    cr_assert_not(kafka_possible("prefix: a b", text));
    cr_assert_not(kafka_possible("ca_file: /x", text));
    cr_assert_not(kafka_possible("sasl: {mechanism: PLAIN}", text));
    cr_assert_not(kafka_possible("sasl: {mechanism: PLAIN, user: u, password_file: /not/here}",
                                 text));
    cr_assert(strstr(text, "/not/here") != NULL, "%s", text);
    cr_assert_not(kafka_possible("tls: true, ca_file: /not/here.pem", text));
}

Test(config, secrets_of_librdkafka_have_no_place_in_the_configuration)
{
    static const char *const names[] = {
        "sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password",
        "sasl.oauthbearer.config", "sasl.oauthbearer.client.secret",
        // Of versions later than the oldest that is supported.
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.assertion.private.key.passphrase"};
    char section[128], text[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(section, sizeof section, "properties: {%s: Zm9y}", names[i]);
        cr_assert_not(kafka_possible(section, text), "%s", names[i]);
        cr_expect(strstr(text, names[i]) != NULL && strstr(text, "is a secret") != NULL, "%s",
                  text);
        cr_expect(strstr(text, "Zm9y") == NULL, "%s", text);
    }
    cr_assert(kafka_possible("properties: {sasl.username: u}", text), "%s", text);
}

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {"kafka: {value: xml}\n" FEED,
     "r.yaml:1: kafka.value: expected json, avro or batch, found \"xml\""},
    {"kafka: {values: {trades: batch}}\n" FEED,
     "r.yaml:1: kafka.values: expected topics with json or avro, like {depth: avro}, found "
     "\"trades\""},
    {"kafka: {topics: [trade]}\n" FEED,
     "r.yaml:1: kafka.topics: expected a list of topics, like [trades, candles, alerts], found "
     "\"trade\""},
    {"kafka: {broker: x}\n" FEED,
     "r.yaml:1: kafka: unknown key \"broker\"; there are brokers, prefix, topics, value, values, "
     "profile, queue, tls, ca_file, certificate_file, key_file, sasl, properties"},
    {"", "r.yaml:1: the file is empty: expected at least the key \"feeds\""},
    {"- a\n", "r.yaml:1: expected a mapping of keys and values, found a list"},
    {"store: /s\n", "r.yaml:1: the key \"feeds\" is missing: expected a list of feeds"},
    {"feeds: []\n", "r.yaml:1: feeds: expected 1 to 32 entries, found 0"},
    {"feeds: all\n", "r.yaml:1: feeds: expected a list of feeds, found \"all\""},
    {"feeds:\n", "r.yaml:1: feeds: expected a list of feeds, found nothing"},
    {FEED "shard: 2\n", "r.yaml:5: unknown key \"shard\"; there are store, shards, "
                        "commit_interval, seal_after, list_interval, keep, disk, candles, kafka, "
                        "alerts, alert_sinks, report, http, security, log, feeds"},
    {FEED "keep: 90d\n", "r.yaml:5: keep: expected a mapping of keys and values, found \"90d\""},
    {FEED "keep: {age: 90}\n",
     "r.yaml:5: keep.age: expected a duration from 1h to 36500d, like 90d, found \"90\""},
    {FEED "keep: {size: 5GB}\n",
     "r.yaml:5: keep.size: expected a size from 1MiB to 1024TiB, like 500GiB, found \"5GB\""},
    {FEED "keep: {channels: {book5: {age: 1d}}}\n",
     "r.yaml:5: keep.channels: expected a channel, like trade, depth or book, found \"book5\""},
    {FEED "keep: {channels: {book: {age: 1d}, book: {age: 2d}}}\n",
     "r.yaml:5: keep.channels.book: the key stands there twice"},
    {FEED "keep: {channels: {book: {days: 1}}}\n",
     "r.yaml:5: keep.channels.book: unknown key \"days\"; there are age, size"},
    {FEED "keep: {channels: [book]}\n",
     "r.yaml:5: keep.channels: expected channels with age and size, like {depth: {age: 7d}}, found "
     "a list"},
    {FEED "disk: {reserve: 0B}\n",
     "r.yaml:5: disk.reserve: expected a size from 1MiB to 1024TiB, like 1GiB, found \"0B\""},
    {FEED "shards: 0\n", "r.yaml:5: shards: expected a whole number from 1 to 64, found \"0\""},
    {FEED "shards: 1.5\n", "r.yaml:5: shards: expected a whole number from 1 to 64, found \"1.5\""},
    {FEED "shards: [1]\n", "r.yaml:5: shards: expected a whole number from 1 to 64, found a list"},
    {FEED "http: on\n", "r.yaml:5: http: expected `off`, or a mapping with listen and symbols, "
                        "found \"on\""},
    {FEED "http: {listen: localhost:1}\n",
     "r.yaml:5: http.listen: expected an address and a port, like 127.0.0.1:9464 or [::1]:9464, "
     "found \"localhost:1\""},
    {FEED "http: {symbols: [BTCUSDT]}\n",
     "r.yaml:5: http.symbols: expected a list of at most 64 symbols with their exchange, like "
     "[binance:BTCUSDT], found \"BTCUSDT\""},
    {FEED "shards: 1\nshards: 2\n", "r.yaml:6: shards: the key stands there twice"},
    {FEED "commit_interval: 5\n", "r.yaml:5: commit_interval: expected a duration from 100us to "
                                  "10s, like 5ms, found \"5\""},
    {FEED "commit_interval: 11s\n", "r.yaml:5: commit_interval: expected a duration from 100us to "
                                    "10s, like 5ms, found \"11s\""},
    {FEED "seal_after: 10m\n", "r.yaml:5: seal_after: expected a mapping of keys and values, found "
                               "\"10m\""},
    {FEED "seal_after:\n  size: 32MB\n", "r.yaml:6: seal_after.size: expected a size from 1MiB to "
                                         "1GiB, like 32MiB, found \"32MB\""},
    {FEED "log: {link: loud}\n",
     "r.yaml:5: log.link: expected error, warning, info or debug, found \"loud\""},
    {FEED "    keep_raw: yes\n", "r.yaml:5: feeds[0].keep_raw: expected true or false, found "
                                 "\"yes\""},
    {FEED "    redundancy: 9\n",
     "r.yaml:5: feeds[0].redundancy: expected a whole number from 1 to 4, found \"9\""},
    {FEED "    url: http://x\n", "r.yaml:5: feeds[0]: url: expected a URL beginning with wss:// or "
                                 "ws://, found \"http://x\""},
    {FEED "    rest_url: https://\n",
     "r.yaml:5: feeds[0]: rest_url: expected a host name or address, found \"https://\""},
    {FEED "    speed: 3\n", "r.yaml:5: feeds[0]: unknown key \"speed\"; there are exchange, "
                            "channels, symbols, url, rest_url, ca_file, pin_sha256, redundancy, "
                            "rest_weight, max_links, keep_raw"},
    {"feeds:\n  - exchange: kraken\n    channels: [trade]\n    symbols: all\n",
     "r.yaml:2: feeds[0].exchange: expected one of binance, binance-usdm, upbit, found "
     "\"kraken\""},
    {"feeds:\n  - channels: [trade]\n    symbols: all\n",
     "r.yaml:2: feeds[0]: the key \"exchange\" is missing: expected the name of an exchange"},
    {"feeds:\n  - exchange: upbit\n    channels: [trade, depth]\n    symbols: all\n",
     "r.yaml:3: feeds[0].channels[1]: expected a channel of upbit (trade, book, ticker), found "
     "\"depth\""},
    {"feeds:\n  - exchange: upbit\n    channels: [trade, trade]\n    symbols: all\n",
     "r.yaml:3: feeds[0].channels[1]: \"trade\" stands there twice"},
    {"feeds:\n  - exchange: upbit\n    channels: [trade]\n    symbols: KRW-BTC\n",
     "r.yaml:4: feeds[0].symbols: expected `all` or a list of symbols as the exchange spells "
     "them, like [BTCUSDT, ETHUSDT], found \"KRW-BTC\""},
    {"feeds:\n  - exchange: upbit\n    channels: [trade]\n    symbols: [KRW-BTC, \"a b\"]\n",
     "r.yaml:4: feeds[0].symbols[1]: expected a symbol as the exchange spells it, like BTCUSDT, "
     "found \"a b\""},
    {"feeds:\n  - exchange: upbit\n    channels: [trade]\n    symbols: [KRW-BTC, krw-btc]\n",
     "r.yaml:2: feeds[0]: symbol \"KRW-BTC\" stands there twice"},
    {FEED "    pin_sha256: [abc]\n",
     "r.yaml:5: feeds[0].pin_sha256: expected a list of at most 8 pins, each the base64 of 32 "
     "bytes (44 characters), found \"abc\""},
    {FEED "security: {seccomp: maybe}\n",
     "r.yaml:5: security.seccomp: expected strict or off, found \"maybe\""},
    {"feeds:\n  - exchange: upbit\n    channels: trade\n    symbols: [KRW-BTC]\n",
     "r.yaml:3: feeds[0].channels: expected a list of channels, found \"trade\""},
};

Test(config, a_mistake_names_file_line_key_and_what_was_expected)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_not(parse(wrong[i].text), "accepted: %s", wrong[i].text);
        cr_assert_str_eq(mistakes.text[0], wrong[i].message);
        cr_assert_eq(mistakes.count, 1, "%u mistakes, the second: %s", mistakes.count,
                     mistakes.text[1]);
    }
}

Test(config, broken_yaml_names_its_line)
{
    cr_assert_not(parse("feeds:\n  - exchange: [a\n"));
    cr_assert_eq(strncmp(mistakes.text[0], "r.yaml:3: ", 10), 0, "%s", mistakes.text[0]);
    cr_assert_not(parse("feeds: \xff\xfe\n"));
    cr_assert_eq(strncmp(mistakes.text[0], "r.yaml:", 7), 0, "%s", mistakes.text[0]);
}

Test(config, what_is_quoted_cannot_steer_a_terminal)
{
    cr_assert_not(parse("log: {level: \"a\\e[2J\\nb\\x7f\"}\n" FEED));
    cr_assert_str_eq(mistakes.text[0], "r.yaml:1: log.level: expected error, warning, info or "
                                       "debug, found \"a?[2J?b?\"");
}

Test(config, all_mistakes_are_told_at_once)
{
    cr_assert_not(parse("shards: x\nstore: [1]\nfeeds:\n  - exchange: binance\n    channels: [no, "
                        "trade, nope]\n    symbols: [BTCUSDT, ETH/USDT]\n    max_links: -1\n"));
    cr_assert_eq(mistakes.count, 6);
}

Test(config, a_file_that_cannot_be_read_is_a_mistake)
{
    cr_assert_not(config_read(&config, "/nowhere/r.yaml", &mistakes));
    cr_assert_str_eq(mistakes.text[0],
                     "/nowhere/r.yaml: cannot be opened: No such file or directory");
}

Test(config, damaged_files_never_crash)
{
    // Bytes of a good file are changed at random: it is read or refused, and nothing leaks.
    static const char good[] = FEED "shards: 2\nseal_after: {size: 2MiB, time: 1m}\n"
                                    "store: &a /s\nlog: {level: debug}\n";
    struct protocol_random random = random_start("config");
    for (int round = 0; round < 3000; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (int change = 0; change < 1 + round % 4; change++) {
            uint64_t draw = random_next(&random);
            text[draw % (sizeof good - 1)] = (char)(draw >> 32);
        }
        if (config_parse(&config, "r.yaml", text, sizeof good - 1, &mistakes))
            config_free(&config);
        else
            cr_assert_gt(mistakes.count, 0);
    }
}

Test(config, equal_feeds_are_told_from_changed_ones)
{
    static struct config other;
    static const char *const changed[] = {
        "feeds:\n  - exchange: binance\n    channels: [quote]\n    symbols: [BTCUSDT]\n",
        "feeds:\n  - exchange: binance\n    channels: [trade]\n    symbols: [ETHUSDT]\n",
        FEED "    redundancy: 2\n",
        FEED "    keep_raw: true\n",
        FEED "    ca_file: /x\n",
        FEED "    url: ws://h\n",
    };
    cr_assert(parse(FEED));
    cr_assert(config_parse(&other, "o", FEED "shards: 2\n", strlen(FEED "shards: 2\n"), &mistakes));
    cr_assert(config_feed_equal(&config.feeds[0], &other.feeds[0]));
    cr_assert_neq(config.hash, other.hash);
    config_free(&other);
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        cr_assert(config_parse(&other, "o", changed[i], strlen(changed[i]), &mistakes));
        cr_assert_not(config_feed_equal(&config.feeds[0], &other.feeds[0]), "%s", changed[i]);
        config_free(&other);
    }
    config_free(&config);
}

Test(config, the_reference_has_every_key)
{
    static char page[65536];
    FILE *file = fopen("docs/operating.md", "rb");
    cr_assert_not_null(file);
    size_t size = fread(page, 1, sizeof page - 1, file);
    (void)fclose(file);
    cr_assert_gt(size, 0);
    uint32_t count = 0;
    for (const char *key; (key = config_key(count)) != NULL; count++) {
        char quoted[64];
        (void)snprintf(quoted, sizeof quoted, "`%s`", key);
        cr_assert(strstr(page, quoted) != NULL, "docs/operating.md lacks %s", quoted);
    }
    cr_assert_eq(count, 85);
}

// ---- single values and the command line ----

static const struct {
    const char *text;
    int64_t ns; // -1: refused
} durations[] = {
    {"5ms", 5000000}, {"0s", 0},       {"1d", 86400000000000},        {"10m", 600000000000},
    {"7us", 7000},    {"9ns", 9},      {"2h", 7200000000000},         {"5", -1},
    {"ms", -1},       {"5 ms", -1},    {"5M", -1},                    {"-5ms", -1},
    {"1.5s", -1},     {"106752d", -1}, {"99999999999999999999s", -1}, {"", -1},
};

Test(config, durations_and_sizes_carry_exactly_one_unit)
{
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        int64_t ns = -1;
        cr_assert_eq(config_value_duration(durations[i].text, &ns), durations[i].ns >= 0);
        cr_assert_eq(ns, durations[i].ns, "%s", durations[i].text);
    }
    int64_t bytes = -1;
    cr_assert(config_value_size("32MiB", &bytes) && bytes == 32 << 20);
    cr_assert(config_value_size("1TiB", &bytes) && bytes == 1ll << 40);
    cr_assert(config_value_size("5B", &bytes) && bytes == 5);
    cr_assert_not(config_value_size("5MB", &bytes));
    cr_assert_not(config_value_size("5", &bytes));
    cr_assert_not(config_value_size("9999999999TiB", &bytes));
    cr_assert_eq(bytes, 5);
}

static const struct {
    const char *arguments[6];
    enum options_action action;
    const char *mistake;
} lines[] = {
    {{"r", "--config", "f"}, OPTIONS_RUN, ""},
    {{"r", "--config=f", "--check"}, OPTIONS_CHECK, ""},
    {{"r", "--config", "f", "--print-counters", "1s"}, OPTIONS_RUN, ""},
    {{"r", "--help"}, OPTIONS_HELP, ""},
    {{"r", "--version"}, OPTIONS_VERSION, ""},
    {{"r", "--help-config"}, OPTIONS_HELP_CONFIG, ""},
    {{"r"}, OPTIONS_MISTAKE, "is missing: --config FILE"},
    {{"r", "--check"}, OPTIONS_MISTAKE, "is missing: --config FILE"},
    {{"r", "--config"}, OPTIONS_MISTAKE, "needs a value: --config"},
    {{"r", "--config", "a", "--config", "b"}, OPTIONS_MISTAKE, "stands there twice: --config"},
    {{"r", "--confg", "a"}, OPTIONS_MISTAKE, "unknown option: --confg"},
    {{"r", "f.yaml"}, OPTIONS_MISTAKE, "unknown option: f.yaml"},
    {{"r", "--check", "--help"}, OPTIONS_MISTAKE, "does not go with what stands before it: --help"},
    {{"r", "--config", "f", "--print-counters", "1"},
     OPTIONS_MISTAKE,
     "--print-counters: expected a duration from 100ms, found: 1"},
};

Test(options, every_argument_is_understood_or_named)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct options options;
        char *arguments[6];
        int count = 0;
        for (; count < 6 && lines[i].arguments[count] != NULL; count++)
            arguments[count] = strdup(lines[i].arguments[count]);
        options_parse(&options, count, arguments);
        cr_assert_eq(options.action, lines[i].action, "line %zu: %s", i, options.mistake);
        if (options.action == OPTIONS_MISTAKE)
            cr_assert_str_eq(options.mistake, lines[i].mistake);
        for (int j = 0; j < count; j++) free(arguments[j]);
    }
}

// ---- candles ----

static bool candles_of(struct config *made, const char *keys)
{
    static struct config_mistakes found;
    char text[512];
    (void)snprintf(text, sizeof text,
                   "candles: {%s}\n"
                   "feeds:\n  - {exchange: binance, channels: [trade], symbols: [A]}\n",
                   keys);
    return config_parse(made, "c", text, strlen(text), &found);
}

Test(config, candles_have_intervals_in_order)
{
    cr_assert(candles_of(&config, ""));
    cr_assert_eq(config.candles.interval_count, 3);
    cr_assert_eq(config.candles.minutes[2], 15);
    cr_assert_lt(config.candles.grace_ns, 0);
    config_free(&config);
    cr_assert(candles_of(&config, "intervals: [1h, 3m, 1m], grace: 5s, empty: true"));
    cr_assert_eq(config.candles.interval_count, 3);
    cr_assert(config.candles.minutes[0] == 1 && config.candles.minutes[1] == 3 &&
              config.candles.minutes[2] == 60);
    cr_assert_eq(config.candles.grace_ns, 5000000000);
    cr_assert(config.candles.empty);
    config_free(&config);
    cr_assert(candles_of(&config, "intervals: []"));
    cr_assert_eq(config.candles.interval_count, 0);
    config_free(&config);
    cr_assert_not(candles_of(&config, "intervals: [7m]"));
    cr_assert_not(candles_of(&config, "intervals: [1m, 1m]"));
    cr_assert_not(candles_of(&config, "intervals: 1m"));
    cr_assert_not(candles_of(&config, "intervals: [[1m]]"));
    cr_assert_not(candles_of(&config, "grace: 2m"));
}
