// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the exchange's own newest ids say of SEQUENCE keys, and what there is to say of symbols that
// it does not name any more.
//
//     named ──not in an answer──→ wants its tail ──asked from its last id on──┬→ rows: a hole
//       ↑                            │                                        ├→ none: it ends here
//       └──in an answer again────────┴────────────────────────────────────────┴→ refused: lost
#include "capture/arbiter_inside.h"

static void want_tail(struct arbiter *arbiter, struct arbiter_key *key, bool wanted)
{
    if (key->wants_tail == wanted) return;
    ensure(wanted || arbiter->tails > 0);
    key->wants_tail = wanted;
    if (wanted) transition(TRANSITION_TAIL, TAIL_NAMED, TAIL_WANTED);
    if (wanted)
        arbiter->tails++;
    else
        arbiter->tails--;
}

bool arbiter_audit_found(struct arbiter *arbiter, struct arbiter_key *key, int64_t id,
                         int64_t asked_ns, struct arbiter_now now)
{
    struct coverage *coverage = &key->coverage;
    ensure(id > coverage->last);
    // The id itself is missing, too: what is behind it is the hole's end.
    struct coverage_hole hole = arbiter_hole(arbiter, key, COVERAGE_AUDIT, COVERAGE_OPEN, now);
    hole.first = coverage->last + 1;
    hole.last = id;
    hole.from_ns = coverage->last_ns;
    hole.to_ns = asked_ns;
    key->audit_found_ns = now.monotonic_ns;
    coverage->last = id;
    if (!coverage_miss(&arbiter->pool, coverage, &hole))
        arbiter_overflow(arbiter, key, hole.first, id, hole.from_ns, hole.to_ns);
    else
        arbiter_say_opened(arbiter, &hole);
    return key->channel != CHANNEL_AGG_TRADE;
}

// ---- symbols that are not named any more ----

// The open end is taken back: the exchange names the symbol again, or there was more after all.
void arbiter_tail_back(struct arbiter *arbiter, struct arbiter_key *key)
{
    if (key->ended_lost)
        arbiter_say(arbiter, key,
                    &(struct arbiter_news){.kind = STATUS_HOLE_REPAIRED,
                                           .first = key->ended + 1,
                                           .last = COVERAGE_ENDLESS,
                                           .from_ns = key->ended_ns,
                                           .count = COVERAGE_NONE,
                                           .detail = "the exchange knows the symbol again"});
    // The next audit looks back to where nobody could answer.
    if (key->ended_lost && key->rule == ARBITER_SET)
        key->coverage.proven = key->coverage.proven_ns = key->ended;
    key->ended = 0;
    key->ended_lost = false;
}

void arbiter_audit_begin(struct arbiter *arbiter)
{
    if (++arbiter->audit_round == 0) arbiter->audit_round = 1;
}

void arbiter_audit_named(struct arbiter *arbiter, uint32_t number)
{
    ensure(number < arbiter->key_count);
    arbiter->keys[number].named = arbiter->audit_round;
}

static bool audit_counts(const struct arbiter_key *key, uint8_t exchange)
{
    return key->rule == ARBITER_SEQUENCE && key->exchange == exchange && !key->closed &&
           key->coverage.started;
}

static bool most_are_named(const struct arbiter *arbiter, uint8_t exchange)
{
    uint32_t named = 0;
    uint32_t all = 0;
    for (uint32_t i = 0; i < arbiter->key_count; i++) {
        if (!audit_counts(&arbiter->keys[i], exchange)) continue;
        all++;
        named += arbiter->keys[i].named == arbiter->audit_round;
    }
    return named * 2 > all;
}

void arbiter_audit_end(struct arbiter *arbiter, uint8_t exchange, struct arbiter_now now)
{
    if (!most_are_named(arbiter, exchange)) return;
    for (uint32_t i = 0; i < arbiter->key_count; i++) {
        struct arbiter_key *key = &arbiter->keys[i];
        if (!audit_counts(key, exchange)) continue;
        bool named = key->named == arbiter->audit_round;
        key->unlisted = !named;
        if (named) {
            if (key->wants_tail) transition(TRANSITION_TAIL, TAIL_WANTED, TAIL_NAMED);
            if (key->ended != 0)
                transition(TRANSITION_TAIL, key->ended_lost ? TAIL_LOST : TAIL_ENDED, TAIL_NAMED);
            if (key->ended != 0) arbiter_tail_back(arbiter, key);
            want_tail(arbiter, key, false);
        } else if (key->ended == key->coverage.last) {
            key->coverage.proven_ns = now.utc_ns; // as it ended, so it is
        } else {
            want_tail(arbiter, key, true);
        }
    }
}

void arbiter_tail_found(struct arbiter *arbiter, uint32_t number, int64_t id,
                        struct arbiter_now now)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    want_tail(arbiter, key, false);
    if (key->closed || !coverage->started) return;
    transition(TRANSITION_TAIL, TAIL_WANTED, id > coverage->last ? TAIL_HOLE : TAIL_ENDED);
    if (id > coverage->last) { // asked again with the next audit
        (void)arbiter_audit_found(arbiter, key, id, now.utc_ns, now);
    } else {
        arbiter_tail_back(arbiter, key);
        key->ended = coverage->last;
    }
    coverage->proven = coverage->last;
    coverage->proven_ns = now.utc_ns;
}

void arbiter_tail_lost(struct arbiter *arbiter, uint32_t number, const char *why,
                       struct arbiter_now now)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    bool times = key->rule == ARBITER_SET;
    ensure(times || key->rule == ARBITER_SEQUENCE);
    want_tail(arbiter, key, false);
    if (key->closed || !coverage->started) return;
    int64_t end = times ? arbiter_set_unproven_from(key) - 1 : coverage->last;
    if (key->ended_lost && (times || key->ended == end)) {
        coverage->proven_ns = now.utc_ns; // it is listed
        return;
    }
    transition(TRANSITION_TAIL, TAIL_WANTED, TAIL_LOST);
    arbiter_tail_back(arbiter, key);
    key->ended = end;
    key->ended_ns = times ? end + 1 : coverage->last_ns;
    key->ended_lost = true;
    arbiter_say(arbiter, key,
                &(struct arbiter_news){.kind = STATUS_HOLE_LOST,
                                       .first = end + 1,
                                       .last = COVERAGE_ENDLESS,
                                       .from_ns = key->ended_ns,
                                       .count = COVERAGE_NONE,
                                       .detail = why});
    coverage->proven = times ? now.utc_ns : end;
    coverage->proven_ns = now.utc_ns;
}

void arbiter_tail_forget(struct arbiter *arbiter, struct arbiter_key *key)
{
    want_tail(arbiter, key, false);
    key->ended = 0;
    key->ended_lost = false;
}
