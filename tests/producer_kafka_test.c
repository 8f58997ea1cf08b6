// SPDX-License-Identifier: GPL-3.0-or-later
//
// The producer against librdkafka's mock cluster, which takes any sequence of a producer, as a
// broker does of one it does not know.
#include <criterion/criterion.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "publish/producer_kafka.h"

enum { PRODUCE_KEY = 0, MESSAGES = 200, WAIT_S = 30 };

struct rig {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *cluster;
    struct kafka_options options;
    struct kafka_maker maker;
    struct producer *producer;
    int woken; // an eventfd
    uint32_t delivered;
    uint32_t failed;
    uint32_t under_way;
    uint32_t under_way_max_before_first; // while none was delivered
};

static void woken(void *context)
{
    struct rig *rig = context;
    uint64_t one = 1;
    cr_assert_eq(write(rig->woken, &one, sizeof one), (ssize_t)sizeof one);
}

static void wait_woken(struct rig *rig)
{
    struct pollfd poll_for = {.fd = rig->woken, .events = POLLIN};
    uint64_t count = 0;
    if (poll(&poll_for, 1, 100) == 1)
        cr_assert_eq(read(rig->woken, &count, sizeof count), (ssize_t)sizeof count);
}

static void property(struct kafka_options *options, const char *name, const char *value)
{
    struct kafka_property *one = &options->properties[options->property_count++];
    (void)snprintf(one->name, sizeof one->name, "%s", name);
    (void)snprintf(one->value, sizeof one->value, "%s", value);
}

// Each message is a request of its own, and five are under way at once where they may.
static void open_rig(struct rig *rig, int partitions)
{
    char text[512];
    rig->woken = eventfd(0, EFD_CLOEXEC);
    cr_assert_geq(rig->woken, 0);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rig->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(rig->host, "%s", text);
    rig->cluster = rd_kafka_mock_cluster_new(rig->host, 1);
    cr_assert_not_null(rig->cluster);
    cr_assert_eq(rd_kafka_mock_topic_create(rig->cluster, "p.trades", partitions, 1), 0);
    cr_assert_eq(rd_kafka_mock_broker_set_rtt(rig->cluster, 1, 20), 0);
    (void)snprintf(rig->options.brokers, sizeof rig->options.brokers, "%s",
                   rd_kafka_mock_cluster_bootstraps(rig->cluster));
    (void)snprintf(rig->options.prefix, sizeof rig->options.prefix, "p");
    rig->options.queue_bytes = 16 << 20;
    property(&rig->options, "batch.num.messages", "1");
    property(&rig->options, "retry.backoff.ms", "100");
    rig->maker = (struct kafka_maker){.options = &rig->options, .profile = KAFKA_LATENCY};
    int made = kafka_make(&rig->maker, woken, rig, &rig->producer, text, sizeof text);
    cr_assert_eq(made, 0, "%s", text);
}

static void close_rig(struct rig *rig)
{
    rig->producer->close(rig->producer);
    rd_kafka_mock_cluster_destroy(rig->cluster);
    rd_kafka_destroy(rig->host);
    (void)close(rig->woken);
}

static void reported(void *context, const struct producer_report *report)
{
    struct rig *rig = context;
    rig->under_way--;
    if (report->verdict == PRODUCER_DELIVERED) rig->delivered++;
    else rig->failed++;
}

static bool give(struct rig *rig, uint32_t number)
{
    char key[32];
    char value[32];
    const char *cause = "";
    int key_size = snprintf(key, sizeof key, "binance:S%u", number % 8);
    int value_size = snprintf(value, sizeof value, "%u", number);
    const struct producer_message message = {.channel = CHANNEL_TRADE,
                                             .key = key,
                                             .key_size = (uint32_t)key_size,
                                             .value = value,
                                             .value_size = (uint32_t)value_size,
                                             .identity = value,
                                             .identity_size = (uint32_t)value_size,
                                             .time_ms = 1700000000000,
                                             .tag = number};
    int result = rig->producer->produce(rig->producer, &message, &cause);
    cr_assert(result == 0 || result == -ENOBUFS, "%d %s", result, cause);
    if (result != 0) return false;
    rig->under_way++;
    if (rig->delivered == 0 && rig->under_way > rig->under_way_max_before_first)
        rig->under_way_max_before_first = rig->under_way;
    return true;
}

static void give_all(struct rig *rig)
{
    time_t end = time(NULL) + WAIT_S;
    uint32_t number = 0;
    while (rig->delivered < MESSAGES && time(NULL) < end) {
        while (number < MESSAGES && give(rig, number)) number++;
        (void)rig->producer->collect(rig->producer, 1000, reported, rig);
        wait_woken(rig);
    }
    cr_assert_eq(rig->delivered, MESSAGES, "%u delivered, %u failed", rig->delivered,
                 rig->failed);
}

// Numbers of each key must rise; returns how many messages there were.
static uint32_t read_back(struct rig *rig, int partitions)
{
    char text[512];
    long last[8];
    for (int k = 0; k < 8; k++) last[k] = -1;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", rig->options.brokers, text,
                                   sizeof text), RD_KAFKA_CONF_OK);
    cr_assert_eq(rd_kafka_conf_set(conf, "group.id", "g", text, sizeof text), RD_KAFKA_CONF_OK);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    cr_assert_not_null(consumer, "%s", text);
    (void)rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, "p.trades", p)->offset = 0;
    cr_assert_eq(rd_kafka_assign(consumer, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    uint32_t count = 0;
    time_t end = time(NULL) + WAIT_S;
    while (count < MESSAGES && time(NULL) < end) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, 100);
        if (m == NULL) continue;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            char value[32] = {0};
            memcpy(value, m->payload, m->len);
            long number = strtol(value, NULL, 10);
            cr_expect_gt(number, last[number % 8], "%ld came behind %ld", number,
                         last[number % 8]);
            last[number % 8] = number;
            count++;
        }
        rd_kafka_message_destroy(m);
    }
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return count;
}

static void turned_away(int partitions, size_t errors)
{
    struct rig *rig = calloc(1, sizeof *rig);
    cr_assert_not_null(rig);
    open_rig(rig, partitions);
    const rd_kafka_resp_err_t error[3] = {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                          RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                          RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION};
    rd_kafka_mock_push_request_errors_array(rig->cluster, PRODUCE_KEY, errors, error);
    give_all(rig);
    cr_expect_eq(rig->under_way_max_before_first, 1);
    cr_expect_eq(rig->failed, 0);
    cr_expect_eq(read_back(rig, partitions), MESSAGES);
    close_rig(rig);
    free(rig);
}

Test(producer_kafka, first_request_turned_away_keeps_the_order)
{
    turned_away(1, 1);
}

Test(producer_kafka, first_requests_of_several_partitions_turned_away_keep_the_order)
{
    turned_away(3, 3);
}
