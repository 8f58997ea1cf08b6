// SPDX-License-Identifier: GPL-3.0-or-later
//
// arbiter: keys, the sequence, rising and leader rules, links, ticks; see arbiter.h. Contract: no
// event that was judged new is judged new again while its key is open and its position is
// remembered; every position between first and last that was never judged new is in a hole.
#include "capture/arbiter_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARBITER_AUDIT_PATIENCE_NS (2 * LIMIT_SECOND_NS)

_Static_assert(CHANNEL_KLINE - CHANNEL_TRADE < ARBITER_CLASSES, "a class each");
_Static_assert(sizeof(struct arbiter_key) <= 320, "as the header says");

int arbiter_open(struct arbiter *arbiter, arbiter_tell *tell, arbiter_release *release,
                 void *context)
{
    *arbiter = (struct arbiter){.tell = tell, .release = release, .context = context};
    arbiter->key_of = calloc((size_t)LIMIT_SHARD_SYMBOLS * ARBITER_CLASSES, sizeof(uint32_t));
    arbiter->keys = calloc(ARBITER_KEYS_MAX, sizeof *arbiter->keys);
    arbiter->windows = calloc(ARBITER_WINDOWS_MAX, sizeof *arbiter->windows);
    arbiter->held = arbiter_held_open();
    int error = coverage_pool_open(&arbiter->pool);
    if (error == 0 && arbiter->key_of != NULL && arbiter->keys != NULL &&
        arbiter->windows != NULL && arbiter->held != NULL)
        return 0;
    arbiter_close(arbiter);
    return -ENOMEM;
}

void arbiter_close(struct arbiter *arbiter)
{
    free(arbiter->key_of);
    free(arbiter->keys);
    free(arbiter->windows);
    if (arbiter->held != NULL) arbiter_held_close(arbiter->held);
    coverage_pool_close(&arbiter->pool);
    memset(arbiter, 0, sizeof *arbiter);
}

// ---- telling ----

void arbiter_say(struct arbiter *arbiter, const struct arbiter_key *key,
                 const struct arbiter_news *news)
{
    struct arbiter_news told = *news;
    told.key = arbiter_number(arbiter, key);
    if (told.last == COVERAGE_ENDLESS) told.last = COVERAGE_NONE;
    // Positions that are times are told as times.
    if (key->rule != ARBITER_SEQUENCE && key->rule != ARBITER_RANGE) {
        told.first = COVERAGE_NONE;
        told.last = COVERAGE_NONE;
    }
    arbiter->tell(arbiter->context, &told);
}

void arbiter_overflow(struct arbiter *arbiter, const struct arbiter_key *key, int64_t first,
                      int64_t last, int64_t from_ns, int64_t to_ns)
{
    arbiter->counters.overflows++;
    arbiter_say(arbiter, key,
                &(struct arbiter_news){.kind = STATUS_HOLE_LOST,
                                       .first = first,
                                       .last = last,
                                       .from_ns = from_ns,
                                       .to_ns = to_ns,
                                       .count = COVERAGE_NONE,
                                       .detail = "too many holes to keep apart"});
}

void arbiter_series_end(struct arbiter *arbiter, struct arbiter_key *key, const char *why)
{
    struct coverage *coverage = &key->coverage;
    if (!coverage->started) return;
    arbiter_say(arbiter, key,
                &(struct arbiter_news){
                    .kind = STATUS_INTERVAL_CLOSED,
                    .first = coverage->first,
                    .last = coverage->last,
                    .from_ns = coverage->first_ns,
                    .to_ns = coverage->last_ns,
                    .count = (int64_t)coverage_missing(&arbiter->pool, coverage),
                    .detail = why});
    coverage_forget(&arbiter->pool, coverage);
    arbiter_tail_forget(arbiter, key);
    if (key->rule == ARBITER_RANGE) arbiter_range_forget(arbiter, key);
}

struct coverage_hole arbiter_hole(const struct arbiter *arbiter, const struct arbiter_key *key,
                                  enum coverage_cause cause, enum coverage_state state,
                                  struct arbiter_now now)
{
    return (struct coverage_hole){.state = (uint8_t)state,
                                  .cause = (uint8_t)cause,
                                  .key = arbiter_number(arbiter, key),
                                  .found_ns = now.utc_ns};
}

