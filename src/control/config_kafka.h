// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_kafka: the section `kafka` of the configuration. Constant after reading.
#ifndef RINGTAPE_CONTROL_CONFIG_KAFKA_H
#define RINGTAPE_CONTROL_CONFIG_KAFKA_H

#include "control/config_schema.h"
#include "publish/message.h"
#include "publish/producer_kafka.h"

struct config_kafka {
    struct kafka_options options; // .brokers "": off
    enum kafka_profile profile;
    enum message_format value;                 // of topics that have none of their own
    uint8_t values[CHANNEL_COUNT];             // format + 1; 0: as above
    uint32_t channels;                         // bit c; 0: all
};

extern const struct config_entry config_kafka_keys[];

// What the keys cannot judge one by one. False: `text` says what is wrong.
bool config_kafka_possible(const struct config_kafka *kafka, char *text, size_t text_size);
// The channels mirrored and the format of one.
uint32_t config_kafka_channels(const struct config_kafka *kafka);
// Sets how often events are written, where nothing was said (0): what is mirrored waits for it.
void config_kafka_commit_interval(const struct config_kafka *kafka, int64_t *interval_ns);
enum message_format config_kafka_format(const struct config_kafka *kafka, enum channel channel);

#endif
