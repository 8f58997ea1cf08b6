// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a key begins with, from stored rows and status rows: see recall.h for why order does not
// matter.
#include "capture/arbiter_inside.h"

#include <string.h>

static bool counts_by_time(const struct arbiter_key *key)
{
    return key->rule == ARBITER_SET || key->rule == ARBITER_RISING || key->rule == ARBITER_LEADER;
}

static void recall_id(struct arbiter *arbiter, struct arbiter_key *key, int64_t id, int64_t time_ns)
{
    struct coverage *coverage = &key->coverage;
    bool full;
    if (coverage->started && id <= coverage->last - ARBITER_RESTART_DISTANCE &&
        time_ns > coverage->last_ns &&
        coverage_find(&arbiter->pool, coverage, id) == COVERAGE_NONE) {
        // Of a new series, which the row that ends the old one may confirm, or the next event.
        if (id < key->restart_id) return;
        key->restart_id = id;
        key->restart_ns = time_ns;
    } else if (!coverage->started) {
        coverage_start(&arbiter->pool, coverage, id, time_ns);
    } else if (id > coverage->last) {
        struct coverage_hole hole = arbiter_hole(arbiter, key, COVERAGE_SKIPPED, COVERAGE_OPEN,
                                                 (struct arbiter_now){time_ns, 0});
        if (!coverage_reach(&arbiter->pool, coverage, id, time_ns, &hole))
            arbiter->counters.overflows++;
    } else if (coverage->holes != COVERAGE_NONE && id >= coverage->first) {
        (void)coverage_fill(&arbiter->pool, coverage, id, id, NULL, &full);
    }
}

// Depth is covered up to a gap. The run behind it is remembered: its snapshot may come.
static void recall_range(struct arbiter *arbiter, struct arbiter_key *key, int64_t last,
                         int64_t before, int64_t time_ns)
{
    struct coverage *coverage = &key->coverage;
    if (!coverage->started) coverage_start(&arbiter->pool, coverage, last, time_ns);
    int64_t *run_last = key->wants_snapshot ? &key->audit_id : &coverage->last;
    if (last <= *run_last) return;
    if (before > *run_last) {
        key->wants_snapshot = true;
        key->run_first = before + 1;
        key->audit_id = last;
        key->audit_ns = time_ns;
        return;
    }
    *run_last = last;
    if (key->wants_snapshot)
        key->audit_ns = time_ns;
    else
        coverage->last_ns = time_ns;
}

// A snapshot of the run behind a gap: what lies between is lost, and was told so, or will be.
static void recall_anchored(struct arbiter *arbiter, struct arbiter_key *key, int64_t last_id,
                            int64_t time_ns)
{
    struct coverage *coverage = &key->coverage;
    struct coverage_hole hole = arbiter_hole(arbiter, key, COVERAGE_SKIPPED, COVERAGE_OPEN,
                                             (struct arbiter_now){time_ns, 0});
    if (last_id + 1 < key->run_first) return; // older than the run
    hole.first = coverage->last + 1;
    hole.last = last_id;
    hole.from_ns = coverage->last_ns;
    hole.to_ns = time_ns;
    // One that a ledger knows without an end has it now.
    int32_t at = coverage->holes;
    bool full;
    if (at != COVERAGE_NONE && arbiter->pool.holes[at].last == COVERAGE_ENDLESS) {
        hole.first = arbiter->pool.holes[at].first;
        hole.from_ns = arbiter->pool.holes[at].from_ns;
        (void)coverage_fill(&arbiter->pool, coverage, hole.first, COVERAGE_ENDLESS, NULL, &full);
    }
    if (hole.last < hole.first) hole.last = hole.first;
    if (!coverage_miss(&arbiter->pool, coverage, &hole)) return;
    if (last_id > key->ended) { // all behind it is lost no more: the exchange knew the symbol again
        key->ended_lost = false;
        key->ended = 0;
    }
    coverage->last = key->audit_id > last_id ? key->audit_id : last_id;
    coverage->last_ns = key->audit_ns > time_ns ? key->audit_ns : time_ns;
    coverage->proven = last_id;
    coverage->proven_ns = time_ns;
    key->wants_snapshot = false;
    key->audit_id = 0;
}