void arbiter_say_opened(struct arbiter *arbiter, const struct coverage_hole *hole)
{
    bool endless = hole->last == COVERAGE_ENDLESS;
    arbiter_say(arbiter, &arbiter->keys[hole->key],
                &(struct arbiter_news){.kind = STATUS_HOLE_OPENED,
                                       .first = hole->first,
                                       .last = endless ? COVERAGE_NONE : hole->last,
                                       .from_ns = hole->from_ns,
                                       .to_ns = endless ? 0 : hole->to_ns,
                                       .count = COVERAGE_NONE,
                                       .detail = coverage_cause_text(hole->cause)});
}

// ---- keys ----

static uint32_t *key_place(const struct arbiter *arbiter, uint32_t symbol, enum channel channel)
{
    uint32_t class = arbiter_class(channel);
    ensure(symbol < LIMIT_SHARD_SYMBOLS && class < ARBITER_CLASSES);
    return &arbiter->key_of[(size_t)symbol * ARBITER_CLASSES + class];
}

uint32_t arbiter_key_find(const struct arbiter *arbiter, uint32_t symbol, enum channel channel)
{
    if (symbol >= LIMIT_SHARD_SYMBOLS || arbiter_class(channel) >= ARBITER_CLASSES)
        return ARBITER_KEY_NONE;
    uint32_t number = *key_place(arbiter, symbol, channel);
    return number == 0 ? ARBITER_KEY_NONE : number - 1;
}

uint32_t arbiter_key_open(struct arbiter *arbiter, uint32_t symbol, enum channel channel,
                          enum arbiter_rule rule)
{
    ensure(rule != ARBITER_NONE);
    uint32_t *place = key_place(arbiter, symbol, channel);
    if (*place != 0) {
        arbiter->keys[*place - 1].closed = false;
        arbiter->keys[*place - 1].uses++;
        return *place - 1;
    }
    bool set = rule == ARBITER_SET;
    if (arbiter->key_count == ARBITER_KEYS_MAX ||
        (set && arbiter->window_count == ARBITER_WINDOWS_MAX))
        return ARBITER_KEY_NONE;
    struct arbiter_key *key = &arbiter->keys[arbiter->key_count];
    *key = (struct arbiter_key){.symbol = symbol,
                                .channel = (uint8_t)channel,
                                .rule = (uint8_t)rule,
                                .uses = 1,
                                .window = set ? (int32_t)arbiter->window_count++ : -1};
    coverage_init(&key->coverage);
    *place = ++arbiter->key_count;
    return *place - 1;
}

void arbiter_key_close(struct arbiter *arbiter, uint32_t number)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    ensure(key->uses > 0);
    if (--key->uses > 0) return;
    arbiter_series_end(arbiter, key, "no longer wanted");
    key->closed = true;
    key->leader = 0;
    key->audit_id = 0;
}

// ---- sequence ----

static inline int64_t event_id(const struct event *event)
{
    _Static_assert((int)TRADE_ID == (int)AGG_TRADE_ID && (int)TRADE_TIME == (int)AGG_TRADE_TIME,
                   "one place for both");
    return event->value[TRADE_ID];
}

static inline int64_t event_trade_ns(const struct event *event)
{
    return event->value[TRADE_TIME];
}

