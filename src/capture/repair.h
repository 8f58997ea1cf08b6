// SPDX-License-Identifier: GPL-3.0-or-later
//
// repair: the plan: which hole is asked for next, and what an answer means. Pure; mend.c carries it
// out.
//
//     IDS       a page of trades or aggregate trades from an id on: the newest open hole of the
//               exchange, its newest page, with older holes of the key that fit in the page
//     TIMES     a hole of a SET key: pages back from its end until its beginning is passed
//     SNAPSHOT  a RANGE key without an anchor; and of the others one in twenty minutes or 200,000
//               levels, after all else, so that a book is rebuilt from minutes of updates and not
//               from weeks
//     TAIL      a SEQUENCE key whose symbol the audit did not name: what followed its last id?
//     LAST_IDS  the audit of all SEQUENCE keys of an exchange
//     RECENT    the audit of one SET key: as TIMES, from now back to where it was proven
//
// One question a key at a time. Bounds: an answer that brings nothing new of a hole counts against
// it; the third time what is missing is given up, "the exchange does not have these ids".
// Threading: core-local.
#ifndef RINGTAPE_CAPTURE_REPAIR_H
#define RINGTAPE_CAPTURE_REPAIR_H

#include "capture/arbiter.h"
#include "exchange/history.h"

enum repair_kind {
    REPAIR_IDS,
    REPAIR_TIMES,
    REPAIR_SNAPSHOT,
    REPAIR_TAIL,
    REPAIR_LAST_IDS,
    REPAIR_RECENT,
};

enum { REPAIR_ATTEMPTS_MAX = 3 };
#define REPAIR_AUDIT_NS (60 * LIMIT_SECOND_NS) // of everything, this often
// ... and of a SET key before its window forgets what has to be compared.
enum { REPAIR_AUDIT_EVENTS = ARBITER_WINDOW / 4 };
#define REPAIR_SNAPSHOT_NS (20 * LIMIT_MINUTE_NS)
// BTCUSDT has 34,000 levels a minute; 200,000 take 15 ms to decode and apply, of 50 for a book.
enum { REPAIR_SNAPSHOT_LEVELS = 200000 };
// All symbols' snapshots are of their daemon's start, so renewals come at once: at most one in so
// long, which takes 1,500 of Binance's 6,000 weight a minute and leaves the rest to holes.
#define REPAIR_SNAPSHOT_GAP_NS (2 * LIMIT_SECOND_NS)
#define REPAIR_SNAPSHOT_PAUSE_NS LIMIT_MINUTE_NS // of a renewal that was refused or did not fit
#define REPAIR_PAUSE_NS LIMIT_SECOND_NS        // first pause of a hole without progress; doubles

struct repair_job {
    enum repair_kind kind;
    uint32_t key;  // LAST_IDS: ARBITER_KEY_NONE
    int64_t first; // positions wanted
    int64_t last;
    int64_t began_ns; // UTC
    uint64_t stored;  // RECENT: events of the key then
    uint32_t days_ago; // TIMES, RECENT: of the day being walked
    int64_t cursor;    // TIMES, RECENT: of the next page; 0: none
    // Of the answer, while it is read.
    uint32_t seen; // rows
    uint64_t rows; // stored; TIMES, RECENT: of all pages
    int64_t low;   // least and greatest id; TIMES, RECENT: time of the oldest row
    int64_t high;        // TIMES, RECENT: time of the newest that was stored
    int64_t run_first; // ids stored one after the other
    int64_t run_last;
    int64_t run_from_ns;
    int64_t run_to_ns;
};

struct repair_cursor { // where the last search of an exchange's keys stopped
    uint32_t snapshot;
    uint32_t renewal;
    int64_t renewal_ns;  // monotonic: none before
    int64_t snapshot_ns; // monotonic: neither snapshot nor renewal before; the caller's
    uint32_t recent;
    uint32_t tail;
    bool turn; // of what may not wait behind holes
};

// The next question to the exchange, if there is one: holes take turns with snapshots, since
// trades can be had later and depth cannot, or with audits by cursor; then tails, then renewals.
// Marks its key. `audit`: LAST_IDS is due.
bool repair_next(struct arbiter *arbiter, const struct dialect_history *history, uint8_t exchange,
                 struct repair_cursor *cursor, bool audit, struct arbiter_now now,
                 struct repair_job *job);
// The question for the job's next page.
struct history_ask repair_ask(const struct repair_job *job, const struct arbiter *arbiter,
                              const struct dialect_history *history, const char *symbol);
// A row of the answer has come: its id and time; `stored`: it was missing.
void repair_row(struct repair_job *job, struct arbiter *arbiter, int64_t id, int64_t time_ns,
                bool stored);
// True where a row of that position belongs to the job.
bool repair_wants(const struct repair_job *job, const struct arbiter *arbiter, int64_t id,
                  int64_t time_ns);
// The answer was read to its end. True: another page is needed (the job goes on).
bool repair_answered(struct repair_job *job, struct arbiter *arbiter,
                     const struct dialect_history *history, struct arbiter_now now);
// The job is over without a (further) answer: its key may be asked for again after `pause_ns`.
// `lost`: not NULL where there will never be one, with the reason.
void repair_failed(struct repair_job *job, struct arbiter *arbiter, int64_t pause_ns,
                   const char *lost, struct arbiter_now now);

#endif
