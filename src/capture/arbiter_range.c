// SPDX-License-Identifier: GPL-3.0-or-later
//
// The range rule: depth updates [U, u], one behind the other.
//
// An event follows when what it builds on (pu of futures, else U - 1) is not above the last u: it
// may overlap, as levels are absolute. The leading link's events are taken. Those of other links
// are dropped where they end at or below the last u, else held: in a ring of bytes, the oldest go
// when room is needed. When the leader skips, goes down or is silent, held events that follow are
// released in order and their link leads.
//
// Where none follows, what comes is held for ARBITER_GRACE_NS: windows of 100 ms end at another
// moment on every link, so a sibling may be about to bring what is missing, and a late message may.
//
//     FOLLOWS ──an event ahead, none that follows──→ WAITS ──one that follows──→ FOLLOWS
//                                                      └──grace over: a gap────→ FOLLOWS
//
// After a gap nothing is covered until a snapshot is stored whose lastUpdateId the present run
// follows. The hole then ends there, lost: the exchange has no history of depth.
//
// Sources: binance-spot-api-docs web-socket-streams.md, "How to manage a local order book
// correctly"; developers.binance.com, USD-M futures, the same page (pu).
#include "capture/arbiter_inside.h"

#include <stdlib.h>
#include <string.h>

struct held_record {
    uint32_t size; // of the record with its levels; 0: the ring goes on at its beginning
    uint32_t key;
    uint32_t link;
    uint32_t level_count;
    int64_t before;
    int64_t last;
    uint64_t present;
    uint32_t symbol;
    uint32_t gone; // released or overtaken
    int64_t value[DEPTH_COLUMN_COUNT];
};

struct arbiter_held {
    uint32_t head; // oldest record
    uint32_t tail; // behind the newest
    uint32_t count;
    _Alignas(8) uint8_t bytes[ARBITER_HELD_BYTES];
};

struct arbiter_held *arbiter_held_open(void)
{
    return calloc(1, sizeof(struct arbiter_held));
}

void arbiter_held_close(struct arbiter_held *held)
{
    free(held);
}

static struct held_record *held_at(struct arbiter_held *held, uint32_t offset)
{
    ensure(offset + sizeof(struct held_record) <= ARBITER_HELD_BYTES && offset % 8 == 0);
    return (struct held_record *)(void *)(held->bytes + offset);
}

// The record at *offset, which moves behind it.
static struct held_record *held_next(struct arbiter_held *held, uint32_t *offset)
{
    if (*offset + sizeof(struct held_record) > ARBITER_HELD_BYTES ||
        held_at(held, *offset)->size == 0)
        *offset = 0;
    struct held_record *record = held_at(held, *offset);
    *offset += record->size;
    return record;
}

static void held_drop_oldest(struct arbiter *arbiter)
{
    struct arbiter_held *held = arbiter->held;
    ensure(held->count > 0);
    const struct held_record *record = held_next(held, &held->head);
    const struct arbiter_key *key = &arbiter->keys[record->key];
    if (record->gone == 0 && record->last > key->coverage.last) arbiter->counters.overflows++;
    held->count--;
}

// Room for `size` bytes in one piece; NULL where it never fits.
static struct held_record *held_room(struct arbiter *arbiter, uint32_t size)
{
    struct arbiter_held *held = arbiter->held;
    if (size > ARBITER_HELD_BYTES / 4) return NULL;
    for (;;) {
        if (held->count == 0) held->head = held->tail = 0;
        bool wrapped = held->count > 0 && held->tail <= held->head;
        uint32_t end = wrapped ? held->head : ARBITER_HELD_BYTES;
        if (end - held->tail >= size) break;
        if (wrapped) {
            held_drop_oldest(arbiter);
            continue;
        }
        // To the beginning, where the oldest records lie: they make room.
        if (held->tail + sizeof(struct held_record) <= ARBITER_HELD_BYTES)
            held_at(held, held->tail)->size = 0;
        held->tail = 0;
    }
    struct held_record *record = held_at(held, held->tail);
    held->tail += size;
    held->count++;
    return record;
}

static int64_t range_before(const struct event *event)
{
    return event_has(event, DEPTH_PREVIOUS_ID) ? event->value[DEPTH_PREVIOUS_ID]
                                               : event->value[DEPTH_FIRST_ID] - 1;
}