// An id far below the last with a later time than any: once it may be a stray, twice it is a new
// series. Unless it is missing: an audit knew the last id and not its time.
static bool sequence_restarts(const struct arbiter_case *one, int64_t id, int64_t time_ns)
{
    struct arbiter_key *key = one->key;
    if (one->link == NULL || time_ns <= key->coverage.last_ns ||
        id > key->coverage.last - ARBITER_RESTART_DISTANCE ||
        coverage_find(&one->arbiter->pool, &key->coverage, id) != COVERAGE_NONE)
        return false;
    bool confirmed = key->restart_id != 0 && id > key->restart_id && time_ns >= key->restart_ns;
    if (!confirmed) {
        bool again = id == key->restart_id;
        key->restart_id = id;
        key->restart_ns = time_ns;
        return !again;
    }
    one->arbiter->counters.restarts++;
    int64_t first = key->restart_id;
    arbiter_series_end(one->arbiter, key, "the exchange's ids start again");
    coverage_start(&one->arbiter->pool, &key->coverage, first, key->restart_ns);
    key->restart_id = 0;
    struct coverage_hole hole = arbiter_hole(one->arbiter, key, COVERAGE_SKIPPED,
                                             COVERAGE_SUSPECTED, one->now);
    if (!coverage_reach(&one->arbiter->pool, &key->coverage, id, time_ns, &hole))
        arbiter_overflow(one->arbiter, key, first + 1, id - 1, key->coverage.first_ns, time_ns);
    return true;
}

// The id is in a hole: late, out of order, from a slower link, or asked for.
static enum arbiter_verdict sequence_late(const struct arbiter_case *one, int64_t id)
{
    struct arbiter *arbiter = one->arbiter;
    bool full;
    uint64_t open = coverage_fill(&arbiter->pool, &one->key->coverage, id, id, NULL, &full);
    if (full) { // stays listed, and is asked for
        arbiter->counters.overflows++;
        return ARBITER_COPY;
    }
    if (one->link == NULL) return ARBITER_NEW; // told with the whole page
    arbiter->counters.late++;
    if (open > 0)
        arbiter_say(arbiter, one->key,
                    &(struct arbiter_news){.kind = STATUS_HOLE_REPAIRED,
                                           .first = id,
                                           .last = id,
                                           .from_ns = event_trade_ns(one->event),
                                           .to_ns = event_trade_ns(one->event),
                                           .count = 1,
                                           .detail = "came late"});
    return ARBITER_NEW;
}

static enum arbiter_verdict sequence_slow(const struct arbiter_case *one, int64_t id,
                                          int64_t time_ns)
{
    struct arbiter *arbiter = one->arbiter;
    struct coverage *coverage = &one->key->coverage;
    // An answer that comes when its series has ended says nothing about the next.
    if (one->link == NULL && (!coverage->started || id > coverage->last)) return ARBITER_COPY;
    if (!coverage->started) {
        coverage_start(&arbiter->pool, coverage, id, time_ns);
        return ARBITER_NEW;
    }
    if (id > coverage->last) {
        int64_t first = coverage->last + 1;
        int64_t from_ns = coverage->last_ns;
        struct coverage_hole hole = arbiter_hole(
            arbiter, one->key,
            one->key->stored == 0 ? COVERAGE_STOPPED : COVERAGE_SKIPPED, COVERAGE_SUSPECTED,
            one->now);
        if (!coverage_reach(&arbiter->pool, coverage, id, time_ns, &hole))
            arbiter_overflow(arbiter, one->key, first, id - 1, from_ns, time_ns);
        return ARBITER_NEW;
    }
    if (coverage->holes != COVERAGE_NONE &&
        coverage_find(&arbiter->pool, coverage, id) != COVERAGE_NONE)
        return sequence_late(one, id);
    return sequence_restarts(one, id, time_ns) ? ARBITER_NEW : ARBITER_COPY;
}

static inline void sequence_seen(const struct arbiter_case *one, int64_t id)
{
    if (one->link == NULL) return;
    int64_t *seen = &one->key->seen[one->link->copy];
    if (*seen != 0 && id > *seen + 1) one->link->lost += (uint64_t)(id - *seen - 1);
    if (id > *seen) *seen = id;
}

static inline enum arbiter_verdict sequence_judge(const struct arbiter_case *one)
{
    int64_t id = event_id(one->event);
    int64_t time_ns = event_trade_ns(one->event);
    struct coverage *coverage = &one->key->coverage;
    sequence_seen(one, id);
    if (coverage->started && id == coverage->last + 1) {
        coverage->last = id;
        if (time_ns > coverage->last_ns) coverage->last_ns = time_ns;
        return ARBITER_NEW;
    }
    return sequence_slow(one, id, time_ns);
}

// ---- rising ----

