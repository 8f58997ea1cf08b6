// SPDX-License-Identifier: GPL-3.0-or-later
//
// repair: see repair.h. Contract: a key has one job at most (in_mending); every job that
// repair_next() gave ends in repair_answered() saying false, or in repair_failed().
#include "capture/repair.h"

#include "format/ensure.h"
#include <string.h>

#define DAY_NS (24 * LIMIT_HOUR_NS)
#define MIDNIGHT_NS (2 * LIMIT_SECOND_NS)
#define FRESH_NS (10 * LIMIT_MINUTE_NS) // an end this new is walked to from the newest trade

// Searched at once: keys are large, and there are 25,000 of Binance.
enum { KEYS_A_TIME = 2048 };

static const char nowhere[] = "the exchange does not have these ids";
static const char too_old[] = "older than the exchange gives";

// ---- choosing ----

static bool hole_waits(const struct arbiter *arbiter, const struct coverage_hole *hole,
                       uint8_t exchange, struct arbiter_now now)
{
    if (hole->state != COVERAGE_OPEN || hole->last == COVERAGE_ENDLESS ||
        hole->retry_ns > now.monotonic_ns)
        return false;
    const struct arbiter_key *key = &arbiter->keys[hole->key];
    if (key->exchange != exchange || key->in_mending) return false;
    // A trade of the hole may be told late: until then no walk has seen them all.
    if (key->rule == ARBITER_SET) return hole->last <= now.utc_ns - ARBITER_LATE_NS;
    return key->rule == ARBITER_SEQUENCE;
}

static const struct coverage_hole *newest_hole(const struct arbiter *arbiter, uint8_t exchange,
                                               struct arbiter_now now)
{
    const struct coverage_hole *newest = NULL;
    for (uint32_t i = 0; i < arbiter->pool.high; i++) {
        const struct coverage_hole *hole = &arbiter->pool.holes[i];
        if (hole_waits(arbiter, hole, exchange, now) &&
            (newest == NULL || hole->to_ns > newest->to_ns))
            newest = hole;
    }
    return newest;
}

// The newest page of the hole, and older holes of its key that the page reaches.
static void plan_ids(const struct arbiter *arbiter, const struct coverage_hole *hole,
                     uint32_t page, struct repair_job *job)
{
    int64_t least = hole->last - (int64_t)page + 1;
    job->kind = REPAIR_IDS;
    job->last = hole->last;
    job->first = hole->first > least ? hole->first : least;
    for (int32_t at = hole->older; at != COVERAGE_NONE; at = arbiter->pool.holes[at].older) {
        if (arbiter->pool.holes[at].first < least) break;
        job->first = arbiter->pool.holes[at].first;
    }
}

// A walk goes by days of UTC, by the exchange's clock: not while the two may have different ones.
static bool near_midnight(int64_t utc_ns)
{
    int64_t of_day_ns = utc_ns % DAY_NS;
    return of_day_ns < MIDNIGHT_NS || of_day_ns >= DAY_NS - MIDNIGHT_NS;
}

// Where a walk back in time begins.
static void plan_walk(struct repair_job *job, struct arbiter_now now)
{
    int64_t end_ns = job->last < now.utc_ns ? job->last : now.utc_ns;
    job->days_ago = (uint32_t)(now.utc_ns / DAY_NS - end_ns / DAY_NS);
    job->cursor = 0;
    job->low = INT64_MAX;
}

// Older than what a walk can reach: nobody is asked. The next one is looked at then.
static bool out_of_reach(struct arbiter *arbiter, const struct dialect_history *history,
                         const struct coverage_hole *hole, struct arbiter_now now)
{
    int64_t reach_ns = (now.utc_ns / DAY_NS - history->days_back) * DAY_NS;
    if (arbiter->keys[hole->key].rule != ARBITER_SET || hole->last >= reach_ns) return false;
    arbiter_resolved(arbiter, hole->key, hole->first, hole->last, 0, true, too_old);
    return true;
}

