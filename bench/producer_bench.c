// SPDX-License-Identifier: GPL-3.0-or-later
//
// How fast is librdkafka alone? One loop that produces messages made beforehand, as the library's
// own rdkafka_performance does: the mirror can never be faster. Bound: librdkafka's CPU time a
// message, all its threads together.
//
//     producer_bench [--smoke] [--brokers=ADDRESS --topic=NAME] [--messages=N] [--headers=0|1|3]
//                    [--input=FILE] [--set=NAME=VALUE]...
//
// Without --brokers librdkafka's mock cluster takes them, in the same process: its time counts.
// --input: messages as bench/mirror.py writes them, again and again; otherwise trades like
// Binance's. Three headers are those of the mirror (docs/kafka.md), one is the identity alone.
// Settings are the mirror's, in its profile `throughput`; --set changes them.
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "publish/producer_kafka.h"

enum { MESSAGES_MAX = 100000, MADE = 10000, TEXT_BYTES = 512 };

struct message {
    const uint8_t *key;
    const uint8_t *value;
    const uint8_t *identity;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t identity_size;
};

struct options {
    const char *brokers; // NULL: the mock cluster
    const char *topic;
    const char *input;
    long messages; // 0: as is fit
    int headers;
};

static struct message messages[MESSAGES_MAX];
static uint32_t message_count;
static uint64_t delivered;
static uint64_t failed;

// ---- messages ----

static uint8_t *file_bytes(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rbe");
    ensure(file != NULL && fseek(file, 0, SEEK_END) == 0);
    long end = ftell(file);
    ensure(end > 0 && fseek(file, 0, SEEK_SET) == 0);
    uint8_t *bytes = malloc((size_t)end);
    ensure(bytes != NULL && fread(bytes, 1, (size_t)end, file) == (size_t)end);
    (void)fclose(file);
    *size = (size_t)end;
    return bytes;
}

// Three sizes (32 bits, this machine's order), then key, value and identity.
static void read_messages(const char *path)
{
    size_t size = 0;
    const uint8_t *at = file_bytes(path, &size);
    const uint8_t *end = at + size;
    uint32_t sizes[3];
    while (at < end && message_count < MESSAGES_MAX) {
        ensure((size_t)(end - at) >= sizeof sizes);
        memcpy(sizes, at, sizeof sizes);
        at += sizeof sizes;
        ensure((size_t)(end - at) >= (size_t)sizes[0] + sizes[1] + sizes[2]);
        messages[message_count++] = (struct message){
            at, at + sizes[0], at + sizes[0] + sizes[1], sizes[0], sizes[1], sizes[2]};
        at += (size_t)sizes[0] + sizes[1] + sizes[2];
    }
}

static void make_message(uint32_t i)
{
    char *text = malloc(TEXT_BYTES);
    ensure(text != NULL);
    unsigned symbol = i * 7 % 50;
    unsigned long long time_us = 1795759162304898ull + i * 37ull;
    int key = snprintf(text, 32, "binance:COIN%uUSDT", symbol);
    int identity = snprintf(text + key, 32, "%u", 2234748348u + i);
    char *value = text + key + identity;
    int size = snprintf(
        value, TEXT_BYTES - 64,
        "{\"symbol\":\"binance:COIN%uUSDT\",\"time\":%llu000,\"receive_time\":%llu973,\"link\":0,"
        "\"flags\":0,\"event_time\":%llu000,\"trade_time\":%llu000,\"id\":%u,\"price\":\"%u.%02u\","
        "\"quantity\":\"0.%05u\",\"side\":\"%s\",\"best_match\":true}",
        symbol, time_us, time_us + 812, time_us, time_us, 2234748348u + i,
        50000 + i * 7919 % 1000, i % 100, i * 104729u % 100000, i % 3 == 0 ? "buy" : "sell");
    ensure(size > 0 && size < TEXT_BYTES - 64);
    messages[message_count++] = (struct message){
        (uint8_t *)text, (uint8_t *)value, (uint8_t *)text + key,
        (uint32_t)key, (uint32_t)size, (uint32_t)identity};
}

// ---- the producer ----

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[TEXT_BYTES];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK) return;
    (void)fprintf(stderr, "producer_bench: %s: %s\n", name, text);
    exit(64);
}

static void set_defaults(rd_kafka_conf_t *conf)
{
    static const char *const pairs[][2] = {
        {"enable.idempotence", "true"},
        {"enable.gapless.guarantee", "true"},
        {"message.timeout.ms", "0"},
        {"partitioner", "murmur2_random"},
        {"socket.nagle.disable", "true"},
        {"queue.buffering.max.messages", "250000"},
        {"queue.buffering.max.kbytes", "65536"},
        {"linger.ms", "10"},
        {"compression.type", "lz4"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) set(conf, pairs[i][0], pairs[i][1]);
}

static void reported(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    (void)context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) delivered++;
    else failed++;
}