static int64_t quote_ns(const struct arbiter_case *one)
{
    return event_has(one->event, QUOTE_TRANSACTION_TIME) ? one->event->value[QUOTE_TRANSACTION_TIME]
                                                         : one->now.utc_ns;
}

static enum arbiter_verdict rising_judge(const struct arbiter_case *one)
{
    struct arbiter_key *key = one->key;
    int64_t id = one->event->value[QUOTE_ID];
    if (key->coverage.started && id <= key->tail) {
        if (id == key->tail || one->now.monotonic_ns - key->leader_ns < ARBITER_QUIET_NS)
            return ARBITER_COPY;
        one->arbiter->counters.restarts++;
        arbiter_series_end(one->arbiter, key, "the exchange's ids start again");
    }
    int64_t time_ns = quote_ns(one);
    if (!key->coverage.started)
        coverage_start(&one->arbiter->pool, &key->coverage, one->now.utc_ns, time_ns);
    key->tail = id;
    key->leader_ns = one->now.monotonic_ns;
    key->coverage.last = one->now.utc_ns;
    key->coverage.last_ns = time_ns;
    return ARBITER_NEW;
}

// ---- leader ----

// What grows from message to message, 0 where there is no such thing.
static int64_t leader_position(const struct event *event)
{
    if (event->channel == CHANNEL_BOOK && event_has(event, BOOK_LAST_ID))
        return event->value[BOOK_LAST_ID];
    _Static_assert((int)BOOK_EVENT_TIME == (int)TICKER_EVENT_TIME &&
                       (int)BOOK_EVENT_TIME == (int)KLINE_EVENT_TIME,
                   "one place for all");
    return event_has(event, BOOK_EVENT_TIME) ? event->value[BOOK_EVENT_TIME] : 0;
}

static enum arbiter_verdict leader_judge(const struct arbiter_case *one)
{
    struct arbiter_key *key = one->key;
    int64_t position = leader_position(one->event);
    if (one->link == NULL) return ARBITER_NEW;
    if (key->leader != one->link->number) {
        bool behind = one->now.monotonic_ns - key->leader_ns > ARBITER_LEADER_PATIENCE_NS &&
                      position > key->tail;
        if (key->leader != 0 && !behind) {
            if (position > key->tail) arbiter_timed_missed(key, one->event, one->now);
            return ARBITER_COPY;
        }
        if (key->leader != 0) one->arbiter->counters.takeovers++;
        if (key->leader != 0) arbiter_timed_silence(one->arbiter, key, one->now);
        // A link that takes over may bring once more what the last one had brought.
        if (key->tail != 0 && position != 0 && position <= key->tail &&
            one->now.monotonic_ns - key->leader_ns < ARBITER_QUIET_NS)
            return ARBITER_COPY;
        key->leader = one->link->number;
    }
    if (!key->coverage.started)
        coverage_start(&one->arbiter->pool, &key->coverage, one->now.utc_ns, one->now.utc_ns);
    if (position > key->tail) key->tail = position;
    key->missed_ns = 0;
    key->leader_ns = one->now.monotonic_ns;
    key->coverage.last = key->coverage.last_ns = one->now.utc_ns;
    return ARBITER_NEW;
}

// ---- judging ----

static enum arbiter_verdict judge_by_rule(const struct arbiter_case *one)
{
    switch ((enum arbiter_rule)one->key->rule) {
    case ARBITER_SEQUENCE: return sequence_judge(one);
    case ARBITER_RANGE: return arbiter_range_judge(one);
    case ARBITER_RISING: return rising_judge(one);
    case ARBITER_SET: return arbiter_set_judge(one);
    case ARBITER_LEADER: return leader_judge(one);
    case ARBITER_NONE: break;
    }
    ensure(one->key->rule != ARBITER_NONE);
    return ARBITER_NEW;
}