static bool plan_hole(struct arbiter *arbiter, const struct dialect_history *history,
                      uint8_t exchange, struct arbiter_now now, struct repair_job *job)
{
    const struct coverage_hole *hole = newest_hole(arbiter, exchange, now);
    while (hole != NULL && out_of_reach(arbiter, history, hole, now))
        hole = newest_hole(arbiter, exchange, now);
    if (hole == NULL) return false;
    job->key = hole->key;
    if (arbiter->keys[hole->key].rule == ARBITER_SEQUENCE) {
        plan_ids(arbiter, hole, history->page, job);
        return true;
    }
    job->kind = REPAIR_TIMES;
    job->first = hole->first;
    job->last = hole->last;
    plan_walk(job, now);
    return true;
}

// Searches the keys of the exchange round robin for one that `fits`.
static bool plan_key(const struct arbiter *arbiter, uint8_t exchange, uint32_t *from,
                     bool (*fits)(const struct arbiter_key *key, struct arbiter_now now),
                     struct arbiter_now now, uint32_t *found)
{
    uint32_t count = arbiter->key_count < KEYS_A_TIME ? arbiter->key_count : KEYS_A_TIME;
    for (uint32_t n = 0; n < count; n++) {
        uint32_t at = (*from)++ % arbiter->key_count;
        const struct arbiter_key *key = &arbiter->keys[at];
        if (key->exchange != exchange || key->in_mending || key->closed ||
            key->links_live == 0 || key->retry_ns > now.monotonic_ns || !fits(key, now))
            continue;
        *found = at;
        return true;
    }
    return false;
}

static bool wants_snapshot(const struct arbiter_key *key, struct arbiter_now now)
{
    (void)now;
    return key->rule == ARBITER_RANGE && key->wants_snapshot && key->coverage.started;
}

// proven_ns of depth: of the newest snapshot. One far ahead is of before the clock stepped back.
static bool wants_renewal(const struct arbiter_key *key, struct arbiter_now now)
{
    const int64_t age_ns = now.utc_ns - key->coverage.proven_ns;
    return key->rule == ARBITER_RANGE && key->coverage.started && key->coverage.proven != 0 &&
           (age_ns >= REPAIR_SNAPSHOT_NS || age_ns <= -REPAIR_SNAPSHOT_NS ||
            key->levels >= REPAIR_SNAPSHOT_LEVELS);
}

static bool wants_tail(const struct arbiter_key *key, struct arbiter_now now)
{
    (void)now;
    return key->wants_tail && key->coverage.started;
}

static bool wants_audit(const struct arbiter_key *key, struct arbiter_now now)
{
    return key->rule == ARBITER_SET && key->coverage.started &&
           (now.utc_ns - key->coverage.proven_ns >= REPAIR_AUDIT_NS ||
            key->stored - key->audited >= REPAIR_AUDIT_EVENTS);
}

static void plan_recent(struct arbiter *arbiter, uint32_t number, struct arbiter_now now,
                        struct repair_job *job)
{
    struct arbiter_key *key = &arbiter->keys[number];
    arbiter_set_unproven(arbiter, number); // a row may have been refused behind the floor
    key->refused_ns = 0;
    int64_t floor_ns = arbiter->windows[key->window].floor_ns;
    job->kind = REPAIR_RECENT;
    job->key = number;
    job->first = key->coverage.proven_ns - ARBITER_LATE_NS;
    if (job->first < floor_ns + 1) job->first = floor_ns + 1;
    if (job->first < key->coverage.first) job->first = key->coverage.first;
    // What is younger may be under way on a link, which brings more of it than REST does.
    job->last = now.utc_ns - ARBITER_LATE_NS;
    job->stored = key->stored;
    plan_walk(job, now);
}

static bool plan_audit(struct arbiter *arbiter, uint8_t exchange, struct repair_cursor *cursor,
                       struct arbiter_now now, struct repair_job *job)
{
    uint32_t found;
    if (!plan_key(arbiter, exchange, &cursor->recent, wants_audit, now, &found)) return false;
    plan_recent(arbiter, found, now, job);
    return true;
}

