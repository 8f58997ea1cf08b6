// SPDX-License-Identifier: GPL-3.0-or-later
//
// permits: how often this IP address may still connect to an exchange. The budget belongs to the
// process (and to the processes before it: control keeps it in the store over restarts), so all
// shards ask the same window.
//
// A kind counts connections: at most `limit` permits in any `window_ns`. Exact: the times of the
// last `limit` permits are kept. A budget counts the weight of requests: at most `limit` in any
// `window_ns`, kept in sixtieths of the window; the exchange's own count, where its replies give
// one, is believed when it is higher, and so is its word to pause. Threading: any thread may take;
// a short spin lock, held for a few instructions, a few times a second at most.
#ifndef RINGTAPE_BASE_PERMITS_H
#define RINGTAPE_BASE_PERMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PERMITS_KINDS_MAX = 8,
    PERMITS_LIMIT_MAX = 512,
    PERMITS_NAME_BYTES_MAX = 31,
    PERMITS_BUDGETS_MAX = 8,
    PERMITS_PARTS = 60, // of a budget's window
    // permits_save(): a line for every time remembered.
    PERMITS_TEXT_BYTES_MAX = PERMITS_KINDS_MAX * PERMITS_LIMIT_MAX * (PERMITS_NAME_BYTES_MAX + 24) +
                             PERMITS_BUDGETS_MAX * (PERMITS_PARTS + 1) *
                                 (PERMITS_NAME_BYTES_MAX + 48),
};

struct permits_budget {
    char name[PERMITS_NAME_BYTES_MAX + 1];
    int64_t window_ns;
    uint32_t limit;
    int64_t pause_ns; // UTC: nothing before
    struct {
        int64_t number; // of the part: UTC / its length
        uint32_t weight;
    } parts[PERMITS_PARTS + 1]; // by number: the window and the part that is leaving it
};

struct permits_kind {
    char name[PERMITS_NAME_BYTES_MAX + 1];
    int64_t window_ns;
    uint32_t limit;
    uint32_t next;                    // place of the oldest of the last `limit` times
    int64_t time_ns[PERMITS_LIMIT_MAX]; // UTC; 0: not used yet
};

// Embedded by control; every member is private.
struct permits {
    atomic_flag lock;
    _Atomic uint64_t granted; // since the start: tells control that there is something to save
    uint32_t kind_count;
    uint32_t budget_count;
    struct permits_kind kinds[PERMITS_KINDS_MAX];
    struct permits_budget budgets[PERMITS_BUDGETS_MAX];
};

void permits_init(struct permits *permits);
// The number of the kind `name`, added if new. Before any thread takes. `limit` 1 ... LIMIT_MAX.
uint32_t permits_kind(struct permits *permits, const char *name, uint32_t limit,
                      int64_t window_ns);
// 0: granted. Else: ns until it is worth asking again (nothing is reserved).
int64_t permits_take(struct permits *permits, uint32_t kind, int64_t utc_ns);

// The number of the budget `name`, added if new; an old one gets the limit.
uint32_t permits_budget(struct permits *permits, const char *name, uint32_t limit,
                        int64_t window_ns);
// The number of the budget `name`, which there is.
uint32_t permits_budget_find(struct permits *permits, const char *name);
// 0: granted, `weight` is spent. Else: ns until it is worth asking again. `modest`: a quarter of
// the limit is left to those who are not.
int64_t permits_spend(struct permits *permits, uint32_t budget, uint32_t weight, bool modest,
                      int64_t utc_ns);
// The exchange says that `used` was spent in this window.
void permits_used(struct permits *permits, uint32_t budget, uint32_t used, int64_t utc_ns);
// The exchange wants no request before `until_ns` (UTC).
void permits_pause(struct permits *permits, uint32_t budget, int64_t until_ns);
// How long it still wants none; 0: it may be asked.
int64_t permits_paused(struct permits *permits, uint32_t budget, int64_t utc_ns);

// Text for the next life ("binance 1767225600000000000\n" ...); returns its size. Cut where `out`
// ends.
size_t permits_save(struct permits *permits, char *out, size_t out_size);
// Takes what it understands of a saved text; lines of unknown kinds, of the future (the clock was
// set back) and nonsense are passed over.
void permits_load(struct permits *permits, const char *text, size_t size, int64_t utc_ns);

#endif
