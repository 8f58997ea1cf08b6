// SPDX-License-Identifier: GPL-3.0-or-later
//
// Holes that are times, not ids: of SET, RISING and LEADER keys. The newest of them has no end
// while nothing is recorded.
//
//     rows stored ──no link is live──────────────────────────→ hole without an end ─link is live─┐
//      ↑   └──a row is refused (RISING, LEADER; SET has its own way)──→ the same ──rows taken────┤
//      └─────────────────────────────────────────────────── lost; of SET: to be walked by REST ──┘
//
// A link that turns out to be mute was live only in name: where it was the only one, or the leader,
// a hole is told afterwards.
#include "capture/arbiter_inside.h"

// Two times with a single link, no longer apart than this, count as one: it takes so long until a
// mute link is found.
#define TIMED_ALONE_NS (15 * LIMIT_SECOND_NS)
// A cut is noticed late by what a connection takes to fail, an event is late by the network.
#define TIMED_CUT_NS LIMIT_SECOND_NS
#define TIMED_LATENCY_NS (100 * LIMIT_MILLISECOND_NS)
// Ticks come ten times a second: a process that missed so many stood still. Connections that ended
// meanwhile are seen to have ended within a moment.
#define TIMED_STILL_NS (500 * LIMIT_MILLISECOND_NS)
#define TIMED_STILL_SEEN_NS (2 * LIMIT_SECOND_NS)
// Longest that a message may have been under way: its hole begins with it, not with its arrival.
#define TIMED_UNDER_WAY_NS (10 * LIMIT_SECOND_NS)

static struct coverage_hole *endless_hole(struct arbiter *arbiter, const struct arbiter_key *key)
{
    const int32_t at = key->coverage.holes;
    ensure(arbiter_timed(key));
    if (at == COVERAGE_NONE || arbiter->pool.holes[at].last != COVERAGE_ENDLESS) return NULL;
    return &arbiter->pool.holes[at];
}

// Without an end, from `first_ns` on, but not before anything was covered.
static void hole_open(struct arbiter *arbiter, struct arbiter_key *key, enum coverage_cause cause,
                      int64_t first_ns, struct arbiter_now now)
{
    struct coverage_hole made = arbiter_hole(arbiter, key, cause, COVERAGE_OPEN, now);
    const struct coverage_hole *hole = &made;
    ensure(key->coverage.started);
    transition(TRANSITION_TIMED, TIMED_STORED,
               cause == COVERAGE_REFUSED ? TIMED_REFUSED : TIMED_DOWN);
    made.first = made.from_ns = first_ns > key->coverage.first ? first_ns : key->coverage.first;
    made.last = COVERAGE_ENDLESS;
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
    key->links_live++;
    if (key->links_live == 1) {
        key->alone_ns = now.utc_ns;
        key->alone_to_ns = key->left = 0;
    } else if (key->alone_to_ns == 0) {
        key->alone_to_ns = now.utc_ns;
    }
    if (key->links_live > 1 || hole == NULL) return;
    hole->last = hole->to_ns = now.utc_ns > hole->first ? now.utc_ns : hole->first;
    key->coverage.last = hole->last;
    transition(TRANSITION_TIMED, hole->cause == COVERAGE_REFUSED ? TIMED_REFUSED : TIMED_DOWN,
               key->rule == ARBITER_SET ? TIMED_TO_WALK : TIMED_LOST);
    if (key->rule == ARBITER_SET)
        arbiter_say_opened(arbiter, hole); // now with its end
    else
        arbiter_resolved(arbiter, number, hole->first, hole->last, 0, true,
                         coverage_cause_text(hole->cause));
}

void arbiter_timed_ran(struct arbiter *arbiter, struct arbiter_now now)
{
    const int64_t gap_ns = now.monotonic_ns - arbiter->ran.monotonic_ns;
    if (arbiter->ran.monotonic_ns != 0 && gap_ns > TIMED_STILL_NS) {
        arbiter->still_ns = now.utc_ns - gap_ns;
        arbiter->still_to_ns = now.utc_ns;
    }
    arbiter->ran = now;
}