// A window forgets what no audit has compared, so audits do not wait behind holes.
static bool plan_by_cursor(struct arbiter *arbiter, const struct dialect_history *history,
                           uint8_t exchange, struct repair_cursor *cursor,
                           struct arbiter_now now, struct repair_job *job)
{
    bool turn = cursor->turn;
    if (near_midnight(now.utc_ns)) return false;
    cursor->turn = !turn;
    if (turn && plan_audit(arbiter, exchange, cursor, now, job)) return true;
    return plan_hole(arbiter, history, exchange, now, job) ||
           plan_audit(arbiter, exchange, cursor, now, job);
}

static bool plan_snapshot(const struct arbiter *arbiter, uint8_t exchange,
                          struct repair_cursor *cursor, struct arbiter_now now,
                          struct repair_job *job)
{
    if (now.monotonic_ns < cursor->snapshot_ns ||
        !plan_key(arbiter, exchange, &cursor->snapshot, wants_snapshot, now, &job->key))
        return false;
    job->kind = REPAIR_SNAPSHOT;
    return true;
}

static bool plan_renewal(const struct arbiter *arbiter, uint8_t exchange,
                         struct repair_cursor *cursor, struct arbiter_now now,
                         struct repair_job *job)
{
    if (now.monotonic_ns < cursor->renewal_ns || now.monotonic_ns < cursor->snapshot_ns ||
        !plan_key(arbiter, exchange, &cursor->renewal, wants_renewal, now, &job->key))
        return false;
    cursor->renewal_ns = now.monotonic_ns + REPAIR_SNAPSHOT_GAP_NS;
    job->kind = REPAIR_SNAPSHOT;
    return true;
}

static bool plan_tail(const struct arbiter *arbiter, uint8_t exchange,
                      struct repair_cursor *cursor, struct arbiter_now now,
                      struct repair_job *job)
{
    if (arbiter->tails == 0 ||
        !plan_key(arbiter, exchange, &cursor->tail, wants_tail, now, &job->key))
        return false;
    job->kind = REPAIR_TAIL;
    job->first = arbiter->keys[job->key].coverage.last + 1;
    job->last = INT64_MAX;
    return true;
}

// What depth loses until its snapshot comes is lost for good, so it does not wait behind holes.
static bool plan_by_ids(struct arbiter *arbiter, const struct dialect_history *history,
                        uint8_t exchange, struct repair_cursor *cursor, struct arbiter_now now,
                        struct repair_job *job)
{
    bool turn = cursor->turn;
    cursor->turn = !turn;
    if (turn && plan_snapshot(arbiter, exchange, cursor, now, job)) return true;
    return plan_hole(arbiter, history, exchange, now, job) ||
           plan_snapshot(arbiter, exchange, cursor, now, job) ||
           plan_tail(arbiter, exchange, cursor, now, job) ||
           plan_renewal(arbiter, exchange, cursor, now, job);
}

bool repair_next(struct arbiter *arbiter, const struct dialect_history *history, uint8_t exchange,
                 struct repair_cursor *cursor, bool audit, struct arbiter_now now,
                 struct repair_job *job)
{
    *job = (struct repair_job){.key = ARBITER_KEY_NONE, .began_ns = now.utc_ns};
    if (audit && !history->by_cursor) {
        job->kind = REPAIR_LAST_IDS;
        return true;
    }
    bool found = history->by_cursor
                     ? plan_by_cursor(arbiter, history, exchange, cursor, now, job)
                     : plan_by_ids(arbiter, history, exchange, cursor, now, job);
    if (!found) return false;
    arbiter->keys[job->key].in_mending = true;
    return true;
}

// ---- asking ----