enum arbiter_verdict arbiter_judge(struct arbiter *arbiter, const struct event *event,
                                   struct arbiter_link *link, struct arbiter_now now)
{
    uint32_t class = arbiter_class(event->channel);
    if (event->symbol >= LIMIT_SHARD_SYMBOLS || class >= ARBITER_CLASSES) return ARBITER_NEW;
    uint32_t number = arbiter->key_of[(size_t)event->symbol * ARBITER_CLASSES + class];
    if (number == 0) return ARBITER_NEW;
    const struct arbiter_case one = {arbiter, &arbiter->keys[number - 1], event, link, now};
    if (one.key->closed) return ARBITER_COPY; // unsubscribed: what still comes is not wanted
    enum arbiter_verdict verdict = judge_by_rule(&one);
    if (verdict == ARBITER_NEW) {
        one.key->stored++;
        one.key->levels += event->level_count;
        if (one.key->refusing && one.key->resumed_ns == 0) one.key->resumed_ns = now.utc_ns;
        if (event->channel == CHANNEL_AGG_TRADE) one.key->tail = event->value[AGG_TRADE_LAST_ID];
        if (link != NULL) link->first++;
    } else {
        arbiter->counters.copies++;
        if (link != NULL) link->second++;
    }
    return verdict;
}

void arbiter_refused(struct arbiter *arbiter, const struct event *event, struct arbiter_now now)
{
    uint32_t number = arbiter_key_find(arbiter, event->symbol, event->channel);
    if (number == ARBITER_KEY_NONE) return;
    struct arbiter_key *key = &arbiter->keys[number];
    if (key->closed || !key->coverage.started) return;
    struct coverage_hole hole =
        arbiter_hole(arbiter, key, COVERAGE_REFUSED, COVERAGE_OPEN, now);
    if (key->rule == ARBITER_SEQUENCE) {
        hole.first = hole.last = event_id(event);
        hole.from_ns = hole.to_ns = event_trade_ns(event);
    } else if (key->rule == ARBITER_RANGE) {
        key->wants_snapshot = true;
        key->run_first = event->value[DEPTH_LAST_ID] + 1; // an older snapshot lacks this row
        if (key->ended_lost) return;                      // in a hole already
        hole.first = event->value[DEPTH_FIRST_ID];
        hole.last = COVERAGE_ENDLESS;
        hole.from_ns = now.utc_ns;
    } else if (key->rule == ARBITER_SET) {
        arbiter_set_refused(arbiter, key, event);
        return;
    } else {
        arbiter_timed_refused(arbiter, key, event, now);
        return;
    }
    if (coverage_find(&arbiter->pool, &key->coverage, hole.last) != COVERAGE_NONE) return;
    if (!coverage_miss(&arbiter->pool, &key->coverage, &hole))
        arbiter_overflow(arbiter, key, hole.first, hole.last, hole.from_ns, hole.to_ns);
}

// ---- links ----

void arbiter_key_up(struct arbiter *arbiter, uint32_t number, const struct arbiter_link *link,
                    struct arbiter_now now)
{
    ensure(number < arbiter->key_count && link->number != 0);
    struct arbiter_key *key = &arbiter->keys[number];
    key->seen[link->copy] = 0;
    if (key->closed || !arbiter_timed(key)) {
        key->links_live++;
        return;
    }
    arbiter_timed_up(arbiter, number, now);
}

void arbiter_key_down(struct arbiter *arbiter, uint32_t number, const struct arbiter_link *link,
                      struct arbiter_now now)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    ensure(key->links_live > 0);
    key->links_live--;
    key->seen[link->copy] = 0;
    if (key->closed) return;
    if (key->leader == link->number) {
        key->leader = 0;
        if (key->rule == ARBITER_RANGE) arbiter_range_drain(arbiter, key, now);
        if (key->rule == ARBITER_LEADER) arbiter_timed_silence(arbiter, key, now);
    }
    if (arbiter_timed(key) && key->coverage.started)
        arbiter_timed_down(arbiter, number, link, now);
}

// ---- time ----

static void judge_audit(struct arbiter *arbiter, struct arbiter_key *key, struct arbiter_now now)
{
    struct coverage *coverage = &key->coverage;
    int64_t id = key->audit_id;
    int64_t asked_ns = key->audit_ns - ARBITER_AUDIT_PATIENCE_NS;
    key->audit_id = 0;
    if (!coverage->started) return;
    if (key->channel == CHANNEL_AGG_TRADE) // the audit knows trades: is the newest inside?
        id = id > key->tail && key->tail != 0 ? coverage->last + 1 : coverage->last;
    if (id > coverage->last && !arbiter_audit_found(arbiter, key, id, asked_ns, now)) return;
    // What is missing up to here is listed.
    coverage->proven = id;
    coverage->proven_ns = asked_ns;
}

