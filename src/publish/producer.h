// SPDX-License-Identifier: GPL-3.0-or-later
//
// producer: takes messages and reports what became of each. The seam between the mirror and Kafka:
// producer_kafka.c is the real one, tests have a scripted one.
//
// What is taken is delivered in the order of taking, for each key, at least once, as long as it
// takes: an outage is waited for. Each message that was taken is reported exactly once. When the
// producer is broken (`broken` below), what it has taken is reported as lost; the owner closes it,
// opens another and sends again from the first message that was not delivered.
//
// Ownership: what a message points to is copied by produce(). Memory: bounded by the options it was
// opened with. Threading: one owner; `wake` is called on a thread of the producer's own.
#ifndef RINGTAPE_PUBLISH_PRODUCER_H
#define RINGTAPE_PUBLISH_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"

struct producer_message {
    enum channel channel; // names the topic (message_topic())
    uint16_t format;      // enum message_format
    const void *key;
    const void *value;
    const void *identity;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t identity_size;
    int64_t time_ms;
    uint64_t tag; // comes back with the report
};

enum producer_verdict {
    PRODUCER_DELIVERED,
    PRODUCER_REFUSED,  // this very message, for good
    PRODUCER_SUSPECT,  // one of those sent together was refused for good, perhaps not this one
    PRODUCER_LOST,     // not delivered, and nothing is wrong with it
};

enum { PRODUCER_CAUSE_BYTES = 128 };

struct producer_report {
    enum producer_verdict verdict;
    uint64_t tag;
    uint32_t bytes;                      // key and value
    // REFUSED and SUSPECT, during the callback; without time_ms and format.
    const struct producer_message *message;
    const char *cause;                   // not DELIVERED; during the callback
};

typedef void producer_report_callback(void *context, const struct producer_report *report);

struct producer {
    // 0: taken. -ENOBUFS: the queue is full, until reports make room. Others: refused for good, and
    // never reported; *cause says why.
    int (*produce)(struct producer *producer, const struct producer_message *message,
                   const char **cause);
    // Gives at most `max` reports that have come; returns how many.
    uint32_t (*collect)(struct producer *producer, uint32_t max, producer_report_callback *report,
                        void *context);
    // It will deliver nothing more. All it has taken is reported as lost by collect().
    bool (*broken)(struct producer *producer);
    // Gives up what is under way, without reports. Returns when no thread is left.
    void (*close)(struct producer *producer);
};

// Makes a producer; 0 or a negative errno with `text` telling why. Called when a mirror starts, and
// again when its producer broke. `wake` is to be called when there are reports to collect.
struct producer_maker {
    int (*make)(void *context, void (*wake)(void *wake_context), void *wake_context,
                struct producer **producer, char *text, size_t text_size);
    void *context;
};

#endif