struct history_ask repair_ask(const struct repair_job *job, const struct arbiter *arbiter,
                              const struct dialect_history *history, const char *symbol)
{
    struct history_ask ask = {.symbol = symbol, .count = history->page, .second_of_day = -1};
    switch (job->kind) {
    case REPAIR_SNAPSHOT: ask.kind = HISTORY_DEPTH; break;
    case REPAIR_LAST_IDS: ask.kind = HISTORY_LAST_IDS; break;
    case REPAIR_IDS:
    case REPAIR_TAIL:
        ask.kind = arbiter->keys[job->key].channel == CHANNEL_TRADE ? HISTORY_TRADES
                                                                    : HISTORY_AGG_TRADES;
        ask.first = job->first;
        // The audit of aggregate trades knows that some are missing, not how many.
        if (ask.kind == HISTORY_TRADES && job->kind == REPAIR_IDS)
            ask.count = (uint32_t)(job->last - job->first + 1);
        break;
    case REPAIR_TIMES:
    case REPAIR_RECENT:
        ask.kind = HISTORY_TRADES;
        ask.first = job->cursor;
        ask.days_ago = job->days_ago;
        if (job->cursor == 0 && job->kind == REPAIR_TIMES && job->low == INT64_MAX &&
            job->began_ns - job->last > FRESH_NS)
            ask.second_of_day = (int32_t)(job->last % DAY_NS / LIMIT_SECOND_NS) + 1;
        if (ask.second_of_day >= DAY_NS / LIMIT_SECOND_NS) ask.second_of_day = -1;
        break;
    }
    ensure(ask.count > 0 && ask.count <= history->page);
    return ask;
}

// ---- answers ----

static bool job_of_ids(const struct repair_job *job)
{
    return job->kind == REPAIR_IDS;
}

bool repair_wants(const struct repair_job *job, const struct arbiter *arbiter, int64_t id,
                  int64_t time_ns)
{
    if (job->kind == REPAIR_TAIL) return false; // only how far they go
    if (job_of_ids(job))
        return id >= job->first &&
               (id <= job->last || arbiter->keys[job->key].channel == CHANNEL_AGG_TRADE);
    return time_ns >= job->first && time_ns <= job->last;
}

static void run_flush(struct repair_job *job, struct arbiter *arbiter)
{
    if (job->run_last == 0) return;
    arbiter_repaired(arbiter, job->key, job->run_first, job->run_last, job->run_from_ns,
                     job->run_to_ns);
    job->run_last = 0;
}

void repair_row(struct repair_job *job, struct arbiter *arbiter, int64_t id, int64_t time_ns,
                bool stored)
{
    job->seen++;
    job->rows += stored;
    if (job->kind == REPAIR_TAIL) {
        if (id > job->high) job->high = id;
        return;
    }
    if (!job_of_ids(job)) {
        if (time_ns < job->low) job->low = time_ns;
        if (stored && time_ns > job->high) job->high = time_ns;
        job->cursor = id; // the answer goes from new to old
        return;
    }
    if (job->seen == 1 || id < job->low) job->low = id;
    if (id > job->high) job->high = id;
    if (!stored) return;
    if (job->run_last == 0 || id != job->run_last + 1) {
        run_flush(job, arbiter);
        job->run_first = id;
        job->run_from_ns = time_ns;
    }
    job->run_last = id;
    job->run_to_ns = time_ns;
}

static int64_t pause_of(uint8_t attempts)
{
    return REPAIR_PAUSE_NS << (attempts < 6 ? attempts : 6);
}

// What the answer passed over: asked for again, and given up the third time.
static void ids_left(struct repair_job *job, struct arbiter *arbiter, int64_t last,
                     struct arbiter_now now)
{
    struct coverage *coverage = &arbiter->keys[job->key].coverage;
    int32_t at = coverage->holes;
    while (at != COVERAGE_NONE) {
        struct coverage_hole *hole = &arbiter->pool.holes[at];
        at = hole->older;
        if (hole->first > last || hole->last < job->first) continue;
        if (++hole->attempts < REPAIR_ATTEMPTS_MAX) {
            hole->retry_ns = now.monotonic_ns + pause_of(hole->attempts);
            continue;
        }
        int64_t from = hole->first > job->first ? hole->first : job->first;
        int64_t to = hole->last < last ? hole->last : last;
        arbiter_resolved(arbiter, job->key, from, to, 0, true, nowhere);
        at = coverage->holes; // the list has changed; at most a page of rounds
    }
}

static void ids_answered(struct repair_job *job, struct arbiter *arbiter, struct arbiter_now now)
{
    run_flush(job, arbiter);
    // A short answer says nothing about what is behind it, an empty one about anything.
    int64_t last = job->seen == 0 || job->high > job->last ? job->last : job->high;
    if (last >= job->first) ids_left(job, arbiter, last, now);
}

