// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_sender: alerts on their way to Kafka at once, past tape and mirror.
//
// A shard thread that raises an alert makes the message and puts it into a queue of its shard (one
// producer, one consumer, no lock). The sender's thread hands it to a Kafka producer of its own
// that never lingers, so that neither a catch-up of the mirror nor a batch under way delays it.
//
// The alert is a row of the store as well, and the mirror brings every stored row. It leaves out an
// alert that was confirmed here before it was durable; all others it sends again. So an alert comes
// at least once, as a rule exactly once, and consumers dedupe by its id, which is the same
// in both (docs/kafka.md). What finds the queue full is therefore late, not lost, and is counted.
//
// Bounds: ALERT_QUEUE_MAX alerts a shard of at most ALERT_MESSAGE_BYTES_MAX, allocated in
// alert_sender_open(). Threading: alert_sender_offer() by the shard's thread alone, one thread a
// shard; alert_sender_confirmed() and the counters by any thread; the rest by the sender's own.
#ifndef RINGTAPE_PUBLISH_ALERT_SENDER_H
#define RINGTAPE_PUBLISH_ALERT_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/statistics.h"
#include "format/event.h"
#include "io/io.h"
#include "publish/message.h"
#include "publish/producer.h"

enum {
    ALERT_QUEUE_MAX = 256,          // of one shard, not yet handed to the producer
    ALERT_MESSAGE_BYTES_MAX = 4096, // of value, key and identity together
    ALERT_CONFIRMED_MAX = 4096,     // remembered, about the latest
};

struct alert_sender;

struct alert_sender_options {
    uint32_t shards;
    enum channel channel; // CHANNEL_ALERT; tests may send another
    enum message_format format;
    struct producer_maker maker; // of a producer that does not linger
    const struct log *log;       // may be NULL
    struct statistics_sink *statistics; // a section to publish figures in; NULL: nobody reads
};

struct alert_sender_counters {
    uint64_t offered;
    uint64_t full;      // of them: the queue was full; the mirror brings them
    uint64_t too_large; // of them: so is the message
    uint64_t delivered; // confirmed by the broker
    uint64_t refused;   // for good, by broker or producer; the mirror brings them
};

// Hands over the alert. `event` is of CHANNEL_ALERT with all its required columns; `symbol` is the
// full name ("binance:BTCUSDT") as the store has it, of `symbol_size` bytes, 0 for an alert without
// symbol (feed silence). Nothing is kept of what they point to. Never blocks, makes no system call
// but one wake-up. False: not taken (counted).
bool alert_sender_offer(struct alert_sender *sender, uint32_t shard, const struct event *event,
                        const char *symbol, uint32_t symbol_size);

// Did the broker confirm the row with this identity (message_identity_hash()) lately?
bool alert_sender_confirmed(const void *sender, uint64_t identity);

// ---- life, on the sender's own loop ----

// 0 or -ENOMEM.
int alert_sender_open(struct alert_sender **sender, struct io *io,
                      const struct alert_sender_options *options);
void alert_sender_start(struct alert_sender *sender);
// Waits `wait_ns` at most for what is under way, then calls back.
void alert_sender_stop(struct alert_sender *sender, int64_t wait_ns, void (*stopped)(void *context),
                       void *context);
void alert_sender_close(struct alert_sender *sender);
struct alert_sender_counters alert_sender_counters(const struct alert_sender *sender);

#endif
