// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_rig: shards with a store under them and a small exchange (link_peer.h) in front, all in one
// simulated world. For tests.
#ifndef RINGTAPE_TESTS_SHARD_RIG_H
#define RINGTAPE_TESTS_SHARD_RIG_H

#include "capture/shard.h"
#include "io_sim.h"
#include "link_peer.h"

enum { RIG_SHARDS_MAX = 2 };

struct rig {
    struct sim_world *world;
    struct io *store_io;
    struct io *peer_io;
    struct io *io[RIG_SHARDS_MAX];
    struct shard *shard[RIG_SHARDS_MAX];
    struct statistics_shard *statistics[RIG_SHARDS_MAX]; // as published
    struct shard_symbols symbols; // with figures of their own, set before rig_feed()
    uint32_t shards;
    struct peer *peer;
    struct keep_store *store;
    struct log log;
    struct permits permits;
    struct dialect_channel channel;
    const char *host;      // of the feeds given; NULL: 127.0.0.1
    bool same_links;       // of the feeds given
    uint32_t first_symbol; // of the feeds given: those before are left out
    struct dialect dialect; // Binance's, whose limits a test may change before the first feed
};

// A store in "/data/store", a peer on a loop of its own, `shards` shards.
struct rig *rig_create(uint64_t seed, uint32_t shards);
// After rig_stop().
void rig_destroy(struct rig *rig);
void rig_run(struct rig *rig, int64_t for_ns);
// Gives the feed of the first `symbol_count` symbols to all shards.
void rig_feed(struct rig *rig, uint32_t id, uint32_t replaces, uint32_t symbol_count,
              uint32_t redundancy);
void rig_post(struct rig *rig, struct shard_command command);
// SHARD_STOP to all; they must have ended within three seconds.
void rig_stop(struct rig *rig, bool durable_expected);
uint64_t rig_sum_links(const struct rig *rig);

#endif