// Down to where a walk has seen everything. Answers may go by when trades were told: one
// that was told late stands among newer ones and does not end the walk.
static int64_t walk_reach_ns(const struct repair_job *job)
{
    return job->low == INT64_MAX ? INT64_MAX : job->low + ARBITER_LATE_NS;
}

// True: the walk goes on.
static bool walk_on(struct repair_job *job, const struct dialect_history *history)
{
    if (walk_reach_ns(job) < job->first || job->last < job->first) return false;
    if (job->seen > 0) return true; // a short page is not the day's beginning: an empty one is
    int64_t day_ns = (job->began_ns / DAY_NS - job->days_ago) * DAY_NS;
    if (day_ns <= job->first || job->days_ago >= history->days_back) return false;
    job->days_ago++;
    job->cursor = 0;
    return true;
}

// What the window forgot during the walk is listed as lost: its rows were not looked at.
static void walk_narrow(struct repair_job *job, const struct arbiter *arbiter)
{
    const struct arbiter_key *key = &arbiter->keys[job->key];
    int64_t first = job->last + (job->last < INT64_MAX);
    if (job->kind == REPAIR_RECENT) {
        ensure(key->window >= 0);
        first = arbiter->windows[key->window].floor_ns + 1;
    } else {
        int32_t at = coverage_find(&arbiter->pool, &key->coverage, job->last);
        if (at != COVERAGE_NONE) first = arbiter->pool.holes[at].first;
    }
    if (first > job->first) job->first = first;
}

static void walk_done(struct repair_job *job, struct arbiter *arbiter,
                      const struct dialect_history *history, struct arbiter_now now)
{
    struct coverage *coverage = &arbiter->keys[job->key].coverage;
    int64_t reach_ns = (job->began_ns / DAY_NS - history->days_back) * DAY_NS;
    walk_narrow(job, arbiter);
    if (job->kind == REPAIR_TIMES) {
        if (job->first < reach_ns) {
            int64_t end_ns = job->last < reach_ns ? job->last : reach_ns;
            arbiter_resolved(arbiter, job->key, job->first, end_ns, 0, true, too_old);
            job->first = end_ns + 1;
        }
        if (job->first <= job->last)
            arbiter_resolved(arbiter, job->key, job->first, job->last, job->rows, false,
                             "by REST");
        return;
    }
    // Not a trade between others, but the newest of all: no link brings anything.
    if (job->rows > 0 && job->high >= coverage->last_ns)
        arbiter->keys[job->key].audit_found_ns = now.monotonic_ns;
    if (job->rows > 0 && job->first <= job->last) // left out live: opened, repaired in one
        arbiter_resolved(arbiter, job->key, job->first, job->last, job->rows, false,
                         coverage_cause_text(COVERAGE_AUDIT));
    if (coverage->proven_ns == 0 || job->first > coverage->proven_ns)
        coverage->proven_from_ns = job->first;
    struct arbiter_key *key = &arbiter->keys[job->key];
    int64_t proven_ns = job->began_ns - ARBITER_LATE_NS;
    if (key->refused_ns != 0 && key->refused_ns <= proven_ns) proven_ns = key->refused_ns - 1;
    if (proven_ns > coverage->proven_ns || key->refused_ns != 0)
        coverage->proven = coverage->proven_ns = proven_ns;
    key->audited = job->stored;
    if (key->ended_lost) arbiter_tail_back(arbiter, key);
}

// A row of the hole may have been fetched and not been stored: the hole is walked again.
static bool walk_refused(const struct repair_job *job, const struct arbiter *arbiter)
{
    int64_t refused_ns = arbiter->keys[job->key].refused_ns;
    return job->kind == REPAIR_TIMES && refused_ns != 0 && refused_ns <= job->last;
}

