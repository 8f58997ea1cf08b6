// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_kafka: the mirror of the daemon: its feeds, its thread, its end. Nothing at all without
// brokers in the configuration. Threading: the control thread's.
#ifndef RINGTAPE_CONTROL_CONTROL_KAFKA_H
#define RINGTAPE_CONTROL_CONTROL_KAFKA_H

#include <stdatomic.h>

#include "capture/shard_derive.h"
#include "control/config.h"
#include "control/worker.h"
#include "publish/alert_sender.h"
#include "publish/mirror.h"

enum { CONTROL_FEED_BYTES = 8 << 20 }; // of one shard; address space while the mirror keeps up
#define CONTROL_MIRROR_STOP_NS (800 * LIMIT_MILLISECOND_NS) // for what is under way

struct control_kafka {
    struct statistics_mirror *statistics; // sections; NULL: none
    struct statistics_sink *alert_statistics;
    bool on;
    struct config_kafka config; // librdkafka's threads read it as long as they live
    struct kafka_maker maker;
    struct io *io;
    struct mirror *mirror;
    struct worker worker;
    struct kafka_maker alert_maker;
    struct io *alert_io;
    struct alert_sender *alerts; // NULL: alerts are not mirrored
    struct worker alert_worker;
    bool alerts_stopping;
    bool alerts_stopped;
    struct tape_feed *feeds[LIMIT_SHARDS];
    atomic_bool stop;
    bool stopping;
    bool stopped;
};

// Before the shards run. 0 or a negative errno with `message`.
int control_kafka_open(struct control_kafka *kafka, const struct config *config,
                       struct keep_store *store, struct io *start, const struct log *log,
                       struct io_message *message);
// The feed of a shard; NULL: there is no mirror.
struct tape_feed *control_kafka_feed(struct control_kafka *kafka, uint32_t shard);
// Has alerts sent at once, past tape and mirror; nothing where alerts are not mirrored.
void control_kafka_alerts(struct control_kafka *kafka, struct shard_derive_options *derive);
int control_kafka_run(struct control_kafka *kafka, struct io *control);
// Asks it to end; true once it has. Again and again; it ends after the shards.
bool control_kafka_stop(struct control_kafka *kafka);
// After it has ended, or when it never ran.
void control_kafka_close(struct control_kafka *kafka);
struct mirror_counters control_kafka_counters(const struct control_kafka *kafka);

#endif
