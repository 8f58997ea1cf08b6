// SPDX-License-Identifier: GPL-3.0-or-later
//
// arbiter: judges each event of a shard by identity: new, or a copy of one that was stored; and
// finds the holes. Payloads are never compared: copies of one event differ in the event time.
//
// A key is a symbol's channel. Its rule says what identity is:
//
//     SEQUENCE  ids rise by one (trade, agg_trade of Binance)
//     RANGE     ids [U, u] follow one another (depth); one link leads, see arbiter_range.c
//     RISING    ids rise (quote)
//     SET       ids are unique, no order (trade of Upbit); positions are times
//     LEADER    no identity: the leading link's events are taken (book, ticker, kline)
//
// An event of a key that was never opened is new. docs/completeness.md tells it for people.
//
// Pure: time comes with each call. Memory, allocated in arbiter_open(), touched as used: a number
// for each (symbol, class), 2 MiB; ARBITER_KEYS_MAX keys of 320 bytes, 20 MiB; windows of SET keys,
// 32 KiB each, ARBITER_WINDOWS_MAX; 4 MiB of held depth events; the pool of holes.
// Threading: core-local.
#ifndef RINGTAPE_CAPTURE_ARBITER_H
#define RINGTAPE_CAPTURE_ARBITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "capture/coverage.h"
#include "format/event.h"

enum arbiter_rule {
    ARBITER_NONE,
    ARBITER_SEQUENCE,
    ARBITER_RANGE,
    ARBITER_RISING,
    ARBITER_SET,
    ARBITER_LEADER,
};

enum arbiter_verdict { ARBITER_NEW, ARBITER_COPY, ARBITER_HELD };

enum {
    ARBITER_CLASSES = 8,       // channels with keys, of each symbol
    ARBITER_KEYS_MAX = 65536,  // 3,500 spot symbols with all seven channels and room
    ARBITER_WINDOWS_MAX = 4096, // SET keys; Upbit has about 700 markets
    ARBITER_WINDOW = 2048,     // events remembered of a SET key
    ARBITER_HELD_BYTES = 4 << 20,
    ARBITER_RESTART_DISTANCE = 100, // an id that starts again is lower by at least as much
};
#define ARBITER_KEY_NONE 0xffffffffu
#define ARBITER_GRACE_NS (300 * LIMIT_MILLISECOND_NS) // suspected holes become open
#define ARBITER_RANGE_PATIENCE_NS LIMIT_SECOND_NS     // a depth leader this far behind is replaced
#define ARBITER_LEADER_PATIENCE_NS (2 * LIMIT_SECOND_NS)
#define ARBITER_QUIET_NS (10 * LIMIT_SECOND_NS) // then a lower id of a RISING key is a restart
#define ARBITER_LATE_NS (3 * LIMIT_SECOND_NS)   // SET: how late an event may come
#define ARBITER_NEEDED_NS LIMIT_HOUR_NS // SET: rows this old are read again for an audit

// One link as the arbiter sees it; embedded by the link.
struct arbiter_link {
    uint32_t number; // unique, not 0
    uint8_t copy;    // below LIMIT_REDUNDANCY
    uint64_t first;  // events that were new
    uint64_t second; // copies
    uint64_t lost;   // ids of sequences that it left out while live
    int64_t mute_ns; // UTC, of one that goes down: it brought nothing since; 0: not mute
};

struct arbiter_window { // the newest events of a SET key, by (time, id)
    uint32_t count;
    int64_t floor_ns; // everything newer than this is remembered
    struct {
        int64_t time_ns;
        int64_t id;
    } event[ARBITER_WINDOW];
};