// The first anchor as in arbiter_anchored(), or one behind a gap.
void arbiter_recall_snapshot(struct arbiter *arbiter, uint32_t number, int64_t last_id,
                             int64_t time_ns)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    ensure(key->rule == ARBITER_RANGE);
    if (!coverage->started || last_id < coverage->first) return;
    if (key->wants_snapshot) {
        if (coverage->proven != 0) recall_anchored(arbiter, key, last_id, time_ns);
        return;
    }
    if (coverage->proven != 0) return;
    if (last_id > coverage->last) {
        coverage->last = last_id;
        coverage->last_ns = time_ns;
    }
    coverage->first = coverage->proven = last_id;
    coverage->first_ns = coverage->proven_ns = time_ns;
}

// Covered from its first row on, if no ledger says otherwise. Segments may bring a later one first;
// nothing before the end of a series counts.
static void recall_begin(struct arbiter *arbiter, struct arbiter_key *key, int64_t time_ns)
{
    struct coverage *coverage = &key->coverage;
    if (time_ns <= key->restart_ns) return;
    if (!coverage->started) {
        coverage_start(&arbiter->pool, coverage, time_ns, time_ns);
        key->by_rows = true;
    } else if (key->by_rows && time_ns < coverage->first) {
        coverage->first = coverage->first_ns = time_ns;
    }
}

static void recall_seen(struct arbiter *arbiter, struct arbiter_key *key, int64_t received_ns)
{
    struct coverage *coverage = &key->coverage;
    recall_begin(arbiter, key, received_ns);
    if (coverage->started && received_ns > coverage->last)
        coverage->last = coverage->last_ns = received_ns;
}

void arbiter_recall_row(struct arbiter *arbiter, uint32_t number, int64_t first, int64_t last,
                        int64_t before, int64_t time_ns)
{
    ensure(number < arbiter->key_count && first <= last);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    switch ((enum arbiter_rule)key->rule) {
    case ARBITER_SEQUENCE: recall_id(arbiter, key, first, time_ns); return;
    case ARBITER_RANGE: recall_range(arbiter, key, last, before, time_ns); return;
    case ARBITER_SET:
        if (!coverage->started) coverage_start(&arbiter->pool, coverage, time_ns, time_ns);
        if (time_ns < coverage->first && coverage->proven_ns == 0)
            coverage->first = coverage->first_ns = time_ns;
        if (time_ns > coverage->last) coverage->last = coverage->last_ns = time_ns;
        arbiter_set_remember(arbiter, key, time_ns, first);
        return;
    case ARBITER_RISING:
        if (first > key->tail) key->tail = first;
        recall_seen(arbiter, key, time_ns);
        return;
    case ARBITER_LEADER:
        if (first > key->tail) key->tail = first;
        recall_seen(arbiter, key, time_ns);
        return;
    case ARBITER_NONE: return;
    }
}

// The hole that has a part of [first, last], the newest of them. Rows may tell of a beginning that
// was cut off here: a window remembers another part of the same trades each time.
static int32_t recall_find(const struct arbiter *arbiter, const struct arbiter_key *key,
                           int64_t first, int64_t last)
{
    int32_t at = key->coverage.holes;
    while (at != COVERAGE_NONE && arbiter->pool.holes[at].first > last)
        at = arbiter->pool.holes[at].older;
    return at != COVERAGE_NONE && arbiter->pool.holes[at].last >= first ? at : COVERAGE_NONE;
}

