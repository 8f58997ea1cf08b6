// SPDX-License-Identifier: GPL-3.0-or-later
//
// partition_start: the first message of a producer to a partition goes alone.
//
// A broker that knows nothing of a producer takes whatever sequence number comes first (Kafka's
// ProducerAppendInfo checks the first one of a transaction only). So while several requests are
// under way to a partition for the first time, the first of them can be turned away ("not the
// leader yet", "not enough replicas") and the second be taken: its messages stand before those of
// the first, which are sent again. Once one message has been taken, the broker holds every other
// to its number, and order is Kafka's to keep. A broker forgets a producer that was silent for
// producer.id.expiration.ms (a day by default): after PARTITION_START_AGAIN_NS each partition
// begins anew, which costs one round trip.
//
// As long as the number of partitions is not known, one message of the topic goes alone.
// Pure; one owner, but the number of partitions may be told by any thread.
#ifndef RINGTAPE_PUBLISH_PARTITION_START_H
#define RINGTAPE_PUBLISH_PARTITION_START_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

enum { PARTITION_START_MAX = 4096 }; // those above are not held to this

#define PARTITION_START_AGAIN_NS (6 * 3600 * LIMIT_SECOND_NS)

enum { PARTITION_UNKNOWN = -1 };

struct partition_start {
    _Atomic int32_t count; // of partitions, 0: not known as yet
    int32_t seen;          // the count that `state` is of
    uint32_t waiting;      // first messages under way
    uint32_t proven;       // of the partitions
    uint8_t state[PARTITION_START_MAX];
    bool unknown_waiting; // one under way whose partition was not known
};

// False: a message to the partition has to wait for a report.
bool partition_start_may(const struct partition_start *start, int32_t partition);
// A message was given to the partition.
void partition_start_sent(struct partition_start *start, int32_t partition);
// The report of a message; to be told of all as long as `waiting`.
void partition_start_reported(struct partition_start *start, int32_t partition, bool delivered);
void partition_start_again(struct partition_start *start);
// To be called before the others: where the topic has another number of partitions than it had, all
// of them begin anew, and what was under way is not waited for: it may come to lie in another one.
void partition_start_look(struct partition_start *start);

// All partitions have taken a message.
static inline bool partition_start_over(const struct partition_start *start)
{
    int32_t count = atomic_load_explicit(&start->count, memory_order_relaxed);
    return count > 0 && start->proven >= (uint32_t)count;
}

#endif
