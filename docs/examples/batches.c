// SPDX-License-Identifier: Apache-2.0
//
// batches BROKERS TOPIC PARTITION: channel, symbol, time, tape and tape_row of every row in a topic
// of whole batches (PREFIX.batches), each row once; ends with the partition.
//
//     cc batches.c $(pkg-config --cflags --libs ringtape rdkafka) -o batches
//
// A batch may bring rows again: it was written again with more of them, or sent again after a
// crash. Rows of a tape come in their order, so one number a tape tells what is new. Who keeps
// these numbers, and the message's offset, with what he made of the rows, may be killed at any
// time.
#include <librdkafka/rdkafka.h>
#include <ringtape/ringtape.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAPES = 4096 }; // the latest; batches of older ones come no more

struct tape {
    unsigned number;
    uint64_t next; // row
};

static struct tape tapes[TAPES];

static void print(const char *channel, const struct ringtape_chunk *chunk)
{
    for (uint32_t r = 0; r < chunk->rows; r++) {
        struct ringtape_text name = {"-", 1};
        if (chunk->symbol[r] != RINGTAPE_NO_SYMBOL)
            name = chunk->symbols[chunk->symbol[r]];
        printf("%s %.*s %lld %u %llu\n", channel, (int)name.size, name.bytes,
               (long long)chunk->time[r], chunk->tape[r], (unsigned long long)chunk->tape_row[r]);
    }
}

// The identity is STORE:TAPE:FIRST:END.
static unsigned tape_of(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *identity = NULL;
    size_t size = 0;
    if (rd_kafka_message_headers(message, &headers) != 0 ||
        rd_kafka_header_get_last(headers, "identity", &identity, &size) != 0)
        return 0;
    const char *colon = memchr(identity, ':', size);
    return colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

static int take(const rd_kafka_message_t *message)
{
    struct ringtape_message told;
    struct ringtape_batch *batch;
    struct ringtape_chunk chunk;
    const char *channel;
    unsigned number = tape_of(message);
    struct tape *tape = &tapes[number % TAPES];
    if (tape->number != number)
        *tape = (struct tape){number, 0};
    int result = ringtape_batch_open(&batch, message->payload, message->len, number, tape->next,
                                     &told);
    if (result == 0) {
        while ((result = ringtape_batch_next(batch, &channel, &chunk, &told)) > 0)
            print(channel, &chunk);
        if (ringtape_batch_end(batch) > tape->next)
            tape->next = ringtape_batch_end(batch);
        ringtape_batch_close(batch);
    }
    if (result < 0)
        fprintf(stderr, "batches: offset %lld: %s\n", (long long)message->offset, told.text);
    return result;
}

static rd_kafka_t *consumer(const char *brokers, const char *topic, int partition)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "none", text, sizeof text);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof text);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (client == NULL) {
        fprintf(stderr, "batches: %s\n", text);
        return NULL;
    }
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return client;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: batches BROKERS TOPIC PARTITION\n");
        return 64;
    }
    rd_kafka_t *client = consumer(argv[1], argv[2], (int)strtol(argv[3], NULL, 10));
    int result = client != NULL ? 0 : -1;
    bool ended = false;
    while (result >= 0 && !ended) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 1000);
        if (message == NULL)
            continue;
        ended = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == 0)
            result = take(message);
        rd_kafka_message_destroy(message);
    }
    if (client != NULL)
        rd_kafka_destroy(client);
    return result < 0;
}
