// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life_keep: a life whose store keeps only so many bytes of trades. What went is known by
// its times: a guard is asked for each segment before it goes. For tests.
#ifndef RINGTAPE_TESTS_COMPLETE_LIFE_KEEP_H
#define RINGTAPE_TESTS_COMPLETE_LIFE_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "keep/keep_store.h"
#include "market_peer.h"

enum { LIFE_DELETED_MAX = 4096 };

struct life_keep {
    int64_t size_bytes; // of segments of trades
    uint32_t count;
    struct {
        int64_t from_ns, to_ns;
    } deleted[LIFE_DELETED_MAX]; // in any life
    uint64_t gone; // trades that are neither stored nor listed, of such a time
    bool *is_gone[MARKET_SYMBOLS]; // [MARKET_TRADES]
};

struct life_keep *life_keep_create(int64_t size_bytes);
void life_keep_destroy(struct life_keep *keep);
// Behind all other guards of a store that was opened.
void life_keep_watch(struct life_keep *keep, struct keep_store *store);
// Did trades of that time go with a segment?
bool life_keep_covers(const struct life_keep *keep, int64_t time_ns);
// A trade that is missing: did it go with a segment? Remembers it.
bool life_keep_gone(struct life_keep *keep, uint32_t symbol, int64_t n, int64_t time_ns);

#endif