void arbiter_audited(struct arbiter *arbiter, uint32_t number, int64_t id, struct arbiter_now now)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    if (key->closed || key->rule != ARBITER_SEQUENCE || id <= 0 || key->audit_id != 0) return;
    key->audit_id = id;
    key->audit_ns = now.utc_ns + ARBITER_AUDIT_PATIENCE_NS;
}

void arbiter_tick(struct arbiter *arbiter, struct arbiter_now now)
{
    arbiter_timed_ran(arbiter, now);
    struct coverage_pool *pool = &arbiter->pool;
    for (uint32_t i = 0; pool->used > 0 && i < pool->high; i++) {
        struct coverage_hole *hole = &pool->holes[i];
        if (hole->state != COVERAGE_SUSPECTED || now.utc_ns - hole->found_ns < ARBITER_GRACE_NS)
            continue;
        transition(TRANSITION_HOLE, hole->state, COVERAGE_OPEN);
        hole->state = COVERAGE_OPEN;
        arbiter_say_opened(arbiter, hole);
    }
    // A tenth of the keys each time: 6 MB of keys are not walked ten times a second.
    uint32_t first = arbiter->tick_next;
    uint32_t count = arbiter->key_count / 10 + 1;
    for (uint32_t n = 0; n < count && arbiter->key_count > 0; n++) {
        struct arbiter_key *key = &arbiter->keys[(first + n) % arbiter->key_count];
        arbiter->tick_next = (first + n + 1) % arbiter->key_count;
        if (key->audit_id != 0 && now.utc_ns >= key->audit_ns) judge_audit(arbiter, key, now);
        if (key->refusing) arbiter_timed_resumed(arbiter, (first + n) % arbiter->key_count);
        if (key->gap_ns != 0 && key->coverage.started &&
            now.monotonic_ns - key->gap_ns >= ARBITER_GRACE_NS)
            arbiter_range_jump(arbiter, key, now);
        if (key->rule == ARBITER_RANGE && key->leader != 0 &&
            now.monotonic_ns - key->leader_ns > ARBITER_RANGE_PATIENCE_NS)
            arbiter_range_drain(arbiter, key, now);
    }
}

// ---- repair ----

void arbiter_repaired(struct arbiter *arbiter, uint32_t number, int64_t first, int64_t last,
                      int64_t from_ns, int64_t to_ns)
{
    ensure(number < arbiter->key_count && first <= last);
    arbiter_say(arbiter, &arbiter->keys[number],
                &(struct arbiter_news){.kind = STATUS_HOLE_REPAIRED,
                                       .first = first,
                                       .last = last,
                                       .from_ns = from_ns,
                                       .to_ns = to_ns,
                                       .count = last - first + 1,
                                       .detail = "by REST"});
}

void arbiter_resolved(struct arbiter *arbiter, uint32_t number, int64_t first, int64_t last,
                      uint64_t rows, bool lost, const char *detail)
{
    ensure(number < arbiter->key_count && first <= last);
    struct arbiter_key *key = &arbiter->keys[number];
    uint64_t left = 0;
    bool full;
    (void)coverage_fill(&arbiter->pool, &key->coverage, first, last, &left, &full);
    if (full) return; // closed with the next page
    bool ids = key->rule == ARBITER_SEQUENCE || key->rule == ARBITER_RANGE;
    struct arbiter_news news = {.kind = lost ? STATUS_HOLE_LOST : STATUS_HOLE_REPAIRED,
                                .first = first,
                                .last = last,
                                .from_ns = ids ? 0 : first,
                                .to_ns = ids ? 0 : last,
                                .count = last == COVERAGE_ENDLESS
                                             ? COVERAGE_NONE
                                             : (int64_t)(lost && ids ? left : rows),
                                .detail = detail};
    arbiter_say(arbiter, key, &news);
}