static rd_kafka_headers_t *headers_of(const struct message *message, int count)
{
    if (count == 0) return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new((size_t)count);
    if (count == 3) {
        (void)rd_kafka_header_add(headers, "schema", 6, "trade.json", 10);
        (void)rd_kafka_header_add(headers, "version", 7, "1", 1);
    }
    (void)rd_kafka_header_add(headers, "identity", 8, message->identity,
                              (ssize_t)message->identity_size);
    return headers;
}

static void produce(rd_kafka_t *client, rd_kafka_topic_t *topic, const struct message *message,
                    int header_count)
{
    rd_kafka_headers_t *headers = headers_of(message, header_count);
    for (;;) {
        rd_kafka_resp_err_t error = rd_kafka_producev(
            client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(message->key, message->key_size),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value, message->value_size),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
        ensure(error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
        (void)rd_kafka_poll(client, 10);
    }
}

// ---- the measurement ----

static double seconds(clockid_t clock)
{
    struct timespec now;
    ensure(clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run(rd_kafka_t *client, rd_kafka_topic_t *topic, const struct options *options)
{
    double cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double wall_s = seconds(CLOCK_MONOTONIC);
    uint64_t bytes = 0;
    for (long i = 0; i < options->messages; i++) {
        const struct message *message = &messages[(uint32_t)i % message_count];
        produce(client, topic, message, options->headers);
        bytes += message->value_size;
        if (i % 1000 == 0) (void)rd_kafka_poll(client, 0);
    }
    (void)rd_kafka_flush(client, 120000);
    cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
    wall_s = seconds(CLOCK_MONOTONIC) - wall_s;
    const char *fixed = "\"bench\":\"producer\",\"case\":\"headers";
    (void)printf("{%s_%d\",\"metric\":\"messages_per_cpu_second\",\"value\":%.0f,"
                 "\"unit\":\"1/s\",\"spread\":null,\"peer\":null}\n",
                 fixed, options->headers, (double)delivered / cpu_s);
    (void)printf("{%s_%d\",\"metric\":\"messages_per_second\",\"value\":%.0f,"
                 "\"unit\":\"1/s\",\"spread\":null,\"peer\":null}\n",
                 fixed, options->headers, (double)delivered / wall_s);
    (void)printf("{%s_%d\",\"metric\":\"value_bytes\",\"value\":%.1f,"
                 "\"unit\":\"bytes\",\"spread\":null,\"peer\":null}\n",
                 fixed, options->headers, (double)bytes / (double)options->messages);
}

static const char *after(const char *argument, const char *name)
{
    size_t size = strlen(name);
    return strncmp(argument, name, size) == 0 ? argument + size : NULL;
}

static void set_pair(rd_kafka_conf_t *conf, const char *pair)
{
    char name[TEXT_BYTES];
    const char *value = strchr(pair, '=');
    ensure(value != NULL && value - pair < TEXT_BYTES);
    (void)snprintf(name, sizeof name, "%.*s", (int)(value - pair), pair);
    set(conf, name, value + 1);
}

static void parse(struct options *options, rd_kafka_conf_t *conf, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        const char *value = NULL;
        if ((value = after(arguments[i], "--brokers=")) != NULL) options->brokers = value;
        else if ((value = after(arguments[i], "--topic=")) != NULL) options->topic = value;
        else if ((value = after(arguments[i], "--input=")) != NULL) options->input = value;
        else if ((value = after(arguments[i], "--messages=")) != NULL)
            options->messages = strtol(value, NULL, 10);
        else if ((value = after(arguments[i], "--headers=")) != NULL)
            options->headers = (int)strtol(value, NULL, 10);
        else if ((value = after(arguments[i], "--set=")) != NULL) set_pair(conf, value);
        else if (strcmp(arguments[i], "--smoke") == 0) options->messages = 50000;
        else {
            (void)fprintf(stderr, "producer_bench: unknown argument %s\n", arguments[i]);
            exit(64);
        }
    }
    ensure(options->messages > 0);
    ensure(options->headers == 0 || options->headers == 1 || options->headers == 3);
}

int main(int count, char **arguments)
{
    struct options options = {.topic = "trades", .messages = 2000000};
    char text[TEXT_BYTES];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set_defaults(conf);
    parse(&options, conf, count, arguments);
    if (options.brokers != NULL) set(conf, "bootstrap.servers", options.brokers);
    else set(conf, "test.mock.num.brokers", "1");
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    if (options.input != NULL) read_messages(options.input);
    else
        for (uint32_t i = 0; i < MADE; i++) make_message(i);
    ensure(message_count > 0);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    ensure(client != NULL);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, options.topic, NULL);
    ensure(topic != NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(client, 0, topic, &metadata, 30000) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    run(client, topic, &options);
    bool good = delivered == (uint64_t)options.messages && failed == 0;
    (void)printf("{\"bench\":\"producer\",\"metric\":\"ok\",\"value\":%s}\n",
                 good ? "true" : "false");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return good ? 0 : 1;
}
