// SPDX-License-Identifier: GPL-3.0-or-later
//
// arbiter_inside: what the files of the arbiter share. Nobody else includes it.
#ifndef RINGTAPE_CAPTURE_ARBITER_INSIDE_H
#define RINGTAPE_CAPTURE_ARBITER_INSIDE_H

#include "capture/arbiter.h"

#include "base/transition.h"
#include "format/ensure.h"

// One event on its way through a rule.
struct arbiter_case {
    struct arbiter *arbiter;
    struct arbiter_key *key;
    const struct event *event;
    struct arbiter_link *link; // NULL: by REST
    struct arbiter_now now;
};

static inline uint32_t arbiter_number(const struct arbiter *arbiter, const struct arbiter_key *key)
{
    return (uint32_t)(key - arbiter->keys);
}

void arbiter_say(struct arbiter *arbiter, const struct arbiter_key *key,
                 const struct arbiter_news *news);
void arbiter_say_opened(struct arbiter *arbiter, const struct coverage_hole *hole);
// A hole that the pool had no room for is lost at once.
void arbiter_overflow(struct arbiter *arbiter, const struct arbiter_key *key, int64_t first,
                      int64_t last, int64_t from_ns, int64_t to_ns);
// The exchange knows ids up to `id`, of which none behind the last event has come: a hole. False:
// of agg_trade, how many are missing is not known.
bool arbiter_audit_found(struct arbiter *arbiter, struct arbiter_key *key, int64_t id,
                         int64_t asked_ns, struct arbiter_now now);
// The series ends, and with it what was said of its end.
void arbiter_tail_forget(struct arbiter *arbiter, struct arbiter_key *key);
// SET: where a hole begins that is due to a cut at `time_ns`.
int64_t arbiter_set_cut_ns(const struct arbiter *arbiter, const struct arbiter_key *key,
                           int64_t time_ns);
// SET: what is newer may not have been compared with the exchange.
int64_t arbiter_set_unproven_from(const struct arbiter_key *key);
// The series ends here: its row is written and nothing is covered.
void arbiter_series_end(struct arbiter *arbiter, struct arbiter_key *key, const char *why);
struct coverage_hole arbiter_hole(const struct arbiter *arbiter, const struct arbiter_key *key,
                                  enum coverage_cause cause, enum coverage_state state,
                                  struct arbiter_now now);

// ---- arbiter_range.c ----

struct arbiter_held *arbiter_held_open(void); // NULL: no memory
void arbiter_held_close(struct arbiter_held *held);
enum arbiter_verdict arbiter_range_judge(const struct arbiter_case *one);
// What is held goes on where the leader stopped.
void arbiter_range_drain(struct arbiter *arbiter, struct arbiter_key *key, struct arbiter_now now);
// Nothing that is held of the key is wanted any more.
void arbiter_range_forget(struct arbiter *arbiter, struct arbiter_key *key);
// What is held goes on, whatever is missing before it: a gap.
void arbiter_range_jump(struct arbiter *arbiter, struct arbiter_key *key, struct arbiter_now now);

// ---- arbiter_set.c ----

enum arbiter_verdict arbiter_set_judge(const struct arbiter_case *one);
void arbiter_set_remember(struct arbiter *arbiter, struct arbiter_key *key, int64_t time_ns,
                          int64_t id);
void arbiter_set_refused(struct arbiter *arbiter, struct arbiter_key *key,
                         const struct event *event);

// ---- arbiter_timed.c ----

// Its holes are times.
static inline bool arbiter_timed(const struct arbiter_key *key)
{
    return key->rule == ARBITER_SET || key->rule == ARBITER_RISING || key->rule == ARBITER_LEADER;
}
// A link that carries the key is live (counted here), is no longer (counted before).
void arbiter_timed_up(struct arbiter *arbiter, uint32_t number, struct arbiter_now now);
void arbiter_timed_down(struct arbiter *arbiter, uint32_t number, const struct arbiter_link *link,
                        struct arbiter_now now);
// The process runs: told with every tick.
void arbiter_timed_ran(struct arbiter *arbiter, struct arbiter_now now);
// Since when events are missing of a key whose links are all cut at `time_ns`.
int64_t arbiter_timed_cut_ns(const struct arbiter *arbiter, const struct arbiter_key *key,
                             int64_t time_ns);
// LEADER: what another link brings and the leader does not bring any more, so that it is replaced,
// was left out.
void arbiter_timed_missed(struct arbiter_key *key, const struct event *event,
                          struct arbiter_now now);
void arbiter_timed_silence(struct arbiter *arbiter, struct arbiter_key *key,
                           struct arbiter_now now);
// RISING, LEADER: nothing numbers what is missing, so from the first refused row on it is a time
// without an end.
void arbiter_timed_refused(struct arbiter *arbiter, struct arbiter_key *key,
                           const struct event *event, struct arbiter_now now);
// ... until a tick sees that a row was taken since: when a row is judged nobody knows that yet.
void arbiter_timed_resumed(struct arbiter *arbiter, uint32_t number);

#endif
