// SPDX-License-Identifier: GPL-3.0-or-later
//
// The set rule: ids are unique, but neither ordered nor contiguous (Upbit's sequential_id is
// documented so). The newest events of a key are remembered, sorted by (time, id): nearly every
// event goes to the end. When the window is full its older half is dropped but for the events
// inside holes, which may come again by REST; a hole begins ARBITER_LATE_NS before the cut.
//
// Judged is what is newer than the floor, or inside a hole; everything else was stored before. What
// the window forgets before an audit has compared it with the exchange is listed as lost: nobody
// can tell any more whether a link left something out.
#include "capture/arbiter_inside.h"

#include <string.h>

enum { KEPT_MAX = ARBITER_WINDOW * 3 / 4 };

static struct arbiter_window *window_of(const struct arbiter *arbiter,
                                        const struct arbiter_key *key)
{
    ensure(key->window >= 0 && (uint32_t)key->window < arbiter->window_count);
    return &arbiter->windows[key->window];
}

// Where (time, id) is or would be.
static uint32_t window_place(const struct arbiter_window *window, int64_t time_ns, int64_t id)
{
    uint32_t at = window->count;
    while (at > 0 && (window->event[at - 1].time_ns > time_ns ||
                      (window->event[at - 1].time_ns == time_ns && window->event[at - 1].id >= id)))
        at--;
    return at;
}

static bool window_has(const struct arbiter_window *window, uint32_t at, int64_t time_ns,
                       int64_t id)
{
    return at < window->count && window->event[at].time_ns == time_ns && window->event[at].id == id;
}

static bool in_hole(const struct arbiter *arbiter, const struct arbiter_key *key, int64_t time_ns)
{
    int32_t at = key->coverage.holes;
    for (; at != COVERAGE_NONE; at = arbiter->pool.holes[at].older) {
        const struct coverage_hole *hole = &arbiter->pool.holes[at];
        if (time_ns >= hole->first && time_ns <= hole->last) return true;
    }
    return false;
}

// The parts of holes up to `time_ns` are given up.
static void holes_forget(struct arbiter *arbiter, struct arbiter_key *key, int64_t time_ns)
{
    int32_t at = key->coverage.holes;
    while (at != COVERAGE_NONE) {
        const struct coverage_hole *hole = &arbiter->pool.holes[at];
        int64_t first = hole->first;
        int64_t last = hole->last < time_ns ? hole->last : time_ns;
        at = hole->older;
        if (first <= time_ns)
            arbiter_resolved(arbiter, arbiter_number(arbiter, key), first, last, 0, true,
                             "more trades than can be remembered");
    }
}

// Half of it goes, from the oldest on.
static void window_thin(struct arbiter *arbiter, struct arbiter_key *key,
                        struct arbiter_window *window)
{
    uint32_t kept = 0;
    uint32_t half = ARBITER_WINDOW / 2;
    ensure(window->count == ARBITER_WINDOW);
    // Never back: what was forgotten stays forgotten, though a hole's events may be older.
    int64_t floor_ns = window->event[half - 1].time_ns;
    if (floor_ns > window->floor_ns) window->floor_ns = floor_ns;
    for (uint32_t i = 0; i < ARBITER_WINDOW; i++) {
        bool newer = window->event[i].time_ns > window->floor_ns;
        if (!newer && !in_hole(arbiter, key, window->event[i].time_ns)) continue;
        window->event[kept++] = window->event[i];
    }
    window->count = kept;
    if (kept <= KEPT_MAX) return;
    // More than a window can hold: what is forgotten cannot be told from what is missing any more.
    uint32_t dropped = kept - half;
    int64_t forgotten_ns = window->event[dropped - 1].time_ns;
    memmove(window->event, window->event + dropped, half * sizeof window->event[0]);
    window->count = half;
    if (forgotten_ns > window->floor_ns) window->floor_ns = forgotten_ns;
    holes_forget(arbiter, key, forgotten_ns);
}

// Trades that were under way may have been lost, but those behind the floor are not remembered:
// REST would bring them once more.
int64_t arbiter_set_cut_ns(const struct arbiter *arbiter, const struct arbiter_key *key,
                           int64_t time_ns)
{
    int64_t floor_ns = window_of(arbiter, key)->floor_ns;
    int64_t cut_ns = time_ns - ARBITER_LATE_NS;
    if (cut_ns <= floor_ns) cut_ns = floor_ns + 1;
    return cut_ns < time_ns ? cut_ns : time_ns;
}

int64_t arbiter_set_unproven_from(const struct arbiter_key *key)
{
    const struct coverage *coverage = &key->coverage;
    return coverage->proven_ns >= coverage->first ? coverage->proven_ns + 1 : coverage->first;
}

static void say_unproven(struct arbiter *arbiter, struct arbiter_key *key, int64_t first,
                         int64_t last)
{
    arbiter_say(arbiter, key,
                &(struct arbiter_news){.kind = STATUS_HOLE_LOST,
                                       .first = first,
                                       .last = last,
                                       .from_ns = first,
                                       .to_ns = last,
                                       .count = COVERAGE_NONE,
                                       .detail = "more trades than audits could compare"});
}