// Down since `first`: a hole without an end. An earlier one ended before.
static void recall_down(struct arbiter *arbiter, struct arbiter_key *key, int64_t first)
{
    struct coverage *coverage = &key->coverage;
    // Nothing is told of a key before its first event, which may not have been read yet.
    if (key->rule != ARBITER_SET) recall_begin(arbiter, key, first - 1);
    int32_t at = coverage->holes;
    if (!coverage->started || (key->rule != ARBITER_SET && first <= coverage->first)) return;
    if (at != COVERAGE_NONE && arbiter->pool.holes[at].last == COVERAGE_ENDLESS) {
        if (arbiter->pool.holes[at].first >= first) return;
        arbiter->pool.holes[at].last = first - 1;
    }
    if (key->rule == ARBITER_SET && first <= arbiter->windows[key->window].floor_ns)
        first = arbiter->windows[key->window].floor_ns + 1;
    // One that had an end has none again.
    if (at != COVERAGE_NONE && arbiter->pool.holes[at].last >= first) {
        if (arbiter->pool.holes[at].first > first) return; // of an earlier cut
        arbiter->pool.holes[at].last = COVERAGE_ENDLESS;
        arbiter->pool.holes[at].to_ns = 0;
        return;
    }
    struct coverage_hole hole = arbiter_hole(arbiter, key, COVERAGE_DISCONNECTED, COVERAGE_OPEN,
                                             (struct arbiter_now){first, 0});
    hole.first = hole.from_ns = first;
    hole.last = COVERAGE_ENDLESS;
    if (!coverage_miss(&arbiter->pool, coverage, &hole)) arbiter->counters.overflows++;
}

// A link is back: the hole has its end.
static void recall_up(struct arbiter *arbiter, struct arbiter_key *key, int64_t first, int64_t last)
{
    int32_t at = recall_find(arbiter, key, first, last);
    if (at == COVERAGE_NONE || arbiter->pool.holes[at].last != COVERAGE_ENDLESS) return;
    arbiter->pool.holes[at].last = arbiter->pool.holes[at].to_ns = last;
}

// Closed from its beginning on. One without an end had one, which only its closing tells.
static void recall_closed(struct arbiter *arbiter, struct arbiter_key *key, int64_t first,
                          int64_t last)
{
    int32_t at = recall_find(arbiter, key, first, last);
    bool full;
    if (at == COVERAGE_NONE) return;
    if (arbiter->pool.holes[at].last == COVERAGE_ENDLESS) last = COVERAGE_ENDLESS;
    (void)coverage_fill(&arbiter->pool, &key->coverage, first, last, NULL, &full);
}

// Of depth, a hole without an end ends with the snapshot that its row tells of. Rows are read again
// that are older than the hole, of earlier ones: those end nothing of it.
static void recall_lost(struct arbiter *arbiter, struct arbiter_key *key, int64_t first,
                        int64_t last)
{
    int32_t at = key->coverage.holes;
    bool full;
    if (key->rule == ARBITER_RANGE && at != COVERAGE_NONE) {
        const struct coverage_hole *newest = &arbiter->pool.holes[at];
        if (newest->last == COVERAGE_ENDLESS && newest->first >= first && newest->first <= last)
            last = COVERAGE_ENDLESS;
    }
    if (key->rule == ARBITER_RANGE && key->ended_lost && first <= key->ended + 1 &&
        last > key->ended) {
        key->ended_lost = false; // the exchange knew the symbol again
        key->ended = 0;
    }
    (void)coverage_fill(&arbiter->pool, &key->coverage, first, last, NULL, &full);
}

static void recall_series_end(struct arbiter *arbiter, struct arbiter_key *key, int64_t last)
{
    coverage_forget(&arbiter->pool, &key->coverage);
    key->ended = 0;
    key->ended_lost = false;
    if (key->rule == ARBITER_RISING || key->rule == ARBITER_LEADER) {
        key->restart_ns = last;
        return;
    }
    if (key->rule == ARBITER_SEQUENCE && key->restart_id != 0)
        coverage_start(&arbiter->pool, &key->coverage, key->restart_id, key->restart_ns);
    key->restart_id = 0;
    key->wants_snapshot = false;
    key->audit_id = 0;
}

