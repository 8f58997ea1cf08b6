// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_kafka: the keys of the section `kafka`; see config_kafka.h.
#include "control/config_kafka.h"

#include "control/config.h"
#include "control/config_http.h"
#include "control/sandbox.h"
#include "format/ensure.h"
#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(struct config, kafka.member)

static struct config_kafka *kafka_of(void *base)
{
    return &((struct config *)base)->kafka;
}

static bool put_profile(void *base, const char *unused, const char *text)
{
    (void)unused;
    if (strcmp(text, "throughput") != 0 && strcmp(text, "latency") != 0) return false;
    kafka_of(base)->profile = text[0] == 't' ? KAFKA_THROUGHPUT : KAFKA_LATENCY;
    return true;
}

static bool put_value(void *base, const char *unused, const char *text)
{
    (void)unused;
    enum message_format format = message_format_by_name(text);
    if (format == MESSAGE_FORMATS) return false;
    kafka_of(base)->value = format;
    return true;
}

// The channel whose topic is called so, MESSAGE_BATCHES, or CHANNEL_COUNT.
static enum channel channel_of_topic(const char *topic)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const char *name = message_topic((enum channel)c);
        if (name != NULL && strcmp(name, topic) == 0) return (enum channel)c;
    }
    return CHANNEL_COUNT;
}

static bool put_values(void *base, const char *topic, const char *text)
{
    enum channel channel = channel_of_topic(topic);
    enum message_format format = message_format_by_name(text);
    if (channel == CHANNEL_COUNT || channel == MESSAGE_BATCHES) return false;
    if (format != MESSAGE_JSON && format != MESSAGE_AVRO) return false;
    kafka_of(base)->values[channel] = (uint8_t)(format + 1);
    return true;
}

static bool put_topic(void *base, const char *unused, const char *text)
{
    (void)unused;
    enum channel channel = channel_of_topic(text);
    if (channel < CHANNEL_COUNT) kafka_of(base)->channels |= 1u << channel;
    return channel < CHANNEL_COUNT;
}

static bool put_property(void *base, const char *name, const char *text)
{
    struct kafka_options *options = &kafka_of(base)->options;
    struct kafka_property *property = &options->properties[options->property_count];
    if (options->property_count == KAFKA_PROPERTIES_MAX) return false;
    if (strlen(name) > KAFKA_PROPERTY_NAME_BYTES || strlen(text) > KAFKA_PROPERTY_VALUE_BYTES)
        return false;
    (void)snprintf(property->name, sizeof property->name, "%s", name);
    (void)snprintf(property->value, sizeof property->value, "%s", text);
    options->property_count++;
    return true;
}

enum { PUT_PROFILE, PUT_VALUE, PUT_VALUES, PUT_TOPIC, PUT_PROPERTY };

bool config_put_special(const struct config_entry *entry, void *base, const char *name,
                        const char *text)
{
    static bool (*const put[])(void *base, const char *name, const char *text) = {
        [PUT_PROFILE] = put_profile, [PUT_VALUE] = put_value,       [PUT_VALUES] = put_values,
        [PUT_TOPIC] = put_topic,     [PUT_PROPERTY] = put_property,
    };
    if (entry->offset == CONFIG_PUT_PIN)
        return tls_pin_add(&((struct config_feed *)base)->pins, text);
    if (entry->offset == CONFIG_PUT_SECCOMP) return sandbox_put(base, text);
    if (entry->offset >= CONFIG_PUT_HTTP_OFF) return config_http_put(entry, base, text);
    ensure(entry->offset < sizeof put / sizeof *put);
    return put[entry->offset](base, name, text);
}

static const struct config_entry config_sasl[] = {
    {"mechanism", CONFIG_TEXT, AT(options.sasl_mechanism), 0, KAFKA_NAME_BYTES, "",
     "a name like PLAIN or SCRAM-SHA-512", "how to log in; default: not at all", NULL},
    {"user", CONFIG_TEXT, AT(options.sasl_user), 0, KAFKA_NAME_BYTES, "",
     "a name of at most 63 bytes", "who", NULL},
    {"password_file", CONFIG_FILE, AT(options.sasl_password_file), 0, LIMIT_PATH_BYTES, "",
     CONFIG_FILE_EXPECTED, "a file with the password and nothing else", NULL},
    {0},
};

