// SPDX-License-Identifier: GPL-3.0-or-later
//
// coverage: which positions of a key (a symbol's channel) are stored, and which are missing.
//
//     first ─────────────┤ hole ├───────┤ hole ├─────────→ last
//                                          ↑ proven: compared with the exchange up to here
//
// A position is what the key counts by: an id, or a time in ns. Everything from `first` to `last`
// is covered but the holes. Holes are disjoint, not adjacent, and inside (first, last]; a hole may
// end at COVERAGE_ENDLESS while nobody knows where it will end.
//
//     none ──an id ahead──→ SUSPECTED ──grace over──→ OPEN ──→ filled (rows came) or given up: none
//      │                        └──rows came in time: none       ↑
//      └──an audit, a cut, refused rows, an earlier life─────────┘
//
// Closed holes live in the status channel, not here. Filling removes any part of a hole, so opened
// less repaired less lost ranges are the open ones at any time.
//
// Pure. Memory: one pool of COVERAGE_HOLES_MAX holes a shard (5.5 MB, touched as used); where it is
// full a hole cannot be kept, which the caller is told. Threading: core-local.
#ifndef RINGTAPE_CAPTURE_COVERAGE_H
#define RINGTAPE_CAPTURE_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/ledger.h" // the causes

enum { COVERAGE_HOLES_MAX = 65536, COVERAGE_NONE = -1 };
#define COVERAGE_ENDLESS INT64_MAX

enum coverage_state { COVERAGE_FREE, COVERAGE_SUSPECTED, COVERAGE_OPEN };

struct coverage_hole {
    int64_t first;    // missing positions
    int64_t last;
    int64_t from_ns;  // UTC of the event before it, or of the last sign of life; 0: unknown
    int64_t to_ns;    // UTC of the event behind it; 0: not yet known
    int64_t found_ns; // UTC
    int64_t retry_ns; // monotonic: not asked for before
    int32_t older;    // next hole of the key, with lower positions
    uint32_t key;     // of the caller
    uint8_t state;    // enum coverage_state
    uint8_t cause;    // enum coverage_cause
    uint8_t attempts; // requests without progress
};

struct coverage_pool {
    struct coverage_hole *holes;
    int32_t free; // list through `older`
    uint32_t high; // holes from here on were never used
    uint32_t used;
};

// Embedded in what it is about. Zero but for holes = COVERAGE_NONE: nothing is covered.
struct coverage {
    bool started;
    int32_t holes; // the newest
    int64_t first;
    int64_t last;
    int64_t first_ns; // UTC of the event at `first`, at `last`
    int64_t last_ns;
    int64_t proven;   // 0: nothing is; of depth: the newest snapshot
    int64_t proven_ns;
    int64_t proven_from_ns; // SET keys: audited without a break since
};

// 0 or -ENOMEM.
int coverage_pool_open(struct coverage_pool *pool);
void coverage_pool_close(struct coverage_pool *pool);

static inline void coverage_init(struct coverage *coverage)
{
    *coverage = (struct coverage){.holes = COVERAGE_NONE};
}

// Covered from here on; the holes before are dropped.
void coverage_start(struct coverage_pool *pool, struct coverage *coverage, int64_t position,
                    int64_t time_ns);
// Covered up to `position` (> last), but for what lies between, which becomes a hole of `found`
// (whose first, last and time before it are set here). False: the pool is full; the hole is not
// kept though `last` has moved.
bool coverage_reach(struct coverage_pool *pool, struct coverage *coverage, int64_t position,
                    int64_t time_ns, const struct coverage_hole *found);
// Positions [first, last] (inside what is covered, in no hole) are missing after all. False: the
// pool is full.
bool coverage_miss(struct coverage_pool *pool, struct coverage *coverage,
                   const struct coverage_hole *found);
// The hole that holds the position, or COVERAGE_NONE.
int32_t coverage_find(const struct coverage_pool *pool, const struct coverage *coverage,
                      int64_t position);
// [first, last] is missing no more. Returns how many positions were in open holes; *done (may be
// NULL) gets how many were in any. False through *full where a hole had to be split and the pool is
// full: nothing has changed then.
uint64_t coverage_fill(struct coverage_pool *pool, struct coverage *coverage, int64_t first,
                       int64_t last, uint64_t *done, bool *full);
// Positions in holes.
uint64_t coverage_missing(const struct coverage_pool *pool, const struct coverage *coverage);
void coverage_forget(struct coverage_pool *pool, struct coverage *coverage);
// Asserts what is said above.
void coverage_check(const struct coverage_pool *pool, const struct coverage *coverage);

#endif