struct arbiter_key {
    struct coverage coverage;
    int64_t seen[LIMIT_REDUNDANCY]; // SEQUENCE: last id of each copy; 0: none since it came up
    uint32_t symbol;
    uint8_t channel;
    uint8_t rule;
    uint8_t exchange;    // the caller's; 0: not said yet
    bool closed;         // nobody wants it any more
    uint16_t uses;       // that opened it and have not closed it
    uint16_t links_live; // that carry it
    bool wants_snapshot; // RANGE: has no anchor
    bool in_mending;     // the caller's: a request of it is under way
    bool unlisted;       // the exchange's last audit did not know its symbol
    uint32_t leader;     // number of the leading link; 0: none
    int32_t window;      // SET
    int64_t leader_ns;   // monotonic: the leader's last event
    int64_t restart_id;  // SEQUENCE: an id that may be the first of a new series; 0: none
    int64_t restart_ns;  // its trade time
    int64_t run_first;   // RANGE: where the present run without a gap began
    int64_t gap_ns;      // RANGE: monotonic: since when the next update is waited for; 0: it is not
    int64_t audit_id;    // SEQUENCE: what the exchange has, to be judged at audit_ns; 0: none
    int64_t audit_ns;
    int64_t audit_found_ns; // monotonic: when one last found more than had come
    int64_t retry_ns;    // the caller's: monotonic, no snapshot or audit is asked for before
    int64_t tail;        // agg_trade: last trade id inside the newest event
    int64_t refused_ns;  // SET: time of the oldest refused row since an audit began; 0: none
    uint32_t left;       // timed: number of the link that last left it with a single other one,
    int64_t alone_ns;    // ... which was the only one from here, UTC; 0: never
    int64_t alone_to_ns; // ... to here; 0: it still is
    bool refusing;       // RISING, LEADER: rows were refused, their hole has no end yet
    int64_t missed_ns;   // LEADER: first event that another link brought since the leader's last
    int64_t resumed_ns;  // of the first event judged since the newest refusal; 0: none
    int64_t ended;       // where the exchange, which does not name the symbol any more, was asked
                         // for the rest in vain; 0: it names it
    int64_t ended_ns;
    uint32_t named;      // round of the last audit that named the symbol
    bool ended_lost;     // what is behind is listed as lost
    bool wants_tail;     // SEQUENCE: not named any more: what came behind the last event is asked
    bool by_rows;        // recalled, RISING and LEADER: rows alone say where it began, no ledger
    uint64_t stored;     // events, since the start
    uint64_t levels;     // RANGE: of the events stored since the newest snapshot or the start
    uint64_t audited;    // SET: of them, when the last audit began
};

// Something to be told: becomes a status row.
struct arbiter_news {
    enum status_kind kind;
    uint32_t key;
    int64_t first; // COVERAGE_NONE: no ids
    int64_t last;
    int64_t from_ns; // 0: absent
    int64_t to_ns;
    int64_t count; // COVERAGE_NONE: absent
    const char *detail;
};
typedef void arbiter_tell(void *context, const struct arbiter_news *news);
// A held event turns out to be wanted: it is stored before the one being judged.
typedef void arbiter_release(void *context, const struct event *event, uint32_t link);

struct arbiter_counters {
    uint64_t copies;
    uint64_t released;
    uint64_t restarts;
    uint64_t takeovers; // of the lead
    uint64_t late;      // events that filled a hole without being asked for
    uint64_t overflows; // holes or held events there was no room for
};

// The time of one judgement.
struct arbiter_now {
    int64_t utc_ns;
    int64_t monotonic_ns;
};

struct arbiter_held; // arbiter_range.c

struct arbiter {
    uint32_t *key_of; // [LIMIT_SHARD_SYMBOLS][ARBITER_CLASSES], number + 1
    struct arbiter_key *keys;
    uint32_t key_count;
    uint32_t tick_next; // key
    uint32_t audit_round;
    uint32_t tails; // keys that want their tail
    struct arbiter_now ran; // the last sign that the process runs
    int64_t still_ns;       // UTC: from here it stood still
    int64_t still_to_ns;    // ... to here
    struct arbiter_window *windows;
    uint32_t window_count;
    struct coverage_pool pool;
    struct arbiter_held *held;
    struct arbiter_counters counters;
    arbiter_tell *tell;
    arbiter_release *release;
    void *context;
};

// 0 or -ENOMEM.
int arbiter_open(struct arbiter *arbiter, arbiter_tell *tell, arbiter_release *release,
                 void *context);
void arbiter_close(struct arbiter *arbiter);

// The class of a channel, ARBITER_CLASSES for one without keys.
static inline uint32_t arbiter_class(enum channel channel)
{
    return channel >= CHANNEL_TRADE && channel <= CHANNEL_KLINE ? (uint32_t)channel - 1
                                                                : ARBITER_CLASSES;
}

// The key, opened if it was not; ARBITER_KEY_NONE when there is no room.
uint32_t arbiter_key_open(struct arbiter *arbiter, uint32_t symbol, enum channel channel,
                          enum arbiter_rule rule);
uint32_t arbiter_key_find(const struct arbiter *arbiter, uint32_t symbol, enum channel channel);
// Undoes one opening. With the last of them nobody wants the key: its series ends with a row.
void arbiter_key_close(struct arbiter *arbiter, uint32_t key);