static enum arbiter_verdict range_hold(const struct arbiter_case *one)
{
    const struct event *event = one->event;
    size_t levels = event->level_count * sizeof *event->levels;
    uint32_t size = (uint32_t)(sizeof(struct held_record) + (levels + 7) / 8 * 8);
    struct held_record *record = held_room(one->arbiter, size);
    if (record == NULL) {
        one->arbiter->counters.overflows++;
        return ARBITER_COPY;
    }
    *record = (struct held_record){.size = size,
                                   .key = arbiter_number(one->arbiter, one->key),
                                   .link = one->link->number,
                                   .level_count = event->level_count,
                                   .before = range_before(event),
                                   .last = event->value[DEPTH_LAST_ID],
                                   .present = event->present,
                                   .symbol = event->symbol};
    memcpy(record->value, event->value, sizeof record->value);
    if (levels > 0) memcpy(record + 1, event->levels, levels);
    return ARBITER_HELD;
}

// ---- releasing ----

// What was waited for has come, or is given up.
static void range_follow(struct arbiter_key *key, enum transition_range by)
{
    if (key->gap_ns != 0) transition(TRANSITION_RANGE, RANGE_WAITS, by);
    key->gap_ns = 0;
}

static void range_await(struct arbiter_key *key, int64_t monotonic_ns)
{
    ensure(key->gap_ns == 0);
    transition(TRANSITION_RANGE, RANGE_FOLLOWS, RANGE_WAITS);
    key->gap_ns = monotonic_ns;
}

// The held event that follows the last one, of those the one that reaches farthest back in
// arrival; NULL: none.
static struct held_record *held_follower(struct arbiter *arbiter, const struct arbiter_key *key)
{
    struct arbiter_held *held = arbiter->held;
    uint32_t number = arbiter_number(arbiter, key);
    uint32_t offset = held->head;
    for (uint32_t i = 0; i < held->count; i++) {
        struct held_record *record = held_next(held, &offset);
        if (record->key != number || record->gone != 0) continue;
        if (record->last <= key->coverage.last)
            record->gone = 1;
        else if (record->before <= key->coverage.last)
            return record;
    }
    return NULL;
}

static void held_release(struct arbiter *arbiter, struct held_record *record)
{
    static _Thread_local struct event event; // large, and only here
    event_clear(&event, CHANNEL_DEPTH, record->symbol);
    event.present = record->present;
    memcpy(event.value, record->value, sizeof record->value);
    event.level_count = record->level_count;
    event.levels = (const struct event_level *)(const void *)(record + 1);
    record->gone = 1;
    arbiter->counters.released++;
    arbiter->keys[record->key].stored++;
    arbiter->keys[record->key].levels += record->level_count;
    arbiter->release(arbiter->context, &event, record->link);
}

static void range_cover(struct arbiter_key *key, int64_t last, struct arbiter_now now)
{
    // What follows what an earlier life stored: snapshots from here on build on it. Where that life
    // ended before the first one came, it is still to come.
    if (key->run_first == INT64_MAX) {
        key->run_first = key->coverage.last + 1;
        if (key->coverage.proven == 0) key->wants_snapshot = true;
    }
    key->coverage.last = last;
    key->coverage.last_ns = now.utc_ns;
    key->leader_ns = now.monotonic_ns;
}

// The held event ahead of the last one that reaches farthest back; NULL: none.
static struct held_record *held_ahead(struct arbiter *arbiter, const struct arbiter_key *key)
{
    struct arbiter_held *held = arbiter->held;
    struct held_record *found = NULL;
    uint32_t number = arbiter_number(arbiter, key);
    uint32_t offset = held->head;
    for (uint32_t i = 0; i < held->count; i++) {
        struct held_record *record = held_next(held, &offset);
        if (record->key == number && record->gone == 0 && record->last > key->coverage.last &&
            (found == NULL || record->before < found->before))
            found = record;
    }
    return found;
}

void arbiter_range_forget(struct arbiter *arbiter, struct arbiter_key *key)
{
    struct arbiter_held *held = arbiter->held;
    uint32_t number = arbiter_number(arbiter, key);
    uint32_t offset = held->head;
    key->gap_ns = 0;
    for (uint32_t i = 0; i < held->count; i++) {
        struct held_record *record = held_next(held, &offset);
        if (record->key == number) record->gone = 1;
    }
}

// ---- judging ----

