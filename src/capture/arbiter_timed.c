// SPDX-License-Identifier: GPL-3.0-or-later
//
// Holes that are times, not ids: of SET, RISING and LEADER keys. The newest of them has no end
// while nothing is recorded.
//
//     rows stored ──no link is live──────────────────────────→ hole without an end ─link is live─┐
//      ↑   └──a row is refused (RISING, LEADER; SET has its own way)──→ the same ──rows taken────┤
//      └─────────────────────────────────────────────────── lost; of SET: to be walked by REST ──┘
#include "capture/arbiter_inside.h"

// Longest that a message may have been under way: its hole begins with it, not with its arrival.
#define TIMED_UNDER_WAY_NS (10 * LIMIT_SECOND_NS)

static struct coverage_hole *endless_hole(struct arbiter *arbiter, const struct arbiter_key *key)
{
    const int32_t at = key->coverage.holes;
    ensure(arbiter_timed(key));
    if (at == COVERAGE_NONE || arbiter->pool.holes[at].last != COVERAGE_ENDLESS) return NULL;
    return &arbiter->pool.holes[at];
}

static void hole_opened(struct arbiter *arbiter, struct arbiter_key *key,
                        const struct coverage_hole *hole)
{
    ensure(hole->last == COVERAGE_ENDLESS);
    const int32_t at = key->coverage.holes; // one that is still open may reach into this one
    if (at != COVERAGE_NONE && arbiter->pool.holes[at].last >= hole->first) {
        arbiter->pool.holes[at].last = COVERAGE_ENDLESS;
        arbiter->pool.holes[at].to_ns = 0;
        arbiter_say_opened(arbiter, &arbiter->pool.holes[at]); // without its end again
        return;
    }
    if (coverage_miss(&arbiter->pool, &key->coverage, hole))
        arbiter_say_opened(arbiter, hole);
    else
        arbiter_overflow(arbiter, key, hole->first, hole->last, hole->from_ns, 0);
}

void arbiter_timed_up(struct arbiter *arbiter, uint32_t number, struct arbiter_now now)
{
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage_hole *hole = endless_hole(arbiter, key);
    if (hole == NULL) return;
    hole->last = hole->to_ns = now.utc_ns > hole->first ? now.utc_ns : hole->first;
    key->coverage.last = hole->last;
    if (key->rule == ARBITER_SET)
        arbiter_say_opened(arbiter, hole); // now with its end
    else
        arbiter_resolved(arbiter, number, hole->first, hole->last, 0, true,
                         coverage_cause_text(hole->cause));
}

void arbiter_timed_down(struct arbiter *arbiter, struct arbiter_key *key, struct arbiter_now now)
{
    struct coverage_hole hole =
        arbiter_hole(arbiter, key, COVERAGE_DISCONNECTED, COVERAGE_OPEN, now);
    ensure(key->links_live == 0 && key->coverage.started);
    hole.first = hole.from_ns =
        key->rule == ARBITER_SET ? arbiter_set_cut_ns(arbiter, key, now.utc_ns) : now.utc_ns;
    hole.last = COVERAGE_ENDLESS;
    hole_opened(arbiter, key, &hole);
}

void arbiter_timed_refused(struct arbiter *arbiter, struct arbiter_key *key,
                           const struct event *event, struct arbiter_now now)
{
    ensure(key->rule == ARBITER_RISING || key->rule == ARBITER_LEADER);
    key->resumed_ns = 0;
    key->refusing = true;
    if (endless_hole(arbiter, key) != NULL) return;
    struct coverage_hole hole = arbiter_hole(arbiter, key, COVERAGE_REFUSED, COVERAGE_OPEN, now);
    const int64_t time_ns = event_time_ns(event);
    const bool likely = time_ns <= now.utc_ns && time_ns >= now.utc_ns - TIMED_UNDER_WAY_NS;
    hole.first = hole.from_ns = likely ? time_ns : now.utc_ns;
    hole.last = COVERAGE_ENDLESS;
    hole_opened(arbiter, key, &hole);
}

void arbiter_timed_resumed(struct arbiter *arbiter, uint32_t number)
{
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage_hole *hole = endless_hole(arbiter, key);
    ensure(key->refusing);
    if (hole != NULL && key->resumed_ns == 0) return; // still refused, or nothing came
    key->refusing = false;
    if (hole == NULL) return; // ended by a link that came back
    hole->last = hole->to_ns = key->resumed_ns > hole->first ? key->resumed_ns : hole->first;
    arbiter_resolved(arbiter, number, hole->first, hole->last, 0, true,
                     coverage_cause_text(hole->cause));
}