// The one call an event. `link` NULL: the event came by REST.
enum arbiter_verdict arbiter_judge(struct arbiter *arbiter, const struct event *event,
                                   struct arbiter_link *link, struct arbiter_now now);
// An event that was judged new could not be stored after all.
void arbiter_refused(struct arbiter *arbiter, const struct event *event, struct arbiter_now now);

// A link that carries the key is live, is no longer.
void arbiter_key_up(struct arbiter *arbiter, uint32_t key, const struct arbiter_link *link,
                    struct arbiter_now now);
void arbiter_key_down(struct arbiter *arbiter, uint32_t key, const struct arbiter_link *link,
                      struct arbiter_now now);

// Ten times a second: suspected holes become open, audits are judged, idle leaders replaced.
void arbiter_tick(struct arbiter *arbiter, struct arbiter_now now);

// ---- what audit and repair tell ----

// The exchange's newest id of a SEQUENCE key. Judged two seconds later, when what is under way has
// come.
void arbiter_audited(struct arbiter *arbiter, uint32_t key, int64_t id, struct arbiter_now now);
// An answer of LAST_IDS begins, names a key, has come to its end. A key that it did not name wants
// its tail; where most are not named the answer says nothing.
void arbiter_audit_begin(struct arbiter *arbiter);
void arbiter_audit_named(struct arbiter *arbiter, uint32_t key);
void arbiter_audit_end(struct arbiter *arbiter, uint8_t exchange, struct arbiter_now now);
// The tail of a key up to `id` is known to the exchange; `id` at or below the last: there is none.
void arbiter_tail_found(struct arbiter *arbiter, uint32_t key, int64_t id, struct arbiter_now now);
// Nobody can tell what came behind the last event (SET: behind the proven time): listed as lost,
// without an end.
void arbiter_tail_lost(struct arbiter *arbiter, uint32_t key, const char *why,
                       struct arbiter_now now);
// The exchange knows the SET key's symbol again after all.
void arbiter_tail_back(struct arbiter *arbiter, struct arbiter_key *key);
// No snapshot of the RANGE key will ever come: what is missing is lost.
void arbiter_range_lost(struct arbiter *arbiter, uint32_t key, const char *why);
// SET: what the window has forgotten before an audit compared it is listed as lost.
void arbiter_set_unproven(struct arbiter *arbiter, uint32_t key);
// [first, last] is missing no more: told as repaired by `rows` rows, or as lost for the reason
// `detail`.
void arbiter_resolved(struct arbiter *arbiter, uint32_t key, int64_t first, int64_t last,
                      uint64_t rows, bool lost, const char *detail);
// The ids [first, last], which were judged new one by one, came by REST: told.
void arbiter_repaired(struct arbiter *arbiter, uint32_t key, int64_t first, int64_t last,
                      int64_t from_ns, int64_t to_ns);
// A snapshot of a RANGE key was stored. False: it is older than the run, another is wanted.
bool arbiter_anchored(struct arbiter *arbiter, uint32_t key, int64_t last_id, int64_t time_ns);

// ---- from an earlier life ----

// A stored row of the key, in any order (of depth: in theirs). `first`, `last`: ids of depth; else
// both the id. `before`: what a depth row builds on.
void arbiter_recall_row(struct arbiter *arbiter, uint32_t key, int64_t first, int64_t last,
                        int64_t before, int64_t time_ns);
// A stored REST snapshot of a RANGE key.
void arbiter_recall_snapshot(struct arbiter *arbiter, uint32_t key, int64_t last_id,
                             int64_t time_ns);
// From when on stored rows of SET keys are needed at the next start, at the latest `now_ns`.
int64_t arbiter_needed_ns(const struct arbiter *arbiter, int64_t now_ns);
// A stored status row of the key: a hole was opened, repaired, lost; a series ended.
void arbiter_recall_status(struct arbiter *arbiter, uint32_t key, enum status_kind kind,
                           int64_t first, int64_t last);
// All rows were seen; the key was recorded until `alive_ns`. One that counts by times was down from
// then on.
void arbiter_recall_stopped(struct arbiter *arbiter, uint32_t key, int64_t alive_ns,
                            struct arbiter_now now);
// `to`, just opened, begins as `from` of another arbiter ended.
void arbiter_adopt(struct arbiter *arbiter, uint32_t to, const struct arbiter *other,
                   uint32_t from, struct arbiter_now now);
// Adds the key and its open holes to a ledger, under the name `symbol`. False: full.
bool arbiter_save(const struct arbiter *arbiter, uint32_t key, const char *symbol,
                  struct ledger *ledger);

#endif