static void range_gap(struct arbiter *arbiter, struct arbiter_key *key, int64_t first,
                      struct arbiter_now now)
{
    key->wants_snapshot = true;
    key->run_first = first;
    // A hole without an end is there already, or was listed as lost: it goes on.
    if (key->ended_lost || (key->coverage.holes != COVERAGE_NONE &&
                            arbiter->pool.holes[key->coverage.holes].last == COVERAGE_ENDLESS))
        return;
    struct coverage_hole hole =
        arbiter_hole(arbiter, key, key->stored == 0 ? COVERAGE_STOPPED : COVERAGE_SKIPPED,
                     COVERAGE_OPEN, now);
    hole.first = key->coverage.last + 1;
    hole.last = COVERAGE_ENDLESS;
    hole.from_ns = key->coverage.last_ns;
    if (!coverage_miss(&arbiter->pool, &key->coverage, &hole))
        arbiter_overflow(arbiter, key, hole.first, first - 1, hole.from_ns, now.utc_ns);
    else
        arbiter_say_opened(arbiter, &hole);
}

void arbiter_range_drain(struct arbiter *arbiter, struct arbiter_key *key, struct arbiter_now now)
{
    struct held_record *record;
    if (!key->coverage.started || arbiter->held->count == 0) return;
    while ((record = held_follower(arbiter, key)) != NULL) {
        if (key->leader != record->link) arbiter->counters.takeovers++;
        key->leader = record->link;
        range_follow(key, RANGE_FOLLOWS);
        range_cover(key, record->last, now);
        held_release(arbiter, record);
    }
}

void arbiter_range_jump(struct arbiter *arbiter, struct arbiter_key *key, struct arbiter_now now)
{
    struct held_record *record;
    arbiter_range_drain(arbiter, key, now);
    range_follow(key, RANGE_GAP);
    // Several gaps may be among what is held: all have had their time.
    while ((record = held_ahead(arbiter, key)) != NULL) {
        range_gap(arbiter, key, record->value[DEPTH_FIRST_ID], now);
        key->leader = record->link;
        range_cover(key, record->last, now);
        held_release(arbiter, record);
        arbiter_range_drain(arbiter, key, now);
    }
}

static void range_start(const struct arbiter_case *one, int64_t first, int64_t last)
{
    struct arbiter_key *key = one->key;
    // Covered from the snapshot on only; until then the run is remembered.
    coverage_start(&one->arbiter->pool, &key->coverage, last, one->now.utc_ns);
    key->wants_snapshot = true;
    key->run_first = first;
    key->gap_ns = 0;
    key->leader = one->link->number;
    key->leader_ns = one->now.monotonic_ns;
}

// Ids far below the last, from the leader, later than anything before: they start again.
static bool range_restarts(const struct arbiter_case *one, int64_t last)
{
    return one->key->leader == one->link->number &&
           last < one->key->coverage.last - ARBITER_RESTART_DISTANCE &&
           one->now.monotonic_ns - one->key->leader_ns > ARBITER_QUIET_NS / 10;
}

// Too large to be held: there is no waiting for what comes before it.
static enum arbiter_verdict range_take(const struct arbiter_case *one, int64_t before)
{
    struct arbiter_key *key = one->key;
    int64_t last = one->event->value[DEPTH_LAST_ID];
    arbiter_range_jump(one->arbiter, key, one->now);
    if (last <= key->coverage.last) return ARBITER_COPY;
    if (before > key->coverage.last)
        range_gap(one->arbiter, key, one->event->value[DEPTH_FIRST_ID], one->now);
    key->leader = one->link->number;
    range_cover(key, last, one->now);
    return ARBITER_NEW;
}

// The event does not follow, or is one that others wait for: it is held, and goes as soon as those
// before it have come.
static enum arbiter_verdict range_wait(const struct arbiter_case *one, int64_t before)
{
    struct arbiter *arbiter = one->arbiter;
    struct arbiter_key *key = one->key;
    int64_t monotonic_ns = one->now.monotonic_ns;
    if (range_hold(one) == ARBITER_COPY) return range_take(one, before);
    if (key->gap_ns == 0) {
        range_await(key, monotonic_ns);
    } else if (monotonic_ns - key->gap_ns >= ARBITER_GRACE_NS) {
        arbiter_range_jump(arbiter, key, one->now);
    } else if (before <= key->coverage.last) {
        arbiter_range_drain(arbiter, key, one->now);
        // Behind the one that was waited for there may be another gap.
        if (key->gap_ns == 0 && held_ahead(arbiter, key) != NULL) range_await(key, monotonic_ns);
    }
    return ARBITER_HELD;
}