// When the exchange sent the last event: of books it tells, and those are asked for by that time.
static int64_t last_began_ns(const struct arbiter_key *key)
{
    const int64_t last_ns = key->coverage.last;
    ensure(key->rule == ARBITER_RISING || key->rule == ARBITER_LEADER);
    if (key->rule == ARBITER_RISING) return last_ns - TIMED_LATENCY_NS;
    const bool likely = key->tail <= last_ns && key->tail >= last_ns - TIMED_UNDER_WAY_NS;
    return (likely ? key->tail : last_ns) + 1;
}

// Events that were under way when the last link was cut have not come: RISING and LEADER keys miss
// them from their last event on. What was received at the end of a standstill came at any time of
// it, and so did the cut.
static int64_t cut_ns(const struct arbiter *arbiter, const struct arbiter_key *key, bool mute,
                      int64_t time_ns)
{
    ensure(arbiter_timed(key));
    if (key->rule == ARBITER_SET) return arbiter_set_cut_ns(arbiter, key, time_ns);
    if (mute) return time_ns; // a second before it was seen to be
    int64_t last_ns = last_began_ns(key);
    if (arbiter->still_to_ns > time_ns - TIMED_STILL_SEEN_NS && arbiter->still_ns < time_ns) {
        time_ns = arbiter->still_ns;
        if (last_ns > time_ns) last_ns = time_ns;
    }
    if (last_ns >= time_ns) return time_ns;
    return last_ns > time_ns - TIMED_CUT_NS ? last_ns : time_ns - TIMED_CUT_NS;
}

static void alone_since(const struct arbiter *arbiter, struct arbiter_key *key,
                        const struct arbiter_link *left, struct arbiter_now now)
{
    ensure(key->links_live == 1);
    const bool again = key->alone_ns != 0 && now.utc_ns - key->alone_to_ns < TIMED_ALONE_NS;
    // What the link that left still had to bring counts on the other one, too.
    if (!again) key->alone_ns = cut_ns(arbiter, key, false, now.utc_ns);
    key->alone_to_ns = 0;
    key->left = left->number;
}

int64_t arbiter_timed_cut_ns(const struct arbiter *arbiter, const struct arbiter_key *key,
                             int64_t time_ns)
{
    return cut_ns(arbiter, key, false, time_ns);
}

// Where a time without a live link begins: with the silence of the last one, if it was mute.
static int64_t silence_ns(const struct arbiter_key *key, const struct arbiter_link *link,
                          int64_t now_ns)
{
    ensure(arbiter_timed(key));
    if (link->mute_ns == 0 || link->mute_ns >= now_ns) return now_ns;
    return link->mute_ns > key->alone_ns ? link->mute_ns : key->alone_ns;
}

// [first, last] is over: nothing is live in name only any more. What other holes have is theirs.
static void time_missed(struct arbiter *arbiter, uint32_t number, int64_t first, int64_t last,
                        struct arbiter_now now)
{
    struct arbiter_key *key = &arbiter->keys[number];
    first = cut_ns(arbiter, key, true, first);
    if (first < key->coverage.first) first = key->coverage.first;
    if (first > last) return; // all of it was before the key's first event
    if (key->rule != ARBITER_SET) {
        arbiter_resolved(arbiter, number, first, last, 0, true, "the only link was silent");
        return;
    }
    struct coverage_hole hole =
        arbiter_hole(arbiter, key, COVERAGE_DISCONNECTED, COVERAGE_OPEN, now);
    const struct coverage_hole *other;
    for (int32_t at = key->coverage.holes; at != COVERAGE_NONE; at = other->older) {
        other = &arbiter->pool.holes[at];
        if (other->first <= last && other->last >= first) return; // repaired with it, or audited
    }
    hole.first = hole.from_ns = first;
    hole.last = hole.to_ns = last;
    if (coverage_miss(&arbiter->pool, &key->coverage, &hole)) arbiter_say_opened(arbiter, &hole);
}