bool repair_answered(struct repair_job *job, struct arbiter *arbiter,
                     const struct dialect_history *history, struct arbiter_now now)
{
    if (job->kind == REPAIR_LAST_IDS) return false;
    struct arbiter_key *key = &arbiter->keys[job->key];
    ensure(key->in_mending);
    if (job_of_ids(job)) {
        ids_answered(job, arbiter, now);
    } else if (job->kind == REPAIR_TAIL) {
        arbiter_tail_found(arbiter, job->key, job->high, now);
    } else if (job->kind == REPAIR_SNAPSHOT) {
        // It did not fit what the links brought; covered is what was, so nothing is in a hurry.
        if (!key->wants_snapshot && wants_renewal(key, now))
            key->retry_ns = now.monotonic_ns + REPAIR_SNAPSHOT_PAUSE_NS;
    } else {
        // The pages before were of another day than the exchange now says it is.
        if (now.utc_ns / DAY_NS != job->began_ns / DAY_NS || near_midnight(now.utc_ns)) {
            repair_failed(job, arbiter, REPAIR_PAUSE_NS, NULL, now);
            return false;
        }
        if (walk_on(job, history)) {
            job->seen = 0;
            return true;
        }
        if (walk_refused(job, arbiter)) {
            repair_failed(job, arbiter, REPAIR_PAUSE_NS, NULL, now);
            return false;
        }
        walk_done(job, arbiter, history, now);
    }
    key->in_mending = false;
    return false;
}

// Hole by hole: what lies between them is stored.
static void ids_lost(const struct repair_job *job, struct arbiter *arbiter, const char *why)
{
    int32_t at = arbiter->keys[job->key].coverage.holes;
    while (at != COVERAGE_NONE) {
        const struct coverage_hole *hole = &arbiter->pool.holes[at];
        const int64_t from = hole->first > job->first ? hole->first : job->first;
        const int64_t to = hole->last < job->last ? hole->last : job->last;
        at = hole->older;
        if (from <= to) arbiter_resolved(arbiter, job->key, from, to, 0, true, why);
    }
}

// There is no such symbol: nothing behind what is stored will ever be known.
static void repair_gone(const struct repair_job *job, struct arbiter *arbiter, const char *lost,
                        struct arbiter_now now)
{
    if (job->kind == REPAIR_TAIL || job->kind == REPAIR_RECENT || job->kind == REPAIR_TIMES)
        arbiter_tail_lost(arbiter, job->key, lost, now);
    if (job->kind == REPAIR_SNAPSHOT) arbiter_range_lost(arbiter, job->key, lost);
}

void repair_failed(struct repair_job *job, struct arbiter *arbiter, int64_t pause_ns,
                   const char *lost, struct arbiter_now now)
{
    if (job->kind == REPAIR_LAST_IDS) return;
    struct arbiter_key *key = &arbiter->keys[job->key];
    ensure(key->in_mending);
    key->in_mending = false;
    key->retry_ns = now.monotonic_ns + pause_ns;
    if (job->kind == REPAIR_SNAPSHOT && !key->wants_snapshot && pause_ns < REPAIR_SNAPSHOT_PAUSE_NS)
        key->retry_ns = now.monotonic_ns + REPAIR_SNAPSHOT_PAUSE_NS;
    if (job_of_ids(job)) run_flush(job, arbiter);
    if (lost != NULL) repair_gone(job, arbiter, lost, now);
    if (job->kind != REPAIR_IDS && job->kind != REPAIR_TIMES) return;
    if (job->kind == REPAIR_TIMES) walk_narrow(job, arbiter);
    if (job->first > job->last) return;
    // Pages of a walk that did come are not walked again.
    int64_t reach_ns = walk_reach_ns(job);
    bool done = !walk_refused(job, arbiter);
    if (done && job->kind == REPAIR_TIMES && reach_ns < job->last && reach_ns > job->first) {
        arbiter_resolved(arbiter, job->key, reach_ns + 1, job->last, job->rows, false, "by REST");
        job->last = reach_ns;
    }
    if (lost != NULL && job_of_ids(job)) {
        ids_lost(job, arbiter, lost);
        return;
    }
    if (lost != NULL) {
        arbiter_resolved(arbiter, job->key, job->first, job->last, 0, true, lost);
        return;
    }
    int32_t at = coverage_find(&arbiter->pool, &key->coverage, job->last);
    if (at != COVERAGE_NONE) arbiter->pool.holes[at].retry_ns = now.monotonic_ns + pause_ns;
}