enum arbiter_verdict arbiter_range_judge(const struct arbiter_case *one)
{
    struct arbiter_key *key = one->key;
    int64_t first = one->event->value[DEPTH_FIRST_ID];
    int64_t last = one->event->value[DEPTH_LAST_ID];
    int64_t before = range_before(one->event);
    if (one->link == NULL) return ARBITER_COPY; // REST has no updates
    if (key->coverage.started && last <= key->coverage.last && range_restarts(one, last)) {
        one->arbiter->counters.restarts++;
        arbiter_series_end(one->arbiter, key, "the exchange's ids start again");
    }
    if (!key->coverage.started) {
        range_start(one, first, last);
        return ARBITER_NEW;
    }
    if (last <= key->coverage.last) {
        if (key->leader == one->link->number) key->leader_ns = one->now.monotonic_ns;
        return ARBITER_COPY;
    }
    bool alone = key->leader == 0; // nobody led: what is missing was sent to nobody
    if (alone) {
        arbiter_range_drain(one->arbiter, key, one->now);
        if (key->leader == 0) key->leader = one->link->number;
        if (last <= key->coverage.last) return ARBITER_COPY;
    }
    bool leads = key->leader == one->link->number;
    if (key->gap_ns == 0 && !leads &&
        one->now.monotonic_ns - key->leader_ns <= ARBITER_RANGE_PATIENCE_NS)
        return range_hold(one);
    if (before > key->coverage.last && key->gap_ns == 0) {
        arbiter_range_drain(one->arbiter, key, one->now);
        if (last <= key->coverage.last) return ARBITER_COPY;
    }
    if (before > key->coverage.last && alone) return range_take(one, before);
    if (before > key->coverage.last || key->gap_ns != 0) return range_wait(one, before);
    if (!leads) one->arbiter->counters.takeovers++;
    key->leader = one->link->number;
    range_cover(key, last, one->now);
    return ARBITER_NEW;
}

void arbiter_range_lost(struct arbiter *arbiter, uint32_t number, const char *why)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    ensure(key->rule == ARBITER_RANGE);
    int32_t at = coverage->holes;
    if (at == COVERAGE_NONE || arbiter->pool.holes[at].last != COVERAGE_ENDLESS) return;
    key->ended_lost = true;
    key->ended = arbiter->pool.holes[at].first - 1;
    key->ended_ns = arbiter->pool.holes[at].from_ns;
    arbiter_resolved(arbiter, number, key->ended + 1, COVERAGE_ENDLESS, 0, true, why);
}

// What lies between and the snapshot is lost, told in place of the hole that had no end.
static void range_say_lost(struct arbiter *arbiter, const struct arbiter_key *key, int64_t first,
                           int64_t last_id, int64_t from_ns, int64_t to_ns, const char *why)
{
    arbiter_say(arbiter, key,
                &(struct arbiter_news){.kind = STATUS_HOLE_LOST,
                                       .first = first,
                                       .last = last_id >= first ? last_id : first,
                                       .from_ns = from_ns,
                                       .to_ns = to_ns,
                                       .count = COVERAGE_NONE,
                                       .detail = why});
}

bool arbiter_anchored(struct arbiter *arbiter, uint32_t number, int64_t last_id, int64_t time_ns)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    ensure(key->rule == ARBITER_RANGE);
    if (!coverage->started || last_id + 1 < key->run_first) return false;
    key->wants_snapshot = false;
    int32_t at = coverage->holes;
    struct coverage_hole hole = {.state = COVERAGE_FREE};
    if (at != COVERAGE_NONE && arbiter->pool.holes[at].last == COVERAGE_ENDLESS) {
        bool full;
        hole = arbiter->pool.holes[at];
        (void)coverage_fill(&arbiter->pool, coverage, hole.first, COVERAGE_ENDLESS, NULL, &full);
        ensure(!full);
    }
    if (coverage->proven == 0) { // the first anchor of the series: covered from here on
        coverage->first = last_id;
        coverage->first_ns = time_ns;
    }
    if (hole.state != COVERAGE_FREE)
        range_say_lost(arbiter, key, hole.first, last_id, hole.from_ns, time_ns,
                       coverage_cause_text(hole.cause));
    if (key->ended_lost)
        range_say_lost(arbiter, key, key->ended + 1, last_id, key->ended_ns, time_ns,
                       "the exchange knows the symbol again");
    key->ended_lost = false;
    key->ended = 0;
    // The snapshot may be ahead of the updates on their way: these are rows all the same, so the
    // last update stays what it is.
    coverage->proven = last_id;
    coverage->proven_ns = time_ns;
    key->levels = 0;
    return true;
}