const struct config_entry config_kafka_keys[] = {
    {"brokers", CONFIG_TEXT, AT(options.brokers), 0, KAFKA_BROKERS_BYTES, "",
     "host:port, several with commas between", "where Kafka is; default: no mirror", NULL},
    {"prefix", CONFIG_TEXT, AT(options.prefix), 1, KAFKA_PREFIX_BYTES, "ringtape",
     "a name of letters, digits, '.', '_' and '-'", "of the topics: PREFIX.trades ...", NULL},
    {"topics", CONFIG_NAMES, PUT_TOPIC, 0, CHANNEL_COUNT, "",
     "a list of topics, like [trades, candles, alerts]",
     "what is mirrored; default: all but batches", NULL},
    {"value", CONFIG_CHOICE, PUT_VALUE, 0, 0, "json",
     "json, avro or batch", "how messages are written; batch: whole ones in PREFIX.batches", NULL},
    {"values", CONFIG_PAIRS, PUT_VALUES, 0, CHANNEL_COUNT, "",
     "topics with json or avro, like {depth: avro}", "the same for single topics", NULL},
    {"profile", CONFIG_CHOICE, PUT_PROFILE, 0, 0, "throughput", "throughput or latency",
     "what messages wait for: throughput gathers them for 10 ms, latency sends at once", NULL},
    {"queue", CONFIG_SIZE, AT(options.queue_bytes), 1 << 20, 1ll << 30, "64MiB",
     "a size from 1MiB to 1GiB, like 64MiB", "memory for messages under way", NULL},
    {"tls", CONFIG_BOOLEAN, AT(options.tls), 0, 0, "false", "true or false",
     "talk TLS to the brokers", NULL},
    {"ca_file", CONFIG_FILE, AT(options.ca_file), 0, LIMIT_PATH_BYTES, "", CONFIG_FILE_EXPECTED,
     "PEM file of the certificates to trust; default: the system's", NULL},
    {"certificate_file", CONFIG_FILE, AT(options.certificate_file), 0, LIMIT_PATH_BYTES, "",
     CONFIG_FILE_EXPECTED, "PEM file of the client's certificate", NULL},
    {"key_file", CONFIG_FILE, AT(options.key_file), 0, LIMIT_PATH_BYTES, "", CONFIG_FILE_EXPECTED,
     "PEM file of its key", NULL},
    {"sasl", CONFIG_SECTION, 0, 0, 0, "", "a mapping with mechanism, user and password_file",
     "logging in", config_sasl},
    {"properties", CONFIG_PAIRS, PUT_PROPERTY, 0, KAFKA_PROPERTIES_MAX, "",
     "names and values of librdkafka, like {linger.ms: 50}", "anything else librdkafka knows",
     NULL},
    {0},
};

static bool prefix_clean(const char *prefix)
{
    for (; *prefix != '\0'; prefix++) {
        bool letter = (*prefix | 0x20) >= 'a' && (*prefix | 0x20) <= 'z';
        bool digit = *prefix >= '0' && *prefix <= '9';
        if (!letter && !digit && strchr("._-", *prefix) == NULL) return false;
    }
    return true;
}

// Is there a topic of rows whose values would be whole batches?
static bool rows_as_batches(const struct config_kafka *kafka)
{
    uint32_t channels = config_kafka_channels(kafka);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (c != MESSAGE_BATCHES && (channels >> c & 1) != 0 &&
            config_kafka_format(kafka, (enum channel)c) == MESSAGE_BATCH)
            return true;
    }
    return false;
}

bool config_kafka_possible(const struct config_kafka *kafka, char *text, size_t text_size)
{
    const struct kafka_options *options = &kafka->options;
    const char *wrong = NULL;
    char cause[400];
    if (options->brokers[0] == '\0') return true;
    bool sasl = options->sasl_mechanism[0] != '\0';
    if (!prefix_clean(options->prefix))
        wrong = "prefix: expected a name of letters, digits, '.', '_' and '-'";
    else if (rows_as_batches(kafka))
        wrong = "value: batch is for the topic batches: give the other topics json or avro in "
                "`values`, or leave `topics` out";
    else if (!options->tls && (options->ca_file[0] != '\0' || options->key_file[0] != '\0' ||
                               options->certificate_file[0] != '\0'))
        wrong = "ca_file, certificate_file and key_file need tls: true";
    else if (sasl && (options->sasl_user[0] == '\0' || options->sasl_password_file[0] == '\0'))
        wrong = "sasl: needs user and password_file";
    else if (!kafka_options_possible(options, cause, sizeof cause))
        wrong = cause;
    if (wrong != NULL) (void)snprintf(text, text_size, "kafka: %s", wrong);
    return wrong == NULL;
}

uint32_t config_kafka_channels(const struct config_kafka *kafka)
{
    if (kafka->channels != 0) return kafka->channels;
    if (kafka->value == MESSAGE_BATCH) return 1u << MESSAGE_BATCHES;
    uint32_t channels = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (c != MESSAGE_BATCHES && message_topic((enum channel)c) != NULL) channels |= 1u << c;
    }
    return channels;
}

enum message_format config_kafka_format(const struct config_kafka *kafka, enum channel channel)
{
    ensure(channel < CHANNEL_COUNT);
    uint8_t own = kafka->values[channel];
    if (channel == MESSAGE_BATCHES) return MESSAGE_BATCH;
    return own == 0 ? kafka->value : (enum message_format)(own - 1);
}

void config_kafka_commit_interval(const struct config_kafka *kafka, int64_t *interval_ns)
{
    const bool on = kafka->options.brokers[0] != '\0';
    if (*interval_ns != 0) return;
    *interval_ns = (on && kafka->profile == KAFKA_LATENCY ? 2 : 5) * LIMIT_MILLISECOND_NS;
}
