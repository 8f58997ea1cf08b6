// SPDX-License-Identifier: GPL-3.0-or-later
//
// scripted_producer: a producer for the mirror's tests, with a broker behind it that outlives it.
// Messages lie in three partitions by their keys; now and then the broker takes the first few of
// one, and reports them later, partitions in any order.
#ifndef RINGTAPE_TESTS_SCRIPTED_PRODUCER_H
#define RINGTAPE_TESTS_SCRIPTED_PRODUCER_H

#include "io_sim.h"
#include "publish/producer.h"

enum {
    SCRIPTED_LOG_MAX = 1 << 18,
    SCRIPTED_QUEUE_MAX = 300,
    SCRIPTED_PARTITIONS = 3,
    SCRIPTED_KEY_BYTES = 40,
};

struct scripted_record {
    enum channel channel;
    char key[SCRIPTED_KEY_BYTES];
    int64_t number; // the identity, where it is one number; else -1
    int64_t time_ms;
    int64_t receive_ns; // of the row, where the value is JSON; else 0
};

struct scripted_broker {
    struct sim_world *world;
    int64_t poll_ns; // added to the 0.1 to 1 ms until it takes something
    bool down;
    bool one_by_one; // takes one message at a time
    uint32_t refused_channels;  // bit c: there is no such topic
    uint32_t stuck_channels;    // bit c: its partition has no leader
    int64_t bad_from, bad_every; // numbers >= from and divisible: the broker refuses their batch
    int64_t large_from, large_every; // the same: the producer refuses them by itself
    bool (*may)(void *context, const struct scripted_record *record); // false: `trespasses` rises
    void *may_context;
    void (*take)(void *context, const struct producer_message *message); // delivered; may be NULL
    uint64_t trespasses;
    uint64_t makes; // producers made
    uint64_t makes_failing; // so many fail first
    uint64_t full;  // refusals of a full queue
    struct io *spare; // loop of a producer that was closed, for the next one; gone with a crash
    uint32_t count;
    struct scripted_record log[SCRIPTED_LOG_MAX];
};

// A struct producer_maker's make; the context is the broker.
int scripted_make(void *context, void (*wake)(void *wake_context), void *wake_context,
                  struct producer **producer, char *text, size_t text_size);

#endif