// All behind a position was listed as lost, or is no more: whoever goes on must take that back once
// the exchange names the symbol again.
static void recall_tail(struct arbiter *arbiter, struct arbiter_key *key, enum status_kind kind,
                        int64_t first)
{
    // Of depth, a snapshot behind it has ended it: a row that is read again.
    if (key->rule == ARBITER_RANGE && key->coverage.proven >= first) return;
    if (key->rule == ARBITER_RANGE && kind == STATUS_HOLE_LOST)
        recall_lost(arbiter, key, first, COVERAGE_ENDLESS);
    else if (key->rule != ARBITER_SEQUENCE && key->rule != ARBITER_SET)
        return;
    key->ended_lost = kind == STATUS_HOLE_LOST;
    key->ended = key->ended_lost ? first - 1 : 0;
    key->ended_ns = key->rule == ARBITER_SET ? first : key->coverage.last_ns;
}

void arbiter_recall_status(struct arbiter *arbiter, uint32_t number, enum status_kind kind,
                           int64_t first, int64_t last)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    if (first == COVERAGE_NONE || last < first) return;
    bool timed = counts_by_time(key);
    if (kind == STATUS_INTERVAL_CLOSED) {
        if (last >= key->coverage.last) recall_series_end(arbiter, key, last);
    } else if (kind == STATUS_HOLE_OPENED) {
        if (timed && last == COVERAGE_ENDLESS) recall_down(arbiter, key, first);
        if (timed && last != COVERAGE_ENDLESS) recall_up(arbiter, key, first, last);
    } else if (kind == STATUS_BACKFILLED) {
        bool full;
        (void)coverage_fill(&arbiter->pool, &key->coverage, first, last, NULL, &full);
    } else if ((kind == STATUS_HOLE_LOST || kind == STATUS_HOLE_REPAIRED) &&
               last == COVERAGE_ENDLESS) {
        recall_tail(arbiter, key, kind, first);
    } else if (kind == STATUS_HOLE_LOST || (kind == STATUS_HOLE_REPAIRED && timed)) {
        if (!timed) {
            recall_lost(arbiter, key, first, last);
        } else {
            recall_closed(arbiter, key, first, last);
        }
    }
}

// ---- into a shard ----

static void adopt_lost(struct arbiter *arbiter, const struct arbiter_key *key,
                       const struct coverage_hole *hole)
{
    arbiter_say(arbiter, key,
                &(struct arbiter_news){.kind = STATUS_HOLE_LOST,
                                       .first = hole->first,
                                       .last = hole->last,
                                       .from_ns = hole->from_ns,
                                       .to_ns = hole->to_ns,
                                       .count = COVERAGE_NONE,
                                       .detail = coverage_cause_text(hole->cause)});
}

static void adopt_holes(struct arbiter *arbiter, struct arbiter_key *key,
                        const struct arbiter *other, const struct arbiter_key *from)
{
    int32_t at = from->coverage.holes;
    for (; at != COVERAGE_NONE; at = other->pool.holes[at].older) {
        struct coverage_hole hole = other->pool.holes[at];
        hole.key = arbiter_number(arbiter, key);
        hole.state = COVERAGE_OPEN;
        hole.attempts = 0;
        hole.retry_ns = 0;
        if (key->rule == ARBITER_RANGE && hole.last != COVERAGE_ENDLESS) {
            adopt_lost(arbiter, key, &hole); // a snapshot has ended it
            continue;
        }
        if (key->rule == ARBITER_RANGE) key->wants_snapshot = true; // nothing else ends it
        if (!coverage_miss(&arbiter->pool, &key->coverage, &hole))
            arbiter_overflow(arbiter, key, hole.first, hole.last, hole.from_ns, hole.to_ns);
    }
}

// Open holes are told once more: the life that found them may not have told.
static void adopt_tell(struct arbiter *arbiter, const struct arbiter_key *key)
{
    int32_t at = key->coverage.holes;
    for (; at != COVERAGE_NONE; at = arbiter->pool.holes[at].older)
        arbiter_say_opened(arbiter, &arbiter->pool.holes[at]);
}