// But for what is in holes: that is listed, and still remembered.
void arbiter_set_unproven(struct arbiter *arbiter, uint32_t number)
{
    ensure(number < arbiter->key_count);
    struct arbiter_key *key = &arbiter->keys[number];
    struct coverage *coverage = &key->coverage;
    int64_t first = arbiter_set_unproven_from(key);
    int64_t last = window_of(arbiter, key)->floor_ns;
    if (!coverage->started || last < first) return;
    // Everything up to the floor is stored or listed then.
    coverage->proven = coverage->proven_ns = last;
    int32_t at = coverage->holes;
    for (; at != COVERAGE_NONE && last >= first; at = arbiter->pool.holes[at].older) {
        const struct coverage_hole *hole = &arbiter->pool.holes[at];
        if (hole->first > last) continue;
        if (hole->last < first) break;
        if (hole->last < last) say_unproven(arbiter, key, hole->last + 1, last);
        last = hole->first - 1;
    }
    if (last >= first) say_unproven(arbiter, key, first, last);
}

static void window_insert(struct arbiter *arbiter, struct arbiter_key *key,
                          struct arbiter_window *window, int64_t time_ns, int64_t id)
{
    if (window->count == ARBITER_WINDOW) window_thin(arbiter, key, window);
    uint32_t at = window_place(window, time_ns, id);
    memmove(&window->event[at + 1], &window->event[at],
            (window->count - at) * sizeof window->event[0]);
    window->event[at].time_ns = time_ns;
    window->event[at].id = id;
    window->count++;
}

// A late trade from before the beginning, which is earlier then. What lies between is for the
// audit.
static void set_begins(struct coverage *coverage, int64_t time_ns)
{
    coverage->first = coverage->first_ns = time_ns;
    if (coverage->proven_ns >= time_ns) coverage->proven = coverage->proven_ns = time_ns - 1;
}

enum arbiter_verdict arbiter_set_judge(const struct arbiter_case *one)
{
    struct arbiter_key *key = one->key;
    struct arbiter_window *window = window_of(one->arbiter, key);
    int64_t time_ns = one->event->value[TRADE_TIME];
    int64_t id = one->event->value[TRADE_ID];
    struct coverage *coverage = &key->coverage;
    if (window_has(window, window_place(window, time_ns, id), time_ns, id)) return ARBITER_COPY;
    if (coverage->started && time_ns <= window->floor_ns && !in_hole(one->arbiter, key, time_ns))
        return ARBITER_COPY;
    // REST does not reach back behind the beginning; a link may bring a trade from there late.
    bool before = !coverage->started || time_ns < coverage->first;
    if (before && one->link == NULL && !in_hole(one->arbiter, key, time_ns)) return ARBITER_COPY;
    if (!coverage->started) {
        coverage_start(&one->arbiter->pool, coverage, time_ns, time_ns);
        window->floor_ns = INT64_MIN; // nothing was stored before
    }
    int64_t floor_ns = window->floor_ns;
    window_insert(one->arbiter, key, window, time_ns, id);
    if (window->floor_ns > floor_ns)
        arbiter_set_unproven(one->arbiter, arbiter_number(one->arbiter, key));
    if (time_ns < coverage->first) set_begins(coverage, time_ns);
    if (time_ns > coverage->last) coverage->last = time_ns;
    if (time_ns > coverage->last_ns) coverage->last_ns = time_ns;
    return ARBITER_NEW;
}

void arbiter_set_remember(struct arbiter *arbiter, struct arbiter_key *key, int64_t time_ns,
                          int64_t id)
{
    struct arbiter_window *window = window_of(arbiter, key);
    if (window_has(window, window_place(window, time_ns, id), time_ns, id)) return;
    if (time_ns > window->floor_ns || in_hole(arbiter, key, time_ns))
        window_insert(arbiter, key, window, time_ns, id);
}

int64_t arbiter_needed_ns(const struct arbiter *arbiter, int64_t now_ns)
{
    int64_t needed_ns = now_ns;
    for (uint32_t i = 0; i < arbiter->key_count; i++) {
        const struct arbiter_key *key = &arbiter->keys[i];
        if (key->rule != ARBITER_SET || !key->coverage.started) continue;
        // An audit begins a little before the proven time, and no window reaches behind its floor.
        int64_t from_ns = arbiter_set_unproven_from(key) - ARBITER_LATE_NS;
        int64_t floor_ns = window_of(arbiter, key)->floor_ns;
        if (from_ns < floor_ns) from_ns = floor_ns;
        if (from_ns < now_ns - ARBITER_NEEDED_NS) from_ns = now_ns - ARBITER_NEEDED_NS;
        if (from_ns < needed_ns) needed_ns = from_ns;
        int32_t at = key->coverage.holes;
        for (; at != COVERAGE_NONE; at = arbiter->pool.holes[at].older)
            if (arbiter->pool.holes[at].first < needed_ns)
                needed_ns = arbiter->pool.holes[at].first;
    }
    return needed_ns;
}

void arbiter_set_refused(struct arbiter *arbiter, struct arbiter_key *key,
                         const struct event *event)
{
    struct arbiter_window *window = window_of(arbiter, key);
    int64_t time_ns = event->value[TRADE_TIME];
    uint32_t at = window_place(window, time_ns, event->value[TRADE_ID]);
    if (!window_has(window, at, time_ns, event->value[TRADE_ID])) return;
    window->count--;
    memmove(&window->event[at], &window->event[at + 1],
            (window->count - at) * sizeof window->event[0]);
    // The next audit finds it, and one under way has not compared it.
    if (key->coverage.proven_ns >= time_ns) key->coverage.proven_ns = time_ns - 1;
    if (key->refused_ns == 0 || time_ns < key->refused_ns) key->refused_ns = time_ns;
}