void arbiter_timed_down(struct arbiter *arbiter, uint32_t number, const struct arbiter_link *link,
                        struct arbiter_now now)
{
    struct arbiter_key *key = &arbiter->keys[number];
    ensure(key->coverage.started && arbiter_timed(key));
    arbiter_timed_ran(arbiter, now); // the tick may come behind what else a standstill left
    if (key->links_live > 0) {
        const int64_t first = silence_ns(key, link, now.utc_ns);
        if (link->mute_ns != 0 && link->number != key->left && first < key->alone_to_ns)
            time_missed(arbiter, number, first, key->alone_to_ns, now);
        if (key->links_live == 1) alone_since(arbiter, key, link, now);
        return;
    }
    hole_open(arbiter, key, COVERAGE_DISCONNECTED,
              cut_ns(arbiter, key, link->mute_ns != 0, silence_ns(key, link, now.utc_ns)), now);
}

// When the exchange sent it, where that can be.
static int64_t event_began_ns(const struct event *event, int64_t now_ns)
{
    const int64_t time_ns = event_time_ns(event);
    ensure(event->channel < CHANNEL_COUNT);
    return time_ns <= now_ns && time_ns >= now_ns - TIMED_UNDER_WAY_NS ? time_ns : now_ns;
}

void arbiter_timed_missed(struct arbiter_key *key, const struct event *event,
                          struct arbiter_now now)
{
    ensure(key->rule == ARBITER_LEADER);
    if (key->missed_ns == 0) key->missed_ns = event_began_ns(event, now.utc_ns);
}

void arbiter_timed_silence(struct arbiter *arbiter, struct arbiter_key *key,
                           struct arbiter_now now)
{
    ensure(key->rule == ARBITER_LEADER);
    int64_t first = key->missed_ns;
    key->missed_ns = 0;
    if (first == 0 || first > now.utc_ns || !key->coverage.started) return;
    // Nobody else was there before the other link came, and the leader may have been silent then.
    if (key->alone_to_ns > key->coverage.last) {
        const int64_t last_ns = last_began_ns(key);
        const int64_t alone_ns = last_ns > key->alone_ns ? last_ns : key->alone_ns;
        if (alone_ns < first) first = alone_ns;
    }
    if (endless_hole(arbiter, key) != NULL) return; // told by it
    arbiter_resolved(arbiter, arbiter_number(arbiter, key), first, now.utc_ns, 0, true,
                     "the leading link fell silent");
}

void arbiter_timed_refused(struct arbiter *arbiter, struct arbiter_key *key,
                           const struct event *event, struct arbiter_now now)
{
    ensure(key->rule == ARBITER_RISING || key->rule == ARBITER_LEADER);
    key->resumed_ns = 0;
    key->refusing = true;
    if (endless_hole(arbiter, key) != NULL) return;
    hole_open(arbiter, key, COVERAGE_REFUSED, event_began_ns(event, now.utc_ns), now);
}

void arbiter_timed_resumed(struct arbiter *arbiter, uint32_t number)
{
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage_hole *hole = endless_hole(arbiter, key);
    ensure(key->refusing);
    if (hole != NULL && key->resumed_ns == 0) return; // still refused, or nothing came
    key->refusing = false;
    if (hole == NULL) return; // ended by a link that came back
    transition(TRANSITION_TIMED, TIMED_REFUSED, TIMED_LOST);
    hole->last = hole->to_ns = key->resumed_ns > hole->first ? key->resumed_ns : hole->first;
    arbiter_resolved(arbiter, number, hole->first, hole->last, 0, true,
                     coverage_cause_text(hole->cause));
}