void arbiter_adopt(struct arbiter *arbiter, uint32_t to, const struct arbiter *other,
                   uint32_t from_number, struct arbiter_now now)
{
    ensure(to < arbiter->key_count && from_number < other->key_count);
    struct arbiter_key *key = &arbiter->keys[to];
    const struct arbiter_key *from = &other->keys[from_number];
    (void)now;
    if (!from->coverage.started || key->coverage.started || from->rule != key->rule) return;
    key->coverage = from->coverage;
    key->coverage.holes = COVERAGE_NONE;
    key->tail = from->tail;
    key->ended_lost = from->ended_lost;
    key->ended = from->ended_lost ? from->ended : 0;
    key->ended_ns = from->ended_ns;
    if (key->rule == ARBITER_SEQUENCE) {
        key->restart_id = from->restart_id;
        key->restart_ns = from->restart_ns;
    }
    key->run_first = INT64_MAX; // depth: no snapshot fits before the first event
    key->audited = key->stored - ARBITER_WINDOW; // an audit is due: a minute may be long past
    adopt_holes(arbiter, key, other, from);
    if (key->rule == ARBITER_RANGE && key->ended_lost) key->wants_snapshot = true;
    if (key->window >= 0 && from->window >= 0)
        arbiter->windows[key->window] = other->windows[from->window];
    adopt_tell(arbiter, key);
    if (key->rule == ARBITER_SET) arbiter_set_unproven(arbiter, to);
}

void arbiter_recall_stopped(struct arbiter *arbiter, uint32_t number, int64_t alive_ns,
                            struct arbiter_now now)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    int32_t at = coverage->holes;
    if (!counts_by_time(key) || !coverage->started) return;
    if (at != COVERAGE_NONE && arbiter->pool.holes[at].last == COVERAGE_ENDLESS) return;
    struct coverage_hole hole =
        arbiter_hole(arbiter, key, COVERAGE_STOPPED, COVERAGE_OPEN, now);
    hole.first = arbiter_timed_cut_ns(arbiter, key, alive_ns); // as if all links were cut then
    hole.last = COVERAGE_ENDLESS;
    hole.from_ns = hole.first;
    if (at != COVERAGE_NONE && arbiter->pool.holes[at].last >= hole.first) {
        arbiter->pool.holes[at].last = COVERAGE_ENDLESS;
        arbiter->pool.holes[at].to_ns = 0;
    } else if (!coverage_miss(&arbiter->pool, coverage, &hole)) {
        arbiter->counters.overflows++;
    }
}

// ---- to the ledger ----

bool arbiter_save(const struct arbiter *arbiter, uint32_t number, const char *symbol,
                  struct ledger *ledger)
{
    ensure(number < arbiter->key_count && strlen(symbol) <= LEDGER_SYMBOL_BYTES_MAX);
    const struct arbiter_key *from = &arbiter->keys[number];
    const struct coverage *coverage = &from->coverage;
    struct ledger_key *key = ledger_add_key(ledger);
    if (key == NULL) return false;
    memcpy(key->symbol, symbol, strlen(symbol));
    key->channel = (enum channel)from->channel;
    key->gone = !coverage->started;
    key->times = counts_by_time(from);
    key->live = from->links_live > 0;
    key->unlisted = from->unlisted;
    key->ended_lost = from->ended_lost;
    key->ended = from->ended;
    key->ended_ns = from->ended_ns;
    key->first = coverage->first;
    key->first_ns = coverage->first_ns;
    key->last = coverage->last > coverage->first ? coverage->last : coverage->first;
    key->last_ns = coverage->last_ns;
    key->proven = coverage->proven;
    key->proven_ns = coverage->proven_ns;
    key->proven_from_ns = coverage->proven_from_ns;
    key->tail = from->tail;
    bool good = true;
    int32_t at = coverage->holes;
    for (; good && at != COVERAGE_NONE; at = arbiter->pool.holes[at].older) {
        const struct coverage_hole *hole = &arbiter->pool.holes[at];
        const struct ledger_hole saved = {hole->first, hole->last, hole->from_ns, hole->to_ns,
                                          hole->found_ns, (enum coverage_cause)hole->cause};
        good = ledger_add_hole(ledger, &saved);
    }
    return good;
}
