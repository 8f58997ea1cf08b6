// SPDX-License-Identifier: GPL-3.0-or-later
//
// producer_kafka: the producer on librdkafka. Its .c file is the only one that names librdkafka.
//
// Idempotent, acks=all, no time limit on a message: a broker that is away is waited for. The
// queue is bounded by `queue_bytes`. Keys are placed as Java's default producer places them
// (murmur2), so that topics of both can be joined.
#ifndef RINGTAPE_PUBLISH_PRODUCER_KAFKA_H
#define RINGTAPE_PUBLISH_PRODUCER_KAFKA_H

#include "base/limits.h"
#include "base/log.h"
#include "publish/producer.h"

enum {
    KAFKA_PROPERTIES_MAX = 64,
    KAFKA_PROPERTY_NAME_BYTES = 63,
    KAFKA_PROPERTY_VALUE_BYTES = 511,
    KAFKA_BROKERS_BYTES = 511,
    KAFKA_PREFIX_BYTES = 100,
    KAFKA_NAME_BYTES = 63, // of a profile, a mechanism, a user
};

enum kafka_profile { KAFKA_THROUGHPUT, KAFKA_LATENCY, KAFKA_AT_ONCE };

struct kafka_property {
    char name[KAFKA_PROPERTY_NAME_BYTES + 1];
    char value[KAFKA_PROPERTY_VALUE_BYTES + 1];
};

struct kafka_options {
    char brokers[KAFKA_BROKERS_BYTES + 1]; // "host:port,host:port"; "": no Kafka
    char prefix[KAFKA_PREFIX_BYTES + 1];
    bool tls;
    char ca_file[LIMIT_PATH_BYTES + 1];
    char certificate_file[LIMIT_PATH_BYTES + 1]; // of the client
    char key_file[LIMIT_PATH_BYTES + 1];
    char sasl_mechanism[KAFKA_NAME_BYTES + 1]; // "": none
    char sasl_user[KAFKA_NAME_BYTES + 1];
    char sasl_password_file[LIMIT_PATH_BYTES + 1];
    int64_t queue_bytes;
    struct kafka_property properties[KAFKA_PROPERTIES_MAX]; // librdkafka's own, come last
    uint32_t property_count;
};

struct kafka_maker {
    const struct kafka_options *options;
    enum kafka_profile profile;
    const struct log *log; // may be NULL
};

// Are the options what librdkafka can work with, and can their files be read? Connects to nobody.
// False: `text` says what is wrong.
bool kafka_options_possible(const struct kafka_options *options, char *text, size_t text_size);
// `make` of a struct producer_maker whose context is a struct kafka_maker, which must live as long
// as the producer.
int kafka_make(void *context, void (*wake)(void *wake_context), void *wake_context,
               struct producer **producer, char *text, size_t text_size);

#endif
